"""The settings at the right: the form of the experiment in force at the cursor, and what the panels show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.card import Card
from nnopt_gui.widgets.rows import Row, Section
from nnopt_gui.widgets.specs import Field

if TYPE_CHECKING:
    from nnopt.runs.experiment import Experiment
    from nnopt_gui.panels.base import Panel
    from nnopt_gui.widgets.forms import SettingsForm


class SettingsCard(Card):
    """The choices and options of the panels make its section "View".

    Signals: edited(path, value) of the experiment; option_chosen(name, value) of the view. The dice beside the data is
    the action `redraw`.
    """

    edited = Signal(str, object)
    option_chosen = Signal(str, object)

    def __init__(self, parent: QWidget | None = None, redraw: QAction | None = None) -> None:
        super().__init__("Settings", parent, readout=False)
        self._redraw = redraw
        self.form: SettingsForm | None = None
        self.options: dict[str, Row] = {}
        self._held: dict[str, Callable[[], Any]] = {}
        self._offered: dict[str, Callable[[], tuple[tuple[str, str], ...]]] = {}
        self._shown: dict[str, Any] = {}
        self._refused: dict[str, Mapping[str, str]] = {}
        self._page = QWidget()
        self._column = QVBoxLayout(self._page)
        self._column.setContentsMargins(0, 0, 4, 0)
        self._column.setSpacing(0)
        self._view = Section("View", self._page)
        self._view.hide()
        self._column.addWidget(self._view)
        hint = QLabel("Changes of the method apply from this step on and are kept in the run.", self._page)
        hint.setWordWrap(True)
        hint.setFont(theme.font(12))
        hint.setContentsMargins(2, 8, 2, 4)
        self._column.addWidget(hint)
        self._column.addStretch(1)
        area = QScrollArea(self.body)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._page)
        layout = self.body.layout()
        assert layout is not None
        layout.setContentsMargins(12, 0, 4, 0)
        layout.addWidget(area)
        self.setMinimumSize(200, 120)
        self.add_action("Fold all sections", lambda: self.fold(True))
        self.add_action("Unfold all sections", lambda: self.fold(False))

    def fold(self, on: bool) -> None:
        """Close all sections, or open them."""
        sections = [self._view, *(self.form.sections.values() if self.form is not None else ())]
        for section in sections:
            if section.head.open is on:
                section.head.toggle()

    def add_panels(self, panels: Sequence[Panel]) -> None:
        """Offer what can be chosen in these panels."""
        for panel in panels:
            for choice in panel.choices:
                label = choice.label if choice.label and choice.label != "Show" else panel.title
                # what holds while nothing was chosen is the panel's to say
                path, held = f"{panel.id}.{choice.name}", partial(panel.choice, choice.name)
                self._offered[path] = partial(panel.offered, choice.name)
                self._add(Field(path, label, "choice", options=choice.options), held)
            for option in panel.options:
                held = partial(bool, option.on)
                self._add(Field(f"{panel.id}.{option.name}", option.words, "bool"), held)
        self._view.setVisible(bool(self.options))
        self.show_choices({})

    def _add(self, field: Field, held: Callable[[], Any]) -> None:
        row = Row(field, self._view.content)
        row.edited.connect(lambda value: self.option_chosen.emit(field.path, value))
        self._view.rows.addWidget(row)
        self.options[field.path] = row
        self._held[field.path] = held

    def show_experiment(self, experiment: Experiment) -> None:
        """Show the settings in force."""
        if self.form is None:
            from nnopt_gui.widgets.forms import SettingsForm

            self.form = SettingsForm(experiment, self._page, {"data_seed": self._redraw} if self._redraw else {})
            self.form.edited.connect(self.edited)
            for path, reasons in self._refused.items():
                self.form.refuse(path, reasons)
            self._column.insertWidget(0, self.form)
        else:
            self.form.set_value(experiment)

    def refuse(self, path: str, reasons: Mapping[str, str]) -> None:
        """Some values of the choice at a path do not fit what is there, for these reasons."""
        self._refused[path] = reasons
        if self.form is not None:
            self.form.refuse(path, reasons)

    def refresh(self) -> None:
        """Offer what can be chosen now: a plug-in may have brought more."""
        if self.form is not None:
            self.form.refresh()

    def reject(self, path: str, text: str) -> None:
        """Mark the field of a setting whose new value cannot be used."""
        if self.form is not None and any(field.path == path for field in self.form.rows):
            self.form.reject(path, text)

    def show_choices(self, choices: Mapping[str, Any]) -> None:
        """Show what is chosen in the view, without emitting; called once per frame."""
        for name, row in self.options.items():
            if name in self._offered:
                # what there is to choose depends on the experiment, and there may be nothing
                options, value = self._offered[name](), choices.get(name)
                value = value if value in dict(options) else self._held[name]()
                row.editor.set_options(options)  # type: ignore[attr-defined]
                row.setVisible(len(options) > 1)
            else:
                value = choices[name] if name in choices else self._held[name]()
            if self._shown.get(name) != value:
                self._shown[name] = value
                row.set_value(value)
