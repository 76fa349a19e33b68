"""Early stopping: a pure fold over validation losses that knows when to stop and which step was best.

`EarlyStopping` holds the rule, a `Watch` what has been seen; nothing in here knows runs. Floor `optimizers`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nnopt.errors import ShapeError
from nnopt.settings import Settings, at_least

Floats: TypeAlias = npt.NDArray[np.float64]


class Watch(msgspec.Struct, frozen=True):
    """What early stopping has seen so far.

    best, best_step: the lowest loss, and the first step that had it (infinity and -1 before any). level: the loss from
    which an improvement counts. waited: measurements since the last improvement that counted. stopped_at: the step at
    which patience ran out, None while it lasts.

    >>> Watch(best=0.5, best_step=3).stopped
    False
    """

    best: float = math.inf
    best_step: int = -1
    level: float = math.inf
    waited: int = 0
    stopped_at: int | None = None

    @property
    def stopped(self) -> bool:
        """Whether patience has run out."""
        return self.stopped_at is not None

    def renewed(self) -> Watch:
        """The same best, with patience counted anew from here on.

        >>> EarlyStopping(patience=1).fold([0.5, 0.6]).renewed()
        Watch(best=0.5, best_step=0, level=inf, waited=0, stopped_at=None)
        """
        return Watch(self.best, self.best_step)


class EarlyStopping(Settings, frozen=True, tag=False):
    """Stop once `patience` measurements in a row have not improved the validation loss        (Prechelt 1998)

    A loss v improves on the level l if v < l - minimum_improvement; the level is then v, and the count starts anew.
    The best step is that of the lowest loss, however small its lead: the state to keep (`history.seek(best_step)`).
    Losses that are NaN were not measured and count for nothing; infinite ones are no improvement.

    patience: measurements, >= 1.  minimum_improvement: >= 0, in units of the loss.

    >>> rule = EarlyStopping(patience=2)
    >>> watch = rule.fold([1.0, 0.5, 0.6, 0.4, 0.7, 0.8, 0.1])
    >>> watch.best, watch.best_step, watch.stopped_at
    (0.4, 3, 5)
    """

    patience: Annotated[int, at_least(1, label="patience", help="measurements in a row without an improvement",
                                      unit="measurements", log=True, slider=(1, 1000))] = 20  # fmt: skip
    minimum_improvement: Annotated[float, at_least(0, label="minimum improvement", log=True, slider=(1e-8, 1e-1),
                                                   help="by which the validation loss must fall")] = 0.0  # fmt: skip

    def update(self, watch: Watch, step: int, loss: float) -> Watch:
        """What has been seen after the validation loss of one more step. Pure; once stopped, nothing changes.

        >>> EarlyStopping(patience=1).update(Watch(), step=0, loss=0.5).best_step
        0
        """
        if watch.stopped or math.isnan(loss):
            return watch
        best, best_step = (loss, step) if loss < watch.best else (watch.best, watch.best_step)
        if loss < watch.level - self.minimum_improvement:
            return Watch(best, best_step, loss)
        waited = watch.waited + 1
        return Watch(best, best_step, watch.level, waited, step if waited >= self.patience else None)

    def fold(self, losses: Iterable[float], steps: Sequence[int] | None = None, watch: Watch | None = None) -> Watch:
        """`update` over validation losses (T,) in order, of steps (T,) (0, 1, ...), going on from `watch`.

        The same whether losses come all at once or piece by piece. Raises: ShapeError if there are not as many steps as
        losses.
        """
        values = [float(loss) for loss in losses]
        numbers = range(len(values)) if steps is None else steps
        if len(numbers) != len(values):
            raise ShapeError(f"EarlyStopping: expected as many steps as losses, got {len(numbers)} and {len(values)}")
        seen = watch if watch is not None else Watch()
        for step, loss in zip(numbers, values, strict=True):
            seen = self.update(seen, int(step), loss)
            if seen.stopped:
                break
        return seen

    def reason(self, watch: Watch) -> str:
        """Why a run stops whose patience has run out, in words.

        >>> rule = EarlyStopping(patience=2, minimum_improvement=0.01)
        >>> rule.reason(rule.fold([0.5, 0.496, 0.493]))
        'the validation loss has not improved by more than 0.01 for 2 measurements; best 0.493 at step 2'
        """
        least = f" by more than {self.minimum_improvement:g}" if self.minimum_improvement else ""
        count = f"{self.patience:,} measurement{'s' if self.patience > 1 else ''}"
        best = f"; best {watch.best:.4g} at step {watch.best_step}" if watch.best_step >= 0 else ""
        return f"the validation loss has not improved{least} for {count}{best}"


def generalization_gap(training: npt.ArrayLike, validation: npt.ArrayLike) -> Floats:
    """validation - training loss, both without a penalty: (T,) and (T,) -> (T,); NaN where one was not measured.

    Raises: ShapeError if the shapes differ.

    >>> generalization_gap([0.5, 0.25], [0.5, 0.75])
    array([0. , 0.5])
    """
    first, second = np.asarray(training, dtype=np.float64), np.asarray(validation, dtype=np.float64)
    if first.shape != second.shape:
        raise ShapeError(f"generalization_gap: expected losses of one shape, got {first.shape} and {second.shape}")
    return np.asarray(second - first)


def generalization_loss(validation: npt.ArrayLike) -> Floats:
    """v_t / min(v_0 .. v_t) - 1: how far the validation loss is above its best so far, (T,) -> (T,)     (Prechelt 1998)

    NaN where it was not measured, and where the best so far is not positive.

    >>> generalization_loss([1.0, 0.5, 0.75])
    array([0. , 0. , 0.5])
    """
    losses = np.asarray(validation, dtype=np.float64)
    best = np.fmin.accumulate(losses) if losses.size else losses
    ratio = np.full(losses.shape, np.nan)
    with np.errstate(invalid="ignore"):
        np.divide(losses, best, out=ratio, where=best > 0)
    return np.asarray(ratio - 1.0)


__all__ = ["EarlyStopping", "Watch", "generalization_gap", "generalization_loss"]
