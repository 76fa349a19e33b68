"""Heat maps with fixed levels: colours of a table, logarithmic scale, hatch where a value is not finite, colour bar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QGraphicsWidget, QSizePolicy, QWidget

from nnopt_gui.widgets import numbers, symbols, theme
from nnopt_gui.widgets.kept import KeptPicture, keep
from nnopt_gui.widgets.overlay import Overlay

Extent = tuple[float, float, float, float]

#: a colour bar's least width, and what lies left of its numbers, px
_BAR_LEAST, _BAR_TEXT = 68.0, 32.0


@lru_cache(maxsize=8)
def table(name: str) -> npt.NDArray[np.uint8]:
    """(256, 4) red, green, blue, alpha of a colour map: "viridis" or "cividis"."""
    rgb = pg.colormap.get(name).getLookupTable(nPts=256, alpha=False)
    return np.column_stack([rgb, np.full(256, 255)]).astype(np.uint8)


def tint_table(low: str, middle: str, high: str) -> npt.NDArray[np.uint8]:
    """(256, 4): from one colour ("#RRGGBB") through the middle one to the other, for probabilities and hidden units."""
    stops = np.array([[*QColor(c).getRgb()[:3]] for c in (low, middle, high)], float)  # type: ignore[misc]
    t = np.linspace(0, 2, 256)
    rgb = np.column_stack([np.interp(t, [0, 1, 2], stops[:, k]) for k in range(3)])
    return np.column_stack([np.round(rgb), np.full(256, 255)]).astype(np.uint8)


@dataclass(frozen=True)
class Scale:
    """How values become positions 0..1: linear, or logarithmic in `value - offset`."""

    low: float
    high: float
    log: bool = True
    offset: float = 0.0

    @classmethod
    def of(cls, values: Any, log: bool = True) -> Scale:
        """The scale that fits the finite values; when some are not positive, a logarithmic one is shifted."""
        finite = np.asarray(values)[np.isfinite(values)]
        if finite.size == 0:
            return cls(0.0, 1.0, False)
        low, high = float(finite.min()), float(finite.max())
        if not high > low:
            return cls(low - 0.5, high + 0.5, False)
        if not log:
            return cls(low, high, False)
        # without an offset the scale would spend most of its colours next to a minimum of zero
        offset = 0.0 if low > 1e-6 * high else low - 1e-3 * (high - low)
        return cls(low, high, True, offset)

    def position(self, values: Any) -> npt.NDArray[np.float64]:
        """0 at low, 1 at high; NaN stays NaN."""
        values = np.asarray(values, float)
        if not self.log:
            return (values - self.low) / (self.high - self.low)
        first, last = math.log(self.low - self.offset), math.log(self.high - self.offset)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (np.log(np.maximum(values - self.offset, 1e-300)) - first) / (last - first)

    def value(self, position: float) -> float:
        """The value at a position."""
        if not self.log:
            return self.low + position * (self.high - self.low)
        first, last = math.log(self.low - self.offset), math.log(self.high - self.offset)
        return math.exp(first + position * (last - first)) + self.offset

    def levels(self, count: int = 12) -> npt.NDArray[np.float64]:
        """`count` contour levels, evenly spread on this scale, the ends left out."""
        return np.array([self.value((i + 0.5) / count) for i in range(count)])

    def ticks(self, count: float) -> list[float]:
        """Round values for a colour bar with room for about `count` of them."""
        if not self.log:
            return numbers.ticks(self.low, self.high, count)[0]
        if self.offset == 0:
            return numbers.log_ticks(self.low, self.high, count)
        wanted = max(2, int(count))
        found: list[float] = []
        for digits in range(1, 9):
            rounded = [float(f"{self.value(i / (wanted - 1)):.{digits}g}") for i in range(wanted)]
            found = list(dict.fromkeys(x for x in rounded if self.low <= x <= self.high))
            # on a narrow range far from zero one digit says nothing
            if len(found) >= min(wanted, 3) - 1:
                break
        return found


class MapImage(pg.GraphicsObject):
    """A picture in data coordinates, smoothed between its points.

    `set_colours(rgba (na, nb, 4), extent)`: [i, j] is the colour at (a_i, b_j), the first and last of which lie on the
    edges of extent (a0, a1, b0, b1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.setZValue(-20)
        self._image: QImage | None = None
        self._pixels: npt.NDArray[np.uint8] | None = None
        self._rect = QRectF()
        self.kept = KeptPicture()
        self.smooth = True

    def set_colours(self, rgba: npt.NDArray[np.uint8], extent: Extent) -> None:
        """Replace the picture."""
        na, nb = rgba.shape[:2]
        a0, a1, b0, b1 = extent
        da, db = (a1 - a0) / max(na - 1, 1), (b1 - b0) / max(nb - 1, 1)
        pixels = np.ascontiguousarray(rgba.transpose(1, 0, 2))
        rect = QRectF(a0 - da / 2, b0 - db / 2, na * da, nb * db)
        if rect != self._rect:
            self.prepareGeometryChange()
            self._rect = rect
        # QImage does not own the memory: it is kept beside it
        self._pixels = pixels
        image = QImage(pixels.data, na, nb, 4 * na, QImage.Format.Format_RGBA8888)
        self._image = image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
        self.kept.forget()
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._image = None
        self.update()

    def boundingRect(self) -> QRectF:
        return QRectF(self._rect)

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        box = self.getViewBox()
        if self._image is not None and box is not None:
            self.kept.paint(painter, self.mapRectFromItem(box, box.boundingRect()) & self._rect, self._draw)

    def _draw(self, painter: QPainter) -> None:
        assert self._image is not None
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.smooth)
        painter.drawImage(self._rect, self._image)


