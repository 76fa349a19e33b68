"""NetworkObjective: invariances, batches, many parameter vectors at once, large data, threads, refusals."""

import pickle
import threading
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt.errors import DataError, NnoptError, SettingsError, ShapeError, UnsupportedError
from nnopt.objectives import hessian_products
from nnopt.objectives.activations import ACTIVATIONS
from nnopt.objectives.kernels import CHUNK
from nnopt.objectives.losses import LOSSES
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective, Objective

OUTPUTS = {"binary_cross_entropy": 1, "cross_entropy": 3, "squared_error": 2}

any_problem = st.builds(
    lambda activation, loss, hidden, n, seed: problem(activation, loss, tuple(hidden), n, seed=seed),
    st.sampled_from(sorted(ACTIVATIONS)),
    st.sampled_from(sorted(LOSSES)),
    st.lists(st.integers(1, 5), max_size=3),
    st.integers(1, 12),
    st.integers(0, 100),
)


def problem(activation="tanh", loss="binary_cross_entropy", hidden=(4, 3), n=9, l2=0.02, l1=0.01, seed=0):
    """An objective and a theta."""
    random = np.random.default_rng(seed)
    network = Network((2, *hidden, OUTPUTS[loss]), activation)
    X = random.normal(size=(n, 2))
    y = random.normal(size=(n, 2)) if loss == "squared_error" else random.integers(0, max(2, OUTPUTS[loss]), n)
    return NetworkObjective(network, X, y, loss, l2, l1), random.normal(0.0, 0.7, network.size)


def test_it_is_an_objective():
    objective, _ = problem()
    assert isinstance(objective, Objective)
    assert (objective.size, objective.examples, objective.loss) == (31, 9, "binary_cross_entropy")
    assert objective.X.shape == (9, 2)
    with pytest.raises(ValueError, match="read-only"):
        objective.X[0, 0] = 1.0


