"""Brings it all together: intents -> model, trainer, analyst; and one frame timer that drains them all.

It works without a window (tests do that): `frame(seconds)` is what the timer calls. The parts: `transport` (playing and
seeking), `editing` (changes and undo), `stage` (the panels).
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from nnopt.runs.experiment import seed_words
from nnopt_gui.engine.analyst import Analyst
from nnopt_gui.engine.gate import Gate, share_the_interpreter
from nnopt_gui.engine.messages import Edited, Notice, Started, Stopped
from nnopt_gui.engine.trainer import Trainer
from nnopt_gui.shell.editing import Editing
from nnopt_gui.shell.plateau_watch import OWNER, PlateauWatch
from nnopt_gui.shell.rise_watch import RiseWatch
from nnopt_gui.shell.share import BESIDE, MOVING, WORKING
from nnopt_gui.shell.stage import Stage
from nnopt_gui.shell.transport import Transport
from nnopt_gui.state.model import AppModel
from nnopt_gui.state.undo import Undo

FRAME_MS = 16
#: frames without anything to do after which the timer slows down, and milliseconds between two looks from then on
IDLE_FRAMES, IDLE_MS = 20, 500
#: part of the time that each of the analyst's threads may compute while the worker needs the machine; and where an
#: update takes so many seconds that it leaves the interpreter to others
ANALYST_SHARE, LONG_UPDATE, LONG_SHARE = 0.22, 0.003, 1.0


class Controller(QObject):
    """The laboratory without its window. Call `start` to bring the threads and the timer up, `close` to end them.

    framed: emitted at the end of every frame, with whether anything was drawn. While nothing changes there are hardly
    any frames; whatever may change something calls `wake`, and so do the threads when they have news.
    """

    framed = Signal(bool)
    _news = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.gate = Gate()
        self.model = AppModel(self)
        self._asleep = False
        self._idle = 0
        self.trainer = Trainer(self.gate, self, news=self._tell)
        self.analyst = Analyst(self.gate, news=self._tell)
        self.undo_list = Undo()
        self.transport = Transport(self.model, self.trainer)
        self.editing = Editing(self.model, self.trainer, self.transport, self.undo_list)
        self.stage = Stage(self.model, self.analyst, lambda: self.trainer.snapshot.seconds_per_update)
        self.plateaus = PlateauWatch(self.model, self.analyst)
        self.stage.listeners[OWNER] = self.plateaus.take
        self.rise = RiseWatch(self.model)
        self.closed = False
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._on_timer)
        self._after_painting = QTimer(self)  # fires after the paint events of a frame
        self._after_painting.setSingleShot(True)
        self._after_painting.setInterval(0)
        self._after_painting.timeout.connect(self._painted)
        self._soon = QTimer(self)  # a frame out of turn, for what the user moves
        self._soon.setSingleShot(True)
        self._soon.setTimerType(Qt.TimerType.PreciseTimer)
        self._soon.timeout.connect(self._on_timer)
        self._last_frame = self._frame_began = perf_counter()
        self._last_drawn = 0.0
        self.model.cursor_changed.connect(self._hurry)
        self.model.run_changed.connect(self.stage.run_replaced)
        model = self.model
        for changed in (model.run_changed, model.cursor_changed, model.playing_changed, model.choices_changed,
                        model.selection_changed, model.limit_changed, model.theme_changed, self._news):  # fmt: skip
            changed.connect(self.wake)

    # ------------------------------------------------------------------------------------------------ life and death

    def start(self) -> None:
        """Threads and frame timer."""
        share_the_interpreter()
        self.trainer.start()
        self.analyst.start()
        self._last_frame = perf_counter()
        self._timer.start()

    def close(self, timeout: float = 10.0) -> bool:
        """End timer and threads, whatever they do; True if they have ended. May be called again."""
        self.closed = True
        self._timer.stop()
        self._after_painting.stop()
        self._soon.stop()
        ended = self.analyst.close(timeout)
        return self.trainer.close(timeout) and ended

    @property
    def idle(self) -> bool:
        """The worker has answered everything, stands still, and all of that was taken over."""
        snapshot = self.trainer.snapshot
        return (
            self.editing.answered
            and not snapshot.working
            and not self.trainer.events
            and (self.model.run is None or self.model.head == self.model.run.state.step)
        )

    def summary(self) -> str:
        """The run in a few lines, for a terminal."""
        model = self.model
        if model.run is None:
            return "nothing was run"
        row = model.run.history.row(model.cursor)
        experiment = model.run.experiment
        lines = [
            ("problem", experiment.problem.__struct_config__.tag),
            ("seed", seed_words(experiment).removeprefix("seed ")),
            ("step", f"{model.cursor:,} of {model.limit:,}"),
            ("loss", f"{row['loss']:.6g}"),
            ("|g|", f"{row['gradient_norm']:.3g}"),
            ("outcome", model.run.outcome.reason or model.run.outcome.kind),
        ]
        if not math.isnan(row["validation_loss"]):
            lines.insert(4, ("validation", f"{row['validation_loss']:.6g}"))
        best = model.run.history.best
        if best is not None:
            lines.append(("best", f"validation {best.validation_loss:.6g} at step {best.step:,}"))
        return "\n".join(f"{name:<12}{value}" for name, value in lines)

    # ------------------------------------------------------------------------------------------------------- intents

    def on_intent(self, intent: Any, source: str = "") -> None:
        """What the user did in a panel; source: its id."""
        values = intent.values
        dragged = intent.kind == "probe" and values.get("theta") is not None
        self.stage.leader = source if dragged else ""
        match intent.kind:
            case "probe":
                if values.get("theta") is not None and self.model.playing:
                    self.transport.pause()
                self.model.set_probe(values.get("theta"))
            case "seek":
                self.transport.seek(int(values["step"]))
            case "choose":
                self.model.choose(values["name"], values["value"])
            case "select":
                self.model.select(values.get("index"))
            case kind:
                self.editing.intent(kind, values)

    # --------------------------------------------------------------------------------------------------- every frame

    def _hurry(self) -> None:
        """The user moved the cursor or the point: draw at once, or half a frame after what was drawn just now."""
        if self._timer.isActive() and not self.model.playing and not self._soon.isActive():
            since = (perf_counter() - self._last_drawn) * 1e3
            self._soon.start(max(0, math.ceil(FRAME_MS / 2 - since)))

    def _on_timer(self) -> None:
        if self._after_painting.isActive():
            # after a long frame both timers are due at once, and all is painted that was to be
            self._after_painting.stop()
            self._painted()
        now = perf_counter()
        seconds, self._last_frame = now - self._last_frame, now
        self.frame(seconds)

    def wake(self, *_: Any) -> None:
        """Something may have changed: frames come at their full pace again."""
        self._idle = 0
        if self._asleep:
            self._asleep = False
            self._last_frame = perf_counter()
            if self._timer.isActive():
                self._timer.start(FRAME_MS)

    def _tell(self) -> None:
        """Called by the threads when they have news: the timer hears of it only while it sleeps, so that nothing floods
        the event loop."""
        if self._asleep:
            self._news.emit()

    def _rest(self, drawn: bool) -> None:
        """Slow the timer down once nothing has happened for a while."""
        quiet = not (drawn or self.model.playing or self.trainer.snapshot.working) and self.editing.answered
        self._idle = self._idle + 1 if quiet and self.analyst.settled and not self.trainer.events else 0
        if self._idle >= IDLE_FRAMES and not self._asleep and self._timer.isActive():
            self._timer.setInterval(IDLE_MS)
            self._asleep = True
            if self.analyst.results or self.trainer.events:  # they came before `_asleep` could be seen
                self.wake()

    def frame(self, seconds: float = FRAME_MS / 1000) -> None:
        """Drain the worker, move a replay on, draw what has changed. seconds: since the last frame."""
        self._frame_began = perf_counter()
        self.gate.close()
        drawn = False
        try:
            self._drain()
            self.transport.tick(seconds)
            self.plateaus.frame()
            self.rise.frame()
            drawn = self.stage.frame(seconds, self._drawing_share())
            if drawn:
                self._last_drawn = self._frame_began
            self.framed.emit(drawn)
            self._rest(drawn)
        finally:
            if drawn or (self.model.playing and self._timer.isActive()):  # the timeline moves in any case
                self._after_painting.start()
            else:
                self.gate.open()

    def _painted(self) -> None:
        self.gate.open()
        self.stage.share.painted(perf_counter() - self._frame_began)
        share = self._drawing_share()
        if share is not None and self._timer.isActive() and not self.stage.shown:
            # the panels that are still to be drawn need not wait for the next tick
            wait = math.ceil(1e3 * self.stage.share.wait(share)) + 1
            if wait < FRAME_MS:
                self._soon.start(wait)

    def _drawing_share(self) -> float | None:
        if self._crowded:
            return BESIDE if self.trainer.snapshot.seconds_per_update > LONG_UPDATE else WORKING
        return MOVING if self.model.playing or self.model.probe is not None else None

    @property
    def _crowded(self) -> bool:
        """Whether the worker needs most of the machine."""
        snapshot = self.trainer.snapshot
        if not snapshot.working or self.model.run is None:
            return False
        return snapshot.rate is None or snapshot.rate * snapshot.seconds_per_update > 0.3

    def _drain(self) -> None:
        snapshot = self.trainer.snapshot
        events = self.trainer.events
        for _ in range(len(events)):
            match events.popleft():
                case Started() as event:
                    self.editing.started(event)
                case Edited() as event:
                    self.editing.edited(event)
                case Stopped() as event:
                    self.transport.stopped(event)
                case Notice() as notice:
                    self.model.say(notice.kind, notice.text, notice.detail)
                    if notice.about is not None:
                        self.editing.refused(notice)
        self.transport.take(snapshot)
        self.editing.settle()
        model = self.model
        model.set_status(snapshot.updates_per_second, snapshot.busy)
        beside = LONG_SHARE if snapshot.seconds_per_update > LONG_UPDATE else ANALYST_SHARE
        self.analyst.share = beside if self._crowded else 1.0
        if model.run is not None:
            state = model.run.state
            model.set_length(max(model.length, min(model.run.history.length, state.step + 1)))
            if model.cursor == state.step:
                self.stage.offer(model.number, state)
