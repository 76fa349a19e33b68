"""What the user changes: settings, the point, examples, the seed, the whole experiment; and undo of all of it.

A change of a running run is an Intervention at the cursor's step; a change of what the run starts from is a new run.
Either way another run takes the place of the present one, and undo shows the present one again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

import msgspec
import numpy as np

from nnopt.errors import NnoptError
from nnopt.runs.changes import (
    CHANGEABLE,
    AddExample,
    Intervention,
    MoveExample,
    MoveTo,
    RemoveExample,
    SetSetting,
)
from nnopt.runs.experiment import Experiment, FunctionProblem, Recording, set_path
from nnopt_gui.engine.messages import Edit, Edited, Extend, Load, Notice, Numbered, Start, Started
from nnopt_gui.engine.trainer import Trainer
from nnopt_gui.shell.fitting import fitting
from nnopt_gui.shell.transport import Transport
from nnopt_gui.state.model import AppModel
from nnopt_gui.state.undo import Place, Undo
from nnopt_gui.widgets.words import change_words

_OF_EXAMPLES = (AddExample, MoveExample, RemoveExample)
#: settings that begin a run anew on the same examples, those that were added, moved or removed too
_OF_OTHER_CHANCE = ("seed", "batch_seed")


def _other(seed: int) -> int:
    """Another seed, any."""
    found = int(np.random.default_rng().integers(0, 1000))
    return found + (found == seed)


def is_live(path: str) -> bool:
    """Whether a change of this setting is an intervention (from the cursor's step on) and not a new run."""
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in CHANGEABLE if root != "steps")


