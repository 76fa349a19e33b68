"""The window: every key, button and gesture reaches what it is meant for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from laboratory import make_panel, network, valley
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QPushButton, QToolButton

from nnopt.runs.experiment import load, load_recording, save
from nnopt_gui.shell.actions import KeyKeeper
from nnopt_gui.shell.controller import Controller
from nnopt_gui.shell.main_window import MainWindow
from nnopt_gui.shell.speed import FLAT, in_words, position_of, speed_at
from nnopt_gui.state.settings import Preferences
from nnopt_gui.widgets import theme

AREAS = [
    ("slice", (0, 0, 1, 1)),
    ("landscape", (0, 1, 1, 1)),
    ("boundary", (1, 0, 1, 1)),
    ("loss", (1, 1, 1, 1)),
    ("step", (2, 0, 1, 2)),
]


def make_window(tmp_path, name: str = "settings.ini") -> MainWindow:
    panels = [make_panel(panel, area, needs_network=panel == "boundary") for panel, area in AREAS]
    window = MainWindow(Controller(), Preferences(tmp_path / name))
    window.add_panels(panels)
    window.keeper = KeyKeeper(window)
    return window


@pytest.fixture
def window(qtbot, qapp, tmp_path) -> Iterator[MainWindow]:
    theme.apply(qapp, "light")
    result = make_window(tmp_path)
    result.resize(1280, 720)
    result.show()
    result.activateWindow()
    result.controller.start()
    result.session.title = "test"
    result.controller.editing.start(network(), "first", play=False)
    qtbot.waitUntil(lambda: result.controller.model.run is not None and result.controller.idle)
    yield result
    result.close()
    result.deleteLater()


def press(window: MainWindow, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier, at=None) -> None:
    QTest.keyClick(at or window, key, modifier)


def to(qtbot, window: MainWindow, step: int) -> None:
    window.controller.transport.step(step - window.controller.model.head)
    qtbot.waitUntil(lambda: window.controller.model.head == step and window.controller.idle)


def button(window: MainWindow, name: str) -> QToolButton:
    found = window.toolbar.findChild(QToolButton, f"button_{name}")
    assert found is not None
    return found


def panel_action(panel, words: str):
    panel.menu.aboutToShow.emit()
    return next(action for action in panel.menu.actions() if action.text() == words)


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


# --------------------------------------------------------------------------------------------------------------- docks


def test_a_panel_is_maximized_by_its_title_and_esc_brings_all_back(qtbot, window):
    docks = window.docks
    panel = docks.panels[1]
    QTest.mouseDClick(panel.header, Qt.MouseButton.LeftButton, pos=QPoint(60, 20))
    assert docks.maximized is docks.docks[1]
    assert [dock.isVisible() for dock in docks.docks] == [False, True, False, False, False]
    assert docks.settings.isHidden()
    press(window, Qt.Key.Key_Escape)
    assert docks.maximized is None
    assert all(dock.isVisible() for dock in docks.docks)
    assert docks.settings.isVisible()


def test_the_maximize_button(qtbot, window):
    panel = window.docks.panels[0]
    panel.header.maximize.click()
    assert window.docks.maximized is window.docks.docks[0]
    panel.header.maximize.click()
    assert window.docks.maximized is None


def test_a_number_goes_to_a_panel_and_once_more_maximizes_it(qtbot, window):
    press(window, Qt.Key.Key_2)
    assert window.docks.panels[1].hasFocus()
    press(window, Qt.Key.Key_2)
    assert window.docks.maximized is window.docks.docks[1]
    press(window, Qt.Key.Key_3)
    assert window.docks.maximized is window.docks.docks[2]
    press(window, Qt.Key.Key_3)
    assert window.docks.maximized is None


def test_a_closed_panel_comes_back_by_menu_and_key(qtbot, window):
    docks = window.docks
    panel_action(docks.panels[3], "Close").trigger()
    assert docks.docks[3].isHidden()
    action = window.actions_by_id["panel4"]
    assert not action.isChecked()
    press(window, Qt.Key.Key_4)
    assert docks.docks[3].isVisible()
    assert action.isChecked()


def test_a_closed_panel_gets_nothing_to_do(qtbot, window):
    window.docks.docks[0].close()
    panel = window.docks.panels[0]
    panel.shown.clear()
    to(qtbot, window, 3)
    assert panel.shown == []


def test_a_panel_can_float_and_be_put_back(qtbot, window):
    dock = window.docks.docks[0]
    panel_action(dock.card, "Float").trigger()
    assert dock.isWindow()
    window.actions_by_id["layout"].trigger()
    assert not dock.isFloating()
    assert dock.isVisible()


def test_panels_without_anything_to_show_give_way_and_return(qtbot, window):
    window.controller.editing.start(valley(), "a function")
    boundary = window.docks.docks[2]
    qtbot.waitUntil(boundary.isHidden)
    assert not window.actions_by_id["panel3"].isEnabled()
    window.controller.editing.start(network(), "a network")
    qtbot.waitUntil(boundary.isVisible)


def test_the_settings_fold_away(qtbot, window):
    press(window, Qt.Key.Key_0)
    assert window.docks.settings.isHidden()
    press(window, Qt.Key.Key_0)
    assert window.docks.settings.isVisible()


def test_the_menu_marks_whether_the_settings_are_shown(qtbot, window):
    action = window.actions_by_id["settings"]
    assert action.isChecked()
    assert action.icon().isNull()  # an icon would take the place of the mark
    action.trigger()
    assert not action.isChecked()
    assert window.docks.settings.isHidden()
    action.trigger()
    assert action.isChecked()
    window.docks.maximize(window.docks.docks[0])
    assert action.isChecked()


def test_a_loss_that_the_examples_cannot_take_is_not_offered(qtbot, window):
    combo = window.settings_card.form.row("problem.loss").editor

    def choosable() -> set[str]:
        places = [combo.model().index(i, 0) for i in range(combo.count())]
        return {place.data(Qt.ItemDataRole.UserRole) for place in places if place.flags() & Qt.ItemFlag.ItemIsEnabled}

    assert choosable() == {"auto", "binary_cross_entropy", "squared_error"}
    window.settings_card.form.row("problem.data").editor.picked.emit("spiral3")
    qtbot.waitUntil(lambda: choosable() == {"auto", "cross_entropy"})


def test_a_panel_that_floats_is_a_window_of_the_desktop(qtbot, window):
    dock = window.docks.docks[0]
    window.docks.toggle_floating(dock)
    flags = Qt.WindowType
    qtbot.waitUntil(lambda: not dock.windowFlags() & flags.FramelessWindowHint)
    wanted = flags.WindowTitleHint | flags.WindowMinMaxButtonsHint | flags.WindowCloseButtonHint
    assert dock.windowFlags() & wanted == wanted
    assert dock.isFloating()
    assert dock.isVisible()
    dock.card.header.double_clicked.emit()
    assert dock.isMaximized()
    assert window.docks.maximized is None
    assert dock.card.header.maximize.toolTip() == "Restore"
    QTest.keyClick(dock, Qt.Key.Key_Escape)
    assert not dock.isMaximized()
    assert dock.card.header.maximize.toolTip() == "Maximize"
    dock.close()
    assert not window.actions_by_id["panel1"].isChecked()
    window.docks.activate(1)
    assert dock.isVisible()
    assert dock.isFloating()
    panel_action(dock.card, "Put back").trigger()
    assert not dock.isFloating()
    assert panel_action(dock.card, "Float")


def test_a_link_in_a_readout_leads_there(qtbot, window):
    to(qtbot, window, 9)
    window.docks.panels[3].link_activated.emit("step:4")
    assert window.controller.model.cursor == 4
    window.docks.panels[3].link_activated.emit("panel:5")
    assert window.docks.panels[4].hasFocus()


# ------------------------------------------------------------------------------------------------ what is remembered


def test_layout_theme_speed_and_closed_panels_are_remembered(qtbot, tmp_path, window):
    window.docks.docks[0].close()
    window.actions_by_id["dark"].trigger()
    window.toolbar.speed.slider.setValue(0)
    window.close()
    again = make_window(tmp_path)
    again.show()
    assert not again.preferences.layout("window").isEmpty()
    assert again.docks.docks[0].isHidden()
    assert again.docks.docks[1].isVisible()
    assert again.controller.model.theme == "dark"
    assert again.controller.model.speed == 1.0
    again.actions_by_id["light"].trigger()
    again.close()
    again.deleteLater()


def test_a_maximized_panel_does_not_spoil_the_layout_that_is_remembered(qtbot, tmp_path, window):
    window.docks.maximize(window.docks.docks[0])
    window.close()
    again = make_window(tmp_path)
    again.show()
    assert all(dock.isVisible() for dock in again.docks.docks[:4])
    again.close()
    again.deleteLater()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_theme_menu(window, mode):
    window.actions_by_id[mode].trigger()
    assert theme.current().name == mode
    window.actions_by_id[mode].trigger()  # once more: it stays marked
    assert [name for name in ("light", "dark", "system") if window.actions_by_id[name].isChecked()] == [mode]
    window.actions_by_id["light"].trigger()


# -------------------------------------------------------------------------------------------------------------- files


def test_save_and_open_a_session(qtbot, tmp_path, window, monkeypatch):
    to(qtbot, window, 10)
    window.controller.editing.set("problem.l2", 0.01)
    qtbot.waitUntil(lambda: len(window.controller.model.history.interventions) == 1)
    to(qtbot, window, 15)
    window.controller.model.choose("slice.direction", "newton")
    path = str(tmp_path / "mine.json")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (path, ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
    press(window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    recording = load_recording(path)
    assert (recording.length, len(recording.interventions)) == (15, 1)
    theta = window.controller.model.run.state.theta
    window.controller.model.choose("slice.direction", "gradient")
    press(window, Qt.Key.Key_R)
    qtbot.waitUntil(lambda: window.controller.model.head == 0)
    press(window, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.controller.model.head == 15 and window.controller.idle)
    assert (window.controller.model.run.state.theta == theta).all()
    assert window.session.title == "mine.json"
    assert window.controller.model.choices["slice.direction"] == "newton"
    assert path in window.preferences.recent()


def test_the_experiment_at_the_cursor_is_saved(qtbot, tmp_path, window, monkeypatch):
    path = str(tmp_path / "experiment")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (path, ""))
    window.actions_by_id["save_experiment"].trigger()
    assert load(path + ".json") == window.controller.model.experiment


def test_a_file_is_dropped_on_the_window(qtbot, tmp_path, window):
    save(network(seed=31), tmp_path / "dropped.json")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "dropped.json"))])
    event = QDropEvent(
        QPointF(300, 300), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    window.dropEvent(event)
    qtbot.waitUntil(lambda: window.controller.model.experiment.seed == 31)


def test_a_file_that_cannot_be_read_is_a_notice_and_changes_nothing(qtbot, tmp_path, window):
    (tmp_path / "bad.json").write_text('{"format": "nnopt-experiment", "version": 1, "seed": -3}')
    number = window.controller.model.number
    assert not window.session.open(tmp_path / "bad.json")
    assert "bad.json" in window.notices.text
    assert window.notices.kind == "error"
    assert window.controller.model.number == number


def test_a_csv_file_without_a_table_is_a_notice(qtbot, tmp_path, window):
    (tmp_path / "empty.csv").write_text("")
    number = window.controller.model.number
    window.session.open(tmp_path / "empty.csv")
    qtbot.waitUntil(lambda: "empty.csv" in window.notices.text)
    assert window.controller.model.number == number


def test_pictures_and_the_log_are_exported(qtbot, tmp_path, window, monkeypatch):
    to(qtbot, window, 6)
    for name, action in (("w.png", "export_picture"), ("run.csv", "export_csv")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (str(tmp_path / name), ""))
        window.actions_by_id[action].trigger()
        assert (tmp_path / name).stat().st_size > 100
    lines = (tmp_path / "run.csv").read_text().splitlines()
    assert lines[0].startswith("step,loss,gradient_norm")
    assert len(lines) == 8
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "b.png"), ""))
    window.toolbar.findChild(QPushButton, "button_export_picture").click()
    assert (tmp_path / "b.png").is_file()
    panel_action(window.docks.panels[0], "Save picture…").trigger()
    assert window.exporter.picture(str(tmp_path / "p.png"), window.docks.panels[0])
    assert not window.exporter.csv(str(tmp_path / "no" / "folder.csv"))
    assert window.notices.kind == "error"


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
