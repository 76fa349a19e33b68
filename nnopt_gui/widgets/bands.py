"""Stretches and places along the x axis: plateaus, where the loss is not convex, this step, interventions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from nnopt_gui.widgets import symbols, theme
from nnopt_gui.widgets.kept import keep
from nnopt_gui.widgets.overlay import Label, Overlay, label_size

Band = tuple[float, float, str]


class Bands(Overlay):
    """Tinted stretches of one role: "plateau" has solid edges, "flat" (plateau or converged?) dashed ones.

    Each is (x0, x1, words); the words stand at the lower edge and are left out where they do not fit.
    """

    def __init__(self, role: str = "plateau") -> None:
        super().__init__(z=-50)
        self.role = role
        self.bands: tuple[Band, ...] = ()
        #: data y where the bands end below; None: at the lower edge
        self.floor: float | None = None

    def set(self, bands: Iterable[Band]) -> None:
        """Replace all stretches (data coordinates)."""
        bands = tuple(bands)
        if bands != self.bands:
            self.bands = bands
            self.update()

    def rects(self) -> list[tuple[QRectF, str]]:
        """(visible rectangle, words) of each stretch, in pixels."""
        area = self.area
        if self._box is None:
            return []
        bottom = area.bottom() if self.floor is None else min(self.pixel(0, self.floor).y(), area.bottom())
        found = []
        for x0, x1, words in self.bands:
            left = max(self.pixel(x0, 0).x(), area.left())
            right = min(self.pixel(x1, 0).x(), area.right())
            if right > left and bottom > area.top():
                found.append((QRectF(left, area.top(), right - left, bottom - area.top()), words))
        return found

    def labels(self) -> list[Label]:
        result = []
        for rect, words in self.rects():
            if not words:
                continue
            text = words
            metrics = theme.metrics(12, theme.MEDIUM)
            if metrics.horizontalAdvance(text) + 12 > rect.width():
                # the first words may still fit: "plateau, 412 steps" -> "plateau"
                text = words.split(",")[0]
                if metrics.horizontalAdvance(text) + 12 > rect.width():
                    continue
            wide, high = label_size(text)
            place = QRectF(rect.left() + 3, rect.bottom() - high - 2, wide, high)
            result.append(Label(text, place, "text2", "", bold=False, priority=4))
        return result

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        area = self.area
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for rect, _ in self.rects():
            painter.fillRect(rect, theme.color(self.role))
            painter.setPen(theme.pen(f"{self.role}_edge"))
            for x in (rect.left(), rect.right()):
                if area.left() < x < area.right():
                    painter.drawLine(QLineF(round(x), rect.top(), round(x), rect.bottom()))


class Hatch(Bands):
    """Stretches where the loss is not convex: a tint with diagonal lines 9 px apart, "not convex" written below."""

    def __init__(self, role: str = "not_convex") -> None:
        super().__init__(role)
        keep(self)

    def labels(self) -> list[Label]:
        result = []
        for rect, words in self.rects():
            wide, high = label_size(words)
            if words and wide <= rect.width() + 16:
                place = QRectF(rect.center().x() - wide / 2, rect.bottom() - high - 6, wide, high)
                result.append(Label(words, place, self.role, "card", bold=False, priority=4))
        return [Label(x.text, x.rect, "model", x.plate, x.bold, x.fixed, x.priority) for x in result]

    def legend_costs(self) -> list[tuple[QRectF, float]]:
        return [(rect, 0.6) for rect, _ in self.rects()] + super().legend_costs()

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        for rect, _ in self.rects():
            symbols.draw_hatch(painter, rect, self.role)


class StepLine(Overlay):
    """A vertical line at the step that is shown, in the accent."""

    def __init__(self, role: str = "this_step") -> None:
        super().__init__(z=20)
        self.role = role
        self.x: float | None = None

    def set(self, x: float | None) -> None:
        """Where it is; None: nowhere."""
        if x != self.x:
            before, self.x = self._place(), x
            self.update_at(before, self._place())

    def _place(self) -> QRectF:
        if self.x is None or self._box is None:
            return QRectF()
        return QRectF(round(self.pixel(self.x, 0).x()) - 3, self.area.top(), 6, self.area.height())

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        if self.x is None or self._box is None:
            return
        x = round(self.pixel(self.x, 0).x())
        if self.area.left() <= x <= self.area.right():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setPen(theme.pen(self.role, self.running))
            painter.drawLine(QLineF(x, self.area.top(), x, self.area.bottom()))


class StepMarks(Overlay):
    """Interventions along the x axis: a dotted line, a diamond at the top and words beside it. Set (x, words) pairs.

    The words stand on the left of a line where they would run out of the view on the right, and are left out where
    they would meet the next ones.
    """

    def __init__(self, role: str = "intervention") -> None:
        super().__init__(z=15)
        self.role = role
        self.marks: tuple[tuple[float, str], ...] = ()

    def set(self, marks: Sequence[tuple[float, str]]) -> None:
        """Replace all of them."""
        if tuple(marks) != self.marks:
            self.marks = tuple(marks)
            self.update()

    def _spots(self) -> list[tuple[float, str]]:
        area = self.area
        found = [(self.pixel(x, 0).x(), words) for x, words in self.marks] if self._box is not None else []
        return [(x, words) for x, words in found if area.left() <= x <= area.right()]

    def labels(self) -> list[Label]:
        result: list[Label] = []
        spots = self._spots()
        middle = self.area.top() + 13
        for i, (x, words) in enumerate(spots):
            wide, high = label_size(words)
            right = spots[i + 1][0] if i + 1 < len(spots) else self.area.right()
            left = spots[i - 1][0] if i else self.area.left()
            if result:
                left = max(left, result[-1].rect.right())
            if x + 8 + wide < right:
                at = x + 7
            elif x - 8 - wide > left:
                at = x - 7 - wide
            else:
                continue
            result.append(Label(words, QRectF(at, middle - high / 2, wide, high), "text2", "card", False, True, 1))
        return result

    def obstacles(self) -> list[QRectF]:
        # the diamond, and the lower end of the dotted line where a stretch has its words
        spots = self._spots()[:60]
        top, bottom = self.area.top(), self.area.bottom()
        return [QRectF(x - 5, top + 7, 10, 12) for x, _ in spots] + [
            QRectF(x - 2, bottom - 22, 4, 22) for x, _ in spots
        ]

    def legend_costs(self) -> list[tuple[QRectF, float]]:
        diamonds = [(QRectF(x - 5, self.area.top() + 7, 10, 12), 1.0) for x, _ in self._spots()]
        return diamonds + [(label.rect, 3.0) for label in self.labels()]

    def paint(self, painter: QPainter, option: Any, widget: QWidget | None = None) -> None:
        area = self.area
        spots = self._spots()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        pen = QPen(theme.pen(self.role))
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        for x, _ in spots:
            painter.drawLine(QLineF(round(x), area.top() + 18, round(x), area.bottom()))
        for x, _ in spots:
            symbols.draw(painter, "diamond", QPointF(round(x), area.top() + 13), 9, "text2", edge="card", edge_width=1)
