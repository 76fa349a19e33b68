"""Every prediction against a simulation of what it predicts, with the project's own methods and kernels."""

import itertools
import math

import numpy as np
import pytest
from bowls import NEVER, Bowl, measured_factor

from nnopt.analysis import theory
from nnopt.analysis.linear_networks import (
    CriticalPoint,
    Modes,
    autoencoder_critical_points,
    autoencoder_theta,
    balanced_start,
    deep_linear_losses,
    growing_strengths,
    half_rise_time,
    linear_modes,
    mode_strength,
    mode_strengths,
    whiten,
)
from nnopt.analysis.plateaus import find_plateaus
from nnopt.errors import DataError, SettingsError, ShapeError
from nnopt.objectives import functions
from nnopt.objectives.network import Network, Normal
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import get
from nnopt.optimizers.base import Local
from nnopt.optimizers.batches import Mini
from nnopt.optimizers.schedules import Constant, Cosine, Exponential, Hold, InverseTime, Power, StepDecay, Warmup
from nnopt.runs.minimize import minimize

# ---- rates on quadratics, within 1 %


@pytest.mark.parametrize("condition", [1.5, 10.0, 100.0])
def test_gradient_descent_at_the_best_rate_contracts_as_predicted(condition):
    curvatures = np.geomspace(0.5, 0.5 * condition, 5)
    best = theory.best_gradient_descent(0.5, 0.5 * condition)
    found = measured_factor(curvatures, best.lr, 0.0, 50, 150)
    assert found == pytest.approx(best.factor, rel=0.01)
    assert best.factor == pytest.approx(theory.heavy_ball_factor(best.lr, 0.0, curvatures).max(), rel=1e-12)


@pytest.mark.parametrize("condition", [10.0, 100.0])
def test_the_heavy_ball_at_its_best_rates_contracts_as_predicted(condition):
    curvatures = np.geomspace(0.5, 0.5 * condition, 5)
    best = theory.best_heavy_ball(0.5, 0.5 * condition)
    # two equal roots: t * factor^t, and the t tells less and less
    assert measured_factor(curvatures, best.lr, best.beta, 200, 500) == pytest.approx(best.factor, rel=0.01)


def test_no_other_rates_are_better_and_the_best_found_by_search_is_the_predicted():
    curvatures = np.array([1.0, 30.0])
    rates = np.linspace(0.001, 0.0667, 4000)
    found = [theory.heavy_ball_factor(rate, 0.0, curvatures).max() for rate in rates]
    best = theory.best_gradient_descent(1.0, 30.0)
    assert rates[np.argmin(found)] == pytest.approx(best.lr, rel=0.01)
    assert min(found) >= best.factor - 1e-12
    ball = theory.best_heavy_ball(1.0, 30.0)
    grid = itertools.product(np.linspace(0.5, 1.5, 81) * ball.lr, np.linspace(0.3, 0.9, 121))
    factors = {pair: theory.heavy_ball_factor(*pair, curvatures).max() for pair in grid}
    assert min(factors.values()) >= ball.factor - 1e-9
    lr, beta = min(factors, key=factors.get)
    assert lr == pytest.approx(ball.lr, rel=0.03)
    assert beta == pytest.approx(ball.beta, rel=0.03)


def test_gradient_descent_is_stable_just_below_twice_the_inverse_curvature_and_not_above():
    limit = theory.stable_rate(8.0)
    bowl = Bowl([1.0, 8.0])
    below = minimize(bowl, get("sgd")(lr=0.99 * limit), np.ones(2), 500, stop=NEVER)
    above = minimize(bowl, get("sgd")(lr=1.01 * limit), np.ones(2), 500, stop=NEVER)
    assert below.value[-1] < 1e-3 * below.value[0]
    assert above.value[-1] > 1e3 * above.value[0]


@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_the_loss_curve_on_a_quadratic_is_exact(beta):
    curvatures, start = np.array([0.3, 1.0, 7.0]), np.array([2.0, -1.0, 0.5])
    history = minimize(Bowl(curvatures), get("momentum")(lr=0.2, beta=beta), start, 60, stop=NEVER)
    np.testing.assert_allclose(theory.quadratic_losses(curvatures, start, 60, 0.2, beta), history.value, rtol=1e-9)


# ---- noise


