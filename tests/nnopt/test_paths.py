"""Paths between solutions: straight, aligned, and bent around the barrier."""

import numpy as np
import pytest

from nnopt.analysis.paths import BendObjective, Path, aligned_path, connect, losses_along, straight_path
from nnopt.analysis.symmetry import random_symmetry
from nnopt.errors import SettingsError, ShapeError
from nnopt.objectives import datasets, functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import get
from nnopt.runs.minimize import minimize


@pytest.fixture(scope="module")
def problem():
    data = datasets.get("moons", points=100, noise=10).make(0)
    return NetworkObjective(Network((2, 12, 1)), data.X, data.y, l2=1e-4)


@pytest.fixture(scope="module")
def solutions(problem):
    starts = [problem.network.initial(seed) for seed in (1, 2)]
    histories = [minimize(problem, get("adam")(lr=0.05), start=start, steps=800) for start in starts]
    return [history.seek(history.length - 1).theta for history in histories]


def test_a_straight_path_and_a_curve_pass_where_their_formulas_say():
    a, b, c = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 6.0]])
    assert straight_path(a, b).point(0.25).tolist() == [1.0, 0.0]
    curve = Path(np.stack([a, c, b]))
    assert curve.point(0.5).tolist() == [2.0, 3.0]
    assert curve.points([0.0, 1.0]).tolist() == [[0.0, 0.0], [4.0, 0.0]]
    assert curve.start.tolist() == [0.0, 0.0]
    assert curve.end.tolist() == [4.0, 0.0]
    # length of the parabola y = 3 x - 3/4 x^2 over 0 .. 4
    assert curve.length(2000) == pytest.approx(2 / 3 * (3 * np.sqrt(10) + np.arcsinh(3)), rel=1e-5)


def test_the_barrier_is_the_highest_rise_above_the_line_between_the_ends():
    # along the x-axis through both wells of x^4 - 2 x^2, tilted: L = (x^2 - 1)^2 + x
    class Tilted:
        def value(self, theta):
            return float((theta[0] ** 2 - 1) ** 2 + theta[0])

    profile = losses_along(Tilted(), straight_path([-1.0], [1.0]))
    assert profile.barrier == pytest.approx(1.0)
    assert profile.values[[0, 50, 100]].tolist() == [-1.0, 1.0, 1.0]
    assert profile.t[50] == 0.5


def test_a_permuted_copy_has_a_barrier_before_alignment_and_none_after(problem, solutions):
    copy = random_symmetry(problem.network, 5)(solutions[0])
    assert losses_along(problem, straight_path(solutions[0], copy)).barrier > 0.1
    flat = losses_along(problem, aligned_path(problem.network, solutions[0], copy))
    assert np.ptp(flat.values) < 1e-10
    assert flat.highest == pytest.approx(problem.value(solutions[0]), abs=1e-10)


def test_two_trained_solutions_are_nearer_in_loss_once_aligned(problem, solutions):
    before = losses_along(problem, straight_path(*solutions))
    after = losses_along(problem, aligned_path(problem.network, *solutions))
    assert before.barrier > 0.1
    assert after.barrier < before.barrier / 4
    assert after.values[[0, -1]] == pytest.approx(before.values[[0, -1]], abs=1e-12)


def test_a_trained_curve_leads_around_the_barrier(problem, solutions):
    found = connect(problem, *solutions, steps=400)
    assert found.straight.barrier > 0.1
    assert found.profile.barrier < found.straight.barrier / 10
    np.testing.assert_array_equal(found.path.start, solutions[0])
    np.testing.assert_array_equal(found.path.end, solutions[1])
    again = connect(problem, *solutions, steps=400)
    np.testing.assert_array_equal(again.path.controls, found.path.controls)


@pytest.mark.parametrize("name", ["network", "function"])
def test_the_gradient_of_the_bend_is_that_of_finite_differences(problem, name):
    objective = problem if name == "network" else functions.get("rosenbrock")
    random = np.random.default_rng(0)
    ends, bend = random.normal(size=(2, objective.size)), random.normal(size=objective.size)
    along = BendObjective(objective, *ends, nodes=7)
    gradient = along.gradient(bend)
    for i in random.integers(0, objective.size, 5):
        move = np.zeros(objective.size)
        move[i] = 1e-6
        difference = (along.value(bend + move) - along.value(bend - move)) / 2e-6
        assert gradient[i] == pytest.approx(difference, rel=1e-5, abs=1e-7)


def test_batches_of_nodes_average_to_the_whole_curve(problem):
    random = np.random.default_rng(0)
    along = BendObjective(problem, *random.normal(size=(2, problem.size)), nodes=12)
    bend = random.normal(size=problem.size)
    parts = [along.value_and_gradient(bend, rows) for rows in np.arange(12).reshape(4, 3)]
    value, gradient = along.value_and_gradient(bend)
    assert np.mean([part for part, _ in parts]) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(np.mean([part for _, part in parts], axis=0), gradient, rtol=1e-10, atol=1e-14)


def test_ends_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="two ends of one shape"):
        straight_path([0.0], [0.0, 1.0])
    with pytest.raises(ShapeError, match="controls"):
        Path(np.zeros(3))
    with pytest.raises(SettingsError, match="n >= 2"):
        losses_along(functions.get("rosenbrock"), straight_path([0, 0], [1, 1]), n=1)
    with pytest.raises(SettingsError, match="nodes"):
        BendObjective(functions.get("rosenbrock"), [0, 0], [1, 1], nodes=0)
