"""The command nnopt-gui: pictures without a screen, files that are not valid, the real window with its real panels."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from laboratory import network
from PySide6.QtGui import QImage

from nnopt.runs.experiment import Recording, default_experiment, save, save_recording
from nnopt.runs.run import Run
from nnopt_gui import app
from nnopt_gui.panels import panel_classes
from nnopt_gui.shell.main_window import MainWindow
from nnopt_gui.state.settings import Preferences


def command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run nnopt-gui as a user without a display does."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    return subprocess.run(
        [sys.executable, "-m", "nnopt_gui", *arguments],
        env={**environment, "PYTHONPATH": os.getcwd()}, cwd=cwd,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_picture_is_taken_after_exactly_so_many_steps(tmp_path):
    picture = tmp_path / "out.png"
    done = command("--screenshot", str(picture), "--after", "25", "--size", "1280x720", "--theme", "dark")
    assert done.returncode == 0, done.stderr
    image = QImage(str(picture))
    assert image.size().toTuple() == (1280, 720)
    assert image.pixelColor(3, 3).lightness() < 80
    assert "25 of" in done.stdout
    run = Run(default_experiment())
    run.advance(25)
    assert f"{run.history.row(25)['loss']:.6g}" in done.stdout


def test_without_a_display_it_says_so_trains_and_leaves_a_picture(tmp_path):
    done = command(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("nnopt-gui: there is no display")
    assert (tmp_path / "nnopt.png").is_file()
    assert "loss" in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gone.json", None, "no such file"),
        ("bad.json", '{"format": "nnopt-experiment", "version": 1, "problem": {"kind": "networks"}}', "problem"),
        ("empty.csv", "", "empty.csv"),
    ],
)
def test_a_file_that_is_not_valid_is_said_with_its_path_and_exit_2(tmp_path, capsys, name, text, said):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert app.main([str(path), "--screenshot", str(tmp_path / "x.png")]) == 2
    error = capsys.readouterr().err
    assert name in error
    assert said in error
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("arguments", [["--size", "big"], ["--after", "-3"], ["--theme", "blue"], ["--lesson", "1"]])
def test_arguments_that_are_not_valid_are_refused(arguments):
    with pytest.raises(SystemExit) as refused:
        app.main(arguments)
    assert refused.value.code == 2


def test_a_picture_that_cannot_be_written_is_said(tmp_path, capsys, qapp):
    assert app.main(["--screenshot", str(tmp_path / "no" / "folder.png"), "--after", "1"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_session_is_shown_where_it_was_saved(tmp_path, capsys, qapp):
    run = Run(network())
    run.advance(12)
    save_recording(run.recording, tmp_path / "s.json")
    assert app.main([str(tmp_path / "s.json"), "--screenshot", str(tmp_path / "s.png"), "--after", "0"]) == 0
    assert "12 of" in capsys.readouterr().out


def test_the_seed_on_the_command_line_wins(tmp_path, capsys, qapp):
    save(network(seed=1), tmp_path / "e.json")
    code = app.main([str(tmp_path / "e.json"), "--seed", "5", "--screenshot", str(tmp_path / "e.png"), "--after", "2"])
    assert code == 0
    assert "5 of the weights, 1 of data, split and batches" in capsys.readouterr().out


def test_the_panels_of_the_design_are_found_in_their_order():
    assert [panel.id for panel in panel_classes()] == ["slice", "landscape", "boundary", "loss", "step"]


@contextmanager
def laboratory(folder: Path) -> Iterator[MainWindow]:
    """The real window; not a fixture, because pytest would keep its parts alive after the test."""
    window = app.build_window(Preferences(folder / "settings.ini"))
    window.resize(1280, 720)
    window.show()
    try:
        yield window
    finally:
        window.close()
        app.discard(window)


def test_the_window_opens_training_on_the_default_experiment(qtbot, styled, tmp_path):
    with laboratory(tmp_path) as window:
        app.start(window, None, None, play=True)
        model = window.controller.model
        qtbot.waitUntil(lambda: model.head > 5)
        assert model.playing
        assert window.controller.trainer.snapshot.rate == model.speed == 60.0
        assert model.experiment.problem == default_experiment().problem


def test_every_example_runs_in_the_real_window_without_a_complaint(qtbot, styled, tmp_path):
    from nnopt_gui.shell.examples import EXAMPLES

    with laboratory(tmp_path) as window:
        app.start(window, None, None, play=False)
        controller, said = window.controller, []
        controller.model.notice.connect(lambda kind, text, detail: said.append((kind, text)))
        for example in EXAMPLES:
            number = controller.model.number
            window.session.start_example(example, play=False)
            qtbot.waitUntil(lambda number=number: controller.model.number != number and controller.idle)
            controller.transport.step(3)
            qtbot.waitUntil(lambda: controller.idle and controller.stage.settled, timeout=20_000)
            assert [text for kind, text in said if kind == "error"] == [], example.title


def test_the_default_recording_is_one_that_can_be_opened(tmp_path):
    save_recording(Recording(default_experiment()), Path(tmp_path) / "d.json")
    from nnopt_gui.shell.session import read

    assert read(tmp_path / "d.json").recording.experiment == default_experiment()
