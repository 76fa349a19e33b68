"""Deep linear networks and linear autoencoders: what can be known about training before it is done.

Part of the theory (theory.py). Activation `identity`, loss `squared_error`, no penalty.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import count_of
from nnopt.errors import DataError, SettingsError, ShapeError, UnsupportedError
from nnopt.objectives.network import Network
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]

#: how far inputs may be from white, and from zero mean
_WHITE = 1e-6
#: critical points that are listed, at most
_MOST_POINTS = 100_000


@dataclass(frozen=True, eq=False, repr=False)
class Modes(Shown):
    """What a linear network learns, one mode after the other: Y^T X / N = U diag(s) V^T.

    strengths (R,): s, descending. outputs (C, R): U, inputs (D, R): V, as columns. rest: loss that no linear network
    can take away, 1/2 (mean |y|^2 - sum s^2).

    >>> linear_modes([[1.0], [-1.0]], [[2.0], [-2.0]]).strengths
    array([2.])
    """

    strengths: Array
    outputs: Array
    inputs: Array
    rest: float


def whiten(X: npt.ArrayLike) -> Array:
    """(X - mean) C^(-1/2): inputs (N, D) with zero mean and covariance one, the nearest to the given ones (Zca).

    Raises: DataError if the covariance C is singular or not finite; ShapeError.

    >>> white = whiten([[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]])
    >>> (white.T @ white / 4).round(12) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    given = np.asarray(X, dtype=np.float64)
    if given.ndim != 2 or not given.size:
        raise ShapeError(f"whiten: expected X (N, D), got {given.shape}")
    if not np.isfinite(given).all():
        raise DataError("whiten: expected finite inputs, got some that are infinite or not a number")
    centred = given - given.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    if values[0] <= 1e-12 * values[-1]:
        raise DataError(f"whiten: the inputs lie in fewer than {len(values)} dimensions, their covariance is singular")
    return np.asarray(centred @ (vectors / np.sqrt(values)) @ vectors.T)


def linear_modes(X: npt.ArrayLike, Y: npt.ArrayLike) -> Modes:
    """The modes of X (N, D), white, and targets Y (N, C) or (N,)        (Saxe, McClelland & Ganguli 2014)

    Raises: ShapeError; DataError unless X has covariance one, and X and Y have zero mean (`whiten` makes X so): the
    modes of other inputs do not grow independently, and biases take part.

    >>> X = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> linear_modes(X, X * [3.0, 2.0]).strengths
    array([3., 2.])
    """
    inputs, targets = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    targets = targets[:, None] if targets.ndim == 1 else targets
    if inputs.ndim != 2 or targets.ndim != 2 or len(inputs) != len(targets):
        raise ShapeError(f"linear_modes: expected X (N, D) and Y (N, C), got {inputs.shape} and {targets.shape}")
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise DataError("linear_modes: expected finite X and Y, got numbers that are infinite or not a number")
    n = len(inputs)
    away = float(np.abs(inputs.T @ inputs / n - np.eye(inputs.shape[1])).max())
    mean = max(float(np.abs(part.mean(axis=0)).max()) for part in (inputs, targets))
    if away > _WHITE or mean > _WHITE:
        raise DataError(
            f"linear_modes: expected white inputs and zero means, got a covariance {away:.1e} from one and means up to "
            f"{mean:.1e}"
        )
    left, strengths, right = np.linalg.svd(targets.T @ inputs / n, full_matrices=False)
    rest = 0.5 * (float(np.sum(targets * targets)) / n - float(np.sum(strengths * strengths)))
    return Modes(strengths, left, right.T, max(rest, 0.0))


