"""Weights, data, split and batches have seeds of their own; files of version 1, with one for all, open as they were."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import nnopt
from nnopt.errors import SpecError
from nnopt.objectives.datasets import split
from nnopt.optimizers.batches import Mini
from nnopt.runs.experiment import (
    Architecture,
    Experiment,
    Method,
    NetworkProblem,
    Recording,
    dumps,
    loads,
    one_seed,
    seed_words,
    set_path,
)
from nnopt.runs.run import Run, stage_of

SEEDS = ("seed", "data_seed", "split_seed", "batch_seed")


@pytest.fixture
def experiment() -> Experiment:
    problem = NetworkProblem(nnopt.datasets.get("spiral", points=60, noise=10.0), Architecture((4,)), validation=0.25)
    return Experiment(problem, (Method(nnopt.optimizers.SGD(lr=0.1), batches=Mini(size=8)),), steps=30)


def parts(experiment: Experiment) -> dict[str, Any]:
    """What each seed draws."""
    run = Run(experiment)
    problem = run.problem
    assert problem.dataset is not None
    sampler = stage_of(problem).sampler
    return {
        "seed": run.state.theta.copy(),
        "data_seed": np.column_stack([problem.dataset.X, problem.dataset.y]),
        "split_seed": problem.validation,
        "batch_seed": np.concatenate([sampler.rows(step) for step in range(12)]),
    }


@pytest.mark.parametrize("name", SEEDS)
def test_each_seed_draws_its_own_part_and_leaves_the_others_as_they_are(experiment: Experiment, name: str) -> None:
    before, after = parts(experiment), parts(set_path(experiment, name, 7))
    for part in SEEDS:
        assert np.array_equal(before[part], after[part]) is (part != name), part


def test_a_file_of_version_1_draws_everything_from_its_one_seed(experiment: Experiment) -> None:
    document = json.loads(dumps(experiment))
    for name in SEEDS:
        del document[name]
    old = loads(json.dumps(document | {"version": 1, "seed": 5}))
    spec = experiment.problem
    assert isinstance(spec, NetworkProblem)
    data = spec.data.make(5)
    found = parts(old)
    assert np.array_equal(found["data_seed"], np.column_stack([data.X, data.y]))
    assert np.array_equal(found["split_seed"], split(data, 0.25, 5)[1])
    assert np.array_equal(found["seed"], nnopt.Network((2, 4, 1)).initial(5))
    sampler = Mini(size=8).sampler(45, 5)
    assert np.array_equal(found["batch_seed"], np.concatenate([sampler.rows(step) for step in range(12)]))
    assert old == one_seed(experiment, 5)
    assert loads(json.dumps(document | {"version": 1})) == one_seed(experiment, 42)


def test_a_session_of_version_1_replays_as_it_was(experiment: Experiment) -> None:
    run = Run(one_seed(experiment, 5))
    run.advance(20)
    document = json.loads(dumps(run.recording)) | {"version": 1}
    for name in SEEDS[1:]:
        del document["experiment"][name]
    again = Run(loads(json.dumps(document)))
    again.advance(20)
    assert np.array_equal(again.state.theta, run.state.theta)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 1, "data_seed": 3}, "at $.data_seed: version 1 has one seed for all; write version 2"),
        ({"version": 2, "split_seed": -1}, "at $.split_seed: expected a whole number >= 0"),
        ({"version": 1, "seed": -1}, "at $.seed: expected a whole number >= 0"),
        ({"version": 3}, "at $.version: expected 1 or 2, got 3; it was written by a newer nnopt"),
        ({"version": 0}, "at $.version: expected 1 or 2, got 0"),
    ],
)
def test_what_is_wrong_with_seeds_is_said_with_its_place(experiment: Experiment, change: Any, said: str) -> None:
    document = json.loads(dumps(experiment))
    if change["version"] == 1:
        for name in SEEDS[1:]:
            del document[name]
    with pytest.raises(SpecError) as refused:
        loads(json.dumps(document | change))
    assert said in str(refused.value)


def test_version_2_keeps_each_seed(experiment: Experiment) -> None:
    for number, name in enumerate(SEEDS):
        experiment = set_path(experiment, name, number)
    assert json.loads(dumps(experiment))["version"] == 2
    assert loads(dumps(experiment)) == experiment
    assert loads(dumps(Recording(experiment))) == experiment
    assert seed_words(experiment) == "seed 0 of the weights, 1 of data, 2 of split, 3 of batches"


def test_restarts_and_sweeps_over_seeds_vary_the_weights_alone(experiment: Experiment) -> None:
    found = nnopt.restart(experiment, seeds=[3, 8])
    for row, seed in enumerate((3, 8)):
        run = Run(set_path(experiment, "seed", seed))
        run.advance(30)
        np.testing.assert_allclose(found.theta[row], run.state.theta, rtol=1e-9, atol=1e-12)
    table = nnopt.sweep(experiment, {"seed": [3, 8], "data_seed": [1, 2]}, workers=1)
    assert len(set(table["training_loss"])) == 4


@pytest.mark.parametrize(("given", "every"), [({}, 10), ({"measure": {}}, 10), ({"measure": {"every": 7}}, 7)])
def test_a_file_of_version_1_is_measured_as_often_as_it_was(given: dict[str, Any], every: int) -> None:
    old = {"format": "nnopt-experiment", "version": 1, "problem": {"kind": "network", "data": "moons"}}
    found = loads(json.dumps(old | given))
    assert isinstance(found, Experiment)
    assert found.measure.every == every
    newer = loads(json.dumps({name: old[name] for name in ("format", "problem")} | {"version": 2}))
    assert isinstance(newer, Experiment)
    assert newer.measure.every == 0
