"""Newton–CG: conjugate gradients on products, and what they do at negative curvature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize as scipy_minimize
from second_order_problems import is_at_a_minimum, seeds, sizes, starts_near, symmetric, update_at

from nnopt import optimizers
from nnopt.errors import UnsupportedError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import newton_cg
from nnopt.optimizers.base import Local
from nnopt.optimizers.newton_cg import conjugate_gradients
from nnopt.runs.experiment import Stop
from nnopt.runs.minimize import minimize


@given(sizes, seeds, st.floats(0, 10))
def test_conjugate_gradients_solve_a_definite_system_in_as_many_products_as_parameters(size, seed, damping):
    hessian, gradient = symmetric(seed, size, definite=True)
    solved = conjugate_gradients(lambda v: hessian @ v, gradient, damping, 1e-9 * np.linalg.norm(gradient), 60)
    expected = -np.linalg.solve(hessian + damping * np.eye(size), gradient)
    # the residual is 1e-9 of the gradient, the condition number up to 1e4
    assert solved.step == pytest.approx(expected, rel=1e-4, abs=1e-5 * np.linalg.norm(expected))
    assert not solved.negative
    residual = np.linalg.norm((hessian + damping * np.eye(size)) @ solved.step + gradient)
    assert solved.residual == pytest.approx(residual, abs=1e-9 * np.linalg.norm(gradient))
    assert solved.slope == pytest.approx(gradient @ solved.step)
    assert solved.bend == pytest.approx(solved.step @ hessian @ solved.step, rel=1e-4, abs=1e-9)
    exact = conjugate_gradients(lambda v: hessian @ v, gradient, damping, 0.0, size)
    assert exact.products <= size


@given(sizes, seeds)
def test_at_negative_curvature_the_step_still_leads_down_and_gains_by_the_model(size, seed):
    hessian, gradient = symmetric(seed, size)
    hessian = -hessian if np.linalg.eigvalsh(hessian)[0] > 0 else hessian
    solved = conjugate_gradients(lambda v: hessian @ v, gradient, 0.0, 1e-6 * np.linalg.norm(gradient), 60)
    assert solved.slope < 0
    if solved.negative:
        assert solved.curvature <= 0
        assert solved.slope + 0.5 * solved.bend < 0


def test_the_way_along_negative_curvature_is_as_long_as_along_positive():
    for sign in (1.0, -1.0):
        solved = conjugate_gradients(lambda v, sign=sign: sign * 4.0 * v, np.array([8.0]), 0.0, 1e-9, 10)
        assert solved.step == pytest.approx([-2.0])
        assert solved.negative == (sign < 0)


def test_no_hessian_is_formed_however_many_parameters_there_are():
    class Products:
        asked = 0

        def value(self, theta):
            return float(np.sum(np.cosh(theta)))

        def gradient(self, theta):
            return np.sinh(theta)

        def hvp(self, theta, v):
            self.asked += 1
            return np.cosh(theta) * v

    objective = Products()
    start = np.random.default_rng(0).normal(size=50_000)
    history = minimize(objective, optimizers.NewtonCG(), start, steps=30)
    assert history.outcome.kind == "converged"
    assert objective.asked < 100
    said = [history.stage_at(step).update(history.seek(step)).detail for step in range(3)]
    assert [detail["residual"] <= 0.5 for detail in said] == [True] * 3


def test_products_are_limited_and_that_is_said():
    f = functions.get("rosenbrock_n", n=40)
    update = update_at("newton_cg", f, f.minima[0].theta + 1e-5, products=3)
    assert update.detail["products"] == 3.0
    assert newton_cg.UNSOLVED in update.note


def test_newton_cg_needs_products_and_says_so():
    class Plain:
        def value(self, theta):
            return float(theta @ theta)

        def gradient(self, theta):
            return 2 * theta

    with pytest.raises(UnsupportedError, match=r"needs curvature, and .* has neither `hessian` nor `hvp`"):
        minimize(Plain(), optimizers.NewtonCG(), [1.0], steps=1)


@pytest.mark.parametrize("name", ["rosenbrock", "wood", "rosenbrock_n", "beale", "himmelblau"])
def test_newton_cg_reaches_a_minimum_in_about_as_many_steps_as_scipys(name):
    f, steps = functions.get(name), []
    for start in starts_near([1.0, 1.0] if name == "himmelblau" else f.start):
        ours = minimize(f, optimizers.NewtonCG(), start, steps=300, stop=Stop(gradient_norm=1e-9))
        assert ours.outcome.kind == "converged"
        assert is_at_a_minimum(f, ours.theta[-1])
        theirs = scipy_minimize(
            f.value, start, jac=f.gradient, hessp=f.hvp, method="Newton-CG", options={"xtol": 1e-12}
        )
        # scipy's may stop elsewhere, or be out of steps: of Wood's function, for one
        if is_at_a_minimum(f, theirs.x):
            steps.append((ours.length - 1, theirs.nit))
    assert len(steps) >= 3
    few, about = np.median(steps, axis=0)
    assert few <= 1.5 * about + 5


def test_products_of_a_step_share_the_passes_at_its_theta_and_follow_theta_and_batch():
    random = np.random.default_rng(0)
    objective = NetworkObjective(Network((2, 5, 1)), random.standard_normal((20, 2)), random.integers(0, 2, 20))
    v, first, second = random.standard_normal((3, objective.size))
    made = []

    class Counted:
        hvp = objective.hvp
        batch = objective.batch

        def linearized(self, theta):
            made.append(theta)
            return objective.linearized(theta)

    first.flags.writeable = second.flags.writeable = False
    local = Local(Counted(), first, *objective.value_and_gradient(first))
    for _ in range(3):
        assert np.array_equal(local.hvp(v), objective.hvp(first, v))
    assert len(made) == 1
    local.theta = second
    assert np.array_equal(local.hvp(v), objective.hvp(second, v))
    assert len(made) == 2
    rows = np.arange(5)
    local.take(rows)
    assert np.array_equal(local.hvp(v), objective.batch(rows).hvp(second, v))
    # a theta that can still be changed is looked at anew each time
    local = Local(objective, second.copy(), *objective.value_and_gradient(second))
    local.hvp(v)
    local.theta[:] = first
    assert np.array_equal(local.hvp(v), objective.hvp(first, v))
