"""`nnopt restarts`: an experiment from many seeds, and what the solutions have in common."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING

from nnopt.cli_bar import Bar, duration, filled, interrupts_noted
from nnopt.cli_words import INTERRUPTED, describe_problem, describe_settings
from nnopt.errors import NnoptError, SettingsError

if TYPE_CHECKING:
    from nnopt.analysis.restarts_result import Restarts
    from nnopt.runs.experiment import Experiment

#: solutions that are compared pair by pair, at most
COMPARED = 2000


def restarts(options: argparse.Namespace) -> int:
    """Carry out `nnopt restarts`; the exit code.

    >>> restarts(argparse.Namespace(file=None, seeds="0..x"))
    Traceback (most recent call last):
    nnopt.errors.SettingsError: --seeds: expected 1 to 100,000 whole numbers >= 0 such as 0..63 or 1,5,9, got '0..x'
    """
    seeds = seeds_of(options.seeds)
    from nnopt.analysis.restarts import restart
    from nnopt.runs.experiment import Recording, default_experiment, load_recording
    from nnopt.runs.export import check_target, save
    from nnopt.settings import replace

    recording = Recording(default_experiment()) if options.file is None else load_recording(options.file)
    if recording.interventions:
        print("nnopt: what was done to the run by hand is no part of the restarts", file=sys.stderr)
    experiment = recording.experiment
    if options.steps is not None:
        experiment = replace(experiment, steps=options.steps)
    out = None if options.out is None else check_target(options.out)
    bar = ShareBar(len(seeds))
    try:
        with interrupts_noted() as interrupted:
            bar.draw(0.0)
            found = restart(
                experiment, seeds, options.method, options.dtype, interrupted, workers=options.workers,
                cluster=options.cluster, progress=bar.draw,
            )  # fmt: skip
    except NnoptError as error:
        raise NnoptError(f"{options.file}: {error}" if options.file else str(error)) from None
    finally:
        bar.clear()
    seconds = perf_counter() - bar.began
    unwritten: NnoptError | None = None
    if out is not None and len(found.seeds):
        try:
            save(found, out)
        except NnoptError as error:
            # what was found is shown all the same
            unwritten, options.out = error, None
    print(_summary(experiment, found, options, len(seeds), seconds))
    if unwritten is not None:
        raise unwritten
    return INTERRUPTED if interrupted() else 0


def seeds_of(text: str) -> tuple[int, ...]:
    """The seeds that a text lists, each once.

    >>> seeds_of("0..3,9,2")
    (0, 1, 2, 3, 9)
    """
    from nnopt.runs.sweep_values import LIMIT, values_of

    try:
        values = tuple(dict.fromkeys(values_of("--seeds", text)))
    except SettingsError:
        values = ()
    if not values or not all(type(value) is int and 0 <= value < 2**63 for value in values):
        raise SettingsError(f"--seeds: expected 1 to {LIMIT:,} whole numbers >= 0 such as 0..63 or 1,5,9, got {text!r}")
    return values


def _summary(experiment: Experiment, found: Restarts, options: argparse.Namespace, wanted: int, seconds: float) -> str:
    from nnopt.runs.problem import build

    counts = Counter(outcome.kind for outcome in found.outcomes)
    missing, running = wanted - len(found.seeds), counts.pop("running", 0)
    facts = [
        ("problem", describe_problem(experiment.problem, build(experiment).dataset)),
        ("method", describe_settings(experiment.methods[options.method].optimizer)),
        ("seeds", f"{wanted:,} of the initial weights, up to {experiment.steps:,} updates each"),
        ("outcomes", ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none yet"),
    ]
    if len(found.seeds):
        facts.extend(_losses(found))
        facts.extend(_kinds(found))
    facts.append(("time", duration(seconds)))
    if options.out is not None and len(found.seeds):
        facts.append(("table", options.out))
    if missing or running:
        stopped = f"{running:,} runs are at step {max(outcome.step for outcome in found.outcomes):,}" if running else ""
        lacking = f"{missing:,} of {wanted:,} seeds are missing" if missing else ""
        facts.append(("interrupted", stopped or lacking))
    lines = [f"{name + ':':<17}{text}" for name, text in facts]
    return "\n".join([*lines, *_bars(found)])


def _losses(found: Restarts) -> list[tuple[str, str]]:
    spread = found.histogram()
    best = f"seed {found.seeds[found.best]}: training loss {found.losses[found.best]:.4g}"
    if found.validation is not None:
        best += f", validation loss {found.validation.losses[found.best]:.4g}"
    return [
        ("best", best),
        ("median", f"training loss {spread.median:.4g}"),
        ("worst", f"training loss {spread.worst:.4g}"),
    ]


def _kinds(found: Restarts, most: int = 6) -> list[tuple[str, str]]:
    """How many kinds of solutions there are, and how far they disagree."""
    if len(found.seeds) > COMPARED:
        return [("solutions", f"more than {COMPARED:,}: not compared")]
    kinds = found.clusters()
    alone = sum(size == 1 for size in kinds.sizes)
    named = [(members[0], size) for members, size in zip(kinds.members, kinds.sizes, strict=True) if size > 1]
    words = [f"{kinds.letter(index)} {size:,}" for index, size in named[:most]]
    words += [f"{len(named) - most:,} more"] if len(named) > most else []
    words += [f"{alone:,} like no other"] if alone else []
    count = f"{kinds.count:,} kind{'s' if kinds.count != 1 else ''} by their outputs"
    facts = [("solutions", f"{count}: {', '.join(words)}" if words else "none")]
    if found.classifies and kinds.count:
        share = float(found.disagreement().mean())
        facts.append(("disagreement", f"{share:.1%} of the votes on the training examples"))
    return facts


def _bars(found: Restarts, width: int = 40) -> list[str]:
    """The histogram of the final losses, as text."""
    spread = found.histogram(bins=10)
    if not spread.counts.any():
        return []
    tallest = spread.counts.max()
    lines = ["", "final training losses:"]
    # as many digits as tell neighbours apart
    digits = next((n for n in range(4, 10) if len({f"{edge:.{n}g}" for edge in spread.edges}) == len(spread.edges)), 10)
    for low, high, count in zip(spread.edges[:-1], spread.edges[1:], spread.counts, strict=True):
        # whoever is there is seen
        stars = f" {'#' * -(-width * int(count) // int(tallest))} {count:,}" if count else ""
        lines.append(f"{low:>{digits + 6}.{digits}g} .. {high:<{digits + 6}.{digits}g}{stars}")
    if spread.lost:
        lines.append(f"{'not finite':>10}    {'':<10} {spread.lost:,}")
    return [line.rstrip() for line in lines]


class ShareBar(Bar):
    """How far restarts are. seeds: how many.

    >>> ShareBar(64).text(0.5, 20.0)
    '[###############...............] 50 % of 64 seeds   20.0 s left'
    """

    def __init__(self, seeds: int) -> None:
        super().__init__()
        self._seeds = seeds

    def draw(self, share: float) -> None:
        """Show that so much is done."""
        if self.due or not share:
            self.show(self.text(share, perf_counter() - self.began))

    def text(self, share: float, seconds: float) -> str:
        """The line, `seconds` after the start."""
        words = f"{filled(share)} {share:.0%} of {self._seeds:,} seeds".replace("%", " %")
        return f"{words}   {duration(seconds / share * (1 - share))} left" if 0 < share < 1 else words
