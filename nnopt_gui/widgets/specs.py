"""What a form shows, as data: the fields of nested settings structs, flat, in order, without any Qt.

`fields_of(struct)` reads the structs' types and their `msgspec.Meta` (range, label, unit, slider), so a form never has
to know what it is a form of.
"""

from __future__ import annotations

import contextlib
import math
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from nnopt.errors import NnoptError
from nnopt.settings import Registry
from nnopt_gui.widgets import numbers, words

_PREFERRED = {"function": "rosenbrock", "dataset": "circle"}


@dataclass(frozen=True)
class Field:
    """One row of a form.

    path: "methods[0].optimizer.lr". kind: "number", "bool", "choice" (one of `options`), "member" (one of a registry or
    of several structs; its own fields follow), "switch" (a struct or nothing; while it is on, its own fields follow),
    "numbers" (a tuple of them), "text", "path", "note", "fixed".
    low, high, open_low, open_high: the range. slider: what a slider covers. depth: how deep inside chosen members.
    """

    path: str
    label: str
    kind: str
    help: str = ""
    unit: str = ""
    integer: bool = False
    optional: bool = False
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    log: bool = False
    slider: tuple[float, float] | None = None
    options: tuple[tuple[str, str], ...] = ()
    depth: int = 0

    def contains(self, x: float) -> bool:
        """Whether a number lies in the range."""
        above = x > self.low if self.open_low else x >= self.low
        below = x < self.high if self.open_high else x <= self.high
        return above and below and math.isfinite(x)

    @property
    def range_text(self) -> str:
        """The range, short: "> 0", "0 – 50", "" if there is none."""
        low, high = _bound(self.low), _bound(self.high)
        if low and high:
            if self.high >= 1e9:
                return f"{'>' if self.open_low else '≥'} {low}"
            return f"{low} – {high}" if not (self.open_high or self.open_low) else self._open_range(low, high)
        if low:
            return f"{'>' if self.open_low else '≥'} {low}"
        return f"{'<' if self.open_high else '≤'} {high}" if high else ""

    def _open_range(self, low: str, high: str) -> str:
        return f"{low} – {'<' if self.open_high else ''}{high}"

    @property
    def expected(self) -> str:
        """What must be typed, in words."""
        if self.kind == "numbers":
            low, high = _bound(self.low), _bound(self.high) if self.high < 1e9 else ""
            ranged = f" from {low} to {high}," if low and high and not (self.open_low or self.open_high) else ""
            return f"whole numbers{ranged} such as 8, 4" if self.integer else f"numbers{ranged} such as 0.5, 1"
        what = "a whole number" if self.integer else "a number"
        low, high = _bound(self.low), _bound(self.high) if self.high < 1e9 else ""
        if low and high:
            return (
                f"{what} {'above' if self.open_low else 'from'} {low} {'and below' if self.open_high else 'to'} {high}"
            )
        if low:
            return f"{what} above {low}" if self.open_low else f"{what}, {low} or more"
        return f"{what} below {high}" if high and self.open_high else f"{what}, at most {high}" if high else what


def _bound(x: float) -> str:
    if not math.isfinite(x):
        return ""
    return numbers.integer(int(x)) if x == int(x) and abs(x) < 1e15 else numbers.short(x, 6)


def fields_of(value: msgspec.Struct, path: str = "", depth: int = 0) -> Iterator[tuple[Field, Any]]:
    """(field, its value) of a struct and of everything inside it, in order."""
    for name, hint in _hints(type(value)).items():
        yield from _field(type(value), name, hint, getattr(value, name), f"{path}.{name}" if path else name, depth)


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {name: hints[name] for name in cls.__struct_fields__}  # type: ignore[attr-defined]


def _field(cls: type, name: str, hint: Any, value: Any, path: str, depth: int) -> Iterator[tuple[Field, Any]]:
    base, metas = _unwrap(hint)
    label = words.label_words(name, next((m.title for m in metas if m.title), None))
    help_text = next((m.description for m in metas if m.description), "")
    base, optional = _without_none(base)
    inner, more = _unwrap(base)
    base, metas = inner, [*metas, *more]
    common: dict[str, Any] = {"path": path, "label": label, "help": help_text, "optional": optional, "depth": depth}
    registry = getattr(base, "registry", None)
    if isinstance(registry, Registry):
        yield from _member(Field(kind="member", options=words.member_choices(registry), **common), value)
    elif _is_union(base):
        options = tuple((_tag(c), words.name_words(_tag(c), c)) for c in get_args(base))
        yield from _member(Field(kind="member", options=options, **common), value, nested=False)
    elif isinstance(base, type) and issubclass(base, msgspec.Struct):
        if optional:
            yield Field(kind="switch", **common), value
        if value is not None:
            yield from fields_of(value, path, depth + optional)
    elif base is bool:
        yield Field(kind="bool", **common), value
    elif base in (int, float):
        yield Field(kind="number", integer=base is int, **common, **_range(metas)), value
    elif get_origin(base) is Literal:
        options = tuple((str(o), words.name_words(str(o))) for o in get_args(base))
        yield Field(kind="choice", options=options, **common), value
    elif base is str:
        choices = words.text_choices(cls, name)
        kind = "choice" if choices else "path" if name == "path" else "text"
        yield Field(kind=kind, options=choices, **common), value
    elif get_origin(base) is tuple:
        yield from _tuple(base, common, value, depth)
    else:
        yield Field(kind="fixed", **common), value


