"""Every method on every function of known minimum it is meant for, from the standard start and 20 random ones.

A run reaches a stationary point, or states its outcome, and then that outcome is true: it diverged where there is no
minimum, it is still on its way along a valley that has no end, or it sits on a tip that has no gradient.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from nnopt import optimizers
from nnopt.objectives import datasets, functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.gain import noise_of
from nnopt.runs.minimize import minimize

CURVED = ("damped_newton", "saddle_free_newton", "trust_region", "newton_cg", "lbfgs")
SAFE = ("trust_region", "saddle_free_newton", "damped_newton")
FIRST_ORDER = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")

UNBOUNDED = ("saddle", "monkey_saddle")
#: beale has a valley that falls for ever towards x = -infinity, y = 1, and one towards x = 0, y = -infinity
ENDLESS = ("beale",)
NAMES = [name for name in functions.names() if not (name in UNBOUNDED or "formula" in name)]
STEPS = 200


@cache
def starts(name):
    """The standard start and 20 random ones within the bounds."""
    f = functions.get(name)
    low, high = np.array(f.bounds).T
    return [f.start, *(low + (high - low) * np.random.default_rng(7).random((20, f.size)))]


@cache
def newton_ends(name):
    """Where Newton's method ends from each start."""
    f = functions.get(name)
    return [minimize(f, optimizers.Newton(), start, steps=100).theta[-1] for start in starts(name)]


def negative_curvature(f, theta):
    values = np.linalg.eigvalsh(f.hessian(theta))
    return bool(np.isfinite(values).all() and values[0] < -1e-6 * max(1.0, np.abs(values).max()))


def check(f, history, steps):
    """The outcome is a stationary point, or true as it is stated. Returns its kind, "tip" for one that sits there."""
    outcome, theta = history.outcome, history.theta[-1]
    assert outcome.kind in ("converged", "diverged", "stopped")
    assert outcome.step == history.length - 1
    assert str(outcome.step) in outcome.reason
    if outcome.kind == "converged":
        assert np.linalg.norm(f.gradient(theta)) < 1e-8
    elif outcome.kind == "stopped":
        assert history.length - 1 == steps
        if getattr(f, "tip", None) is not None and np.linalg.norm(theta) < 1e-6:
            return "tip"
    return outcome.kind


# ---- second-order methods


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", CURVED)
def test_a_stationary_point_is_reached(method, name):
    f = functions.get(name)
    reached = 0
    for start in starts(name):
        history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
        kind, theta = check(f, history, STEPS), history.theta[-1]
        assert kind != "diverged"
        # full batches: no step makes the loss higher than rounding does
        assert (np.diff(history.value) <= 1e-12 * np.abs(history.value[:-1])).all()
        if kind == "stopped":
            slope = f.gradient(theta)
            remaining = slope @ np.linalg.solve(f.hessian(theta), slope)
            outside = any(not 2 * low <= x <= 2 * high for x, (low, high) in zip(theta, f.bounds, strict=True))
            assert (name in ENDLESS and outside) or 0 <= remaining <= noise_of(f.value(theta))
        else:
            reached += 1
    assert reached >= (9 if name in ENDLESS else 20)


@pytest.mark.parametrize("name", UNBOUNDED)
@pytest.mark.parametrize("method", CURVED)
def test_where_there_is_no_minimum_the_run_diverges_and_says_so(method, name):
    f = functions.get(name)
    for start in starts(name):
        history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
        assert check(f, history, STEPS) == "diverged"
        assert history.value[-1] < -1e6 or not np.isfinite(history.value[-1])


@pytest.mark.parametrize("method", CURVED)
def test_few_steps_are_needed(method):
    needed = []
    for name in NAMES:
        if name not in (*ENDLESS, "ackley", "ripple"):
            needed += [minimize(functions.get(name), optimizers.get(method)(), start, steps=STEPS).length - 1
                       for start in starts(name)[:4]]  # fmt: skip
    assert np.median(needed) <= 15
    assert np.quantile(needed, 0.95) <= 90


# ---- minima, not saddles


def saddles(name):
    """Stationary points with negative curvature, found by Newton's method, which is drawn to them."""
    f = functions.get(name)
    found = [theta for theta in newton_ends(name) if np.linalg.norm(f.gradient(theta)) < 1e-8]
    return [theta for theta in found if negative_curvature(f, theta)]


TRAPS = ("himmelblau", "three_hump_camel", "six_hump_camel", "styblinski_tang", "mccormick", "double_well",
         "many_minima", "rastrigin", "goldstein_price", "wood")  # fmt: skip


def test_newton_is_trapped_often_enough_for_the_next_tests_to_mean_something():
    assert all(len(saddles(name)) >= 2 for name in TRAPS)
    assert sum(len(saddles(name)) for name in TRAPS) >= 80


