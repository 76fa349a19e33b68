"""Restarts: an experiment from many seeds, in this process or in parts on many workers.

Each part goes through the batched kernels (together.py); parts are handed out as a sweep's runs are (runs/tasks.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import islice
from operator import index
from time import perf_counter
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nnopt import errors
from nnopt.analysis.restarts_result import Restarts, joined
from nnopt.analysis.together import Ensemble, train_together
from nnopt.errors import NnoptError, SettingsError, UnsupportedError
from nnopt.runs.experiment import MAX_SEED, Experiment, NetworkProblem, check_experiment
from nnopt.runs.parcels import Parcel, needs_of, text_of
from nnopt.runs.problem import build
from nnopt.runs.spacing import measured_every
from nnopt.runs.sweep_values import LIMIT
from nnopt.runs.tasks import WorkersGone, carry_out, usable_processors, workers_for

Array: TypeAlias = npt.NDArray[Any]

#: seeds of a part, at most: many, as the kernels want them (of a small network, 8 together take 1.3 times as long per
#: run as 64), and few enough that a lost worker costs little
MOST = 32
#: where nobody says where: seconds tried here, and expected seconds from which several processes are worth their start
TRIED, WORTH = 0.3, 3.0
#: seconds between reports of progress
TOLD = 0.2


def restart(
    experiment: Experiment,
    seeds: Sequence[int],
    method: int = 0,
    dtype: npt.DTypeLike = np.float64,
    should_stop: Callable[[], bool] | None = None,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Callable[[float], object] | None = None,
) -> Restarts:
    """An experiment on a network from other initial weights, together: what the start alone makes of it.

    The initial weights are those of each seed; data, split and batches stay those of the experiment.

    seeds (K,): the order of the results. method: which of the experiment's. dtype: float64, or float32, which is about
    twice as fast. executor: any `concurrent.futures.Executor`; workers: so many processes of this machine (1: this
    process); cluster: the address of a Dask scheduler. With none of the three the runs begin in this process, and if
    they are going to take longer than some seconds, they are made by one process per processor instead. On workers the
    seeds are made in parts of up to 32, and the part of a worker that is lost is made again.

    A run depends on its seed alone: on one machine its bits are the same wherever it is made and whatever is made
    beside it; it agrees with a `Run` of that seed to rounding.

    should_stop: once it is true, no more updates are made. Runs made here are then as far as they have come
    ("running"); of runs made by workers, those whose part has ended are returned, and the others are left out (`seeds`
    says which are there). progress: told the share that is done, from 0 to 1, now and then; after every part of
    workers. An interrupt ends the processes that were started here.

    Raises: UnsupportedError for an experiment on a function (its start is no matter of chance) and for classes of a
    script on workers; SettingsError; as `build`; WorkersGone if there is nobody left to make the runs.

    >>> from nnopt.runs.experiment import default_experiment, set_path
    >>> found = restart(set_path(default_experiment(), "steps", 20), seeds=range(3))
    >>> found.theta.shape, found.outcomes[0].kind
    ((3, 33), 'stopped')
    """
    job = _Job(experiment, seeds, method, np.dtype(dtype))
    stop = should_stop if should_stop is not None else lambda: False
    told = progress if progress is not None else lambda share: None
    if executor is None and workers is None and cluster is None:
        here = _Here(job, stop)
        here.advance(TRIED)
        if not here.is_long or len(job.seeds) < 2 or usable_processors() < 2 or job.homeless:
            return here.finish(told)
    with workers_for("restart", len(job.seeds), job.homeless, executor, workers, cluster) as chosen:
        return _Here(job, stop).finish(told) if chosen is None else _on_workers(job, chosen, stop, told)


class _Job:
    """What is to be done, checked: its runs can begin."""

    def __init__(self, experiment: Experiment, seeds: Sequence[int], method: int, dtype: np.dtype[Any]) -> None:
        check_experiment(experiment)
        if not isinstance(experiment.problem, NetworkProblem):
            raise UnsupportedError("restart: a function has one start and no seed; give `train_together` the starts")
        if not isinstance(method, int) or not 0 <= method < len(experiment.methods):
            raise SettingsError(f"method: expected 0 .. {len(experiment.methods) - 1}, got {method!r}")
        self.seeds = _whole_numbers(seeds)
        self.experiment, self.method, self.dtype = experiment, method, dtype
        self.problem = build(experiment)
        # whatever does not fit is said here, not by some worker
        self.ensemble(self.seeds[:1])
        self._needs = needs_of([experiment])
        self.homeless = self._needs.homeless

    def ensemble(self, seeds: Sequence[int]) -> Ensemble:
        """The runs of some seeds, at their start."""
        chosen = self.experiment.methods[self.method]
        return Ensemble(
            self.problem.objective, chosen.optimizer, [self.problem.initial(seed) for seed in seeds],
            schedule=chosen.schedule, batches=chosen.batches, seeds=seeds, batch_seed=self.experiment.batch_seed,
            every=measured_every(self.problem, self.method), stop=self.experiment.stop,
            held_out=self.problem.held_out, dtype=self.dtype,
        )  # fmt: skip

    def nothing(self) -> Restarts:
        """What there is before any run is made."""
        empty, none = np.empty(0), np.empty(0, dtype=np.int64)
        return Restarts(none, np.empty((0, self.problem.size)), empty, (), none, np.empty((0, 0)))

    def parts(self, workers: int) -> Iterator[Part]:
        """All seeds, in order, as tasks for so many workers."""
        parcel = text_of(self.experiment), self._needs.plugins, self._needs.modules
        count = len(self.seeds)
        size = min(MOST, math.ceil(count / workers))
        # as many for each worker, so that all end at about the same time
        rounds = math.ceil(math.ceil(count / size) / workers)
        for some in np.array_split(np.array(self.seeds, dtype=np.int64), min(rounds * workers, count)):
            yield Part(*parcel, tuple(some.tolist()), self.method, self.dtype.name)


class _Here:
    """The runs of a job in this process."""

    def __init__(self, job: _Job, stop: Callable[[], bool]) -> None:
        self._ensemble = job.ensemble(job.seeds)
        self._steps, self._stop = job.experiment.steps, stop
        self._seconds = 0.0

    @property
    def done(self) -> bool:
        """Whether no update is left to be made."""
        return self._ensemble.step >= self._steps or not self._ensemble.running or self._stop()

    @property
    def is_long(self) -> bool:
        """Whether the rest is expected to take so long that it is worth starting processes."""
        made = self._ensemble.step
        return not self.done and self._seconds / max(made, 1) * (self._steps - made) > WORTH

    def advance(self, seconds: float) -> None:
        """Make updates, one at least, for that long."""
        ensemble, began, first = self._ensemble, perf_counter(), self._ensemble.step

        def enough() -> bool:
            return self._stop() or (ensemble.step > first and perf_counter() - began > seconds)

        ensemble.advance(self._steps - first, enough)
        self._seconds += perf_counter() - began

    def finish(self, told: Callable[[float], object]) -> Restarts:
        """Make the rest."""
        while not self.done:
            told(self._ensemble.step / self._steps)
            self.advance(TOLD)
        if self._ensemble.running and self._ensemble.step < self._steps:
            return self._ensemble.result()
        told(1.0)
        return self._ensemble.ended()


def _whole_numbers(seeds: Sequence[int]) -> tuple[int, ...]:
    try:
        numbers = tuple(index(seed) for seed in islice(seeds, LIMIT + 1))
    except TypeError:
        numbers = ()
    if not numbers or not all(0 <= number <= MAX_SEED for number in numbers):
        raise SettingsError(f"seeds: expected one or more whole numbers from 0 to 2^63 - 1, got {seeds!r:.200}")
    if len(numbers) > LIMIT:
        raise SettingsError(f"seeds: expected at most {LIMIT:,} of them, got more")
    return numbers


# ---- on workers


class Part(Parcel, frozen=True):
    """Some seeds of an experiment in its parcel. method: which of its methods. dtype: name of the precision.

    >>> Part("{}", seeds=(3, 4)).dtype
    'float64'
    """

    seeds: tuple[int, ...] = ()
    method: int = 0
    dtype: str = "float64"


class Failure(msgspec.Struct, frozen=True):
    """Why a part could not be made: name of the error's class, and its text.

    >>> perform(Part("[]", seeds=(3,))).kind
    'SpecError'
    """

    kind: str
    reason: str


def perform(part: Part) -> Restarts | Failure:
    """Make the runs of a part. Whatever is raised is its result: to try again would change nothing.

    >>> from nnopt.runs.experiment import default_experiment, dumps
    >>> text = dumps(default_experiment()).replace("5000", "5")
    >>> perform(Part(text, seeds=(3, 4))).seeds
    array([3, 4])
    """
    try:
        job = _Job(part.open("restart"), part.seeds, part.method, np.dtype(part.dtype))
        # the data are where the parts are put together, too
        return replace(_Here(job, lambda: False).finish(lambda share: None), objective=None)
    except NnoptError as error:
        return Failure(type(error).__name__, str(error))
    except Exception as error:  # a plug-in's own
        return Failure(NnoptError.__name__, " ".join(f"{type(error).__name__}: {error}".split()))


def _on_workers(job: _Job, executor: Executor, stop: Callable[[], bool], told: Callable[[float], object]) -> Restarts:
    parts = list(job.parts(getattr(executor, "workers", None) or usable_processors()))
    made: dict[int, Restarts] = {}
    failures: list[Failure] = []
    told(0.0)

    def take(number: int, answer: Restarts | Failure) -> None:
        if isinstance(answer, Failure):
            failures.append(answer)
        else:
            made[number] = answer
            told(sum(len(found.seeds) for found in made.values()) / len(job.seeds))

    def lost(number: int, reason: str) -> None:
        seeds = parts[number].seeds
        failures.append(Failure(NnoptError.__name__, f"restart: seeds {seeds[0]} .. {seeds[-1]}: {reason}"))

    try:
        carry_out(perform, enumerate(parts), executor, take, lost, lambda: bool(failures) or stop())
    except WorkersGone as error:
        done = sum(len(found.seeds) for found in made.values())
        text = f"restart: the workers are gone ({error}); {done} of {len(job.seeds)} seeds are done, and lost"
        raise WorkersGone(text) from error.__cause__
    if failures:
        raise getattr(errors, failures[0].kind, NnoptError)(failures[0].reason)
    return joined([made[number] for number in sorted(made)] or [job.nothing()], job.problem.objective)


__all__ = ["Ensemble", "Failure", "Part", "Restarts", "WorkersGone", "perform", "restart", "train_together"]
