"""L-BFGS: the Hessian's inverse guessed from the last steps and the changes of the gradient over them."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np

from nnopt.optimizers.base import Local, Matrix, Optimizer, Settings, Slots, Update, Vector, register
from nnopt.optimizers.gain import gain_ratio, value_at
from nnopt.optimizers.line_search import Found, strong_wolfe
from nnopt.settings import above, between

FORGOTTEN = "the memory is dropped: its direction did not help, the step follows the gradient"
NOT_KEPT = "this step's pair is not remembered: the slope did not rise along it"
REFUSED = "no step: the loss does not fall along the gradient, within rounding"
SHORTENED = "step shortened: at the length tried first the loss or its slope had not fallen enough"

EPS = float(np.finfo(np.float64).eps)


class Pairs(Slots, frozen=True, gc=False):
    """steps, changes (m, P): the last steps and the changes of the gradient over them, newest last. pairs: how many of
    the rows, counted from the end, are filled.

    >>> import nnopt
    >>> slots = nnopt.minimize(nnopt.functions.get("rosenbrock"), LBFGS(memory=3), steps=2).seek(2).slots
    >>> slots.steps.shape, slots.pairs
    ((3, 2), 2.0)
    """

    steps: Matrix
    changes: Matrix
    pairs: float


@register
class LBFGS(Settings, Optimizer, frozen=True, tag="lbfgs"):
    """d = -B^-1 g,   theta <- theta + lr * a * d,   a by a strong Wolfe line search        (Liu & Nocedal 1989)

    B^-1 is built from the last `memory` pairs s = a d, y = change of the gradient over s, on top of (s.y / y.y) I, by
    the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4); without pairs d = -g. Only values and gradients are
    needed: one evaluation where a = 1 fits, as it mostly does.

    Mini-batches: line search and y belong to the step's own batch (Schraudolph et al. 2007), so that noise between
    batches does not enter y; pairs of several batches stand side by side in the memory. lr is a factor on the step
    found; pairs are those of the whole step, at which the gradient was looked at.

    lr: factor on the step, > 0.  memory: pairs that are kept, 1 .. 100; if it is changed while a run goes on, the
    newest pairs stay.  curvature: in [0.001, 1), share of the slope along d that the line search may leave; a small
    one makes it exact.
    detail: pairs (used), scale (s.y / y.y), slope g.d, step_factor a, evaluations, predicted (by B, which only d and g
    are needed for: (f - f^2 / 2) g.d with f = lr a) and actual change of the loss, gain_ratio, kept (whether the pair
    is remembered) and accepted (0 or 1).

    With an exact line search a quadratic of P parameters takes P steps, as by conjugate gradients:

    >>> import nnopt
    >>> f = nnopt.functions.formula("x**2 + 10*y**2")
    >>> nnopt.minimize(f, LBFGS(curvature=0.001), start=[1.0, 1.0], steps=2).outcome.kind
    'converged'
    """

    needs: ClassVar[str] = "value"
    title: ClassVar[str] = "L-BFGS"

    lr: Annotated[float, above(0, label="step factor", help="1 makes the whole step", slider=(0.05, 2))] = 1.0
    memory: Annotated[int, between(1, 100, closed=True, label="memory", unit="steps",
                                   help="pairs of step and change of the gradient", slider=(1, 30))] = 10  # fmt: skip
    curvature: Annotated[float, between(1e-3, 1, label="flatness", help="share of the slope that may be left")] = 0.9

    def init(self, theta: Vector) -> Pairs:
        return Pairs(np.zeros((self.memory, theta.size)), np.zeros((self.memory, theta.size)), 0.0)

    def adopt(self, old: Optimizer, theta: Vector, slots: Any) -> Pairs:
        """The newest pairs, as many as the new memory holds."""
        kept = min(int(slots.pairs), self.memory)
        room = self.init(theta)
        for rows, source in ((room.steps, slots.steps), (room.changes, slots.changes)):
            rows[self.memory - kept :] = source[len(source) - kept :]
        return Pairs(room.steps, room.changes, float(kept))

    def update(self, local: Local, slots: Pairs, lr: float) -> Update:
        gradient, value = local.gradient, local.value
        room = len(slots.steps)
        used = int(slots.pairs)
        steps, changes = slots.steps[room - used :], slots.changes[room - used :]
        direction, scale = two_loops(gradient, steps, changes)
        first = _first(direction, used == 0)
        found = self._search(local, direction, first)
        notes = []
        if found.factor == 0.0 and used:
            notes.append(FORGOTTEN)
            used, scale, direction = 0, 1.0, -gradient
            tried, first = found.evaluations, _first(direction, True)
            found = self._search(local, direction, first)
            found = Found(found.factor, found.value, found.gradient, found.evaluations + tried, found.reason)
        refused = found.factor == 0.0 or found.gradient is None
        step = found.factor * direction if not refused else np.zeros_like(gradient)
        after, kept = Pairs(slots.steps, slots.changes, float(used)), False
        if not refused and found.gradient is not None:
            change = found.gradient - gradient
            rise = float(step @ change)
            square = float(change @ change)
            kept = rise > EPS * math.sqrt(float(step @ step) * square) and square > 1e-300
            if kept:
                after = Pairs(_appended(slots.steps, step), _appended(slots.changes, change), min(used + 1.0, room))
        made = lr * step
        actual = found.value - value if lr == 1.0 or refused else value_at(local, local.theta + made) - value
        slope = float(gradient @ direction)
        length = lr * found.factor
        predicted = (length - 0.5 * length * length) * slope
        detail = {
            "pairs": float(used),
            "scale": scale,
            "slope": slope,
            "step_factor": found.factor,
            "evaluations": float(found.evaluations),
            "predicted": predicted,
            "actual": actual,
            "gain_ratio": gain_ratio(actual, predicted, value),
            "kept": float(kept),
            "accepted": float(not refused),
        }
        if refused and gradient.any():
            notes.append(REFUSED)
        elif not refused and not kept:
            notes.append(NOT_KEPT)
        if not refused and found.factor < first:
            notes.append(SHORTENED)
        if found.reason and not refused:
            notes.append(found.reason)
        return Update(made, after, "; ".join(notes), detail)

    def _search(self, local: Local, direction: Vector, first: float) -> Found:
        return strong_wolfe(
            local.value_and_gradient_at, local.theta, direction, local.value, local.gradient, first,
            curvature=self.curvature,
        )  # fmt: skip


def _first(direction: Vector, steepest: bool) -> float:
    """The step factor tried first: that of the whole step; the gradient says nothing about how far to go, so along it
    not further than a unit length."""
    length = math.sqrt(float(direction @ direction)) if steepest else 0.0
    return min(1.0, 1.0 / length) if length > 0 else 1.0


def two_loops(gradient: Vector, steps: Matrix, changes: Matrix) -> tuple[Vector, float]:
    """-B^-1 g (P,) and the scale s.y / y.y of the newest pair (1 without pairs).

    gradient (P,); steps, changes (k, P): pairs with s.y > 0, newest last.

    >>> direction, scale = two_loops(np.array([2.0, 1.0]), np.array([[1.0, 0.0]]), np.array([[4.0, 0.0]]))
    >>> direction, scale
    (array([-0.5 , -0.25]), 0.25)
    """
    rest = gradient.copy()
    shares = []
    for step, change in zip(steps[::-1], changes[::-1], strict=True):
        share = float(step @ rest) / float(step @ change)
        rest -= share * change
        shares.append(share)
    scale = 1.0
    if len(steps):
        scale = float(steps[-1] @ changes[-1]) / float(changes[-1] @ changes[-1])
    rest *= scale
    for step, change, share in zip(steps, changes, reversed(shares), strict=True):
        rest += (share - float(change @ rest) / float(step @ change)) * step
    return -rest, scale


def _appended(rows: Matrix, row: Vector) -> Matrix:
    """The rows moved up by one, with `row` as the last."""
    moved = np.empty_like(rows)
    moved[:-1] = rows[1:]
    moved[-1] = row
    return moved
