"""Methods: each against other programs, closed forms or an independent loop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt import optimizers
from nnopt.errors import UnknownNameError, UnsupportedError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Local
from nnopt.optimizers.damped_newton import REFUSED
from nnopt.optimizers.linear import SINGULAR, solve_symmetric
from nnopt.optimizers.newton import UPHILL
from nnopt.runs.experiment import Stop
from nnopt.runs.minimize import minimize

REFERENCE = json.loads((Path(__file__).parent.parent / "data" / "optimizers.json").read_text())
NEVER = Stop(gradient_norm=0.0)


class Quadratic:
    """1/2 theta^T H theta + b^T theta."""

    def __init__(self, hessian, linear=0.0):
        self.H = np.array(hessian, dtype=float)
        self.b = np.zeros(len(self.H)) + linear
        self.calls = 0

    def value(self, theta):
        return 0.5 * theta @ self.H @ theta + self.b @ theta

    def gradient(self, theta):
        return self.H @ theta + self.b

    def hessian(self, theta):
        self.calls += 1
        return self.H


def local_of(objective, theta):
    theta = np.array(theta, dtype=float)
    return Local(objective, theta, objective.value(theta), np.array(objective.gradient(theta)))


@pytest.mark.parametrize("name", sorted(REFERENCE["runs"]))
def test_sixty_steps_agree_with_pytorch(name):
    run = REFERENCE["runs"][name]
    optimizer = optimizers.get(name)(**run["settings"])
    history = minimize(functions.get("rosenbrock"), optimizer, REFERENCE["start"], steps=60)
    assert history.theta == pytest.approx(np.array(run["theta"]), rel=1e-10, abs=1e-10)
    assert history.value == pytest.approx(np.array(run["value"]), rel=1e-10, abs=1e-10)


def test_nesterov_and_adagrad_agree_with_loops_written_from_their_formulas():
    f = functions.get("beale")
    theta, v = np.array(f.start), np.zeros(2)
    expected = [theta]
    for _ in range(60):
        g = f.gradient(theta)
        v = g + 0.8 * v
        theta = theta - 0.002 * (g + 0.8 * v)
        expected.append(theta)
    history = minimize(f, optimizers.Nesterov(lr=0.002, beta=0.8), steps=60)
    assert history.theta == pytest.approx(np.array(expected), rel=1e-12)

    theta, s = np.array(f.start), np.zeros(2)
    expected = [theta]
    for _ in range(60):
        g = f.gradient(theta)
        s = s + g**2
        theta = theta - 0.3 * g / (np.sqrt(s) + 1e-6)
        expected.append(theta)
    history = minimize(f, optimizers.Adagrad(lr=0.3, eps=1e-6), steps=60)
    assert history.theta == pytest.approx(np.array(expected), rel=1e-12)


@given(st.floats(0.01, 1.9), st.integers(1, 30))
def test_gradient_descent_on_a_parabola_shrinks_by_one_minus_rate_times_curvature(rate, steps):
    history = minimize(Quadratic([[1.0]]), optimizers.SGD(lr=rate), [3.0], steps, stop=NEVER)
    assert history.theta[-1] == pytest.approx(3 * (1 - rate) ** steps, rel=1e-9, abs=1e-12)


def test_a_new_rate_acts_at_once_on_the_whole_velocity():
    slots = optimizers.Momentum().init(np.zeros(1))
    first = optimizers.Momentum(beta=0.5).update(local_of(Quadratic([[1.0]]), [4.0]), slots, 1.0)
    second = optimizers.Momentum(beta=0.5).update(local_of(Quadratic([[1.0]]), [2.0]), first.slots, 0.1)
    assert second.step == pytest.approx([-0.1 * (2.0 + 0.5 * 4.0)])


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient():
    for scale in (1e-3, 1.0, 1e6):
        history = minimize(Quadratic([[scale]]), optimizers.Adam(lr=0.01), [1.0], steps=1)
        assert history.theta[1, 0] == pytest.approx(0.99, rel=1e-6)


@pytest.mark.parametrize("name", optimizers.names())
def test_an_update_changes_nothing_it_was_given(name):
    f = functions.get("rosenbrock")
    optimizer = optimizers.get(name)()
    theta = f.start
    if name == "gauss_newton":  # it is not defined for functions
        random = np.random.default_rng(0)
        f = NetworkObjective(Network((2, 2, 1)), random.normal(size=(12, 2)), random.integers(0, 2, 12))
        theta = f.network.initial(0)
    value, gradient = f.value_and_gradient(theta)
    slots = optimizer.init(theta)
    arrays = [theta, gradient, *(getattr(slots, field) for field in slots.__struct_fields__)]
    before = [np.copy(array) for array in arrays]
    first = optimizer.update(Local(f, theta, value, gradient), slots, 0.1)
    second = optimizer.update(Local(f, theta, value, gradient), slots, 0.1)
    assert all(np.array_equal(array, copy) for array, copy in zip(arrays, before, strict=True))
    assert np.array_equal(first.step, second.step)
    assert type(first.slots) is type(slots)


# ---- Newton


def test_newton_on_rosenbrock_is_the_known_sequence():
    history = minimize(functions.get("rosenbrock"), optimizers.Newton(), [-1.2, 1.0], steps=6)
    printed = ["24.2", "4.731884325", "1411.845179", "0.05596551683", "0.3131890761", "1.85274e-11", "3.4e-20"]
    digits = [len(text.split("e")[0].replace(".", "").lstrip("0")) for text in printed]
    rounded = [f"{value:.{places}g}" for value, places in zip(history.value, digits, strict=True)]
    assert [float(text) for text in rounded] == [float(text) for text in printed]


@given(st.floats(1, 1e6), st.floats(-180, 180), st.tuples(st.floats(-3, 3), st.floats(-3, 3)))
def test_newton_reaches_the_minimum_of_a_quadratic_in_one_step(condition, rotation, start):
    f = functions.get("quadratic", condition=condition, rotation=rotation)
    history = minimize(f, optimizers.Newton(), start, steps=1, stop=NEVER)
    # the error of a linear solve grows with the condition number
    assert history.theta[1] == pytest.approx(f.minima[0].theta, abs=1e-14 * condition + 1e-13)


def test_newton_on_himmelblau_climbs_to_the_maximum_and_says_so():
    history = minimize(functions.get("himmelblau"), optimizers.Newton(), [0, 0], steps=50)
    assert history.theta[-1] == pytest.approx([-0.270845, -0.923039], abs=1e-6)
    assert history.value[-1] == pytest.approx(181.617, abs=1e-3)
    assert history.notes == ((0, UPHILL),)
    update = history.stage_at(0).update(history.seek(0))
    assert update.detail["uphill"] == 1.0
    assert update.detail["slope"] > 0


def test_newton_jumps_onto_a_saddle_in_one_step():
    history = minimize(Quadratic([[2.0, 0.0], [0.0, -2.0]]), optimizers.Newton(), [0.7, 0.4], steps=5)
    assert history.outcome.kind == "converged"
    assert history.length == 2
    assert history.theta[1].tolist() == [0.0, 0.0]


def test_newton_takes_the_least_norm_step_where_the_hessian_is_singular_and_says_so():
    objective = Quadratic([[2.0, 2.0], [2.0, 2.0]])
    update = optimizers.Newton().update(local_of(objective, [1.0, 0.0]), optimizers.Newton().init(np.zeros(2)), 1.0)
    assert update.step == pytest.approx([-0.5, -0.5])
    assert SINGULAR in update.note
    assert update.detail["singular"] == 1.0


def test_the_predicted_change_of_a_newton_step_is_that_of_the_quadratic_model():
    objective = Quadratic([[3.0, 1.0], [1.0, -2.0]], linear=[1.0, 2.0])
    theta = np.array([0.3, -0.8])
    for factor in (1.0, 0.3):
        update = optimizers.Newton().update(local_of(objective, theta), optimizers.Newton().init(theta), factor)
        actual = objective.value(theta + update.step) - objective.value(theta)
        assert update.detail["predicted"] == pytest.approx(actual, rel=1e-12)


@given(st.integers(1, 6), st.integers(0, 10**6), st.booleans())
def test_symmetric_systems_are_solved_whatever_the_signs(size, seed, singular):
    random = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(random.normal(size=(size, size)))
    values = random.choice([-1, 1], size) * 10.0 ** random.uniform(-2, 2, size)
    if singular:
        values[0] = 0.0
    matrix = vectors @ np.diag(values) @ vectors.T
    right = random.normal(size=size)
    solution, said = solve_symmetric((matrix + matrix.T) / 2, right)
    expected = np.linalg.pinv(matrix, rcond=1e-10) @ right
    assert said == singular
    assert solution == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_a_hessian_that_is_not_finite_ends_the_run_and_raises_nothing():
    for optimizer in (optimizers.Newton(), optimizers.DampedNewton()):
        history = minimize(Quadratic([[np.nan]]), optimizer, [1.0], steps=3)
        assert history.outcome.kind == "diverged"


# ---- damped Newton


@pytest.mark.parametrize(
    "name",
    [
        "bowl", "rosenbrock", "distill_rosenbrock", "himmelblau", "beale", "booth", "matyas", "quadratic", "wood",
        "powell_singular", "styblinski_tang", "three_hump_camel", "six_hump_camel", "rosenbrock_n",
    ],
)  # fmt: skip
def test_damped_newton_ends_in_a_minimum(name):
    f = functions.get(name)
    history = minimize(f, optimizers.DampedNewton(), steps=400)
    assert history.outcome.kind == "converged"
    assert (np.diff(history.value) <= 1e-12).all()
    # a singular Hessian at a minimum has eigenvalues of rounding size on both sides of zero
    assert np.linalg.eigvalsh(f.hessian(history.theta[-1])).min() > -1e-6


def test_damped_newton_leaves_the_hill_on_which_newton_is_trapped():
    history = minimize(functions.get("himmelblau"), optimizers.DampedNewton(), [-0.27, -0.92], steps=100)
    assert history.value[-1] == pytest.approx(0.0, abs=1e-15)


def test_damped_newton_reports_its_damping_and_keeps_it():
    f = functions.get("rosenbrock")
    history = minimize(f, optimizers.DampedNewton(damping=0.5), [-1.2, 1.0], steps=10)
    for step in range(10):
        detail = history.stage_at(step).update(history.seek(step)).detail
        assert detail["damping_before"] == history.seek(step).slots.damping
        assert detail["damping_after"] == history.seek(step + 1).slots.damping
        assert detail["actual"] == pytest.approx(history.value[step + 1] - history.value[step], abs=1e-12)
        assert detail["gain_ratio"] == pytest.approx(detail["actual"] / detail["predicted"])
        lifted = f.hessian(history.theta[step]) + detail["damping"] * np.eye(2)
        assert np.linalg.eigvalsh(lifted).min() > 0


def test_damped_newton_refuses_a_step_that_no_damping_makes_good():
    class Liar:
        """A gradient that points the wrong way: no step along it lowers the value."""

        def value(self, theta):
            return float(theta @ theta)

        def gradient(self, theta):
            return -2 * theta

        def hessian(self, theta):
            return 2 * np.eye(2)

    history = minimize(Liar(), optimizers.DampedNewton(damping=1e-3), [1.0, 2.0], steps=3)
    assert np.array_equal(history.theta, [[1.0, 2.0]] * 4)
    assert history.notes[0] == (0, REFUSED)
    dampings = [history.seek(step).slots.damping for step in range(4)]
    assert dampings == sorted(dampings)
    assert dampings[-1] > dampings[0]


def test_curvature_methods_use_the_batch_of_their_step():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(12, 2)), random.integers(0, 2, 12)
    objective = NetworkObjective(Network((2, 2, 1)), X, y, l2=0.1)
    rows = np.array([1, 4, 7])
    theta = random.normal(size=objective.size)
    value, gradient = objective.value_and_gradient(theta, rows)
    part = NetworkObjective(Network((2, 2, 1)), X[rows], y[rows], l2=0.1)
    update = optimizers.Newton().update(
        Local(objective, theta, value, gradient, rows), optimizers.Newton().init(theta), 1.0
    )
    assert update.step == pytest.approx(np.linalg.solve(part.hessian(theta), -part.gradient(theta)), rel=1e-8)


def test_hessian_vector_products_are_enough_for_a_curvature_method():
    class Products:
        H = np.array([[3.0, 1.0], [1.0, 2.0]])

        def value(self, theta):
            return 0.5 * theta @ self.H @ theta

        def gradient(self, theta):
            return self.H @ theta

        def hvp(self, theta, v):
            return self.H @ v

    history = minimize(Products(), optimizers.Newton(), [4.0, -2.0], steps=1)
    assert history.theta[1] == pytest.approx([0.0, 0.0], abs=1e-14)
    local = local_of(Products(), [1.0, 1.0])
    assert np.array_equal(local.hessian(), Products.H)
    assert local_of(Quadratic(Products.H), [1.0, 1.0]).hvp(np.array([1.0, 0.0])).tolist() == [3.0, 1.0]


def test_what_an_objective_lacks_is_said():
    class Plain:
        def value(self, theta):
            return 0.0

        def gradient(self, theta):
            return np.zeros_like(theta)

    with pytest.raises(UnsupportedError, match=r"Newton needs curvature, and .* has neither `hessian` nor `hvp`"):
        minimize(Plain(), optimizers.Newton(), [1.0], steps=1)
    with pytest.raises(UnsupportedError, match=r"Gauss-Newton.*Plain does not have it"):
        local_of(Plain(), [1.0]).gauss_newton()


def test_a_hessian_that_does_not_fit_into_memory_is_refused_beforehand():
    with pytest.raises(UnsupportedError, match=r"of 20,000 parameters it takes 3\.2 GB; the limit is 8,000"):
        minimize(Quadratic([[1.0]]), optimizers.DampedNewton(), np.ones(20_000), steps=1)


def test_methods_are_found_by_name_and_as_attributes():
    assert optimizers.get("newton") is optimizers.Newton
    assert optimizers.get("rmsprop") is optimizers.RMSprop
    assert "DampedNewton" in dir(optimizers)
    with pytest.raises(UnknownNameError, match="did you mean 'nesterov'"):
        optimizers.get("nesterof")
    with pytest.raises(AttributeError):
        optimizers.Nonsense  # noqa: B018
