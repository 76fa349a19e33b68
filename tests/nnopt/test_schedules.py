"""Learning-rate schedules: their values, and the verdict of Robbins and Monro."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from run_strategies import all_schedules, simple_schedules

from nnopt import optimizers
from nnopt.errors import SettingsError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
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


@given(all_schedules, st.integers(0, 1000))
def test_many_factors_at_once_are_the_factors_one_by_one(schedule, first):
    steps = np.arange(first, first + 50)
    assert schedule.factors(steps) == pytest.approx([schedule.factor(int(t)) for t in steps], rel=1e-12, abs=1e-300)


@given(simple_schedules)
def test_every_schedule_but_warmup_begins_at_the_full_rate_and_never_exceeds_it(schedule):
    factors = schedule.factors(np.arange(200))
    assert factors[0] == 1.0
    assert (np.diff(factors) <= 0).all()
    assert (factors >= 0).all()


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(), [1, 1, 1, 1]),
        (InverseTime(d=0.5), [1, 1 / 1.5, 1 / 2, 1 / 2.5]),
        (Power(d=0.5), [1, 2**-0.5, 3**-0.5, 0.5]),
        (StepDecay(every=2, by=0.1), [1, 1, 0.1, 0.1]),
        (Exponential(d=math.log(2)), [1, 0.5, 0.25, 0.125]),
        (Cosine(steps=2, floor=0.2), [1, 0.6, 0.2, 0.2]),
        (Hold(k=2, then=Power(d=1)), [1, 1, 1, 0.5]),
        (Warmup(k=3, then=Power(d=1)), [0.25, 0.5, 0.75, 1]),
        (Warmup(k=1, then=Hold(k=1, then=StepDecay(every=1, by=0.5))), [0.5, 1, 1, 0.5]),
    ],
)  # fmt: skip
def test_schedules_follow_their_formulas(schedule, expected):
    assert [schedule.factor(t) for t in range(4)] == pytest.approx(expected, rel=1e-14)


def in_closed_form(schedule, t):
    """a_t / a, from the formulas that define the schedules; one that is not here is not checked, and fails."""
    name = schedule.__struct_config__.tag
    if name in ("hold", "warmup"):
        before = 1.0 if name == "hold" else (t + 1) / (schedule.k + 1)
        return before if t < schedule.k else in_closed_form(schedule.then, t - schedule.k)
    return {
        "constant": lambda s: 1.0,
        "inverse_time": lambda s: 1 / (1 + s.d * t),
        "power": lambda s: math.exp(-s.d * math.log(t + 1)),
        "step": lambda s: math.prod([s.by] * (t // s.every)),
        "exponential": lambda s: math.exp(-s.d) ** t,
        "cosine": lambda s: s.floor + (1 - s.floor) * math.cos(math.pi / 2 * min(t / s.steps, 1)) ** 2,
    }[name](schedule)


@given(all_schedules, st.integers(0, 500))
def test_every_schedule_is_its_closed_form(schedule, t):
    expected = in_closed_form(schedule, t)
    assert schedule.factor(t) == pytest.approx(expected, rel=1e-10, abs=1e-15)
    assert schedule.factors([t, 0])[0] == pytest.approx(expected, rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("name", Schedule.registry.names())
def test_no_schedule_is_without_a_closed_form_here(name):
    schedule = Schedule.registry.get(name)()
    assert [schedule.factor(t) for t in (0, 7, 150)] == pytest.approx(
        [in_closed_form(schedule, t) for t in (0, 7, 150)]
    )


@pytest.mark.parametrize(
    ("schedule", "diverges", "summable"),
    [
        (Constant(), True, False),
        (InverseTime(d=0.1), True, True),
        (InverseTime(d=0), True, False),
        (Power(d=0.5), True, False),
        (Power(d=0.51), True, True),
        (Power(d=1.0), True, True),
        (Power(d=1.01), False, True),
        (Power(d=0), True, False),
        (StepDecay(), False, True),
        (StepDecay(by=1.0), True, False),
        (Exponential(d=0.1), False, True),
        (Exponential(d=0), True, False),
        (Cosine(), False, True),
        (Cosine(floor=0.1), True, False),
        (Hold(k=10, then=Power(d=0.75)), True, True),
        (Hold(k=10, then=Exponential()), False, True),
        (Warmup(k=10, then=InverseTime()), True, True),
    ],
)
def test_the_verdict_of_robbins_and_monro_is_analytic_and_has_reasons(schedule, diverges, summable):
    verdict = schedule.robbins_monro()
    assert (verdict.diverges, verdict.square_summable) == (diverges, summable)
    assert verdict.satisfied == (diverges and summable)
    first, second = verdict.reasons
    assert first.startswith("Σ a = ∞" if diverges else "Σ a < ∞")
    assert second.startswith("Σ a² < ∞" if summable else "Σ a² = ∞")


@pytest.mark.parametrize("d", [0.4, 0.4999999, 0.5, 0.5000001, 0.75, 0.99999999, 1.0, 1.0000001, 1.0 + 2**-50])
def test_the_exponent_of_a_reason_has_the_digits_that_make_it_true(d):
    said = [re.search(r"exponent (\S+) ([<>≤]) ([\d/]+)", reason) for reason in Power(d=d).robbins_monro().reasons]
    assert all(said)
    for exponent, sign, bound in (found.groups() for found in said):
        limit = float(Fraction(bound))
        assert float(exponent) > limit if sign == ">" else float(exponent) <= limit
        assert (float(exponent) > limit) == (d > limit)


def test_a_slow_fall_promises_no_convergence_and_does_not_say_that_noise_stays():
    """The variance under a / (1 + t)^0.4 follows V <- (1 - a_t)^2 V + a_t^2 s^2, down with the rate."""
    schedule, variance, seen = Power(d=0.4), 1.0, []
    for t in range(100_001):
        rate = 0.1 * schedule.factor(t)
        variance = (1.0 - rate) ** 2 * variance + rate * rate
        seen.append(variance)
    assert seen[100] > 5 * seen[10_000] > 10 * seen[100_000]
    reason = schedule.robbins_monro().reasons[1]
    assert "convergence is not guaranteed" in reason
    assert "stays" not in reason


@given(simple_schedules)
def test_the_verdict_agrees_with_what_ever_later_stretches_add_to_the_sums(schedule):
    # Cauchy's condensation: a falling series converges as sum of 2^k a(2^k) does; these terms fall or they do not
    decays = [getattr(schedule, name, 0.0) for name in ("d", "floor")]
    assume(all(decay == 0 or decay > 1e-3 for decay in decays))
    assume(abs(decays[0] - 0.5) > 1e-3 < abs(decays[0] - 1))
    assume(getattr(schedule, "by", 0.5) == 1 or getattr(schedule, "by", 0.5) < 0.999)
    verdict = schedule.robbins_monro()
    knots = 2.0 ** np.arange(18, 600)
    for power, converges in ((1, not verdict.diverges), (2, verdict.square_summable)):
        masses = schedule.factors(knots) ** power * knots
        if masses[0] < 1e-290:
            assert converges
        elif converges:
            assert masses[-1] < masses[0]
        else:
            assert masses[-1] >= masses[0] * 0.9


def test_partial_sums_are_sums_of_rates_and_of_their_squares():
    sums, squares = InverseTime(d=1.0).partial_sums(2.0, 3)
    assert sums == pytest.approx([2, 3, 3 + 2 / 3])
    assert squares == pytest.approx([4, 5, 5 + 4 / 9])


@pytest.mark.parametrize("name", optimizers.names())
def test_a_schedule_scales_the_rate_of_every_method(name):
    f = functions.get("quadratic")
    start = f.start
    if name == "gauss_newton":  # it is not defined for functions
        f = NetworkObjective(Network((1, 2, 1)), [[-1.0], [0.0], [2.0]], [0, 1, 1])
        start = f.network.initial(0)
    optimizer = optimizers.get(name)(lr=0.1)
    schedule = StepDecay(every=1, by=0.5)
    whole, scaled = (minimize(f, optimizer, start, steps=2, schedule=chosen) for chosen in (None, schedule))
    first, second = np.diff(scaled.theta, axis=0)
    assert np.array_equal(first, np.diff(whole.theta, axis=0)[0])
    assert scaled.columns["learning_rate"].tolist() == [0.1, 0.05, 0.025]
    state = scaled.seek(1)
    stage = scaled.stage_at(1)
    full = stage.optimizer.update(stage.local(state), state.slots, 0.1).step
    assert second == pytest.approx(full / 2, rel=1e-12)


def test_every_schedule_is_found_by_its_name():
    assert sorted(Schedule.registry.names()) == [
        "constant", "cosine", "exponential", "hold", "inverse_time", "power", "step", "warmup",
    ]  # fmt: skip


@pytest.mark.parametrize("bad", [{"d": -1.0}, {"d": math.inf}, {"d": math.nan}])
def test_settings_out_of_range_are_refused(bad):
    for kind in (InverseTime, Power, Exponential):
        with pytest.raises(SettingsError):
            kind(**bad)


@pytest.mark.parametrize("schedule", [
    StepDecay(every=2**63 - 1), Hold(k=2**63 - 1), Warmup(k=2**63 - 1), Cosine(steps=2**63 - 1), InverseTime(d=1e308),
    Exponential(d=1e308), Power(d=1e308),
], ids=lambda schedule: type(schedule).__name__)  # fmt: skip
def test_extreme_settings_give_the_same_factors_one_by_one_and_together(schedule):
    assert schedule.factors(np.arange(5)).tolist() == [schedule.factor(t) for t in range(5)]
    first, second = schedule.partial_sums(1e200, 3)
    assert first[0] == 1e200 * schedule.factor(0)
    assert second[0] == np.inf or schedule.factor(0) < 1e-10


@pytest.mark.parametrize("make", [
    lambda: StepDecay(every=10**30), lambda: Hold(k=10**30), lambda: Warmup(k=10**30), lambda: Cosine(steps=10**300),
])  # fmt: skip
def test_more_steps_than_can_be_counted_are_refused(make):
    with pytest.raises(SettingsError, match=r"expected a number >= [01] and < 2\^63, got 10000"):
        make()


@pytest.mark.parametrize("kind", [Hold, Warmup])
def test_what_follows_must_be_a_schedule(kind):
    with pytest.raises(SettingsError, match="then: expected a schedule, got 'x'"):
        kind(then="x")
