"""Marks over a plot: arrows of steps, where they land, the current point, trails, words on plates.

Places are in data coordinates, sizes in pixels. Add them with `LabPlot.add`; over a map they take the map's colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import symbols, theme
from nnopt_gui.widgets.arrows import Arrow, compare, lane_room, on_map_role
from nnopt_gui.widgets.bands import Bands, Hatch, StepLine, StepMarks
from nnopt_gui.widgets.overlay import Label, Overlay, draw_label, label_size, place_labels
from nnopt_gui.widgets.points import ClassPoints, CurveMarks, Trail


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
            role = on_map_role(self.role, self.on_map)
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
    "compare",
    "draw_label",
    "lane_room",
    "place_labels",
]
