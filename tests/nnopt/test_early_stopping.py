"""Runs that end when the validation loss no longer improves: exactly when the rule says so, however they are made."""

from __future__ import annotations

import contextlib
import itertools
import math

import numpy as np
import pytest
from early_runs import overfitting
from hypothesis import given, settings
from hypothesis import strategies as st
from run_strategies import changes, experiments

from nnopt import optimizers
from nnopt.errors import NnoptError, UnsupportedError
from nnopt.objectives import datasets, functions
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.batches import Mini
from nnopt.optimizers.stopping import EarlyStopping, Watch
from nnopt.runs.changes import AddExample, MoveExample, MoveTo, RemoveExample, SetSetting
from nnopt.runs.era import Era
from nnopt.runs.experiment import (
    Experiment,
    FunctionProblem,
    Measure,
    Method,
    NetworkProblem,
    Stop,
    default_experiment,
    set_path,
)
from nnopt.runs.log import Watches
from nnopt.runs.loop import Loop
from nnopt.runs.minimize import minimize
from nnopt.runs.problem import build
from nnopt.runs.run import Run
from nnopt.runs.stage import Stage
from nnopt.runs.state import Best, Memory

TINY = Memory(rows=8, keyframes=8 * 40, recent=0, problems=0)

rules = st.builds(EarlyStopping, st.integers(1, 6), st.sampled_from([0.0, 1e-3, 0.05]))
watched = st.builds(
    lambda experiment, rule, share: set_path(set_path(experiment, "problem.validation", share), "stop.early", rule),
    experiments.filter(lambda experiment: isinstance(experiment.problem, NetworkProblem)),
    st.none() | rules,
    st.sampled_from([0.3, 0.5]),
)


@pytest.fixture
def run() -> Run:
    run = Run(overfitting())
    run.advance(2000)
    return run


def measured(run: Run) -> tuple[list[int], list[float]]:
    """(steps, validation losses), from the newest change on, of everything that was measured."""
    start = max((done.step for done in run.history.interventions), default=0)
    every = run.history.stage_at(run.state.step).every
    steps = [step for step in range(start, run.history.length) if step % every == 0]
    return steps, [run.history.row(step)["validation_loss"] for step in steps]


# ---- where a run stops, and what is kept


def test_a_run_stops_when_validation_no_longer_improves_and_says_so(run):
    validation = run.history.columns["validation_loss"][::10]
    best = int(np.argmin(validation))
    end = 10 * (best + 20)
    assert 0 < end == run.state.step == run.outcome.step < 2000
    assert run.outcome.kind == "stopped_early"
    assert run.outcome.reason == (
        f"stopped early at step {end}: the validation loss has not improved for 20 measurements; "
        f"best {validation[best]:.4g} at step {10 * best}"
    )
    assert run.advance(100) == 0


def test_the_best_state_is_the_one_with_the_lowest_validation_loss(run):
    best = run.history.best
    assert best == Best(best.step, np.nanmin(run.history.columns["validation_loss"]))
    kept = run.history.seek(best.step)
    assert run.problem.validation_value(kept.theta) == best.validation_loss
    assert best.validation_loss < run.problem.validation_value(run.state.theta)


def test_the_rule_only_ends_a_run_and_changes_none_of_its_states(run):
    free = Run(overfitting(None))
    free.advance(run.state.step)
    assert free.outcome.running
    assert free.state.same_bits(run.state)
    assert free.history.best == run.history.best
    free.advance(1000)
    assert free.history.best.validation_loss == np.nanmin(free.history.columns["validation_loss"])


def test_an_improvement_must_exceed_the_minimum(run):
    strict = Run(set_path(overfitting(), "stop.early.minimum_improvement", 0.01))
    strict.advance(2000)
    assert strict.state.step < run.state.step
    assert "has not improved by more than 0.01 for 20 measurements" in strict.outcome.reason


