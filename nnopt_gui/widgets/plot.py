"""LabPlot: a pyqtgraph plot in our visual language, and the curves drawn in it.

Wheel zooms, drag pans, a double-click (or "Reset the view") goes back to the home range. Curves are named by role;
while a run plays (`set_running`) they are 1 px wide and not smoothed, which is many times faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPoint, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QGuiApplication,
    QMouseEvent,
    QPaintEngine,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QGraphicsItem, QMenu, QWidget

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.axis import Axis, Grid
from nnopt_gui.widgets.contours import Polyline
from nnopt_gui.widgets.kept import KeptLine, keep
from nnopt_gui.widgets.legend import Entry, Legend
from nnopt_gui.widgets.overlay import LabelLayer, Overlay
from nnopt_gui.widgets.rest import Rest

#: a plot lower than this has its x axis named in the row of the ticks, px
_LOW = 150
#: milliseconds after which what was painted may have another corner free for the legend
LEGEND_PACE = 400


class Curve(pg.PlotDataItem):
    """A line of a role ("training", "model", ...); `set_data` takes arrays, NaN makes a gap.

    A line that goes up and down all over the plot (a noisy loss) is drawn thinner and not smoothed: smoothing it in
    full width would take a second.
    """

    rough = False

    def __init__(self, role: str) -> None:
        super().__init__(connect="auto", antialias=True, autoDownsampleFactor=1.5)
        self.curve.setParentItem(None)
        self.curve = KeptLine()
        self.curve.setParentItem(self)
        self.role = role
        self.running = False
        self.restyle()

    def set_data(self, x: Any, y: Any) -> None:
        """Replace what is drawn; x must rise (for other lines: `LabPlot.polyline`)."""
        self.setData(x, y)

    def restyle(self) -> None:
        """Take the theme's colours."""
        pen = theme.pen(self.role, self.running or self.rough)
        self.curve.keeps = not self.running
        # solid lines are drawn piece by piece, which is far cheaper; dashes would begin anew with each piece
        self.curve.setSegmentedLineMode("on" if pen.style() == Qt.PenStyle.SolidLine else "auto")
        self.opts["antialias"] = not (self.running or self.rough)
        self.setPen(pen)

    def set_running(self, running: bool) -> None:
        """1 px and fast, or in full width."""
        if running != self.running:
            self.running = running
            self.restyle()

    def updateItems(self, styleUpdate: bool = True) -> None:
        super().updateItems(styleUpdate)
        y, box = self.curve.yData, self.getViewBox()
        if y is None or box is None or len(y) < 400:
            rough = False
        else:
            low, high = box.viewRange()[1]
            # how often it would cross the whole height of the plot
            rough = float(np.nansum(np.abs(np.diff(y)))) > 40 * (high - low)
        if rough != self.rough:
            self.rough = rough
            self.restyle()


class _View(pg.ViewBox):
    """A view box whose clicks are reported and that has no menu of its own."""

    clicked = Signal(object)
    double_clicked = Signal()

    def __init__(self) -> None:
        super().__init__(enableMenu=False, defaultPadding=0.0)
        self.setBorder(None)

    def mouseClickEvent(self, ev: Any) -> None:
        if ev.button() != Qt.MouseButton.LeftButton:
            ev.ignore()
        elif ev.double():
            ev.accept()
            self.double_clicked.emit()
        else:
            ev.accept()
            self.clicked.emit(ev)

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        if ev.button() == Qt.MouseButton.RightButton:
            ev.ignore()
        else:
            super().mouseDragEvent(ev, axis)


