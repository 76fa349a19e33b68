"""The model: the cursor on the log, and who is told what."""

from __future__ import annotations

import pytest
from laboratory import network

from nnopt.runs.run import Run
from nnopt_gui.state.model import AppModel


@pytest.fixture
def model() -> AppModel:
    result = AppModel()
    run = Run(network())
    run.advance(20)
    result.set_run(1, run)
    return result


class Count:
    """How often a signal was emitted."""

    def __init__(self, signal) -> None:
        self.times = 0
        signal.connect(self._hear)

    def _hear(self, *_args) -> None:
        self.times += 1


def test_a_new_run_is_shown_at_its_newest_step(model):
    assert (model.length, model.cursor, model.following) == (21, 20, True)


def test_a_followed_head_moves_the_cursor(model):
    model.run.advance(5)
    model.set_length(model.history.length)
    assert model.cursor == 25


def test_a_cursor_in_the_past_stays_where_it_is(model):
    model.seek(3)
    model.run.advance(5)
    model.set_length(model.history.length)
    assert (model.cursor, model.following) == (3, False)


@pytest.mark.parametrize(("wanted", "found"), [(-5, 0), (0, 0), (7, 7), (20, 20), (99, 20)])
def test_seeking_stays_within_what_is_known(model, wanted, found):
    model.seek(wanted)
    assert model.cursor == found
    assert model.following == (found == 20)


def test_only_changes_are_told(model):
    count = Count(model.cursor_changed)
    model.seek(4)
    model.seek(4)
    assert count.times == 1
    played = Count(model.playing_changed)
    model.set_playing(True)
    model.set_playing(True)
    assert played.times == 1


def test_choices_are_replaced_not_changed(model):
    before = model.choices
    model.choose("slice.direction", "newton")
    assert dict(before) == {}
    assert model.choices["slice.direction"] == "newton"


def test_a_move_of_the_cursor_ends_the_drag_of_the_point(model):
    model.set_probe(model.run.state.theta)
    model.seek(2)
    assert model.probe is None


def test_the_experiment_is_the_one_in_force_at_the_cursor(model):
    from nnopt.runs.changes import SetSetting

    run = model.run.fork(10)
    run.intervene(SetSetting("methods[0].optimizer.lr", 0.5))
    run.advance(5)
    model.set_run(2, run)
    assert model.experiment.methods[0].optimizer.lr == 0.5
    model.seek(9)
    assert model.experiment.methods[0].optimizer.lr == 0.1
