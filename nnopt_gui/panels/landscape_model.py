"""What the landscape panel shows, computed without Qt: the loss on a plane, its quadratic model, and the steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnopt.analysis.landscape import float32_suffices, values_at
from nnopt.analysis.taylor import FLAT, QuadraticModel, quadratic_model
from nnopt_gui.panels.landscape_extent import grown, home_extent
from nnopt_gui.panels.landscape_levels import LINES, Extent, model_lines, scale_of
from nnopt_gui.panels.landscape_plane import MapFrame, frame_for
from nnopt_gui.panels.landscape_steps import Steps, function_of, steps_at
from nnopt_gui.panels.landscape_trail import sample_trail, with_losses
from nnopt_gui.panels.own_step import OwnStep
from nnopt_gui.panels.slice_model import Past, Vector, work
from nnopt_gui.state.view import View
from nnopt_gui.widgets.contours import contours
from nnopt_gui.widgets.heatmap import Scale

#: points along each side of the map, coarse to fine; a finer grid keeps the points of the coarser one
SIZES = (7, 13, 25, 49, 97)
FINEST = 161
#: points along each side while a run plays, and grid points times parameters times examples that they may cost
QUICK, QUICK_COST = (5, 7, 9, 13, 17, 25), 1.5e7
#: parameter-times-example units that are computed before the first picture, and before others may go first
FIRST, CHUNK = 2.5e7, 1.5e6
#: losses beyond which float32 (it ends at 3e38) is not enough
LARGE = 1e30
#: part of the shown extent that is computed beyond each edge
BEYOND = 0.12


@dataclass(frozen=True, eq=False)
class LocalModel:
    """The loss around theta (P,) and both steps, seen in a plane.

    place: coordinates of theta's foot; distance: of theta to the plane. model: the quadratic one in the plane, in
    coordinates from `place`. gradient_step, newton (P,) or None; gradient_arrow, newton_arrow: their parts within;
    gradient_share, newton_share: shares of their lengths. gradient_value, newton_value: true loss where they land.
    own: the step that the run makes, where it is neither; radius: of the trust region, NaN without.
    curvatures: least and largest in the plane. newton_uphill: whether it points uphill. note: what must be said about
    it. stationary: what the model has where its slope is zero: "minimum",
    "saddle", "maximum" or "".
    """

    theta: Vector
    value: float
    rate: float
    place: tuple[float, float]
    distance: float
    model: QuadraticModel
    gradient_step: Vector
    gradient_arrow: tuple[float, float]
    gradient_share: float
    gradient_value: float
    newton: Vector | None = None
    newton_name: str = "Newton step"
    newton_arrow: tuple[float, float] = (math.nan, math.nan)
    newton_share: float = math.nan
    newton_value: float = math.nan
    newton_uphill: bool = False
    own: OwnStep | None = None
    own_arrow: tuple[float, float] = (math.nan, math.nan)
    own_share: float = math.nan
    radius: float = math.nan
    stationary: str = ""
    note: str = ""

    @property
    def curvatures(self) -> tuple[float, float]:
        high, low = self.model.curvatures()[0]
        return float(low), float(high)

    @property
    def minimum(self) -> tuple[float, float] | None:
        """Where the model in the plane is lowest; None where it has no minimum."""
        step = self.model.minimum()
        return None if step is None else (self.place[0] + float(step[0]), self.place[1] + float(step[1]))

    def lines(self, extent: Extent) -> tuple[Vector, Vector]:
        """The model's contour lines, x and y with NaN gaps."""
        return model_lines(self.model, self.place, extent)


@dataclass(frozen=True, eq=False)
class Ask:
    """What is wanted. kind: of the plane. aspect: width / height of the plot. window: what the user has zoomed to.
    frame, extent, scale: what is shown so far. keep: stay in that frame (a run plays, a point is dragged). map: whether
    the map is wanted, or only what lies on it. quick: one grid, whatever is computed at once. plane: number of the
    plane, a new one for each that is not kept. past: earlier states if they are known."""

    kind: str
    aspect: float
    window: Extent | None = None
    frame: MapFrame | None = None
    extent: Extent | None = None
    scale: Scale | None = None
    keep: bool = False
    map: bool = True
    quick: bool = False
    plane: int = 0
    past: Past | None = None


@dataclass(frozen=True, eq=False)
class LandscapePicture:
    """One result. home: the extent to show (a0, a1, b0, b1). values (n, n): [i, j] at (a_i, b_j) of `extent`, or None:
    the map stays. lines: contour lines, x and y. plane: the number that it was asked for with."""

    frame: MapFrame
    local: LocalModel
    past: Past
    home: Extent
    extent: Extent | None = None
    values: Vector | None = None
    scale: Scale | None = None
    lines: tuple[Vector, Vector] | None = None
    plane: int = 0


def local_model(view: View, frame: MapFrame, steps: Steps) -> LocalModel:
    """Value, slope, curvature and steps at the view's theta, in a plane."""
    theta = steps.theta
    with np.errstate(all="ignore"):
        model = quadratic_model(view.objective, theta, frame.directions, (steps.value, steps.gradient))
        _, distance = frame.project(theta)
        gradient = steps.gradient_step
        newton = steps.newton if steps.newton is not None and np.isfinite(steps.newton).all() else None
        own = steps.own if steps.own is not None and np.isfinite(steps.own.step).all() else None
        return LocalModel(
            theta=theta,
            value=steps.value,
            rate=steps.rate,
            place=frame.place(theta),
            distance=float(distance),
            model=model,
            gradient_step=gradient,
            gradient_arrow=frame.along(gradient),
            gradient_share=frame.share(gradient),
            gradient_value=float(view.objective.value(theta + gradient)),
            newton=newton,
            newton_name=steps.newton_name,
            newton_arrow=(math.nan, math.nan) if newton is None else frame.along(newton),
            newton_share=math.nan if newton is None else frame.share(newton),
            newton_value=math.nan if newton is None else float(view.objective.value(theta + newton)),
            newton_uphill=newton is not None and float(steps.gradient @ newton) > 0,
            own=own,
            own_arrow=(math.nan, math.nan) if own is None else frame.along(own.step),
            own_share=math.nan if own is None else frame.share(own.step),
            radius=steps.radius,
            stationary=_stationary(steps),
            note="; ".join(part for part in steps.note.split("; ") if "uphill" not in part),
        )


