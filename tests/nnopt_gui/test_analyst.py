"""The analyst: the latest request wins, coarse results come first, nothing is computed twice, errors do not end it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from laboratory import wait_until

from nnopt_gui.engine.analyst import Analyst
from nnopt_gui.engine.gate import Gate


@dataclass(frozen=True)
class Work:
    key: Any
    compute: Any


@pytest.fixture
def analyst() -> Iterator[Analyst]:
    worker = Analyst(Gate())
    worker.start()
    yield worker
    assert worker.close(5.0)


class Steps:
    """A picture in several parts, each of which waits until it is let through."""

    def __init__(self, name: str, parts: int) -> None:
        self.name, self.parts = name, parts
        self.begun = 0
        self.through = threading.Semaphore(0)

    def compute(self) -> Iterator[str]:
        for part in range(self.parts):
            self.begun += 1
            assert self.through.acquire(timeout=5.0)
            yield f"{self.name}{part}"

    @property
    def work(self) -> Work:
        return Work(self.name, self.compute)


def values(analyst: Analyst) -> list[Any]:
    return [result.value for result in analyst.results if not result.empty and result.error is None]


def test_results_arrive_coarse_to_fine_with_what_came_with_the_request(analyst):
    analyst.request("map", Work("a", lambda: iter(["coarse", "fine"])), tag="view 1")
    wait_until(lambda: any(result.final for result in analyst.results))
    assert values(analyst) == ["coarse", "fine"]
    assert {result.tag for result in analyst.results} == {"view 1"}


def test_equal_keys_are_not_computed_again(analyst):
    count = []
    work = Work("a", lambda: iter([count.append(1)]))
    assert analyst.request("map", work)
    wait_until(lambda: analyst.results)
    assert not analyst.request("map", work)
    time.sleep(0.02)
    assert len(count) == 1


def test_after_forgetting_it_is_computed_again(analyst):
    count = []
    work = Work("a", lambda: iter([count.append(1)]))
    analyst.request("map", work)
    wait_until(lambda: len(count) == 1)
    analyst.forget("map")
    assert analyst.request("map", work)
    wait_until(lambda: len(count) == 2)
    assert not analyst.request("map", work)
    assert count == [1, 1]


def test_a_newer_request_ends_the_older_one_after_its_first_result(analyst):
    old, new = Steps("old", 3), Steps("new", 1)
    analyst.request("map", old.work)
    wait_until(lambda: old.begun == 1)
    analyst.request("map", new.work)
    old.through.release()
    new.through.release()
    wait_until(lambda: any(result.final for result in analyst.results))
    assert values(analyst) == ["old0", "new0"]
    assert old.begun == 1


def test_of_many_requests_only_the_newest_is_computed(analyst):
    first = Steps("first", 1)
    analyst.request("map", first.work)
    wait_until(lambda: first.begun == 1)
    for i in range(20):
        analyst.request("map", Work(i, lambda i=i: iter([i])))
    first.through.release()
    wait_until(lambda: 19 in values(analyst))
    assert values(analyst) == ["first0", 19]


def test_a_replaced_run_drops_even_the_first_result(analyst):
    old = Steps("old", 1)
    analyst.request("map", old.work)
    wait_until(lambda: old.begun == 1)
    analyst.forget_all()
    old.through.release()
    analyst.request("map", Work("new", lambda: iter(["new"])))
    wait_until(lambda: values(analyst))
    assert values(analyst) == ["new"]


def test_every_panel_has_its_first_result_before_any_is_refined(analyst):
    analyst.gate.close()
    for owner in "abc":
        analyst.request(owner, Work(owner, lambda owner=owner: iter([f"{owner}0", f"{owner}1"])))
    analyst.gate.open()
    wait_until(lambda: len(values(analyst)) == 6)
    assert [value[1] for value in values(analyst)] == ["0", "0", "0", "1", "1", "1"]


def test_an_urgent_request_goes_before_the_others(analyst):
    first = Steps("first", 1)
    analyst.request("x", first.work)
    wait_until(lambda: first.begun == 1)
    analyst.request("map", Work("map", lambda: iter(["map"])))
    analyst.request("state", Work("state", lambda: iter(["state"])), urgent=True)
    first.through.release()
    wait_until(lambda: len(values(analyst)) == 3)
    assert values(analyst) == ["first0", "state", "map"]


def test_a_replaced_request_keeps_its_place(analyst):
    first = Steps("first", 1)
    analyst.request("x", first.work)
    wait_until(lambda: first.begun == 1)
    analyst.request("boundary", Work(0, lambda: iter(["boundary 0"])))
    analyst.request("map", Work("map", lambda: iter(["map"])))
    analyst.request("boundary", Work(1, lambda: iter(["boundary 1"])))
    first.through.release()
    wait_until(lambda: len(values(analyst)) == 3)
    assert values(analyst) == ["first0", "boundary 1", "map"]


def test_each_owner_gets_an_equal_part_of_the_time_however_much_the_others_want(analyst):
    """One takes 1 ms, one 10 ms, again and again: both get about as much time."""

    parts = {"quick": 0, "slow": 0}

    def busy(owner: str, seconds: float) -> Iterator[Any]:
        while parts["slow"] < 12:
            end = time.thread_time() + seconds
            while time.thread_time() < end:
                pass
            parts[owner] += 1
            yield None

    analyst.gate.close()
    analyst.request("slow", Work("slow", lambda: busy("slow", 0.01)))
    analyst.request("quick", Work("quick", lambda: busy("quick", 0.001)))
    analyst.gate.open()
    wait_until(lambda: parts["slow"] >= 12)
    assert 60 <= parts["quick"] <= 160


def test_who_asks_anew_while_its_picture_is_computed_gets_no_more_than_others():
    queue = Analyst(Gate())  # its threads are not needed: the parts are computed here, one by one
    done = []

    def work(owner: str, number: int) -> Work:
        def compute() -> Iterator[str]:
            if owner == "eager":
                queue.request("eager", work("eager", number + 1))
            end = time.thread_time() + 0.002
            while time.thread_time() < end:
                pass
            done.append(owner)
            yield owner

        return Work((owner, number), compute)

    for owner in ("eager", "other"):
        queue.request(owner, work(owner, 0))
    while len(done) < 60:
        job = queue._next(queue._hands[0])
        assert job is not None
        queue._one(job)
        if job.owner == "other":  # asks anew once it has been shown
            queue.request("other", work("other", len(done)))
    assert 25 <= done.count("eager") <= 35


def test_what_is_forgotten_is_not_handed_out_later(analyst):
    analyst.request("map", Work("a", lambda: iter(["old"])))
    analyst.request("boundary", Work("b", lambda: iter(["kept"])))
    wait_until(lambda: sum(result.final for result in analyst.results) == 2)
    analyst.forget("map")
    assert values(analyst) == ["kept"]


def test_quick_work_does_not_wait_for_heavy_work(analyst):
    heavy = Steps("heavy", 1)
    analyst.request("landscape", heavy.work, heavy=True)
    wait_until(lambda: heavy.begun == 1)
    for i in range(3):
        analyst.request("boundary", Work(i, lambda i=i: iter([i])))
        wait_until(lambda i=i: i in values(analyst))
    assert not any(value == "heavy0" for value in values(analyst))
    heavy.through.release()
    wait_until(lambda: "heavy0" in values(analyst))


def test_between_two_parts_that_show_nothing_others_go_first(analyst):
    order = []

    def long() -> Iterator[Any]:
        for i in range(3):
            order.append(f"long {i}")
            yield None if i < 2 else "done"

    first = Steps("first", 1)
    analyst.request("x", first.work)
    wait_until(lambda: first.begun == 1)
    analyst.request("map", Work("map", long))
    analyst.request("boundary", Work("b", lambda: iter([order.append("boundary")])))
    first.through.release()
    wait_until(lambda: "done" in values(analyst))
    assert order.index("boundary") < order.index("long 2")
    assert [result.part for result in analyst.results if result.value == "done"] == [0]


def test_it_tells_when_there_are_results():
    told = threading.Event()
    worker = Analyst(Gate(), news=told.set)
    worker.start()
    worker.request("map", Work("a", lambda: iter([1])))
    assert told.wait(5.0)
    assert worker.close(5.0)


def test_an_exception_is_a_result_and_the_others_go_on(analyst):
    def fails() -> Iterator[int]:
        yield 1
        raise FloatingPointError("overflow")

    analyst.request("bad", Work("bad", fails))
    analyst.request("good", Work("good", lambda: iter(["good"])))
    wait_until(lambda: "good" in values(analyst) and any(result.error for result in analyst.results))
    (error,) = [result.error for result in analyst.results if result.error is not None]
    assert isinstance(error, FloatingPointError)


def test_it_stands_still_while_the_gui_draws(analyst):
    analyst.gate.close()
    analyst.request("map", Work("a", lambda: iter([1])))
    time.sleep(0.03)
    assert not analyst.results
    analyst.gate.open()
    wait_until(lambda: values(analyst) == [1])


def test_it_is_settled_when_nothing_is_computed_waits_or_was_not_fetched(analyst):
    assert analyst.settled
    analyst.request("map", Work("a", lambda: iter([1])))
    assert not analyst.settled
    wait_until(lambda: any(result.final for result in analyst.results))
    analyst.results.clear()
    wait_until(lambda: analyst.settled)


def test_it_takes_its_share_of_the_time_only(analyst):
    def busy() -> Iterator[int]:
        for i in range(100):
            end = time.perf_counter() + 0.005
            while time.perf_counter() < end:
                pass
            yield i

    analyst.share = 0.2
    analyst.request("map", Work("a", busy))
    time.sleep(0.3)
    assert 5 <= len(analyst.results) <= 18


@pytest.mark.parametrize("state", ["idle", "computing", "sleeping", "gate closed", "never started"])
def test_it_ends_at_once_in_every_state(state):
    analyst = Analyst(Gate())

    def endless() -> Iterator[int]:
        while True:
            time.sleep(0.002)
            yield 0

    if state != "never started":
        analyst.start()
    if state == "gate closed":
        analyst.gate.close()
    if state == "sleeping":
        analyst.share = 0.01
    if state != "idle":
        analyst.request("map", Work("a", endless))
    time.sleep(0.02)
    began = time.perf_counter()
    assert analyst.close()
    assert time.perf_counter() - began < 0.7
    assert not analyst.isRunning()
