"""Slices and planes through parameter space: points on them, what is projected onto them, and planes through solutions.

Geometry only; directions are chosen in directions.py and losses calculated in landscape.py. Floor `analysis`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.taylor import QuadraticModel, quadratic_model
from nnopt.errors import ShapeError, UnsupportedError
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Slice(Shown):
    """The line theta(s) = origin + s * direction; origin, direction (P,). label: its axis in words.

    >>> line = Slice(np.zeros(2), np.array([2.0, 0.0]))
    >>> line.point(0.5), *line.project([[3.0, 4.0]])
    (array([1., 0.]), array([1.5]), array([4.]))

    Raises: ShapeError.
    """

    origin: Array
    direction: Array
    label: str = "distance"

    def __post_init__(self) -> None:
        _keep_arrays(self, "origin", "direction")
        _check_axes(self.origin, self.direction)

    @property
    def directions(self) -> Array:
        """(1, P)."""
        return self.direction[None]

    def point(self, s: float) -> Array:
        """theta (P,) at s."""
        return np.asarray(self.origin + s * self.direction)

    def points(self, s: npt.ArrayLike) -> Array:
        """theta (K, P) at s (K,)."""
        return np.asarray(self.origin + np.multiply.outer(np.asarray(s, dtype=np.float64), self.direction))

    def project(self, theta: npt.ArrayLike) -> tuple[Any, Any]:
        """Of theta (..., P): the coordinate (...) of its foot on the line, and its distance (...) to the line."""
        coords, distance = _project(self.origin, self.directions, theta)
        return coords[..., 0], distance

    def share(self, step: npt.ArrayLike) -> float:
        """Fraction of the length of a step (P,) that lies along the line."""
        return _share(self.directions, step)

    def model(self, objective: Any) -> QuadraticModel:
        """The exact quadratic model of the loss on the line, at its origin."""
        return quadratic_model(objective, self.origin, self.directions)


@dataclass(frozen=True, eq=False, repr=False)
class Plane(Shown):
    """The plane theta(a, b) = origin + a * d1 + b * d2; origin, d1, d2 (P,). labels: its axes in words.

    The directions may have any lengths and angle; `orthonormal` gives the same plane with unit axes at right angles.

    >>> flat = Plane(np.zeros(3), np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0]))
    >>> flat.point(1, 2), *flat.project([[1.0, 2.0, 5.0]])
    (array([3., 2., 0.]), array([[-1.,  2.]]), array([5.]))
    >>> round(flat.share([3.0, 0.0, 4.0]), 3)
    0.6

    Raises: ShapeError.
    """

    origin: Array
    d1: Array
    d2: Array
    labels: tuple[str, str] = ("first direction", "second direction")

    def __post_init__(self) -> None:
        _keep_arrays(self, "origin", "d1", "d2")
        _check_axes(self.origin, self.d1, self.d2)

    @property
    def directions(self) -> Array:
        """(2, P)."""
        return np.stack([self.d1, self.d2])

    def point(self, a: float, b: float) -> Array:
        """theta (P,) at (a, b)."""
        return np.asarray(self.origin + a * self.d1 + b * self.d2)

    def points(self, coords: npt.ArrayLike) -> Array:
        """theta (..., P) at coords (..., 2)."""
        return np.asarray(self.origin + np.asarray(coords, dtype=np.float64) @ self.directions)

    def project(self, theta: npt.ArrayLike) -> tuple[Array, Any]:
        """Of theta (..., P): coordinates (..., 2) of its nearest point in the plane, and its distance (...) to it."""
        return _project(self.origin, self.directions, theta)

    def share(self, step: npt.ArrayLike) -> float:
        """Fraction of the length of a step (P,) that lies within the plane; 1 for a step of length zero."""
        return _share(self.directions, step)

    def orthonormal(self) -> Plane:
        """The same plane with unit axes at right angles; the first keeps its direction.

        Raises ShapeError if the directions are parallel.
        """
        first = _unit(self.d1)
        rest = self.d2 - (self.d2 @ first) * first
        rest = rest - (rest @ first) * first
        if np.linalg.norm(rest) <= 1e-12 * np.linalg.norm(self.d2):
            raise ShapeError("Plane: the two directions are parallel, they span a line only")
        return Plane(self.origin, first, _unit(rest), self.labels)

    def moved(self, origin: Array) -> Plane:
        """The parallel plane through another point."""
        return Plane(origin, self.d1, self.d2, self.labels)

    def model(self, objective: Any) -> QuadraticModel:
        """The exact quadratic model of the loss in the plane, at its origin."""
        return quadratic_model(objective, self.origin, self.directions)


def plane_through(first: npt.ArrayLike, second: npt.ArrayLike, third: npt.ArrayLike, orthogonal: bool = True) -> Plane:
    """The plane through three points (P,), solutions of three runs, say. The first is at (0, 0), the second at (1, 0).

    orthogonal: the second axis is at a right angle to the first and as long, so that the picture is not distorted, and
    the third point is where `project` says; otherwise the third point is at (0, 1).

    >>> flat = plane_through([0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [1.0, 3.0, 0.0])
    >>> flat.project([[2.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 5.0]])
    (array([[1. , 0. ],
           [0.5, 1.5],
           [0. , 0. ]]), array([0., 0., 5.]))

    Source: Garipov et al. (2018). Raises: ShapeError; UnsupportedError where the three lie on a line.
    """
    points = [np.asarray(point, dtype=np.float64) for point in (first, second, third)]
    if any(point.ndim != 1 or point.shape != points[0].shape for point in points):
        raise ShapeError(f"plane_through: expected points of one shape (P,), got {[point.shape for point in points]}")
    d1, d2 = points[1] - points[0], points[2] - points[0]
    rest = d2 - (d2 @ d1) / (d1 @ d1) * d1 if np.any(d1) else d1
    if not np.linalg.norm(rest) > 1e-9 * np.linalg.norm(d2):
        raise UnsupportedError("plane_through: the three points lie on a line, many planes contain them")
    labels = ("towards the second solution", "towards the third solution")
    if not orthogonal:
        return Plane(points[0], d1, d2, labels)
    side = float(np.linalg.norm(d1)) * _unit(rest)
    return Plane(points[0], d1, side, (labels[0], "across, to the side of the third solution"))


def _keep_arrays(place: Slice | Plane, *names: str) -> None:
    """Lists of numbers are taken too."""
    for name in names:
        try:
            object.__setattr__(place, name, np.asarray(getattr(place, name), dtype=np.float64))
        except (TypeError, ValueError):
            raise ShapeError(f"{name}: expected numbers (P,), got {getattr(place, name)!r:.200}") from None


def _check_axes(origin: Array, *directions: Array) -> None:
    shape = np.shape(origin)
    for direction in directions:
        if len(shape) != 1 or np.shape(direction) != shape:
            raise ShapeError(f"expected origin and directions of one shape (P,), got {shape} and {np.shape(direction)}")
        if not np.isfinite(direction).all() or not np.any(direction):
            raise ShapeError("expected directions of finite length > 0")


def _project(origin: Array, directions: Array, theta: npt.ArrayLike) -> tuple[Array, Any]:
    points = np.asarray(theta, dtype=np.float64)
    if points.shape[-1:] != origin.shape:
        raise ShapeError(f"theta: expected shape (..., {origin.size}), got {points.shape}")
    away = points - origin
    coords = away @ np.linalg.pinv(directions)
    return coords, np.linalg.norm(away - coords @ directions, axis=-1)


def _share(directions: Array, step: npt.ArrayLike) -> float:
    s = np.asarray(step, dtype=np.float64)
    if s.shape != directions.shape[1:]:
        raise ShapeError(f"step: expected shape ({directions.shape[1]},), got {s.shape}")
    if not np.any(s):
        return 1.0
    with np.errstate(invalid="ignore"):
        inside = _unit(s) @ np.linalg.pinv(directions) @ directions
    # of a step that is not finite no share is known
    return float(np.minimum(1.0, np.linalg.norm(inside)))


def _unit(vector: Array) -> Array:
    # scaled first: the square of a very short or long vector leaves the range of floats
    v = np.asarray(vector, dtype=np.float64)
    v = v / np.max(np.abs(v))
    return np.asarray(v / np.linalg.norm(v))
