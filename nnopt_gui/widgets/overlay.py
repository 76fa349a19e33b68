"""Marks that lie over a plot and are drawn in pixels: their base class, and labels that avoid each other.

An overlay knows places in data coordinates and sizes in pixels (an arrow's head stays 12 px whatever the zoom). It is
a child of the plot's view box, whose own coordinates are pixels, and maps its places when it paints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import theme


@dataclass
class Label:
    """Words that want to stand in `rect` (view-box pixels). plate: behind the words, none, the card's colour or dark.

    fixed: it stays where it is and others avoid it. priority: who is placed first (higher first).
    """

    text: str
    rect: QRectF
    role: str = "text"
    plate: str = ""
    bold: bool = True
    fixed: bool = False
    priority: int = 0
    px: int = 12
    placed: QRectF = field(default_factory=QRectF)


def label_size(text: str, px: int = 12, bold: bool = True) -> tuple[float, float]:
    """Width and height of a label with its plate's margins, in pixels."""
    metrics = theme.metrics(px, theme.BOLD if bold else theme.REGULAR)
    return metrics.horizontalAdvance(text) + 8, metrics.height() + 2


def place_labels(
    rects: Sequence[QRectF],
    obstacles: Iterable[QRectF] = (),
    bounds: QRectF | None = None,
    hints: Sequence[QPointF | None] = (),
) -> list[QRectF]:
    """Rectangles of the same sizes, as near as possible to `rects`, that overlap neither each other nor an obstacle.

    Each is tried in its place, then displaced by its hint (where it stood in the last frame, so that labels do not
    flicker), then at growing distances around it, always inside `bounds`; if there is no free place, it takes the one
    that covers least.
    """
    taken = np.array([_edges(r) for r in obstacles], float).reshape(-1, 4)
    result = []
    for i, rect in enumerate(rects):
        hint = hints[i] if i < len(hints) else None
        best, least = rect, float("inf")
        for candidate in _candidates(rect, hint):
            if bounds is not None:
                candidate = _inside(candidate, bounds)
            covered = _covered(candidate, taken)
            if covered < least:
                best, least = candidate, covered
            if covered == 0:
                break
        taken = np.vstack([taken, _edges(best)])
        result.append(best)
    return result


def _edges(rect: QRectF) -> tuple[float, float, float, float]:
    return rect.left(), rect.top(), rect.right(), rect.bottom()


def _covered(rect: QRectF, taken: np.ndarray) -> float:
    left, top, right, bottom = _edges(rect)
    wide = np.minimum(taken[:, 2], right) - np.maximum(taken[:, 0], left)
    high = np.minimum(taken[:, 3], bottom) - np.maximum(taken[:, 1], top)
    return float((np.maximum(wide, 0) * np.maximum(high, 0)).sum())


def _candidates(rect: QRectF, hint: QPointF | None) -> Iterable[QRectF]:
    yield QRectF(rect)
    if hint is not None:
        yield rect.translated(hint)
    high, wide = rect.height(), rect.width()
    for dx in (10, -10, 22, -22):
        yield rect.translated(dx, 0)
    for ring in (0.6, 1.1, 1.7, 2.4, 3.2):
        for dx, dy in ((0, -1), (0, 1), (0.5, -1), (0.5, 1), (-0.5, -1), (-0.5, 1), (1, 0), (-1, 0), (-1, -1), (-1, 1)):
            yield rect.translated(dx * (wide if ring > 1 else wide * 0.6), dy * ring * high)


def _inside(rect: QRectF, bounds: QRectF) -> QRectF:
    x = max(bounds.left(), min(rect.left(), bounds.right() - rect.width()))
    y = max(bounds.top(), min(rect.top(), bounds.bottom() - rect.height()))
    return QRectF(x, y, rect.width(), rect.height())


