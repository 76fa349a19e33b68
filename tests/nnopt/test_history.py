"""The log: every state comes back bit for bit, from any thread, within bounded memory."""

from __future__ import annotations

import gc
import json
import math
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_strategies import changes, experiments

from nnopt import optimizers
from nnopt.errors import NnoptError, SettingsError
from nnopt.objectives import datasets, functions
from nnopt.optimizers import batches, schedules
from nnopt.runs import history as history_module
from nnopt.runs.changes import AddExample, Intervention, MoveExample, MoveTo, RemoveExample, SetSetting
from nnopt.runs.experiment import (
    Experiment,
    FunctionProblem,
    Measure,
    Method,
    NetworkProblem,
    Stop,
    default_experiment,
    loads,
    set_path,
)
from nnopt.runs.history import row_of
from nnopt.runs.log import COLUMNS
from nnopt.runs.run import Memory, Run

TINY = Memory(rows=8, keyframes=8 * 40, recent=0, problems=0)


def rosenbrock(steps: int = 10_000, **method: object) -> Experiment:
    chosen = Method(**{"optimizer": optimizers.SGD(lr=1e-3), **method})
    return Experiment(FunctionProblem(functions.get("rosenbrock")), (chosen,), steps=steps)


def same(first: dict[str, float], second: dict[str, float]) -> bool:
    return first.keys() == second.keys() and all(
        first[name] == second[name] or (math.isnan(first[name]) and math.isnan(second[name])) for name in first
    )


@given(experiments, st.sampled_from([TINY, Memory(rows=16, keyframes=3000, recent=4000), Memory()]), st.data())
@settings(max_examples=60)
def test_every_state_comes_back_bit_for_bit_whatever_was_done_to_the_run(experiment, memory, data):
    run = Run(experiment, memory=memory)
    first_pass = [run.state]
    rows = [run.history.row(0)]
    for _ in range(data.draw(st.integers(0, 4), label="stretches")):
        for _ in range(data.draw(st.integers(0, 12), label="updates")):
            if run.advance(1):
                first_pass.append(run.state)
                rows.append(run.history.row(run.state.step))
        try:
            run.intervene(data.draw(changes(run.problem.size), label="change"))
        except NnoptError:
            assert run.state.same_bits(first_pass[-1])
        first_pass[-1] = run.state
        rows[-1] = run.history.row(run.state.step)
    history = run.history
    assert history.length == len(first_pass)
    for step in data.draw(st.permutations(range(history.length)), label="order"):
        assert history.seek(step).same_bits(first_pass[step])
        assert same(history.row(step), rows[step])
    assert [history.epoch(step) for step in range(history.length)] == sorted(map(history.epoch, range(history.length)))
    assert np.array_equal(history.theta, [state.theta for state in first_pass], equal_nan=True)

    again = Run.replay(run.recording)
    assert again.state.same_bits(run.state)
    assert again.history.interventions == history.interventions

    step = data.draw(st.integers(0, history.length - 1), label="fork")
    fork = run.fork(step)
    assert fork.state.same_bits(first_pass[step])
    assert same(fork.history.row(step), rows[step])
    following = [change.step for change in history.interventions if change.step > step]
    fork.advance(min([*following, history.length - 1]) - step)
    end = fork.state.step
    assert end in following or fork.state.same_bits(first_pass[end])
    before = [[note for note in one.notes if note[0] < end] for one in (fork.history, history)]
    assert before[0] == before[1]
    for earlier in range(end):
        assert fork.history.seek(earlier).same_bits(first_pass[earlier])
    for step, state in enumerate(first_pass):
        assert history.seek(step).same_bits(state)


@pytest.mark.parametrize("name", optimizers.names())
def test_seek_is_exact_for_every_optimizer_after_rows_and_keyframes_were_thinned(name):
    experiment = set_path(default_experiment(), "methods[0].optimizer", name)
    experiment = set_path(experiment, "methods[0].batches", batches.Mini(size=16))
    experiment = set_path(experiment, "methods[0].schedule", schedules.Hold(k=20, then=schedules.Power(d=0.6)))
    run = Run(experiment, memory=Memory(rows=8, keyframes=4000, recent=0))
    states = [run.state]
    while run.state.step < 100 and run.advance(1):
        states.append(run.state)
    history = run.history
    assert history.stride >= 8
    assert max(history.seek_cost(step) for step in range(100)) >= 7
    for step in reversed(range(len(states))):
        assert history.seek(step).same_bits(states[step])


