"""`nnopt sweep`: an experiment with many settings, on many processes, gone on with where it was left."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING

from nnopt.cli_bar import Bar, duration, filled
from nnopt.cli_words import INTERRUPTED
from nnopt.errors import NnoptError, SpecError

if TYPE_CHECKING:
    from nnopt.runs.sweep import Sweep
    from nnopt.runs.sweep_task import Result

EXAMPLES = """\
settings and values:
  lr=0.01,0.1,1           a list; short names are the nearest settings of that name
  lr=0.01..1:log:20       20 numbers of even ratios (lr=0..1:11: evenly spaced)
  seed=0..9               whole numbers, both ends included: other initial weights, the same data
  data_seed, split_seed, batch_seed     other examples, other held-out ones, another order of batches
  optimizer=sgd,adam      names
  hidden=8,16,4-2         units per layer
  batch=1,10,full         batch sizes
  method=0..1             which of the experiment's methods
  methods[0].optimizer.beta=0.5,0.9     any setting, by its path
"""


def sweep(options: argparse.Namespace) -> int:
    """Carry out `nnopt sweep`; the exit code. options: file, axes, out, npz, workers, cluster.

    Raises: NnoptError for what cannot be swept over, and for files that cannot be read or written.

    >>> import tempfile
    >>> from nnopt.cli import main
    >>> from nnopt.runs.experiment import default_experiment, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(default_experiment(), f"{folder}/circles.json")
    ...     command = ["sweep", f"{folder}/circles.json", "lr=0.1,1", "steps=3", "--workers=1", f"--out={folder}/s.csv"]
    ...     main(command)  # doctest: +ELLIPSIS
    sweep:           2 runs: lr (2) x steps (1)
    outcomes:        stopped 2
    ...
    0
    """
    from nnopt.runs.experiment import load_recording
    from nnopt.runs.export import check_target, save_columns
    from nnopt.runs.sweep import Sweep, workers_for
    from nnopt.runs.sweep_task import FAILED

    recording = load_recording(options.file)
    if recording.interventions:
        print("nnopt: what was done to the run by hand is no part of the sweep", file=sys.stderr)
    if options.npz is not None and check_target(options.npz).suffix.lower() != ".npz":
        raise SpecError(f"{options.npz}: expected a file ending in .npz")
    interrupted, trouble = False, None
    with Sweep(recording.experiment, options.axes, options.out) as whole:
        known, began = len(whole.plan) - len(whole.record.remaining), perf_counter()
        bar = RunsBar(len(whole.plan), known)
        try:
            with workers_for(whole, None, options.workers, options.cluster) as executor:
                bar.draw()
                whole.run(executor, bar.step)
        except KeyboardInterrupt:
            interrupted = True
        except NnoptError as error:
            # the workers are gone, or the disk is full: what has been made is shown all the same
            trouble = error
            if not whole.record.results:
                raise
        finally:
            bar.clear()
        if options.out is None:
            print(whole.record.text(), end="")
        print(_summary(whole, known, perf_counter() - began), file=sys.stderr if options.out is None else sys.stdout)
        if options.npz is not None:
            save_columns(whole.result(), options.npz)
        if trouble is not None:
            raise trouble
        failed = any(result.outcome == FAILED for result in whole.record.results.values())
    return INTERRUPTED if interrupted else int(failed)


def _summary(whole: Sweep, known: int, seconds: float) -> str:
    from nnopt.runs.sweep_task import FAILED

    plan, results = whole.plan, whole.record.results
    shape = " x ".join(f"{name} ({size})" for name, size in zip(plan.names, plan.shape, strict=True))
    counts = Counter(result.outcome for result in results.values())
    facts = [
        ("sweep", f"{len(plan):,} runs: {shape}"),
        ("outcomes", ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none yet"),
    ]
    if known:
        facts.append(("known before", f"{known:,} runs"))
    table = whole.result()
    if table.best is not None:
        index = int(table["index"][table.best])
        names = ("training_loss", "validation_loss", "validation_accuracy", "best_validation_loss")
        numbers = [f"{name.replace('_', ' ')} {table[name][table.best]:.4g}" for name in names]
        facts.append(("best", f"{plan.words(index)}: {', '.join(text for text in numbers if 'nan' not in text)}"))
    failures = [index for index in sorted(results) if results[index].outcome == FAILED]
    facts.extend(("failed", f"{plan.words(index)}: {results[index].reason}") for index in failures[:3])
    facts.append(("time", duration(seconds)))
    if whole.record.path is not None:
        facts.append(("record", str(whole.record.path)))
    missing = len(plan) - len(results)
    if missing:
        again = "" if whole.record.path is None else "; the same command does them"
        facts.append(("interrupted", f"{missing:,} runs are missing{again}"))
    return "\n".join(f"{name + ':':<17}{text}" for name, text in facts)


class RunsBar(Bar):
    """How far a sweep is. total: runs; known: of them, done before.

    >>> RunsBar(total=200, known=50).text(0.0)
    '[#######.......................] 50 / 200 runs'
    """

    def __init__(self, total: int, known: int) -> None:
        super().__init__()
        self._total, self._known = total, known
        self._made = self._failed = 0

    def step(self, result: Result) -> None:
        """One more run has ended."""
        self._made += 1
        self._failed += result.outcome in ("failed", "diverged")
        if self.due:
            self.draw()

    def draw(self) -> None:
        """Show how things stand."""
        self.show(self.text(perf_counter() - self.began))

    def text(self, seconds: float) -> str:
        """The line, `seconds` after the start."""
        done = self._known + self._made
        parts = [f"{filled(done / max(self._total, 1))} {done:,} / {self._total:,} runs"]
        if self._failed:
            parts.append(f"{self._failed:,} diverged or failed")
        if self._made and done < self._total:
            parts.append(f"{duration(seconds / self._made * (self._total - done))} left")
        return "   ".join(parts)
