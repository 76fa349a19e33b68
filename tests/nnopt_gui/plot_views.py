"""A plot on the screen, and what of a colour is seen in it."""

from typing import Any

import numpy as np
from PySide6.QtCore import QPoint
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QWidget

from nnopt_gui.widgets.plot import LabPlot


def made(qtbot: Any, **kargs: Any) -> LabPlot:
    plot = LabPlot("distance", "loss", **kargs)
    qtbot.addWidget(plot)
    plot.resize(500, 300)
    plot.show()
    plot.set_home(-2, 2, -1, 1)
    qtbot.waitExposed(plot)
    QApplication.processEvents()
    return plot


def picture(plot: LabPlot) -> QImage:
    return plot.grab().toImage()


def count(image: QImage, colour: str, tolerance: int = 6) -> int:
    raw = image.convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(raw.constBits(), np.uint8).reshape(raw.height(), raw.width(), 4)[:, :, 2::-1].astype(int)
    return int((np.abs(pixels - np.array(QColor(colour).getRgb()[:3])) <= tolerance).all(axis=2).sum())


def pixels(widget: QWidget, scale: float = 1.0) -> Any:
    """(height, width, 3) of a widget on a screen with so many pixels per unit."""
    image = QImage(widget.size() * scale, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(scale)
    image.fill(0)
    QWidget.render(widget, image, QPoint())  # as the screen, not what a graphics view has instead
    raw = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine() // 4, 4)
    return raw[:, : image.width(), :3].astype(int)
