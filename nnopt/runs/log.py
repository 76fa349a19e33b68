"""The log's memory: columns of rows and packed states at regular steps. Bounded, and append-only to readers.

The worker writes; readers on other threads take one attribute (a `Table` or `Frames`) and the published length, and
see a consistent prefix: growing and thinning make new arrays and leave those that readers hold as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nnopt.optimizers.base import Slots, Vector
from nnopt.runs.state import State

#: columns written for every state; "step" comes with the table
COLUMNS = ("loss", "gradient_norm", "learning_rate", "training_loss", "validation_loss", "step_norm")

#: bytes of stored states per step at which they are first stored less often
BYTES_PER_STEP = 512

Floats = npt.NDArray[np.float64]


class Table:
    """Rows of steps 0, 2^shift, 2 * 2^shift, ...: one array per column, `capacity` rows each, NaN where not written."""

    __slots__ = ("arrays", "capacity", "shift", "step", "views")

    def __init__(self, capacity: int, shift: int, source: Table | None = None, every: int = 1) -> None:
        self.capacity = capacity
        self.shift = shift
        self.step: npt.NDArray[np.int64] = np.arange(capacity, dtype=np.int64) << shift
        self.arrays: dict[str, Floats] = {name: np.full(capacity, np.nan) for name in COLUMNS}
        if source is not None:
            for name, array in source.arrays.items():
                kept = array[::every][:capacity]
                self.arrays[name][: len(kept)] = kept
        # element writes through a memoryview cost a third of those through an array
        self.views: tuple[Any, ...] = tuple(self.arrays[name].data for name in COLUMNS)

    def grown(self, limit: int) -> Table:
        """A table with room for more: twice the rows, or from `limit` on every second row."""
        if self.capacity < limit:
            return Table(min(2 * self.capacity, limit), self.shift, self)
        return Table(self.capacity, self.shift + 1, self, every=2)

    def until(self, step: int) -> Table:
        """An independent copy that holds the rows of states 0 .. step only."""
        count = (step >> self.shift) + 1
        copy = Table(min(self.capacity, max(1024, 1 << count.bit_length())), self.shift)
        for name, array in self.arrays.items():
            copy.arrays[name][:count] = array[:count]
        return copy

    def count(self, length: int) -> int:
        """Rows of this table that belong to states 0 .. length - 1."""
        return min(((length - 1) >> self.shift) + 1, self.capacity)

    def write(self, step: int, row: tuple[float, ...]) -> None:
        """Store the row of a state, if rows of that step are stored."""
        if not step & ((1 << self.shift) - 1):
            for view, number in zip(self.views, row, strict=True):
                view[step >> self.shift] = number


class Layout:
    """How the states of one method pack into a row of numbers: theta, then each field of the slots."""

    __slots__ = ("_fields", "_kind", "width")

    def __init__(self, state: State) -> None:
        self._kind: type[Slots] = type(state.slots)
        #: (name, shape, or None for a float; place)
        self._fields: list[tuple[str, tuple[int, ...] | None, slice]] = []
        end = state.theta.size
        for name in state.slots.__struct_fields__:
            value: Any = getattr(state.slots, name)
            shape = value.shape if isinstance(value, np.ndarray) else None
            size = value.size if isinstance(value, np.ndarray) else 1
            self._fields.append((name, shape, slice(end, end + size)))
            end += size
        self.width = end

    def pack(self, theta: Vector, slots: Slots, row: Floats) -> None:
        """Write a state into `row` (width,)."""
        row[: theta.size] = theta
        for name, shape, place in self._fields:
            value = getattr(slots, name)
            row[place] = value if shape is None or len(shape) == 1 else value.ravel()

    def unpack(self, step: int, size: int, row: Floats) -> State:
        """The state that was packed, bit for bit; size: P."""
        theta = row[:size].copy()
        theta.setflags(write=False)
        values = {
            name: float(row[place.start]) if shape is None else row[place].reshape(shape).copy()
            for name, shape, place in self._fields
        }
        return State(step, theta, self._kind(**values))


class Frames:
    """Packed states of steps 0, 2^shift, 2 * 2^shift, ...: one array (capacity, width)."""

    __slots__ = ("array", "capacity", "limit", "shift", "width")

    def __init__(
        self,
        width: int,
        limit: int,
        capacity: int = 64,
        shift: int = 0,
        source: Frames | None = None,
        every: int = 1,
    ) -> None:
        self.width = width
        self.limit = limit
        self.capacity = capacity
        self.shift = shift
        self.array: Floats = np.empty((capacity, width))
        if source is not None:
            kept = source.array[::every][:capacity]
            self.array[: len(kept), : source.width] = kept

    @classmethod
    def of(cls, width: int, budget: int, costly: bool) -> Frames:
        """Empty frames for states of `width` numbers that stay within `budget` bytes (but hold at least two).

        Small states are stored at every step, larger ones at every 2nd .. 16th, so that storing costs little beside the
        update; every one where a step is `costly` to replay.
        """
        limit = max(2, budget // (8 * width))
        shift = 0 if costly else min(4, (8 * width // BYTES_PER_STEP).bit_length())
        return cls(width, limit, min(64, limit), shift)

    def grown(self) -> Frames:
        """Frames with room for more: twice as many, or from the limit on every second one."""
        if self.capacity < self.limit:
            return Frames(self.width, self.limit, min(2 * self.capacity, self.limit), self.shift, self)
        return Frames(self.width, self.limit, self.capacity, self.shift + 1, self, every=2)

    def widened(self, width: int, budget: int) -> Frames:
        """The same frames with room for states of `width` numbers, thinned until they fit the budget."""
        limit = max(2, budget // (8 * width))
        frames = self
        shift, every = self.shift, 1
        while self.capacity // every > limit:
            shift, every = shift + 1, every * 2
        return Frames(width, limit, max(2, self.capacity // every), shift, frames, every)

    def until(self, step: int) -> Frames:
        """An independent copy that holds the states 0 .. step only."""
        count = (step >> self.shift) + 1
        copy = Frames(self.width, self.limit, min(self.capacity, max(64, 1 << count.bit_length())), self.shift)
        copy.array[:count] = self.array[:count]
        return copy

    def nearest(self, step: int) -> int:
        """The last step <= `step` of which a frame is stored, once `step` is published."""
        return min(step >> self.shift, self.capacity - 1) << self.shift

    def row(self, step: int) -> Floats:
        """The packed state of a step returned by `nearest`."""
        row: Floats = self.array[step >> self.shift]
        return row
