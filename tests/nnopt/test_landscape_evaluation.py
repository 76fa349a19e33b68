"""Grids with several threads, progress and callbacks; projected paths; where a plane is convex."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt.analysis.landscape import (
    ConvexityMap,
    Plane,
    Slice,
    axes,
    convexity_map,
    convexity_of_grid,
    grid,
    losses,
    not_convex,
    progressive_grid,
    project_path,
    refine,
    slice_values,
    values_at,
)
from nnopt.analysis.parallel import in_parts
from nnopt.errors import SettingsError, ShapeError
from nnopt.objectives import functions

AXES = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))


@pytest.fixture
def plane(objective):
    d1, d2 = np.random.default_rng(1).standard_normal((2, objective.size))
    return Plane(objective.network.initial(1), d1, d2)


# ---- several threads


@given(st.integers(0, 700), st.integers(1, 4), st.integers(1, 100))
def test_parts_put_together_are_the_whole(count, threads, least):
    found = in_parts(
        lambda part: np.arange(part.start, part.stop) ** 2.0, count, (), threads, lambda share: None, least
    )
    np.testing.assert_array_equal(found, np.arange(count) ** 2.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_several_threads_give_the_losses_of_one(objective, plane, dtype):
    one = grid(objective, plane, 2.0, 41, dtype)
    several = grid(objective, plane, 2.0, 41, dtype, threads=3)
    np.testing.assert_allclose(several, one, rtol=1e-12 if dtype == np.float64 else 1e-5)
    line = Slice(plane.origin, plane.d1)
    s = np.linspace(-1, 1, 300)
    np.testing.assert_allclose(
        slice_values(objective, line, s, threads=2), slice_values(objective, line, s), rtol=1e-12
    )


def test_several_threads_serve_functions_and_user_classes_too():
    f, seen = functions.get("rosenbrock"), set()

    class OnlyValue:
        size = 2

        def value(self, theta):
            seen.add(threading.get_ident())
            return f.value(theta)

    np.testing.assert_array_equal(grid(f, AXES, 2.0, 33, threads=2), grid(f, AXES, 2.0, 33))
    np.testing.assert_allclose(grid(OnlyValue(), AXES, 2.0, 33, threads=2), grid(f, AXES, 2.0, 33), rtol=1e-12)
    assert threading.get_ident() not in seen
    # overflow in a thread is as quiet as on the caller's
    assert np.isinf(grid(f, AXES, 1e200, 21, threads=2)).any()


def test_several_threads_share_any_parameter_vectors(objective):
    thetas = np.random.default_rng(2).standard_normal((501, objective.size))
    told = []
    found = losses(objective, thetas, threads=3, progress=told.append)
    np.testing.assert_allclose(found, objective.values(thetas), rtol=1e-12)
    assert told[-1] == 1.0
    assert losses(objective, np.empty((0, objective.size))).shape == (0,)


def test_coordinates_and_vectors_of_another_shape_are_refused(objective, plane):
    for coords in (np.zeros(4), np.zeros((4, 3)), np.zeros((2, 2, 2))):
        with pytest.raises(ShapeError, match=r"coords: expected shape \(K, 2\)"):
            values_at(objective, plane, coords)
    with pytest.raises(ShapeError, match=r"expected shape \(K, 1\), got \(3, 2\)"):
        slice_values(objective, Slice(plane.origin, plane.d1), np.zeros((3, 2)))
    with pytest.raises(ShapeError, match=r"thetas: expected shape \(K, P\)"):
        losses(objective, plane.origin)


def test_what_goes_wrong_in_a_thread_reaches_the_caller():
    class Broken:
        size = 2

        def value(self, theta):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        grid(Broken(), AXES, 1.0, 41, threads=2)
    with pytest.raises(SettingsError, match="threads"):
        grid(functions.get("booth"), AXES, 1.0, 5, threads=0)


# ---- progress


@pytest.mark.parametrize("threads", [1, 2])
def test_progress_is_told_on_the_calling_thread_and_ends_at_one(objective, plane, threads):
    told = []
    values = grid(
        objective, plane, 2.0, 41, threads=threads, progress=lambda share: told.append((share, threading.get_ident()))
    )
    shares = [share for share, _ in told]
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert {thread for _, thread in told} == {threading.get_ident()}
    np.testing.assert_allclose(values, grid(objective, plane, 2.0, 41), rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_progress_that_returns_false_stops_the_work(objective, plane, threads):
    coords = np.random.default_rng(0).standard_normal((4000, 2))
    values = values_at(objective, plane, coords, threads=threads, progress=lambda share: share < 0.2)
    missing = np.isnan(values).mean()
    assert 0.3 < missing < 0.9


def test_refining_calls_back_with_every_grid_and_evaluates_each_point_once(objective, plane):
    class Counting:
        size = objective.size
        points = 0

        def values(self, thetas):
            self.points += len(thetas)
            return objective.values(thetas)

    counting, seen = Counting(), []
    finest = refine(counting, plane, 2.0, lambda n, losses: seen.append((n, losses)))
    assert [n for n, _ in seen] == [13, 25, 49, 97]
    assert counting.points == 97 * 97
    assert seen[-1][1].shape == (97, 97)
    np.testing.assert_allclose(finest, grid(objective, plane, 2.0, 97, np.float64), rtol=1e-12)
    np.testing.assert_allclose(seen[0][1], finest[::8, ::8], rtol=1e-12)


def test_refining_ends_where_the_callback_says_so(objective, plane):
    calls = []
    found = refine(objective, plane, 2.0, lambda n, losses: calls.append(n) or n < 25)
    assert calls == [13, 25]
    assert found.shape == (25, 25)


def test_progressive_grids_with_threads_are_the_same(objective, plane):
    one = list(progressive_grid(objective, plane, 2.0, (9, 17, 33)))
    two = list(progressive_grid(objective, plane, 2.0, (9, 17, 33), threads=2))
    for (n, a), (m, b) in zip(one, two, strict=True):
        assert n == m
        np.testing.assert_allclose(a, b, rtol=1e-5)


# ---- projected paths


def test_a_projected_path_tells_true_losses_and_distances(objective, plane):
    path = plane.origin + 0.1 * np.random.default_rng(4).standard_normal((7, objective.size)).cumsum(axis=0)
    found = project_path(objective, plane, path)
    np.testing.assert_allclose(found.losses, [objective.value(theta) for theta in path])
    feet = plane.points(found.coords)
    np.testing.assert_allclose(found.below, [objective.value(theta) for theta in feet])
    np.testing.assert_allclose(found.distances, np.linalg.norm(path - feet, axis=1))
    assert not np.allclose(found.losses, found.below)
    within = project_path(objective, plane, plane.points([[0.5, -1.0], [0.0, 0.3]]), threads=2)
    np.testing.assert_allclose(within.losses, within.below)
    assert project_path(objective, Slice(plane.origin, plane.d1), path).coords.shape == (7, 1)
    with pytest.raises(ShapeError, match=r"\(K, 25\)"):
        project_path(objective, plane, path[0])


# ---- convexity


@pytest.mark.parametrize("name", ["himmelblau", "six_hump_camel", "mccormick"])
def test_the_convexity_of_a_function_is_the_sign_of_its_smallest_eigenvalue(name):
    f = functions.get(name)
    a, b = axes(3.0, (21, 15))
    found = convexity_map(f, AXES, a, b)
    expected = np.array([[np.linalg.eigvalsh(f.hessian(np.array([x, y]))) for y in b] for x in a])
    np.testing.assert_allclose(found.smallest, expected[..., 0], atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(found.largest, expected[..., 1], atol=1e-9 * np.abs(expected).max())
    np.testing.assert_array_equal(found.signs, np.sign(expected[..., 0]))
    assert found.share == pytest.approx(np.mean(expected[..., 0] >= 0))


def test_of_a_network_it_is_that_of_the_slice_hessian(objective, plane):
    a, b = axes(1.5, 7)
    found = convexity_map(objective, plane, a, b, threads=2)
    for i, j in ((0, 0), (2, 5), (6, 3)):
        hessian = plane.moved(plane.point(a[i], b[j])).model(objective).hessian
        np.testing.assert_allclose([found.smallest[i, j], found.largest[i, j]], np.linalg.eigvalsh(hessian), atol=1e-10)


def test_from_samples_it_is_about_the_exact_one(objective, plane):
    a, b = axes(1.5, 61)
    exact = convexity_map(objective, plane, a[::10], b[::10])
    sampled = convexity_of_grid(a, b, grid(objective, plane, 1.5, 61, np.float64))
    scale = np.abs(exact.largest).max()
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(sampled.smallest[::10, ::10][inner], exact.smallest[inner], atol=0.02 * scale)
    np.testing.assert_array_equal(
        sampled.signs[::10, ::10][inner][np.abs(exact.smallest[inner]) > 0.02 * scale],
        exact.signs[inner][np.abs(exact.smallest[inner]) > 0.02 * scale],
    )


def test_the_signs_do_not_depend_on_how_the_plane_is_spanned(objective, plane):
    a, b = axes(1.0, 5)
    skew = Plane(plane.origin, plane.d1, plane.d2)
    stretched = Plane(plane.origin, 10 * plane.d1, 0.1 * plane.d2)
    np.testing.assert_array_equal(
        convexity_map(objective, skew, a, b).signs, convexity_map(objective, stretched, a / 10, b * 10).signs
    )


def test_a_linear_function_is_flat_and_infinite_losses_have_no_sign():
    a, b = axes(1.0, 5)
    plain = convexity_of_grid(a, b, 1e6 + 0.1 * a[:, None] + 0.2 * b)
    assert not plain.signs.any()
    assert plain.share == 1.0
    wall = np.where(a[:, None] > 0.4, np.inf, a[:, None] ** 2 + b**2)
    assert convexity_of_grid(a, b, wall).signs[1, 1] == 1
    with pytest.raises(ShapeError, match="n1, n2"):
        convexity_of_grid(a, b, np.zeros((5, 4)))


def test_a_curvature_that_is_rounding_beside_the_largest_has_no_sign():
    smallest, largest = np.array([[-3e-14, -1e-6, -0.5]]), np.array([[2.0, 2.0, -1e-14]])
    found = ConvexityMap(np.zeros(1), np.arange(3.0), smallest, largest)
    assert found.signs.tolist() == [[0, -1, -1]]
    assert found.share == pytest.approx(1 / 3)
    assert not_convex([0.0, 1.0, 2.0, 3.0], [2.0, -3e-14, 0.0, 1.0]) == []
    assert not_convex([0.0, 1.0, 2.0, 3.0], [2.0, -3e-14, -1.0, 1.0]) == [(1.0, 2.5)]
