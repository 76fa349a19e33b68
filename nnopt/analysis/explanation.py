"""One step explained: everything that a lecturer writes on the board about it, computed when it is asked for.

`explain(history, step)` replays the update that leaves a step. It changes nothing and costs the run nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.around import Around
from nnopt.analysis.curvature import EXACT_STEP, NOT_KNOWN, Spectrum
from nnopt.analysis.taylor import hessian_products
from nnopt.optimizers.base import Local, Update
from nnopt.optimizers.gain import value_at
from nnopt.runs.stage import MAX_HESSIAN
from nnopt.runs.state import State
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Shown):
    """The update from `step` to step + 1. Losses and curvature are those of this step's batch.

    rows: indices of the batch's examples, None for all. loss, gradient (P,), learning_rate: at the step (for curvature
    methods the rate is the factor on the step). taken (P,): the step made; after: the loss where it lands.
    slots, slots_after: the method's memory. note, detail: what the method says itself.

    spectrum: of the Hessian, complete up to 600 parameters, its ends above; None where the objective has no curvature.
    gradient_step (P,): -rate g, with `rate` the learning rate of a gradient method (for a curvature method, which has
    none, 1 / max |lambda|: it never overshoots). newton_step (P,): (H + damping I) s = -g, with its newton_note; None
    without curvature. newton_after: the loss where it would land.

    predicted: change of the loss that the quadratic model promises for the step taken, g . s + s . H s / 2; slope: its
    first term. actual: the change that happened. sentences: what is worth saying, most important first.

    compared (P,): the gradient that spectrum, gradient_step and newton_step belong to: the batch's own, or that of the
    loss that `explain` was given to compare with; of_batch says whether it is a mini-batch's.

    >>> import nnopt
    >>> bowl = nnopt.functions.get("bowl")
    >>> facts = explain(nnopt.minimize(bowl, nnopt.optimizers.SGD(lr=0.5), start=[4.0], steps=1), step=0)
    >>> facts.taken, facts.newton_step, facts.stable_rate, facts.predicted, facts.actual
    (array([-2.]), array([-4.]), 2.0, -6.0, -6.0)
    """

    step: int
    method: str
    rows: npt.NDArray[np.intp] | None
    theta: Array
    loss: float
    gradient: Array
    learning_rate: float
    taken: Array
    after: float
    slots: Any
    slots_after: Any
    note: str
    detail: dict[str, float]
    spectrum: Spectrum | None
    rate: float
    gradient_step: Array
    damping: float
    newton_step: Array | None
    newton_note: str
    newton_after: float
    slope: float
    predicted: float
    compared: Array
    of_batch: bool
    sentences: tuple[str, ...] = ()

    @property
    def gradient_norm(self) -> float:
        """|g|."""
        with np.errstate(all="ignore"):
            return float(np.linalg.norm(self.gradient))

    @property
    def actual(self) -> float:
        """Change of the batch's loss that the step made."""
        return self.after - self.loss

    @property
    def uphill(self) -> bool:
        """Whether the step taken points uphill: g . s > 0."""
        return self.slope > 0.0

    @property
    def rises(self) -> bool:
        """Whether the loss is higher after the step."""
        return bool(self.after > self.loss)

    @property
    def newton_uphill(self) -> bool:
        """Whether the Newton step points uphill."""
        with np.errstate(all="ignore"):
            return self.newton_step is not None and float(self.compared @ self.newton_step) > 0.0

    @property
    def stable_rate(self) -> float:
        """2 / lambda_max; NaN where curvature is not known."""
        return self.spectrum.stable_rate if self.spectrum is not None else float("nan")

    @property
    def along(self) -> tuple[Array, Array, Array]:
        """(gradient g, gradient step, Newton step) along the eigenvectors of `spectrum`, each (K,), steepest first."""
        if self.spectrum is None:
            return np.empty(0), np.empty(0), np.empty(0)
        newton = np.zeros_like(self.compared) if self.newton_step is None else self.newton_step
        with np.errstate(all="ignore"):
            gradient, step, newton = map(self.spectrum.components, (self.compared, self.gradient_step, newton))
        return gradient, step, newton

    @property
    def taken_along(self) -> Array:
        """The step taken along the eigenvectors of `spectrum`, (K,), steepest first."""
        with np.errstate(all="ignore"):
            return np.empty(0) if self.spectrum is None else self.spectrum.components(self.taken)


