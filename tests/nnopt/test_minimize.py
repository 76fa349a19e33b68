"""The script's entrance: anything with value and gradient is an objective."""

from __future__ import annotations

import numpy as np
import pytest

import nnopt
from nnopt.analysis.explanation import explain
from nnopt.errors import NnoptError, SettingsError, ShapeError, UnsupportedError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import SGD, Adam, DampedNewton, Momentum, Newton
from nnopt.optimizers.batches import Full, Mini
from nnopt.optimizers.damped_newton import REFUSED, SHORTENED
from nnopt.optimizers.schedules import InverseTime
from nnopt.runs.experiment import Experiment, FunctionProblem, Method, Stop
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


class Plain:
    """A user's objective in plain Python floats, with examples but without `batch`."""

    examples = 10
    start = (1.0, 2.0)

    def value(self, theta):
        return float(theta[0]) ** 200 + float(theta[1]) ** 2

    def value_and_gradient(self, theta, rows=None):
        x, y = map(float, theta)
        return x**200 + y**2, np.array([200 * x**199, 2 * y])

    def hessian(self, theta):
        x = float(theta[0])
        return np.diag([200 * 199 * x**198, 2.0])


@pytest.mark.parametrize("optimizer", [SGD(lr=10.0), DampedNewton(damping=0.0, lr=1e4)])
def test_overflow_of_plain_floats_is_no_exception(optimizer):
    history = minimize(Plain(), optimizer, start=[1.2, 1.0], steps=5)
    assert history.outcome.kind in ("diverged", "stopped")
    explain(history, 0)


def test_curvature_of_mini_batches_needs_the_objective_on_a_batch():
    with pytest.raises(UnsupportedError, match=r"Newton on mini-batches needs .* no `batch\(rows\)`"):
        minimize(Plain(), Newton(), steps=3, batches=Mini(size=3))
    history = minimize(Plain(), SGD(lr=1e-3), steps=3, batches=Mini(size=3))
    told = explain(history, 1)
    assert told.loss == history.value[1]
    assert told.after == Plain().value(history.theta[2])


class WrongHessian(Plain):
    def hessian(self, theta):
        return np.ones((3, 3))


class WrongValue(Plain):
    def value_and_gradient(self, theta, rows=None):
        return "a", theta


@pytest.mark.parametrize(("arguments", "words"), [
    ({"seed": -1}, "seed: expected a whole number >= 0"),
    ({"seed": 2**70}, "seed: expected a whole number >= 0"),
    ({"seed": "a"}, "seed: expected a whole number >= 0"),
    ({"schedule": "cosine"}, "schedule: expected Schedule, got 'cosine'"),
    ({"batches": "mini"}, "batches: expected Batches, got 'mini'"),
    ({"stop": 1e-3}, "stop: expected Stop, got 0.001"),
    ({"objective": WrongValue()}, "value: expected numbers, got 'a'"),
    ({"objective": WrongHessian(), "optimizer": Newton()}, r"hessian: expected shape \(2, 2\), got \(3, 3\)"),
    ({"objective": WrongHessian(), "optimizer": DampedNewton()}, r"hessian: expected shape \(2, 2\), got \(3, 3\)"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_in_words(arguments, words):
    with pytest.raises(NnoptError, match=words):
        minimize(**{"objective": Plain(), "optimizer": SGD(), "steps": 3, **arguments})


def test_an_initial_seed_below_zero_is_refused():
    with pytest.raises(SettingsError, match="seed"):
        Network((2, 3, 1)).initial(-1)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e20, 1e-20])
def test_damped_newton_does_the_same_whatever_the_unit_of_the_loss(scale):
    function = functions.formula(
        f"cos(10*x)*{scale:.0f}" if scale >= 1 else f"cos(10*x)/{1 / scale:.0f}", start=(0.01,)
    )
    history = minimize(function, DampedNewton(damping=1e-3 * scale), steps=50, stop=Stop(gradient_norm=0.0))
    assert history.theta[-1, 0] == pytest.approx(3 * np.pi / 10, rel=1e-6)


def test_damped_newton_says_so_when_it_stands_still():
    class Steep:
        start = (1.0,)

        def value(self, theta):
            return 1.0

        def gradient(self, theta):
            return np.array([1.0])

        def hessian(self, theta):
            return np.array([[-1.0]])

    history = minimize(Steep(), DampedNewton(), steps=3)
    assert history.notes == ((0, REFUSED), (2, SHORTENED))


def test_clipping_a_gradient_whose_square_overflows_gives_a_step_of_that_length():
    function = functions.formula("exp(x)", start=(400.0,))
    history = minimize(function, SGD(lr=1.0, clip=1.0), steps=3, stop=Stop(gradient_norm=0.0))
    assert history.theta.ravel().tolist() == [400.0, 399.0, 398.0, 397.0]
    assert history.columns["gradient_norm"][0] == pytest.approx(np.exp(400.0), rel=1e-12)
    assert history.outcome.kind == "stopped"
    assert history.row(2)["gradient_norm"] == history.columns["gradient_norm"][2]


def test_damped_newton_refuses_a_step_of_zero_where_no_damping_makes_the_hessian_definite():
    class Saddle:
        start = (0.5, 0.25)

        def value(self, theta):
            return float(theta[0] * theta[1])

        def gradient(self, theta):
            return np.array([theta[1], theta[0]])

        def hessian(self, theta):
            return np.array([[1e-30, self.size], [self.size, 1e-30]])

    # a diagonal that is next to nothing does not keep the damping small
    Saddle.size = 1.0
    history = minimize(Saddle(), DampedNewton(), steps=3)
    assert history.stage_at(0).update(history.seek(0)).detail["damping"] > 1.0
    assert history.value[-1] < history.value[0]
    Saddle.size = 1e305
    history = minimize(Saddle(), DampedNewton(), steps=3)
    assert history.notes == ((0, REFUSED),)
    assert history.seek(2).slots.damping >= history.seek(1).slots.damping
    assert (history.outcome.kind, history.outcome.step) == ("stuck", 2)
    assert history.outcome.reason.endswith("stuck: no step lowers the loss")
