"""The F1 sheet: every key and every mouse gesture, from the table of actions."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from nnopt_gui.shell.actions import GESTURES, MENUS, Spec, key_words
from nnopt_gui.widgets import theme


class ShortcutsSheet(QDialog):
    """A window beside the laboratory, not in its way; F1 or Esc closes it."""

    def __init__(self, specs: tuple[Spec, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys and gestures")
        self.setModal(False)
        columns = QHBoxLayout()
        columns.setSpacing(40)
        left, right = QVBoxLayout(), QVBoxLayout()
        for name in MENUS:
            rows = [
                (" or ".join(key_words(key) for key in spec.keys), spec.title)
                for spec in specs
                if spec.menu == name and spec.keys
            ]
            if rows:
                (right if name in ("File", "Edit", "Help") else left).addLayout(_part(name, rows))
        right.addLayout(_part("With the mouse", list(GESTURES)))
        for column in (left, right):
            column.addStretch(1)
            columns.addLayout(column)
        page = QWidget()
        page.setLayout(columns)
        area = QScrollArea(self)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 16, 24, 16)
        layout.addWidget(area)
        wanted = page.sizeHint().grownBy(layout.contentsMargins())
        self.resize(wanted.boundedTo(self.screen().availableSize() * 0.92))

    def keyPressEvent(self, event: object) -> None:
        """F1 again closes it, too."""
        if getattr(event, "key", int)() == Qt.Key.Key_F1 or event == QKeySequence.StandardKey.Cancel:
            self.close()
        else:
            super().keyPressEvent(event)  # type: ignore[arg-type]


def _part(title: str, rows: list[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(20)
    grid.setVerticalSpacing(6)
    heading = QLabel(title)
    heading.setFont(theme.font(14, theme.BOLD))
    grid.addWidget(heading, 0, 0, 1, 2)
    for row, (key, words) in enumerate(rows, start=1):
        label = QLabel(key)
        label.setFont(theme.font(13, theme.MEDIUM))
        grid.addWidget(label, row, 0)
        grid.addWidget(QLabel(words), row, 1)
    grid.setColumnStretch(1, 1)
    grid.setContentsMargins(0, 0, 0, 16)
    return grid
