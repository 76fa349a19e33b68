"""The command line: `nnopt run`, `nnopt list`, `nnopt check`. Everything that needs no screen.

Exit codes: 0 done (a run that diverged is done: it is an outcome), 1 the input is not valid or cannot be read or
written, 2 wrong usage, 130 interrupted (what was computed is reported and written).
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from nnopt.errors import NnoptError

if TYPE_CHECKING:
    from nnopt.objectives.datasets import Dataset
    from nnopt.runs.experiment import Recording
    from nnopt.runs.run import Run

INTERRUPTED = 130
KINDS = (
    "optimizers", "functions", "datasets", "schedules", "batches", "losses", "activations", "initials", "lessons",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on the given arguments (those of the process by default) and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # a terminal that cannot show a sign shows "?" instead of ending the program
            stream.reconfigure(errors="replace")
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as request:
        return int(request.code or 0)
    try:
        code: int = options.action(options)
        sys.stdout.flush()
        return code
    except NnoptError as error:
        print(f"nnopt: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # the reader went away (`nnopt list | head`): nothing more is wanted, at exit neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nnopt", description="Optimization of neural networks, replayable step by step."
    )
    parser.add_argument("--version", action="version", version=f"nnopt {_version()}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="{run,list,check}")

    run = commands.add_parser("run", help="run an experiment and print how it ended")
    run.add_argument("file", nargs="?", metavar="EXPERIMENT.json", help="experiment or session (default: circles)")
    run.add_argument("--steps", type=_whole(1), metavar="N", help="updates to make, instead of the experiment's")
    run.add_argument("--seed", type=_whole(0), metavar="N", help="seed, instead of the experiment's")
    run.add_argument("--out", metavar="RUN.csv", help="write the log, a row per step")
    run.set_defaults(action=_run)

    names = commands.add_parser("list", help="what there is to choose from, with settings and their ranges")
    names.add_argument("kind", nargs="?", choices=KINDS, help="only this kind")
    names.set_defaults(action=_list)

    check = commands.add_parser("check", help="say what a file is, or what is wrong with it and where")
    check.add_argument("file", metavar="FILE", help="an experiment, a session or a CSV file")
    check.set_defaults(action=_check)
    return parser


def _whole(low: int) -> Any:
    def convert(text: str) -> int:
        try:
            number = int(text.replace(",", "").replace("_", ""))
        except ValueError:
            number = low - 1
        if not low <= number < 2**63:
            raise argparse.ArgumentTypeError(f"expected a whole number >= {low}, got {text!r}")
        return number

    return convert


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nnopt")
    except PackageNotFoundError:
        return "(not installed)"


# ---- run


def _run(options: argparse.Namespace) -> int:
    from nnopt.runs.experiment import Recording, default_experiment, load_recording
    from nnopt.runs.run import Run
    from nnopt.settings import replace

    recording = load_recording(options.file) if options.file else Recording(default_experiment())
    experiment = recording.experiment
    if options.seed is not None:
        experiment = replace(experiment, seed=options.seed)
    length = options.steps or recording.length or experiment.steps
    experiment = replace(experiment, steps=length)
    out = None if options.out is None else Path(options.out)
    if out is not None and not out.resolve().parent.is_dir():
        raise NnoptError(f"{out}: cannot be written: the folder does not exist")
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
        _write_log(runs, out)
    return INTERRUPTED if interrupted else 0


def _advance(run: Run, length: int) -> None:
    if not sys.stderr.isatty():
        run.advance(length)
        return
    try:
        while run.state.step < length and run.outcome.running:
            until = perf_counter() + 0.2
            run.advance(length - run.state.step, lambda until=until: perf_counter() > until)  # type: ignore[misc]
            row = run.history.row(run.state.step)
            text = f"step {run.state.step:,} / {length:,}   loss {row['loss']:.4g}   |g| {row['gradient_norm']:.1e}"
            print(f"\r{text:<70}", end="", file=sys.stderr, flush=True)
    finally:
        print(f"\r{'':<70}\r", end="", file=sys.stderr, flush=True)


def _summary(run: Run, interrupted: bool) -> str:
    from nnopt.analysis.plateaus import find_plateaus

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
        training = float(problem.objective.value(run.state.theta))
        facts.append(("training loss", f"{training:.6g}"))
        if problem.held_out is not None:
            facts.append(("validation loss", f"{problem.validation_value(run.state.theta):.6g}"))
        if problem.classifies:
            shares = zip(("training", "validation"), problem.accuracy(run.state.theta), strict=True)
            facts.append(("accuracy", ", ".join(f"{name} {share:.1%}" for name, share in shares if share == share)))
    columns = history.columns
    steps = columns["step"]
    plateaus = find_plateaus(columns["loss"])
    words = [
        f"{steps[plateau.start]:,} to {steps[plateau.stop - 1]:,}"
        + ("" if plateau.escaped else " (flat: plateau or converged?)")
        for plateau in plateaus
    ]
    facts.append(("plateaus", "; ".join(words) or "none"))
    facts.extend((f"note at {at:,}", text) for at, text in history.notes[:3])
    return "\n".join(f"{name + ':':<17}{text}" for name, text in facts)


def _write_log(runs: list[Run], out: Path) -> None:
    partial = out.with_name(out.name + ".part")
    try:
        with open(partial, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            names = list(runs[0].history.columns)
            writer.writerow(["method", *names] if len(runs) > 1 else names)
            for number, run in enumerate(runs):
                columns = run.history.columns
                for row in zip(*(columns[name].tolist() for name in names), strict=True):
                    cells = ["" if cell != cell else cell for cell in row]
                    writer.writerow([number, *cells] if len(runs) > 1 else cells)
        os.replace(partial, out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise NnoptError(f"{out}: cannot be written: {error.strerror or error}") from None


# ---- list


def _list(options: argparse.Namespace) -> int:
    kinds = [options.kind] if options.kind else KINDS
    for number, kind in enumerate(kinds):
        if len(kinds) > 1:
            print(("\n" if number else "") + kind)
        entries = catalogue(kind)
        width = max((len(name) for name, _, _ in entries), default=0) + 2
        for name, text, settings in entries:
            print(f"  {name:<{width}}{text}")
            for setting in settings:
                print(f"  {'':<{width}}  {setting}")
        if not entries:
            print("  none")
    return 0


def catalogue(kind: str) -> list[tuple[str, str, list[str]]]:
    """(name, one line on it, its settings with defaults and ranges) of everything of a kind, sorted by name."""
    if kind == "lessons":
        return _lessons()
    if kind in ("losses", "activations"):
        from nnopt.objectives.activations import ACTIVATIONS
        from nnopt.objectives.losses import LOSSES

        members: dict[str, Any] = {**(LOSSES if kind == "losses" else ACTIVATIONS)}
        return [(name, _first_line(type(member)), []) for name, member in sorted(members.items())]
    registry = _registry(kind)
    return [
        (name, _first_line(registry.get(name)), _settings_of(registry.get(name))) for name in sorted(registry.names())
    ]


def _registry(kind: str) -> Any:
    from nnopt.objectives.datasets import Data
    from nnopt.objectives.functions import Function
    from nnopt.objectives.network import Initial
    from nnopt.optimizers.base import Optimizer
    from nnopt.optimizers.batches import Batches
    from nnopt.optimizers.schedules import Schedule

    interfaces: dict[str, Any] = {
        "optimizers": Optimizer, "functions": Function, "datasets": Data, "schedules": Schedule,
        "batches": Batches, "initials": Initial,
    }  # fmt: skip
    return interfaces[kind].registry


def _first_line(cls: type) -> str:
    """What a class is, in one line: the sentence it states itself, or its docstring's first line."""
    teaches = getattr(cls, "teaches", None)
    module = sys.modules[cls.__module__]
    alone = cls.__module__.startswith("nnopt.optimizers.") and cls.__module__.split(".")[-1] not in (
        "schedules",
        "batches",
    )
    text = teaches or (module.__doc__ if alone else cls.__doc__) or ""
    title = getattr(cls, "title", None)
    line = " ".join(text.strip().split("\n\n")[0].split())
    return f"{title}: {line}" if title and not line.startswith(title) else line


