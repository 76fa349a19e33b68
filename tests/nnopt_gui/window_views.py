"""The whole window with plain panels, and how its tests press keys and find buttons."""

from __future__ import annotations

from laboratory import make_panel
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QToolButton

from nnopt_gui.shell.actions import KeyKeeper
from nnopt_gui.shell.controller import Controller
from nnopt_gui.shell.main_window import MainWindow
from nnopt_gui.state.settings import Preferences

AREAS = [
    ("slice", (0, 0, 1, 1)),
    ("landscape", (0, 1, 1, 1)),
    ("boundary", (1, 0, 1, 1)),
    ("loss", (1, 1, 1, 1)),
    ("step", (2, 0, 1, 2)),
]


def make_window(tmp_path, name: str = "settings.ini") -> MainWindow:
    panels = [make_panel(panel, area, needs_network=panel == "boundary") for panel, area in AREAS]
    window = MainWindow(Controller(), Preferences(tmp_path / name))
    window.add_panels(panels)
    window.keeper = KeyKeeper(window)
    return window


def press(window: MainWindow, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier, at=None) -> None:
    QTest.keyClick(at or window, key, modifier)


def to(qtbot, window: MainWindow, step: int) -> None:
    window.controller.transport.step(step - window.controller.model.head)
    qtbot.waitUntil(lambda: window.controller.model.head == step and window.controller.idle)


def button(window: MainWindow, name: str) -> QToolButton:
    found = window.toolbar.findChild(QToolButton, f"button_{name}")
    assert found is not None
    return found


def panel_action(panel, words: str):
    panel.menu.aboutToShow.emit()
    return next(action for action in panel.menu.actions() if action.text() == words)
