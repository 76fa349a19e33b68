"""The script's and notebook's entrance: minimize anything that has `value` and `gradient`, get its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nnopt.blas import one_thread
from nnopt.errors import SettingsError, ShapeError, UnsupportedError
from nnopt.objectives.functions import Function
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Optimizer, Rows, Vector, name_of
from nnopt.optimizers.batches import Batches, Full
from nnopt.optimizers.schedules import Schedule
from nnopt.runs.decoding import check_instance
from nnopt.runs.era import Era
from nnopt.runs.experiment import MAX_SEED, Stop
from nnopt.runs.history import History
from nnopt.runs.loop import Loop
from nnopt.runs.stage import Stage
from nnopt.runs.state import Memory


def as_objective(objective: Any) -> Any:
    """An object of the user's, with `value` and `gradient` or with `value_and_gradient`, as something that has all
    three; what is nnopt's own as it is.

    >>> class Valley:
    ...     def value(self, theta):
    ...         return theta @ theta / 2
    ...     def gradient(self, theta):
    ...         return theta
    >>> as_objective(Valley()).value_and_gradient(np.array([3.0, 4.0]))
    (12.5, array([3., 4.]))

    Raises: UnsupportedError if it has neither of both.
    """
    return objective if isinstance(objective, (NetworkObjective, Function)) else _Adapter(objective)


class _Adapter:
    """Any object with `value` and `gradient`, or `value_and_gradient`, seen as an objective.

    Numbers become floats and gradients new float64 arrays (a user's class may return its own buffer); everything else
    (`hessian`, `hvp`, `examples`, ...) is the object's own. Raises: UnsupportedError if it has neither of both.
    """

    def __init__(self, objective: Any) -> None:
        self._objective = objective
        #: it goes by the name of what it stands for
        self.__name__ = name_of(objective)
        both = getattr(objective, "value_and_gradient", None)
        if isinstance(objective, type):
            raise UnsupportedError(f"objective: expected one made of the class {self.__name__}, got the class itself")
        if both is None and not (hasattr(objective, "value") and hasattr(objective, "gradient")):
            name = repr(objective) if isinstance(objective, str) else self.__name__
            hint = "; of a formula, nnopt.functions.formula(TEXT) makes one" if callable(objective) else ""
            raise UnsupportedError(f"{name}: an objective needs `value` and `gradient`, or `value_and_gradient`{hint}")
        self._both = both

    def value(self, theta: Vector) -> float:
        """f(theta)."""
        value = getattr(self._objective, "value", None)
        return _number(value(theta)) if value is not None else self.value_and_gradient(theta)[0]

    def value_and_gradient(self, theta: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """f(theta) and its gradient (P,), from one call where the object has one."""
        if rows is not None:
            value, gradient = self._objective.value_and_gradient(theta, rows)
        elif self._both is not None:
            value, gradient = self._both(theta)
        else:
            value, gradient = self._objective.value(theta), self._objective.gradient(theta)
        return _number(value), _array("gradient", gradient)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._objective, name)


def minimize(
    objective: Any,
    optimizer: Optimizer,
    start: npt.ArrayLike | None = None,
    steps: int = 1000,
    schedule: Schedule | None = None,
    batches: Batches | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    memory: Memory | None = None,
    callback: Callable[[History], object] | None = None,
) -> History:
    """Make up to `steps` updates of a method on an objective; fewer if it converges or diverges (`history.outcome`).

    objective: anything with `value(theta)` and `gradient(theta)`, or `value_and_gradient(theta)`; curvature methods
    need `hessian(theta)` or `hvp(theta, v)`, Gauss-Newton its `gauss_newton(theta)`; mini-batches need `examples` and
    `value_and_gradient(theta, rows)`, and with curvature methods `batch(rows)`, the objective on these examples. It
    need not inherit from anything. start: theta (P,); None: the objective's own `start`. schedule, batches: as in an
    experiment (constant, full). seed: of the batches, 0 .. 2^63 - 1. stop: limits for "converged" and "diverged"; the
    gradient of mini-batches is judged once per epoch, on all examples. memory: what the history may take. callback:
    called before every update with the history so far; if it returns something true, no more updates are made.

    Returns the `History`: `.theta` (T + 1, P), `.value` (T + 1,), `.columns`, `.seek(k)`, `.outcome`.
    Raises: ShapeError, SettingsError, UnsupportedError for what does not fit; what the objective raises goes through.

    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> history = minimize(functions.get("quadratic"), get("newton")(), steps=5)
    >>> history.outcome.kind, history.length
    ('converged', 2)

    A class of your own, and a look at the run while it goes on:

    >>> class Valley:
    ...     def value(self, theta):
    ...         return theta @ theta / 2
    ...     def gradient(self, theta):
    ...         return theta
    >>> sgd = get("sgd")(lr=0.5)
    >>> history = minimize(Valley(), sgd, start=[8, 0], callback=lambda so_far: so_far.columns["loss"][-1] < 1)
    >>> history.theta.tolist()
    [[8.0, 0.0], [4.0, 0.0], [2.0, 0.0], [1.0, 0.0]]
    """
    one_thread()
    if not isinstance(optimizer, Optimizer):
        raise SettingsError(f"optimizer: expected one such as nnopt.optimizers.Adam(), got {optimizer!r}")
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 0:
        raise SettingsError(f"steps: expected a whole number >= 0, got {steps!r}")
    for name, given, kind in (("schedule", schedule, Schedule), ("batches", batches, Batches), ("stop", stop, Stop)):
        if given is not None:
            check_instance(name, given, kind)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed <= MAX_SEED:
        raise SettingsError(f"seed: expected a whole number >= 0 and < 2^63, got {seed!r}")
    theta = _start(objective, start)
    known = as_objective(objective)
    examples = getattr(objective, "examples", None)
    if examples is None and batches is not None and not isinstance(batches, Full):
        raise UnsupportedError(f"{type(objective).__name__} has no `examples` to draw batches from")
    limits = stop if stop is not None else Stop()
    stage = Stage(
        known, optimizer, schedule, batches, examples=examples, seed=int(seed),
        gradient_norm=limits.gradient_norm, explosion=limits.explosion, early=limits.early,
    )  # fmt: skip
    if not stage.full:
        stage.every = stage.sampler.steps_per_epoch
    loop = Loop(Era(stage.init(theta), stage, None, None), int(steps), memory)
    loop.advance(int(steps), None if callback is None else lambda: bool(callback(loop.history)))
    return loop.history


def _start(objective: Any, start: npt.ArrayLike | None) -> Vector:
    given = getattr(objective, "start", None) if start is None else start
    if given is None:
        such = ", such as objective.network.initial(seed=0)" if isinstance(objective, NetworkObjective) else ""
        raise SettingsError(f"start: {name_of(objective)} has none of its own; expected P numbers{such}")
    try:
        theta = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise SettingsError(f"start: expected numbers, got {given!r}") from None
    if theta.ndim != 1 or not theta.size:
        such = f"; write [{given!r}]" if not theta.shape else ""
        raise ShapeError(f"start: expected shape (P,), got {theta.shape}{such}")
    if not np.isfinite(theta).all():
        raise SettingsError(f"start: expected finite numbers, got {theta.tolist()}")
    size = getattr(objective, "size", None)
    if isinstance(size, (int, np.integer)) and size != theta.size:
        raise ShapeError(f"start: expected {size} numbers for {type(objective).__name__}, got {theta.size}")
    return theta


def _array(name: str, given: Any) -> npt.NDArray[np.float64]:
    try:
        if given is not None:
            return np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        pass
    raise SettingsError(f"{name}: expected numbers, got {given!r:.200}")


def _number(value: Any) -> float:
    number = _array("value", value)
    if number.size != 1:
        raise ShapeError(f"value: expected one number, got shape {number.shape}")
    return float(number.reshape(()))
