"""Many starts at once: the same runs as one by one, and what their solutions have in common."""

import msgspec
import numpy as np
import pytest

from nnopt.analysis.ensembles import NetworkEvaluator, is_elementwise
from nnopt.analysis.restarts import Ensemble, restart, train_together
from nnopt.analysis.solutions import clusters, differences, disagreement, disagreement_map, histogram, votes
from nnopt.analysis.symmetry import random_symmetry
from nnopt.errors import SettingsError, ShapeError, UnsupportedError
from nnopt.objectives import datasets, functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import get
from nnopt.optimizers.base import Optimizer, Slots, Update
from nnopt.optimizers.batches import Full, Mini, Single
from nnopt.optimizers.schedules import Constant, Cosine, InverseTime
from nnopt.runs.experiment import Architecture, Experiment, Method, NetworkProblem, Stop, default_experiment
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Run

FIRST_ORDER = [kind for kind in Optimizer.registry if kind.needs == "gradient"]
NEVER = Stop(gradient_norm=0.0)


def problem(points=40, sizes=(2, 6, 5, 1), activation="tanh", loss="binary_cross_entropy", **penalty):
    random = np.random.default_rng(0)
    X = random.normal(size=(points, sizes[0]))
    y = random.integers(0, max(2, sizes[-1]), points)
    if loss == "squared_error":
        y = random.normal(size=(points, sizes[-1]))
    return NetworkObjective(Network(sizes, activation), X, y, loss=loss, **penalty)


def starts(objective, count):
    return np.array([objective.network.initial(seed) for seed in range(count)])


def largest_difference(objective, method, batches, schedule=None, count=5, steps=60):
    schedule = schedule or Constant()
    begin = starts(objective, count)
    together = train_together(
        objective, method, begin, steps, schedule=schedule, batches=batches, seeds=range(7, 7 + count), stop=NEVER
    )
    alone = [
        minimize(objective, method, begin[k], steps, schedule=schedule, batches=batches, seed=7 + k, stop=NEVER)
        for k in range(count)
    ]
    theta = np.array([history.seek(steps).theta for history in alone])
    np.testing.assert_allclose(together.losses, [objective.value(row) for row in theta], rtol=1e-9)
    return float(np.abs(together.theta - theta).max())


@pytest.mark.parametrize("batches", [Full(), Mini(size=7), Mini(size=7, replacement=True), Single()])
@pytest.mark.parametrize("kind", FIRST_ORDER)
def test_every_first_order_method_agrees_with_separate_runs(kind, batches):
    # a line search turns rounding into other steps sooner or later
    steps = 60 if is_elementwise(kind()) else 6
    assert largest_difference(problem(), kind(), batches, steps=steps) < 1e-9


@pytest.mark.parametrize("batches", [Full(), Mini(size=7)])
@pytest.mark.parametrize("options", [{"weight_decay": 0.05}, {"clip": 0.1}, {"weight_decay": 0.05, "clip": 0.1}])
@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"])
def test_weight_decay_and_clipping_are_those_of_separate_runs(name, options, batches):
    assert largest_difference(problem(), get(name)(lr=0.05, **options), batches, steps=40) < 1e-9


@pytest.mark.parametrize("name", ["sgd", "newton", "trust_region", "saddle_free_newton", "damped_newton"])
def test_what_a_run_has_come_to_is_said_as_of_a_run_of_its_own(name):
    # into the saddle, into a minimum, and away along the ridge
    begin = [[0.0, 0.0], [1.0, 0.0], [1.0, 1e-3], [0.0, 3.0]]
    method = get(name)()
    for case in (functions.get("himmelblau"), functions.formula("x**2 - y**2 + y**4")):
        found = train_together(case, method, begin, 300)
        for k, start in enumerate(begin):
            alone = minimize(case, method, start, 300).outcome
            assert (found.outcomes[k].kind, found.outcomes[k].step) == (alone.kind, alone.step)
            if alone.kind == "converged":
                assert found.outcomes[k].reason == alone.reason


