"""The decision boundary panel: what the network answers over the input plane, and the examples, which can be edited.

A click adds an example of the picked class, a drag moves one, Delete removes the selected one. With one input the
answer is a curve; with more than two, the two drawn ones are chosen and the others stay at their means.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from nnopt.runs.experiment import Experiment, NetworkProblem
from nnopt.runs.problem import Problem
from nnopt_gui.panels.base import Choice, Panel, Picture
from nnopt_gui.panels.boundary_examples import Examples, is_edit, named, words
from nnopt_gui.panels.boundary_map import BoundaryMap
from nnopt_gui.panels.boundary_picture import Axes, BoundaryPicture, Request, with_units_swapped
from nnopt_gui.panels.boundary_points import ExampleArea
from nnopt_gui.panels.boundary_units import MOST, UnitTiles
from nnopt_gui.panels.boundary_words import readout
from nnopt_gui.state.view import View
from nnopt_gui.widgets import theme
from nnopt_gui.widgets.plot import LabPlot
from nnopt_gui.widgets.rest import Rest

#: the tiles are shown from this width of the body on
ROOM_FOR_UNITS = 430
#: height of the plot from which a legend has room beside the examples
LEGEND = 225
#: milliseconds that the view must rest before the map is computed for it
REST = 60
#: places times parameters up to which the coarse map takes a few milliseconds: it is then computed with the frame
INSTANT = 1_000_000
#: seconds between two pictures of the units while a run plays
UNITS_PACE = 0.1
#: seconds between two moves that are told while an example is dragged
MOVES = 0.04
_SHOW = (("probability", "probability"), ("decision", "decision"))
_PREDICTION = (("probability", "prediction"),)


class BoundaryPanel(Panel):
    """See the module. Emits add_example(x (D,), y), move_example(index, x), remove_example(index), select(index),
    move_to(theta) when two hidden units are swapped, and choose("boundary.range", ...) so that a zoomed view
    gets its own map."""

    id: ClassVar[str] = "boundary"
    title: ClassVar[str] = "Decision boundary"
    area: ClassVar[tuple[int, int, int, int]] = (1, 0, 1, 1)
    choices: ClassVar[tuple[Choice, ...]] = (Choice("show", "Show", _SHOW),)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._row = QWidget(self.body)
        self.plot = LabPlot("x₁", "x₂", grid="", parent=self._row)
        self.plot.setAccessibleName("Input plane with examples")
        self.units = UnitTiles(self._row)
        self.nothing = QLabel("A function has no data, so there is no boundary to show.", self.body)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.setWordWrap(True)
        self.nothing.hide()
        inside = QHBoxLayout(self._row)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(10)
        inside.addWidget(self.plot, 1)
        inside.addWidget(self.units)
        layout = self.body.layout()
        assert layout is not None
        layout.addWidget(self._row)
        layout.addWidget(self.nothing)
        self.map = BoundaryMap(self.plot)
        self.examples = Examples(self.plot)
        self.picker = self.examples.picker
        self.mouse = self.plot.add(ExampleArea(self.examples.find, self.examples.spots))
        self.mouse.clicked.connect(self._click)
        self.mouse.dragged.connect(self._drag)
        self.units.swapped.connect(self._swap)
        self.picker.changed.connect(self._picked)
        self.plot.installEventFilter(self)
        self._rest = Rest(self, REST, self._ask_for_range)
        self._rest.after(self.plot.view.sigRangeChanged)
        theme.changed.connect(self._restyle)
        self._view: View | None = None
        self._problem: Any = None
        self._dataset: Any = None
        self._axes: Axes | None = None
        self._shown: tuple[View, BoundaryPicture] | None = None
        self._computed: tuple[float, ...] | None = None
        self._told = 0.0
        self._tiled = 0.0
        #: the example that was added or dragged last, and the problem before that
        self._touched: tuple[int, Any] | None = None

    @classmethod
    def supports(cls, experiment: Experiment) -> bool:
        """Networks only: a function has no data."""
        return isinstance(experiment.problem, NetworkProblem)

    # ---------------------------------------------------------------------------------------------------- the view

    def show_view(self, view: View) -> None:
        """Draws the examples if they changed; the map comes with the picture."""
        selected = self._view is None or self._view.selection != view.selection
        self._view = view
        supported = self.supports(view.experiment)
        self._row.setVisible(supported)
        self.nothing.setVisible(not supported)
        if not supported:
            self._problem = None
            self.set_readout("Choose a network problem to see its decision boundary.")
            return
        problem = view.history.problem_at(view.cursor)
        wanted = (int(view.choice(f"boundary.{name}", index)) for index, name in enumerate("xy"))
        axes = Axes.of(problem.dataset, problem.training, *wanted)
        self.plot.set_running(view.playing)
        self.map.set_running(view.playing)
        same_axes = self._axes is not None and (self._axes.x, self._axes.y) == (axes.x, axes.y)
        if problem is not self._problem or not same_axes:
            self._take(problem, axes, same_axes)
        self._name_what_is_shown(str(view.choice("boundary.show", "probability")))
        self.examples.set_selected(view.selection)
        self._select_touched(problem)
        if selected and self._shown is not None:
            self._say(view, self._shown[1])

    def _name_what_is_shown(self, chosen: str) -> None:
        """A regression has neither boundary nor probabilities."""
        classes = bool(self.examples.classes)
        title = self.title if classes else "Prediction"
        if title != self.header.title:
            self.set_title(title)
            self.set_options("show", _SHOW if classes else _PREDICTION)
        self.set_choice("show", chosen if classes else _PREDICTION[0][0])

    def _take(self, problem: Problem, axes: Axes, same_axes: bool) -> None:
        """Other data, or other axes."""
        before: Any = self._dataset
        dataset: Any = problem.dataset
        self._problem, self._dataset, self._axes = problem, dataset, axes
        if before is None or (before.features, before.classes) != (dataset.features, dataset.classes) or not same_axes:
            self.plot.user_view = False
            self._shown = None
            self.map.clear()
        self.examples.take(problem, axes)
        self._offer_axes(axes)
        self.plot.set_labels(*self.examples.labels())
        # under the mouse that adds or moves examples the axes stand still
        if before is None or not same_axes or not is_edit(before, dataset):
            self._touched = None
            *home, equal = self.examples.range()
            self.plot.setAspectLocked(equal)
            self.plot.set_home(*home)
        self._draw_examples()

    def _select_touched(self, problem: Problem) -> None:
        """What was added or dragged becomes the selected example once the data hold it (a change of the past begins
        another run, in which nothing is selected yet)."""
        if self._touched is None or self.mouse.dragging:
            return
        index, before = self._touched
        if problem is not before and index < len(self.examples.places):
            self._touched = None
            if self._view is not None and self._view.selection != index:
                self.emit_intent("select", index=index)

    def _restyle(self) -> None:
        self.map.restyle()
        if self._problem is not None:
            self._draw_examples()

    def _draw_examples(self) -> None:
        entries = self.examples.draw(self.map.strong_colours)
        self.plot.set_legend(entries if self.plot.height() > LEGEND else [])
        self.examples.place_picker()

    def _offer_axes(self, axes: Axes) -> None:
        """Choices of the drawn inputs, where there are more than two."""
        features = self._dataset.features
        options = [(str(index), words(name)) for index, name in enumerate(features)] if len(features) > 2 else []
        held = {button.name: button for button in self.header.choices}
        for name, label, index in (("x", "Across", axes.x), ("y", "Up", axes.y)):
            button = held.get(name)
            if options and button is None:
                self.add_choice(name, label, options).show()
            elif options:
                self.set_options(name, options)
            elif button is not None:
                self.header.choices.remove(button)
                button.hide()
                button.deleteLater()
            if options:
                self.set_choice(name, str(index))
        self.header.arrange()

    # ------------------------------------------------------------------------------------------------- the picture

    def picture(self, view: View) -> Picture | None:
        """The map over the visible part of the input plane."""
        problem, axes = self._problem, self._axes
        if problem is None or axes is None:
            return None
        (x0, x1), (y0, y1) = self.plot.view.viewRange()
        self._computed = (x0, x1, y0, y1)
        units = MOST if self.body.width() >= ROOM_FOR_UNITS and axes.y is not None else 0
        request = Request(
            view.objective, view.state.theta, problem.dataset.X, problem.dataset.y, problem.training,
            problem.validation, self.examples.classes, axes, (x0, x1, y0, y1), units, view.playing,
        )  # fmt: skip
        # what was computed for other choices is not drawn, so they belong to the key
        key = (view.place, view.playing, self._computed, axes.x, axes.y, units, repr(view.choices))
        return Picture(key, request.compute, instant=request.units_of_work < INSTANT)

    def draw(self, view: View, result: BoundaryPicture) -> None:
        """Map, lines, rings, tiles and the sentence."""
        if (
            self._problem is None
            or self._axes is None
            or (result.axes.x, result.axes.y) != (self._axes.x, self._axes.y)
        ):
            return
        self._shown = (view, result)
        decided = view.choice("boundary.show", "probability") == "decision"
        self.map.show(result, decided, self.examples.scale, words(self._dataset.target)[:9])
        if self.examples.classes and len(result.score.wrong) == len(self.examples.places):
            self.examples.set_wrong(np.flatnonzero(result.score.wrong))
        self._draw_units(view, result)
        self._say(view, result)

    def _draw_units(self, view: View, result: BoundaryPicture) -> None:
        network = view.objective.network
        self.units.setVisible(len(result.units) > 0 and self.body.width() >= ROOM_FOR_UNITS)
        now = perf_counter()
        if self.units.isHidden() or (view.playing and now - self._tiled < UNITS_PACE):
            return
        self._tiled = now
        several = network.outputs > 1
        row = min(self.picker.current, network.outputs - 1) if several else 0
        towards = named(self._dataset.classes[row]) if several else ""
        self.units.show_units(result.units, result.weights[row], network.activation, network.widths[-1], towards)

    def _say(self, view: View, result: BoundaryPicture) -> None:
        if self._problem is not None and self._axes is not None:
            selection = self._view.selection if self._view is not None else view.selection
            problem, axes, wide = self._problem, self._axes, self.width() >= 460
            self.set_readout(lambda: readout(problem, axes, result.score, selection, wide))

    def _ask_for_range(self) -> None:
        """The view has come to rest on another part of the plane: it gets its own map."""
        self.examples.place_picker()
        (x0, x1), (y0, y1) = self.plot.view.viewRange()
        if self._view is not None and self._computed is not None and self._computed != (x0, x1, y0, y1):
            self.emit_intent("choose", name="boundary.range", value=(x0, x1, y0, y1))

    # ---------------------------------------------------------------------------------------------------- the hands

    def _picked(self, index: int) -> None:
        if self._shown is not None:
            self._draw_units(*self._shown)

    def _click(self, x: float, y: float, index: int | None) -> None:
        if self._view is None or self._axes is None:
            return
        if index is not None:
            self._touched = None
            self.emit_intent("select", index=index)
        else:
            inputs, label = self.examples.addition(x, y)
            self._touched = (len(self.examples.places), self._problem)
            self.emit_intent("add_example", x=inputs, y=label)

    def _drag(self, index: int, x: float, y: float, finished: bool) -> None:
        """While the run stands still every move is told at once; while it plays, the last one."""
        if self._view is None or index >= len(self.examples.places):
            return
        self.examples.hold(index, x, y)
        inputs = self.examples.moved(index)
        if finished:
            self.examples.let_go()
            self._touched = (index, self._problem)
        self._draw_examples()
        now = perf_counter()
        if finished or (not self._view.playing and now - self._told > MOVES):
            self._told = now
            self.emit_intent("move_example", index=index, x=inputs)

    def remove_selected(self) -> None:
        """Removes the selected example."""
        if self._view is not None and self._view.selection is not None:
            self.emit_intent("remove_example", index=self._view.selection)

    def _swap(self, first: int, second: int) -> None:
        if self._view is not None and self._problem is not None:
            theta = with_units_swapped(self._problem.network, self._view.state.theta, first, second)
            self.emit_intent("move_to", theta=theta)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self._view is not None:
                self.remove_selected()
                return True
        elif event.type() == QEvent.Type.Resize:
            self._rest.start()
        return super().eventFilter(watched, event)
