"""SettingsForm: a form generated from settings structs, for any struct.

The struct's fields become rows in collapsible sections; a chosen method or data set brings its own fields with it. The
form holds the value in force; an edit is checked against the structs before it is emitted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from nnopt.errors import NnoptError
from nnopt.runs.changes import CHANGEABLE
from nnopt.runs.paths import get_path, set_path
from nnopt_gui.widgets import specs, words
from nnopt_gui.widgets.fields import ChoiceField
from nnopt_gui.widgets.rows import NoteRow, Row, Section
from nnopt_gui.widgets.specs import Field

Sections = Sequence[tuple[str, Sequence[str]]]


class SettingsForm(QWidget):
    """A form of a struct; edited(path, value) when the user entered something valid, path as in
    "methods[0].optimizer.lr", value a number, text, tuple or, for a chosen member or what is switched on, a struct.

    sections: (title, roots of the paths in it); None: those of an experiment, or one for each field that is a struct
    itself. actions: buttons at the end of rows, by path. live(path): whether a slider emits while it moves (else only
    when it is let go); None: what may change within a run.
    """

    edited = Signal(str, object)

    def __init__(
        self,
        value: msgspec.Struct,
        parent: QWidget | None = None,
        actions: Mapping[str, QAction] = MappingProxyType({}),
        *,
        sections: Sections | None = None,
        live: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__(parent)
        self.value = value
        self.sections: dict[str, Section] = {}
        self.rows: dict[Field, Row | NoteRow] = {}
        self._actions = actions
        self._places = sections if sections is not None else _default_sections(value)
        self._live = live or _changes_within_a_run
        self._remembered: dict[tuple[str, str], Any] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._sync()

    def set_value(self, value: msgspec.Struct) -> None:
        """Show another value of the struct without emitting. Rows that are still there stay, with what is typed."""
        if value is self.value:
            return
        self.value = value
        self._sync()

    def refresh(self) -> None:
        """Read the structs and registries again: there may be more to choose from."""
        self._remembered.clear()
        self._sync()

    def refuse(self, path: str, reasons: Mapping[str, str]) -> None:
        """Some values of the choice at a path cannot be chosen, for these reasons; a form without it remembers them."""
        self._refused[path] = dict(reasons)
        self._sync()

    def row(self, path: str) -> Row:
        """The row of a path. Raises KeyError if there is none."""
        found = next((row for field, row in self.rows.items() if field.path == path), None)
        if not isinstance(found, Row):
            raise KeyError(path)
        return found

    def reject(self, path: str, message: str) -> None:
        """Mark the field of a path: what was entered cannot be used, for this reason."""
        self.row(path).reject(message)

    # rows

    def _sync(self) -> None:
        wanted = {field: value for field, value in specs.fields_of(self.value) if not _unused(self.value, field.path)}
        for field in [f for f in self.rows if f not in wanted]:
            row = self.rows.pop(field)
            self._section(field.path).rows.removeWidget(row)
            row.retire()
        counts: dict[str, int] = {}
        previous: QWidget | None = None
        for field, value in wanted.items():
            section = self._section(field.path)
            index = counts.get(section.title, 0)
            counts[section.title] = index + 1
            row = self.rows.get(field)
            if row is None:
                row = self._make(field, section.content)
                self.rows[field] = row
            if section.rows.indexOf(row) != index:
                section.rows.insertWidget(index, row)
            row.set_value(value)
            if isinstance(row, Row):
                if field.path in self._refused and isinstance(row.editor, ChoiceField):
                    row.editor.refuse(self._refused[field.path])
                if previous is not None:
                    QWidget.setTabOrder(previous, row.editor)
                previous = row.slider or row.editor
        self._arrange_sections(counts)

    def _make(self, field: Field, parent: QWidget) -> Row | NoteRow:
        if field.kind == "note":
            return NoteRow(field, parent)
        row = Row(field, parent)
        if field.path in self._actions:
            row.add_action(self._actions[field.path])
        row.edited.connect(lambda value: self._edited(field, value))
        row.previewed.connect(lambda value: self._previewed(field, value))
        return row

    def _section(self, path: str) -> Section:
        title, best = "", -1
        for name, roots in self._places:
            for root in roots:
                inside = path == root or path.startswith((f"{root}.", f"{root}[", f"{root}#"))
                if inside and len(root) > best:
                    title, best = name, len(root)
        title = title or "General"
        if title not in self.sections:
            self.sections[title] = Section(title, self)
        return self.sections[title]

    def _arrange_sections(self, counts: dict[str, int]) -> None:
        order = [name for name, _ in self._places if name in self.sections]
        order += [name for name in self.sections if name not in order]
        shown = 0
        for i, name in enumerate(order):
            section = self.sections[name]
            if self._column.indexOf(section) != i:
                self._column.insertWidget(i, section)
            section.setVisible(counts.get(name, 0) > 0)
            section.line_above = shown > 0
            shown += counts.get(name, 0) > 0

    # edits

    def _previewed(self, field: Field, value: Any) -> None:
        if self._live(field.path):
            self._edited(field, value)

    def _edited(self, field: Field, value: Any) -> None:
        path = field.path
        if field.kind == "switch":
            value = self._switched(path, bool(value))
        if field.kind == "member":
            value = self._chosen(path, str(value))
            if value is None:
                self._sync()
                return
        try:
            if _same(get_path(self.value, path), value):
                return
            changed = set_path(self.value, path, value)
        except NnoptError as error:
            self.reject(path, _reason(error))
            return
        self.value = changed
        self._sync()
        self.edited.emit(path, value)

    def _switched(self, path: str, on: bool) -> Any:
        """What stands at a path that is switched: on, as it was when it was last on, or with defaults; off, None."""
        if on:
            known = self._remembered.get((path, ""))
            return known if known is not None else specs.default_of(specs.hint_at(self.value, path))
        self._remembered[path, ""] = get_path(self.value, path)
        return None

    def _chosen(self, path: str, tag: str) -> Any:
        """The member called `tag`, as it was when it was last chosen here, or new with what it shares with the old."""
        old = get_path(self.value, path)
        self._remembered[path, specs.tag_of(old)] = old
        known = self._remembered.get((path, tag))
        if known is not None:
            return known
        new = specs.member(self.value, path, tag)
        return None if new is None else specs.carried_over(old, new)


def _same(old: Any, new: Any) -> bool:
    return type(old) is type(new) and bool(old == new)


def _reason(error: NnoptError) -> str:
    # "methods[0].optimizer.lr: SGD.lr: expected a number > 0" -> "expected a number > 0"; the lines below show the text
    message = re.sub(r"^(?:[\w.\[\]]+: )+", "", str(error).partition("\n")[0])
    at = message.find("expected ")
    return message[at:] if at >= 0 else message


def _unused(value: msgspec.Struct, path: str) -> bool:
    """Whether a setting plays no part: a function has no weights or examples to be drawn, none that could be taken in
    batches or held out, and one start is enough: that of the problem, unless the formula brings its own."""
    function = getattr(getattr(value, "problem", None), "function", None)
    if path == "problem.function.begin" and getattr(function, "begin", None) is None:
        return True
    return function is not None and bool(re.match(r"methods\[\d+\]\.batches\b|stop\.early\b|\w*seed$", path))


def _changes_within_a_run(path: str) -> bool:
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in CHANGEABLE if root != "steps")


def _default_sections(value: msgspec.Struct) -> Sections:
    names = value.__struct_fields__
    if {"problem", "methods"} <= set(names):
        return words.EXPERIMENT_SECTIONS
    values = {name: getattr(value, name) for name in names}
    grouped = [
        name for name, v in values.items() if isinstance(v[0] if isinstance(v, tuple) and v else v, msgspec.Struct)
    ]
    plain = [name for name in names if name not in grouped]
    return [("General", plain), *((words.label_words(name, None), [name]) for name in grouped)]
