"""Runs, views and mouse gestures for tests of the landscape panels, without a controller."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from nnopt import optimizers
from nnopt.objectives import functions
from nnopt.objectives.datasets import Data
from nnopt.optimizers.base import Optimizer
from nnopt.runs.experiment import Architecture, Experiment, FunctionProblem, Method, NetworkProblem, one_seed
from nnopt.runs.run import Run
from nnopt_gui.panels.base import Intent, Panel
from nnopt_gui.state.view import View


def function_run(name: str, start: tuple[float, ...] | None = None, optimizer: Optimizer | None = None) -> Run:
    """A run on a test function; gradient descent unless told otherwise."""
    method = Method(optimizer or optimizers.get("sgd")(lr=0.05))
    return Run(Experiment(FunctionProblem(functions.get(name), start), methods=(method,), steps=20_000))


def network_run(hidden: tuple[int, ...] = (3,), points: int = 60, steps: int = 0, lr: float = 0.5) -> Run:
    """A small network on circles, `steps` updates on."""
    data = Data.registry.get("circle")(points=points)
    problem = NetworkProblem(data, Architecture(hidden=hidden))
    run = Run(one_seed(Experiment(problem, methods=(Method(optimizers.get("sgd")(lr=lr)),), steps=20_000), 3))
    run.advance(steps)
    return run


def view_of(run: Run, cursor: int | None = None, probe: Any = None, number: int = 1, **changes: Any) -> View:
    """The view of a step (the newest one), or of a point that is being dragged; Newton steps as the method has them."""
    history = run.history
    changes["choices"] = {"step.damping": "auto", **changes.get("choices", {})}
    cursor = history.length - 1 if cursor is None else cursor
    state = history.seek(cursor)
    if probe is not None:
        state = msgspec.structs.replace(state, theta=np.asarray(probe, dtype=np.float64))
    return View(
        run=number,
        experiment=history.experiment_at(cursor),
        history=history,
        length=history.length,
        cursor=cursor,
        state=state,
        objective=history.problem_at(cursor).objective,
        probe=probe is not None,
        **changes,
    )


def first_picture(parts: Iterator[Any]) -> Any:
    """The first part that shows something."""
    return next(part for part in parts if part is not None)


def show(panel: Panel, view: View) -> None:
    """What the stage does: the view, then every part of its picture."""
    panel.show_view(view)
    picture = panel.picture(view)
    if picture is not None:
        for result in picture.compute():
            if result is not None:
                panel.draw(view, result)
    QApplication.processEvents()


def opened(qtbot: Any, panel: Panel, view: View, size: tuple[int, int] = (640, 360)) -> list[Intent]:
    """Open a panel on a view; the intents that it emits from now on."""
    qtbot.addWidget(panel)
    panel.resize(*size)
    panel.show()
    QApplication.processEvents()
    show(panel, view)
    intents: list[Intent] = []
    panel.intent.connect(intents.append)
    return intents


def pixel(plot: Any, x: float, y: float) -> QPointF:
    """Where a place of a plot is, in pixels of its viewport."""
    return QPointF(plot.mapFromScene(plot.view.mapViewToScene(QPointF(x, y))))


def place(plot: Any, at: QPointF) -> tuple[float, float]:
    """The reverse."""
    found = plot.view.mapSceneToView(plot.mapToScene(at.toPoint()))
    return found.x(), found.y()


_KINDS = {
    "press": QEvent.Type.MouseButtonPress,
    "move": QEvent.Type.MouseMove,
    "release": QEvent.Type.MouseButtonRelease,
}


def mouse(plot: Any, kind: str, at: QPointF) -> None:
    """Press, move (with the button held) or release the left button."""
    button = Qt.MouseButton.NoButton if kind == "move" else Qt.MouseButton.LeftButton
    held = Qt.MouseButton.NoButton if kind == "release" else Qt.MouseButton.LeftButton
    viewport = plot.viewport()
    whole = QPointF(at.toPoint())
    if kind == "move":
        time.sleep(0.012)  # pyqtgraph takes no more than a hundred moves a second
    event = QMouseEvent(_KINDS[kind], whole, viewport.mapToGlobal(whole), button, held, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(viewport, event)
    QApplication.processEvents()


def drag(plot: Any, start: QPointF, *stops: QPointF, release: bool = True) -> None:
    """Press at start, move through the stops, release at the last one."""
    mouse(plot, "press", start)
    for stop in stops:
        mouse(plot, "move", stop)
    if release:
        mouse(plot, "release", stops[-1])


def click(plot: Any, at: QPointF) -> None:
    """Press and release without moving."""
    mouse(plot, "press", at)
    mouse(plot, "release", at)


def of_kind(intents: list[Intent], kind: str) -> list[Intent]:
    """The intents of one kind, in order."""
    return [intent for intent in intents if intent.kind == kind]
