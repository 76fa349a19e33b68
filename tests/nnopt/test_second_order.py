"""Second-order methods: what each says about its step; saddle-free Newton and Gauss–Newton computed otherwise."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from method_outcomes import CURVED, OF_OUTPUTS
from run_strategies import all_batches, all_schedules, network_problems
from scipy.linalg import sqrtm
from second_order_problems import NEVER, Liar, Quadratic, network, seeds, sizes, symmetric, update_at

from nnopt import optimizers
from nnopt.analysis.explanation import explain, number
from nnopt.errors import SettingsError, UnsupportedError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import lbfgs, saddle_free_newton
from nnopt.optimizers.base import Local
from nnopt.optimizers.gain import gain_ratio, noise_of
from nnopt.runs.changes import SetSetting
from nnopt.runs.experiment import Experiment, Method, default_experiment, set_path
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Memory, Run

#: all that look before they step; Newton's own method does not
CAREFUL = tuple(sorted((*CURVED, *OF_OUTPUTS)))
ON_FUNCTIONS = tuple(CURVED)


# ---- what all of them have in common


@pytest.mark.parametrize("name", CAREFUL)
def test_a_step_says_what_it_predicted_and_what_happened(name):
    objective = network(l2=0.01)
    history = minimize(objective, optimizers.get(name)(), objective.network.initial(1), steps=15)
    for step in range(history.length - 1):
        update = history.stage_at(step).update(history.seek(step))
        detail = update.detail
        assert all(type(number) is float for number in detail.values())
        assert detail["actual"] == pytest.approx(history.value[step + 1] - history.value[step], abs=1e-14)
        assert detail["gain_ratio"] == pytest.approx(detail["actual"] / detail["predicted"])
        assert detail["accepted"] == 1.0
        if name not in ("lbfgs", "gauss_newton"):
            theta, hessian = history.theta[step], objective.hessian(history.theta[step])
            model = objective.gradient(theta) @ update.step + 0.5 * update.step @ hessian @ update.step
            assert detail["predicted"] == pytest.approx(model, rel=1e-9)
    assert (np.diff(history.value) < 0).all()


@pytest.mark.parametrize("name", CAREFUL)
def test_explain_tells_what_the_method_built_and_said(name):
    objective = network()
    history = minimize(objective, optimizers.get(name)(), objective.network.initial(1), steps=6)
    for step in range(6):
        facts = explain(history, step)
        update = history.stage_at(step).update(history.seek(step))
        assert facts.detail == update.detail
        assert np.array_equal(facts.taken, history.theta[step + 1] - history.theta[step]) or np.allclose(
            facts.taken, history.theta[step + 1] - history.theta[step], rtol=0, atol=1e-14
        )
        for said in filter(None, update.note.split("; ")):
            assert f"{said[0].upper()}{said[1:]}." in facts.sentences


@pytest.mark.parametrize("name", CAREFUL)
def test_a_shortened_step_is_said_to_be_and_why(name):
    said = import_module(f"nnopt.optimizers.{'damped_newton' if name == 'gauss_newton' else name}").SHORTENED
    seen = set()
    for function, start in (("steep_beside_flat", [4.0]), ("rosenbrock", None), ("goldstein_price", [-0.5, 1.0])):
        f = SumOfOne(functions.get(function))
        settings = {"radius": 50.0} if name == "trust_region" else {}
        history = minimize(f, optimizers.get(name)(**settings), start or f.f.start, steps=30)
        for step in range(history.length - 1):
            facts = explain(history, step)
            if "trials" in facts.detail:
                shortened = facts.detail["trials"] > 1 and facts.detail["accepted"] == 1
            elif name == "lbfgs":
                slope = np.linalg.norm(facts.gradient)
                shortened = facts.detail["step_factor"] < (1 if facts.detail["pairs"] else min(1, 1 / slope))
            else:
                shortened = facts.detail["step_factor"] < 1 and facts.detail["accepted"] == 1
            assert (said in facts.note) == shortened
            assert (f"{said[0].upper()}{said[1:]}." in facts.sentences) == shortened
            seen.add(bool(shortened))
    assert seen == {True, False}


@pytest.mark.parametrize("name", CAREFUL)
def test_damping_or_radius_before_and_after_are_explained_and_are_those_of_the_run(name):
    objective = network(l2=0.01)
    history = minimize(objective, optimizers.get(name)(), objective.network.initial(3), steps=10)
    for step in range(history.length - 1):
        facts = explain(history, step)
        for kept in ("damping", "radius"):
            if hasattr(facts.slots, kept):
                assert facts.detail[f"{kept}_before"] == getattr(history.seek(step).slots, kept)
                assert facts.detail[f"{kept}_after"] == getattr(history.seek(step + 1).slots, kept)
        assert facts.detail["actual"] == pytest.approx(facts.actual, abs=1e-14)
        said = next(sentence for sentence in facts.sentences if sentence.startswith("The quadratic model predicted"))
        if name not in ("lbfgs", "gauss_newton"):  # their models are not the loss's own quadratic
            assert number(facts.detail["predicted"]) in said
        assert number(facts.actual) in said


@pytest.mark.parametrize("name", CAREFUL)
def test_a_step_that_cannot_help_is_refused_and_why_is_said(name):
    history = minimize(Liar(), optimizers.get(name)(), [1.0, 2.0], steps=3)
    assert np.array_equal(history.theta, [[1.0, 2.0]] * history.length)
    # what is not remembered cannot change: their next update would be this one again
    assert history.outcome.kind == ("stuck" if name in ("lbfgs", "saddle_free_newton") else "stopped")
    assert "no step" in history.notes[0][1]
    update = history.stage_at(1).update(history.seek(1))
    assert update.detail["accepted"] == 0.0
    if name == "trust_region":
        radii = [history.seek(step).slots.radius for step in range(3)]
        assert radii == sorted(radii, reverse=True)
        assert radii[-1] < 1e-6 * radii[0]
    if name in ("gauss_newton", "newton_cg", "damped_newton"):
        dampings = [history.seek(step).slots.damping for step in range(4)]
        assert dampings == sorted(dampings)
        assert dampings[-1] > dampings[0]


@pytest.mark.parametrize("name", CAREFUL)
def test_the_batch_of_the_step_alone_is_looked_at(name):
    objective = network(points=24, l2=0.01)
    rows = np.array([1, 4, 7, 20])
    theta = objective.network.initial(2)
    value, gradient = objective.value_and_gradient(theta, rows)
    part = objective.batch(rows)
    method = optimizers.get(name)()
    of_batch = method.update(Local(objective, theta, value, gradient, rows), method.init(theta), 1.0)
    alone = method.update(Local(part, theta, value, gradient), method.init(theta), 1.0)
    assert np.array_equal(of_batch.step, alone.step)
    assert of_batch.detail == alone.detail
    assert of_batch.detail["actual"] == pytest.approx(part.value(theta + of_batch.step) - value, abs=1e-15)


@pytest.mark.parametrize("name", ON_FUNCTIONS)
def test_a_curvature_that_is_not_finite_ends_the_run_and_raises_nothing(name):
    class Broken(Quadratic):
        def gradient(self, theta):
            return np.full_like(theta, np.nan) if theta[0] != 1.0 else np.ones_like(theta)

    assert minimize(Quadratic([[np.nan]]), optimizers.get(name)(), [1.0], steps=3).outcome.kind == "diverged"
    history = minimize(Broken([[1.0]]), optimizers.get(name)(), [1.0], steps=3)
    if name == "lbfgs":  # its line search sees that there is no gradient, and does not go there
        assert history.notes == ((0, lbfgs.REFUSED),)
    else:
        assert history.outcome.kind == "diverged"


@pytest.mark.parametrize("name", ON_FUNCTIONS)
def test_a_loss_that_overflows_plain_floats_is_gone_round(name):
    class Steep:
        def value(self, theta):
            return math.exp(theta[0]) - 1000 * theta[0]

        def gradient(self, theta):
            return np.array([math.exp(theta[0]) - 1000])

        def hessian(self, theta):
            return np.array([[math.exp(theta[0])]])

    # from -4 a Newton step goes beyond 700, where exp overflows
    history = minimize(
        Steep(), optimizers.get(name)(**({"radius": 1e5} if name == "trust_region" else {})), [-4.0], 200
    )
    assert history.outcome.kind == "converged"
    assert history.theta[-1] == pytest.approx([math.log(1000)], abs=1e-9)


@pytest.mark.parametrize("name", CAREFUL)
def test_a_gradient_of_zero_gives_a_step_of_zero(name):
    objective = Quadratic([[2.0, 0.0], [0.0, 1.0]])
    objective.gauss_newton = objective.hessian
    update = update_at(name, objective, [0.0, 0.0])
    assert not update.step.any()
    assert update.note == ""


@pytest.mark.parametrize("name", ON_FUNCTIONS)
def test_runs_without_a_limit_end_where_nothing_is_left_to_gain(name):
    # the gradient falls through all the exponents of floats: no division by what has become zero
    for function, start in (("powell_singular", None), ("bowl", [3.0]), ("plateau", [1.5])):
        history = minimize(functions.get(function), optimizers.get(name)(), start, steps=400, stop=NEVER)
        assert history.outcome.kind in ("stuck", "stopped")
        assert history.value[-1] <= 1e-12


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("trust_region", {"radius": 0.0}),
        ("trust_region", {"lr": 0.0}),
        ("saddle_free_newton", {"floor": 0.0}),
        ("saddle_free_newton", {"floor": 2.0}),
        ("newton_cg", {"products": 0}),
        ("newton_cg", {"damping": -1.0}),
        ("gauss_newton", {"damping": -1.0}),
        ("lbfgs", {"memory": 0}),
        ("lbfgs", {"memory": 101}),
        ("lbfgs", {"memory": 2.5}),
        ("lbfgs", {"curvature": 1.0}),
    ],
)
def test_settings_out_of_range_are_refused(name, settings):
    with pytest.raises(SettingsError):
        optimizers.get(name)(**settings)


class SumOfOne:
    """A function f, with (f')^2 / 2f for a Gauss-Newton matrix: f is the square of one residual, sqrt(2 f)."""

    def __init__(self, f):
        self.f, self.value, self.gradient, self.hessian = f, f.value, f.gradient, f.hessian

    def gauss_newton(self, theta):
        gradient = self.gradient(theta)
        return np.outer(gradient, gradient) / (2 * self.value(theta))


second_order = st.one_of(
    st.builds(optimizers.SaddleFreeNewton, lr=st.floats(0.1, 1), backtracking=st.booleans()),
    st.builds(optimizers.GaussNewton, lr=st.floats(0.1, 1), damping=st.floats(0, 10)),
    st.builds(optimizers.TrustRegion, lr=st.floats(0.1, 1), radius=st.floats(1e-3, 10)),
    st.builds(optimizers.NewtonCG, lr=st.floats(0.1, 1), products=st.integers(1, 30)),
    st.builds(optimizers.LBFGS, lr=st.floats(0.1, 1), memory=st.integers(1, 12)),
)
replayed = st.builds(
    Experiment,
    problem=network_problems,
    methods=st.builds(Method, optimizer=second_order, schedule=all_schedules, batches=all_batches).map(
        lambda method: (method,)
    ),
    seed=st.integers(0, 2**63 - 1),
    steps=st.just(40),
)


@given(replayed, st.sampled_from([Memory(rows=8, keyframes=8 * 40, recent=0), Memory()]), st.data())
@settings(max_examples=40)
def test_every_state_comes_back_bit_for_bit_whatever_was_changed(experiment, memory, data):
    run = Run(experiment, memory=memory)
    first_pass = [run.state]
    for _ in range(3):
        for _ in range(data.draw(st.integers(1, 8), label="updates")):
            made = run.advance(1)
            first_pass += [run.state] * made
        change = data.draw(
            st.one_of(
                st.builds(SetSetting, st.just("methods[0].optimizer"), second_order),
                st.builds(SetSetting, st.just("methods[0].optimizer.lr"), st.floats(0.1, 1)),
            ),
            label="change",
        )
        run.intervene(change)
        first_pass[-1] = run.state
    history = run.history
    for step in reversed(range(history.length)):
        assert history.seek(step).same_bits(first_pass[step])
    assert Run.replay(run.recording).state.same_bits(run.state)


def test_a_memory_changed_on_the_way_keeps_the_newest_pairs():
    experiment = set_path(default_experiment(), "methods[0].optimizer", {"name": "lbfgs", "memory": 6})
    run = Run(experiment)
    run.advance(10)
    before = run.state.slots
    run.intervene(SetSetting("methods[0].optimizer.memory", 2))
    assert run.state.slots.pairs == 2.0
    assert np.array_equal(run.state.slots.steps, before.steps[-2:])
    assert np.array_equal(run.state.slots.changes, before.changes[-2:])
    run.advance(3)
    kept = run.state.slots
    run.intervene(SetSetting("methods[0].optimizer.memory", 20))
    assert run.state.slots.steps.shape == (20, run.problem.size)
    assert np.array_equal(run.state.slots.steps[-2:], kept.steps)
    assert not run.state.slots.steps[:-2].any()
    run.advance(8)
    assert run.history.stage_at(21).update(run.history.seek(21)).detail["pairs"] == 10.0
    again = Run.replay(run.recording)
    assert again.state.same_bits(run.state)


# ---- the gain ratio


def test_differences_by_rounding_say_nothing_about_the_model():
    value = 3.0
    noise = noise_of(value)
    assert gain_ratio(2 * noise, -0.5 * noise, value) == 1.0
    assert gain_ratio(2 * noise, -10 * noise, value) == -0.2
    assert gain_ratio(1e6 * noise, -0.5 * noise, value) < 0
    assert gain_ratio(-1.0, 1.0, value) == gain_ratio(math.inf, -1.0, value) == -math.inf


# ---- saddle-free Newton


@given(sizes, seeds)
def test_the_sizes_of_the_curvatures_are_the_root_of_the_squared_hessian(size, seed):
    hessian, linear = symmetric(seed, size)
    objective = Quadratic(hessian, linear)
    update = update_at("saddle_free_newton", objective, np.zeros(size), floor=1e-12)
    absolute = np.real(sqrtm(hessian @ hessian))
    assert update.step == pytest.approx(-np.linalg.solve(absolute, linear), rel=1e-7, abs=1e-9)
    assert update.detail["negative"] == np.count_nonzero(np.linalg.eigvalsh(hessian) < 0)
    assert update.detail["slope"] < 0
    assert (saddle_free_newton.ESCAPES in update.note) == (update.detail["negative"] > 0)


def test_it_is_newtons_step_where_all_curvatures_are_positive():
    f = functions.get("beale")
    theta = f.minima[0].theta + 0.01
    ours, newton = (update_at(name, f, theta) for name in ("saddle_free_newton", "newton"))
    assert ours.step == pytest.approx(newton.step)
    assert ours.note == ""


def test_small_curvatures_count_as_the_floor():
    objective = Quadratic(np.diag([100.0, 1e-3, -1e-5]), [1.0, 1e-3, 1e-3])
    update = update_at("saddle_free_newton", objective, np.zeros(3), floor=1e-3)
    assert update.step == pytest.approx([-0.01, -1e-2, -1e-2])
    assert update.detail["raised"] == 2.0
    assert update.detail["floor"] == pytest.approx(0.1)
    assert update_at("saddle_free_newton", Quadratic(np.zeros((1, 1)), 2.0), [0.0]).step == pytest.approx([-2.0])


def test_without_backtracking_every_step_is_made_in_full():
    f = functions.get("steep_beside_flat")
    full = update_at("saddle_free_newton", f, [4.0], backtracking=False)
    assert full.detail["actual"] > 0
    assert full.detail["accepted"] == 1.0
    shorter = update_at("saddle_free_newton", f, [4.0])
    assert shorter.detail["actual"] < 0
    assert shorter.note == saddle_free_newton.SHORTENED
    assert shorter.step == pytest.approx(shorter.detail["step_factor"] * full.step)


# ---- Gauss-Newton


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_the_step_solves_the_damped_normal_equations(loss):
    objective = network(loss=loss)
    theta, mu = objective.network.initial(4), 0.05
    h = 1e-6
    jacobian = np.array(
        [
            (objective.outputs(theta + h * e) - objective.outputs(theta - h * e)).ravel() / (2 * h)
            for e in np.eye(theta.size)
        ]
    ).T
    p = 1 / (1 + np.exp(-objective.outputs(theta).ravel()))
    weights = p * (1 - p) if loss == "binary_cross_entropy" else np.ones(len(p))
    matrix = jacobian.T @ (weights[:, None] * jacobian) / len(p)
    expected = -np.linalg.solve(matrix + mu * np.eye(theta.size), objective.gradient(theta))
    update = update_at("gauss_newton", objective, theta, damping=mu)
    assert update.detail["damping"] == mu
    assert update.step == pytest.approx(expected, rel=1e-5, abs=1e-8)
    predicted = objective.gradient(theta) @ expected + 0.5 * expected @ matrix @ expected
    assert update.detail["predicted"] == pytest.approx(predicted, rel=1e-5)


def test_on_a_linear_network_one_undamped_step_is_least_squares():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 3)), random.normal(size=40)
    objective = NetworkObjective(Network((3, 1)), X, y, loss="squared_error")
    history = minimize(objective, optimizers.GaussNewton(damping=0.0), np.zeros(4), steps=1, stop=NEVER)
    expected = np.linalg.lstsq(np.c_[X, np.ones(40)], y, rcond=None)[0]
    assert history.theta[1] == pytest.approx(expected)


