"""Every method on every function of known minimum it is meant for, from the standard start and 20 random ones.

A run reaches a stationary point, or states its outcome, and then that outcome is true: it diverged where there is no
minimum, it is still on its way along a valley that has no end, or it sits on a tip that has no gradient. Methods and
functions are those of the registries: a new one is held to the same.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from method_outcomes import CURVED, FIRST_ORDER, METHODS, OF_OUTPUTS, PURE, SAFE, check, negative_curvature

from nnopt import optimizers
from nnopt.objectives import functions
from nnopt.optimizers.escape import NO_SLOPE
from nnopt.optimizers.gain import noise_of
from nnopt.optimizers.newton import UPHILL
from nnopt.optimizers.schedules import Cosine
from nnopt.optimizers.trust_region import HARD_CASE
from nnopt.runs.minimize import minimize

UNBOUNDED = [name for name in functions.names() if functions.get(name).minima_note.startswith("no minimum")]
NAMES = [name for name in functions.names() if functions.get(name).minima]
#: beale has a valley that falls for ever towards x = -infinity, y = 1, and one towards x = 0, y = -infinity
ENDLESS = ("beale",)
STEPS = 200


@cache
def starts(name):
    """The standard start and 20 random ones within the bounds."""
    f = functions.get(name)
    low, high = np.array(f.bounds).T
    return [f.start, *(low + (high - low) * np.random.default_rng(7).random((20, f.size)))]


@cache
def newtons(name):
    """Newton's runs from each start."""
    f = functions.get(name)
    return [minimize(f, optimizers.Newton(), start, steps=100) for start in starts(name)]


def test_every_method_has_its_place_here():
    assert sorted([*FIRST_ORDER, *PURE, *OF_OUTPUTS, *CURVED]) == METHODS
    assert {"trust_region", "saddle_free_newton", "damped_newton", "newton_cg"} <= set(SAFE)
    assert len(NAMES) >= 23


# ---- second-order methods


class Ended(NamedTuple):
    """How a run ended: what `check` says of it, where, after how many steps, the first loss and the last, and whether
    no step made the loss higher than rounding does."""

    kind: str
    theta: np.ndarray
    steps: int
    first: float
    last: float
    descended: bool


def run(method, name, start):
    f = functions.get(name)
    history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
    kind, values = check(f, history, STEPS), history.value
    descended = bool((np.diff(values) <= 1e-12 * np.abs(values[:-1])).all())
    return Ended(kind, history.theta[-1], history.length - 1, values[0], values[-1], descended)


