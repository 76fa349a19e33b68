"""Line searches: how far to go along a direction that leads downhill. Usable with any such direction, from any method.

phi(a) = f(theta + a d), with phi'(0) = g . d < 0. Armijo's condition asks that the loss falls enough; the strong Wolfe
conditions ask in addition that the slope has flattened. A search that fails says why, it raises nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np

from nnopt.optimizers.base import Vector
from nnopt.optimizers.gain import allowance, changes, noise_of

NOT_DOWNHILL = "the direction does not lead downhill"
NO_DECREASE = "no step along the direction lowers the loss enough"
STILL_STEEP = "the loss falls enough, but its slope has not flattened as asked"
ENDLESS = "the loss falls without end along the direction"

#: a rise by rounding is forgiven to steps down to this share of the first; to shorter ones it would be forgiven always
FORGIVEN = 1e-3

ValueAt: TypeAlias = Callable[[Vector], float]
ValueAndGradientAt: TypeAlias = Callable[[Vector], tuple[float, Vector]]


class Found(msgspec.Struct, frozen=True, gc=False):
    """What a line search found. factor: a, 0 if there is no step to make. value, gradient: f and its gradient (P,) at
    theta + a d (gradient None where the search does not look at it). evaluations: of the loss. reason: "" if the
    conditions asked for hold, else why not.

    >>> armijo(lambda t: float(t @ t), np.array([0.0]), np.array([1.0]), 0.0, np.array([0.0]))
    Found(factor=0.0, value=0.0, gradient=None, evaluations=0, reason='the direction does not lead downhill')
    """

    factor: float
    value: float
    gradient: Vector | None
    evaluations: int
    reason: str = ""


def armijo(
    value_at: ValueAt,
    theta: Vector,
    direction: Vector,
    value: float,
    gradient: Vector,
    first: float = 1.0,
    decrease: float = 1e-4,
    shrink: float = 0.5,
    most: int = 60,
) -> Found:
    """The first a of first, first * shrink, first * shrink^2, ... with phi(a) <= phi(0) + decrease * a * phi'(0).

    Armijo (1966); Nocedal & Wright (2006), algorithm 3.1. value_at: theta -> f. value, gradient (P,): at theta (P,).
    direction (P,): any with gradient . direction < 0. decrease: in (0, 1); shrink: in (0, 1); most: evaluations after
    which the search ends, unless the step tried next would still change theta and promises more than rounding: one that
    works may lie there. A loss that is not finite counts as too high; a decrease below the rounding noise of f is not
    asked for.

    >>> theta = np.array([1.0])
    >>> found = armijo(lambda t: float(t @ t), theta, np.array([-6.0]), 1.0, np.array([2.0]))
    >>> found.factor, found.value, found.evaluations
    (0.25, 0.25, 3)
    """
    slope = float(gradient @ direction)
    if not (slope < 0 and math.isfinite(slope)):
        return Found(0.0, value, None, 0, NOT_DOWNHILL)
    factor, evaluations, noise = first, 0, noise_of(value)
    while evaluations < most or (-factor * slope > noise and changes(theta, factor * direction)):
        evaluations += 1
        there = _value(value_at, theta + factor * direction)
        rounding = allowance(-factor * slope, value) if factor >= FORGIVEN * first else 0.0
        if there <= value + decrease * factor * slope + rounding and (there < value or rounding > 0):
            return Found(factor, there, None, evaluations)
        factor *= shrink
    return Found(0.0, value, None, evaluations, NO_DECREASE)


def strong_wolfe(
    evaluate: ValueAndGradientAt,
    theta: Vector,
    direction: Vector,
    value: float,
    gradient: Vector,
    first: float = 1.0,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    most: int = 40,
) -> Found:
    """An a with phi(a) <= phi(0) + decrease * a * phi'(0) and |phi'(a)| <= curvature * |phi'(0)|.

    Nocedal & Wright (2006), algorithms 3.5 (doubling from `first` until such an a is bracketed) and 3.6 (zoom, by cubic
    interpolation kept away from the bracket's ends). evaluate: theta -> (f, gradient (P,)). The rest as in `armijo`;
    0 < decrease < curvature < 1. Two losses that differ by rounding noise alone count as equal, their slopes decide.

    If evaluations run out, the best a found that lowers the loss enough is returned with its reason. While none has,
    the search goes on as long as the shorter steps promise more than rounding and change theta; then it is 0.

    >>> theta = np.array([1.0])
    >>> found = strong_wolfe(lambda t: (float(t @ t), 2 * t), theta, np.array([-6.0]), 1.0, np.array([2.0]))
    >>> found.factor < 1 and abs(found.gradient[0]) <= 0.9 * 2 and found.reason == ""
    True
    """
    slope = float(gradient @ direction)
    if not (slope < 0 and math.isfinite(slope)):
        return Found(0.0, value, None, 0, NOT_DOWNHILL)
    line = _Line(evaluate, theta, direction, _Point(0.0, value, slope, gradient), decrease, curvature, most)
    return line.search(first)


class _Point(NamedTuple):
    factor: float
    value: float
    slope: float
    gradient: Vector


class _Line:
    """phi along one direction, and the search on it."""

    def __init__(
        self,
        evaluate: ValueAndGradientAt,
        theta: Vector,
        direction: Vector,
        start: _Point,
        decrease: float,
        curvature: float,
        most: int,
    ) -> None:
        self.evaluate, self.theta, self.direction = evaluate, theta, direction
        self.start, self.decrease, self.curvature, self.most = start, decrease, curvature, most
        self.evaluations = 0
        self.shortest = 0.0

    def search(self, first: float) -> Found:
        """Algorithm 3.5: go on until a bracket is found, then zoom into it."""
        before, factor = self.start, first
        self.shortest = FORGIVEN * first
        while self.evaluations < self.most:
            point = self.at(factor)
            if self.too_high(point) or point.value > before.value + self.allowance(point):
                return self.zoom(before, point)
            if self.flat(point):
                return self.found(point)
            if point.slope >= 0:
                return self.zoom(point, before)
            before, factor = point, 2.0 * factor
        return self.found(before, ENDLESS)

    def zoom(self, low: _Point, high: _Point) -> Found:
        """Algorithm 3.6: `low` is the best point so far that lowers the loss enough, and phi falls from it towards
        `high`."""
        while self.evaluations < self.most or self.promising(low, high):
            width = high.factor - low.factor
            if abs(width) <= 1e-15 * max(low.factor, high.factor):
                break
            point = self.at(low.factor + width * _inside(low, high))
            if self.too_high(point) or point.value > low.value + self.allowance(point):
                high = point
                continue
            if self.flat(point):
                return self.found(point)
            if point.slope * width >= 0:
                high = low
            low = point
        return self.found(low, STILL_STEEP if low.factor > 0 else NO_DECREASE)

    def promising(self, low: _Point, high: _Point) -> bool:
        """Whether nothing is found yet and a step that works may still be shorter than all that were tried."""
        promise, noise = -high.factor * self.start.slope, noise_of(self.start.value)
        return low.factor == 0 and promise > noise and changes(self.theta, high.factor * self.direction)

    def at(self, factor: float) -> _Point:
        self.evaluations += 1
        try:
            value, gradient = self.evaluate(self.theta + factor * self.direction)
        except OverflowError:
            value, gradient = math.inf, np.full_like(self.theta, math.nan)
        return _Point(factor, float(value), float(gradient @ self.direction), gradient)

    def too_high(self, point: _Point) -> bool:
        """Whether Armijo's condition fails; so it does where anything is not finite.

        A loss that does not change by a single bit is not too high where the slope has flattened.
        """
        if point.value == self.start.value and self.flat(point):
            return False
        rounding = self.allowance(point)
        limit = self.start.value + self.decrease * point.factor * self.start.slope + rounding
        lower = point.value <= limit and (point.value < self.start.value or rounding > 0)
        return not (lower and math.isfinite(point.value) and math.isfinite(point.slope))

    def allowance(self, point: _Point) -> float:
        if point.factor < self.shortest:
            return 0.0
        return allowance(-point.factor * self.start.slope, self.start.value)

    def flat(self, point: _Point) -> bool:
        return abs(point.slope) <= -self.curvature * self.start.slope

    def found(self, point: _Point, reason: str = "") -> Found:
        return Found(point.factor, point.value, point.gradient, self.evaluations, reason)


def _inside(low: _Point, high: _Point) -> float:
    """Where in a bracket to look next, as a share of the way from `low` to `high`: the minimum of the cubic through
    both values and slopes, in [0.1, 0.9]; the middle where there is none."""
    width = high.factor - low.factor
    rise = 3 * (low.value - high.value) / width + low.slope + high.slope
    square = rise * rise - low.slope * high.slope
    if not (square >= 0 and math.isfinite(square)):
        return 0.5
    root = math.copysign(math.sqrt(square), width)
    divisor = high.slope - low.slope + 2 * root
    if divisor == 0:
        return 0.5
    share = 1 - (high.slope + root - rise) / divisor
    return min(max(share, 0.1), 0.9) if math.isfinite(share) else 0.5


def _value(value_at: ValueAt, theta: Vector) -> float:
    try:
        value = float(value_at(theta))
    except OverflowError:
        return math.inf
    return value if math.isfinite(value) else math.inf


__all__ = ["ENDLESS", "NOT_DOWNHILL", "NO_DECREASE", "STILL_STEEP", "Found", "armijo", "strong_wolfe"]
