"""The landscape panel: map, model and steps are computed independently here."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from landscape_views import first_picture, function_run, network_run, of_kind, opened, show, view_of
from PySide6.QtWidgets import QInputDialog

from nnopt import optimizers
from nnopt.analysis.taylor import QuadraticModel
from nnopt.objectives import functions
from nnopt_gui.panels.landscape import LandscapePanel
from nnopt_gui.panels.landscape_extent import fitted
from nnopt_gui.panels.landscape_levels import model_lines, scale_of
from nnopt_gui.panels.landscape_model import Ask, grid_sizes, landscapes
from nnopt_gui.panels.landscape_plane import PLANES
from nnopt_gui.panels.landscape_steps import steps_at
from nnopt_gui.panels.landscape_words import curvature
from nnopt_gui.widgets.heatmap import Scale
from nnopt_gui.widgets.richline import plain

KINDS = [kind for kind, _ in PLANES]


def at_random(panel: LandscapePanel, count: int = 25) -> list[tuple[float, float, float]]:
    """(a, b, value) of random points of the map's grid."""
    scene = panel.scene
    assert scene.values is not None
    assert scene.extent is not None
    n = len(scene.values)
    a, b = np.linspace(*scene.extent[:2], n), np.linspace(*scene.extent[2:], n)
    chosen = np.random.default_rng(5).integers(0, n, size=(count, 2))
    return [(float(a[i]), float(b[j]), float(scene.values[i, j])) for i, j in chosen]


@pytest.mark.parametrize("name", ["himmelblau", "rosenbrock", "six_hump_camel"])
def test_the_map_of_a_function_is_the_function(qtbot: Any, name: str) -> None:
    run = function_run(name)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    for a, b, value in at_random(panel):
        assert value == pytest.approx(run.history.objective.value(np.array([a, b])), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_of_a_network_is_its_loss_on_the_plane(qtbot: Any, kind: str) -> None:
    run = network_run(steps=40)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, choices={"landscape.plane": kind}))
    frame = panel.scene.frame
    assert frame is not None
    np.testing.assert_allclose(frame.directions @ frame.directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(frame.point(0.0, 0.0), run.state.theta, atol=1e-12)
    for a, b, value in at_random(panel):
        # single precision may be used for maps
        assert value == pytest.approx(run.history.objective.value(frame.point(a, b)), rel=2e-5)


def test_colours_of_the_map_follow_its_scale(qtbot: Any) -> None:
    run = function_run("himmelblau")
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    heat, values = panel.scene.map, panel.scene.values
    assert values is not None
    assert heat.scale is not None
    pixels = heat.image._pixels
    assert pixels is not None
    for i, j in ((3, 5), (96, 96), (150, 20)):
        index = int(np.clip(np.round(heat.scale.position(values[i, j]) * 255), 0, 255))
        np.testing.assert_array_equal(pixels[j, i, :3], heat.colours[index, :3])


def test_the_bounds_of_a_function_are_seen_at_equal_scales(qtbot: Any) -> None:
    run = function_run("himmelblau")
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    a0, a1, b0, b1 = panel.scene.visible()
    (x0, x1), (y0, y1) = run.history.objective.bounds
    assert a0 <= x0 + 1e-6
    assert a1 >= x1 - 1e-6
    assert b0 <= y0 + 0.1
    assert b1 >= y1 - 0.1
    wide, high = panel.plot.view.viewPixelSize()
    assert wide == pytest.approx(high, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_arrows_end_where_the_steps_do(qtbot: Any, kind: str) -> None:
    run = network_run(steps=40, lr=0.7)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, choices={"landscape.plane": kind}))
    objective, theta = run.history.objective, run.state.theta
    gradient = -0.7 * objective.gradient(theta)
    newton = -np.linalg.solve(objective.hessian(theta), objective.gradient(theta))
    frame, local, scene = panel.scene.frame, panel.scene.local, panel.scene
    assert frame is not None
    assert local is not None
    drawn = ((scene.gradient, gradient, local.gradient_share), (scene.newton, newton, local.newton_share))
    for arrow, step, share in drawn:
        assert arrow._ends is not None
        tip = frame.directions @ step
        np.testing.assert_allclose(arrow._ends, (0, 0, *tip), rtol=1e-5, atol=1e-8 * np.linalg.norm(step))
        assert share == pytest.approx(np.linalg.norm(tip) / np.linalg.norm(step), rel=1e-6)
    if kind == "gradient_newton":
        assert min(local.gradient_share, local.newton_share) > 1 - 1e-9