def test_the_minibatch_covariance_is_that_of_all_subsets_exactly():
    gradients = np.random.default_rng(0).normal(size=(7, 3))
    covariance = np.cov(gradients.T, bias=True)
    for batch in range(1, 8):
        means = np.array([gradients[list(rows)].mean(axis=0) for rows in itertools.combinations(range(7), batch)])
        enumerated = np.cov(means.T, bias=True) if len(means) > 1 else np.zeros((3, 3))
        found = theory.minibatch_covariance(covariance, 7, batch)
        np.testing.assert_allclose(found, enumerated, rtol=1e-12, atol=1e-16)


class ManyBowls:
    """f_i(x) = l/2 (x - c_i)^2: the gradients of the examples differ by l c_i, whatever x is."""

    def __init__(self, curvature, centres):
        self.curvature, self.centres, self.examples = curvature, centres - centres.mean(), len(centres)

    def value_and_gradient(self, theta, rows=None):
        centres = self.centres if rows is None else self.centres[rows]
        away = theta - centres.mean()
        return 0.5 * self.curvature * float(away @ away), self.curvature * away


@pytest.mark.parametrize("lr", [0.1, 0.9])
def test_a_long_run_of_sgd_settles_at_the_stationary_variance(lr):
    bowls = ManyBowls(1.5, np.random.default_rng(0).normal(size=50))
    history = minimize(
        bowls, get("sgd")(lr=lr), np.zeros(1), 40_000, batches=Mini(size=4, replacement=True), seed=1, stop=NEVER
    )
    noise = float(theory.minibatch_covariance(np.var(1.5 * bowls.centres), 50, 4, replacement=True))
    measured = np.var(history.theta[200:])
    assert measured == pytest.approx(theory.sgd_stationary_variance(lr, 1.5, noise), rel=0.05)


def simulated(schedule, steps, lr=0.5, curvature=1.0, noise=1.0, start=0.0, runs=4000):
    """Positions (runs,) of many independent runs of sgd, all updated at once."""
    random = np.random.default_rng(0)
    method, x = get("sgd")(lr=lr), np.full(runs, start)
    slots = method.init(x)
    for t in range(steps):
        gradient = curvature * x + math.sqrt(noise) * random.normal(size=runs)
        x = x + method.update(Local(None, x, 0.0, gradient), slots, lr * schedule.factor(t)).step
    return x


SCHEDULES = [
    Constant(), InverseTime(d=0.5), Power(d=0.75), Power(d=0.6), Power(d=1.0), Power(d=0.3), Power(d=2.0),
    Hold(k=50, then=InverseTime(d=0.5)), Warmup(k=50, then=Power(d=0.7)), Exponential(d=0.05),
    StepDecay(every=50, by=0.5), Cosine(steps=300), Cosine(steps=300, floor=0.1),
]  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_under_every_schedule_mean_and_variance_of_sgd_are_as_predicted(schedule):
    rates = 0.5 * schedule.factors(np.arange(400))
    x = simulated(schedule, 400, start=3.0)
    variance = theory.sgd_variances(rates, 1.0, 1.0)[-1]
    mean = theory.sgd_means(rates, 1.0, 3.0)[-1]
    assert np.var(x) == pytest.approx(variance, rel=0.1)
    assert np.mean(x) == pytest.approx(mean, abs=5 * math.sqrt(variance / len(x)))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_start_and_noise_both_vanish_exactly_under_the_schedules_of_robbins_and_monro(schedule):
    rates = 0.5 * schedule.factors(np.arange(300_000))
    variance = theory.sgd_variances(rates, 1.0, 1.0)[-1]
    means = np.abs(theory.sgd_means(rates, 1.0, 1.0))
    mean = means[-1]
    verdict = schedule.robbins_monro()
    if verdict.satisfied:
        assert variance < 3e-4
        assert mean < 3e-3
    elif verdict.diverges and not isinstance(schedule, Power):
        stationary = theory.sgd_stationary_variance(rates[-1], 1.0, 1.0)
        assert variance == pytest.approx(stationary, rel=1e-6)
        assert variance > 0.02
    elif not verdict.diverges:
        # it stops short: of whatever was left half-way, nothing more is taken away
        assert mean > 0
        assert mean == pytest.approx(means[150_000], rel=1e-5)


