"""Gradient descent with momentum: a decaying sum of gradients carries the step along."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nnopt.optimizers.base import Local, Slots, Update, Vector, register
from nnopt.optimizers.first_order import FirstOrder
from nnopt.settings import above, between


class Velocity(Slots, frozen=True, gc=False):
    """velocity (P,): the decaying sum of past gradients, in units of the gradient.

    >>> Momentum().init(np.array([3.0, 4.0]))
    Velocity(velocity=array([0., 0.]))
    """

    velocity: Vector


@register
class Momentum(FirstOrder, frozen=True, tag="momentum"):
    """v <- g + beta * v,   theta <- theta - lr * v        (Polyak 1964)

    The rate multiplies the velocity when the step is made, so a change of rate acts at once on all of it.
    lr: learning rate, > 0.  beta: share of the last direction that is kept, in [0, 1).
    Of the gradient first, if set: clip, weight_decay (see `FirstOrder`).

    Down a constant slope the steps grow to 1 / (1 - beta) times those of gradient descent:

    >>> import nnopt
    >>> h = nnopt.minimize(nnopt.functions.formula("x"), Momentum(lr=1.0, beta=0.5), start=[0.0], steps=4)
    >>> h.columns["step_norm"][1:]
    array([1.   , 1.5  , 1.75 , 1.875])
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
        return Update(-lr * velocity, Velocity(velocity), note)
