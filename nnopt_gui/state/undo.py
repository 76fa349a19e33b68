"""Undo: the runs that the user went through, one after the other, and which of them is shown.

Every edit (a setting, a dragged point, an example, a reset, another seed, an opened file) replaces the run, so going
back is showing the run before it again, with everything that it had computed. Runs are kept up to a budget of bytes;
of older ones only the recipe (their Recording) stays, and going back to them replays it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from nnopt.runs.experiment import Recording
from nnopt.runs.run import Run

#: bytes of runs that are kept besides the one that is shown
BUDGET = 128 * 2**20
#: edits of the same setting that follow each other within so many seconds are one edit
ONE_GESTURE = 1.0
MOST_PLACES = 200


@dataclass(frozen=True)
class Place:
    """A run as it was left. run: None once it was given up. cursor: the step that was shown, None = the newest,
    followed. limit: where training was to pause."""

    number: int
    recording: Recording
    run: Run | None
    cursor: int | None
    limit: int

    @property
    def bytes(self) -> int:
        """What keeping the run costs, about: its rows, and its stored states up to the log's own bound."""
        if self.run is None:
            return 0
        history = self.run.history
        rows = sum(column.nbytes for column in history.columns.values())
        return rows + min(64 * 2**20, 3 * 8 * self.run.state.theta.size * history.length)


class Undo:
    """The places in order; `place` is where the user is. clock: seconds, for gestures."""

    def __init__(self, budget: int = BUDGET, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget = budget
        self._clock = clock
        self._places: list[Place] = []
        self._labels: list[str] = []
        self._at = -1
        self._key: Hashable = None
        self._touched = 0.0

    @property
    def place(self) -> Place | None:
        """Where the user is."""
        return self._places[self._at] if self._places else None

    @property
    def before(self) -> Place | None:
        """Where undo would lead."""
        return self._places[self._at - 1] if self._at > 0 else None

    @property
    def undo_label(self) -> str:
        """What undo takes back, in words, or ""."""
        return self._labels[self._at] if self._at > 0 else ""

    @property
    def redo_label(self) -> str:
        """What redo does again, in words, or ""."""
        return self._labels[self._at + 1] if self._at + 1 < len(self._places) else ""

    def leave(self, cursor: int | None, recording: Recording, limit: int) -> None:
        """Note how the present place looks now, just before it is left."""
        if self._places:
            place = self._places[self._at]
            self._places[self._at] = replace(place, cursor=cursor, recording=recording, limit=limit)

    def push(self, label: str, place: Place, key: Hashable = None) -> None:
        """The user did something that led to `place`. Edits of one `key` within a gesture count as one: the place
        before them stays the one that undo leads to."""
        del self._places[self._at + 1 :], self._labels[self._at + 1 :]
        if self.same_gesture(key):
            self._places[self._at] = place
        else:
            self._places.append(place)
            self._labels.append(label)
            self._at += 1
        self._key, self._touched = key, self._clock()
        surplus = max(0, len(self._places) - MOST_PLACES)
        del self._places[:surplus], self._labels[:surplus]
        self._at -= surplus
        self._trim()

    def same_gesture(self, key: Hashable) -> bool:
        """Whether an edit of `key` now would continue the last one."""
        return key is not None and key == self._key and self._at > 0 and self._clock() - self._touched < ONE_GESTURE

    def undo(self) -> Place | None:
        """Go one place back; None where there is none."""
        return self._go(-1)

    def redo(self) -> Place | None:
        """Go one place forward; None where there is none."""
        return self._go(+1)

    def restored(self, number: int, run: Run) -> None:
        """The run of the present place was computed again from its recipe."""
        if self._places:
            self._places[self._at] = replace(self._places[self._at], number=number, run=run)
            self._trim()

    def _go(self, by: int) -> Place | None:
        if not 0 <= self._at + by < len(self._places):
            return None
        self._at += by
        self._key = None
        self._trim()
        return self._places[self._at]

    def _trim(self) -> None:
        """Give up the runs farthest from the present one, beyond the budget."""
        left = self._budget
        seen: set[int] = {id(self._places[self._at].run)}
        for index in sorted(range(len(self._places)), key=lambda i: abs(i - self._at)):
            place = self._places[index]
            if place.run is None or id(place.run) in seen:
                continue
            seen.add(id(place.run))
            left -= place.bytes
            if left < 0:
                self._places = [replace(p, run=None) if p.run is place.run else p for p in self._places]
