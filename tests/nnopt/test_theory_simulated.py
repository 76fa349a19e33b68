"""Predictions against long runs of the project's methods: best rates by search, noise under every schedule, edges."""

import itertools
import math

import numpy as np
import pytest
from bowls import NEVER, measured_factor

from nnopt.analysis import theory
from nnopt.analysis.noise import gradient_noise
from nnopt.analysis.stability import sharpness_along
from nnopt.objectives import datasets
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers import get
from nnopt.optimizers.base import Local
from nnopt.optimizers.schedules import (
    Constant,
    Cosine,
    Exponential,
    Hold,
    InverseTime,
    Power,
    Schedule,
    StepDecay,
    Warmup,
)
from nnopt.runs.minimize import minimize

# ---- the best rates, within 1 %


@pytest.mark.parametrize("condition", [3.0, 30.0])
def test_a_rate_one_percent_beside_the_best_is_measurably_slower(condition):
    curvatures = np.array([2.0, 2.0 * condition])
    best = theory.best_gradient_descent(*curvatures)
    at_best = measured_factor(curvatures, best.lr, 0.0, 50, 150)
    assert at_best == pytest.approx(best.factor, rel=1e-6)
    for away in (0.99, 1.01):
        assert measured_factor(curvatures, away * best.lr, 0.0, 50, 150) > at_best + 1e-4


@pytest.mark.parametrize("condition", [30.0, 50.0])
def test_rate_and_momentum_one_percent_beside_the_best_are_measurably_slower(condition):
    curvatures = np.array([2.0, 2.0 * condition])
    best = theory.best_heavy_ball(*curvatures)
    at_best = measured_factor(curvatures, best.lr, best.beta, 300, 900)
    # t * factor^t: what the t adds between these steps
    assert at_best == pytest.approx(best.factor * 3 ** (1 / 600), rel=1e-4)
    neighbours = [pair for pair in itertools.product((0.99, 1.0, 1.01), repeat=2) if pair != (1.0, 1.0)]
    for lr_away, beta_away in neighbours:
        assert measured_factor(curvatures, lr_away * best.lr, beta_away * best.beta, 300, 900) > at_best + 2e-4


# ---- Robbins and Monro, in long runs of many copies at once

#: satisfied: both conditions hold. settles: the variance of a constant rate is kept. stuck: the rates have a finite sum
SATISFIED = [
    InverseTime(d=0.5), Power(d=0.6), Power(d=0.75), Power(d=1.0), Hold(k=50, then=InverseTime(d=0.5)),
    Hold(k=100, then=Power(d=0.8)), Warmup(k=50, then=Power(d=0.7)), Warmup(k=20, then=InverseTime(d=0.2)),
]  # fmt: skip
SETTLES = [Constant(), Cosine(steps=300, floor=0.1), Hold(k=50, then=Constant()), Warmup(k=50, then=Constant())]
STUCK = [
    Power(d=2.0), Exponential(d=0.05), StepDecay(every=50, by=0.5), Cosine(steps=300),
    Hold(k=50, then=Exponential(d=0.1)), Warmup(k=50, then=StepDecay(every=20, by=0.5)),
]  # fmt: skip
LR, STEPS, COPIES = 0.5, 10_000, 1000


def simulated(schedule, start):
    """Positions (COPIES,) of sgd on x^2 / 2 with gradient noise of variance 1, half-way and at the end."""
    random = np.random.default_rng(0)
    method, x = get("sgd")(lr=LR), np.full(COPIES, start)
    slots, factors = method.init(x), schedule.factors(np.arange(STEPS))
    for t, factor in enumerate(factors.tolist()):
        if t == STEPS // 2:
            half = x
        gradient = x + random.normal(size=COPIES)
        x = x + method.update(Local(None, x, 0.0, gradient), slots, LR * factor).step
    return half, x


def test_every_kind_of_schedule_is_simulated():
    kinds = {type(schedule) for schedule in (*SATISFIED, *SETTLES, *STUCK)}
    assert kinds == {kind for kind in map(Schedule.registry.get, Schedule.registry.names()) if in_nnopt(kind)}
    for schedules, expected in ((SATISFIED, (True, True)), (SETTLES, (True, False)), (STUCK, (False, True))):
        for schedule in schedules:
            verdict = schedule.robbins_monro()
            assert (verdict.diverges, verdict.square_summable) == expected, schedule


def in_nnopt(kind):
    return kind.__module__.startswith("nnopt.")


@pytest.mark.parametrize("schedule", SATISFIED, ids=repr)
def test_under_robbins_and_monro_s_conditions_start_and_noise_die_out(schedule):
    constant = theory.sgd_stationary_variance(LR, 1.0, 1.0)
    half, end = simulated(schedule, start=3.0)
    assert np.mean(end**2) < 0.02 * constant
    # and go on dying: like the rate itself, or as the start does
    assert np.mean(end**2) < 0.8 * np.mean(half**2)
    variances = theory.sgd_variances(LR * schedule.factors(np.arange(STEPS)), 1.0, 1.0)
    assert np.var(end) == pytest.approx(variances[-1], rel=0.2)


