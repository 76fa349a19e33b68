"""The controller without a window: what playing, stepping and every edit do to model and worker."""

from __future__ import annotations

import time

import numpy as np
import pytest
from laboratory import valley

from nnopt import optimizers
from nnopt.objectives import functions
from nnopt.runs.experiment import Experiment, FunctionProblem, Method
from nnopt_gui.shell.status import Status

# ------------------------------------------------------------------------------------------------ playing and stepping


def test_play_trains_and_pause_stops(lab):
    lab.controller.transport.play()
    assert lab.model.playing
    lab.frames(lambda: lab.model.head > 20)
    lab.controller.transport.pause()
    lab.frames()
    head = lab.model.head
    time.sleep(0.02)
    lab.controller.frame()
    assert lab.model.head == head
    assert not lab.model.playing


def test_a_step_forward_at_the_head_is_one_update(lab):
    lab.controller.transport.step(1)
    lab.frames(lambda: lab.model.cursor == 1)
    assert lab.model.head == 1


def test_a_step_back_moves_the_cursor_only(lab):
    lab.to(10)
    lab.controller.transport.step(-1)
    assert (lab.model.cursor, lab.model.head) == (9, 10)
    lab.controller.transport.step(1)
    lab.frames()
    assert (lab.model.cursor, lab.model.head) == (10, 10)


def test_ten_steps_forward_across_the_head_make_what_is_missing(lab):
    lab.to(10)
    lab.controller.transport.seek(4)
    lab.controller.transport.step(10)
    lab.frames(lambda: lab.model.head == 14)
    assert lab.model.cursor == 14


def test_home_and_end(lab):
    lab.to(10)
    lab.controller.transport.home()
    assert lab.model.cursor == 0
    lab.controller.transport.end()
    assert lab.model.cursor == 10


def test_stepping_while_playing_pauses(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 20)
    lab.controller.transport.step(-1)
    lab.frames()
    assert not lab.model.playing
    assert lab.model.cursor < lab.model.head or not lab.model.following


def test_play_from_the_past_shows_the_recorded_log_and_then_trains_on(lab):
    lab.to(30)
    lab.controller.transport.seek(5)
    lab.controller.transport.set_speed(100.0)
    lab.panel.shown.clear()
    lab.controller.transport.play()
    for _ in range(10):
        lab.controller.frame(0.016)
    assert lab.controller.transport.replaying
    assert 5 < lab.model.cursor < 30
    assert lab.model.head == 30
    lab.frames(lambda: lab.model.head > 32)
    assert lab.model.following
    cursors = [view.cursor for view in lab.panel.shown]
    assert cursors == sorted(cursors)


def test_flat_out_from_the_past_jumps_to_the_head(lab):
    lab.to(30)
    lab.controller.transport.seek(5)
    lab.controller.transport.set_speed(None)
    lab.controller.transport.play()
    assert lab.model.cursor >= 30
    lab.frames(lambda: lab.model.head > 30)


def test_scrubbing_while_training_stops_it(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 20)
    lab.controller.transport.seek(3)
    lab.frames()
    assert (lab.model.cursor, lab.model.playing) == (3, False)


def test_it_pauses_at_the_budget_says_so_and_play_extends_it(lab):
    lab.controller.transport.play()
    lab.frames(lambda: not lab.model.playing)
    assert lab.model.head == 500
    assert "500 updates are made" in lab.notices[-1][1]
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 500)
    assert lab.model.limit == 1000
    assert lab.model.history.interventions == ()


@pytest.mark.parametrize(
    ("name", "start", "kind", "said"),
    [
        ("saddle", (1.0, 0.5), "warning", "a saddle"),
        ("himmelblau", (0.0, 0.0), "warning", "a maximum"),
        ("booth", (0.0, 0.0), "info", "a minimum"),
    ],
)
def test_only_a_minimum_is_good_news_where_a_run_converges(lab, name, start, kind, said):
    newton = Method(optimizers.get("newton")())
    experiment = Experiment(FunctionProblem(functions.get(name), start), (newton,), steps=50)
    lab.controller.editing.start(experiment, "newton", play=True)
    lab.frames(lambda: lab.notices)
    assert lab.notices[0][0] == kind
    assert said in lab.notices[0][1]
    entries = Status(lab.model, None).entries(lab.model.history)
    assert ("converged" if kind == "info" else f"converged: {said}") in entries


