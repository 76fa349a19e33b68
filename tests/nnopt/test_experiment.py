"""The spec: what is written comes back, and what is wrong is said with its place."""

from __future__ import annotations

import json
import os
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_strategies import changes, experiments, momentum_experiment

from nnopt import optimizers
from nnopt.errors import NnoptError, SettingsError, SpecError
from nnopt.objectives import datasets, functions
from nnopt.objectives.activations import ACTIVATIONS
from nnopt.objectives.losses import LOSSES
from nnopt.optimizers import batches, schedules
from nnopt.runs import experiment as spec
from nnopt.runs.changes import Intervention
from nnopt.runs.experiment import (
    Architecture,
    Experiment,
    FunctionProblem,
    Method,
    NetworkProblem,
    Recording,
    default_experiment,
    get_path,
    load,
    load_recording,
    loads,
    save,
    save_recording,
    set_path,
)
from nnopt.runs.problem import build
from nnopt.runs.run import Run


@given(experiments)
def test_an_experiment_comes_back_as_it_was_written(experiment):
    assert loads(spec.dumps(experiment)) == experiment


@given(experiments, st.lists(st.tuples(st.integers(0, 99), changes(3)), max_size=4), st.integers(0, 10**9))
def test_a_recording_comes_back_as_it_was_written(tmp_path_factory, experiment, done, length):
    path = tmp_path_factory.getbasetemp() / "session.json"
    recording = Recording(experiment, tuple(Intervention(*one) for one in done), length, {"zoom": 1.5})
    save_recording(recording, path)
    assert load_recording(path) == recording
    assert load(path) == experiment


def test_a_file_says_what_it_is(tmp_path):
    save(momentum_experiment(), tmp_path / "e.json")
    document = json.loads((tmp_path / "e.json").read_text())
    assert document["format"] == "nnopt-experiment"
    assert document["version"] == 2
    assert document["methods"][0]["optimizer"] == {
        "name": "momentum", "lr": 0.1, "beta": 0.9, "weight_decay": 0.0, "clip": 0.0,
    }  # fmt: skip
    assert load_recording(tmp_path / "e.json") == Recording(momentum_experiment())


def test_short_forms_are_understood():
    text = """{"format": "nnopt-experiment", "version": 1,
        "problem": {"kind": "function", "function": "beale"}, "methods": [{"optimizer": "adam"}]}"""
    experiment = loads(text)
    assert experiment.problem == FunctionProblem(functions.get("beale"))
    assert experiment.methods == (Method(optimizers.Adam()),)
    assert experiment.seed == 42


