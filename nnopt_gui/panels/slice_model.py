"""What the slice panel shows, computed without Qt: the loss along a line, its quadratic model, and both steps on it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nnopt.analysis.landscape import Slice, not_convex, second_difference, slice_values
from nnopt.analysis.taylor import hessian_products, trust_region_mask

if TYPE_CHECKING:
    from nnopt_gui.panels.own_step import OwnStep

Vector = npt.NDArray[np.float64]
Interval = tuple[float, float]

#: points of the curve, coarse to fine; every size contains the points of the one before
SIZES = (11, 21, 41, 81, 161, 321)
#: most points of the curve while a run plays, and points times parameters times examples that they may cost
QUICK, QUICK_COST = 61, 40_000_000
#: parameters times examples below which value, gradient and one Hessian-vector product take less than about 4 ms
CHEAP = 500_000
#: parameters^2 times examples above which the Hessian takes longer than others should wait
HEAVY = 300_000_000
#: a step that is longer than the scale of the line stays in the picture up to this many times the other one's length
REACH = 4.0


def work(objective: Any) -> int:
    """Parameters times examples: what one evaluation costs, up to a factor that is the same for all objectives."""
    return int(objective.size) * int(getattr(objective, "examples", 1))


@dataclass(frozen=True, eq=False)
class Line(Slice):
    """A slice with a unit direction, so that lengths on its axis are lengths. downhill: x grows where the loss falls,
    so that "ahead" has a meaning."""

    downhill: bool = False

    def project(self, theta: npt.ArrayLike) -> tuple[Any, Any]:
        """As `Slice.project`; quicker, because the direction has length 1."""
        away = np.asarray(theta, dtype=np.float64) - self.origin
        along = away @ self.direction
        return along, np.linalg.norm(away - np.multiply.outer(along, self.direction), axis=-1)


@dataclass(frozen=True)
class Local:
    """The loss at x on a line. value, slope, curvature: of the loss along the line (slope g . d, curvature d . H d).
    rate: the learning rate. gradient_value, newton_value: true loss where the two steps on this line land. damping: of
    the Newton step, >= 0. own_name: of the step that the run makes, "" where it is one of the other two; own_step: its
    part along the line, own_length: all of it, own_value: true loss where it lands, off the line too."""

    x: float
    value: float
    slope: float
    curvature: float
    rate: float
    gradient_value: float = math.nan
    newton_value: float = math.nan
    damping: float = 0.0
    own_name: str = ""
    own_step: float = math.nan
    own_length: float = math.nan
    own_value: float = math.nan

    @property
    def own_share(self) -> float:
        """Fraction of the run's own step that lies along this line."""
        return min(1.0, abs(self.own_step) / self.own_length) if self.own_length > 0 else 1.0

    @property
    def gradient_step(self) -> float:
        """The part of -rate * gradient that lies on this line."""
        return -self.rate * self.slope

    @property
    def newton_step(self) -> float:
        """-slope / (curvature + damping), also where that is uphill; NaN where the model is straight."""
        return self._quotient(self.curvature + self.damping)

    @property
    def extremum(self) -> float:
        """Way to the lowest (or highest) point of the model; NaN where it has none."""
        return self._quotient(self.curvature)

    @property
    def uphill(self) -> bool:
        """Whether the Newton step points uphill."""
        return self.slope * self.newton_step > 0

    def _quotient(self, curvature: float) -> float:
        if self.slope == 0.0 and math.isfinite(curvature):
            return 0.0
        # a curvature that changes the slope by less than rounding over the whole range of floats is none
        return -self.slope / curvature if abs(curvature) > 1e-14 * abs(self.slope) else math.nan

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value) and math.isfinite(self.slope) and math.isfinite(self.curvature)

    def model(self, x: Any) -> Any:
        """The quadratic (Taylor) model: value + slope (x - x0) + curvature (x - x0)^2 / 2."""
        away = x - self.x
        return self.value + away * (self.slope + 0.5 * self.curvature * away)

    def tangent(self, x: Any) -> Any:
        """value + slope (x - x0)."""
        return self.value + self.slope * (x - self.x)


