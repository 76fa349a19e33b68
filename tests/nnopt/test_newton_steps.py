"""The Newton step of many parameters: exact where it can be, of a known accuracy or none where it cannot."""

import threading
from fractions import Fraction

import numpy as np
import pytest

import nnopt
from nnopt.analysis import curvature
from nnopt.analysis.around import Around
from nnopt.analysis.curvature import NOT_KNOWN, newton_step_at
from nnopt.analysis.explanation import explain
from nnopt.analysis.newton_iteration import solve_indefinite
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective


def objective_of(sizes, examples=60):
    random = np.random.default_rng(3)
    X = random.standard_normal((examples, sizes[0]))
    return NetworkObjective(Network(sizes), X, (X[:, 0] * X[:, 1] > 0).astype(float), l2=1e-3)


class Bowl:
    """A quadratic with a diagonal Hessian, by Hessian-vector products alone; it counts them."""

    def __init__(self, curvatures):
        self.curvatures = np.asarray(curvatures, dtype=float)
        self.size, self.products = len(self.curvatures), 0

    def value_and_gradient(self, theta):
        return 0.5 * float(theta @ (self.curvatures * theta)), self.curvatures * theta

    def hvp(self, theta, v):
        self.products += 1
        return self.curvatures * v


@pytest.mark.parametrize("damping", [0.0, 0.05])
@pytest.mark.parametrize("hidden", [24, 36, 46])  # 697, 1,513 and 2,393 parameters
def test_the_step_is_plain_numpys_solution_up_to_2500_parameters(hidden, damping):
    objective = objective_of((2, hidden, hidden, 1))
    theta = objective.network.initial(1)
    gradient = objective.gradient(theta)
    step, note = newton_step_at(objective, theta, gradient, damping)
    lifted = objective.hessian(theta) + damping * np.eye(theta.size)
    expected = np.linalg.solve(lifted, -gradient)
    assert 600 < theta.size <= curvature.EXACT_STEP
    assert np.linalg.norm(step - expected) <= 1e-6 * np.linalg.norm(expected)
    assert ("uphill" in note) == (gradient @ expected > 0)
    assert "approximate" not in note


@pytest.mark.parametrize("lowest", [0.05, -2.0])
def test_an_iterated_step_is_as_exact_as_it_says(lowest):
    random = np.random.default_rng(5)
    curvatures = np.concatenate([random.uniform(0.5, 5.0, 2990), np.linspace(lowest, -0.1 + 0.2 * (lowest > 0), 10)])
    theta = random.standard_normal(3000)
    step, note = newton_step_at(Bowl(curvatures), theta, curvatures * theta)
    # the minimum or saddle is at the origin, whatever the curvatures are
    assert note in ("", "the Newton step goes uphill")
    assert np.linalg.norm(step + theta) < 1e-6 * np.linalg.norm(theta)


def test_an_iterated_step_of_a_network_is_the_direct_one(monkeypatch):
    objective = objective_of((2, 30, 30, 1))
    theta = objective.network.initial(1)
    gradient = objective.gradient(theta)
    lifted = objective.hessian(theta) + 0.5 * np.eye(theta.size)
    monkeypatch.setattr(curvature, "EXACT_STEP", 100)
    step, note = newton_step_at(objective, theta, gradient, 0.5)
    assert note == ""
    expected = np.linalg.solve(lifted, -gradient)
    assert np.linalg.norm(step - expected) < 1e-6 * np.linalg.norm(expected)


def test_a_step_that_an_iteration_cannot_find_is_none():
    # a curvature of 1e-9 among 2,999 that are spread: the residual is small long before the step is known
    curvatures = np.concatenate([np.linspace(0.5, 2.0, 2999), [1e-9]])
    theta = np.ones(3000)
    step, note = newton_step_at(Bowl(curvatures), theta, curvatures * theta)
    assert np.isnan(step).all()
    assert note == NOT_KNOWN


def test_the_error_that_is_stated_bounds_the_error():
    # Hilbert's matrix with exact rational entries times a vector of ones: the solution is ones
    size = 6
    matrix = [[Fraction(1, i + j + 1) for j in range(size)] for i in range(size)]
    right = np.array([float(sum(row)) for row in matrix])
    numbers = np.array([[float(x) for x in row] for row in matrix])
    found = solve_indefinite(lambda v: numbers @ v, right, accuracy=1e-7)
    assert np.linalg.norm(found.step - 1) <= max(found.error, 1e-9) * np.linalg.norm(found.step)


