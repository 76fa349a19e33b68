"""How fast to go: which updates are due at a chosen rate, and how many per second there really were."""

from __future__ import annotations

from collections import deque

#: seconds of updates that may be made up for at once; a worker that cannot keep up does not run after its debts
BACKLOG = 0.1


class Pace:
    """Updates that are due, at `rate` per second (None: any number, at once). Times are those of time.perf_counter."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self._last = -1e9
        self._next = 0.0

    def set(self, rate: float | None, now: float) -> None:
        """Go at `rate` from now on; a rate changed many times (a slider being dragged) makes no extra updates."""
        self.rate = rate
        if rate is not None:
            self._next = max(now, self._last + 1.0 / rate)

    def due(self, now: float, most: int) -> int:
        """How many updates to make now, at most `most`."""
        if self.rate is None:
            return most
        if now < self._next:
            return 0
        behind = min(now - self._next, BACKLOG)
        return min(most, 1 + int(behind * self.rate))

    def made(self, updates: int, now: float) -> None:
        """`updates` were made."""
        if updates and self.rate is not None:
            self._last = now
            self._next = max(self._next + updates / self.rate, now - BACKLOG)

    def seconds(self, now: float) -> float:
        """Until the next update is due."""
        return 0.0 if self.rate is None else max(0.0, self._next - now)


class Meter:
    """Updates per second over the last `window` seconds (longer where there were fewer than two updates in it)."""

    def __init__(self, window: float = 0.5) -> None:
        self._window = window
        self._marks: deque[tuple[float, int]] = deque()

    def reset(self) -> None:
        """Forget everything."""
        self._marks.clear()

    def mark(self, now: float, step: int) -> None:
        """The run stood at `step` at time `now`."""
        marks = self._marks
        if len(marks) > 1 and now - marks[-2][0] < self._window / 20:
            marks[-1] = (now, step)
        else:
            marks.append((now, step))
        while len(marks) > 2 and now - marks[1][0] > self._window and marks[-1][1] - marks[1][1] > 1:
            marks.popleft()

    @property
    def rate(self) -> float:
        """Updates per second, 0 before the first."""
        if len(self._marks) < 2:
            return 0.0
        (start, first), (stop, last) = self._marks[0], self._marks[-1]
        return (last - first) / (stop - start) if stop > start else 0.0
