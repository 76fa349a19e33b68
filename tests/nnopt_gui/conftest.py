"""Every test of the window begins with fresh settings and must leave nothing behind: no window, thread or timer."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, QSettings, QStandardPaths, QThread, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from nnopt_gui.widgets import theme

if TYPE_CHECKING:
    from controller_laboratory import Laboratory

    from nnopt.runs.run import Run
    from nnopt_gui.shell.main_window import MainWindow
    from nnopt_gui.widgets.plot import LabPlot

_FAILED = pytest.StashKey[bool]()
# Qt's own helpers, which it keeps for the whole process
_QT_OWN = {"QTipLabel", "QFocusFrame", "QDesktopScreenWidget"}


def pytest_configure(config: pytest.Config) -> None:
    # the offscreen platform says this for every window
    config.addinivalue_line("qt_log_ignore", r"This plugin does not support .*")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Remembers a failure: its traceback keeps widgets alive, which is no second failure."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(autouse=True)
def fresh_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """All settings, caches and data files of a test go into its own temporary folder."""
    home = tmp_path / "home"
    for name in ("config", "data", "state", "cache"):
        (home / name).mkdir(parents=True)
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(home / name))
    for name in ("APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home / "config"))
    QStandardPaths.setTestModeEnabled(True)
    usual = QSettings.defaultFormat()
    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
        QSettings.setPath(QSettings.Format.IniFormat, scope, str(home / "config"))
        QSettings.setPath(QSettings.Format.NativeFormat, scope, str(home / "config"))
    yield home
    QSettings.setDefaultFormat(usual)
    QStandardPaths.setTestModeEnabled(False)


@pytest.fixture(autouse=True, scope="session")
def modules_out_of_sight() -> None:
    """What belongs to imported modules is not looked through after every test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_behind(
    request: pytest.FixtureRequest, fresh_settings: Path, modules_out_of_sight: None
) -> Iterator[None]:
    """Fails a test that leaves a top-level widget, a running thread or an active timer."""
    # addresses, not objects: a reference here would keep alive what is being looked for
    before = _addresses(_windows())
    yield
    if QApplication.instance() is None:
        return
    _delete_what_is_due()
    for _ in range(3):
        if not _addresses(_windows() + _running()) - before:
            break
        # what only a reference cycle keeps alive was not left on purpose; one cycle may free the next
        gc.collect()
        _delete_what_is_due()
    left = [w for w in _windows() if not _addresses([w]) <= before]
    busy = [o for o in _running() if not _addresses([o]) <= before]
    if theme.mode() != "light":
        theme.set_mode("light")
    for thread in busy:
        if isinstance(thread, QThread):
            thread.requestInterruption()
            thread.quit()
            thread.wait(2000)
        else:
            thread.stop()
    names = [_name(o) for o in (*left, *busy)]
    for window in left:
        window.close()
        window.deleteLater()
    _delete_what_is_due()
    if not request.node.stash.get(_FAILED, False):
        assert not names, f"the test left behind: {', '.join(names)}"


@pytest.fixture
def styled(qapp: QApplication) -> QApplication:
    """The application in our style, light."""
    if not qapp.styleSheet() or theme.mode() != "light":
        theme.apply(qapp, "light")
    return qapp


@pytest.fixture
def window(qtbot, qapp, tmp_path) -> Iterator[MainWindow]:
    """The whole window, with a small network at step 0."""
    from laboratory import network
    from window_views import make_window

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


@pytest.fixture
def plot(qtbot: Any, styled: QApplication) -> LabPlot:
    """A plot of 500 by 300 pixels from −2 to 2 and −1 to 1."""
    from plot_views import made

    return made(qtbot)


@pytest.fixture
def lab(qapp) -> Iterator[Laboratory]:
    """A controller with one panel and a small network at step 0."""
    from controller_laboratory import FakePanel, Laboratory
    from laboratory import network

    from nnopt_gui.shell.controller import Controller

    controller = Controller()
    panel = FakePanel()
    controller.stage.add(panel)
    notices: list[tuple[str, str, str]] = []
    controller.model.notice.connect(lambda *what: notices.append(what))
    controller.trainer.start()
    controller.analyst.start()
    result = Laboratory(controller, panel, notices)
    controller.editing.start(network(), "first")
    result.frames(lambda: controller.model.run is not None)
    yield result
    assert controller.close()


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """A short run of every method."""
    from panel_views import network_run
    from step_views import METHODS

    from nnopt import optimizers

    return {name: network_run("moons", (3,), 20, optimizers.get(name)(), points=40) for name in METHODS}


def _delete_what_is_due() -> None:
    for _ in range(2):
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def _addresses(things: list[Any]) -> set[int]:
    return {shiboken6.getCppPointer(thing)[0] for thing in things}


def _windows() -> list[QWidget]:
    if QApplication.instance() is None:
        return []
    return [
        w
        for w in QApplication.topLevelWidgets()
        if shiboken6.isValid(w) and w.parent() is None and w.metaObject().className() not in _QT_OWN
    ]


def _running() -> list[Any]:
    kinds = _kinds(QThread) | _kinds(QTimer)
    found = [o for o in gc.get_objects() if type(o) in kinds]
    return [o for o in found if shiboken6.isValid(o) and _is_running(o)]


def _kinds(base: type) -> set[type]:
    return {base}.union(*(_kinds(sub) for sub in base.__subclasses__()))


def _is_running(thing: QThread | QTimer) -> bool:
    return thing.isRunning() if isinstance(thing, QThread) else thing.isActive()


def _name(thing: Any) -> str:
    return f"{type(thing).__name__} {thing.objectName()!r}" if thing.objectName() else type(thing).__name__
