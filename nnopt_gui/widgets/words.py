"""Names in words: what the forms call methods, data sets, functions and their settings, and what can be chosen.

A new member of a registry needs no entry here: its `title`, or its name with spaces, is used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnopt.objectives.losses import LOSSES
from nnopt.optimizers.base import Optimizer
from nnopt.runs.changes import AnyChange, describe
from nnopt.runs.stage import MAX_HESSIAN
from nnopt.settings import Registry
from nnopt_gui.widgets import numbers

_NAMES = {
    "sgd": "Gradient",
    "rmsprop": "RMSprop",
    "damped_newton": "Damped Newton",
    "full": "all examples",
    "mini": "mini-batches",
    "single": "one example",
    "constant": "constant",
    "inverse_time": "a / (1 + d t)",
    "power": "a / (1 + t)ᵈ",
    "step": "falls in steps",
    "exponential": "exponential",
    "cosine": "cosine",
    "hold": "hold, then another",
    "warmup": "warm-up, then another",
    "glorot_uniform": "Glorot, uniform",
    "he_normal": "He, normal",
    "normal": "normal",
    "zeros": "zeros",
    "network": "Network",
    "function": "Test function",
    "binary_cross_entropy": "binary cross-entropy",
    "cross_entropy": "cross-entropy",
    "squared_error": "squared error",
    "leaky_relu": "leaky ReLU",
    "relu": "ReLU",
    "csv": "CSV file …",
    "auto": "automatic",
    "convnetjs": "ConvNetJS",
    "playground": "Playground",
    "tanh": "tanh",
}

_TAUGHT = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "newton", "damped_newton")

_LABELS = {
    "problem": "Kind",
    "data": "Set",
    "function": "Function",
    "optimizer": "Step",
    "batches": "Batch",
    "then": "Then",
    "gradient_norm": "Converged at",
    "explosion": "Diverged at",
    "std": "Deviation σ",
    "condition": "Condition κ",
    "validation": "Validation",
    "minimum_improvement": "By more than",
}

#: sections of the experiment's form: (title, roots of the paths in it), longest root wins; what is changed while a run
#: goes on stands first, where it is seen without scrolling
EXPERIMENT_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Method", ("methods",)),
    ("Problem", ("problem",)),
    ("Data", ("problem.data", "problem.validation", "data_seed", "split_seed")),
    ("Network", ("problem.network", "problem.loss", "problem.l2", "problem.l1")),
    ("Run", ("seed", "batch_seed", "steps", "measure", "stop")),
)


def name_words(name: str, cls: type | None = None) -> str:
    """A registered name as a person would say it."""
    title = getattr(cls, "title", None)
    if name in _NAMES:
        return _NAMES[name]
    if isinstance(title, str) and title:
        return title
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def change_words(change: AnyChange, before: Any, since: bool = True) -> str:
    """What the user did to a run, as the forms call it: "method Gradient → Damped Newton". before: the experiment in
    force before it; since: whether to say what a setting was until then."""
    return describe(change, before, name_words, number_words, since)


def number_words(number: float) -> str:
    """A setting's number: 2,000 or 0.05."""
    return numbers.integer(number) if isinstance(number, int) else numbers.short(number, 6)


def label_words(field: str, label: str | None) -> str:
    """The label of a field: its own (with a capital), or its name with spaces."""
    words = _LABELS.get(field) or label or field.replace("_", " ")
    # Greek letters are symbols: a capital one would be another
    return words[:1].upper() + words[1:] if words[:1].isascii() else words


def text_choices(cls: type, field: str) -> tuple[tuple[str, str], ...]:
    """(value, words) of a text field that takes only some names: activations and losses."""
    from nnopt.objectives.activations import ACTIVATIONS

    if field == "activation":
        return tuple((name, _NAMES.get(name, name.replace("_", " "))) for name in ACTIVATIONS)
    if field == "loss":
        return tuple((name, name_words(name)) for name in ("auto", *LOSSES))
    return ()


def unfit_losses(dataset: Any) -> dict[str, str]:
    """The losses that these examples cannot take, and why; dataset: None where there are no examples."""
    if dataset is None:
        return {}
    if dataset.task == "regression":
        why = "The target is a number, not a class:\nonly the squared error fits."
        fits = {"squared_error"}
    elif len(dataset.classes) > 2:
        why = f"There are {len(dataset.classes)} classes:\nonly the cross-entropy fits."
        fits = {"cross_entropy"}
    else:
        why = "There are two classes, hence one output:\nthe binary cross-entropy fits."
        fits = {"binary_cross_entropy", "squared_error"}
    return {name: why for name in LOSSES if name not in fits}


def unfit_methods(objective: Any) -> dict[str, str]:
    """The methods that cannot minimize this objective, and why."""
    refused = {}
    for name in Optimizer.registry.names():
        if Optimizer.registry.get(name).needs == "hessian" and objective.size > MAX_HESSIAN:
            refused[name] = f"It needs the whole Hessian, of up to {numbers.integer(MAX_HESSIAN)} parameters."
    if not hasattr(objective, "gauss_newton"):
        refused["gauss_newton"] = (
            "A test function is not made of outputs and a loss of them:\n"
            "Damped Newton does the same with the whole Hessian."
        )
    return refused


def member_choices(registry: Registry[Any]) -> tuple[tuple[str, str], ...]:
    """(name, words) of everything registered: methods in the order in which they are taught, the rest as registered."""
    names = sorted(registry.names(), key=lambda name: _TAUGHT.index(name) if name in _TAUGHT else len(_TAUGHT))
    return tuple((name, name_words(name, registry.get(name))) for name in names)


def explanation(cls: type) -> str:
    """The first paragraph of a class's docstring, for a tooltip."""
    return (inspect.getdoc(cls) or "").split("\n\n")[0]


@dataclass(frozen=True)
class Note:
    """A line below a field: whether it is good, what holds, and why."""

    good: bool
    text: str
    reason: str


def notes_of(value: Any) -> tuple[Note, ...]:
    """What must be said about a chosen member: a schedule's verdict by Robbins and Monro."""
    judge: Callable[[], Any] | None = getattr(value, "robbins_monro", None)
    if judge is None:
        return ()
    verdict = judge()
    reasons = [reason.partition(": ")[2] or reason for reason in verdict.reasons]
    return (
        Note(verdict.diverges, "Σ α = ∞", reasons[0]),
        Note(verdict.square_summable, "Σ α² < ∞", reasons[1]),
    )


def consequence(field: str, good: bool) -> str:
    """What a verdict of Robbins and Monro means for the run, where its reason has no room."""
    if "²" in field:
        return "any noise dies out" if good else "not guaranteed"
    return "reaches any distance" if good else "stops short"
