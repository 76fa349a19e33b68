"""The way out of a saddle: when a step gets a part along negative curvature, which way, how far; when a run is over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from method_outcomes import FIRST_ORDER, OF_OUTPUTS, SAFE
from second_order_problems import Quadratic, local_of, seeds, symmetric, update_at

from nnopt import optimizers
from nnopt.analysis.explanation import explain
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Local
from nnopt.optimizers.batches import Mini
from nnopt.optimizers.escape import NO_SLOPE, lowest_curvature, step_out, turned, way_out
from nnopt.optimizers.trust_region import HARD_CASE
from nnopt.runs.experiment import default_experiment, set_path
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Memory, Run
from nnopt.runs.stage import Stage
from nnopt.runs.stationary import UNKNOWN, kind_of

ESCAPING = [name for name in SAFE if name != "trust_region"]


def indefinite(seed, size):
    """A Hessian with curvatures of both signs, its eigenpairs, and a random gradient."""
    hessian, gradient = symmetric(seed, size)
    values, vectors = np.linalg.eigh(hessian)
    assume(values[0] < 0 < values[-1])
    return hessian, values, vectors, gradient


# ---- which way


@given(st.integers(2, 7), seeds)
def test_the_way_out_is_the_most_negative_curvature_where_the_gradient_has_no_part_along_any(size, seed):
    hessian, values, vectors, gradient = indefinite(seed, size)
    theta = np.random.default_rng(seed).normal(size=size)
    gradient *= 0.9 * min(1.0, -values[0] / np.linalg.norm(gradient))
    assert way_out(values, vectors, gradient, theta, 1.0) is None
    positive = vectors[:, values > 0]
    blind = positive @ (positive.T @ gradient)
    way = way_out(values, vectors, blind, theta, 1.0)
    assert np.linalg.norm(way) == pytest.approx(1.0)
    assert way @ hessian @ way == pytest.approx(values[0], rel=1e-9)
    # whichever of both eigenvectors the decomposition has given
    assert np.array_equal(way, way_out(values, -vectors, blind, theta, 1.0))
    assert np.array_equal(way, way_out(values, vectors, 0 * gradient, theta, 1.0))
    assert way_out(np.abs(values), vectors, blind, theta, 1.0) is None
    # where the slope is the larger, it leads on
    steep = blind * 1.1 * -values[0] / np.linalg.norm(blind)
    assert way_out(values, vectors, steep, theta, 1.0) is None


def test_a_slope_that_the_loss_could_not_show_turns_the_way_but_is_none():
    # a gain of 1e-20 in a loss of 1: nothing of it would be seen
    values, vectors, theta = np.array([-1.0, 1.0]), np.eye(2), np.zeros(2)
    for slope, side in ((1e-10, -1.0), (-1e-10, 1.0), (0.0, 1.0)):
        assert way_out(values, vectors, np.array([slope, 0.5]), theta, 1.0) == pytest.approx([side, 0.0])
    assert way_out(values, vectors, np.array([1e-6, 0.5]), theta, 1.0) is None
    # in a loss of 0 it would
    assert way_out(values, vectors, np.array([1e-10, 0.5]), theta, 0.0) is None


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5), st.floats(-1, 1))
def test_a_direction_is_turned_downhill_and_without_slope_always_the_same_way(entries, slope):
    direction = np.array(entries)
    assume(len(set(np.abs(direction))) == len(direction) and direction.any())
    assert np.array_equal(turned(direction, slope), -direction if slope > 0 else turned(direction, min(slope, 0.0)))
    level = turned(direction, 0.0)
    assert np.array_equal(level, turned(-direction, 0.0))
    assert level[np.argmax(np.abs(level))] > 0
    assert np.array_equal(turned(direction, slope, rounding=2.0), level)


@given(st.integers(1, 12), seeds)
def test_products_find_the_most_negative_curvature_of_a_small_hessian_exactly(size, seed):
    hessian, _ = symmetric(seed, size)
    values = np.linalg.eigvalsh(hessian)
    found = lowest_curvature(lambda v: hessian @ v, size, size)
    assert found.curvature == pytest.approx(min(values[0], 0.0), rel=1e-8, abs=1e-12)
    if values[0] < 0:
        assert found.direction @ hessian @ found.direction == pytest.approx(values[0], rel=1e-8)
        assert found.bent == pytest.approx(hessian @ found.direction, rel=1e-8, abs=1e-10)
        assert np.linalg.norm(found.direction) == pytest.approx(1.0)


def test_thirty_products_find_negative_curvature_among_ten_thousand_parameters():
    curvatures = np.linspace(0.1, 1.0, 10_000)
    curvatures[[17, 4000]] = -0.3, -0.2
    found = lowest_curvature(lambda v: curvatures * v, 10_000, 30)
    assert found.products == 30
    assert found.curvature == pytest.approx(-0.3, abs=0.02)
    broken = lowest_curvature(lambda v: np.nan * v, 5, 5)
    assert (broken.curvature, broken.products) == (0.0, 1)


# ---- how far


@given(seeds, st.floats(-6, 3), st.floats(-3, 3))
def test_the_length_is_the_first_of_its_sequence_that_gains_a_quarter_of_the_promise(seed, size, bend):
    # phi(t) = c t^4 - b t^2 / 2 + x^2 / 2 from (x, 0): along t there is no slope
    random = np.random.default_rng(seed)
    c, b, x = 10.0**size, 10.0**bend, random.normal()

    def value(theta):
        return float(c * theta[1] ** 4 - b * theta[1] ** 2 / 2 + theta[0] ** 2 / 2)

    class Ridge:
        pass

    ridge = Ridge()
    ridge.value = value
    theta, step, way = np.array([x, 0.0]), np.array([-x, 0.0]), np.array([0.0, 1.0])
    found = step_out(Local(ridge, theta, value(theta), np.array([x, 0.0])), step, way, -b)
    promise = -x * x - b / 2
    enough = [
        value(theta + (a * a * step + a * way)) <= value(theta) + 0.25 * a * a * promise for a in 0.5 ** np.arange(60)
    ]
    if found.factor:
        assert found.factor == 0.5 ** enough.index(True)
        assert found.evaluations == enough.index(True) + 1
        assert found.value == value(theta + (found.factor**2 * step + found.factor * way))
    else:  # what is left to gain drowns in rounding
        assert 0.25 ** enough.index(True) * -promise <= 1e-14 * value(theta)


@pytest.mark.parametrize("where", ["nan", "infinite", "overflow"])
def test_where_the_loss_cannot_be_computed_the_way_is_shorter(where):
    class Cliff:
        def value(self, theta):
            if abs(theta[0]) > 0.3:
                if where == "overflow":
                    raise OverflowError
                return np.nan if where == "nan" else -np.inf
            return float(-(theta[0] ** 2))

    found = step_out(Local(Cliff(), np.zeros(1), 0.0, np.zeros(1)), np.zeros(1), np.ones(1), -2.0)
    assert found.factor == 0.25


# ---- the methods


def test_each_method_adds_a_unit_length_along_the_ridge_to_its_own_step():
    f = functions.get("saddle")  # x^2 - y^2
    update = update_at("saddle_free_newton", f, [1.0, 0.0])
    assert update.step == pytest.approx([-1.0, 1.0])
    assert update.detail["escape"] == 1.0
    # H + mu I is positive definite from mu = 4.096e-3 * 4^5 on; far from the saddle the usual step is worth more
    damped = update_at("damped_newton", f, [0.1, 0.0])
    mu = damped.detail["damping"]
    assert damped.step == pytest.approx([-0.2 / (2 + mu), 1.0])
    assert (damped.detail["negative"], damped.detail["smallest"]) == (1.0, -2.0)
    far = update_at("damped_newton", f, [1.0, 0.0])
    assert far.step == pytest.approx([-2 / (2 + mu), 0.0])
    assert far.detail["escape"] == 0.0
    free = update_at("newton_cg", f, [1e-4, 0.0])
    assert free.step == pytest.approx([-2e-4 / 2.001, 1.0], abs=1e-9)
    assert free.detail["smallest"] == pytest.approx(-2.0)
    for made in (update, damped, free):
        assert made.note == NO_SLOPE
        assert made.detail["gain_ratio"] == pytest.approx(1.0)


@pytest.mark.parametrize("name", ESCAPING)
def test_what_is_said_of_the_step_is_true_and_explained(name):
    f = functions.formula("(x**2 - 1)**2 + 3*y**2 + y**4")
    history = minimize(f, optimizers.get(name)(), [0.0, 0.7], steps=60)
    step = next(at for at, note in history.notes if NO_SLOPE in note)
    facts = explain(history, step)
    detail, theta = facts.detail, history.theta[step]
    s = history.theta[step + 1] - theta
    assert detail["escape"] == pytest.approx(abs(s[0]))
    model = f.gradient(theta) @ s + 0.5 * s @ f.hessian(theta) @ s
    assert detail["predicted"] == pytest.approx(model, rel=1e-9)
    assert detail["actual"] == pytest.approx(history.value[step + 1] - history.value[step], abs=1e-15)
    assert detail["actual"] < 0
    assert "No slope along the negative curvature: step along it, either way leads down." in facts.sentences
    assert history.outcome.kind == "converged"
    assert np.abs(history.theta[-1]) == pytest.approx([1.0, 0.0], abs=1e-8)


@pytest.mark.parametrize("name", ESCAPING)
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_step_factor_scales_the_part_along_the_ridge_too(name, factor):
    update = update_at(name, functions.get("saddle"), [0.0, 0.0], factor)
    assert np.abs(update.step) == pytest.approx([0.0, factor])
    assert update.detail["escape"] == pytest.approx(factor)


@pytest.mark.parametrize("name", ESCAPING)
def test_a_way_that_does_not_lead_down_is_not_gone(name):
    class Liar(Quadratic):
        def hessian(self, theta):
            return -self.H

    update = update_at(name, Liar(np.eye(2)), [0.0, 0.0])
    assert not update.step.any()
    assert update.detail["escape"] == 0.0
    history = minimize(Liar(np.eye(2)), optimizers.get(name)(), [0.0, 0.0], steps=5)
    assert (history.outcome.kind, history.outcome.step) == ("converged", 0)


@pytest.mark.parametrize("name", SAFE)
def test_where_minima_form_a_curve_nothing_jumps_off_it(name):
    # beside the hyperbola the curvature along it is of the size of the gradient, of either sign
    f = functions.formula("(x*y - 1)**2")
    for seed in range(12):
        start = 2.0 + np.random.default_rng(seed).normal(size=2)
        history = minimize(f, optimizers.get(name)(), start, steps=60)
        assert history.outcome.kind == "converged"
        assert not any(text in note for _, note in history.notes for text in (NO_SLOPE, HARD_CASE))


@pytest.mark.parametrize("name", SAFE)
def test_a_run_out_of_a_saddle_comes_back_bit_for_bit(name):
    experiment = set_path(default_experiment(), "problem.network.initial", {"name": "zeros"})
    experiment = set_path(experiment, "problem.l2", 1e-3)
    experiment = set_path(experiment, "methods[0].optimizer", {"name": name})
    run = Run(experiment, memory=Memory(rows=8, keyframes=8 * 40, recent=0))
    assert run.outcome.running
    first_pass = [run.state]
    while run.advance(1) and len(first_pass) < 25:
        first_pass.append(run.state)
    assert len(first_pass) == 25
    assert run.history.row(24)["loss"] < 0.7 * run.history.row(0)["loss"]
    for state in reversed(first_pass):
        assert run.history.seek(state.step).same_bits(state)
    again = Run.replay(run.recording)
    assert again.state.same_bits(run.state)
    assert again.history.notes == run.history.notes
    fork = run.fork(0)
    fork.advance(10)
    assert fork.state.same_bits(first_pass[10])


# ---- when a run is over


def moons(**penalty):
    random = np.random.default_rng(1)
    X = random.normal(size=(40, 2))
    return NetworkObjective(Network((2, 4, 1)), X, (X[:, 0] > 0).astype(int), **penalty)


@pytest.mark.parametrize("name", SAFE)
def test_on_a_saddle_they_have_not_converged_also_with_mini_batches(name):
    objective = moons(l2=1e-2)
    start = np.zeros(objective.size)
    # half of the labels are 0: the full gradient vanishes but for the output's bias
    start[-1] = np.log(np.mean(objective.outputs(start) >= 0))
    for batches in (None, Mini(size=8)):
        rested = minimize(objective, optimizers.LBFGS(), start, steps=30).theta[-1]
        history = minimize(objective, optimizers.get(name)(), rested, steps=12, batches=batches)
        assert history.outcome.kind != "converged" or history.outcome.step > 0
        assert history.value[-1] < history.value[0]


@pytest.mark.parametrize("name", [*FIRST_ORDER, *OF_OUTPUTS, "newton", "lbfgs"])
def test_the_others_have_and_say_that_it_is_a_saddle(name):
    objective = moons(l2=1e-2)
    rested = minimize(objective, optimizers.LBFGS(), np.zeros(objective.size), steps=30).theta[-1]
    history = minimize(objective, optimizers.get(name)(), rested, steps=12)
    assert (history.outcome.kind, history.outcome.step) == ("converged", 0)
    assert "(a saddle: " in history.outcome.reason


@pytest.mark.parametrize(
    ("hessian", "slope", "said"),
    [
        ([[2.0, 0.0], [0.0, 1.0]], 0.0, "a minimum"),
        ([[2.0, 0.0], [0.0, -1.0]], 1e-9, "a saddle: 1 of 2 curvatures is negative"),
        (np.diag([2.0, -1.0, -3.0]), 1e-9, "a saddle: 2 of 3 curvatures are negative"),
        (np.diag([-2.0, -1.0]), 0.0, "a maximum: 2 of 2 curvatures are negative"),
        ([[-1.0]], 0.0, "a maximum: the curvature is negative"),
        ([[-1e-7]], 4e-9, UNKNOWN),
        (np.diag([1.0, -1.0, -1e-8]), 5e-9, "a saddle: 1 of 3 curvatures is negative"),
        (np.diag([-1.0, 0.0]), 0.0, "not a minimum: 1 of 2 curvatures is negative"),
        (np.diag([1.0, -1e-17]), 0.0, "no curvature is negative, but some are zero"),
        (np.diag([1.0, -1e-9]), 5e-9, "no curvature is negative, but some are zero"),
        ([[0.0]], 0.0, "the curvature is zero"),
        ([[np.nan]], 0.0, UNKNOWN),
    ],
)
def test_what_a_run_has_come_to_is_said_by_the_signs_of_the_curvatures(hessian, slope, said):
    stage = Stage(Quadratic(hessian), optimizers.Newton())
    assert kind_of(stage, np.zeros(len(hessian)), slope) == said


@pytest.mark.parametrize("name", ["lbfgs", *SAFE])
def test_beside_a_curve_of_minima_nothing_is_said_to_be_no_minimum(name):
    # the curvature along a circle of radius R is |g| / R: larger than |g|, and negative inside
    circle = functions.formula("(x**2 + y**2 - 0.01)**2")
    # all local minima of a deep linear network are global (Baldi & Hornik 1989; Kawaguchi 2016)
    random = np.random.default_rng(0)
    X = random.normal(size=(30, 2))
    y = (X[:, 0] + random.normal(size=30) > 0).astype(int)
    deep, flat = (NetworkObjective(Network(sizes, "identity"), X, y) for sizes in ((2, 5, 1), (2, 1)))
    least = minimize(flat, optimizers.Newton(), np.zeros(3), steps=50).value[-1]
    starts = [deep.network.initial(seed) for seed in range(6)]
    for f, start, lowest in ((circle, [0.05, 0.0], 0.0), *((deep, start, least) for start in starts)):
        history = minimize(f, optimizers.get(name)(), start, steps=100)
        assert history.outcome.kind == "converged"
        assert history.value[-1] == pytest.approx(lowest, abs=1e-12)
        assert not any(f"({kind}" in history.outcome.reason for kind in ("not a minimum", "a saddle:", "a maximum"))


@pytest.mark.parametrize("radius", [1e-12, 1e-9, 1e-3])
@pytest.mark.parametrize("x", [0.0, 1e-13, 1e-6])
def test_a_small_radius_grows_on_a_saddle_though_nothing_can_be_measured_there(radius, x):
    f = functions.formula("(x**2 - 1)**2 + y**2 + 1")
    history = minimize(f, optimizers.TrustRegion(radius=radius), [x, 1e-8], steps=100)
    assert history.outcome.kind == "converged"
    assert np.abs(history.theta[-1]) == pytest.approx([1.0, 0.0], abs=1e-8)


def test_a_plug_ins_function_without_a_hessian_is_run_to_its_end():
    class Own(functions.Function):
        size = 1

        def value_and_gradient(self, theta):
            return float(theta @ theta) / 2, 1.0 * theta

    history = minimize(Own(), optimizers.SGD(lr=0.5), [1.0], steps=100)
    assert history.outcome.reason.endswith(f"({UNKNOWN})")


def test_a_users_hessian_is_not_asked_for_by_a_method_that_does_without_it():
    class Own(Quadratic):
        def hessian(self, theta):
            raise AssertionError("not needed")

    history = minimize(Own([[1.0]]), optimizers.SGD(lr=0.5), [1.0], steps=100)
    assert history.outcome.reason.endswith(f"({UNKNOWN})")
    wide = NetworkObjective(Network((600, 1)), np.zeros((1, 600)), [0])
    assert kind_of(Stage(wide, optimizers.SGD()), np.zeros(601), 0.0) == UNKNOWN


@given(st.sampled_from(SAFE), seeds)
def test_every_kind_of_start_near_a_quadratic_saddle_leads_away(name, seed):
    # x^4 keeps the loss bounded: the minima are at |v| = sqrt(-smallest / 4)
    hessian, _, _, _ = indefinite(seed, 3)

    class Bounded(Quadratic):
        def value(self, theta):
            return 0.5 * theta @ self.H @ theta + (theta @ theta) ** 2

        def gradient(self, theta):
            return self.H @ theta + 4 * (theta @ theta) * theta

        def hessian(self, theta):
            return self.H + 4 * (theta @ theta) * np.eye(3) + 8 * np.outer(theta, theta)

    objective = Bounded(hessian)
    random = np.random.default_rng(seed)
    start = random.choice([0.0, 1e-14, 1e-9, 1e-3]) * random.normal(size=3)
    history = minimize(objective, optimizers.get(name)(), start, steps=200)
    lowest = np.linalg.eigvalsh(hessian)[0]
    assert history.value[-1] == pytest.approx(-(lowest**2) / 16, rel=1e-6)
    assert np.linalg.eigvalsh(objective.hessian(history.theta[-1]))[0] > -1e-5 * np.abs(hessian).max()
    assert local_of(objective, start).value >= history.value[-1]
