"""Cards, their headers and readouts."""

from typing import Any

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.card import Card, CardDock
from nnopt_gui.widgets.richline import RichLine, parse, plain

DIRECTIONS = (("gradient", "gradient"), ("newton", "Newton"), ("random", "random, filter-normalized"))


@pytest.fixture
def card(qtbot: Any, styled: QApplication) -> Card:
    made = Card("Slice through the loss")
    qtbot.addWidget(made)
    made.set_number(1)
    made.add_choice("direction", "Direction", DIRECTIONS)
    made.resize(600, 300)
    made.show()
    return made


def test_choosing_in_the_menu_emits_the_name_and_the_value(qtbot: Any, card: Card) -> None:
    button = card.header.choices[0]
    menu = QMenu(card)
    button.fill_menu(menu)
    assert [a.text() for a in menu.actions()] == ["gradient", "Newton", "random, filter-normalized"]
    with qtbot.waitSignal(card.chosen) as caught:
        menu.actions()[1].trigger()
    assert caught.args == ["direction", "newton"]
    assert card.choice("direction") == "newton"
    assert button.full_text == "Direction: Newton"


def test_a_click_on_a_choice_opens_its_menu(qtbot: Any, card: Card) -> None:
    qtbot.mouseClick(card.header.choices[0], Qt.MouseButton.LeftButton)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    assert [a.isChecked() for a in menu.actions()] == [True, False, False]
    menu.close()


def test_setting_a_choice_does_not_emit_and_ignores_unknown_values(qtbot: Any, card: Card) -> None:
    with qtbot.assertNotEmitted(card.chosen):
        card.set_choice("direction", "newton")
        card.set_choice("direction", "sideways")
        card.set_choice("colour", "red")
    assert card.choice("direction") == "newton"
    card.set_options("direction", (("gradient", "gradient"),))
    assert card.choice("direction") == "gradient"


@pytest.mark.parametrize("width", [800, 380, 300, 220])
def test_nothing_in_the_header_overlaps_at_any_width(card: Card, width: int) -> None:
    card.add_choice("scale", "Scale", (("log", "logarithmic"), ("linear", "linear")))
    card.set_subtitle("183 → 184")
    card.resize(width, 300)
    header = card.header
    parts = [b.geometry() for b in (*header.choices, header.maximize, header.more) if b.isVisible()]
    for i, part in enumerate(parts):
        assert part.left() >= 0
        assert part.right() < header.width()
        assert all(not part.intersects(other) for other in parts[i + 1 :])
    assert header.more.isVisible()
    image = header.grab().toImage()
    assert not image.isNull()


def test_a_choice_that_has_no_room_is_still_in_the_menu(card: Card) -> None:
    card.resize(220, 200)
    assert not card.header.choices[0].isVisible()
    card.menu.aboutToShow.emit()
    assert "Direction" in [a.text() for a in card.menu.actions()]


def test_a_double_click_on_the_header_and_the_button_ask_for_maximizing(qtbot: Any, card: Card) -> None:
    with qtbot.waitSignal(card.maximize_requested):
        qtbot.mouseDClick(card.header, Qt.MouseButton.LeftButton, pos=card.header.rect().center())
    with qtbot.waitSignal(card.maximize_requested):
        qtbot.mouseClick(card.header.maximize, Qt.MouseButton.LeftButton)
    card.set_maximized(True)
    assert card.header.maximize.toolTip() == "Restore"


def test_own_actions_are_in_the_menu(qtbot: Any, card: Card) -> None:
    done = []
    card.add_action("Save the picture", lambda: done.append(1))
    card.menu.aboutToShow.emit()
    next(a for a in card.menu.actions() if a.text() == "Save the picture").trigger()
    assert done == [1]


def test_the_readout_is_the_accessible_description(card: Card) -> None:
    card.set_readout("Curvature <b>+0.42</b>: the model is lowest <b>0.30</b> ahead.")
    assert card.accessibleDescription() == "Curvature +0.42: the model is lowest 0.30 ahead."
    assert card.accessibleName() == "Slice through the loss"
    assert not card.readout.elided


