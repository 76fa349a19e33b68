"""While a run plays point, steps and sentence are of one step; what is shown of the model can be chosen."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from landscape_views import function_run, network_run, opened, show, view_of
from PySide6.QtCore import SIGNAL, QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from nnopt.runs.run import Run
from nnopt_gui.panels import landscape
from nnopt_gui.panels.base import Panel
from nnopt_gui.panels.boundary import BoundaryPanel
from nnopt_gui.panels.landscape import LandscapePanel
from nnopt_gui.panels.loss_curves import LossPanel
from nnopt_gui.panels.slice import SlicePanel
from nnopt_gui.panels.slice_model import Curve, Local, trusted
from nnopt_gui.panels.this_step import StepPanel
from nnopt_gui.widgets import theme


@pytest.fixture
def run() -> Run:
    return network_run(steps=40)


def at_tail(panel: LandscapePanel) -> bool:
    """Whether both arrows start at the blue point."""
    point = panel.scene.point.position
    assert point is not None
    found = [arrow._ends for arrow in (panel.scene.gradient, panel.scene.newton)]
    return all(ends is not None and np.allclose(ends[:2], point) for ends in found)


@pytest.mark.parametrize("live", [True, False])
def test_while_it_plays_arrows_start_at_the_point(qtbot: Any, run: Run, live: bool, monkeypatch: Any) -> None:
    if not live:
        monkeypatch.setattr(landscape, "LIVE", 0)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, 20, playing=True))
    assert at_tail(panel)
    panel.show_view(view_of(run, 30, playing=True))
    assert at_tail(panel)
    # what takes long comes with the next picture
    expected = 30 if live else 20
    assert panel.scene.local is not None
    np.testing.assert_array_equal(panel.scene.local.theta, run.history.seek(expected).theta)
    if live:
        qtbot.waitUntil(lambda: "that of step 20" in panel.readout.text)  # a sentence stands for a moment
    else:
        assert "that of step 20" not in panel.readout.text


def test_a_kept_plane_says_so_and_a_fresh_one_how_much_it_holds(qtbot: Any, run: Run) -> None:
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, 20, playing=True))
    panel.show_view(view_of(run, 33, playing=True))
    qtbot.waitUntil(lambda: "The plane is that of step 20." in panel.readout.text)
    show(panel, view_of(run, 33))
    assert "that of step" not in panel.readout.text


def test_after_a_jump_while_it_plays_the_map_is_cut_anew_where_the_point_is(qtbot: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(landscape, "PACE", 0.0)
    monkeypatch.setattr(landscape, "JUMP", 0.2)
    long = network_run(steps=600)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(long, 600))
    show(panel, view_of(long, 0, playing=True))
    scene = panel.scene
    assert scene.frame is not None
    assert scene.frame.step == 0
    assert not scene.beyond(long.history.seek(0).theta, 0.3)
    assert at_tail(panel)


def test_the_boxes_hide_model_and_contours_in_map_and_slice(qtbot: Any, run: Run) -> None:
    choices = {"landscape.model": False, "landscape.contours": False}
    panel, cut = LandscapePanel(), SlicePanel()
    for shown in (panel, cut):
        opened(qtbot, shown, view_of(run, choices=choices))
    assert not panel.scene.model.isVisible()
    assert not panel.scene.lowest.isVisible()
    assert not panel.scene.contours.isVisible()
    assert not cut.scene.model.isVisible()
    assert "quadratic model" not in [entry.text for entry in panel.plot.legend.entries + cut.plot.legend.entries]
    for shown in (panel, cut):
        show(shown, view_of(run))
    assert panel.scene.model.isVisible()
    assert panel.scene.contours.isVisible()
    assert cut.scene.model.isVisible()
    assert [option.name for option in LandscapePanel.options] == ["model", "contours", "trust"]


def test_the_region_of_trust_ends_where_the_model_is_off_by_ten_percent(qtbot: Any) -> None:
    panel = LandscapePanel()
    view = view_of(function_run("himmelblau", (1.0, 1.0)), choices={"landscape.trust": True})
    opened(qtbot, panel, view)
    scene = panel.scene
    x, y = scene.trust.getData()
    known = np.isfinite(x)
    assert known.sum() > 20
    assert scene.local is not None
    places = np.column_stack([x[known], y[known]])
    predicted, true = scene.local.model(places - scene.local.place), view.objective.values(places)
    ratio = np.abs(predicted - true) / true
    assert 0.05 < np.median(ratio) < 0.2  # between two points of the grid
    show(panel, view_of(function_run("himmelblau", (1.0, 1.0))))
    assert len(scene.trust.getData()[0] if scene.trust.getData()[0] is not None else ()) == 0


def test_on_a_slice_the_model_of_a_parabola_holds_everywhere_and_of_a_cubic_near_the_point(qtbot: Any) -> None:
    xs = np.linspace(-1, 1, 201)
    local = Local(0.0, 1.0, 0.0, 2.0, 0.1)
    assert trusted(Curve(xs, 1 + xs**2), local) == ((-1.0, 1.0),)
    ((low, high),) = trusted(Curve(xs, 1 + xs**2 + 2 * xs**3), local)
    for end in (low, high):
        value = 1 + end**2 + 2 * end**3
        assert abs(2 * end**3) == pytest.approx(0.1 * value, rel=0.1)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(network_run(steps=40), choices={"landscape.trust": True}))
    assert panel.scene.trust.bands
    show(panel, view_of(network_run(steps=40)))
    assert not panel.scene.trust.isVisible()


@pytest.mark.parametrize("kind", [BoundaryPanel, StepPanel, LossPanel, LandscapePanel, SlicePanel])
def test_a_panel_that_is_gone_hears_of_no_theme(styled: QApplication, kind: type[Panel]) -> None:
    def listeners() -> int:
        return theme._signals.receivers(SIGNAL("changed()"))

    before = listeners()
    panel = kind()
    assert listeners() > before
    panel.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert listeners() == before
    theme.set_mode("dark")


@pytest.mark.parametrize("far", [0.6, 1.2])
def test_the_view_follows_a_point_that_has_left_the_map_at_once(qtbot: Any, run: Run, far: float) -> None:
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, 20, playing=True))
    home, frame = panel.scene.home, panel.scene.frame
    assert home is not None
    assert frame is not None
    a, b = frame.place(run.history.seek(20).theta)
    view = view_of(run, 21, playing=True)
    theta = frame.point(a + far * (home[1] - home[0]), b)
    panel.show_view(replace(view, state=msgspec.structs.replace(view.state, theta=theta)))
    low, high = panel.scene.visible()[:2]
    assert panel.scene.point.position is not None
    assert low < panel.scene.point.position[0] < high


def test_a_point_that_was_moved_keeps_the_map_until_its_own_has_come(qtbot: Any, run: Run) -> None:
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, 20))
    before = panel.scene.values
    moved = replace(view_of(run, 20), run=view_of(run, 20).run + 1)
    panel.show_view(moved)
    assert before is not None
    assert panel.scene.values is before
    assert panel.scene.point.position is not None
