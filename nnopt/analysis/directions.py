"""Directions through parameter space by name, the planes they span, and how to turn a plane.

A direction's label is its axis in words ("along the gradient step"). Directions have unit length, so that coordinates
are distances in parameter space, except two: a random filter-normalized one has the size of the weights themselves, and
one towards another point ends there at 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.curvature import Spectrum, newton_step_at, spectrum_at
from nnopt.analysis.given import generator, value_and_gradient_of
from nnopt.analysis.planes import Plane, Slice
from nnopt.errors import SettingsError, ShapeError, UnsupportedError, unknown_name
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]

#: every kind of direction -> what it is; a number may follow some of them ("coordinate:3", "eigenvector:0", "random:7")
KINDS = {
    "coordinate": "along one parameter; coordinate:0 is the first",
    "gradient": "downhill, against the gradient",
    "newton": "along the Newton step, damped if asked",
    "eigenvector": "along an eigenvector of the Hessian: eigenvector:0 of the largest curvature, :-1 of the smallest",
    "random": "random, filter-normalized (Li et al. 2018): each unit as long as its weights; random:7 by its seed",
    "pca1": "the principal component of a run that explains most of its path's variance",
    "pca2": "the second principal component of a run, at a right angle to the first",
    "towards": "straight to another point, another solution, say, which is at 1",
}
#: those that a number may follow
NUMBERED = ("coordinate", "eigenvector", "random")
#: states of a run that its principal components are computed from, at most
MOST_STATES = 300
#: axes turned by less than this many degrees keep their names
SAME_AXIS = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class Direction(Shown):
    """vector (P,): along the axis. label: the axis in words. explained: share of the trajectory's variance along it,
    for principal components. note: what must be said ("the Newton step goes uphill").

    >>> Direction(np.array([0.0, 2.0]), "y").slice(np.zeros(2)).point(1.5)
    array([0., 3.])
    """

    vector: Array
    label: str
    explained: float | None = None
    note: str = ""

    def slice(self, origin: Array) -> Slice:
        """The line through a point along this direction."""
        return Slice(origin, self.vector, self.label)


@dataclass(frozen=True, eq=False, repr=False)
class Context(Shown):
    """What directions at a point are made from; gradient, Hessian and components are computed once, when needed.

    objective; theta (P,). trajectory (K, P): states of the run. target (P,): for "towards". damping: of the Newton
    step, >= 0. names: of the coordinates.

    >>> from nnopt.objectives import functions
    >>> here = Context(functions.get("saddle"), [1.0, 0.5])
    >>> here.gradient, here.spectrum.values, here.name(1)
    (array([ 2., -1.]), array([ 2., -2.]), 'y')
    """

    objective: Any
    theta: Array
    trajectory: Array | None = None
    target: Array | None = None
    damping: float = 0.0
    names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("theta", "trajectory", "target"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))

    @cached_property
    def gradient(self) -> Array:
        """(P,)."""
        with np.errstate(all="ignore"):
            return value_and_gradient_of(self.objective, self.theta)[1]

    @cached_property
    def newton(self) -> tuple[Array, str]:
        """The (damped) Newton step (P,) and what must be said about it."""
        return newton_step_at(self.objective, self.theta, self.gradient, self.damping)

    @cached_property
    def spectrum(self) -> Spectrum:
        """Of the Hessian."""
        return spectrum_at(self.objective, self.theta)

    @cached_property
    def components(self) -> tuple[Array, Array]:
        """Of the trajectory: see `principal_components`. Raises: UnsupportedError without one."""
        if self.trajectory is None:
            raise UnsupportedError("principal components need a trajectory: the states of a run")
        return principal_components(self.trajectory)

    def name(self, index: int) -> str:
        """Coordinate `index` in words: x and y, or θ with its number."""
        names = self.names or getattr(getattr(self.objective, "formula", None), "variables", ())
        if index < len(names):
            return str(names[index])
        return "xy"[index] if self.theta.size <= 2 else f"θ{_subscript(index)}"


def direction(kind: str, context: Context) -> Direction:
    """The direction of a kind, one of KINDS, at context.theta.

    "coordinate:i"; "gradient": downhill, -g; "newton": along the (damped) Newton step; "eigenvector:i": of the Hessian,
    the i-th largest curvature (i = -1, -2, ...: from the smallest); "random:seed": filter-normalized (Li et al. 2018);
    "pca1", "pca2": principal components of the trajectory; "towards": to context.target, which is at 1.

    >>> from nnopt.objectives import functions
    >>> found = direction("eigenvector:-1", Context(functions.get("saddle"), np.array([1.0, 0.5])))
    >>> found.label, np.abs(found.vector)
    ('along curvature -2', array([0., 1.]))

    Raises: UnknownNameError; SettingsError for a number out of range; ShapeError; UnsupportedError where there is none
    (a zero gradient, no trajectory, no target).
    """
    name, _, number = str(kind).partition(":")
    if number and name in KINDS and name not in NUMBERED:
        raise SettingsError(f"direction: {name!r} takes no number, got {kind!r}")
    if number and not re.fullmatch("-?[0-9]{1,9}", number):
        raise SettingsError(f"direction: expected a number after {name + ':'!r}, got {number!r}")
    index = int(number) if number else 0
    if name == "coordinate":
        vector = np.zeros_like(context.theta)
        vector[_checked(name, index, context.theta.size)] = 1.0
        return Direction(vector, context.name(index))
    if name == "gradient":
        return Direction(_unit(-context.gradient, "the gradient is zero here"), "along the gradient step")
    if name == "newton":
        step, note = context.newton
        damped = "damped " if context.damping > 0 else ""
        return Direction(_unit(step, "the Newton step is zero here"), f"along the {damped}Newton step", note=note)
    if name == "eigenvector":
        spectrum = context.spectrum
        if not np.isfinite(spectrum.values).all():
            raise UnsupportedError("the Hessian is not finite here")
        count = len(spectrum.values)
        index = _checked(name, index + count if -count <= index < 0 else index, count)
        vector = spectrum.vectors[:, index]
        return Direction(np.array(vector), f"along curvature {spectrum.values[index]:.3g}")
    if name == "random":
        return Direction(random_direction(context.objective, context.theta, index), f"random direction {index}")
    if name in ("pca1", "pca2"):
        which = int(name[3]) - 1
        vectors, explained = context.components
        if which >= len(vectors):
            raise UnsupportedError(f"the trajectory has no principal component {which + 1}: it lies on a line or point")
        share = f"{100 * explained[which]:.3g} % of the path's variance"
        return Direction(vectors[which], f"principal component {which + 1} ({share})", float(explained[which]))
    if name == "towards":
        if context.target is None:
            raise UnsupportedError("this direction needs a target to go to")
        if context.target.shape != context.theta.shape:
            raise ShapeError(f"target: expected shape {context.theta.shape}, got {context.target.shape}")
        vector = np.asarray(context.target - context.theta)
        if not np.any(vector):
            raise UnsupportedError("the target is the point itself")
        return Direction(vector, "towards the other point")
    raise unknown_name("direction", kind, KINDS)


def plane(first: str, second: str, context: Context, orthogonal: bool = True) -> Plane:
    """The plane of two kinds of directions through context.theta.

    orthogonal: the second axis is the rest of the second direction, at a right angle to the first. "gradient" and
    "newton" give the plane that contains both steps exactly, with unit axes; in either order it is the Newton step of
    which only the rest is an axis. The plane of three solutions is `planes.plane_through`.

    >>> from nnopt.objectives import functions
    >>> flat = plane("gradient", "newton", Context(functions.get("wood"), functions.get("wood").start))
    >>> flat.labels, flat.share(functions.get("wood").gradient(flat.origin)).__round__(12)
    (('along the gradient step', 'along the rest of the Newton step'), 1.0)

    Raises as `direction` does, and UnsupportedError if both are parallel.
    """
    if {first, second} == {"gradient", "newton"} and orthogonal:
        steps = plane_of_steps(context.theta, -context.gradient, context.newton[0])
        return steps if first == "gradient" else Plane(steps.origin, steps.d2, steps.d1, steps.labels[::-1])
    one, two = direction(first, context), direction(second, context)
    result = Plane(context.theta, one.vector, two.vector, (one.label, two.label))
    if not orthogonal:
        return result
    try:
        turned = result.orthonormal()
    except ShapeError:
        raise UnsupportedError(f"{first} and {second} are parallel here: they span a line, not a plane") from None
    label = two.label
    if abs(float(turned.d2 @ _unit(two.vector, ""))) < 1 - 1e-9:
        label = (
            two.label.replace("along the", "along the rest of the", 1) if "along the" in label else f"rest of {label}"
        )
    # the first axis keeps its own length, the second that of the rest
    length = float(turned.d2 @ two.vector)
    return Plane(context.theta, one.vector, length * turned.d2, (one.label, label))


def plane_of_steps(theta: Array, gradient_step: Array, newton_step: Array) -> Plane:
    """The plane through theta that contains both steps exactly, with unit axes at a right angle: along the gradient
    step, and along the rest of the Newton step. theta, gradient_step, newton_step (P,).

    Where one of them is zero or both are parallel, the second axis is any at a right angle, and its label says so.

    >>> flat = plane_of_steps(np.zeros(3), np.array([0.0, -2.0, 0.0]), np.array([3.0, -4.0, 0.0]))
    >>> coords, distance = flat.project([3.0, -4.0, 0.0])
    >>> coords, bool(distance < 1e-12)
    (array([4., 3.]), True)

    Raises: UnsupportedError where both are zero.
    """
    steps = [step for step in (gradient_step, newton_step) if np.isfinite(step).all() and np.any(step)]
    if not steps:
        raise UnsupportedError("both steps are zero here: they span no plane")
    first = _unit(steps[0], "")
    label = "along the gradient step" if steps[0] is gradient_step else "along the Newton step"
    for step in steps[1:]:
        rest = _rest(_unit(step, ""), first)
        if np.linalg.norm(rest) > 1e-9:
            second = _unit(rest, "")
            return Plane(theta, first, second, (label, "along the rest of the Newton step"))
    if theta.size < 2:
        raise UnsupportedError("a function of one parameter has no plane")
    other = np.zeros_like(theta)
    other[int(np.argmin(np.abs(first)))] = 1.0
    return Plane(theta, first, _unit(_rest(other, first), ""), (label, "any direction across it"))


def natural_plane(context: Context) -> Plane:
    """For a function of two parameters the coordinate plane through the origin, so that axes are x and y themselves;
    otherwise the plane of gradient and Newton step. Raises as `plane`.

    >>> from nnopt.objectives import functions
    >>> natural_plane(Context(functions.get("booth"), np.ones(2))).labels
    ('x', 'y')
    """
    if context.theta.size == 2:
        names = (context.name(0), context.name(1))
        return Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]), names)
    return plane("gradient", "newton", context)


def natural_slice(context: Context, kind: str = "gradient") -> Slice:
    """For a function of one parameter the function itself; otherwise the line of a kind of direction. Raises as
    `direction`.

    >>> from nnopt.objectives import functions
    >>> natural_slice(Context(functions.get("double_well"), np.array([0.5]))).point(2.0)
    array([2.])
    """
    if context.theta.size == 1:
        return Slice(np.zeros(1), np.ones(1), context.name(0))
    return direction(kind, context).slice(context.theta)


def turned(flat: Plane, degrees: float) -> Plane:
    """The same plane, axes turned by an angle (counter-clockwise); its axes must be orthonormal.

    >>> turned(Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0])), 30.0).d1.round(3)
    array([0.866, 0.5  ])
    """
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return Plane(flat.origin, c * flat.d1 + s * flat.d2, c * flat.d2 - s * flat.d1, flat.labels)


def valley_axes(flat: Plane, hessian: npt.ArrayLike) -> Plane:
    """The same plane with unit axes turned so that the valley lies along the first: the direction in which curvature is
    smallest in size; the second goes across it.

    hessian (2, 2): of the loss in the plane's own coordinates (of `flat.model(objective)`). Axes that only change
    places, or turn by less than 10 degrees, keep their names. Raises: ShapeError if the directions are parallel.

    >>> flat = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> found = valley_axes(flat, [[2.0, -1.0], [-1.0, 2.0]])
    >>> found.labels, (found.d1 * np.sqrt(2)).round(12)
    (('along the valley', 'across the valley'), array([1., 1.]))
    """
    plain = flat.orthonormal()
    # d_i = sum_j M_ij e_j: derivatives along the unit axes e from those along d
    change = flat.directions @ plain.directions.T
    inverse = np.linalg.inv(change)
    h = inverse @ np.asarray(hessian, dtype=np.float64) @ inverse.T
    if not np.isfinite(h).all():
        return plain
    values, vectors = np.linalg.eigh(h)
    along = vectors[:, int(np.argmin(np.abs(values)))]
    main = int(np.argmax(np.abs(along)))
    along = along * (1.0 if along[main] > 0 else -1.0)
    across = np.array([-along[1], along[0]])
    across = across * (1.0 if across[1 - main] > 0 else -1.0)
    d1, d2 = along @ plain.directions, across @ plain.directions
    if abs(along[main]) >= np.cos(np.radians(SAME_AXIS)):
        labels = (flat.labels[main], flat.labels[1 - main])
        return Plane(flat.origin, plain.directions[main], plain.directions[1 - main], labels)
    return Plane(flat.origin, d1, d2, ("along the valley", "across the valley"))


def random_direction(objective: Any, theta: npt.ArrayLike, seed: int) -> Array:
    """A random direction (P,), filter-normalized: each unit as long as its weights in theta        (Li et al. 2018)

    d_i <- d_i |w_i| / |d_i| with the incoming weights w_i of unit i in theta (P,), its bias not counted; biases of d
    are zero. For objectives without a network: of the norm of theta (1 for theta = 0).

    >>> from nnopt.objectives import functions
    >>> np.linalg.norm(random_direction(functions.get("booth"), [3.0, 4.0], seed=7)).round(12)
    np.float64(5.0)

    Raises: UnsupportedError where all weights are zero; SettingsError for a seed that is none; ShapeError.
    """
    point = np.asarray(theta, dtype=np.float64)
    vector = generator(seed, 0x5EED).standard_normal(point.size)
    network = getattr(objective, "network", None)
    if network is None:
        return np.asarray(vector * ((float(np.linalg.norm(point)) or 1.0) / np.linalg.norm(vector)))
    for rows, weights in zip(network.layers(vector), network.layers(point), strict=True):
        rows[:, -1] = 0.0
        norms = np.linalg.norm(weights[:, :-1], axis=1) / np.maximum(np.linalg.norm(rows, axis=1), 1e-300)
        rows *= norms[:, None]
    if not np.any(vector):
        raise UnsupportedError("all weights are zero: a filter-normalized direction is zero too")
    return np.asarray(vector)


def principal_components(thetas: npt.ArrayLike, count: int = 2) -> tuple[Array, Array]:
    """Unit directions (k, P) of the largest variance of a trajectory (K, P), and the share that each explains, (k,).

    Of the variance around the mean, s_i^2 / sum s^2 with the singular values s. k <= count: fewer where the trajectory
    has no extent beyond them (a relative 1e-10). The directions point from the first state towards the last; states
    that are not finite are left out.

    >>> principal_components([[0.0, 0.0], [3.0, 0.1], [6.0, 0.0]])[1].round(3)
    array([1., 0.])

    Source: for paths of training, Li et al. (2018), section 7. Raises: ShapeError.
    """
    path = np.asarray(thetas, dtype=np.float64)
    if path.ndim != 2 or not len(path):
        raise ShapeError(f"trajectory: expected shape (K, P), got {path.shape}")
    path = path[np.isfinite(path).all(axis=1)]
    away = path - path.mean(axis=0) if len(path) else path
    size = float(np.max(np.abs(away), initial=0.0))
    if size == 0.0:
        return np.empty((0, path.shape[1])), np.empty(0)
    _, lengths, vectors = np.linalg.svd(away / size, full_matrices=False)
    kept = min(count, int(np.count_nonzero(lengths > 1e-10 * lengths[0])))
    explained = lengths**2 / np.sum(lengths**2)
    vectors = vectors[:kept]
    signs = np.where(vectors @ (path[-1] - path[0]) < 0, -1.0, 1.0)
    return vectors * signs[:, None], explained[:kept]


def trajectory(history: Any, stop: int | None = None, most: int = MOST_STATES) -> Array:
    """States (K, P) of a run up to step `stop` (included), at most about `most`, evenly spaced.

    From stored states where the history offers that (`trail`), so that nothing is replayed.

    >>> import nnopt
    >>> history = nnopt.minimize(nnopt.functions.get("booth"), nnopt.optimizers.Newton(), start=[0.0, 0.0], steps=2)
    >>> trajectory(history)
    array([[0., 0.],
           [1., 3.]])
    """
    stop = history.length - 1 if stop is None else stop
    if hasattr(history, "trail"):
        return np.asarray(history.trail(stop, most)[1])
    spacing = max(1, -(-(stop + 1) // most))
    return np.array([history.seek(step).theta for step in sorted({*range(0, stop + 1, spacing), stop})])


def _unit(vector: Array, otherwise: str) -> Array:
    size = float(np.max(np.abs(vector), initial=0.0))
    if not np.isfinite(size):
        raise UnsupportedError("the direction is not finite here")
    if size == 0.0:
        raise UnsupportedError(otherwise)
    scaled = vector / size
    return np.asarray(scaled / np.linalg.norm(scaled))


def _rest(vector: Array, unit: Array) -> Array:
    rest = vector - (vector @ unit) * unit
    return np.asarray(rest - (rest @ unit) * unit)


def _checked(name: str, index: int, count: int) -> int:
    if not 0 <= index < count:
        raise SettingsError(f"direction {name}: expected a number 0 .. {count - 1}, got {index}")
    return index


def _subscript(index: int) -> str:
    return str(index).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
