"""What does not fit, in words: the place, what was expected there and what was given. On the ground floor.

msgspec finds the misfit; its texts are for programmers, so they are said again here.
"""

from __future__ import annotations

import json
import os
import re
import typing
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from nnopt.errors import FormulaError, SettingsError, unknown_name
from nnopt.settings import TAG_FIELD, Registry, readable

KIND_FIELD = "kind"


def made(registry: Registry[Any], name: str, settings: Mapping[str, Any]) -> Any:
    """The member of a registry called `name`, with settings from Python: numbers and arrays of numpy and paths are
    taken too.

    >>> from nnopt.objectives.datasets import Data
    >>> made(Data.registry, "moons", {"points": 100}).points
    100
    >>> made(Data.registry, "moons", {"points": "many"})
    Traceback (most recent call last):
    nnopt.errors.SettingsError: Moons.points: expected a whole number, got "many"

    Raises: UnknownNameError; SettingsError for a setting that is unknown or out of range.
    """
    cls = registry.get(name)
    raw = {TAG_FIELD: name, **{setting: _builtin(value) for setting, value in settings.items()}}
    try:
        return registry.decode(raw)
    except FormulaError:
        raise
    except SettingsError as error:
        path, message = explain(error, cls, raw)
        raise SettingsError(f"{cls.__name__}{path.removeprefix('$')}: {message}") from None


def _builtin(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value.tolist() if hasattr(value, "tolist") else value


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


_WORDS = {
    "float": "a number", "int": "a whole number", "str": "a text", "bool": "true or false", "array": "a list",
    "object": "an object {...}",
}  # fmt: skip


def _in_words(message: str, given: Any, choices: list[str]) -> str:
    message = message.split(", got ")[0]
    if message.startswith("invalid"):
        return f"expected {' or '.join(choices) or 'another value'}, got {short(given)}"
    message = re.sub(r"`([^`]*)`", _kinds_in_words, message)
    message = re.sub(r"(-?\d+)\.0\b", r"\1", message)
    return f"{message}, got {short(given)}"


def _kinds_in_words(code: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(one, one) for one in code[1].split(" | "))


def short(value: Any) -> str:
    """A value as JSON, in 60 characters at most.

    >>> short({"name": "sgd"}), len(short(list(range(100))))
    ('{"name": "sgd"}', 60)
    """
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


def plain(kind: Any) -> Any:
    """A type without its annotations.

    >>> plain(typing.Annotated[int, "units"])
    <class 'int'>
    """
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return kind


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
        return [short(option.__struct_config__.tag) for option in map(plain, options) if _is_struct(option)]
    expected = _type_at(kind, steps, raw)
    return [short(choice) for choice in typing.get_args(expected)] if typing.get_origin(expected) is Literal else []


def _fields(kind: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind) if _is_struct(kind) else ()


def _resolve(kind: Any, raw: Any) -> Any:
    """The concrete struct for a union or an interface, chosen by the tag in `raw`."""
    kind = plain(kind)
    registry = getattr(kind, "registry", None)
    if isinstance(registry, Registry) and not _is_struct(kind) and isinstance(raw, dict):
        name = raw.get(TAG_FIELD)
        return registry.get(name) if isinstance(name, str) and name in registry.names() else kind
    for option in typing.get_args(kind):
        struct = plain(option)
        if _is_struct(struct) and isinstance(raw, dict) and raw.get(KIND_FIELD) == struct.__struct_config__.tag:
            return struct
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
