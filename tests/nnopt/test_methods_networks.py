"""Every method on networks: to the minimum where it is known, to a stationary point elsewhere, and out of a saddle."""

from __future__ import annotations

import numpy as np
import pytest
from method_outcomes import CURVED, FIRST_ORDER, METHODS, OF_OUTPUTS, SAFE, check, negative_curvature
from scipy.optimize import minimize as scipy_minimize

from nnopt import optimizers
from nnopt.objectives import datasets
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.schedules import Cosine
from nnopt.runs.minimize import minimize

NETWORKS = {
    "moons": (("moons", 60), (2, 6, 1), "tanh", 1e-3),
    "circle": (("circle", 60), (2, 5, 1), "softplus", 1e-2),
    "xor": (("xor", 60), (2, 3, 2, 1), "sigmoid", 1e-3),
    "blobs3": (("blobs3", 60), (2, 4, 3), "tanh", 1e-2),
    "sine": (("sine", 40), (1, 5, 1), "tanh", 1e-3),
    "plane": (("plane", 40), (2, 1), "identity", 0.0),
}
RATES = {"sgd": 0.05, "momentum": 0.01, "nesterov": 0.01, "adagrad": 0.1, "rmsprop": 0.01, "adam": 0.02}


def problem(name):
    (data, points), sizes, activation, l2 = NETWORKS[name]
    dataset = datasets.get(data, points=points).make(1)
    return NetworkObjective(Network(sizes, activation), dataset.X, dataset.y, loss=dataset.loss, l2=l2)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", [*CURVED, *OF_OUTPUTS])
def test_a_network_is_trained_to_a_stationary_point(method, name):
    objective = problem(name)
    for seed in range(2):
        history = minimize(objective, optimizers.get(method)(), objective.network.initial(seed), steps=250)
        assert check(objective, history, 250) != "diverged"
        assert (np.diff(history.value) <= 1e-12 * np.abs(history.value[:-1])).all()
        slopes = history.columns["gradient_norm"]
        # L-BFGS and Gauss-Newton converge linearly on some of them; all have come far
        assert slopes[-1] < (1e-8 if history.outcome.kind == "converged" else 2e-2 * slopes[0])
        if method in SAFE and history.outcome.kind == "converged":
            assert not negative_curvature(objective, history.theta[-1])


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", [*FIRST_ORDER, "newton"])
def test_the_other_methods_state_their_outcome_and_first_order_ones_go_down(method, name):
    objective = problem(name)
    optimizer = optimizers.get(method)(**({"lr": RATES[method]} if method in RATES else {}))
    for seed in range(2):
        history = minimize(objective, optimizer, objective.network.initial(seed), steps=200)
        kind = check(objective, history, 200)
        if method in RATES:
            assert kind != "diverged"
            assert history.value[-1] < history.value[0]


def regressions():
    """Losses of linear models, convex: least squares with its solution, logistic and softmax regression."""
    random = np.random.default_rng(5)
    X = random.normal(size=(50, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.3 + 0.1 * random.normal(size=50)
    labels = (y + random.normal(size=50) > 0).astype(int)
    classes = np.argmax(X + random.normal(size=X.shape), axis=1)
    solution = np.linalg.lstsq(np.c_[X, np.ones(50)], y, rcond=None)[0]
    return {
        "least squares": (NetworkObjective(Network((3, 1)), X, y, loss="squared_error"), solution),
        "logistic": (NetworkObjective(Network((3, 1)), X, labels, loss="binary_cross_entropy", l2=0.05), None),
        "softmax": (NetworkObjective(Network((3, 3)), X, classes, loss="cross_entropy", l2=0.05), None),
    }


@pytest.mark.parametrize("name", regressions())
@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_minimum_of_a_linear_model(method, name):
    objective, solution = regressions()[name]
    start = np.random.default_rng(0).normal(size=objective.size)
    rates = {"sgd": 0.5, "momentum": 0.1, "nesterov": 0.1, "adagrad": 1.0, "rmsprop": 0.05, "adam": 0.1}
    optimizer = optimizers.get(method)(**({"lr": rates[method]} if method in rates else {}))
    schedule = Cosine(steps=1500) if method in ("adagrad", "rmsprop", "adam") else None
    history = minimize(objective, optimizer, start, steps=1500, schedule=schedule)
    assert check(objective, history, 1500) != "diverged"
    assert solution is None or history.theta[-1] == pytest.approx(solution, abs=1e-5)
    lowest = scipy_minimize(objective.value, start, jac=objective.gradient, method="BFGS", options={"gtol": 1e-9}).fun
    assert history.value[-1] == pytest.approx(lowest, abs=1e-9)


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("name", ["moons", "circle", "blobs3", "sine"])
def test_from_weights_of_zero_the_gradient_leads_nowhere_but_the_curvature_does(name, seed):
    # all units of a layer are equal and have no weights: a saddle, and its stable set holds every gradient method
    objective = problem(name)
    start = objective.network.initial(0, "zeros")
    if seed is not None:
        # tanh(0) = 0: wherever the output biases begin; softplus(0) > 0, and the labels are balanced: the hidden ones
        inputs, hidden, outputs = objective.network.sizes
        size = hidden * (inputs + 1)
        biases = start[:size].reshape(hidden, -1) if name == "circle" else start[size:].reshape(outputs, -1)
        biases[:, -1] = np.random.default_rng(seed).normal(size=len(biases))
    # what the output biases can reach alone
    held = minimize(objective, optimizers.LBFGS(), start, steps=50)
    assert "saddle" in held.outcome.reason
    assert negative_curvature(objective, held.theta[-1])
    for method in [*FIRST_ORDER, *OF_OUTPUTS, "newton"]:
        rate = {"lr": RATES[method]} if method in RATES else {}
        stays = minimize(objective, optimizers.get(method)(**rate), start, steps=100)
        assert stays.value.min() >= held.value[-1] - 1e-12
    for method in SAFE:
        leaves = minimize(objective, optimizers.get(method)(), start, steps=500)
        assert check(objective, leaves, 500) != "diverged"
        # it does not come back, as no step leads up; which minimum it finds depends on rounding
        assert (np.diff(leaves.value) <= 1e-12 * np.abs(leaves.value[:-1])).all()
        assert leaves.value[-1] < 0.99 * held.value[-1]
        assert leaves.columns["gradient_norm"][-1] < 1e-4
        assert not negative_curvature(objective, leaves.theta[-1])