def mode_strength(t: npt.ArrayLike, s: float, u0: float, tau: float, layers: int = 2) -> Array:
    """How a mode of strength s has grown at times t: an array like t        (Saxe et al. 2014)

        two layers of weights:  u(t) = s e^(2st/tau) / (e^(2st/tau) - 1 + s/u0)
        n layers:               tau du/dt = n u^(2 - 2/n) (s - u), u(0) = u0, integrated numerically

    t: in updates of gradient descent, if tau = 1 / learning rate (the loss is a mean over examples). u0: strength at
    the start, 0 < u0 < s, of balanced weights. Small rates: the flow, not the steps, is solved. Raises: SettingsError,
    for times that are negative or not finite, too, unless there are two layers.

    >>> mode_strength([0.0, 100.0, 200.0], s=2.0, u0=1e-3, tau=50.0).round(3).tolist()
    [0.001, 1.197, 2.0]
    """
    _check_mode(s, u0, tau, layers)
    times = np.asarray(t, dtype=np.float64)
    if layers == 2 or not times.size:
        with np.errstate(over="ignore"):
            return np.asarray(s / (1.0 + (s / u0 - 1.0) * np.exp(-2.0 * s * times / tau)))
    if not (np.isfinite(times) & (times >= 0)).all():
        raise SettingsError(f"mode_strength: expected finite times >= 0 for {layers} layers, got {t!r:.200}")
    from scipy.integrate import solve_ivp

    # in order, each once, as the solver wants them
    wanted, places = np.unique(times / tau, return_inverse=True)
    power = 2.0 - 2.0 / layers
    # a thousandth of the time in which a mode rises, at least: over next to no time the solver finds no step
    end = max(float(wanted[-1]), 1e-3 / (layers * s**power))
    flow = solve_ivp(
        lambda _, u: layers * np.abs(u) ** power * (s - u), (0.0, end), [u0],
        t_eval=wanted, method="LSODA", rtol=1e-9, atol=1e-12 * u0,
    )  # fmt: skip
    return np.asarray(flow.y[0][places].reshape(times.shape))


def half_rise_time(s: float, u0: float, tau: float, layers: int = 2) -> float:
    """The time at which a mode has grown to s / 2: tau/(2 s) * log(s/u0 - 1) for two layers of weights

        n layers:  tau/n * integral from u0 to s/2 of du / (u^(2 - 2/n) (s - u))        (Saxe et al. 2014)

    Stronger modes come earlier, each after a plateau of its own. Units, arguments and errors as for `mode_strength`; 0
    for a mode that starts at more than s / 2.

    >>> round(half_rise_time(s=2.0, u0=1e-3, tau=50.0), 2)
    95.01
    """
    _check_mode(s, u0, tau, layers)
    if u0 >= s / 2.0:
        return 0.0
    if layers == 2:
        return tau / (2.0 * s) * math.log(s / u0 - 1.0)
    from scipy.integrate import quad

    # in y = log u the integrand is smooth over the many decades between u0 and s
    power = 2.0 / layers - 1.0
    area, _ = quad(lambda y: math.exp(power * y) / (s - math.exp(y)), math.log(u0), math.log(s / 2.0), epsrel=1e-10)
    return tau / layers * float(area)


def deep_linear_losses(t: npt.ArrayLike, modes: Modes, u0: float | npt.ArrayLike, tau: float, layers: int = 2) -> Array:
    """Loss at times t: 1/2 sum over modes of (s - u(t))^2, plus what no linear network takes away; an array like t.

    u0: strength at the start, of all modes or of each (R,). One plateau per mode and one drop at its half-rise time.
    Modes of no strength are left out. Raises: SettingsError, ShapeError        (Saxe et al. 2014)

    >>> modes = Modes(np.array([3.0, 1.0]), np.eye(2), np.eye(2), 0.25)
    >>> deep_linear_losses([0.0, 1e9], modes, u0=1e-6, tau=10.0).round(4)
    array([5.25, 0.25])
    """
    starts, count = np.asarray(u0, dtype=np.float64), len(modes.strengths)
    if starts.shape not in ((), (1,), (count,)):
        raise ShapeError(f"u0: expected one number or one for each of {count} modes, got shape {starts.shape}")
    starts = np.broadcast_to(starts, count)
    loss = np.full(np.shape(t), modes.rest)
    for s, start in zip(modes.strengths.tolist(), starts.tolist(), strict=True):
        if s > 1e-12 * modes.strengths[0]:
            loss += 0.5 * (s - mode_strength(t, s, start, tau, layers)) ** 2
    return loss


