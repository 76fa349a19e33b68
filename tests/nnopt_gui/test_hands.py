"""What a lecturer does with mouse and keys, one after the other: the keys work again after every control, data can be
chosen and drawn, notices belong to their run, panels answer where they are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from laboratory import network
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget
from window_views import make_window, press, to

from nnopt.objectives import functions
from nnopt.objectives.datasets import Data
from nnopt.optimizers.batches import Mini
from nnopt.runs.changes import AddExample
from nnopt.runs.experiment import FunctionProblem
from nnopt_gui.panels.base import Intent
from nnopt_gui.shell.examples import EXAMPLES
from nnopt_gui.shell.session import FIRST_EXAMPLES, taken_over
from nnopt_gui.shell.speed import FLAT, in_words
from nnopt_gui.widgets.specs import Field
from nnopt_gui.widgets.words import label_words

# ------------------------------------------------------------------------------------------------- the keys work again


def choose(window, combo, index: int) -> None:
    """As with the mouse: the list opens, an entry is taken."""
    combo.setFocus()
    combo.showPopup()
    combo.view().setCurrentIndex(combo.model().index(index, 0))
    QTest.keyClick(combo.view(), Qt.Key.Key_Return)


def test_after_choosing_an_experiment_the_arrows_step(qtbot, window):
    combo, model = window.toolbar.examples, window.controller.model
    index = next(i for i, example in enumerate(EXAMPLES) if example.title == "Quadratic")
    choose(window, combo, index)
    qtbot.waitUntil(lambda: model.experiment == EXAMPLES[index].experiment() and window.controller.idle)
    qtbot.waitUntil(lambda: not combo.hasFocus())
    press(window, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: model.head == 1)


@pytest.mark.parametrize("key", [Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_Left])
def test_in_a_closed_list_the_keys_that_step_do_not_choose(qtbot, window, key):
    to(qtbot, window, 5)
    combo, model = window.toolbar.examples, window.controller.model
    combo.setFocus()
    number = model.number
    press(window, key, at=combo)
    assert model.cursor == {Qt.Key.Key_Home: 0, Qt.Key.Key_End: 5, Qt.Key.Key_Left: 4}[key]
    assert model.number == number


def test_a_closed_list_is_gone_through_with_up_and_down_and_keeps_the_focus(qtbot, window):
    combo = window.toolbar.examples
    combo.setCurrentIndex(0)
    combo.setFocus()
    with qtbot.waitSignal(combo.activated) as chosen:
        press(window, Qt.Key.Key_Down, at=combo)
    assert chosen.args == [1]
    assert combo.hasFocus()


def test_a_number_then_return_then_space_plays_with_that_number(qtbot, window):
    model = window.controller.model
    field = window.settings_card.form.row("methods[0].optimizer.lr").editor
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, "0.3")
    press(window, Qt.Key.Key_Return, at=field)
    assert not field.hasFocus()
    press(window, Qt.Key.Key_Space, at=QApplication.focusWidget() or window)
    qtbot.waitUntil(lambda: model.playing and model.head > 0)
    assert field.text() == "0.3"
    assert model.experiment.methods[0].optimizer.lr == 0.3


def test_what_is_not_valid_keeps_the_focus(window):
    field = window.settings_card.form.row("methods[0].optimizer.lr").editor
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, "abc")
    press(window, Qt.Key.Key_Return, at=field)
    assert field.hasFocus()
    assert field.bad


def test_esc_leaves_a_list(window):
    combo = window.toolbar.examples
    combo.setFocus()
    press(window, Qt.Key.Key_Escape, at=combo)
    assert not combo.hasFocus()


# ---------------------------------------------------------------------------------------------------------------- data


def pick_data(window, name: str) -> None:
    window.settings_card.form.row("problem.data").editor.picked.emit(name)


def test_choosing_csv_in_the_list_asks_for_the_file(qtbot, window, tmp_path, monkeypatch):
    (tmp_path / "fish.csv").write_text("a,b,kind\n" + "".join(f"{i},{i % 3},{'xy'[i % 2]}\n" for i in range(20)))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "fish.csv"), ""))
    pick_data(window, "csv")
    model = window.controller.model
    qtbot.waitUntil(lambda: model.experiment.problem.data.name == "csv")
    assert model.experiment.problem.data.path.endswith("fish.csv")
    assert window.settings_card.form.row("problem.data").editor.currentText() == "CSV file …"
    assert window.notices.text == ""


def test_no_file_keeps_the_data_that_was_there(window, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    number = window.controller.model.number
    pick_data(window, "csv")
    assert window.settings_card.form.row("problem.data").editor.currentText() == "Circle"
    assert window.controller.model.number == number
    assert window.notices.text == ""


def test_drawn_by_hand_begins_with_the_present_examples_and_takes_more(qtbot, window):
    model = window.controller.model
    before = model.run.problem.dataset
    pick_data(window, "points")
    qtbot.waitUntil(lambda: model.experiment.problem.data.name == "points")
    after = model.run.problem.dataset
    assert (after.X == before.X).all()
    assert (after.y == before.y).all()
    window.controller.on_intent(Intent("add_example", {"x": (0.5, 0.5), "y": 1}))
    qtbot.waitUntil(lambda: model.run.problem.dataset.n == before.n + 1)


def test_where_there_are_no_examples_of_its_kind_a_drawn_set_begins_with_a_few():
    points = Data.registry.get("points")()
    assert taken_over(points, Data.registry.decode("sine").make(1)).rows == FIRST_EXAMPLES
    assert taken_over(points, None).rows == FIRST_EXAMPLES
    assert taken_over(points, Data.registry.decode("blobs3").make(1)).classes == 3


def test_the_example_that_was_added_or_moved_is_the_chosen_one(qtbot, window):
    controller, model = window.controller, window.controller.model
    n = model.run.problem.dataset.n
    controller.on_intent(Intent("add_example", {"x": (3.0, 3.0), "y": 1}))
    qtbot.waitUntil(lambda: model.selection == n)
    controller.on_intent(Intent("move_example", {"index": 2, "x": (1.0, 1.0)}))
    qtbot.waitUntil(lambda: model.selection == 2)
    controller.editing.undo()
    qtbot.waitUntil(lambda: model.selection is None)


def test_starting_again_keeps_the_drawn_examples_and_not_the_extended_budget(qtbot, window):
    controller, model = window.controller, window.controller.model
    controller.on_intent(Intent("add_example", {"x": (3.0, 3.0), "y": 1}))
    qtbot.waitUntil(lambda: len(model.history.interventions) == 1)
    n = model.run.problem.dataset.n
    to(qtbot, window, 500)
    controller.transport.play()  # goes on beyond the budget
    qtbot.waitUntil(lambda: model.head > 500)
    assert model.limit == 1000
    press(window, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: model.limit == 500)
    assert model.run.problem.dataset.n == n
    assert [made.step for made in model.history.interventions] == [0]
    assert isinstance(model.history.interventions[0].change, AddExample)


# ------------------------------------------------------------------------------------------------------------- notices


@pytest.mark.parametrize("kind", ["info", "warning", "error"])
def test_a_notice_goes_with_its_run(qtbot, window, kind):
    model = window.controller.model
    model.say(kind, "The run has converged.")
    assert window.notices.text
    window.controller.editing.start(network(seed=9), "another")
    qtbot.waitUntil(lambda: model.experiment.seed == 9)
    assert window.notices.text == ""


def test_a_notice_goes_when_the_run_goes_on(qtbot, window):
    window.controller.model.say("error", "Update 3 failed.")
    press(window, Qt.Key.Key_Space)
    assert window.controller.model.playing
    assert window.notices.text == ""


def test_a_warning_goes_away_by_itself(qtbot, window, monkeypatch):
    monkeypatch.setattr("nnopt_gui.shell.notices.WARNS", 30)
    window.controller.model.say("warning", "careful")
    qtbot.waitUntil(lambda: window.notices.text == "")


def test_a_notice_covers_no_panel(window):
    window.controller.model.say("warning", "The run has diverged at step 2: the loss became not a number. " * 3)
    notice = window.notices.geometry()
    page = window.notices.parentWidget()
    for dock in window.docks.docks:
        place = dock.rect().translated(dock.mapTo(page, QPoint(0, 0)))
        assert not notice.intersects(place), dock.objectName()
    assert notice.bottom() < window.timeline.y()
    window.docks.toggle_settings()
    assert window.notices.y() < 120


def test_a_loss_that_stays_above_its_start_is_said_once(qtbot, window):
    model = window.controller.model
    said: list[str] = []
    model.notice.connect(lambda kind, text, detail: said.append(text) if kind == "warning" else None)
    window.controller.editing.start(network(lr=300.0, steps=2000), "far too large", play=False)
    qtbot.waitUntil(lambda: model.experiment.methods[0].optimizer.lr == 300.0)
    window.controller.transport.set_speed(500.0)
    window.controller.transport.play()
    qtbot.waitUntil(lambda: bool(said))
    assert "above" in said[0]
    assert "learning rate" in said[0]


# -------------------------------------------------------------------------------------------------------------- panels


def test_the_link_to_the_curvature_pauses_at_the_newest_step_and_lights_the_panel_up(qtbot, window):
    to(qtbot, window, 9)
    window.controller.transport.seek(3)
    window.docks.docks[4].close()
    window.docks.panels[3].link_activated.emit("panel:5")
    assert window.docks.docks[4].isVisible()
    assert window.docks.docks[4].glow.isVisible()
    assert window.controller.model.cursor == 9
    window.docks.panels[3].link_activated.emit("panel:5")
    assert window.docks.maximized is None


def test_the_menu_of_the_settings_folds_the_sections(window):
    card = window.settings_card
    card.menu.aboutToShow.emit()
    assert [action.text() for action in card.menu.actions() if action.text()] == [
        "Fold all sections", "Unfold all sections", "Close",
    ]  # fmt: skip
    card.menu.actions()[-3].trigger()
    assert not any(section.content.isVisible() for section in card.form.sections.values())


def test_a_panel_floats_in_the_middle_and_its_number_raises_it(window):
    dock = window.docks.docks[0]
    window.docks.toggle_floating(dock)
    assert dock.width() >= 640
    assert (dock.frameGeometry().center() - window.frameGeometry().center()).manhattanLength() < 40
    press(window, Qt.Key.Key_1)
    press(window, Qt.Key.Key_1)
    assert dock.isFloating()
    assert dock.isVisible()
    assert window.docks.maximized is None
    window.docks.toggle_floating(dock)
    assert not dock.isFloating()


def test_a_floating_panel_that_would_cover_the_window_is_put_back_at_the_next_start(window, tmp_path):
    window.docks.toggle_floating(window.docks.docks[0])
    window.close()
    again = make_window(tmp_path)
    again.show()
    assert not again.docks.docks[0].isFloating()
    again.close()
    again.deleteLater()


def test_the_third_row_gives_way_when_the_window_becomes_low_and_returns(window):
    window.resize(1280, 860)
    assert window.docks.is_open(5)
    window.resize(1280, 680)
    assert not window.docks.is_open(5)
    assert window.docks.closed_panels() == []
    window.resize(1280, 860)
    assert window.docks.is_open(5)
    window.docks.docks[4].close()
    window.resize(1280, 680)
    window.resize(1280, 860)
    assert not window.docks.is_open(5)


def test_at_the_smallest_size_nothing_in_the_toolbar_overlaps(window):
    window.resize(*window.minimumSize().toTuple())
    bar = window.toolbar
    QApplication.processEvents()
    assert bar.layout().minimumSize().width() <= bar.width()
    shown = [child for child in bar.children() if isinstance(child, QWidget) and child.isVisible()]
    places = sorted((child.geometry() for child in shown), key=lambda rect: rect.left())
    for left, right in pairwise(places):
        assert left.right() < right.left()


# -------------------------------------------------------------------------------------------- names, speeds and numbers


def test_the_name_says_that_another_problem_was_set(qtbot, window):
    model = window.controller.model
    window.session.start_example(EXAMPLES[0])
    qtbot.waitUntil(lambda: window.toolbar.examples.currentText() == "Circles")
    window.controller.editing.set("problem.network.hidden", (3,))
    qtbot.waitUntil(lambda: window.toolbar.examples.placeholderText() == "Circles (changed)")
    assert window.toolbar.examples.currentIndex() == -1
    window.controller.editing.set("methods[0].optimizer.lr", 0.7)
    qtbot.waitUntil(lambda: model.experiment.methods[0].optimizer.lr == 0.7)
    window.controller.editing.undo()
    window.controller.editing.undo()
    qtbot.waitUntil(lambda: window.toolbar.examples.currentText() == "Circles")


def test_flat_out_is_not_how_the_next_start_begins(window, tmp_path):
    window.toolbar.speed.slider.setValue(FLAT)
    assert window.controller.model.speed is None
    window.close()
    again = make_window(tmp_path)
    assert again.controller.model.speed == 60.0
    again.close()
    again.deleteLater()


def test_the_handle_of_the_speed_jumps_to_the_mouse(window):
    slider = window.toolbar.speed.slider
    QTest.mouseClick(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() - 3, slider.height() // 2))
    assert window.controller.model.speed is None
    QTest.mouseClick(slider, Qt.MouseButton.LeftButton, pos=QPoint(2, slider.height() // 2))
    assert window.controller.model.speed == 1.0
    assert in_words(1000.0) == "1,000 steps/s"


def test_a_session_stands_where_it_was_saved(qtbot, window, tmp_path):
    to(qtbot, window, 30)
    window.controller.transport.seek(12)
    assert window.session.save(tmp_path / "mine.json")
    window.controller.editing.start(network(seed=8), "another")
    model = window.controller.model
    qtbot.waitUntil(lambda: model.experiment.seed == 8)
    window.session.open(tmp_path / "mine.json")
    qtbot.waitUntil(lambda: (model.head, model.cursor) == (30, 12))


def test_the_numbers_of_a_batch_are_called_so(qtbot, window):
    window.controller.editing.set("methods[0].batches", Mini(size=5))
    qtbot.waitUntil(lambda: "batch loss" in window.timeline.status)
    assert "batch |g|" in window.timeline.status


def test_a_function_offers_no_batches(qtbot, window):
    # they stay in the experiment for the next network, and its numbers are not called a batch's
    window.controller.editing.set("methods[0].batches", Mini(size=5))
    qtbot.waitUntil(lambda: "batch loss" in window.timeline.status)
    window.controller.editing.set("problem", FunctionProblem(functions.get("bowl")))
    qtbot.waitUntil(lambda: "loss" in window.timeline.status)
    window.session.start_example(next(example for example in EXAMPLES if example.title == "Himmelblau"))
    form = window.settings_card.form
    qtbot.waitUntil(lambda: window.controller.model.experiment.problem == form.value.problem)
    qtbot.waitUntil(lambda: not any("batches" in field.path for field in form.rows))


def test_before_anything_runs_the_toolbar_names_what_will(window):
    window.session.announce(None, 7)
    assert window.toolbar.seed.text() == "7"
    assert window.toolbar.examples.currentText() == EXAMPLES[0].title


def test_a_symbol_keeps_its_letter_and_whole_numbers_say_their_range():
    assert label_words("epsilon", "ε") == "ε"
    assert label_words("decay", "weight decay") == "Weight decay"
    hidden = Field("hidden", "Hidden units", "numbers", integer=True, low=1, high=10_000)
    assert hidden.expected == "whole numbers from 1 to 10,000, such as 8, 4"
