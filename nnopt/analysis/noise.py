"""The noise of mini-batch gradients: covariance by batch size, direction, signal; and what an epoch costs.

Everything is measured at one point theta, over the examples of one objective.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import count_of
from nnopt.analysis.theory import covariance_factor
from nnopt.blas import one_thread
from nnopt.errors import UnsupportedError
from nnopt.optimizers.batches import Mini
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]


def example_gradients(objective: Any, theta: npt.ArrayLike) -> Array:
    """The gradient of every single example at theta (P,), as (N, P); their mean is the full gradient.

    objective: anything with `examples` and `value_and_gradient(theta, rows)`. Raises: UnsupportedError otherwise.

    >>> from nnopt.objectives.network import Network
    >>> from nnopt.objectives.objective import NetworkObjective
    >>> objective = NetworkObjective(Network((1, 1)), [[1.0], [2.0]], [0.0, 2.0], loss="squared_error")
    >>> example_gradients(objective, np.array([1.0, 0.0]))
    array([[1., 1.],
           [0., 0.]])
    """
    vector = np.asarray(theta, dtype=np.float64)
    rows = np.arange(_examples(objective))[:, None]
    return np.array([objective.value_and_gradient(vector, row)[1] for row in rows])


@dataclass(frozen=True, eq=False, repr=False)
class GradientNoise(Shown):
    """The gradients of single examples at one point, and what follows for batches of them.

    gradients (N, P). mean (P,): the full gradient g. total: trace of S, the covariance of one example's gradient.

    >>> noise = GradientNoise(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 2.0]]))
    >>> noise.total, noise.variance(1), noise.variance(4), noise.signal_to_noise(4)
    (1.0, 1.0, 0.0, inf)
    """

    gradients: Array

    @property
    def n(self) -> int:
        """Number of examples N."""
        return len(self.gradients)

    @property
    def mean(self) -> Array:
        """The full gradient g, (P,)."""
        return np.asarray(self.gradients.mean(axis=0))

    @property
    def total(self) -> float:
        """tr S = mean of |g_i - g|^2."""
        return float(np.mean(np.sum((self.gradients - self.mean) ** 2, axis=1)))

    def covariance(self, batch: int = 1, replacement: bool = False) -> Array:
        """Exact covariance of the batch's gradient, (P, P): S/B * (N - B)/(N - 1), or S/B with replacement.

        Raises: SettingsError for a batch outside 1 .. N.
        """
        centred = self.gradients - self.mean
        return np.asarray(centred.T @ centred / self.n * covariance_factor(self.n, batch, replacement))

    def variance(self, batch: int, replacement: bool = False) -> float:
        """tr of `covariance(batch)`: the mean squared length of the noise, without making the matrix."""
        return self.total * covariance_factor(self.n, batch, replacement)

    def signal_to_noise(self, batch: int, replacement: bool = False) -> float:
        """|g| / sqrt(tr covariance(batch)); infinity without noise. At 1 noise and gradient are equally long."""
        noise = math.sqrt(self.variance(batch, replacement))
        signal = float(np.linalg.norm(self.mean))
        return signal / noise if noise > 0 else math.inf

    def noise_scale(self) -> float:
        """tr S / |g|^2: the batch size (drawn with replacement) at which noise and gradient are equally long; above it
        larger batches help little        (McCandlish et al. 2018)"""
        signal = float(self.mean @ self.mean)
        return self.total / signal if signal > 0 else math.inf

    def angle(self, batch: int, replacement: bool = False) -> float:
        """arctan(sqrt(tr C - g.C g / |g|^2) / |g|) in degrees, C = covariance(batch): the angle between a batch's
        gradient and the full one g whose tangent has the noise's root-mean-square length across g. 90 for g = 0."""
        mean = self.mean
        length = float(np.linalg.norm(mean))
        centred = self.gradients - mean
        along = float(np.mean((centred @ mean) ** 2)) / length**2 if length > 0 else 0.0
        across = max(self.total - along, 0.0) * covariance_factor(self.n, batch, replacement)
        return math.degrees(math.atan2(math.sqrt(across), length)) if length > 0 else 90.0


