"""float32 where its rounding cannot be seen, float64 where it could: a bound on the outputs decides."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt.analysis.landscape import (
    Plane,
    Slice,
    axes,
    grid,
    progressive_grid,
    refine,
    slice_values,
    suited_dtype,
    values_at,
)
from nnopt.objectives.activations import ACTIVATIONS
from nnopt.objectives.kernels import Workspace
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.objectives.precision import output_error

HUGE = 4e8
#: two inputs that are nearly the same, and their labels: huge weights of both almost cancel
X = np.array([[1.0, 1.0 + 2.0**-27], [-2.0, -2.0], [0.5, 0.5], [3.0, 3.0 - 2.0**-27]])
Y = [1, 0, 0, 1]


@pytest.fixture
def cancelling():
    """Logistic regression whose weights of 4e8 cancel to logits of about their inputs' size, and a plane through it."""
    objective = NetworkObjective(Network((2, 1)), X, Y)
    theta = np.array([HUGE, 1.0 - HUGE, 0.25])
    return objective, Plane(theta, np.array([1.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0]))


def exact_loss(theta) -> float:
    """Mean of log(1 + e^-z) or log(1 + e^z); the logits z in rational numbers."""
    w1, w2, b = map(Fraction, map(float, theta))
    logits = [float(w1 * Fraction(a) + w2 * Fraction(c) + b) for a, c in X.tolist()]
    return sum(np.logaddexp(0.0, -z if label else z) for z, label in zip(logits, Y, strict=True)) / len(Y)


def test_a_map_of_huge_weights_is_that_of_the_loss(cancelling):
    objective, plane = cancelling
    a, b = axes(2.0, 5)
    exact = np.array([[exact_loss(plane.point(s, t)) for t in b] for s in a])
    assert exact_loss(plane.origin) != pytest.approx(in_float32(objective, plane.origin), rel=0.1), "float32 will do?"
    np.testing.assert_allclose(grid(objective, plane, 2.0, 5), exact, rtol=1e-6)
    np.testing.assert_allclose(refine(objective, plane, 2.0, lambda n, losses: True, sizes=(3, 5)), exact, rtol=1e-6)
    *_, (_, finest) = progressive_grid(objective, plane, 2.0, sizes=(3, 5))
    np.testing.assert_allclose(finest, exact, rtol=1e-6)
    points = [(s, t) for s in a for t in b]
    np.testing.assert_allclose(values_at(objective, plane, points, np.float32).reshape(5, 5), exact, rtol=1e-6)
    line = Slice(plane.origin, plane.d1)
    np.testing.assert_allclose(slice_values(objective, line, a, np.float32), exact[:, 2], rtol=1e-6)
    rows = np.array([plane.point(s, 0.0) for s in a])
    np.testing.assert_allclose(objective.values(rows, np.float32), exact[:, 2], rtol=1e-6)


def in_float32(objective, theta) -> float:
    """The loss with every product and sum rounded to float32."""
    w, x = theta.astype(np.float32), objective.X.astype(np.float32)
    z = x[:, 0] * w[0] + x[:, 1] * w[1] + w[2]
    return float(np.mean(np.logaddexp(np.float32(0.0), np.where(Y, -z, z))))


def outputs_in(dtype, network, theta, inputs):
    space = Workspace(network, (1,), inputs.shape[1], dtype)
    space.theta[...] = theta
    with np.errstate(all="ignore"):
        space.forward(inputs.astype(dtype))
    return space.z[0].astype(float)


@settings(max_examples=200, deadline=None)
@given(
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    hidden=st.sampled_from([(), (5,), (16, 16), (8, 8, 8)]),
    size=st.floats(-2, 6),
    seed=st.integers(0, 1000),
)
def test_float32_is_never_wrong_by_more_than_the_bound_says(activation, hidden, size, seed):
    random = np.random.default_rng(seed)
    network = Network((3, *hidden, 2), activation)
    theta = 10.0**size * random.normal(size=network.size)
    inputs = np.ones((4, 50))
    inputs[:3] = random.normal(size=(3, 50))
    single, double = (outputs_in(kind, network, theta, inputs) for kind in (np.float32, np.float64))
    assert np.abs(single - double).max() <= output_error(network, np.abs(theta), np.abs(inputs).max(axis=1))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_an_ordinary_network_is_calculated_in_float32(activation):
    objective = NetworkObjective(Network((2, 16, 16, 1), activation), np.random.default_rng(0).normal(size=(50, 2)),
                                 np.arange(50) % 2)  # fmt: skip
    theta = 3.0 * objective.network.initial(0)
    d1, d2 = np.random.default_rng(1).normal(size=(2, theta.size)) / math.sqrt(theta.size)
    plane = Plane(theta, d1, d2)
    assert suited_dtype(objective, plane, 1.0) == np.float32
    single, double = grid(objective, plane, 1.0, 9), grid(objective, plane, 1.0, 9, np.float64)
    assert not np.array_equal(single, double)
    np.testing.assert_allclose(single, double, rtol=1e-4)


def test_a_map_that_hardly_varies_is_calculated_in_float64():
    objective = NetworkObjective(Network((2, 16, 1)), np.random.default_rng(0).normal(size=(50, 2)), np.arange(50) % 2)
    plane = Plane(objective.network.initial(0), *np.random.default_rng(1).normal(size=(2, 65)))
    assert suited_dtype(objective, plane, 1.0) == np.float32
    for make in (grid, lambda *given: list(progressive_grid(*given[:3], sizes=given[3:]))[-1][1]):
        np.testing.assert_array_equal(make(objective, plane, 1e-7, 9), grid(objective, plane, 1e-7, 9, np.float64))


def test_squared_errors_next_to_a_perfect_fit_keep_their_digits():
    """Targets near 1e3 that are met to 1e-6: a float32 has no digits left of the difference."""
    inputs, offset = np.array([[1.0], [2.0]]), 1e-6
    objective = NetworkObjective(Network((1, 1)), inputs, [1000.0, 2000.0], loss="squared_error")
    thetas = np.array([[1000.0, offset], [1000.0, 2.0]])
    exact = [0.5 * float(Fraction(offset)) ** 2, 2.0]
    np.testing.assert_allclose(objective.values(thetas, np.float32), exact, rtol=1e-2)
    np.testing.assert_allclose(objective.values(thetas[::-1], np.float32), exact[::-1], rtol=1e-2)


def test_tiny_and_huge_losses_do_not_leave_the_range_of_float32():
    objective = NetworkObjective(Network((1, 1)), [[1.0]], [1])
    assert objective.values([[200.0, 0.0]], np.float32)[0] == pytest.approx(math.exp(-200.0), rel=1e-6)
    squares = NetworkObjective(Network((1, 1)), [[1.0]], [0.0], loss="squared_error")
    assert squares.values([[1e25, 0.0]], np.float32)[0] == pytest.approx(5e49, rel=1e-6)
