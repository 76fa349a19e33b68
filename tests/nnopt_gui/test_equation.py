"""Equations are set once, tinted for the theme, and really painted."""

import threading
from typing import Any

import pytest
from PySide6.QtGui import QColor, QImage

from nnopt_gui.widgets import equation, theme
from nnopt_gui.widgets.equation import Equation, typeset


def _colours(image: QImage) -> set[str]:
    return {QColor(image.pixel(x, y)).name().upper() for x in range(image.width()) for y in range(image.height())}


def _shown(qtbot: Any, latex: str, px: float = 40.0) -> Equation:
    widget = Equation(latex, px)
    qtbot.addWidget(widget)
    widget.resize(widget.sizeHint())
    widget.show()
    return widget


def test_an_equation_is_set_once_however_often_it_is_asked_for() -> None:
    assert typeset(r"\theta_{1}=\theta_{0}-\alpha\nabla L") is typeset(r"\theta_{1}=\theta_{0}-\alpha\nabla L")


def test_the_svg_holds_paths_not_references_because_qt_drops_those() -> None:
    svg = typeset(r"\frac{1}{2}\alpha^2").svg
    assert "<path" in svg
    assert "<use" not in svg
    assert "<symbol" not in svg


def test_the_baseline_lies_inside_and_a_fraction_is_higher_than_a_letter() -> None:
    letter, fraction = typeset("a"), typeset(r"\frac{a}{b}")
    assert 0 < letter.baseline <= letter.height
    assert fraction.height > 1.5 * letter.height
    width, height = fraction.size(40.0)
    assert (width, height) == (pytest.approx(2 * fraction.width), pytest.approx(2 * fraction.height))


def test_roles_are_painted_in_the_colours_of_the_theme(qtbot: Any, styled: Any) -> None:
    widget = _shown(qtbot, r"\textcolor{gradient}{\blacksquare}\blacksquare")
    light = _colours(widget.grab().toImage())
    assert theme.LIGHT.gradient.upper() in light
    assert theme.LIGHT.text.upper() in light
    theme.apply(styled, "dark")
    dark = _colours(widget.grab().toImage())
    assert theme.DARK.gradient.upper() in dark
    assert theme.LIGHT.gradient.upper() not in dark


def test_a_colour_ends_with_its_group(qtbot: Any, styled: Any) -> None:
    widget = _shown(qtbot, r"\textcolor{newton}{a}")
    assert theme.LIGHT.text.upper() not in _colours(widget.grab().toImage())


def test_all_placeholders_are_replaced() -> None:
    svg = typeset("".join(rf"\textcolor{{{role}}}{{x}}" for role in equation.ROLES)).svg
    assert all(placeholder in svg for placeholder in equation._PLACEHOLDERS.values())
    assert len(set(equation._PLACEHOLDERS.values())) == len(equation.ROLES)


def test_a_wide_equation_is_drawn_smaller_where_there_is_no_room(qtbot: Any, styled: Any) -> None:
    widget = _shown(qtbot, r"\blacksquare\blacksquare\blacksquare\blacksquare\blacksquare\blacksquare")
    whole = widget.sizeHint()
    widget.resize(whole.width() // 2, whole.height())
    image = widget.grab().toImage()
    inked = [
        x for x in range(image.width()) if _colours(image.copy(x, 0, 1, image.height())) & {theme.LIGHT.text.upper()}
    ]
    assert max(inked) < image.width() - 1 or len(inked) < image.width()
    assert widget.minimumSizeHint().width() < whole.width()


def test_it_has_an_accessible_name(qtbot: Any, styled: Any) -> None:
    widget = _shown(qtbot, r"\alpha")
    assert widget.accessibleName() == r"\alpha"
    widget.set_latex(r"\beta", "beta")
    assert widget.accessibleName() == "beta"
    widget.set_latex("")
    assert widget.sizeHint().width() == 0


def test_two_threads_may_set_equations_at_once() -> None:
    found: list[float] = []

    def work(name: str) -> None:
        found.extend(typeset(rf"{name}_{{{index}}}").width for index in range(8))

    threads = [threading.Thread(target=work, args=(name,)) for name in "pq"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert min(found) > 0


def test_setting_needs_no_application() -> None:
    assert typeset(r"\lambda_{1}").svg.startswith("<svg")
