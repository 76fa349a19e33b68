"""Losses: closed forms, slopes and curvatures, exactness at |z| = 1e4, refusal of labels that do not fit."""

import numpy as np
import pytest

from nnopt.errors import DataError, ShapeError, UnknownNameError, UnsupportedError
from nnopt.objectives.losses import LOSSES, loss_function

OUTPUTS = {"binary_cross_entropy": 1, "cross_entropy": 3, "squared_error": 2}
every_loss = pytest.mark.parametrize("name", LOSSES)


def labels(name: str, n: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    if name == "squared_error":
        return random.normal(size=(n, OUTPUTS[name]))
    return random.integers(0, max(2, OUTPUTS[name]), n)


def plain(name: str, z: np.ndarray, y: np.ndarray) -> float:
    """Sum of the losses of outputs z (N, C), as the definitions say."""
    if name == "binary_cross_entropy":
        return float(np.sum(np.log1p(np.exp(z[:, 0])) - y * z[:, 0]))
    if name == "cross_entropy":
        return float(np.sum(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]))
    return float(np.sum((z - y) ** 2) / 2)


def summed(name: str, z: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Sum and slopes (N, C) from the kernel."""
    loss, targets = loss_function(name), loss_function(name).encode(y, z.shape[1])
    columns = z.T.copy()
    with np.errstate(over="ignore"):
        total = loss.sums_and_slopes(columns, targets, (np.empty_like(columns), np.empty_like(columns)))
    return float(total), columns.T


def sums_only(name: str, z: np.ndarray, y: np.ndarray) -> float:
    loss, columns = loss_function(name), z.T.copy()
    targets = loss.encode(y, z.shape[1])
    with np.errstate(over="ignore"):
        return float(loss.sums(columns, targets, (np.empty_like(columns), np.empty_like(columns))))


@every_loss
def test_value_is_the_definition(name):
    y, z = labels(name, 20), np.random.default_rng(1).normal(size=(20, OUTPUTS[name])) * 3
    assert summed(name, z, y)[0] == pytest.approx(plain(name, z, y), rel=1e-13)
    assert sums_only(name, z, y) == pytest.approx(plain(name, z, y), rel=1e-13)


@every_loss
def test_slope_agrees_with_differences(name):
    y, z = labels(name, 6), np.random.default_rng(2).normal(size=(6, OUTPUTS[name])) * 2
    slopes, step = summed(name, z, y)[1], 1e-6
    for place in np.ndindex(*z.shape):
        move = np.zeros_like(z)
        move[place] = step
        difference = (plain(name, z + move, y) - plain(name, z - move, y)) / (2 * step)
        assert slopes[place] == pytest.approx(difference, abs=1e-8)


@every_loss
def test_curvature_agrees_with_differences_of_the_slope(name):
    loss, outputs = loss_function(name), OUTPUTS[name]
    y, z = labels(name, 5), np.random.default_rng(3).normal(size=(5, outputs))
    curvature, step = loss.curvature(loss.mean(z.T)), 1e-6
    assert curvature.shape == (outputs, outputs, 5)
    for c in range(outputs):
        move = np.zeros_like(z)
        move[:, c] = step
        difference = (summed(name, z + move, y)[1] - summed(name, z - move, y)[1]) / (2 * step)
        np.testing.assert_allclose(curvature[c], difference.T, atol=1e-8)
    v = np.random.default_rng(4).normal(size=(7, outputs, 5))
    product = np.einsum("abn,kbn->kan", curvature, v)
    np.testing.assert_allclose(loss.curvature_times(loss.mean(z.T), v), product, atol=1e-14)


@every_loss
def test_several_parameter_vectors_at_once_are_the_same_as_one_after_another(name):
    loss, y = loss_function(name), labels(name, 9)
    z = np.random.default_rng(5).normal(size=(4, OUTPUTS[name], 9))
    targets, work = loss.encode(y, OUTPUTS[name]), (np.empty_like(z), np.empty_like(z))
    together = z.copy()
    totals = loss.sums_and_slopes(together, targets, work)
    for k in range(4):
        total, slopes = summed(name, z[k].T, y)
        assert totals[k] == pytest.approx(total, rel=1e-14)
        np.testing.assert_allclose(together[k], slopes.T, rtol=1e-14)
    np.testing.assert_allclose(loss.sums(z, targets, work), totals, rtol=1e-14)


@pytest.mark.parametrize("size", [1e2, 1e3, 1e4])
def test_binary_cross_entropy_is_exact_far_out(size):
    z, y = np.array([[size], [size], [-size], [-size]]), np.array([0, 1, 0, 1])
    total, slopes = summed("binary_cross_entropy", z, y)
    assert total == 2 * size
    assert sums_only("binary_cross_entropy", z, y) == 2 * size
    np.testing.assert_allclose(slopes[:, 0], [1, 0, 0, -1], atol=1e-40)


def test_binary_cross_entropy_keeps_small_losses():
    """One example that overflows exp sends the others through the careful branch: same numbers."""
    z, y = np.array([[-30.0], [3.0], [-3.0]]), np.array([0, 0, 1])
    total, slopes = summed("binary_cross_entropy", z, y)
    with_far, far_slopes = summed("binary_cross_entropy", np.vstack([z, [[-1e4]]]), np.append(y, 0))
    assert with_far == pytest.approx(total, rel=1e-15)
    np.testing.assert_allclose(far_slopes[:3], slopes, rtol=1e-14)
    assert summed("binary_cross_entropy", z[:1], y[:1])[0] == pytest.approx(np.exp(-30.0), rel=1e-12)


def test_cross_entropy_is_exact_far_out():
    z = np.array([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]])
    total, slopes = summed("cross_entropy", z, np.array([0, 2]))
    assert total == 2e4
    np.testing.assert_array_equal(slopes, [[0, 0, 0], [1, 0, -1]])
    assert sums_only("cross_entropy", z, np.array([0, 2])) == 2e4


@pytest.mark.parametrize("name", ["binary_cross_entropy", "cross_entropy"])
def test_probabilities_are_a_distribution_and_follow_the_logits(name):
    z = np.array([[-1e4], [-2.0], [0.0], [1e4]]) if OUTPUTS[name] == 1 else np.array([[1e4, 0, 1], [0.0, 0, 0]])
    probabilities = loss_function(name).probabilities(z)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    if OUTPUTS[name] == 1:
        np.testing.assert_allclose(probabilities[:, 1], [0, 1 / (1 + np.exp(2)), 0.5, 1])
    else:
        np.testing.assert_allclose(probabilities, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])


def test_regression_has_no_class_probabilities():
    with pytest.raises(UnsupportedError, match="squared_error"):
        loss_function("squared_error").probabilities(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("name", "outputs", "y", "error", "text"),
    [
        ("binary_cross_entropy", 1, [0, 1, 2], DataError, "among 0..1, got 2 at example 2"),
        ("binary_cross_entropy", 1, [0, 0.5], DataError, "got 0.5 at example 1"),
        ("binary_cross_entropy", 1, [0, np.nan], DataError, "got nan at example 1"),
        ("binary_cross_entropy", 1, ["a", "b"], DataError, "values such as"),
        ("binary_cross_entropy", 1, [[0, 1]], ShapeError, r"shape \(N,\), got \(1, 2\)"),
        ("binary_cross_entropy", 2, [0, 1], ShapeError, "1 output, got 2"),
        ("cross_entropy", 3, [0, 3], DataError, "among 0..2, got 3 at example 1"),
        ("cross_entropy", 3, [-1, 0], DataError, "got -1 at example 0"),
        ("cross_entropy", 1, [0, 1], ShapeError, "2 or more outputs"),
        ("squared_error", 2, [[0.0, 1.0], [np.inf, 0.0]], DataError, r"got \[inf, 0.0\] at example 1"),
        ("squared_error", 2, [0.0, 1.0], ShapeError, r"\(N, 2\), got \(2,\)"),
        ("squared_error", 2, ["x"], DataError, "numbers"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_the_place(name, outputs, y, error, text):
    with pytest.raises(error, match=text):
        loss_function(name).encode(y, outputs)


def test_labels_may_be_whole_floats_booleans_or_one_column():
    expected = [[1.0, -1.0]]
    for y in ([0.0, 1.0], [False, True], [[0], [1]]):
        np.testing.assert_array_equal(loss_function("binary_cross_entropy").encode(y, 1), expected)


def test_an_unknown_loss_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown loss 'hinge'"):
        loss_function("hinge")
