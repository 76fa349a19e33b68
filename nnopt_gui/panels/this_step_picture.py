"""What the "This step" panel shows, computed without widgets: the step explained, its numbers, its set equations."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nnopt.analysis.explain import Explanation, explain
from nnopt.runs.history import History
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
    (coarse result, or while the run plays)."""

    facts: Explanation
    made: bool
    lines: tuple[SetFormula, ...] | None = None


@dataclass(frozen=True)
class Request:
    """The step that leaves `step` of a history. length: rows known. damping: of the Newton step beside it, None for the
    method's own. equations: whether they are wanted."""

    history: History
    step: int
    length: int
    damping: float | None
    equations: bool

    def compute(self) -> Iterator[StepPicture]:
        """Numbers and bars first, then the equations."""
        facts = explain(self.history, self.step, self.damping)
        made = self.step + 1 < self.length
        yield StepPicture(facts, made)
        if self.equations:
            lines = formulas(facts, self.history.stage_at(self.step).optimizer, made)
            yield StepPicture(facts, made, tuple(_set(line) for line in lines))


def _set(line: Formula) -> SetFormula:
    right = typeset(line.right) if line.right else None
    return SetFormula(line, typeset(line.left), right, typeset(line.brief) if line.brief else right)


def rows_of(facts: Explanation, made: bool) -> tuple[Row, ...]:
    """The numbers at the left, most important first."""
    change = "Actual change" if made else "Change to come"
    worse = "bad" if facts.rises or not math.isfinite(facts.after) else ""
    rows: list[Row] = [
        ("Loss", numbers.number(facts.loss, 4), ""),
        ("Gradient norm", numbers.number(facts.gradient_norm, 4), ""),
        ("Predicted change", numbers.signed(facts.predicted, 3), "bad" if facts.predicted > 0 else ""),
        (change, numbers.signed(facts.actual, 3), worse),
    ]
    spectrum = facts.spectrum
    if spectrum is not None and len(spectrum.values):
        rows.append(("Largest curvature λ", numbers.number(spectrum.largest, 3), ""))
        stable = numbers.number(spectrum.stable_rate, 3) if spectrum.largest > 0 else "any rate"
        rate = facts.learning_rate
        unstable = facts.method == "sgd" and rate > spectrum.stable_rate
        rows.append(("Stable below 2/λ", stable, "bad" if unstable else ""))
        rows.append(
            ("Smallest curvature", numbers.number(spectrum.smallest, 3), "model" if spectrum.smallest < 0 else "")
        )
    return tuple(rows)


def rows_of_log(row: dict[str, float]) -> tuple[Row, ...]:
    """What the log alone says, while a run plays or a point is dragged."""
    loss = row["training_loss"] if math.isfinite(row["training_loss"]) else row["loss"]
    return (
        ("Loss", numbers.number(loss, 4), ""),
        ("Gradient norm", numbers.number(row["gradient_norm"], 4), ""),
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
        first = (
            f"The model predicts {numbers.signed(facts.predicted)}, the loss {verb} by {numbers.signed(facts.actual)}."
        )
    warning = next((text for text in rest if "uphill" in text), None) or next(iter(rest), "")
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
        return f"The {len(spectrum.values)} extreme ones of {len(facts.gradient)} directions"
    return ""
