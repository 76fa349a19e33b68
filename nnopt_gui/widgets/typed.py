"""Numbers as a person types them: how they are read, how they are written into a field, how keys nudge them. No Qt."""

from __future__ import annotations

import math
import re

from nnopt_gui.widgets.numbers import MINUS
from nnopt_gui.widgets.specs import Field


def plain_number(x: float, integer: bool = False) -> str:
    """A number for a field: 400, 0.14, 1e−8; nothing is lost that was typed."""
    if integer:
        return str(int(x)).replace("-", MINUS)
    text = f"{x:.10g}"
    if abs(x) >= 1e6 and text.endswith("00000"):
        text = f"{x:.9e}"
    mantissa, sign, power = text.partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return (mantissa + (f"e{int(power)}" if sign else "")).replace("-", MINUS)


def parse_number(text: str) -> float | None:
    """The number that a person means: 0.05, 0,05, 5,000, 1e−3, 10^-3, 2×10⁻³, 1/3; None if it is none or too large."""
    value = _value(text)
    return value if value is not None and math.isfinite(value) else None


def is_too_large(text: str) -> bool:
    """Whether it is a number beyond all that a computer has: 1e999, 10^400."""
    value = _value(text)
    return value is not None and math.isinf(value) and any(letter.isdigit() for letter in text)


def _value(text: str) -> float | None:
    if re.search(r"[,;]\s", text.strip()):
        return None  # several numbers
    text = (
        text.strip().replace(MINUS, "-").replace("\u202f", "").replace("\u00a0", "").replace(" ", "").replace("_", "")
    )
    text = text.replace("×", "*").replace("·", "*")
    text = re.sub(r"\*?10\^?([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+|(?<=\^)[+-]?\d+)$", _power, text)
    text = "1" + text if text.startswith("e") else text
    if re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", text):
        text = text.replace(",", "")
    elif text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    top, slash, bottom = text.partition("/")
    try:
        return float(top) / float(bottom) if slash else float(text)
    except (ValueError, ZeroDivisionError):
        return None


def _power(match: re.Match[str]) -> str:
    digits = match[1].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return f"e{digits}"


def nudged(x: float, steps: int, field: Field) -> float:
    """`x` moved by some steps of its second digit (whole numbers: at least 1), kept inside the range."""
    for _ in range(abs(steps)):
        if x == 0:
            low, high = field.slider or (0.0, 1.0)
            size = 10.0 ** math.floor(math.log10(max((high - low) / 100, 1e-12)))
        else:
            # going down from 1.0, the next one is 0.99
            towards_zero = (steps < 0) == (x > 0)
            size = 10.0 ** (math.floor(math.log10(abs(x) * (1 - 1e-9 if towards_zero else 1 + 1e-9))) - 1)
        size = max(size, 1.0) if field.integer else size
        moved = x + math.copysign(size, steps)
        moved = float(f"{moved:.6g}") if abs(moved) > size * 1e-6 else 0.0
        if not field.contains(moved):
            break
        x = moved
    return x
