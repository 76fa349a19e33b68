"""Interventions: what they do to a run, what is refused, and how they read."""

from __future__ import annotations

import numpy as np
import pytest
from run_strategies import momentum_experiment

from nnopt import optimizers
from nnopt.errors import DataError, NnoptError, SettingsError, ShapeError
from nnopt.objectives import datasets, functions
from nnopt.optimizers import batches, schedules
from nnopt.runs.changes import (
    AddExample,
    Intervention,
    MoveExample,
    MoveTo,
    RemoveExample,
    SetSetting,
    describe,
)
from nnopt.runs.experiment import Experiment, FunctionProblem, Method, NetworkProblem, set_path
from nnopt.runs.run import Run


@pytest.fixture
def run() -> Run:
    run = Run(momentum_experiment())
    run.advance(20)
    return run


def test_a_new_learning_rate_holds_from_its_step_on_and_momentum_is_kept(run):
    before = run.state
    made = run.intervene(SetSetting("methods[0].optimizer.lr", 0.5))
    assert made == Intervention(20, SetSetting("methods[0].optimizer.lr", 0.5))
    assert run.state.same_bits(before)
    assert run.history.row(20)["learning_rate"] == 0.5
    assert run.history.row(19)["learning_rate"] == 0.1
    velocity = run.history.stage_at(20).update(run.state).slots.velocity
    run.advance(1)
    assert run.state.theta == pytest.approx(before.theta - 0.5 * velocity, rel=1e-14)
    assert run.experiment.methods[0].optimizer.lr == 0.5


def test_another_method_starts_with_a_fresh_memory(run):
    run.intervene(SetSetting("methods[0].optimizer", {"name": "adam", "lr": 0.01}))
    assert run.state.slots.count == 0.0
    run.advance(5)
    assert run.state.slots.count == 5.0
    assert type(run.history.seek(19).slots) is not type(run.state.slots)


def test_moving_the_point_starts_the_method_anew_from_there(run):
    there = tuple(np.linspace(-1, 1, run.problem.size))
    before = run.history.row(20)
    run.intervene(MoveTo(there))
    assert run.state.step == 20
    assert run.state.theta.tolist() == list(there)
    assert not run.state.slots.velocity.any()
    row = run.history.row(20)
    assert row["loss"] == run.objective.value_and_gradient(np.array(there))[0]
    assert row["loss"] != before["loss"]
    assert row["step_norm"] == before["step_norm"]
    assert run.history.length == 21


def test_a_moved_point_may_revive_an_ended_run():
    run = Run(Experiment(FunctionProblem(functions.get("rosenbrock")), (Method(optimizers.SGD(lr=0.1)),)))
    run.advance(100)
    assert run.outcome.kind == "diverged"
    run.intervene(MoveTo((0.9, 0.9)))
    assert run.outcome.running
    run.intervene(MoveTo((1.0, 1.0)))
    assert run.outcome.kind == "converged"


def test_an_added_example_is_trained_on(run):
    before = run.problem
    run.intervene(AddExample((9.0, -9.0), 1))
    after = run.problem
    assert after.dataset.n == before.dataset.n + 1
    assert after.examples == before.examples + 1
    assert after.training[-1] == before.dataset.n
    assert after.dataset.X[-1].tolist() == [9.0, -9.0]
    assert after.dataset.y[-1] == 1
    assert run.history.row(20)["loss"] == after.objective.value_and_gradient(run.state.theta)[0]
    assert run.history.problem_at(19) is before


def test_a_moved_example_stays_in_its_part_of_the_data(run):
    for part, held in ((run.problem.training, False), (run.problem.validation, True)):
        index = int(part[3])
        before = run.history.row(20)
        run.intervene(MoveExample(index, (4.0, 4.0)))
        assert run.problem.dataset.X[index].tolist() == [4.0, 4.0]
        after = run.history.row(20)
        assert (after["loss"] == before["loss"]) == held
        assert (after["validation_loss"] == before["validation_loss"]) != held


def test_a_removed_example_is_gone_and_the_others_are_renumbered(run):
    before, index = run.problem, int(run.problem.training[5])
    run.intervene(RemoveExample(index))
    after = run.problem
    assert after.dataset.n == before.dataset.n - 1
    assert len(after.training) == len(before.training) - 1
    kept = np.delete(before.dataset.X, index, axis=0)
    assert np.array_equal(after.dataset.X, kept)
    assert np.array_equal(after.dataset.X[after.validation], before.dataset.X[before.validation])
    assert sorted([*after.training, *after.validation]) == list(range(after.dataset.n))


