"""Plateau or converged? The loss panel asks on its own, and says the answer in words."""

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from panel_views import feed, intents, network_run, show, view_of

from nnopt import optimizers
from nnopt.analysis.standing import Standing
from nnopt.objectives.network import Normal
from nnopt.runs.run import Run
from nnopt_gui.panels.loss_curves import LossPanel
from nnopt_gui.panels.loss_curves_data import CURVATURE, answer
from nnopt_gui.widgets import numbers


@pytest.fixture(scope="module")
def plain() -> Run:
    """On the first plateau, a saddle."""
    sgd = optimizers.get("sgd")(lr=2.0)
    run = network_run("circle", (8,), 0, sgd, initial=Normal(1e-6), l2=0.001, points=100, noise=10.0)
    run.extend(60)
    run.advance(60)
    return run


@pytest.fixture
def panel(styled: Any, request: pytest.FixtureRequest) -> Iterator[LossPanel]:
    yield LossPanel()
    request.node.funcargs.pop("panel")  # see test_boundary_panel


def test_the_link_answers_with_gradient_and_curvature(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    heard = show(qtbot, panel, view_of(plain, 20))
    view = view_of(plain, 20)
    assert panel.picture(view) is None
    with qtbot.waitSignal(panel.stale):
        panel.link_activated.emit(CURVATURE)
    # the question is the panel's own: it changes no choice, of which other pictures depend
    assert intents(heard, "choose") == []
    assert intents(heard, "seek") == [{"step": 20}]
    picture = panel.picture(view)
    assert picture is not None
    assert not picture.heavy
    panel.draw(view, *picture.compute())
    assert panel.picture(view) is None
    theta = plain.history.seek(20).theta
    lowest = np.linalg.eigvalsh(view.objective.hessian(theta))[0]
    assert lowest < 0
    gradient = numbers.number(float(np.linalg.norm(view.objective.gradient(theta))), 2)
    assert panel.readout.text == (
        f"Step 20: |gradient| {gradient}, smallest curvature {numbers.number(lowest, 2)}: a saddle, it will escape."
    )
    feed(panel, view_of(plain, 21))
    assert "saddle" not in panel.readout.text


def test_the_curvature_of_a_large_network_is_heavy_work(qtbot: Any, panel: LossPanel) -> None:
    view = view_of(network_run("circle", (80,), 1))
    assert view.state.theta.size == 321
    show(qtbot, panel, view)
    panel.link_activated.emit(CURVATURE)
    picture = panel.picture(view)
    assert picture is not None
    assert picture.heavy


@pytest.mark.parametrize(
    ("found", "words"),
    [((0.0, 0.0, 2.0, 0.1, 0.0), "a valley of minima"), ((math.nan, math.nan, math.nan, 0.1, 0.0), "neither can be")],
)
def test_every_answer_has_its_words(found: tuple[float, ...], words: str) -> None:
    assert words in answer(Standing(*found), 3)


@pytest.mark.parametrize(
    ("loss", "fallen", "words"),
    [
        (0.0018, 0.7, "a saddle, but at most 0.0018 is left to fall."),
        (0.5, 0.2, "a saddle, it will escape."),
        (0.0018, math.nan, "a saddle, it will escape."),
    ],
)
def test_a_saddle_of_a_solved_problem_does_not_sound_like_a_plateau(loss: float, fallen: float, words: str) -> None:
    found = Standing(gradient_norm=0.0025, lowest=-1.2e-4, highest=0.07, loss=loss, promised=0.0)
    assert re.sub("<.*?>", "", answer(found, 7, fallen)).endswith(words)