@dataclass(frozen=True, eq=False)
class Curve:
    """The loss at xs (K,), ascending. concave: where it is not convex."""

    xs: Vector
    values: Vector
    concave: tuple[Interval, ...] = ()

    def within(self, low: float, high: float) -> Vector:
        """The finite values with x in [low, high]."""
        inside = self.values[(self.xs >= low) & (self.xs <= high)]
        return inside[np.isfinite(inside)]


@dataclass(frozen=True, eq=False)
class Past:
    """Earlier states: steps (K,), thetas (K, P), losses (K,) of the present objective there."""

    steps: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    thetas: Vector = field(default_factory=lambda: np.empty((0, 0)))
    losses: Vector = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, eq=False)
class SlicePicture:
    """One result of the analyst. shown: the range of x that is to be seen. note: what else must be said."""

    line: Line
    local: Local
    curve: Curve
    shown: Interval
    past: Past
    note: str = ""


def measure(
    objective: Any, line: Line, x: float, rate: float, damping: float = 0.0, own: OwnStep | None = None
) -> Local:
    """Value, slope and curvature at x (one gradient, one Hessian-vector product), and the loss at both landings. own:
    the step that the run makes from there."""
    theta = line.point(x)
    with np.errstate(all="ignore"):
        value, gradient = objective.value_and_gradient(theta)
        slope = float(gradient @ line.direction)
        curvature = float(line.direction @ hessian_products(objective, theta, line.directions)[0])
        local = Local(x, float(value), slope, curvature, rate, damping=damping)
        landings = np.array([local.x + local.gradient_step, local.x + local.newton_step])
        losses = [loss_at(objective, line, landing) for landing in landings]
        if own is not None:
            along = float(own.step @ line.direction)
            local = replace(local, own_name=own.name, own_step=along, own_length=own.length, own_value=own.value)
    return replace(local, gradient_value=losses[0], newton_value=losses[1])


def loss_at(objective: Any, line: Line, x: float) -> float:
    """The loss at x; NaN where x is not finite."""
    if not math.isfinite(x):
        return math.nan
    with np.errstate(all="ignore"):
        return float(objective.value(line.point(x)))


