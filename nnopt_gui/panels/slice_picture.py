"""The slice panel's pictures: which line is cut through the loss, and what the analyst computes along it. No Qt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnopt.analysis.directions import principal_components
from nnopt_gui.panels.landscape_plane import random_unit
from nnopt_gui.panels.landscape_steps import (
    Steps,
    first_steps,
    function_of,
    own_rate,
    parameter_names,
    steps_at,
)
from nnopt_gui.panels.landscape_trail import sample_trail, with_losses
from nnopt_gui.panels.slice_model import (
    Interval,
    Line,
    Local,
    Past,
    SlicePicture,
    Vector,
    curves,
    focus,
    measure,
)
from nnopt_gui.state.view import View
from nnopt_gui.widgets.numbers import percent

#: directions offered for every objective of more than one parameter, besides single parameters
DIRECTIONS = (
    ("gradient", "gradient"),
    ("newton", "Newton step"),
    ("pca1", "path so far"),
    ("random", "random"),
)
#: up to this many parameters are offered by name
LISTED = 12
#: part of the shown width that is computed beyond either side, so that a turn of the wheel shows a curve at once; and
#: while a run plays
BEYOND, BEYOND_PLAYING = 0.6, 0.15


def options(view: View, chosen: str) -> tuple[tuple[str, str], ...]:
    """What can be chosen for the objective: (value, words)."""
    if is_curve(view):
        return (("own", "the function itself"),)
    names = parameter_names(view.objective)
    listed = list(range(len(names))) if len(names) <= LISTED else []
    kind, _, index = chosen.partition(":")
    if kind == "parameter" and index.isdigit() and int(index) < len(names) and int(index) not in listed:
        listed.append(int(index))
    return (*DIRECTIONS, *((f"parameter:{i}", f"along {names[i]}") for i in listed))


def is_curve(view: View) -> bool:
    """Whether the objective has one parameter only: then the slice is the function."""
    return int(view.objective.size) == 1


def line_for(view: View, kind: str, past: Past) -> tuple[Line, str]:
    """The line through the view's theta in the direction `kind`, and what must be said about it. Falls back to the
    steepest parameter where the direction has no length."""
    theta = view.state.theta
    if is_curve(view):
        name = parameter_names(view.objective)[0]
        return Line(np.zeros(1), np.ones(1), f"parameter {name}"), ""
    name, _, index = kind.partition(":")
    if name == "parameter" and index.isdigit() and int(index) < theta.size:
        return _along(view, int(index)), ""
    if name == "newton":
        steps = steps_at(view)
        if steps.newton is not None and (unit := _unit(steps.newton)) is not None:
            downhill = float(unit @ steps.gradient) < 0
            return Line(theta, unit, f"distance moved along the {steps.newton_name}", downhill), ""
        note = "no exact Newton step here: the gradient instead"
        line, _ = line_for(view, "gradient", past)
        return line, note
    if name == "pca1" and past.steps.size >= 2:
        units, explained = principal_components(past.thetas, 1)
        if len(units):
            words = f"along the path so far ({percent(explained[0])} of its variance)"
            return Line(theta, units[0], words), ""
    if name == "random":
        unit = random_unit(view)
        return Line(theta, unit, "distance moved in a random direction"), ""
    gradient = first_steps(view).gradient
    unit = _unit(-gradient)
    if unit is None:
        return _along(view, 0), "no gradient here"
    return Line(theta, unit, "distance moved along −∇L", True), ""


def _along(view: View, index: int) -> Line:
    unit = np.zeros(view.state.theta.size)
    unit[index] = 1.0
    origin = np.where(unit == 1.0, 0.0, view.state.theta)
    return Line(origin, unit, f"parameter {parameter_names(view.objective)[index]}")


def _unit(direction: Vector) -> Vector | None:
    """The direction with length 1; None where it has none."""
    with np.errstate(all="ignore"):
        length = float(np.linalg.norm(direction))
        return np.asarray(direction / length) if 0 < length < np.inf else None


def steps_here(view: View, kind: str = "") -> Steps:
    """The steps at the view's theta, with Newton's where the line or the method needs curvature."""
    return steps_at(view) if kind == "newton" or own_rate(view) is None else first_steps(view)


def scale_of_line(view: View) -> float:
    """The length that counts as far: half of a function's bounds, the length of a network's theta."""
    function = function_of(view)
    if function is not None:
        return 0.5 * max(high - low for low, high in function.bounds)
    with np.errstate(all="ignore"):
        length = float(np.linalg.norm(view.state.theta))
    return max(1.0, length) if np.isfinite(length) else 1.0


def shown_range(view: View, local: Local, before: Interval | None) -> Interval:
    """What part of the line to show: a function's bounds, else the surroundings of the point and its landings."""
    function = function_of(view)
    if function is not None and is_curve(view):
        low, high = function.bounds[0]
        if low <= local.x <= high:
            return float(low), float(high)
    return focus(local, scale_of_line(view), before)


def slices(
    view: View, kind: str, before: Interval | None = None, window: Interval | None = None, past: Past | None = None
) -> Iterator[SlicePicture]:
    """The pictures of a view, coarse to fine. before: the range shown so far; window: the range that the user has
    zoomed to; past: earlier states if they are known already (losses that are not are NaN)."""
    if past is None:
        past = sample_trail(view.history, view.objective, view.cursor, whole=is_curve(view) or kind == "pca1")
    else:
        past = with_losses(past, view.objective)
    line, note = line_for(view, kind, past)
    with np.errstate(all="ignore"):
        x = float(line.project(view.state.theta)[0])
    steps = steps_here(view, kind)
    local = measure(view.objective, line, x, steps.rate, steps.damping, steps.own)
    shown = shown_range(view, local, before)
    low, high = window if window is not None else shown
    beyond = (BEYOND_PLAYING if view.playing else BEYOND) * (high - low)
    for curve in curves(view.objective, line, low - beyond, high + beyond, view.playing):
        yield SlicePicture(line, local, curve, shown, past, note)
