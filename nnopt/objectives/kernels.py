"""The forward and backward pass of a network over preallocated buffers: the hot loop of the whole project.

Arrays are features first, examples in the last axis: inputs (D + 1, n) and hidden units carry a constant last row of
ones, so that a block of theta times the units below it is one matrix product. A `Workspace` serves one parameter vector
(lead = ()) or M of them together (lead = (M,)). Everything here is a sum over examples; means and penalties are the
objective's.

Workspaces are kept per thread: two threads may evaluate the same objective at the same time.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nnopt.errors import DataError, ShapeError
from nnopt.objectives.activations import Activation, Array
from nnopt.objectives.kernels_scratch import Scratch
from nnopt.objectives.losses import Loss
from nnopt.objectives.network import Network

#: most examples that are processed at once
CHUNK = 2048
#: buffers that one thread keeps for later calls
_KEPT_BYTES = 64 * 1024 * 1024


class Workspace:
    """Buffers and views for one network, `lead` parameter vectors and n examples.

    theta, gradient: lead + (P,); blocks, gradient_blocks: their layers. hidden: activations per hidden layer, lead +
    (width, n); units: the same with the row of ones. z: outputs, lead + (C, n), overwritten by the loss.

    numpy hands a stack of matrix products to BLAS unless the axis they sum over has length one, as it has where the
    slope of a single output is pulled back: many times slower. A second output of zeros makes it two.

    >>> space = Workspace(Network((3, 5, 1)), lead=(4,), n=10, dtype=np.float64)
    >>> space.theta.shape, [hidden.shape for hidden in space.hidden], space.z.shape
    ((4, 26), [(4, 5, 10)], (4, 1, 10))
    """

    def __init__(self, network: Network, lead: tuple[int, ...], n: int, dtype: npt.DTypeLike) -> None:
        self.function = network.function
        # dot costs half a microsecond less per call than matmul, and knows two axes only
        self.product: Callable[..., Any] = np.matmul if lead else np.dot
        self.theta: Array = np.empty((*lead, network.size), dtype)
        self.gradient: Array = np.empty_like(self.theta)
        self.blocks = network.layers(self.theta)
        self.gradient_blocks = network.layers(self.gradient)
        self.units: list[Array] = [np.ones((*lead, width + 1, n), dtype) for width in network.widths]
        self.hidden = [units[..., :-1, :] for units in self.units]
        self.z: Array = np.empty((*lead, network.outputs, n), dtype)
        last = [self.blocks[-1][..., :-1], self.z]
        self._padded: list[tuple[Array, Array]] = []  # where to copy to, and what
        if lead and network.outputs == 1 and network.widths:
            padded = [np.zeros((*lead, 2, a.shape[-1]), dtype) for a in last]
            self._padded = [(two[..., :1, :], one) for two, one in zip(padded, last, strict=True)]
            last = padded
        count, widest = math.prod(lead), max(network.sizes[1:])
        buffers = [np.empty(count * widest * n, dtype) for _ in range(3)]

        def view(buffer: Array, width: int) -> Array:
            return buffer[: count * width * n].reshape(*lead, width, n)

        self.work = [view(buffers[2], width) for width in network.widths]
        self.loss_work = view(buffers[0], network.outputs), view(buffers[1], network.outputs)
        self.nbytes = sum(a.nbytes for a in [self.theta, self.gradient, *last, self.z, *self.units, *buffers])
        self._forward_steps = list(zip(self.blocks, self.hidden, self.work, self.units, strict=False))
        self.pulls = [view(buffers[layer % 2], width) for layer, width in enumerate(network.widths)]
        weights = [*(block[..., :-1] for block in self.blocks[1:-1]), last[0]]
        # from the last hidden layer down: what is needed to pull the slope through it
        self._backward_steps = [
            (
                self.units[layer].mT,
                self.gradient_blocks[layer + 1],
                np.multiply if lead and above.shape[-2] == 1 else self.product,
                weights[layer].mT,
                above,
                self.pulls[layer],
                self.hidden[layer],
                self.work[layer],
            )
            for layer, above in enumerate([*self.pulls[1:], last[1]][: len(self.pulls)])
        ][::-1]

    def forward(self, inputs: Array) -> None:
        """Hidden activations and outputs z of theta on inputs (D + 1, n)."""
        product, activate = self.product, self.function.forward
        below = inputs
        for block, hidden, work, units in self._forward_steps:
            product(block, below, hidden)
            activate(hidden, hidden, work)
            below = units
        product(self.blocks[-1], below, self.z)

    def backward(self, inputs: Array) -> None:
        """Gradient of the sum over examples, after `forward`; z holds the loss's slope in the outputs.

        inputs: (D + 1, n), or lead + (D + 1, n) if every parameter vector has examples of its own.
        """
        product, chain = self.product, self.function.backward
        for padded, one in self._padded:
            np.copyto(padded, one)
        delta = self.z
        for units, gradient_block, pull, weights, above, below, hidden, work in self._backward_steps:
            product(delta, units, gradient_block)
            pull(weights, above, below)
            chain(below, hidden, work)
            delta = below
        product(delta, inputs.mT, self.gradient_blocks[0])


Kind = TypeVar("Kind", bound=Workspace)


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[Any, ...], Workspace] = OrderedDict()
        self.nbytes = 0


_threads = _PerThread()


def workspace(network: Network, lead: tuple[int, ...], n: int, dtype: npt.DTypeLike = np.float64) -> Workspace:
    """This thread's buffers for such a call, new or kept from an earlier one; valid until the next call.

    >>> workspace(Network((2, 1)), (), 5) is workspace(Network((2, 1)), (), 5)
    True
    """
    return kept_workspace(Workspace, network, lead, n, dtype)


def kept_workspace(kind: type[Kind], *parts: Any) -> Kind:
    """The same for any kind of workspace, made as kind(*parts).

    A thread keeps up to 64 MB of them; the longest unused go first.

    >>> kept_workspace(Workspace, Network((2, 1)), (), 5, np.float32).z.dtype
    dtype('float32')
    """
    mine = _threads
    key = (kind, *parts)
    kept = mine.kept
    found: Any = kept.get(key)
    if found is None:
        found = kept[key] = kind(*parts)
        mine.nbytes += found.nbytes
        while mine.nbytes > _KEPT_BYTES and len(kept) > 1:
            mine.nbytes -= kept.popitem(last=False)[1].nbytes
    else:
        kept.move_to_end(key)
    return found  # type: ignore[no-any-return]


def chunks(total: int, size: int = CHUNK) -> Iterator[slice]:
    """Consecutive slices of `size` that cover 0 .. total - 1; the last one may be shorter.

    >>> list(chunks(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


def forward(network: Network, theta: Array, inputs: Array) -> Workspace:
    """A workspace with hidden activations and outputs of theta (P,) on inputs (D + 1, n), n of at most a chunk.

    >>> forward(Network((1, 1)), np.array([3.0, 1.0]), np.array([[2.0], [1.0]])).z.copy()
    array([[7.]])
    """
    space = workspace(network, (), inputs.shape[1])
    np.copyto(space.theta, theta)
    space.forward(inputs)
    return space


def slopes_and_bends(
    function: Activation, hidden: list[Array], scratch: Scratch
) -> tuple[list[Array], list[Array] | None]:
    """f' and f'' at every hidden layer's activations; None for f'' = 0 (piecewise linear activations).

    >>> from nnopt.objectives.activations import activation
    >>> slopes, bends = slopes_and_bends(activation("relu"), [np.array([[0.0, 2.0]])], Scratch())
    >>> slopes, bends
    ([array([[0., 1.]])], None)
    """
    slopes = [scratch.take(*h.shape) for h in hidden]
    for h, slope in zip(hidden, slopes, strict=True):
        function.slope(h, slope)
    if not function.curved:
        return slopes, None
    bends = [scratch.take(*h.shape) for h in hidden]
    for h, bend in zip(hidden, bends, strict=True):
        mark = scratch.mark()
        function.bend(h, bend, scratch.take(*h.shape))
        scratch.release(mark)
    return slopes, bends


def value_sum(network: Network, loss: Loss, theta: Array, inputs: Array, targets: Array) -> float:
    """Sum of the losses over the examples; theta (P,), inputs (D + 1, N), targets (C, N).

    >>> from nnopt.objectives.losses import loss_function
    >>> inputs, targets = np.array([[2.0, 4.0], [1.0, 1.0]]), np.zeros((1, 2))
    >>> value_sum(Network((1, 1)), loss_function("squared_error"), np.array([1.0, 0.0]), inputs, targets)
    10.0
    """
    total = 0.0
    for part in chunks(inputs.shape[1]):
        space = forward(network, theta, inputs[:, part])
        total += float(loss.sums(space.z, targets[:, part], space.loss_work))
    return total


def value_and_gradient_sum(
    network: Network, loss: Loss, theta: Array, inputs: Array, targets: Array
) -> tuple[float, Array]:
    """Sum of the losses and its gradient (P,); the gradient may be a buffer of this thread: copy or scale it.

    >>> from nnopt.objectives.losses import loss_function
    >>> inputs, targets = np.array([[2.0, 4.0], [1.0, 1.0]]), np.zeros((1, 2))
    >>> value_and_gradient_sum(Network((1, 1)), loss_function("squared_error"), np.array([1.0, 0.0]), inputs, targets)
    (10.0, array([20.,  6.]))
    """
    n = inputs.shape[1]
    if n > CHUNK:
        total, gradient = 0.0, np.zeros(network.size)
        for part in chunks(n):
            value, piece = value_and_gradient_sum(network, loss, theta, inputs[:, part], targets[:, part])
            total += value
            gradient += piece
        return total, gradient
    space = forward(network, theta, inputs)
    value = float(loss.sums_and_slopes(space.z, targets, space.loss_work))
    space.backward(inputs)
    return value, space.gradient


def outputs(network: Network, theta: Array, inputs: Array) -> Array:
    """Outputs (N, C) of theta (P,) on inputs (D + 1, N), as a new array.

    >>> outputs(Network((1, 1)), np.array([3.0, 1.0]), np.array([[2.0, 4.0], [1.0, 1.0]]))
    array([[ 7.],
           [13.]])
    """
    out = np.empty((inputs.shape[1], network.outputs))
    for part in chunks(len(out)):
        out[part] = forward(network, theta, inputs[:, part]).z.T
    return out


def hidden(network: Network, theta: Array, inputs: Array) -> list[Array]:
    """Activations (N, width) of every hidden layer on inputs (D + 1, N), as new arrays.

    >>> hidden(Network((1, 2, 1), "relu"), np.array([1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0]), np.array([[3.0], [1.0]]))
    [array([[3., 0.]])]
    """
    layers = [np.empty((inputs.shape[1], width)) for width in network.widths]
    for part in chunks(inputs.shape[1]):
        space = forward(network, theta, inputs[:, part])
        for out, activations in zip(layers, space.hidden, strict=True):
            out[part] = activations.T
    return layers


def with_ones(X: npt.ArrayLike, network: Network, where: str) -> Array:
    """X (N, D), checked, as the kernels want it: float64 (D + 1, N) with a last row of ones. where: begins errors.

    Raises: ShapeError, DataError for what is not finite.

    >>> with_ones([[2.0], [4.0]], Network((1, 1)), "outputs")
    array([[2., 4.],
           [1., 1.]])
    """
    try:
        given = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{where}: expected X as numbers of shape (N, {network.inputs}): {error}") from None
    if given.ndim != 2 or given.shape[1] != network.inputs:
        raise ShapeError(f"{where}: expected X of shape (N, {network.inputs}) for {network!r}, got {given.shape}")
    inputs = np.ones((network.inputs + 1, len(given)))
    inputs[:-1] = given.T
    bad = ~np.isfinite(inputs).all(axis=0)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{where}: expected finite X, got {given[row].tolist()} at example {row}")
    return inputs
