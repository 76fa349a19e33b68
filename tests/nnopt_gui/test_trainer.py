"""The worker thread: obeys at once, never loses a run, never dies of what an objective raises."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from laboratory import network, valley, wait_until

from nnopt.runs.changes import MoveTo, SetSetting
from nnopt_gui.engine.gate import Gate
from nnopt_gui.engine.messages import Advance, Edit, Edited, Extend, Load, Notice, Pause, Play, Start, Started, Stopped
from nnopt_gui.engine.pace import Meter, Pace
from nnopt_gui.engine.trainer import Trainer


@pytest.fixture
def trainer() -> Iterator[Trainer]:
    worker = Trainer(Gate())
    worker.start()
    yield worker
    assert worker.close(5.0)


def do(trainer: Trainer, *commands) -> None:
    """Post commands and wait until the worker has dealt with them."""
    serial = trainer.post(*commands)
    wait_until(lambda: trainer.snapshot.serial >= serial)


def events(trainer: Trainer, kind: type) -> list:
    return [event for event in trainer.events if isinstance(event, kind)]


def head(trainer: Trainer) -> int:
    return trainer.snapshot.current.run.state.step


def test_a_started_run_stands_at_step_0_until_it_is_played(trainer):
    do(trainer, Start(network(), label="first"))
    assert head(trainer) == 0
    assert not trainer.snapshot.playing
    (started,) = events(trainer, Started)
    assert started.before is None
    assert started.label == "first"


def test_advance_makes_exactly_so_many_updates(trainer):
    do(trainer, Start(network()), Advance(7))
    wait_until(lambda: events(trainer, Stopped))
    assert head(trainer) == 7
    do(trainer, Advance(1), Advance(1))
    wait_until(lambda: head(trainer) == 9)


def test_the_worker_makes_the_same_bits_as_a_plain_run(trainer):
    from nnopt.runs.run import Run

    do(trainer, Start(network()), Advance(50))
    wait_until(lambda: head(trainer) == 50)
    plain = Run(network())
    plain.advance(50)
    assert np.array_equal(trainer.snapshot.current.run.state.theta, plain.state.theta)


def test_it_pauses_at_the_budget_says_so_and_goes_on_when_that_is_extended(trainer):
    do(trainer, Start(network(steps=30), play=True))
    wait_until(lambda: events(trainer, Stopped))
    (stopped,) = events(trainer, Stopped)
    assert (stopped.reason, stopped.step, head(trainer)) == ("limit", 30, 30)
    assert not trainer.snapshot.playing
    do(trainer, Extend(50), Play())
    wait_until(lambda: len(events(trainer, Stopped)) == 2)
    assert head(trainer) == 50


def test_pause_is_obeyed_within_20_ms_flat_out(trainer):
    do(trainer, Start(valley(steps=10_000_000), play=True))
    time.sleep(0.05)
    began = time.perf_counter()
    do(trainer, Pause())
    assert time.perf_counter() - began < 0.02
    stood = head(trainer)
    time.sleep(0.02)
    assert head(trainer) == stood


def test_at_one_update_per_second_it_answers_within_20_ms(trainer):
    do(trainer, Start(network()), Play(1.0))
    wait_until(lambda: head(trainer) == 1)
    began = time.perf_counter()
    do(trainer, Pause())
    assert time.perf_counter() - began < 0.02
    assert head(trainer) == 1


def test_it_keeps_the_chosen_speed(trainer):
    do(trainer, Start(network(steps=10_000)), Play(200.0))
    time.sleep(0.5)
    do(trainer, Pause())
    assert 70 <= head(trainer) <= 115  # 100, on a busy machine


def test_a_rate_changed_many_times_makes_no_extra_updates():
    pace = Pace()
    made = 0
    for moment in np.arange(0.0, 1.0, 0.01):
        pace.set(2.0, moment)
        due = pace.due(moment, 1000)
        pace.made(due, moment)
        made += due
    assert 2 <= made <= 3


def test_a_worker_that_was_away_does_not_run_after_its_debts():
    pace = Pace()
    pace.set(100.0, 0.0)
    assert pace.due(60.0, 10_000) <= 12


def test_the_meter_measures_the_last_half_second():
    meter = Meter()
    for i in range(200):
        meter.mark(i * 0.01, i if i < 100 else 100 + (i - 100) * 5)
    assert meter.rate == pytest.approx(500, rel=0.05)


def test_the_gate_stops_the_worker_between_two_updates(trainer):
    do(trainer, Start(valley(steps=10_000_000), play=True))
    wait_until(lambda: head(trainer) > 100)
    trainer.gate.close()
    time.sleep(0.01)
    stood = head(trainer)
    time.sleep(0.05)
    assert head(trainer) - stood <= 1
    trainer.gate.open()
    wait_until(lambda: head(trainer) > stood + 100)


def test_an_edit_leaves_the_run_before_it_as_it_was(trainer):
    do(trainer, Start(network()), Advance(20))
    wait_until(lambda: head(trainer) == 20)
    do(trainer, Edit(SetSetting("methods[0].optimizer.lr", 0.5), at=8))
    (edited,) = events(trainer, Edited)
    assert edited.at == 8
    assert edited.before.run.state.step == 20
    assert edited.before.run.history.interventions == ()
    assert edited.after.number != edited.before.number
    assert head(trainer) == 8
    assert trainer.snapshot.current.run.experiment.methods[0].optimizer.lr == 0.5


def test_a_run_that_was_left_is_loaded_with_everything_it_had(trainer):
    do(trainer, Start(network()), Advance(20))
    wait_until(lambda: head(trainer) == 20)
    before = trainer.snapshot.current
    do(trainer, Edit(MoveTo(tuple(np.zeros(before.run.state.theta.size)))), Load(before))
    assert trainer.snapshot.current is before
    assert head(trainer) == 20
    assert not trainer.snapshot.playing


def test_a_change_that_is_not_valid_is_refused_in_words_and_training_goes_on(trainer):
    do(trainer, Start(network(steps=10_000_000), play=True))
    do(trainer, Edit(MoveTo((1.0, 2.0))))
    (notice,) = events(trainer, Notice)
    assert notice.kind == "error"
    assert isinstance(notice.about, Edit)
    assert trainer.snapshot.playing
    went = head(trainer)
    wait_until(lambda: head(trainer) > went)


class Trap:
    """An objective that raises at the n-th evaluation."""

    def __init__(self, objective, evaluations: int) -> None:
        self._objective, self._left = objective, evaluations
        self.size = objective.size

    def __getattr__(self, name):
        return getattr(self._objective, name)

    def value_and_gradient(self, theta, rows=None):
        self._left -= 1
        if self._left == 0:
            raise ZeroDivisionError("float division by zero")
        return self._objective.value_and_gradient(theta)


def test_an_exception_in_the_objective_becomes_a_notice_and_the_run_stands_at_its_last_good_state(trainer):
    do(trainer, Start(valley()))
    run = trainer.snapshot.current.run
    stage = run._loop.stage
    stage._value_and_gradient = Trap(run.objective, 6).value_and_gradient
    do(trainer, Play())
    wait_until(lambda: events(trainer, Notice))
    (notice,) = events(trainer, Notice)
    assert "ZeroDivisionError: float division by zero" in notice.text
    assert "Update 6 failed" in notice.text
    assert "paused at step 5" in notice.text
    assert "Traceback" in notice.detail
    assert not trainer.snapshot.playing
    assert head(trainer) == 5
    do(trainer, Advance(3))
    wait_until(lambda: head(trainer) == 8)


def test_a_run_that_stands_still_for_good_ends(trainer):
    do(trainer, Start(valley(lr=1e-30), play=True))
    wait_until(lambda: events(trainer, Stopped))
    assert events(trainer, Stopped)[0].reason == "outcome"
    assert trainer.snapshot.current.run.outcome.kind == "stuck"
    assert head(trainer) == 2
    do(trainer, Play())
    assert not trainer.snapshot.playing


def test_divergence_is_an_outcome_and_not_an_error(trainer):
    do(trainer, Start(valley(lr=1.0), play=True))
    wait_until(lambda: events(trainer, Stopped))
    assert events(trainer, Stopped)[0].reason == "outcome"
    assert not events(trainer, Notice)
    assert trainer.snapshot.current.run.outcome.kind == "diverged"
    do(trainer, Play())
    assert not trainer.snapshot.playing


def test_a_session_is_computed_up_to_where_it_was_saved(trainer):
    do(trainer, Start(network()), Advance(10))
    wait_until(lambda: head(trainer) == 10)
    do(trainer, Edit(SetSetting("problem.l2", 0.01)), Advance(15))
    wait_until(lambda: head(trainer) == 25)
    saved = trainer.snapshot.current.run
    recording = saved.recording
    do(trainer, Start(recording.experiment, recording.interventions, recording.length))
    wait_until(lambda: head(trainer) == 25)
    assert np.array_equal(trainer.snapshot.current.run.state.theta, saved.state.theta)


@pytest.mark.parametrize("state", ["idle", "playing", "slow", "gate closed", "never started"])
def test_it_ends_at_once_in_every_state(state):
    worker = Trainer(Gate())
    if state != "never started":
        worker.start()
        do(worker, Start(valley(steps=10_000_000)))
    if state in ("playing", "gate closed"):
        worker.post(Play())
    if state == "slow":
        worker.post(Play(1.0))
    if state == "gate closed":
        worker.gate.close()
    time.sleep(0.02)
    began = time.perf_counter()
    assert worker.close()
    assert time.perf_counter() - began < 0.5
    assert not worker.isRunning()
