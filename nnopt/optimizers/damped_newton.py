"""Damped Newton: the Hessian is lifted by mu until it is positive definite and its model can be trusted."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from nnopt.optimizers.base import Local, Matrix, Optimizer, Settings, Slots, Update, Vector, register
from nnopt.optimizers.gain import ACCEPTABLE, GOOD, POOR, gain_ratio, model_change, value_at
from nnopt.optimizers.linear import cholesky, solve_cholesky
from nnopt.settings import above, at_least

REFUSED = "no step: the damping was raised, the model did not predict the loss"
TRIALS = 10
#: bounds of the damping, in units of the curvature's own size
SMALLEST, LARGEST = 1e-12, 1e16


class Damping(Slots, frozen=True, gc=False):
    """damping: mu with which the next step begins."""

    damping: float


@register
class DampedNewton(Settings, Optimizer, frozen=True, tag="damped_newton"):
    """(H + mu I) s = -g,   theta <- theta + lr * s        (Levenberg 1944, Marquardt 1963, Goldfeld et al. 1966)

    mu is raised (x 4) until H + mu I has a Cholesky factor and the gain ratio rho = actual / predicted decrease of the
    loss is acceptable (> 1e-4); rho > 0.75 lowers it (/ 4) for the next step, rho < 0.25 raises it. A step that stays
    bad after 10 trials is refused: theta stays, the damping reached is kept.
    lr: factor on the step, > 0.  damping: mu at the start, >= 0.
    detail: damping_before, damping, damping_after, predicted and actual (changes of the loss; negative is a decrease),
    gain_ratio, trials, accepted (0 or 1).
    """

    needs: ClassVar[str] = "hessian"

    lr: Annotated[float, above(0, label="step factor", slider=(0.05, 2))] = 1.0
    damping: Annotated[float, at_least(0, label="damping μ", help="at the start; adapted after every step", log=True,
                                       slider=(1e-6, 1e2))] = 1e-3  # fmt: skip

    def init(self, theta: Vector) -> Damping:
        return Damping(float(self.damping))

    def update(self, local: Local, slots: Damping, lr: float) -> Update:
        gradient, value = local.gradient, local.value
        hessian = local.hessian()
        if not np.isfinite(hessian).all():
            return Update(np.full_like(gradient, np.nan), slots)
        mu = slots.damping
        lift = _unit(hessian)
        predicted = actual = ratio = 0.0
        trials = 0
        for trials in range(1, TRIALS + 1):  # noqa: B007
            mu, step = _definite_step(hessian, gradient, mu, lift)
            step = lr * step
            predicted = model_change(gradient, hessian, step)
            actual = value_at(local, local.theta + step) - value
            # a step of zero where there is a slope is no step, however well it is predicted
            ratio = gain_ratio(actual, predicted, value) if step.any() or not gradient.any() else -np.inf
            if ratio > ACCEPTABLE or mu >= LARGEST * lift:
                break
            mu = _raised(mu, lift)
        accepted = ratio > ACCEPTABLE
        after = mu
        if accepted and ratio > GOOD:
            after = mu / 4 if mu > SMALLEST * lift else 0.0
        elif accepted and ratio < POOR:
            after = _raised(mu, lift)
        detail = {
            "damping_before": slots.damping,
            "damping": mu,
            "damping_after": after,
            "predicted": predicted,
            "actual": actual,
            "gain_ratio": ratio,
            "trials": float(trials),
            "accepted": float(accepted),
        }
        if not accepted:
            return Update(np.zeros_like(gradient), Damping(after), REFUSED, detail)
        return Update(step, Damping(after), "", detail)


def _unit(hessian: Matrix) -> float:
    """The scale on which damping matters: the mean absolute diagonal entry, 1 for a Hessian of zeros."""
    return float(np.abs(hessian.diagonal()).mean()) or 1.0


def _raised(mu: float, lift: float) -> float:
    return min(max(4.0 * mu, 1e-6 * lift), LARGEST * lift)


def _definite_step(hessian: Matrix, gradient: Vector, mu: float, lift: float) -> tuple[float, Vector]:
    """The smallest tried mu >= the given one for which H + mu I is positive definite, and its step (P,)."""
    diagonal = np.diag_indices_from(hessian)
    while True:
        lifted = hessian.copy()
        lifted[diagonal] += mu
        factor = cholesky(lifted)
        if factor is not None:
            return mu, -solve_cholesky(factor, gradient)
        if mu >= LARGEST * lift:
            return mu, np.zeros_like(gradient)
        mu = _raised(mu, lift)
