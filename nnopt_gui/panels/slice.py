"""The 1D panel: a slice through the loss at the current point, its quadratic model, and both steps on it.

The point can be dragged along the curve: the curve stays, and tangent, model and steps follow the mouse within a frame
from one gradient and one Hessian-vector product.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from PySide6.QtWidgets import QInputDialog

from nnopt.runs.experiment import Experiment
from nnopt_gui.panels.base import Choice, Panel, Picture
from nnopt_gui.panels.landscape_steps import forget, lowest_loss, parameter_names
from nnopt_gui.panels.landscape_trail import LiveTrail
from nnopt_gui.panels.slice_model import (
    CHEAP,
    HEAVY,
    QUICK,
    Interval,
    Line,
    Local,
    SlicePicture,
    loss_at,
    measure,
    work,
)
from nnopt_gui.panels.slice_picture import is_curve, options, slices, steps_here
from nnopt_gui.panels.slice_scene import SliceScene
from nnopt_gui.panels.slice_words import sentence
from nnopt_gui.state.view import View
from nnopt_gui.widgets.plot import LabPlot
from nnopt_gui.widgets.rest import Rest

#: objectives so small that the whole slice is computed while drawing
INSTANT = 64
#: points times parameters times examples up to which a slice takes a few milliseconds: it is computed with the frame
AT_ONCE = 1_000_000
#: seconds between two slices while a run plays where the analyst only brings the trail, and seconds after which one
#: that was asked for is not waited for any more
PACE_INSTANT, PATIENCE = 0.4, 1.0
#: width of the panel below which its sentence is a shorter one
NARROW = 560
#: milliseconds without a turn of the wheel after which the curve is computed for the new range
REST = 140


class SlicePanel(Panel):
    """Slice through the loss."""

    id = "slice"
    title = "Slice through the loss"
    area = (0, 0, 1, 1)
    pace = 0.15
    choices = (Choice("direction", "Direction", (("gradient", "gradient"), ("newton", "Newton step"))),)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.plot = LabPlot("distance", "loss", parent=self.body)
        self.plot.setAccessibleName("Loss along a line through the current point")
        self.body.layout().addWidget(self.plot)
        self.scene = SliceScene(self.plot)
        self.scene.point.constrain = self._on_curve
        self.scene.point.moved.connect(self._dragged)
        self.scene.point.released.connect(self._released)
        self.add_action("Choose a parameter…", self.choose_parameter)
        self._view: View | None = None
        self._shown: View | None = None
        self._trail = LiveTrail()
        self._picture: Picture | None = None
        self._asked = 0.0
        self._waiting = False
        #: choices and objective that it was asked for: a result for others is not drawn
        self._asked_for: tuple[Any, Any] = (None, None)
        self._options: tuple[Any, ...] = ()
        self._rate = math.nan
        self._held: float | None = None
        self._rest = Rest(self, REST, self._rested)
        self._rest.after(self.plot.view.sigRangeChangedManually, self.plot.view_reset)

    @classmethod
    def supports(cls, experiment: Experiment) -> bool:
        """There is a slice through every loss."""
        return True

    # ------------------------------------------------------------------------------------------------------ drawing

    def show_view(self, view: View) -> None:
        before, self._view = self._view, view
        if before is None or before.run != view.run:
            self._begin(view, before)
        self._offer_options(view)
        self.scene.set_running(view.playing)
        self.scene.floor = lowest_loss(view)
        # the same boxes as for the map
        self.scene.choose(bool(view.choice("landscape.model", True)), bool(view.choice("landscape.trust", False)))
        if not view.probe:
            self._trail.see(view.state.step, view.state.theta)
        if self._held is None and work(view.objective) <= INSTANT:
            past = self._trail.until(view.cursor)
            self._show(view, next(slices(view, self._kind(view), self._before(), self._window(), past)))

    def picture(self, view: View) -> Picture | None:
        if self._held is not None:
            return self._probe_picture(view)
        now = time.monotonic()
        if view.playing and self._picture is not None:
            # the next one is asked for once the last one has come: each continues what is shown
            instant = work(view.objective) <= INSTANT
            same = self._asked_for[0] == view.choices and self._asked_for[1] is view.objective
            if same and now - self._asked < (PACE_INSTANT if instant else PATIENCE if self._waiting else 0.0):
                return self._picture
        kind, before, window = self._kind(view), self._before(), self._window()
        past = self._trail.until(view.cursor) if view.playing and not self._trail.full else None
        key = (view.place, view.playing, view.state.theta.tobytes(), id(view.choices), id(view.objective), kind, window)
        if self._picture is not None and self._picture.key == key:
            return self._picture
        curved = kind == "newton" or view.experiment.methods[0].optimizer.needs != "gradient"
        heavy = not view.playing and curved and work(view.objective) * view.state.theta.size > HEAVY
        quick = INSTANT < work(view.objective) < AT_ONCE / QUICK  # less than that is drawn with the view
        self._picture = Picture(key, lambda: slices(view, kind, before, window, past), instant=quick, heavy=heavy)
        self._asked, self._waiting = now, True
        self._asked_for = (view.choices, view.objective)
        return self._picture

    def draw(self, view: View, result: Any) -> None:
        self._waiting = False
        if self._view is None or view.run != self._view.run:
            return
        if self._held is not None:
            if isinstance(result, SlicePicture) and view.probe:
                self.scene.show_local(result.local)
                self._say(result.local)
            return
        self._trail.take(result.past)
        if work(view.objective) > INSTANT or view.cursor == self._view.cursor:
            self._show(view, result)

    def _show(self, view: View, result: SlicePicture) -> None:
        self._shown = view
        self._rate = result.local.rate
        self.scene.show(result, whole=is_curve(view))
        self.scene.name_axes(result.line.label)
        self._say(result.local, result.note)

    def _say(self, local: Any, note: str = "") -> None:
        assert self.scene.line is not None
        line, narrow = self.scene.line, self.width() < NARROW
        self.set_readout(lambda: sentence(line, local, narrow))
        self.set_subtitle(note)

    def _begin(self, view: View, before: View | None) -> None:
        """Another run: what was drawn is of no interest any more, unless only the point was moved."""
        forget(view.history)
        self._trail.reset(view.run)
        self._picture = None
        self._held = None
        if before is None or before.objective is not view.objective:
            self.scene.clear()
        self.plot.user_view = False

    def _kind(self, view: View) -> str:
        return "own" if is_curve(view) else str(view.choice("slice.direction", "gradient"))

    def _before(self) -> Interval | None:
        """The range shown so far, if the same line is cut again."""
        shown, view = self._shown, self._view
        if self.scene.picture is None or shown is None or view is None or shown.run != view.run:
            return None
        return self.scene.picture.shown if self._kind(shown) == self._kind(view) else None

    def _window(self) -> Interval | None:
        return self.scene.visible() if self.plot.user_view else None

    def _offer_options(self, view: View) -> None:
        kind = self._kind(view)
        place = (view.run, kind)
        if place != self._options:
            self._options = place
            self.set_options("direction", options(view, kind))
            self.set_choice("direction", kind)

    # ----------------------------------------------------------------------------------------------------- dragging

    def _on_curve(self, x: float, y: float) -> tuple[float, float]:
        """The place on the curve above or below the mouse."""
        view, line = self._shown, self.scene.line
        if view is None or line is None:
            return x, y
        low, high = self.scene.visible()
        x = min(max(x, low), high)
        if work(view.objective) <= CHEAP:
            return x, loss_at(view.objective, line, x)
        curve = self.scene.picture.curve if self.scene.picture is not None else None
        return x, float(np.interp(x, curve.xs, curve.values)) if curve is not None else y

    def _dragged(self, x: float, _y: float) -> None:
        view, line = self._shown, self.scene.line
        if view is None or line is None or self.scene.local is None:
            return
        if self._held is None:
            self._held = self.scene.local.x
        theta = line.point(x)
        if work(view.objective) <= CHEAP:
            local = self._measured(view, line, x)
            self.scene.show_local(local)
            self._say(local)
        self.emit_intent("probe", theta=theta)

    def _released(self, x: float, _y: float) -> None:
        line, start = self.scene.line, self._held
        self._held = None
        if line is None or start is None:
            return
        low, high = self.scene.visible()
        if abs(x - start) < 1e-6 * (high - low):
            self.emit_intent("probe", theta=None)
        else:
            self.emit_intent("move_to", theta=line.point(x))

    def _measured(self, view: View, line: Line, x: float) -> Local:
        """The loss and the steps at a dragged point; rate and damping of the picture where finding them takes long."""
        assert self.scene.local is not None
        rate, damping, own = self._rate, self.scene.local.damping, None
        if work(view.objective) * int(view.objective.size) <= CHEAP:
            state = msgspec.structs.replace(view.state, theta=line.point(x))
            steps = steps_here(replace(view, state=state, probe=True))
            rate, damping, own = steps.rate, steps.damping, steps.own
        return measure(view.objective, line, x, rate, damping, own)

    def _probe_picture(self, view: View) -> Picture | None:
        """Value, slope and curvature where the mouse is, for objectives that are too large to be evaluated at once."""
        line, picture, rate = self.scene.line, self.scene.picture, self._rate
        damping = 0.0 if self.scene.local is None else self.scene.local.damping
        if not view.probe or line is None or picture is None or work(view.objective) <= CHEAP:
            return self._picture
        x = float(line.project(view.state.theta)[0])

        def compute() -> Any:
            local = measure(view.objective, line, x, rate, damping)
            yield SlicePicture(line, local, picture.curve, picture.shown, picture.past, picture.note)

        return Picture(("probe", view.run, x), compute)

    # ------------------------------------------------------------------------------------------------------ choices

    def _rested(self) -> None:
        """The wheel rests: the curve is wanted for the range that is seen now."""
        view = self._view
        if view is None or self._held is not None:
            return
        if work(view.objective) * 400 <= CHEAP * 10:
            picture = next(slices(view, self._kind(view), self._before(), self._window(), self._trail.past))
            self._show(view, picture)
        else:
            self.emit_intent("choose", name="slice.window", value=self._window())

    def choose_parameter(self) -> None:
        """Ask for a parameter by name and cut along it."""
        view = self._view
        if view is None:
            return
        names = parameter_names(view.objective)
        numbered = [f"{i + 1}: {name}" for i, name in enumerate(names)]
        words, accepted = QInputDialog.getItem(self, "Direction", "Cut along the parameter", numbered, 0, False)
        if accepted and words in numbered:
            value = f"parameter:{numbered.index(words)}"
            self.emit_intent("choose", name="slice.direction", value=value)
