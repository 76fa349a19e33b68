"""The quadratic model: exact derivatives along few directions, its minimum or the lack of one, and where it holds."""

import numpy as np
import pytest

from nnopt.analysis.directions import Context, natural_plane
from nnopt.analysis.taylor import QuadraticModel, hessian_products, quadratic_model, trust_region_mask
from nnopt.errors import ShapeError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective


@pytest.fixture
def objective():
    random = np.random.default_rng(0)
    X = random.standard_normal((30, 2))
    return NetworkObjective(Network((2, 5, 1)), X, (X[:, 0] * X[:, 1] > 0).astype(float), l2=1e-3)


class OnlyGradient:
    """A user's own class: 1 - cos x + 3 y^2, without curvature."""

    size = 2

    def value(self, theta):
        return float(1 - np.cos(theta[0]) + 3 * theta[1] ** 2)

    def value_and_gradient(self, theta):
        return self.value(theta), np.array([np.sin(theta[0]), 6 * theta[1]])


def test_a_model_in_all_directions_is_gradient_and_hessian(objective):
    theta = objective.network.initial(3)
    model = quadratic_model(objective, theta, np.eye(theta.size))
    assert model.value == pytest.approx(objective.value(theta))
    np.testing.assert_allclose(model.gradient, objective.gradient(theta), atol=1e-14)
    np.testing.assert_allclose(model.hessian, objective.hessian(theta), atol=1e-12)


def test_a_model_in_a_plane_is_the_projection_of_gradient_and_hessian(objective):
    theta = objective.network.initial(3)
    d = np.random.default_rng(1).standard_normal((2, theta.size))
    model = quadratic_model(objective, theta, d)
    np.testing.assert_allclose(model.gradient, d @ objective.gradient(theta))
    np.testing.assert_allclose(model.hessian, d @ objective.hessian(theta) @ d.T, atol=1e-10)


def test_the_error_of_the_model_falls_with_the_third_power_of_the_distance(objective):
    theta = objective.network.initial(3)
    d = np.random.default_rng(1).standard_normal(theta.size)
    model = quadratic_model(objective, theta, d)
    errors = [abs(float(model([s])[()]) - objective.value(theta + s * d)) for s in (0.1, 0.05, 0.025)]
    # ratios near 8; a wrong curvature would give 4
    assert errors[0] / errors[1] > 6
    assert errors[1] / errors[2] > 6


def test_the_model_of_a_quadratic_is_the_quadratic():
    f = functions.get("quadratic")
    theta = np.array([1.5, -0.7])
    model = quadratic_model(f, theta, np.eye(2))
    coords = np.random.default_rng(0).standard_normal((4, 5, 2))
    expected = [[f.value(theta + c) for c in row] for row in coords]
    np.testing.assert_allclose(model(coords), expected, rtol=1e-12)
    np.testing.assert_allclose(theta + model.minimum(), f.minima[0].theta, atol=1e-12)


def test_a_saddle_has_no_minimum_but_a_stationary_point():
    model = quadratic_model(functions.get("saddle"), np.array([1.0, 2.0]), np.eye(2))
    assert model.minimum() is None
    np.testing.assert_allclose(model.stationary(), [-1.0, -2.0], atol=1e-12)
    values, vectors = model.curvatures()
    assert values[0] > 0 > values[1]
    np.testing.assert_allclose(model.hessian @ vectors, vectors * values, atol=1e-12)


@pytest.mark.parametrize(
    ("hessian", "labels", "reason"),
    [
        (np.diag([2.0, 1.0]), (), ""),
        (np.diag([2.0, -1.0]), (), "no minimum: curvature is negative along c2"),
        (np.diag([-2.0, 1.0]), ("along the steps", "y"), "no minimum: curvature is negative along the steps"),
        (np.diag([2.0, 0.0]), ("x", "y"), "no minimum: curvature is zero along y"),
        (np.array([[0.0, 1.0], [1.0, 0.0]]), ("x", "y"), "no minimum: curvature is negative along 0.71 c1 - 0.71 c2"),
        (np.diag([np.nan, 1.0]), (), "no minimum: slope or curvature is not finite"),
    ],
)
def test_a_model_without_a_minimum_says_why(hessian, labels, reason):
    model = QuadraticModel(1.0, np.array([1.0, -1.0]), hessian)
    assert model.no_minimum(labels) == reason
    assert (model.minimum() is None) == bool(reason)


