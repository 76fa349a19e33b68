"""Objectives: what is minimized. The protocol every one of them follows, and the loss of a network on data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nnopt.blas import one_thread
from nnopt.errors import SettingsError, ShapeError
from nnopt.objectives import kernels, kernels_batched
from nnopt.objectives.activations import Array
from nnopt.objectives.hessian import hessian_sum
from nnopt.objectives.hessian_products import LinearizedSum, hvp_sum, hvp_sums
from nnopt.objectives.kernels import with_ones
from nnopt.objectives.losses import Loss, loss_function
from nnopt.objectives.network import Network
from nnopt.objectives.precision import LARGEST, ROUNDING, SMALLEST, UNSEEN, output_error

#: overflow on the way to divergence is an outcome of the run, not a warning
_quiet = np.errstate(over="ignore", invalid="ignore")


@runtime_checkable
class Objective(Protocol):
    """A function of theta (P,) to be minimized; every array it returns is the caller's own.

    >>> from nnopt.objectives import functions
    >>> isinstance(functions.get("rosenbrock"), Objective)
    True
    """

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        ...

    def value(self, theta: Array) -> float:
        """f(theta)."""
        ...

    def gradient(self, theta: Array) -> Array:
        """(P,)."""
        ...

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """f(theta) and its gradient (P,)."""
        ...

    def hvp(self, theta: Array, v: Array) -> Array:
        """Hessian at theta times v, (P,)."""
        ...

    def hessian(self, theta: Array) -> Array:
        """(P, P)."""
        ...

    def values(self, thetas: Array, dtype: npt.DTypeLike | None = None) -> Array:
        """f at each row of thetas (K, P), as (K,) float64. dtype: precision to calculate in."""
        ...


class NetworkObjective:
    """Mean loss of a network over examples, plus l2 * sum W^2 + l1 * sum |W| over weights (not biases).

    X (N, D); y: class indices (N,) for the cross entropies (0 or 1 for the binary one), targets (N,) or (N, outputs)
    for `squared_error`. loss: a name of LOSSES. l2, l1 >= 0.

    float64 throughout; `values` can be allowed float32. Safe to use from several threads at once. Examples are
    processed at most 2048 at a time, so memory stays bounded for a million of them.

    Raises: ShapeError, DataError, SettingsError, UnknownNameError, at construction, saying what does not fit; later
    ShapeError for theta of another shape.

    >>> objective = NetworkObjective(Network((2, 3, 1)), [[0.0, 1.0], [1.0, 0.0]], [0, 1], l2=0.01)
    >>> theta = np.zeros(objective.size)
    >>> round(objective.value(theta), 6), objective.probabilities(theta)  # log 2: both classes are as likely
    (0.693147, array([[0.5, 0.5],
           [0.5, 0.5]]))
    >>> objective.gradient(theta).shape, objective.hessian(theta).shape, objective.values([theta, theta]).shape
    ((13,), (13, 13), (2,))
    """

    def __init__(
        self,
        network: Network,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        loss: str = "binary_cross_entropy",
        l2: float = 0.0,
        l1: float = 0.0,
    ) -> None:
        one_thread()
        function = loss_function(loss)
        inputs = with_ones(X, network, "NetworkObjective")
        targets = function.encode(y, network.outputs)
        n = inputs.shape[1]
        if n != targets.shape[1]:
            raise ShapeError(f"NetworkObjective: expected as many X as y, got {n} and {targets.shape[1]}")
        if n == 0:
            raise ShapeError("NetworkObjective: expected at least one example, got none")
        self._set(network, function, inputs, targets, _penalty("l2", l2), _penalty("l1", l1))

    def _set(self, network: Network, loss: Loss, inputs: Array, targets: Array, l2: float, l1: float) -> None:
        self.network = network
        self.l2 = l2
        self.l1 = l1
        self._loss = loss
        self._inputs = inputs
        self._targets = targets
        self._shape = (network.size,)
        self._factor = 1.0 / inputs.shape[1]
        self._largest: tuple[Array, float] | None = None

    @classmethod
    def _made(cls, *parts: Any) -> NetworkObjective:
        made = cls.__new__(cls)
        made._set(*parts)
        return made

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return self.network.size

    def __repr__(self) -> str:
        sizes, penalties = "-".join(map(str, self.network.sizes)), f"l2 {self.l2:g}, l1 {self.l1:g}"
        what = f"{self.loss} of a network {sizes} {self.network.activation}"
        return f"<NetworkObjective: {what} on {self.examples:,} examples, {penalties}>"

    @property
    def floor(self) -> float:
        """What it is nowhere below: 0, as every loss is and every penalty."""
        return 0.0

    def penalty(self, theta: Array) -> float:
        """l2 * sum W^2 + l1 * sum |W| at theta (P,), the part of `value` that is no loss.

        >>> net = Network((1, 1), "tanh")
        >>> NetworkObjective(net, [[0.0]], [[0.0]], loss="squared_error", l2=0.5).penalty([2.0, 9.0])
        2.0
        """
        return float(self._penalties(self._parameters(theta)))

    @property
    def examples(self) -> int:
        """N, the number of examples."""
        return int(self._inputs.shape[1])

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self._loss.name

    @property
    def X(self) -> Array:
        """Inputs (N, D), read-only."""
        inputs = self._inputs[:-1].T
        inputs.flags.writeable = False
        return inputs

    @_quiet
    def value_and_gradient(
        self, theta: Array, rows: npt.NDArray[np.intp] | None = None
    ) -> tuple[float, npt.NDArray[np.float64]]:
        """Objective and gradient (P,) over all examples, or over the batch `rows` (B,) of example indices."""
        if getattr(theta, "shape", None) != self._shape:
            theta = self._parameters(theta)
        if rows is None:
            inputs, targets, factor = self._inputs, self._targets, self._factor
        else:
            inputs, targets = self._taken(rows)
            factor = 1.0 / inputs.shape[1]
        total, gradient = kernels.value_and_gradient_sum(self.network, self._loss, theta, inputs, targets)
        value = total * factor
        gradient = gradient * factor
        if self.l2 or self.l1:
            value += float(self._penalties(theta))
            self._add_penalty_slope(gradient, theta)
        return value, gradient

    @_quiet
    def value(self, theta: Array) -> float:
        """Objective over all examples."""
        theta = self._parameters(theta)
        total = kernels.value_sum(self.network, self._loss, theta, self._inputs, self._targets)
        return float(total * self._factor + self._penalties(theta))

    def gradient(self, theta: Array) -> npt.NDArray[np.float64]:
        """Gradient (P,) over all examples."""
        return self.value_and_gradient(theta)[1]

    @_quiet
    def values(self, thetas: Array, dtype: npt.DTypeLike | None = None) -> npt.NDArray[np.float64]:
        """Objective at every row of thetas (K, P), as (K,) float64.

        dtype: precision to calculate in, float64 (default) or float32, which is about three times as fast and taken
        where its rounding cannot be seen: where it could change a loss by 1 % (`float32_error`), the calculation is in
        float64 all the same. Raises SettingsError for another one.
        """
        thetas = self._parameter_rows(thetas)
        values = self._values(thetas, None, dtype)
        values += self._penalties(thetas)
        return values

    @_quiet
    def values_on_plane(
        self, origin: Array, directions: Array, coords: Array, dtype: npt.DTypeLike | None = None
    ) -> npt.NDArray[np.float64]:
        """Objective at origin + coords @ directions, as (K,) float64: slices (d = 1), planes (d = 2) and beyond.

        origin (P,), directions (d, P), coords (K, d); dtype as in `values`.
        """
        origin, directions = self._parameters(origin), self._parameter_rows(directions)
        coords = np.asarray(coords, dtype=np.float64)
        if coords.ndim != 2 or coords.shape[1] != len(directions):
            raise ShapeError(f"values_on_plane: expected coords of shape (K, {len(directions)}), got {coords.shape}")
        basis = np.vstack([origin, directions])
        factors = np.ones((len(coords), len(basis)))
        factors[:, 1:] = coords
        values = self._values(basis, factors, dtype)
        if self.l2 or self.l1:
            for part in kernels.chunks(len(values), 256):
                values[part] += self._penalties(factors[part] @ basis)
        return values

    @_quiet
    def values_and_gradients(self, thetas: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Objective (K,) and gradient (K, P) at every row of thetas (K, P): many runs updated together."""
        thetas = self._parameter_rows(thetas)
        totals, gradients = kernels_batched.value_and_gradient_sums(
            self.network, self._loss, thetas, self._inputs, self._targets
        )
        gradients *= self._factor
        self._add_penalty_slope(gradients, thetas)
        return totals * self._factor + self._penalties(thetas), gradients

    def float32_error(self, sizes: Array, value: float) -> float:
        """About how far, in relative terms, a loss `value` calculated in float32 may be off, at any theta with
        |theta_i| <= sizes_i (P,): from a bound on the outputs (precision.py). NaN or infinite where it may overflow.

        >>> objective = NetworkObjective(Network((2, 16, 1)), [[1.0, -1.0]], [1])
        >>> ordinary, huge = (objective.float32_error(np.full(65, size), value=0.5) for size in (1.0, 1e8))
        >>> ordinary < 1e-4, huge > 1.0
        (True, True)
        """
        with np.errstate(all="ignore"):
            error = self._output_error(self._parameters(sizes))
            return float(self._loss.relative_error(error, np.float64(value), self.network.outputs))

    def hvp(self, theta: Array, v: Array) -> npt.NDArray[np.float64]:
        """Hessian at theta times v, (P,), without making the Hessian."""
        return self._hvp(hvp_sum, self._parameters(theta), self._parameters(v))

    @_quiet
    def linearized(self, theta: Array) -> Callable[[Array], npt.NDArray[np.float64]]:
        """v (P,) -> `hvp(theta, v)`, bit for bit, at about half its cost: for many products at one theta, as Lanczos'
        method and Newton-CG make them. What does not depend on v is computed here, once.

        For one thread at a time; keeps up to 64 MB.
        """
        product_sum = LinearizedSum(self.network, self._loss, self._parameters(theta), self._inputs, self._targets)

        @_quiet
        def product(v: Array) -> npt.NDArray[np.float64]:
            vector = self._parameters(v)
            return self._hessian_times(product_sum(vector), vector)

        return product

    def hvps(self, theta: Array, vectors: Array) -> npt.NDArray[np.float64]:
        """Hessian at theta times every row of vectors (K, P), as (K, P); one pass over the network for all."""
        return self._hvp(hvp_sums, self._parameters(theta), self._parameter_rows(vectors))

    def hessian(self, theta: Array) -> npt.NDArray[np.float64]:
        """Exact Hessian (P, P). Raises UnsupportedError above 2 GB."""
        return self._second_derivative(theta, gauss_newton=False)

    def gauss_newton(self, theta: Array) -> npt.NDArray[np.float64]:
        """G = mean of J^T H_out J plus the L2 term, (P, P): the Hessian without the network's own curvature, positive
        semidefinite. Raises UnsupportedError above 2 GB."""
        return self._second_derivative(theta, gauss_newton=True)

    @_quiet
    def outputs(self, theta: Array, X: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """Logits or predictions (N, outputs) on X (N, D), or on the objective's own examples."""
        return kernels.outputs(self.network, self._parameters(theta), self._inputs_for(X))

    @_quiet
    def outputs_of(self, thetas: Array, X: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """Outputs (K, N, outputs) of every row of thetas (K, P)."""
        return kernels_batched.outputs(self.network, self._parameter_rows(thetas), self._inputs_for(X))

    @_quiet
    def probabilities(self, theta: Array, X: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """Class probabilities (N, C); C = 2 for binary_cross_entropy. Raises UnsupportedError for regression."""
        outputs = self.outputs(theta, X)
        return self._loss.probabilities(outputs)

    @_quiet
    def hidden(self, theta: Array, X: npt.ArrayLike | None = None) -> list[npt.NDArray[np.float64]]:
        """Activations (N, width) of every hidden layer."""
        return kernels.hidden(self.network, self._parameters(theta), self._inputs_for(X))

    def batch(self, rows: npt.ArrayLike) -> NetworkObjective:
        """The same objective over the examples `rows` (B,) only. Raises ShapeError."""
        inputs, targets = self._taken(rows)
        return self._made(self.network, self._loss, inputs, targets, self.l2, self.l1)

    def with_data(self, X: npt.ArrayLike, y: npt.ArrayLike) -> NetworkObjective:
        """The same objective over other examples. Raises ShapeError, DataError."""
        return NetworkObjective(self.network, X, y, self.loss, self.l2, self.l1)

    def with_penalty(self, l2: float, l1: float) -> NetworkObjective:
        """The same objective with other penalties. Raises SettingsError."""
        parts = self.network, self._loss, self._inputs, self._targets
        return self._made(*parts, _penalty("l2", l2), _penalty("l1", l1))

    def _values(self, thetas: Array, factors: Array | None, dtype: npt.DTypeLike | None) -> Array:
        """Mean losses without penalties; factors as in `value_sums`."""
        kind = np.dtype(np.float64 if dtype is None else dtype)
        if kind not in (np.float64, np.float32):
            raise SettingsError(f"NetworkObjective: expected dtype float64 or float32, got {kind}")
        if kind == np.float64:
            return self._values_in(kind, thetas, factors)
        if factors is None:
            sizes = np.maximum(thetas.max(axis=0, initial=0.0), -thetas.min(axis=0, initial=0.0))
        else:
            sizes = np.abs(factors).max(axis=0, initial=0.0) @ np.abs(thetas)
        error = self._output_error(sizes)
        if not self._loss.relative_error(error, LARGEST, self.network.outputs) <= UNSEEN:
            return self._values_in(np.dtype(np.float64), thetas, factors)
        values = self._values_in(kind, thetas, factors)
        seen = ~(self._loss.relative_error(error, values, self.network.outputs) <= UNSEEN)
        seen |= ~((values >= SMALLEST) & (values <= LARGEST))
        if seen.any():
            some = (thetas[seen], None) if factors is None else (thetas, factors[seen])
            values[seen] = self._values_in(np.dtype(np.float64), *some)
        return values

    def _values_in(self, kind: np.dtype[Any], thetas: Array, factors: Array | None) -> Array:
        parts = self.network, self._loss, thetas, factors, self._inputs, self._targets
        values = kernels_batched.value_sums(*parts, dtype=kind)
        values *= self._factor
        return values

    def _output_error(self, sizes: Array) -> float:
        """Of outputs and targets calculated in float32."""
        if self._largest is None:
            self._largest = np.abs(self._inputs).max(axis=1), float(np.abs(self._targets).max())
        inputs, target = self._largest
        return output_error(self.network, sizes, inputs) + ROUNDING * target

    @_quiet
    def _hvp(self, product_sums: Callable[..., Array], theta: Array, vectors: Array) -> Array:
        sums = product_sums(self.network, self._loss, theta, vectors, self._inputs, self._targets)
        return self._hessian_times(sums, vectors)

    def _hessian_times(self, sums: Array, vectors: Array) -> Array:
        """Products with the Hessian from those with that of the sum of the losses."""
        products: Array = sums * self._factor
        if self.l2:
            products += (2.0 * self.l2) * vectors * self.network.weight_mask
        return products

    @_quiet
    def _second_derivative(self, theta: Array, gauss_newton: bool) -> Array:
        theta = self._parameters(theta)
        matrix = hessian_sum(self.network, self._loss, theta, self._inputs, self._targets, gauss_newton)
        matrix *= self._factor
        if self.l2:
            matrix.flat[:: self.size + 1] += 2.0 * self.l2 * self.network.weight_mask
        return matrix

    def _penalties(self, thetas: Array) -> Any:
        """l2 * sum W^2 + l1 * sum |W| of thetas (..., P)."""
        # of several rows each by itself, so that its bits do not depend on the others
        product: Callable[..., Any] = np.dot if thetas.ndim == 1 else np.vecdot
        penalty: Any = 0.0
        if self.l2:
            penalty = penalty + self.l2 * product(thetas * thetas, self.network.weight_mask)
        if self.l1:
            penalty = penalty + self.l1 * product(np.abs(thetas), self.network.weight_mask)
        return penalty

    def _add_penalty_slope(self, gradient: Array, theta: Array) -> None:
        """gradient (..., P) += 2 * l2 * W + l1 * sign(W)."""
        if self.l2:
            gradient += (2.0 * self.l2) * theta * self.network.weight_mask
        if self.l1:
            gradient += self.l1 * np.sign(theta) * self.network.weight_mask

    def _inputs_for(self, X: npt.ArrayLike | None) -> Array:
        return self._inputs if X is None else with_ones(X, self.network, "NetworkObjective.outputs")

    def _parameters(self, theta: npt.ArrayLike) -> Array:
        vector = np.asarray(theta, dtype=np.float64)
        if vector.shape != self._shape:
            raise ShapeError(f"{self.network!r}: expected theta of shape {self._shape}, got {vector.shape}")
        return vector

    def _parameter_rows(self, thetas: npt.ArrayLike) -> Array:
        rows = np.asarray(thetas, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1:] != self._shape:
            raise ShapeError(f"{self.network!r}: expected rows of shape (K, {self.size}), got {rows.shape}")
        return rows

    def _taken(self, rows: npt.ArrayLike) -> tuple[Array, Array]:
        """Examples and targets of a batch. Raises ShapeError; a mask of booleans is no list of indices."""
        indices = np.asarray(rows)
        if indices.ndim == 1 and indices.dtype.kind in "iu" and len(indices):
            try:
                return self._inputs.take(indices, 1), self._targets.take(indices, 1)
            except IndexError:
                pass
        raise ShapeError(
            f"NetworkObjective: expected rows as one or more indices within 0..{self.examples - 1}, got {rows!r}"
        )


def _penalty(name: str, value: float) -> float:
    if not (isinstance(value, (int, float, np.number)) and 0 <= value < np.inf):
        raise SettingsError(f"NetworkObjective: expected {name} as a finite number >= 0, got {value!r}")
    return float(value)
