"""The contract of a panel: it shows a View, asks for pictures, emits intents, and never changes the model.

`show(view)` draws at once what is cheap (a few milliseconds at most). What takes longer is a `Picture`: the panel
describes it, the analyst computes it off the GUI thread, possibly coarse first, and hands every part to `draw`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from PySide6.QtCore import Signal
from PySide6.QtGui import QImage

from nnopt.runs.experiment import Experiment
from nnopt_gui.state.view import View
from nnopt_gui.widgets.card import Card


@dataclass(frozen=True)
class Picture:
    """Work for the analyst. key: equal keys are the same picture (it is not computed twice). compute: yields results,
    coarse to fine; runs on the analyst's thread and must not touch Qt."""

    key: Hashable
    compute: Callable[[], Iterator[Any]]


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
    `show_view`."""

    id: ClassVar[str]
    title: ClassVar[str]
    #: place in the default window: (row, column, rows, columns) of a 2-column grid
    area: ClassVar[tuple[int, int, int, int]]
    choices: ClassVar[tuple[Choice, ...]] = ()
    options: ClassVar[tuple[Option, ...]] = ()

    intent = Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(self.title, parent=parent)
        for choice in self.choices:
            self.add_choice(choice.name, choice.label, choice.options)
        self.chosen.connect(lambda name, value: self.emit_intent("choose", name=f"{self.id}.{name}", value=value))

    @classmethod
    def supports(cls, experiment: Experiment) -> bool:
        """Whether this panel has anything to show for the experiment."""
        return True

    def is_shown(self) -> bool:
        """Whether the user can see it: not closed, not behind another one. Only then it draws and asks for pictures."""
        return self.isVisible() and not self.visibleRegion().isEmpty()

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