def curves(objective: Any, line: Line, low: float, high: float, playing: bool = False) -> Iterator[Curve]:
    """The loss on [low, high], coarse to fine; only the finest where that is quick. A finer curve keeps the points of
    the coarser one, so nothing is computed twice. playing: one curve, as fine as can be had many times a second."""
    cost = work(objective)
    if playing:
        size = int(min(QUICK, max(SIZES[0], QUICK_COST // cost)))
        xs = np.linspace(low, high, size)
        values = slice_values(objective, line, xs)
        yield Curve(xs, values, tuple(not_convex(xs, second_difference(xs, values))))
        return
    quick = [i for i, size in enumerate(SIZES) if size * cost < 20_000_000]
    first = quick[-1] if quick else 0
    sizes = SIZES[first : first + 3]
    known = np.empty(0)
    for size in sizes:
        xs = np.linspace(low, high, size)
        values = np.full(size, np.nan)
        fresh = np.ones(size, dtype=bool)
        if known.size:
            values[::2] = known
            fresh[::2] = False
        values[fresh] = slice_values(objective, line, xs[fresh])
        known = values
        yield Curve(xs, values, tuple(not_convex(xs, second_difference(xs, values))))


def trusted(curve: Curve, local: Local, lowest: float = 0.0) -> tuple[Interval, ...]:
    """Where the quadratic model is within 10 % of the loss, measured from `lowest`; ends lie between points."""
    if not local.finite or curve.xs.size < 2:
        return ()
    with np.errstate(all="ignore"):
        inside = trust_region_mask(local.model(curve.xs), curve.values, lowest=lowest)
    edges = np.flatnonzero(np.diff(inside.astype(np.int8), prepend=0, append=0))
    ends = np.concatenate([curve.xs[:1], (curve.xs[1:] + curve.xs[:-1]) / 2, curve.xs[-1:]])
    return tuple((float(ends[a]), float(ends[b])) for a, b in zip(edges[::2], edges[1::2], strict=True))


def landmarks(local: Local, scale: float) -> list[float]:
    """What belongs into the middle of the picture: the point, and landings nearer than `scale` or about as far as the
    other one. Where there is none, a quarter of the scale, so that the curve is seen."""
    steps = [step for step in (local.gradient_step, local.newton_step, local.own_step) if math.isfinite(step)]
    shortest = min((abs(step) for step in steps), default=0.0)
    near = [step for step in steps if abs(step) <= max(scale, REACH * shortest) and abs(step) < 1e6 * scale]
    if len(near) < len(steps) and max((abs(step) for step in near), default=0.0) < scale / 16:
        missing = next(step for step in steps if step not in near)
        near.append(math.copysign(scale / 4, missing))
    return [local.x, *(local.x + step for step in near)]


def focus(local: Local, scale: float, before: Interval | None = None) -> Interval:
    """The range in which the point and both landings fill the middle half. scale: the length that counts as far on this
    line. `before` is kept while they are well inside it and not small, so that the axis stands still while the point
    moves."""
    marks = landmarks(local, scale) if local.finite else [local.x]
    low, high = min(marks), max(marks)
    # where rounding hides the curve there is nothing to see
    least = 1e-7 * max(1.0, abs(local.x))
    if local.finite and local.curvature != 0:
        least = max(least, math.sqrt(1e-10 * max(abs(local.value), 1e-12) / abs(local.curvature)))
    if not high - low > least:
        unit = least if high - low > 0 else scale
        low, high = local.x - unit / 2, local.x + unit / 2
    if before is not None:
        width = before[1] - before[0]
        inside = before[0] + 0.1 * width <= low and high <= before[1] - 0.1 * width
        if inside and 8 * (high - low) >= width:
            return before
    span = high - low
    return low - span / 2, high + span / 2


def heights(curve: Curve, local: Local, shown: Interval, whole: bool = False) -> Interval:
    """The range of losses to show: the curve's lowest point and all landings, and as much of its rise as leaves room
    for them. whole: all of the curve that is shown."""
    low_x, high_x = shown
    width = high_x - low_x
    seen = curve.within(low_x, high_x)
    middle = curve.within(low_x + width / 4, high_x - width / 4)
    marks = [local.value]
    for step, value in (
        (local.gradient_step, local.gradient_value),
        (local.newton_step, local.newton_value),
        (local.own_step, local.own_value),
    ):
        if math.isfinite(step) and low_x <= local.x + step <= high_x and math.isfinite(value):
            marks.append(value)
    if local.finite and math.isfinite(local.newton_step) and low_x <= local.x + local.newton_step <= high_x:
        marks.append(float(local.model(local.x + local.newton_step)))
    marks = [mark for mark in marks if math.isfinite(mark)]
    if not seen.size:
        centre = marks[0] if marks else 0.0
        return centre - 0.5, centre + 0.5
    lowest = float(seen.min())
    # a step that lands on a wall must not flatten everything else
    reach = float(seen.max())
    low = min([lowest, *(mark for mark in marks if mark >= lowest - (reach - lowest))])
    top = reach
    if not whole and middle.size:
        top = min(reach, lowest + 3.0 * max(float(middle.max()) - lowest, 1e-300))
    top = max([top, *(mark for mark in marks if mark <= reach)])
    if not top - low > 1e-13 * max(abs(top), abs(low)):
        pad = 0.5 * max(abs(low), 1e-12)
        return low - pad, top + pad
    return low, top


def steady(wanted: Interval, before: Interval | None) -> Interval:
    """`before` while it shows what is wanted without wasting half of its height, so that the axis stands still. Where
    it must move it moves ahead, mostly downwards, where a loss goes: then it stands still again for a while."""
    if before is None:
        return wanted
    span, height = before[1] - before[0], wanted[1] - wanted[0]
    slack = 0.02 * span
    inside = before[0] - slack <= wanted[0] and wanted[1] <= before[1] + slack
    return before if inside and 1.9 * height >= span else (wanted[0] - 0.35 * height, wanted[1] + 0.05 * height)
