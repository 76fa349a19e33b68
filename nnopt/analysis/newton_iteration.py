"""Newton steps of systems that are too large to be factorized: by iteration, to a known accuracy of the step itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

#: products that are made at most, numbers that their basis may hold, and the fewest products between two looks at the
#: error
MOST_PRODUCTS, MOST_NUMBERS, EVERY = 600, 25_000_000, 20


class Solved(NamedTuple):
    """step (P,): the solution; error: bound on |step - solution| / |step|; products made.

    >>> solve_indefinite(lambda v: np.array([2.0, -4.0]) * v, np.array([2.0, 4.0])).step
    array([ 1., -1.])
    """

    step: Array
    error: float
    products: int


def solve_indefinite(product: Callable[[Array], Array], right: Array, accuracy: float = 1e-7) -> Solved:
    """x (P,) with A x = right (P,), A symmetric with any signs, known by its products A v alone.

    The residual is minimized in Krylov spaces (MINRES) of a basis that is kept orthogonal. |x - solution| is at most
    |residual| / sigma, where sigma is the smallest |eigenvalue| of those whose eigenvectors `right` has a part along;
    it is taken from the smallest singular value of the projected matrix, which comes down to it. Ends when that is
    below `accuracy` |x| twice in a row, or after 600 products (fewer where the basis would not fit into memory): the
    error says which. A small residual alone says nothing: along small eigenvalues it hides steps of any length.

    >>> curvatures = np.linspace(-1.0, 3.0, 50)
    >>> found = solve_indefinite(lambda v: curvatures * v, np.ones(50))
    >>> bool(found.error < 1e-7), bool(np.allclose(found.step, 1 / curvatures, rtol=1e-6))
    (True, True)

    Source: Paige and Saunders (1975).
    """
    length = float(np.linalg.norm(right))
    if not 0.0 < length < np.inf:
        zero = length == 0.0
        return Solved(np.full_like(right, 0.0 if zero else np.nan), 0.0 if zero else np.inf, 0)
    most = int(min(right.size, MOST_PRODUCTS, max(EVERY, MOST_NUMBERS // right.size)))
    basis = np.empty((most + 1, right.size))
    basis[0] = right / length
    projected = np.zeros((most + 1, most))
    look = EVERY
    good, best = False, Solved(np.full_like(right, np.nan), np.inf, 0)
    for made in range(1, most + 1):
        column = np.asarray(product(basis[made - 1]), dtype=np.float64)
        known = basis[:made]
        # twice is enough: what is left of the others is rounding
        for _ in range(2):
            parts = known @ column
            column = column - parts @ known
            projected[:made, made - 1] += parts
        left = float(np.linalg.norm(column))
        projected[made, made - 1] = left
        if not np.isfinite(left):
            return best
        closed = made == right.size or left <= 1e-13 * float(np.abs(projected).max())
        if closed or made >= look or made == most:
            look = made + max(EVERY, made // 4)
            rows = made if closed else made + 1
            best = _least(projected[:rows, :made], known, length, made)
            if best.error <= accuracy and (closed or good):
                return best
            good = best.error <= accuracy
        if closed:
            return best
        basis[made] = column / left
    return best


def _least(projected: Array, basis: Array, length: float, made: int) -> Solved:
    """The step of least residual in the space of `basis` (K, P), and the bound on its error."""
    first = np.zeros(len(projected))
    first[0] = length
    left, singular, right = np.linalg.svd(projected, full_matrices=False)
    smallest = float(singular[-1])
    if not smallest > made * np.finfo(np.float64).eps * float(singular[0]):
        return Solved(np.full(basis.shape[1], np.nan), np.inf, made)
    weights = right.T @ ((left.T @ first) / singular)
    residual = float(np.linalg.norm(projected @ weights - first))
    # rounding alone leaves this much
    residual += np.finfo(np.float64).eps * (length + float(singular[0]) * float(np.linalg.norm(weights)))
    size = float(np.linalg.norm(weights))
    return Solved(weights @ basis, residual / (smallest * size) if size > 0 else np.inf, made)
