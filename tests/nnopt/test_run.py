"""Runs: pure steps, outcomes, and what happens when something goes wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from run_strategies import experiments

import nnopt.runs.run as runs
from nnopt import optimizers
from nnopt.objectives import functions
from nnopt.optimizers import batches
from nnopt.runs.changes import Intervention, MoveTo, SetSetting
from nnopt.runs.experiment import Experiment, FunctionProblem, Method, Stop, default_experiment, set_path
from nnopt.runs.minimize import minimize
from nnopt.runs.problem import build
from nnopt.runs.run import Outcome, Run


def function_run(name: str, optimizer: object, start: tuple[float, ...] | None = None, **spec: object) -> Run:
    problem = FunctionProblem(functions.get(name), start)
    return Run(Experiment(problem, (Method(optimizer),), **spec))


@given(experiments)
@settings(max_examples=20)
def test_a_run_is_the_pure_step_function_applied_again_and_again(experiment):
    run, state = Run(experiment), runs.init(experiment)
    assert run.state.same_bits(state)
    for _ in range(3):
        if not run.advance(1):
            break
        state = runs.step(experiment, state)
        assert run.state.same_bits(state)


@given(experiments)
@settings(max_examples=20)
def test_how_the_updates_are_portioned_does_not_matter(experiment):
    at_once, portioned = Run(experiment), Run(experiment)
    made = at_once.advance(20)
    assert sum(portioned.advance(portion) for portion in (1, 4, 0, 7, 8)) == made
    assert portioned.state.same_bits(at_once.state)
    assert portioned.outcome == at_once.outcome


def test_a_run_begins_with_its_first_state_evaluated():
    run = Run(default_experiment())
    assert run.history.length == 1
    assert run.state.step == 0
    assert run.outcome.running
    assert run.history.row(0)["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert not run.state.theta.flags.writeable


# ---- outcomes


def test_a_run_converges_where_the_gradient_is_short_enough():
    run = function_run("quadratic", optimizers.SGD(lr=0.1), stop=Stop(gradient_norm=1e-3))
    run.advance(10_000)
    outcome = run.outcome
    assert outcome.kind == "converged"
    norms = run.history.columns["gradient_norm"]
    assert norms[-1] < 1e-3 <= norms[-2]
    assert outcome.step == run.state.step == len(norms) - 1
    assert outcome.reason.startswith(f"converged at step {outcome.step}: the gradient's norm")
    assert run.advance(10) == 0


def test_a_start_at_a_stationary_point_has_converged_already():
    run = function_run("saddle", optimizers.SGD(), (0.0, 0.0))
    assert run.outcome.kind == "converged"
    assert run.outcome.step == 0


def test_with_mini_batches_convergence_is_judged_on_the_full_gradient_where_it_is_measured():
    experiment = set_path(default_experiment(), "methods[0].batches", batches.Mini(size=8))
    experiment = set_path(experiment, "stop.gradient_norm", 0.015)
    run = Run(experiment)
    run.advance(5000)
    assert run.outcome.kind == "converged"
    assert run.state.step % 10 == 0
    _, gradient = run.objective.value_and_gradient(run.state.theta)
    assert np.linalg.norm(gradient) < 0.015
    assert run.history.columns["gradient_norm"].min() != pytest.approx(np.linalg.norm(gradient))


@pytest.mark.parametrize(
    ("value", "words"), [(math.inf, "infinite"), (-math.inf, "minus infinite"), (math.nan, "not a number")]
)
def test_the_first_loss_that_is_not_finite_ends_a_run_and_is_named(value, words):
    class Cliff:
        def value_and_gradient(self, theta):
            return (value if theta[0] > 2 else 0.0), -np.ones(1)

    history = minimize(Cliff(), optimizers.SGD(lr=0.3), [0.0], 100)
    assert history.outcome == Outcome("diverged", 7, f"diverged at step 7: the loss became {words}")
    assert history.length == 8
    assert np.isfinite(history.value[:7]).all()
    assert not np.isfinite(history.value[7])


def test_an_exploding_step_ends_a_run_and_is_named():
    run = function_run("rosenbrock", optimizers.SGD(lr=0.1))
    run.advance(100)
    assert run.outcome.kind == "diverged"
    assert "the step exploded, its length is" in run.outcome.reason
    lengths = run.history.columns["step_norm"]
    longest = 1e8 * np.linalg.norm(run.history.seek(0).theta)
    assert lengths[-1] > longest >= lengths[-2]


def test_a_run_stops_after_its_steps_and_goes_on_when_it_is_extended():
    run = Run(set_path(default_experiment(), "steps", 20))
    assert run.advance(100) == 20
    assert (run.outcome.kind, run.outcome.step) == ("stopped", 20)
    run.extend(30)
    assert run.outcome.running
    assert run.advance(100) == 10
    assert run.outcome.kind == "stopped"
    whole = Run(default_experiment())
    whole.advance(30)
    assert run.state.same_bits(whole.state)


def test_overflow_in_plain_floats_counts_as_an_infinite_loss():
    class Power:
        def value_and_gradient(self, theta):
            x = float(theta[0])
            return x**400, [400 * x**399]

    history = minimize(Power(), optimizers.SGD(lr=1.0), [1.5], 100)
    assert history.outcome.kind == "diverged"
    assert "infinite" in history.outcome.reason


# ---- interruptions


@dataclass
class Fails:
    """(x - 1)^2 that raises at its n-th evaluation."""

    at: int
    error: BaseException
    size: ClassVar[int] = 1
    count: int = 0

    def value_and_gradient(self, theta):
        self.count += 1
        if self.count == self.at:
            raise self.error
        return float((theta[0] - 1) ** 2), 2 * (theta - 1)


@pytest.mark.parametrize("error", [ValueError("the sensor is off"), KeyboardInterrupt(), ZeroDivisionError()])
def test_what_an_objective_raises_goes_through_and_the_run_stays_at_its_last_good_state(error):
    from nnopt.runs.era import Era
    from nnopt.runs.loop import Loop
    from nnopt.runs.stage import Stage

    def loop(objective):
        stage = Stage(objective, optimizers.Momentum(lr=0.1))
        return Loop(Era(stage.init(np.zeros(1)), stage, None, None), 100)

    failing, good = loop(Fails(8, error)), loop(Fails(-1, error))
    with pytest.raises(type(error)) as caught:
        failing.advance(50)
    assert caught.value is error
    assert failing.head.state.step == 6
    assert failing.history.length == 7
    assert failing.history.outcome.running
    assert failing.advance(44) == 44
    good.advance(50)
    assert failing.head.state.same_bits(good.head.state)
    assert np.array_equal(failing.history.columns["loss"], good.history.columns["loss"])


def test_should_stop_is_asked_before_every_update():
    run = Run(default_experiment())
    asked = iter(range(100))
    assert run.advance(50, lambda: next(asked) == 7) == 7
    assert run.state.step == 7
    assert run.advance(5, lambda: True) == 0
    assert run.outcome.running


# ---- forks and recordings


def test_a_fork_goes_on_by_itself():
    run = Run(default_experiment())
    run.advance(50)
    fork = run.fork(20)
    assert fork.state.same_bits(run.history.seek(20))
    fork.intervene(SetSetting("methods[0].optimizer.lr", 1.0))
    fork.advance(30)
    assert run.state.step == fork.state.step == 50
    assert not fork.state.same_bits(run.state)
    assert run.history.interventions == ()
    assert np.array_equal(fork.history.columns["loss"][:21], run.history.columns["loss"][:21])
    straight = Run(default_experiment())
    straight.advance(50)
    assert run.state.same_bits(straight.state)


def test_a_fork_forgets_what_was_done_later_and_keeps_what_was_done_there():
    steps = (5, 10, 10, 15)
    run = Run(
        default_experiment(),
        [Intervention(k, SetSetting(f"problem.l{1 + i % 2}", k / 1000 + i)) for i, k in enumerate(steps)],
    )
    run.advance(20)
    assert [intervention.step for intervention in run.fork(10).interventions] == [5, 10, 10]
    assert [intervention.step for intervention in run.fork(4).interventions] == []


def test_the_fork_of_an_ended_run_has_its_outcome_and_an_earlier_one_goes_on():
    run = function_run("rosenbrock", optimizers.SGD(lr=0.1))
    run.advance(100)
    end = run.state.step
    assert run.fork(end).outcome == run.outcome
    assert run.fork(end - 1).outcome.running


def test_a_recording_does_the_run_again_beyond_its_steps():
    run = Run(set_path(default_experiment(), "steps", 10))
    run.advance(10)
    run.intervene(MoveTo((0.1,) * run.problem.size))
    run.extend(25)
    run.advance(15)
    again = Run.replay(run.recording)
    assert again.state.same_bits(run.state)
    assert again.history.length == 26


def test_another_method_of_the_experiment_starts_from_the_same_point():
    experiment = set_path(default_experiment(), "methods", [{"optimizer": "sgd"}, {"optimizer": "adam"}])
    first, second = Run(experiment), Run(experiment, method=1)
    assert np.array_equal(first.state.theta, second.state.theta)
    assert type(second.state.slots) is not type(first.state.slots)


def test_a_function_has_no_examples_and_its_batch_is_always_full():
    experiment = Experiment(
        FunctionProblem(functions.get("beale")), (Method(optimizers.SGD(), batches=batches.Single()),)
    )
    run = Run(experiment)
    run.advance(3)
    assert run.problem.examples is None
    assert run.history.notes == ((0, "a function has no examples to batch: every step sees all of it"),)
    assert run.history.stage_at(0).full
    assert np.isnan(run.history.columns["validation_loss"]).all()
    assert np.array_equal(run.history.columns["training_loss"], run.history.columns["loss"])


def test_accuracy_of_a_least_squares_classifier_is_judged_half_way_between_the_classes():
    problem = build(set_path(default_experiment(), "problem.loss", "squared_error"))
    # all weights zero, output bias 0.4: nearer to class 0 everywhere
    theta = np.zeros(problem.size)
    theta[-1] = 0.4
    labels = problem.dataset.y
    shares = [np.mean(labels[rows] == 0) for rows in (problem.training, problem.validation)]
    assert problem.accuracy(theta) == pytest.approx(shares)
