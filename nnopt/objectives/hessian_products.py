"""Hessian-vector products by forward-over-backward differentiation (Pearlmutter 1994), several vectors at once.

R{x} is the derivative of x when theta moves along v: one forward and one backward pass over R{z}, R{h}, R{delta}
beside those of the network itself. A single vector has a path of its own over preallocated buffers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nnopt.objectives.activations import Array
from nnopt.objectives.kernels import CHUNK, Workspace, chunks, forward, kept_workspace, slopes_and_bends
from nnopt.objectives.kernels_scratch import Scratch, cleared_scratch
from nnopt.objectives.losses import Loss
from nnopt.objectives.network import Network

_BYTES = 16 * 1024 * 1024


def hvp_sum(network: Network, loss: Loss, theta: Array, v: Array, inputs: Array, targets: Array) -> Array:
    """H v for one v (P,), as `hvp_sums`; the product may be a buffer of this thread: copy or scale it.

    >>> from nnopt.objectives.losses import loss_function
    >>> inputs, targets = np.array([[2.0], [1.0]]), np.zeros((1, 1))
    >>> hvp_sum(Network((1, 1)), loss_function("squared_error"), np.zeros(2), np.ones(2), inputs, targets).copy()
    array([6., 3.])
    """
    n = inputs.shape[1]
    if n > CHUNK:
        product = np.zeros(network.size)
        for part in chunks(n):
            product += hvp_sum(network, loss, theta, v, inputs[:, part], targets[:, part])
        return product
    space = kept_workspace(_Tangent, network, n)
    np.copyto(space.theta, theta)
    np.copyto(space.direction, v)
    space.forward(inputs)
    space.move(inputs)
    moved_slope = loss.curvature_times(loss.mean(space.z), space.moved_outputs)
    loss.sums_and_slopes(space.z, targets, space.loss_work)
    space.pull_back(inputs, moved_slope)
    return space.gradient


class _Tangent(Workspace):
    """A workspace that moves theta along one direction (P,); its gradient becomes R{gradient} = H v.

    moved: R{z} per hidden layer; moved_units: R{h}, with a last row of zeros for the row of ones; moved_outputs: R{z}
    at the output. slopes: f' per hidden layer.
    """

    def __init__(self, network: Network, n: int) -> None:
        super().__init__(network, (), n, np.float64)
        self.direction: Array = np.empty(network.size)
        self.moved: list[Array] = [np.empty((width, n)) for width in network.sizes[1:]]
        self.slopes: list[Array] = [np.empty((width, n)) for width in network.widths]
        self.moved_units: list[Array] = [np.zeros((width + 1, n)) for width in network.widths]
        self.moved_outputs = self.moved[-1]
        widest = max(network.sizes[1:])
        pulls, part, block_part = np.empty((2, widest * n)), np.empty(widest * n), np.empty(network.size)
        more = [*self.moved, *self.slopes, *self.moved_units, self.direction, pulls, part, block_part]
        self.nbytes += sum(a.nbytes for a in more)
        parts = [part[: width * n].reshape(width, n) for width in network.sizes[1:]]
        directions, block_parts = network.layers(self.direction), network.layers(block_part)
        self._first_direction = directions[0]
        moved_hidden = [units[:-1] for units in self.moved_units]
        self._slope_steps = list(zip(self.hidden, self.slopes, self.moved, moved_hidden, strict=False))
        self._move_steps = list(
            zip(directions[1:], self.units, self.blocks[1:], self.moved_units, self.moved[1:], parts[1:], strict=True)
        )
        self._pull_steps = [
            (
                (self.units[layer].T, self.moved_units[layer].T),
                (self.gradient_blocks[layer + 1], block_parts[layer + 1]),
                (self.blocks[layer + 1][:, :-1].T, directions[layer + 1][:, :-1].T),
                (self.pulls[layer], pulls[layer % 2, : width * n].reshape(width, n)),
                (self.hidden[layer], self.slopes[layer], self.moved[layer]),
                (parts[layer], self.work[layer]),
            )
            for layer, width in enumerate(network.widths)
        ][::-1]

    def move(self, inputs: Array) -> None:
        """R{z} and R{h} of every layer, after `forward`."""
        slope_of = self.function.slope
        np.dot(self._first_direction, inputs, self.moved[0])
        steps = zip(self._slope_steps, self._move_steps, strict=True)
        for (hidden, slope, moved, moved_hidden), (direction, units, block, moved_units, above, part) in steps:
            slope_of(hidden, slope)
            np.multiply(slope, moved, moved_hidden)
            np.dot(direction, units, above)
            np.dot(block, moved_units, part)
            np.add(above, part, above)

    def pull_back(self, inputs: Array, moved_slope: Array) -> None:
        """R{gradient}, after `move`; z holds the loss's slope in the outputs, moved_slope its R."""
        bend_of = self.function.bend if self.function.curved else None
        delta, moved_delta = self.z, moved_slope
        for units, blocks, weights, pulls, (hidden, slope, moved), (part, work) in self._pull_steps:
            block, block_part = blocks
            np.dot(moved_delta, units[0], block)
            np.dot(delta, units[1], block_part)
            np.add(block, block_part, block)
            pull, moved_pull = pulls
            np.dot(weights[0], delta, pull)
            np.dot(weights[0], moved_delta, moved_pull)
            np.dot(weights[1], delta, part)
            np.add(moved_pull, part, moved_pull)
            np.multiply(moved_pull, slope, moved_pull)
            if bend_of is not None:
                bend_of(hidden, part, work)
                np.multiply(part, moved, part)
                np.multiply(part, pull, part)
                np.add(moved_pull, part, moved_pull)
            np.multiply(pull, slope, pull)
            delta, moved_delta = pull, moved_pull
        np.dot(moved_delta, inputs.T, self.gradient_blocks[0])


def hvp_sums(
    network: Network, loss: Loss, theta: Array, vectors: Array, inputs: Array, targets: Array
) -> npt.NDArray[np.float64]:
    """H v for every v in vectors (K, P), as (K, P), with H the Hessian of the sum of the losses over the examples.

    theta (P,); inputs (D + 1, N) with a last row of ones; targets (C, N) as `loss.encode` gives them.

    >>> from nnopt.objectives.losses import loss_function
    >>> inputs, targets = np.array([[2.0], [1.0]]), np.zeros((1, 1))
    >>> hvp_sums(Network((1, 1)), loss_function("squared_error"), np.zeros(2), np.eye(2), inputs, targets)
    array([[4., 2.],
           [2., 1.]])
    """
    products = np.zeros(vectors.shape)
    for rows in chunks(inputs.shape[1]):
        linearized = _Linearized(network, loss, theta, inputs[:, rows], targets[:, rows])
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
