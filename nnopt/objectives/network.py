"""Multilayer perceptrons: what the flat parameter vector theta means, and where it starts.

theta (P,) holds one row-major block (fan_out, fan_in + 1) per layer; a row is one unit: its incoming weights, then its
bias. A block times the activations below it, examples in columns and a row of ones at the end, is the layer's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from nnopt.errors import SettingsError, ShapeError
from nnopt.objectives.activations import Activation, Array, activation
from nnopt.settings import Registry, Settings, at_least


class Initial:
    """Where training starts: how a layer's weights are drawn. Biases start at zero.

    A field of type `Initial` is decoded through `registry`.

    >>> Initial.registry.get("normal")(std=0.5)
    Normal(std=0.5)
    """

    registry: ClassVar[Registry[Any]] = Registry("initial")

    def draw(self, random: np.random.Generator, fan_in: int, fan_out: int) -> Array:
        """Weights (fan_out, fan_in) of one layer, without biases."""
        raise NotImplementedError


@Initial.registry.register
class GlorotUniform(Initial, Settings, frozen=True, tag="glorot_uniform"):
    """Uniform in +-sqrt(6 / (fan_in + fan_out))        (Glorot & Bengio 2010)

    >>> weights = GlorotUniform().draw(np.random.default_rng(0), fan_in=20, fan_out=4)
    >>> weights.shape, bool(0.4 < np.abs(weights).max() < 0.5)
    ((4, 20), True)
    """

    def draw(self, random: np.random.Generator, fan_in: int, fan_out: int) -> Array:
        limit = np.sqrt(6.0 / (fan_in + fan_out))
        return random.uniform(-limit, limit, (fan_out, fan_in))


@Initial.registry.register
class HeNormal(Initial, Settings, frozen=True, tag="he_normal"):
    """Normal with standard deviation sqrt(2 / fan_in), for relu        (He et al. 2015)

    >>> weights = HeNormal().draw(np.random.default_rng(0), fan_in=8, fan_out=1000)
    >>> weights.shape, round(float(weights.std()), 1)
    ((1000, 8), 0.5)
    """

    def draw(self, random: np.random.Generator, fan_in: int, fan_out: int) -> Array:
        return random.normal(0.0, np.sqrt(2.0 / fan_in), (fan_out, fan_in))


@Initial.registry.register
class Normal(Initial, Settings, frozen=True, tag="normal"):
    """Normal with a standard deviation of your choice; a tiny one starts next to the saddle at zero.

    std: standard deviation of every weight, >= 0.

    >>> weights = Normal(std=0.1).draw(np.random.default_rng(0), fan_in=8, fan_out=1000)
    >>> round(float(weights.std()), 2)
    0.1
    """

    std: Annotated[float, at_least(0, label="standard deviation", log=True, slider=(1e-3, 3.0))] = 0.1

    def draw(self, random: np.random.Generator, fan_in: int, fan_out: int) -> Array:
        return random.normal(0.0, self.std, (fan_out, fan_in))


@Initial.registry.register
class Zeros(Initial, Settings, frozen=True, tag="zeros"):
    """All weights zero: a saddle, from which gradient descent never finds its way.

    With hidden layers and f(0) = 0 (tanh, relu, leaky_relu, identity) no weight ever moves; with the others (sigmoid,
    softplus) they do, but all units of a layer stay the same.

    >>> from nnopt.objectives.objective import NetworkObjective
    >>> net = Network((1, 2, 1), "tanh")
    >>> NetworkObjective(net, [[1.0], [2.0]], [0, 1]).gradient(net.initial(0, "zeros")).any().item()
    False
    """

    def draw(self, random: np.random.Generator, fan_in: int, fan_out: int) -> Array:
        return np.zeros((fan_out, fan_in))


class Network:
    """A multilayer perceptron: layers z = W h + b, `activation` on the hidden ones, identity at the output.

    sizes: inputs, widths of the hidden layers (none is allowed: a linear model), outputs.
    activation: a name of ACTIVATIONS.
    size: P, the number of parameters. blocks: slice of theta per layer. weight_mask (P,): 1 for weights, 0 for biases.
    function: the `Activation`.

    Immutable; equal and hashed by sizes and activation. Raises: SettingsError, UnknownNameError.

    >>> net = Network((2, 3, 1), activation="tanh")
    >>> net.size, net.widths, [block.shape for block in net.layers(net.initial(seed=0))]
    (13, (3,), [(3, 3), (1, 4)])
    """

    __slots__ = ("_hash", "activation", "blocks", "function", "size", "sizes", "weight_mask")

    sizes: tuple[int, ...]
    activation: str
    function: Activation
    size: int
    blocks: tuple[slice, ...]
    weight_mask: Array

    def __init__(self, sizes: Sequence[int] = (2, 16, 16, 1), activation: str = "tanh") -> None:
        self.__setstate__((_checked_sizes(sizes), activation))

    def __getstate__(self) -> tuple[tuple[int, ...], str]:
        return self.sizes, self.activation

    def __setstate__(self, state: tuple[tuple[int, ...], str]) -> None:
        sizes, name = state
        lengths = [fan_out * (fan_in + 1) for fan_in, fan_out in pairwise(sizes)]
        ends = np.cumsum(lengths).tolist()
        put = object.__setattr__
        put(self, "sizes", sizes)
        put(self, "activation", name)
        put(self, "function", activation(name))
        put(self, "size", ends[-1])
        put(self, "blocks", tuple(slice(end - n, end) for n, end in zip(lengths, ends, strict=True)))
        put(self, "_hash", hash(state))
        mask = np.ones(ends[-1])
        put(self, "weight_mask", mask)
        for block in self.layers(mask):
            block[:, -1] = 0.0
        mask.flags.writeable = False

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Network is immutable: make a new one to change {name!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and other.__getstate__() == self.__getstate__()

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined, no-any-return]

    def __repr__(self) -> str:
        return f"Network(sizes={self.sizes}, activation={self.activation!r})"

    @property
    def inputs(self) -> int:
        """Number of inputs D."""
        return self.sizes[0]

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.sizes[-1]

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return self.sizes[1:-1]

    def layers(self, theta: Array) -> list[Array]:
        """Views of theta (..., P), one block (..., fan_out, fan_in + 1) per layer; the last column holds the biases.

        Raises: ShapeError.
        """
        if theta.shape[-1:] != (self.size,):
            raise ShapeError(f"{self!r}: expected theta of shape ({self.size},), got {theta.shape}")
        lead = theta.shape[:-1]
        shapes = pairwise(self.sizes)
        return [
            theta[..., block].reshape(*lead, fan_out, fan_in + 1)
            for block, (fan_in, fan_out) in zip(self.blocks, shapes, strict=True)
        ]

    def initial(self, seed: int, scheme: str | Initial = "glorot_uniform") -> npt.NDArray[np.float64]:
        """A starting point theta (P,), the same for the same seed.

        scheme: an `Initial` or the name of one. Raises: UnknownNameError, SettingsError.
        """
        chosen = Initial.registry.get(scheme)() if isinstance(scheme, str) else scheme
        if not isinstance(chosen, Initial):
            raise SettingsError(f"Network.initial: expected the name of a scheme or an Initial, got {scheme!r}")
        if not hasattr(seed, "__index__") or seed < 0:
            raise SettingsError(f"Network.initial: expected a seed that is a whole number >= 0, got {seed!r}")
        random = np.random.default_rng(seed)
        theta = np.zeros(self.size)
        for block in self.layers(theta):
            fan_out, columns = block.shape
            block[:, :-1] = chosen.draw(random, columns - 1, fan_out)
        return theta


def _checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    try:
        whole = tuple(int(size) for size in sizes)
        valid = len(whole) >= 2 and all(a == b and a >= 1 for a, b in zip(whole, sizes, strict=True))
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise SettingsError(
            f"Network: expected sizes as two or more whole numbers >= 1 (inputs, hidden widths, outputs), got {sizes!r}"
        )
    return whole
