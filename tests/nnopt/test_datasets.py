"""Generated data against the definitions of Playground and ConvNetJS; editing, splitting, drawing by hand."""

import math
import pickle
from typing import get_args, get_type_hints

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt.errors import DataError, SettingsError, ShapeError, UnknownNameError
from nnopt.objectives import datasets
from nnopt.objectives.datasets import Dataset, split
from nnopt.objectives.drawn import Points
from nnopt.objectives.generators import (
    Blobs3,
    Checkerboard,
    Circle,
    Gauss,
    Moons,
    Plane,
    RandomLabels,
    Sine,
    Spiral,
    Spiral3,
    Xor,
)

GENERATED = [
    "circle", "xor", "gauss", "spiral", "spiral3", "moons", "checkerboard", "random_labels", "blobs3", "plane", "sine",
]  # fmt: skip
NOISY = [name for name in GENERATED if name != "random_labels"]


def radius(X):
    return np.hypot(X[:, 0], X[:, 1])


def test_the_registry_has_every_data_set():
    assert set(datasets.names()) == {*GENERATED, "iris", "csv", "points"}


@pytest.mark.parametrize("name", GENERATED)
def test_same_seed_same_bits_and_another_seed_other_points(name):
    data = datasets.get(name)
    first, again, other = data.make(42), data.make(42), data.make(43)
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.y, again.y)
    if name not in ("spiral", "spiral3"):
        assert not np.array_equal(first.X, other.X)


@pytest.mark.parametrize("name", GENERATED)
def test_generated_data_is_complete_and_read_only(name):
    data = datasets.get(name)
    made = data.make(1)
    assert made.n == data.points == len(made.y)
    assert made.X.dtype == np.float64
    assert made.inputs == len(made.features) == made.X.shape[1]
    assert np.abs(made.X).max() < 20
    assert not made.X.flags.writeable
    assert not made.y.flags.writeable
    assert data.name == name
    assert data.title
    assert data.source
    if made.task == "classification":
        assert set(np.unique(made.y)) == set(range(len(made.classes)))
        assert made.loss == ("cross_entropy" if len(made.classes) > 2 else "binary_cross_entropy")
        assert made.outputs == (3 if len(made.classes) == 3 else 1)
    else:
        assert made.loss == "squared_error"
        assert made.outputs == 1
        assert made.classes == ()


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize("points", [2, 3, 7, 101])
def test_any_number_of_points_is_made_exactly(name, points):
    made = datasets.get(name, points=points).make(0)
    assert made.n == points
    if name in ("circle", "gauss", "spiral", "moons"):
        assert abs(np.sum(made.y == 0) - np.sum(made.y == 1)) <= 1


@pytest.mark.parametrize("name", NOISY)
def test_noise_changes_the_data(name):
    calm, noisy = datasets.get(name, noise=0).make(5), datasets.get(name, noise=50).make(5)
    assert not (np.array_equal(calm.X, noisy.X) and np.array_equal(calm.y, noisy.y))


def test_circle_is_playgrounds_disc_in_a_ring():
    made = Circle(points=2000).make(3)
    inside, outside = radius(made.X[made.y == 1]), radius(made.X[made.y == 0])
    assert len(inside) == len(outside) == 1000
    assert inside.max() <= 2.5 < 3.5 <= outside.min() <= outside.max() <= 5
    assert inside.mean() == pytest.approx(1.25, abs=0.1)
    assert outside.mean() == pytest.approx(4.25, abs=0.1)


def test_circle_of_convnetjs_has_its_radii_and_an_even_ring():
    made = Circle(points=100, definition="convnetjs").make(3)
    inside, outside = made.X[made.y == 1], made.X[made.y == 0]
    assert radius(inside).max() <= 2 < 3 <= radius(outside).min() <= radius(outside).max() <= 5
    angles = np.sort(np.arctan2(outside[:, 0], outside[:, 1]) % (2 * math.pi))
    np.testing.assert_allclose(np.diff(angles), 2 * math.pi / 50, atol=1e-9)


