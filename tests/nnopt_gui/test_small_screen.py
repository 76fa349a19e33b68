"""On a small screen the window fits, and what it shows first is large enough to read."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize

from nnopt_gui.app import build_window, discard
from nnopt_gui.state.settings import Preferences
from nnopt_gui.widgets import theme


@pytest.fixture
def window(qtbot, qapp, tmp_path):
    theme.apply(qapp, "light")
    result = build_window(Preferences(tmp_path / "settings.ini"), panels=False)
    yield result
    result.close()
    discard(result)


def test_the_first_window_fits_the_screen_with_its_frame(window):
    assert window.height() <= window.screen().availableSize().height() - 40


@pytest.mark.parametrize(("height", "open_at_first"), [(720, False), (900, True)])
def test_this_step_waits_for_its_key_where_the_window_is_low(window, height, open_at_first):
    window.resize(QSize(1280, height))
    window.add_panels()
    step = next(number for number, panel in enumerate(window.docks.panels, 1) if panel.id == "step")
    assert window.docks.is_open(step) is open_at_first
    assert all(window.docks.is_open(number) for number in range(1, step))
    if not open_at_first:
        window.actions_by_id[f"panel{step}"].trigger()
        assert window.docks.is_open(step)
