"""The two steps that both landscape panels compare at a point: -rate * gradient, and Newton's.

No Qt. Newton's step is the exact one, H s = -g whatever the signs of H's eigenvalues, unless the user or the run's own
method damps it: then its name says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnopt.analysis.curvature import MOST_PARAMETERS, hessian_of, newton_step, newton_step_at
from nnopt.errors import UnsupportedError
from nnopt.objectives.functions import Function
from nnopt.optimizers.base import Local
from nnopt_gui.panels.slice_model import HEAVY, Vector, work
from nnopt_gui.state.view import View

#: methods that damp their steps, each by its own μ at every step
DAMPED = ("damped_newton", "gauss_newton", "trust_region", "newton_cg")
#: parameters times examples times Hessian-vector products that a picture may cost
COSTLY = 2e10


@dataclass(frozen=True, eq=False)
class Steps:
    """At theta (P,): value, gradient (P,), rate. newton (P,): None where there is no exact Hessian to be had.

    hessian (P, P) or None. newton_name: "Newton step" or "Newton step, damped". note: what must be said about it.
    """

    theta: Vector
    value: float
    gradient: Vector
    rate: float
    hessian: Vector | None = None
    newton: Vector | None = None
    newton_name: str = "Newton step"
    note: str = ""

    @property
    def gradient_step(self) -> Vector:
        """-rate * gradient, (P,)."""
        return -self.rate * self.gradient


def function_of(view: View) -> Function | None:
    """The test function that is minimized, None for a network."""
    return view.objective if isinstance(view.objective, Function) else None


def lowest_loss(view: View) -> float:
    """What losses are measured from: the function's known minimum, 0 for networks."""
    function = function_of(view)
    return float(function.lowest) if function is not None and math.isfinite(function.lowest) else 0.0


def own_rate(view: View) -> float | None:
    """The learning rate of the update that leaves the step shown; None for methods that have none, as Newton's."""
    stage = view.history.stage_at(min(view.cursor, view.history.length - 1))
    return None if stage.optimizer.needs != "gradient" else float(stage.learning_rate(view.cursor))


def damping_at(view: View, value: float, gradient: Vector) -> float:
    """The damping of the Newton step to compare with: what the user chose ("step.damping"), else that of the run's own
    method, 0 for methods that do not damp."""
    chosen = view.damping
    if chosen != "auto":
        return float(chosen)
    optimizer = view.history.stage_at(min(view.cursor, view.history.length - 1)).optimizer
    if type(optimizer).__struct_config__.tag not in DAMPED or view.state.theta.size > MOST_PARAMETERS:
        return 0.0
    slots = optimizer.init(view.state.theta) if view.probe else view.state.slots
    try:
        update = optimizer.update(Local(view.objective, view.state.theta, value, gradient), slots, 1.0)
    except UnsupportedError:
        return 0.0  # the run itself says that the method does not suit this objective
    return (update.detail or {}).get("damping", 0.0)


def rate_of(view: View, hessian: Vector | None) -> float:
    """The rate of the gradient step to compare with: the run's own, else 1 / |largest curvature|."""
    own = own_rate(view)
    if own is not None:
        return own
    if hessian is None or not np.isfinite(hessian).all():
        return math.nan
    steepest = float(np.abs(np.linalg.eigvalsh(hessian)).max())
    return 1.0 / steepest if steepest > 0 else 1.0


def exact_hessian(objective: Any, theta: Vector) -> Vector | None:
    """(P, P); None where that would take too long."""
    if theta.size > MOST_PARAMETERS or work(objective) * theta.size > COSTLY:
        return None
    return hessian_of(objective, theta)


def steps_at(view: View) -> Steps:
    """Both steps at the view's theta; while a run plays Newton's only where it does not take long."""
    objective, theta = view.objective, view.state.theta
    with np.errstate(all="ignore"):
        value, gradient = objective.value_and_gradient(theta)
        later = view.playing and work(objective) * theta.size > HEAVY
        hessian = None if later else exact_hessian(objective, theta)
        steps = Steps(theta, float(value), gradient, rate_of(view, hessian), hessian)
        if not np.isfinite(gradient).all():
            return steps
        if later:
            return replace(steps, note="pause for the Newton step")
        damping = damping_at(view, float(value), gradient)
        name = "Newton step, damped" if damping else "Newton step"
        if hessian is not None:
            newton, note = newton_step(hessian, gradient, damping)
        elif theta.size > MOST_PARAMETERS and 400 * work(objective) < COSTLY:
            newton, note = newton_step_at(objective, theta, gradient, damping)
        else:
            return steps
    return replace(steps, newton=newton, newton_name=name, note=note)


def parameter_names(objective: Any) -> list[str]:
    """The name of each parameter: "x", "y" of a function; "x₁ → h₂" and "bias of h₂" of a network."""
    network = getattr(objective, "network", None)
    if network is None:
        formula = getattr(objective, "formula", None)
        names = tuple(getattr(formula, "variables", ()))
        return list(names) if len(names) == objective.size else [f"x{_low(i + 1)}" for i in range(objective.size)]
    names = []
    layers = len(network.sizes) - 1
    for layer in range(layers):
        for unit in range(network.sizes[layer + 1]):
            into = _unit("y" if layer == layers - 1 else "h", unit, network.sizes[layer + 1], layer, layers)
            for before in range(network.sizes[layer]):
                source = "x" + _low(before + 1) if layer == 0 else _unit("h", before, 2, layer - 1, layers)
                names.append(f"{source} → {into}")
            names.append(f"bias of {into}")
    return names


def _unit(letter: str, unit: int, count: int, layer: int, layers: int) -> str:
    if letter == "y":
        return "output" if count == 1 else f"output {unit + 1}"
    # the layer is said only where there are several
    return f"h{_low(unit + 1)}" if layers <= 2 else f"h{_low(layer + 1)},{_low(unit + 1)}"


def _low(n: int) -> str:
    return str(n).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
