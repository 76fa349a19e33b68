"""What the decision boundary panel shows, computed without Qt: class probabilities (or predictions) on a grid, their
boundary, the maps of the last hidden layer's units, and which examples are on the wrong side.

Places are in the units of the source; `Axes` knows which inputs are drawn and turns places into network inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: points along the longer side of the map, and parameters from which it has fewer of them while a run plays
PLAYING, COARSE, FINE = 56, 48, 176
LARGE, PLAYING_LARGE = 1000, 40
#: points along each side of a unit's map
TILE = 24
#: examples that are checked for a coarse result; all of them for a fine one
CHECKED_AT_ONCE = 4_000


@dataclass(frozen=True)
class Axes:
    """Which inputs are drawn, and in what units. x, y: their indices (y is None for a curve over one input). base (D,):
    the values of the inputs that are not drawn, their means over the training examples. shift, scale (D,): standardized
    inputs are drawn in the units of the source, input * scale + shift. target: the same of a regression's target."""

    x: int
    y: int | None
    base: Array
    shift: Array
    scale: Array
    target: tuple[float, float] = (0.0, 1.0)

    def inputs(self, xs: Array, ys: Array | None = None) -> Array:
        """(K, D) inputs of the network at drawn places xs (K,), ys (K,)."""
        full = np.repeat(self.base[None, :], len(xs), axis=0)
        full[:, self.x] = (np.asarray(xs) - self.shift[self.x]) / self.scale[self.x]
        if self.y is not None and ys is not None:
            full[:, self.y] = (np.asarray(ys) - self.shift[self.y]) / self.scale[self.y]
        return full

    def moved(self, inputs: Array, x: float, y: float) -> Array:
        """An example's inputs (D,) when it is put at a drawn place; the inputs that are not drawn stay."""
        there = self.inputs(np.array([x]), np.array([y]))[0]
        result = np.array(inputs, dtype=float)
        for index in (self.x, self.y):
            if index is not None:
                result[index] = there[index]
        return result

    def drawn(self, X: Array, heights: Array) -> Array:
        """(N, 2) places of examples X (N, D). heights (N,): their second coordinate over one input."""
        x = X[:, self.x] * self.scale[self.x] + self.shift[self.x]
        y = heights if self.y is None else X[:, self.y] * self.scale[self.y] + self.shift[self.y]
        return np.column_stack([x, y])

    @classmethod
    def of(cls, dataset: Any, training: npt.NDArray[np.intp], x: int = 0, y: int = 1) -> Axes:
        """The axes of a data set; with one input there is no second one. Two equal ones become neighbours."""
        base = dataset.X[training].mean(axis=0) if len(training) else np.zeros(dataset.inputs)
        target = (dataset.target_shift, dataset.target_scale)
        x = min(max(x, 0), dataset.inputs - 1)
        if dataset.inputs == 1:
            return cls(0, None, base, dataset.shift, dataset.scale, target)
        y = min(max(y, 0), dataset.inputs - 1)
        if y == x:
            y = x + 1 if x + 1 < dataset.inputs else x - 1
        return cls(x, y, base, dataset.shift, dataset.scale, target)


@dataclass(frozen=True)
class Score:
    """How well the examples are met. wrong (N,): misclassified, False where not checked. training, validation: share
    correct in [0, 1] for classes, root mean square error for regression; NaN without examples. checked: how many."""

    wrong: npt.NDArray[np.bool_]
    training: float
    validation: float
    checked: int


@dataclass(frozen=True)
class BoundaryPicture:
    """One result. kind: "classes", "values" (regression on a map) or "curve". xs (nx,), ys (ny,): the grid; values:
    (ny, nx, C) probabilities, (ny, nx) predictions or (nx, C) curves. solid, dashed: polylines (x, y) with NaN gaps.
    units (k, TILE, TILE): the last hidden layer's activations over the same area; weights (outputs, k)."""

    kind: str
    xs: Array
    ys: Array
    values: Array
    score: Score
    solid: tuple[Array, Array]
    dashed: tuple[Array, Array]
    units: Array
    weights: Array
    axes: Axes
    fine: bool = field(default=False)


