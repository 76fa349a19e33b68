"""The script's and notebook's entrance: minimize anything that has `value` and `gradient`, get its history."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nnopt.errors import SettingsError, ShapeError, UnsupportedError
from nnopt.objectives.functions import Function
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Optimizer, Rows, Vector
from nnopt.optimizers.batches import Batches, Full
from nnopt.optimizers.schedules import Schedule
from nnopt.runs.blas import one_thread
from nnopt.runs.decoding import check_instance
from nnopt.runs.era import Era
from nnopt.runs.experiment import MAX_SEED, Stop
from nnopt.runs.history import History
from nnopt.runs.loop import Loop
from nnopt.runs.stage import Stage
from nnopt.runs.state import Memory


class Adapter:
    """Any object with `value` and `gradient`, or `value_and_gradient`, seen as an objective.

    Numbers become floats and gradients new float64 arrays (a user's class may return its own buffer); everything else
    (`hessian`, `hvp`, `examples`, ...) is the object's own. Raises: UnsupportedError if it has neither of both.
    """

    def __init__(self, objective: Any) -> None:
        self._objective = objective
        both = getattr(objective, "value_and_gradient", None)
        if both is None and not (hasattr(objective, "value") and hasattr(objective, "gradient")):
            raise UnsupportedError(
                f"{type(objective).__name__}: an objective needs `value` and `gradient`, or `value_and_gradient`"
            )
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
) -> History:
    """Make up to `steps` updates of a method on an objective; fewer if it converges or diverges (`history.outcome`).

    objective: anything with `value(theta)` and `gradient(theta)`, or `value_and_gradient(theta)`; curvature methods
    need `hessian(theta)` or `hvp(theta, v)`; mini-batches need `examples` and `value_and_gradient(theta, rows)`, and
    with curvature methods `batch(rows)`, the objective on these examples. It need not inherit from anything. start:
    theta (P,); None: the objective's own `start`. schedule, batches: as in an experiment (constant, full). seed: of the
    batches, 0 .. 2^63 - 1. stop: limits for "converged" and "diverged"; the gradient of mini-batches is judged once per
    epoch, on all examples.

    Returns the `History`: `.theta` (T + 1, P), `.value` (T + 1,), `.columns`, `.seek(k)`, `.outcome`.
    Raises: ShapeError, SettingsError, UnsupportedError for what does not fit; what the objective raises goes through.

    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> history = minimize(functions.get("quadratic"), get("newton")(), steps=5)
    >>> history.outcome.kind, history.length
    ('converged', 2)
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
    known = objective if isinstance(objective, (NetworkObjective, Function)) else Adapter(objective)
    examples = getattr(objective, "examples", None)
    if examples is None and batches is not None and not isinstance(batches, Full):
        raise UnsupportedError(f"{type(objective).__name__} has no `examples` to draw batches from")
    limits = stop if stop is not None else Stop()
    stage = Stage(
        known, optimizer, schedule, batches, examples=examples, seed=int(seed),
        gradient_norm=limits.gradient_norm, explosion=limits.explosion,
    )  # fmt: skip
    if not stage.full:
        stage.every = stage.sampler.steps_per_epoch
    loop = Loop(Era(stage.init(theta), stage, None, None), int(steps), memory)
    loop.advance(int(steps))
    return loop.history


def _start(objective: Any, start: npt.ArrayLike | None) -> Vector:
    given = getattr(objective, "start", None) if start is None else start
    if given is None:
        raise SettingsError(f"start: {type(objective).__name__} has none of its own; expected P numbers")
    try:
        theta = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise SettingsError(f"start: expected numbers, got {given!r}") from None
    if theta.ndim != 1 or not theta.size:
        raise ShapeError(f"start: expected shape (P,), got {theta.shape}")
    if not np.isfinite(theta).all():
        raise SettingsError(f"start: expected finite numbers, got {theta.tolist()}")
    size = getattr(objective, "size", None)
    if isinstance(size, (int, np.integer)) and size != theta.size:
        raise ShapeError(f"start: expected {size} numbers for {type(objective).__name__}, got {theta.size}")
    return theta


def _array(name: str, given: Any) -> npt.NDArray[np.float64]:
    try:
        return np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise SettingsError(f"{name}: expected numbers, got {given!r:.200}") from None


def _number(value: Any) -> float:
    number = _array("value", value)
    if number.size != 1:
        raise ShapeError(f"value: expected one number, got shape {number.shape}")
    return float(number.reshape(()))
