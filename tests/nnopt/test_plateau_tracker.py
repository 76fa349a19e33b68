"""Plateaus while a run goes on: seen while one is on them, steady, and never forgotten."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plateaus import HELD_OUT, REFERENCE, is_right, made_curve, slow_noise

from nnopt.analysis.plateau_tracker import PlateauTracker, floor_of, follow, plateaus_of
from nnopt.errors import SettingsError, ShapeError
from nnopt.objectives import functions
from nnopt.optimizers import SGD
from nnopt.runs.changes import MoveTo, SetSetting
from nnopt.runs.experiment import default_experiment
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Run
from nnopt.runs.state import Memory


def tracked(loss, floor=None, logarithmic=False):
    tracker = PlateauTracker(floor, logarithmic)
    tracker.extend(loss)
    return tracker.plateaus()


@pytest.fixture(scope="module")
def circles():
    run = Run(default_experiment())
    run.advance(5000)
    return run.history


@pytest.mark.parametrize("floor", [None, 0.0])
def test_curves_of_known_shape_are_read_right_while_they_grow(floor):
    """Plateaus are kept as they are left, so one that is short on the whole curve's scale may be found in addition."""
    curves = [(c["loss"], [(p["start"], p["stop"], p["escaped"]) for p in c["plateaus"]]) for c in REFERENCE]
    curves += [made_curve(seed) for seed in list(HELD_OUT)[:12]]
    right = sum(is_right(tracked(loss, floor), true) for loss, true in curves)
    assert right >= 0.8 * len(curves)


@settings(max_examples=12)
@given(st.integers(0, 15), st.lists(st.integers(1, 700), min_size=1, max_size=9), st.sampled_from([None, 0.0]))
def test_it_says_the_same_whatever_the_blocks(number, blocks, floor):
    loss = np.array(REFERENCE[number]["loss"])
    pieces, done = PlateauTracker(floor), 0
    for block in blocks:
        pieces.extend(loss[done : done + block])
        done = min(done + block, len(loss))
    assert pieces.plateaus() == tracked(loss[:done], floor)


def test_a_first_plateau_is_seen_while_the_run_is_on_it():
    history = minimize(functions.get("plateau"), SGD(lr=0.1), steps=1000)
    loss = history.columns["loss"]
    for length in range(30, 260, 10):
        (flat,) = tracked(loss[:length], floor=0.0)
        assert (flat.start, flat.stop, flat.escaped) == (0, length, False)
    first, *_ = plateaus_of(history)
    assert first.escaped
    # where the loss has fallen by 1.8 % of what there is to fall
    assert abs(first.stop - int(np.argmax(loss < loss[0] - 0.018))) < 25


def test_without_a_known_floor_a_first_slow_fall_is_no_plateau_yet():
    loss = minimize(functions.get("plateau"), SGD(lr=0.1), steps=150).columns["loss"]
    assert tracked(loss) == ()


def test_what_is_shown_of_the_default_experiment_is_steady(circles):
    loss = circles.columns["training_loss"]
    tracker, toggles, starts, firsts, was = PlateauTracker(0.0), 0, set(), set(), None
    for step in range(1200):
        tracker.extend(loss[step : step + 1], [step])
        found = tracker.plateaus()
        if step >= 300:
            firsts.add(found[0])
            asks = not found[-1].escaped
            toggles += was is not None and asks is not was
            was = asks
            if asks:
                starts.add(found[-1].start)
    assert len(firsts) == 1
    assert toggles <= 2
    assert len(starts) <= 2


def test_a_plateau_that_was_left_is_never_forgotten(circles):
    """It is under 5 % of the run from step 3,700 on."""
    loss = circles.columns["training_loss"]
    early, late = tracked(loss[:400], 0.0), tracked(loss, 0.0)
    assert early[0] == late[0]
    assert late[0].escaped
    assert late[0].start == 0
    assert 150 < late[0].stop < 220
    assert late == plateaus_of(circles)[:1] + late[1:]


def test_a_loss_that_falls_ten_decades_is_not_flat_on_a_logarithmic_axis():
    loss = np.exp(-np.arange(500) / 20)
    assert tracked(loss, 0.0, logarithmic=True) == ()
    (flat,) = tracked(loss, 0.0)
    assert not flat.escaped


def test_plateaus_of_the_logarithm_are_those_of_the_curve_that_is_drawn():
    t = np.arange(3000)
    decades = -2.0 / (1 + np.exp(-(t - 1000) / 20)) - 2.0 / (1 + np.exp(-(t - 2000) / 20))
    found = tracked(10.0**decades, 0.0, logarithmic=True)
    assert [one.escaped for one in found] == [True, True, False]
    assert [one.level for one in found] == pytest.approx([1.0, 1e-2, 1e-4], rel=0.1)
    # on a linear axis the second drop cannot be seen
    assert [one.escaped for one in tracked(10.0**decades, 0.0)] == [True, False]


@pytest.mark.parametrize("seed", range(2))
def test_losses_of_single_examples_that_swing_are_not_flat(seed):
    assert tracked(np.random.default_rng(seed).uniform(0.25, 1.4, 3000), 0.0) == ()


