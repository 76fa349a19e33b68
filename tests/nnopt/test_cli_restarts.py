"""`nnopt restarts`: many seeds from the command line, summed up, written, interrupted."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from nnopt import cli
from nnopt.analysis.restarts import Restarts, restart
from nnopt.cli_bar import Bar, interrupts_noted
from nnopt.cli_restarts import ShareBar, _bars
from nnopt.objectives import functions
from nnopt.runs.changes import SetSetting
from nnopt.runs.experiment import Experiment, FunctionProblem, default_experiment, save, save_recording, set_path
from nnopt.runs.run import Run
from nnopt.runs.state import Outcome
from nnopt.runs.tasks import usable_processors


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["restarts", *map(str, arguments)])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


@pytest.fixture
def experiment_file(tmp_path):
    path = tmp_path / "experiment.json"
    save(set_path(default_experiment(), "methods[0].optimizer", "adam"), path)
    return path


def fact(printed: str, name: str) -> str:
    (found,) = re.findall(rf"^{name}: +(.*)$", printed, re.MULTILINE)
    return found


def test_the_command_line_sums_restarts_up(capsys, tmp_path, experiment_file):
    out = tmp_path / "restarts.csv"
    code, printed, errors = call(capsys, experiment_file, "--seeds", "0..15,40", "--steps", 300, "--out", out)
    assert (code, errors) == (0, "")
    experiment = set_path(set_path(default_experiment(), "methods[0].optimizer", "adam"), "steps", 300)
    found = restart(experiment, [*range(16), 40])
    assert fact(printed, "seeds") == "17 of the initial weights, up to 300 updates each"
    assert fact(printed, "outcomes") == "stopped 17"
    best = found.best
    words = f"seed {found.seeds[best]}: training loss {found.losses[best]:.4g}, validation loss"
    assert fact(printed, "best") == f"{words} {found.validation.losses[best]:.4g}"
    assert fact(printed, "median") == f"training loss {np.median(found.losses):.4g}"
    assert fact(printed, "worst") == f"training loss {found.losses.max():.4g}"
    kinds = found.clusters()
    assert fact(printed, "solutions").startswith(f"{kinds.count} kind")
    assert f"A {kinds.sizes[0]}" in fact(printed, "solutions")
    assert fact(printed, "disagreement").startswith(f"{found.disagreement().mean():.1%}")
    counts = [int(count) for count in re.findall(r"^ +\S+ \.\. \S+ +#+ ([\d,]+)$", printed, re.MULTILINE)]
    assert counts == [count for count in found.histogram(10).counts.tolist() if count]
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [int(row["seed"]) for row in rows] == found.seeds.tolist()
    assert [float(row["training_loss"]) for row in rows] == found.losses.tolist()
    assert [float(row["validation_loss"]) for row in rows] == found.validation.losses.tolist()
    assert {row["outcome"] for row in rows} == {"stopped"}


def test_an_npz_holds_weights_and_curves_and_the_numbers_are_those_of_workers(capsys, tmp_path, experiment_file):
    common = (experiment_file, "--seeds", "3..12", "--steps", 20, "--dtype", "float32", "--workers")
    for workers in (1, 2):
        assert call(capsys, *common, workers, "--out", tmp_path / f"{workers}.npz")[0] == 0
    with np.load(tmp_path / "1.npz") as one, np.load(tmp_path / "2.npz") as two:
        assert set(one) >= {"seeds", "theta", "losses", "outcomes/kind", "steps", "curves", "validation/best_theta"}
        assert one["theta"].shape == (10, 33)
        assert one["curves"].shape == (len(one["steps"]), 10)
        assert set(one) == set(two)
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


def test_without_a_file_the_default_experiment_is_started_again_from_64_seeds(capsys):
    code, printed, _ = call(capsys, "--steps", 2)
    assert code == 0
    assert fact(printed, "problem") == "circle (400 examples), network 2-8-1 tanh"
    assert fact(printed, "seeds") == "64 of the initial weights, up to 2 updates each"


def test_diverged_runs_are_counted_and_no_bar_is_theirs(capsys, tmp_path):
    experiment = set_path(default_experiment(), "methods[0].optimizer", {"name": "sgd", "lr": 1e300})
    save(experiment, tmp_path / "e.json")
    code, printed, errors = call(capsys, tmp_path / "e.json", "--seeds", "0..4", "--steps", 30)
    assert (code, errors) == (0, "")
    assert fact(printed, "outcomes") == "diverged 5"
    lost = Restarts(
        np.arange(3), np.zeros((3, 2)), np.array([0.5, np.inf, 0.5]), (Outcome("stopped", 1),) * 3,
        np.array([0]), np.zeros((1, 3)),
    )  # fmt: skip
    lines = _bars(lost)
    assert sum(line.endswith(" 2") for line in lines) == 1
    assert lines[-1].split() == ["not", "finite", "1"]


def test_the_command_line_says_what_is_wrong(capsys, tmp_path, experiment_file):
    save(Experiment(FunctionProblem(functions.get("bowl"))), tmp_path / "bowl.json")
    wrong = (
        (("--seeds", "0..x"), 1, "expected 1 to 100,000 whole numbers >= 0 such as 0..63 or 1,5,9, got '0..x'"),
        (("--seeds", "-3..2"), 2, "expected one argument"),
        (("--seeds=-3..2",), 1, "expected 1 to 100,000 whole numbers >= 0"),
        (("--seeds", "0.5,1"), 1, "expected 1 to 100,000 whole numbers >= 0"),
        (("--seeds", ""), 1, "expected 1 to 100,000 whole numbers >= 0"),
        ((tmp_path / "gone.json",), 1, "cannot be read"),
        ((tmp_path / "bowl.json",), 1, "bowl.json: restart: a function has one start and no seed"),
        ((experiment_file, "--method", "1"), 1, "method: expected 0 .. 0, got 1"),
        ((experiment_file, "--out", tmp_path / "t.txt"), 1, "ending in .csv or .npz"),
        ((experiment_file, "--out", tmp_path / "no" / "t.csv"), 1, "the folder does not exist"),
        ((experiment_file, "--dtype", "float16"), 2, "invalid choice: 'float16'"),
        ((experiment_file, "--workers", "0"), 2, "expected a whole number >= 1"),
        ((experiment_file, "--workers", "2", "--cluster", "tcp://x:1"), 2, "not allowed with"),
        ((experiment_file, "--cluster", "there"), 1, "expected an address such as tcp://127.0.0.1:8786"),
        # the address of its dashboard
        ((experiment_file, "--cluster", "http://127.0.0.1:1"), 1, "expected an address such as tcp://127.0.0.1:8786"),
        ((experiment_file, "lr=1"), 2, "unrecognized arguments: lr=1"),
    )
    for arguments, code, message in wrong:
        found, printed, errors = call(capsys, *arguments)
        assert (found, message in errors) == (code, True), (arguments, errors)
        assert printed == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bowl.json", "experiment.json"]


def test_a_session_is_started_again_as_the_experiment_that_it_began_with(capsys, tmp_path):
    run = Run(default_experiment())
    run.intervene(SetSetting("methods[0].optimizer.lr", 0.02))
    run.advance(5)
    save_recording(run.recording, tmp_path / "s.json")
    code, _, errors = call(capsys, tmp_path / "s.json", "--seeds", 42, "--steps", 5, "--out", tmp_path / "r.csv")
    assert code == 0
    assert "what was done to the run by hand is no part of the restarts" in errors
    plain = Run(default_experiment())
    plain.advance(5)
    (row,) = csv.DictReader((tmp_path / "r.csv").read_text().splitlines())
    assert float(row["training_loss"]) == pytest.approx(plain.history.row(5)["loss"], rel=1e-12)


def test_a_terminal_shows_how_far_restarts_are(monkeypatch, capsys):
    assert ShareBar(64).text(0.25, 30.0) == "[#######.......................] 25 % of 64 seeds   1 min 30 s left"
    assert ShareBar(1000).text(1.0, 30.0) == "[##############################] 100 % of 1,000 seeds"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = Bar()
    bar.show("a long line")
    bar.show("short")
    bar.clear()
    assert capsys.readouterr().err == "\ra long line\rshort      \r     \r"


# ---- interrupts


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "nnopt.cli", "restarts", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


posix = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process on Windows")

MARKS = '''
from nnopt.optimizers.base import Optimizer, Settings, Slots, Update, register

fresh = False

@register
class Marks(Settings, Optimizer, frozen=True, tag="marks"):
    """Gradient descent that leaves a mark at the first update of several runs."""
    file: str = ""

    def init(self, theta):
        global fresh
        # two make a trial of the method, one a check of the experiment
        fresh = theta.ndim == 2 and len(theta) > 2
        return Slots()

    def update(self, local, slots, lr):
        global fresh
        if fresh:
            with open(self.file, "a") as file:
                file.write("x")
            fresh = False
        return Update(-0.1 * local.gradient, slots)
'''


def wait_for(reached, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def interrupted(folder, marks: int, *arguments: object) -> tuple[str, list[dict[str, str]]]:
    """What `nnopt restarts` says and writes if it is interrupted once so many parts have begun."""
    experiment, plugin, out, mark = (folder / name for name in ("e.json", "marks.py", "r.csv", "mark"))
    method = {"optimizer": {"name": "marks", "file": str(mark)}}
    whole = {"format": "nnopt-experiment", "version": 1, "problem": {"kind": "network", "data": "circle"}}
    experiment.write_text(json.dumps({**whole, "methods": [method]}))
    plugin.write_text(MARKS)
    process = start(experiment, "--plugin", plugin, "--out", out, *arguments)
    try:
        wait_for(lambda: mark.exists() and len(mark.read_text()) >= marks, process)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors) == (cli.INTERRUPTED, "")
    return printed, list(csv.DictReader(out.read_text().splitlines())) if out.exists() else []


@posix
def test_runs_that_are_interrupted_here_are_as_far_as_they_have_come(tmp_path):
    printed, rows = interrupted(tmp_path, 1, "--steps", 10**8, "--seeds", "0..15", "--workers", 1)
    at = int(re.fullmatch(r"16 runs are at step ([\d,]+)", fact(printed, "interrupted"))[1].replace(",", ""))
    assert at > 0
    assert [int(row["seed"]) for row in rows] == list(range(16))
    assert {(row["outcome"], int(row["steps_made"])) for row in rows} == {("running", at)}


@posix
@pytest.mark.parametrize(
    ("begun", "places"),
    [
        (1, ("--workers", 2)),
        pytest.param(
            2, (), marks=pytest.mark.skipif(usable_processors() < 2, reason="one processor: all is made here")
        ),
    ],
)
def test_parts_that_are_interrupted_are_missing_and_nothing_is_written(tmp_path, begun, places):
    # where nobody says where, they begin in the process itself
    printed, rows = interrupted(tmp_path, begun, "--steps", 10**8, "--seeds", "0..15", *places)
    assert fact(printed, "outcomes") == "none yet"
    assert fact(printed, "interrupted") == "16 of 16 seeds are missing"
    assert rows == []
    assert not (tmp_path / "r.csv").exists()


@posix
def test_parts_that_are_done_at_an_interrupt_are_written(tmp_path):
    printed, rows = interrupted(tmp_path, 3, "--steps", 800, "--seeds", "0..255", "--workers", 2)
    seeds = [int(row["seed"]) for row in rows]
    assert 0 < len(seeds) < 256
    assert fact(printed, "interrupted") == f"{256 - len(seeds)} of 256 seeds are missing"
    assert fact(printed, "outcomes") == f"stopped {len(seeds)}"
    assert seeds == [32 * part + k for part in sorted({seed // 32 for seed in seeds}) for k in range(32)]  # whole parts
    assert {int(row["steps_made"]) for row in rows} == {800}


@posix
def test_the_second_interrupt_is_one():
    with interrupts_noted() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert interrupted()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    found: list[bool] = []

    def elsewhere() -> None:
        with interrupts_noted() as noted:
            found.append(noted())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [False]