OPTIMIZER, PROBLEM = ("methods", 0, "optimizer"), ("problem",)
ROSENBROCK = {"kind": "function", "function": {"name": "rosenbrock"}}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((*OPTIMIZER, "lr"), -0.1, "$.methods[0].optimizer.lr: expected a number > 0, got -0.1"),
        ((*OPTIMIZER, "lr"), "fast", '$.methods[0].optimizer.lr: expected a number, got "fast"'),
        ((*OPTIMIZER, "lr"), None, "$.methods[0].optimizer.lr: expected a number, got null"),
        ((*OPTIMIZER, "lr"), True, "$.methods[0].optimizer.lr: expected a number, got true"),
        ((*OPTIMIZER, "beta"), 1.0, "$.methods[0].optimizer.beta: expected a number < 1, got 1"),
        ((*OPTIMIZER, "bta"), 0.5, "$.methods[0].optimizer.bta: unknown field 'bta'; did you mean 'beta'?"),
        ((*OPTIMIZER, "name"), "adamm", "$.methods[0].optimizer.name: unknown optimizer 'adamm'; did you mean 'adam'?"),
        (OPTIMIZER, 3, "$.methods[0].optimizer: expected one optimizer"),
        (("methods", 0, "schedule"), {"name": "hold", "then": {"name": "power", "d": -1}},
         "$.methods[0].schedule.then.d: expected a number >= 0, got -1"),
        (("methods", 0, "schedule"), {"name": "hold", "then": {"name": "powr"}},
         "$.methods[0].schedule.then.name: unknown schedule 'powr'; did you mean 'power'?"),
        (("methods", 0, "batches"), {"name": "mini", "size": 2.5},
         "$.methods[0].batches.size: expected a whole number, got 2.5"),
        (("methods", 0, "batches"), {"name": "mini", "replacement": "yes"},
         '$.methods[0].batches.replacement: expected true or false, got "yes"'),
        (("methods",), [], "$.methods: expected a list of length >= 1, got []"),
        (("methods",), 1, "$.methods: expected a list, got 1"),
        (("method",), [], "$.method: unknown field 'method'; did you mean 'methods'?"),
        (("seed",), -1, "$.seed: expected a whole number >= 0, got -1"),
        (("seed",), 2**63, "$.seed: expected a whole number <= 9223372036854775807, got 9223372036854775808"),
        (("steps",), 0, "$.steps: expected a whole number >= 1, got 0"),
        (("measure",), {"evry": 3}, "$.measure.evry: unknown field 'evry'; did you mean 'every'?"),
        (("stop", "explosion"), 0.5, "$.stop.explosion: expected a number > 1, got 0.5"),
        (("problem", "kind"), "net", '$.problem.kind: expected "network" or "function", got "net"'),
        (("problem", "loss"), "cross", '$.problem.loss: expected "auto" or "binary_cross_entropy"'),
        (("problem", "l2"), -1, "$.problem.l2: expected a number >= 0, got -1"),
        (("problem", "validation"), 1, "$.problem.validation: expected a number < 1, got 1"),
        (("problem", "data"), {"name": "circl"},
         "$.problem.data.name: unknown dataset 'circl'; did you mean 'circle'?"),
        (("problem", "data", "noise"), 70, "$.problem.data.noise: expected a number <= 50, got 70"),
        (("problem", "data", "definition"), "x",
         '$.problem.data.definition: expected "playground" or "convnetjs", got "x"'),
        (("problem", "network", "activation"), "tan", '$.problem.network.activation: expected "tanh" or'),
        (("problem", "network", "hidden"), [3, 0], "$.problem.network.hidden[1]: expected a whole number >= 1, got 0"),
        (("problem", "network", "initial", "std"), -1, "$.problem.network.initial.std: expected a number >= 0, got -1"),
        (PROBLEM, {**ROSENBROCK, "start": [1.0]}, "$.problem.start: expected 2 numbers for rosenbrock, got 1"),
        (PROBLEM, {**ROSENBROCK, "start": [1.0, "a"]}, '$.problem.start[1]: expected a number, got "a"'),
        (PROBLEM, {"kind": "function", "function": "rosenbrok"},
         "$.problem.function.name: unknown function 'rosenbrok'; did you mean 'rosenbrock'?"),
        (("version",), 3, "$.version: expected 1 or 2, got 3; it was written by a newer nnopt"),
        (("version",), True, "$.version: expected 1 or 2, got True"),
        (("format",), "other", "$.format: expected 'nnopt-experiment' or 'nnopt-session', got 'other'"),
    ],
)  # fmt: skip
def test_a_bad_field_is_refused_with_file_and_place(place, value, message):
    document = json.loads(spec.dumps(momentum_experiment()))
    parent = document
    for part in place[:-1]:
        parent = parent[part]
    parent[place[-1]] = value
    with pytest.raises(SpecError) as caught:
        loads(json.dumps(document), "experiment.json")
    assert str(caught.value).startswith(f"experiment.json: at {message}")


@pytest.mark.parametrize("field", ["problem", "format", "version"])
def test_a_missing_field_is_named(field):
    document = json.loads(spec.dumps(momentum_experiment()))
    del document[field]
    with pytest.raises(SpecError, match=field):
        loads(json.dumps(document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "line 2, column 6: not JSON: expecting ':' delimiter"),
        ("", "expected a JSON object {...}, and it is empty"),
        ("[1]", "expected a JSON object {...}, got list"),
        ('{"a":\n NaN}', "line 2, column 2: numbers must be finite, got NaN"),
        ('{"a": 1e999}', "line 1, column 7: numbers must be finite"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"seed": ' + "9" * 5000 + "}", "line 1, column 10: a number of 5000 digits is too large"),
    ],
)
def test_text_that_is_not_json_is_refused_with_its_line(text, message):
    with pytest.raises(SpecError) as caught:
        loads(text, "e.json")
    assert str(caught.value).startswith(f"e.json: {message}")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                    max_leaves=5), st.data())  # fmt: skip
