"""Curvature at a point: eigenpairs of the Hessian, their signs, and what they make of gradient and Newton steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.lanczos import eigenpairs, product_of
from nnopt.analysis.newton_iteration import solve_indefinite
from nnopt.analysis.taylor import FLAT, hessian_products
from nnopt.errors import ShapeError
from nnopt.optimizers.linear import solve_symmetric
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]

#: up to this many parameters all eigenpairs are computed, above it the extreme ones
MOST_PARAMETERS = 600
#: up to this many parameters a Newton step is made from the whole Hessian and one factorization of it
EXACT_STEP = 2500
#: what an iterated Newton step may be off, as a part of its length: a tenth of the 1e-6 that is promised
BOUND = 1e-7
#: so many of the largest and of the smallest
EXTREME = 6
#: Hessian-vector products that are made for them, at most, and what of their length may be missing
LANCZOS = 120
PRECISE = 1e-6
NOT_KNOWN = "the Newton step is not known: the Hessian is too large to be factorized and too flat for an iteration"


class Inertia(NamedTuple):
    """How many eigenvalues are positive, zero (in size at most a tolerance times the largest one's) and negative.

    >>> spectrum([[2.0, 0.0], [0.0, -1.0]]).inertia.negative
    1
    """

    positive: int
    zero: int
    negative: int


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum(Shown):
    """Eigenpairs of a symmetric matrix. values (K,): curvatures, descending. vectors (P, K): unit eigenvectors as
    columns. complete: whether these are all of them; if not, they are the largest and the smallest ones.

    >>> found = spectrum([[2.0, 0.0], [0.0, -1.0]])
    >>> found.values, found.inertia
    (array([ 2., -1.]), Inertia(positive=1, zero=0, negative=1))
    >>> found.verdict
    'indefinite: 1 of 2 curvatures is negative, a saddle'
    """

    values: Array
    vectors: Array
    complete: bool = True

    @property
    def columns(self) -> dict[str, Array]:
        """As a table, a row per eigenpair: its value, and the components of its vector."""
        return {"value": self.values, **{f"vector[{place}]": row for place, row in enumerate(self.vectors)}}

    @property
    def inertia(self) -> Inertia:
        """Signs of the known curvatures; zero: at most 1e-12 of the largest in size."""
        return self.inertia_within(FLAT)

    def inertia_within(self, tolerance: float) -> Inertia:
        """Signs of the known curvatures; zero: |lambda| <= tolerance * max |lambda|. NaN values are in no class."""
        zero = np.abs(self.values) <= tolerance * np.max(np.abs(self.values), initial=0.0)
        positive = int(np.count_nonzero((self.values > 0) & ~zero))
        negative = int(np.count_nonzero((self.values < 0) & ~zero))
        return Inertia(positive, int(np.count_nonzero(zero)), negative)

    @property
    def verdict(self) -> str:
        """Definiteness in words, with the reason: "positive definite: all 3 curvatures are positive, condition number
        12, a bowl". Zero is what is at most 1e-12 of the largest curvature in size. An incomplete spectrum is judged by
        its ends, and says so."""
        if not np.isfinite(self.values).all():
            return "unknown: the Hessian is not finite"
        positive, zero, negative = self.inertia
        count, known = len(self.values), "" if self.complete else " known"
        if positive and negative:
            return f"indefinite: {_of(negative, count, known, 'negative')}, a saddle"
        if not positive and not negative:
            return f"zero: {_of(zero, count, known, 'zero')}, a plain"
        sign, one = ("positive", positive) if positive else ("negative", negative)
        shape = "dome" if negative else "valley" if zero else "bowl"
        if zero:
            return f"{sign} semidefinite: {_of(zero, count, known, 'zero')}, a {shape}"
        size = f"condition number {self.condition:.4g}, " if positive else ""
        return f"{sign} definite: {_of(one, count, known, sign)}, {size}a {shape}"

    @property
    def largest(self) -> float:
        """lambda_max, the sharpness."""
        return float(self.values[0])

    @property
    def smallest(self) -> float:
        """lambda_min."""
        return float(self.values[-1])

    @property
    def stable_rate(self) -> float:
        """2 / lambda_max: gradient descent is stable on this quadratic below it; infinity without upward curvature, NaN
        where curvature is."""
        return float("inf") if self.largest <= 0 else 2.0 / self.largest

    @property
    def condition(self) -> float:
        """lambda_max / lambda_min of a positive definite matrix; infinity for a singular one, NaN for others."""
        if self.smallest > FLAT * self.largest:
            return self.largest / self.smallest
        return float("nan") if self.inertia.negative or np.isnan(self.values).any() else float("inf")

    @property
    def kind(self) -> str:
        """What the quadratic model is: "bowl", "valley" (some curvature zero), "saddle", "dome", "flat"; "unknown"
        where the Hessian is not finite."""
        if not np.isfinite(self.values).all():
            return "unknown"
        positive, zero, negative = self.inertia
        if positive and negative:
            return "saddle"
        if not positive and not negative:
            return "flat"
        return "dome" if negative else "valley" if zero else "bowl"

    def components(self, vector: npt.ArrayLike) -> Array:
        """v_k . vector for each eigenvector, (K,)."""
        return np.asarray(self.vectors.T @ np.asarray(vector, dtype=np.float64))

    def gradient_step(self, gradient: npt.ArrayLike, rate: float) -> Array:
        """-rate (v_k . g): the gradient step along each eigenvector, (K,)."""
        return -rate * self.components(gradient)

    def newton_step(self, gradient: npt.ArrayLike, damping: float = 0.0) -> Array:
        """-(v_k . g) / (lambda_k + damping): the (damped) Newton step along each eigenvector, (K,); zero where the
        divisor is zero."""
        divisor = self.values + damping
        scale = float(np.max(np.abs(self.values), initial=0.0)) + abs(damping)
        usable = np.abs(divisor) > FLAT * scale
        step = np.zeros_like(divisor)
        return np.asarray(np.divide(-self.components(gradient), divisor, out=step, where=usable))


def _of(part: int, count: int, known: str, sign: str) -> str:
    """ "3 of 7 curvatures are negative", "all 7 known curvatures are positive"."""
    if part == count:
        every = {1: f"the{known} curvature is", 2: f"both{known} curvatures are"}
        return f"{every.get(count, f'all {count}{known} curvatures are')} {sign}"
    return f"{part} of {count}{known} curvatures {'is' if part == 1 else 'are'} {sign}"


def spectrum(hessian: npt.ArrayLike) -> Spectrum:
    """All eigenpairs of a symmetric matrix (P, P); NaN ones if it is not finite.

    >>> spectrum(np.diag([1.0, 4.0])).condition
    4.0

    Raises: ShapeError.
    """
    h = np.asarray(hessian, dtype=np.float64)
    if h.ndim != 2 or h.shape[0] != h.shape[1]:
        raise ShapeError(f"hessian: expected shape (P, P), got {h.shape}")
    if not np.isfinite(h).all():
        return Spectrum(np.full(len(h), np.nan), np.eye(len(h)))
    values, vectors = np.linalg.eigh(h)
    return Spectrum(values[::-1], vectors[:, ::-1])


def extreme_spectrum(objective: Any, theta: npt.ArrayLike, count: int = EXTREME) -> Spectrum:
    """The `count` largest and `count` smallest eigenpairs of the Hessian at theta (P,), from products with it alone.

    For more parameters than a whole Hessian is made for; by Lanczos iteration (lanczos.py).
    At most max(120, 4 count) products; the ends of a spectrum are found first, so they are accurate, and the inner ones
    of those returned are approximate where eigenvalues lie densely. All of them where that is no more work.

    >>> from nnopt.objectives import functions
    >>> f = functions.get("rosenbrock_n", n=200)
    >>> found = extreme_spectrum(f, f.start, count=2)
    >>> found.values.round(), found.complete
    (array([2603., 2603.,  809.,   35.]), False)
    """
    most = max(LANCZOS, 4 * count)
    if np.size(theta) <= most:
        return spectrum(hessian_of(objective, theta))
    found = eigenpairs(objective, theta, count, count, tolerance=PRECISE, most=most)
    return Spectrum(found.values, found.vectors, complete=False)


def hessian_of(objective: Any, theta: npt.ArrayLike) -> Array:
    """The Hessian (P, P) at theta (P,): the objective's own, or from Hessian-vector products.

    >>> from nnopt.objectives import functions
    >>> hessian_of(functions.get("saddle"), [0.0, 0.0])
    array([[ 2.,  0.],
           [ 0., -2.]])
    """
    point = np.asarray(theta, dtype=np.float64)
    with np.errstate(all="ignore"):
        if hasattr(objective, "hessian"):
            return np.asarray(objective.hessian(point))
        h = hessian_products(objective, point, np.eye(point.size))
    return 0.5 * (h + h.T)


def spectrum_at(objective: Any, theta: npt.ArrayLike, most: int = MOST_PARAMETERS) -> Spectrum:
    """The Hessian's spectrum at theta (P,): complete up to `most` parameters, its two ends above.

    >>> from nnopt.objectives import functions
    >>> spectrum_at(functions.get("saddle"), [0.0, 0.0]).kind
    'saddle'
    """
    if np.size(theta) <= most:
        return spectrum(hessian_of(objective, theta))
    return extreme_spectrum(objective, theta)


def newton_step(hessian: npt.ArrayLike, gradient: npt.ArrayLike, damping: float = 0.0) -> tuple[Array, str]:
    """s (P,) with (H + damping I) s = -g, and what must be said about it.

    Whatever the signs of the curvatures: with g . s > 0 the step goes uphill, and the note says so. A singular
    matrix gives the least-norm step, and the note says that. hessian (P, P), symmetric; gradient g (P,).

    >>> newton_step([[2.0, 0.0], [0.0, -1.0]], [1.0, 3.0])
    (array([-0.5,  3. ]), 'the Newton step goes uphill')

    Raises: ShapeError.
    """
    matrix, slope = np.asarray(hessian, dtype=np.float64), np.asarray(gradient, dtype=np.float64)
    if slope.ndim != 1 or matrix.shape != (len(slope), len(slope)):
        raise ShapeError(f"newton_step: expected hessian (P, P) and gradient (P,), got {matrix.shape}, {slope.shape}")
    with np.errstate(all="ignore"):
        if damping != 0.0:
            matrix = matrix + damping * np.eye(len(matrix))
        step, singular = solve_symmetric(matrix, -slope)
        uphill = float(slope @ step) > 0.0
    notes = ["the Newton step goes uphill"] if uphill else []
    if singular:
        notes.append("the Hessian is singular: least-norm step")
    return step, "; ".join(notes)


def newton_step_at(
    objective: Any, theta: npt.ArrayLike, gradient: npt.ArrayLike, damping: float = 0.0
) -> tuple[Array, str]:
    """`newton_step` at theta (P,), where the gradient is (P,), for any number of parameters.

    Up to 2,500 parameters from the whole Hessian and one factorization; above it by iteration on Hessian-vector
    products (newton_iteration.py), for indefinite Hessians too, until the step is known to 1e-6 of its length. Where
    that is not reached the step is NaN, and the note says so: a step of unknown error is none.

    >>> from nnopt.objectives import functions
    >>> f, theta = functions.get("saddle"), np.array([1.0, 0.5])
    >>> newton_step_at(f, theta, f.gradient(theta))
    (array([-1. , -0.5]), '')

    Raises: ShapeError.
    """
    point, slope = np.asarray(theta, dtype=np.float64), np.asarray(gradient, dtype=np.float64)
    if slope.shape != point.shape:
        raise ShapeError(f"gradient: expected the shape of theta, {point.shape}, got {slope.shape}")
    if point.size <= EXACT_STEP:
        return newton_step(hessian_of(objective, point), slope, damping)
    times = product_of(objective, point)

    def product(v: Array) -> Array:
        return times(v) + damping * v

    with np.errstate(all="ignore"):
        found = solve_indefinite(product, -slope, BOUND)
        if not found.error <= BOUND:
            return np.full_like(slope, np.nan), NOT_KNOWN
        return found.step, "the Newton step goes uphill" if float(slope @ found.step) > 0.0 else ""
