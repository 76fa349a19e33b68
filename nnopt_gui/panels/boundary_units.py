"""Small maps of the last hidden layer's units with their output weights; dragging one onto another swaps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from nnopt_gui.widgets import numbers, theme

Array = npt.NDArray[np.float64]

HEADING = 22
CAPTION = 16
GAP = 6
SIDES = (42, 36, 30, 24)
MOST = 32
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def tile_colours(maps: Array, activation: str) -> Array:
    """Activations (k, n, n) as shades in [-1, 1]: tanh as it is, sigmoid around 1/2, the others by each unit's largest
    magnitude."""
    if activation == "tanh":
        return np.clip(maps, -1, 1)
    if activation == "sigmoid":
        return np.clip(2 * maps - 1, -1, 1)
    largest = np.abs(maps).reshape(len(maps), -1).max(axis=1) if maps.size else np.ones(len(maps))
    return np.asarray(maps / np.where(largest > 0, largest, 1.0)[:, None, None])


def region_lut(size: int = 256) -> npt.NDArray[np.uint8]:
    """(size, 3): class 0's tint - near white - class 1's tint of the current theme."""
    now = theme.current()
    stops = np.array([QColor(c).getRgb()[:3] for c in (now.class0_region, now.region_middle, now.class1_region)], float)
    places = np.linspace(0, 2, size)
    return (
        np.stack([np.interp(places, (0, 1, 2), stops[:, part]) for part in range(3)], axis=1).round().astype(np.uint8)
    )


class UnitTiles(QWidget):
    """The column at the side of the boundary. `swapped(first, second)` when one tile is dropped on another."""

    swapped = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._images: list[QImage] = []
        self._shades: Array = np.empty((0, 1, 1))
        self._weights: Array = np.empty(0)
        self._units = 0
        self._towards = ""
        self._dragged: int | None = None
        self._mouse = QPointF()
        self.setFixedWidth(118)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Units and weights")
        theme.changed.connect(self._tint)

    def show_units(self, maps: Array, weights: Array, activation: str, units: int, towards: str = "") -> None:
        """maps (k, n, n) with rows from the lowest y; weights (k,): to the output that `towards` names; units: how many
        there are in the layer, of which the first k are here."""
        self._shades = tile_colours(maps, activation)
        self._weights = weights
        self._units = units
        self._towards = towards
        said = ", ".join(f"h{i + 1} {numbers.signed(w, 2)}" for i, w in enumerate(weights))
        self.setAccessibleDescription(f"Last hidden layer, output weights: {said}")
        self._tint()

    @property
    def weights(self) -> Array:
        """The output weights below the tiles."""
        return self._weights

    def sizeHint(self) -> QSize:
        return QSize(118, 200)

    def minimumSizeHint(self) -> QSize:
        return QSize(118, 40)

    # --------------------------------------------------------------------------------------------------- the layout

    def layout_tiles(self) -> list[QRectF]:
        """Where the tiles are; fewer than there are units when the column is too low for all."""
        count = len(self._images)
        room = self.height() - HEADING
        best: list[QRectF] = []
        for side in SIDES:
            columns = 2 if side >= 36 else 3
            pitch = self.width() / columns
            rows = min(-(-count // columns), int((room + GAP) // (side + CAPTION + GAP)))
            tiles = [
                QRectF(
                    (i % columns) * pitch + 2,
                    HEADING + (i // columns) * (side + CAPTION + GAP),
                    min(side, pitch - 8),
                    side,
                )
                for i in range(min(count, rows * columns))
            ]
            if len(tiles) > len(best):
                best = tiles
            if len(best) == count:
                break
        return best

    def _tile_at(self, place: QPointF) -> int | None:
        for index, tile in enumerate(self.layout_tiles()):
            if tile.adjusted(-4, -2, 12, CAPTION).contains(place):
                return index
        return None

    # ----------------------------------------------------------------------------------------------------- painting

    def _tint(self) -> None:
        lut = region_lut()
        places = np.rint((self._shades[:, ::-1, :] + 1) * 127.5)
        pixels = lut[np.nan_to_num(places, nan=127.0).astype(np.intp)]
        self._images = []
        for tile in pixels:
            rows, columns, _ = tile.shape
            data = np.ascontiguousarray(tile)
            self._images.append(QImage(data.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        tiles = self.layout_tiles()
        if tiles:
            self._paint(painter, tiles)
        painter.end()

    def _paint(self, painter: QPainter, tiles: list[QRectF]) -> None:
        painter.setFont(theme.font(12, theme.MEDIUM))
        painter.setPen(theme.color("text2"))
        hidden = self._units - len(tiles)
        heading = f"Weights to {self._towards}" if self._towards else "Units and weights"
        heading = f"{len(tiles)} of {numbers.integer(self._units)} units" if hidden > 0 else heading
        heading = painter.fontMetrics().elidedText(heading, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(QPointF(2, 13), heading)
        two_columns = len(tiles) < 3 or tiles[2].top() > tiles[0].top()
        for index, tile in enumerate(tiles):
            self._paint_tile(painter, index, tile, two_columns)
        if self._dragged is not None and self._dragged < len(tiles):
            ghost = QRectF(tiles[self._dragged])
            ghost.moveCenter(self._mouse)
            painter.setOpacity(0.8)
            painter.drawImage(ghost, self._images[self._dragged])
            painter.setPen(QPen(theme.color("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(ghost, 4, 4)

    def _paint_tile(self, painter: QPainter, index: int, tile: QRectF, roomy: bool) -> None:
        outline = QPainterPath()
        outline.addRoundedRect(tile, 4, 4)
        painter.save()
        painter.setClipPath(outline)
        painter.drawImage(tile, self._images[index])
        painter.restore()
        target = self._dragged is not None and self._tile_at(self._mouse) == index
        painter.setPen(QPen(theme.color("accent" if target else "border"), 2 if target else 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(outline)
        painter.setFont(theme.font(12))
        metrics = QFontMetricsF(painter.font())
        weight = weight_text(self._weights[index])
        baseline = tile.bottom() + 13
        painter.setPen(theme.color("text2"))
        if roomy and metrics.horizontalAdvance(weight) < 34:
            painter.drawText(QPointF(tile.left(), baseline), "h" + str(index + 1).translate(_SUBSCRIPT))
            painter.setPen(theme.color("text"))
            right = tile.left() + max(tile.width(), self.width() / 2 - 10)
            painter.drawText(QPointF(right - metrics.horizontalAdvance(weight), baseline), weight)
        else:
            painter.setPen(theme.color("text"))
            painter.drawText(QPointF(tile.center().x() - metrics.horizontalAdvance(weight) / 2, baseline), weight)

    # ------------------------------------------------------------------------------------------------------ dragging

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._dragged = self._tile_at(event.position())
            self._mouse = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragged is not None:
            self._mouse = event.position()
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        first, self._dragged = self._dragged, None
        second = self._tile_at(event.position())
        if first is not None and second is not None and first != second:
            self.swapped.emit(first, second)
        self.update()

    def event(self, event: Any) -> bool:
        if event.type() == event.Type.ToolTip and isinstance(event, QHelpEvent):
            index = self._tile_at(QPointF(event.pos()))
            if index is not None:
                weight = numbers.signed(float(self._weights[index]), 3)
                QToolTip.showText(
                    event.globalPos(),
                    f"Hidden unit {index + 1}: output weight {weight}. Drag it onto another unit to swap the two.",
                    self,
                )
                return True
        return super().event(event)


def weight_text(weight: float) -> str:
    """A weight in four or five characters: +0.4, −12, −1e5."""
    size = abs(weight)
    if not np.isfinite(weight):
        return "–"
    if size >= 1000:
        return numbers.signed(weight, 1)
    return numbers.minus(f"{weight:+.1f}" if size < 99.95 else f"{weight:+.0f}")
