"""The card: the frame of every panel, with its header, body and readout line, and the dock that carries one."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QIcon,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QDockWidget,
    QFrame,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from nnopt_gui.widgets import icons, theme
from nnopt_gui.widgets.choice import ChoiceButton, Options
from nnopt_gui.widgets.richline import RichLine

HEADER = 40
READOUT = 32
PADDING = 12
RADIUS = 8
#: how long a card that is led to has its frame in the accent, in ms
GLOWS = 1600


#: of a card that floats: the desktop's title bar with all its buttons
_FRAMED = (
    Qt.WindowType.Window
    | Qt.WindowType.CustomizeWindowHint
    | Qt.WindowType.WindowTitleHint
    | Qt.WindowType.WindowSystemMenuHint
    | Qt.WindowType.WindowMinMaxButtonsHint
    | Qt.WindowType.WindowCloseButtonHint
)


class Header(QWidget):
    """Number badge, title, subtitle, choices, maximize, more. Works as the title bar of a dock: a press that hits no
    button is left to the dock, which is then dragged; a double-click maximizes."""

    double_clicked = Signal()

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.subtitle = ""
        self.number: int | None = None
        self.choices: list[ChoiceButton] = []
        self.setFixedHeight(HEADER)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.maximize = _icon_button(self, "maximize", "Maximize")
        self.more = _icon_button(self, "more", "More")
        self._text_end = 0
        theme.changed.connect(self.arrange)

    def sizeHint(self) -> QSize:
        return QSize(360, HEADER)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, HEADER)

    def arrange(self) -> None:
        """Give every part its place: the subtitle goes first, then the choices' labels, then they are elided or move
        into the menu, last the title is elided."""
        x = self.width() - 8
        for button in (self.more, self.maximize):
            if not button.isHidden():
                x -= 32
                button.setGeometry(x, 4, 32, 32)
        title_end = self._title_left() + theme.metrics(14, theme.BOLD).horizontalAdvance(self.title) + 8
        room = x - 2 - math.ceil(title_end)
        shown = list(self.choices)
        while shown and sum(min(64, c.sizeHint().width()) for c in shown) > room:
            shown.pop()
        widths = [c.sizeHint().width() for c in shown]
        if sum(widths) > room:
            widths = [c.width_for(c.words) for c in shown]
        while widths and sum(widths) > room and max(widths) > 40:
            widths[widths.index(max(widths))] -= 1
        for choice in self.choices:
            choice.setVisible(choice in shown)
        x -= 2
        for choice, width in reversed(list(zip(shown, widths, strict=True))):
            x -= width
            choice.setGeometry(x, 6, width, 28)
        self._text_end = x - 6
        self.update()

    def _title_left(self) -> int:
        return PADDING + (28 if self.number is not None else 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.arrange()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        if self.number is not None:
            badge = QRectF(PADDING + 0.5, 10.5, 19, 19)
            painter.setPen(theme.pen("border"))
            painter.setBrush(theme.brush("sunken"))
            painter.drawRoundedRect(badge, 4, 4)
            painter.setPen(theme.color("text2"))
            painter.setFont(theme.font(11, theme.BOLD))
            painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, str(self.number))
        left = self._title_left()
        font = theme.font(14, theme.BOLD)
        metrics = theme.metrics(14, theme.BOLD)
        room = max(self._text_end - left, 0) + 1
        title = metrics.elidedText(self.title, Qt.TextElideMode.ElideRight, room)
        painter.setFont(font)
        painter.setPen(theme.color("text"))
        painter.drawText(QRectF(left, 0, room, HEADER), middle, title)
        start = left + metrics.horizontalAdvance(title) + 10
        if self.subtitle and self._text_end - start > 24:
            small = theme.font(13)
            painter.setFont(small)
            painter.setPen(theme.color("text3"))
            words = theme.metrics(13).elidedText(self.subtitle, Qt.TextElideMode.ElideRight, self._text_end - start)
            painter.drawText(QRectF(start, 0, self._text_end - start, HEADER), middle, words)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.ignore()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        event.ignore()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.ignore()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.accept()
        if event.button() == Qt.MouseButton.LeftButton:
            self.double_clicked.emit()


class Card(QFrame):
    """A white, rounded card: `header`, `body` (an empty widget with a vertical layout), one readout line.

    Signals: chosen(name, value) when the user picks in a choice; maximize_requested; link_activated(href).
    """

    chosen = Signal(str, str)
    maximize_requested = Signal()
    link_activated = Signal(str)

    def __init__(
        self, title: str, parent: QWidget | None = None, *, readout: bool = True, maximizable: bool = True
    ) -> None:
        super().__init__(parent)
        self.framed = True
        self.header = Header(title, self)
        self.body = QWidget(self)
        inside = QVBoxLayout(self.body)
        inside.setContentsMargins(PADDING, 0, PADDING, 0)
        inside.setSpacing(0)
        self.readout = RichLine(self)
        self.readout.setVisible(readout)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(1, 1, 1, 1)
        self._layout.setSpacing(0)
        self._layout.addWidget(self.header)
        self._layout.addWidget(self.body, 1)
        line = QVBoxLayout()
        line.setContentsMargins(PADDING, 0, PADDING, 0)
        line.addWidget(self.readout)
        self.readout.setFixedHeight(READOUT)
        self._layout.addLayout(line)
        if not readout:
            self._layout.addSpacing(PADDING)
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self._own_actions: list[QAction] = []
        self.header.more.setMenu(self.menu)
        self.header.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.header.maximize.clicked.connect(self.maximize_requested)
        self.header.double_clicked.connect(self.maximize_requested)
        self.readout.link_activated.connect(self.link_activated)
        self.header.maximize.setVisible(maximizable)
        self.setAccessibleName(title)
        self.setMinimumSize(220, 120)
        theme.changed.connect(self.update)

    # header

    def set_title(self, title: str) -> None:
        """Change the title."""
        self.header.title = title
        self.setAccessibleName(title)
        self.header.arrange()

    def set_subtitle(self, text: str) -> None:
        """Words in grey after the title ("183 → 184"); dropped where there is no room."""
        if text != self.header.subtitle:
            self.header.subtitle = text
            self.header.update()

    def set_number(self, n: int | None) -> None:
        """The badge: the key that brings this panel to the front."""
        self.header.number = n
        self.header.arrange()

    def set_maximized(self, on: bool) -> None:
        """Show the button as "restore" or as "maximize"."""
        words = "Restore" if on else "Maximize"
        self.header.maximize.setIcon(icons.icon("restore" if on else "maximize"))
        self.header.maximize.setToolTip(words)
        self.header.maximize.setAccessibleName(words)

    def add_choice(self, name: str, label: str, options: Options) -> ChoiceButton:
        """A choice in words in the header: options are (value, words); `label` may be empty ("Linear axis")."""
        button = ChoiceButton(name, label, options, self.header)
        button.picked.connect(lambda value: self.chosen.emit(name, value))
        button.resized.connect(self.header.arrange)
        self.header.choices.append(button)
        self.header.arrange()
        return button

    def set_choice(self, name: str, value: str) -> None:
        """Show a choice's value without emitting `chosen`; an unknown choice or value changes nothing."""
        for button in self.header.choices:
            if button.name == name:
                button.set_value(str(value))

    def set_options(self, name: str, options: Options) -> None:
        """Replace what can be chosen."""
        for button in self.header.choices:
            if button.name == name:
                button.set_options(options)

    def offered(self, name: str) -> tuple[tuple[str, str], ...]:
        """(value, words) of all that a choice offers now. Raises KeyError if there is none of this name."""
        return {button.name: button.options for button in self.header.choices}[name]

    def choice(self, name: str) -> str:
        """The value shown by a choice. Raises KeyError if there is none of this name."""
        return {button.name: button.value for button in self.header.choices}[name]

    def add_action(self, words: str, slot: Callable[[], object], icon: QIcon | None = None) -> QAction:
        """An entry of the "..." menu."""
        action = QAction(words, self)
        if icon is not None:
            action.setIcon(icon)
        action.triggered.connect(lambda _checked=False: slot())
        self._own_actions.append(action)
        return action

    def add_menu_action(self, action: QAction) -> None:
        """Put an existing action into the "..." menu."""
        self._own_actions.append(action)

    def _fill_menu(self) -> None:
        self.menu.clear()
        for choice in self.header.choices:
            choice.fill_menu(self.menu.addMenu(choice.label or choice.words))
        if self.header.choices:
            self.menu.addSeparator()
        if not self.header.maximize.isHidden():
            self.menu.addAction(icons.icon("maximize"), self.header.maximize.toolTip(), self.maximize_requested.emit)
        if self._own_actions:
            self.menu.addSeparator()
            self.menu.addActions(self._own_actions)

    # readout

    def set_readout(self, html: str) -> None:
        """One sentence, at most about 90 characters, decisive numbers in <b>, links as <a href="...">."""
        if html != self.readout.html:
            self.readout.set_html(html)
            self.setAccessibleDescription(self.readout.text)

    # frame

    def set_framed(self, framed: bool) -> None:
        """Without a frame the card is transparent: a `CardDock` paints for it, header included."""
        self.framed = framed
        self._layout.setContentsMargins(*((1, 1, 1, 1) if framed else (1, 0, 1, 1)))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.framed:
            painter = QPainter(self)
            paint_card(painter, QRectF(self.rect()))
            painter.end()


