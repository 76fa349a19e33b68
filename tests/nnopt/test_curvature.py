"""Curvature: eigenpairs, their signs, and what they make of gradient and Newton steps."""

import numpy as np
import pytest

from nnopt.analysis.curvature import (
    extreme_spectrum,
    hessian_of,
    newton_step,
    spectrum,
    spectrum_at,
)
from nnopt.errors import ShapeError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective


def network_objective(sizes):
    random = np.random.default_rng(0)
    X = random.standard_normal((40, sizes[0]))
    return NetworkObjective(Network(sizes), X, (X[:, 0] * X[:, 1] > 0).astype(float), l2=1e-3)


class Bowl:
    """A quadratic of many parameters, by Hessian-vector products alone."""

    def __init__(self, curvatures):
        self.curvatures = np.asarray(curvatures, dtype=float)
        self.size = len(self.curvatures)

    def value_and_gradient(self, theta):
        return 0.5 * float(theta @ (self.curvatures * theta)), self.curvatures * theta

    def hvp(self, theta, v):
        return self.curvatures * v


def test_the_spectrum_rebuilds_the_hessian_steepest_first():
    objective = network_objective((2, 6, 1))
    theta = objective.network.initial(1)
    found = spectrum_at(objective, theta)
    assert found.complete
    assert np.all(np.diff(found.values) <= 0)
    rebuilt = (found.vectors * found.values) @ found.vectors.T
    np.testing.assert_allclose(rebuilt, objective.hessian(theta), atol=1e-12)


@pytest.mark.parametrize(
    ("curvatures", "inertia", "kind"),
    [
        ([2, 1], (2, 0, 0), "bowl"),
        ([2, 0], (1, 1, 0), "valley"),
        ([2, -1], (1, 0, 1), "saddle"),
        ([-2, -1], (0, 0, 2), "dome"),
        ([0, 0], (0, 2, 0), "flat"),
        ([1, 1e-14, -1e-14], (1, 2, 0), "valley"),
    ],
)
def test_signs_of_curvature_have_names(curvatures, inertia, kind):
    found = spectrum(np.diag(np.array(curvatures, dtype=float)))
    assert found.inertia == inertia
    assert found.kind == kind


@pytest.mark.parametrize(
    ("curvatures", "verdict"),
    [
        ([4, 2, 1], "positive definite: all 3 curvatures are positive, condition number 4, a bowl"),
        ([4], "positive definite: the curvature is positive, condition number 1, a bowl"),
        ([4, 2, 0], "positive semidefinite: 1 of 3 curvatures is zero, a valley"),
        ([4, 0, -1, -1], "indefinite: 2 of 4 curvatures are negative, a saddle"),
        ([-1, -2], "negative definite: both curvatures are negative, a dome"),
        ([0, -2], "negative semidefinite: 1 of 2 curvatures is zero, a dome"),
        ([0, 0], "zero: both curvatures are zero, a plain"),
        ([np.nan, 1], "unknown: the Hessian is not finite"),
    ],
)
def test_the_verdict_says_what_the_matrix_is_and_why(curvatures, verdict):
    assert spectrum(np.diag(np.array(curvatures, dtype=float))).verdict == verdict


def test_the_verdict_on_the_ends_of_a_spectrum_says_that_there_is_more():
    found = extreme_spectrum(Bowl(np.linspace(-1, 3, 1000)), np.zeros(1000), 3)
    assert found.verdict == "indefinite: 3 of 6 known curvatures are negative, a saddle"


def test_what_counts_as_zero_can_be_chosen():
    found = spectrum(np.diag([1.0, 1e-6, -1e-9]))
    assert found.inertia == (2, 0, 1)
    assert found.inertia_within(1e-8) == (2, 1, 0)
    assert found.inertia_within(1e-5) == (1, 2, 0)


