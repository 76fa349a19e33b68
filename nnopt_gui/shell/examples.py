"""The experiments that the toolbar offers: a few good places to begin. One row makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from nnopt.objectives.datasets import Data
from nnopt.objectives.functions import Function
from nnopt.optimizers.base import Optimizer
from nnopt.optimizers.batches import Batches
from nnopt.runs.experiment import (
    Architecture,
    Experiment,
    FunctionProblem,
    Method,
    NetworkProblem,
    default_experiment,
)


@dataclass(frozen=True)
class Example:
    """title: in the list. hint: what it shows, in a few words. experiment: makes it."""

    title: str
    hint: str
    experiment: Callable[[], Experiment]


def _network(data: str, hidden: tuple[int, ...], optimizer: Any, batches: Any = "full") -> Experiment:
    problem = NetworkProblem(Data.registry.decode(data), Architecture(hidden))
    method = Method(Optimizer.registry.decode(optimizer), batches=Batches.registry.decode(batches))
    return Experiment(problem, (method,))


def _function(function: Any, optimizer: Any, steps: int = 2000, start: tuple[float, ...] | None = None) -> Experiment:
    problem = FunctionProblem(Function.registry.decode(function), start)
    return Experiment(problem, (Method(Optimizer.registry.decode(optimizer)),), steps=steps)


def _circles() -> Experiment:
    """The default experiment, with a budget that ends soon after its plateau does."""
    return msgspec.structs.replace(default_experiment(), steps=1000)


def _adam(lr: float) -> dict[str, Any]:
    return {"name": "adam", "lr": lr}


def _momentum(lr: float, beta: float = 0.9) -> dict[str, Any]:
    return {"name": "momentum", "lr": lr, "beta": beta}


def _sgd(lr: float) -> dict[str, Any]:
    return {"name": "sgd", "lr": lr}


def _mini(size: int) -> dict[str, Any]:
    return {"name": "mini", "size": size}


EXAMPLES: tuple[Example, ...] = (
    Example("Circles", "a plateau, then a fall", _circles),
    Example("Spiral", "two hidden layers", lambda: _network("spiral", (16, 16), _adam(0.01), _mini(20))),
    Example("XOR", "four hidden units", lambda: _network("xor", (4,), _momentum(0.05), _mini(10))),
    Example("Moons", "a bent boundary", lambda: _network("moons", (8,), _momentum(0.1))),
    Example("Random labels", "learnt by heart", lambda: _network("random_labels", (16, 16), _adam(0.01))),
    Example("Three arms", "three classes", lambda: _network("spiral3", (16, 16), _adam(0.02))),
    Example("Iris", "four inputs, real data", lambda: _network("iris", (6,), _momentum(0.1), _mini(10))),
    Example("Sine", "regression with one input", lambda: _network("sine", (12,), _adam(0.02))),
    Example("Rosenbrock", "gradient steps in a valley", lambda: _function("rosenbrock", _momentum(0.0005), 5000)),
    Example("Rosenbrock, Newton", "there in six steps", lambda: _function("rosenbrock", "newton", 50)),
    Example("Himmelblau", "four minima", lambda: _function("himmelblau", _sgd(0.005), 500)),
    Example("Himmelblau, Newton", "uphill to a maximum", lambda: _function("himmelblau", "newton", 50, (0.0, 0.0))),
    Example("Quadratic", "a narrow one", lambda: _function({"name": "quadratic", "condition": 50.0}, _sgd(0.03), 500)),
    Example("Saddle", "slow, then away", lambda: _function("saddle", _sgd(0.02), 200)),
    Example("Ripples", "flat, with waves", lambda: _function("ripple", _momentum(0.05), 1000)),
    Example(
        "Double well (1D)", "one minimum or the other", lambda: _function("double_well", _momentum(0.01, 0.5), 300)
    ),
    Example("Many minima (1D)", "the lecture's cartoon", lambda: _function("many_minima", _sgd(0.01), 300)),
    Example("Plateau (1D)", "a long flat stretch", lambda: _function("plateau", _sgd(0.1), 1000)),
    Example("Steep beside flat (1D)", "no rate fits both", lambda: _function("steep_beside_flat", _sgd(0.05), 500)),
)
