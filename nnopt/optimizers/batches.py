"""Which examples a step sees: all of them, a mini-batch, or one. Drawn from (seed, epoch) alone, so replays agree.

numpy's Philox is keyed by the seed and the epoch (or, with replacement, the block of steps), and the drawn indices of
the current epoch are kept, so the hot loop pays a look-up. Nothing depends on what was drawn before.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from nnopt.settings import Registry, Settings, between, described

Rows = npt.NDArray[np.intp]

#: separates the stream of batches from other uses of the same seed
_STREAM = 0x62617463686573


class Sampler(Protocol):
    """The batches of a run: rows(t) are the indices of step t's examples (None: all of them), a pure function of t.

    >>> sampler: Sampler = Mini(size=4).sampler(n=10, seed=0)
    >>> sampler.steps_per_epoch, [len(sampler.rows(t)) for t in range(3)], sampler.epoch(6)
    (3, [4, 4, 2], 2.0)
    """

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every example is seen once (on average, with replacement)."""

    def rows(self, t: int) -> Rows | None:
        """(B,) read-only indices into the training examples, or None for all."""

    def epoch(self, t: int) -> float:
        """Passes over the examples made when step t begins."""


class Batches:
    """Interface of every way to batch; the field type `Batches` is decoded through `registry`.

    >>> Batches.registry.decode({"name": "mini", "size": 32})
    Mini(size=32, replacement=False)
    """

    __slots__ = ()

    registry: ClassVar[Registry[Any]] = Registry("batches")

    def sampler(self, n: int, seed: int) -> Sampler:
        """The batches for n training examples, n >= 1. seed: 0 .. 2^63 - 1."""
        raise NotImplementedError


def register(cls: Any) -> Any:
    """Class decorator: makes a way to batch known by its tag.

    Raises: SettingsError for another class of the same tag, and for what is not a `Settings` class.

    >>> register(Full) is Full, Batches.registry.get("full") is Full
    (True, True)
    """
    return Batches.registry.register(cls)


@register
class Full(Settings, Batches, frozen=True, tag="full"):
    """Every step sees all training examples: plain gradient descent.

    >>> Full().sampler(n=10, seed=0).rows(0) is None
    True
    """

    def sampler(self, n: int, seed: int) -> Sampler:
        return AllRows()


@register
class Mini(Settings, Batches, frozen=True, tag="mini"):
    """Mini-batches: `size` examples a step, drawn without replacement within an epoch (or each step anew, with it).

    size: 1 to 1,000,000; the last batch of an epoch holds what is left, and without replacement no batch is larger than
    the training set. replacement: draw independently instead.

    An epoch holds every example once; asked again, a step gives the same ones:

    >>> sampler = Mini(size=4).sampler(n=8, seed=0)
    >>> sorted([*sampler.rows(0), *sampler.rows(1)]) == [*range(8)], bool((sampler.rows(0) == sampler.rows(0)).all())
    (True, True)
    """

    size: Annotated[
        int, between(1, 1_000_000, closed=True, label="batch size", unit="examples", log=True, slider=(1, 1000))
    ] = 10
    replacement: Annotated[bool, described("with replacement", "draw every step's examples independently")] = False

    def sampler(self, n: int, seed: int) -> Sampler:
        if self.replacement:
            return _Draws(n, self.size, seed)
        return _Shuffled(n, min(self.size, n), seed) if self.size < n else AllRows()


@register
class Single(Settings, Batches, frozen=True, tag="single"):
    """One example a step, in an order shuffled anew every epoch: stochastic gradient descent in its first form.

    >>> sampler = Single().sampler(n=3, seed=0)
    >>> sorted(int(sampler.rows(t)[0]) for t in range(3))
    [0, 1, 2]
    """

    def sampler(self, n: int, seed: int) -> Sampler:
        return _Shuffled(n, 1, seed) if n > 1 else AllRows()


class AllRows:
    """All examples at every step: the sampler of full batches.

    >>> AllRows().rows(7) is None, AllRows().epoch(7)
    (True, 7.0)
    """

    steps_per_epoch = 1

    def rows(self, t: int) -> Rows | None:
        """None: all of them."""
        return None

    def epoch(self, t: int) -> float:
        """One pass a step."""
        return float(t)


class _Shuffled:
    """A new order every epoch, cut into batches of `size`."""

    def __init__(self, n: int, size: int, seed: int) -> None:
        self.n, self.size, self.seed = n, size, seed
        self.steps_per_epoch = -(-n // size)
        # one attribute, replaced whole: readers on other threads see an epoch and its order together
        self._drawn: tuple[int, Rows] = (-1, np.empty(0, dtype=np.intp))

    def rows(self, t: int) -> Rows | None:
        """(size,) indices of step t; fewer at the end of an epoch."""
        epoch, place = divmod(t, self.steps_per_epoch)
        known, order = self._drawn
        if known != epoch:
            order = _generator(self.seed, epoch).permutation(self.n).astype(np.intp, copy=False)
            order.flags.writeable = False
            self._drawn = (epoch, order)
        batch: Rows = order[place * self.size : (place + 1) * self.size]
        return batch

    def epoch(self, t: int) -> float:
        """t / steps_per_epoch."""
        return t / self.steps_per_epoch


class _Draws:
    """`size` examples drawn independently at every step; drawn in blocks of about one epoch."""

    def __init__(self, n: int, size: int, seed: int) -> None:
        self.n, self.size, self.seed = n, size, seed
        self.steps_per_epoch = max(1, -(-n // size))
        self._drawn: tuple[int, Rows] = (-1, np.empty((0, size), dtype=np.intp))

    def rows(self, t: int) -> Rows:
        """(size,) indices of step t, some of them possibly equal."""
        block, place = divmod(t, self.steps_per_epoch)
        known, drawn = self._drawn
        if known != block:
            drawn = _generator(self.seed, block).integers(0, self.n, (self.steps_per_epoch, self.size), dtype=np.intp)
            drawn.flags.writeable = False
            self._drawn = (block, drawn)
        batch: Rows = drawn[place]
        return batch

    def epoch(self, t: int) -> float:
        """Examples drawn so far, in units of all."""
        return t * self.size / self.n


def round_of(sampler: Sampler) -> int:
    """Steps after which every batch that there will ever be has been seen: 1 where it is always all of them, an epoch
    for single examples; 0 where there is no such number, as batches are put together anew.

    >>> [round_of(batches.sampler(n=10, seed=0)) for batches in (Full(), Single(), Mini(size=4))]
    [1, 10, 0]
    """
    if isinstance(sampler, AllRows):
        return 1
    return sampler.n if isinstance(sampler, _Shuffled) and sampler.size == 1 else 0


def _generator(seed: int, epoch: int) -> np.random.Generator:
    key = np.array([seed ^ _STREAM, epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
