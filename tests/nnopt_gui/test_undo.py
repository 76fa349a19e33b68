"""Undo: places in order, gestures that count as one, runs given up beyond the budget."""

from __future__ import annotations

from laboratory import network, valley

from nnopt.runs.run import Run
from nnopt_gui.state.undo import Place, Undo


def place(number: int, steps: int = 0) -> Place:
    run = Run(network())
    run.advance(steps)
    return Place(number, run.recording, run, None, 500)


def with_places(count: int, **options) -> Undo:
    undo = Undo(**options)
    for number in range(1, count + 1):
        undo.push(f"edit {number}", place(number))
    return undo


def test_there_is_nothing_to_undo_at_first():
    undo = with_places(1)
    assert undo.undo() is None
    assert (undo.undo_label, undo.redo_label) == ("", "")


def test_undo_leads_back_place_by_place_and_redo_forward_again():
    undo = with_places(3)
    assert undo.undo_label == "edit 3"
    assert undo.undo().number == 2
    assert undo.undo().number == 1
    assert undo.redo_label == "edit 2"
    assert undo.redo().number == 2
    assert undo.redo().number == 3
    assert undo.redo() is None


def test_an_edit_after_undo_takes_the_place_of_what_was_undone():
    undo = with_places(3)
    undo.undo()
    undo.push("other", place(9))
    assert undo.redo() is None
    assert undo.undo().number == 2


def test_edits_of_one_setting_within_a_gesture_are_one():
    now = [0.0]
    undo = with_places(1, clock=lambda: now[0])
    for number in range(2, 12):
        now[0] += 0.1
        undo.push("lr", place(number), key="lr")
    assert undo.undo().number == 1
    assert undo.redo().number == 11


def test_a_pause_or_another_setting_begins_a_new_edit():
    now = [0.0]
    undo = with_places(1, clock=lambda: now[0])
    undo.push("lr", place(2), key="lr")
    now[0] += 5.0
    undo.push("lr", place(3), key="lr")
    undo.push("l2", place(4), key="l2")
    assert [undo.undo().number for _ in range(3)] == [3, 2, 1]


def test_the_place_is_left_as_it_looked_last():
    undo = with_places(2)
    run = undo.place.run
    run.advance(10)
    undo.leave(4, run.recording, 900)
    undo.undo()
    again = undo.redo()
    assert (again.cursor, again.recording.length, again.limit) == (4, 10, 900)


def test_runs_far_away_are_given_up_beyond_the_budget_but_their_recipe_stays():
    def long_run(number: int) -> Place:
        run = Run(valley())
        run.advance(2000)
        return Place(number, run.recording, run, None, 500)

    undo = Undo(budget=long_run(0).bytes * 2)
    for number in range(1, 6):
        undo.push(f"edit {number}", long_run(number))
    kept = [undo.place.run is not None]
    while (found := undo.undo()) is not None:
        kept.append(found.run is not None)
    assert kept[0]
    assert kept.count(True) <= 3
    assert undo.place.recording.length == 2000


def test_a_run_computed_again_takes_its_place():
    undo = Undo(budget=0)
    undo.push("a", place(1))
    undo.push("b", place(2))
    assert undo.undo().run is None
    run = Run(network())
    undo.restored(7, run)
    assert (undo.place.number, undo.place.run) == (7, run)
