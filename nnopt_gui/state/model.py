"""What the laboratory shows now: the only shared mutable state. The controller writes it, the shell listens.

Everything that is drawn follows from it: (run, cursor, choices, selection) make the `View`. It holds no widget, starts
nothing and computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:
    from nnopt.analysis.plateaus import Plateau
    from nnopt.runs.experiment import Experiment
    from nnopt.runs.history import History
    from nnopt.runs.run import Run


class AppModel(QObject):
    """Attributes are read freely; each is written through the method beside it, which tells whoever listens.

    number: of the run (0: there is none yet). cursor: the step that is shown; following: it is always the newest one.
    length: rows that are published. limit: where training pauses. speed: updates per second, None = flat out. playing:
    the user has pressed play. probe: where a point is being dragged to, or None. selection: index of the chosen
    example, or None. busy: what is being waited for, in words.
    """

    run_changed = Signal()
    cursor_changed = Signal()
    playing_changed = Signal(bool)
    speed_changed = Signal()
    limit_changed = Signal()
    choices_changed = Signal()
    selection_changed = Signal()
    theme_changed = Signal(str)
    status_changed = Signal()
    notice = Signal(str, str, str)
    rejected = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.number = 0
        self.run: Run | None = None
        self.length = 0
        self.cursor = 0
        self.following = True
        self.limit = 0
        self.playing = False
        self.speed: float | None = None
        self.choices: Mapping[str, Any] = MappingProxyType({})
        self.selection: int | None = None
        self.probe: npt.NDArray[np.float64] | None = None
        self.theme = "system"
        self.updates_per_second = 0.0
        self.busy = ""
        self.plateaus: tuple[Plateau, ...] = ()

    @property
    def history(self) -> History | None:
        """The log of the run that is shown."""
        return None if self.run is None else self.run.history

    @property
    def head(self) -> int:
        """The newest step."""
        return max(0, self.length - 1)

    @property
    def experiment(self) -> Experiment | None:
        """The experiment in force at the cursor: what the settings show."""
        return None if self.run is None else self.run.history.experiment_at(self.cursor)

    # --------------------------------------------------------------------------------------------------- the run

    def set_run(self, number: int, run: Run, cursor: int | None = None) -> None:
        """Show another run; cursor: its step (None: the newest, followed)."""
        self.number, self.run = number, run
        self.length = run.history.length
        self.probe, self.plateaus = None, ()
        self.following = cursor is None
        self.cursor = self.head if cursor is None else min(cursor, self.head)
        self.run_changed.emit()
        self.cursor_changed.emit()

    def set_length(self, length: int) -> None:
        """More rows were published."""
        if length != self.length:
            self.length = length
            if self.following and self.cursor != self.head:
                self.cursor = self.head
                self.cursor_changed.emit()
            self.status_changed.emit()

    def set_plateaus(self, plateaus: tuple[Plateau, ...]) -> None:
        """The plateaus found so far."""
        self.plateaus = plateaus

    def set_limit(self, limit: int) -> None:
        """Where training pauses, in updates."""
        if limit != self.limit:
            self.limit = limit
            self.limit_changed.emit()

    # --------------------------------------------------------------------------------------------------- the cursor

    def seek(self, step: int) -> None:
        """Show `step` (as far as it is known); the newest one is followed from then on."""
        step = min(max(0, step), self.head)
        following = step == self.head
        if (step, following) != (self.cursor, self.following):
            self.cursor, self.following = step, following
            self.probe = None
            self.cursor_changed.emit()

    def set_probe(self, theta: npt.NDArray[np.float64] | None) -> None:
        """A point is being dragged to theta (P,), or no longer."""
        self.probe = theta
        self.cursor_changed.emit()

    # -------------------------------------------------------------------------------------------- playing and looks

    def set_playing(self, playing: bool) -> None:
        """The user wants it to run, or to stand still."""
        if playing != self.playing:
            self.playing = playing
            self.playing_changed.emit(playing)

    def set_speed(self, speed: float | None) -> None:
        """Updates per second; None is flat out."""
        if speed != self.speed:
            self.speed = speed
            self.speed_changed.emit()

    def set_status(self, updates_per_second: float, busy: str) -> None:
        """What the worker says about itself."""
        if (updates_per_second, busy) != (self.updates_per_second, self.busy):
            self.updates_per_second, self.busy = updates_per_second, busy
            self.status_changed.emit()

    def choose(self, name: str, value: Any) -> None:
        """A view option: `choose("slice.direction", "gradient")`."""
        if self.choices.get(name, _NOTHING) != value:
            self.choices = MappingProxyType({**self.choices, name: value})
            self.choices_changed.emit()

    def select(self, index: int | None) -> None:
        """The chosen example."""
        if index != self.selection:
            self.selection = index
            self.selection_changed.emit()

    def set_theme(self, mode: str) -> None:
        """ "light", "dark" or "system"."""
        if mode != self.theme:
            self.theme = mode
            self.theme_changed.emit(mode)

    def say(self, kind: str, text: str, detail: str = "") -> None:
        """Tell the user something; kind: "info", "warning" or "error"."""
        self.notice.emit(kind, text, detail)

    def reject(self, path: str, text: str) -> None:
        """The value given for a setting cannot be used."""
        self.rejected.emit(path, text)


_NOTHING = object()