def test_the_last_training_example_cannot_be_removed():
    data = datasets.get("points", rows=((0.0, 0.0, 0), (1.0, 1.0, 1)))
    run = Run(Experiment(NetworkProblem(data, validation=0.0)))
    run.intervene(RemoveExample(0))
    with pytest.raises(DataError, match="example 0 is the last training example: a run needs at least one"):
        run.intervene(RemoveExample(0))
    assert run.problem.dataset.n == 1
    run.advance(3)


def test_mini_batches_are_drawn_from_the_examples_there_are():
    data = datasets.get("points", rows=tuple((float(k), 1.0, k % 2) for k in range(6)))
    experiment = Experiment(NetworkProblem(data, validation=0.0), (Method(batches=batches.Mini(size=4)),))
    run = Run(experiment)
    run.advance(3)
    run.intervene(RemoveExample(0))
    run.intervene(RemoveExample(0))
    assert run.history.stage_at(3).full
    run.intervene(AddExample((1.0, 2.0), 0))
    assert sorted(np.concatenate([run.history.stage_at(3).sampler.rows(t) for t in (4, 5)])) == [0, 1, 2, 3, 4]


def test_a_penalty_counts_from_its_step_on_for_training_alone(run):
    before = run.history.row(20)
    run.intervene(SetSetting("problem.l2", 1.0))
    after = run.history.row(20)
    assert after["loss"] > before["loss"]
    assert after["validation_loss"] == before["validation_loss"]
    grown = after["penalty"] - before["penalty"]
    assert grown == pytest.approx(after["loss"] - before["loss"], abs=1e-14)


def test_what_is_measured_can_be_changed(run):
    run.intervene(SetSetting("measure.every", 3))
    run.advance(10)
    measured = np.flatnonzero(np.isfinite(run.history.columns["validation_loss"]))
    assert measured.tolist() == [0, 10, 21, 24, 27, 30]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda: SetSetting("methods[0].optimizer.lr", -1), SettingsError),
        (lambda: SetSetting("methods[3].optimizer.lr", 1), SettingsError),
        (lambda: SetSetting("problem.l2", "much"), SettingsError),
        (lambda: MoveTo((1.0,)), ShapeError),
        (lambda: AddExample((1.0, 2.0), 7), DataError),
        (lambda: AddExample((1.0, 2.0, 3.0), 0), ShapeError),
        (lambda: MoveExample(10_000, (1.0, 2.0)), DataError),
        (lambda: RemoveExample(10_000), DataError),
    ],
)
def test_a_change_that_is_not_valid_leaves_the_run_as_it_was(run, change, error):
    state, row, problem = run.state, run.history.row(20), run.problem
    with pytest.raises(error):
        run.intervene(change())
    assert run.state is state
    assert run.history.row(20) == row
    assert run.problem is problem
    assert run.history.interventions == ()
    untouched = Run(momentum_experiment())
    untouched.advance(40)
    run.advance(20)
    assert run.state.same_bits(untouched.state)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SetSetting("problem.data", "xor"),
        lambda: SetSetting("seed", 3),
        lambda: SetSetting("problem.l2x", 3),
        lambda: SetSetting("", 3),
        lambda: MoveTo((1.0, float("nan"))),
        lambda: MoveTo("here"),
        lambda: AddExample((1.0, float("inf")), 0),
        lambda: AddExample((1.0, 2.0), "a"),
        lambda: MoveExample(-1, (0.0, 0.0)),
        lambda: RemoveExample(1.5),
    ],
)
def test_a_change_that_never_can_be_valid_is_refused_when_it_is_made(make):
    with pytest.raises(SettingsError):
        make()


def test_a_function_has_no_examples_to_change():
    run = Run(Experiment(FunctionProblem(functions.get("beale"))))
    for change in (
        AddExample((0.0, 0.0), 0),
        RemoveExample(0),
        MoveExample(0, (0.0, 0.0)),
        SetSetting("problem.l2", 1.0),
    ):
        with pytest.raises(NnoptError):
            run.intervene(change)


