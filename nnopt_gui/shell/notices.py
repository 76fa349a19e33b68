"""The notice bar: what the worker, a file or the user's own objective has to say, without stopping anything."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, QTimer
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

#: how long a piece of information stays, in ms; warnings and errors stay until they are closed
STAYS = 6000
WIDEST = 720
_ICONS = {"info": ("check", "good"), "warning": ("more", "gradient"), "error": ("cross", "bad")}


class NoticeBar(QFrame):
    """One line over the panels, just above `foot`: icon, text, "Details" where there are any, close. Nothing moves when
    it comes and goes."""

    def __init__(self, parent: QWidget, foot: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self._foot = foot
        parent.installEventFilter(self)
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
        line.addWidget(self._mark)
        line.addWidget(self._text, 1)
        line.addWidget(self._details)
        line.addWidget(self._close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 6, 8, 6)
        layout.addLayout(line)
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
        if kind == "info":
            self._timer.start(STAYS)

    def clear(self) -> None:
        """Nothing to say any more."""
        self._timer.stop()
        self.hide()

    def _toggle_details(self) -> None:
        self._detail.setVisible(self._detail.isHidden())
        self._place()

    def _place(self) -> None:
        parent = self.parentWidget()
        width = min(WIDEST, parent.width() - 32)
        layout = self.layout()
        assert layout is not None
        layout.activate()
        height = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()
        bottom = self._foot.mapTo(parent, self._foot.rect().topLeft()).y()
        self.setGeometry((parent.width() - width) // 2, bottom - height - 12, width, height)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in place when the window changes its size."""
        if event.type() == QEvent.Type.Resize and not self.isHidden():
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
