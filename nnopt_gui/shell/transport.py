"""Playing, stepping and seeking: the cursor on the log, and the worker that makes the log longer."""

from __future__ import annotations

import math

from nnopt.runs.stationary import not_a_minimum
from nnopt_gui.engine.messages import Advance, Extend, Pause, Play, Snapshot, Stopped
from nnopt_gui.engine.trainer import ENDED, Trainer
from nnopt_gui.state.model import AppModel
from nnopt_gui.widgets.numbers import integer, typeset

#: speeds of the slider, in updates per second; its right end is flat out (None)
SLOWEST, FASTEST = 1.0, 1000.0


class Transport:
    """What the play buttons, the keys and the timeline do."""

    def __init__(self, model: AppModel, trainer: Trainer) -> None:
        self._model = model
        self._trainer = trainer
        self._position: float | None = None  # of the cursor while the recorded log is played, else None
        self._posted = 0

    @property
    def replaying(self) -> bool:
        """Playing what is recorded already; at its end training goes on."""
        return self._position is not None

    @property
    def answered(self) -> bool:
        """The worker has dealt with all that was asked of it."""
        return self._trainer.snapshot.serial >= self._posted

    # ---------------------------------------------------------------------------------------------------- playing

    def toggle(self) -> None:
        """Play or pause."""
        if self._model.playing:
            self.pause()
        else:
            self.play()

    def play(self) -> None:
        """Play from the cursor: the recorded log at the chosen speed first, then new updates at the head."""
        model = self._model
        if model.run is None:
            return
        if not model.following and model.speed is None:
            model.seek(model.head)
        if not model.following:
            self._position = float(model.cursor)
            model.set_playing(True)
            return
        if model.run.outcome.kind in ENDED:
            model.say("info", f"The run has {typeset(model.run.outcome.reason)}. Change a setting, or start again.")
            return
        if model.head >= model.limit:
            self._extend()
        self._post(Play(model.speed))
        model.set_playing(True)

    def pause(self) -> None:
        """Stand still."""
        self._position = None
        self._post(Pause())
        self._model.set_playing(False)

    def set_speed(self, speed: float | None) -> None:
        """Updates per second, None for flat out; while playing it holds at once."""
        self._model.set_speed(speed)
        if not self._model.playing:
            return
        if not self.replaying:
            self._post(Play(speed))
        elif speed is None:
            self._position = None
            self.play()

    # ------------------------------------------------------------------------------------------ stepping and seeking

    def step(self, by: int) -> None:
        """Move the cursor `by` steps; forward from the head means that many new updates."""
        model = self._model
        if model.run is None:
            return
        if model.playing:
            self.pause()
        new = model.cursor + by - model.head
        model.seek(model.cursor + by)
        if new > 0:
            if model.run.outcome.kind not in ENDED:
                self._post(Advance(new))
            else:
                self.play()  # says why there is nothing to step to

    def seek(self, step: int) -> None:
        """Show a step that is known already. Training stops for that, a replay goes on from there."""
        model = self._model
        if model.playing and not self.replaying:
            self.pause()
        model.seek(step)
        if self.replaying:
            self._position = float(model.cursor)

    def stand_at_head(self) -> None:
        """Pause, and show the newest state."""
        if self._model.playing:
            self.pause()
        self.end()

    def home(self) -> None:
        """The first state."""
        self.seek(0)

    def end(self) -> None:
        """The newest state; while training, follow it again."""
        self._model.seek(self._model.head)

    def best(self) -> None:
        """The state to keep: the one with the lowest validation loss that was measured."""
        found = self._model.history.best if self._model.history is not None else None
        if found is None:
            self._model.say("info", "No validation loss has been measured, so no step is the best.")
        else:
            self.seek(found.step)

    # -------------------------------------------------------------------------------------------------- once per frame

    def tick(self, seconds: float) -> None:
        """`seconds` went by: a replay moves on, and becomes training when it reaches the head."""
        model = self._model
        if self._position is None:
            return
        self._position += min(seconds, 0.25) * (model.speed or math.inf)
        model.seek(int(min(self._position, model.head)))
        if model.following:
            self._position = None
            if model.run is not None and model.run.outcome.kind not in ENDED and model.head < model.limit:
                self.play()
            else:
                model.set_playing(False)

    def take(self, snapshot: Snapshot) -> None:
        """What the worker says holds, once it has dealt with all that was asked of it."""
        if snapshot.serial >= self._posted and not self.replaying:
            self._model.set_playing(snapshot.playing)
        if snapshot.serial >= self._posted:
            self._model.set_limit(snapshot.limit)

    def stopped(self, event: Stopped) -> None:
        """The worker stands still by itself: say why."""
        model = self._model
        if event.number != model.number or model.run is None:
            return
        if event.reason == "limit":
            model.say("info", f"{integer(event.step)} updates are made: the budget of this run. Play goes on.")
        elif event.reason == "outcome":
            outcome = model.run.outcome
            astray = outcome.kind in ("diverged", "stuck") or not_a_minimum(outcome.reason)
            kind = "warning" if astray else "info"
            model.say(kind, f"The run has {typeset(outcome.reason)}.")

    def forget_replay(self) -> None:
        """The run was replaced."""
        self._position = None

    def expect(self, serial: int) -> None:
        """Others posted commands, too: the snapshot holds from `serial` on."""
        self._posted = max(self._posted, serial)

    def set_limit(self, limit: int) -> None:
        """Training shall pause at `limit` updates."""
        self._model.set_limit(limit)
        self._post(Extend(limit))

    def _extend(self) -> None:
        model = self._model
        more = model.run.experiment.steps if model.run is not None else 1
        self.set_limit(max(model.limit, model.head) + max(1, more))

    def _post(self, command: Play | Pause | Advance | Extend) -> None:
        self._posted = self._trainer.post(command)
