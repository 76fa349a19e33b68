"""What the panels show: the View of the model, who must draw it, and the pictures that come back from the analyst.

Panels stand behind a small protocol, so all of this runs without a window. While a run plays, panels take turns
(`share`): all of them are brought to one view, over as many frames as that takes, before the next view is begun, so
that what stands side by side is of one step. Otherwise all of them draw in the frame in which something changed.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from nnopt.errors import NnoptError
from nnopt.runs.run import State
from nnopt_gui.engine.analyst import Analyst, Result
from nnopt_gui.shell.share import MOVING, DrawingShare
from nnopt_gui.state.model import AppModel

if TYPE_CHECKING:
    from nnopt_gui.state.view import View

#: seconds of replay that the GUI thread does itself; more goes to the analyst
DIRECT_SEEK = 0.006
#: seconds between two views that panels are brought to while a run plays, and after which a picture is drawn without
#: waiting for the next one
ROUND, ALONE = 0.03, 0.12
_STATE = "state at the cursor"
#: ends the analyst's name of an owner whose work is heavy
_HEAVY = " (heavy)"


class PanelLike(Protocol):
    """What the stage needs of a panel (`nnopt_gui.panels.base.Panel` has it)."""

    id: str
    pace: float

    def is_shown(self) -> bool:
        """Whether the user can see it."""

    def show_view(self, view: View) -> None:
        """Draw what is cheap."""

    def picture(self, view: View) -> Any:
        """What must be computed, or None."""

    def draw(self, view: View, result: Any) -> None:
        """Show a result."""


@dataclass(frozen=True)
class _Seek:
    """A state that takes long to replay, as work for the analyst."""

    key: Hashable
    compute: Callable[[], Iterator[State]]


class Stage:
    """Draws the panels. seconds_per_update: asked for what one replayed update costs."""

    def __init__(self, model: AppModel, analyst: Analyst, seconds_per_update: Callable[[], float]) -> None:
        self._model = model
        self._analyst = analyst
        self._seconds = seconds_per_update
        self.panels: list[PanelLike] = []
        self.view: View | None = None
        #: id of the panel that draws in every frame: the one in which something is dragged
        self.leader = ""
        self._shown: dict[str, tuple[Any, ...]] = {}
        self.share = DrawingShare()
        self._round = 0.0
        self._crowded = False
        self._ready: dict[str, Result] = {}
        #: the picture of each panel that was computed with a frame last: one that a panel still holds is drawn already
        self._instant: dict[str, Any] = {}
        #: who else gets results of the analyst, by owner
        self.listeners: dict[str, Callable[[Result], None]] = {_STATE: self._take_state}
        self._state: tuple[tuple[int, int], State] | None = None
        self._told: set[tuple[Any, ...]] = set()

    def add(self, panel: PanelLike) -> None:
        """One more panel to keep up to date."""
        self.panels.append(panel)

    def redraw(self) -> None:
        """Everything looks different now (the theme): draw it all again."""
        self._shown.clear()

    def redraw_one(self, panel: str) -> None:
        """One panel, by its id, has something else to show or to ask for of the same view."""
        self._shown.pop(panel, None)

    def run_replaced(self) -> None:
        """Nothing that was asked for before is of interest."""
        self._analyst.forget_all()
        self._state = None
        self._ready.clear()
        self._instant.clear()
        self._told.clear()

    def offer(self, number: int, state: State) -> None:
        """A state that is known anyway (the newest one): it needs no replay."""
        self._state = ((number, state.step), state)

    @property
    def shown(self) -> bool:
        """Every visible panel shows the newest view (its pictures may still be on their way)."""
        view = self.view
        return view is not None and all(
            self._shown.get(panel.id) == _signature(view) for panel in self.panels if panel.is_shown()
        )

    @property
    def settled(self) -> bool:
        """Every visible panel shows the newest view, with all its pictures."""
        return self.shown and self._analyst.settled and not self._ready

    # --------------------------------------------------------------------------------------------------- per frame

    def frame(self, seconds: float = 1.0, share: float | None = None) -> bool:
        """Draw what has changed; True when anything was drawn. seconds: since the last frame; share: of the time that
        may be drawn in (None: all), by turns; the `leader` draws in every frame."""
        self._fetch()
        self._round += seconds
        newest = self._make_view()
        if newest is None:
            return False
        if share is None or self._complete(newest):
            self.view, self._round = newest, 0.0
        view = self.view
        assert view is not None
        self.share.begin(seconds, share)
        self._crowded = share is not None and share < MOVING
        panels = {panel.id: panel for panel in self.panels}
        leading = [self.leader] if self.leader in panels else []
        drawn = False
        for panel in self.panels:
            if not panel.is_shown():
                self._hidden(panel)
        for name in (*leading, *self.share.order(name for name in panels if name not in leading)):
            panel = panels[name]
            if panel.is_shown() and self._due(panel, view, share) and not self._rests(panel):
                if name not in leading and not self.share.may_draw(name):
                    break
                self._draw(panel, view)
                self.share.drew(name)
                drawn = True
        return drawn

    def _complete(self, newest: View) -> bool:
        """Whether the next view may be begun: all panels show the present one, or it is of no interest any more."""
        view = self.view
        if view is None or (view.run, view.choices, view.probe) != (newest.run, newest.choices, newest.probe):
            return True
        if not newest.playing:
            return True
        waiting = (panel for panel in self.panels if panel.is_shown() and not self._rests(panel))
        return self._round >= ROUND and all(self._shown.get(panel.id) == _signature(view) for panel in waiting)

    def _rests(self, panel: PanelLike) -> bool:
        """Whether a panel that needs less often to be new leaves the time to the others."""
        return self._crowded and self.share.since(panel.id) < panel.pace

    def _due(self, panel: PanelLike, view: View, share: float | None) -> bool:
        """Whether a panel has something to draw. A picture comes to the screen with the view that is drawn next,
        unless that takes long to come."""
        if self._shown.get(panel.id) != _signature(view):
            return True
        return panel.id in self._ready and (share is None or self.share.since(panel.id) >= ALONE)

    def _hidden(self, panel: PanelLike) -> None:
        if self._shown.pop(panel.id, None) is not None:
            self._forget(panel)
        self._ready.pop(panel.id, None)

    def _draw(self, panel: PanelLike, view: View) -> None:
        result = self._ready.pop(panel.id, None)
        changed = self._shown.get(panel.id) != _signature(view)
        if result is not None and _still_wanted(result.tag, view) and view.playing:
            # the picture first: what is drawn with each view is then drawn once, on the newest picture
            self._guarded(panel, lambda: panel.draw(result.tag, result.value))
            changed, result = True, None
        if changed:
            self._shown[panel.id] = _signature(view)
            self._guarded(panel, lambda: self._show_one(panel, view))
        if result is not None and _still_wanted(result.tag, view):
            self._guarded(panel, lambda: panel.draw(result.tag, result.value))

    def _show_one(self, panel: PanelLike, view: View) -> None:
        panel.show_view(view)
        picture = panel.picture(view)
        if picture is None:
            self._forget(panel)
        elif view.playing and picture.instant:
            self._forget(panel)
            if self._instant.get(panel.id) is not picture:
                self._instant[panel.id] = picture
                value = next(iter(picture.compute()), None)
                if value is not None:
                    panel.draw(view, value)
        else:
            heavy, light = panel.id + _HEAVY, panel.id
            self._analyst.forget(light if picture.heavy else heavy)
            self._analyst.request(heavy if picture.heavy else light, picture, view, heavy=picture.heavy)

    def _forget(self, panel: PanelLike) -> None:
        self._analyst.forget(panel.id)
        self._analyst.forget(panel.id + _HEAVY)

    def _fetch(self) -> None:
        """Take what the analyst has: of each panel the newest result, every error, and the state at the cursor."""
        results = self._analyst.results
        panels = {panel.id: panel for panel in self.panels}
        for _ in range(len(results)):
            result = results.popleft()
            panel = panels.get(result.owner.removesuffix(_HEAVY))
            if result.owner in self.listeners:
                self.listeners[result.owner](result)
            elif panel is not None and result.error is not None:
                self._tell(panel, result.error)
            elif panel is not None and not result.empty:
                self._ready[panel.id] = result

    # ---------------------------------------------------------------------------------------------------- the view

    def _make_view(self) -> View | None:
        model = self._model
        run = model.run
        if run is None:
            return None
        state = self._state_at(model.cursor)
        if state is None:
            return None
        history = run.history
        if model.probe is not None:
            state = msgspec.structs.replace(state, theta=model.probe)
        from nnopt_gui.state.view import View

        return View(
            run=model.number,
            experiment=history.experiment_at(model.cursor),
            history=history,
            length=model.length,
            cursor=state.step,
            state=state,
            objective=history.problem_at(model.cursor).objective,
            playing=model.playing,
            probe=model.probe is not None,
            plateaus=model.plateaus,
            choices=model.choices,
            selection=model.selection,
        )

    def _state_at(self, step: int) -> State | None:
        """The state at a step; None while the analyst still replays it."""
        model = self._model
        assert model.run is not None
        place = (model.number, step)
        if self._state is not None and self._state[0] == place:
            return self._state[1]
        history = model.run.history
        if history.seek_cost(step) * self._seconds() <= DIRECT_SEEK:
            state = history.seek(step)
        else:

            def replay() -> Iterator[State]:
                yield history.seek(step)

            self._analyst.request(_STATE, _Seek(place, replay), place, urgent=True)
            return None
        self._state = (place, state)
        return state

    def _take_state(self, result: Result) -> None:
        if result.error is not None:
            self._model.say("error", f"The state cannot be replayed: {_words(result.error)}")
        elif not result.empty and result.tag[0] == self._model.number:
            self._state = (result.tag, result.value)

    # --------------------------------------------------------------------------------------------------- failures

    def _guarded(self, panel: PanelLike, draw: Callable[[], None]) -> None:
        # drawing evaluates the user's objective, which may raise anything: one notice, and the other panels go on
        try:
            draw()
        except Exception as error:
            self._tell(panel, error)

    def _tell(self, panel: PanelLike, error: Exception) -> None:
        what = (panel.id, type(error), str(error))
        if what not in self._told:
            self._told.add(what)
            title = getattr(panel, "title", panel.id)
            self._model.say("error", f"{title}: {_words(error)}", "".join(_traceback(error)))


def _signature(view: View) -> tuple[Any, ...]:
    return (view.place, view.length, view.playing, view.plateaus, id(view.choices), view.selection)


def _still_wanted(tag: View, view: View) -> bool:
    """A result that is a few steps old is still worth showing, one of another run or of other choices is not."""
    return tag.run == view.run and tag.choices is view.choices


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, NnoptError) else f"{type(error).__name__}: {error}"


def _traceback(error: Exception) -> list[str]:
    return traceback.format_exception(error)