def test_noise_on_the_circle_flips_labels_and_leaves_points():
    calm, noisy = Circle().make(9), Circle(noise=30).make(9)
    np.testing.assert_array_equal(calm.X, noisy.X)
    assert 10 < np.sum(calm.y != noisy.y) < 200


def test_xor_is_padded_and_labelled_by_the_signs():
    made = Xor().make(2)
    assert np.abs(made.X).min() >= 0.3
    assert 5 < np.abs(made.X).max() <= 5.3
    np.testing.assert_array_equal(made.y == 1, made.X[:, 0] * made.X[:, 1] >= 0)


@pytest.mark.parametrize(("noise", "variance"), [(0, 0.5), (10, 1.2), (50, 4.0)])
def test_clouds_have_playgrounds_centres_and_variance(noise, variance):
    made = Gauss(points=20_000, noise=noise).make(4)
    for label, centre in ((1, 2.0), (0, -2.0)):
        cloud = made.X[made.y == label]
        np.testing.assert_allclose(cloud.mean(axis=0), centre, atol=0.1)
        np.testing.assert_allclose(cloud.var(axis=0), variance, rtol=0.05)


def test_spiral_is_playgrounds_formula():
    made = Spiral(points=500).make(0)
    for label, turned in ((1, 0.0), (0, math.pi)):
        arm = made.X[made.y == label]
        i = np.arange(250)
        angle = 1.75 * i / 250 * 2 * math.pi + turned
        np.testing.assert_allclose(arm[:, 0], 5 * i / 250 * np.sin(angle), atol=1e-12)
        np.testing.assert_allclose(arm[:, 1], 5 * i / 250 * np.cos(angle), atol=1e-12)
    moved = Spiral(points=500, noise=20).make(0).X - made.X
    assert 0.19 < np.abs(moved).max() <= 0.2


def test_spiral_of_convnetjs_makes_one_and_a_quarter_turns_with_jitter():
    made = Spiral(points=200, definition="convnetjs").make(0)
    arm = made.X[made.y == 1]
    np.testing.assert_allclose(radius(arm)[5:], 5 * np.arange(100)[5:] / 100, atol=0.1)
    angle = np.unwrap(np.arctan2(arm[5:, 0], arm[5:, 1]))
    assert angle[-1] - angle[0] == pytest.approx(1.25 * 2 * math.pi * 0.94, abs=0.25)


def test_three_arms_are_a_third_of_a_turn_apart():
    made = Spiral3(points=300).make(0)
    first, second, third = (made.X[made.y == k] for k in range(3))
    third_of_turn = np.array([[math.cos(TURN), math.sin(TURN)], [-math.sin(TURN), math.cos(TURN)]])
    np.testing.assert_allclose(first @ third_of_turn.T, second, atol=1e-12)
    np.testing.assert_allclose(second @ third_of_turn.T, third, atol=1e-12)


TURN = 2 * math.pi / 3


def test_moons_interleave():
    made = Moons(points=400, noise=0).make(0)
    upper, lower = made.X[made.y == 1] / 3, made.X[made.y == 0] / 3
    np.testing.assert_allclose(radius(upper - [-0.5, -0.25]), 1, atol=1e-12)
    np.testing.assert_allclose(radius(lower - [0.5, 0.25]), 1, atol=1e-12)
    assert lower[:, 1].min() < upper[:, 1].min() < lower[:, 1].max() < upper[:, 1].max()


def test_checkerboard_alternates():
    made = Checkerboard(points=4000, cells=4).make(0)
    column, row = np.floor((made.X + 5) / 2.5).astype(int).T
    np.testing.assert_array_equal(made.y, (column + row) % 2 == 0)


def test_random_labels_are_convnetjss_forty_points():
    made = RandomLabels().make(0)
    assert made.n == 40
    assert np.abs(made.X).max() <= 3
    assert abs(RandomLabels(points=10_000).make(0).y.mean() - 0.5) < 0.02


