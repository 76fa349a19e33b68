"""The command line: run, sweep, list, check; never a traceback for bad input."""

from __future__ import annotations

import _thread
import contextlib
import csv
import inspect
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from nnopt import analysis, cli
from nnopt.analysis import theory
from nnopt.analysis.directions import KINDS
from nnopt.cli_sweep import RunsBar
from nnopt.cli_words import describe_settings
from nnopt.objectives import functions
from nnopt.optimizers import SGD
from nnopt.runs.changes import Intervention, MoveExample, RemoveExample, SetSetting
from nnopt.runs.experiment import (
    Experiment,
    FunctionProblem,
    Method,
    Recording,
    default_experiment,
    save,
    save_recording,
    set_path,
)
from nnopt.runs.run import Run
from nnopt.runs.sweep_task import Result


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


@pytest.fixture
def experiment_file(tmp_path):
    path = tmp_path / "experiment.json"
    save(default_experiment(), path)
    return path


def test_run_without_a_file_trains_the_default_experiment_and_sums_it_up(capsys):
    code, out, err = call(capsys, "run", "--steps", 600)
    assert code == 0
    assert err == ""
    for words in (
        "circle (400 examples), network 2-8-1 tanh",
        "sgd(lr=0.5)",
        "stopped at step 600",
        "validation loss:",
        "accuracy:        training 9",
        "plateaus:        0 to ",
    ):
        assert words in out


def test_run_writes_its_log_as_csv(capsys, tmp_path, experiment_file):
    out = tmp_path / "run.csv"
    code, _, _ = call(capsys, "run", experiment_file, "--steps", 25, "--seed", 7, "--out", out)
    assert code == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    run = Run(set_path(default_experiment(), "seed", 7))
    run.advance(25)
    assert [int(row["step"]) for row in rows] == list(range(26))
    assert [float(row["loss"]) for row in rows] == run.history.columns["loss"].tolist()
    assert [row["validation_loss"] != "" for row in rows] == [step % 10 == 0 for step in range(26)]
    assert list(tmp_path.glob("*.part")) == []


def test_a_diverged_run_is_an_outcome_and_no_failure(capsys, tmp_path):
    path = tmp_path / "e.json"
    save(Experiment(FunctionProblem(functions.get("rosenbrock")), (Method(SGD(lr=0.1)),)), path)
    code, out, _ = call(capsys, "run", path)
    assert code == 0
    assert "outcome:         diverged at step" in out


def test_a_session_is_run_with_what_was_done_to_it(capsys, tmp_path):
    run = Run(default_experiment())
    run.advance(10)
    run.intervene(SetSetting("methods[0].optimizer.lr", 0.02))
    run.advance(5)
    save_recording(run.recording, tmp_path / "s.json")
    _, out, _ = call(capsys, "run", tmp_path / "s.json")
    assert "step:            15" in out
    assert f"loss:            {run.history.row(15)['loss']:.6g}" in out
    _, out, _ = call(capsys, "check", tmp_path / "s.json")
    assert "a session, valid" in out
    assert "recorded: 15 steps, 1 interventions" in out


def test_every_method_of_an_experiment_is_run(capsys, tmp_path):
    experiment = set_path(default_experiment(), "methods", [{"optimizer": "sgd"}, {"optimizer": "adam"}])
    save(experiment, tmp_path / "e.json")
    _, out, _ = call(capsys, "run", tmp_path / "e.json", "--steps", 5, "--out", tmp_path / "o.csv")
    assert "sgd(lr=0.1)" in out
    assert "adam(lr=0.01" in out
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["0"] * 6 + ["1"] * 6


@pytest.mark.parametrize("kind", cli.KINDS)
def test_list_names_everything_of_a_kind(capsys, kind):
    code, out, _ = call(capsys, "list", kind)
    assert code == 0
    for name, text, settings in cli.catalogue(kind):
        assert f"  {name} " in out
        assert kind == "lessons" or len(text) > 10
        assert all(setting in out for setting in settings)


def test_list_shows_settings_with_their_ranges(capsys):
    _, out, _ = call(capsys, "list")
    expected = (
        "optimizers\n", "lr = 0.1   (> 0; learning rate)", "beta = 0.9   (>= 0 and < 1", "glorot_uniform",
        "then = inverse_time", "one of playground, convnetjs", "rosenbrock ",
    )  # fmt: skip
    for words in expected:
        assert words in out


