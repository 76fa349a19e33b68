"""What is painted again, and what not: kept pictures, parts of a plot, legends and labels that follow, rests."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from panel_views import network_run, show, view_of
from plot_views import pixels
from PySide6.QtCore import QBuffer, QByteArray, QEvent, QIODevice, QObject, QTimer
from PySide6.QtGui import QColor, QImage, QPainter, QPicture, QRegion
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QApplication

from nnopt_gui.panels.loss_curves import LossPanel
from nnopt_gui.shell.controller import FRAME_MS, Controller
from nnopt_gui.widgets import theme
from nnopt_gui.widgets.bands import Hatch
from nnopt_gui.widgets.contours import Polyline
from nnopt_gui.widgets.heatmap import HeatMap
from nnopt_gui.widgets.marks import Arrow, ClassPoints, DraggablePoint, Mark, StepLine, Trail
from nnopt_gui.widgets.plot import LEGEND_PACE, Curve, LabPlot
from nnopt_gui.widgets.rest import Rest

#: a transparent layer is put on what lies below it with a rounding of its own
ROUNDING = 3
#: the edges of letters are smoothed a little differently on a layer than on the screen
LETTERS = 32


@pytest.fixture
def plot(qtbot: Any, styled: QApplication) -> LabPlot:
    plot = LabPlot("distance", "loss", still=True)
    qtbot.addWidget(plot)
    plot.resize(500, 300)
    plot.show()
    plot.set_home(-2, 2, -1, 1)
    qtbot.waitExposed(plot)
    QApplication.processEvents()
    return plot


def wave(plot: LabPlot, role: str = "training") -> Curve:
    curve = plot.curve(role)
    x = np.linspace(-2, 2, 300)
    curve.set_data(x, 0.8 * np.sin(3 * x))
    return curve


def ellipses(plot: LabPlot, role: str = "model") -> Polyline:
    line = plot.polyline(role)
    angle = np.append(np.linspace(0, 2 * np.pi, 120), np.nan)
    line.set(*(np.concatenate([r * part for r in (0.2, 0.5, 0.8)]) for part in (np.cos(angle), np.sin(angle))))
    return line


def inside(plot: LabPlot, picture: Any, scale: float) -> Any:
    """The part of a picture of the plot that lies between its axes."""
    left, top, right, bottom = (round(scale * x) for x in plot.view.sceneBoundingRect().getCoords())
    return picture[top + 2 : bottom - 2, left + 2 : right - 2]


def repaint(plot: LabPlot, times: int = 1) -> None:
    """The whole plot; what stays is kept from the second time on."""
    for _ in range(times):
        plot.scene().update()
        plot.viewport().repaint()


class Watch(QObject):
    """What is painted in a plot."""

    def __init__(self, plot: LabPlot) -> None:
        super().__init__(plot)
        self.region = QRegion()
        self._viewport = plot.viewport()
        QApplication.processEvents()
        self._viewport.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            self.region |= event.region()  # type: ignore[attr-defined]
        return False

    @property
    def share(self) -> float:
        """Part of the plot that was painted since it was asked for last."""
        QApplication.processEvents()
        area = sum(rect.width() * rect.height() for rect in self.region)
        self.region = QRegion()
        return area / (self._viewport.width() * self._viewport.height())


# ------------------------------------------------------------------------------------------------------ kept pictures


@pytest.mark.parametrize("scale", [1.0, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("role", ["training", "boundary"])
def test_a_kept_line_looks_as_one_that_is_painted_each_time(plot: LabPlot, role: str, scale: float) -> None:
    curve, line = wave(plot), ellipses(plot, role)
    painted = pixels(plot, scale)
    pixels(plot, scale)
    before = curve.curve.kept.painted, line.kept.painted
    kept = pixels(plot, scale)
    assert (curve.curve.kept.painted, line.kept.painted) == before
    assert (inside(plot, painted, scale) != 255).any()
    assert np.abs(inside(plot, kept - painted, scale)).max() <= ROUNDING
    assert np.abs(kept - painted).max() <= LETTERS


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_a_kept_map_looks_as_one_that_is_painted_each_time(plot: LabPlot, scale: float) -> None:
    heat = HeatMap(plot, bar=False)
    heat.set(np.add.outer(np.arange(1.0, 30), np.arange(1.0, 20)), (-2, 2, -1, 1))
    painted = pixels(plot, scale)
    pixels(plot, scale)
    before = heat.image.kept.painted
    kept = pixels(plot, scale)
    np.testing.assert_array_equal(inside(plot, kept, scale), inside(plot, painted, scale))
    assert np.abs(kept - painted).max() <= LETTERS
    assert heat.image.kept.painted == before


def test_a_line_is_not_painted_again_while_other_things_move(plot: LabPlot) -> None:
    curve, line = wave(plot), ellipses(plot)
    mark = plot.add(Mark("diamond", "newton"))
    mark.set(-1.5, 0.0)
    repaint(plot, 2)
    before = curve.curve.kept.painted, line.kept.painted
    for x in (-1.0, 0.0, 1.0):
        mark.set(x, 0.0)
        plot.viewport().repaint()
    assert (curve.curve.kept.painted, line.kept.painted) == before


def test_it_is_painted_anew_with_other_data_another_range_another_size_and_another_theme(plot: LabPlot) -> None:
    line = ellipses(plot)
    changes = [
        lambda: line.set([-1.0, 1.0], [0.0, 0.5]),
        lambda: plot.set_home(-3, 3, -1, 1),
        lambda: plot.resize(520, 320),
        lambda: theme.set_mode("dark"),
    ]
    for change in changes:
        repaint(plot, 3)
        before = line.kept.painted
        change()
        QApplication.processEvents()
        repaint(plot, 2)
        assert line.kept.painted > before
        after = line.kept.painted
        repaint(plot, 2)
        assert line.kept.painted == after
    assert (np.abs(pixels(plot) - np.array(QColor(theme.DARK.model).getRgb()[2::-1])) <= 6).all(axis=2).any()


def test_the_lines_of_a_running_plot_are_not_kept(plot: LabPlot) -> None:
    curve, line = wave(plot), ellipses(plot)
    plot.set_running(True)
    plot.viewport().repaint()
    before = curve.curve.kept.painted, line.kept.painted
    curve.set_data([-2.0, 2.0], [0.0, 1.0])
    line.set([-2.0, 2.0], [0.0, 1.0])
    plot.viewport().repaint()
    assert (curve.curve.kept.painted, line.kept.painted) == before
    plot.set_running(False)
    repaint(plot, 3)
    assert (curve.curve.kept.painted, line.kept.painted) == (before[0] + 2, before[1] + 2)


@pytest.fixture
def still(qtbot: Any, styled: QApplication) -> tuple[LabPlot, dict[str, Any], list[str]]:
    """A plot with what stands still in it, by name, and the names of those that were painted."""
    plot = LabPlot("distance", "loss")
    qtbot.addWidget(plot)
    plot.resize(500, 300)
    plot.set_home(-2, 2, -1, 1)
    plot.set_legend([("loss", "training")])
    points = ClassPoints(plot)
    points.set(np.random.default_rng(0).uniform(-1, 1, (40, 2)), np.arange(40) % 2)
    items = {"left": plot.left_axis, "bottom": plot.bottom_axis, "grid": plot.grid, "legend": plot.legend}
    items |= {"hatch": plot.add(Hatch()), "examples": points._items[0, True], "mark": plot.add(Mark("star", "newton"))}
    items["hatch"].set([(-1.0, 0.5, "")])
    items["mark"].set(-1.5, 0.0)
    painted: list[str] = []

    def watch(name: str, item: Any) -> None:
        paint = item.paint

        def watched(*given: Any) -> None:
            painted.append(name)
            paint(*given)

        item.paint = watched

    for name, item in items.items():
        watch(name, item)
    plot.show()
    qtbot.waitExposed(plot)
    plot.place_legend()
    repaint(plot, 3)
    return plot, items | {"points": points}, painted


def test_axis_grid_legend_hatch_and_examples_are_not_painted_again_while_other_things_move(still: Any) -> None:
    plot, items, painted = still
    assert set(painted) == items.keys() - {"points"}
    painted.clear()
    for x in (-1.0, 0.0, 1.0):
        items["mark"].set(x, 0.0)
        QApplication.processEvents()
    assert set(painted) == {"mark"}
    items["hatch"].set([(-1.0, 0.7, "")])
    items["points"].set(np.zeros((40, 2)), np.arange(40) % 2)
    plot.set_legend([("loss", "training"), ("model", "model")])
    QApplication.processEvents()
    assert {"hatch", "examples", "legend"} <= set(painted)
    assert not {"left", "bottom", "grid"} & set(painted)
    plot.set_home(-3, 3, -1, 2)
    QApplication.processEvents()
    assert {"left", "bottom", "grid"} <= set(painted)


def test_what_is_kept_on_the_screen_is_drawn_as_it_is_in_a_vector_picture(still: Any) -> None:
    plot, items, painted = still
    painted.clear()
    picture = QPicture()
    painter = QPainter(picture)
    plot.render(painter)
    painter.end()
    assert set(painted) == items.keys() - {"points"}
    repaint(plot, 2)
    painted.clear()
    items["mark"].set(1.0, 0.0)
    QApplication.processEvents()
    assert set(painted) == {"mark"}


def test_words_keep_their_distance_to_what_they_name_while_a_run_plays(plot: LabPlot) -> None:
    wall, arrow = plot.add(Mark("diamond", "newton", size=60)), plot.add(Arrow("gradient", "gradient step"))
    wall.set(0.5, 0.0)
    arrow.set(-0.5, 0.0, 0.2, 0.0)
    plot.set_running(True)

    def distance() -> Any:
        (label,) = plot.label_layer.placed()
        return label.placed.topLeft() - label.rect.topLeft()

    first = distance()
    assert first.manhattanLength() > 1  # it gives way to the mark
    arrow.set(-1.5, 0.0, -1.0, 0.0)
    assert distance() == first
    plot.label_layer._placed = -np.inf  # a while later
    assert distance().manhattanLength() < 1
    plot.set_running(False)
    arrow.set(-0.5, 0.0, 0.2, 0.0)
    assert distance().manhattanLength() > 1


def test_words_that_would_meet_are_placed_anew_at_once(plot: LabPlot) -> None:
    first, second = plot.add(Arrow("gradient", "gradient step")), plot.add(Arrow("newton", "Newton step"))
    first.set(-1.5, 0.5, -1.0, 0.5)
    second.set(-1.5, -0.5, -1.0, -0.5)
    plot.set_running(True)
    plot.label_layer.placed()
    second.set(-1.5, 0.5, -1.0, 0.45)
    one, other = plot.label_layer.placed()
    assert not one.placed.intersects(other.placed)


def test_a_map_beside_the_view_is_not_painted(plot: LabPlot) -> None:
    empty = pixels(plot)
    HeatMap(plot, bar=False).set(np.ones((5, 5)), (10, 11, 10, 11))
    for _ in range(3):
        np.testing.assert_array_equal(pixels(plot), empty)


def test_in_a_vector_picture_lines_stay_lines(plot: LabPlot) -> None:
    ellipses(plot)
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    painter = QPainter(generator)
    plot.render(painter)
    painter.end()
    buffer.close()
    text = bytes(data.data()).decode()
    assert text.count("<path") > 3
    assert "<image" not in text


def test_what_was_painted_before_is_seen_in_a_recording_too(plot: LabPlot) -> None:
    line = ellipses(plot)
    repaint(plot, 2)
    recorded = QPicture()
    painter = QPainter(recorded)
    plot.render(painter)
    painter.end()
    line.clear()
    image = QImage(plot.size(), QImage.Format.Format_RGB32)
    image.fill(0xFFFFFF)
    painter = QPainter(image)
    painter.drawPicture(0, 0, recorded)
    painter.end()
    raw = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)[:, :, 2::-1]
    assert (np.abs(raw.astype(int) - QColor(theme.LIGHT.model).getRgb()[:3]) <= 6).all(axis=2).sum() > 50


# ------------------------------------------------------------------------------------------------- parts of a plot


def test_only_the_places_that_a_step_and_a_point_leave_and_reach_are_painted(plot: LabPlot) -> None:
    wave(plot)
    line, point = plot.add(StepLine()), plot.add(DraggablePoint(draggable=False))
    line.set(-1.5)
    point.set(-1.5, 0.5)
    watch = Watch(plot)
    line.set(1.5)
    point.set(1.5, -0.5)
    assert 0 < watch.share < 0.15
    line.set(1.5)
    point.set(1.5, -0.5)
    assert watch.share == 0
    whole = pixels(plot)
    pieces = plot.screen().grabWindow(plot.winId()).toImage().convertToFormat(QImage.Format.Format_RGB32)
    shown = np.frombuffer(pieces.constBits(), np.uint8).reshape(pieces.height(), pieces.width(), 4)[:, :, :3]
    assert np.abs(shown.astype(int) - whole).max() <= ROUNDING


def test_where_a_label_gives_way_the_whole_plot_is_painted_again(plot: LabPlot) -> None:
    plot.add(Arrow("gradient", "gradient step")).set(-0.5, 0.0, 0.5, 0.0)
    point = plot.add(DraggablePoint())
    point.set(-1.8, -0.8)
    watch = Watch(plot)
    point.set(-1.8, 0.8)
    assert 0 < watch.share < 0.1
    label = next(label for label in plot.label_layer.placed() if label.text == "gradient step")
    middle = label.placed.center()
    point.set(*point.data(middle))
    assert watch.share > 0.5
    moved = next(label for label in plot.label_layer.placed() if label.text == "gradient step")
    assert not moved.placed.contains(middle)


def test_a_seek_paints_little_of_the_loss_curves(qtbot: Any, styled: QApplication) -> None:
    run = network_run("circle", (4,), 300)
    panel = LossPanel()
    show(qtbot, panel, view_of(run, 20))
    repaint(panel.plot, 2)
    kept = [curve.curve.kept.painted for curve in panel.curves.values()]
    watch = Watch(panel.plot)
    panel.show_view(view_of(run, 250))
    assert 0 < watch.share < 0.2
    assert [curve.curve.kept.painted for curve in panel.curves.values()] == kept
    assert panel.step_line.x == 250


def test_rings_around_the_same_examples_are_not_painted_again(plot: LabPlot) -> None:
    points = ClassPoints(plot)
    points.set(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    points.set_wrong(np.array([1]))
    points.set_selected(0)
    watch = Watch(plot)
    points.set_wrong(np.array([1]))
    points.set_selected(0)
    assert watch.share == 0
    points.set_wrong(np.array([], dtype=int))
    points.set_selected(1)
    assert watch.share > 0


def test_a_trail_of_steps_within_a_pixel_looks_like_one_of_few_steps(plot: LabPlot) -> None:
    trail = plot.add(Trail(most_dots=5000))
    x = np.linspace(-1, 1, 20)
    trail.set(x, np.zeros(20))
    few = pixels(plot)
    trail.set(np.repeat(x, 50), np.zeros(1000))
    np.testing.assert_array_equal(pixels(plot), few)


# -------------------------------------------------------------------------------------------------- legend and rests


def test_the_legend_finds_a_better_corner_soon_after_the_data_came(qtbot: Any, plot: LabPlot) -> None:
    plot.set_legend([("loss", "training")])
    curve = plot.curve("training")
    curve.set_data(np.linspace(-2, 2, 200), np.linspace(1, -1, 200))
    plot.viewport().repaint()
    assert plot.legend.corner == "top right"
    curve.set_data(np.linspace(0, 2, 200), np.full(200, 0.8))
    plot.viewport().repaint()
    qtbot.waitUntil(lambda: plot.legend.corner == "top left", timeout=LEGEND_PACE + 2000)
    assert plot.label_layer.keep_free == [plot.legend.frame]


def test_a_rest_is_over_once_after_the_last_of_many_moves(qtbot: Any, qapp: QApplication) -> None:
    parent = QObject()
    ended: list[float] = []
    rest = Rest(parent, 60, lambda: ended.append(time.monotonic()))
    mover = QTimer(parent)
    rest.after(mover.timeout)
    moves: list[float] = []
    mover.timeout.connect(lambda: moves.append(time.monotonic()))
    mover.start(10)
    qtbot.waitUntil(lambda: len(moves) >= 12)
    mover.stop()
    assert not ended
    qtbot.waitUntil(lambda: bool(ended))
    qtbot.wait(150)
    assert len(ended) == 1
    assert ended[0] - moves[-1] >= 0.05


# -------------------------------------------------------------------------------------------------- when it is painted


@pytest.fixture
def controller(qapp: QApplication) -> Iterator[Controller]:
    controller = Controller()
    yield controller
    assert controller.close()


def test_what_the_user_moves_is_drawn_at_once_unless_something_was_drawn_just_now(controller: Controller) -> None:
    controller._timer.start()
    controller._last_frame = time.perf_counter()  # a tick in which nothing was drawn
    controller._hurry()
    assert controller._soon.interval() == 0
    controller._soon.stop()
    controller._last_drawn = time.perf_counter()
    controller._hurry()
    assert 0 < controller._soon.interval() <= FRAME_MS / 2
