"""Files for other programs: whatever nnopt computes as CSV text or as numpy's NPZ.

The suffix of the file chooses: ".csv" or ".npz". A file is replaced whole or not at all. In CSV an empty cell is "not a
number"; numbers are written so that reading them gives the same bits. NPZ files hold plain arrays only (no pickles).
"""

from __future__ import annotations

import csv
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnopt.errors import ShapeError, SpecError
from nnopt.runs.experiment import Recording, dumps
from nnopt.runs.files import replacing, target_of
from nnopt.runs.history import History
from nnopt.runs.tables import arrays_of, table_of

Array = npt.NDArray[Any]

SUFFIXES = (".csv", ".npz")
#: bytes of parameters written at most; beyond them only those of every 2nd, 4th, ... stored step
MAX_THETAS = 2**30
#: rows of a CSV made at a time
BLOCK = 1024


def save(thing: Any, path: str | os.PathLike[str]) -> None:
    """Write any result: a History (or several), a SweepResult, Restarts, a profile, a spectrum, plateaus, an array ...

    NPZ: everything that it holds, as arrays by name. CSV: a table; see `nnopt.runs.tables.table_of` for what makes one.
    The values of a grid are written with their axes: save({"a": a, "b": b, "loss": values}, path), with
    a, b = landscape.axes(extent, n); in CSV that is a row for each point.

    Raises: SpecError if the file cannot be written or its suffix is neither of both; ShapeError for what is no table,
    or holds no data at all.

    >>> import tempfile
    >>> from nnopt.analysis.plateaus import Plateau
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save([Plateau(3, 40, 0.69, True), Plateau(60, 99, 0.1, False)], Path(folder, "plateaus.csv"))
    ...     Path(folder, "plateaus.csv").read_text().splitlines()
    ['start,stop,level,escaped', '3,40,0.69,True', '60,99,0.1,False']
    """
    file = Path(path)
    kind = _suffix(file)
    histories = [thing] if isinstance(thing, History) else thing
    if isinstance(histories, (list, tuple)) and histories and all(isinstance(one, History) for one in histories):
        save_histories(histories, file)
    elif kind == ".npz":
        arrays = arrays_of(thing)
        if not arrays:
            raise ShapeError(f"{file}: {type(thing).__name__} holds no numbers to be written")
        _write_npz(file, arrays)
    else:
        save_columns(table_of(thing), file)


def save_history(history: History, path: str | os.PathLike[str], *, thetas: bool | None = None) -> None:
    """Write the log of a run, a row per stored step: step, loss, gradient_norm, learning_rate, training_loss,
    validation_loss, step_norm, penalty; in an NPZ each is an array (T,).

    thetas: whether the parameters are written too; None: in NPZ files only. In an NPZ they are `theta` (K, P), those of
    the steps `theta_step` (K,): all stored steps unless that is over a gigabyte. In CSV they are columns theta[0] ..
    theta[P - 1]. An NPZ also holds `outcome` and `reason`, and `recording`: the run as JSON, to do it again (not for a
    history made by `minimize`).

    Raises: SpecError if the file cannot be written or its suffix is neither of both.

    >>> import tempfile, pathlib
    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> from nnopt.runs.minimize import minimize
    >>> history = minimize(functions.get("bowl"), get("sgd")(lr=0.25), start=[2.0], steps=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_history(history, pathlib.Path(folder, "run.npz"))
    ...     arrays = dict(np.load(pathlib.Path(folder, "run.npz")))
    >>> arrays["step"].tolist(), arrays["theta"].shape, str(arrays["outcome"])
    ([0, 1, 2, 3], (4, 1), 'stopped')
    """
    save_histories([history], path, thetas=thetas)


