"""Lines of equal value as one polyline with gaps: twenty contours cost as much as one curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from contourpy import LineType, contour_generator
from PySide6.QtGui import QPainter

from nnopt_gui.widgets import theme
from nnopt_gui.widgets.kept import KeptLine

Floats = npt.NDArray[np.float64]


def contours(values: Any, xs: Any, ys: Any, levels: Sequence[float] | Floats) -> tuple[Floats, Floats]:
    """(x, y) of all level lines, NaN between lines. values (len(xs), len(ys)): [i, j] at (xs[i], ys[j]); lines end
    where values are not finite."""
    z = np.ma.masked_invalid(np.asarray(values, float).T)
    if z.shape[0] < 2 or z.shape[1] < 2:
        return np.empty(0), np.empty(0)
    generator = contour_generator(xs, ys, z, line_type=LineType.ChunkCombinedNan)
    parts: list[Floats] = []
    gap = np.full((1, 2), np.nan)
    for level in levels:
        for points in generator.lines(float(level))[0]:
            if points is not None:
                parts += [points, gap]
    if not parts:
        return np.empty(0), np.empty(0)
    joined = np.concatenate(parts[:-1])
    return joined[:, 0], joined[:, 1]


class Polyline(KeptLine):
    """A line of a role through any points in any order (an ellipse, a contour); NaN makes a gap."""

    def __init__(self, role: str, z: float = 0) -> None:
        super().__init__(connect="finite", antialias=True, skipFiniteCheck=False)
        self.role = role
        self.running = False
        self.setZValue(z)
        theme.changed.connect(self.restyle)
        self.restyle()

    def set(self, x: Any, y: Any) -> None:
        """Replace the line."""
        self.setData(np.asarray(x, float), np.asarray(y, float))

    def draw(self, painter: QPainter) -> None:
        # one piece after the other: smoothing the whole line at once takes several times as long
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, self.opts["antialias"])
        painter.setPen(self.opts["pen"])
        x, y = self.getData()
        gaps = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y)))
        for begin, end in zip([0, *(gaps + 1)], [*gaps, len(x)], strict=True):
            if end - begin > 1:
                painter.drawPath(pg.arrayToQPath(x[begin:end], y[begin:end], finiteCheck=False))

    def restyle(self) -> None:
        """Take the theme's colours."""
        self.setPen(theme.pen(self.role, self.running))

    def set_running(self, running: bool) -> None:
        """1 px and fast, or in full width."""
        if running != self.running:
            self.running = running
            self.keeps = not running
            self.opts["antialias"] = not running
            self.restyle()


class Contours(Polyline):
    """Level lines of a grid: `set_grid(values, extent, levels)`."""

    def __init__(self, role: str = "map_contour", z: float = 0) -> None:
        super().__init__(role, z)

    def set_grid(
        self, values: Any, extent: tuple[float, float, float, float], levels: Sequence[float] | Floats
    ) -> None:
        """values (na, nb): [i, j] at (a_i, b_j), the ends on the edges of extent (a0, a1, b0, b1)."""
        na, nb = np.shape(values)
        a0, a1, b0, b1 = extent
        self.set(*contours(values, np.linspace(a0, a1, na), np.linspace(b0, b1, nb), levels))