def test_in_a_plane_the_axes_have_the_plane_s_names():
    saddle = functions.get("saddle")
    flat = natural_plane(Context(saddle, [1.0, 0.5])).moved([1.0, 0.5])
    assert flat.model(saddle).no_minimum(flat.labels) == "no minimum: curvature is negative along y"


def test_a_straight_or_flat_model_has_neither():
    assert QuadraticModel(1.0, np.array([1.0]), np.zeros((1, 1))).minimum() is None
    assert QuadraticModel(1.0, np.array([1.0]), np.zeros((1, 1))).stationary() is None
    trough = QuadraticModel(1.0, np.array([0.0, 1.0]), np.diag([1.0, 0.0]))
    assert trough.minimum() is None


def test_a_model_of_nothing_finite_has_no_minimum():
    assert QuadraticModel(np.inf, np.array([np.nan]), np.array([[np.nan]])).minimum() is None


def test_a_line_takes_plain_numbers_as_coordinates():
    model = QuadraticModel(1.0, np.array([2.0]), np.array([[4.0]]))
    np.testing.assert_allclose(model([0.0, 1.0, -1.0]), [1.0, 5.0, 1.0])
    np.testing.assert_allclose(model(np.array([[0.0], [1.0]])), [1.0, 5.0])
    np.testing.assert_allclose(model.linear([1.0]), [3.0])
    assert model.minimum() == pytest.approx([-0.5])


def test_products_fall_back_to_what_the_objective_has(objective):
    theta = objective.network.initial(3)
    v = np.random.default_rng(1).standard_normal((3, theta.size))
    exact = v @ objective.hessian(theta)

    class Only:
        def __init__(self, **methods):
            self.__dict__.update(methods)

    for only in (
        Only(hvp=objective.hvp),
        Only(hvps=objective.hvps),
        Only(hessian=objective.hessian),
    ):
        np.testing.assert_allclose(hessian_products(only, theta, v), exact, atol=1e-12)
    differences = hessian_products(Only(value_and_gradient=objective.value_and_gradient), theta, v)
    np.testing.assert_allclose(differences, exact, atol=1e-7)


def test_an_objective_with_only_a_gradient_has_a_model():
    model = quadratic_model(OnlyGradient(), np.array([0.3, 1.0]), np.eye(2))
    np.testing.assert_allclose(model.hessian, [[np.cos(0.3), 0], [0, 6]], atol=1e-8)


def test_the_trust_region_is_where_the_model_is_within_ten_percent():
    f = functions.get("rosenbrock")
    theta = np.array([-1.2, 1.0])
    coords = np.stack(np.meshgrid(*[np.linspace(-2, 2, 41)] * 2, indexing="ij"), axis=-1)
    predicted = quadratic_model(f, theta, np.eye(2))(coords)
    values = f.values((theta + coords).reshape(-1, 2)).reshape(41, 41)
    mask = trust_region_mask(predicted, values)
    assert mask[20, 20]
    assert not mask.all()
    np.testing.assert_array_equal(mask, np.abs(predicted - values) <= 0.1 * np.abs(values))


def test_wild_values_are_outside_the_trust_region():
    mask = trust_region_mask([1.0, np.inf, 1.0, np.nan], [np.inf, np.inf, 1.05, np.nan])
    assert mask.tolist() == [False, False, True, False]


def test_losses_below_zero_are_measured_from_the_lowest():
    assert trust_region_mask(-0.5, -1.0, lowest=-10.0)
    assert not trust_region_mask(-0.5, -1.0)


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match="directions"):
        quadratic_model(OnlyGradient(), np.zeros(2), np.eye(3))
    with pytest.raises(ShapeError, match="coords"):
        QuadraticModel(0.0, np.zeros(2), np.eye(2))(np.zeros((5, 3)))
