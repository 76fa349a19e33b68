"""The visual language as one table: colours, strokes, type and style sheet, in light and dark.

The lowest room of the widgets' floor: everything that is drawn takes its colours, pens and fonts from here, and redraws
when `changed` is emitted. Roles are named after what they mean ("gradient", "newton", "plateau"), never after a colour.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import Final, Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFont, QFontDatabase, QFontMetricsF, QGuiApplication, QPalette, QPen
from PySide6.QtWidgets import QApplication

from nnopt.assets import asset
from nnopt.errors import NnoptError, unknown_name

Mode = Literal["light", "dark", "system"]

REGULAR, MEDIUM, BOLD = 400, 500, 600
_FACES = ("Inter-Regular.otf", "Inter-Medium.otf", "Inter-SemiBold.otf")


# compared by identity: pens and colours are looked up by theme
@dataclass(frozen=True, eq=False)
class Theme:
    """Colours by role, as "#RRGGBB"; `<role>_alpha` is the opacity of a tint. `map_*`: drawn over viridis or cividis.

    `class_points` and `class_regions`: one colour per class, for its examples and for where it is predicted.
    """

    name: Literal["light", "dark"]
    window: str
    card: str
    sunken: str
    border: str
    grid: str
    text: str
    text2: str
    text3: str
    accent: str
    accent_soft: str
    on_accent: str
    training: str
    validation: str
    gradient: str
    newton: str
    own: str
    model: str
    not_convex: str
    plateau_alpha: float
    region_middle: str
    good: str
    bad: str
    class_points: tuple[str, ...]
    class_regions: tuple[str, ...]
    plateau: str = "#F0E442"
    not_convex_alpha: float = 0.10
    histogram: str = "#93A1B1"
    undefined: str = "#8A8F96"
    plate: str = "#10151B"
    plate_alpha: float = 0.75
    plate_text: str = "#FFFFFF"
    map_gradient: str = "#FF7A1A"
    map_newton: str = "#2BE0A6"
    map_own: str = "#D9C7FF"
    map_model: str = "#FFC2EA"
    map_trail: str = "#FFFFFF"
    map_trail_edge: str = "#141819"
    map_contour: str = "#FFFFFF"
    map_contour_alpha: float = 0.40
    boundary_soft_alpha: float = 0.55

    @property
    def dark(self) -> bool:
        return self.name == "dark"

    # roles that share the colour of another one
    @property
    def tangent(self) -> str:
        return self.accent

    @property
    def trust(self) -> str:
        """The edge of where the quadratic model holds."""
        return self.model

    @property
    def map_trust(self) -> str:
        return self.map_model

    @property
    def point(self) -> str:
        return self.accent

    @property
    def this_step(self) -> str:
        return self.accent

    @property
    def trail(self) -> str:
        return self.text

    @property
    def boundary(self) -> str:
        return self.text

    @property
    def boundary_soft(self) -> str:
        return self.text

    @property
    def axis(self) -> str:
        return self.text3

    @property
    def intervention(self) -> str:
        return self.text2

    @property
    def plateau_edge(self) -> str:
        return "#8F8A3C" if self.dark else "#CFC53A"

    @property
    def timeline_plateau(self) -> str:
        return "#C9B23A" if self.dark else "#E9DB45"

    @property
    def flat(self) -> str:
        """Flat to the end: a plateau, or converged."""
        return self.plateau

    @property
    def flat_alpha(self) -> float:
        return self.plateau_alpha / 3

    @property
    def flat_edge(self) -> str:
        return self.plateau_edge

    @property
    def class0(self) -> str:
        return self.class_points[0]

    @property
    def class1(self) -> str:
        return self.class_points[1]

    @property
    def class2(self) -> str:
        return self.class_points[2]

    @property
    def class0_region(self) -> str:
        return self.class_regions[0]

    @property
    def class1_region(self) -> str:
        return self.class_regions[1]

    @property
    def class2_region(self) -> str:
        return self.class_regions[2]

    def class_point(self, index: int) -> str:
        """The colour of the examples of class `index`; they repeat after the eighth."""
        return self.class_points[index % len(self.class_points)]

    def class_region(self, index: int) -> str:
        """The colour of the region where class `index` is predicted."""
        return self.class_regions[index % len(self.class_regions)]


LIGHT: Final = Theme(
    name="light",
    window="#EEF1F4",
    card="#FFFFFF",
    sunken="#F5F7F9",
    border="#DCE2E8",
    grid="#E6EAEE",
    text="#18212C",
    text2="#4B5766",
    text3="#667282",
    accent="#0B63C4",
    accent_soft="#E4EFFB",
    on_accent="#FFFFFF",
    training="#18212C",
    validation="#A8741A",
    gradient="#D55E00",
    newton="#00805D",
    own="#6B3FC9",
    model="#B0478F",
    not_convex="#B0478F",
    plateau_alpha=0.27,
    region_middle="#FBFBF9",
    good="#00805D",
    bad="#B3261E",
    class_points=("#2B6CB0", "#C27A00", "#7A3FA8", "#00798C", "#A8324E", "#56701A", "#6B4A36", "#3A3F8F"),
    class_regions=("#B9D5EC", "#F5DAA0", "#DCC8EE", "#B4DEE4", "#F0C3CD", "#D5E0B4", "#DECFC5", "#C9CBEA"),
)

DARK: Final = Theme(
    name="dark",
    window="#0F1318",
    card="#181E25",
    sunken="#212933",
    border="#2B3541",
    grid="#27303A",
    text="#EAEFF4",
    text2="#B4BFCA",
    text3="#8F9BA8",
    accent="#6DB3FF",
    accent_soft="#1B3552",
    on_accent="#0B1520",
    training="#EAEFF4",
    validation="#E3B65B",
    gradient="#FF8B3D",
    newton="#35D0A0",
    own="#B79CFF",
    model="#EE9BD0",
    not_convex="#EE9BD0",
    plateau_alpha=0.18,
    region_middle="#252B32",
    good="#35D0A0",
    bad="#FF8A80",
    class_points=("#7DBBF5", "#F2B544", "#C9A2F2", "#5CC8D7", "#F08FA4", "#B5CC72", "#CFAE98", "#A3A8F0"),
    class_regions=("#1F4468", "#6B5120", "#48326A", "#1A4B54", "#5E2B38", "#414E1E", "#4D3A2E", "#30346A"),
)

# role: (width in px, dash in units of that width); a role without an entry is solid, 1 px
_STROKES: Final[dict[str, tuple[float, tuple[float, ...]]]] = {
    "validation": (1.8, (6, 2, 1.5, 2)),
    **dict.fromkeys(("gradient", "own"), (3.0, ())),
    "newton": (2.4, ()),
    "model": (2.0, (5, 3)),
    "trust": (1.8, (1, 2)),
    "tangent": (1.5, ()),
    "trail": (1.2, ()),
    **dict.fromkeys(("training", "boundary"), (2.2, ())),
    "this_step": (2.0, ()),
    "boundary_soft": (1.0, (4, 4)),
    "intervention": (1.0, (2, 3)),
    "flat_edge": (1.0, (4, 3)),
}
#: the marker of class i: disc, triangle, square, diamond, ...
CLASS_SYMBOLS: Final = ("o", "t1", "s", "d", "t", "p", "h", "star")


class _Signals(QObject):
    changed = Signal()
    scheme = Signal(object)


class _Current:
    theme: Theme = LIGHT
    mode: Mode = "light"
    following: bool = False


_signals = _Signals()
#: emitted after the colours changed; `theme.changed.connect(self.restyle)`
changed = _signals.changed


def current() -> Theme:
    """The theme in force."""
    return _Current.theme


def mode() -> Mode:
    """What was asked for: "light", "dark" or "system"."""
    return _Current.mode


def apply(app: QApplication, wanted: Mode = "system") -> None:
    """Give the application our style, fonts, palette and style sheet. "system" follows the desktop, also later on."""
    from nnopt_gui.widgets import sheet

    if wanted not in ("light", "dark", "system"):
        raise unknown_name("theme", wanted, ("light", "dark", "system"))
    hints = app.styleHints()
    _Current.mode = wanted
    scheme = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark, "system": Qt.ColorScheme.Unknown}[wanted]
    hints.setColorScheme(scheme)
    if not _Current.following:
        hints.colorSchemeChanged.connect(_follow)
        _Current.following = True
    _Current.theme = _wanted_theme(app)
    if app.style().objectName().lower() != "fusion" and not app.styleSheet():
        app.setStyle("Fusion")
    app.setFont(font(13))
    app.setPalette(_palette(_Current.theme))
    app.setStyleSheet(sheet.style_sheet(_Current.theme))
    changed.emit()


def set_mode(wanted: Mode) -> None:
    """Change the theme of the running application."""
    app = QApplication.instance()
    if isinstance(app, QApplication):
        apply(app, wanted)


def _wanted_theme(app: QApplication) -> Theme:
    if _Current.mode == "system":
        return DARK if app.styleHints().colorScheme() == Qt.ColorScheme.Dark else LIGHT
    return DARK if _Current.mode == "dark" else LIGHT


def _follow(_scheme: Qt.ColorScheme) -> None:
    app = QApplication.instance()
    if _Current.mode == "system" and isinstance(app, QApplication) and _wanted_theme(app) is not _Current.theme:
        apply(app, "system")


def color(role: str, alpha: float | None = None) -> QColor:
    """The colour of a role, with the opacity that belongs to it (or `alpha`, 0 to 1)."""
    return QColor(_color(_Current.theme, role, alpha))


def pen(role: str, running: bool = False, width: float | None = None, alpha: float | None = None) -> QPen:
    """The stroke of a role: its width and dash. While a run plays (`running`) lines are 1 px wide: fast."""
    return QPen(_pen(_Current.theme, role, running, width, alpha))


def brush(role: str, alpha: float | None = None) -> QBrush:
    """A solid fill in the colour of a role."""
    return QBrush(_color(_Current.theme, role, alpha))


# made once and copied: a frame asks for hundreds of them
@lru_cache(maxsize=1024)
def _color(theme: Theme, role: str, alpha: float | None) -> QColor:
    value = getattr(theme, role, None)
    if not isinstance(value, str) or not value.startswith("#"):
        if role.startswith("class") and role[5:].isdigit():
            value = theme.class_point(int(role[5:]))
        else:
            raise unknown_name("colour role", role, (f.name for f in fields(theme)))
    result = QColor(value)
    result.setAlphaF(alpha if alpha is not None else getattr(theme, f"{role}_alpha", 1.0))
    return result


@lru_cache(maxsize=1024)
def _pen(theme: Theme, role: str, running: bool, width: float | None, alpha: float | None) -> QPen:
    full, dash = _STROKES.get(role.removeprefix("map_"), (1.0, ()))
    full = full if width is None else width
    drawn = 1.0 if running else full
    result = QPen(_color(theme, role, alpha), drawn)
    result.setCosmetic(True)
    if dash:
        result.setDashPattern([part * full / drawn for part in dash])
        result.setCapStyle(Qt.PenCapStyle.FlatCap)
    elif not running:
        result.setCapStyle(Qt.PenCapStyle.RoundCap)
        result.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return result


def font(px: int = 13, weight: int = REGULAR) -> QFont:
    """The interface's face at a size in pixels (12 and up; 11 only for the panel number), with tabular figures."""
    return QFont(_font(_family(), px, weight))


