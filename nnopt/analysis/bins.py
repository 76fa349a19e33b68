"""The losses of a growing run in at most so many bins of equal width: what plateaus are looked for in.

Memory and the cost of a step stay the same however long the run is: bins become twice as wide when there are too many.
Floor `analysis`, below plateaus.py.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.errors import SettingsError, ShapeError

Array: TypeAlias = npt.NDArray[np.float64]

#: bins are widened until this share of them holds a loss
FULL = 0.9
#: larger losses count as diverged, like infinity: their sums and squares would overflow
HUGE = 1e100


class Bins:
    """Sums, squares and counts of losses in bins of `width` steps, from the step `first` on, relative to `zero`, the
    first finite loss.

    most: bins at most, even. last: the step after the last finite loss. next: the step after the last one fed.

    >>> bins = Bins(most=4)
    >>> bins.extend(np.array([3.0, 1.0, 2.0, 2.0, 5.0]), np.arange(5))
    >>> bins.width, bins.counts, bins.sums + bins.zero * bins.counts
    (2, array([2., 2., 1., 0.]), array([4., 4., 5., 0.]))
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.sums = np.zeros(most)
        self.squares = np.zeros(most)
        self.counts = np.zeros(most)
        self.width = 1
        self.first = self.next = 0
        self.last = -1
        self.zero = 0.0

    @property
    def length(self) -> int:
        """Steps from the first to the last one fed."""
        return self.next - self.first

    def extend(self, values: Array, places: npt.NDArray[np.int64]) -> None:
        """Take losses (n,) of the steps `places` (n,), which go on after those before."""
        if not len(values):
            return
        if not self.next:
            self.first = int(places[0])
        self.next = int(places[-1]) + 1
        good = np.isfinite(values) & (np.abs(values) < HUGE)
        values, places = values[good], places[good]
        if not len(values):
            return
        if self.last < 0:
            self.zero = float(values[0])
        self.last = int(places[-1]) + 1
        # relative to the first loss: a constant is exactly zero, and a shift of the loss changes nothing
        values = values - self.zero
        places = places - self.first
        done = 0
        while done < len(values):
            upto = int(np.searchsorted(places, self.most * self.width))
            cells = places[done:upto] // self.width
            # one after the other, in order: sums do not depend on how the stream is cut into blocks
            np.add.at(self.sums, cells, values[done:upto])
            np.add.at(self.squares, cells, values[done:upto] ** 2)
            np.add.at(self.counts, cells, 1.0)
            done = upto
            if done < len(values):
                self.sums, self.squares, self.counts = map(self._halved, (self.sums, self.squares, self.counts))
                self.width *= 2

    def curve(self, bins: int, fewest: int) -> tuple[Array, int, int]:
        """(means (n,) relative to zero, place of the first in bins, steps that one of them stands for) of the first
        `bins` bins, so wide that most of them hold a loss; none where fewer than `fewest` hold one."""
        sums, counts, width = self.sums[:bins], self.counts[:bins], self.width
        while len(sums) > 2 * fewest and np.count_nonzero(counts) < FULL * len(sums):
            sums, counts, width = _paired(sums), _paired(counts), 2 * width
        filled = np.flatnonzero(counts)
        if len(filled) < min(fewest, bins):
            return np.empty(0), 0, width
        begin, end = int(filled[0]), int(filled[-1]) + 1
        return np.interp(np.arange(begin, end), filled, sums[filled] / counts[filled]), begin, width

    def moments(self, start: int, stop: int) -> tuple[float, float]:
        """(mean relative to zero, standard deviation) of the losses in the bins that steps start .. stop - 1 lie in;
        NaN where there is none."""
        part = slice((start - self.first) // self.width, max(0, -(-(stop - self.first) // self.width)))
        count = float(np.sum(self.counts[part]))
        if not count:
            return np.nan, np.nan
        mean = float(np.sum(self.sums[part])) / count
        return mean, float(np.sqrt(max(0.0, float(np.sum(self.squares[part])) / count - mean**2)))

    def _halved(self, cells: Array) -> Array:
        """The same content in bins twice as wide; the second half becomes free."""
        return np.concatenate([_paired(cells), np.zeros(self.most // 2)])


def numbers_of(name: str, given: npt.ArrayLike) -> Array:
    """What was given as an array (n,) of numbers. Raises: SettingsError for what are none, ShapeError for a table.

    >>> numbers_of("losses", ["1", 2.5])
    array([1. , 2.5])
    """
    try:
        numbers = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise SettingsError(f"{name}: expected numbers, got {given!r:.200}") from None
    if numbers.ndim > 1:
        raise ShapeError(f"{name}: expected shape (n,), got {numbers.shape}")
    return numbers.ravel()


def rows_of(losses: npt.ArrayLike, steps: npt.ArrayLike | None, after: int) -> tuple[Array, npt.NDArray[np.int64]]:
    """(losses (n,), their steps (n,)), checked: increasing, from `after` on unless that is 0; without steps they follow
    one another. Raises: ShapeError, SettingsError.

    >>> rows_of([0.5, 0.25], None, after=7)
    (array([0.5 , 0.25]), array([7, 8]))
    """
    values = numbers_of("losses", losses)
    if steps is None:
        return values, np.arange(after, after + len(values))
    places = numbers_of("steps", steps).astype(np.int64)
    if places.shape != values.shape:
        raise ShapeError(f"steps: expected one for each of the {len(values)} losses, got {len(places)}")
    if len(places) and (np.any(np.diff(places) <= 0) or (after and places[0] < after)):
        raise ShapeError("steps: expected increasing numbers that go on after the steps fed before")
    return values, places


def _paired(cells: Array) -> Array:
    """Sums of neighbouring pairs; an odd last one stays alone."""
    if len(cells) % 2:
        cells = np.append(cells, 0.0)
    return cells[0::2] + cells[1::2]