def test_a_constant_rate_keeps_its_stationary_variance_and_too_large_a_rate_has_none():
    variances = theory.sgd_variances(np.full(500, 0.3), 2.0, 1.5)
    assert variances[-1] == pytest.approx(theory.sgd_stationary_variance(0.3, 2.0, 1.5), rel=1e-12)
    assert theory.sgd_stationary_variance(1.0, 2.0, 1.5) == math.inf
    assert theory.sgd_variances(np.full(500, 1.0), 2.0, 1.5)[-1] == pytest.approx(750.0)


# ---- deep linear networks, within 2 %


@pytest.fixture(scope="module")
def linear_data():
    random = np.random.default_rng(0)
    X = whiten(random.normal(size=(60, 4)))
    left, _ = np.linalg.qr(random.normal(size=(3, 3)))
    right, _ = np.linalg.qr(random.normal(size=(4, 3)))
    rest = random.normal(size=(60, 3))
    # something that no linear map of X can say
    rest -= rest.mean(axis=0) + X @ (X.T @ (rest - rest.mean(axis=0))) / 60
    return X, X @ right @ np.diag([3.0, 1.5, 0.6]) @ left.T + 0.1 * rest


def linear_run(linear_data, layers, lr, u0, hidden=4, beyond=1.3):
    X, Y = linear_data
    modes = linear_modes(X, Y)
    network = Network((4, *[hidden] * (layers - 1), 3), "identity")
    objective = NetworkObjective(network, X, Y, loss="squared_error")
    steps = int(beyond * half_rise_time(0.6, u0, 1 / lr, layers))
    history = minimize(objective, get("sgd")(lr=lr), balanced_start(network, modes, u0), steps, stop=NEVER)
    return modes, network, history


@pytest.mark.parametrize(("layers", "lr"), [(2, 0.01), (3, 0.01), (4, 0.02)])
def test_modes_of_a_deep_linear_network_rise_at_the_predicted_times(linear_data, layers, lr):
    modes, network, history = linear_run(linear_data, layers, lr, u0=1e-3)
    np.testing.assert_allclose(modes.strengths, [3.0, 1.5, 0.6], rtol=1e-10)
    strengths = mode_strengths(network, history.theta, modes)
    np.testing.assert_allclose(strengths[0], 1e-3, rtol=1e-9)
    for mode, s in enumerate(modes.strengths):
        crossed = int(np.argmax(strengths[:, mode] >= s / 2))
        assert crossed == pytest.approx(half_rise_time(s, 1e-3, 1 / lr, layers), rel=0.02)


def test_the_whole_curve_of_modes_and_loss_lies_on_the_run(linear_data):
    modes, network, history = linear_run(linear_data, 2, 0.002, u0=1e-3)
    t = np.arange(history.length)
    strengths = mode_strengths(network, history.theta, modes)
    for mode, s in enumerate(modes.strengths):
        assert np.abs(strengths[:, mode] - mode_strength(t, s, 1e-3, 500.0)).max() < 0.01 * s
    predicted = deep_linear_losses(t, modes, 1e-3, 500.0)
    assert np.abs(history.value - predicted).max() < 0.01 * history.value[0]
    assert modes.rest > 0
    assert history.value[-1] > modes.rest


@pytest.mark.parametrize(("layers", "lr", "u0"), [(2, 0.01, 1e-9), (2, 0.01, 1e-12), (3, 0.05, 1e-6)])
def test_every_half_rise_falls_into_a_drop_of_its_own_between_two_plateaus(linear_data, layers, lr, u0):
    modes, _, history = linear_run(linear_data, layers, lr, u0, beyond=1.6)
    plateaus = find_plateaus(history.value)
    times = [half_rise_time(s, u0, 1 / lr, layers) for s in modes.strengths]
    drops = [(one.stop, other.start) for one, other in itertools.pairwise(plateaus)]
    assert len(drops) == 3
    for time, (start, stop) in zip(times, drops, strict=True):
        assert start <= time < stop
    assert [plateau.escaped for plateau in plateaus] == [True, True, True, False]


def test_small_random_weights_rise_when_their_growing_part_says(linear_data):
    X, Y = linear_data
    modes = linear_modes(X, Y)
    network = Network((4, 32, 3), "identity")
    objective = NetworkObjective(network, X, Y, loss="squared_error")
    start = network.initial(0, Normal(std=1e-3))
    predicted = growing_strengths(network, start, modes)
    history = minimize(objective, get("sgd")(lr=0.01), start, 1200, stop=NEVER)
    strengths = mode_strengths(network, history.theta, modes)
    for mode, s in enumerate(modes.strengths):
        crossed = int(np.argmax(strengths[:, mode] >= s / 2))
        assert crossed == pytest.approx(half_rise_time(s, predicted[mode], 100.0), rel=0.06)


