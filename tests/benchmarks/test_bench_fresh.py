"""How fresh the screen is: which step each panel's newest pixels show, how often that changes, and how old it gets.

    pytest tests/benchmarks/test_bench_fresh.py -s

A timer's tick says nothing about what is new on the screen, so this looks at every painting of every panel. The targets
are those of two cores without AVX-512 and nothing else to do.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QObject
from test_bench_gui import FOREVER, SECONDS, alone, network, spin

from nnopt.objectives.datasets import Data
from nnopt.optimizers.base import Optimizer
from nnopt.runs.experiment import Architecture, Experiment, Method, NetworkProblem, Stop, default_experiment
from nnopt_gui.shell.main_window import MainWindow


def large() -> Experiment:
    """2-32-32-32-1 on 2,000 points."""
    problem = NetworkProblem(Data.registry.decode({"name": "spiral", "points": 2000}), Architecture((32, 32, 32)))
    method = Method(Optimizer.registry.decode({"name": "sgd", "lr": 1e-2}))
    return Experiment(problem, (method,), steps=FOREVER, stop=Stop(gradient_norm=0.0))


class Fresh(QObject):
    """Watches paintings: per picture what it showed and when that was new."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._panels = {panel.id: panel for panel in window.docks.panels}
        self._head = lambda: window.controller.model.run.state.step
        self._newest: dict[str, Any] = {}
        self.times: dict[str, list[float]] = defaultdict(list)
        self.lags: dict[str, list[int]] = defaultdict(list)
        panels, views = self._panels, {}
        for panel in panels.values():
            self._note(panel, views)
        landscape, cut = panels["landscape"].scene, panels["slice"].scene
        self._shows: dict[str, dict[str, Callable[[], Any]]] = {
            "boundary": {"boundary": lambda: views.get("boundary drawn")},
            "loss": {"loss": lambda: panels["loss"]._taken - 1},
            "landscape": {
                "landscape point": lambda: self._step_of(landscape.local, views, "landscape"),
                "landscape map": lambda: id(landscape.values),
            },
            "slice": {
                "slice point": lambda: self._step_of(cut.picture, views, "slice"),
                "slice curve": lambda: id(cut.picture.curve) if cut.picture is not None else None,
            },
        }
        for name, panel in panels.items():
            if name in self._shows:
                panel.plot.viewport().installEventFilter(self)
                panel.plot.viewport().setProperty("panel", name)
        window.timeline.installEventFilter(self)
        window.timeline.setProperty("panel", "timeline")
        self._shows["timeline"] = {"timeline": lambda: window.timeline.cursor}

    def _note(self, panel: Any, views: dict[str, Any]) -> None:
        """Remember the step of the view that what a panel draws is for."""
        draw, show = panel.draw, panel.show_view

        def drawn(view: Any, result: Any) -> None:
            views[f"{panel.id} drawn"] = view.cursor
            draw(view, result)

        def shown(view: Any) -> None:
            views[f"{panel.id} shown"] = (view.cursor, view.state.theta)
            show(view)

        panel.draw, panel.show_view = drawn, shown

    def _step_of(self, thing: Any, views: dict[str, Any], name: str) -> Any:
        if thing is None:
            return None
        cursor, theta = views.get(f"{name} shown", (None, None))
        live = getattr(thing, "theta", None) is not None and np.array_equal(thing.theta, theta)
        return cursor if live else views.get(f"{name} drawn")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            now = time.perf_counter()
            for name, what in self._shows[watched.property("panel")].items():
                newest = what()
                if newest is not None and newest != self._newest.get(name):
                    self._newest[name] = newest
                    self.times[name].append(now)
                    if isinstance(newest, int) and newest < FOREVER:
                        self.lags[name].append(self._head() - newest)
        return False

    def report(self, seconds: float, began: float) -> dict[str, tuple[float, float]]:
        """Per picture: new ones a second, and the longest time without one, s."""
        result = {}
        for name in [name for shows in self._shows.values() for name in shows]:
            times = [began, *(t for t in self.times[name] if began <= t <= began + seconds), began + seconds]
            result[name] = ((len(times) - 2) / seconds, float(np.diff(times).max()))
        return result


def played(
    window: MainWindow, experiment: Experiment, speed: float | None
) -> tuple[dict[str, tuple[float, float]], Any]:
    """What is new on the screen in `SECONDS` of playing; with frame intervals and updates per second."""
    controller = window.controller
    controller.transport.set_speed(speed)
    fresh = Fresh(window)
    controller.editing.start(experiment, "benchmark", play=True)
    spin(lambda: controller.model.run is not None and controller.model.head > 20)
    warm = time.perf_counter() + 2.0
    spin(lambda: time.perf_counter() > warm)
    ticks: list[float] = []
    controller.framed.connect(lambda drawn: ticks.append(time.perf_counter()))
    began, first = time.perf_counter(), controller.model.run.state.step
    spin(lambda: time.perf_counter() - began > SECONDS)
    rate = (controller.model.run.state.step - first) / SECONDS
    found = fresh.report(SECONDS, began)
    p50, p99 = np.percentile(np.diff(ticks) * 1e3, [50, 99])
    pace = "flat out" if speed is None else f"{speed:.0f} steps/s"
    print(f"\n{pace}: {rate:,.0f} updates/s; frames p50 {p50:.1f}, p99 {p99:.1f} ms")
    for name, (many, longest) in found.items():
        print(f"  {name:16s} {many:5.1f} new pictures/s, longest without one {longest * 1e3:4.0f} ms")
    controller.transport.pause()
    return found, (rate, p99)


def test_at_60_steps_a_second(window):
    found, (_, p99) = played(window, default_experiment(), 60.0)
    for name in ("boundary", "landscape point", "slice point", "loss", "timeline"):
        assert found[name][0] >= 25, name
    for name in ("landscape map", "slice curve"):
        assert found[name][0] >= 8, name
    assert p99 <= 33


def test_flat_out(window):
    lone = alone(network())
    found, (rate, _) = played(window, network(), None)
    print(f"  {rate / lone:.0%} of {lone:,.0f} updates/s alone")
    assert found["boundary"][0] >= 12
    assert found["loss"][0] >= 12
    assert found["landscape point"][0] >= 6
    assert found["slice point"][0] >= 6
    assert rate >= 0.5 * lone


def test_a_larger_network_flat_out(window):
    found, _ = played(window, large(), None)
    for name in ("boundary", "landscape point", "slice point", "loss", "timeline"):
        assert found[name][1] <= 0.5, name
