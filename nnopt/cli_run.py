"""`nnopt run`: make an experiment's runs, print how they ended, write their logs."""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import TYPE_CHECKING

from nnopt.cli_bar import Bar
from nnopt.cli_words import INTERRUPTED, describe_problem, describe_settings
from nnopt.errors import NnoptError

if TYPE_CHECKING:
    from nnopt.runs.run import Run


def run(options: argparse.Namespace) -> int:
    """Carry out `nnopt run`; the exit code. options: file, steps, seed, out, thetas.

    Raises: NnoptError for an experiment that is not valid, and for a file that cannot be written.

    >>> import pathlib, tempfile
    >>> from nnopt.cli import main
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     code = main(["run", "--steps", "3", "--out", f"{folder}/run.csv"])  # doctest: +ELLIPSIS
    ...     lines = pathlib.Path(folder, "run.csv").read_text().splitlines()
    problem:         circle (400 examples), network 2-8-1 tanh
    ...
    >>> code, len(lines), lines[0][:23]
    (0, 5, 'step,loss,gradient_norm')
    """
    from nnopt.runs.experiment import Recording, default_experiment, load_recording
    from nnopt.runs.export import check_target, save_histories
    from nnopt.runs.problem import check_recording
    from nnopt.runs.run import Run
    from nnopt.settings import replace

    recording = Recording(default_experiment()) if options.file is None else load_recording(options.file)
    experiment = recording.experiment
    if options.seed is not None:
        experiment = replace(experiment, seed=options.seed)
    length = options.steps or recording.length or experiment.steps
    experiment = replace(experiment, steps=length)
    out = None if options.out is None else check_target(options.out)
    try:
        check_recording(replace(recording, experiment=experiment))
    except NnoptError as error:
        raise NnoptError(f"{options.file}: {error}" if options.file else str(error)) from None
    runs: list[Run] = []
    interrupted = False
    try:
        for method in range(len(experiment.methods)):
            run = Run(experiment, recording.interventions, method)
            runs.append(run)
            run.extend(length)
            _advance(run, length)
    except KeyboardInterrupt:
        interrupted = True
    print("\n\n".join(_summary(run, interrupted and run is runs[-1]) for run in runs))
    if out is not None and runs:
        save_histories([run.history for run in runs], out, thetas=True if options.thetas else None)
    return INTERRUPTED if interrupted else 0


def _advance(run: Run, length: int) -> None:
    bar = Bar()
    if not bar.visible:
        run.advance(length)
        return
    try:
        while run.state.step < length and run.outcome.running:
            until = perf_counter() + 0.2
            run.advance(length - run.state.step, lambda until=until: perf_counter() > until)  # type: ignore[misc]
            row = run.history.row(run.state.step)
            bar.show(f"step {run.state.step:,} / {length:,}   loss {row['loss']:.4g}   |g| {row['gradient_norm']:.1e}")
    finally:
        bar.clear()


def _summary(run: Run, interrupted: bool) -> str:
    from nnopt.analysis.plateau_tracker import plateaus_of
    from nnopt.runs.sweep_task import result_of

    history, problem, step = run.history, run.problem, run.state.step
    row = history.row(step)
    outcome = run.outcome.reason or ("interrupted" if interrupted else f"paused at step {step}")
    facts = [
        ("problem", describe_problem(run.experiment.problem, problem.dataset)),
        ("method", describe_settings(run.experiment.methods[run.method].optimizer)),
        ("outcome", outcome),
        ("step", f"{step:,}"),
        ("loss", f"{row['loss']:.6g}"),
        ("gradient norm", f"{row['gradient_norm']:.3g}"),
    ]
    if problem.dataset is not None:
        end = result_of(run)
        facts.append(("measured", f"every {history.stage_at(step).every:,} steps"))
        penalty = problem.objective.penalty(run.state.theta)
        of_it = f", of it penalty {penalty:.6g}" if penalty else ""
        facts.append(("training loss", f"{end.training_loss:.6g}{of_it}"))
        if problem.held_out is not None:
            facts.append(("validation loss", f"{end.validation_loss:.6g}"))
        if end.best_step is not None:
            facts.append(("best validation", f"{end.best_validation_loss:.6g} at step {end.best_step:,}"))
        if problem.classifies:
            shares = (("training", end.training_accuracy), ("validation", end.validation_accuracy))
            facts.append(("accuracy", ", ".join(f"{name} {share:.1%}" for name, share in shares if share == share)))
    plateaus = plateaus_of(history)
    words = [
        f"{plateau.start:,} to {plateau.stop - 1:,}" + ("" if plateau.escaped else " (flat: plateau or converged?)")
        for plateau in plateaus
    ]
    facts.append(("plateaus", "; ".join(words) or "none"))
    facts.extend((f"note at {at:,}", text) for at, text in history.notes[:3])
    return "\n".join(f"{name + ':':<17}{text}" for name, text in facts)
