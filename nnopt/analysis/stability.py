"""Sharpness, the largest curvature lambda_max, at a point and along a run: cheap, because each step begins where the
last one ended.

Gradient descent with rate a is stable on a quadratic while lambda_max < 2 / a; on networks lambda_max rises to 2 / a
and stays there, at the edge of stability (Cohen et al. 2021). Floor `analysis`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import count_of, generator
from nnopt.analysis.lanczos import extreme_pairs, product_of
from nnopt.errors import SettingsError, ShapeError
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]

#: relative residual at which an eigenvalue is taken; its own error is about the square of that
TOLERANCE = 1e-3
#: products per point, at most
MOST = 60
#: share of a random direction in a warm start, and products made at least: what has become the steepest meanwhile is
#: found by them
_FRESH = 0.1
_FEWEST = 7


@dataclass(frozen=True, eq=False, repr=False)
class Sharpness(Shown):
    """value: lambda_max. vector (P,): its unit eigenvector. residual: |H v - value v|, a bound on the value's distance
    to an eigenvalue. products: Hessian-vector products made.

    >>> Sharpness(value=4.0, vector=np.array([1.0, 0.0]), residual=1e-9, products=7).value
    4.0
    """

    value: float
    vector: Array
    residual: float
    products: int


def sharpness(
    objective: Any,
    theta: npt.ArrayLike,
    start: npt.ArrayLike | None = None,
    tolerance: float = TOLERANCE,
    most: int = MOST,
    seed: int = 0,
) -> Sharpness:
    """lambda_max of the Hessian at theta (P,), by Lanczos iteration on Hessian-vector products.

    start (P,): about where the eigenvector lies, the vector of a point nearby. tolerance: relative residual to reach.
    most: products to make at most. NaN where a product is not finite.

    >>> from nnopt.objectives import functions
    >>> round(sharpness(functions.get("quadratic", condition=50), [1.0, 2.0]).value, 6)
    50.0

    Source: Lanczos (1950), as in lanczos.py. Raises: ShapeError, SettingsError.
    """
    size = np.size(theta)
    if start is not None:
        given = np.asarray(start, dtype=np.float64)
        if given.shape != (size,):
            raise ShapeError(f"start: expected shape ({size},), got {given.shape}")
        random = generator(seed).standard_normal(size)
        start = given + _FRESH * float(np.linalg.norm(given) / np.linalg.norm(random)) * random
    product = product_of(objective, theta)
    found = extreme_pairs(
        product, size, 1, tolerance=tolerance, most=most, basis=30, start=start, seed=seed, fewest=_FEWEST
    )
    return Sharpness(float(found.values[0]), found.vectors[:, 0], float(found.residuals[0]), found.products)


class SharpnessTracker:
    """The sharpness at one point after another, each from the last one's eigenvector.

    >>> from nnopt.objectives import functions
    >>> f, tracker = functions.get("rosenbrock"), SharpnessTracker()
    >>> [round(tracker.at(f, [x, x * x]).value) for x in (0.0, 0.5, 1.0)]
    [200, 401, 1002]
    """

    def __init__(self, tolerance: float = TOLERANCE, most: int = MOST) -> None:
        self.tolerance = tolerance
        self.most = most
        #: Hessian-vector products made so far
        self.products = 0
        self._points = 0
        self._last: Array | None = None

    def at(self, objective: Any, theta: npt.ArrayLike) -> Sharpness:
        """lambda_max at theta (P,)."""
        start = self._last if self._last is not None and self._last.size == np.size(theta) else None
        found = sharpness(objective, theta, start, self.tolerance, self.most, seed=self._points)
        self._points += 1
        self.products += found.products
        self._last = found.vector if np.isfinite(found.value) else None
        return found


@dataclass(frozen=True, eq=False, repr=False)
class SharpnessCurve(Shown):
    """Sharpness along a run. steps (K,); values (K,): lambda_max of the full training loss there. limits (K,): 2 / a
    for the learning rate a at these steps, where plain gradient descent becomes unstable; NaN for methods without one
    (curvature methods). products: made in all.

    >>> curve = SharpnessCurve(np.array([0, 10]), np.array([1.0, 4.1]), np.array([4.0, 4.0]), products=9)
    >>> curve.values > curve.limits
    array([False,  True])
    """

    steps: npt.NDArray[np.int64]
    values: Array
    limits: Array
    products: int


def sharpness_along(
    history: Any,
    steps: Iterable[int] | None = None,
    points: int = 100,
    tolerance: float = TOLERANCE,
    on_point: Callable[[int, float], object] | None = None,
) -> SharpnessCurve:
    """The sharpness of the full training loss along a run.

    steps: where; by default about `points` of them, evenly from the first to the newest. on_point(step, value): called
    as each is known; returning False ends the curve there.

    >>> import nnopt
    >>> f = nnopt.functions.get("rosenbrock")
    >>> history = nnopt.minimize(f, nnopt.optimizers.Newton(), start=f.start, steps=6)
    >>> curve = sharpness_along(history)
    >>> curve.steps, curve.values.round()
    (array([0, 1, 2, 3, 4, 5, 6]), array([1506., 1307., 2022.,  668., 1020., 1002., 1002.]))

    Source of the limit: Cohen et al. (2021). Raises: SettingsError for steps that are not in the history.
    """
    count_of("points", points, least=1)
    if steps is not None and not isinstance(steps, Iterable):
        raise SettingsError(f"sharpness_along: expected steps as a sequence, got {steps!r}")
    last = history.length - 1
    where = sorted(
        set(np.linspace(0, last, min(points, last + 1)).round().astype(int).tolist()) if steps is None else steps
    )
    tracker = SharpnessTracker(tolerance)
    seen: list[int] = []
    values: list[float] = []
    limits: list[float] = []
    for step in where:
        state, stage = history.seek(step), history.stage_at(step)
        value = tracker.at(stage.objective, state.theta).value
        rate = stage.learning_rate(step)
        seen.append(step)
        values.append(value)
        # the rate of a curvature method is a factor on its step
        plain = stage.optimizer.needs == "gradient"
        limits.append((2.0 / rate if rate > 0 else float("inf")) if plain else float("nan"))
        if on_point is not None and on_point(step, value) is False:
            break
    return SharpnessCurve(np.array(seen, dtype=np.int64), np.array(values), np.array(limits), tracker.products)
