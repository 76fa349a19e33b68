"""Slices, planes and directions: geometry, losses on them, what the model needs, windows and levels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt.analysis import directions
from nnopt.analysis.curvature import newton_step
from nnopt.analysis.directions import Context, direction, plane_of_steps, principal_components, valley_axes
from nnopt.analysis.landscape import (
    Plane,
    Slice,
    axes,
    grid,
    log_levels,
    not_convex,
    progressive_grid,
    second_difference,
    slice_curvature,
    slice_values,
    window,
)
from nnopt.errors import SettingsError, ShapeError, UnknownNameError, UnsupportedError
from nnopt.objectives import functions


@pytest.fixture
def oblique(theta):
    d1, d2 = np.random.default_rng(1).standard_normal((2, theta.size))
    return Plane(theta, 3 * d1, d2 + d1)


class OnlyValue:
    """A user's own class with nothing but a value; infinite and NaN in places."""

    size = 2

    def value(self, theta):
        if theta[0] > 0.9:
            return float("inf")
        return float("nan") if theta[1] > 0.9 else float(theta @ theta)


# ---- geometry


@given(st.tuples(st.floats(-5, 5), st.floats(-5, 5)))
def test_a_point_of_the_plane_projects_onto_its_own_coordinates(coords):
    d1, d2 = np.random.default_rng(1).standard_normal((2, 9))
    flat = Plane(np.arange(9.0), 3 * d1, d2 + d1)
    found, distance = flat.project(flat.point(*coords))
    np.testing.assert_allclose(found, coords, atol=1e-12)
    assert distance < 1e-12


def test_projection_gives_the_nearest_point_and_its_distance(oblique):
    outside = np.random.default_rng(2).standard_normal((4, oblique.origin.size))
    coords, distance = oblique.project(outside)
    away = outside - oblique.points(coords)
    np.testing.assert_allclose(away @ oblique.directions.T, 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), distance)


def test_the_share_of_a_step_is_the_part_of_its_length_in_the_plane(oblique):
    unit = oblique.orthonormal()
    across = np.random.default_rng(3).standard_normal(oblique.origin.size)
    across -= unit.directions.T @ (unit.directions @ across)
    across /= np.linalg.norm(across)
    assert oblique.share(2 * oblique.d1 - oblique.d2) == pytest.approx(1)
    assert oblique.share(across) == pytest.approx(0, abs=1e-12)
    assert oblique.share(3e-200 * unit.d1 + 4e-200 * across) == pytest.approx(0.6)
    assert oblique.share(np.zeros_like(across)) == 1


def test_an_orthonormal_plane_is_the_same_plane(oblique):
    unit = oblique.orthonormal()
    np.testing.assert_allclose(unit.directions @ unit.directions.T, np.eye(2), atol=1e-14)
    np.testing.assert_allclose(unit.project(oblique.points([[1, 2], [-3, 4]]))[1], 0, atol=1e-12)
    assert unit.d1 @ oblique.d1 > 0


def test_a_line_projects_like_a_plane(theta):
    line = Slice(theta, np.full(theta.size, 2.0))
    coords, distance = line.project(line.points([0.5, -1.0]))
    np.testing.assert_allclose(coords, [0.5, -1.0])
    np.testing.assert_allclose(distance, 0, atol=1e-12)
    assert line.share(line.direction) == pytest.approx(1)


def test_degenerate_axes_are_refused(theta):
    with pytest.raises(ShapeError, match="length > 0"):
        Slice(theta, np.zeros_like(theta))
    with pytest.raises(ShapeError, match="one shape"):
        Plane(theta, np.ones(3), np.ones(3))
    with pytest.raises(ShapeError, match="parallel"):
        Plane(np.zeros(2), np.array([1.0, 1.0]), np.array([2.0, 2.0])).orthonormal()


# ---- losses


def test_a_grid_holds_the_losses_with_the_first_axis_along_d1(objective, oblique):
    losses = grid(objective, oblique, (-1, 2, -0.5, 0.5), (4, 3), np.float64)
    a, b = axes((-1, 2, -0.5, 0.5), (4, 3))
    expected = [[objective.value(oblique.point(s, t)) for t in b] for s in a]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    assert grid(objective, oblique, 1.0, 5).shape == (5, 5)
    np.testing.assert_allclose(
        grid(objective, oblique, 1.0, 5), grid(objective, oblique, 1.0, 5, np.float64), rtol=1e-4
    )


