"""`nnopt sweep` as a process: interrupted, killed and gone on with, and its exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sweep_runs import (
    quick,
    rows_of,
    trouble_fixture,  # noqa: F401 (a fixture)
)

from nnopt import cli
from nnopt.runs.experiment import (
    save,
    set_path,
)
from nnopt.runs.sweep import Sweep, SweepResult, sweep


@pytest.fixture
def experiment_file(tmp_path):
    path = tmp_path / "experiment.json"
    save(quick(), path)
    return path


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begins `nnopt sweep` with some arguments; whatever a test does not wait for is ended after it."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "nnopt.cli", "sweep", *map(str, arguments)]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def wait_for_rows(path, rows: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not (path.exists() and path.read_bytes().count(b"\n") > rows):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


LONG = ("lr=0.1..1:5", "seed=0..7", "steps=1000")


@pytest.fixture(scope="module")
def uninterrupted() -> SweepResult:
    return sweep(quick(), LONG, workers=1)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process on Windows")
@pytest.mark.parametrize("blow", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_an_interrupted_sweep_finishes_the_remaining_runs_only(tmp_path, experiment_file, start, uninterrupted, blow):
    out = tmp_path / "sweep.csv"
    arguments = (experiment_file, *LONG, "--out", out, "--workers", 2)
    process = start(*arguments)
    wait_for_rows(out, 6, process)
    process.send_signal(getattr(signal, blow))
    printed, errors = process.communicate(timeout=30)
    made = out.read_text().splitlines()
    indices = [int(row.split(",")[1]) for row in made[1:]]
    assert 6 <= len(indices) < 40
    assert len(set(indices)) == len(indices)
    if blow == "SIGINT":
        assert (process.returncode, errors) == (cli.INTERRUPTED, "")
        assert f"{40 - len(indices)} runs are missing; the same command does them" in printed
    else:
        assert process.returncode == -getattr(signal, blow)
    process = start(*arguments)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert f"known before:    {len(indices)} runs" in printed
    rows = out.read_text().splitlines()
    assert [int(row.split(",")[1]) for row in rows[1:]] == list(range(40))
    # rows made before stand there with the seconds they took: nothing was made again
    assert set(made) <= set(rows)
    assert [float(row["training_loss"]) for row in rows_of(out)] == uninterrupted["training_loss"].tolist()


def children_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended in the meantime
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are found in /proc")
def test_a_killed_sweep_leaves_no_worker_and_a_record_to_go_on_with(tmp_path, experiment_file, start):
    out = tmp_path / "sweep.csv"
    process = start(experiment_file, "steps=1,1000000", "seed=0..9", "--out", out, "--workers", 2)
    wait_for_rows(out, 1, process)
    workers = children_of(process.pid)
    process.kill()
    process.communicate()
    assert len(workers) == 2
    until = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in workers):
        assert time.monotonic() < until
        time.sleep(0.05)
    made = len(rows_of(out))
    with Sweep(quick(), ["steps=1,1000000", "seed=0..9"], out) as again:
        assert len(again.record.remaining) == 20 - made


def test_failed_runs_are_counted_shown_and_make_the_exit_code(capsys, trouble, experiment_file):
    save(set_path(quick(steps=3), "methods[0].optimizer", "trouble"), experiment_file)
    arguments = ["sweep", experiment_file, "kind=error,none", "--plugin", trouble, "--workers", 1]
    assert cli.main([str(argument) for argument in arguments]) == 1
    errors = capsys.readouterr().err
    assert "failed 1, stopped 1" in errors
    assert "failed:          kind=error: RuntimeError: two lines" in errors
