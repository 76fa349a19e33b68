"""Whether a quadratic model kept its word: the gain ratio, and what counts as the rounding noise of a loss."""

from __future__ import annotations

import math

import numpy as np

from nnopt.optimizers.base import Local, Matrix, Vector

#: a step whose gain ratio is above it is made
ACCEPTABLE = 1e-4
#: above the first the model may be trusted further, below the second less far
GOOD, POOR = 0.75, 0.25


def noise_of(value: float) -> float:
    """How much two losses of about this size differ by rounding at least: 8 units in the last place.

    >>> noise_of(1.0) / 2**-52
    8.0
    """
    return 8 * float(np.finfo(np.float64).eps) * max(abs(value), 1e-300)


def changes(theta: Vector, step: Vector) -> bool:
    """Whether any parameter of theta (P,) is another number after the step (P,), or the step is lost in rounding.

    >>> changes(np.array([1.0, 2.0]), np.array([1e-17, 0.0])), changes(np.array([0.0]), np.array([1e-300]))
    (False, True)
    """
    return bool((theta + step != theta).any())


def allowance(expected: float, value: float) -> float:
    """How much higher than asked a loss may be, by rounding. expected: the decrease that a model or slope promises.

    Where more than rounding is promised, 8 units in the last place. Where the promise itself is less than that, the
    difference of the losses says nothing and may be larger: the terms of which a loss is made cancel, so 4096 units.

    >>> allowance(0.1, 3.0) / noise_of(3.0), allowance(0.0, 3.0) / noise_of(3.0)
    (1.0, 512.0)
    """
    noise = noise_of(value)
    return noise if expected > noise else 512 * noise


def gain_ratio(actual: float, predicted: float, value: float) -> float:
    """actual / predicted change of a loss that was `value` (both negative for a decrease).

    1 where both are rounding noise: such differences say nothing about the model (see `allowance`). -infinity where
    the loss is not finite or the model itself promises no decrease.

    >>> gain_ratio(-0.5, -1.0, 3.0), gain_ratio(0.0, -1e-17, 3.0), gain_ratio(math.nan, -1.0, 3.0)
    (0.5, 1.0, -inf)
    """
    if abs(predicted) <= noise_of(value) and abs(actual) <= allowance(abs(predicted), value):
        return 1.0
    if not math.isfinite(actual) or not predicted < 0:
        return -math.inf
    return actual / predicted


def model_change(gradient: Vector, hessian: Matrix, step: Vector) -> float:
    """g . s + s . H s / 2: how the quadratic model says that the loss changes with a step s (P,). hessian (P, P).

    >>> model_change(np.array([2.0, 0.0]), np.diag([4.0, 1.0]), np.array([-0.5, 0.0]))
    -0.5
    """
    return float(gradient @ step) + 0.5 * float(step @ (hessian @ step))


def value_at(local: Local, theta: Vector) -> float:
    """Loss of the step's batch at theta (P,); infinite where plain Python floats overflow.

    >>> class Steep:
    ...     value = staticmethod(lambda theta: math.exp(theta[0]))
    >>> theta = np.array([0.0])
    >>> value_at(Local(Steep(), theta, 1.0, theta), theta + 1000.0)
    inf
    """
    try:
        return local.value_at(theta)
    except OverflowError:
        return math.inf


__all__ = [
    "ACCEPTABLE", "GOOD", "POOR", "allowance", "changes", "gain_ratio", "model_change", "noise_of", "value_at",
]  # fmt: skip
