"""The analysis at its edges: arguments that do not fit, numbers that are not finite, wild runs among good ones."""

import numpy as np
import pytest

from nnopt import analysis
from nnopt.analysis import theory
from nnopt.analysis.convexity import ConvexityMap, convexity_of_grid
from nnopt.analysis.directions import Context, direction, plane_of_steps, random_direction
from nnopt.analysis.given import count_of, generator
from nnopt.analysis.planes import Plane, Slice
from nnopt.analysis.restarts_result import Restarts
from nnopt.errors import DataError, SettingsError, ShapeError, UnsupportedError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import SGD, Newton
from nnopt.runs.experiment import default_experiment
from nnopt.runs.minimize import minimize
from nnopt.runs.state import Outcome

NAN = float("nan")
ROSENBROCK = functions.get("rosenbrock")
HERE = Context(ROSENBROCK, ROSENBROCK.start)
FLAT = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
LINE = Slice(np.zeros(2), np.array([1.0, 0.0]))
SMALL = Network((2, 4, 1))


def regression(examples=20):
    X = np.random.default_rng(0).normal(size=(examples, 2))
    return NetworkObjective(SMALL, X, X[:, 0] * X[:, 1], "squared_error")


# ---- curvature


def test_nothing_is_said_of_a_hessian_that_is_not_finite():
    found = analysis.spectrum([[NAN, 0.0], [0.0, 1.0]])
    assert found.kind == "unknown"
    assert np.isnan(found.condition)
    assert np.isnan(found.stable_rate)
    assert found.verdict == "unknown: the Hessian is not finite"
    with pytest.raises(UnsupportedError, match="Hessian is not finite"):
        direction("eigenvector:0", Context(ROSENBROCK, [NAN, 1.0]))


def test_a_zero_hessian_has_an_infinite_condition_and_no_limit():
    found = analysis.spectrum(np.zeros((2, 2)))
    assert (found.kind, found.condition, found.stable_rate) == ("flat", np.inf, np.inf)


@pytest.mark.parametrize("hessian", [[[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]], [1.0]])
def test_a_newton_step_needs_a_square_hessian_of_the_gradient_s_size(hessian):
    with pytest.raises(ShapeError, match="newton_step: expected hessian"):
        analysis.newton_step(hessian, [1.0])