def gradient_noise(objective: Any, theta: npt.ArrayLike) -> GradientNoise:
    """The noise of the gradient at theta (P,): its covariance, angle and signal by batch size, exactly.

    N single gradients are computed, (N, P) numbers kept. Raises as `example_gradients`.

    >>> from nnopt.objectives.network import Network
    >>> from nnopt.objectives.objective import NetworkObjective
    >>> objective = NetworkObjective(Network((1, 1)), [[1.0], [2.0]], [0.0, 2.0], loss="squared_error")
    >>> gradient_noise(objective, [1.0, 0.0]).covariance(1)
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    return GradientNoise(example_gradients(objective, theta))


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredNoise(Shown):
    """What batches of one size were found to do. batch: their size B. gradients (draws, P): of the batches drawn.
    full (P,): the full gradient.

    >>> measured = MeasuredNoise(2, np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([1.0, 0.0]))
    >>> measured.angles, measured.variance, measured.signal_to_noise
    (array([45., 45.]), 1.0, 1.0)
    """

    batch: int
    gradients: Array
    full: Array

    @property
    def covariance(self) -> Array:
        """Mean of (g_B - g)(g_B - g)^T over the draws, (P, P)."""
        centred = self.gradients - self.full
        return np.asarray(centred.T @ centred / len(centred))

    @property
    def variance(self) -> float:
        """Its trace."""
        return float(np.mean(np.sum((self.gradients - self.full) ** 2, axis=1)))

    @property
    def angles(self) -> Array:
        """Degrees between each batch's gradient and the full one, (draws,); NaN where one of them is zero."""
        lengths = np.linalg.norm(self.gradients, axis=1) * np.linalg.norm(self.full)
        cosines = np.full(len(lengths), np.nan)
        np.divide(self.gradients @ self.full, lengths, out=cosines, where=lengths > 0)
        return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))))

    @property
    def signal_to_noise(self) -> float:
        """|g| / sqrt(variance); infinity without noise."""
        noise = math.sqrt(self.variance)
        return float(np.linalg.norm(self.full)) / noise if noise > 0 else math.inf


def measure_noise(
    objective: Any, theta: npt.ArrayLike, batch: int, draws: int = 1000, seed: int = 0, replacement: bool = False
) -> MeasuredNoise:
    """Draw batches as a run does and take their gradients at theta (P,), which does not move.

    batch: 1 .. N examples. draws: batches; within an epoch they are without replacement, as in a run; the shorter rest
    of an epoch is left out. Raises: SettingsError, UnsupportedError.

    >>> from nnopt.objectives import datasets
    >>> from nnopt.objectives.network import Network
    >>> from nnopt.objectives.objective import NetworkObjective
    >>> data, network = datasets.get("gauss", points=50).make(0), Network((2, 3, 1))
    >>> objective, theta = NetworkObjective(network, data.X, data.y), network.initial(0)
    >>> measured = measure_noise(objective, theta, batch=5, draws=500)
    >>> abs(measured.variance / gradient_noise(objective, theta).variance(5) - 1) < 0.15
    True
    """
    vector, n = np.asarray(theta, dtype=np.float64), _examples(objective)
    covariance_factor(n, batch, replacement)
    count_of("draws", draws, least=1)
    sampler = Mini(size=batch, replacement=replacement).sampler(n, count_of("seed", seed, least=0))
    gradients: list[Array] = []
    step = 0
    while len(gradients) < draws:
        rows = sampler.rows(step)
        step += 1
        if rows is None or len(rows) == batch:
            gradients.append(objective.value_and_gradient(vector, rows)[1])
    return MeasuredNoise(batch, np.array(gradients), objective.value_and_gradient(vector)[1])


