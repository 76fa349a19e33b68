"""Numbers on the screen: digits, signs, ticks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_gui.widgets import numbers
from nnopt_gui.widgets.specs import Field
from nnopt_gui.widgets.typed import is_too_large, nudged, parse_number, plain_number

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


@pytest.mark.parametrize(
    ("x", "digits", "text"),
    [
        (0.2587, 4, "0.2587"),
        (0.25, 4, "0.2500"),
        (-0.0107, 3, "−0.0107"),
        (12_400, 3, "12,400"),
        (0.00314159, 2, "0.0031"),
        (0.000314159, 2, "3.1e−4"),
        (2.5e7, 3, "2.50e7"),
        (0, 3, "0"),
        (0.9999, 3, "1.00"),
        (math.nan, 3, "–"),
        (-math.inf, 3, "−∞"),
    ],
)
def test_a_number_is_written_with_significant_digits_and_a_true_minus(x: float, digits: int, text: str) -> None:
    assert numbers.number(x, digits) == text


def test_short_numbers_have_no_zeros_at_the_end_and_signed_ones_a_plus() -> None:
    assert numbers.short(0.25, 4) == "0.25"
    assert numbers.short(1e-8) == "1e−8"
    assert numbers.signed(0.42, 2) == "+0.42"
    assert numbers.signed(-0.42, 2) == "−0.42"
    assert numbers.integer(-1_000_000) == "−1,000,000"
    assert numbers.percent(0.98) == "98\u202f%"
    assert numbers.power_of_ten(-4) == "10⁻⁴"


@given(finite)
def test_no_number_contains_a_hyphen_and_all_can_be_read_back(x: float) -> None:
    text = numbers.number(x, 6)
    assert "-" not in text
    back = parse_number(text)
    assert back is not None
    assert back == pytest.approx(x, rel=1e-5, abs=0)


@given(finite, st.floats(min_value=1e-6, max_value=1e9), st.integers(2, 12))
def test_ticks_are_round_rising_and_inside(low: float, span: float, count: int) -> None:
    high = low + span
    values, step = numbers.ticks(low, high, count)
    assert len(values) <= count + 2
    assert all(low - 1e-6 * span - 1e-9 * abs(low) <= v <= high + 1e-6 * span + 1e-9 * abs(high) for v in values)
    mantissa = step / 10.0 ** math.floor(math.log10(step) + 1e-9)
    assert round(mantissa, 6) in (1, 2, 5)


def test_tick_texts_have_just_the_decimals_of_their_step() -> None:
    values, step = numbers.ticks(0, 1.4, 7)
    assert [numbers.tick_text(v, step) for v in values] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0", "1.2", "1.4"]
    values, step = numbers.ticks(-2, 2, 4)
    assert [numbers.tick_text(v, step) for v in values] == ["−2", "−1", "0", "1", "2"]
    assert numbers.tick_text(20_000, 10_000) == "20,000"
    assert numbers.tick_text(3e-9, 1e-9) == "3e−9"


def test_log_ticks_are_decades_over_many_and_round_factors_over_few() -> None:
    assert [round(x, 10) for x in numbers.log_ticks(0.2, 3, 5)] == [0.2, 0.5, 1, 2]
    assert [numbers.log_tick_text(x) for x in numbers.log_ticks(1e-8, 1, 4)] == ["10⁻⁸", "10⁻⁶", "10⁻⁴", "0.01", "1"]
    assert len(numbers.log_ticks(0.4, 0.5, 5)) >= 2
    assert numbers.log_ticks(-1, 2, 5) == []
    assert numbers.log_tick_text(2e-5) == "2×10⁻⁵"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.05", 0.05),
        ("0,05", 0.05),
        ("5,000", 5000),
        ("1,234,567", 1234567),
        ("1e-3", 1e-3),
        ("1e−3", 1e-3),
        ("10^-3", 1e-3),
        ("2×10⁻³", 2e-3),
        ("10⁻³", 1e-3),
        (" 1 000 ", 1000),
        ("1/4", 0.25),
        ("−2", -2),
        ("210", 210),
    ],
)
def test_a_typed_number_is_read_as_it_was_meant(text: str, value: float) -> None:
    assert parse_number(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["", "x", "1/0", "nan", "inf", "8, 8", "--1", "1e999"])
def test_what_is_no_number_is_refused(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize("text", ["1e999", "-1e400", "10^400", "1" + 400 * "0"])
def test_a_number_beyond_all_numbers_is_known_as_one(text: str) -> None:
    assert parse_number(text) is None
    assert is_too_large(text)


@pytest.mark.parametrize("text", ["1e300", "inf", "nan", "", "1/0", "abc"])
def test_other_texts_are_not_too_large(text: str) -> None:
    assert not is_too_large(text)


@given(finite)
def test_what_a_field_shows_is_read_back(x: float) -> None:
    back = parse_number(plain_number(x))
    assert back is not None
    assert back == pytest.approx(x, rel=1e-9, abs=0)


def test_nudging_moves_the_second_digit_and_stops_at_the_range() -> None:
    rate = Field("lr", "Learning rate", "number", low=0, open_low=True)
    assert nudged(0.1, 1, rate) == pytest.approx(0.11)
    assert nudged(1.0, -1, rate) == pytest.approx(0.99)
    assert nudged(0.95, 10, rate) == pytest.approx(1.5)
    units = Field("n", "Units", "number", integer=True, low=1, high=100)
    assert nudged(8, 1, units) == 9
    assert nudged(1, -5, units) == 1
    assert nudged(100, 3, units) == 100
    assert nudged(0.0, 1, Field("b", "b", "number", slider=(0.0, 1.0))) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 3.2e40), (0.146515, 0.146529), (0.1489, 0.1502), (1e6, 1e6 + 3), (-2e-7, 1e-7), (5e39, 3e40)],
)
def test_no_two_ticks_have_the_same_text(low: float, high: float) -> None:
    values, step = numbers.ticks(low, high, 6)
    texts = numbers.tick_texts(values, step)
    assert len(set(texts)) == len(values) > 2
    read = [float(text.replace(numbers.MINUS, "-").replace(",", "")) for text in texts]
    np.testing.assert_allclose(read, values, atol=1e-3 * step)


def test_a_tick_has_all_digits_of_its_step() -> None:
    assert numbers.tick_texts([5e39, 1e40, 1.5e40, 2e40], 5e39) == ["5e39", "1e40", "1.5e40", "2e40"]


def test_ticks_of_a_colour_bar_differ_on_narrow_ranges() -> None:
    for low, high in ((0.1488, 0.1502), (0.69105, 0.6913), (20_001.0, 20_009.0), (100_001.0, 100_009.0)):
        texts = numbers.log_tick_texts(numbers.log_ticks(low, high, 5))
        assert len(set(texts)) == len(texts) > 1


def test_a_change_is_seen_in_the_digits() -> None:
    assert numbers.apart(0.69102, 0.69141) == ("0.6910", "0.6914")
    assert numbers.apart(170.0, 181.5, 4) == ("170.0", "181.5")
    assert numbers.apart(1.0, 1.0) == ("1.00", "1.00")


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ("converged at step 12345: the gradient's norm 8.1e-10 is below 1e-08 (a minimum)",
         "converged at step 12,345: the gradient's norm 8.1e−10 is below 1e−8 (a minimum)"),
        ("the step exploded, its length is 2.3e+09", "the step exploded, its length is 2.3e9"),
        ("best 0.12345 at step 1000.", "best 0.12345 at step 1,000."),
        ("from -3 to 2, L-BFGS in run7-3, data2024.csv", "from −3 to 2, L-BFGS in run7-3, data2024.csv"),
    ],
)  # fmt: skip
def test_numbers_inside_a_sentence_are_written_as_everywhere(plain: str, said: str) -> None:
    assert numbers.typeset(plain) == said
