"""The trust region: its subproblem solved exactly, the hard case included, and its radius."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize as scipy_minimize
from second_order_problems import is_at_a_minimum, seeds, sizes, starts_near, symmetric, update_at

from nnopt import optimizers
from nnopt.objectives import functions
from nnopt.optimizers import trust_region
from nnopt.optimizers.trust_region import Region
from nnopt.runs.experiment import Stop
from nnopt.runs.minimize import minimize


@given(sizes, seeds, st.floats(-3, 3), st.booleans(), st.booleans(), st.booleans())
def test_the_subproblem_is_solved_exactly(size, seed, scale, definite, singular, hard):
    hessian, gradient = symmetric(seed, size, definite, singular)
    values, vectors = np.linalg.eigh(hessian)
    if hard:
        gradient = gradient - vectors[:, 0] * (vectors[:, 0] @ gradient)
    radius = 10.0**scale
    found = Region(gradient, hessian).minimum(radius)
    lifted = hessian + found.damping * np.eye(size)
    size_of_terms = np.abs(values).max() * radius + np.linalg.norm(gradient)
    # Moré and Sorensen's conditions: together they say that s is the global minimum
    assert found.length == pytest.approx(np.linalg.norm(found.step), rel=1e-9)
    assert found.length <= radius * (1 + 1e-9)
    assert np.linalg.norm(lifted @ found.step + gradient) <= 1e-11 * size_of_terms
    assert np.linalg.eigvalsh(lifted)[0] >= -1e-11 * (np.abs(values).max() + found.damping)
    assert found.damping >= 0
    assert found.damping * (radius - found.length) <= 1e-9 * radius * (np.abs(values).max() + found.damping)
    # and no random step within the radius is better
    tries = np.random.default_rng(seed).normal(size=(200, size))
    tries *= radius * np.random.default_rng(seed).random((200, 1)) / np.linalg.norm(tries, axis=1, keepdims=True)
    model = tries @ gradient + 0.5 * np.sum(tries @ hessian * tries, axis=1)
    best = gradient @ found.step + 0.5 * found.step @ hessian @ found.step
    assert best <= model.min() + 1e-11 * size_of_terms * radius


@given(sizes, seeds)
def test_one_region_answers_for_every_radius(size, seed):
    hessian, gradient = symmetric(seed, size)
    region = Region(gradient, hessian)
    for radius in (1e-3, 10.0, 0.1):
        np.testing.assert_array_equal(region.minimum(radius).step, Region(gradient, hessian).minimum(radius).step)


def test_in_the_hard_case_the_step_leaves_the_line_to_the_saddle():
    update = update_at("trust_region", functions.get("saddle"), [1.0, 0.0], radius=2.0)
    assert trust_region.HARD_CASE in update.note
    assert update.detail["hard_case"] == 1.0
    assert update.detail["damping"] == 2.0
    assert update.step == pytest.approx([-0.5, math.sqrt(4 - 0.25)])
    assert update.detail["smallest"] == -2.0


def test_a_flat_direction_without_slope_is_left_alone():
    # H is singular there, and negative by rounding only: going along it gains nothing
    vectors = symmetric(5, 3)[0]
    _, vectors = np.linalg.eigh(vectors)
    hessian = vectors @ np.diag([0.0, 1.0, 3.0]) @ vectors.T
    found = Region(vectors @ np.array([0.0, 1.0, 1.0]), (hessian + hessian.T) / 2).minimum(100.0)
    assert found.step == pytest.approx(-vectors @ np.array([0.0, 1.0, 1 / 3]), abs=1e-9)
    assert not found.hard_case


def test_the_radius_follows_the_gain_ratio():
    f = functions.get("rosenbrock")
    history = minimize(f, optimizers.TrustRegion(radius=0.5), steps=20)
    seen = set()
    for step in range(20):
        detail = history.stage_at(step).update(history.seek(step)).detail
        length = np.linalg.norm(history.theta[step + 1] - history.theta[step])
        assert detail["radius_before"] == history.seek(step).slots.radius
        assert detail["radius_after"] == history.seek(step + 1).slots.radius
        assert length <= detail["radius"] * (1 + 1e-9)
        change = detail["radius_after"] / detail["radius"]
        if detail["gain_ratio"] < 0.25:
            assert detail["radius_after"] == pytest.approx(length / 4, rel=1e-6)
        else:
            assert change == (2.0 if detail["gain_ratio"] > 0.75 and detail["at_edge"] else 1.0)
        if detail["trials"] > 1:
            assert detail["radius"] < detail["radius_before"]
            assert trust_region.SHORTENED in history.stage_at(step).update(history.seek(step)).note
        seen.add(change)
    assert {1.0, 2.0} <= seen


def test_a_long_radius_makes_it_newtons_method_where_that_goes_down():
    f = functions.get("styblinski_tang")
    theta = [-3.2, 2.5]
    update = update_at("trust_region", f, theta, radius=100.0)
    assert update.step == pytest.approx(-np.linalg.solve(f.hessian(np.array(theta)), f.gradient(np.array(theta))))
    assert update.detail["damping"] == update.detail["at_edge"] == 0.0


@pytest.mark.parametrize("name", ["rosenbrock", "wood", "rosenbrock_n", "powell_singular", "six_hump_camel"])
def test_trust_region_reaches_a_minimum_in_about_as_many_steps_as_scipys(name):
    f, steps = functions.get(name), []
    # where the Hessian is singular, a gradient of 1e-9 leaves the cube root of that of the way
    within = 3e-3 if name == "powell_singular" else 1e-6
    for start in starts_near(f.start):
        ours = minimize(f, optimizers.TrustRegion(), start, steps=200, stop=Stop(gradient_norm=1e-9))
        assert ours.outcome.kind == "converged"
        assert is_at_a_minimum(f, ours.theta[-1], within)
        theirs = scipy_minimize(
            f.value, start, jac=f.gradient, hess=f.hessian, method="trust-exact", options={"gtol": 1e-9}
        )
        if is_at_a_minimum(f, theirs.x, within):
            steps.append((ours.length - 1, theirs.nit))
    assert len(steps) >= 3
    few, about = np.median(steps, axis=0)
    assert few <= 1.5 * about
