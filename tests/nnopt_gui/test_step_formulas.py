"""The formulas of a step hold the numbers of the log and of an independent computation."""

import re
from typing import Any

import numpy as np
import pytest
from panel_views import network_run
from step_views import FIRST_ORDER, METHODS, STEP, saddle

from nnopt import optimizers
from nnopt.analysis.explanation import explain
from nnopt.objectives import functions
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Run
from nnopt_gui.panels.this_step_formulas import formulas, tex
from nnopt_gui.widgets.equation import typeset


def numbers_in(text: str) -> list[float]:
    """The numbers of a LaTeX text."""
    text = text.replace("{-}", "-")
    text = re.sub(r"\\times 10\^\{(-?\d+)\}", r"e\1", text)
    return [float(found) for found in re.findall(r"(?<![\d_{])-?\d+\.\d+(?:e-?\d+)?", text)]


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
    assert own.left.endswith(r"+\textcolor{own}{s}")
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
        assert (r"\textcolor{own}{1.00\,v_{\min}}" in own.left) == (at == step)
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
