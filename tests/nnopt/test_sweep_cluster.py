"""Sweeps and restarts on a real Dask cluster of this machine: a scheduler and two workers, each a process."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dask_cluster import LIMIT, Cluster, wait_until

from nnopt import cli, plugins
from nnopt.analysis.restarts import restart
from nnopt.errors import NnoptError
from nnopt.runs import cluster as cluster_module
from nnopt.runs.experiment import default_experiment, save, set_path
from nnopt.runs.sweep import SweepResult, WorkersGone, sweep
from nnopt.runs.sweep_task import Result

pytest.importorskip("distributed")

AXES = ["lr=0.1..1:10", "seed=0..5", "steps=400"]
RUNS = 60


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


def same_numbers(found, expected: SweepResult) -> None:
    for name in ("index", "lr", "seed", "training_loss", "validation_loss", "gradient_norm", "training_accuracy"):
        np.testing.assert_array_equal(np.asarray(found(name), dtype=float), expected[name])


@pytest.fixture(scope="module")
def here() -> SweepResult:
    return sweep(default_experiment(), AXES, workers=1)


@pytest.mark.filterwarnings("default")  # Dask's own
def test_a_worker_that_is_killed_half_way_loses_and_doubles_no_run(cluster, tmp_path, here):
    cluster.wait_for_workers()
    out = tmp_path / "sweep.csv"
    made: list[Result] = []
    appended: list[int] = []
    lost: list[int] = []

    def progress(result: Result) -> None:
        made.append(result)
        # every result is one more line, at once
        appended.append(lines_of(out) - 1)
        if len(made) == RUNS // 2:
            lost.append(cluster.kill_a_worker_at_work())

    found = sweep(default_experiment(), AXES, cluster=cluster.address, out=out, progress=progress)
    assert lost[0] >= 1, "the worker had nothing to lose"
    assert sum(worker.poll() is not None for worker in cluster.workers) == 1
    assert len(made) == RUNS
    assert appended == list(range(1, RUNS + 1))
    assert found["outcome"].tolist() == ["stopped"] * RUNS
    same_numbers(lambda name: found[name], here)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    same_numbers(lambda name: [row[name] for row in rows], here)


@pytest.mark.filterwarnings("default")
def test_nnopt_sweep_on_a_cluster_ends_complete_without_one_of_its_workers(cluster, tmp_path, here):
    cluster.wait_for_workers()
    experiment, out = tmp_path / "e.json", tmp_path / "sweep.csv"
    save(default_experiment(), experiment)
    process = subprocess.Popen(
        [sys.executable, "-m", "nnopt.cli", "sweep", str(experiment), *AXES, "--out", str(out),
         "--cluster", cluster.address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: lines_of(out) > RUNS // 4, process)
        cluster.kill_a_worker_at_work()
        made = lines_of(out) - 1
        printed, errors = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.wait()
    assert made < RUNS, "the worker was killed too late to prove anything"
    assert process.returncode == 0, errors
    assert f"outcomes:        stopped {RUNS}" in printed
    rows = list(csv.DictReader(out.read_text().splitlines()))
    same_numbers(lambda name: [row[name] for row in rows], here)


@pytest.mark.filterwarnings("default")
def test_restarts_lose_and_double_no_seed_when_a_worker_is_killed(cluster):
    cluster.wait_for_workers()
    experiment = set_path(default_experiment(), "steps", 800)
    seeds = [*range(126, 0, -1), 177, 199]  # four parts for two workers
    shares: list[float] = []
    lost: list[int] = []

    def progress(share: float) -> None:
        shares.append(share)
        if share > 0.0 and not lost:
            lost.append(cluster.kill_a_worker_at_work())

    found = restart(experiment, seeds, cluster=cluster.address, progress=progress)
    expected = restart(experiment, seeds, workers=1)
    assert lost[0] >= 1, "the worker had nothing to lose"
    assert shares[0] == 0.0
    assert shares[1] < 0.5
    assert shares == sorted(set(shares))
    assert shares[-1] == 1.0
    assert found.seeds.tolist() == seeds
    for name in ("theta", "losses", "steps", "curves"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.outcomes == expected.outcomes
    # one worker is enough for the command line, too
    assert cli.main(["restarts", "--seeds", "0..9", "--steps", "5", "--cluster", cluster.address]) == 0


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
        assert restart(experiment, range(4), cluster=cluster.address).seeds.tolist() == [0, 1, 2, 3]
    finally:
        plugins.unload(file)
    with monkeypatch.context() as changed:
        changed.setattr(cluster_module, "_version", lambda: "0.0.1")
        with pytest.raises(NnoptError, match=r"expected nnopt 0\.0\.1 on worker tcp://127\.0\.0\.1:\d+, found nnopt"):
            sweep(default_experiment(), ["seed=0..3"], cluster=cluster.address)
    monkeypatch.setattr(cluster_module, "PATIENCE", 1.0)
    out = tmp_path / "s.csv"
    with pytest.raises(WorkersGone, match=r"the workers are gone \(.*\); \d+ of 60 runs are done"):
        sweep(default_experiment(), AXES, cluster=cluster.address, out=out, progress=lambda _: cluster.scheduler.kill())
    assert 1 < lines_of(out) < 61
    with pytest.raises(NnoptError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1"):
        sweep(default_experiment(), ["seed=0..3"], cluster=cluster.address)
