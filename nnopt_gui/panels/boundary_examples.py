"""The examples of a problem in the boundary's plot: where they are, how they look, what a click would add."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QColor, QFontMetricsF

from nnopt.objectives.datasets import Dataset
from nnopt.runs.problem import Problem
from nnopt_gui.panels.boundary_picture import Axes
from nnopt_gui.panels.boundary_points import Picker, TargetPoints
from nnopt_gui.widgets import numbers, theme
from nnopt_gui.widgets.heatmap import Scale
from nnopt_gui.widgets.legend import Entry
from nnopt_gui.widgets.points import ClassPoints

Array = npt.NDArray[np.float64]

#: pixels within which the mouse has an example
NEAR = 9.0
#: drawn at most
MOST = 3000


class Examples:
    """Owns the points and the picker of a plot. `take` another problem, then `draw`."""

    def __init__(self, plot: Any) -> None:
        self.plot = plot
        self.points = ClassPoints(plot, 2 * MOST)
        self.targets = TargetPoints(plot)
        self.picker = Picker(plot)
        self.places: Array = np.empty((0, 2))
        self._rows = np.empty(0, dtype=np.intp)
        self.scale: Scale | None = None
        # set by `take`, before anything else is asked for
        self._problem: Any = None
        self._axes: Any = None
        self._values: tuple[float, ...] = ()
        self._held: tuple[int, float, float] | None = None

    @property
    def classes(self) -> int:
        """How many, 0 for a regression."""
        dataset = self._problem.dataset if self._problem is not None else None
        return len(dataset.classes) if dataset is not None and dataset.task == "classification" else 0

    def take(self, problem: Problem, axes: Axes) -> None:
        """Another problem, or other axes."""
        dataset = problem.dataset
        self._problem, self._axes = problem, axes
        shift, scale = axes.target
        heights = lanes(dataset.y, self.classes) if self.classes else dataset.y * scale + shift
        self.places = axes.drawn(dataset.X, heights)
        if not self.classes and len(heights):
            self.scale = Scale.of(heights, log=False)
        every = max(1, -(-dataset.n // MOST))
        # of a large data set every k-th is drawn, and those that were added last
        self._rows = np.union1d(np.arange(0, dataset.n, every), np.arange(max(0, dataset.n - 50), dataset.n))
        if self._held is not None and self._held[0] < len(self.places):
            self.places[self._held[0]] = self._held[1:]

    def hold(self, index: int, x: float, y: float) -> None:
        """An example follows the mouse, until `let_go`. Over one input it moves along the axis only."""
        if self._axes is not None and self._axes.y is None:
            y = float(self.places[index, 1])
        self._held = (index, x, y)
        self.places[index] = x, y

    def let_go(self) -> None:
        """The mouse was released."""
        self._held = None

    def find(self, x: float, y: float) -> int | None:
        """Index of the nearest example within reach of a place in the plot."""
        if len(self._rows) == 0:
            return None
        drawn = self.places[self._rows]
        wide, high = self.plot.view.viewPixelSize()
        distance = np.hypot((drawn[:, 0] - x) / (wide or 1.0), (drawn[:, 1] - y) / (high or 1.0))
        best = int(np.argmin(distance))
        return int(self._rows[best]) if distance[best] <= NEAR else None

    def spots(self) -> tuple[Array, Array]:
        """Where they are: what a legend should not cover."""
        return self.places[self._rows, 0], self.places[self._rows, 1]

    def addition(self, x: float, y: float) -> tuple[tuple[float, ...], float]:
        """(inputs, class or target) of the example that a click there adds, in the data set's coordinates."""
        inputs = tuple(float(v) for v in self._axes.moved(self._axes.base, x, y))
        if self.classes:
            return inputs, self.picker.current
        target = y if self._axes.y is None else self._values[self.picker.current]
        shift, scale = self._axes.target
        return inputs, (target - shift) / scale

    def moved(self, index: int) -> tuple[float, ...]:
        """Inputs of an example where it is drawn now, in the data set's coordinates."""
        place = self.places[index]
        return tuple(float(v) for v in self._axes.moved(self._problem.dataset.X[index], *place))

    def range(self) -> tuple[float, float, float, float, bool]:
        """(x0, x1, y0, y1) that shows all of them, and whether both axes should have one scale."""
        low, high = self.places.min(axis=0), self.places.max(axis=0)
        plane = self._axes.y is not None
        if not plane and self.classes:
            low[1], high[1] = min(low[1], 0.0), 1.0
        span = np.where(high > low, high - low, 1.0)
        low, high = low - 0.08 * span, high + 0.08 * span
        equal = plane and bool(np.all(self._axes.scale == 1.0)) and 0.4 < span[0] / span[1] < 2.5
        return float(low[0]), float(high[0]), float(low[1]), float(high[1]), equal

    def labels(self) -> tuple[str, str]:
        """Names of the axes."""
        dataset = self._problem.dataset
        across = words(dataset.features[self._axes.x])
        if self._axes.y is not None:
            return across, words(dataset.features[self._axes.y])
        if not self.classes:
            return across, words(dataset.target)
        return across, f"probability of {named(dataset.classes[1])}" if self.classes == 2 else "probability"

    # ------------------------------------------------------------------------------------------------------- drawing

    def draw(self, strong: npt.NDArray[np.uint8]) -> list[Entry]:
        """Draws them and fills the picker. strong (256, 4): colours of regression targets. Returns the legend."""
        if self._problem is None or self._problem.dataset is None or self._axes is None:
            return []
        training = np.zeros(len(self.places), dtype=bool)
        training[self._problem.training] = True
        training = training[self._rows]
        return self._draw_classes(training) if self.classes else self._draw_targets(training, strong)

    def _draw_classes(self, training: npt.NDArray[np.bool_]) -> list[Entry]:
        names = [named(name) for name in self._problem.dataset.classes]
        self.targets.clear()
        self.points.set(self.places[self._rows], self._problem.dataset.y[self._rows], training)
        self.picker.offer(names)
        self.picker.show()
        entries = [Entry(name, f"class{index}") for index, name in enumerate(names[:8])]
        if not training.all():
            entries.append(Entry("validation", "text2", "disc hollow"))
        if self.classes == 2:
            entries.append(Entry("p = 0.5" if self._axes.y is not None else "probability", "boundary"))
        return entries

    def _draw_targets(self, training: npt.NDArray[np.bool_], strong: npt.NDArray[np.uint8]) -> list[Entry]:
        self.points.set(np.empty((0, 2)), np.empty(0, dtype=int))
        self.set_wrong(np.empty(0, dtype=int))
        values = self._problem.dataset.y * self._axes.target[1] + self._axes.target[0]
        plane = self._axes.y is not None
        shades = self.scale.position(values[self._rows]) if plane else None
        self.targets.set(self.places[self._rows], training, shades, strong[:, :3])
        # three round targets that a click may add
        step = numbers.nice_step(self.scale.high - self.scale.low, 20)
        self._values = tuple(round(value / step) * step for value in (self.scale.low, values.mean(), self.scale.high))
        rows = np.clip(np.rint(self.scale.position(self._values) * 255), 0, 255).astype(int)
        texts = [numbers.short(value, 2) for value in self._values]
        self.picker.offer(
            [f"with target {text}" for text in texts], [QColor(*map(int, strong[i][:3])) for i in rows], texts
        )
        self.picker.setVisible(plane)
        role = "text2" if plane else "class0"
        entries = [Entry("training", role, "disc")]
        if not training.all():
            entries.append(Entry("validation", role, "disc hollow"))
        return [*entries, Entry("equal prediction", "boundary_soft") if plane else Entry("prediction", "boundary")]

    def set_wrong(self, rows: npt.NDArray[Any]) -> None:
        """Rings around misclassified examples, as far as they are drawn."""
        self.points.set_wrong(np.flatnonzero(np.isin(self._rows, rows)))

    def set_selected(self, index: int | None) -> None:
        """A ring in the accent."""
        found = np.flatnonzero(self._rows == index) if index is not None else []
        self.points.set_selected(int(found[0]) if self.classes and len(found) else None)
        if not self.classes:
            self.targets.set_selected(self.places[index] if len(found) else None)

    def place_picker(self) -> None:
        """At the lower right corner beside the axis' name; in a low plot, where that stands there, at the upper one."""
        bounds = self.plot.rect()
        if self.plot.bottom_axis.compact:
            self.picker.set_roomy(False)
            area = self.plot.view.sceneBoundingRect()
            self.picker.move(round(area.right()) - self.picker.width() - 5, round(area.top()) + 5)
            return
        metrics = QFontMetricsF(theme.font(12, theme.MEDIUM))
        end = (
            self.plot.view.sceneBoundingRect().center().x() + metrics.horizontalAdvance(self.plot.bottom_axis.words) / 2
        )
        self.picker.set_roomy(True)
        self.picker.set_roomy(bounds.right() - self.picker.width() > end + 22)
        self.picker.move(bounds.right() - self.picker.width() - 4, bounds.bottom() - self.picker.height() + 1)


