"""Marks that lie over a plot and are drawn in pixels: their base class, and labels that avoid each other.

An overlay knows places in data coordinates and sizes in pixels (an arrow's head stays 12 px whatever the zoom). It is
a child of the plot's view box, whose own coordinates are pixels, and maps its places when it paints.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPaintEngine, QPainter, QPainterPath, QPixmap
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import theme

#: what lies further away than this many views is drawn in
FAR = 50.0
#: seconds that labels keep their place while a run plays
LABEL_PACE = 0.3
#: rectangles as rows of left, top, right, bottom
Edges = npt.NDArray[np.float64]


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


@lru_cache(maxsize=1024)
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
    return _place(rects, edges(obstacles), bounds, hints)


def _place(
    rects: Sequence[QRectF], taken: Edges, bounds: QRectF | None, hints: Sequence[QPointF | None]
) -> list[QRectF]:
    result = []
    for i, rect in enumerate(rects):
        best = rect if bounds is None else _inside(rect, bounds)
        if _covered(edges([best]), taken)[0] > 0:
            tried = _candidates(rect, hints[i] if i < len(hints) else None, bounds)
            covered = _covered(tried, taken)
            # the first free one, else the one that covers least
            left, top = tried[int(np.argmin(covered)), :2]
            best = QRectF(left, top, rect.width(), rect.height())
        taken = np.concatenate([taken, edges([best])])
        result.append(best)
    return result


def edges(rects: Iterable[QRectF]) -> Edges:
    """Rectangles as rows of left, top, right, bottom, (n, 4)."""
    return np.array([rect.getCoords() for rect in rects], float).reshape(-1, 4)


def _covered(tried: Edges, taken: Edges) -> Edges:
    """The area of each of the rectangles (n, 4) that lies over the taken ones (m, 4)."""
    low = np.maximum(tried[:, None, :2], taken[None, :, :2])
    high = np.minimum(tried[:, None, 2:], taken[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=2).sum(axis=1))


#: moves that are tried, in parts of a label's width and height; the first ones in pixels
_NEAR = np.array([(10, 0), (-10, 0), (22, 0), (-22, 0)], float)
_AROUND = np.array([(0, -1), (0, 1), (0.5, -1), (0.5, 1), (-0.5, -1), (-0.5, 1), (1, 0), (-1, 0), (-1, -1), (-1, 1)])
_RINGS = np.concatenate([_AROUND * (1.0 if ring > 1 else 0.6, ring) for ring in (0.6, 1.1, 1.7, 2.4, 3.2)])


def _candidates(rect: QRectF, hint: QPointF | None, bounds: QRectF | None) -> Edges:
    """Where a label may stand, (n, 4), the dearest places first."""
    size = np.array([rect.width(), rect.height()])
    hinted = [(0.0, 0.0)] if hint is None else [(0.0, 0.0), (hint.x(), hint.y())]
    corners = np.array([rect.left(), rect.top()]) + np.concatenate([hinted, _NEAR, _RINGS * size])
    if bounds is not None:
        low, high = np.array(bounds.getCoords()).reshape(2, 2)
        corners = np.maximum(np.minimum(corners, high - size), low)
    return np.hstack([corners, corners + size])


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
        #: where the words of this overlay are placed (set by the plot)
        self.layer: LabelLayer | None = None
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

    def update_at(self, *places: QRectF) -> None:
        """Paint these parts of the plot again; all of it where that is no `still` one, or where a label gives way to
        what has moved."""
        scene = self.scene()
        still = self.layer is not None and self.layer.still and not self.running
        if scene is None or self.layer is None or not still or self.layer.moved():
            self.update()  # while a run plays nearly all of it moves
            return
        for place in places:
            # an item's own `update` would join them to one rectangle with all that lies between
            if not place.isEmpty():
                scene.update(self.mapRectToScene(place))

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
        box = self._box
        if box is None:
            return QPointF()
        state = box.state  # asked hundreds of times a frame: as it lies there, not as a copy
        (x0, x1), (y0, y1) = state["viewRange"]
        left, top, right, bottom = box.rect().getCoords()
        fx, fy = (x - x0) / ((x1 - x0) or 1), (y - y0) / ((y1 - y0) or 1)
        if state["xInverted"]:
            fx = 1 - fx
        if state["yInverted"]:
            fy = 1 - fy
        fx, fy = max(-FAR, min(fx, FAR)), max(-FAR, min(fy, FAR))
        return QPointF(left + fx * (right - left), bottom - fy * (bottom - top))

    def pixels(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same for arrays."""
        assert self._box is not None
        (x0, x1), (y0, y1) = self._box.viewRange()
        left, top, right, bottom = self._box.rect().getCoords()
        fx = np.clip((np.asarray(x, float) - x0) / ((x1 - x0) or 1), -FAR, FAR)
        fy = np.clip((np.asarray(y, float) - y0) / ((y1 - y0) or 1), -FAR, FAR)
        if self._box.xInverted():
            fx = 1 - fx
        if self._box.yInverted():
            fy = 1 - fy
        return left + fx * (right - left), bottom - fy * (bottom - top)

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
        #: whether little of the plot moves: then only the places that it leaves and reaches are painted again
        self.still = False
        #: how far from its own place each label stood last, by the overlay and the number of its label
        self._last: dict[tuple[Overlay, int], QPointF] = {}
        self._placed = -math.inf
        #: what was painted last: words and places
        self._painted: list[tuple[Any, ...]] = []
        self._gives_way = False

    def placed(self) -> list[Label]:
        """All labels with `placed` filled in. While a run plays they keep their distance to what they name, and look
        for a free place only now and then: words that hop about with each frame cannot be read."""
        named: list[tuple[tuple[Overlay, int], Label]] = []
        for source in self.sources:
            if source.isVisible():
                named += [((source, number), label) for number, label in enumerate(source.labels())]
        named.sort(key=lambda pair: (not pair[1].fixed, -pair[1].priority))
        bounds = self.area.adjusted(3, 3, -3, -3)
        free = [(key, label) for key, label in named if not label.fixed]
        self._gives_way = bool(free)
        for _, label in named:
            if label.fixed:
                label.placed = _inside(label.rect, bounds)
        now = time.perf_counter()
        kept = self.running and now - self._placed < LABEL_PACE and all(key in self._last for key, _ in free)
        if kept:
            for key, label in free:
                label.placed = _inside(label.rect.translated(self._last[key]), bounds)
            places = [label.placed for _, label in named]
            kept = not any(one.intersects(other) for one, other in combinations(places, 2))
        if free and not kept:
            self._placed = now
            obstacles = list(self.keep_free)
            for source in self.sources:
                if source.isVisible():
                    obstacles += source.obstacles()
            obstacles += [label.placed for _, label in named if label.fixed]
            taken = np.concatenate([edges(obstacles), *self._along_curves()])
            places = _place([label.rect for _, label in free], taken, bounds, [self._last.get(key) for key, _ in free])
            self._last = {}
            for (key, label), rect in zip(free, places, strict=True):
                label.placed = rect
                self._last[key] = rect.topLeft() - label.rect.topLeft()
        return [label for _, label in named]

    def moved(self) -> bool:
        """Whether a label gives way to what has changed since they were painted."""
        return self._gives_way and [(label.text, *label.placed.getCoords()) for label in self.placed()] != self._painted

    def _along_curves(self) -> list[Edges]:
        """Small rectangles along each curve."""
        found = []
        for curve in self.curves:
            x, y = curve.getData()
            if not curve.isVisible() or x is None or len(x) == 0:
                continue
            (low, high), _ = self._box.viewRange() if self._box is not None else ((0, 1), None)
            shown = np.flatnonzero((x >= low) & (x <= high))
            shown = shown[:: max(1, len(shown) // 60)]
            px, py = self.pixels(x[shown], y[shown])
            boxes = np.column_stack([px - 4, py - 3, px + 4, py + 3])
            found.append(boxes[np.isfinite(py)])
        return found

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        labels = self.placed()
        self._painted = [(label.text, *label.placed.getCoords()) for label in labels]
        for label in labels:
            draw_label(painter, label.placed, label.text, label.role, label.plate, label.bold, label.px)


def draw_label(
    painter: QPainter, rect: QRectF, text: str, role: str, plate: str = "", bold: bool = True, px: int = 12
) -> None:
    """Words in a rectangle. plate: "" none, "card" the card's colour, "dark" that of maps (its words are white)."""
    if painter.paintEngine().type() != QPaintEngine.Type.Raster:
        _write(painter, rect, text, role, plate, bold, px)
        return
    size = (math.ceil(rect.width()) + 1, math.ceil(rect.height()) + 1)
    look = (theme.current().name, painter.device().devicePixelRatioF())
    # on whole pixels: words that move with a mark neither shimmer nor have to be written again
    painter.drawPixmap(
        QPointF(round(rect.left()), round(rect.top())), _written(size, text, role, plate, bold, px, look)
    )


@lru_cache(maxsize=256)
def _written(
    size: tuple[int, int], text: str, role: str, plate: str, bold: bool, px: int, look: tuple[str, float]
) -> QPixmap:
    """A label as a picture; look: the theme, and pixels of the screen per pixel."""
    ratio = look[1]
    result = QPixmap(math.ceil(size[0] * ratio), math.ceil(size[1] * ratio))
    result.setDevicePixelRatio(ratio)
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    _write(painter, QRectF(0, 0, size[0] - 1, size[1] - 1), text, role, plate, bold, px)
    painter.end()
    return result


def _write(painter: QPainter, rect: QRectF, text: str, role: str, plate: str, bold: bool, px: int) -> None:
    if plate:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.brush("plate") if plate == "dark" else theme.brush("card", 0.82))
        painter.drawRoundedRect(rect, 3, 3)
    painter.setFont(theme.font(px, theme.BOLD if bold else theme.REGULAR))
    painter.setPen(theme.color("plate_text") if plate == "dark" else QColor(theme.color(role)))
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
