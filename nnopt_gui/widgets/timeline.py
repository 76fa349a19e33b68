"""The timeline: what has been computed, where it was flat, what the user changed, and the step that is shown.

One painted widget of 72 px. Press and drag on the track to seek; the arrow keys move by a step, with Shift by ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from nnopt_gui.widgets import numbers, symbols, theme

HEIGHT = 72
_TRACK = 36.0
_SIDE = 26.0


@dataclass(frozen=True)
class _Words:
    """Words above the track that belong to the pixels from x to end; those of higher priority are placed first."""

    text: str
    x: float
    end: float
    priority: int


def _name(plateau: Any, plateaus: Sequence[Any]) -> str:
    """What a flat stretch is called: whether it is a plateau is an open question of the last one alone."""
    if plateau.escaped:
        return "plateau"
    return "flat: plateau or converged?" if plateau is plateaus[-1] else "flat"


class Timeline(QWidget):
    """Signals: sought(step) when the user clicks, drags or uses the keys."""

    sought = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.length = 1
        self.budget = 1
        self.cursor = 0
        self.plateaus: tuple[Any, ...] = ()
        self.interventions: tuple[tuple[int, str], ...] = ()
        self.status: dict[str, str] = {}
        self.best: tuple[int, str] | None = None
        self._told = False  # about a run
        self._dragging = False
        self._hovered = False
        self._widths: dict[str, float] = {}
        self._entries: list[tuple[str, str, float]] = []
        self._status_room = 0.0
        self._written: list[tuple[QPointF, str, str]] | None = None
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(320)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Timeline")
        theme.changed.connect(self._restyle)

    def sizeHint(self) -> QSize:
        return QSize(900, HEIGHT)

    def set_state(
        self,
        length: int,
        budget: int,
        cursor: int,
        plateaus: Sequence[Any] = (),
        interventions: Sequence[tuple[int, str]] = (),
        status: Mapping[str, str] | None = None,
        best: tuple[int, str] | None = None,
    ) -> None:
        """Show a run. length: rows there are (steps 0 .. length - 1); budget: its last step; cursor: the step shown.

        plateaus: with start, stop, escaped. interventions: (step, words). status: (label, value) pairs for the right
        end, such as {"loss": "0.2587", "|g|": "0.1258"}; the step is written there by itself. best: (step, words) of
        the state with the lowest validation loss. Nothing is painted if nothing changed, and at most once per frame.
        """
        new = (
            max(length, 1),
            max(budget, length - 1, 1),
            cursor,
            tuple(plateaus),
            tuple(interventions),
            dict(status or {}),
            best,
        )
        old = (self.length, self.budget, self.cursor, self.plateaus, self.interventions, self.status, self.best)
        if new == old and self._told:
            return
        self._told = True
        if new[1] != self.budget:
            self._widths.clear()
        if new[1] != self.budget or new[3:5] != (self.plateaus, self.interventions):
            self._written = None
        self.length, self.budget, self.cursor, self.plateaus, self.interventions, self.status, self.best = new
        self._measure_status()
        self.update()

    # places

    def _track(self) -> QRectF:
        right = self.width() - self._status_room - 20
        return QRectF(_SIDE, _TRACK - 4, max(right - _SIDE, 60), 8)

    def x_of(self, step: float) -> float:
        """Pixel of a step."""
        track = self._track()
        return track.left() + track.width() * step / self.budget

    def step_at(self, x: float) -> int:
        """The computed step nearest to a pixel."""
        track = self._track()
        step = round((x - track.left()) / track.width() * self.budget)
        return min(max(step, 0), self.length - 1)

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.color("card"))
        painter.fillRect(0, 0, self.width(), 1, theme.color("border"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_track(painter)
        self._draw_writing(painter)
        self._draw_marks(painter)
        self._draw_status(painter)
        painter.end()

    def _draw_track(self, painter: QPainter) -> None:
        track = self._track()
        colours = theme.current()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.brush("border"))
        painter.drawRoundedRect(track, 4, 4)
        end = self.x_of(self.length - 1)
        painter.save()
        painter.setClipRect(QRectF(track.left(), track.top(), max(end - track.left(), 0.0), track.height()))
        for plateau in self.plateaus:
            left, right = self.x_of(plateau.start), self.x_of(min(plateau.stop, self.length - 1))
            # a stretch that ended in a drop is strong, one that is still flat is pale
            strength = (0.85 if plateau.escaped else 0.4) * (0.55 if colours.dark else 1.0)
            painter.setBrush(theme.mix(colours.border, colours.timeline_plateau, strength))
            painter.drawRoundedRect(QRectF(left, track.top(), max(right - left, 2.0), track.height()), 3, 3)
        painter.restore()
        # computed so far: a thin line below the track
        painter.setBrush(theme.brush("text3", 0.35))
        under = QRectF(track.left(), track.bottom() + 1.5, max(end - track.left(), 2.0), 2.5)
        painter.drawRoundedRect(under, 1.2, 1.2)
        painter.setBrush(theme.brush("accent"))
        under.setRight(max(self.x_of(self.cursor), track.left() + 2))
        painter.drawRoundedRect(under, 1.2, 1.2)

    def _draw_writing(self, painter: QPainter) -> None:
        # measured once, drawn with every frame of a running run
        if self._written is None:
            words = [
                (QPointF(rect.left(), rect.center().y() + 4.5), text, "text2") for _, rect, text in self.placed_words()
            ]
            self._written = self._ticks() + words
        painter.setFont(theme.font(12))
        colours = {role: theme.color(role) for role in ("text2", "text3")}
        for place, text, role in self._written:
            painter.setPen(colours[role])
            painter.drawText(place, text)

    def _ticks(self) -> list[tuple[QPointF, str, str]]:
        track = self._track()
        metrics = theme.metrics(12)
        widest = metrics.horizontalAdvance(numbers.integer(self.budget))
        values, step = numbers.ticks(0, self.budget, min(max(track.width() / (widest + 60), 1), 10))
        found = []
        for value in values:
            if value <= 0 or step < 1:
                continue
            words = numbers.integer(round(value))
            wide = metrics.horizontalAdvance(words)
            x = min(self.x_of(value) - wide / 2, track.right() - wide)
            found.append((QPointF(x, track.bottom() + 17), words, "text3"))
        return found

    def placed_words(self) -> list[tuple[_Words, QRectF, str]]:
        """(words, rectangle, text as drawn) of what stands above the track; nothing overlaps.

        The newest intervention is placed first; the name of a stretch takes the first free place along it.
        """
        track = self._track()
        asked = []
        for plateau in self.plateaus:
            text = _name(plateau, self.plateaus)
            left, right = self.x_of(plateau.start), self.x_of(plateau.stop)
            asked.append(_Words(text, left, right, priority=-plateau.start))
        for i, (step, text) in enumerate(self.interventions):
            x = self.x_of(step) - 2
            asked.append(_Words(text, x, x, priority=1 + i))
        placed: list[tuple[_Words, QRectF, str]] = []
        for words in sorted(asked, key=lambda w: -w.priority):
            found = self._free_place(words, [rect for _, rect, _ in placed], track)
            if found is not None:
                placed.append((words, *found))
        return placed

    def _free_place(self, words: _Words, taken: list[QRectF], track: QRectF) -> tuple[QRectF, str] | None:
        metrics = theme.metrics(12)
        wide = metrics.horizontalAdvance(words.text) + 1
        latest = track.right() - wide
        for start in sorted({words.x, *(r.right() + 12 for r in taken if words.x < r.right() + 12 < words.end)}):
            x = max(min(start, latest), track.left())
            inside = start == words.x or x + wide <= words.end
            if inside and all(r.right() + 10 <= x or r.left() - 10 >= x + wide for r in taken):
                return QRectF(x, 8, wide, 17), words.text
        x = max(words.x, track.left())
        room = min((r.left() - 10 for r in taken if r.right() + 10 > x), default=track.right()) - x
        text = metrics.elidedText(words.text, Qt.TextElideMode.ElideRight, room)
        if len(text) < 12:
            return None
        return QRectF(x, 8, metrics.horizontalAdvance(text) + 1, 17), text

    def _draw_marks(self, painter: QPainter) -> None:
        middle = self._track().center().y()
        for step, _ in self.interventions:
            symbols.draw(painter, "diamond", QPointF(self.x_of(step), middle), 13, "text", edge="card", edge_width=1.4)
        if self.best is not None:
            place = QPointF(self.x_of(self.best[0]), middle)
            symbols.draw(painter, "square", place, 9, "validation", edge="card", edge_width=1.4)
        head = QPointF(self.x_of(self.cursor), middle)
        if self._hovered or self._dragging or self.hasFocus():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.brush("accent", 0.22))
            painter.drawEllipse(head, 13, 13)
        painter.setPen(QPen(theme.color("card"), 2))
        painter.setBrush(theme.brush("accent"))
        painter.drawEllipse(head, 9, 9)

    # the status at the right end: label and value pairs whose places do not move while numbers run

    def _measure_status(self) -> None:
        if not self._told:
            return
        step = f"{numbers.integer(self.cursor)} / {numbers.integer(self.budget)}"
        entries = [
            (label, value, self._entry_width(label, value)) for label, value in [("step", step), *self.status.items()]
        ]
        while len(entries) > 1 and sum(wide + 20 for _, _, wide in entries) > 0.46 * self.width():
            # the last ones are the least important; the step always stays
            entries.pop()
        self._entries = entries
        room = sum(wide + 20 for _, _, wide in entries)
        if room != self._status_room:
            self._status_room = room
            self._written = None

    def _entry_width(self, label: str, value: str) -> float:
        widest = f"{numbers.integer(self.budget)} / {numbers.integer(self.budget)}" if label == "step" else value
        bold, regular = theme.metrics(13, theme.BOLD), theme.metrics(13)
        wide = regular.horizontalAdvance(label) + 6 + bold.horizontalAdvance(widest) + 2
        # it only grows, so that nothing jitters
        self._widths[label] = max(wide, self._widths.get(label, 0.0))
        return self._widths[label]

    def _draw_status(self, painter: QPainter) -> None:
        x = self.width() - self._status_room
        metrics = theme.metrics(13)
        baseline = _TRACK + (metrics.ascent() - metrics.descent()) / 2
        painter.setFont(theme.font(13))
        painter.setPen(theme.color("text2"))
        places = []
        for label, value, wide in self._entries:
            painter.drawText(QPointF(x, baseline), label)
            places.append((QPointF(x + metrics.horizontalAdvance(label) + 6, baseline), value))
            x += wide + 20
        painter.setFont(theme.font(13, theme.BOLD))
        painter.setPen(theme.color("text"))
        for place, value in places:
            painter.drawText(place, value)

    def _restyle(self) -> None:
        self._widths.clear()
        self._remeasure()

    def _remeasure(self) -> None:
        self._written = None
        self._measure_status()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._remeasure()

    # mouse and keys

    def _seek(self, x: float) -> None:
        step = self.step_at(x)
        self._go_to(step)

    def _go_to(self, step: int) -> None:
        if step != self.cursor:
            self.cursor = step
            self._measure_status()
            self.update()
            self.sought.emit(step)

    def _over_track(self, position: QPointF) -> bool:
        return self._track().adjusted(-12, -12, 12, 24).contains(position)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._over_track(event.position()):
            self._dragging = True
            self._seek(event.position().x())
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragging:
            self._seek(event.position().x())
            return
        over = self._over_track(event.position())
        if over != self._hovered:
            self._hovered = over
            self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._dragging:
            self._dragging = False
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered = False
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        far = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
        moves = {
            Qt.Key.Key_Left: self.cursor - far,
            Qt.Key.Key_Right: self.cursor + far,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: self.length - 1,
        }
        step = moves.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        self._go_to(min(max(step, 0), self.length - 1))

    def tip_at(self, position: QPointF) -> str:
        """What is there, in words: the interventions and stretches at a pixel, and the step."""
        if not self._track().adjusted(-4, -32, 4, 24).contains(position):
            return ""
        lines = [
            f"step {numbers.integer(step)}: {words}"
            for step, words in self.interventions
            if abs(self.x_of(step) - position.x()) <= 8
        ]
        if self.best is not None and abs(self.x_of(self.best[0]) - position.x()) <= 6:
            lines.append(f"step {numbers.integer(self.best[0])}: {self.best[1]}")
        for plateau in self.plateaus:
            if self.x_of(plateau.start) - 2 <= position.x() <= self.x_of(plateau.stop) + 2:
                what = _name(plateau, self.plateaus)
                lines.append(f"{what}, {numbers.integer(plateau.stop - plateau.start)} steps")
        return "\n".join(lines) or f"step {numbers.integer(self.step_at(position.x()))}"

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            words = self.tip_at(QPointF(event.pos()))
            if words:
                QToolTip.showText(event.globalPos(), words, self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)
