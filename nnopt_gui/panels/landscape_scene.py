"""The landscape panel's plot: map, contours, model, trail, the steps and the point, kept and moved, never rebuilt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnopt.analysis.taylor import trust_region_mask
from nnopt_gui.panels.landscape_levels import Extent
from nnopt_gui.panels.landscape_marks import HoverWords, MapArrow, Minima, TrustCircle
from nnopt_gui.panels.landscape_model import LandscapePicture, LocalModel
from nnopt_gui.panels.landscape_plane import MapFrame
from nnopt_gui.panels.slice_model import Past, Vector
from nnopt_gui.panels.slice_scene import name_axes
from nnopt_gui.widgets.contours import Polyline, contours
from nnopt_gui.widgets.heatmap import HeatMap, Scale
from nnopt_gui.widgets.legend import Entry
from nnopt_gui.widgets.marks import DraggablePoint, Mark, Trail, compare
from nnopt_gui.widgets.numbers import percent
from nnopt_gui.widgets.plot import LabPlot

#: pixels of width and height below which the legend is short, and of height below which it is left out
NARROW, LOW, TINY = 420, 220, 170
#: share of a step in the plane from which all of it lies there
WHOLE = 0.9995
#: pixels that a letter of an axis' name takes
LETTER = 6.6


class LandscapeScene:
    """Everything that is drawn on one plane."""

    def __init__(self, plot: LabPlot) -> None:
        self.plot = plot
        self.map = HeatMap(plot, "loss")
        self.contours = plot.add(Polyline("map_contour", z=-5))
        self.model = plot.add(Polyline("map_model", z=5))
        self.trust = plot.add(Polyline("map_trust", z=6))
        self.minima = plot.add(Minima())
        self.trail = plot.add(Trail())
        self.lowest = plot.add(Mark("plus", "model", size=15))
        self.gradient = plot.add(MapArrow("gradient", "gradient step"))
        self.newton = plot.add(MapArrow("newton", "Newton step"))
        self.own = plot.add(MapArrow("own", "own step"))
        compare(self.gradient, self.newton, self.own)
        self.circle = plot.add(TrustCircle(self.own))
        self.lands_own = plot.add(Mark("square", "own", size=9))
        self._arrows_z = self.newton.zValue()
        self.hover = plot.add(HoverWords())
        self.point = plot.add(DraggablePoint())
        self.frame: MapFrame | None = None
        self.home: Extent | None = None
        self.extent: Extent | None = None
        self.scale: Scale | None = None
        self.values: Vector | None = None
        self.local: LocalModel | None = None
        #: what losses are measured from where the model is compared with them
        self.floor = 0.0
        self._legend: tuple[Any, ...] = ()
        self._legend_of: tuple[int, bool, bool] = (0, False, True)
        self._still = False
        self._place = (math.nan, math.nan)
        plot.hovered.connect(lambda x, y: self.hover.hover(x, y))
        plot.hover_left.connect(self.hover.leave)
        plot.view.sigRangeChanged.connect(lambda *_: self._follow_range())

    def choose(self, model: bool, contours: bool, trust: bool) -> None:
        """What the user wants to see."""
        if (model, contours, trust) == self.chosen:
            return
        self.model.setVisible(model)
        self.lowest.setVisible(model)
        self.contours.setVisible(contours)
        self.trust.setVisible(trust)
        self._draw_trust()
        self.set_legend(*self._legend_of)

    @property
    def chosen(self) -> tuple[bool, bool, bool]:
        """Whether model, contours and the region of trust are shown."""
        return self.model.isVisible(), self.contours.isVisible(), self.trust.isVisible()

    def clear(self) -> None:
        """Show nothing."""
        self.frame = self.home = self.extent = self.values = self.local = None
        self.scale = None
        self.map.clear()
        self.contours.set([], [])
        self.minima.set(np.empty((0, 2)))
        self.clear_marks((math.nan, math.nan))

    def clear_marks(self, place: tuple[float, float]) -> None:
        """The map with nothing on it but the point."""
        self.local = None
        self.show_past(Past())
        self._clear_local()
        self.move_point(place)

    def follow(self, place: tuple[float, float]) -> None:
        """Bring a place into the middle of the view."""
        a, b = place
        if self.home is None or not (math.isfinite(a) and math.isfinite(b)):
            return
        wide, high = self.home[1] - self.home[0], self.home[3] - self.home[2]
        self._show_home((a - wide / 2, a + wide / 2, b - high / 2, b + high / 2))

    def _show_home(self, home: Extent) -> None:
        self.home = home
        self._still = True
        self.plot.set_home(*home)
        self._still = False

    def show(self, picture: LandscapePicture) -> None:
        """A picture; without values the map stays as it is."""
        self.show_map(picture)
        self.show_past(picture.past)
        self.show_local(picture.local)

    def show_map(self, picture: LandscapePicture) -> None:
        """Plane, range and map of a picture."""
        self.frame = picture.frame
        if picture.values is not None and picture.extent is not None and picture.lines is not None:
            self.values, self.extent, self.scale = picture.values, picture.extent, picture.scale
            self.map.set(picture.values, picture.extent, picture.scale)
            self.contours.set(*picture.lines)
        self._show_home(picture.home)
        name_axes(self.plot, *self._labels(picture.frame))

    def show_past(self, past: Past) -> None:
        """The trail, projected on the plane that is shown."""
        if self.frame is None or not past.steps.size:
            self.trail.set(np.empty(0), np.empty(0))
            self.hover.set(Past(), np.empty((0, 2)), np.empty(0))
            return
        with np.errstate(all="ignore"):
            places, away = self.frame.project(past.thetas)
        self.trail.set(places[:, 0], places[:, 1])
        self.hover.set(past, places, away)

    def show_local(self, local: LocalModel) -> None:
        """Point, model and steps."""
        self.local = local
        self.move_point(local.place)
        if not math.isfinite(local.value):
            self._clear_local()
            return
        self._draw_model()
        self._draw_trust()
        a, b = local.place
        self.gradient.length = float(np.linalg.norm(local.gradient_step))
        self.gradient.set(a, b, a + local.gradient_arrow[0], b + local.gradient_arrow[1])
        of = " of the full loss" if local.own is not None and local.own.batch else ""
        self.gradient.label = f"gradient step{of}"
        self.newton.label = local.newton_name.replace("Newton step", f"Newton step{of}")
        self.newton.length = 0.0 if local.newton is None else float(np.linalg.norm(local.newton))
        self.newton.set(a, b, a + local.newton_arrow[0], b + local.newton_arrow[1])
        self._draw_own(local)
        # of steps in one direction the shorter one lies above
        arrows = {self.gradient: local.gradient_arrow, self.newton: local.newton_arrow, self.own: local.own_arrow}
        longest_first = sorted(arrows, key=lambda arrow: -np.nan_to_num(math.hypot(*arrows[arrow])))
        for place, arrow in enumerate(longest_first):
            arrow.setZValue(self._arrows_z + 0.3 * place)
        lowest = local.minimum
        self.lowest.set(*(lowest if lowest is not None else (math.nan, math.nan)))

    def _draw_own(self, local: LocalModel) -> None:
        """The run's own step, where it is neither of the other two, and the region that its model was trusted in."""
        (a, b), own = local.place, local.own
        self.circle.set(a, b, local.radius)
        if own is None:
            self.own.clear()
            self.lands_own.clear()
            return
        part = f", {percent(local.own_share)} of it in this plane" if local.own_share < WHOLE else ""
        self.own.label, self.own.length = own.name + part, own.length
        landing = (a + local.own_arrow[0], b + local.own_arrow[1])
        self.own.set(a, b, *landing)
        # where arrows are magnified, the tip is not where it lands
        seen = self.own.magnification() == 1.0 and not self.own.is_dot
        self.lands_own.set(*(landing if seen else (math.nan, math.nan)))

    def move_point(self, place: tuple[float, float]) -> None:
        """The current point alone; it is not drawn outside the map."""
        self._place = place
        self.point.set(*(place if self.within(*place) == place else (math.nan, math.nan)))

    def within(self, a: float, b: float) -> tuple[float, float]:
        """The nearest place that the plot shows."""
        a0, a1, b0, b1 = self.visible()
        return min(max(a, a0), a1), min(max(b, b0), b1)

    def _follow_range(self) -> None:
        if not self._still:
            self._draw_model()
            self.move_point(self._place)

    def _draw_model(self) -> None:
        if self.local is not None and math.isfinite(self.local.value):
            (a0, a1), (b0, b1) = self.plot.view.viewRange()
            self.model.set(*self.local.lines((a0, a1, b0, b1)))

    def _draw_trust(self) -> None:
        """The edge of where the model is within 10 % of the map's losses; of a map beside the point there is none."""
        local, values, extent = self.local, self.values, self.extent
        near = local is not None and local.distance < 1e-6 * (1.0 + float(np.linalg.norm(local.theta)))
        if not self.trust.isVisible() or local is None or values is None or extent is None or not near:
            self.trust.set([], [])
            return
        xs, ys = np.linspace(*extent[:2], len(values)), np.linspace(*extent[2:], len(values))
        with np.errstate(all="ignore"):
            away = np.stack(np.meshgrid(xs - local.place[0], ys - local.place[1], indexing="ij"), axis=-1)
            mask = trust_region_mask(local.model(away), values, lowest=self.floor)
        self.trust.set(*contours(mask.astype(float), xs, ys, [0.5]))

    def _clear_local(self) -> None:
        self.model.set([], [])
        self.trust.set([], [])
        self.gradient.clear()
        self.newton.clear()
        self.own.clear()
        self.lands_own.clear()
        self.circle.set(math.nan, math.nan, math.nan)
        self.lowest.clear()

    def set_legend(self, steps: int, minima: bool, complete: bool) -> None:
        """What lines and marks mean. steps: length of the trail. complete: it lies in the plane."""
        self._legend_of = (steps, minima, complete)
        narrow = self.plot.width() < NARROW or self.plot.height() < LOW
        model, lines, trust = self.chosen
        place = (steps > 0, minima, narrow, complete, self.plot.height() < TINY, model, lines, trust)
        if place == self._legend:
            return
        self._legend = place
        entries = [Entry("quadratic model", "map_model")] if model else []
        if trust:
            entries.append(Entry("model within 10 %", "map_trust"))
        if lines and not (narrow or minima):
            entries.insert(0, Entry("equal loss", "map_contour"))
        if minima:
            entries.append(Entry("minimum", "map_trail", "star"))
        if self.plot.height() < TINY:
            entries = []
        elif steps > 0 and not narrow:
            entries.append(Entry("trail" if complete else "trail, projected", "map_trail"))
        self.plot.set_legend(entries)

    def _labels(self, frame: MapFrame) -> tuple[str, str]:
        """The axes in words; the upright one shorter where it would not fit."""
        across, up = frame.labels
        room = self.plot.view.rect().height() + 12
        return across, up.removeprefix("along ").removeprefix("the ") if LETTER * len(up) > room else up

    def set_running(self, running: bool) -> None:
        """Thin lines while a run plays."""
        self.plot.set_running(running)
        for line in (self.contours, self.model, self.trust):
            line.set_running(running)

    def visible(self) -> Extent:
        """What the plot shows."""
        (a0, a1), (b0, b1) = self.plot.view.viewRange()
        return float(a0), float(a1), float(b0), float(b1)

    def beyond(self, theta: Vector, share: float) -> bool:
        """Whether a point is further from the middle of the map than `share` of its size."""
        if self.frame is None or self.home is None:
            return True
        a, b = self.frame.place(theta)
        a0, a1, b0, b1 = self.home
        # what is not a number is not inside
        return not (abs(a - (a0 + a1) / 2) <= share * (a1 - a0) and abs(b - (b0 + b1) / 2) <= share * (b1 - b0))

    def aspect(self) -> float:
        """Width / height of the plot."""
        area = self.plot.view.rect()
        return float(area.width() / area.height()) if area.height() > 1 and area.width() > 1 else 1.6
