"""Losses on slices and planes through parameter space, and how to show them: windows and levels.

Nothing is clipped: where the loss is infinite or NaN, that is what the grids contain. Directions are chosen in
directions.py, the geometry is in planes.py, where a loss is not convex in convexity.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.convexity import (
    ConvexityMap,
    convexity_map,
    convexity_of_grid,
    not_convex,
    second_difference,
    slice_curvature,
)
from nnopt.analysis.given import value_of
from nnopt.analysis.parallel import Progress, in_parts
from nnopt.analysis.planes import Plane, Slice, plane_through
from nnopt.errors import SettingsError, ShapeError
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]
#: half-width, or the borders (a0, a1, b0, b1)
Extent: TypeAlias = float | Sequence[float]

#: numbers of parameter vectors held at once, at most
CHUNK = 1 << 21
#: relative error of a loss in float32 where nothing is large, and the share of a map's differences that is not seen
_ROUNDING, _SHOWN = 3e-6, 0.03


def values_at(
    objective: Any,
    place: Slice | Plane,
    coords: npt.ArrayLike,
    dtype: npt.DTypeLike = np.float64,
    threads: int = 1,
    progress: Progress | None = None,
) -> Array:
    """Losses (K,) at coords (K, d) of a slice (also (K,)) or plane.

    objective: the faster of `values_on_plane`, `values` and `value` that it has. dtype: precision for networks; where
    rounding to float32 could change a loss by 1 % (weights of 1e8), they are calculated in float64 all the same; other
    objectives are always evaluated in float64. threads: how many share the work; the objective must be one that several
    may use at once, as all of nnopt's are. progress(fraction done): called after each of about a dozen parts; where it
    returns False the rest stays NaN.

    >>> from nnopt.objectives import functions
    >>> line = Slice(np.zeros(2), np.array([1.0, 1.0]))
    >>> values_at(functions.get("booth"), line, [0.0, 1.0])
    array([74., 20.])

    Raises: ShapeError, SettingsError; what the objective raises goes through.
    """
    directions = place.directions
    given = np.asarray(coords, dtype=np.float64)
    c = given[:, None] if given.ndim == 1 and len(directions) == 1 else given
    if c.ndim != 2 or c.shape[1] != len(directions):
        raise ShapeError(f"coords: expected shape (K, {len(directions)}), got {given.shape}")
    origin = np.asarray(place.origin, dtype=np.float64)

    def evaluate(part: slice) -> Array:
        with np.errstate(all="ignore"):
            if hasattr(objective, "values_on_plane"):
                return np.asarray(objective.values_on_plane(origin, directions, c[part], dtype), dtype=np.float64)
            some, rows = c[part], max(1, CHUNK // origin.size)
            return np.concatenate(
                [_losses(objective, origin + some[k : k + rows] @ directions) for k in range(0, len(some), rows)]
            )

    return in_parts(evaluate, len(c), (), threads, progress)


def losses(objective: Any, thetas: npt.ArrayLike, threads: int = 1, progress: Progress | None = None) -> Array:
    """Losses (K,) at the rows of thetas (K, P), in float64, of any objective that has at least `value`.

    threads, progress: as in `values_at`.

    >>> from nnopt.objectives import functions
    >>> losses(functions.get("booth"), [[1.0, 3.0], [0.0, 0.0]])
    array([ 0., 74.])

    Raises: ShapeError.
    """
    rows = np.asarray(thetas, dtype=np.float64)
    if rows.ndim != 2:
        raise ShapeError(f"thetas: expected shape (K, P), got {rows.shape}")

    def evaluate(part: slice) -> Array:
        with np.errstate(all="ignore"):
            return _losses(objective, rows[part])

    return in_parts(evaluate, len(rows), (), threads, progress)


def _losses(objective: Any, thetas: Array) -> Array:
    values = getattr(objective, "values", None)
    if values is None:
        return np.array([value_of(objective, theta) for theta in thetas])
    if "dtype" in inspect.signature(values).parameters:
        return np.asarray(values(thetas, dtype=np.float64), dtype=np.float64)
    return np.asarray(values(thetas), dtype=np.float64)


def slice_values(
    objective: Any, slice_: Slice, coords: npt.ArrayLike, dtype: npt.DTypeLike = np.float64, threads: int = 1
) -> Array:
    """Losses (K,) at the coordinates (K,) of a slice; the rest as for `values_at`.

    >>> from nnopt.objectives import functions
    >>> slice_values(functions.get("double_well"), Slice(np.zeros(1), np.ones(1)), [0.0, 1.0])
    array([1.4, 0.7])
    """
    return values_at(objective, slice_, coords, dtype, threads)


def axes(extent: Extent, n: int | tuple[int, int]) -> tuple[Array, Array]:
    """The coordinates (n1,) and (n2,) of a grid, evenly from border to border.

    extent: half-width r, or (a0, a1, b0, b1). n: points along each axis, or along d1 and d2, at least 2. Raises:
    SettingsError.

    >>> axes((0, 1, -1, 1), (2, 3))
    (array([0., 1.]), array([-1.,  0.,  1.]))
    """
    try:
        r = np.asarray(extent, dtype=np.float64)
        counts = tuple(int(one) for one in (np.ravel(n) if np.ndim(n) else (n, n)))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise SettingsError(f"extent, n: expected numbers, got {extent!r} and {n!r}") from None
    if r.ndim == 0:
        r = np.array([-r, r, -r, r])
    if r.shape != (4,) or not np.isfinite(r).all() or r[0] >= r[1] or r[2] >= r[3]:
        raise SettingsError(
            f"extent: expected a half-width > 0 or (a0, a1, b0, b1) with a0 < a1, b0 < b1, got {extent!r}"
        )
    if len(counts) != 2 or min(counts) < 2 or not np.array_equal(counts, np.broadcast_to(n, 2)):
        raise SettingsError(f"n: expected a whole number of points along each axis, at least 2, got {n!r}")
    return np.linspace(r[0], r[1], counts[0]), np.linspace(r[2], r[3], counts[1])


def grid(
    objective: Any,
    plane: Plane,
    extent: Extent,
    n: int | tuple[int, int],
    dtype: npt.DTypeLike = np.float32,
    threads: int = 1,
    progress: Progress | None = None,
) -> Array:
    """Losses (n, n) on a plane: [i, j] is the loss at (a_i, b_j), i along d1.

    matplotlib has rows along y and wants the transpose: with a, b = axes(extent, n), `contour(a, b, losses.T)`, or
    `imshow(losses.T, origin="lower", extent=(a[0], a[-1], b[0], b[-1]))`.

    extent: half-width r, or (a0, a1, b0, b1). n: points along each axis, or along d1 and d2. dtype: precision for
    networks; float32 is taken where its rounding cannot be seen (`suited_dtype`). threads, progress: as in `values_at`.
    The numbers returned are float64, infinities and NaN among them where the loss is. Raises as `axes` and `values_at`.

    >>> from nnopt.objectives import functions
    >>> plane = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> grid(functions.get("booth"), plane, (0, 1, 2, 3), 2)
    array([[18.,  5.],
           [ 5.,  0.]])
    """
    a, b = axes(extent, n)
    kind = suited_dtype(objective, plane, (a[0], a[-1], b[0], b[-1]), dtype)
    return _grid(objective, plane, a, b, kind, threads, progress)


def _grid(
    objective: Any, plane: Plane, a: Array, b: Array, dtype: Any, threads: int, progress: Progress | None = None
) -> Array:
    coords = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    return values_at(objective, plane, coords, dtype, threads, progress).reshape(len(a), len(b))


def suited_dtype(objective: Any, plane: Plane, extent: Extent, dtype: npt.DTypeLike = np.float32) -> np.dtype[Any]:
    """float64 where a map in float32 would show its rounding, `dtype` otherwise. extent as in `grid`.

    From a bound on the network's outputs over the map follows how far a loss may be off (`float32_error`); it must stay
    below 3 % of the differences between nine losses across the map. Objectives without such a bound are not looked at.

    >>> from nnopt.objectives import functions
    >>> plane = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> suited_dtype(functions.get("booth"), plane, 1.0)
    dtype('float32')
    """
    kind = np.dtype(dtype)
    if kind != np.float32 or not hasattr(objective, "float32_error"):
        return kind
    a, b = axes(extent, 3)
    sample = _grid(objective, plane, a, b, np.float64, threads=1)
    return kind if float32_suffices(objective, plane, (a[0], a[-1], b[0], b[-1]), sample) else np.dtype(np.float64)


def float32_suffices(objective: Any, plane: Any, extent: Sequence[float], losses: npt.ArrayLike) -> bool:
    """Whether losses on a map with borders (a0, a1, b0, b1), of which `losses` are some, are as good in float32: its
    rounding, as `float32_error` bounds it, is below 3 % of the differences between them. True without such a bound.

    >>> from nnopt.objectives.objective import Network, NetworkObjective
    >>> objective = NetworkObjective(Network((2, 8, 1)), [[1.0, -1.0]], [1])
    >>> plane = Plane(np.zeros(33), *np.eye(33)[-2:])
    >>> [float32_suffices(objective, plane, (-r, r, -r, r), [0.5, 1.0]) for r in (1.0, 1e9)]
    [True, False]
    """
    if not hasattr(objective, "float32_error"):
        return True
    some = np.asarray(losses, dtype=np.float64)
    some = some[np.isfinite(some)]
    if not some.size:
        return False
    reach = np.maximum(np.abs(extent[::2]), np.abs(extent[1::2]))
    with np.errstate(all="ignore"):
        sizes = np.abs(plane.origin) + reach @ np.abs(plane.directions)
        largest = float(np.abs(some).max())
        error = (_ROUNDING + objective.float32_error(sizes, largest)) * largest
        return bool(error < _SHOWN * (some.max() - some.min()))


def progressive_grid(
    objective: Any,
    plane: Plane,
    extent: Extent,
    sizes: Sequence[int] = (13, 26, 51, 101),
    dtype: npt.DTypeLike = np.float32,
    threads: int = 1,
) -> Iterator[tuple[int, Array]]:
    """(n, losses (n, n)) for each of the sizes, coarse to fine.

    A grid with 2 n - 1 points keeps those of the one with n points before it and computes the new ones only. extent,
    dtype, threads: as in `grid`; all sizes have one precision. Raises: SettingsError.

    >>> from nnopt.objectives import functions
    >>> plane = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> [(n, losses.min()) for n, losses in progressive_grid(functions.get("booth"), plane, (0, 2, 1, 4), sizes=(3, 5))]
    [(3, np.float64(1.25)), (5, np.float64(0.3125))]
    """
    known: Array | None = None
    kind = suited_dtype(objective, plane, extent, dtype)
    for n in sizes:
        a, b = axes(extent, n)
        if known is not None and n == 2 * len(known) - 1:
            values = np.empty((n, n))
            values[::2, ::2] = known
            fresh = np.ones((n, n), dtype=bool)
            fresh[::2, ::2] = False
            i, j = np.nonzero(fresh)
            values[i, j] = values_at(objective, plane, np.stack([a[i], b[j]], axis=-1), kind, threads)
        else:
            values = _grid(objective, plane, a, b, kind, threads)
        known = values
        yield n, values.copy()


def refine(
    objective: Any,
    plane: Plane,
    extent: Extent,
    on_grid: Callable[[int, Array], object],
    sizes: Sequence[int] = (13, 25, 49, 97),
    dtype: npt.DTypeLike = np.float32,
    threads: int = 1,
) -> Array:
    """`progressive_grid` with a callback: on_grid(n, losses (n, n)) as each grid is known; the finest is returned.

    Where on_grid returns False the next one is not begun, and the last one is returned. With the usual sizes each grid
    contains the one before it, so that refining costs no more than the finest grid alone.

    >>> from nnopt.objectives import functions
    >>> plane = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> refine(functions.get("booth"), plane, 2.0, lambda n, losses: print(n, losses.min().round(3))).shape
    13 1.889
    25 1.806
    49 1.806
    97 1.8
    (97, 97)
    """
    values = np.empty((0, 0))
    for n, values in progressive_grid(objective, plane, extent, sizes, dtype, threads):
        if on_grid(n, values) is False:
            break
    return values


@dataclass(frozen=True, eq=False, repr=False)
class ProjectedPath(Shown):
    """A trajectory on a slice or plane that does not contain it.

    coords (K, d): the feet of the states. distances (K,): of the states to the plane. losses (K,): true, at the states
    themselves. below (K,): at their feet, which is what the plane's contours show there.

    >>> ProjectedPath(np.zeros((1, 2)), np.array([3.0]), losses=np.array([0.5]), below=np.array([2.0])).distances
    array([3.])
    """

    coords: Array
    distances: Array
    losses: Array
    below: Array

    @property
    def columns(self) -> dict[str, Array]:
        """As a table, one row per state: a (and b), the coordinates; distance, loss, below; arrays (K,)."""
        names = "ab" if self.coords.shape[1] <= 2 else [f"coords[{place}]" for place in range(self.coords.shape[1])]
        coords = dict(zip(names, self.coords.T, strict=False))
        return {**coords, "distance": self.distances, "loss": self.losses, "below": self.below}


def project_path(objective: Any, place: Slice | Plane, thetas: npt.ArrayLike, threads: int = 1) -> ProjectedPath:
    """A trajectory (K, P) projected onto a slice or plane, with what the projection hides: distances and true losses.

    Raises: ShapeError.

    >>> from nnopt.objectives import functions
    >>> line = Slice(np.zeros(2), np.array([1.0, 0.0]))
    >>> path = project_path(functions.get("saddle"), line, [[1.0, 0.0], [1.0, 2.0]])
    >>> path.coords.ravel(), path.distances, path.losses, path.below
    (array([1., 1.]), array([0., 2.]), array([ 1., -3.]), array([1., 1.]))
    """
    states = np.asarray(thetas, dtype=np.float64)
    if states.ndim != 2 or states.shape[1:] != np.shape(place.origin):
        raise ShapeError(f"thetas: expected shape (K, {np.size(place.origin)}), got {states.shape}")
    coords, distances = place.project(states)
    coords = coords.reshape(len(states), -1)
    true = losses(objective, states, threads)
    return ProjectedPath(coords, np.asarray(distances), true, values_at(objective, place, coords, np.float64, threads))


def window(marks: npt.ArrayLike, aspect: float | None = None, least: float = 1e-9) -> tuple[float, ...]:
    """The extent in which the marks fill the middle half: (s0, s1) for marks (K,) on a slice, (a0, a1, b0, b1) for
    marks (K, 2) in a plane.

    marks: current point first, then landings, model minimum, ...; those that are not finite are left out. aspect: width
    over height of the panel, for equal scales on both axes. least: smallest size of the window.

    >>> window([1.0, 3.0]), window([[0.0, 0.0], [4.0, 1.0]])
    ((0.0, 4.0), (-2.0, 6.0, -0.5, 1.5))
    """
    m = np.asarray(marks, dtype=np.float64)
    line = m.ndim == 1
    m = m.reshape(len(m), -1)
    m = m[np.isfinite(m).all(axis=1)]
    if not len(m):
        m = np.zeros((1, 1 if line else 2))
    low, high = m.min(axis=0), m.max(axis=0)
    middle, size = (low + high) / 2, np.maximum(2 * (high - low), least)
    if not (high - low).any():
        size = np.maximum(2.0 * np.maximum(1.0, 0.1 * np.abs(middle)), least)
    if aspect is not None and len(size) == 2:
        width = max(size[0], size[1] * aspect)
        size = np.array([width, width / aspect])
    elif len(size) == 2:
        # a window much narrower than high shows nothing of the narrow side
        size = np.maximum(size, 0.1 * size.max())
    return tuple(float(x) for pair in zip(middle - size / 2, middle + size / 2, strict=True) for x in pair)


def log_levels(values: npt.ArrayLike, count: int = 12, lowest: float | None = None) -> Array:
    """Increasing levels (at most `count`) for contours and colours of `values`, log-spaced above their lowest one.

    The levels are lowest + e_k with log-spaced e_k, so they are sensible for negative losses too, and dense around a
    minimum. lowest: what heights are measured from; the lowest finite value by default. The highest and lowest 2 % of
    the heights are beyond the last and first level, so that wild values do not take all of them. Empty where the
    values are all equal or none is finite.

    >>> log_levels([-5.0, -4.0, 5.0, 95.0], count=3)
    array([-4.,  5., 95.])
    """
    v = np.asarray(values, dtype=np.float64)
    v = v[np.isfinite(v)]
    if not v.size or count < 1:
        return np.empty(0)
    base = float(v.min()) if lowest is None else float(lowest)
    with np.errstate(over="ignore"):
        heights = v - base
    heights = heights[(heights > 0) & np.isfinite(heights)]
    if not heights.size or heights.max() <= 1e-12 * max(abs(base), 1e-300):
        return np.empty(0)
    bottom, top = np.quantile(heights, [0.02, 0.98], method="nearest")
    bottom = max(float(bottom), 1e-8 * float(top))
    if not bottom < top:
        bottom, top = 0.5 * float(heights.min()), float(heights.max())
    return np.asarray(np.unique(base + np.geomspace(bottom, top, count)))


__all__ = [
    "ConvexityMap", "Extent", "Plane", "ProjectedPath", "Slice", "axes", "convexity_map", "convexity_of_grid", "grid",
    "log_levels", "losses", "not_convex", "plane_through", "progressive_grid", "project_path", "refine",
    "second_difference", "slice_curvature", "slice_values", "suited_dtype", "values_at", "window",
]  # fmt: skip
