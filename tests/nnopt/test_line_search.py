"""Line searches: their conditions hold, for any direction that leads downhill; where they cannot, they say why."""

from __future__ import annotations

import math
import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import line_search as scipy_line_search

from nnopt.objectives import functions
from nnopt.optimizers.line_search import ENDLESS, NO_DECREASE, NOT_DOWNHILL, STILL_STEEP, armijo, strong_wolfe

NAMES = [
    "rosenbrock", "himmelblau", "beale", "three_hump_camel", "six_hump_camel", "rastrigin", "styblinski_tang",
    "mccormick", "goldstein_price", "quadratic", "wood", "powell_singular", "many_minima", "double_well",
]  # fmt: skip

names = st.sampled_from(NAMES)
seeds = st.integers(0, 10**6)


def place(name, seed):
    """A function, a random point within its bounds, and a random direction from there that leads downhill."""
    f = functions.get(name)
    random = np.random.default_rng(seed)
    low, high = np.array(f.bounds).T
    theta = low + (high - low) * random.random(f.size)
    value, gradient = f.value_and_gradient(theta)
    assume(np.linalg.norm(gradient) > 1e-3)
    direction = random.normal(size=f.size) * 10.0 ** random.uniform(-3, 3) / np.linalg.norm(gradient)
    if gradient @ direction > 0:
        direction = -direction
    assume(-(gradient @ direction) > 1e-6 * np.linalg.norm(gradient) * np.linalg.norm(direction))
    return f, theta, direction, value, gradient


@given(names, seeds, st.floats(1e-6, 0.5), st.floats(0.1, 0.9))
def test_armijo_takes_the_first_step_of_its_sequence_that_lowers_the_loss_enough(name, seed, decrease, shrink):
    f, theta, direction, value, gradient = place(name, seed)
    found = armijo(f.value, theta, direction, value, gradient, decrease=decrease, shrink=shrink, most=400)
    slope = gradient @ direction
    assert found.reason == ""
    assert found.value == f.value(theta + found.factor * direction)
    factors = np.cumprod([1.0, *[shrink] * (found.evaluations - 1)])
    assert found.factor == factors[-1]
    enough = [f.value(theta + a * direction) <= value + decrease * a * slope for a in factors]
    # the last may be granted a rounding error of the loss
    assert not any(enough[:-1])
    assert found.value <= value + decrease * found.factor * slope + 1e-12 * abs(value)


@given(names, seeds, st.sampled_from([(1e-4, 0.9), (1e-4, 0.1), (0.1, 0.4), (1e-3, 1e-2)]), st.floats(1e-3, 1e3))
def test_the_strong_wolfe_conditions_hold(name, seed, constants, first):
    decrease, curvature = constants
    f, theta, direction, value, gradient = place(name, seed)
    found = strong_wolfe(
        f.value_and_gradient, theta, direction, value, gradient, first, decrease=decrease, curvature=curvature
    )
    slope = gradient @ direction
    assume(found.reason != ENDLESS)  # Himmelblau's function has no such line, the washboard of McCormick has
    assert found.reason == ""
    there, gradient_there = f.value_and_gradient(theta + found.factor * direction)
    assert found.value == there
    assert np.array_equal(found.gradient, gradient_there)
    assert there <= value + decrease * found.factor * slope + 1e-12 * abs(value)
    assert abs(gradient_there @ direction) <= curvature * abs(slope)


@pytest.mark.parametrize("search", [armijo, strong_wolfe])
@pytest.mark.parametrize("kind", ["gradient", "preconditioned", "newton", "coordinate", "random"])
def test_a_method_of_ones_own_with_any_descent_directions_reaches_the_minimum(kind, search):
    f = functions.get("quadratic", condition=8.0)
    random, theta, count = np.random.default_rng(0), f.start, 0
    while np.linalg.norm(f.gradient(theta)) > 1e-6 and count < 600:
        value, gradient = f.value_and_gradient(theta)
        direction = {
            "gradient": -gradient,
            "preconditioned": -np.diag([3.0, 0.2]) @ gradient,
            "newton": -np.linalg.solve(f.hessian(theta), gradient),
            "coordinate": -np.where(np.abs(gradient) == np.abs(gradient).max(), gradient, 0.0),
            "random": random.normal(size=2),
        }[kind]
        direction = direction if gradient @ direction <= 0 else -direction
        ask = f.value if search is armijo else f.value_and_gradient
        found = search(ask, theta, direction, value, gradient)
        assert found.value <= value
        theta, count = theta + found.factor * direction, count + 1
    assert theta == pytest.approx(f.minima[0].theta, abs=1e-5)
    assert count <= (3 if kind == "newton" else 400)


def test_where_scipy_finds_a_wolfe_step_so_do_we_with_about_as_many_evaluations():
    ours, theirs = [], []
    for name, seed in product(NAMES, range(30)):
        random = np.random.default_rng(seed)
        f = functions.get(name)
        low, high = np.array(f.bounds).T
        theta = low + (high - low) * random.random(f.size)
        value, gradient = f.value_and_gradient(theta)
        direction = -gradient
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            factor, *counts = scipy_line_search(f.value, f.gradient, theta, direction, gradient, value, maxiter=40)[:2]
        if factor is None:
            continue
        found = strong_wolfe(f.value_and_gradient, theta, direction, value, gradient)
        assert found.reason == ""
        ours.append(found.evaluations)
        theirs.append(counts[0])
    assert len(ours) >= 300
    assert np.mean(ours) <= np.mean(theirs) + 0.5