@given(any_problem)
def test_many_parameter_vectors_at_once_are_the_same_as_one_after_another(given_problem):
    objective, theta = given_problem
    thetas = theta + np.random.default_rng(1).normal(size=(5, objective.size))
    values, gradients = objective.values_and_gradients(thetas)
    expected = [objective.value_and_gradient(row) for row in thetas]
    np.testing.assert_allclose(values, [value for value, _ in expected], rtol=1e-12)
    np.testing.assert_allclose(gradients, [gradient for _, gradient in expected], rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(objective.values(thetas), values, rtol=1e-12)
    np.testing.assert_allclose(objective.values(thetas, np.float32), values, rtol=1e-4)
    np.testing.assert_allclose(
        objective.outputs_of(thetas), [objective.outputs(row) for row in thetas], rtol=1e-9, atol=1e-12
    )


@given(any_problem)
def test_values_on_a_plane_are_the_values_of_its_points(given_problem):
    objective, theta = given_problem
    random = np.random.default_rng(2)
    directions, coords = random.normal(size=(2, objective.size)), random.normal(size=(40, 2))
    expected = [objective.value(theta + coord @ directions) for coord in coords]
    np.testing.assert_allclose(objective.values_on_plane(theta, directions, coords), expected, rtol=1e-11)
    np.testing.assert_allclose(objective.values_on_plane(theta, directions, coords, np.float32), expected, rtol=1e-4)
    on_a_slice = objective.values_on_plane(theta, directions[:1], coords[:, :1])
    np.testing.assert_allclose(on_a_slice, objective.values(theta + coords[:, :1] * directions[:1]), rtol=1e-11)


@given(any_problem)
def test_hvps_are_the_hvp_of_each_vector(given_problem):
    objective, theta = given_problem
    vectors = np.random.default_rng(3).normal(size=(6, objective.size))
    expected = [objective.hvp(theta, v) for v in vectors]
    np.testing.assert_allclose(objective.hvps(theta, vectors), expected, rtol=1e-10, atol=1e-13)


@given(any_problem)
def test_linearized_products_are_those_of_hvp_bit_for_bit_in_any_order(given_problem):
    objective, theta = given_problem
    vectors = np.random.default_rng(4).normal(size=(3, objective.size))
    expected = [objective.hvp(theta, v) for v in vectors]
    product, elsewhere = objective.linearized(theta), objective.linearized(theta + 1.0)
    for k in (0, 2, 1, 0):
        elsewhere(vectors[k])
        objective.hvp(theta - 1.0, vectors[k])
        assert np.array_equal(product(vectors[k]), expected[k], equal_nan=True)


@pytest.mark.parametrize("kept", [0, 1, 64])
def test_linearized_products_over_several_chunks_are_those_of_hvp_whatever_is_kept(monkeypatch, kept):
    monkeypatch.setattr(hessian_products, "_KEPT_BYTES", kept * 2**20)
    random = np.random.default_rng(0)
    X, y = random.standard_normal((5000, 2)), random.integers(0, 3, 5000)
    objective = NetworkObjective(Network((2, 5, 4, 3), "softplus"), X, y, "cross_entropy", l2=0.01)
    theta, v = objective.network.initial(0), random.standard_normal(objective.size)
    product = objective.linearized(theta)
    assert np.array_equal(product(v), objective.hvp(theta, v))
    theta[:] = 0.0  # it is a product at the theta that was given
    assert np.array_equal(product(v), objective.hvp(objective.network.initial(0), v))


@given(any_problem, st.integers(0, 100))
def test_permuting_hidden_units_changes_nothing(given_problem, seed):
    """Rows of a hidden block and columns of the next one, swapped together."""
    objective, theta = given_problem
    moved = theta.copy()
    blocks = objective.network.layers(moved)
    random = np.random.default_rng(seed)
    for block, above in pairwise(blocks):
        order = random.permutation(len(block))
        block[:] = block[order]
        above[:, :-1] = above[:, order]
    np.testing.assert_allclose(objective.outputs(moved), objective.outputs(theta), rtol=1e-12, atol=1e-12)
    assert objective.value(moved) == pytest.approx(objective.value(theta), rel=1e-12)
    assert np.linalg.norm(objective.gradient(moved)) == pytest.approx(np.linalg.norm(objective.gradient(theta)))


@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_flipping_a_unit_of_an_odd_activation_changes_nothing(activation):
    objective, theta = problem(activation)
    flipped = theta.copy()
    first, second, _ = objective.network.layers(flipped)
    first[1] *= -1.0
    second[:, 1] *= -1.0
    np.testing.assert_allclose(objective.outputs(flipped), objective.outputs(theta), rtol=1e-14)


@given(any_problem, st.integers(0, 100))
def test_the_order_of_the_examples_does_not_matter(given_problem, seed):
    objective, theta = given_problem
    order = np.random.default_rng(seed).permutation(objective.examples)
    value, gradient = objective.value_and_gradient(theta, order)
    assert value == pytest.approx(objective.value(theta), rel=1e-12)
    np.testing.assert_allclose(gradient, objective.gradient(theta), rtol=1e-9, atol=1e-13)


@given(any_problem, st.data())
def test_a_batch_is_the_objective_on_its_examples(given_problem, data):
    objective, theta = given_problem
    rows = np.array(data.draw(st.lists(st.integers(0, objective.examples - 1), min_size=1, max_size=8)))
    batch = objective.batch(rows)
    value, gradient = objective.value_and_gradient(theta, rows)
    assert batch.examples == len(rows)
    assert value == batch.value_and_gradient(theta)[0]
    np.testing.assert_array_equal(gradient, batch.gradient(theta))
    weights = np.bincount(rows, minlength=objective.examples) / len(rows)
    single = [objective.batch([row]).hessian(theta) for row in range(objective.examples)]
    np.testing.assert_allclose(batch.hessian(theta), np.tensordot(weights, single, 1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_data_of_more_than_one_chunk_is_the_mean_over_its_parts(loss):
    n = 2 * CHUNK + 37
    objective, theta = problem(loss=loss, n=n)
    parts = [np.arange(start, min(start + 1500, n)) for start in range(0, n, 1500)]
    weights = np.array([len(part) for part in parts]) / n
    batches = [objective.batch(part) for part in parts]
    thetas, vectors = np.stack([theta, -theta]), np.stack([theta, theta**2])

    def mean(of):
        return sum(weight * of(batch) for weight, batch in zip(weights, batches, strict=True))

    tolerance = {"rtol": 1e-10, "atol": 1e-13}
    value, gradient = objective.value_and_gradient(theta)
    assert value == pytest.approx(mean(lambda batch: batch.value(theta)), rel=1e-12)
    assert objective.value(theta) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(gradient, mean(lambda batch: batch.gradient(theta)), **tolerance)
    np.testing.assert_allclose(objective.hessian(theta), mean(lambda batch: batch.hessian(theta)), **tolerance)
    np.testing.assert_allclose(objective.gauss_newton(theta), mean(lambda b: b.gauss_newton(theta)), **tolerance)
    np.testing.assert_allclose(objective.hvps(theta, vectors), mean(lambda b: b.hvps(theta, vectors)), **tolerance)
    np.testing.assert_allclose(objective.hvp(theta, theta), mean(lambda b: b.hvp(theta, theta)), **tolerance)
    np.testing.assert_allclose(objective.values(thetas), mean(lambda batch: batch.values(thetas)), **tolerance)
    gradients = objective.values_and_gradients(thetas)[1]
    np.testing.assert_allclose(gradients, mean(lambda batch: batch.values_and_gradients(thetas)[1]), **tolerance)
    outputs = np.vstack([batch.outputs(theta) for batch in batches])
    np.testing.assert_allclose(objective.outputs(theta), outputs, **tolerance)
    np.testing.assert_allclose(objective.outputs_of(thetas)[0], outputs, **tolerance)
    hidden = np.vstack([batch.hidden(theta)[1] for batch in batches])
    np.testing.assert_allclose(objective.hidden(theta)[1], hidden, **tolerance)


def test_memory_does_not_grow_with_the_number_of_examples():
    def peak(n: int) -> int:
        objective, theta = problem(hidden=(16, 16), n=n)
        tracemalloc.start()
        try:
            objective.value_and_gradient(theta)
            objective.hvp(theta, theta)
            objective.values(np.stack([theta] * 3))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(5 * CHUNK)  # buffers that are kept are made here
    more_activations = 15 * CHUNK * 2 * 17 * 8
    assert peak(20 * CHUNK) - peak(5 * CHUNK) < 0.2 * more_activations


def test_what_is_returned_belongs_to_the_caller():
    objective, theta = problem()
    calls = [
        objective.gradient,
        objective.hessian,
        objective.outputs,
        lambda t: objective.hvp(t, theta),
        lambda t: objective.values(t[None]),
        lambda t: objective.values_and_gradients(t[None])[1],
        lambda t: objective.hidden(t)[0],
    ]
    for call in calls:
        first = call(theta)
        kept = first.copy()
        call(theta + 1.0)
        np.testing.assert_array_equal(first, kept)
        assert first.flags.writeable


def test_theta_is_not_changed():
    objective, theta = problem()
    theta.flags.writeable = False
    kept = theta.copy()
    objective.value_and_gradient(theta)
    objective.hessian(theta)
    objective.values(theta[None])
    objective.hvp(theta, theta)
    np.testing.assert_array_equal(theta, kept)


def test_threads_evaluate_the_same_objective_at_the_same_time():
    objective, theta = problem(hidden=(16, 16), n=100)
    points = [theta * scale for scale in (1.0, 0.5, -1.0)]
    calls = [
        lambda t: objective.value_and_gradient(t)[1],
        objective.hessian,
        lambda t: objective.hvp(t, theta),
        lambda t: objective.values(np.stack([t] * 5)),
    ]
    expected = [[call(point) for call in calls] for point in points]
    wrong: list[str] = []

    def work(number: int) -> None:
        for repetition in range(10):
            for call, right in zip(calls, expected[number], strict=True):
                if not np.array_equal(call(points[number]), right):
                    wrong.append(f"thread {number}, repetition {repetition}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(points))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("size", [1e3, 1e4])
def test_logits_of_ten_thousand_are_exact(size):
    objective = NetworkObjective(Network((1, 1)), [[1.0], [1.0], [-1.0], [-1.0]], [0, 1, 0, 1])
    theta = np.array([size, 0.0])
    value, gradient = objective.value_and_gradient(theta)
    assert value == size / 2
    np.testing.assert_array_equal(gradient, [0.5, 0.0])
    assert objective.value(theta) == objective.values([theta])[0] == value
    assert objective.values([theta], np.float32)[0] == value
    np.testing.assert_allclose(objective.hessian(theta), 0.0, atol=1e-300)
    np.testing.assert_allclose(objective.hvp(theta, theta), 0.0, atol=1e-300)
    np.testing.assert_array_equal(objective.probabilities(theta), [[0, 1], [0, 1], [1, 0], [1, 0]])


def test_divergence_is_a_value_and_not_a_warning():
    objective, theta = problem("identity", hidden=(4, 3))
    far = theta * 1e200
    value, gradient = objective.value_and_gradient(far)
    assert not np.isfinite(value)
    assert not np.isfinite(gradient).all()
    assert not np.isfinite(objective.value(far))
    assert not np.isfinite(objective.values(far[None], np.float32)).any()
    assert np.isnan(objective.value(theta * np.nan))
    for call in (objective.hessian, objective.gauss_newton, objective.outputs, lambda t: objective.hvp(t, theta)):
        assert not np.isfinite(call(far)).all()


def test_penalties_count_weights_only():
    objective, theta = problem(l2=0.0, l1=0.0)
    weights = np.concatenate([block[:, :-1].ravel() for block in objective.network.layers(theta)])
    penalized = objective.with_penalty(l2=0.3, l1=0.2)
    expected = objective.value(theta) + 0.3 * np.sum(weights**2) + 0.2 * np.sum(np.abs(weights))
    assert penalized.value(theta) == pytest.approx(expected, rel=1e-14)
    assert (penalized.l2, penalized.l1, objective.l2, objective.l1) == (0.3, 0.2, 0.0, 0.0)


def test_with_data_keeps_network_loss_and_penalties():
    objective, theta = problem()
    other = objective.with_data([[1.0, 2.0]], [1])
    assert (other.network, other.loss, other.l2, other.l1) == (objective.network, objective.loss, 0.02, 0.01)
    np.testing.assert_array_equal(other.outputs(theta), objective.outputs(theta, [[1.0, 2.0]]))


def test_the_data_is_copied():
    X, y = np.ones((2, 2)), np.array([0, 1])
    objective = NetworkObjective(Network((2, 3, 1)), X, y)
    theta = objective.network.initial(0)
    before = objective.value(theta)
    X[:], y[:] = 9.0, 0
    assert objective.value(theta) == before


def test_hidden_activations_feed_the_next_layer():
    objective, theta = problem("softplus")
    first, second = objective.hidden(theta)
    assert (first.shape, second.shape) == ((9, 4), (9, 3))
    block = objective.network.layers(theta)[-1]
    np.testing.assert_allclose(second @ block[:, :-1].T + block[:, -1], objective.outputs(theta), rtol=1e-13)
    assert objective.hidden(theta, np.zeros((5, 2)))[0].shape == (5, 4)
    assert problem(hidden=())[0].hidden(np.zeros(3)) == []


def test_an_objective_can_be_pickled():
    objective, theta = problem()
    copy = pickle.loads(pickle.dumps(objective))
    assert copy.value(theta) == objective.value(theta)


def test_regression_targets_may_be_flat_for_one_output():
    network = Network((2, 3, 1))
    X, y = np.random.default_rng(0).normal(size=(5, 2)), np.arange(5.0)
    flat, column = (NetworkObjective(network, X, targets, "squared_error") for targets in (y, y[:, None]))
    theta = network.initial(0)
    assert flat.value(theta) == column.value(theta)
    with pytest.raises(UnsupportedError, match="class probabilities"):
        flat.probabilities(theta)


@pytest.mark.parametrize(
    ("X", "y", "options", "error", "text"),
    [
        ([[1.0]], [0], {}, ShapeError, r"expected X of shape \(N, 2\).*got \(1, 1\)"),
        ([1.0, 2.0], [0], {}, ShapeError, r"got \(2,\)"),
        ([["a", "b"]], [0], {}, ShapeError, "expected X as numbers"),
        ([[1.0, 2.0], [np.nan, 0.0]], [0, 1], {}, DataError, r"finite X, got \[nan, 0.0\] at example 1"),
        ([[1.0, 2.0]], [0, 1], {}, ShapeError, "as many X as y, got 1 and 2"),
        (np.zeros((0, 2)), np.zeros(0), {}, ShapeError, "at least one example"),
        ([[1.0, 2.0]], [2], {}, DataError, "among 0..1, got 2 at example 0"),
        ([[1.0, 2.0]], [0], {"loss": "cross_entropy"}, ShapeError, "2 or more outputs, got 1"),
        ([[1.0, 2.0]], [0], {"loss": "hinge"}, NnoptError, "unknown loss 'hinge'"),
        ([[1.0, 2.0]], [0], {"l2": -0.1}, SettingsError, "l2 as a finite number >= 0, got -0.1"),
        ([[1.0, 2.0]], [0], {"l1": np.inf}, SettingsError, "l1 as a finite number >= 0, got inf"),
        ([[1.0, 2.0]], [0], {"l1": "much"}, SettingsError, "got 'much'"),
    ],
)
def test_data_and_settings_that_do_not_fit_are_refused_at_construction(X, y, options, error, text):
    with pytest.raises(error, match=text):
        NetworkObjective(Network((2, 3, 1)), X, y, **options)


def test_arguments_of_the_wrong_shape_are_refused():
    objective, theta = problem()
    short, wrong = theta[:-1], r"expected theta of shape \(31,\), got \(30,\)"
    for call in (objective.value, objective.gradient, objective.hessian, objective.outputs, objective.hidden):
        with pytest.raises(ShapeError, match=wrong):
            call(short)
    with pytest.raises(ShapeError, match=wrong):
        objective.hvp(theta, short)
    for batched in (objective.values, objective.values_and_gradients, lambda rows: objective.hvps(theta, rows)):
        with pytest.raises(ShapeError, match=r"expected rows of shape \(K, 31\), got \(31,\)"):
            batched(theta)
    with pytest.raises(ShapeError, match=r"expected coords of shape \(K, 2\), got \(4, 3\)"):
        objective.values_on_plane(theta, np.zeros((2, 31)), np.zeros((4, 3)))
    with pytest.raises(SettingsError, match="expected dtype float64 or float32, got int64"):
        objective.values(theta[None], np.int64)
    with pytest.raises(ShapeError, match="expected X of shape"):
        objective.outputs(theta, np.zeros((3, 5)))


@pytest.mark.parametrize("rows", [[9], [-10], [], [0.5], [True] * 9, 3])
def test_rows_that_are_no_examples_are_refused(rows):
    objective, theta = problem()
    with pytest.raises(ShapeError, match=r"indices within 0\.\.8"):
        objective.value_and_gradient(theta, np.array(rows))
    with pytest.raises(ShapeError, match=r"indices within 0\.\.8"):
        objective.batch(rows)


def test_plain_lists_are_welcome_as_theta():
    objective, theta = problem()
    assert objective.value_and_gradient(theta.tolist())[0] == objective.value_and_gradient(theta)[0]
