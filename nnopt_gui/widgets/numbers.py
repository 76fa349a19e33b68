"""Numbers as they stand on the screen: significant digits, a true minus, no jitter; and round values for ticks."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence

MINUS = "−"
TIMES = "×"
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(x: float, digits: int = 3) -> str:
    """`x` with `digits` significant digits: 0.259, −1.2, 12,400, 3.1e−3 (below 0.001 and from 10^6 on).

    Zeros at the end are kept, so that a running number keeps its width: number(0.25, 4) is "0.2500".
    """
    if math.isnan(x):
        return "–"
    if math.isinf(x):
        return f"{MINUS}∞" if x < 0 else "∞"
    if x == 0:
        return "0"
    digits = max(digits, 1)
    rounded = float(f"{x:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)))
    if exponent < -3 or exponent >= max(6, digits):
        mantissa, power = f"{rounded:.{digits - 1}e}".split("e")
        return minus(f"{mantissa}e{int(power)}")
    return minus(f"{rounded:,.{max(digits - 1 - exponent, 0)}f}")


def short(x: float, digits: int = 3) -> str:
    """As `number`, without zeros at the end: 0.25, 4, 1e−3. For labels that do not run."""
    text = number(x, digits)
    mantissa, sign, power = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + sign + power


def signed(x: float, digits: int = 3) -> str:
    """As `number`, with a plus in front of what is positive: +0.42, −0.0107."""
    text = number(x, digits)
    return text if x <= 0 or math.isnan(x) else f"+{text}"


def integer(n: int) -> str:
    """A count with thousands separators: 1,000,000."""
    return minus(f"{n:,}")


def typeset(text: str) -> str:
    """A sentence of nnopt with its numbers as they stand on the screen: "step 1,200: 2.3e9 is below 1e−8"."""
    text = re.sub(r"(?<=\d)e([+-])0*(\d)", lambda found: "e" + found[1].replace("+", "") + found[2], text)
    text = re.sub(r"(?<=\de)-(?=\d)|(?<![\w.)-])-(?=\d)", MINUS, text)
    return re.sub(r"(?<![\w.,])\d{4,}(?!\w|\.\d)", lambda found: integer(int(found[0])), text)


def percent(share: float, digits: int = 0) -> str:
    """A share as a percentage with a narrow no-break space: 0.98 -> "98 %"."""
    return minus(f"{100 * share:.{digits}f}\u202f%") if math.isfinite(share) else "–"


def power_of_ten(exponent: int) -> str:
    """10⁻⁴."""
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def minus(text: str) -> str:
    """Hyphens of a formatted number replaced by the true minus sign."""
    return text.replace("-", MINUS)


def nice_step(span: float, count: float) -> float:
    """The 1-2-5 step that divides `span` into at most about `count` parts."""
    raw = span / max(count, 1)
    if not (raw > 0 and math.isfinite(raw)):
        return 1.0
    base = 10.0 ** math.floor(math.log10(raw))
    for factor in (1, 2, 5, 10):
        if raw <= factor * base * (1 + 1e-9):
            return factor * base
    return 10 * base


def ticks(low: float, high: float, count: float) -> tuple[list[float], float]:
    """(round values in [low, high], the step between them), about `count` of them."""
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return [], 1.0
    step = nice_step(high - low, count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if last - first > 200:
        return [], step
    # rounded, so that 7 * 0.2 is 1.4
    digits = max(0, 2 - math.floor(math.log10(step)))
    found = [round(i * step, min(digits, 300)) for i in range(first, last + 1)]
    # where the step is below the rounding of the numbers themselves, neighbours fall together
    return list(dict.fromkeys(found)), step


def apart(a: float, b: float, digits: int = 3) -> tuple[str, str]:
    """Two numbers, as `number`, with so many digits that their texts differ, if the numbers do: 0.6910, 0.6914."""
    first, second = number(a, digits), number(b, digits)
    while first == second and a != b and digits < 16:
        digits += 1
        first, second = number(a, digits), number(b, digits)
    return first, second


def tick_texts(values: Sequence[float], step: float) -> list[str]:
    """The numbers of an axis' ticks: just the decimals that the step needs, and never two equal texts."""
    return _distinct(lambda extra: [tick_text(x, step / 10.0**extra) for x in values])


def log_tick_texts(values: Sequence[float]) -> list[str]:
    """The numbers of ticks on a logarithmic scale, as `log_tick_text`, and never two equal texts."""
    return _distinct(lambda extra: [log_tick_text(x, 3 + extra) if x > 0 else short(x, 3 + extra) for x in values])


def _distinct(texts: Callable[[int], list[str]]) -> list[str]:
    """The first of texts(0), texts(1), ... without two equal ones."""
    found = texts(0)
    for extra in range(1, 14):
        if len(set(found)) == len(found):
            break
        found = texts(extra)
    return found


def tick_text(x: float, step: float) -> str:
    """A tick's number with just the decimals that its step needs."""
    if abs(x) < step * 1e-6:
        x = 0.0
    plain = 1e-3 <= abs(x) < 1e6 and 1e-14 < step < 1
    if (step < 1e-5 or step >= 1e6) and not plain:
        return short(x, max(1, _decade(x) - _decade(step) + 1)) if x else "0"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return minus(f"{x:,.{decimals}f}")


def log_ticks(low: float, high: float, count: float) -> list[float]:
    """Round positive values in [low, high], spread evenly on a logarithmic scale: 0.2 0.5 1 2 3, or decades."""
    if not (0 < low < high and math.isfinite(high)):
        return []
    decades = math.log10(high / low)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if decades > count:
        stride = math.ceil(decades / max(count, 1))
        start = math.ceil(first / stride) * stride
        found = [10.0**e for e in range(start, last + 1, stride)]
    else:
        found = []
        choices: Sequence[tuple[int, ...]] = ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
        for factors in choices:
            found = [f * 10.0**e for e in range(first, last + 1) for f in factors]
            found = [x for x in found if low * (1 - 1e-9) <= x <= high * (1 + 1e-9)]
            gaps = [math.log10(b / a) for a, b in itertools.pairwise(found)]
            if len(found) <= count + 1 and min(gaps, default=1.0) > 0.5 * decades / max(count, 1):
                break
        if len(found) < 2:
            found = [x for x in ticks(low, high, count)[0] if x > 0]
    return [x for x in found if low * (1 - 1e-9) <= x <= high * (1 + 1e-9)]


def _decade(x: float) -> int:
    """The power of ten of a number's first digit."""
    return math.floor(math.log10(abs(x)) + 1e-9)


def log_tick_text(x: float, digits: int = 3) -> str:
    """0.02, 1, 500; decades beyond 0.001 and 10,000 as powers: 10⁻⁴."""
    if 0.000999 < x < 99_999:
        return short(x, digits)
    exponent = math.floor(math.log10(x) + 1e-9)
    factor = x / 10.0**exponent
    return (
        power_of_ten(exponent)
        if abs(factor - 1) < 1e-6
        else f"{short(factor, digits - 1)}{TIMES}{power_of_ten(exponent)}"
    )
