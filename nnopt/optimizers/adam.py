"""Adam: momentum, divided by the recent root mean square of the gradient, both freed from their bias to zero."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nnopt.optimizers.base import Local, Slots, Update, Vector, register
from nnopt.optimizers.first_order import FirstOrder
from nnopt.settings import above, between, described


class Moments(Slots, frozen=True, gc=False):
    """mean, squares (P,): running means of the gradient and of its square; count: updates made so far.

    >>> Adam().init(np.array([3.0, 4.0]))
    Moments(mean=array([0., 0.]), squares=array([0., 0.]), count=0.0)
    """

    mean: Vector
    squares: Vector
    count: float


@register
class Adam(FirstOrder, frozen=True, tag="adam"):
    """m <- beta1 m + (1 - beta1) g,   s <- beta2 s + (1 - beta2) g^2        (Kingma & Ba 2015)
    theta <- theta - lr * m / (1 - beta1^n) / (sqrt(s / (1 - beta2^n)) + eps),   n = updates, this one counted

    lr: learning rate, > 0.  beta1, beta2: memories of the two means, in [0, 1).  eps: > 0.
    Of the gradient first, if set: clip, weight_decay (see `FirstOrder`). decoupled: the weight decay acts on theta
    itself, theta <- theta - lr * weight_decay * theta, beside the two means: AdamW (Loshchilov & Hutter 2019).

    Freed from bias, every step down a constant slope is lr long in each parameter, whatever the slope's size:

    >>> import nnopt
    >>> h = nnopt.minimize(nnopt.functions.formula("100*x + y"), Adam(lr=0.5), start=[0.0, 0.0], steps=2)
    >>> h.theta.round(6).tolist()
    [[0.0, 0.0], [-0.5, -0.5], [-1.0, -1.0]]
    """

    lr: Annotated[float, above(0, label="learning rate", log=True, slider=(1e-5, 1))] = 0.01
    beta1: Annotated[float, between(0, 1, label="β₁", help="memory of the mean gradient")] = 0.9
    beta2: Annotated[float, between(0, 1, label="β₂", help="memory of the mean square")] = 0.999
    eps: Annotated[float, above(0, label="ε", log=True, slider=(1e-12, 1e-2))] = 1e-8
    decoupled: Annotated[bool, described("decoupled decay", "weight decay acts on θ itself, as in AdamW")] = False

    def init(self, theta: Vector) -> Moments:
        return Moments(np.zeros_like(theta), np.zeros_like(theta), 0.0)

    def update(self, local: Local, slots: Moments, lr: float) -> Update:
        gradient, note = local.gradient, ""
        if self.weight_decay or self.clip:
            gradient, note = self.used(gradient, local.theta, not self.decoupled)
        count = slots.count + 1.0
        mean = self.beta1 * slots.mean
        mean += (1.0 - self.beta1) * gradient
        squares = self.beta2 * slots.squares
        squares += (1.0 - self.beta2) * (gradient * gradient)
        scale = squares / (1.0 - self.beta2**count)
        np.sqrt(scale, out=scale)
        scale += self.eps
        step = (-lr / (1.0 - self.beta1**count)) * mean
        step /= scale
        if self.decoupled and self.weight_decay:
            step -= (lr * self.weight_decay) * local.theta
        return Update(step, Moments(mean, squares, count), note)