@pytest.mark.parametrize("kind", ["gradient_newton", "random"])
def test_the_model_has_the_slopes_and_curvatures_of_finite_differences(qtbot: Any, kind: str) -> None:
    run = network_run(steps=40)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, choices={"landscape.plane": kind}))
    frame, local = panel.scene.frame, panel.scene.local
    assert frame is not None
    assert local is not None
    objective, h = run.history.objective, 1e-4

    def f(a: float, b: float) -> float:
        return float(objective.value(frame.point(a, b)))

    slope = [(f(h, 0) - f(-h, 0)) / (2 * h), (f(0, h) - f(0, -h)) / (2 * h)]
    mixed = (f(h, h) - f(h, -h) - f(-h, h) + f(-h, -h)) / (4 * h * h)
    straight = [(f(h, 0) - 2 * f(0, 0) + f(-h, 0)) / h**2, (f(0, h) - 2 * f(0, 0) + f(0, -h)) / h**2]
    np.testing.assert_allclose(local.model.gradient, slope, atol=1e-7)
    np.testing.assert_allclose(local.model.hessian, [[straight[0], mixed], [mixed, straight[1]]], atol=1e-6)


def test_lines_of_the_model_lie_at_equal_height() -> None:
    bowl = QuadraticModel(2.0, np.array([0.4, -0.3]), np.array([[2.0, 0.3], [0.3, 0.5]]))
    saddle = QuadraticModel(2.0, np.array([0.4, -0.3]), np.array([[2.0, 0.3], [0.3, -0.5]]))
    for model, tolerance in ((bowl, 1e-9), (saddle, 2e-2)):
        x, y = model_lines(model, (1.0, -2.0), (-2.0, 4.0, -4.0, 0.0))
        gaps = np.flatnonzero(np.isnan(x))
        assert len(gaps) >= 2
        heights = model(np.column_stack([x - 1.0, y + 2.0]))
        lines = np.split(heights, gaps)
        for line in lines:
            line = line[np.isfinite(line)]
            if len(line):
                assert np.ptp(line) < tolerance
        # one of the bowl's lines runs through the current point
        if model is bowl:
            assert min(abs(float(line[np.isfinite(line)][0]) - 2.0) for line in lines if np.isfinite(line).any()) < 1e-9


def test_while_a_run_plays_the_plane_stays_and_the_point_moves_and_on_pause_it_is_cut_anew(qtbot: Any) -> None:
    run = network_run(steps=60)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, 20))
    frame = panel.scene.frame
    assert frame is not None
    for step in range(21, 40):
        view = view_of(run, step, playing=True)
        panel.show_view(view)
        here = frame.place(view.state.theta)
        if panel.scene.within(*here) == here:
            assert panel.scene.point.position == pytest.approx(here)
    show(panel, view_of(run, 40, playing=True))
    kept = panel.scene.frame
    assert kept is not None
    np.testing.assert_array_equal(kept.directions, frame.directions)
    show(panel, view_of(run, 60))
    assert panel.scene.frame is not None
    np.testing.assert_array_equal(panel.scene.frame.origin, run.state.theta)
    assert not np.allclose(panel.scene.frame.directions, frame.directions)


