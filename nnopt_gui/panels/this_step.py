"""The "This step" panel: one update explained in numbers, in the Hessian's eigen-directions, and as a formula.

`explain` runs on the analyst's thread. While the run plays, only the log's numbers are shown, a few times a second, and
for small problems the bars; the equations are set when it pauses.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

from nnopt_gui.panels.base import Choice, Panel, Picture
from nnopt_gui.panels.landscape_steps import around, damping_of
from nnopt_gui.panels.slice_model import HEAVY, work
from nnopt_gui.panels.this_step_bars import StepBars
from nnopt_gui.panels.this_step_board import FormulaBoard, StepNumbers
from nnopt_gui.panels.this_step_picture import (
    Request,
    StepPicture,
    rows_of,
    rows_of_log,
    rows_until_explained,
    sentence,
    spectrum_words,
)
from nnopt_gui.state.view import View
from nnopt_gui.widgets import numbers, theme

#: seconds between two showings while the run plays
PACE = 0.2
#: seconds between two explanations while the run plays, and the largest problem that gets them then
EXPLAIN_PACE, EXPLAIN_MOST = 0.5, 120
#: widths of the panel from which bars, then formulas have room
ROOM_FOR_BARS, ROOM_FOR_FORMULAS = 440, 760
_DAMPING = (
    ("auto", "undamped"),
    ("0.001", "μ = 0.001"),
    ("0.01", "μ = 0.01"),
    ("0.05", "μ = 0.05"),
    ("0.5", "μ = 0.5"),
)


class StepPanel(Panel):
    """See the module."""

    id: ClassVar[str] = "step"
    title: ClassVar[str] = "This step"
    area: ClassVar[tuple[int, int, int, int]] = (2, 0, 1, 2)
    choices: ClassVar[tuple[Choice, ...]] = (Choice("damping", "Newton", _DAMPING),)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.numbers = StepNumbers(self.body)
        self.bars = StepBars(self.body)
        self.nothing = QLabel("", self.body)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.setWordWrap(True)
        self.nothing.hide()
        self.board = FormulaBoard(self.body)
        self._lines = (Divider(self.body), Divider(self.body))
        row = QHBoxLayout()
        row.setSpacing(14)
        row.addWidget(self.numbers)
        row.addWidget(self._lines[0])
        row.addWidget(self.bars, 5)
        row.addWidget(self.nothing, 5)
        row.addWidget(self._lines[1])
        row.addWidget(self.board, 5)
        layout = self.body.layout()
        assert layout is not None
        layout.addItem(row)
        self._view: View | None = None
        self._shown: StepPicture | None = None
        #: run and step that everything here belongs to
        self._explained: tuple[int, int] | None = None
        self._last_shown = -1.0
        self._last_asked = -1.0
        self._last_picture: Picture | None = None
        self._arrange()

    # ---------------------------------------------------------------------------------------------------- the view

    def show_view(self, view: View) -> None:
        """The log's numbers; everything else comes with the picture."""
        now = perf_counter()
        other_run = self._view is None or self._view.run != view.run
        if view.playing and not other_run and now - self._last_shown < PACE:
            return
        self._last_shown = now
        self._view = view
        self.set_choice("damping", view.damping)
        if view.probe:
            self.set_subtitle("the point is being moved")
            return
        if view.playing:
            self.board.show_lines(())
            if not self._explains(view):
                self._name_step(view.cursor)
                self.numbers.show_rows(rows_of_log(view.history.row(view.cursor), self._batch(view)))
                self.bars.clear()
                self.set_readout("Pause to see this step explained.")
        elif self._explained != (view.run, view.cursor):
            self._name_step(view.cursor)
            row, names = view.history.row(view.cursor), [name for name, _, _ in self.numbers.rows]
            self.numbers.show_rows(rows_until_explained(row, self._batch(view), names))
            self._fade(True)
            self.set_readout("")

    def _name_step(self, step: int) -> None:
        self.set_subtitle(f"{numbers.integer(step)} → {numbers.integer(step + 1)}")

    def _fade(self, faded: bool) -> None:
        """Bars and formulas are those of another step until this one is explained."""
        self.bars.set_faded(faded)
        self.board.set_faded(faded)

    def _batch(self, view: View) -> bool:
        """Whether the step is made from a mini-batch."""
        return not view.history.stage_at(min(view.cursor, view.history.length - 1)).full

    def _explains(self, view: View) -> bool:
        """Whether the step is explained while the run plays."""
        return view.state.theta.size <= EXPLAIN_MOST and (view.history.problem_at(view.cursor).examples or 0) <= 2000

    def picture(self, view: View) -> Picture | None:
        """The step explained."""
        if view.probe:
            return self._last_picture
        now = perf_counter()
        if view.playing:
            if not self._explains(view):
                return None
            if self._last_picture is not None and now - self._last_asked < EXPLAIN_PACE:
                return self._last_picture
        self._last_asked = now
        made = view.cursor + 1 < view.length
        request = Request(view.history, view.cursor, view.length, damping_of(view), not view.playing, around(view))
        # what was computed for other choices is not drawn, so they belong to the key
        key = (view.run, view.cursor, made, view.playing, repr(view.choices))
        heavy = not view.playing and work(view.objective) * int(view.objective.size) > HEAVY
        self._last_picture = Picture(key, request.compute, heavy=heavy)
        return self._last_picture

    def draw(self, view: View, result: StepPicture) -> None:
        """Numbers, bars, and the formulas once they are set."""
        facts = result.facts
        self._shown = result
        self._explained = (view.run, facts.step)
        self._name_step(facts.step)
        self.bars.set_faded(False)
        self.board.set_faded(result.lines is None)  # they are of the step before until they are set
        self.numbers.show_rows(rows_of(facts, result.made))
        self._draw_bars(result)
        if result.lines is not None:
            self.board.show_lines(result.lines)
        self.set_readout(sentence(facts, result.made, self.width() >= 900))

    def _draw_bars(self, result: StepPicture) -> None:
        facts = result.facts
        spectrum = facts.spectrum
        if spectrum is None or not np.isfinite(spectrum.values).all():
            self.bars.clear()
            self.nothing.setText(spectrum_words(facts) if spectrum is None else "The curvature is not finite here.")
        else:
            self.nothing.setText("")
            gradient, gradient_step, newton_step = facts.along
            name = f"Newton (μ = {numbers.short(facts.damping, 2)})" if facts.damping else "Newton"
            if facts.rows is not None:
                name = "batch's Newton" if facts.of_batch else "Newton, full loss"
            own = facts.taken_along if result.own_name else None
            self.bars.show_steps(
                spectrum.values,
                gradient,
                gradient_step,
                newton_step,
                name,
                spectrum_words(facts),
                own,
                result.own_name.removesuffix(" of the batch").removesuffix(" step"),
            )
        self._arrange()

    # ------------------------------------------------------------------------------------------------------ layout

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()
        if self._shown is not None:
            self.set_readout(sentence(self._shown.facts, self._shown.made, self.width() >= 900))

    def _arrange(self) -> None:
        """Formulas first, then bars give way in a narrow panel."""
        bars, formulas = self.width() >= ROOM_FOR_BARS, self.width() >= ROOM_FOR_FORMULAS
        self.bars.setVisible(bars and not self.nothing.text())
        self.nothing.setVisible(bars and bool(self.nothing.text()))
        self._lines[0].setVisible(bars)
        self._lines[1].setVisible(formulas)
        self.board.setVisible(formulas)


class Divider(QFrame):
    """A thin line between two parts."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedWidth(1)
        theme.changed.connect(self._restyle)
        self._restyle()

    def _restyle(self) -> None:
        self.setStyleSheet(f"background: {theme.current().border}; border: none;")
