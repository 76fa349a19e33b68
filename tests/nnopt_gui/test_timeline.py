"""The timeline: places, seeking, words that do not overlap, status."""

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.timeline import Timeline


@dataclass(frozen=True)
class Flat:
    start: int
    stop: int
    level: float = 0.69
    escaped: bool = True


STATUS = {"loss": "0.2587", "|g|": "0.1258", "epoch": "18.3", "updates/s": "7,600"}


@pytest.fixture
def timeline(qtbot: Any, styled: QApplication) -> Timeline:
    made = Timeline()
    qtbot.addWidget(made)
    made.resize(1200, 72)
    made.set_state(
        601,
        600,
        183,
        [Flat(0, 95), Flat(209, 600, 0.2, False)],
        [(70, "learning rate 2 → 4"), (225, "learning rate 4 → 1")],
        STATUS,
    )
    made.show()
    return made


def at(timeline: Timeline, step: int) -> QPoint:
    return QPoint(round(timeline.x_of(step)), 36)


def test_steps_and_pixels_belong_together(timeline: Timeline) -> None:
    for step in (0, 1, 183, 600):
        assert timeline.step_at(timeline.x_of(step)) == step
    assert timeline.step_at(-100) == 0
    assert timeline.step_at(5000) == 600


def test_a_click_seeks(qtbot: Any, timeline: Timeline) -> None:
    with qtbot.waitSignal(timeline.sought) as caught:
        qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=at(timeline, 400))
    assert caught.args[0] == pytest.approx(400, abs=1)


def test_dragging_the_play_head_scrubs(qtbot: Any, timeline: Timeline) -> None:
    sought: list[int] = []
    timeline.sought.connect(sought.append)
    qtbot.mousePress(timeline, Qt.MouseButton.LeftButton, pos=at(timeline, 183))
    for step in (200, 250, 300):
        qtbot.mouseMove(timeline, at(timeline, step))
    qtbot.mouseRelease(timeline, Qt.MouseButton.LeftButton, pos=at(timeline, 300))
    assert sought[-1] == pytest.approx(300, abs=1)
    assert len(sought) >= 3
    qtbot.mouseMove(timeline, at(timeline, 500))
    assert sought[-1] == pytest.approx(300, abs=1)


def test_only_computed_steps_can_be_sought(qtbot: Any, timeline: Timeline) -> None:
    timeline.set_state(101, 5000, 50, status=STATUS)
    with qtbot.waitSignal(timeline.sought) as caught:
        qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=at(timeline, 4000))
    assert caught.args == [100]


def test_a_click_on_the_status_does_not_seek(qtbot: Any, timeline: Timeline) -> None:
    with qtbot.assertNotEmitted(timeline.sought):
        qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=QPoint(1150, 36))


@pytest.mark.parametrize(
    ("key", "shift", "step"),
    [
        (Qt.Key.Key_Right, False, 184),
        (Qt.Key.Key_Left, True, 173),
        (Qt.Key.Key_Home, False, 0),
        (Qt.Key.Key_End, False, 600),
    ],
)
def test_keys_seek(qtbot: Any, timeline: Timeline, key: Qt.Key, shift: bool, step: int) -> None:
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
    with qtbot.waitSignal(timeline.sought) as caught:
        qtbot.keyClick(timeline, key, modifier)
    assert caught.args == [step]


def test_words_do_not_overlap_and_the_newest_intervention_is_always_named(timeline: Timeline) -> None:
    many = [(i * 7, f"learning rate {i} → {i + 1}") for i in range(80)]
    timeline.set_state(601, 600, 183, [Flat(0, 95), Flat(209, 600, 0.2, False)], many, STATUS)
    placed = timeline.placed_words()
    for (_, a, _), (_, b, _) in itertools.combinations(placed, 2):
        assert a.right() <= b.left() or b.right() <= a.left()
    assert "learning rate 79 → 80" in [text for _, _, text in placed]


def test_flat_stretches_and_interventions_are_named(timeline: Timeline) -> None:
    texts = {text for _, _, text in timeline.placed_words()}
    assert texts == {"plateau", "learning rate 2 → 4", "learning rate 4 → 1", "flat: plateau or converged?"}


def test_the_open_question_is_asked_of_the_last_flat_stretch_alone(timeline: Timeline) -> None:
    timeline.set_state(601, 600, 183, [Flat(0, 200, 0.2, False), Flat(300, 600, 0.2, False)], (), STATUS)
    assert sorted(text for _, _, text in timeline.placed_words()) == ["flat", "flat: plateau or converged?"]
    assert timeline.tip_at(QPointF(at(timeline, 100))) == "flat, 200 steps"


def test_the_tooltip_says_all_that_happened_there(qtbot: Any, timeline: Timeline) -> None:
    tip = timeline.tip_at(QPointF(at(timeline, 70)))
    assert tip == "step 70: learning rate 2 → 4\nplateau, 95 steps"
    assert timeline.tip_at(QPointF(at(timeline, 150))) == "step 150"
    assert timeline.tip_at(QPointF(1150, 36)) == ""
    spot = at(timeline, 70)
    QApplication.sendEvent(timeline, QHelpEvent(QHelpEvent.Type.ToolTip, spot, timeline.mapToGlobal(spot)))
    assert QToolTip.text() == tip
    QToolTip.hideText()


def test_the_status_does_not_move_while_numbers_run(timeline: Timeline) -> None:
    before = timeline.x_of(600)
    for cursor, loss in ((9, "0.1"), (99, "0.25"), (600, "0.2587")):
        timeline.set_state(601, 600, cursor, status=STATUS | {"loss": loss})
        assert timeline.x_of(600) == before


def test_in_a_narrow_window_the_step_stays_and_the_rest_gives_way(timeline: Timeline) -> None:
    timeline.resize(420, 72)
    assert next(label for label, _, _ in timeline._entries) == "step"
    assert len(timeline._entries) < 5
    assert timeline.x_of(600) > timeline.x_of(0) + 50


def test_the_same_state_is_not_painted_again(qtbot: Any, styled: QApplication) -> None:
    class Counting(Timeline):
        painted = 0

        def paintEvent(self, event: Any) -> None:
            self.painted += 1
            super().paintEvent(event)

    timeline = Counting()
    qtbot.addWidget(timeline)
    timeline.show()
    qtbot.waitUntil(lambda: timeline.painted > 0)
    timeline.set_state(10, 100, 3)
    QApplication.processEvents()
    painted = timeline.painted
    for _ in range(5):
        timeline.set_state(10, 100, 3)
    for length in range(11, 30):
        timeline.set_state(length, 100, 3)
    QApplication.processEvents()
    assert timeline.painted == painted + 1


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_play_head_plateaus_and_computed_part_are_painted(timeline: Timeline, mode: Any) -> None:
    theme.set_mode(mode)
    image = timeline.grab().toImage()
    head = image.pixelColor(at(timeline, 183))
    assert head == theme.color("accent")
    escaped, still_flat, plain = (image.pixelColor(at(timeline, step)) for step in (40, 400, 150))
    assert len({escaped.name(), still_flat.name(), plain.name()}) == 3
    assert plain == QColor(theme.current().border)
    below = QPoint(round(timeline.x_of(100)), 43)
    assert image.pixelColor(below) == theme.color("accent")


def test_a_new_run_of_length_one_can_be_shown(timeline: Timeline) -> None:
    timeline.set_state(1, 5000, 0)
    timeline.set_state(0, 0, 0)
    assert not timeline.grab().isNull()
    assert timeline.step_at(500) == 0