class LabPlot(pg.PlotWidget):
    """A styled plot. x_label, y_label: the axes in words. grid: "y", "x", "xy" or "". on_map: over a heat map, where
    legend and labels have dark plates. equal: the same scale on both axes. still: most of it stands still while a few
    marks move, so these are painted alone.

    Signals: clicked(x, y) in data coordinates, hovered(x, y), hover_left(), view_reset().
    """

    clicked = Signal(float, float)
    hovered = Signal(float, float)
    hover_left = Signal()
    view_reset = Signal()

    def __init__(
        self,
        x_label: str = "",
        y_label: str = "",
        *,
        grid: str = "y",
        equal: bool = False,
        on_map: bool = False,
        still: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        self.view = _View()
        left, bottom = Axis("left"), Axis("bottom")
        super().__init__(parent, viewBox=self.view, axisItems={"left": left, "bottom": bottom}, enableMenu=False)
        self.left_axis, self.bottom_axis = left, bottom
        self.on_map = on_map
        self.running = False
        self.overlays: list[Overlay] = []
        self.curves: list[Curve] = []
        self._lines: list[Curve | Polyline] = []
        self.menu_actions: list[tuple[str, Callable[[], object]]] = []
        self._home: tuple[float, float, float, float] | None = None
        self._reserve = (0.0, 0.0)
        self.user_view = False
        self._legend_placed = False
        self._legend_rest = Rest(self, LEGEND_PACE, self.place_legend)
        self.plotItem.hideButtons()
        self.plotItem.setDownsampling(auto=True, mode="peak")
        self.plotItem.setClipToView(True)
        self.plotItem.layout.setContentsMargins(0, 8, 6, 0)
        self.plotItem.setContentsMargins(0, 0, 0, 0)
        self.setAspectLocked(equal)
        self.view.disableAutoRange()
        self.addItem = self.add
        self.removeItem = self.remove
        self.grid = Grid(left, bottom, grid)
        self.grid.attach(self.view)
        self.label_layer = LabelLayer()
        self.label_layer.still = still
        self.label_layer.attach(self.view)
        self.label_layer.curves = self.curves
        self.legend = Legend(on_map=on_map)
        self.legend.attach(self.view)
        self.set_labels(x_label, y_label)
        self.view.clicked.connect(self._clicked)
        self.view.double_clicked.connect(self.reset_view)
        self.view.sigRangeChangedManually.connect(self._moved_by_user)
        self.view.sigResized.connect(self._resized)
        self.scene().sigMouseMoved.connect(self._mouse_moved)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # it fills itself, nothing below it shows
        self.setMinimumSize(80, 60)
        self.setAccessibleName(f"plot of {y_label} over {x_label}" if x_label and y_label else "plot")
        theme.changed.connect(self.restyle)
        self.restyle()

    # contents

    def add(self, item: Any, *args: Any, **kargs: Any) -> Any:
        """Add a curve, an image or an overlay; returns it."""
        if isinstance(item, Overlay):
            item.on_map = self.on_map
            item.running = self.running
            item.layer = self.label_layer
            item.attach(self.view)
            self.overlays.append(item)
            self.label_layer.sources.append(item)
        else:
            self.plotItem.addItem(item, *args, **kargs)
            if isinstance(item, Curve):
                self.curves.append(item)
            if isinstance(item, Curve | Polyline):
                self._lines.append(item)
                item.set_running(self.running)
        return item

    def remove(self, item: Any) -> None:
        """Take something out again."""
        if isinstance(item, Overlay):
            self.overlays.remove(item)
            self.label_layer.sources.remove(item)
            item.detach()
        else:
            self.plotItem.removeItem(item)
            if item in self.curves:
                self.curves.remove(item)
            if item in self._lines:
                self._lines.remove(item)

    def curve(self, role: str) -> Curve:
        """A new line of a role, added to the plot."""
        return self.add(Curve(role))

    def polyline(self, role: str, z: float = 0) -> Polyline:
        """A new line of a role through points in any order (an ellipse, a contour), added to the plot."""
        return self.add(Polyline(role, z))

    def set_legend(self, entries: list[tuple[str, str]] | list[Entry]) -> None:
        """What the legend explains: (words, role) per row; it places itself in the emptiest corner."""
        if self.legend.set_entries([e if isinstance(e, Entry) else Entry(*e) for e in entries]):
            self._legend_placed = False

    def set_labels(self, x_label: str, y_label: str) -> None:
        """The axes' names."""
        if (x_label, y_label) != (self.bottom_axis.words, self.left_axis.words):
            self.bottom_axis.set_words(x_label)
            self.left_axis.set_words(y_label)

    def set_log(self, x: bool = False, y: bool = False) -> None:
        """Logarithmic axes. Curves are transformed; overlays and ranges are then given as log10."""
        self.plotItem.setLogMode(x, y)
        self.update()

    def set_running(self, running: bool) -> None:
        """Thin, fast lines while a run plays; full widths when it pauses."""
        if running != self.running:
            self.running = running
            for item in (*self._lines, *self.overlays, self.label_layer):
                item.set_running(running)

    # range

    def set_home(
        self, x0: float, x1: float, y0: float, y1: float, *, bottom_px: float = 0.0, top_px: float = 0.0
    ) -> None:
        """The range to show unless the user has zoomed or panned. `bottom_px`, `top_px`: room kept free below y0 (for
        arrows in lanes) and above y1."""
        if not np.all(np.isfinite((x0, x1, y0, y1))) or x1 <= x0 or y1 <= y0:
            return
        home, reserve = (x0, x1, y0, y1), (bottom_px, top_px)
        if home == self._home and reserve == self._reserve and not self.user_view:
            return
        self._home, self._reserve = home, reserve
        if not self.user_view:
            self._go_home()

    def _go_home(self) -> None:
        if self._home is None:
            return
        x0, x1, y0, y1 = self._home
        bottom, top = self._reserve
        high = max(self.view.rect().height(), 1.0)
        if bottom + top > 0.7 * high:
            bottom, top = bottom * 0.7 * high / (bottom + top), top * 0.7 * high / (bottom + top)
        unit = (y1 - y0) / max(high - bottom - top, 1.0)
        self.view.setRange(
            xRange=(x0, x1), yRange=(y0 - bottom * unit, y1 + top * unit), padding=0, disableAutoRange=True
        )
        # left to the next painting, all that hears of it would be painted a second time
        self.view.updateMatrix()

    def reset_view(self) -> None:
        """Back to the home range."""
        self.user_view = False
        if self._home is None:
            self.view.autoRange(padding=0.04)
        self._go_home()
        self.view_reset.emit()

    def _moved_by_user(self, *_: Any) -> None:
        self.user_view = True

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        if hasattr(self, "bottom_axis"):
            self.bottom_axis.set_compact(self.height() < _LOW)
        super().resizeEvent(event)
        for item in self._kept():
            # in a very narrow plot Qt keeps a part of an item only, and parts of other widths would stay in it
            item.setCacheMode(QGraphicsItem.CacheMode.NoCache)
            keep(item)

    def _kept(self) -> list[QGraphicsItem]:
        return [item for item in self.scene().items() if item.cacheMode() != QGraphicsItem.CacheMode.NoCache]

    def _resized(self, *_: Any) -> None:
        if not self.user_view:
            self._go_home()

    # mouse

    def _clicked(self, ev: Any) -> None:
        point = self.view.mapSceneToView(ev.scenePos())
        self.clicked.emit(point.x(), point.y())

    def _mouse_moved(self, position: Any) -> None:
        if self.view.sceneBoundingRect().contains(position):
            point = self.view.mapSceneToView(position)
            self.hovered.emit(point.x(), point.y())
        else:
            self.hover_left.emit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        # what happens in a plot is not for the dock around it
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.hover_left.emit()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.open_menu(event.globalPos())
        event.accept()

    def open_menu(self, position: QPoint) -> QMenu:
        """The context menu: our own few entries and those of the panel (`menu_actions`: words, slot)."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for words, slot in self.menu_actions:
            menu.addAction(words, slot)
        if self.menu_actions:
            menu.addSeparator()
        menu.addAction("Reset the view", self.reset_view)
        menu.addAction("Copy the picture", self.copy_picture)
        menu.popup(position)
        return menu

    def copy_picture(self) -> None:
        """Put the plot into the clipboard as a picture."""
        QGuiApplication.clipboard().setPixmap(self.grab())

    # look

    def restyle(self) -> None:
        """Take the theme's colours in place."""
        self.setBackground(theme.color("card"))
        for axis in (self.left_axis, self.bottom_axis):
            axis.restyle()
        for curve in self.curves:
            curve.restyle()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._legend_placed:
            self.place_legend()
        elif self.legend.entries and not self._legend_rest.isActive():
            self._legend_rest.start(LEGEND_PACE * (4 if self.running else 1))
        super().paintEvent(event)

    def render(self, painter: QPainter, *place: Any) -> None:
        """The plot into another picture; into a vector one line by line, not as kept pixels."""
        kept = self._kept() if painter.paintEngine().type() != QPaintEngine.Type.Raster else []
        for item in kept:
            item.setCacheMode(QGraphicsItem.CacheMode.NoCache)
        super().render(painter, *place)
        for item in kept:
            keep(item)

    def place_legend(self) -> None:
        """Move the legend to the corner where it covers least."""
        self._legend_placed = True
        self.legend.place(self.curves, self.overlays)
        self.label_layer.keep_free = [self.legend.frame] if self.legend.isVisible() and self.legend.entries else []
