"""Adding and dragging examples: what was touched is selected, and the axes stand still under the mouse."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from panel_views import click, drag, feed, network_run, show, view_of

from nnopt.runs.changes import AddExample, MoveExample
from nnopt.runs.run import Run
from nnopt_gui.panels.base import Intent
from nnopt_gui.panels.boundary import BoundaryPanel
from nnopt_gui.panels.boundary_examples import is_edit


@pytest.fixture
def circle() -> Run:
    return network_run("circle", points=60, noise=15.0, steps=5)


@pytest.fixture
def panel(styled: Any, request: pytest.FixtureRequest) -> Iterator[BoundaryPanel]:
    yield BoundaryPanel()
    request.node.funcargs.pop("panel")  # see test_boundary_panel


def kinds(found: list[Intent], kind: str) -> list[dict[str, Any]]:
    return [intent.values for intent in found if intent.kind == kind]


def test_an_added_example_is_selected_once_it_is_there(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    found = show(qtbot, panel, view_of(circle))
    (x0, _), (y0, _) = panel.plot.view.viewRange()
    click(qtbot, panel.plot, x0 + 1.0, y0 + 1.0)
    added = kinds(found, "add_example")
    assert len(added) == 1
    assert not kinds(found, "select")
    circle.intervene(AddExample(added[0]["x"], added[0]["y"]))
    panel.show_view(view_of(circle))
    assert kinds(found, "select") == [{"index": circle.problem.dataset.n - 1}]
    panel.show_view(view_of(circle, selection=circle.problem.dataset.n - 1))
    assert len(kinds(found, "select")) == 1


def test_an_example_that_was_dragged_is_selected(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    found = show(qtbot, panel, view_of(circle))
    x, y = panel.examples.places[4]
    index = panel.examples.find(x, y)
    drag(qtbot, panel.plot, (x, y), (x + 0.4, y + 0.3))
    moved = kinds(found, "move_example")[-1]
    assert moved["index"] == index
    circle.intervene(MoveExample(moved["index"], moved["x"]))
    # a change of the past begins another run
    panel.show_view(view_of(circle, number=2))
    assert kinds(found, "select")[-1] == {"index": index}


def test_an_example_outside_the_cloud_leaves_the_axes_where_they_are(
    qtbot: Any, panel: BoundaryPanel, circle: Run
) -> None:
    show(qtbot, panel, view_of(circle))
    before = panel.plot.view.viewRange()
    circle.intervene(AddExample((before[0][1] - 0.1, 0.0), 1))
    feed(panel, view_of(circle, number=2))
    assert panel.plot.view.viewRange() == before
    feed(panel, view_of(network_run("spiral", points=60, noise=15.0, steps=0), number=3))
    assert panel.plot.view.viewRange() != before


def test_an_edit_differs_by_one_example(circle: Run) -> None:
    data = circle.problem.dataset
    added = data.with_example((0.0, 1.0), 1)
    for other in (data, added, data.without(7), data.moved(3, (0.5, 0.5))):
        assert is_edit(data, other)
        assert is_edit(other, data)
    assert not is_edit(data, data.moved(3, (0.5, 0.5)).moved(4, (0.5, 0.5)))
    assert not is_edit(data, added.with_example((0.0, 2.0), 1))
    assert not is_edit(data, network_run("circle", points=60, noise=15.0, steps=0, seed=4).problem.dataset)
    assert not is_edit(data, network_run("blobs3", points=60, steps=0).problem.dataset)
    assert np.array_equal(added.X[:-1], data.X)


def test_a_regression_is_called_a_prediction(qtbot: Any, panel: BoundaryPanel, circle: Run) -> None:
    show(qtbot, panel, view_of(network_run("sine", points=40, steps=2)))
    assert panel.header.title == "Prediction"
    assert panel.header.choices[0].full_text == "Show: prediction"
    feed(panel, view_of(circle, number=2))
    assert panel.header.title == "Decision boundary"
    assert panel.choice("show") == "probability"
