"""The command line: `nnopt run`, `sweep`, `restarts`, `list`, `check`. Everything that needs no screen.

Exit codes: 0 done (a run that diverged is done: it is an outcome), 1 the input is not valid or cannot be read or
written, or runs of a sweep failed, 2 wrong usage, 130 interrupted (what was computed is reported and written).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TextIO

from nnopt.cli_check import check
from nnopt.cli_list import KINDS, catalogue, show
from nnopt.cli_restarts import restarts
from nnopt.cli_run import run
from nnopt.cli_sweep import EXAMPLES, sweep
from nnopt.cli_words import INTERRUPTED, describe_problem, describe_settings
from nnopt.errors import NnoptError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on the given arguments (those of the process by default) and return the exit code.

    >>> main(["run", "--steps", "3"])  # doctest: +ELLIPSIS
    problem:         circle (400 examples), network 2-8-1 tanh
    method:          sgd(lr=0.5)
    outcome:         stopped at step 3: all its steps are made
    ...
    0
    """
    _open_streams()
    try:
        options = _options(arguments)
        _load_plugins([*options.plugins_first, *options.plugins])
        code: int = options.action(options)
        sys.stdout.flush()
        return code
    except SystemExit as request:
        # argparse has said what it had to say
        return int(request.code or 0)
    except NnoptError as error:
        _say(f"nnopt: {error}")
        return 1
    except MemoryError as error:
        _say(f"nnopt: not enough memory: {error}" if str(error) else "nnopt: not enough memory")
        return 1
    except BrokenPipeError:
        # the reader went away (`nnopt list | head`): nothing more is wanted, at exit neither
        _mute(sys.stdout)
        return 0
    except OSError as error:
        # files are read and written with errors of their own: what is left is printing, to a full disk, say
        _mute(sys.stdout)
        _say(f"nnopt: the output cannot be written: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        from nnopt.plugins import blamed

        told = blamed(error)
        if told is None:
            raise
        _say(f"nnopt: {told}")
        return 1
    finally:
        _warn()


def _open_streams() -> None:
    if sys.stdout is None:
        # closed by the caller (`nnopt list >&-`): nobody reads
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # a terminal that cannot show a sign shows "?" instead of ending the program
            stream.reconfigure(errors="replace")


def _mute(stream: TextIO) -> None:
    """Nothing more goes to a stream, what it still holds at exit neither."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(text: str) -> None:
    """A line on standard error, where one can be written."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _mute(sys.stderr)


def _load_plugins(files: Sequence[str]) -> None:
    if files:
        from nnopt.plugins import load_file

        for file in files:
            load_file(file)


def _warn() -> None:
    plugins = sys.modules.get("nnopt.plugins")
    for text in plugins.warnings() if plugins is not None else ():
        _say(f"nnopt: warning: {text}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nnopt", description="Optimization of neural networks, replayable step by step."
    )
    parser.add_argument("--version", action="version", version=f"nnopt {_version()}")
    _add_plugin(parser, "plugins_first")
    commands = parser.add_subparsers(title="commands", required=True, metavar="{run,sweep,restarts,list,check}")

    def command(name: str, action: Callable[[argparse.Namespace], int], help: str, **more: Any) -> Any:
        added = commands.add_parser(name, help=help, **more)
        added.set_defaults(action=action)
        return added

    one = command("run", run, "run an experiment and print how it ended")
    one.add_argument("file", nargs="?", metavar="EXPERIMENT.json", help="experiment or session (default: circles)")
    one.add_argument("--steps", type=_whole(1), metavar="N", help="updates to make, instead of the experiment's")
    one.add_argument(
        "--seed", type=_whole(0), metavar="N", help="seed of the initial weights, instead of the experiment's"
    )
    one.add_argument("--out", metavar="RUN.csv", help="write the log, a row per step (.npz: as numpy arrays)")
    one.add_argument("--thetas", action="store_true", help="with the parameters (an .npz always has them)")

    many = command(
        "sweep", sweep, "run an experiment with many settings, on all processors", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    many.add_argument("file", metavar="EXPERIMENT.json", help="the experiment")
    many.add_argument("axes", nargs="+", metavar="SETTING=VALUES", help="a setting and the values it takes")
    many.add_argument("--out", metavar="SWEEP.csv", help="a row per run, as it ends; what is there is not run again")
    many.add_argument("--npz", metavar="SWEEP.npz", help="at the end, the table as numpy arrays")
    places = many.add_mutually_exclusive_group()
    places.add_argument("--workers", type=_whole(1), metavar="N", help="processes (default: one per processor)")
    places.add_argument("--cluster", metavar="tcp://HOST:PORT", help="run on the Dask cluster with this scheduler")

    again = command("restarts", restarts, "train from many seeds, and see what the solutions have in common")
    again.add_argument("file", nargs="?", metavar="EXPERIMENT.json", help="the experiment (default: circles)")
    again.add_argument(
        "--seeds",
        default="0..63",
        metavar="LIST",
        help="of the initial weights; data, split and batches stay (default: 0..63)",
    )
    again.add_argument("--steps", type=_whole(1), metavar="N", help="updates to make, instead of the experiment's")
    again.add_argument("--method", type=_whole(0), default=0, metavar="N", help="which of its methods (default: 0)")
    again.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="float32: twice as fast")
    again.add_argument("--out", metavar="TABLE.csv", help="a row per seed (.npz: weights and curves too)")
    places = again.add_mutually_exclusive_group()
    places.add_argument("--workers", type=_whole(1), metavar="N", help="processes (default: as many as it is worth)")
    places.add_argument("--cluster", metavar="tcp://HOST:PORT", help="run on the Dask cluster with this scheduler")

    names = command("list", show, "what there is to choose from, with settings and their ranges")
    names.add_argument("kind", nargs="?", choices=KINDS, help="only this kind")

    one_file = command("check", check, "say what a file is, or what is wrong with it and where")
    one_file.add_argument("file", metavar="FILE", help="an experiment, a session or a CSV file")

    for parser_of in (one, many, again, names, one_file):
        _add_plugin(parser_of, "plugins")
    options, rest = parser.parse_known_args(arguments)
    if rest:
        # `sweep FILE lr=0.1,1 --out F seed=0..9`: axes may stand after options too
        if options.action is not sweep or any("=" not in text or text.startswith("-") for text in rest):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        options.axes.extend(rest)
    return options


def _add_plugin(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(
        "--plugin", dest=name, action="append", default=[], metavar="FILE.py",
        help="load a Python file with optimizers, functions or data sets of your own (more than once for several)",
    )  # fmt: skip


def _whole(low: int) -> Any:
    def convert(text: str) -> int:
        try:
            number = int(text.replace(",", "").replace("_", ""))
        except ValueError:
            number = low - 1
        if not low <= number < 2**63:
            limit = " and < 2^63" if number >= 2**63 else ""
            raise argparse.ArgumentTypeError(f"expected a whole number >= {low}{limit}, got {text!r}")
        return number

    return convert


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nnopt")
    except PackageNotFoundError:
        return "(not installed)"


__all__ = ["INTERRUPTED", "KINDS", "catalogue", "describe_problem", "describe_settings", "main"]

if __name__ == "__main__":
    sys.exit(main())
