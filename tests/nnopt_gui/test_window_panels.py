"""Panels in the window are maximized, closed, floated and folded away, and remembered."""

from __future__ import annotations

import pytest
from laboratory import network, valley
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from window_views import make_window, panel_action, press, to

from nnopt_gui.widgets import theme

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


def test_a_panel_that_is_stale_is_drawn_anew_and_no_other(qtbot, window):
    panels, controller = window.docks.panels, window.controller
    qtbot.waitUntil(lambda: controller.stage.settled and controller.idle)
    before, choices = [len(panel.shown) for panel in panels], controller.model.choices
    panels[3].stale.emit()
    qtbot.waitUntil(lambda: len(panels[3].shown) == before[3] + 1)
    assert [len(panel.shown) for panel in panels] == [*before[:3], before[3] + 1, before[4]]
    assert controller.model.choices is choices


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


def test_a_panel_that_had_nothing_to_show_the_last_time_gets_its_share_of_the_row(qtbot, tmp_path, window):
    window.docks.show_experiment(valley())
    window.close()
    again = make_window(tmp_path)
    again.docks.show_experiment(valley())
    again.resize(1366, 768)
    again.show()
    qtbot.wait(50)
    again.docks.show_experiment(network())
    qtbot.wait(50)
    left, right = again.docks.docks[2:4]
    assert left.width() > 0.8 * right.width()
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
