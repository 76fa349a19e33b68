"""Follows the plateaus of the run that is shown while it grows, on the analyst's thread: each row is taken once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from nnopt_gui.engine.analyst import Analyst, Result
from nnopt_gui.state.model import AppModel

if TYPE_CHECKING:
    from nnopt.analysis.plateau_tracker import PlateauTracker
    from nnopt.analysis.plateaus import Plateau
    from nnopt.runs.history import History

OWNER = "plateaus"
#: seconds between two looks while training runs, and rows that are looked at in one go
PAUSE = 0.25
ROWS = 200_000


@dataclass(frozen=True)
class _Look:
    key: Hashable
    compute: Callable[[], Iterator[tuple[Plateau, ...]]]


@dataclass
class _Trackers:
    """Of one run: those of the loss, and those of its logarithm, once they are asked for."""

    made: dict[bool, PlateauTracker] = field(default_factory=dict)

    def look(self, history: History, length: int, logarithmic: bool) -> Iterator[tuple[Plateau, ...]]:
        """What is known of the first `length` rows."""
        from nnopt.analysis.plateau_tracker import PlateauTracker, floor_of, follow

        if logarithmic not in self.made:
            self.made[logarithmic] = PlateauTracker(floor_of(history.objective), logarithmic)
        tracker = self.made[logarithmic]
        while not follow(tracker, history, ROWS):
            pass
        yield tracker.plateaus(max(length, tracker.steps))


class PlateauWatch:
    """Feeds new rows to a tracker and hands what it says to the model. The tracker is touched on the analyst's thread
    alone, one look after the other."""

    def __init__(self, model: AppModel, analyst: Analyst) -> None:
        self._model = model
        self._analyst = analyst
        self._number = 0
        self._trackers = _Trackers()
        self._looked = 0.0
        self._logarithmic = False

    def frame(self) -> None:
        """Ask for a look when there are new rows, or another axis."""
        model = self._model
        if model.history is None:
            return
        if self._number != model.number:
            self._number, self._trackers, self._looked = model.number, _Trackers(), 0.0
        logarithmic = model.choices.get("loss.axes") in ("log_y", "log")
        now = perf_counter()
        if not model.playing or logarithmic is not self._logarithmic or now - self._looked >= PAUSE:
            place = (model.number, model.length, logarithmic)
            history, trackers, length = model.history, self._trackers, model.length
            look = _Look(place, lambda: trackers.look(history, length, logarithmic))
            if self._analyst.request(OWNER, look, place):
                self._looked, self._logarithmic = now, logarithmic

    def take(self, result: Result) -> None:
        """What a look found."""
        if result.error is None and not result.empty and result.tag[0] == self._model.number:
            self._model.set_plateaus(result.value)