def _tuple(base: Any, common: dict[str, Any], value: Any, depth: int) -> Iterator[tuple[Field, Any]]:
    entry, metas = _unwrap(get_args(base)[0]) if get_args(base) else (None, [])
    if entry in (int, float):
        yield Field(kind="numbers", integer=entry is int, **common, **_range(metas)), value
    elif entry is str:
        yield Field(kind="texts", **common), value
    elif isinstance(entry, type) and issubclass(entry, msgspec.Struct) and all(isinstance(v, entry) for v in value):
        for i, item in enumerate(value):
            yield from fields_of(item, f"{common['path']}[{i}]", depth)
    else:
        yield Field(kind="fixed", **common), value


def _member(field: Field, value: Any, nested: bool = True) -> Iterator[tuple[Field, Any]]:
    yield field, value
    for i, note in enumerate(words.notes_of(value) if field.depth == 0 else ()):
        yield Field(f"{field.path}#{i}", note.text, "note", note.reason, optional=note.good, depth=field.depth), note
    yield from fields_of(value, field.path, field.depth + nested)


def _unwrap(hint: Any) -> tuple[Any, list[msgspec.Meta]]:
    if get_origin(hint) is Annotated:
        base, *metas = get_args(hint)
        inner, more = _unwrap(base)
        return inner, [m for m in metas if isinstance(m, msgspec.Meta)] + more
    return hint, []


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if _is_union(hint) and type(None) in get_args(hint):
        rest = [a for a in get_args(hint) if a is not type(None)]
        return (rest[0] if len(rest) == 1 else Union[tuple(rest)]), True  # noqa: UP007 (built at run time)
    return hint, False


def _tag(cls: Any) -> str:
    return str(cls.__struct_config__.tag)


def _range(metas: list[msgspec.Meta]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for meta in metas:
        if meta.gt is not None:
            found |= {"low": float(meta.gt), "open_low": True}
        if meta.ge is not None:
            found |= {"low": float(meta.ge)}
        if meta.lt is not None:
            found |= {"high": float(meta.lt), "open_high": True}
        if meta.le is not None:
            found |= {"high": float(meta.le)}
        extra = meta.extra or {}
        for key in ("unit", "log", "slider"):
            if extra.get(key):
                found[key] = extra[key]
    if "slider" not in found and {"low", "high"} <= found.keys() and found["high"] - found["low"] < 1e6:
        found["slider"] = (found["low"], found["high"])
    if found.get("log") and found.get("slider", (0, 0))[0] <= 0:
        found["log"] = False
    return found


def tag_of(value: Any) -> str:
    """The name under which a member is registered."""
    return _tag(type(value))


def member(root: msgspec.Struct, path: str, tag: str) -> msgspec.Struct | None:
    """A new member called `tag` for the field at `path`, with defaults; None if there is no such thing."""
    hint = hint_at(root, path)
    registry = getattr(hint, "registry", None)
    if isinstance(registry, Registry):
        return default_of(registry.get(tag))
    return next((default_of(c) for c in get_args(hint) if _tag(c) == tag), None)


def hint_at(root: msgspec.Struct, path: str) -> Any:
    """The type of the field at `path`, without its annotations."""
    from nnopt.runs.paths import get_path

    parent, _, name = path.rpartition(".")
    owner = get_path(root, parent) if parent else root
    return _without_none(_unwrap(_hints(type(owner))[name])[0])[0]


def default_of(cls: Any) -> Any:
    """An instance with all defaults; required members are usual ones. None if that is not possible."""
    with contextlib.suppress(TypeError, NnoptError):
        return cls()
    values = {}
    required = [f for f in msgspec.structs.fields(cls) if f.required]
    for field in required:
        base = _without_none(_unwrap(_hints(cls)[field.name])[0])[0]
        registry = getattr(base, "registry", None)
        if isinstance(registry, Registry):
            names = registry.names()
            preferred = _PREFERRED.get(registry.kind)
            values[field.name] = default_of(registry.get(preferred if preferred in names else names[0]))
        elif isinstance(base, type) and issubclass(base, msgspec.Struct):
            values[field.name] = default_of(base)
    with contextlib.suppress(TypeError, NnoptError):
        return cls(**values)
    return None


def carried_over(old: Any, new: Any) -> Any:
    """`new` with the settings that both have and that mean the same in both (equal defaults): points, noise, ..."""
    same = set(type(old).__struct_fields__) & set(type(new).__struct_fields__)
    usual_old, usual_new = default_of(type(old)), default_of(type(new))
    for name in sorted(same):
        if usual_old is None or usual_new is None or getattr(usual_old, name) != getattr(usual_new, name):
            continue
        with contextlib.suppress(NnoptError, msgspec.ValidationError, TypeError):
            new = msgspec.structs.replace(new, **{name: getattr(old, name)})
    return new
