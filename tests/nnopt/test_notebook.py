"""What someone meets who tries nnopt in a notebook for the first time."""

from __future__ import annotations

import numpy as np
import pytest

import nnopt
from nnopt.errors import NnoptError, SettingsError, ShapeError, UnsupportedError
from nnopt.optimizers import LBFGS, SGD, Newton, NewtonCG
from nnopt.runs.experiment import dumps, loads
from nnopt.runs.state import Memory
from nnopt.runs.sweep import Sweep

BOWL = nnopt.functions.get("bowl")


class Valley:
    """A class of the user's own."""

    def value(self, theta):
        return theta @ theta / 2

    def gradient(self, theta):
        return theta


class Bent(Valley):
    def hvp(self, theta, v):
        return v


# ---- objectives of one's own


@pytest.mark.parametrize("method", [Newton(), NewtonCG()])
def test_products_with_the_hessian_are_curvature_enough(method):
    history = nnopt.minimize(Bent(), method, start=[3, 4], steps=50)
    assert history.outcome.kind == "converged"
    assert np.allclose(history.theta[-1], 0.0, atol=1e-7)


def test_an_error_calls_the_objective_by_its_own_name():
    with pytest.raises(UnsupportedError, match=r"^Newton needs curvature, and Valley has neither"):
        nnopt.minimize(Valley(), Newton(), start=[1.0])
    with pytest.raises(SettingsError, match=r"^start: Valley has none of its own"):
        nnopt.minimize(Valley(), SGD())


@pytest.mark.parametrize(("objective", "words"), [
    (Valley, "^objective: expected one made of the class Valley, got the class itself$"),
    ("rosenbrock", "^'rosenbrock': an objective needs `value` and `gradient`"),
    (len, "^len: an objective needs `value` and `gradient`"),
])  # fmt: skip
def test_what_is_no_objective_is_refused_in_words(objective, words):
    with pytest.raises(UnsupportedError, match=words):
        nnopt.minimize(objective, SGD(), start=[1.0])


def test_a_forgotten_return_is_no_loss():
    class Silent(Valley):
        def value(self, theta):
            theta @ theta

    with pytest.raises(SettingsError, match=r"^value: expected numbers, got None$"):
        nnopt.minimize(Silent(), SGD(), start=[1.0])


@pytest.mark.parametrize("start", [[3, 4], (3, 4), np.array([3, 4]), np.float32([3, 4]), range(3, 5)])
def test_a_start_may_be_any_list_of_numbers(start):
    history = nnopt.minimize(Valley(), SGD(lr=0.5), start, steps=1)
    assert history.theta.tolist() == [[3.0, 4.0], [1.5, 2.0]]


def test_a_start_that_does_not_fit_is_refused_with_what_to_write():
    with pytest.raises(ShapeError, match=r"got \(\); write \[3\]$"):
        nnopt.minimize(Valley(), SGD(), start=3)
    loss = nnopt.NetworkObjective(nnopt.Network((2, 3, 1)), np.ones((4, 2)), np.ones(4))
    with pytest.raises(SettingsError, match=r"such as objective\.network\.initial\(seed=0\)$"):
        nnopt.minimize(loss, SGD())


@pytest.mark.parametrize(("setting", "words"), [
    ({"schedule": "cosine"}, r"got 'cosine'; write Cosine\(\)$"),
    ({"schedule": nnopt.schedules.Cosine}, r"write Cosine\(\)$"),
    ({"schedule": "cosin"}, "got 'cosin'$"),
    ({"batches": "full"}, r"got 'full'; write Full\(\)$"),
    ({"stop": nnopt.Stop}, r"write Stop\(\)$"),
])  # fmt: skip
def test_a_class_or_a_name_in_place_of_settings_is_refused_with_what_to_write(setting, words):
    with pytest.raises(SettingsError, match=words):
        nnopt.minimize(BOWL, SGD(), **setting)


# ---- looking on


def test_a_callback_sees_every_state_before_it_is_left_and_can_end_the_run():
    seen = []
    history = nnopt.minimize(BOWL, SGD(lr=0.5), [8.0], 3, callback=lambda so_far: seen.append(so_far.theta[-1, 0]))
    assert seen == [8.0, 4.0, 2.0]
    assert history.theta.ravel().tolist() == [8.0, 4.0, 2.0, 1.0]
    ended = nnopt.minimize(BOWL, SGD(lr=0.5), [8.0], callback=lambda so_far: so_far.columns["loss"][-1] < 5)
    assert ended.theta.ravel().tolist() == [8.0, 4.0, 2.0]
    assert ended.outcome.running


