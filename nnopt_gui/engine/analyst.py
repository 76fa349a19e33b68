"""Derived pictures, off the GUI thread: the latest request of each panel wins, coarse results come first.

A request carries the `Picture` (key and computation) and whatever its owner wants back with each result (the View it
is for). Between two results the analyst looks at the gate, at newer requests and at whether it shall end. A picture
that has been asked for always delivers at least its first, coarse result, unless the run itself was replaced;
otherwise a map that takes longer than a frame would never appear while training goes on.

Nobody starves: every owner gets an equal part of the computing time, however much the others want (start-time fair
queueing; Goyal, Vin and Cheng 1996), and a newer request takes the place in the queue of the one that it replaces.
Work that goes on for long without a result (`heavy`) has a thread of its own, so that quick work never waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from PySide6.QtCore import QThread

from nnopt_gui.engine.gate import Gate


class Work(Protocol):
    """What a panel's `Picture` is to the analyst."""

    @property
    def key(self) -> Hashable:
        """Equal keys are the same picture."""

    @property
    def compute(self) -> Callable[[], Iterator[Any]]:
        """Yields results, coarse to fine; None where there is none yet, but a good place to let others go first."""


@dataclass(frozen=True)
class Result:
    """One result for `owner`. tag: what came with the request. part: 0 for the first; final: nothing follows.
    error: the exception that ended the computation, or None (then `value` holds the result, unless nothing was
    yielded at all: `empty`)."""

    owner: str
    tag: Any
    value: Any = None
    part: int = 0
    final: bool = False
    error: Exception | None = None
    empty: bool = False


@dataclass
class _Job:
    owner: str
    work: Work
    tag: Any
    epoch: int
    urgent: bool
    heavy: bool
    order: int
    start: float
    parts: int = 0
    results: Iterator[Any] | None = field(default=None, repr=False)


