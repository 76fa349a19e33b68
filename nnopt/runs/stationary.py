"""What a run has come to where the gradient has all but vanished: asked when it would be said to have converged."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnopt.errors import UnsupportedError
from nnopt.objectives.functions import Function
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Local, Vector
from nnopt.optimizers.escape import CLEAR, leaves
from nnopt.optimizers.linear import length_of
from nnopt.runs.stage import Arrival, Stage
from nnopt.shown import beside

UNKNOWN = "a minimum or a saddle"
#: what a run may converge to that is no minimum
OTHERS = ("a maximum", "a saddle", "not a minimum")
#: parameters up to which the curvatures are computed to say what it is: some hundredths of a second
MOST = 600


def goes_on(stage: Stage, arrival: Arrival) -> bool:
    """Whether the method leaves the point because curvature is negative there, lower with its next step: it has then
    not converged. The step is that on all examples.

    >>> import nnopt
    >>> from nnopt.objectives.functions import get
    >>> for method in (nnopt.optimizers.Newton(), nnopt.optimizers.TrustRegion()):
    ...     stage = Stage(get("saddle"), method)
    ...     print(goes_on(stage, stage.arrive(stage.init(np.zeros(2)))))
    False
    True
    """
    if not stage.optimizer.leaves_saddles:
        return False
    state, theta = arrival.state, arrival.state.theta
    value, gradient = arrival.value, arrival.gradient
    with np.errstate(all="ignore"):
        if arrival.rows is not None:
            value, gradient = stage.objective.value_and_gradient(theta)
        local = Local(stage.objective, theta, float(value), gradient)
        update = stage.optimizer.update(local, state.slots, stage.learning_rate(state.step))
        return leaves(update, local.value, length_of(gradient))


def why(stage: Stage, theta: Vector, slope: float) -> str:
    """Why a run has converged at theta (P,), where |g| = slope is below the stage's limit, in words.

    >>> from nnopt import optimizers
    >>> from nnopt.objectives.functions import get
    >>> why(Stage(get("saddle"), optimizers.Newton(), gradient_norm=1e-8), np.zeros(2), 0.0)
    "the gradient's norm 0 is below 1e-08 (a saddle: 1 of 2 curvatures is negative)"
    """
    norm = beside(slope, stage.gradient_norm, 1, "e") if slope else "0"
    return f"the gradient's norm {norm} is below {stage.gradient_norm:g} ({kind_of(stage, theta, slope)})"


def kind_of(stage: Stage, theta: Vector, slope: float) -> str:
    """What kind of stationary point theta (P,) is, in words, from the signs of the curvatures; "a minimum or a saddle"
    where they are not known: for more than 600 parameters, for a function without a Hessian, and for a user's own
    objective under a method that does without it.

    slope: |g| there. A curvature that is not larger in size counts as zero; one that is negative, and not a thousand
    times larger, does not say what the point is (see `escape.CLEAR`).

    >>> from nnopt import optimizers
    >>> from nnopt.objectives.functions import get
    >>> kind_of(Stage(get("saddle"), optimizers.Newton()), np.zeros(2), 0.0)
    'a saddle: 1 of 2 curvatures is negative'
    """
    objective: Any = stage.objective
    known = isinstance(objective, (Function, NetworkObjective)) or stage.optimizer.needs == "hessian"
    if not known or theta.size > MOST or not hasattr(objective, "hessian"):
        return UNKNOWN
    try:
        with np.errstate(all="ignore"):
            hessian = np.asarray(objective.hessian(theta), dtype=np.float64)
    except (NotImplementedError, UnsupportedError):
        # a plug-in's function that has none, under a method that never asked for it
        return UNKNOWN
    if not np.isfinite(hessian).all():
        return UNKNOWN
    values = np.linalg.eigvalsh(hessian)
    rounding = 1e-12 * float(np.abs(values).max())
    size, clear = max(slope, rounding), max(CLEAR * slope, rounding)
    negative, positive = int(np.count_nonzero(values < -clear)), int(np.count_nonzero(values > size))
    if negative:
        kind = "a maximum" if negative == len(values) else "a saddle" if positive else "not a minimum"
        signs = f"{negative} of {len(values)} curvatures {'is' if negative == 1 else 'are'}"
        return f"{kind}: {'the curvature is' if len(values) == 1 else signs} negative"
    if values[0] < -size:
        return UNKNOWN
    if positive == len(values):
        return "a minimum"
    return "the curvature is zero" if len(values) == 1 else "no curvature is negative, but some are zero"


def not_a_minimum(reason: str) -> str:
    """Which of OTHERS a run has converged to, by the reason `why` gave; "" for a minimum or where it is not known.

    >>> not_a_minimum("the gradient's norm 0 is below 1e-08 (a saddle: 1 of 2 curvatures is negative)")
    'a saddle'
    """
    return next((kind for kind in OTHERS if f"({kind}:" in reason), "")


__all__ = ["OTHERS", "UNKNOWN", "goes_on", "kind_of", "not_a_minimum", "why"]
