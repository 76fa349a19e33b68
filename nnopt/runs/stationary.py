"""What a run has come to where the gradient has all but vanished: asked when it would be said to have converged."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnopt.objectives.functions import Function
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Local, Vector
from nnopt.optimizers.escape import leaves
from nnopt.optimizers.linear import length_of
from nnopt.runs.stage import Arrival, Stage

UNKNOWN = "a minimum or a saddle"
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


def kind_of(stage: Stage, theta: Vector, slope: float) -> str:
    """What kind of stationary point theta (P,) is, in words, from the signs of the curvatures; "a minimum or a saddle"
    where they are not known: for more than 600 parameters, and for a user's own objective under a method that does
    without its Hessian.

    slope: |g| there. A curvature that is not larger in size counts as zero (see `escape.leaves`); where none is a
    thousand times larger the stationary point itself may be far away, and "not a minimum" is all that is said.

    >>> from nnopt import optimizers
    >>> from nnopt.objectives.functions import get
    >>> kind_of(Stage(get("saddle"), optimizers.Newton()), np.zeros(2), 0.0)
    'a saddle: 1 of 2 curvatures is negative'
    """
    objective: Any = stage.objective
    known = isinstance(objective, (Function, NetworkObjective)) or stage.optimizer.needs == "hessian"
    if not known or theta.size > MOST or not hasattr(objective, "hessian"):
        return UNKNOWN
    with np.errstate(all="ignore"):
        hessian = np.asarray(objective.hessian(theta), dtype=np.float64)
    if not np.isfinite(hessian).all():
        return UNKNOWN
    values = np.linalg.eigvalsh(hessian)
    size = max(slope, 1e-12 * float(np.abs(values).max()))
    negative, positive = int(np.count_nonzero(values < -size)), int(np.count_nonzero(values > size))
    if negative:
        near = -values[0] > 1e3 * slope
        kind = "a maximum" if negative == len(values) else "a saddle" if positive else "not a minimum"
        kind = kind if near else "not a minimum"
        signs = f"{negative} of {len(values)} curvatures {'is' if negative == 1 else 'are'}"
        return f"{kind}: {'the curvature is' if len(values) == 1 else signs} negative"
    if positive == len(values):
        return "a minimum"
    return "the curvature is zero" if len(values) == 1 else "no curvature is negative, but some are zero"


__all__ = ["UNKNOWN", "goes_on", "kind_of"]
