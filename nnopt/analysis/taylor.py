"""The quadratic (Taylor) model of a loss at a point, on a line, a plane or any few directions: exact, from
Hessian-vector products of these directions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import value_and_gradient_of
from nnopt.errors import ShapeError
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]

#: eigenvalues smaller than this fraction of the largest count as zero
FLAT = 1e-12
#: cosine of 10 degrees: an axis turned by less keeps its name
_ALMOST = 0.985


@dataclass(frozen=True, eq=False, repr=False)
class QuadraticModel(Shown):
    """q(c) = value + gradient . c + c . hessian c / 2, in coordinates c (d,) along the model's directions.

    value: loss at c = 0. gradient (d,), hessian (d, d): first and second derivatives along the directions.

    >>> model = QuadraticModel(1.0, np.array([-4.0, 0.0]), np.diag([2.0, 8.0]))
    >>> model.minimum(), float(model([2.0, 0.0]))
    (array([2., 0.]), -3.0)
    """

    value: float
    gradient: Array
    hessian: Array

    def __call__(self, coords: npt.ArrayLike) -> Array:
        """q at coords (..., d), as (...). For d = 1 coordinates may be given as (K,) too. Raises: ShapeError."""
        c = self._coords(coords)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self.value + c @ self.gradient + 0.5 * np.sum((c @ self.hessian) * c, axis=-1))

    def linear(self, coords: npt.ArrayLike) -> Array:
        """The tangent alone, value + gradient . c; coords and errors as for q itself."""
        return np.asarray(self.value + self._coords(coords) @ self.gradient)

    def curvatures(self) -> tuple[Array, Array]:
        """(eigenvalues (d,) descending, eigenvectors (d, d) as columns)."""
        return self._eigen

    @property
    def dimension(self) -> int:
        """d, the number of directions."""
        return len(self.gradient)

    def minimum(self) -> Array | None:
        """Where the model is lowest, (d,); None where it has no minimum: a curvature is negative, or zero."""
        values, vectors = self._eigen
        if not np.isfinite(values).all() or values[-1] <= FLAT * abs(values[0]):
            return None
        return self._to_stationary(values, vectors)

    def no_minimum(self, labels: Sequence[str] = ()) -> str:
        """Why there is none, "" where there is one: "no minimum: curvature is negative along y".

        labels (d,): of the directions, those of a plane, say; by default c1, c2, ... Named is the direction of smallest
        curvature, as a mixture where it is more than 10 degrees away from all of them.

        >>> saddle = QuadraticModel(0.0, np.zeros(2), np.diag([2.0, -1.0]))
        >>> saddle.no_minimum(("x", "y"))
        'no minimum: curvature is negative along y'
        >>> QuadraticModel(0.0, np.zeros(2), np.array([[0.0, 1.0], [1.0, 0.0]])).no_minimum()
        'no minimum: curvature is negative along 0.71 c1 - 0.71 c2'
        """
        if self.minimum() is not None:
            return ""
        values, vectors = self._eigen
        if not (np.isfinite(values).all() and np.isfinite(self.gradient).all()):
            return "no minimum: slope or curvature is not finite"
        sign = "negative" if values[-1] < -FLAT * np.max(np.abs(values)) else "zero"
        return f"no minimum: curvature is {sign} along {_named(vectors[:, -1], labels)}"

    def stationary(self) -> Array | None:
        """Where the model's gradient is zero (minimum, saddle or maximum), (d,); None if a curvature is zero."""
        values, vectors = self._eigen
        if not np.isfinite(values).all() or np.min(np.abs(values)) <= FLAT * np.max(np.abs(values)):
            return None
        return self._to_stationary(values, vectors)

    def _to_stationary(self, values: Array, vectors: Array) -> Array | None:
        with np.errstate(over="ignore", invalid="ignore"):
            place = vectors @ (-(vectors.T @ self.gradient) / values)
        return np.asarray(place) if np.isfinite(place).all() else None

    @cached_property
    def _eigen(self) -> tuple[Array, Array]:
        if not np.isfinite(self.hessian).all():
            return np.full(len(self.gradient), np.nan), np.eye(len(self.gradient))
        values, vectors = np.linalg.eigh(self.hessian)
        return values[::-1], vectors[:, ::-1]

    def _coords(self, coords: npt.ArrayLike) -> Array:
        c = np.asarray(coords, dtype=np.float64)
        if self.dimension == 1 and (c.ndim == 0 or c.shape[-1] != 1):
            c = c[..., None]
        if c.shape[-1] != self.dimension:
            raise ShapeError(f"coords: expected shape (..., {self.dimension}), got {c.shape}")
        return c


