"""The form of an experiment: its sections, its members, and what does not fit."""

from typing import Any

import msgspec
import pytest
from form_views import field, shown, type_into
from PySide6.QtWidgets import QApplication, QFileDialog

from nnopt.errors import NnoptError, UnsupportedError
from nnopt.objectives import functions
from nnopt.objectives.datasets import Data
from nnopt.objectives.generators import Circle, Xor
from nnopt.objectives.losses import LOSSES, loss_function
from nnopt.optimizers import schedules
from nnopt.optimizers.base import Optimizer
from nnopt.optimizers.batches import Full, Mini
from nnopt.optimizers.momentum import Momentum
from nnopt.optimizers.schedules import Constant
from nnopt.runs.experiment import (
    Architecture,
    Experiment,
    FunctionProblem,
    Method,
    NetworkProblem,
    default_experiment,
)
from nnopt.runs.problem import build
from nnopt.runs.run import Run
from nnopt_gui.widgets import specs, words
from nnopt_gui.widgets.fields import NumberField
from nnopt_gui.widgets.rows import NoteRow
from nnopt_gui.widgets.words import unfit_losses, unfit_methods


@pytest.mark.parametrize("name", [name for name in Data.registry.names() if name != "csv"])
def test_of_the_losses_just_those_are_refused_that_the_examples_cannot_take(name: str) -> None:
    dataset = Data.registry.get(name)().make(1)
    refused = unfit_losses(dataset)
    for loss in LOSSES:
        try:
            loss_function(loss).encode(dataset.y, dataset.outputs)
        except NnoptError:
            assert refused[loss].endswith(".")
        else:
            assert loss not in refused


@pytest.mark.parametrize("experiment", [default_experiment(), Experiment(FunctionProblem(functions.get("rosenbrock")))])
def test_of_the_methods_just_those_are_refused_that_the_objective_cannot_take(experiment: Experiment) -> None:
    refused = unfit_methods(build(experiment).objective)
    for name in Optimizer.registry.names():
        run = Run(msgspec.structs.replace(experiment, methods=(Method(Optimizer.registry.get(name)()),)))
        try:
            run.advance(1)
        except UnsupportedError:
            assert refused[name].endswith(".")
        else:
            assert name not in refused


def test_methods_are_offered_in_the_order_in_which_they_are_taught() -> None:
    names = [name for name, _ in words.member_choices(Optimizer.registry)]
    assert names[:3] == ["sgd", "momentum", "nesterov"]
    assert set(names) == set(Optimizer.registry.names())


def test_methods_with_a_whole_hessian_are_refused_for_large_networks() -> None:
    problem = NetworkProblem(Circle(points=20), Architecture((100, 100)))
    assert set(unfit_methods(build(Experiment(problem)).objective)) == {
        "newton", "damped_newton", "gauss_newton", "saddle_free_newton", "trust_region",
    }  # fmt: skip


def test_a_wrong_formula_is_explained_in_full_with_the_cursor_at_the_wrong_character(
    qtbot: Any, styled: QApplication
) -> None:
    form = shown(qtbot, Experiment(FunctionProblem(functions.get("formula"))))
    row, text = form.row("problem.function.text"), field(form, "problem.function.text")
    assert text.width() > row.width() - 20
    type_into(qtbot, text, "(1-x)**2 + 5*foo(x)")
    QApplication.processEvents()
    assert row.message.text.startswith("'foo' is not known")
    assert row.message.text.endswith("at character 14")
    assert row.message.wraps
    assert text.cursorPosition() == 13


def test_a_formula_has_one_start_unless_its_file_brings_another(qtbot: Any, styled: QApplication) -> None:
    form = shown(qtbot, Experiment(FunctionProblem(functions.get("formula"))))
    assert [row.field.path for row in form.rows.values() if row.field.label == "Start"] == ["problem.start"]
    form = shown(qtbot, Experiment(FunctionProblem(functions.get("formula", begin=(1.0,)))))
    assert form.row("problem.function.begin").isVisible()


