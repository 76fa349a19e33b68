"""How much may be drawn in a frame, and who is next: all of it, or only a share of the time while others need that.

Drawing and painting a panel takes a few milliseconds. While the worker goes flat out it stands still for them, and
while a point is dragged the panel under the mouse must not wait for the others. Then panels draw in turns, on an
account that fills at a share of the time and is charged with what drawing and painting them really took. A panel that
has waited for long draws whatever the account says, one of them in a frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

#: part of the time that may be drawn in while the worker needs the machine, while it needs a core but hardly the
#: interpreter, and while it plays slowly or a point is dragged (a frame shall stay short)
WORKING, BESIDE, MOVING = 0.34, 0.25, 0.9
#: seconds that can be saved up, and owed
MOST, LEAST = 0.022, -0.1
#: seconds after which a panel that has something new to show draws in any case
OVERDUE = 0.25


class DrawingShare:
    """The account. Ask `may_draw` before each panel, say `drew` after it, and `painted` when the frame is on the
    screen. Times are in seconds."""

    def __init__(self) -> None:
        self._credit = MOST
        self._limited = False
        self._now = 0.0
        self._costs: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._drawn: list[str] = []

    def begin(self, seconds: float, share: float | None) -> None:
        """A frame begins, `seconds` after the last one; share: of the time that may be drawn in, None for all."""
        self._limited = share is not None
        self._credit = min(MOST, self._credit + seconds * share) if share is not None else MOST
        self._now += seconds
        self._drawn = []

    def order(self, names: Iterable[str]) -> list[str]:
        """Those that have waited longest first."""
        return sorted(names, key=lambda name: self._last.get(name, -1.0))

    def may_draw(self, name: str) -> bool:
        """Whether this panel may draw in this frame, too."""
        if not self._limited:
            return True
        if not self._drawn:
            return self._credit > 0.0 or self.since(name) > OVERDUE
        planned = sum(self._costs.get(drawn, 0.0) for drawn in self._drawn)
        return planned + self._costs.get(name, MOST) <= self._credit

    def wait(self, share: float) -> float:
        """Seconds until something may be drawn again, if `share` of the time may be drawn in."""
        return max(0.0, -self._credit / share)

    def since(self, name: str) -> float:
        """Seconds since this panel drew."""
        return self._now - self._last.get(name, -math.inf)

    def drew(self, name: str) -> None:
        """It did."""
        self._drawn.append(name)
        self._last[name] = self._now

    def painted(self, seconds: float) -> None:
        """Drawing and painting this frame took so long; a frame without panels is charged to nobody."""
        if not self._drawn:
            return
        self._credit = max(LEAST, self._credit - seconds)
        expected = sum(self._costs.get(name, 0.0) for name in self._drawn)
        for name in self._drawn:
            part = self._costs.get(name, 0.0) / expected if expected > 0.0 else 1.0 / len(self._drawn)
            cost = max(1e-4, part * seconds)
            self._costs[name] = cost if name not in self._costs else 0.8 * self._costs[name] + 0.2 * cost
        self._drawn = []
