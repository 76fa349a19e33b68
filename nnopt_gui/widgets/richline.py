"""One line of rich text that never grows its place: bold, colours and links, elided at the end when it is too long."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from nnopt_gui.widgets import theme


@dataclass(frozen=True)
class Run:
    """A stretch of equal style. role: a colour role or "#RRGGBB"."""

    text: str
    bold: bool = False
    role: str = ""
    href: str = ""


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.runs: list[Run] = []
        self._bold = 0
        self._href: list[str] = []
        self._role: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("b", "strong"):
            self._bold += 1
        elif tag == "a":
            self._href.append(values.get("href") or "")
        elif tag in ("span", "font"):
            style = (values.get("style") or "").replace(" ", "")
            found = [part[6:] for part in style.split(";") if part.startswith("color:")]
            self._role.append(values.get("role") or values.get("color") or (found[0] if found else ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("b", "strong"):
            self._bold = max(0, self._bold - 1)
        elif tag == "a" and self._href:
            self._href.pop()
        elif tag in ("span", "font") and self._role:
            self._role.pop()

    def handle_data(self, data: str) -> None:
        href = self._href[-1] if self._href else ""
        role = self._role[-1] if self._role else ""
        self.runs.append(Run(data, bool(self._bold or href), role, href))


def parse(html: str) -> list[Run]:
    """Runs of `<b>`, `<a href="...">` and `<span role="gradient">` (or `style="color:#..."`); others are ignored."""
    if "<" not in html and "&" not in html:
        return [Run(html)] if html else []
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.runs


def plain(html: str) -> str:
    """The text without its tags."""
    return "".join(run.text for run in parse(html))


class RichLine(QWidget):
    """Shows one line of html; `link_activated(href)` on a click, or on Enter while it has the focus."""

    link_activated = Signal(str)

    def __init__(self, parent: QWidget | None = None, px: int = 13, role: str = "text2") -> None:
        super().__init__(parent)
        self._px = px
        self._role = role
        self._html = ""
        self._runs: list[Run] = []
        self._places: list[tuple[QRectF, Run, str]] = []
        self._width = -1
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        theme.changed.connect(self._relayout)

    @property
    def html(self) -> str:
        return self._html

    @property
    def text(self) -> str:
        """What it says, without tags."""
        return "".join(run.text for run in self._runs)

    @property
    def elided(self) -> bool:
        """Whether not everything fits."""
        self._layout()
        return "".join(text for _, _, text in self._places) != self.text

    def set_html(self, html: str) -> None:
        """Replace the text (cheap when it is the same)."""
        if html == self._html:
            return
        self._html = html
        self._runs = parse(html)
        linked = any(run.href for run in self._runs)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus if linked else Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(self.text)
        self._relayout()

    def sizeHint(self) -> QSize:
        return QSize(120, self._px + 7)

    def minimumSizeHint(self) -> QSize:
        return QSize(20, self._px + 7)

    def _relayout(self) -> None:
        self._width = -1
        self.update()

    def _layout(self) -> None:
        if self._width == self.width():
            return
        self._width = self.width()
        self._places = []
        x, limit = 0.0, float(self.width())
        for i, run in enumerate(self._runs):
            metrics = theme.metrics(self._px, theme.BOLD if run.bold else theme.REGULAR)
            wide = metrics.horizontalAdvance(run.text)
            text = run.text
            last = i == len(self._runs) - 1
            if x + wide > limit - (0 if last else metrics.horizontalAdvance("…")) and not self._rest_fits(i, x, limit):
                text = metrics.elidedText(run.text + ("" if last else "…"), Qt.TextElideMode.ElideRight, limit - x)
                self._places.append((QRectF(x, 0, limit - x, self.height()), run, text))
                break
            self._places.append((QRectF(x, 0, wide, self.height()), run, text))
            x += wide
        cut = "".join(text for _, _, text in self._places) != self.text
        self.setToolTip(self.text if cut else "")

    def _rest_fits(self, first: int, x: float, limit: float) -> bool:
        rest = sum(
            theme.metrics(self._px, theme.BOLD if r.bold else theme.REGULAR).horizontalAdvance(r.text)
            for r in self._runs[first:]
        )
        return x + rest <= limit + 0.5

    def paintEvent(self, event: QPaintEvent) -> None:
        self._layout()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        for place, run, text in self._places:
            painter.setFont(theme.font(self._px, theme.BOLD if run.bold else theme.REGULAR))
            painter.setPen(self._colour(run))
            metrics = painter.fontMetrics()
            baseline = (self.height() + metrics.ascent() - metrics.descent()) / 2
            painter.drawText(QPointF(place.x(), baseline), text)
            if run.href and (self.hasFocus() or self._hovered == run.href):
                painter.drawLine(QPointF(place.left(), baseline + 2.5), QPointF(place.right(), baseline + 2.5))
        painter.end()

    def _colour(self, run: Run) -> QColor:
        if run.href:
            return theme.color("accent")
        if run.role:
            return QColor(run.role) if run.role.startswith("#") else theme.color(run.role)
        return theme.color("text" if run.bold else self._role)

    _hovered = ""

    def _link_at(self, position: QPointF) -> str:
        self._layout()
        return next((run.href for place, run, _ in self._places if run.href and place.contains(position)), "")

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        link = self._link_at(event.position())
        if link != self._hovered:
            self._hovered = link
            self.setCursor(Qt.CursorShape.PointingHandCursor if link else Qt.CursorShape.ArrowCursor)
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        if self._hovered:
            self._hovered = ""
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.setAccepted(bool(self._link_at(event.position())))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        link = self._link_at(event.position())
        if link and event.button() == Qt.MouseButton.LeftButton:
            self.link_activated.emit(link)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        links = [run.href for run in self._runs if run.href]
        if links and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.link_activated.emit(links[0])
        else:
            super().keyPressEvent(event)
