"""Every error that nnopt raises on purpose: what was given, what was expected, and where.

The lowest floor: everything may import it, it imports nothing of ours. Numerical divergence is an outcome of a run
(`history.outcome`), never an exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NnoptError(Exception):
    """Base of all errors raised on purpose; its text can be shown to a user as it is."""


class SettingsError(NnoptError, ValueError):
    """A setting has the wrong type or lies outside its range."""


class SpecError(NnoptError, ValueError):
    """An experiment or session file is not valid; the text names file and JSON path."""


class DataError(NnoptError, ValueError):
    """A data set cannot be read or used; for files the text names line and column."""


class ShapeError(NnoptError, ValueError):
    """An array does not have the shape that was expected."""


class UnknownNameError(NnoptError, LookupError):
    """A registry has nothing by this name; the text lists what it has."""


class UnsupportedError(NnoptError):
    """What was asked for is not defined here (a curvature method without curvature, say); the text says why."""


class PluginError(NnoptError):
    """A plug-in file cannot be read or raises an error; the text names file and line."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for `name` not being among the `known` names of a `kind`, with the nearest ones first."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UnknownNameError(f"unknown {kind} {name!r}{hint} (known: {', '.join(names)})")
