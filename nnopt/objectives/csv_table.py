"""Reading a CSV file into columns: encoding, delimiter, header, decimal sign and missing cells are found out.

`read_table` streams the file in blocks, so that memory stays at the size of the numbers themselves. What the columns
mean (target, inputs) is decided in csv_data.py.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from nnopt.errors import DataError

MISSING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>", "#N/A", "?"})
#: a text column with more different texts than this is not kept
MAX_LEVELS = 100
#: numbers beyond this cannot be squared and averaged, and are typing errors anyway
LARGEST = 1e100
DELIMITERS = {"tab": "\t", ";": ";", "|": "|", ",": ",", "space": " "}

_BLOCK = 4096  # rows; larger blocks leave the processor's cache and are half as fast
_SAMPLE = 65_536
_SAMPLE_ROWS = 200
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive; save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\x93NUMPY", "a numpy array"),
)
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_POINT_NUMBER = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")


@dataclass(frozen=True, eq=False)
class Column:
    """One column. Numbers: `numbers` (N,) float64, NaN where missing. Texts: `codes` (N,) int32 into `levels`, -1 where
    missing; with more than MAX_LEVELS different texts neither is kept and `levels` is empty. position: counted from 1.

    >>> Column("hours", 1, np.array([1.0, np.nan])).known
    array([ True, False])
    """

    name: str
    position: int
    numbers: npt.NDArray[np.float64] | None
    codes: npt.NDArray[np.int32] | None = None
    levels: tuple[str, ...] = ()

    def where(self, rows: npt.NDArray[np.bool_]) -> Column:
        """The column of these rows only, with the texts that occur there."""
        if self.numbers is not None:
            return replace(self, numbers=self.numbers[rows])
        if self.codes is None:
            return self
        codes = self.codes[rows]
        present = np.flatnonzero(np.bincount(codes + 1, minlength=len(self.levels) + 1)[1:])
        renumbered = np.full(len(self.levels) + 1, -1, dtype=np.int32)
        renumbered[present] = np.arange(len(present))
        return replace(self, codes=renumbered[codes], levels=tuple(self.levels[code] for code in present))

    @property
    def usable(self) -> bool:
        """Whether there is anything in it that can be learned from."""
        return self.known is not None and bool(self.known.any())

    @property
    def known(self) -> npt.NDArray[np.bool_] | None:
        """(N,): where a value is given; None for a text column that was not kept."""
        if self.numbers is not None:
            return ~np.isnan(self.numbers)
        return None if self.codes is None else self.codes >= 0


@dataclass(frozen=True, eq=False)
class Table:
    """A file's columns (all of `rows` entries) and what was guessed on the way, one sentence each.

    >>> Table("hours.csv", (Column("hours", 1, np.array([1.0, 2.0])),), 2, ()).columns[0].usable
    True
    """

    path: str
    columns: tuple[Column, ...]
    rows: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Layout:
    delimiter: str
    header: bool
    decimal_comma: bool
    skip: int = 0
    notes: tuple[str, ...] = ()


def read_table(path: str | Path, delimiter: str = "auto", header: str = "auto") -> Table:
    """The columns of a CSV file.

    delimiter: a key of DELIMITERS, any other single sign, or "auto". header: "yes", "no" or "auto".

    A column is one of numbers if most of its cells in the first 4,096 rows are; a cell that is not a number is then an
    error. UTF-8 (with or without BOM), UTF-16 and UTF-32 with BOM are recognized; what is not valid UTF-8 is read as
    Windows-1252 or Latin-1. Quoted fields, blank lines, decimal commas and Excel's "sep=" line are understood.

    Raises: DataError naming file, line and column.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "weights.csv")
    ...     _ = file.write_text("kg;who\\n1,5;a cat\\n;nobody\\n")
    ...     table = read_table(file)
    >>> table.columns[0].numbers, table.columns[1].levels, table.notes
    (array([1.5, nan]), ('a cat', 'nobody'), ("columns are separated by ';'", 'numbers have a decimal comma'))
    """
    head = _head(path)
    bom = next((encoding for mark, encoding in _BOMS if head.startswith(mark)), None)
    if bom is None:
        _refuse_binary(path, head)
    encodings = [bom] if bom else ["utf-8", "cp1252", "latin-1"]
    complete = len(head) < _SAMPLE
    layout = _guess(path, head.decode(encodings[0], errors="replace"), complete, delimiter, header)
    for encoding in encodings:
        try:
            with open(path, encoding=encoding, newline="") as file:
                table = _read(path, file, layout)
        except UnicodeDecodeError as error:
            if encoding == encodings[-1]:
                raise DataError(f"{path}: not valid {encoding} text: {error.reason}") from None
            continue
        if encoding in ("cp1252", "latin-1"):
            note = f"not valid UTF-8: read as {'Windows-1252' if encoding == 'cp1252' else 'Latin-1'}"
            table = Table(table.path, table.columns, table.rows, (note, *table.notes))
        return table
    raise AssertionError("latin-1 decodes everything")


def shown(path: str | Path) -> str:
    """A path as it stands in a message: not longer than can be read, and on one line.

    >>> shown("data.csv"), shown("two\\nlines.csv")
    ('data.csv', "'two\\\\nlines.csv'")
    """
    text = str(path)
    return text if len(text) <= 200 and text.isprintable() else repr(text[:200])


def _head(path: str | Path) -> bytes:
    if not str(path):
        raise DataError("no CSV file is chosen")
    try:
        with open(path, "rb") as file:
            head = file.read(_SAMPLE)
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(path)}: {getattr(error, 'strerror', None) or error}") from None
    if not head.strip():
        raise DataError(f"{path}: the file is empty")
    return head


def _refuse_binary(path: str | Path, head: bytes) -> None:
    known = next((f" (it looks like {what})" for magic, what in _BINARY if head.startswith(magic)), "")
    controls = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\r\f\v\x1a\x1b")
    if known or controls > len(head) // 200:
        raise DataError(f"{path}: not a text file{known}")


def _guess(path: str | Path, sample: str, complete: bool, delimiter: str, header: str) -> _Layout:
    lines = io.StringIO(sample.lstrip("\ufeff"), newline="").readlines()
    if not complete and len(lines) > 1:
        lines.pop()
    declared = re.fullmatch(r"sep=(.)", lines[0].strip()) if lines else None
    skip = 1 if declared else 0
    lines = [line for line in lines[skip:] if line.strip()][:_SAMPLE_ROWS]
    if not lines:
        raise DataError(f"{path}: the file is empty")
    if delimiter != "auto":
        sign = DELIMITERS.get(delimiter, delimiter)
    else:
        sign = declared[1] if declared else _guess_delimiter(lines)
    rows = _sample_rows(lines, sign)
    cells = [cell.strip() for row in rows for cell in row]
    decimal_comma = (
        sign != "," and any(map(_COMMA_NUMBER.fullmatch, cells)) and not any(map(_POINT_NUMBER.fullmatch, cells))
    )
    has_header = _guess_header(rows, decimal_comma) if header == "auto" else header == "yes"
    named = next((name for name, known in DELIMITERS.items() if known == sign), sign)
    notes = [] if sign == "," else [f"columns are separated by {named!r}"]
    if decimal_comma:
        notes.append("numbers have a decimal comma")
    if not has_header:
        notes.append("no header line: columns are named by their position")
    return _Layout(sign, has_header, decimal_comma, skip, tuple(notes))


def _sample_rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The rows of the sample; it ends at a line that cannot be read, which the real reading will meet and report."""
    rows: list[list[str]] = []
    with suppress(csv.Error):
        for row in _reader(lines, delimiter):
            if row:
                rows.append(row)  # noqa: PERF401 - what came before an error must stay
    return rows


