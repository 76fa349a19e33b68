"""What part of a plane the landscape panel shows. No Qt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nnopt_gui.panels.landscape_levels import Extent
from nnopt_gui.panels.landscape_plane import MapFrame
from nnopt_gui.panels.landscape_steps import function_of
from nnopt_gui.panels.slice_model import REACH, Past, Vector
from nnopt_gui.state.view import View

if TYPE_CHECKING:
    from nnopt_gui.panels.landscape_model import Ask, LocalModel


def home_extent(view: View, frame: MapFrame, local: LocalModel, past: Past, ask: Ask, before: Extent | None) -> Extent:
    """What to show: a function's bounds; else the surroundings of the point in which both landings fill the middle
    half. `before` is kept while the point moves inside its middle, and as long as no new map is computed."""
    function = function_of(view)
    if function is not None and frame.complete:
        return fitted(_with_point(function.bounds, local.place), ask.aspect)
    if ask.keep and before is not None:
        a, b = local.place
        wide, high = before[1] - before[0], before[3] - before[2]
        if not ask.map or not (math.isfinite(a) and math.isfinite(b)):
            return before
        inside = abs(a - (before[0] + before[1]) / 2) < 0.3 * wide and abs(b - (before[2] + before[3]) / 2) < 0.3 * high
        return before if inside else (a - wide / 2, a + wide / 2, b - high / 2, b + high / 2)
    marks = _marks(view, frame, local, past, ask)
    low, high = marks.min(axis=0), marks.max(axis=0)
    if before is not None:
        corner, size = np.array(before[::2]), np.array([before[1] - before[0], before[3] - before[2]])
        same = abs(math.log(size[0] / size[1] / ask.aspect)) < 0.05
        inside = bool((low > corner + 0.1 * size).all() and (high < corner + 0.9 * size).all())
        if same and inside and 6 * ((high - low) / size).max() >= 1:
            return before
    middle, span = (low + high) / 2, 2 * (high - low)
    return fitted(
        (
            (float(middle[0] - span[0] / 2), float(middle[0] + span[0] / 2)),
            (float(middle[1] - span[1] / 2), float(middle[1] + span[1] / 2)),
        ),
        ask.aspect,
    )


def _marks(view: View, frame: MapFrame, local: LocalModel, past: Past, ask: Ask) -> Vector:
    """Places (K, 2) that belong into the middle of the map."""
    here = np.array(local.place)
    theta = np.linalg.norm(view.state.theta)
    function = function_of(view)
    scale = max(1.0, float(theta)) if function is None else max(high - low for low, high in function.bounds)
    arrows = [
        np.array(arrow)
        for arrow in (local.gradient_arrow, local.newton_arrow, local.own_arrow)
        if np.isfinite(arrow).all()
    ]
    lengths = [float(np.hypot(*arrow)) for arrow in arrows]
    limit = max(scale, REACH * min(lengths, default=0.0))
    near = [arrow for arrow, length in zip(arrows, lengths, strict=True) if length <= limit]
    longest = max((float(np.hypot(*arrow)) for arrow in near), default=0.0)
    if len(near) < len(arrows) and longest < scale / 8:
        # only a tiny step is near: what it leads through is seen from further away
        far = arrows[int(np.argmax(lengths))]
        near.append(far * (scale / 3 / np.hypot(*far)))
    marks = [here, *(here + arrow for arrow in near)]
    if ask.kind == "pca" and past.steps.size:
        marks.extend(frame.project(past.thetas)[0])
    span = np.ptp(np.array(marks), axis=0).max()
    least = 1e-6 * scale
    if not span > least:
        reach = scale / 8 if longest == 0 else least
        marks += [here - reach, here + reach]
    elif past.steps.size:
        # the last steps, where they are not far away
        last = frame.project(past.thetas[-8:])[0]
        marks.extend(place for place in last if np.abs(place - here).max() < 1.2 * span)
    return np.array(marks)


def _with_point(bounds: tuple[tuple[float, float], ...], place: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """The bounds, doubled until the point lies inside, so that they stand still while it moves."""
    found = []
    for (low, high), x in zip(bounds, place, strict=True):
        half, centre = (high - low) / 2, (low + high) / 2
        if math.isfinite(x) and abs(x - centre) < 1e6 * half:
            while abs(x - centre) > half:
                half *= 2
        found.append((centre - half, centre + half))
    return tuple(found)


def fitted(bounds: tuple[tuple[float, float], ...], aspect: float) -> Extent:
    """Both ranges, the narrower one widened until they have the plot's shape, so that both axes have the same scale."""
    (a0, a1), (b0, b1) = bounds
    wide, high = a1 - a0, b1 - b0
    if wide < aspect * high:
        a0, a1 = (a0 + a1 - aspect * high) / 2, (a0 + a1 + aspect * high) / 2
    else:
        b0, b1 = (b0 + b1 - wide / aspect) / 2, (b0 + b1 + wide / aspect) / 2
    return a0, a1, b0, b1


def grown(extent: Extent, share: float) -> Extent:
    """A little more on every side."""
    a, b = share * (extent[1] - extent[0]), share * (extent[3] - extent[2])
    return extent[0] - a, extent[1] + a, extent[2] - b, extent[3] + b
