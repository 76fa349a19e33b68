"""The axes of a sweep: which setting takes which values, read from short texts such as "lr=0.01..1:log:20"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

import msgspec

from nnopt.errors import SettingsError, unknown_name
from nnopt.runs.experiment import Experiment, check_experiment
from nnopt.runs.paths import field_type, get_path, parts_of, set_path, switched_on
from nnopt.runs.sweep_values import label, values_of

#: what `sweep` takes: {"lr": [0.1, 0.2], "seed": "0..9"}, or the texts of the command line
Axes: TypeAlias = Mapping[str, Any] | Iterable[str]

#: the axis that chooses among an experiment's methods; it is no setting
METHOD = "method"
#: other names of settings
ALIASES = {"batch": "methods[0].batches", "batch_size": "methods[0].batches"}


class Axis(msgspec.Struct, frozen=True):
    """A setting and the values that it takes.

    name: as given. path: of the setting; METHOD for the choice among the experiment's methods. values: as `set_path`
    takes them. labels: the same as short texts, one per value, exact for numbers.

    >>> axis = Axis("lr", "methods[0].optimizer.lr", (0.1, 0.5), ("0.1", "0.5"))
    >>> axis.path_for(method=1), axis.depth
    ('methods[1].optimizer.lr', 4)
    """

    name: str
    path: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]

    def path_for(self, method: int) -> str:
        """The path of the setting in a run of the experiment's method of that number."""
        if self.path == self.name or not self.path.startswith("methods[0]"):
            return self.path
        return f"methods[{method}]{self.path.removeprefix('methods[0]')}"

    @property
    def depth(self) -> int:
        """How deep its setting lies: what lies higher is set first."""
        return 0 if self.path == METHOD else len(parts_of(self.path))


def axes_of(experiment: Experiment, axes: Axes) -> tuple[Axis, ...]:
    """The axes, their names resolved to settings of the experiment.

    A name with a dot or a bracket is a path ("methods[0].optimizer.beta"). Any other is the setting of that name which
    lies nearest to the top of the experiment, in its first method where there are several: "lr" is
    "methods[0].optimizer.lr". "batch" (or "batch_size") takes numbers of examples and "full"; "method" numbers the
    methods of the experiment, from 0, and short names then mean the method of each run. Where one axis puts another
    method (data, function, ...) in place, others may be settings of what it puts there. A path into what is off
    ("stop.early.patience" where "stop.early" is none) switches it on (see `base_of`).

    A text lists values, separated by commas: numbers, names, "a..b" (whole numbers, both included), "a..b:n" (n evenly
    spaced numbers), "a..b:log:n" (of even ratios), "4-2" (two layers), or JSON in brackets. Spaced numbers are rounded
    to 12 digits, and to whole ones for a setting that is whole.

    Raises: SettingsError saying which axis, what was expected and what was given.

    >>> from nnopt.runs.experiment import default_experiment
    >>> lr, hidden = axes_of(default_experiment(), ["lr=0.01..1:log:3", "hidden=8,4-2"])
    >>> lr.path, lr.values, hidden.labels
    ('methods[0].optimizer.lr', (0.01, 0.1, 1.0), ('8', '4-2'))
    """
    check_experiment(experiment)
    if not isinstance(axes, Mapping) and (isinstance(axes, str) or not isinstance(axes, Iterable)):
        raise SettingsError(f'sweep: expected axes such as {{"lr": [0.1, 0.2]}} or ["lr=0.1,0.2"], got {axes!r}')
    pairs = list(axes.items()) if isinstance(axes, Mapping) else [_split_name(text) for text in axes]
    if not pairs:
        raise SettingsError('sweep: expected at least one axis such as "lr=0.1,0.2"')
    found: dict[int, Axis] = {}
    experiment = base_of(experiment, [str(name) for name, _ in pairs])
    example, error = experiment, SettingsError("")
    while len(found) < len(pairs):
        before = len(found)
        for number, (name, values) in enumerate(pairs):
            if number not in found:
                try:
                    found[number] = _axis(example, str(name), values)
                except _NotFound as reason:
                    error = reason
        if len(found) == before:
            raise SettingsError(str(error))
        # settings of what the axes found so far put in place can be found in the next round
        example = experiment
        for axis in sorted(found.values(), key=lambda axis: axis.depth):
            if axis.path != METHOD:
                example = _place(example, axis, 0)
    result = tuple(found[number] for number in range(len(pairs)))
    for number, axis in enumerate(result):
        if any(axis.path == other.path for other in result[:number]):
            raise SettingsError(f"{axis.name}: {axis.path} has two axes")
    return result