def test_its_damping_before_and_after_is_said():
    objective = network()
    history = minimize(objective, optimizers.GaussNewton(damping=1e-4), objective.network.initial(0), steps=12)
    for step in range(12):
        detail = history.stage_at(step).update(history.seek(step)).detail
        assert detail["damping_before"] == history.seek(step).slots.damping
        assert detail["damping_after"] == history.seek(step + 1).slots.damping
        if detail["trials"] > 1:
            assert detail["damping"] > detail["damping_before"]


@pytest.mark.parametrize("name", ["rosenbrock", "bowl"])
def test_gauss_newton_refuses_functions_and_says_what_else_would_do(name):
    with pytest.raises(UnsupportedError, match=r"expected the loss of a network .*damped_newton does the same"):
        minimize(functions.get(name), optimizers.GaussNewton(), steps=1)


def test_a_users_own_least_squares_may_have_a_gauss_newton_matrix():
    class Fit:
        t, y = np.linspace(0, 2, 30), 2 * np.exp(-1.3 * np.linspace(0, 2, 30))

        def residuals(self, theta):
            return theta[0] * np.exp(theta[1] * self.t) - self.y

        def jacobian(self, theta):
            wave = np.exp(theta[1] * self.t)
            return np.array([wave, theta[0] * self.t * wave]).T

        def value(self, theta):
            return 0.5 * float(self.residuals(theta) @ self.residuals(theta))

        def gradient(self, theta):
            return self.jacobian(theta).T @ self.residuals(theta)

        def hvp(self, theta, v):
            raise AssertionError("Gauss-Newton asks for no curvature of the model")

        def gauss_newton(self, theta):
            return self.jacobian(theta).T @ self.jacobian(theta)

    history = minimize(Fit(), optimizers.GaussNewton(), [1.0, 0.0], steps=50)
    assert history.outcome.kind == "converged"
    assert history.theta[-1] == pytest.approx([2.0, -1.3], abs=1e-7)
