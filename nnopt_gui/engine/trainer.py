"""The worker thread: commands in, the run's append-only log out.

One owned QThread with an overridden `run`. It publishes one frozen `Snapshot` (an attribute: read it whenever you
like) and a few events (a deque); there is no signal per step, so nothing can flood the GUI's event loop. Between two
updates it looks at the gate and at its commands, so it answers within one update.
"""

from __future__ import annotations

import itertools
import threading
import traceback
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, Literal

from PySide6.QtCore import QObject, QThread

from nnopt.errors import NnoptError
from nnopt.runs.run import Run
from nnopt_gui.engine.gate import Gate
from nnopt_gui.engine.messages import (
    Advance,
    Command,
    Edit,
    Edited,
    Event,
    Extend,
    Load,
    Notice,
    Numbered,
    Pause,
    Play,
    Snapshot,
    Start,
    Started,
    Stopped,
)
from nnopt_gui.engine.pace import Meter, Pace

#: seconds of updates between two snapshots when going flat out
CHUNK_SECONDS = 0.01
#: outcomes after which there is no next update ("stopped" is only the budget)
ENDED = ("converged", "diverged", "stuck", "stopped_early")


class Trainer(QThread):
    """Trains the current run as told by commands. Start it with `start()`, end it with `close()`. news: called on the
    worker's thread when something that is not one more update has happened."""

    def __init__(
        self, gate: Gate | None = None, parent: QObject | None = None, news: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(parent)
        self._news = news
        self.setObjectName("trainer")
        self.gate = gate or Gate()
        self.snapshot = Snapshot()
        self.events: deque[Event] = deque()
        self._commands: deque[Command] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._posted = 0
        self._numbers = itertools.count(1)
        # below: touched by the worker alone
        self._serial = 0
        self._current: Numbered | None = None
        self._playing = False
        self._limit = 0
        self._goal: int | None = None
        self._extended = 0
        self._busy = ""
        self._pace = Pace()
        self._meter = Meter()
        self._seconds = 1e-3

    # ------------------------------------------------------------------------------------------ from other threads

    def post(self, *commands: Command) -> int:
        """Queue commands; returns the serial that `snapshot` reaches when all of them have been dealt with."""
        self._commands.extend(commands)
        self._posted += len(commands)
        self._wake.set()
        return self._posted

    def close(self, timeout: float = 10.0) -> bool:
        """End the thread after the update it is in; True when it has ended within `timeout` seconds."""
        self._closing = True
        self._wake.set()
        self.gate.open()
        return self.wait(int(timeout * 1000))

    # ---------------------------------------------------------------------------------------------- on the worker

    def run(self) -> None:
        """The thread's life (called by Qt)."""
        while not self._closing:
            self._wake.clear()
            while self._commands and not self._closing:
                self._guarded(self._obey, self._commands.popleft())
                self._serial += 1
                self._busy = ""
                self._publish()
                self._news()
            if self._current is None or not (self._playing or self._goal is not None):
                self._wake.wait()
            elif self.gate.closed:
                self.gate.wait()
            elif not self._guarded(self._work, self._current):
                self._playing, self._goal = False, None
                self._publish()
                self._news()

    def _guarded(self, act: Callable[[Any], None], what: Any) -> bool:
        """Do it, or say why not. An objective may be anybody's code and raise anything: it becomes a notice."""
        try:
            act(what)
        except Exception as error:
            self.events.append(self._notice(error, what))
            return False
        return True

    def _notice(self, error: Exception, what: Any) -> Notice:
        text = str(error)
        if not isinstance(error, NnoptError):
            text = f"{type(error).__name__}: {text}" if text else type(error).__name__
        if isinstance(what, Numbered):
            step = what.run.state.step
            text = f"Update {step + 1:,} failed: {text}. The run is paused at step {step:,}, its last good state."
            what = None
        return Notice("error", text, "".join(traceback.format_exception(error)), what)

    def _work(self, current: Numbered) -> None:
        run, now = current.run, perf_counter()
        head = run.state.step
        stop = self._limit if self._goal is None else self._goal
        if stop > self._extended:
            run.extend(stop)
            self._extended = stop
        chunk = max(1, int(CHUNK_SECONDS / max(self._seconds, 1e-9)))
        wanted = min(chunk, stop - head)
        if self._goal is None and wanted > 0:
            wanted = self._pace.due(now, wanted)
            if wanted == 0:
                self._publish()
                self._wake.wait(self._pace.seconds(now))
                return
        made = run.advance(wanted, self._interrupted) if wanted > 0 else 0
        then = perf_counter()
        if made:
            self._seconds += (min(1.0, made / 8)) * ((then - now) / made - self._seconds)
            self._pace.made(made, then)
        self._meter.mark(then, head + made)
        if run.outcome.kind in ENDED:
            self._halt("outcome")
        elif head + made >= stop:
            self._halt("limit" if self._goal is None else "advanced")
        self._publish()

    def _interrupted(self) -> bool:
        return self.gate.closed or bool(self._commands) or self._closing

    def _halt(self, reason: Literal["limit", "outcome", "advanced"]) -> None:
        assert self._current is not None
        going_on = reason == "advanced" and self._playing
        self._goal = None
        if not going_on:
            self._playing = False
            step = self._current.run.state.step
            self.events.append(Stopped(self._current.number, reason, step))
            self._news()

    def _publish(self) -> None:
        working = self._playing or self._goal is not None
        self.snapshot = Snapshot(
            self._serial,
            self._current,
            self._playing,
            working,
            self._pace.rate,
            self._limit,
            self._meter.rate if working else 0.0,
            self._seconds,
            self._busy,
        )

    # ----------------------------------------------------------------------------------------------- the commands

    def _obey(self, command: Command) -> None:
        match command:
            case Play(rate):
                self._play(rate)
            case Pause():
                self._playing, self._goal = False, None
            case Advance(steps):
                self._advance(steps)
            case Extend(limit):
                self._limit = limit
            case Start():
                self._start(command)
            case Load(numbered):
                self._take(numbered)
                self._playing, self._goal = False, None
            case Edit():
                self._edit(command)

    def _play(self, rate: float | None) -> None:
        if not self._playing:
            self._meter.reset()
        self._pace.set(rate, perf_counter())
        self._playing = self._current is not None and self._current.run.outcome.kind not in ENDED

    def _advance(self, steps: int) -> None:
        if self._current is not None and self._current.run.outcome.kind not in ENDED:
            self._goal = max(self._goal or 0, self._current.run.state.step) + steps
            self._limit = max(self._limit, self._goal)
            self._meter.reset()

    def _start(self, command: Start) -> None:
        self._busy = "preparing the data and the first state"
        self._publish()
        run = Run(command.experiment, command.interventions)
        before = self._current
        self._take(Numbered(next(self._numbers), run))
        assert self._current is not None
        if command.play is not None:
            self._playing = command.play
            self._pace.set(command.rate, perf_counter())
        self._limit = max(command.experiment.steps, command.updates)
        self._goal = command.updates or None
        self.events.append(Started(before, self._current, command.label))

    def _edit(self, command: Edit) -> None:
        before = command.base or self._current
        if before is None:
            return
        head = before.run.state.step
        at = head if command.at is None else min(command.at, head)
        run = before.run.fork(at)
        run.intervene(command.change)
        self._take(Numbered(next(self._numbers), run))
        assert self._current is not None
        self.events.append(Edited(before, self._current, at, command.change))

    def _take(self, numbered: Numbered) -> None:
        self._current = numbered
        self._goal = None
        self._extended = 0
        self._meter.reset()
