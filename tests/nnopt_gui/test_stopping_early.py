"""Early stopping in the laboratory: its switch, a run that ends by itself, the best step, the generalization gap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from laboratory import make_panel, network
from panel_views import click, feed, intents, network_run, show, view_of
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from nnopt import optimizers
from nnopt.analysis.plateaus import Plateau
from nnopt.objectives import functions
from nnopt.optimizers.stopping import EarlyStopping
from nnopt.runs.changes import SetSetting
from nnopt.runs.experiment import Experiment, FunctionProblem, set_path
from nnopt.runs.run import Run
from nnopt.runs.state import Best, Outcome
from nnopt_gui.panels.loss_curves import LossPanel
from nnopt_gui.panels.loss_curves_data import HeldOut, held_out, sentence
from nnopt_gui.shell.actions import KeyKeeper
from nnopt_gui.shell.controller import Controller
from nnopt_gui.shell.main_window import MainWindow
from nnopt_gui.state.settings import Preferences
from nnopt_gui.widgets import numbers, theme
from nnopt_gui.widgets.forms import SettingsForm
from nnopt_gui.widgets.richline import plain
from nnopt_gui.widgets.timeline import Timeline

NOISY = {"name": "circle", "points": 60, "noise": 30.0}


def overfitting(early: EarlyStopping | None = None) -> Experiment:
    """Few and noisy points: the validation loss soon rises again."""
    experiment = set_path(network(2000, lr=0.5), "problem.data", NOISY)
    return set_path(set_path(experiment, "problem.network.hidden", [8]), "stop.early", early)


@pytest.fixture(scope="module")
def stopped() -> Run:
    run = Run(overfitting(EarlyStopping(patience=15)))
    run.advance(2000)
    assert run.outcome.kind == "stopped_early"
    return run


@pytest.fixture
def panel(styled: Any, request: pytest.FixtureRequest) -> Iterator[LossPanel]:
    yield LossPanel()
    request.node.funcargs.pop("panel")  # see test_boundary_panel


# ---- the form


@pytest.fixture
def form(qtbot: Any, styled: Any) -> SettingsForm:
    page = QWidget()
    qtbot.addWidget(page)
    page.resize(280, 900)
    made = SettingsForm(network(), page)
    QVBoxLayout(page).addWidget(made)
    made.page = page  # type: ignore[attr-defined] # kept alive
    page.show()
    return made


def switch(form: SettingsForm) -> QCheckBox:
    box = form.row("stop.early").editor
    assert isinstance(box, QCheckBox)
    return box


def inside(form: SettingsForm) -> list[str]:
    return [field.path for field in form.rows if field.path.startswith("stop.early.")]


def test_what_may_be_none_is_switched_on_with_defaults_and_brings_its_fields(qtbot: Any, form: SettingsForm) -> None:
    assert not switch(form).isChecked()
    assert inside(form) == []
    with qtbot.waitSignal(form.edited) as caught:
        switch(form).click()
    assert caught.args == ["stop.early", EarlyStopping()]
    assert inside(form) == ["stop.early.patience", "stop.early.minimum_improvement"]
    assert form.row("stop.early.patience").field.depth == 1
    assert form.value.stop.early == EarlyStopping()


def test_switched_off_and_on_again_it_is_as_it_was(qtbot: Any, form: SettingsForm) -> None:
    form.set_value(set_path(form.value, "stop.early", {"patience": 7}))
    assert switch(form).isChecked()
    with qtbot.waitSignal(form.edited) as caught:
        switch(form).click()
    assert caught.args == ["stop.early", None]
    assert inside(form) == []
    with qtbot.waitSignal(form.edited) as caught:
        switch(form).click()
    assert caught.args == ["stop.early", EarlyStopping(patience=7)]


def test_a_refused_switch_says_why_until_it_is_set_anew(form: SettingsForm) -> None:
    form.reject("stop.early", "nothing is held out")
    assert form.row("stop.early").message.isVisible()
    form.set_value(set_path(form.value, "problem.validation", 0.25))
    assert not form.row("stop.early").message.isVisible()


def test_a_function_has_no_such_switch(form: SettingsForm) -> None:
    form.set_value(Experiment(FunctionProblem(functions.get("bowl"))))
    assert not [field for field in form.rows if field.path.startswith("stop.early")]


# ---- the loss curves


def test_the_best_step_is_marked_once_validation_has_risen_again(qtbot: Any, panel: LossPanel, stopped: Run) -> None:
    best = stopped.history.best
    rising = Run(overfitting())
    rising.advance(best.step)
    show(qtbot, panel, view_of(rising))
    assert panel.best.labels() == []
    rising.advance(10)
    feed(panel, view_of(rising, number=2))
    assert [label.text for label in panel.best.labels()] == ["best"]
    spot = panel.best._spot()
    assert panel.best.data(spot) == pytest.approx(tuple(best), rel=1e-6)


@pytest.mark.parametrize("axes", ["linear", "log"])
def test_a_click_on_the_mark_goes_to_exactly_that_step(qtbot: Any, panel: LossPanel, stopped: Run, axes: str) -> None:
    heard = show(qtbot, panel, view_of(stopped, 3, choices={"loss.axes": axes}))
    spot = panel.best._spot()
    beside = panel.best.data(spot + QPointF(5, 3))
    click(qtbot, panel.plot, *beside)
    assert intents(heard, "seek") == [{"step": stopped.history.best.step}]
    qtbot.wait(450)  # else it would be a double click
    far = panel.best.data(spot + QPointF(30, 3))
    hit = click(qtbot, panel.plot, *far)
    meant = round(10 ** hit[0]) if axes == "log" else round(hit[0])
    assert intents(heard, "seek")[1:] == [{"step": meant}] != [{"step": stopped.history.best.step}]


def test_the_readout_says_that_it_stopped_where_it_was_best_and_the_gap(
    qtbot: Any, panel: LossPanel, stopped: Run
) -> None:
    show(qtbot, panel, view_of(stopped), (760, 360))
    best, row = stopped.history.best, stopped.history.row(stopped.state.step)
    gap = row["validation_loss"] - row["training_loss"]
    assert panel.readout.text == (
        f"Stopped early at step {stopped.state.step}, validation was best at step {best.step}, "
        f"{numbers.number(best.validation_loss, 4)}. Gap at the end {numbers.number(gap, 3)}."
    )
    assert f'href="step:{best.step}"' in panel.readout.html


def test_hovering_reads_the_gap_where_both_losses_were_measured(qtbot: Any, panel: LossPanel, stopped: Run) -> None:
    show(qtbot, panel, view_of(stopped))
    panel.plot.hovered.emit(40.0, 0.5)
    row = stopped.history.row(40)
    gap = numbers.number(row["validation_loss"] - row["training_loss"], 3)
    assert f"validation {numbers.number(row['validation_loss'], 4)}, gap {gap}" in panel.reading.text


def test_in_a_low_panel_the_plate_keeps_the_losses_and_their_gap(qtbot: Any, panel: LossPanel, stopped: Run) -> None:
    show(qtbot, panel, view_of(stopped), (480, 200))
    panel.plot.hovered.emit(40.0, 0.5)
    assert panel.plot.view.rect().contains(panel.reading.frame())
    assert [name for name, _ in panel.reading.shown] == ["step", "training", "validation", "gap"]
    panel.resize(480, 400)
    qtbot.wait(1)
    assert panel.reading.shown == panel.reading.rows


def test_a_function_has_neither_a_gap_nor_a_best_step(qtbot: Any, panel: LossPanel) -> None:
    run = Run(Experiment(FunctionProblem(functions.get("himmelblau")), steps=30))
    run.advance(30)
    assert held_out(run.history, 30) is None
    show(qtbot, panel, view_of(run))
    assert panel.best.labels() == []
    panel.plot.hovered.emit(20.0, 0.5)
    assert "gap" not in panel.reading.text


def test_sentences_with_a_gap_are_short() -> None:
    running = Outcome("running", 9)
    falling, rising = HeldOut(830, 0.1871, 0.2313), HeldOut(830, 0.1871, 0.2313, Best(630, 0.213))
    assert falling.gap == pytest.approx(0.0442)
    assert plain(sentence((), 830, 0.1871, running, falling)) == (
        "No plateau in 830 steps. Validation 0.2313 − training 0.1871 = gap 0.0442."
    )
    assert plain(sentence((), 830, 0.1871, running, rising)) == (
        "Validation 0.2313 − training 0.1871 = gap 0.0442, best at step 630, 0.2130."
    )
    assert plain(sentence((), 830, 0.1871, running, rising, brief=True)) == (
        "No plateau in 830 steps. Validation 0.2313, gap 0.0442, best at 630."
    )
    escaped, flat = Plateau(0, 209, 0.69, True), Plateau(600, 830, 0.19, False)
    assert plain(sentence((escaped,), 830, 0.1871, running, rising)) == (
        "Plateau until step 209, then a fall of 0.5. Validation 0.2313, gap 0.0442, best at 630."
    )
    assert plain(sentence((flat,), 830, 0.1871, running, rising)) == (
        "Flat from 600: plateau or converged? Validation 0.2313, gap 0.0442, best at 630."
    )
    assert "gap" not in sentence((escaped, flat), 830, 0.1871, running, rising)
    ended = Outcome("stopped_early", 830, "stopped early at step 830: the validation loss has not improved")
    assert sentence((escaped,), 830, 0.2, ended).endswith(": the validation loss has not improved.")
    assert plain(sentence((escaped,), 830, 0.2, ended, rising, brief=True)) == (
        "Stopped early at step 830, validation was best at step 630, 0.2130."
    )


def test_the_newest_measurement_has_both_losses_of_its_own_step() -> None:
    run = network_run("circle", steps=25, optimizer=optimizers.get("sgd")(lr=0.1), points=40)
    found = held_out(run.history, 25)
    row = run.history.row(20)
    assert (found.step, found.training, found.validation) == (20, row["training_loss"], row["validation_loss"])


# ---- the timeline


def test_the_timeline_has_a_mark_that_says_what_it_is(qtbot: Any, styled: Any) -> None:
    timeline = Timeline()
    qtbot.addWidget(timeline)
    timeline.resize(1200, 72)
    timeline.set_state(601, 600, 10, best=(150, "best validation loss, 0.2130"))
    at = QPointF(timeline.x_of(150), 36)
    assert timeline.tip_at(at) == "step 150: best validation loss, 0.2130"
    marked = timeline.grab().toImage().pixelColor(at.toPoint())
    assert marked == theme.color("validation")
    timeline.set_state(601, 600, 10)
    assert timeline.grab().toImage().pixelColor(at.toPoint()) != marked


# ---- the window


@pytest.fixture
def window(qtbot: Any, qapp: Any, tmp_path: Any) -> Iterator[MainWindow]:
    theme.apply(qapp, "light")
    made = MainWindow(Controller(), Preferences(tmp_path / "settings.ini"))
    made.add_panels([make_panel("slice", (0, 0, 1, 1))])
    made.keeper = KeyKeeper(made)
    made.resize(1280, 720)
    made.show()
    made.activateWindow()
    made.controller.start()
    made.controller.model.set_speed(None)
    made.controller.editing.start(overfitting(), "first", play=False)
    qtbot.waitUntil(lambda: made.controller.model.run is not None and made.controller.idle)
    yield made
    made.close()
    made.deleteLater()


def settle(qtbot: Any, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: window.controller.idle)


def train(qtbot: Any, window: MainWindow) -> None:
    window.controller.transport.play()
    qtbot.waitUntil(lambda: not window.controller.model.playing and window.controller.idle)


def set_early(qtbot: Any, window: MainWindow, on: bool) -> None:
    box = switch(window.settings_card.form)
    assert box.isChecked() is not on
    box.click()
    settle(qtbot, window)
    qtbot.waitUntil(lambda: (window.controller.model.run.experiment.stop.early is not None) is on)


def test_a_run_ends_by_itself_says_so_and_goes_on_once_the_rule_is_off(qtbot: Any, window: MainWindow) -> None:
    model = window.controller.model
    set_early(qtbot, window, True)
    train(qtbot, window)
    end = model.head
    assert model.run.outcome.kind == "stopped_early"
    assert end < 2000
    assert window.notices.text.startswith(f"The run has stopped early at step {end}: the validation loss has not")
    assert "stopped early" in window.timeline.status
    assert window.timeline.best[0] == model.run.history.best.step < end

    window.controller.transport.play()
    assert not model.playing
    assert "Change a setting, or start again." in window.notices.text

    set_early(qtbot, window, False)
    window.controller.transport.step(5)
    qtbot.waitUntil(lambda: model.head == end + 5)
    assert [made.change for made in model.run.history.interventions][-1] == SetSetting("stop.early", None)
    assert window.timeline.interventions[-1] == (end, "early stopping on → off")


def test_shift_end_goes_to_the_best_step(qtbot: Any, window: MainWindow) -> None:
    model = window.controller.model
    set_early(qtbot, window, True)
    train(qtbot, window)
    QTest.keyClick(window, Qt.Key.Key_End, Qt.KeyboardModifier.ShiftModifier)
    assert model.cursor == model.run.history.best.step < model.head
    assert f"at step {model.cursor:,}" in window.controller.summary()
    window._follow_link("step:0")
    assert model.cursor == 0


def test_where_nothing_is_held_out_the_switch_goes_back_and_says_why(qtbot: Any, window: MainWindow) -> None:
    model = window.controller.model
    window.controller.editing.set("problem.validation", 0.0)
    qtbot.waitUntil(lambda: model.run.experiment.problem.validation == 0.0 and window.controller.idle)
    window.actions_by_id["best"].trigger()
    assert window.notices.text == "No validation loss has been measured, so no step is the best."
    form = window.settings_card.form
    switch(form).click()
    qtbot.waitUntil(lambda: form.row("stop.early").message.text != "")
    assert not switch(form).isChecked()
    assert "no example is held out" in form.row("stop.early").message.text
    assert "no example is held out" in window.notices.text
    assert model.run.experiment.stop.early is None
