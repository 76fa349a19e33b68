"""Sweeps: one experiment run over and over while some of its settings take many values, on many processes at once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.errors import SettingsError, unknown_name
from nnopt.runs import tasks
from nnopt.runs.experiment import Experiment
from nnopt.runs.sweep_axes import Axes
from nnopt.runs.sweep_plan import Plan
from nnopt.runs.sweep_record import Record
from nnopt.runs.sweep_task import FAILED, Result, perform
from nnopt.runs.tasks import WorkersGone, usable_processors

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class SweepResult(Mapping[str, Array]):
    """The table of a sweep: column name -> array (N,), one entry per run, in the order of the runs.

    axes: names of the settings. shape: how many values each has; N = their product for a complete sweep. The other
    columns are `index` and the fields of `Result`: outcome, reason, steps_made, training_loss, validation_loss,
    training_accuracy, validation_accuracy, gradient_norm, best_validation_loss, best_step, seconds.

    >>> from nnopt.runs.experiment import default_experiment
    >>> result = sweep(default_experiment(), {"lr": [0.1, 0.5, 2.5], "seed": "0..1", "steps": 3}, workers=1)
    >>> result["lr"].tolist(), result.grid("training_loss").shape
    ([0.1, 0.1, 0.5, 0.5, 2.5, 2.5], (3, 2, 1))
    >>> result  # doctest: +ELLIPSIS
    <SweepResult: 6 runs, lr (3) x seed (2) x steps (1): 6 stopped; columns index, lr, seed, steps, outcome, ...>
    """

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    columns: dict[str, Array] = field(repr=False)

    def __getitem__(self, name: str) -> Array:
        if name not in self.columns:
            raise KeyError(str(unknown_name("column", name, self.columns)))
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        made, all_runs = len(self.columns["index"]), math.prod(self.shape)
        runs = f"{made:,} runs" if made == all_runs else f"{made:,} of {all_runs:,} runs"
        axes = " x ".join(f"{name} ({size})" for name, size in zip(self.axes, self.shape, strict=True))
        kinds, counts = np.unique(self.columns["outcome"], return_counts=True)
        ends = ", ".join(f"{count:,} {kind}" for kind, count in zip(kinds, counts, strict=True)) or "none has ended"
        return f"<SweepResult: {runs}, {axes}: {ends}; columns {', '.join(self)}>"

    @property
    def complete(self) -> bool:
        """Whether every run is there."""
        return len(self.columns["index"]) == math.prod(self.shape)

    @property
    def best(self) -> int | None:
        """Row of the lowest validation loss (of the lowest training loss where nothing is held out): that of a run's
        last state, or of its best one if it was stopped early. None if there is none that is finite."""
        early = self.columns["outcome"] == "stopped_early"
        kept = np.where(early, self.columns["best_validation_loss"], self.columns["validation_loss"])
        for losses in (kept, self.columns["training_loss"]):
            if np.isfinite(losses).any():
                return int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))
        return None

    def grid(self, name: str) -> Array:
        """A column as an array of `shape`, one dimension per axis. Raises: SettingsError if runs are missing."""
        if not self.complete:
            raise SettingsError(f"sweep: {len(self['index'])} of {math.prod(self.shape)} runs are there: no grid yet")
        return self[name].reshape(self.shape)


class Sweep:
    """A sweep that can be watched, interrupted and gone on with; `sweep` is the short way.

    experiment, axes, out: as in `sweep`. Raises: as `sweep` does before the first run.

    >>> from nnopt.runs.experiment import default_experiment
    >>> with Sweep(default_experiment(), {"lr": [0.1, 0.5], "steps": 5}) as whole:
    ...     whole.run(progress=lambda result: print(result.outcome))
    ...     whole.result()["lr"]
    stopped
    stopped
    array([0.1, 0.5])
    """

    def __init__(self, experiment: Experiment, axes: Axes, out: str | os.PathLike[str] | None = None) -> None:
        self.plan = Plan(experiment, axes)
        self.record = Record(self.plan, out)

    def __enter__(self) -> Sweep:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.record.close()

    def run(self, executor: Executor | None = None, progress: Callable[[Result], None] | None = None) -> None:
        """Make the remaining runs; each is in the record as soon as it has ended. executor: None: in this process.

        An interrupt leaves what has ended in the record, and what has been submitted cancelled as far as it can be.
        """

        def take(index: int, result: Result) -> None:
            self.record.add(index, result)
            if progress is not None:
                progress(result)

        def lost(index: int, reason: str) -> None:
            take(index, Result(FAILED, reason))

        todo = ((index, self.plan.task(index)) for index in self.record.remaining)
        try:
            tasks.carry_out(perform, todo, executor, take, lost)
        except WorkersGone as error:
            total = len(self.plan)
            done = total - len(self.record.remaining)
            text = f"sweep: the workers are gone ({error}); {done} of {total} runs are done"
            raise WorkersGone(text) from error.__cause__
        self.record.finish()

    def result(self) -> SweepResult:
        """The table of the runs made so far."""
        rows = sorted(self.record.results.items())
        columns: dict[str, Array] = {"index": np.array([index for index, _ in rows], dtype=np.int64)}
        chosen = [self.plan.places(index) for index, _ in rows]
        places = np.array(chosen, dtype=np.int64).reshape(-1, len(self.plan.axes))
        for number, axis in enumerate(self.plan.axes):
            numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in axis.values)
            columns[self.plan.names[number]] = np.array(axis.values if numeric else axis.labels)[places[:, number]]
        kinds: dict[str, type] = {"outcome": str, "reason": str, "steps_made": int}
        for name in Result.__struct_fields__:
            values = [getattr(result, name) for _, result in rows]
            columns[name] = np.array(values, dtype=kinds.get(name, float))
        return SweepResult(self.plan.names, self.plan.shape, columns)


def sweep(
    experiment: Experiment,
    axes: Axes,
    executor: Executor | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Callable[[Result], None] | None = None,
) -> SweepResult:
    """Run an experiment with every combination of some settings, and return the table of how the runs ended.

    axes: setting -> its values, such as {"lr": [0.01, 0.1], "seed": range(10)}, or texts as on the command line,
    ["lr=0.01..1:log:20", "seed=0..9"]; how names and texts are read: `nnopt.runs.sweep_axes.axes_of`.
    executor: any `concurrent.futures.Executor`; by default `workers` processes of this machine (None: one per usable
    processor; 1: this process), or with `cluster` the Dask cluster at that address.
    out: a CSV file that gets a row as each run ends. If it is there already, only the runs that it lacks are made.
    progress: called after each run with its `Result`.

    A run that diverges is an outcome, one that raises an error is "failed", with its reason: the others go on. A run
    depends on its settings alone, not on where or when it is made (its `seconds` do).

    Raises: SettingsError for axes that do not fit; SpecError for a file that belongs to something else; WorkersGone if
    there is nobody left to make the runs.

    >>> from nnopt.runs.experiment import default_experiment
    >>> table = sweep(default_experiment(), ["lr=0.1..1:log:2", "steps=20"], workers=1)
    >>> table["lr"].tolist(), table["outcome"].tolist()
    ([0.1, 1.0], ['stopped', 'stopped'])
    """
    with Sweep(experiment, axes, out) as whole:
        with workers_for(whole, executor, workers, cluster) as chosen:
            whole.run(chosen, progress)
        return whole.result()


def workers_for(
    sweep: Sweep, executor: Executor | None = None, workers: int | None = None, cluster: str | None = None
) -> AbstractContextManager[Executor | None]:
    """Where the runs of a sweep are made: the executor given, a cluster, processes, or this process (None); the rest as
    in `nnopt.runs.tasks.workers_for`.

    >>> from nnopt.runs.experiment import default_experiment
    >>> with Sweep(default_experiment(), ["seed=0..9"]) as whole, workers_for(whole, workers=1) as executor:
    ...     print(executor)
    None
    """
    return tasks.workers_for("sweep", len(sweep.record.remaining), sweep.plan.homeless, executor, workers, cluster)


__all__ = ["Sweep", "SweepResult", "WorkersGone", "sweep", "usable_processors", "workers_for"]
