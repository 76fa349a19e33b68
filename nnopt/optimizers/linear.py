"""Symmetric linear systems behind the curvature methods: solved as they are, whatever the signs of the eigenvalues."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnopt.optimizers.base import Matrix, Vector

SINGULAR = "the Hessian is singular: least-norm step"


def length_of(v: Vector) -> float:
    """|v| of a vector (P,), also where its square is too large for a float; infinite or NaN only if an entry is.

    >>> length_of(np.array([3.0, 4.0])), round(length_of(np.array([3e200, 4e200])) / 1e200, 9)
    (5.0, 5.0)
    """
    with np.errstate(all="ignore"):
        length = math.sqrt(v.dot(v))
        if math.isfinite(length):
            return length
        largest = float(np.abs(v).max())
        if not math.isfinite(largest):
            return length
        scaled = v / largest
        return largest * math.sqrt(scaled.dot(scaled))


def solve_symmetric(matrix: Matrix, right: Vector) -> tuple[Vector, bool]:
    """x (P,) with matrix @ x = right, and whether the matrix is singular to working precision.

    matrix (P, P) symmetric, any inertia. A singular one (reciprocal condition number <= P * 2.2e-16) is solved in the
    least-squares sense by the x of least norm: eigenvalues below P * 2.2e-16 of the largest count as zero. A matrix
    with a non-finite entry gives a solution of NaN.

    >>> solve_symmetric(np.diag([2.0, -4.0]), np.array([2.0, 4.0]))
    (array([ 1., -1.]), False)
    >>> x, singular = solve_symmetric(np.ones((2, 2)), np.array([2.0, 2.0]))
    >>> x.round(12), singular
    (array([1., 1.]), True)
    """
    if not np.isfinite(matrix).all():
        return np.full_like(right, np.nan), False
    from scipy.linalg import lapack

    size = right.size
    factors, pivots, zero_pivot = lapack.dgetrf(matrix)
    if zero_pivot == 0:
        norm = np.abs(matrix).sum(axis=0).max()
        reciprocal, _ = lapack.dgecon(factors, norm)
        if reciprocal > size * np.finfo(np.float64).eps:
            solution, _ = lapack.dgetrs(factors, pivots, right)
            return np.asarray(solution, dtype=np.float64), False
    values, vectors = np.linalg.eigh(matrix)
    cut = size * np.finfo(np.float64).eps * np.abs(values).max()
    kept = np.abs(values) > cut
    inverse = np.zeros_like(values)
    inverse[kept] = 1.0 / values[kept]
    return np.asarray(vectors @ (inverse * (vectors.T @ right)), dtype=np.float64), True


def cholesky(matrix: Matrix) -> Matrix | None:
    """The lower factor L (P, P) of matrix = L L^T, or None when the matrix is not positive definite (or not finite).

    numpy's: scipy's `dpotrf` keeps the interpreter to itself all the while, 0.7 s at 4,417 parameters.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]])), cholesky(np.diag([1.0, -1.0]))
    (array([[2., 0.],
           [1., 1.]]), None)
    """
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    return np.asarray(factor) if np.isfinite(factor.diagonal()).all() else None


def solve_cholesky(factor: Matrix, right: Vector) -> Vector:
    """x (P,) with L L^T x = right (P,), L the lower factor of `cholesky`.

    >>> solve_cholesky(np.diag([2.0, 1.0]), np.array([4.0, 3.0]))
    array([1., 3.])
    """
    from scipy.linalg import lapack

    solution: Any
    # L as it lies in memory is L^T to LAPACK: nothing is copied
    solution, _ = lapack.dpotrs(factor.T, right, lower=0)
    return np.asarray(solution, dtype=np.float64)
