"""The notice bar: what the worker, a file or the user's own objective has to say, without stopping anything."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QRectF, Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from nnopt_gui.widgets import icons, theme

#: how long information and warnings stay, in ms; errors stay until they are closed, or another run takes the place
STAYS = 6000
WARNS = 15_000
WIDEST = 640
_ICONS = {"info": ("check", "good"), "warning": ("more", "gradient"), "error": ("cross", "bad")}


class NoticeBar(QFrame):
    """A small card: icon, text, "Details" where there are any, close. It lies over the lower end of `column` (the
    settings, which scroll), so that it covers no panel; while that is hidden, over the titles at the top. Nothing moves
    when it comes and goes."""

    def __init__(self, parent: QWidget, column: QWidget, top: QWidget, foot: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self._column, self._top, self._foot = column, top, foot
        for watched in (parent, column):
            watched.installEventFilter(self)
        self.kind = "info"
        self._mark = QLabel(self)
        self._text = QLabel(self)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._details = QPushButton("Details", self)
        self._details.clicked.connect(self._toggle_details)
        self._close = QToolButton(self)
        self._close.setIcon(icons.icon("cross"))
        self._close.setToolTip("Close this notice")
        self._close.setAccessibleName("Close this notice")
        self._close.clicked.connect(self.clear)
        self._detail = QPlainTextEdit(self)
        self._detail.setReadOnly(True)
        self._detail.setMaximumHeight(180)
        self._detail.hide()
        line = QHBoxLayout()
        line.setSpacing(10)
        line.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self._text, 1)
        line.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 6, 8, 6)
        layout.addLayout(line)
        layout.addWidget(self._details, 0, Qt.AlignmentFlag.AlignRight)
        layout.addWidget(self._detail)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.clear)
        theme.changed.connect(self._restyle)
        self.hide()

    @property
    def text(self) -> str:
        """What is said now, "" when nothing is."""
        return "" if self.isHidden() else self._text.text()

    def say(self, kind: str, text: str, detail: str = "") -> None:
        """Show a notice; the newest replaces the one before, but information does not push an error away."""
        if kind == "info" and not self.isHidden() and self.kind == "error":
            return
        self.kind = kind
        self._text.setText(text)
        self._detail.setPlainText(detail)
        self._detail.hide()
        self._details.setVisible(bool(detail))
        self.setAccessibleName(f"{kind}: {text}")
        self._restyle()
        self._place()
        self.show()
        self.raise_()
        self._timer.stop()
        if kind != "error":
            self._timer.start(STAYS if kind == "info" else WARNS)

    def clear(self) -> None:
        """Nothing to say any more."""
        self._timer.stop()
        self.hide()

    def _toggle_details(self) -> None:
        self._detail.setVisible(self._detail.isHidden())
        self._place()

    def _place(self) -> None:
        parent = self.parentWidget()
        beside = self._column.isVisible() and not self._column.isWindow()
        width = self._column.width() - 16 if beside else min(WIDEST, parent.width() - 32)
        layout = self.layout()
        assert layout is not None
        layout.activate()
        height = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()
        if beside:
            left = self._column.mapTo(parent, QPoint(8, 0)).x()
            bottom = self._foot.mapTo(parent, QPoint(0, 0)).y()
            self.setGeometry(left, bottom - height - 16, width, height)
        else:
            top = self._top.mapTo(parent, self._top.rect().bottomLeft()).y()
            self.setGeometry((parent.width() - width) // 2, top + 10, width, height)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in place when the window or the settings change."""
        moved = (QEvent.Type.Resize, QEvent.Type.Move, QEvent.Type.Show, QEvent.Type.Hide)
        if event.type() in moved and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)

    def _restyle(self) -> None:
        name, role = _ICONS[self.kind]
        self._mark.setPixmap(icons.icon(name, role).pixmap(18, 18))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A card whose border has the colour of the kind."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(theme.pen(_ICONS[self.kind][1], width=1.4))
        painter.setBrush(theme.brush("card"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 8, 8)
        painter.end()
