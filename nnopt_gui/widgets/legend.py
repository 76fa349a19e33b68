"""The legend of a plot: inside it, in the emptiest corner, and the small samples that show how a role is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import symbols, theme
from nnopt_gui.widgets.kept import keep
from nnopt_gui.widgets.overlay import Overlay, edges

_ROW = 18.0
_SAMPLE = 26.0
_PAD = 9.0
#: where it may be, the best place first
CORNERS = ("top right", "top left", "bottom right", "bottom left", "top middle", "bottom middle")


@dataclass(frozen=True)
class Entry:
    """One row. sample: "" the usual one of the role, "line", "fill", "hatch" or a symbol ("disc", "diamond hollow")."""

    text: str
    role: str
    sample: str = ""


# how a role is shown where nothing else is said
_SAMPLES = {
    "validation": "line square hollow",
    "gradient": "triangle",
    "newton": "diamond hollow",
    "own": "square",
    "map_own": "square",
    "point": "disc",
    "plateau": "fill",
    "flat": "fill",
    "not_convex": "hatch",
    "trail": "line dots",
    "map_trail": "line dots",
    "class0": "disc",
    "class1": "triangle",
    "class2": "square",
    "class3": "diamond",
    "class4": "triangle down",
    "class5": "pentagon",
    "class6": "hexagon",
    "class7": "star",
}


class Legend(Overlay):
    """Rows of sample and words on a plate (dark over maps); `place` chooses the corner."""

    def __init__(self, on_map: bool = False) -> None:
        super().__init__(z=900)
        self.on_map = on_map
        self.entries: list[Entry] = []
        self.corner = "top right"
        #: how much it may cover before it is left out; where what it explains can be guessed, that is better
        self.most = math.inf
        self._left_out = False
        self._size = (0.0, 0.0)
        keep(self)

    def set_entries(self, entries: Iterable[Entry]) -> bool:
        """Replace all rows; whether they are other ones."""
        entries = list(entries)
        if entries == self.entries:
            return False
        self.prepareGeometryChange()
        self.entries = entries
        self._measure()
        self.update()
        return True

    def _measure(self) -> None:
        metrics = theme.metrics(12)
        widest = max((metrics.horizontalAdvance(e.text) for e in self.entries), default=0.0)
        self._size = (2 * _PAD + _SAMPLE + 8 + widest, 2 * (_PAD - 3) + _ROW * len(self.entries))

    def boundingRect(self) -> QRectF:
        return self.frame if self._box is not None else QRectF()

    @property
    def frame(self) -> QRectF:
        """Where it is, in view-box pixels."""
        return self._at(self.corner)

    def _at(self, corner: str) -> QRectF:
        area = self.area.adjusted(8, 8, -8, -8)
        wide, high = self._size
        across = {"left": area.left(), "right": area.right() - wide, "middle": area.center().x() - wide / 2}
        vertical, horizontal = corner.split()
        y = area.top() if vertical == "top" else area.bottom() - high
        return QRectF(round(across[horizontal]), round(y), wide, high)

    def place(self, curves: Iterable[Any], overlays: Iterable[Overlay]) -> None:
        """Choose the corner where least is covered; it stays where it is unless another one is clearly better, and is
        left out where it would cover more than `most` in every one."""
        area = self.area
        # in a small plot it would hide the data
        if not (self.entries and self._size[0] < 0.6 * area.width() and self._size[1] < 0.62 * area.height()):
            self.setVisible(False)
            return
        groups = [
            points for curve in curves if curve.isVisible() for points in [self._sampled(*curve.getData())] if points
        ]
        costly: list[tuple[QRectF, float]] = []
        for overlay in overlays:
            if overlay.isVisible() and overlay is not self:
                costly += overlay.legend_costs()
                points = getattr(overlay, "legend_points", None)
                if points is not None and (sampled := self._sampled(*points())):
                    groups.append(sampled)
        rects, weights = edges(rect for rect, _ in costly), np.array([weight for _, weight in costly])
        boxes = edges(self._at(corner).adjusted(-4, -4, 4, 4) for corner in CORNERS)
        left, top, right, bottom = boxes.T[:, :, None]
        cost = 0.02 * np.arange(len(CORNERS))
        for x, y in groups:
            inside = np.count_nonzero((x > left) & (x < right) & (y > top) & (y < bottom), axis=1)
            cost += 20.0 * inside / len(x) + 0.5 * (inside > 0)
        met = (rects[:, 0] < right) & (rects[:, 1] < bottom) & (rects[:, 2] > left) & (rects[:, 3] > top)
        costs = dict(zip(CORNERS, (cost + met @ weights).tolist(), strict=True))
        best = min(costs, key=costs.__getitem__)
        # once left out it comes back for a clearly better corner only: it does not flicker
        self._left_out = costs[best] > (0.6 if self._left_out else 1.0) * self.most
        self.setVisible(not self._left_out)
        if costs[best] < costs[self.corner] - 0.3 or (best != self.corner and costs[self.corner] > 0.3 > costs[best]):
            self.prepareGeometryChange()
            self.corner = best
            self.update()

    def _sampled(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray] | None:
        if x is None or len(x) == 0 or self._box is None:
            return None
        every = max(1, len(x) // 300)
        px, py = self.pixels(np.asarray(x)[::every], np.asarray(y)[::every])
        area = self.area
        with np.errstate(invalid="ignore"):
            seen = (px >= area.left()) & (px <= area.right()) & (py >= area.top()) & (py <= area.bottom())
        return (px[seen], py[seen]) if seen.any() else None

    def restyle(self) -> None:
        self.prepareGeometryChange()
        self._measure()
        self.update()

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if not self.entries:
            return
        frame = self.frame
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.on_map:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.brush("plate"))
        else:
            painter.setPen(theme.pen("border"))
            painter.setBrush(theme.brush("card", 0.92))
        painter.drawRoundedRect(frame.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        painter.setFont(theme.font(12))
        text = theme.color("plate_text") if self.on_map else theme.color("text2")
        y = frame.top() + _PAD - 3
        for entry in self.entries:
            row = QRectF(frame.left() + _PAD, y, _SAMPLE, _ROW)
            draw_sample(painter, row, entry)
            painter.setPen(text)
            place = QRectF(row.right() + 8, y, frame.right() - row.right() - 8, _ROW)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, entry.text)
            y += _ROW


def draw_sample(painter: QPainter, rect: QRectF, entry: Entry) -> None:
    """How a role is drawn, small."""
    kind = entry.sample or _SAMPLES.get(entry.role, "line")
    middle = rect.center()
    words = kind.split()
    if words[0] == "fill":
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.brush(entry.role))
        painter.drawRect(rect.adjusted(0, 3, 0, -3))
        return
    if words[0] == "hatch":
        symbols.draw_hatch(painter, rect.adjusted(0, 3, 0, -3), entry.role)
        return
    if words[0] == "line":
        painter.setPen(theme.pen(entry.role))
        painter.drawLine(QLineF(rect.left(), middle.y(), rect.right(), middle.y()))
        words = words[1:]
    if words[:1] == ["dots"]:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.brush(entry.role))
        for share in (0.15, 0.5, 0.85):
            painter.drawEllipse(QPointF(rect.left() + share * rect.width(), middle.y()), 2.2, 2.2)
    elif words:
        hollow = "hollow" in words
        name = " ".join(w for w in words if w not in ("hollow", "filled"))
        size = {"square": 7.0, "disc": 8.0}.get(name, 9.0)
        symbols.draw(painter, name, middle, size, entry.role, hollow=hollow)