def _named(vector: Array, labels: Sequence[str]) -> str:
    """A unit vector (d,) in words."""
    sizes = np.abs(vector)
    # the first of those that are equally large up to rounding
    main = int(np.argmax(sizes >= sizes.max() - 1e-9))
    if sizes[main] >= _ALMOST:
        return labels[main].removeprefix("along ") if labels else f"c{main + 1}"
    turned = vector * np.sign(vector[main])
    parts = [
        f"{'-' if part < 0 else '+'} {abs(part):.2g} c{i + 1}" for i, part in enumerate(turned) if abs(part) > 0.05
    ]
    return " ".join(parts).removeprefix("+ ")


def quadratic_model(
    objective: Any, theta: npt.ArrayLike, directions: npt.ArrayLike, local: tuple[float, Array] | None = None
) -> QuadraticModel:
    """The model of the loss at theta + c_1 d_1 + ... + c_d d_d: D g and D H D^T with D = directions, exactly.

    theta (P,). directions (d, P), or (P,) for a line. local: value and gradient at theta, if known.
    The cost is one gradient and d Hessian-vector products. Raises: ShapeError.

    >>> from nnopt.objectives import functions
    >>> model = quadratic_model(functions.get("booth"), [0.0, 0.0], np.eye(2))
    >>> model.value, model.gradient, model.minimum()
    (74.0, array([-34., -38.]), array([1., 3.]))
    """
    point = np.asarray(theta, dtype=np.float64)
    d = np.atleast_2d(np.asarray(directions, dtype=np.float64))
    if d.ndim != 2 or d.shape[1:] != point.shape:
        raise ShapeError(f"directions: expected shape (d, {point.size}), got {d.shape}")
    with np.errstate(all="ignore"):
        value, gradient = local if local is not None else value_and_gradient_of(objective, point)
        hessian = d @ hessian_products(objective, point, d).T
        return QuadraticModel(float(value), d @ gradient, 0.5 * (hessian + hessian.T))


def hessian_products(objective: Any, theta: Array, vectors: Array) -> Array:
    """Hessian at theta (P,) times each row of vectors (K, P), as (K, P).

    Exact where the objective has `hvps`, `hvp` or `hessian`; otherwise central differences of its gradient, with an
    error of about 1e-9 relative to the gradient's changes.

    >>> from nnopt.objectives import functions
    >>> hessian_products(functions.get("booth"), np.zeros(2), np.array([[1.0, 0.0], [1.0, -1.0]]))
    array([[10.,  8.],
           [ 2., -2.]])
    """
    with np.errstate(all="ignore"):
        if hasattr(objective, "hvps"):
            return np.asarray(objective.hvps(theta, vectors))
        if hasattr(objective, "hvp"):
            return np.array([objective.hvp(theta, v) for v in vectors])
        if hasattr(objective, "hessian"):
            return np.asarray(vectors @ objective.hessian(theta))
        return np.array([_differences(objective, theta, v) for v in vectors])


def _differences(objective: Any, theta: Array, v: Array) -> Array:
    length = float(np.linalg.norm(v))
    if length == 0.0:
        return np.zeros_like(theta)
    # the cube root of the rounding error balances it against the error of the difference
    h = np.finfo(np.float64).eps ** (1 / 3) * (1.0 + float(np.linalg.norm(theta))) / length
    ahead, behind = (value_and_gradient_of(objective, theta + side * h * v)[1] for side in (1.0, -1.0))
    return np.asarray((ahead - behind) / (2 * h))


def trust_region_mask(
    predicted: npt.ArrayLike, values: npt.ArrayLike, share: float = 0.1, lowest: float = 0.0
) -> npt.NDArray[np.bool_]:
    """Where the model is within `share` (10 %) of the true loss: |predicted - values| <= share * |values - lowest|.

    predicted, values: of one shape, model(coords) and the true losses there. lowest: what losses are measured from; 0
    for losses of networks, the lowest value for functions that become negative. Wild values are outside.

    >>> trust_region_mask([1.0, 2.0, 3.0], [1.0, 2.1, 4.0])
    array([ True,  True, False])

    Raises: ShapeError.
    """
    p, v = np.asarray(predicted, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if p.shape != v.shape:
        raise ShapeError(f"trust_region_mask: expected two arrays of one shape, got {p.shape} and {v.shape}")
    with np.errstate(all="ignore"):
        # at the point itself both agree up to the rounding of the values
        rounding = 4 * np.finfo(np.float32).eps * np.abs(v) if np.asarray(values).dtype == np.float32 else 0.0
        inside = np.abs(p - v) <= share * np.abs(v - lowest) + rounding
    return np.asarray(inside & np.isfinite(v) & np.isfinite(p))
