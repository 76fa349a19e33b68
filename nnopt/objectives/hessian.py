"""The exact Hessian and the Gauss-Newton matrix of a network, by a backward recursion per example.

For each example let D[l, m] (fan_out_l, fan_out_m) be the part of the second derivative of the loss in the layer
inputs z^l and z^m that comes from the curvature above them. At the output D[L, L] is the loss's own curvature; below,

    D[l, m-1]   = (D[l, m] W_m) diag(f'_(m-1))                                              (m <= l)
    D[l-1, l-1] = diag(f'_(l-1)) W_l^T D[l, l-1] + diag(f''_(l-1) * W_l^T delta_l)

and, as z^l = W_l a^(l-1) + b_l, with a the activations including the one that multiplies the bias,

    d2 loss / d W_l[k, i] d W_m[p, j] = D[l, m][k, p] a^(l-1)_i a^(m-1)_j
                                        + delta_l[k] (d a^(l-1)_i / d z^m_p) a^(m-1)_j

where the second term exists for m < l. Summing over examples is one matrix product per pair of layers. Without f'' and
the second term it is the Gauss-Newton matrix, sum of J^T H_out J (Schraudolph 2002). For l = m it is the recursion of
Botev et al. (2017). Arrays keep examples last.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nnopt.errors import UnsupportedError
from nnopt.objectives.activations import Array
from nnopt.objectives.kernels import CHUNK, chunks, forward, slopes_and_bends
from nnopt.objectives.kernels_scratch import Scratch, cleared_scratch
from nnopt.objectives.losses import Loss
from nnopt.objectives.network import Network

#: largest matrix that is made
LIMIT_BYTES = 2_000_000_000
_CHUNK_BYTES = 16 * 1024 * 1024
_SPREAD_BYTES = 1024 * 1024


def hessian_sum(
    network: Network, loss: Loss, theta: Array, inputs: Array, targets: Array, gauss_newton: bool = False
) -> npt.NDArray[np.float64]:
    """Hessian (P, P) of the sum of the losses over the examples, or its Gauss-Newton part.

    theta (P,); inputs (D + 1, N) with a last row of ones; targets (C, N) as `loss.encode` gives them.

    Raises: UnsupportedError if the matrix would take more than 2 GB.

    >>> from nnopt.objectives.losses import loss_function
    >>> inputs, targets = np.array([[2.0], [1.0]]), np.zeros((1, 1))
    >>> hessian_sum(Network((1, 1)), loss_function("squared_error"), np.zeros(2), inputs, targets)
    array([[4., 2.],
           [2., 1.]])
    """
    needed = 8 * network.size**2
    if needed > LIMIT_BYTES:
        raise UnsupportedError(
            f"the Hessian of {network.size:,} parameters would take {needed / 1e9:.1f} GB, "
            f"expected at most {LIMIT_BYTES / 1e9:.0f} GB; methods with Hessian-vector products (hvp) do not need it"
        )
    matrix = np.zeros((network.size, network.size))
    for part in chunks(inputs.shape[1], _examples_at_once(network)):
        _add_chunk(matrix, network, loss, theta, inputs[:, part], targets[:, part], gauss_newton)
    for layer, block in enumerate(network.blocks):
        for other in network.blocks[:layer]:
            matrix[other, block] = matrix[block, other].T
    return matrix


def _examples_at_once(network: Network) -> int:
    """So many that the largest array of a pair of layers stays small."""
    widest = max(*network.sizes[:-1], network.outputs) + 1
    return max(16, min(CHUNK, _CHUNK_BYTES // (8 * widest**2)))


def _add_chunk(
    matrix: Array, network: Network, loss: Loss, theta: Array, inputs: Array, targets: Array, gauss_newton: bool
) -> None:
    """Add this chunk's blocks on and below the diagonal."""
    n = inputs.shape[1]
    space = forward(network, theta, inputs)
    scratch = cleared_scratch()
    function = network.function
    slopes, bends = slopes_and_bends(function, space.hidden, scratch)
    below = [inputs, *space.units]
    weights = [block[:, :-1] for block in network.layers(theta)]
    curvature = loss.curvature(loss.bend(space.z))
    loss.sums_and_slopes(space.z, targets, space.loss_work)
    delta: Array = space.z
    for layer in range(len(weights) - 1, -1, -1):
        _add_diagonal(_block(matrix, network, layer, layer), curvature, below[layer], scratch)
        if layer == 0:
            break
        nearest = coupling = _pulled(curvature, weights[layer], slopes[layer - 1], scratch)
        reach: Array | None = None
        for other in range(layer - 1, -1, -1):
            if other < layer - 1:
                coupling = _pulled(coupling, weights[other + 1], slopes[other], scratch)
            block = _block(matrix, network, layer, other)
            _add_pair(block, coupling, below[layer], below[other], scratch)
            if gauss_newton:
                continue
            if other == layer - 1:
                _add_own_unit(block, delta, slopes[other], below[other], scratch)
                continue
            if reach is None:
                reach = scratch.take(len(slopes[other + 1]), len(slopes[other]), n)
                np.multiply(slopes[other + 1][:, None], weights[other + 1][:, :, None], reach)
                reach *= slopes[other]
            else:
                reach = _pulled(reach, weights[other + 1], slopes[other], scratch)
            _add_through(block, delta, reach, below[other], scratch)
        slope = slopes[layer - 1]
        width = len(slope)
        curvature = scratch.take(width, width, n)
        np.matmul(weights[layer].T, nearest.reshape(len(nearest), -1), out=curvature.reshape(width, -1))
        curvature *= slope[:, None]
        pull = weights[layer].T @ delta
        if bends is not None and not gauss_newton:
            np.einsum("iin->in", curvature)[...] += bends[layer - 1] * pull
        delta = pull * slope


