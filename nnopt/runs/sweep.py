"""Sweeps: one experiment run over and over while some of its settings take many values, on many processes at once."""

from __future__ import annotations

import math
import os
import queue
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.errors import NnoptError, SettingsError, UnsupportedError, unknown_name
from nnopt.runs.experiment import Experiment
from nnopt.runs.sweep_axes import Axes
from nnopt.runs.sweep_cluster import cluster as cluster_of
from nnopt.runs.sweep_plan import Plan
from nnopt.runs.sweep_processes import Processes
from nnopt.runs.sweep_record import Record
from nnopt.runs.sweep_task import FAILED, Result, perform

#: tasks submitted and not yet done, at most; and how often a run is tried whose worker is lost
IN_FLIGHT, ATTEMPTS = 1000, 3

Array: TypeAlias = npt.NDArray[Any]
_Ended: TypeAlias = "queue.SimpleQueue[tuple[int, Future[Result]]]"


class WorkersGone(NnoptError):
    """The executor takes no more runs: its workers, or the cluster's scheduler, have ended. What was done is kept."""


@dataclass(frozen=True, eq=False)
class SweepResult(Mapping[str, Array]):
    """The table of a sweep: column name -> array (N,), one entry per run, in the order of the runs.

    axes: names of the settings. shape: how many values each has; N = their product for a complete sweep. The other
    columns are `index` and the fields of `Result`: outcome, reason, steps_made, training_loss, validation_loss,
    training_accuracy, validation_accuracy, gradient_norm, seconds.

    >>> from nnopt.runs.experiment import default_experiment
    >>> result = sweep(default_experiment(), {"lr": [0.1, 0.5, 2.5], "seed": "0..1", "steps": 3}, workers=1)
    >>> result["lr"].tolist(), result.grid("training_loss").shape
    ([0.1, 0.1, 0.5, 0.5, 2.5, 2.5], (3, 2, 1))
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

    @property
    def complete(self) -> bool:
        """Whether every run is there."""
        return len(self.columns["index"]) == math.prod(self.shape)

    @property
    def best(self) -> int | None:
        """Row of the lowest validation loss (of the lowest training loss where nothing is held out); None if there is
        none that is finite."""
        for name in ("validation_loss", "training_loss"):
            losses = self.columns[name]
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
        todo = iter(self.record.remaining)
        ended: _Ended = queue.SimpleQueue()
        pending: dict[int, Future[Result]] = {}
        lost: dict[int, int] = {}
        again: list[int] = []
        try:
            while True:
                while len(pending) < IN_FLIGHT and ended.empty():
                    index = again.pop() if again else next(todo, None)
                    if index is None:
                        break
                    pending[index] = self._submit(executor, index, ended)
                if not pending:
                    break
                index, future = self._next(ended, executor)
                del pending[index]
                result = self._outcome(index, future, lost)
                if result is None:
                    again.append(index)
                else:
                    self.record.add(index, result)
                    if progress is not None:
                        progress(result)
            self.record.finish()
        except WorkersGone:
            # there is nobody left who could cancel anything
            pending.clear()
            raise
        finally:
            for future in pending.values():
                future.cancel()
            self._keep_rest(ended)

    def result(self) -> SweepResult:
        """The table of the runs made so far."""
        rows = sorted(self.record.results.items())
        columns: dict[str, Array] = {"index": np.array([index for index, _ in rows], dtype=np.int64)}
        places = np.array([self.plan.places(index) for index, _ in rows], dtype=np.int64).reshape(len(rows), -1)
        for number, axis in enumerate(self.plan.axes):
            numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in axis.values)
            columns[self.plan.names[number]] = np.array(axis.values if numeric else axis.labels)[places[:, number]]
        kinds: dict[str, type] = {"outcome": str, "reason": str, "steps_made": int}
        for name in Result.__struct_fields__:
            values = [getattr(result, name) for _, result in rows]
            columns[name] = np.array(values, dtype=kinds.get(name, float))
        return SweepResult(self.plan.names, self.plan.shape, columns)

    def _submit(self, executor: Executor | None, index: int, ended: _Ended) -> Future[Result]:
        task = self.plan.task(index)
        if executor is None:
            future: Future[Result] = Future()
            future.set_result(perform(task))
        else:
            try:
                future = executor.submit(perform, task)
            except Exception as error:  # every kind of executor has its own word for "closed"
                raise self._gone(error) from error
        future.add_done_callback(lambda done: ended.put((index, done)))
        return future

    def _outcome(self, index: int, future: Future[Result], lost: dict[int, int]) -> Result | None:
        """What became of a run; None if its worker was lost and it must be done again."""
        try:
            return future.result()
        except BrokenExecutor as error:
            raise self._gone(error) from error
        except Exception as error:  # a run's own errors are results: this is its worker's
            lost[index] = lost.get(index, 0) + 1
            if lost[index] < ATTEMPTS:
                return None
            words = " ".join(str(error).split()) or type(error).__name__
            return Result(FAILED, f"its worker was lost {ATTEMPTS} times: {words}")

    def _next(self, ended: _Ended, executor: Executor | None) -> tuple[int, Future[Result]]:
        """The next run that has ended; an interrupt is noticed while waiting, on every system."""
        while True:
            # asked first: what ended before the connection was lost is taken
            gone = getattr(executor, "gone", "")
            try:
                return ended.get(timeout=0.5)
            except queue.Empty:
                if gone:
                    raise self._gone(gone) from None

    def _keep_rest(self, ended: _Ended) -> None:
        """What ended in the meantime is not lost when a sweep ends early."""
        while not ended.empty():
            index, future = ended.get()
            if not future.cancelled() and future.exception() is None:
                self.record.add(index, future.result())

    def _gone(self, error: Exception | str) -> WorkersGone:
        total = len(self.plan)
        done = total - len(self.record.remaining)
        words = " ".join(str(error).split()) or type(error).__name__
        return WorkersGone(f"sweep: the workers are gone ({words}); {done} of {total} runs are done")


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


@contextmanager
def workers_for(
    sweep: Sweep, executor: Executor | None = None, workers: int | None = None, cluster: str | None = None
) -> Iterator[Executor | None]:
    """Where the runs of a sweep are made: the executor given, a cluster, processes, or this process (None).

    Processes that were started here have ended afterwards; an interrupt ends them at once.
    """
    if sum(choice is not None for choice in (executor, workers, cluster)) > 1:
        raise SettingsError("sweep: expected one of executor, workers and cluster, got several")
    if workers is not None and workers < 1:
        raise SettingsError(f"sweep: workers: expected a whole number >= 1, got {workers!r}")
    count = min(usable_processors() if workers is None else workers, len(sweep.record.remaining))
    if executor is not None or not sweep.record.remaining or (cluster is None and count == 1):
        yield executor
        return
    if sweep.plan.homeless:
        raise UnsupportedError(
            f"sweep: {', '.join(sweep.plan.homeless)}: defined in this script, where other processes cannot find it; "
            "put it into a file of its own and load that with nnopt.plugins.load_file, or use workers=1"
        )
    if cluster is not None:
        with cluster_of(cluster) as remote:
            yield remote
        return
    processes = Processes(count)
    try:
        yield processes
        processes.shutdown()
    finally:
        processes.kill()


def usable_processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


__all__ = ["Sweep", "SweepResult", "WorkersGone", "sweep", "usable_processors", "workers_for"]