@cache
def runs(method, name):
    """The method's runs from each start."""
    return [run(method, name, start) for start in starts(name)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", CURVED)
def test_a_stationary_point_is_reached(method, name):
    f = functions.get(name)
    reached = 0
    for ended in runs(method, name):
        assert ended.kind != "diverged"
        assert ended.descended
        if ended.kind in ("stuck", "stopped"):
            slope, theta = f.gradient(ended.theta), ended.theta
            remaining = slope @ np.linalg.solve(f.hessian(theta), slope)
            outside = any(not 2 * low <= x <= 2 * high for x, (low, high) in zip(theta, f.bounds, strict=True))
            assert (name in ENDLESS and outside) or 0 <= remaining <= noise_of(f.value(theta))
        else:
            reached += 1
    # which of the starts lead into a valley without end depends on rounding
    assert reached >= (5 if name in ENDLESS else 20)


@pytest.mark.parametrize("name", UNBOUNDED)
@pytest.mark.parametrize("method", CURVED)
def test_where_there_is_no_minimum_the_run_diverges_and_says_so(method, name):
    f = functions.get(name)
    for start in starts(name):
        history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
        assert check(f, history, STEPS) == "diverged"
        assert history.value[-1] < -1e6 or not np.isfinite(history.value[-1])


@pytest.mark.parametrize("method", CURVED)
def test_few_steps_are_needed(method):
    smooth = [name for name in NAMES if name not in ENDLESS and getattr(functions.get(name), "tip", None) is None]
    needed = [ended.steps for name in smooth for ended in runs(method, name)]
    assert np.median(needed) <= 15
    assert np.quantile(needed, 0.95) <= 90


# ---- Newton's method, and Gauss-Newton where a function is a sum of squares


@pytest.mark.parametrize("name", [*NAMES, *UNBOUNDED])
def test_newton_states_where_it_has_come_to_and_when_it_goes_uphill(name):
    f, reached = functions.get(name), 0
    for history in newtons(name):
        kind = check(f, history, 100)
        reached += kind in ("converged", "tip")
        said = dict(history.notes)
        for step in range(min(history.length - 1, 8)):
            slope = f.gradient(history.theta[step]) @ (history.theta[step + 1] - history.theta[step])
            if slope > 1e-9:
                assert UPHILL in said.get(max(at for at in said if at <= step), "")
    # a step that leads up may end anywhere, and far out be lost in rounding: most do not
    assert reached >= (5 if name in ("steep_beside_flat", "ripple") else 15)


#: residuals r_i with f = sum r_i^2; x1 .. xn, or x and y
RESIDUALS = {
    "bowl": ("sqrt(0.5)*x",),
    "rosenbrock": ("10*(y - x**2)", "1 - x"),
    "himmelblau": ("x**2 + y - 11", "x + y**2 - 7"),
    "beale": ("1.5 - x + x*y", "2.25 - x + x*y**2", "2.625 - x + x*y**3"),
    "booth": ("x + 2*y - 7", "2*x + y - 5"),
    "matyas": ("0.1*(x + y)", "0.5*(x - y)"),
    "wood": (
        "10*(x2 - x1**2)", "1 - x1", "sqrt(90)*(x4 - x3**2)", "1 - x3", "sqrt(10)*(x2 + x4 - 2)", "(x2 - x4)/sqrt(10)",
    ),
    "powell_singular": ("x1 + 10*x2", "sqrt(5)*(x3 - x4)", "(x2 - 2*x3)**2", "sqrt(10)*(x1 - x4)**2"),
    "rosenbrock_n": tuple(text for i in range(1, 10) for text in (f"10*(x{i + 1} - x{i}**2)", f"1 - x{i}")),
}  # fmt: skip


class SumOfSquares:
    """A function and the Gauss-Newton matrix 2 J^T J of its residuals."""

    def __init__(self, name):
        self.f = functions.get(name)
        names = ("x", "y")[: self.f.size] if self.f.size < 3 else tuple(f"x{i + 1}" for i in range(self.f.size))
        # every residual is written in all the variables
        zero = " + ".join(f"0*{name}" for name in names)
        self.residuals = [functions.formula(f"{text} + {zero}") for text in RESIDUALS[name]]
        self.value, self.gradient, self.hessian = self.f.value, self.f.gradient, self.f.hessian

    def gauss_newton(self, theta):
        jacobian = np.array([residual.gradient(theta) for residual in self.residuals])
        return 2 * jacobian.T @ jacobian


@pytest.mark.parametrize("name", RESIDUALS)
@pytest.mark.parametrize("method", OF_OUTPUTS)
def test_a_sum_of_squares_is_brought_to_a_stationary_point(method, name):
    objective, reached = SumOfSquares(name), 0
    for start in starts(name):
        squares = sum(residual.value(start) ** 2 for residual in objective.residuals)
        assert squares == pytest.approx(objective.f.value(start), rel=1e-9, abs=1e-12)
        history = minimize(objective, optimizers.get(method)(), start, steps=STEPS)
        kind = check(objective, history, STEPS)
        assert kind != "diverged"
        assert (np.diff(history.value) <= 1e-12 * np.abs(history.value[:-1])).all()
        reached += kind == "converged"
    assert reached >= (5 if name in ENDLESS else 18)


# ---- minima, not saddles


@cache
def trapped(name):
    """The starts from which Newton's method ends where curvature is negative, and where it ends."""
    f = functions.get(name)
    ends = [run.theta[-1] for run in newtons(name)]
    return [(start, end) for start, end in zip(starts(name), ends, strict=True) if negative_curvature(f, end)]


@cache
def saddles(name):
    """Different stationary points with negative curvature, found by Newton's method, which is drawn to them."""
    f = functions.get(name)
    found = []
    for _, end in trapped(name):
        if np.linalg.norm(f.gradient(end)) < 1e-8 and all(np.abs(end - other).max() > 1e-6 for other in found):
            found.append(end)
    return found


def is_in_a_minimum(name, ended):
    """Where a run ended there is a minimum, one of those known; or it falls without end where the function does."""
    f, theta = functions.get(name), ended.theta
    inside = all(low <= x <= high for x, (low, high) in zip(theta, f.bounds, strict=True))
    if name in ENDLESS and not inside:
        return ended.last < ended.first and not negative_curvature(f, theta)
    flat = ended.kind == "tip" or np.linalg.norm(f.gradient(theta)) < 1e-6
    known = any(np.abs(minimum.theta - theta).max() < 1e-6 for minimum in f.minima)
    return flat and not negative_curvature(f, theta) and (known or not inside or "circle of minima" in f.minima_note)


def test_newton_is_trapped_often_enough_for_the_next_tests_to_mean_something():
    assert sum(len(trapped(name)) > 0 for name in NAMES) >= 10
    assert sum(len(trapped(name)) for name in NAMES) >= 100
    assert sum(len(saddles(name)) for name in NAMES) >= 50


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", SAFE)
def test_from_where_newton_is_trapped_a_minimum_is_reached(method, name):
    begins = [start.tolist() for start, _ in trapped(name)]
    for start, ended in zip(starts(name), runs(method, name), strict=True):
        assert start.tolist() not in begins or is_in_a_minimum(name, ended)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", SAFE)
def test_from_a_saddle_itself_and_from_beside_it_a_minimum_is_reached(method, name):
    for k, saddle in enumerate(saddles(name)[:6]):
        assert is_in_a_minimum(name, run(method, name, saddle))
        for distance in (1e-12, 1e-8, 1e-4):
            beside = saddle + distance * np.random.default_rng(k).normal(size=saddle.size)
            assert is_in_a_minimum(name, run(method, name, beside))


@pytest.mark.parametrize("name", ["rastrigin", "styblinski_tang", "ackley"])
@pytest.mark.parametrize("method", SAFE)
def test_from_a_line_that_leads_straight_into_a_saddle_a_minimum_is_reached(method, name):
    # the functions are symmetric: where one parameter stands on a ridge, the gradient has no part across it
    f, lines = functions.get(name), 0
    for saddle in saddles(name):
        curvatures = np.diag(f.hessian(saddle))
        if not curvatures.min() < 0 < curvatures.max() or (name == "ackley" and np.abs(saddle).min() > 1e-9):
            continue
        start = np.where(np.abs(saddle) < 1e-9, 0.0, saddle) if name == "ackley" else saddle
        start = start + 0.03 * np.eye(2)[np.argmax(curvatures)]
        newton = minimize(f, optimizers.Newton(), start, steps=100)
        assert newton.theta[-1] == pytest.approx(saddle, abs=1e-6)
        assert is_in_a_minimum(name, run(method, name, start))
        lines += 1
    assert lines >= (1 if name == "ackley" else 3)


@pytest.mark.parametrize("method", SAFE)
def test_the_middle_of_himmelblau_leads_to_a_minimum_where_newton_ends_on_the_hill(method):
    f = functions.get("himmelblau")
    assert minimize(f, optimizers.Newton(), [0, 0], steps=50).value[-1] == pytest.approx(181.617, abs=1e-3)
    assert minimize(f, optimizers.get(method)(), [0, 0], steps=50).value[-1] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "start"),
    [("saddle", (1.0, 0.0)), ("saddle", (-0.3, 0.0)), ("saddle", (0.0, 0.0)), ("monkey_saddle", (0.1, 0.0))],
)
def test_a_saddle_is_left_from_the_line_that_leads_straight_to_it_and_from_itself(name, start):
    f = functions.get(name)
    for method in ("newton", "lbfgs", "sgd"):
        history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
        assert history.outcome.kind == "converged" or (method, name) == ("sgd", "monkey_saddle")
        assert np.linalg.norm(history.theta[-1]) < 0.05
        assert "saddle: 1 of 2 curvatures is negative" in history.outcome.reason or method == "sgd"
    for method in SAFE:
        history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
        assert history.outcome.kind == "diverged"
        assert history.value[-1] < -1e6
        assert any(text in note for _, note in history.notes for text in (NO_SLOPE, HARD_CASE))


