"""The run's own step beside the gradient step and Newton's: what the method adds to theta, and its name. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnopt.analysis.around import Around
from nnopt.analysis.explanation import update_at
from nnopt.errors import UnsupportedError
from nnopt.runs.state import State
from nnopt_gui.panels.slice_model import Vector

#: what the step of a method is called, by its tag
NAMES = {
    "sgd": "gradient step",
    "momentum": "momentum step",
    "nesterov": "Nesterov step",
    "adagrad": "AdaGrad step",
    "rmsprop": "RMSProp step",
    "adam": "Adam step",
    "newton": "Newton step",
    "damped_newton": "damped Newton step",
    "saddle_free_newton": "saddle-free step",
    "gauss_newton": "Gauss–Newton step",
    "trust_region": "trust-region step",
    "newton_cg": "Newton-CG step",
    "lbfgs": "L-BFGS step",
}
#: two steps that differ by less than this part of their length are one
SAME = 1e-9


@dataclass(frozen=True, eq=False)
class OwnStep:
    """step (P,): what the update that leaves the state adds to theta. value: the full loss where it lands. name: "Adam
    step", "batch gradient step". batch: whether it is made from a mini-batch. radius: of the region that the model was
    trusted in, NaN for other methods. note: what the method says."""

    step: Vector
    value: float
    name: str
    batch: bool = False
    radius: float = math.nan
    note: str = ""

    @property
    def length(self) -> float:
        """|step|."""
        with np.errstate(all="ignore"):
            return float(np.linalg.norm(self.step))

    def is_other_than(self, *steps: Vector | None) -> bool:
        """Whether it is none of these."""
        with np.errstate(all="ignore"):
            return all(
                step is None or not float(np.linalg.norm(self.step - step)) <= SAME * self.length for step in steps
            )


def name_of_step(optimizer: Any, batch: bool) -> str:
    """What the step of a method is called; of a mini-batch, that it is one's.

    >>> from nnopt.optimizers import Adam, SGD
    >>> name_of_step(Adam(), False), name_of_step(Adam(), True), name_of_step(SGD(), True)
    ('Adam step', 'Adam step of the batch', 'batch gradient step')
    """
    tag = str(type(optimizer).__struct_config__.tag)
    name = NAMES.get(tag, f"{tag.replace('_', ' ')} step")
    if tag == "newton" and optimizer.lr != 1.0:
        name = "scaled Newton step"
    if not batch:
        return name
    return f"batch {name}" if tag in ("sgd", "newton") else f"{name} of the batch"


def own_step(stage: Any, state: State, around: Around) -> OwnStep | None:
    """The step of the method in force from a state, with its batch and its memory; None where the method does not suit
    the objective, of which the run itself tells. around: the full loss there."""
    try:
        _, update = update_at(stage, state, around)
    except UnsupportedError:
        return None
    with np.errstate(all="ignore"):
        finite = bool(np.isfinite(update.step).all())
        value = float(around.objective.value(state.theta + update.step)) if finite else math.nan
    radius = (update.detail or {}).get("radius", math.nan)
    name = name_of_step(stage.optimizer, not stage.full)
    return OwnStep(update.step, value, name, not stage.full, float(radius), update.note)
