"""Many points at once: the examples of a data set by class, sparse marks along a curve, the trail of a run."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QObject, QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import symbols, theme
from nnopt_gui.widgets.kept import keep
from nnopt_gui.widgets.overlay import Overlay

_SIZES = {"o": 8.0, "t1": 10.0, "s": 8.0, "d": 10.0, "t": 10.0, "p": 9.0, "h": 9.0, "star": 11.0}


class Scatter(pg.ScatterPlotItem):
    """Symbols of pyqtgraph whose pixels are kept: examples stand still while everything around them moves."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(pxMode=True, antialias=True, useCache=True, **settings)
        keep(self)


class ClassPoints(QObject):
    """Examples in a plot: colour and shape by class, filled for training and outlined for validation, a ring around
    those that are misclassified and a thicker one in the accent around the selected one.

    At most `most` of a data set are drawn (every k-th), and `drawn` says how many. A child of the plot: it hears of
    themes only while that exists.
    """

    def __init__(self, plot: Any, most: int = 6000) -> None:
        super().__init__(plot)
        self.plot = plot
        self.most = most
        self.drawn = 0
        self._x = np.empty((0, 2))
        self._items: dict[tuple[int, bool], Scatter] = {}
        self._rings = plot.add(Rings())
        self._chosen = self._scatter(61)
        self._chosen.setVisible(False)
        theme.changed.connect(self._restyle)

    def _scatter(self, z: float) -> Scatter:
        item = Scatter()
        item.setZValue(z)
        self.plot.add(item)
        return item

    def set(self, x: np.ndarray, classes: np.ndarray, training: np.ndarray | None = None) -> None:
        """x (n, 2): where they are; classes (n,): whole numbers; training (n,): True for training examples."""
        self._x = np.asarray(x, float)
        classes = np.asarray(classes).astype(int)
        training = np.ones(len(classes), bool) if training is None else np.asarray(training, bool)
        every = max(1, -(-len(classes) // self.most))
        shown = np.zeros(len(classes), bool)
        shown[::every] = True
        self.drawn = int(shown.sum())
        wanted = {(int(c), bool(t)) for c in np.unique(classes) for t in (True, False)}
        for key in wanted - self._items.keys():
            self._items[key] = self._scatter(50 + key[1])
            self._style(key)
        for (index, trained), item in self._items.items():
            rows = shown & (classes == index) & (training == trained)
            item.setData(x=self._x[rows, 0], y=self._x[rows, 1])
            # painting nothing takes time, too
            item.setVisible(bool(rows.any()))

    def set_wrong(self, rows: np.ndarray) -> None:
        """Ring the examples with these indices (misclassified ones)."""
        self._rings.set(self._x[np.asarray(rows, int)][: self.most])

    def set_selected(self, row: int | None) -> None:
        """Ring one example in the accent."""
        points = self._x[[row]] if row is not None and 0 <= row < len(self._x) else np.empty((0, 2))
        if _are_at(self._chosen, points):
            return
        self._chosen.setVisible(len(points) > 0)
        self._chosen.setData(x=points[:, 0], y=points[:, 1], symbol="o", size=17, brush=None, pen=_pen("accent", 2.4))

    def nearest(self, x: float, y: float, radius: float = 9.0) -> int | None:
        """Index of the example nearest to a place in data coordinates, if it is within `radius` pixels."""
        if len(self._x) == 0:
            return None
        wide, high = self.plot.view.viewPixelSize()
        distance = np.hypot((self._x[:, 0] - x) / (wide or 1), (self._x[:, 1] - y) / (high or 1))
        best = int(np.argmin(distance))
        return best if distance[best] <= radius else None

    def legend_points(self) -> tuple[np.ndarray, np.ndarray]:
        """What a legend should not cover."""
        return self._x[:, 0], self._x[:, 1]

    def _style(self, key: tuple[int, bool]) -> None:
        index, trained = key
        symbol = theme.CLASS_SYMBOLS[index % len(theme.CLASS_SYMBOLS)]
        colour = theme.current().class_point(index)
        item = self._items[key]
        item.setSymbol(symbol)
        item.setSize(_SIZES[symbol] if trained else _SIZES[symbol] - 1)
        if trained:
            item.setPen(_pen("card", 0.8))
            item.setBrush(colour)
        else:
            item.setPen(pg.mkPen(colour, width=1.3))
            item.setBrush(None)

    def _restyle(self) -> None:
        for key in self._items:
            self._style(key)
        self._chosen.setPen(_pen("accent", 2.4))


def _are_at(item: pg.ScatterPlotItem, points: np.ndarray) -> bool:
    """Whether the symbols of an item stand there already."""
    x, y = item.getData()
    return np.array_equal(points[:, 0], x) and np.array_equal(points[:, 1], y)


def _pen(role: str, width: float) -> QPen:
    pen = QPen(theme.color(role), width)
    # a pen of pixels: a scatter item scales its symbols
    pen.setCosmetic(True)
    return pen


class Rings(Overlay):
    """Rings of one size around many places; which ones changes with each frame of a running run."""

    def __init__(self, size: float = 13.0) -> None:
        super().__init__(z=60)
        self.size = size
        self.places = np.empty((0, 2))

    def set(self, places: np.ndarray) -> None:
        """Replace all of them, (n, 2); nothing is painted where they are the same."""
        if not np.array_equal(places, self.places):
            self.places = places
            self.update()

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if not len(self.places):
            return
        ratio = painter.device().devicePixelRatioF()
        ring = _ring(self.size, 1.4, theme.color("text").rgba(), ratio)
        half = (self.size + 3.0) / 2
        x, y = self.pixels(self.places[:, 0], self.places[:, 1])
        for place in zip((x - half).tolist(), (y - half).tolist(), strict=True):
            painter.drawPixmap(QPointF(*place), ring)


@lru_cache(maxsize=8)
def _ring(size: float, width: float, colour: int, ratio: float) -> QPixmap:
    """A ring on a transparent square of size + 3; drawing it is far quicker than drawing a circle."""
    side = size + 3.0
    result = QPixmap(math.ceil(side * ratio), math.ceil(side * ratio))
    result.setDevicePixelRatio(ratio)
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor.fromRgba(colour), width))
    painter.drawEllipse(QPointF(side / 2, side / 2), size / 2, size / 2)
    painter.end()
    return result


