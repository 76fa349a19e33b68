"""What a run is at one step, and how it ended: plain frozen values, shared by everything in this folder."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from nnopt.optimizers.base import Slots, Vector


class State(msgspec.Struct, frozen=True, gc=False, eq=False):
    """step: number of updates made. theta (P,): parameters, read-only. slots: the method's memory."""

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
    """How a run stands. kind: "running", "converged" (gradient norm below the limit), "diverged" (first non-finite or
    exploding step) or "stopped" (all its steps made). step: where. reason: one sentence, "" while running."""

    kind: Literal["running", "converged", "diverged", "stopped"]
    step: int
    reason: str = ""

    @property
    def running(self) -> bool:
        """Whether the next update can be made."""
        return self.kind == "running"


class Memory(msgspec.Struct, frozen=True):
    """What a log may take.

    rows: stored rows at most (beyond them every second one is kept, and so on). keyframes: bytes of stored states
    (likewise). recent: bytes of the latest states, and of those last replayed. problems: bytes of the data of earlier
    stretches, before examples were changed; older ones are made again when they are asked for.
    """

    rows: int = 2**20
    keyframes: int = 64 * 2**20
    recent: int = 8 * 2**20
    problems: int = 32 * 2**20


def frozen(theta: Vector) -> Vector:
    """A read-only float64 copy (P,)."""
    copy = np.array(theta, dtype=np.float64)
    copy.setflags(write=False)
    return copy


def _bits(value: object) -> tuple[tuple[int, ...], bytes]:
    array = np.asarray(value, dtype=np.float64)
    return array.shape, array.tobytes()
