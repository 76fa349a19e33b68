"""Pictures that are kept between paintings, and lines that keep theirs.

A plot is painted again whenever something in it moves. A long smoothed line, which takes milliseconds, need not be: its
pixels are kept, and drawn again as they are while neither the line nor its place on the screen has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QPaintEngine, QPainter, QPixmap, QPixmapCache, QTransform
from PySide6.QtWidgets import QGraphicsItem, QWidget

#: what Qt may keep, in KB: all plots of a large screen
CACHE_KB = 256 * 1024


def keep(item: QGraphicsItem) -> None:
    """Let Qt keep the pixels of an item until it updates or its place on the screen changes. It is then drawn without
    asking it, which is the quickest way for what stands still; vector pictures have it as it is (`LabPlot.render`)."""
    if QPixmapCache.cacheLimit() < CACHE_KB:
        QPixmapCache.setCacheLimit(CACHE_KB)
    item.setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)


class KeptPicture:
    """What is painted a second time at the same place is kept, in pixels of the screen: as sharp as painted directly,
    whatever its scale. What changes with each frame is not, since keeping it costs something, too."""

    def __init__(self) -> None:
        self._pixmap: QPixmap | None = None
        self._place: tuple[QTransform, QRect] | None = None
        #: how often it was painted anew
        self.painted = 0

    def forget(self) -> None:
        """What is to be painted has changed."""
        self._place = self._pixmap = None

    def paint(self, painter: QPainter, area: QRectF, draw: Callable[[QPainter], None]) -> None:
        """Paint by `draw` what can be seen in `area` (the painter's coordinates), or what that painted before."""
        if painter.paintEngine().type() != QPaintEngine.Type.Raster:
            draw(painter)  # lines stay lines in a vector picture
            return
        transform = painter.deviceTransform()
        device = transform.mapRect(area).toAlignedRect()
        if device.isEmpty():
            return
        if self._place != (transform, device):
            self._place, self._pixmap = (transform, device), None
            self.painted += 1
            draw(painter)
            return
        ratio = painter.device().devicePixelRatioF()
        if self._pixmap is None:
            self._pixmap = QPixmap(device.size())
            self._pixmap.setDevicePixelRatio(ratio)  # pens and symbols as thick as painted directly
            self._pixmap.fill(Qt.GlobalColor.transparent)
            inner = QPainter(self._pixmap)
            inner.setTransform(
                transform
                * QTransform.fromTranslate(-device.x(), -device.y())
                * QTransform.fromScale(1 / ratio, 1 / ratio)
            )
            draw(inner)
            inner.end()
            self.painted += 1
        painter.save()
        # from pixels of the screen, whatever the painter does between its coordinates and these
        painter.setWorldMatrixEnabled(False)
        back, _ = painter.deviceTransform().inverted()
        painter.setWorldMatrixEnabled(True)
        painter.setTransform(QTransform.fromScale(ratio, ratio) * back)
        painter.drawPixmap(QPointF(device.x() / ratio, device.y() / ratio), self._pixmap)
        painter.restore()


class KeptLine(pg.PlotCurveItem):
    """A curve of pyqtgraph that keeps its picture unless `keeps` is off, as for a line that changes with each frame."""

    def __init__(self, **settings: Any) -> None:
        self.keeps = True
        self.kept = KeptPicture()
        super().__init__(**settings)

    def update(self, *part: Any) -> None:
        """Paint again: data or look have changed."""
        self.kept.forget()
        super().update(*part)

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        box = self.getViewBox()
        if not self.keeps or box is None or self.xData is None or not len(self.xData):
            super().paint(painter, option, widget)
        else:
            self.kept.paint(painter, self.mapRectFromItem(box, box.boundingRect()), self.draw)

    def draw(self, painter: QPainter) -> None:
        """Paint the line itself."""
        super().paint(painter, None, None)
