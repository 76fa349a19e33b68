"""Early stopping in files, at paths of settings, in sweeps and on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from early_runs import overfitting

from nnopt.cli import main
from nnopt.errors import SettingsError, SpecError
from nnopt.optimizers.stopping import EarlyStopping
from nnopt.runs.changes import SetSetting, describe
from nnopt.runs.experiment import (
    Measure,
    Stop,
    default_experiment,
    dumps,
    load,
    loads,
    save,
    set_path,
)
from nnopt.runs.paths import get_path, switched_on
from nnopt.runs.run import Run
from nnopt.runs.sweep import sweep

# ---- the spec


def test_files_keep_the_rule_and_older_ones_have_none():
    experiment = overfitting(EarlyStopping(patience=7, minimum_improvement=0.25))
    text = dumps(experiment)
    assert loads(text) == experiment
    older = json.loads(text)
    del older["stop"]["early"]
    assert loads(json.dumps(older)).stop.early is None
    older["stop"]["early"] = {}
    assert loads(json.dumps(older)).stop.early == EarlyStopping()


@pytest.mark.parametrize(
    ("early", "message"),
    [
        ({"patience": 0}, "stop.early.patience: expected a whole number >= 1, got 0"),
        ({"patience": 2.5}, "stop.early.patience: expected a whole number, got 2.5"),
        ({"minimum_improvement": -1}, "stop.early.minimum_improvement: expected a number >= 0, got -1"),
        ({"patients": 5}, "stop.early.patients: unknown field 'patients'; did you mean 'patience'?"),
        ("on", 'stop.early: expected an object {...} or null, got "on"'),
        (20, "stop.early: expected an object {...} or null, got 20"),
    ],
)
def test_a_rule_that_is_none_is_refused_and_its_place_named(early, message):
    document = json.loads(dumps(overfitting()))
    document["stop"]["early"] = early
    with pytest.raises(SpecError) as in_file:
        loads(json.dumps(document), "e.json")
    assert str(in_file.value).startswith(f"e.json: at $.{message}")
    with pytest.raises(SettingsError) as at_path:
        set_path(overfitting(), "stop.early", early)
    assert str(at_path.value).startswith(message)


def test_only_a_rule_may_stand_in_its_place():
    with pytest.raises(SettingsError, match=r"Stop\.early: expected EarlyStopping, got 20"):
        Stop(early=20)
    with pytest.raises(SettingsError, match="expected EarlyStopping, got Measure"):
        set_path(overfitting(), "stop.early", Measure())


def test_settings_of_what_is_off_cannot_be_had_and_are_there_once_it_is_on():
    off = default_experiment()
    for touch in (lambda: get_path(off, "stop.early.patience"), lambda: set_path(off, "stop.early.patience", 5)):
        with pytest.raises(SettingsError, match=r"stop\.early\.patience: stop\.early is none"):
            touch()
    on = switched_on(off, "stop.early.patience")
    assert on.stop.early == EarlyStopping()
    assert switched_on(on, "stop.early.patience") is on
    assert switched_on(off, "stop.earl.patience") is switched_on(off, "methods[3].optimizer.lr") is off


def test_switching_it_reads_as_on_and_off():
    off, on = default_experiment(), set_path(default_experiment(), "stop.early", {})
    assert describe(SetSetting("stop.early", EarlyStopping()), off) == "early stopping off → on"
    assert describe(SetSetting("stop.early", None), on) == "early stopping on → off"
    assert describe(SetSetting("stop.early.patience", 5), on) == "patience 20 → 5"
    assert describe(SetSetting("stop.early", {"patience": 5}), on) == "early stopping patience 20 → 5"


# ---- sweeps and the command line


def test_a_sweep_over_a_setting_of_the_rule_switches_it_on_and_keeps_last_and_best_values(tmp_path):
    out = tmp_path / "sweep.csv"
    table = sweep(overfitting(None), ["stop.early.patience=3,20", "seed=42"], out=out, workers=1)
    assert table["outcome"].tolist() == ["stopped_early", "stopped_early"]
    for row, patience in enumerate((3, 20)):
        run = Run(set_path(overfitting(), "stop.early.patience", patience))
        run.advance(2000)
        best = run.history.best
        assert table["steps_made"][row] == run.state.step
        assert table["validation_loss"][row] == run.problem.validation_value(run.state.theta)
        assert (table["best_step"][row], table["best_validation_loss"][row]) == best
    again = sweep(overfitting(None), ["stop.early.patience=3,20", "seed=42"], out=out, workers=1)
    assert again["best_step"].tolist() == table["best_step"].tolist()
    assert again["seconds"].tolist() == table["seconds"].tolist()


def test_the_best_run_of_a_sweep_is_judged_by_the_state_that_it_keeps():
    table = sweep(overfitting(None, steps=600), ['stop.early=none,{"patience":20}'], workers=1)
    assert table["outcome"].tolist() == ["stopped", "stopped_early"]
    assert table["best_step"][0] == table["best_step"][1]
    assert table["best_validation_loss"][1] < table["validation_loss"].min()
    assert table.best == 1


def test_a_sweep_says_which_of_its_combinations_cannot_be():
    with pytest.raises(SettingsError, match=r"stop\.early\.patience: stop\.early is none"):
        sweep(overfitting(), ["stop.early={},none", "stop.early.patience=3,20"], workers=1)
    with pytest.raises(SettingsError, match=r"stop\.early\.patience=0: .*expected a whole number >= 1, got 0"):
        sweep(overfitting(None), ["stop.early.patience=0"], workers=1)


def test_without_held_out_examples_a_sweep_has_no_best_state_and_an_early_one_fails_with_its_reason(tmp_path):
    out = tmp_path / "sweep.csv"
    experiment = set_path(overfitting(None, steps=20), "problem.validation", 0.0)
    for _ in range(2):
        table = sweep(experiment, ["stop.early=none,{}"], out=out, workers=1)
        assert table["outcome"].tolist() == ["stopped", "failed"]
        assert np.isnan(table["best_step"]).all()
        assert np.isnan(table["best_validation_loss"]).all()
        assert "no example is held out" in table["reason"][1]


def test_the_command_line_says_what_holds_and_how_it_ended(tmp_path, capsys):
    file = tmp_path / "early.json"
    save(overfitting(EarlyStopping(patience=20, minimum_improvement=0.001)), file)
    assert main(["check", str(file)]) == 0
    assert "  early stopping: patience 20, minimum improvement 0.001\n" in capsys.readouterr().out
    assert main(["run", str(file)]) == 0
    said = capsys.readouterr().out
    run = Run(load(file))
    run.advance(2000)
    best = run.history.best
    assert f"outcome:         {run.outcome.reason}\n" in said
    assert f"best validation: {best.validation_loss:.6g} at step {best.step:,}\n" in said

    save(set_path(load(file), "problem.validation", 0.0), file)
    for command in ("check", "run"):
        assert main([command, str(file)]) == 1
        assert "early stopping watches the validation loss, and here is none" in capsys.readouterr().err
