"""Speed of the network kernels against plain numpy, both measured here and now: 2-16-16-1, tanh, 200 examples.

    pytest tests/benchmarks/test_bench_network.py -s

Targets are ratios, not times; they were set for one core with AVX-512 and nothing else to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import baselines
import numpy as np
import pytest
from baselines import AnyNetwork, Baseline
from threadpoolctl import threadpool_limits

from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective

X, Y = baselines.spiral()
NETWORK = Network(baselines.SIZES)
OBJECTIVE = NetworkObjective(NETWORK, X, Y)
PLAIN, TUNED = Baseline(X, Y), Baseline(X, Y, baselines.tuned)
THETA = NETWORK.initial(1)
LR = 0.01


@pytest.fixture(autouse=True)
def one_blas_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def show(title: str, times: dict[str, float], unit: float, name: str) -> None:
    """A table of times; the first line is ours (or the first ones), the ratios are against it."""
    ours = next(iter(times.values()))
    print(f"\n{title}")
    for what, seconds in times.items():
        print(f"  {what:<48}{seconds / unit:9.2f} {name}{seconds / ours:9.2f} x")


def test_the_baselines_calculate_the_same():
    value, gradient = OBJECTIVE.value_and_gradient(THETA)
    for baseline in (PLAIN, TUNED):
        expected, expected_gradient = baseline.value_and_gradient(THETA)
        assert value == pytest.approx(expected, rel=1e-13)
        assert baseline.value(THETA) == expected
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-15)
        np.testing.assert_array_equal(baseline.gradient(THETA), expected_gradient)


@pytest.mark.parametrize("examples", [200, 10])
def test_one_update(examples):
    rows = None if examples == 200 else np.arange(0, 200, 20)
    data = (X, Y) if rows is None else (X[rows], Y[rows])
    plain, tuned = Baseline(*data), Baseline(*data, baselines.tuned)

    def update(evaluate: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
        return lambda: THETA - LR * evaluate()

    def loss_then_gradient() -> np.ndarray:
        plain.value(THETA)
        return plain.gradient(THETA)

    times = baselines.fastest(
        {
            "nnopt, loss and gradient": update(lambda: OBJECTIVE.value_and_gradient(THETA, rows)[1]),
            "plain numpy, value() and gradient()": update(loss_then_gradient),
            "plain numpy, both in one pass": update(lambda: plain.value_and_gradient(THETA)[1]),
            "plain numpy, gradient only": update(lambda: plain.gradient(THETA)),
            "tuned numpy, both in one pass": update(lambda: tuned.value_and_gradient(THETA)[1]),
        },
        rounds=150,
        calls=20,
    )
    show(f"one update, {examples} examples", times, 1e-6, "us")
    ours, two_functions, one_pass, *_ = times.values()
    assert two_functions / ours >= 2.5
    assert one_pass / ours >= 1.8


def test_losses_on_a_plane_of_101_by_101_points():
    directions = np.random.default_rng(3).normal(size=(2, NETWORK.size)) / 4.0
    a = np.linspace(-1.0, 1.0, 101)
    coords = np.stack(np.meshgrid(a, a, indexing="ij"), axis=-1).reshape(-1, 2)
    few = coords[::155]
    expected = PLAIN.plane(THETA, *directions, few)
    np.testing.assert_allclose(OBJECTIVE.values_on_plane(THETA, directions, few), expected, rtol=1e-11)
    np.testing.assert_allclose(OBJECTIVE.values_on_plane(THETA, directions, few, np.float32), expected, rtol=1e-4)
    # every point takes as long as any other, so a part of the plane is enough and meets the quiet moments
    part = coords[:480]
    times = baselines.fastest(
        {
            "nnopt, float32": lambda: OBJECTIVE.values_on_plane(THETA, directions, part, np.float32),
            "nnopt, float64": lambda: OBJECTIVE.values_on_plane(THETA, directions, part),
            "plain numpy, in a loop": lambda: PLAIN.plane(THETA, *directions, few),
            "tuned numpy, in a loop": lambda: TUNED.plane(THETA, *directions, few),
        },
        rounds=150,
    )
    for name in times:
        times[name] *= len(coords) / len(part if "nnopt" in name else few)
    show("losses on a 101 x 101 plane", times, 1e-3, "ms")
    float32, float64, plain, _ = times.values()
    assert plain / float32 >= 10.0
    assert plain / float64 >= 4.0


def test_the_exact_hessian_of_337_parameters():
    by_differences = baselines.hessian_rows(OBJECTIVE.gradient, THETA, range(NETWORK.size))
    np.testing.assert_allclose(OBJECTIVE.hessian(THETA), by_differences, atol=1e-8)
    rows = range(0, NETWORK.size, 30)
    times = baselines.fastest(
        {
            "nnopt, exact Hessian": lambda: OBJECTIVE.hessian(THETA),
            "nnopt, Gauss-Newton": lambda: OBJECTIVE.gauss_newton(THETA),
            "nnopt, Hessian-vector product": lambda: OBJECTIVE.hvp(THETA, THETA),
            "differences of a plain numpy gradient": lambda: baselines.hessian_rows(PLAIN.gradient, THETA, rows),
            "differences of a tuned numpy gradient": lambda: baselines.hessian_rows(TUNED.gradient, THETA, rows),
            "differences of nnopt's gradient": lambda: baselines.hessian_rows(OBJECTIVE.gradient, THETA, rows),
        },
        rounds=150,
    )
    for name in times:
        times[name] *= NETWORK.size / len(rows) if "differences" in name else 1.0
    show("curvature, 337 parameters", times, 1e-3, "ms")
    ours, _, _, plain, _, own = times.values()
    assert plain / ours >= 15.0
    assert own / ours >= 6.0


#: sizes and activation of networks that take other ways through the kernels
OTHERS = {
    "2-16-16-1, relu": ((2, 16, 16, 1), "relu"),
    "2-16-16-3, tanh, softmax": ((2, 16, 16, 3), "tanh"),
    "2-16-16-3, relu, softmax": ((2, 16, 16, 3), "relu"),
    "2-10-10-10-1, tanh": ((2, 10, 10, 10, 1), "tanh"),
    "2-10-10-10-3, relu, softmax": ((2, 10, 10, 10, 3), "relu"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_exact_hessian_of_other_networks(name):
    sizes, activation = OTHERS[name]
    network = Network(sizes, activation)
    y = Y if sizes[-1] == 1 else np.arange(len(X)) % sizes[-1]
    loss = "binary_cross_entropy" if sizes[-1] == 1 else "cross_entropy"
    objective, loop = NetworkObjective(network, X, y, loss=loss), AnyNetwork(X, y, sizes, activation)
    theta = network.initial(1)
    np.testing.assert_allclose(loop.gradient(theta), objective.gradient(theta), rtol=1e-9, atol=1e-15)
    rows = range(0, network.size, 30)
    some = baselines.hessian_rows(objective.gradient, theta, rows)
    np.testing.assert_allclose(objective.hessian(theta)[rows], some, atol=1e-7)
    times = baselines.fastest(
        {
            "nnopt, exact Hessian": lambda: objective.hessian(theta),
            "differences of a plain numpy gradient": lambda: baselines.hessian_rows(loop.gradient, theta, rows),
        },
        rounds=100,
    )
    times["differences of a plain numpy gradient"] *= network.size / len(rows)
    show(f"{name}: {network.size} parameters", times, 1e-3, "ms")
    ours, differences = times.values()
    assert differences / ours >= 15.0


def test_a_hessian_vector_product_costs_at_most_three_gradients():
    times = baselines.fastest(
        {
            "nnopt, Hessian-vector product": lambda: OBJECTIVE.hvp(THETA, THETA),
            "nnopt, loss and gradient": lambda: OBJECTIVE.value_and_gradient(THETA),
        },
        rounds=150,
        calls=20,
    )
    show("one product with the Hessian", times, 1e-6, "us")
    product, gradient = times.values()
    assert product / gradient <= 3.0


def test_restarts_trained_together():
    thetas = np.stack([NETWORK.initial(seed) for seed in range(64)])
    times = baselines.fastest(
        {
            "nnopt, 64 together": lambda: OBJECTIVE.values_and_gradients(thetas),
            "nnopt, one after another": lambda: [OBJECTIVE.value_and_gradient(theta) for theta in thetas],
            "plain numpy, one after another": lambda: [PLAIN.value_and_gradient(theta) for theta in thetas[:16]],
        },
        rounds=100,
    )
    times["plain numpy, one after another"] *= 4.0
    show("losses and gradients of 64 parameter vectors", times, 1e-3, "ms")
    together, single, plain = times.values()
    assert single / together >= 1.15
    assert plain / together >= 2.0
