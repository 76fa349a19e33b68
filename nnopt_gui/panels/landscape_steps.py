"""The steps that the panels compare at a point: -rate * gradient, Newton's, and the one that the run makes.

No Qt. Newton's step is the exact one, H s = -g whatever the signs of H's eigenvalues, of the full loss, and undamped
unless its name says so; the run's own is that of its method, memory and batch. All panels share what one state needs:
the first that asks computes it, `known_steps` tells whether it is there.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from threading import Lock, RLock
from typing import Any

import numpy as np

from nnopt.analysis.around import Around
from nnopt.analysis.curvature import EXACT_STEP, MOST_PARAMETERS
from nnopt.objectives.functions import Function
from nnopt_gui.panels.own_step import OwnStep, own_step
from nnopt_gui.panels.slice_model import HEAVY, Vector, work
from nnopt_gui.state.view import View

#: parameters times examples times Hessian-vector products that a picture may cost
COSTLY = 2e10
#: states whose steps are kept, and of those with a large Hessian
KEPT, KEPT_LARGE = 8, 2


@dataclass(frozen=True, eq=False)
class Steps:
    """At theta (P,): value, gradient (P,), rate. newton (P,): None where it is not known. own: the step that the run
    makes; None where it is one of the other two, or not known yet.

    hessian (P, P) or None. damping: of the Newton step. newton_name: "Newton step" or "Newton step, damped". note: what
    must be said about it. radius: of the trust region, NaN without. complete: whether everything that there is to know
    is in it; if not, it is the part that needs no curvature.
    """

    theta: Vector
    value: float
    gradient: Vector
    rate: float
    hessian: Vector | None = None
    newton: Vector | None = None
    newton_name: str = "Newton step"
    note: str = ""
    damping: float = 0.0
    own: OwnStep | None = None
    radius: float = math.nan
    complete: bool = True
    around: Around | None = None

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


def stage_of(view: View) -> Any:
    """What determines the update that leaves the step shown."""
    return view.history.stage_at(min(view.cursor, view.history.length - 1))


def own_rate(view: View) -> float | None:
    """The learning rate of the update that leaves the step shown; None for methods that have none, as Newton's."""
    stage = stage_of(view)
    return None if stage.optimizer.needs != "gradient" else float(stage.learning_rate(view.cursor))


def damping_of(view: View) -> float:
    """The damping of the Newton step to compare with: what the user chose ("step.damping"), else none."""
    return 0.0 if view.damping == "auto" else float(view.damping)


def affordable(objective: Any) -> bool:
    """Whether the Hessian and one factorization of it may be computed for a picture."""
    return int(objective.size) <= EXACT_STEP and work(objective) * int(objective.size) <= COSTLY


class _Known:
    """What is known of one state of one run; each part is computed once."""

    def __init__(self, view: View, stage: Any) -> None:
        self.history, self.objective, self.stage = view.history, view.objective, stage
        self.state = view.state
        self.around = Around(view.objective, view.state.theta, iterate=False)
        self.whole: dict[float, Steps] = {}
        self.lock = RLock()
        # a first-order step does not wait for the curvature that `lock` is held for
        self._own_lock = Lock() if stage.optimizer.needs == "gradient" else self.lock
        self._own: tuple[OwnStep | None] | None = None

    def fits(self, view: View, stage: Any) -> bool:
        """Whether this is the view's state, under the same method and loss."""
        return self.history is view.history and self.objective is view.objective and self.stage is stage

    def own(self) -> OwnStep | None:
        """The run's own step, whatever it costs."""
        with self._own_lock:
            if self._own is None:
                self._own = (own_step(self.stage, self.state, self.around),)
            return self._own[0]


