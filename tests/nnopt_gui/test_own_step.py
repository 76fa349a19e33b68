"""The step that the panels draw is the step that the run makes: for every method, of all examples and of a batch."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from landscape_views import first_picture, function_run, view_of
from step_views import FIRST_ORDER, METHODS

from nnopt import optimizers
from nnopt.objectives import functions
from nnopt.objectives.datasets import Data
from nnopt.optimizers.batches import Batches
from nnopt.runs.experiment import Architecture, Experiment, Method, NetworkProblem, one_seed
from nnopt.runs.run import Run
from nnopt_gui.panels import landscape_steps, own_step
from nnopt_gui.panels.landscape_model import Ask, landscapes
from nnopt_gui.panels.landscape_steps import first_steps, known_steps, steps_at
from nnopt_gui.panels.own_step import NAMES
from nnopt_gui.panels.slice_picture import slices

STEP = 4


def run_of(method: str, batch: int | None) -> Run:
    problem = NetworkProblem(Data.registry.get("circle")(points=40), Architecture(hidden=(4,)))
    batches = Batches.registry.get("full")() if batch is None else Batches.registry.get("mini")(size=batch)
    run = Run(one_seed(Experiment(problem, (Method(optimizers.get(method)(), batches=batches),), steps=STEP + 2), 2))
    run.advance(STEP + 2)
    return run


def steps_on(run: Run, batch: int | None) -> list[int]:
    return [step for step in range(1, STEP) if step + 1 < run.history.length]


@pytest.mark.parametrize("batch", [None, 8])
@pytest.mark.parametrize("method", METHODS)
def test_the_step_that_is_drawn_is_the_step_that_the_run_makes(method: str, batch: int | None) -> None:
    run = run_of(method, batch)
    for step in steps_on(run, batch):
        view = view_of(run, step)
        steps = steps_at(view)
        taken = run.history.seek(step + 1).theta - run.history.seek(step).theta
        drawn = [steps.own.step] if steps.own is not None else [steps.gradient_step, steps.newton]
        scale = np.linalg.norm(taken) + 1e-3 * np.linalg.norm(run.history.seek(step).theta)
        assert min(np.linalg.norm(found - taken) for found in drawn) <= 1e-12 * scale
        if steps.own is not None:
            assert steps.own.value == pytest.approx(view.objective.value(run.history.seek(step + 1).theta), rel=1e-12)
            assert steps.own.name.startswith(NAMES[method]) or (batch and method in ("sgd", "newton"))
            assert steps.own.batch == (batch is not None) == ("batch" in steps.own.name)


@pytest.mark.parametrize("method", METHODS)
def test_slice_and_landscape_hold_the_same_step(method: str) -> None:
    view = view_of(run_of(method, 8), 2)
    own = steps_at(view).own
    assert own is not None
    (picture,) = [first_picture(landscapes(view, Ask("gradient_newton", 1.6)))]
    assert picture.local.own is own
    local = next(slices(view, "newton")).local
    assert (local.own_name, local.own_length, local.own_value) == (own.name, own.length, own.value)
    unit = steps_at(view).newton / np.linalg.norm(steps_at(view).newton)
    assert local.own_step == pytest.approx(own.step @ unit, rel=1e-12)


def test_adam_on_rosenbrock_steps_0_0141_and_gains_2_91() -> None:
    run = function_run("rosenbrock", (-1.2, 1.0), optimizers.get("adam")(lr=0.01))
    own = steps_at(view_of(run)).own
    assert own is not None
    # Adam's first step is lr along each coordinate, against the sign of its gradient: (-215.6, -88) there
    np.testing.assert_allclose(own.step, [0.01, 0.01], rtol=1e-8)
    assert own.length == pytest.approx(0.01 * np.sqrt(2), rel=1e-8)
    assert 24.2 - own.value == pytest.approx(24.2 - (100 * (1.01 - 1.19**2) ** 2 + 2.19**2), rel=1e-6)
    assert 24.2 - own.value == pytest.approx(2.91, abs=0.005)


def test_gradient_descent_and_newton_have_no_other_step() -> None:
    assert steps_at(view_of(function_run("rosenbrock"))).own is None
    assert steps_at(view_of(function_run("rosenbrock", None, optimizers.get("newton")()))).own is None
    half = steps_at(view_of(function_run("rosenbrock", None, optimizers.get("newton")(lr=0.5))))
    assert half.own is not None
    assert half.own.name == "scaled Newton step"
    np.testing.assert_allclose(half.own.step, 0.5 * half.newton, rtol=1e-14)


def test_the_trust_region_step_ends_at_its_radius_beside_newtons() -> None:
    steps = steps_at(view_of(function_run("himmelblau", (0.0, 0.0), optimizers.get("trust_region")(radius=0.5))))
    assert steps.own is not None
    assert steps.radius == 0.5
    assert steps.own.length == pytest.approx(0.5, rel=1e-10)
    # H = diag(-42, -26), g = (-14, -22): Newton's step goes up, to the maximum
    np.testing.assert_allclose(steps.newton, [-14 / 42, -22 / 26])
    assert steps.own.value < steps.value


@pytest.mark.parametrize("method", FIRST_ORDER)
def test_a_frame_needs_no_curvature_for_a_first_order_step(method: str) -> None:
    view = view_of(run_of(method, 8), 3)
    assert known_steps(view) is None
    first = first_steps(view)
    assert first.around is not None
    assert not first.around.knows_hessian
    assert not first.complete
    assert known_steps(view) is None
    whole = steps_at(view)
    assert known_steps(view) is whole
    assert whole.complete
    assert first.own is not None
    assert whole.own is first.own


def test_a_dragged_points_step_has_the_runs_memory_there() -> None:
    run = function_run("rosenbrock", (-1.2, 1.0), optimizers.get("momentum")(lr=0.001, beta=0.9))
    run.advance(3)
    place = np.array([0.3, 0.7])
    own = steps_at(view_of(run, 3, probe=place)).own
    assert own is not None
    velocity = run.history.seek(3).slots.velocity
    gradient = functions.get("rosenbrock").gradient(place)
    np.testing.assert_allclose(own.step, -0.001 * (gradient + 0.9 * velocity), rtol=1e-14)


def test_one_state_is_computed_once_for_all_panels(monkeypatch: Any) -> None:
    run = run_of("trust_region", None)
    view = view_of(run, 2)
    calls = []
    hessian = type(view.objective).hessian
    monkeypatch.setattr(type(view.objective), "hessian", lambda self, theta: calls.append(1) or hessian(self, theta))
    list(landscapes(view, Ask("gradient_newton", 1.6, quick=True)))
    list(slices(view, "newton"))
    from nnopt_gui.panels.this_step_picture import Request

    next(Request(view.history, 2, view.length, 0.0, False, landscape_steps.around(view)).compute())
    assert len(calls) == 1


def test_the_steps_of_few_states_are_kept() -> None:
    run = run_of("adam", None)
    for step in range(STEP):
        for number in range(5):
            steps_at(view_of(run, step, number=number))
    assert len(landscape_steps._memory.states) <= landscape_steps.KEPT


def test_a_changed_method_at_the_same_step_has_another_step() -> None:
    run = function_run("rosenbrock", (-1.2, 1.0), optimizers.get("momentum")(lr=0.001))
    run.advance(3)
    before = steps_at(view_of(run, 3)).own
    from nnopt.runs.changes import SetSetting

    run.intervene(SetSetting("methods[0].optimizer.lr", 0.002))
    after = steps_at(view_of(run, 3)).own
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(after.step, 2 * before.step, rtol=1e-14)


def test_a_method_that_does_not_suit_the_function_has_no_step() -> None:
    steps = steps_at(view_of(function_run("himmelblau", (0.0, 0.0), optimizers.get("gauss_newton")())))
    assert steps.own is None


def test_every_method_has_a_name_for_its_step() -> None:
    assert set(METHODS) == set(NAMES)
    assert own_step.name_of_step(msgspec.structs.replace(optimizers.get("adam")(), lr=0.1), False) == "Adam step"
