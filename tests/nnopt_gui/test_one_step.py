"""While a run plays panels show one step, the landscape one plane at a time, and no picture is waited for in vain."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from landscape_views import function_run, network_run, opened, view_of

from nnopt.optimizers import Adam
from nnopt.runs.run import Run
from nnopt_gui.engine.analyst import Analyst
from nnopt_gui.panels import landscape, slice
from nnopt_gui.panels.base import Panel
from nnopt_gui.panels.landscape import LandscapePanel
from nnopt_gui.panels.loss_curves import LossPanel
from nnopt_gui.panels.slice import SlicePanel
from nnopt_gui.shell.stage import Stage
from nnopt_gui.state.model import AppModel
from nnopt_gui.state.view import View


@pytest.fixture
def run() -> Run:
    return network_run(steps=600)


def asked(panel: Panel, view: View) -> Any:
    """What the panel asks for when it is shown a view, computed: its last part."""
    panel.show_view(view)
    picture = panel.picture(view)
    assert picture is not None
    return [part for part in picture.compute() if part is not None][-1]


def test_the_loss_curve_ends_at_the_step_that_is_shown(qtbot: Any, run: Run) -> None:
    panel = LossPanel()
    qtbot.addWidget(panel)
    panel.show_view(replace(view_of(run, 40, playing=True), length=41))  # the log is longer already
    steps, _ = panel.curves["training"].getOriginalDataset()
    assert steps[-1] == 40
    panel.show_view(replace(view_of(run, 90, playing=True), length=91))
    assert panel.curves["training"].getOriginalDataset()[0][-1] == 90


def test_a_plane_that_is_not_shown_any_more_does_not_come_back(qtbot: Any, run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(landscape, "PACE", 0.0)
    monkeypatch.setattr(landscape, "JUMP", 0.2)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, 600, playing=True))
    on_the_old_plane = asked(panel, view_of(run, 599, playing=True))
    panel._waiting = False
    jumped = view_of(run, 0, playing=True)
    on_a_new_plane = asked(panel, jumped)
    assert on_a_new_plane.plane > on_the_old_plane.plane
    old = panel.scene.frame
    panel.draw(jumped, on_a_new_plane)
    new, values = panel.scene.frame, panel.scene.values
    assert new is not None
    assert old is not None
    assert new.step == 0 != old.step
    panel.draw(view_of(run, 599, playing=True), on_the_old_plane)  # late
    assert panel.scene.frame is new
    assert panel.scene.values is values


def test_a_new_plane_comes_with_its_map(qtbot: Any, run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(landscape, "PACE", 0.0)
    monkeypatch.setattr(landscape, "JUMP", 0.2)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, 600, playing=True))
    found = asked(panel, view_of(run, 0, playing=True))
    assert found.values is not None
    assert found.extent is not None


@pytest.mark.parametrize("kind", [SlicePanel, LandscapePanel])
def test_a_view_that_was_asked_for_already_is_not_waited_for(
    qtbot: Any, run: Run, kind: type[Any], monkeypatch: Any
) -> None:
    for module in (landscape, slice):
        monkeypatch.setattr(module, "PACE" if module is landscape else "PACE_INSTANT", 0.0)
    panel = kind()
    opened(qtbot, panel, view_of(run, 20, playing=True))
    view = view_of(run, 21, playing=True)
    panel.draw(view, asked(panel, view))
    again = panel.picture(replace(view, length=view.length + 1))  # the same place: nothing new is computed for it
    assert again is panel._picture
    newer = panel.picture(view_of(run, 22, playing=True))
    assert newer is not again


def test_in_slice_and_landscape_the_point_is_that_of_the_view(qtbot: Any, run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(landscape, "PACE", 0.0)
    cut, plane = SlicePanel(), LandscapePanel()
    view = view_of(run, 51, playing=True)
    for panel in (cut, plane):
        opened(qtbot, panel, view_of(run, 50, playing=True))
        panel.draw(view, asked(panel, view))
    assert cut.scene.line is not None
    assert cut.scene.local is not None
    assert plane.scene.local is not None
    for theta in (cut.scene.line.point(cut.scene.local.x), plane.scene.local.theta):
        np.testing.assert_allclose(theta, view.state.theta, rtol=0, atol=1e-12)


def test_the_slice_of_a_function_shows_the_step_of_the_view_all_the_time(qtbot: Any, styled: Any) -> None:
    """Through the stage, as it plays: what was drawn with the view is not overwritten by an older picture."""
    stepped = function_run("rosenbrock", (-1.2, 1.0), Adam(lr=0.05))
    stepped.advance(30)
    panel = SlicePanel()
    qtbot.addWidget(panel)
    panel.show()
    model = AppModel()
    analyst = Analyst()
    stage = Stage(model, analyst, lambda: 1e-6)
    stage.add(panel)
    model.set_run(1, stepped, 0)
    model.set_playing(True)
    for step in range(3, 20):
        model.seek(step)
        stage._round = 1.0
        stage.frame(0.05, 0.9)
        assert panel.scene.line is not None
        assert panel.scene.local is not None
        theta = panel.scene.line.point(panel.scene.local.x)
        np.testing.assert_allclose(theta, stepped.history.seek(step).theta, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "choice"), [(SlicePanel, "slice.direction"), (LandscapePanel, "landscape.plane")])
def test_another_choice_is_asked_for_at_once_while_a_picture_is_on_its_way(
    qtbot: Any, run: Run, kind: type[Any], choice: str
) -> None:
    panel = kind()
    opened(qtbot, panel, view_of(run, 20, playing=True))
    waiting = view_of(run, 21, playing=True)
    panel._asked = -1e9
    panel.show_view(waiting)
    before = panel.picture(waiting)
    assert panel.picture(view_of(run, 22, playing=True)) is before
    chosen = view_of(run, 22, playing=True, choices={choice: "random"})
    panel.show_view(chosen)
    assert panel.picture(chosen) is not before
