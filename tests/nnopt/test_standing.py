"""Plateau or converged: quadratics with chosen curvatures, with the Hessian itself and by Lanczos iteration."""

import numpy as np
import pytest

from nnopt.analysis.standing import EXACT, standing
from nnopt.objectives import functions


class Quadratic:
    """level + g . x + sum of curvature x^2 / 2."""

    def __init__(self, curvatures, slope=0.0, level=1.0):
        self.curvatures, self.level = np.asarray(curvatures, dtype=float), level
        self.slope = np.broadcast_to(np.asarray(slope, dtype=float), self.curvatures.shape)
        self.size = self.curvatures.size
        self.floor = 0.0

    def value(self, theta):
        return float(self.level + self.slope @ theta + np.sum(self.curvatures * theta**2) / 2)

    def gradient(self, theta):
        return self.slope + self.curvatures * theta

    def value_and_gradient(self, theta):
        return self.value(theta), self.gradient(theta)

    def hvp(self, theta, v):
        return self.curvatures * v

    def hessian(self, theta):
        return np.diag(self.curvatures)


@pytest.mark.parametrize("times", [1, EXACT])
@pytest.mark.parametrize(
    ("curvatures", "slope", "kind"),
    [
        ([2.0, 1.0], 0.0, "minimum"),
        ([2.0, 0.0], 0.0, "valley of minima"),
        ([2.0, -1.0], 0.0, "saddle"),
        ([-2.0, -1.0], 0.0, "hilltop"),
        ([2.0, 1.0], 1.0, "falling"),
        ([2.0, 0.0], [0.0, 0.1], "falling"),
        ([2.0, 0.0], [1e-3, 0.0], "valley of minima"),
        ([np.nan, 1.0], 0.0, "unknown"),
        ([0.0, 0.0], 0.0, "unknown"),
        ([0.0, 0.0], 1.0, "falling"),
    ],
)
def test_the_kind_of_a_point_is_that_of_its_gradient_and_curvatures(curvatures, slope, kind, times):
    slopes = np.tile(np.broadcast_to(slope, 2), times) / np.sqrt(times)
    found = standing(Quadratic(np.tile(curvatures, times), slopes), np.zeros(2 * times))
    assert found.kind == kind
    if kind not in ("unknown",):
        zero = 1e-4 * np.abs(curvatures).max()
        with np.errstate(divide="ignore"):
            promised = np.sum(np.square(slope) * np.ones(2) / (2 * np.maximum(np.abs(curvatures), zero)))
        assert found.promised == pytest.approx(promised)


def test_every_point_of_a_valley_is_one_of_minima():
    valley = functions.formula("(x*y - 1)**2")
    for x in (0.5, 1.0, 1.7, 4.0):
        assert standing(valley, [x, 1 / x]).kind == "valley of minima"
    assert standing(valley, [0.0, 0.0]).kind == "saddle"
    assert standing(valley, [0.9, 0.9]).kind == "falling"
