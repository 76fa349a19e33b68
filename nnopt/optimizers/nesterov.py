"""Nesterov's momentum: the velocity's next push is already counted in the step."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nnopt.optimizers.base import Local, Update, Vector, register
from nnopt.optimizers.first_order import FirstOrder
from nnopt.optimizers.momentum import Velocity
from nnopt.settings import above, between


@register
class Nesterov(FirstOrder, frozen=True, tag="nesterov"):
    """v <- g + beta * v,   theta <- theta - lr * (g + beta * v)        (Nesterov 1983; Sutskever et al. 2013)

    lr: learning rate, > 0.  beta: share of the last direction that is kept, in [0, 1).
    Of the gradient first, if set: clip, weight_decay (see `FirstOrder`).

    Down a constant slope it is one step ahead of momentum, which begins with 1:

    >>> import nnopt
    >>> h = nnopt.minimize(nnopt.functions.formula("x"), Nesterov(lr=1.0, beta=0.5), start=[0.0], steps=3)
    >>> h.columns["step_norm"][1:]
    array([1.5  , 1.75 , 1.875])
    """

    lr: Annotated[float, above(0, label="learning rate", log=True, slider=(1e-4, 10))] = 0.1
    beta: Annotated[float, between(0, 1, label="momentum", help="share of the last direction that is kept")] = 0.9

    def init(self, theta: Vector) -> Velocity:
        return Velocity(np.zeros_like(theta))

    def update(self, local: Local, slots: Velocity, lr: float) -> Update:
        gradient, note = local.gradient, ""
        if self.weight_decay or self.clip:
            gradient, note = self.used(gradient, local.theta)
        velocity = self.beta * slots.velocity
        velocity += gradient
        return Update(-lr * (gradient + self.beta * velocity), Velocity(velocity), note)
