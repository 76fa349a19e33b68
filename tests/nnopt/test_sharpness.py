"""Sharpness: right at every point of a run, cheap, and at the edge of stability where theory says so."""

import numpy as np
import pytest

import nnopt
from nnopt import optimizers
from nnopt.analysis.stability import SharpnessTracker, sharpness, sharpness_along
from nnopt.errors import SettingsError
from nnopt.objectives import datasets, functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.runs.changes import Intervention, SetSetting
from nnopt.runs.experiment import Architecture, Experiment, Method, NetworkProblem
from nnopt.runs.run import Run


@pytest.fixture(scope="module")
def objective():
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (60, 2))
    return NetworkObjective(Network((2, 16, 16, 1)), X, np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1]), loss="squared_error")


@pytest.fixture(scope="module")
def descent(objective):
    return nnopt.minimize(objective, optimizers.SGD(lr=0.5), start=objective.network.initial(1), steps=2500)


def exact(objective, theta):
    return float(np.linalg.eigvalsh(objective.hessian(theta))[-1])


def test_sharpness_is_the_largest_curvature_and_not_the_largest_in_size():
    f = functions.get("saddle")
    assert sharpness(f, np.ones(2)).value == pytest.approx(2)
    found = sharpness(functions.get("quadratic", condition=30), np.ones(2))
    assert found.value == pytest.approx(30)
    np.testing.assert_allclose(f.hessian(np.ones(2)) @ [1, 0], [2, 0])
    assert found.residual < 1e-6


def test_along_a_run_it_is_right_everywhere_and_costs_a_few_products_each(objective, descent):
    curve = sharpness_along(descent, points=60)
    assert (curve.steps[0], curve.steps[-1], len(curve.steps)) == (0, 2500, 60)
    true = [exact(objective, descent.seek(int(step)).theta) for step in curve.steps]
    np.testing.assert_allclose(curve.values, true, rtol=1e-3)
    # a cold start takes about 15, the whole Hessian 337
    assert curve.products / len(curve.steps) < 9


def test_gradient_descent_ends_at_the_edge_of_stability(descent):
    curve = sharpness_along(descent, range(1500, 2501, 50))
    np.testing.assert_array_equal(curve.limits, 4.0)
    # it hovers there: within 5 % at each, within 2 % on average
    np.testing.assert_allclose(curve.values, 4.0, rtol=0.05)
    assert np.mean(curve.values) == pytest.approx(4.0, rel=0.02)
    assert sharpness_along(descent, [0]).values[0] > 4.1


def test_the_tracker_finds_a_direction_that_has_overtaken_the_last_one():
    class Crossing:
        size = 400

        def hvp(self, theta, v):
            curvatures = np.linspace(0, 1, 400)
            curvatures[3], curvatures[7] = 2 - theta[0], 2 + theta[0]
            return curvatures * v

    tracker = SharpnessTracker()
    theta = np.zeros(400)
    for place in np.linspace(-0.5, 0.5, 21):
        theta[0] = place
        assert tracker.at(Crossing(), theta).value == pytest.approx(2 + abs(place), rel=1e-3)
    assert tracker.products < 21 * 14


def test_it_follows_a_run_through_changes_of_rate_and_data():
    problem = NetworkProblem(datasets.get("circle", points=40), Architecture((6,)), validation=0.0)
    experiment = Experiment(problem, (Method(optimizers.SGD(lr=0.5)),))
    changes = (
        Intervention(10, SetSetting("methods[0].optimizer.lr", 0.25)),
        Intervention(20, SetSetting("problem.l2", 0.5)),
    )
    run = Run(experiment, changes)
    run.advance(40)
    curve = sharpness_along(run.history, [5, 15, 25])
    np.testing.assert_allclose(curve.limits, [4, 8, 8])
    for step, value in zip(curve.steps, curve.values, strict=True):
        stage = run.history.stage_at(int(step))
        assert value == pytest.approx(exact(stage.objective, run.history.seek(int(step)).theta), rel=1e-3)
    assert curve.values[2] > 1.0  # the penalty alone has curvature 2 l2 = 1


def test_it_can_be_watched_and_stopped(descent):
    seen = []
    curve = sharpness_along(
        descent, points=30, on_point=lambda step, value: seen.append((step, value)) or len(seen) < 5
    )
    assert len(curve.steps) == len(seen) == 5
    assert seen[-1] == (curve.steps[-1], curve.values[-1])


def test_after_a_point_where_nothing_is_finite_it_recovers():
    tracker = SharpnessTracker()
    f = functions.get("rosenbrock")
    assert tracker.at(f, [-1.2, 1.0]).value == pytest.approx(1506, abs=1)
    assert np.isnan(tracker.at(f, [np.nan, 1.0]).value)
    assert tracker.at(f, [1.0, 1.0]).value == pytest.approx(1001.6, abs=0.1)


def test_steps_that_are_not_there_are_refused(descent):
    with pytest.raises(SettingsError, match="step"):
        sharpness_along(descent, [5000])
    with pytest.raises(SettingsError, match="points"):
        sharpness_along(descent, points=0)
