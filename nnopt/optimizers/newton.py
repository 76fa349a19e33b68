"""Newton's method: straight to the stationary point of the quadratic model, be it a minimum, a saddle or a maximum."""

from __future__ import annotations

from typing import Annotated, ClassVar

from nnopt.optimizers.base import Local, Optimizer, Settings, Slots, Update, Vector, register
from nnopt.optimizers.linear import SINGULAR, solve_symmetric
from nnopt.settings import above

UPHILL = "the Newton step goes uphill"


@register
class Newton(Settings, Optimizer, frozen=True, tag="newton"):
    """H s = -g,   theta <- theta + lr * s        (Newton 1685, Simpson 1740)

    Whatever the signs of H's eigenvalues: where curvature is negative the step goes towards a saddle or a maximum, and
    `note` says so when it points uphill (g.s > 0). A singular H gives the least-norm step, and `note` says that.
    lr: factor on the step, > 0 (1 is Newton's own step).
    detail: slope g.s, predicted (the quadratic model's change of the loss), uphill and singular (0 or 1).

    Raises: UnsupportedError for an objective with neither `hessian` nor `hvp`, or more than 8,000 parameters.

    To the saddle of x^2 - y^2 in one step, as to the minimum of any convex quadratic:

    >>> import nnopt
    >>> h = nnopt.minimize(nnopt.functions.get("saddle"), Newton(), start=[1.0, 0.5])
    >>> h.theta[-1], h.outcome.kind, h.outcome.step
    (array([0., 0.]), 'converged', 1)
    """

    needs: ClassVar[str] = "hessian"

    lr: Annotated[float, above(0, label="step factor", help="1 is Newton's own step", slider=(0.05, 2))] = 1.0

    def init(self, theta: Vector) -> Slots:
        return _NOTHING

    def update(self, local: Local, slots: Slots, lr: float) -> Update:
        gradient = local.gradient
        hessian = local.hessian()
        solution, singular = solve_symmetric(hessian, -gradient)
        slope = float(gradient @ solution)
        uphill = slope > 0
        predicted = lr * slope + 0.5 * lr * lr * float(solution @ (hessian @ solution))
        notes = [text for text, holds in ((UPHILL, uphill), (SINGULAR, singular)) if holds]
        detail = {
            "slope": lr * slope,
            "predicted": predicted,
            "uphill": float(uphill),
            "singular": float(singular),
        }
        return Update(lr * solution, slots, "; ".join(notes), detail)


_NOTHING = Slots()
