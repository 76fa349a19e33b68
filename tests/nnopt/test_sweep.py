"""Sweeps: every combination once, the same numbers wherever they are made, and a record that is gone on with."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from sweep_runs import (
    TROUBLE,
    quick,
    rows_of,
    trouble_fixture,  # noqa: F401 (a fixture)
)

import nnopt
from nnopt import plugins
from nnopt.errors import SettingsError, SpecError, UnsupportedError
from nnopt.objectives import functions
from nnopt.optimizers import Optimizer
from nnopt.runs import cluster, processes, sweep_axes, sweep_plan, sweep_task, sweep_values, tasks
from nnopt.runs import sweep as sweep_module
from nnopt.runs.experiment import (
    Experiment,
    FunctionProblem,
    set_path,
)
from nnopt.runs.processes import Processes, WorkerDied
from nnopt.runs.run import Run
from nnopt.runs.sweep import Sweep, SweepResult, WorkersGone, sweep
from nnopt.runs.sweep_task import Result

AXES = {"lr": [0.1, 0.5, 2.0], "seed": "0..3", "steps": 40}
#: what may differ between two makings of the same run
TIMES = {"seconds"}


def same(first: SweepResult, second: SweepResult) -> bool:
    return list(first) == list(second) and all(
        np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind == "f")
        for name in first
        if name not in TIMES
    )


@pytest.fixture(scope="module")
def expected() -> SweepResult:
    return sweep(quick(), AXES, workers=1)


# ---- results


def test_every_row_holds_what_a_run_of_its_own_comes_to(expected):
    assert expected.complete
    assert expected.shape == (3, 4, 1)
    assert len(expected["outcome"]) == 12
    run = Run(quick(**{"methods[0].optimizer.lr": 0.5, "seed": 2}))
    run.advance(40)
    row = 1 * 4 + 2
    assert (expected["lr"][row], expected["seed"][row], expected["index"][row]) == (0.5, 2, row)
    assert expected["steps_made"][row] == 40
    assert expected["training_loss"][row] == run.history.row(40)["training_loss"]
    assert expected["validation_loss"][row] == run.history.row(40)["validation_loss"]
    assert (expected["training_accuracy"][row], expected["validation_accuracy"][row]) == run.problem.accuracy(
        run.state.theta
    )
    assert expected["seconds"].min() > 0


def test_numbers_come_as_numbers_and_as_a_grid(expected):
    kinds = {name: expected[name].dtype.kind for name in ("lr", "seed", "outcome", "training_loss", "steps_made")}
    assert kinds == {"lr": "f", "seed": "i", "outcome": "U", "training_loss": "f", "steps_made": "i"}
    grid = expected.grid("validation_loss")
    assert grid.shape == (3, 4, 1)
    assert grid[1, 2, 0] == expected["validation_loss"][6]
    assert expected["validation_loss"][expected.best] == np.nanmin(expected["validation_loss"])
    with pytest.raises(KeyError, match="unknown column 'los'"):
        expected["los"]


def test_divergence_is_an_outcome_and_a_function_has_no_accuracy():
    experiment = Experiment(FunctionProblem(functions.get("rosenbrock")), steps=300)
    result = sweep(experiment, ["optimizer=sgd,newton", "lr=1e-4,1"], workers=1)
    assert result["outcome"].tolist() == ["stopped", "diverged", "stopped", "converged"]
    assert result["training_loss"][3] < 1e-15
    assert np.isnan(result["training_accuracy"]).all()
    assert np.isnan(result["validation_loss"]).all()
    assert result.best == 3


@pytest.mark.parametrize("kind", ["processes", "threads", "pool"])
def test_any_executor_gives_the_same_bits(expected, kind):
    if kind == "threads":
        with ThreadPoolExecutor(3) as executor:
            result = sweep(quick(), AXES, executor)
    elif kind == "pool":
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
            result = sweep(quick(), AXES, executor)
    else:
        result = sweep(quick(), AXES, workers=2)
    assert same(result, expected)


def test_workers_use_one_blas_thread():
    with Processes(1) as executor:
        assert executor.submit(os.getenv, "OPENBLAS_NUM_THREADS").result() == "1"
        assert executor.submit(os.getpid).result() != os.getpid()


def test_a_script_needs_no_guard_for_its_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import nnopt
        print("once")
        table = nnopt.sweep(nnopt.default_experiment(), ["seed=0..3", "steps=5"], workers=2)
        print(table.complete)
    """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("once\nTrue\n", "")