@dataclass(frozen=True)
class Request:
    """What is to be computed: of this objective at theta, for the examples X (N, D), y (N,), over `area` =
    (x0, x1, y0, y1) as drawn. classes: number of classes, 0 for regression. units: hidden units to map."""

    objective: Any
    theta: Array
    X: Array
    y: npt.NDArray[Any]
    training: npt.NDArray[np.intp]
    validation: npt.NDArray[np.intp]
    classes: int
    axes: Axes
    area: tuple[float, float, float, float]
    units: int
    playing: bool

    @property
    def playing_points(self) -> int:
        """Points along the longer side of the map while a run plays."""
        return PLAYING if self.theta.size < LARGE else PLAYING_LARGE

    @property
    def units_of_work(self) -> int:
        """What the coarse map costs: places at which the network is evaluated, times its parameters."""
        checked = min(CHECKED_AT_ONCE, len(self.training) + len(self.validation))
        return int(self.theta.size) * (round(0.62 * self.playing_points**2) + checked + TILE**2 * (self.units > 0))

    @property
    def targets(self) -> Array:
        """The targets of a regression in the units of the source, (N,)."""
        return np.asarray(self.y * self.axes.target[1] + self.axes.target[0], dtype=float)

    def compute(self) -> Iterator[BoundaryPicture]:
        """Coarse, then fine; coarse only while the run plays."""
        score = score_of(self, CHECKED_AT_ONCE)
        tiles, weights = unit_maps(self)
        yield self._map(self.playing_points if self.playing else COARSE, False, score, tiles, weights)
        if not self.playing:
            if score.checked < len(self.training) + len(self.validation):
                score = score_of(self, None)
            yield self._map(FINE, True, score, tiles, weights)

    def _map(self, points: int, fine: bool, score: Score, tiles: Array, weights: Array) -> BoundaryPicture:
        xs, ys = grid_axes(self.area, points)
        if self.axes.y is None:
            xs = np.linspace(self.area[0], self.area[1], 4 * points)
            values = predictions(self, self.axes.inputs(xs))
            if not self.classes:
                values = values * self.axes.target[1] + self.axes.target[0]
            return BoundaryPicture("curve", xs, ys, values, score, _NOTHING, _NOTHING, tiles, weights, self.axes, fine)
        flat_x, flat_y = (part.ravel() for part in np.meshgrid(xs, ys))
        values = predictions(self, self.axes.inputs(flat_x, flat_y)).reshape(len(ys), len(xs), -1)
        if self.classes == 0:
            kind, values = "values", values[:, :, 0] * self.axes.target[1] + self.axes.target[0]
            solid, (dashed,) = _NOTHING, polylines(xs, ys, values, even_levels(self.targets))
        else:
            kind = "classes"
            solid, dashed = boundaries(xs, ys, values)
        return BoundaryPicture(kind, xs, ys, values, score, solid, dashed, tiles, weights, self.axes, fine)


_NOTHING: tuple[Array, Array] = (np.empty(0), np.empty(0))


def grid_axes(area: tuple[float, float, float, float], points: int) -> tuple[Array, Array]:
    """xs, ys of a grid over the area: `points` along x, and as many along y as suits a panel."""
    x0, x1, y0, y1 = area
    return np.linspace(x0, x1, points), np.linspace(y0, y1, max(8, round(points * 0.62)))


def predictions(request: Request, X: Array) -> Array:
    """(K, C) class probabilities, or (K, outputs) predictions of a regression. Of two classes learnt by squared error
    the prediction itself, between 0 and 1, is what stands for the probability."""
    if request.classes == 0:
        return np.asarray(request.objective.outputs(request.theta, X))
    if request.objective.loss == "squared_error":
        one = np.clip(request.objective.outputs(request.theta, X), 0.0, 1.0)
        return np.concatenate([1.0 - one, one], axis=1)
    return np.asarray(request.objective.probabilities(request.theta, X))


