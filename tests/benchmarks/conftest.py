"""The window that benchmarks drive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nnopt_gui.app import build_window, discard, make_app
from nnopt_gui.shell.main_window import MainWindow
from nnopt_gui.state.settings import Preferences


@pytest.fixture
def window(tmp_path) -> Iterator[MainWindow]:
    make_app("light")
    result = build_window(Preferences(tmp_path / "settings.ini"))
    result.resize(1440, 900)
    result.show()
    result.controller.start()
    yield result
    result.close()
    discard(result)
