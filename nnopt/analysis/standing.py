"""Plateau or converged? What the loss alone cannot tell: the gradient and the smallest curvature where a run stands.

Floor `analysis`, above curvature.py and lanczos.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnopt.analysis.curvature import hessian_of
from nnopt.analysis.lanczos import eigenpairs

#: parameters up to which the whole Hessian is made
EXACT = 300
#: a curvature is zero below this fraction of the largest
ZERO = 1e-4
#: a run has arrived when a Newton step along the flattest direction would gain less than this fraction of the loss
LITTLE = 1e-3


@dataclass(frozen=True)
class Standing:
    """gradient_norm; lowest, highest: the smallest and the largest eigenvalue of the Hessian; loss: at that point,
    above the least possible one where that is known.

    kind: "saddle" where the curvature is negative in some direction, "hilltop" where it is positive in none: the run
    will escape. "minimum" where it is positive in all, and what is left to gain is little. "falling" otherwise.

    >>> Standing(gradient_norm=0.0, lowest=-1.0, highest=2.0, loss=1.0).kind
    'saddle'
    """

    gradient_norm: float
    lowest: float
    highest: float
    loss: float

    @property
    def kind(self) -> str:
        """See the class."""
        zero = ZERO * max(abs(self.lowest), abs(self.highest))
        if self.lowest < -zero:
            return "saddle" if self.highest > zero else "hilltop"
        gain = self.gradient_norm**2 / (2.0 * self.lowest) if self.lowest > zero else np.inf
        still = self.gradient_norm == 0.0 and self.lowest > zero
        return "minimum" if still or gain <= LITTLE * abs(self.loss) else "falling"


def standing(objective: Any, theta: npt.ArrayLike) -> Standing:
    """What tells a plateau from convergence at theta (P,): the gradient's norm and the extreme curvatures.

    The Hessian itself up to 300 parameters, else its extreme eigenvalues by Lanczos iteration.

    >>> from nnopt.objectives import functions
    >>> f = functions.get("saddle")
    >>> standing(f, [0.0, 0.0]).kind, standing(functions.get("booth"), [1.0, 3.0]).kind
    ('saddle', 'minimum')
    """
    point = np.asarray(theta, dtype=np.float64)
    with np.errstate(all="ignore"):
        gradient = np.asarray(objective.gradient(point), dtype=np.float64)
        loss = float(objective.value(point))
    if point.size <= EXACT:
        values = np.linalg.eigvalsh(hessian_of(objective, point))
        lowest, highest = float(values[0]), float(values[-1])
    else:
        found = eigenpairs(objective, point, top=1, bottom=1, tolerance=1e-3, most=400)
        lowest, highest = float(found.values[-1]), float(found.values[0])
    floor = getattr(objective, "floor", None)
    above = loss - floor if floor is not None and np.isfinite(floor) else loss
    return Standing(float(np.linalg.norm(gradient)), lowest, highest, float(above))
