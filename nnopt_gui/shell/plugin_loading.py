"""Plug-ins in the window: loading a file is an act of the user, who is told first that it runs the file's code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QMessageBox

from nnopt import plugins
from nnopt.errors import PluginError
from nnopt.settings import Registry
from nnopt_gui.widgets.words import name_words

if TYPE_CHECKING:
    from nnopt_gui.shell.main_window import MainWindow

ENDING = ".py"
_KINDS = "Python (*.py);;All (*)"
_WARNING = (
    "A plug-in is a program. Loading it runs its code, which can do whatever you can do on this computer. "
    "Load only what you trust."
)


class PluginLoader:
    """Asks for a file, warns, loads it, and lets the forms offer what it has registered."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._told: set[str] = set()

    def ask(self) -> None:
        """Ask for a file and load it."""
        folder = self._window.preferences.text("folder", str(Path.home()))
        path, _ = QFileDialog.getOpenFileName(self._window, "Load plug-in", folder, _KINDS)
        if path:
            self._window.preferences.set("folder", str(Path(path).parent))
            self.offer(path)

    def offer(self, path: str | Path) -> None:
        """Load a file if the user wants that, knowing what it means."""
        box = QMessageBox(self._window)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Load plug-in")
        box.setText(f"Run the code in {Path(path).name}?")
        box.setInformativeText(f"{_WARNING}\n\n{path}")
        run = box.addButton("Run and load", QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.exec()
        wanted = box.clickedButton() is run
        box.deleteLater()
        if wanted:
            self.load(path)

    def load(self, path: str | Path) -> bool:
        """Load a file; what it registers can be chosen from then on. Whatever goes wrong becomes a notice."""
        say = self._window.controller.model.say
        try:
            plugin = plugins.load_file(path)
        except PluginError as error:
            say("error", f"The plug-in is not loaded, everything is as it was. {error}")
            return False
        self._window.settings_card.refresh()
        say("info", f"{Path(path).name} is loaded: {', '.join(_in_words(*added) for added in plugin.added)}")
        return True

    def report(self) -> None:
        """Say, once, which plug-ins of installed packages could not be loaded."""
        untold = [text for text in plugins.warnings() if text not in self._told]
        if untold:
            self._told.update(untold)
            self._window.controller.model.say("warning", "\n".join(untold))


def _in_words(kind: str, name: str) -> str:
    classes = {registry.kind: registry.registered for registry in Registry.every}
    return f"{kind} {name_words(name, classes.get(kind, {}).get(name))}"