def test_a_newton_step_at_a_point_needs_a_gradient_of_its_size():
    with pytest.raises(ShapeError, match=r"gradient: .* \(2,\), got \(3,\)"):
        analysis.newton_step_at(ROSENBROCK, ROSENBROCK.start, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("start", [[1.0], [1.0, 2.0, 3.0]])
def test_sharpness_begins_with_a_vector_of_the_right_size(start):
    with pytest.raises(ShapeError, match=r"start: expected shape \(2,\)"):
        analysis.sharpness(ROSENBROCK, ROSENBROCK.start, start=start)


@pytest.mark.parametrize("most", [0, -1, 2.5])
def test_eigenpairs_need_a_product_at_least(most):
    with pytest.raises(SettingsError, match="most: expected a whole number >= 1"):
        analysis.eigenpairs(ROSENBROCK, ROSENBROCK.start, top=1, most=most)
    with pytest.raises(SettingsError, match="most"):
        analysis.sharpness(ROSENBROCK, ROSENBROCK.start, most=most)


@pytest.mark.parametrize("width", [0.0, -1.0, NAN])
def test_a_density_is_drawn_with_some_width(width):
    with pytest.raises(SettingsError, match="width > 0"):
        analysis.spectral_density(ROSENBROCK, ROSENBROCK.start, width=width)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_a_seed_that_is_none_is_refused_everywhere(seed):
    asks = (
        lambda: generator(seed),
        lambda: analysis.eigenpairs(ROSENBROCK, ROSENBROCK.start, top=1, seed=seed),
        lambda: analysis.spectral_density(ROSENBROCK, ROSENBROCK.start, seed=seed),
        lambda: analysis.trace(ROSENBROCK, ROSENBROCK.start, seed=seed),
        lambda: analysis.random_direction(ROSENBROCK, ROSENBROCK.start, seed=seed),
        lambda: analysis.random_symmetry(SMALL, seed),
        lambda: analysis.measure_noise(regression(), SMALL.initial(0), 2, seed=seed),
    )
    for ask in asks:
        with pytest.raises(SettingsError, match="seed: expected a whole number >= 0"):
            ask()


def test_seeds_and_counts_of_numpy_are_whole_numbers_too():
    assert generator(np.int64(3)).random() == np.random.default_rng(3).random()
    assert count_of("steps", np.int32(3), least=1) == 3
    np.testing.assert_array_equal(
        random_direction(ROSENBROCK, [3.0, 4.0], np.int64(7)), random_direction(ROSENBROCK, [3.0, 4.0], 7)
    )


def test_costs_are_those_of_networks():
    with pytest.raises(SettingsError, match="expected a Network, got 7"):
        analysis.hessian_cost(7, 1)
    with pytest.raises(UnsupportedError, match="expected a NetworkObjective"):
        analysis.measured_hessian(ROSENBROCK, ROSENBROCK.start)


def test_a_curvature_method_has_no_learning_rate_and_so_no_edge_of_stability():
    limits = [
        analysis.sharpness_along(minimize(ROSENBROCK, method, ROSENBROCK.start, steps=2)).limits
        for method in (SGD(lr=1e-4), Newton())
    ]
    assert limits[0] == pytest.approx(2e4)
    assert np.isnan(limits[1]).all()


# ---- directions, planes, convexity


@pytest.mark.parametrize("kind", ["gradient:3", "pca1:7", "towards:0", "newton:1"])
def test_a_number_after_a_direction_that_takes_none_is_refused(kind):
    with pytest.raises(SettingsError, match="takes no number"):
        direction(kind, HERE)


def test_directions_that_do_not_fit_are_refused_in_words():
    with pytest.raises(LookupError, match="unknown direction 5"):
        direction(5, HERE)
    with pytest.raises(SettingsError, match="seed"):
        direction("random:-3", HERE)
    with pytest.raises(ShapeError, match=r"target: expected shape \(2,\), got \(3,\)"):
        direction("towards", Context(ROSENBROCK, ROSENBROCK.start, target=[1.0, 2.0, 3.0]))


def test_a_coordinate_without_a_name_of_its_own_has_its_usual_one():
    assert direction("coordinate:1", Context(ROSENBROCK, ROSENBROCK.start, names=("a",))).label == "y"


def test_the_plane_of_steps_contains_a_step_whose_square_overflows():
    newton = np.array([3e200, -4e200, 1e200])
    flat = plane_of_steps(np.zeros(3), np.array([0.0, -2.0, 0.0]), newton)
    assert flat.labels[1] == "along the rest of the Newton step"
    assert flat.share(newton) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("place", [FLAT, LINE])
@pytest.mark.parametrize("step", [[NAN, 1.0], [np.inf, 1.0]])
def test_of_a_step_that_is_not_finite_no_share_is_known(place, step):
    assert np.isnan(place.share(step))


@pytest.mark.parametrize("place", [FLAT, LINE])
def test_what_is_projected_has_as_many_parameters_as_the_place(place):
    for ask in (place.project, place.share):
        with pytest.raises(ShapeError, match="got"):
            ask([1.0, 2.0, 3.0])


@pytest.mark.parametrize("size", [1e-200, 1e-160, 1.0, 1e160, 1e200])
@pytest.mark.parametrize("entries", [(1.0, 0.0, -1.0), (2.0, 1.0, 2.0), (-1.0, 3.0, 1.0), (0.0, 1.0, 0.0)])
def test_signs_of_curvatures_do_not_depend_on_their_size(size, entries):
    aa, ab, bb = entries

    class Bowl:
        def hvp(self, theta, v):
            return size * (np.array([[aa, ab], [ab, bb]]) @ v)

    found = analysis.convexity_map(Bowl(), FLAT, [0.0], [0.0])
    smallest, largest = np.linalg.eigvalsh([[aa, ab], [ab, bb]])
    assert found.smallest[0, 0] / size == pytest.approx(smallest, rel=1e-12)
    assert found.largest[0, 0] / size == pytest.approx(largest, rel=1e-12)


def test_convexity_of_samples_needs_an_even_grid():
    even, uneven = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 5.0])
    for a, b in ((uneven, even), (even, uneven), (np.zeros(3), even), (even[::-1], even)):
        with pytest.raises(SettingsError, match="equal steps"):
            convexity_of_grid(a, b, np.zeros((3, 3)))
    far = analysis.axes((1e6, 1e6 + 1e-6, 0.0, 1.0), 4)
    assert isinstance(convexity_of_grid(*far, np.zeros((4, 4))), ConvexityMap)


