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
#: what a linearized sum keeps of its passes, at most
_KEPT_BYTES = 64 * 1024 * 1024


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
    space.linearize(loss, theta, inputs, targets)
    return space.times(loss, v, inputs)


class LinearizedSum:
    """v (P,) -> H v (P,) at one theta, bit for bit as `hvp_sum`: what does not depend on v is computed once.

    The passes that every product repeats, forward and back through theta itself, are kept, for as many examples as 64
    MB hold; those of the others are made again for each product. One thread at a time; the product is a buffer that the
    next one overwrites.

    >>> from nnopt.objectives.losses import loss_function
    >>> inputs, targets = np.array([[2.0], [1.0]]), np.zeros((1, 1))
    >>> product = LinearizedSum(Network((1, 1)), loss_function("squared_error"), np.zeros(2), inputs, targets)
    >>> product(np.ones(2)).copy(), product(np.array([1.0, 0.0])).copy()
    (array([6., 3.]), array([4., 2.]))
    """

    def __init__(self, network: Network, loss: Loss, theta: Array, inputs: Array, targets: Array) -> None:
        self._network = network
        self._loss = loss
        self._theta = theta.copy()
        parts = [(inputs[:, part], targets[:, part]) for part in chunks(inputs.shape[1])]
        self._kept: list[tuple[_Tangent, Array]] = []
        nbytes = 0
        for part_inputs, part_targets in parts:
            space = _Tangent(network, part_inputs.shape[1])
            nbytes += space.nbytes
            if nbytes > _KEPT_BYTES:
                break
            space.linearize(loss, self._theta, part_inputs, part_targets)
            self._kept.append((space, part_inputs))
        self._again = parts[len(self._kept) :]

    def __call__(self, v: Array) -> Array:
        if len(self._kept) == 1 and not self._again:
            ((space, inputs),) = self._kept
            return space.times(self._loss, v, inputs)
        product = np.zeros(self._network.size)
        for space, inputs in self._kept:
            product += space.times(self._loss, v, inputs)
        for inputs, targets in self._again:
            product += hvp_sum(self._network, self._loss, self._theta, v, inputs, targets)
        return product


