"""Networks: the meaning of theta's layout, initial weights, refused sizes."""

import pickle

import numpy as np
import pytest

from nnopt.errors import NnoptError, SettingsError, ShapeError, UnknownNameError
from nnopt.objectives.network import GlorotUniform, HeNormal, Initial, Network, Normal, Zeros


def test_theta_holds_one_row_per_unit_incoming_weights_then_bias():
    network = Network((2, 3, 1))
    first, second = network.layers(np.arange(float(network.size)))
    np.testing.assert_array_equal(first, [[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    np.testing.assert_array_equal(second, [[9, 10, 11, 12]])
    np.testing.assert_array_equal(network.weight_mask, [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 0])
    assert network.size == 13
    assert network.widths == (3,)
    assert (network.inputs, network.outputs) == (2, 1)
    assert network.blocks == (slice(0, 9), slice(9, 13))


def test_layers_are_views_also_of_several_parameter_vectors():
    network = Network((2, 3, 1))
    thetas = np.zeros((4, network.size))
    network.layers(thetas)[1][2, 0, -1] = 7.0
    assert thetas[2, 12] == 7.0


def test_no_hidden_layer_is_a_linear_model():
    assert Network((3, 2)).size == 8
    assert Network((3, 2)).widths == ()


def test_equal_networks_are_equal_and_immutable_and_travel():
    network = Network([2, 3, 1], "relu")
    assert network == Network((2, 3, 1), "relu") != Network((2, 3, 1), "tanh")
    assert hash(network) == hash(Network((2, 3, 1), "relu"))
    assert repr(network) == "Network(sizes=(2, 3, 1), activation='relu')"
    with pytest.raises(AttributeError, match="immutable"):
        network.sizes = (1, 1)
    with pytest.raises(ValueError, match="read-only"):
        network.weight_mask[0] = 2.0
    copy = pickle.loads(pickle.dumps(network))
    assert copy == network
    np.testing.assert_array_equal(copy.weight_mask, network.weight_mask)


@pytest.mark.parametrize("sizes", [(2,), (), (2, 0, 1), (2, -1), (2, 1.5, 1), "ab", None, (2, None)])
def test_sizes_that_are_no_network_are_refused(sizes):
    with pytest.raises(SettingsError, match="expected sizes as two or more whole numbers"):
        Network(sizes)


def test_an_unknown_activation_is_refused():
    with pytest.raises(UnknownNameError, match="unknown activation 'selu'"):
        Network((2, 1), "selu")


def test_theta_of_the_wrong_length_is_refused():
    with pytest.raises(ShapeError, match=r"expected theta of shape \(13,\), got \(12,\)"):
        Network((2, 3, 1)).layers(np.zeros(12))


@pytest.mark.parametrize("scheme", Initial.registry.names())
def test_the_same_seed_gives_the_same_start_with_zero_biases(scheme):
    network = Network((4, 6, 3))
    theta = network.initial(5, scheme)
    assert theta.dtype == np.float64
    np.testing.assert_array_equal(theta, network.initial(5, scheme))
    np.testing.assert_array_equal(theta[network.weight_mask == 0], 0.0)
    assert scheme == "zeros" or np.any(theta != network.initial(6, scheme))


@pytest.mark.parametrize(
    ("scheme", "deviation", "largest"),
    [
        (GlorotUniform(), np.sqrt(6 / 300) / np.sqrt(3), np.sqrt(6 / 300)),
        (HeNormal(), np.sqrt(2 / 100), np.inf),
        (Normal(std=0.004), 0.004, np.inf),
        (Zeros(), 0.0, 0.0),
    ],
)
def test_initial_weights_have_the_spread_of_their_scheme(scheme, deviation, largest):
    weights = Network((100, 200)).layers(Network((100, 200)).initial(0, scheme))[0][:, :-1]
    assert weights.std() == pytest.approx(deviation, rel=0.02)
    assert abs(weights.mean()) <= 4 * deviation / np.sqrt(weights.size)
    assert np.abs(weights).max() <= largest


def test_initial_schemes_are_decoded_by_name_with_their_settings():
    assert Initial.registry.decode({"name": "normal", "std": 0.3}) == Normal(std=0.3)
    assert set(Initial.registry.names()) >= {"glorot_uniform", "he_normal", "normal", "zeros"}
    with pytest.raises(SettingsError, match="std"):
        Normal(std=-1.0)


@pytest.mark.parametrize("scheme", ["xavier", 3, None])
def test_an_unknown_scheme_is_refused(scheme):
    with pytest.raises(NnoptError):
        Network().initial(0, scheme)