def test_the_form_of_an_experiment_has_the_sections_of_the_window(qtbot: Any, styled: QApplication) -> None:
    form = shown(qtbot, Experiment(NetworkProblem(Circle())))
    sections = sorted((s for s in form.sections.values() if s.isVisible()), key=lambda section: section.y())
    # the method first: the learning rate is seen without scrolling
    assert [section.title for section in sections] == ["Method", "Problem", "Data", "Network", "Run"]
    assert field(form, "problem.network.hidden").text() == "4, 2"
    assert form.row("methods[0].optimizer").editor.currentText() == "Momentum"
    assert isinstance(field(form, "methods[0].optimizer.lr"), NumberField)
    verdicts = [row.field for row in form.rows.values() if isinstance(row, NoteRow)]
    assert [(v.label, v.optional) for v in verdicts] == [("Σ α = ∞", True), ("Σ α² < ∞", False)]


def test_every_member_of_every_registry_can_be_chosen_in_the_form(qtbot: Any, styled: QApplication) -> None:
    form = shown(qtbot, Experiment(NetworkProblem(Circle())))
    for path in ("problem.data", "problem.network.initial", "methods[0].optimizer", "methods[0].schedule"):
        for name, _ in form.row(path).field.options:
            form.row(path).editor.picked.emit(name)
            owner = form.value.problem if path == "problem.data" else None
            if owner is not None:
                assert specs.tag_of(owner.data) == name
    form.row("problem").editor.picked.emit("function")
    assert isinstance(form.value.problem, FunctionProblem)
    for name, _ in form.row("problem.function").field.options:
        form.row("problem.function").editor.picked.emit(name)
        assert specs.tag_of(form.value.problem.function) == name
    form.row("problem").editor.picked.emit("network")
    assert isinstance(form.value.problem, NetworkProblem)


def test_switching_the_data_keeps_points_and_noise(qtbot: Any, styled: QApplication) -> None:
    form = shown(qtbot, Experiment(NetworkProblem(Circle(points=123, noise=7))))
    form.row("problem.data").editor.picked.emit("xor")
    assert form.value.problem.data == Xor(points=123, noise=7)


def test_edits_of_an_experiment_carry_the_path_and_a_checked_value(qtbot: Any, styled: QApplication) -> None:
    form = shown(qtbot, Experiment(NetworkProblem(Circle(), Architecture((4,))), methods=(Method(Momentum()),)))
    edits: list[tuple[str, Any]] = []
    form.edited.connect(lambda path, value: edits.append((path, value)))
    type_into(qtbot, field(form, "methods[0].optimizer.lr"), "0.05")
    type_into(qtbot, field(form, "problem.network.hidden"), "8, 8")
    form.row("methods[0].batches").editor.picked.emit("mini")
    form.row("problem.network.activation").editor.picked.emit("relu")
    assert edits == [
        ("methods[0].optimizer.lr", 0.05),
        ("problem.network.hidden", (8, 8)),
        ("methods[0].batches", Mini()),
        ("problem.network.activation", "relu"),
    ]
    method = form.value.methods[0]
    assert (method.schedule, method.batches) == (Constant(), Mini())
    form.row("methods[0].batches").editor.picked.emit("full")
    assert form.value.methods[0].batches == Full()


def test_a_start_with_the_wrong_number_of_parameters_is_explained(qtbot: Any, styled: QApplication) -> None:
    form = shown(qtbot, Experiment(specs.default_of(FunctionProblem)))
    type_into(qtbot, field(form, "problem.start"), "1, 2, 3")
    assert form.row("problem.start").message.text.startswith("expected 2 numbers")


def test_a_file_is_chosen_with_the_button(qtbot: Any, styled: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    form = shown(qtbot, Experiment(NetworkProblem(Circle())))
    form.row("problem.data").editor.picked.emit("csv")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("/data/iris.csv", ""))
    with qtbot.waitSignal(form.edited) as caught:
        form.row("problem.data.path")._choose_file()
    assert caught.args == ["problem.data.path", "/data/iris.csv"]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("constant", ["reaches any distance", "not guaranteed"]),
        ("inverse_time", ["reaches any distance", "any noise dies out"]),
        ("exponential", ["stops short", "any noise dies out"]),
    ],
)
def test_a_verdict_says_what_it_means_where_its_reason_has_no_room(schedule, said):
    notes = words.notes_of(schedules.Schedule.registry.get(schedule)())
    assert [words.consequence(note.text, note.good) for note in notes] == said