class Overlay(pg.GraphicsObject):
    """Base of everything drawn over (z > 0) or under (z < 0) a plot's data in pixels. Add it with `LabPlot.add`."""

    def __init__(self, z: float = 10) -> None:
        super().__init__()
        self.setZValue(z)
        self.running = False
        self._box: pg.ViewBox | None = None
        self.on_map = False

    def attach(self, box: pg.ViewBox) -> None:
        """Become part of a plot (called by the plot)."""
        self._box = box
        self.setParentItem(box)
        box.sigTransformChanged.connect(self.view_moved)
        box.sigResized.connect(self.view_resized)
        theme.changed.connect(self.restyle)

    def detach(self) -> None:
        """Leave the plot."""
        if self._box is not None:
            self._box.sigTransformChanged.disconnect(self.view_moved)
            self._box.sigResized.disconnect(self.view_resized)
            theme.changed.disconnect(self.restyle)
            self._box = None
        self.setParentItem(None)
        if self.scene() is not None:
            self.scene().removeItem(self)

    def view_moved(self, *_: Any) -> None:
        self.update()

    def view_resized(self, *_: Any) -> None:
        self.prepareGeometryChange()
        self.update()

    def restyle(self) -> None:
        self.update()

    def set_running(self, running: bool) -> None:
        """Thin lines while a run plays."""
        if running != self.running:
            self.running = running
            self.update()

    def boundingRect(self) -> QRectF:
        return self._box.rect() if self._box is not None else QRectF()

    def shape(self) -> QPainterPath:
        # nothing to hit: the mouse belongs to what lies below
        return QPainterPath()

    @property
    def area(self) -> QRectF:
        """The visible part of the plot in pixels."""
        return self._box.rect() if self._box is not None else QRectF()

    def pixel(self, x: float, y: float) -> QPointF:
        """Data coordinates (logarithms on a log axis) to view-box pixels; far away ones are drawn in."""
        if self._box is None:
            return QPointF()
        view = self._box.viewRect()
        rect = self._box.rect()
        fx = (x - view.left()) / (view.width() or 1)
        fy = (y - view.top()) / (view.height() or 1)
        if self._box.xInverted():
            fx = 1 - fx
        if self._box.yInverted():
            fy = 1 - fy
        limit = 50.0
        fx, fy = max(-limit, min(fx, limit)), max(-limit, min(fy, limit))
        return QPointF(rect.left() + fx * rect.width(), rect.bottom() - fy * rect.height())

    def pixels(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same for arrays."""
        assert self._box is not None
        view, rect = self._box.viewRect(), self._box.rect()
        fx = np.clip((np.asarray(x, float) - view.left()) / (view.width() or 1), -50, 50)
        fy = np.clip((np.asarray(y, float) - view.top()) / (view.height() or 1), -50, 50)
        if self._box.xInverted():
            fx = 1 - fx
        if self._box.yInverted():
            fy = 1 - fy
        return rect.left() + fx * rect.width(), rect.bottom() - fy * rect.height()

    def data(self, position: QPointF) -> tuple[float, float]:
        """View-box pixels to data coordinates."""
        assert self._box is not None
        point = self._box.mapToView(position)
        return point.x(), point.y()

    # what the label layer asks for

    def labels(self) -> list[Label]:
        """Words this overlay wants to be shown; they are placed so that they do not overlap."""
        return []

    def obstacles(self) -> list[QRectF]:
        """Rectangles (pixels) that no label may cover."""
        return []

    def legend_costs(self) -> list[tuple[QRectF, float]]:
        """(rectangle, how bad it would be if the legend covered it)."""
        return [(rect, 1.0) for rect in self.obstacles()] + [(label.rect, 3.0) for label in self.labels()]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        raise NotImplementedError


class LabelLayer(Overlay):
    """Draws the labels of all visible overlays of a plot, on top, free of each other, of marks and of curves."""

    def __init__(self) -> None:
        super().__init__(z=1000)
        self.sources: list[Overlay] = []
        self.curves: list[Any] = []
        self.keep_free: list[QRectF] = []
        self._last: dict[str, QPointF] = {}

    def placed(self) -> list[Label]:
        """All labels with `placed` filled in."""
        labels: list[Label] = []
        obstacles = list(self.keep_free)
        for source in self.sources:
            if source.isVisible():
                labels += source.labels()
                obstacles += source.obstacles()
        labels.sort(key=lambda label: (not label.fixed, -label.priority))
        fixed = [label for label in labels if label.fixed]
        free = [label for label in labels if not label.fixed]
        bounds = self.area.adjusted(3, 3, -3, -3)
        for label in fixed:
            label.placed = _inside(label.rect, bounds)
        if free:
            obstacles += [label.placed for label in fixed]
            obstacles += self._along_curves()
            hints = [self._last.get(label.text) for label in free]
            places = place_labels([label.rect for label in free], obstacles, bounds, hints)
            for label, rect in zip(free, places, strict=True):
                label.placed = rect
                self._last[label.text] = rect.topLeft() - label.rect.topLeft()
        return labels

    def _along_curves(self) -> list[QRectF]:
        rects = []
        for curve in self.curves:
            x, y = curve.getData()
            if not curve.isVisible() or x is None or len(x) == 0:
                continue
            (low, high), _ = self._box.viewRange() if self._box is not None else ((0, 1), None)
            shown = np.flatnonzero((x >= low) & (x <= high))
            shown = shown[:: max(1, len(shown) // 60)]
            for px, py in zip(*self.pixels(x[shown], y[shown]), strict=True):
                if np.isfinite(py):
                    rects.append(QRectF(px - 4, py - 3, 8, 6))
        return rects

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        for label in self.placed():
            draw_label(painter, label.placed, label.text, label.role, label.plate, label.bold, label.px)


def draw_label(
    painter: QPainter, rect: QRectF, text: str, role: str, plate: str = "", bold: bool = True, px: int = 12
) -> None:
    """Words in a rectangle. plate: "" none, "card" the card's colour, "dark" that of maps (its words are white)."""
    if plate:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.brush("plate") if plate == "dark" else theme.brush("card", 0.82))
        painter.drawRoundedRect(rect, 3, 3)
    painter.setFont(theme.font(px, theme.BOLD if bold else theme.REGULAR))
    painter.setPen(theme.color("plate_text") if plate == "dark" else QColor(theme.color(role)))
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
