"""The table of actions: complete, free of clashes, and where everything else takes its words from."""

from __future__ import annotations

from collections import Counter

import pytest
from PySide6.QtGui import QKeySequence

from nnopt_gui.shell.actions import MENUS, TABLE, panel_spec, tool_tip
from nnopt_gui.widgets import icons

SPECS = (*TABLE, *(panel_spec(number, f"Panel {number}") for number in range(1, 6)))


def test_no_key_is_given_twice():
    keys = Counter(QKeySequence(key).toString() for spec in SPECS for key in spec.keys)
    assert [key for key, times in keys.items() if times > 1] == []


def test_every_key_is_one_that_qt_understands():
    for spec in SPECS:
        for key in spec.keys:
            assert QKeySequence(key).toString(), key


def test_every_id_is_unique_and_every_menu_exists():
    assert len({spec.id for spec in SPECS}) == len(SPECS)
    assert {spec.menu for spec in SPECS} <= set(MENUS)


def test_every_icon_exists():
    for spec in SPECS:
        if spec.icon:
            assert not icons.icon(spec.icon).isNull()


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("Space", "play"), ("Right", "forward"), ("Left", "back"), ("Shift+Right", "forward10"),
        ("Shift+Left", "back10"),
        ("Home", "home"), ("End", "end"), ("R", "reseed"), ("Shift+R", "reset"), ("F11", "fullscreen"), ("F1", "keys"),
        ("Ctrl+S", "save"), ("Ctrl+O", "open"), ("Ctrl+Z", "undo"), ("Ctrl+Shift+Z", "redo"),
        ("Ctrl+E", "export_picture"),
        ("Ctrl+Q", "quit"), ("1", "panel1"), ("5", "panel5"), ("Esc", "restore"),
    ],
)  # fmt: skip
def test_the_keys_of_the_design(key, name):
    (spec,) = [spec for spec in SPECS if key in spec.keys]
    assert spec.id == name


def test_a_tooltip_says_what_it_does_and_its_key():
    spec = next(spec for spec in TABLE if spec.id == "forward")
    assert tool_tip(spec) == "One step forward: at the newest step: one more update (Right)"