def test_the_inertia_of_a_network_s_hessian_is_sylvester_s():
    objective = network_objective((2, 5, 1))
    theta = objective.network.initial(4)
    hessian = objective.hessian(theta)
    turned = np.random.default_rng(0).standard_normal(hessian.shape)
    assert spectrum(hessian).inertia == spectrum(turned.T @ hessian @ turned).inertia


def test_steps_along_eigenvectors_add_up_to_the_steps():
    objective = network_objective((2, 4, 1))
    theta = objective.network.initial(2)
    gradient, hessian = objective.gradient(theta), objective.hessian(theta)
    found = spectrum(hessian)
    np.testing.assert_allclose(found.vectors @ found.gradient_step(gradient, 0.3), -0.3 * gradient, atol=1e-13)
    for damping in (0.0, 0.7):
        step, _ = newton_step(hessian, gradient, damping)
        np.testing.assert_allclose(found.vectors @ found.newton_step(gradient, damping), step, rtol=1e-6, atol=1e-8)


def test_newton_over_gradient_step_is_one_over_rate_and_curvature():
    found = spectrum(np.diag([4.0, 0.5, -2.0]))
    gradient = np.array([1.0, 2.0, 3.0])
    ratio = found.newton_step(gradient) / found.gradient_step(gradient, 0.1)
    np.testing.assert_allclose(ratio, 1 / (0.1 * found.values))


def test_gradient_descent_is_stable_below_two_over_the_largest_curvature():
    found = spectrum(np.diag([4.0, 1.0]))
    assert found.stable_rate == 0.5
    assert found.condition == 4.0
    assert spectrum(np.diag([-1.0, -2.0])).stable_rate == np.inf
    assert np.isnan(spectrum(np.diag([1.0, -2.0])).condition)
    assert spectrum(np.diag([1.0, 0.0])).condition == np.inf


def test_lanczos_finds_both_ends_of_a_large_spectrum():
    curvatures = np.random.default_rng(0).permutation(np.concatenate([np.linspace(-0.5, 1, 1990), np.arange(2, 12)]))
    found = extreme_spectrum(Bowl(curvatures), np.zeros(2000), 5)
    assert not found.complete
    np.testing.assert_allclose(found.values[:5], [11, 10, 9, 8, 7], rtol=1e-4)
    np.testing.assert_allclose(found.values[-1], -0.5, atol=1e-2)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=0), 1, rtol=1e-6)


def test_large_networks_get_the_ends_only_and_the_same_at_every_call():
    objective = network_objective((2, 30, 30, 1))
    theta = objective.network.initial(1)
    assert theta.size > 600
    one, two = spectrum_at(objective, theta), spectrum_at(objective, theta)
    np.testing.assert_array_equal(one.values, two.values)
    whole = np.linalg.eigvalsh(objective.hessian(theta))[::-1]
    np.testing.assert_allclose(one.values[:3], whole[:3], rtol=1e-4)
    np.testing.assert_allclose(one.values[-3:], whole[-3:], rtol=1e-4)


def test_the_newton_step_says_when_it_goes_uphill():
    f = functions.get("himmelblau")
    theta = np.zeros(2)
    step, note = newton_step(f.hessian(theta), f.gradient(theta))
    assert f.gradient(theta) @ step > 0
    assert note == "the Newton step goes uphill"


def test_a_singular_hessian_gives_the_least_norm_step_and_says_so():
    step, note = newton_step(np.diag([2.0, 0.0]), np.array([4.0, 0.0]))
    np.testing.assert_allclose(step, [-2.0, 0.0])
    assert "least-norm" in note


def test_the_hessian_is_assembled_from_products_where_there_is_none():
    np.testing.assert_allclose(hessian_of(Bowl([1.0, 2.0, 3.0]), np.zeros(3)), np.diag([1.0, 2.0, 3.0]))


def test_a_hessian_that_is_not_finite_has_no_curvatures():
    assert np.isnan(spectrum(np.full((2, 2), np.nan)).values).all()
    with pytest.raises(ShapeError, match=r"\(P, P\)"):
        spectrum(np.zeros((2, 3)))
