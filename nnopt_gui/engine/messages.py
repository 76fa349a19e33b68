"""What goes into the worker (commands), what comes out (events), and the snapshot that it publishes; all frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from nnopt.runs.experiment import Experiment
from nnopt.runs.run import Run


@dataclass(frozen=True)
class Numbered:
    """A run and its number: equal numbers show equal rows, so pictures are kept by number."""

    number: int
    run: Run


# ---------------------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True)
class Start:
    """A new run of `experiment` from step 0, its `interventions` replayed where they belong.

    updates: how many are made at once, flat out (a session, or an undone run whose log was given up). label: what the
    user did, in words, for undo. play: start (at `rate` updates per second, None = flat out) or stop playing with it;
    None keeps what is.
    """

    experiment: Experiment
    interventions: tuple[Any, ...] = ()
    updates: int = 0
    label: str = ""
    play: bool | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Load:
    """Go on with a run that exists already (undo, redo), paused."""

    numbered: Numbered


@dataclass(frozen=True)
class Play:
    """Train. rate: updates per second, or None for as fast as possible."""

    rate: float | None = None


@dataclass(frozen=True)
class Pause:
    """Stand still after the current update."""


@dataclass(frozen=True)
class Advance:
    """Make `steps` updates as fast as possible, then stand still."""

    steps: int = 1


@dataclass(frozen=True)
class Extend:
    """Pause when the head reaches `limit` updates, not before."""

    limit: int


@dataclass(frozen=True)
class Edit:
    """Apply `change` at step `at` (None: at the head). base: the run that is edited (None: the current one).

    The edited run is left as it is; a copy up to `at` takes its place, so that undo has everything. in_place: the run
    was made by an edit that this one continues (a slider being dragged while the run plays): no second copy.
    """

    change: Any
    at: int | None = None
    base: Numbered | None = None


Command: TypeAlias = Start | Load | Play | Pause | Advance | Extend | Edit

# ------------------------------------------------------------------------------------------------------------ events


@dataclass(frozen=True)
class Started:
    """A new run took the place of `before` (None at the first start)."""

    before: Numbered | None
    after: Numbered
    label: str


@dataclass(frozen=True)
class Edited:
    """`change` was applied to `before` at step `at`: `after` is the run now."""

    before: Numbered
    after: Numbered
    at: int
    change: Any


@dataclass(frozen=True)
class Stopped:
    """The worker stands still by itself: at the budget ("limit"), ended for good ("outcome"), or because it made
    the updates it was asked for ("advanced")."""

    number: int
    reason: Literal["limit", "outcome", "advanced"]
    step: int


@dataclass(frozen=True)
class Notice:
    """Something to tell the user. kind: "info", "warning" or "error"; text: one or two sentences; detail: for those who
    want to know more (a traceback). about: the command that could not be done, None for an update that failed."""

    kind: Literal["info", "warning", "error"]
    text: str
    detail: str = ""
    about: Command | None = None


Event: TypeAlias = Started | Edited | Stopped | Notice


@dataclass(frozen=True)
class Snapshot:
    """What the worker is doing. serial: number of commands that it has dealt with; working: it makes updates
    (it plays, or was asked for some); limit: where it will pause;
    updates_per_second: over the last half second; seconds_per_update: of computing alone; busy: what else it is
    doing, in words, or ""."""

    serial: int = 0
    current: Numbered | None = None
    playing: bool = False
    working: bool = False
    rate: float | None = None
    limit: int = 0
    updates_per_second: float = 0.0
    seconds_per_update: float = 0.0
    busy: str = ""