class Editing:
    """Turns edits into commands for the worker, and its answers into places to go back to."""

    def __init__(self, model: AppModel, trainer: Trainer, transport: Transport, undo: Undo) -> None:
        self._model = model
        self._trainer = trainer
        self._transport = transport
        self.undo_list = undo
        self._waiting: deque[tuple[Edit, Hashable]] = deque()
        self._sent: tuple[Edit, Hashable] | None = None
        self._last: tuple[Hashable, Numbered, int] | None = None  # of the newest edit: key, what it changed, where
        self._restoring = False
        self._later: list[Callable[[], None]] = []
        self._budget: int | None = None  # that the user has set for this run

    # ------------------------------------------------------------------------------------------------------ new runs

    def start(self, experiment: Experiment, label: str, play: bool | None = None) -> None:
        """A new run from step 0. play: and whether it plays (None: as now)."""
        self.open(Recording(experiment), label, play)

    def open(self, recording: Recording, label: str, play: bool | None = None) -> None:
        """A session: its experiment, with what the user did then, computed up to where it was saved."""
        self._drop_waiting()
        self._leave()
        self._budget = None
        if play is None:
            play = self._model.playing
        self._post(
            Start(recording.experiment, recording.interventions, recording.length, label, play, self._model.speed)
        )

    def reset(self) -> None:
        """The same experiment again from step 0, with the settings in force at the cursor and the examples that were
        added, moved or removed until then."""
        experiment = self._model.experiment
        if experiment is not None:
            self._again(experiment, "start again")

    def reseed(self, seed: int | None = None) -> None:
        """Other initial weights, of another seed (None: any other), from step 0; the examples stay, drawn ones too."""
        experiment = self._model.experiment
        if experiment is None:
            return
        if isinstance(experiment.problem, FunctionProblem):
            self._model.say("info", "A function has no weights to be drawn; drag its point to start elsewhere.")
            return
        chosen = _other(experiment.seed) if seed is None else seed
        self._again(msgspec.structs.replace(experiment, seed=chosen), "other weights")

    def redraw(self) -> None:
        """Other examples, and others of them held out, from step 0; the seed of the weights stays."""
        experiment = self._model.experiment
        if experiment is None:
            return
        if isinstance(experiment.problem, FunctionProblem):
            self._model.say("info", "A function has no examples to be drawn.")
            return
        data, split = _other(experiment.data_seed), _other(experiment.split_seed)
        changed = msgspec.structs.replace(experiment, data_seed=data, split_seed=split)
        self.start(self._with_budget(changed), "other data")

    def _again(self, experiment: Experiment, label: str) -> None:
        """From step 0, with the examples that were added, moved or removed until the cursor."""
        run = self._model.run
        assert run is not None
        kept = [made.change for made in run.history.interventions if made.step <= self._model.cursor]
        drawn = tuple(Intervention(0, change) for change in kept if isinstance(change, _OF_EXAMPLES))
        self.open(Recording(self._with_budget(experiment), drawn), label)

    # -------------------------------------------------------------------------------------------------------- changes

    def set(self, path: str, value: Any) -> None:
        """One setting, by its path in the experiment ("methods[0].optimizer.lr")."""
        experiment = self._model.experiment
        if experiment is None:
            return
        if path == "steps":
            self._set_budget(int(value))
        elif is_live(path):
            self.change(lambda: SetSetting(path, value), ("set", path))
        else:
            try:
                changed = set_path(experiment, path, value)
            except NnoptError as error:
                self._complain(error, path)
                return
            changed, said = fitting(experiment, changed)
            for sentence in said:
                self._model.say("info", sentence)
            name = path.rsplit(".", 1)[-1].replace("_", " ")
            again = self._again if path in _OF_OTHER_CHANCE else self.start
            again(self._with_budget(changed), f"change of {name}")

    def intent(self, kind: str, values: dict[str, Any]) -> None:
        """What a panel says that the user did; unknown kinds are another's."""
        match kind:
            case "move_to":
                self._model.set_probe(None)
                self.change(lambda: MoveTo(_floats(values["theta"])), ("move_to",))
            case "add_example":
                self.change(lambda: AddExample(_floats(values["x"]), values["y"]))
            case "move_example":
                index = int(values["index"])
                self.change(lambda: MoveExample(index, _floats(values["x"])), ("move_example", index))
            case "remove_example":
                self._model.select(None)
                self.change(lambda: RemoveExample(int(values["index"])))

    def change(self, make: Callable[[], Any], key: Hashable = None) -> None:
        """An intervention at the cursor. Changes of one key that arrive faster than the worker answers are one.

        make: builds the change; what is not valid is said to the user and nothing happens.
        """
        if self._model.run is None:
            return
        try:
            change = make()
        except NnoptError as error:
            self._complain(error, key[1] if isinstance(key, tuple) and key[0] == "set" else "")
            return
        edit = Edit(change, None if self._model.following else self._model.cursor)
        if self._waiting and key is not None and self._waiting[-1][1] == key:
            self._waiting[-1] = (edit, key)
        else:
            self._waiting.append((edit, key))
        self._send_next()

    def _complain(self, error: NnoptError, path: str) -> None:
        self._model.say("error", str(error))
        self._model.run_changed.emit()  # the settings show again what holds
        if path:
            self._model.reject(path, str(error))

    def _send_next(self) -> None:
        if self._sent is not None or not self._waiting:
            return
        edit, key = self._waiting.popleft()
        step = self._model.head if edit.at is None else edit.at
        if self._last is not None and key is not None and self._last[0] == key and self._last[2] == step:
            edit = Edit(edit.change, step, self._last[1])  # in place of the last one, not on top of it
        self._sent = (edit, key)
        self._leave()
        self._post(edit)

    def _set_budget(self, steps: int) -> None:
        place = self.undo_list.place
        if steps > 0 and place is not None and self._model.run is not None:
            self._leave()
            self._budget = steps
            self._transport.set_limit(steps)
            self.undo_list.push("change of the budget", self._place(place.number, self._model.run), ("set", "steps"))

    def _with_budget(self, experiment: Experiment) -> Experiment:
        # what play added to it by going on is not asked for again
        return experiment if self._budget is None else set_path(experiment, "steps", self._budget)

    # ----------------------------------------------------------------------------------------------------------- undo

    def undo(self) -> None:
        """Show the run before the last edit again (once the worker has answered all edits)."""
        self._later.append(lambda: self._go(self.undo_list.undo))
        self.settle()

    def redo(self) -> None:
        """Do the edit again: show what it had led to."""
        self._later.append(lambda: self._go(self.undo_list.redo))
        self.settle()

    @property
    def answered(self) -> bool:
        """The worker has answered every edit, and nothing waits."""
        return self._sent is None and not self._waiting and not self._later and self._transport.answered

    def settle(self) -> None:
        """Once per frame: do what had to wait for the worker's answers."""
        while self._later and self._sent is None and self._transport.answered:
            self._later.pop(0)()

    def _go(self, move: Callable[[], Place | None]) -> None:
        self._leave()
        place = move()
        if place is None:
            return
        self._drop_waiting()
        self._last = None
        self._budget = None
        self._model.select(None)  # it counts in other examples
        self._transport.forget_replay()
        if place.run is None:
            self._restoring = True
            recording = place.recording
            self._post(
                Start(recording.experiment, recording.interventions, recording.length, play=False), Extend(place.limit)
            )
            return
        numbered = Numbered(place.number, place.run)
        self._post(Load(numbered), Extend(place.limit))
        self._model.set_limit(place.limit)
        self._model.set_run(place.number, place.run, place.cursor)
        self._model.set_playing(False)

    # ------------------------------------------------------------------------------------------- the worker's answers

    def started(self, event: Started) -> None:
        """A new run is there."""
        self._transport.forget_replay()
        self._last = None
        number, run = event.after.number, event.after.run
        self._model.set_run(number, run)
        self._model.select(None)
        if self._restoring:
            self._restoring = False
            self.undo_list.restored(number, run)
        else:
            key = ("start", event.label) if event.label.startswith("change of") else None
            self.undo_list.push(event.label, self._place(number, run), key)

    def edited(self, event: Edited) -> None:
        """A change was made."""
        key = self._sent[1] if self._sent is not None else None
        self._sent = None
        self._last = (key, event.before, event.at)
        number, run = event.after.number, event.after.run
        self._model.set_run(number, run)
        self._select_touched(event.change)
        replaying = self._transport.replaying
        self._transport.forget_replay()
        before = event.before.run.history.experiment_at(event.at)
        self.undo_list.push(change_words(event.change, before), self._place(number, run), key)
        if replaying:
            self._transport.play()
        self._send_next()

    def _select_touched(self, change: Any) -> None:
        """The example that was added or moved is the chosen one: Delete takes it away."""
        match change:
            case AddExample():
                dataset = self._model.run.problem.dataset if self._model.run is not None else None
                self._model.select(dataset.n - 1 if dataset is not None else None)
            case MoveExample(index, _):
                self._model.select(index)

    def refused(self, notice: Notice) -> None:
        """The worker could not do the last change (the notice says why): the settings show again what holds."""
        self._restoring = False
        self._drop_waiting()
        self._model.run_changed.emit()
        change = getattr(notice.about, "change", None)
        if isinstance(change, SetSetting):
            self._model.reject(change.path, notice.text)

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._sent = None

    def _place(self, number: int, run: Any) -> Place:
        cursor = None if self._model.following else self._model.cursor
        return Place(number, run.recording, run, cursor, self._model.limit)

    def _leave(self) -> None:
        run = self._model.run
        if run is not None:
            cursor = None if self._model.following else self._model.cursor
            self.undo_list.leave(cursor, run.recording, self._model.limit)

    def _post(self, *commands: Any) -> None:
        self._transport.expect(self._trainer.post(*commands))


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in np.ravel(values))