def _guess_delimiter(lines: Sequence[str]) -> str:
    """The one that gives most lines the same number of fields, two or more; "," where none does."""
    best, best_share = ",", 0.0
    for delimiter in DELIMITERS.values():
        widths = Counter(len(row) for row in _sample_rows(lines, delimiter))
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        share = count / max(widths.total(), 1)
        if width >= 2 and share > best_share:
            best, best_share = delimiter, share
    return best


def _guess_header(rows: list[list[str]], decimal_comma: bool) -> bool:
    """A first line without a number, above numbers or above texts that never repeat it."""
    if not rows:
        return False
    first, rest = rows[0], rows[1:]
    if any(_is_number(cell, decimal_comma) for cell in first):
        return False
    columns = [[row[j].strip() for row in rest if j < len(row)] for j in range(len(first))]
    if any(
        cell.strip() and _is_number(below[0], decimal_comma)
        for cell, below in zip(first, columns, strict=True)
        if below
    ):
        return True
    return not any(cell.strip() in below for cell, below in zip(first, columns, strict=True))


def _float(cell: str) -> float:
    """The number in a cell. Raises ValueError, also for what only Python takes as a number ("2020_01")."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def _is_number(cell: str, decimal_comma: bool) -> bool:
    try:
        return not np.isnan(_float(cell.replace(",", ".") if decimal_comma else cell))
    except ValueError:
        return False


def _reader(lines: Iterable[str], delimiter: str) -> Any:
    if delimiter == " ":
        lines = (line.strip(" ") for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _read(path: str | Path, file: TextIO, layout: _Layout) -> Table:
    for _ in range(layout.skip):
        file.readline()
    reader = _reader(file, layout.delimiter)
    line = 0
    columns: list[_Growing] = []
    notes: list[str] = list(layout.notes)
    block: list[list[str]] = []
    at: list[int] = []
    total = 0

    def flush() -> None:
        for column, cells in zip(columns, zip(*block, strict=True), strict=True):
            column.extend(cells, at)
        block.clear()
        at.clear()

    try:
        for row in reader:
            line, began = reader.line_num, line + 1
            if not row or (len(row) == 1 and not row[0].strip() and len(columns) != 1):
                continue
            if not columns:
                names = _names(row, notes) if layout.header else [f"column {j + 1}" for j in range(len(row))]
                columns = [_Growing(str(path), name, j + 1, layout) for j, name in enumerate(names)]
                if layout.header:
                    continue
            if len(row) != len(columns):
                row = _trimmed(row, len(columns), f"{path}: line {began + layout.skip}")
            block.append(row)
            at.append(began + layout.skip)
            total += 1
            if len(block) == _BLOCK:
                flush()
    except csv.Error as error:
        hint = " (is a quotation mark never closed?)" if "end of data" in str(error) or "limit" in str(error) else ""
        raise DataError(f"{path}: line {line + 1 + layout.skip}: {error}{hint}") from None
    if not total:
        raise DataError(f"{path}: a header but no rows: nothing to learn from")
    flush()
    return Table(str(path), tuple(column.finished() for column in columns), total, tuple(notes))


def _trimmed(row: list[str], width: int, where: str) -> list[str]:
    if len(row) > width and not any(cell.strip() for cell in row[width:]):
        return row[:width]
    raise DataError(f"{where}: expected {width} columns, got {len(row)}")


def _names(header: list[str], notes: list[str]) -> list[str]:
    names: list[str] = []
    for position, given in enumerate(header, start=1):
        wanted = given.strip() or f"unnamed {position}"
        name, again = wanted, 2
        while name in names:
            name, again = f"{wanted} ({again})", again + 1
        if name != wanted:
            notes.append(f"two columns are called {wanted!r}: column {position} is now {name!r}")
        names.append(name)
    return names


class _Levels(dict[str, int]):
    """Cell -> code, as cells appear; cells that differ in their outer blanks share one."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, int] = {}

    def __missing__(self, cell: str) -> int:
        text = cell.strip()
        code = self[cell] = -1 if text in MISSING else self.texts.setdefault(text, len(self.texts))
        return code


