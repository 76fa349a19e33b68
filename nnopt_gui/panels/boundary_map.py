"""Draws a BoundaryPicture: tinted probabilities or predictions, the boundary's lines, curves over one input."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QColor

from nnopt_gui.panels.boundary_picture import BoundaryPicture, mixed
from nnopt_gui.widgets import theme
from nnopt_gui.widgets.contours import Polyline
from nnopt_gui.widgets.heatmap import ColourBar, MapImage, Scale, tint_table

Array = npt.NDArray[np.float64]


class BoundaryMap:
    """The background of the panel's plot, with a colour bar for predictions."""

    def __init__(self, plot: Any) -> None:
        self.plot = plot
        self.image = MapImage()
        plot.add(self.image, ignoreBounds=True)
        self.soft = Polyline("boundary_soft", z=5)
        self.line = Polyline("boundary", z=6)
        self._curves: list[Polyline] = []
        for line in (self.soft, self.line):
            plot.add(line, ignoreBounds=True)
        self.bar: ColourBar | None = None
        self._target = ""
        self._drawn: tuple[BoundaryPicture, bool, Scale | None] | None = None

    def show(self, picture: BoundaryPicture, decided: bool, scale: Scale | None, target: str = "") -> None:
        """decided: the likeliest class alone instead of probabilities. scale: of the predictions' colours; target: what
        they are called."""
        self._drawn = (picture, decided, scale)
        self._target = target
        self._tint()
        self.soft.set(*picture.dashed)
        self.line.set(*picture.solid)
        self._show_curves(picture)

    def clear(self) -> None:
        """Shows nothing."""
        self._drawn = None
        self.image.clear()
        for line in (self.soft, self.line, *self._curves):
            line.set([], [])
        self._show_bar(None, "")

    def set_running(self, running: bool) -> None:
        """Thin lines while a run plays."""
        for line in (self.soft, self.line, *self._curves):
            line.set_running(running)

    @property
    def colours(self) -> npt.NDArray[np.uint8]:
        """(256, 4) of predictions and probabilities, from class 0's tint to class 1's."""
        now = theme.current()
        return tint_table(now.class0_region, now.region_middle, now.class1_region)

    @property
    def strong_colours(self) -> npt.NDArray[np.uint8]:
        """(256, 4) of targets: from class 0's colour to class 1's, the same scale as `colours`."""
        now = theme.current()
        return tint_table(now.class0, theme.mix(now.region_middle, now.text3, 0.25).name(), now.class1)

    def _tint(self) -> None:
        if self._drawn is None:
            return
        picture, decided, scale = self._drawn
        if picture.kind == "curve":
            self.image.clear()
            self._show_bar(None, "")
            return
        extent = (picture.xs[0], picture.xs[-1], picture.ys[0], picture.ys[-1])
        values = picture.values
        if picture.kind == "values" and scale is not None:
            rgba = self.colours[_index(scale.position(values))]
            self._show_bar(scale, self._target)
        else:
            self._show_bar(None, "")
            if decided:
                values = np.eye(values.shape[2])[values.argmax(axis=2)]
            rgba = self.colours[_index(values[:, :, 1])] if values.shape[2] == 2 else _mixture(values)
        self.image.set_colours(np.ascontiguousarray(rgba.transpose(1, 0, 2)), extent)

    def _show_bar(self, scale: Scale | None, title: str) -> None:
        if scale is None:
            if self.bar is not None:
                self.bar.show_bar(False)
            return
        if self.bar is None:
            self.bar = ColourBar(title)
            self.plot.plotItem.layout.addItem(self.bar, 2, 3)
        self.bar.title = title
        if not self.bar.isVisible():
            self.bar.show_bar(True)
        self.bar.set(scale, self.colours)

    def _show_curves(self, picture: BoundaryPicture) -> None:
        """Over one input: the prediction, or each class's probability (of two classes, that of class 1)."""
        curves = picture.values.T if picture.kind == "curve" else np.empty((0, 0))
        if len(curves) == 2:
            curves = curves[1:]
        while len(self._curves) < len(curves):
            several = len(curves) > 1
            line = Polyline(f"class{len(self._curves)}" if several else "boundary", z=40)
            line.set_running(self.line.running)
            self._curves.append(self.plot.add(line))
        for index, line in enumerate(self._curves):
            several = len(curves) > 1
            role = f"class{index}" if several else "boundary"
            if line.role != role:
                line.role = role
            line.set(picture.xs, curves[index]) if index < len(curves) else line.set([], [])
            if several:
                line.setPen(theme.pen(role, line.running, width=2.2))
            else:
                line.restyle()

    def restyle(self) -> None:
        """The theme has changed."""
        self._tint()
        if self._drawn is not None:
            self._show_curves(self._drawn[0])


def _index(position: Array) -> npt.NDArray[np.intp]:
    """Positions 0 .. 1 as rows of a colour table; what is not a number becomes the middle."""
    return np.clip(np.rint(np.nan_to_num(position, nan=0.5) * 255), 0, 255).astype(np.intp)


def _mixture(probabilities: Array) -> npt.NDArray[np.uint8]:
    now = theme.current()
    count = probabilities.shape[2]
    regions = np.array([QColor(now.class_region(index)).getRgb()[:3] for index in range(count)], dtype=float)
    neutral = np.array(QColor(now.region_middle).getRgb()[:3], dtype=float)
    colours = mixed(np.nan_to_num(probabilities, nan=1.0 / count), regions, neutral)
    return np.concatenate([colours, np.full((*colours.shape[:2], 1), 255, dtype=np.uint8)], axis=2)
