"""Plateau or converged? What the loss alone cannot tell: the gradient and the curvatures where a run stands.

Floor `analysis`, above curvature.py and lanczos.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.curvature import hessian_of
from nnopt.analysis.lanczos import eigenpairs
from nnopt.analysis.taylor import hessian_products

Array: TypeAlias = npt.NDArray[np.float64]

#: parameters up to which the whole Hessian is made
EXACT = 300
#: a curvature is zero below this fraction of the largest
ZERO = 1e-4
#: a run has arrived when the gradient promises a decrease of less than this fraction of the loss
LITTLE = 1e-3


#: parameters are known no better than this
HAIR = 1e-10
#: Hessian-vector products made to see how the gradient is spread over the curvatures
PRODUCTS = 60


@dataclass(frozen=True)
class Standing:
    """gradient_norm; lowest, highest: the smallest and the largest eigenvalue of the Hessian; loss: at that point,
    above the least possible one where that is known; promised: the decrease that the gradient still promises,
    sum of (g . v)^2 / (2 |lambda|) over the eigenpairs, where curvatures of zero count as 1e-4 of the largest.

    kind: "saddle" where the curvature is negative in some direction, "hilltop" where it is positive in none: the run
    will escape. "minimum" where it is positive in all, and what is promised is little; "valley of minima" likewise,
    where it is zero in some (as far as second derivatives tell). "falling" otherwise, and "unknown" where the numbers
    are not finite, or neither gradient nor curvature is there.

    >>> Standing(gradient_norm=0.0, lowest=-1.0, highest=2.0, loss=1.0, promised=0.0).kind
    'saddle'
    """

    gradient_norm: float
    lowest: float
    highest: float
    loss: float
    promised: float

    @property
    def kind(self) -> str:
        """See the class."""
        largest = max(abs(self.lowest), abs(self.highest))
        if not np.isfinite([self.gradient_norm, largest, self.loss]).all() or largest == self.gradient_norm == 0.0:
            return "unknown"
        zero = ZERO * largest
        if self.lowest < -zero:
            return "saddle" if self.highest > zero else "hilltop"
        if not self.promised <= max(LITTLE * abs(self.loss), 0.5 * largest * HAIR**2):
            return "falling"
        return "minimum" if self.lowest > zero else "valley of minima"


def standing(objective: Any, theta: npt.ArrayLike) -> Standing:
    """What tells a plateau from convergence at theta (P,): the gradient and the extreme curvatures.

    The Hessian itself up to 300 parameters, else its extreme eigenvalues by Lanczos iteration, and the spread of the
    gradient over the curvatures by one that begins with the gradient (Golub and Meurant, 1994: Gauss quadrature).

    >>> from nnopt.objectives import functions
    >>> f = functions.get("saddle")
    >>> standing(f, [0.0, 0.0]).kind, standing(functions.get("booth"), [1.0, 3.0]).kind
    ('saddle', 'minimum')
    """
    point = np.asarray(theta, dtype=np.float64)
    with np.errstate(all="ignore"):
        gradient = np.asarray(objective.gradient(point), dtype=np.float64)
        loss = float(objective.value(point))
    norm = float(np.linalg.norm(gradient))
    if point.size <= EXACT:
        hessian = hessian_of(objective, point)
        if np.isfinite(hessian).all():
            values, vectors = np.linalg.eigh(hessian)
            parts = (gradient @ vectors) ** 2
        else:
            values, parts = np.full(1, np.nan), np.full(1, np.nan)
        lowest, highest = float(values[0]), float(values[-1])
    else:
        found = eigenpairs(objective, point, top=1, bottom=1, tolerance=1e-3, most=400)
        lowest, highest = float(found.values[-1]), float(found.values[0])
        values, parts = _spread(lambda v: hessian_products(objective, point, v[None])[0], gradient)
    zero = ZERO * max(abs(lowest), abs(highest))
    with np.errstate(all="ignore"):
        promised = float(np.sum(parts[parts != 0.0] / (2.0 * np.maximum(np.abs(values[parts != 0.0]), zero))))
    floor = getattr(objective, "floor", None)
    above = loss - floor if floor is not None and np.isfinite(floor) else loss
    return Standing(norm, lowest, highest, float(above), promised)


def _spread(product: Callable[[Array], Array], gradient: Array) -> tuple[Array, Array]:
    """(curvatures (n,), squares (n,) of the parts of the gradient (P,) that lie along them)."""
    norm = float(np.linalg.norm(gradient))
    if norm == 0.0 or not np.isfinite(norm):
        return np.zeros(1), np.full(1, norm)
    basis, most = [gradient / norm], min(PRODUCTS, gradient.size)
    small = np.zeros((most, most))
    for index in range(most):
        image = product(basis[index])
        if not np.isfinite(image).all():
            return np.full(1, np.nan), np.full(1, np.nan)
        small[index, index] = basis[index] @ image
        scale = float(np.linalg.norm(image))
        for _ in range(2):  # twice is enough
            for vector in basis:
                image = image - (vector @ image) * vector
        beyond = float(np.linalg.norm(image))
        if index + 1 == most or beyond <= 1e-10 * scale:
            small = small[: index + 1, : index + 1]
            break
        small[index, index + 1] = small[index + 1, index] = beyond
        basis.append(image / beyond)
    values, vectors = np.linalg.eigh(small)
    return values, (norm * vectors[0]) ** 2