def test_three_clouds_lie_on_a_circle():
    made = Blobs3(points=30_000).make(0)
    centres = np.array([made.X[made.y == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(radius(centres), 3, atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1), 3 * 3**0.5, atol=0.05)


def test_plane_is_a_tenth_of_the_sum():
    made = Plane().make(0)
    np.testing.assert_allclose(made.y, made.X.sum(axis=1) / 10)
    assert np.abs(made.X).max() <= 6
    assert np.abs(Plane(noise=50).make(0).y - made.y).max() > 0.1


def test_sine_is_a_sine_of_one_input():
    made = Sine(noise=0).make(0)
    assert made.X.shape == (100, 1)
    np.testing.assert_allclose(made.y, np.sin(made.X[:, 0]))
    assert np.abs(Sine(noise=20).make(0).y - made.y).max() <= 0.2


@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize(
    "settings", [{"noise": 51}, {"noise": -1}, {"noise": math.nan}, {"points": 1}, {"points": 10.5}, {"points": 10**7}]
)
def test_settings_out_of_range_are_refused(name, settings):
    with pytest.raises(SettingsError):
        datasets.get(name, **settings)
    with pytest.raises(SettingsError):
        datasets.Data.registry.get(name)(**settings)


def test_choices_and_names_are_refused_with_what_is_known():
    with pytest.raises(SettingsError, match="'playground', 'convnetjs'"):
        Circle(definition="karpathy")
    with pytest.raises(UnknownNameError, match="did you mean 'spiral'"):
        datasets.get("spirale")
    with pytest.raises(SettingsError, match="seed"):
        Circle().make(-1)
    with pytest.raises(SettingsError, match="seed"):
        Circle().make(1.5)


@pytest.mark.parametrize("name", GENERATED)
def test_makers_survive_pickling_and_json(name):
    data = datasets.get(name, points=11)
    assert pickle.loads(pickle.dumps(data)) == data
    raw = msgspec.json.decode(msgspec.json.encode(data))
    assert datasets.Data.registry.decode(raw) == data
    made = pickle.loads(pickle.dumps(data.make(0)))
    np.testing.assert_array_equal(made.X, data.make(0).X)


def test_settings_carry_label_unit_and_range_for_the_forms():
    hints = get_type_hints(Circle, include_extras=True)
    noise, points = get_args(hints["noise"])[1], get_args(hints["points"])[1]
    assert (noise.title, noise.extra["unit"], noise.ge, noise.le) == ("noise", "%", 0, 50)
    assert (points.title, points.extra["slider"]) == ("points", (10, 5000))


# --- editing -------------------------------------------------------------------------------------------------------


def test_an_added_example_is_the_last_and_the_old_data_stays():
    before = Circle(points=10).make(0)
    after = before.with_example([1.0, 2.0], 1)
    assert (before.n, after.n) == (10, 11)
    np.testing.assert_array_equal(after.X[-1], [1.0, 2.0])
    assert after.y[-1] == 1
    assert after.y.dtype == before.y.dtype
    np.testing.assert_array_equal(after.X[:-1], before.X)
    assert not after.X.flags.writeable
    assert after.classes == before.classes


def test_moving_and_removing_touch_one_example_only():
    before = Xor(points=10).make(0)
    moved = before.moved(3, [9.0, -9.0])
    np.testing.assert_array_equal(moved.X[3], [9.0, -9.0])
    np.testing.assert_array_equal(np.delete(moved.X, 3, axis=0), np.delete(before.X, 3, axis=0))
    np.testing.assert_array_equal(moved.y, before.y)
    fewer = before.without(3)
    np.testing.assert_array_equal(fewer.X, np.delete(before.X, 3, axis=0))
    np.testing.assert_array_equal(fewer.y, np.delete(before.y, 3))


def test_a_regression_target_is_added_as_a_number():
    assert Sine(points=5).make(0).with_example([0.5], 0.25).y[-1] == 0.25


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda data: data.with_example([1.0], 0), ShapeError),
        (lambda data: data.with_example([1.0, math.nan], 0), DataError),
        (lambda data: data.with_example([1.0, 2.0], 2), DataError),
        (lambda data: data.with_example([1.0, 2.0], -1), DataError),
        (lambda data: data.with_example([1.0, 2.0], 0.5), DataError),
        (lambda data: data.with_example([1.0, 2.0], math.nan), DataError),
        (lambda data: data.moved(10, [0.0, 0.0]), DataError),
        (lambda data: data.moved(-1, [0.0, 0.0]), DataError),
        (lambda data: data.moved(0, [0.0, 0.0, 0.0]), ShapeError),
        (lambda data: data.without(10), DataError),
    ],
)
def test_edits_that_do_not_fit_are_refused(edit, error):
    with pytest.raises(error):
        edit(Circle(points=10).make(0))