def test_classes_of_a_script_are_refused_where_other_processes_cannot_find_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import nnopt
        from nnopt.optimizers.sgd import SGD
        from nnopt.optimizers.base import register

        @register
        class Mine(SGD, frozen=True, tag="mine"):
            pass

        for workers in (1, 2):
            table = nnopt.sweep(nnopt.default_experiment(), ["optimizer=mine", "seed=0..1", "steps=3"], workers=workers)
            print(table.complete)
    """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n"
    assert "UnsupportedError: sweep: Mine: defined in this script" in done.stderr


# ---- errors in runs and workers


def test_workers_know_the_plug_in_files_that_are_loaded(trouble):
    experiment = set_path(quick(steps=3), "methods[0].optimizer", "trouble")
    result = sweep(experiment, ["seed=0..2"], workers=2)
    assert result["outcome"].tolist() == ["stopped"] * 3


def test_a_run_that_raises_is_a_failed_run_and_the_others_go_on(trouble, tmp_path):
    experiment = set_path(quick(steps=3), "methods[0].optimizer", "trouble")
    result = sweep(experiment, ["kind=none,error", "seed=0..1"], workers=2, out=tmp_path / "s.csv")
    assert result["outcome"].tolist() == ["stopped", "stopped", "failed", "failed"]
    assert result["reason"][2:].tolist() == ["RuntimeError: two lines"] * 2
    assert np.isnan(result["training_loss"][2:]).all()


def test_a_worker_that_dies_over_a_run_costs_that_run_only(trouble):
    experiment = set_path(quick(steps=3), "methods[0].optimizer", "trouble")
    result = sweep(experiment, ["kind=none,exit", "seed=0..1"], workers=2)
    assert result["outcome"].tolist() == ["stopped", "stopped", "failed", "failed"]
    assert set(result["reason"][2:]) == {"its worker was lost 3 times: a worker process ended with exit code 7"}


def test_an_executor_that_breaks_ends_the_sweep_with_what_is_done_recorded(tmp_path):
    executor = ThreadPoolExecutor(1)
    out, made = tmp_path / "s.csv", []

    def close(result: Result) -> None:
        made.append(result)
        executor.shutdown(cancel_futures=True)

    with pytest.raises(WorkersGone, match=r"the workers are gone \(cannot schedule .*\); \d of 12 runs are done"):
        sweep(quick(), AXES, executor, out, progress=close)
    assert 1 <= len(made) < 12
    assert len(made) <= len(rows_of(out)) < 12
    assert len(sweep(quick(), AXES, out=out, workers=1)["index"]) == 12


def test_killing_the_workers_ends_them_at_once():
    executor = Processes(2)
    futures = [executor.submit(time.sleep, 60) for _ in range(4)]
    while not all(future.running() for future in futures[:2]):
        time.sleep(0.01)
    began = time.perf_counter()
    executor.kill()
    assert time.perf_counter() - began < 5
    assert all(future.done() for future in futures)
    assert isinstance(futures[0].exception(), WorkerDied)
    with pytest.raises(RuntimeError):
        executor.submit(time.sleep, 1)


def test_what_a_worker_cannot_send_back_is_an_error_of_that_task():
    with Processes(1) as executor:
        assert isinstance(executor.submit(memoryview, b"").exception(), Exception)
        assert executor.submit(abs, -3).result() == 3
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result()


# ---- the record


def test_the_record_has_one_row_per_run_in_order_with_its_settings(tmp_path, expected):
    out = tmp_path / "sweep.csv"
    result = sweep(quick(), AXES, workers=2, out=out)
    rows = rows_of(out)
    assert [int(row["index"]) for row in rows] == list(range(12))
    assert [float(row["lr"]) for row in rows] == expected["lr"].tolist()
    assert [float(row["validation_loss"]) for row in rows] == expected["validation_loss"].tolist()
    assert len({row["sweep"] for row in rows}) == 1
    assert same(result, expected)
    assert list(tmp_path.iterdir()) == [out]


def test_a_finished_record_is_read_and_nothing_is_run_again(tmp_path, expected):
    out = tmp_path / "sweep.csv"
    sweep(quick(), AXES, workers=1, out=out)
    before = out.read_bytes()
    made: list[Result] = []
    result = sweep(quick(), AXES, workers=2, out=out, progress=made.append)
    assert made == []
    assert out.read_bytes() == before
    assert same(result, expected)


@pytest.mark.parametrize("cut", ["nothing", "a letter", "half a line", "a line", "the header", "half the header"])
def test_a_sweep_goes_on_where_its_record_ends(tmp_path, expected, cut):
    out = tmp_path / "sweep.csv"
    sweep(quick(), AXES, workers=1, out=out)
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    kept = {
        "nothing": whole,
        "a letter": whole[:-1],
        "half a line": b"".join(lines[:5]) + lines[5][: len(lines[5]) // 2],
        "a line": b"".join(lines[:9]),
        "the header": b"",
        "half the header": lines[0][:20],
    }[cut]
    out.write_bytes(kept)
    made: list[Result] = []
    result = sweep(quick(), AXES, workers=1, out=out, progress=made.append)
    known = max(kept.count(b"\n") - 1, 0)
    assert len(made) == 12 - known
    assert same(result, expected)
    assert out.read_bytes().startswith(b"".join(lines[: known + 1]))
    assert [int(row["index"]) for row in rows_of(out)] == list(range(12))


def test_rows_in_any_order_are_put_in_order_at_the_end(tmp_path, expected):
    out = tmp_path / "sweep.csv"
    sweep(quick(), AXES, workers=1, out=out)
    header, *lines = out.read_text().splitlines(keepends=True)
    out.write_text(header + "".join([lines[7], lines[2], lines[11]]))
    assert same(sweep(quick(), AXES, workers=1, out=out), expected)
    assert [int(row["index"]) for row in rows_of(out)] == list(range(12))
    assert out.read_text().splitlines(keepends=True)[8] == lines[7]


def test_failed_runs_are_tried_again(trouble, tmp_path):
    experiment = set_path(quick(steps=3), "methods[0].optimizer", "trouble")
    out = tmp_path / "s.csv"
    axes = ["kind=error,none"]
    sweep(experiment, axes, workers=1, out=out)
    text = out.read_text()
    made: list[Result] = []
    sweep(experiment, axes, workers=1, out=out, progress=made.append)
    assert [result.outcome for result in made] == ["failed"]
    assert len(rows_of(out)) == 2
    assert text.splitlines()[2] == out.read_text().splitlines()[2]


@pytest.mark.parametrize(
    ("experiment", "axes", "message"),
    [
        (quick(**{"problem.l2": 0.5}), AXES, "the experiment changed since then"),
        (quick(), {**AXES, "lr": [0.1, 0.5]}, "the axes changed"),
        (quick(), {**AXES, "lr": [0.1, 0.5, 2.0, 3.0]}, "the axes changed"),
        (quick(), {**AXES, "lr": [0.1, 0.5, 2.5]}, "the axes changed"),
        (quick(seed=7), {**AXES, "seed": "0..4"}, "the experiment and the axes changed"),
        (quick(), {"lr": [0.1]}, "its axes are lr, seed, steps, and now lr"),
        (quick(), {"l2": [0.1], "seed": "0..3", "steps": 40}, "its axes are lr, seed, steps, and now l2, seed, steps"),
    ],
)
def test_the_record_of_another_sweep_is_refused_and_left_alone(tmp_path, experiment, axes, message):
    out = tmp_path / "sweep.csv"
    sweep(quick(), AXES, workers=1, out=out)
    before = out.read_bytes()
    with pytest.raises(SpecError, match=rf"sweep\.csv: is the record of another sweep: {message}"):
        sweep(experiment, axes, workers=1, out=out)
    assert out.read_bytes() == before


def test_a_changed_plug_in_makes_another_sweep(trouble, tmp_path):
    experiment = set_path(quick(steps=3), "methods[0].optimizer", "trouble")
    sweep(experiment, ["seed=0..1"], workers=1, out=tmp_path / "s.csv")
    trouble.write_text(TROUBLE + "\n# better\n")
    plugins.load_file(trouble)
    with pytest.raises(SpecError, match="a plug-in changed since then"):
        sweep(experiment, ["seed=0..1"], workers=1, out=tmp_path / "s.csv")


def test_a_changed_data_file_makes_another_sweep_and_a_moved_one_does_not(tmp_path, monkeypatch):
    table = "a,b,kind\n" + "".join(f"{n},{n * n % 7},{'uv'[n % 2]}\n" for n in range(12))
    (tmp_path / "t.csv").write_text(table)
    experiment = set_path(quick(steps=3), "problem.data", {"name": "csv", "path": str(tmp_path / "t.csv")})
    sweep(experiment, ["seed=0..1"], workers=2, out=tmp_path / "s.csv")
    monkeypatch.chdir(tmp_path)
    moved = set_path(experiment, "problem.data.path", "t.csv")
    assert set(sweep(moved, ["seed=0..1"], workers=1, out=tmp_path / "s.csv")["outcome"]) == {"stopped"}
    (tmp_path / "t.csv").write_text(table.replace("0,0,u", "9,9,u"))
    with pytest.raises(SpecError, match="the experiment changed"):
        sweep(moved, ["seed=0..1"], workers=1, out=tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "exists, and is not the record of a sweep"),
        ("just words", "exists, and is not the record of a sweep"),
        ("{header}\n{row},1\n", r"line 2: expected 16 columns, got 17"),
        ("{header}\n{row}\n{row}\n", "line 3: run 3 stands there twice"),
        ("{header}\n{row_99}\n", r"line 2: index: expected 0 \.\. 11, got '99'"),
        ("{header}\n{row_bad}\n", "line 2: .*steps_made"),
    ],
)
def test_a_file_that_is_no_record_is_refused_and_left_alone(tmp_path, content, message):
    out = tmp_path / "sweep.csv"
    sweep(quick(), AXES, workers=1, out=out)
    header, *lines = out.read_text().splitlines()
    row = lines[3]
    cells = row.split(",")
    row_99 = ",".join([cells[0], "99", *cells[2:]])
    row_bad = ",".join([*cells[:7], "many", *cells[8:]])
    out.write_text(content.format(header=header, row=row, row_99=row_99, row_bad=row_bad))
    before = out.read_bytes()
    with pytest.raises(SpecError, match=message):
        sweep(quick(), AXES, workers=1, out=out)
    assert out.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked on Windows")
def test_two_sweeps_cannot_write_one_record(tmp_path):
    out = tmp_path / "sweep.csv"
    with Sweep(quick(), AXES, out), pytest.raises(SpecError, match="another sweep is writing to it"):
        Sweep(quick(), AXES, out)
    assert sweep(quick(), AXES, workers=1, out=out).complete


def test_a_record_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(SpecError, match="the folder does not exist"):
        sweep(quick(), AXES, out=tmp_path / "no" / "s.csv")
    with pytest.raises(SpecError, match="cannot be written: it is a folder"):
        sweep(quick(), AXES, out=tmp_path)


def test_a_full_disk_is_an_error_and_leaves_no_half_row(tmp_path, monkeypatch):
    out, write = tmp_path / "sweep.csv", os.write

    def full_at_the_fourth(file: int, data: bytes) -> int:
        return write(file, data if out.read_bytes().count(b"\n") < 3 else data[:10])

    monkeypatch.setattr(os, "write", full_at_the_fourth)
    with pytest.raises(SpecError, match=r"sweep\.csv: cannot be written: No space left on device"):
        sweep(quick(), AXES, workers=1, out=out)
    monkeypatch.undo()
    assert out.read_bytes().endswith(b"\n")
    assert len(rows_of(out)) == 2
    assert sweep(quick(), AXES, workers=1, out=out).complete


def test_a_setting_named_like_a_result_is_headed_by_its_path(tmp_path):
    result = sweep(quick(), ["gradient_norm=0,1e-3", "steps=5"], workers=1)
    assert result.axes == ("stop.gradient_norm", "steps")
    assert result["stop.gradient_norm"].tolist() == [0.0, 0.001]


# ---- where it runs, names and docstrings


def test_a_missing_dask_is_said_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'nnopt\[cluster\]'"):
        sweep(quick(), ["seed=0..1"], cluster="tcp://127.0.0.1:1")


def test_one_place_to_run_is_enough():
    with pytest.raises(SettingsError, match="expected one of executor, workers and cluster"):
        sweep(quick(), ["seed=0..1"], workers=2, cluster="tcp://127.0.0.1:1")
    with pytest.raises(SettingsError, match="workers: expected a whole number >= 1, got 0"):
        sweep(quick(), ["seed=0..1"], workers=0)


def test_the_names_are_public():
    assert nnopt.sweep is sweep
    assert nnopt.SweepResult is SweepResult
    assert Optimizer.registry.names()


@pytest.mark.parametrize(
    "module", [sweep_module, sweep_axes, sweep_values, sweep_plan, sweep_task, processes, cluster, tasks]
)
def test_the_examples_in_the_docstrings_run(module):
    assert doctest.testmod(module).failed == 0
