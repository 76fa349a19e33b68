"""Marks in plots: arrows, labels, points, bands, trails, maps and contours."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from plot_views import count, made, picture
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.contours import Contours, contours
from nnopt_gui.widgets.heatmap import HeatMap, Scale, table, tint_table
from nnopt_gui.widgets.marks import (
    Arrow,
    Bands,
    ClassPoints,
    CurveMarks,
    DraggablePoint,
    Hatch,
    Mark,
    PlateLabel,
    StepLine,
    StepMarks,
    Trail,
    compare,
    lane_room,
    place_labels,
)
from nnopt_gui.widgets.plot import LabPlot

# arrows


def test_an_arrow_shorter_than_16_px_is_magnified_and_says_by_how_much(plot: LabPlot) -> None:
    arrow = plot.add(Arrow("gradient", "gradient step"))
    one_pixel = plot.view.viewPixelSize()[0]
    arrow.set(0, 0, 0.32 * one_pixel, 0)
    tail, tip, magnification = arrow.geometry()
    # the largest of 1, 2, 5, 10, ... that leaves it within 48 px
    assert magnification == pytest.approx(100, rel=1e-6)
    assert tip.x() - tail.x() == pytest.approx(32)
    assert arrow.label_text() == "gradient step, × 100"


def compared(plot: LabPlot, *pixels: float) -> tuple[Arrow, ...]:
    """Arrows of these lengths in pixels, on one scale."""
    one_pixel = plot.view.viewPixelSize()[0]
    arrows = tuple(plot.add(Arrow(role, f"{role} step")) for role in ("gradient", "newton", "own")[: len(pixels)])
    compare(*arrows)
    for arrow, length in zip(arrows, pixels, strict=True):
        arrow.set(0, 0, length * one_pixel, 0)
    return arrows


def drawn(arrow: Arrow) -> float:
    tail, tip, _ = arrow.geometry()
    return math.hypot(tip.x() - tail.x(), tip.y() - tail.y())


@pytest.mark.parametrize("pixels", [(0.3, 2.4, 0.9), (100.0, 40.0, 20.0), (0.01, 5.0, 15.0)])
def test_arrows_that_are_compared_share_one_magnification(plot: LabPlot, pixels: tuple[float, ...]) -> None:
    arrows = compared(plot, *pixels)
    (factor,) = {arrow.magnification() for arrow in arrows}
    assert factor == 1 if max(pixels) >= 16 else factor > 1
    for arrow, length in zip(arrows, pixels, strict=True):
        assert drawn(arrow) == pytest.approx(length * factor, rel=1e-6)
    words = [arrow.label_text() for arrow in arrows if not arrow.is_dot]
    assert sum("all steps ×" in text for text in words) == (factor > 1)


def test_a_step_that_is_too_short_beside_the_others_is_a_dot_with_its_length_in_words(plot: LabPlot) -> None:
    short, long = compared(plot, 1.0, 120.0)
    assert (short.is_dot, long.is_dot) == (True, False)
    assert drawn(short) == pytest.approx(1.0, rel=1e-6)
    assert short.label_text().startswith("gradient step: ")
    assert short.label_text().endswith(" long")
    assert long.label_text() == "newton step"
    short.label = ""
    long.clear()
    short.set(0, 0, 3 * plot.view.viewPixelSize()[0], 0)
    long.set(0.5, 0, 1.5, 0)
    assert short.is_dot
    assert 5 < count(picture(plot), theme.LIGHT.gradient) < 60  # a disc of 6 px


def test_the_run_s_own_step_has_its_colour_and_a_bar_at_its_tail(qtbot: Any, styled: QApplication) -> None:
    heights = {}
    for role, on_map in (("gradient", False), ("own", False), ("own", True)):
        plot = made(qtbot, on_map=on_map, grid="")
        arrow = plot.add(Arrow(role))
        arrow.set(-1, 0, 1, 0)
        image = picture(plot)
        color = theme.LIGHT.map_own if on_map else getattr(theme.LIGHT, role)
        assert count(image, color) > 100
        if not on_map:
            tail = plot.view.mapToScene(arrow.geometry()[0])
            x = round(tail.x())
            column = [image.pixelColor(x, y).name().lower() for y in range(image.height())]
            heights[role] = column.count(color.lower())
    assert heights["own"] >= heights["gradient"] + 5
    assert (theme.LIGHT.own, theme.DARK.own, theme.LIGHT.map_own) == ("#6B3FC9", "#B79CFF", "#D9C7FF")


def test_an_arrow_of_ordinary_length_is_true(plot: LabPlot) -> None:
    arrow = plot.add(Arrow("newton", "Newton step"))
    arrow.set(0, 0, 1, 0.5)
    tail, tip, magnification = arrow.geometry()
    assert magnification == 1
    assert arrow.data(tip) == pytest.approx((1, 0.5))
    assert arrow.data(tail) == pytest.approx((0, 0))
    assert arrow.label_text() == "Newton step"


def test_an_arrow_that_leaves_the_view_ends_at_its_edge_and_says_so(plot: LabPlot) -> None:
    arrow = plot.add(Arrow("newton", "Newton step"))
    arrow.set(0, 0, 200, 0)
    _, tip, magnification = arrow.geometry()
    assert plot.view.rect().contains(tip)
    assert magnification < 1
    assert arrow.label_text() == "Newton step, × 1/100"


def test_tiny_steps_keep_their_direction(plot: LabPlot) -> None:
    arrow = plot.add(Arrow("gradient", "gradient step"))
    for direction in (1, -1):
        arrow.set(0, 0, direction * 1e-20, 0)
        tail, tip, _ = arrow.geometry()
        assert (tip.x() - tail.x()) * direction >= 16 - 1e-9


@pytest.mark.parametrize("ends", [(0, 0, 0, 0), (0, 0, math.nan, 1), (0, math.inf, 1, 1)])
def test_arrows_without_a_direction_are_not_drawn(plot: LabPlot, ends: tuple[float, ...]) -> None:
    arrow = plot.add(Arrow("gradient", "gradient step"))
    arrow.set(*ends)
    assert arrow.geometry() is None
    assert arrow.labels() == []
    picture(plot)


def test_lanes_lie_below_each_other_in_the_room_kept_for_them(plot: LabPlot) -> None:
    plot.set_home(-2, 2, 0, 1, bottom_px=lane_room(2))
    upper, lower = plot.add(Arrow("gradient", "a")), plot.add(Arrow("newton", "b"))
    upper.set_lane(0, 1, 0, 2, y0=0.4, y1=0.6)
    lower.set_lane(0, 0.5, 1, 2, y1=0.5)
    zero = plot.label_layer.pixel(0, 0).y()
    assert zero < upper.geometry()[1].y() < lower.geometry()[1].y() < plot.view.rect().bottom()
    image = picture(plot)
    assert count(image, theme.LIGHT.gradient) > 60
    assert count(image, theme.LIGHT.newton) > 20


def test_over_a_map_arrows_have_the_map_s_colours(qtbot: Any, styled: QApplication) -> None:
    plot = made(qtbot, on_map=True, grid="")
    plot.add(Arrow("gradient")).set(-1, 0, 1, 0)
    image = picture(plot)
    assert count(image, theme.LIGHT.map_gradient) > 100
    assert count(image, theme.LIGHT.gradient) == 0


# labels


def test_labels_are_placed_free_of_each_other_and_of_obstacles() -> None:
    bounds = QRectF(0, 0, 400, 300)
    rects = [QRectF(100, 100, 80, 16)] * 5
    obstacles = [QRectF(90, 95, 60, 30)]
    placed = place_labels(rects, obstacles, bounds)
    assert all(bounds.contains(r) and r.size() == rects[0].size() for r in placed)
    for a, b in itertools.combinations([*placed, *obstacles], 2):
        assert (a & b).isEmpty()


def test_a_free_label_stays_where_it_wants_to_be_and_a_hint_is_preferred_to_searching() -> None:
    wanted = QRectF(10, 10, 50, 16)
    assert place_labels([wanted]) == [wanted]
    hinted = place_labels([wanted], [wanted], None, [QPointF(200, 0)])
    assert hinted == [wanted.translated(200, 0)]


def test_labels_of_arrows_and_marks_do_not_overlap_in_a_plot(plot: LabPlot) -> None:
    plot.add(Arrow("gradient", "gradient step")).set(0, 0, 0.5, 0.3)
    plot.add(Arrow("newton", "Newton step, damped")).set(0, 0, 0.55, 0.28)
    plot.add(Mark("plus", "model", label="minimum of the model")).set(0.6, 0.3)
    plot.add(PlateLabel("start")).set(0.5, 0.3)
    labels = plot.label_layer.placed()
    assert {label.text for label in labels} == {"gradient step", "Newton step, damped", "minimum of the model", "start"}
    for a, b in itertools.combinations([label.placed for label in labels], 2):
        assert (a & b).isEmpty()


def test_labels_of_hidden_marks_are_not_shown(plot: LabPlot) -> None:
    arrow = plot.add(Arrow("gradient", "gradient step"))
    arrow.set(0, 0, 1, 0)
    arrow.setVisible(False)
    assert plot.label_layer.placed() == []
    plot.remove(arrow)
    assert arrow not in plot.overlays


# marks


def test_the_point_is_dragged_along_its_curve(qtbot: Any, plot: LabPlot) -> None:
    point = plot.add(DraggablePoint())
    point.constrain = lambda x, y: (x, x * x)
    point.set(0, 0)
    places: list[tuple[float, float]] = []
    point.moved.connect(lambda x, y: places.append((x, y)))
    start = plot.mapFromScene(plot.view.mapViewToScene(QPointF(0, 0)))
    end = plot.mapFromScene(plot.view.mapViewToScene(QPointF(0.8, 0)))
    with qtbot.waitSignal(point.released) as caught:
        QTest.mouseMove(plot.viewport(), start)
        QTest.mousePress(plot.viewport(), Qt.MouseButton.LeftButton, pos=start)
        for share in (0.2, 0.5, 0.8, 1.0):
            # pyqtgraph takes at most a hundred moves per second
            qtbot.wait(12)
            QTest.mouseMove(plot.viewport(), start + (end - start) * share)
        QTest.mouseRelease(plot.viewport(), Qt.MouseButton.LeftButton, pos=end)
    assert places
    assert caught.args == pytest.approx([0.8, 0.64], abs=0.03)
    assert point.position == pytest.approx((0.8, 0.64), abs=0.03)
    assert plot.view.viewRange()[0] == pytest.approx([-2, 2])


def test_bands_name_themselves_where_there_is_room(plot: LabPlot) -> None:
    bands = plot.add(Bands("plateau"))
    bands.set([(-2, 0, "plateau, 412 steps"), (0.5, 0.55, "plateau, 3 steps"), (1, 1.6, "plateau, 100,000 steps")])
    assert [label.text for label in bands.labels()] == ["plateau, 412 steps", "plateau"]
    assert count(picture(plot), "#FBF8CD", 4) > 5000


def test_the_hatch_ends_at_its_floor(plot: LabPlot) -> None:
    hatch = plot.add(Hatch())
    hatch.floor = 0.0
    hatch.set([(-2, 0, "not convex")])
    rect, _ = hatch.rects()[0]
    assert rect.bottom() == pytest.approx(hatch.pixel(0, 0).y())
    assert [label.text for label in hatch.labels()] == ["not convex"]


def test_words_of_interventions_do_not_meet(plot: LabPlot) -> None:
    marks = plot.add(StepMarks())
    marks.set([(-1.9, "α 2 → 4"), (-1.85, "α 4 → 1"), (0, "example moved"), (1.95, "α 1 → 8")])
    rects = [label.rect for label in marks.labels()]
    assert len(rects) >= 3
    for a, b in itertools.combinations(rects, 2):
        assert (a & b).isEmpty()
    assert all(plot.view.rect().contains(rect) for rect in rects)
    plot.add(StepLine()).set(0.5)
    assert count(picture(plot), theme.LIGHT.accent) > 100


def test_marks_along_a_curve_keep_their_distance_and_stay_while_it_grows(plot: LabPlot) -> None:
    marks = plot.add(CurveMarks())
    x = np.linspace(-2, 2, 400)
    marks.set(x, np.zeros(400))
    spots = [p.x() for p in marks.spots()]
    assert len(spots) >= 4
    assert min(np.diff(spots)) >= 30
    marks.set(x[:390], np.zeros(390))
    assert {p.x() for p in marks.spots()} <= set(spots)


def test_trails_are_drawn_with_dots_and_long_ones_without(plot: LabPlot) -> None:
    trail = plot.add(Trail(most_dots=20))
    trail.set(np.linspace(-1, 1, 5), np.zeros(5))
    few = count(picture(plot), theme.LIGHT.trail, 40)
    trail.set(np.linspace(-1, 1, 50_000), np.zeros(50_000))
    many = count(picture(plot), theme.LIGHT.trail, 40)
    assert few > many > 100


def test_examples_are_found_under_the_mouse_and_drawn_by_class(plot: LabPlot) -> None:
    points = ClassPoints(plot)
    x = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.5], [0.0, -0.5]])
    points.set(x, np.array([0, 1, 0, 1]), np.array([True, True, False, False]))
    points.set_wrong(np.array([1]))
    points.set_selected(2)
    image = picture(plot)
    assert count(image, theme.LIGHT.class0) > 20
    assert count(image, theme.LIGHT.class1) > 20
    assert count(image, theme.LIGHT.accent) > 20
    assert points.nearest(0.99, 0.01) == 1
    assert points.nearest(0.5, 0.5) is None
    points.set_selected(None)
    points.set(np.empty((0, 2)), np.empty(0))
    assert points.nearest(0, 0) is None


def test_a_million_examples_are_thinned_for_drawing(plot: LabPlot) -> None:
    points = ClassPoints(plot, most=500)
    points.set(np.random.default_rng(0).uniform(-1, 1, (20_000, 2)), np.zeros(20_000))
    assert points.drawn == 500


# maps and contours


def test_a_map_has_its_values_where_they_belong(qtbot: Any, styled: QApplication) -> None:
    plot = made(qtbot, on_map=True, grid="")
    a = np.linspace(-2, 2, 41)
    values = np.where(a[:, None] > 0, 1.0, 1e-3) * np.ones(31)
    heat = HeatMap(plot)
    heat.set(values, (-2, 2, -1, 1), Scale(1e-3, 1.0))
    QApplication.processEvents()
    image = picture(plot)
    low, high = table("viridis")[0], table("viridis")[255]
    at = {x: plot.mapFromScene(plot.view.mapViewToScene(QPointF(x, 0.0))) for x in (-1.0, 1.0)}
    assert image.pixelColor(at[-1.0]).getRgb()[:3] == tuple(low[:3])
    assert image.pixelColor(at[1.0]).getRgb()[:3] == tuple(high[:3])


def test_what_is_not_finite_is_hatched_not_coloured(qtbot: Any, styled: QApplication) -> None:
    plot = made(qtbot, on_map=True, grid="")
    values = np.ones((20, 20))
    values[10:] = np.nan
    values[0, 0] = 0.5
    heat = HeatMap(plot, bar=False)
    heat.set(values, (-2, 2, -1, 1))
    right = picture(plot).copy(plot.mapFromScene(plot.view.mapViewToScene(QPointF(0.5, 0.8))).x(), 60, 100, 100)
    assert count(right, theme.LIGHT.undefined, 30) > 50
    heat.set(np.ones((20, 20)), (-2, 2, -1, 1))
    assert heat.undefined.extent is None
    heat.clear()
    picture(plot)


def test_scales_are_logarithmic_and_survive_what_is_not_positive() -> None:
    scale = Scale.of(np.array([0.01, 1.0]))
    assert scale.position(0.1) == pytest.approx(0.5)
    assert scale.value(0.5) == pytest.approx(0.1)
    assert np.all(np.diff(np.log(scale.levels(8))) == pytest.approx(np.log(100) / 8))
    shifted = Scale.of(np.array([-5.0, 0.0, 100.0, np.nan, np.inf]))
    assert shifted.position(-5.0) == pytest.approx(0)
    assert shifted.position(100.0) == pytest.approx(1)
    assert all(-5 <= tick <= 100 for tick in shifted.ticks(6))
    for values in (np.ones(3), np.full(3, np.nan)):
        flat = Scale.of(values)
        assert flat.low < flat.high


def test_tables_end_in_their_colours() -> None:
    tint = tint_table("#112233", "#FFFFFF", "#445566")
    assert tuple(tint[0]) == (0x11, 0x22, 0x33, 255)
    assert tuple(tint[-1]) == (0x44, 0x55, 0x66, 255)
    assert table("cividis").shape == (256, 4)


def test_contours_are_one_polyline_that_lies_on_the_level() -> None:
    xs, ys = np.linspace(-2, 2, 81), np.linspace(-1, 1, 41)
    values = xs[:, None] ** 2 + 4 * ys[None, :] ** 2
    x, y = contours(values, xs, ys, [0.5, 1.0])
    assert np.isnan(x).sum() == 1
    seen = x**2 + 4 * y**2
    assert np.all((np.abs(seen - 0.5) < 0.01) | (np.abs(seen - 1.0) < 0.01) | np.isnan(seen))


def test_contours_stop_where_values_are_not_finite(plot: LabPlot) -> None:
    xs = np.linspace(-1, 1, 21)
    values = xs[:, None] + 0 * xs[None, :]
    values[:, :10] = np.inf
    x, y = contours(values, xs, xs, [0.0])
    assert len(x) > 0
    assert np.nanmin(y) >= xs[9]
    assert len(contours(np.full((5, 5), np.nan), xs[:5], xs[:5], [0.0])[0]) == 0
    item = plot.add(Contours())
    item.set_grid(values, (-1, 1, -1, 1), [0.0])
    picture(plot)


@pytest.mark.parametrize("scale", [Scale(0.1488, 0.1502), Scale(-21.2, -20.9, True, -22.0), Scale(9_000, 60_000)])
def test_a_colour_bar_is_as_wide_as_its_words_and_repeats_none(qtbot: Any, plot: LabPlot, scale: Scale) -> None:
    found = HeatMap(plot, "loss")
    found.set(np.full((3, 3), scale.value(0.5)), (0, 1, 0, 1), scale)
    for _ in range(2):
        QApplication.processEvents()
    bar = found.bar
    assert bar is not None
    texts = [text for _, text in bar.ticks()]
    assert len(set(texts)) == len(texts) >= 2
    widest = max(theme.metrics(12).horizontalAdvance(text) for text in texts)
    assert bar.size().width() >= 32 + widest
