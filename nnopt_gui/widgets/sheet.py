"""The one style sheet of the application, filled in with a theme's colours (called by `theme.apply`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from string import Template

from PySide6.QtCore import QTemporaryDir

from nnopt_gui.widgets import icons
from nnopt_gui.widgets.theme import Theme

_SHEET = Template("""
* { outline: none; }
QMainWindow, QDialog { background: $window; }
QMainWindow::separator { background: $window; width: 8px; height: 8px; }
QMainWindow::separator:hover { background: $border; }
QToolTip { background: $card; color: $text; border: 1px solid $border; padding: 5px 7px; }
QToolBar { background: $card; border: none; border-bottom: 1px solid $border; spacing: 4px; padding: 0 12px; }
QToolBar::separator { background: $border; width: 1px; margin: 14px 10px; }
QStatusBar { background: $card; color: $text2; border-top: 1px solid $border; }
QStatusBar::item { border: none; }

QMenuBar { background: $card; color: $text; }
QMenuBar::item { padding: 5px 9px; border-radius: 5px; background: transparent; }
QMenuBar::item:selected { background: $accent_soft; }
QMenu { background: $card; color: $text; border: 1px solid $border; padding: 5px; }
QMenu::item { padding: 6px 28px 6px 12px; border-radius: 5px; background: transparent; }
QMenu::item:selected { background: $accent_soft; color: $text; }
QMenu::item:disabled { color: $text3; }
QMenu::item:checked { font-weight: 600; }
QMenu::icon { padding-left: 8px; }
QMenu::indicator { width: 16px; height: 16px; left: 6px; }
QMenu::indicator:checked { image: url($check_plain); }
QMenu::separator { height: 1px; background: $border; margin: 5px 8px; }

QPushButton { background: $card; color: $text; border: 1px solid $border; border-radius: 6px; padding: 0 12px;
    min-height: 30px; font-weight: 500; }
QPushButton:hover { background: $sunken; border-color: $text3; }
QPushButton:pressed { background: $accent_soft; }
QPushButton:focus { border-color: $accent; }
QPushButton:disabled { color: $disabled; background: $card; border-color: $grid; }
QPushButton:default, QPushButton[primary="true"] { background: $accent; color: $on_accent; border-color: $accent; }
QPushButton:default:hover, QPushButton[primary="true"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton:default:disabled, QPushButton[primary="true"]:disabled { background: $grid; color: $text3;
    border-color: $grid; }
QPushButton::menu-indicator { image: url($chevron); width: 14px; right: 8px; subcontrol-position: right center; }

QToolButton { background: transparent; color: $text; border: 1px solid transparent; border-radius: 6px; padding: 3px; }
QToolButton:hover { background: $sunken; border-color: $border; }
QToolButton:pressed, QToolButton:checked { background: $accent_soft; border-color: $accent_soft; }
QToolButton:focus { border-color: $accent; }
QToolButton::menu-indicator { image: none; }

QLineEdit, QAbstractSpinBox, QComboBox { background: $sunken; color: $text; border: 1px solid $border;
    border-radius: 6px; padding: 0 9px; min-height: 26px; selection-background-color: $accent;
    selection-color: $on_accent; }
QLineEdit:hover, QAbstractSpinBox:hover, QComboBox:hover { border-color: $hover; }
QLineEdit:focus, QAbstractSpinBox:focus, QComboBox:focus, QComboBox:on { border-color: $accent; background: $card; }
QLineEdit[bad="true"], QLineEdit[bad="true"]:focus { border-color: $bad; background: $card; }
QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled { color: $disabled; background: $card;
    border-color: $grid; }
QComboBox { combobox-popup: 0; }
QComboBox::drop-down { border: none; width: 26px; }
QComboBox::down-arrow { image: url($chevron); width: 14px; height: 14px; }
QComboBox QAbstractItemView { background: $card; color: $text; border: 1px solid $border; padding: 4px; outline: none;
    selection-background-color: $accent_soft; selection-color: $text; }
QComboBox QAbstractItemView::item { min-height: 26px; padding: 0 8px; border-radius: 5px; }
QComboBox QAbstractItemView::item:hover, QComboBox QAbstractItemView::item:selected { background: $accent_soft;
    color: $text; }
QComboBox QAbstractItemView::item:disabled, QComboBox QAbstractItemView::item:disabled:hover { color: $disabled;
    background: transparent; }
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { width: 0; border: none; }

QCheckBox, QRadioButton { color: $text; spacing: 10px; min-height: 22px; background: transparent; }
QCheckBox:disabled, QRadioButton:disabled { color: $disabled; }
QCheckBox::indicator { width: 14px; height: 14px; border: 1px solid $text3; border-radius: 4px; background: $card; }
QCheckBox::indicator:hover { border-color: $accent; }
QCheckBox:focus { color: $accent; }
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url($check); }
QCheckBox::indicator:disabled { border-color: $border; }
QCheckBox::indicator:checked:disabled { background: $text3; border-color: $text3; }

QSlider { min-height: 18px; background: transparent; }
QSlider::groove:horizontal { height: 4px; background: $track; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::sub-page:horizontal:disabled { background: $text3; }
QSlider::handle:horizontal { width: 12px; height: 12px; margin: -6px 0; border: 2px solid $accent; border-radius: 8px;
    background: $card; }
QSlider::handle:horizontal:hover { background: $accent_soft; }
QSlider::handle:horizontal:focus { background: $accent; }
QSlider::handle:horizontal:disabled { border-color: $text3; }

QScrollArea, QScrollArea > QWidget > QWidget { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 2px; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 2px; }
QScrollBar::handle { background: $track; border-radius: 3px; min-height: 28px; min-width: 28px; }
QScrollBar::handle:hover { background: $text3; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; border: none; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QTabBar { background: transparent; }
QTabBar::tab { background: transparent; color: $text2; padding: 6px 12px; border: none;
    border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QTabBar::tab:hover { color: $text; }
QProgressBar { background: $track; border: none; border-radius: 3px; max-height: 6px; text-align: center; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }
QTextEdit, QPlainTextEdit, QTextBrowser, QListView, QTreeView, QTableView { background: $card; color: $text;
    border: 1px solid $border; border-radius: 6px; selection-background-color: $accent_soft; selection-color: $text; }
QHeaderView::section { background: $sunken; color: $text2; border: none; border-bottom: 1px solid $border;
    padding: 5px 8px; }
""")


@cache
def _folder() -> QTemporaryDir:
    # a style sheet takes pictures from files only; the folder goes when the process ends
    folder = QTemporaryDir()
    folder.setAutoRemove(True)
    return folder


@cache
def _tinted_file(name: str, colour: str) -> str:
    path = Path(_folder().path()) / f"{name}-{colour.lstrip('#')}.svg"
    path.write_bytes(icons.tinted(name, colour))
    return path.as_posix()


def style_sheet(theme: Theme) -> str:
    """The style sheet of the whole application in a theme's colours."""
    from nnopt_gui.widgets.theme import mix

    colours = {name: getattr(theme, name) for name in dir(theme) if isinstance(getattr(theme, name), str)}
    return _SHEET.substitute(
        colours,
        disabled=mix(theme.text3, theme.card, 0.4).name(),
        accent_hover=mix(theme.accent, theme.text, 0.18).name(),
        hover=mix(theme.border, theme.text3, 0.5).name(),
        track=mix(theme.border, theme.text3, 0.18).name(),
        chevron=_tinted_file("chevron", theme.text2),
        check=_tinted_file("check", theme.on_accent),
        check_plain=_tinted_file("check", theme.accent),
    )
