"""How often a run measures, where its experiment gives no number: by sizes alone, and never most of the time."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt import optimizers
from nnopt.analysis.restarts import restart
from nnopt.objectives import datasets, functions
from nnopt.optimizers.batches import Full, Mini
from nnopt.runs.experiment import (
    Architecture,
    Experiment,
    FunctionProblem,
    Measure,
    Method,
    NetworkProblem,
    default_experiment,
    dumps,
    loads,
    set_path,
)
from nnopt.runs.problem import build
from nnopt.runs.run import Run, stage_of
from nnopt.runs.spacing import spacing


def large(every: int = 0, size: int = 32, points: int = 20_000) -> Experiment:
    problem = NetworkProblem(datasets.get("circle", points=points), Architecture((8,)))
    method = Method(optimizers.SGD(lr=0.1), batches=Mini(size=size))
    return Experiment(problem, (method,), steps=1000, measure=Measure(every))


@given(st.integers(1, 10_000), st.integers(0, 500), st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_measuring_is_at_most_a_quarter_of_the_work_and_no_rarer_than_need_be(size, units, training, held_out, epoch):
    epoch = min(epoch, training)
    every = spacing(size, units, training, held_out, epoch)
    cost = size + 40 * units
    update = cost * training / epoch + 50_000
    measurement = cost * (held_out / 2 + (training if epoch > 1 else 0))
    assert measurement <= 0.25 * (measurement + every * update) * (1 + 1e-12)
    assert every >= 10
    assert str(every).rstrip("0") in ("1", "2", "5")
    # a third as often or more would have been too often
    assert every == 10 or measurement > 0.25 * (measurement + every / 2.5 * update) * (1 - 1e-12)


def test_full_batches_and_small_data_are_measured_every_ten_steps_as_ever():
    assert stage_of(build(default_experiment())).every == 10
    assert stage_of(build(Experiment(FunctionProblem(functions.get("beale"))))).every == 10
    assert stage_of(build(large(size=10, points=400))).every == 10
    assert stage_of(build(set_path(large(), "methods[0].batches", Full()))).every == 10


def test_a_number_that_is_given_is_kept_and_old_files_open_as_they_were():
    document = json.loads(dumps(large(every=10)))
    assert document["measure"] == {"every": 10}
    assert stage_of(build(loads(json.dumps(document)))).every == 10
    del document["measure"]
    assert stage_of(build(loads(json.dumps(document)))).every == stage_of(build(large())).every > 10


def test_how_often_is_measured_changes_no_state():
    runs = [Run(large(every)) for every in (0, 10)]
    for run in runs:
        run.advance(120)
    assert runs[0].state.same_bits(runs[1].state)
    assert runs[0].history.stage_at(0).every == 500


def test_a_run_and_its_restart_measure_at_the_same_steps():
    experiment = set_path(large(), "steps", 510)
    run = Run(experiment)
    run.advance(510)
    columns = run.history.columns
    measured = columns["step"][~np.isnan(columns["validation_loss"])]
    assert measured.tolist() == [0, 500]
    assert restart(experiment, [3], workers=1).steps.tolist() == [0, 500]


@pytest.mark.parametrize("size", [1, 32, 400])
def test_smaller_batches_of_the_same_data_are_measured_no_more_often(size):
    assert stage_of(build(large(size=size))).every >= stage_of(build(large(size=2 * size))).every