def test_a_diverged_run_says_why_and_play_says_what_to_do(lab):
    lab.controller.editing.start(valley(lr=1.0), "too fast", play=True)
    lab.frames(lambda: lab.notices)
    assert lab.notices[0][0] == "warning"
    assert "diverged at step" in lab.notices[0][1]
    lab.controller.transport.play()
    assert "start again" in lab.notices[-1][1]
    assert not lab.model.playing


# --------------------------------------------------------------------------------------------------- edits, new runs


def test_a_setting_of_the_method_is_an_intervention_at_the_cursor(lab):
    lab.to(10)
    lab.controller.editing.set("methods[0].optimizer.lr", 0.5)
    lab.frames(lambda: lab.model.history.interventions)
    assert lab.model.history.interventions[0].step == 10
    assert lab.model.head == 10
    assert lab.controller.undo_list.undo_label == "learning rate 0.1 → 0.5"


def test_an_edit_in_the_past_replaces_the_future_and_undo_brings_it_back(lab):
    lab.to(30)
    before = lab.model.run
    lab.controller.transport.seek(12)
    lab.controller.editing.set("problem.l2", 0.01)
    lab.frames(lambda: lab.model.run is not before)
    assert lab.model.head == 12
    lab.to(20)
    lab.controller.editing.undo()
    lab.frames(lambda: lab.model.run is before)
    assert (lab.model.head, lab.model.cursor) == (30, 12)
    lab.controller.editing.redo()
    lab.frames(lambda: lab.model.run is not before)
    assert (lab.model.head, lab.model.cursor) == (20, 20)
    assert lab.model.experiment.problem.l2 == 0.01


@pytest.mark.parametrize(
    ("path", "value"),
    [("seed", 7), ("problem.validation", 0.2), ("problem.network.hidden", (5,)), ("problem.loss", "squared_error")],
)
def test_what_a_run_starts_from_makes_a_new_run_and_undo_brings_the_old_one_back(lab, path, value):
    from nnopt.runs.experiment import get_path

    lab.to(15)
    before = lab.model.run
    lab.controller.editing.set(path, value)
    lab.frames(lambda: lab.model.run is not before)
    assert lab.model.head == 0
    assert get_path(lab.model.experiment, path) == value
    lab.controller.editing.undo()
    lab.frames(lambda: lab.model.run is before)
    assert lab.model.head == 15


def test_a_new_run_goes_on_playing_if_the_old_one_did(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 20)
    number = lab.model.number
    lab.controller.editing.reseed(9)
    lab.frames(lambda: lab.model.number != number and lab.model.head > 20)
    assert lab.model.playing
    assert lab.model.experiment.seed == 9


def test_a_new_seed_differs_and_a_reset_does_not(lab):
    lab.to(10)
    seed = lab.model.experiment.seed
    first = lab.model.history.seek(0).theta
    number = lab.model.number
    lab.controller.editing.reset()
    lab.frames(lambda: lab.model.number != number)
    assert lab.model.head == 0
    assert np.array_equal(lab.model.history.seek(0).theta, first)
    lab.controller.editing.reseed()
    lab.frames(lambda: lab.model.experiment.seed != seed)
    assert not np.array_equal(lab.model.history.seek(0).theta, first)


def test_a_dragged_point_is_a_probe_until_it_is_let_go(lab):
    lab.to(5)
    theta = np.zeros(lab.model.run.state.theta.size)
    lab.say("probe", theta=theta)
    lab.controller.frame()
    assert lab.panel.shown[-1].probe
    assert np.array_equal(lab.panel.shown[-1].state.theta, theta)
    assert not np.array_equal(lab.model.run.state.theta, theta)
    lab.say("move_to", theta=theta)
    lab.frames(lambda: lab.model.history.interventions)
    assert np.array_equal(lab.model.run.state.theta, theta)
    assert not lab.panel.shown[-1].probe


