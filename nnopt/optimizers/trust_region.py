"""Trust region: the quadratic model is believed within a radius, and minimized there exactly, saddle or not."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from nnopt.optimizers.base import Local, Matrix, Optimizer, Settings, Slots, Update, Vector, register
from nnopt.optimizers.escape import CLEAR, negative_among
from nnopt.optimizers.gain import ACCEPTABLE, GOOD, POOR, gain_ratio, model_change, noise_of, value_at
from nnopt.optimizers.linear import cholesky, solve_cholesky
from nnopt.settings import above

REFUSED = "no step: the radius was reduced, the model did not predict the loss"
SHORTENED = "step shortened: the model did not predict the loss, the radius was reduced"
HARD_CASE = "hard case: the gradient has no part along the most negative curvature, the step adds one"
TRIALS = 10
SMALLEST, LARGEST = 1e-150, 1e150


class Radius(Slots, frozen=True, gc=False):
    """radius: Delta with which the next step begins, in units of theta.

    >>> TrustRegion(radius=0.5).init(np.zeros(2))
    Radius(radius=0.5)
    """

    radius: float


@register
class TrustRegion(Settings, Optimizer, frozen=True, tag="trust_region"):
    """minimize g.s + s.H s / 2 over |s| <= Delta,   theta <- theta + lr * s        (Moré & Sorensen 1983)

    s solves (H + mu I) s = -g with mu >= 0, H + mu I positive semidefinite and mu (Delta - |s|) = 0: the Newton step
    where that is short enough and H positive definite, else a step to the edge that also uses negative curvature. In
    the hard case (g has no part along the most negative curvature) a multiple of that eigenvector is added to reach the
    edge, so the method leaves a saddle even from the line that leads straight to it.

    The gain ratio rho = actual / predicted change judges the model: rho <= 1e-4 refuses the step and cuts Delta to
    |s| / 4, up to 10 times in one update, after which theta stays; rho < 0.25 cuts Delta for the next step, rho > 0.75
    at the edge doubles it (Nocedal & Wright 2006, algorithm 4.1). Where the model promises no more than rounding, and
    the only curvature to follow is that along a valley floor that bends, Delta is cut instead (/ 4). With mini-batches
    model and loss are the batch's.

    lr: factor on the step, > 0; above 1 steps leave the region.  radius: Delta at the start, > 0, in units of theta.
    detail: radius_before, radius (of the step made), radius_after, damping (mu), at_edge and hard_case (0 or 1),
    predicted and actual (changes of the loss; negative is a decrease), gain_ratio, trials, accepted (0 or 1); negative
    (how many curvatures are) and smallest (curvature), where the eigenvalues were needed.

    Raises: UnsupportedError for an objective with neither `hessian` nor `hvp`, or more than 8,000 parameters.

    From the line on which gradient and Newton's step lead to the saddle (0, 0), to a minimum:

    >>> import nnopt
    >>> f = nnopt.functions.formula("(x**2 - 1)**2 + y**2")
    >>> h = nnopt.minimize(f, TrustRegion(), start=[0.0, 0.5])
    >>> np.abs(h.theta[-1]).round(6), h.notes[0][1][:9]
    (array([1., 0.]), 'hard case')
    """

    needs: ClassVar[str] = "hessian"
    leaves_saddles: ClassVar[bool] = True
    title: ClassVar[str] = "Trust region"

    lr: Annotated[float, above(0, label="step factor", help="1 makes the whole step", slider=(0.05, 2))] = 1.0
    radius: Annotated[float, above(0, label="radius Δ", help="at the start; adapted after every step", log=True,
                                   slider=(1e-3, 1e2))] = 1.0  # fmt: skip

    def init(self, theta: Vector) -> Radius:
        return Radius(float(self.radius))

    def update(self, local: Local, slots: Radius, lr: float) -> Update:
        gradient, value, hessian = local.gradient, local.value, local.hessian()
        if not (np.isfinite(hessian).all() and np.isfinite(gradient).all()):
            return Update(np.full_like(gradient, np.nan), slots)
        region = Region(gradient, hessian)
        radius = slots.radius
        for trials in range(1, TRIALS + 1):
            found = region.minimum(radius)
            step = lr * found.step
            predicted = model_change(gradient, hessian, step)
            actual = value_at(local, local.theta + step) - value
            ratio = gain_ratio(actual, predicted, value)
            # a shorter step of which nothing can be measured any more is not better than the one that failed
            lost = trials > 1 and abs(predicted) <= noise_of(value)
            accepted = ratio > ACCEPTABLE and not lost
            if accepted or lost or trials == TRIALS:
                break
            radius = _within(found.length / 4)
        after = radius
        if not accepted or ratio < POOR:
            after = _within(found.length / 4)
        elif ratio > GOOD and found.at_edge:
            # with nothing left to be gained, twice as far along a valley floor that bends is off it again
            arrived = abs(predicted) <= noise_of(value) and region.bends(radius)
            after = _within(found.length / 4 if arrived else 2 * radius)
        detail = {
            "radius_before": slots.radius,
            "radius": radius,
            "radius_after": after,
            "damping": found.damping,
            "at_edge": float(found.at_edge),
            "hard_case": float(found.hard_case),
            "predicted": predicted,
            "actual": actual,
            "gain_ratio": ratio,
            "trials": float(trials),
            "accepted": float(accepted),
        }
        if region.smallest is not None:
            detail["negative"], detail["smallest"] = float(region.negative), region.smallest
        if not accepted:
            return Update(np.zeros_like(gradient), Radius(after), REFUSED, detail)
        notes = [text for text, holds in ((SHORTENED, trials > 1), (HARD_CASE, found.hard_case)) if holds]
        return Update(step, Radius(after), "; ".join(notes), detail)


class Inside(NamedTuple):
    """The minimum of the model within a radius. step (P,), of this length; damping: mu with (H + mu I) s = -g.

    at_edge: whether the step is as long as the radius. hard_case: whether part of it goes along an eigenvector alone.

    >>> found = Region(np.array([4.0, 0.0]), np.diag([1.0, 1.0])).minimum(1.0)  # Newton's step is 4 long
    >>> found.at_edge, round(found.length, 9), round(found.damping, 9)
    (True, 1.0, 3.0)
    """

    step: Vector
    length: float
    damping: float
    at_edge: bool
    hard_case: bool


class Region:
    """The model g.s + s.H s / 2, minimized within any number of radii.

    gradient (P,), hessian (P, P) symmetric, both finite. A Cholesky factor is enough while the Newton step is inside;
    otherwise the eigenpairs are computed, once. smallest: the least eigenvalue, None while it was not needed; negative:
    how many are.

    >>> found = Region(np.array([0.0, 0.0]), np.diag([2.0, -2.0])).minimum(0.5)
    >>> found.step, found.damping, found.hard_case
    (array([0. , 0.5]), 2.0, True)
    """

    smallest: float | None = None
    negative: int = 0

    def __init__(self, gradient: Vector, hessian: Matrix) -> None:
        self._gradient, self._hessian = gradient, hessian
        factor = cholesky(hessian)
        self._newton = None
        if factor is not None:
            pivots = factor.diagonal() ** 2
            # a matrix that is definite by rounding alone has a Newton step of rounding errors
            if pivots.min() > self._rounding(pivots.max()):
                self._newton = -solve_cholesky(factor, gradient)

    def minimum(self, radius: float) -> Inside:
        """The global minimum of the model over |s| <= radius, radius > 0."""
        if self._newton is not None:
            length = math.sqrt(self._newton @ self._newton)
            if length <= radius:
                return Inside(self._newton, length, 0.0, False, False)
        if self.smallest is None:
            self._values, self._vectors = np.linalg.eigh(self._hessian)
            self.smallest, self.negative = float(self._values[0]), negative_among(self._values)
            # along each eigenvector; what is rounding alone must not decide which way to leave a saddle
            self._along = self._vectors.T @ self._gradient
            self._along[np.abs(self._along) <= self._rounding(math.sqrt(self._along @ self._along))] = 0.0
        return self._on_eigenvectors(radius, self.smallest)

    def bends(self, radius: float) -> bool:
        """Whether curvature is negative, but no more than beside a curve of minima that bends (see `escape.CLEAR`), and
        the radius leaves room for all that the gradient asks for."""
        slope = math.sqrt(self._gradient @ self._gradient)
        unclear = self.smallest is not None and -CLEAR * slope <= self.smallest < 0
        return unclear and radius * float(np.abs(self._values).max()) > slope

    def _on_eigenvectors(self, radius: float, smallest: float) -> Inside:
        """With h = mu + smallest the divisors are lambda - smallest + h, without cancellation however small h is.

        |s| falls with h; Newton's method on 1 / |s| - 1 / radius, begun where |s| >= radius, goes up to the root
        without passing it.
        """
        along, gaps = self._along, self._values - smallest
        least = max(0.0, smallest)
        lift = max(least, float(np.max(np.abs(along) / radius - gaps)))
        step = _divided(along, gaps + lift)
        length = math.sqrt(step @ step)
        if lift == least and length <= radius:
            if smallest > 0:
                return Inside(self._vectors @ step, length, 0.0, False, False)
            return self._hard(step, length, radius, smallest)
        for _ in range(50):
            if length <= radius * (1 + 1e-12):
                break
            slope = float(_divided(step * step, -(gaps + lift)).sum())
            lift += (length - radius) / radius * (length * length / slope)
            step = _divided(along, gaps + lift)
            length = math.sqrt(step @ step)
        return Inside(self._vectors @ step, length, lift - smallest, True, False)

    def _rounding(self, size: float) -> float:
        return float(len(self._gradient) * np.finfo(np.float64).eps * size)

    def _hard(self, step: Vector, length: float, radius: float, smallest: float) -> Inside:
        """The gradient vanishes along the least curvature: if that is negative, the way to the edge along it gains."""
        if smallest >= -self._rounding(np.abs(self._values).max()):
            return Inside(self._vectors @ step, length, 0.0, False, False)
        direction = self._vectors[:, 0]
        side = math.copysign(1.0, direction[np.argmax(np.abs(direction))])
        missing = math.sqrt(max(radius * radius - length * length, 0.0))
        return Inside(self._vectors @ step + (side * missing) * direction, radius, -smallest, True, True)


def _divided(along: Vector, divisors: Vector) -> Vector:
    """-along / divisors, zero where the first is zero."""
    return np.asarray(np.divide(-along, divisors, out=np.zeros_like(along), where=along != 0))


def _within(radius: float) -> float:
    return min(max(radius, SMALLEST), LARGEST)
