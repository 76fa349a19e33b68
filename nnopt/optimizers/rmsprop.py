"""RMSprop: every parameter's gradient is divided by its recent root mean square."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nnopt.optimizers.base import Local, Slots, Update, Vector, register
from nnopt.optimizers.first_order import FirstOrder
from nnopt.settings import above, between


class SquareMean(Slots, frozen=True, gc=False):
    """squares (P,): running mean of the squared gradients.

    >>> RMSprop().init(np.array([3.0, 4.0]))
    SquareMean(squares=array([0., 0.]))
    """

    squares: Vector


@register
class RMSprop(FirstOrder, frozen=True, tag="rmsprop"):
    """r <- rho * r + (1 - rho) * g^2,   theta <- theta - lr * g / (sqrt(r) + eps)        (Tieleman & Hinton 2012)

    lr: learning rate, > 0.  rho: memory of the running mean, in [0, 1).  eps: > 0.
    Of the gradient first, if set: clip, weight_decay (see `FirstOrder`).

    Constant slopes of any size are gone down alike; as the mean begins at zero, the first steps are too long, by up to
    1 / sqrt(1 - rho):

    >>> import nnopt
    >>> f = nnopt.functions.formula("100*x + y")
    >>> h = nnopt.minimize(f, RMSprop(lr=1.0, rho=0.75), start=[0.0, 0.0], steps=20)
    >>> np.diff(h.theta, axis=0)[[0, 19]].round(2)
    array([[-2., -2.],
           [-1., -1.]])
    """

    lr: Annotated[float, above(0, label="learning rate", log=True, slider=(1e-5, 1))] = 0.01
    rho: Annotated[float, between(0, 1, label="ρ", help="memory of the mean square")] = 0.9
    eps: Annotated[float, above(0, label="ε", log=True, slider=(1e-12, 1e-2))] = 1e-8

    def init(self, theta: Vector) -> SquareMean:
        return SquareMean(np.zeros_like(theta))

    def update(self, local: Local, slots: SquareMean, lr: float) -> Update:
        gradient, note = local.gradient, ""
        if self.weight_decay or self.clip:
            gradient, note = self.used(gradient, local.theta)
        squares = self.rho * slots.squares + (1 - self.rho) * (gradient * gradient)
        return Update(-lr * gradient / (np.sqrt(squares) + self.eps), SquareMean(squares), note)
