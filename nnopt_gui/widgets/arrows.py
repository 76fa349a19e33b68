"""Steps as arrows over a plot, in lanes below a curve or on a map, with one magnification for those of one panel."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import symbols, theme
from nnopt_gui.widgets.numbers import TIMES, number, short
from nnopt_gui.widgets.overlay import Label, Overlay, label_size

#: steps of which none is this long are magnified together, until the longest has about this length, px
SHORTEST, TOGETHER = 16.0, 48.0
LANE = 18.0


def on_map_role(role: str, on_map: bool) -> str:
    """A role, or what it is called over a map."""
    return f"map_{role}" if on_map and role in ("gradient", "newton", "own", "model", "trail") else role


class Arrow(Overlay):
    """A step: shaft and head of constant width, filled, or hollow (Newton), with its name; the run's own has a bar at
    its tail.

    Arrows that `compare` was given share one magnification, so that their lengths can be compared: 1, unless all are
    under 16 px. One that is too short beside the others is a dot, and its name says how long it is; one that leaves the
    view ends at its edge: "gradient step, all steps × 50", "Newton step, × 1/12".
    """

    #: shorter than this an arrow is a dot, px
    dot: ClassVar[float] = 8.0
    #: a dot is drawn at least so far from the tail, px
    aside: ClassVar[float] = 0.0
    #: where the bar of the run's own step crosses the shaft, px from the tail
    bar: ClassVar[float] = 0.0

    def __init__(self, role: str, label: str = "", *, hollow: bool | None = None) -> None:
        super().__init__(z=60)
        self.role = role
        self.label = label
        self.hollow = role == "newton" if hollow is None else hollow
        #: what it is compared with, itself included
        self.group: tuple[Arrow, ...] = (self,)
        self._ends: tuple[float, float, float, float] | None = None
        self._lane: tuple[int, int] | None = None
        self._drops: tuple[float | None, float | None] = (None, None)
        #: the geometry that was asked for last, and what it depends on
        self._found: tuple[tuple[Any, ...], tuple[QPointF, QPointF, float]] | None = None

    def set(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """From (x0, y0) to (x1, y1), data coordinates; not finite: hidden."""
        self._lane = None
        self._drops = (None, None)
        self._put((x0, y0, x1, y1))

    def set_lane(
        self, x0: float, x1: float, lane: int = 0, lanes: int = 2, *, y0: float | None = None, y1: float | None = None
    ) -> None:
        """From x0 to x1 in one of the `lanes` (0 on top) along the lower edge of the plot; dotted lines go up to the
        curve at (x0, y0) and to the landing point (x1, y1). `lane_room(lanes)` is the room they need."""
        self._lane = (lane, lanes)
        self._drops = (y0, y1)
        self._put((x0, 0.0, x1, 0.0))

    def _put(self, ends: tuple[float, float, float, float]) -> None:
        ends_or_none = ends if all(map(math.isfinite, ends)) else None
        if ends_or_none is None or ends[:2] == ends[2:]:
            ends_or_none = None
        self._ends = ends_or_none
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._ends = None
        self.update()

    def geometry(self) -> tuple[QPointF, QPointF, float] | None:
        """(tail, tip, magnification) as drawn, in pixels; None if there is nothing to draw."""
        if self._ends is None or self._box is None:
            return None
        # label, obstacles, legend and painting ask for it one after the other
        others = tuple(arrow._ends for arrow in self.group)
        place = (self._ends, others, self._lane, *map(tuple, self._box.viewRange()), self.area.getCoords())
        if self._found is None or self._found[0] != place:
            self._found = place, self._geometry(*self._ends)
        tail, tip, magnification = self._found[1]
        return QPointF(tail), QPointF(tip), magnification

    def _geometry(self, x0: float, y0: float, x1: float, y1: float) -> tuple[QPointF, QPointF, float]:
        tail, tip = self.pixel(x0, y0), self.pixel(x1, y1)
        if self._lane is not None:
            lane, lanes = self._lane
            y = round(self.area.bottom() - 13 - LANE * (lanes - 1 - lane)) + 0.5
            tail.setY(y)
            tip.setY(y)
        true = math.hypot(tip.x() - tail.x(), tip.y() - tail.y())
        factor = self.magnification()
        if true == 0:
            # shorter than a rounding error of the mapping: only the direction is known
            direction = QPointF(
                math.copysign(1, x1 - x0) if x1 != x0 else 0, -math.copysign(1, y1 - y0) if y1 != y0 else 0
            )
            alone = math.isinf(factor)
            return tail, tail + direction * (SHORTEST if alone else 0.01), factor
        direction = (tip - tail) / true
        drawn = true * factor
        room = self._room(tail, direction)
        if drawn > room > SHORTEST:
            drawn = room
        return tail, tail + direction * drawn, drawn / true

    def _true(self) -> float:
        """Length in pixels as it is."""
        if self._ends is None or self._box is None or not self.isVisible():
            return 0.0
        x0, y0, x1, y1 = self._ends
        tail, tip = self.pixel(x0, y0), self.pixel(x1, y1)
        return math.hypot(tip.x() - tail.x(), tip.y() - tail.y())

    def magnification(self) -> float:
        """By how much all arrows of the group are drawn longer than they are: 1, 2, 5, 10, 20, ...; infinite where none
        is as long as a rounding error."""
        longest = max(arrow._true() for arrow in self.group)
        if longest >= SHORTEST:
            return 1.0
        if longest < 1e-9:
            return math.inf
        wanted = TOGETHER / longest
        decade = 10.0 ** math.floor(math.log10(wanted))
        return max(step * decade for step in (1.0, 2.0, 5.0) if step * decade <= wanted * (1 + 1e-9))

    @property
    def is_dot(self) -> bool:
        """Whether it is too short beside the others to be an arrow."""
        found = self.geometry()
        return found is not None and math.hypot(found[1].x() - found[0].x(), found[1].y() - found[0].y()) < self.dot

    @property
    def is_longest(self) -> bool:
        """Whether it is the longest of its group, which says by how much all are magnified."""
        return self._true() >= max(arrow._true() for arrow in self.group)

    def size_words(self, found: tuple[QPointF, QPointF, float], size: float) -> str:
        """What stands after the name where the length cannot be seen: of a dot, of an arrow that is cut off, and of
        those that are magnified, once. size: the step's length."""
        factor = self.magnification()
        if self.is_dot or found[2] < 0.98 * factor:
            return f": {number(size, 2)} long"
        if factor > 1.0 and self.is_longest:
            times = short(factor, 2) if factor < 1e6 else "10⁶ and more"
            together = sum(arrow._ends is not None for arrow in self.group) > 1
            return f", {'all steps ' * together}{TIMES} {times}"
        return ""

    def _room(self, tail: QPointF, direction: QPointF) -> float:
        # length until the view's edge, or infinity when the tail itself is outside
        area = self.area.adjusted(4, 4, -4, -4)
        if not area.contains(tail):
            return math.inf
        lengths = []
        for along, low, high, start in (
            (direction.x(), area.left(), area.right(), tail.x()),
            (direction.y(), area.top(), area.bottom(), tail.y()),
        ):
            if abs(along) > 1e-12:
                lengths.append(((high if along > 0 else low) - start) / along)
        return min(lengths, default=math.inf)

    def label_text(self) -> str:
        """The name, and by how much the arrow is drawn longer or shorter than it is."""
        found = self.geometry()
        if not self.label or found is None or self._ends is None:
            return ""
        x0, y0, x1, y1 = self._ends
        if not self.is_dot and found[2] < 0.98 * self.magnification():
            return f"{self.label}, {TIMES} 1/{short(1 / found[2], 2)}"
        return self.label + self.size_words(found, math.hypot(x1 - x0, y1 - y0))

    def labels(self) -> list[Label]:
        found = self.geometry()
        text = self.label_text()
        if found is None or not text:
            return []
        tail, tip, _ = found
        wide, high = label_size(text)
        length = math.hypot(tip.x() - tail.x(), tip.y() - tail.y()) or 1.0
        ux, uy = (tip.x() - tail.x()) / length, (tip.y() - tail.y()) / length
        if self._lane is not None:
            right = max(tail.x(), tip.x())
            x = right + 6 if right + 6 + wide < self.area.right() - 4 else min(tail.x(), tip.x()) - 6 - wide
            return [Label(text, QRectF(x, tip.y() - high / 2, wide, high), self.role, fixed=True)]
        middle = QPointF(tip.x() + ux * (10 + wide / 2), tip.y() + uy * (8 + high / 2))
        rect = QRectF(middle.x() - wide / 2, middle.y() - high / 2, wide, high)
        return [Label(text, rect, self.role, "dark" if self.on_map else "card", priority=5)]

    def obstacles(self) -> list[QRectF]:
        found = self.geometry()
        if found is None:
            return []
        tail, tip, _ = found
        parts = max(2, min(24, int(QLineF(tail, tip).length() / 10)))
        spots = [tail + (tip - tail) * (i / parts) for i in range(parts + 1)]
        return [QRectF(p.x() - 5, p.y() - 5, 10, 10) for p in spots]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        found = self.geometry()
        if found is None:
            return
        tail, tip, _ = found
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        role = on_map_role(self.role, self.on_map)
        if self._lane is not None and self._ends is not None:
            self._draw_drops(painter, tail, tip, role)
        length = QLineF(tail, tip).length()
        if length < self.dot:
            away = max(length, self.aside)
            at = tail + (tip - tail) * (away / length) if length > 0 else tail
            symbols.draw(painter, "disc", at, 6.0, role, edge="plate" if self.on_map else "card", edge_width=1.2)
            return
        width = theme.pen(self.role).widthF()
        bar = min(self.bar, 0.4 * length) if self.role == "own" else None
        if self.on_map:
            _draw_arrow(painter, tail, tip, theme.color("plate", 0.7), width + 2.4, False, QColor(), 1.2, bar)
        inside = theme.color("plate", 0.55) if self.on_map else theme.color("card")
        _draw_arrow(painter, tail, tip, theme.color(role), width, self.hollow, inside, 0.0, bar)

    def _draw_drops(self, painter: QPainter, tail: QPointF, tip: QPointF, role: str) -> None:
        assert self._ends is not None
        x0, _, x1, _ = self._ends
        y0, y1 = self._drops
        for x, y, at, name in ((x0, y0, tail, "point"), (x1, y1, tip, role)):
            if y is not None and math.isfinite(y):
                pen = QPen(theme.color(name), 1.2)
                pen.setDashPattern([1.5, 2.5])
                painter.setPen(pen)
                painter.drawLine(QPointF(at.x() if name != role else self.pixel(x, y).x(), at.y()), self.pixel(x, y))