def test_a_map_that_is_kept_while_playing_runs_through_the_point_again_at_the_same_coordinates() -> None:
    run = network_run(steps=60)
    start = view_of(run, 20)
    first = first_picture(landscapes(start, Ask("gradient_newton", 1.6)))
    later = view_of(run, 50, playing=True)
    ask = Ask("gradient_newton", 1.6, frame=first.frame, extent=first.home, keep=True, quick=True)
    second = first_picture(landscapes(later, ask))
    assert second.local.distance < 1e-12
    assert first.frame.place(later.state.theta) == pytest.approx(second.local.place)
    a, b = second.local.place
    home = second.home
    assert abs(a - (home[0] + home[1]) / 2) <= 0.3 * (home[1] - home[0]) + 1e-12
    assert abs(b - (home[2] + home[3]) / 2) <= 0.3 * (home[3] - home[2]) + 1e-12


def test_newton_on_himmelblau_is_said_to_go_uphill_to_a_maximum(qtbot: Any) -> None:
    run = function_run("himmelblau", (0.0, 0.0), optimizers.get("newton")())
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    f, theta = run.history.objective, np.zeros(2)
    landing = -np.linalg.solve(f.hessian(theta), f.gradient(theta))
    words = panel.readout.text
    assert f"The Newton step goes uphill: 170.0 → {f.value(landing):.1f}, to a maximum." in words
    assert panel.accessibleDescription() == words


def test_steps_that_point_downhill_but_land_higher_are_said_to_be_too_long(qtbot: Any) -> None:
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(function_run("rosenbrock", (-1.2, 1.0))))
    assert "The gradient step is too long: 24.20 →" in panel.readout.text
    run = function_run("rosenbrock", (0.0, 1.0), optimizers.get("newton")())
    f, theta = run.history.objective, np.array([0.0, 1.0])
    newton = -np.linalg.solve(f.hessian(theta), f.gradient(theta))
    show(panel, view_of(run, number=2))
    local = panel.scene.local
    assert local is not None
    assert local.newton_uphill == (f.gradient(theta) @ newton > 0)


def test_a_damped_methods_step_stands_beside_newtons(qtbot: Any) -> None:
    run = function_run("himmelblau", (0.0, 0.0), optimizers.get("damped_newton")())
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    local = panel.scene.local
    assert local is not None
    assert local.own is not None
    assert (panel.scene.newton.label, local.own.name) == ("Newton step", "damped Newton step")
    assert local.own.value < local.value < local.newton_value


def test_the_damping_chosen_for_this_step_is_that_of_the_arrow(qtbot: Any) -> None:
    run = network_run(steps=40)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, choices={"step.damping": "0.5"}))
    objective, theta = run.history.objective, run.state.theta
    lifted = objective.hessian(theta) + 0.5 * np.eye(theta.size)
    local = panel.scene.local
    assert local is not None
    assert local.newton is not None
    np.testing.assert_allclose(local.newton, -np.linalg.solve(lifted, objective.gradient(theta)), rtol=1e-8)
    assert panel.scene.newton.label == "Newton step, damped"


def test_known_minima_are_marked(qtbot: Any) -> None:
    run = function_run("himmelblau")
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    assert len(panel.scene.minima.places) == 4
    for minimum in panel.scene.minima.places:
        np.testing.assert_allclose(run.history.objective.gradient(minimum), 0.0, atol=1e-5)