def test_curvatures_and_coordinates_belong_together():
    with pytest.raises(ShapeError, match="not_convex"):
        analysis.not_convex([0.0, 1.0, 2.0, 3.0], [1.0, -1.0])
    with pytest.raises(ShapeError, match="convexity_map"):
        analysis.convexity_map(ROSENBROCK, FLAT, 0.0, [0.0])
    with pytest.raises(ShapeError, match="trust_region_mask"):
        analysis.trust_region_mask([1.0, 2.0, 3.0], [[1.0], [2.0]])


# ---- symmetry, paths, noise


def test_more_equivalent_solutions_than_python_writes_out_are_shown_in_words():
    found = analysis.equivalent_solutions(Network((2, 2000, 1)))
    assert found.count % 2**2000 == 0
    assert repr(found).startswith("Equivalents(count=<3.8 × 10^6337>, formula='2000! · 2^2000', log10=6337.5")


def test_a_barrier_beside_an_infinite_end_is_not_a_number():
    assert np.isnan(analysis.losses_along(ROSENBROCK, analysis.straight_path([1e200, 2.0], [2.0, 2.0])).barrier)


def test_one_batch_size_is_a_list_of_one():
    times = analysis.epoch_times(regression(), SMALL.initial(0), batches=5, repeats=1)
    assert [time.batch for time in times] == [5]


# ---- restarts and solutions


def test_a_diverged_run_is_no_solution_and_does_not_hide_how_the_others_differ():
    objective = regression()
    good = [SMALL.initial(seed) for seed in range(3)]
    kinds = ("stopped", "stopped", "stopped", "diverged")
    found = Restarts(
        np.arange(4), np.array([*good, 1e6 * good[0]]), np.array([1.0, 2.0, 3.0, np.inf]),
        tuple(Outcome(kind, 5) for kind in kinds), np.array([0]), np.zeros((1, 4)), objective,
    )  # fmt: skip
    alone = analysis.clusters(analysis.differences(objective, good), losses=[1.0, 2.0, 3.0])
    assert alone.count == 3
    assert found.clusters().labels.tolist() == [*alone.labels.tolist(), -1]


def test_differences_of_outputs_whose_squares_overflow_are_finite():
    objective, theta = regression(), SMALL.initial(0)
    found = analysis.differences(objective, [theta, 1e200 * theta, 2.0 * theta])
    assert np.isfinite(found).all()
    assert found[0, 1] > 1.0 > found[0, 2]


def test_what_is_infinitely_far_is_of_another_kind():
    assert analysis.clusters([[0.0, np.inf], [np.inf, 0.0]]).count == 2


def test_only_networks_vote_and_differ():
    for ask in (analysis.votes, analysis.differences, analysis.disagreement_map):
        with pytest.raises(UnsupportedError, match="outputs of a network"):
            ask(ROSENBROCK, [[1.0, 2.0]])


