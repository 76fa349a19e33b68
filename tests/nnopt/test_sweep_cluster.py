"""Sweeps on a real Dask cluster of this machine: a scheduler and two workers, each a process of its own."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nnopt import plugins
from nnopt.errors import NnoptError
from nnopt.runs import sweep_cluster
from nnopt.runs.experiment import default_experiment, save, set_path
from nnopt.runs.sweep import WorkersGone, sweep

pytest.importorskip("distributed")

AXES = ["lr=0.1..1:10", "seed=0..5", "steps=400"]
RUNS = 60
LIMIT = 60.0


class Cluster:
    """Processes that end with the test, by their own handles."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {**os.environ, "DASK_CONFIG": str(folder)}
        self._processes: list[subprocess.Popen[bytes]] = []

    def open(self) -> None:
        folder = self._folder
        file = folder / "scheduler.json"
        self.scheduler = self.start("dask_scheduler", "--port", "0", "--scheduler-file", file)
        wait_until(file.exists, self.scheduler)
        # the file is there before its content
        wait_until(lambda: file.read_bytes().rstrip().endswith(b"}"), self.scheduler)
        self.address = json.loads(file.read_text())["address"]
        self.workers = [
            self.start("dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--local-directory", folder)
            for _ in range(2)
        ]

    def start(self, name: str, *arguments: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{name}", "--host", "127.0.0.1", "--no-dashboard",
             *map(str, arguments)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._environment, cwd=self._folder,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def wait_until(reached, process: subprocess.Popen) -> None:
    until = time.monotonic() + LIMIT
    while not reached():
        assert process.poll() is None, f"ended with exit code {process.returncode}"
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    folder = tmp_path / "dask"
    folder.mkdir()
    cluster = Cluster(folder)
    try:
        cluster.open()
        yield cluster
    finally:
        cluster.close()


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.filterwarnings("default")  # Dask's own
def test_a_worker_that_is_killed_half_way_loses_and_doubles_no_run(cluster, tmp_path):
    experiment, out = tmp_path / "e.json", tmp_path / "sweep.csv"
    save(default_experiment(), experiment)
    process = subprocess.Popen(
        [sys.executable, "-m", "nnopt.cli", "sweep", str(experiment), *AXES, "--out", str(out),
         "--cluster", cluster.address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: lines_of(out) > RUNS // 2, process)
        cluster.workers[0].send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        cluster.workers[0].wait()
        made = lines_of(out) - 1
        printed, errors = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.wait()
    assert made < RUNS, "the worker was killed too late to prove anything"
    assert process.returncode == 0, errors
    assert f"outcomes:        stopped {RUNS}" in printed
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [int(row["index"]) for row in rows] == list(range(RUNS))
    here = sweep(default_experiment(), AXES, workers=1)
    for name in ("lr", "seed", "training_loss", "validation_loss", "gradient_norm", "training_accuracy"):
        np.testing.assert_array_equal([float(row[name]) for row in rows], here[name])


PLUGIN = '''
from nnopt.optimizers.base import register
from nnopt.optimizers.sgd import SGD

@register
class Mine(SGD, frozen=True, tag="mine_on_a_cluster"):
    """Gradient descent."""
'''


@pytest.mark.filterwarnings("default")
def test_workers_get_plug_ins_other_versions_are_refused_and_a_lost_scheduler_is_said(cluster, tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    plugins.load_file(file)
    # other machines do not have the file: what is loaded here is sent
    file.unlink()
    try:
        experiment = set_path(default_experiment(), "methods[0].optimizer", "mine_on_a_cluster")
        result = sweep(experiment, ["seed=0..3", "steps=5"], cluster=cluster.address)
        assert result["outcome"].tolist() == ["stopped"] * 4
    finally:
        plugins.unload(file)
    with monkeypatch.context() as changed:
        changed.setattr(sweep_cluster, "version", lambda: "0.0.1")
        with pytest.raises(NnoptError, match=r"expected nnopt 0\.0\.1 on worker tcp://127\.0\.0\.1:\d+, found nnopt"):
            sweep(default_experiment(), ["seed=0..3"], cluster=cluster.address)
    monkeypatch.setattr(sweep_cluster, "PATIENCE", 1.0)
    out = tmp_path / "s.csv"
    with pytest.raises(WorkersGone, match=r"the workers are gone \(.*\); \d+ of 60 runs are done"):
        sweep(default_experiment(), AXES, cluster=cluster.address, out=out, progress=lambda _: cluster.scheduler.kill())
    assert 1 < lines_of(out) < 61
    with pytest.raises(NnoptError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1"):
        sweep(default_experiment(), ["seed=0..3"], cluster=cluster.address)