@settings(max_examples=200)
def test_whatever_stands_in_a_file_is_read_or_refused_but_never_a_crash(value, data):
    document = json.loads(spec.dumps(momentum_experiment()))
    node, parent, key = document, None, None
    while isinstance(node, (dict, list)) and node:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        parent, key = node, data.draw(st.sampled_from(keys))
        node = parent[key]
        if data.draw(st.booleans()):
            break
    parent[key] = value
    try:
        found = loads(json.dumps(document))
    except SpecError as error:
        found = error
    assert isinstance(found, Experiment) or str(found).startswith("experiment: ")


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    with pytest.raises(SpecError, match=r"nowhere\.json: cannot be read: No such file"):
        load(tmp_path / "nowhere.json")
    with pytest.raises(SpecError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(SpecError, match=r"latin\.json: not UTF-8 text \(byte 7\)"):
        load(tmp_path / "latin.json")
    with pytest.raises(SpecError, match="cannot be written"):
        save(default_experiment(), tmp_path / "missing" / "e.json")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "e.json").write_text(spec.dumps(default_experiment()), encoding="utf-8-sig")
    assert load(tmp_path / "e.json") == default_experiment()


def test_a_data_file_is_found_beside_its_experiment(tmp_path):
    (tmp_path / "points.csv").write_text("a,b,class\n1,2,u\n3,4,v\n5,6,u\n7,9,v\n")
    experiment = Experiment(NetworkProblem(datasets.get("csv", path="points.csv"), validation=0.0))
    save(experiment, tmp_path / "e.json")
    loaded = load(tmp_path / "e.json")
    assert loaded.problem.data.path == str(tmp_path / "points.csv")
    assert Run(loaded).problem.dataset.n == 4


# ---- paths


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("methods[0].optimizer.lr", 0.5),
        ("seed", 7),
        ("problem.network.hidden", (3, 3)),
        ("problem.network.hidden[0]", 5),
        ("methods[0].optimizer", optimizers.Adam(lr=0.02)),
        ("methods[0].schedule", schedules.Hold(k=3)),
        ("problem.data.points", 10),
        ("stop.gradient_norm", 0.1),
    ],
)
def test_what_is_set_at_a_path_is_found_there_and_nothing_else_changes(path, value):
    before = default_experiment()
    after = set_path(before, path, value)
    assert get_path(after, path) == value
    assert set_path(after, path, get_path(before, path)) == before == default_experiment()


def test_names_and_json_values_can_be_set_too():
    experiment = set_path(default_experiment(), "methods[0].optimizer", "adam")
    assert experiment.methods[0].optimizer == optimizers.Adam()
    experiment = set_path(experiment, "methods[0].schedule", {"name": "hold", "k": 2, "then": "exponential"})
    assert experiment.methods[0].schedule == schedules.Hold(k=2, then=schedules.Exponential())


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("methods[0].optimizer.lr", -1, "methods[0].optimizer.lr: expected a number > 0, got -1"),
        ("methods[1].optimizer", "sgd", "methods[1].optimizer: there is no entry [1] (1 entries)"),
        ("methods[0].optimzer", "sgd", "methods[0].optimzer: unknown field 'optimzer'; did you mean 'optimizer'?"),
        ("methods[0].optimizer", "sdg", "methods[0].optimizer.name: unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ("methods[0].optimizer", schedules.Constant(), "methods[0].optimizer: expected an optimizer, got Constant()"),
        ("problem.loss", "x", 'problem.loss: expected "auto" or'),
        ("seed.x", 1, "seed.x: there is no field 'x' in 42"),
        ("", 1, "expected a path such as"),
        ("[0]", 1, "expected a path such as"),
        ("methods[-1]", 1, "expected a path such as"),
        ("methods[0]..lr", 1, "expected a path such as"),
    ],
)
def test_a_bad_path_or_value_is_refused(path, value, message):
    with pytest.raises(SettingsError) as caught:
        set_path(default_experiment(), path, value)
    assert str(caught.value).startswith(message)


def test_structs_made_in_python_are_checked_like_those_from_files():
    for make in (
        lambda: Method(optimizer="sgd"),
        lambda: Experiment(problem=None),
        lambda: Experiment(FunctionProblem(functions.get("beale")), methods=()),
        lambda: FunctionProblem(functions.get("beale"), start=(1.0, float("nan"))),
        lambda: spec.Architecture(activation="tan"),
        lambda: spec.Stop(gradient_norm=-1.0),
    ):
        with pytest.raises(SettingsError):
            make()


