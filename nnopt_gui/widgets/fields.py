"""Fields of forms: numbers with a slider, texts, choices. Each keeps the value in force until a valid one is entered.

A field commits on Enter and when the focus leaves it, goes back on Esc, and is marked when what was typed is not valid.
Enter and a choice from an open list give the focus back, so that the keys of the window (Space, the arrows) work again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFontMetricsF, QKeyEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QLineEdit,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from nnopt_gui.widgets import icons, theme
from nnopt_gui.widgets.sliders import JumpSlider
from nnopt_gui.widgets.specs import Field
from nnopt_gui.widgets.typed import is_too_large, nudged, parse_number, plain_number

HEIGHT = 28
_SLIDER_STEPS = 400
_KNOB = 5.5
#: pixels of a combo that its words cannot have
_FRAME = 46


class TextField(QLineEdit):
    """A line of text. `parse(text)` gives (value, "") or (anything, what is expected).

    Signals: committed(value) when a new valid value was entered; complained(message) with "" when all is well again.
    """

    committed = Signal(object)
    complained = Signal(str)

    def __init__(self, field: Field, parse: Callable[[str], tuple[Any, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field
        self.value: Any = None
        self.bad = False
        self.retired = False
        self._parse = parse
        self._format: Callable[[Any], str] = str
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(48)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(field.label)
        self.setAccessibleDescription(" ".join(part for part in (field.help, field.range_text, field.unit) if part))
        self.textEdited.connect(self._edited)
        theme.changed.connect(self.update)

    def set_format(self, text_of: Callable[[Any], str]) -> None:
        """How a value is written."""
        self._format = text_of

    def set_value(self, value: Any) -> None:
        """Put a value in force without emitting; what the user is typing stays."""
        changed = value != self.value
        self.value = value
        if (changed or not self.bad) and not (self.hasFocus() and self.isModified()):
            self._show()

    def _show(self) -> None:
        text = self._format(self.value)
        if text != self.text():
            self.setText(text)
            self.setCursorPosition(0)
        self.setModified(False)
        self._complain("")

    def commit(self) -> None:
        """Take what stands there, or mark it."""
        if self.retired or not self.isModified():
            return
        value, complaint = self._parse(self.text())
        if complaint:
            self._complain(complaint)
            return
        new = value != self.value
        self.value = value
        self.setModified(False)
        self._show()
        if new:
            self.committed.emit(value)

    def reject(self, message: str) -> None:
        """Mark what was entered: it cannot be used, for this reason."""
        self._complain(message)

    def _edited(self, text: str) -> None:
        # a marked field is checked with every key, so that the mark goes as soon as it is right
        if self.bad:
            self._complain(self._parse(text)[1])

    def _complain(self, message: str) -> None:
        if bool(message) != self.bad:
            self.bad = bool(message)
            self.setProperty("bad", self.bad)
            self.style().unpolish(self)
            self.style().polish(self)
        self.complained.emit(message)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key == Qt.Key.Key_Escape and (self.isModified() or self.bad):
            self._show()
            self.selectAll()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.commit()
            if not self.bad:
                self.clearFocus()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.commit()
        super().focusOutEvent(event)
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def suffix(self) -> str:
        """What stands at the right end: the unit, and while typing also the valid range."""
        ranged = self.field.range_text if self.hasFocus() or self.bad else ""
        return " ".join(part for part in (ranged, self.field.unit) if part)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        right = self.width() - 9.0
        if self.bad:
            icons.draw(painter, "cross", QRectF(right - 12, (self.height() - 13) / 2, 13, 13), theme.current().bad)
            right -= 18
        suffix = self.suffix()
        font = theme.font(12)
        metrics = theme.metrics(12)
        used = QFontMetricsF(self.font()).horizontalAdvance(self.text()) + 18
        for words in (suffix, self.field.unit):
            wide = metrics.horizontalAdvance(words)
            if words and wide + used < right:
                painter.setFont(font)
                painter.setPen(theme.color("text3"))
                place = QRectF(right - wide, 0, wide + 1, self.height())
                painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, words)
                break
        painter.end()


class NumberField(TextField):
    """A number of a range; the up and down keys nudge it (ten times as far with Shift or the page keys)."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, self._read, parent)
        self.set_format(lambda x: "" if x is None else plain_number(x, field.integer))
        if field.optional:
            self.setPlaceholderText("automatic")

    def _read(self, text: str) -> tuple[Any, str]:
        expected = f"expected {self.field.expected}"
        unit = self.field.unit
        bare = text.strip().removesuffix(unit) if unit else text
        if not bare.strip() and self.field.optional:
            return None, ""
        x = parse_number(bare)
        if x is None and is_too_large(bare):
            return None, f"too large, {expected}"
        if x is None or not self.field.contains(x) or (self.field.integer and x != int(x)):
            return None, expected
        return (int(x) if self.field.integer else x), ""

    def nudge(self, steps: int) -> None:
        """Move by some steps and commit."""
        value, complaint = self._read(self.text()) if self.isModified() else (self.value, "")
        if complaint or value is None:
            value = self.value
        if value is None:
            return
        x = nudged(float(value), steps, self.field)
        self.setText(plain_number(x, self.field.integer))
        self.setModified(True)
        self.commit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        moves = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1, Qt.Key.Key_PageUp: 10, Qt.Key.Key_PageDown: -10}
        move = moves.get(Qt.Key(event.key()))
        if move is None:
            super().keyPressEvent(event)
            return
        far = event.modifiers() & Qt.KeyboardModifier.ShiftModifier and abs(move) == 1
        self.nudge(move * 10 if far else move)