@given(watched, st.sampled_from([Memory(), TINY]), st.lists(st.integers(1, 20), max_size=5))
@settings(max_examples=60)
def test_a_run_stops_exactly_where_the_rule_stops_on_its_validation_losses(experiment, memory, portions):
    run = Run(experiment, memory=memory)
    for portion in (*portions, 100):
        run.advance(portion)
    steps, losses = measured(run)
    rule = experiment.stop.early or EarlyStopping(patience=1000)
    watch = rule.fold(losses, steps)
    if run.outcome.kind == "stopped_early":
        assert watch.stopped_at == run.outcome.step == run.state.step
    else:
        # what ended it at the same step is said first
        assert watch.stopped_at is None or (watch.stopped_at == run.state.step and run.outcome.kind != "stopped")
    assert run.history.best == (Best(watch.best_step, watch.best) if watch.best_step >= 0 else None)


@given(watched, st.data())
@settings(max_examples=60)
def test_replays_forks_and_thinned_logs_stop_at_the_same_step_whatever_was_done(experiment, data):
    run, thin = Run(experiment), Run(experiment, memory=TINY)
    for _ in range(data.draw(st.integers(0, 4), label="stretches")):
        updates = data.draw(st.integers(0, 12), label="updates")
        change = data.draw(
            changes(run.problem.size)
            | st.builds(SetSetting, st.just("stop.early"), st.none() | rules)
            | st.builds(SetSetting, st.just("stop.early.patience"), st.integers(1, 6)),
            label="change",
        )
        for one in (run, thin):
            one.advance(updates)
            with contextlib.suppress(NnoptError):
                one.intervene(change)
    for one in (run, thin):
        one.advance(20)
    again = Run.replay(run.recording)
    for other in (thin, again):
        assert (other.outcome, other.history.best) == (run.outcome, run.history.best)
        assert other.state.same_bits(run.state)
    assert run.history.best == expected_best(run)
    steps, losses = measured(run)
    rule = run.experiment.stop.early or EarlyStopping(patience=1000)
    assert run.outcome.kind != "stopped_early" or rule.fold(losses, steps).stopped_at == run.state.step

    step = data.draw(st.integers(0, run.state.step), label="fork")
    fork, thin_fork = run.fork(step), thin.fork(step)
    assert fork.history.best == thin_fork.history.best == expected_best(fork)
    assert fork.outcome == thin_fork.outcome
    following = [done.step for done in run.history.interventions if done.step > step]
    for one in (fork, thin_fork):
        one.advance(min([*following, run.state.step]) - step)
    assert fork.history.best == thin_fork.history.best == expected_best(fork)
    if not following:
        assert (fork.outcome.reason, fork.history.best) == (run.outcome.reason, run.history.best)


def expected_best(run: Run) -> Best | None:
    """The lowest of all validation losses since they were last measured by something else, from the log alone."""
    history, found = run.history, []
    done = {step: [*made] for step, made in itertools.groupby(history.interventions, key=lambda made: made.step)}
    problem = build(run.recording.experiment)
    for step in range(history.length):
        for made in done.get(step, ()):
            found = [] if problem.remeasures(made.change) else found
            problem = problem.changed(made.change)
        loss = history.row(step)["validation_loss"]
        found += [] if math.isnan(loss) else [(loss, step)]
    loss, step = min(found, default=(math.inf, -1))
    return Best(step, loss) if loss < math.inf else None


def test_with_mini_batches_it_is_looked_at_where_it_is_measured():
    experiment = set_path(overfitting(measure=Measure(every=7)), "methods[0].batches", Mini(size=5))
    run = Run(experiment)
    run.advance(2000)
    assert run.outcome.kind == "stopped_early"
    assert run.state.step % 7 == 0
    steps, losses = measured(run)
    assert EarlyStopping().fold(losses, steps).stopped_at == run.state.step


def test_what_diverges_has_diverged():
    experiment = set_path(overfitting(EarlyStopping(patience=1), measure=Measure(every=1)), "stop.explosion", 1.5)
    run = Run(set_path(experiment, "methods[0].optimizer.lr", 1000.0))
    run.advance(100)
    assert run.outcome.kind == "diverged"