def test_a_long_readout_is_elided_and_its_tooltip_has_all_of_it(card: Card) -> None:
    card.set_readout("<b>one</b> two three four five six seven eight nine ten eleven twelve " * 2)
    card.resize(260, 200)
    QApplication.processEvents()
    assert card.readout.elided
    assert card.readout.toolTip() == card.readout.text
    card.resize(1400, 200)
    QApplication.processEvents()
    assert not card.readout.elided
    assert card.readout.toolTip() == ""


def test_a_readout_takes_two_lines_before_anything_is_cut(card: Card) -> None:
    card.set_readout("Curvature <b>+0.023</b>: lowest <b>0.69</b> ahead. Gradient step <b>1.6e−4</b>, too short.")
    card.resize(448, 200)
    QApplication.processEvents()
    line = card.readout
    assert line.lines == 2
    assert not line.elided
    said = [text for _, _, text in line._places]
    assert "".join(said).replace(" ", "") == line.text.replace(" ", "")
    assert all(line.rect().contains(rect.toAlignedRect()) for rect, _, _ in line._places)
    above = [rect for rect, _, _ in line._places if rect.center().y() < line.height() / 2]
    assert "".join(said[: len(above)]) == "Curvature +0.023: lowest 0.69 ahead."
    card.resize(1000, 200)
    QApplication.processEvents()
    assert line.lines == 1


def test_a_link_on_the_second_line_is_clicked_there(qtbot: Any, card: Card) -> None:
    card.set_readout('Two plateaus, the last until 12,345, then a fall of 0.21. <a href="c">plateau or converged?</a>')
    card.resize(420, 200)
    QApplication.processEvents()
    line = card.readout
    assert line.lines == 2
    with qtbot.waitSignal(card.link_activated) as caught:
        qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPointF(30, line.height() - 7).toPoint())
    assert caught.args == ["c"]


def test_links_in_the_readout_are_clicked_and_keyed(qtbot: Any, card: Card) -> None:
    card.set_readout('Flat again from 209: <a href="curvature">plateau or converged?</a>')
    line = card.readout
    line._layout()
    place = next(rect for rect, run, _ in line._places if run.href)
    with qtbot.waitSignal(card.link_activated) as caught:
        qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=place.center().toPoint())
    assert caught.args == ["curvature"]
    with qtbot.waitSignal(card.link_activated):
        qtbot.keyClick(line, Qt.Key.Key_Return)
    with qtbot.assertNotEmitted(card.link_activated):
        qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPointF(3, 10).toPoint())


def test_html_is_read_into_runs_and_entities_into_characters() -> None:
    runs = parse('a <b>b</b> <span role="gradient">c</span> <a href="x">d</a> 1 &lt; 2')
    assert [r.text for r in runs if r.bold] == ["b", "d"]
    assert [r.role for r in runs if r.role] == ["gradient"]
    assert plain("a &lt; <b>b</b>") == "a < b"
    assert parse("") == []


def test_a_readout_can_be_painted_with_roles_and_colours(qtbot: Any, styled: QApplication) -> None:
    line = RichLine()
    qtbot.addWidget(line)
    line.set_html('<span role="gradient"><b>gradient</b></span> <span style="color: #ff0000">red</span>')
    line.resize(300, 32)
    line.show()
    assert _count(line.grab().toImage(), theme.LIGHT.gradient) > 10


def test_a_dock_paints_the_card_around_header_and_body(qtbot: Any, styled: QApplication) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(500, 300)
    card = Card("Slice through the loss")
    dock = CardDock(card, "slice")
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    window.show()
    QApplication.processEvents()
    assert dock.titleBarWidget() is card.header
    image = dock.grab().toImage()
    border = QColor(theme.LIGHT.border)
    middle = image.height() // 2
    assert image.pixelColor(0, middle) == border
    assert image.pixelColor(image.width() - 1, middle) == border
    assert image.pixelColor(image.width() // 2, 0) == border
    # no line between header and body
    assert image.pixelColor(image.width() // 2, card.header.height()) == QColor(theme.LIGHT.card)


def _count(image: QImage, colour: str) -> int:
    wanted = QColor(colour)
    return sum(image.pixelColor(x, y) == wanted for x in range(image.width()) for y in range(image.height()))
