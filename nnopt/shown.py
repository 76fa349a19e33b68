"""How results are shown: in a notebook, an array of a thousand numbers says its shape and its range, no more."""

from __future__ import annotations

import dataclasses
import reprlib
from typing import Any

import numpy as np

#: numbers of an array that are written out, at most
FEW = 8
_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 80


class Shown:
    """Base of frozen dataclasses that hold arrays (declare them with repr=False): a repr that fits on a screen.

    >>> @dataclasses.dataclass(frozen=True, eq=False, repr=False)
    ... class Line(Shown):
    ...     coords: np.ndarray
    ...     ends: np.ndarray
    ...     length: float
    >>> Line(np.linspace(0.0, 1.0, 101), np.array([0.0, 1.0]), 1 / 3)
    Line(coords=<101 numbers, 0 .. 1>, ends=[0. 1.], length=0.333333)
    """

    def __repr__(self) -> str:
        if not dataclasses.is_dataclass(self):
            return super().__repr__()
        shown = [f"{part.name}={_short(getattr(self, part.name))}" for part in dataclasses.fields(self) if part.repr]
        return f"{type(self).__name__}({', '.join(shown)})"


def beside(x: float, bound: float, digits: int = 6, kind: str = "g") -> str:
    """x with so many digits, `digits` or more, that what is written compares with `bound` as x does. kind: "g" or "e".

    >>> beside(0.75, 0.5), beside(0.5000001, 0.5), beside(0.5, 0.5), beside(9.99e-9, 1e-8, 1, "e")
    ('0.75', '0.5000001', '0.5', '9.99e-09')
    """
    for more in range(digits, 18):
        text = f"{x:.{more}{kind}}"
        written = float(text)
        if (written > bound, written < bound) == (x > bound, x < bound):
            break
    return text


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Shown):
        return f"<{type(value).__name__}>"
    if isinstance(value, tuple) and len(value) <= FEW and any(isinstance(part, np.ndarray | Shown) for part in value):
        return f"({', '.join(map(_short, value))}{',' if len(value) == 1 else ''})"
    return _SHORT.repr(value)


def _array(values: np.ndarray[Any, Any]) -> str:
    if values.size <= FEW:
        return np.array2string(values, precision=4).replace("\n", "")
    size = " x ".join(str(n) for n in values.shape)
    if values.dtype.kind not in "fiu":
        return f"<{size} of {values.dtype}>"
    finite = values[np.isfinite(values)]
    span = f", {finite.min():.4g} .. {finite.max():.4g}" if finite.size else ", none finite"
    return f"<{size} numbers{span}>"
