"""`nnopt list`: everything there is to choose from, with its settings, their defaults and ranges."""

from __future__ import annotations

import argparse
import inspect
import sys
from typing import Any

from nnopt.cli_words import describe_settings, number_words
from nnopt.errors import NnoptError

KINDS = (
    "optimizers", "functions", "datasets", "schedules", "batches", "losses", "activations", "initials", "searches",
    "stopping", "directions", "analyses", "predictions", "lessons",
)  # fmt: skip


def show(options: argparse.Namespace) -> int:
    """Carry out `nnopt list`; the exit code.

    >>> show(argparse.Namespace(kind="stopping"))  # doctest: +ELLIPSIS
      early_stopping  Stop once `patience` measurements in a row ...
                        patience = 20   (>= 1; measurements; patience)
                        minimum_improvement = 0   (>= 0; minimum improvement)
      measure         Steps between measurements ...
                        every = 0   (>= 0; steps; measure every)
    0
    """
    kinds = [options.kind] if options.kind else KINDS
    for number, kind in enumerate(kinds):
        if len(kinds) > 1:
            print(("\n" if number else "") + kind)
        entries = catalogue(kind)
        width = max((len(name) for name, _, _ in entries), default=0) + 2
        for name, text, settings in entries:
            print(f"  {name:<{width}}{text}")
            for setting in settings:
                print(f"  {'':<{width}}  {setting}")
        if not entries:
            print("  none")
    return 0


def catalogue(kind: str) -> list[tuple[str, str, list[str]]]:
    """(name, one line on it, its settings with defaults and ranges) of everything of a kind, sorted by name.

    kind: one of KINDS; for functions to be called the "settings" are their arguments.

    >>> [name for name, _, _ in catalogue("batches")]
    ['full', 'mini', 'single']
    >>> catalogue("searches")[0][2][0].startswith("(value_at, theta")
    True
    """
    if kind == "lessons":
        return _lessons()
    if kind in ("losses", "activations"):
        from nnopt.objectives.activations import ACTIVATIONS
        from nnopt.objectives.losses import LOSSES

        members: dict[str, Any] = {**(LOSSES if kind == "losses" else ACTIVATIONS)}
        return [(name, _first_line(type(member)), []) for name, member in sorted(members.items())]
    if kind == "directions":
        from nnopt.analysis.directions import KINDS as DIRECTIONS

        return [(name, text, []) for name, text in sorted(DIRECTIONS.items())]
    if kind == "stopping":
        from nnopt.optimizers.stopping import EarlyStopping
        from nnopt.runs.experiment import Measure

        kinds = (("early_stopping", EarlyStopping), ("measure", Measure))
        return [(name, _paragraph(kind), _settings_of(kind)) for name, kind in kinds]
    if kind in ("searches", "analyses", "predictions"):
        return [(name, _paragraph(member), [_call(member)]) for name, member in sorted(_functions(kind).items())]
    registry = _registry(kind)
    return [
        (name, _first_line(registry.get(name)), _settings_of(registry.get(name))) for name in sorted(registry.names())
    ]


def _registry(kind: str) -> Any:
    from nnopt.objectives.datasets import Data
    from nnopt.objectives.functions import Function
    from nnopt.objectives.network import Initial
    from nnopt.optimizers.base import Optimizer
    from nnopt.optimizers.batches import Batches
    from nnopt.optimizers.schedules import Schedule

    interfaces: dict[str, Any] = {
        "optimizers": Optimizer, "functions": Function, "datasets": Data, "schedules": Schedule,
        "batches": Batches, "initials": Initial,
    }  # fmt: skip
    return interfaces[kind].registry


def _functions(kind: str) -> dict[str, Any]:
    """What can be called from a notebook, by name."""
    from nnopt import analysis
    from nnopt.analysis import theory
    from nnopt.optimizers import line_search

    if kind == "searches":
        return {"armijo": line_search.armijo, "strong_wolfe": line_search.strong_wolfe}
    module = analysis if kind == "analyses" else theory
    members = {name: getattr(module, name) for name in module.__all__}
    return {name: member for name, member in members.items() if inspect.isfunction(member)}


def _paragraph(member: Any) -> str:
    """A docstring's first paragraph, on one line."""
    return " ".join((member.__doc__ or "").strip().split("\n\n")[0].split())


def _call(function: Any) -> str:
    """Its arguments with their defaults: "(objective, theta, most=600)"."""
    arguments = []
    for name, argument in inspect.signature(function).parameters.items():
        usual = argument.default
        written = usual.__name__ if isinstance(usual, type) else repr(usual)
        arguments.append(name if usual is argument.empty else f"{name}={written}")
    return f"({', '.join(arguments)})"


def _first_line(cls: type) -> str:
    """What a class is, in one line: the sentence it states itself, or its docstring's first line."""
    teaches = getattr(cls, "teaches", None)
    module = sys.modules[cls.__module__]
    alone = cls.__module__.startswith("nnopt.optimizers.") and cls.__module__.split(".")[-1] not in (
        "schedules",
        "batches",
    )
    text = teaches or (module.__doc__ if alone else cls.__doc__) or ""
    title = getattr(cls, "title", None)
    line = " ".join(text.strip().split("\n\n")[0].split())
    return f"{title}: {line}" if title and not line.startswith(title) else line


def _settings_of(cls: Any) -> list[str]:
    import msgspec

    lines = []
    for field in msgspec.structs.fields(cls):
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory
        given = (
            "required"
            if default is msgspec.NODEFAULT
            else describe_settings(default() if callable(default) else default)
        )
        lines.append(f"{field.name} = {given}{_range(field.type)}")
    return lines


def _range(kind: Any) -> str:
    from typing import Literal, get_args, get_origin

    import msgspec

    metas = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    plain = get_args(kind)[0] if metas else kind
    parts: list[str] = []
    for meta in metas:
        bounds = ((">", meta.gt), (">=", meta.ge), ("<", meta.lt), ("<=", meta.le))
        limits = " and ".join(f"{sign} {number_words(bound)}" for sign, bound in bounds if bound is not None)
        unit = (meta.extra or {}).get("unit", "")
        label = meta.title if meta.title and meta.title.isascii() else ""
        parts.extend(part for part in (limits, unit, label) if part)
    if get_origin(plain) is Literal:
        parts.insert(0, "one of " + ", ".join(map(str, get_args(plain))))
    return f"   ({'; '.join(parts)})" if parts else ""


def _lessons() -> list[tuple[str, str, list[str]]]:
    from nnopt.assets import asset

    try:
        files = sorted(entry.name for entry in asset("lessons").iterdir() if not entry.name.startswith("."))
    except NnoptError:
        return []
    return [(name.partition(".")[0], "", []) for name in files]
