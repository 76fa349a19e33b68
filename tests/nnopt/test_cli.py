"""The command line: run, list, check; never a traceback for bad input."""

from __future__ import annotations

import _thread
import csv
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from nnopt import cli
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
        "then = inverse_time(d=0.01)", "one of playground, convnetjs", "rosenbrock ",
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


@pytest.mark.parametrize(
    "arguments", [(), ("dance",), ("run", "--steps", "0"), ("run", "--steps", "many"), ("list", "lies"), ("check",)]
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


def test_ctrl_c_in_a_terminal_ends_without_a_traceback():
    process = subprocess.Popen(
        [sys.executable, "-m", "nnopt.cli", "run", "--steps", "100,000,000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == cli.INTERRUPTED
    assert errors == ""


def test_a_reader_that_goes_away_is_no_error():
    listing = f"{sys.executable} -m nnopt.cli list | head -1"
    done = subprocess.run(listing, shell=True, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.stdout == "optimizers\n"
    assert done.stderr == ""