@dataclass
class _Memory:
    """The states that were asked for last."""

    lock: Any = field(default_factory=Lock)
    states: OrderedDict[tuple[Any, ...], _Known] = field(default_factory=OrderedDict)

    def find(self, view: View) -> _Known:
        """What is known of the view's state; to be filled if it is new."""
        stage = stage_of(view)
        key = (view.run, view.state.step, view.state.theta.tobytes())
        with self.lock:
            known = self.states.pop(key, None)
            if known is None or not known.fits(view, stage):
                known = _Known(view, stage)
            self.states[key] = known
            most = KEPT_LARGE if view.state.theta.size > MOST_PARAMETERS else KEPT
            while len(self.states) > most:
                self.states.popitem(last=False)
            return known


_memory = _Memory()


def forget(keep: Any) -> None:
    """Nothing is wanted any more of runs other than the one with this history."""
    with _memory.lock:
        for key in [key for key, known in _memory.states.items() if known.history is not keep]:
            del _memory.states[key]


def around(view: View) -> Around | None:
    """The full loss around the view's theta, shared by all panels; None where its curvature would take too long."""
    large = int(view.objective.size) > EXACT_STEP  # there no Hessian is made
    return _memory.find(view).around if large or affordable(view.objective) else None


def first_steps(view: View) -> Steps:
    """The part of `steps_at` that needs no curvature: value, gradient, and the steps of first-order methods."""
    known = _memory.find(view)
    rate = own_rate(view)
    here = known.around
    with np.errstate(all="ignore"):
        steps = Steps(
            here.theta,
            here.value,
            here.gradient,
            math.nan if rate is None else rate,
            damping=damping_of(view),
            complete=False,
            around=here,
        )
        if rate is None or not np.isfinite(here.gradient).all():
            return steps
        return _with_own(steps, known.own())


def known_steps(view: View) -> Steps | None:
    """`steps_at` if it is known already; computes nothing."""
    return _memory.find(view).whole.get(damping_of(view))


def steps_at(view: View) -> Steps:
    """All steps at the view's theta; while a run plays those that need curvature only where that does not take long."""
    if view.playing and work(view.objective) * int(view.objective.size) > HEAVY:
        return known_steps(view) or replace(first_steps(view), note="pause for the Newton step")
    known, damping = _memory.find(view), damping_of(view)
    with known.lock:
        if damping not in known.whole:
            known.whole[damping] = _steps(view, known, damping)
        return known.whole[damping]


def _steps(view: View, known: _Known, damping: float) -> Steps:
    objective, here = view.objective, known.around
    finite = bool(np.isfinite(here.gradient).all())
    with np.errstate(all="ignore"):
        exact = affordable(objective)
        hessian = here.hessian if exact else None
        rate = own_rate(view)
        if rate is None:
            rate = _careful_rate(here) if exact else math.nan
        newton, note = None, ""
        if finite and exact:
            newton, note = here.newton(damping)
        elif here.theta.size > EXACT_STEP:
            note = f"the Newton step is not known: more than {EXACT_STEP:,} parameters"
        steps = Steps(
            here.theta,
            here.value,
            here.gradient,
            rate,
            hessian,
            newton,
            "Newton step, damped" if damping else "Newton step",
            note,
            damping,
            around=here,
        )
        if not finite or (known.stage.optimizer.needs != "gradient" and not _method_affordable(known.stage, objective)):
            return steps
        return _with_own(steps, known.own())


def _with_own(steps: Steps, own: OwnStep | None) -> Steps:
    """With the run's own step, unless that is one of those drawn already."""
    if own is None:
        return steps
    with np.errstate(all="ignore"):
        other = own.is_other_than(steps.gradient_step, steps.newton)
    return replace(steps, own=own if other else None, radius=own.radius)


def _method_affordable(stage: Any, objective: Any) -> bool:
    """Whether a curvature method's step may be computed again for a picture."""
    products = objective.size if stage.optimizer.needs == "hessian" else 100
    return bool(work(objective) * products <= COSTLY and objective.size <= EXACT_STEP)


def _careful_rate(here: Around) -> float:
    """1 / |largest curvature|, the rate of the gradient step that a method without one is compared with."""
    steepest = max(map(abs, here.ends))
    return 1.0 / steepest if steepest > 0 else 1.0 if steepest == 0 else math.nan


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
