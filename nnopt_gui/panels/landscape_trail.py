"""The way a run has come, as both landscape panels draw it: few of many states, exact ones, with their true losses.

Near the cursor every step is taken, further back fewer and fewer, from the log's keyframes where possible, so that a
run of a million steps costs no more than one of a hundred. No Qt.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from nnopt.runs.changes import MoveTo
from nnopt_gui.panels.slice_model import Past, Vector, work

#: steps before the cursor that are all taken, and how many more are taken further back
LAST, EARLIER = 24, 96
#: parameters times examples from which a loss takes so long that fewer are taken
LARGE = 300_000


def trail_steps(cursor: int, whole: bool, share: float = 1.0) -> list[int]:
    """Steps to show before and at the cursor, ascending. whole: spread evenly over the run (a function's path can be
    seen from its start), else ever sparser further back (of a network only the last steps lie near). share: of the
    usual number of steps."""
    last = list(range(max(0, cursor - int(LAST * share)), cursor + 1))
    first, earlier = last[0], int(EARLIER * share)
    if first == 0:
        return last
    spread = np.linspace(0, first, earlier) if whole else first - np.geomspace(1, first + 1, earlier) + 1
    return sorted({int(step) for step in spread if 0 <= step < first} | set(last))


def sample_trail(history: Any, objective: Any, cursor: int, whole: bool) -> Past:
    """The states at `trail_steps`, read from the log, with the loss that `objective` has there. Earlier ones are moved
    to the stored state before them; so are the last ones where a replay would take long. Where the user moved the point
    the trail begins anew."""
    begin = max((i.step for i in history.interventions if isinstance(i.change, MoveTo) and i.step <= cursor), default=0)
    wanted = trail_steps(cursor, whole, min(1.0, LARGE / work(objective)))
    wanted = [step for step in wanted if step >= begin]
    slow = (LAST + history.seek_cost(max(begin, cursor - LAST))) * work(objective) > 40_000_000
    exact = cursor if slow else cursor - LAST
    steps = sorted({s if s >= exact else max(begin, s - history.seek_cost(s)) for s in wanted})
    thetas = history.thetas(steps)
    with np.errstate(all="ignore"):
        losses = np.asarray(objective.values(thetas, dtype=np.float64))
    return Past(np.array(steps), thetas, losses)


def with_losses(past: Past, objective: Any) -> Past:
    """The same, with the losses that were not known (NaN) computed."""
    unknown = np.isnan(past.losses)
    if not unknown.any():
        return past
    losses = past.losses.copy()
    with np.errstate(all="ignore"):
        losses[unknown] = np.asarray(objective.values(past.thetas[unknown], dtype=np.float64))
    return Past(past.steps, past.thetas, losses)


class LiveTrail:
    """The trail while a run plays: what the analyst sampled, and the states that were shown since, at most `room`."""

    def __init__(self, room: int = 48) -> None:
        self.room = room
        self.past = Past()
        self._steps: deque[int] = deque(maxlen=room)
        self._thetas: deque[Vector] = deque(maxlen=room)
        self.run: object = None

    def reset(self, run: object) -> None:
        """Another run: nothing is known of it yet."""
        self.run = run
        self.past = Past()
        self._steps.clear()
        self._thetas.clear()

    def take(self, past: Past) -> None:
        """The analyst's sample replaces everything up to its last step."""
        self.past = past
        end = int(past.steps[-1]) if past.steps.size else -1
        newer = [(s, t) for s, t in zip(self._steps, self._thetas, strict=True) if s > end]
        self._steps.clear()
        self._thetas.clear()
        for step, theta in newer:
            self._steps.append(step)
            self._thetas.append(theta)

    @property
    def full(self) -> bool:
        """Whether so many states were shown since the last sample that another one is due, or there was none yet."""
        known = self.past.steps.size
        return not known or known + len(self._steps) > LAST + EARLIER + self.room

    def see(self, step: int, theta: Vector) -> None:
        """This state is shown now."""
        while self._steps and self._steps[-1] >= step:
            self._steps.pop()
            self._thetas.pop()
        if not (self.past.steps.size and self.past.steps[-1] >= step):
            self._steps.append(step)
            self._thetas.append(theta)

    def until(self, cursor: int) -> Past:
        """Everything known up to the cursor; losses are NaN where they have not been computed."""
        known = int(np.searchsorted(self.past.steps, cursor, side="right"))
        steps = self.past.steps[:known]
        newer = [(s, t) for s, t in zip(self._steps, self._thetas, strict=True) if s <= cursor]
        if not newer:
            return Past(steps, self.past.thetas[:known], self.past.losses[:known])
        fresh = np.array([theta for _, theta in newer])
        thetas = np.concatenate([self.past.thetas[:known], fresh]) if known else fresh
        return Past(
            np.concatenate([steps, [s for s, _ in newer]]).astype(np.int64),
            thetas,
            np.concatenate([self.past.losses[:known], np.full(len(newer), np.nan)]),
        )
