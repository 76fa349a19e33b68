"""What a run is at one step, and how it ended: plain frozen values, shared by everything in this folder."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
import numpy as np

from nnopt.optimizers.base import Slots, Vector


class State(msgspec.Struct, frozen=True, gc=False, eq=False):
    """step: number of updates made. theta (P,): parameters, read-only. slots: the method's memory.

    >>> import nnopt
    >>> nnopt.minimize(nnopt.functions.get("bowl"), nnopt.optimizers.Momentum(), [8.0], steps=1).seek(0)
    State(step=0, theta=array([8.]), slots=Velocity(velocity=array([0.])))
    """

    step: int
    theta: Vector
    slots: Slots

    def same_bits(self, other: State) -> bool:
        """Whether both are the same state, bit for bit."""
        return (
            self.step == other.step
            and type(self.slots) is type(other.slots)
            and _bits(self.theta) == _bits(other.theta)
            and all(
                _bits(getattr(self.slots, name)) == _bits(getattr(other.slots, name))
                for name in self.slots.__struct_fields__
            )
        )


class Outcome(msgspec.Struct, frozen=True):
    """How a run stands. kind: "running", "converged" (gradient norm below the limit, and the method does not leave the
    point as a saddle), "diverged" (first non-finite or exploding step), "stuck" (theta stays where it is for good, see
    `standstill`), "stopped_early" (the validation loss no longer improved) or "stopped" (all its steps made). step:
    where it ended. reason: one sentence, "" while running.

    >>> import nnopt
    >>> f, sgd = nnopt.functions.get("bowl"), nnopt.optimizers.SGD  # x^2 / 2: stable below the rate 2
    >>> [nnopt.minimize(f, sgd(lr=lr), [8.0], steps=100).outcome.kind for lr in (0.01, 1.0, 3.0)]
    ['stopped', 'converged', 'diverged']
    """

    kind: Literal["running", "converged", "diverged", "stuck", "stopped_early", "stopped"]
    step: int
    reason: str = ""

    @property
    def running(self) -> bool:
        """Whether the next update can be made."""
        return self.kind == "running"


class Best(NamedTuple):
    """The best of the states at which a run was measured: `history.seek(best.step)` is the one to keep.

    step: the first one with the lowest validation loss. validation_loss: that loss.

    >>> import nnopt
    >>> run = nnopt.Run(nnopt.default_experiment())
    >>> run.advance(300), run.history.best.step
    (300, 300)
    """

    step: int
    validation_loss: float


class Memory(msgspec.Struct, frozen=True):
    """What a log may take.

    rows: stored rows at most (beyond them every second one is kept, and so on). keyframes: bytes of stored states
    (likewise). recent: bytes of the latest states, and of those last replayed. problems: bytes of the data of earlier
    stretches, before examples were changed; older ones are made again when they are asked for.

    >>> import nnopt
    >>> f, sgd = nnopt.functions.get("bowl"), nnopt.optimizers.SGD(lr=0.01)
    >>> history = nnopt.minimize(f, sgd, [8.0], steps=100, memory=Memory(rows=16))
    >>> history.columns["step"][:3], history.length
    (array([ 0,  8, 16]), 101)
    """

    rows: int = 2**20
    keyframes: int = 64 * 2**20
    recent: int = 8 * 2**20
    problems: int = 32 * 2**20


def frozen(theta: Vector) -> Vector:
    """A read-only float64 copy (P,).

    >>> theta = frozen([1, 2])
    >>> theta, theta.flags.writeable
    (array([1., 2.]), False)
    """
    copy = np.array(theta, dtype=np.float64)
    copy.setflags(write=False)
    return copy


def _bits(value: object) -> tuple[tuple[int, ...], bytes]:
    array = np.asarray(value, dtype=np.float64)
    return array.shape, array.tobytes()
