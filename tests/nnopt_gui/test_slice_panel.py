"""The slice panel: what it draws is computed independently here, and its point is dragged with a mouse."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from landscape_views import drag, function_run, mouse, network_run, of_kind, opened, pixel, place, show, view_of
from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QInputDialog

from nnopt import optimizers
from nnopt_gui.panels.landscape_steps import parameter_names
from nnopt_gui.panels.slice import SlicePanel
from nnopt_gui.panels.slice_model import Curve, Line, Local, focus, heights, measure
from nnopt_gui.panels.slice_picture import slices
from nnopt_gui.panels.slice_words import sentence
from nnopt_gui.widgets.richline import plain

DIRECTIONS = ("gradient", "newton", "parameter:2", "random", "pca1")


def differences(f: Any, x: float, h: float) -> tuple[float, float]:
    """First and second derivative by central differences."""
    return (f(x + h) - f(x - h)) / (2 * h), (f(x + h) - 2 * f(x) + f(x - h)) / h**2


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_parabola_is_the_taylor_model_found_by_finite_differences(qtbot: Any, direction: str) -> None:
    run = network_run(steps=40)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run, choices={"slice.direction": direction}))
    line, local = panel.scene.line, panel.scene.local
    assert line is not None
    assert local is not None
    objective = run.history.objective

    def along(x: float) -> float:
        return float(objective.value(line.point(x)))

    slope, curvature = differences(along, local.x, 1e-4)
    xs, drawn = panel.scene.model.getData()
    shown = np.isfinite(drawn)
    expected = along(local.x) + slope * (xs - local.x) + 0.5 * curvature * (xs - local.x) ** 2
    # second differences with h = 1e-4 are good to about 1e-16 / 1e-8
    reach = np.abs(xs - local.x).max()
    np.testing.assert_allclose(drawn[shown], expected[shown], atol=1e-7 * (1 + reach**2))
    ends, heights_of_tangent = panel.scene.tangent.getData()
    np.testing.assert_allclose(heights_of_tangent, along(local.x) + slope * (ends - local.x), atol=1e-7)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_curve_is_the_loss_along_the_line(qtbot: Any, direction: str) -> None:
    run = network_run(steps=40)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run, choices={"slice.direction": direction}))
    xs, drawn = panel.scene.curve.getData()
    line = panel.scene.line
    assert line is not None
    np.testing.assert_allclose(np.linalg.norm(line.direction), 1.0, rtol=1e-12)
    for i in range(0, len(xs), 37):
        assert drawn[i] == pytest.approx(run.history.objective.value(line.point(xs[i])), rel=1e-12)
    low, high = panel.scene.visible()
    assert xs[0] < low < high < xs[-1], "a turn of the wheel shows more of the curve at once"


def test_both_arrows_end_where_the_steps_do(qtbot: Any) -> None:
    run = network_run(steps=60, lr=0.7)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run))
    objective, theta = run.history.objective, run.state.theta
    gradient = objective.gradient(theta)
    local, line = panel.scene.local, panel.scene.line
    assert local is not None
    assert line is not None
    # along its own direction the gradient step has its whole length
    assert local.gradient_step == pytest.approx(0.7 * np.linalg.norm(gradient), rel=1e-12)
    curvature = line.direction @ objective.hessian(theta) @ line.direction
    assert local.newton_step == pytest.approx(np.linalg.norm(gradient) / curvature, rel=1e-9)
    assert panel.scene.gradient._ends is not None
    assert panel.scene.gradient._ends[2] == local.x + local.gradient_step
    assert panel.scene.newton._ends is not None
    assert panel.scene.newton._ends[2] == local.x + local.newton_step


def test_along_the_newton_step_the_arrow_is_the_whole_newton_step(qtbot: Any) -> None:
    run = network_run(steps=60)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run, choices={"slice.direction": "newton"}))
    objective, theta = run.history.objective, run.state.theta
    newton = -np.linalg.solve(objective.hessian(theta), objective.gradient(theta))
    local, line = panel.scene.local, panel.scene.line
    assert local is not None
    assert line is not None
    np.testing.assert_allclose(
        local.newton_step * line.direction, newton, rtol=1e-6, atol=1e-9 * np.linalg.norm(newton)
    )


def test_landings_are_marked_at_their_true_loss_and_the_prediction_on_the_model(qtbot: Any) -> None:
    run = function_run("many_minima", (5.0,))
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run))
    f, scene = run.history.objective, panel.scene
    g, h = float(f.gradient(np.array([5.0]))[0]), float(f.hessian(np.array([5.0]))[0, 0])
    x_gradient, x_newton = 5.0 - 0.05 * g, 5.0 - g / h
    assert scene.lands._at == pytest.approx((x_gradient, f.value(np.array([x_gradient]))))
    assert scene.lands_true._at == pytest.approx((x_newton, f.value(np.array([x_newton]))))
    predicted = f.value(np.array([5.0])) - 0.5 * g * g / h
    assert scene.lands_predicted._at == pytest.approx((x_newton, predicted))


@pytest.mark.parametrize("name", ["double_well", "many_minima", "plateau", "steep_beside_flat"])
def test_not_convex_is_where_second_differences_are_negative(qtbot: Any, name: str) -> None:
    run = function_run(name)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run))
    f = run.history.objective
    low, high = f.bounds[0]
    h = 1e-3
    for x in np.linspace(low + 0.01, high - 0.01, 97):
        second = float(np.dot(f.values(np.array([[x - h], [x], [x + h]])), (1, -2, 1))) / h**2
        marked = any(a <= x <= b for a, b, _ in panel.scene.hatch.bands)
        near = min((abs(x - edge) for a, b, _ in panel.scene.hatch.bands for edge in (a, b)), default=1.0)
        if near > 0.02 and abs(second) > 1e-6:
            assert marked == (second < 0), f"{name} at {x}: second derivative {second}"


def test_a_function_of_one_parameter_is_shown_over_its_bounds(qtbot: Any) -> None:
    run = function_run("double_well")
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run))
    assert panel.scene.visible() == pytest.approx(run.history.objective.bounds[0])
    assert panel.scene.point.position == pytest.approx((1.6, run.history.objective.value(np.array([1.6]))))


def test_dragging_the_point_probes_the_place_under_the_mouse_and_moves_there_on_release(qtbot: Any) -> None:
    run = function_run("many_minima", (3.0,))
    panel = SlicePanel()
    intents = opened(qtbot, panel, view_of(run))
    f = run.history.objective
    x, y = panel.scene.point.position or (0.0, 0.0)
    start = pixel(panel.plot, x, y)
    stops = [start + QPointF(-20, 5), start + QPointF(-90, 30), start + QPointF(-150, -10)]
    curve = panel.scene.curve.getData()[1].copy()
    drag(panel.plot, start, *stops)
    probes, moves = of_kind(intents, "probe"), of_kind(intents, "move_to")
    assert len(probes) >= 2
    assert len(moves) == 1
    wanted = place(panel.plot, stops[-1])[0]
    assert float(moves[0].values["theta"][0]) == pytest.approx(wanted, abs=0.03)
    np.testing.assert_array_equal(panel.scene.curve.getData()[1], curve)
    # model and steps are those of the place where the mouse let go
    here = moves[0].values["theta"]
    local = panel.scene.local
    assert local is not None
    assert local.slope == pytest.approx(float(f.gradient(here)[0]), rel=1e-9)
    assert local.curvature == pytest.approx(float(f.hessian(here)[0, 0]), rel=1e-9)


def test_while_the_mouse_moves_model_and_steps_follow_and_the_view_of_the_probe_leaves_the_curve(qtbot: Any) -> None:
    run = network_run(steps=30)
    panel = SlicePanel()
    intents = opened(qtbot, panel, view_of(run))
    x, y = panel.scene.point.position or (0.0, 0.0)
    start = pixel(panel.plot, x, y)
    curve = panel.scene.curve.getData()[1].copy()
    drag(panel.plot, start, start + QPointF(12, 0), start + QPointF(60, -4), release=False)
    theta = of_kind(intents, "probe")[-1].values["theta"]
    line, local = panel.scene.line, panel.scene.local
    assert line is not None
    assert local is not None
    gradient = run.history.objective.gradient(theta)
    assert local.slope == pytest.approx(float(gradient @ line.direction), rel=1e-9)
    assert local.gradient_step == pytest.approx(-0.5 * float(gradient @ line.direction), rel=1e-9)
    show(panel, view_of(run, probe=theta))
    np.testing.assert_array_equal(panel.scene.curve.getData()[1], curve)
    mouse(panel.plot, "release", start + QPointF(60, -4))
    np.testing.assert_allclose(of_kind(intents, "move_to")[-1].values["theta"], theta)


def test_a_drag_back_to_the_start_moves_nothing(qtbot: Any) -> None:
    run = function_run("bowl")
    panel = SlicePanel()
    intents = opened(qtbot, panel, view_of(run))
    x, _ = panel.scene.point.position or (0.0, 0.0)
    panel.scene.point.moved.emit(x - 1.0, 0.0)
    panel.scene.point.moved.emit(x, 0.0)
    panel.scene.point.released.emit(x, 0.0)
    assert [intent.kind for intent in intents] == ["probe", "probe", "probe"]
    assert intents[-1].values["theta"] is None


def test_the_wheel_zooms_and_the_curve_is_computed_for_what_is_seen(qtbot: Any) -> None:
    run = network_run(steps=30)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run))
    low, high = panel.scene.visible()
    panel.plot.view.scaleBy((12.0, 1.0))
    panel.plot.view.sigRangeChangedManually.emit([True, True])
    qtbot.waitUntil(lambda: panel.scene.curve.getData()[0][0] < low - 4 * (high - low), timeout=3000)
    line = panel.scene.line
    assert line is not None
    xs, values = panel.scene.curve.getData()
    assert values[3] == pytest.approx(run.history.objective.value(line.point(xs[3])), rel=1e-12)
    panel.plot.reset_view()
    assert panel.scene.visible() == pytest.approx((low, high), rel=1e-6)


def test_the_trail_lies_at_the_feet_of_earlier_states_and_says_their_true_loss(qtbot: Any) -> None:
    run = network_run(steps=30)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run))
    dots, line = panel.scene.past, panel.scene.line
    assert line is not None
    assert dots.past.steps[-1] == 30
    i = len(dots.past.steps) - 6
    step = int(dots.past.steps[i])
    theta = run.history.seek(step).theta
    assert dots.xs[i] == pytest.approx(float((theta - run.state.theta) @ line.direction), abs=1e-12)
    loss = run.history.objective.value(theta)
    dots.hover(float(dots.xs[i]), float(loss))
    assert dots.hovered is not None
    assert f"step {step}: loss {loss:.4f}" in dots.labels()[0].text
    assert "beside this line" in dots.labels()[0].text


def test_while_a_run_plays_slices_are_paced_and_on_pause_the_newest_one_is_exact(qtbot: Any) -> None:
    run = network_run(steps=200)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run, 10))
    first = panel.picture(view_of(run, 20, playing=True))
    second = panel.picture(view_of(run, 21, playing=True))
    assert second is first, "a picture that has just been asked for is waited for"
    show(panel, view_of(run, 200))
    assert panel.scene.line is not None
    np.testing.assert_array_equal(panel.scene.line.point(0.0), run.history.seek(200).theta)


def test_results_of_another_run_are_not_drawn(qtbot: Any) -> None:
    old, new = network_run(steps=20), network_run(steps=5)
    panel = SlicePanel()
    opened(qtbot, panel, view_of(old))
    late = next(slices(view_of(old), "gradient"))
    show(panel, view_of(new, number=2))
    panel.draw(view_of(old), late)
    assert panel.scene.local is not None
    assert panel.scene.local.value == pytest.approx(new.history.objective.value(new.state.theta))


def test_the_newton_step_at_the_hump_is_said_to_go_uphill(qtbot: Any) -> None:
    run = function_run("double_well", (0.1,))
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run))
    words = panel.readout.text
    assert "no minimum" in words
    assert "uphill" in words
    assert panel.scene.newton.label == "Newton step, uphill"
    assert panel.accessibleDescription() == words


def local_at(slope: float, curvature: float, rate: float = 1.0, gradient_value: float = 0.5) -> Local:
    return Local(0.0, 1.0, slope, curvature, rate, gradient_value, 0.5)


AHEAD = Line(np.zeros(2), np.array([1.0, 0.0]), downhill=True)


@pytest.mark.parametrize(
    ("local", "words"),
    [
        (
            local_at(-0.126, 0.42, 4.0),
            "Curvature +0.42: the model is lowest 0.30 ahead. The gradient step goes 0.50, too far.",
        ),
        (local_at(-0.126, 0.42, 0.4), "goes 0.050, too short."),
        (local_at(-0.126, 0.42, 1 / 0.42), "just right."),
        (local_at(-1.0, 1.0, 9.0, 7.0), "goes 9.0: the loss rises."),
        (local_at(-0.2, -0.5), "Curvature −0.50: no minimum. The Newton step goes uphill, 0.40 back."),
        (local_at(-0.2, 0.0), "Curvature 0: the model is a straight line, it has no minimum."),
        (local_at(0.0, -1.0), "The slope is 0: no step moves. Curvature −1.0: on this line this is a maximum."),
        (Local(0.0, np.inf, 0.0, 0.0, 1.0), "The loss is not finite here"),
        (Local(0.0, 1.0, np.nan, np.nan, 1.0), "there is no model"),
    ],
)
def test_the_sentence_says_what_the_curvature_means(local: Local, words: str) -> None:
    said = plain(sentence(AHEAD, local))
    assert words in said
    assert len(said) <= 92


def test_point_and_landings_fill_the_middle_half() -> None:
    low, high = focus(Local(0.0, 1.0, -0.4, 0.8, 0.2), scale=10.0)
    width = high - low
    assert low + width / 4 == pytest.approx(0.0)
    assert high - width / 4 == pytest.approx(0.5)


def test_the_range_stands_still_while_the_steps_stay_inside_it() -> None:
    before = focus(Local(0.0, 1.0, -0.4, 0.8, 0.2), scale=10.0)
    assert focus(Local(0.0, 1.0, -0.41, 0.8, 0.2), 10.0, before) == before
    assert focus(Local(0.0, 1.0, -4.0, 0.8, 0.2), 10.0, before) != before


def test_a_step_far_beyond_the_scale_leaves_the_picture_and_the_rest_stays_visible() -> None:
    low, high = focus(Local(0.0, 1.0, -1.0, 1e-9, 0.1), scale=2.0)
    assert high - low < 10.0
    assert low < 0.0 < 0.1 < high


def test_heights_leave_a_wall_out_that_would_flatten_the_rest() -> None:
    xs = np.linspace(-2, 2, 161)
    curve = Curve(xs, xs**2 + np.where(xs > 1.5, 1e6 * (xs - 1.5), 0.0))
    low, high = heights(curve, Local(0.0, 0.0, -0.1, 2.0, 0.1, 0.0, 0.0), (-2.0, 2.0))
    assert low == pytest.approx(0.0, abs=1e-2)
    assert high < 10.0


def test_a_diverged_point_says_so_and_draws_no_model(qtbot: Any) -> None:
    run = function_run("rosenbrock")
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run, probe=np.array([1e200, 1e200])))
    assert "not finite" in panel.readout.text
    assert not np.size(panel.scene.model.getData()[0])
    assert panel.scene.gradient.geometry() is None


def test_directions_are_offered_by_name_and_any_parameter_can_be_chosen(qtbot: Any, monkeypatch: Any) -> None:
    run = network_run((8,))
    panel = SlicePanel()
    intents = opened(qtbot, panel, view_of(run))
    names = parameter_names(run.history.objective)
    assert names[:4] == ["x₁ → h₁", "x₂ → h₁", "bias of h₁", "x₁ → h₂"]
    assert names[-1] == "bias of output"
    assert len(names) == run.history.objective.size
    monkeypatch.setattr(QInputDialog, "getItem", lambda *args, **kwargs: (f"18: {names[17]}", True))
    panel.choose_parameter()
    assert intents[-1].values == {"name": "slice.direction", "value": "parameter:17"}
    show(panel, view_of(run, choices={"slice.direction": "parameter:17"}))
    assert panel.choice("direction") == "parameter:17"
    assert names[17] in panel.plot.bottom_axis.words
    assert panel.scene.point.position is not None
    assert panel.scene.point.position[0] == pytest.approx(run.state.theta[17])


def test_the_header_emits_the_chosen_direction(qtbot: Any) -> None:
    run = network_run()
    panel = SlicePanel()
    intents = opened(qtbot, panel, view_of(run))
    panel.chosen.emit("direction", "newton")
    assert intents[-1].kind == "choose"
    assert intents[-1].values == {"name": "slice.direction", "value": "newton"}


def test_with_newtons_method_the_gradient_step_has_the_rate_one_over_the_largest_curvature(qtbot: Any) -> None:
    run = function_run("himmelblau", (0.0, 0.0), optimizers.get("newton")())
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run))
    f = run.history.objective
    steepest = np.abs(np.linalg.eigvalsh(f.hessian(np.zeros(2)))).max()
    local = panel.scene.local
    assert local is not None
    assert local.gradient_step == pytest.approx(np.linalg.norm(f.gradient(np.zeros(2))) / steepest)


def test_the_chosen_damping_shortens_the_newton_step_on_the_line_and_is_named(qtbot: Any) -> None:
    run = function_run("double_well", (0.1,))
    panel = SlicePanel()
    opened(qtbot, panel, view_of(run, choices={"step.damping": "5"}))
    f, x = run.history.objective, np.array([0.1])
    local = panel.scene.local
    assert local is not None
    assert local.newton_step == pytest.approx(-float(f.gradient(x)[0]) / (float(f.hessian(x)[0, 0]) + 5))
    assert panel.scene.newton.label == "Newton step, damped"
    assert "The damped Newton step goes" in panel.readout.text
    assert "uphill" not in panel.readout.text


def test_measuring_needs_one_gradient_and_one_product() -> None:
    run = network_run((16, 16), points=200, steps=3)

    class Counting:
        size = run.history.objective.size
        counts: ClassVar[dict[str, int]] = {"value": 0, "value_and_gradient": 0, "hvp": 0}

        def __getattr__(self, name: str) -> Any:
            if name not in self.counts:
                raise AttributeError(name)
            self.counts[name] += 1
            return getattr(run.history.objective, name)

    line = Line(run.state.theta, np.eye(run.state.theta.size)[0])
    counting = Counting()
    measure(counting, line, 0.0, 0.1)
    assert counting.counts["value_and_gradient"] == 1
    # asked for, then called
    assert counting.counts["hvp"] <= 2
    assert counting.counts["value"] == 2


@pytest.mark.parametrize("local", [Local(0.0, 1.0, -0.3, 0.086, 0.5), Local(0.0, 1.0, -0.3, -0.086, 0.5, damping=0.05)])
def test_in_a_narrow_panel_the_sentence_is_shorter(local: Local) -> None:
    brief, whole = (plain(sentence(AHEAD, local, brief=brief)) for brief in (True, False))
    assert len(brief) < len(whole)
    assert len(brief) <= 75
