"""Where a loss is not convex, on a slice and on a plane: exactly, from Hessian-vector products, or from its samples.

Floor `analysis`, below landscape.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.parallel import Progress, in_parts
from nnopt.analysis.planes import Plane, Slice
from nnopt.analysis.taylor import FLAT, hessian_products
from nnopt.errors import SettingsError, ShapeError
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ConvexityMap(Shown):
    """The two eigenvalues of the loss's 2 x 2 Hessian within a plane, on a grid.

    a (n1,), b (n2,): coordinates along d1 and d2. smallest, largest (n1, n2): in the plane's own coordinates; their
    signs do not depend on the lengths and the angle of its directions (Sylvester's law of inertia).

    >>> found = ConvexityMap(np.array([0.0, 1.0]), np.zeros(1), np.array([[-2.0], [3.0]]), np.array([[1.0], [4.0]]))
    >>> found.signs.tolist(), found.share
    ([[-1], [1]], 0.5)
    """

    a: Array
    b: Array
    smallest: Array
    largest: Array

    @property
    def signs(self) -> npt.NDArray[np.int8]:
        """(n1, n2): 1 where the slice is convex, -1 where it is not, 0 where a curvature is zero (at most 1e-12 of the
        other) or not finite."""
        return np.asarray(np.nan_to_num(np.sign(self._judged)), dtype=np.int8)

    @property
    def share(self) -> float:
        """Fraction of the grid on which the slice is convex."""
        return float(np.mean(self._judged >= 0))

    @property
    def _judged(self) -> Array:
        """The smallest curvature, zero where it is only rounding beside the largest."""
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.abs(self.smallest), np.abs(self.largest))
            return np.where(np.abs(self.smallest) <= FLAT * size, 0.0, self.smallest)


def convexity_map(
    objective: Any, plane: Plane, a: npt.ArrayLike, b: npt.ArrayLike, threads: int = 1, progress: Progress | None = None
) -> ConvexityMap:
    """The exact convexity of a plane at a (n1,), b (n2,), coordinates along d1 and d2: `axes(extent, n)`.

    The eigenvalues of D H(theta(a, b)) D^T with D = [d1; d2]: two Hessian-vector products a point. threads, progress:
    as in `values_at`. Where the loss has no finite curvature both are NaN.

    >>> from nnopt.objectives import functions
    >>> flat = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> convexity_map(functions.get("himmelblau"), flat, [0.0, 3.0], [0.0, 2.0]).signs
    array([[-1, -1],
           [-1,  1]], dtype=int8)

    Raises: ShapeError.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(f"convexity_map: expected a (n1,) and b (n2,), got {x.shape} and {y.shape}")
    coords = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    directions = plane.directions

    def within(part: slice) -> Array:
        with np.errstate(all="ignore"):
            thetas = plane.points(coords[part])
            if hasattr(objective, "hessians"):
                return np.asarray(directions @ objective.hessians(thetas) @ directions.T)
            return np.array([directions @ hessian_products(objective, theta, directions).T for theta in thetas])

    found = in_parts(within, len(coords), (2, 2), threads, progress, 16)
    smallest, largest = _eigenvalues(found[:, 0, 0], 0.5 * (found[:, 0, 1] + found[:, 1, 0]), found[:, 1, 1])
    return ConvexityMap(x, y, smallest.reshape(len(x), len(y)), largest.reshape(len(x), len(y)))


def convexity_of_grid(a: npt.ArrayLike, b: npt.ArrayLike, values: npt.ArrayLike) -> ConvexityMap:
    """`convexity_map` from losses (n1, n2) on an even grid, by differences of neighbours: nothing is evaluated again.

    At the border as at the neighbour inside; what rounding of the values could cause is zero. Use float64 values: those
    of float32 are too coarse for second differences. Raises: ShapeError, SettingsError.

    >>> a = np.array([-1.0, 0.0, 1.0])
    >>> found = convexity_of_grid(a, a, a[:, None] ** 2 - 3 * a**2)
    >>> float(found.smallest[1, 1]), float(found.largest[1, 1])
    (-6.0, 2.0)
    """
    x, y, v = (np.asarray(given, dtype=np.float64) for given in (a, b, values))
    if x.ndim != 1 or y.ndim != 1 or v.shape != (len(x), len(y)) or min(v.shape) < 3:
        raise ShapeError(
            f"convexity_of_grid: expected values of shape (n1, n2) >= 3 for a (n1,) and b (n2,), got {v.shape}, "
            f"{x.shape} and {y.shape}"
        )
    h, k = float(x[-1] - x[0]) / (len(x) - 1), float(y[-1] - y[0]) / (len(y) - 1)
    if not (_even(x, h) and _even(y, k)):
        raise SettingsError("convexity_of_grid: expected a and b increasing in equal steps, as `axes` makes them")
    with np.errstate(all="ignore"):
        mid = v[1:-1, 1:-1]
        aa = (v[2:, 1:-1] - 2 * mid + v[:-2, 1:-1]) / h**2
        bb = (v[1:-1, 2:] - 2 * mid + v[1:-1, :-2]) / k**2
        ab = (v[2:, 2:] - v[2:, :-2] - v[:-2, 2:] + v[:-2, :-2]) / (4 * h * k)
        smallest, largest = _eigenvalues(aa, ab, bb)
        noise = 16 * np.finfo(np.float64).eps * np.abs(mid) * (1 / h**2 + 1 / k**2)
        smallest[np.abs(smallest) <= noise] = 0.0
        largest[np.abs(largest) <= noise] = 0.0
    return ConvexityMap(x, y, np.pad(smallest, 1, mode="edge"), np.pad(largest, 1, mode="edge"))


def _even(x: Array, step: float) -> bool:
    # neighbours far from zero differ by their rounding, too
    rounding = 4.0 * np.finfo(np.float64).eps * float(np.max(np.abs(x)))
    return bool(step > 0 and np.allclose(np.diff(x), step, rtol=1e-6, atol=rounding))


def _eigenvalues(aa: Array, ab: Array, bb: Array) -> tuple[Array, Array]:
    """(smallest, largest) of the matrices [[aa, ab], [ab, bb]]."""
    with np.errstate(all="ignore"):
        mean, half = 0.5 * (aa + bb), np.hypot(0.5 * (aa - bb), ab)
        # the one nearer to zero from the determinant: no cancellation
        outer = np.where(mean >= 0, mean + half, mean - half)
        # divided first, so that no product leaves the range of floats
        size = np.where(outer == 0, 1.0, outer)
        inner = np.where(outer == 0, 0.0, (aa / size) * bb - (ab / size) * ab)
    return np.minimum(inner, outer), np.maximum(inner, outer)


def slice_curvature(objective: Any, slice_: Slice, coords: npt.ArrayLike) -> Array:
    """The exact second derivative (K,) of the loss along a slice at coords (K,): d . H(theta(s)) d

    One Hessian-vector product each.

    >>> from nnopt.objectives import functions
    >>> line = Slice(np.zeros(1), np.ones(1))
    >>> slice_curvature(functions.get("double_well"), line, [0.0, 1.0])
    array([-4.,  8.])
    """
    return np.array(
        [
            float(slice_.direction @ hessian_products(objective, theta, slice_.directions)[0])
            for theta in slice_.points(coords)
        ]
    )


def second_difference(coords: npt.ArrayLike, values: npt.ArrayLike) -> Array:
    """The second derivative (K,) of a sampled curve, from three neighbouring points each (at the ends: of the
    neighbour). coords (K,) increasing, not necessarily evenly. What rounding of the values could cause is zero.

    >>> second_difference([0.0, 1.0, 3.0], [0.0, 1.0, 9.0])
    array([2., 2., 2.])

    Raises: ShapeError.
    """
    x, y = np.asarray(coords, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ShapeError(f"second_difference: expected coords and values of one shape (K,), got {x.shape}, {y.shape}")
    if len(x) < 3:
        return np.zeros_like(y)
    left, right = np.diff(x)[:-1], np.diff(x)[1:]
    with np.errstate(all="ignore"):
        terms = np.stack([y[:-2] * right, y[2:] * left, -y[1:-1] * (left + right)])
        bend = terms.sum(axis=0)
        bend[np.abs(bend) <= 8 * np.finfo(np.float64).eps * np.abs(terms).sum(axis=0)] = 0.0
        inner = 2.0 * bend / (left * right * (left + right))
    return np.concatenate([inner[:1], inner, inner[-1:]])


def not_convex(coords: npt.ArrayLike, curvature: npt.ArrayLike) -> list[tuple[float, float]]:
    """The intervals of a slice in which its second derivative is negative: "not convex here".

    coords (K,), curvature (K,): from `slice_curvature` or `second_difference`. The ends lie where the curvature
    crosses zero, linearly between two points. Zero is what is at most 1e-12 of the slice's largest curvature in size.

    >>> not_convex([0.0, 1.0, 2.0, 3.0], [1.0, -1.0, -1.0, 3.0])
    [(0.5, 2.25)]

    Raises: ShapeError.
    """
    x, c = np.asarray(coords, dtype=np.float64), np.asarray(curvature, dtype=np.float64)
    if x.shape != c.shape or x.ndim != 1:
        raise ShapeError(f"not_convex: expected coords and curvature of one shape (K,), got {x.shape}, {c.shape}")
    largest = float(np.max(np.abs(c[np.isfinite(c)]), initial=0.0))
    c = np.where(np.abs(c) <= FLAT * largest, 0.0, c)
    negative = np.concatenate([[False], c < 0, [False]])
    turns = np.flatnonzero(negative[1:] != negative[:-1])
    return [
        (_crossing(x, c, int(first) - 1, int(first)), _crossing(x, c, int(stop) - 1, int(stop)))
        for first, stop in zip(turns[0::2], turns[1::2], strict=True)
    ]


def _crossing(x: Array, c: Array, i: int, j: int) -> float:
    if i < 0 or j >= len(x):
        return float(x[max(i, 0) if j >= len(x) else j])
    if not (np.isfinite(c[i]) and np.isfinite(c[j])):
        return float(x[i] if c[i] < 0 else x[j])
    return float(x[i] + (x[j] - x[i]) * c[i] / (c[i] - c[j]))
