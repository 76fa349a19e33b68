"""The command `nnopt-gui`: the laboratory's window, or a picture of it where there is no screen."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from nnopt_gui.shell.main_window import MainWindow
    from nnopt_gui.shell.session import Opened
    from nnopt_gui.state.settings import Preferences

#: updates of the picture that is written where there is no screen, and where it goes
STEPS_WITHOUT_SCREEN = 300
PICTURE_WITHOUT_SCREEN = "nnopt.png"
#: seconds that a picture may take
PATIENCE = 300.0
#: `--screenshot` leaves the user's own remembered window alone
_PICTURE_SIZE = (1920, 1080)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the laboratory; returns the exit code: 0, or 2 for a file or an argument that is not valid."""
    options = _parser().parse_args(argv)
    if options.screenshot is None and not _has_screen():
        print(f"nnopt-gui: there is no display: training the default experiment and writing {PICTURE_WITHOUT_SCREEN}")
        options.screenshot = PICTURE_WITHOUT_SCREEN
        options.after = options.after if options.after is not None else STEPS_WITHOUT_SCREEN
    if options.screenshot is not None and not _has_screen():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    # imported here: the arguments are checked, and the platform chosen, before Qt and numpy are loaded
    import nnopt
    from nnopt.errors import NnoptError
    from nnopt.plugins import load_file
    from nnopt_gui.shell.session import check, read

    del nnopt  # importing it keeps BLAS on one thread
    opened: Opened | None = None
    try:
        for plugin in options.plugins:
            load_file(plugin)
        if options.file is not None:
            opened = read(options.file, options.seed)
            check(opened)
    except NnoptError as error:
        print(f"nnopt-gui: {error}", file=sys.stderr)
        return 2
    return _run(options, opened)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("nnopt-gui", description="A laboratory for the optimization of neural networks.")
    parser.add_argument("file", nargs="?", help="an experiment, a session or a CSV file")
    parser.add_argument(
        "--plugin", dest="plugins", action="append", default=[], metavar="FILE.py",
        help="load a Python file with optimizers, functions or data sets of your own (more than once for several)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, help="seed of the initial weights, instead of the experiment's")
    parser.add_argument("--theme", choices=("light", "dark", "system"), help="colours (default: as the last time)")
    parser.add_argument("--size", type=_size, metavar="WxH", help="size of the window, as 1280x720")
    parser.add_argument("--screenshot", metavar="OUT.png", help="train, write a picture of the window, and exit")
    parser.add_argument("--after", type=_count, metavar="STEPS", help="updates before the picture (default: 300)")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 320 and int(height) >= 240):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT in pixels, as 1280x720, got {text!r}")
    return int(width), int(height)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number of updates >= 0, got {text!r}")
    return int(text)


def _has_screen() -> bool:
    """Whether a window can be shown (on Linux: a display; a platform chosen by the user counts)."""
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if platform:
        return platform.split(":")[0] not in ("offscreen", "minimal")
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _run(options: argparse.Namespace, opened: Opened | None) -> int:
    from tempfile import TemporaryDirectory

    from nnopt_gui.state.settings import Preferences

    with TemporaryDirectory(prefix="nnopt-") as folder:
        picture = options.screenshot is not None
        preferences = Preferences(Path(folder) / "picture.ini" if picture else None)
        if options.theme is not None:
            preferences.set("theme", options.theme)
        app = make_app(preferences.text("theme", "system"))
        window = build_window(preferences, panels=False)
        if options.size is not None or picture:
            window.resize(*(options.size or _PICTURE_SIZE))
        code = 0
        try:
            with watched(window):
                window.session.announce(opened, options.seed)
                window.show()
                app.processEvents()  # the window is on the screen before its panels are loaded
                window.add_panels()
                start(window, opened, options.seed, play=not picture)
                if picture:
                    code = take_picture(
                        app, window, options.screenshot, 300 if options.after is None else options.after
                    )
                else:
                    code = app.exec()
        finally:
            ended = window.controller.close()
            window.close()
            if ended:
                discard(window)
    sys.stdout.flush()
    if not ended:
        # an update that never returns holds its thread: leaving a running QThread would abort with a core dump
        print("nnopt-gui: an update did not end in time; leaving without it", file=sys.stderr, flush=True)
        os._exit(code)
    return code


