"""The script's entrance: anything with value and gradient is an objective."""

from __future__ import annotations

import numpy as np
import pytest

import nnopt
from nnopt.errors import NnoptError, SettingsError, ShapeError, UnsupportedError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import SGD, Adam, DampedNewton, Momentum, Newton
from nnopt.optimizers.batches import Full, Mini
from nnopt.optimizers.schedules import InverseTime
from nnopt.runs.experiment import Experiment, FunctionProblem, Method
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Run


class Bowl:
    """A user's own class: value and gradient, nothing else."""

    def value(self, theta):
        return np.sum((theta - 3) ** 2)

    def gradient(self, theta):
        return 2 * (theta - 3)


def test_a_class_with_value_and_gradient_is_enough():
    history = minimize(Bowl(), SGD(lr=0.25), start=[0, 0], steps=100)
    assert history.outcome.kind == "converged"
    assert history.theta.shape == (history.length, 2)
    assert history.value.shape == (history.length,)
    assert history.theta[1].tolist() == [1.5, 1.5]
    assert history.value[0] == 18.0
    assert history.seek(1).theta.tolist() == [1.5, 1.5]
    assert history.columns["gradient_norm"][0] == pytest.approx(72**0.5)


def test_a_class_that_returns_its_own_buffer_or_a_list_is_understood():
    class Buffered(Bowl):
        def __init__(self):
            self.buffer = np.zeros(2)

        def value_and_gradient(self, theta):
            self.buffer[:] = 2 * (theta - 3)
            return np.array([[self.value(theta)]]), self.buffer

    class Listed(Bowl):
        def gradient(self, theta):
            return [2 * (x - 3) for x in theta.tolist()]

    expected = minimize(Bowl(), Momentum(lr=0.05), [0, 1], 30).theta
    for objective in (Buffered(), Listed()):
        assert np.array_equal(minimize(objective, Momentum(lr=0.05), [0, 1], 30).theta, expected)


def test_a_run_and_minimize_make_the_same_steps():
    f = functions.get("beale")
    run = Run(Experiment(FunctionProblem(f), (Method(Adam(lr=0.05), InverseTime(d=0.01)),)))
    run.advance(50)
    history = minimize(f, Adam(lr=0.05), steps=50, schedule=InverseTime(d=0.01))
    assert history.seek(50).same_bits(run.state)


def test_a_network_is_minimized_from_a_script():
    random = np.random.default_rng(0)
    X = random.normal(size=(40, 2))
    objective = NetworkObjective(Network((2, 4, 1)), X, (X[:, 0] * X[:, 1] > 0).astype(int), l2=1e-3)
    start = objective.network.initial(1)
    history = minimize(objective, DampedNewton(), start, steps=200)
    assert history.value[-1] < 0.5 * history.value[0]
    stochastic = minimize(objective, SGD(lr=0.1), start, 60, batches=Mini(size=8), seed=3)
    assert stochastic.length == 61
    measured = np.flatnonzero(np.isfinite(stochastic.columns["training_loss"]))
    assert measured.tolist() == list(range(0, 61, 5))
    again = minimize(objective, SGD(lr=0.1), start, 60, batches=Mini(size=8), seed=3)
    other = minimize(objective, SGD(lr=0.1), start, 60, batches=Mini(size=8), seed=4)
    assert np.array_equal(stochastic.theta, again.theta)
    assert not np.array_equal(stochastic.theta, other.theta)


def test_no_steps_is_a_history_of_the_start():
    history = minimize(Bowl(), SGD(), [1.0, 2.0], steps=0)
    assert history.theta.tolist() == [[1.0, 2.0]]
    assert history.outcome.kind == "stopped"


def test_the_start_is_not_touched_and_theta_cannot_be_changed_by_the_objective():
    class Vandal(Bowl):
        def gradient(self, theta):
            theta += 1
            return super().gradient(theta)

    start = np.zeros(2)
    minimize(Bowl(), SGD(), start, 5)
    assert not start.any()
    with pytest.raises(ValueError, match="read-only"):
        minimize(Vandal(), SGD(), start, 5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Bowl(), SGD()), SettingsError, "start: Bowl has none of its own"),
        ((Bowl(), SGD(), [[1.0]]), ShapeError, r"expected shape \(P,\), got \(1, 1\)"),
        ((Bowl(), SGD(), []), ShapeError, "start"),
        ((Bowl(), SGD(), ["a"]), SettingsError, "expected numbers"),
        ((Bowl(), SGD(), [np.inf]), SettingsError, "finite"),
        ((Bowl(), SGD, [1.0]), SettingsError, "optimizer: expected one such as"),
        ((Bowl(), SGD(), [1.0], -1), SettingsError, "steps"),
        ((Bowl(), SGD(), [1.0], 2.5), SettingsError, "steps"),
        ((functions.get("beale"), SGD(), [1.0]), ShapeError, "expected 2 numbers for Beale, got 1"),
        ((Bowl(), SGD(), [1.0], 5, None, Mini()), UnsupportedError, "no `examples` to draw batches from"),
        ((object(), SGD(), [1.0]), UnsupportedError, "an objective needs `value` and `gradient`"),
        ((Bowl(), Newton(), [1.0]), UnsupportedError, "Newton needs curvature"),
    ],
)
def test_what_does_not_fit_is_said(arguments, error, message):
    with pytest.raises(error, match=message):
        minimize(*arguments)


def test_a_gradient_of_the_wrong_shape_is_refused():
    class Wrong(Bowl):
        def gradient(self, theta):
            return np.zeros(5)

    with pytest.raises(ShapeError, match=r"gradient: expected shape \(2,\) like theta, got \(5,\)"):
        minimize(Wrong(), SGD(), [0.0, 0.0], 3)


def test_a_history_from_a_script_has_no_experiment_and_says_so():
    history = minimize(Bowl(), SGD(), [0.0], 3, batches=Full())
    for ask in (lambda: history.problem, lambda: history.experiment_at(0)):
        with pytest.raises(UnsupportedError, match="made by `minimize`"):
            ask()
    assert history.stage_at(0).optimizer == SGD()


def test_the_public_names_are_all_there():
    for name in nnopt.__all__:
        assert getattr(nnopt, name) is not None
        assert name in dir(nnopt)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        nnopt.nothing_of_that_name  # noqa: B018
    assert issubclass(nnopt.errors.SpecError, NnoptError)
