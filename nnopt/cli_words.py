"""What things are called on the command line: a problem, a method, a number in few characters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

#: exit code after Ctrl+C
INTERRUPTED = 130

if TYPE_CHECKING:
    from nnopt.objectives.datasets import Dataset


def describe_problem(problem: Any, dataset: Dataset | None) -> str:
    """A problem in a few words: "circle (400 examples), network 2-8-1 tanh" or "rosenbrock".

    problem: the spec. dataset: its data, None for a function.

    >>> from nnopt.objectives import functions
    >>> from nnopt.runs.experiment import FunctionProblem, default_experiment
    >>> from nnopt.runs.problem import build
    >>> circles = build(default_experiment())
    >>> describe_problem(circles.experiment.problem, circles.dataset)
    'circle (400 examples), network 2-8-1 tanh'
    >>> describe_problem(FunctionProblem(functions.get("rosenbrock")), None)
    'rosenbrock'
    """
    if dataset is None:
        return describe_settings(problem.function)
    sizes = "-".join(map(str, (dataset.inputs, *problem.network.hidden, dataset.outputs)))
    return f"{problem.data.name} ({dataset.n:,} examples), network {sizes} {problem.network.activation}"


def describe_settings(value: Any) -> str:
    """A settings struct as "momentum(lr=0.1, beta=0.5)"; any other value as it is written.

    Of its settings, the learning rate and those that differ from their defaults.

    >>> from nnopt.optimizers import get
    >>> describe_settings(get("momentum")()), describe_settings(get("momentum")(lr=0.5, beta=0.8))
    ('momentum(lr=0.1)', 'momentum(lr=0.5, beta=0.8)')
    """
    import msgspec

    if not isinstance(value, msgspec.Struct):
        return number_words(value) if isinstance(value, float) else "none" if value is None else str(value)
    given = {field.name: (getattr(value, field.name), field.default) for field in msgspec.structs.fields(value)}
    settings = [
        f"{name}={describe_settings(now)}" for name, (now, usual) in given.items() if name == "lr" or now != usual
    ]
    tag = value.__struct_config__.tag or type(value).__name__
    return f"{tag}({', '.join(settings)})" if settings else str(tag)


def number_words(number: float) -> str:
    """A number with six digits at most; "1" for 1.0.

    >>> number_words(1.0), number_words(1 / 3), number_words(1e-8)
    ('1', '0.333333', '1e-08')
    """
    if math.isfinite(number) and number == int(number) and abs(number) < 1e6:
        return str(int(number))
    return f"{number:g}"