@pytest.mark.parametrize(
    "case",
    [
        {"activation": "relu", "l2": 0.01},
        {"activation": "softplus", "l1": 0.01},
        {"sizes": (3, 4, 3), "loss": "cross_entropy", "activation": "sigmoid", "l2": 0.01, "l1": 0.001},
        {"sizes": (2, 4, 4, 4, 2), "loss": "squared_error", "activation": "leaky_relu"},
        {"sizes": (2, 1)},
        {"sizes": (1, 3, 1, 2, 1), "loss": "squared_error"},
    ],
)
@pytest.mark.parametrize("batches", [Full(), Mini(size=7)])
def test_every_kind_of_network_agrees_with_separate_runs(case, batches):
    assert largest_difference(problem(**case), get("momentum")(lr=0.05), batches) < 1e-9


@pytest.mark.parametrize("schedule", [InverseTime(d=0.1), Cosine(steps=60)])
def test_schedules_are_followed(schedule):
    assert largest_difference(problem(), get("sgd")(lr=0.3), Full(), schedule) < 1e-9


def test_more_examples_and_more_runs_than_are_taken_at_once_agree_too():
    objective = problem(points=5000, sizes=(2, 12, 1))
    thetas = starts(objective, 70)
    values, gradients = NetworkEvaluator(objective)(thetas, None)
    wanted = [objective.value_and_gradient(theta) for theta in thetas]
    np.testing.assert_allclose(values, [value for value, _ in wanted], rtol=1e-12)
    np.testing.assert_allclose(gradients, [gradient for _, gradient in wanted], rtol=1e-10, atol=1e-15)
    rows = np.random.default_rng(0).integers(0, 5000, (3, 2500))
    values, gradients = NetworkEvaluator(objective)(thetas[:3], rows)
    for k in range(3):
        value, gradient = objective.value_and_gradient(thetas[k], rows[k])
        assert values[k] == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(gradients[k], gradient, rtol=1e-10, atol=1e-15)


def test_float32_is_near_and_reports_losses_in_full_precision():
    objective = problem(l2=0.01)
    begin = starts(objective, 5)
    single = train_together(objective, get("adam")(), begin, 60, dtype=np.float32)
    double = train_together(objective, get("adam")(), begin, 60)
    np.testing.assert_allclose(single.theta, double.theta, atol=2e-4)
    np.testing.assert_allclose(single.losses, [objective.value(theta) for theta in single.theta], rtol=1e-12)
    assert NetworkEvaluator(objective, np.float32)(begin.astype(np.float32), None)[1].dtype == np.float32


def test_restarts_of_an_experiment_are_runs_of_it_from_other_seeds():
    spec = NetworkProblem(datasets.get("iris"), Architecture((5,)), validation=0.0)
    experiment = Experiment(spec, (Method(get("rmsprop")(), batches=Mini(size=16)),), seed=3, steps=50)
    found = restart(experiment, seeds=[3, 4, 5])
    for k, seed in enumerate([3, 4, 5]):
        run = Run(msgspec.structs.replace(experiment, seed=seed))
        assert run.problem.dataset.X.tolist() == datasets.get("iris").make(0).X.tolist()
        run.advance(50)
        # iris without validation is the same for every seed, in the same order
        np.testing.assert_allclose(found.theta[k], run.state.theta, rtol=0, atol=1e-9)
        assert found.outcomes[k].kind == run.outcome.kind
        measured = ~np.isnan(run.history.columns["validation_loss"]) | (run.history.columns["step"] % 10 == 0)
        np.testing.assert_allclose(found.curves[:, k], run.history.columns["training_loss"][measured], rtol=1e-9)
    assert found.steps.tolist() == [0, 10, 20, 30, 40, 50]


def test_data_and_split_stay_those_of_the_experiment():
    experiment = msgspec.structs.replace(default_experiment(), steps=3)
    one, other = restart(experiment, seeds=[1, 2]), restart(experiment, seeds=[2, 1])
    np.testing.assert_allclose(one.theta, other.theta[::-1], rtol=0, atol=1e-12)
    run = Run(experiment)
    run.advance(3)
    same = restart(experiment, seeds=[experiment.seed])
    np.testing.assert_allclose(same.theta[0], run.state.theta, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["newton", "damped_newton"])
def test_curvature_methods_are_updated_run_by_run(name):
    objective = problem(sizes=(2, 3, 1), l2=0.1)
    assert largest_difference(objective, get(name)(), None, count=3, steps=5) < 1e-9


