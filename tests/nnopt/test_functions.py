"""The test functions against definitions written down here a second time, differentiated by hyper-dual numbers."""

import itertools
import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from nnopt.errors import SettingsError, ShapeError, UnknownNameError
from nnopt.objectives import functions
from nnopt.objectives.function_nd import Quadratic, RosenbrockN
from nnopt.settings import Settings


@dataclass
class Hyper:
    """a + b e1 + c e2 + d e1 e2 with e1^2 = e2^2 = 0: first and second derivatives without any truncation error."""

    a: float
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0

    def through(self, f, f1, f2):
        return Hyper(f, f1 * self.b, f1 * self.c, f1 * self.d + f2 * self.b * self.c)

    def __add__(self, other):
        o = as_hyper(other)
        return Hyper(self.a + o.a, self.b + o.b, self.c + o.c, self.d + o.d)

    def __mul__(self, other):
        o = as_hyper(other)
        return Hyper(
            self.a * o.a,
            self.a * o.b + self.b * o.a,
            self.a * o.c + self.c * o.a,
            self.a * o.d + self.b * o.c + self.c * o.b + self.d * o.a,
        )

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + as_hyper(other) * -1.0

    def __rsub__(self, other):
        return as_hyper(other) - self

    def __truediv__(self, other):
        o = as_hyper(other)
        return self * o.through(1 / o.a, -1 / o.a**2, 2 / o.a**3)

    def __pow__(self, n):
        return self.through(self.a**n, n * self.a ** (n - 1), n * (n - 1) * self.a ** (n - 2) if n > 1 else 0.0)

    __radd__ = __add__
    __rmul__ = __mul__


def as_hyper(x):
    return x if isinstance(x, Hyper) else Hyper(float(x))


def sin(x):
    return x.through(math.sin(x.a), math.cos(x.a), -math.sin(x.a))


def cos(x):
    return x.through(math.cos(x.a), -math.sin(x.a), -math.cos(x.a))


def exp(x):
    return x.through(math.exp(x.a), math.exp(x.a), math.exp(x.a))


def sqrt(x):
    root = math.sqrt(x.a)
    return x.through(root, 0.5 / root, -0.25 / root**3)


def ripple(x, y):
    r = 10 * sqrt(x**2 + y**2) + 0.01
    return 0.01 * r**2 - sin(r) / r


def goldstein_price(x, y):
    first = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    return first * (30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2))


def quadratic(x, y):
    turn = math.radians(30)
    u, v = math.cos(turn) * x + math.sin(turn) * y, math.cos(turn) * y - math.sin(turn) * x
    return 0.5 * u**2 + 5.0 * v**2


def wood(a, b, c, d):
    coupled = 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1)
    return 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2 + coupled


def rosenbrock_chain(*x):
    return sum(100 * (after - before**2) ** 2 + (1 - before) ** 2 for before, after in itertools.pairwise(x))