class _Tangent(Workspace):
    """A workspace that knows the network at one theta (`linearize`) and moves it along directions (P,) (`times`).

    slopes, bends: f' and f'' per hidden layer (no bends for piecewise linear activations). pulls: derivative of the
    summed loss in each hidden layer's activations; deltas: in its input. moved: R{z} per layer; moved_units: R{h}, with
    a last row of zeros for the row of ones; moved_outputs: R{z} at the output. gradient: R{gradient} = H v.
    """

    def __init__(self, network: Network, n: int) -> None:
        super().__init__(network, (), n, np.float64)
        widths = network.widths
        self.direction: Array = np.empty(network.size)
        self.moved: list[Array] = [np.empty((width, n)) for width in network.sizes[1:]]
        self.moved_units: list[Array] = [np.zeros((width + 1, n)) for width in widths]
        self.moved_outputs = self.moved[-1]
        self.slopes, self.pulls, self.deltas = ([np.empty((width, n)) for width in widths] for _ in range(3))
        self.bends: list[Array] = [np.empty((width, n)) for width in widths] if self.function.curved else []
        moved_pulls, part = np.empty((2, max(network.sizes[1:]) * n)), np.empty(max(network.sizes[1:]) * n)
        block_part = np.empty(network.size)
        at_theta = [*self.slopes, *self.pulls, *self.deltas, *self.bends]
        more = [*self.moved, *self.moved_units, *at_theta, self.direction, moved_pulls, part, block_part]
        self.nbytes += sum(a.nbytes for a in more)
        parts = [part[: width * n].reshape(width, n) for width in network.sizes[1:]]
        directions, block_parts = network.layers(self.direction), network.layers(block_part)
        self._first_direction = directions[0]
        moved_hidden = [units[:-1] for units in self.moved_units]
        self._slope_steps = list(zip(self.slopes, self.moved, moved_hidden, strict=False))
        self._move_steps = list(
            zip(directions[1:], self.units, self.blocks[1:], self.moved_units, self.moved[1:], parts[1:], strict=True)
        )
        above = [*self.deltas[1:], self.z][: len(widths)]
        self._theta_steps = [
            (
                (self.blocks[layer + 1][:, :-1].T, above[layer], self.pulls[layer], self.slopes[layer]),
                (self.deltas[layer], self.bends[layer] if self.bends else None),
                (self.hidden[layer], self.work[layer]),
            )
            for layer in range(len(widths))
        ][::-1]
        self._pull_steps = [
            (
                (self.units[layer].T, self.moved_units[layer].T, above[layer]),
                (self.gradient_blocks[layer + 1], block_parts[layer + 1]),
                (self.blocks[layer + 1][:, :-1].T, directions[layer + 1][:, :-1].T),
                (moved_pulls[layer % 2, : width * n].reshape(width, n), parts[layer]),
                (self.slopes[layer], self.bends[layer] if self.bends else None, self.pulls[layer], self.moved[layer]),
            )
            for layer, width in enumerate(widths)
        ][::-1]

    def linearize(self, loss: Loss, theta: Array, inputs: Array, targets: Array) -> None:
        """Whatever does not depend on the direction: the passes at theta itself."""
        np.copyto(self.theta, theta)
        self.forward(inputs)
        self.output_bend = loss.bend(self.z)
        loss.sums_and_slopes(self.z, targets, self.loss_work)
        slope_of, bend_of = self.function.slope, self.function.bend
        for (weights, above, pull, slope), (delta, bend), (hidden, work) in self._theta_steps:
            np.dot(weights, above, pull)
            slope_of(hidden, slope)
            np.multiply(pull, slope, delta)
            if bend is not None:
                bend_of(hidden, bend, work)

    def times(self, loss: Loss, v: Array, inputs: Array) -> Array:
        """H v, after `linearize` with the same loss and inputs: a buffer."""
        np.copyto(self.direction, v)
        self._move(inputs)
        self._pull_back(loss.curvature_times(self.output_bend, self.moved_outputs), inputs)
        return self.gradient

    def _move(self, inputs: Array) -> None:
        """R{z} and R{h} of every layer."""
        np.dot(self._first_direction, inputs, self.moved[0])
        steps = zip(self._slope_steps, self._move_steps, strict=True)
        for (slope, moved, moved_hidden), (direction, units, block, moved_units, above, part) in steps:
            np.multiply(slope, moved, moved_hidden)
            np.dot(direction, units, above)
            np.dot(block, moved_units, part)
            np.add(above, part, above)

    def _pull_back(self, moved_delta: Array, inputs: Array) -> None:
        """R{gradient}, after `_move`. moved_delta: R of the loss's slope in the outputs."""
        for (units, moved_units, delta), blocks, weights, pulls, (slope, bend, pull, moved) in self._pull_steps:
            block, block_part = blocks
            np.dot(moved_delta, units, block)
            np.dot(delta, moved_units, block_part)
            np.add(block, block_part, block)
            moved_pull, part = pulls
            np.dot(weights[0], moved_delta, moved_pull)
            np.dot(weights[1], delta, part)
            np.add(moved_pull, part, moved_pull)
            np.multiply(moved_pull, slope, moved_pull)
            if bend is not None:
                np.multiply(bend, moved, part)
                np.multiply(part, pull, part)
                np.add(moved_pull, part, moved_pull)
            moved_delta = moved_pull
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
        self.output_bend = loss.bend(space.z)
        loss.sums_and_slopes(space.z, targets, space.loss_work)
        self.deltas: list[Array] = [space.z]
        self.pulls: list[Array] = []
        for weights, slope in zip(self.weights[:0:-1], self.slopes[::-1], strict=True):
            pull = np.matmul(weights.T, self.deltas[0], out=self.scratch.take(*slope.shape))
            self.pulls.insert(0, pull)
            self.deltas.insert(0, np.multiply(pull, slope, self.scratch.take(*slope.shape)))

    def times(self, vectors: Array) -> Array:
        """The products (..., P) for vectors (..., P)."""
        lead, n = vectors.shape[:-1], self.output_bend.shape[-1]
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

        moved_delta = self.loss.curvature_times(self.output_bend, moved_inputs[-1])  # R{delta}
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