class ByLength(Optimizer):
    """Steps of unit length: elementwise in nothing but its looks."""

    lr = 0.1

    def init(self, theta):
        return Slots()

    def update(self, local, slots, lr):
        return Update(-lr * local.gradient / np.sqrt(np.sum(local.gradient**2)), slots)


def test_a_method_that_mixes_parameters_is_found_out_and_applied_run_by_run():
    assert all(is_elementwise(kind()) == (kind.__name__ in BUILT_IN) for kind in Optimizer.registry if plain(kind))
    assert not is_elementwise(ByLength())
    assert largest_difference(problem(), ByLength(), None, count=3, steps=30) < 1e-9


BUILT_IN = {"SGD", "Momentum", "Nesterov", "Adagrad", "RMSprop", "Adam"}


def plain(kind):
    return kind.__name__ in BUILT_IN or kind.needs == "hessian"


def test_runs_end_on_their_own_and_the_others_go_on():
    objective = functions.get("himmelblau")
    begin = [[1.0, 1.0], [80.0, 80.0], [-3.0, 3.0], [3.0, 2.0]]
    method = get("sgd")(lr=0.01)
    found = train_together(objective, method, begin, 4000)
    alone = [minimize(objective, method, start, 4000) for start in begin]
    assert [outcome.kind for outcome in found.outcomes] == ["converged", "diverged", "converged", "converged"]
    assert [outcome.kind for outcome in found.outcomes] == [history.outcome.kind for history in alone]
    assert [outcome.step for outcome in found.outcomes] == [history.outcome.step for history in alone]
    assert found.diverged.tolist() == [False, True, False, False]
    assert found.order[-1] == 1
    assert found.best in (0, 2, 3)
    for k in (0, 2):
        last = alone[k].seek(alone[k].length - 1).theta
        np.testing.assert_allclose(found.theta[k], last, rtol=0, atol=1e-12)
    # a curve ends where its run does
    ended = found.outcomes[1].step
    assert np.isnan(found.curves[ended + 1 :, 1]).all()
    np.testing.assert_allclose(found.curves[: alone[0].length, 0], alone[0].value, rtol=1e-10, atol=1e-15)


def test_slots_stay_with_their_runs_when_others_leave():
    objective = problem(l2=0.01)
    begin = starts(objective, 4)
    begin[1] *= 1e200
    found = train_together(objective, get("adam")(), begin, 50, stop=NEVER)
    assert [outcome.kind for outcome in found.outcomes] == ["stopped", "diverged", "stopped", "stopped"]
    assert found.losses[1] == np.inf
    for k in (0, 2, 3):
        history = minimize(objective, get("adam")(), begin[k], 50, stop=NEVER)
        np.testing.assert_allclose(found.theta[k], history.seek(50).theta, rtol=0, atol=1e-9)


def test_an_ensemble_can_be_advanced_in_pieces_and_asked_to_stop():
    objective = problem()
    begin = starts(objective, 3)
    whole = Ensemble(objective, get("adam")(), begin, batches=Mini(size=7))
    pieces = Ensemble(objective, get("adam")(), begin, batches=Mini(size=7))
    assert whole.advance(30) == 30
    assert pieces.advance(11) + pieces.advance(19) == 30
    np.testing.assert_array_equal(whole.result().theta, pieces.result().theta)
    asked = iter([False, False, True])
    assert whole.advance(30, should_stop=lambda: next(asked)) == 2
    assert whole.result().outcomes[0].running
    assert whole.result().outcomes[0].step == 32


def test_what_does_not_fit_is_refused_and_says_why():
    objective = problem()
    begin, sgd = starts(objective, 2), get("sgd")()
    with pytest.raises(ShapeError, match=r"starts: expected shape \(K, 59\)"):
        Ensemble(objective, sgd, begin[0])
    with pytest.raises(SettingsError, match="finite"):
        Ensemble(objective, sgd, begin * np.nan)
    with pytest.raises(SettingsError, match="float64 or float32"):
        Ensemble(objective, sgd, begin, dtype=int)
    with pytest.raises(SettingsError, match="2 whole numbers"):
        Ensemble(objective, sgd, begin, seeds=[1])
    with pytest.raises(SettingsError, match="optimizer"):
        Ensemble(objective, "sgd", begin)
    with pytest.raises(SettingsError, match="every"):
        Ensemble(objective, sgd, begin, every=0)
    with pytest.raises(UnsupportedError, match="no `examples`"):
        Ensemble(functions.get("himmelblau"), sgd, [[0.0, 0.0]], batches=Mini())
    with pytest.raises(SettingsError, match="method"):
        restart(default_experiment(), [1], method=1)


