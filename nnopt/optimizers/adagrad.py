"""AdaGrad: every parameter has its own rate, smaller the more gradient it has seen."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nnopt.optimizers.base import Local, Slots, Update, Vector, register
from nnopt.optimizers.first_order import FirstOrder
from nnopt.settings import above


class SquareSum(Slots, frozen=True, gc=False):
    """squares (P,): sum of the squared gradients so far.

    >>> Adagrad().init(np.array([3.0, 4.0]))
    SquareSum(squares=array([0., 0.]))
    """

    squares: Vector


@register
class Adagrad(FirstOrder, frozen=True, tag="adagrad"):
    """s <- s + g^2,   theta <- theta - lr * g / (sqrt(s) + eps)        (Duchi, Hazan & Singer 2011)

    lr: learning rate, > 0.  eps: keeps the quotient finite where no gradient was seen yet, > 0.
    Of the gradient first, if set: clip, weight_decay (see `FirstOrder`).

    Constant slopes of any size are gone down alike, at a rate that falls like 1 / sqrt(t):

    >>> import nnopt
    >>> h = nnopt.minimize(nnopt.functions.formula("100*x + y"), Adagrad(lr=1.0), start=[0.0, 0.0], steps=4)
    >>> np.diff(h.theta, axis=0).T.round(3)
    array([[-1.   , -0.707, -0.577, -0.5  ],
           [-1.   , -0.707, -0.577, -0.5  ]])
    """

    lr: Annotated[float, above(0, label="learning rate", log=True, slider=(1e-4, 10))] = 0.1
    eps: Annotated[float, above(0, label="ε", log=True, slider=(1e-12, 1e-2))] = 1e-10

    def init(self, theta: Vector) -> SquareSum:
        return SquareSum(np.zeros_like(theta))

    def update(self, local: Local, slots: SquareSum, lr: float) -> Update:
        gradient, note = local.gradient, ""
        if self.weight_decay or self.clip:
            gradient, note = self.used(gradient, local.theta)
        squares = slots.squares + gradient * gradient
        return Update(-lr * gradient / (np.sqrt(squares) + self.eps), SquareSum(squares), note)
