"""The way out of a saddle: what a step adds where the gradient has no part along the negative curvature.

There the loss falls either way along that curvature, but nothing that is made from the gradient alone leads there: from
such a line a run slides into the saddle and stays. The step s then gets a part d along the most negative curvature, and
both are searched at once, theta + a^2 s + a d (McCormick 1977; Goldfarb 1980; Moré & Sorensen 1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnopt.optimizers.base import Local, Matrix, Update, Vector
from nnopt.optimizers.gain import POOR, noise_of, value_at
from nnopt.optimizers.line_search import NO_DECREASE, Found

NO_SLOPE = "no slope along the negative curvature: step along it, either way leads down"

EPS = float(np.finfo(np.float64).eps)
#: a negative curvature so many times larger than |g| is that of a saddle. Beside a curve of minima that bends with
#: radius R the curvature along it is |g| / R, of either sign: as in deep linear networks, whose minima are no points
CLEAR = 1e3
#: a step promises little where it promises less than this share of what a unit length along the most negative curvature
#: would gain; the gradient leads away along it by what it has along curvatures down to that share of it
LOOK, LED = 1e-2, 0.1


def negative_among(values: Vector) -> int:
    """How many of the curvatures (P,), ascending, are negative by more than rounding (P * 2.2e-16 of the largest).

    >>> negative_among(np.array([-2.0, -1e-17, 3.0]))
    1
    """
    return int(np.count_nonzero(values < -len(values) * EPS * np.abs(values).max()))


def way_out(
    values: Vector, vectors: Matrix, gradient: Vector, theta: Vector, value: float, gain: float = math.inf
) -> Vector | None:
    """The unit eigenvector (P,) of the most negative curvature if the gradient has no part along negative curvature,
    turned downhill if there is any slope along it, else so that its largest entry is positive. None if there is no
    negative curvature, or if the gradient leads there, or if |g| is larger than that curvature (see `leaves`).

    values (P,) ascending, vectors (P, P) in columns: the Hessian's. gradient, theta (P,), value: the loss there. gain:
    decrease that the step at hand promises. Where that is little beside what a unit length along the most negative
    curvature would gain (less than LOOK of it), only curvatures of its size count as negative (a tenth of it at least):
    a slope along a far smaller one does not lead away along the large one, and hides it.

    No part is one that cannot be told from rounding: of the gradient, of theta (which moves the gradient by the
    curvature times as much), or of the loss, by which its use would have to be seen.

    >>> values, vectors = np.array([-2.0, 2.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> way_out(values, vectors, np.array([2.0, 0.0]), np.array([1.0, 0.0]), 1.0)
    array([0., 1.])
    >>> way_out(values, vectors, np.array([2.0, -0.1]), np.array([1.0, 0.05]), 1.0) is None
    True
    >>> hidden, slope = np.array([-3e5, -1e-3]), np.array([0.0, 1.0])
    >>> way_out(hidden, np.eye(2), slope, slope, 1.0) is None, way_out(hidden, np.eye(2), slope, slope, 1.0, gain=1e-6)
    (True, array([1., 0.]))
    """
    count, slope = negative_among(values), math.sqrt(gradient @ gradient)
    if not count or -values[0] < slope:
        return None
    if gain < -0.5 * LOOK * values[0]:
        count = int(np.count_nonzero(values <= LED * values[0]))
    along = vectors[:, :count].T @ gradient
    size = slope + float(np.abs(values).max()) * math.sqrt(theta @ theta)
    rounding = len(values) * EPS * size
    led = 1.5 * float(np.sum(along * along / -values[:count]))
    if math.sqrt(along @ along) > rounding and led > noise_of(value):
        return None
    return turned(vectors[:, 0], float(along[0]), rounding)


def turned(direction: Vector, slope: float, rounding: float = 0.0) -> Vector:
    """The direction (P,) or its opposite: downhill where its slope is more than rounding, else with its largest entry
    positive, so that the same point always gives the same way.

    >>> turned(np.array([0.6, -0.8]), 0.0), turned(np.array([0.6, -0.8]), -1.0)
    (array([-0.6,  0.8]), array([ 0.6, -0.8]))
    """
    side = slope if abs(slope) > rounding else -float(direction[np.argmax(np.abs(direction))])
    return -direction if side > 0 else direction


def step_out(local: Local, step: Vector, direction: Vector, bend: float, most: int = 1100) -> Found:
    """The first a of 1, 1/2, 1/4, ... for which theta + a^2 step + a direction is lower by a quarter at least of what
    the quadratic model promises for it, a^2 |g.step + bend / 2|, and by more than rounding.

    Moré & Sorensen (1979). step (P,) with g.step <= 0; direction d (P,) with g.d <= 0; bend: d.H d < 0. Found: factor a
    (0 if there is none), value there, evaluations; the search ends where the promise drowns in rounding.

    >>> class Ridge:
    ...     value = staticmethod(lambda theta: float(theta[0] ** 4 - theta[0] ** 2))
    >>> found = step_out(Local(Ridge(), np.zeros(1), 0.0, np.zeros(1)), np.zeros(1), np.ones(1), -2.0)
    >>> found.factor, found.value, found.evaluations
    (0.5, -0.1875, 2)
    """
    promise = float(local.gradient @ step) + 0.5 * bend
    noise, factor = noise_of(local.value), 1.0
    for evaluations in range(1, most + 1):
        square = factor * factor
        if not square * -promise > noise:
            return Found(0.0, local.value, None, evaluations - 1, NO_DECREASE)
        there = value_at(local, local.theta + (square * step + factor * direction))
        if math.isfinite(there) and local.value - there >= max(-POOR * square * promise, noise):
            return Found(factor, there, None, evaluations)
        factor *= 0.5
    return Found(0.0, local.value, None, most, NO_DECREASE)


class Lowest(NamedTuple):
    """The least curvature that products have shown. curvature: d.H d, along the unit direction (P,); bent (P,): H d;
    products made. Curvature 0 if none is negative.

    >>> lowest_curvature(lambda v: 2 * v, 3, 3).curvature
    0.0
    """

    curvature: float
    direction: Vector
    bent: Vector
    products: int


def lowest_curvature(product: Callable[[Vector], Vector], size: int, most: int) -> Lowest:
    """The direction of the most negative curvature in the space spanned by `most` products from a random vector that is
    always the same (Lanczos 1950, with full reorthogonalization): exact if `most` is the number of parameters.

    product: v (P,) -> H v (P,), H symmetric; size: P; most: products, 1 .. P, fewer are made where the space closes.

    >>> found = lowest_curvature(lambda v: np.array([4.0, -1.0]) * v, 2, 2)
    >>> round(found.curvature, 12), np.abs(found.direction).round(12)
    (-1.0, array([0., 1.]))
    """
    nothing = np.zeros(size)
    basis, bent = np.empty((most, size)), np.empty((most, size))
    direction = np.random.Generator(np.random.Philox(key=size)).standard_normal(size)
    made, largest = 0, 0.0
    for made in range(1, most + 1):
        basis[made - 1] = direction / math.sqrt(direction @ direction)
        bent[made - 1] = direction = product(basis[made - 1])
        length = math.sqrt(direction @ direction)
        if not math.isfinite(length):
            return Lowest(0.0, nothing, nothing, made)
        largest = max(largest, length)
        for _ in range(2):
            direction = direction - basis[:made].T @ (basis[:made] @ direction)
        if math.sqrt(direction @ direction) <= 1e-12 * largest:
            break
    square = basis[:made] @ bent[:made].T
    values, vectors = np.linalg.eigh((square + square.T) / 2)
    if not negative_among(values):
        return Lowest(0.0, nothing, nothing, made)
    shares = vectors[:, 0]
    return Lowest(float(values[0]), basis[:made].T @ shares, bent[:made].T @ shares, made)


def leaves(update: Update, value: float, slope: float) -> bool:
    """Whether an update goes on, and lower, from a point at which the gradient has all but vanished: because curvature
    is negative there, which makes it a saddle and not a minimum.

    value, slope: the loss there and |g|. update: of a method with `leaves_saddles`, whose detail tells how many
    curvatures are `negative` and the `smallest` (where it has looked), whether the step was `accepted`, and its
    `actual` change. A curvature that is not larger than |g| does not count: where a loss does not change along a curve,
    as when a unit of a ReLU network is scaled, the straight line beside it has one of that size, of either sign.

    >>> from nnopt.optimizers.base import Slots
    >>> found = {"negative": 1.0, "smallest": -2.0, "accepted": 1.0, "actual": -0.25}
    >>> leaves(Update(np.array([0.5]), Slots(), "", found), 1.0, 1e-9)
    True
    >>> leaves(Update(np.array([0.5]), Slots(), "", found | {"smallest": -1e-10}), 1.0, 1e-9)
    False
    """
    detail = update.detail or {}
    lower = detail.get("accepted", 0.0) > 0 and detail.get("actual", 0.0) < -noise_of(value)
    return lower and detail.get("negative", 0.0) > 0 and detail.get("smallest", 0.0) < -slope


__all__ = [
    "CLEAR", "EPS", "LOOK", "NO_SLOPE", "Lowest", "leaves", "lowest_curvature", "negative_among", "step_out", "turned",
    "way_out",
]  # fmt: skip
