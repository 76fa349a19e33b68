"""A function typed by the user: `functions.formula("x**4 - 3*x**2 + x")`, everywhere that a built-in one can stand."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from nnopt.errors import FormulaError, SettingsError
from nnopt.objectives.functions import Bounds, Formula, FormulaFunction, Minimum, Settings, register
from nnopt.settings import described

#: what is looked at unless told otherwise
_BOUNDS = (-4.0, 4.0)
#: where a run begins unless told otherwise, as shares of the bounds: the first place at which f is defined and not flat
_STARTS = ((0.75, 0.7), (0.8, 0.85), (0.6, 0.55), (0.95, 0.9), (0.25, 0.3), (0.4, 0.45), (0.05, 0.1))


@register
class UserFormula(FormulaFunction, Settings, frozen=True, tag="formula"):
    """f of the text typed, with its exact gradient and Hessian.

    text: a formula of x, y, z or x1 .. xn (n up to 20) with + - * / and powers (** or ^), sin cos exp log sqrt tanh
    abs max min, pi and e. P is the number of the last variable that occurs: "y**2" is a function of x and y. The text
    is parsed, never run.
    begin (P,): where a run begins; None: a place three quarters of the way through the bounds, or another one where f
    is defined. window: low and high for every parameter, or low, high of each in turn (2 P numbers); None: -4, 4.

    Where f has a kink its slope is the mean of both sides (0 for abs at 0); where it is not defined it is nan.

    >>> f = UserFormula("x**4 - 3*x**2 + x")
    >>> f.formula_text, f.value([2.0]), f.gradient([2.0]), f.hessian([2.0])
    ('f(x) = x⁴ − 3 x² + x', 6.0, array([21.]), array([[42.]]))

    Raises: FormulaError, a SettingsError, pointing at the character that is wrong; SettingsError for the other fields.
    """

    text: Annotated[str, described("formula", "of x, y, z or x1, x2, ...: + - * / ** sin cos exp log sqrt tanh abs "
                                   "max min pi e")] = "x**4 - 3*x**2 + x"  # fmt: skip
    begin: Annotated[tuple[float, ...] | None, described("start", "one number per variable")] = None
    window: Annotated[
        tuple[float, ...] | None, described("bounds", "low, high; or low, high of each variable in turn")
    ] = None

    title: ClassVar[str] = "Formula"
    teaches: ClassVar[str] = "Whatever the formula typed has to show: any function of up to 20 variables."
    source: ClassVar[str] = "typed by the user"
    minima_note: ClassVar[str] = "none are known: the formula was typed by the user"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.text, str):
            raise SettingsError(f"UserFormula.text: expected a text, got {self.text!r}")
        try:
            size = len(_compiled(self.text).variables)
        except FormulaError as error:
            raise FormulaError(error.text, error.position, error.reason, "UserFormula.text") from None
        begin, window = _numbers("begin", self.begin), _numbers("window", self.window)
        if begin is not None and len(begin) != size:
            raise SettingsError(f"UserFormula.begin: expected {_count(size)}, got {len(begin)}")
        if window is not None and len(window) not in (2, 2 * size):
            wanted = "2 numbers" if size == 1 else f"2 or {2 * size} numbers"
            raise SettingsError(f"UserFormula.window: expected {wanted}, got {len(window)}")
        if window is not None and any(low >= high for low, high in zip(window[::2], window[1::2], strict=True)):
            raise SettingsError(f"UserFormula.window: expected low < high, got {list(window)}")
        msgspec.structs.force_setattr(self, "begin", begin)
        msgspec.structs.force_setattr(self, "window", window)

    @property
    def formula(self) -> Formula:  # type: ignore[override]
        """The text, compiled."""
        return _compiled(self.text)

    @property
    def size(self) -> int:
        return len(_compiled(self.text).variables)

    @property
    def starts_at(self) -> tuple[float, ...]:  # type: ignore[override]
        """Where a run begins, (P,)."""
        return self.begin if self.begin is not None else _start(self.text, self.within)

    @property
    def within(self) -> Bounds:  # type: ignore[override]
        """The part worth looking at."""
        window = self.window if self.window is not None else _BOUNDS
        pairs = tuple(zip(window[::2], window[1::2], strict=True))
        pairs = pairs * self.size if len(pairs) == 1 else pairs
        if self.window is not None or self.begin is None:
            return pairs
        # a start outside the usual part widens it
        return tuple((min(low, 1.5 * x), max(high, 1.5 * x)) for (low, high), x in zip(pairs, self.begin, strict=True))

    @property
    def minima(self) -> tuple[Minimum, ...]:
        return ()


@lru_cache(maxsize=128)
def _compiled(text: str) -> Formula:
    formula = Formula(text, None)
    _ = formula.graph
    return formula


@lru_cache(maxsize=128)
def _start(text: str, bounds: Bounds) -> tuple[float, ...]:
    """The first place of several at which f and its slope are finite and the slope is not zero."""
    formula = _compiled(text)
    low, high = np.array(bounds).T
    places = []
    for even, odd in _STARTS:
        share = np.where(np.arange(len(low)) % 2, odd, even)
        places.append(tuple(float(x) for x in np.round(low + share * (high - low), 6)))
    for place in places:
        with np.errstate(all="ignore"):
            value, gradient = formula.value_and_gradient_of_arrays(*map(np.float64, place))
            if math.isfinite(value) and np.isfinite(gradient).all() and np.any(gradient):
                return place
    return places[0]


def _numbers(name: str, given: object) -> tuple[float, ...] | None:
    if given is None:
        return None
    whole = isinstance(given, (tuple, list)) and not any(isinstance(number, bool) for number in given)
    try:
        numbers = tuple(float(number) for number in given) if whole else ()  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise SettingsError(f"UserFormula.{name}: expected finite numbers, got {given!r}")
    return numbers


def _count(size: int) -> str:
    return "1 number" if size == 1 else f"{size} numbers"
