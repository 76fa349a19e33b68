"""The controller and its panels: what they are shown, when they draw, what they ask for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from controller_laboratory import FakePanel

from nnopt_gui.panels.base import Intent, Picture
from nnopt_gui.shell.controller import FRAME_MS, IDLE_MS


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


def test_while_playing_all_panels_are_brought_to_one_step_before_the_next_is_begun(lab):
    others = [FakePanel(f"other {i}") for i in range(3)]
    for panel in others:
        panel.show_view = lambda view, panel=panel: (time.sleep(0.004), panel.shown.append(view))
        lab.controller.stage.add(panel)
    lab.controller.transport.play()
    lab.frames(lambda: sum(view.playing for view in lab.panel.shown) > 4)
    lab.controller.transport.pause()
    lab.frames(lambda: lab.controller.idle and lab.controller.stage.settled)
    steps = [[view.cursor for view in panel.shown if view.playing] for panel in (lab.panel, *others)]
    assert len(steps[0]) > 3
    assert all(one[:-1] == steps[0][: len(one) - 1] for one in steps)


def test_a_quick_picture_is_computed_with_the_frame_while_it_plays_and_by_the_analyst_on_pause(lab):
    threads = []

    def compute() -> Iterator[str]:
        threads.append(threading.current_thread())
        yield "coarse"
        threads.append(threading.current_thread())
        yield "fine"

    lab.panel.picture = lambda view: Picture((view.place, view.playing), compute, instant=True)
    lab.controller.transport.play()
    lab.frames(lambda: len(lab.panel.drawn) > 5)
    played = [(view.cursor, result) for view, result in lab.panel.drawn if view.playing]
    assert {result for _, result in played} == {"coarse"}
    assert [cursor for cursor, _ in played] == [view.cursor for view in lab.panel.shown if view.playing][: len(played)]
    lab.controller.transport.pause()
    lab.frames(lambda: lab.controller.idle and lab.controller.stage.settled)
    assert lab.panel.drawn[-1][1] == "fine"
    assert threads[-1] is not threading.main_thread()


def test_heavy_work_of_a_panel_does_not_keep_it_from_showing_quick_work(lab):
    go = threading.Event()

    def slow() -> Iterator[str]:
        assert go.wait(5.0)
        yield "exact"

    heavy = True
    lab.panel.picture = lambda view: (
        Picture(("slow", view.place), slow, heavy=True)
        if heavy
        else Picture(("quick", view.place), lambda: iter(["q"]))
    )
    lab.to(3)
    heavy = False
    lab.to(5)
    lab.frames(lambda: lab.panel.drawn and lab.panel.drawn[-1][1] == "q")
    go.set()
    lab.frames(lambda: lab.controller.stage.settled)
    assert lab.panel.drawn[-1][1] == "q"


def test_while_nothing_changes_there_are_hardly_any_frames_until_something_does(lab, qtbot):
    controller = lab.controller
    lab.frames(lambda: controller.stage.settled)
    controller._timer.start()
    qtbot.waitUntil(lambda: controller._timer.interval() == IDLE_MS)
    frames = []
    controller.framed.connect(frames.append)
    qtbot.wait(int(1.5 * IDLE_MS))
    assert len(frames) <= 2
    for change in (
        lambda: lab.model.choose("fake.direction", "newton"),
        lambda: controller.transport.step(1),  # the worker tells that it has made it
        lambda: controller.transport.seek(0),
    ):
        qtbot.waitUntil(lambda: controller._timer.interval() == IDLE_MS)
        shown = len(lab.panel.shown)
        change()
        qtbot.waitUntil(lambda: controller._timer.interval() == FRAME_MS)
        qtbot.waitUntil(lambda shown=shown: len(lab.panel.shown) > shown)
    controller._timer.stop()


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
    from nnopt.analysis.plateau_tracker import plateaus_of
    from nnopt.runs.experiment import default_experiment

    lab.controller.editing.start(default_experiment(), "circles")
    lab.frames(lambda: lab.model.experiment.seed == 42)
    lab.to(300)
    expected = plateaus_of(lab.model.history)
    assert expected[0].escaped
    lab.frames(lambda: lab.model.plateaus == expected)


def test_the_gate_is_open_again_after_every_frame(lab, qtbot):
    lab.to(3)
    qtbot.waitUntil(lambda: not lab.controller.gate.closed)
