"""Plots: range and mouse, axes, look and legend."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from plot_views import count, picture, pixels
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QGraphicsItem

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.axis import Axis
from nnopt_gui.widgets.plot import LabPlot

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
    plot.grid.update()
    assert count(picture(plot), theme.LIGHT.grid, 0) < 50


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


def test_a_plot_that_was_very_narrow_keeps_no_pieces_from_then(qtbot: Any, styled: QApplication) -> None:
    plot = LabPlot("x", "y")
    qtbot.addWidget(plot)
    for width in (60, 80, 120, 150):
        plot.resize(width, 150)
        plot.show()
        for right in (7.0, 9.0):
            plot.set_home(-7.0 - width / 50, right, -3.0, 3.0)
            qtbot.wait(20)
            pixels(plot)
    plot.resize(174, 150)
    qtbot.wait(50)
    kept = pixels(plot)
    for item in plot.scene().items():
        item.setCacheMode(QGraphicsItem.CacheMode.NoCache)
    anew = pixels(plot)
    assert np.abs(kept - anew).max() < 40  # blending rounds
