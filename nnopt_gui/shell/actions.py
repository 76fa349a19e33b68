"""The one table of everything that can be done: menus, tooltips, the toolbar's buttons, the keys and the F1 sheet come
from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QMenu,
    QWidget,
)

from nnopt_gui.widgets import icons

if TYPE_CHECKING:
    from nnopt_gui.shell.main_window import MainWindow


@dataclass(frozen=True)
class Spec:
    """One thing that can be done. menu: where it stands. tip: what it does, one line, beside the title."""

    id: str
    title: str
    keys: tuple[str, ...]
    menu: str
    do: Callable[[MainWindow], object]
    tip: str = ""
    icon: str = ""
    checkable: bool = False


MENUS = ("File", "Edit", "Run", "View", "Help")

TABLE: tuple[Spec, ...] = (
    Spec("open", "Open…", ("Ctrl+O",), "File", lambda w: w.session.ask_open(),
         "An experiment, a session or a CSV file", "open"),
    Spec("plugin", "Load plug-in…", (), "File", lambda w: w.plugins.ask(),
         "A Python file with methods, functions or data sets of your own; loading it runs its code"),
    Spec("save", "Save session…", ("Ctrl+S",), "File", lambda w: w.session.ask_save(),
         "The experiment and everything you did to the run", "save"),
    Spec("save_experiment", "Save experiment…", ("Ctrl+Shift+S",), "File", lambda w: w.session.ask_save_experiment(),
         "The settings in force at this step, without the run"),
    Spec("export_picture", "Export picture…", ("Ctrl+E",), "File", lambda w: w.exporter.ask_picture(),
         "The maximized panel, or the whole window, as PNG", "export"),
    Spec("export_csv", "Export run as CSV…", (), "File", lambda w: w.exporter.ask_csv(),
         "Every recorded row of the log"),
    Spec("quit", "Quit", ("Ctrl+Q",), "File", lambda w: w.close(), "Close the laboratory"),
    Spec("undo", "Undo", ("Ctrl+Z",), "Edit", lambda w: w.controller.editing.undo(), "Take the last edit back", "undo"),
    Spec("redo", "Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Edit", lambda w: w.controller.editing.redo(),
         "Do it again, with everything that was computed", "redo"),
    Spec("play", "Play", ("Space",), "Run", lambda w: w.controller.transport.toggle(),
         "Train, or play the recorded log on from here", "play"),
    Spec("forward", "One step forward", ("Right",), "Run", lambda w: w.controller.transport.step(1),
         "At the newest step: one more update", "step-forward"),
    Spec("back", "One step back", ("Left",), "Run", lambda w: w.controller.transport.step(-1), "", "step-back"),
    Spec("forward10", "Ten steps forward", ("Shift+Right",), "Run", lambda w: w.controller.transport.step(10),
         "", "fast-forward"),
    Spec("back10", "Ten steps back", ("Shift+Left",), "Run", lambda w: w.controller.transport.step(-10), "", "rewind"),
    Spec("home", "First step", ("Home",), "Run", lambda w: w.controller.transport.home()),
    Spec("end", "Newest step", ("End",), "Run", lambda w: w.controller.transport.end()),
    Spec("best", "Best step", ("Shift+End",), "Run", lambda w: w.controller.transport.best(),
         "The lowest validation loss so far: the state to keep"),
    Spec("reset", "Start again, same weights", ("Shift+R",), "Run", lambda w: w.controller.editing.reset(),
         "From step 0, with the settings of this step", "reset"),
    Spec("reseed", "Start again, other weights", ("R",), "Run", lambda w: w.controller.editing.reseed(),
         "Other initial weights, the same examples", "dice"),
    Spec("redraw", "Start again, other data", ("D",), "Run", lambda w: w.controller.editing.redraw(),
         "Other examples, and others of them held out; the seed of the weights stays", "dice"),
    Spec("faster", "Faster", ("+", "="), "Run", lambda w: w.toolbar.speed.nudge(+1)),
    Spec("slower", "Slower", ("-",), "Run", lambda w: w.toolbar.speed.nudge(-1)),
    Spec("restore", "Show all panels", ("Esc",), "View", lambda w: w.docks.restore(),
         "Back from the maximized panel", "restore"),
    Spec("settings", "Settings", ("0",), "View", lambda w: w.docks.toggle_settings(),
         "Show or hide the settings", checkable=True),
    Spec("layout", "Default layout", (), "View", lambda w: w.docks.arrange(), "Every panel back to its place"),
    Spec("light", "Light", (), "View", lambda w: w.controller.model.set_theme("light"),
         "Light colours", checkable=True),
    Spec("dark", "Dark", (), "View", lambda w: w.controller.model.set_theme("dark"),
         "Dark colours", checkable=True),
    Spec("system", "As the system", (), "View", lambda w: w.controller.model.set_theme("system"),
         "Light or dark as the desktop is", checkable=True),
    Spec("fullscreen", "Full screen", ("F11",), "View", lambda w: w.toggle_full_screen(), "", "", True),
    Spec("keys", "Keys", ("F1",), "Help", lambda w: w.show_keys(), "All keys and gestures"),
)  # fmt: skip


def panel_spec(number: int, title: str) -> Spec:
    """The key of a panel: once to go there, once more to maximize it."""
    tip = "Go there; again: maximize"
    return Spec(
        f"panel{number}", title, (str(number),), "View", lambda w: w.docks.activate(number), tip, checkable=True
    )


#: what is done with the mouse, for the F1 sheet
GESTURES: tuple[tuple[str, str], ...] = (
    ("Drag the blue point", "move the parameters; the run goes on from there"),
    ("Click the landscape", "start there"),
    ("Click, drag, Delete in the boundary", "add, move, remove an example"),
    ("Drag the time line", "any step of the run"),
    ("Wheel, drag in a plot", "zoom, move; double-click: all of it"),
    ("Drag or double-click a title", "move or maximize a panel"),
    ("Drop a file on the window", "open it"),
)


def build(window: MainWindow, specs: tuple[Spec, ...]) -> dict[str, QAction]:
    """The QActions of the table, by id; their keys work in the window and in panels that float beside it."""
    actions = {}
    for spec in specs:
        action = QAction(spec.title, window)
        action.setObjectName(spec.id)
        action.setShortcuts([QKeySequence(key) for key in spec.keys])
        action.setShortcutContext(Qt.ShortcutContext.ApplicationShortcut)
        action.setToolTip(tool_tip(spec))
        action.setStatusTip(spec.tip)
        action.setCheckable(spec.checkable)
        if spec.icon:
            action.setIcon(icons.icon(spec.icon))
        action.triggered.connect(lambda _checked=False, spec=spec: spec.do(window))
        window.addAction(action)
        actions[spec.id] = action
    return actions


def tool_tip(spec: Spec) -> str:
    """Title, what it does, and the key."""
    words = f"{spec.title}: {spec.tip[0].lower()}{spec.tip[1:]}" if spec.tip else spec.title
    return f"{words} ({key_words(spec.keys[0])})" if spec.keys else words


def key_words(key: str) -> str:
    """A key as it is written on this machine's keyboard."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)


