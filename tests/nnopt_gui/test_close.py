"""Closing or killing the laboratory in any state: no crash, no hang, no thread left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

PRELUDE = """
import faulthandler, sys, time
faulthandler.enable()
from pathlib import Path
from PySide6.QtCore import QTimer
from nnopt_gui import app as module
from nnopt_gui.app import build_window, discard, make_app, start, watched
from nnopt_gui.state.settings import Preferences
app = make_app("light")
later = QTimer.singleShot

class Endless:
    key = "endless"
    @staticmethod
    def compute():
        while True:
            time.sleep(0.05)
            yield 1
"""

#: how each state is reached and left; every piece has `window`, `controller` and `app`
STATES = {
    "before the first frame": "window.show(); start(window, None, None, True); window.close()",
    "never shown": "start(window, None, None, True); window.close()",
    "never started": "window.show(); window.close()",
    "playing flat out": """
window.show(); start(window, None, None, True); controller.transport.set_speed(None)
controller.transport.set_limit(10**9); later(300, window.close); app.exec()""",
    "playing slowly": """
window.show(); start(window, None, None, True); controller.transport.set_speed(1.0)
later(200, window.close); app.exec()""",
    "paused": "window.show(); start(window, None, None, False); later(200, window.close); app.exec()",
    "the analyst computes": """
window.show(); start(window, None, None, True)
later(150, lambda: controller.analyst.request("endless", Endless)); later(300, window.close); app.exec()""",
    "dragging the point": """
window.show(); start(window, None, None, True)
later(200, lambda: controller.model.set_probe(controller.model.run.state.theta * 0.5))
later(230, window.close); app.exec()""",
    "a panel floats and another is maximized": """
window.show(); start(window, None, None, True)
later(100, lambda: window.docks.docks[0].setFloating(True))
later(150, lambda: window.docks.maximize(window.docks.docks[1]))
later(300, window.close); app.exec()""",
    "the keys are shown": """
window.show(); start(window, None, None, True); later(100, window.show_keys); later(200, window.close); app.exec()""",
    "quit instead of closed": """
window.show(); start(window, None, None, True); later(200, app.quit); app.exec(); window.close()""",
}

ALL = """
for name, code in STATES.items():
    window = build_window(Preferences(Path(sys.argv[1]) / "settings.ini"))
    controller = window.controller
    exec(code)
    assert not controller.trainer.isRunning() and not controller.analyst.isRunning(), name
    discard(window)
    del window, controller
    print("ended:", name, flush=True)
"""

BROKEN = """
def broken(*_):
    raise RuntimeError("on the way up")
module.take_picture = broken
try:
    module.main(["--screenshot", "x.png"])
except RuntimeError as error:
    print("said", error)
"""


TRAINING = """
window = build_window(Preferences(Path(sys.argv[1]) / "settings.ini"))
with watched(window):
    window.show()
    start(window, None, None, True)
    window.controller.transport.set_speed(None)
    window.controller.transport.set_limit(10**9)
    print("up", flush=True)
    app.exec()
"""


def run(code: str, folder) -> subprocess.CompletedProcess:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(folder)],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def closed(tmp_path_factory) -> subprocess.CompletedProcess:
    """One process that goes through all states, each with a window of its own."""
    return run(f"STATES = {STATES!r}\n{ALL}", tmp_path_factory.mktemp("close"))


@pytest.mark.parametrize("state", STATES)
def test_it_can_be_closed(state, closed):
    assert f"ended: {state}" in closed.stdout.splitlines(), closed.stdout + closed.stderr


def test_nothing_goes_wrong_on_the_way_out(closed):
    assert closed.returncode == 0, f"{closed.returncode}\n{closed.stdout}\n{closed.stderr}"
    assert "Destroyed while thread" not in closed.stderr
    assert "Traceback" not in closed.stderr, closed.stderr


def test_an_exception_on_the_way_up_does_not_leave_a_thread(tmp_path):
    done = run(BROKEN, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "said on the way up" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_killed_while_it_trains_it_is_gone(how, tmp_path):
    code = PRELUDE + TRAINING
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline().strip() == "up"
        time.sleep(0.4)
        process.send_signal(how)
        try:
            _, error = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == (-how if how == signal.SIGKILL else 0)
    assert "Aborted" not in error
    assert "core dumped" not in error