class CurveMarks(Overlay):
    """Marks along a curve, never nearer than 36 px: the hollow squares of the validation loss.

    They sit at every 2^k-th measurement, so that they stay where they are while the curve grows.
    """

    def __init__(self, role: str = "validation", symbol: str = "square", spacing: float = 36) -> None:
        super().__init__(z=30)
        self.role = role
        self.symbol = symbol
        self.spacing = spacing
        self._x = np.empty(0)
        self._y = np.empty(0)

    def set(self, x: Any, y: Any) -> None:
        """The curve's own data (logarithms on a log axis)."""
        self._x, self._y = np.asarray(x, float), np.asarray(y, float)
        self.update()

    def spots(self) -> list[QPointF]:
        """Where marks are drawn, in pixels."""
        if len(self._x) == 0 or self._box is None:
            return []
        (low, high), _ = self._box.viewRange()
        shown = np.flatnonzero((self._x >= low) & (self._x <= high) & np.isfinite(self._y))
        if len(shown) == 0:
            return []
        room = max(self.area.width() * (self._x[shown[-1]] - self._x[shown[0]]) / max(high - low, 1e-300), 1.0)
        stride = 1
        while len(shown) / stride * self.spacing > room + self.spacing and stride < len(shown):
            stride *= 2
        shown = shown[shown % stride == 0]
        return [QPointF(x, y) for x, y in zip(*self.pixels(self._x[shown], self._y[shown]), strict=True)]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        symbols.draw_all(painter, self.symbol, self.spots(), 7, self.role, width=1.3)


class Trail(Overlay):
    """The way so far: a line of 1.2 px with dots of 5 px at the steps (white with a dark edge over maps).

    Dots are left out when there would be more than `most_dots`; a long line is thinned to what can be seen.
    """

    def __init__(self, most_dots: int = 150) -> None:
        super().__init__(z=40)
        self.most_dots = most_dots
        self._x = np.empty(0)
        self._y = np.empty(0)

    def set(self, x: Any, y: Any) -> None:
        """Data coordinates of all steps, (n,) each."""
        self._x, self._y = np.asarray(x, float), np.asarray(y, float)
        self.update()

    def legend_points(self) -> tuple[np.ndarray, np.ndarray]:
        """What the legend must not cover."""
        return self._x, self._y

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if len(self._x) == 0 or self._box is None:
            return
        px, py = self.pixels(self._x, self._y)
        finite = np.isfinite(px) & np.isfinite(py)
        px, py = px[finite], py[finite]
        # of steps within half a pixel of each other one is seen; a slow run has hundreds of them
        moved = (np.diff(np.round(2 * px)) != 0) | (np.diff(np.round(2 * py)) != 0)
        keep = np.concatenate([[True], moved]) if len(px) else finite[:0]
        line = pg.functions.create_qpolygonf(int(keep.sum()))
        pg.functions.ndarray_from_qpolygonf(line)[:] = np.column_stack([px[keep], py[keep]])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, not self.running or line.size() < 500)
        role = "map_trail" if self.on_map else "trail"
        if self.on_map and not self.running:
            painter.setPen(QPen(theme.color("map_trail_edge", 0.6), 2.6))
            painter.drawPolyline(line)
        painter.setPen(theme.pen(role, self.running))
        painter.drawPolyline(line)
        if len(self._x) > self.most_dots:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, size in (("map_trail_edge" if self.on_map else "card", 6.0), (role, 4.2 if self.on_map else 5.0)):
            pen = QPen(theme.color(colour), size)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            painter.drawPoints(line)