def test_solutions_that_differ_by_a_symmetry_are_of_one_kind_however_far_apart():
    objective = problem(points=200)
    different = 3.0 * starts(objective, 3)
    copies = [random_symmetry(objective.network, seed)(theta) for theta in different for seed in range(4)]
    found = clusters(differences(objective, copies), within=0.01)
    assert found.count == 3
    assert found.sizes == (4, 4, 4)
    for k in range(3):
        assert len(set(found.labels[4 * k : 4 * k + 4])) == 1
    assert np.linalg.norm(copies[0] - copies[1]) > 1.0


def test_kinds_are_lettered_by_size_and_ordered_by_loss():
    distances = np.full((6, 6), 0.3)
    for group in ([0, 3], [1, 2, 5], [4]):
        distances[np.ix_(group, group)] = 0.02
    np.fill_diagonal(distances, 0.0)
    found = clusters(distances, within=0.05, losses=[1, 3, 2, 0, 5, 4])
    assert [found.letter(k) for k in range(6)] == list("BAABCA")
    assert [members.tolist() for members in found.members] == [[2, 1, 5], [3, 0], [4]]
    many = clusters(1.0 - np.eye(60))
    assert [many.letter(k) for k in (0, 25, 26, 51, 52)] == ["A", "Z", "AA", "AZ", "BA"]


def test_members_of_a_kind_all_lie_within_the_limit_of_each_other():
    # a chain: neighbours are near, its ends are not
    places = np.arange(10) * 0.03
    distances = np.abs(places[:, None] - places)
    found = clusters(distances, within=0.07)
    for members in found.members:
        assert distances[np.ix_(members, members)].max() <= 0.07
    assert found.count >= 4


def test_kinds_are_those_of_joining_the_two_nearest_again_and_again():
    random = np.random.default_rng(3)
    for _ in range(20):
        places = random.random((14, 2))
        distances = np.linalg.norm(places[:, None] - places, axis=-1)
        kinds = [{k} for k in range(14)]
        while len(kinds) > 1:
            far = {(a, b): max(distances[i, j] for i in kinds[a] for j in kinds[b])
                   for a in range(len(kinds)) for b in range(a)}  # fmt: skip
            a, b = min(far, key=far.get)
            if far[a, b] > 0.4:
                break
            kinds[b] |= kinds.pop(a)
        found = clusters(distances, within=0.4)
        assert {frozenset(members.tolist()) for members in found.members} == {frozenset(kind) for kind in kinds}
        assert 1 < found.count < 14


def test_networks_without_finite_outputs_are_no_solutions():
    objective = problem(points=30)
    thetas = starts(objective, 3)
    thetas[1] = np.nan
    cast = votes(objective, thetas)
    assert (cast[1] == -1).all()
    found = clusters(differences(objective, thetas), within=1.0)
    assert found.labels.tolist() == [0, -1, 0]
    assert found.letter(1) == "–"
    np.testing.assert_array_equal(disagreement(cast), disagreement(cast[[0, 2]]))
    assert np.isnan(disagreement(cast[[1]])).all()


def test_the_disagreement_is_the_share_against_the_majority():
    random = np.random.default_rng(0)
    cast = random.integers(0, 3, (11, 200))
    counted = [1 - max(np.bincount(column)) / 11 for column in cast.T]
    np.testing.assert_allclose(disagreement(cast), counted, rtol=1e-12)
    with pytest.raises(ShapeError, match=r"\(K, M\)"):
        disagreement([0, 1])


