"""What all gradient methods have in common: the gradient may be clipped and the parameters may be pulled to zero.

Both are off by default; a method then uses the gradient as it is, the same array and the same bits.
"""

from __future__ import annotations

from typing import Annotated

from nnopt.optimizers.base import Optimizer, Settings, Vector
from nnopt.optimizers.linear import length_of
from nnopt.settings import at_least

CLIPPED = "the gradient is clipped: it is longer than the limit"


class FirstOrder(Settings, Optimizer, frozen=True, kw_only=True):
    """g <- g * min(1, clip / |g|),   then   g <- g + weight_decay * theta

    clip: the longest gradient, >= 0, in units of the gradient; 0 leaves it as it is. Its direction stays (Pascanu,
    Mikolov & Bengio 2013: clipping by norm). Where it acts, the update's note says so.
    weight_decay: >= 0, per unit of theta; 0 is none. Coupled, as in torch's SGD, RMSprop, Adagrad and Adam: it is added
    to the gradient after clipping (as after torch's clip_grad_norm_), so momentum carries it along and the adaptive
    methods divide it by their root mean squares. It pulls on every parameter, biases too, and is not part of the loss;
    the penalty l2 * sum W^2 of a network is, and spares the biases: weight_decay = 2 l2 pulls on the weights alike. The
    gradient norm that is logged, and by which a run counts as converged, is the loss's own, without either.

    >>> import nnopt
    >>> method = nnopt.optimizers.SGD(lr=1.0, clip=2.0)
    >>> nnopt.minimize(nnopt.functions.get("bowl"), method, start=[8.0], steps=3).theta.ravel()  # g = x
    array([8., 6., 4., 2.])
    """

    weight_decay: Annotated[
        float, at_least(0, label="weight decay", help="added to the gradient, times θ; 0: none", log=True,
                        slider=(1e-6, 1))
    ] = 0.0  # fmt: skip
    clip: Annotated[
        float, at_least(0, label="clip gradient at", help="longest gradient; 0: as it is", log=True,
                        slider=(1e-3, 100))
    ] = 0.0  # fmt: skip

    def used(self, gradient: Vector, theta: Vector, coupled: bool = True) -> tuple[Vector, str]:
        """The gradient (P,) with which a method works, clipped and (if `coupled`) decayed, and what must be said of it.

        Methods ask only where one of both is on: the hot loop of plain methods pays nothing for this.

        >>> import numpy as np
        >>> FirstOrder(clip=1.0, weight_decay=0.5).used(np.array([3.0, 4.0]), np.array([1.0, 0.0]))
        (array([1.1, 0.8]), 'the gradient is clipped: it is longer than the limit')
        """
        note = ""
        if self.clip:
            length = length_of(gradient)
            if length > self.clip:
                gradient, note = gradient * (self.clip / length), CLIPPED
        if self.weight_decay and coupled:
            gradient = gradient + self.weight_decay * theta
        return gradient, note


__all__ = ["CLIPPED", "FirstOrder"]
