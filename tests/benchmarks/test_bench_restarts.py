"""Restarts: 64 runs x 1000 full-batch updates of 2-16-16-1 on 200 examples, against loops over single runs.

    pytest tests/benchmarks/test_bench_restarts.py -s

All contestants take turns, a stretch of updates each, and the quickest stretch of each counts, so that a disturbance
of the machine meets everybody. Printed are seconds for the whole of 64 x 1000 updates.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import pytest
from baselines import SIZES, Baseline, spiral

from nnopt.analysis.restarts import Ensemble
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import get
from nnopt.optimizers.batches import Full, Mini
from nnopt.runs.experiment import Stop
from nnopt.runs.minimize import minimize

RUNS, UPDATES, RATE = 64, 1000, 0.1
ROUNDS = int(os.environ.get("NNOPT_BENCH_ROUNDS", "40"))
NEVER = Stop(gradient_norm=0.0)


def problem() -> tuple[NetworkObjective, np.ndarray]:
    network = Network(SIZES)
    return NetworkObjective(network, *spiral()), np.array([network.initial(seed) for seed in range(RUNS)])


def seconds(contestants: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """Time of RUNS x UPDATES updates. A contestant: what to call, and how many single updates a call makes."""
    for call, _ in contestants.values():
        call()
    best = dict.fromkeys(contestants, np.inf)
    for _ in range(ROUNDS):
        for name, (call, updates) in contestants.items():
            began = time.perf_counter()
            call()
            best[name] = min(best[name], (time.perf_counter() - began) * RUNS * UPDATES / updates)
    return best


def plain_numpy(theta: np.ndarray, rows: Callable[[], np.ndarray] | None, updates: int) -> np.ndarray:
    """What one writes: a loop of gradient descent for one network."""
    X, y = spiral()
    theta, whole = theta.copy(), Baseline(X, y)
    for _ in range(updates):
        some = None if rows is None else rows()
        batch = whole if some is None else Baseline(X[some], y[some])
        theta -= RATE * batch.value_and_gradient(theta)[1]
    return theta


def measured(batches: Full | Mini, size: int | None) -> dict[str, float]:
    objective, starts = problem()
    sgd = get("sgd")(lr=RATE)
    random = np.random.default_rng(0)
    rows = None if size is None else lambda: random.integers(0, 200, size)
    singles = Ensemble(objective, sgd, starts, batches=batches, stop=NEVER, every=10**9, dtype=np.float32)
    doubles = Ensemble(objective, sgd, starts, batches=batches, stop=NEVER, every=10**9)
    found = seconds({
        "together, float32": (lambda: singles.advance(5), 5 * RUNS),
        "together, float64": (lambda: doubles.advance(5), 5 * RUNS),
        "our single runs": (lambda: minimize(objective, sgd, starts[0], 200, batches=batches, stop=NEVER), 200),
        "plain numpy": (lambda: plain_numpy(starts[0], rows, 100), 100),
    })  # fmt: skip
    quickest = found["together, float32"]
    print(f"\n{RUNS} restarts x {UPDATES} updates, batches of {size or 200}")
    for name, took in found.items():
        print(f"  {name:20} {took:6.2f} s   {took / quickest:5.1f} x")
    return found


def test_full_batches_together_are_six_times_a_numpy_loop_and_twice_our_own_runs():
    found = measured(Full(), None)
    assert found["plain numpy"] >= 6 * found["together, float32"]
    assert found["our single runs"] >= 2 * found["together, float32"]


def test_small_batches_together_gain_more():
    found = measured(Mini(size=10), 10)
    assert found["plain numpy"] >= 10 * found["together, float32"]
    assert found["our single runs"] >= 4 * found["together, float32"]


@pytest.mark.parametrize("name", ["momentum", "nesterov", "adagrad", "rmsprop", "adam"])
def test_the_method_costs_little_beside_the_gradients(name):
    objective, starts = problem()
    runs = {
        kind: Ensemble(objective, get(kind)(lr=1e-3), starts, stop=NEVER, every=10**9, dtype=np.float32)
        for kind in ("sgd", name)
    }
    found = seconds({kind: (lambda run=run: run.advance(5), 5 * RUNS) for kind, run in runs.items()})
    print(f"\n{name}: {found[name]:.2f} s, sgd {found['sgd']:.2f} s")
    assert found[name] < 1.6 * found["sgd"]