class Glow(QWidget):
    """A frame in the accent over a card for a moment: the answer to a link is here."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        self.hide()

    def shine(self) -> None:
        """Now."""
        self.setGeometry(self.parentWidget().rect())
        self.raise_()
        self.show()
        self._timer.start(GLOWS)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(theme.pen("accent", width=3))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5), RADIUS - 1, RADIUS - 1)
        painter.end()


class CardDock(QDockWidget):
    """A dock that looks like a card: it paints the frame around the card's header (its title bar) and body.

    Afloat it is a window of the desktop, with the desktop's title bar and buttons. Qt would leave it bare, because the
    header is its title bar; so it asks for a frame whenever it has been shown bare and is not being dragged.
    """

    def __init__(self, card: Card, name: str, parent: QWidget | None = None) -> None:
        super().__init__(card.header.title, parent)
        self.card = card
        self.setObjectName(name)
        card.set_framed(False)
        self.setTitleBarWidget(card.header)
        self.setWidget(card)
        self.glow = Glow(self)
        self._framing = QTimer(self)
        self._framing.setSingleShot(True)
        self._framing.setInterval(0)
        self._framing.timeout.connect(self._take_frame)
        theme.changed.connect(self.update)

    @property
    def _bare(self) -> bool:
        # while it is dragged Qt keeps it from the desktop, and needs it bare
        flags, dragged = self.windowFlags(), Qt.WindowType.X11BypassWindowManagerHint
        return self.isFloating() and bool(flags & Qt.WindowType.FramelessWindowHint) and not flags & dragged

    def _take_frame(self) -> None:
        if self._bare:
            place = self.geometry()
            self.setWindowFlags(_FRAMED)
            self.setGeometry(place)
            self.show()

    def toggle_full(self) -> None:
        """Afloat: as large as the screen, or back."""
        if self.isMaximized():
            self.showNormal()
        else:
            self.showMaximized()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._bare:
            self._framing.start()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            self.card.set_maximized(self.isFloating() and self.isMaximized())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.isFloating() and self.isMaximized():
            self.showNormal()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.glow.setGeometry(self.rect())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self.isFloating():
            paint_card(painter, QRectF(self.rect()), 0)
        else:
            paint_card(painter, QRectF(self.rect()))
        painter.end()


def paint_card(painter: QPainter, rect: QRectF, radius: float = RADIUS, border: str = "border") -> None:
    """Card colour and a 1 px border."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(theme.color(border), 1))
    painter.setBrush(theme.brush("card"))
    inner = rect.adjusted(0.5, 0.5, -0.5, -0.5)
    if radius:
        painter.drawRoundedRect(inner, radius - 0.5, radius - 0.5)
    else:
        painter.drawRect(inner)


def _icon_button(parent: QWidget, name: str, words: str) -> QToolButton:
    button = QToolButton(parent)
    button.setIcon(icons.icon(name))
    button.setIconSize(QSize(17, 17))
    button.setToolTip(words)
    button.setAccessibleName(words)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setAutoRaise(True)
    return button


__all__ = ["Card", "CardDock", "ChoiceButton", "Header", "paint_card"]
