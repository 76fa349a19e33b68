"""Expressions as a graph in which equal parts are one node, and their exact derivatives.

Below formulas (formula.py); formula_code.py writes them out. Nothing here recurses, and the derivatives are taken
backwards: the gradient of f costs a few nodes per node of f whatever the number of variables, so that neither time nor
memory can blow up.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

#: the place of an expression in its graph
Node: TypeAlias = int

#: functions of one argument
CALLS = ("sin", "cos", "exp", "log", "sqrt", "tanh")
#: what is the same with its parts exchanged
_EITHER_ORDER = ("add", "mul", "max", "min")
#: what is undefined for some numbers; the others of CALLS are defined for all
_PARTLY = ("log", "sqrt")
#: digits of a rational constant's numerator and denominator, in bits
_EXACT_BITS = 4096
#: powers of powers are multiplied out up to this exponent
_MERGED = 1024


class Graph:
    """Expressions of some variables, each kept once.

    An expression is (kind, *parts): ("num", value), ("var", name), ("add", a, b), ("mul", a, b), ("pow", a, integer),
    ("power", a, b) for any exponent, ("call", function, a), ("abs", a), ("sign", a), ("max", a, b, ...),
    ("min", a, b, ...); ("inverse", a): 1 / a, in code only. What an expression is made of has a smaller number than
    itself.

    Equal expressions are one node; numbers are folded, as rational ones, so that 49 / 49 is 1. What is left out does
    not widen the domain: log(x) - log(x) is 0 * log(x), undefined where log(x) is. The gradient is taken backwards
    (Griewank & Walther 2008).

    >>> graph = Graph()
    >>> x, y = graph.var("x"), graph.var("y")
    >>> slopes = graph.gradient(graph.mul(x, y), [x, y])
    >>> [graph.parts[slope] for slope in slopes], graph.add(x, y) == graph.add(y, x)
    ([('var', 'y'), ('var', 'x')], True)
    """

    def __init__(self) -> None:
        self.parts: list[tuple[Any, ...]] = []
        self._known: dict[tuple[Any, ...], Node] = {}
        self._exact: dict[Node, Fraction] = {}
        self._total: dict[Node, bool] = {}
        self.zero = self.num(0.0)
        self.one = self.num(1.0)

    def node(self, *part: Any) -> Node:
        """The expression with exactly these parts: kind and what belongs to it."""
        kind, *rest = part
        if kind in _EITHER_ORDER:
            rest.sort()
        # 0.0 == -0.0 and nan != nan: numbers are told apart by what is written
        found = self._known.setdefault((kind, repr(rest[0])) if kind == "num" else (kind, *rest), len(self.parts))
        if found == len(self.parts):
            self.parts.append(part)
        return found

    def number(self, a: Node) -> float | None:
        """The value of a constant, None for anything else."""
        kind, *rest = self.parts[a]
        return rest[0] if kind == "num" else None

    # ---- making expressions

    def num(self, value: float, exact: Fraction | None = None) -> Node:
        """A constant. exact: what it was rounded from."""
        node = self.node("num", value)
        if exact is not None and max(exact.numerator.bit_length(), exact.denominator.bit_length()) <= _EXACT_BITS:
            self._exact.setdefault(node, exact)
        return node

    def _folded(self, make: Callable[[Any, Any], Any], a: Node, b: Node) -> Node:
        """The constant that `make`, a sum or product, gives of two others."""
        value = make(self.number(a), self.number(b))
        if not math.isfinite(value):
            return self.num(value)
        exact = make(self._fraction(a), self._fraction(b))
        return self.num(float(exact), exact)

    def _fraction(self, a: Node) -> Fraction:
        return self._exact[a] if a in self._exact else Fraction(self.parts[a][1])

    def total(self, a: Node) -> bool:
        """Whether an expression is certain to be defined whatever its variables are."""
        for node in self.reached([a]) if a not in self._total else ():
            kind, *rest = self.parts[node]
            partly = kind == "power" or (kind == "pow" and rest[1] < 0) or (kind == "call" and rest[0] in _PARTLY)
            self._total[node] = not partly and all(self._total[part] for part in self.below(node))
        return self._total[a]

    def nothing(self, a: Node) -> Node:
        """0, where a is defined."""
        return self.zero if self.total(a) else self.node("mul", self.zero, a)

    def var(self, name: str) -> Node:
        """A variable."""
        return self.node("var", name)

    def add(self, a: Node, b: Node) -> Node:
        """a + b"""
        x, y = self.number(a), self.number(b)
        if x is not None and y is not None:
            return self._folded(operator.add, a, b)
        if x == 0.0 or y == 0.0:
            return b if x == 0.0 else a
        (c, same), (d, other) = self._factor(a), self._factor(b)
        return self.mul(self._folded(operator.add, c, d), same) if same == other else self.node("add", a, b)

    def subtract(self, a: Node, b: Node) -> Node:
        """a - b"""
        return self.add(a, self.negative(b))

    def negative(self, a: Node) -> Node:
        """-a"""
        return self.mul(self.num(-1.0), a)

    def mul(self, a: Node, b: Node) -> Node:
        """a * b, with one number at most, in front."""
        (c, a), (d, b) = self._factor(a), self._factor(b)
        number = self._folded(operator.mul, c, d)
        product = b if a == self.one else a if b == self.one else self.node("mul", a, b)
        if self.number(number) == 0.0:
            return self.nothing(product)
        if number == self.one:
            return product
        return number if product == self.one else self.node("mul", number, product)

    def _factor(self, a: Node) -> tuple[Node, Node]:
        """The constant in front, and the rest."""
        match self.parts[a]:
            case ("num", _):
                return a, self.one
            case ("mul", b, c) if self.number(b) is not None:
                return b, c
        return self.one, a

    def pow(self, a: Node, n: int) -> Node:
        """a ** n for an integer. Raises ZeroDivisionError, OverflowError for constants."""
        if n == 0:
            return self.add(self.one, self.nothing(a))
        if n == 1:
            return a
        match self.parts[a]:
            case ("num", value):
                small = abs(n) * self._fraction(a).denominator.bit_length() <= _EXACT_BITS
                return self.num(value**n, self._fraction(a) ** n if small else None)
            # 1 / (1 / x) is not defined at 0, x is
            case ("pow", b, m) if abs(m * n) <= _MERGED and not (m < 0 and n < 0):
                return self.pow(b, m * n)
        return self.node("pow", a, n)

    def power(self, a: Node, b: Node) -> Node:
        """a ** b, real for a > 0. Raises ValueError, OverflowError for constants."""
        base, exponent = self.number(a), self.number(b)
        if base is not None and exponent is not None:
            return self.num(math.pow(base, exponent))
        if exponent is not None and exponent.is_integer() and abs(exponent) <= _MERGED:
            return self.pow(a, int(exponent))
        if exponent == 0.5:
            return self.call("sqrt", a)
        if base is not None and base > 0.0:
            return self.call("exp", self.mul(self.num(math.log(base)), b))
        return self.node("power", a, b)

    def call(self, function: str, a: Node) -> Node:
        """One of CALLS. Raises ValueError, OverflowError for constants."""
        value = self.number(a)
        return self.node("call", function, a) if value is None else self.num(getattr(math, function)(value))

    def abs(self, a: Node) -> Node:
        """|a|"""
        value = self.number(a)
        return self.node("abs", a) if value is None else self.num(math.fabs(value))

    def sign(self, a: Node) -> Node:
        """-1, 0 or 1."""
        value = self.number(a)
        return self.node("sign", a) if value is None else self.num(float((value > 0) - (value < 0)))

    def most(self, kind: str, *given: Node) -> Node:
        """The "max" or "min" of all, each of them once."""
        parts = {part for a in given for part in (self.below(a) if self.parts[a][0] == kind else (a,))}
        numbers = {a for a in parts if self.number(a) is not None}
        if numbers:
            choose = max if kind == "max" else min
            parts = parts - numbers | {choose(numbers, key=lambda a: self.parts[a][1])}
        return self.node(kind, *sorted(parts)) if len(parts) > 1 else parts.pop()

    # ---- derivatives

    def reached(self, nodes: Iterable[Node]) -> list[Node]:
        """Everything that these expressions are made of, in ascending order."""
        seen: set[Node] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting.extend(self.below(node))
        return sorted(seen)

    def below(self, node: Node) -> tuple[Node, ...]:
        """The expressions that one is made of."""
        match self.parts[node]:
            case ("num" | "var", _):
                return ()
            case ("pow", a, _) | ("call", _, a):
                return (a,)
            case (_, *rest):
                return tuple(rest)
        raise TypeError(self.parts[node])

    def gradient(self, node: Node, variables: Sequence[Node]) -> list[Node]:
        """The partial derivatives of an expression, by going backwards through it once."""
        slopes: dict[Node, Node] = {node: self.one}

        def pull(a: Node, slope: Node) -> None:
            slopes[a] = self.add(slopes[a], slope) if a in slopes else slope

        for part in reversed(self.reached([node])):
            slope = slopes.get(part, self.zero)
            if slope != self.zero:
                self._pull(part, slope, pull)
        return [slopes.get(variable, self.zero) for variable in variables]

    def _pull(self, node: Node, slope: Node, pull: Callable[[Node, Node], None]) -> None:
        """Hand the slope of the whole in `node` down to what node is made of."""
        match self.parts[node]:
            case ("add", a, b):
                pull(a, slope)
                pull(b, slope)
            case ("mul", a, b):
                pull(a, self.mul(slope, b))
                pull(b, self.mul(slope, a))
            case ("pow", a, n):
                pull(a, self.mul(slope, self.mul(self.num(float(n)), self.pow(a, n - 1))))
            case ("power", a, b):
                pull(a, self.mul(slope, self.mul(b, self.power(a, self.subtract(b, self.one)))))
                if self.number(b) is None:
                    pull(b, self.mul(slope, self.mul(node, self.call("log", a))))
            case ("call", function, a):
                pull(a, self.mul(slope, self._outer(function, node, a)))
            case ("abs", a):
                pull(a, self.mul(slope, self.sign(a)))
            case ("max" | "min" as kind, a, b):
                # halves where both are equal, so that max(x, -x) is |x| in its derivative too
                half = self.mul(self.num(0.5), self.sign(self.subtract(a, b)))
                half = half if kind == "max" else self.negative(half)
                pull(a, self.mul(slope, self.add(self.num(0.5), half)))
                pull(b, self.mul(slope, self.subtract(self.num(0.5), half)))
            case ("max" | "min" as kind, *several):
                # 1 for each that is the largest, shared among them
                ends = [(a, node) if kind == "max" else (node, a) for a in several]
                chosen = [self.add(self.one, self.sign(self.subtract(*both))) for both in ends]
                count = chosen[0]
                for one in chosen[1:]:
                    count = self.add(count, one)
                for a, one in zip(several, chosen, strict=True):
                    pull(a, self.mul(slope, self.mul(one, self.pow(count, -1))))

    def _outer(self, function: str, call: Node, a: Node) -> Node:
        match function:
            case "sin":
                return self.call("cos", a)
            case "cos":
                return self.negative(self.call("sin", a))
            case "exp":
                return call
            case "log":
                return self.pow(a, -1)
            case "sqrt":
                return self.mul(self.num(0.5), self.pow(call, -1))
            case _:  # tanh
                return self.subtract(self.one, self.pow(call, 2))
