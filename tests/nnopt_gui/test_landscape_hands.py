"""The landscape is clicked and its point dragged with a mouse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from landscape_views import click, drag, function_run, mouse, network_run, of_kind, opened, pixel, place, show, view_of
from PySide6.QtCore import QPointF

from nnopt_gui.panels.landscape import LandscapePanel


def test_a_click_starts_the_run_at_that_place_of_the_function(qtbot: Any) -> None:
    run = function_run("himmelblau")
    panel = LandscapePanel()
    intents = opened(qtbot, panel, view_of(run))
    at = pixel(panel.plot, -2.0, 3.5)
    click(panel.plot, at)
    moves = of_kind(intents, "move_to")
    assert len(moves) == 1
    np.testing.assert_allclose(moves[0].values["theta"], place(panel.plot, at), atol=1e-9)
    np.testing.assert_allclose(moves[0].values["theta"], (-2.0, 3.5), atol=0.05)


def test_a_click_starts_the_run_at_that_place_of_the_plane_for_networks_too(qtbot: Any) -> None:
    run = network_run(steps=40)
    panel = LandscapePanel()
    intents = opened(qtbot, panel, view_of(run))
    a0, a1, b0, b1 = panel.scene.visible()
    at = pixel(panel.plot, a0 + 0.8 * (a1 - a0), b0 + 0.3 * (b1 - b0))
    click(panel.plot, at)
    frame = panel.scene.frame
    assert frame is not None
    a, b = place(panel.plot, at)
    np.testing.assert_allclose(
        of_kind(intents, "move_to")[0].values["theta"], frame.origin + a * frame.d1 + b * frame.d2
    )


@pytest.mark.parametrize("network", [False, True])
def test_dragging_the_point_probes_and_moves_there(qtbot: Any, network: bool) -> None:
    run = network_run(steps=40) if network else function_run("himmelblau", (1.0, 1.0))
    panel = LandscapePanel()
    intents = opened(qtbot, panel, view_of(run))
    scene = panel.scene
    before = None if scene.values is None else scene.values.copy()
    assert scene.point.position is not None
    start = pixel(panel.plot, *scene.point.position)
    stops = [start + QPointF(15, 3), start + QPointF(50, -20)]
    drag(panel.plot, start, *stops, release=False)
    theta = of_kind(intents, "probe")[-1].values["theta"]
    frame, local = scene.frame, scene.local
    assert frame is not None
    assert local is not None
    np.testing.assert_allclose(frame.place(theta), place(panel.plot, stops[-1]), atol=1e-9)
    # model and steps follow the mouse; the map stays
    np.testing.assert_allclose(local.theta, theta)
    np.testing.assert_allclose(
        local.model.gradient, frame.directions @ run.history.objective.gradient(theta), rtol=1e-9
    )
    show(panel, view_of(run, probe=theta))
    np.testing.assert_array_equal(scene.values, before)
    mouse(panel.plot, "release", stops[-1])
    np.testing.assert_allclose(of_kind(intents, "move_to")[-1].values["theta"], theta)


def test_a_point_dragged_in_another_panel_moves_over_the_same_map(qtbot: Any) -> None:
    run = network_run(steps=40)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    frame, values = panel.scene.frame, panel.scene.values
    assert frame is not None
    away = frame.point(0.3, 0.1) + 0.2 * np.eye(run.state.theta.size)[0]
    show(panel, view_of(run, probe=away))
    assert panel.scene.frame is frame
    assert panel.scene.values is values
    assert panel.scene.local is not None
    np.testing.assert_allclose(panel.scene.local.place, frame.place(away))
    assert panel.scene.local.value == pytest.approx(run.history.objective.value(away))


def test_a_probe_that_leaves_the_map_gets_a_map_around_it_and_one_inside_does_not(qtbot: Any) -> None:
    run = network_run(steps=40)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    frame, home = panel.scene.frame, panel.scene.home
    assert frame is not None
    assert home is not None
    wide = home[1] - home[0]
    show(panel, view_of(run, probe=frame.point(0.1 * wide, 0.0)))
    assert panel.scene.home == home
    far = frame.point(3 * wide, 0.0)
    show(panel, view_of(run, probe=far))
    assert panel.scene.home is not None
    assert panel.scene.home[0] < 3 * wide < panel.scene.home[1]
    assert panel.scene.point.position == pytest.approx(frame.place(far))
