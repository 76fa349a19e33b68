"""Gradient descent: a step against the gradient of the batch."""

from __future__ import annotations

from typing import Annotated

from nnopt.optimizers.base import Local, Slots, Update, Vector, register
from nnopt.optimizers.first_order import FirstOrder
from nnopt.settings import above


@register
class SGD(FirstOrder, frozen=True, tag="sgd"):
    """theta <- theta - lr * g        (Robbins & Monro 1951; with the full batch, Cauchy 1847)

    lr: learning rate, > 0.
    Of the gradient first, if set: clip, weight_decay (see `FirstOrder`).

    >>> import nnopt
    >>> h = nnopt.minimize(nnopt.functions.get("bowl"), SGD(lr=0.5), start=[8.0], steps=3)  # x^2 / 2: g = x
    >>> h.theta.ravel()
    array([8., 4., 2., 1.])
    """

    lr: Annotated[float, above(0, label="learning rate", log=True, slider=(1e-4, 10))] = 0.1

    def init(self, theta: Vector) -> Slots:
        return _NOTHING

    def update(self, local: Local, slots: Slots, lr: float) -> Update:
        gradient, note = local.gradient, ""
        if self.weight_decay or self.clip:
            gradient, note = self.used(gradient, local.theta)
        return Update(-lr * gradient, slots, note)


_NOTHING = Slots()
