"""The "This step" panel: numbers and bars equal what the log and an independent computation say."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from panel_views import feed, intents, network_run, show, view_of
from step_views import METHODS, STEP, saddle

from nnopt import optimizers
from nnopt.analysis.explanation import explain
from nnopt.objectives import functions
from nnopt.optimizers.batches import Mini
from nnopt.runs.experiment import Experiment, FunctionProblem, Method
from nnopt.runs.run import Run
from nnopt_gui.panels.this_step import StepPanel
from nnopt_gui.panels.this_step_bars import bars
from nnopt_gui.panels.this_step_picture import bold, rows_of, rows_of_log, sentence
from nnopt_gui.widgets import numbers


@pytest.fixture
def panel(styled: Any, request: pytest.FixtureRequest) -> Iterator[StepPanel]:
    yield StepPanel()
    request.node.funcargs.pop("panel")  # see test_boundary_panel


def test_numbers_are_those_of_the_log_and_of_the_hessian(qtbot: Any, panel: StepPanel, runs: dict[str, Run]) -> None:
    run = runs["sgd"]
    view = view_of(run, STEP)
    show(qtbot, panel, view, (1300, 200))
    now, then = run.history.row(STEP), run.history.row(STEP + 1)
    theta, objective = view.state.theta, view.objective
    hessian, gradient = objective.hessian(theta), objective.gradient(theta)
    step = -now["learning_rate"] * gradient
    predicted = gradient @ step + 0.5 * step @ hessian @ step
    largest = np.linalg.eigvalsh(hessian)[-1]
    values = panel.numbers.value
    assert values("Loss") == numbers.number(now["loss"], 4)
    assert values("Gradient norm") == numbers.number(now["gradient_norm"], 4)
    assert values("Actual change") == numbers.signed(then["loss"] - now["loss"], 3)
    assert values("Predicted change") == numbers.signed(predicted, 3)
    assert values("Largest curvature λ") == numbers.number(largest, 3)
    assert values("Stable below 2/λ") == numbers.number(2 / largest, 3)
    assert panel.header.subtitle == f"{STEP} → {STEP + 1}"


def test_bars_are_the_steps_along_the_eigenvectors_steepest_first(
    qtbot: Any, panel: StepPanel, runs: dict[str, Run]
) -> None:
    run = runs["momentum"]
    view = view_of(run, STEP, choices={"step.damping": "auto"})
    show(qtbot, panel, view, (1300, 200))
    shown = panel.bars.shown
    values, vectors = np.linalg.eigh(view.objective.hessian(view.state.theta))
    along = vectors.T @ view.objective.gradient(view.state.theta)
    rate = run.history.row(STEP)["learning_rate"]
    assert shown is not None
    assert shown.group == 1
    np.testing.assert_allclose(shown.curvature, values[::-1], atol=1e-12)
    np.testing.assert_allclose(shown.gradient, np.abs(rate * along)[::-1], rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(shown.newton, np.abs(along / values)[::-1], rtol=1e-5)
    assert shown.negative == np.count_nonzero(values < 0) > 0
    np.testing.assert_array_equal(shown.uphill, values[::-1] < 0)  # against the gradient only where it is not convex


def test_damping_makes_the_newton_step_shorter_and_says_so(qtbot: Any, panel: StepPanel, runs: dict[str, Run]) -> None:
    view = view_of(runs["sgd"], STEP, choices={"step.damping": "0.5"})
    heard = show(qtbot, panel, view, (1300, 200))
    values, vectors = np.linalg.eigh(view.objective.hessian(view.state.theta))
    along = vectors.T @ view.objective.gradient(view.state.theta)
    assert panel.bars.shown is not None
    np.testing.assert_allclose(panel.bars.shown.newton, np.abs(along / (values + 0.5))[::-1], rtol=1e-5)
    assert panel.bars._newton_name == "Newton (μ = 0.5)"
    assert any(r"\mu I" in line.formula.left for line in panel.board.lines)
    feed(panel, view_of(runs["sgd"], STEP))
    assert panel.choice("damping") == "0.05"  # a network's Newton step is damped unless the user chose
    panel.header.choices[0].picked.emit("0.01")
    assert intents(heard, "choose") == [{"name": "step.damping", "value": "0.01"}]


def test_newtons_way_uphill_is_said(qtbot: Any, panel: StepPanel) -> None:
    run = saddle()
    show(qtbot, panel, view_of(run, 0), (1300, 200))
    assert panel.readout.text.startswith(
        "The step goes uphill: the loss rises from 170 to 181.5, because both curvatures are negative."
    )
    assert any("goes uphill" in line.formula.caption for line in panel.board.lines)
    assert next(role for name, _, role in panel.numbers.rows if name == "Actual change") == "bad"


def test_a_newton_step_that_would_go_uphill_is_marked_beside_a_gradient_step(qtbot: Any, panel: StepPanel) -> None:
    run = saddle("sgd")
    show(qtbot, panel, view_of(run, 0), (1300, 200))
    assert "The Newton step would go uphill" in panel.readout.text
    assert panel.bars.shown is not None
    assert panel.bars.shown.uphill.any()
    caption = next(line.formula for line in panel.board.lines if "Newton" in line.formula.caption)
    assert (caption.caption, caption.role) == ("Newton step, not taken: goes uphill", "bad")


def test_the_newest_step_is_still_to_come(qtbot: Any, panel: StepPanel, runs: dict[str, Run]) -> None:
    show(qtbot, panel, view_of(runs["sgd"]), (1300, 200))
    assert panel.numbers.value("Change to come")
    assert panel.board.lines[0].formula.caption == "gradient step, to come"
    feed(panel, view_of(runs["sgd"], 19))
    assert panel.board.lines[0].formula.caption == "gradient step, taken"


def test_while_it_plays_no_equation_is_set_and_showing_is_rare(
    qtbot: Any, panel: StepPanel, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("nnopt_gui.panels.this_step.perf_counter", lambda: clock[0])
    run = runs["sgd"]
    show(qtbot, panel, view_of(run, 3), (1300, 200))
    assert panel.board.lines
    clock[0] = 10.0
    feed(panel, view_of(run, 4, playing=True))
    assert not panel.board.lines
    first = panel.picture(view_of(run, 4, playing=True))
    clock[0] += 0.1
    assert panel.picture(view_of(run, 5, playing=True)) is first
    panel.show_view(view_of(run, 5, playing=True))
    assert panel.header.subtitle == "4 → 5"
    clock[0] += 0.5
    feed(panel, view_of(run, 9, playing=True))
    assert panel.header.subtitle == "9 → 10"
    assert panel.picture(view_of(run, 9, playing=True)) is not first
    feed(panel, view_of(run, 9))
    assert panel.board.lines


def test_a_large_network_shows_the_log_while_it_plays_and_its_extreme_directions_when_it_pauses(
    qtbot: Any, panel: StepPanel
) -> None:
    run = network_run("moons", (24, 24), 6, points=40)
    show(qtbot, panel, view_of(run, 3, playing=True), (1300, 200))
    assert panel.picture(view_of(run, 3, playing=True)) is None
    assert panel.numbers.value("Loss") == numbers.number(run.history.row(3)["loss"], 4)
    assert panel.bars.shown is None
    feed(panel, view_of(run, 3))
    shown = panel.bars.shown
    assert shown is not None
    assert len(shown.curvature) == 12
    values = np.linalg.eigvalsh(run.objective.hessian(run.history.seek(3).theta))
    np.testing.assert_allclose(shown.curvature, [*values[::-1][:6], *values[:6][::-1]], rtol=1e-3, atol=1e-6)
    assert panel.bars._which == f"The 12 extreme ones of {len(values)} directions"


def test_a_dragged_point_keeps_what_is_shown(qtbot: Any, panel: StepPanel, runs: dict[str, Run]) -> None:
    view = view_of(runs["sgd"], STEP)
    show(qtbot, panel, view, (1300, 200))
    rows, asked = panel.numbers.rows, panel.picture(view)
    panel.show_view(dataclasses.replace(view, probe=True))
    assert panel.numbers.rows == rows
    assert panel.picture(dataclasses.replace(view, probe=True)) is asked


def test_a_diverged_step_is_shown_without_an_error(qtbot: Any, panel: StepPanel) -> None:
    problem = FunctionProblem(functions.get("rosenbrock"))
    run = Run(Experiment(problem, (Method(optimizers.get("sgd")(lr=0.02)),), steps=50))
    run.advance(50)
    assert run.outcome.kind == "diverged"
    for step in (run.history.length - 2, run.history.length - 1):
        show(qtbot, panel, view_of(run, step), (900, 180))
        assert panel.numbers.rows


@pytest.mark.parametrize(
    ("width", "bars_shown", "board_shown"), [(400, False, False), (640, True, False), (900, True, True)]
)
def test_what_has_no_room_gives_way(
    qtbot: Any, panel: StepPanel, runs: dict[str, Run], width: int, bars_shown: bool, board_shown: bool
) -> None:
    show(qtbot, panel, view_of(runs["sgd"], STEP), (width, 180))
    assert (panel.bars.isVisible(), panel.board.isVisible()) == (bars_shown, board_shown)


@pytest.mark.parametrize("method", METHODS)
def test_formulas_stay_inside_their_board(qtbot: Any, panel: StepPanel, runs: dict[str, Run], method: str) -> None:
    show(qtbot, panel, view_of(runs[method], STEP), (900, 180))
    for size in ((900, 180), (1300, 200), (1900, 900)):
        panel.resize(*size)
        found = panel.board.arrangement()
        assert len(found.lines) >= 3
        assert found.px >= 13.0
        assert len(found.lines) * found.height <= panel.board.height() + 0.5
        beside = panel.board._captions_width([line for line, _ in found.lines]) if found.captions == "beside" else 0.0
        for line, right in found.lines:
            width = line.left.size(found.px)[0] + (right.size(found.px)[0] if right is not None else 0.0)
            assert beside + width <= panel.board.width()
        if size[0] >= 1300:
            assert all(right is not None for _, right in found.lines)
            assert found.captions != "nowhere"


def test_neighbours_share_a_bar_where_there_are_more_directions_than_room() -> None:
    random = np.random.default_rng(0)
    curvature = np.sort(random.standard_normal(101))[::-1]
    gradient, step, newton = random.standard_normal((3, 101))
    shown = bars(curvature, gradient, step, newton, most=20)
    assert shown.group == 6
    assert len(shown.curvature) <= 22
    assert np.sum(shown.gradient**2) == pytest.approx(np.sum(step**2))
    assert np.sum(shown.newton**2) == pytest.approx(np.sum(newton**2))
    assert np.all(np.diff(shown.curvature) < 0)
    assert shown.negative == -(-np.count_nonzero(curvature < 0) // 6)


def test_a_bars_mark_means_uphill() -> None:
    shown = bars(np.array([2.0, -1.0]), np.array([1.0, 1.0]), np.array([-0.1, -0.1]), np.array([-0.5, 1.0]), most=10)
    assert shown.uphill.tolist() == [False, True]


def test_decisive_numbers_are_bold_but_names_are_not() -> None:
    assert bold("predicts −0.0107, below 2/λ = 4.38.") == "predicts <b>−0.0107</b>, below 2/λ = <b>4.38</b>."
    assert bold("3 of 7 curvatures, +1.2e−5") == "<b>3 of 7</b> curvatures, <b>+1.2e−5</b>"


def test_everything_is_said_for_those_who_cannot_see(qtbot: Any, panel: StepPanel, runs: dict[str, Run]) -> None:
    show(qtbot, panel, view_of(runs["adam"], STEP), (1300, 200))
    facts = explain(runs["adam"].history, STEP, damping=0.05)
    assert panel.accessibleDescription() == panel.readout.text
    assert panel.readout.html == sentence(facts, True, True)
    rows = rows_of(facts, True)
    assert panel.numbers.accessibleDescription() == ", ".join(f"{name} {value}" for name, value, _ in rows)
    assert "directions" in panel.bars.accessibleDescription()
    assert "Adam step, taken" in panel.board.accessibleDescription()


def test_another_step_shows_its_log_at_once_and_the_rest_when_it_is_explained(
    qtbot: Any, panel: StepPanel, runs: dict[str, Run]
) -> None:
    run = runs["sgd"]
    show(qtbot, panel, view_of(run, 4), (1300, 200))
    panel.show_view(view_of(run, 9))
    assert panel.header.subtitle == "9 → 10"
    assert panel.numbers.value("Loss") == numbers.number(run.history.row(9)["loss"], 4)
    assert panel.numbers.value("Predicted change") == "…"
    assert panel.board._faded
    assert panel.bars._faded
    assert panel.readout.text == ""
    feed(panel, view_of(run, 9))
    assert panel.numbers.value("Predicted change") != "…"
    assert not panel.board._faded
    assert not panel.bars._faded


def test_the_loss_of_a_mini_batch_is_called_so(qtbot: Any, panel: StepPanel) -> None:
    run = network_run("moons", (3,), 20, optimizers.get("sgd")(lr=0.1), Mini(5), points=40)
    show(qtbot, panel, view_of(run, 7), (1300, 200))
    row = run.history.row(7)
    assert panel.numbers.value("Batch loss") == numbers.number(row["loss"], 4)
    assert panel.numbers.value("Batch gradient norm") == numbers.number(row["gradient_norm"], 4)
    assert "the batch loss" in panel.readout.text
    assert rows_of_log(row, True)[0][:2] == ("Batch loss", numbers.number(row["loss"], 4))


def test_rounding_is_no_negative_curvature() -> None:
    curvatures = np.array([2.2, 0.1, 3e-16, -7e-15])
    ones = np.ones(4)
    assert bars(curvatures, ones, ones, ones, 10).negative == 0
    assert bars(np.array([2.2, 0.1, -1e-3]), ones[:3], ones[:3], ones[:3], 10).negative == 1


@pytest.mark.parametrize("method", ["damped_newton", "trust_region", "gauss_newton", "newton_cg"])
def test_the_newton_step_beside_a_damped_method_has_the_damping_that_is_named(
    qtbot: Any, panel: StepPanel, runs: dict[str, Run], method: str
) -> None:
    show(qtbot, panel, view_of(runs[method], 3), (1300, 200))
    assert next(button.words for button in panel.header.choices if button.name == "damping") == "μ = 0.05"
    assert panel.bars._newton_name == "Newton (μ = 0.05)"
