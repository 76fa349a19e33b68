"""Forms generated from structs: what they show, what they accept, what they say."""

from typing import Annotated, Any, ClassVar, Literal

import pytest
from form_views import field, shown, type_into
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QCheckBox

from nnopt.errors import SettingsError
from nnopt.settings import Registry, Settings, above, at_least, between, described
from nnopt_gui.widgets import specs, theme
from nnopt_gui.widgets.fields import ChoiceField, SlimSlider
from nnopt_gui.widgets.forms import SettingsForm
from nnopt_gui.widgets.rows import LABEL, ElidedLabel


class Engine:
    """Interface of engines."""

    registry: ClassVar[Registry[Any]] = Registry("engine")


@Engine.registry.register
class Petrol(Settings, Engine, frozen=True, tag="petrol"):
    """Burns."""

    power: Annotated[float, above(0, label="power", unit="kW", log=True, slider=(1, 1000))] = 50.0
    noise: Annotated[float, between(0, 100, closed=True)] = 60.0


@Engine.registry.register
class Electric(Settings, Engine, frozen=True, tag="electric"):
    """Hums."""

    power: Annotated[float, above(0, label="power", unit="kW", log=True, slider=(1, 1000))] = 50.0
    range: Annotated[int, at_least(1, label="range", unit="km")] = 300
    noise: Annotated[float, between(0, 100, closed=True)] = 10.0


class Lamp(Settings, frozen=True, tag=None):
    """A lamp."""

    on: Annotated[bool, described("switched on")] = True
    colour: Literal["white", "warm_white"] = "white"


class Car(Settings, frozen=True, tag=None):
    """A car. Doors and seats must fit."""

    engine: Annotated[Engine, described("engine")] = Petrol()
    doors: Annotated[int, between(1, 7, closed=True, label="doors", help="all of them")] = 4
    called: str = "Emma"
    gears: tuple[int, ...] = (5, 1)
    limit: Annotated[float, at_least(0, unit="km/h")] | None = None
    lamps: tuple[Lamp, ...] = (Lamp(), Lamp(on=False))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.called == "Fred":
            raise SettingsError("Car.called: expected any other name, got 'Fred'")


@pytest.fixture
def form(qtbot: Any, styled: QApplication) -> SettingsForm:
    return shown(qtbot, Car())


def paths(form: SettingsForm) -> list[str]:
    return [f.path for f in form.rows]


# what is shown


def test_every_field_has_a_row_in_the_order_of_the_structs(form: SettingsForm) -> None:
    assert [f.path for f, _ in specs.fields_of(form.value)] == paths(form)
    assert paths(form)[:4] == ["engine", "engine.power", "engine.noise", "doors"]
    assert "lamps[1].colour" in paths(form)


def test_labels_units_help_and_ranges_come_from_the_struct(form: SettingsForm) -> None:
    row = form.row("engine.power")
    assert row.label.text == "Power"
    assert field(form, "engine.power").suffix() == "kW"
    assert "> 0" in row.editor.toolTip()
    assert "all of them" in form.row("doors").editor.toolTip()
    assert form.row("doors").field.range_text == "1 – 7"
    assert form.row("lamps[0].on").editor.text() == "Switched on"


def test_while_typing_the_range_stands_in_the_field(qtbot: Any, form: SettingsForm) -> None:
    doors = field(form, "doors")
    doors.setFocus()
    qtbot.waitUntil(doors.hasFocus)
    assert doors.suffix() == "1 – 7"


def test_a_slider_stands_with_every_number_that_has_a_range(form: SettingsForm) -> None:
    assert isinstance(form.row("engine.power").slider, SlimSlider)
    assert form.row("doors").slider is not None
    assert form.row("limit").slider is None


def test_rows_are_grouped_into_sections_that_fold(qtbot: Any, form: SettingsForm) -> None:
    assert sorted(form.sections) == ["Engine", "General", "Lamps"]
    section = form.sections["Lamps"]
    qtbot.mouseClick(section.head, Qt.MouseButton.LeftButton)
    assert not section.content.isVisible()
    qtbot.keyClick(section.head, Qt.Key.Key_Space)
    assert section.content.isVisible()


# typing


def test_enter_commits_a_valid_value_once(qtbot: Any, form: SettingsForm) -> None:
    with qtbot.waitSignal(form.edited) as caught:
        type_into(qtbot, field(form, "engine.power"), "0,5 kW")
    assert caught.args == ["engine.power", 0.5]
    with qtbot.assertNotEmitted(form.edited):
        qtbot.keyClick(field(form, "engine.power"), Qt.Key.Key_Return)
    assert form.value.engine.power == 0.5


