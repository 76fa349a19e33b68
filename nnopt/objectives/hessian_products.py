"""Hessian-vector products by forward-over-backward differentiation (Pearlmutter 1994), several vectors at once.

R{x} is the derivative of x when theta moves along v: one forward and one backward pass over R{z}, R{h}, R{delta}
beside those of the network itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nnopt.objectives.activations import Array
from nnopt.objectives.kernels import chunks, forward, slopes_and_bends
from nnopt.objectives.kernels_scratch import Scratch, cleared_scratch
from nnopt.objectives.losses import Loss
from nnopt.objectives.network import Network

_BYTES = 16 * 1024 * 1024


def hvp_sums(
    network: Network, loss: Loss, theta: Array, vectors: Array, inputs: Array, targets: Array
) -> npt.NDArray[np.float64]:
    """H v for every v in vectors, (P,) or (K, P), with H the Hessian of the sum of the losses over the examples."""
    products = np.zeros(vectors.shape)
    for rows in chunks(inputs.shape[1]):
        linearized = _Linearized(network, loss, theta, inputs[:, rows], targets[:, rows])
        if vectors.ndim == 1:
            products += linearized.times(vectors)
            continue
        per_vector = 8 * 3 * sum(network.sizes[1:]) * (rows.stop - rows.start)
        for part in chunks(len(vectors), max(1, _BYTES // per_vector)):
            products[part] += linearized.times(vectors[part])
    return products


class _Linearized:
    """Everything about theta on a chunk of examples that does not depend on v.

    below: the activations that each layer takes. slopes, bends: f' and f'' per hidden layer (bends is None for
    piecewise linear activations). deltas: derivative of the summed loss in each layer's input z; pulls: in each hidden
    layer's activations. Valid until the next call of a kernel in this thread.
    """

    def __init__(self, network: Network, loss: Loss, theta: Array, inputs: Array, targets: Array) -> None:
        space = forward(network, theta, inputs)
        function = network.function
        self.network = network
        self.loss = loss
        self.scratch: Scratch = cleared_scratch()
        self.weights = [block[:, :-1] for block in network.layers(theta)]
        self.below = [inputs, *space.units]
        self.slopes, self.bends = slopes_and_bends(function, space.hidden, self.scratch)
        self.mean = loss.mean(space.z)
        loss.sums_and_slopes(space.z, targets, space.loss_work)
        self.deltas: list[Array] = [space.z]
        self.pulls: list[Array] = []
        for weights, slope in zip(self.weights[:0:-1], self.slopes[::-1], strict=True):
            pull = np.matmul(weights.T, self.deltas[0], out=self.scratch.take(*slope.shape))
            self.pulls.insert(0, pull)
            self.deltas.insert(0, np.multiply(pull, slope, self.scratch.take(*slope.shape)))

    def times(self, vectors: Array) -> Array:
        """The products (..., P) for vectors (..., P)."""
        lead, n = vectors.shape[:-1], self.mean.shape[-1]
        scratch = self.scratch
        mark = scratch.mark()
        directions = self.network.layers(vectors)
        products: Array = np.empty(vectors.shape)
        product_blocks = self.network.layers(products)

        moved_inputs: list[Array] = []  # R{z}
        moved_units: list[Array] = []  # R{h}
        for layer, direction in enumerate(directions):
            moved = np.matmul(direction, self.below[layer], out=scratch.take(*lead, direction.shape[-2], n))
            if layer:
                moved += np.matmul(self.weights[layer], moved_units[-1], out=scratch.take(*moved.shape))
            moved_inputs.append(moved)
            if layer < len(self.slopes):
                moved_units.append(np.multiply(self.slopes[layer], moved, scratch.take(*moved.shape)))

        moved_delta = self.loss.curvature_times(self.mean, moved_inputs[-1])  # R{delta}
        for layer in range(len(self.slopes), -1, -1):
            block = product_blocks[layer]
            np.matmul(moved_delta, self.below[layer].T, out=block)
            if layer == 0:
                break
            block[..., :-1] += self.deltas[layer] @ moved_units[layer - 1].swapaxes(-1, -2)
            below = np.matmul(self.weights[layer].T, moved_delta, out=scratch.take(*moved_units[layer - 1].shape))
            back = directions[layer][..., :-1].swapaxes(-1, -2)
            below += np.matmul(back, self.deltas[layer], out=scratch.take(*below.shape))
            below *= self.slopes[layer - 1]
            if self.bends is not None:
                bent = np.multiply(self.bends[layer - 1], moved_inputs[layer - 1], moved_inputs[layer - 1])
                bent *= self.pulls[layer - 1]
                below += bent
            moved_delta = below
        scratch.release(mark)
        return products