def test_an_interrupted_measurement_is_not_counted_twice():
    def loop(fails: int) -> Loop:
        losses = iter([1.0, 0.5, 0.6, 0.7, 0.8, 0.9])
        calls = itertools.count(1)

        def validation(theta):
            if next(calls) == fails:
                raise KeyboardInterrupt
            return next(losses)

        stage = Stage(
            functions.get("bowl"), optimizers.SGD(lr=0.01), validation=validation, every=3, early=EarlyStopping(3)
        )
        return Loop(Era(stage.init(np.array([2.0])), stage, None, None), 100)

    whole, broken = loop(-1), loop(4)
    whole.advance(100)
    with pytest.raises(KeyboardInterrupt):
        broken.advance(100)
    assert broken.history.length == 9
    broken.advance(100)
    assert whole.history.outcome.step == 12
    assert (broken.history.outcome, broken.history.best) == (whole.history.outcome, whole.history.best)


# ---- going on


def test_more_steps_do_not_wake_a_run_that_stopped_early(run):
    run.extend(5000)
    assert run.outcome.kind == "stopped_early"
    assert run.advance(10) == 0
    assert run.fork(run.state.step).outcome == run.outcome


def test_without_the_rule_a_stopped_run_goes_on_and_the_recording_does_the_same(run):
    end, best = run.state.step, run.history.best
    run.intervene(SetSetting("stop.early", None))
    assert run.outcome.running
    assert run.advance(50) == 50
    assert run.history.best == best
    again = Run.replay(run.recording)
    assert again.state.same_bits(run.state)
    assert (again.outcome, again.history.best) == (run.outcome, run.history.best)
    assert again.fork(end - 10).advance(100) == 10


@pytest.mark.parametrize(
    "change",
    [
        SetSetting("methods[0].optimizer.lr", 0.05),
        SetSetting("stop.early.patience", 7),
        SetSetting("stop.explosion", 1e9),
    ],
)
def test_every_change_gives_a_run_its_whole_patience_anew_and_keeps_the_best_state(run, change):
    end, best = run.state.step, run.history.best
    run.intervene(change)
    assert run.history.best == best
    run.advance(2000)
    steps, losses = measured(run)
    assert steps[0] == end
    watch = run.experiment.stop.early.fold(losses, steps)
    assert watch.stopped_at == run.outcome.step > end
    assert run.history.best.validation_loss == min(best.validation_loss, watch.best)


def test_the_best_state_of_a_step_at_which_the_point_is_moved_is_gone():
    run = Run(overfitting(measure=Measure(every=5)))
    run.advance(20)
    assert run.history.best.step == 20
    run.intervene(MoveTo((0.0,) * run.problem.size))
    assert run.history.best.step == 15
    assert Run.replay(run.recording).history.best == run.history.best
    assert run.fork(20).history.best == run.history.best


def test_losses_of_other_examples_are_not_compared():
    def best_after(change) -> int | None:
        run = Run(overfitting(None))
        run.advance(15)
        run.intervene(change(run.problem))
        return None if run.history.best is None else run.history.best.step

    assert best_after(lambda problem: AddExample((0.0, 0.0), 1)) == 10
    assert best_after(lambda problem: MoveExample(int(problem.training[0]), (0.0, 0.0))) == 10
    assert best_after(lambda problem: RemoveExample(int(problem.training[0]))) == 10
    assert best_after(lambda problem: SetSetting("methods[0].optimizer", "adam")) == 10
    assert best_after(lambda problem: SetSetting("problem.l2", 0.1)) == 10
    assert best_after(lambda problem: MoveExample(int(problem.validation[0]), (0.0, 0.0))) is None
    assert best_after(lambda problem: RemoveExample(int(problem.validation[0]))) is None


def test_a_thinned_memory_of_what_was_seen_keeps_the_first_and_every_2nd_4th_8th():
    watches = Watches(limit=4)
    for step in range(0, 400, 10):
        watches.put(step, Watch(best_step=step))
    kept = sorted({watches.newest(0, last)[0] for last in range(400)})
    assert len(kept) <= 5
    assert kept[0] == 0
    assert len(set(np.diff(kept))) == 1
    assert watches.before(200).newest(0, 1000)[0] < 200