@pytest.mark.parametrize("start", [(0.1, 0.01), (0.0, 0.2), (-0.05, 0.0), (-0.1, 0.15)])
@pytest.mark.parametrize("method", SAFE)
def test_the_monkey_saddle_does_not_hold_them(method, start):
    # the Hessian vanishes at the centre: Newton halves its distance at every step and stays
    f = functions.get("monkey_saddle")
    assert np.linalg.norm(minimize(f, optimizers.Newton(), start, steps=60).theta[-1]) < 1e-4
    history = minimize(f, optimizers.get(method)(), start, steps=STEPS)
    assert history.outcome.kind == "diverged"
    assert history.value[-1] < -1e6 or not np.isfinite(history.value[-1])


# ---- first-order methods


@cache
def safe_rate(name):
    """1 / the largest curvature on a grid within the bounds: stable for plain descent wherever it gets to."""
    f = functions.get(name)
    low, high = np.array(f.bounds).T
    points = low + (high - low) * np.random.default_rng(0).random((60, f.size))
    values = [np.abs(np.linalg.eigvalsh(f.hessian(point))).max() for point in (*points, f.start)]
    return 1.0 / max(values)


@cache
def is_well_conditioned(name):
    """Whether 1000 steps of plain descent shrink the distance to every minimum by e^-25 at least."""
    f = functions.get(name)
    flattest = min(np.linalg.eigvalsh(f.hessian(minimum.theta))[0] for minimum in f.minima)
    return getattr(f, "tip", None) is None and safe_rate(name) * flattest * 1000 > 25


