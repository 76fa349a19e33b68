"""Files that are replaced whole or not at all: what is written stands beside them until it is complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nnopt.errors import SpecError


def target_of(path: str | os.PathLike[str]) -> Path:
    """The file that a path names, links followed.

    Raises: SpecError for a folder and for what is no regular file (a device, a pipe).

    >>> target_of("run.csv").name, target_of("run.csv").is_absolute()
    ('run.csv', True)
    """
    try:
        target = Path(os.path.realpath(path))
        status = target.stat().st_mode if target.exists() else stat.S_IFREG
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError(f"{str(path)[:200]!r}: cannot be written: {reason}") from None
    if not stat.S_ISREG(status):
        what = "it is a folder" if stat.S_ISDIR(status) else "not a regular file"
        raise SpecError(f"{path}: cannot be written: {what}")
    return target


@contextmanager
def replacing(file: str | os.PathLike[str], mode: str) -> Iterator[IO[Any]]:
    """A stream (mode "w" or "wb") whose content takes the place of the file once all of it is written. Of a link, the
    file it points to is replaced.

    Raises: SpecError where it cannot be written; the file is then as it was.

    >>> import contextlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "notes.txt")
    ...     _ = file.write_text("old")
    ...     with contextlib.suppress(ZeroDivisionError), replacing(file, "w") as stream:
    ...         _ = stream.write("half of the new" * (1 // 0))
    ...     file.read_text()
    'old'
    """
    target = target_of(file)
    partial = target.with_name(target.name + ".part")
    options: dict[str, Any] = {} if "b" in mode else {"newline": "", "encoding": "utf-8"}
    try:
        with open(partial, mode, **options) as stream:
            yield stream
        os.replace(partial, target)
    except OSError as error:
        _remove(partial)
        raise SpecError(f"{file}: cannot be written: {error.strerror or error}") from None
    except BaseException:
        _remove(partial)
        raise


def _remove(partial: Path) -> None:
    # where nothing could be written nothing can be removed either
    with suppress(OSError):
        partial.unlink()
