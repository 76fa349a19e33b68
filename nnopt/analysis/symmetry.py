"""Symmetries of a network: hidden units change places or signs, theta moves far, the outputs stay.

Hidden layers count from 0. Units of a layer may be permuted. Where f(-z) = c - f(z) (c = 0 for the odd activations, 1
for the sigmoid), each of them may also be flipped, as v f(w x + b) = c v - v f(-w x - b): incoming weights, bias and
outgoing weights change their sign, and c v is added to the biases of the next layer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import generator
from nnopt.errors import SettingsError, ShapeError, UnsupportedError
from nnopt.objectives.network import Network
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]
Order: TypeAlias = npt.NDArray[np.intp]

#: named powers of ten for `Equivalents.words`
_WORDS = ((12, "trillion"), (9, "billion"), (6, "million"))


@dataclass(frozen=True, eq=False, repr=False)
class Symmetry(Shown):
    """A map theta -> theta' that leaves every output of the network as it is.

    orders: per hidden layer of n units an (n,) permutation; unit i of theta' is unit orders[layer][i] of theta, flipped
    where signs[layer][i] is -1. signs: per hidden layer (n,) of +1 and -1.

    Raises: SettingsError for orders or signs that are none, UnsupportedError for a flip where the activation has none.

    >>> network = Network((2, 3, 1))
    >>> swap = Symmetry(network, ((1, 0, 2),), ((1, 1, -1),))
    >>> theta = network.initial(0)
    >>> bool(np.array_equal(swap.inverse()(swap(theta)), theta))
    True
    """

    network: Network
    orders: tuple[Order, ...]
    signs: tuple[Array, ...]

    def __post_init__(self) -> None:
        widths = self.network.widths
        if len(self.orders) != len(widths) or len(self.signs) != len(widths):
            raise SettingsError(
                f"Symmetry: expected {len(widths)} orders and signs, one per hidden layer of {self.network!r}, "
                f"got {len(self.orders)} and {len(self.signs)}"
            )
        orders = tuple(_order(given, width) for given, width in zip(self.orders, widths, strict=True))
        signs = tuple(_signs(given, width) for given, width in zip(self.signs, widths, strict=True))
        if self.network.function.mirror is None and any((sign < 0).any() for sign in signs):
            raise _no_flip(self.network)
        object.__setattr__(self, "orders", orders)
        object.__setattr__(self, "signs", signs)

    def __call__(self, theta: npt.ArrayLike) -> Array:
        """theta' as a new array; theta (P,) or any (..., P). Numbers are moved and negated, nothing else; but for the
        biases above flipped sigmoid units, to which their outgoing weights are added. Raises: ShapeError.
        """
        mirror = self.network.function.mirror
        moved = np.array(theta, dtype=np.float64)
        blocks = self.network.layers(moved)
        for layer, (order, sign) in enumerate(zip(self.orders, self.signs, strict=True)):
            block, above = blocks[layer], blocks[layer + 1]
            block[...] = block[..., order, :] * sign[:, None]
            outgoing = above[..., order]
            if mirror and (sign < 0).any():
                above[..., -1] += mirror * outgoing[..., sign < 0].sum(axis=-1)
            above[..., :-1] = outgoing * sign
        return moved

    def inverse(self) -> Symmetry:
        """The symmetry that undoes this one; bit for bit where no biases were added to."""
        back = tuple(np.argsort(order) for order in self.orders)
        return Symmetry(self.network, back, tuple(s[o] for s, o in zip(self.signs, back, strict=True)))

    def then(self, other: Symmetry) -> Symmetry:
        """This one first, `other` after it. Raises ShapeError if it belongs to another network."""
        if other.network != self.network:
            raise ShapeError(f"Symmetry.then: expected one of {self.network!r}, got one of {other.network!r}")
        pairs = list(zip(self.orders, self.signs, other.orders, other.signs, strict=True))
        return Symmetry(self.network, tuple(o[p] for o, _, p, _ in pairs), tuple(s[p] * t for _, s, p, t in pairs))

    @property
    def moved(self) -> int:
        """How many hidden units change place or sign."""
        changed = [
            (order != np.arange(len(order))) | (sign < 0) for order, sign in zip(self.orders, self.signs, strict=True)
        ]
        return int(sum(units.sum() for units in changed))


def identity(network: Network) -> Symmetry:
    """The symmetry that changes nothing.

    >>> identity(Network((2, 3, 1))).moved
    0
    """
    return Symmetry(network, tuple(np.arange(n) for n in network.widths), tuple(np.ones(n) for n in network.widths))


def random_symmetry(network: Network, seed: int) -> Symmetry:
    """One drawn uniformly from all of them; units are flipped only where the activation allows it.

    >>> random_symmetry(Network((2, 8, 1), "relu"), seed=1).signs[0].min()
    np.float64(1.0)

    Raises: SettingsError for a seed that is none.
    """
    random = generator(seed)
    orders = tuple(random.permutation(n) for n in network.widths)
    flips = network.function.mirror is not None
    signs = tuple(random.choice([-1.0, 1.0], n) if flips else np.ones(n) for n in network.widths)
    return Symmetry(network, orders, signs)


def every_symmetry(network: Network) -> Iterator[Symmetry]:
    """All of them, one after the other: `equivalent_solutions(network).count` many, so for tiny networks only.

    >>> sum(1 for _ in every_symmetry(Network((1, 3, 1))))
    48
    """
    widths = network.widths
    flips = (1.0,) if network.function.mirror is None else (1.0, -1.0)
    for orders in itertools.product(*(itertools.permutations(range(n)) for n in widths)):
        for signs in itertools.product(*(itertools.product(flips, repeat=n) for n in widths)):
            yield Symmetry(network, orders, signs)  # type: ignore[arg-type]


def permute_units(network: Network, theta: npt.ArrayLike, layer: int, order: npt.ArrayLike) -> Array:
    """theta (..., P) with the units of a hidden layer in another order: new unit i is old unit order[i].

    layer: hidden layer, from 0. Outputs stay equal up to rounding (the order of sums changes).
    Raises: SettingsError for a layer or an order that is none, ShapeError.

    >>> network = Network((1, 2, 1))
    >>> permute_units(network, np.arange(7.0), 0, [1, 0])
    array([2., 3., 0., 1., 5., 4., 6.])
    """
    layer = _hidden_layer(network, layer)
    one = identity(network)
    orders = tuple(np.asarray(order) if i == layer else kept for i, kept in enumerate(one.orders))
    return Symmetry(network, orders, one.signs)(theta)


def swap_units(network: Network, theta: npt.ArrayLike, layer: int, first: int, second: int) -> Array:
    """theta (..., P) with two units of a hidden layer exchanged. Raises as `permute_units`.

    >>> swap_units(Network((1, 2, 1)), np.arange(7.0), 0, 0, 1)
    array([2., 3., 0., 1., 5., 4., 6.])
    """
    order = np.arange(network.widths[_hidden_layer(network, layer)])
    units = [_unit(first, len(order)), _unit(second, len(order))]
    order[units] = order[units[::-1]]
    return permute_units(network, theta, layer, order)


def flip_units(network: Network, theta: npt.ArrayLike, layer: int, units: int | Sequence[int]) -> Array:
    """theta (..., P) with incoming weights, bias and outgoing weights of some hidden units negated.

    Outgoing weights of sigmoid units are added to the biases above too, as sigma(-z) = 1 - sigma(z):
    (w, b, v, c) -> (-w, -b, -v, c + v).

    units: one index or several. Raises: UnsupportedError unless f(-z) = c - f(z) (tanh, identity, sigmoid);
    SettingsError.

    >>> flip_units(Network((1, 2, 1)), np.arange(7.0), 0, 1)
    array([ 0.,  1., -2., -3.,  4., -5.,  6.])
    >>> flip_units(Network((1, 2, 1), "sigmoid"), np.arange(7.0), 0, 1)
    array([ 0.,  1., -2., -3.,  4., -5., 11.])
    """
    layer = _hidden_layer(network, layer)
    if network.function.mirror is None:
        raise _no_flip(network)
    one = identity(network)
    sign = np.ones(network.widths[layer])
    sign[[_unit(unit, len(sign)) for unit in np.atleast_1d(units).tolist()]] = -1.0
    return Symmetry(network, one.orders, tuple(sign if i == layer else s for i, s in enumerate(one.signs)))(theta)


@dataclass(frozen=True, repr=False)
class Equivalents:
    """How many weight vectors compute the same function. count: exact. formula: "8! · 2^8". log10: of the count.

    >>> Equivalents(384, "4! · 2^4", 2.584).words
    '384'
    """

    count: int
    formula: str
    log10: float

    def __repr__(self) -> str:
        # Python refuses to write out more than some thousand digits
        count = str(self.count) if self.log10 < 100 else f"<{self.words}>"
        return f"Equivalents(count={count}, formula={self.formula!r}, log10={self.log10!r})"

    @property
    def words(self) -> str:
        """The count for people: "384", "10.3 million", "1.9 × 10^36"."""
        exponent = math.floor(self.log10)
        if exponent < 6:
            return f"{self.count:,}"
        if exponent < 15:
            power, name = next((power, name) for power, name in _WORDS if exponent >= power)
            return f"{self.count / 10**power:.1f} {name}"
        leading = f"{10 ** (self.log10 - exponent):.1f}"
        return f"1.0 × 10^{exponent + 1}" if leading == "10.0" else f"{leading} × 10^{exponent}"


def equivalent_solutions(network: Network) -> Equivalents:
    """Product over hidden layers of n!, times 2^n where units can be flipped, with odd activations and the sigmoid

    (Hecht-Nielsen 1990, Chen et al. 1993)

    The size of the discrete symmetry group: the orbit of a theta with no two units alike and no unit of zeros.
    Rescaling units (relu) and mixing them (identity) are continuous symmetries beside it and are not counted.

    >>> equivalent_solutions(Network((2, 8, 1)))
    Equivalents(count=10321920, formula='8! · 2^8', log10=7.013760488749319)
    >>> equivalent_solutions(Network((2, 16, 16, 1))).words
    '1.9 × 10^36'
    """
    flips = network.function.mirror is not None
    parts = [f"{n}! · 2^{n}" if flips else f"{n}!" for n in network.widths]
    count = math.prod(math.factorial(n) << (n if flips else 0) for n in network.widths)
    return Equivalents(count, " · ".join(parts) or "1", math.log10(count))


def _hidden_layer(network: Network, layer: Any) -> int:
    count = len(network.widths)
    if isinstance(layer, bool) or not isinstance(layer, (int, np.integer)) or not 0 <= layer < count:
        raise SettingsError(f"layer: expected a hidden layer 0 .. {count - 1} of {network!r}, got {layer!r}")
    return int(layer)


def _unit(unit: Any, width: int) -> int:
    if isinstance(unit, bool) or not isinstance(unit, (int, np.integer)) or not 0 <= unit < width:
        raise SettingsError(f"unit: expected a hidden unit 0 .. {width - 1}, got {unit!r}")
    return int(unit)


def _order(given: Any, width: int) -> Order:
    order = np.asarray(given)
    if order.shape != (width,) or not np.array_equal(np.sort(order), np.arange(width)):
        raise SettingsError(f"order: expected a permutation of 0 .. {width - 1}, got {order.tolist()}")
    return order.astype(np.intp)


def _signs(given: Any, width: int) -> Array:
    sign = np.asarray(given, dtype=np.float64)
    if sign.shape != (width,) or not np.array_equal(np.abs(sign), np.ones(width)):
        raise SettingsError(f"signs: expected {width} numbers +1 or -1, got {sign.tolist()}")
    return sign


def _no_flip(network: Network) -> UnsupportedError:
    return UnsupportedError(
        f"{network.activation} has no f(-z) = c - f(z): changing the sign of a hidden unit would change the outputs "
        "(tanh, sigmoid and identity allow it)"
    )
