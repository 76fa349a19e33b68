"""The rows of a form: label, field, slider and the line that explains what is expected; and its sections."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from nnopt_gui.widgets import icons, theme, words
from nnopt_gui.widgets.fields import ChoiceField, NumberField, SlimSlider, TextField
from nnopt_gui.widgets.specs import Field, tag_of
from nnopt_gui.widgets.typed import is_too_large, parse_number, plain_number

LABEL = 106
INDENT = 8
#: pixels that a message below a field may be high
MESSAGE = 92
_SMALL = 12


class Row(QWidget):
    """One field of a form. edited(value): a new valid value; previewed(value): while its slider moves."""

    edited = Signal(object)
    previewed = Signal(object)

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.editor: QWidget = self
        self.slider: SlimSlider | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(INDENT * field.depth, 0, 0, 0)
        column.setSpacing(2)
        self._line = QHBoxLayout()
        self._line.setSpacing(6)
        column.addLayout(self._line)
        self.label = ElidedLabel(field.label, self)
        self._share_width()
        self._build(column)
        self._tip()
        self.message = ElidedLabel("", self, px=12, role="bad")
        self.message.hide()
        column.addWidget(self.message)

    def _build(self, column: QVBoxLayout) -> None:
        field = self.field
        if field.kind in ("bool", "switch"):
            box = QCheckBox(field.label, self)
            box.setAccessibleDescription(field.help)
            box.clicked.connect(lambda checked: self.edited.emit(checked))
            self.label.hide()
            self.editor = box
            self._line.addWidget(box)
            return
        self._line.addWidget(self.label)
        if field.kind == "number":
            self._build_number()
            return
        if field.kind in ("choice", "member"):
            combo = ChoiceField(field, self)
            combo.picked.connect(self.edited.emit)
            combo.picked.connect(lambda _value: self._share_width())
            self.editor = combo
        elif field.kind == "fixed":
            self.editor = QLabel("", self)
        else:
            text = TextField(field, self._read_text, self)
            text.set_format(self._text_of)
            text.committed.connect(self.edited.emit)
            text.complained.connect(self.explain)
            if field.optional or field.kind in ("texts", "path"):
                text.setPlaceholderText("none" if field.kind == "path" else "automatic")
            self.editor = text
            if field.kind == "text" and not field.optional:
                # a formula needs the whole width
                self._line.addStretch(1)
                column.addWidget(text)
                return
        self._line.addWidget(self.editor, 1)
        if field.kind == "path":
            button = QToolButton(self)
            button.setIcon(icons.icon("open"))
            button.setToolTip("Choose a file")
            button.setAccessibleName("Choose a file")
            button.clicked.connect(self._choose_file)
            self._line.addWidget(button)

    def add_action(self, action: QAction) -> None:
        """A button at the end of the row."""
        button = QToolButton(self)
        button.setDefaultAction(action)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        button.setAccessibleName(action.text())
        self._line.addWidget(button)

    def _build_number(self) -> None:
        number = NumberField(self.field, self)
        number.committed.connect(self._typed)
        number.complained.connect(self.explain)
        self.editor = number
        if self.field.slider is None:
            self._line.addWidget(number, 1)
            return
        self.slider = SlimSlider(self.field, self)
        self.slider.dragged.connect(self._dragged)
        self.slider.settled.connect(self._settled)
        stack = QVBoxLayout()
        stack.setSpacing(0)
        stack.addWidget(number)
        stack.addWidget(self.slider)
        self._line.addLayout(stack, 1)
        self._line.setAlignment(self.label, Qt.AlignmentFlag.AlignTop)
        self.label.setFixedHeight(28)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_width()

    def _share_width(self) -> None:
        """The label's usual width; of a choice whose words would be cut, less, as far as the label has any to spare."""
        usual = max(LABEL - INDENT * self.field.depth, 60)
        if isinstance(self.editor, ChoiceField) and self._line.geometry().width() > 0:
            missing = self.editor.wanted_width() - (self._line.geometry().width() - usual - self._line.spacing())
            least = math.ceil(theme.metrics(13).horizontalAdvance(self.field.label)) + 2
            usual -= min(max(missing, 0), max(usual - least, 0))
        if self.label.width() != usual or self.label.maximumWidth() != usual:
            self.label.setFixedWidth(usual)

    # values

    def set_value(self, value: Any) -> None:
        """Show a value without emitting; a field in which the user is typing keeps its text."""
        editor = self.editor
        if isinstance(editor, TextField):
            editor.set_value(value)
            if self.slider is not None:
                self.slider.set_number(value)
        elif isinstance(editor, ChoiceField):
            editor.set_value(tag_of(value) if self.field.kind == "member" else str(value))
            self._share_width()
        elif isinstance(editor, QCheckBox):
            editor.setChecked(bool(value))
            self.explain("")
        elif isinstance(editor, QLabel):
            editor.setText(_summary(value))

    def explain(self, message: str) -> None:
        """What is expected, below the field; "" takes it away."""
        if message != self.message.text:
            self.message.set_text(message)
            room = QRectF(0, 0, self.width() - INDENT * self.field.depth, 1000)
            needed = theme.metrics(_SMALL).boundingRect(room, int(Qt.TextFlag.TextWordWrap), message)
            self.message.setFixedHeight(min(max(round(needed.height()), 17), MESSAGE))
            self.message.setVisible(bool(message))
            self.updateGeometry()

    def reject(self, message: str) -> None:
        """The entered value is refused for this reason; the old one stays in force."""
        if isinstance(self.editor, TextField):
            self.editor.reject(message)
            place = re.search(r"at character (\d+)", message)
            if place is not None:
                self.editor.setCursorPosition(int(place[1]) - 1)
        else:
            self.explain(message)

    def retire(self) -> None:
        """The row goes: whatever its field loses now is not committed."""
        if isinstance(self.editor, TextField):
            self.editor.retired = True
        self.hide()
        self.deleteLater()

    def _typed(self, value: Any) -> None:
        if self.slider is not None:
            self.slider.set_number(value)
        self.edited.emit(value)

    def _dragged(self, x: float) -> None:
        value = int(x) if self.field.integer else x
        if isinstance(self.editor, TextField) and value != self.editor.value:
            self.editor.setModified(False)
            self.editor.bad = False
            self.editor.set_value(value)
            self.previewed.emit(value)

    def _settled(self, x: float) -> None:
        self._dragged(x)
        if isinstance(self.editor, TextField):
            self.edited.emit(self.editor.value)

    def _read_text(self, text: str) -> tuple[Any, str]:
        kind = self.field.kind
        parts = [part.strip() for part in text.split(";" if ";" in text else ",") if part.strip()]
        if kind == "numbers":
            if not parts:
                return (None, "") if self.field.optional else ((), "")
            found = [parse_number(part) for part in parts]
            whole = not self.field.integer or all(x is not None and x == int(x) for x in found)
            if any(x is None and is_too_large(part) for x, part in zip(found, parts, strict=True)):
                return None, f"too large, expected {self.field.expected}"
            if not whole or any(x is None or not self.field.contains(x) for x in found):
                return None, f"expected {self.field.expected}"
            return tuple(int(x) if self.field.integer else float(x) for x in found if x is not None), ""
        if kind == "texts":
            return tuple(parts), ""
        return (None if self.field.optional and not text.strip() else text.strip()), ""

    def _text_of(self, value: Any) -> str:
        if value is None:
            return ""
        if self.field.kind == "numbers":
            return ", ".join(plain_number(x, self.field.integer) for x in value)
        return ", ".join(value) if self.field.kind == "texts" else str(value)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose a file", "", "Tables (*.csv *.tsv *.txt);;All files (*)")
        if path and isinstance(self.editor, TextField):
            self.editor.set_value(path)
            self.edited.emit(path)

    def _tip(self) -> None:
        field = self.field
        ranged = f"{field.range_text} {field.unit}".strip()
        tip = "\n".join(part for part in (field.help, ranged) if part)
        for widget in (self.label, self.editor):
            widget.setToolTip(tip or (field.label if widget is self.label else ""))


