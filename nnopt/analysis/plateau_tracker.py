"""The plateaus of a run while it goes on: seen while one is on it, and remembered once they are left.

`find_plateaus` judges a curve as a whole: what was flat early in a run is too short to be seen a hundred times later,
and where the flat end begins depends on where the run is just now. A `PlateauTracker` follows the run instead. It looks
at the curve so far at set lengths (each about an eighth longer than the one before), keeps every plateau that was left
by a drop, and lets the flat end begin where it was first seen to begin. What it says is a function of the rows alone:
the same in whatever blocks they come.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nnopt.analysis.bins import Array, Bins, rows_of
from nnopt.analysis.flatness import FOOT, Flat, flat_stretches
from nnopt.analysis.plateaus import FEWEST_STEPS, Plateau

if TYPE_CHECKING:
    from nnopt.runs.history import History

BINS = 1024
#: steps before the first look, and how much longer the curve is at each further one: 1 / 2^GROWTH of it
FIRST_LOOK = 24
GROWTH = 3
SHORTEST = 0.05
#: shorter plateaus are not remembered
LEAST_STEPS = 12
#: what is called flat before anything has fallen drifts less than this fraction of what there is to fall
STEADY = 0.02
#: the flat end stays open while it drifts by less than this fraction of the scale
LEFT = 0.05
#: a plateau is remembered if at least this fraction of the scale follows it
REMEMBERED = 0.02
#: losses that scatter by more than this fraction of the scale are not flat, wherever their mean is
SCATTER = 0.12
#: an end that was shown moves only by more than this fraction of its plateau
MOVED = 0.1
#: a loss that comes back to within this fraction of its fall from a plateau has not left it
BACK = 0.2
#: how far above its beginning a stretch may lie, as a fraction of the loss there
ABOVE = 0.5
#: a logarithmic axis shows at least half a decade
LEAST_DECADES = 0.5


@dataclass(frozen=True)
class _Open:
    """The flat end: where it began, its level, and the scatter and scale with which it was seen."""

    start: int
    level: float
    scatter: float
    scale: float
    #: the step after the last one that lay near the level
    stop: int


class PlateauTracker:
    """Plateaus of a stream of losses: amortized constant cost per step, bounded memory, none forgotten.

    A stretch is flat as `PlateauDetector` says, compared with the larger of what the run has fallen and, where the
    least possible loss is known, what it still can fall. So a first plateau is seen while the run is on it. The flat
    end stays open, from one and the same step on, until the loss is 5 % of that away from it. A plateau that a drop of
    at least 2 % follows is kept for good; its end may move once more, when a much larger fall has followed. Losses that
    scatter by more than 12 %, and stretches far above where their part of the run began, are not flat.

    floor: the least possible loss, None where it is not known. logarithmic: the curve that is judged is the logarithm
    of the loss, as on a logarithmic axis, where losses <= 0 cannot be seen. stride: that of the history it follows.

    >>> tracker, t = PlateauTracker(floor=0.0), np.arange(1000)
    >>> loss = 1 / (1 + np.exp((t - 500) / 20))
    >>> tracker.extend(loss[:300])
    >>> [(plateau.start, plateau.stop, plateau.escaped) for plateau in tracker.plateaus()]
    [(0, 300, False)]
    >>> tracker.extend(loss[300:])
    >>> [plateau.escaped for plateau in tracker.plateaus()]
    [True, False]
    """

    def __init__(self, floor: float | None = None, logarithmic: bool = False) -> None:
        self.floor = floor if floor is not None and math.isfinite(floor) and not logarithmic else None
        self.logarithmic = logarithmic
        self.restart()

    def restart(self) -> None:
        """Forget every row, plateau and part: the curve is fed anew.

        >>> tracker = PlateauTracker()
        >>> tracker.extend([1.0, 0.5])
        >>> tracker.restart()
        >>> tracker.steps
        0
        """
        self.stride = 1
        self._bins = Bins(BINS)
        self._look = FIRST_LOOK
        self._kept: list[Plateau] = []
        #: scale with which the last plateau was kept
        self._scale = 0.0
        self._open: _Open | None = None
        #: steps at which a part of the run begins, and the loss there
        self._parts: list[int] = [0]
        self._began: list[float] = [math.nan]

    @property
    def steps(self) -> int:
        """How far the curve is known: the step after the last one fed."""
        return self._bins.next

    def begin_part(self, step: int) -> None:
        """Something was changed at a step (the point, the data, the rate), none of whose rows was fed so far: what
        follows is compared with the loss there.

        >>> tracker = PlateauTracker()
        >>> tracker.begin_part(600)
        """
        if step > self._parts[-1]:
            self._parts.append(step)
            self._began.append(math.nan)

    def extend(self, losses: npt.ArrayLike, steps: npt.ArrayLike | None = None) -> None:
        """Append losses (n,); steps as for `PlateauDetector.extend`. NaN and infinity are steps without information.

        Raises: ShapeError if the shapes differ or the steps do not increase; SettingsError for what are not numbers.
        """
        values, places = rows_of(losses, steps, self._bins.next)
        if self.logarithmic:
            with np.errstate(all="ignore"):
                values = np.where(values > 0, np.log(values), np.nan)
        done = 0
        while done < len(values):
            first = self._bins.first if self._bins.next else int(places[0])
            upto = int(np.searchsorted(places, first + self._look))
            self._take(values[done:upto], places[done:upto])
            done = upto
            if done < len(values):
                self._decide(first + self._look)
                self._look += self._look >> GROWTH

    def plateaus(self, until: int | None = None) -> tuple[Plateau, ...]:
        """What is known so far, in order. until: how far the run is, if it is a few steps ahead of what was fed: a flat
        end that lasts to the last row lasts to there."""
        found = list(self._kept)
        if self._open is not None:
            stop = self._open.stop
            if until is not None and stop == self._bins.last:
                stop = max(stop, until)
            found.append(Plateau(self._open.start, stop, self._open.level, False))
        return tuple(replace(one, level=self._shown(one.level)) for one in found)

    def _shown(self, level: float) -> float:
        level += self._bins.zero
        return math.exp(level) if self.logarithmic else level

    # ---- row by row

    def _take(self, values: Array, places: npt.NDArray[np.int64]) -> None:
        self._bins.extend(values, places)
        seen = np.isfinite(values)
        for part in range(bisect_right(self._parts, int(places[0])) - 1 if len(places) else 0, len(self._parts)):
            ends = self._parts[part + 1] if part + 1 < len(self._parts) else math.inf
            rows = np.flatnonzero(seen & (places >= self._parts[part]) & (places < ends))
            if math.isnan(self._began[part]) and len(rows):
                self._began[part] = float(values[rows[0]])
        if self._open is not None:
            near = np.abs(values - self._bins.zero - self._open.level) <= self._tolerance(self._open)
            rows = np.flatnonzero(near & seen)
            if len(rows):
                self._open = replace(self._open, stop=int(places[rows[-1]]) + 1)

    @staticmethod
    def _tolerance(flat: _Open) -> float:
        return FOOT * flat.scale + 4.0 * flat.scatter

    # ---- look by look

    def _decide(self, end: int) -> None:
        """Judge the curve up to step `end`."""
        bins = self._bins
        curve, begin, width = bins.curve((end - bins.first) // bins.width, FEWEST_STEPS)
        if len(curve) < FEWEST_STEPS:
            return
        origin = bins.first + begin * width
        scale = self._scale_of(curve)
        if scale <= 0.0:
            scale = abs(bins.zero) or 1.0
        flats = self._flats(curve, scale, fitted=False)
        self._forget_returned(curve, origin, width, end)
        reach = self._kept[-1].stop if self._kept else bins.first
        larger = bool(self._kept) and scale > 2.0 * self._scale
        if larger or any(flat.escaped and self._is_new(flat, origin, width, reach) for flat in flats):
            flats = self._flats(curve, scale, fitted=True)
            if larger:
                self._move_end(flats, origin, width)
                self._scale = scale
                self._join(scale)
            self._keep(flats, origin, width, scale, curve)
        reach = self._kept[-1].stop if self._kept else bins.first
        last = flats[-1] if flats else None
        at_end = last is not None and last.stop >= len(curve) - 1 and not last.escaped
        start = max(origin + round(last.start * width), reach) if last is not None and at_end else end
        if self._open is not None:
            if self._stays_open(end):
                return
            self._open = None
        if last is not None and at_end and self._is_flat(start, end, scale):
            level, scatter = bins.moments(start, end)
            self._open = _Open(start, level, scatter, scale, end)

    def _flats(self, curve: Array, scale: float, fitted: bool) -> list[Flat]:
        return flat_stretches(curve, SHORTEST * len(curve), abs(self._bins.zero), scale, fitted)

    def _scale_of(self, curve: Array) -> float:
        """What "flat" is compared with: what the run has fallen, and what it still can fall."""
        few = max(1, len(curve) // 50)
        smooth = curve if len(curve) < 100 else np.convolve(curve, np.full(few, 1.0 / few), mode="valid")
        fallen = float(np.max(np.maximum.accumulate(smooth) - smooth))
        if self.logarithmic:
            return max(fallen, LEAST_DECADES * math.log(10.0))
        if self.floor is None:
            return fallen
        return max(fallen, float(np.mean(curve[-few:])) + self._bins.zero - self.floor)

    def _is_new(self, flat: Flat, origin: int, width: int, reach: int) -> bool:
        """Whether most of a stretch lies after what is kept."""
        start, stop = origin + flat.start * width, origin + flat.stop * width
        return stop - max(start, reach) > 0.5 * (stop - start)

    def _move_end(self, flats: list[Flat], origin: int, width: int) -> None:
        """The last plateau ends where the drop begins as it is seen now that it is far larger."""
        last = self._kept[-1]
        for flat in flats:
            start, stop = origin + round(flat.start * width), origin + round(flat.stop * width)
            if flat.escaped and start < last.stop < stop:
                self._kept[-1] = replace(last, stop=stop)

    def _keep(self, flats: list[Flat], origin: int, width: int, scale: float, curve: Array) -> None:
        """Remember what was left by a drop since the last look."""
        for flat in flats:
            reach = self._kept[-1].stop if self._kept else self._bins.first
            if not (flat.escaped and self._is_new(flat, origin, width, reach)):
                continue
            start, stop = max(origin + round(flat.start * width), reach), origin + round(flat.stop * width)
            level, scatter = self._bins.moments(start, stop)
            after = curve[min(round(flat.stop), len(curve) - 1) :]
            few = max(1, len(curve) // 100)
            lowest = float(np.min(after)) if len(after) <= few else float(np.min(_means(after, few)))
            if level - lowest < REMEMBERED * scale or scatter > SCATTER * scale or self._is_lost(start, level):
                continue
            if self._open is not None and self._open.start < stop and start < self._open.stop:
                # what was shown stays where it was shown
                shown = self._open
                start = max(shown.start, reach)
                if 4.0 * shown.scatter <= FOOT * scale or abs(stop - shown.stop) <= MOVED * (shown.stop - start):
                    stop = shown.stop
                self._open = None
            if self._goes_on(start, stop, level, scale):
                last = self._kept[-1]
                self._kept[-1] = replace(last, stop=stop, level=self._bins.moments(last.start, stop)[0])
            elif stop - start >= LEAST_STEPS:
                self._kept.append(Plateau(start, stop, level, True))
                self._scale = scale

    def _goes_on(self, start: int, stop: int, level: float, scale: float) -> bool:
        """Whether nothing that counts as a drop lies between the last plateau kept and this one."""
        if not self._kept:
            return False
        last = self._kept[-1]
        return abs(last.level - level) < REMEMBERED * scale and start - last.stop < min(last.steps, stop - start)

    def _join(self, scale: float) -> None:
        """Plateaus between which nothing lies that still counts as a drop are one."""
        kept, self._kept = self._kept, []
        for one in kept:
            if self._goes_on(one.start, one.stop, one.level, scale):
                last = self._kept[-1]
                self._kept[-1] = replace(last, stop=one.stop, level=self._bins.moments(last.start, one.stop)[0])
            else:
                self._kept.append(one)

    def _forget_returned(self, curve: Array, origin: int, width: int, end: int) -> None:
        """A plateau to which the loss comes back by itself was not left: slow noise does that."""
        # parts that begin later are not seen yet, however early they were announced
        begun = self._parts[bisect_left(self._parts, end) - 1]
        few = max(1, len(curve) // 50)
        for plateau in tuple(self._kept):
            if begun >= plateau.stop:
                continue
            after = curve[(plateau.stop - origin) // width :]
            if len(after) <= few:
                continue
            means = _means(after, few)
            lowest = int(np.argmin(means))
            if means[lowest:].max() > plateau.level - BACK * (plateau.level - means[lowest]):
                self._kept.remove(plateau)

    def _is_flat(self, start: int, end: int, scale: float) -> bool:
        """Whether the end of the curve is long enough, still enough, and not far above where it began."""
        if end - start < FIRST_LOOK:
            return False
        third = (end - start) // 3
        level, scatter = self._bins.moments(start, end)
        drift = abs(self._bins.moments(start, start + third)[0] - self._bins.moments(end - third, end)[0])
        # means of correlated losses are known no better than this
        allowed = (STEADY if not self._kept and start == self._bins.first else LEFT) * scale
        return scatter <= SCATTER * scale and drift <= allowed and not self._is_lost(start, level)

    def _stays_open(self, end: int) -> bool:
        """Whether the flat end is still where it was, give or take; its level follows what was added to it."""
        flat = self._open
        assert flat is not None
        recent = max(FIRST_LOOK // 2, (end - flat.start) // 8)
        level, scatter = self._bins.moments(end - recent, end)
        if not abs(level - flat.level) <= LEFT * flat.scale + scatter / math.sqrt(recent):
            return False
        return scatter <= SCATTER * flat.scale

    def _is_lost(self, start: int, level: float) -> bool:
        """Whether a stretch lies far above the loss at which its part of the run began: a loss that swings where the
        learning rate threw it is flat on average, but neither a plateau nor converged."""
        began = self._began[bisect_right(self._parts, start) - 1]
        if self.logarithmic:
            return level + self._bins.zero - began > math.log(1.0 + ABOVE)
        return level + self._bins.zero - began > ABOVE * abs(began)


def follow(tracker: PlateauTracker, history: History, most: int | None = None) -> bool:
    """Feed a tracker the rows of a history that it does not have yet, all but the newest, which a change may still
    replace: the loss of all training examples where it was measured. most: rows at a time. Whether that was all.

    A log that is full gives up every second row (`Memory.rows`). The tracker then begins anew with the rows that are
    left, at a constant cost per step in the mean, so that it says what `plateaus_of` the history says.

    >>> import nnopt
    >>> history = nnopt.minimize(nnopt.functions.get("plateau"), nnopt.optimizers.SGD(lr=0.1), steps=200)
    >>> tracker = PlateauTracker(floor=0.0)
    >>> follow(tracker, history), [(one.start, one.stop, one.escaped) for one in tracker.plateaus(history.length)]
    (True, [(0, 201, False)])
    """
    columns = history.columns
    steps, losses = columns["step"], columns["training_loss"]
    stride = int(steps[1] - steps[0]) if len(steps) > 1 else 1
    if stride != tracker.stride:
        tracker.restart()
        tracker.stride = stride
    first = int(steps.searchsorted(tracker.steps))
    whole = max(first, int(steps.searchsorted(history.length - 1)))
    last = whole if most is None else min(whole, first + most)
    for change in history.interventions:
        if change.step < (steps[last] if last < len(steps) else history.length):
            tracker.begin_part(change.step)
    tracker.extend(losses[first:last], steps[first:last])
    return last == whole


def plateaus_of(history: History, logarithmic: bool = False) -> tuple[Plateau, ...]:
    """The plateaus of a run, as it goes on: those that it has left, and the flat end.

    logarithmic: those of the logarithm of the loss. See `PlateauTracker`.

    >>> import nnopt
    >>> run = nnopt.Run(nnopt.default_experiment())
    >>> made = run.advance(1000)
    >>> [plateau.escaped for plateau in plateaus_of(run.history)]
    [True, False]
    """
    tracker = PlateauTracker(floor_of(history.objective), logarithmic)
    follow(tracker, history)
    return tracker.plateaus(history.length)


def floor_of(objective: Any) -> float | None:
    """The least possible loss, where an objective knows it (its `floor`); None where it does not.

    >>> from nnopt.objectives import functions
    >>> floor_of(functions.get("plateau")), floor_of(functions.get("saddle"))
    (0.0, None)
    """
    floor = getattr(objective, "floor", None)
    return float(floor) if floor is not None and math.isfinite(floor) else None


def _means(values: Array, few: int) -> Array:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means: Array = (sums[few:] - sums[:-few]) / few
    return means
