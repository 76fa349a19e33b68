"""Axes that name themselves in words, with round ticks and a true minus, and the light grid behind a plot."""

from __future__ import annotations

import math
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import numbers, theme
from nnopt_gui.widgets.overlay import Overlay

#: pixels that one tick of an axis should have for itself
_ROOM = {"left": 27, "right": 27, "bottom": 62, "top": 62}


class Axis(pg.AxisItem):
    """One level of labelled ticks at 1-2-5 steps; on a log axis decades (or 1-2-5 within them).

    `compact`: the name stands at the right end of the row of ticks, so that a low plot keeps its height.
    """

    def __init__(self, orientation: str) -> None:
        self.words = ""
        self.compact = False
        self._fitted: tuple[str, str] = ("", "")
        super().__init__(orientation, maxTickLength=5)
        self.enableAutoSIPrefix(False)
        self.setStyle(maxTickLevel=0, maxTextLevel=0, tickTextOffset=4, autoReduceTextSpace=False, tickTextWidth=26)
        self.restyle()

    def restyle(self) -> None:
        """Take the theme's colours and fonts."""
        self.setPen(theme.pen("axis"))
        self.setTickPen(theme.pen("axis"))
        self.setTextPen(theme.color("text2"))
        self.setStyle(tickFont=theme.font(12))
        self.label.setFont(theme.font(12, theme.MEDIUM))
        self.set_words(self.words)

    def set_words(self, words: str) -> None:
        """The axis' name."""
        self.words = words
        self._fitted = ("", "")
        self._fit_words()

    def set_compact(self, compact: bool) -> None:
        """Write the name in the row of the ticks, or (False) in a row of its own."""
        if compact != self.compact:
            self.compact = compact
            self.set_words(self.words)

    def _fit_words(self) -> None:
        if self.compact or not self.words:
            self.showLabel(False)
            return
        size = self.size()
        length = size.height() if self.orientation in ("left", "right") else size.width()
        # before the first layout the size is not known yet
        room = length if length > 20 else 10_000
        fitted = (theme.metrics(12, theme.MEDIUM).elidedText(self.words, Qt.TextElideMode.ElideRight, room), "shown")
        if fitted != self._fitted:
            self._fitted = fitted
            self.setLabel(fitted[0], **{"color": theme.current().text2, "font-size": "12px", "font-weight": "500"})

    def resizeEvent(self, ev: Any = None) -> None:
        if self.label is not None:
            self._fit_words()
        super().resizeEvent(ev)

    def generateDrawSpecs(self, p: QPainter) -> Any:
        specs = super().generateDrawSpecs(p)
        if specs is None or not self.compact or not self.words:
            return specs
        line, ticks, texts = specs
        bounds = self.mapRectFromParent(self.geometry())
        wide = min(theme.metrics(12).horizontalAdvance(self.words) + 2, 0.6 * bounds.width())
        place = QRectF(bounds.right() - wide, bounds.bottom() - 17, wide, 16)
        words = theme.metrics(12).elidedText(self.words, Qt.TextElideMode.ElideRight, wide)
        kept = [spec for spec in texts if spec[0].right() < place.left() - 6]
        return line, ticks, [*kept, (place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, words)]

    def tick_positions(self, low: float, high: float, length: float) -> tuple[float, list[float]]:
        """(step, positions) along the axis; on a log axis positions are logarithms and the step is 1."""
        low, high = min(low, high), max(low, high)
        count = max(length / _ROOM[self.orientation], 1.6)
        if self.logMode:
            if high - low > 300 or not math.isfinite(high - low):
                return 1.0, []
            low, high = max(low, -300.0), min(high, 300.0)
            return 1.0, [math.log10(x) for x in numbers.log_ticks(10.0**low, 10.0**high, count)] if high > low else []
        values, step = numbers.ticks(low, high, count)
        return step, values

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        return [self.tick_positions(minVal, maxVal, size)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        if self.logMode:
            return numbers.log_tick_texts([10.0**v for v in values])
        return numbers.tick_texts([v * scale for v in values], spacing * scale)


class Grid(Overlay):
    """Light lines at the ticks of the axes named in `which` ("y", "x", "xy" or "")."""

    def __init__(self, left: Axis, bottom: Axis, which: str) -> None:
        super().__init__(z=-100)
        self.which = which
        self._left = left
        self._bottom = bottom

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if not self.which or self._box is None:
            return
        area = self.area
        (x0, x1), (y0, y1) = self._box.viewRange()
        lines = []
        if "y" in self.which:
            _, values = self._left.tick_positions(y0, y1, area.height())
            for value in values:
                y = round(self.pixel(x0, value).y()) + 0.5
                lines.append(QLineF(QPointF(area.left(), y), QPointF(area.right(), y)))
        if "x" in self.which:
            _, values = self._bottom.tick_positions(x0, x1, area.width())
            for value in values:
                x = round(self.pixel(value, y0).x()) + 0.5
                lines.append(QLineF(QPointF(x, area.top()), QPointF(x, area.bottom())))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(theme.pen("grid"))
        painter.drawLines(lines)
