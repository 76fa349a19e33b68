"""The controller without a window: what every intent does to model, worker and panels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from laboratory import network, valley

from nnopt_gui.panels.base import Intent, Picture
from nnopt_gui.shell.controller import Controller
from nnopt_gui.state.view import View


class FakePanel:
    """A panel behind the protocol: remembers what it was shown."""

    def __init__(self, name: str = "fake") -> None:
        self.id = self.title = name
        self.shown: list[View] = []
        self.drawn: list[tuple[View, Any]] = []
        self.visible = True
        self.parts: list[Any] = ["coarse", "fine"]
        self.raises: Exception | None = None

    def is_shown(self) -> bool:
        return self.visible

    def show_view(self, view: View) -> None:
        if self.raises is not None:
            raise self.raises
        self.shown.append(view)

    def picture(self, view: View) -> Picture | None:
        return Picture((view.place, self.id), lambda: iter(self.parts))

    def draw(self, view: View, result: Any) -> None:
        self.drawn.append((view, result))


@dataclass
class Laboratory:
    controller: Controller
    panel: FakePanel
    notices: list[tuple[str, str, str]]

    @property
    def model(self):
        return self.controller.model

    def frames(self, done=None, seconds: float = 5.0) -> None:
        """Frames until `done` (or until the worker has answered everything and nothing moves)."""
        end = time.monotonic() + seconds
        while True:
            self.controller.frame()
            if (done or (lambda: self.controller.idle))():
                self.controller.frame()
                return
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.001)

    def to(self, step: int) -> None:
        """Train up to a step."""
        self.controller.transport.step(step - self.model.head)
        self.frames(lambda: self.model.head == step and self.controller.idle)

    def say(self, kind: str, **values: Any) -> None:
        self.controller.on_intent(Intent(kind, values))


@pytest.fixture
def lab(qapp) -> Iterator[Laboratory]:
    controller = Controller()
    panel = FakePanel()
    controller.stage.add(panel)
    notices: list[tuple[str, str, str]] = []
    controller.model.notice.connect(lambda *what: notices.append(what))
    controller.trainer.start()
    controller.analyst.start()
    result = Laboratory(controller, panel, notices)
    controller.editing.start(network(), "first")
    result.frames(lambda: controller.model.run is not None)
    yield result
    assert controller.close()


# ------------------------------------------------------------------------------------------------ playing and stepping


def test_play_trains_and_pause_stops(lab):
    lab.controller.transport.play()
    assert lab.model.playing
    lab.frames(lambda: lab.model.head > 20)
    lab.controller.transport.pause()
    lab.frames()
    head = lab.model.head
    time.sleep(0.02)
    lab.controller.frame()
    assert lab.model.head == head
    assert not lab.model.playing


def test_a_step_forward_at_the_head_is_one_update(lab):
    lab.controller.transport.step(1)
    lab.frames(lambda: lab.model.cursor == 1)
    assert lab.model.head == 1


def test_a_step_back_moves_the_cursor_only(lab):
    lab.to(10)
    lab.controller.transport.step(-1)
    assert (lab.model.cursor, lab.model.head) == (9, 10)
    lab.controller.transport.step(1)
    lab.frames()
    assert (lab.model.cursor, lab.model.head) == (10, 10)


def test_ten_steps_forward_across_the_head_make_what_is_missing(lab):
    lab.to(10)
    lab.controller.transport.seek(4)
    lab.controller.transport.step(10)
    lab.frames(lambda: lab.model.head == 14)
    assert lab.model.cursor == 14


def test_home_and_end(lab):
    lab.to(10)
    lab.controller.transport.home()
    assert lab.model.cursor == 0
    lab.controller.transport.end()
    assert lab.model.cursor == 10


def test_stepping_while_playing_pauses(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 20)
    lab.controller.transport.step(-1)
    lab.frames()
    assert not lab.model.playing
    assert lab.model.cursor < lab.model.head or not lab.model.following


def test_play_from_the_past_shows_the_recorded_log_and_then_trains_on(lab):
    lab.to(30)
    lab.controller.transport.seek(5)
    lab.controller.transport.set_speed(100.0)
    lab.panel.shown.clear()
    lab.controller.transport.play()
    for _ in range(10):
        lab.controller.frame(0.016)
    assert lab.controller.transport.replaying
    assert 5 < lab.model.cursor < 30
    assert lab.model.head == 30
    lab.frames(lambda: lab.model.head > 32)
    assert lab.model.following
    assert sorted({view.cursor for view in lab.panel.shown}) == [view.cursor for view in lab.panel.shown]


def test_flat_out_from_the_past_jumps_to_the_head(lab):
    lab.to(30)
    lab.controller.transport.seek(5)
    lab.controller.transport.set_speed(None)
    lab.controller.transport.play()
    assert lab.model.cursor >= 30
    lab.frames(lambda: lab.model.head > 30)


def test_scrubbing_while_training_stops_it(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 20)
    lab.controller.transport.seek(3)
    lab.frames()
    assert (lab.model.cursor, lab.model.playing) == (3, False)


def test_it_pauses_at_the_budget_says_so_and_play_extends_it(lab):
    lab.controller.transport.play()
    lab.frames(lambda: not lab.model.playing)
    assert lab.model.head == 500
    assert "500 updates are made" in lab.notices[-1][1]
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 500)
    assert lab.model.limit == 1000
    assert lab.model.history.interventions == ()


def test_a_diverged_run_says_why_and_play_says_what_to_do(lab):
    lab.controller.editing.start(valley(lr=1.0), "too fast", play=True)
    lab.frames(lambda: lab.notices)
    assert lab.notices[0][0] == "warning"
    assert "diverged at step" in lab.notices[0][1]
    lab.controller.transport.play()
    assert "start again" in lab.notices[-1][1]
    assert not lab.model.playing


# --------------------------------------------------------------------------------------------------- edits, new runs


def test_a_setting_of_the_method_is_an_intervention_at_the_cursor(lab):
    lab.to(10)
    lab.controller.editing.set("methods[0].optimizer.lr", 0.5)
    lab.frames(lambda: lab.model.history.interventions)
    assert lab.model.history.interventions[0].step == 10
    assert lab.model.head == 10
    assert lab.controller.undo_list.undo_label == "learning rate 0.1 → 0.5"


def test_an_edit_in_the_past_replaces_the_future_and_undo_brings_it_back(lab):
    lab.to(30)
    before = lab.model.run
    lab.controller.transport.seek(12)
    lab.controller.editing.set("problem.l2", 0.01)
    lab.frames(lambda: lab.model.run is not before)
    assert lab.model.head == 12
    lab.to(20)
    lab.controller.editing.undo()
    lab.frames(lambda: lab.model.run is before)
    assert (lab.model.head, lab.model.cursor) == (30, 12)
    lab.controller.editing.redo()
    lab.frames(lambda: lab.model.run is not before)
    assert (lab.model.head, lab.model.cursor) == (20, 20)
    assert lab.model.experiment.problem.l2 == 0.01


@pytest.mark.parametrize(
    ("path", "value"),
    [("seed", 7), ("problem.validation", 0.2), ("problem.network.hidden", (5,)), ("problem.loss", "squared_error")],
)
def test_what_a_run_starts_from_makes_a_new_run_and_undo_brings_the_old_one_back(lab, path, value):
    from nnopt.runs.experiment import get_path

    lab.to(15)
    before = lab.model.run
    lab.controller.editing.set(path, value)
    lab.frames(lambda: lab.model.run is not before)
    assert lab.model.head == 0
    assert get_path(lab.model.experiment, path) == value
    lab.controller.editing.undo()
    lab.frames(lambda: lab.model.run is before)
    assert lab.model.head == 15


def test_a_new_run_goes_on_playing_if_the_old_one_did(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 20)
    number = lab.model.number
    lab.controller.editing.reseed(9)
    lab.frames(lambda: lab.model.number != number and lab.model.head > 20)
    assert lab.model.playing
    assert lab.model.experiment.seed == 9


def test_a_new_seed_differs_and_a_reset_does_not(lab):
    lab.to(10)
    seed = lab.model.experiment.seed
    first = lab.model.history.seek(0).theta
    number = lab.model.number
    lab.controller.editing.reset()
    lab.frames(lambda: lab.model.number != number)
    assert lab.model.head == 0
    assert np.array_equal(lab.model.history.seek(0).theta, first)
    lab.controller.editing.reseed()
    lab.frames(lambda: lab.model.experiment.seed != seed)
    assert not np.array_equal(lab.model.history.seek(0).theta, first)


def test_a_dragged_point_is_a_probe_until_it_is_let_go(lab):
    lab.to(5)
    theta = np.zeros(lab.model.run.state.theta.size)
    lab.say("probe", theta=theta)
    lab.controller.frame()
    assert lab.panel.shown[-1].probe
    assert np.array_equal(lab.panel.shown[-1].state.theta, theta)
    assert not np.array_equal(lab.model.run.state.theta, theta)
    lab.say("move_to", theta=theta)
    lab.frames(lambda: lab.model.history.interventions)
    assert np.array_equal(lab.model.run.state.theta, theta)
    assert not lab.panel.shown[-1].probe


def test_dragging_while_it_plays_pauses(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 5)
    lab.say("probe", theta=np.zeros(lab.model.run.state.theta.size))
    assert not lab.model.playing


def test_a_drag_given_up_changes_nothing(lab):
    lab.to(5)
    lab.say("probe", theta=np.zeros(lab.model.run.state.theta.size))
    lab.say("probe", theta=None)
    lab.frames()
    assert not lab.panel.shown[-1].probe
    assert lab.model.history.interventions == ()


def test_examples_are_added_moved_and_removed_and_all_of_it_is_undone(lab):
    examples = lab.model.history.problem.dataset.n
    lab.say("add_example", x=(0.5, -0.5), y=1)
    lab.frames(lambda: lab.model.history.problem.dataset.n == examples + 1)
    lab.say("move_example", index=3, x=np.array([1.0, 2.0]))
    lab.frames(lambda: tuple(lab.model.history.problem.dataset.X[3]) == (1.0, 2.0))
    lab.say("remove_example", index=3)
    lab.frames(lambda: lab.model.history.problem.dataset.n == examples)
    for _ in range(3):
        lab.controller.editing.undo()
    lab.frames()
    assert lab.model.history.problem.dataset.n == examples
    assert lab.model.history.interventions == ()


def test_a_slider_dragged_at_one_step_leaves_one_intervention_and_one_undo(lab):
    lab.to(5)
    for value in np.linspace(0.2, 0.4, 15):
        lab.controller.editing.set("methods[0].optimizer.lr", float(value))
        lab.controller.frame()
    lab.frames(lambda: lab.model.experiment.methods[0].optimizer.lr == pytest.approx(0.4))
    assert len(lab.model.history.interventions) == 1
    lab.controller.editing.undo()
    lab.frames(lambda: lab.model.experiment.methods[0].optimizer.lr == 0.1)
    assert lab.model.history.interventions == ()


def test_a_slider_dragged_while_it_plays_is_one_undo(lab):
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 5)
    for value in np.linspace(0.2, 0.4, 5):
        lab.controller.editing.set("methods[0].optimizer.lr", float(value))
        for _ in range(3):
            lab.controller.frame()
            time.sleep(0.005)
    lab.controller.transport.pause()
    lab.frames(lambda: lab.model.experiment.methods[0].optimizer.lr == pytest.approx(0.4) and lab.controller.idle)
    lab.controller.editing.undo()
    lab.frames()
    assert lab.model.history.interventions == ()


def test_undo_right_after_an_edit_undoes_that_edit(lab):
    lab.to(5)
    lab.controller.editing.set("problem.l2", 0.5)
    lab.controller.editing.undo()
    lab.frames()
    assert lab.model.experiment.problem.l2 == 0.0


def test_an_edit_that_is_not_valid_is_said_and_changes_nothing(lab):
    number = lab.model.number
    lab.controller.editing.set("methods[0].optimizer.lr", -1.0)
    lab.controller.editing.set("problem.network.activation", "sinus")
    lab.frames()
    assert len(lab.notices) == 2
    assert all(kind == "error" for kind, _, _ in lab.notices)
    assert lab.model.number == number


def test_the_budget_can_be_set_and_that_can_be_undone(lab):
    lab.controller.editing.set("steps", 50)
    lab.controller.transport.play()
    lab.frames(lambda: not lab.model.playing)
    assert lab.model.head == 50
    lab.controller.editing.undo()
    lab.frames()
    assert lab.model.limit == 500


def test_an_undone_run_beyond_the_memory_budget_is_replayed(lab):
    lab.controller.undo_list._budget = 0
    lab.to(25)
    theta = lab.model.run.state.theta
    lab.controller.editing.reseed(5)
    lab.frames(lambda: lab.model.experiment.seed == 5)
    lab.controller.editing.undo()
    lab.frames(lambda: lab.model.head == 25 and lab.model.experiment.seed == 1)
    assert np.array_equal(lab.model.run.state.theta, theta)
    lab.controller.editing.redo()
    lab.frames(lambda: lab.model.experiment.seed == 5)


# ------------------------------------------------------------------------------------------------------------- panels


def test_a_panel_is_shown_the_view_at_the_cursor_and_its_pictures(lab):
    lab.to(10)
    lab.controller.transport.seek(4)
    lab.frames(lambda: lab.controller.stage.settled)
    view = lab.panel.shown[-1]
    assert (view.cursor, view.state.step, view.length) == (4, 4, 11)
    assert np.array_equal(view.state.theta, lab.model.history.seek(4).theta)
    assert lab.panel.drawn[-1][0].cursor == 4
    assert lab.panel.drawn[-1][1] == "fine"


def test_nothing_is_drawn_when_nothing_changed(lab):
    lab.frames(lambda: lab.controller.stage.settled)
    lab.panel.shown.clear()
    for _ in range(5):
        lab.controller.frame()
    assert lab.panel.shown == []


def test_a_hidden_panel_is_not_drawn_and_asks_for_nothing_until_it_is_shown(lab):
    lab.panel.visible = False
    lab.frames()
    lab.panel.shown.clear()
    lab.panel.drawn.clear()
    lab.to(5)
    assert lab.panel.shown == []
    assert lab.panel.drawn == []
    lab.panel.visible = True
    lab.frames(lambda: lab.controller.stage.settled)
    assert [view.cursor for view in lab.panel.shown] == [5]


def test_a_failing_panel_or_picture_is_one_notice_and_the_others_go_on(lab):
    other = FakePanel("other")
    lab.controller.stage.add(other)
    lab.panel.raises = ValueError("no picture today")
    lab.to(1)
    lab.to(2)
    said = [text for kind, text, _ in lab.notices if kind == "error"]
    assert said == ["fake: ValueError: no picture today"]
    assert other.shown[-1].cursor == 2

    def broken() -> Iterator[Any]:
        raise FloatingPointError("overflow")
        yield

    other.parts = broken()
    lab.to(3)
    lab.frames(lambda: len(lab.notices) == 2)
    assert lab.notices[-1][1] == "other: FloatingPointError: overflow"


def test_while_playing_panels_take_turns_but_all_are_up_to_date_when_it_stops(lab):
    slow = [FakePanel(f"slow {i}") for i in range(4)]
    for panel in slow:
        panel.show_view = lambda view, panel=panel: (time.sleep(0.003), panel.shown.append(view))
        lab.controller.stage.add(panel)
    lab.controller.transport.play()
    lab.frames(lambda: lab.model.head > 100)
    assert all(panel.shown for panel in slow)
    lab.controller.transport.pause()
    lab.frames(lambda: lab.controller.idle and lab.controller.stage.settled)
    assert {panel.shown[-1].cursor for panel in slow} == {lab.model.head}


def test_the_panel_in_which_a_point_is_dragged_draws_in_every_frame(lab):
    lab.to(5)
    slow = [FakePanel(f"slow {i}") for i in range(4)]
    for panel in slow:
        panel.show_view = lambda view, panel=panel: (time.sleep(0.01), panel.shown.append(view))
        lab.controller.stage.add(panel)
    lab.frames(lambda: lab.controller.stage.settled)
    theta = np.zeros(lab.model.run.state.theta.size)
    lab.panel.shown.clear()
    for i in range(6):
        lab.controller.on_intent(Intent("probe", {"theta": theta + i}), "fake")
        lab.controller.frame()
        lab.controller._painted()
    assert [view.state.theta[0] for view in lab.panel.shown] == [0, 1, 2, 3, 4, 5]
    lab.say("probe", theta=None)
    lab.frames(lambda: lab.controller.stage.settled)
    assert {panel.shown[-1].probe for panel in slow} == {False}


def test_a_long_replay_is_left_to_the_analyst(lab):
    lab.to(40)
    lab.controller.stage._seconds = lambda: 10.0  # every update counts as slow
    history = lab.model.history
    history._ring = [None] * len(history._ring)
    history._memory = type(history._memory)(keyframes=0)
    history.seek_cost = lambda step: 5
    lab.controller.transport.seek(17)
    lab.frames(lambda: lab.panel.shown[-1].cursor == 17)
    assert np.array_equal(lab.panel.shown[-1].state.theta, history.seek(17).theta)


def test_choices_and_selection_reach_the_panels(lab):
    lab.say("choose", name="fake.direction", value="newton")
    lab.say("select", index=3)
    lab.controller.frame()
    assert lab.panel.shown[-1].choice("fake.direction") == "newton"
    assert lab.panel.shown[-1].selection == 3


def test_a_panel_can_seek(lab):
    lab.to(8)
    lab.say("seek", step=2)
    assert lab.model.cursor == 2


def test_plateaus_are_those_of_the_whole_run(lab):
    from nnopt.analysis.plateaus import find_plateaus
    from nnopt.runs.experiment import default_experiment

    lab.controller.editing.start(default_experiment(), "circles")
    lab.frames(lambda: lab.model.experiment.seed == 42)
    lab.to(300)
    expected = tuple(find_plateaus(lab.model.history.columns["loss"]))
    assert expected[0].escaped
    lab.frames(lambda: lab.model.plateaus == expected)


def test_the_gate_is_open_again_after_every_frame(lab, qtbot):
    lab.to(3)
    qtbot.waitUntil(lambda: not lab.controller.gate.closed)
