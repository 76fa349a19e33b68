"""Runs against plain numpy, in one process. `pytest tests/benchmarks/test_bench_run.py -s` prints the figures."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import numpy as np
import pytest

from nnopt import optimizers
from nnopt.objectives import datasets, functions
from nnopt.runs.experiment import Architecture, Experiment, FunctionProblem, Measure, Method, NetworkProblem
from nnopt.runs.run import Run


def best(work, repeats=9):
    """Shortest time of `work()` in seconds: what the machine can do when nothing else disturbs it."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def network_run() -> Run:
    """2-16-16-1 tanh on 200 examples, full batch, momentum."""
    problem = NetworkProblem(datasets.get("spiral", points=200), Architecture((16, 16)), validation=0.0)
    return Run(Experiment(problem, (Method(optimizers.Momentum(lr=0.01)),), steps=10**8, measure=Measure(every=10)))


class PlainNumpy:
    """The same training as plain numpy: flat parameters, a function for the loss and one for its gradient, written from
    their formulas, momentum, and the same numbers logged (loss, norm of the gradient, length of the step)."""

    def __init__(self, X, y, theta):
        self.X, self.y, self.theta = X, y, theta
        self.velocity = np.zeros_like(theta)
        self.log = []

    def forward(self, theta):
        W1, W2, W3 = theta[:48].reshape(16, 3), theta[48:320].reshape(16, 17), theta[320:].reshape(1, 17)
        h1 = np.tanh(self.X @ W1[:, :-1].T + W1[:, -1])
        h2 = np.tanh(h1 @ W2[:, :-1].T + W2[:, -1])
        return h1, h2, (h2 @ W3[:, :-1].T + W3[:, -1])[:, 0], W2, W3

    def loss_of(self, z):
        return np.mean(np.logaddexp(0, z) - self.y * z)

    def gradient_of(self, h1, h2, z, W2, W3):
        d3 = ((1 / (1 + np.exp(-z)) - self.y) / len(self.X))[:, None]
        d2 = (d3 @ W3[:, :-1]) * (1 - h2**2)
        d1 = (d2 @ W2[:, :-1]) * (1 - h1**2)
        layers = [(d1, self.X), (d2, h1), (d3, h2)]
        return np.concatenate([np.column_stack((d.T @ h, d.sum(axis=0))).ravel() for d, h in layers])

    def loss(self, theta):
        return self.loss_of(self.forward(theta)[2])

    def gradient(self, theta):
        return self.gradient_of(*self.forward(theta))

    def update(self):
        self.move(self.loss(self.theta), self.gradient(self.theta))

    def update_sharing_the_forward_pass(self):
        passed = self.forward(self.theta)
        self.move(self.loss_of(passed[2]), self.gradient_of(*passed))

    def move(self, loss, gradient):
        self.velocity = gradient + 0.9 * self.velocity
        step = -0.01 * self.velocity
        self.theta = self.theta + step
        self.log.append((loss, np.linalg.norm(gradient), np.linalg.norm(step)))


def test_one_update_is_at_least_two_and_a_half_times_as_fast_as_plain_numpy():
    run = network_run()
    assert run.problem.size == 337
    plain = PlainNumpy(run.problem.dataset.X, run.problem.dataset.y, run.problem.initial())
    run.advance(20)
    for _ in range(20):
        plain.update()
    assert plain.theta == pytest.approx(run.state.theta, rel=1e-9, abs=1e-12)
    assert [row[0] for row in plain.log] == pytest.approx(run.history.columns["loss"][:20], rel=1e-12)
    objective, theta = run.objective, run.state.theta
    works = {
        "ours": lambda: run.advance(50),
        "plain": lambda: [plain.update() for _ in range(50)],
        "shared": lambda: [plain.update_sharing_the_forward_pass() for _ in range(50)],
        "gradient": lambda: [objective.value_and_gradient(theta) for _ in range(50)],
    }
    # in turns, so that a disturbance meets all of them
    times = {name: float("inf") for name in works}
    for _ in range(60):
        for name, work in works.items():
            times[name] = min(times[name], best(work, 1) / 50 * 1e6)
    ratio = times["plain"] / times["ours"]
    print(
        f"\none update, 200 examples: Run.advance {times['ours']:.0f} us (loss and gradient alone "
        f"{times['gradient']:.0f}); plain numpy {times['plain']:.0f} us: {ratio:.2f} x; sharing the forward pass by "
        f"hand {times['shared']:.0f} us: {times['shared'] / times['ours']:.2f} x"
    )
    assert ratio >= 2.5


def test_a_two_parameter_function_is_logged_at_a_small_multiple_of_its_own_cost():
    problem = FunctionProblem(functions.get("rosenbrock"))
    run = Run(Experiment(problem, (Method(optimizers.SGD(lr=1e-4)),), steps=10**8))
    f, theta = run.objective, run.state.theta
    update = gradient = float("inf")
    for _ in range(60):
        update = min(update, best(lambda: run.advance(500), 1) / 500)
        gradient = min(gradient, best(lambda: [f.value_and_gradient(theta) for _ in range(500)], 1) / 500)
    print(
        f"\n2-parameter function: {1 / update:,.0f} updates a second; loss and gradient alone {gradient * 1e6:.1f} us"
    )
    assert update <= 10 * gradient


def test_any_state_of_a_hundred_thousand_steps_is_there_within_fifty_milliseconds():
    problem = NetworkProblem(datasets.get("spiral", points=20), Architecture((16, 16)), validation=0.0)
    run = Run(Experiment(problem, (Method(optimizers.Adam(lr=1e-3)),), steps=10**8))
    run.advance(100_000)
    times = []
    for step in np.random.default_rng(0).integers(0, 100_000, 100):
        start = perf_counter()
        run.history.seek(int(step))
        times.append(perf_counter() - start)
    p95 = float(np.quantile(times, 0.95))
    print(f"\nseek in 100,000 steps: p95 {p95 * 1e3:.1f} ms, longest {max(times) * 1e3:.1f} ms")
    assert p95 <= 0.05


MEMORY = """
import sys
from nnopt import optimizers
from nnopt.objectives import datasets, functions
from nnopt.runs.experiment import *
from nnopt.runs.run import Run
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20
before = resident()
run = Run(Experiment(FunctionProblem(functions.get("wood")), (Method(optimizers.Momentum(lr=1e-7)),), steps=10**8))
run.advance(1_100_000)
first = resident() - before
run.advance(1_100_000)
print(f"{first:.0f} {resident() - before:.0f}")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_log_of_a_million_steps_is_small_and_grows_no_more():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    print(f"\nlog: {first:.0f} MB after 1,100,000 steps, {second:.0f} MB after 2,200,000")
    assert first <= 250
    assert second <= first + 40


def test_importing_nnopt_costs_little_more_than_importing_numpy():
    def seconds(code: str) -> float:
        return best(lambda: subprocess.run([sys.executable, "-c", code], check=True), 5)

    numpy, nnopt = seconds("import numpy"), seconds("import numpy, nnopt")
    used = seconds("import nnopt; nnopt.Experiment, nnopt.Run, nnopt.functions, nnopt.minimize")
    more, most = (nnopt - numpy) * 1e3, (used - numpy) * 1e3
    print(f"\nimport: nnopt {more:.0f} ms more than numpy, with everything that a run uses {most:.0f} ms more")
    assert nnopt - numpy <= 0.2
