"""The two sides of the "This step" panel: a column of numbers, and the board of formulas with their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from nnopt_gui.panels.this_step_picture import Row, SetFormula, describe_rows
from nnopt_gui.widgets import equation, theme
from nnopt_gui.widgets.equation import Typeset

#: height of a row of numbers: least, most
ROW = (15.5, 26.0)
#: font of the equations in px: least, usual, most
SIZES = (13.0, 17.0, 30.0)
CAPTION = 15.0
#: opacity of what belongs to another step
FADED = 0.3


class StepNumbers(QWidget):
    """Rows of words and numbers; those that have no room are left out from the end."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[Row, ...] = ()
        self.setAccessibleName("Numbers of this step")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setFixedWidth(198)
        theme.changed.connect(self.update)

    def show_rows(self, rows: tuple[Row, ...]) -> None:
        """Replace all of them."""
        if rows != self.rows:
            self.rows = rows
            self.setAccessibleDescription(describe_rows(rows))
            self.update()

    def value(self, name: str) -> str:
        """The number in the row of this name."""
        return next(value for words, value, _ in self.rows if words == name)

    def minimumSizeHint(self) -> QSize:
        return QSize(198, 40)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.rows:
            return
        shown = self.rows[: max(1, int((self.height() + 2) / ROW[0]))]
        high = min(ROW[1], max(ROW[0], self.height() / len(shown)))
        painter = QPainter(self)
        plain, bold = theme.font(13), theme.font(13, theme.BOLD)
        for index, (words, value, role) in enumerate(shown):
            box = QRectF(0, index * high, self.width() - 2, high)
            painter.setFont(plain)
            painter.setPen(theme.color("text2"))
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, words)
            painter.setFont(bold)
            painter.setPen(theme.color(role or "text"))
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, value)
        painter.end()


class Place(StrEnum):
    """Where the captions are."""

    ABOVE = "above"
    BESIDE = "beside"
    NOWHERE = "nowhere"


@dataclass(frozen=True)
class Arrangement:
    """lines that have room, each with its right side; px: of the font; height: of a line; captions: where they are."""

    lines: tuple[tuple[SetFormula, Typeset | None], ...] = ()
    px: float = 0.0
    height: float = 0.0
    captions: Place = Place.NOWHERE


class FormulaBoard(QWidget):
    """Formulas at the left edge, their numbers at the right; what they are above or beside them, as there is room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lines: tuple[SetFormula, ...] = ()
        self._faded = False
        self.setAccessibleName("Formulas of this step")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.changed.connect(self.update)

    def set_faded(self, faded: bool) -> None:
        """Whether they belong to another step than the one that is named."""
        if faded != self._faded:
            self._faded = faded
            self.update()

    def show_lines(self, lines: tuple[SetFormula, ...]) -> None:
        """Replace all of them."""
        self.lines = lines
        said = "; ".join(f"{line.formula.caption}: {line.formula.left}, {line.formula.right}" for line in lines)
        self.setAccessibleDescription(said)
        self.setToolTip("\n".join(line.formula.caption for line in lines))
        self.update()

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 40)

    def arrangement(self) -> Arrangement:
        """How the formulas are laid out at the present size; the least important ones are left out at last."""
        lines = list(self.lines)
        while lines:
            for captions, numbers, least in _WAYS:
                px = self._size(lines, captions, numbers)
                if px >= least:
                    room = self.width() - (self._captions_width(lines) if captions is Place.BESIDE else 0.0)
                    shown = tuple((line, _right(line, px, room)) for line in lines)
                    return Arrangement(shown, px, self.height() / len(lines), captions)
            lines.remove(min(lines, key=lambda line: line.formula.weight))
        return Arrangement()

    def _size(self, lines: list[SetFormula], captions: Place, numbers: str) -> float:
        """The largest font for which all lines fit: in height, and in width with these numbers beside them."""
        tallest = max(max(line.left.height, line.right.height if line.right else 0.0) for line in lines) / 20.0
        room = self.height() / len(lines) - (CAPTION if captions is Place.ABOVE else 0.0) - 1.0
        widest = 0.0
        for line in lines:
            right = {"whole": line.right, "brief": line.brief, "none": None}[numbers]
            widest = max(widest, line.left.width + (right.width if right else 0.0))
        wide = self.width() - 14.0 - (self._captions_width(lines) if captions is Place.BESIDE else 0.0)
        usual = max(SIZES[1], self.height() / 12.0)
        return min(SIZES[2], room / tallest, wide / widest * 20.0, usual)

    def _captions_width(self, lines: list[SetFormula]) -> float:
        metrics = QFontMetricsF(theme.font(12))
        return max(metrics.horizontalAdvance(line.formula.caption.split(":")[0]) for line in lines) + 16.0

    def paintEvent(self, event: QPaintEvent) -> None:
        found = self.arrangement()
        painter = QPainter(self)
        painter.setOpacity(FADED if self._faded else 1.0)
        if not self.lines:
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text3"))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "The formulas stand here when the run pauses.")
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        above = found.captions is Place.ABOVE
        high = min(found.height, found.px * 2.1 + (CAPTION if above else 0.0))
        left = self._captions_width([line for line, _ in found.lines]) if found.captions is Place.BESIDE else 0.0
        for index, (line, right) in enumerate(found.lines):
            top = index * high
            sides = [line.left] if right is None else [line.left, right]
            ascent = max(side.baseline for side in sides) * found.px / 20.0
            descent = max(side.height - side.baseline for side in sides) * found.px / 20.0
            room = high - (CAPTION if above else 0.0)
            baseline = top + high - room + ascent + (room - ascent - descent) * (0.2 if above else 0.5)
            self._caption(painter, line, found.captions, top, baseline)
            equation.paint(painter, line.left, left, baseline, found.px)
            if right is not None:
                equation.paint(painter, right, self.width() - right.size(found.px)[0] - 1.0, baseline, found.px)
        painter.end()

    def _caption(self, painter: QPainter, line: SetFormula, where: Place, top: float, baseline: float) -> None:
        if where is Place.NOWHERE:
            return
        painter.setFont(theme.font(12))
        painter.setPen(theme.color(line.formula.role))
        above = where is Place.ABOVE
        words = line.formula.caption if above else line.formula.caption.split(":")[0]
        words = QFontMetricsF(painter.font()).elidedText(words, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(QPointF(0, top + 11 if above else baseline), words)


#: captions, numbers, and the font from which this way is taken; the best first
_WAYS: tuple[tuple[Place, str, float], ...] = (
    (Place.ABOVE, "whole", 15.5),
    (Place.BESIDE, "whole", 13.5),
    (Place.ABOVE, "brief", 13.5),
    (Place.BESIDE, "brief", 14.0),
    (Place.NOWHERE, "brief", SIZES[0]),
    (Place.NOWHERE, "none", SIZES[0]),
)


def _right(line: SetFormula, px: float, wide: float) -> Typeset | None:
    """The right side that fits beside the left one: whole, brief or none."""
    room = wide - line.left.size(px)[0] - 10.0
    return next((side for side in (line.right, line.brief) if side is not None and side.size(px)[0] <= room), None)