@pytest.mark.parametrize("schedule", SETTLES, ids=repr)
def test_a_rate_that_stays_keeps_its_stationary_variance(schedule):
    rate = LR * float(schedule.factors(np.array([STEPS]))[0])
    half, end = simulated(schedule, start=3.0)
    stationary = theory.sgd_stationary_variance(rate, 1.0, 1.0)
    both = np.concatenate([half, end])
    assert np.mean(both**2) == pytest.approx(stationary, rel=0.12)


@pytest.mark.parametrize("schedule", STUCK, ids=repr)
def test_rates_of_a_finite_sum_come_to_rest_beside_the_minimum(schedule):
    half, end = simulated(schedule, start=3.0)
    rates = LR * schedule.factors(np.arange(STEPS))
    # where each copy is, it stays
    assert np.abs(end - half).max() < 5e-3
    left = theory.sgd_means(rates, 1.0, 3.0)[-1] ** 2 + theory.sgd_variances(rates, 1.0, 1.0)[-1]
    assert np.mean(end**2) == pytest.approx(left, rel=0.2)
    assert left > 1e-3


def test_the_conditions_are_sufficient_and_not_necessary():
    # with sum a^2 = infinity, but a -> 0, the noise dies as well: like a / (2 l), slower than under any that satisfy
    schedule = Power(d=0.3)
    assert not schedule.robbins_monro().satisfied
    rates = LR * schedule.factors(np.arange(STEPS))
    _, end = simulated(schedule, start=3.0)
    predicted = theory.sgd_variances(rates, 1.0, 1.0)[-1]
    assert np.mean(end**2) == pytest.approx(predicted, rel=0.2)
    assert predicted == pytest.approx(rates[-1] / 2, rel=0.05)
    assert predicted > 3 * theory.sgd_variances(LR * Power(d=0.6).factors(np.arange(STEPS)), 1.0, 1.0)[-1]


# ---- a network's own noise


def test_the_covariance_of_a_network_s_batches_is_that_of_all_of_them():
    data = datasets.get("moons", points=8, noise=20).make(1)
    network = Network((2, 3, 1))
    objective, theta = NetworkObjective(network, data.X, data.y), network.initial(4)
    single = gradient_noise(objective, theta).covariance(1)
    full = objective.gradient(theta)
    for batch in (1, 3, 5, 8):
        every = itertools.combinations(range(8), batch)
        away = [objective.value_and_gradient(theta, np.array(rows))[1] - full for rows in every]
        enumerated = np.mean([np.outer(one, one) for one in away], axis=0)
        predicted = theory.minibatch_covariance(single, 8, batch)
        np.testing.assert_allclose(predicted, enumerated, rtol=1e-9, atol=1e-16)


# ---- edges


@pytest.mark.parametrize(("method", "edge"), [
    (get("sgd")(lr=0.3), theory.edge_of_stability(0.3)),
    (get("sgd")(lr=0.4), theory.edge_of_stability(0.4)),
    (get("momentum")(lr=0.3, beta=0.5), theory.edge_of_stability(0.3, beta=0.5)),
])  # fmt: skip
def test_sharpness_comes_to_hover_at_the_edge_that_rate_and_momentum_set(method, edge):
    X = np.linspace(-2, 2, 20)[:, None]
    network = Network((1, 10, 10, 1))
    objective = NetworkObjective(network, X, np.sin(2.5 * X[:, 0]), loss="squared_error")
    history = minimize(objective, method, network.initial(1), 3000, stop=NEVER)
    curve = sharpness_along(history, [0, *range(600, 3001, 100)])
    relative = curve.values / edge
    assert relative[0] < 0.8
    assert relative[1:].mean() == pytest.approx(1.0, abs=0.05)
    assert np.abs(relative[1:] - 1).max() < 0.15
    # at the edge training goes on all the same
    assert history.value[-1] < 0.5 * history.value[600]


def test_a_run_at_a_small_rate_is_flatter_than_its_edge():
    assert math.isclose(theory.edge_of_stability(0.02), 100.0)
    X = np.linspace(-2, 2, 20)[:, None]
    network = Network((1, 10, 10, 1))
    objective = NetworkObjective(network, X, np.sin(2.5 * X[:, 0]), loss="squared_error")
    history = minimize(objective, get("sgd")(lr=0.02), network.initial(1), 1500, stop=NEVER)
    assert sharpness_along(history, [0, 500, 1000, 1500]).values.max() < 50.0
    assert np.all(np.diff(history.value) < 0)