def test_list_names_directions_analyses_and_predictions_with_their_arguments(capsys):
    directions = {name: text for name, text, _ in cli.catalogue("directions")}
    assert directions == KINDS
    for kind, members in (("analyses", analysis), ("predictions", theory)):
        functions_of = {name for name in members.__all__ if inspect.isfunction(getattr(members, name))}
        assert {name for name, _, _ in cli.catalogue(kind)} == functions_of
        # one line each, as the eye can take in
        assert max(len(text) for _, text, _ in cli.catalogue(kind)) < 160
    _, out, _ = call(capsys, "list")
    expected = (
        "armijo ", "patience = 20   (>= 1; measurements; patience)", "(objective, theta, most=600)",
        "edge_of_stability ", "(lr, beta=0.0)", "dtype=float32, threads=1, progress=None)", "filter-normalized",
    )  # fmt: skip
    for words in expected:
        assert words in out


def test_check_says_what_a_file_is(capsys, tmp_path, experiment_file):
    code, out, _ = call(capsys, "check", experiment_file)
    assert code == 0
    assert "experiment.json: an experiment, valid" in out
    assert "parameters: 33" in out
    (tmp_path / "t.csv").write_text("a,b,kind\n1,2,u\n2,3,v\n4,4,u\n")
    code, out, _ = call(capsys, "check", tmp_path / "t.csv")
    assert code == 0
    assert "a CSV table, 3 usable rows" in out
    assert "kind, 2 classes (u, v)" in out
    batches = {"optimizer": {"name": "adam"}, "batches": {"name": "mini", "size": 20}}
    save(set_path(default_experiment(), "methods", [batches]), tmp_path / "b.json")
    assert "method: adam(lr=0.01), mini(size=20)" in call(capsys, "check", tmp_path / "b.json")[1]
    (tmp_path / "mine.py").write_text("answer = 42\n")
    code, _, err = call(capsys, "check", tmp_path / "mine.py")
    assert code == 1
    assert "--plugin" in err


def test_check_says_what_is_wrong_and_where(capsys, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{"format": "nnopt-experiment",\n "version": 1 "problem": 3}')
    code, _, err = call(capsys, "check", bad)
    assert code == 1
    assert "nnopt: bad.json: line 2, column 15: not JSON" in err
    bad.write_text('{"format": "nnopt-experiment", "version": 1, "problem": {"kind": "function", "function": "beal"}}')
    code, _, err = call(capsys, "check", bad)
    assert code == 1
    assert "bad.json: at $.problem.function.name: unknown function 'beal'; did you mean 'beale'?" in err
    save(set_path(default_experiment(), "problem.data", {"name": "csv", "path": "gone.csv"}), bad)
    code, _, err = call(capsys, "check", bad)
    assert code == 1
    assert "gone.csv" in err


def test_check_names_the_intervention_that_cannot_be_made(capsys, tmp_path):
    done = (Intervention(3, MoveExample(5, (0.0, 0.0))), Intervention(9, RemoveExample(400)))
    save_recording(Recording(default_experiment(), done, 20), tmp_path / "s.json")
    code, _, err = call(capsys, "check", tmp_path / "s.json")
    assert code == 1
    assert "nnopt: s.json: at $.interventions[1].change: there is no example 400" in err


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"{", b"\xff\xfe\x00", b"just words\n", b"a,b\n1\n"])
def test_no_file_whatever_it_holds_ends_in_a_traceback(capsys, tmp_path, content):
    for name in ("x.csv", "x.json", "x"):
        (tmp_path / name).write_bytes(content)
        code, out, err = call(capsys, "check", tmp_path / name)
        assert code in (0, 1)
        assert (out if code == 0 else err).strip()
        code, _, _ = call(capsys, "run", tmp_path / name)
        assert code == 1


def test_missing_files_and_folders_are_named(capsys, tmp_path):
    for command in ("run", "check"):
        code, _, err = call(capsys, command, tmp_path / "nowhere.json")
        assert code == 1
        assert "cannot be read" in err
        assert call(capsys, command, tmp_path)[0] == 1
    code, _, err = call(capsys, "run", "--steps", 1, "--out", tmp_path / "no" / "out.csv")
    assert code == 1
    assert "the folder does not exist" in err


def test_the_command_line_sums_a_sweep_up(capsys, tmp_path, experiment_file):
    out, npz = tmp_path / "sweep.csv", tmp_path / "sweep.npz"
    code, printed, errors = call(
        capsys,
        "sweep",
        experiment_file,
        "lr=0.1,0.5",
        "steps=40",
        "--out",
        out,
        "--workers",
        1,
        "seed=0..2",
        "--npz",
        npz,
    )
    assert (code, errors) == (0, "")
    for words in (
        "6 runs: lr (2) x steps (1) x seed (3)",
        "outcomes:        stopped 6",
        "best:            lr=0.5 steps=40 seed=",
    ):
        assert words in printed
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 6
    with np.load(npz) as arrays:
        assert arrays["lr"].tolist() == [0.1] * 3 + [0.5] * 3
        assert arrays["training_loss"].tolist() == [float(row["training_loss"]) for row in rows]


def test_without_a_file_the_table_goes_to_standard_output(capsys, experiment_file):
    code, printed, errors = call(capsys, "sweep", experiment_file, "hidden=3,2-2", "steps=3", "--workers", 1)
    assert code == 0
    assert [row["hidden"] for row in csv.DictReader(printed.splitlines())] == ["3", "2-2"]
    assert "outcomes:        stopped 2" in errors


def test_the_command_line_says_what_is_wrong(capsys, tmp_path, experiment_file):
    wrong = (
        (("sweep", experiment_file, "lr=0.1..1"), 1, "how many?"),
        (("sweep", experiment_file, "lrr=0.1"), 1, "did you mean 'lr'?"),
        (("sweep", tmp_path / "gone.json", "lr=1"), 1, "cannot be read"),
        (("sweep", experiment_file), 2, "usage: nnopt sweep"),
        (("sweep", experiment_file, "lr=1", "--workers", "0"), 2, "expected a whole number >= 1"),
        (("sweep", experiment_file, "lr=1", "--workers", "2", "--cluster", "tcp://x:1"), 2, "not allowed with"),
        (
            ("sweep", experiment_file, "lr=1", "--cluster", "there"),
            1,
            "expected an address such as tcp://127.0.0.1:8786",
        ),
        (("sweep", experiment_file, "lr=1", "--npz", tmp_path / "t.txt"), 1, "ending in .csv or .npz"),
        (("sweep", experiment_file, "lr=1", "--what"), 2, "unrecognized arguments: --what"),
        (("run", experiment_file, "lr=1"), 2, "unrecognized arguments: lr=1"),
    )
    for arguments, code, message in wrong:
        found, _, errors = call(capsys, *arguments)
        assert (found, message in errors) == (code, True), (arguments, errors)


def test_a_terminal_shows_how_far_a_sweep_is():
    bar = RunsBar(total=200, known=50)
    assert bar.text(0.0) == "[#######.......................] 50 / 200 runs"
    for _ in range(50):
        bar.step(Result("diverged"))
    assert (
        bar.text(100.0) == "[###############...............] 100 / 200 runs   50 diverged or failed   3 min 20 s left"
    )


def test_a_session_is_swept_as_the_experiment_that_it_began_with(capsys, tmp_path):
    run = Run(default_experiment())
    run.intervene(SetSetting("methods[0].optimizer.lr", 0.02))
    run.advance(5)
    save_recording(run.recording, tmp_path / "s.json")
    code, out, err = call(capsys, "sweep", tmp_path / "s.json", "seed=42", "steps=5", "--workers", 1)
    assert code == 0
    assert "what was done to the run by hand is no part of the sweep" in err
    plain = Run(default_experiment())
    plain.advance(5)
    (row,) = csv.DictReader(out.splitlines())
    assert float(row["training_loss"]) == plain.history.row(5)["loss"]


def test_run_writes_its_log_as_arrays_with_the_parameters(capsys, tmp_path, experiment_file):
    code, _, _ = call(capsys, "run", experiment_file, "--steps", 5, "--out", tmp_path / "run.npz")
    assert code == 0
    with np.load(tmp_path / "run.npz") as arrays:
        assert arrays["theta"].shape == (6, 33)
    call(capsys, "run", experiment_file, "--steps", 5, "--thetas", "--out", tmp_path / "run.csv")
    assert "theta[32]" in (tmp_path / "run.csv").read_text().splitlines()[0]
    code, _, err = call(capsys, "run", experiment_file, "--steps", 5, "--out", tmp_path / "run.txt")
    assert code == 1
    assert "expected a file ending in .csv or .npz" in err
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_off_is_not_mentioned_in_a_summary():
    assert describe_settings(SGD(lr=0.5)) == "sgd(lr=0.5)"
    assert describe_settings(SGD(lr=0.5, clip=2.0)) == "sgd(lr=0.5, clip=2)"


