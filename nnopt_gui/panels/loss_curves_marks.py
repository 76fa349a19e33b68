"""What lies over the loss curves: the area where a click or a drag seeks, and the plate that reads the values under the
mouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.bands import Bands
from nnopt_gui.widgets.overlay import Label, Overlay, label_size
from nnopt_gui.widgets.plot import Curve

_ROW = 17.0
_PAD = 8.0


class PlateauBands(Bands):
    """Tinted stretches whose words stay inside them: at the lower edge, or above the curve where that is low itself."""

    def __init__(self, role: str, short: str) -> None:
        super().__init__(role)
        self._short = short
        #: the curve's height in each stretch, data coordinates
        self.levels: tuple[float, ...] = ()

    def labels(self) -> list[Label]:
        result = []
        for (x0, x1, words), level in zip(self.bands, self.levels, strict=False):
            left = max(self.pixel(x0, 0).x(), self.area.left())
            right = min(self.pixel(x1, 0).x(), self.area.right())
            for text in (words, self._short):
                wide, high = label_size(text, bold=False)
                if wide + 8 <= right - left:
                    curve = self.pixel(x0, level).y()
                    bottom = self.area.bottom() - 3
                    if bottom - high - 8 < curve < bottom + 40:
                        bottom = curve - 9
                    place = QRectF(left + 4, bottom - high, wide, high)
                    result.append(Label(text, place, "text2", "", bold=False, fixed=True, priority=4))
                    break
        return result


class FaintCurve(Curve):
    """The loss of each mini-batch: thin and faint behind the measured training loss."""

    def restyle(self) -> None:
        self.setPen(theme.pen("text3", width=1.0, alpha=0.3))


class SeekArea(Overlay):
    """Takes clicks and drags of the left button over the plot: `sought(x)` in data coordinates. The wheel and the other
    buttons belong to the plot below."""

    sought = Signal(float)
    double_clicked = Signal()

    def __init__(self) -> None:
        super().__init__(z=200)

    def shape(self) -> QPainterPath:
        path = QPainterPath()
        path.addRect(self.area)
        return path

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        """Nothing to see."""

    def mouseClickEvent(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        event.accept()
        if event.double():
            self.double_clicked.emit()
        else:
            self.sought.emit(self.data(event.pos())[0])

    def mouseDragEvent(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            event.ignore()
            return
        event.accept()
        self.sought.emit(self.data(event.pos())[0])


class Reading(Overlay):
    """A thin line at one step and a plate beside it: rows of (name, value). Where the curves are there stand small
    dots: (y, role)."""

    def __init__(self) -> None:
        super().__init__(z=950)
        self.x: float | None = None
        self.rows: tuple[tuple[str, str], ...] = ()
        self.dots: tuple[tuple[float, str], ...] = ()

    def set(self, x: float, rows: Sequence[tuple[str, str]], dots: Sequence[tuple[float, str]] = ()) -> None:
        """What is read at x (data coordinates)."""
        self.x, self.rows, self.dots = x, tuple(rows), tuple(dots)
        self.update()

    def clear(self) -> None:
        """The mouse has left."""
        if self.x is not None:
            self.x = None
            self.update()

    @property
    def text(self) -> str:
        """What the plate says, in one line."""
        return ", ".join(f"{name} {value}" for name, value in self.rows) if self.x is not None else ""

    def frame(self) -> QRectF:
        """Where the plate is, in view-box pixels: beside the line, on the side with more room."""
        if self.x is None:
            return QRectF()
        metrics, bold = QFontMetricsF(theme.font(12)), QFontMetricsF(theme.font(12, theme.BOLD))
        names = max((metrics.horizontalAdvance(name) for name, _ in self.rows), default=0.0)
        values = max((bold.horizontalAdvance(value) for _, value in self.rows), default=0.0)
        wide, high = names + values + 14 + 2 * _PAD, _ROW * len(self.rows) + 2 * _PAD - 4
        area = self.area
        x = self.pixel(self.x, 0).x()
        left = x + 10 if x + 10 + wide < area.right() else x - 10 - wide
        left = max(area.left() + 2, min(left, area.right() - wide - 2))
        return QRectF(left, max(area.top() + 2, min(area.top() + 24, area.bottom() - high - 2)), wide, high)

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if self.x is None or not self.rows:
            return
        area = self.area
        x = round(self.pixel(self.x, 0).x()) + 0.5
        painter.setPen(QPen(theme.color("text3", 0.7), 1))
        painter.drawLine(QLineF(x, area.top(), x, area.bottom()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for y, role in self.dots:
            painter.setPen(QPen(theme.color("card"), 1.5))
            painter.setBrush(theme.color(role))
            painter.drawEllipse(self.pixel(self.x, y), 4, 4)
        frame = self.frame()
        painter.setPen(theme.pen("border"))
        painter.setBrush(theme.color("card", 0.96))
        painter.drawRoundedRect(frame.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        y = frame.top() + _PAD + 10
        for name, value in self.rows:
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text2"))
            painter.drawText(QPointF(frame.left() + _PAD, y), name)
            painter.setFont(theme.font(12, theme.BOLD))
            painter.setPen(theme.color("text"))
            wide = QFontMetricsF(painter.font()).horizontalAdvance(value)
            painter.drawText(QPointF(frame.right() - _PAD - wide, y), value)
            y += _ROW
