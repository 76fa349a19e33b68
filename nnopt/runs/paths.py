"""Settings by path: `get_path(experiment, "methods[0].optimizer.lr")`, and a checked copy with one of them changed."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from nnopt.errors import SettingsError, unknown_name
from nnopt.runs.decoding import convert, without_owner

T = TypeVar("T", bound=msgspec.Struct)

_PART = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]")


def parts_of(path: str) -> tuple[str | int, ...]:
    """("methods", 0, "optimizer", "lr") of "methods[0].optimizer.lr". Raises SettingsError if it is no path."""
    parts: list[str | int] = []
    place = 0
    while place < len(path):
        if parts and path[place] == ".":
            place += 1
            if path[place : place + 1] == "[":
                raise _no_path(path)
        elif parts and path[place] != "[":
            raise _no_path(path)
        match = _PART.match(path, place)
        if match is None:
            raise _no_path(path)
        parts.append(match[1] if match[1] is not None else int(match[2]))
        place = match.end()
    if not parts or isinstance(parts[0], int):
        raise _no_path(path)
    return tuple(parts)


def get_path(settings: msgspec.Struct, path: str) -> Any:
    """The value at `path` inside nested structs and tuples.

    Raises: SettingsError for a path that leads nowhere, with the nearest known field.
    """
    value: Any = settings
    for part in parts_of(path):
        value = _child(value, part, path)
    return value


def set_path(settings: T, path: str, value: Any) -> T:
    """A copy of `settings` with the value at `path` replaced; everything else is shared.

    value: a struct, or builtins as they stand in JSON (`{"name": "adam", "lr": 0.01}`, or "adam" for its defaults).
    Raises: SettingsError naming the path, what was expected and what was given.
    """
    changed: T = _set(settings, parts_of(path), value, path)
    return changed


def field_type(settings: Any, name: str) -> Any:
    """The annotated type of a struct's field, with its `msgspec.Meta` (range, label, unit)."""
    return next(field.type for field in msgspec.structs.fields(settings) if field.name == name)


def _set(parent: Any, parts: tuple[str | int, ...], value: Any, path: str) -> Any:
    part, rest = parts[0], parts[1:]
    current = _child(parent, part, path)
    if isinstance(part, int):
        entry = _set(current, rest, value, path) if rest else convert(value, type(current), path)
        return (*parent[:part], entry, *parent[part + 1 :])
    if rest and isinstance(current, tuple) and len(rest) == 1:
        # the entry of a tuple of plain values: the whole tuple is checked against its field's type
        place = rest[0]
        _child(current, place, path)
        entries = [*current]
        entries[int(place)] = value
        new = (
            convert(entries, field_type(parent, part), path)
            if not isinstance(value, msgspec.Struct)
            else tuple(entries)
        )
    elif rest:
        new = _set(current, rest, value, path)
    else:
        new = convert(value, field_type(parent, part), path)
    try:
        return msgspec.structs.replace(parent, **{part: new})
    except SettingsError as error:
        inside, message = without_owner(str(error))
        place = f"{path}.{inside}" if inside and inside != part else path
        raise SettingsError(f"{place}: {message}") from None


def _child(value: Any, part: str | int, path: str) -> Any:
    if isinstance(part, int):
        if not isinstance(value, tuple) or part >= len(value):
            size = len(value) if isinstance(value, tuple) else 0
            raise SettingsError(f"{path}: there is no entry [{part}] ({size} entries)")
        return value[part]
    if not isinstance(value, msgspec.Struct):
        raise SettingsError(f"{path}: there is no field {part!r} in {value!r}")
    if part not in value.__struct_fields__:
        raise SettingsError(f"{path}: {unknown_name('field', part, value.__struct_fields__)}")
    return getattr(value, part)


def _no_path(path: str) -> SettingsError:
    return SettingsError(f"expected a path such as 'methods[0].optimizer.lr', got {path!r}")
