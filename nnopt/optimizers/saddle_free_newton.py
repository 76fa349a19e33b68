"""Saddle-free Newton: every curvature counts by its size, so that saddles and hills push away instead of pulling."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from nnopt.optimizers.base import Local, Optimizer, Settings, Slots, Update, Vector, register
from nnopt.optimizers.escape import NO_SLOPE, negative_among, step_out, way_out
from nnopt.optimizers.gain import gain_ratio, model_change, value_at
from nnopt.optimizers.line_search import armijo
from nnopt.optimizers.linear import length_of
from nnopt.settings import above, between, described

ESCAPES = "curvature is negative: the step leads away along it, where Newton's would lead up"
SHORTENED = "step shortened: at full length the loss did not fall enough"
REFUSED = "no step: however short, it did not lower the loss"


@register
class SaddleFreeNewton(Settings, Optimizer, frozen=True, tag="saddle_free_newton"):
    """s = -|H|^-1 g,   |H| = V |L| V^T of H = V L V^T,   theta <- theta + lr * s        (Dauphin et al. 2014)

    The Newton step with the sign of every negative curvature turned round: always downhill (g.s < 0), as far as Newton
    goes along positive curvature, away from the saddle along negative. Sizes |l| below floor * max |l| count as that.
    Where the gradient has no part along negative curvature, that step would go to the saddle: it gets a part of length
    lr along the most negative curvature, in the direction `way_out` says, and a^2 s + a d is made for the first a of
    1, 1/2, 1/4, ... at which the loss falls as far as can be expected (Moré & Sorensen 1979; see `step_out`). So does a
    step that promises little, because the floor shortens it, where the gradient has a part along far smaller negative
    curvatures alone.

    With `backtracking` the step is halved until it lowers the loss enough (Armijo 1966), or refused; without it every
    step is made, as in the paper. With mini-batches H, g and the loss are the batch's. Where H is zero, s = -g.

    lr: factor on the step, > 0.  floor: least size of a curvature as a share of the largest, in [1e-12, 1].
    detail: negative (how many curvatures are), raised (how many were to the floor), smallest and largest curvature,
    floor (in units of curvature), slope g.s, predicted (by H itself) and actual change of the loss, gain_ratio,
    step_factor (of the backtracking), evaluations, accepted (0 or 1), escape (length of the part along the most
    negative curvature that the gradient does not lead to, 0 where there is none).

    Raises: UnsupportedError for an objective with neither `hessian` nor `hvp`, or more than 8,000 parameters.

    From the line on which gradient and Newton's step lead to the saddle (0, 0), to a minimum:

    >>> import nnopt
    >>> f = nnopt.functions.formula("(x**2 - 1)**2 + y**2")
    >>> h = nnopt.minimize(f, SaddleFreeNewton(), start=[0.0, 0.5])
    >>> h.theta[-1].round(6), h.notes[0][1][:8]
    (array([1., 0.]), 'no slope')
    """

    needs: ClassVar[str] = "hessian"
    leaves_saddles: ClassVar[bool] = True
    title: ClassVar[str] = "Saddle-free Newton"

    lr: Annotated[float, above(0, label="step factor", help="1 is the method's own step", slider=(0.05, 2))] = 1.0
    floor: Annotated[float, between(1e-12, 1, closed=True, label="floor", log=True,
                                    help="least curvature, as a share of the largest")] = 1e-6  # fmt: skip
    backtracking: Annotated[bool, described("backtracking", "halve the step until the loss falls enough")] = True

    def init(self, theta: Vector) -> Slots:
        return _NOTHING

    def update(self, local: Local, slots: Slots, lr: float) -> Update:
        gradient, value, hessian = local.gradient, local.value, local.hessian()
        if not (np.isfinite(hessian).all() and np.isfinite(gradient).all()):
            return Update(np.full_like(gradient, np.nan), slots)
        values, vectors = np.linalg.eigh(hessian)
        sizes = np.abs(values)
        slope, largest = length_of(gradient), float(sizes.max())
        # not lower than where the step and its slope are still finite numbers
        floor = max(self.floor * largest, 1e-300 * max(slope, slope * slope)) if largest > 0 else 1.0
        step = -lr * (vectors @ ((vectors.T @ gradient) / np.maximum(sizes, floor)))
        factor, evaluations, refused, escape = 1.0, 1, False, 0.0
        # rounding may turn the sign of a curvature that is zero
        negative = negative_among(values)
        # by |H| the step gains half its slope
        promise = -0.5 * float(gradient @ step)
        way = way_out(values, vectors, gradient, local.theta, value, promise / (lr * lr))
        out = None if way is None else step_out(local, step, lr * way, lr * lr * float(values[0]))
        if way is not None and out is not None and out.factor > 0:
            factor, evaluations, actual = out.factor, out.evaluations, out.value - value
            step = factor * factor * step + factor * (lr * way)
            escape = factor * lr
        elif self.backtracking:
            found = armijo(local.value_at, local.theta, step, value, gradient)
            evaluations, actual = found.evaluations, found.value - value
            refused = found.factor == 0.0 and bool(gradient.any())
            factor = found.factor if gradient.any() else 1.0
            step = factor * step if factor else np.zeros_like(step)
        else:
            actual = value_at(local, local.theta + step) - value
        predicted = model_change(gradient, hessian, step)
        detail = {
            "negative": float(negative),
            "raised": float(np.count_nonzero(sizes < floor)),
            "smallest": float(values[0]),
            "largest": float(values[-1]),
            "floor": floor,
            "slope": float(gradient @ step),
            "predicted": predicted,
            "actual": actual,
            "gain_ratio": gain_ratio(actual, predicted, value),
            "step_factor": factor,
            "evaluations": float(evaluations),
            "accepted": float(not refused),
            "escape": escape,
        }
        if refused:
            return Update(step, slots, REFUSED, detail)
        said = ((NO_SLOPE, escape > 0), (ESCAPES, negative and way is None), (SHORTENED, factor < 1.0))
        return Update(step, slots, "; ".join(text for text, holds in said if holds), detail)


_NOTHING = Slots()