def test_functions_and_user_classes_have_grids_too():
    f = functions.get("himmelblau")
    flat = directions.natural_plane(Context(f, np.array([1.0, 1.0])))
    assert flat.labels == ("x", "y")
    assert grid(f, flat, 4.0, 9)[0, 8] == pytest.approx(f.value(np.array([-4.0, 4.0])))
    losses = grid(OnlyValue(), flat, 1.0, 5)
    assert losses[1, 1] == 0.5
    assert np.isposinf(losses[4]).all()
    assert np.isnan(losses[:4, 4]).all()


def test_losses_that_overflow_are_returned_as_they_are():
    f = functions.get("rosenbrock")
    losses = grid(f, Plane(np.zeros(2), np.array([1.0, 0]), np.array([0, 1.0])), 1e200, 3)
    assert np.isfinite(losses[1, 1])
    assert not np.isfinite(losses[0, 0])


def test_progressive_grids_end_in_the_fine_grid(objective, oblique):
    results = list(progressive_grid(objective, oblique, 2.0, (4, 7, 13, 20)))
    assert [n for n, _ in results] == [4, 7, 13, 20]
    for n, losses in results:
        np.testing.assert_allclose(losses, grid(objective, oblique, 2.0, n), rtol=1e-5)


def test_a_bad_extent_is_refused(objective, oblique):
    for extent in (0.0, (1, 0, 0, 1), (0, 1), float("nan")):
        with pytest.raises(SettingsError, match="extent"):
            grid(objective, oblique, extent, 5)
    with pytest.raises(SettingsError, match="at least 2"):
        grid(objective, oblique, 1.0, 1)


def test_slice_values_and_curvature_agree_with_the_objective(objective, theta):
    line = direction("gradient", Context(objective, theta)).slice(theta)
    s = np.linspace(-2, 3, 201)
    values = slice_values(objective, line, s)
    assert values[80] == pytest.approx(objective.value(theta))
    exact = slice_curvature(objective, line, s)
    assert exact[80] == pytest.approx(line.direction @ objective.hessian(theta) @ line.direction)
    np.testing.assert_allclose(second_difference(s, values)[1:-1], exact[1:-1], atol=2e-3 * np.abs(exact).max())


def test_where_a_curve_is_not_convex_is_found_between_the_inflections():
    s = np.linspace(-3, 3, 301)
    for curvature in (12 * s**2 - 4, second_difference(s, s**4 - 2 * s**2)):
        ((low, high),) = not_convex(s, curvature)
        assert low == pytest.approx(-1 / np.sqrt(3), abs=1e-3)
        assert high == pytest.approx(1 / np.sqrt(3), abs=1e-3)
    assert not_convex(s, -np.ones_like(s)) == [(-3.0, 3.0)]
    assert not_convex(s, np.ones_like(s)) == []
    assert not_convex(s, second_difference(s, 0.1 * s + 1e6)) == []


# ---- directions


def test_the_plane_of_the_steps_contains_both_exactly(objective, theta):
    gradient = objective.gradient(theta)
    newton, _ = newton_step(objective.hessian(theta), gradient)
    flat = directions.plane("gradient", "newton", Context(objective, theta))
    assert flat.labels == ("along the gradient step", "along the rest of the Newton step")
    for step in (-0.1 * gradient, newton):
        coords, distance = flat.project(theta + step)
        assert distance < 1e-9 * np.linalg.norm(step)
        np.testing.assert_allclose(flat.point(*coords), theta + step, atol=1e-9)
    np.testing.assert_allclose(flat.directions @ flat.directions.T, np.eye(2), atol=1e-12)
    (along, rest), _ = flat.project(theta - 0.1 * gradient)
    assert along > 0
    assert rest == pytest.approx(0, abs=1e-12)


def test_parallel_or_missing_steps_still_give_a_plane():
    step = np.array([1.0, 0.0, 0.0])
    flat = plane_of_steps(np.zeros(3), step, -4 * step)
    assert flat.labels[1] == "any direction across it"
    assert flat.share(step) == pytest.approx(1)
    only_newton = plane_of_steps(np.zeros(3), np.zeros(3), step)
    assert only_newton.labels[0] == "along the Newton step"
    with pytest.raises(UnsupportedError, match="zero"):
        plane_of_steps(np.zeros(3), np.zeros(3), np.zeros(3))


