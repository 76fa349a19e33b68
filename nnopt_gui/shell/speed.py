"""The speed slider: logarithmic from one update per second, its right end as fast as the machine can."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from nnopt_gui.shell.transport import FASTEST, SLOWEST
from nnopt_gui.widgets import theme
from nnopt_gui.widgets.sliders import JumpSlider

#: slider positions: 0 .. FLAT - 1 are speeds, FLAT is flat out
FLAT = 60


def speed_at(position: int) -> float | None:
    """Updates per second at a position, None for flat out; round numbers, two digits."""
    if position >= FLAT:
        return None
    speed = SLOWEST * (FASTEST / SLOWEST) ** (position / (FLAT - 1))
    digits = 1 if speed < 10 else 0
    return round(speed, digits - (0 if speed < 100 else 1))


def position_of(speed: float | None) -> int:
    """The position nearest to a speed."""
    if speed is None:
        return FLAT
    share = math.log(max(speed, SLOWEST) / SLOWEST) / math.log(FASTEST / SLOWEST)
    return min(FLAT - 1, round(share * (FLAT - 1)))


def in_words(speed: float | None) -> str:
    """ "20 updates/s", "flat out"."""
    if speed is None:
        return "flat out"
    number = f"{speed:,.0f}" if speed >= 1000 else f"{speed:g}"
    return f"{number} step{'' if speed == 1 else 's'}/s"


class SpeedSlider(QWidget):
    """Slider and its value in words; emits `changed(speed)` when the user moves it."""

    changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = JumpSlider(Qt.Orientation.Horizontal, self)
        self.slider.wide_end = True
        self.slider.setRange(0, FLAT)
        self.slider.setPageStep(10)
        self.slider.setMinimumWidth(80)
        self.slider.setMaximumWidth(130)
        self.slider.setAccessibleName("Speed")
        self.words = QLabel(self)
        self.words.setFont(theme.font(13))
        self.words.setMinimumWidth(self.words.fontMetrics().horizontalAdvance("1,000 steps/s") + 4)
        self.title = title = QLabel("Speed", self)
        title.setBuddy(self.slider)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(title)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.words)
        self.slider.valueChanged.connect(self._moved)
        self.show_speed(None)

    def show_speed(self, speed: float | None) -> None:
        """Show a speed without emitting."""
        self.slider.blockSignals(True)
        self.slider.setValue(position_of(speed))
        self.slider.blockSignals(False)
        self._say(speed)

    def nudge(self, by: int) -> None:
        """A bit faster or slower (a sixth of a decade, for the keys)."""
        self.slider.setValue(self.slider.value() + by * 4)

    def _moved(self, position: int) -> None:
        speed = speed_at(position)
        self._say(speed)
        self.changed.emit(speed)

    def _say(self, speed: float | None) -> None:
        self.words.setText(in_words(speed))
        self.slider.setToolTip(f"Speed: {in_words(speed)}")
        self.slider.setAccessibleDescription(in_words(speed))
