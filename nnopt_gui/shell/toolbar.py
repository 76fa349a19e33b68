"""The toolbar: menu, experiment, transport, speed, seed, undo, export. Its buttons are the actions of the table."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAction, QIntValidator, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from nnopt_gui.shell.speed import SpeedSlider
from nnopt_gui.widgets import icons, theme
from nnopt_gui.widgets.fields import ListBox

HEIGHT = 56
#: width from which there is room for words beside the controls
ROOMY = 1120


class PlayButton(QAbstractButton):
    """The round one: 40 px, in the accent."""

    def __init__(self, action: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._action = action
        self.setFixedSize(40, 40)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.clicked.connect(action.trigger)
        action.changed.connect(self._follow)
        theme.changed.connect(self.update)
        self.playing = False
        self._follow()

    def set_playing(self, playing: bool) -> None:
        """Show the pause or the play sign."""
        self.playing = playing
        self._follow()

    def _follow(self) -> None:
        self.setToolTip(self._action.toolTip())
        self.setAccessibleName("Pause" if self.playing else "Play")
        self.update()

    def sizeHint(self) -> QSize:
        """40 x 40."""
        return QSize(40, 40)

    def paintEvent(self, event: QPaintEvent) -> None:
        """A disc and its sign; a ring when it has the focus."""
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        lit = theme.mix(colours.accent, colours.text, 0.18 if self.underMouse() or self.isDown() else 0.0)
        painter.setBrush(lit)
        painter.drawEllipse(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        if self.hasFocus():
            painter.setPen(theme.pen("on_accent", width=2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QRectF(self.rect()).adjusted(3, 3, -3, -3))
        icons.draw(painter, "pause" if self.playing else "play", QRectF(9, 9, 22, 22), colours.on_accent)
        painter.end()

    def enterEvent(self, event: object) -> None:
        """Lighter under the mouse."""
        self.update()

    def leaveEvent(self, event: object) -> None:
        """And back."""
        self.update()


class Toolbar(QFrame):
    """Signals: example_chosen(index) of the list of experiments, seed_typed(seed), speed_changed(speed)."""

    example_chosen = Signal(int)
    seed_typed = Signal(int)

    def __init__(self, actions: dict[str, QAction], menu: QMenu, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("toolbar")
        self.setFixedHeight(HEIGHT)
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(12, 0, 12, 0)
        self._layout.setSpacing(2)
        self.menu_button = QToolButton(self)
        self.menu_button.setIcon(icons.icon("menu"))
        self.menu_button.setIconSize(QSize(20, 20))
        self.menu_button.setFixedSize(36, 36)
        self.menu_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.menu_button.setToolTip("Menu")
        self.menu_button.setAccessibleName("Menu")
        self.menu_button.setMenu(menu)
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._layout.addWidget(self.menu_button)
        self._layout.addSpacing(8)

        self.examples = ListBox(self)
        self.examples.setMinimumWidth(130)
        self.examples.setMaximumWidth(250)
        self.examples.setMinimumContentsLength(12)
        self.examples.setMaxVisibleItems(30)
        self.examples.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.examples.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.examples.setToolTip("Experiment")
        self.examples.setAccessibleName("Experiment")
        self.examples.activated.connect(self.example_chosen)
        self._layout.addWidget(self.examples, 8)
        self._separate()

        for name in ("reset", "back10", "back"):
            self._button(actions[name])
        self._layout.addSpacing(6)
        self.play = PlayButton(actions["play"], self)
        self._layout.addWidget(self.play)
        self._layout.addSpacing(6)
        for name in ("forward", "forward10"):
            self._button(actions[name])
        self._separate()

        self.speed = SpeedSlider(self)
        self._layout.addWidget(self.speed, 1)
        self._separate()

        label = QLabel("Seed", self)
        self.seed = QLineEdit(self)
        self.seed.setValidator(QIntValidator(0, 2_147_483_647, self))
        self.seed.setFixedWidth(64)
        self.seed.setToolTip("Seed of the initial weights; Enter starts again with it, on the same data")
        self.seed.setAccessibleName("Seed of the initial weights")
        self.seed.editingFinished.connect(self._seed_entered)
        self.seed.returnPressed.connect(self.seed.clearFocus)  # the keys of the window work again
        label.setBuddy(self.seed)
        self._seed = 0
        self._layout.addWidget(label)
        self._layout.addSpacing(8)
        self._layout.addWidget(self.seed)
        self._button(actions["reseed"])
        self._layout.addStretch(3)
        for name in ("undo", "redo"):
            self._button(actions[name])
        self._layout.addSpacing(6)
        self._export = self._worded_button(actions["export_picture"], "Export")
        self._seed_label = label

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow window the words beside the controls go."""
        super().resizeEvent(event)
        roomy = self.width() >= ROOMY
        self.speed.title.setVisible(roomy)
        self._seed_label.setVisible(roomy)
        self._export.setText("Export" if roomy else "")

    # ------------------------------------------------------------------------------------------------------- contents

    def set_examples(self, examples: Sequence[tuple[str, str]]) -> None:
        """The experiments that can be chosen: (title, hint)."""
        for index, (title, hint) in enumerate(examples):
            self.examples.addItem(title)
            self.examples.setItemData(index, f"{title}: {hint}", Qt.ItemDataRole.ToolTipRole)

    def show_title(self, title: str) -> None:
        """The name of what is shown: one of the examples, or a file's (put in front of them)."""
        index = self.examples.findText(title)
        if index < 0:
            self.examples.setPlaceholderText(title)
        self.examples.setCurrentIndex(index)
        self.examples.setToolTip(f"Experiment: {title}")

    def show_seed(self, seed: int) -> None:
        """The seed of the run; not while another one is being typed."""
        self._seed = seed
        if not self.seed.isModified() or not self.seed.hasFocus():
            self.seed.setText(str(seed))
            self.seed.setModified(False)

    def _seed_entered(self) -> None:
        self.seed.setModified(False)
        text = self.seed.text()
        if text and int(text) != self._seed:
            self._seed = int(text)
            self.seed_typed.emit(self._seed)

    # ------------------------------------------------------------------------------------------------------- building

    def _button(self, action: QAction) -> None:
        button = QToolButton(self)
        button.setDefaultAction(action)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setIconSize(QSize(20, 20))
        button.setFixedSize(36, 36)
        button.setObjectName(f"button_{action.objectName()}")
        button.setAccessibleName(action.text())
        self._layout.addWidget(button)

    def _worded_button(self, action: QAction, words: str) -> QPushButton:
        button = QPushButton(action.icon(), words, self)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(action.toolTip())
        button.setObjectName(f"button_{action.objectName()}")
        button.clicked.connect(action.trigger)
        button.setAccessibleName(words)
        self._layout.addWidget(button)
        return button

    def _separate(self) -> None:
        line = QFrame(self)
        line.setFixedSize(1, 26)
        line.setProperty("role", "separator")
        self._layout.addSpacing(10)
        self._layout.addWidget(line)
        self._layout.addSpacing(10)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Card colour, a line below, and the separators."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.brush("card"))
        painter.fillRect(0, self.height() - 1, self.width(), 1, theme.brush("border"))
        for line in self.findChildren(QFrame):
            if line.property("role") == "separator":
                painter.fillRect(line.geometry(), theme.brush("border"))
        painter.end()
