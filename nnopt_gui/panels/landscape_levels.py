"""Levels: which losses a map's colours and lines stand for, and the contour lines of the quadratic model."""

from __future__ import annotations

import math

import numpy as np

from nnopt.analysis.taylor import QuadraticModel
from nnopt_gui.panels.slice_model import Vector
from nnopt_gui.widgets.contours import contours
from nnopt_gui.widgets.heatmap import Scale

Extent = tuple[float, float, float, float]

#: white lines on a map
LINES = 16
#: a logarithmic scale spans at most this factor
SPAN = 1e5


def close_to(scale: Scale, other: Scale) -> bool:
    """Whether `scale` shows the losses of the other one well enough: then colours need not change."""
    if scale.log != other.log or scale.offset != other.offset or not scale.log:
        return scale == other
    span = math.log((scale.high - scale.offset) / (scale.low - scale.offset))
    lower = math.log((other.low - other.offset) / (scale.low - scale.offset))
    upper = math.log((other.high - other.offset) / (scale.high - scale.offset))
    return abs(lower) < 0.25 * span and abs(upper) < 0.12 * span


def scale_of(values: Vector, part: Vector, floor: float | None = None, before: Scale | None = None) -> Scale:
    """The scale for a grid of losses: from near its lowest value to where all but its steepest corners lie.

    part: those of the values that matter most (a function's bounds); what lies beyond them gets half as many of the
    colours. floor: the function's known minimum; None: 0 where no loss is negative, the lowest value elsewhere.
    `before` is kept while it still fits."""
    finite, inside = values[np.isfinite(values)], part[np.isfinite(part)]
    if not finite.size:
        return before or Scale(0.1, 1.0)
    lowest, highest = float(finite.min()), float(finite.max())
    if floor is None or not math.isfinite(floor) or lowest < floor:
        floor = 0.0 if lowest >= 0 else lowest - 0.01 * max(highest - lowest, 1e-12)
    excess = np.sort(finite - floor, axis=None)
    high = float(excess[min(excess.size - 1, int(0.995 * excess.size))])
    if inside.size and high > 0:
        within = float(np.quantile(inside - floor, 0.995))
        high = math.sqrt(high * within) if 0 < within < high else high
    if not high > 0:
        high = max(abs(floor), 1.0) * 1e-9
    low = min(max(float(excess[int(0.002 * excess.size)]), high / SPAN), high)
    if high / low < 1 + 1e-9:
        return Scale(floor + low - 0.5 * high, floor + high + 0.5 * high, False)
    found = Scale(floor + low, floor + high, True, floor)
    return before if before is not None and close_to(before, found) else found


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
