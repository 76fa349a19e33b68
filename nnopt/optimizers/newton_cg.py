"""Newton–CG: Newton's system solved by conjugate gradients, from Hessian-vector products alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from nnopt.optimizers.base import Local, Optimizer, Settings, Update, Vector, register
from nnopt.optimizers.damped_newton import Damping
from nnopt.optimizers.escape import EPS, NO_SLOPE, lowest_curvature, step_out, turned
from nnopt.optimizers.gain import GOOD, POOR, gain_ratio, noise_of
from nnopt.optimizers.line_search import Found, armijo
from nnopt.settings import above, at_least

NEGATIVE = "negative curvature met: the step leads away along it"
UNSOLVED = "the Newton system is not solved as exactly as wanted: the products are used up"
SHORTENED = "step shortened: at full length the loss did not fall enough"
REFUSED = "no step: however short, it did not lower the loss; the damping was raised"
SMALLEST, LARGEST = 1e-12, 1e16
#: when a step promises so little that negative curvature is looked for elsewhere, and with how many products
LOOK, LOOKS = 1e-6, 30


@register
class NewtonCG(Settings, Optimizer, frozen=True, tag="newton_cg"):
    """(H + mu I) s = -g by conjugate gradients,   theta <- theta + lr * s        (Steihaug 1983; Martens 2010)

    Hessian-free: only products H v are made, one per iteration, so the number of parameters may be large. Iterations
    end when the residual is below min(1/2, sqrt |g|) |g| (Nocedal & Wright 2006, algorithm 7.1: superlinear near a
    minimum), when `products` are used up, or at negative curvature: at a direction d with k = d.(H + mu I) d <= 0 the
    step goes |r|^2 / |k| further along d, as far as it would at positive curvature, and ends there. Every step found
    goes downhill (g.s < 0); it is halved until it lowers the loss enough (Armijo 1966), or refused.

    mu: lowered (/ 4) for the next step if the gain ratio rho = actual / predicted is above 0.75, raised (x 4) if it is
    below 0.25 or the step had to be shortened. With mini-batches H, g and the loss are the batch's (Martens 2010).

    Conjugate gradients see only what the gradient leads to. Where the step they give promises next to nothing (less
    than 1e-6 of what a unit length along the largest curvature seen would), up to 30 products are spent on a look for
    negative curvature elsewhere (Lanczos' method from a random vector, the same at every step; Royer, O'Neill & Wright
    2020). If there is any, the step gets a part d of length lr along it, downhill, and a^2 s + a d is made for the
    first a of 1, 1/2, 1/4, ... at which the loss falls as far as can be expected (see `escape.step_out`).

    lr: factor on the step, > 0.  damping: mu at the start, >= 0, in units of curvature.  products: most in a step, and
    never more than 2 P + 8.
    detail: damping_before, damping, damping_after, products, residual (|(H + mu I) s + g| / |g|), negative (0 or 1),
    curvature (d.H d / |d|^2 of the last direction), slope g.s, predicted (by H) and actual changes of the loss,
    gain_ratio, step_factor (of the halving), evaluations, accepted (0 or 1), escape (length of the part along negative
    curvature that the gradient does not lead to, 0 where there is none); smallest (curvature found), where it looked.

    Raises: UnsupportedError for an objective with neither `hvp` nor `hessian`.

    Ten thousand parameters, whose Hessian would take 0.8 GB:

    >>> import nnopt
    >>> class Valley:
    ...     curvatures = np.repeat([1.0, 100.0], 5000)
    ...     def value(self, theta):
    ...         return theta @ (self.curvatures * theta) / 2
    ...     def gradient(self, theta):
    ...         return self.curvatures * theta
    ...     def hvp(self, theta, v):
    ...         return self.curvatures * v
    >>> h = nnopt.minimize(Valley(), NewtonCG(), start=np.ones(10_000), steps=20)
    >>> h.outcome.kind, h.length < 10
    ('converged', True)
    """

    needs: ClassVar[str] = "hvp"
    leaves_saddles: ClassVar[bool] = True
    title: ClassVar[str] = "Newton–CG"

    lr: Annotated[float, above(0, label="step factor", help="1 makes the whole step", slider=(0.05, 2))] = 1.0
    damping: Annotated[float, at_least(0, label="damping μ", help="at the start; adapted after every step", log=True,
                                       slider=(1e-6, 1e2))] = 1e-3  # fmt: skip
    products: Annotated[int, at_least(1, label="products", help="Hessian-vector products in a step, at most",
                                      slider=(1, 500))] = 250  # fmt: skip

    def init(self, theta: Vector) -> Damping:
        return Damping(float(self.damping))

    def update(self, local: Local, slots: Damping, lr: float) -> Update:
        gradient, value, mu = local.gradient, local.value, slots.damping
        length = math.sqrt(gradient @ gradient)
        if not math.isfinite(length):
            return Update(np.full_like(gradient, np.nan), slots)
        most = min(self.products, 2 * gradient.size + 8)
        solved = conjugate_gradients(local.hvp, gradient, mu, min(0.5, math.sqrt(length)) * length, most)
        if not np.isfinite(solved.step).all():
            return Update(np.full_like(gradient, np.nan), slots)
        step, looked = lr * solved.step, _look(local, solved, lr, most)
        if looked.found is not None:
            found, step, escape = looked.found, looked.step, lr * looked.found.factor
            searched, slope, predicted = found.factor, looked.slope, looked.predicted
        else:
            found, escape = armijo(local.value_at, local.theta, step, value, gradient), 0.0
            searched = found.factor if length > 0 else 1.0
            factor = lr * searched
            step, slope = factor * solved.step, factor * solved.slope
            predicted = slope + 0.5 * factor * factor * solved.bend
        refused = searched == 0.0
        actual = found.value - value
        ratio = gain_ratio(actual, predicted, value)
        after, lift = mu, solved.scale
        if refused or ratio < POOR or (searched < 1.0 and not escape):
            after = min(max(4.0 * mu, 1e-6 * lift), LARGEST)
        elif ratio > GOOD:
            after = mu / 4 if mu > SMALLEST * lift else 0.0
        detail = {
            "damping_before": mu,
            "damping": mu,
            "damping_after": after,
            "products": float(solved.products + looked.products),
            "residual": solved.residual / length if length > 0 else 0.0,
            "negative": float(solved.negative or looked.smallest < 0),
            "curvature": solved.curvature,
            "slope": slope,
            "predicted": predicted,
            "actual": actual,
            "gain_ratio": ratio,
            "step_factor": searched,
            "evaluations": float(found.evaluations),
            "accepted": float(not refused),
            "escape": escape,
        }
        if looked.products or solved.negative:
            detail["smallest"] = min(looked.smallest, solved.curvature)
        if refused:
            return Update(np.zeros_like(gradient), Damping(after), REFUSED, detail)
        said = (
            (NO_SLOPE, escape > 0),
            (NEGATIVE, solved.negative and not escape),
            (UNSOLVED, not solved.negative and solved.residual > solved.wanted),
            (SHORTENED, searched < 1.0),
        )
        return Update(step, Damping(after), "; ".join(text for text, holds in said if holds), detail)


class _Looked(NamedTuple):
    """What a look for negative curvature has cost and found: the smallest curvature (0 if it is not negative), and
    where a part along it lowers the loss, the search for its length, the step (P,), its slope and its promise."""

    products: int = 0
    smallest: float = 0.0
    found: Found | None = None
    step: Vector = np.empty(0)
    slope: float = 0.0
    predicted: float = 0.0


def _look(local: Local, solved: Solved, lr: float, most: int) -> _Looked:
    gradient = local.gradient
    promise = -(solved.slope + 0.5 * solved.bend)
    enough = promise > (noise_of(local.value) if solved.negative else 0.5 * LOOK * solved.scale)
    left = min(most - solved.products, LOOKS, gradient.size)
    if enough or left < 1:
        return _Looked()
    lowest = lowest_curvature(local.hvp, gradient.size, left)
    slope = math.sqrt(gradient @ gradient)
    if lowest.curvature >= 0 or -lowest.curvature < slope:
        return _Looked(lowest.products, lowest.curvature)
    way = turned(lowest.direction, float(gradient @ lowest.direction), EPS * slope)
    bent = lowest.bent if way is lowest.direction else -lowest.bent
    found = step_out(local, lr * solved.step, lr * way, lr * lr * lowest.curvature)
    if not found.factor:
        return _Looked(lowest.products, lowest.curvature)
    a = found.factor
    step, s, d = a * a * (lr * solved.step) + a * (lr * way), a * a * lr, a * lr
    bend = s * s * solved.bend + 2 * s * d * float(solved.step @ bent) + d * d * lowest.curvature
    slope = float(gradient @ step)
    return _Looked(lowest.products, lowest.curvature, found, step, slope, slope + 0.5 * bend)


class Solved(NamedTuple):
    """What conjugate gradients found. step (P,); residual: |(H + mu I) s + g|, and what was wanted; products made;
    negative: whether they ended at negative curvature; curvature: d.H d / |d|^2 of the last direction; slope g.s and
    bend s.H s of the step; scale: a size of H, |H d| / |d| at the most.

    >>> solved = conjugate_gradients(lambda v: -2 * v, np.array([3.0]), 0.0, 1e-12, 10)
    >>> solved.step, solved.negative, solved.curvature
    (array([-1.5]), True, -2.0)
    """

    step: Vector
    residual: float
    wanted: float
    products: int
    negative: bool
    curvature: float
    slope: float
    bend: float
    scale: float


def conjugate_gradients(
    product: Callable[[Vector], Vector], gradient: Vector, damping: float, wanted: float, most: int
) -> Solved:
    """(H + damping I) s = -g until the residual is at most `wanted`, for at most `most` products, or until negative
    curvature is met (Hestenes & Stiefel 1952; Steihaug 1983 for the exit).

    product: v (P,) -> H v (P,). gradient: g (P,).

    >>> solved = conjugate_gradients(lambda v: np.array([4.0, 1.0]) * v, np.array([4.0, 1.0]), 0.0, 1e-12, 10)
    >>> solved.step.round(12), solved.products
    (array([-1., -1.]), 2)
    """
    step = np.zeros_like(gradient)
    residual = gradient.copy()
    direction = -gradient
    square = float(residual @ residual)
    negative, curvature, scale, made = False, 0.0, 0.0, 0
    while math.sqrt(square) > wanted and made < most and not negative:
        length = float(direction @ direction)
        if length < 1e-300:
            break
        bent = product(direction)
        made += 1
        scale = max(scale, math.sqrt(float(bent @ bent) / length))
        curvature = float(direction @ bent) / length
        bent = bent + damping * direction
        lifted = curvature + damping
        negative = lifted <= 0
        # a curvature that is rounding alone says nothing about how far to go: as far as the largest one would
        size = abs(lifted) if abs(lifted) > 1e-14 * scale else scale or 1.0
        # however flat, the way and its slope stay finite numbers
        size = max(size, 1e-300 * max(math.sqrt(square), square))
        far = square / (size * length)
        step += far * direction
        residual += far * bent
        before, square = square, float(residual @ residual)
        direction = -residual + (square / before) * direction
    slope = float(gradient @ step)
    bend = float(step @ (residual - gradient)) - damping * float(step @ step)
    return Solved(step, math.sqrt(square), wanted, made, negative, curvature, slope, bend, scale or 1.0)
