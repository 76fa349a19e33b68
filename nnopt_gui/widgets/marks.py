"""Marks over a plot: arrows of steps, where they land, the current point, trails, words on plates.

Places are in data coordinates, sizes in pixels. Add them with `LabPlot.add`; over a map they take the map's colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import symbols, theme
from nnopt_gui.widgets.bands import Bands, Hatch, StepLine, StepMarks
from nnopt_gui.widgets.numbers import TIMES, short
from nnopt_gui.widgets.overlay import Label, Overlay, draw_label, label_size, place_labels
from nnopt_gui.widgets.points import ClassPoints, CurveMarks, Trail

#: an arrow is never drawn shorter than this, px
SHORTEST = 16.0
LANE = 18.0


def _on_map(role: str, on_map: bool) -> str:
    return f"map_{role}" if on_map and role in ("gradient", "newton", "model", "trail") else role


class Arrow(Overlay):
    """A step: shaft and head of constant width, filled (gradient) or hollow (Newton), with its name.

    An arrow shorter than 16 px is drawn 16 px long, one that leaves the view ends at its edge, and the label says by
    how much: "gradient step, × 50", "Newton step, × 1/12".
    """

    def __init__(self, role: str, label: str = "", *, hollow: bool | None = None) -> None:
        super().__init__(z=60)
        self.role = role
        self.label = label
        self.hollow = role == "newton" if hollow is None else hollow
        self._ends: tuple[float, float, float, float] | None = None
        self._lane: tuple[int, int] | None = None
        self._drops: tuple[float | None, float | None] = (None, None)
        #: the geometry that was asked for last, and what it depends on
        self._found: tuple[tuple[Any, ...], tuple[QPointF, QPointF, float]] | None = None

    def set(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """From (x0, y0) to (x1, y1), data coordinates; not finite: hidden."""
        self._lane = None
        self._drops = (None, None)
        self._put((x0, y0, x1, y1))

    def set_lane(
        self, x0: float, x1: float, lane: int = 0, lanes: int = 2, *, y0: float | None = None, y1: float | None = None
    ) -> None:
        """From x0 to x1 in one of the `lanes` (0 on top) along the lower edge of the plot; dotted lines go up to the
        curve at (x0, y0) and to the landing point (x1, y1). `lane_room(lanes)` is the room they need."""
        self._lane = (lane, lanes)
        self._drops = (y0, y1)
        self._put((x0, 0.0, x1, 0.0))

    def _put(self, ends: tuple[float, float, float, float]) -> None:
        ends_or_none = ends if all(map(math.isfinite, ends)) else None
        if ends_or_none is None or ends[:2] == ends[2:]:
            ends_or_none = None
        self._ends = ends_or_none
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._ends = None
        self.update()

    def geometry(self) -> tuple[QPointF, QPointF, float] | None:
        """(tail, tip, magnification) as drawn, in pixels; None if there is nothing to draw."""
        if self._ends is None or self._box is None:
            return None
        # label, obstacles, legend and painting ask for it one after the other
        place = (self._ends, self._lane, *map(tuple, self._box.viewRange()), self.area.getCoords())
        if self._found is None or self._found[0] != place:
            self._found = place, self._geometry(*self._ends)
        tail, tip, magnification = self._found[1]
        return QPointF(tail), QPointF(tip), magnification

    def _geometry(self, x0: float, y0: float, x1: float, y1: float) -> tuple[QPointF, QPointF, float]:
        tail, tip = self.pixel(x0, y0), self.pixel(x1, y1)
        if self._lane is not None:
            lane, lanes = self._lane
            y = round(self.area.bottom() - 13 - LANE * (lanes - 1 - lane)) + 0.5
            tail.setY(y)
            tip.setY(y)
        true = math.hypot(tip.x() - tail.x(), tip.y() - tail.y())
        if true == 0:
            # shorter than a rounding error of the mapping: only the direction is known
            direction = QPointF(
                math.copysign(1, x1 - x0) if x1 != x0 else 0, -math.copysign(1, y1 - y0) if y1 != y0 else 0
            )
            return tail, tail + direction * SHORTEST, math.inf
        direction = (tip - tail) / true
        drawn = max(true, SHORTEST)
        room = self._room(tail, direction)
        if drawn > room > SHORTEST:
            drawn = room
        return tail, tail + direction * drawn, drawn / true

    def _room(self, tail: QPointF, direction: QPointF) -> float:
        # length until the view's edge, or infinity when the tail itself is outside
        area = self.area.adjusted(4, 4, -4, -4)
        if not area.contains(tail):
            return math.inf
        lengths = []
        for along, low, high, start in (
            (direction.x(), area.left(), area.right(), tail.x()),
            (direction.y(), area.top(), area.bottom(), tail.y()),
        ):
            if abs(along) > 1e-12:
                lengths.append(((high if along > 0 else low) - start) / along)
        return min(lengths, default=math.inf)

    def label_text(self) -> str:
        """The name, and by how much the arrow is drawn longer or shorter than it is."""
        found = self.geometry()
        if not self.label or found is None:
            return ""
        _, _, magnification = found
        if magnification > 1.02:
            times = short(magnification, 2) if magnification < 1e6 else "10⁶ and more"
            return f"{self.label}, {TIMES} {times}"
        if magnification < 0.98:
            return f"{self.label}, {TIMES} 1/{short(1 / magnification, 2)}"
        return self.label

    def labels(self) -> list[Label]:
        found = self.geometry()
        text = self.label_text()
        if found is None or not text:
            return []
        tail, tip, _ = found
        wide, high = label_size(text)
        length = math.hypot(tip.x() - tail.x(), tip.y() - tail.y()) or 1.0
        ux, uy = (tip.x() - tail.x()) / length, (tip.y() - tail.y()) / length
        if self._lane is not None:
            right = max(tail.x(), tip.x())
            x = right + 6 if right + 6 + wide < self.area.right() - 4 else min(tail.x(), tip.x()) - 6 - wide
            return [Label(text, QRectF(x, tip.y() - high / 2, wide, high), self.role, fixed=True)]
        middle = QPointF(tip.x() + ux * (10 + wide / 2), tip.y() + uy * (8 + high / 2))
        rect = QRectF(middle.x() - wide / 2, middle.y() - high / 2, wide, high)
        return [Label(text, rect, self.role, "dark" if self.on_map else "card", priority=5)]

    def obstacles(self) -> list[QRectF]:
        found = self.geometry()
        if found is None:
            return []
        tail, tip, _ = found
        parts = max(2, min(24, int(QLineF(tail, tip).length() / 10)))
        spots = [tail + (tip - tail) * (i / parts) for i in range(parts + 1)]
        return [QRectF(p.x() - 5, p.y() - 5, 10, 10) for p in spots]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        found = self.geometry()
        if found is None:
            return
        tail, tip, _ = found
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        role = _on_map(self.role, self.on_map)
        if self._lane is not None and self._ends is not None:
            self._draw_drops(painter, tail, tip, role)
        width = theme.pen(role).widthF()
        if self.on_map:
            _draw_arrow(painter, tail, tip, theme.color("plate", 0.7), width + 2.4, False, QColor(), 1.2)
        inside = theme.color("plate", 0.55) if self.on_map else theme.color("card")
        _draw_arrow(painter, tail, tip, theme.color(role), width, self.hollow, inside, 0.0)

    def _draw_drops(self, painter: QPainter, tail: QPointF, tip: QPointF, role: str) -> None:
        assert self._ends is not None
        x0, _, x1, _ = self._ends
        y0, y1 = self._drops
        for x, y, at, name in ((x0, y0, tail, "point"), (x1, y1, tip, role)):
            if y is not None and math.isfinite(y):
                pen = QPen(theme.color(name), 1.2)
                pen.setDashPattern([1.5, 2.5])
                painter.setPen(pen)
                painter.drawLine(QPointF(at.x() if name != role else self.pixel(x, y).x(), at.y()), self.pixel(x, y))


def lane_room(lanes: int = 2) -> float:
    """Pixels to keep free below the data for arrows in `lanes` lanes (`LabPlot.set_home(..., bottom_px=...)`)."""
    return 13 + LANE * (lanes - 1) + 16


def _draw_arrow(
    painter: QPainter,
    tail: QPointF,
    tip: QPointF,
    colour: QColor,
    width: float,
    hollow: bool,
    inside: QColor,
    grow: float,
) -> None:
    length = QLineF(tail, tip).length()
    if length <= 0:
        return
    unit = (tip - tail) / length
    normal = QPointF(-unit.y(), unit.x())
    head = min(13.0, 0.75 * length)
    half = head * 0.42 + grow
    base = tip - unit * head
    end = tip + unit * grow * 1.6
    pen = QPen(colour, width)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    painter.setPen(pen)
    painter.drawLine(tail, base + unit * (0 if hollow else 1.5))
    corners = QPolygonF([end, base + normal * half - unit * grow, base - normal * half - unit * grow])
    if hollow:
        outline = QPen(colour, 1.8)
        outline.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(outline)
        painter.setBrush(inside)
    else:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
    painter.drawPolygon(corners)


class Mark(Overlay):
    """A symbol at a place: where a step lands ("triangle", "diamond" hollow = predicted), the model's minimum ("plus").

    label: words beside it.
    """

    def __init__(self, symbol: str, role: str, *, hollow: bool = False, size: float = 11, label: str = "") -> None:
        super().__init__(z=70)
        self.symbol = symbol
        self.role = role
        self.hollow = hollow
        self.size = size
        self.label = label
        self._at: tuple[float, float] | None = None

    def set(self, x: float, y: float) -> None:
        """Where it is; not finite: hidden."""
        at = (x, y) if math.isfinite(x) and math.isfinite(y) else None
        if at != self._at:
            self._at = at
            self.update()

    def clear(self) -> None:
        """Show nothing."""
        self.set(math.nan, math.nan)

    def _spot(self) -> QPointF | None:
        if self._at is None or self._box is None:
            return None
        spot = self.pixel(*self._at)
        return spot if self.area.adjusted(-8, -8, 8, 8).contains(spot) else None

    def labels(self) -> list[Label]:
        spot = self._spot()
        if spot is None or not self.label:
            return []
        wide, high = label_size(self.label)
        rect = QRectF(spot.x() + self.size * 0.7 + 2, spot.y() - high / 2, wide, high)
        return [Label(self.label, rect, self.role, "dark" if self.on_map else "card", priority=3)]

    def obstacles(self) -> list[QRectF]:
        spot = self._spot()
        half = self.size / 2 + 2
        return [] if spot is None else [QRectF(spot.x() - half, spot.y() - half, 2 * half, 2 * half)]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        spot = self._spot()
        if spot is not None:
            role = _on_map(self.role, self.on_map)
            edge = "plate" if self.on_map else "card"
            if self.hollow:
                symbols.draw(painter, self.symbol, spot, self.size, role, hollow=True, edge=edge)
            else:
                symbols.draw(painter, self.symbol, spot, self.size, role, edge=edge, edge_width=1.0)


class PlateLabel(Overlay):
    """Words at a place, on a dark plate over maps, on the card's colour elsewhere. dx, dy: px from the place."""

    def __init__(
        self, text: str = "", role: str = "text", *, dx: float = 8, dy: float = 0, fixed: bool = False
    ) -> None:
        super().__init__(z=80)
        self.text = text
        self.role = role
        self.offset = QPointF(dx, dy)
        self.fixed = fixed
        self._at: tuple[float, float] | None = None

    def set(self, x: float, y: float, text: str | None = None) -> None:
        """Where it stands and, if given, what it says."""
        self._at = (x, y) if math.isfinite(x) and math.isfinite(y) else None
        if text is not None:
            self.text = text
        self.update()

    def clear(self) -> None:
        self._at = None
        self.update()

    def labels(self) -> list[Label]:
        if self._at is None or not self.text or self._box is None:
            return []
        wide, high = label_size(self.text)
        spot = self.pixel(*self._at) + self.offset
        x = spot.x() if self.offset.x() >= 0 else spot.x() - wide
        rect = QRectF(x, spot.y() - high / 2, wide, high)
        return [Label(self.text, rect, self.role, "dark" if self.on_map else "card", fixed=self.fixed, priority=2)]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        """The label layer paints the words."""


