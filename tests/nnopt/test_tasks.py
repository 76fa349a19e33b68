"""Tasks on workers: every result taken once, whatever becomes of the workers; none twice when all ends early."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from nnopt.errors import NnoptError, SettingsError, UnsupportedError
from nnopt.runs import tasks
from nnopt.runs.processes import Processes, WorkerDied
from nnopt.runs.tasks import WorkersGone, carry_out, workers_for

NEVER = 10**9


class Lossy(Executor):
    """Threads of which some are lost over their tasks: before they do them, or, worse, afterwards.

    losses: task -> how often its worker is lost.
    """

    def __init__(self, losses: dict[int, int], threads: int = 3) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._left = Counter(losses)
        self._lock = threading.Lock()
        self.tried: Counter[int] = Counter()

    def submit(self, fn, /, *args):
        return self._pool.submit(self._do, fn, args[0])

    def _do(self, fn, task):
        with self._lock:
            self.tried[task] += 1
            lost, self._left[task] = self._left[task] > 0, self._left[task] - 1
        time.sleep(random.Random(task * 7 + self.tried[task]).random() * 0.003)
        result = fn(task)
        if lost:
            raise WorkerDied("gone")
        return result

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("in_flight", [1, 4, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_every_result_is_taken_exactly_once_whichever_workers_are_lost(monkeypatch, in_flight, seed):
    monkeypatch.setattr(tasks, "IN_FLIGHT", in_flight)
    chance = random.Random(seed)
    losses = {task: chance.choice([0, 0, 1, 2, NEVER]) for task in range(60)}
    taken: list[tuple[int, int]] = []
    lost: list[tuple[int, str]] = []
    with Lossy(losses) as executor:
        carry_out(
            square, ((task, task) for task in range(60)), executor, lambda *pair: taken.append(pair),
            lambda *pair: lost.append(pair),
        )  # fmt: skip
    hopeless = [task for task in losses if losses[task] == NEVER]
    assert sorted(taken) == [(task, task**2) for task in range(60) if task not in hopeless]
    assert sorted(lost) == [(task, "its worker was lost 3 times: gone") for task in hopeless]
    assert executor.tried == {task: min(count, 2) + 1 for task, count in losses.items()}


def test_a_task_nobody_can_do_is_an_error_where_nobody_is_to_be_told():
    taken = []
    with Lossy({3: NEVER}) as executor, pytest.raises(NnoptError, match="task 3: its worker was lost 3 times: gone"):
        carry_out(square, ((task, task) for task in range(5)), executor, lambda *pair: taken.append(pair))
    assert len(set(taken)) == len(taken)
    assert (3, 9) not in taken


@pytest.mark.parametrize("threads", [0, 3])
def test_one_that_is_stopped_has_taken_no_result_twice_and_begins_no_further_task(threads):
    begun: list[int] = []
    taken: list[int] = []

    def noted(task: int) -> int:
        begun.append(task)
        time.sleep(0.01)
        return task

    executor = ThreadPoolExecutor(threads) if threads else None
    carry_out(
        noted, ((task, task) for task in range(200)), executor, lambda number, result: taken.append(number),
        should_stop=lambda: len(taken) >= 7,
    )  # fmt: skip
    if executor is not None:
        executor.shutdown()
    assert 7 <= len(taken) == len(set(taken)) <= len(begun) < 50


def test_what_has_ended_at_an_interrupt_is_taken_and_the_rest_is_cancelled():
    executor = ThreadPoolExecutor(2)
    taken: list[int] = []
    begun: list[int] = []

    def noted(task: int) -> int:
        begun.append(task)
        return task

    def take(number: int, result: int) -> None:
        taken.append(number)
        if len(taken) == 5:
            # others end in the meantime
            time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(noted, ((task, task) for task in range(500)), executor, take)
    executor.shutdown()
    assert 5 <= len(taken) == len(set(taken))
    assert len(taken) <= len(begun)


def test_a_pool_that_breaks_is_nobody_left():
    class Broken(Executor):
        def submit(self, fn, /, *args):
            future: Future[int] = Future()
            future.set_exception(BrokenProcessPool("a child process\nterminated abruptly"))
            return future

    with pytest.raises(WorkersGone, match=r"^a child process terminated abruptly$"):
        carry_out(square, [(0, 0)], Broken(), lambda *pair: None)


def test_somebody_who_waits_notices_that_the_cluster_is_gone():
    class Silent(Executor):
        gone = "the scheduler is lost"

        def submit(self, fn, /, *args):
            return Future()

    began = time.monotonic()
    with pytest.raises(WorkersGone, match="the scheduler is lost"):
        carry_out(square, [(0, 0)], Silent(), lambda *pair: None)
    assert time.monotonic() - began < 5


def test_processes_started_for_some_tasks_are_no_more_than_those_and_have_ended_afterwards():
    with workers_for("test", tasks=2, workers=5) as executor:
        assert isinstance(executor, Processes)
        assert executor.workers == 2
        asleep = executor.submit(time.sleep, 60)
        while not asleep.running():
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert asleep.done()


def test_a_task_that_ends_its_process_is_said_to_have_done_so(capfd):
    with Processes(1) as executor:
        assert str(executor.submit(sys.exit, 3).exception()) == "a worker process ended with exit code 3"
        assert str(executor.submit(sys.exit, "enough").exception()) == "a worker process ended with exit code 1"
        assert executor.submit(abs, -1).result() == 1
    assert capfd.readouterr().err == ""


def test_one_place_is_enough_and_classes_of_a_script_need_this_process():
    with pytest.raises(SettingsError, match="test: expected one of executor, workers and cluster, got several"):
        workers_for("test", 3, workers=2, cluster="tcp://127.0.0.1:1").__enter__()
    with pytest.raises(SettingsError, match="test: workers: expected a whole number >= 1, got 0"):
        workers_for("test", 3, workers=0).__enter__()
    with pytest.raises(UnsupportedError, match="test: Mine: defined in this script"):
        workers_for("test", 3, ["Mine"], workers=2).__enter__()
    for nobody in ({"workers": 1}, {"workers": 2, "tasks": 1}, {"workers": 2, "tasks": 0}):
        with workers_for(**{"what": "test", "tasks": 3, "homeless": ["Mine"], **nobody}) as executor:
            assert executor is None
