"""The decision boundary panel: what it shows is what the objective says, and what the hands do is told exactly."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from panel_views import click, drag, feed, intents, network_run, pixel, show, view_of
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from nnopt.objectives import functions
from nnopt.runs.changes import AddExample
from nnopt.runs.experiment import Experiment, FunctionProblem
from nnopt.runs.run import Run
from nnopt_gui.panels.boundary import BoundaryPanel
from nnopt_gui.panels.boundary_picture import Axes, BoundaryPicture, with_units_swapped
from nnopt_gui.widgets import numbers, theme


@pytest.fixture(scope="module")
def circle() -> Run:
    return network_run("circle", points=120, noise=15.0)


@pytest.fixture(scope="module")
def blobs() -> Run:
    return network_run("blobs3", points=90, noise=25.0, steps=25)


@pytest.fixture(scope="module")
def iris() -> Run:
    return network_run("iris", (6,), steps=40)


@pytest.fixture
def panel(styled: Any, request: pytest.FixtureRequest) -> Iterator[BoundaryPanel]:
    yield BoundaryPanel()
    # pytest would keep it, and pyqtgraph's own menu with it, until the test's end has been checked
    request.node.funcargs.pop("panel")


def picture_of(panel: BoundaryPanel) -> BoundaryPicture:
    assert panel._shown is not None
    return panel._shown[1]


@pytest.mark.parametrize("name", ["circle", "blobs", "iris"])
def test_probabilities_on_the_grid_are_those_of_the_objective(
    qtbot: Any, panel: BoundaryPanel, name: str, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(name)
    view = view_of(run)
    show(qtbot, panel, view)
    picture = picture_of(panel)
    dataset, random = run.problem.dataset, np.random.default_rng(0)
    means = dataset.X[run.problem.training].mean(axis=0)
    for _ in range(20):
        row, column = random.integers(len(picture.ys)), random.integers(len(picture.xs))
        x = means.copy()
        x[:2] = (np.array([picture.xs[column], picture.ys[row]]) - dataset.shift[:2]) / dataset.scale[:2]
        expected = view.objective.probabilities(view.state.theta, x[None])[0]
        np.testing.assert_allclose(picture.values[row, column], expected, rtol=1e-10, atol=1e-12)


def test_the_solid_line_is_where_both_classes_are_equally_likely(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    view = view_of(circle)
    show(qtbot, panel, view)
    x, y = picture_of(panel).solid
    known = np.isfinite(x)
    assert known.sum() > 50
    p = view.objective.probabilities(view.state.theta, np.column_stack([x[known], y[known]]))[:, 1]
    assert np.abs(p - 0.5).max() < 0.05  # linear interpolation between grid points
    x, y = picture_of(panel).dashed
    known = np.isfinite(x)
    p = view.objective.probabilities(view.state.theta, np.column_stack([x[known], y[known]]))[:, 1]
    assert np.minimum(np.abs(p - 0.1), np.abs(p - 0.9)).max() < 0.05


def test_lines_between_three_classes_are_where_the_likeliest_one_changes(
    qtbot: Any, panel: BoundaryPanel, blobs: Run
) -> None:
    view = view_of(blobs)
    show(qtbot, panel, view)
    x, y = picture_of(panel).solid
    known = np.isfinite(x)
    p = np.sort(view.objective.probabilities(view.state.theta, np.column_stack([x[known], y[known]])), axis=1)
    assert np.median(p[:, 2] - p[:, 1]) < 0.01


@pytest.mark.parametrize("name", ["circle", "blobs", "iris"])
def test_rings_and_accuracy_equal_an_independent_count(
    qtbot: Any, panel: BoundaryPanel, name: str, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(name)
    view = view_of(run)
    show(qtbot, panel, view)
    dataset = run.problem.dataset
    outputs = run.objective.outputs(view.state.theta, dataset.X)
    said = (outputs[:, 0] > 0).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    wrong = np.flatnonzero(said != dataset.y)
    assert np.array_equal(np.flatnonzero(picture_of(panel).score.wrong), wrong)
    ringed = panel.examples.points._rings.places.T
    np.testing.assert_allclose(np.column_stack(ringed), dataset.original(dataset.X)[wrong, :2])
    for name_, rows in (("training", run.problem.training), ("validation", run.problem.validation)):
        share = float(np.mean(said[rows] == dataset.y[rows]))
        assert f"{name_} {numbers.percent(share)}" in panel.readout.text


def test_a_click_adds_an_example_of_the_picked_class_where_the_mouse_is(
    qtbot: Any, panel: BoundaryPanel, circle: Run
) -> None:
    heard = show(qtbot, panel, view_of(circle))
    hit = click(qtbot, panel.plot, -6.0, 4.5)
    panel.picker.choose(1)
    hit_again = click(qtbot, panel.plot, 6.0, -4.0)
    added = intents(heard, "add_example")
    assert [value["y"] for value in added] == [0, 1]
    np.testing.assert_allclose(added[0]["x"], hit)
    np.testing.assert_allclose(added[1]["x"], hit_again)
    assert abs(hit[0] + 6.0) < 0.1
    circle.fork(circle.state.step).intervene(AddExample(added[1]["x"], added[1]["y"]))  # a run accepts it


def test_the_segments_of_the_picker_can_be_clicked(qtbot: Any, panel: BoundaryPanel, blobs: Run) -> None:
    show(qtbot, panel, view_of(blobs))
    assert panel.picker.isVisible()
    for index in (2, 0):
        qtbot.mouseClick(panel.picker._group.button(index), Qt.MouseButton.LeftButton)
        assert panel.picker.current == index


def test_a_click_on_an_example_selects_it_and_so_does_another(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    heard = show(qtbot, panel, view_of(circle))
    index = _alone(panel)
    click(qtbot, panel.plot, *panel.examples.places[index])
    assert intents(heard, "select") == [{"index": index}]
    assert not intents(heard, "add_example")
    feed(panel, view_of(circle, selection=index))
    assert f"Example {index}" in panel.readout.text
    click(qtbot, panel.plot, *panel.examples.places[index])
    assert intents(heard, "select") == [{"index": index}, {"index": index}]


@pytest.mark.parametrize("name", ["circle", "iris"])
def test_a_drag_moves_the_example_under_the_mouse(
    qtbot: Any, panel: BoundaryPanel, name: str, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(name)
    heard = show(qtbot, panel, view_of(run))
    dataset = run.problem.dataset
    index = _alone(panel)
    start = panel.examples.places[index].copy()
    stop = start + 0.2 * (np.median(panel.examples.places, axis=0) - start) + 0.05
    hit = drag(qtbot, panel.plot, tuple(start), tuple(stop))
    moves = intents(heard, "move_example")
    assert {move["index"] for move in moves} == {index}
    moved = dataset.original(np.array(moves[-1]["x"]))
    np.testing.assert_allclose(moved[:2], hit, atol=1e-9)
    np.testing.assert_allclose(moves[-1]["x"][2:], dataset.X[index, 2:])
    np.testing.assert_allclose(panel.examples.places[index], hit)
    assert not intents(heard, "add_example")


def test_while_the_run_plays_only_the_end_of_a_drag_is_told(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    heard = show(qtbot, panel, view_of(circle, playing=True))
    index = _alone(panel)
    start = panel.examples.places[index].copy()
    drag(qtbot, panel.plot, tuple(start), tuple(start * 0.8))
    assert len(intents(heard, "move_example")) == 1


def test_a_drag_beside_every_example_pans(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    heard = show(qtbot, panel, view_of(circle))
    before = panel.plot.view.viewRange()
    drag(qtbot, panel.plot, (-7.0, 4.5), (-6.0, 4.0))
    assert panel.plot.view.viewRange() != before
    assert not intents(heard, "move_example")
    assert not intents(heard, "add_example")
    (x0, x1), (y0, y1) = panel.plot.view.viewRange()
    asked = {"name": "boundary.range", "value": (x0, x1, y0, y1)}
    qtbot.waitUntil(lambda: asked in intents(heard, "choose"))
    feed(panel, view_of(circle))
    assert (picture_of(panel).xs[0], picture_of(panel).ys[-1]) == (x0, y1)


@pytest.mark.parametrize("key", [Qt.Key.Key_Delete, Qt.Key.Key_Backspace])
def test_delete_removes_the_selected_example(qtbot: Any, panel: BoundaryPanel, circle: Run, key: Qt.Key) -> None:
    heard = show(qtbot, panel, view_of(circle))
    qtbot.keyClick(panel.plot, key)
    assert not intents(heard, "remove_example")
    feed(panel, view_of(circle, selection=7))
    qtbot.keyClick(panel.plot, key)
    assert intents(heard, "remove_example") == [{"index": 7}]


def test_two_units_can_be_swapped_and_the_outputs_stay(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    view = view_of(circle)
    heard = show(qtbot, panel, view)
    assert panel.units.isVisible()
    tiles = panel.units.layout_tiles()
    assert len(tiles) == 4
    weights = circle.problem.network.layers(view.state.theta)[-1][0, :-1]
    np.testing.assert_allclose(panel.units.weights, weights)
    qtbot.mousePress(panel.units, Qt.MouseButton.LeftButton, pos=tiles[0].center().toPoint())
    qtbot.mouseRelease(panel.units, Qt.MouseButton.LeftButton, pos=tiles[3].center().toPoint())
    (moved,) = intents(heard, "move_to")
    theta = np.asarray(moved["theta"])
    assert not np.array_equal(theta, view.state.theta)
    X = circle.problem.dataset.X
    np.testing.assert_allclose(
        view.objective.outputs(theta, X), view.objective.outputs(view.state.theta, X), atol=1e-12
    )
    np.testing.assert_array_equal(with_units_swapped(circle.problem.network, theta, 0, 3), view.state.theta)


def test_tiles_are_the_last_hidden_layer_over_the_same_area(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    view = view_of(circle)
    show(qtbot, panel, view)
    picture = picture_of(panel)
    corner = np.array([[picture.xs[-1], picture.ys[0]]])  # lower right
    expected = view.objective.hidden(view.state.theta, corner)[-1][0]
    np.testing.assert_allclose(picture.units[:, 0, -1], expected)


def test_units_hide_where_there_is_no_room(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    show(qtbot, panel, view_of(circle), (360, 260))
    assert not panel.units.isVisible()


def test_a_regression_over_two_inputs_is_a_map_with_a_scale(qtbot: Any, panel: BoundaryPanel) -> None:
    run = network_run("plane", points=80)
    view = view_of(run)
    heard = show(qtbot, panel, view)
    picture = picture_of(panel)
    assert picture.kind == "values"
    at = np.array([[picture.xs[5], picture.ys[9]]])
    assert picture.values[9, 5] == pytest.approx(view.objective.outputs(view.state.theta, at)[0, 0])
    y, X = run.problem.dataset.y, run.problem.dataset.X
    miss = view.objective.outputs(view.state.theta, X)[:, 0] - y
    error = float(np.sqrt(np.mean(miss[run.problem.validation] ** 2)))
    assert f"validation {numbers.number(error, 3)}" in panel.readout.text
    assert panel.map.bar is not None
    assert panel.map.bar.scale.low == y.min()
    panel.picker.choose(2)
    (_, right), _ = panel.plot.view.viewRange()
    hit = click(qtbot, panel.plot, right - 1.0, 0.0)
    (added,) = intents(heard, "add_example")
    np.testing.assert_allclose(added["x"], hit)
    assert added["y"] == pytest.approx(y.max(), abs=0.1)


def test_a_regression_over_one_input_is_a_curve(qtbot: Any, panel: BoundaryPanel) -> None:
    run = network_run("sine", (6,), points=50)
    view = view_of(run)
    heard = show(qtbot, panel, view)
    x, y = panel.map._curves[0].getData()
    np.testing.assert_allclose(y, view.objective.outputs(view.state.theta, x[:, None])[:, 0])
    assert not panel.units.isVisible()
    hit = click(qtbot, panel.plot, 0.0, -0.9)
    (added,) = intents(heard, "add_example")
    np.testing.assert_allclose(added["x"], hit[:1])
    assert added["y"] == pytest.approx(hit[1])
    assert (panel.plot.bottom_axis.words, panel.plot.left_axis.words) == ("x", "y")


def test_with_more_than_two_inputs_two_are_chosen_and_the_others_stay_at_their_means(
    qtbot: Any, panel: BoundaryPanel, iris: Run, circle: Run
) -> None:
    view = view_of(iris, choices={"boundary.x": "2", "boundary.y": "3"})
    heard = show(qtbot, panel, view)
    dataset = iris.problem.dataset
    assert (panel.choice("x"), panel.choice("y")) == ("2", "3")
    np.testing.assert_allclose(panel.examples.places, dataset.original(dataset.X)[:, 2:])
    assert panel.plot.bottom_axis.words == "petal length"
    assert "2 others are at their means" in panel.readout.text
    picture = picture_of(panel)
    x = dataset.X[iris.problem.training].mean(axis=0)
    x[2:] = (np.array([picture.xs[3], picture.ys[4]]) - dataset.shift[2:]) / dataset.scale[2:]
    np.testing.assert_allclose(picture.values[4, 3], view.objective.probabilities(view.state.theta, x[None])[0])
    panel.header.choices[1].picked.emit("0")
    assert intents(heard, "choose")[-1] == {"name": "boundary.x", "value": "0"}
    feed(panel, view_of(circle, number=2))
    assert [button.name for button in panel.header.choices] == ["show"]


def test_equal_axes_become_neighbours(iris: Run) -> None:
    dataset, training = iris.problem.dataset, iris.problem.training
    assert (Axes.of(dataset, training, 2, 2).x, Axes.of(dataset, training, 2, 2).y) == (2, 3)
    assert (Axes.of(dataset, training, 3, 3).y, Axes.of(dataset, training, 9, 1).x) == (2, 3)


def test_while_it_plays_a_coarse_map_is_enough(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    show(qtbot, panel, view_of(circle, playing=True))
    coarse = picture_of(panel)
    assert not coarse.fine
    feed(panel, view_of(circle))
    assert picture_of(panel).fine
    assert len(picture_of(panel).xs) > 2 * len(coarse.xs)
    assert panel.map.line.opts["pen"].widthF() == 2.2


def test_equal_views_ask_for_the_same_picture(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    show(qtbot, panel, view_of(circle))
    first, second = panel.picture(view_of(circle)), panel.picture(view_of(circle))
    other = panel.picture(view_of(circle, cursor=3))
    assert first is not None
    assert second is not None
    assert other is not None
    assert first.key == second.key != other.key


def test_decision_shows_the_likeliest_class_alone(qtbot: Any, panel: BoundaryPanel, blobs: Run) -> None:
    show(qtbot, panel, view_of(blobs, choices={"boundary.show": "decision"}))
    pixels = panel.map.image._pixels
    colours = {tuple(rgb) for rgb in pixels[:, :, :3].reshape(-1, 3).tolist()}
    regions = [QColor(theme.LIGHT.class_region(index)).getRgb()[:3] for index in range(3)]
    assert colours <= set(regions)


def test_a_diverged_network_is_shown_without_an_error(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    view = view_of(circle)
    broken = view.state.theta.copy()
    broken[:] = np.nan
    state = msgspec.structs.replace(view.state, theta=broken)
    show(qtbot, panel, dataclasses.replace(view, state=state))
    assert len(picture_of(panel).solid[0]) == 0


def test_two_classes_learnt_by_squared_error_have_a_boundary_at_one_half(qtbot: Any, panel: BoundaryPanel) -> None:
    run = network_run("circle", points=80, loss="squared_error")
    view = view_of(run)
    show(qtbot, panel, view)
    outputs = run.objective.outputs(view.state.theta, run.problem.dataset.X)[:, 0]
    wrong = (outputs > 0.5).astype(int) != run.problem.dataset.y
    assert np.array_equal(picture_of(panel).score.wrong, wrong)


def test_a_function_has_no_boundary_and_says_so(qtbot: Any, panel: BoundaryPanel) -> None:
    experiment = Experiment(FunctionProblem(functions.get("rosenbrock")), steps=5)
    assert not BoundaryPanel.supports(experiment)
    run = Run(experiment)
    run.advance(5)
    show(qtbot, panel, view_of(run))
    assert panel.nothing.isVisible()
    assert panel.picture(view_of(run)) is None


def test_its_parts_have_accessible_names(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    show(qtbot, panel, view_of(circle))
    assert panel.accessibleName() == "Decision boundary"
    assert panel.accessibleDescription() == panel.readout.text
    assert panel.plot.accessibleName()
    assert panel.picker._group.button(1).accessibleName() == "add class 1"
    assert "output weights" in panel.units.accessibleDescription()


def _alone(panel: BoundaryPanel) -> int:
    """An example that has no other one within reach of the mouse."""
    places = np.array([[p.x(), p.y()] for p in (pixel(panel.plot, *xy) for xy in panel.examples.places)])
    distance = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(places))
    return int(distance.min(axis=1).argmax())


def test_of_a_large_data_set_some_are_drawn_and_all_are_counted(qtbot: Any, panel: BoundaryPanel) -> None:
    run = network_run("gauss", (3,), 3, points=20_000, noise=30.0)
    view = view_of(run)
    heard = show(qtbot, panel, view)
    assert panel.examples.points.drawn < 3100
    dataset = run.problem.dataset
    said = (run.objective.outputs(view.state.theta, dataset.X)[:, 0] > 0).astype(int)
    assert np.array_equal(picture_of(panel).score.wrong, said != dataset.y)
    share = float(np.mean(said[run.problem.training] == dataset.y[run.problem.training]))
    assert f"training {numbers.percent(share)}" in panel.readout.text
    ringed = panel.examples.points._rings.places
    drawn = panel.examples._rows[np.isin(panel.examples._rows, np.flatnonzero(said != dataset.y))]
    np.testing.assert_allclose(ringed, dataset.X[drawn])
    index = int(panel.examples._rows[-1])
    click(qtbot, panel.plot, *panel.examples.places[index])
    assert intents(heard, "select")[0]["index"] in panel.examples._rows
    feed(panel, view_of(run, playing=True))
    assert "training about" in panel.readout.text


@pytest.mark.parametrize("size", [(640, 360), (460, 200), (380, 260)])
def test_the_picker_covers_neither_the_ticks_nor_the_name_of_the_axis(
    qtbot: Any, panel: BoundaryPanel, circle: Run, size: tuple[int, int]
) -> None:
    show(qtbot, panel, view_of(circle), size)
    qtbot.wait(100)  # the view has come to rest
    place, area = panel.picker.geometry(), panel.plot.view.sceneBoundingRect().toRect()
    assert panel.plot.rect().contains(place.center())
    assert area.contains(place) or place.top() > area.bottom() + 14
    if not area.contains(place):
        assert place.left() > area.center().x() + 10
