"""Loss curves as they are drawn, computed without Qt: envelopes of millions of steps, the range that shows the run, the
nearest row to a step, and the sentence below the plot.

An `Envelope` takes each new row once, so a frame costs what is new, not what is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nnopt.analysis.plateaus import Plateau
from nnopt.optimizers.stopping import generalization_gap
from nnopt.runs.changes import SetSetting
from nnopt.runs.experiment import set_path
from nnopt.runs.history import History
from nnopt.runs.state import Best
from nnopt_gui.widgets import numbers
from nnopt_gui.widgets.words import change_words

if TYPE_CHECKING:
    from nnopt.analysis.standing import Standing

Array = npt.NDArray[np.float64]

#: blocks that an envelope may have: more than any panel has pixels
BLOCKS = 2048
#: the link of "plateau or converged?": the panel answers it itself
CURVATURE = "ask:curvature"
#: share of its fall so far that a loss has left at most when a problem counts as solved
SOLVED = 0.01
#: blocks per decade of steps on a logarithmic axis
PER_DECADE = 290


class Envelope:
    """Lowest and highest value in each block of steps, for a growing curve; values that are not finite are left out.

    On a linear axis blocks are equally wide, and twice as wide whenever there would be more than `BLOCKS`; on a
    logarithmic one they are equally wide in log(step), from step 1 on.
    """

    def __init__(self, log_steps: bool = False) -> None:
        self._log = log_steps
        self.clear()

    def clear(self) -> None:
        """Forget everything: the curve starts anew."""
        self._width = 1
        self._next = 1 if self._log else 0
        self._low = np.full(BLOCKS, np.inf)
        self._high = np.full(BLOCKS, -np.inf)
        self._first = np.zeros(BLOCKS)
        self._last = np.zeros(BLOCKS)
        self._used = 0

    def extend(self, steps: npt.NDArray[np.int64], values: Array) -> None:
        """Takes the rows that are new (steps ascending; rows at or before the last one taken are skipped)."""
        start = int(np.searchsorted(steps, self._next))
        if start == len(steps):
            return
        steps, values = steps[start:], values[start:]
        self._next = int(steps[-1]) + 1
        finite = np.isfinite(values)
        steps, values = steps[finite], values[finite]
        if len(steps) == 0:
            return
        if not self._log:
            while int(steps[-1]) // self._width >= BLOCKS:
                self._merge()
        blocks = self._block(steps)
        edges = np.flatnonzero(np.diff(blocks, prepend=-1))
        places = blocks[edges]
        fresh = ~np.isfinite(self._low[places])
        self._first[places[fresh]] = steps[edges[fresh]]
        self._last[places] = steps[np.append(edges[1:] - 1, len(steps) - 1)]
        self._low[places] = np.minimum(self._low[places], np.minimum.reduceat(values, edges))
        self._high[places] = np.maximum(self._high[places], np.maximum.reduceat(values, edges))
        self._used = int(places[-1]) + 1

    def points(self) -> tuple[Array, Array]:
        """(steps, values): the curve, with both ends of every block that holds more than one value."""
        filled = np.flatnonzero(np.isfinite(self._low[: self._used]))
        low, high, first, last = self._low[filled], self._high[filled], self._first[filled], self._last[filled]
        wide = high > low
        if not wide.any():
            return first, low
        falling = np.r_[True, high[:-1] > high[1:]] if len(high) > 1 else np.array([True])
        pairs = np.stack([np.where(falling, high, low), np.where(falling, low, high)], axis=1)
        keep = np.stack([np.ones(len(first), bool), wide], axis=1)
        return np.stack([first, last], axis=1)[keep], pairs[keep]

    def _block(self, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        if self._log:
            return np.minimum((np.log10(steps) * PER_DECADE).astype(np.int64), BLOCKS - 1)
        return np.asarray(steps // self._width)

    def _merge(self) -> None:
        self._width *= 2
        half = BLOCKS // 2
        self._first[:half] = np.where(np.isfinite(self._low[0::2]), self._first[0::2], self._first[1::2])
        self._last[:half] = np.where(np.isfinite(self._low[1::2]), self._last[1::2], self._last[0::2])
        self._low[:half] = np.minimum(self._low[0::2], self._low[1::2])
        self._high[:half] = np.maximum(self._high[0::2], self._high[1::2])
        self._low[half:], self._high[half:] = np.inf, -np.inf


def window(steps: npt.NDArray[np.int64], values: Array, start: float, stop: float) -> tuple[Array, Array]:
    """The rows between two steps (and one on each side) of a stored column, thinned to an envelope of at most
    2 x BLOCKS points: for a closer look than the whole run's envelope gives."""
    first = max(0, int(np.searchsorted(steps, start)) - 1)
    last = min(len(steps), int(np.searchsorted(steps, stop)) + 2)
    steps, values = steps[first:last], values[first:last]
    finite = np.isfinite(values)
    if not finite.all():
        steps, values = steps[finite], values[finite]
    if len(steps) <= BLOCKS:
        return steps.astype(float), values
    size = -(-len(steps) // BLOCKS)
    edges = np.arange(0, len(steps), size)
    both = np.stack([np.minimum.reduceat(values, edges), np.maximum.reduceat(values, edges)], axis=1)
    return np.repeat(steps[edges], 2).astype(float), both.ravel()


def loss_range(values: Array, log: bool, diverged: bool = False) -> tuple[float, float]:
    """(low, high) that shows a run: everything, unless a few spikes would squash the rest.

    values: the drawn envelope(s). A spike up to three times as high as the 98 % of the run is shown whole; a higher
    one is cut there, and of a diverged run the rise is shown up to six times the rest. Logarithmic: positive values
    only, at least half a decade.
    """
    values = values[np.isfinite(values) & (values > 0 if log else True)]
    if len(values) == 0:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if log:
        if high < low * 10**0.5:
            middle = math.sqrt(low * high)
            low, high = middle / 10**0.25, middle * 10**0.25
        return low, high
    typical = max(float(np.quantile(values, 0.98)), float(values[0]))
    if diverged:
        # of a run that explodes at once even most of its steps are part of the explosion
        rest = min(float(np.quantile(values, 0.9)), 10.0 * abs(float(np.quantile(values, 0.5, method="lower"))))
        typical = max(rest, float(values[0]))
    span = max(typical - low, 1e-3 * abs(typical), 1e-12)
    high = min(high, low + (6.0 if diverged else 3.0) * span)
    return low, max(high, low + span)


def padded(low: float, high: float, log: bool, floor: float | None = None) -> tuple[float, float]:
    """A range with room around it, its ends on round numbers so that it stands still while a run plays. A loss that
    falls to less than half of its height starts at zero. floor: the least possible loss, where the axis is to begin."""
    if log:
        return 10 ** (math.floor(4 * math.log10(low)) / 4) / 1.15, 10 ** (math.ceil(4 * math.log10(high)) / 4) * 1.15
    if 0 <= low < 0.5 * high:
        low = 0.0
    if floor is not None and floor <= low:
        step = nice((high - floor) / 8)
        return floor - (0.0 if floor == 0.0 else 0.3 * step), math.ceil((high + 0.3 * step) / step) * step
    step = nice((high - low) / 8)
    bottom = 0.0 if low == 0.0 else math.floor((low - 0.3 * step) / step) * step
    return bottom, math.ceil((high + 0.3 * step) / step) * step


def nice(size: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten at or above a positive number."""
    if not size > 0 or not math.isfinite(size):
        return 1.0
    power = 10.0 ** math.floor(math.log10(size))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= size * (1 - 1e-9))


def last_step(length: int) -> float:
    """Where the step axis ends for a run of this many rows: a round number at or after the last step."""
    steps = max(length - 1, 20)
    power = 10.0 ** math.floor(math.log10(steps))
    factors = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
    return next(factor * power for factor in factors if factor * power >= steps)


def row_at(columns: Any, step: float) -> int | None:
    """Index of the stored row nearest to a step, or None in an empty log."""
    steps = columns["step"]
    if len(steps) == 0:
        return None
    after = min(int(np.searchsorted(steps, step)), len(steps) - 1)
    if after > 0 and abs(steps[after - 1] - step) <= abs(steps[after] - step):
        return after - 1
    return after


def last_measured(columns: Any, name: str, step: float) -> tuple[int, float] | None:
    """(step, value) of the last measurement at or before a step in a column with NaN where nothing was measured."""
    stop = int(np.searchsorted(columns["step"], step, side="right"))
    for start in (max(0, stop - 256), 0):
        found = np.flatnonzero(np.isfinite(columns[name][start:stop]))
        if len(found):
            index = start + int(found[-1])
            return int(columns["step"][index]), float(columns[name][index])
    return None


@dataclass(frozen=True)
class HeldOut:
    """The newest measurement on held-out examples; both losses without the penalty. best: the step with the
    lowest validation loss, once a later one was worse; None while the newest one is the best."""

    step: int
    training: float
    validation: float
    best: Best | None = None

    @property
    def gap(self) -> float:
        """The generalization gap."""
        return float(generalization_gap(self.training, self.validation))


def held_out(history: History, step: float) -> HeldOut | None:
    """What was measured last at or before a step; None where nothing was, and where nothing is held out."""
    columns = history.columns
    measured = last_measured(columns, "validation_loss", step)
    if measured is None:
        return None
    at = int(np.searchsorted(columns["step"], measured[0]))
    best = history.best
    # of an earlier step it is not known yet that a later one will be the best
    passed = best if best is not None and best.step < measured[0] else None
    penalty = float(columns["penalty"][at])
    training = float(columns["training_loss"][at]) - (penalty if math.isfinite(penalty) else 0.0)
    return HeldOut(measured[0], training, measured[1], passed)


def fall_after(plateaus: Sequence[Plateau], index: int, lowest_now: float) -> float:
    """How far the loss fell after an escaped plateau: to the level of the next one, or to where it is now."""
    following = plateaus[index + 1].level if index + 1 < len(plateaus) else lowest_now
    return plateaus[index].level - following


def sentence(
    plateaus: Sequence[Plateau],
    head: int,
    loss_now: float,
    outcome: Any,
    validation: HeldOut | None = None,
    brief: bool = False,
) -> str:
    """The readout: where plateaus end, what was gained, and how the run ended. head: the newest step; loss_now: its
    loss; outcome: of the run; validation: what was measured last, for runs without a plateau; brief: for a narrow
    panel."""
    if outcome.kind == "diverged":
        return f"Diverged at step <b>{numbers.integer(outcome.step)}</b>: {_why(outcome)}."
    if outcome.kind == "stopped_early":
        return _stopped_early(outcome, validation, brief)
    parts = []
    escaped = [index for index, plateau in enumerate(plateaus) if plateau.escaped]
    if escaped:
        last = escaped[-1]
        end, fall = plateaus[last].stop, fall_after(plateaus, last, loss_now)
        several = f"{len(escaped)} plateaus, the last" if len(escaped) > 1 else "Plateau"
        moved = "fall" if fall >= 0 else "rise"
        back = loss_now - plateaus[last].level if fall >= 0 and math.isfinite(loss_now) else 0.0
        until, then = ("until", moved) if brief else ("until step", f"then a {moved} of")
        parts.append(f"{several} {until} <b>{numbers.integer(end)}</b>, {then} <b>{numbers.short(abs(fall), 2)}</b>.")
        if back > 0:
            parts.append(f"Now above it: <b>{numbers.number(loss_now, 4)}</b>.")
    flat = plateaus[-1] if plateaus and not plateaus[-1].escaped else None
    if outcome.kind in ("converged", "stuck"):
        parts.append(f"{outcome.kind.title()} at step <b>{numbers.integer(outcome.step)}</b>: {_why(outcome)}.")
    elif flat is not None:
        again = "Flat again" if escaped else "Flat"
        since = "Now" if brief and escaped else f"{again} from {numbers.integer(flat.start)}:"
        parts.append(f'{since} <a href="{CURVATURE}">plateau or converged?</a>')
        if validation is not None and not escaped:
            parts.append(_gap(validation, brief=True))
    elif validation is not None and (escaped or (validation.best is not None and not brief)):
        # the steps without a plateau are no news beside a validation loss that rises
        parts.append(_gap(validation, brief or bool(escaped)))
    elif validation is not None:
        parts.append(f"No plateau in {_steps(head)}. {_gap(validation, brief)}")
    elif not escaped:
        parts.append(f"Loss <b>{numbers.number(loss_now, 4)}</b> after {_steps(head)}, no plateau so far.")
    return " ".join(parts)


def sentence_at(plateaus: Sequence[Plateau], step: int, loss: float, name: str, validation: HeldOut | None) -> str:
    """The readout while an earlier step is shown: what was known of that step. name: of the loss."""
    here = next((one for one in plateaus if one.start <= step < one.stop), None)
    where = "" if here is None else ", on a plateau" if here.escaped else ", where it is flat"
    question = "" if here is None else f': <a href="{CURVATURE}">which kind?</a>'
    said = f"Step <b>{numbers.integer(step)}</b>{where}{question} {name.capitalize()} <b>{numbers.number(loss, 4)}</b>"
    if validation is None:
        return f"{said}."
    held, gap = numbers.number(validation.validation, 4), numbers.number(validation.gap, 3)
    return f"{said}, validation <b>{held}</b>, gap <b>{gap}</b>."


def answer(found: Standing, step: int, fallen: float = math.nan) -> str:
    """Plateau or converged, in words: what the gradient and the smallest curvature say at a step. fallen: by how much
    the loss has fallen since step 0, if what it can fall to is known."""
    gradient, lowest = numbers.number(found.gradient_norm, 2), numbers.number(found.lowest, 2)
    facts = f"|gradient| <b>{gradient}</b>, smallest curvature <b>{lowest}</b>"
    verdict = {
        "saddle": "a saddle, it will escape",
        "hilltop": "no minimum, it will escape",
        "minimum": "a minimum",
        "valley of minima": "a valley of minima",
        "falling": "still falling",
        "unknown": "neither can be told",
    }[found.kind]
    if found.kind in ("saddle", "hilltop") and 0.0 <= found.loss < SOLVED * fallen:
        verdict = f"a {found.kind}, but at most {numbers.number(found.loss, 2)} is left to fall"
    return f"Step {numbers.integer(step)}: {facts}: <b>{verdict}</b>."


def _steps(count: int) -> str:
    return f"{numbers.integer(count)} step{'' if count == 1 else 's'}"


def _stopped_early(outcome: Any, validation: HeldOut | None, brief: bool) -> str:
    said = f"Stopped early at step <b>{numbers.integer(outcome.step)}</b>"
    if validation is None or validation.best is None:
        return f"{said}: {_why(outcome)}."
    gap = "" if brief else f" Gap at the end <b>{numbers.number(validation.gap, 3)}</b>."
    return f"{said}, validation was best at {_best_link(validation.best)}.{gap}"


def _gap(found: HeldOut, brief: bool) -> str:
    """The generalization gap, and where validation was best."""
    training, validation = numbers.number(found.training, 4), numbers.number(found.validation, 4)
    less = "," if brief else f" {numbers.MINUS} training <b>{training}</b> ="
    best = "" if found.best is None else f", best at {_best_link(found.best, brief)}"
    return f"Validation <b>{validation}</b>{less} gap <b>{numbers.number(found.gap, 3)}</b>{best}."


def _best_link(best: Best, brief: bool = False) -> str:
    step = numbers.integer(best.step)
    if brief:
        return f'<a href="step:{best.step}">{step}</a>'
    return f'<a href="step:{best.step}">step {step}</a>, <b>{numbers.number(best.validation_loss, 4)}</b>'


def _why(outcome: Any) -> str:
    return numbers.typeset(outcome.reason.partition(": ")[2] or outcome.reason).rstrip(".")


def intervention_words(history: History) -> list[tuple[int, str]]:
    """(step, words) for every step at which the user changed something: "learning rate 2 → 4"."""
    found: dict[int, list[str]] = {}
    before: dict[int, Any] = {}
    for intervention in history.interventions:
        step, change = intervention.step, intervention.change
        if step not in before:
            before[step] = history.experiment_at(max(step - 1, 0))
        # at the first step what a setting was before is not part of the run
        words = change_words(change, before[step], since=step > 0)
        if isinstance(change, SetSetting):
            before[step] = set_path(before[step], change.path, change.value)
        found.setdefault(step, []).append(words)
    return [(step, _together(words)) for step, words in found.items()]


def _together(words: list[str]) -> str:
    if len(set(words)) == 1 and len(words) > 1:
        return f"{words[0]} × {len(words)}"
    return ", ".join(words) if len(words) < 3 else f"{len(words)} changes"


def epoch_text(history: History, step: int) -> str:
    """Passes over the training examples at a step: "12.4", whole for full batches."""
    return numbers.short(history.epoch(step), 4)
