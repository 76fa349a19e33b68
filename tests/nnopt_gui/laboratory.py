"""Small experiments and stand-ins that the tests of the laboratory share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nnopt.objectives.datasets import Data
from nnopt.objectives.functions import Function
from nnopt.optimizers.base import Optimizer
from nnopt.runs.experiment import Architecture, Experiment, FunctionProblem, Method, NetworkProblem, Stop, one_seed


def network(steps: int = 500, seed: int = 1, lr: float = 0.1) -> Experiment:
    """A small network on circles."""
    problem = NetworkProblem(Data.registry.decode({"name": "circle", "points": 40}), Architecture((3,)))
    method = Method(Optimizer.registry.decode({"name": "sgd", "lr": lr}))
    return one_seed(Experiment(problem, (method,), steps=steps), seed)


def valley(steps: int = 100_000, lr: float = 1e-4, name: str = "sgd") -> Experiment:
    """A 2-parameter function on which a run goes on for long."""
    problem = FunctionProblem(Function.registry.decode("rosenbrock"))
    method = Method(Optimizer.registry.decode({"name": name, "lr": lr}))
    return Experiment(problem, (method,), steps=steps, stop=Stop(gradient_norm=0.0))


def wait_until(done: Callable[[], Any], seconds: float = 5.0) -> None:
    """Without an event loop; fails when `done` stays false."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.001)


def make_panel(name: str, where: tuple[int, int, int, int], needs_network: bool = False) -> Any:
    """A real panel that draws nothing but remembers what it was shown."""
    from nnopt_gui.panels.base import Choice, Option, Panel

    class Plain(Panel):
        id = name
        title = name.capitalize()
        area = where
        choices = (Choice("direction", "Direction", (("gradient", "gradient"), ("newton", "Newton"))),)
        options = (Option("model", "Quadratic model"),)

        def __init__(self) -> None:
            super().__init__()
            self.shown: list[Any] = []

        @classmethod
        def supports(cls, experiment: Experiment) -> bool:
            return not needs_network or isinstance(experiment.problem, NetworkProblem)

        def show_view(self, view: Any) -> None:
            self.shown.append(view)

    return Plain()
