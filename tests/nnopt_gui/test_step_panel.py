"""The "This step" panel: numbers, bars and formulas equal what the log and an independent computation say."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from panel_views import feed, intents, network_run, show, view_of

from nnopt import optimizers
from nnopt.analysis.explanation import explain
from nnopt.objectives import functions
from nnopt.optimizers.batches import Mini
from nnopt.runs.experiment import Experiment, FunctionProblem, Method
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Run
from nnopt_gui.panels.this_step import StepPanel
from nnopt_gui.panels.this_step_bars import bars
from nnopt_gui.panels.this_step_formulas import formulas, tex
from nnopt_gui.panels.this_step_picture import bold, rows_of, rows_of_log, sentence
from nnopt_gui.widgets import numbers
from nnopt_gui.widgets.equation import typeset

FIRST_ORDER = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
SECOND_ORDER = (
    "newton", "damped_newton", "saddle_free_newton", "gauss_newton", "trust_region", "newton_cg", "lbfgs",
)  # fmt: skip
METHODS = (*FIRST_ORDER, *SECOND_ORDER)
STEP = 12


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """A short run of every method."""
    return {name: network_run("moons", (3,), 20, optimizers.get(name)(), points=40) for name in METHODS}


@pytest.fixture
def panel(styled: Any, request: pytest.FixtureRequest) -> Iterator[StepPanel]:
    yield StepPanel()
    request.node.funcargs.pop("panel")  # see test_boundary_panel


def saddle(method: str = "newton", start: tuple[float, ...] = (0.0, 0.0)) -> Run:
    """Newton's method on Himmelblau's function, from where it goes uphill."""
    problem = FunctionProblem(functions.get("himmelblau"), start)
    run = Run(Experiment(problem, (Method(optimizers.get(method)()),), steps=8))
    run.advance(8)
    return run


def numbers_in(text: str) -> list[float]:
    """The numbers of a LaTeX text."""
    text = text.replace("{-}", "-")
    text = re.sub(r"\\times 10\^\{(-?\d+)\}", r"e\1", text)
    return [float(found) for found in re.findall(r"(?<![\d_{])-?\d+\.\d+(?:e-?\d+)?", text)]


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


@pytest.mark.parametrize("method", METHODS)
def test_the_formula_of_each_method_holds_its_numbers(runs: dict[str, Run], method: str) -> None:
    run = runs[method]
    optimizer = run.history.stage_at(STEP).optimizer
    lines = formulas(explain(run.history, STEP), optimizer, made=True)
    own = next(line for line in lines if "taken" in line.caption and "not taken" not in line.caption)
    # conjugate gradients stop long before the system is solved
    sign = r"\approx" if method == "newton_cg" else "="
    assert own.left.startswith(rf"\theta_{{{STEP + 1}}}{sign}\theta_{{{STEP}}}")
    length = run.history.row(STEP + 1)["step_norm"]
    assert numbers_in(own.right)[-1] == pytest.approx(length, rel=2e-3, abs=1e-4)
    if method in FIRST_ORDER:
        rate, inner, product = numbers_in(own.right)
        assert rate == pytest.approx(run.history.row(STEP)["learning_rate"], rel=1e-3)
        assert rate * inner == pytest.approx(product, rel=1e-2)
    for line in lines:
        for side in (line.left, line.right, line.brief):
            assert not side or typeset(side).width > 0
    predicted = lines[-1]
    first, second, total = numbers_in(
        predicted.right.replace("-", "+-").replace("{+-}", "{-}").replace("{{-}", "{{-}")
    )[:3]
    assert first + second == pytest.approx(total, abs=2e-4)


def step_line(run: Run, step: int) -> Any:
    """All lines of a step, and the one of the step taken."""
    lines = formulas(explain(run.history, step), run.history.stage_at(step).optimizer, made=True)
    return lines, next(line for line in lines if "taken" in line.caption and "not taken" not in line.caption)


@pytest.mark.parametrize("method", FIRST_ORDER)
def test_a_clipped_and_decayed_gradient_is_said_and_counted(method: str) -> None:
    settings = {"clip": 0.05, "weight_decay": 0.1}
    run = network_run("moons", (3,), 20, optimizers.get(method)(**settings), points=40)
    state, optimizer = run.history.seek(STEP), run.history.stage_at(STEP).optimizer
    used, _ = optimizer.used(run.objective.gradient(state.theta), state.theta)
    lines, own = step_line(run, STEP)
    assert lines[0].caption.startswith("gradient used: clipped at 0.05")
    assert lines[0].caption.endswith("decay w = 0.1")
    assert numbers_in(lines[0].right) == [pytest.approx(np.linalg.norm(used), rel=1e-3)]
    rate, inner, product = numbers_in(own.right)
    assert rate * inner == pytest.approx(product, rel=1e-2)
    assert product == pytest.approx(run.history.row(STEP + 1)["step_norm"], rel=2e-3, abs=1e-4)
    assert r"\nabla L" not in own.left
    for line in lines:
        assert all(not side or typeset(side).width > 0 for side in (line.left, line.right, line.brief))


def test_decoupled_decay_stands_in_the_step_and_not_in_the_gradient() -> None:
    run = network_run("moons", (3,), 20, optimizers.get("adam")(weight_decay=0.1, decoupled=True), points=40)
    lines, own = step_line(run, STEP)
    assert not any("gradient used" in line.caption for line in lines)
    assert rf"+w\theta_{{{STEP}}}" in own.left
    assert typeset(own.left).width > 0


@pytest.mark.parametrize(
    ("method", "matrix", "beside"),
    [
        ("saddle_free_newton", r"|H|^{-1}\nabla L", "Newton step, not taken"),
        ("gauss_newton", r"(G+\mu I)^{-1}\nabla L", "Newton step, not taken"),
        ("trust_region", r"(H+\mu I)^{-1}\nabla L", "gradient step, not taken"),
        ("newton_cg", r"(H+\mu I)^{-1}\nabla L", "Newton step, not taken"),
        ("lbfgs", r"B^{-1}\nabla L", "Newton step, not taken"),
    ],
)
def test_each_second_order_method_is_written_with_its_own_matrix(
    runs: dict[str, Run], method: str, matrix: str, beside: str
) -> None:
    lines, own = step_line(runs[method], STEP)
    assert matrix in own.left
    assert any(line.caption.startswith(beside) for line in lines)
    detail = explain(runs[method].history, STEP).detail
    if "damping" in detail:
        assert numbers_in(own.right)[0] == pytest.approx(detail["damping"], rel=1e-3, abs=1e-4)


def test_a_newton_cg_step_that_ends_at_negative_curvature_is_not_written_as_newtons() -> None:
    run = saddle("newton_cg")
    facts = explain(run.history, 0)
    assert facts.detail["negative"] == 1.0
    lines, own = step_line(run, 0)
    assert r"^{-1}" not in own.left
    assert own.left.endswith(r"+\textcolor{newton}{s}")
    assert lines[0].caption == "conjugate gradients end at negative curvature"
    bent = facts.taken @ run.objective.hessian(facts.theta) @ facts.taken / (facts.taken @ facts.taken)
    assert numbers_in(lines[0].right) == [pytest.approx(bent, rel=1e-3)]
    assert all(typeset(side).width > 0 for line in lines for side in (line.left, line.right))


def test_a_trust_region_shows_its_radius_before_and_after(runs: dict[str, Run]) -> None:
    lines, _ = step_line(runs["trust_region"], STEP)
    radii = [runs["trust_region"].history.seek(step).slots.radius for step in (STEP, STEP + 1)]
    region = next(line for line in lines if line.caption.startswith("region"))
    detail = explain(runs["trust_region"].history, STEP).detail
    assert numbers_in(region.right) == pytest.approx([detail["radius"], radii[1]], rel=1e-2)
    assert detail["radius_before"] == radii[0]


@pytest.mark.parametrize("method", ["saddle_free_newton", "damped_newton", "newton_cg"])
def test_a_part_along_negative_curvature_stands_in_the_formula_and_is_said(method: str) -> None:
    optimizer = optimizers.get(method)()
    history = minimize(functions.formula("(x**2 - 1)**2 + y**2"), optimizer, (0.0, 0.5), steps=20)
    step = next(at for at, note in history.notes if "no slope along the negative curvature" in note)
    for at in (step, step + 1):
        facts = explain(history, at)
        own = next(line for line in formulas(facts, optimizer, made=True) if "taken" in line.caption)
        assert (r"\textcolor{newton}{1.00\,v_{\min}}" in own.left) == (at == step)
        assert any("either way leads down" in said for said in facts.sentences) == (at == step)
        assert typeset(own.left).width > 0


def test_the_memory_of_momentum_is_the_velocity_of_the_slots(runs: dict[str, Run]) -> None:
    run = runs["momentum"]
    lines = formulas(explain(run.history, STEP), run.history.stage_at(STEP).optimizer, made=True)
    velocity = np.linalg.norm(run.history.seek(STEP + 1).slots.velocity)
    assert lines[0].left == rf"v_{{{STEP + 1}}}=\nabla L+\beta v_{{{STEP}}}"
    assert numbers_in(lines[0].right) == [pytest.approx(velocity, rel=1e-3)]


def test_the_memory_of_adam_is_its_mean_gradient_freed_from_bias(runs: dict[str, Run]) -> None:
    run = runs["adam"]
    line = formulas(explain(run.history, STEP), run.history.stage_at(STEP).optimizer, made=True)[0]
    mean = np.linalg.norm(run.history.seek(STEP + 1).slots.mean) / (1 - 0.9 ** (STEP + 1))
    assert numbers_in(line.right) == [pytest.approx(mean, rel=1e-3)]


def test_the_prediction_of_gradient_descent_is_written_in_its_own_form(runs: dict[str, Run]) -> None:
    run = runs["sgd"]
    line = formulas(explain(run.history, STEP), run.history.stage_at(STEP).optimizer, made=True)[-1]
    assert line.left == r"\Delta L\approx{-}\alpha|g|^2+½\alpha^2 g^{\top}Hg"
    row = run.history.row(STEP)
    slope = numbers_in(line.right)[0]
    assert slope == pytest.approx(-row["learning_rate"] * row["gradient_norm"] ** 2, rel=1e-2)


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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12584, "0.1258"),
        (-0.0107, "{-}0.0107"),
        (4.0, "4.000"),
        (123456.0, r"1.23\times 10^{5}"),
        (3.1e-7, r"3.10\times 10^{{-}7}"),
        (float("inf"), r"\infty"),
        (0.0, "0"),
    ],
)
def test_numbers_in_formulas(value: float, text: str) -> None:
    assert tex(value) == text


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
def test_a_method_with_its_own_damping_is_not_called_undamped(
    qtbot: Any, panel: StepPanel, runs: dict[str, Run], method: str
) -> None:
    show(qtbot, panel, view_of(runs[method], 3), (1300, 200))
    assert next(button.words for button in panel.header.choices if button.name == "damping") == "its own μ"
