"""Every derivative of every network: reference values, and an independent differentiation over all combinations."""

import json
from itertools import product
from pathlib import Path

import hyperdual
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt.errors import UnsupportedError
from nnopt.objectives.activations import ACTIVATIONS
from nnopt.objectives.losses import LOSSES
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective

CASES = json.loads((Path(__file__).parents[1] / "data" / "networks.json").read_text())["cases"]
OUTPUTS = {"binary_cross_entropy": 1, "cross_entropy": 3, "squared_error": 2}
HIDDEN = ((), (4,), (4, 3), (3, 5, 2))
N = 7

every_combination = pytest.mark.parametrize(
    ("activation", "loss", "hidden"),
    list(product(ACTIVATIONS, LOSSES, HIDDEN)),
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else value,
)


def problem(activation: str, loss: str, hidden: tuple[int, ...], l2: float = 0.03, l1: float = 0.02, seed: int = 0):
    """Objective, theta, X and y; random and away from every kink."""
    random = np.random.default_rng(seed)
    network = Network((3, *hidden, OUTPUTS[loss]), activation)
    X = random.normal(size=(N, 3))
    y = random.normal(size=(N, 2)) if loss == "squared_error" else random.integers(0, max(2, OUTPUTS[loss]), N)
    theta = random.normal(0.0, 0.7, network.size)
    return NetworkObjective(network, X, y, loss, l2, l1), theta, X, y


def differentiated(objective: NetworkObjective, theta, X, y, w) -> hyperdual.HyperDual:
    """The objective with derivatives along every coordinate, along w, and mixed."""
    network, size = objective.network, objective.size
    variable = hyperdual.HyperDual.variable(theta, np.eye(size), np.broadcast_to(w, (size, size)))
    z = hyperdual.network_outputs(network.sizes, network.activation, variable, X)
    penalty = hyperdual.penalty(variable, network.weight_mask, objective.l2, objective.l1)
    return hyperdual.loss(objective.loss, z, y) + penalty


