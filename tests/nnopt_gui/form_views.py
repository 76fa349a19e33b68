"""A form on the screen, its fields, and typing into them."""

from typing import Any

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from nnopt_gui.widgets.fields import TextField
from nnopt_gui.widgets.forms import SettingsForm


def shown(qtbot: Any, value: msgspec.Struct, **kargs: Any) -> SettingsForm:
    page = QWidget()
    qtbot.addWidget(page)
    page.resize(280, 900)
    layout = QVBoxLayout(page)
    form = SettingsForm(value, page, **kargs)
    layout.addWidget(form)
    layout.addStretch(1)
    form.page = page  # type: ignore[attr-defined] # kept alive
    page.show()
    page.activateWindow()
    return form


def field(form: SettingsForm, path: str) -> TextField:
    editor = form.row(path).editor
    assert isinstance(editor, TextField)
    return editor


def type_into(qtbot: Any, editor: TextField, text: str, key: Qt.Key | None = Qt.Key.Key_Return) -> None:
    editor.setFocus()
    editor.selectAll()
    qtbot.keyClicks(editor, text)
    if key is not None:
        qtbot.keyClick(editor, key)
