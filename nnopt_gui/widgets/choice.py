"""A choice in words in the header of a card: a flat button with a menu."""

from __future__ import annotations

import math
from collections.abc import Iterable

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QEnterEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QMenu, QWidget

from nnopt_gui.widgets import icons, theme

Options = Iterable[tuple[str, str]]


class ChoiceButton(QAbstractButton):
    """A flat combo in words ("Direction: gradient v"); loses its label, then is elided, when there is little room."""

    picked = Signal(str)
    #: it would like another width
    resized = Signal()

    def __init__(self, name: str, label: str, options: Options, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.label = label
        self.options: tuple[tuple[str, str], ...] = ()
        self.value = ""
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(label or name)
        self.setFixedHeight(28)
        self.set_options(options)
        self.clicked.connect(self.open_menu)
        theme.changed.connect(self.update)

    def set_options(self, options: Options) -> None:
        """(value, words) of everything that can be chosen; the value is kept if it is still among them."""
        given = tuple((str(value), words) for value, words in options)
        if given == self.options:
            return
        self.options = given
        if self.value not in dict(self.options):
            self.value = self.options[0][0] if self.options else ""
        self._say()

    def set_value(self, value: str) -> None:
        """Show a value without emitting."""
        if value in dict(self.options) and value != self.value:
            self.value = value
            self._say()

    @property
    def words(self) -> str:
        return dict(self.options).get(self.value, "")

    def width_for(self, text: str) -> int:
        """Pixels needed to show a text."""
        return math.ceil(theme.metrics(13).horizontalAdvance(text)) + 34

    @property
    def full_text(self) -> str:
        return f"{self.label}: {self.words}" if self.label else self.words

    def sizeHint(self) -> QSize:
        return QSize(self.width_for(self.full_text), 28)

    def fill_menu(self, menu: QMenu) -> None:
        """Add one checkable entry per option."""
        group = QActionGroup(menu)
        for value, words in self.options:
            action = QAction(words, menu, checkable=True)
            action.setChecked(value == self.value)
            action.setData(value)
            group.addAction(action)
            menu.addAction(action)
        group.triggered.connect(self._triggered)

    def open_menu(self) -> None:
        """Show the options below the button."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu)
        menu.popup(self.mapToGlobal(self.rect().bottomLeft()))

    def _triggered(self, action: QAction) -> None:
        value = str(action.data())
        if value != self.value:
            self.set_value(value)
            self.picked.emit(value)

    def _say(self) -> None:
        self.setAccessibleDescription(self.words)
        self.setToolTip(self.full_text)
        self.updateGeometry()
        self.update()
        self.resized.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        if self.underMouse() or self.hasFocus() or self.isDown():
            painter.setPen(theme.pen("accent" if self.hasFocus() else "border"))
            painter.setBrush(theme.brush("sunken"))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        font = theme.font(13)
        painter.setFont(font)
        painter.setPen(theme.color("text2"))
        room = self.width() - 32
        metrics = theme.metrics(13)
        text = self.full_text if metrics.horizontalAdvance(self.full_text) <= room else self.words
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)
        painter.drawText(
            self.rect().adjusted(8, 0, -24, 0), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, text
        )
        icons.draw(painter, "chevron", QRectF(self.width() - 20, (self.height() - 14) / 2, 14, 14), colours.text2)
        painter.end()

    def enterEvent(self, event: QEnterEvent) -> None:
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self.update()