def metrics(px: int = 13, weight: int = REGULAR) -> QFontMetricsF:
    """The measures of `font(px, weight)`."""
    return _metrics(_family(), px, weight)


@cache
def _font(family: str, px: int, weight: int) -> QFont:
    result = QFont(family)
    result.setPixelSize(px)
    result.setWeight(QFont.Weight(weight))
    result.setFeature(QFont.Tag("tnum"), 1)
    result.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return result


@cache
def _metrics(family: str, px: int, weight: int) -> QFontMetricsF:
    return QFontMetricsF(_font(family, px, weight))


def mix(first: str, second: str, share: float) -> QColor:
    """The colour between two: `share` of the second."""
    a, b = QColor(first), QColor(second)
    return QColor.fromRgbF(*(x + (y - x) * share for x, y in zip(a.getRgbF()[:3], b.getRgbF()[:3], strict=True)))  # type: ignore[arg-type]


@cache
def _loaded_family() -> str:
    """Inter, from the shipped files; the system's sans if they cannot be used."""
    try:
        folder = asset("fonts")
        ids = [QFontDatabase.addApplicationFontFromData(folder.joinpath(face).read_bytes()) for face in _FACES]
    except (NnoptError, OSError):
        ids = []
    families = [family for i in ids if i >= 0 for family in QFontDatabase.applicationFontFamilies(i)]
    return "Inter" if "Inter" in families else QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family()


def _family() -> str:
    # without an application there is no font database yet
    return _loaded_family() if QGuiApplication.instance() is not None else "Inter"


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for which, value in (
        (role.Window, theme.window),
        (role.WindowText, theme.text),
        (role.Base, theme.sunken),
        (role.AlternateBase, theme.card),
        (role.Text, theme.text),
        (role.PlaceholderText, theme.text3),
        (role.Button, theme.card),
        (role.ButtonText, theme.text),
        (role.BrightText, theme.bad),
        (role.ToolTipBase, theme.card),
        (role.ToolTipText, theme.text),
        (role.Highlight, theme.accent),
        (role.HighlightedText, theme.on_accent),
        (role.Link, theme.accent),
        (role.LinkVisited, theme.accent),
        (role.Accent, theme.accent),
        (role.Mid, theme.border),
        (role.Midlight, theme.grid),
        (role.Light, theme.card),
        (role.Dark, theme.text3),
        (role.Shadow, "#000000"),
    ):
        palette.setColor(which, QColor(value))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, mix(theme.text3, theme.card, 0.4))
    return palette