def test_random_directions_have_the_norm_of_each_unit_s_weights_and_no_bias(objective, theta):
    network = objective.network
    theta = theta.copy()
    for block in network.layers(theta):
        block[:, -1] = 5.0  # a bias is no part of the norm
    found = direction("random:3", Context(objective, theta)).vector
    for rows, weights in zip(network.layers(found), network.layers(theta), strict=True):
        for row, unit in zip(rows.tolist(), weights.tolist(), strict=True):
            assert math.hypot(*row[:-1]) == pytest.approx(math.hypot(*unit[:-1]))
        assert not rows[:, -1].any()
    np.testing.assert_array_equal(found, direction("random:3", Context(objective, theta)).vector)
    assert not np.array_equal(found, direction("random:4", Context(objective, theta)).vector)


def test_a_random_direction_has_the_scale_of_the_weights_whatever_the_biases(objective, theta):
    moved = theta.copy()
    for block in objective.network.layers(moved):
        block[:, -1] += 100.0
    vectors = [direction("random:3", Context(objective, at)).vector for at in (theta, moved)]
    np.testing.assert_array_equal(*vectors)
    biases = 1.0 - objective.network.weight_mask
    with pytest.raises(UnsupportedError, match="all weights are zero"):
        direction("random:3", Context(objective, biases))


def test_principal_components_of_a_trajectory_state_what_they_explain():
    t = np.linspace(0, 1, 50)
    path = np.outer(3 * t, [1, 0, 0, 0]) + np.outer(np.sin(9 * t), [0, 1, 0, 0]) + 7
    vectors, explained = principal_components(path)
    assert explained.sum() == pytest.approx(1)
    assert explained[0] > explained[1] > 0
    away = path - path.mean(axis=0)
    np.testing.assert_allclose(np.sum((away @ vectors.T) ** 2, axis=0) / np.sum(away**2), explained)
    assert np.all(vectors @ (path[-1] - path[0]) > 0)


def test_a_straight_path_has_one_component_and_a_point_none():
    path = np.outer(np.arange(5.0), [1.0, 2.0])
    vectors, explained = principal_components(path)
    np.testing.assert_allclose(np.abs(vectors), [[1 / np.sqrt(5), 2 / np.sqrt(5)]])
    assert explained == pytest.approx([1])
    assert len(principal_components(np.ones((4, 3)))[0]) == 0
    with pytest.raises(UnsupportedError, match="line or point"):
        direction("pca2", Context(None, path[0], trajectory=path))


def test_named_directions_are_what_they_say(objective, theta):
    target = theta + 1
    context = Context(objective, theta, target=target)
    np.testing.assert_array_equal(direction("coordinate:4", context).vector, np.eye(theta.size)[4])
    gradient = objective.gradient(theta)
    np.testing.assert_allclose(direction("gradient", context).vector, -gradient / np.linalg.norm(gradient))
    np.testing.assert_allclose(theta + direction("towards", context).vector, target)
    v = direction("eigenvector:0", context).vector
    assert v @ objective.hessian(theta) @ v == pytest.approx(np.linalg.eigvalsh(objective.hessian(theta))[-1])
    step, _ = newton_step(objective.hessian(theta) + 5 * np.eye(theta.size), gradient)
    damped = direction("newton", Context(objective, theta, damping=5.0))
    np.testing.assert_allclose(damped.vector, step / np.linalg.norm(step), atol=1e-9)
    assert damped.label == "along the damped Newton step"


def test_directions_that_do_not_exist_are_explained(objective, theta):
    context = Context(objective, theta)
    with pytest.raises(UnknownNameError, match="gradient"):
        direction("gradiant", context)
    with pytest.raises(SettingsError, match=r"0 \.\. 24"):
        direction("coordinate:25", context)
    with pytest.raises(SettingsError, match="number"):
        direction("random:x", context)
    with pytest.raises(UnsupportedError, match="trajectory"):
        direction("pca1", context)
    with pytest.raises(UnsupportedError, match="target"):
        direction("towards", context)
    bowl = functions.get("booth")
    with pytest.raises(UnsupportedError, match="gradient is zero"):
        direction("gradient", Context(bowl, np.array(bowl.minima[0].theta)))


def test_any_two_directions_span_a_plane_at_right_angles_when_asked(objective, theta):
    context = Context(objective, theta)
    straight = directions.plane("random:0", "random:1", context)
    assert straight.d1 @ straight.d2 == pytest.approx(0, abs=1e-12)
    assert straight.labels[1].startswith("rest of")
    oblique = directions.plane("random:0", "random:1", context, orthogonal=False)
    assert straight.share(oblique.d2) == pytest.approx(1)
    np.testing.assert_array_equal(oblique.d2, direction("random:1", context).vector)
    with pytest.raises(UnsupportedError, match="parallel"):
        directions.plane("gradient", "gradient", context)


