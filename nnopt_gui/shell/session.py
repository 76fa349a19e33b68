"""Files: what can be opened (experiments, sessions, CSV data), and what is saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from PySide6.QtWidgets import QFileDialog

from nnopt.errors import NnoptError, SpecError
from nnopt.objectives.datasets import Data
from nnopt.runs.experiment import (
    Experiment,
    NetworkProblem,
    Recording,
    default_experiment,
    load,
    load_recording,
    save,
    save_recording,
)
from nnopt.runs.problem import build
from nnopt_gui.shell.plugin_loading import ENDING

if TYPE_CHECKING:
    from nnopt.objectives.datasets import Dataset
    from nnopt_gui.shell.examples import Example
    from nnopt_gui.shell.main_window import MainWindow

DATA_ENDINGS = (".csv", ".tsv", ".txt", ".data", ".dat")
#: examples that a set drawn by hand takes over at most, and those that it begins with where there are none of its kind
TAKEN_OVER = 400
FIRST_EXAMPLES = ((-2.0, -1.0, 0), (-2.0, 1.0, 0), (-1.0, 0.0, 0), (2.0, -1.0, 1), (2.0, 1.0, 1), (1.0, 0.0, 1))
#: larger tables are not read twice
CHECKED_BYTES = 8 * 2**20
_OPEN = ";;".join(
    (
        "All that can be opened (*.json *.csv *.tsv *.txt)",
        "Experiments, sessions (*.json)",
        "Data (*.csv *.tsv *.txt)",
        "All (*)",
    )
)
_DATA = "Data (*.csv *.tsv *.txt *.data *.dat);;All (*)"
_SAVE = "nnopt session (*.json)"
_SAVE_EXPERIMENT = "nnopt experiment (*.json)"


@dataclass(frozen=True)
class Opened:
    """What a file holds: a recording (of length 0: an experiment that has not run yet) and its name."""

    recording: Recording
    title: str


def read(path: str | Path, seed: int | None = None) -> Opened:
    """Whatever `path` is. seed: instead of the file's.

    Raises: NnoptError (SpecError, DataError) that names the file and what is wrong in it.
    """
    file = Path(path)
    if not file.is_file():
        raise SpecError(f"{file}: there is no such file")
    if file.suffix.lower() == ENDING:
        raise SpecError(f"{file}: a Python file is no experiment; as a plug-in it is loaded with --plugin {file}")
    if file.suffix.lower() in DATA_ENDINGS:
        recording = Recording(csv_experiment(file))
    elif _is_session(file):
        recording = load_recording(file)
    else:
        recording = Recording(load(file))
    if seed is not None:
        experiment = msgspec.structs.replace(recording.experiment, seed=seed)
        recording = msgspec.structs.replace(recording, experiment=experiment)
    return Opened(recording, file.name)


def check(opened: Opened) -> None:
    """Build what the experiment needs (data, network), to know now whether that is possible; a large table is left to
    the worker. Raises: NnoptError that says what is wrong."""
    path = getattr(getattr(opened.recording.experiment.problem, "data", None), "path", "")
    if not path or not Path(path).is_file() or Path(path).stat().st_size < CHECKED_BYTES:
        build(opened.recording.experiment)


def csv_experiment(file: Path) -> Experiment:
    """The default network and method on the data of a CSV file; its columns are guessed when it is read."""
    data = Data.registry.get("csv")(path=str(file))
    base = default_experiment()
    assert isinstance(base.problem, NetworkProblem)
    problem = msgspec.structs.replace(base.problem, data=data, loss="auto")
    return msgspec.structs.replace(base, problem=problem)


def taken_over(points: Any, dataset: Dataset | None) -> Any:
    """Examples drawn by hand that begin with those of another data set, where it has two inputs and classes."""
    rows: tuple[tuple[float, float, int], ...] = FIRST_EXAMPLES
    classes = 2
    if dataset is not None and dataset.n and dataset.inputs == 2 and 2 <= len(dataset.classes) <= 10:
        some = np.arange(0, dataset.n, -(-dataset.n // TAKEN_OVER))
        pairs = zip(dataset.X[some].tolist(), dataset.y[some].tolist(), strict=True)
        rows, classes = tuple((x, y, int(label)) for (x, y), label in pairs), len(dataset.classes)
    return msgspec.structs.replace(points, rows=rows, classes=classes)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _is_session(file: Path) -> bool:
    try:
        head = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False  # `load` says what is wrong with it
    return isinstance(head, dict) and head.get("format") == "nnopt-session"


class Session:
    """Opening and saving, with dialogs where a name is needed; whatever goes wrong becomes a notice."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self.title = ""
        self._origin: Any = None  # the problem that the title names, None: whatever is there
        self._cursor: int | None = None  # where a session that is being opened stood
        self._titles: dict[int, tuple[str, Any]] = {}  # title and origin, by the number of the run

    # -------------------------------------------------------------------------------------------------------- opening

    def open(self, path: str | Path) -> bool:
        """Open a file in place of what is shown (undo brings that back); False if it could not be read. A Python file
        is a plug-in: whether to load it is asked."""
        if Path(path).suffix.lower() == ENDING:
            self._window.plugins.offer(path)
            return False
        try:
            opened = read(path)
        except NnoptError as error:
            # what the command line calls `--plugin FILE` is in the menu here
            said = str(error).replace("--plugin FILE", "File, Load plug-in… (or start with --plugin FILE)")
            self._window.controller.model.say("error", said)
            return False
        self.show(opened)
        self._window.preferences.add_recent(str(Path(path).absolute()))
        return True

    def announce(self, opened: Opened | None, seed: int | None) -> None:
        """Before anything runs: the name and the seed of what will (None: the first example) stand in the toolbar."""
        toolbar = self._window.toolbar
        toolbar.show_title(opened.title if opened is not None else toolbar.examples.itemText(0))
        experiment = opened.recording.experiment if opened is not None else default_experiment()
        toolbar.show_seed(experiment.seed if seed is None else seed)

    def show(self, opened: Opened, play: bool | None = None) -> None:
        """Run what was opened; a session stands where it was saved."""
        self._name(opened.title, opened.recording.experiment)
        self._cursor = _whole(opened.recording.view.get("cursor"))
        recording, label = opened.recording, f"opening of {opened.title}"
        play = False if recording.length or recording.interventions else play
        for name, value in recording.view.get("choices", {}).items():
            self._window.controller.model.choose(name, value)
        self._window.controller.editing.open(recording, label, play)

    def start_example(self, example: Example, seed: int | None = None, play: bool | None = None) -> None:
        """Run one of the examples of the toolbar; seed: instead of its own."""
        experiment = example.experiment()
        self._name(example.title, experiment)
        if seed is not None:
            experiment = msgspec.structs.replace(experiment, seed=seed)
        self._window.controller.editing.start(experiment, f"example {example.title}", play)

    def run_changed(self) -> None:
        """Another run is shown: the name of what it came from stands in the toolbar."""
        model = self._window.controller.model
        self.title, self._origin = self._titles.setdefault(model.number, (self.title, self._origin))
        assert model.run is not None
        changed = self._origin is not None and model.run.recording.experiment.problem != self._origin
        self._window.toolbar.show_title(f"{self.title} (changed)" if changed else self.title)

    def frame(self) -> None:
        """Once per frame: a session that was opened goes to the step at which it was saved, once it is computed."""
        controller = self._window.controller
        if self._cursor is not None and controller.idle:
            controller.transport.seek(self._cursor)
            self._cursor = None

    def _name(self, title: str, experiment: Experiment) -> None:
        self.title, self._origin, self._cursor = title, experiment.problem, None

    def complete(self, data: Any) -> Any:
        """A data set that was chosen, ready to be used: of a CSV file its path is asked for (None: no answer), examples
        drawn by hand begin with those that are there."""
        if data.name == "csv" and not data.path:
            path, _ = QFileDialog.getOpenFileName(self._window, "CSV file", self._folder(), _DATA)
            if not path:
                return None
            self._remember(path)
            return msgspec.structs.replace(data, path=path)
        if data.name == "points" and not data.rows:
            run = self._window.controller.model.run
            return taken_over(data, run.problem.dataset if run is not None else None)
        return data

    def ask_open(self) -> None:
        """Ask for a file and open it."""
        path, _ = QFileDialog.getOpenFileName(self._window, "Open", self._folder(), _OPEN)
        if path:
            self._remember(path)
            self.open(path)

    # --------------------------------------------------------------------------------------------------------- saving

    def ask_save(self) -> None:
        """Ask for a name and save the session: experiment and interventions."""
        path = self._ask_name("Save session", "session.json", _SAVE)
        if path:
            self.save(path)

    def ask_save_experiment(self) -> None:
        """Ask for a name and save the experiment in force at the cursor."""
        path = self._ask_name("Save experiment", "experiment.json", _SAVE_EXPERIMENT)
        if path:
            self.save_experiment(path)

    def save(self, path: str | Path) -> bool:
        """Save the session of the run that is shown, with what was chosen in the panels."""
        model = self._window.controller.model
        if model.run is None:
            return False
        recording = msgspec.structs.replace(
            model.run.recording, view={"choices": dict(model.choices), "cursor": model.cursor}
        )
        return self._write(path, "session", lambda: save_recording(recording, path))

    def save_experiment(self, path: str | Path) -> bool:
        """Save the experiment in force at the cursor."""
        experiment = self._window.controller.model.experiment
        return experiment is not None and self._write(path, "experiment", lambda: save(experiment, path))

    def _write(self, path: str | Path, what: str, write: Callable[[], None]) -> bool:
        model = self._window.controller.model
        try:
            write()
        except (NnoptError, OSError) as error:
            model.say("error", f"The {what} could not be saved: {error}")
            return False
        model.say("info", f"The {what} is saved in {path}")
        self._window.preferences.add_recent(str(Path(path).absolute()))
        return True

    def _ask_name(self, title: str, name: str, kinds: str) -> str:
        path, _ = QFileDialog.getSaveFileName(self._window, title, str(Path(self._folder()) / name), kinds)
        if path and not Path(path).suffix:
            path += ".json"
        if path:
            self._remember(path)
        return path

    def _folder(self) -> str:
        return self._window.preferences.text("folder", str(Path.home()))

    def _remember(self, path: str) -> None:
        self._window.preferences.set("folder", str(Path(path).parent))
