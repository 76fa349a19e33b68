"""A class of the user's, with value and gradient or with both in one, is looked at as nnopt's own objectives are."""

import numpy as np
import pytest

import nnopt
from nnopt import analysis
from nnopt.errors import SettingsError, UnsupportedError

A = np.array([[3.0, 1.0], [1.0, 2.0]])
POINT = np.array([1.0, 2.0])


class Apart:
    def value(self, theta):
        return theta @ A @ theta / 2

    def gradient(self, theta):
        return A @ theta


class Together:
    def value_and_gradient(self, theta):
        return theta @ A @ theta / 2, A @ theta


class OneBuffer:
    """Gives the same array again and again."""

    def __init__(self):
        self.buffer = np.zeros(2)

    def value_and_gradient(self, theta):
        self.buffer[:] = A @ theta
        return theta @ A @ theta / 2, self.buffer


own = pytest.mark.parametrize("made", [Apart, Together, OneBuffer])


@own
def test_its_curvature_is_that_of_the_function(made):
    exact = np.linalg.eigvalsh(A)
    assert np.allclose(analysis.spectrum_at(made(), POINT).values, exact[::-1], rtol=1e-7)
    assert analysis.sharpness(made(), POINT).value == pytest.approx(exact[-1], rel=1e-3)
    assert analysis.trace(made(), POINT).value == pytest.approx(5.0, rel=1e-6)


@own
def test_its_landscape_is_that_of_the_function(made):
    plane = analysis.plane("gradient", "newton", analysis.Context(made(), POINT))
    a, b = analysis.axes(1.0, 5)
    points = plane.origin + a[:, None, None] * plane.d1 + b[:, None] * plane.d2
    exact = np.einsum("...i,ij,...j->...", points, A, points) / 2
    assert np.allclose(analysis.grid(made(), plane, 1.0, 5), exact)
    assert np.allclose(plane.model(made())(np.stack(np.meshgrid(a, b, indexing="ij"), -1)), exact, atol=1e-6)
    assert analysis.project_path(made(), plane, [POINT]).losses.tolist() == [POINT @ A @ POINT / 2]


@own
def test_it_can_be_trained_many_times_together_and_its_solutions_connected(made):
    starts = np.array([[1.0, 2.0], [-1.0, 0.5]])
    sgd = nnopt.optimizers.SGD(lr=0.1)
    found = analysis.train_together(made(), sgd, starts, 20)
    alone = [nnopt.minimize(made(), sgd, start, steps=20).theta[-1] for start in starts]
    assert np.allclose(found.theta, alone, rtol=1e-12)
    assert analysis.connect(made(), starts[0], starts[1], steps=5).profile.values[0] == pytest.approx(
        starts[0] @ A @ starts[0] / 2
    )


@pytest.mark.parametrize("thing", [lambda theta: theta @ theta, 3, "x**2", None])
def test_what_is_no_objective_is_said_to_be_none(thing):
    plane = nnopt.Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    sgd = nnopt.optimizers.SGD()
    for look in (
        lambda: analysis.spectrum_at(thing, POINT),
        lambda: analysis.grid(thing, plane, 1.0, 3),
        lambda: analysis.Context(thing, POINT).gradient,
        lambda: analysis.train_together(thing, sgd, [POINT], 3),
        lambda: nnopt.minimize(thing, sgd, POINT),
    ):
        with pytest.raises(UnsupportedError, match="an objective needs `value` and `gradient`, or"):
            look()


def test_a_plain_function_is_told_of_formulas():
    with pytest.raises(UnsupportedError, match=r"nnopt\.functions\.formula\(TEXT\) makes one"):
        nnopt.minimize(lambda theta: theta @ theta, nnopt.optimizers.SGD(), POINT)


def test_a_grid_transposed_is_what_matplotlib_draws_with_d1_to_the_right():
    # f = a: grows along d1 only, so that every row of the transpose is the same and grows from left to right
    plane = nnopt.Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    losses = analysis.grid(nnopt.functions.formula("x + 0*y"), plane, (0, 3, 0, 1), (4, 2))
    assert losses.T.tolist() == [[0.0, 1.0, 2.0, 3.0]] * 2


@pytest.mark.parametrize("n", [1, 0, -3, 2.5, "5", (3,), (3, 4.5), (2, 2, 2), None, float("nan"), float("inf")])
def test_points_along_an_axis_are_whole_numbers_from_two(n):
    with pytest.raises(SettingsError, match=r"n: expected"):
        analysis.axes(1.0, n)
