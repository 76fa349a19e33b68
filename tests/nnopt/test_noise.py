"""Gradient noise: the exact formula against enumeration and against batches drawn as a run draws them."""

import itertools
import math

import numpy as np
import pytest

from nnopt.analysis.noise import epoch_times, example_gradients, gradient_noise, measure_noise
from nnopt.errors import SettingsError, UnsupportedError
from nnopt.objectives import datasets, functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective


def problem(points, hidden=3, l2=0.01):
    data = datasets.get("moons", points=points, noise=20).make(1)
    network = Network((2, hidden, 1))
    return NetworkObjective(network, data.X, data.y, l2=l2), network.initial(4)


@pytest.mark.parametrize("batch", range(1, 8))
def test_the_covariance_is_that_of_all_batches_of_a_small_data_set(batch):
    objective, theta = problem(8)
    objective = objective.batch(np.arange(7))
    full = objective.gradient(theta)
    batches = [
        objective.value_and_gradient(theta, np.array(rows))[1] for rows in itertools.combinations(range(7), batch)
    ]
    enumerated = np.mean([np.outer(g - full, g - full) for g in batches], axis=0)
    found = gradient_noise(objective, theta)
    np.testing.assert_allclose(found.covariance(batch), enumerated, rtol=1e-10, atol=1e-16)
    assert found.variance(batch) == pytest.approx(np.trace(enumerated), rel=1e-10, abs=1e-16)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_with_replacement_it_is_that_of_all_draws(batch):
    objective, theta = problem(8)
    objective = objective.batch(np.arange(5))
    full = objective.gradient(theta)
    draws = [objective.value_and_gradient(theta, np.array(r))[1] for r in itertools.product(range(5), repeat=batch)]
    enumerated = np.mean([np.outer(g - full, g - full) for g in draws], axis=0)
    found = gradient_noise(objective, theta).covariance(batch, replacement=True)
    np.testing.assert_allclose(found, enumerated, rtol=1e-10, atol=1e-16)


def test_example_gradients_average_to_the_full_gradient():
    objective, theta = problem(40)
    gradients = example_gradients(objective, theta)
    assert gradients.shape == (40, objective.size)
    np.testing.assert_allclose(gradients.mean(axis=0), objective.gradient(theta), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(gradients[3], objective.batch([3]).gradient(theta), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("replacement", [False, True])
def test_batches_drawn_as_in_a_run_have_the_predicted_noise(replacement):
    objective, theta = problem(60)
    exact = gradient_noise(objective, theta)
    for batch in (5, 20):
        measured = measure_noise(objective, theta, batch, draws=4000, seed=3, replacement=replacement)
        assert measured.variance == pytest.approx(exact.variance(batch, replacement), rel=0.05)
        covariance = exact.covariance(batch, replacement)
        error = np.linalg.norm(measured.covariance - covariance) / np.linalg.norm(covariance)
        assert error < 0.1
        assert measured.signal_to_noise == pytest.approx(exact.signal_to_noise(batch, replacement), rel=0.03)


def test_larger_batches_point_closer_to_the_full_gradient_and_the_whole_set_exactly():
    objective, theta = problem(60)
    exact = gradient_noise(objective, theta)
    measured = [measure_noise(objective, theta, batch, draws=500) for batch in (1, 5, 20, 60)]
    typical = [float(np.median(found.angles)) for found in measured]
    assert typical == sorted(typical, reverse=True)
    assert typical[-1] < 1e-5
    assert exact.angle(60) == pytest.approx(0.0, abs=1e-5)
    for found in measured[1:3]:
        assert found.angles.mean() == pytest.approx(exact.angle(found.batch), rel=0.1)


def test_signal_and_noise_are_equally_long_at_the_noise_scale():
    objective, theta = problem(60)
    exact = gradient_noise(objective, theta)
    scale = exact.noise_scale()
    assert exact.total / scale == pytest.approx(float(exact.mean @ exact.mean))
    ratios = [exact.signal_to_noise(batch, replacement=True) for batch in (math.floor(scale), math.ceil(scale))]
    assert ratios[0] <= 1 <= ratios[1]
    assert exact.signal_to_noise(60) == math.inf


def test_both_ways_through_an_epoch_arrive_at_the_same_parameters_and_matrix_products_are_quicker():
    objective, theta = problem(300, hidden=8)
    single, some, whole = epoch_times(objective, theta, batches=[1, 64, 300], repeats=3)
    assert [found.updates for found in (single, some, whole)] == [300, 5, 1]
    assert max(found.difference for found in (single, some, whole)) < 1e-10
    assert single.together > 4 * some.together
    assert whole.speedup > 4
    assert some.speedup > 3


def test_what_has_no_examples_or_not_so_many_is_refused():
    objective, theta = problem(10)
    with pytest.raises(UnsupportedError, match="no `examples`"):
        gradient_noise(functions.get("rosenbrock"), [0.0, 0.0])
    with pytest.raises(SettingsError, match=r"1 \.\. 10 of 10 examples, got 11"):
        measure_noise(objective, theta, 11)
    with pytest.raises(SettingsError, match="got 0"):
        gradient_noise(objective, theta).variance(0)
    with pytest.raises(SettingsError, match="draws"):
        measure_noise(objective, theta, 5, draws=0)
    with pytest.raises(SettingsError, match="repeats"):
        epoch_times(objective, theta, repeats=0)
