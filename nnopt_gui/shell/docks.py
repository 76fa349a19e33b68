"""The panels' docks: move, close, float, maximize, bring back. A window within the window, below the toolbar."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QObject, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QMainWindow, QWidget

from nnopt_gui.widgets.card import Card, CardDock

if TYPE_CHECKING:
    from nnopt.runs.experiment import Experiment
    from nnopt_gui.panels.base import Panel

SETTINGS_WIDTH = 288
#: share of the height that each row of panels gets
ROWS = (5, 5, 3)
#: height of the window below which the third row gives way
LOW = 740
#: a panel that is taken out has this size at least
FLOATING = QSize(640, 440)


class DockArea(QMainWindow):
    """Holds one `CardDock` per panel and the one of the settings.

    changed: a panel was opened, closed, maximized or brought back.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Widget)
        self.setDockNestingEnabled(True)
        self.setDockOptions(QMainWindow.DockOption.AllowNestedDocks | QMainWindow.DockOption.AllowTabbedDocks)
        self.setContentsMargins(8, 8, 8, 8)
        for corner in (Qt.Corner.TopRightCorner, Qt.Corner.BottomRightCorner):
            self.setCorner(corner, Qt.DockWidgetArea.RightDockWidgetArea)
        self.docks: list[CardDock] = []
        self.panels: list[Panel] = []
        self.settings: CardDock | None = None
        self.maximized: CardDock | None = None
        self._before: QByteArray | None = None
        self._closed: set[str] = set()  # by the user, or because the window is low
        self._given_way: set[str] = set()  # of these: because it is low
        self._experiment: Experiment | None = None
        self._arranged = False
        self._low = False
        #: panels that a remembered layout has no width for, as its experiment had nothing to show in them
        self._no_width: set[str] = set()

    # ------------------------------------------------------------------------------------------------------ building

    def add_panels(self, panels: Iterable[Panel]) -> None:
        """A dock per panel, numbered from 1."""
        for number, panel in enumerate(panels, start=1):
            panel.set_number(number)
            dock = CardDock(panel, panel.id, self)
            panel.maximize_requested.connect(lambda dock=dock: self.toggle_maximized(dock))
            float_action = panel.add_action("Float", lambda dock=dock: self.toggle_floating(dock))
            dock.topLevelChanged.connect(lambda out, act=float_action: act.setText("Put back" if out else "Float"))
            panel.add_action("Close", dock.close)
            dock.installEventFilter(self)
            self.panels.append(panel)
            self.docks.append(dock)
        self._place()

    def add_settings(self, card: Card) -> None:
        """The dock at the right."""
        self.settings = CardDock(card, "settings", self)
        card.header.maximize.hide()
        self.settings.setMinimumWidth(SETTINGS_WIDTH)
        self.settings.installEventFilter(self)
        self.settings.topLevelChanged.connect(self._settings_floated)
        self._settings_floated(False)
        card.add_action("Close", self.toggle_settings)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.settings)

    def _settings_floated(self, floating: bool) -> None:
        if self.settings is not None:
            self.settings.setMaximumWidth(16_777_215 if floating else SETTINGS_WIDTH)

    def arrange(self) -> None:
        """Every panel open, in its place, in the size of the first launch.

        In a low window the third row starts closed, so that the others are large enough for the back row.
        """
        self._forget_maximized()
        self._closed = set()
        self._low = self.window().height() < LOW
        self._given_way = self._third_row() if self._low else set()
        self._closed |= self._given_way
        for dock in self.docks:
            dock.setFloating(False)
            self.removeDockWidget(dock)
        self._place()
        if self.settings is not None:
            self.settings.setFloating(False)
            self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.settings)
            self.settings.show()
        self._show_supported()
        self._resize()

    def _place(self) -> None:
        """Rows from the panels' areas: the first of each row below the row above, the others to its right."""
        rows: dict[int, list[CardDock]] = {}
        for panel, dock in zip(self.panels, self.docks, strict=True):
            rows.setdefault(panel.area[0], []).append(dock)
        firsts = [docks[0] for _, docks in sorted(rows.items())]
        for above, dock in zip([None, *firsts], firsts, strict=False):
            if above is None:
                self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
            else:
                self.splitDockWidget(above, dock, Qt.Orientation.Vertical)
        for docks in rows.values():
            for left, right in pairwise(docks):
                self.splitDockWidget(left, right, Qt.Orientation.Horizontal)

    def _resize(self) -> None:
        if not self.isVisible():
            self._arranged = False  # when it is shown
            return
        rows = self._rows_shown()
        room = self.height() - 16
        present = sorted(rows)
        if present:
            heights = [room * ROWS[min(row, len(ROWS) - 1)] // sum(ROWS) for row in present]
            self.resizeDocks([rows[row][0] for row in present], heights, Qt.Orientation.Vertical)
        for docks in rows.values():
            self._share_width(docks)

    def _rows_shown(self) -> dict[int, list[CardDock]]:
        rows: dict[int, list[CardDock]] = {}
        for panel, dock in zip(self.panels, self.docks, strict=True):
            if not dock.isHidden():
                rows.setdefault(panel.area[0], []).append(dock)
        return rows

    def _share_width(self, docks: list[CardDock]) -> None:
        if len(docks) == 2:
            room = self.width() - SETTINGS_WIDTH - 24
            self.resizeDocks(docks, [int(room * 0.47), int(room * 0.53)], Qt.Orientation.Horizontal)

    def _third_row(self) -> set[str]:
        return {panel.id for panel in self.panels if panel.area[0] > 1}

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a window that becomes low the third row gives way to the others, and returns when there is room again."""
        super().resizeEvent(event)
        low = self.window().height() < LOW
        if low != self._low and self.panels and self.isVisible():
            self._low = low
            self._make_room()

    def _make_room(self) -> None:
        if self._low:
            floating = {dock.objectName() for dock in self.docks if dock.isFloating()}
            self._given_way = self._third_row() - self._closed - floating
            self._closed |= self._given_way
        else:
            self._closed -= self._given_way
            self._given_way = set()
        self._show_supported()

    def showEvent(self, event: object) -> None:
        """The first time, give the rows their shares (unless a remembered layout did)."""
        super().showEvent(event)  # type: ignore[arg-type]
        if not self._arranged and self.docks:
            self._arranged = True
            self._resize()

    # ------------------------------------------------------------------------------------------- opening and closing

    def show_experiment(self, experiment: Experiment) -> None:
        """Hide the panels that have nothing to show for it, show the others again."""
        if self._experiment is None or self._kind(experiment) != self._kind(self._experiment):
            self._experiment = experiment
            self._show_supported()
        self._experiment = experiment

    def _kind(self, experiment: Experiment) -> tuple[bool, ...]:
        return tuple(panel.supports(experiment) for panel in self.panels)

    def _show_supported(self) -> None:
        for panel, dock in zip(self.panels, self.docks, strict=True):
            supported = self._experiment is None or panel.supports(self._experiment)
            if self.maximized is None:
                dock.setVisible(supported and panel.id not in self._closed)
            elif dock is self.maximized and not supported:
                self.restore()
                return
        for docks in self._rows_shown().values() if self.isVisible() else ():
            if found := self._no_width.intersection(dock.objectName() for dock in docks):
                self._no_width -= found
                self._share_width(docks)
        self.changed.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Remember what the user closes."""
        if event.type() == QEvent.Type.Close and isinstance(watched, CardDock):
            self._closed.add(watched.objectName())
            self._given_way.discard(watched.objectName())
            if watched is self.maximized:
                self.restore()
            self.changed.emit()
        return super().eventFilter(watched, event)

    def is_open(self, number: int) -> bool:
        """Whether the panel of this key is shown or would be, were another one not maximized."""
        return 0 < number <= len(self.panels) and self.panels[number - 1].id not in self._closed

    def supported(self, number: int) -> bool:
        """Whether the panel of this key has anything to show now."""
        if not 0 < number <= len(self.panels):
            return False
        return self._experiment is None or self.panels[number - 1].supports(self._experiment)

    def open_panel(self, number: int) -> None:
        """Bring a closed panel back."""
        self._closed.discard(self.panels[number - 1].id)
        self._given_way.discard(self.panels[number - 1].id)
        self.docks[number - 1].show()
        self.changed.emit()

    @property
    def settings_open(self) -> bool:
        """Whether the settings are shown or would be, were a panel not maximized."""
        return "settings" not in self._closed

    def toggle_settings(self) -> None:
        """Show or hide the settings."""
        if self.settings is not None:
            self.settings.setVisible(self.settings.isHidden())
            (self._closed.add if self.settings.isHidden() else self._closed.discard)("settings")
            self.changed.emit()

    # ----------------------------------------------------------------------------------------------------- maximizing

    def activate(self, number: int) -> None:
        """The panel of this key: open it and go there; if one is there already, maximize it or bring all back."""
        if not self.supported(number):
            return
        dock = self.docks[number - 1]
        if self.maximized is not None:
            was = self.maximized
            self.restore()
            if was is not dock:
                self.open_panel(number)
                self.maximize(dock)
            return
        if not self.is_open(number) or dock.isHidden():
            self.open_panel(number)
        elif not dock.isFloating() and (dock.card.isAncestorOf(self.focusWidget() or self) or dock.card.hasFocus()):
            self.maximize(dock)
            return
        self._enter(dock)
        self.changed.emit()

    def _enter(self, dock: CardDock) -> None:
        dock.raise_()
        if dock.isFloating():
            dock.activateWindow()
        dock.card.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        dock.card.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def reveal(self, number: int) -> None:
        """Lead the eye to the panel of this key: open it if it is closed, and let its frame shine."""
        if not self.supported(number):
            return
        dock = self.docks[number - 1]
        if self.maximized is not None and self.maximized is not dock:
            self.restore()
        self.open_panel(number)
        self._enter(dock)
        dock.glow.shine()

    def toggle_floating(self, dock: CardDock) -> None:
        """Take a panel out of the window, to its middle and large enough to read, or put it back."""
        if self.maximized is not None:
            self.restore()
        out = not dock.isFloating()
        dock.setFloating(out)
        if out:
            dock.resize(dock.size().expandedTo(FLOATING))
            window = self.window().frameGeometry()
            place = QRect(QPoint(0, 0), dock.size())
            place.moveCenter(window.center())
            dock.move(place.topLeft())
            self._enter(dock)

    def _put_back(self) -> None:
        """Of the panels that floated the last time, those that would cover the window go back into it."""
        window = self.window().frameGeometry()
        for dock in self.docks:
            if dock.isFloating() and dock.frameGeometry().intersects(window):
                dock.setFloating(False)

    def toggle_maximized(self, dock: CardDock) -> None:
        """Maximize, or bring all back; a panel that floats fills the screen."""
        if dock.isFloating():
            dock.toggle_full()
        elif self.maximized is not None:
            self.restore()
        else:
            self.maximize(dock)

    def maximize(self, dock: CardDock) -> None:
        """This panel alone, until `restore`."""
        if self.maximized is not None:
            self.restore()
        self._before = self.saveState()
        self.maximized = dock
        for other in self.findChildren(CardDock):
            if other is not dock and not other.isFloating():
                other.hide()
        dock.show()
        dock.card.set_maximized(True)
        dock.card.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        dock.card.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.changed.emit()

    def restore(self) -> None:
        """All panels again, as they were."""
        if self.maximized is None:
            return
        before = self._before
        self._forget_maximized()
        if before is not None:
            self.restoreState(before)
        self._show_supported()

    def _forget_maximized(self) -> None:
        if self.maximized is not None:
            self.maximized.card.set_maximized(False)
        self.maximized, self._before = None, None

    # ------------------------------------------------------------------------------------------------------ remembering

    def layout_state(self) -> QByteArray:
        """The layout, to be remembered (of all panels, also while one is maximized)."""
        return self._before if self._before is not None else self.saveState()

    def closed_panels(self) -> list[str]:
        """Ids of the panels that the user closed."""
        return sorted(self._closed - self._given_way)

    def restore_layout(self, state: QByteArray, closed: Iterable[str]) -> bool:
        """A remembered layout; False if it cannot be used."""
        if not self.restoreState(state):
            return False
        self._arranged = True
        self._closed = set(closed)
        self._no_width = {dock.objectName() for dock in self.docks if dock.isHidden()} - self._closed
        self._put_back()
        self._low = self.window().height() < LOW
        self._make_room()
        return True