def test_a_dataset_whose_parts_do_not_fit_is_refused():
    with pytest.raises(ShapeError):
        Dataset(np.zeros((3, 2)), np.zeros(2), "regression")
    with pytest.raises(ShapeError):
        Dataset(np.zeros((3, 3)), np.zeros(3), "regression")
    with pytest.raises(DataError, match="not finite"):
        Dataset(np.full((3, 2), np.inf), np.zeros(3), "regression")
    with pytest.raises(DataError, match="classes 0 to 1"):
        Dataset(np.zeros((3, 2)), np.array([0, 1, 2]), "classification", ("a", "b"))


def test_the_callers_array_is_not_shared():
    X = np.zeros((3, 2))
    data = Dataset(X, np.zeros(3), "regression")
    X[0] = 5.0
    assert data.X[0, 0] == 0.0
    assert X.flags.writeable


# --- split ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*GENERATED, "iris"])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9])
def test_a_split_is_a_partition_of_the_right_size_fixed_by_the_seed(name, fraction):
    data = datasets.get(name).make(0)
    training, validation = split(data, fraction, 7)
    np.testing.assert_array_equal(np.sort(np.concatenate([training, validation])), np.arange(data.n))
    assert len(validation) == round(data.n * fraction)
    assert np.all(np.diff(training) > 0)
    for ours, again in zip((training, validation), split(data, fraction, 7), strict=True):
        np.testing.assert_array_equal(ours, again)
    if fraction:
        assert not np.array_equal(validation, split(data, fraction, 8)[1])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.floats(0, 0.999), st.integers(0, 1000))
def test_every_class_keeps_an_example_for_training_and_its_share(labels, fraction, seed):
    y = np.array(labels)
    data = Dataset(np.zeros((len(y), 2)), y, "classification", ("a", "b", "c", "d"))
    training, validation = split(data, fraction, seed)
    assert set(y[training]) == set(labels)
    for k in set(labels):
        assert abs(np.sum(y[validation] == k) - fraction * np.sum(y == k)) <= 1
    assert len(training) + len(validation) == len(y)


def test_a_single_example_is_for_training():
    data = Dataset(np.zeros((1, 1)), np.zeros(1), "regression", features=("x",))
    training, validation = split(data, 0.9, 0)
    assert (list(training), list(validation)) == ([0], [])


@pytest.mark.parametrize("fraction", [1.0, -0.1, math.nan, 2])
def test_fractions_outside_are_refused(fraction):
    with pytest.raises(SettingsError, match="fraction"):
        split(Circle().make(0), fraction, 0)


# --- drawn by hand -------------------------------------------------------------------------------------------------


def test_drawn_points_become_a_dataset_as_they_are():
    made = Points(rows=((1.0, 2.0, 0), (-1.5, 0.0, 1), (3.0, 3.0, 1))).make(0)
    np.testing.assert_array_equal(made.X, [[1, 2], [-1.5, 0], [3, 3]])
    np.testing.assert_array_equal(made.y, [0, 1, 1])
    assert made.loss == "binary_cross_entropy"
    assert Points(classes=4).make(0).outputs == 4


def test_the_empty_drawing_can_be_edited_but_not_trained_on():
    empty = Points().make(0)
    assert (empty.n, empty.inputs) == (0, 2)
    assert empty.with_example([1.0, 1.0], 1).n == 1
    with pytest.raises(DataError, match="draw some points"):
        split(empty, 0.5, 0)


@pytest.mark.parametrize("rows", [((1.0, 2.0),), ((1.0, math.nan, 0),), ((1.0, 2.0, 2),), ((1.0, 2.0, -1),)])
def test_drawn_points_that_are_none_are_refused_with_their_place(rows):
    with pytest.raises(SettingsError, match=r"rows\[0\]"):
        Points(rows=rows)
