"""Activation functions: value, first and second derivative, and the in-place forms the kernels use.

All of them have derivatives that can be written with their value alone (softplus: f' = 1 - exp(-f)), so a forward pass
keeps the hidden units and nothing else. Where tanh or the sigmoid is next to 1 such a slope is exact to 1e-16 of the
largest slope; `derivative` and `second_derivative`, made from z, keep all digits of theirs.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.errors import unknown_name

#: float64 unless a docstring says float32
Array: TypeAlias = npt.NDArray[Any]


class Activation:
    """An elementwise function h = f(z).

    For users: `value(z)`, `derivative(z)`, `second_derivative(z)`, each a new array of z's shape.
    For kernels, in terms of the value h = f(z): `forward`, `backward`, `slope`, `bend`;
    out and work are arrays of h's shape to write into, work is scratch.

    >>> f = activation("tanh")
    >>> f.formula, f.odd, f.derivative([0.0, 20.0]).round(9)
    ('tanh z', True, array([1., 0.]))
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    #: f'' is not zero everywhere (where f is differentiable)
    curved: ClassVar[bool] = True
    #: f(-z) = -f(z)
    odd: ClassVar[bool] = False
    #: c if f(-z) = c - f(z): then flipping a unit's sign is a symmetry of the network; None without one
    mirror: ClassVar[float | None] = None
    #: largest slope anywhere
    steepest: ClassVar[float] = 1.0
    #: (scale, rate, offset) if f(z) = scale * s(rate * z) + offset, with s(u) = 1 / (1 + exp(-u))
    logistic_form: ClassVar[tuple[float, float, float] | None] = None

    def value(self, z: npt.ArrayLike) -> Array:
        """f(z)."""
        z = np.array(z, dtype=np.float64)
        with np.errstate(over="ignore"):
            self.forward(z, z, np.empty_like(z))
        return z

    def derivative(self, z: npt.ArrayLike) -> Array:
        """f'(z)."""
        h = self.value(z)
        slope = np.empty_like(h)
        self.slope(h, slope)
        return slope

    def second_derivative(self, z: npt.ArrayLike) -> Array:
        """f''(z); zero at the kink of relu and leaky_relu."""
        h = self.value(z)
        bend = np.empty_like(h)
        self.bend(h, bend, np.empty_like(h))
        return bend

    def forward(self, z: Array, out: Array, work: Array) -> None:
        """out <- f(z); out may be z itself."""
        raise NotImplementedError

    def backward(self, delta: Array, h: Array, work: Array) -> None:
        """delta <- delta * f'(z) in place, given h = f(z)."""
        self.slope(h, work)
        np.multiply(delta, work, delta)

    def slope(self, h: Array, out: Array) -> None:
        """out <- f'(z), given h = f(z)."""
        raise NotImplementedError

    def bend(self, h: Array, out: Array, work: Array) -> None:
        """out <- f''(z), given h = f(z)."""
        out[...] = 0.0


class Tanh(Activation):
    """f(z) = tanh z, f' = 1 - f^2 = 1 / cosh^2 z, f'' = -2 f f'; odd, between -1 and 1.

    >>> Tanh().value([-20.0, 0.0, 20.0]), Tanh().derivative([0.0, 20.0])
    (array([-1.,  0.,  1.]), array([1.0000000e+00, 1.6993417e-17]))
    """

    name = "tanh"
    formula = "tanh z"
    odd = True
    mirror = 0.0
    logistic_form = (2.0, 2.0, -1.0)

    def derivative(self, z: npt.ArrayLike) -> Array:
        return 4.0 * logistic_slope(2.0 * np.asarray(z, dtype=np.float64))

    def second_derivative(self, z: npt.ArrayLike) -> Array:
        bend: Array = -2.0 * np.tanh(np.asarray(z, dtype=np.float64)) * self.derivative(z)
        return bend

    def forward(self, z: Array, out: Array, work: Array) -> None:
        np.tanh(z, out)

    def backward(self, delta: Array, h: Array, work: Array) -> None:
        np.multiply(h, h, work)
        np.multiply(delta, work, work)
        np.subtract(delta, work, delta)

    def slope(self, h: Array, out: Array) -> None:
        np.multiply(h, h, out)
        np.subtract(1.0, out, out)

    def bend(self, h: Array, out: Array, work: Array) -> None:
        self.slope(h, out)
        np.multiply(out, h, out)
        np.multiply(out, -2.0, out)


