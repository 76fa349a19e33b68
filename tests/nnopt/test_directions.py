"""Directions and planes by name: eigenvectors, towards another solution, through three solutions."""

import numpy as np
import pytest

from nnopt.analysis import directions
from nnopt.analysis.directions import Context, direction, trajectory
from nnopt.analysis.landscape import grid, project_path
from nnopt.analysis.planes import Plane, Slice, plane_through
from nnopt.errors import SettingsError, ShapeError, UnsupportedError
from nnopt.objectives import functions
from nnopt.optimizers import get
from nnopt.runs.minimize import minimize


def test_the_plane_of_the_steepest_and_the_flattest_eigenvector_has_these_curvatures(objective, theta):
    values = np.linalg.eigvalsh(objective.hessian(theta))
    flat = directions.plane("eigenvector:0", "eigenvector:-1", Context(objective, theta))
    np.testing.assert_allclose(flat.directions @ flat.directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(flat.model(objective).hessian, np.diag([values[-1], values[0]]), atol=1e-10)
    assert flat.labels == (f"along curvature {values[-1]:.3g}", f"along curvature {values[0]:.3g}")


def test_eigenvectors_are_counted_from_both_ends(objective, theta):
    context = Context(objective, theta)
    last = direction(f"eigenvector:{theta.size - 1}", context).vector
    np.testing.assert_array_equal(direction("eigenvector:-1", context).vector, last)
    for wrong in (f"eigenvector:{theta.size}", f"eigenvector:-{theta.size + 1}", "coordinate:-1", "random:--3"):
        with pytest.raises(SettingsError, match="number"):
            direction(wrong, context)


def test_towards_another_solution_the_line_ends_there(objective, theta):
    target = objective.network.initial(2)
    found = direction("towards", Context(objective, theta, target=target))
    line = found.slice(theta)
    np.testing.assert_allclose(line.point(1.0), target)
    assert line.label == "towards the other point"
    flat = directions.plane("towards", "gradient", Context(objective, theta, target=target))
    np.testing.assert_allclose(flat.point(1.0, 0.0), target)
    assert abs(flat.d1 @ flat.d2) < 1e-12


@pytest.mark.parametrize("orthogonal", [True, False])
def test_a_plane_through_three_solutions_contains_them(objective, orthogonal):
    solutions = np.array([objective.network.initial(seed) for seed in (1, 2, 3)])
    flat = plane_through(*solutions, orthogonal=orthogonal)
    coords, distances = flat.project(solutions)
    np.testing.assert_allclose(distances, 0, atol=1e-12)
    np.testing.assert_allclose(coords[:2], [[0, 0], [1, 0]], atol=1e-12)
    np.testing.assert_allclose([flat.point(*place) for place in coords], solutions, atol=1e-12)
    if orthogonal:
        assert abs(flat.d1 @ flat.d2) < 1e-12
        assert np.linalg.norm(flat.d1) == pytest.approx(np.linalg.norm(flat.d2))
        assert coords[2, 1] > 0
    else:
        np.testing.assert_allclose(coords[2], [0, 1], atol=1e-12)
    # the losses of the solutions are where the plane says
    losses = grid(objective, flat, (0, 1, 0, float(coords[2, 1])), 2, np.float64)
    assert losses[0, 0] == pytest.approx(objective.value(solutions[0]))
    assert losses[1, 0] == pytest.approx(objective.value(solutions[1]))


def test_three_points_on_a_line_and_points_of_different_size_are_refused():
    for third in ([2.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1e-13]):
        with pytest.raises(UnsupportedError, match="line"):
            plane_through([0.0, 0.0, 0.0], [1.0, 1.0, 0.0], third)
    with pytest.raises(UnsupportedError, match="line"):
        plane_through([1.0, 0.0], [1.0, 0.0], [0.0, 1.0])
    with pytest.raises(ShapeError, match="one shape"):
        plane_through([0.0], [1.0], [0.0, 1.0])


def test_a_plane_of_principal_components_states_what_it_explains_and_what_a_run_leaves_outside(objective, theta):
    history = minimize(objective, get("momentum")(lr=0.3), start=theta, steps=200)
    path = trajectory(history)
    context = Context(objective, path[-1], trajectory=path)
    first, second = (direction(kind, context) for kind in ("pca1", "pca2"))
    flat = directions.plane("pca1", "pca2", context)
    away = path - path.mean(axis=0)
    explained = np.sum((away @ flat.directions.T) ** 2, axis=0) / np.sum(away**2)
    np.testing.assert_allclose([first.explained, second.explained], explained, rtol=1e-9)
    assert 0.5 < sum(explained) < 1
    assert flat.labels == tuple(
        f"principal component {i + 1} ({100 * share:.3g} % of the path's variance)" for i, share in enumerate(explained)
    )
    found = project_path(objective, flat, path)
    np.testing.assert_allclose(found.losses, [objective.value(state) for state in path], rtol=1e-12)
    assert found.distances[-1] == pytest.approx(0, abs=1e-12)
    assert found.distances.max() > 0.01
    # the gradient step is partly outside, and the plane says how much
    step = -objective.gradient(path[0])
    inside, outside = flat.project(flat.origin + step)
    assert flat.share(step) == pytest.approx(np.hypot(*inside) / np.linalg.norm(step))
    assert 1 - flat.share(step) ** 2 == pytest.approx((outside / np.linalg.norm(step)) ** 2)


@pytest.mark.parametrize("first", directions.KINDS)
@pytest.mark.parametrize("second", directions.KINDS)
@pytest.mark.parametrize("orthogonal", [True, False])
def test_any_two_directions_span_a_plane(objective, theta, first, second, orthogonal):
    path = theta + np.random.default_rng(4).standard_normal((9, theta.size)).cumsum(axis=0)
    context = Context(objective, theta, trajectory=path, target=objective.network.initial(9))
    names = {"coordinate": ("coordinate:0", "coordinate:3"), "eigenvector": ("eigenvector:0", "eigenvector:-1"),
             "random": ("random:1", "random:2")}  # fmt: skip
    one, two = names.get(first, (first, first))[0], names.get(second, (second, second))[1]
    if one == two:
        with pytest.raises(UnsupportedError, match="parallel"):
            directions.plane(one, two, context)
        return
    flat = directions.plane(one, two, context, orthogonal)
    for kind in (one, two):
        assert flat.share(direction(kind, context).vector) == pytest.approx(1, abs=1e-9)
    if orthogonal:
        assert flat.d1 @ flat.d2 == pytest.approx(0, abs=1e-9)
    assert all(flat.labels)


def test_lists_of_numbers_are_points_and_directions_too():
    f = functions.get("booth")
    flat = Plane([0, 0], [1, 0], [0, 1])
    assert grid(f, flat, (0, 1, 2, 3), 2)[1, 1] == 0.0
    assert Slice([1, 2], [0, 1]).point(1).tolist() == [1.0, 3.0]
    assert direction("gradient", Context(f, [1, 2])).vector @ f.gradient(np.array([1.0, 2.0])) < 0
    assert plane_through([0, 0, 0], [2, 0, 0], [0, 1, 0]).d2.tolist() == [0.0, 2.0, 0.0]
    with pytest.raises(ShapeError, match="d1: expected numbers"):
        Plane([0, 0], ["a", "b"], [0, 1])


def test_axes_of_a_typed_formula_have_its_variables_names():
    f = functions.formula("x*y + z**2")
    context = Context(f, f.start)
    assert direction("coordinate:2", context).label == "z"
    assert Plane(f.start, np.eye(3)[0], np.eye(3)[2]).share(np.eye(3)[1]) == pytest.approx(0)
