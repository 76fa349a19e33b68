"""A run whose validation loss soon rises again, for the tests of early stopping."""

from __future__ import annotations

from nnopt import optimizers
from nnopt.objectives import datasets
from nnopt.objectives.network import GlorotUniform
from nnopt.optimizers.stopping import EarlyStopping
from nnopt.runs.experiment import (
    Architecture,
    Experiment,
    Method,
    NetworkProblem,
    Stop,
)

RULE = EarlyStopping()


def overfitting(early: EarlyStopping | None = RULE, **spec: object) -> Experiment:
    """A network on few and noisy points: its validation loss soon rises again."""
    data = datasets.get("circle", points=60, noise=30.0)
    problem = NetworkProblem(data, Architecture((8,), initial=GlorotUniform()))
    method = Method(optimizers.SGD(lr=0.5))
    return Experiment(problem, (method,), **{"steps": 2000, "stop": Stop(early=early), **spec})
