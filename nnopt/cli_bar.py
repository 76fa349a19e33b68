"""A progress bar on the terminal, how long something takes in words, and Ctrl+C as a wish instead of a blow."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Any


class Bar:
    """A line on standard error, drawn ten times a second at most; nothing where that is no terminal.

    >>> bar = Bar()
    >>> bar.show("half of it")  # standard error is no terminal here
    >>> bar.clear()
    """

    def __init__(self) -> None:
        self._shown = 0
        self.began = self._drawn = perf_counter()
        #: whether there is a terminal to draw on
        self.visible = sys.stderr.isatty()

    @property
    def due(self) -> bool:
        """Whether the line was drawn long enough ago."""
        return perf_counter() - self._drawn > 0.1

    def show(self, text: str) -> None:
        """Draw the line."""
        if self.visible:
            # a line that wraps could not be taken back
            text = text[: _columns() - 1]
            self._put(f"\r{text:<{self._shown}}")
            self._shown, self._drawn = len(text), perf_counter()

    def clear(self) -> None:
        """Take the line away."""
        if self.visible:
            self._put(f"\r{'':<{self._shown}}\r")

    def _put(self, text: str) -> None:
        with suppress(OSError):
            print(text, end="", file=sys.stderr, flush=True)


def _columns() -> int:
    """How wide the terminal is to which standard error goes; 80 where it does not say."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def filled(share: float, width: int = 30) -> str:
    """A bar that is filled so far.

    >>> filled(0.5, width=8)
    '[####....]'
    """
    count = int(width * share)
    return f"[{'#' * count}{'.' * (width - count)}]"


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(3.21), duration(200), duration(7260)
    ('3.2 s', '3 min 20 s', '2 h 01 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


@contextmanager
def interrupts_noted() -> Iterator[Callable[[], bool]]:
    """Within it the first Ctrl+C is only noted, for the function given to tell; the second one interrupts as ever.

    >>> with interrupts_noted() as interrupted:
    ...     interrupted()
    False
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        # signals are the main thread's
        yield lambda: False
        return

    def note(number: int, frame: Any) -> None:
        noted.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, before)
