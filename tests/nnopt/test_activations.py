"""Activations: closed forms, derivatives, kinks, behaviour far out."""

from decimal import Context, Decimal, localcontext

import numpy as np
import pytest

from nnopt.errors import UnknownNameError
from nnopt.objectives.activations import ACTIVATIONS, activation

CLOSED_FORMS = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "softplus": lambda z: np.logaddexp(0, z),
    "identity": lambda z: z,
}
FAR = np.array([-1e4, -700.0, 700.0, 1e4])

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)


def away_from_kinks() -> np.ndarray:
    z = np.linspace(-6, 6, 240)
    return z[np.abs(z) > 1e-2]


def test_there_is_a_closed_form_for_every_activation():
    assert set(CLOSED_FORMS) == set(ACTIVATIONS)
    assert all(name == f.name for name, f in ACTIVATIONS.items())


@every_activation
def test_value_is_the_closed_form(name):
    z = np.linspace(-20, 20, 401)
    np.testing.assert_allclose(activation(name).value(z), CLOSED_FORMS[name](z), rtol=1e-14, atol=1e-15)


@every_activation
def test_derivatives_agree_with_differences(name):
    f, z, step = activation(name), away_from_kinks(), 1e-5
    slope = (f.value(z + step) - f.value(z - step)) / (2 * step)
    bend = (f.derivative(z + step) - f.derivative(z - step)) / (2 * step)
    np.testing.assert_allclose(f.derivative(z), slope, atol=1e-9)
    np.testing.assert_allclose(f.second_derivative(z), bend, atol=1e-9)


@every_activation
def test_curved_says_whether_the_second_derivative_vanishes(name):
    f = activation(name)
    assert f.curved == bool(np.any(f.second_derivative(away_from_kinks())))


@every_activation
def test_odd_says_whether_flipping_the_sign_is_a_symmetry(name):
    f, z = activation(name), np.linspace(0.1, 5, 50)
    assert f.odd == np.allclose(f.value(-z), -f.value(z), atol=1e-15) == (f.mirror == 0.0)
    sums = f.value(-z) + f.value(z)
    assert (f.mirror is not None) == np.allclose(sums, sums[0], atol=1e-15)
    assert f.mirror is None or np.allclose(sums, f.mirror, atol=1e-15)


@every_activation
def test_the_logistic_form_is_the_function(name):
    f, z = activation(name), np.linspace(-5, 5, 101)
    if f.logistic_form is not None:
        scale, rate, offset = f.logistic_form
        np.testing.assert_allclose(scale / (1 + np.exp(-rate * z)) + offset, f.value(z), atol=1e-15)


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("tanh", [-1, -1, 1, 1]),
        ("sigmoid", [0, 0, 1, 1]),
        ("relu", [0, 0, 700, 1e4]),
        ("leaky_relu", [-100, -7, 700, 1e4]),
        ("softplus", [0, 0, 700, 1e4]),
        ("identity", [-1e4, -700, 700, 1e4]),
    ],
)
def test_far_out_nothing_overflows(name, limits):
    f = activation(name)
    np.testing.assert_allclose(f.value(FAR), limits, rtol=1e-15, atol=1e-300)
    assert np.isfinite(f.derivative(FAR)).all()
    assert np.isfinite(f.second_derivative(FAR)).all()


def exactly(name, z):
    """f, f' and f'' of a smooth activation with 800 digits, f' and f'' as their definitions say."""
    with localcontext(Context(prec=800)):
        z = Decimal(z)
        up, down = z.exp(), (-z).exp()
        sigmoid = 1 / (1 + down)
        if name == "tanh":
            h = (up - down) / (up + down)
            return float(h), float(1 - h * h), float(-2 * h * (1 - h * h))
        if name == "sigmoid":
            return float(sigmoid), float(sigmoid * (1 - sigmoid)), float(sigmoid * (1 - sigmoid) * (1 - 2 * sigmoid))
        return float((1 + up).ln()), float(sigmoid), float(sigmoid * (1 - sigmoid))


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus"])
def test_a_saturated_unit_keeps_the_digits_of_its_derivatives(name):
    f, z = activation(name), [-300.0, -40.0, -19.0, -3.0, 0.3, 8.0, 19.0, 40.0, 300.0]
    values, slopes, bends = np.array([exactly(name, at) for at in z]).T
    np.testing.assert_allclose(f.value(z), values, rtol=1e-14)
    np.testing.assert_allclose(f.derivative(z), slopes, rtol=1e-14)
    np.testing.assert_allclose(f.second_derivative(z), bends, rtol=1e-14)


def test_softplus_keeps_its_relative_precision_where_it_is_tiny():
    np.testing.assert_allclose(activation("softplus").derivative([-600.0]), np.exp([-600.0]), rtol=1e-13)


@pytest.mark.parametrize(("name", "slope"), [("relu", 0.0), ("leaky_relu", 0.01)])
def test_at_the_kink_the_derivative_is_the_left_one(name, slope):
    assert activation(name).derivative([0.0]) == slope
    assert activation(name).second_derivative([0.0]) == 0.0


@every_activation
def test_the_in_place_form_is_the_same_function(name):
    f, z = activation(name), np.random.default_rng(0).normal(size=(3, 7))
    expected, out, work = f.value(z), np.empty_like(z), np.empty_like(z)
    f.forward(z, out, work)
    np.testing.assert_array_equal(out, expected)
    f.forward(z, z, work)
    np.testing.assert_array_equal(z, expected)
    delta = np.full_like(z, 3.0)
    f.backward(delta, z, work)
    slope = np.empty_like(z)
    f.slope(z, slope)
    np.testing.assert_allclose(delta, 3.0 * slope, rtol=1e-15)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"unknown activation 'tanhh'; did you mean 'tanh'\?.*softplus"):
        activation("tanhh")
