"""Many runs of one method, updated together through batched kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.ensembles import Evaluator, evaluator, updater
from nnopt.analysis.landscape import losses
from nnopt.analysis.restarts_result import Restarts, Validation
from nnopt.blas import one_thread
from nnopt.errors import SettingsError, ShapeError, UnsupportedError
from nnopt.optimizers.base import Optimizer
from nnopt.optimizers.batches import AllRows, Batches, Full, Sampler, round_of
from nnopt.optimizers.schedules import Schedule
from nnopt.optimizers.stopping import Watch
from nnopt.runs.experiment import Stop
from nnopt.runs.minimize import as_objective
from nnopt.runs.stage import Arrival, Stage
from nnopt.runs.standstill import Standstill, standing_after, why_stuck
from nnopt.runs.state import Outcome, State
from nnopt.runs.stationary import goes_on, why

Array: TypeAlias = npt.NDArray[Any]


class Ensemble:
    """K runs of one method that differ in start and batches only; each agrees with its own `minimize` to rounding.

    objective: a `NetworkObjective` (batched) or anything that `minimize` takes (one by one). optimizer: any method;
    elementwise rules are applied to all runs in one go, others (curvature, line searches) run by run. starts (K, P).
    schedule, batches: as in a run. seeds: of the batches, one per run (0 .. K-1); batch_seed: one for all of them
    instead. every: steps between measurements of the full loss (an epoch). stop: limits for "converged" and "diverged"
    (gradient norm of the full loss, looked at when that is measured), and when to stop early. held_out: an objective on
    other examples, which is measured too. dtype: float64, or float32, which is about twice as fast.

    `advance` makes updates, `result` says where the runs are; one thread at a time.
    Raises: ShapeError, SettingsError, UnsupportedError for what does not fit.

    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> runs = Ensemble(functions.get("himmelblau"), get("sgd")(lr=0.01), [[1.0, 1.0], [-1.0, 1.0]])
    >>> runs.advance(20), runs.advance(1000) < 1000, runs.running
    (20, True, 0)
    >>> runs.result().theta.round(3)
    array([[ 3.   ,  2.   ],
           [-2.805,  3.131]])
    """

    def __init__(
        self,
        objective: Any,
        optimizer: Optimizer,
        starts: npt.ArrayLike,
        *,
        schedule: Schedule | None = None,
        batches: Batches | None = None,
        seeds: Sequence[int] | None = None,
        batch_seed: int | None = None,
        every: int | None = None,
        stop: Stop | None = None,
        held_out: Any = None,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        one_thread()
        if not isinstance(optimizer, Optimizer):
            raise SettingsError(f"optimizer: expected one such as nnopt.optimizers.Adam(), got {optimizer!r}")
        objective = as_objective(objective)
        kind = np.dtype(dtype)
        if kind not in (np.float64, np.float32):
            raise SettingsError(f"Ensemble: expected dtype float64 or float32, got {kind}")
        thetas = _starts(starts, objective)
        count = len(thetas)
        self.objective = objective
        self.optimizer = optimizer
        self.step = 0
        self._seeds = _seeds(seeds, count)
        drawn_by = self._seeds if batch_seed is None else np.full(count, batch_seed)
        self._samplers = _samplers(objective, batches, drawn_by)
        epoch = self._samplers[0].steps_per_epoch if self._samplers else 1
        if every is not None and every < 1:
            raise SettingsError(f"Ensemble: expected every >= 1, got {every}")
        self._every = epoch if every is None else every
        self._stop = stop if stop is not None else Stop()
        self._held_out = held_out
        #: what is said of each run by itself: its rate, where it has come to
        self._stage = Stage(
            objective, optimizer, schedule, validation=None if held_out is None else held_out.value,
            gradient_norm=self._stop.gradient_norm, early=self._stop.early,
        )  # fmt: skip
        # refused where a run of its own is: a Hessian too large, say
        self._stage.init(thetas[0])
        self._evaluate: Evaluator = evaluator(objective, kind)
        self._updater = updater(optimizer, objective)
        # the runs that go on, by index; those that have ended leave these arrays
        self._alive = np.arange(count)
        self._theta = thetas.astype(kind)
        self._updater.begin(self._theta)
        with np.errstate(over="ignore"):
            self._longest = self._stop.explosion * np.maximum(_norms(thetas), 1.0)
        self._final = thetas.copy()
        self._outcomes = [Outcome("running", 0)] * count
        self._watches = [Watch()] * count
        self._standing: dict[int, Standstill] = {}
        self._best = thetas.copy()
        self._steps: list[int] = []
        self._curves: list[Array] = []
        self._arrive(np.zeros(count))

    @property
    def running(self) -> int:
        """How many runs go on."""
        return len(self._alive)

    def advance(self, steps: int, should_stop: Callable[[], bool] | None = None) -> int:
        """Make up to `steps` updates of every run that goes on; fewer once all have ended, or once `should_stop()`,
        asked before each, is true. Returns the number made."""
        made = 0
        with np.errstate(all="ignore"):
            while made < steps and len(self._alive) and not (should_stop is not None and should_stop()):
                rate = self._stage.learning_rate(self.step)
                move = self._updater.update(self._theta, self._value, self._gradient, self._rows, rate)
                before = (self._theta, self._value)
                self._theta = (self._theta + move).astype(self._theta.dtype, copy=False)
                self.step += 1
                made += 1
                self._arrive(_norms(move), before)
        return made

    def result(self) -> Restarts:
        """Where the runs are now."""
        theta = self._final.copy()
        theta[self._alive] = self._theta
        with np.errstate(all="ignore"):
            final = losses(self.objective, theta)
        final[np.isnan(final)] = math.inf
        validation = None if self._held_out is None else self._validation(theta)
        outcomes = list(self._outcomes)
        for index in self._alive:
            outcomes[index] = Outcome("running", self.step)
        steps, curves = np.array(self._steps, dtype=np.int64), np.array(self._curves).reshape(-1, len(theta))
        return Restarts(self._seeds.copy(), theta, final, tuple(outcomes), steps, curves, self.objective, validation)

    def ended(self) -> Restarts:
        """The same when no more updates are to be made: runs that went on to here are "stopped"."""
        found = self.result()
        stopped = Outcome("stopped", self.step, f"stopped at step {self.step}: all its steps are made")
        outcomes = tuple(stopped if outcome.running else outcome for outcome in found.outcomes)
        return replace(found, outcomes=outcomes)

    def _arrive(self, lengths: Array, before: tuple[Array, Array] | None = None) -> None:
        """Evaluate the batches of this step, measure if it is time, and let runs leave that have ended. before: theta
        and losses before the update."""
        with np.errstate(all="ignore"):
            self._rows = self._drawn()
            self._value, self._gradient = self._evaluate(self._theta, self._rows)
            norms = _norms(self._gradient)
            diverged = ~((lengths <= self._longest) & np.isfinite(self._value) & np.isfinite(norms))
            early = converged = np.zeros_like(diverged)
            if self.step % self._every == 0 or self._rows is None:
                value = self._value
                if self._rows is not None:
                    value, gradient = self._evaluate(self._theta, None)
                    norms = _norms(gradient)
                converged = ~diverged & (norms < self._stop.gradient_norm)
                for place in np.flatnonzero(converged).tolist():
                    converged[place] = not goes_on(self._stage, self._arrival(place))
                if self.step % self._every == 0:
                    self._measured(value)
                    early = self._watched()
        stuck = early if before is None else self._stuck(*before)
        leave = diverged | converged | stuck | early
        if leave.any():
            self._let_go(leave, diverged, converged, stuck, norms)

    def _stuck(self, thetas: Array, values: Array) -> npt.NDArray[np.bool_]:
        """Which of the runs stand still for good; thetas (K, P), values (K,): before the update."""
        stuck = np.zeros(len(self._alive), dtype=np.bool_)
        every = round_of(self._samplers[0]) if self._samplers else 1
        # where theta is the same, so is its full loss
        level = self._value == values if every == 1 else np.full(len(stuck), every > 1)
        standing = {}
        for place in np.flatnonzero(level).tolist():
            index = int(self._alive[place])
            state = self._arrival(place).state
            before = State(self.step - 1, thetas[place].astype(np.float64), state.slots)
            found = standing_after(self._standing.get(index), before, state, self._stage.schedule, every)
            if found is not None:
                standing[index] = found
                stuck[place] = found.stuck
        self._standing = standing
        return stuck

    def _drawn(self) -> npt.NDArray[np.intp] | None:
        if not self._samplers:
            return None
        rows = [self._samplers[index].rows(self.step) for index in self._alive]
        return np.array(rows).reshape(len(rows), -1)

    def _measured(self, values: Array) -> None:
        row = np.full(len(self._seeds), np.nan)
        row[self._alive] = values
        self._steps.append(self.step)
        self._curves.append(row)

    def _watched(self) -> npt.NDArray[np.bool_]:
        """Measure the validation losses; which of the runs stop early."""
        stopped = np.zeros(len(self._alive), dtype=np.bool_)
        if self._held_out is not None:
            found = losses(self._held_out, self._theta.astype(np.float64))
            for place, index in enumerate(self._alive):
                watch = self._stage.rule.update(self._watches[index], self.step, float(found[place]))
                if watch.best_step == self.step:
                    self._best[index] = self._theta[place]
                self._watches[index] = watch
                stopped[place] = watch.stopped
        return stopped

    def _validation(self, theta: Array) -> Validation:
        with np.errstate(all="ignore"):
            found = losses(self._held_out, theta)
        best = np.array([watch.best for watch in self._watches])
        steps = np.array([watch.best_step for watch in self._watches], dtype=np.int64)
        return Validation(found, best, steps, self._best.copy())

    def _arrival(self, place: int) -> Arrival:
        """Where one of the runs is, as a run of its own would see it."""
        theta = self._theta[place].astype(np.float64)
        state = State(self.step, theta, self._updater.slots(place))
        rows = None if self._rows is None else self._rows[place]
        return Arrival(state, rows, float(self._value[place]), self._gradient[place].astype(np.float64))

    def _let_go(self, leave: Array, diverged: Array, converged: Array, stuck: Array, norms: Array) -> None:
        for place in np.flatnonzero(leave):
            index = self._alive[place]
            if diverged[place]:
                reason = "a step, the loss or its gradient is not finite or exploded"
                outcome = Outcome("diverged", self.step, f"diverged at step {self.step}: {reason}")
            elif converged[place]:
                reason = why(self._stage, self._theta[place].astype(np.float64), float(norms[place]))
                outcome = Outcome("converged", self.step, f"converged at step {self.step}: {reason}")
            elif stuck[place]:
                reason = why_stuck(self._stage, self._arrival(int(place)))
                outcome = Outcome("stuck", self.step, f"stopped at step {self.step}, stuck: {reason}")
            else:
                reason = self._stage.rule.reason(self._watches[index])
                outcome = Outcome("stopped_early", self.step, f"stopped early at step {self.step}: {reason}")
            self._outcomes[index] = outcome
            self._final[index] = self._theta[place]
        stay = ~leave
        self._alive, self._theta, self._longest = self._alive[stay], self._theta[stay], self._longest[stay]
        self._value, self._gradient = self._value[stay], self._gradient[stay]
        self._rows = None if self._rows is None else self._rows[stay]
        self._updater.keep(stay)


def train_together(
    objective: Any,
    optimizer: Optimizer,
    starts: npt.ArrayLike,
    steps: int,
    *,
    schedule: Schedule | None = None,
    batches: Batches | None = None,
    seeds: Sequence[int] | None = None,
    every: int | None = None,
    stop: Stop | None = None,
    held_out: Any = None,
    dtype: npt.DTypeLike = np.float64,
) -> Restarts:
    """Make up to `steps` updates of a method from K starting points at once; arguments as for `Ensemble`.

    theta_k <- theta_k + update(gradient of L over the batch (seed_k, t)), for k = 1 .. K. In float64 each run agrees
    with `minimize(objective, optimizer, start=starts[k], seed=seeds[k], ...)` to rounding.

    >>> from nnopt.objectives import datasets
    >>> from nnopt.objectives.network import Network
    >>> from nnopt.objectives.objective import NetworkObjective
    >>> from nnopt.optimizers import get
    >>> data, network = datasets.get("xor", points=50).make(1), Network((2, 4, 1))
    >>> objective = NetworkObjective(network, data.X, data.y)
    >>> starts = [network.initial(seed) for seed in range(8)]
    >>> found = train_together(objective, get("adam")(), starts, steps=100)
    >>> found.theta.shape, found.curves.shape, bool((found.losses < found.curves[0]).all())
    ((8, 17), (101, 8), True)
    """
    ensemble = Ensemble(
        objective, optimizer, starts, schedule=schedule, batches=batches, seeds=seeds, every=every, stop=stop,
        held_out=held_out, dtype=dtype,
    )  # fmt: skip
    ensemble.advance(steps)
    return ensemble.ended()


def _norms(rows: Array) -> Array:
    """Lengths (K,) of rows (K, P); of those whose squares overflow, too."""
    norms = np.asarray(np.sqrt(np.vecdot(rows, rows)))
    huge = np.isinf(norms)
    if huge.any():
        largest = np.abs(rows[huge]).max(axis=1, keepdims=True)
        shares = rows[huge] / largest
        norms[huge] = largest[:, 0] * np.sqrt(np.vecdot(shares, shares))
    return norms


def _starts(starts: npt.ArrayLike, objective: Any) -> npt.NDArray[np.float64]:
    thetas = np.array(starts, dtype=np.float64)
    size = getattr(objective, "size", None)
    if thetas.ndim != 2 or not thetas.size or (isinstance(size, int) and thetas.shape[1] != size):
        raise ShapeError(f"starts: expected shape (K, {size or 'P'}), got {thetas.shape}")
    if not np.isfinite(thetas).all():
        raise SettingsError("starts: expected finite numbers")
    return thetas


def _seeds(seeds: Sequence[int] | None, count: int) -> npt.NDArray[np.int64]:
    numbers = np.arange(count) if seeds is None else np.array(list(seeds) if isinstance(seeds, Iterable) else seeds)
    if numbers.shape != (count,) or numbers.dtype.kind not in "iu" or (numbers < 0).any():
        raise SettingsError(f"seeds: expected {count} whole numbers >= 0, one per start, got {seeds!r}")
    return numbers.astype(np.int64)


def _samplers(objective: Any, batches: Batches | None, seeds: npt.NDArray[np.int64]) -> list[Sampler]:
    """One per run, or none for full batches."""
    if batches is None or isinstance(batches, Full):
        return []
    examples = getattr(objective, "examples", None)
    if examples is None:
        raise UnsupportedError(f"{type(objective).__name__} has no `examples` to draw batches from")
    samplers = [batches.sampler(examples, int(seed)) for seed in seeds]
    return [] if isinstance(samplers[0], AllRows) else samplers
