"""The trail in the landscape: which steps it has, where they lie, what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from landscape_views import function_run, network_run, opened, view_of

from nnopt import optimizers
from nnopt.runs.changes import Intervention, MoveTo
from nnopt_gui.panels.landscape import LandscapePanel
from nnopt_gui.panels.landscape_trail import LAST, LiveTrail, sample_trail, trail_steps
from nnopt_gui.panels.slice_model import Past


def test_the_path_plane_says_how_much_of_the_path_it_holds(qtbot: Any) -> None:
    run = network_run(steps=60)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, choices={"landscape.plane": "pca"}))
    past = sample_trail(run.history, run.history.objective, 60, whole=True)
    away = past.thetas - past.thetas.mean(axis=0)
    frame = panel.scene.frame
    assert frame is not None
    held = np.sum((away @ frame.directions.T) ** 2) / np.sum(away**2)
    assert frame.explained == pytest.approx(held, rel=1e-9)
    assert "of the path" in panel.readout.text


@pytest.mark.parametrize("network", [False, True])
def test_the_trail_is_projected_and_says_true_loss_and_distance(qtbot: Any, network: bool) -> None:
    run = network_run(steps=30) if network else function_run("rosenbrock", None, optimizers.get("sgd")(lr=1e-3))
    if not network:
        run.advance(30)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    scene, frame = panel.scene, panel.scene.frame
    assert frame is not None
    i = len(scene.hover.places) - 8
    step = int(scene.hover.past.steps[i])
    theta = run.history.seek(step).theta
    np.testing.assert_allclose(scene.hover.places[i], frame.place(theta), atol=1e-12)
    off = np.linalg.norm(theta - frame.point(*frame.place(theta)))
    assert scene.hover.away[i] == pytest.approx(off, abs=1e-12)
    assert scene.hover.hover(*scene.hover.places[i]) is not None
    scene.hover.hovered = i
    words = scene.hover.labels()[0].text
    assert words.startswith(f"step {step}: loss {run.history.objective.value(theta):.4g}"[:14])
    assert ("off this plane" in words) == network


def test_a_moved_point_begins_a_new_trail() -> None:
    run = network_run(steps=20)
    run.intervene(MoveTo(tuple(run.state.theta + 0.5)))
    run.advance(5)
    assert isinstance(run.history.interventions[0], Intervention)
    past = sample_trail(run.history, run.history.objective, 25, whole=False)
    assert past.steps.tolist() == [20, 21, 22, 23, 24, 25]


def test_a_trail_has_the_last_steps_and_fewer_of_the_earlier_ones() -> None:
    assert trail_steps(5, whole=False) == [0, 1, 2, 3, 4, 5]
    for whole in (False, True):
        steps = trail_steps(1_000_000, whole)
        assert steps[-LAST - 1 :] == list(range(1_000_000 - LAST, 1_000_001))
        assert len(steps) < 130
        assert steps[0] == 0 or not whole
    run = network_run(steps=3000)
    past = sample_trail(run.history, run.history.objective, 3000, whole=True)
    for i in (0, len(past.steps) // 2, -1):
        np.testing.assert_array_equal(past.thetas[i], run.history.seek(int(past.steps[i])).theta)


def test_the_live_trail_is_bounded_and_knows_only_what_lies_before_the_cursor() -> None:
    trail = LiveTrail(room=50)
    trail.take(Past(np.arange(10), np.zeros((10, 2)), np.zeros(10)))
    for step in range(5, 400):
        trail.see(step, np.full(2, float(step)))
    known = trail.until(400)
    assert known.steps[-1] == 399
    assert len(known.steps) <= 60
    assert (np.diff(known.steps) > 0).all()
    assert trail.until(7).steps.tolist() == list(range(8))
    trail.see(380, np.zeros(2))
    assert trail.until(1000).steps[-1] == 380
