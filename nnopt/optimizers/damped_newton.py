"""Damped Newton: the Hessian is lifted by mu until it is positive definite and its model can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from nnopt.optimizers.base import Local, Matrix, Optimizer, Settings, Slots, Update, Vector, register
from nnopt.optimizers.escape import LOOK, NO_SLOPE, negative_among, step_out, way_out
from nnopt.optimizers.gain import ACCEPTABLE, GOOD, POOR, gain_ratio, model_change, noise_of, value_at
from nnopt.optimizers.linear import cholesky, length_of, solve_cholesky
from nnopt.settings import above, at_least

REFUSED = "no step: the damping was raised, the model did not predict the loss"
SHORTENED = "step shortened: the model did not predict the loss, the damping was raised"
TRIALS = 10
#: bounds of the damping, in units of the curvature's own size: below the first it is none
SMALLEST, LARGEST = 1e-12, 1e16


class Damping(Slots, frozen=True, gc=False):
    """damping: mu with which the next step begins, in units of curvature.

    >>> DampedNewton(damping=0.5).init(np.zeros(2))
    Damping(damping=0.5)
    """

    damping: float


@register
class DampedNewton(Settings, Optimizer, frozen=True, tag="damped_newton"):
    """(H + mu I) s = -g,   theta <- theta + lr * s        (Levenberg 1944, Marquardt 1963, Goldfeld et al. 1966)

    mu is raised (x 4) until H + mu I has a Cholesky factor and the gain ratio rho = actual / predicted decrease of the
    loss is acceptable (> 1e-4); rho > 0.75 lowers it (/ 4) for the next step, rho < 0.25 raises it. A step that stays
    bad after 10 trials is refused: theta stays, the damping reached is kept, and the next update goes on from there,
    until the step is lost in the rounding of theta or of the loss.

    Where the gradient has no part along the negative curvature, such steps slide into a saddle. When they promise
    little beside what a unit length along it might (mu / 2 at most, as H + mu I is positive definite), the eigenvalues
    are computed, and the step gets a part of length lr along the most negative one, in the direction `way_out` says:
    a^2 s + a d is made for the first a of 1, 1/2, 1/4, ... at which the loss falls as far as can be expected (Moré &
    Sorensen 1979; see `step_out`). So it does where the gradient has a part along far smaller negative curvatures
    alone: mu, which the large one needs, leaves next to nothing of the step along them.

    lr: factor on the step, > 0.  damping: mu at the start, >= 0, in units of curvature.
    detail: damping_before, damping, damping_after, predicted and actual (changes of the loss; negative is a decrease),
    gain_ratio, trials, accepted (0 or 1), escape (length of the part along the most negative curvature that the
    gradient does not lead to, 0 where there is none); negative (how many curvatures are) and smallest (curvature),
    where the eigenvalues were needed.

    Raises: UnsupportedError for an objective with neither `hessian` nor `hvp`, or more than 8,000 parameters.

    From the line on which gradient and Newton's step lead to the saddle (0, 0), to a minimum:

    >>> import nnopt
    >>> f = nnopt.functions.formula("(x**2 - 1)**2 + y**2")
    >>> h = nnopt.minimize(f, DampedNewton(), start=[0.0, 0.5])
    >>> h.theta[-1].round(6), [note[:8] for _, note in h.notes]
    (array([1., 0.]), ['no slope'])
    """

    needs: ClassVar[str] = "hessian"
    leaves_saddles: ClassVar[bool] = True

    lr: Annotated[float, above(0, label="step factor", slider=(0.05, 2))] = 1.0
    damping: Annotated[float, at_least(0, label="damping μ", help="at the start; adapted after every step", log=True,
                                       slider=(1e-6, 1e2))] = 1e-3  # fmt: skip

    def init(self, theta: Vector) -> Damping:
        return Damping(float(self.damping))

    def update(self, local: Local, slots: Damping, lr: float) -> Update:
        return self.adapted(local, slots, lr, local.hessian(), False)

    def adapted(self, local: Local, slots: Damping, lr: float, hessian: Matrix, semidefinite: bool) -> Update:
        """The update with any symmetric matrix (P, P) for the Hessian. semidefinite: whether no curvature of it can be
        negative."""
        gradient, value = local.gradient, local.value
        if not np.isfinite(hessian).all():
            return Update(np.full_like(gradient, np.nan), slots)
        mu = slots.damping
        bounds = _bounds(hessian, local)
        predicted = actual = ratio = 0.0
        trials, looked = 0, Looked()
        for trials in range(1, TRIALS + 1):
            mu, step = _definite_step(hessian, gradient, mu, bounds)
            step = lr * step
            predicted = model_change(gradient, hessian, step)
            if trials == 1 and not semidefinite and -predicted < 0.5 * LOOK * mu * lr * lr:
                looked = _look(local, hessian, step, lr, -predicted)
                if looked.step is not None:
                    step, actual = looked.step, looked.value - value
                    predicted = model_change(gradient, hessian, step)
                    ratio = gain_ratio(actual, predicted, value)
                    break
            actual = value_at(local, local.theta + step) - value
            # a step of zero where there is a slope is no step, however well it is predicted
            ratio = gain_ratio(actual, predicted, value) if step.any() or not gradient.any() else -np.inf
            if ratio > ACCEPTABLE or mu >= bounds.largest:
                break
            mu = bounds.raised(mu)
        accepted = ratio > ACCEPTABLE
        after = mu
        if accepted and ratio > GOOD:
            after = mu / 4 if mu > bounds.smallest else 0.0
        elif accepted and ratio < POOR:
            after = bounds.raised(mu)
        detail = {
            "damping_before": slots.damping,
            "damping": mu,
            "damping_after": after,
            "predicted": predicted,
            "actual": actual,
            "gain_ratio": ratio,
            "trials": float(trials),
            "accepted": float(accepted),
            **({} if semidefinite else {"escape": looked.escape}),
            **looked.detail,
        }
        if not accepted:
            return Update(np.zeros_like(gradient), Damping(after), REFUSED, detail)
        note = NO_SLOPE if looked.escape else SHORTENED if trials > 1 else ""
        return Update(step, Damping(after), note, detail)


class Looked(NamedTuple):
    """What a look at the eigenvalues has found. step (P,): with a part along the most negative curvature, None where
    there is no need or no use for one; value: the loss there; escape: the length of that part; detail: `negative` and
    `smallest` where eigenvalues were computed.

    >>> Looked().step is None
    True
    """

    step: Vector | None = None
    value: float = math.inf
    escape: float = 0.0
    detail: Mapping[str, float] = MappingProxyType({})


def _look(local: Local, hessian: Matrix, step: Vector, lr: float, gain: float) -> Looked:
    """Whether curvature is negative where the gradient does not see it, and the way out. step (P,): the usual one,
    gain: what it promises."""
    if cholesky(hessian) is not None:
        return Looked()
    values, vectors = np.linalg.eigh(hessian)
    detail = {"negative": float(negative_among(values)), "smallest": float(values[0])}
    way = way_out(values, vectors, local.gradient, local.theta, local.value, gain / (lr * lr))
    if way is None:
        return Looked(detail=detail)
    found = step_out(local, step, lr * way, lr * lr * float(values[0]))
    if not found.factor:
        return Looked(detail=detail)
    longer = found.factor * found.factor * step + found.factor * (lr * way)
    return Looked(longer, found.value, found.factor * lr, detail)


class Bounds(NamedTuple):
    """Between what damping makes sense. smallest: a smaller one is none; first: with which raising begins; largest:
    above it nothing is left of a step.

    >>> bounds = Bounds(smallest=1e-12, first=1e-6, largest=1e16)
    >>> bounds.raised(0.0), bounds.raised(0.5), bounds.raised(1e16)
    (1e-06, 2.0, 1e+16)
    """

    smallest: float
    first: float
    largest: float

    def raised(self, mu: float) -> float:
        """Four times mu, within the bounds."""
        return min(max(4.0 * mu, self.first), self.largest)


def _bounds(hessian: Matrix, local: Local) -> Bounds:
    """In units of the curvature's size; and however flat the Hessian, from where the step g / mu is still many times
    longer than theta to where it changes no parameter any more, or promises less than rounding."""
    lift = float(np.abs(hessian.diagonal()).mean()) or 1.0
    slope, length = length_of(local.gradient), length_of(local.theta)
    unmoved = LARGEST * slope / length if length > 0 else math.inf
    unseen = slope * (slope / noise_of(local.value))
    enough = max(LARGEST * max(lift, float(np.abs(hessian).max())), min(unmoved, unseen))
    return Bounds(SMALLEST * lift, max(1e-6 * lift, slope / (LARGEST * max(1.0, length))), min(enough, 1e300))


def _definite_step(hessian: Matrix, gradient: Vector, mu: float, bounds: Bounds) -> tuple[float, Vector]:
    """The smallest tried mu >= the given one for which H + mu I is positive definite, and its step (P,)."""
    diagonal = np.diag_indices_from(hessian)
    while True:
        lifted = hessian.copy()
        lifted[diagonal] += mu
        factor = cholesky(lifted)
        if factor is not None:
            return mu, -solve_cholesky(factor, gradient)
        if mu >= bounds.largest:
            return mu, np.zeros_like(gradient)
        mu = bounds.raised(mu)
