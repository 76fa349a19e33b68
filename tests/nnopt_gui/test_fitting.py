"""A change of problem takes along only the settings that still make sense."""

from __future__ import annotations

import pytest
from laboratory import network

from nnopt import optimizers
from nnopt.objectives import datasets, functions
from nnopt.optimizers.stopping import EarlyStopping
from nnopt.runs.experiment import FunctionProblem, set_path
from nnopt.runs.problem import build
from nnopt_gui.shell.fitting import NO_OUTPUTS, NOT_HELD_OUT, OTHER_DATA, fitting


def stopping():
    return set_path(network(50), "stop.early", EarlyStopping(patience=3))


@pytest.mark.parametrize(
    ("path", "value"), [("problem", FunctionProblem(functions.get("rosenbrock"))), ("problem.validation", 0.0)]
)
def test_early_stopping_goes_where_nothing_is_held_out(path, value):
    after, said = fitting(stopping(), set_path(stopping(), path, value))
    assert after.stop.early is None
    assert said == [NOT_HELD_OUT]
    build(after)


def test_gauss_newton_stays_with_networks():
    before = set_path(network(50), "methods[0].optimizer", optimizers.GaussNewton())
    after, said = fitting(before, set_path(before, "problem", FunctionProblem(functions.get("himmelblau"))))
    assert isinstance(after.methods[0].optimizer, optimizers.DampedNewton)
    assert said == [NO_OUTPUTS]
    changed = set_path(before, "problem.data.points", 70)
    assert fitting(before, changed) == (changed, [])


def test_a_loss_chosen_for_other_data_goes():
    before = set_path(network(50), "problem.loss", "binary_cross_entropy")
    after, said = fitting(before, set_path(before, "problem.data", datasets.get("sine")))
    assert after.problem.loss == "auto"
    assert said == [OTHER_DATA]
    build(after)


def test_all_else_stays_without_a_word():
    before = set_path(stopping(), "problem.loss", "squared_error")
    for path, value in (("problem.data.points", 70), ("problem.network.hidden", (3,)), ("problem.validation", 0.2)):
        changed = set_path(before, path, value)
        assert fitting(before, changed) == (changed, [])
