"""The run's own step as it is drawn: in its lane, on the map, among the bars, and in the sentences of the panels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from landscape_views import function_run, opened, view_of
from test_own_step import run_of

from nnopt import optimizers
from nnopt_gui.panels.landscape import LandscapePanel
from nnopt_gui.panels.landscape_steps import steps_at
from nnopt_gui.panels.slice import SlicePanel
from nnopt_gui.panels.slice_words import own_step
from nnopt_gui.panels.this_step_bars import bars
from nnopt_gui.panels.this_step_picture import Request
from nnopt_gui.widgets.richline import plain


def adam_on_rosenbrock() -> Any:
    return view_of(function_run("rosenbrock", (-1.2, 1.0), optimizers.get("adam")(lr=0.01)))


def test_the_slice_has_a_lane_for_the_run_s_own_step_and_says_what_it_gains(qtbot: Any) -> None:
    panel = SlicePanel()
    view = adam_on_rosenbrock()
    opened(qtbot, panel, view)
    scene, steps = panel.scene, steps_at(view)
    assert steps.own is not None
    unit = -steps.gradient / np.linalg.norm(steps.gradient)
    assert scene.own.role == "own"
    assert scene.local is not None
    assert scene.local.own_step == pytest.approx(float(steps.own.step @ unit), rel=1e-12)
    assert scene.own.label.startswith("Adam step, 92")  # cos of the angle between (1, 1) and (215.6, 88)
    assert "gains 2.91" in plain(panel.readout.text)
    assert "0.0141" in plain(panel.readout.text)
    lanes = [arrow.geometry()[1].y() for arrow in (scene.gradient, scene.newton, scene.own)]
    assert len(set(lanes)) == 3
    assert max(lanes) == lanes[2]  # the shortest lies lowest
    assert scene.lands_own._at == pytest.approx((scene.local.own_step, steps.own.value))


def test_gradient_descent_keeps_two_lanes(qtbot: Any) -> None:
    panel = SlicePanel()
    opened(qtbot, panel, view_of(function_run("rosenbrock")))
    assert panel.scene.own.geometry() is None
    assert panel.scene._lanes == 2


@pytest.mark.parametrize("panel_type", [SlicePanel, LandscapePanel])
def test_the_arrows_of_a_panel_are_on_one_scale(qtbot: Any, panel_type: Any) -> None:
    panel = panel_type()
    opened(qtbot, panel, adam_on_rosenbrock())
    arrows = (panel.scene.gradient, panel.scene.newton, panel.scene.own)
    (factor,) = {arrow.magnification() for arrow in arrows}
    for arrow in arrows:
        found = arrow.geometry()
        assert found is not None
        assert found[2] == pytest.approx(factor) or found[2] < factor  # shorter only where it leaves the plot


def test_the_map_says_what_the_step_that_is_made_gains(qtbot: Any) -> None:
    panel = LandscapePanel()
    opened(qtbot, panel, adam_on_rosenbrock())
    assert plain(panel.readout.text).startswith("The Adam step gains 2.91: 24.20 → 21.29.")
    assert "Adam step" in panel.scene.own.label_text()


def test_the_trust_region_is_a_circle_on_the_scale_of_the_arrows(qtbot: Any) -> None:
    panel = LandscapePanel()
    run = function_run("himmelblau", (0.0, 0.0), optimizers.get("trust_region")(radius=0.5))
    opened(qtbot, panel, view_of(run))
    found = panel.scene.circle.circle
    assert found is not None
    centre, radius = found
    tail, tip, _ = panel.scene.own.geometry()
    # the step ends at the edge of the region
    assert math.hypot(tip.x() - centre.x(), tip.y() - centre.y()) == pytest.approx(radius, rel=1e-6)
    assert (tail.x(), tail.y()) == pytest.approx((centre.x(), centre.y()))
    opened(qtbot, panel, adam_on_rosenbrock())
    assert panel.scene.circle.circle is None


def test_of_a_mini_batch_it_is_said_which_steps_are_the_full_loss_s(qtbot: Any) -> None:
    view = view_of(run_of("adam", 8), 2)
    panel = LandscapePanel()
    opened(qtbot, panel, view)
    assert panel.scene.newton.label == "Newton step of the full loss"
    assert panel.scene.gradient.label == "gradient step of the full loss"
    assert panel.scene.own.label.startswith("Adam step of the batch")
    line = SlicePanel()
    opened(qtbot, line, view)
    assert line.scene.newton.label.startswith("Newton step of the full loss")
    assert line.scene.own.label.startswith("Adam step of the batch")
    around = steps_at(view).around
    picture = next(Request(view.history, 2, view.length, 0.0, False, around).compute())
    assert picture.own_name == "Adam step of the batch"
    np.testing.assert_array_equal(picture.facts.newton_step, steps_at(view).newton)
    np.testing.assert_array_equal(picture.facts.taken, steps_at(view).own.step)


def test_the_bars_hold_the_step_that_is_made_per_direction() -> None:
    view = view_of(run_of("momentum", None), 3)
    around = steps_at(view).around
    facts = next(Request(view.history, 3, view.length, 0.05, False, around).compute()).facts
    taken = view.history.seek(4).theta - view.history.seek(3).theta
    values, vectors = np.linalg.eigh(view.objective.hessian(view.state.theta))
    shown = bars(facts.spectrum.values, *facts.along, most=1000, own_step=facts.taken_along)
    np.testing.assert_allclose(np.sort(shown.curvature), values, atol=1e-10)
    np.testing.assert_allclose(np.sort(shown.own), np.sort(np.abs(vectors.T @ taken)), atol=1e-10)
    grouped = bars(facts.spectrum.values, *facts.along, most=3, own_step=facts.taken_along)
    assert np.linalg.norm(grouped.own) == pytest.approx(np.linalg.norm(taken), rel=1e-10)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [(2.0, 1.5, "gains 0.500"), (2.0, 2.5, "loses 0.500"), (2.0, math.inf, "not finite"), (2.0, 2.0, "as it is")],
)
def test_what_a_step_gains_in_words(before: float, after: float, words: str) -> None:
    for text in own_step("Adam step", 0.1, before, after):
        assert words in plain(text)
    assert "theta stays" in plain(own_step("trust-region step", 0.0, 1.0, 1.0)[0])