def relative(value, reference) -> float:
    """Largest difference, relative to the largest reference value."""
    return float(np.max(np.abs(np.subtract(value, reference))) / np.max(np.abs(reference)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_agreement_with_the_reference_values(case):
    network = Network(case["sizes"], case["activation"])
    objective = NetworkObjective(network, case["X"], case["y"], case["loss"], case["l2"], case["l1"])
    theta, v = np.array(case["theta"]), np.array(case["v"])
    value, gradient = objective.value_and_gradient(theta)
    assert relative(objective.outputs(theta), case["outputs"]) <= 1e-10
    assert relative(value, case["value"]) <= 1e-10
    assert relative(objective.value(theta), case["value"]) <= 1e-10
    assert relative(gradient, case["gradient"]) <= 1e-10
    assert relative(objective.gradient(theta), case["gradient"]) <= 1e-10
    assert relative(objective.hvp(theta, v), case["hvp"]) <= 1e-10
    assert relative(objective.gauss_newton(theta), case["gauss_newton"]) <= 1e-10
    assert relative(objective.hessian(theta), case["hessian"]) <= 1e-9


@every_combination
def test_value_gradient_and_curvature_agree_with_an_independent_differentiation(activation, loss, hidden):
    objective, theta, X, y = problem(activation, loss, hidden)
    directions = np.random.default_rng(1).normal(size=(2, objective.size))
    value, gradient = objective.value_and_gradient(theta)
    hessian, products = objective.hessian(theta), objective.hvps(theta, directions)
    for w, product_with_w in zip(directions, products, strict=True):
        f, along, _, mixed = differentiated(objective, theta, X, y, w).parts
        assert relative(value, f[0]) <= 1e-12
        assert relative(gradient, along) <= 1e-12
        assert relative(product_with_w, mixed) <= 1e-11
        assert relative(objective.hvp(theta, w), mixed) <= 1e-11
        assert relative(hessian @ w, mixed) <= 1e-11
    np.testing.assert_array_equal(hessian, hessian.T)


def jacobian_squared(objective: NetworkObjective, theta, X):
    """mean J^T H_out J + the L2 term, with J from the independent differentiation and H_out as defined."""
    network, size, loss = objective.network, objective.size, objective.loss
    variable = hyperdual.HyperDual.variable(theta, np.eye(size), np.eye(size))
    outputs, jacobian, _, _ = hyperdual.network_outputs(network.sizes, network.activation, variable, X).parts
    z, jacobian = outputs[0], np.moveaxis(jacobian, 0, -1)  # (N, C), (N, C, P)
    if loss == "squared_error":
        curvature = np.broadcast_to(np.eye(2), (len(X), 2, 2))
    else:
        e = np.exp(z)
        p = e / (1 + e) if loss == "binary_cross_entropy" else e / e.sum(axis=1, keepdims=True)
        outer = p[:, :, None] * p[:, None]
        curvature = np.eye(p.shape[1]) * p[:, None] - outer
    expected = np.einsum("nap,nab,nbq->pq", jacobian, curvature, jacobian) / len(X)
    return expected + np.diag(2 * objective.l2 * network.weight_mask)


@every_combination
def test_gauss_newton_is_the_jacobian_squared_through_the_curvature_of_the_loss(activation, loss, hidden):
    objective, theta, X, _ = problem(activation, loss, hidden, l2=0.1)
    assert relative(objective.gauss_newton(theta), jacobian_squared(objective, theta, X)) <= 1e-11


@pytest.mark.parametrize("loss", LOSSES)
def test_gauss_newton_is_the_hessian_where_the_network_is_linear_in_theta(loss):
    objective, theta, _, _ = problem("tanh", loss, ())
    np.testing.assert_allclose(objective.gauss_newton(theta), objective.hessian(theta), rtol=1e-13, atol=1e-16)


penalties = st.sampled_from([0.0, 0.02, 3.0])


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@given(data=st.data(), seed=st.integers(0, 10**6), l2=penalties, l1=penalties)
@settings(max_examples=12)
def test_any_network_agrees_with_an_independent_differentiation(activation, loss, depth, data, seed, l2, l1):
    hidden = tuple(data.draw(st.lists(st.integers(1, 6), min_size=depth, max_size=depth)))
    objective, theta, X, y = problem(activation, loss, hidden, l2, l1, seed)
    w = np.random.default_rng(seed + 1).normal(size=objective.size)
    f, along, _, mixed = differentiated(objective, theta, X, y, w).parts
    value, gradient = objective.value_and_gradient(theta)
    assert value == pytest.approx(f[0], rel=1e-12)
    np.testing.assert_allclose(gradient, along, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(objective.hvp(theta, w), mixed, rtol=1e-9, atol=1e-11)
    hessian = objective.hessian(theta)
    np.testing.assert_allclose(hessian @ w, mixed, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(hessian, hessian.T)
    np.testing.assert_allclose(
        objective.gauss_newton(theta), jacobian_squared(objective, theta, X), rtol=1e-9, atol=1e-11
    )


def test_at_the_kink_of_relu_the_derivative_is_zero():
    network = Network((1, 1, 1), "relu")
    objective = NetworkObjective(network, [[1.0]], [1.0], "squared_error")
    theta = np.array([0.0, 0.0, 2.0, 0.0])
    np.testing.assert_array_equal(objective.gradient(theta), [0.0, 0.0, 0.0, -1.0])


def test_the_l1_penalty_has_no_slope_at_zero_and_leaves_biases_alone():
    network = Network((2, 1))
    objective = NetworkObjective(network, [[0.0, 0.0]], [0.0], "squared_error", l1=3.0)
    np.testing.assert_array_equal(objective.gradient(np.array([0.0, -5.0, 0.0])), [0.0, -3.0, 0.0])


def test_a_hessian_that_does_not_fit_into_memory_is_refused_with_its_size():
    objective = NetworkObjective(Network((2, 16000, 1)), np.zeros((1, 2)), [0])
    theta = np.zeros(objective.size)
    with pytest.raises(UnsupportedError, match=r"64,001 parameters would take 32\.8 GB, expected at most 2 GB.*hvp"):
        objective.hessian(theta)
    assert np.isfinite(objective.hvp(theta, theta)).all()