class _Undefined(Overlay):
    """Grey with a hatch below the picture: shows through where values are not finite."""

    def __init__(self) -> None:
        super().__init__(z=-90)
        self.extent: Extent | None = None

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if self.extent is None or self._box is None:
            return
        a0, a1, b0, b1 = self.extent
        rect = QRectF(self.pixel(a0, b0), self.pixel(a1, b1)).normalized() & self.area
        painter.fillRect(rect, theme.color("undefined", 0.35))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.save()
        painter.setClipRect(rect)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(theme.pen("undefined"))
        painter.drawLines(symbols.hatch_lines(rect))
        painter.restore()


class ColourBar(QGraphicsWidget):
    """A bar of 12 px with a title and round ticks, right of the plot."""

    # Qt asks for them while the item is being made
    scale: Scale | None = None
    title = ""
    _wide = 0.0
    _ticks: tuple[tuple[float, str], ...] = ()

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title
        self.colours = table("viridis")
        keep(self)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self._fit()
        theme.changed.connect(self.restyle)

    def sizeHint(self, which: Qt.SizeHint, constraint: QSizeF = QSizeF()) -> QSizeF:  # noqa: B008 (Qt's signature)
        return QSizeF(self._wide, 16_777_215 if which == Qt.SizeHint.MaximumSize else 40)

    def set(self, scale: Scale, colours: npt.NDArray[np.uint8]) -> None:
        """What the colours mean."""
        if scale != self.scale or colours is not self.colours:
            self.scale, self.colours = scale, colours
            self._fit()
            self.update()

    def restyle(self) -> None:
        self.update()

    def show_bar(self, shown: bool) -> None:
        """Take room beside the plot, or none."""
        self.setVisible(shown)
        self._wide = 0.0
        self._fit()

    def ticks(self) -> list[tuple[float, str]]:
        """(value, its text), from the low end to the high one; no two texts are equal."""
        values = self.scale.ticks(max(self.rect().height() - 30, 0) / 34) if self.scale is not None else []
        linear = self.scale is not None and not self.scale.log and len(values) > 1
        texts = numbers.tick_texts(values, values[1] - values[0]) if linear else numbers.log_tick_texts(values)
        return list(zip(values, texts, strict=True))

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """As wide as its words; a little narrower ones change nothing, so that the plot beside it stands still."""
        if not self.isVisible():
            self.setMinimumWidth(0)
            self.setMaximumWidth(0)
            return
        self._ticks = tuple(self.ticks())
        metrics = theme.metrics(12)
        widest = max((metrics.horizontalAdvance(text) for _, text in self._ticks), default=0.0)
        title = theme.metrics(12, theme.MEDIUM).horizontalAdvance(self.title)
        wanted = max(_BAR_LEAST, 8.0 * math.ceil((max(_BAR_TEXT + widest, 12 + title) + 2) / 8))
        if wanted > self._wide or wanted < self._wide - 20:
            self._wide = wanted
            self.setMinimumWidth(wanted)
            self.setMaximumWidth(wanted)
            self.updateGeometry()

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if self.scale is None:
            return
        rect = self.rect().adjusted(10, 0, 0, 0)
        painter.setFont(theme.font(12, theme.MEDIUM))
        painter.setPen(theme.color("text2"))
        painter.drawText(QRectF(rect.left(), rect.top() - 2, rect.width(), 18), Qt.AlignmentFlag.AlignLeft, self.title)
        bar = QRectF(rect.left() + 2, rect.top() + 24, 12, rect.height() - 30)
        if bar.height() < 20:
            return
        pixels = np.ascontiguousarray(self.colours[::-1])
        image = QImage(pixels.data, 1, 256, 4, QImage.Format.Format_RGBA8888)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(bar, image)
        font = theme.font(12)
        painter.setFont(font)
        metrics = theme.metrics(12)
        last = math.inf
        for value, words in self._ticks:
            y = bar.bottom() - float(self.scale.position(value)) * bar.height()
            if not bar.top() - 1 <= y <= bar.bottom() + 1 or last - y < metrics.height():
                continue
            last = y
            painter.setPen(theme.pen("axis"))
            painter.drawLine(QLineF(bar.right(), round(y), bar.right() + 4, round(y)))
            painter.setPen(theme.color("text2"))
            painter.drawText(QPointF(bar.right() + 8, y + metrics.ascent() / 2 - 1), words)


