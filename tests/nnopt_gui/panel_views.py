"""Runs, views and panels for the tests of the boundary, loss and step panels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, QPointF, Qt

from nnopt import optimizers
from nnopt.analysis.plateaus import PlateauDetector
from nnopt.objectives import datasets
from nnopt.objectives.network import GlorotUniform
from nnopt.optimizers.batches import Full
from nnopt.runs.experiment import Architecture, Experiment, Method, NetworkProblem, one_seed
from nnopt.runs.run import Run
from nnopt_gui.panels.base import Intent, Panel
from nnopt_gui.state.view import View


def network_run(
    data: str = "circle",
    hidden: tuple[int, ...] = (4,),
    steps: int = 60,
    optimizer: Any = None,
    batches: Any = None,
    initial: Any = None,
    seed: int = 3,
    loss: str = "auto",
    l2: float = 0.0,
    **settings: Any,
) -> Run:
    """A run of a small network, advanced to its end."""
    architecture = Architecture(hidden, initial=initial or GlorotUniform())
    problem = NetworkProblem(datasets.get(data, **settings), architecture, loss=loss, l2=l2)
    method = Method(optimizer or optimizers.get("adam")(lr=0.03), batches=batches or Full())
    run = Run(one_seed(Experiment(problem, (method,), steps=max(steps, 1)), seed))
    run.advance(steps)
    return run


def view_of(
    run: Run,
    cursor: int | None = None,
    *,
    playing: bool = False,
    choices: Mapping[str, Any] | None = None,
    selection: int | None = None,
    number: int = 1,
) -> View:
    """What a panel is shown of a run."""
    history = run.history
    cursor = history.length - 1 if cursor is None else cursor
    columns = history.columns
    known = np.isfinite(columns["training_loss"])
    detector = PlateauDetector()
    detector.extend(columns["training_loss"][known], columns["step"][known])
    return View(
        number,
        history.experiment_at(cursor),
        history,
        history.length,
        cursor,
        history.seek(cursor),
        history.problem_at(cursor).objective,
        playing,
        plateaus=tuple(detector.plateaus()),
        choices=choices or {},
        selection=selection,
    )


def show(qtbot: Any, panel: Panel, view: View, size: tuple[int, int] = (640, 360)) -> list[Any]:
    """Shows a panel with everything computed; what it emits is collected in the list that is returned."""
    if not panel.isVisible():
        qtbot.addWidget(panel)
        panel.resize(*size)
        panel.show()
        qtbot.waitExposed(panel)
    heard: list[Intent] = []
    panel.intent.connect(heard.append)
    for _ in range(2):  # the first one lays the plot out, the second one computes for the range it then has
        feed(panel, view)
        qtbot.wait(1)
    return heard


def feed(panel: Panel, view: View) -> None:
    """One frame, its picture included."""
    panel.show_view(view)
    picture = panel.picture(view)
    for result in picture.compute() if picture is not None else ():
        panel.draw(view, result)


def pixel(plot: Any, x: float, y: float) -> QPoint:
    """Where a place of a plot is in its viewport."""
    return plot.mapFromScene(plot.view.mapViewToScene(QPointF(x, y)))


def place(plot: Any, at: QPoint) -> tuple[float, float]:
    """The place in the plot at a pixel of its viewport."""
    found = plot.view.mapSceneToView(plot.mapToScene(at))
    return found.x(), found.y()


def click(qtbot: Any, plot: Any, x: float, y: float) -> tuple[float, float]:
    """Clicks a place of a plot; returns the place of the pixel that was hit."""
    at = pixel(plot, x, y)
    qtbot.mouseMove(plot.viewport(), at)
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=at)
    return place(plot, at)


def drag(qtbot: Any, plot: Any, start: tuple[float, float], stop: tuple[float, float]) -> tuple[float, float]:
    """Drags from one place to another in a few moves; returns the place of the last pixel."""
    first, last = pixel(plot, *start), pixel(plot, *stop)
    viewport = plot.viewport()
    qtbot.mouseMove(viewport, first)
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=first)
    for share in (0.3, 0.6, 1.0):
        at = QPoint(
            round(first.x() + share * (last.x() - first.x())), round(first.y() + share * (last.y() - first.y()))
        )
        qtbot.wait(12)  # pyqtgraph takes at most 100 moves a second
        _move(viewport, at)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=last)
    return place(plot, last)


def _move(viewport: Any, at: QPoint) -> None:
    """A move with the button held, which QTest does not send."""
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QMouseEvent
    from PySide6.QtWidgets import QApplication

    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(at),
        QPointF(viewport.mapToGlobal(at)),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(viewport, event)


def intents(heard: list[Any], kind: str) -> list[dict[str, Any]]:
    """The values of all intents of a kind."""
    return [intent.values for intent in heard if intent.kind == kind]