def score_of(request: Request, most: int | None) -> Score:
    """Checks the training and validation examples (at most about `most` of them, evenly taken)."""
    total = len(request.training) + len(request.validation)
    every = 1 if most is None else max(1, -(-total // most))
    wrong = np.zeros(len(request.X), dtype=bool)
    shares = []
    for rows in (request.training[::every], request.validation[::every]):
        if len(rows) == 0:
            shares.append(float("nan"))
            continue
        found = predictions(request, request.X[rows])
        if request.classes:
            missed = found.argmax(axis=1) != request.y[rows]
            wrong[rows] = missed
            shares.append(1.0 - float(missed.mean()))
        else:
            miss = found - request.y[rows].reshape(len(rows), -1)
            shares.append(float(np.sqrt(np.mean(np.square(miss).sum(axis=1)))) * abs(request.axes.target[1]))
    return Score(wrong, shares[0], shares[1], len(request.training[::every]) + len(request.validation[::every]))


def unit_maps(request: Request) -> tuple[Array, Array]:
    """Activations of the first `units` units of the last hidden layer over the area, (k, TILE, TILE), and the weights
    from them to the outputs, (outputs, k). Empty without a hidden layer or for a curve over one input."""
    network = request.objective.network
    if request.units == 0 or len(network.sizes) < 3:
        return np.empty((0, TILE, TILE)), np.empty((1, 0))
    x0, x1, y0, y1 = request.area
    xs = np.linspace(x0, x1, TILE)
    if request.axes.y is None:
        inputs = request.axes.inputs(xs)
    else:
        inputs = request.axes.inputs(*(part.ravel() for part in np.meshgrid(xs, np.linspace(y0, y1, TILE))))
    weights = network.layers(request.theta)[-1][:, :-1][:, : request.units]
    active = np.asarray(request.objective.hidden(request.theta, inputs)[-1])[:, : weights.shape[1]]
    maps = active.T.reshape(weights.shape[1], -1, TILE)
    return np.broadcast_to(maps, (len(maps), TILE, TILE)), np.array(weights)


def polylines(xs: Array, ys: Array, values: Array, *groups: Any) -> list[tuple[Array, Array]]:
    """For each group of levels the contour lines of values (ny, nx) as one polyline with NaN between its pieces."""
    from contourpy import LineType, contour_generator

    if not np.isfinite(values).all():
        return [_NOTHING for _ in groups]
    generator = contour_generator(xs, ys, values, line_type=LineType.ChunkCombinedNan)
    found = []
    for levels in groups:
        pieces = [
            points[0] for level in levels for points in [generator.lines(float(level))[0]] if points[0] is not None
        ]
        gap = np.full((1, 2), np.nan)
        joined = np.concatenate([part for piece in pieces for part in (piece, gap)]) if pieces else np.empty((0, 2))
        found.append((joined[:, 0], joined[:, 1]))
    return found


def boundaries(xs: Array, ys: Array, probabilities: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """(solid, dashed) lines: p = 0.5 and p = 0.1, 0.9 of class 1 for two classes; for more, solid lines where the
    likeliest class changes."""
    count = probabilities.shape[2]
    if count == 2:
        one = probabilities[:, :, 1]
        solid, dashed = polylines(xs, ys, one, (0.5,), (0.1, 0.9))
        return solid, dashed
    parts = []
    for index in range(count - 1):  # a boundary with the last class is one of the other class's too
        lead = probabilities[:, :, index] - np.delete(probabilities, index, axis=2).max(axis=2)
        parts += polylines(xs, ys, lead, (0.0,))
    joined = tuple(np.concatenate([part[side] for part in parts]) for side in (0, 1))
    return (joined[0], joined[1]), _NOTHING


def even_levels(targets: npt.NDArray[Any], count: int = 9) -> Array:
    """Levels for a regression's contour lines: evenly spaced inside the range of the targets."""
    low, high = float(np.min(targets)), float(np.max(targets))
    return np.linspace(low, high, count + 2)[1:-1]


def mixed(probabilities: Array, regions: Array, neutral: Array) -> npt.NDArray[np.uint8]:
    """(..., 3) colours: the classes' region colours (C, 3) mixed by probability (..., C), fading to `neutral` (3,)
    where the classes are equally likely."""
    count = regions.shape[0]
    certainty = (probabilities.max(axis=-1, keepdims=True) - 1 / count) / (1 - 1 / count)
    colours = neutral + np.clip(certainty, 0.0, 1.0) * (probabilities @ regions - neutral)
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


def with_units_swapped(network: Any, theta: Array, first: int, second: int) -> Array:
    """theta (P,) with two units of the last hidden layer exchanged: their rows, and their columns in the layer above.
    The outputs stay the same."""
    swapped = np.array(theta, dtype=float)
    *_, incoming, outgoing = network.layers(swapped)
    incoming[[first, second]] = incoming[[second, first]]
    outgoing[:, [first, second]] = outgoing[:, [second, first]]
    return swapped
