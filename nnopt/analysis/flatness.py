"""Where a noisy curve is flat: its scale, its noise at every width, and the stretches without drift or steps.

Works on a curve of at most a few thousand points (the bins of `PlateauDetector`); everything is vectorised over it.
A change is looked for with the difference of neighbouring means, narrow windows first (narrowest over threshold:
Baranowski, Chen, Fryzlewicz 2019), so that a steep drop is not smeared over the wide windows that shallow ones need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.curve_noise import Noise, measure_noise, median_filter, running_mean, slow_swing
from nnopt.analysis.drops import drop_places

Array: TypeAlias = npt.NDArray[np.float64]

#: change between the halves of a window that is still flat, as a fraction of the scale
DRIFT = 0.008
#: stricter views, as fractions of that
STRICTER = (0.25, 0.06)
#: the same, in standard errors of the noise
SIGNIFICANT = 5.0
#: a drop between two flat stretches is at least this fraction of the scale
LEAST_DROP = 0.006
#: spikes up to this fraction of the curve are left out
SPIKE = 0.02
#: half-width of the widest window, as a fraction of the curve
WIDEST = 0.025
#: shortest flat core that counts, as a fraction of the curve; what is flat around it is added afterwards
CORE = 0.0125
#: a drop inside a flat stretch is so many times steeper than what it lies between
STEEPER = 4.0
#: a drop is taken as it is seen if it covers this fraction of the difference of levels
MOSTLY = 0.7
#: a drop begins and ends with this fraction of its height: a logistic one 4 widths from its centre
FOOT = 0.018
#: a drop is so many times steeper than the foot that does not belong to it
STILL = 12.0
#: a flat stretch drifts from its first to its last third by less than this fraction of the scale
DRIFTED = 0.05
#: a drop is so many times higher than what slow noise makes the curve rise by in a quarter of all places
TYPICAL = 12.0
#: so many neighbouring drops are fitted at once at most
TOGETHER = 3


#: a curve that falls by less than this fraction of its size does not fall
ROUNDING = 1e-13
#: larger values, in units of the scale, are cut off
BEYOND = 1e60


@dataclass(frozen=True)
class Flat:
    """A flat stretch of a curve, in points: start .. stop, its mean, and whether the curve is lower afterwards.

    >>> Flat(0.0, 120.5, level=2.0, escaped=True).level
    2.0
    """

    start: float
    stop: float
    level: float
    escaped: bool = False


def flat_stretches(
    curve: Array, shortest: float, size: float = 0.0, least_scale: float = 0.0, fitted: bool = True
) -> list[Flat]:
    """All flat stretches of curve (n,) longer than `shortest` points, in order. size: of the numbers from which the
    curve was made by subtraction; what changes less than their rounding is one flat stretch. least_scale: what "flat"
    is compared with, where that is more than the curve's largest descent: what it still can fall, say. fitted: whether
    the ends are found by fitting the drops, which takes most of the time; without, they are known to about 2 %.

    >>> curve = 1.0 / (1.0 + np.exp((np.arange(200.0) - 100.0) / 5.0))
    >>> [(round(flat.level, 1), flat.escaped) for flat in flat_stretches(curve, shortest=10.0)]
    [(1.0, True), (0.0, False)]
    """
    n = len(curve)
    smooth = median_filter(curve, 2 * round(SPIKE * n) + 1, mode="nearest")
    scale = max(_largest_descent(smooth), least_scale)
    if scale <= ROUNDING * max(size, float(np.median(np.abs(smooth)))):
        return [Flat(0, n, float(np.mean(smooth)))] if n > shortest else []
    # in units of the scale; an explosion is kept within what can be squared
    with np.errstate(over="ignore"):
        curve, smooth = (np.clip(c / scale, -BEYOND, BEYOND) for c in (curve, smooth))
    noise = measure_noise(curve)
    curve = np.where(np.abs(curve - smooth) > 0.03 + 6.0 * noise.local, smooth, curve)
    flats = _merged(curve, _refined(curve, noise), noise, shortest)
    if fitted:
        flats = _with_ends(curve, flats, noise)
    flats = [_settled(curve, flat, noise) for flat in _to_the_borders(curve, flats, noise)]
    drop = LEAST_DROP + SIGNIFICANT * float(np.median(noise.of_mean(max(1, n // 100))))
    half = max(1, n // 200)
    mean = running_mean(curve, half)
    swing = TYPICAL * slow_swing(mean, float(np.median(noise.local)) / float(np.sqrt(2 * half + 1)))
    drop, flats = max(drop, swing), _within(curve, mean, flats, swing / 2.0)
    return [
        Flat(flat.start, flat.stop, flat.level * scale, flat.stop < n and _is_left_by_a_drop(mean, flat, drop))
        for flat in flats
        if flat.stop - flat.start > shortest
    ]


def _within(curve: Array, mean: Array, flats: list[Flat], swing: float) -> list[Flat]:
    """Neighbours between which the curve does nothing but swing become one."""
    joined: list[Flat] = []
    for flat in flats:
        if joined:
            last = joined[-1]
            between = mean[round(last.stop) : max(round(flat.start), round(last.stop) + 1)]
            low, high = min(last.level, flat.level) - swing / 2.0, max(last.level, flat.level) + swing / 2.0
            if abs(last.level - flat.level) < swing and low <= between.min() and between.max() <= high:
                joined[-1] = _stretch(curve, last.start, flat.stop)
                continue
        joined.append(flat)
    return joined


def _is_left_by_a_drop(mean: Array, flat: Flat, drop: float) -> bool:
    """Whether the curve is lower by `drop` after a flat stretch, before it has risen much above it."""
    after = mean[min(round(flat.stop), len(mean) - 1) :]
    falls, rises = after < flat.level - drop, after > flat.level + 3.0 * drop
    return bool(falls.any()) and not (rises.any() and int(rises.argmax()) < int(falls.argmax()))


def _largest_descent(curve: Array) -> float:
    """The scale of a run: the most that it falls from an earlier to a later point; for a curve that only rises, its
    range."""
    descent = float(np.max(np.maximum.accumulate(curve) - curve))
    return descent if descent > 0.0 else float(np.ptp(curve))


def _refined(curve: Array, noise: Noise) -> list[Flat]:
    """Flat cores of the curve: those that a stricter view finds inside them if steps lie between these; that is how
    small drops are seen beside large ones."""
    windows = _windows(curve, noise)
    flats = _cores(curve, windows, DRIFT)
    for finer in STRICTER:
        inner = _cores(curve, windows, finer * DRIFT)
        groups = []
        for flat in flats:
            group: list[Flat] = []
            for part in inner:
                if part.start >= flat.start and part.stop <= flat.stop:
                    if group and not _is_step(curve, group[-1], part):
                        part = _stretch(curve, group.pop().start, part.stop)
                    group.append(part)
            groups.append(group or [flat])
        for before, after in pairwise(range(len(flats))):
            a, b = groups[before][-1], groups[after][0]
            seen = _level(curve, flats[before].stop) - _level(curve, flats[after].start)
            if abs(seen) > MOSTLY * abs(a.level - b.level):
                groups[before][-1] = _stretch(curve, a.start, flats[before].stop)
                groups[after][0] = _stretch(curve, flats[after].start, b.stop)
        if groups:
            groups[0][0] = _stretch(curve, flats[0].start, groups[0][0].stop)
            groups[-1][-1] = _stretch(curve, groups[-1][-1].start, flats[-1].stop)
        flats = [flat for group in groups for flat in group]
    return flats


def _stretch(curve: Array, start: float, stop: float) -> Flat:
    return Flat(start, stop, float(np.mean(curve[round(start) : round(stop)])))


def _level(curve: Array, place: float) -> float:
    few = max(1, len(curve) // 400)
    return float(np.mean(curve[max(0, int(place) - few) : int(place) + few]))


def _is_step(curve: Array, a: Flat, b: Flat) -> bool:
    """Whether the curve changes between a and b, and is much steeper there than on them: otherwise all of it is one
    slow drift."""
    change = abs(a.level - b.level)
    if change < LEAST_DROP or b.start <= a.stop:
        return False
    drift = 0.0
    for flat in (a, b):
        half = int(flat.stop - flat.start) // 2
        if half:
            middle = int(flat.start) + half
            between = float(np.mean(curve[middle - half : middle]) - np.mean(curve[middle : middle + half]))
            drift = max(drift, abs(between) / half)
    return change > STEEPER * drift * (b.start - a.stop)


@dataclass(frozen=True)
class _Windows:
    """Differences of the means left and right of every place, for one half-width m, beyond what noise explains.

    excess[i]: of place m + i; minus infinity where the change is at the border of the window, not in its middle.
    """

    m: int
    excess: Array


def _windows(curve: Array, noise: Noise) -> list[_Windows]:
    n = len(curve)
    sums = np.concatenate([[0.0], np.cumsum(curve)])
    windows = []
    for m in _half_widths(4 * _usual(n)):
        if 2 * m > n:
            break
        change = (sums[2 * m :] - 2 * sums[m:-m] + sums[: -2 * m]) / m
        excess = np.abs(change) - SIGNIFICANT * np.sqrt(2.0) * noise.of_mean(m, slice(m - 1, n - m))
        half = m // 2
        if half >= 2:
            inner = (sums[m + half : n + 1 - m + half] - 2 * sums[m:-m] + sums[m - half : n + 1 - m - half]) / half
            excess[inner * np.sign(change) < 0.25 * np.abs(change)] = -np.inf
        windows.append(_Windows(m, excess))
    return windows


def _usual(n: int) -> int:
    return max(1, round(WIDEST * n))


def _cores(curve: Array, windows: list[_Windows], drift: float) -> list[Flat]:
    """Stretches in which no window sees more than noise and `drift`; what a narrow window has seen hides a place from
    the wider ones."""
    n = len(curve)
    marked = np.zeros(n, dtype=bool)
    for window in windows:
        m = window.m
        places = np.flatnonzero(window.excess > drift * (m / _usual(n)) ** 0.5) + m
        if not len(places):
            continue
        covered = np.concatenate([[0], np.cumsum(marked)])
        places = places[covered[places + m] == covered[places - m]]
        reach = (m + 1) // 2
        edges = np.bincount(places - reach, minlength=n + 1) - np.bincount(places + reach, minlength=n + 1)
        marked |= np.cumsum(edges)[:n] > 0
    flat = np.concatenate([[False], ~marked, [False]])
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    least = max(3.0, CORE * n)
    return [
        _stretch(curve, int(start), int(stop))
        for start, stop in zip(turns[0::2], turns[1::2], strict=True)
        if stop - start >= least
    ]


def _half_widths(widest: int) -> Iterator[int]:
    m = 1
    while m <= widest:
        yield m
        if m >= 2 and 3 * m // 2 <= widest:
            yield 3 * m // 2
        m *= 2


def _merged(curve: Array, flats: list[Flat], noise: Noise, shortest: float) -> list[Flat]:
    """Neighbours of one level with a short interruption become one."""
    merged: list[Flat] = []
    for flat in flats:
        if merged:
            last = merged[-1]
            sizes = (last.stop - last.start, flat.stop - flat.start)
            error = sum(
                noise.of_mean(round(size), int(f.start)) ** 2 for size, f in zip(sizes, (last, flat), strict=True)
            )
            gap = flat.start - last.stop
            # a short interruption has to lead further away: slow noise looks like small steps
            away = LEAST_DROP * (4.0 if gap < CORE * len(curve) else 1.0) + 4.0 * error**0.5
            if gap < shortest and abs(last.level - flat.level) < away:
                level = (last.level * sizes[0] + flat.level * sizes[1]) / sum(sizes)
                merged[-1] = Flat(last.start, flat.stop, level)
                continue
        merged.append(flat)
    return merged


def _with_ends(curve: Array, flats: list[Flat], noise: Noise) -> list[Flat]:
    """The flat stretches with their ends, from the shape of the drops between them; and those that lie, too short to
    be seen before, between the parts of a drop."""
    starts, stops = [f.start for f in flats[:1]], []
    pads = [max(int(b.start - a.stop), round(0.02 * len(curve))) for a, b in pairwise(flats)]
    first = 0
    while first < len(pads):
        last = first
        # drops whose surroundings overlap are seen together
        while last + 1 < min(len(pads), first + TOGETHER) and flats[last + 1].stop - flats[last + 1].start < 1.5 * max(
            pads[last], pads[last + 1]
        ):
            last += 1
        a, b = flats[first], flats[last + 1]
        low, high = int(max(a.start, a.stop - pads[first])), int(min(b.stop, b.start + pads[last]))
        steep = [(int(f.stop) - low, int(g.start) - low) for f, g in pairwise(flats[first : last + 2])]
        if first == last and abs(a.level - b.level) < LEAST_DROP:
            # an interruption, not a drop: it has no shape of its own
            places = [(float(begin), float(end)) for begin, end in steep]
        else:
            places = drop_places(curve[low:high], steep, float(np.sqrt(np.mean(noise.local[low:high] ** 2))))
        for start, stop in places:
            stops.append(min(max(low + start, a.start), b.stop))
            starts.append(max(min(low + stop, b.stop), a.start))
        left, right = _departure(curve, a, flats[first + 1], noise), _arrival(curve, flats[last], b, noise)
        stops[-len(places)] = max(stops[-len(places)], left)
        starts[-1] = min(starts[-1], right)
        first = last + 1
    stops += [f.stop for f in flats[-1:]]
    return [
        Flat(start, stop, float(np.mean(curve[round(start) : round(stop)])))
        for start, stop in zip(starts, stops, strict=True)
        if round(stop) > round(start)
    ]


def _departure(curve: Array, a: Flat, b: Flat, noise: Noise) -> float:
    """The last place at which the curve is still at the level of `a`, to the 1.8 % of the drop to `b` at which a
    logistic drop begins: one of another shape, with a long foot, begins no earlier. a.start where that cannot be
    told."""
    places = np.flatnonzero(_near(curve, a, a.level - b.level, noise)[: int(b.start)])
    stop = float(places[-1] + 1) if len(places) else a.start
    return stop if _stands_still(curve, a.start, stop, a, b) else a.start


def _arrival(curve: Array, a: Flat, b: Flat, noise: Noise) -> float:
    """The first place from which on the curve is at the level of `b`, in the same sense; b.stop where that cannot be
    told."""
    places = np.flatnonzero(_near(curve, b, a.level - b.level, noise)[int(a.stop) :])
    start = float(places[0] + int(a.stop)) if len(places) else b.stop
    return start if _stands_still(curve, start, b.stop, a, b) else b.stop


def _stands_still(curve: Array, start: float, stop: float, a: Flat, b: Flat) -> bool:
    """Whether the curve moves so much slower on start .. stop than between a and b that this is no part of the drop."""
    if stop - start < 2 or b.start <= a.stop:
        return False
    inside = curve[round(start) : round(stop)]
    quarter = max(1, len(inside) // 4)
    drift = abs(float(inside[:quarter].mean() - inside[-quarter:].mean())) / (0.75 * len(inside))
    return drift * STILL * (b.start - a.stop) <= abs(a.level - b.level)


def _near(curve: Array, flat: Flat, height: float, noise: Noise) -> npt.NDArray[np.bool_]:
    """Where the curve is within 1.8 % of `height` from the level of a flat stretch, as far as noise lets us see."""
    half = max(1, len(curve) // 200)
    tolerance = FOOT * abs(height)
    if SIGNIFICANT * float(np.median(noise.of_mean(2 * half + 1))) > tolerance:
        return np.zeros(len(curve), dtype=bool)
    return np.asarray(np.abs(running_mean(curve, half) - flat.level) <= tolerance)


def _to_the_borders(curve: Array, flats: list[Flat], noise: Noise) -> list[Flat]:
    """Flat stretches that begin or end a little inside the curve, at the same level, reach its border."""
    n = len(curve)
    near = max(1.0, CORE * n)
    flats = list(flats)
    for k, begin, end in ((0, 0, flats[0].start), (-1, flats[-1].stop, n)) if flats else ():
        begin, end = round(begin), round(end)
        if 0 < end - begin <= near:
            allowed = LEAST_DROP + 4.0 * float(noise.of_mean(end - begin, begin))
            if abs(float(np.mean(curve[begin:end])) - flats[k].level) < allowed:
                flats[k] = replace(flats[k], start=0) if k == 0 else replace(flats[k], stop=n)
    return flats


def _settled(curve: Array, flat: Flat, noise: Noise) -> Flat:
    """The flat stretch without the part, at one end, over which it drifts: noise hides a slow drift from every window,
    not from the whole stretch."""
    while flat.stop - flat.start >= 8:
        inside = curve[round(flat.start) : round(flat.stop)]
        third, quarter = len(inside) // 3, len(inside) // 4
        drift = abs(float(inside[:third].mean() - inside[-third:].mean()))
        if drift < max(DRIFTED, 4.0 * float(np.sqrt(2.0) * noise.of_mean(third, round(flat.start)))):
            break
        middle = float(inside[quarter:-quarter].mean())
        at_start = abs(float(inside[:quarter].mean()) - middle) >= abs(float(inside[-quarter:].mean()) - middle)
        begin, end = (flat.start + quarter, flat.stop) if at_start else (flat.start, flat.stop - quarter)
        flat = _stretch(curve, begin, end)
    return flat
