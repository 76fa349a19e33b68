"""The shapes of marks (disc, triangle, diamond, plus, ...) and the hatch, painted at a place in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPainterPath, QPen, QPolygonF, QTransform

from nnopt.errors import unknown_name
from nnopt_gui.widgets import theme

#: distance of the hatch's lines, px
HATCH = 9.0


def _polygon(corners: list[tuple[float, float]]) -> QPainterPath:
    path = QPainterPath()
    path.addPolygon(QPolygonF([QPointF(x, y) for x, y in corners]))
    path.closeSubpath()
    return path


def _regular(count: int, start: float, inner: float = 0.0) -> list[tuple[float, float]]:
    radii = [0.54, inner] if inner else [0.54]
    total = count * len(radii)
    return [
        (radii[i % len(radii)] * math.cos(a), radii[i % len(radii)] * math.sin(a))
        for i in range(total)
        for a in [start + 2 * math.pi * i / total]
    ]


@cache
def path(name: str) -> QPainterPath:
    """The outline of a symbol of size 1 around (0, 0); y grows downwards. Raises UnknownNameError."""
    shapes = {
        "square": [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)],
        "triangle": [(0, -0.56), (0.54, 0.44), (-0.54, 0.44)],
        "triangle down": [(0, 0.56), (0.54, -0.44), (-0.54, -0.44)],
        "diamond": [(0, -0.62), (0.5, 0), (0, 0.62), (-0.5, 0)],
        "pentagon": _regular(5, -math.pi / 2),
        "hexagon": _regular(6, 0),
        "star": _regular(5, -math.pi / 2, 0.24),
        "plus": [
            (-0.14, -0.5), (0.14, -0.5), (0.14, -0.14), (0.5, -0.14), (0.5, 0.14), (0.14, 0.14),
            (0.14, 0.5), (-0.14, 0.5), (-0.14, 0.14), (-0.5, 0.14), (-0.5, -0.14), (-0.14, -0.14),
        ],
    }  # fmt: skip
    if name == "disc":
        disc = QPainterPath()
        disc.addEllipse(QPointF(0, 0), 0.5, 0.5)
        return disc
    if name not in shapes:
        raise unknown_name("symbol", name, ["disc", *shapes])
    return _polygon(shapes[name])


def draw(
    painter: QPainter,
    name: str,
    at: QPointF,
    size: float,
    role: str,
    *,
    hollow: bool = False,
    edge: str = "",
    edge_width: float = 0.0,
    width: float = 1.8,
) -> None:
    """Paint a symbol. hollow: an outline in the role's colour, filled with the card's (or `edge` role's) colour.
    edge: a line around a filled one, so that it stands off what lies below."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(at)
    shape = path(name)
    scaled = QTransform.fromScale(size, size).map(shape)
    if hollow:
        pen = QPen(theme.color(role), width)
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(pen)
        painter.setBrush(theme.brush(edge or "card"))
    else:
        painter.setPen(QPen(theme.color(edge), edge_width) if edge else Qt.PenStyle.NoPen)
        painter.setBrush(theme.brush(role))
    painter.drawPath(scaled)
    painter.restore()


def draw_all(
    painter: QPainter, name: str, places: Sequence[QPointF], size: float, role: str, *, width: float = 1.8
) -> None:
    """Paint a hollow symbol at many places, as one path."""
    if not places:
        return
    scaled = QTransform.fromScale(size, size).map(path(name))
    whole = QPainterPath()
    for place in places:
        whole.addPath(scaled.translated(place))
    pen = QPen(theme.color(role), width)
    pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(pen)
    painter.setBrush(theme.brush("card"))
    painter.drawPath(whole)


def draw_hatch(painter: QPainter, rect: QRectF, role: str = "not_convex", line_alpha: float = 0.35) -> None:
    """A tint with diagonal lines 9 px apart, anchored to the painter's origin so that it does not swim."""
    painter.save()
    painter.setClipRect(rect, Qt.ClipOperation.IntersectClip)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.fillRect(rect, QBrush(theme.color(role)))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(theme.color(role, line_alpha)), 1))
    painter.drawLines(hatch_lines(rect))
    painter.restore()


def hatch_lines(rect: QRectF, spacing: float = HATCH) -> list[QLineF]:
    """Lines rising to the right that cover a rectangle; the same lines for every rectangle they meet."""
    pitch = spacing * math.sqrt(2)
    high = rect.height()
    first = math.floor((rect.left() + rect.bottom() - high) / pitch) * pitch
    last = rect.right() + rect.bottom()
    lines = []
    c = first
    while c <= last:
        # the line x + y = c
        lines.append(QLineF(c - rect.bottom(), rect.bottom(), c - rect.top(), rect.top()))
        c += pitch
    return lines
