"""The visual language: roles, contrast, strokes, icons."""

import re
from dataclasses import fields
from typing import Any

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPalette
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox

from nnopt.errors import UnknownNameError
from nnopt_gui.widgets import icons, sheet, theme

ROLES = tuple(
    """
    window card sunken border grid text text2 text3 accent accent_soft on_accent training validation gradient newton
    model tangent trail point this_step plateau flat not_convex boundary boundary_soft class0 class1 class2
    class0_region class1_region good bad map_gradient map_newton map_model map_trail map_contour histogram axis
    """.split()  # noqa: SIM905
)


def luminance(colour: str) -> float:
    parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in QColor(colour).getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(first: str, second: str) -> float:
    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=lambda t: t.name)
def test_every_role_is_a_colour(colours: theme.Theme) -> None:
    for role in ROLES:
        assert re.fullmatch(r"#[0-9A-F]{6}", getattr(colours, role)), role
    assert {f.name for f in fields(colours)} >= {"window", "gradient", "newton"}


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=lambda t: t.name)
def test_text_can_be_read_and_marks_can_be_seen(colours: theme.Theme) -> None:
    for text in ("text", "text2", "text3", "bad", "good", "accent"):
        assert contrast(getattr(colours, text), colours.card) >= 4.5, text
    assert contrast(colours.on_accent, colours.accent) >= 4.5
    for mark in ("training", "validation", "gradient", "newton", "model", *[f"class{i}" for i in range(3)]):
        assert contrast(getattr(colours, mark), colours.card) >= 3, mark


def test_no_data_series_has_the_accent() -> None:
    for colours in (theme.LIGHT, theme.DARK):
        series = {getattr(colours, role) for role in ("training", "validation", "gradient", "newton", "model")}
        assert colours.accent not in series | set(colours.class_points)


def test_every_role_differs_by_its_stroke_too() -> None:
    strokes = {
        role: (theme.pen(role).widthF(), tuple(theme.pen(role).dashPattern()))
        for role in ("training", "validation", "model", "tangent", "gradient", "boundary_soft")
    }
    assert len(set(strokes.values())) == len(strokes)


def test_pens_are_one_pixel_wide_while_a_run_plays_and_keep_their_dashes() -> None:
    full, fast = theme.pen("validation"), theme.pen("validation", running=True)
    assert full.widthF() == pytest.approx(1.8)
    assert fast.widthF() == 1
    assert [d * fast.widthF() for d in fast.dashPattern()] == pytest.approx([d * 1.8 for d in full.dashPattern()])
    assert full.isCosmetic()


def test_a_tint_has_the_opacity_of_its_role(styled: QApplication) -> None:
    assert theme.color("plateau").alphaF() == pytest.approx(0.27, abs=0.01)
    assert theme.color("flat").alphaF() == pytest.approx(0.09, abs=0.01)
    assert theme.color("plateau", 1.0).alphaF() == 1
    theme.set_mode("dark")
    assert theme.color("plateau").alphaF() == pytest.approx(0.18, abs=0.01)


def test_an_unknown_role_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="gradient"):
        theme.color("gradiant")


def test_applying_a_theme_changes_palette_style_and_tells_everyone(qtbot: Any, styled: QApplication) -> None:
    with qtbot.waitSignal(theme.changed):
        theme.set_mode("dark")
    assert theme.current() is theme.DARK
    assert styled.palette().color(QPalette.ColorRole.Window) == QColor(theme.DARK.window)
    assert theme.DARK.accent in styled.styleSheet()
    with pytest.raises(UnknownNameError):
        theme.apply(styled, "blue")  # type: ignore[arg-type]


def test_system_mode_follows_the_desktop(styled: QApplication) -> None:
    theme.set_mode("system")
    dark = styled.styleHints().colorScheme() == Qt.ColorScheme.Dark
    assert theme.mode() == "system"
    assert theme.current().dark == dark


def test_inter_is_used_with_figures_of_one_width(qapp: QApplication) -> None:
    assert theme.font().family() == "Inter"
    assert theme.font(14, theme.BOLD).weight() == QFont.Weight.DemiBold
    metrics = QFontMetricsF(theme.font(13))
    assert metrics.horizontalAdvance("1111") == pytest.approx(metrics.horizontalAdvance("8888"))
    assert metrics.horizontalAdvance("1.1") == pytest.approx(metrics.horizontalAdvance("0.7"))


def test_all_icons_can_be_drawn_in_the_theme_s_colour(styled: QApplication) -> None:
    needed = """menu reset rewind step-back play pause step-forward fast-forward dice maximize restore more compare
        present export undo redo open save check cross chevron""".split()  # noqa: SIM905
    assert set(needed) <= set(icons.names())
    for name in icons.names():
        image = icons.icon(name, "accent").pixmap(QSize(20, 20)).toImage()
        inks = [image.pixelColor(x, y) for x in range(20) for y in range(20)]
        wanted = QColor(theme.LIGHT.accent)
        for ink in (ink for ink in inks if ink.alpha() > 250):
            # premultiplied pixels are rounded
            near = [abs(a - b) <= 3 for a, b in zip(ink.getRgb()[:3], wanted.getRgb()[:3], strict=True)]
            assert all(near), (name, ink.name())
        assert any(ink.alpha() > 100 for ink in inks), name
    with pytest.raises(UnknownNameError, match="play"):
        icons.icon("plays")


def test_icons_follow_the_theme(styled: QApplication) -> None:
    icon = icons.icon("pause")
    light = icon.pixmap(20, 20).toImage()
    theme.set_mode("dark")
    assert icon.pixmap(20, 20).toImage() != light


def test_the_style_sheet_is_complete_and_qt_can_read_it(qtbot: Any, styled: QApplication) -> None:
    for colours in (theme.LIGHT, theme.DARK):
        text = sheet.style_sheet(colours)
        assert "$" not in text
        assert text.count("{") == text.count("}")
    box, combo = QCheckBox("x"), QComboBox()
    for widget in (box, combo):
        qtbot.addWidget(widget)
        widget.show()
    box.setChecked(True)
    image = box.grab().toImage()
    inside = {image.pixelColor(x, y).name() for x in range(18) for y in range(image.height())}
    assert theme.LIGHT.accent.lower() in inside
