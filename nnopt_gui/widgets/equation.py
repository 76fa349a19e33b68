r"""Equations: LaTeX set by ziamath into SVG, tinted for the theme when painted, and a widget that shows one.

`typeset` is pure and Qt-free (it may run on the analyst's thread) and remembers what it has set. Colours are named by
role inside the LaTeX, `\textcolor{gradient}{\alpha\nabla L}`; the theme's value is put in at painting time, so that a
change of theme sets nothing anew. Write a unary minus after "=" as `{-}`.
"""

from __future__ import annotations

import re
import threading
import warnings
from functools import cache, lru_cache
from typing import Any

import msgspec
from PySide6.QtCore import QByteArray, QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QSizePolicy, QWidget

from nnopt_gui.widgets import theme

#: roles that an equation may name; each is set in a placeholder colour that no theme uses
ROLES = ("text", "text2", "text3", "accent", "gradient", "newton", "own", "model", "good", "bad")
_PLACEHOLDERS = {role: f"#0a0b{index:02x}" for index, role in enumerate(ROLES, start=1)}
_SIZE = 20.0
_lock = threading.Lock()


class Typeset(msgspec.Struct, frozen=True):
    """One set equation: SVG text with placeholder colours; width, height and the baseline's distance from the top, all
    in units of a font of 20 px."""

    svg: str
    width: float
    height: float
    baseline: float

    def size(self, px: float) -> tuple[float, float]:
        """(width, height) at a font size of `px`."""
        return self.width * px / _SIZE, self.height * px / _SIZE


@lru_cache(maxsize=512)
def typeset(latex: str) -> Typeset:
    r"""Sets LaTeX mathematics. `\textcolor{role}{...}` names a role of `ROLES`.

    Raises: what ziamath's parser raises for text that is no formula.
    """
    for role, colour in _PLACEHOLDERS.items():
        latex = latex.replace(rf"\textcolor{{{role}}}", rf"\textcolor{{{colour}}}")
    with _lock:  # its fonts keep caches that are not made for two threads
        svg = _ziamath().Latex(latex, size=_SIZE, color=_PLACEHOLDERS["text"]).svg()
    found = re.search(r'viewBox="([-\d.e]+) ([-\d.e]+) ([-\d.e]+) ([-\d.e]+)"', svg)
    if found is None:
        raise ValueError(f"no equation came out of {latex!r}")
    _, top, width, height = (float(number) for number in found.groups())
    return Typeset(svg, width, height, -top)


@cache
def _ziamath() -> Any:
    with warnings.catch_warnings():
        # its import uses a function of importlib.resources that Python 3.11 warns about
        warnings.simplefilter("ignore", DeprecationWarning)
        import ziamath
    ziamath.config.svg2 = False  # QtSvg drops most glyphs of SVG 2
    return ziamath


@lru_cache(maxsize=256)
def _renderer(svg: str, colours: tuple[str, ...]) -> QSvgRenderer:
    for placeholder, colour in zip(_PLACEHOLDERS.values(), colours, strict=True):
        svg = svg.replace(placeholder, colour)
    return QSvgRenderer(QByteArray(svg.encode()))


def paint(painter: QPainter, equation: Typeset, x: float, baseline: float, px: float) -> float:
    """Paints at the left edge x with its baseline there, in the current theme's colours; returns its width."""
    now = theme.current()
    scale = px / _SIZE
    target = QRectF(x, baseline - equation.baseline * scale, equation.width * scale, equation.height * scale)
    _renderer(equation.svg, tuple(getattr(now, role) for role in ROLES)).render(painter, target)
    return target.width()


class Equation(QWidget):
    """Shows one equation at a font size in px; it is drawn smaller where the place is too narrow for it."""

    def __init__(self, latex: str = "", px: float = 18.0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._px = px
        self._latex = ""
        self._typeset: Typeset | None = None
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)
        self.set_latex(latex)

    @property
    def latex(self) -> str:
        """What is shown."""
        return self._latex

    def set_latex(self, latex: str, spoken: str = "") -> None:
        """Shows another equation (or none for ""). spoken: its accessible name; the LaTeX itself if not given."""
        self.setAccessibleName(spoken or latex)
        if latex == self._latex:
            return
        self._latex = latex
        self._typeset = typeset(latex) if latex else None
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        if self._typeset is None:
            return QSize(0, round(self._px))
        width, height = self._typeset.size(self._px)
        return QSize(round(width) + 1, round(height) + 1)

    def minimumSizeHint(self) -> QSize:
        return QSize(min(80, self.sizeHint().width()), self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._typeset is None:
            return
        width, height = self._typeset.size(self._px)
        px = self._px * min(1.0, self.width() / width)
        top = (self.height() - height * px / self._px) / 2
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint(painter, self._typeset, 0.0, top + self._typeset.baseline * px / _SIZE, px)
        painter.end()


__all__ = ["ROLES", "Equation", "Typeset", "paint", "typeset"]
