"""Expressions as a graph in which equal parts are one node, and their exact derivatives.

Below formulas (formula.py); formula_code.py writes them out. Nothing here recurses, and the derivatives are taken
backwards: the gradient of f costs a few nodes per node of f whatever the number of variables, so that neither time nor
memory can blow up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

#: the place of an expression in its graph
Node: TypeAlias = int

#: functions of one argument
CALLS = ("sin", "cos", "exp", "log", "sqrt", "tanh")
#: what is the same with its parts exchanged
_EITHER_ORDER = ("add", "mul", "max", "min")
#: powers of powers are multiplied out up to this exponent
_MERGED = 1024


class Graph:
    """Expressions of some variables, each kept once.

    An expression is (kind, *parts): ("num", value), ("var", name), ("add", a, b), ("mul", a, b), ("pow", a, integer),
    ("power", a, b) for any exponent, ("call", function, a), ("abs", a), ("sign", a), ("max", a, b), ("min", a, b);
    ("inverse", a): 1 / a, in code only. What an expression is made of has a smaller number than itself.

    Equal expressions are one node; numbers are folded. The gradient is taken backwards (Griewank & Walther 2008).

    >>> graph = Graph()
    >>> x, y = graph.var("x"), graph.var("y")
    >>> slopes = graph.gradient(graph.mul(x, y), [x, y])
    >>> [graph.parts[slope] for slope in slopes], graph.add(x, y) == graph.add(y, x)
    ([('var', 'y'), ('var', 'x')], True)
    """

    def __init__(self) -> None:
        self.parts: list[tuple[Any, ...]] = []
        self._known: dict[tuple[Any, ...], Node] = {}
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

    def num(self, value: float) -> Node:
        """A constant."""
        return self.node("num", value)

    def var(self, name: str) -> Node:
        """A variable."""
        return self.node("var", name)

    def add(self, a: Node, b: Node) -> Node:
        """a + b"""
        x, y = self.number(a), self.number(b)
        if x is not None and y is not None:
            return self.num(x + y)
        if x == 0.0 or y == 0.0:
            return b if x == 0.0 else a
        (c, same), (d, other) = self._factor(a), self._factor(b)
        return self.mul(self.num(c + d), same) if same == other else self.node("add", a, b)

    def subtract(self, a: Node, b: Node) -> Node:
        """a - b"""
        return self.add(a, self.negative(b))

    def negative(self, a: Node) -> Node:
        """-a"""
        return self.mul(self.num(-1.0), a)

    def mul(self, a: Node, b: Node) -> Node:
        """a * b, with one number at most, in front."""
        (c, a), (d, b) = self._factor(a), self._factor(b)
        number = c * d
        if number == 0.0:
            return self.zero
        product = b if a == self.one else a if b == self.one else self.node("mul", a, b)
        if number == 1.0:
            return product
        return self.num(number) if product == self.one else self.node("mul", self.num(number), product)

    def _factor(self, a: Node) -> tuple[float, Node]:
        match self.parts[a]:
            case ("num", value):
                return value, self.one
            case ("mul", b, c) if (value := self.number(b)) is not None:
                return value, c
        return 1.0, a

    def pow(self, a: Node, n: int) -> Node:
        """a ** n for an integer. Raises ZeroDivisionError, OverflowError for constants."""
        if n == 0:
            return self.one
        if n == 1:
            return a
        match self.parts[a]:
            case ("num", value):
                return self.num(value**n)
            case ("pow", b, m) if abs(m * n) <= _MERGED:
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

    def most(self, kind: str, a: Node, b: Node) -> Node:
        """The "max" or "min" of both."""
        x, y = self.number(a), self.number(b)
        if a == b:
            return a
        if x is not None and y is not None:
            return self.num(max(x, y) if kind == "max" else min(x, y))
        return self.node(kind, a, b)

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
