"""L-BFGS: its direction against BFGS, its memory, its line searches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize as scipy_minimize
from second_order_problems import is_at_a_minimum, local_of, seeds, starts_near, symmetric, update_at

from nnopt import optimizers
from nnopt.objectives import functions
from nnopt.optimizers import lbfgs
from nnopt.optimizers.lbfgs import two_loops
from nnopt.runs.experiment import Stop
from nnopt.runs.minimize import minimize


@given(st.integers(1, 6), st.integers(0, 5), seeds)
def test_two_loops_are_the_inverse_that_bfgs_would_build(size, pairs, seed):
    random = np.random.default_rng(seed)
    hessian, gradient = symmetric(seed, size, definite=True)
    steps = random.normal(size=(pairs, size))
    changes = steps @ hessian
    inverse = np.eye(size)
    if pairs:
        inverse *= (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for s, y in zip(steps, changes, strict=True):
        rho = 1 / (s @ y)
        left = np.eye(size) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    direction, _ = two_loops(gradient, steps, changes)
    assert direction == pytest.approx(-inverse @ gradient, rel=1e-6, abs=1e-8 * np.abs(inverse @ gradient).max())


def test_the_memory_holds_the_last_steps_and_changes_of_the_gradient():
    f = functions.get("rosenbrock")
    history = minimize(f, optimizers.LBFGS(memory=3), steps=8)
    for step in range(8):
        slots = history.seek(step).slots
        count = min(step, 3)
        assert slots.steps.shape == slots.changes.shape == (3, 2)
        assert slots.pairs == count
        if count:
            theta = history.theta[: step + 1][-count - 1 :]
            gradients = np.array([f.gradient(row) for row in theta])
            assert slots.steps[3 - count :] == pytest.approx(np.diff(theta, axis=0), abs=1e-13)
            assert slots.changes[3 - count :] == pytest.approx(np.diff(gradients, axis=0), abs=1e-9)


def test_every_step_meets_the_strong_wolfe_conditions():
    f = functions.get("wood")
    history = minimize(f, optimizers.LBFGS(), steps=40)
    for step in range(40):
        theta, move = history.theta[step], np.diff(history.theta[step : step + 2], axis=0)[0]
        slope = f.gradient(theta) @ move
        assert f.value(theta + move) <= f.value(theta) + 1e-4 * slope
        assert abs(f.gradient(theta + move) @ move) <= 0.9 * abs(slope) * (1 + 1e-9)


@pytest.mark.parametrize("name", ["rosenbrock", "wood", "rosenbrock_n", "powell_singular", "quadratic"])
def test_lbfgs_reaches_a_minimum_with_about_as_many_evaluations_as_scipys(name):
    f, evaluations = functions.get(name), []
    within = 1e-2 if name == "powell_singular" else 1e-6
    for start in starts_near(f.start):
        ours = minimize(f, optimizers.LBFGS(), start, steps=500, stop=Stop(gradient_norm=1e-8))
        assert ours.outcome.kind == "converged"
        assert is_at_a_minimum(f, ours.theta[-1], within)
        theirs = scipy_minimize(
            f.value_and_gradient, start, jac=True, method="L-BFGS-B",
            options={"gtol": 1e-8, "ftol": 0.0, "maxcor": 10, "maxls": 40},
        )  # fmt: skip
        if is_at_a_minimum(f, theirs.x, within):
            details = [ours.stage_at(step).update(ours.seek(step)).detail for step in range(ours.length - 1)]
            evaluations.append((sum(detail["evaluations"] for detail in details), theirs.nfev))
    assert len(evaluations) >= 3
    few, about = np.median(evaluations, axis=0)
    assert few <= 1.5 * about + 10


def test_values_and_gradients_are_all_it_needs():
    class Plain:
        def value(self, theta):
            return float(np.sum(np.cosh(theta - 1)))

        def gradient(self, theta):
            return np.sinh(theta - 1)

    history = minimize(Plain(), optimizers.LBFGS(), np.linspace(-2, 2, 20_000), steps=50)
    assert history.outcome.kind == "converged"
    assert history.theta[-1] == pytest.approx(np.ones(20_000), abs=1e-8)


def test_the_step_factor_scales_the_step_and_not_the_search():
    f = functions.get("rosenbrock")
    whole, half = (update_at("lbfgs", f, f.start, factor) for factor in (1.0, 0.5))
    assert half.step == pytest.approx(0.5 * whole.step, rel=1e-15)
    assert np.array_equal(half.slots.steps, whole.slots.steps)
    assert half.detail["actual"] == pytest.approx(f.value(f.start + half.step) - f.value(f.start))


def test_a_memory_that_misleads_is_dropped():
    f = functions.get("bowl")
    theta = np.array([2.0])
    # a pair of the wrong sign cannot come from the method itself; a state from elsewhere may hold one
    slots = lbfgs.Pairs(np.ones((4, 1)), -np.ones((4, 1)), 4.0)
    update = optimizers.LBFGS(memory=4).update(local_of(f, theta), slots, 1.0)
    assert lbfgs.FORGOTTEN in update.note
    assert update.detail["pairs"] == 0.0
    assert update.step[0] < 0
    assert update.slots.pairs == 1.0
