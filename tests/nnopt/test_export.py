"""Tables for other programs: what is read back is what was logged, bit for bit."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from nnopt.errors import SpecError
from nnopt.objectives import functions
from nnopt.optimizers import get
from nnopt.runs import export
from nnopt.runs.changes import SetSetting
from nnopt.runs.experiment import default_experiment, load_recording, loads, set_path
from nnopt.runs.export import save_columns, save_histories, save_history
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Run
from nnopt.runs.state import Memory
from nnopt.runs.sweep import sweep


@pytest.fixture
def run() -> Run:
    run = Run(default_experiment())
    run.advance(10)
    run.intervene(SetSetting("methods[0].optimizer.lr", 0.25))
    run.advance(15)
    return run


def rows_of(path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def numbers(rows, name: str) -> list[float]:
    return [float(row[name] or "nan") for row in rows]


def test_a_csv_holds_every_column_bit_for_bit(tmp_path, run):
    save_history(run.history, tmp_path / "run.csv")
    rows = rows_of(tmp_path / "run.csv")
    assert list(rows[0]) == list(run.history.columns)
    for name, column in run.history.columns.items():
        np.testing.assert_array_equal(numbers(rows, name), column)
    assert rows[1]["validation_loss"] == ""
    assert list(tmp_path.iterdir()) == [tmp_path / "run.csv"]


def test_an_npz_holds_every_column_the_parameters_and_the_run_itself(tmp_path, run):
    save_history(run.history, tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as arrays:
        for name, column in run.history.columns.items():
            np.testing.assert_array_equal(arrays[name], column)
        np.testing.assert_array_equal(arrays["theta"], run.history.theta)
        np.testing.assert_array_equal(arrays["theta_step"], np.arange(26))
        assert str(arrays["outcome"]) == "running"
        recording = loads(str(arrays["recording"]))
        text = str(arrays["recording"])
    assert recording == default_experiment()
    (tmp_path / "session.json").write_text(text)
    again = Run.replay(load_recording(tmp_path / "session.json"))
    assert again.state.same_bits(run.state)


def test_a_run_that_was_changed_before_its_first_step_can_be_done_again_too(tmp_path):
    run = Run(default_experiment())
    run.intervene(SetSetting("methods[0].optimizer", "momentum"))
    run.advance(5)
    save_history(run.history, tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as arrays:
        (tmp_path / "s.json").write_text(str(arrays["recording"]))
    assert Run.replay(load_recording(tmp_path / "s.json")).state.same_bits(run.state)


def test_parameters_are_columns_of_a_csv_when_asked_for(tmp_path, run):
    save_history(run.history, tmp_path / "run.csv", thetas=True)
    rows = rows_of(tmp_path / "run.csv")
    found = np.array([numbers(rows, f"theta[{place}]") for place in range(33)]).T
    np.testing.assert_array_equal(found, run.history.theta)
    save_history(run.history, tmp_path / "run.npz", thetas=False)
    with np.load(tmp_path / "run.npz") as arrays:
        assert "theta" not in arrays


def test_a_thinned_log_is_written_with_the_parameters_of_its_own_rows(tmp_path):
    run = Run(set_path(default_experiment(), "steps", 300), memory=Memory(rows=64, keyframes=2**12, recent=2**12))
    run.advance(300)
    save_history(run.history, tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as arrays:
        steps = arrays["step"].tolist()
        assert len(steps) < 300
        assert arrays["theta_step"].tolist() == steps
        for step, theta in zip(steps, arrays["theta"], strict=True):
            np.testing.assert_array_equal(theta, run.history.seek(step).theta)


def test_parameters_beyond_the_limit_are_written_of_fewer_steps(tmp_path, run, monkeypatch):
    monkeypatch.setattr(export, "MAX_THETAS", 8 * 33 * 10)
    save_history(run.history, tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as arrays:
        assert arrays["theta_step"].tolist() == [0, 4, 8, 12, 16, 20, 24]
        np.testing.assert_array_equal(arrays["theta"], run.history.theta[::4])


def test_the_methods_of_an_experiment_share_a_file(tmp_path):
    experiment = set_path(default_experiment(), "methods", [{"optimizer": "sgd"}, {"optimizer": "adam"}])
    runs = [Run(experiment, method=method) for method in range(2)]
    for run in runs:
        run.advance(3)
    histories = [run.history for run in runs]
    save_histories(histories, tmp_path / "both.csv")
    assert [row["method"] for row in rows_of(tmp_path / "both.csv")] == ["0"] * 4 + ["1"] * 4
    save_histories(histories, tmp_path / "both.npz")
    with np.load(tmp_path / "both.npz") as arrays:
        np.testing.assert_array_equal(arrays["1/theta"], runs[1].history.theta)
        np.testing.assert_array_equal(arrays["0/loss"], runs[0].history.columns["loss"])


def test_a_history_of_minimize_has_no_experiment(tmp_path):
    history = minimize(functions.get("rosenbrock"), get("newton")(), steps=10)
    save_history(history, tmp_path / "h.npz")
    with np.load(tmp_path / "h.npz") as arrays:
        assert "recording" not in arrays
        assert str(arrays["outcome"]) == "converged"
        np.testing.assert_array_equal(arrays["theta"], history.theta)


def test_a_sweep_is_saved_as_both_kinds_of_table(tmp_path):
    result = sweep(default_experiment(), ["lr=0.1,0.5", "hidden=2,3-2", "steps=3"], workers=1)
    save_columns(result, tmp_path / "s.csv")
    save_columns(result, tmp_path / "s.npz")
    rows = rows_of(tmp_path / "s.csv")
    assert [row["hidden"] for row in rows] == ["2", "3-2"] * 2
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert list(arrays) == list(result)
        for name in result:
            np.testing.assert_array_equal(arrays[name], result[name])
        np.testing.assert_array_equal(arrays["training_loss"], numbers(rows, "training_loss"))


@pytest.mark.parametrize("name", ["run.txt", "run", "run.csv.gz"])
def test_other_suffixes_are_refused(tmp_path, run, name):
    with pytest.raises(SpecError, match=r"expected a file ending in \.csv or \.npz"):
        save_history(run.history, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path, run, suffix):
    with pytest.raises(SpecError, match=r"cannot be written: No such file or directory"):
        save_history(run.history, tmp_path / "no" / f"run{suffix}")
    (tmp_path / f"taken{suffix}").mkdir()
    with pytest.raises(SpecError, match="cannot be written"):
        save_history(run.history, tmp_path / f"taken{suffix}")
    assert list(tmp_path.iterdir()) == [tmp_path / f"taken{suffix}"]


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_a_table_is_written_through_a_link(tmp_path, run, suffix):
    real, link = tmp_path / f"real{suffix}", tmp_path / f"link{suffix}"
    real.write_text("old")
    link.symlink_to(real)
    save_history(run.history, link)
    assert link.is_symlink()
    assert real.read_bytes() != b"old"
