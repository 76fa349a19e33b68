"""The axes of a sweep: short names, ranges and lists, and what is wrong with those that do not fit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nnopt.errors import SettingsError
from nnopt.optimizers import SGD, Adam
from nnopt.optimizers.batches import Mini
from nnopt.runs import sweep_axes
from nnopt.runs.experiment import Experiment, Method, default_experiment, set_path
from nnopt.runs.sweep import sweep
from nnopt.runs.sweep_axes import axes_of
from nnopt.runs.sweep_plan import Plan


def quick() -> Experiment:
    return set_path(default_experiment(), "steps", 40)


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("lr=0.1,0.2", "methods[0].optimizer.lr", (0.1, 0.2)),
        ("lr=1", "methods[0].optimizer.lr", (1.0,)),
        ("lr=0.01..1:log:3", "methods[0].optimizer.lr", (0.01, 0.1, 1.0)),
        ("lr=0.1..0.3:3,7", "methods[0].optimizer.lr", (0.1, 0.2, 0.3, 7.0)),
        ("lr=1e-3..1E-1:log:3", "methods[0].optimizer.lr", (0.001, 0.01, 0.1)),
        ("seed=0..3", "seed", (0, 1, 2, 3)),
        ("seed=3..1", "seed", (3, 2, 1)),
        ("seed=7", "seed", (7,)),
        ("steps=10..1000:log:5", "steps", (10, 32, 100, 316, 1000)),
        ("steps=1..3:7", "steps", (1, 2, 3)),
        ("l2=0", "problem.l2", (0.0,)),
        ("noise=0..50:3", "problem.data.noise", (0.0, 25.0, 50.0)),
        ("hidden=8,4-2,[3,3],[]", "problem.network.hidden", ([8], [4, 2], [3, 3], [])),
        ("hidden=2..8:log:3", "problem.network.hidden", ([2], [4], [8])),
        ("batch=5,full", "methods[0].batches", ({"name": "mini", "size": 5}, "full")),
        ("batch_size=1..100:log:3", "methods[0].batches", tuple({"name": "mini", "size": n} for n in (1, 10, 100))),
        ("optimizer=sgd,adam", "methods[0].optimizer", ("sgd", "adam")),
        ("methods[0].optimizer=sgd,adam", "methods[0].optimizer", ("sgd", "adam")),
        ("methods[0].optimizer.lr=0.5", "methods[0].optimizer.lr", (0.5,)),
        ("activation=tanh,relu", "problem.network.activation", ("tanh", "relu")),
        ('initial=zeros,{"name": "normal", "std": 0.5}', "problem.network.initial",
         ("zeros", {"name": "normal", "std": 0.5})),
        ("every=1,5", "measure.every", (1, 5)),
        ("loss=auto,squared_error", "problem.loss", ("auto", "squared_error")),
        ("method=0", "method", (0,)),
    ],
)  # fmt: skip
def test_an_axis_is_read_from_a_text(text, path, values):
    (axis,) = axes_of(quick(), [text])
    assert (axis.path, axis.values) == (path, values)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ([], "at least one axis"),
        (["lr"], 'expected an axis such as "lr=0.01..1:log:20" or "seed=0..9", got \'lr\''),
        (["lr="], "expected an axis"),
        (["=3"], "expected an axis"),
        (["lrr=1"], "unknown setting 'lrr'; did you mean 'lr'"),
        (["beta=0.5"], "unknown setting 'beta'"),
        (["methods[0].optimizer.beta=0.5"], "unknown field 'beta'"),
        (["methods[1].optimizer.lr=0.5"], r"no entry \[1\]"),
        (["lr=0.1..1"], r"how many\? \(such as 0.1..1:10"),
        (["lr=0..1:log:3"], "of one sign, neither of them zero"),
        (["lr=0.1..1:0"], "expected 1 to 100,000"),
        (["lr=0.1,0.1"], "the value 0.1 is given twice"),
        (["lr=0.1,,0.2"], "separated by commas"),
        (["lr=[0.1"], "separated by commas"),
        (["initial={name}"], "not JSON"),
        (["lr=0.1", "methods[0].optimizer.lr=0.2"], "methods\\[0\\].optimizer.lr has two axes"),
        (["lr=-1..1:3"], r"lr=-1.0: methods\[0\].optimizer.lr: expected a number > 0, got -1"),
        (["seed=0.5"], "seed=0.5: seed: expected a whole number"),
        (["seed=0..99999999"], "more than 100,000 values"),
        (["seed=0..999", "lr=0.1..1:1000"], "1000 x 1000 runs, at most 100,000"),
        (["activation=tahn"], "got \"tahn\""),
        (["optimizer=adan"], "did you mean 'adam'"),
        (["method=1"], "expected one of the experiment's methods, 0 .. 0, got 1"),
        ({"lr": []}, "expected 1 to 100,000 values, got 0"),
    ],
)  # fmt: skip
def test_an_axis_that_does_not_fit_is_refused_with_its_reason(axes, message):
    with pytest.raises(SettingsError, match=message):
        Plan(quick(), axes)


def test_a_short_name_is_the_setting_nearest_to_the_top():
    assert sweep_axes.find_setting(quick(), "steps") == "steps"
    inner = set_path(quick(), "methods[0].schedule", {"name": "hold", "k": 3, "then": {"name": "cosine", "steps": 9}})
    assert sweep_axes.find_setting(inner, "steps") == "steps"
    assert sweep_axes.find_setting(inner, "k") == "methods[0].schedule.k"
    assert sweep_axes.find_setting(inner, "floor") == "methods[0].schedule.then.floor"


class Sized(SGD, frozen=True, tag="sized"):
    """A method with a setting that mini-batches have too."""

    size: int = 1


def test_two_settings_of_one_name_equally_near_must_be_told_apart():
    experiment = set_path(quick(), "methods", (Method(Sized(), batches=Mini()),))
    with pytest.raises(SettingsError, match=r"could be methods\[0\].optimizer.size or methods\[0\].batches.size"):
        axes_of(experiment, ["size=3"])
    (axis,) = axes_of(experiment, ["methods[0].optimizer.size=3"])
    assert axis.values == (3,)


def test_an_axis_may_be_a_setting_of_what_another_one_puts_in_place():
    for axes in (["beta=0.5,0.9", "optimizer=momentum,nesterov"], ["optimizer=momentum,nesterov", "beta=0.5,0.9"]):
        plan = Plan(quick(), axes)
        used = [plan.spec(index).methods[0].optimizer for index in range(4)]
        found = {(type(optimizer).__name__.lower(), optimizer.beta) for optimizer in used}
        assert found == {("momentum", 0.5), ("momentum", 0.9), ("nesterov", 0.5), ("nesterov", 0.9)}


def test_a_combination_that_is_not_valid_is_named_before_anything_runs():
    with pytest.raises(
        SettingsError, match=r"sweep: optimizer=sgd beta=0.5: methods\[0\].optimizer.beta: unknown field"
    ):
        Plan(quick(), ["optimizer=momentum,sgd", "beta=0.5"])


def test_runs_are_all_combinations_and_the_last_axis_varies_fastest():
    plan = Plan(quick(), {"seed": [5, 6], "lr": (0.1, 0.2, 0.3)})
    assert [plan.labels(index) for index in range(6)] == list(itertools.product("56", ("0.1", "0.2", "0.3")))
    assert [(plan.spec(i).seed, plan.spec(i).methods[0].optimizer.lr) for i in (0, 4)] == [(5, 0.1), (6, 0.2)]


def test_values_may_be_arrays_ranges_and_structs():
    plan = Plan(quick(), {"lr": np.geomspace(0.1, 1, 3), "seed": range(2), "l2": np.float32(0.5)})
    assert plan.shape == (3, 2, 1)
    (axis,) = axes_of(quick(), {"optimizer": [Adam(lr=0.5), Adam()]})
    assert axis.labels[1] == "adam"
    assert '"lr": 0.5' in axis.labels[0]


def test_short_names_mean_the_method_of_each_run():
    methods = [{"optimizer": {"name": "sgd", "lr": 9}}, {"optimizer": {"name": "adam", "lr": 9}}]
    experiment = set_path(quick(), "methods", methods)
    plan = Plan(experiment, ["lr=0.1,0.2", "method=0..1"])
    used = [plan.spec(index).methods[plan.method(index)].optimizer for index in range(4)]
    assert [(type(optimizer).__name__, optimizer.lr) for optimizer in used] == [
        ("SGD", 0.1), ("Adam", 0.1), ("SGD", 0.2), ("Adam", 0.2),
    ]  # fmt: skip
    result = sweep(experiment, ["lr=0.1,0.2", "method=0..1", "steps=5"], workers=1)
    assert result.grid("training_loss")[:, 0].tolist() != result.grid("training_loss")[:, 1].tolist()
