"""Plateaus of a loss curve: where it is flat compared with the run's own scale, found while the run goes on.

`PlateauDetector` takes losses in blocks of any size and keeps at most 2048 bins of them (bins.py), so that a step costs
the same however long the run is; what "flat" means is decided on these bins (flatness.py, drops.py).

The scale of a run is only known as it goes on: a stretch that is steep at first may turn out to be flat when a
hundred times larger drop has followed. "Streaming equals offline" therefore means: after feeding a prefix, in whatever
blocks, `plateaus()` is exactly `find_plateaus(prefix)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy.typing as npt

from nnopt.analysis.bins import Bins, rows_of
from nnopt.analysis.flatness import flat_stretches
from nnopt.errors import SettingsError

BINS = 2048
#: the answer is renewed about so often while the run doubles its length
GRID = 128
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

    >>> import numpy as np
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
        self._bins = Bins(BINS)
        self._answer: tuple[tuple[int, int], tuple[Plateau, ...]] | None = None

    @property
    def steps(self) -> int:
        """How far the curve is known: the step after the last one fed."""
        return self._bins.next

    def extend(self, losses: npt.ArrayLike, steps: npt.ArrayLike | None = None) -> None:
        """Append losses (n,).

        steps: their increasing step numbers (n,), for logs that were thinned or measure every so many steps; without
        it they follow one another. NaN and infinity are steps without information.

        Raises: ShapeError if the shapes differ or the steps do not increase; SettingsError for what are not numbers.
        """
        self._bins.extend(*rows_of(losses, steps, self._bins.next))

    def plateaus(self) -> tuple[Plateau, ...]:
        """The plateaus of everything fed so far, in order."""
        bins = self._bins
        known = self._known()
        if known < FEWEST_STEPS:
            return ()
        if self._answer is None or self._answer[0] != (known, bins.width):
            found = _stretches(bins, known, self.shortest)
            self._answer = ((known, bins.width), found)
        plateaus = list(self._answer[1])
        if plateaus and plateaus[-1].stop == bins.first + known and bins.last > plateaus[-1].stop:
            plateaus[-1] = replace(plateaus[-1], stop=bins.last)
        return tuple(plateaus)

    def _known(self) -> int:
        """How many steps the answer is based on: whole bins, and whole cells of the grid."""
        length = self._bins.length
        grid = max(self._bins.width, 1 << max(0, (length // GRID).bit_length() - 1))
        return length // grid * grid


def _stretches(bins: Bins, known: int, shortest: float) -> tuple[Plateau, ...]:
    """The flat stretches of the first `known` steps (whole bins) that were fed, in steps. shortest: as a fraction."""
    curve, begin, width = bins.curve(known // bins.width, FEWEST_STEPS)
    if not len(curve):
        return ()
    last = bins.first + known
    found = []
    for flat in flat_stretches(curve, shortest * known / width, abs(bins.zero)):
        start = bins.first + round((begin + flat.start) * width)
        stop = min(bins.first + round((begin + flat.stop) * width), last)
        found.append(Plateau(start, stop, bins.zero + flat.level, flat.escaped))
    return tuple(found)


def find_plateaus(loss: npt.ArrayLike) -> list[Plateau]:
    """The plateaus of a whole loss curve (T,): what `PlateauDetector` says after the same steps.

    >>> import numpy as np
    >>> find_plateaus(np.repeat([2.0, 1.0], [400, 600]))  # doctest: +NORMALIZE_WHITESPACE
    [Plateau(start=0, stop=399, level=2.0, escaped=True),
     Plateau(start=400, stop=1000, level=1.0, escaped=False)]

    Raises: ShapeError, SettingsError for what are not numbers.
    """
    detector = PlateauDetector()
    detector.extend(loss)
    return list(detector.plateaus())
