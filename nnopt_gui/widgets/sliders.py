"""A slider as one expects it: its handle jumps to the mouse."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QSlider


class JumpSlider(QSlider):
    """A slider whose handle jumps to the mouse and is dragged on from there.

    knob: half the width of the handle, in pixels. wide_end: whether the last 2 * knob pixels are all its right end.
    """

    knob: float = 7
    wide_end: bool = False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the handle, wherever it is."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self._follow(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag it."""
        if self.isSliderDown():
            self._follow(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let it go."""
        if self.isSliderDown():
            self.setSliderDown(False)

    def _follow(self, x: float) -> None:
        share = min(max((x - self.knob) / max(self.width() - 2 * self.knob, 1), 0.0), 1.0)
        if self.wide_end and x > self.width() - 2 * self.knob:
            share = 1.0
        self.setValue(round(share * self.maximum()))
