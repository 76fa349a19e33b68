"""What the "This step" panel shows, computed without widgets: the step explained, its numbers, its set equations."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnopt.analysis.around import Around
from nnopt.analysis.explanation import Explanation, explain
from nnopt.analysis.taylor import FLAT
from nnopt.runs.history import History
from nnopt_gui.panels.own_step import OwnStep, name_of_step
from nnopt_gui.panels.this_step_formulas import Formula, formulas
from nnopt_gui.widgets import numbers
from nnopt_gui.widgets.equation import Typeset, typeset

#: a row of numbers: what, how much, and the role of its colour
Row = tuple[str, str, str]


@dataclass(frozen=True)
class SetFormula:
    """A formula whose sides are set; brief: the right side for narrow places."""

    formula: Formula
    left: Typeset
    right: Typeset | None
    brief: Typeset | None


@dataclass(frozen=True)
class StepPicture:
    """facts: the step explained. made: whether the step is in the log. lines: its formulas, None while they are not set
    (coarse result, or while the run plays). own_name: of the step taken, "" where it is one of the two compared."""

    facts: Explanation
    made: bool
    lines: tuple[SetFormula, ...] | None = None
    own_name: str = ""


@dataclass(frozen=True)
class Request:
    """The step that leaves `step` of a history. length: rows known. damping: of the Newton step beside it.
    equations: whether they are wanted. around: the full loss at the step, whose curvature and steps are compared, also
    beside a mini-batch's step; None where that takes too long: then the batch's."""

    history: History
    step: int
    length: int
    damping: float | None
    equations: bool
    around: Around | None = None

    def compute(self) -> Iterator[StepPicture]:
        """Numbers and bars first, then the equations."""
        facts = explain(self.history, self.step, self.damping, self.around)
        made = self.step + 1 < self.length
        optimizer = self.history.stage_at(self.step).optimizer
        own = OwnStep(facts.taken, facts.after, name_of_step(optimizer, facts.rows is not None))
        name = own.name if own.is_other_than(facts.gradient_step, facts.newton_step) else ""
        yield StepPicture(facts, made, own_name=name)
        if self.equations:
            lines = formulas(facts, optimizer, made)
            yield StepPicture(facts, made, tuple(_set(line) for line in lines), name)


def _set(line: Formula) -> SetFormula:
    right = typeset(line.right) if line.right else None
    return SetFormula(line, typeset(line.left), right, typeset(line.brief) if line.brief else right)


def rows_of(facts: Explanation, made: bool) -> tuple[Row, ...]:
    """The numbers at the left, most important first."""
    change = "Actual change" if made else "Change to come"
    worse = "bad" if facts.rises or not math.isfinite(facts.after) else ""
    rows: list[Row] = [
        *_measured(facts.loss, facts.gradient_norm, facts.rows is not None),
        ("Predicted change", numbers.signed(facts.predicted, 3), "bad" if facts.predicted > 0 else ""),
        (change, numbers.signed(facts.actual, 3), worse),
    ]
    spectrum = facts.spectrum
    if spectrum is not None and len(spectrum.values):
        rows.append(("Largest curvature λ", numbers.number(spectrum.largest, 3), ""))
        stable = numbers.number(spectrum.stable_rate, 3) if spectrum.largest > 0 else "–"
        rate = facts.learning_rate
        unstable = facts.method == "sgd" and rate > spectrum.stable_rate
        rows.append(("Stable below 2/λ", stable, "bad" if unstable else ""))
        smallest = spectrum.smallest
        zero = abs(smallest) <= FLAT * float(np.abs(spectrum.values).max())
        rows.append(
            ("Smallest curvature", "0" if zero else numbers.number(smallest, 3), "model" * (smallest < 0 and not zero))
        )
    return tuple(rows)


def _measured(loss: float, gradient_norm: float, batch: bool) -> tuple[Row, Row]:
    """Loss and |g|, and of what they are."""
    names = ("Batch loss", "Batch gradient norm") if batch else ("Loss", "Gradient norm")
    return (names[0], numbers.number(loss, 4), ""), (names[1], numbers.number(gradient_norm, 4), "")


def rows_until_explained(row: dict[str, float], batch: bool, names: Sequence[str]) -> tuple[Row, ...]:
    """What the log says of a step, in the rows that its explanation will fill. names: of those rows."""
    known = _measured(row["loss"], row["gradient_norm"], batch)
    return (*known, *((name, "…", "text3") for name in names[len(known) :]))


def rows_of_log(row: dict[str, float], batch: bool = False) -> tuple[Row, ...]:
    """What the log alone says, while a run plays. batch: whether its loss and gradient are those of a mini-batch."""
    return (
        *_measured(row["loss"], row["gradient_norm"], batch),
        ("Learning rate", numbers.short(row["learning_rate"]), ""),
        ("Length of the last step", numbers.number(row["step_norm"], 3), ""),
    )


def sentence(facts: Explanation, made: bool, roomy: bool) -> str:
    """The readout: what went wrong if anything did, else what was predicted and what came; with room, more."""
    said = list(facts.sentences)
    first = said.pop(0) if said else ""
    rest = [text for text in said if not text.startswith("The quadratic model predicted")]
    wrong = facts.uphill or facts.rises or not math.isfinite(facts.after) or not facts.taken.any()
    if not wrong and math.isfinite(facts.predicted):
        verb = "changed" if made else "will change"
        loss = "loss" if facts.rows is None else "batch loss"
        predicted, actual = numbers.signed(facts.predicted), numbers.signed(facts.actual)
        first = f"The model predicts {predicted}, the {loss} {verb} by {actual}."
    warning = next((text for text in rest if "uphill" in text), None) or next(
        (text for text in rest if wrong and "2/λ" in text), next(iter(rest), "")
    )
    first = re.sub(r"(, because .*?): where.*", r"\1.", first)
    warning = re.sub(r", because (.*?): where.*", r": \1.", warning)
    return bold(f"{first} {warning}".strip() if roomy or not first else first)


def bold(text: str) -> str:
    """The numbers of a sentence in bold."""
    return re.sub(r"(?<![\w.])([+−]?\d[\d,.]*(?:e−?\d+)?(?: of \d+)?)(?<![.,])(?!/)", r"<b>\1</b>", text)


def describe_rows(rows: tuple[Row, ...]) -> str:
    """The numbers in one line, for those who cannot see them."""
    return ", ".join(f"{name} {value}" for name, value, _ in rows)


def spectrum_words(facts: Explanation) -> str:
    """Why there are no bars, or what the bars leave out."""
    spectrum: Any = facts.spectrum
    if spectrum is None:
        return "Curvature is not known for this objective."
    if not spectrum.complete:
        shown, all_of_them = numbers.integer(len(spectrum.values)), numbers.integer(len(facts.gradient))
        return f"The {shown} extreme ones of {all_of_them} directions"
    return ""
