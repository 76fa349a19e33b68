"""Gauss–Newton: the curvature of the loss alone, as if the network were linear; damped as by Levenberg, Marquardt."""

from __future__ import annotations

from typing import Annotated, ClassVar

from nnopt.errors import UnsupportedError
from nnopt.optimizers.base import Local, Optimizer, Settings, Update, Vector, register
from nnopt.optimizers.damped_newton import DampedNewton, Damping
from nnopt.settings import above, at_least

#: the damping is adapted as damped_newton adapts it
_ADAPTED = DampedNewton()


@register
class GaussNewton(Settings, Optimizer, frozen=True, tag="gauss_newton"):
    """(G + mu I) s = -g,   theta <- theta + lr * s        (Gauss 1809; Marquardt 1963; Schraudolph 2002)

    G = mean over examples of J^T H_out J (+ the L2 term): J is the Jacobian of the network's outputs, H_out the loss's
    second derivative by them. For squared errors that is J^T J, for cross-entropies the Fisher matrix. G is positive
    semidefinite, so every step goes downhill; where the network bends, its model promises something else than the
    loss's own quadratic, and the gain ratio notices.

    mu is adapted as in damped_newton (Levenberg 1944): raised (x 4) until the gain ratio rho = actual / predicted is
    above 1e-4, up to 10 times in one update, after which the step is refused; lowered (/ 4) for the next step if
    rho > 0.75, raised if rho < 0.25. With mini-batches G, g and the loss are the batch's.

    lr: factor on the step, > 0.  damping: mu at the start, >= 0, in units of curvature.
    detail: damping_before, damping, damping_after, predicted (by G) and actual (changes of the loss; negative is a
    decrease), gain_ratio, trials, accepted (0 or 1).

    Raises: UnsupportedError at the first update of an objective without `gauss_newton`, as every test function is.

    Where outputs are linear in theta and errors are squared, the undamped step is least squares, solved:

    >>> import nnopt
    >>> line = nnopt.NetworkObjective(nnopt.Network((1, 1)), [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], "squared_error")
    >>> nnopt.minimize(line, GaussNewton(damping=0.0), start=[0.0, 0.0], steps=1).theta[1].round(9)
    array([2., 1.])
    """

    needs: ClassVar[str] = "hessian"
    title: ClassVar[str] = "Gauss–Newton"

    lr: Annotated[float, above(0, label="step factor", help="1 makes the whole step", slider=(0.05, 2))] = 1.0
    damping: Annotated[float, at_least(0, label="damping μ", help="at the start; adapted after every step", log=True,
                                       slider=(1e-6, 1e2))] = 1e-3  # fmt: skip

    def init(self, theta: Vector) -> Damping:
        return Damping(float(self.damping))

    def update(self, local: Local, slots: Damping, lr: float) -> Update:
        if not hasattr(local.batch, "gauss_newton"):
            raise UnsupportedError(
                "gauss_newton: expected the loss of a network (an objective with `gauss_newton`), got a function "
                "that is not made of outputs and a loss of them; damped_newton does the same with the whole Hessian"
            )
        return _ADAPTED.adapted(local, slots, lr, local.gauss_newton(), semidefinite=True)