def test_the_disagreement_map_counts_votes_at_every_point_of_the_window():
    objective = problem(points=50)
    thetas = 3.0 * starts(objective, 7)
    found = disagreement_map(objective, thetas, (-2.0, 1.0, 0.0, 4.0), (5, 4))
    assert (found.x.tolist(), found.y[[0, -1]].tolist()) == ([-2.0, -1.25, -0.5, 0.25, 1.0], [0.0, 4.0])
    assert found.share.shape == found.majority.shape == (5, 4)
    for i, x in enumerate(found.x):
        for j, y in enumerate(found.y):
            ones = sum(objective.outputs(theta, [[x, y]])[0, 0] > 0 for theta in thetas)
            assert found.share[i, j] == pytest.approx(min(ones, 7 - ones) / 7)
            assert found.majority[i, j] == (ones > 3)
    assert found.mean == pytest.approx(found.share.mean())
    assert found.share.max() > 0
    # the examples fill the middle half of the window that is chosen for them
    whole = disagreement_map(objective, thetas, n=11)
    for axis, column in zip((whole.x, whole.y), objective.X.T, strict=True):
        assert np.interp([column.min(), column.max()], axis, np.linspace(0, 1, 11)) == pytest.approx([0.25, 0.75])
    nobody = disagreement_map(objective, thetas * np.nan, n=3)
    assert np.isnan(nobody.share).all()
    assert (nobody.majority == -1).all()
    assert np.isnan(nobody.mean)
    with pytest.raises(UnsupportedError, match="a network of 2 inputs, got 3"):
        disagreement_map(problem(sizes=(3, 4, 1)), starts(problem(sizes=(3, 4, 1)), 2))
    with pytest.raises(UnsupportedError, match="no classes"):
        disagreement_map(problem(loss="squared_error"), thetas)


def test_one_call_each_for_what_restarts_have_in_common():
    experiment = msgspec.structs.replace(default_experiment(), steps=300)
    found = restart(experiment, range(12))
    objective = found.objective
    assert found.classifies
    assert found.histogram(5).counts.tolist() == histogram(found.losses, 5).counts.tolist()
    kinds = clusters(differences(objective, found.theta), 0.02, found.losses)
    assert found.clusters(0.02).labels.tolist() == kinds.labels.tolist()
    assert found.clusters(0.02).sizes == kinds.sizes
    np.testing.assert_array_equal(found.disagreement(), disagreement(votes(objective, found.theta)))
    elsewhere = [[0.0, 0.0], [1.0, 2.0]]
    np.testing.assert_array_equal(found.disagreement(elsewhere), disagreement(votes(objective, found.theta, elsewhere)))
    np.testing.assert_array_equal(
        found.disagreement_map(n=7).share, disagreement_map(objective, found.theta, n=7).share
    )
    minima = train_together(functions.get("himmelblau"), get("sgd")(lr=0.01), [[1.0, 1.0]], 5)
    assert not minima.classifies
    with pytest.raises(UnsupportedError, match="clusters: solutions are compared by the outputs of a network"):
        minima.clusters()


def test_votes_and_differences_follow_the_outputs():
    objective = problem(points=50, sizes=(3, 4, 3), loss="cross_entropy")
    thetas = starts(objective, 4)
    cast = votes(objective, thetas)
    np.testing.assert_array_equal(cast, [objective.outputs(theta).argmax(axis=1) for theta in thetas])
    assert differences(objective, thetas)[0, 1] == np.mean(cast[0] != cast[1])
    regression = problem(points=50, sizes=(2, 3, 1), loss="squared_error")
    thetas = starts(regression, 4)
    outputs = np.array([regression.outputs(theta)[:, 0] for theta in thetas])
    found = differences(regression, thetas)
    assert found[0, 1] == pytest.approx(np.sqrt(np.mean((outputs[0] - outputs[1]) ** 2)) / outputs.std())
    assert found[2, 2] == 0
    with pytest.raises(UnsupportedError, match="no classes"):
        votes(regression, thetas)


def test_the_histogram_counts_every_finite_loss_once():
    random = np.random.default_rng(0)
    losses = np.append(10.0 ** random.normal(size=64), [np.inf, np.nan])
    found = histogram(losses, bins=9)
    assert found.counts.sum() == 64
    assert found.lost == 2
    assert found.logarithmic
    assert (found.best, found.worst) == (losses[:64].min(), losses[:64].max())
    assert found.median == np.median(losses[:64])
    assert np.all(np.diff(np.log(found.edges)) == pytest.approx(np.log(found.edges[1] / found.edges[0])))
    assert not histogram([0.0, 1.0]).logarithmic
    assert histogram([2.0] * 5, bins=3).counts.sum() == 5
    assert histogram([0.0], bins=3).counts.sum() == 1
    assert histogram([np.nan], bins=3).counts.tolist() == [0, 0, 0]
