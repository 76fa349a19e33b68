"""Pictures of the window or of a panel, and the log of a run as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog, QWidget

from nnopt.errors import NnoptError
from nnopt.runs.export import save_history
from nnopt_gui.widgets.numbers import integer

if TYPE_CHECKING:
    from nnopt_gui.panels.base import Panel
    from nnopt_gui.shell.main_window import MainWindow


def picture_of(widget: QWidget) -> QImage:
    """What the widget shows now."""
    return widget.grab().toImage()


class Exporter:
    """Asks where to, writes, says that it did."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def ask_picture(self, panel: Panel | None = None) -> None:
        """A picture of a panel; of the maximized one, or of the whole window, when none is named."""
        if panel is None and self._window.docks.maximized is not None:
            panel = self._window.docks.maximized.card  # type: ignore[assignment]
        name = f"nnopt-{panel.id}.png" if panel is not None else "nnopt.png"
        path = self._ask("Export picture", name, "Picture (*.png)", ".png")
        if path:
            self.picture(path, panel)

    def picture(self, path: str, panel: Panel | None = None) -> bool:
        """Write the picture."""
        image = picture_of(self._window) if panel is None else panel.export_image()
        if image.save(path):
            self._window.controller.model.say("info", f"The picture is saved in {path}")
            return True
        self._window.controller.model.say("error", f"The picture could not be written to {path}")
        return False

    def ask_csv(self) -> None:
        """The log of the run that is shown."""
        path = self._ask("Export run", "run.csv", "CSV (*.csv)", ".csv")
        if path:
            self.csv(path)

    def csv(self, path: str) -> bool:
        """Write the log: every stored row, one column per quantity."""
        model = self._window.controller.model
        history = model.history
        if history is None:
            return False
        try:
            save_history(history, path)
        except NnoptError as error:
            model.say("error", f"The run could not be written: {error}")
            return False
        model.say("info", f"{integer(len(history.columns['step']))} rows are saved in {path}")
        return True

    def _ask(self, title: str, name: str, kinds: str, ending: str) -> str:
        preferences = self._window.preferences
        folder = Path(preferences.text("folder", str(Path.home())))
        path, _ = QFileDialog.getSaveFileName(self._window, title, str(folder / name), kinds)
        if path:
            path = path if Path(path).suffix else path + ending
            preferences.set("folder", str(Path(path).parent))
        return path