class HeatMap:
    """A map in a plot: picture, hatch for what is not finite, colour bar.

    values (na, nb): [i, j] at (a_i, b_j). Colours depend on `scale` alone, so they do not flicker from grid to grid.
    """

    def __init__(self, plot: Any, title: str = "loss", colours: str = "viridis", *, bar: bool = True) -> None:
        self.plot = plot
        self.colours = table(colours)
        self.scale: Scale | None = None
        self.image = MapImage()
        self.undefined = _Undefined()
        plot.add(self.undefined)
        plot.add(self.image, ignoreBounds=True)
        self.bar: ColourBar | None = ColourBar(title) if bar else None
        if self.bar is not None:
            plot.plotItem.layout.addItem(self.bar, 2, 3)

    def set(self, values: npt.NDArray[Any], extent: Extent, scale: Scale | None = None) -> None:
        """Show a grid. scale: None fits it to these values."""
        self.scale = scale if scale is not None else Scale.of(values)
        finite = np.isfinite(values)
        position = np.where(finite, self.scale.position(np.where(finite, values, self.scale.low)), 0.0)
        index = np.clip(np.round(position * 255), 0, 255).astype(np.uint8)
        rgba = self.colours[index]
        if not finite.all():
            rgba[~finite] = 0
            self.undefined.extent = extent
        else:
            self.undefined.extent = None
        self.undefined.update()
        self.image.set_colours(rgba, extent)
        if self.bar is not None:
            self.bar.set(self.scale, self.colours)

    def clear(self) -> None:
        """Show nothing."""
        self.image.clear()
        self.undefined.extent = None
        self.undefined.update()
