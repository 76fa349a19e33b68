"""Planes through parameter space: which two directions the landscape panel cuts along. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnopt.analysis.curvature import spectrum, spectrum_at
from nnopt.analysis.directions import plane_of_steps, principal_components, random_direction, valley_axes
from nnopt.analysis.landscape import Plane
from nnopt.errors import UnsupportedError
from nnopt_gui.panels.landscape_steps import COSTLY, Steps, parameter_names
from nnopt_gui.panels.slice_model import Past, Vector, work
from nnopt_gui.state.view import View
from nnopt_gui.widgets.numbers import signed

#: planes offered for every objective of more than two parameters, besides pairs of parameters
PLANES = (
    ("gradient_newton", "gradient, Newton"),
    ("curvature", "steepest, flattest"),
    ("pca", "path so far"),
    ("parameters", "two parameters"),
    ("random", "random"),
)


@dataclass(frozen=True, eq=False)
class MapFrame(Plane):
    """A plane with unit axes at right angles: lengths on the map are lengths. complete: there is nothing beside the
    plane. explained: share of the path's variance that lies in it, None for planes not made from a path. note: what
    must be said about it. step: the one whose gradient, curvature or path gave the directions; None where none did."""

    complete: bool = False
    explained: float | None = None
    note: str = ""
    step: int | None = None

    def place(self, theta: Vector) -> tuple[float, float]:
        """Coordinates of the foot of theta."""
        return self.along(theta - self.origin)

    def project(self, theta: npt.ArrayLike) -> tuple[Vector, Any]:
        """As `Plane.project`; quicker, because the axes are orthonormal."""
        away = np.asarray(theta, dtype=np.float64) - self.origin
        coords = away @ self.directions.T
        return coords, np.linalg.norm(away - coords @ self.directions, axis=-1)

    def share(self, step: npt.ArrayLike) -> float:
        """Fraction of the length of a step (P,) that lies within the plane; 1 for a step of length zero."""
        length = float(np.linalg.norm(step))
        return min(1.0, float(np.hypot(*self.along(np.asarray(step)))) / length) if length > 0 else 1.0

    def along(self, step: Vector) -> tuple[float, float]:
        """The part of a step that lies in the plane."""
        with np.errstate(all="ignore"):
            return float(step @ self.d1), float(step @ self.d2)

    def through(self, theta: Vector) -> MapFrame:
        """The parallel plane that contains theta, at the coordinates that theta's foot has now."""
        a, b = self.place(theta)
        return replace(self, origin=theta - a * self.d1 - b * self.d2)


def planes(view: View, chosen: str) -> tuple[tuple[str, str], ...]:
    """What can be chosen for the objective: (value, words)."""
    if int(view.objective.size) == 2:
        return (("own", "the function itself"),)
    extra = _pair(chosen, int(view.objective.size))
    if extra is None:
        return PLANES
    names = parameter_names(view.objective)
    return (*PLANES, (chosen, f"{names[extra[0]]} and {names[extra[1]]}"))


def frame_for(view: View, kind: str, steps: Steps, past: Past) -> MapFrame:
    """The plane `kind` through the view's theta; where it does not exist, that of both steps, and `note` says so."""
    theta = view.state.theta
    if theta.size == 2:
        names = parameter_names(view.objective)
        return MapFrame(np.zeros(2), *np.eye(2), (f"parameter {names[0]}", f"parameter {names[1]}"), complete=True)
    made = {"pca": _of_path, "curvature": _of_curvature, "random": _of_chance, "parameters": _of_parameters}
    make = made.get(kind.partition(":")[0])
    frame = make(view, kind, steps, past) if make is not None else None
    if frame is not None:
        lasting = kind == "random" or _pair(kind, int(view.objective.size)) is not None
        return frame if lasting else replace(frame, step=view.cursor)
    note = f"{dict(PLANES).get(kind, kind)}: not possible here" if make is not None else ""
    return replace(_of_steps(view, steps), note=note, step=view.cursor)


def random_unit(view: View, other: int = 0) -> Vector:
    """A random direction of length 1, filter-normalized for networks; of the experiment's seed, and of `other`."""
    theta = view.state.theta
    try:
        found = random_direction(view.objective, theta, view.experiment.seed + 1_000_003 * other)
    except UnsupportedError:
        # all weights are zero: there is no norm to follow
        found = np.random.default_rng([view.experiment.seed, other]).standard_normal(theta.size)
    return np.asarray(found / np.linalg.norm(found))


