"""The shape of a drop between two flat stretches: where it begins and ends, by fitting logistic curves to it.

A logistic drop of height h, centre c and width w is h / (1 + e^((t - c) / w)); it takes the place [c - 4 w, c + 4 w].
The fit sees the whole shape, so it places these ends well even where the noise hides them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

#: a logistic drop reaches so many widths to both sides of its centre
REACH = 4.0
#: what is steep is described by one logistic drop for each of its parts, and so many more at most
MORE_PARTS = 2
#: parts smaller than this fraction of the whole (and than half of any drop in it) say nothing about its ends
SMALLEST_PART = 0.05
#: more points than this are averaged before the fit
MOST_POINTS = 240
#: a further part has to improve the fit by so many times what the Bayesian criterion asks (Schwarz 1978)
STRICT = 2.0
ROUNDS = 40


def drop_places(curve: Array, steep: Sequence[tuple[int, int]], noise: float) -> list[tuple[float, float]]:
    """Where curve (n,) falls or rises, as (start, stop) in points: at least one place, in order.

    steep: (begin, end) of its parts that are certainly not flat, with flat parts before, between and after them.
    noise: standard deviation of a point. Logistic curves are fitted by Levenberg-Marquardt, as many as the Bayesian
    criterion pays for (Schwarz 1978); parts that overlap are one place.

    >>> curve = 1.0 / (1.0 + np.exp((np.arange(200.0) - 100.0) / 5.0))
    >>> [(round(start), round(stop)) for start, stop in drop_places(curve, [(85, 115)], noise=0.0)]
    [(80, 120)]
    """
    group = -(-len(curve) // MOST_POINTS)
    points = len(curve) // group
    t: Array = (np.arange(points, dtype=np.float64) + 0.5) * group - 0.5
    y: Array = curve[: points * group].reshape(points, group).mean(axis=1)
    bounds = [0, *(place for pair in steep for place in pair), len(curve)]
    levels = [float(np.mean(curve[begin:end])) for begin, end in zip(bounds[0::2], bounds[1::2], strict=True)]
    heights = [before - after for before, after in pairwise(levels)]
    total = sum(map(abs, heights))
    good_enough = points * (noise**2 / group + (1e-4 * total) ** 2)
    best: tuple[float, Array] | None = None
    seen = [(begin, end, height) for (begin, end), height in zip(steep, heights, strict=True)]
    attempts = [seen]
    if len(seen) > 1:
        attempts.insert(0, [(steep[0][0], steep[-1][1], levels[0] - levels[-1])])
    for _ in range(MORE_PARTS):
        attempts.append(_split(attempts[-1]))
    for parts in attempts:
        start = [levels[0], *(height for *_, height in parts)]
        start += [(begin + end) / 2 for begin, end, _ in parts]
        start += [np.log(max((end - begin) / (2 * REACH), 0.3)) for begin, end, _ in parts]
        rest, found = _fit(t, y, np.array(start), float(len(curve)))
        cost = points * float(np.log(max(rest, 1e-6 * good_enough, 1e-300))) + STRICT * len(start) * float(
            np.log(points)
        )
        if best is None or cost < best[0]:
            best = (cost, found)
        if rest < 1.15 * good_enough:
            break
    assert best is not None
    smallest = min(SMALLEST_PART * total, 0.5 * min(map(abs, heights)))
    return _joined(best[1], smallest) or [(float(steep[0][0]), float(steep[-1][1]))]


def _split(parts: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """The longest part as two halves."""
    k = max(range(len(parts)), key=lambda k: parts[k][1] - parts[k][0])
    begin, end, height = parts[k]
    middle = (begin + end) // 2
    return [*parts[:k], (begin, middle, height / 2), (middle, end, height / 2), *parts[k + 1 :]]


def _joined(found: Array, smallest: float) -> list[tuple[float, float]]:
    """The places of the parts that count; those that overlap are one."""
    heights, centres, log_widths = found[1:].reshape(3, -1)
    counts = np.abs(heights) > smallest
    reach = REACH * np.exp(log_widths[counts])
    places: list[tuple[float, float]] = []
    for start, stop in sorted(zip(centres[counts] - reach, centres[counts] + reach, strict=True)):
        if places and start <= places[-1][1]:
            places[-1] = (places[-1][0], max(places[-1][1], float(stop)))
        else:
            places.append((float(start), float(stop)))
    return places


def _fit(t: Array, y: Array, start: Array, length: float) -> tuple[float, Array]:
    """Levenberg-Marquardt for before - sum of h_k / (1 + e^(-(t - c_k) / w_k)): (sum of squares, parameters)."""
    parts = (len(start) - 1) // 3
    here = start
    damping = 1e-3
    residual, jacobian = _model(t, y, here, parts)
    rest = float(residual @ residual)
    for _ in range(ROUNDS):
        # every parameter in units of its own effect, so that damping bounds the condition
        sizes = np.maximum(np.linalg.norm(jacobian, axis=1), 1e-12)
        units = jacobian / sizes[:, None]
        normal = units @ units.T + damping * np.eye(len(here))
        there = here + np.linalg.solve(normal, units @ residual) / sizes
        np.clip(there[1 + parts : 1 + 2 * parts], t[0], t[-1], out=there[1 + parts : 1 + 2 * parts])
        np.clip(there[1 + 2 * parts :], np.log(0.2), np.log(length / 4), out=there[1 + 2 * parts :])
        new_residual, new_jacobian = _model(t, y, there, parts)
        new_rest = float(new_residual @ new_residual)
        if new_rest < rest:
            done = rest - new_rest < 1e-3 * rest and damping < 1e-2
            here, residual, jacobian, rest = there, new_residual, new_jacobian, new_rest
            damping = max(0.2 * damping, 1e-10)
            if done:
                break
        else:
            damping *= 8.0
            if damping > 1e6:
                break
    return rest, here


def _model(t: Array, y: Array, at: Array, parts: int) -> tuple[Array, Array]:
    """Residual (n,) and the derivatives (1 + 3 parts, n) of the model."""
    heights, centres, log_widths = at[1:].reshape(3, parts)
    widths = np.exp(log_widths)[:, None]
    u = (t - centres[:, None]) / widths
    fallen = 0.5 + 0.5 * np.tanh(0.5 * u)
    slope = heights[:, None] * fallen * (1.0 - fallen)
    jacobian = np.concatenate([np.ones((1, len(t))), -fallen, slope / widths, slope * u])
    return y - (at[0] - heights @ fallen), jacobian
