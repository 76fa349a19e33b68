"""An independent differentiation for tests: hyper-dual numbers, exact first and second derivatives without differences.

A number is f + a e1 + b e2 + c e1 e2 with e1^2 = e2^2 = 0: a and b are derivatives along two directions, c the mixed
second derivative (Fike & Alonso 2011). Arrays of them have a leading axis of K pairs of directions.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np


class HyperDual:
    """parts (4, K, ...): f, a, b, c."""

    def __init__(self, parts: np.ndarray) -> None:
        self.parts = parts

    @classmethod
    def variable(cls, theta: np.ndarray, v: np.ndarray, w: np.ndarray) -> HyperDual:
        """theta (P,) moved along v and w, (K, P) each."""
        return cls(np.stack([np.broadcast_to(theta, v.shape), v, w, np.zeros(v.shape)]))

    def constant(self, x: np.ndarray) -> HyperDual:
        """x (...) with zero derivatives, for the same K pairs."""
        return HyperDual(np.stack([np.broadcast_to(part, (self.parts.shape[1], *x.shape)) for part in (x, 0, 0, 0)]))

    def lifted(self, x: HyperDual | float | np.ndarray) -> HyperDual:
        if isinstance(x, HyperDual):
            return x
        x = np.asarray(x, dtype=float)
        return self.constant(x.reshape((1,) * (self.parts.ndim - 2 - x.ndim) + x.shape))

    def __add__(self, other) -> HyperDual:
        return HyperDual(self.parts + self.lifted(other).parts)

    def __mul__(self, other) -> HyperDual:
        return self.bilinear(np.multiply, self.lifted(other))

    def bilinear(self, product: Callable, other: HyperDual) -> HyperDual:
        """Any bilinear `product`, differentiated by the product rule."""
        (f, a, b, c), (g, d, e, h) = self.parts, other.parts
        first, second = product(a, g) + product(f, d), product(b, g) + product(f, e)
        mixed = product(c, g) + product(a, e) + product(b, d) + product(f, h)
        return HyperDual(np.stack([product(f, g), first, second, mixed]))

    def apply(self, value, slope, bend) -> HyperDual:
        """A function of which value, first and second derivative at f are given."""
        _, a, b, c = self.parts
        return HyperDual(np.stack([value, slope * a, slope * b, slope * c + bend * a * b]))

    def linear(self, function: Callable) -> HyperDual:
        """A linear function of the last axes, such as a sum or a selection."""
        return HyperDual(function(self.parts))

    def exp(self) -> HyperDual:
        e = np.exp(self.parts[0])
        return self.apply(e, e, e)

    def log(self) -> HyperDual:
        f = self.parts[0]
        return self.apply(np.log(f), 1 / f, -1 / f**2)

    def inverse(self) -> HyperDual:
        f = self.parts[0]
        return self.apply(1 / f, -1 / f**2, 2 / f**3)

    def where_positive(self, factor: float) -> HyperDual:
        """Itself where f > 0, factor times itself elsewhere."""
        return HyperDual(self.parts * np.where(self.parts[0] > 0, 1.0, factor))

    def sign(self) -> np.ndarray:
        """Sign of f, which is the same for every pair of directions."""
        return np.sign(self.parts[0, 0])


ACTIVATIONS: dict[str, Callable[[HyperDual], HyperDual]] = {
    "tanh": lambda z: ((z * 2.0).exp() + -1.0) * ((z * 2.0).exp() + 1.0).inverse(),
    "sigmoid": lambda z: ((z * -1.0).exp() + 1.0).inverse(),
    "relu": lambda z: z.where_positive(0.0),
    "leaky_relu": lambda z: z.where_positive(0.01),
    "softplus": lambda z: (z.exp() + 1.0).log(),
    "identity": lambda z: z,
}


def network_outputs(sizes, activation: str, theta: HyperDual, X: np.ndarray) -> HyperDual:
    """Outputs (N, C) of a multilayer perceptron, layer by layer as defined."""
    h, start = theta.constant(X), 0
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        stop = start + fan_out * (fan_in + 1)
        block = theta.linear(lambda t, i=start, j=stop: t[..., i:j])
        block = block.linear(lambda t, o=fan_out, i=fan_in: t.reshape(*t.shape[:-1], o, i + 1))
        h = h.bilinear(lambda a, W: a @ np.swapaxes(W, -1, -2), block.linear(lambda t: t[..., :-1]))
        h = h + block.linear(lambda t: t[..., None, :, -1])
        if layer < len(sizes) - 2:
            h = ACTIVATIONS[activation](h)
        start = stop
    return h


def loss(name: str, z: HyperDual, y: np.ndarray) -> HyperDual:
    """Mean loss of outputs (N, C), as defined; for moderate z."""
    if name == "squared_error":
        difference = z + -y.reshape(len(y), -1)
        return (difference * difference).linear(lambda s: 0.5 * s.sum(axis=-1).mean(axis=-1))
    if name == "binary_cross_entropy":
        logit = z.linear(lambda s: s[..., 0])
        return ((logit.exp() + 1.0).log() + logit * -y.astype(float)).linear(lambda s: s.mean(axis=-1))
    chosen = z.linear(lambda s: s[..., np.arange(len(y)), y])
    return (z.exp().linear(lambda s: s.sum(axis=-1)).log() + chosen * -1.0).linear(lambda s: s.mean(axis=-1))


def penalty(theta: HyperDual, weight_mask: np.ndarray, l2: float, l1: float) -> HyperDual:
    """l2 * sum W^2 + l1 * sum |W|."""
    weights = theta * weight_mask
    squares, sizes = weights * weights, weights * theta.sign()
    return squares.linear(lambda s: l2 * s.sum(axis=-1)) + sizes.linear(lambda s: l1 * s.sum(axis=-1))
