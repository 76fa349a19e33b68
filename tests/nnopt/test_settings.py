"""Settings structs refuse what is out of range, wherever it comes from, and say where it stood."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest

from nnopt.errors import SettingsError, UnknownNameError
from nnopt.settings import Registry, Settings, above, at_least, between, decode_hook, readable, replace


class Colour:
    registry: ClassVar[Registry[Any]] = Registry("colour")


@Colour.registry.register
class Grey(Colour, Settings, frozen=True, tag="grey"):
    light: Annotated[float, between(0, 1)] = 0.5
    layers: Annotated[int, at_least(1)] = 1


@Colour.registry.register
class Glow(Colour, Settings, frozen=True, tag="glow"):
    width: Annotated[float, above(0)] = 1.0
    around: Colour = Grey()


class Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    colours: tuple[Colour, ...] = (Grey(),)


def decode(text: str) -> Picture:
    return msgspec.json.decode(text.encode(), type=Picture, dec_hook=decode_hook)


def test_a_value_in_range_is_kept():
    assert Grey(light=0.25).light == 0.25
    assert replace(Grey(), light=0.75) == Grey(light=0.75)


@pytest.mark.parametrize("bad", [-0.1, 1.0, float("nan"), float("inf"), "dark", True])
def test_a_value_out_of_range_is_refused_from_python(bad):
    with pytest.raises(SettingsError, match=r"Grey\.light: expected a number >= 0 and < 1, got"):
        Grey(light=bad)
    with pytest.raises(SettingsError):
        replace(Grey(), light=bad)


def test_registered_structs_survive_json():
    picture = Picture(colours=(Glow(width=2.0, around=Grey(light=0.1)), Grey(layers=3)))
    assert decode(msgspec.json.encode(picture).decode()) == picture


def test_a_bare_name_stands_for_the_defaults():
    assert decode('{"colours": ["glow"]}').colours == (Glow(),)


@pytest.mark.parametrize(
    ("text", "path", "part"),
    [
        ('{"colours": [{"name": "grey", "light": 2}]}', "$.colours[0].light", "float"),
        ('{"colours": [{"name": "grey"}, {"name": "gray"}]}', "$.colours[1].name", "did you mean 'grey'"),
        ('{"colours": [{"name": "glow", "around": {"name": "grey", "light": -1}}]}', "$.colours[0].around.light", ">="),
        ('{"colours": [{"name": "grey", "lihgt": 0.5}]}', "$.colours[0]", "lihgt"),
        ('{"colours": [3]}', "$.colours[0]", "expected one colour"),
        ('{"colour": []}', "$", "unknown field"),
    ],
)
def test_a_bad_field_is_named_with_its_whole_path(text, path, part):
    with pytest.raises(msgspec.ValidationError) as caught:
        decode(text)
    found, message = readable(caught.value)
    assert found == path
    assert part in message


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"unknown colour 'glwo'; did you mean 'glow'\? \(known: glow, grey\)"):
        Colour.registry.get("glwo")


def test_one_name_cannot_mean_two_things():
    class Other(Colour, Settings, frozen=True, tag="grey"):
        pass

    with pytest.raises(SettingsError, match="registered twice"):
        Colour.registry.register(Other)


def test_whole_numbers_and_words_are_checked_from_python_too():
    class Brush(Settings, frozen=True, tag="brush"):
        hairs: int = 3
        tip: Literal["round", "flat"] = "round"

    assert Brush(hairs=4, tip="flat").tip == "flat"
    for bad in (2.5, True, "3"):
        with pytest.raises(SettingsError, match=r"Brush\.hairs: expected a whole number, got"):
            Brush(hairs=bad)
    with pytest.raises(SettingsError, match=r"Grey\.layers: expected a whole number >= 1, got 1\.5"):
        Grey(layers=1.5)
    with pytest.raises(SettingsError, match=r"Brush\.tip: expected one of 'round', 'flat', got 'square'"):
        Brush(tip="square")


def test_a_setting_that_there_is_not_is_named_with_those_that_there_are():
    with pytest.raises(UnknownNameError, match=r"^unknown Grey setting 'dark' \(known: layers, light\)$"):
        Grey(dark=0.5)
    with pytest.raises(UnknownNameError, match="did you mean 'layers'"):
        Grey(layer=3)
