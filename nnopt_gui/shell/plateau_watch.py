"""Finds the plateaus of the run that is shown while it grows, on the analyst's thread."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from nnopt_gui.engine.analyst import Analyst, Result
from nnopt_gui.state.model import AppModel

if TYPE_CHECKING:
    from nnopt.analysis.plateaus import Plateau, PlateauDetector
    from nnopt.runs.history import History

OWNER = "plateaus"
#: seconds between two looks while training runs, and rows that are looked at in one go
PAUSE = 0.25
ROWS = 200_000
#: how far above its beginning a stretch may lie, as a fraction of the loss there (batch losses scatter)
ABOVE = 0.5


@dataclass(frozen=True)
class _Look:
    key: Hashable
    compute: Callable[[], Iterator[tuple[Plateau, ...]]]


class PlateauWatch:
    """Feeds new rows to a detector and hands what it finds to the model. The detector is touched on the analyst's
    thread alone, one look after the other."""

    def __init__(self, model: AppModel, analyst: Analyst) -> None:
        self._model = model
        self._analyst = analyst
        self._number = 0
        self._detector: list[PlateauDetector] = []  # one, once the first look has made it
        self._looked = 0.0

    def frame(self) -> None:
        """Ask for a look when there are new rows."""
        model = self._model
        if model.history is None:
            return
        if self._number != model.number:
            self._number, self._detector, self._looked = model.number, [], 0.0
        now = perf_counter()
        if not model.playing or now - self._looked >= PAUSE:
            place = (model.number, model.length)
            history, detector = model.history, self._detector
            if self._analyst.request(OWNER, _Look(place, lambda: _look(history, detector)), place):
                self._looked = now

    def take(self, result: Result) -> None:
        """What a look found."""
        if result.error is None and not result.empty and result.tag[0] == self._model.number:
            self._model.set_plateaus(result.value)


def _look(history: History, made: list[PlateauDetector]) -> Iterator[tuple[Plateau, ...]]:
    from nnopt.analysis.plateaus import PlateauDetector

    if not made:
        made.append(PlateauDetector())
    (detector,) = made
    while True:
        columns = history.columns
        steps, losses = columns["step"], columns["loss"]
        first = int(steps.searchsorted(detector.steps))
        last = min(len(steps), first + ROWS)
        if last > first:
            detector.extend(losses[first:last], steps[first:last])
        if last == len(steps):
            break
    starts = sorted({0, *(done.step for done in history.interventions)})
    yield tuple(plateau for plateau in detector.plateaus() if not _lost(history, starts, plateau))


def _lost(history: History, starts: list[int], plateau: Plateau) -> bool:
    """Whether a stretch lies far above the loss at which its part of the run began: a loss that swings where the
    learning rate threw it is flat on average, but neither a plateau nor converged."""
    began = starts[bisect_right(starts, plateau.start) - 1]
    first = history.row(began)["loss"]
    return plateau.level - first > ABOVE * abs(first)
