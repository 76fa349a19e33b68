"""Examples under the mouse: the area for clicks and drags, the picker of what a click adds, examples of regressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QHBoxLayout, QLabel, QWidget

from nnopt_gui.widgets import symbols, theme
from nnopt_gui.widgets.overlay import Overlay
from nnopt_gui.widgets.points import Scatter

Array = npt.NDArray[np.float64]

#: the shape of each class, as in the legend
SHAPES = ("disc", "triangle", "square", "diamond", "triangle down", "pentagon", "hexagon", "star")
_COLOURS = 33


class ExampleArea(Overlay):
    """Takes the left button over the plot. find(x, y) -> index of the example there, or None.

    Signals (data coordinates): clicked(x, y, index or None), dragged(index, x, y, finished). A drag that begins beside
    every example belongs to the plot, which is panned; so do the wheel and the other buttons.
    """

    clicked = Signal(float, float, object)
    dragged = Signal(int, float, float, bool)

    def __init__(self, find: Callable[[float, float], int | None], places: Callable[[], tuple[Array, Array]]) -> None:
        super().__init__(z=200)
        self._find = find
        self._index: int | None = None
        #: what the legend must not cover
        self.legend_points = places

    @property
    def dragging(self) -> bool:
        """Whether an example follows the mouse."""
        return self._index is not None

    def shape(self) -> QPainterPath:
        path = QPainterPath()
        path.addRect(self.area)
        return path

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        """Nothing to see."""

    def hoverEvent(self, event: Any) -> None:
        over = not event.isExit() and self._find(*self.data(event.pos())) is not None
        self.setCursor(Qt.CursorShape.OpenHandCursor if over else Qt.CursorShape.CrossCursor)

    def mouseClickEvent(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        event.accept()
        if event.double():
            return  # its first click has done it
        x, y = self.data(event.pos())
        self.clicked.emit(x, y, self._find(x, y))

    def mouseDragEvent(self, event: Any) -> None:
        if event.isStart():
            self._index = None
            if event.button() == Qt.MouseButton.LeftButton:
                self._index = self._find(*self.data(event.buttonDownPos()))
        if self._index is None:
            event.ignore()
            return
        event.accept()
        x, y = self.data(event.pos())
        index = self._index
        if event.isFinish():
            self._index = None
        self.dragged.emit(index, x, y, bool(event.isFinish()))


class _Mark(QAbstractButton):
    """One segment of the picker: a class mark, or a target's value on its colour."""

    def __init__(self, index: int, words: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.index = index
        self.colour: QColor | None = None
        self.value = ""
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip(f"A click adds an example: {words}")
        self.setAccessibleName(f"add {words}")

    def sizeHint(self) -> QSize:
        wide = QFontMetricsF(theme.font(12)).horizontalAdvance(self.value) + 26 if self.value else 26.0
        return QSize(round(wide), 20)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        chosen = self.isChecked()
        painter.setPen(QPen(theme.color("accent" if chosen or self.hasFocus() else "border"), 1))
        painter.setBrush(theme.color("accent_soft" if chosen else "sunken" if self.underMouse() else "card"))
        painter.drawRoundedRect(box, 4, 4)
        middle = QPointF(13 if self.value else self.width() / 2, self.height() / 2)
        if self.colour is None:
            shape = SHAPES[self.index % len(SHAPES)]
            symbols.draw(painter, shape, middle, 9, f"class{self.index}")
        else:
            painter.setPen(QPen(theme.color("text3"), 1))
            painter.setBrush(self.colour)
            painter.drawEllipse(middle, 4.5, 4.5)
        if self.value:
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text" if chosen else "text2"))
            painter.drawText(self.rect().adjusted(22, 0, -3, 0), Qt.AlignmentFlag.AlignVCenter, self.value)
        painter.end()


class Picker(QWidget):
    """What a click adds: small segments with the class marks, or with three targets of a regression."""

    changed = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("Class of new examples")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(2)
        self._label = QLabel("click adds", self)
        self._row.addWidget(self._label)
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(self.changed)
        self._words: tuple[str, ...] = ()
        theme.changed.connect(self._restyle)
        self._restyle()

    @property
    def current(self) -> int:
        """Index of what is chosen."""
        return max(0, self._group.checkedId())

    def choose(self, index: int) -> None:
        """Chooses it (keys of the shell, tests)."""
        button = self._group.button(index)
        if button is not None and not button.isChecked():
            button.setChecked(True)
            self.changed.emit(index)

    def offer(self, words: Sequence[str], colours: Sequence[QColor] = (), values: Sequence[str] = ()) -> None:
        """One segment for each of `words`; with colours and values for a regression."""
        key = (*words, *values, *(colour.name() for colour in colours))
        if key == self._words:
            return
        self._words = key
        chosen = self.current
        for button in self._group.buttons():
            self._group.removeButton(button)
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        for index, name in enumerate(words):
            mark = _Mark(index, name, self)
            if colours:
                mark.colour, mark.value = colours[index], values[index]
            self._group.addButton(mark, index)
            self._row.addWidget(mark)
            mark.show()
        first = self._group.button(chosen if chosen < len(words) else 0)
        if first is not None:
            first.setChecked(True)
        self.adjustSize()

    def set_roomy(self, roomy: bool) -> None:
        """Whether there is room for the words "click adds"."""
        self._label.setVisible(roomy)
        self.adjustSize()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()  # between the segments: not a click into the plot

    def _restyle(self) -> None:
        self._label.setFont(theme.font(12))
        self._label.setStyleSheet(f"color: {theme.current().text3}; background: transparent; padding-right: 4px;")
        self.update()


class TargetPoints:
    """Examples of a regression: the colour is the target (the same scale as the map's), filled for training, outlined
    for validation; over one input all of one colour."""

    def __init__(self, plot: Any) -> None:
        self._training = Scatter(size=7.5)
        self._validation = Scatter(size=7.5)
        self._chosen = Scatter(size=17, symbol="o", brush=None)
        for item, z in ((self._validation, 50), (self._training, 51), (self._chosen, 52)):
            item.setZValue(z)
            item.setVisible(False)
            plot.add(item)

    def set(self, places: Array, training: npt.NDArray[np.bool_], shades: Array | None, colours: Array) -> None:
        """places (N, 2). shades (N,): 0 .. 1 into colours (K, 3), or None for one colour."""
        brushes = [
            QBrush(QColor(*map(int, rgb))) for rgb in colours[np.linspace(0, len(colours) - 1, _COLOURS).astype(int)]
        ]
        pens = [_pen(brush.color(), 1.8) for brush in brushes]
        for item, kind in ((self._training, True), (self._validation, False)):
            rows = np.flatnonzero(training == kind)
            item.setVisible(rows.size > 0)
            spots: dict[str, Any] = {"x": places[rows, 0], "y": places[rows, 1], "symbol": "o"}
            if shades is None:
                item.setData(
                    **spots, pen=_pen(theme.color("class0"), 1.3), brush=theme.brush("class0") if kind else None
                )
                continue
            edge = _pen(theme.color("text3", 0.8), 0.8)
            which = np.clip(np.rint(shades[rows] * (_COLOURS - 1)), 0, _COLOURS - 1).astype(int)
            if kind:
                item.setData(**spots, pen=edge, brush=[brushes[index] for index in which])
            else:
                item.setData(**spots, brush=None, pen=[pens[index] for index in which])

    def set_selected(self, place: Array | None) -> None:
        """A ring in the accent around the selected one, (2,)."""
        places = np.empty((0, 2)) if place is None else place[None]
        self._chosen.setVisible(len(places) > 0)
        self._chosen.setData(x=places[:, 0], y=places[:, 1], pen=_pen(theme.color("accent"), 2.4))

    def clear(self) -> None:
        """Shows nothing."""
        for item in (self._chosen, self._training, self._validation):
            item.clear()
            item.setVisible(False)


def _pen(colour: QColor, width: float) -> QPen:
    pen = QPen(colour, width)
    pen.setCosmetic(True)  # a scatter item scales its symbols
    return pen
