"""Data from CSV files: which column is predicted, which ones are inputs, and how they become numbers.

Everything that is guessed, dropped or converted stands in the Dataset's `notes`. `iris.csv`, shipped in resources/data,
is Fisher's table (R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7, 1936;
data of E. Anderson) as in R and scikit-learn, with samples 35 and 38 as in the paper: the copy in the UCI repository
has errors there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib.resources import as_file
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import numpy.typing as npt

from nnopt.assets import asset
from nnopt.errors import DataError, SettingsError
from nnopt.objectives.csv_table import MAX_LEVELS, Column, Table, read_table, shown
from nnopt.objectives.datasets import Array, Dataset, DataSettings, Task, register
from nnopt.settings import described

#: a text input with more different texts than this is left out (one column per text would be made)
MAX_ONE_HOT = 20
#: whole numbers with at most so many different values are taken as classes
MAX_NUMBER_CLASSES = 10

#: values that differ by less than this fraction of their size are the same
ROUNDING = 1e-12

_TARGET_NAMES = ("class", "label", "target", "species", "outcome", "y")
_INDEX_NAMES = ("id", "index", "unnamed: 0", "row", "nr", "no", "unnamed 1")

Choice = Literal["auto", "yes", "no"]
Delimiter = Literal["auto", ",", ";", "tab", "|", "space"]
Missing = Literal["drop", "impute"]
TaskChoice = Literal["auto", "classification", "regression"]


def read_csv(
    path: str | Path,
    target: str | None = None,
    inputs: tuple[str, ...] = (),
    *,
    standardize: bool = True,
    missing: Missing = "drop",
    task: TaskChoice = "auto",
    delimiter: Delimiter = "auto",
    header: Choice = "auto",
) -> Dataset:
    """The data set in a CSV file.

    target: name of the column to predict; None: one called class, label, target, species, outcome or y, else the last.
    inputs: names of the input columns; (): all others that can be used. standardize: inputs (and a regression target)
    to mean 0 and standard deviation 1 over all rows; columns made from texts stay 0 and 1. missing: rows with missing
    inputs are dropped, or their gaps filled with the column's mean (texts: the most frequent one); rows without a
    target are always dropped. task: "auto" takes texts and at most 10 different whole numbers as classes. delimiter,
    header: as `read_table`.

    Text inputs become one column per text (two texts: one column), up to 20 texts. Raises: DataError naming file, line
    and column; SettingsError for a choice that does not exist.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "sleep.csv")
    ...     _ = file.write_text("hours,coffee,asleep\\n1,tea,no\\n3,none,yes\\n2,none,yes\\n")
    ...     data = read_csv(file, standardize=False)
    >>> data.target, data.classes, data.features, data.X.tolist(), data.y.tolist()
    ('asleep', ('no', 'yes'), ('hours', 'coffee=tea'), [[1.0, 1.0], [3.0, 0.0], [2.0, 0.0]], [0, 1, 1])
    >>> data.notes[0]
    "target: 'asleep' (the last usable column)"
    """
    for name, choice, known in (
        ("missing", missing, Missing), ("task", task, TaskChoice), ("header", header, Choice),
        ("delimiter", delimiter, Delimiter),
    ):  # fmt: skip
        if choice not in get_args(known):
            raise SettingsError(f"read_csv: {name}: expected one of {', '.join(get_args(known))}, got {choice!r}")
    table = read_table(path, delimiter, header)
    notes = list(table.notes)
    goal = _target(table, target, inputs, notes)
    given = _known(goal)
    if not given.all():
        notes.append(f"{_rows(int((~given).sum()))} without a value of {goal.name!r} dropped")
        columns = tuple(column.where(given) for column in table.columns)
        goal, table = goal.where(given), replace(table, columns=columns, rows=int(given.sum()))
    chosen = _inputs(table, goal, inputs, notes)
    if missing == "drop":
        goal, chosen = _complete(table, goal, chosen, notes)
    kind = _task(goal, task, notes, table)
    features: list[str] = []
    parts: list[npt.NDArray[np.float64]] = []
    standard: list[bool] = []
    for column in chosen:
        for name, values in _as_numbers(column, notes):
            features.append(name)
            parts.append(values)
            standard.append(column.numbers is not None)
    X = np.empty((len(_known(goal)), len(parts)))
    shift, scale = np.zeros(len(parts)), np.ones(len(parts))
    for j, values in enumerate(parts):
        if standardize and standard[j]:
            shift[j], scale[j] = _moments(values)
            if scale[j] == 1.0 and np.ptp(values) < ROUNDING * np.abs(values).max():
                notes.append(f"{features[j]!r} hardly changes ({np.ptp(values):.1g} about {shift[j]:.6g}): not scaled")
        X[:, j] = (values - shift[j]) / scale[j]
    if standardize and any(standard):
        notes.append("inputs are standardized: mean 0, standard deviation 1")
    if kind == "regression":
        y = _numbers(goal)
        centre, spread = _moments(y) if standardize else (0.0, 1.0)
        if standardize:
            notes.append(f"{goal.name!r} is standardized: 0 stands for {centre:.6g}, 1 for {centre + spread:.6g}")
        return Dataset(
            X, (y - centre) / spread, kind, (), tuple(features), goal.name, tuple(notes), shift, scale, centre, spread
        )
    labels, classes = _classes(goal, table)
    return Dataset(X, labels, kind, classes, tuple(features), goal.name, tuple(notes), shift, scale)


def _find(table: Table, name: str) -> Column:
    for column in table.columns:
        if column.name == name:
            return column
    known = ", ".join(repr(column.name) for column in table.columns[:30])
    raise DataError(f"{table.path}: there is no column {name!r} (columns: {known})")


def _target(table: Table, wanted: str | None, inputs: tuple[str, ...], notes: list[str]) -> Column:
    if len(table.columns) < 2:
        raise DataError(f"{table.path}: only one column: at least one input and a target are needed")
    if wanted:
        column = _find(table, wanted)
        if not column.usable:
            raise DataError(f"{table.path}: column {wanted!r} cannot be the target: {_useless(column)}")
        return column
    free = [column for column in table.columns if column.usable and column.name not in inputs]
    named = [column for column in free if column.name.lower() in _TARGET_NAMES]
    if not free:
        raise DataError(f"{table.path}: no column is left that could be the target")
    column = (named or free)[-1]
    notes.append(f"target: {column.name!r} ({'by its name' if named else 'the last usable column'})")
    return column


def _inputs(table: Table, goal: Column, wanted: tuple[str, ...], notes: list[str]) -> list[Column]:
    if wanted:
        columns = [_find(table, name) for name in wanted]
        if goal.name in wanted or len(set(wanted)) < len(wanted):
            raise DataError(f"{table.path}: inputs {list(wanted)}: each column once, and not the target {goal.name!r}")
        for column in columns:
            if reason := _useless(column) or _too_varied(column):
                raise DataError(f"{table.path}: column {column.name!r} cannot be an input: {reason}")
        return columns
    columns = []
    for column in table.columns:
        if column.name != goal.name:
            reason = _useless(column) or _too_varied(column) or _carries_nothing(column)
            if reason:
                notes.append(f"{column.name!r} is left out: {reason}")
            else:
                columns.append(column)
    if not columns:
        raise DataError(f"{table.path}: no column is left as input ({'; '.join(notes)})")
    notes.append("inputs: " + ", ".join(repr(column.name) for column in columns))
    return columns


def _useless(column: Column) -> str:
    if column.usable:
        return ""
    return f"more than {MAX_LEVELS} different texts" if column.known is None else "all of its cells are empty"


def _too_varied(column: Column) -> str:
    many = len(column.levels) > MAX_ONE_HOT
    return f"{len(column.levels)} different texts, more than the {MAX_ONE_HOT} that become inputs" if many else ""


def _carries_nothing(column: Column) -> str:
    if column.numbers is None:
        return "all of its cells are the same" if len(column.levels) == 1 else ""
    if np.nanmin(column.numbers) == np.nanmax(column.numbers):
        return "all of its cells are the same"
    counts_rows = column.name.lower() in _INDEX_NAMES and bool((np.diff(column.numbers) == 1).all())
    return "it counts the rows" if counts_rows else ""


def _complete(table: Table, goal: Column, chosen: list[Column], notes: list[str]) -> tuple[Column, list[Column]]:
    """Target and inputs of the rows in which nothing is missing."""
    keep = np.logical_and.reduce([_known(column) for column in chosen])
    if keep.all():
        return goal, chosen
    if not keep.any():
        raise DataError(f'{table.path}: every row has a missing value; missing="impute" fills the gaps instead')
    notes.append(f"{_rows(int((~keep).sum()))} with missing values dropped")
    return goal.where(keep), [column.where(keep) for column in chosen]


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count > 1 else ''}"


def _task(goal: Column, wanted: TaskChoice, notes: list[str], table: Table) -> Task:
    if goal.numbers is None:
        if wanted == "regression":
            raise DataError(f"{table.path}: column {goal.name!r} holds texts: regression needs numbers")
        return "classification"
    if wanted != "auto":
        return wanted
    given = goal.numbers
    some = np.unique(given[:1000])
    few = len(some) <= MAX_NUMBER_CLASSES and len(np.unique(given)) <= MAX_NUMBER_CLASSES
    if few and bool((given == np.round(given)).all()):
        notes.append(f"{goal.name!r} holds a few whole numbers: taken as classes")
        return "classification"
    return "regression"


def _classes(goal: Column, table: Table) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    if goal.numbers is not None:
        found, labels = np.unique(goal.numbers, return_inverse=True)
        names = tuple(f"{value:.12g}" for value in found)
    else:
        names = tuple(sorted(goal.levels))
        labels = np.array([names.index(text) for text in goal.levels])[_codes(goal)]
    if not 2 <= len(names) <= MAX_LEVELS:
        count = f"{len(names)} different values" if len(names) > 1 else f"only one class, {names[0]!r}"
        raise DataError(f"{table.path}: target {goal.name!r} has {count}: expected 2 to {MAX_LEVELS} classes")
    return labels.astype(np.int64), names


def _as_numbers(column: Column, notes: list[str]) -> list[tuple[str, Array]]:
    """[(name, values)]: one entry for numbers, one per text for texts; gaps are filled."""
    if column.numbers is not None:
        values = column.numbers.copy()
        gaps = np.isnan(values)
        if gaps.any():
            values[gaps] = _moments(values[~gaps])[0]
            notes.append(f"{column.name!r}: {_rows(int(gaps.sum()))} filled with the mean, {values[gaps][0]:.6g}")
        return [(column.name, values)]
    codes = _codes(column).copy()
    gaps = codes < 0
    if gaps.any():
        codes[gaps] = np.bincount(codes[~gaps]).argmax()
        text = column.levels[codes[gaps][0]]
        notes.append(f"{column.name!r}: {_rows(int(gaps.sum()))} filled with the most frequent text, {text!r}")
    levels = sorted(column.levels)
    shown = levels[1:] if len(levels) == 2 else levels
    notes.append(
        f"{column.name!r} holds texts: " + ", ".join(f"{text!r}" for text in shown) + " became inputs of 0 and 1"
    )
    return [(f"{column.name}={text}", (codes == column.levels.index(text)).astype(np.float64)) for text in shown]


def _moments(values: Array) -> tuple[float, float]:
    """(mean, standard deviation, or 1 where the values are all the same but for rounding)."""
    centre, spread = float(values.mean()), float(values.std())
    return centre, spread if spread > ROUNDING * float(np.abs(values).max()) else 1.0


def _known(column: Column) -> npt.NDArray[np.bool_]:
    known = column.known
    assert known is not None
    return known


def _numbers(column: Column) -> Array:
    assert column.numbers is not None
    return column.numbers


def _codes(column: Column) -> npt.NDArray[np.int32]:
    assert column.codes is not None
    return column.codes


@register
class Csv(DataSettings, frozen=True, tag="csv"):
    """Any CSV file. What is left open is guessed, and the guesses are shown; see `read_csv`.

    >>> Csv(path="missing.csv").make(seed=0)
    Traceback (most recent call last):
        ...
    nnopt.errors.DataError: missing.csv: No such file or directory
    """

    path: Annotated[str, described("file", help="a CSV file")] = ""
    target: Annotated[str | None, described("target", help="the column to predict; empty: guessed")] = None
    inputs: Annotated[tuple[str, ...], described("inputs", help="the columns to learn from; empty: all others")] = ()
    standardize: Annotated[bool, described("standardize", help="inputs to mean 0, standard deviation 1")] = True
    missing: Annotated[Missing, described("missing values", help="drop the rows or fill the gaps")] = "drop"
    task: Annotated[TaskChoice, described("task")] = "auto"
    delimiter: Annotated[Delimiter, described("delimiter")] = "auto"
    header: Annotated[Choice, described("header line")] = "auto"

    title = "CSV file"
    source = "your file"

    def make(self, seed: int) -> Dataset:
        """The file's rows in their order; the seed plays no part. Read again only when the file has changed."""
        if not self.path:
            raise DataError("no CSV file is chosen")
        try:
            path = Path(self.path).expanduser()
            status = path.stat()
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(f"{shown(self.path)}: {getattr(error, 'strerror', None) or error}") from None
        return _read_once(self, path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read_once(settings: Csv, path: Path, modified: int, size: int) -> Dataset:
    return read_csv(
        path,
        settings.target,
        settings.inputs,
        standardize=settings.standardize,
        missing=settings.missing,
        task=settings.task,
        delimiter=settings.delimiter,
        header=settings.header,
    )


@register
class Iris(DataSettings, frozen=True, tag="iris"):
    """Fisher's irises: 150 flowers of three species, four measurements in cm (Fisher 1936).

    >>> iris = Iris().make(seed=0)
    >>> iris.X.shape, iris.classes, iris.original(iris.X)[0].round(6)
    ((150, 4), ('setosa', 'versicolor', 'virginica'), array([5.1, 3.5, 1.4, 0.2]))
    """

    inputs: Annotated[tuple[str, ...], described("inputs", help="the measurements to learn from; empty: all four")] = ()
    standardize: Annotated[bool, described("standardize", help="inputs to mean 0, standard deviation 1")] = True

    title = "Iris"
    source = "Fisher (1936)"

    def make(self, seed: int) -> Dataset:
        """The 150 flowers in their usual order; the seed plays no part."""
        return _iris(self.inputs, self.standardize)


@lru_cache(maxsize=4)
def _iris(inputs: tuple[str, ...], standardize: bool) -> Dataset:
    with as_file(asset("data", "iris.csv")) as path:
        return read_csv(path, "species", inputs, standardize=standardize)