class Analyst:
    """Computes pictures. Start it with `start()`, end it with `close()`; drain `results` once per frame.

    share: part of the time that each of its two threads may compute, in (0, 1]; smaller while training should have the
    machine. news: called on a thread of the analyst after each result.
    """

    def __init__(self, gate: Gate | None = None, news: Callable[[], None] = lambda: None) -> None:
        self.gate = gate or Gate()
        self.results: deque[Result] = deque()
        self.share = 1.0
        self._news = news
        self._lock = threading.Lock()
        self._hands = (_Hand(self, heavy=False), _Hand(self, heavy=True))
        self._epoch = 0
        self._order = 0
        self._waiting: dict[str, _Job] = {}
        self._begun: dict[str, _Job] = {}
        self._keys: dict[str, Hashable] = {}
        #: the queue's own time, and until when the computing time of each owner is used up
        self._clock = 0.0
        self._used: dict[str, float] = {}

    # ------------------------------------------------------------------------------------------- from the GUI thread

    def start(self) -> None:
        """Bring its threads up."""
        for hand in self._hands:
            hand.start(QThread.Priority.LowPriority)

    def request(self, owner: str, work: Work, tag: Any = None, *, urgent: bool = False, heavy: bool = False) -> bool:
        """Ask for a picture; an older request of the same owner gives way. Equal keys are not computed again:
        returns False then. urgent: before all others (a state that the cursor waits for). heavy: it may compute for
        long (more than some ten milliseconds) between two results."""
        with self._lock:
            if self._keys.get(owner, _NOTHING) == work.key:
                return False
            self._keys[owner] = work.key
            self._order += 1
            before = self._waiting.get(owner)
            start = max(self._clock, self._used.get(owner, 0.0)) if before is None else before.start
            order = self._order if before is None else before.order
            self._waiting[owner] = _Job(owner, work, tag, self._epoch, urgent, heavy, order, start)
        self._wake()
        return True

    def forget(self, owner: str) -> None:
        """Drop the owner's requests and what is known about its last picture (it was hidden, or shows nothing)."""
        with self._lock:
            self._waiting.pop(owner, None)
            self._begun.pop(owner, None)
            self._keys.pop(owner, None)
            if any(result.owner == owner for result in self.results):
                left = [result for result in self.results if result.owner != owner]
                self.results.clear()
                self.results.extend(left)

    def forget_all(self) -> None:
        """The run was replaced: nothing that was asked for before is of interest, not even a first result."""
        with self._lock:
            self._epoch += 1
            self._waiting.clear()
            self._begun.clear()
            self._keys.clear()
        self.results.clear()

    @property
    def settled(self) -> bool:
        """Nothing is computed, waits, or has not been fetched."""
        with self._lock:
            computing = any(hand.computing for hand in self._hands)
            return not (self._waiting or self._begun or computing or self.results)

    def isRunning(self) -> bool:
        """Whether its threads live."""
        return any(hand.isRunning() for hand in self._hands)

    def close(self, timeout: float = 10.0) -> bool:
        """End the threads after the results they are computing; True when they have ended within `timeout` seconds."""
        for hand in self._hands:
            hand.closing = True
        self._wake()
        self.gate.open()
        end = time.monotonic() + timeout
        ended = [hand.wait(max(0, int((end - time.monotonic()) * 1000))) for hand in self._hands]
        return all(ended)

    def _wake(self) -> None:
        for hand in self._hands:
            hand.wake.set()

    # ----------------------------------------------------------------------------------------------- on its threads

    def _next(self, hand: _Hand) -> _Job | None:
        """The job whose next part is wanted most: urgent ones, then those that have shown the least, then those of the
        owner that had the least time."""
        with self._lock:
            hand.computing = False
            for owner in [owner for owner in self._waiting if owner in self._begun]:
                if self._begun[owner].parts:  # it has shown its first result: the newer one takes over
                    del self._begun[owner]
            begun = self._begun
            jobs = [
                job
                for job in (*(job for job in self._waiting.values() if job.owner not in begun), *begun.values())
                if job.heavy is hand.heavy
            ]
            if not jobs:
                return None
            job = min(jobs, key=lambda job: (not job.urgent, job.parts, job.start, job.order))
            if self._waiting.get(job.owner) is job:
                del self._waiting[job.owner]
                begun[job.owner] = job
            self._clock = max(self._clock, job.start)
            hand.computing = True
            return job

    def _one(self, job: _Job) -> None:
        """Compute one part of a job and hand it out."""
        began = time.thread_time()
        # a picture may evaluate anybody's objective: whatever it raises becomes a notice, and the others go on
        try:
            if job.results is None:
                job.results = iter(job.work.compute())
            value = next(job.results)
        except StopIteration:
            self._finish(job, Result(job.owner, job.tag, part=job.parts, final=True, empty=True))
        except Exception as error:
            self._finish(job, Result(job.owner, job.tag, part=job.parts, final=True, error=error))
        else:
            if value is not None:
                with self._lock:
                    if job.epoch == self._epoch and self._begun.get(job.owner) is job:
                        self.results.append(Result(job.owner, job.tag, value, job.parts))
                job.parts += 1
        with self._lock:
            job.start = self._used[job.owner] = job.start + time.thread_time() - began
            newer = self._waiting.get(job.owner)
            if newer is not None:  # asked for while this one was computed, before its cost was known
                newer.start = max(newer.start, job.start)
        if self.results:
            self._news()

    def _finish(self, job: _Job, last: Result) -> None:
        with self._lock:
            if self._begun.get(job.owner) is job:
                del self._begun[job.owner]
                self.results.append(last)


class _Hand(QThread):
    """One thread of the analyst: for heavy work, or for the rest."""

    def __init__(self, analyst: Analyst, heavy: bool) -> None:
        super().__init__()
        self.setObjectName("analyst, heavy" if heavy else "analyst")
        self.heavy = heavy
        self.wake = threading.Event()
        self.closing = False
        self.computing = False
        self._analyst = analyst

    def run(self) -> None:
        """The thread's life (called by Qt)."""
        analyst = self._analyst
        while not self.closing:
            self.wake.clear()
            job = analyst._next(self)
            if job is None:
                self.wake.wait()
                continue
            analyst.gate.wait()
            began = time.thread_time()
            analyst._one(job)
            spent = time.thread_time() - began
            if analyst.share < 1.0 and not self.closing:
                time.sleep(min(0.25, spent * (1.0 / analyst.share - 1.0)))


_NOTHING = object()