def mode_strengths(network: Network, theta: npt.ArrayLike, modes: Modes) -> Array:
    """u: how strong each mode is in the weights, diag(U^T W_n ... W_1 V)        (Saxe et al. 2014)

    theta (..., P) -> (..., R), so that a whole run's states are taken at once.
    Raises: SettingsError unless the activation is `identity`; ShapeError.

    >>> modes = Modes(np.array([3.0]), np.eye(1), np.eye(1), 0.0)
    >>> mode_strengths(Network((1, 1, 1), "identity"), [2.0, 0.0, 0.5, 0.0], modes)
    array([1.])
    """
    product = None
    for block in _linear(network, modes).layers(np.asarray(theta, dtype=np.float64)):
        weights = block[..., :-1]
        product = weights if product is None else weights @ product
    assert product is not None
    return np.asarray(np.einsum("cr,...cd,dr->...r", modes.outputs, product, modes.inputs))


def growing_strengths(network: Network, theta: npt.ArrayLike, modes: Modes) -> Array:
    """u0 (R,) of small weights that are not balanced, one hidden layer: |W1 v + W2^T u|^2 / 4 of each mode

    While weights are small, W1 v and W2^T u of a mode feed each other; their sum grows as e^(st/tau) and their
    difference dies, so that a mode grows as if it had begun balanced with half of the sum in both (linearization of
    Saxe et al. 2014, eq. 4). Modes that share hidden units disturb each other a little: the times are approximate.

    Raises: SettingsError unless the network is linear with one hidden layer; ShapeError.

    >>> modes = Modes(np.array([3.0]), np.eye(1), np.eye(1), 0.0)
    >>> growing_strengths(Network((1, 1, 1), "identity"), [0.03, 0.0, 0.01, 0.0], modes).round(6)
    array([0.0004])
    """
    layers = _linear(network, modes).layers(np.asarray(theta, dtype=np.float64))
    if len(layers) != 2:
        raise SettingsError(f"growing_strengths: expected a network with one hidden layer, got {network!r}")
    together = layers[0][:, :-1] @ modes.inputs + layers[1][:, :-1].T @ modes.outputs
    return np.asarray(np.sum(together * together, axis=0) / 4.0)


def balanced_start(network: Network, modes: Modes, u0: float) -> Array:
    """theta (P,) in which every mode has the strength u0, evenly over all layers: where the closed form is exact.

    Hidden unit r carries mode r with u0^(1/n) in each of the n layers; the other units are zero. Raises: SettingsError
    if u0 < 0, a hidden layer has fewer units than there are modes, or the activation is not `identity`; ShapeError.

    >>> modes = Modes(np.array([3.0]), np.eye(1), np.eye(1), 0.0)
    >>> balanced_start(Network((1, 2, 1), "identity"), modes, 0.04)
    array([0.2, 0. , 0. , 0. , 0.2, 0. , 0. ])
    """
    if not 0 <= u0 < math.inf:
        raise SettingsError(f"balanced_start: expected u0 >= 0, got {u0!r}")
    count = len(modes.strengths)
    if min(_linear(network, modes).widths, default=0) < count:
        raise SettingsError(f"balanced_start: expected hidden layers of {count} units at least, got {network.widths}")
    theta = np.zeros(network.size)
    layers = network.layers(theta)
    share = u0 ** (1.0 / len(layers))
    layers[0][:count, :-1] = share * modes.inputs.T
    for block in layers[1:-1]:
        block[:count, :count] = share * np.eye(count)
    layers[-1][:, :count] = share * modes.outputs
    return theta


@dataclass(frozen=True)
class CriticalPoint:
    """Where the gradient of a linear autoencoder is zero. kept: the principal components that pass, by index. loss.
    index: how many eigenvalues of the Hessian are negative; 0 is a minimum, everything else a saddle.

    >>> CriticalPoint(kept=(0, 1), loss=1.5, index=0).kept
    (0, 1)
    """

    kept: tuple[int, ...]
    loss: float
    index: int


