"""The known minima of the test functions, that there are no others, and that methods do there what is said of them."""

import numpy as np
import pytest

from nnopt.objectives import functions
from nnopt.objectives.function_nd import RosenbrockN

NAMES = functions.names()

#: name -> value at the global minimum, as published (Jamil and Yang 2013; Moré, Garbow and Hillstrom 1981)
PUBLISHED = {
    "rosenbrock": 0, "himmelblau": 0, "beale": 0, "three_hump_camel": 0, "six_hump_camel": -1.0316285, "rastrigin": 0,
    "ackley": 0, "styblinski_tang": 2 * -39.16616570377142, "booth": 0, "matyas": 0, "mccormick": -1.9132229,
    "goldstein_price": 3, "wood": 0, "powell_singular": 0,
}  # fmt: skip


def random_points(function, count, seed=7):
    low, high = np.array(function.bounds).T
    return low + (high - low) * np.random.default_rng(seed).random((count, function.size))


def descend(function, theta):
    """Downhill with |H|^-1 g and backtracking: ends in a minimum, or is None where it leaves the bounds."""
    low, high = np.array(function.bounds).T
    for _ in range(300):
        value, gradient = function.value_and_gradient(theta)
        size = np.abs(gradient).max()
        if np.any(theta < low) or np.any(theta > high) or not np.isfinite(size):
            return None
        values, vectors = np.linalg.eigh(function.hessian(theta))
        step = -vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-6 * np.abs(values).max() + 1e-12))
        step *= min(1.0, 0.1 * np.linalg.norm(high - low) / max(float(np.linalg.norm(step)), 1e-300))
        while function.value(theta + step) > value + 1e-4 * (gradient @ step) and np.abs(step).max() > 1e-13:
            step = step / 2
        theta = theta + step
        if np.abs(step).max() < 1e-12:
            break
    return theta


@pytest.mark.parametrize("name", NAMES)
def test_minima_are_stationary_not_curved_downwards_and_have_the_stated_value(name):
    function = functions.get(name)
    low, high = np.array(function.bounds).T
    for minimum in function.minima:
        hessian = function.hessian(minimum.theta)
        curvature = np.abs(hessian).max()
        # a minimum rounded to the nearest float is off by 1e-16 |theta|, which the curvature turns into a gradient
        allowed = 4e-15 * curvature * (1 + np.abs(minimum.theta).max()) * (40 if name == "goldstein_price" else 1)
        assert np.abs(function.gradient(minimum.theta)).max() <= allowed
        assert np.linalg.eigvalsh(hessian)[0] >= -1e-12 * curvature
        assert function.value(minimum.theta) == pytest.approx(minimum.value, rel=1e-13, abs=2e-14)
        assert np.all((low <= minimum.theta) & (minimum.theta <= high))
        assert not minimum.theta.flags.writeable


@pytest.mark.parametrize("name", PUBLISHED)
def test_global_minimum_has_its_published_value(name):
    assert functions.get(name).lowest == pytest.approx(PUBLISHED[name], rel=1e-7)


def test_the_numbers_of_minima_are_the_known_ones():
    counts = {name: len(functions.get(name).minima) for name in NAMES}
    expected = {
        "himmelblau": 4, "six_hump_camel": 6, "three_hump_camel": 3, "mccormick": 2, "goldstein_price": 4, "beale": 1,
        "styblinski_tang": 4, "rastrigin": 121, "ackley": 81, "double_well": 2, "many_minima": 5, "saddle": 0,
        "monkey_saddle": 0, "wood": 1, "powell_singular": 1,
    }  # fmt: skip
    assert expected.items() <= counts.items()
    assert len({round(minimum.value, 6) for minimum in functions.get("six_hump_camel").minima}) == 3


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("ripple", "formula")])
def test_descent_from_random_points_finds_no_minimum_that_is_not_listed(name):
    function = functions.get(name)
    listed = np.array([minimum.theta for minimum in function.minima]).reshape(-1, function.size)
    # powell's minimum is flat to fourth order: rounding stops any descent some way off
    near = 0.02 if name == "powell_singular" else 1e-5
    reached = set()
    for start in random_points(function, 60 if function.size <= 4 else 20, seed=11):
        end = descend(function, start)
        if end is None or np.linalg.eigvalsh(function.hessian(end))[0] < -1e-6:
            continue
        distances = np.abs(listed - end).max(axis=1)
        assert distances.size, f"{name} has an unlisted minimum at {end}"
        assert distances.min() < near, f"{name} has an unlisted minimum at {end}"
        reached.add(int(distances.argmin()))
    if len(listed):
        assert reached


