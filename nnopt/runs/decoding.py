"""From JSON text to typed structs, with errors that name file, place, what was expected and what was given."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from nnopt.errors import SettingsError, SpecError, unknown_name
from nnopt.misfits import explain, plain, short
from nnopt.settings import Registry, decode_hook


def parse_json(text: str, where: str) -> Any:
    """Builtins from JSON text.

    Raises: SpecError for malformed JSON, NaN or Infinity, and numbers beyond what can be represented, with line and
    column; for repeated keys and for nesting too deep. where: of the text, such as its file's name.

    >>> parse_json('{"lr": [0.1, NaN]}', "a.json")
    Traceback (most recent call last):
    nnopt.errors.SpecError: a.json: line 1, column 14: numbers must be finite, got NaN
    """

    def constant(token: str) -> float:
        raise ValueError(f"{_place(text, token)}numbers must be finite, got {token}")

    def number(token: str) -> float:
        value = float(token)
        if math.isinf(value):
            raise ValueError(f"{_place(text, token)}numbers must be finite, {short(token)} is too large")
        return value

    def whole(token: str) -> int:
        if len(token) > 300:
            raise ValueError(f"{_place(text, token)}a number of {len(token)} digits is too large")
        return int(token)

    if not text.strip():
        raise SpecError(f"{where}: expected a JSON object {{...}}, and it is empty")
    try:
        return json.loads(
            text, parse_constant=constant, parse_float=number, parse_int=whole, object_pairs_hook=_unrepeated
        )
    except json.JSONDecodeError as error:
        message = error.msg[:1].lower() + error.msg[1:]
        raise SpecError(f"{where}: line {error.lineno}, column {error.colno}: not JSON: {message}") from None
    except RecursionError:
        raise SpecError(f"{where}: nested too deeply") from None
    except ValueError as error:
        raise SpecError(f"{where}: {error}") from None


def convert(raw: Any, kind: Any, where: str) -> Any:
    """A value of type `kind` from builtins (structs are taken as they are).

    Raises: SettingsError `"<where><path inside>: expected a number > 0, got -0.1"`.

    >>> from nnopt.optimizers.batches import Batches
    >>> convert({"name": "mini", "size": 0}, Batches, "methods[0].batches")
    Traceback (most recent call last):
    nnopt.errors.SettingsError: methods[0].batches.size: expected a whole number >= 1, got 0
    """
    if isinstance(raw, msgspec.Struct):
        expected = plain(kind)
        if isinstance(expected, type) and not isinstance(raw, expected):
            raise SettingsError(f"{where}: expected {_title(expected)}, got {raw!r}")
        return raw
    try:
        return msgspec.convert(raw, kind, dec_hook=decode_hook)
    except msgspec.ValidationError as error:
        path, message = explain(error, kind, raw)
        raise SettingsError(f"{where}{path.removeprefix('$')}: {message}") from None
    except SettingsError as error:
        path, message = explain(error, kind, raw)
        raise SettingsError(f"{where}{path.removeprefix('$')}: {message}") from None
    except RecursionError:
        raise SettingsError(f"{where}: nested too deeply") from None


def check_instance(name: str, value: Any, kind: Any) -> None:
    """Raise SettingsError unless `value` is a `kind` (a class or several). name: what it is the value of.

    >>> from nnopt.optimizers.schedules import Schedule
    >>> check_instance("schedule", "cosine", Schedule)
    Traceback (most recent call last):
    nnopt.errors.SettingsError: schedule: expected Schedule, got 'cosine'; write Cosine()
    """
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(one.__name__ for one in kinds)
        raise SettingsError(f"{name}: expected {expected}, got {value!r}{_way_to_make(value, kinds)}")


def check_sequence(name: str, value: Any) -> tuple[Any, ...]:
    """The entries of a list, an array or another sequence; numbers of numpy become Python's. Raises SettingsError.

    >>> import numpy as np
    >>> check_sequence("start", np.array([1.0, 2.0]))
    (1.0, 2.0)
    """
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__len__") or not hasattr(value, "__iter__"):
        raise SettingsError(f"{name}: expected a list, got {value!r}")
    return tuple(entry.item() if hasattr(entry, "dtype") and entry.ndim == 0 else entry for entry in value)


def check_choice(name: str, value: Any, known: Any) -> None:
    """Raise SettingsError unless `value` is among the `known` names, saying which is nearest. name: of the setting.

    >>> check_choice("activation", "tahn", ("relu", "tanh"))
    Traceback (most recent call last):
    nnopt.errors.SettingsError: activation: unknown name 'tahn'; did you mean 'tanh'? (known: relu, tanh)
    """
    if value not in known:
        raise SettingsError(f"{name}: {unknown_name('name', value, known)}")


def _way_to_make(value: Any, kinds: tuple[type, ...]) -> str:
    """What to write where a class or its name was given in place of one made of it."""
    if isinstance(value, str):
        registries = (getattr(kind, "registry", None) for kind in kinds)
        found = (one.get(value) for one in registries if isinstance(one, Registry) and value in one.names())
        value = next(found, None)
    return f"; write {value.__name__}()" if isinstance(value, type) and issubclass(value, kinds) else ""


def _title(kind: type) -> str:
    registry = getattr(kind, "registry", None)
    name = registry.kind if isinstance(registry, Registry) else kind.__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _place(text: str, token: str) -> str:
    before = text[: text.find(token)]
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}: "


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated!r} stands twice in one object")
    return result