@pytest.mark.parametrize(("mean", "size", "floor"), [(0.0, 1.0, None), (5.0, 1.0, 0.0), (2.0, 0.5, 0.0)])
def test_slow_noise_leaves_no_plateau_behind(mean, size, floor):
    left = [
        any(one.escaped for one in tracked(mean + size * slow_noise(seed, length), floor))
        for seed in range(900, 906)
        for length in (1000, 2000)
    ]
    assert sum(left) <= 1


def test_a_loss_that_swings_where_it_was_thrown_is_not_called_flat():
    tracker = PlateauTracker(0.0)
    tracker.extend(np.full(200, 0.2))
    tracker.begin_part(200)
    tracker.extend([0.2, *np.full(400, 3.0)])
    assert all(one.stop <= 205 for one in tracker.plateaus())
    placed = PlateauTracker(0.0)
    placed.extend(np.full(200, 0.2))
    placed.begin_part(200)
    placed.extend(np.full(400, 3.0))
    assert placed.plateaus()[-1].start >= 195
    assert placed.plateaus()[-1].level == pytest.approx(3.0)


@pytest.mark.parametrize("seed", range(15))
def test_it_says_the_same_however_early_a_part_is_announced(seed):
    """Piecewise constant losses that come back to where they were, parts of which nothing is known until they begin."""
    random = np.random.default_rng(seed)
    knots, levels = np.sort(random.integers(0, 1000, 4)), random.uniform(0.2, 1.0, 5)
    loss = levels[np.searchsorted(knots, np.arange(1500), side="right")] + 1e-4 * random.standard_normal(1500)
    parts = np.unique(random.integers(1, 1500, 2))
    # a part that begins with losses of which nothing is known
    loss[parts[0] : parts[0] + 40] = np.nan
    early, late = PlateauTracker(0.0), PlateauTracker(0.0)
    for part in parts:
        early.begin_part(int(part))
    early.extend(loss)
    edges = [0, *np.unique([*parts, *random.integers(1, 1500, 8)]), 1500]
    for start, stop in pairwise(edges):
        if start in parts:
            late.begin_part(int(start))
        late.extend(loss[start:stop])
    assert early.plateaus() == late.plateaus()


def test_following_a_run_piece_by_piece_says_what_its_log_says_afterwards():
    run = Run(default_experiment())
    tracker = PlateauTracker(0.0)
    changes = {130: SetSetting("methods[0].optimizer.lr", 0.7), 600: MoveTo(tuple(np.full(33, 0.8)))}
    for piece in (1, 40, 89, 70, 400, 300, 1):
        run.advance(piece)
        follow(tracker, run.history)
        if run.state.step in changes:
            run.intervene(changes[run.state.step])
        follow(tracker, run.history, most=64)
    assert len(run.history.interventions) == 2
    while not follow(tracker, run.history, most=100):
        pass
    again = Run.replay(run.recording).history
    assert tracker.plateaus(run.history.length) == plateaus_of(run.history) == plateaus_of(again)


@pytest.mark.parametrize("piece", [37, 300])
def test_following_a_run_whose_log_is_thinned_says_what_the_rows_that_are_left_say(piece):
    run = Run(default_experiment(), memory=Memory(rows=256))
    tracker = PlateauTracker(0.0)
    for done in range(0, 1500, piece):
        run.advance(piece)
        if done == 2 * piece:
            run.intervene(MoveTo(tuple(np.full(33, 0.8))))
        while not follow(tracker, run.history, most=100):
            pass
        assert tracker.plateaus(run.history.length) == plateaus_of(run.history)
    assert run.history.stride >= 4


def test_the_least_possible_loss_is_known_where_it_is_known():
    assert floor_of(Run(default_experiment()).objective) == 0.0
    assert floor_of(functions.get("plateau")) == 0.0
    assert floor_of(functions.get("steep_beside_flat")) == functions.get("steep_beside_flat").minima[0].value
    # no minimum; one, and ever lower ones outside the bounds; a formula of which nothing is known; a stranger
    for unknown in (functions.get("saddle"), functions.get("mccormick"), functions.formula("x**2"), object()):
        assert floor_of(unknown) is None


def test_functions_are_nowhere_below_their_floor():
    random = np.random.default_rng(0)
    for name in functions.names():
        function = functions.get(name)
        low, high = np.array(function.bounds).T
        wide = 20.0 * (high - low) * (random.random((2000, function.size)) - 0.5) + (low + high) / 2
        values = function.values(wide)
        assert np.nanmin(values) >= function.floor - 1e-9 * max(1.0, abs(function.floor)), name


def test_plateaus_are_apart_and_within_the_run():
    for number in range(len(REFERENCE)):
        found = tracked(REFERENCE[number]["loss"], 0.0)
        assert all(0 <= one.start < one.stop <= 4000 for one in found)
        assert all(before.stop <= after.start for before, after in pairwise(found))


def test_what_are_not_the_losses_of_one_run_is_refused():
    tracker = PlateauTracker()
    with pytest.raises(SettingsError, match="losses: expected numbers"):
        tracker.extend(["a"])
    tracker.extend([1.0, 2.0], [0, 5])
    with pytest.raises(ShapeError, match="increasing"):
        tracker.extend([1.0], [5])
