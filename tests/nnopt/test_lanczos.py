"""Eigenpairs from products alone: against scipy and against whole matrices, with honest residuals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, eigsh

from nnopt.analysis.cost import hessian_cost
from nnopt.analysis.curvature import spectrum_at
from nnopt.analysis.lanczos import eigenpairs, extreme_pairs, product_of
from nnopt.errors import SettingsError, ShapeError, UnsupportedError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective


def network_objective(sizes, examples=100, l2=1e-3):
    random = np.random.default_rng(0)
    X = random.standard_normal((examples, sizes[0]))
    return NetworkObjective(Network(sizes), X, (X[:, 0] * X[:, 1] > 0).astype(float), l2=l2)


def symmetric(eigenvalues, seed=0):
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))[0]
    matrix = (rotation * eigenvalues) @ rotation.T
    return (matrix + matrix.T) / 2


@settings(max_examples=60)
@given(
    st.integers(1, 60), st.integers(0, 6), st.integers(0, 6), st.integers(0, 10_000),
    st.sampled_from(["normal", "multiple", "low rank", "indefinite", "clustered"]),
)  # fmt: skip
def test_both_ends_of_any_symmetric_matrix_are_found(size, top, bottom, seed, kind):
    if top + bottom == 0:
        top = 1
    random = np.random.default_rng(seed)
    values = {
        "normal": random.standard_normal(size),
        "multiple": random.integers(-2, 3, size).astype(float),
        "low rank": np.where(np.arange(size) < 3, random.standard_normal(size), 0.0),
        "indefinite": 10.0 ** random.uniform(-3, 3, size) * random.choice([-1, 1], size),
        "clustered": 1.0 + 1e-3 * random.standard_normal(size),
    }[kind]
    matrix = symmetric(values, seed)
    found = extreme_pairs(lambda v: matrix @ v, size, top, bottom, tolerance=1e-9)
    true = np.sort(values)[::-1]
    top, bottom = (top, bottom) if top + bottom <= size else (min(top, size), max(0, size - top))
    expected = np.concatenate([true[:top], true[size - bottom :]])
    scale = np.abs(values).max() + 1e-300
    assert found.converged
    assert np.all(np.diff(found.values) <= 0)
    np.testing.assert_allclose(found.values, expected, atol=1e-7 * scale)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(len(expected)), atol=1e-8)
    np.testing.assert_allclose(matrix @ found.vectors, found.vectors * found.values, atol=2e-8 * scale)


@pytest.mark.parametrize(("top", "bottom"), [(5, 0), (5, 5), (0, 3), (12, 12)])
def test_the_hessian_of_a_network_has_the_eigenvalues_that_scipy_finds(top, bottom):
    objective = network_objective((2, 40, 40, 1))
    theta = objective.network.initial(3)
    found = eigenpairs(objective, theta, top, bottom, tolerance=1e-8)
    operator = LinearOperator((theta.size,) * 2, matvec=lambda v: objective.hvp(theta, v.ravel()), dtype=float)
    which = {0: "LA", top: "BE"}.get(bottom, "SA")
    theirs = np.sort(eigsh(operator, top + bottom, which=which, tol=1e-10)[0])[::-1]
    assert found.converged
    np.testing.assert_allclose(found.values, theirs, atol=1e-8 * np.abs(theirs).max())
    assert found.products < 400


def test_a_network_whose_hessian_does_not_fit_has_eigenpairs_all_the_same():
    objective = network_objective((2, 128, 128, 1), examples=30)
    theta = objective.network.initial(0)
    assert theta.size > 16_000
    assert not hessian_cost(objective.network, 30).fits
    with pytest.raises(UnsupportedError):
        objective.hessian(theta)
    found = eigenpairs(objective, theta, top=3, bottom=2, tolerance=1e-5)
    assert found.converged
    assert found.values[0] > found.values[2] > 0 > found.values[-1]
    for value, vector in zip(found.values, found.vectors.T, strict=True):
        # a product by differences of gradients: nothing of what found them
        h = 1e-5
        ahead, behind = (objective.gradient(theta + sign * h * vector) for sign in (1, -1))
        np.testing.assert_allclose((ahead - behind) / (2 * h), value * vector, atol=2e-5 * found.values[0])
    known = spectrum_at(objective, theta)
    assert not known.complete
    np.testing.assert_allclose(known.values[:3], found.values[:3], rtol=1e-6)
    assert "known curvatures are negative, a saddle" in known.verdict


def test_the_residuals_are_true_and_bound_the_error():
    objective = network_objective((2, 12, 12, 1))
    theta = objective.network.initial(1)
    found = eigenpairs(objective, theta, 4, 2, tolerance=1e-4)
    hessian = objective.hessian(theta)
    true = np.linalg.norm(hessian @ found.vectors - found.vectors * found.values, axis=0)
    np.testing.assert_allclose(found.residuals, true, rtol=1e-3, atol=1e-9)
    nearest = np.abs(np.linalg.eigvalsh(hessian)[:, None] - found.values).min(axis=0)
    assert np.all(nearest <= found.residuals + 1e-12)


def test_a_small_basis_restarts_and_still_arrives():
    values = np.concatenate([np.linspace(0, 1, 1990), np.linspace(2, 3, 10)])
    found = extreme_pairs(lambda v: values * v, 2000, 3, 1, basis=12, tolerance=1e-8, most=3000)
    assert found.converged
    np.testing.assert_allclose(found.values[:3], [3, 3 - 1 / 9, 3 - 2 / 9], atol=1e-8)
    assert found.values[3] == pytest.approx(0, abs=1e-5)


def test_when_products_run_out_what_is_known_is_returned_and_said_to_be_unfinished():
    values = np.linspace(0, 1, 3000)
    found = extreme_pairs(lambda v: values * v, 3000, 5, tolerance=1e-12, most=30)
    assert not found.converged
    assert found.products == 30
    # Ritz values are inside the spectrum
    assert np.all(found.values <= 1)
    assert np.all(found.residuals > 1e-12)
    few = extreme_pairs(lambda v: values * v, 3000, 5, most=3)
    assert not few.converged
    assert len(few.values) == 3


def test_a_good_start_saves_products():
    objective = network_objective((2, 40, 40, 1))
    theta = objective.network.initial(3)
    cold = eigenpairs(objective, theta, 1)
    warm = eigenpairs(objective, theta + 1e-4, 1, start=cold.vectors[:, 0])
    assert warm.products <= cold.products - 3
    assert warm.values[0] == pytest.approx(cold.values[0], rel=1e-2)


def test_a_start_that_is_another_eigenvector_is_left():
    values = np.arange(1.0, 101.0)
    found = extreme_pairs(lambda v: values * v, 100, 1, start=np.eye(100)[3])
    assert found.values[0] == pytest.approx(100)


def test_the_answer_is_the_same_at_every_call_and_another_start_changes_it_by_rounding_only():
    objective = network_objective((2, 10, 1))
    theta = objective.network.initial(0)
    one, two = eigenpairs(objective, theta, 3, 3), eigenpairs(objective, theta, 3, 3)
    np.testing.assert_array_equal(one.vectors, two.vectors)
    np.testing.assert_allclose(eigenpairs(objective, theta, 3, 3, seed=9).values, one.values, atol=1e-9)


def test_products_come_from_whatever_the_objective_has():
    f = functions.get("wood")

    class OnlyGradient:
        size = 4
        value_and_gradient = staticmethod(f.value_and_gradient)

    v = np.array([1.0, -2.0, 0.5, 3.0])
    exact = f.hessian(f.start) @ v
    np.testing.assert_allclose(product_of(f, f.start)(v), exact)
    np.testing.assert_allclose(product_of(OnlyGradient(), f.start)(v), exact, rtol=1e-6)


def test_what_is_not_finite_gives_nan_and_what_makes_no_sense_is_refused():
    found = extreme_pairs(lambda v: v * np.nan, 10, 2, 1)
    assert np.isnan(found.values).all()
    assert found.vectors.shape == (10, 3)
    assert not found.converged
    zero = extreme_pairs(lambda v: 0 * v, 10, 2, 1)
    np.testing.assert_array_equal(zero.values, [0, 0, 0])
    with pytest.raises(SettingsError, match=r"top \+ bottom >= 1"):
        extreme_pairs(lambda v: v, 10, 0)
    for start in (np.zeros(10), np.ones(9), np.full(10, np.inf)):
        with pytest.raises(ShapeError, match="start"):
            extreme_pairs(lambda v: v, 10, 1, start=start)
