"""Levels: which losses a map's colours and lines stand for, and the contour lines of the quadratic model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnopt.analysis.taylor import QuadraticModel
from nnopt_gui.panels.slice_model import Vector
from nnopt_gui.widgets.contours import contours
from nnopt_gui.widgets.heatmap import Scale

Extent = tuple[float, float, float, float]

#: white lines on a map
LINES = 16
#: a scale ends where less than this share of the map lies, but spans no more than this factor
ENDS, SPAN = 0.002, 1e14
#: places at which the colours are weighed, and how far they may move before they are laid out anew
KNOTS, KEPT = 65, 0.12


@dataclass(frozen=True)
class Graded(Scale):
    """A logarithmic scale on which losses that much of the map has take more of the colours (and lines) than others: a
    map whose losses span ten decades is not one colour with a spot, and none is flat at the top.

    knots: (place on the logarithmic scale, position), both from 0 to 1 and rising.
    """

    knots: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))

    def position(self, values: Any) -> npt.NDArray[np.float64]:
        """0 at low and below, 1 at high and above; NaN stays NaN."""
        places, positions = zip(*self.knots, strict=True)
        return np.asarray(np.interp(super().position(values), places, positions))

    def value(self, position: float) -> float:
        """The value at a position."""
        places, positions = zip(*self.knots, strict=True)
        return super().value(float(np.interp(position, positions, places)))

    def ticks(self, count: float) -> list[float]:
        """Round values, three at least, spread evenly over the colours."""
        places = np.linspace(0.04, 0.96, max(3, int(count)))
        found: list[float] = []
        for digits in range(1, 15):
            rounded = (float(f"{self.value(place):.{digits}g}") for place in places)
            found = list(dict.fromkeys(x for x in rounded if self.low <= x <= self.high))
            if len(found) == len(places):
                break
        return found


def close_to(scale: Scale, other: Scale) -> bool:
    """Whether `scale` shows the losses of the other one well enough: then colours need not change."""
    if not (isinstance(scale, Graded) and isinstance(other, Graded)) or scale.offset != other.offset:
        return scale == other
    wanted = np.linspace(0, 1, 17)
    return bool(np.abs(scale.position([other.value(x) for x in wanted]) - wanted).max() < KEPT)


def scale_of(values: Vector, part: Vector, floor: float | None = None, before: Scale | None = None) -> Scale:
    """The scale for a grid of losses, half by their logarithm and half by how much of the map has them.

    part: those of the values that matter most (a function's bounds); they count as much as all of them together.
    floor: the function's known minimum; None: 0 where no loss is negative, the lowest value elsewhere. `before` is kept
    while it still fits."""
    finite, inside = values[np.isfinite(values)], part[np.isfinite(part)]
    if not finite.size:
        return before or Scale(0.1, 1.0)
    lowest, highest = float(finite.min()), float(finite.max())
    if floor is None or not math.isfinite(floor) or lowest < floor:
        floor = 0.0 if lowest >= 0 else lowest - 0.01 * max(highest - lowest, 1e-12)
    excess = np.sort(finite - floor, axis=None)
    high = float(excess[min(excess.size - 1, int((1 - ENDS / 2) * excess.size))])
    if not high > 0:
        high = max(abs(floor), 1.0) * 1e-9
    low = min(max(float(excess[int(ENDS * excess.size)]), high / SPAN), high)
    if high / low < 1 + 1e-12:
        return Scale(floor + low - 0.5 * high, floor + high + 0.5 * high, False)
    found = _graded(Scale(floor + low, floor + high, True, floor), finite, inside)
    return before if before is not None and close_to(before, found) else found


def _graded(scale: Scale, *groups: Vector) -> Scale:
    """The scale with the colours laid out by how often values occur; each group counts as much as the others."""
    places = np.linspace(0, 1, KNOTS)
    shares = []
    for group in groups:
        if group.size:
            found = np.sort(scale.position(group), axis=None)
            shares.append(np.searchsorted(found, places, side="right") / found.size)
    below = np.mean(shares, axis=0)
    below = (below - below[0]) / (below[-1] - below[0]) if below[-1] > below[0] else places
    knots = zip(places.tolist(), ((places + below) / 2).tolist(), strict=True)
    return Graded(scale.low, scale.high, True, scale.offset, tuple(knots))


def model_levels(
    model: QuadraticModel, lowest: float | None, extent: Extent, place: tuple[float, float]
) -> list[float]:
    """Levels at which to draw a model: one through the current point, at `place`, the others around it.

    lowest: the model's minimum, None where it has none. Around a minimum the lines are at 1/2, 1, 3/2 and 2 times the
    point's distance from it (or of what can be seen, if that is very little); elsewhere they are evenly spaced over the
    heights that can be seen."""
    half = min(extent[1] - extent[0], extent[3] - extent[2]) / 2
    if lowest is not None:
        visible = 0.5 * float(model.curvatures()[0][0]) * half * half
        drop = max(model.value - lowest, 0.01 * visible)
        return [lowest + drop * share for share in (0.25, 1.0, 2.25, 4.0)] if drop > 0 else []
    xs, ys = np.linspace(extent[0], extent[1], 9) - place[0], np.linspace(extent[2], extent[3], 9) - place[1]
    heights = model(np.stack(np.meshgrid(xs, ys), axis=-1))
    low, high = (float(x) for x in np.quantile(heights, (0.1, 0.9)))
    unit = (high - low) / 6
    return [model.value + unit * k for k in range(-4, 5)] if unit > 0 and math.isfinite(unit) else []


def model_lines(model: QuadraticModel, place: tuple[float, float], extent: Extent) -> tuple[Vector, Vector]:
    """Contour lines of a quadratic model around `place` as one polyline (x, y) with NaN gaps: exact ellipses where
    there is a minimum to see, else lines of equal level on a fine grid (hyperbolas, parallels)."""
    if not (np.isfinite(model.value) and np.isfinite(model.gradient).all() and np.isfinite(model.hessian).all()):
        return np.empty(0), np.empty(0)
    centre = model.minimum()
    lowest = None if centre is None else float(model(centre))
    levels = model_levels(model, lowest, extent, place)
    if centre is not None and lowest is not None:
        reach = math.hypot(extent[1] - extent[0], extent[3] - extent[2])
        curvatures, axes = model.curvatures()
        radii = [np.sqrt(2 * max(level - lowest, 0.0) / curvatures) for level in levels]
        if max((float(r.max()) for r in radii), default=0.0) < 12 * reach:
            angle = np.linspace(0, 2 * np.pi, 241)
            circle = np.vstack([np.cos(angle), np.sin(angle)])
            gap = np.full((2, 1), np.nan)
            middle = (centre + place)[:, None]
            parts = [part for r in radii for part in (axes @ (r[:, None] * circle) + middle, gap)]
            joined = np.hstack(parts) if parts else np.empty((2, 0))
            return joined[0], joined[1]
    xs, ys = np.linspace(extent[0], extent[1], 65), np.linspace(extent[2], extent[3], 65)
    heights = model(np.stack(np.meshgrid(xs - place[0], ys - place[1], indexing="ij"), axis=-1))
    return contours(heights, xs, ys, levels)