def test_leaving_a_field_commits_it(qtbot: Any, form: SettingsForm) -> None:
    type_into(qtbot, field(form, "doors"), "5", key=None)
    with qtbot.waitSignal(form.edited) as caught:
        field(form, "called").setFocus()
    assert caught.args == ["doors", 5]


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("engine.power", "0", "expected a number above 0"),
        ("engine.power", "many", "expected a number above 0"),
        ("engine.power", "1e999", "too large, expected a number above 0"),
        ("gears", "5, 1e999", "too large, expected whole numbers such as 8, 4"),
        ("doors", "2.5", "expected a whole number from 1 to 7"),
        ("doors", "8", "expected a whole number from 1 to 7"),
        ("gears", "5, x", "expected whole numbers such as 8, 4"),
        ("limit", "-1", "expected a number, 0 or more"),
        ("called", "Fred", "expected any other name, got 'Fred'"),
    ],
)
def test_a_bad_entry_is_marked_and_explained_and_the_old_value_stays(
    qtbot: Any, form: SettingsForm, path: str, text: str, message: str
) -> None:
    before = form.value
    with qtbot.assertNotEmitted(form.edited):
        type_into(qtbot, field(form, path), text)
    assert field(form, path).bad
    assert field(form, path).text() == text
    assert form.row(path).message.text == message
    assert form.row(path).message.isVisible()
    assert form.value == before


def test_escape_brings_the_old_value_back(qtbot: Any, form: SettingsForm) -> None:
    doors = field(form, "doors")
    type_into(qtbot, doors, "99")
    assert doors.bad
    qtbot.keyClick(doors, Qt.Key.Key_Escape)
    assert doors.text() == "4"
    assert not doors.bad
    assert not form.row("doors").message.isVisible()


def test_the_mark_goes_as_soon_as_what_is_typed_is_right(qtbot: Any, form: SettingsForm) -> None:
    doors = field(form, "doors")
    type_into(qtbot, doors, "0")
    assert doors.bad
    doors.selectAll()
    qtbot.keyClicks(doors, "3")
    assert not doors.bad


def test_arrow_keys_nudge(qtbot: Any, form: SettingsForm) -> None:
    power = field(form, "engine.power")
    power.setFocus()
    with qtbot.waitSignal(form.edited) as caught:
        qtbot.keyClick(power, Qt.Key.Key_Up)
    assert caught.args == ["engine.power", 51.0]
    with qtbot.waitSignal(form.edited) as caught:
        qtbot.keyClick(power, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert caught.args == ["engine.power", 41.0]


def test_tuples_texts_and_what_may_be_empty(qtbot: Any, form: SettingsForm) -> None:
    edits: list[tuple[str, Any]] = []
    form.edited.connect(lambda path, value: edits.append((path, value)))
    type_into(qtbot, field(form, "gears"), "8, 8")
    type_into(qtbot, field(form, "limit"), "120")
    type_into(qtbot, field(form, "limit"), " ")
    type_into(qtbot, field(form, "called"), "Otto")
    assert edits == [("gears", (8, 8)), ("limit", 120.0), ("limit", None), ("called", "Otto")]


def test_check_boxes_and_choices_emit_what_was_chosen(qtbot: Any, form: SettingsForm) -> None:
    box = form.row("lamps[1].on").editor
    assert isinstance(box, QCheckBox)
    with qtbot.waitSignal(form.edited) as caught:
        qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert caught.args == ["lamps[1].on", True]
    combo = form.row("lamps[0].colour").editor
    assert [combo.itemText(i) for i in range(combo.count())] == ["White", "Warm white"]
    with qtbot.waitSignal(form.edited) as caught:
        combo.setFocus()
        qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert caught.args == ["lamps[0].colour", "warm_white"]


# sliders


def test_a_slider_moves_its_field_and_emits_while_it_moves_where_that_is_wanted(
    qtbot: Any, styled: QApplication
) -> None:
    form = shown(qtbot, Car(), live=lambda path: path == "engine.power")
    edits: list[tuple[str, Any]] = []
    form.edited.connect(lambda path, value: edits.append((path, value)))
    for path in ("engine.power", "engine.noise"):
        slider = form.row(path).slider
        middle = slider.rect().center()
        qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=middle)
        qtbot.mouseMove(slider, middle + QPoint(20, 0))
        while_moving = len(edits)
        qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=middle + QPoint(20, 0))
        assert edits[-1] == (path, field(form, path).value)
        assert (while_moving > 0) == (path == "engine.power")
        edits.clear()
    # a logarithmic one: the middle of 1 .. 1000 is about 32
    assert 32 < form.value.engine.power < 300
    assert 50 < form.value.engine.noise < 90


def test_slider_values_are_what_a_person_would_type_and_always_valid(qtbot: Any, styled: QApplication) -> None:
    class Open(Settings, frozen=True, tag=None):
        beta: Annotated[float, between(0, 1)] = 0.9
        rate: Annotated[float, above(0, log=True, slider=(1e-4, 10))] = 0.1
        count: Annotated[int, at_least(1, log=True, slider=(1, 1000))] = 10

    form = shown(qtbot, Open())
    for path in ("beta", "rate", "count"):
        row = form.row(path)
        for position in range(0, 401, 25):
            row.slider.setValue(position)
            value = row.slider.number()
            assert row.field.contains(value)
            assert len(f"{value:g}") <= 7
            assert not row.field.integer or value == int(value)
    assert form.value.count == 1000