def compare(*arrows: Arrow) -> None:
    """From now on these share one magnification."""
    for arrow in arrows:
        arrow.group = arrows


def lane_room(lanes: int = 2) -> float:
    """Pixels to keep free below the data for arrows in `lanes` lanes (`LabPlot.set_home(..., bottom_px=...)`)."""
    return 13 + LANE * (lanes - 1) + 16


def _draw_arrow(
    painter: QPainter,
    tail: QPointF,
    tip: QPointF,
    colour: QColor,
    width: float,
    hollow: bool,
    inside: QColor,
    grow: float,
    bar: float | None = None,
) -> None:
    length = QLineF(tail, tip).length()
    if length <= 0:
        return
    unit = (tip - tail) / length
    normal = QPointF(-unit.y(), unit.x())
    head = min(13.0, 0.75 * length)
    half = head * 0.42 + grow
    base = tip - unit * head
    end = tip + unit * grow * 1.6
    pen = QPen(colour, width)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    painter.setPen(pen)
    painter.drawLine(tail, base + unit * (0 if hollow else 1.5))
    if bar is not None:
        crossing, reach = tail + unit * bar, normal * (5.5 + grow)
        painter.drawLine(crossing - reach, crossing + reach)
    corners = QPolygonF([end, base + normal * half - unit * grow, base - normal * half - unit * grow])
    if hollow:
        outline = QPen(colour, 1.8)
        outline.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(outline)
        painter.setBrush(inside)
    else:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
    painter.drawPolygon(corners)