@dataclass
class _Growing:
    """A column while it is being read: undecided, then of numbers or of texts."""

    path: str
    name: str
    position: int
    layout: _Layout
    numbers: list[npt.NDArray[np.float64]] = field(default_factory=list)
    codes: list[npt.NDArray[np.int32]] = field(default_factory=list)
    levels: _Levels = field(default_factory=_Levels)
    kind: str = "undecided"

    def extend(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Take the cells of one block; lines: where each of them stands."""
        if self.kind in ("undecided", "number"):
            self._extend_numbers(cells, lines)
        elif self.kind == "text":
            self._extend_texts(cells)

    def finished(self) -> Column:
        """The column, in one piece."""
        if self.kind in ("undecided", "number"):
            return Column(self.name, self.position, np.concatenate(self.numbers))
        codes = np.concatenate(self.codes) if self.kind == "text" else None
        return Column(self.name, self.position, None, codes, tuple(self.levels.texts) if codes is not None else ())

    def _extend_numbers(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        plain = [cell.replace(",", ".") for cell in cells] if self.layout.decimal_comma else cells
        try:
            if any("_" in cell for cell in plain):
                raise ValueError("Python takes 2020_01 as a number, tables do not")
            block = np.fromiter(map(float, plain), dtype=np.float64, count=len(cells))
        except ValueError:
            block, wrong = _parse(plain)
            numbers = len(cells) - int(np.isnan(block).sum())
            if wrong and self.kind == "undecided" and len(wrong) >= numbers:
                self.kind = "text"
                self.codes = [np.full(len(before), -1, dtype=np.int32) for before in self.numbers]
                self.numbers = []
                self._extend_texts(cells)
                return
            if wrong:
                raise self._wrong(lines[wrong[0]], "expected a number as in the other rows", cells[wrong[0]]) from None
        huge = np.flatnonzero(np.abs(block) > LARGEST)
        if huge.size:
            index = int(huge[0])
            raise self._wrong(lines[index], f"expected a finite number up to {LARGEST:g}", cells[index])
        if self.kind == "undecided" and not np.isnan(block).all():
            self.kind = "number"
        self.numbers.append(block)

    def _extend_texts(self, cells: Sequence[str]) -> None:
        levels = self.levels
        codes = np.fromiter(map(levels.__getitem__, cells), dtype=np.int32, count=len(cells))
        self.codes.append(codes)
        if len(levels.texts) > MAX_LEVELS:
            self.kind = "too many texts"
            self.codes, self.levels = [], _Levels()

    def _wrong(self, line: int, wanted: str, got: str) -> DataError:
        return DataError(f"{self.path}: line {line}, column {self.position} ({self.name!r}): {wanted}, got {got!r}")


def _parse(cells: Sequence[str]) -> tuple[npt.NDArray[np.float64], list[int]]:
    """(numbers with NaN where missing or wrong, indices of the wrong ones)."""
    block = np.full(len(cells), np.nan)
    wrong: list[int] = []
    for index, cell in enumerate(cells):
        try:
            block[index] = _float(cell)
        except ValueError:
            if cell.strip() not in MISSING:
                wrong.append(index)
    return block, wrong
