"""Loss functions of a network's outputs: value, slope and curvature with respect to the outputs z.

Kernels keep examples in the last axis: z is (..., C, n) with C outputs, targets (C, n); leading axes are parameter
vectors evaluated together. Everything is a sum over examples; the mean is taken once, by the caller.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.errors import DataError, ShapeError, UnsupportedError, unknown_name
from nnopt.objectives.activations import Array, logistic_slope

#: two arrays of z's shape that a kernel may overwrite
Scratch: TypeAlias = tuple[Array, Array]

_INFINITY = float("inf")


class Loss:
    """How far outputs z are from what was wanted, per example.

    `encode` turns labels or targets into the (C, N) form that the kernels work with, and refuses those that do not fit.

    >>> loss, z = loss_function("squared_error"), np.array([[3.0, 5.0]])
    >>> targets, work = loss.encode([1.0, 5.0], outputs=1), (np.empty_like(z), np.empty_like(z))
    >>> float(loss.sums_and_slopes(z, targets, work)), z
    (2.0, array([[2., 0.]]))
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    #: "classification" or "regression"
    task: ClassVar[str] = "classification"

    def encode(self, y: npt.ArrayLike, outputs: int) -> Array:
        """Targets (outputs, N) in the kernels' form. Raises ShapeError or DataError saying what was expected."""
        raise NotImplementedError

    def sums(self, z: Array, targets: Array, work: Scratch) -> Any:
        """Sum of the losses over the examples, one number per leading index. z and work are overwritten."""
        raise NotImplementedError

    def sums_and_slopes(self, z: Array, targets: Array, work: Scratch) -> Any:
        """The same; z is overwritten with the slope of each example's loss, d loss / d z."""
        raise NotImplementedError

    def bend(self, z: Array) -> Array:
        """What the curvature at outputs z is made from, a new array of z's shape; z may be overwritten afterwards."""
        raise NotImplementedError

    def curvature_times(self, bend: Array, v: Array) -> Array:
        """H_out v for every example, (..., C, n), with H_out the loss's second derivative in z. bend: `bend(z)`."""
        raise NotImplementedError

    def curvature(self, bend: Array) -> Array:
        """H_out of every example, (C, C, n). bend: `bend(z)`, (C, n)."""
        raise NotImplementedError

    def relative_error(self, error: float, values: Any, outputs: int) -> Any:
        """How far, in relative terms, mean losses `values` may be off where every output may be off by `error`."""
        raise NotImplementedError

    def probabilities(self, z: Array) -> Array:
        """Class probabilities (N, classes) of outputs z (N, outputs). Raises UnsupportedError for regression."""
        raise UnsupportedError(f"{self.name}: outputs are predicted values; class probabilities need a cross entropy")


class BinaryCrossEntropy(Loss):
    """log(1 + e^z) - y z for one logit z and y in {0, 1}.

    With s = 1 - 2y it is softplus(s z) = max(s z, 0) + log(1 + e^-|s z|), exact for |z| = 1e4 and beyond; its slope is
    s exp(s z - softplus(s z)). While e^(s z) does not overflow, log(1 + e^(s z)) is as exact, and quicker. Its
    curvature is sigma(z) sigma(-z) = e^-|z| / (1 + e^-|z|)^2: in p (1 - p) the difference would cancel far out.

    y (N,): 0 or 1; targets hold s.

    >>> from nnopt.objectives.objective import Network, NetworkObjective
    >>> wrong = NetworkObjective(Network((1, 1)), [[1.0]], [1], loss="binary_cross_entropy")
    >>> wrong.value_and_gradient([-1e4, 0.0]), round(wrong.value([0.0, 0.0]), 6)  # log 2
    ((10000.0, array([-1., -1.])), 0.693147)
    """

    name = "binary_cross_entropy"
    formula = "log(1 + exp z) - y z"

    def encode(self, y: npt.ArrayLike, outputs: int) -> Array:
        if outputs != 1:
            raise ShapeError(f"{self.name}: expected a network with 1 output, got {outputs} (cross_entropy takes more)")
        return 1.0 - 2.0 * _labels(y, self.name, 2)[None].astype(np.float64)

    def sums(self, z: Array, targets: Array, work: Scratch) -> Any:
        loss, exponential = work
        np.multiply(z, targets, z)
        np.exp(z, exponential)
        np.log1p(exponential, loss)
        total = _totals(loss)
        if _finite(total):
            return total
        _softplus(z, loss, exponential)
        # the others keep theirs: a network's bits do not depend on those beside it
        return np.where(total < _INFINITY, total, _totals(loss))

    def sums_and_slopes(self, z: Array, targets: Array, work: Scratch) -> Any:
        loss, exponential = work
        np.multiply(z, targets, z)
        np.exp(z, exponential)
        np.log1p(exponential, loss)
        total = _totals(loss)
        if _finite(total):
            np.add(exponential, 1.0, loss)
            np.divide(exponential, loss, z)
            np.multiply(z, targets, z)
            return total
        sound = total < _INFINITY
        with np.errstate(invalid="ignore"):
            slopes = exponential / (exponential + 1.0)
        _softplus(z, loss, exponential)
        np.subtract(z, loss, z)
        np.exp(z, z)
        np.copyto(z, slopes, where=sound[..., None, None])
        np.multiply(z, targets, z)
        return np.where(sound, total, _totals(loss))

    def bend(self, z: Array) -> Array:
        return logistic_slope(z)

    def curvature_times(self, bend: Array, v: Array) -> Array:
        product: Array = bend * v
        return product

    def curvature(self, bend: Array) -> Array:
        return bend[None].copy()

    def relative_error(self, error: float, values: Any, outputs: int) -> Any:
        # the slope in z is never more than the loss itself
        return error + 0.0 * values

    def probabilities(self, z: Array) -> Array:
        return np.concatenate([_sigmoid(-z), _sigmoid(z)], axis=1)