def test_planned_interventions_are_made_when_their_step_is_reached():
    planned = [Intervention(10, SetSetting("methods[0].optimizer.lr", 0.2)), Intervention(0, MoveTo((0.5,) * 33))]
    run = Run(momentum_experiment(), planned)
    assert run.state.theta.tolist() == [0.5] * 33
    run.advance(9)
    assert [intervention.step for intervention in run.history.interventions] == [0]
    assert [intervention.step for intervention in run.interventions] == [0, 10]
    run.advance(1)
    assert run.history.row(10)["learning_rate"] == 0.2
    live = Run(momentum_experiment())
    live.intervene(MoveTo((0.5,) * 33))
    live.advance(10)
    live.intervene(SetSetting("methods[0].optimizer.lr", 0.2))
    run.advance(10)
    live.advance(10)
    assert run.state.same_bits(live.state)
    assert run.recording == live.recording


def test_a_planned_intervention_that_is_not_valid_says_so_when_it_is_due():
    run = Run(momentum_experiment(), [Intervention(5, RemoveExample(10**6))])
    with pytest.raises(DataError, match="1000000"):
        run.advance(10)
    assert run.state.step == 5
    assert run.fork(5).advance(10) == 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (SetSetting("methods[0].optimizer.lr", 0.4), "learning rate 0.1 → 0.4"),
        (SetSetting("methods[0].optimizer", optimizers.Adam()), "method momentum → adam"),
        (SetSetting("methods[0].optimizer", optimizers.Momentum(lr=4.0)),
         "method momentum learning rate 0.1 → 4"),
        (SetSetting("methods[0].schedule", schedules.Hold(k=9)), "schedule constant → hold"),
        (SetSetting("methods[0].batches", batches.Mini(size=10)), "batch full → mini"),
        (SetSetting("problem.l2", 0.01), "L2 penalty 0.001 → 0.01"),
        (SetSetting("measure.every", 1000), "measure every 0 → 1,000"),
        (MoveTo((0.0,)), "point moved"),
        (AddExample((0.0, 0.0), 1), "example added (class 1)"),
        (MoveExample(12, (0.0, 0.0)), "example 12 moved"),
        (RemoveExample(3), "example 3 removed"),
    ],
)  # fmt: skip
def test_changes_are_described_in_words(change, words):
    assert describe(change, momentum_experiment()) == words


def test_with_several_methods_the_words_say_which():
    experiment = set_path(momentum_experiment(), "methods", [{"optimizer": "sgd"}, {"optimizer": "sgd"}])
    assert describe(SetSetting("methods[1].optimizer.lr", 2.0), experiment) == "method 2: learning rate 0.1 → 2"


def test_of_a_drag_at_one_step_only_its_end_is_recorded():
    run = Run(momentum_experiment())
    run.advance(3)
    for k in range(20):
        run.intervene(SetSetting("methods[0].optimizer.lr", 0.1 + k / 100))
    for k in range(20):
        run.intervene(MoveTo((k / 100,) * run.problem.size))
    run.intervene(SetSetting("problem.l2", 0.02))
    for k in range(20):
        run.intervene(MoveExample(4, (k / 10, 0.5)))
    for k in range(5):
        run.intervene(MoveExample(k % 2, (k / 10, 0.5)))
    run.advance(3)
    kinds = [type(done.change).__name__ for done in run.history.interventions]
    assert kinds == ["SetSetting", "MoveTo", "SetSetting", *["MoveExample"] * 6]
    again = Run.replay(run.recording)
    assert again.state.same_bits(run.state)
    assert again.problem.dataset.X.tobytes() == run.problem.dataset.X.tobytes()


def test_changes_on_which_a_methods_memory_depends_are_all_recorded():
    run = Run(momentum_experiment())
    run.advance(3)
    for name in ("adam", "momentum"):
        run.intervene(SetSetting("methods[0].optimizer", name))
    assert len(run.history.interventions) == 2
    assert not run.state.slots.velocity.any()
    assert Run.replay(run.recording).state.same_bits(run.state)


@pytest.mark.parametrize(("name", "field", "slot"), [
    ("damped_newton", "damping", "damping"), ("gauss_newton", "damping", "damping"),
    ("newton_cg", "damping", "damping"), ("trust_region", "radius", "radius"),
])  # fmt: skip
def test_the_start_of_a_damping_or_radius_that_is_changed_on_the_way_begins_anew(name, field, slot):
    run = Run(set_path(momentum_experiment(), "methods[0].optimizer", name))
    run.advance(3)
    adapted = getattr(run.state.slots, slot)
    run.intervene(SetSetting("methods[0].optimizer.lr", 0.5))
    assert getattr(run.state.slots, slot) == adapted
    run.intervene(SetSetting(f"methods[0].optimizer.{field}", 7.5))
    assert getattr(run.state.slots, slot) == 7.5
    run.advance(2)
    assert Run.replay(run.recording).state.same_bits(run.state)