def autoencoder_critical_points(variances: npt.ArrayLike, hidden: int) -> list[CriticalPoint]:
    """All critical points of a linear autoencoder, up to mixing of hidden units, from the lowest loss up

        loss = 1/2 * sum of the variances not kept;   index = sum over kept i of |{j not kept: l_j > l_i}|
        + (hidden - |kept|) * |{j not kept: l_j > 0}|        (Baldi & Hornik 1989)

    variances (D,): of the principal components of the inputs, in any order. hidden: units of the hidden layer. The
    index of a point that keeps fewer components than it has hidden units is that with the spare units at zero.
    Every one but the best is a saddle. Raises: SettingsError, ShapeError; UnsupportedError where there are more than
    100,000.

    >>> [(point.loss, point.index) for point in autoencoder_critical_points([4, 3, 2, 1], hidden=2)][:4]
    [(1.5, 0), (2.0, 1), (2.5, 2), (2.5, 2)]
    """
    spread = np.asarray(variances, dtype=np.float64)
    if spread.ndim != 1 or not spread.size:
        raise ShapeError(f"autoencoder_critical_points: expected variances (D,), got {spread.shape}")
    if not (spread >= 0).all():
        raise SettingsError(f"autoencoder_critical_points: expected variances >= 0, got {spread.tolist()}")
    hidden = count_of("hidden", hidden, least=1)
    most = min(hidden, len(spread))
    count = sum(math.comb(len(spread), kept) for kept in range(most + 1))
    if count > _MOST_POINTS:
        raise UnsupportedError(
            f"autoencoder_critical_points: {len(spread)} components and {hidden} hidden units have more than "
            f"{_MOST_POINTS:,} critical points"
        )
    points = []
    for kept in itertools.chain.from_iterable(itertools.combinations(range(len(spread)), r) for r in range(most + 1)):
        left = np.delete(spread, kept)
        swaps = sum(int(np.count_nonzero(left > spread[i])) for i in kept)
        spare = (hidden - len(kept)) * int(np.count_nonzero(left > 0))
        points.append(CriticalPoint(kept, 0.5 * float(left.sum()), swaps + spare))
    return sorted(points, key=lambda point: (point.loss, point.index, point.kept))


def autoencoder_theta(network: Network, components: npt.ArrayLike, kept: Iterable[int]) -> Array:
    """theta (P,) of the critical point that keeps some principal components: W1 = their rows, W2 = their columns.

    There W2 W1 projects onto these components        (Baldi & Hornik 1989)

    components (D, D): principal components of the inputs as columns. kept: indices of some of them, each once. Spare
    hidden units are zero. Raises: SettingsError unless the network is D-hidden-D, linear, with enough hidden units;
    ShapeError.

    >>> autoencoder_theta(Network((2, 1, 2), "identity"), np.eye(2), [1])
    array([0., 1., 0., 0., 0., 1., 0.])
    """
    columns, indices, sizes = np.asarray(components, dtype=np.float64), list(kept), network.sizes
    if columns.shape != (sizes[0], sizes[0]):
        raise ShapeError(f"autoencoder_theta: expected components of shape {(sizes[0],) * 2}, got {columns.shape}")
    if len(set(indices)) < len(indices) or not set(indices) <= set(range(sizes[0])):
        raise SettingsError(f"kept: expected different indices among 0 .. {sizes[0] - 1}, got {indices}")
    chosen = columns[:, indices]
    if len(sizes) != 3 or sizes[0] != sizes[2] or network.activation != "identity" or sizes[1] < chosen.shape[1]:
        wanted = f"sizes (D, {chosen.shape[1]} or more, D) and activation identity"
        raise SettingsError(f"autoencoder_theta: expected {wanted}, got {network!r}")
    theta = np.zeros(network.size)
    first, second = network.layers(theta)
    first[: chosen.shape[1], :-1] = chosen.T
    second[:, : chosen.shape[1]] = chosen
    return theta


def _linear(network: Network, modes: Modes) -> Network:
    if network.activation != "identity":
        raise SettingsError(f"expected a linear network (activation identity), got {network!r}")
    if (network.inputs, network.outputs) != (len(modes.inputs), len(modes.outputs)):
        raise ShapeError(
            f"expected a network from {len(modes.inputs)} inputs to {len(modes.outputs)} outputs, got {network!r}"
        )
    return network


def _check_mode(s: float, u0: float, tau: float, layers: int) -> None:
    if not (0 < u0 < s < math.inf and 0 < tau < math.inf):
        raise SettingsError(f"a mode: expected 0 < u0 < s and tau > 0, got u0 = {u0!r}, s = {s!r}, tau = {tau!r}")
    if isinstance(layers, bool) or not isinstance(layers, int) or layers < 2:
        raise SettingsError(f"a mode: expected layers >= 2, got {layers!r}")
