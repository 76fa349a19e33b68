"""Plug-ins in the window: loaded before it is built or from its menu, offered by the forms, and never run unasked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from laboratory import network
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox
from test_app import command
from window_views import to

from nnopt import plugins
from nnopt.errors import SpecError
from nnopt.optimizers.base import Optimizer
from nnopt.runs.experiment import save, set_path
from nnopt_gui.shell.session import read
from nnopt_gui.widgets.fields import ChoiceField

SIGN = '''
from typing import Annotated
import numpy as np
from nnopt.optimizers.base import Optimizer, Settings, Slots, Update, register
from nnopt.settings import above

@register
class SignSGD(Settings, Optimizer, frozen=True, tag="sign_sgd"):
    """theta <- theta - lr * sign(g)        (Bernstein et al. 2018)"""

    title = "Sign descent"
    lr: Annotated[float, above(0, label="learning rate")] = 0.25

    def init(self, theta):
        return Slots()

    def update(self, local, slots, lr):
        return Update(-lr * np.sign(local.gradient), slots)
'''
EXPERIMENT = (
    '{"format": "nnopt-experiment", "version": 1, "problem": {"kind": "function", "function": "rosenbrock"},'
    ' "methods": [{"optimizer": {"name": "sign_sgd", "lr": 0.5}}], "steps": 50}'
)


@pytest.fixture(autouse=True)
def nothing_stays_loaded() -> Iterator[None]:
    yield
    for plugin in plugins.loaded():
        plugins.unload(plugin.path)


@pytest.fixture
def sign(tmp_path):
    path = tmp_path / "sign.py"
    path.write_text(SIGN)
    return path


def answer(words: str) -> Callable[[], None]:
    """Press a button of the next question, by its words; fails if none is asked within a second."""

    def press() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox), "nothing was asked"
        asked.append(f"{box.text()} {box.informativeText()}")
        next(button for button in box.buttons() if words in button.text()).click()

    asked: list[str] = []
    QTimer.singleShot(50, press)
    return lambda: asked[0]


def offered(window) -> dict[str, str]:
    combo = window.settings_card.form.row("methods[0].optimizer").editor
    assert isinstance(combo, ChoiceField)
    return {combo.itemData(i): combo.itemText(i) for i in range(combo.count())}


# ---------------------------------------------------------------------------------------------------- from the start


def test_an_experiment_on_a_plug_in_runs_in_a_window_that_was_given_it(tmp_path, sign):
    (tmp_path / "e.json").write_text(EXPERIMENT)
    picture = str(tmp_path / "out.png")
    done = command(str(tmp_path / "e.json"), "--plugin", str(sign), "--screenshot", picture, "--after", "3")
    assert done.returncode == 0, done.stderr
    assert "step        3 of 50" in done.stdout


def test_without_its_plug_in_an_experiment_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "e.json").write_text(EXPERIMENT)
    done = command(str(tmp_path / "e.json"), "--screenshot", str(tmp_path / "out.png"))
    assert done.returncode == 2
    assert "e.json" in done.stderr
    assert "sign_sgd" in done.stderr
    assert "--plugin FILE" in done.stderr


@pytest.mark.parametrize(("text", "said"), [("x = 1 / 0", "line 1: ZeroDivisionError"), (None, "cannot be read")])
def test_a_plug_in_that_cannot_be_loaded_is_said_with_the_reason(tmp_path, text, said):
    if text is not None:
        (tmp_path / "bad.py").write_text(text)
    done = command("--plugin", str(tmp_path / "bad.py"), "--screenshot", str(tmp_path / "out.png"))
    assert done.returncode == 2
    assert f"bad.py: {said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_file_in_place_of_an_experiment_is_told_where_it_belongs(sign):
    with pytest.raises(SpecError, match=r"--plugin .*sign\.py"):
        read(sign)
    assert not plugins.loaded()


def test_the_plug_ins_of_installed_packages_are_in_the_forms_too(tmp_path):
    """A real installation: metadata with an entry point on the path of a fresh process."""
    (tmp_path / "extra.py").write_text(SIGN)
    info = tmp_path / "extra-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\nextra = extra\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from nnopt.runs.experiment import default_experiment\n"
        "from nnopt_gui.widgets.specs import fields_of\n"
        "fields = {f.path: f for f, _ in fields_of(default_experiment())}\n"
        "print(dict(fields['methods[0].optimizer'].options)['sign_sgd'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "Sign descent", done.stderr


# ------------------------------------------------------------------------------------------------------ from the menu


def test_a_plug_in_loaded_from_the_menu_can_be_chosen_and_runs(qtbot, window, sign, monkeypatch):
    assert "sign_sgd" not in offered(window)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(sign), ""))
    asked = answer("Run and load")
    window.actions_by_id["plugin"].trigger()
    assert "sign.py" in asked()
    assert "runs its code" in asked()
    assert window.notices.text == "sign.py is loaded: optimizer Sign descent"
    assert offered(window)["sign_sgd"] == "Sign descent"
    to(qtbot, window, 5)
    window.settings_card.form.row("methods[0].optimizer").editor.picked.emit("sign_sgd")
    qtbot.waitUntil(lambda: window.controller.idle and len(window.controller.model.history.interventions) == 1)
    assert window.controller.model.experiment.methods[0].optimizer.lr == 0.25
    to(qtbot, window, 8)
    assert window.controller.model.run.outcome.kind == "running"


def test_a_plug_in_is_not_run_when_the_user_does_not_want_it(window, sign, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(sign), ""))
    answer("Cancel")
    window.actions_by_id["plugin"].trigger()
    assert not plugins.loaded()
    assert "sign_sgd" not in offered(window)


def test_a_python_file_that_is_opened_is_asked_about_like_any_plug_in(window, sign):
    asked = answer("Cancel")
    assert window.session.open(sign) is False
    assert "Run the code in sign.py?" in asked()
    assert not plugins.loaded()


def test_a_plug_in_that_fails_is_a_notice_and_the_window_goes_on(qtbot, window, tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("import nowhere_to_be_found\n")
    assert window.plugins.load(bad) is False
    assert window.notices.kind == "error"
    assert "line 1: ModuleNotFoundError" in window.notices.text
    to(qtbot, window, 3)


def test_an_opened_experiment_that_needs_a_plug_in_names_the_remedy(qtbot, window, sign, tmp_path):
    plugins.load_file(sign)
    experiment = set_path(network(), "methods[0].optimizer", Optimizer.registry.get("sign_sgd")())
    save(experiment, tmp_path / "e.json")
    plugins.unload(sign)
    number = window.controller.model.number
    assert window.session.open(tmp_path / "e.json") is False
    assert "File, Load plug-in…" in window.notices.text
    assert "--plugin FILE" in window.notices.text
    assert window.controller.model.number == number
    plugins.load_file(sign)
    assert window.session.open(tmp_path / "e.json") is True
    qtbot.waitUntil(lambda: window.controller.idle and window.controller.model.number != number)


def test_an_installed_plug_in_that_failed_is_said_once(window, monkeypatch):
    monkeypatch.setattr(plugins, "warnings", lambda: ("plug-in 'extra' of extra 1.0 was not loaded: ImportError: no",))
    window.plugins.report()
    assert "extra 1.0 was not loaded" in window.notices.text
    window.notices.clear()
    window.plugins.report()
    assert window.notices.text == ""
