"""Many parameter vectors at once: the kernels behind grids (losses on a plane) and restarts (losses and gradients).

Parameter vectors are handled in parts that are small enough for their activations to stay in the cache. Points of a
slice or plane are made part by part, as one matrix product [1, a, b] @ [origin; d1; d2], and never exist as a whole.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nnopt.objectives.activations import Array
from nnopt.objectives.kernels import CHUNK, Workspace, chunks, workspace
from nnopt.objectives.losses import Loss
from nnopt.objectives.network import Network

#: activations of a part should about fit the second-level cache: those of one layer, or of all for a gradient
_ACTIVATION_BYTES = 1024 * 1024
#: most that the parameter vectors of a part may take
_VECTOR_BYTES = 8 * 1024 * 1024
_MOST_VECTORS = 48


def value_sums(
    network: Network,
    loss: Loss,
    thetas: Array,
    factors: Array | None,
    inputs: Array,
    targets: Array,
    dtype: npt.DTypeLike = np.float64,
) -> npt.NDArray[np.float64]:
    """Sums (K,) of the losses over the examples, one per row of thetas (K, P), calculated in `dtype`.

    factors (K, d): take the rows of factors @ thetas instead, with thetas (d, P). inputs (D + 1, N), targets (C, N).

    >>> from nnopt.objectives.losses import loss_function
    >>> inputs, targets = np.array([[2.0, 4.0], [1.0, 1.0]]), np.zeros((1, 2))
    >>> value_sums(Network((1, 1)), loss_function("squared_error"), np.eye(2), None, inputs, targets)
    array([10.,  1.])
    """
    kind = np.dtype(dtype)
    examples = [
        (np.ascontiguousarray(inputs[:, part], kind), np.ascontiguousarray(targets[:, part], kind))
        for part in chunks(inputs.shape[1])
    ]
    in_logistic_form = kind == np.float64 and network.function.logistic_form is not None and bool(network.widths)
    if factors is not None:
        factors = factors.astype(kind, copy=False)
        thetas = _logistic_form(network, thetas) if in_logistic_form else thetas.astype(kind, copy=False)
    totals = np.zeros(len(thetas) if factors is None else len(factors))
    for part in chunks(len(totals), _vectors_at_once(network, inputs.shape[1], kind)):
        for some_inputs, some_targets in examples:
            space = workspace(network, (part.stop - part.start,), some_inputs.shape[1], kind)
            if factors is not None:
                np.matmul(factors[part], thetas, space.theta)
            else:
                rows = _logistic_form(network, thetas[part]) if in_logistic_form else thetas[part]
                np.copyto(space.theta, rows, casting="same_kind")
            if in_logistic_form:
                _forward_in_logistic_form(space, some_inputs)
            else:
                space.forward(some_inputs)
            totals[part] += loss.sums(space.z, some_targets, space.loss_work)
    return totals


def value_and_gradient_sums(
    network: Network, loss: Loss, thetas: Array, inputs: Array, targets: Array
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sums (K,) of the losses over the examples and their gradients (K, P), one per row of thetas (K, P).

    >>> from nnopt.objectives.losses import loss_function
    >>> inputs, targets = np.array([[2.0, 4.0], [1.0, 1.0]]), np.zeros((1, 2))
    >>> value_and_gradient_sums(Network((1, 1)), loss_function("squared_error"), np.eye(2), inputs, targets)
    (array([10.,  1.]), array([[20.,  6.],
           [ 6.,  2.]]))
    """
    totals = np.zeros(len(thetas))
    gradients = np.zeros(thetas.shape)
    for part in chunks(len(thetas), gradients_at_once(network, len(thetas), inputs.shape[1], np.float64)):
        vectors = thetas[part]
        for rows in chunks(inputs.shape[1]):
            space = workspace(network, (len(vectors),), rows.stop - rows.start)
            np.copyto(space.theta, vectors)
            space.forward(inputs[:, rows])
            totals[part] += loss.sums_and_slopes(space.z, targets[:, rows], space.loss_work)
            space.backward(inputs[:, rows])
            gradients[part] += space.gradient
    return totals, gradients


def outputs(network: Network, thetas: Array, inputs: Array) -> npt.NDArray[np.float64]:
    """Outputs (K, N, C) of every row of thetas (K, P) on inputs (D + 1, N).

    >>> outputs(Network((1, 1)), np.eye(2), np.array([[2.0, 4.0], [1.0, 1.0]])).tolist()
    [[[2.0], [4.0]], [[1.0], [1.0]]]
    """
    out = np.empty((len(thetas), inputs.shape[1], network.outputs))
    for part in chunks(len(thetas), _vectors_at_once(network, inputs.shape[1], np.float64)):
        vectors = thetas[part]
        for rows in chunks(inputs.shape[1]):
            space = workspace(network, (len(vectors),), rows.stop - rows.start)
            np.copyto(space.theta, vectors)
            space.forward(inputs[:, rows])
            out[part, rows] = space.z.swapaxes(-1, -2)
    return out


def _vectors_at_once(network: Network, n: int, dtype: npt.DTypeLike) -> int:
    """How many parameter vectors to evaluate together on n examples."""
    return _fitting(network, max(network.sizes[1:]), n, dtype)


def gradients_at_once(network: Network, count: int, n: int, dtype: npt.DTypeLike) -> int:
    """How many of `count` parameter vectors to take together for gradients on n examples, in parts of about one size.

    Each size of part has buffers of its own, so there should be few.

    >>> gradients_at_once(Network((2, 16, 16, 1)), count=3, n=10, dtype=np.float64)
    3
    """
    fitting = _fitting(network, sum(network.widths) + 3 * max(network.sizes[1:]), n, dtype)
    parts = max(1, math.ceil(count / fitting))
    return max(1, math.ceil(count / parts))


def _fitting(network: Network, units: int, n: int, dtype: npt.DTypeLike) -> int:
    size = np.dtype(dtype).itemsize
    activations = units * min(n, CHUNK) * size
    return max(1, min(_MOST_VECTORS, _ACTIVATION_BYTES // activations, _VECTOR_BYTES // (network.size * size)))


# An activation f(z) = scale * s(rate * z) + offset of the logistic function s can be calculated as
# s(u) = 1 / (1 + 2^(-u log2 e)), with scale, rate, offset and log2 e multiplied into the blocks around it. In float64
# that is 1.5 times as fast as tanh; numpy's float32 tanh is faster still.


def _logistic_form(network: Network, thetas: Array) -> Array:
    """thetas (K, P) for a network of the units 1 / (1 + 2^z) with the same outputs; a linear map."""
    assert network.function.logistic_form is not None
    scale, rate, offset = network.function.logistic_form
    converted = thetas.copy()
    blocks = network.layers(converted)
    for block in blocks[1:]:
        weights = block[..., :-1]
        block[..., -1] += offset * weights.sum(axis=-1)
        weights *= scale
    for block in blocks[:-1]:
        block *= -rate * math.log2(math.e)
    return converted


def _forward_in_logistic_form(space: Workspace, inputs: Array) -> None:
    """Outputs z of a theta in logistic form; the hidden units are not those of the network."""
    below = inputs
    for block, hidden, units in zip(space.blocks, space.hidden, space.units, strict=False):
        np.matmul(block, below, hidden)
        np.exp2(hidden, hidden)
        np.add(hidden, 1.0, hidden)
        np.divide(1.0, hidden, hidden)
        below = units
    np.matmul(space.blocks[-1], below, space.z)