@pytest.mark.parametrize("start", [0.0, np.inf, np.nan])
def test_there_is_no_step_from_a_gradient_that_is_zero_or_not_finite(start):
    found = solve_indefinite(lambda v: v, np.full(5, start))
    assert (found.error == 0.0) == (start == 0.0)


def test_explaining_newtons_method_shows_the_step_that_it_takes(monkeypatch):
    # as if 100 parameters were too many: the method factorizes all the same, and so does its explanation
    for module in (curvature, nnopt.analysis.explanation, nnopt.analysis.around):
        monkeypatch.setattr(module, "EXACT_STEP", 10)
    objective = objective_of((2, 10, 1))
    start = objective.network.initial(1)
    history = nnopt.minimize(objective, nnopt.optimizers.Newton(), start=start, steps=2)
    facts = explain(history, 0)
    np.testing.assert_array_equal(facts.newton_step, facts.taken)
    np.testing.assert_array_equal(facts.theta + facts.taken, history.seek(1).theta)


def test_what_is_known_around_a_point_is_computed_once():
    f = functions.get("rosenbrock")
    calls = []

    class Counting:
        size = 2

        def value_and_gradient(self, theta):
            calls.append("gradient")
            return f.value_and_gradient(theta)

        def hessian(self, theta):
            calls.append("hessian")
            return f.hessian(theta)

    here = Around(Counting(), np.array([-1.2, 1.0]))
    for _ in range(2):
        step, _ = here.newton()
        least, most = here.ends
        assert here.spectrum.inertia.positive == 2
        assert here.value == pytest.approx(24.2)
    assert sorted(calls) == ["gradient", "hessian"]
    np.testing.assert_allclose(step, np.linalg.solve(f.hessian(here.theta), -f.gradient(here.theta)))
    np.testing.assert_allclose([least, most], np.linalg.eigvalsh(f.hessian(here.theta)))
    assert here.knows_newton()
    assert not here.knows_newton(0.5)


def test_a_batchs_step_can_be_compared_with_the_full_loss():
    objective = objective_of((2, 5, 1))
    start = objective.network.initial(1)
    history = nnopt.minimize(
        objective, nnopt.optimizers.SGD(lr=0.1), start=start, steps=3, batches=nnopt.optimizers.batches.Mini(size=8)
    )
    full = explain(history, 1, compare=Around(objective, history.seek(1).theta))
    batch = explain(history, 1)
    assert (full.of_batch, batch.of_batch) == (False, True)
    np.testing.assert_array_equal(full.taken, batch.taken)
    theta = history.seek(1).theta
    np.testing.assert_allclose(full.gradient_step, -0.1 * objective.gradient(theta), rtol=1e-12)
    np.testing.assert_allclose(batch.gradient_step, batch.taken, rtol=1e-12)
    np.testing.assert_allclose(full.spectrum.values, np.linalg.eigvalsh(objective.hessian(theta))[::-1], atol=1e-10)
    np.testing.assert_allclose(full.spectrum.vectors @ full.taken_along, full.taken, atol=1e-12)


def test_where_no_iteration_is_wanted_a_large_newton_step_is_not_known():
    bowl = Bowl(np.linspace(1.0, 2.0, 3000))
    here = Around(bowl, np.ones(3000), iterate=False)
    step, note = here.newton(0.1)
    assert np.isnan(step).all()
    assert (note, bowl.products, here.hessian) == (NOT_KNOWN, 0, None)


def test_the_gradient_does_not_wait_for_a_hessian_that_is_on_its_way() -> None:
    go, begun = threading.Event(), threading.Event()

    class Slow:
        size = 2

        def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
            return float(theta @ theta), 2 * theta

        def hessian(self, theta: np.ndarray) -> np.ndarray:
            begun.set()
            assert go.wait(10.0)
            return 2 * np.eye(2)

    here = Around(Slow(), np.ones(2))
    thread = threading.Thread(target=lambda: here.newton())
    thread.start()
    assert begun.wait(10.0)
    assert here.value == 2.0
    np.testing.assert_array_equal(here.gradient, [2.0, 2.0])
    assert thread.is_alive()
    go.set()
    thread.join()
    np.testing.assert_allclose(here.newton()[0], [-1.0, -1.0])
