"""Closed-form predictions, to be laid over what is measured: numbers and curves, and what they hold for.

Rates and contraction factors on quadratics, the noise of SGD, Newton's quadratic convergence, the edge of stability.
Linear networks and autoencoders (linear_networks.py) and equivalent solutions (symmetry.py) can be had from here too.

>>> import nnopt
>>> f = nnopt.functions.get("quadratic", condition=9)
>>> best = nnopt.theory.best_gradient_descent(1.0, 9.0)
>>> history = nnopt.minimize(f, nnopt.optimizers.SGD(lr=best.lr), start=[1.0, -2.0], steps=50)
>>> round(float((history.value[50] / history.value[40]) ** (1 / 20)), 3), best.factor
(0.8, 0.8)
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import count_of
from nnopt.analysis.linear_networks import (
    CriticalPoint,
    Modes,
    autoencoder_critical_points,
    autoencoder_theta,
    balanced_start,
    deep_linear_losses,
    growing_strengths,
    half_rise_time,
    linear_modes,
    mode_strength,
    mode_strengths,
    whiten,
)
from nnopt.analysis.symmetry import Equivalents, equivalent_solutions
from nnopt.errors import SettingsError, ShapeError

Array: TypeAlias = npt.NDArray[np.float64]


class Rates(NamedTuple):
    """lr: learning rate a. beta: momentum b. factor: by which the error shrinks per step in the long run.

    >>> Rates(lr=0.2, beta=0.0, factor=0.8).factor
    0.8
    """

    lr: float
    beta: float
    factor: float


def stable_rate(largest: float) -> float:
    """2 / lmax: gradient descent on a quadratic converges iff its rate is below        (Cauchy 1847; Polyak 1963)

    largest: lmax > 0, the largest curvature. Raises: SettingsError.

    >>> stable_rate(10.0)
    0.2
    """
    return 2.0 / _positive("largest curvature", largest)


def best_gradient_descent(smallest: float, largest: float) -> Rates:
    """a = 2 / (lmin + lmax), factor (k - 1)/(k + 1), k = lmax/lmin: the best constant rate        (Polyak 1963)

    smallest, largest: extreme curvatures of a quadratic, 0 < lmin <= lmax. Raises: SettingsError.

    >>> best_gradient_descent(1.0, 9.0)
    Rates(lr=0.2, beta=0.0, factor=0.8)
    """
    low, high = _curvatures(smallest, largest)
    condition = high / low
    return Rates(2.0 / (low + high), 0.0, (condition - 1.0) / (condition + 1.0))


def best_heavy_ball(smallest: float, largest: float) -> Rates:
    """a = (2/(sqrt lmin + sqrt lmax))^2, b = ((sqrt k - 1)/(sqrt k + 1))^2, factor sqrt b        (Polyak 1964)

    The best constant rate and momentum of theta <- theta - a v, v <- g + b v on a quadratic. The error shrinks like
    t * factor^t: at the best momentum the two roots of the extreme directions coincide. Raises: SettingsError.

    >>> best_heavy_ball(1.0, 9.0)
    Rates(lr=0.25, beta=0.25, factor=0.5)
    """
    low, high = _curvatures(smallest, largest)
    root = math.sqrt(high / low)
    factor = (root - 1.0) / (root + 1.0)
    return Rates((2.0 / (math.sqrt(low) + math.sqrt(high))) ** 2, factor**2, factor)


def heavy_ball_factor(lr: float, beta: float, curvatures: npt.ArrayLike) -> Array:
    """Long-run factor per step along each eigen-direction of a quadratic, (K,) -> (K,)        (Polyak 1964)

        the larger |root| of z^2 - (1 + b - a l) z + b = 0;   |1 - a l| for b = 0 (gradient descent)

    lr: a. beta: b. curvatures (K,): l. It converges where the factor is below 1.

    >>> heavy_ball_factor(0.2, 0.0, [1.0, 9.0]).round(12)
    array([0.8, 0.8])
    """
    curvature = np.asarray(curvatures, dtype=np.float64)
    half = (1.0 + beta - lr * curvature) / 2.0
    root = np.sqrt((half * half - beta).astype(np.complex128))
    return np.asarray(np.maximum(np.abs(half + root), np.abs(half - root)))


def quadratic_losses(
    curvatures: npt.ArrayLike, components: npt.ArrayLike, steps: int, lr: float, beta: float = 0.0
) -> Array:
    """Excess loss 1/2 sum_i l_i x_i^2 after 0 .. steps updates of gradient descent or heavy ball, (steps + 1,)

    on a quadratic with curvatures l (K,), started at rest with components x (K,) of the error along its eigenvectors.
    Per direction x_{t+1} = (1 + b - a l) x_t - b x_{t-1}, x_{-1} = x_0        (Polyak 1964). Raises: ShapeError,
    SettingsError.

    >>> quadratic_losses([1.0], [2.0], 3, lr=0.5)
    array([2.     , 0.5    , 0.125  , 0.03125])
    """
    curvature, x = np.asarray(curvatures, dtype=np.float64), np.asarray(components, dtype=np.float64)
    if curvature.ndim != 1 or curvature.shape != x.shape:
        raise ShapeError(f"expected curvatures and components of one shape (K,), got {curvature.shape}, {x.shape}")
    before, losses = x, np.empty(count_of("steps", steps, least=0) + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps + 1):
            losses[t] = 0.5 * np.sum(curvature * x * x)
            x, before = (1.0 + beta - lr * curvature) * x - beta * before, x
    return losses


def covariance_factor(n: int, batch: int, replacement: bool = False) -> float:
    """What the covariance S of one example's gradient is multiplied by for the mean of B out of N examples

        1/B * (N - B)/(N - 1) without replacement,   1/B with it        (Cochran 1977, theorem 2.2)

    S is the covariance over the N examples, divided by N. Raises: SettingsError for a batch outside 1 .. N.

    >>> covariance_factor(101, 10), covariance_factor(100, 100), covariance_factor(100, 10, replacement=True)
    (0.091, 0.0, 0.1)
    """
    if n < 1 or batch < 1 or (batch > n and not replacement):
        raise SettingsError(f"batch: expected 1 .. {n} of {n} examples, got {batch}")
    if replacement:
        return 1.0 / batch
    return (n - batch) / (batch * (n - 1)) if n > 1 else 0.0


def minibatch_covariance(covariance: npt.ArrayLike, n: int, batch: int, replacement: bool = False) -> Array:
    """S/B * (N - B)/(N - 1): covariance of the gradient of B of N examples, from that of one, S; same shape.

    Raises as `covariance_factor`.

    >>> minibatch_covariance([[2.0]], n=5, batch=2)
    array([[0.75]])
    """
    return np.asarray(np.asarray(covariance, dtype=np.float64) * covariance_factor(n, batch, replacement))


def sgd_stationary_variance(lr: float, curvature: float, noise: float) -> float:
    """a s^2 / (l (2 - a l)): where the variance of SGD on (l/2) x^2 settles; infinity for a l >= 2

    lr: constant rate a. curvature: l > 0. noise: variance s^2 of the gradient's (independent) noise. For small rates it
    is a s^2 / (2 l), proportional to the rate (Bottou, Curtis & Nocedal 2018). Raises: SettingsError.

    >>> sgd_stationary_variance(lr=0.5, curvature=1.0, noise=3.0)
    1.0
    """
    rate, slope = _positive("learning rate", lr), _positive("curvature", curvature)
    return rate * noise / (slope * (2.0 - rate * slope)) if rate * slope < 2.0 else math.inf


def sgd_variances(rates: npt.ArrayLike, curvature: float, noise: float, start: float = 0.0) -> Array:
    """Variance of SGD on (l/2) x^2 after 0 .. T updates with the rates a_t (T,): (T + 1,)

        V_{t+1} = (1 - a_t l)^2 V_t + a_t^2 s^2,   V_0 = start

    Exact for independent gradient noise of variance s^2 = `noise`. With rates of a schedule (`lr * factors(range(T))`)
    it goes to zero if sum a = infinity and sum a^2 < infinity        (Robbins & Monro 1951). These conditions are
    sufficient: on a quadratic the noise also dies, like a_t s^2 / (2 l), where a_t -> 0 more slowly than they allow.
    Raises: ShapeError.

    >>> sgd_variances([0.5, 0.5, 0.5], curvature=1.0, noise=3.0)
    array([0.      , 0.75    , 0.9375  , 0.984375])
    """
    steps = np.asarray(rates, dtype=np.float64)
    if steps.ndim != 1:
        raise ShapeError(f"rates: expected shape (T,), got {steps.shape}")
    variances = np.empty(len(steps) + 1)
    variances[0] = variance = float(start)
    for t, rate in enumerate(steps.tolist()):
        variance = (1.0 - rate * curvature) ** 2 * variance + rate * rate * noise
        variances[t + 1] = variance
    return variances


def sgd_means(rates: npt.ArrayLike, curvature: float, start: float) -> Array:
    """Mean of SGD on (l/2) x^2 after 0 .. T updates with the rates a_t (T,): x_0 prod (1 - a_t l), (T + 1,)

    It reaches zero if sum a = infinity; where the sum is finite it stops short        (Robbins & Monro 1951).

    >>> sgd_means([0.5, 0.5], curvature=1.0, start=4.0)
    array([4., 2., 1.])
    """
    factors = 1.0 - np.asarray(rates, dtype=np.float64) * curvature
    return np.asarray(start * np.concatenate([[1.0], np.cumprod(factors)]))


def newton_constant(second: float, third: float) -> float:
    """C = |f'''| / (2 |f''|) at a minimum: near it Newton's errors obey |e_{t+1}| = C e_t^2        (Kantorovich 1948)

    second, third: derivatives f'' and f''' there. Raises: SettingsError for f'' = 0, where convergence is only linear.

    >>> newton_constant(second=2.0, third=8.0)
    2.0
    """
    if second == 0:
        raise SettingsError("newton_constant: expected f'' other than 0; there Newton's method converges linearly")
    return abs(third) / (2.0 * abs(second))


def newton_errors(error: float, constant: float, steps: int) -> Array:
    """|e| after 0 .. steps Newton steps near a minimum, |e_{t+1}| = C e_t^2: digits double each step, (steps + 1,)

    constant: C, from `newton_constant` (Kantorovich 1948). Raises: SettingsError for steps < 0.

    >>> newton_errors(0.1, 1.0, 3)
    array([1.e-01, 1.e-02, 1.e-04, 1.e-08])
    """
    errors = np.empty(count_of("steps", steps, least=0) + 1)
    errors[0] = abs(error)
    with np.errstate(over="ignore"):
        for t in range(steps):
            errors[t + 1] = constant * errors[t] ** 2
    return errors


def newton_to_gradient(lr: float, curvatures: npt.ArrayLike) -> Array:
    """1/(a l): the Newton step -(v.g)/l in units of the gradient step -a (v.g), per eigen-direction: (K,) -> (K,)

    Above 1 where it is flat (bigger steps), below 1 where it is steep, negative where l < 0: the wrong way. Infinite
    for l = 0. Raises: SettingsError for a rate <= 0.

    >>> newton_to_gradient(0.1, [100.0, 10.0, 0.1, -1.0])
    array([  0.1,   1. , 100. , -10. ])
    """
    rate = _positive("learning rate", lr)
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / (rate * np.asarray(curvatures, dtype=np.float64)))


def edge_of_stability(lr: float, beta: float = 0.0) -> float:
    """2/a, with heavy-ball momentum (2 + 2 b)/a: the sharpness at which training with full batches becomes unstable

    Along a run of plain gradient descent the largest eigenvalue of the Hessian rises to it and hovers there (Cohen et
    al. 2021). Raises: SettingsError.

    >>> edge_of_stability(0.1), edge_of_stability(0.1, beta=0.5)
    (20.0, 30.0)
    """
    if not 0 <= beta < 1:
        raise SettingsError(f"edge_of_stability: expected beta in [0, 1), got {beta!r}")
    return (2.0 + 2.0 * beta) / _positive("learning rate", lr)


def _positive(name: str, value: float) -> float:
    if not isinstance(value, (int, float, np.number)) or not 0 < value < math.inf:
        raise SettingsError(f"{name}: expected a number > 0, got {value!r}")
    return float(value)


def _curvatures(smallest: float, largest: float) -> tuple[float, float]:
    low, high = _positive("smallest curvature", smallest), _positive("largest curvature", largest)
    if low > high:
        raise SettingsError(f"curvatures: expected smallest <= largest, got {smallest!r} and {largest!r}")
    return low, high


__all__ = [
    "CriticalPoint", "Equivalents", "Modes", "Rates", "autoencoder_critical_points", "autoencoder_theta",
    "balanced_start", "best_gradient_descent", "best_heavy_ball", "covariance_factor", "deep_linear_losses",
    "edge_of_stability", "equivalent_solutions", "growing_strengths", "half_rise_time", "heavy_ball_factor",
    "linear_modes", "minibatch_covariance", "mode_strength", "mode_strengths", "newton_constant", "newton_errors",
    "newton_to_gradient", "quadratic_losses", "sgd_means", "sgd_stationary_variance", "sgd_variances", "stable_rate",
    "whiten",
]  # fmt: skip
