"""Marks of the landscape panel alone: steps as arrows, known minima, and words about the trail under the mouse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

from nnopt_gui.panels.slice_lanes import MAGNIFIED
from nnopt_gui.panels.slice_model import Past, Vector
from nnopt_gui.widgets import symbols
from nnopt_gui.widgets.marks import Arrow
from nnopt_gui.widgets.numbers import TIMES, integer, number, short
from nnopt_gui.widgets.overlay import Label, Overlay, label_size

#: an arrow is drawn at least this long, px: the disc of the current point covers the first 9
SHORTEST = 26.0
#: known minima that are drawn large; more of them are drawn small
FEW = 12


class MapArrow(Arrow):
    """A step on the map; its label says when it is drawn much longer than it is, or leaves the map."""

    def __init__(self, role: str, label: str) -> None:
        super().__init__(role, label)
        self.length = 0.0

    def geometry(self) -> tuple[QPointF, QPointF, float] | None:
        found = super().geometry()
        if found is None or not self.area.contains(found[0]):
            return None
        tail, tip, magnification = found
        drawn = math.hypot(tip.x() - tail.x(), tip.y() - tail.y())
        if 0 < drawn < SHORTEST:
            factor = SHORTEST / drawn
            return tail, tail + (tip - tail) * factor, magnification * factor
        return found

    def label_text(self) -> str:
        found = self.geometry()
        if found is None:
            return ""
        if found[2] > MAGNIFIED:
            return (
                f"{self.label}, {TIMES} {short(found[2], 2)}"
                if found[2] < 1e6
                else f"{self.label}, {TIMES} 10⁶ and more"
            )
        return f"{self.label}: {number(self.length, 2)} long" if found[2] < 0.98 else self.label


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
