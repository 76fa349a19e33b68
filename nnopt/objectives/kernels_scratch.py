"""Memory for large temporary arrays, kept per thread: fresh pages from the operating system cost more than the sums."""

from __future__ import annotations

import math
import threading

import numpy as np

from nnopt.objectives.activations import Array

_KEPT_BYTES = 64 * 1024 * 1024


class Scratch:
    """A stack of float64 arrays within one block of memory.

    `take` gives an uninitialized array that is valid until the stack is released below it. What does not fit comes from
    the operating system, and the block is larger at the next `clear`, up to 64 MB.

    >>> scratch = Scratch()
    >>> mark = scratch.mark()
    >>> scratch.take(2, 3).shape, scratch.mark()
    ((2, 3), 6)
    >>> scratch.release(mark)
    >>> scratch.mark()
    0
    """

    def __init__(self) -> None:
        self._block: Array = np.empty(0)
        self._used = 0
        self._most = 0

    def clear(self) -> Scratch:
        """Release everything; returns itself."""
        wanted = min(self._most, _KEPT_BYTES // self._block.itemsize)
        if wanted > len(self._block):
            self._block = np.empty(wanted)
        self._used = 0
        return self

    def take(self, *shape: int) -> Array:
        """An uninitialized array of this shape."""
        start, self._used = self._used, self._used + math.prod(shape)
        self._most = max(self._most, self._used)
        if self._used > len(self._block):
            return np.empty(shape)
        return self._block[start : self._used].reshape(shape)

    def mark(self) -> int:
        """The present height of the stack, for `release`."""
        return self._used

    def release(self, mark: int) -> None:
        """Give back everything taken since `mark`."""
        self._used = mark


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.scratch = Scratch()


_threads = _PerThread()


def cleared_scratch() -> Scratch:
    """This thread's scratch memory, empty; whatever was taken from it before is invalid.

    >>> cleared_scratch() is cleared_scratch()
    True
    """
    return _threads.scratch.clear()
