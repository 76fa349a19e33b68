"""Whether a piece of work lets other threads run: how long one that wakes each millisecond has to wait for its turn.

A window draws from such a thread; what keeps the interpreter to itself for 20 ms costs it a picture.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from time import perf_counter
from typing import NamedTuple


class Breath(NamedTuple):
    """seconds: the work took. longest: seconds that the waking thread waited for its turn, at the most."""

    seconds: float
    longest: float

    @property
    def share(self) -> float:
        """The longest wait as a share of the work: near 1 if nobody else ever had a turn."""
        return self.longest / self.seconds


def breath_of(work: Callable[[], object]) -> Breath:
    """Do the work once, on this thread, with another that wakes each millisecond beside it."""
    turns: list[float] = []
    done, awake = threading.Event(), threading.Event()

    def wake() -> None:
        while not done.wait(0.001):
            turns.append(perf_counter())
            awake.set()

    thread = threading.Thread(target=wake)
    thread.start()
    awake.wait()
    start = perf_counter()
    work()
    end = perf_counter()
    done.set()
    thread.join()
    inside = [start, *(turn for turn in turns if start < turn < end), end]
    longest = max(later - earlier for earlier, later in pairwise(inside))
    return Breath(end - start, longest)


def deepest_breath(work: Callable[[], object], times: int = 10, share: float = 0.0) -> Breath:
    """The one of several with the smallest share: other programs only ever make it larger. Ends early below `share`."""
    best = breath_of(work)
    for _ in range(times - 1):
        if best.share < share:
            break
        best = min(best, breath_of(work), key=lambda breath: breath.share)
    return best
