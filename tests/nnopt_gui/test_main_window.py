"""The window: every key, button and gesture reaches what it is meant for."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QToolButton
from window_views import button, press, to

from nnopt_gui.shell.speed import FLAT, in_words, position_of, speed_at

# ------------------------------------------------------------------------------------------------------------- layout


def test_everything_fits_into_1280_by_720(window):
    assert window.size().toTuple() == (1280, 720)
    assert window.minimumSizeHint().width() <= 1280
    assert window.minimumSizeHint().height() <= 720
    right = window.toolbar.rect().right()
    for child in window.toolbar.findChildren(QToolButton):
        assert child.geometry().right() <= right
    for dock in window.docks.docks:
        corner = dock.mapTo(window, QPoint(dock.width(), dock.height()))
        assert corner.x() <= 1280
        assert corner.y() <= 720 - window.timeline.height()
        assert dock.height() >= 100


def test_the_parts_have_the_sizes_of_the_visual_language(window):
    assert window.toolbar.height() == 56
    assert window.timeline.height() == 72
    assert window.docks.settings.width() == 288
    assert window.toolbar.play.size().toTuple() == (40, 40)
    assert window.windowTitle() == "nnopt"


def test_the_panels_stand_in_their_places(window):
    places = {dock.objectName(): dock.geometry() for dock in window.docks.docks}
    assert places["slice"].right() < places["landscape"].left()
    assert places["slice"].bottom() < places["boundary"].top()
    assert places["boundary"].right() < places["loss"].left()
    assert places["boundary"].bottom() < places["step"].top()
    assert places["step"].width() > places["slice"].width() * 1.8


# --------------------------------------------------------------------------------------------------------------- keys


def test_space_plays_and_pauses(qtbot, window):
    model = window.controller.model
    press(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: model.head > 2)
    assert window.toolbar.play.playing
    press(window, Qt.Key.Key_Space)
    assert not model.playing
    assert not window.toolbar.play.playing


def test_space_plays_when_a_button_or_the_slider_has_the_focus(qtbot, window):
    model = window.controller.model
    for widget in (button(window, "reset"), window.toolbar.speed.slider, window.toolbar.play):
        number = model.number
        widget.setFocus()
        press(window, Qt.Key.Key_Space, at=widget)
        assert model.playing, widget
        press(window, Qt.Key.Key_Space, at=widget)
        assert not model.playing, widget
        assert model.number == number


def test_a_text_field_keeps_what_is_typed(qtbot, window):
    seed = window.toolbar.seed
    seed.setFocus()
    seed.selectAll()
    number = window.controller.model.number
    QTest.keyClicks(seed, "123")
    assert seed.text() == "123"
    assert window.docks.maximized is None
    press(window, Qt.Key.Key_Left, at=seed)
    assert seed.cursorPosition() == 2
    assert window.controller.model.number == number


def test_the_arrow_keys_step_and_move_a_slider_that_has_the_focus(qtbot, window):
    to(qtbot, window, 30)
    model = window.controller.model
    press(window, Qt.Key.Key_Left)
    assert model.cursor == 29
    press(window, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert model.cursor == 19
    press(window, Qt.Key.Key_Right)
    assert model.cursor == 20
    press(window, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert model.cursor == 30
    press(window, Qt.Key.Key_Home)
    assert model.cursor == 0
    press(window, Qt.Key.Key_End)
    assert model.cursor == 30
    press(window, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: model.cursor == 31)
    slider = window.toolbar.speed.slider
    slider.setFocus()
    before = slider.value()
    press(window, Qt.Key.Key_Left, at=slider)
    assert (slider.value(), model.cursor) == (before - 1, 31)


def test_r_takes_another_seed_and_shift_r_the_same_again(qtbot, window):
    to(qtbot, window, 5)
    model = window.controller.model
    press(window, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: model.head == 0)
    assert model.experiment.seed == 1
    press(window, Qt.Key.Key_R)
    qtbot.waitUntil(lambda: model.experiment.seed != 1)
    assert window.toolbar.seed.text() == str(model.experiment.seed)


def drawn(model):
    """Examples, classes, and which of them are held out, as plain numbers."""
    problem = model.run.problem
    return problem.dataset.X.tolist(), problem.dataset.y.tolist(), problem.training.tolist()


def start_of(model):
    return model.history.seek(0).theta.tolist()


def test_r_keeps_the_examples_and_the_split_and_takes_other_weights(qtbot, window):
    to(qtbot, window, 5)
    model = window.controller.model
    examples, theta, reached = drawn(model), start_of(model), model.history.seek(5).theta.tolist()
    press(window, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: model.head == 0)
    to(qtbot, window, 5)
    assert (drawn(model), start_of(model)) == (examples, theta)
    assert model.history.seek(5).theta.tolist() == reached
    press(window, Qt.Key.Key_R)
    qtbot.waitUntil(lambda: model.experiment.seed != 1)
    assert drawn(model) == examples
    assert start_of(model) != theta


@pytest.mark.parametrize("name", ["seed", "batch_seed"])
def test_a_seed_in_the_settings_keeps_an_example_that_was_added_by_hand(qtbot, window, name):
    model = window.controller.model
    window.controller.editing.intent("add_example", {"x": [0.5, 0.25], "y": 1})
    qtbot.waitUntil(lambda: model.run.problem.dataset.n == 41)
    examples = drawn(model)
    window.controller.editing.set(name, 7)
    qtbot.waitUntil(lambda: getattr(model.experiment, name) == 7)
    assert drawn(model) == examples


def test_the_dice_beside_the_data_draws_other_examples_and_keeps_the_weights(qtbot, window):
    to(qtbot, window, 5)
    model = window.controller.model
    (X, _, training), theta, before = drawn(model), start_of(model), model.experiment.data_seed
    dice = window.settings_card.form.row("data_seed").findChild(QToolButton)
    assert "examples" in dice.toolTip()
    dice.click()
    qtbot.waitUntil(lambda: model.experiment.data_seed != before)
    assert drawn(model)[0] != X
    assert drawn(model)[2] != training
    assert (model.experiment.seed, start_of(model)) == (1, theta)
    window.controller.editing.undo()
    qtbot.waitUntil(lambda: model.experiment.data_seed == before)
    assert drawn(model)[0] == X


def test_undo_and_redo_by_key_and_button(qtbot, window):
    model = window.controller.model
    assert not button(window, "undo").isEnabled()
    window.controller.editing.set("methods[0].optimizer.lr", 0.5)
    qtbot.waitUntil(lambda: button(window, "undo").isEnabled())
    assert "learning rate 0.1 → 0.5" in button(window, "undo").toolTip()
    press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: model.experiment.methods[0].optimizer.lr == 0.1)
    qtbot.waitUntil(lambda: button(window, "redo").isEnabled())
    button(window, "redo").click()
    qtbot.waitUntil(lambda: model.experiment.methods[0].optimizer.lr == 0.5)
    press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: window.controller.idle)
    assert model.experiment.methods[0].optimizer.lr == 0.5


def test_plus_and_minus_change_the_speed(window):
    model = window.controller.model
    before = model.speed
    press(window, Qt.Key.Key_Plus)
    assert model.speed > before
    press(window, Qt.Key.Key_Minus)
    press(window, Qt.Key.Key_Minus)
    assert model.speed < before


def test_f1_shows_every_key(qtbot, window):
    from PySide6.QtWidgets import QLabel

    press(window, Qt.Key.Key_F1)
    assert window._keys.isVisible()
    words = {label.text() for label in window._keys.findChildren(QLabel)}
    for spec in window.specs:
        if spec.keys:
            assert spec.title in words, spec.title
    press(window, Qt.Key.Key_F1, at=window._keys)
    assert not window._keys.isVisible()


def test_f11_is_full_screen_and_back(qtbot, window):
    press(window, Qt.Key.Key_F11)
    assert window.isFullScreen()
    press(window, Qt.Key.Key_F11)
    assert not window.isFullScreen()


def test_ctrl_q_closes(qtbot, window):
    with qtbot.waitSignal(window.closed):
        press(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert not window.controller.trainer.isRunning()


# ------------------------------------------------------------------------------------------------------------- toolbar


@pytest.mark.parametrize(("name", "cursor"), [("back", 19), ("back10", 10), ("forward", 21), ("forward10", 30)])
def test_the_step_buttons(qtbot, window, name, cursor):
    to(qtbot, window, 20)
    button(window, name).click()
    qtbot.waitUntil(lambda: window.controller.model.cursor == cursor)


def test_the_play_button(qtbot, window):
    window.toolbar.play.click()
    qtbot.waitUntil(lambda: window.controller.model.head > 0)
    window.toolbar.play.click()
    assert not window.controller.model.playing


def test_the_reset_and_dice_buttons(qtbot, window):
    to(qtbot, window, 5)
    button(window, "reset").click()
    qtbot.waitUntil(lambda: window.controller.model.head == 0)
    button(window, "reseed").click()
    qtbot.waitUntil(lambda: window.controller.model.experiment.seed != 1)


def test_a_typed_seed_starts_again_with_it(qtbot, window):
    seed = window.toolbar.seed
    seed.setFocus()
    seed.selectAll()
    QTest.keyClicks(seed, "77")
    press(window, Qt.Key.Key_Return, at=seed)
    qtbot.waitUntil(lambda: window.controller.model.experiment.seed == 77)


def test_the_speed_slider_goes_from_one_per_second_to_flat_out(window):
    slider, model = window.toolbar.speed.slider, window.controller.model
    slider.setValue(0)
    assert model.speed == 1.0
    assert window.toolbar.speed.words.text() == "1 step/s"
    slider.setValue(FLAT)
    assert model.speed is None
    assert window.toolbar.speed.words.text() == "flat out"


def test_slider_positions_and_speeds_belong_together():
    for position in range(FLAT + 1):
        assert position_of(speed_at(position)) == position
    assert (speed_at(0), speed_at(FLAT - 1), in_words(20.0)) == (1.0, 1000.0, "20 steps/s")


def test_an_example_is_started(qtbot, window):
    from nnopt_gui.shell.examples import EXAMPLES

    index = next(i for i, example in enumerate(EXAMPLES) if example.title == "Himmelblau")
    window.toolbar.examples.setCurrentIndex(index)
    window.toolbar.examples.activated.emit(index)
    qtbot.waitUntil(lambda: window.controller.model.experiment == EXAMPLES[index].experiment())
    assert window.session.title == "Himmelblau"
    assert window.toolbar.examples.currentText() == "Himmelblau"
    window.actions_by_id["undo"].trigger()
    qtbot.waitUntil(lambda: window.session.title == "test")
    assert window.toolbar.examples.currentIndex() == -1


def test_every_example_can_be_built():
    from nnopt.runs.run import Run
    from nnopt_gui.shell.examples import EXAMPLES

    for example in EXAMPLES:
        assert Run(example.experiment()).advance(3) == 3, example.title


def test_the_menu_has_every_action_of_the_table(window):
    texts = {action.text() for part in window.menu.parts.values() for action in part.actions()}
    missing = [spec.title for spec in window.specs if spec.menu and spec.title not in texts]
    assert missing == []


# -------------------------------------------------------------------------------------------------- timeline, settings


def test_the_timeline_is_dragged_to_any_step(qtbot, window):
    to(qtbot, window, 40)
    timeline = window.timeline
    qtbot.waitUntil(lambda: timeline.length == 41)
    y = 36
    QTest.mousePress(timeline, Qt.MouseButton.LeftButton, pos=QPoint(round(timeline.x_of(40)), y))
    for step in (35, 30, 20):
        QTest.mouseMove(timeline, QPoint(round(timeline.x_of(step)), y))
    QTest.mouseRelease(timeline, Qt.MouseButton.LeftButton, pos=QPoint(round(timeline.x_of(20)), y))
    assert abs(window.controller.model.cursor - 20) <= 1


def test_the_timeline_says_step_loss_gradient_epoch_and_speed(qtbot, window):
    to(qtbot, window, 12)
    timeline = window.timeline
    qtbot.waitUntil(lambda: timeline.cursor == 12)
    row = window.controller.model.history.row(12)
    assert timeline.status["loss"][:5] == f"{row['loss']:.4g}"[:5]
    assert set(timeline.status) == {"loss", "|g|", "epoch", "updates/s"}
    assert timeline.status["epoch"] == "12"
    assert (timeline.cursor, timeline.budget) == (12, 500)


def test_an_intervention_stands_on_the_timeline_in_words(qtbot, window):
    to(qtbot, window, 12)
    window.controller.editing.set("methods[0].optimizer.lr", 0.5)
    qtbot.waitUntil(lambda: window.timeline.interventions == ((12, "learning rate 0.1 → 0.5"),))


def test_a_setting_changed_in_the_form_is_applied_and_shown_at_the_cursor(qtbot, window):
    to(qtbot, window, 10)
    form = window.settings_card.form
    form.edited.emit("methods[0].optimizer.lr", 0.25)
    model = window.controller.model
    qtbot.waitUntil(lambda: model.experiment.methods[0].optimizer.lr == 0.25)
    assert form.value.methods[0].optimizer.lr == 0.25
    press(window, Qt.Key.Key_Left)
    qtbot.waitUntil(lambda: form.value.methods[0].optimizer.lr == 0.1)


def test_view_options_reach_the_panels(qtbot, window):
    panel = window.docks.panels[0]
    window.settings_card.options["slice.model"].editor.click()
    qtbot.waitUntil(lambda: len(panel.shown) > 0 and panel.shown[-1].choice("slice.model") is False)
    window.settings_card.options["slice.direction"].edited.emit("newton")
    qtbot.waitUntil(lambda: panel.shown[-1].choice("slice.direction") == "newton")


def test_a_choice_in_a_panels_header_reaches_the_view(qtbot, window):
    panel = window.docks.panels[1]
    panel.chosen.emit("direction", "newton")
    qtbot.waitUntil(lambda: panel.shown and panel.shown[-1].choice("landscape.direction") == "newton")


# ------------------------------------------------------------------------------------------------------------- notices


def test_an_error_stays_until_it_is_closed_and_shows_its_details(window):
    window.controller.model.say("error", "Something broke.", "Traceback: here")
    window.controller.model.say("info", "never mind")
    assert window.notices.text == "Something broke."
    window.notices._details.click()
    assert window.notices._detail.isVisible()
    window.notices._close.click()
    assert window.notices.text == ""


def test_an_exception_in_the_objective_is_a_notice_and_the_window_goes_on(qtbot, window):
    run = window.controller.model.run
    stage = run._loop.stage
    good = stage._value_and_gradient

    def broken(theta, rows=None):
        raise ZeroDivisionError("float division by zero")

    stage._value_and_gradient = broken
    press(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: "ZeroDivisionError" in window.notices.text)
    assert "paused at step 0" in window.notices.text
    assert not window.toolbar.play.playing
    stage._value_and_gradient = good
    press(window, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: window.controller.model.head == 1)


def test_an_exception_nobody_expected_is_a_notice_too(window, capsys):
    from nnopt_gui.app import tell

    tell(window, ValueError, ValueError("odd"), None)
    assert "ValueError: odd" in window.notices.text
    assert "ValueError: odd" in capsys.readouterr().err


def test_information_goes_away_by_itself(qtbot, window, monkeypatch):
    monkeypatch.setattr("nnopt_gui.shell.notices.STAYS", 30)
    window.controller.model.say("info", "saved")
    assert window.notices.text == "saved"
    qtbot.waitUntil(lambda: window.notices.text == "")