class SlimSlider(JumpSlider):
    """A slider below a field, linear or logarithmic; dragged(value) while it moves, settled(value) at the end.

    Values are rounded to what a person would type (2 or 3 digits).
    """

    knob = _KNOB

    dragged = Signal(float)
    settled = Signal(float)

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.field = field
        low, high = field.slider or (0.0, 1.0)
        self._low, self._high = low, high
        self.setRange(0, _SLIDER_STEPS)
        self.setSingleStep(4)
        self.setPageStep(40)
        self.setFixedHeight(13)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(f"{field.label}, slider")
        self.valueChanged.connect(self._changed)
        self.sliderReleased.connect(lambda: self.settled.emit(self.number()))

    def number(self) -> float:
        """The value it stands at."""
        share = self.value() / _SLIDER_STEPS
        if self.field.log:
            x = 10 ** (math.log10(self._low) + share * math.log10(self._high / self._low))
            x = float(f"{x:.1e}")
        else:
            x = self._low + share * (self._high - self._low)
            digits = 2 - math.floor(math.log10(self._high - self._low))
            x = round(x, max(digits, 0) if not self.field.integer else 0)
        x = float(round(x)) if self.field.integer else x
        if not self.field.contains(x):
            # an open end: the last value before it
            x = (
                self._high - (self._high - self._low) / 200
                if share > 0.5
                else self._low + (self._high - self._low) / 200
            )
        return x

    def set_number(self, x: float | None) -> None:
        """Show a value (at the end if it lies outside) without emitting."""
        if x is None or self.isSliderDown():
            return
        if self.field.log:
            position = math.log(max(x, self._low) / self._low) / math.log(self._high / self._low)
        else:
            position = (x - self._low) / (self._high - self._low)
        with QSignalBlocker(self):
            self.setValue(round(min(max(position, 0.0), 1.0) * _SLIDER_STEPS))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        y = self.height() / 2 + 0.5
        x = _KNOB + self.value() / _SLIDER_STEPS * (self.width() - 2 * _KNOB)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.mix(colours.border, colours.text3, 0.18))
        painter.drawRoundedRect(QRectF(_KNOB - 3, y - 1.5, self.width() - 2 * _KNOB + 6, 3), 1.5, 1.5)
        lit = "accent" if self.isEnabled() else "text3"
        painter.setBrush(theme.brush(lit))
        painter.drawRoundedRect(QRectF(_KNOB - 3, y - 1.5, x - _KNOB + 3, 3), 1.5, 1.5)
        strong = self.hasFocus() or self.isSliderDown() or self.underMouse()
        painter.setPen(QPen(theme.color(lit), 1.6))
        painter.setBrush(theme.brush(lit if self.hasFocus() or self.isSliderDown() else "card"))
        radius = _KNOB - (0.8 if strong else 1.3)
        painter.drawEllipse(QPointF(x, y), radius, radius)
        painter.end()

    def _changed(self, _value: int) -> None:
        self.dragged.emit(self.number())
        if not self.isSliderDown():
            self.settled.emit(self.number())

    def wheelEvent(self, event: QWheelEvent) -> None:
        # the wheel scrolls the column of settings
        event.ignore()


class ListBox(QComboBox):
    """A combo that gives the focus back when its list closes: whoever chose with the mouse goes on with the keys of the
    window. Changed by the up and down keys it keeps the focus. The wheel scrolls what it stands in. Words that do not
    fit end in an ellipsis."""

    def hidePopup(self) -> None:
        super().hidePopup()
        self.clearFocus()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        # as the style draws it, but with an ellipsis where the words do not fit
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentText = QFontMetricsF(self.font()).elidedText(  # type: ignore[attr-defined]
            self.currentText() or self.placeholderText(), Qt.TextElideMode.ElideRight, self.width() - _FRAME
        )
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()


class ChoiceField(ListBox):
    """A combo of (value, words); picked(value) when the user chooses another one."""

    picked = Signal(str)

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field
        self._value = ""
        self._options: tuple[tuple[str, str], ...] = ()
        self.set_options(field.options)
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(48)
        self.setMaxVisibleItems(16)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(field.label)
        self.setAccessibleDescription(field.help)
        self.activated.connect(self._activated)

    def set_options(self, options: Iterable[tuple[str, str]]) -> None:
        """Offer these (value, words); the value that is shown stays if it is still among them."""
        options = tuple(options)
        if options == self._options:
            return
        self._options = options
        with QSignalBlocker(self):
            self.clear()
            for value, words in options:
                self.addItem(words, value)
            self.setCurrentIndex(self.findData(self._value))
        self.view().setMinimumWidth(self._widest())

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """Values that cannot be chosen now, and why not; all others can."""
        for index in range(self.count()):
            why = reasons.get(str(self.itemData(index)), "")
            item = self.model().index(index, 0)  # type: ignore[call-overload]
            self.model().setData(item, why or None, Qt.ItemDataRole.ToolTipRole)
            self.model().itemFromIndex(item).setEnabled(not why)  # type: ignore[attr-defined]

    def wanted_width(self) -> int:
        """Pixels in which the words of the choice are not cut."""
        return math.ceil(theme.metrics(13).horizontalAdvance(self.currentText())) + _FRAME

    def _widest(self) -> int:
        metrics = theme.metrics(13)
        return int(max((metrics.horizontalAdvance(w) for _, w in self._options), default=60)) + 44

    def set_value(self, value: str) -> None:
        """Show a value without emitting."""
        self._value = value
        index = self.findData(value)
        if index != self.currentIndex():
            with QSignalBlocker(self):
                self.setCurrentIndex(index)
            self.update()

    def _activated(self, index: int) -> None:
        value = str(self.itemData(index))
        if value != self._value:
            self._value = value
            self.picked.emit(value)

    def minimumSizeHint(self) -> QSize:
        return QSize(48, HEIGHT)
