"""Runs that stand still: no method gives up before a step that works, and one that can make none ends and says so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_outcomes import CURVED, SAFE
from second_order_problems import NEVER, Liar, Quadratic, local_of, update_at

from nnopt import cli, optimizers
from nnopt.analysis.together import train_together
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Optimizer, Settings, Slots, Update
from nnopt.optimizers.batches import Full, Mini, Single
from nnopt.optimizers.gain import changes
from nnopt.optimizers.line_search import armijo, strong_wolfe
from nnopt.optimizers.schedules import Constant, Cosine, Exponential, Hold, InverseTime, Power, StepDecay, Warmup
from nnopt.runs.changes import SetSetting
from nnopt.runs.experiment import Experiment, FunctionProblem, Method, save
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Memory, Run

# ---- a step that works is found, however far from the first one tried


@pytest.mark.parametrize("start", [1.0, 10.0, 50.0, 73.0, 90.0])
@pytest.mark.parametrize("method", CURVED)
def test_the_minimum_is_reached_from_where_the_curvature_has_all_but_vanished(method, start):
    # at 10 the curvature is 100 e^-100, Newton's step 3e41 long; at 73 it is no normal number, at 90 it is zero
    f = functions.formula("x + exp(-10*x)")
    settings = [{}, {"damping": 0.0}] if "damping" in optimizers.get(method).__struct_fields__ else [{}]
    for given_ in settings:
        history = minimize(f, optimizers.get(method)(**given_), [start], steps=300)
        assert history.outcome.kind == "converged"
        assert history.theta[-1] == pytest.approx([math.log(10) / 10], abs=1e-8)
        assert history.length < 40


@pytest.mark.parametrize("method", CURVED)
def test_a_function_of_a_tiny_scale_is_minimized(method):
    # 2 cosh(x / 1e-15): a unit length is 1e15 times too long
    f = functions.formula("exp(1e15*x) + exp(-1e15*x)")
    history = minimize(f, optimizers.get(method)(), [1e-14], steps=100)
    assert history.outcome.kind == "converged"
    assert abs(history.theta[-1, 0]) < 1e-22
    assert history.value[-1] == 2.0


@given(st.floats(-250, 250), st.floats(-3, 3))
def test_line_searches_go_on_while_a_shorter_step_promises_more_than_rounding(exponent, x):
    # phi(a) is finite up to 1 / length only
    length = 10.0**exponent

    def value_and_gradient(theta):
        far = float(theta[0] - x)
        return (math.inf, np.full(1, math.nan)) if far > 1 else (-far, -np.ones(1))

    theta, gradient, direction = np.array([x]), np.array([-1.0]), np.array([length])
    with np.errstate(all="ignore"):
        for found in (
            armijo(lambda there: value_and_gradient(there)[0], theta, direction, 0.0, gradient),
            strong_wolfe(value_and_gradient, theta, direction, 0.0, gradient),
        ):
            assert not changes(theta, direction) or found.factor > 0
            assert found.value < 0 or not changes(theta, found.factor * direction)


# ---- a large negative curvature behind a small one


@pytest.mark.parametrize("x", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("method", SAFE)
def test_a_small_negative_curvature_along_the_gradient_does_not_hide_a_large_one_across_it(method, x):
    # from x = 1 on, log(1 + x^2) is bent down by at most 1/4; across it the curvature is -3e5
    f = functions.formula("log(1 + x**2) - 150000*y**2 + y**4")
    assert np.linalg.eigvalsh(f.hessian([x, 0.0]))[0] == pytest.approx(-3e5)
    history = minimize(f, optimizers.get(method)(), [x, 0.0], steps=60)
    assert abs(history.theta[-1, 1]) == pytest.approx(math.sqrt(75_000), rel=1e-6)


def test_damped_and_saddle_free_newton_leave_at_once_where_the_step_promises_little_beside_it():
    objective = Quadratic(np.diag([-3e5, -1e-3, -2e-3]), [0.0, 1.0, 1.0])
    for method in ("damped_newton", "saddle_free_newton"):
        update = update_at(method, objective, np.zeros(3))
        assert update.detail["escape"] == 1.0
        assert abs(update.step[0]) == pytest.approx(1.0)
    # where it promises as much, it is made as it is; so it is where the gradient leads away along the large one
    for slope in ([0.0, 1e5, 0.0], [1.0, 1.0, 0.0]):
        update = update_at("damped_newton", Quadratic(np.diag([-3e5, -1e-3, -2e-3]), slope), np.zeros(3))
        assert update.detail["escape"] == 0.0
        mu = update.detail["damping"]
        assert update.step == pytest.approx(-np.array(slope) / (np.array([-3e5, -1e-3, -2e-3]) + mu))


# ---- where there is no step, the run ends and says so


@pytest.mark.parametrize("method", ["lbfgs", "saddle_free_newton"])
def test_a_method_that_refuses_twice_in_the_same_state_is_stuck(method):
    history = minimize(Liar(), optimizers.get(method)(), [1.0, 2.0], steps=300)
    assert (history.outcome.kind, history.outcome.step, history.length) == ("stuck", 2, 3)
    assert history.outcome.reason == "stopped at step 2, stuck: no step lowers the loss"


@pytest.mark.parametrize("method", ["damped_newton", "gauss_newton", "newton_cg", "trust_region"])
def test_a_method_that_remembers_tries_all_that_it_can_first(method):
    history = minimize(Liar(), optimizers.get(method)(), [1.0, 2.0], steps=300)
    # rounding lets some of them creep by units in the last place
    assert np.abs(history.theta - [1.0, 2.0]).max() < 1e-12
    if (history.theta == [1.0, 2.0]).all():
        assert history.outcome.kind == "stuck"
        assert history.outcome.step < 100


def test_the_reason_is_that_of_the_method():
    for objective, optimizer, start, said in (
        (functions.formula("x"), optimizers.Newton(), [3.0], "the method makes no step"),
        (functions.get("bowl"), optimizers.SGD(lr=1e-20), [3.0], "its steps are too short to change a parameter"),
    ):
        history = minimize(objective, optimizer, start, steps=50)
        assert history.outcome.reason == f"stopped at step 2, stuck: {said}"
    still = minimize(functions.get("bowl"), optimizers.SGD(lr=1.0), [3.0], steps=50, stop=NEVER)
    assert still.outcome.reason == "stopped at step 3, stuck: the gradient is 0"
    cooled = minimize(functions.get("bowl"), optimizers.SGD(lr=0.1), [3.0], steps=50, schedule=Cosine(steps=10))
    assert cooled.outcome.reason == "stopped at step 12, stuck: the learning rate is 0"


class Circling(Settings, Optimizer, frozen=True, tag="circling"):
    """No step, and a memory that comes again after `period` updates, `late` updates in."""

    period: int = 3
    late: int = 4

    class Count(Slots, frozen=True, gc=False):
        count: float

    def init(self, theta):
        return Circling.Count(0.0)

    def update(self, local, slots, lr):
        count = slots.count + 1
        return Update(
            np.zeros_like(local.theta), Circling.Count(self.late if count == self.late + self.period else count)
        )


@given(st.integers(1, 9), st.integers(0, 9))
def test_a_memory_that_goes_round_in_a_circle_is_seen_whatever_its_length(period, late):
    history = minimize(functions.get("bowl"), Circling(period, late), [1.0], steps=400)
    assert history.outcome.kind == "stuck"
    last = history.seek(history.length - 1)
    again = [step for step in range(history.length - 1) if history.seek(step).slots == last.slots]
    assert again
    # not before it has come again, and not long after: Brent's bound
    assert late + period <= history.length - 1 <= 4 * (late + period) + 4


def test_steps_back_and_forth_are_steps():
    # plain descent on the edge of stability
    history = minimize(functions.get("bowl"), optimizers.SGD(lr=2.0), [8.0], steps=40)
    assert (history.outcome.kind, history.length) == ("stopped", 41)


class Refusing(Settings, Optimizer, frozen=True, tag="refusing"):
    """Descent on one example a step, that of the number `only`; on all others it makes no step."""

    only: int = 0

    def init(self, theta):
        return Slots()

    def update(self, local, slots, lr):
        mine = local.rows is None or self.only in local.rows
        return Update(-0.1 * local.gradient if mine else np.zeros_like(local.theta), slots)


def blobs():
    random = np.random.default_rng(0)
    X = random.normal(size=(12, 2))
    return NetworkObjective(Network((2, 3, 1)), X, (X[:, 0] > 0).astype(int))


def test_with_single_examples_every_one_is_asked_before_a_run_is_stuck():
    objective = blobs()
    start = objective.network.initial(0)
    for only in range(12):
        history = minimize(objective, Refusing(only), start, steps=60, batches=Single(), seed=only)
        assert history.outcome.kind == "stopped"
    history = minimize(objective, Refusing(99), start, steps=60, batches=Single())
    # a whole epoch of 12 after the first update has shown that nothing moves
    assert (history.outcome.kind, history.outcome.step) == ("stuck", 24)
    # larger batches are never the same again
    for batches in (Mini(size=4), Mini(size=1, replacement=True)):
        assert minimize(objective, Refusing(99), start, steps=60, batches=batches).outcome.kind == "stopped"


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        (Constant(), 0), (Cosine(steps=7, floor=0.5), 7), (Cosine(floor=1.0), 0), (Hold(k=5, then=Constant()), 0),
        (Hold(k=5, then=Cosine(steps=4)), 9), (Warmup(k=6), 6), (StepDecay(by=1.0), 0), (Power(d=0.0), 0),
        (InverseTime(d=0.0), 0), (Exponential(d=0.0), 0), (Hold(k=3, then=Warmup(k=2)), 5),
    ],
)  # fmt: skip
def test_another_rate_may_give_a_step_so_a_run_is_stuck_once_the_rate_is_settled(schedule, first):
    rates = schedule.factors(np.arange(first, first + 5000))
    assert (rates == rates[0]).all()
    assert [schedule.settled(t) for t in range(12)] == [t >= first for t in range(12)]
    history = minimize(functions.formula("x"), optimizers.Newton(), [3.0], steps=40, schedule=schedule)
    assert (history.outcome.kind, history.outcome.step) == ("stuck", max(first + 1, 2))


@pytest.mark.parametrize("schedule", [InverseTime(), Power(), StepDecay(), Exponential(), Hold(), Warmup(then=Power())])
def test_a_rate_that_goes_on_falling_is_never_settled(schedule):
    assert not any(schedule.settled(t) for t in (0, 10, 10_000))
    assert minimize(functions.formula("x"), optimizers.Newton(), [3.0], schedule=schedule, steps=30).length == 31


# ---- the log, forks, changes, restarts


def stuck_run(**memory):
    problem = FunctionProblem(functions.get("bowl"), start=(3.0,))
    experiment = Experiment(problem, (Method(optimizers.Newton(lr=1e-20)),), steps=100)
    return Run(experiment, memory=Memory(**memory) if memory else None)


def test_forks_and_replays_are_as_stuck_as_the_run():
    run = stuck_run(rows=4, keyframes=64, recent=8)
    assert run.advance(100) == 2
    assert run.outcome.kind == "stuck"
    assert Run.replay(run.recording).outcome == run.outcome
    assert run.fork(2).outcome == run.outcome
    fork = run.fork(1)
    assert fork.outcome.running
    assert fork.advance(100) == 1
    assert fork.outcome == run.outcome
    run.extend(1000)
    assert run.outcome == fork.outcome


def test_the_command_line_says_it(tmp_path, capsys):
    run = stuck_run()
    run.advance(100)
    save(run.experiment, tmp_path / "stuck.json")
    assert cli.main(["run", str(tmp_path / "stuck.json")]) == 0
    assert run.outcome.reason in capsys.readouterr().out


def test_after_a_change_a_stuck_run_goes_on():
    run = stuck_run()
    run.advance(100)
    run.intervene(SetSetting("methods[0].optimizer.lr", 0.5))
    assert run.outcome.running
    run.advance(100)
    assert run.outcome.kind == "converged"


@pytest.mark.parametrize("batches", [Full(), Single()])
def test_restarts_end_where_runs_of_their_own_do(batches):
    objective = blobs()
    starts = np.random.default_rng(0).normal(size=(4, objective.size))
    for optimizer, schedule in ((optimizers.SGD(lr=1e-25), None), (optimizers.SGD(), Cosine(steps=7))):
        found = train_together(objective, optimizer, starts, 60, schedule=schedule, batches=batches)
        for seed, outcome in enumerate(found.outcomes):
            alone = minimize(
                objective, optimizer, starts[seed], steps=60, schedule=schedule, batches=batches, seed=seed
            )
            assert outcome == alone.outcome
            assert outcome.kind == "stuck"


def test_the_step_of_a_liar_is_refused_by_value_alone():
    # what `stuck` says is true: no multiple of the step is lower
    local = local_of(Liar(), [1.0, 2.0])
    for factor in 0.5 ** np.arange(60):
        assert local.value_at(local.theta - factor * local.gradient) >= local.value