def test_the_wheel_asks_for_the_map_of_what_is_seen_after_a_rest(qtbot: Any) -> None:
    run = function_run("himmelblau")
    panel = LandscapePanel()
    intents = opened(qtbot, panel, view_of(run))
    coarse = panel.scene.extent
    panel.plot.view.setRange(xRange=(2.0, 4.0), yRange=(1.5, 2.5), padding=0)
    panel.plot.view.sigRangeChangedManually.emit([True, True])
    qtbot.waitUntil(lambda: bool(of_kind(intents, "choose")), timeout=3000)
    chosen = of_kind(intents, "choose")[-1].values
    assert chosen["name"] == "landscape.window"
    show(panel, view_of(run, choices={chosen["name"]: chosen["value"]}))
    fine = panel.scene.extent
    assert fine is not None
    assert coarse is not None
    assert fine[1] - fine[0] < 0.5 * (coarse[1] - coarse[0])
    assert fine[0] < 2.0 < 4.0 < fine[1]
    a0, a1, _, _ = panel.scene.visible()
    assert (a0, a1) == pytest.approx((2.0, 4.0), abs=0.3), "the view itself stays where the user has put it"
    for a, b, value in at_random(panel, 8):
        assert value == pytest.approx(run.history.objective.value(np.array([a, b])), rel=1e-10, abs=1e-12)


def test_moving_the_point_of_a_function_does_not_compute_its_map_again(qtbot: Any) -> None:
    run = function_run("himmelblau", (0.5, 0.5), optimizers.get("sgd")(lr=1e-3))
    run.advance(20)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run, 0))
    show(panel, view_of(run, 1))
    values = panel.scene.values
    for cursor in (5, 20, 3):
        show(panel, view_of(run, cursor))
        assert panel.scene.values is values
        assert panel.scene.point.position == pytest.approx(tuple(run.history.seek(cursor).theta))


def test_coarse_maps_come_first_and_fine_ones_keep_their_values() -> None:
    run = network_run((16, 16), points=2000)
    sizes = grid_sizes(run.history.objective)
    assert list(sizes) == sorted(sizes)
    assert len(sizes) >= 2
    pictures = list(landscapes(view_of(run), Ask("gradient_newton", 1.6)))
    seen = [picture.values for picture in pictures if picture is not None and picture.values is not None]
    assert [len(values) for values in seen] == sorted(len(values) for values in seen)
    first, last = seen[0], seen[-1]
    stride = (len(last) - 1) // (len(first) - 1)
    np.testing.assert_array_equal(last[::stride, ::stride], first)


def test_pictures_are_computed_on_another_thread_without_qt() -> None:
    run = network_run(steps=10)
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.extend(landscapes(view_of(run), Ask("gradient_newton", 1.6))))
    thread.start()
    thread.join()
    assert done


def test_late_results_of_another_run_or_plane_are_not_drawn(qtbot: Any) -> None:
    old, new = network_run(steps=20), network_run(steps=5)
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(old))
    late = first_picture(landscapes(view_of(old), Ask("gradient_newton", 1.6)))
    show(panel, view_of(new, number=2))
    frame = panel.scene.frame
    panel.draw(view_of(old), late)
    assert panel.scene.frame is frame
    other = view_of(new, number=2, choices={"landscape.plane": "random"})
    panel.show_view(other)
    panel.draw(view_of(new, number=2), first_picture(landscapes(view_of(new, number=2), Ask("gradient_newton", 1.6))))
    assert panel.scene.frame is frame


def test_a_function_of_one_parameter_is_not_supported_and_says_why(qtbot: Any) -> None:
    run = function_run("bowl")
    assert not LandscapePanel.supports(run.history.experiment_at(0))
    assert LandscapePanel.supports(function_run("booth").history.experiment_at(0))
    assert LandscapePanel.supports(network_run().history.experiment_at(0))
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    assert "One parameter has no plane" in panel.readout.text
    assert panel.picture(view_of(run)) is None
    assert panel.nothing.isVisible()
    assert not panel.plot.isVisible()
    show(panel, view_of(function_run("booth"), number=2))
    assert panel.plot.isVisible()
    assert not panel.nothing.isVisible()


@pytest.mark.parametrize("name", functions.names())
def test_every_function_can_be_shown(qtbot: Any, name: str) -> None:
    run = function_run(name)
    if not LandscapePanel.supports(run.history.experiment_at(0)):
        return
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run), (380, 260))
    assert panel.scene.values is not None
    assert panel.readout.text


