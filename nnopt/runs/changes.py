"""What a user does to a run: interventions at a step. They are part of the run, so a replay does them again.

A change applies from its step on: first the state of that step is reached, then the change is made, then that state's
row of the log is evaluated. Several changes at one step apply in their order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec

from nnopt.errors import SettingsError
from nnopt.runs.paths import field_type, get_path, parts_of, set_path

#: what may be changed while a run goes on; everything else makes a new run
CHANGEABLE = ("methods", "problem.l1", "problem.l2", "measure", "stop", "steps")


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of all changes; in JSON `kind` says which one.

    >>> msgspec.json.encode(MoveTo((1.0, 2.0)))
    b'{"kind":"move_to","theta":[1.0,2.0]}'
    """


class SetSetting(Change, frozen=True, tag="set"):
    """A setting takes a new value: `SetSetting("methods[0].optimizer.lr", 0.05)`.

    path: inside `methods`, `measure`, `stop`, `problem.l1`, `problem.l2`, or `steps`. value: a struct or JSON builtins.
    The method's memory (momentum, ...) is kept while the method stays the same, and starts anew with another method.
    Raises: SettingsError for any other path, here; for a value that does not fit, when the change is made.

    >>> from nnopt.runs.experiment import default_experiment
    >>> from nnopt.runs.run import Run
    >>> run = Run(default_experiment())
    >>> _ = run.intervene(SetSetting("methods[0].optimizer.lr", 0.05))
    >>> run.experiment.methods[0].optimizer.lr
    0.05
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

    The method's memory starts anew: the run goes on from there as from a fresh start. Raises: SettingsError.

    >>> MoveTo([1, float("nan")])
    Traceback (most recent call last):
    nnopt.errors.SettingsError: MoveTo.theta[1]: expected a finite number, got nan
    """

    theta: tuple[float, ...]

    def __post_init__(self) -> None:
        _floats(self, "theta", self.theta)


class AddExample(Change, frozen=True, tag="add_example"):
    """A training example is added at the end of the data set. x: inputs, scaled as X is. y: class or target.

    Raises: SettingsError for numbers that are not finite.

    >>> from nnopt.runs.experiment import default_experiment
    >>> from nnopt.runs.run import Run
    >>> run = Run(default_experiment())
    >>> before = run.problem.examples
    >>> _ = run.intervene(AddExample((0.5, 0.5), 1))
    >>> run.problem.examples - before
    1
    """

    x: tuple[float, ...]
    y: float

    def __post_init__(self) -> None:
        _floats(self, "x", self.x)
        _floats(self, "y", (self.y,))
        msgspec.structs.force_setattr(self, "y", self.y[0])  # type: ignore[index]


class MoveExample(Change, frozen=True, tag="move_example"):
    """An example of the data set is put elsewhere. index: counts training and validation examples together. x: its new
    inputs. Raises: SettingsError for a negative index and numbers that are not finite.

    >>> MoveExample(3, (0.5, -1))
    MoveExample(index=3, x=(0.5, -1.0))
    """

    index: Annotated[int, msgspec.Meta(ge=0)]
    x: tuple[float, ...]

    def __post_init__(self) -> None:
        _index(self, self.index)
        _floats(self, "x", self.x)


class RemoveExample(Change, frozen=True, tag="remove_example"):
    """An example leaves the data set; later ones move up. index: counts training and validation examples together.

    Raises: SettingsError for a negative index.

    >>> RemoveExample(3)
    RemoveExample(index=3)
    """

    index: Annotated[int, msgspec.Meta(ge=0)]

    def __post_init__(self) -> None:
        _index(self, self.index)


AnyChange: TypeAlias = SetSetting | MoveTo | AddExample | MoveExample | RemoveExample


class Intervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change and the step from which it applies.

    >>> from nnopt.runs.experiment import default_experiment
    >>> from nnopt.runs.run import Run
    >>> run = Run(default_experiment(), [Intervention(2, SetSetting("methods[0].optimizer.lr", 0.05))])
    >>> run.advance(4)
    4
    >>> run.history.columns["learning_rate"]
    array([0.5 , 0.5 , 0.05, 0.05, 0.05])
    """

    step: Annotated[int, msgspec.Meta(ge=0)]
    change: AnyChange


#: settings on which the method's memory never depends: of two changes of one of them at one step only the last counts
_FORGETS = re.compile(r"methods\[\d+\]\.(optimizer\.lr|schedule|batches)(\..*)?|(problem|measure|stop)\..*|steps")


def superseded(earlier: tuple[Intervention, ...], change: AnyChange) -> tuple[Intervention, ...]:
    """The earlier changes of a step without those that a further one makes meaningless, as while something is dragged:
    all MoveTo before a MoveTo, and right before it a move of the same example or a change of the same setting.

    >>> dragged = (Intervention(5, MoveTo((1.0, 2.0))), Intervention(5, RemoveExample(3)))
    >>> superseded(dragged, MoveTo((1.0, 2.5)))
    (Intervention(step=5, change=RemoveExample(index=3)),)
    """
    if isinstance(change, MoveTo):
        return tuple(one for one in earlier if not isinstance(one.change, MoveTo))
    last = earlier[-1].change if earlier else None
    match last, change:
        case (MoveExample(index=first), MoveExample(index=second)) if first == second:
            return earlier[:-1]
        case (SetSetting(path=one), SetSetting(path=other)) if one == other and _FORGETS.fullmatch(other):
            return earlier[:-1]
    return earlier


def _plain_name(name: str, cls: type | None) -> str:
    return name


def _plain_number(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def describe(
    change: AnyChange,
    before: Any,
    names: Callable[[str, type | None], str] = _plain_name,
    numbers: Callable[[float], str] = _plain_number,
    since: bool = True,
) -> str:
    """The change in words, for a mark on a time line: "learning rate 2 → 4".

    before: the experiment in force before it. names(name, class): what something registered is called; numbers: how a
    number is written. since: whether to say what a setting was before. Raises: SettingsError for a setting that the
    experiment does not have.

    >>> from nnopt.runs.experiment import default_experiment
    >>> describe(SetSetting("methods[0].optimizer.lr", 0.05), default_experiment())
    'learning rate 0.5 → 0.05'
    """
    match change:
        case SetSetting(path, value):
            old, new = get_path(before, path), get_path(set_path(before, path, value), path)
            label = _label_at(before, path)
            words = _Words(names, numbers)
            if since and isinstance(old, msgspec.Struct) and type(old) is type(new):
                fields = [name for name in new.__struct_fields__ if getattr(old, name) != getattr(new, name)]
                made = [words.step(_label(new, name), getattr(old, name), getattr(new, name)) for name in fields]
                name = [] if _switch(new) else [words.of(new)]
                return " ".join([label, *name, *([", ".join(made)] if made else [])])
            return words.step(label, old, new) if since else f"{label} {words.of(new)}"
        case MoveTo():
            return "point moved"
        case AddExample(_, y):
            label = f" (class {int(y)})" if _classifies(before) else ""
            return f"example added{label}"
        case MoveExample(index):
            return f"example {numbers(index)} moved"
        case RemoveExample(index):
            return f"example {numbers(index)} removed"


def _label_at(before: Any, path: str) -> str:
    """What the setting at a path is called; of several methods also which one's it is."""
    parts = parts_of(path)
    owner, _, _ = path.rpartition(".")
    label = str(parts[-1])
    if owner and isinstance(parts[-1], str):
        label = _label(get_path(before, owner), parts[-1])
    several = len(before.methods) > 1 and len(parts) > 1 and parts[0] == "methods"
    return f"method {int(parts[1]) + 1}: {label}" if several else label


def _label(owner: Any, name: str) -> str:
    for meta in getattr(field_type(owner, name), "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.title:
            return meta.title
    return name.replace("_", " ")


@dataclass(frozen=True)
class _Words:
    """How names and numbers are said."""

    names: Callable[[str, type | None], str]
    numbers: Callable[[float], str]

    def step(self, label: str, old: Any, new: Any) -> str:
        if _switch(old) or _switch(new):
            return f"{label} {self.of(old is not None)} → {self.of(new is not None)}"
        return f"{label} {self.of(old)} → {self.of(new)}"

    def of(self, value: Any) -> str:
        """A value in few characters."""
        if isinstance(value, bool) or value is None:
            return {True: "on", False: "off", None: "none"}[value]
        if isinstance(value, (int, float)):
            return self.numbers(value)
        if _switch(value):
            return "on"
        if isinstance(value, msgspec.Struct):
            return self.names(str(value.__struct_config__.tag or ""), type(value))
        if isinstance(value, (list, tuple)):
            return f"{self.numbers(len(value))} entries"
        return self.names(str(value), None)


def _switch(value: Any) -> bool:
    """Whether a value is a struct without a name: its field is on while it has one, and off while it has none."""
    return isinstance(value, msgspec.Struct) and value.__struct_config__.tag is None


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
