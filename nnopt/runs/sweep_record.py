"""The record of a sweep: a CSV file that is written as the runs finish, and from which a later start goes on.

One row per run, in one write each: `sweep` (the plan's identity), `index` (the run's number), its settings, and the
fields of its `Result`; an empty cell is "not a number". Rows come in the order in which runs end, and are put in order
once all are there. A failed run is tried again by the next start; its later row counts.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import math
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from nnopt.errors import SpecError
from nnopt.runs.files import replacing, target_of
from nnopt.runs.sweep_plan import RESERVED, Plan
from nnopt.runs.sweep_task import FAILED, OUTCOMES, Result
from nnopt.settings import readable


class Record:
    """The open record of a plan. path: of the CSV file, or None to keep the results in memory only.

    A file that exists is gone on with: a half-written last line is cut off, and `results` holds what it says. Only one
    process at a time can have a file open (on Windows nobody looks after that).

    Raises: SpecError if the file belongs to another sweep (saying what differs), is no record, is in use, or cannot be
    read or written.

    >>> import tempfile
    >>> from nnopt.runs.experiment import default_experiment
    >>> plan = Plan(default_experiment(), {"lr": [0.1, 0.5]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Record(plan, Path(folder, "sweep.csv")) as record:
    ...         record.add(1, Result("stopped", steps_made=5000))
    ...     with Record(plan, Path(folder, "sweep.csv")) as record:  # a later start goes on
    ...         record.remaining
    [0]
    """

    def __init__(self, plan: Plan, path: str | os.PathLike[str] | None = None) -> None:
        self.plan = plan
        self.path = None if path is None else Path(path)
        self.results: dict[int, Result] = {}
        self.header = (*RESERVED, *plan.names, *Result.__struct_fields__)
        self._file: int | None = None
        self._last = -1
        self._in_order = True
        if self.path is not None:
            with self._errors():
                self._file = self._open(self.path)
            try:
                with self._errors():
                    self._read(self.path)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def remaining(self) -> list[int]:
        """Numbers of the runs still to be made: those without a result, and those that failed."""
        return [
            index
            for index in range(len(self.plan))
            if index not in self.results or self.results[index].outcome == FAILED
        ]

    def add(self, index: int, result: Result) -> None:
        """Write the row of a run: whole, or not at all."""
        if self._file is not None:
            with self._errors():
                self._append(_lines([self._row(index, result)]))
        self._keep(index, result)

    def finish(self) -> None:
        """Put the rows in order, one per run; the file is replaced whole or not at all."""
        if self.path is None or self._file is None or self._in_order:
            return
        self.close()
        with replacing(self.path, "wb") as stream:
            stream.write(self.text().encode())

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def text(self) -> str:
        """The whole table as CSV, rows in the order of the runs."""
        rows = (self._row(index, self.results[index]) for index in sorted(self.results))
        return _lines([self.header, *rows]).decode()

    def _row(self, index: int, result: Result) -> list[Any]:
        numbers = (getattr(result, name) for name in Result.__struct_fields__)
        return [self.plan.identity, index, *self.plan.labels(index), *map(_cell, numbers)]

    # ---- the file

    @contextlib.contextmanager
    def _errors(self) -> Any:
        try:
            yield
        except OSError as error:
            raise SpecError(f"{self.path}: cannot be written: {error.strerror or error}") from None

    def _open(self, path: Path) -> int:
        # a device or pipe would be read without end
        if not target_of(path).parent.is_dir():
            raise SpecError(f"{path}: cannot be written: the folder does not exist")
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        try:
            _lock(file)
        except BlockingIOError:
            os.close(file)
            raise SpecError(f"{path}: another sweep is writing to it") from None
        return file

    def _read(self, path: Path) -> None:
        assert self._file is not None
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        header = _lines([self.header])
        if not whole and header.startswith(data):
            os.ftruncate(self._file, 0)
            self._append(header)
            return
        try:
            rows = csv.reader(io.StringIO(whole.decode("utf-8-sig"), newline=""), strict=True)
            found = tuple(next(rows, ()))
            self._check_header(path, found)
            for row in rows:
                self._take(path, rows.line_num, dict(zip(found, row, strict=False)), len(row))
        except (UnicodeDecodeError, csv.Error) as error:
            raise SpecError(f"{path}: is not the record of a sweep: {error}") from None
        if len(whole) < len(data):
            os.ftruncate(self._file, len(whole))

    def _check_header(self, path: Path, found: tuple[str, ...]) -> None:
        if found == self.header:
            return
        count, results = len(RESERVED), Result.__struct_fields__
        if found[:count] != RESERVED or found[-len(results) :] != results:
            raise SpecError(f"{path}: exists, and is not the record of a sweep; write to another file")
        axes = ", ".join(found[count : -len(results)])
        raise _changed(path, f"its axes are {axes}, and now {', '.join(self.plan.names)}")

    def _take(self, path: Path, line: int, row: Mapping[str, str], cells: int) -> None:
        where = f"{path}: line {line}"
        if cells != len(self.header):
            raise SpecError(f"{where}: expected {len(self.header)} columns, got {cells}")
        self._check_identity(path, row["sweep"])
        text = row["index"]
        if not text.isdecimal() or int(text) >= len(self.plan):
            raise SpecError(f"{where}: index: expected 0 .. {len(self.plan) - 1}, got {text!r}")
        index = int(text)
        if index in self.results and self.results[index].outcome != FAILED:
            raise SpecError(f"{where}: run {index} stands there twice")
        raw: dict[str, Any] = {name: row[name] or "nan" for name in Result.__struct_fields__}
        raw |= {"reason": row["reason"], "best_step": row["best_step"] or None}
        try:
            result = msgspec.convert(raw, Result, strict=False)
        except msgspec.ValidationError as error:
            name = readable(error)[0].removeprefix("$.")
            raise SpecError(f"{where}: {name}: expected a number, got {row[name]!r}") from None
        if result.outcome not in OUTCOMES:
            raise SpecError(f"{where}: outcome: expected one of {', '.join(OUTCOMES)}, got {result.outcome!r}")
        self._keep(index, result)

    def _keep(self, index: int, result: Result) -> None:
        self._in_order = self._in_order and index > self._last
        self._last = index
        self.results[index] = result

    def _check_identity(self, path: Path, found: str) -> None:
        if found == self.plan.identity:
            return
        parts = zip(found.split("-"), self.plan.digests, strict=False)
        names = ("the experiment", "the axes")
        differing = [name for name, (old, new) in zip(names, parts, strict=False) if old != new]
        raise _changed(path, f"{' and '.join(differing) or 'a plug-in'} changed since then")

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        size = os.fstat(self._file).st_size
        if os.write(self._file, data) < len(data):
            os.ftruncate(self._file, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _changed(path: Path, what: str) -> SpecError:
    return SpecError(f"{path}: is the record of another sweep: {what}. Write to another file, or remove this one")


def _cell(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _lock(file: int) -> None:
    """Hold the file until it is closed or the process ends, however it ends. Raises BlockingIOError if another does."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # some file systems have no locks
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
                raise