@pytest.mark.parametrize("layers", [2, 3, 5])
def test_the_half_rise_time_is_where_the_curve_passes_half(layers):
    time = half_rise_time(2.0, 1e-4, 30.0, layers)
    assert mode_strength(time, 2.0, 1e-4, 30.0, layers) == pytest.approx(1.0, rel=1e-5)
    assert mode_strength([0.0, 1e4 * time], 2.0, 1e-4, 30.0, layers) == pytest.approx([1e-4, 2.0], rel=1e-5)
    assert half_rise_time(2.0, 1.5, 30.0, layers) == 0.0


def test_data_that_the_theory_does_not_cover_is_refused():
    random = np.random.default_rng(0)
    X = random.normal(size=(30, 2))
    with pytest.raises(DataError, match="white inputs"):
        linear_modes(X, X)
    with pytest.raises(DataError, match="means up to"):
        linear_modes(whiten(X), whiten(X) + 1.0)
    with pytest.raises(DataError, match="singular"):
        whiten(np.column_stack([X[:, 0], 2 * X[:, 0]]))
    with pytest.raises(ShapeError, match=r"X \(N, D\)"):
        linear_modes(X, X[:5])
    modes = Modes(np.ones(2), np.eye(2), np.eye(2), 0.0)
    with pytest.raises(SettingsError, match="identity"):
        mode_strengths(Network((2, 2, 2)), np.zeros(12), modes)
    with pytest.raises(SettingsError, match="2 units at least"):
        balanced_start(Network((2, 1, 2), "identity"), modes, 0.1)
    with pytest.raises(ShapeError, match="from 2 inputs to 2 outputs"):
        balanced_start(Network((3, 2, 2), "identity"), modes, 0.1)
    with pytest.raises(SettingsError, match="one hidden layer"):
        growing_strengths(Network((2, 2, 2, 2), "identity"), np.zeros(18), modes)
    with pytest.raises(SettingsError, match="0 < u0 < s"):
        half_rise_time(1.0, 2.0, 1.0)
    with pytest.raises(SettingsError, match="layers >= 2"):
        half_rise_time(1.0, 0.1, 1.0, layers=1)


# ---- autoencoders


def test_the_critical_losses_and_indices_of_the_lecture():
    found = {(point.loss, point.index) for point in autoencoder_critical_points([4, 3, 2, 1], hidden=2)}
    assert {(1.5, 0), (2.0, 1), (2.5, 2), (3.0, 3), (5.0, 8)} <= found
    assert [index for _, index in found].count(0) == 1


@pytest.mark.parametrize("hidden", [1, 2, 3])
@pytest.mark.parametrize("turned", [False, True])
def test_every_critical_point_of_an_autoencoder_has_the_predicted_loss_gradient_and_index(hidden, turned):
    variances = np.array([4.0, 3.0, 2.0, 1.0])
    components = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0] if turned else np.eye(4)
    half = np.sqrt(4.0 * variances)[:, None] * components.T
    X = np.vstack([half, -half])
    network = Network((4, hidden, 4), "identity")
    objective = NetworkObjective(network, X, X, loss="squared_error")
    points = autoencoder_critical_points(variances, hidden)
    assert len(points) == sum(math.comb(4, r) for r in range(hidden + 1))
    for point in points:
        theta = autoencoder_theta(network, components, point.kept)
        eigenvalues = np.linalg.eigvalsh(objective.hessian(theta))
        assert np.abs(objective.gradient(theta)).max() < 1e-12
        assert objective.value(theta) == pytest.approx(point.loss, abs=1e-12)
        assert np.count_nonzero(eigenvalues < -1e-9) == point.index
        assert (point.index == 0) == (point == points[0])


