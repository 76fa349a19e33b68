"""One training run: `init` and `step` are pure functions of the experiment; a `Run` makes the steps and keeps the log.

A run belongs to one thread at a time; its `history` may be read from any thread while it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from nnopt.blas import one_thread
from nnopt.errors import SettingsError
from nnopt.optimizers.batches import Full
from nnopt.optimizers.stopping import Watch
from nnopt.runs.changes import AnyChange, Intervention, MoveTo, superseded
from nnopt.runs.era import Era
from nnopt.runs.experiment import Experiment, Recording
from nnopt.runs.history import History
from nnopt.runs.loop import Loop
from nnopt.runs.problem import Problem, build
from nnopt.runs.spacing import measured_every
from nnopt.runs.stage import Stage
from nnopt.runs.state import Memory, Outcome, State

UNBATCHED = "a function has no examples to batch: every step sees all of it"


def stage_of(problem: Problem, method: int = 0) -> Stage:
    """What determines the updates of an experiment's method on its built problem.

    method: its number, from 0. Raises: SettingsError if there is none of that number; UnsupportedError if the method
    needs what the objective does not have.

    >>> from nnopt.runs.experiment import default_experiment
    >>> stage_of(build(default_experiment())).learning_rate(1000)
    0.5
    """
    experiment = problem.experiment
    if not 0 <= method < len(experiment.methods):
        raise SettingsError(f"method: expected 0 .. {len(experiment.methods) - 1}, got {method}")
    chosen = experiment.methods[method]
    return Stage(
        problem.objective,
        chosen.optimizer,
        chosen.schedule,
        chosen.batches,
        examples=problem.examples,
        seed=experiment.batch_seed,
        every=measured_every(problem, method),
        gradient_norm=experiment.stop.gradient_norm,
        explosion=experiment.stop.explosion,
        early=experiment.stop.early,
        validation=problem.validation_value if problem.held_out is not None else None,
    )


def init(experiment: Experiment, method: int = 0) -> State:
    """The state at step 0 of an experiment without interventions. Pure. Raises: as `build` and `stage_of`.

    >>> from nnopt.runs.experiment import default_experiment
    >>> init(default_experiment()).theta.shape
    (33,)
    """
    problem = build(experiment)
    return stage_of(problem, method).init(problem.initial())


def step(experiment: Experiment, state: State, method: int = 0) -> State:
    """The state after `state` in an experiment without interventions. Pure: the same bits on every call.

    It builds the problem each time; `Run` does the same once. Raises: as `build` and `stage_of`.

    >>> from nnopt.runs.experiment import default_experiment
    >>> experiment, run = default_experiment(), Run(default_experiment())
    >>> run.advance(2)
    2
    >>> step(experiment, step(experiment, init(experiment))).same_bits(run.state)
    True
    """
    return stage_of(build(experiment), method).step(state)


class Run:
    """A run of one method of an experiment.

    experiment: the spec. interventions: what happens to it at which step; those of step t are made when it arrives at
    t. method: which of the experiment's methods, from 0. memory: bounds of the log.

    Raises: NnoptError for data, shapes and methods that do not fit, as `build` and `stage_of` say.

    >>> from nnopt.runs.experiment import default_experiment
    >>> run = Run(default_experiment())
    >>> run.advance(100), run.state.step, run.outcome.kind
    (100, 100, 'running')
    >>> run.history.seek(50).same_bits(Run.replay(run.recording).history.seek(50))
    True
    """

    def __init__(
        self,
        experiment: Experiment,
        interventions: Iterable[Intervention] = (),
        method: int = 0,
        memory: Memory | None = None,
    ) -> None:
        one_thread()
        problem = build(experiment)
        stage = stage_of(problem, method)
        self.method = method
        start = stage.init(problem.initial())
        era = Era(start, stage, problem, experiment, make=self._stage_of, note=self._unbatched(problem, None))
        self._base = experiment
        self._pending = sorted(interventions, key=lambda intervention: intervention.step)
        self._extended = 0
        self._loop = Loop(era, experiment.steps, memory)
        self._apply_due()

    @classmethod
    def replay(cls, recording: Recording, method: int = 0) -> Run:
        """The recorded run done again, up to its recorded length. Raises: as the constructor."""
        run = cls(recording.experiment, recording.interventions, method)
        run.extend(recording.length)
        run.advance(recording.length)
        return run

    def __repr__(self) -> str:
        return f"<Run: {self.history._in_words()}>"

    # ---- what it is now

    @property
    def history(self) -> History:
        """The log; readable from any thread."""
        return self._loop.history

    @property
    def state(self) -> State:
        """The newest state."""
        return self._loop.head.state

    @property
    def outcome(self) -> Outcome:
        """How the run stands at its newest state."""
        return self.history.outcome

    @property
    def experiment(self) -> Experiment:
        """The experiment in force at the newest state."""
        return self.problem.experiment

    @property
    def problem(self) -> Problem:
        """Data, network or function in force at the newest state."""
        problem = self.history._eras[-1].problem
        assert problem is not None
        return problem

    @property
    def objective(self) -> Any:
        """What is minimized at the newest state: the loss on the training examples, or the function."""
        return self.problem.objective

    @property
    def interventions(self) -> tuple[Intervention, ...]:
        """Those made, then those still to come."""
        return (*self.history.interventions, *self._pending)

    @property
    def recording(self) -> Recording:
        """Everything needed to do this run again up to its newest state."""
        return Recording(self._base, self.history.interventions, self.state.step)

    # ---- what can be done with it

    def advance(self, steps: int, should_stop: Callable[[], bool] | None = None) -> int:
        """Make up to `steps` updates and return how many were made: fewer if the run ends (see `outcome`), or once
        `should_stop()`, asked before each, is true.

        What the objective raises goes through as it is; the run stays at its last good state. An intervention that is
        due and not valid raises NnoptError, with the run at the step before it takes effect.
        """
        target = self.state.step + steps
        made = 0
        while True:
            self._apply_due()
            now = self.state.step
            if now >= target or not self.outcome.running:
                return made
            stop = min(target, self._pending[0].step) if self._pending else target
            advanced = self._loop.advance(stop - now, should_stop)
            made += advanced
            if self.state.step < stop and self.outcome.running:
                return made

    def extend(self, steps: int) -> None:
        """See that the run may go on to step `steps` at least; a stopped run goes on. Not an intervention: the states
        do not depend on it."""
        self._extended = max(self._extended, steps)
        self._set_limit()
        self._loop.judge()

    def intervene(self, change: AnyChange) -> Intervention:
        """Make a change at the newest state; its row of the log is evaluated anew, and the run goes on from it.

        A change of settings keeps the method's memory, a change of method or of the point starts it anew. An ended run
        may be running again after it: early stopping counts its patience anew from every change on. Returns the
        intervention as recorded.

        Raises: NnoptError if the change is not valid; the run is then as it was.
        """
        intervention = Intervention(self.state.step, change)
        self._make(intervention)
        return intervention

    def fork(self, step: int) -> Run:
        """An independent run, equal to this one up to `step` (its interventions included), that goes on from there.

        The log is copied, not recomputed; nothing mutable is shared.

        Raises: SettingsError if the step is not in the history.
        """
        fork = Run.__new__(Run)
        fork.method = self.method
        fork._base = self._base
        fork._pending = []
        fork._extended = self._extended
        fork._loop = self._loop.fork(step)
        fork._set_limit()
        fork._loop.judge()
        return fork

    def _apply_due(self) -> None:
        while self._pending and self._pending[0].step <= self.state.step:
            self._make(self._pending[0])
            del self._pending[0]

    def _make(self, intervention: Intervention) -> None:
        change, state = intervention.change, self.state
        era = self.history._eras[-1]
        problem = self.problem.changed(change)
        stage = stage_of(problem, self.method)
        if isinstance(change, MoveTo):
            moved = stage.init(change.theta)  # type: ignore[arg-type]
            state = msgspec.structs.replace(moved, step=state.step)
        elif type(stage.optimizer) is not type(era.stage.optimizer):
            state = State(state.step, state.theta, stage.fresh_slots(state.theta))
        else:
            slots = stage.optimizer.adopt(era.stage.optimizer, state.theta, state.slots)
            state = State(state.step, state.theta, slots)
        head = stage.arrive(state)
        earlier, before = (era.changes, era.previous) if era.start == state.step else ((), era)
        changes = (*superseded(earlier, change), intervention)
        note = self._unbatched(problem, before)
        watch = Watch() if self.problem.remeasures(change) else self.history._watch_before(state.step).renewed()
        changed = Era(state, stage, problem, problem.experiment, changes, self._stage_of, note, watch)
        self._loop.limit = max(problem.experiment.steps, self._extended)
        self._loop.begin(changed, head)

    @property
    def _stage_of(self) -> Callable[[Problem], Stage]:
        return partial(stage_of, method=self.method)

    def _unbatched(self, problem: Problem, before: Era | None) -> str:
        """What must be said of batches of a function, if they are not those of the stretch before."""
        batches = problem.experiment.methods[self.method].batches
        known = None if before is None or before.experiment is None else before.experiment.methods[self.method].batches
        return "" if problem.examples is not None or isinstance(batches, Full) or batches == known else UNBATCHED

    def _set_limit(self) -> None:
        self._loop.limit = max(self.experiment.steps, self._extended)


__all__ = ["Memory", "Outcome", "Run", "State", "init", "stage_of", "step"]
