"""Plateaus of a loss curve: where it is flat compared with the run's own scale, found while the run goes on.

`PlateauDetector` takes losses in blocks of any size and keeps at most 2048 bins of them, so that a step costs the same
however long the run is; what "flat" means is decided on these bins (flatness.py, drops.py).

The scale of a run is only known as it goes on: a stretch that is steep at first may turn out to be flat when a
hundred times larger drop has followed. "Streaming equals offline" therefore means: after feeding a prefix, in whatever
blocks, `plateaus()` is exactly `find_plateaus(prefix)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.flatness import flat_stretches
from nnopt.errors import SettingsError, ShapeError

Array: TypeAlias = npt.NDArray[np.float64]

BINS = 2048
#: the answer is renewed about so often while the run doubles its length
GRID = 128
#: bins are widened until this share of them holds a loss
FULL = 0.9
#: larger losses count as diverged, like infinity: their sums and squares would overflow
HUGE = 1e100
#: shorter runs have no plateaus: there is nothing to compare them with
FEWEST_STEPS = 8


@dataclass(frozen=True)
class Plateau:
    """A flat stretch of a loss curve: steps start .. stop - 1.

    level: mean loss there. escaped: whether a drop follows; if not, a plateau and convergence look the same from the
    loss alone.

    >>> Plateau(start=100, stop=350, level=0.5, escaped=True).steps
    250
    """

    start: int
    stop: int
    level: float
    escaped: bool

    @property
    def steps(self) -> int:
        """Its length in steps."""
        return self.stop - self.start


class PlateauDetector:
    """Finds plateaus in a stream of losses: amortized constant cost per step, bounded memory.

    A stretch is flat when the loss neither drifts nor steps there, noise aside: neighbouring means over 2.5 % of the
    run differ by less than 0.8 % of the run's scale (its largest descent), narrower ones by less. It is a plateau when
    it is longer than `shortest` of the run. A drop between two flat stretches takes the place of a logistic curve's
    +- 4 widths: from 1.8 % to 98.2 % of its height. The answer does not change when the loss is multiplied by a
    positive number or shifted, and spikes shorter than 2 % of the run do not interrupt a plateau.

    shortest: fraction of the run, in (0, 1). Raises: SettingsError outside.

    >>> detector, t = PlateauDetector(), np.arange(1000)
    >>> detector.extend(1 / (1 + np.exp((t - 500) / 20)))
    >>> [(round(plateau.level, 2), plateau.escaped) for plateau in detector.plateaus()]
    [(1.0, True), (0.0, False)]

    Deciding takes a few milliseconds, so it is not done at every step: the answer for T steps is that for the last
    multiple of a power of two of at most T / 128 steps, and a stretch that is flat at its end lasts until T.

    Source: differences of means, narrow windows first, as in Baranowski, Chen & Fryzlewicz (2019).
    """

    def __init__(self, shortest: float = 0.05) -> None:
        if not 0.0 < shortest < 1.0:
            raise SettingsError(
                f"PlateauDetector.shortest: expected a fraction of the run > 0 and < 1, got {shortest!r}"
            )
        self.shortest = shortest
        self._sums = np.zeros(BINS)
        self._counts = np.zeros(BINS)
        self._width = 1
        self._first = self._next = 0
        self._last = -1
        self._zero = 0.0
        self._answer: tuple[tuple[int, int], tuple[Plateau, ...]] | None = None

    @property
    def steps(self) -> int:
        """How far the curve is known: the step after the last one fed."""
        return self._next

    def extend(self, losses: npt.ArrayLike, steps: npt.ArrayLike | None = None) -> None:
        """Append losses (n,).

        steps: their increasing step numbers (n,), for logs that were thinned or measure every so many steps; without
        it they follow one another. NaN and infinity are steps without information.

        Raises: ShapeError if the shapes differ or the steps do not increase; SettingsError for what are not numbers.
        """
        values = _numbers("losses", losses)
        if steps is None:
            places = np.arange(self._next, self._next + len(values))
        else:
            places = _numbers("steps", steps).astype(np.int64)
            if places.shape != values.shape:
                raise ShapeError(f"steps: expected one for each of the {len(values)} losses, got {len(places)}")
            if len(places) and (np.any(np.diff(places) <= 0) or (self._next and places[0] < self._next)):
                raise ShapeError("steps: expected increasing numbers that go on after the steps fed before")
        if not len(values):
            return
        if not self._next:
            self._first = int(places[0])
        self._add(values, places)
        self._next = int(places[-1]) + 1

    def plateaus(self) -> tuple[Plateau, ...]:
        """The plateaus of everything fed so far, in order."""
        known = self._known()
        if known < FEWEST_STEPS:
            return ()
        if self._answer is None or self._answer[0] != (known, self._width):
            self._answer = ((known, self._width), self._decide(known // self._width))
        found = list(self._answer[1])
        if found and found[-1].stop == self._first + known and self._last > found[-1].stop:
            found[-1] = replace(found[-1], stop=self._last)
        return tuple(found)

    def _known(self) -> int:
        """How many steps the answer is based on: whole bins, and whole cells of the grid."""
        length = self._next - self._first
        grid = max(self._width, 1 << max(0, (length // GRID).bit_length() - 1))
        return length // grid * grid

    def _add(self, values: Array, places: npt.NDArray[np.int64]) -> None:
        good = np.isfinite(values) & (np.abs(values) < HUGE)
        values, places = values[good], places[good]
        if not len(values):
            return
        if self._last < 0:
            self._zero = float(values[0])
        self._last = int(places[-1]) + 1
        # relative to the first loss: a constant is exactly zero, and a shift of the loss changes nothing
        values = values - self._zero
        places = places - self._first
        done = 0
        while done < len(values):
            upto = int(np.searchsorted(places, BINS * self._width))
            cells = places[done:upto] // self._width
            # one after the other, in order: sums do not depend on how the stream is cut into blocks
            np.add.at(self._sums, cells, values[done:upto])
            np.add.at(self._counts, cells, 1.0)
            done = upto
            if done < len(values):
                self._sums = _halved(self._sums)
                self._counts = _halved(self._counts)
                self._width *= 2

    def _decide(self, bins: int) -> tuple[Plateau, ...]:
        sums, counts, width = self._sums[:bins], self._counts[:bins], self._width
        while len(sums) > 2 * FEWEST_STEPS and np.count_nonzero(counts) < FULL * len(sums):
            sums, counts, width = _paired(sums), _paired(counts), 2 * width
        filled = np.flatnonzero(counts)
        if len(filled) < min(FEWEST_STEPS, bins):
            return ()
        begin, end = int(filled[0]), int(filled[-1]) + 1
        curve = np.interp(np.arange(begin, end), filled, sums[filled] / counts[filled])
        last = self._first + bins * self._width
        found = []
        for flat in flat_stretches(curve, self.shortest * bins * self._width / width, abs(self._zero)):
            start = self._first + round((begin + flat.start) * width)
            stop = min(self._first + round((begin + flat.stop) * width), last)
            found.append(Plateau(start, stop, self._zero + flat.level, flat.escaped))
        return tuple(found)


def find_plateaus(loss: npt.ArrayLike) -> list[Plateau]:
    """The plateaus of a whole loss curve (T,): what `PlateauDetector` says after the same steps.

    >>> find_plateaus(np.repeat([2.0, 1.0], [400, 600]))  # doctest: +NORMALIZE_WHITESPACE
    [Plateau(start=0, stop=399, level=2.0, escaped=True),
     Plateau(start=400, stop=1000, level=1.0, escaped=False)]

    Raises: ShapeError, SettingsError for what are not numbers.
    """
    detector = PlateauDetector()
    detector.extend(loss)
    return list(detector.plateaus())


def _numbers(name: str, given: npt.ArrayLike) -> Array:
    try:
        numbers = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise SettingsError(f"{name}: expected numbers, got {given!r:.200}") from None
    if numbers.ndim > 1:
        raise ShapeError(f"{name}: expected shape (n,), got {numbers.shape}")
    return numbers.ravel()


def _paired(cells: Array) -> Array:
    """Sums of neighbouring pairs; an odd last one stays alone."""
    if len(cells) % 2:
        cells = np.append(cells, 0.0)
    return cells[0::2] + cells[1::2]


def _halved(cells: Array) -> Array:
    """The same content in bins twice as wide; the second half becomes free."""
    return np.concatenate([_paired(cells), np.zeros(BINS // 2)])
