"""The log's memory: columns of rows and packed states at regular steps. Bounded, and append-only to readers.

The worker writes; readers on other threads take one attribute (a `Table` or `Frames`) and the published length, and
see a consistent prefix: growing and thinning make new arrays and leave those that readers hold as they are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from nnopt.errors import unknown_name
from nnopt.optimizers.base import Slots, Vector
from nnopt.optimizers.stopping import Watch
from nnopt.runs.state import State

#: columns written for every state; "step" comes with the table
COLUMNS = ("loss", "gradient_norm", "learning_rate", "training_loss", "validation_loss", "step_norm", "penalty")

#: bytes of stored states per step at which they are first stored less often
BYTES_PER_STEP = 512

#: measurements of which early stopping's memory is kept; beyond them only that of every second one, and so on
WATCHES = 4096

Floats = npt.NDArray[np.float64]


class Table:
    """Rows of steps 0, 2^shift, 2 * 2^shift, ...: one array per column, `capacity` rows each, NaN where not written.

    >>> table = Table(capacity=2, shift=0)
    >>> table.write(1, (0.5, 0.1, 1.0, 0.5, 0.6, 0.0, 0.0))
    >>> thinned = table.grown(limit=2)  # no more than two rows: every second step from now on
    >>> table.arrays["loss"], table.step, thinned.step
    (array([nan, 0.5]), array([0, 1]), array([0, 2]))
    """

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


class Columns(Mapping[str, npt.NDArray[Any]]):
    """One consistent reading of the log: name -> read-only array over the stored rows, all of one length.

    Raises: KeyError for a name that is no column, with the nearest one.

    >>> import nnopt
    >>> columns = nnopt.minimize(nnopt.functions.get("bowl"), nnopt.optimizers.SGD(lr=0.5), [8.0], steps=2).columns
    >>> columns
    <Columns step, loss, gradient_norm, learning_rate, training_loss, validation_loss, step_norm, penalty; 3 rows>
    >>> columns["gradient_norm"]
    array([8., 4., 2.])
    """

    def __init__(self, table: Table, count: int) -> None:
        self._table = table
        self._count = count

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name != "step" and name not in COLUMNS:
            raise KeyError(str(unknown_name("column", name, self)))
        array: npt.NDArray[Any] = self._table.step if name == "step" else self._table.arrays[name]
        view = array[: self._count]
        view.flags.writeable = False
        return view

    def __iter__(self) -> Iterator[str]:
        return iter(("step", *COLUMNS))

    def __len__(self) -> int:
        return 1 + len(COLUMNS)

    def __repr__(self) -> str:
        return f"<Columns {', '.join(self)}; {self._count:,} rows>"


class Layout:
    """How the states of one method pack into a row of numbers: theta, then each field of the slots. width: its length.

    >>> from nnopt.optimizers.momentum import Velocity
    >>> state = State(4, np.array([1.0, 2.0]), Velocity(np.array([0.1, 0.2])))
    >>> layout, row = Layout(state), np.empty(4)
    >>> layout.pack(state.theta, state.slots, row)
    >>> row, layout.unpack(4, 2, row).same_bits(state)
    (array([1. , 2. , 0.1, 0.2]), True)
    """

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
    """Packed states of steps 0, 2^shift, 2 * 2^shift, ...: one array (capacity, width); capacity <= limit.

    >>> frames = Frames(width=3, limit=2, capacity=2)
    >>> frames.row(1)[:] = [1.0, 2.0, 3.0]
    >>> frames.nearest(1), frames.grown().nearest(3)
    (1, 2)
    """

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


class Watches:
    """What early stopping had seen after each measurement; once these are more than `limit`, after every second one,
    and so on. What lies between is folded again from the rows. Touched by the run's own thread alone.

    >>> watches = Watches(limit=2)
    >>> for step in (0, 10, 20, 30):
    ...     watches.put(step, Watch(best=1 / (1 + step), best_step=step))
    >>> watches.newest(0, 15)[0], watches.newest(0, 25)[0], watches.newest(5, 15)
    (0, 20, None)
    """

    __slots__ = ("_kept", "_limit", "_passed", "_spacing")

    def __init__(self, limit: int = WATCHES) -> None:
        self._limit = limit
        self._kept: list[tuple[int, Watch]] = []
        self._spacing = 1
        self._passed = 0

    def put(self, step: int, watch: Watch) -> None:
        """One more measurement; steps ascend, but for one that is made again after an interrupt."""
        self._passed += 1
        if self._passed < self._spacing:
            return
        self._passed = 0
        self._kept.append((step, watch))
        if len(self._kept) > self._limit:
            del self._kept[1::2]
            self._spacing *= 2

    def newest(self, first: int, last: int) -> tuple[int, Watch] | None:
        """(step, watch) of the last one kept among the steps first .. last; None if there is none."""
        index = bisect_right(self._kept, last, key=itemgetter(0)) - 1
        return self._kept[index] if index >= 0 and self._kept[index][0] >= first else None

    def forget(self, step: int) -> None:
        """Give up those from a step on: it is reached anew, under other conditions."""
        del self._kept[bisect_left(self._kept, step, key=itemgetter(0)) :]

    def before(self, step: int) -> Watches:
        """An independent copy of those before a step."""
        copy = Watches(self._limit)
        copy._kept, copy._spacing, copy._passed = list(self._kept), self._spacing, self._passed
        copy.forget(step)
        return copy