def test_a_small_share_of_the_slope_finds_the_minimum_along_the_line():
    f = functions.get("rosenbrock")
    theta, direction = np.array([-1.2, 1.0]), np.array([1.0, 0.1])
    value, gradient = f.value_and_gradient(theta)
    if gradient @ direction > 0:
        direction = -direction
    found = strong_wolfe(f.value_and_gradient, theta, direction, value, gradient, decrease=1e-10, curvature=1e-9)
    factors = np.linspace(0, 2 * found.factor, 20001)
    values = f.values(theta + factors[:, None] * direction)
    assert found.factor == pytest.approx(factors[np.argmin(values)], abs=factors[1])


def test_the_cubic_of_a_cubic_is_found_at_once():
    # phi(a) = a^3 / 3 - a has its minimum at 1; the bracket is (0, 4), so the first interpolation is exact
    def cubic(theta):
        return float(theta[0] ** 3 / 3 - theta[0]), theta**2 - 1

    theta = np.zeros(1)
    found = strong_wolfe(cubic, theta, np.ones(1), 0.0, np.array([-1.0]), first=4.0, curvature=1e-6)
    assert found.factor == pytest.approx(1.0, abs=1e-12)
    assert found.evaluations == 2


def test_a_direction_that_does_not_lead_downhill_is_not_searched():
    f = functions.get("bowl")
    theta = np.array([2.0])
    value, gradient = f.value_and_gradient(theta)
    for direction in (gradient, 0 * gradient, np.array([math.nan])):
        for found in (
            armijo(f.value, theta, direction, value, gradient),
            strong_wolfe(f.value_and_gradient, theta, direction, value, gradient),
        ):
            assert (found.factor, found.value, found.evaluations, found.reason) == (0.0, value, 0, NOT_DOWNHILL)


def test_a_loss_that_falls_without_end_gives_the_longest_step_tried():
    f = functions.get("saddle")
    theta = np.array([0.0, 1.0])
    value, gradient = f.value_and_gradient(theta)
    found = strong_wolfe(f.value_and_gradient, theta, -gradient, value, gradient, most=10)
    assert found.reason == ENDLESS
    assert found.factor == 2.0**9
    assert found.value == f.value(theta - 2.0**9 * gradient)


def test_where_no_step_helps_that_is_said():
    # a gradient of the wrong sign: the loss rises where it promises to fall
    theta, gradient = np.array([1.0]), np.array([-2.0])
    found = armijo(lambda t: float(t @ t), theta, -gradient, 1.0, gradient)
    assert (found.factor, found.reason) == (0.0, NO_DECREASE)
    found = strong_wolfe(lambda t: (float(t @ t), -2 * t), theta, -gradient, 1.0, gradient)
    assert (found.factor, found.reason) == (0.0, NO_DECREASE)


def test_when_evaluations_run_out_the_best_step_so_far_is_returned():
    # the kink of |x - 1|: the slope is never flat, whatever the step
    def kink(theta):
        return float(abs(theta[0] - 1)), np.sign(theta - 1)

    found = strong_wolfe(kink, np.zeros(1), np.ones(1), 1.0, np.array([-1.0]), first=1.7, most=25)
    assert found.reason == STILL_STEEP
    assert found.evaluations == 25
    assert found.factor == pytest.approx(1.0, abs=1e-6)
    assert found.value < 1e-6


@pytest.mark.parametrize("where", ["infinite", "nan", "overflow"])
def test_a_loss_that_cannot_be_computed_counts_as_too_high(where):
    def barrier(theta):
        x = float(theta[0])
        if x > 1:
            if where == "overflow":
                return math.exp(x * 1000), theta
            return (math.inf if where == "infinite" else math.nan), np.full(1, math.nan)
        return -x, -np.ones(1)

    theta, gradient = np.zeros(1), np.array([-1.0])
    with np.errstate(all="ignore"):
        found = armijo(lambda t: barrier(t)[0], theta, np.array([7.0]), 0.0, gradient)
        assert found.factor == 0.125
        found = strong_wolfe(barrier, theta, np.array([7.0]), 0.0, gradient)
    assert 0 < 7 * found.factor <= 1
    assert found.reason == STILL_STEEP


def test_a_decrease_below_rounding_is_not_asked_for():
    # 2^40 + x^2 / 2 does not change by a bit for small x, yet the slope leads to the minimum
    def high(theta):
        return float(2.0**40 + theta @ theta / 2), theta.copy()

    theta = np.array([1e-5])
    value, gradient = high(theta)
    assert armijo(lambda t: high(t)[0], theta, -gradient, value, gradient).factor == 1.0
    found = strong_wolfe(high, theta, -gradient, value, gradient)
    assert (found.factor, found.reason) == (1.0, "")
    # the same where the loss is zero to all its bits
    found = strong_wolfe(lambda t: (0.0, t.copy()), theta, -gradient, 0.0, gradient)
    assert (found.factor, found.reason) == (1.0, "")


def test_a_step_between_two_equal_losses_on_both_sides_of_a_minimum_is_refused():
    theta = np.array([1.0])
    found = armijo(lambda t: float(t @ t), theta, np.array([-2.0]), 1.0, np.array([2.0]))
    assert found.factor == 0.5
    found = strong_wolfe(lambda t: (float(t @ t), 2 * t), theta, np.array([-2.0]), 1.0, np.array([2.0]))
    assert found.value < 1.0
