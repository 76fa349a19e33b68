"""The whole spectrum of a Hessian too large to be made: its density and its trace, from random vectors and products.

Floor `analysis`. Both answers are estimates and say how far they can be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import generator
from nnopt.analysis.lanczos import BASIS_BYTES, product_of
from nnopt.analysis.taylor import hessian_products
from nnopt.errors import SettingsError
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]

#: networks with fewer parameters are given several vectors per product, which saves passes over the data
_TOGETHER = 2000
_BLOCK = 16


@dataclass(frozen=True, eq=False, repr=False)
class Density(Shown):
    """The density of the eigenvalues of a Hessian, estimated by stochastic Lanczos quadrature.

    nodes, weights (n, m): from each of n random vectors the places and shares of m point masses; each row of weights
    sums to 1. size: P. width: standard deviation of the Gaussian that each point is drawn as. products: that were made.

    >>> density = Density(np.array([[-1.0, 1.0]]), np.array([[0.25, 0.75]]), size=8, width=0.1, products=2)
    >>> density.share(high=0.0), density.trace, density.ends
    (0.25, 4.0, (-1.0, 1.0))
    """

    nodes: Array
    weights: Array
    size: int
    width: float
    products: int

    def __call__(self, x: npt.ArrayLike) -> Array:
        """phi(x) = mean over vectors of sum_i w_i exp(-(x - node_i)^2 / (2 width^2)) / (width sqrt(2 pi)), x of any
        shape; its integral is 1."""
        at = np.asarray(x, dtype=np.float64)
        away = (at[..., None] - self.nodes.ravel()) / self.width
        heights = np.exp(-0.5 * away * away) @ self.weights.ravel()
        return np.asarray(heights / (len(self.nodes) * self.width * math.sqrt(2 * math.pi)))

    def share(self, low: float = -math.inf, high: float = math.inf) -> float:
        """Estimated fraction of the eigenvalues in [low, high)."""
        inside = (self.nodes >= low) & (self.nodes < high)
        return float(np.sum(self.weights[inside])) / len(self.nodes)

    def moment(self, k: int) -> float:
        """Estimated mean of lambda^k over the spectrum."""
        return float(np.sum(self.weights * self.nodes**k)) / len(self.nodes)

    @property
    def trace(self) -> float:
        """P times the mean eigenvalue; `trace` needs fewer products for the same accuracy."""
        return self.size * self.moment(1)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """(smallest, largest) eigenvalue: the outermost nodes, slightly inside the true ends."""
        return float(np.min(self.nodes)), float(np.max(self.nodes))

    def curve(self, points: int = 400) -> tuple[Array, Array]:
        """(x, phi(x)), (points,) each, over the whole spectrum."""
        low, high = self.ends
        x = np.linspace(low - 4 * self.width, high + 4 * self.width, points)
        return x, self(x)


def spectral_density(
    objective: Any, theta: npt.ArrayLike, vectors: int = 8, steps: int = 60, width: float | None = None, seed: int = 0
) -> Density:
    """The density of the Hessian's eigenvalues at theta (P,), from vectors * steps Hessian-vector products.

    Lanczos iteration of `steps` products from each of `vectors` random unit vectors gives a Gauss quadrature of the
    density: exact for polynomials up to degree 2 steps - 1, up to the randomness of the vectors. width: of the peaks,
    0.5 % of the spectrum's extent by default. Fewer steps are made where their vectors would take more than 256 MB.

    >>> from nnopt.objectives import functions
    >>> f = functions.get("rosenbrock_n", n=200)
    >>> density = spectral_density(f, f.start)
    >>> density.share(high=0.0), density.share(low=1000.0) > 0.7  # the true share is 0.782
    (0.0, True)

    Source: Ghorbani, Krishnan and Xiao (2019); Golub and Welsch (1969). Raises: SettingsError; all NaN where a product
    is not finite.
    """
    if vectors < 1 or steps < 1:
        raise SettingsError(f"spectral_density: expected vectors >= 1 and steps >= 1, got {vectors} and {steps}")
    if width is not None and not width > 0:
        raise SettingsError(f"spectral_density: expected width > 0, got {width!r}")
    point = np.asarray(theta, dtype=np.float64)
    block = _BLOCK if point.size <= _TOGETHER else 1
    steps = min(steps, point.size, max(2, BASIS_BYTES // (8 * block * point.size)))
    random = generator(seed)
    starts = random.standard_normal((vectors, point.size))
    starts /= np.linalg.norm(starts, axis=1, keepdims=True)
    times = _products_of(objective, point)
    parts = [_quadrature(times, starts[k : k + block], steps) for k in range(0, vectors, block)]
    nodes = np.concatenate([nodes for nodes, _ in parts])
    weights = np.concatenate([weights for _, weights in parts])
    if width is None:
        extent = float(np.max(nodes) - np.min(nodes))
        width = 0.005 * extent or 1e-3 * max(abs(float(nodes.flat[0])), 1e-300)
    return Density(nodes, weights, point.size, width, vectors * steps)


def _quadrature(times: Callable[[Array], Array], starts: Array, steps: int) -> tuple[Array, Array]:
    """(nodes, weights) (K, steps) of K Lanczos iterations side by side, each with full reorthogonalization."""
    count, size = starts.shape
    basis = np.empty((count, steps, size))
    matrices = np.zeros((count, steps, steps))
    v = starts
    for j in range(steps):
        basis[:, j] = v
        w = times(v)
        if not np.isfinite(w).all():
            return np.full((count, steps), np.nan), np.full((count, steps), np.nan)
        known = basis[:, : j + 1]
        before = np.linalg.norm(w, axis=1)
        matrices[:, j, j] = np.einsum("kp,kp->k", v, w)
        for _ in range(2):
            w = w - np.matmul(np.matmul(w[:, None], known.swapaxes(1, 2)), known)[:, 0]
        length = np.linalg.norm(w, axis=1)
        # an exhausted iteration goes on with nothing: its further points have no weight
        length = np.where(length > 1e-12 * before, length, 0.0)
        v = np.divide(w, length[:, None], out=np.zeros_like(w), where=length[:, None] > 0)
        if j + 1 < steps:
            matrices[:, j, j + 1] = matrices[:, j + 1, j] = length
    nodes, mixing = np.linalg.eigh(matrices)
    return nodes, mixing[:, 0, :] ** 2


def _products_of(objective: Any, theta: Array) -> Callable[[Array], Array]:
    """Rows (K, P) -> H times each of them: a block at once where the network is small, else one by one."""
    if theta.size <= _TOGETHER:
        return lambda vectors: hessian_products(objective, theta, vectors)
    product = product_of(objective, theta)
    return lambda vectors: np.array([product(v) for v in vectors])


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Shown):
    """value: the estimate. error: its standard error (0 where it is exact). products: Hessian-vector products made.

    >>> Trace(value=12.0, error=0.5, products=90).value
    12.0
    """

    value: float
    error: float
    products: int


def trace(
    objective: Any,
    theta: npt.ArrayLike,
    products: int = 90,
    method: Literal["hutch++", "hutchinson"] = "hutch++",
    seed: int = 0,
) -> Trace:
    """The trace of the Hessian at theta (P,): the sum of all curvatures, from about `products` products.

    hutchinson: the mean of z . H z over random signs z (Hutchinson 1989). hutch++: a third of the products finds the
    steepest directions Q, tr(Q^T H Q) is exact, and Hutchinson's mean is taken of the rest only (Meyer, Musco, Musco
    and Woodruff 2021): far more accurate where few curvatures are large, as in networks. Exact with P products or more.

    >>> from nnopt.objectives import functions
    >>> f = functions.get("wood")
    >>> trace(f, f.start, products=4)
    Trace(value=21704.4, error=0, products=4)

    Raises: SettingsError.
    """
    if products < 3 or method not in ("hutch++", "hutchinson"):
        raise SettingsError(f"trace: expected products >= 3 and hutch++ or hutchinson, got {products} and {method!r}")
    random = generator(seed)
    point = np.asarray(theta, dtype=np.float64)
    size = point.size

    products_of = _products_of(objective, point)

    def times(rows: Array) -> Array:
        return np.concatenate([products_of(rows[k : k + _BLOCK]) for k in range(0, len(rows), _BLOCK)])

    if products >= size:
        return Trace(float(np.einsum("kk->", times(np.eye(size)))), 0.0, size)

    def signs(count: int) -> Array:
        return np.asarray(random.choice(np.array([-1.0, 1.0]), (count, size)))

    if method == "hutchinson":
        probes, inside, made = signs(products), 0.0, products
    else:
        third = products // 3
        sketch = times(signs(third))
        if not np.isfinite(sketch).all():
            return Trace(math.nan, math.nan, third)
        steep = np.linalg.qr(sketch.T)[0].T
        inside, made = float(np.sum(steep * times(steep))), 3 * third
        probes = signs(third)
        probes = probes - (probes @ steep.T) @ steep
    samples = np.sum(probes * times(probes), axis=1)
    error = float(np.std(samples, ddof=1)) / math.sqrt(len(samples)) if len(samples) > 1 else math.inf
    return Trace(inside + float(np.mean(samples)), error, made)