def _settings_of(cls: Any) -> list[str]:
    import msgspec

    lines = []
    for field in msgspec.structs.fields(cls):
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory
        given = (
            "required"
            if default is msgspec.NODEFAULT
            else describe_settings(default() if callable(default) else default)
        )
        lines.append(f"{field.name} = {given}{_range(field.type)}")
    return lines


def _range(kind: Any) -> str:
    from typing import Literal, get_args, get_origin

    import msgspec

    metas = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    plain = get_args(kind)[0] if metas else kind
    parts: list[str] = []
    for meta in metas:
        bounds = ((">", meta.gt), (">=", meta.ge), ("<", meta.lt), ("<=", meta.le))
        limits = " and ".join(f"{sign} {_number(bound)}" for sign, bound in bounds if bound is not None)
        unit = (meta.extra or {}).get("unit", "")
        label = meta.title if meta.title and meta.title.isascii() else ""
        parts.extend(part for part in (limits, unit, label) if part)
    if get_origin(plain) is Literal:
        parts.insert(0, "one of " + ", ".join(map(str, get_args(plain))))
    return f"   ({'; '.join(parts)})" if parts else ""


def _lessons() -> list[tuple[str, str, list[str]]]:
    from nnopt.assets import asset

    try:
        files = sorted(entry.name for entry in asset("lessons").iterdir() if not entry.name.startswith("."))
    except NnoptError:
        return []
    return [(name.partition(".")[0], "", []) for name in files]