TAU = 2 * math.pi
DEFINITIONS = {
    "bowl": lambda x: 0.5 * x**2,
    "double_well": lambda x: (x**2 - 1) ** 2 + 0.3 * x + 0.4,
    "many_minima": lambda x: x**2 / 16 - 0.8 * cos(2.5 * x) - sin(x) + 2,
    "plateau": lambda x: 1 - exp(-0.5 * x**2),
    "steep_beside_flat": lambda x: exp(-3 * x) + 0.2 * x,
    "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    "distill_rosenbrock": lambda x, y: (1 - x) ** 2 + 20 * (3 * y - x**2) ** 2,
    "himmelblau": lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    "beale": lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
    "saddle": lambda x, y: x**2 - y**2,
    "monkey_saddle": lambda x, y: x**3 - 3 * x * y**2,
    "three_hump_camel": lambda x, y: 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2,
    "six_hump_camel": lambda x, y: (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2,
    "rastrigin": lambda x, y: 20 + x**2 - 10 * cos(TAU * x) + y**2 - 10 * cos(TAU * y),
    "ackley": lambda x, y: (
        -20 * exp(-0.2 * sqrt(0.5 * (x**2 + y**2))) - exp(0.5 * (cos(TAU * x) + cos(TAU * y))) + math.e + 20
    ),
    "styblinski_tang": lambda x, y: 0.5 * sum(t**4 - 16 * t**2 + 5 * t for t in (x, y)),
    "booth": lambda x, y: (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2,
    "matyas": lambda x, y: 0.26 * (x**2 + y**2) - 0.48 * x * y,
    "mccormick": lambda x, y: sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1,
    "goldstein_price": goldstein_price,
    "ripple": ripple,
    "quadratic": quadratic,
    "rosenbrock_n": rosenbrock_chain,
    "wood": wood,
    "formula": lambda x: x**4 - 3 * x**2 + x,
    "powell_singular": lambda a, b, c, d: (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4,
}


NAMES = functions.names()
TIPS = ("ackley", "ripple")


def differentiated(name, theta):
    """(value, gradient, Hessian) of the second definition."""
    n = len(theta)
    gradient, hessian = np.empty(n), np.empty((n, n))
    for i in range(n):
        for j in range(n):
            result = DEFINITIONS[name](*(Hyper(t, float(k == i), float(k == j)) for k, t in enumerate(theta.tolist())))
            gradient[i], hessian[i, j] = result.b, result.d
    return result.a, gradient, hessian


def random_points(function, count, seed=7):
    low, high = np.array(function.bounds).T
    return low + (high - low) * np.random.default_rng(seed).random((count, function.size))


def test_every_function_has_a_second_definition_here():
    assert set(DEFINITIONS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_value_gradient_and_hessian_agree_with_hyper_dual_numbers_at_100_points(name):
    function = functions.get(name)
    points = random_points(function, 100)
    expected = [differentiated(name, theta) for theta in points]
    gradient_scale = max(np.abs(gradient).max() for _, gradient, _ in expected)
    hessian_scale = max(np.abs(hessian).max() for *_, hessian in expected)
    for theta, (value, gradient, hessian) in zip(points, expected, strict=True):
        got_value, got_gradient = function.value_and_gradient(theta)
        got_hessian = function.hessian(theta)
        assert got_value == pytest.approx(value, rel=1e-11, abs=1e-12)
        assert got_value == function.value(theta) or got_value == pytest.approx(function.value(theta), rel=1e-14)
        np.testing.assert_allclose(got_gradient, gradient, rtol=1e-10, atol=1e-14 * gradient_scale)
        np.testing.assert_allclose(got_hessian, hessian, rtol=1e-10, atol=1e-14 * hessian_scale)
        np.testing.assert_array_equal(got_hessian, got_hessian.T)
        np.testing.assert_array_equal(function.gradient(theta), got_gradient)
        v = np.linspace(-1.0, 2.0, function.size)
        np.testing.assert_allclose(function.hvp(theta, v), got_hessian @ v, rtol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_values_of_many_points_equal_values_one_by_one(name):
    function = functions.get(name)
    points = random_points(function, 50)
    one_by_one = np.array([function.value(theta) for theta in points])
    np.testing.assert_allclose(function.values(points), one_by_one, rtol=1e-12, atol=1e-13)
    single = function.values(points, dtype=np.float32)
    assert single.dtype == np.float32
    assert single.shape == (50,)
    np.testing.assert_allclose(single, one_by_one, rtol=1e-3, atol=1e-5 * np.abs(one_by_one).max())
    assert function.values(points[:0]).shape == (0,)


@pytest.mark.parametrize("name", TIPS)
def test_at_the_tip_of_a_cone_the_gradient_is_zero_and_the_hessian_the_radial_curvature(name):
    function = functions.get(name)
    tip = np.zeros(2)
    value, gradient = function.value_and_gradient(tip)
    assert value == pytest.approx(function.lowest, rel=1e-15, abs=1e-15)
    np.testing.assert_array_equal(gradient, [0.0, 0.0])
    h = 1e-3
    a, b, c = (function.value(np.array([k * h, 0.0])) for k in (1, 2, 3))
    radial = (2 * value - 5 * a + 4 * b - c) / h**2
    np.testing.assert_allclose(function.hessian(tip), radial * np.eye(2), rtol=1e-2, atol=1e-9)
    assert np.hypot(*function.gradient(np.array([1e-9, 1e-9]))) > 0.03
    np.testing.assert_array_equal(function.gradient(np.array([1e-200, 0.0])), [0.0, 0.0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("far", [1e200, -1e308, math.inf, -math.inf, math.nan, 2000.0])
def test_far_away_results_overflow_to_inf_or_nan_and_nothing_is_raised(name, far):
    function = functions.get(name)
    theta = np.full(function.size, far)
    value, gradient = function.value_and_gradient(theta)
    assert isinstance(value, float)
    assert gradient.shape == (function.size,)
    assert function.hessian(theta).shape == (function.size, function.size)
    assert isinstance(function.value(theta), float)
    assert function.hvp(theta, theta).shape == (function.size,)
    assert function.values(theta[None]).shape == (1,)


@pytest.mark.parametrize("name", NAMES)
def test_functions_describe_themselves(name):
    function = functions.get(name)
    assert function.name == name
    assert isinstance(function, Settings)
    assert function.title
    assert function.source
    assert 20 <= len(function.teaches) <= 130
    assert function.teaches.endswith((".", "!"))
    assert function.formula_text.startswith("f(")
    assert "*" not in function.formula_text
    assert function.dimension == function.size == len(function.bounds) == len(function.start)
    assert function.minima or function.minima_note
    low, high = np.array(function.bounds).T
    assert np.all((low < function.start) & (function.start < high))
    assert np.all(low < high)


@pytest.mark.parametrize("name", NAMES)
def test_results_are_new_arrays_and_arguments_stay_as_they_were(name):
    function = functions.get(name)
    start = function.start
    start += 1.0
    assert not np.array_equal(start, function.start)
    theta = function.start
    theta.flags.writeable = False
    for make in (function.gradient, function.hessian):
        first = make(theta)
        first += 1.0
        assert not np.array_equal(first, make(theta))


@pytest.mark.parametrize("name", NAMES)
def test_functions_survive_pickling_and_the_registry(name):
    function = functions.get(name)
    function.value_and_gradient(function.start)
    again = pickle.loads(pickle.dumps(function))
    assert again == function
    assert again.value(function.start) == function.value(function.start)
    assert functions.Function.registry.decode({"name": name}) == function


@pytest.mark.parametrize("name", NAMES)
def test_a_point_of_the_wrong_shape_is_refused(name):
    function = functions.get(name)
    for wrong in (np.zeros(function.size + 1), np.zeros((1, function.size)), np.array(1.0)):
        for ask in (function.value, function.gradient, function.hessian):
            with pytest.raises(ShapeError, match="expected shape"):
                ask(wrong)
    with pytest.raises(ShapeError, match="expected shape"):
        function.values(np.zeros((3, function.size + 1)))


def test_a_list_is_a_point_too():
    assert functions.get("himmelblau").value([3, 2]) == 0.0


@pytest.mark.parametrize(("condition", "rotation"), [(1, 0), (10, 30), (1000, -75), (1e6, 90), (25, 180)])
def test_quadratic_has_the_condition_number_and_flat_direction_it_is_asked_for(condition, rotation):
    function = functions.get("quadratic", condition=condition, rotation=rotation)
    hessian = function.hessian(np.zeros(2))
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), [1, condition], rtol=1e-9)
    turn = math.radians(rotation)
    flat = np.array([math.cos(turn), math.sin(turn)])
    np.testing.assert_allclose(hessian @ flat, flat, atol=1e-9 * condition)
    point = np.array([0.7, -1.3])
    np.testing.assert_allclose(function.gradient(point), hessian @ point, rtol=1e-9)
    assert function.value(point) == pytest.approx(0.5 * point @ hessian @ point)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 8, 20, 100])
def test_rosenbrock_of_any_size_is_right(n):
    function = RosenbrockN(n)
    theta = random_points(function, 1)[0]
    h = 1e-5
    for i in {0, n // 2, n - 1}:
        e = np.zeros(n)
        e[i] = h
        difference = (function.value(theta + e) - function.value(theta - e)) / (2 * h)
        assert function.gradient(theta)[i] == pytest.approx(difference, rel=1e-5, abs=1e-4)
        column = (function.gradient(theta + e) - function.gradient(theta - e)) / (2 * h)
        np.testing.assert_allclose(function.hessian(theta)[:, i], column, rtol=1e-6, atol=1e-4)
    assert len(function.minima) == (1 if n < 4 else 2)
    for minimum in function.minima:
        assert np.abs(function.gradient(minimum.theta)).max() < 1e-11
        assert np.linalg.eigvalsh(function.hessian(minimum.theta))[0] > 0


def test_rosenbrock_of_two_parameters_is_rosenbrock():
    points = random_points(functions.get("rosenbrock"), 20)
    np.testing.assert_allclose(RosenbrockN(2).values(points), functions.get("rosenbrock").values(points), rtol=1e-14)


@pytest.mark.parametrize(
    "settings", [{"condition": 0.5}, {"condition": math.nan}, {"rotation": 181}, {"condition": "steep"}]
)
def test_quadratic_refuses_settings_out_of_range(settings):
    with pytest.raises(SettingsError):
        Quadratic(**settings)
    with pytest.raises(SettingsError):
        functions.get("quadratic", **settings)


@pytest.mark.parametrize("n", [1, 0, -3, 2001, 2.5, True])
def test_rosenbrock_refuses_sizes_out_of_range(n):
    with pytest.raises(SettingsError):
        RosenbrockN(n)


def test_unknown_functions_and_settings_are_refused_by_name():
    with pytest.raises(UnknownNameError, match="did you mean 'himmelblau'"):
        functions.get("himmelblaue")
    with pytest.raises(SettingsError, match="steepness"):
        functions.get("bowl", steepness=3)
