"""The history of a run: what was logged, and any of its states, exactly, by replay from the nearest stored one.

Readers on any thread may ask while the worker appends: what they see is the prefix whose `length` was published last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nnopt.errors import SettingsError, UnsupportedError
from nnopt.optimizers.base import name_of
from nnopt.optimizers.linear import length_of
from nnopt.optimizers.stopping import Watch
from nnopt.runs.changes import Intervention
from nnopt.runs.era import Era
from nnopt.runs.experiment import Experiment
from nnopt.runs.log import COLUMNS, WATCHES, Columns, Floats, Frames, Table, Watches
from nnopt.runs.problem import Problem
from nnopt.runs.stage import Arrival, Stage
from nnopt.runs.standstill import Standstill, standing_after, unmoved
from nnopt.runs.state import Best, Memory, Outcome, State

#: notes kept at most; a method that says something new at every step must not fill the memory
MAX_NOTES = 10_000
#: states of a trail, and bytes that they take, where nobody says how many
LEAST_TRAIL, MOST_TRAIL, TRAIL_BYTES = 100, 2000, 8 * 2**20


class History:
    """The log of a run. Made by `Run` and `minimize`; read it, from any thread.

    length: rows published, the number of the newest step + 1. outcome: how the run stands.
    columns: name -> array over stored rows: "step", "loss" (of the batch of state t), "gradient_norm" (of that batch),
    "learning_rate" (of the update that leaves state t), "training_loss" and "validation_loss" (NaN where not measured;
    with full batches training_loss = loss), "step_norm" (length of the update that arrived at t), "penalty" (the part
    of training_loss that is l2 sum W^2 + l1 sum |W|, where that was measured; validation_loss contains none).

    >>> import nnopt
    >>> history = nnopt.minimize(nnopt.functions.get("bowl"), nnopt.optimizers.SGD(lr=0.5), [8.0], steps=3)
    >>> history
    <History: SGD on Bowl, 1 parameter; stopped at step 3: all its steps are made; loss 32 -> 0.5>
    >>> history.theta.ravel(), history.columns["step_norm"], history.seek(2).theta
    (array([8., 4., 2., 1.]), array([0., 4., 2., 1.]), array([2.]))
    """

    def __init__(self, first: Era, memory: Memory) -> None:
        self.length = 0
        self.outcome = Outcome("running", 0)
        self._memory = memory
        self._eras: tuple[Era, ...] = (first,)
        self._table = Table(min(1024, memory.rows), 0)
        self._frames = Frames.of(first.layout.width, memory.keyframes, first.stage.optimizer.needs != "gradient")
        self._notes: list[tuple[int, str]] = []
        self._watch = first.watch
        self._watches = Watches(min(WATCHES, memory.rows))
        self._replayed: tuple[tuple[Era, ...], list[State]] = ((), [])
        self._path: tuple[tuple[Era, ...], Floats] = ((), np.empty((0, 0)))
        room = max(1, min(memory.recent // (8 * first.layout.width), 1024))
        self._ring: list[State | None] = [None] * (1 << (room.bit_length() - 1))

    # ---- reading

    def __repr__(self) -> str:
        return f"<History: {self._in_words()}>"

    def _in_words(self) -> str:
        step, outcome, stage = self.length - 1, self.outcome, self._eras[-1].stage
        if step < 0:
            return "nothing is evaluated yet"
        size = self._eras[0].state.theta.size
        parameters = "1 parameter" if size == 1 else f"{size:,} parameters"
        what = f"{type(stage.optimizer).__name__} on {name_of(stage.objective)}, {parameters}"
        how = outcome.reason or f"running, at step {step:,}"
        return f"{what}; {how}; loss {self.row(0)['loss']:.4g} -> {self.row(step)['loss']:.4g}"

    @property
    def columns(self) -> Columns:
        """What was logged, over the stored rows (all of them up to 2^20 steps, then every second one, and so on)."""
        length = self.length
        table = self._table
        return Columns(table, table.count(length))

    @property
    def stride(self) -> int:
        """Steps between stored rows: 1 until the log is thinned, then a power of two."""
        return 1 << self._table.shift

    @property
    def notes(self) -> tuple[tuple[int, str], ...]:
        """(step, text): what the method said about the updates that leave these steps, where it said something new;
        and what had to be said about a change."""
        begun = [(era.start, era.note) for era in self._eras if era.note]
        return tuple(sorted((*begun, *self._notes), key=lambda note: note[0]) if begun else self._notes)

    @property
    def interventions(self) -> tuple[Intervention, ...]:
        """What was done to the run so far, in order."""
        return tuple(change for era in self._eras for change in era.changes)

    @property
    def best(self) -> Best | None:
        """The state with the lowest validation loss among those that were measured, whether or not the run is stopped
        early; None before any was, and where nothing is held out. Losses measured before the held-out examples or the
        penalties were changed say nothing about those after, and are left out."""
        watch = self._watch
        return Best(watch.best_step, watch.best) if watch.best_step >= 0 else None

    @property
    def problem(self) -> Problem:
        """The problem at the newest step. Raises UnsupportedError for a history made by `minimize`."""
        return self.problem_at(self.length - 1)

    @property
    def objective(self) -> Any:
        """What is minimized at the newest step."""
        return self._eras[-1].stage.objective

    @property
    def theta(self) -> Floats:
        """Parameters at every step, (T + 1, P); read-only, as the same array is given until the run goes on (unless it
        is larger than what a log may take)."""
        eras, length = self._eras, self.length
        known, path = self._path
        if known is not eras or len(path) != length:
            path = self.thetas(range(length))
            path.flags.writeable = False
            if path.nbytes <= self._memory.keyframes:
                self._path = (eras, path)
        return path

    @property
    def value(self) -> Floats:
        """Loss at every step, (T + 1,): with mini-batches that of each step's batch."""
        length = self.length
        columns = self.columns
        if len(columns["step"]) >= length:
            return columns["loss"][:length].copy()
        return np.array([self.stage_at(state.step).arrive(state).value for state in self.states(0, length)])

    def era_at(self, step: int) -> Era:
        """The stretch between interventions to which a step belongs."""
        self._check(step)
        return _era(self._eras, step)

    def stage_at(self, step: int) -> Stage:
        """What determines the update that leaves a step: objective, method, schedule, batches."""
        return self._stage(self.era_at(step))

    def epoch(self, step: int) -> float:
        """Passes over the training examples made before a step, whatever was done to data and batches on the way; the
        step itself where there are no examples."""
        era = self.era_at(step)
        self._stage(era)
        return era.epoch(step)

    def experiment_at(self, step: int) -> Experiment:
        """The experiment in force at a step. Raises UnsupportedError for a history made by `minimize`."""
        experiment = self.era_at(step).experiment
        if experiment is None:
            raise UnsupportedError("this history was made by `minimize`: it has no experiment, only an objective")
        return experiment

    def problem_at(self, step: int) -> Problem:
        """Data, network or function, and objective in force at a step."""
        era = self.era_at(step)
        self._stage(era)
        problem = era.problem
        if problem is None:
            raise UnsupportedError("this history was made by `minimize`: it has no problem, only an objective")
        return problem

    def seek(self, step: int) -> State:
        """The state at a step, bit-equal to the first pass: stored, or replayed from the nearest stored one.

        Raises: SettingsError if the step is not in the history (0 .. length - 1).
        """
        self._check(step)
        recent = self._ring[step & (len(self._ring) - 1)]
        if recent is not None and recent.step == step:
            return recent
        eras = self._eras
        known, block = self._replayed
        if known is eras and block and block[0].step <= step <= block[-1].step:
            return block[step - block[0].step]
        state = self._stored(eras, step)
        if state.step == step:
            return state
        stage = self._stage(_era(eras, step))
        replayed = [state]
        keep = (step - state.step) * _era(eras, step).layout.width * 8 <= self._memory.recent
        for _ in range(step - state.step):
            state = stage.step(state)
            if keep:
                replayed.append(state)
        if keep:
            self._replayed = (eras, replayed)
        return state

    def seek_cost(self, step: int) -> int:
        """Updates that `seek(step)` would replay."""
        self._check(step)
        recent = self._ring[step & (len(self._ring) - 1)]
        if recent is not None and recent.step == step:
            return 0
        eras = self._eras
        known, block = self._replayed
        if known is eras and block and block[0].step <= step <= block[-1].step:
            return 0
        return step - self._stored_step(eras, self._frames, step)

    def states(self, start: int = 0, stop: int | None = None) -> Iterator[State]:
        """The states of steps start .. stop - 1 (to the newest one), each replayed at most once."""
        state: State | None = None
        for step in range(start, self.length if stop is None else stop):
            self._check(step)
            state = self._onwards(state, step)
            yield state

    def thetas(self, steps: Iterable[int]) -> Floats:
        """Parameters at some steps (in any order), (K, P). Stored ones are copied at once, the others replayed."""
        try:
            wanted = np.fromiter(steps, dtype=np.int64)
        except (TypeError, ValueError):
            raise SettingsError(f"steps: expected whole numbers 0 .. {self.length - 1}, got {steps!r:.80}") from None
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < self.length:
            self._check(int(wanted.min()))
            self._check(int(wanted.max()))
        eras, frames = self._eras, self._frames
        result = np.empty((len(wanted), eras[0].state.theta.size))
        stored = (wanted & ((1 << frames.shift) - 1) == 0) & (wanted >> frames.shift < frames.capacity)
        stored &= ~np.isin(wanted, [era.start for era in eras])
        result[stored] = frames.array[wanted[stored] >> frames.shift, : result.shape[1]]
        rest = np.flatnonzero(~stored)
        state: State | None = None
        for place in rest[np.argsort(wanted[rest], kind="stable")].tolist():
            state = self._onwards(state, int(wanted[place]))
            result[place] = state.theta
        return result

    def _onwards(self, state: State | None, step: int) -> State:
        """The state at a step, from the earlier `state` where that is the shortest way."""
        eras = self._eras
        near = self._stored_step(eras, self._frames, step)
        if state is None or near > state.step or step - state.step > len(self._ring):
            return self.seek(step)
        stage = self._stage(_era(eras, step))
        while state.step < step:
            state = stage.step(state)
        return state

    def trail(self, stop: int | None = None, points: int | None = None) -> tuple[npt.NDArray[np.int64], Floats]:
        """(steps (K,), thetas (K, P)): the path up to step `stop` (included) from stored states alone, without replay
        but for the last: at most about `points` of them, evenly spaced; interventions' states are among them.

        points: by default 2,000, or as many as 8 MB hold (at least 100)."""
        stop = self.length - 1 if stop is None else stop
        self._check(stop)
        eras, frames = self._eras, self._frames
        size = eras[0].state.theta.size
        if points is None:
            points = max(LEAST_TRAIL, min(MOST_TRAIL, TRAIL_BYTES // (8 * size)))
        spacing = max(1, -(-(stop + 1) // max(points, 1)))
        stride = 1 << max(frames.shift, (spacing - 1).bit_length())
        regular = np.arange(0, frames.nearest(stop) + 1, stride, dtype=np.int64)
        known = {era.start: era.state.theta for era in eras[-points:] if era.start <= stop}
        if stop not in known and not (len(regular) and regular[-1] == stop):
            known[stop] = self.seek(stop).theta
        extra = np.array(list(known), dtype=np.int64)
        steps = np.union1d(regular, extra)
        # each state is copied once, into its place: those of a large network are tens of megabytes
        thetas = np.empty((len(steps), size))
        thetas[np.searchsorted(steps, regular)] = frames.array[:: stride >> frames.shift, :size][: len(regular)]
        for place, theta in zip(np.searchsorted(steps, extra).tolist(), known.values(), strict=True):
            thetas[place] = theta
        return steps, thetas

    def row(self, step: int) -> dict[str, float]:
        """The logged numbers of one step, by column; replayed if the row was thinned out. "step" among them."""
        self._check(step)
        table = self._table
        if not step & ((1 << table.shift) - 1) and step >> table.shift < table.capacity:
            index = step >> table.shift
            return {"step": step, **{name: float(table.arrays[name][index]) for name in COLUMNS}}
        length = 0.0
        if step > 0:
            before = self.seek(step - 1)
            length = length_of(self.stage_at(step - 1).update(before).step)
        stage = self.stage_at(step)
        numbers = row_of(stage, stage.arrive(self.seek(step)), length)
        return {"step": step, **dict(zip(COLUMNS, numbers, strict=True))}

    def _watch_before(self, step: int) -> Watch:
        """What early stopping had seen on arrival at a step, before the measurement there: a fold over the validation
        losses of its stretch, going on from the nearest one kept. The run's own thread only."""
        era = _era(self._eras, step)
        stage = self._stage(era)
        if era.start == step or stage.validation is None:
            return era.watch
        at, watch = self._watches.newest(era.start, step - 1) or (era.start - 1, era.watch)
        for measured in range((at // stage.every + 1) * stage.every, step, stage.every):
            watch = stage.rule.update(watch, measured, self.row(measured)["validation_loss"])
        return watch

    def _standstill_at(self, step: int) -> Standstill | None:
        """How long theta had stood when a step was reached: told anew by the states since it last changed."""
        era, state, since = _era(self._eras, step), self.seek(step), step
        stage = self._stage(era)
        while stage.round and since > era.start and unmoved(self.seek(since - 1), state):
            since -= 1
        standing = None
        for before in range(since, step):
            after = self.seek(before + 1)
            standing = standing_after(standing, self.seek(before), after, stage.schedule, stage.round)
        return standing

    def _stage(self, era: Era) -> Stage:
        """The stage of an era; where it has to be made again, others are let go of for it."""
        if not era.released:
            return era.stage
        stage = era.stage
        self._release(self._eras, era)
        return stage

    def _release(self, eras: tuple[Era, ...], used: Era) -> None:
        """Keep the newest problems, as far as they fit the budget, and the one in use."""
        room = self._memory.problems
        for era in reversed(eras[:-1]):
            room -= era.bytes
            if room < 0 and era is not used:
                era.release()

    def _check(self, step: int) -> None:
        if not (hasattr(step, "__index__") and 0 <= step < self.length):
            raise SettingsError(f"step: expected 0 .. {self.length - 1}, got {step!r}")

    def _stored_step(self, eras: tuple[Era, ...], frames: Frames, step: int) -> int:
        return max(_era(eras, step).start, frames.nearest(step))

    def _stored(self, eras: tuple[Era, ...], step: int) -> State:
        era, frames = _era(eras, step), self._frames
        near = self._stored_step(eras, frames, step)
        if near == era.start:
            return era.state
        return era.layout.unpack(near, era.state.theta.size, frames.row(near))

    # ---- writing: the run's own thread only

    def _store(self, state: State) -> None:
        """Keep a state where it belongs: among the latest, and in the frames if it is one of theirs."""
        self._ring[state.step & (len(self._ring) - 1)] = state
        frames = self._frames
        if not state.step & ((1 << frames.shift) - 1):
            layout = self._eras[-1].layout
            layout.pack(state.theta, state.slots, frames.row(state.step))

    def _begin(self, era: Era) -> None:
        """A new stretch starts at the newest step (replacing one that started there)."""
        eras, newest = self._eras, self._eras[-1]
        if newest.start == era.start:
            eras, era.previous, era.epochs = eras[:-1], newest.previous, newest.epochs
        else:
            era.previous, era.epochs = newest, newest.epoch(era.start)
        if era.layout.width > self._frames.width:
            self._frames = self._frames.widened(era.layout.width, self._memory.keyframes)
        self._watches.forget(era.start)
        self._ring[era.start & (len(self._ring) - 1)] = era.state
        self._eras = (*eras, era)
        self._release(self._eras, era)

    def _make_room(self, step: int) -> int:
        """See that the row and the frame of state `step` can be stored; the last step for which they can."""
        while step >> self._table.shift >= self._table.capacity:
            self._table = self._table.grown(self._memory.rows)
        while step >> self._frames.shift >= self._frames.capacity:
            self._frames = self._frames.grown()
        table, frames = self._table, self._frames
        return min(table.capacity << table.shift, frames.capacity << frames.shift) - 1

    def _note(self, step: int, text: str) -> None:
        if len(self._notes) < MAX_NOTES:
            self._notes.append((step, text))

    def _copy(self, step: int) -> History:
        """An independent history of steps 0 .. step; its head is not published yet."""
        eras = tuple(era for era in self._eras if era.start <= step)
        copy = History(eras[0], self._memory)
        copy._eras = eras
        copy._table = self._table.until(step)
        copy._frames = self._frames.until(step)
        copy._watches = self._watches.before(step)
        copy._notes = [note for note in self._notes if note[0] < step]
        return copy


def row_of(stage: Stage, arrival: Arrival, step_norm: float) -> tuple[float, ...]:
    """The row of a state in the order of COLUMNS. step_norm: length of the update that arrived at it.

    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> stage = Stage(functions.get("bowl"), get("sgd")(lr=0.5))
    >>> row_of(stage, stage.arrive(stage.init([8.0])), 0.0)
    (32.0, 8.0, 0.5, 32.0, nan, 0.0, nan)
    """
    step = arrival.state.step
    gradient = arrival.gradient
    training = arrival.value if arrival.rows is None else math.nan
    validation = penalty = math.nan
    if stage.measures and step % stage.every == 0:
        training, _, validation, penalty = stage.measure(arrival)
    norm = length_of(gradient)
    return arrival.value, norm, stage.learning_rate(step), training, validation, step_norm, penalty


def _era(eras: tuple[Era, ...], step: int) -> Era:
    if step >= eras[-1].start:
        return eras[-1]
    return next(era for era in reversed(eras) if era.start <= step)
