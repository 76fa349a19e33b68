"""Early stopping as a fold over validation losses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt.errors import SettingsError, ShapeError
from nnopt.optimizers.stopping import EarlyStopping, Watch, generalization_gap, generalization_loss

curves = st.lists(st.floats(0, 10) | st.just(math.nan) | st.just(math.inf), max_size=60)
rules = st.builds(EarlyStopping, st.integers(1, 8), st.floats(0, 1))


def test_it_stops_when_patience_runs_out_and_knows_the_best_step():
    watch = EarlyStopping(patience=3).fold([5, 4, 3, 3.5, 3.2, 3.0, 0.1])
    assert (watch.best, watch.best_step, watch.stopped_at) == (3, 2, 5)


def test_it_goes_on_while_losses_improve():
    watch = EarlyStopping(patience=1).fold(np.linspace(1, 0, 50))
    assert not watch.stopped
    assert watch.best_step == 49


def test_improvements_below_the_minimum_do_not_renew_patience_and_still_make_the_best_step():
    rule = EarlyStopping(patience=3, minimum_improvement=0.5)
    watch = rule.fold([1.0, 0.9, 0.8, 0.7, 0.0])
    assert (watch.stopped_at, watch.best_step, watch.best) == (3, 3, 0.7)
    # slow but sure: together they pass the threshold
    assert not rule.fold([1.0, 0.7, 0.4, 0.1, -0.2]).stopped


def test_what_was_not_measured_counts_for_nothing():
    rule = EarlyStopping(patience=2)
    watch = rule.fold([1.0, math.nan, 0.9, math.nan, math.nan, math.nan, 1.0, 2.0], range(0, 80, 10))
    assert (watch.best_step, watch.stopped_at) == (20, 70)
    assert rule.fold([math.nan] * 9) == Watch()


def test_a_run_that_is_never_finite_has_no_best_step():
    watch = EarlyStopping(patience=2).fold([math.inf, math.inf, 0.1])
    assert (watch.best_step, watch.stopped_at) == (-1, 1)


@given(rules, curves, st.integers(0, 60))
def test_piece_by_piece_is_the_same_as_all_at_once(rule, losses, cut):
    steps = range(0, 7 * len(losses), 7)
    pieces = rule.fold(losses[cut:], steps[cut:], rule.fold(losses[:cut], steps[:cut]))
    assert pieces == rule.fold(losses, steps)


@given(rules, curves)
def test_the_best_step_is_the_first_minimum_of_what_was_seen(rule, losses):
    watch = rule.fold(losses)
    seen = np.array(losses[: len(losses) if watch.stopped_at is None else watch.stopped_at + 1])
    finite = np.flatnonzero(np.isfinite(seen))
    wanted = finite[seen[finite].argmin()] if len(finite) else -1
    assert watch.best_step == wanted
    assert watch.best == (seen[wanted] if len(finite) else math.inf)


@given(st.integers(1, 8), curves)
def test_it_stops_after_exactly_patience_measurements_without_a_new_minimum(patience, losses):
    watch = EarlyStopping(patience).fold(losses)
    measured = [(step, loss) for step, loss in enumerate(losses) if not math.isnan(loss)]
    waited, lowest, stopped_at = 0, math.inf, None
    for step, loss in measured:
        waited, lowest = (0, loss) if loss < lowest else (waited + 1, lowest)
        if waited == patience:
            stopped_at = step
            break
    assert watch.stopped_at == stopped_at


def test_settings_out_of_range_and_steps_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match="patience"):
        EarlyStopping(patience=0)
    with pytest.raises(SettingsError, match="minimum_improvement"):
        EarlyStopping(minimum_improvement=-0.1)
    with pytest.raises(ShapeError, match="got 1 and 2"):
        EarlyStopping().fold([1.0, 2.0], [0])


def test_the_gap_is_validation_minus_training_and_nan_where_not_measured():
    gap = generalization_gap([1.0, 0.5, 0.2], [1.0, math.nan, 0.6])
    np.testing.assert_allclose(gap, [0.0, math.nan, 0.4], rtol=1e-15)
    with pytest.raises(ShapeError, match="one shape"):
        generalization_gap([1.0], [1.0, 2.0])


def test_the_generalization_loss_is_relative_to_the_best_so_far():
    losses = generalization_loss([2.0, 1.0, math.nan, 1.5, 0.5])
    np.testing.assert_allclose(losses, [0.0, 0.0, math.nan, 0.5, 0.0])
    assert generalization_loss([]).shape == (0,)
