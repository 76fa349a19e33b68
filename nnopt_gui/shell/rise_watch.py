"""Notices a run whose loss stays above where it began: it trains on, never diverging, but learns nothing."""

from __future__ import annotations

from time import perf_counter

from nnopt_gui.state.model import AppModel
from nnopt_gui.widgets import numbers

#: rows that must all lie above the first one
ROWS = 100
#: seconds between two looks
PAUSE = 0.5


class RiseWatch:
    """Says it once per run; call `frame` once per frame."""

    def __init__(self, model: AppModel) -> None:
        self._model = model
        self._said = 0
        self._looked = 0.0

    def frame(self) -> None:
        """Look at the newest rows while training runs."""
        model = self._model
        if model.history is None or not model.playing or not model.following or self._said == model.number:
            return
        now = perf_counter()
        if now - self._looked < PAUSE:
            return
        self._looked = now
        loss = model.history.columns["loss"]
        if len(loss) > ROWS and float(loss[-ROWS:].min()) > float(loss[0]):
            self._said = model.number
            began = numbers.number(float(loss[0]), 3)
            why = "the learning rate may be too large"
            model.say("warning", f"The loss has been above {began}, where it began, for {ROWS} steps: {why}.")
