"""Symmetries of a network: what they leave alone, how many there are, and how they are undone."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt.analysis.alignment import align
from nnopt.analysis.symmetry import (
    Symmetry,
    equivalent_solutions,
    every_symmetry,
    flip_units,
    identity,
    permute_units,
    random_symmetry,
    swap_units,
)
from nnopt.errors import SettingsError, ShapeError, UnsupportedError
from nnopt.objectives.activations import ACTIVATIONS
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective


@st.composite
def networks(draw, activations=tuple(ACTIVATIONS)):
    hidden = draw(st.lists(st.integers(1, 7), min_size=0, max_size=3))
    return Network((draw(st.integers(1, 3)), *hidden, draw(st.integers(1, 3))), draw(st.sampled_from(activations)))


def outputs(network, theta, seed=0):
    X = np.random.default_rng(seed).normal(size=(11, network.inputs))
    objective = NetworkObjective(network, X, np.zeros((11, network.outputs)), loss="squared_error")
    return objective.outputs(theta)


def any_theta(network, seed=0):
    return np.random.default_rng(seed).normal(size=network.size)


def same(network, theta, wanted, message=""):
    """Bit for bit; biases that outgoing weights were added to and taken from again (sigmoid): up to rounding."""
    rounding = 1e-13 if network.activation == "sigmoid" else 0.0
    np.testing.assert_allclose(theta, wanted, rtol=0, atol=rounding, err_msg=message)


@given(networks(), st.integers(0, 10_000))
def test_symmetries_leave_the_outputs_alone(network, seed):
    theta = any_theta(network, seed)
    moved = random_symmetry(network, seed)(theta)
    np.testing.assert_allclose(outputs(network, moved), outputs(network, theta), rtol=1e-12, atol=1e-12)


@given(networks(), st.integers(0, 10_000))
def test_a_symmetry_and_its_inverse_cancel_bit_for_bit(network, seed):
    theta, one = any_theta(network, seed), random_symmetry(network, seed)
    same(network, one.inverse()(one(theta)), theta)
    assert one.then(one.inverse()).moved == 0


@given(networks(), st.integers(0, 10_000))
def test_then_is_one_after_the_other_and_trajectories_move_whole(network, seed):
    thetas = np.random.default_rng(seed).normal(size=(2, 3, network.size))
    first, second = random_symmetry(network, seed), random_symmetry(network, seed + 1)
    both = first.then(second)(thetas)
    same(network, both, second(first(thetas)))
    same(network, both[1, 2], second(first(thetas[1, 2])))


def test_swapping_two_units_swaps_rows_here_and_columns_above():
    network = Network((1, 2, 2, 1))
    theta = np.arange(float(network.size))
    first, second, third = network.layers(swap_units(network, theta, 1, 0, 1))
    assert first.tolist() == [[0, 1], [2, 3]]
    assert second.tolist() == [[7, 8, 9], [4, 5, 6]]
    assert third.tolist() == [[11, 10, 12]]


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "softplus"])
def test_flips_are_refused_where_the_activation_has_no_mirror(name):
    network = Network((2, 3, 1), name)
    with pytest.raises(UnsupportedError, match=rf"{name} has no f\(-z\) = c - f\(z\): .*\(tanh, sigmoid and identity"):
        flip_units(network, any_theta(network), 0, 1)
    with pytest.raises(UnsupportedError, match="would change the outputs"):
        Symmetry(network, (np.arange(3),), (np.array([1.0, -1.0, 1.0]),))


@pytest.mark.parametrize("name", ["tanh", "identity"])
def test_flipping_units_of_an_odd_activation_moves_theta_and_not_the_outputs(name):
    network = Network((2, 3, 3, 1), name)
    theta = any_theta(network)
    moved = flip_units(network, theta, 1, [0, 2])
    assert not np.array_equal(moved, theta)
    np.testing.assert_allclose(outputs(network, moved), outputs(network, theta), rtol=0, atol=1e-12)


def test_what_is_no_symmetry_is_refused_and_says_what_was_expected():
    network = Network((2, 3, 1))
    theta = any_theta(network)
    with pytest.raises(SettingsError, match=r"permutation of 0 \.\. 2, got"):
        permute_units(network, theta, 0, [0, 0, 1])
    with pytest.raises(SettingsError, match=r"hidden layer 0 \.\. 0"):
        permute_units(network, theta, 1, [0])
    with pytest.raises(SettingsError, match=r"hidden unit 0 \.\. 2, got 3"):
        swap_units(network, theta, 0, 0, 3)
    with pytest.raises(SettingsError, match=r"numbers \+1 or -1"):
        Symmetry(network, (np.arange(3),), (np.array([1.0, 2.0, 1.0]),))
    with pytest.raises(SettingsError, match="1 orders and signs"):
        Symmetry(network, (), ())
    with pytest.raises(ShapeError, match="expected theta"):
        identity(network)(theta[1:])
    with pytest.raises(ShapeError, match=r"Symmetry\.then"):
        identity(network).then(identity(Network((2, 4, 1))))


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (Network((2, 3, 1)), 6 * 8),
        (Network((2, 3, 1), "relu"), 6),
        (Network((1, 2, 3, 1)), 2 * 4 * 6 * 8),
        (Network((1, 2, 3, 2), "sigmoid"), 2 * 4 * 6 * 8),
        (Network((1, 2, 3, 2), "softplus"), 12),
        (Network((3, 2)), 1),
    ],
)
def test_equivalent_solutions_are_those_that_enumeration_finds(network, count):
    theta = any_theta(network)
    orbit = {one(theta).tobytes() for one in every_symmetry(network)}
    assert len(orbit) == count == equivalent_solutions(network).count
    wanted = outputs(network, theta)
    for copy in orbit:
        np.testing.assert_allclose(outputs(network, np.frombuffer(copy)), wanted, rtol=0, atol=1e-12)


def test_the_count_is_exact_and_readable_however_large():
    assert equivalent_solutions(Network((2, 3, 1))).words == "48"
    assert equivalent_solutions(Network((2, 8, 1))).words == "10.3 million"
    assert equivalent_solutions(Network((2, 8, 1))).formula == "8! · 2^8"
    assert equivalent_solutions(Network((2, 16, 16, 1))).words == "1.9 × 10^36"
    huge = equivalent_solutions(Network((2, 3000, 3000, 1)))
    assert huge.count == (math.factorial(3000) * 2**3000) ** 2
    by_logarithms = 2 * (math.lgamma(3001) / math.log(10) + 3000 * math.log10(2))
    assert huge.log10 == pytest.approx(by_logarithms, rel=1e-12)
    assert huge.words.endswith(f"× 10^{math.floor(by_logarithms)}")


def random_network(seed):
    random = np.random.default_rng(seed)
    hidden = random.integers(2, 13, size=1 + seed % 3)
    activation = ("tanh", "relu", "leaky_relu", "identity", "sigmoid", "softplus")[seed % 6]
    return Network((int(random.integers(1, 5)), *hidden.tolist(), int(random.integers(1, 4))), activation)


@pytest.mark.parametrize("block", range(4))
def test_alignment_recovers_a_permuted_and_flipped_copy_of_100_random_networks_exactly(block):
    for seed in range(25 * block, 25 * block + 25):
        network = random_network(seed)
        theta = any_theta(network, seed)
        one = random_symmetry(network, seed)
        found = align(network, one(theta), theta)
        same(network, found.theta, theta, f"{network} seed {seed}")
        assert found.after == 0.0 or (network.activation == "sigmoid" and found.after < 1e-12)
        assert one.then(found.symmetry).moved == 0
        assert found.before > 0 or one.moved == 0


def test_alignment_recovers_copies_of_narrow_initial_weights_too():
    network = Network((2, 16, 16, 16, 1))
    theta = network.initial(3)
    assert align(network, random_symmetry(network, 8)(theta), theta).after == 0.0


@given(networks(("tanh", "relu", "sigmoid")), st.integers(0, 1000))
def test_alignment_changes_no_output_and_never_moves_away(network, seed):
    theta, reference = any_theta(network, seed), any_theta(network, seed + 1)
    found = align(network, theta, reference)
    np.testing.assert_allclose(outputs(network, found.theta), outputs(network, theta), rtol=1e-12, atol=1e-12)
    assert found.after <= found.before
    np.testing.assert_array_equal(found.symmetry(theta), found.theta)


@pytest.mark.parametrize(("activation", "seed"), [(name, seed) for name in ("tanh", "relu") for seed in range(6)])
def test_alignment_of_one_hidden_layer_is_the_nearest_of_all_symmetries(activation, seed):
    network = Network((2, 3, 2), activation)
    theta, reference = any_theta(network, seed), any_theta(network, seed + 50)
    nearest = min(np.linalg.norm(one(theta) - reference) for one in every_symmetry(network))
    assert align(network, theta, reference).after == pytest.approx(nearest, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_aligned_sigmoid_units_move_as_the_tanh_units_that_compute_the_same(seed):
    """sigma(z) = (1 + tanh(z / 2)) / 2: incoming weights and biases halved, outgoing v / 2, biases c + v / 2."""
    network, twin = Network((2, 3, 2), "sigmoid"), Network((2, 3, 2), "tanh")
    theta, reference = any_theta(network, seed), any_theta(network, seed + 50)
    tanh = theta.copy()
    lower, upper = twin.layers(tanh)
    lower /= 2
    upper[:, :-1] /= 2
    upper[:, -1] += upper[:, :-1].sum(axis=1)
    np.testing.assert_allclose(outputs(network, theta), outputs(twin, tanh), atol=1e-13)
    one = align(network, theta, reference).symmetry
    moved = Symmetry(twin, one.orders, one.signs)(tanh)
    np.testing.assert_allclose(outputs(network, one(theta)), outputs(twin, moved), atol=1e-12)


@pytest.mark.parametrize(("l2", "l1"), [(0.3, 0.0), (0.0, 0.2), (0.1, 0.1)])
def test_flipping_sigmoid_units_moves_biases_and_neither_outputs_nor_loss_nor_penalty(l2, l1):
    network = Network((2, 4, 3, 1), "sigmoid")
    theta = 3.0 * any_theta(network)
    X = np.random.default_rng(1).normal(size=(20, 2))
    objective = NetworkObjective(network, X, np.arange(20) % 2, l2=l2, l1=l1)
    moved = flip_units(network, theta, 0, [1, 3])
    (w, c), (moved_w, moved_c) = ((block[:, :-1], block[:, -1]) for block in
                                  (network.layers(theta)[1], network.layers(moved)[1]))  # fmt: skip
    np.testing.assert_allclose(moved_c, c + w[:, 1] + w[:, 3], rtol=1e-14)
    np.testing.assert_array_equal(moved_w, w * [1, -1, 1, -1])
    np.testing.assert_allclose(objective.outputs(moved), objective.outputs(theta), rtol=0, atol=1e-12)
    assert objective.value(moved) == pytest.approx(objective.value(theta), rel=1e-13)
    hidden, flipped = objective.hidden(theta)[0], objective.hidden(moved)[0]
    np.testing.assert_allclose(flipped[:, [1, 3]], 1.0 - hidden[:, [1, 3]], atol=1e-15)


def test_equivalent_sigmoid_solutions_are_counted_with_their_flips():
    found = equivalent_solutions(Network((2, 8, 1), "sigmoid"))
    assert (found.count, found.formula) == (math.factorial(8) * 2**8, "8! · 2^8")


def test_alignment_refuses_what_it_cannot_compare():
    network = Network((2, 3, 1))
    theta = any_theta(network)
    with pytest.raises(ShapeError, match="expected theta of shape"):
        align(network, theta[1:], theta)
    with pytest.raises(SettingsError, match="finite"):
        align(network, np.full(network.size, np.nan), theta)
