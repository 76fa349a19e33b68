"""The 2D panel: the loss on a plane as a map, its quadratic model, both steps, and the way the run has come.

While a run plays the plane stays and the point moves on it; when it pauses, the plane is cut exactly through the point.
A click starts the run from that place, and the point can be dragged.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QInputDialog, QLabel

from nnopt.runs.experiment import Experiment, FunctionProblem
from nnopt_gui.panels.base import Choice, Option, Panel, Picture
from nnopt_gui.panels.landscape_levels import Extent
from nnopt_gui.panels.landscape_model import Ask, LandscapePicture, LocalModel, landscapes, local_model
from nnopt_gui.panels.landscape_plane import PLANES, MapFrame, planes
from nnopt_gui.panels.landscape_scene import LandscapeScene
from nnopt_gui.panels.landscape_steps import function_of, lowest_loss, parameter_names, steps_at
from nnopt_gui.panels.landscape_trail import LiveTrail
from nnopt_gui.panels.landscape_words import sentence
from nnopt_gui.panels.slice_model import HEAVY, work
from nnopt_gui.state.view import View
from nnopt_gui.widgets.plot import LabPlot
from nnopt_gui.widgets.rest import Rest

#: parameters^2 times examples up to which steps and model are computed while drawing: always, while a run plays (about
#: 2 ms), and as a point is dragged
INSTANT, LIVE, CHEAP = 256, 1_000_000, 10_000_000
#: seconds between two maps while a run plays, and after which a picture that was asked for is not waited for any more
PACE, PATIENCE = 0.1, 1.0
#: sizes of the map from its middle beyond which a point has left it for good
JUMP = 1.5
#: as beyond JUMP, beyond which the view follows the point at once, before a map of there has come
LEAVING = 0.48
#: milliseconds without a turn of the wheel (or a change of size) after which the map is computed anew
REST = 160
NO_PLANE = "One parameter has no plane: its whole landscape is the curve in “Slice through the loss”."


class LandscapePanel(Panel):
    """Loss landscape."""

    id = "landscape"
    title = "Loss landscape"
    area = (0, 1, 1, 1)
    pace = 0.15
    choices = (Choice("plane", "Plane", PLANES),)
    options = (
        Option("model", "Quadratic model"),
        Option("contours", "Contours"),
        Option("trust", "Where the model is within 10 %", on=False),
    )

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.plot = LabPlot("first direction", "second direction", grid="", equal=True, on_map=True, parent=self.body)
        self.body.layout().addWidget(self.plot)
        self.plot.setAccessibleName("Map of the loss on a plane")
        self.nothing = QLabel(NO_PLANE, self.body)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.setWordWrap(True)
        self.nothing.hide()
        self.body.layout().addWidget(self.nothing)
        # a double-click is a second click here: it must not change the view as well
        self.plot.view.double_clicked.disconnect(self.plot.reset_view)
        self.scene = LandscapeScene(self.plot)
        self.scene.point.constrain = self.scene.within
        self.scene.point.moved.connect(self._dragged)
        self.scene.point.released.connect(self._released)
        self.plot.clicked.connect(self._clicked)
        self.add_action("Choose two parameters…", self.choose_parameters)
        self.add_action("Reset the view", self.plot.reset_view)
        self._view: View | None = None
        self._trail = LiveTrail()
        self._picture: Picture | None = None
        self._asked = 0.0
        self._waiting = False
        #: choices and objective that it was asked for: a result for others is not drawn
        self._asked_for: tuple[Any, Any] = (None, None)
        #: numbers of the plane that is shown and of the one that was asked for last: there is one at a time, and a new
        #: one comes once, with its map
        self._plane = self._wanted = 0
        self._map_of: tuple[Any, ...] = ()
        self._options: tuple[Any, ...] = ()
        self._held: tuple[float, float] | None = None
        self._rest = Rest(self, REST, self._rested)
        self._rest.after(self.plot.view.sigRangeChangedManually, self.plot.view_reset)

    @classmethod
    def supports(cls, experiment: Experiment) -> bool:
        """There is a plane through every loss of two parameters or more."""
        problem = experiment.problem
        return not (isinstance(problem, FunctionProblem) and problem.function.size < 2)

    # ------------------------------------------------------------------------------------------------------ drawing

    def show_view(self, view: View) -> None:
        before, self._view = self._view, view
        if before is None or before.run != view.run:
            self._begin(view, before)
        flat = int(view.objective.size) < 2
        self.nothing.setVisible(flat)
        self.plot.setVisible(not flat)
        if flat:
            self.set_readout(NO_PLANE)
            return
        self._offer_options(view)
        self.scene.set_running(view.playing)
        self.scene.floor = lowest_loss(view)
        self.scene.choose(
            **{option.name: bool(view.choice(f"landscape.{option.name}", option.on)) for option in self.options}
        )
        if not view.probe:
            self._trail.see(view.state.step, view.state.theta)
        frame = self.scene.frame
        if frame is None or self._held is not None:
            return
        live = self._instant(view) or (view.playing and _cost(view) <= LIVE)
        if live and self._fits(view):
            self._show_local(view)
        # point, steps and sentence are always of one step: what takes longer comes with the picture
        if live or frame.complete:
            self.scene.show_past(self._trail.until(view.cursor))

    def _show_local(self, view: View) -> None:
        frame = self.scene.frame
        assert frame is not None
        local = local_model(view, frame, steps_at(view))
        leaves = view.playing and not frame.complete and self.scene.beyond(local.theta, LEAVING)
        if leaves and not self.plot.user_view and not self._jumped(view):
            self.scene.follow(local.place)
        self.scene.show_local(local)
        self._say(local, frame, view.cursor)

    def _say(self, local: LocalModel, frame: MapFrame, step: int) -> None:
        self.set_readout(lambda: sentence(local, frame, step))

    def picture(self, view: View) -> Picture | None:
        if int(view.objective.size) < 2:
            return None
        keep = view.playing or view.probe
        if self._held is not None and _cost(view) <= CHEAP:
            return self._picture
        now = time.monotonic()
        # the next one is asked for once the last one has come: each continues what is shown
        soon = now - self._asked < (PATIENCE if self._waiting else PACE)
        same = self._asked_for[0] == view.choices and self._asked_for[1] is view.objective
        if view.playing and self._picture is not None and soon and same:
            return self._picture
        # a point that has jumped away (Home while playing, a fast run) gets a plane of its own
        ask = self._ask(view, keep and self._fits(view) and not (view.playing and self._jumped(view)))
        key = (
            view.place,
            view.playing,
            view.state.theta.tobytes(),
            id(view.choices),
            id(view.objective),
            ask.kind,
            ask.window,
            round(ask.aspect, 2),
        )
        if self._picture is not None and self._picture.key == key:
            return self._picture
        heavy = not view.playing and _cost(view) > HEAVY
        self._picture = Picture(key, lambda: landscapes(view, ask), heavy=heavy)
        self._asked, self._waiting = now, True
        self._asked_for = (view.choices, view.objective)
        return self._picture

    def _jumped(self, view: View) -> bool:
        """Whether the point is far from the map, in its plane or beside it."""
        frame, home = self.scene.frame, self.scene.home
        if frame is None or home is None or frame.complete:
            return False
        away = float(frame.project(view.state.theta)[1])
        return self.scene.beyond(view.state.theta, JUMP) or not away <= JUMP * (home[1] - home[0])

    def _ask(self, view: View, keep: bool) -> Ask:
        scene = self.scene
        same = self._fits(view)
        frame = scene.frame if same else None
        window = scene.visible() if self.plot.user_view and same else None
        if frame is not None and frame.complete:
            wanted = self._map_of != self._map_place(view, window)
        else:
            wanted = not keep or view.playing or scene.beyond(view.state.theta, LEAVING)
            if not keep:
                self._wanted += 1
        return Ask(
            kind=self._kind(view),
            aspect=scene.aspect(),
            window=window,
            frame=frame,
            extent=scene.home if same else None,
            scale=scene.scale if same else None,
            keep=keep,
            map=wanted or scene.values is None,
            quick=view.playing or view.probe,
            plane=self._plane if keep or (frame is not None and frame.complete) else self._wanted,
            past=self._trail.until(view.cursor) if view.playing and not self._trail.full else None,
        )

    def draw(self, view: View, result: Any) -> None:
        current = self._view
        if current is None or view.run != current.run or not isinstance(result, LandscapePicture):
            return
        self._waiting = False
        if self._kind(view) != self._kind(current) or (self._held is not None and not view.probe):
            return
        if result.plane < self._plane:
            return  # of a plane that is not shown any more
        self._plane = result.plane
        if result.values is not None:
            self._map_of = self._map_place(view, self.scene.visible() if self.plot.user_view else None)
        self._trail.take(result.past)
        function = function_of(view)
        minima = function is not None and bool(function.minima)
        self.scene.set_legend(result.past.steps.size, minima, result.frame.complete)
        newer = current.cursor != view.cursor and self._held is None
        if newer and (self._instant(current) or (current.playing and _cost(current) <= LIVE)):
            self.scene.show_map(result)
            if not current.playing:  # else the newest view is shown right after
                self.show_view(current)
        else:
            self.scene.show(result)
            self._say(result.local, result.frame, view.cursor)
        if result.frame.complete and function is not None:
            self.scene.minima.set(np.array([m.theta for m in function.minima]).reshape(-1, 2))
        self.set_subtitle(result.frame.note or result.local.note)

    def _instant(self, view: View) -> bool:
        """Whether steps and model can be computed while drawing."""
        return _cost(view) <= INSTANT

    def _begin(self, view: View, before: View | None) -> None:
        """Another run: of what was drawn, the map is still true where the loss is the same (the point was moved)."""
        stays = before is not None and before.objective is view.objective and self._fits(before)
        self._trail.reset(view.run)
        self._picture = None
        self._held = None
        if stays and self.scene.frame is not None:
            self._map_of = (view.run, *self._map_of[1:])
            self.scene.clear_marks(self.scene.frame.place(view.state.theta))
            self.set_readout("")
            return
        self.plot.user_view = False
        self.scene.clear()
        self._map_of = ()

    def _kind(self, view: View) -> str:
        return "own" if int(view.objective.size) == 2 else str(view.choice("landscape.plane", "gradient_newton"))

    def _fits(self, view: View) -> bool:
        """Whether the plane that is shown is the one that the view wants."""
        frame = self.scene.frame
        return frame is not None and self._map_of[:2] == (view.run, self._kind(view))

    def _map_place(self, view: View, window: Extent | None) -> tuple[Any, ...]:
        """What a function's map depends on."""
        inside = self.scene.home is None or not self.scene.beyond(view.state.theta, 0.5)
        return (view.run, self._kind(view), id(view.objective), window, round(self.scene.aspect(), 2), inside)

    def _offer_options(self, view: View) -> None:
        place = (view.run, self._kind(view))
        if place != self._options:
            self._options = place
            self.set_options("plane", planes(view, place[1]))
            self.set_choice("plane", place[1])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._view is not None:
            self._rest.start()

    # -------------------------------------------------------------------------------------------- clicks and dragging

    def _clicked(self, a: float, b: float) -> None:
        if self.scene.frame is not None:
            self.emit_intent("move_to", theta=self.scene.frame.point(a, b))

    def _dragged(self, a: float, b: float) -> None:
        frame, view = self.scene.frame, self._view
        if frame is None or view is None or self.scene.local is None:
            return
        if self._held is None:
            self._held = self.scene.local.place
        theta = frame.point(a, b)
        if _cost(view) <= CHEAP:
            state = msgspec.structs.replace(view.state, theta=theta)
            self._show_local(replace(view, state=state, probe=True))
        self.emit_intent("probe", theta=theta)

    def _released(self, a: float, b: float) -> None:
        frame, start = self.scene.frame, self._held
        self._held = None
        if frame is None or start is None:
            return
        home = self.scene.visible()
        if np.hypot(a - start[0], b - start[1]) < 1e-6 * (home[1] - home[0]):
            self.emit_intent("probe", theta=None)
        else:
            self.emit_intent("move_to", theta=frame.point(a, b))

    # ------------------------------------------------------------------------------------------------------ choices

    def _rested(self) -> None:
        """Wheel or window rest: the map is wanted for what is seen now."""
        if self._view is not None and self._held is None:
            self.emit_intent("choose", name="landscape.window", value=[*self.scene.visible(), self.scene.aspect()])

    def choose_parameters(self) -> None:
        """Ask for two parameters by name and cut along them."""
        view = self._view
        if view is None or int(view.objective.size) <= 2:
            return
        numbered = [f"{i + 1}: {name}" for i, name in enumerate(parameter_names(view.objective))]
        picked: list[int] = []
        for words in ("First parameter", "Second parameter"):
            left = [name for i, name in enumerate(numbered) if i not in picked]
            chosen, accepted = QInputDialog.getItem(self, "Plane", words, left, 0, False)
            if not accepted or chosen not in left:
                return
            picked.append(numbered.index(chosen))
        self.emit_intent("choose", name="landscape.plane", value=f"parameters:{picked[0]},{picked[1]}")


def _cost(view: View) -> int:
    """Parameters^2 times examples: what the exact Hessian costs, up to a factor."""
    return int(work(view.objective) * view.objective.size)
