"""A timer for what is worth doing once the hand rests: after the last turn of the wheel, not with each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QTimer


class Rest(QTimer):
    """Calls `slot` when `milliseconds` have gone by since the last `start()`. Lives as long as its parent."""

    def __init__(self, parent: QObject, milliseconds: int, slot: Callable[[], object]) -> None:
        super().__init__(parent)
        self.setSingleShot(True)
        self.setInterval(milliseconds)
        self.timeout.connect(slot)

    def after(self, *signals: Any) -> None:
        """Start anew with each of these signals, whatever they carry."""
        for signal in signals:
            signal.connect(lambda *_: self.start())
