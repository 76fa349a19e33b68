"""How far float32 can be trusted: what its rounding does to the outputs of a network. Floor `objectives`."""

from __future__ import annotations

import numpy as np

from nnopt.objectives.activations import Array
from nnopt.objectives.network import Network

#: a number of float32 is wrong by up to this share of itself
ROUNDING = 2.0**-24
#: roundings of about its own size that a sum of products and the parameters in it collect
_PER_SUM = 3.0
#: relative error of a loss that is not seen, on a logarithmic map neither
UNSEEN = 1e-2
#: losses whose squares and exponentials float32 holds
SMALLEST, LARGEST = 1e-30, 1e30


def output_error(network: Network, sizes: Array, inputs: Array) -> float:
    """About how far an output calculated in float32 may be off, wherever |theta_i| <= sizes_i (P,) and |x_j| <=
    inputs_j (D + 1,), the 1 that the bias belongs to included.

    With B_l the largest |z| that these sizes allow in layer l and u = 2^-24, errors being independent of each other
    (Higham & Mary 2019),

        e_l^2 = |W_l|^2 (f'_max e_(l-1))^2 + (3 u B_l)^2

    Weights of 1e8 whose products cancel to an output of 1 leave an error of about 10. NaN or infinite where a size is.

    >>> one = np.ones(2)
    >>> [output_error(Network((1, 1)), size * one, one) < 1e-3 for size in (1.0, 1e8)]
    [True, False]
    """
    function = network.function
    *blocks, last = network.layers(sizes)
    with np.errstate(all="ignore"):
        units = np.abs(inputs)
        errors = ROUNDING * units
        for block in blocks:
            z, errors = _summed(block, units, errors)
            h = np.abs(function.value(z))
            # the 1 of the next bias has no error
            units = np.append(h, 1.0)
            errors = np.append(np.hypot(function.steepest * errors, 2.0 * ROUNDING * h), 0.0)
        return float(_summed(last, units, errors)[1].max())


def _summed(block: Array, units: Array, errors: Array) -> tuple[Array, Array]:
    """Largest inputs z of a layer, and their errors."""
    z = block @ units
    return z, np.sqrt((block * block) @ (errors * errors) + (_PER_SUM * ROUNDING * z) ** 2)
