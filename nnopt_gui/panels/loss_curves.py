"""The loss curves panel: training and validation loss over steps, plateaus, what the user did, and this step.

Feeds the plot what can be seen, never the whole log: each row is taken into an envelope once (loss_curves_data.py).
A click or a drag seeks; the wheel zooms, shift and drag pans.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnopt.analysis.plateau_tracker import floor_of
from nnopt.runs.experiment import FunctionProblem
from nnopt_gui.panels.base import Choice, Panel, Picture
from nnopt_gui.panels.loss_curves_data import (
    CURVATURE,
    Envelope,
    answer,
    epoch_text,
    held_out,
    intervention_words,
    last_measured,
    last_step,
    loss_range,
    padded,
    row_at,
    sentence,
    sentence_at,
    window,
)
from nnopt_gui.panels.loss_curves_marks import FaintCurve, PlateauBands, Reading, SeekArea
from nnopt_gui.state.view import View
from nnopt_gui.widgets import numbers
from nnopt_gui.widgets.marks import CurveMarks, DraggablePoint, Mark, StepLine, StepMarks
from nnopt_gui.widgets.plot import LabPlot

if TYPE_CHECKING:
    from nnopt.analysis.standing import Standing

#: the curves: column of the log and role of the line
_CURVES = (("loss", "batch"), ("training_loss", "training"), ("validation_loss", "validation"))
_FROM = (("floor", "from the least"), ("curve", "close up"))
_AXES = (("linear", "Linear axes"), ("log_y", "Log loss"), ("log_x", "Log steps"), ("log", "Log both"))


def _where(view: View) -> tuple[int, int, int]:
    """Run, step, and how often the run was changed: point and data may be others without a step."""
    return view.run, view.cursor, len(view.history.interventions)


def _standing(where: tuple[int, int, int], view: View) -> Iterator[tuple[tuple[int, int, int], Standing]]:
    """Gradient and curvature where a view stands."""
    from nnopt.analysis.standing import standing

    yield where, standing(view.objective, view.state.theta)


class LossPanel(Panel):
    """See the module. Emits seek(step)."""

    id: ClassVar[str] = "loss"
    title: ClassVar[str] = "Loss while training"
    area: ClassVar[tuple[int, int, int, int]] = (1, 1, 1, 1)
    choices: ClassVar[tuple[Choice, ...]] = (Choice("axes", "", _AXES), Choice("from", "Loss", _FROM))

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.plot = LabPlot("step", "loss", still=True, parent=self.body)
        self.plot.setAccessibleName("Loss over steps")
        layout = self.body.layout()
        assert layout is not None
        layout.addWidget(self.plot)
        batch = FaintCurve("training")
        self.plot.add(batch)
        self.curves = {
            "batch": batch,
            "validation": self.plot.curve("validation"),
            "training": self.plot.curve("training"),
        }
        lines = (self.curves["training"], self.curves["validation"])
        self.plateaus = self.plot.add(PlateauBands("plateau", "plateau", lines))
        self.flats = self.plot.add(PlateauBands("flat", "flat", lines))
        self.marks = self.plot.add(CurveMarks("validation"))
        self.best = self.plot.add(Mark("square", "validation", size=9, label="best"))
        self.interventions = self.plot.add(StepMarks())
        self.step_line = self.plot.add(StepLine())
        self.point = self.plot.add(DraggablePoint(draggable=False))
        self.seek_area = self.plot.add(SeekArea())
        self.reading = self.plot.add(Reading())
        self.seek_area.sought.connect(self._seek)
        self.seek_area.double_clicked.connect(self.plot.reset_view)
        self.plot.hovered.connect(lambda x, y: self._read(x))
        self.plot.hover_left.connect(self.reading.clear)
        self.plot.view.sigXRangeChanged.connect(self._zoomed)
        self._view: View | None = None
        self._run: int | None = None
        self._log = (False, False)
        self._envelopes = {role: Envelope() for _, role in _CURVES}
        self._batches = False
        self._taken = 0
        self._said: tuple[Any, ...] = ()
        #: what the curves that are drawn depend on
        self._drawn: tuple[Any, ...] = ()
        #: what the curve of the measured loss is called
        self._name = "training"
        self._sought: int | None = None
        self._marked = 0
        #: what "plateau or converged?" was asked of, and the last answer, with the `_where` of both
        self._asked: tuple[tuple[int, int, int], View] | None = None
        self._answer: tuple[tuple[int, int, int], Standing] | None = None
        self.link_activated.connect(self._ask)

    # ---------------------------------------------------------------------------------------------------- the view

    def show_view(self, view: View) -> None:
        """Takes what is new in the log, and moves the marks of this step."""
        axes = str(view.choice("loss.axes", "linear"))
        self.set_choice("axes", axes)
        self.set_choice("from", str(view.choice("loss.from", "floor")))
        log = (axes in ("log_x", "log"), axes in ("log_y", "log"))
        if log != self._log or view.run != self._run:
            self._start(view, log)
        fresh = self._view is None or self._view.run != view.run
        self._view = view
        function = isinstance(view.experiment.problem, FunctionProblem)
        penalized = not function and (view.experiment.problem.l2 > 0 or view.experiment.problem.l1 > 0)
        self._name = "loss" if function else "training + penalty" if penalized else "training"
        self.plot.set_running(view.playing)
        self._extend(view)
        self._draw_curves(view)
        self._draw_step(view)
        self._draw_best(view)
        self._draw_bands(view)
        if fresh or len(view.history.interventions) != self._marked:
            self._draw_interventions(view)
        self._say(view)

    def _start(self, view: View, log: tuple[bool, bool]) -> None:
        """Another run, or other axes: everything is taken anew."""
        if log != self._log:
            self.plot.set_log(*log)
            self.plot.user_view = False
        self._log = log
        self._run = view.run
        self._envelopes = {role: Envelope(log_steps=log[0]) for _, role in _CURVES}
        self._batches = False
        self._taken = 0
        self._drawn = ()
        self._view = None

    def _extend(self, view: View) -> None:
        # rows that are newer than the view come with the next one: the curves end where the other panels stand
        log = view.history.columns
        until = int(np.searchsorted(log["step"], view.length))
        columns = {name: log[name][:until] for name in ("step", *(column for column, _ in _CURVES))}
        steps = columns["step"]
        first = int(np.searchsorted(steps, self._taken))
        if first == len(steps):
            return
        training = columns["training_loss"][first:]
        if not self._batches and (np.isnan(training) & np.isfinite(columns["loss"][first:])).any():
            self._batches = True
            self._envelopes["batch"].extend(steps, columns["loss"])
        for column, role in _CURVES:
            if role != "batch" or self._batches:
                self._envelopes[role].extend(steps[first:], columns[column][first:])
        self._taken = int(steps[-1]) + 1

    def _draw_curves(self, view: View) -> None:
        """Curves, range and legend; nothing where only the cursor has moved."""
        close = self.plot.user_view and self._zoom_window(view)
        diverged = view.history.outcome.kind == "diverged"
        marked, size = bool(view.history.interventions), self.plot.size().toTuple()
        floor = floor_of(view.objective) if view.choice("loss.from", "floor") == "floor" else None
        place = (
            view.run, view.length, self._taken, self._log, close, diverged, marked, view.plateaus, size, floor,
            self._name,
        )  # fmt: skip
        if place == self._drawn:
            return
        self._drawn = place
        values = []
        for column, role in _CURVES:
            x, y = self._envelopes[role].points()
            if len(y):
                values.append(np.minimum(y, np.quantile(y, 0.95)) if role == "batch" else y)
            if close:
                columns = view.history.columns
                shown = role != "batch" or self._batches
                x, y = window(columns["step"], columns[column], *close) if shown else (x, y)
            self.curves[role].set_data(*self._drawable(x, y))
            if role == "validation":
                self.marks.set(*self._placed(x, y))
        span = loss_range(np.concatenate(values) if values else np.empty(0), self._log[1], diverged)
        low, high = padded(*span, log=self._log[1], floor=floor)
        last = last_step(view.length)
        end = math.log10(last) if self._log[0] else last
        x0, x1 = -0.012 * end, 1.012 * end  # room for the disc at the first and the last step
        y0, y1 = (math.log10(low), math.log10(high)) if self._log[1] else (low, high)
        self.plot.set_home(x0, x1, y0, y1, bottom_px=7.0, top_px=22.0 if marked else 7.0)
        entries = [(self._name, "training")]
        if self._batches:
            entries.append(("batch loss", "text3"))
        if len(self.marks.spots()):
            entries.append(("validation", "validation"))
        if view.plateaus and self.plot.height() > 200:
            entries.append(("plateau", "plateau") if any(one.escaped for one in view.plateaus) else ("flat", "flat"))
        if self.plot.height() > 220:
            entries.append(("this step", "this_step"))
        small = self.plot.height() < (200 if marked else 130)
        self.plot.set_legend([] if small else entries)

    def _zoom_window(self, view: View) -> tuple[float, float] | None:
        """The steps that are seen, when they are few of all."""
        x0, x1 = self.plot.view.viewRange()[0]
        if self._log[0]:
            x0, x1 = 10 ** min(x0, 12.0), 10 ** min(x1, 12.0)
        return (x0, x1) if x1 - x0 < 0.6 * view.length else None

    def _drawable(self, x: Any, y: Any) -> tuple[Any, Any]:
        """On logarithmic axes only what is positive."""
        keep = np.ones(len(x), bool)
        keep &= x > 0 if self._log[0] else True
        keep &= y > 0 if self._log[1] else True
        return x[keep], y[keep]

    def _placed(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Data to the plot's own coordinates (logarithms on a logarithmic axis)."""
        x, y = self._drawable(np.asarray(x, float), np.asarray(y, float))
        return np.log10(x) if self._log[0] else x, np.log10(y) if self._log[1] else y

    def _place(self, step: float, loss: float) -> tuple[float, float]:
        x = math.log10(max(step, 0.5)) if self._log[0] else step
        if self._log[1]:
            return x, math.log10(loss) if loss > 0 and math.isfinite(loss) else math.nan
        return x, loss

    def _draw_step(self, view: View) -> None:
        index = row_at(view.history.columns, view.cursor)
        loss = math.nan
        if index is not None:
            columns = view.history.columns
            loss = float(columns["training_loss"][index])
            if not math.isfinite(loss):
                measured = last_measured(columns, "training_loss", view.cursor) if self._batches else None
                loss = measured[1] if measured else float(columns["loss"][index])
        x, y = self._place(view.cursor, loss)
        self.step_line.set(x)
        self.point.set(x, y)

    def _draw_best(self, view: View) -> None:
        found = held_out(view.history, view.length - 1)
        if found is None or found.best is None:
            self.best.clear()
            self.seek_area.magnets = ()
            return
        place = self._place(found.best.step, found.best.validation_loss)
        self.best.set(*place)
        self.seek_area.magnets = (place,)

    def _draw_bands(self, view: View) -> None:
        escaped, flat = [], []
        for plateau in view.plateaus:
            start, stop = (self._place(step, 1.0)[0] for step in (plateau.start, plateau.stop))
            if plateau.escaped:
                escaped.append((start, stop, f"plateau, {numbers.integer(plateau.stop - plateau.start)} steps"))
            else:
                # the question is open at the end alone: what was flat before is not where the run stands
                last = plateau is view.plateaus[-1]
                flat.append((start, stop, "flat: plateau or converged?" if last else "flat"))
        for bands, found, kind in ((self.plateaus, escaped, True), (self.flats, flat, False)):
            bands.levels = tuple(
                self._place(1.0, plateau.level)[1] for plateau in view.plateaus if plateau.escaped is kind
            )
            bands.set(found)

    def _draw_interventions(self, view: View) -> None:
        self._marked = len(view.history.interventions)
        said = intervention_words(view.history)
        self.interventions.set([(self._place(step, 1.0)[0], words) for step, words in said])

    def _say(self, view: View) -> None:
        history = view.history
        brief = self.width() < 480
        at_head = view.cursor >= view.length - 1
        newest = last_measured(history.columns, "training_loss", view.cursor)
        loss = newest[1] if newest is not None else math.nan
        # the data of a run may change without a step, its step without another loss
        changes = len(history.interventions)
        said = (
            view.run, id(view.objective), changes, view.plateaus, history.outcome, view.length, view.cursor, str(loss),
            brief, self._answer, self._name,
        )  # fmt: skip
        if said == self._said:
            return
        self._said = said
        validation = held_out(history, view.cursor)
        if self._answer is not None and self._answer[0] == _where(view):
            first = float(history.columns["training_loss"][0]) if floor_of(view.objective) is not None else math.nan
            self.set_readout(answer(self._answer[1], view.cursor, first - loss))
        elif at_head:
            self.set_readout(sentence(view.plateaus, view.length - 1, loss, history.outcome, validation, brief))
        else:
            self.set_readout(sentence_at(view.plateaus, view.cursor, loss, self._name, validation))

    # ----------------------------------------------------------------------------------------- plateau or converged?

    def _ask(self, href: str) -> None:
        """The link was followed: the run waits where it is, and the analyst finds the curvature there."""
        view = self._view
        if href == CURVATURE and view is not None:
            self._asked = (_where(view), view)
            self.emit_intent("seek", step=view.cursor)
            self.stale.emit()

    def picture(self, view: View) -> Picture | None:
        """What the link asked for, until it is answered."""
        where = _where(view)
        if self._asked is None or self._asked[0] != where or (self._answer is not None and self._answer[0] == where):
            return None
        from nnopt.analysis.standing import EXACT

        asked = self._asked[1]
        heavy = asked.state.theta.size > EXACT
        return Picture((where, repr(view.choices)), lambda: _standing(where, asked), heavy=heavy)

    def draw(self, view: View, result: tuple[tuple[int, int, int], Standing]) -> None:
        """The answer."""
        self._answer = result
        if self._view is not None:
            self._say(self._view)

    # --------------------------------------------------------------------------------------------------- the mouse

    def _step_at(self, x: float) -> int:
        step = 10 ** min(x, 12.0) if self._log[0] else x
        return min(max(0, round(step)), self._view.length - 1 if self._view is not None else 0)

    def _seek(self, x: float) -> None:
        if self._view is None:
            return
        step = self._step_at(x)
        if step != self._view.cursor or step != self._sought:
            self._sought = step
            self.emit_intent("seek", step=step)

    def _read(self, x: float) -> None:
        view = self._view
        if view is None:
            return
        columns = view.history.columns
        index = row_at(columns, self._step_at(x))
        if index is None:
            return
        step = int(columns["step"][index])
        # what counts most comes first: a low panel has no room for the rest
        rows = [("step", numbers.integer(step))]
        dots = []
        every = view.history.stage_at(step).every
        for name, label, role in (
            ("training_loss", self._name, "training"),
            ("validation_loss", "validation", "validation"),
        ):
            measured = last_measured(columns, name, step)
            if measured is not None and step - measured[0] <= 2 * every:
                rows.append((label, numbers.number(measured[1], 4)))
                dots.append((self._place(step, measured[1])[1], role))
        penalty = last_measured(columns, "penalty", step)
        if penalty is not None and penalty[1] > 0:
            rows.insert(2, ("of it penalty", numbers.number(penalty[1], 3)))
        found = held_out(view.history, step)
        if found is not None and "validation" in dict(rows):
            rows.append(("gap", numbers.number(found.gap, 3)))
        if self._batches:
            rows.append(("batch loss", numbers.number(float(columns["loss"][index]), 4)))
        rows.append(("epoch", epoch_text(view.history, step)))
        rows.append(("rate", numbers.short(float(columns["learning_rate"][index]))))
        rows.append(
            (
                "batch |gradient|" if self._batches else "|gradient|",
                numbers.number(float(columns["gradient_norm"][index]), 3),
            )
        )
        self.reading.set(self._place(step, 1.0)[0], rows, dots)

    def _zoomed(self, *_: Any) -> None:
        # the envelope of the whole run is too coarse for a close look
        if self._view is not None and self.plot.user_view:
            self._draw_curves(self._view)