def _block(matrix: Array, network: Network, layer: int, other: int) -> Array:
    """View [k, i, p, j] of the block of two layers: unit and input of the one, unit and input of the other."""
    part = matrix[network.blocks[layer], network.blocks[other]]
    sizes = network.sizes
    return part.reshape(sizes[layer + 1], sizes[layer] + 1, sizes[other + 1], sizes[other] + 1)


def _pulled(coupling: Array, weights: Array, slope: Array, scratch: Scratch) -> Array:
    """(coupling[k] W) diag(slope) per example: one layer further down on the second axis."""
    out = scratch.take(len(coupling), len(slope), slope.shape[1])
    np.matmul(weights.T, coupling, out=out)
    out *= slope
    return out


def _add_diagonal(block: Array, curvature: Array, below: Array, scratch: Scratch) -> None:
    """block[k, i, p, j] += sum of curvature[k, p] a[i] a[j]; both factors are symmetric: half of each is enough."""
    units, columns, n = len(curvature), len(below), below.shape[1]
    mark = scratch.mark()
    (first, second), spread = _packing(units)
    (left, right), spread_below = _packing(columns)
    packed, products = scratch.take(len(first), n), scratch.take(len(left), n)
    other = scratch.take(len(left), n)
    curvature.reshape(-1, n).take(first * units + second, 0, packed, "clip")
    below.take(left, 0, products, "clip")
    below.take(right, 0, other, "clip")
    products *= other
    halves = np.matmul(packed, products.T, out=scratch.take(len(first), len(left)))
    parts = scratch.mark()
    for part in chunks(units, _units_at_once(units * columns**2)):
        rows = spread[part.start * units : part.stop * units]
        some = halves.take(rows, 0, scratch.take(len(rows), len(left)), "clip")
        full = some.take(spread_below, 1, scratch.take(len(rows), columns**2), "clip")
        block[part] += full.reshape(-1, units, columns, columns).transpose(0, 2, 1, 3)
        scratch.release(parts)
    scratch.release(mark)


@lru_cache(maxsize=64)
def _packing(size: int) -> tuple[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], npt.NDArray[np.intp]]:
    """Rows and columns of a symmetric matrix's upper triangle, and for each of its entries the place in there."""
    rows, columns = np.triu_indices(size)
    place = np.empty((size, size), dtype=np.intp)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return (rows, columns), place.ravel()


def _units_at_once(entries: int) -> int:
    """How many units' rows of a block, of so many entries each, to spread at once without leaving the cache."""
    return max(1, _SPREAD_BYTES // (8 * entries))


def _add_pair(block: Array, coupling: Array, upper: Array, lower: Array, scratch: Scratch) -> None:
    """block[k, i, p, j] += sum of coupling[k, p] a[i] b[j]."""
    units, other_units, n = coupling.shape
    mark = scratch.mark()
    products = scratch.take(len(upper), len(lower), n)
    np.multiply(upper[:, None], lower, products)
    parts = scratch.mark()
    for part in chunks(units, _units_at_once(other_units * len(upper) * len(lower))):
        rows = coupling[part].reshape(-1, n)
        sums = np.matmul(rows, products.reshape(-1, n).T, out=scratch.take(len(rows), len(upper) * len(lower)))
        block[part] += sums.reshape(-1, other_units, len(upper), len(lower)).transpose(0, 2, 1, 3)
        scratch.release(parts)
    scratch.release(mark)


def _add_own_unit(block: Array, delta: Array, slope: Array, lower: Array, scratch: Scratch) -> None:
    """block[k, i, i, j] += sum of delta[k] slope[i] b[j]: unit i of the layer below depends on its own input only."""
    width, n = slope.shape
    mark = scratch.mark()
    products = scratch.take(len(delta), width, n)
    np.multiply(delta[:, None], slope, products)
    sums = np.matmul(products.reshape(-1, n), lower.T, out=scratch.take(len(delta) * width, len(lower)))
    np.einsum("kiij->kij", block[:, :width])[...] += sums.reshape(len(delta), width, len(lower))
    scratch.release(mark)


def _add_through(block: Array, delta: Array, reach: Array, lower: Array, scratch: Scratch) -> None:
    """block[k, i, p, j] += sum of delta[k] reach[i, p] b[j], for layers that are not neighbours."""
    units, other_units, n = reach.shape
    mark = scratch.mark()
    products = scratch.take(len(delta), len(lower), n)
    np.multiply(delta[:, None], lower, products)
    sums = scratch.take(len(delta) * len(lower), units * other_units)
    np.matmul(products.reshape(-1, n), reach.reshape(-1, n).T, out=sums)
    block[:, :units] += sums.reshape(len(delta), len(lower), units, other_units).transpose(0, 2, 3, 1)
    scratch.release(mark)
