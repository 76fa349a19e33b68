"""What a user does to a run: interventions at a step. They are part of the run, so a replay does them again.

A change applies from its step on: first the state of that step is reached, then the change is made, then that state's
row of the log is evaluated. Several changes at one step apply in their order.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, TypeAlias

import msgspec

from nnopt.errors import SettingsError
from nnopt.runs.paths import field_type, get_path, parts_of

#: what may be changed while a run goes on; everything else makes a new run
CHANGEABLE = ("methods", "problem.l1", "problem.l2", "measure", "stop", "steps")


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of all changes; in JSON `kind` says which one."""


class SetSetting(Change, frozen=True, tag="set"):
    """A setting takes a new value: `SetSetting("methods[0].optimizer.lr", 0.05)`.

    path: inside `methods`, `measure`, `stop`, `problem.l1`, `problem.l2`, or `steps`. value: a struct or JSON builtins.
    The method's memory (momentum, ...) is kept while the method stays the same, and starts anew with another method.
    """

    path: str
    value: Any

    def __post_init__(self) -> None:
        parts_of(self.path)
        inside = any(self.path == root or self.path.startswith((root + ".", root + "[")) for root in CHANGEABLE)
        if not inside:
            raise SettingsError(
                f"{self.path}: cannot be changed while a run goes on (only {', '.join(CHANGEABLE)}); start a new run"
            )
        if isinstance(self.value, msgspec.Struct):
            msgspec.structs.force_setattr(self, "value", msgspec.to_builtins(self.value))


class MoveTo(Change, frozen=True, tag="move_to"):
    """The point is put elsewhere. theta: P finite numbers.

    The method's memory starts anew: the run goes on from there as from a fresh start.
    """

    theta: tuple[float, ...]

    def __post_init__(self) -> None:
        _floats(self, "theta", self.theta)


class AddExample(Change, frozen=True, tag="add_example"):
    """A training example is added at the end of the data set. x: inputs, scaled as X is. y: class or target."""

    x: tuple[float, ...]
    y: float

    def __post_init__(self) -> None:
        _floats(self, "x", self.x)
        _floats(self, "y", (self.y,))
        msgspec.structs.force_setattr(self, "y", self.y[0])  # type: ignore[index]


class MoveExample(Change, frozen=True, tag="move_example"):
    """An example of the data set is put elsewhere. index: counts training and validation examples together. x: its new
    inputs."""

    index: Annotated[int, msgspec.Meta(ge=0)]
    x: tuple[float, ...]

    def __post_init__(self) -> None:
        _index(self, self.index)
        _floats(self, "x", self.x)


class RemoveExample(Change, frozen=True, tag="remove_example"):
    """An example leaves the data set; later ones move up. index: counts training and validation examples together."""

    index: Annotated[int, msgspec.Meta(ge=0)]

    def __post_init__(self) -> None:
        _index(self, self.index)


AnyChange: TypeAlias = SetSetting | MoveTo | AddExample | MoveExample | RemoveExample


class Intervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change and the step from which it applies."""

    step: Annotated[int, msgspec.Meta(ge=0)]
    change: AnyChange


#: settings on which the method's memory never depends: of two changes of one of them at one step only the last counts
_FORGETS = re.compile(r"methods\[\d+\]\.(optimizer\.lr|schedule|batches)(\..*)?|(problem|measure|stop)\..*|steps")


def superseded(earlier: tuple[Intervention, ...], change: AnyChange) -> tuple[Intervention, ...]:
    """The earlier changes of a step without those that a further one makes meaningless, as while something is dragged:
    all MoveTo before a MoveTo, and right before it a move of the same example or a change of the same setting."""
    if isinstance(change, MoveTo):
        return tuple(one for one in earlier if not isinstance(one.change, MoveTo))
    last = earlier[-1].change if earlier else None
    match last, change:
        case (MoveExample(index=first), MoveExample(index=second)) if first == second:
            return earlier[:-1]
        case (SetSetting(path=one), SetSetting(path=other)) if one == other and _FORGETS.fullmatch(other):
            return earlier[:-1]
    return earlier


def describe(change: AnyChange, before: Any) -> str:
    """The change in words, for a mark on a time line: "learning rate 2 → 4".

    before: the experiment in force before it.
    """
    match change:
        case SetSetting(path, value):
            return _describe_setting(before, path, value)
        case MoveTo():
            return "point moved"
        case AddExample(_, y):
            label = f" (class {int(y)})" if _classifies(before) else ""
            return f"example added{label}"
        case MoveExample(index):
            return f"example {index} moved"
        case RemoveExample(index):
            return f"example {index} removed"


def _describe_setting(before: Any, path: str, value: Any) -> str:
    parts = parts_of(path)
    old = get_path(before, path)
    owner, _, _ = path.rpartition(".")
    label = str(parts[-1])
    if owner and isinstance(parts[-1], str):
        label = _label(get_path(before, owner), parts[-1])
    if isinstance(old, msgspec.Struct):
        old = msgspec.to_builtins(old)
    several = len(before.methods) > 1 and len(parts) > 1 and parts[0] == "methods"
    prefix = f"method {int(parts[1]) + 1}: " if several else ""
    return f"{prefix}{label} {_words(old, value)} → {_words(value, old)}"


def _label(owner: Any, name: str) -> str:
    for meta in getattr(field_type(owner, name), "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.title:
            return meta.title
    return name.replace("_", " ")


def _words(value: Any, other: Any) -> str:
    """A value in few characters; of two structs of one name, only what differs."""
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    if isinstance(value, (int, float)):
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    if isinstance(value, dict):
        name = str(value.get("name", ""))
        if isinstance(other, dict) and other.get("name") == value.get("name"):
            differing = [f"{key} {_words(entry, None)}" for key, entry in value.items() if other.get(key) != entry]
            return " ".join([name, *differing])
        return name
    if isinstance(value, (list, tuple)):
        return f"{len(value)} entries"
    return str(value)


def _classifies(experiment: Any) -> bool:
    return getattr(experiment.problem, "loss", "") != "squared_error"


def _floats(struct: Any, name: str, values: Any) -> None:
    try:
        floats = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise SettingsError(f"{type(struct).__name__}.{name}: expected numbers, got {values!r}") from None
    for place, value in enumerate(floats):
        if not math.isfinite(value):
            raise SettingsError(f"{type(struct).__name__}.{name}[{place}]: expected a finite number, got {value}")
    msgspec.structs.force_setattr(struct, name, floats)


def _index(struct: Any, index: Any) -> None:
    if not hasattr(index, "__index__") or isinstance(index, bool) or index < 0:
        raise SettingsError(f"{type(struct).__name__}.index: expected a whole number >= 0, got {index!r}")
    msgspec.structs.force_setattr(struct, "index", int(index))
