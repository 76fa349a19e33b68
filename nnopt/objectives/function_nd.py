"""Functions with settings or with more than two parameters: the quadratic, Rosenbrock's chain, Wood, Powell."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from nnopt.objectives.functions import (
    Bounds,
    Formula,
    FormulaFunction,
    Function,
    Minimum,
    Settings,
    Vector,
    floats,
    frozen,
    register,
    rows,
)
from nnopt.settings import between


@register
class Quadratic(Function, Settings, frozen=True, tag="quadratic"):
    """(u^2 + k v^2) / 2 in axes (u, v) that are (x, y) rotated counter-clockwise.

    condition: k, the ratio of the largest to the smallest eigenvalue of the Hessian (which is 1).
    rotation: angle in degrees from the x axis to the flat direction u.

    >>> Quadratic(condition=100, rotation=90).hessian([0.0, 0.0])
    array([[100.,   0.],
           [  0.,   1.]])
    """

    condition: Annotated[
        float,
        between(
            1,
            1e8,
            closed=True,
            label="condition number",
            log=True,
            slider=(1, 1e4),
            help="largest / smallest curvature",
        ),
    ] = 10.0
    rotation: Annotated[
        float, between(-180, 180, closed=True, label="rotation", unit="°", help="from the x axis to the flat direction")
    ] = 30.0

    title = "Quadratic"
    teaches = "Gradient descent is as slow as the condition number is large; Newton needs one step whatever it is."
    source = "the two-dimensional quadratic; rates: Polyak (1964)"

    @property
    def size(self) -> int:
        return 2

    @property
    def formula_text(self) -> str:
        a, b, c = (f"{entry:.4g}".replace("-", "−") for entry in self._entries())
        return f"f(x, y) = ½ ({a} x² + 2 ({b}) x y + {c} y²)"

    @property
    def start(self) -> Vector:
        return np.array([-4.0, 3.0])

    @property
    def bounds(self) -> Bounds:
        return ((-5.0, 5.0), (-5.0, 5.0))

    @property
    def minima(self) -> tuple[Minimum, ...]:
        return (Minimum(frozen([0.0, 0.0]), 0.0),)

    def value(self, theta: Vector) -> float:
        return self.value_and_gradient(theta)[0]

    def value_and_gradient(self, theta: Vector) -> tuple[float, Vector]:
        x, y = floats(theta, 2)
        cos, sin = _direction(self.rotation)
        u, v = cos * x + sin * y, cos * y - sin * x
        steep = self.condition * v
        return 0.5 * (u * u + steep * v), np.array((cos * u - sin * steep, sin * u + cos * steep))

    def hessian(self, theta: Vector) -> Vector:
        floats(theta, 2)
        a, b, c = self._entries()
        return np.array([[a, b], [b, c]])

    def values(self, thetas: Vector, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        x, y = rows(thetas, 2, dtype).T
        cos, sin = _direction(self.rotation)
        with np.errstate(all="ignore"):
            u, v = cos * x + sin * y, cos * y - sin * x
            return np.asarray(0.5 * (u * u + self.condition * v * v))

    def _entries(self) -> tuple[float, float, float]:
        """(a, b, c) of the Hessian [[a, b], [b, c]]."""
        cos, sin = _direction(self.rotation)
        k = self.condition
        # + 0.0: an angle of 90 degrees shall not give -0
        return cos * cos + k * sin * sin, (1.0 - k) * sin * cos + 0.0, sin * sin + k * cos * cos


@lru_cache(maxsize=256)
def _direction(degrees: float) -> tuple[float, float]:
    """(cos, sin), exact at multiples of a right angle."""
    if degrees % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(degrees // 90) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


@register
class RosenbrockN(Function, Settings, frozen=True, tag="rosenbrock_n"):
    """sum over i < n of 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2: Rosenbrock's valley as a chain.

    The global minimum is (1, ..., 1). For n >= 4 there is a second one with x_1 < 0, near (-1, 1, ..., 1) for large n;
    up to n = 7 it is the only other (Kok and Sandrock 2009).

    >>> f = RosenbrockN(n=4)
    >>> f.value([1.0, 1.0, 1.0, 1.0]), round(f.minima[1].value, 4), f.minima[1].theta.round(3)
    (0.0, 3.7014, array([-0.776,  0.613,  0.382,  0.146]))
    """

    n: Annotated[int, between(2, 2000, closed=True, label="parameters", log=True, slider=(2, 200))] = 10

    title = "Rosenbrock, n parameters"
    teaches = "The valley in many dimensions, with a local minimum beside the global one from four parameters on."
    source = "[MGH] 21, chained; Kok and Sandrock, Locating and characterizing the stationary points (2009)"

    @property
    def minima_note(self) -> str:  # type: ignore[override]
        """Where the list is not known to be complete."""
        return "the two known minima are listed; that there is no other is known up to n = 7" if self.n > 7 else ""

    @property
    def size(self) -> int:
        return self.n

    @property
    def formula_text(self) -> str:
        return f"f(x) = Σ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²,  i = 1 … {self.n - 1}"

    @property
    def start(self) -> Vector:
        start = np.ones(self.n)
        start[::2] = -1.2
        return start

    @property
    def bounds(self) -> Bounds:
        return ((-2.0, 2.0),) * self.n

    @property
    def minima(self) -> tuple[Minimum, ...]:
        best = Minimum(frozen(np.ones(self.n)), 0.0)
        return (best, _second_minimum(self.n)) if self.n >= 4 else (best,)

    def value(self, theta: Vector) -> float:
        return float(self.values(np.asarray(theta)[None])[0])

    def value_and_gradient(self, theta: Vector) -> tuple[float, Vector]:
        x = np.array(floats(theta, self.n))
        with np.errstate(all="ignore"):
            across, along = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
            gradient = np.zeros(self.n)
            gradient[:-1] = -400.0 * x[:-1] * across - 2.0 * along
            gradient[1:] += 200.0 * across
            return float(100.0 * (across @ across) + along @ along), gradient

    def hessian(self, theta: Vector) -> Vector:
        x = np.array(floats(theta, self.n))
        with np.errstate(all="ignore"):
            diagonal = np.zeros(self.n)
            diagonal[:-1] = 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
            diagonal[1:] += 200.0
            beside = -400.0 * x[:-1]
        return np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)

    def values(self, thetas: Vector, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        x = rows(thetas, self.n, dtype)
        with np.errstate(all="ignore"):
            across, along = x[:, 1:] - x[:, :-1] ** 2, 1 - x[:, :-1]
            return np.asarray(100 * np.sum(across * across, axis=1) + np.sum(along * along, axis=1))


@lru_cache(maxsize=16)
def _second_minimum(n: int) -> Minimum:
    """The minimum near (-1, 1, ..., 1), by Newton's method from there to the last bit."""
    function = RosenbrockN(n)
    theta = np.ones(n)
    theta[0] = -1.0
    for _ in range(60):
        step = np.linalg.solve(function.hessian(theta), function.gradient(theta))
        theta -= step
        if float(np.abs(step).max()) < 1e-15:
            break
    return Minimum(frozen(theta), function.value(theta))