def test_the_choices_in_the_spec_are_all_there_are():
    assert set(get_args(spec.Activation)) == set(ACTIVATIONS)
    assert set(get_args(spec.LossName)) == {"auto", *LOSSES}


def test_the_default_experiment_stands_still_then_falls():
    run = Run(default_experiment())
    run.advance(600)
    loss = run.history.columns["loss"]
    assert loss[0] - loss[60] < 0.02 * (loss[0] - loss[600])
    assert loss[150] > 2.5 * loss[400]
    training, validation = run.problem.accuracy(run.state.theta)
    assert training > 0.9
    assert validation > 0.9


def test_the_seed_decides_the_weights_alone():
    one, same, other = (Run(set_path(default_experiment(), "seed", seed)) for seed in (1, 1, 2))
    assert one.state.same_bits(same.state)
    assert not one.state.same_bits(other.state)
    assert (one.problem.dataset.X == other.problem.dataset.X).all()


def test_a_loss_that_does_not_fit_the_data_is_refused_when_the_run_is_made():
    for data, loss in (("plane", "binary_cross_entropy"), ("blobs3", "binary_cross_entropy")):
        experiment = Experiment(NetworkProblem(datasets.get(data), loss=loss))
        with pytest.raises(NnoptError):
            Run(experiment)


@pytest.mark.parametrize("path", ["~nosuchuser/x.csv", "a\0b.csv", "x" * 5000 + ".csv"])
def test_a_data_path_that_cannot_be_one_is_an_error_in_words(tmp_path, path):
    file = tmp_path / "odd.json"
    save(set_path(default_experiment(), "problem.data", {"name": "csv", "path": path}), file)
    with pytest.raises(NnoptError):
        build(load(file))


def test_saving_through_a_link_writes_the_file_it_points_to(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    link.symlink_to(real)
    save(default_experiment(), link)
    assert link.is_symlink()
    assert load(real) == default_experiment()


def test_a_folder_and_what_is_no_file_are_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for target, words in ((tmp_path, "it is a folder"), (pipe, "not a regular file"), ("a\0b.json", "null")):
        with pytest.raises(SpecError, match=f"cannot be written: .*{words}"):
            save(default_experiment(), target)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Architecture(5), "Architecture.hidden: expected a list, got 5"),
    (lambda: Architecture((0,)), r"Architecture.hidden\[0\]: expected an? .*>= 1, got 0"),
    (lambda: Architecture((2.5,)), r"Architecture.hidden\[0\]: expected a whole number, got 2.5"),
    (lambda: Architecture(("a",)), r"Architecture.hidden\[0\]: expected a whole number"),
    (lambda: Architecture((10**9,)), r"Architecture.hidden\[0\]: .*<= 10000"),
    (lambda: Experiment(NetworkProblem(datasets.get("circle")), Method()), "Experiment.methods: expected a list"),
    (lambda: FunctionProblem(functions.get("rosenbrock"), start=3), "FunctionProblem.start: expected a list, got 3"),
    (lambda: FunctionProblem(functions.get("rosenbrock"), start=("a", 1)), r"FunctionProblem.start\[0\]: expected a n"),
    (lambda: optimizers.SGD(lr=10**400), "SGD.lr: expected a number > 0"),
    (lambda: Experiment(NetworkProblem(datasets.get("circle")), steps=10**250), "Experiment.steps: .* < 2"),
    (lambda: batches.Mini(size=10**12), "Mini.size: expected a number >= 1 and <= 1000000"),
])  # fmt: skip
def test_structs_made_from_python_are_checked_like_those_from_json(make, words):
    with pytest.raises(SettingsError, match=words):
        make()


def test_lists_and_arrays_are_taken_for_tuples():
    assert Architecture([3, 2]).hidden == Architecture(np.array([3, 2])).hidden == (3, 2)
    assert FunctionProblem(functions.get("rosenbrock"), start=np.array([1, 2])).start == (1.0, 2.0)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no device that never ends")
def test_a_file_that_never_ends_is_refused():
    with pytest.raises(SpecError, match=r"zero: expected an experiment, got more than 100,000,000 characters"):
        load("/dev/zero")