class CrossEntropy(Loss):
    """log(sum_c e^(z_c)) - z_y for C logits and a class index y: softmax regression's loss.

    Logits are shifted by their largest first, so that |z| = 1e4 is exact. Slope: p - (1 in row y), with the
    probabilities p = softmax(z); curvature: diag(p) - p p^T. Where p_y is next to 1 nothing cancels: 1 - p_c is the
    sum of the other probabilities, and the loss log(1 + sum of the other e^(z_c - z_y)).

    y (N,): class indices 0 .. C - 1; targets hold a 1 per example, in the row of its class.

    >>> loss, z = CrossEntropy(), np.array([[0.0], [1e4]])
    >>> float(loss.sums_and_slopes(z, loss.encode([0], outputs=2), (np.empty_like(z), np.empty_like(z)))), z
    (10000.0, array([[-1.],
           [ 1.]]))
    """

    name = "cross_entropy"
    formula = "log(sum exp z) - z_y"

    def encode(self, y: npt.ArrayLike, outputs: int) -> Array:
        if outputs < 2:
            raise ShapeError(f"{self.name}: expected a network with 2 or more outputs, got {outputs}")
        labels = _labels(y, self.name, outputs)
        hot = np.zeros((outputs, len(labels)))
        hot[labels, np.arange(len(labels))] = 1.0
        return hot

    def sums(self, z: Array, targets: Array, work: Scratch) -> Any:
        chosen, _ = work
        rest = self._exponentials(z, targets, chosen)
        return _totals(np.log1p(rest)) - _totals(chosen)

    def sums_and_slopes(self, z: Array, targets: Array, work: Scratch) -> Any:
        chosen, scratch = work
        rest = self._exponentials(z, targets, chosen)
        # e^z / norm - targets, with all that is not the wanted class's own taken out of its row before it can cancel
        np.multiply(targets, rest, scratch)
        np.subtract(z, scratch, z)
        np.divide(z, 1.0 + rest, z)
        return _totals(np.log1p(rest)) - _totals(chosen)

    @staticmethod
    def _exponentials(z: Array, targets: Array, chosen: Array) -> Array:
        """With logits shifted by their largest: z <- e^z - targets; chosen <- the wanted class's logit in its row, 0
        elsewhere. The sum of e^z, less the 1 that is the largest's, (..., 1, n), is returned."""
        np.subtract(z, z.max(axis=-2, keepdims=True), z)
        np.multiply(z, targets, chosen)
        np.exp(z, z)
        np.subtract(z, targets, z)
        rest: Array = z.sum(axis=-2, keepdims=True)
        return rest

    def bend(self, z: Array) -> Array:
        exponentials = np.exp(z - z.max(axis=-2, keepdims=True))
        probabilities: Array = exponentials / exponentials.sum(axis=-2, keepdims=True)
        return probabilities

    def curvature_times(self, bend: Array, v: Array) -> Array:
        # H v = H (v - c 1) for any c: that of the class with p > 1/2, in whose row 1 - p would cancel
        away = v - (v * (bend > 0.5)).sum(axis=-2, keepdims=True)
        product: Array = bend * (away - (bend * away).sum(axis=-2, keepdims=True))
        return product

    def curvature(self, bend: Array) -> Array:
        outputs = len(bend)
        matrix = -bend[:, None] * bend
        others = 1.0 - np.eye(outputs, dtype=bend.dtype)
        np.einsum("ccn->cn", matrix)[...] = bend * (others @ bend)
        return matrix

    def relative_error(self, error: float, values: Any, outputs: int) -> Any:
        # sizes of the slopes add up to 2 (1 - p_y), and the loss is at least 1 - p_y
        return 2.0 * error + 0.0 * values

    def probabilities(self, z: Array) -> Array:
        return np.ascontiguousarray(self.bend(z.T).T)