def test_most_functions_are_well_conditioned():
    assert sum(is_well_conditioned(name) for name in NAMES) >= 12


#: methods that divide by the size of the gradient: their steps are as long as the rate, which must fall to nothing
RATES = {"adagrad": 2.0, "rmsprop": 0.1, "adam": 0.3}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", FIRST_ORDER)
def test_a_first_order_method_reaches_a_minimum_where_the_function_is_well_conditioned(method, name):
    f = functions.get(name)
    if is_well_conditioned(name):
        plain = safe_rate(name) * (1.0 if method == "sgd" else 0.1)
        schedule = Cosine(steps=1000) if method in RATES else None
        optimizer = optimizers.get(method)(lr=RATES.get(method, plain))
        history = minimize(f, optimizer, f.start, steps=1000, schedule=schedule)
        check(f, history, 1000)
        assert history.columns["gradient_norm"][-1] < 1e-6
        assert min(np.abs(minimum.theta - history.theta[-1]).max() for minimum in f.minima) < 1e-5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", FIRST_ORDER)
def test_a_first_order_method_goes_down_or_states_its_outcome(method, name):
    f = functions.get(name)
    rate = safe_rate(name) if method in ("sgd", "momentum", "nesterov") else 0.02
    rate *= 0.1 if method in ("momentum", "nesterov") else 1.0
    lower = 0
    for start in starts(name):
        history = minimize(f, optimizers.get(method)(lr=rate), start, steps=100)
        check(f, history, 100)
        assert history.outcome.kind != "diverged"
        lower += bool(history.value[-1] <= history.value[0])
    assert lower >= 18
