"""Gradient descent: a step against the gradient of the batch."""

from __future__ import annotations

from typing import Annotated

from nnopt.optimizers.base import Local, Optimizer, Settings, Slots, Update, Vector, register
from nnopt.settings import above


@register
class SGD(Settings, Optimizer, frozen=True, tag="sgd"):
    """theta <- theta - lr * g        (Robbins & Monro 1951; with the full batch, Cauchy 1847)

    lr: learning rate, > 0.
    """

    lr: Annotated[float, above(0, label="learning rate", log=True, slider=(1e-4, 10))] = 0.1

    def init(self, theta: Vector) -> Slots:
        return _NOTHING

    def update(self, local: Local, slots: Slots, lr: float) -> Update:
        return Update(-lr * local.gradient, slots)


_NOTHING = Slots()