class SquaredError(Loss):
    """1/2 |z - y|^2 for any number of outputs; slope z - y, curvature the identity.

    y: targets (N,) or (N, C).

    >>> loss, z = SquaredError(), np.array([[3.0], [0.0]])
    >>> float(loss.sums(z, loss.encode([[1.0, 1.0]], outputs=2), (np.empty_like(z), np.empty_like(z))))
    2.5
    """

    name = "squared_error"
    formula = "1/2 |z - y|^2"
    task = "regression"

    def encode(self, y: npt.ArrayLike, outputs: int) -> Array:
        try:
            targets = np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError) as problem:
            raise DataError(f"{self.name}: expected targets y as numbers: {problem}") from None
        if targets.ndim == 1 and outputs == 1:
            targets = targets[:, None]
        if targets.ndim != 2 or targets.shape[1] != outputs:
            expected = "(N,) or (N, 1)" if outputs == 1 else f"(N, {outputs})"
            raise ShapeError(f"{self.name}: expected targets y of shape {expected}, got {targets.shape}")
        bad = ~np.isfinite(targets).all(axis=1)
        if bad.any():
            row = int(bad.argmax())
            raise DataError(f"{self.name}: expected finite targets y, got {targets[row].tolist()} at example {row}")
        return np.ascontiguousarray(targets.T)

    def sums(self, z: Array, targets: Array, work: Scratch) -> Any:
        np.subtract(z, targets, z)
        np.multiply(z, z, work[0])
        return 0.5 * _totals(work[0])

    def sums_and_slopes(self, z: Array, targets: Array, work: Scratch) -> Any:
        return self.sums(z, targets, work)

    def bend(self, z: Array) -> Array:
        return np.ones_like(z)

    def curvature_times(self, bend: Array, v: Array) -> Array:
        return np.array(v)

    def curvature(self, bend: Array) -> Array:
        outputs, n = bend.shape
        return np.repeat(np.eye(outputs, dtype=bend.dtype)[:, :, None], n, axis=2)

    def relative_error(self, error: float, values: Any, outputs: int) -> Any:
        # |z - y| |error|, and |z - y|^2 is twice the loss
        with np.errstate(divide="ignore"):
            return error * np.sqrt(2.0 * outputs / values)


#: every loss by name
LOSSES: dict[str, Loss] = {kind.name: kind() for kind in (BinaryCrossEntropy, CrossEntropy, SquaredError)}


def loss_function(name: str) -> Loss:
    """The loss called `name`. Raises UnknownNameError listing the known ones.

    >>> loss_function("cross_entropy").formula, list(LOSSES)
    ('log(sum exp z) - z_y', ['binary_cross_entropy', 'cross_entropy', 'squared_error'])
    """
    try:
        return LOSSES[name]
    except (KeyError, TypeError):
        raise unknown_name("loss", name, LOSSES) from None


def _labels(y: npt.ArrayLike, loss: str, classes: int) -> npt.NDArray[np.intp]:
    """Class indices (N,), checked; whole numbers stored as floats or booleans are welcome, and a single column."""
    given = np.asarray(y)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        raise ShapeError(f"{loss}: expected labels y of shape (N,), got {given.shape}")
    expected = f"{loss}: expected labels y among 0..{classes - 1}"
    if given.dtype.kind not in "bifu":
        raise DataError(f"{expected}, got {given.dtype} values such as {given[:1].tolist()}")
    bad = ~((given >= 0) & (given < classes) & (given == np.floor(given)))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{expected}, got {given[row].item()} at example {row}")
    return given.astype(np.intp)


def _totals(values: Array) -> Any:
    """Sums over outputs and examples, the last two axes."""
    if values.ndim == 2:
        return np.add.reduce(values, axis=None)
    return np.add.reduce(values, axis=(-2, -1))


def _finite(total: Any) -> bool:
    """No number in total is infinite or not a number."""
    return bool((total if total.ndim == 0 else total.max()) < _INFINITY)


def _softplus(u: Array, out: Array, work: Array) -> None:
    """out <- log(1 + e^u) without overflow; far faster than logaddexp."""
    np.abs(u, work)
    np.negative(work, work)
    np.exp(work, work)
    np.log1p(work, work)
    np.maximum(u, 0.0, out=out)
    np.add(out, work, out)


def _sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z), to full relative accuracy for z << 0 too."""
    exponential = np.exp(-np.abs(z))
    probability: Array = np.where(z >= 0, 1.0, exponential) / (1.0 + exponential)
    return probability
