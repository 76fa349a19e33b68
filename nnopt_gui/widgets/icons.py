"""Our own line icons (resources/icons/*.svg, 20 px grid), tinted with a role of the theme when they are drawn."""

from __future__ import annotations

from functools import cache, lru_cache

from PySide6.QtCore import QByteArray, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from nnopt.assets import asset
from nnopt.errors import unknown_name
from nnopt_gui.widgets import theme


def names() -> list[str]:
    """All icons there are."""
    return sorted(file.name.removesuffix(".svg") for file in asset("icons").iterdir() if file.name.endswith(".svg"))


@cache
def _source(name: str) -> str:
    file = asset("icons").joinpath(f"{name}.svg")
    if not file.is_file():
        raise unknown_name("icon", name, names())
    return file.read_text(encoding="utf-8")


def tinted(name: str, colour: str) -> bytes:
    """The SVG of an icon in one colour ("#RRGGBB")."""
    return _source(name).replace("currentColor", colour).encode()


@lru_cache(maxsize=512)
def _renderer(name: str, colour: str) -> QSvgRenderer:
    return QSvgRenderer(QByteArray(tinted(name, colour)))


def draw(painter: QPainter, name: str, rect: QRectF, colour: str) -> None:
    """Paint an icon into a rectangle."""
    _renderer(name, colour).render(painter, rect)


class _Engine(QIconEngine):
    """Draws from the SVG at any size, in the colours of the theme in force at that moment."""

    def __init__(self, name: str, role: str) -> None:
        super().__init__()
        self._name = name
        self._role = role

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        colours = theme.current()
        colour = getattr(colours, self._role)
        if mode == QIcon.Mode.Disabled:
            colour = theme.mix(colours.text3, colours.card, 0.5).name()
        side = min(rect.width(), rect.height())
        place = QRectF(rect.x() + (rect.width() - side) / 2, rect.y() + (rect.height() - side) / 2, side, side)
        draw(painter, self._name, place, colour)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        result = QPixmap(size)
        if result.isNull():
            return result  # of a button that has no size yet
        result.fill(Qt.GlobalColor.transparent)
        painter = QPainter(result)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return result

    def clone(self) -> QIconEngine:
        return _Engine(self._name, self._role)


def icon(name: str, role: str = "text2") -> QIcon:
    """An icon in the colour of a role; it follows the theme.

    Raises: UnknownNameError if there is no such icon.
    """
    _source(name)
    return QIcon(_Engine(name, role))
