"""Settings by path: `get_path(experiment, "methods[0].optimizer.lr")`, and a checked copy with one of them changed."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from nnopt.errors import SettingsError, unknown_name
from nnopt.misfits import without_owner
from nnopt.runs.decoding import convert

T = TypeVar("T", bound=msgspec.Struct)

_PART = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]")


def parts_of(path: str) -> tuple[str | int, ...]:
    """The fields (texts) and places (numbers) of which a path is made. Raises: SettingsError if it is no path.

    >>> parts_of("methods[0].optimizer.lr")
    ('methods', 0, 'optimizer', 'lr')
    """
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

    >>> from nnopt.runs.experiment import default_experiment
    >>> get_path(default_experiment(), "problem.network.hidden[0]")
    8
    >>> get_path(default_experiment(), "problem.network.hiden")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nnopt.errors.SettingsError: problem.network.hiden: unknown field 'hiden'; did you mean 'hidden'? (known: ...
    """
    value: Any = settings
    for part in parts_of(path):
        value = _child(value, part, path)
    return value


def set_path(settings: T, path: str, value: Any) -> T:
    """A copy of `settings` with the value at `path` replaced; everything else is shared.

    value: a struct, or builtins as they stand in JSON (`{"name": "adam", "lr": 0.01}`, or "adam" for its defaults).
    Raises: SettingsError naming the path, what was expected and what was given.

    >>> from nnopt.runs.experiment import default_experiment
    >>> set_path(default_experiment(), "methods[0].optimizer", {"name": "adam", "lr": 0.05}).methods[0].optimizer.beta1
    0.9
    """
    changed: T = _set(settings, parts_of(path), value, path)
    return changed


def switched_on(settings: T, path: str) -> T:
    """A copy in which the optional structs that are None on the way to `path` have their defaults, so that what is
    inside them can be set; `settings` itself where nothing is off, and for a path that leads nowhere.

    >>> from nnopt.runs.experiment import default_experiment
    >>> switched_on(default_experiment(), "stop.early.patience").stop.early
    EarlyStopping(patience=20, minimum_improvement=0.0)
    """
    parts = parts_of(path)
    value: Any = settings
    for count, part in enumerate(parts[:-1], start=1):
        try:
            inside = _child(value, part, path)
        except SettingsError:
            return settings
        kind = _optional_struct(value, part) if inside is None else None
        if kind is not None:
            inside = kind()
            settings = set_path(settings, _text_of(parts[:count]), inside)
        value = inside
    return settings


def field_type(settings: Any, name: str) -> Any:
    """The annotated type of a struct's field, with its `msgspec.Meta` (range, label, unit).

    >>> from nnopt.runs.experiment import Measure
    >>> kind = field_type(Measure(), "every")
    >>> kind.__origin__, kind.__metadata__[0].ge, kind.__metadata__[0].title
    (<class 'int'>, 0, 'measure every')
    """
    return _field_types(settings if isinstance(settings, type) else type(settings))[name]


@cache
def _field_types(kind: type[msgspec.Struct]) -> dict[str, Any]:
    # msgspec reads the annotations of the class, and of those it comes from, each time that it is asked
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


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
    if value is None:
        owner = path.rpartition(f".{part}")[0]
        raise SettingsError(f"{path}: {owner} is none: it must have a value before one of its settings can")
    if not isinstance(value, msgspec.Struct):
        raise SettingsError(f"{path}: there is no field {part!r} in {value!r}")
    if part not in value.__struct_fields__:
        raise SettingsError(f"{path}: {unknown_name('field', part, value.__struct_fields__)}")
    return getattr(value, part)


def _optional_struct(owner: Any, name: str | int) -> type[msgspec.Struct] | None:
    """The struct that a field of a struct holds if it is not None."""
    kind = field_type(owner, str(name)) if isinstance(owner, msgspec.Struct) else None
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    options = [option for option in get_args(kind) if isinstance(option, type) and issubclass(option, msgspec.Struct)]
    return options[0] if len(options) == 1 else None


def _text_of(parts: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _no_path(path: str) -> SettingsError:
    return SettingsError(f"expected a path such as 'methods[0].optimizer.lr', got {path!r}")
