"""Bars of step length in each eigen-direction of the Hessian: the gradient step beside the Newton step, steepest first.

The run's own step stands beside them where it is another one. Lengths are logarithmic. Directions with negative
curvature are hatched; a Newton bar that points uphill there carries a mark. Where there are more directions than room,
neighbours of one sign share a bar: the step's length within them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from nnopt.analysis.taylor import FLAT
from nnopt_gui.widgets import numbers, theme

Array = npt.NDArray[np.float64]

#: decades that are drawn at most; what is shorter than that has no bar
DECADES = 6


@dataclass(frozen=True)
class Bars:
    """curvature, gradient, newton (K,): per bar the mean curvature and the lengths of both steps; uphill (K,): the
    Newton step goes up there. group: directions per bar. own (K,): lengths of the run's own step, empty where that is
    one of the two."""

    curvature: Array
    gradient: Array
    newton: Array
    uphill: npt.NDArray[np.bool_]
    group: int
    own: Array = field(default_factory=lambda: np.empty(0))

    @property
    def negative(self) -> int:
        """How many bars have negative curvature; what is within rounding of zero has not."""
        return int(np.count_nonzero(below_zero(self.curvature)))


def below_zero(curvatures: Array) -> npt.NDArray[np.bool_]:
    """Which are negative, (K,): by more than rounding, as `Spectrum.inertia` counts them."""
    return np.asarray(curvatures < -FLAT * np.max(np.abs(curvatures), initial=0.0))


def bars(
    curvatures: Array,
    gradient: Array,
    gradient_step: Array,
    newton_step: Array,
    most: int,
    own_step: Array | None = None,
) -> Bars:
    """At most about `most` bars. curvatures (P,) descending; gradient, gradient_step, newton_step (P,): components
    along the eigen-directions (NaN newton_step where there is none)."""
    size = max(1, -(-len(curvatures) // max(most, 1)))
    uphill = newton_step * gradient > 0
    parts: list[tuple[float, float, float, bool, float]] = []
    own = np.zeros_like(curvatures) if own_step is None else own_step
    negative = below_zero(curvatures)
    for rows in (np.flatnonzero(~negative), np.flatnonzero(negative)):
        for start in range(0, len(rows), size):
            group = rows[start : start + size]
            parts.append(
                (
                    float(curvatures[group].mean()),
                    float(np.linalg.norm(gradient_step[group])),
                    float(np.linalg.norm(newton_step[group])),
                    bool(uphill[group].any()),
                    float(np.linalg.norm(own[group])),
                )
            )
    columns = list(zip(*parts, strict=True)) if parts else [(), (), (), (), ()]
    curvature, lengths, newton, up, ours = (np.array(column, dtype=float) for column in columns)
    return Bars(curvature, lengths, newton, up > 0, size, ours if own_step is not None else np.empty(0))


class StepBars(QWidget):
    """The picture. `show_steps` once per step; it groups and lays out when it paints, for the width it has."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps: tuple[Array, Array, Array, Array] | None = None
        self._own: Array | None = None
        self._own_name = ""
        self._newton_name = "Newton"
        self._which = ""
        #: the steps as bars, and how many of these were asked for at most
        self._grouped: tuple[int, Bars] | None = None
        self._faded = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Step length in each direction")
        theme.changed.connect(self.update)

    def show_steps(
        self,
        curvatures: Array,
        gradient: Array,
        gradient_step: Array,
        newton_step: Array,
        newton_name: str,
        which: str = "",
        own_step: Array | None = None,
        own_name: str = "",
    ) -> None:
        """As for `bars`; newton_name: what the Newton step is called in the legend; which: the directions, in words, if
        they are not all there are."""
        self._own, self._own_name = own_step, own_name
        self._which = which
        self._grouped = None
        self._steps = (curvatures, gradient, gradient_step, newton_step)
        self._newton_name = newton_name
        negative = int(np.count_nonzero(below_zero(curvatures)))
        self.setAccessibleDescription(
            f"{numbers.integer(len(curvatures))} directions, {numbers.integer(negative)} of negative curvature, "
            f"from {numbers.short(curvatures[0])} to {numbers.short(curvatures[-1])}"
        )
        self.update()

    def set_faded(self, faded: bool) -> None:
        """Whether they belong to another step than the one that is named."""
        if faded != self._faded:
            self._faded = faded
            self.update()

    def clear(self) -> None:
        """Shows nothing."""
        self._steps = None
        self.update()

    @property
    def shown(self) -> Bars | None:
        """The bars as they are drawn at the present width."""
        if self._steps is None:
            return None
        most = max(4, int(self._plot_rect().width() / 6))
        if self._grouped is None or self._grouped[0] != most:
            self._grouped = most, bars(*self._steps, most=most, own_step=self._own)
        return self._grouped[1]

    def minimumSizeHint(self) -> QSize:
        return QSize(220, 90)

    # ---------------------------------------------------------------------------------------------------- painting

    def _plot_rect(self) -> QRectF:
        tall = self.height() >= 120
        return QRectF(46, 25, max(20.0, self.width() - 50.0), max(20.0, self.height() - (57.0 if tall else 42.0)))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setOpacity(0.3 if self._faded else 1.0)
        shown = self.shown
        if shown is not None and len(shown.curvature):
            self._paint(painter, shown)
        painter.end()

    def _paint(self, painter: QPainter, shown: Bars) -> None:
        area = self._plot_rect()
        top, bottom = _decades(shown)
        self._heading(painter, shown)
        self._scale(painter, area, top, bottom)
        slot = area.width() / len(shown.curvature)
        if shown.negative:
            self._hatch(
                painter, QRectF(area.right() - slot * shown.negative, area.top(), slot * shown.negative, area.height())
            )
        kinds = 3 if len(shown.own) else 2
        width = min(22.0 if len(shown.curvature) < 8 else 9.0, max(1.0, slot * 0.72 / kinds))
        lefts = area.left() + (np.arange(len(shown.curvature)) + 0.5) * slot

        def boxes(lengths: Array, lefts: Array) -> dict[int, QRectF]:
            heights = [_height(length, top, bottom) * area.height() for length in lengths.tolist()]
            places = enumerate(zip(lefts.tolist(), heights, strict=True))
            return {i: QRectF(left, area.bottom() - high, width, high) for i, (left, high) in places if high > 0}

        first = lefts - width * kinds / 2
        gradient, newton = boxes(shown.gradient, first), boxes(shown.newton, first + width)
        # all of a kind at once: there may be hundreds
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("gradient"))
        painter.drawRects(list(gradient.values()))
        if kinds == 3:
            _own_bars(painter, list(boxes(shown.own, first + 2 * width).values()))
        if width < 3:
            painter.setBrush(theme.color("newton"))
            painter.drawRects(list(newton.values()))
        else:
            painter.setPen(QPen(theme.color("newton"), 1.3))
            painter.setBrush(theme.color("card"))
            painter.drawRects([box.adjusted(0.65, 0.65, -0.65, 0) for box in newton.values()])
            for index in np.flatnonzero(shown.uphill).tolist():
                if index in newton:
                    _wrong_way(painter, newton[index])
        painter.setPen(QPen(theme.color("axis"), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        self._curvatures(painter, area, slot, shown)

    def _heading(self, painter: QPainter, shown: Bars) -> None:
        painter.setFont(theme.font(12, theme.BOLD))
        painter.setPen(theme.color("text2"))
        title = "Step length in each direction" if self.width() >= 400 else "Step length"
        if self._which:
            title = self._which
        elif shown.group > 1:
            title = f"{title.split(' in')[0]}, {shown.group} directions a bar"
        painter.drawText(QPointF(0, 12), title)
        room = self.width() - QFontMetricsF(painter.font()).horizontalAdvance(title) - 14
        painter.setFont(theme.font(12))
        metrics = QFontMetricsF(painter.font())
        x = self.width() - 2.0
        for role, words in reversed(self._entries(shown, room)):
            x -= metrics.horizontalAdvance(words)
            painter.setPen(theme.color("text2"))
            painter.drawText(QPointF(x, 12), words)
            x -= 14
            self._swatch(painter, role, QRectF(x, 3.5, 9, 9))
            x -= 12

    def _entries(self, shown: Bars, room: float) -> list[tuple[str, str]]:
        """The legend as far as there is room; the axis says "λ < 0" where the hatch is not explained."""
        entries = [("gradient", "gradient"), ("newton", self._newton_name)]
        if len(shown.own):
            entries.insert(0, ("own", self._own_name))
        if bool(shown.uphill.any()):
            entries.append(("bad", "wrong way"))
        if shown.negative:
            entries.append(("not_convex", "not convex"))
        metrics = QFontMetricsF(theme.font(12))
        while entries and sum(metrics.horizontalAdvance(words) + 26 for _, words in entries) > room:
            entries.pop()
        return entries

    def _swatch(self, painter: QPainter, role: str, box: QRectF) -> None:
        if role == "gradient":
            painter.fillRect(box, theme.color(role))
        elif role == "own":
            painter.setPen(Qt.PenStyle.NoPen)
            _own_bars(painter, [box])
        elif role == "newton":
            painter.setPen(QPen(theme.color(role), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box.adjusted(0.7, 0.7, -0.7, -0.7))
        elif role == "bad":
            _wrong_way(painter, QRectF(box.left(), box.center().y() + 2, box.width(), 4))
        else:
            self._hatch(painter, box, spacing=4.0)

    def _scale(self, painter: QPainter, area: QRectF, top: int, bottom: int) -> None:
        painter.setFont(theme.font(12))
        every = max(1, math.ceil((top - bottom) * 16 / area.height()))
        for power in range(top, bottom - 1, -every):
            y = area.bottom() - (power - bottom) / (top - bottom) * area.height()
            painter.setPen(QPen(theme.color("grid"), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(theme.color("text3"))
            painter.drawText(
                QRectF(0, y - 8, area.left() - 5, 16),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                numbers.log_tick_text(10.0**power),
            )

    def _hatch(self, painter: QPainter, box: QRectF, spacing: float = 9.0) -> None:
        painter.save()
        painter.setClipRect(box)
        painter.fillRect(box, theme.color("not_convex"))
        painter.setPen(QPen(theme.color("not_convex", 0.45), 1))
        x = box.left() - box.height()
        while x < box.right():
            painter.drawLine(QPointF(x, box.bottom()), QPointF(x + box.height(), box.top()))
            x += spacing
        painter.restore()

    def _curvatures(self, painter: QPainter, area: QRectF, slot: float, shown: Bars) -> None:
        painter.setFont(theme.font(12))
        metrics = QFontMetricsF(painter.font())
        y = area.bottom() + 14
        free = area.right()
        if shown.negative:
            words = "λ < 0"
            x = area.right() - metrics.horizontalAdvance(words)
            painter.setPen(theme.color("not_convex", 1.0))
            painter.drawText(QPointF(x, y), words)
            free = min(x - 8, area.right() - slot * shown.negative)
        painter.setPen(theme.color("text3"))
        reached, before = -math.inf, ""
        for index in range(len(shown.curvature) - shown.negative):
            words = numbers.short(shown.curvature[index], 2)
            if words == before:
                continue
            half = metrics.horizontalAdvance(words) / 2
            middle = area.left() + (index + 0.5) * slot
            if middle - half > reached + 18 and middle + half < free:
                painter.drawText(QPointF(middle - half, y), words)
                reached, before = middle + half, words
        if self.height() >= 120:
            painter.setFont(theme.font(12, theme.MEDIUM))
            painter.setPen(theme.color("text2"))
            box = QRectF(area.left(), y + 2, area.width(), 17)
            painter.drawText(
                box, Qt.AlignmentFlag.AlignCenter, "curvature λ of the Hessian's directions, steepest first"
            )


def _decades(shown: Bars) -> tuple[int, int]:
    """Powers of ten at the top and at the foot of the scale."""
    lengths = np.concatenate([shown.gradient, shown.newton, shown.own])
    lengths = lengths[np.isfinite(lengths) & (lengths > 0)]
    if len(lengths) == 0:
        return 0, -2
    top = math.ceil(math.log10(lengths.max()) + 1e-9)
    bottom = math.floor(math.log10(lengths.min()) - 0.15)
    return top, min(max(bottom, top - DECADES), top - 2)


def _height(length: float, top: int, bottom: int) -> float:
    if not math.isfinite(length) or length <= 0:
        return 0.0
    return min(1.0, max(0.0, (math.log10(length) - bottom) / (top - bottom)))


def _own_bars(painter: QPainter, boxes: list[QRectF]) -> None:
    """Slender filled bars with a cap as wide as the others, so that they are told apart without colours too."""
    color = theme.color("own")
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    inset = 0.22 * boxes[0].width() if boxes and boxes[0].width() >= 4 else 0.0
    painter.drawRects([box.adjusted(inset, 0, -inset, 0) for box in boxes])
    if inset:
        painter.drawRects([QRectF(box.left(), box.top(), box.width(), min(2.0, box.height())) for box in boxes])


def _wrong_way(painter: QPainter, bar: QRectF) -> None:
    """A small triangle pointing up, above a bar."""
    middle, foot, half = bar.center().x(), bar.top() - 2.0, 3.5
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("bad"))
    painter.drawPolygon(
        QPolygonF([QPointF(middle - half, foot), QPointF(middle + half, foot), QPointF(middle, foot - 6)])
    )
