"""A stage: everything that determines the next state, compiled from the spec. `step` is a pure function of a state.

A run is one stage until a change of settings or data begins another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nnopt.errors import ShapeError, UnsupportedError
from nnopt.optimizers.base import Local, Optimizer, Rows, Slots, Update, Vector, name_of, update_of
from nnopt.optimizers.batches import AllRows, Batches, Full, round_of
from nnopt.optimizers.linear import length_of
from nnopt.optimizers.schedules import Constant, Schedule
from nnopt.optimizers.stopping import EarlyStopping
from nnopt.runs.state import State, frozen

#: parameters up to which a full Hessian is made (0.5 GB, and as much again while it is factorized)
MAX_HESSIAN = 8_000

#: the rule of a run that is never stopped early: it looks on and knows the best step
LOOKS_ON = EarlyStopping(patience=2**63 - 1)

NO_VALIDATION = (
    "early stopping watches the validation loss, and here is none: no example is held out of training "
    "(for a network, `problem.validation` says how many are)"
)

Evaluate: TypeAlias = Callable[[Vector, int], tuple[Rows | None, float, Vector]]


class Arrival(NamedTuple):
    """A state with the loss of its batch evaluated: what the next update starts from.

    rows: the batch, None for all examples. value: its loss. gradient (P,).

    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> stage = Stage(functions.get("bowl"), get("sgd")())
    >>> stage.arrive(stage.init([8.0]))
    Arrival(state=State(step=0, theta=array([8.]), slots=Slots()), rows=None, value=32.0, gradient=array([8.]))
    """

    state: State
    rows: Rows | None
    value: float
    gradient: Vector


class Measured(NamedTuple):
    """Full training loss (penalty included), the norm of its gradient, validation loss (without), and the penalty; NaN
    where there is none.

    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> stage = Stage(functions.get("bowl"), get("sgd")())
    >>> stage.measure(stage.arrive(stage.init([8.0])))
    Measured(training=32.0, gradient_norm=8.0, validation=nan, penalty=nan)
    """

    training: float
    gradient_norm: float
    validation: float
    penalty: float = math.nan


class Stage:
    """objective (training), method, schedule and batches of a stretch of a run.

    objective: `value_and_gradient(theta)`, and with mini-batches `value_and_gradient(theta, rows)`. examples: how many
    there are to draw batches from, None if there are none (the batch is then always full). validation: theta -> loss
    on held-out examples, or None. every: steps between measurements of the full training loss and of validation.
    gradient_norm, explosion, early: limits as in `Stop`.

    Raises: UnsupportedError if the objective lacks the curvature that the method needs, or early stopping a validation.

    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> stage = Stage(functions.get("bowl"), get("sgd")(lr=0.5))
    >>> stage.step(stage.init([8.0])).theta
    array([4.])
    """

    def __init__(
        self,
        objective: Any,
        optimizer: Optimizer,
        schedule: Schedule | None = None,
        batches: Batches | None = None,
        *,
        examples: int | None = None,
        seed: int = 0,
        every: int = 1,
        gradient_norm: float = 0.0,
        explosion: float = math.inf,
        validation: Callable[[Vector], float] | None = None,
        early: EarlyStopping | None = None,
    ) -> None:
        curved = optimizer.needs in ("hessian", "hvp")
        if curved and not (hasattr(objective, "hessian") or hasattr(objective, "hvp")):
            raise UnsupportedError(
                f"{type(optimizer).__name__} needs curvature, and {name_of(objective)} has neither `hessian` nor `hvp` "
                "(LBFGS makes do with value and gradient)"
            )
        self.objective = objective
        self.optimizer = optimizer
        self.schedule = schedule if schedule is not None else Constant()
        self.batches = batches if batches is not None else Full()
        self.sampler = AllRows() if examples is None else self.batches.sampler(examples, seed)
        self.every = every
        self.gradient_norm = gradient_norm
        self.explosion = explosion
        self.validation = validation
        if early is not None and validation is None:
            raise UnsupportedError(NO_VALIDATION)
        self.rule = early if early is not None else LOOKS_ON
        self.full = isinstance(self.sampler, AllRows)
        #: steps after which every batch has been seen, 0 if never
        self.round = round_of(self.sampler)
        if curved and not self.full and not hasattr(objective, "batch"):
            raise UnsupportedError(
                f"{type(optimizer).__name__} on mini-batches needs the curvature of a batch, and the objective has no "
                "`batch(rows)`"
            )
        #: whether something is measured beside the batch's loss
        penalized = bool(getattr(objective, "l2", 0.0) or getattr(objective, "l1", 0.0))
        self.measures = validation is not None or not self.full or penalized
        self._penalty: Callable[[Vector], float] | None = getattr(objective, "penalty", None)
        self.base_rate = float(getattr(optimizer, "lr", 1.0))
        #: whether the learning rate is the same at every step
        self.constant = isinstance(self.schedule, Constant)
        self.evaluate: Evaluate = self._evaluate_full if self.full else self._evaluate_batch
        self._value_and_gradient = objective.value_and_gradient

    def learning_rate(self, step: int) -> float:
        """The rate of the update that leaves state `step`: the method's rate times the schedule's factor."""
        return self.base_rate * self.schedule.factor(step)

    def epoch(self, step: int) -> float:
        """Passes over the training examples made before step `step` by a run that was under this stage from the first
        step on (see `History.epoch`); the step itself where there are no examples."""
        return self.sampler.epoch(step)

    def init(self, theta: Vector) -> State:
        """The state at step 0, at theta (P,)."""
        start = frozen(theta)
        return State(0, start, self.fresh_slots(start))

    def fresh_slots(self, theta: Vector) -> Slots:
        """The method's memory when it starts at theta.

        Raises: UnsupportedError if the method needs a Hessian that would not fit into memory.
        """
        if self.optimizer.needs == "hessian" and theta.size > MAX_HESSIAN:
            raise UnsupportedError(
                f"{type(self.optimizer).__name__} needs the full Hessian: of {theta.size:,} parameters it takes "
                f"{theta.size**2 * 8 / 1e9:.1f} GB; the limit is {MAX_HESSIAN:,} parameters"
            )
        return self.optimizer.init(theta)

    def arrive(self, state: State) -> Arrival:
        """Evaluate the loss of the state's batch.

        Raises: ShapeError if the objective's gradient does not have theta's shape; whatever the objective raises.
        """
        with np.errstate(all="ignore"):
            rows, value, gradient = self.evaluate(state.theta, state.step)
        if gradient.shape != state.theta.shape:
            raise ShapeError(f"gradient: expected shape {state.theta.shape} like theta, got {gradient.shape}")
        return Arrival(state, rows, value, gradient)

    def local(self, state: State) -> Local:
        """The loss around a state, as its update sees it."""
        _, rows, value, gradient = self.arrive(state)
        return Local(self.objective, state.theta, value, gradient, rows)

    def update(self, state: State) -> Update:
        """The update that leaves `state`: step, slots, note, detail. Pure."""
        with np.errstate(all="ignore"):
            return update_of(self.optimizer)(self.local(state), state.slots, self.learning_rate(state.step))

    def step(self, state: State) -> State:
        """The next state. Pure: the same bits on every call."""
        update = self.update(state)
        with np.errstate(all="ignore"):
            theta = state.theta + update.step
        theta.setflags(write=False)
        return State(state.step + 1, theta, update.slots)

    def measure(self, arrival: Arrival) -> Measured:
        """The full training loss, its gradient's norm, the validation loss and the penalty at a state."""
        with np.errstate(all="ignore"):
            value, gradient = arrival.value, arrival.gradient
            if arrival.rows is not None:
                _, value, gradient = self._evaluate_full(arrival.state.theta, arrival.state.step)
            validation = math.nan if self.validation is None else float(self.validation(arrival.state.theta))
            penalty = math.nan if self._penalty is None else float(self._penalty(arrival.state.theta))
            return Measured(value, length_of(gradient), validation, penalty)

    def _evaluate_full(self, theta: Vector, step: int) -> tuple[Rows | None, float, Vector]:
        try:
            value, gradient = self._value_and_gradient(theta)
        except OverflowError:
            # plain Python floats raise where numpy's become infinite
            return None, math.inf, np.full_like(theta, math.nan)
        return None, value, gradient

    def _evaluate_batch(self, theta: Vector, step: int) -> tuple[Rows | None, float, Vector]:
        rows = self.sampler.rows(step)
        try:
            value, gradient = self._value_and_gradient(theta, rows)
        except OverflowError:
            return rows, math.inf, np.full_like(theta, math.nan)
        return rows, value, gradient
