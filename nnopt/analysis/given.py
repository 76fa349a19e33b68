"""What a user gives, checked before numpy sees it. Floor `analysis`, below all of its other rooms."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.errors import SettingsError
from nnopt.runs.minimize import as_objective

Array: TypeAlias = npt.NDArray[Any]


def generator(seed: Any, *more: int) -> np.random.Generator:
    """Random numbers, the same for the same seed. more: numbers that tell one use of a seed from another.

    >>> generator(7).random() == generator(7).random()
    True

    Raises: SettingsError for a seed that is no whole number >= 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise SettingsError(f"seed: expected a whole number >= 0, got {seed!r}")
    return np.random.default_rng([int(seed), *more] if more else int(seed))


def count_of(name: str, number: Any, least: int) -> int:
    """`number`, a whole one.

    >>> count_of("steps", 3, least=1)
    3

    Raises: SettingsError for what is no whole number or below `least`.
    """
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
        raise SettingsError(f"{name}: expected a whole number >= {least}, got {number!r}")
    return int(number)


def value_of(objective: Any, theta: Array) -> float:
    """f(theta), of an objective with `value`, or else with `value_and_gradient`.

    >>> from nnopt.objectives import functions
    >>> value_of(functions.get("saddle"), np.array([2.0, 1.0]))
    3.0

    Raises: UnsupportedError for anything else.
    """
    value = getattr(objective, "value", None)
    return float(value(theta)) if value is not None else value_and_gradient_of(objective, theta)[0]


def value_and_gradient_of(objective: Any, theta: Array) -> tuple[float, Array]:
    """f(theta) and its gradient (P,) of an objective with `value_and_gradient`, or `value` and `gradient`.

    >>> from nnopt.objectives import functions
    >>> value_and_gradient_of(functions.get("saddle"), np.array([2.0, 1.0]))
    (3.0, array([ 4., -2.]))

    Raises: UnsupportedError for anything else.
    """
    value, gradient = as_objective(objective).value_and_gradient(theta)
    return float(value), np.asarray(gradient)
