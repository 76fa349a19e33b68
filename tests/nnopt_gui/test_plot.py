"""Plots and the marks in them: arrows, labels, legend, maps, contours, points."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.axis import Axis
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
    lane_room,
    place_labels,
)
from nnopt_gui.widgets.plot import LabPlot


@pytest.fixture
def plot(qtbot: Any, styled: QApplication) -> LabPlot:
    return made(qtbot)


def made(qtbot: Any, **kargs: Any) -> LabPlot:
    plot = LabPlot("distance", "loss", **kargs)
    qtbot.addWidget(plot)
    plot.resize(500, 300)
    plot.show()
    plot.set_home(-2, 2, -1, 1)
    qtbot.waitExposed(plot)
    QApplication.processEvents()
    return plot


def picture(plot: LabPlot) -> QImage:
    return plot.grab().toImage()


def count(image: QImage, colour: str, tolerance: int = 6) -> int:
    raw = image.convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(raw.constBits(), np.uint8).reshape(raw.height(), raw.width(), 4)[:, :, 2::-1].astype(int)
    return int((np.abs(pixels - np.array(QColor(colour).getRgb()[:3])) <= tolerance).all(axis=2).sum())


# range and mouse


def test_home_keeps_pixels_free_below_for_arrows(plot: LabPlot) -> None:
    plot.set_home(-2, 2, 0, 1, bottom_px=50)
    high = plot.view.rect().height()
    zero = plot.label_layer.pixel(0, 0).y()
    assert high - zero == pytest.approx(50, abs=1)


def test_home_is_taken_again_when_the_plot_grows(plot: LabPlot) -> None:
    plot.set_home(-2, 2, 0, 1, bottom_px=50)
    plot.resize(500, 600)
    QApplication.processEvents()
    assert plot.view.rect().height() - plot.label_layer.pixel(0, 0).y() == pytest.approx(50, abs=1)


def test_zoom_of_the_user_is_kept_until_a_double_click(qtbot: Any, plot: LabPlot) -> None:
    plot.view.scaleBy((0.5, 0.5))
    plot.view.sigRangeChangedManually.emit([True, True])
    plot.set_home(-3, 3, -1, 1)
    assert plot.view.viewRange()[0] == pytest.approx([-1, 1])
    with qtbot.waitSignal(plot.view_reset):
        plot.view.double_clicked.emit()
    assert plot.view.viewRange()[0] == pytest.approx([-3, 3])


def test_ranges_that_are_not_finite_are_ignored(plot: LabPlot) -> None:
    plot.set_home(-2, 2, math.nan, 1)
    plot.set_home(2, 2, 0, 1)
    assert plot.view.viewRange()[1] == pytest.approx([-1, 1])


def test_a_click_says_where_in_data_coordinates(qtbot: Any, plot: LabPlot) -> None:
    spot = plot.mapFromScene(plot.view.mapViewToScene(QPointF(1.0, 0.5)))
    with qtbot.waitSignal(plot.clicked) as caught:
        QTest.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert caught.args == pytest.approx([1.0, 0.5], abs=0.02)


def test_the_context_menu_has_only_our_entries(plot: LabPlot) -> None:
    plot.menu_actions.append(("Start here", lambda: None))
    menu = plot.open_menu(QPoint(10, 10))
    assert [a.text() for a in menu.actions() if a.text()] == ["Start here", "Reset the view", "Copy the picture"]
    menu.close()


# axes


def test_axes_are_named_and_negative_numbers_have_a_true_minus(plot: LabPlot) -> None:
    assert plot.bottom_axis.words == "distance"
    values = plot.bottom_axis.tickValues(-2, 2, 400)[0][1]
    texts = plot.bottom_axis.tickStrings(values, 1, plot.bottom_axis.tickValues(-2, 2, 400)[0][0])
    assert texts[0] == "−2"
    assert "0" in texts


def test_a_low_plot_names_its_axis_in_the_row_of_the_ticks(plot: LabPlot) -> None:
    high = plot.view.rect().height()
    assert plot.bottom_axis.label.isVisible()
    plot.resize(500, 120)
    QApplication.processEvents()
    assert not plot.bottom_axis.label.isVisible()
    assert plot.height() - plot.view.rect().height() < 300 - high
    picture(plot)
    canvas = plot.grab()
    painter = QPainter(canvas)
    _, _, texts = plot.bottom_axis.generateDrawSpecs(painter)
    painter.end()
    assert texts[-1][2] == "distance"
    assert all(not a[0].intersects(b[0]) for a, b in itertools.combinations(texts, 2))
    plot.resize(500, 300)
    QApplication.processEvents()
    assert plot.bottom_axis.label.isVisible()


def test_a_name_longer_than_its_axis_is_elided(plot: LabPlot) -> None:
    plot.set_labels("distance", "a long name that does not fit along this axis at all, whatever is done about it")
    QApplication.processEvents()
    assert plot.left_axis.labelText.endswith("…")
    assert plot.left_axis.label.boundingRect().width() <= plot.left_axis.size().height() + 12


def test_what_stands_after_a_comma_goes_before_a_name_is_cut(plot: LabPlot) -> None:
    plot.set_labels("distance", "rest of the Newton step, damped and then shortened, so that it fits")
    QApplication.processEvents()
    assert plot.left_axis.labelText == "rest of the Newton step"


def numbers_of(axis: Axis) -> list[tuple[QRectF, str]]:
    """(place, text) of every number that an axis writes."""
    image = QImage(10, 10, QImage.Format.Format_ARGB32)
    painter = QPainter(image)
    _, _, texts = axis.generateDrawSpecs(painter)
    painter.end()
    return [(spec[0], spec[2]) for spec in texts]


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.034, 0.0401), (181.616521510, 181.616521523), (-650_000.0, 1_900_000.0), (0.0, 2.1e7), (-7e-15, 2.2e-15),
     (0.61, 0.69), (-0.26, 0.71), (9.9, 30.1)],
)  # fmt: skip
@pytest.mark.parametrize(("width", "height"), [(450, 220), (420, 150), (900, 300)])
def test_every_axis_has_three_numbers_clear_of_each_other(
    plot: LabPlot, low: float, high: float, width: int, height: int
) -> None:
    plot.resize(width, height)
    # distances are measured from somewhere near, losses from zero
    base = low if low > 100 * (high - low) else 0.0
    plot.set_home(low - base, high - base, low, high)
    QApplication.processEvents()
    for axis in (plot.left_axis, plot.bottom_axis):
        written = numbers_of(axis)
        assert len(written) >= 3, axis.orientation
        assert len({text for _, text in written}) == len(written)
        assert not any(a.intersects(b) for (a, _), (b, _) in itertools.combinations(written, 2))


def test_the_numbers_at_the_ends_of_an_axis_are_written_inside_the_plot(plot: LabPlot) -> None:
    plot.resize(440, 220)
    plot.set_home(0, 20_000, 0, 1)
    QApplication.processEvents()
    written = numbers_of(plot.bottom_axis)
    assert (written[0][1], written[-1][1]) == ("0", "20,000")
    for place, _ in written:
        inside = plot.mapFromScene(plot.bottom_axis.mapToScene(place).boundingRect()).boundingRect()
        assert 0 <= inside.left() < inside.right() <= plot.width()


def test_log_axes_have_decades(plot: LabPlot) -> None:
    plot.set_log(False, True)
    spacing, values = plot.left_axis.tickValues(-8, 0, 200)[0]
    assert plot.left_axis.tickStrings(values, 1, spacing)[0] == "10⁻⁸"
    assert not plot.bottom_axis.logMode


def test_plots_downsample_and_clip_also_what_is_added_later(plot: LabPlot) -> None:
    curve = plot.curve("training")
    curve.set_data(np.arange(200_000.0), np.random.default_rng(0).normal(size=200_000))
    plot.set_home(0, 200_000, -5, 5)
    picture(plot)
    x, y = curve.getData()
    assert len(x) < 20_000
    assert np.nanmax(y) > 4


# look


def test_curves_have_the_stroke_of_their_role_and_are_thin_while_a_run_plays(plot: LabPlot) -> None:
    curve, line = plot.curve("training"), plot.polyline("model")
    assert curve.opts["pen"].widthF() == pytest.approx(2.2)
    plot.set_running(True)
    assert curve.opts["pen"].widthF() == 1
    assert line.opts["pen"].widthF() == 1
    assert not curve.opts["antialias"]
    assert plot.curve("validation").opts["pen"].widthF() == 1
    plot.set_running(False)
    assert line.opts["pen"].widthF() == pytest.approx(2)


def test_a_change_of_theme_restyles_in_place(plot: LabPlot) -> None:
    plot.curve("training").set_data([-2, 2], [0.5, 0.5])
    light = picture(plot)
    theme.set_mode("dark")
    dark = picture(plot)
    assert count(light, theme.LIGHT.card) > 10_000
    assert count(dark, theme.DARK.card) > 10_000
    assert count(dark, theme.DARK.training) > 300
    assert count(light, theme.LIGHT.training) > 300


def test_grid_lines_are_light_and_horizontal(plot: LabPlot) -> None:
    image = picture(plot)
    assert count(image, theme.LIGHT.grid, 0) > 1000
    plot.grid.which = ""
    assert count(picture(plot), theme.LIGHT.grid, 0) < 50


# arrows


def test_an_arrow_shorter_than_16_px_is_drawn_longer_and_says_by_how_much(plot: LabPlot) -> None:
    arrow = plot.add(Arrow("gradient", "gradient step"))
    one_pixel = plot.view.viewPixelSize()[0]
    arrow.set(0, 0, 0.32 * one_pixel, 0)
    tail, tip, magnification = arrow.geometry()
    assert tip.x() - tail.x() == pytest.approx(16)
    assert magnification == pytest.approx(50, rel=1e-6)
    assert arrow.label_text() == "gradient step, × 50"


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
        arrow.set(0, 0, direction * 1e-14, 0)
        tail, tip, _ = arrow.geometry()
        assert (tip.x() - tail.x()) * direction == pytest.approx(16)


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


# legend


@pytest.mark.parametrize(
    ("x", "y", "corner"),
    [([-2, 2], [1, -1], "top right"), ([-2, 2], [-1, 1], "top left"), ([0, 2], [0.8, 0.8], "top left")],
)
def test_the_legend_goes_to_the_emptiest_corner(plot: LabPlot, x: Any, y: Any, corner: str) -> None:
    plot.set_legend([("loss", "training"), ("quadratic model", "model")])
    plot.curve("training").set_data(np.linspace(*x, 200), np.linspace(*y, 200))
    plot.place_legend()
    assert plot.legend.corner == corner


def test_the_legend_stays_while_its_corner_is_good_enough(plot: LabPlot) -> None:
    plot.set_legend([("loss", "training")])
    curve = plot.curve("training")
    curve.set_data(np.linspace(-2, 2, 200), np.linspace(-1, 1, 200))
    plot.place_legend()
    assert plot.legend.corner == "top left"
    curve.set_data(np.linspace(-2, 2, 200), np.full(200, -0.2))
    plot.place_legend()
    assert plot.legend.corner == "top left"


def test_in_a_small_plot_the_legend_gives_way(plot: LabPlot) -> None:
    plot.set_legend([("a rather long explanation", "training")] * 4)
    plot.resize(200, 120)
    QApplication.processEvents()
    plot.place_legend()
    assert not plot.legend.isVisible()


def test_a_legend_that_would_cover_too_much_everywhere_is_left_out(plot: LabPlot) -> None:
    plot.set_legend([("loss", "training"), ("quadratic model", "model")])
    curves = [plot.curve("training"), plot.curve("model")]
    x = np.linspace(-2, 2, 400)

    def shown(*heights: Any) -> bool:
        for curve, height in zip(curves, heights, strict=True):
            curve.set_data(x, height)
        plot.place_legend()
        return plot.legend.isVisible()

    everywhere = np.sin(200 * x)
    assert shown(everywhere, -everywhere)
    plot.legend.most = 1.0
    assert not shown(everywhere, -everywhere)
    assert plot.label_layer.keep_free == []
    assert shown(0 * x, 0 * x)


def test_every_kind_of_sample_can_be_drawn(plot: LabPlot) -> None:
    roles = ("training", "validation", "plateau", "not_convex", "trail", "gradient", "newton", "class0", "class7")
    plot.set_legend([(role, role) for role in roles])
    plot.resize(500, 500)
    image = picture(plot)
    assert count(image, theme.LIGHT.gradient) > 10


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
