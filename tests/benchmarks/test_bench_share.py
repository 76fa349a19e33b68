"""What long work leaves to others, and what shared work saves: `pytest tests/benchmarks/test_bench_share.py -s`."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from baselines import fastest, spiral

from nnopt import optimizers
from nnopt.objectives import datasets
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Local, update_of
from nnopt.optimizers.batches import Mini
from nnopt.runs.experiment import Architecture, Experiment, Measure, Method, NetworkProblem
from nnopt.runs.run import Run, stage_of

sys.path.append(str(Path(__file__).parent.parent / "nnopt"))
from breath import deepest_breath


@pytest.mark.parametrize("sizes", [(2, 8, 1), (2, 16, 16, 1), (2, 64, 64, 1)])
def test_a_product_at_one_theta_takes_about_half_where_its_passes_are_kept(sizes):
    objective = NetworkObjective(Network(sizes), *spiral(200))
    theta = objective.network.initial(0)
    product = objective.linearized(theta)
    seconds = fastest({"each": lambda: objective.hvp(theta, theta), "kept": lambda: product(theta)}, 7, 50)
    print(f"\n{objective.size:,} parameters: { ({name: f'{1e6 * time:.0f} us' for name, time in seconds.items()}) }")
    assert seconds["kept"] < 0.75 * seconds["each"]


@pytest.mark.parametrize("hidden", [(40, 40), (64, 64)])
def test_a_damped_newton_step_lets_others_run(hidden):
    objective = NetworkObjective(Network((2, *hidden, 1)), *spiral(200), l2=1.0)
    theta = objective.network.initial(0)
    optimizer = optimizers.DampedNewton()
    local = objective.value_and_gradient(theta)
    update, slots = update_of(optimizer), optimizer.init(theta)
    breath = deepest_breath(lambda: update(Local(objective, theta, *local), slots, 1.0), 3, 0.1)
    print(f"\n{objective.size:,} parameters: {breath.seconds:.2f} s, longest wait {1e3 * breath.longest:.0f} ms")
    assert breath.share < 0.3


@pytest.mark.parametrize("size", [1, 32, 1000])
@pytest.mark.parametrize("hidden", [(8,), (16, 16), (64, 64)])
def test_measuring_takes_about_a_quarter_of_the_time_at_most(hidden, size):
    problem = NetworkProblem(datasets.get("circle", points=100_000), Architecture(hidden))
    method = Method(optimizers.SGD(lr=0.01), batches=Mini(size=size))
    run = Run(Experiment(problem, (method,), steps=10**6, measure=Measure(10**6)))
    run.advance(20)
    steps = 20 if size == 1000 else 300
    updates = []
    for _ in range(3):
        start = perf_counter()
        run.advance(steps)
        updates.append((perf_counter() - start) / steps)
    stage = stage_of(run.problem)
    arrival = stage.arrive(run.state)
    measuring = fastest({"measure": lambda: stage.measure(arrival)}, 3, 1)["measure"]
    every = stage_of(Run(Experiment(problem, (method,))).problem).every
    share = measuring / (measuring + every * min(updates))
    print(f"\n{hidden}, batches of {size}: every {every:,} steps, {share:.0%} of the time, every 10 it would be "
          f"{measuring / (measuring + 10 * min(updates)):.0%}")  # fmt: skip
    assert np.isfinite(share)
    assert share < 0.4
