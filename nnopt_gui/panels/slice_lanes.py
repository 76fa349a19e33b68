"""Marks of the slice panel alone: the steps as arrows in lanes below the curve, and the trail as dots."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from nnopt_gui.panels.landscape_trail import LAST
from nnopt_gui.panels.slice_model import Past, Vector
from nnopt_gui.widgets import theme
from nnopt_gui.widgets.bands import Bands
from nnopt_gui.widgets.marks import Arrow
from nnopt_gui.widgets.numbers import integer, number, short
from nnopt_gui.widgets.overlay import Label, Overlay, label_size

#: height of the strip where the model holds, px
STRIP = 4.0


class LaneArrow(Arrow):
    """A step in its lane. Its name stands beyond the head, behind the tail, or in the shaft, never over a curve;
    `brief` is its name where there is little room."""

    def __init__(self, role: str, label: str) -> None:
        super().__init__(role, label)
        self.brief = label
        self.step = 0.0

    def texts(self) -> list[str]:
        """What may be said, longest first: the name, and how long the step is where that cannot be seen."""
        found = self.geometry()
        if found is None:
            return []
        extra = self.size_words(found, abs(self.step))
        return [name + extra for name in dict.fromkeys((self.label, self.brief))]

    def label_text(self) -> str:
        return next(iter(self.texts()), "")

    def labels(self) -> list[Label]:
        found = self.geometry()
        if found is None:
            return []
        tail, tip, _ = found
        area = self.area.adjusted(3, 0, -3, 0)
        low, high = min(tail.x(), tip.x()), max(tail.x(), tip.x())
        for text in self.texts():
            wide, tall = label_size(text)
            beyond, behind = (high + 5, low - 5 - wide) if tip.x() >= tail.x() else (low - 5 - wide, high + 5)
            places = [x for x in (beyond, behind) if x >= area.left() and x + wide <= area.right()]
            if not places and high - low > wide + 30:
                places = [(low + high - wide) / 2]
            if places:
                rect = QRectF(places[0], tip.y() - tall / 2, wide, tall)
                return [Label(text, rect, self.role, "card", fixed=True, priority=5)]
        text = self.texts()[-1]
        wide, tall = label_size(text)
        rect = QRectF((low + high - wide) / 2, tip.y() - tall / 2, wide, tall)
        return [Label(text, rect, self.role, "card", priority=5)]

    def legend_costs(self) -> list[tuple[QRectF, float]]:
        """A legend over an arrow is worse than one over a piece of the curve."""
        found = self.geometry()
        if found is None:
            return []
        shaft = QRectF(found[0], found[1]).normalized().adjusted(-7, -7, 7, 7)
        return [(shaft, 8.0), *((label.rect, 3.0) for label in self.labels())]


class TrustBands(Bands):
    """Where the quadratic model holds: a strip at the upper edge, dotted lines down from its ends."""

    def __init__(self) -> None:
        super().__init__("trust")

    def labels(self) -> list[Label]:
        found = []
        for rect, words in self.rects():
            wide, tall = label_size(words, bold=False)
            if wide + 8 <= rect.width():
                place = QRectF(rect.center().x() - wide / 2, rect.top() + STRIP + 1, wide, tall)
                found.append(Label(words, place, "model", "card", bold=False, priority=3))
        return found

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        area = self.area
        for rect, _ in self.rects():
            painter.fillRect(QRectF(rect.left(), rect.top(), rect.width(), STRIP), theme.color("trust", 0.45))
            painter.setPen(theme.pen("trust"))
            for x in (rect.left(), rect.right()):
                if area.left() < x < area.right():
                    painter.drawLine(QPointF(round(x), rect.top()), QPointF(round(x), rect.bottom()))


class PastDots(Overlay):
    """Earlier states: their feet on the line, at the loss that they really have. Newer ones are stronger, and the one
    under the mouse says its step, its loss and how far beside the line it lies."""

    def __init__(self) -> None:
        super().__init__(z=30)
        self.past = Past()
        self.xs: Vector = np.empty(0)
        self.away: Vector = np.empty(0)
        self.hovered: int | None = None

    def set(self, past: Past, xs: Vector, away: Vector) -> None:
        """Replace all of them; xs (K,): coordinates, away (K,): distances to the line."""
        self.past, self.xs, self.away = past, xs, away
        self.hovered = None
        self.update()

    def hover(self, x: float, y: float, reach: float = 9.0) -> None:
        """The mouse is at data coordinates x, y."""
        found = None
        if self.xs.size:
            at = self.pixel(x, y)
            px, py = self.pixels(self.xs, self.past.losses)
            with np.errstate(invalid="ignore"):
                distances = np.hypot(px - at.x(), py - at.y())
            if np.isfinite(distances).any() and np.nanmin(distances) < reach:
                found = int(np.nanargmin(distances))
        self._point_out(found)

    def leave(self) -> None:
        """The mouse has left the plot."""
        self._point_out(None)

    def _point_out(self, found: int | None) -> None:
        if found != self.hovered and self.scene() is not None:
            self.hovered = found
            self.scene().update()

    def words(self, i: int) -> str:
        """What is said about a state."""
        text = f"step {integer(int(self.past.steps[i]))}: loss {number(float(self.past.losses[i]), 4)}"
        return text if self.away[i] < 1e-9 else f"{text}, {short(float(self.away[i]), 2)} beside this line"

    def labels(self) -> list[Label]:
        if self.hovered is None or self.hovered >= self.xs.size:
            return []
        words = self.words(self.hovered)
        at = self.pixel(float(self.xs[self.hovered]), float(self.past.losses[self.hovered]))
        wide, tall = label_size(words)
        return [Label(words, QRectF(at.x() - wide / 2, at.y() - tall - 9, wide, tall), plate="card", priority=9)]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        count = self.xs.size
        if not count or self._box is None:
            return
        area = self.area
        px, py = self.pixels(self.xs, self.past.losses)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        inside = (px >= area.left()) & (px <= area.right()) & (py >= area.top()) & (py <= area.bottom())
        kept: list[QPointF] = []
        last = (math.inf, math.inf)
        for x, y in zip(px[inside][::-1].tolist(), py[inside][::-1].tolist(), strict=True):
            # dots that would merge into a bar are left out
            if abs(x - last[0]) + abs(y - last[1]) > 6:
                kept.append(QPointF(x, y))
                last = x, y
        for share, dots in ((0.6, kept[: LAST // 2]), (0.3, kept[LAST // 2 :])):
            pen = QPen(theme.color("trail", share), 5.0)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            painter.drawPoints(dots)
        if self.hovered is not None and self.hovered < count:
            painter.setPen(QPen(theme.color("card"), 1.5))
            painter.setBrush(theme.brush("trail"))
            painter.drawEllipse(QPointF(px[self.hovered], py[self.hovered]), 5, 5)