@dataclass(frozen=True)
class EpochTime:
    """An epoch of gradient descent in batches of `batch`, in seconds: `together`, each batch in matrix products as one,
    and `one_by_one`, the same batches and updates with the examples of a batch taken one after the other.
    updates: per epoch. difference: largest difference between the parameters that the two arrive at.

    >>> EpochTime(batch=10, updates=20, together=0.001, one_by_one=0.008, difference=0.0).speedup
    8.0
    """

    batch: int
    updates: int
    together: float
    one_by_one: float
    difference: float

    @property
    def speedup(self) -> float:
        """one_by_one / together."""
        return self.one_by_one / self.together


def epoch_times(
    objective: Any,
    theta: npt.ArrayLike,
    batches: Sequence[int] = (1, 10, 100),
    lr: float = 0.01,
    repeats: int = 10,
    seed: int = 0,
) -> list[EpochTime]:
    """What an epoch costs by batch size, and what it would cost one example at a time: why batches, why BLAS.

    Fair: both ways make the same updates from theta (P,) on the same batches, with the same kernel, on one thread; each
    runs once to warm up and then `repeats` times, all ways taking turns so that a disturbance meets everybody; the
    quickest time of each counts. Drawing the batches is not timed. Raises: SettingsError, UnsupportedError.

    >>> from nnopt.objectives import datasets
    >>> from nnopt.objectives.network import Network
    >>> from nnopt.objectives.objective import NetworkObjective
    >>> data, network = datasets.get("gauss", points=200).make(0), Network((2, 4, 1))
    >>> whole = epoch_times(NetworkObjective(network, data.X, data.y), network.initial(0), batches=[200], repeats=2)[0]
    >>> whole.updates, whole.speedup > 2, whole.difference < 1e-12
    (1, True, True)
    """
    one_thread()
    start, n = np.array(theta, dtype=np.float64), _examples(objective)
    count_of("repeats", repeats, least=1)
    ways: list[tuple[int, list[Rows], Callable[[], Array]]] = []
    for batch in np.atleast_1d(batches).tolist():
        covariance_factor(n, batch)
        rows = list(_epoch(n, batch, seed))
        singles = [list(some[:, None]) for some in rows]
        ways.append((batch, rows, partial(_train, objective, start, rows, lr)))
        ways.append((batch, rows, partial(_train_one_by_one, objective, start, singles, lr)))
    arrived = [run() for _, _, run in ways]
    quickest = [math.inf] * len(ways)
    for _ in range(repeats):
        for k, (_, _, run) in enumerate(ways):
            began = time.perf_counter()
            run()
            quickest[k] = min(quickest[k], time.perf_counter() - began)
    return [
        EpochTime(
            ways[k][0], len(ways[k][1]), quickest[k], quickest[k + 1],
            float(np.abs(arrived[k] - arrived[k + 1]).max()),
        )
        for k in range(0, len(ways), 2)
    ]  # fmt: skip


def _train(objective: Any, start: Array, batches: list[Rows], lr: float) -> Array:
    theta = start.copy()
    for rows in batches:
        theta -= lr * objective.value_and_gradient(theta, rows)[1]
    return theta


def _train_one_by_one(objective: Any, start: Array, batches: list[list[Rows]], lr: float) -> Array:
    theta = start.copy()
    for first, *others in batches:
        gradient = objective.value_and_gradient(theta, first)[1]
        for example in others:
            gradient += objective.value_and_gradient(theta, example)[1]
        theta -= (lr / (1 + len(others))) * gradient
    return theta


def _epoch(n: int, batch: int, seed: int) -> Iterator[Rows]:
    sampler = Mini(size=batch).sampler(n, seed)
    for step in range(sampler.steps_per_epoch):
        rows = sampler.rows(step)
        yield np.arange(n) if rows is None else rows


def _examples(objective: Any) -> int:
    count = getattr(objective, "examples", None)
    if not isinstance(count, (int, np.integer)):
        raise UnsupportedError(f"{type(objective).__name__} has no `examples` whose gradients could differ")
    return int(count)
