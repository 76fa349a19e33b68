"""Axes that name themselves in words, with round ticks and a true minus, and the light grid behind a plot."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import numbers, theme
from nnopt_gui.widgets.kept import keep
from nnopt_gui.widgets.overlay import Overlay

#: pixels that one tick of an axis should have for itself
_ROOM = {"left": 27, "right": 27, "bottom": 62, "top": 62}
#: numbers that an axis has at least, where they fit, and pixels between two of them then
_FEWEST, _APART = 3, 10
#: margin of the words in a text item, px
_MARGIN = 4.0
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextDontClip
_BELOW = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextDontClip
#: pixels that the number at an end of the bottom axis may stand out at the left and at the right
_OUT = (24.0, 4.0)


class Axis(pg.AxisItem):
    """One level of labelled ticks at 1-2-5 steps; on a log axis decades (or 1-2-5 within them).

    `compact`: the name stands at the right end of the row of ticks, so that a low plot keeps its height.
    """

    def __init__(self, orientation: str) -> None:
        self.words = ""
        self.compact = False
        self._fitted: tuple[str, str] = ("", "")
        self._asked: tuple[Any, ...] = ()
        self._answer: tuple[float, list[float]] = (1.0, [])
        super().__init__(orientation, maxTickLength=5)
        if orientation == "bottom":
            self.setStyle(hideOverlappingLabels=60)
        self.enableAutoSIPrefix(False)
        self.label.setOpacity(0.0)  # `paint` writes the name
        keep(self)
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
        metrics = theme.metrics(12, theme.MEDIUM)
        words = self.words
        while "," in words and metrics.horizontalAdvance(words) > room:
            words = words.rpartition(",")[0]  # what stands after a comma is said elsewhere too
        fitted = (metrics.elidedText(words, Qt.TextElideMode.ElideRight, room), "shown")
        if fitted != self._fitted:
            self._fitted = fitted
            self.setLabel(fitted[0], **{"color": theme.current().text2, "font-size": "12px", "font-weight": "500"})

    def resizeEvent(self, ev: Any = None) -> None:
        if self.label is not None:
            self._fit_words()
        super().resizeEvent(ev)

    def updateAutoSIPrefix(self) -> None:
        """There are no prefixes; pyqtgraph's own sets the name anew with each change of the range."""
        self.autoSIPrefixScale = 1.0
        self.picture = None
        self.update()

    def paint(self, p: QPainter, opt: Any, widget: QWidget | None = None) -> None:
        specs = self.generateDrawSpecs(p)
        if specs is None:
            return
        p.save()
        self.drawPicture(p, *specs)
        p.restore()
        if self.label.isVisible():
            # a text item of Qt's own lays its words out anew at each painting
            p.setFont(theme.font(12, theme.MEDIUM))
            p.setPen(theme.color("text2"))
            p.translate(self.label.pos())
            p.rotate(self.label.rotation())
            p.drawText(QPointF(_MARGIN, _MARGIN + theme.metrics(12, theme.MEDIUM).ascent()), self.labelText)

    def generateDrawSpecs(self, p: QPainter) -> Any:
        """The axis' line, its ticks and its texts, as `drawPicture` takes them; pyqtgraph's own, which serves any kind
        of axis, takes ten times as long."""
        bounds = self.mapRectFromParent(self.geometry())
        upright = self.orientation == "left"
        length = bounds.height() if upright else bounds.width()
        low, high = self.range
        if length <= 0 or not high > low:
            return None
        step, values = self.tick_positions(low, high, length)
        shown = [value for value in values if low <= value <= high]
        pen, texts, ticks = self.tickPen(), [], []
        metrics, tick, gap = (
            theme.metrics(12),
            self.style["tickLength"],
            self.style["tickTextOffset"][0 if upright else 1],
        )
        tall, widest = 0.8 * metrics.height(), 0.0
        for value, text in zip(shown, self.tickStrings(shown, 1.0, step), strict=True):
            wide = metrics.horizontalAdvance(text)
            widest = max(widest, wide)
            share = (value - low) / (high - low)
            if upright:
                y = bounds.bottom() - share * length
                ticks.append((pen, QPointF(bounds.right(), y), QPointF(bounds.right() - tick, y)))
                place = QRectF(bounds.right() - tick - gap - wide, y - tall / 2, wide, tall)
                texts.append((place, _RIGHT, text))
            else:
                x = bounds.left() + share * length
                ticks.append((pen, QPointF(x, bounds.top()), QPointF(x, bounds.top() + tick)))
                texts.append((QRectF(x - wide / 2, bounds.top() + tick + gap, wide, tall), _BELOW, text))
        around = self.boundingRect()
        texts = [spec for spec in texts if around.contains(spec[0].adjusted(0.01, 0.01, -0.01, -0.01))]
        self._updateMaxTextSize(widest if upright else tall)
        if upright:
            line = (self.pen(), bounds.topRight() + QPointF(-1, -1), bounds.bottomRight() + QPointF(-1, 1))
            return line, ticks, texts
        line = (self.pen(), bounds.topLeft() + QPointF(-1, 1), bounds.topRight() + QPointF(1, 1))
        texts = _moved_in(texts, bounds.left() - _OUT[0], bounds.right() + _OUT[1])
        if not self.compact or not self.words:
            return line, ticks, texts
        wide = min(metrics.horizontalAdvance(self.words) + 2, 0.6 * bounds.width())
        place = QRectF(bounds.right() - wide, bounds.bottom() - 17, wide, 16)
        words = metrics.elidedText(self.words, Qt.TextElideMode.ElideRight, wide)
        kept = [spec for spec in texts if spec[0].right() < place.left() - 6]
        return line, ticks, [*kept, (place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, words)]

    def tick_positions(self, low: float, high: float, length: float) -> tuple[float, list[float]]:
        """(step, positions) along the axis; on a log axis positions are logarithms and the step is 1. There are at
        least three numbers, if they fit, and none runs into its neighbour."""
        asked = (low, high, length, self.logMode)
        if asked != self._asked:
            self._asked = asked
            self._answer = self._fitting(min(low, high), max(low, high), length)
        return self._answer

    def _fitting(self, low: float, high: float, length: float) -> tuple[float, list[float]]:
        usual = max(length / _ROOM[self.orientation], 1.6)
        room = length / (high - low) if high > low else 0.0
        found = self._spread(low, high, usual)
        if len(found[1]) >= _FEWEST and self._apart(found, room):
            return found
        # fewer, where they run into each other; else more, of which every second or third is written if need be
        for share in (0.7, 0.5, 0.35, 1.0, 1.4, 2.0, 2.8, 4.0):
            step, values = self._spread(low, high, usual * share)
            for every in (1, 2, 3) if share >= 1.0 else (1,):
                some = (step, values[::every])
                if len(some[1]) >= _FEWEST and self._apart(some, room):
                    return some
        while len(found[1]) > 1 and not self._apart(found, room):
            found = (found[0], found[1][::2])
        return found

    def _apart(self, found: tuple[float, list[float]], room: float) -> bool:
        """Whether the numbers of ticks stand clear of each other. room: pixels of a unit."""
        step, values = found
        gap = min((b - a for a, b in itertools.pairwise(values)), default=math.inf) * room
        metrics = theme.metrics(12)
        if self.orientation in ("left", "right"):
            return gap >= metrics.height()
        texts = self.tickStrings(values, 1.0, step)
        return gap >= max((metrics.horizontalAdvance(text) for text in texts), default=0.0) + _APART

    def _spread(self, low: float, high: float, count: float) -> tuple[float, list[float]]:
        """About `count` round places."""
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


def _moved_in(texts: list[Any], left: float, right: float) -> list[Any]:
    """The numbers of a horizontal axis, those at the ends moved in as far as they would be cut; one that then runs into
    its neighbour is left out."""
    kept: list[Any] = []
    for rect, flags, text in sorted(texts, key=lambda spec: spec[0].center().x()):
        place = QRectF(rect)
        place.moveLeft(max(place.left(), left))
        place.moveRight(min(place.right(), right))
        if not kept or place.left() > kept[-1][0].right() + 3:
            kept.append((place, flags, text))
    return kept


class Grid(Overlay):
    """Light lines at the ticks of the axes named in `which` ("y", "x", "xy" or "")."""

    def __init__(self, left: Axis, bottom: Axis, which: str) -> None:
        super().__init__(z=-100)
        self.which = which
        self._left = left
        self._bottom = bottom
        keep(self)

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
                lines.append(QLineF(area.left(), y, area.right(), y))
        if "x" in self.which:
            _, values = self._bottom.tick_positions(x0, x1, area.width())
            for value in values:
                x = round(self.pixel(value, y0).x()) + 0.5
                lines.append(QLineF(x, area.top(), x, area.bottom()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(theme.pen("grid"))
        painter.drawLines(lines)