def explain(
    history: Any, step: int | State, damping: float | None = None, compare: Around | None = None
) -> Explanation:
    """The update that leaves `step` of a run; of the newest step, the one that would come next. Pure.

    step: its number, or a state of the run at another theta: then the update of the same memory and batch from there.
    damping: of the Newton step that is compared; by default that of a method that has one (damped_newton), else 0.
    compare: the loss at the same theta whose curvature, gradient step and Newton step are compared, such as the full
    loss beside a mini-batch's step; by default the batch's. What it knows already is not computed again.

    >>> import nnopt
    >>> f = nnopt.functions.get("rosenbrock")
    >>> history = nnopt.minimize(f, nnopt.optimizers.Newton(), start=f.start, steps=6)
    >>> for sentence in explain(history, step=1).sentences:
    ...     print(sentence)
    The step goes too far: the loss rises from 4.732 to 1412.
    The quadratic model predicted a change of −4.217; it was 1407.

    Raises: SettingsError if the step is not in the history, and what the objective raises.
    """
    state = step if isinstance(step, State) else history.seek(step)
    stage = history.stage_at(state.step)
    curved = stage.optimizer.needs != "gradient"
    rate = stage.learning_rate(state.step)
    with np.errstate(all="ignore"):
        if compare is None:
            found = stage.local(state)
            # a method that factorizes the Hessian itself is compared with what it does at any size
            most = MAX_HESSIAN if stage.optimizer.needs == "hessian" else EXACT_STEP
            compare = Around(found.batch, state.theta, float(found.value), found.gradient, most)
            local, update = update_at(stage, state, compare, found)
        else:
            local, update = update_at(stage, state, compare)
        objective = local.batch
        after = value_at(local, state.theta + update.step)
        slope = float(local.gradient @ update.step)
        bend = float(update.step @ hessian_products(objective, state.theta, update.step[None])[0])
        detail = dict(update.detail or {})
        used = detail.get("damping", 0.0) if damping is None else damping
        spectrum, newton, newton_note = _curvature(compare, used)
        newton_after = float("nan") if newton is None else float(compare.objective.value(state.theta + newton))
        gradient_rate = rate
        if curved:
            gradient_rate = 1.0 if spectrum is None else _careful_rate(spectrum)
        facts = Explanation(
            step=state.step,
            method=str(type(stage.optimizer).__struct_config__.tag),
            rows=local.rows,
            theta=state.theta,
            loss=float(local.value),
            gradient=local.gradient,
            learning_rate=rate,
            taken=update.step,
            after=after,
            slots=state.slots,
            slots_after=update.slots,
            note=update.note,
            detail=detail,
            spectrum=spectrum,
            rate=gradient_rate,
            gradient_step=-gradient_rate * compare.gradient,
            damping=used,
            newton_step=newton,
            newton_note=newton_note,
            newton_after=newton_after,
            slope=slope,
            predicted=slope + 0.5 * bend,
            compared=compare.gradient,
            of_batch=local.rows is not None and compare.objective is objective,
        )
        return replace(facts, sentences=tuple(_sentences(facts, curved)))


def update_at(
    stage: Any, state: State, around: Around | None = None, local: Local | None = None
) -> tuple[Local, Update]:
    """The update that leaves a state, bit-equal to the run's, and the loss as it saw it: what `explain` begins with.

    around: the full loss (or the batch's) at the same theta; what the method needs of it is computed once for both.
    local: the loss of the state's batch, if it is known.

    >>> import nnopt
    >>> history = nnopt.minimize(nnopt.functions.get("bowl"), nnopt.optimizers.SGD(lr=0.5), start=[4.0], steps=1)
    >>> update_at(history.stage_at(0), history.seek(0))[1].step
    array([-2.])
    """
    if local is None:
        known = around is not None and stage.full and around.objective is stage.objective
        if known and around is not None:
            local = Local(stage.objective, state.theta, around.value, around.gradient)
        else:
            local = stage.local(state)
    seen = local
    if around is not None and around.objective is local.batch and hasattr(around.objective, "hessian"):
        seen = _Sharing(local, around)
    with np.errstate(all="ignore"):
        return local, stage.optimizer.update(seen, state.slots, stage.learning_rate(state.step))


class _Sharing(Local):
    """A Local whose Hessian is computed once for the method and for who explains it."""

    __slots__ = ("_known",)

    def __init__(self, local: Local, known: Around) -> None:
        super().__init__(local.objective, local.theta, local.value, local.gradient, local.rows)
        self._known = known

    def hessian(self) -> Array:
        """As of every Local."""
        known = self._known.hessian
        return super().hessian() if known is None else known


def _curvature(around: Around, damping: float) -> tuple[Spectrum | None, Array | None, str]:
    """Spectrum, (damped) Newton step (None where it is not known) and its note; (None, None, why) for an objective
    without curvature."""
    if not around.curved:
        return None, None, f"{type(around.objective).__name__} has neither hessian nor hvp"
    if not np.isfinite(around.gradient).all():
        return None, None, "the gradient is not finite"
    newton, note = around.newton(damping)
    known = bool(np.isfinite(newton).all()) or note != NOT_KNOWN
    return around.spectrum, newton if known else None, note