@pytest.mark.parametrize("name", TRAPS)
@pytest.mark.parametrize("method", SAFE)
def test_from_where_newton_is_trapped_a_minimum_is_reached(method, name):
    f = functions.get(name)
    minima = np.array([minimum.theta for minimum in f.minima])
    begins = [start for start, end in zip(starts(name), newton_ends(name), strict=True) if negative_curvature(f, end)]
    nudged = [saddle + 1e-4 * np.random.default_rng(k).normal(size=f.size) for k, saddle in enumerate(saddles(name))]
    for start in (*begins, *nudged[:8]):
        history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
        theta = history.theta[-1]
        assert not negative_curvature(f, theta)
        assert np.linalg.norm(f.gradient(theta)) < 1e-6
        if all(low <= x <= high for x, (low, high) in zip(theta, f.bounds, strict=True)):
            assert np.abs(minima - theta).max(axis=1).min() < 1e-6


@pytest.mark.parametrize("method", SAFE)
def test_the_middle_of_himmelblau_leads_to_a_minimum_where_newton_ends_on_the_hill(method):
    f = functions.get("himmelblau")
    assert minimize(f, optimizers.Newton(), [0, 0], steps=50).value[-1] == pytest.approx(181.617, abs=1e-3)
    assert minimize(f, optimizers.get(method)(), [0, 0], steps=50).value[-1] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "start"), [("saddle", (1.0, 0.0)), ("saddle", (-0.3, 0.0)), ("monkey_saddle", (0.1, 0.0))]
)
def test_only_trust_region_leaves_a_saddle_from_the_line_that_leads_straight_to_it(name, start):
    # the gradient has no part along the negative curvature: no method that only follows the gradient can find it
    f = functions.get(name)
    for method in ("newton", "saddle_free_newton", "newton_cg"):
        history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
        assert history.outcome.kind == "converged"
        assert np.linalg.norm(history.theta[-1]) < 1e-4
    history = minimize(f, optimizers.TrustRegion(), start, steps=STEPS)
    assert history.outcome.kind == "diverged"
    assert history.value[-1] < -1e6


@pytest.mark.parametrize("start", [(0.1, 0.01), (0.0, 0.2), (-0.05, 0.0), (-0.1, 0.15)])
@pytest.mark.parametrize("method", SAFE)
def test_the_monkey_saddle_does_not_hold_them(method, start):
    # the Hessian vanishes at the centre: Newton halves its distance at every step and stays
    f = functions.get("monkey_saddle")
    assert np.linalg.norm(minimize(f, optimizers.Newton(), start, steps=60).theta[-1]) < 1e-4
    history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
    assert history.outcome.kind == "diverged"
    assert history.value[-1] < -1e6 or not np.isfinite(history.value[-1])


# ---- first-order methods


@cache
def safe_rate(name):
    """1 / the largest curvature on a grid within the bounds: stable for plain descent wherever it gets to."""
    f = functions.get(name)
    low, high = np.array(f.bounds).T
    points = low + (high - low) * np.random.default_rng(0).random((60, f.size))
    values = [np.abs(np.linalg.eigvalsh(f.hessian(point))).max() for point in (*points, f.start)]
    return 1.0 / max(values)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", FIRST_ORDER)
def test_a_first_order_method_goes_down_or_states_its_outcome(method, name):
    f = functions.get(name)
    rate = safe_rate(name) if method in ("sgd", "momentum", "nesterov") else 0.02
    rate *= 0.1 if method in ("momentum", "nesterov") else 1.0
    lower = 0
    for start in starts(name):
        history = minimize(f, optimizers.get(method)(lr=rate), start, steps=100)
        check(f, history, 100)
        assert history.outcome.kind != "diverged"
        lower += bool(history.value[-1] <= history.value[0])
    assert lower >= 18


# ---- networks: Gauss-Newton is meant for them, the others too

NETWORKS = {
    "moons": (("moons", 60), (2, 6, 1), "tanh", 1e-3),
    "circle": (("circle", 60), (2, 5, 1), "softplus", 1e-2),
    "xor": (("xor", 60), (2, 3, 2, 1), "sigmoid", 1e-3),
    "blobs3": (("blobs3", 60), (2, 4, 3), "tanh", 1e-2),
    "sine": (("sine", 40), (1, 5, 1), "tanh", 1e-3),
    "plane": (("plane", 40), (2, 1), "identity", 0.0),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", [*CURVED, "gauss_newton"])
def test_a_network_is_trained_to_a_stationary_point(method, name):
    (data, points), sizes, activation, l2 = NETWORKS[name]
    dataset = datasets.get(data, points=points).make(1)
    objective = NetworkObjective(Network(sizes, activation), dataset.X, dataset.y, loss=dataset.loss, l2=l2)
    for seed in range(2):
        history = minimize(objective, optimizers.get(method)(), objective.network.initial(seed), steps=250)
        assert check(objective, history, 250) != "diverged"
        assert (np.diff(history.value) <= 1e-12 * np.abs(history.value[:-1])).all()
        slopes = history.columns["gradient_norm"]
        # L-BFGS and Gauss-Newton converge linearly on some of them; all have come far
        assert slopes[-1] < (1e-8 if history.outcome.kind == "converged" else 2e-2 * slopes[0])
        if method in SAFE and history.outcome.kind == "converged":
            assert not negative_curvature(objective, history.theta[-1])
