"""`nnopt check`: say what a file is, or exactly what is wrong with it and where."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nnopt.cli_words import describe_problem, describe_settings, number_words
from nnopt.errors import NnoptError

if TYPE_CHECKING:
    from nnopt.objectives.datasets import Dataset
    from nnopt.runs.experiment import Recording


def check(options: argparse.Namespace) -> int:
    """Carry out `nnopt check`; the exit code. options: file.

    Raises: NnoptError saying what is wrong with the file, and where.

    >>> import tempfile
    >>> from nnopt.runs.experiment import default_experiment, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(default_experiment(), Path(folder, "circles.json"))
    ...     check(argparse.Namespace(file=Path(folder, "circles.json")))
    circles.json: an experiment, valid
      problem: circle (400 examples), network 2-8-1 tanh
      method: sgd(lr=0.5)
      parameters: 33
      seed 42, 5,000 steps
    0
    """
    path = Path(options.file)
    if path.is_dir():
        raise NnoptError(f"{path}: expected a file, this is a folder")
    try:
        with open(path, "rb") as file:
            start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise NnoptError(f"{path}: cannot be read: {error.strerror or error}") from None
    if path.suffix.lower() == ".json" or start.startswith(b"{"):
        from nnopt.runs.experiment import load_recording

        recording = load_recording(path)
        try:
            print(f"{path.name}: {_describe_recording(recording)}")
        except NnoptError as error:
            raise NnoptError(f"{path.name}: {error}") from None
        return 0
    if path.suffix.lower() == ".py":
        raise NnoptError(f"{path}: a Python file; as a plug-in it is loaded, and its code run, with --plugin")
    from nnopt.objectives.csv_data import read_csv

    print(f"{path.name}: {_describe_table(read_csv(path))}")
    return 0


def _describe_recording(recording: Recording) -> str:
    from nnopt.runs.experiment import Method, seed_words
    from nnopt.runs.problem import build, check_recording
    from nnopt.runs.run import stage_of

    experiment = recording.experiment
    check_recording(recording)
    problem = build(experiment)
    for method in range(len(experiment.methods)):
        stage_of(problem, method).init(problem.initial())
    kind = "a session" if recording.length or recording.interventions else "an experiment"
    lines = [f"{kind}, valid", f"  problem: {describe_problem(experiment.problem, problem.dataset)}"]
    usual = Method()
    for chosen in experiment.methods:
        rest = [(chosen.schedule, usual.schedule), (chosen.batches, usual.batches)]
        said = [chosen.optimizer, *(now for now, default in rest if now != default)]
        lines.append(f"  method: {', '.join(map(describe_settings, said))}")
    lines.append(f"  parameters: {problem.size:,}")
    lines.append(f"  {seed_words(experiment)}, {experiment.steps:,} steps")
    if experiment.stop.early is not None:
        patience, least = experiment.stop.early.patience, experiment.stop.early.minimum_improvement
        lines.append(f"  early stopping: patience {patience:,}, minimum improvement {number_words(least)}")
    if kind == "a session":
        lines.append(f"  recorded: {recording.length:,} steps, {len(recording.interventions)} interventions")
    if problem.dataset is not None:
        lines.extend(f"  note: {note}" for note in problem.dataset.notes)
    return "\n".join(lines)


def _describe_table(data: Dataset) -> str:
    what = f"{len(data.classes)} classes ({', '.join(data.classes)})" if data.classes else "regression"
    lines = [f"a CSV table, {data.n:,} usable rows", f"  inputs: {', '.join(data.features)}"]
    lines.append(f"  predicts: {data.target}, {what}")
    lines.extend(f"  note: {note}" for note in data.notes)
    return "\n".join(lines)