def test_valley_axes_lay_the_valley_along_the_first_axis():
    f = functions.get("quadratic", condition=50, rotation=30)
    flat = directions.natural_plane(Context(f, f.start)).moved(np.array(f.start))
    turned = valley_axes(flat, flat.model(f).hessian)
    hessian = turned.model(f).hessian
    assert hessian[0, 1] == pytest.approx(0, abs=1e-12)
    assert hessian[1, 1] == pytest.approx(50 * hessian[0, 0])
    assert turned.labels == ("along the valley", "across the valley")


def test_valley_axes_of_an_oblique_plane_are_those_of_the_true_plane(objective, oblique):
    turned = valley_axes(oblique, oblique.model(objective).hessian)
    np.testing.assert_allclose(turned.directions @ turned.directions.T, np.eye(2), atol=1e-12)
    hessian = turned.model(objective).hessian
    assert hessian[0, 1] == pytest.approx(0, abs=1e-9)
    assert abs(hessian[0, 0]) <= abs(hessian[1, 1])
    np.testing.assert_allclose(oblique.project(turned.point(1.0, 2.0))[1], 0, atol=1e-9)


def test_axes_that_only_change_places_keep_their_names():
    flat = Plane(np.zeros(2), np.array([1.0, 0]), np.array([0, 1.0]), ("steep", "gentle"))
    turned = valley_axes(flat, np.diag([50.0, 1.0]))
    assert turned.labels == ("gentle", "steep")
    np.testing.assert_array_equal(turned.directions, [[0, 1], [1, 0]])


def test_functions_of_one_parameter_are_their_own_slice():
    f = functions.get("double_well")
    line = directions.natural_slice(Context(f, np.array([0.7])))
    assert line.label == "x"
    np.testing.assert_allclose(
        slice_values(f, line, [0.7, -2.0]), [f.value(np.array([0.7])), f.value(np.array([-2.0]))]
    )


# ---- how to show it


def test_a_window_has_the_marks_in_its_middle_half():
    marks = np.array([[0.0, 0.0], [4.0, 1.0], [np.nan, 9.0]])
    a0, a1, b0, b1 = window(marks)
    assert (a0, a1) == (-2, 6)
    assert (b0, b1) == (-0.5, 1.5)
    a0, a1, b0, b1 = window(marks, aspect=2.0)
    assert (a1 - a0) / (b1 - b0) == pytest.approx(2)
    assert a0 <= -2
    assert b1 >= 1.5
    assert window([1.0, 3.0]) == (0, 4)


def test_a_window_of_a_single_point_or_of_none_has_a_size():
    low, high = window([5.0])
    assert low < 5 < high
    a0, a1, b0, b1 = window(np.full((2, 2), np.nan))
    assert a0 < a1
    assert b0 < b1


@pytest.mark.parametrize("name", ["rosenbrock", "six_hump_camel", "ackley", "beale"])
def test_levels_lie_within_the_values_and_densely_near_the_lowest(name):
    f = functions.get(name)
    values = grid(f, directions.natural_plane(Context(f, f.start)), 2.0, 101)
    levels = log_levels(values, 12)
    assert len(levels) == 12
    assert np.all(np.diff(levels) > 0)
    assert np.all(np.diff(levels, 2) > 0)
    assert values.min() < levels[0]
    assert levels[-1] < values.max()
    # every band between two levels has something in it
    assert np.all(np.histogram(values, levels)[0] > 0)


def test_levels_survive_wild_and_equal_values():
    wild = np.concatenate([np.linspace(0.1, 2, 500), [np.inf, -np.inf, np.nan, 1e300]])
    levels = log_levels(wild, 8)
    assert len(levels) == 8
    assert levels[-1] < 10
    assert len(log_levels([1.0, 1.0, np.nan])) == 0
    assert len(log_levels([])) == 0


def test_the_points_of_a_grid_may_be_counted_by_numpy_and_nothing_else_is_taken():
    plane, f = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0])), functions.get("booth")
    assert grid(f, plane, 1.0, np.int64(5)).shape == (5, 5)
    assert grid(f, plane, 1.0, np.array([5, 4])).shape == (5, 4)
    for extent, n in (("a", 5), (1.0, "b"), (1.0, None), (None, 5)):
        with pytest.raises(SettingsError):
            grid(f, plane, extent, n)