def base_of(experiment: Experiment, paths: Iterable[str]) -> Experiment:
    """The experiment that a sweep over the settings at `paths` changes: what is off and has settings among them is on,
    with its defaults, unless one of the axes switches it itself.

    >>> from nnopt.runs.experiment import default_experiment
    >>> base_of(default_experiment(), ["seed", "stop.early.patience"]).stop.early.patience
    20
    """
    known = tuple(paths)
    for path in known:
        within = any(path.startswith(f"{other}.") for other in known)
        if "." in path and not within:
            experiment = switched_on(experiment, path)
    return experiment


def find_setting(experiment: Experiment, name: str) -> str:
    """The path of the setting called `name` that lies nearest to the top, in the first of several methods.

    Raises: SettingsError if there is none, or if two are equally near.

    >>> from nnopt.runs.experiment import default_experiment
    >>> find_setting(default_experiment(), "l2")
    'problem.l2'
    """
    level: list[tuple[str, Any]] = [("", experiment)]
    known: set[str] = set()
    while level:
        inner: list[tuple[str, Any]] = []
        here: list[str] = []
        for place, struct in level:
            for field in struct.__struct_fields__:
                path = f"{place}.{field}" if place else field
                value = getattr(struct, field)
                known.add(field)
                if field == name:
                    here.append(path)
                if isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
                    path, value = f"{path}[0]", value[0]
                if isinstance(value, msgspec.Struct):
                    inner.append((path, value))
        if len(here) > 1:
            raise SettingsError(f"{name}: could be {' or '.join(here)}; write one of them")
        if here:
            return here[0]
        level = inner
    raise _NotFound(f"sweep: {unknown_name('setting', name, {*known, *ALIASES, METHOD})}")


class _NotFound(SettingsError):
    """A setting that may yet come into being with the value of another axis."""


def _axis(experiment: Experiment, name: str, given: Any) -> Axis:
    path = name if name == METHOD or "." in name or "[" in name else ALIASES.get(name) or find_setting(experiment, name)
    if path != METHOD:
        try:
            get_path(experiment, path)
        except SettingsError as error:
            raise _NotFound(f"sweep: {error}") from None
    kind = int if path == METHOD else _type_at(experiment, path)
    values = values_of(name, given, _whole(kind, path), kind is str or get_origin(kind) is Literal)
    values = tuple(_fitting(value, kind, path) for value in values)
    if path == METHOD:
        count = len(experiment.methods)
        wrong = [value for value in values if type(value) is not int or not 0 <= value < count]
        if wrong:
            raise SettingsError(
                f"{METHOD}: expected one of the experiment's methods, 0 .. {count - 1}, got {wrong[0]!r}"
            )
    axis = Axis(name, path, values, tuple(label(value) for value in values))
    seen: set[str] = set()
    for number, text in enumerate(axis.labels):
        if text in seen:
            raise SettingsError(f"{name}: the value {text} is given twice")
        seen.add(text)
        if path != METHOD:
            _place(experiment, axis, number)
    return axis


def _place(experiment: Experiment, axis: Axis, number: int) -> Experiment:
    try:
        return set_path(experiment, axis.path, axis.values[number])
    except SettingsError as error:
        raise SettingsError(f"{axis.name}={axis.labels[number]}: {error}") from None


def _split_name(text: Any) -> tuple[str, str]:
    name, sign, values = text.partition("=") if isinstance(text, str) else ("", "", "")
    if not (sign and name.strip() and values.strip()):
        raise SettingsError(f'sweep: expected an axis such as "lr=0.01..1:log:20" or "seed=0..9", got {text!r}')
    return name.strip(), values.strip()


def _fitting(value: Any, kind: Any, path: str) -> Any:
    """A value as its setting wants it: units of layers as a list, a batch size as the batches of that size."""
    if get_origin(kind) is tuple:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return [value]
        if isinstance(value, str) and re.fullmatch(r"\d+(-\d+)*", value):
            return [int(part) for part in value.split("-")]
    if path in ALIASES.values() and type(value) is int:
        return {"name": "mini", "size": value}
    return float(value) if kind is float and type(value) is int else value


def _whole(kind: Any, path: str) -> bool:
    """Whether numbers for a setting are whole ones: counts, units of layers, batch sizes."""
    entries = get_args(kind)[:1] if get_origin(kind) is tuple else (kind,)
    return path in ALIASES.values() or any(_plain(entry) is int for entry in entries)


def _type_at(experiment: Experiment, path: str) -> Any:
    """The plain type of the setting at a path; None for an entry of a tuple."""
    owner, _, name = path.rpartition(".")
    if name.endswith("]"):
        return None
    kind = _plain(field_type(get_path(experiment, owner) if owner else experiment, name))
    return next((option for option in get_args(kind) if get_origin(option) is tuple), kind)


def _plain(kind: Any) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind
