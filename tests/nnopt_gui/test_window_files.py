"""The window saves, opens, is given and exports files."""

from __future__ import annotations

from laboratory import network
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog, QPushButton
from window_views import panel_action, press, to

from nnopt.runs.experiment import load, load_recording, save


def test_save_and_open_a_session(qtbot, tmp_path, window, monkeypatch):
    to(qtbot, window, 10)
    window.controller.editing.set("problem.l2", 0.01)
    qtbot.waitUntil(lambda: len(window.controller.model.history.interventions) == 1)
    to(qtbot, window, 15)
    window.controller.model.choose("slice.direction", "newton")
    path = str(tmp_path / "mine.json")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (path, ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
    press(window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    recording = load_recording(path)
    assert (recording.length, len(recording.interventions)) == (15, 1)
    theta = window.controller.model.run.state.theta
    window.controller.model.choose("slice.direction", "gradient")
    press(window, Qt.Key.Key_R)
    qtbot.waitUntil(lambda: window.controller.model.head == 0)
    press(window, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.controller.model.head == 15 and window.controller.idle)
    assert (window.controller.model.run.state.theta == theta).all()
    assert window.session.title == "mine.json"
    assert window.controller.model.choices["slice.direction"] == "newton"
    assert path in window.preferences.recent()


def test_the_experiment_at_the_cursor_is_saved(qtbot, tmp_path, window, monkeypatch):
    path = str(tmp_path / "experiment")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (path, ""))
    window.actions_by_id["save_experiment"].trigger()
    assert load(path + ".json") == window.controller.model.experiment


def test_a_file_is_dropped_on_the_window(qtbot, tmp_path, window):
    save(network(seed=31), tmp_path / "dropped.json")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "dropped.json"))])
    event = QDropEvent(
        QPointF(300, 300), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    window.dropEvent(event)
    qtbot.waitUntil(lambda: window.controller.model.experiment.seed == 31)


def test_a_file_that_cannot_be_read_is_a_notice_and_changes_nothing(qtbot, tmp_path, window):
    (tmp_path / "bad.json").write_text('{"format": "nnopt-experiment", "version": 1, "seed": -3}')
    number = window.controller.model.number
    assert not window.session.open(tmp_path / "bad.json")
    assert "bad.json" in window.notices.text
    assert window.notices.kind == "error"
    assert window.controller.model.number == number


def test_a_csv_file_without_a_table_is_a_notice(qtbot, tmp_path, window):
    (tmp_path / "empty.csv").write_text("")
    number = window.controller.model.number
    window.session.open(tmp_path / "empty.csv")
    qtbot.waitUntil(lambda: "empty.csv" in window.notices.text)
    assert window.controller.model.number == number


def test_pictures_and_the_log_are_exported(qtbot, tmp_path, window, monkeypatch):
    to(qtbot, window, 6)
    for name, action in (("w.png", "export_picture"), ("run.csv", "export_csv")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (str(tmp_path / name), ""))
        window.actions_by_id[action].trigger()
        assert (tmp_path / name).stat().st_size > 100
    lines = (tmp_path / "run.csv").read_text().splitlines()
    assert lines[0].startswith("step,loss,gradient_norm")
    assert len(lines) == 8
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "b.png"), ""))
    window.toolbar.findChild(QPushButton, "button_export_picture").click()
    assert (tmp_path / "b.png").is_file()
    panel_action(window.docks.panels[0], "Save picture…").trigger()
    assert window.exporter.picture(str(tmp_path / "p.png"), window.docks.panels[0])
    assert not window.exporter.csv(str(tmp_path / "no" / "folder.csv"))
    assert window.notices.kind == "error"
