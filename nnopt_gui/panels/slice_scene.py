"""The slice panel's plot: the curves and marks of one picture, kept and moved, never rebuilt."""

from __future__ import annotations

import math

import numpy as np

from nnopt_gui.panels.slice_lanes import LaneArrow, PastDots, TrustBands
from nnopt_gui.panels.slice_model import Interval, Line, Local, Past, SlicePicture, heights, steady, trusted
from nnopt_gui.widgets.axis import Axis
from nnopt_gui.widgets.contours import Polyline
from nnopt_gui.widgets.legend import Entry
from nnopt_gui.widgets.marks import DraggablePoint, Hatch, Mark, compare, lane_room
from nnopt_gui.widgets.numbers import percent
from nnopt_gui.widgets.plot import LabPlot

#: half the length of the tangent, px
TANGENT = 60.0
#: pixels of width from which the legend explains everything, and of height below which there is none
WIDE, LOW = 660, 210
#: what the legend may cover at most: less than the shaft of an arrow
COVERED = 6.0
#: share of a step on a line from which all of it lies there
WHOLE = 0.9995
#: points of the model's curve over the width of the plot
MODEL_POINTS = 121


class SliceScene:
    """Curve, model, tangent, steps, landings, point and trail in one plot."""

    def __init__(self, plot: LabPlot) -> None:
        self.plot = plot
        plot.legend.most = COVERED
        self.hatch = plot.add(Hatch())
        self.curve, self.model, self.tangent = (plot.add(Polyline(role)) for role in ("training", "model", "tangent"))
        # the legend keeps clear of the plot's curves
        plot.curves += [self.curve, self.model, self.tangent]
        self.trust = plot.add(TrustBands())
        self.past = plot.add(PastDots())
        self.gradient = plot.add(LaneArrow("gradient", "gradient step"))
        self.newton = plot.add(LaneArrow("newton", "Newton step"))
        self.own = plot.add(LaneArrow("own", "own step"))
        compare(self.gradient, self.newton, self.own)
        self.lands = plot.add(Mark("triangle", "gradient", size=12))
        self.lands_true = plot.add(Mark("diamond", "newton", size=9))
        self.lands_predicted = plot.add(Mark("diamond", "newton", hollow=True, size=11))
        self.lands_own = plot.add(Mark("square", "own", size=10))
        self.point = plot.add(DraggablePoint())
        self.local: Local | None = None
        self.line: Line | None = None
        self.picture: SlicePicture | None = None
        self.on_line = False
        #: what losses are measured from where the model is compared with them
        self.floor = 0.0
        self._low = -math.inf
        self._heights: Interval | None = None
        self._still = False
        #: lanes below the curve: a third one once the run's own step was another one than the two
        self._lanes = 2
        plot.left_axis.tick_positions = self._ticks
        plot.view.sigRangeChanged.connect(lambda *_: self._follow_range())
        plot.hovered.connect(self.past.hover)
        plot.hover_left.connect(self.past.leave)

    def _explain(self) -> None:
        """The legend; in a small plot only what cannot be guessed, so that it finds a free corner."""
        entries = [Entry("loss", "training")]
        if self.model.isVisible():
            entries.append(Entry("quadratic model", "model"))
        if self.plot.height() < LOW:
            entries = []
        elif self.plot.width() >= WIDE:
            entries += [Entry("tangent (slope)", "tangent"), Entry("current point", "point")]
            if self.local is not None and self.local.own_name:
                entries.append(Entry(self.local.own_name, "own"))
        self.plot.set_legend(entries)

    def choose(self, model: bool, trust: bool) -> None:
        """What the user wants to see."""
        if (model, trust) == (self.model.isVisible(), self.trust.isVisible()):
            return
        self.model.setVisible(model)
        self.trust.setVisible(trust)
        self._draw_trust()
        self._explain()

    def clear(self) -> None:
        """Show nothing."""
        self.picture = self.line = None
        self._lanes = 2
        self.curve.set([], [])
        self.hatch.set([])
        self.past.set(Past(), np.empty(0), np.empty(0))
        self._clear_local()

    def show(self, picture: SlicePicture, whole: bool) -> None:
        """Everything of a picture. whole: the axis shows the whole height of the curve."""
        before, self.picture, self.line = self.picture, picture, picture.line
        self.local = picture.local
        self._lanes = 3 if picture.local.own_name else self._lanes
        self.on_line = not whole
        self.curve.set(picture.curve.xs, picture.curve.values)
        low, high = heights(picture.curve, picture.local, picture.shown, whole)
        pad = 0.04 * (high - low)
        same = before is not None and before.shown == picture.shown
        self._low, top = steady((low - pad, high + pad), self._heights if same else None)
        self._heights = (self._low, top)
        self.hatch.floor = self._low
        self.hatch.set([(a, b, "not convex") for a, b in picture.curve.concave])
        self._explain()
        self._still = True
        self.plot.set_home(*picture.shown, self._low, top, bottom_px=lane_room(self._lanes), top_px=4)
        self._still = False
        self.show_past(picture.past)
        self.show_local(picture.local)

    def show_past(self, past: Past) -> None:
        """The trail, on the line that is shown."""
        if self.line is None or not past.steps.size:
            self.past.set(Past(), np.empty(0), np.empty(0))
            return
        with np.errstate(all="ignore"):
            xs, away = self.line.project(past.thetas)
        self.past.set(past, xs, away)

    def show_local(self, local: Local) -> None:
        """Point, tangent, model and steps; the curve stays."""
        self.local = local
        self._lanes = 3 if local.own_name else self._lanes
        self._place_point()
        if not local.finite:
            self._clear_local(keep_point=True)
            return
        self._draw_lines()
        self._draw_trust()
        self._draw_steps(local)

    def _draw_trust(self) -> None:
        shown = self.trust.isVisible() and self.local is not None and self.picture is not None
        found = trusted(self.picture.curve, self.local, self.floor) if shown else ()
        self.trust.floor = self._low if math.isfinite(self._low) else None
        self.trust.set([(a, b, "model within 10 %") for a, b in found])

    def _place_point(self) -> None:
        """The point is not drawn outside the plot."""
        if self.local is not None:
            (x0, x1), (y0, y1) = self.plot.view.viewRange()
            inside = x0 <= self.local.x <= x1 and y0 <= self.local.value <= y1
            self.point.set(self.local.x, self.local.value if inside else math.nan)

    def _clear_local(self, keep_point: bool = False) -> None:
        for arrow in (self.gradient, self.newton, self.own):
            arrow.clear()
        for mark in (self.lands, self.lands_true, self.lands_predicted, self.lands_own):
            mark.clear()
        self.model.set([], [])
        self.trust.set([])
        self.tangent.set([], [])
        if not keep_point:
            self.local = None
            self.point.set(math.nan, math.nan)

    def _draw_lines(self) -> None:
        local = self.local
        if local is None or not local.finite:
            return
        (x0, x1), (y0, y1) = self.plot.view.viewRange()
        xs = np.linspace(x0, x1, MODEL_POINTS)
        if x0 < local.x < x1:
            xs = np.sort(np.append(xs, local.x))
        ys = local.model(xs)
        # what lies far outside would only make the painter clip it
        ys[(ys > y1 + 2 * (y1 - y0)) | (ys < y0 - 2 * (y1 - y0))] = np.nan
        self.model.set(xs, ys)
        area = self.plot.view.rect()
        if area.width() > 0 and area.height() > 0:
            wide, high = (x1 - x0) / area.width(), (y1 - y0) / area.height()
            reach = TANGENT * wide / math.hypot(1.0, local.slope * wide / high)
            ends = np.array([local.x - reach, local.x + reach])
            self.tangent.set(ends, local.tangent(ends))

    def _draw_steps(self, local: Local) -> None:
        lengths = {
            "gradient": abs(local.gradient_step),
            "newton": abs(local.newton_step),
            "own": abs(local.own_step) if local.own_name else math.nan,
        }
        # the longest above; one that is not there takes the lowest lane
        order = sorted(lengths, key=lambda name: -lengths[name] if math.isfinite(lengths[name]) else 1.0)
        lane = {name: place for place, name in enumerate(order)}
        landing = local.x + local.gradient_step
        self.lands.set(landing, local.gradient_value if local.gradient_step else math.nan)
        self.gradient.step = local.gradient_step
        self.gradient.set_lane(
            local.x,
            landing,
            lane["gradient"],
            self._lanes,
            y0=local.value,
            y1=self._drop(landing, local.gradient_value),
        )
        landing = local.x + local.newton_step
        predicted = float(local.model(landing))
        shown = local.newton_step != 0
        self.lands_predicted.set(landing, predicted if shown else math.nan)
        self.lands_true.set(landing, local.newton_value if shown else math.nan)
        top = max((v for v in (predicted, local.newton_value) if math.isfinite(v)), default=math.nan)
        extra = (", damped" if local.damping else "") + (", uphill" if local.uphill else "")
        of = " of the full loss" if "batch" in local.own_name else ""
        self.gradient.label, self.gradient.brief = f"gradient step{of}", "gradient step"
        here = " on this line" * self.on_line  # where it is another step than that of the other panels
        self.newton.label = f"Newton step{of}{here}{extra}"
        self.newton.brief = f"Newton step{here}" if here else f"Newton step{extra}"
        self.newton.step = local.newton_step
        self.newton.set_lane(local.x, landing, lane["newton"], self._lanes, y0=local.value, y1=self._drop(landing, top))
        self._draw_own(local, lane["own"])

    def _draw_own(self, local: Local, lane: int) -> None:
        """The run's own step: as much of it as lies on this line, and the loss that it really leads to."""
        if not local.own_name or not math.isfinite(local.own_step):
            self.own.clear()
            self.lands_own.clear()
            return
        landing = local.x + local.own_step
        self.lands_own.set(landing, local.own_value if local.own_length else math.nan)
        part = f", {percent(local.own_share)} of it on this line" if local.own_share < WHOLE and self.on_line else ""
        self.own.label = local.own_name + part
        self.own.brief = f"{local.own_name}, {percent(local.own_share)} of it" if part else local.own_name
        self.own.step = local.own_length if part else local.own_step
        self.own.set_lane(local.x, landing, lane, self._lanes, y0=local.value, y1=self._drop(landing, local.own_value))

    def _drop(self, x: float, y: float) -> float | None:
        x0, x1 = self.plot.view.viewRange()[0]
        return y if x0 <= x <= x1 else None

    def _follow_range(self) -> None:
        if self._still:
            return
        self._place_point()
        self._draw_lines()
        if self.local is not None and self.local.finite:
            self._draw_steps(self.local)

    def _ticks(self, low: float, high: float, length: float) -> tuple[float, list[float]]:
        """Ticks of the loss end where the lanes of the steps begin."""
        floor = max(low, self._low)
        if not low < floor < high:
            return Axis.tick_positions(self.plot.left_axis, low, high, length)
        return Axis.tick_positions(self.plot.left_axis, floor, high, length * (high - floor) / (high - low))

    def name_axes(self, x_label: str) -> None:
        """The axes in words."""
        name_axes(self.plot, x_label, "loss")

    def visible(self) -> Interval:
        """The range of x that the plot shows."""
        low, high = self.plot.view.viewRange()[0]
        return float(low), float(high)

    def set_running(self, running: bool) -> None:
        """Thin lines while a run plays."""
        self.plot.set_running(running)


def name_axes(plot: LabPlot, x_label: str, y_label: str) -> None:
    """The axes in words, in the middle of their axes."""
    if (x_label, y_label) != (plot.bottom_axis.words, plot.left_axis.words):
        plot.set_labels(x_label, y_label)
        for axis in (plot.bottom_axis, plot.left_axis):
            # pyqtgraph centres a name only when the axis changes its size
            axis.resizeEvent()