def test_what_a_callback_raises_goes_through():
    with pytest.raises(ZeroDivisionError):
        nnopt.minimize(BOWL, SGD(), [8.0], callback=lambda so_far: 1 // 0)


# ---- what is printed


def test_a_history_says_what_it_is_and_how_it_ended():
    history = nnopt.minimize(Valley(), SGD(lr=0.5), [8.0, 0.0], steps=2)
    words = "SGD on Valley, 2 parameters; stopped at step 2: all its steps are made; loss 32 -> 2"
    assert repr(history) == f"<History: {words}>"


def test_a_run_says_where_it_stands():
    function = nnopt.FunctionProblem(BOWL, start=(8.0,))
    run = nnopt.Run(nnopt.Experiment(function, (nnopt.Method(SGD(lr=0.5)),)))
    assert repr(run) == "<Run: SGD on Bowl, 1 parameter; running, at step 0; loss 32 -> 32>"
    run.advance(1)
    assert repr(run) == "<Run: SGD on Bowl, 1 parameter; running, at step 1; loss 32 -> 8>"


def test_a_thinned_history_says_the_newest_loss():
    history = nnopt.minimize(BOWL, SGD(lr=1e-3), [8.0], 101, memory=Memory(rows=16))
    assert history.columns["step"][-1] < 101
    assert repr(history).endswith(f"-> {history.value[-1]:.4g}>")


def test_columns_say_their_names():
    columns = nnopt.minimize(BOWL, SGD(), steps=3).columns
    assert repr(columns).startswith("<Columns step, loss, ")
    assert repr(columns).endswith("; 4 rows>")
    assert set(columns) == {*columns.keys()}
    with pytest.raises(KeyError, match=r"unknown column 'losses'; did you mean 'loss'\?"):
        columns["losses"]


def test_a_sweep_says_what_there_is_of_it():
    with Sweep(nnopt.default_experiment(), {"lr": [0.1, 0.5], "steps": 3}) as whole:
        assert repr(whole.result()).startswith("<SweepResult: 0 of 2 runs, lr (2) x steps (1)")
        assert whole.result().best is None
        whole.run()
        assert ", lr (2) x steps (1): 2 stopped; columns index, lr, steps, outcome, " in repr(whole.result())


def test_the_loss_of_a_network_says_what_it_is():
    loss = nnopt.NetworkObjective(nnopt.Network((2, 3, 1)), np.ones((4, 2)), np.ones(4), l2=1e-3)
    what = "binary_cross_entropy of a network 2-3-1 tanh on 4 examples"
    assert repr(loss) == f"<NetworkObjective: {what}, l2 0.001, l1 0>"


# ---- names


@pytest.mark.parametrize(("module", "name", "near"), [
    (nnopt, "minimise", "minimize"), (nnopt.optimizers, "Adm", "Adam"), (nnopt.analysis, "spectrm", "spectrum"),
])  # fmt: skip
def test_a_misspelt_name_of_a_module_is_answered_with_the_nearest(module, name, near):
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'; did you mean '{near}'\?$"):
        getattr(module, name)
    assert not hasattr(module, "__wrapped__")


def test_a_misspelt_method_is_answered_with_the_nearest():
    with pytest.raises(NnoptError, match=r"unknown optimizer 'adm'; did you mean 'adam'\?"):
        nnopt.optimizers.get("adm")


def test_an_experiment_is_written_with_the_names_of_the_package():
    problem = nnopt.NetworkProblem(nnopt.datasets.get("circle"), nnopt.Architecture(hidden=(3,)), validation=0.2)
    method = nnopt.Method(nnopt.optimizers.Adam(), nnopt.schedules.Cosine(), nnopt.batches.Mini(size=16))
    experiment = nnopt.Experiment(problem, (method,), stop=nnopt.Stop(gradient_norm=1e-3))
    assert loads(dumps(experiment)) == experiment


# ---- numbers of numpy


def test_a_setting_may_be_a_number_of_numpy():
    for given, plain in (
        (SGD(lr=np.float32(0.5)), SGD(lr=0.5)), (SGD(lr=np.float64(0.1)), SGD(lr=0.1)),
        (SGD(lr=np.array(2)), SGD(lr=2)), (LBFGS(memory=np.int64(3)), LBFGS(memory=3)),
        (nnopt.batches.Mini(np.arange(5)[4]), nnopt.batches.Mini(4)),
    ):  # fmt: skip
        assert given == plain
        assert repr(given) == repr(plain)


@pytest.mark.parametrize(("name", "value"), [
    ("lr", np.float64(-1)), ("lr", np.array([0.1])), ("lr", np.bool_(True)), ("lr", np.str_("a")), ("lr", np.nan),
    ("lr", np.float32("inf")),
])  # fmt: skip
def test_numbers_of_numpy_are_checked_like_others(name, value):
    with pytest.raises(SettingsError, match=f"^SGD.{name}: expected a number"):
        SGD(**{name: value})