# ---- nothing to watch


@pytest.mark.parametrize(
    "problem",
    [FunctionProblem(functions.get("quadratic")), NetworkProblem(datasets.get("circle", points=20), validation=0.0)],
)
def test_without_validation_examples_there_is_nothing_to_watch(problem):
    experiment = Experiment(problem, (Method(optimizers.SGD(lr=0.01)),), stop=Stop(early=EarlyStopping()))
    with pytest.raises(UnsupportedError, match="early stopping watches the validation loss, and here is none"):
        Run(experiment)
    run = Run(set_path(experiment, "stop.early", None))
    run.advance(30)
    assert run.history.best is None
    with pytest.raises(UnsupportedError, match="validation"):
        run.intervene(SetSetting("stop.early", {}))
    assert run.advance(1) == 1


def test_the_last_validation_example_stays_while_it_is_watched():
    run = Run(set_path(overfitting(), "problem.data.points", 4))
    run.advance(10)
    run.intervene(RemoveExample(int(run.problem.validation[0])))
    before = run.history.outcome, run.history.best, len(run.problem.validation)
    with pytest.raises(UnsupportedError, match="no example is held out"):
        run.intervene(RemoveExample(int(run.problem.validation[0])))
    assert (run.history.outcome, run.history.best, len(run.problem.validation)) == before
    run.intervene(SetSetting("stop.early", None))
    run.intervene(RemoveExample(int(run.problem.validation[0])))
    run.advance(10)
    assert run.history.best is None


def test_minimize_measures_no_validation_and_refuses():
    problem = build(overfitting())
    assert isinstance(problem.objective, NetworkObjective)
    with pytest.raises(UnsupportedError, match="early stopping watches the validation loss"):
        minimize(problem.objective, optimizers.SGD(), problem.initial(), stop=Stop(early=EarlyStopping()))
    assert minimize(problem.objective, optimizers.SGD(), problem.initial(), steps=5).best is None


def plain_loss(theta, X, y, hidden):
    """Binary cross-entropy of a 2-hidden-1 tanh network, in plain numpy; and the sum of its squared weights."""
    first = theta[: 3 * hidden].reshape(hidden, 3)
    second = theta[3 * hidden :]
    z = np.tanh(X @ first[:, :2].T + first[:, 2]) @ second[:hidden] + second[hidden]
    return float(np.mean(np.logaddexp(0.0, z) - y * z)), float(np.sum(first[:, :2] ** 2) + np.sum(second[:hidden] ** 2))


def test_validation_is_measured_without_the_penalty_and_training_says_how_much_it_is():
    experiment = set_path(default_experiment(), "problem.l2", 0.002)
    run = Run(experiment)
    run.advance(120)
    problem, history = run.problem, run.history
    X, y = problem.dataset.X, np.asarray(problem.dataset.y, dtype=float)
    for step in (0, 50, 120):
        theta, row = history.seek(step).theta, history.row(step)
        training, squares = plain_loss(theta, X[problem.training], y[problem.training], 8)
        validation, _ = plain_loss(theta, X[problem.validation], y[problem.validation], 8)
        assert row["penalty"] == pytest.approx(0.002 * squares, rel=1e-12)
        assert row["training_loss"] == pytest.approx(training + 0.002 * squares, rel=1e-12)
        assert row["validation_loss"] == pytest.approx(validation, rel=1e-12)
    assert history.best.validation_loss == np.nanmin(history.columns["validation_loss"])
    again = Run.replay(run.recording).history
    for name in ("training_loss", "validation_loss", "penalty"):
        assert np.array_equal(history.columns[name], again.columns[name], equal_nan=True)


def test_another_penalty_does_not_change_what_was_measured_on_held_out_examples():
    run = Run(default_experiment())
    run.advance(100)
    before = run.history.best
    run.intervene(SetSetting("problem.l2", 0.01))
    assert run.history.best == before
    assert run.history.row(100)["penalty"] > 0.0
    assert run.history.row(before.step)["validation_loss"] == before.validation_loss