def test_dragging_while_it_plays_pauses(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 5)
    lab.say("probe", theta=np.zeros(lab.model.run.state.theta.size))
    assert not lab.model.playing


def test_a_drag_given_up_changes_nothing(lab):
    lab.to(5)
    lab.say("probe", theta=np.zeros(lab.model.run.state.theta.size))
    lab.say("probe", theta=None)
    lab.frames()
    assert not lab.panel.shown[-1].probe
    assert lab.model.history.interventions == ()


def test_examples_are_added_moved_and_removed_and_all_of_it_is_undone(lab):
    examples = lab.model.history.problem.dataset.n
    lab.say("add_example", x=(0.5, -0.5), y=1)
    lab.frames(lambda: lab.model.history.problem.dataset.n == examples + 1)
    lab.say("move_example", index=3, x=np.array([1.0, 2.0]))
    lab.frames(lambda: tuple(lab.model.history.problem.dataset.X[3]) == (1.0, 2.0))
    lab.say("remove_example", index=3)
    lab.frames(lambda: lab.model.history.problem.dataset.n == examples)
    for _ in range(3):
        lab.controller.editing.undo()
    lab.frames()
    assert lab.model.history.problem.dataset.n == examples
    assert lab.model.history.interventions == ()


def test_a_slider_dragged_at_one_step_leaves_one_intervention_and_one_undo(lab):
    lab.to(5)
    for value in np.linspace(0.2, 0.4, 15):
        lab.controller.editing.set("methods[0].optimizer.lr", float(value))
        lab.controller.frame()
    lab.frames(lambda: lab.model.experiment.methods[0].optimizer.lr == pytest.approx(0.4))
    assert len(lab.model.history.interventions) == 1
    lab.controller.editing.undo()
    lab.frames(lambda: lab.model.experiment.methods[0].optimizer.lr == 0.1)
    assert lab.model.history.interventions == ()


def test_a_slider_dragged_while_it_plays_is_one_undo(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 5)
    for value in np.linspace(0.2, 0.4, 5):
        lab.controller.editing.set("methods[0].optimizer.lr", float(value))
        for _ in range(3):
            lab.controller.frame()
            time.sleep(0.005)
    lab.controller.transport.pause()
    lab.frames(lambda: lab.model.experiment.methods[0].optimizer.lr == pytest.approx(0.4) and lab.controller.idle)
    lab.controller.editing.undo()
    lab.frames()
    assert lab.model.history.interventions == ()


def test_undo_right_after_an_edit_undoes_that_edit(lab):
    lab.to(5)
    lab.controller.editing.set("problem.l2", 0.5)
    lab.controller.editing.undo()
    lab.frames()
    assert lab.model.experiment.problem.l2 == 0.0


def test_an_edit_that_is_not_valid_is_said_and_changes_nothing(lab):
    number = lab.model.number
    lab.controller.editing.set("methods[0].optimizer.lr", -1.0)
    lab.controller.editing.set("problem.network.activation", "sinus")
    lab.frames()
    assert len(lab.notices) == 2
    assert all(kind == "error" for kind, _, _ in lab.notices)
    assert lab.model.number == number


def test_the_budget_can_be_set_and_that_can_be_undone(lab):
    lab.controller.editing.set("steps", 50)
    lab.controller.transport.play()
    lab.frames(lambda: not lab.model.playing)
    assert lab.model.head == 50
    lab.controller.editing.undo()
    lab.frames()
    assert lab.model.limit == 500


def test_an_undone_run_beyond_the_memory_budget_is_replayed(lab):
    lab.controller.undo_list._budget = 0
    lab.to(25)
    theta = lab.model.run.state.theta
    lab.controller.editing.reseed(5)
    lab.frames(lambda: lab.model.experiment.seed == 5)
    lab.controller.editing.undo()
    lab.frames(lambda: lab.model.head == 25 and lab.model.experiment.seed == 1)
    assert np.array_equal(lab.model.run.state.theta, theta)
    lab.controller.editing.redo()
    lab.frames(lambda: lab.model.experiment.seed == 5)
