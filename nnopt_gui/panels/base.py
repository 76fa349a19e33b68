"""The contract of a panel: it shows a View, asks for pictures, emits intents, and never changes the model.

`show(view)` draws at once what is cheap (a few milliseconds at most). What takes longer is a `Picture`: the panel
describes it, the analyst computes it off the GUI thread, possibly coarse first, and hands every part to `draw`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QImage, QResizeEvent, QShowEvent

from nnopt.runs.experiment import Experiment
from nnopt_gui.state.view import View
from nnopt_gui.widgets.card import Card
from nnopt_gui.widgets.plot import LabPlot

#: milliseconds that a sentence stands while a run plays
READING_MS = 120


@dataclass(frozen=True)
class Picture:
    """Work for the analyst. key: equal keys are the same picture (it is not computed twice). compute: yields results,
    coarse to fine, and None where others may go first; runs on the analyst's thread and must not touch Qt.

    instant: its first result takes a few milliseconds only; while a run plays that one is computed with the frame and
    is all that is wanted. heavy: it computes for long between two results.
    """

    key: Hashable
    compute: Callable[[], Iterator[Any]]
    instant: bool = False
    heavy: bool = False


@dataclass(frozen=True)
class Choice:
    """One choice in a panel's header, in words: `Choice("direction", "Direction", (("gradient", "gradient"), ...))`.
    options: (value, words)."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Option:
    """Something to show or leave out, a check box in the settings: `Option("model", "Quadratic model")`; a panel asks
    `view.choice("<its id>.model", True)`."""

    name: str
    words: str
    on: bool = True


@dataclass(frozen=True)
class Intent:
    """What the user did in a panel; the controller turns it into an intervention, a choice or a new run.

    kind: "move_to" (theta), "probe" (theta, or None when the drag ended without a move), "add_example" (x, y),
    "move_example" (index, x), "remove_example" (index), "seek" (step), "choose" (name, value), "select" (index).
    """

    kind: str
    values: dict[str, Any]


class Panel(Card):
    """Base of all panels. A subclass sets the class attributes, fills `self.body` in `__init__` and implements
    `show_view`. revealed: it came into sight or has another size. stale: it has something else to show or to ask for
    of the same view."""

    id: ClassVar[str]
    title: ClassVar[str]
    #: place in the default window: (row, column, rows, columns) of a 2-column grid
    area: ClassVar[tuple[int, int, int, int]]
    choices: ClassVar[tuple[Choice, ...]] = ()
    options: ClassVar[tuple[Option, ...]] = ()
    #: seconds between two drawings while the worker needs the machine; what everybody looks at has none
    pace: ClassVar[float] = 0.0

    #: the plot whose running lines tell that a run plays; None for a panel without one
    plot: LabPlot | None = None

    intent = Signal(object)
    revealed = Signal()
    stale = Signal()

    def __init__(self, parent: Any = None) -> None:
        super().__init__(self.title, parent=parent)
        for choice in self.choices:
            self.add_choice(choice.name, choice.label, choice.options)
        self._words: str | Callable[[], str] | None = None
        self._read_later = QTimer(self)
        self._read_later.setSingleShot(True)
        self._read_later.setInterval(READING_MS)
        self._read_later.timeout.connect(self._show_next)
        self.chosen.connect(lambda name, value: self.emit_intent("choose", name=f"{self.id}.{name}", value=value))

    @classmethod
    def supports(cls, experiment: Experiment) -> bool:
        """Whether this panel has anything to show for the experiment."""
        return True

    def is_shown(self) -> bool:
        """Whether the user can see it: not closed, not behind another one. Only then it draws and asks for pictures."""
        return self.isVisible() and not self.visibleRegion().isEmpty()

    def set_readout(self, html: str | Callable[[], str]) -> None:
        """The sentence, or what makes it, asked when it is shown: while a run plays a sentence stands for a moment, so
        that it can be read, and the newest one follows."""
        self._words = html
        if self.plot is None or not self.plot.running or not self._read_later.isActive():
            self._show_words()
            if self.plot is not None and self.plot.running:
                self._read_later.start()

    def _show_next(self) -> None:
        if self._words is not None:
            self.set_readout(self._words)

    def _show_words(self) -> None:
        words, self._words = self._words, None
        if words is not None:
            super().set_readout(words if isinstance(words, str) else words())
            if self.plot is not None:
                self.plot.setAccessibleDescription(self.accessibleDescription())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.revealed.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.revealed.emit()

    def show_view(self, view: View) -> None:
        """Draw what is cheap. Called at most once per frame, only while the panel is visible."""
        raise NotImplementedError

    def picture(self, view: View) -> Picture | None:
        """What must be computed for this view, or None."""
        return None

    def draw(self, view: View, result: Any) -> None:
        """Show one result of `picture(view).compute()`; `view` is the one it was computed for."""

    def emit_intent(self, kind: str, **values: Any) -> None:
        """Tell the controller what the user did."""
        self.intent.emit(Intent(kind, values))

    def export_image(self, scale: float = 2.0) -> QImage:
        """The panel as a picture."""
        pixmap = self.grab()
        return pixmap.toImage()