@pytest.mark.parametrize(
    "arguments",
    [(), ("dance",), ("run", "--steps", "0"), ("run", "--steps", "many"), ("list", "lies"), ("check",), ("sweep",)],
)
def test_wrong_usage_is_exit_code_2(capsys, arguments):
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert "usage: nnopt" in err


def test_help_and_version_are_no_error(capsys):
    assert call(capsys, "--help")[0] == 0
    code, out, _ = call(capsys, "--version")
    assert code == 0
    assert out.startswith("nnopt ")


def test_an_interrupt_keeps_what_was_computed(capsys, tmp_path, monkeypatch):
    advance = Run.advance

    def interrupted(self, steps, should_stop=None):
        timer = threading.Timer(0.2, _thread.interrupt_main)
        timer.start()
        try:
            return advance(self, steps, should_stop)
        finally:
            timer.join()

    monkeypatch.setattr(Run, "advance", interrupted)
    path = tmp_path / "run.csv"
    code, out, err = call(capsys, "run", "--steps", "100,000,000", "--out", path)
    assert code == cli.INTERRUPTED
    assert err == ""
    assert "outcome:         interrupted" in out
    steps = int(re.search(r"step: +([\d,]+)", out)[1].replace(",", ""))
    assert len(path.read_text().splitlines()) == steps + 2


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")
def test_ctrl_c_in_a_terminal_ends_without_a_traceback():
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "nnopt.cli", "run", "--steps", "100,000,000"], stdout=subprocess.PIPE, stderr=end
    )
    os.close(end)
    said = b""
    while b"step " not in said:
        said += os.read(terminal, 1000)
    process.send_signal(signal.SIGINT)
    # the loss goes on being shown until the signal arrives: what is left is read with it
    out = process.communicate(timeout=60)[0]
    with contextlib.suppress(OSError):
        said += os.read(terminal, 100_000)
    os.close(terminal)
    assert process.returncode == cli.INTERRUPTED
    assert b"interrupted" in out
    assert b"Traceback" not in said


def test_a_reader_that_goes_away_is_no_error():
    listing = f"{sys.executable} -m nnopt.cli list | head -1"
    done = subprocess.run(listing, shell=True, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.stdout == "optimizers\n"
    assert done.stderr == ""


def test_a_change_that_is_not_valid_is_named_with_its_file_before_anything_is_computed(tmp_path, capsys):
    path = tmp_path / "bad.json"
    save_recording(Recording(default_experiment(), (Intervention(5, RemoveExample(10**6)),), 20), path)
    code, out, errors = call(capsys, "run", str(path))
    assert (code, out) == (1, "")
    assert f"{path}: at $.interventions[0].change: there is no example 1000000" in errors


def test_an_empty_file_name_is_no_default(capsys):
    code, _, errors = call(capsys, "run", "")
    assert code == 1
    assert "cannot be read" in errors


def test_a_folder_or_a_device_is_refused_before_the_run_is_made(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Run, "advance", lambda *_: pytest.fail("a step was made"))
    (tmp_path / "d.csv").mkdir()
    code, _, errors = call(capsys, "run", "--out", str(tmp_path / "d.csv"))
    assert code == 1
    assert "it is a folder" in errors


def test_too_large_a_network_is_refused_by_its_number_of_parameters(tmp_path, capsys):
    path = tmp_path / "large.json"
    save(set_path(default_experiment(), "problem.network.hidden", [10_000] * 30), path)
    for command in ("check", "run"):
        code, _, errors = call(capsys, command, str(path))
        assert code == 1
        assert "2,900,330,001 parameters, expected at most 20,000,000" in errors


def test_memory_that_does_not_suffice_is_an_error_in_words(capsys, monkeypatch):
    def exhausted(*_: object) -> None:
        raise MemoryError("Unable to allocate 7.28 TiB")

    monkeypatch.setattr(Run, "advance", exhausted)
    code, _, errors = call(capsys, "run", "--steps", "3")
    assert (code, errors) == (1, "nnopt: not enough memory: Unable to allocate 7.28 TiB\n")


def test_a_method_is_described_by_its_rate_and_what_differs_from_its_defaults():
    assert describe_settings(SGD()) == "sgd(lr=0.1)"
    assert describe_settings(SGD(lr=0.5, clip=1.0)) == "sgd(lr=0.5, clip=1)"
    assert describe_settings(functions.get("quadratic")) == "quadratic"