class DraggablePoint(Overlay):
    """The current point: a disc of 13 px with a ring. `constrain(x, y) -> (x, y)` keeps a dragged one on a curve.

    Signals: moved(x, y) while it is dragged, released(x, y) at the end; data coordinates.
    """

    moved = Signal(float, float)
    released = Signal(float, float)

    def __init__(self, role: str = "point", *, size: float = 13, draggable: bool = True) -> None:
        super().__init__(z=90)
        self.role = role
        self.size = size
        self.draggable = draggable
        self.dragging = False
        self.constrain: Callable[[float, float], tuple[float, float]] | None = None
        self._hovered = False
        self._at: tuple[float, float] | None = None

    def set(self, x: float, y: float) -> None:
        """Where it is (ignored while the user drags it); not finite: hidden."""
        at = (x, y) if math.isfinite(x) and math.isfinite(y) else None
        if not self.dragging and at != self._at:
            before, self._at = self._place(), at
            self.update_at(before, self._place())

    @property
    def position(self) -> tuple[float, float] | None:
        return self._at

    def _spot(self) -> QPointF | None:
        return None if self._at is None or self._box is None else self.pixel(*self._at)

    def _place(self) -> QRectF:
        """Where it is painted, its halo included."""
        spot, reach = self._spot(), self.size + 2
        return QRectF() if spot is None else QRectF(spot.x() - reach, spot.y() - reach, 2 * reach, 2 * reach)

    def shape(self) -> QPainterPath:
        path = QPainterPath()
        spot = self._spot()
        if spot is not None and self.draggable:
            path.addEllipse(spot, self.size, self.size)
        return path

    def obstacles(self) -> list[QRectF]:
        spot = self._spot()
        half = self.size / 2 + 3
        return [] if spot is None else [QRectF(spot.x() - half, spot.y() - half, 2 * half, 2 * half)]

    def hoverEvent(self, ev: Any) -> None:
        inside = not ev.isExit() and self.draggable and ev.acceptDrags(Qt.MouseButton.LeftButton)
        if inside != self._hovered:
            self._hovered = inside
            self.setCursor(Qt.CursorShape.OpenHandCursor if inside else Qt.CursorShape.ArrowCursor)
            self.update()

    def mouseDragEvent(self, ev: Any) -> None:
        if not self.draggable or ev.button() != Qt.MouseButton.LeftButton:
            ev.ignore()
            return
        ev.accept()
        self.dragging = True
        x, y = self.data(ev.pos())
        if self.constrain is not None:
            x, y = self.constrain(x, y)
        self._at = (x, y)
        self.update()
        self.moved.emit(x, y)
        if ev.isFinish():
            self.dragging = False
            self.released.emit(x, y)

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        spot = self._spot()
        if spot is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._hovered or self.dragging:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.brush(self.role, 0.25))
            painter.drawEllipse(spot, self.size, self.size)
        painter.setPen(QPen(theme.color("plate_text" if self.on_map else "card"), 2))
        painter.setBrush(theme.brush(self.role))
        painter.drawEllipse(spot, self.size / 2 + 0.5, self.size / 2 + 0.5)


__all__ = [
    "Arrow",
    "Bands",
    "ClassPoints",
    "CurveMarks",
    "DraggablePoint",
    "Hatch",
    "Label",
    "Mark",
    "PlateLabel",
    "StepLine",
    "StepMarks",
    "Trail",
    "draw_label",
    "lane_room",
    "place_labels",
]