@register
class Wood(FormulaFunction, Settings, frozen=True, tag="wood"):
    """Two Rosenbrock valleys of four parameters, coupled; one minimum, at (1, 1, 1, 1), and a saddle to be stuck at.

        f(x) = 100 (x2 - x1^2)^2 + (1 - x1)^2 + 90 (x4 - x3^2)^2 + (1 - x3)^2
               + 10.1 ((x2 - 1)^2 + (x4 - 1)^2) + 19.8 (x2 - 1) (x4 - 1)

    >>> f = Wood()
    >>> saddle = [-0.968, 0.9471, -0.9695, 0.9512]
    >>> f.value([1.0, 1.0, 1.0, 1.0]), round(f.value(saddle), 3), (np.linalg.eigvalsh(f.hessian(saddle)) < 0).tolist()
    (0.0, 7.877, [True, False, False, False])
    """

    title = "Wood"
    teaches = "Near (−1, 1, −1, 1) there is a saddle with f ≈ 7.88 at which many methods waste most of their steps."
    source = "Colville (1968); [MGH] 14"
    formula = Formula(
        "100*(x2 - x1**2)**2 + (1 - x1)**2 + 90*(x4 - x3**2)**2 + (1 - x3)**2"
        " + 10.1*((x2 - 1)**2 + (x4 - 1)**2) + 19.8*(x2 - 1)*(x4 - 1)",
        ("x1", "x2", "x3", "x4"),
    )
    starts_at = (-3.0, -1.0, -3.0, -1.0)
    within = ((-4.0, 4.0),) * 4
    minima_at = (((1.0, 1.0, 1.0, 1.0), 0.0),)


@register
class PowellSingular(FormulaFunction, Settings, frozen=True, tag="powell_singular"):
    """(x1 + 10 x2)^2 + 5 (x3 - x4)^2 + (x2 - 2 x3)^4 + 10 (x1 - x4)^4; its Hessian is singular at the minimum 0.

    >>> f = PowellSingular()
    >>> int(np.linalg.matrix_rank(f.hessian(np.zeros(4))))
    2
    >>> theta = np.array([10.0, -1.0, 4.0, 4.0])
    >>> (np.linalg.solve(f.hessian(theta), -f.gradient(theta)) / theta).round(6)
    array([-0.333333, -0.333333, -0.333333, -0.333333])
    """

    title = "Powell's singular function"
    teaches = "The Hessian is singular at the minimum: Newton converges there only linearly, by 2/3 each step."
    source = "Powell (1962); [MGH] 13"
    formula = Formula("(x1 + 10*x2)**2 + 5*(x3 - x4)**2 + (x2 - 2*x3)**4 + 10*(x1 - x4)**4", ("x1", "x2", "x3", "x4"))
    starts_at = (3.0, -1.0, 0.0, 1.0)
    within = ((-4.0, 4.0),) * 4
    minima_at = (((0.0, 0.0, 0.0, 0.0), 0.0),)
