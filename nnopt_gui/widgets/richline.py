"""A line of rich text that never grows its place: bold, colours and links. Too long for one line it takes two smaller
ones, where there is the height for them; what does not fit there either is elided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from html.parser import HTMLParser

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from nnopt_gui.widgets import theme

#: pixels that must be left over before two lines become one again, so that running numbers do not make it flicker
_SLACK = 24.0


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
    return list(_parsed(html))


@lru_cache(maxsize=64)  # a sentence is measured, shown and read out
def _parsed(html: str) -> tuple[Run, ...]:
    if "<" not in html and "&" not in html:
        return (Run(html),) if html else ()
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return tuple(parser.runs)


def plain(html: str) -> str:
    """The text without its tags."""
    return "".join(run.text for run in parse(html))


class RichLine(QWidget):
    """Shows a line of html; `link_activated(href)` on a click, or on Enter while it has the focus."""

    link_activated = Signal(str)

    def __init__(self, parent: QWidget | None = None, px: int = 13, role: str = "text2") -> None:
        super().__init__(parent)
        self._px = px
        self._role = role
        self._html = ""
        self._runs: list[Run] = []
        self._places: list[tuple[QRectF, Run, str]] = []
        self._laid_out: tuple[int, int] | None = None
        self._cut = False
        self._lines = 1
        self._shown_px = px
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
        return self._cut

    @property
    def lines(self) -> int:
        """How many it takes: 1 or 2."""
        self._layout()
        return self._lines

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
        self._laid_out = None
        self.update()

    def _layout(self) -> None:
        size = (self.width(), self.height())
        if self._laid_out == size:
            return
        self._laid_out = size
        limit, small = float(self.width()), self._px - 1
        high = theme.metrics(small).height()
        spare = _SLACK if self._lines == 2 else 0.0
        one = _wide(self._runs, self._px) <= limit + 0.5 - spare or self.height() < 2 * high
        self._lines, self._shown_px = (1, self._px) if one else (2, small)
        if one:
            self._places, self._cut = _placed(self._runs, self._px, limit, 0.0, self.height())
        else:
            first, rest = _broken(self._runs, small, limit)
            top = (self.height() - 2 * high) / 2
            above, _ = _placed(first, small, limit, top, high)
            below, self._cut = _placed(rest, small, limit, top + high, high)
            self._places = above + below
        self.setToolTip(self.text if self._cut else "")

    def paintEvent(self, event: QPaintEvent) -> None:
        self._layout()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        for place, run, text in self._places:
            painter.setFont(theme.font(self._shown_px, theme.BOLD if run.bold else theme.REGULAR))
            painter.setPen(self._colour(run))
            metrics = painter.fontMetrics()
            baseline = place.center().y() + (metrics.ascent() - metrics.descent()) / 2
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


def _measure(run: Run, px: int, text: str) -> float:
    return theme.metrics(px, theme.BOLD if run.bold else theme.REGULAR).horizontalAdvance(text)


def _wide(runs: list[Run], px: int) -> float:
    return sum(_measure(run, px, run.text) for run in runs)


def _placed(
    runs: list[Run], px: int, limit: float, top: float, high: float
) -> tuple[list[tuple[QRectF, Run, str]], bool]:
    """(rectangle, run, text as drawn) of a line of runs from the left; and whether its end had to be elided."""
    places: list[tuple[QRectF, Run, str]] = []
    x, left = 0.0, _wide(runs, px)
    for i, run in enumerate(runs):
        metrics = theme.metrics(px, theme.BOLD if run.bold else theme.REGULAR)
        wide = metrics.horizontalAdvance(run.text)
        last = i == len(runs) - 1
        if x + left > limit + 0.5 and x + wide > limit - (0 if last else metrics.horizontalAdvance("…")):
            text = metrics.elidedText(run.text + ("" if last else "…"), Qt.TextElideMode.ElideRight, limit - x)
            places.append((QRectF(x, top, limit - x, high), run, text))
            return places, True
        places.append((QRectF(x, top, wide, high), run, run.text))
        x += wide
        left -= wide
    return places, False


def _broken(runs: list[Run], px: int, limit: float) -> tuple[list[Run], list[Run]]:
    """The runs of the first of two lines and those of the second: it ends with the last sentence that fits, or where
    the rest would then not fit, with the last word."""
    whole = _wide(runs, px)
    x, word, sentence = 0.0, None, None
    for i, run in enumerate(runs):
        for place, letter in enumerate(run.text):
            if letter == " ":
                before = x + _measure(run, px, run.text[:place])
                if before > limit:
                    break
                word = (i, place)
                end = run.text[place - 1] if place else runs[i - 1].text[-1:] if i else ""
                sentence = word if end == "." and whole - before <= limit else sentence
        x += _measure(run, px, run.text)
        if x > limit:
            break
    at = sentence or word
    if at is None:
        return [], runs
    i, place = at
    cut = runs[i]
    return [*runs[:i], replace(cut, text=cut.text[:place])], [replace(cut, text=cut.text[place + 1 :]), *runs[i + 1 :]]
