"""Generated data sets, as in TensorFlow Playground and ConvNetJS, so that a lecture's examples can be repeated here.

Angles run clockwise from the x2 axis (x1 = r sin, x2 = r cos) as in both. U(a, b) is uniform from a to b. Noise is
given in percent, 0 to 50; what it disturbs is said per set, where it counts as a share (0.1 for 10 %). `make(seed)`
gives a Dataset with X (points, 2) unless said otherwise, the same for the same seed. Discs, clouds and arms come one
after the other; the split and the batches draw from all of them.

Sources: Smilkov et al., TensorFlow Playground (dataset.ts, 2016); Karpathy, ConvNetJS (classify2d demo, 2014).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt

from nnopt.objectives.datasets import Array, Dataset, DataSettings, register, stream
from nnopt.settings import between, described

Count = Annotated[int, between(2, 1_000_000, closed=True, label="points", log=True, slider=(10, 5000))]
Percent = Annotated[float, between(0, 50, closed=True, label="noise", unit="%")]
Definition = Annotated[Literal["playground", "convnetjs"], described("definition", help="whose constants are used")]
Generator = np.random.Generator


@register
class Circle(DataSettings, frozen=True, tag="circle"):
    """A disc inside a ring. Playground: radius U(0, 2.5) inside U(3.5, 5); ConvNetJS: U(0, 2) inside U(3, 5), the
    ring's angles evenly spaced.

    Noise moves each point by up to that share of 5 before its class (1: radius < 2.5) is read off, so it flips labels.

    >>> data = Circle(points=100).make(seed=0)
    >>> radius = np.hypot(*data.X.T)
    >>> data.X.shape, bool(radius[data.y == 1].max() < 2.5 < 3.5 < radius[data.y == 0].min())
    ((100, 2), True)
    """

    points: Count = 500
    noise: Percent = 0.0
    definition: Definition = "playground"

    title = "Circle"
    source = "TensorFlow Playground; ConvNetJS"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        inner, low = (2.5, 3.5) if self.definition == "playground" else (2.0, 3.0)
        n, m = _halves(self.points)
        radius = np.concatenate([_uniform(random, 0, inner, n), _uniform(random, low, 5, m)])
        angle = _uniform(random, 0, 2 * math.pi, n + m)
        if self.definition == "convnetjs":
            angle[n:] = 2 * math.pi * np.arange(m) / m
        X = _polar(radius, angle)
        seen = X + _uniform(random, -5, 5, X.shape) * (self.noise / 100)
        return _classes(X, np.hypot(seen[:, 0], seen[:, 1]) < 2.5)


@register
class Xor(DataSettings, frozen=True, tag="xor"):
    """U(-5, 5)^2, pushed 0.3 away from the axes; the class says whether the signs agree.

    Noise moves each point by up to that share of 5 before its class is read off, so it flips labels near the axes.

    >>> data = Xor(points=100).make(seed=0)
    >>> bool(((data.X.prod(axis=1) > 0) == data.y).all()), bool((abs(data.X) >= 0.3).all())
    (True, True)
    """

    points: Count = 500
    noise: Percent = 0.0

    title = "Exclusive or"
    source = "TensorFlow Playground"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        X = _uniform(random, -5, 5, (self.points, 2))
        X += np.where(X > 0, 0.3, -0.3)
        seen = X + _uniform(random, -5, 5, X.shape) * (self.noise / 100)
        return _classes(X, seen[:, 0] * seen[:, 1] >= 0)


@register
class Gauss(DataSettings, frozen=True, tag="gauss"):
    """Two normal clouds around (2, 2) and (-2, -2), of variance 0.5 + 7 * noise (0.5 to 4).

    >>> data = Gauss(points=2000).make(seed=0)
    >>> data.X[data.y == 1].mean(axis=0).round(1), data.X[data.y == 0].var(axis=0).round(1)
    (array([2., 2.]), array([0.5, 0.5]))
    """

    points: Count = 500
    noise: Percent = 0.0

    title = "Two clouds"
    source = "TensorFlow Playground"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        n, m = _halves(self.points)
        centres = np.repeat([[2.0, 2.0], [-2.0, -2.0]], [n, m], axis=0)
        spread = math.sqrt(0.5 + 7 * self.noise / 100)
        return _classes(centres + spread * random.standard_normal((n + m, 2)), np.arange(n + m) < n)


@register
class Spiral(DataSettings, frozen=True, tag="spiral"):
    """Two interleaved arms: radius 5 i/n, angle 1.75 (ConvNetJS: 1.25) turns * i/n, the other arm half a turn on.

    Noise moves the points by U(-1, 1) times its share; ConvNetJS adds U(-0.1, 0.1) to every radius and angle.

    >>> data = Spiral(points=200).make(seed=0)
    >>> first, second = data.X[data.y == 1], data.X[data.y == 0]
    >>> len(first), np.allclose(first, -second), np.hypot(*first.T)[[0, 20, 99]].round(9)
    (100, True, array([0.  , 1.  , 4.95]))
    """

    points: Count = 500
    noise: Percent = 0.0
    definition: Definition = "playground"

    title = "Spiral"
    source = "TensorFlow Playground; ConvNetJS"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        convnetjs = self.definition == "convnetjs"
        X, arm = _arms(random, self.points, 2, 1.25 if convnetjs else 1.75, 0.1 if convnetjs else 0.0)
        return _classes(X + _uniform(random, -1, 1, X.shape) * (self.noise / 100), arm == 0)


@register
class Spiral3(DataSettings, frozen=True, tag="spiral3"):
    """Three interleaved arms, a third of a turn apart: radius 5 i/n, 1.25 turns. Noise as in `spiral`.

    >>> data = Spiral3(points=300).make(seed=0)
    >>> data.classes, data.outputs, data.loss
    (('0', '1', '2'), 3, 'cross_entropy')
    """

    points: Count = 450
    noise: Percent = 0.0

    title = "Three-arm spiral"
    source = "ConvNetJS's spiral with a third arm (as in Stanford's CS231n notes)"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        X, arm = _arms(random, self.points, 3, 1.25, 0.0)
        return _labelled(X + _uniform(random, -1, 1, X.shape) * (self.noise / 100), arm, 3)


@register
class Moons(DataSettings, frozen=True, tag="moons"):
    """Two interleaved half circles of radius 3, centred on the origin.

    Noise is normal, of standard deviation 3 * its share in each coordinate.

    >>> data = Moons(points=102, noise=0).make(seed=0)
    >>> data.X.min(axis=0).round(6), data.X.max(axis=0).round(6)
    (array([-4.5 , -2.25]), array([4.5 , 2.25]))
    """

    points: Count = 500
    noise: Percent = 5.0

    title = "Two moons"
    source = "scikit-learn make_moons, three times as large"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        n, m = _halves(self.points)
        upper, lower = np.linspace(0, math.pi, n), np.linspace(0, math.pi, m)
        x = np.concatenate([np.cos(upper), 1 - np.cos(lower)]) - 0.5
        y = np.concatenate([np.sin(upper), 0.5 - np.sin(lower)]) - 0.25
        X = np.column_stack([x, y]) + random.standard_normal((n + m, 2)) * (self.noise / 100)
        return _classes(3 * X, np.arange(n + m) < n)


@register
class Checkerboard(DataSettings, frozen=True, tag="checkerboard"):
    """U(-5, 5)^2, coloured like a board of cells x cells. Noise moves points, as in `xor`, before the class is read.

    >>> data = Checkerboard(points=400, cells=2).make(seed=0)
    >>> bool(((data.X.prod(axis=1) > 0) == data.y).all())  # two by two cells: exclusive or
    True
    """

    points: Count = 800
    noise: Percent = 0.0
    cells: Annotated[int, between(2, 10, closed=True, label="cells", help="per side")] = 4

    title = "Checkerboard"
    source = "the usual benchmark"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        X = _uniform(random, -5, 5, (self.points, 2))
        seen = X + _uniform(random, -5, 5, X.shape) * (self.noise / 100)
        cell = np.floor((seen + 5) * (self.cells / 10)).astype(np.int64)
        return _classes(X, cell.sum(axis=1) % 2 == 0)


@register
class RandomLabels(DataSettings, frozen=True, tag="random_labels"):
    """U(-3, 3)^2 with labels by coin toss: nothing to learn, everything to memorize.

    >>> data = RandomLabels(points=40).make(seed=0)
    >>> data.X.shape, bool(0.2 < data.y.mean() < 0.8)
    ((40, 2), True)
    """

    points: Count = 40

    title = "Random labels"
    source = "ConvNetJS"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        X = _uniform(random, -3, 3, (self.points, 2))
        return _classes(X, random.random(self.points) > 0.5)


@register
class Blobs3(DataSettings, frozen=True, tag="blobs3"):
    """Three normal clouds on a circle of radius 3, of variance 0.5 + 7 * noise, as in `gauss`.

    >>> data = Blobs3(points=3000).make(seed=0)
    >>> [int(np.hypot(*data.X[data.y == label].mean(axis=0)).round()) for label in range(3)]
    [3, 3, 3]
    """

    points: Count = 450
    noise: Percent = 0.0

    title = "Three clouds"
    source = "TensorFlow Playground's clouds, three of them"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        label = _groups(self.points, 3)
        centres = _polar(np.full(self.points, 3.0), label * (2 * math.pi / 3))
        spread = math.sqrt(0.5 + 7 * self.noise / 100)
        return _labelled(centres + spread * random.standard_normal(centres.shape), label, 3)


@register
class Plane(DataSettings, frozen=True, tag="plane"):
    """Regression: (x1 + x2) / 10 on U(-6, 6)^2. Noise moves each point by up to that share of 6 before it is read.

    >>> data = Plane(points=50).make(seed=0)
    >>> data.task, np.allclose(data.y, data.X.sum(axis=1) / 10)
    ('regression', True)
    """

    points: Count = 500
    noise: Percent = 0.0

    title = "Plane (regression)"
    source = "TensorFlow Playground"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        X = _uniform(random, -6, 6, (self.points, 2))
        seen = X + _uniform(random, -6, 6, X.shape) * (self.noise / 100)
        return Dataset(X, seen.sum(axis=1) / 10, "regression", target="y")


@register
class Sine(DataSettings, frozen=True, tag="sine"):
    """Regression with one input: sin(x) for x in U(-5, 5). Noise is added to the target: U(-1, 1) times its share.

    X (points, 1).

    >>> data = Sine(points=50, noise=10).make(seed=0)
    >>> data.X.shape, bool((abs(data.y - np.sin(data.X[:, 0])) <= 0.1).all())
    ((50, 1), True)
    """

    points: Count = 100
    noise: Percent = 10.0

    title = "Sine (regression, one input)"
    source = "the usual first regression"

    def make(self, seed: int) -> Dataset:
        random = stream(seed, "points")
        x = _uniform(random, -5, 5, self.points)
        y = np.sin(x) + _uniform(random, -1, 1, self.points) * (self.noise / 100)
        return Dataset(x[:, None], y, "regression", features=("x",), target="y")


def _uniform(random: Generator, low: float, high: float, shape: int | tuple[int, ...]) -> Array:
    return low + (high - low) * random.random(shape)


def _polar(radius: npt.NDArray[Any], angle: npt.NDArray[Any]) -> Array:
    return np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])


def _halves(points: int) -> tuple[int, int]:
    return points - points // 2, points // 2


def _groups(points: int, groups: int) -> npt.NDArray[np.int64]:
    """0 ... 0 1 ... 1 2 ... 2, as even as possible."""
    return np.arange(points) * groups // points


def _arms(
    random: Generator, points: int, arms: int, turns: float, jitter: float
) -> tuple[Array, npt.NDArray[np.int64]]:
    """(X, arm): `points` along `arms` spirals of radius 5; jitter: half-width of the noise on radius and angle."""
    arm = _groups(points, arms)
    counts = np.bincount(arm, minlength=arms)
    i = np.arange(points) - np.repeat(np.cumsum(counts) - counts, counts)
    along = i / np.repeat(counts, counts)
    radius = 5 * along + _uniform(random, -jitter, jitter, points)
    angle = 2 * math.pi * (turns * along + arm / arms) + _uniform(random, -jitter, jitter, points)
    return _polar(radius, angle), arm


def _labelled(X: Array, label: npt.NDArray[np.int64], classes: int) -> Dataset:
    return Dataset(X, label, "classification", tuple(str(k) for k in range(classes)))


def _classes(X: Array, positive: npt.NDArray[np.bool_]) -> Dataset:
    """Two classes, 0 and 1."""
    return _labelled(X, positive.astype(np.int64), 2)
