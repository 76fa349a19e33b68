"""Where the shipped files are (example data, fonts, icons, lessons): one look-up for a checkout and for a wheel."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from nnopt.errors import NnoptError


def asset(*parts: str) -> Traversable:
    """The shipped file or folder `resources/<parts>`.

    In a wheel the folder lies inside the package (`nnopt/_resources`), in a checkout beside it.
    Raises: NnoptError if the installation is incomplete.

    >>> asset("data", "iris.csv").read_text(encoding="utf-8").splitlines()[0]
    'sepal_length,sepal_width,petal_length,petal_width,species'
    """
    package = files("nnopt")
    for root in (package.joinpath("_resources"), package.joinpath("..", "resources")):
        found = root.joinpath(*parts)
        if found.is_file() or found.is_dir():
            return found
    raise NnoptError(f"the installation has no resource {'/'.join(parts)!r}: reinstall nnopt")
