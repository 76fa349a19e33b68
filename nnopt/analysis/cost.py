"""What a whole Hessian would cost: memory and time of any network's, predicted before anything is made.

The memory is P^2 numbers of 8 bytes. The time goes into calls, into P^2 entries that are written, into P^2 N sums over
examples, and into the products of activations of each pair of layers that are summed; these rates are measured once on
this machine, on networks that take milliseconds. Floor `analysis`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from time import perf_counter, thread_time
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import count_of
from nnopt.errors import SettingsError, UnsupportedError
from nnopt.objectives.hessian import LIMIT_BYTES
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective

Array: TypeAlias = npt.NDArray[np.float64]

#: networks and numbers of examples that the rates are measured on
_SAMPLES = (
    ((2, 4, 1), 16), ((2, 16, 16, 1), 50), ((2, 16, 16, 1), 800), ((24, 1), 1000), ((2, 8, 8, 8, 1), 300),
    ((8, 28, 28, 4), 16), ((8, 28, 28, 4), 200),
)  # fmt: skip


@dataclass(frozen=True)
class HessianCost:
    """Of the Hessian of a network with P parameters on N examples.

    bytes: 8 P^2. seconds: predicted. fits: whether `hessian` makes one of this size (up to 2 GB). measured: seconds
    that it took, None where it was not made.

    >>> HessianCost(337, 200, bytes=908_552, seconds=0.0031, fits=True, measured=0.0032).sentence
    '337 parameters: the Hessian takes 909 kB and about 3.1 ms; measured: 3.2 ms'
    """

    parameters: int
    examples: int
    bytes: int
    seconds: float
    fits: bool
    measured: float | None = None

    @property
    def sentence(self) -> str:
        """In words: "337 parameters: the Hessian takes 909 kB and about 3 ms; measured: 3.2 ms"."""
        took = "" if self.measured is None else f"; measured: {_time(self.measured)}"
        refused = "" if self.fits else f"; more than {_size(LIMIT_BYTES)}, so only products with it are made"
        size, time = _size(self.bytes), _time(self.seconds)
        return f"{self.parameters:,} parameters: the Hessian takes {size} and about {time}{took}{refused}"


class _Rates(NamedTuple):
    """Seconds per pair of layers, per entry of the matrix, per entry and example, per product of two activations and
    example."""

    pair: float
    entry: float
    sum: float
    product: float


def hessian_cost(network: Network, examples: int) -> HessianCost:
    """What the Hessian of a network on so many examples would take, without making it.

    >>> hessian_cost(Network((2, 16, 16, 1)), 200).bytes
    908552
    >>> hessian_cost(Network((784, 300, 10)), 60_000).fits
    False

    The seconds are right within a factor of 2 or 3 where nothing else runs. Raises: SettingsError.
    """
    if not isinstance(network, Network):
        raise SettingsError(f"hessian_cost: expected a Network, got {network!r:.200}")
    count_of("examples", examples, least=1)
    rates, size = _calibration(), network.size
    seconds = sum(rate * amount for rate, amount in zip(rates, _work(network, examples), strict=True))
    return HessianCost(size, examples, 8 * size * size, seconds, 8 * size * size <= LIMIT_BYTES)


def measured_hessian(objective: NetworkObjective, theta: npt.ArrayLike) -> tuple[Array, HessianCost]:
    """The Hessian (P, P) at theta (P,), and its cost: predicted, and as measured in making it.

    The first Hessian of a size takes longer than those that follow: memory is made for it.

    >>> objective = NetworkObjective(Network((2, 3, 1)), [[1.0, 2.0], [3.0, 4.0]], [0.0, 1.0])
    >>> hessian, cost = measured_hessian(objective, objective.network.initial(0))
    >>> hessian.shape, cost.bytes, cost.measured > 0
    ((13, 13), 1352, True)

    Raises: UnsupportedError above 2 GB and for what is no `NetworkObjective`; ShapeError.
    """
    if not isinstance(objective, NetworkObjective):
        raise UnsupportedError(f"measured_hessian: expected a NetworkObjective, got {objective!r:.200}")
    cost = hessian_cost(objective.network, objective.examples)
    start = perf_counter()
    hessian = objective.hessian(np.asarray(theta, dtype=np.float64))
    return hessian, replace(cost, measured=perf_counter() - start)


@cache
def _calibration() -> _Rates:
    """The rates of this machine, measured at the first call (about 0.1 s) and kept."""
    rows, times = [], []
    for sizes, examples in _SAMPLES:
        network = Network(sizes)
        X = np.random.default_rng(0).standard_normal((examples, sizes[0]))
        objective = NetworkObjective(network, X, np.zeros((examples, sizes[-1])), loss="squared_error")
        rows.append(_work(network, examples))
        times.append(_shortest(partial(objective.hessian, network.initial(0))))
    # relative errors count, and a rate is not negative
    matrix = np.array(rows) / np.array(times)[:, None]
    from scipy.optimize import nnls

    scale = matrix.max(axis=0)
    return _Rates(*(nnls(matrix / scale, np.ones(len(times)))[0] / scale).tolist())


def _work(network: Network, examples: int) -> tuple[float, float, float, float]:
    """How much there is of what `_Rates` are for."""
    columns = [size + 1 for size in network.sizes[:-1]]
    products = sum(a * b for i, a in enumerate(columns) for b in columns[: i + 1])
    pairs, entries = len(columns) * (len(columns) + 1) / 2, float(network.size) ** 2
    return pairs, entries, entries * examples, float(products) * examples


def _shortest(work: Callable[[], Any], rounds: int = 6) -> float:
    """Processor seconds of this thread, at best: what other programs take does not count."""
    best = float("inf")
    for _ in range(rounds):
        start = thread_time()
        work()
        best = min(best, thread_time() - start)
    return best


def _size(count: float) -> str:
    unit = next((unit for unit in ("bytes", "kB", "MB", "GB") if (count := count / 1000) < 0.9995), "TB")
    return f"{count if unit == 'TB' else 1000 * count:.3g} {unit}"


def _time(seconds: float) -> str:
    for longest, length, unit in (
        (1.0, 1e-3, "ms"),
        (120.0, 1.0, "s"),
        (7200.0, 60.0, "min"),
        (172_800.0, 3600.0, "h"),
    ):
        if seconds < longest:
            return f"{float(f'{seconds / length:.2g}'):g} {unit}"
    return f"{seconds / 86_400:,.0f} days"
