"""Alignment of trained networks: copies come back bit for bit, and the barrier on the way to them is gone."""

import itertools

import numpy as np
import pytest

from nnopt.analysis.alignment import align
from nnopt.analysis.paths import aligned_path, losses_along, straight_path
from nnopt.analysis.symmetry import random_symmetry
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import get
from nnopt.runs.minimize import minimize

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity", "leaky_relu", "softplus")


def trained(seed):
    """A network of one to three hidden layers of 2 to 12 units, trained on data of its own."""
    random = np.random.default_rng(seed)
    hidden = random.integers(2, 13, size=1 + seed % 3).tolist()
    network = Network((int(random.integers(1, 5)), *hidden, int(random.integers(1, 4))), ACTIVATIONS[seed % 6])
    X = random.normal(size=(50, network.inputs))
    bent, straight = random.normal(size=(2, network.inputs, network.outputs))
    objective = NetworkObjective(network, X, np.sin(2 * X @ bent) + X @ straight, loss="squared_error")
    history = minimize(objective, get("adam")(lr=0.03), network.initial(seed), steps=200)
    assert history.value[-1] < 0.5 * history.value[0]
    return objective, history.theta[-1]


def changing_symmetry(network, seed):
    """A random one that is not the identity."""
    candidates = (random_symmetry(network, number) for number in itertools.count(seed))
    return next(one for one in candidates if one.moved)


@pytest.mark.parametrize("block", range(4))
def test_copies_of_100_trained_networks_are_recovered_and_the_barrier_to_them_vanishes(block):
    barriers = []
    for seed in range(25 * block, 25 * block + 25):
        objective, theta = trained(seed)
        network = objective.network
        one = changing_symmetry(network, seed)
        copy = one(theta)
        found = align(network, copy, theta)
        # the biases above flipped sigmoid units were added to and taken from again
        rounding = 1e-12 if network.activation == "sigmoid" else 0.0
        np.testing.assert_allclose(found.theta, theta, rtol=0, atol=rounding, err_msg=f"{network} seed {seed}")
        assert found.before > 0
        assert found.after <= rounding
        assert one.then(found.symmetry).moved == 0
        before = losses_along(objective, straight_path(theta, copy))
        after = losses_along(objective, aligned_path(network, theta, copy))
        # small where the units that change places have learned nearly the same, never as small as what follows
        assert before.barrier > 1e-5, f"{network} seed {seed}"
        barriers.append(before.barrier)
        assert before.values[[0, -1]] == pytest.approx(objective.value(theta), rel=1e-12)
        assert np.ptp(after.values) < 1e-10
        assert after.values == pytest.approx(objective.value(theta), abs=1e-10)
    assert np.median(barriers) > 0.5
    assert np.count_nonzero(np.array(barriers) > 0.01) >= 24


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_copy_that_was_trained_on_a_little_is_recognized_unit_by_unit(activation):
    random = np.random.default_rng(0)
    network = Network((2, 10, 10, 1), activation)
    X = random.normal(size=(80, 2))
    objective = NetworkObjective(network, X, np.sin(2 * X[:, 0]) * X[:, 1], loss="squared_error")
    theta = minimize(objective, get("adam")(lr=0.02), network.initial(3), steps=500).theta[-1]
    one = random_symmetry(network, 7)
    later = minimize(objective, get("sgd")(lr=0.02), one(theta), steps=100).theta[-1]
    found = align(network, later, theta)
    assert one.then(found.symmetry).moved == 0
    assert 0 < found.after < 0.1 * found.before
    assert losses_along(objective, straight_path(theta, later)).barrier > 0.01
    assert losses_along(objective, aligned_path(network, theta, later)).barrier < 1e-3


def test_two_units_that_compute_the_same_leave_the_copy_at_no_distance_all_the_same():
    network = Network((2, 3, 1))
    theta = np.random.default_rng(0).normal(size=network.size)
    first, second = network.layers(theta)
    first[1] = first[0]
    second[0, 1] = second[0, 0]
    for seed in range(10):
        assert align(network, random_symmetry(network, seed)(theta), theta).after == 0.0