def make_app(theme_mode: str) -> QApplication:
    """The application, in its colours."""
    from PySide6.QtWidgets import QApplication

    from nnopt_gui.widgets import theme

    app = QApplication.instance() or QApplication(["nnopt-gui"])
    assert isinstance(app, QApplication)
    app.setApplicationName("nnopt")
    app.setDesktopFileName("nnopt")
    theme.apply(app, theme_mode)  # type: ignore[arg-type]
    return app


def build_window(preferences: Preferences, panels: bool = True) -> MainWindow:
    """The window, with all its panels or without them (`add_panels` loads them); nothing runs yet."""
    from nnopt_gui.shell.actions import KeyKeeper
    from nnopt_gui.shell.controller import Controller
    from nnopt_gui.shell.main_window import MainWindow

    controller = Controller()
    window = MainWindow(controller, preferences)
    if panels:
        window.add_panels()
    window.keeper = KeyKeeper(window)
    return window


@contextmanager
def watched(window: MainWindow) -> Iterator[None]:
    """While the window lives: Ctrl+C in the terminal, or being asked to terminate, closes it like its own button does,
    and an exception that nobody expected is told to the user."""
    from PySide6.QtCore import QTimer

    def close(*_: object) -> None:
        QTimer.singleShot(0, window.close)  # not at once: the signal may arrive in the middle of a frame

    handlers = {number: signal.signal(number, close) for number in (signal.SIGINT, signal.SIGTERM)}
    hook, sys.excepthook = sys.excepthook, partial(tell, window)
    try:
        yield
    finally:
        sys.excepthook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)


def tell(window: MainWindow, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An exception that nobody expected reaches the user as a notice (and the terminal), and the laboratory goes on."""
    sys.__excepthook__(kind, error, trace)
    detail = "".join(traceback.format_exception(kind, error, trace))
    window.controller.model.say(
        "error", f"Something went wrong in the laboratory itself: {kind.__name__}: {error}", detail
    )


def discard(window: MainWindow) -> None:
    """Delete the window now, while Qt is still whole, and not in whatever order the interpreter ends in."""
    from PySide6.QtCore import QCoreApplication, QEvent

    from nnopt_gui.widgets import theme

    window.deleteLater()
    theme.changed.disconnect()  # plain functions that listen would keep parts of the window alive
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QCoreApplication.processEvents()
    vars(window).clear()  # whoever still holds the window does not hold its panels


def start(window: MainWindow, opened: Opened | None, seed: int | None, play: bool) -> None:
    """Bring up threads and timer and run what was opened, or the default experiment."""
    from nnopt_gui.shell.examples import EXAMPLES

    controller = window.controller
    app = _app()
    app.aboutToQuit.connect(controller.close)
    window.closed.connect(app.quit)
    controller.start()
    if opened is None:
        window.session.start_example(EXAMPLES[0], seed, play)
    else:
        window.session.show(opened, play)


def take_picture(app: QApplication, window: MainWindow, path: str, steps: int) -> int:
    """Train exactly `steps` updates, wait until every picture is final, write it, print the summary."""
    from nnopt_gui.widgets.plot import LabPlot

    controller = window.controller
    deadline = time.monotonic() + PATIENCE
    said: list[str] = []
    controller.model.notice.connect(lambda kind, text, detail: said.append(text) if kind == "error" else None)

    def until(done: object) -> bool:
        while not done():  # type: ignore[operator]
            if time.monotonic() > deadline or (said and controller.model.run is None):
                return False
            app.processEvents()
            time.sleep(0.002)
        return True

    if not until(lambda: controller.model.run is not None and controller.idle):
        print(f"nnopt-gui: {said[0] if said else 'the experiment could not be started'}", file=sys.stderr)
        return 2
    more = steps - controller.model.head
    if more > 0:
        controller.transport.step(more)
    until(lambda: controller.idle and controller.stage.settled)
    window.notices.clear()
    for _ in range(3):
        app.processEvents()
    for plot in window.findChildren(LabPlot):
        plot.place_legend()
    if not window.grab().save(path):
        print(f"nnopt-gui: {path}: the picture cannot be written there", file=sys.stderr)
        return 2
    print(controller.summary())
    print(f"picture     {path} ({window.width()} × {window.height()})")
    for text in said:
        print(f"nnopt-gui: {text}", file=sys.stderr)
    return 0


def _app() -> QApplication:
    from PySide6.QtWidgets import QApplication

    app = QApplication.instance()
    assert isinstance(app, QApplication)
    return app
