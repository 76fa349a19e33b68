"""What the window marks as plateaus of a run."""

from __future__ import annotations

import numpy as np

from nnopt.runs.changes import MoveTo, SetSetting
from nnopt.runs.experiment import default_experiment, set_path
from nnopt.runs.run import Run
from nnopt_gui.shell.plateau_watch import _Trackers


def marked(run: Run) -> tuple:
    (found,) = _Trackers().look(run.history, run.history.length, False)
    return found


def test_a_plateau_and_the_flat_end_are_marked():
    run = Run(default_experiment())
    run.advance(1500)
    assert [plateau.escaped for plateau in marked(run)] == [True, False]


def test_a_loss_that_swings_high_above_its_start_is_not_called_flat():
    run = Run(set_path(default_experiment(), "methods[0].optimizer.lr", 100.0))
    run.advance(600)
    assert np.median(run.history.columns["loss"]) > 10 * run.history.columns["loss"][0]
    assert marked(run) == ()


def test_nor_is_it_after_the_learning_rate_was_raised_far_too_high():
    run = Run(default_experiment())
    run.advance(600)
    run.intervene(SetSetting("methods[0].optimizer.lr", 100.0))
    run.advance(600)
    assert all(plateau.stop <= 600 for plateau in marked(run))


def test_a_stretch_is_judged_by_where_the_point_was_put():
    run = Run(default_experiment())
    run.advance(600)
    run.intervene(MoveTo(tuple(np.full(run.problem.size, 5.0))))
    run.intervene(SetSetting("methods[0].optimizer.lr", 1e-9))
    run.advance(600)
    assert run.history.row(600)["loss"] > 2 * run.history.row(0)["loss"]
    last = marked(run)[-1]
    assert abs(last.start - 600) < 20
    assert (last.stop, last.escaped) == (1201, False)
