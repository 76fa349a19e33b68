"""The values of a sweep's axis: read from texts such as "0.01..1:log:20" or "8,4-2", and written as labels."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from nnopt.errors import SettingsError

#: values of one axis, and runs of a sweep, at most
LIMIT = 100_000

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_WHOLE = r"[+-]?\d+"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(log:)?(\d+))?")


def values_of(name: str, given: Any, whole: bool = False, words: bool = False) -> tuple[Any, ...]:
    """The values that a text lists, those of a sequence or array, or one single value; as builtins.

    name: of the axis, for messages. whole: whether spaced numbers are to be rounded to whole ones. words: whether the
    values are texts, whatever they look like.

    Raises: SettingsError for a text that is no list of values, and for none or more than LIMIT of them.

    >>> values_of("lr", "0.1..0.3:3,1"), values_of("seed", "8..10"), values_of("batch", "1..100:log:3,full", whole=True)
    ((0.1, 0.2, 0.3, 1), (8, 9, 10), (1, 10, 100, 'full'))
    """
    if isinstance(given, str):
        values = [value for item in _items(name, given) for value in _item(name, item, whole, words)]
    elif isinstance(given, (Sequence, np.ndarray, range)) or (
        isinstance(given, Iterable) and not isinstance(given, (Mapping, msgspec.Struct))
    ):
        # the rest of an endless range need not be seen
        values = [_builtin(value) for value in islice(given, LIMIT + 1)]
    else:
        values = [_builtin(given)]
    if not 1 <= len(values) <= LIMIT:
        raise SettingsError(f"{name}: expected 1 to {LIMIT:,} values, got {'more' if values else 0}")
    return tuple(values)


def _builtin(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value.tolist() if isinstance(value, np.ndarray) else value


def _items(name: str, text: str) -> list[str]:
    """Split at the commas that stand outside brackets and quotes."""
    items, depth, quoted, start = [], 0, False, 0
    for place, sign in enumerate(text + ","):
        if sign == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        elif quoted:
            continue
        elif sign in "[{(":
            depth += 1
        elif sign in "]})":
            depth -= 1
        elif sign == "," and depth == 0:
            items.append(text[start:place].strip())
            start = place + 1
    if depth or quoted or not all(items):
        raise SettingsError(f"{name}: expected values separated by commas, got {text!r}")
    return items


def _item(name: str, text: str, whole: bool, words: bool) -> Sequence[Any]:
    if words and not text.startswith('"'):
        return (text,)
    matched = _RANGE.fullmatch(text)
    if matched is not None:
        return _range(name, text, matched, whole)
    if re.fullmatch(r"[+-]?\d+", text):
        return (int(text),)
    if re.fullmatch(_NUMBER, text):
        return (float(text),)
    if re.match(rf"{_NUMBER}\.\.", text):
        raise SettingsError(f"{name}: expected a range a..b, a..b:n or a..b:log:n, got {text!r}")
    if text in ("true", "false", "none", "null"):
        return ({"true": True, "false": False}.get(text),)
    if text[0] in '[{"':
        try:
            return (json.loads(text),)
        except ValueError as error:
            raise SettingsError(f"{name}: {text}: not JSON: {error}") from None
    return (text,)


def _range(name: str, text: str, matched: re.Match[str], whole: bool) -> Sequence[Any]:
    first, last, log, count = matched.groups()
    if count is None:
        if not (re.fullmatch(r"[+-]?\d+", first) and re.fullmatch(r"[+-]?\d+", last)):
            raise SettingsError(f"{name}: {text}: how many? (such as {text}:10, or {text}:log:10)")
        low, high = int(first), int(last)
        if abs(high - low) >= LIMIT:
            raise SettingsError(f"{name}: {text}: more than {LIMIT:,} values")
        return range(low, high + 1) if low <= high else range(low, high - 1, -1)
    low_end, high_end, points = float(first), float(last), int(count)
    if not (1 <= points <= LIMIT and math.isfinite(low_end) and math.isfinite(high_end)):
        raise SettingsError(f"{name}: {text}: expected 1 to {LIMIT:,} finite numbers")
    if log and not low_end * high_end > 0:
        raise SettingsError(f"{name}: {text}: ratios need two numbers of one sign, neither of them zero")
    spaced = (np.geomspace if log else np.linspace)(low_end, high_end, points).tolist()
    if whole:
        return list(dict.fromkeys(round(value) for value in spaced))
    return [float(f"{value:.12g}") for value in spaced]


def label(value: Any) -> str:
    """A value in few characters; exact for numbers.

    >>> label(0.1), label((4, 2)), label({"name": "adam"}), label(None)
    ('0.1', '4-2', 'adam', 'none')
    """
    if isinstance(value, msgspec.Struct):
        whole = msgspec.to_builtins(value)
        plain = whole == msgspec.to_builtins(type(value)())
        return label({"name": whole["name"]} if plain and "name" in whole else whole)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (list, tuple)) and value and all(type(entry) is int for entry in value):
        return "-".join(map(str, value))
    if isinstance(value, dict) and list(value) == ["name"]:
        return str(value["name"])
    if isinstance(value, dict) and list(value) == ["name", "size"] and value["name"] == "mini":
        return str(value["size"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