def _of_steps(view: View, steps: Steps) -> MapFrame:
    """The plane of both steps, the valley along its first axis."""
    newton = steps.newton if steps.newton is not None else np.zeros_like(steps.gradient)
    try:
        plane = plane_of_steps(steps.theta, -steps.gradient, newton)
    except UnsupportedError:
        frame = _of_chance(view, "random", steps, Past())
        return replace(frame, note="both steps are zero here: a random plane")
    words = tuple(label.replace("Newton step", steps.newton_name) for label in plane.labels)
    note = "" if steps.newton is not None else "no exact Newton step here"
    return _valley_first(view, MapFrame(steps.theta, plane.d1, plane.d2, words, note=note))  # type: ignore[arg-type]


def _of_path(view: View, kind: str, steps: Steps, past: Past) -> MapFrame | None:
    found, shares = principal_components(past.thetas, 2) if past.steps.size > 2 else (np.empty((0, 0)), np.empty(0))
    if len(found) < 2:
        return None
    words = ("along the path's main direction", "along its second direction")
    return MapFrame(steps.theta, found[0], found[1], words, explained=float(shares.sum()))


def _of_curvature(view: View, kind: str, steps: Steps, past: Past) -> MapFrame | None:
    if steps.hessian is not None:
        found = spectrum(steps.hessian)
    elif 200 * work(view.objective) < COSTLY:
        found = spectrum_at(view.objective, steps.theta)
    else:
        return None
    if not np.isfinite(found.values).all() or len(found.values) < 2:
        return None
    words = (f"along the curvature {signed(found.smallest, 2)}", f"along the curvature {signed(found.largest, 2)}")
    return _downhill(MapFrame(steps.theta, found.vectors[:, -1], found.vectors[:, 0], words), steps.gradient)


def _of_chance(view: View, kind: str, steps: Steps, past: Past) -> MapFrame:
    plane = Plane(steps.theta, random_unit(view), random_unit(view, 1)).orthonormal()
    words = ("a random direction", "another random direction")
    return _valley_first(view, MapFrame(steps.theta, plane.d1, plane.d2, words))


def _of_parameters(view: View, kind: str, steps: Steps, past: Past) -> MapFrame:
    i, j = _pair(kind, steps.theta.size) or _steepest_two(steps.gradient)
    names = parameter_names(view.objective)
    axes = np.zeros((2, steps.theta.size))
    axes[0, i] = axes[1, j] = 1.0
    frame = MapFrame(steps.theta, axes[0], axes[1], (f"change of {names[i]}", f"change of {names[j]}"))
    curved = np.abs(frame.model(view.objective).hessian.diagonal())
    return replace(frame, d1=axes[1], d2=axes[0], labels=frame.labels[::-1]) if curved[0] > curved[1] else frame


def _valley_first(view: View, frame: MapFrame) -> MapFrame:
    """The same plane with the valley along the first axis, along the long side of the panel."""
    turned = valley_axes(frame, frame.model(view.objective).hessian)
    return replace(frame, d1=turned.d1, d2=turned.d2, labels=turned.labels)


def _downhill(frame: MapFrame, gradient: Vector) -> MapFrame:
    """Both axes pointing downhill: the sign of an eigenvector is arbitrary."""
    first = frame.d1 if frame.d1 @ gradient <= 0 else -frame.d1
    second = frame.d2 if frame.d2 @ gradient <= 0 else -frame.d2
    return replace(frame, d1=first, d2=second)


def _pair(kind: str, size: int) -> tuple[int, int] | None:
    """(i, j) of "parameters:i,j"; None if that is not what `kind` says."""
    name, _, numbers = kind.partition(":")
    parts = numbers.split(",")
    if name != "parameters" or len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    i, j = int(parts[0]), int(parts[1])
    return (i, j) if i != j and max(i, j) < size else None


def _steepest_two(gradient: Vector) -> tuple[int, int]:
    order = np.argsort(-np.abs(np.nan_to_num(gradient)), kind="stable")
    return int(order[0]), int(order[1])