def test_autoencoders_of_another_shape_are_refused():
    with pytest.raises(SettingsError, match=r"sizes \(D, 2 or more, D\)"):
        autoencoder_theta(Network((3, 1, 3), "identity"), np.eye(3), [0, 1])
    with pytest.raises(SettingsError, match="variances >= 0"):
        autoencoder_critical_points([1.0, -1.0], 1)
    with pytest.raises(SettingsError, match="hidden"):
        autoencoder_critical_points([1.0], 0)
    with pytest.raises(ShapeError, match="variances"):
        autoencoder_critical_points([[1.0]], 1)
    # more hidden units than inputs: everything passes
    assert autoencoder_critical_points([2.0, 1.0], 5)[0] == CriticalPoint((0, 1), 0.0, 0)


# ---- Newton, sharpness


class Curved:
    """x^2 + x^3 / 3 + x^4, minimum at 0 with f'' = 2, f''' = 2."""

    def value(self, theta):
        return float(theta[0] ** 2 + theta[0] ** 3 / 3 + theta[0] ** 4)

    def gradient(self, theta):
        return 2 * theta + theta**2 + 4 * theta**3

    def hessian(self, theta):
        return np.array([[2 + 2 * theta[0] + 12 * theta[0] ** 2]])


def test_the_errors_of_newtons_method_square_each_step():
    constant = theory.newton_constant(second=2.0, third=2.0)
    history = minimize(Curved(), get("newton")(), [0.02], 5, stop=NEVER)
    errors = np.abs(history.theta[:, 0])
    # 0.02, 2e-4, 2e-8, 2e-16: the first step is not small enough yet for 1 %
    assert errors[2] / errors[1] ** 2 == pytest.approx(constant, rel=0.01)
    assert errors[3] / errors[2] ** 2 == pytest.approx(constant, rel=0.01)
    predicted = theory.newton_errors(errors[1], constant, 2)
    np.testing.assert_allclose(errors[1:4], predicted, rtol=0.02)


def test_the_newton_step_is_the_predicted_multiple_of_the_gradient_step():
    quadratic = functions.get("quadratic", condition=50.0)
    theta = np.array([0.3, -1.2])
    hessian = quadratic.hessian(theta)
    values, vectors = np.linalg.eigh(hessian)
    newton = -np.linalg.solve(hessian, quadratic.gradient(theta))
    step = -0.1 * quadratic.gradient(theta)
    np.testing.assert_allclose(vectors.T @ newton / (vectors.T @ step), theory.newton_to_gradient(0.1, values))
    assert theory.newton_to_gradient(0.1, [-2.0, 0.0]).tolist() == [-5.0, math.inf]


def test_the_sharpness_of_gradient_descent_rises_to_the_edge_of_stability_and_hovers_there():
    X = np.linspace(-2, 2, 20)[:, None]
    network = Network((1, 10, 10, 1))
    objective = NetworkObjective(network, X, np.sin(2.5 * X[:, 0]), loss="squared_error")
    history = minimize(objective, get("sgd")(lr=0.2), network.initial(1), 3000, stop=NEVER)
    sharpness = [
        np.linalg.eigvalsh(objective.hessian(history.seek(step).theta))[-1] for step in (0, *range(400, 3001, 200))
    ]
    relative = np.array(sharpness) / theory.edge_of_stability(0.2)
    assert relative[0] < 0.5
    assert relative[1:].mean() == pytest.approx(1.0, abs=0.05)
    assert relative[1:].min() > 0.93
    assert relative[1:].max() < 1.15
    assert history.value[-1] < history.value[200]


def test_momentum_moves_the_edge_of_stability():
    edge = theory.edge_of_stability(0.1, beta=0.8)
    assert theory.heavy_ball_factor(0.1, 0.8, [0.999 * edge])[0] < 1.0
    assert theory.heavy_ball_factor(0.1, 0.8, [1.001 * edge])[0] > 1.0


def test_numbers_outside_the_theory_are_refused():
    with pytest.raises(SettingsError, match="curvature"):
        theory.stable_rate(-1.0)
    with pytest.raises(SettingsError, match="smallest <= largest"):
        theory.best_heavy_ball(3.0, 1.0)
    with pytest.raises(SettingsError, match="other than 0"):
        theory.newton_constant(0.0, 1.0)
    with pytest.raises(SettingsError, match="beta"):
        theory.edge_of_stability(0.1, beta=1.0)
    with pytest.raises(SettingsError, match=r"1 \.\. 5 of 5"):
        theory.covariance_factor(5, 6)
    with pytest.raises(ShapeError, match="one shape"):
        theory.quadratic_losses([1.0], [1.0, 2.0], 3, 0.1)