# ---- check


def _check(options: argparse.Namespace) -> int:
    path = Path(options.file)
    if path.is_dir():
        raise NnoptError(f"{path}: expected a file, this is a folder")
    try:
        with open(path, "rb") as file:
            start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise NnoptError(f"{path}: cannot be read: {error.strerror or error}") from None
    if path.suffix.lower() == ".json" or start.startswith(b"{"):
        from nnopt.runs.experiment import load_recording

        recording = load_recording(path)
        try:
            print(f"{path.name}: {_describe_recording(recording)}")
        except NnoptError as error:
            raise NnoptError(f"{path.name}: {error}") from None
        return 0
    from nnopt.objectives.csv_data import read_csv

    print(f"{path.name}: {_describe_table(read_csv(path))}")
    return 0


def _describe_recording(recording: Recording) -> str:
    from nnopt.runs.problem import build, check_recording
    from nnopt.runs.run import stage_of

    experiment = recording.experiment
    check_recording(recording)
    problem = build(experiment)
    for method in range(len(experiment.methods)):
        stage_of(problem, method).init(problem.initial())
    kind = "a session" if recording.length or recording.interventions else "an experiment"
    lines = [f"{kind}, valid", f"  problem: {describe_problem(experiment.problem, problem.dataset)}"]
    lines.extend(f"  method: {describe_settings(method.optimizer)}" for method in experiment.methods)
    lines.append(f"  parameters: {problem.size:,}")
    lines.append(f"  seed {experiment.seed}, {experiment.steps:,} steps")
    if kind == "a session":
        lines.append(f"  recorded: {recording.length:,} steps, {len(recording.interventions)} interventions")
    if problem.dataset is not None:
        lines.extend(f"  note: {note}" for note in problem.dataset.notes)
    return "\n".join(lines)


def _describe_table(data: Dataset) -> str:
    what = f"{len(data.classes)} classes ({', '.join(data.classes)})" if data.classes else "regression"
    lines = [f"a CSV table, {data.n:,} usable rows", f"  inputs: {', '.join(data.features)}"]
    lines.append(f"  predicts: {data.target}, {what}")
    lines.extend(f"  note: {note}" for note in data.notes)
    return "\n".join(lines)


def describe_problem(problem: Any, dataset: Dataset | None) -> str:
    """A problem in a few words: "circle (400 examples), network 2-8-1 tanh" or "rosenbrock"."""
    if dataset is None:
        return describe_settings(problem.function)
    sizes = "-".join(map(str, (dataset.inputs, *problem.network.hidden, dataset.outputs)))
    return f"{problem.data.name} ({dataset.n:,} examples), network {sizes} {problem.network.activation}"


def describe_settings(value: Any) -> str:
    """A settings struct as "momentum(lr=0.1, beta=0.9)"; any other value as it is written."""
    import msgspec

    if not isinstance(value, msgspec.Struct):
        return _number(value) if isinstance(value, float) else "none" if value is None else str(value)
    settings = [f"{name}={describe_settings(getattr(value, name))}" for name in value.__struct_fields__]
    tag = value.__struct_config__.tag or type(value).__name__
    return f"{tag}({', '.join(settings)})" if settings else str(tag)


def _number(number: float) -> str:
    if math.isfinite(number) and number == int(number) and abs(number) < 1e6:
        return str(int(number))
    return f"{number:g}"


if __name__ == "__main__":
    sys.exit(main())