class MainMenu(QMenu):
    """The menu of the toolbar: one submenu per part of the table."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.parts = {name: self.addMenu(name) for name in MENUS}
        for part in self.parts.values():
            part.setToolTipsVisible(True)

    def add(self, specs: tuple[Spec, ...], actions: dict[str, QAction]) -> None:
        """More entries, below those that are there already."""
        for name, part in self.parts.items():
            wanted = [actions[spec.id] for spec in specs if spec.menu == name]
            if wanted and not part.isEmpty():
                part.addSeparator()
            part.addActions(wanted)


_MOVES = {Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End}
_MOVES |= {Qt.Key.Key_PageUp, Qt.Key.Key_PageDown}
#: a closed list is gone through with these alone; the others step through the run
_UP_AND_DOWN = {Qt.Key.Key_Up, Qt.Key.Key_Down}


class KeyKeeper(QObject):
    """Keeps the arrow keys for the control that has the focus and moves with them (a slider, a list); everything else
    goes to the table. Text fields keep what they type by themselves."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        app = QApplication.instance()
        assert app is not None
        app.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Claim an arrow key before it becomes a shortcut."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in _MOVES:
            movable = (QAbstractSlider, QAbstractSpinBox, QComboBox, QAbstractItemView)
            if isinstance(watched, QComboBox) and event.key() not in _UP_AND_DOWN:
                return False
            if isinstance(watched, QWidget) and isinstance(watched, movable) and watched.hasFocus():
                event.accept()
                return True
        return False
