"""The window: toolbar, notice bar, docks, timeline; it listens to the model and hands what the user does to the
controller."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QActionGroup, QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QVBoxLayout, QWidget

from nnopt_gui.shell import actions as table
from nnopt_gui.shell.controller import Controller
from nnopt_gui.shell.docks import DockArea
from nnopt_gui.shell.examples import EXAMPLES
from nnopt_gui.shell.export import Exporter
from nnopt_gui.shell.notices import NoticeBar
from nnopt_gui.shell.plugin_loading import PluginLoader
from nnopt_gui.shell.session import Session
from nnopt_gui.shell.settings_card import SettingsCard
from nnopt_gui.shell.shortcuts_sheet import ShortcutsSheet
from nnopt_gui.shell.status import Status
from nnopt_gui.shell.toolbar import Toolbar
from nnopt_gui.state.settings import Preferences
from nnopt_gui.widgets import icons, theme
from nnopt_gui.widgets.timeline import Timeline
from nnopt_gui.widgets.words import unfit_losses, unfit_methods

if TYPE_CHECKING:
    from nnopt_gui.panels.base import Panel

SMALLEST = (960, 620)
#: updates per second at the first launch: slow enough to see what happens
FIRST_SPEED = 60.0


#: seconds between two looks at what the panels offer, while a run plays
OFFERING = 0.25


class MainWindow(QMainWindow):
    """Everything the user sees. It is made without its panels, so that it can be on the screen before they are loaded:
    `add_panels` puts them in.

    closed: emitted once, when everything has ended.
    """

    closed = Signal()

    def __init__(self, controller: Controller, preferences: Preferences) -> None:
        super().__init__()
        self.controller = controller
        controller.setParent(self)
        self.preferences = preferences
        self.setWindowTitle("nnopt")
        self.setAcceptDrops(True)
        self.setMinimumSize(*SMALLEST)
        self.session = Session(self)
        self.exporter = Exporter(self)
        self.plugins = PluginLoader(self)
        self.specs = table.TABLE
        self.actions_by_id = table.build(self, self.specs)
        themes = QActionGroup(self)  # the one that holds stays marked when it is chosen again
        for name in ("light", "dark", "system"):
            themes.addAction(self.actions_by_id[name])
        self.menu = table.MainMenu(self)
        self.menu.add(self.specs, self.actions_by_id)
        self.toolbar = Toolbar(self.actions_by_id, self.menu, self)
        self.docks = DockArea(self)
        self.settings_card = SettingsCard(redraw=self.actions_by_id["redraw"])
        self.docks.add_settings(self.settings_card)
        self.timeline = Timeline(self)
        self.status = Status(controller.model, self.timeline)
        self._keys: ShortcutsSheet | None = None
        page = QWidget(self)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.toolbar)
        layout.addWidget(self.docks, 1)
        layout.addWidget(self.timeline)
        self.setCentralWidget(page)
        assert self.docks.settings is not None
        self.notices = NoticeBar(page, self.docks.settings, self.toolbar, self.timeline)
        self._page = page
        self._connect()
        self._restore()
        page.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # a click beside the controls leaves the field one was in
        page.setFocus()

    def _keep_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        """What gives the focus back gives it to the page; else Qt would choose the first button."""
        if new is None and self.isActiveWindow():
            self._page.setFocus()

    def add_panels(self, panels: list[Panel] | None = None) -> None:
        """Put the panels in, in the order of their keys (None: all there are), where they were the last time."""
        if panels is None:
            from nnopt_gui.panels import panel_classes

            panels = [panel() for panel in panel_classes()]
        specs = tuple(table.panel_spec(number, panel.title) for number, panel in enumerate(panels, start=1))
        self.specs = (*self.specs, *specs)
        self.actions_by_id |= table.build(self, specs)
        self.menu.add(specs, self.actions_by_id)
        for panel in panels:
            self.controller.stage.add(panel)
            panel.intent.connect(lambda intent, source=panel.id: self.controller.on_intent(intent, source))
            panel.link_activated.connect(self._follow_link)
            panel.revealed.connect(self.controller.wake)
            panel.stale.connect(lambda source=panel.id: self._redraw_one(source))
            panel.add_action("Save picture…", lambda panel=panel: self.exporter.ask_picture(panel))
        self.settings_card.add_panels(panels)
        self.docks.add_panels(panels)
        layout = self.preferences.layout("docks")
        closed = [name for name in self.preferences.text("closed").split(",") if name]
        if layout is None or not self.docks.restore_layout(layout, closed):
            self.docks.arrange()
        self._show_view_menu()

    def _connect(self) -> None:
        controller, model = self.controller, self.controller.model
        self.settings_card.edited.connect(self._set)
        self.settings_card.option_chosen.connect(model.choose)
        self.toolbar.set_examples([(example.title, example.hint) for example in EXAMPLES])
        self.toolbar.example_chosen.connect(lambda index: self.session.start_example(EXAMPLES[index]))
        self.toolbar.seed_typed.connect(lambda seed: controller.editing.reseed(seed))
        self.toolbar.speed.changed.connect(controller.transport.set_speed)
        self.timeline.sought.connect(controller.transport.seek)
        model.playing_changed.connect(self._show_playing)
        model.speed_changed.connect(lambda: self.toolbar.speed.show_speed(model.speed))
        model.run_changed.connect(self._show_run)
        model.cursor_changed.connect(self._show_settings)
        model.limit_changed.connect(self._show_settings)
        model.theme_changed.connect(self._show_theme)
        model.notice.connect(self.notices.say)
        model.rejected.connect(self.settings_card.reject)
        controller.framed.connect(self._on_frame)
        self.docks.changed.connect(self._show_view_menu)
        self.docks.changed.connect(controller.wake)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._keep_focus)
        theme.changed.connect(self._redraw)
        self._shown_experiment: Any = None
        self._shown_run = 0
        self._offered = 0.0
        self._undo_labels: tuple[str, str] | None = None
        self._show_playing(model.playing)
        self._show_view_menu()
        self._show_undo()

    # ------------------------------------------------------------------------------------------- model -> what is seen

    def _show_playing(self, playing: bool) -> None:
        action = self.actions_by_id["play"]
        spec = next(spec for spec in self.specs if spec.id == "play")
        action.setText("Pause" if playing else spec.title)
        action.setIcon(icons.icon("pause" if playing else "play"))
        action.setToolTip(f"Pause ({table.key_words('Space')})" if playing else table.tool_tip(spec))
        self.toolbar.play.set_playing(playing)
        if playing:
            self.notices.clear()  # what was said about the run belongs to where it stood

    def _show_run(self) -> None:
        if self._shown_run != self.controller.model.number:
            self._shown_run = self.controller.model.number
            self.notices.clear()
            self.plugins.report()
        self._shown_experiment = None
        self.session.run_changed()
        run = self.controller.model.run
        if run is not None:
            self.settings_card.refuse("problem.loss", unfit_losses(run.problem.dataset))
            self.settings_card.refuse("methods[0].optimizer", unfit_methods(run.problem.objective))
        self._show_settings()

    def _on_frame(self) -> None:
        self.session.frame()
        self.status.show()
        now, model = perf_counter(), self.controller.model
        if not model.playing or now - self._offered > OFFERING:
            self._offered = now
            self.settings_card.show_choices(model.choices)
        self._show_undo()

    def _show_undo(self) -> None:
        undo_list = self.controller.undo_list
        labels = (undo_list.undo_label, undo_list.redo_label)
        if labels == self._undo_labels:
            return
        self._undo_labels = labels
        for name, label in (("undo", undo_list.undo_label), ("redo", undo_list.redo_label)):
            action = self.actions_by_id[name]
            action.setEnabled(bool(label))
            words = f"{name.capitalize()}: {label}" if label else name.capitalize()
            action.setText(words)
            key = next(spec for spec in self.specs if spec.id == name).keys[0]
            action.setToolTip(f"{words} ({table.key_words(key)})")

    def _show_settings(self) -> None:
        model = self.controller.model
        experiment = model.experiment
        if experiment is None or (experiment, model.limit) == self._shown_experiment:
            return
        self._shown_experiment = (experiment, model.limit)
        self.docks.show_experiment(experiment)
        if model.limit > 0 and model.limit != experiment.steps:
            experiment = msgspec.structs.replace(experiment, steps=model.limit)
        self.settings_card.show_experiment(experiment)
        self.toolbar.show_seed(experiment.seed)

    def _set(self, path: str, value: Any) -> None:
        """A setting was entered. Data that must be found or made first are asked for, or begin with what is there."""
        if path == "problem.data":
            value = self.session.complete(value)
            if value is None:
                self._shown_experiment = None
                self._show_settings()  # what holds is shown again
                return
        self.controller.editing.set(path, value)

    def _show_theme(self, mode: str) -> None:
        for name in ("light", "dark", "system"):
            self.actions_by_id[name].setChecked(name == mode)
        if theme.mode() != mode:
            theme.set_mode(mode)  # type: ignore[arg-type]

    def _redraw(self) -> None:
        self.controller.stage.redraw()
        self.controller.wake()

    def _show_view_menu(self) -> None:
        for number in range(1, len(self.docks.panels) + 1):
            action = self.actions_by_id[f"panel{number}"]
            action.setChecked(self.docks.is_open(number))
            action.setEnabled(self.docks.supported(number))
        self.actions_by_id["settings"].setChecked(self.docks.settings_open)
        self.actions_by_id["restore"].setEnabled(self.docks.maximized is not None)

    def _follow_link(self, href: str) -> None:
        """A link in a readout: "step:209" leads to a step, "panel:5" to a panel."""
        kind, _, value = href.partition(":")
        if kind == "step":
            self.controller.transport.seek(int(value))
        elif kind == "panel":
            self._show_panel(int(value))

    def _redraw_one(self, panel: str) -> None:
        self.controller.stage.redraw_one(panel)
        self.controller.wake()

    def _show_panel(self, number: int) -> None:
        """Lead the eye to a panel. Panel 5 answers about the newest step, so the cursor goes there, and it waits."""
        self.controller.transport.stand_at_head()
        self.docks.reveal(number)

    # ------------------------------------------------------------------------------------------------------ the window

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc in a control that has no use for it: the keys of the window work again."""
        if event.key() == Qt.Key.Key_Escape:
            self._page.setFocus()
        else:
            super().keyPressEvent(event)

    def show_keys(self) -> None:
        """The F1 sheet."""
        if self._keys is None:
            self._keys = ShortcutsSheet(self.specs, self)
        self._keys.setVisible(not self._keys.isVisible())

    def toggle_full_screen(self) -> None:
        """Full screen, or back."""
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()
        self.actions_by_id["fullscreen"].setChecked(self.isFullScreen())

    def _restore(self) -> None:
        """Window, docks, theme and speed of the last time."""
        preferences, model = self.preferences, self.controller.model
        # most of a large screen, all of a small one; the frame that the desktop adds needs room too
        room = self.screen().availableSize() - QSize(16, 48)
        self.resize((room * 0.9).expandedTo(QSize(1440, 900)).boundedTo(room))
        geometry = preferences.layout("window")
        if geometry is not None:
            self.restoreGeometry(geometry)
        model.set_theme(preferences.text("theme", "system"))
        self._show_theme(model.theme)
        speed = preferences.number("speed", FIRST_SPEED)
        model.set_speed(speed if speed > 0 else None)

    def remember(self) -> None:
        """Write down window, docks, theme and speed."""
        preferences, model = self.preferences, self.controller.model
        preferences.set_layout("window", self.saveGeometry())
        preferences.set_layout("docks", self.docks.layout_state())
        preferences.set("closed", ",".join(self.docks.closed_panels()))
        preferences.set("theme", model.theme)
        # flat out is for a moment: a lecture that begins with it is over before anything is seen
        preferences.set("speed", model.speed or FIRST_SPEED)
        preferences.flush()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember, end the threads, go."""
        if not self.controller.closed:
            self.remember()
            self.hide()
            self.controller.close()
            for dock in (*self.docks.docks, self.docks.settings):
                if dock is not None and dock.isFloating():
                    dock.hide()
            if self._keys is not None:
                self._keys.close()
            self.closed.emit()
        event.accept()

    # --------------------------------------------------------------------------------------------------- drag and drop

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files are welcome."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the first of them."""
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.session.open(paths[0])