def _stationary(steps: Steps) -> str:
    if steps.hessian is None or steps.around is None or steps.damping:
        return ""
    least, most = steps.around.ends
    cut = FLAT * max(abs(least), abs(most))
    if least > cut:
        return "minimum"
    return "maximum" if most < -cut else "saddle" if least < -cut and most > cut else ""


def landscapes(view: View, ask: Ask) -> Iterator[LandscapePicture | None]:
    """The pictures of a view, coarse to fine; each is complete in itself. None where others may go first."""
    steps = steps_at(view)
    function = function_of(view)
    whole = function is not None or ask.kind == "pca"
    if ask.past is None:
        past = sample_trail(view.history, view.objective, view.cursor, whole=whole)
    else:
        past = with_losses(ask.past, view.objective)
    kept = ask.frame if ask.keep or (ask.frame is not None and ask.frame.complete) else None
    if kept is not None and ask.map and not kept.complete:
        kept = kept.through(steps.theta)
    frame = kept or frame_for(view, ask.kind, steps, past)
    local = local_model(view, frame, steps)
    before = ask.extent if ask.frame is not None else None
    home = home_extent(view, frame, local, past, ask, before)
    if not ask.map:
        yield LandscapePicture(frame, local, past, home, plane=ask.plane)
        return
    extent = grown(ask.window or home, BEYOND)
    floor = function.lowest if function is not None and math.isfinite(function.lowest) else None
    dtype = np.float64 if _needs_double(view.objective, frame, local, extent) else np.float32
    for values in grids(view.objective, frame, extent, grid_sizes(view.objective, ask.quick), dtype):
        if values is None:
            yield None
            continue
        scale = scale_of(values, _inside(values, extent, function), floor, ask.scale)
        xs, ys = (np.linspace(*side, len(values)) for side in (extent[:2], extent[2:]))
        lines = contours(values, xs, ys, scale.levels(LINES))
        yield LandscapePicture(frame, local, past, home, extent, values, scale, lines, ask.plane)


def _inside(values: Vector, extent: Extent, function: Any) -> Vector:
    """The part of a grid that lies within a function's bounds, if that is some of it: its colours should count."""
    if function is None or function.size != 2:
        return values
    n = len(values)
    (a0, a1), (b0, b1) = function.bounds
    a, b = np.linspace(extent[0], extent[1], n), np.linspace(extent[2], extent[3], n)
    part = values[np.ix_((a >= a0) & (a <= a1), (b >= b0) & (b <= b1))]
    return part if part.size > 0.02 * values.size else values


def _needs_double(objective: Any, frame: MapFrame, local: LocalModel, extent: Extent) -> bool:
    """Whether float32 would not do: the loss varies so little over the map, or the weights are so large, that its
    rounding would be seen, or so much that it (or the squares that it is made of) would overflow."""
    half = max(extent[1] - extent[0], extent[3] - extent[2]) / 2
    with np.errstate(all="ignore"):
        change = float(np.abs(local.model.gradient).max() * half + 0.5 * np.abs(local.model.hessian).max() * half**2)
    ends = (local.value, local.value + change)
    return not abs(local.value) + change < LARGE or not float32_suffices(objective, frame, extent, ends)


def grid_sizes(objective: Any, quick: bool = False) -> tuple[int, ...]:
    """Points along each side, coarse to fine: the first takes about a frame, unless even the coarsest takes longer.
    quick: one size only, that can be had many times a second."""
    cost = work(objective)
    if FINEST**2 * cost < FIRST / 6:
        return (FINEST,)
    if quick:
        return (max((n for n in QUICK if n * n * cost < QUICK_COST), default=QUICK[0]),)
    return SIZES[max((i for i, n in enumerate(SIZES) if n * n * cost < FIRST), default=0) :]


def grids(
    objective: Any, frame: MapFrame, extent: Extent, sizes: tuple[int, ...], dtype: Any
) -> Iterator[Vector | None]:
    """The loss on finer and finer grids (n, n), [i, j] at (a_i, b_j); 2 n - 1 points keep those of n. None between two
    stretches of work, where others may go first."""
    chunk = int(max(4, min(CHUNK / work(objective), 2_000_000 / frame.origin.size)))
    known: Vector | None = None
    for n in sizes:
        values = np.full((n, n), np.nan)
        fresh = np.ones((n, n), dtype=bool)
        if known is not None:
            values[::2, ::2] = known
            fresh[::2, ::2] = False
        i, j = np.nonzero(fresh)
        a, b = np.linspace(extent[0], extent[1], n)[i], np.linspace(extent[2], extent[3], n)[j]
        for start in range(0, i.size, chunk):
            part = slice(start, start + chunk)
            values[i[part], j[part]] = values_at(objective, frame, np.column_stack([a[part], b[part]]), dtype)
            if start + chunk < i.size:
                yield None
        yield values
        known = values
