"""What lies over the loss curves: the area where a click or a drag seeks, and the plate that reads the values under the
mouse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.bands import Bands
from nnopt_gui.widgets.overlay import Label, Overlay, label_size
from nnopt_gui.widgets.plot import Curve

_ROW = 17.0
_PAD = 8.0
#: pixels from a mark within which a click means it
REACH = 8.0


class PlateauBands(Bands):
    """Tinted stretches whose words stay inside them and off the curves: at the lower edge, else above or below the
    curve, else at the upper edge; where no place is free there are none. curves: what may not be written over."""

    def __init__(self, role: str, short: str, curves: Iterable[Curve] = ()) -> None:
        super().__init__(role)
        self._short = short
        self._curves = tuple(curves)
        #: the curve's height in each stretch, data coordinates
        self.levels: tuple[float, ...] = ()

    def labels(self) -> list[Label]:
        result = []
        for (x0, x1, words), level in zip(self.bands, self.levels, strict=False):
            left = max(self.pixel(x0, 0).x(), self.area.left())
            right = min(self.pixel(x1, 0).x(), self.area.right())
            for text in (words, self._short):
                wide, high = label_size(text, bold=False)
                place = self._free(left + 4, wide, high, self.pixel(x0, level).y())
                if wide + 8 <= right - left and place is not None:
                    result.append(Label(text, place, "text2", "", bold=False, fixed=True, priority=4))
                    break
        return result

    def _free(self, left: float, wide: float, high: float, curve: float) -> QRectF | None:
        """A place from `left` on (pixels) that no curve runs through. curve: the height of the flat one."""
        highest, lowest = self.area.top() + 3, self.area.bottom() - 3 - high
        taken = [self._heights(one, left - 3, left + wide + 3) for one in self._curves if one.isVisible()]
        for top in (lowest, curve - 9 - high, curve + 9, highest):
            if highest <= top <= lowest and all(top > low + 4 or top + high < up - 4 for up, low in taken):
                return QRectF(left, top, wide, high)
        return None

    def _heights(self, curve: Curve, left: float, right: float) -> tuple[float, float]:
        """(upper, lower) end of a curve between two places, pixels; below everything where it is not there."""
        x, y = curve.getData()
        if x is None or not len(x):
            return math.inf, math.inf
        px, py = self.pixels(x, y)
        first, last = np.searchsorted(px, (left, right))
        ends = np.interp((left, right), px, py) if px[0] <= right and px[-1] >= left else np.empty(0)
        seen = np.concatenate([py[first:last], ends])
        seen = seen[np.isfinite(seen)]
        return (float(seen.min()), float(seen.max())) if seen.size else (math.inf, math.inf)


class FaintCurve(Curve):
    """The loss of each mini-batch: thin and faint behind the measured training loss."""

    def restyle(self) -> None:
        self.setPen(theme.pen("text3", width=1.0, alpha=0.3))


class SeekArea(Overlay):
    """Takes clicks and drags of the left button over the plot: `sought(x)` in data coordinates. The wheel and the other
    buttons belong to the plot below. magnets: places (x, y) of marks; a click on one means its x exactly."""

    sought = Signal(float)
    double_clicked = Signal()

    def __init__(self) -> None:
        super().__init__(z=200)
        self.magnets: tuple[tuple[float, float], ...] = ()

    def shape(self) -> QPainterPath:
        path = QPainterPath()
        path.addRect(self.area)
        return path

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        """Nothing to see."""

    def mouseClickEvent(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        event.accept()
        if event.double():
            self.double_clicked.emit()
        else:
            self.sought.emit(self._meant(event.pos()))

    def _meant(self, at: QPointF) -> float:
        for x, y in self.magnets:
            if QLineF(self.pixel(x, y), at).length() <= REACH:
                return x
        return self.data(at)[0]

    def mouseDragEvent(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            event.ignore()
            return
        event.accept()
        self.sought.emit(self.data(event.pos())[0])


class Reading(Overlay):
    """A thin line at one step and a plate beside it: rows of (name, value), the first of them in a low plot. Where the
    curves are there stand small dots: (y, role)."""

    def __init__(self) -> None:
        super().__init__(z=950)
        self.x: float | None = None
        self.rows: tuple[tuple[str, str], ...] = ()
        self.dots: tuple[tuple[float, str], ...] = ()

    def set(self, x: float, rows: Sequence[tuple[str, str]], dots: Sequence[tuple[float, str]] = ()) -> None:
        """What is read at x (data coordinates)."""
        before = self._places()
        self.x, self.rows, self.dots = x, tuple(rows), tuple(dots)
        self.update_at(*before, *self._places())

    def clear(self) -> None:
        """The mouse has left."""
        if self.x is not None:
            before, self.x = self._places(), None
            self.update_at(*before)

    def _places(self) -> list[QRectF]:
        """Where line, dots and plate are painted."""
        if self.x is None:
            return []
        line = QRectF(round(self.pixel(self.x, 0).x()) - 7, self.area.top(), 15, self.area.height())
        return [line, self.frame().adjusted(-2, -2, 2, 2)]

    @property
    def text(self) -> str:
        """What the plate says, in one line."""
        return ", ".join(f"{name} {value}" for name, value in self.rows) if self.x is not None else ""

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """The rows for which there is room."""
        return self.rows[: max(1, int((self.area.height() - 2 * _PAD) // _ROW))]

    def frame(self) -> QRectF:
        """Where the plate is, in view-box pixels: beside the line, on the side with more room."""
        if self.x is None:
            return QRectF()
        metrics, bold = theme.metrics(12), theme.metrics(12, theme.BOLD)
        names = max((metrics.horizontalAdvance(name) for name, _ in self.rows), default=0.0)
        values = max((bold.horizontalAdvance(value) for _, value in self.rows), default=0.0)
        wide, high = names + values + 14 + 2 * _PAD, _ROW * len(self.shown) + 2 * _PAD - 4
        area = self.area
        x = self.pixel(self.x, 0).x()
        left = x + 10 if x + 10 + wide < area.right() else x - 10 - wide
        left = max(area.left() + 2, min(left, area.right() - wide - 2))
        return QRectF(left, max(area.top() + 2, min(area.top() + 24, area.bottom() - high - 2)), wide, high)

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if self.x is None or not self.rows:
            return
        area = self.area
        x = round(self.pixel(self.x, 0).x()) + 0.5
        painter.setPen(QPen(theme.color("text3", 0.7), 1))
        painter.drawLine(QLineF(x, area.top(), x, area.bottom()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for y, role in self.dots:
            painter.setPen(QPen(theme.color("card"), 1.5))
            painter.setBrush(theme.color(role))
            painter.drawEllipse(self.pixel(self.x, y), 4, 4)
        frame = self.frame()
        painter.setPen(theme.pen("border"))
        painter.setBrush(theme.color("card", 0.96))
        painter.drawRoundedRect(frame.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        y = frame.top() + _PAD + 10
        for name, value in self.shown:
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text2"))
            painter.drawText(QPointF(frame.left() + _PAD, y), name)
            painter.setFont(theme.font(12, theme.BOLD))
            painter.setPen(theme.color("text"))
            wide = theme.metrics(12, theme.BOLD).horizontalAdvance(value)
            painter.drawText(QPointF(frame.right() - _PAD - wide, y), value)
            y += _ROW