def test_ripple_has_its_centre_and_a_circle_of_minima_and_says_so():
    function = functions.get("ripple")
    radii = {round(float(np.hypot(*descend(function, start))), 4) for start in random_points(function, 40)}
    assert radii <= {0.0, 0.6633, 0.6634}
    assert len(radii) >= 2
    assert "circle" in function.minima_note


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7])
def test_rosenbrock_has_no_other_minimum_up_to_seven_parameters(n):
    function = RosenbrockN(n)
    listed = np.array([minimum.theta for minimum in function.minima])
    for start in random_points(function, 30, seed=n):
        end = descend(function, start)
        assert end is None or np.abs(listed - end).max(axis=1).min() < 1e-5


@pytest.mark.parametrize(("beta", "loss"), [(0.0, 1.177), (0.74, 9.107e-3), (0.9, 1.246e-6)])
def test_momentum_on_distills_function_ends_where_distill_says(beta, loss):
    function = functions.get("distill_rosenbrock")
    theta, velocity = function.start, np.zeros(2)
    for _ in range(150):
        velocity = function.gradient(theta) + beta * velocity
        theta = theta - 0.003 * velocity
    assert function.value(theta) == pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "lr", "beta", "ends"),
    [
        ("three_hump_camel", 0.01, 0.0, 0.2986384),
        ("three_hump_camel", 0.1, 0.0, 0.0),
        ("mccormick", 0.05, 0.0, 1.2283697),
        ("ripple", 0.002, 0.0, 0.3882912),
        ("styblinski_tang", 0.01, 0.0, -64.195612),
        ("six_hump_camel", 0.01, 0.0, -0.2154638),
        ("many_minima", 0.05, 0.0, 1.7551908),
        ("double_well", 0.05, 0.0, 0.6941465),
        ("himmelblau", 0.01, 0.0, 0.0),
        ("plateau", 0.1, 0.0, 0.0),
    ],
)
def test_descent_from_the_start_ends_where_the_lesson_says(name, lr, beta, ends):
    function = functions.get(name)
    theta, velocity = function.start, np.zeros(function.size)
    for _ in range(2000):
        velocity = function.gradient(theta) + beta * velocity
        theta = theta - lr * velocity
    assert function.value(theta) == pytest.approx(ends, abs=1e-6)


def test_momentum_leaves_what_holds_plain_descent():
    lowest = {}
    for name, lr in (("ripple", 0.002), ("mccormick", 0.05)):
        function = functions.get(name)
        theta, velocity = function.start, np.zeros(2)
        for _ in range(1000):
            velocity = function.gradient(theta) + 0.9 * velocity
            theta = theta - lr * velocity
        lowest[name] = function.value(theta)
    assert lowest["ripple"] < -0.99
    assert lowest["mccormick"] < -10


def test_woods_saddle_is_where_its_note_says():
    function = functions.get("wood")
    theta = np.array([-1.0, 1.0, -1.0, 1.0])
    for _ in range(20):
        theta = theta - np.linalg.solve(function.hessian(theta), function.gradient(theta))
    assert function.value(theta) == pytest.approx(7.877, abs=1e-3)
    assert np.linalg.eigvalsh(function.hessian(theta))[0] < -0.1