def save_histories(histories: Sequence[History], path: str | os.PathLike[str], *, thetas: bool | None = None) -> None:
    """Write the logs of several methods' runs into one file. With more than one, CSV rows begin with a column `method`
    (0, 1, ...), and the arrays of an NPZ are called "0/step", "1/step" and so on. Otherwise as `save_history`.

    >>> import nnopt, tempfile
    >>> f, sgd = nnopt.functions.get("bowl"), nnopt.optimizers.SGD
    >>> runs = [nnopt.minimize(f, sgd(lr=lr), start=[8.0], steps=1) for lr in (0.5, 0.25)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_histories(runs, Path(folder, "runs.csv"))
    ...     lines = Path(folder, "runs.csv").read_text().splitlines()
    >>> [line.split(",")[:3] for line in lines]
    [['method', 'step', 'loss'], ['0', '0', '32.0'], ['0', '1', '8.0'], ['1', '0', '32.0'], ['1', '1', '18.0']]
    """
    file = Path(path)
    kind = _suffix(file)
    wanted = kind == ".npz" if thetas is None else thetas
    if kind == ".npz":
        several = len(histories) > 1
        _write_npz(file, {
            f"{number}/{name}" if several else name: array
            for number, history in enumerate(histories)
            for name, array in _arrays(history, wanted).items()
        })  # fmt: skip
        return
    _write_csv(file, _header(histories, wanted), _rows(histories, wanted))


def save_columns(columns: Mapping[str, Array], path: str | os.PathLike[str]) -> None:
    """Write a table such as a `SweepResult`: columns of one length, by name.

    Raises: SpecError if the file cannot be written or its suffix is neither ".csv" nor ".npz".

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_columns({"lr": np.array([0.1, 0.2]), "loss": np.array([0.5, np.nan])}, Path(folder, "a.csv"))
    ...     Path(folder, "a.csv").read_text()
    'lr,loss\\n0.1,0.5\\n0.2,\\n'
    """
    file = Path(path)
    if _suffix(file) == ".npz":
        _write_npz(file, columns)
    else:
        names = list(columns)
        _write_csv(file, names, zip(*(columns[name].tolist() for name in names), strict=True))


def _write_npz(file: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays by name."""
    with replacing(file, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def check_target(path: str | os.PathLike[str]) -> Path:
    """The path, if a table could be written there.

    Raises: SpecError for another suffix, a folder that is missing or cannot be written to, or what is no regular file.

    >>> check_target("run.txt")
    Traceback (most recent call last):
    nnopt.errors.SpecError: run.txt: expected a file ending in .csv or .npz
    """
    file = Path(path)
    _suffix(file)
    folder = target_of(file).parent
    if not folder.is_dir():
        raise SpecError(f"{file}: cannot be written: the folder does not exist")
    if not os.access(folder, os.W_OK):
        raise SpecError(f"{file}: cannot be written: the folder is read-only")
    return file


def _suffix(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise SpecError(f"{file}: expected a file ending in {' or '.join(SUFFIXES)}")
    return suffix


def _arrays(history: History, thetas: bool) -> dict[str, Array]:
    columns = history.columns
    arrays = {name: np.array(columns[name]) for name in columns}
    if thetas:
        size = history.seek(0).theta.size
        every = 1
        while 8 * size * -(-len(arrays["step"]) // every) > MAX_THETAS:
            every *= 2
        arrays["theta_step"] = arrays["step"][::every]
        arrays["theta"] = history.thetas(arrays["theta_step"].tolist())
    outcome = history.outcome
    arrays["outcome"], arrays["reason"] = np.array(outcome.kind), np.array(outcome.reason)
    first = history.era_at(0).experiment
    if first is not None:
        arrays["recording"] = np.array(dumps(Recording(first, history.interventions, history.length - 1)))
    return arrays


def _header(histories: Sequence[History], thetas: bool) -> list[str]:
    names = [*(["method"] if len(histories) > 1 else []), *histories[0].columns]
    return [*names, *(f"theta[{place}]" for place in range(histories[0].seek(0).theta.size))] if thetas else names


def _rows(histories: Sequence[History], thetas: bool) -> Iterator[list[Any]]:
    for number, history in enumerate(histories):
        columns = history.columns
        first = [number] if len(histories) > 1 else []
        for start in range(0, len(columns["step"]), BLOCK):
            part = [columns[name][start : start + BLOCK].tolist() for name in columns]
            points = history.thetas(part[0]).tolist() if thetas else [[]] * len(part[0])
            for point, *row in zip(points, *part, strict=True):
                yield [*first, *row, *point]


def _write_csv(file: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with replacing(file, "w") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row])
