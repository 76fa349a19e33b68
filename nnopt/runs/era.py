"""A stretch of a run between interventions, and how its data are let go of and made again."""

from __future__ import annotations

from collections.abc import Callable

from nnopt.optimizers.linear import length_of
from nnopt.optimizers.stopping import Watch
from nnopt.runs.changes import AddExample, Intervention, MoveExample, RemoveExample
from nnopt.runs.experiment import Experiment
from nnopt.runs.log import Layout
from nnopt.runs.problem import Problem
from nnopt.runs.stage import Stage
from nnopt.runs.state import State


class Era:
    """A stretch of a run between interventions. start: its first step; state: the state there, changes made; scale: the
    length of theta there, at least 1, against which an exploding step is measured. previous: the stretch before it;
    epochs: passes over the examples made before `start`. note: what must be said where it starts. watch: what early
    stopping has seen before the measurement at `start`.

    make: the stage on a problem. With it, stage and problem (that is, the data) may be let go of: they are made again
    from those of an earlier stretch and the changes since, the same to the last bit.

    >>> from nnopt.runs.changes import MoveTo
    >>> from nnopt.runs.run import Run
    >>> from nnopt.objectives import functions
    >>> from nnopt.runs.experiment import FunctionProblem
    >>> run = Run(Experiment(FunctionProblem(functions.get("bowl"), start=(8.0,))))
    >>> run.advance(5), run.intervene(MoveTo((4.0,))).step
    (5, 5)
    >>> [run.history.era_at(step).start for step in (0, 4, 5)]
    [0, 0, 5]
    """

    __slots__ = (
        "_built", "changes", "epochs", "experiment", "layout", "make", "note", "previous", "scale", "start", "state",
        "watch",
    )  # fmt: skip

    def __init__(
        self,
        state: State,
        stage: Stage,
        problem: Problem | None,
        experiment: Experiment | None,
        changes: tuple[Intervention, ...] = (),
        make: Callable[[Problem], Stage] | None = None,
        note: str = "",
        watch: Watch | None = None,
    ) -> None:
        self.start = state.step
        self.state = state
        self.experiment = experiment
        self.changes = changes
        self.make = make
        self.note = note
        self.watch = watch if watch is not None else Watch()
        self.previous: Era | None = None
        self.epochs = 0.0
        # one attribute, replaced whole: readers on other threads see a stage and its problem together
        self._built: tuple[Stage, Problem | None] | None = (stage, problem)
        self.layout = Layout(state)
        self.scale = max(1.0, length_of(state.theta))

    @property
    def stage(self) -> Stage:
        """What determines its updates."""
        return self._made()[0]

    @property
    def problem(self) -> Problem | None:
        """Data, network or function, and objective; None for a run made by `minimize`."""
        return self._made()[1]

    @property
    def released(self) -> bool:
        """Whether stage and problem have to be made again when they are asked for."""
        return self._built is None

    @property
    def bytes(self) -> int:
        """About what its problem takes beyond that of the stretch before."""
        problem = None if self._built is None else self._built[1]
        edited = any(isinstance(done.change, (AddExample, MoveExample, RemoveExample)) for done in self.changes)
        return problem.bytes if problem is not None and edited else 0

    def epoch(self, step: int) -> float:
        """Passes over the training examples made before one of its steps."""
        stage = self.stage
        return self.epochs + stage.epoch(step) - stage.epoch(self.start)

    def release(self) -> None:
        """Let go of stage and problem, where they can be made again."""
        if self.previous is not None and self.make is not None:
            self._built = None

    def _made(self) -> tuple[Stage, Problem | None]:
        built = self._built
        if built is None:
            assert self.make is not None
            changes, era = [*reversed(self.changes)], self.previous
            while era is not None and (built := era._built) is None:
                changes.extend(reversed(era.changes))
                era = era.previous
            assert built is not None
            problem = built[1]
            assert problem is not None
            for done in reversed(changes):
                problem = problem.changed(done.change)
            built = self._built = (self.make(problem), problem)
        return built
