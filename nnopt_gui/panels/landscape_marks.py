"""Marks of the landscape panel alone: steps as arrows, known minima, and words about the trail under the mouse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from nnopt_gui.panels.slice_model import Past, Vector
from nnopt_gui.widgets import symbols, theme
from nnopt_gui.widgets.marks import Arrow
from nnopt_gui.widgets.numbers import TIMES, integer, number, short
from nnopt_gui.widgets.overlay import Label, Overlay, label_size

#: a circle of this radius is hidden by the current point, px
SMALL_CIRCLE = 10.0
#: known minima that are drawn large; more of them are drawn small
FEW = 12


class MapArrow(Arrow):
    """A step on the map; its label says how long it is where that cannot be seen. length: of all of it, also of what
    does not lie in the plane. The disc of the current point covers the first 9 px."""

    dot = 14.0
    aside = 11.0
    bar = 12.0

    def __init__(self, role: str, label: str) -> None:
        super().__init__(role, label)
        self.length = 0.0

    def geometry(self) -> tuple[QPointF, QPointF, float] | None:
        found = super().geometry()
        return None if found is None or not self.area.contains(found[0]) else found

    def label_text(self) -> str:
        found = self.geometry()
        return "" if found is None else self.label + self.size_words(found, self.length)


class TrustCircle(Overlay):
    """The region in which a trust-region method believes its model: a dashed circle, on the scale of the arrows."""

    def __init__(self, arrow: MapArrow) -> None:
        super().__init__(z=50)
        self._arrow = arrow
        self._circle: tuple[float, float, float] | None = None

    def set(self, a: float, b: float, radius: float) -> None:
        """Around (a, b), data coordinates; not finite: hidden."""
        circle = (a, b, radius) if all(map(math.isfinite, (a, b, radius))) else None
        if circle != self._circle:
            self._circle = circle
            self.update()

    @property
    def circle(self) -> tuple[QPointF, float] | None:
        """Centre and radius in pixels; None if there is nothing to draw."""
        if self._circle is None or self._box is None:
            return None
        a, b, radius = self._circle
        centre, edge = self.pixel(a, b), self.pixel(a + radius, b)
        factor = self._arrow.magnification()
        return centre, abs(edge.x() - centre.x()) * (factor if math.isfinite(factor) else 1.0)

    def labels(self) -> list[Label]:
        found = self.circle
        if found is None or found[1] < SMALL_CIRCLE or self._circle is None:
            return []
        factor = self._arrow.magnification()
        words = f"trust region, radius {number(self._circle[2], 2)}"
        if 1.0 < factor < math.inf:
            words += f" {TIMES} {short(factor, 2)}"
        wide, tall = label_size(words)
        middle = found[0] + QPointF(0, found[1] + 2 + tall / 2)
        return [
            Label(words, QRectF(middle.x() - wide / 2, middle.y() - tall / 2, wide, tall), "own", "dark", priority=2)
        ]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        found = self.circle
        if found is None or not SMALL_CIRCLE <= found[1] < 2e4:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width in ((theme.color("plate", 0.7), 3.2), (theme.color("map_own"), 1.6)):
            pen = QPen(color, width)
            pen.setDashPattern([6.4 / width, 4.8 / width])
            painter.setPen(pen)
            painter.drawEllipse(*((found[0], found[1], found[1])))


class Minima(Overlay):
    """Where the function has its known minima: stars, white with a dark edge."""

    def __init__(self) -> None:
        super().__init__(z=35)
        self.places: Vector = np.empty((0, 2))

    def set(self, places: Vector) -> None:
        """Replace all of them, (K, 2)."""
        self.places = places
        self.update()

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        size = 13.0 if len(self.places) <= FEW else 7.0
        area = self.area.adjusted(-8, -8, 8, 8)
        for a, b in self.places:
            at = self.pixel(float(a), float(b))
            if area.contains(at):
                symbols.draw(painter, "star", at, size, "map_trail", edge="map_trail_edge", edge_width=1.0)

    def obstacles(self) -> list[QRectF]:
        if self._box is None or len(self.places) > FEW:
            return []
        spots = [self.pixel(float(a), float(b)) for a, b in self.places]
        return [QRectF(p.x() - 8, p.y() - 8, 16, 16) for p in spots if self.area.contains(p)]


class HoverWords(Overlay):
    """What is said about the state of the trail that is under the mouse."""

    def __init__(self) -> None:
        super().__init__(z=85)
        self.past = Past()
        self.places: Vector = np.empty((0, 2))
        self.away: Vector = np.empty(0)
        self.hovered: int | None = None

    def set(self, past: Past, places: Vector, away: Vector) -> None:
        """The states (K, P), their feet (K, 2) and distances (K,) to the plane."""
        self.past, self.places, self.away = past, places, away
        self.hovered = None

    def hover(self, x: float, y: float, reach: float = 9.0) -> int | None:
        """The mouse is at data coordinates x, y; the index of the state there."""
        found = None
        if len(self.places):
            at = self.pixel(x, y)
            px, py = self.pixels(self.places[:, 0], self.places[:, 1])
            with np.errstate(invalid="ignore"):
                distances = np.nan_to_num(np.hypot(px - at.x(), py - at.y()), nan=np.inf)
            # the newest of those that are equally near
            best = len(distances) - 1 - int(np.argmin(distances[::-1]))
            found = best if distances[best] < reach else None
        self._point_out(found)
        return found

    def leave(self) -> None:
        """The mouse has left the plot."""
        self._point_out(None)

    def _point_out(self, found: int | None) -> None:
        if found != self.hovered and self.scene() is not None:
            self.hovered = found
            self.scene().update()

    def words(self, i: int) -> str:
        """Step, true loss, and the distance to the plane if there is any."""
        loss = float(self.past.losses[i])
        text = f"step {integer(int(self.past.steps[i]))}"
        if math.isfinite(loss):
            text += f": loss {number(loss, 4)}"
        near = self.away[i] < 1e-9 * (1.0 + float(np.abs(self.places[i]).max()))
        return text if near else f"{text}, {short(float(self.away[i]), 2)} off this plane"

    def labels(self) -> list[Label]:
        if self.hovered is None or self.hovered >= len(self.places):
            return []
        words = self.words(self.hovered)
        at = self.pixel(float(self.places[self.hovered, 0]), float(self.places[self.hovered, 1]))
        wide, tall = label_size(words)
        return [Label(words, QRectF(at.x() - wide / 2, at.y() - tall - 9, wide, tall), plate="dark", priority=9)]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if self.hovered is not None and self.hovered < len(self.places):
            at = self.pixel(float(self.places[self.hovered, 0]), float(self.places[self.hovered, 1]))
            symbols.draw(painter, "disc", at, 9.0, "map_trail", edge="map_trail_edge", edge_width=1.5)