def _careful_rate(spectrum: Spectrum) -> float:
    """1 / max |lambda|; 1 without curvature."""
    steepest = float(np.abs(spectrum.values).max(initial=0.0))
    return 1.0 / steepest if 0 < steepest < np.inf else 1.0


def _sentences(facts: Explanation, curved: bool) -> list[str]:
    """What is worth saying, most important first, in plain words with numbers."""
    said: list[str] = []
    signs = _signs(facts.spectrum)
    change = "from {} to {}".format(*apart(facts.loss, facts.after))
    loss = "loss" if facts.rows is None else "batch loss"
    if not np.isfinite(facts.after):
        said.append(
            f"The step leads to a {loss} that is not finite (it was {number(facts.loss)}): the run diverges here."
        )
    elif not facts.taken.any():
        said.append("The step is zero: theta stays where it is.")
    elif abs(facts.actual) <= 1e-12 * abs(facts.loss):
        length = number(float(np.linalg.norm(facts.taken)), 3)
        said.append(f"The {loss} stays at {number(facts.loss)}, over a step of length {length}.")
    elif facts.uphill:
        moved = "rises" if facts.rises else "falls all the same"
        said.append(
            f"The step goes uphill: the {loss} {moved} {change}{_because(signs) if curved else _carried(facts)}."
        )
    elif facts.rises:
        said.append(f"The step goes too far: the {loss} rises {change}.")
    else:
        said.append(f"The {loss} falls {change}.")
    if np.isfinite(facts.predicted) and np.isfinite(facts.actual) and facts.taken.any():
        said.append(
            f"The quadratic model predicted a change of {number(facts.predicted)}; it was {number(facts.actual)}."
        )
    if not curved and facts.newton_uphill:
        of_full = facts.rows is not None and not facts.of_batch
        newton = "The batch's Newton step" if facts.of_batch else f"The Newton step{' of the full loss' * of_full}"
        said.append(f"{newton} would go uphill{_because(signs)}.")
    elif not curved and signs and facts.spectrum is not None and facts.spectrum.inertia.negative:
        said.append(f"{signs[0].upper()}{signs[1:]}.")
    if not curved and facts.spectrum is not None and np.isfinite(facts.stable_rate):
        said.append(_limit(facts))
    said += [f"{note[0].upper()}{note[1:]}." for note in facts.note.split("; ") if note and "uphill" not in note]
    return said


def _signs(spectrum: Spectrum | None) -> str:
    """ "3 of 7 curvatures are negative", or "" where none is known."""
    if spectrum is None or not np.isfinite(spectrum.values).all():
        return ""
    negative, known = spectrum.inertia.negative, len(spectrum.values)
    if not spectrum.complete:
        return f"the smallest curvature is {number(spectrum.smallest)}, negative" if negative else ""
    if negative == known:
        every = {1: "the curvature is", 2: "both curvatures are"}
        return f"{every.get(known, f'all {known} curvatures are')} negative"
    verb = "is" if negative == 1 else "are"
    return f"{negative} of {known} curvatures {verb} negative" if negative else ""


def _because(signs: str) -> str:
    return f", because {signs}: where curvature is negative, Newton's method goes towards the top" if signs else ""


def _carried(facts: Explanation) -> str:
    """Why a gradient method's step may point uphill."""
    return ", carried on by the method's memory of earlier gradients" if len(facts.slots.__struct_fields__) else ""


def _limit(facts: Explanation) -> str:
    """Where the learning rate stands to 2/lambda, and when that says nothing about this step."""
    below = facts.learning_rate < facts.stable_rate
    rates = f"The rate {number(facts.learning_rate)} is {'below' if below else 'above'} 2/λ"
    rates += f" = {number(facts.stable_rate)}"
    if below and (facts.rises or not np.isfinite(facts.after)) and not facts.uphill:
        return f"{rates}, but the quadratic does not hold this far."
    return f"{rates}, the limit of plain gradient descent."


def number(x: float, digits: int = 4) -> str:
    """A number as the board shows it: significant digits, a true minus sign.

    >>> number(-0.000125), number(1e20), number(float("nan"))
    ('−0.000125', '1e20', 'not finite')
    """
    if not np.isfinite(x):
        return "not finite"
    mantissa, exponential, power = f"{x:.{digits}g}".partition("e")
    return f"{mantissa}{exponential}{int(power) if power else ''}".replace("-", "−")


def apart(a: float, b: float) -> tuple[str, str]:
    """Two numbers with so many digits that they differ as they are written, if they differ at all.

    >>> apart(1.00001, 1.00002)
    ('1.00001', '1.00002')
    """
    for digits in range(4, 17):
        first, second = number(a, digits), number(b, digits)
        if first != second:
            break
    return first, second
