"""What a whole Hessian costs: predicted for any network, and measured."""

import numpy as np
import pytest

from nnopt.analysis.cost import HessianCost, hessian_cost, measured_hessian
from nnopt.errors import SettingsError
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective


def test_memory_is_the_square_of_the_parameters_times_eight_bytes():
    network = Network((2, 16, 16, 1))
    found = hessian_cost(network, 200)
    assert (found.parameters, found.bytes, found.fits) == (337, 8 * 337**2, True)
    large = hessian_cost(Network((784, 300, 10)), 60_000)
    assert large.bytes == 8 * large.parameters**2 > 4e11
    assert not large.fits


def test_time_grows_with_the_square_of_the_parameters_and_with_the_examples():
    small, wide = Network((2, 40, 40, 1)), Network((2, 160, 160, 1))
    assert hessian_cost(small, 100).seconds < hessian_cost(small, 1000).seconds < 11 * hessian_cost(small, 100).seconds
    ratio = hessian_cost(wide, 500).seconds / hessian_cost(small, 500).seconds
    parameters = wide.size / small.size
    assert parameters < ratio < 2 * parameters**2


def test_prediction_and_measurement_stand_side_by_side():
    random = np.random.default_rng(0)
    X = random.standard_normal((300, 4))
    objective = NetworkObjective(Network((4, 24, 24, 3)), X, random.integers(0, 3, 300), loss="cross_entropy")
    theta = objective.network.initial(0)
    measured_hessian(objective, theta)
    hessian, found = measured_hessian(objective, theta)
    np.testing.assert_array_equal(hessian, objective.hessian(theta))
    assert hessian.nbytes == found.bytes
    # a wide range: other programs may be running
    assert 0.05 < found.seconds / found.measured < 10
    assert "measured" in found.sentence


def test_costs_are_told_in_words():
    assert HessianCost(337, 200, 908_552, 0.0031, True, 0.0032).sentence == (
        "337 parameters: the Hessian takes 909 kB and about 3.1 ms; measured: 3.2 ms"
    )
    assert HessianCost(1_000_000, 60_000, 8 * 10**12, 3e6, False).sentence == (
        "1,000,000 parameters: the Hessian takes 8 TB and about 35 days; more than 2 GB, "
        "so only products with it are made"
    )
    assert HessianCost(30_000, 1000, 7_200_000_000, 100.0, False).sentence.startswith(
        "30,000 parameters: the Hessian takes 7.2 GB and about 100 s"
    )


def test_there_must_be_an_example():
    with pytest.raises(SettingsError, match="examples"):
        hessian_cost(Network((2, 1)), 0)
