"""What the timeline says each frame: step and budget, loss, gradient norm, epoch, updates per second; and the marks on
it."""

from __future__ import annotations

from time import perf_counter

from nnopt.runs.history import History
from nnopt.runs.stationary import not_a_minimum
from nnopt_gui.engine.trainer import ENDED
from nnopt_gui.panels.loss_curves_data import held_out, intervention_words
from nnopt_gui.state.model import AppModel
from nnopt_gui.widgets import numbers
from nnopt_gui.widgets.timeline import Timeline

#: updates that may be replayed to say the numbers of one step
MOST_REPLAYED = 100
#: seconds between two looks while a run plays
PACE = 0.03


class Status:
    """Keeps the timeline up to date; call `show` once per frame."""

    def __init__(self, model: AppModel, timeline: Timeline) -> None:
        self._model = model
        self._timeline = timeline
        self._shown = 0.0
        self._words: tuple[tuple[int, int], tuple[tuple[int, str], ...]] = ((0, 0), ())

    def show(self) -> None:
        """Show the model as it is now."""
        model = self._model
        history = model.history
        now = perf_counter()
        if history is None or (model.playing and now - self._shown < PACE):
            return
        self._shown = now
        self._timeline.set_state(
            model.length,
            model.limit,
            model.cursor,
            model.plateaus,
            self._interventions(history),
            self.entries(history),
            self._best(history),
        )

    def entries(self, history: History) -> dict[str, str]:
        """(label, value) pairs, the important ones first."""
        model = self._model
        step = model.cursor
        entries = {}
        if not step % history.stride or history.seek_cost(step) <= MOST_REPLAYED:
            row = history.row(step)
            values = numbers.number(row["loss"], 4), numbers.number(row["gradient_norm"], 4)
        else:
            values = "…", "…"
        # of some examples only: not the loss that the curves and maps show
        of = "" if history.stage_at(step).full else "batch "
        entries = {f"{of}loss": values[0], f"{of}|g|": values[1]}
        if history.problem_at(step).examples is not None:
            epoch = history.epoch(step)
            entries["epoch"] = numbers.integer(round(epoch)) if epoch == round(epoch) else f"{epoch:,.1f}"
        if model.busy:
            entries[model.busy] = ""
        elif history.outcome.kind in ENDED and not model.playing:
            kind = not_a_minimum(history.outcome.reason)
            entries[f"converged: {kind}" if kind else history.outcome.kind.replace("_", " ")] = ""
        else:
            entries["updates/s"] = numbers.integer(round(model.updates_per_second)) if model.playing else "–"
        return entries

    def _best(self, history: History) -> tuple[int, str] | None:
        """(step, words) of the lowest validation loss, once a later one was worse."""
        found = held_out(history, self._model.length - 1)
        if found is None or found.best is None:
            return None
        return found.best.step, f"best validation loss, {numbers.number(found.best.validation_loss, 4)}"

    def _interventions(self, history: History) -> tuple[tuple[int, str], ...]:
        """(step, words) of what the user did to the run, as the loss curves say it."""
        place = (self._model.number, len(history.interventions))
        if self._words[0] != place:
            self._words = (place, tuple(intervention_words(history)))
        return self._words[1]
