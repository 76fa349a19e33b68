"""The gate between drawing and computing: while it is closed, the threads that compute stand still between two steps.

One interpreter lock is shared by all threads. A frame drawn while others compete for it takes several times as long,
so the GUI closes the gate, draws, and opens it again; everything else asks `closed` between steps.
"""

from __future__ import annotations

import sys
import threading

#: seconds after which a thread asks again for the lock; measured: the 99th frame in 100 then takes 21-25 ms, not 31-123
SWITCH_INTERVAL = 0.0005


class Gate:
    """Open at first. `closed` is a plain attribute, so that a hot loop can ask it at the cost of an attribute read."""

    __slots__ = ("_open", "closed")

    def __init__(self) -> None:
        self.closed = False
        self._open = threading.Event()
        self._open.set()

    def close(self) -> None:
        """Ask the computing threads to pause before their next step."""
        self.closed = True
        self._open.clear()

    def open(self) -> None:
        """Let them go on."""
        self.closed = False
        self._open.set()

    def wait(self, timeout: float = 0.2) -> None:
        """Stand here while the gate is closed, at most `timeout` seconds: a frame that takes longer does not stop the
        work altogether."""
        if self.closed:
            self._open.wait(timeout)


def share_the_interpreter() -> None:
    """Make threads hand over the interpreter often enough for a frame every 16 ms."""
    sys.setswitchinterval(SWITCH_INTERVAL)