class Sigmoid(Activation):
    """f(z) = 1 / (1 + exp(-z)), f' = f (1 - f) = f(z) f(-z), f'' = f' (1 - 2 f) = -f' tanh(z / 2); f(-z) = 1 - f(z).

    >>> Sigmoid().value([0.0]), Sigmoid().derivative([0.0, 40.0]), Sigmoid().second_derivative([0.0])
    (array([0.5]), array([2.50000000e-01, 4.24835426e-18]), array([0.]))
    """

    name = "sigmoid"
    formula = "1 / (1 + exp(-z))"
    steepest = 0.25
    mirror = 1.0
    logistic_form = (1.0, 1.0, 0.0)

    def derivative(self, z: npt.ArrayLike) -> Array:
        return logistic_slope(np.asarray(z, dtype=np.float64))

    def second_derivative(self, z: npt.ArrayLike) -> Array:
        bend: Array = 0.0 - self.derivative(z) * np.tanh(0.5 * np.asarray(z, dtype=np.float64))
        return bend

    def forward(self, z: Array, out: Array, work: Array) -> None:
        # far below zero exp overflows to inf, and the value is 0
        np.negative(z, out)
        np.exp(out, out)
        np.add(out, 1.0, out)
        np.divide(1.0, out, out)

    def backward(self, delta: Array, h: Array, work: Array) -> None:
        np.multiply(h, h, work)
        np.subtract(h, work, work)
        np.multiply(delta, work, delta)

    def slope(self, h: Array, out: Array) -> None:
        np.subtract(1.0, h, out)
        np.multiply(out, h, out)

    def bend(self, h: Array, out: Array, work: Array) -> None:
        self.slope(h, out)
        np.multiply(h, -2.0, work)
        np.add(work, 1.0, work)
        np.multiply(out, work, out)


class Relu(Activation):
    """f(z) = max(z, 0); f'(0) = 0, f'' = 0        (Nair & Hinton 2010)

    >>> Relu().value([-2.0, 0.0, 2.0]), Relu().derivative([-2.0, 0.0, 2.0])
    (array([0., 0., 2.]), array([0., 0., 1.]))
    """

    name = "relu"
    formula = "max(z, 0)"
    curved = False

    def forward(self, z: Array, out: Array, work: Array) -> None:
        np.maximum(z, 0.0, out=out)

    def slope(self, h: Array, out: Array) -> None:
        np.sign(h, out)


class LeakyRelu(Activation):
    """f(z) = z for z > 0, 0.01 z otherwise; f'(0) = 0.01 (the left derivative, as for relu)        (Maas et al. 2013)

    >>> LeakyRelu().value([-2.0, 2.0]), LeakyRelu().derivative([-2.0, 0.0, 2.0])
    (array([-0.02,  2.  ]), array([0.01, 0.01, 1.  ]))
    """

    name = "leaky_relu"
    formula = "max(z, 0.01 z)"
    curved = False
    leak: ClassVar[float] = 0.01

    def forward(self, z: Array, out: Array, work: Array) -> None:
        np.multiply(z, self.leak, work)
        np.maximum(z, work, out=out)

    def slope(self, h: Array, out: Array) -> None:
        np.sign(h, out)
        np.maximum(out, self.leak, out=out)


class Softplus(Activation):
    """f(z) = log(1 + exp z) = max(z, 0) + log(1 + exp(-|z|)), f' = 1 - exp(-f), f'' = f' (1 - f') = f' exp(-f)

    The second form does not overflow. f' is the sigmoid        (Dugas et al. 2001).

    >>> Softplus().value([-1e4, 1e4]), Softplus().derivative([0.0]).round(9)
    (array([    0., 10000.]), array([0.5]))
    """

    name = "softplus"
    formula = "log(1 + exp z)"

    def forward(self, z: Array, out: Array, work: Array) -> None:
        np.abs(z, work)
        np.negative(work, work)
        np.exp(work, work)
        np.log1p(work, work)
        np.maximum(z, 0.0, out=out)
        np.add(out, work, out)

    def slope(self, h: Array, out: Array) -> None:
        np.negative(h, out)
        np.expm1(out, out)
        np.negative(out, out)

    def bend(self, h: Array, out: Array, work: Array) -> None:
        self.slope(h, out)
        np.negative(h, work)
        np.exp(work, work)
        np.multiply(out, work, out)


class Identity(Activation):
    """f(z) = z, f' = 1, f'' = 0: a deep linear network.

    >>> Identity().value([-1.5, 2.0]), Identity().derivative([-1.5, 2.0])
    (array([-1.5,  2. ]), array([1., 1.]))
    """

    name = "identity"
    formula = "z"
    curved = False
    odd = True
    mirror = 0.0

    def forward(self, z: Array, out: Array, work: Array) -> None:
        if out is not z:
            np.copyto(out, z)

    def backward(self, delta: Array, h: Array, work: Array) -> None:
        return

    def slope(self, h: Array, out: Array) -> None:
        out[...] = 1.0


def logistic_slope(z: Array) -> Array:
    """s(z) s(-z) = e / (1 + e)^2, e = exp(-|z|), the slope of s(z) = 1 / (1 + exp(-z)): nothing cancels far out.

    >>> logistic_slope(np.array([0.0, 300.0]))
    array([2.50000000e-001, 5.14820022e-131])
    """
    exponential = np.exp(-np.abs(z))
    slope: Array = exponential / (1.0 + exponential) ** 2
    return slope


#: every activation by name
ACTIVATIONS: dict[str, Activation] = {
    kind.name: kind() for kind in (Tanh, Sigmoid, Relu, LeakyRelu, Softplus, Identity)
}


def activation(name: str) -> Activation:
    """The activation called `name`. Raises UnknownNameError listing the known ones.

    >>> activation("relu").value([-1.0, 2.0]), sorted(ACTIVATIONS)
    (array([0., 2.]), ['identity', 'leaky_relu', 'relu', 'sigmoid', 'softplus', 'tanh'])
    """
    try:
        return ACTIVATIONS[name]
    except (KeyError, TypeError):
        raise unknown_name("activation", name, ACTIVATIONS) from None