def is_edit(before: Dataset, after: Dataset) -> bool:
    """Whether two data sets of the same columns differ by at most one example: added, moved or removed."""
    if (before.features, before.classes) != (after.features, after.classes) or abs(before.n - after.n) > 1:
        return False
    same = min(before.n, after.n)
    differs = np.flatnonzero((before.X[:same] != after.X[:same]).any(axis=1))
    if before.n == after.n or not len(differs):
        return len(differs) <= 1
    # one was taken out of the middle, or put back there
    first = int(differs[0])
    longer, shorter = (before, after) if before.n > after.n else (after, before)
    return bool(np.array_equal(longer.X[first + 1 :], shorter.X[first:]))


def lanes(y: npt.NDArray[Any], classes: int) -> Array:
    """Heights of examples over one input: 0 and 1 for two classes, for more a lane each below zero."""
    return np.asarray(y, dtype=float) if classes == 2 else -0.07 * (1.0 + np.asarray(y, dtype=float))


def named(name: str) -> str:
    """A class by its name; bare numbers are "class 0", "class 1"."""
    return f"class {name}" if name.lstrip("-").isdigit() else name


def words(feature: str) -> str:
    """A column's name as words: "sepal_length" -> "sepal length"."""
    return feature.replace("_", " ").strip() or "input"