def test_a_diverged_point_is_said_and_does_not_stop_the_panel(qtbot: Any) -> None:
    run = function_run("rosenbrock")
    panel = LandscapePanel()
    opened(qtbot, panel, view_of(run))
    for place_far_away in (np.array([1e200, 1e200]), np.array([np.inf, 0.0]), np.array([np.nan, np.nan])):
        show(panel, view_of(run, probe=place_far_away))
        assert "not finite" in panel.readout.text
        assert panel.scene.gradient.geometry() is None


def test_two_parameters_are_chosen_by_name(qtbot: Any, monkeypatch: Any) -> None:
    run = network_run()
    panel = LandscapePanel()
    intents = opened(qtbot, panel, view_of(run))
    answers = iter(["3: bias of h₁", "1: x₁ → h₁"])
    monkeypatch.setattr(QInputDialog, "getItem", lambda *args, **kwargs: (next(answers), True))
    panel.choose_parameters()
    assert intents[-1].values == {"name": "landscape.plane", "value": "parameters:2,0"}
    show(panel, view_of(run, choices={"landscape.plane": "parameters:2,0"}))
    assert panel.choice("plane") == "parameters:2,0"
    frame = panel.scene.frame
    assert frame is not None
    assert {int(np.argmax(frame.d1)), int(np.argmax(frame.d2))} == {0, 2}


def test_colours_stand_still_while_the_losses_change_little() -> None:
    values = np.geomspace(0.2, 3.0, 400).reshape(20, 20)
    scale = scale_of(values, values)
    assert scale.offset == 0.0
    assert scale_of(values * 1.05, values * 1.05, before=scale) == scale
    assert scale_of(values * 100, values * 100, before=scale) != scale


def test_scales_of_odd_values_are_usable() -> None:
    flat, hole, below = np.full((5, 5), 0.7), np.full((5, 5), np.nan), np.linspace(-3, 4, 25).reshape(5, 5)
    for values in (flat, hole, below, np.where(below > 2, np.inf, below)):
        scale = scale_of(values, values)
        assert isinstance(scale, Scale)
        assert scale.high > scale.low
        finite = values[np.isfinite(values)]
        assert np.isfinite(scale.position(np.maximum(finite, scale.low))).all()


def test_ranges_are_widened_to_the_shape_of_the_plot() -> None:
    assert fitted(((-1.0, 1.0), (-1.0, 1.0)), 2.0) == (-2.0, 2.0, -1.0, 1.0)
    assert fitted(((-1.0, 1.0), (-1.0, 1.0)), 0.5) == (-1.0, 1.0, -2.0, 2.0)


def test_both_steps_are_drawn_though_the_method_does_not_suit_the_function():
    view = view_of(function_run("himmelblau", (0.0, 0.0), optimizers.get("gauss_newton")()))
    steps = steps_at(view)
    # H = diag(-42, -26) and g = (-14, -22) at the origin, worked by hand
    np.testing.assert_allclose(steps.newton, [-14 / 42, -22 / 26])
    assert steps.newton_name == "Newton step"


@pytest.mark.parametrize(
    ("curvatures", "said"),
    [
        ((-3e-14, 2.0), "Curvature 0 along the valley, 2.0 across."),
        ((-0.5, 2.0), "Curvature −0.50 and +2.0: saddle-shaped."),
        ((-2.0, -0.5), "Curvature −2.0 and −0.50: dome-shaped."),
        ((-2.0, 3e-14), "Curvature −2.0 and 0: ridge-shaped."),
        ((0.0, 0.0), "Curvature 0: flat."),
    ],
)
def test_the_sign_of_a_curvature_is_judged_beside_the_largest(curvatures, said):
    assert plain(curvature(SimpleNamespace(curvatures=curvatures))) == said