def _summary(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{len(value)} entries"
    return str(value)


class NoteRow(QWidget):
    """A verdict below a field: check or cross, what holds, and why."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field
        self.setFixedHeight(20)
        self.setToolTip(f"{field.label}: {'yes' if field.optional else 'no'}, {field.help}")
        self.setAccessibleName(self.toolTip())
        theme.changed.connect(self.update)

    def set_value(self, value: Any) -> None:
        """What it says stands in the field itself."""

    def retire(self) -> None:
        self.hide()
        self.deleteLater()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = theme.current()
        good = self.field.optional
        icons.draw(painter, "check" if good else "cross", QRectF(1, 3, 14, 14), colours.good if good else colours.bad)
        painter.setFont(theme.font(12, theme.MEDIUM))
        painter.setPen(theme.color("text"))
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect().adjusted(22, 0, 0, 0), middle | Qt.AlignmentFlag.AlignLeft, self.field.label)
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text3"))
        left = 22 + theme.metrics(12, theme.MEDIUM).horizontalAdvance(self.field.label) + 10
        room = self.width() - left
        fits = theme.metrics(12).horizontalAdvance(self.field.help) <= room
        said = self.field.help if fits else words.consequence(self.field.label, good)
        painter.drawText(QRectF(left, 0, room, self.height()), middle | Qt.AlignmentFlag.AlignRight, said)
        painter.end()


class ElidedLabel(QWidget):
    """A label that never asks for more room: too long for its width it takes two smaller lines, where it is high enough
    for them, and is else elided; the whole text is its tooltip."""

    def __init__(self, text: str, parent: QWidget | None = None, px: int = 13, role: str = "text2") -> None:
        super().__init__(parent)
        self.text = ""
        self._px = px
        self._role = role
        self.set_text(text)
        theme.changed.connect(self.update)

    def set_text(self, text: str) -> None:
        """Replace the text."""
        self.text = text
        self.setAccessibleName(text)
        self.setToolTip(text)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(60, self._px + 5)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        font = theme.font(self._px)
        painter.setFont(font)
        painter.setPen(theme.color(self._role))
        place = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        if self.wraps:
            painter.setFont(theme.font(_SMALL))
            painter.drawText(self.rect().adjusted(0, -2, 0, 2), place | Qt.TextFlag.TextWordWrap, self.text)
        else:
            shown = theme.metrics(self._px).elidedText(self.text, Qt.TextElideMode.ElideRight, self.width())
            painter.drawText(self.rect(), place, shown)
        painter.end()

    @property
    def wraps(self) -> bool:
        """Whether it is written in two lines."""
        if theme.metrics(self._px).horizontalAdvance(self.text) <= self.width():
            return False
        room = QRectF(0, 0, self.width(), 1000)
        needed = theme.metrics(_SMALL).boundingRect(room, int(Qt.TextFlag.TextWordWrap), self.text)
        return needed.height() <= self.height() + 4 and needed.width() <= self.width()


class SectionHead(QWidget):
    """The head of a section: a chevron and its name; toggled(open) on a click or Space."""

    toggled = Signal(bool)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.open = True
        self.setFixedHeight(30)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(title)
        theme.changed.connect(self.update)

    def toggle(self) -> None:
        """Open or close."""
        self.open = not self.open
        self.update()
        self.toggled.emit(self.open)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.toggle()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return):
            self.toggle()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QEvent) -> None:
        self.update()

    def focusOutEvent(self, event: QEvent) -> None:
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = theme.current()
        icons.draw(painter, "chevron" if self.open else "chevron-right", QRectF(0, 8, 14, 14), colours.text2)
        painter.setFont(theme.font(13, theme.BOLD))
        painter.setPen(theme.color("accent" if self.hasFocus() else "text"))
        painter.drawText(self.rect().adjusted(20, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.title)
        painter.end()


class Section(QWidget):
    """A collapsible group of rows, with a line above every one but the first."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.line_above = True
        self.head = SectionHead(title, self)
        self.content = QWidget(self)
        self.rows = QVBoxLayout(self.content)
        self.rows.setContentsMargins(18, 2, 0, 4)
        self.rows.setSpacing(6)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 6, 0, 4)
        outer.setSpacing(0)
        outer.addWidget(self.head)
        outer.addWidget(self.content)
        self.head.toggled.connect(self.content.setVisible)
        theme.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.line_above:
            painter = QPainter(self)
            painter.fillRect(0, 1, self.width(), 1, theme.color("border"))
            painter.end()