def test_a_slider_follows_what_is_typed(qtbot: Any, form: SettingsForm) -> None:
    type_into(qtbot, field(form, "engine.noise"), "100")
    assert form.row("engine.noise").slider.value() == form.row("engine.noise").slider.maximum()


# members of registries


def test_choosing_another_member_brings_its_fields_and_what_both_share(qtbot: Any, form: SettingsForm) -> None:
    type_into(qtbot, field(form, "engine.power"), "70")
    type_into(qtbot, field(form, "engine.noise"), "65")
    with qtbot.waitSignal(form.edited) as caught:
        form.row("engine").editor.picked.emit("electric")
    # the power means the same in both, the noise does not: its default differs
    assert caught.args == ["engine", Electric(power=70.0)]
    assert "engine.range" in paths(form)
    assert field(form, "engine.noise").text() == "10"
    with qtbot.waitSignal(form.edited) as caught:
        form.row("engine").editor.picked.emit("petrol")
    assert caught.args == ["engine", Petrol(power=70.0, noise=65.0)]
    assert "engine.range" not in paths(form)


# values from outside


def test_set_value_updates_in_place_without_emitting(qtbot: Any, form: SettingsForm) -> None:
    kept = form.row("doors")
    with qtbot.assertNotEmitted(form.edited):
        form.set_value(Car(engine=Electric(range=400), doors=2, lamps=(Lamp(colour="warm_white"),)))
    assert form.row("doors") is kept
    assert field(form, "doors").text() == "2"
    assert field(form, "engine.range").text() == "400"
    assert form.row("engine").editor.currentText() == "Electric"
    assert "lamps[1].on" not in paths(form)


def test_set_value_leaves_a_field_alone_in_which_the_user_is_typing(qtbot: Any, form: SettingsForm) -> None:
    doors = field(form, "doors")
    type_into(qtbot, doors, "5", key=None)
    qtbot.waitUntil(doors.hasFocus)
    form.set_value(Car(doors=2, engine=Petrol(power=9)))
    assert doors.text() == "5"
    assert field(form, "engine.power").text() == "9"
    qtbot.keyClick(doors, Qt.Key.Key_Escape)
    assert doors.text() == "2"


def test_a_field_that_goes_while_it_is_edited_commits_nothing(qtbot: Any, form: SettingsForm) -> None:
    type_into(qtbot, field(form, "engine.power"), "7", key=None)
    with qtbot.assertNotEmitted(form.edited):
        form.set_value(Car(engine=Electric()))
        QApplication.processEvents()
    assert form.value.engine == Electric()


def test_a_value_refused_elsewhere_is_marked_with_the_reason(qtbot: Any, form: SettingsForm) -> None:
    form.reject("doors", "expected fewer doors")
    assert form.row("doors").message.text == "expected fewer doors"
    with pytest.raises(KeyError):
        form.row("wheels")


# room, and what does not fit


def test_long_words_are_not_cut_while_there_is_room_for_them(qtbot: Any, form: SettingsForm) -> None:
    """A choice takes the width that its label has to spare; a long label and a long message take two lines."""
    row = form.row("engine")
    combo = row.editor
    assert isinstance(combo, ChoiceField)
    assert row.label.width() == LABEL
    combo.setItemText(0, "Petrol, four cylinders")
    combo.setItemText(1, "Electric, four motors")
    form.set_value(Car(engine=Electric()))
    QApplication.processEvents()
    assert combo.width() >= combo.wanted_width()
    assert row.label.width() >= theme.metrics(13).horizontalAdvance("Engine")
    label = ElidedLabel("Loss while training", form)
    label.resize(70, 28)
    assert label.wraps
    label.resize(70, 18)
    assert not label.wraps
    form.row("gears").reject("expected whole numbers from 1 to 10,000, such as 8, 4")
    QApplication.processEvents()
    assert form.row("gears").message.wraps


def test_what_does_not_fit_cannot_be_chosen_and_says_why(qtbot: Any, form: SettingsForm) -> None:
    combo = form.row("lamps[0].colour").editor
    assert isinstance(combo, ChoiceField)
    form.refuse("lamps[0].colour", {"warm_white": "This lamp is cold."})
    place = combo.model().index(combo.findData("warm_white"), 0)
    assert not place.flags() & Qt.ItemFlag.ItemIsEnabled
    assert place.data(Qt.ItemDataRole.ToolTipRole) == "This lamp is cold."
    combo.setFocus()
    qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert form.value.lamps[0].colour == "white"
    form.refuse("lamps[0].colour", {})
    qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert form.value.lamps[0].colour == "warm_white"
