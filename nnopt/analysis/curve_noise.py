"""The noise of a curve: of its points, of means of them, and how far a slow one makes it swing.

Floor `analysis`, below flatness.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Standard deviation of the curve around its course.

    local: of one point, at every place (n,). slow: what means of 1, 2, 4, ... points have in addition, because noise
    that is correlated averages out more slowly than 1 / sqrt(m).

    >>> Noise(np.full(9, 0.3), (0.0,)).of_mean(9, 0).round(2)
    np.float64(0.1)
    """

    local: Array
    slow: tuple[float, ...]

    def of_mean(self, m: int, at: Any = slice(None)) -> Any:
        """Standard deviation of the mean of m points, at places `at`."""
        level = min(m.bit_length(), len(self.slow)) - 1
        return np.sqrt((self.local[at] ** 2 + self.slow[level] ** 2 * (1 << level)) / m)


def measure_noise(curve: Array) -> Noise:
    """From fourth differences of means of 1, 2, 4, ... points, which no smooth course contributes to.

    >>> noise = measure_noise(0.1 * np.random.default_rng(0).standard_normal(4000) + np.linspace(9.0, 0.0, 4000))
    >>> round(float(np.median(noise.local)), 2), round(float(noise.of_mean(100, 0)), 2)
    (0.1, 0.01)
    """
    n = len(curve)
    sums = np.concatenate([[0.0], np.cumsum(curve)])
    local = np.zeros(n)
    slow: list[float] = [0.0]
    single = 0.0
    m = 1
    while (m == 1 or m <= n // 80) and n >= 5 * m:
        means = (sums[m:] - sums[:-m]) / m
        size = len(means) - 4 * m
        fourth = np.abs(
            means[:size] - 4 * means[m : m + size] + 6 * means[2 * m : 2 * m + size] - 4 * means[3 * m : 3 * m + size]
            + means[4 * m :]
        ) / (0.6745 * np.sqrt(70.0))  # fmt: skip
        spread = float(np.quantile(fourth, 0.25)) * 0.6745 / 0.3186
        if m == 1:
            single = spread
            rough = median_filter(fourth, 2 * max(5, size // 16) + 1, mode="reflect")
            local[2 : 2 + size] = rough
            local[:2], local[2 + size :] = rough[0], rough[-1]
        else:
            slow.append(float(np.sqrt(max(0.0, spread**2 - single**2 / m))))
        m *= 2
    # beyond the widest means that can be measured: correlations that still grow go on growing, ever less
    growth = min(2.0, 2.0 * slow[-1] ** 2 / slow[-2] ** 2) if len(slow) > 2 and slow[-2] > 0.0 else 1.0
    for _ in range(4):
        growth = 1.0 + 0.7 * max(0.0, growth - 1.0)
        slow.append(slow[-1] * float(np.sqrt(growth / 2.0)))
    return Noise(local, tuple(slow))


def slow_swing(mean: Array, fast: float) -> float:
    """How far a curve, smoothed, rises in a quarter of all places over 1 % to 8 % of its length: what slow noise does
    by itself. Nothing where it falls for the most part, or where noise that does not last explains it. fast: standard
    deviation of that.

    >>> slow_swing(np.linspace(1.0, 0.0, 400), fast=0.0)
    0.0
    """
    n = len(mean)
    rises = [np.quantile(mean[m:] - mean[:-m], 0.75) for m in (n // 100, n // 50, n // 25, n // 12) if m >= 1]
    explained = float(np.sqrt(2.0)) * 0.6745 * fast
    return float(np.sqrt(max(0.0, max([0.0, *rises]) ** 2 - explained**2)))


def running_mean(curve: Array, half: int) -> Array:
    """The mean of every point of curve (n,) and up to `half` on both sides of it.

    >>> running_mean(np.array([0.0, 3.0, 6.0, 0.0]), 1)
    array([1.5, 3. , 3. , 3. ])
    """
    sums = np.concatenate([[0.0], np.cumsum(curve)])
    places = np.arange(len(curve))
    low, high = np.maximum(places - half, 0), np.minimum(places + half + 1, len(curve))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def median_filter(values: Array, size: int, mode: str) -> Array:
    """The median of every point of values (n,) and its neighbours, `size` in all. mode: beyond the ends, as scipy's.

    >>> median_filter(np.array([1.0, 9.0, 2.0, 3.0]), 3, mode="nearest")
    array([1., 2., 3., 3.])
    """
    from scipy import ndimage  # 0.3 s of every start-up otherwise

    return np.asarray(ndimage.median_filter(values, size, mode=mode))
