"""The decision boundary's sentence: accuracy or error, and what else must be known about the picture."""

from __future__ import annotations

import math
from typing import Any

from nnopt_gui.panels.boundary_picture import Axes, Score
from nnopt_gui.widgets import numbers


def readout(problem: Any, axes: Axes, score: Score, selection: int | None, roomy: bool) -> str:
    """selection: index of the selected example; roomy: whether there is room for a second sentence."""
    dataset = problem.dataset
    classes = dataset.task == "classification"
    about = "" if score.checked >= len(problem.training) + len(problem.validation) else "about "
    parts = [f"training {about}<b>{_figure(score.training, classes)}</b>"]
    if not math.isnan(score.validation):
        parts.append(f"validation {about}<b>{_figure(score.validation, classes)}</b>")
    first = f"{'Correct' if classes else 'Typical error'}: {', '.join(parts)}."
    if not roomy:
        return first
    if selection is not None and 0 <= selection < dataset.n:
        return f"{_selected(problem, selection, score)} {first}"
    others = dataset.inputs - (1 if axes.y is None else 2)
    if others > 0:
        return f"{first} The {'other input is at its mean' if others == 1 else f'{others} others are at their means'}."
    if axes.y is None and not classes:
        return f"{first} A click adds an example."
    return f"{first} Click adds, drag moves an example."


def _figure(value: float, classes: bool) -> str:
    return numbers.percent(value) if classes else numbers.number(value, 3)


def _selected(problem: Any, index: int, score: Score) -> str:
    kind = "validation" if index in problem.validation else "training"
    said = f"Example <b>{numbers.integer(index)}</b> ({kind}"
    if problem.dataset.task == "classification" and index < len(score.wrong) and score.wrong[index]:
        said += ", wrong"
    return f"{said}): Delete removes it."
