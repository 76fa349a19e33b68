"""Derived pictures, off the GUI thread: the latest request of each panel wins, coarse results come first.

A request carries the `Picture` (key and computation) and whatever its owner wants back with each result (the View it
is for). Between two results the analyst looks at the gate, at newer requests and at whether it shall end. A picture
that has been asked for always delivers at least its first, coarse result, unless the run itself was replaced;
otherwise a map that takes longer than a frame would never appear while training goes on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from PySide6.QtCore import QObject, QThread

from nnopt_gui.engine.gate import Gate


class Work(Protocol):
    """What a panel's `Picture` is to the analyst."""

    @property
    def key(self) -> Hashable:
        """Equal keys are the same picture."""

    @property
    def compute(self) -> Callable[[], Iterator[Any]]:
        """Yields results, coarse to fine."""


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
    order: int
    parts: int = 0
    results: Iterator[Any] | None = field(default=None, repr=False)


class Analyst(QThread):
    """Computes pictures. Start it with `start()`, end it with `close()`; drain `results` once per frame.

    share: part of the time that it may compute, in (0, 1]; smaller while training should have the machine.
    """

    def __init__(self, gate: Gate | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("analyst")
        self.gate = gate or Gate()
        self.results: deque[Result] = deque()
        self.share = 1.0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._epoch = 0
        self._order = 0
        self._waiting: dict[str, _Job] = {}
        self._begun: dict[str, _Job] = {}
        self._keys: dict[str, Hashable] = {}
        self._computing = False

    # ------------------------------------------------------------------------------------------- from the GUI thread

    def request(self, owner: str, work: Work, tag: Any = None, urgent: bool = False) -> bool:
        """Ask for a picture; an older request of the same owner gives way. Equal keys are not computed again:
        returns False then. urgent: before all others (a state that the cursor waits for)."""
        with self._lock:
            if self._keys.get(owner, _NOTHING) == work.key:
                return False
            self._keys[owner] = work.key
            self._order += 1
            self._waiting[owner] = _Job(owner, work, tag, self._epoch, urgent, self._order)
        self._wake.set()
        return True

    def forget(self, owner: str) -> None:
        """Drop the owner's requests and what is known about its last picture (it was hidden, or shows nothing)."""
        with self._lock:
            self._waiting.pop(owner, None)
            self._begun.pop(owner, None)
            self._keys.pop(owner, None)

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
            return not (self._waiting or self._begun or self._computing or self.results)

    def close(self, timeout: float = 10.0) -> bool:
        """End the thread after the result it is computing; True when it has ended within `timeout` seconds."""
        self._closing = True
        self._wake.set()
        self.gate.open()
        return self.wait(int(timeout * 1000))

    # ------------------------------------------------------------------------------------------------ on the thread

    def run(self) -> None:
        """The thread's life (called by Qt)."""
        while not self._closing:
            self._wake.clear()
            job = self._next()
            if job is None:
                self._wake.wait()
                continue
            self.gate.wait()
            started = time.perf_counter()
            self._one(job)
            spent = time.perf_counter() - started
            if self.share < 1.0 and not self._closing:
                time.sleep(min(0.5, spent * (1.0 / self.share - 1.0)))

    def _next(self) -> _Job | None:
        """The job whose next part is wanted most: urgent ones, then those that have shown the least."""
        with self._lock:
            self._computing = False
            for owner in [owner for owner in self._waiting if owner in self._begun]:
                del self._begun[owner]  # it has shown its first result: the newer one takes over
            jobs = [*self._waiting.values(), *self._begun.values()]
            if not jobs:
                return None
            job = min(jobs, key=lambda job: (not job.urgent, job.parts, job.order))
            if self._waiting.get(job.owner) is job:
                del self._waiting[job.owner]
                self._begun[job.owner] = job
            self._computing = True
            return job

    def _one(self, job: _Job) -> None:
        """Compute one part of a job and hand it out."""
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
            with self._lock:
                if job.epoch == self._epoch and self._begun.get(job.owner) is job:
                    self.results.append(Result(job.owner, job.tag, value, job.parts))
            job.parts += 1

    def _finish(self, job: _Job, last: Result) -> None:
        with self._lock:
            if self._begun.get(job.owner) is job:
                del self._begun[job.owner]
                self.results.append(last)


_NOTHING = object()
