"""Formulas: one line of text becomes a function with exact gradient and Hessian, as fast as code written by hand.

The text is parsed by our own small grammar (formula_parser.py) into a graph of expressions, differentiated there
(formula_graph.py) and written out as straight-line code in which every common part is computed once (formula_code.py);
that code is compiled twice, for plain floats (`math`) and for arrays (`numpy`). Floor `objectives`: the test functions
stand on this.

Allowed are numbers, the variables, `pi`, `e`, + - * /, powers (** or ^), sin cos exp log sqrt tanh abs of one argument,
max and min of several.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nnopt.errors import FormulaError, SettingsError
from nnopt.objectives.formula_code import code
from nnopt.objectives.formula_graph import CALLS, Graph, Node
from nnopt.objectives.formula_parser import ANY_VARIABLES, parse, variables_of


class Formula:
    """f(variables) with exact first and second derivatives.

    text: the right-hand side, such as "(1 - x)**2 + 100*(y - x**2)**2". variables: their names, in the order of theta;
    None: x, y, z up to the last one that occurs, or x1 .. xn.

    Each compiled function takes one argument per variable, all floats or (the `*_of_arrays`) all arrays of one shape;
    the ones for floats raise ArithmeticError or ValueError where an intermediate result overflows or is not defined,
    the ones for arrays give inf or nan there.

    Where a part has a kink, its slope is the mean of both sides: 0 for abs at 0, an equal share of each for max and min
    of equals. Where the formula is not defined its derivatives are not either, whatever cancels in them.

    Raises: SettingsError for names that cannot be variables; FormulaError, when it is first used, for a text that is
    not a formula in these variables.

    >>> Formula("x**2 * y").value_and_gradient(3.0, 2.0), Formula("x**2 * y").hessian(3.0, 2.0)
    ((18.0, (12.0, 9.0)), (4.0, 6.0, 0.0))
    """

    def __init__(self, text: str, variables: Sequence[str] | None = ("x", "y")) -> None:
        self.text = text
        self.variables = variables_of(text) if variables is None else tuple(variables)
        self._known = ANY_VARIABLES if variables is None else ", ".join(variables)
        distinct = len(set(self.variables)) == len(self.variables) > 0
        if not (distinct and all(map(_can_be_variable, self.variables))):
            raise SettingsError(f"Formula: expected variables as different names such as x or w1, got {self.variables}")

    @cached_property
    def graph(self) -> tuple[Graph, Node]:
        """The expressions, and which of them is the value."""
        graph = Graph()
        return graph, parse(self.text, self.variables, graph, self._known)

    @cached_property
    def slopes(self) -> list[Node]:
        """df/dx_i."""
        graph, value = self.graph
        return graph.gradient(value, [graph.var(name) for name in self.variables])

    @cached_property
    def value(self) -> Callable[..., float]:
        """Floats -> f."""
        return self._compile(_MATH, "{0}", [self.graph[1]])

    @cached_property
    def value_and_gradient(self) -> Callable[..., tuple[float, tuple[float, ...]]]:
        """Floats -> (f, (df/dx_1, ...))."""
        return self._compile(_MATH, _VALUE_AND_GRADIENT, [self.graph[1], *self.slopes])

    @cached_property
    def hessian(self) -> Callable[..., tuple[float, ...]]:
        """Floats -> the lower triangle of the Hessian, row after row."""
        return self._compile(_MATH, _ALL, [self.graph[1], self.graph[1], *self._bends()])

    @cached_property
    def value_of_arrays(self) -> Callable[..., Any]:
        """As `value`, of arrays."""
        return self._compile(_NUMPY, "{0}", [self.graph[1]])

    @cached_property
    def value_and_gradient_of_arrays(self) -> Callable[..., Any]:
        """As `value_and_gradient`, of arrays."""
        return self._compile(_NUMPY, "{0}, defined({0}, {rest})", [self.graph[1], *self.slopes])

    @cached_property
    def hessian_of_arrays(self) -> Callable[..., Any]:
        """As `hessian`, of arrays."""
        return self._compile(_NUMPY, "defined({0}, {rest})", [self.graph[1], *self._bends()])

    def _bends(self) -> list[Node]:
        """d2f/dx_i dx_j for j <= i, row after row of the lower triangle."""
        graph, variables = self.graph[0], [self.graph[0].var(name) for name in self.variables]
        return [bend for i, slope in enumerate(self.slopes) for bend in graph.gradient(slope, variables[: i + 1])]

    @property
    def display(self) -> str:
        """The text as it is written on a board.

        >>> Formula("(1 - x)**2 + 100*(y - x**2)**2").display
        '(1 − x)² + 100 (y − x²)²'
        """
        shown = " ".join(subscripted(self.text).split()).replace("**", "^")
        shown = re.sub(r"\s*\^\s*(-?\d+)(?![\d.eE])", lambda power: power[1].translate(_SUPERSCRIPTS), shown)
        for plain, board in (("sqrt(", "√("), ("pi", "π"), ("-", "−")):
            shown = shown.replace(plain, board)
        return re.sub(r"\s*[*·×]\s*", " ", shown)

    def _compile(self, functions: dict[str, Any], answer: str, nodes: list[Node]) -> Callable[..., Any]:
        lines, results = code(self.graph[0], nodes)
        returned = answer.format(*results, rest=", ".join(results[1:]), last=", ".join(results[2:]))
        source = "\n    ".join([f"def compiled({', '.join(self.variables)}):", *lines, f"return {returned}"])
        scope = {**functions}
        exec(compile(source, "<formula>", "exec"), scope)  # written above, from checked expressions only
        compiled: Callable[..., Any] = scope["compiled"]
        return compiled


def _can_be_variable(name: str) -> bool:
    """A name that means nothing else in the code that is written."""
    return bool(re.fullmatch("[A-Za-z][A-Za-z0-9]*", name)) and not (keyword.iskeyword(name) or name in _MATH)


def _max(a: float, b: float) -> float:
    return a if a >= b else b if b > a else math.nan


def _min(a: float, b: float) -> float:
    return a if a <= b else b if b < a else math.nan


def _sign(a: float) -> float:
    return 1.0 if a > 0.0 else -1.0 if a < 0.0 else a * 0.0


def _defined(value: Any, *parts: Any) -> tuple[Any, ...]:
    """The parts, NaN where the value is."""
    undefined = np.isnan(value)
    return tuple(np.where(undefined, np.nan, part) for part in parts) if np.any(undefined) else parts


_LIMITS = {"inf": math.inf, "nan": math.nan, "defined": _defined, "__builtins__": {}}
_MATH = {name: getattr(math, name) for name in CALLS} | _LIMITS | {
    "abs": math.fabs, "max": _max, "min": _min, "sign": _sign, "power": math.pow,
}  # fmt: skip
_NUMPY = {name: getattr(np, name) for name in CALLS} | _LIMITS | {
    "abs": np.abs, "max": np.maximum, "min": np.minimum, "sign": np.sign, "power": np.power,
}  # fmt: skip
_VALUE_AND_GRADIENT = "{0}, ({rest},)"
#: the value, twice so that it has a name, is calculated before: it raises where it is not defined
_ALL = "({last},)"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscripted(text: str) -> str:
    """A text with x1 as x₁.

    >>> subscripted("x1 + x12**2")
    'x₁ + x₁₂**2'
    """
    return re.sub(r"\b([a-z])(\d+)\b", lambda name: name[1] + name[2].translate(_SUBSCRIPTS), text)


__all__ = ["Formula", "FormulaError", "subscripted"]
