"""From JSON text to typed structs, with errors that name file, place, what was expected and what was given."""

from __future__ import annotations

import json
import math
import re
import typing
from typing import Any, Literal

import msgspec

from nnopt.errors import SettingsError, SpecError, unknown_name
from nnopt.settings import TAG_FIELD, Registry, decode_hook, readable

KIND_FIELD = "kind"


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
            raise ValueError(f"{_place(text, token)}numbers must be finite, {_short(token)} is too large")
        return value

    def whole(token: str) -> int:
        if len(token) > 300:
            raise ValueError(f"{_place(text, token)}a number of {len(token)} digits is too large")
        return int(token)

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
        expected = _plain(kind)
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


def explain(error: Exception, kind: Any, raw: Any) -> tuple[str, str]:
    """(JSON path, message in words with what was given) of a decoding error of `raw` as a `kind`.

    >>> from nnopt.optimizers.batches import Mini
    >>> try:
    ...     msgspec.convert({"size": "ten"}, Mini)
    ... except msgspec.ValidationError as error:
    ...     explain(error, Mini, {"size": "ten"})
    ('$.size', 'expected a whole number, got "ten"')
    """
    path, message = readable(error)
    steps = [name or int(index) for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path)]
    unknown = re.fullmatch(r"object contains unknown field `(.*)`", message)
    if unknown is not None:
        known = [field.encode_name for field in _fields(_type_at(kind, steps, raw))]
        return f"{path}.{unknown[1]}", str(unknown_name("field", unknown[1], known))
    missing = re.fullmatch(r"object missing required field `(.*)`", message)
    if missing is not None:
        return path, f"the field {missing[1]!r} is missing"
    inside, rest = without_owner(message)
    if inside:
        return f"{path}.{inside}", rest
    if "`" not in message and not message.startswith("invalid"):
        return path, message
    return path, _in_words(message, _at(raw, steps), _choices(kind, steps, raw))


def without_owner(message: str) -> tuple[str, str]:
    """(field, the rest) of a message that begins with the class and field it is about; ("", message) where none does.

    >>> without_owner("NetworkProblem.loss: unknown name 'mse'"), without_owner("expected a number")
    (('loss', "unknown name 'mse'"), ('', 'expected a number'))
    """
    owned = re.fullmatch(r"[A-Za-z]\w*\.([a-z_]\w*(?:\[\d+\])*): (.*)", message, re.DOTALL)
    return (owned[1], owned[2]) if owned is not None else ("", message)


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


_WORDS = {
    "float": "a number", "int": "a whole number", "str": "a text", "bool": "true or false", "array": "a list",
    "object": "an object {...}",
}  # fmt: skip


def _in_words(message: str, given: Any, choices: list[str]) -> str:
    message = message.split(", got ")[0]
    if message.startswith("invalid"):
        return f"expected {' or '.join(choices) or 'another value'}, got {_short(given)}"
    message = re.sub(r"`([^`]*)`", _kinds_in_words, message)
    message = re.sub(r"(-?\d+)\.0\b", r"\1", message)
    return f"{message}, got {_short(given)}"


def _kinds_in_words(code: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(one, one) for one in code[1].split(" | "))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(kind: Any) -> Any:
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return kind


def _title(kind: type) -> str:
    registry = getattr(kind, "registry", None)
    name = registry.kind if isinstance(registry, Registry) else kind.__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _at(raw: Any, steps: list[str | int]) -> Any:
    """What stands at `steps` inside builtins; None where nothing does."""
    for step in steps:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def _type_at(kind: Any, steps: list[str | int], raw: Any) -> Any:
    """The type expected at `steps` inside a `kind`; None where that cannot be said."""
    kind = _resolve(kind, raw)
    for depth, step in enumerate(steps):
        if isinstance(step, int):
            kind = next(iter(typing.get_args(kind)), None)
        else:
            kind = next((field.type for field in _fields(kind) if field.encode_name == step), None)
        kind = _resolve(kind, _at(raw, steps[: depth + 1]))
    return kind


def _choices(kind: Any, steps: list[str | int], raw: Any) -> list[str]:
    """What may stand at `steps`: the values of a Literal, or the tags of a union for its tag field."""
    if steps and steps[-1] == KIND_FIELD:
        options = typing.get_args(_type_at(kind, steps[:-1], raw))
        return [_short(option.__struct_config__.tag) for option in map(_plain, options) if _is_struct(option)]
    expected = _type_at(kind, steps, raw)
    return [_short(choice) for choice in typing.get_args(expected)] if typing.get_origin(expected) is Literal else []


def _fields(kind: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind) if _is_struct(kind) else ()


def _resolve(kind: Any, raw: Any) -> Any:
    """The concrete struct for a union or an interface, chosen by the tag in `raw`."""
    kind = _plain(kind)
    registry = getattr(kind, "registry", None)
    if isinstance(registry, Registry) and not _is_struct(kind) and isinstance(raw, dict):
        return registry.get(raw[TAG_FIELD])
    for option in typing.get_args(kind):
        plain = _plain(option)
        if _is_struct(plain) and isinstance(raw, dict) and raw.get(KIND_FIELD) == plain.__struct_config__.tag:
            return plain
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


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
