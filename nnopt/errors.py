"""Every error that nnopt raises on purpose: what was given, what was expected, and where.

The lowest floor: everything may import it, it imports nothing of ours. Numerical divergence is an outcome of a run
(`history.outcome`), never an exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: as much of a formula as a message shows
_WIDTH = 72


class NnoptError(Exception):
    """Base of all errors raised on purpose; its text can be shown to a user as it is.

    >>> issubclass(SettingsError, NnoptError), issubclass(SettingsError, ValueError), issubclass(ValueError, NnoptError)
    (True, True, False)
    """


class SettingsError(NnoptError, ValueError):
    """A setting has the wrong type or lies outside its range; the text names the field.

    >>> from nnopt.optimizers import SGD
    >>> SGD(lr=-1.0)
    Traceback (most recent call last):
        ...
    nnopt.errors.SettingsError: SGD.lr: expected a number > 0, got -1.0
    """


class FormulaError(SettingsError):
    """A text is not a formula. text: what was given; position: the character (from 0) at which it is wrong; reason;
    where: the setting that holds the text.

    The message ends in the text (the part of it around that character) with a caret below the character.

    >>> from nnopt.objectives import functions
    >>> functions.formula("x + $")
    Traceback (most recent call last):
        ...
    nnopt.errors.FormulaError: UserFormula.text: '$' does not belong in a formula, at character 5
      x + $
          ^
    """

    def __init__(self, text: str, position: int, reason: str, where: str = "formula") -> None:
        self.text = text
        self.position = position
        self.reason = reason
        self.where = where
        shown, place = _excerpt(text, position)
        super().__init__(f"{where}: {reason}, at character {position + 1}\n  {shown}\n  {' ' * place}^")

    def __reduce__(self) -> tuple[type, tuple[str, int, str, str]]:
        return type(self), (self.text, self.position, self.reason, self.where)


class SpecError(NnoptError, ValueError):
    """An experiment or session file is not valid; the text names file and JSON path.

    >>> from nnopt.runs.experiment import loads
    >>> loads('{"steps": 100}', "mine.json")
    Traceback (most recent call last):
        ...
    nnopt.errors.SpecError: mine.json: at $.format: expected 'nnopt-experiment' or 'nnopt-session', got nothing
    """


class DataError(NnoptError, ValueError):
    """A data set cannot be read or used; for files the text names line and column.

    >>> from nnopt.objectives.losses import loss_function
    >>> loss_function("binary_cross_entropy").encode([0, 1, 2], outputs=1)
    Traceback (most recent call last):
        ...
    nnopt.errors.DataError: binary_cross_entropy: expected labels y among 0..1, got 2 at example 2
    """


class ShapeError(NnoptError, ValueError):
    """An array does not have the shape that was expected; the text gives both.

    >>> from nnopt.objectives import functions
    >>> functions.get("saddle").value([1.0])
    Traceback (most recent call last):
        ...
    nnopt.errors.ShapeError: theta: expected shape (2,), got (1,)
    """


class UnknownNameError(NnoptError, LookupError):
    """A registry has nothing by this name; the text lists what it has.

    >>> raise unknown_name("activation", "tan", ["relu", "tanh"])
    Traceback (most recent call last):
        ...
    nnopt.errors.UnknownNameError: unknown activation 'tan'; did you mean 'tanh'? (known: relu, tanh)
    """


class UnsupportedError(NnoptError):
    """What was asked for is not defined here (a curvature method without curvature, say); the text says why.

    >>> from nnopt.objectives.losses import loss_function
    >>> loss_function("squared_error").probabilities([[0.5]])
    Traceback (most recent call last):
        ...
    nnopt.errors.UnsupportedError: squared_error: outputs are predicted values; class probabilities need a cross entropy
    """


class PluginError(NnoptError):
    """A plug-in file cannot be read, raises an error or registers nothing; the text names file and line.

    >>> from nnopt import plugins
    >>> plugins.load_source("mine.py", "x = 1 / 0")
    Traceback (most recent call last):
        ...
    nnopt.errors.PluginError: mine.py: line 1: ZeroDivisionError: division by zero
    """


def no_attribute(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for `name` not being among the `known` names of a module, with the nearest one.

    >>> no_attribute("nnopt", "minimise", ["minimize", "Network"])
    AttributeError("module 'nnopt' has no attribute 'minimise'; did you mean 'minimize'?")
    """
    # Python itself asks for names with underscores, to learn what an object is
    near = [] if name.startswith("_") else difflib.get_close_matches(name, known, n=1)
    return AttributeError(f"module {module!r} has no attribute {name!r}{_hint(near)}")


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for `name` not being among the `known` names of a `kind`: all of them, and the nearest if one is near.

    >>> print(unknown_name("loss", "cross_entrpy", ["squared_error", "cross_entropy"]))
    unknown loss 'cross_entrpy'; did you mean 'cross_entropy'? (known: cross_entropy, squared_error)
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return UnknownNameError(f"unknown {kind} {name!r}{_hint(near)} (known: {', '.join(names)})")


def _hint(near: list[str]) -> str:
    return f"; did you mean {near[0]!r}?" if near else ""


def _excerpt(text: str, position: int) -> tuple[str, int]:
    """The part of a text around a character, on one line, and the place of the character in it."""
    start = max(0, min(position - _WIDTH // 2, len(text) - _WIDTH))
    part = "".join(letter if letter.isprintable() else " " for letter in text[start : start + _WIDTH])
    return part.replace("`", "'"), position - start
