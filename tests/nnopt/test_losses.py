"""Losses: closed forms, slopes and curvatures, exactness at |z| = 1e4, refusal of labels that do not fit."""

import math
from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt.analysis.curvature import newton_step_at
from nnopt.errors import DataError, ShapeError, UnknownNameError, UnsupportedError
from nnopt.objectives.losses import LOSSES, loss_function
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective

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
    curvature, step = loss.curvature(loss.bend(z.T)), 1e-6
    assert curvature.shape == (outputs, outputs, 5)
    for c in range(outputs):
        move = np.zeros_like(z)
        move[:, c] = step
        difference = (summed(name, z + move, y)[1] - summed(name, z - move, y)[1]) / (2 * step)
        np.testing.assert_allclose(curvature[c], difference.T, atol=1e-8)
    v = np.random.default_rng(4).normal(size=(7, outputs, 5))
    product = np.einsum("abn,kbn->kan", curvature, v)
    np.testing.assert_allclose(loss.curvature_times(loss.bend(z.T), v), product, atol=1e-14)


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


# ---- against a computation with 400 digits


def exactly(
    name: str, row: list[float], target: int | list[float]
) -> tuple[Decimal, list[Decimal], list[list[Decimal]]]:
    """Loss, slope and curvature of one example, as defined: of 400 digits enough are left, however many cancel."""
    z = [Decimal(x) for x in row]
    same = [[Decimal(a == b) for b in range(len(z))] for a in range(len(z))]
    if name == "squared_error":
        difference = [a - Decimal(b) for a, b in zip(z, target, strict=True)]
        return sum(d * d for d in difference) / 2, difference, same
    if name == "binary_cross_entropy":
        p = z[0].exp() / (1 + z[0].exp())
        return (1 + z[0].exp()).ln() - target * z[0], [p - target], [[p * (1 - p)]]
    total = sum(a.exp() for a in z)
    p = [a.exp() / total for a in z]
    slope = [share - same[target][c] for c, share in enumerate(p)]
    return total.ln() - z[target], slope, [[p[a] * (same[a][b] - p[b]) for b in range(len(z))] for a in range(len(z))]


#: small, ordinary and huge outputs
outputs = st.one_of(
    st.floats(-5, 5), st.floats(-100, 100), st.floats(-1e4, 1e4), st.sampled_from([0.0, 1e-9, -40.0, 600.0, 1e4, -1e4])
)


@every_loss
@given(data=st.data())
def test_value_slope_and_curvature_keep_their_digits_however_far_out(name, data):
    count = OUTPUTS[name]
    rows = data.draw(st.lists(st.lists(outputs, min_size=count, max_size=count), min_size=1, max_size=4))
    z = np.array(rows)
    if name == "squared_error":
        y = np.array(data.draw(st.lists(st.lists(outputs, min_size=count, max_size=count), min_size=len(rows),
                                        max_size=len(rows))))  # fmt: skip
    else:
        y = np.array(data.draw(st.lists(st.integers(0, max(1, count - 1)), min_size=len(rows), max_size=len(rows))))
    with localcontext(Context(prec=400, Emin=-(10**6), Emax=10**6)):
        exact = [exactly(name, row, label) for row, label in zip(rows, y.tolist(), strict=True)]
        value = float(sum(loss for loss, _, _ in exact))
        slope = np.array([[float(x) for x in slopes] for _, slopes, _ in exact])
        curvature = np.array([[[float(x) for x in line] for line in bends] for _, _, bends in exact])
    total, slopes = summed(name, z, y)
    # differences of outputs are rounded before they are used; what is below 1e-300 is zero in float64
    rounding = 4e-16 * np.abs(z).max() if name == "cross_entropy" else 0.0
    assert total == pytest.approx(value, rel=1e-14 + 2 * rounding, abs=1e-300)
    assert sums_only(name, z, y) == pytest.approx(value, rel=1e-14 + 2 * rounding, abs=1e-300)
    far = {"rtol": 1e-13 + 2 * rounding, "atol": 1e-300}
    np.testing.assert_allclose(slopes, slope, **far)
    loss = loss_function(name)
    bend = loss.bend(z.T)
    np.testing.assert_allclose(np.moveaxis(loss.curvature(bend), -1, 0), curvature, **far)
    for unit in np.eye(count):
        direction = np.broadcast_to(unit[:, None], bend.shape)
        np.testing.assert_allclose(loss.curvature_times(bend, direction).T, curvature @ unit, **far)


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


@pytest.mark.parametrize("z", [20.0, 37.0, 40.0, 300.0])
def test_the_curvature_of_a_saturated_example_is_not_zero(z):
    """sigma(z) sigma(-z) = e^-z / (1 + e^-z)^2, which is e^-z far out; p (1 - p) is 0 from z = 37 on."""
    exact = math.exp(-z) / (1 + math.exp(-z)) ** 2
    binary, several = loss_function("binary_cross_entropy"), loss_function("cross_entropy")
    for logit in (z, -z):
        assert binary.curvature(binary.bend(np.array([[logit]])))[0, 0, 0] == pytest.approx(exact, rel=1e-14)
    two = several.curvature(several.bend(np.array([[z], [0.0]])))[:, :, 0]
    np.testing.assert_allclose(two, exact * np.array([[1, -1], [-1, 1]]), rtol=1e-14)


@pytest.mark.parametrize("z", [20.0, 37.0, 40.0, 300.0])
def test_two_classes_of_a_softmax_are_the_logistic_loss(z):
    """Also where the example is right by far: loss, slope and curvature are e^-z, not 0."""
    total, slopes = summed("cross_entropy", np.array([[z, 0.0]]), np.array([0]))
    logistic, slope = summed("binary_cross_entropy", np.array([[z]]), np.array([1]))
    assert total == pytest.approx(logistic, rel=1e-14) == pytest.approx(math.exp(-z), rel=1e-8)
    assert slopes[0].tolist() == pytest.approx([slope[0, 0], -slope[0, 0]], rel=1e-14)


def test_a_newton_step_of_logistic_regression_is_exact_where_every_example_is_saturated():
    """Curvature e^-40 all over: the step of f(b) = log(1 + e^-b) is (1 + e^-b), whatever the size of f''."""
    objective = NetworkObjective(Network((1, 1)), [[0.0]], [1], loss="binary_cross_entropy")
    theta = np.array([0.0, 40.0])
    assert objective.hessian(theta)[1, 1] == pytest.approx(math.exp(-40.0), rel=1e-13)
    assert objective.hvp(theta, np.array([0.0, 1.0]))[1] == pytest.approx(math.exp(-40.0), rel=1e-13)
    assert objective.gauss_newton(theta)[1, 1] == pytest.approx(math.exp(-40.0), rel=1e-13)
    step, _ = newton_step_at(objective, theta, objective.gradient(theta))
    assert step[1] == pytest.approx(1.0, rel=1e-13)


def test_cross_entropy_is_exact_far_out():
    z = np.array([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]])
    total, slopes = summed("cross_entropy", z, np.array([0, 2]))
    assert total == 2e4
    np.testing.assert_array_equal(slopes, [[0, 0, 0], [1, 0, -1]])  # e^-1e4 is less than any float64
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
