"""Many tasks on many workers: handed out, taken back as they end, done again where a worker was lost.

What sweeps and restarts have in common. Workers are those of any `concurrent.futures.Executor`: processes of this
machine (processes.py), a Dask cluster (cluster.py), or nobody but this process.
"""

from __future__ import annotations

import os
import queue
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from typing import Generic, TypeVar

from nnopt.errors import NnoptError, SettingsError, UnsupportedError
from nnopt.runs.cluster import cluster as cluster_of
from nnopt.runs.processes import Processes

#: tasks submitted and not yet done, at most; and how often a task is tried whose worker is lost
IN_FLIGHT, ATTEMPTS = 1000, 3
#: seconds after which somebody who waits looks up: at an interrupt, at a cluster that is gone
PATIENCE = 0.1

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkersGone(NnoptError):
    """The executor takes no more tasks: its workers, or the cluster's scheduler, have ended. What was done is kept.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> executor = ThreadPoolExecutor(1)
    >>> executor.shutdown()
    >>> carry_out(abs, [(0, -1)], executor, print)
    Traceback (most recent call last):
    nnopt.runs.tasks.WorkersGone: cannot schedule new futures after shutdown
    """


def carry_out(
    perform: Callable[[Task], Result],
    tasks: Iterable[tuple[int, Task]],
    executor: Executor | None,
    take: Callable[[int, Result], object],
    lost: Callable[[int, str], object] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> None:
    """Have every task (number, task) done, and call take(number, perform(task)) here as each ends, in any order.

    perform: a function of a module, which must not raise: an exception means that the worker was lost, and the task is
    done again, up to three times; then lost(number, reason) is told (None: it is an error). tasks: drawn as they are
    needed. executor: None: this process, one after the other. should_stop: asked before each task and, while waiting,
    ten times a second; once it is true, and at an interrupt, what is submitted is cancelled as far as it can be, and
    what has ended by then is still taken.

    Every task's result is taken once at most, and exactly once where this returns without having been stopped.
    Raises: WorkersGone if there is nobody left; whatever `take` raises.

    >>> carry_out(abs, enumerate([-3, 4]), None, print)
    0 3
    1 4
    """
    _Round(perform, executor, take, lost).carry_out(iter(tasks), should_stop)


class _Round(Generic[Task, Result]):
    """One call of `carry_out`: who has which task, and what has come back."""

    def __init__(
        self,
        perform: Callable[[Task], Result],
        executor: Executor | None,
        take: Callable[[int, Result], object],
        lost: Callable[[int, str], object] | None,
    ) -> None:
        self._perform, self._executor, self._take, self._lost = perform, executor, take, lost
        self._pending: dict[int, tuple[Task, Future[Result]]] = {}
        self._ended: queue.SimpleQueue[tuple[int, Future[Result]]] = queue.SimpleQueue()
        self._again: list[tuple[int, Task]] = []
        self._losses: Counter[int] = Counter()

    def carry_out(self, tasks: Iterator[tuple[int, Task]], should_stop: Callable[[], bool] | None) -> None:
        stop = should_stop if should_stop is not None else lambda: False
        try:
            while not stop():
                while len(self._pending) < IN_FLIGHT and self._ended.empty():
                    task = self._again.pop() if self._again else next(tasks, None)
                    if task is None:
                        break
                    self._submit(*task)
                if not self._pending:
                    break
                ended = self._next(stop)
                if ended is not None:
                    self._settle(*ended)
        except WorkersGone:
            # there is nobody left who could cancel anything
            self._pending.clear()
            raise
        finally:
            for _, future in self._pending.values():
                future.cancel()
            self._take_rest()

    def _submit(self, number: int, task: Task) -> None:
        if self._executor is None:
            future: Future[Result] = Future()
            future.set_result(self._perform(task))
        else:
            try:
                future = self._executor.submit(self._perform, task)
            except Exception as error:  # every kind of executor has its own word for "closed"
                raise WorkersGone(_words(error)) from error
        self._pending[number] = task, future
        future.add_done_callback(lambda done: self._ended.put((number, done)))

    def _next(self, stop: Callable[[], bool]) -> tuple[int, Future[Result]] | None:
        """The next task that has ended, None once one is to stop; an interrupt is noticed on every system."""
        while True:
            # asked first: what ended before the connection was lost is taken
            gone = getattr(self._executor, "gone", "")
            try:
                return self._ended.get(timeout=PATIENCE)
            except queue.Empty:
                if gone:
                    raise WorkersGone(gone) from None
                if stop():
                    return None

    def _settle(self, number: int, future: Future[Result]) -> None:
        """Take a task's result; where its worker was lost it is to be done again."""
        task, _ = self._pending.pop(number)
        try:
            result = future.result()
        except BrokenExecutor as error:
            raise WorkersGone(_words(error)) from error
        except Exception as error:  # tasks do not raise: this is the worker's
            self._losses[number] += 1
            if self._losses[number] < ATTEMPTS:
                self._again.append((number, task))
                return
            reason = f"its worker was lost {ATTEMPTS} times: {_words(error)}"
            if self._lost is None:
                raise NnoptError(f"task {number}: {reason}") from error
            self._lost(number, reason)
            return
        self._take(number, result)

    def _take_rest(self) -> None:
        """What ended in the meantime is not lost when all ends early."""
        while not self._ended.empty():
            number, future = self._ended.get()
            if not future.cancelled() and future.exception() is None:
                self._take(number, future.result())


@contextmanager
def workers_for(
    what: str,
    tasks: int,
    homeless: Sequence[str] = (),
    executor: Executor | None = None,
    workers: int | None = None,
    cluster: str | None = None,
) -> Iterator[Executor | None]:
    """Who does the tasks: the executor given, the Dask cluster at an address, processes of this machine (workers; None:
    one per usable processor, never more than tasks), or this process (None), where one process is enough.

    what: for messages. homeless: names of classes that other processes cannot find. Processes that were started here
    have ended afterwards, whatever they were doing.

    Raises: SettingsError for more than one choice; UnsupportedError for homeless classes.

    >>> with workers_for("example", tasks=3, workers=1) as executor:
    ...     print(executor)
    None
    """
    if sum(choice is not None for choice in (executor, workers, cluster)) > 1:
        raise SettingsError(f"{what}: expected one of executor, workers and cluster, got several")
    if workers is not None and workers < 1:
        raise SettingsError(f"{what}: workers: expected a whole number >= 1, got {workers!r}")
    count = min(usable_processors() if workers is None else workers, tasks)
    if executor is not None or not tasks or (cluster is None and count == 1):
        yield executor
        return
    if homeless:
        raise UnsupportedError(
            f"{what}: {', '.join(homeless)}: defined in this script, where other processes cannot find it; "
            "put it into a file of its own and load that with nnopt.plugins.load_file, or use workers=1"
        )
    if cluster is not None:
        with cluster_of(cluster) as remote:
            yield remote
        return
    processes = Processes(count)
    try:
        yield processes
    finally:
        processes.kill()


def usable_processors() -> int:
    """How many processors this process may use.

    >>> usable_processors() >= 1
    True
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