def test_a_replayed_row_is_the_row_that_was_written():
    plain, thinned = Run(default_experiment()), Run(default_experiment(), memory=TINY)
    plain.advance(100)
    thinned.advance(100)
    assert thinned.history.stride == 16
    for step in range(101):
        assert same(plain.history.row(step), thinned.history.row(step))


def test_columns_are_one_consistent_reading_of_one_length():
    run = Run(default_experiment())
    run.advance(25)
    columns = run.history.columns
    assert list(columns) == [
        "step", "loss", "gradient_norm", "learning_rate", "training_loss", "validation_loss", "step_norm", "penalty",
    ]  # fmt: skip
    run.advance(25)
    assert {len(column) for column in columns.values()} == {26}
    assert columns["step"].tolist() == list(range(26))
    assert not columns["loss"].flags.writeable
    measured = np.flatnonzero(np.isfinite(columns["validation_loss"]))
    assert measured.tolist() == [0, 10, 20]


def test_rows_say_what_happened_at_their_step():
    run = Run(default_experiment())
    run.advance(10)
    states = list(run.history.states())
    problem, row = run.problem, run.history.row(10)
    value, gradient = problem.objective.value_and_gradient(states[10].theta)
    assert row["loss"] == row["training_loss"] == value
    assert row["gradient_norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-14)
    assert row["learning_rate"] == run.experiment.methods[0].optimizer.lr
    assert row["validation_loss"] == problem.validation_value(states[10].theta)
    assert row["step_norm"] == pytest.approx(np.linalg.norm(states[10].theta - states[9].theta), rel=1e-9)


def test_with_mini_batches_the_loss_is_the_batchs_and_the_full_loss_is_measured_now_and_then():
    experiment = set_path(default_experiment(), "methods[0].batches", batches.Mini(size=20))
    run = Run(experiment)
    run.advance(20)
    columns, theta = run.history.columns, run.state.theta
    measured = np.isfinite(columns["training_loss"])
    assert np.flatnonzero(measured).tolist() == [0, 10, 20]
    assert columns["training_loss"][20] == run.objective.value_and_gradient(theta)[0]
    rows = run.history.stage_at(20).sampler.rows(20)
    assert columns["loss"][20] == run.objective.value_and_gradient(theta, rows)[0]
    assert columns["loss"][20] != columns["training_loss"][20]


def test_rows_are_thinned_by_powers_of_two_and_stay_those_of_their_steps():
    run = Run(rosenbrock(), memory=Memory(rows=64))
    run.advance(1000)
    full = Run(rosenbrock())
    full.advance(1000)
    columns = run.history.columns
    assert run.history.stride == 16
    assert columns["step"].tolist() == list(range(0, 1001, 16))
    assert np.array_equal(columns["loss"], full.history.columns["loss"][::16])
    assert np.array_equal(run.history.value, full.history.value)


def test_keyframes_stay_within_their_budget():
    memory = Memory(keyframes=2**14, recent=2**10)
    run = Run(rosenbrock(), memory=memory)
    run.advance(5000)
    assert run.history._frames.array.nbytes <= memory.keyframes
    assert max(run.history.seek_cost(step) for step in range(0, 5000, 7)) <= 2 * 5000 * 16 / 2**14 + 1


def test_a_step_backwards_after_a_replay_costs_nothing():
    run = Run(rosenbrock(), memory=Memory(keyframes=2**10))
    run.advance(2000)
    history = run.history
    step = next(step for step in range(900, 1000) if history.seek_cost(step) > 5)
    history.seek(step)
    assert history.seek_cost(step - 1) == 0
    assert history.seek(step - 1).step == step - 1


def test_steps_outside_the_history_are_refused():
    run = Run(rosenbrock())
    run.advance(5)
    for step in (-1, 6):
        with pytest.raises(SettingsError, match=rf"step: expected 0 \.\. 5, got {step}"):
            run.history.seek(step)
    with pytest.raises(SettingsError):
        run.history.thetas([0, 6])


def test_readers_on_another_thread_see_the_same_states_while_the_run_goes_on():
    experiment = set_path(default_experiment(), "methods[0].batches", batches.Mini(size=7))
    run = Run(experiment, memory=Memory(rows=64, keyframes=10_000, recent=2000))
    seen: list = []
    done = threading.Event()

    def read() -> None:
        random = np.random.default_rng(1)
        while not done.is_set():
            history = run.history
            step = int(random.integers(history.length))
            state = history.seek(step)
            columns = history.columns
            lengths = {len(column) for column in columns.values()}
            seen.append((state, lengths, bool((np.diff(columns["step"]) == columns["step"][1:2]).all())))

    reader = threading.Thread(target=read)
    reader.start()
    # on a loaded machine the reader gets its turn late: the run goes on until it has
    while run.state.step < 4500 and (run.state.step < 1500 or len(seen) <= 5):
        run.advance(50)
    done.set()
    reader.join()
    reference = Run(experiment)
    reference.advance(run.state.step)
    assert len(seen) > 5
    for state, lengths, regular in seen:
        assert len(lengths) == 1
        assert regular
        assert state.same_bits(reference.history.seek(state.step))


def test_thetas_and_trail_are_the_states_parameters():
    run = Run(rosenbrock(), [Intervention(30, MoveTo((0.5, 0.5)))], memory=Memory(keyframes=400, recent=0))
    run.advance(100)
    history = run.history
    wanted = [77, 3, 30, 100, 29, 0]
    assert np.array_equal(history.thetas(wanted), [history.seek(step).theta for step in wanted])
    steps, thetas = history.trail(points=10)
    assert steps[0] == 0
    assert steps[-1] == 100
    assert 30 in steps
    assert len(steps) <= 13
    assert np.array_equal(thetas, history.thetas(steps))
    steps, thetas = history.trail(stop=30)
    assert steps[-1] == 30
    assert thetas[-1].tolist() == [0.5, 0.5]


def test_the_trail_is_thinned_to_a_number_of_bytes_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(history_module, "TRAIL_BYTES", 16 * 150)  # 150 states of two parameters
    run = Run(rosenbrock(), memory=Memory(recent=0))
    run.advance(1000)
    steps, thetas = run.history.trail()
    assert steps.tolist() == list(range(0, 1001, 8))
    assert np.array_equal(thetas, run.history.thetas(steps))
    assert len(run.history.trail(points=2000)[0]) == 1001
    monkeypatch.setattr(history_module, "TRAIL_BYTES", 16)
    assert run.history.trail()[0].tolist() == [*range(0, 1000, 16), 1000]


def test_the_experiment_and_the_problem_of_each_step_are_known():
    change = Intervention(10, SetSetting("methods[0].optimizer.lr", 0.002))
    run = Run(rosenbrock(), [change])
    run.advance(20)
    assert run.history.experiment_at(9).methods[0].optimizer.lr == 1e-3
    assert run.history.experiment_at(10).methods[0].optimizer.lr == 0.002
    assert run.history.problem_at(9).experiment.methods[0].optimizer.lr == 1e-3
    assert run.history.columns["learning_rate"][[9, 10]].tolist() == [1e-3, 0.002]
    assert run.experiment == run.history.experiment_at(20)


def test_what_a_method_says_is_noted_when_it_is_new():
    problem = FunctionProblem(functions.get("himmelblau"), start=(0.0, 0.0))
    run = Run(Experiment(problem, (Method(optimizers.Newton()),)))
    run.advance(10)
    assert run.history.notes == ((0, "the Newton step goes uphill"),)
    assert run.fork(0).history.notes == ()


def test_the_log_of_a_long_run_stays_small():
    run = Run(rosenbrock(steps=40_000, batches=batches.Full()), memory=Memory(rows=1024, keyframes=2**15))
    run.advance(20_000)
    columns, frames = run.history._table, run.history._frames
    before = sum(array.nbytes for array in columns.arrays.values()), frames.array.nbytes
    run.advance(20_000)
    columns, frames = run.history._table, run.history._frames
    assert (sum(array.nbytes for array in columns.arrays.values()), frames.array.nbytes) == before


def test_measuring_more_often_does_not_change_the_states():
    seldom, often = (
        Run(set_path(default_experiment(), "measure", Measure(every=every))) for every in (50, 1)
    )  # fmt: skip
    seldom.advance(60)
    often.advance(60)
    assert seldom.state.same_bits(often.state)


def test_the_epoch_goes_on_from_where_it_was_when_batches_or_data_change():
    data = datasets.get("circle", points=200)
    method = Method(optimizers.SGD(lr=1e-3), batches=batches.Mini(size=20))
    run = Run(Experiment(NetworkProblem(data, validation=0.0), (method,)))
    run.advance(100)
    assert run.history.epoch(100) == 10.0
    for changed in (batches.Single(), batches.Full(), batches.Mini(size=50)):
        run.intervene(SetSetting("methods[0].batches", changed))
        assert run.history.epoch(100) == 10.0
    run.advance(2)
    assert run.history.epoch(102) == 10.5
    for _ in range(100):
        run.intervene(RemoveExample(0))
    run.advance(2)
    assert run.history.epoch(104) == 11.5
    assert run.history.epoch(50) == 5.0
    assert run.fork(104).history.epoch(104) == 11.5


def test_a_fork_says_what_the_run_it_equals_says():
    problem = FunctionProblem(functions.get("himmelblau"), start=(0.0, 0.0))
    run = Run(Experiment(problem, (Method(optimizers.Newton()),), stop=Stop(gradient_norm=0.0)))
    run.advance(4)
    run.intervene(MoveTo((3.1, 2.1)))
    run.advance(2)
    run.intervene(MoveTo((0.0, 0.0)))
    run.advance(3)
    fork = run.fork(6)
    fork.intervene(MoveTo((0.0, 0.0)))
    fork.advance(3)
    uphill = "the Newton step goes uphill"
    assert run.history.notes == ((0, uphill), (6, uphill))
    assert fork.history.notes == run.history.notes
    assert Run.replay(fork.recording).history.notes == run.history.notes


def test_batches_of_a_function_are_spoken_of_once_also_after_a_fork():
    run = Run(rosenbrock(batches=batches.Mini(size=4)))
    said = run.history.notes
    assert len(said) == 1
    run.advance(5)
    assert run.fork(0).history.notes == run.fork(3).history.notes == run.history.notes == said


def test_old_data_are_let_go_of_and_come_back_the_same():
    data = datasets.get("circle", points=2000)
    method = Method(optimizers.Momentum(), batches=batches.Mini(size=10))
    experiment = Experiment(NetworkProblem(data), (method,), measure=Measure(every=2))
    run, whole = Run(experiment, memory=Memory(recent=0, problems=150_000)), Run(experiment)
    known, states, rows = [], [], []
    for k in range(30):
        edit = (AddExample((float(k % 5), 0.0), 1), MoveExample(k, (0.5, k / 10)), RemoveExample(3 * k))[k % 3]
        for one in (run, whole):
            one.advance(3)
            one.intervene(edit)
        known.append(weakref.ref(run.problem.dataset))
        states.append(run.state)
        rows.append(run.history.row(run.state.step))
    size = run.problem.bytes
    gc.collect()
    assert sum(ref() is not None for ref in known) <= 150_000 // size + 2
    for step in (*range(90, -1, -7), *range(91)):
        assert run.history.seek(step).same_bits(whole.history.seek(step))
        again, kept = run.history.problem_at(step), whole.history.problem_at(step)
        assert again.dataset.X.tobytes() == kept.dataset.X.tobytes()
        assert again.training.tolist() == kept.training.tolist()
        assert run.history.epoch(step) == whole.history.epoch(step)
    assert all(same(run.history.row(state.step), row) for state, row in zip(states, rows, strict=True))
    gc.collect()
    assert sum(ref() is not None for ref in known) <= 150_000 // size + 2
    fork = run.fork(45)
    fork.advance(2)
    assert fork.state.same_bits(whole.history.seek(47))


def test_all_parameters_are_worked_out_once_until_the_run_goes_on():
    run = Run(rosenbrock())
    run.advance(50)
    path = run.history.theta
    assert run.history.theta is path
    assert not path.flags.writeable
    run.intervene(MoveTo((0.25, 0.5)))
    assert run.history.theta[-1].tolist() == [0.25, 0.5]
    run.advance(1)
    assert run.history.theta.shape == (52, 2)
    small = Run(rosenbrock(), memory=Memory(keyframes=100))
    small.advance(50)
    assert small.history.theta is not small.history.theta


@pytest.mark.parametrize("size", [None, 8])
@pytest.mark.parametrize(("l2", "validation"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.25), (0.1, 0.25)])
def test_a_row_computed_anew_is_the_row_that_was_stored(l2: float, validation: float, size: int | None) -> None:
    batches = {} if size is None else {"batches": {"name": "mini", "size": size}}
    document = {
        "format": "nnopt-experiment",
        "version": 2,
        "problem": {"kind": "network", "data": "moons", "network": {"hidden": [3]}, "l2": l2, "validation": validation},
        "methods": [{"optimizer": {"name": "sgd", "lr": 0.1}, **batches}],
        "measure": {"every": 5},
    }
    experiment = loads(json.dumps(document))
    assert isinstance(experiment, Experiment)
    run = Run(experiment)
    run.advance(12)
    for step in range(13):
        stage = run.history.stage_at(min(step, run.history.length - 1))
        stored = run.history.row(step)
        computed = row_of(stage, stage.arrive(run.history.seek(step)), stored["step_norm"])
        np.testing.assert_array_equal(computed, [stored[name] for name in COLUMNS])