def test_restarts_refuse_what_does_not_fit():
    with pytest.raises(SettingsError, match="method: expected 0"):
        analysis.restart(default_experiment(), seeds=[1], method="adam")
    with pytest.raises(SettingsError, match="seeds: expected 1 whole numbers"):
        analysis.train_together(ROSENBROCK, default_experiment().methods[0].optimizer, [[1.0, 2.0]], 5, seeds=3)


# ---- theory


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_strengths_of_a_mode_may_be_asked_in_any_order_and_more_than_once(layers):
    times = np.array([[0.3, 0.0, 1.0], [0.3, 0.3, 0.0]])
    found = theory.mode_strength(times, 2.0, 0.1, 1.0, layers=layers)
    alone = [[float(theory.mode_strength(t, 2.0, 0.1, 1.0, layers=layers)) for t in row] for row in times]
    np.testing.assert_allclose(found, alone, rtol=1e-6)
    assert theory.mode_strength([], 2.0, 0.1, 1.0, layers=layers).shape == (0,)
    for start in (0.0, 1e-300):
        assert theory.mode_strength(start, 2.0, 0.1, 1.0, layers=layers) == pytest.approx(0.1)


@pytest.mark.parametrize("time", [-1.0, NAN, np.inf])
def test_the_flow_is_not_integrated_to_a_time_that_is_none(time):
    with pytest.raises(SettingsError, match="times >= 0"):
        theory.mode_strength([0.0, time], 2.0, 0.1, 1.0, layers=3)


def test_starting_strengths_are_one_for_all_modes_or_one_for_each():
    modes = theory.Modes(np.array([3.0, 1.0]), np.eye(2), np.eye(2), 0.0)
    with pytest.raises(ShapeError, match="each of 2 modes"):
        theory.deep_linear_losses([0.0, 1.0], modes, u0=[0.1, 0.1, 0.1], tau=1.0)
    with pytest.raises(SettingsError, match="u0 >= 0"):
        theory.balanced_start(Network((2, 2, 2), "identity"), modes, -0.1)


@pytest.mark.parametrize(
    ("X", "error"), [([1.0, 2.0], ShapeError), (np.empty((0, 2)), ShapeError), ([[NAN]], DataError)]
)
def test_only_finite_tables_are_whitened(X, error):
    with pytest.raises(error, match="whiten"):
        theory.whiten(X)


def test_modes_are_those_of_finite_targets():
    with pytest.raises(DataError, match="finite X and Y"):
        theory.linear_modes([[1.0], [-1.0]], [[2.0], [NAN]])


def test_critical_points_are_listed_where_they_can_be():
    with pytest.raises(UnsupportedError, match="more than 100,000 critical points"):
        theory.autoencoder_critical_points(np.ones(784), 32)
    with pytest.raises(SettingsError, match="hidden: expected a whole number"):
        theory.autoencoder_critical_points([4.0, 3.0], 1.5)


def test_a_critical_point_keeps_components_that_there_are_each_once():
    network = Network((2, 2, 2), "identity")
    for kept in ([5], [-1], [0, 0]):
        with pytest.raises(SettingsError, match=r"kept: expected different indices among 0 \.\. 1"):
            theory.autoencoder_theta(network, np.eye(2), kept)
    with pytest.raises(ShapeError, match="components"):
        theory.autoencoder_theta(network, np.eye(3), [0])


def test_predictions_begin_at_step_zero():
    for steps in (-3, 2.5):
        with pytest.raises(SettingsError, match="steps: expected a whole number >= 0"):
            theory.newton_errors(0.1, 1.0, steps)
        with pytest.raises(SettingsError, match="steps: expected a whole number >= 0"):
            theory.quadratic_losses([1.0], [1.0], steps, lr=0.1)
    assert theory.newton_errors(10.0, 1.0, 12)[-1] == np.inf
    with pytest.raises(ShapeError, match="rates"):
        theory.sgd_variances(0.5, 1.0, 1.0)
    with pytest.raises(SettingsError, match="largest curvature: expected a number > 0, got 'a'"):
        theory.stable_rate("a")
