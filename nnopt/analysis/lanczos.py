"""Extreme eigenpairs of a Hessian from Hessian-vector products alone: Lanczos iteration with thick restarts.

For networks whose Hessian would not fit. Memory is one basis of vectors, whatever the number of products made. Floor
`analysis`, below curvature.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import count_of, generator
from nnopt.analysis.taylor import hessian_products
from nnopt.blas import one_thread
from nnopt.errors import SettingsError, ShapeError
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]
#: v (P,) -> H v (P,)
Product: TypeAlias = Callable[[Array], Array]

#: bytes that a basis takes, at most (it has 2 vectors more than pairs are asked for, at least)
BASIS_BYTES = 256_000_000
#: what of a vector is left after subtracting its projections counts as rounding below this
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Eigenpairs(Shown):
    """values (K,), descending; vectors (P, K): unit eigenvectors as columns; residuals (K,): |H v - value v|, which
    bounds the distance of each value to a true eigenvalue. products: Hessian-vector products made. converged: whether
    all residuals are as small as was asked.

    >>> found = extreme_pairs(lambda v: np.array([3.0, 2.0, 1.0]) * v, size=3, top=1)
    >>> found.values.round(12), found.vectors.shape, found.converged
    (array([3.]), (3, 1), True)
    """

    values: Array
    vectors: Array
    residuals: Array
    products: int
    converged: bool


def product_of(objective: Any, theta: npt.ArrayLike) -> Product:
    """v (P,) -> H v (P,) for the Hessian at theta (P,): by the objective's `linearized`, which keeps the passes at
    theta for all products, or its `hvp`, else as `hessian_products` does. For one thread at a time.

    >>> from nnopt.objectives import functions
    >>> product_of(functions.get("booth"), [0.0, 0.0])(np.array([1.0, 0.0]))
    array([10.,  8.])
    """
    point = np.asarray(theta, dtype=np.float64)
    if hasattr(objective, "linearized"):
        known: Product = objective.linearized(point)
        return known

    def product(v: Array) -> Array:
        if hasattr(objective, "hvp"):
            with np.errstate(all="ignore"):
                return np.asarray(objective.hvp(point, v), dtype=np.float64)
        return np.asarray(hessian_products(objective, point, v[None])[0])

    return product


def eigenpairs(
    objective: Any,
    theta: npt.ArrayLike,
    top: int = 5,
    bottom: int = 0,
    *,
    tolerance: float = 1e-6,
    most: int = 1000,
    start: npt.ArrayLike | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """The `top` largest and `bottom` smallest eigenpairs of the Hessian at theta (P,), without making the Hessian.

    tolerance: a pair is found when |H v - lambda v| <= tolerance * max |lambda|. most: products to make at most. start
    (P,): where to begin, an earlier eigenvector, say; by default a random vector, the same for the same seed.

    A value that is not there yet when the products are used up is too far inside, never outside, the true spectrum
    (Ritz values); `converged` and `residuals` tell. NaN where a product is not finite.

    >>> from nnopt.objectives import functions
    >>> f = functions.get("rosenbrock_n", n=200)
    >>> found = eigenpairs(f, f.start, top=2, bottom=1)
    >>> found.values.round(1), found.converged
    (array([2603.3, 2603. ,   35.4]), True)

    Source: Lanczos (1950); thick restarts: Wu and Simon (2000). Raises: SettingsError, ShapeError.
    """
    size = np.size(theta)
    return extreme_pairs(
        product_of(objective, theta), size, top, bottom, tolerance=tolerance, most=most, start=start, seed=seed
    )


def extreme_pairs(
    product: Product,
    size: int,
    top: int,
    bottom: int = 0,
    *,
    tolerance: float = 1e-6,
    most: int = 1000,
    basis: int | None = None,
    start: npt.ArrayLike | None = None,
    seed: int = 0,
    fewest: int = 0,
) -> Eigenpairs:
    """`eigenpairs` of any symmetric matrix (P, P) of which `product` computes v -> A v.

    size: P. basis: vectors kept at once; by default as many as pay (about 3 per pair and 40 more). fewest: products
    made before a result is believed, for starts among the wrong eigenvectors. The rest as for `eigenpairs`.

    >>> diagonal = np.arange(1.0, 1001.0)
    >>> found = extreme_pairs(lambda v: diagonal * v, 1000, top=2, bottom=1)
    >>> found.values.round(6)
    array([1000.,  999.,    1.])

    Source: Lanczos (1950); thick restarts: Wu and Simon (2000). Raises: SettingsError, ShapeError.
    """
    if top < 0 or bottom < 0 or top + bottom < 1 or size < 1:
        raise SettingsError(f"eigenpairs: expected top + bottom >= 1 and size >= 1, got {top}, {bottom} and {size}")
    one_thread()
    most = count_of("most", most, least=1)
    if top + bottom > size:
        top, bottom = min(top, size), max(0, size - top)
    wanted = top + bottom
    room = max(wanted + 2, BASIS_BYTES // (8 * size))
    space = _Space(product, size, min(size, room, 3 * wanted + 40 if basis is None else max(basis, wanted + 2)), seed)
    if not space.begin(start):
        raise ShapeError(f"start: expected a finite vector of shape ({size},) and length > 0")
    # one pair is there after a few products: looked for after each
    every = 1 if wanted == 1 else 8
    enough = min(size, max(fewest, wanted + 3))
    closed: Array | None = None
    while True:
        if not space.grow(min(most, space.products + every)):
            nothing = np.full(wanted, np.nan)
            return Eigenpairs(nothing, np.eye(size, wanted), nothing, space.products, False)
        values, mixing, residuals = space.ritz()
        found = min(wanted, len(values))
        chosen = _ends(len(values), *((top, bottom) if found == wanted else (found, 0)))
        scale = float(np.max(np.abs(values)))
        good = bool(np.all(residuals[chosen] <= tolerance * scale)) and found == wanted
        believed = space.fresh >= enough
        if space.fresh == 0 and found == wanted:
            # closed under products: what occurs several times is found again in another direction
            believed = closed is not None and np.allclose(closed, values[chosen], rtol=0.0, atol=tolerance * scale)
            closed = values[chosen]
        if (good and believed) or space.complete or space.products >= most:
            return Eigenpairs(values[chosen], space.vectors(mixing[:, chosen]), residuals[chosen], space.products, good)
        if space.full:
            kept = wanted + (space.most - wanted) // 2 - 1
            share = kept * top // wanted
            space.restart(values, mixing, _ends(len(values), share, kept - share))


def _ends(count: int, top: int, bottom: int) -> npt.NDArray[np.intp]:
    """Indices of the `top` first and `bottom` last of `count`."""
    return np.concatenate([np.arange(top), np.arange(count - bottom, count)]).astype(np.intp)


class _Space:
    """An orthonormal basis (m, P) that grows by products, and the matrix seen from it."""

    def __init__(self, product: Product, size: int, most: int, seed: int) -> None:
        self.product = product
        self.size = size
        self.most = most
        self.products = 0
        self.fresh = 0  # of them since the beginning, or since the basis was closed under products
        self.random = generator(seed)
        self.basis: Array = np.empty((most, size))
        self.matrix: Array = np.zeros((most, most))
        self.count = 0  # vectors in the basis whose products are known
        self.ahead: Array = np.empty(size)  # the next one, of length 1
        self.reach = 0.0  # length it had: how far the last product left the basis

    def begin(self, start: npt.ArrayLike | None) -> bool:
        given = self.random.standard_normal(self.size) if start is None else np.asarray(start, dtype=np.float64)
        if given.shape != (self.size,) or not np.isfinite(given).all() or not np.any(given):
            return False
        self.ahead = given / np.linalg.norm(given)
        return True

    @property
    def full(self) -> bool:
        return self.count == self.most

    @property
    def complete(self) -> bool:
        """Whether the basis spans everything."""
        return self.count == self.size

    def grow(self, products: int) -> bool:
        """Make products up to this number in all, or until the basis is closed; False if one is not finite."""
        while self.products < products and not self.full:
            j = self.count
            self.basis[j] = self.ahead
            w = self.product(self.basis[j])
            self.products += 1
            self.fresh += 1
            if not np.isfinite(w).all():
                return False
            before = float(np.linalg.norm(w))
            known = self.basis[: j + 1]
            seen = known @ w
            w = w - seen @ known
            # twice is enough to stay orthogonal to working precision
            again = known @ w
            w -= again @ known
            self.matrix[j, : j + 1] = self.matrix[: j + 1, j] = seen + again
            self.count = j + 1
            self.reach = float(np.linalg.norm(w))
            if self.reach > _ROUNDING * before:
                self.ahead = w / self.reach
            else:
                self._elsewhere()
                break
        return True

    def _elsewhere(self) -> None:
        """The basis is closed under products: go on in a random direction, for what the start has no part in."""
        self.reach, self.fresh = 0.0, 0
        known = self.basis[: self.count]
        w = self.random.standard_normal(self.size)
        for _ in range(2):
            w = w - (known @ w) @ known
            w /= max(float(np.linalg.norm(w)), 1e-300)
        self.ahead = w

    def ritz(self) -> tuple[Array, Array, Array]:
        """(values descending, their mixing of the basis as columns, residuals)."""
        values, mixing = np.linalg.eigh(self.matrix[: self.count, : self.count])
        return values[::-1], mixing[:, ::-1], self.reach * np.abs(mixing[-1, ::-1])

    def vectors(self, mixing: Array) -> Array:
        """The vectors (P, K) that columns of mixing (m, K) stand for."""
        return np.asarray(self.basis[: self.count].T @ mixing)

    def restart(self, values: Array, mixing: Array, kept: npt.NDArray[np.intp]) -> None:
        """Go on from some Ritz vectors instead of the whole basis."""
        self.basis[: len(kept)] = mixing[:, kept].T @ self.basis[: self.count]
        self.matrix[...] = 0.0
        self.matrix[np.arange(len(kept)), np.arange(len(kept))] = values[kept]
        self.count = len(kept)
