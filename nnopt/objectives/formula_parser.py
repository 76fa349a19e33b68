"""What a person types becomes an expression: a small parser that knows formulas and nothing else.

    sum     = product {("+" | "-") product}           power = part [("**" | "^") signed]
    product = signed {("*" | "/") signed}              part  = number | name | name "(" sum {"," sum} ")" | "(" sum ")"
    signed  = ("+" | "-") signed | power

The text is never given to Python. Everything that is not in this grammar, and whatever would blow up, is refused with
the character at which it stands.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import NamedTuple

from nnopt.errors import FormulaError
from nnopt.objectives.formula_graph import CALLS, Graph, Node
from nnopt.shown import beside

CONSTANTS = {"pi": math.pi, "e": math.e}
#: functions that take two arguments or more
MANY = ("max", "min")
FUNCTIONS = (*CALLS, "abs", *MANY)
#: a text of a user: characters, brackets within brackets, and a constant exponent's size, at most
MOST_CHARACTERS = 1000
MOST_DEPTH = 50
MOST_POWER = 64
#: letters that are variables, and how many of x1, x2, ... there may be
LETTERS = ("x", "y", "z")
MOST_VARIABLES = 20
ANY_VARIABLES = "x, y, z or x1, x2, ..."

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign>\*\*|[-+*/^(),−·×])|(?P<other>\S)"
)
_SAME = {"−": "-", "·": "*", "×": "*", "^": "**"}


def variables_of(text: str) -> tuple[str, ...]:
    """The variables of a text that a user typed: x, y, z up to the last one that occurs, or x1 .. xn up to the highest.

    x alone if none occurs.

    >>> variables_of("(1 - x)**2 + y"), variables_of("x3**2"), variables_of("1")
    (('x', 'y'), ('x1', 'x2', 'x3'), ('x',))

    Raises: FormulaError where both kinds are mixed, there are more than 20, or the text is too long.
    """
    if len(text) > MOST_CHARACTERS:
        reason = f"expected at most {MOST_CHARACTERS:,} characters, got {len(text):,}"
        raise FormulaError(text, MOST_CHARACTERS, reason)
    tokens = _tokens_of(text)
    names = [token for token in tokens if token.kind == "name"]
    letters = [token for token in names if token.text in LETTERS]
    numbered = [token for token in names if re.fullmatch(r"x[1-9][0-9]*", token.text)]
    if letters and numbered:
        first, second = letters[0].text, numbered[0].text
        place = max(letters[0], numbered[0], key=lambda token: token.position).position
        raise FormulaError(text, place, f"expected variables {ANY_VARIABLES}, got both {first} and {second}")
    for token in numbered:
        if len(token.text) > 5 or int(token.text[1:]) > MOST_VARIABLES:
            raise FormulaError(text, token.position, f"expected variables x1 .. x{MOST_VARIABLES}, got {token.text}")
    if numbered:
        count = max(int(token.text[1:]) for token in numbered)
        return tuple(f"x{i}" for i in range(1, count + 1))
    return LETTERS[: 1 + max((LETTERS.index(token.text) for token in letters), default=0)]


def parse(text: str, variables: Sequence[str], graph: Graph, known: str = "") -> Node:
    """The expression in `graph` that a text stands for. known: the variables in words, for messages.

    Raises: FormulaError pointing at the character that is wrong.

    >>> graph = Graph()
    >>> graph.number(parse("2*3 + 1", (), graph)), graph.parts[parse("2*x/2", ("x",), graph)]
    (7.0, ('var', 'x'))
    """
    if len(text) > MOST_CHARACTERS:
        raise FormulaError(text, MOST_CHARACTERS, f"expected at most {MOST_CHARACTERS:,} characters, got {len(text):,}")
    return _Parser(text, tuple(variables), graph, known or ", ".join(variables)).whole()


class _Token(NamedTuple):
    """kind: "number", "name", "sign", "end", or "other" for what can be no part of a formula. text: as it is meant
    ("**" for "^"). position: its first character."""

    kind: str
    text: str
    position: int


def _tokens_of(text: str) -> list[_Token]:
    """The parts of a text, an "end" last."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        found.append(_Token(kind, _SAME.get(match[0], match[0]), match.start()))
    return [*found, _Token("end", "", len(text))]


class _Parser:
    def __init__(self, text: str, variables: tuple[str, ...], graph: Graph, known: str) -> None:
        self.text = text
        self.variables = variables
        self.known = known
        self.graph = graph
        self.tokens = _tokens_of(text)
        self.next = 0
        self.depth = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def taken(self, *texts: str) -> _Token | None:
        """The next token, if it is one of these signs."""
        token = self.token
        if token.kind != "sign" or token.text not in texts:
            return None
        self.next += 1
        return token

    def expected(self, what: str, hint: str = "") -> FormulaError:
        token = self.token
        if token.kind == "other":
            hint = ": type what stands to the right of it only" if token.text == "=" else ""
            return FormulaError(self.text, token.position, f"{token.text!r} does not belong in a formula{hint}")
        found = "the end" if token.kind == "end" else repr(token.text)
        return FormulaError(self.text, token.position, f"expected {what}, found {found}{hint}")

    def made(self, make: Callable[..., Node], *given: object, at: _Token) -> Node:
        """A constant or an expression; one that cannot be calculated is refused where it stands."""
        try:
            node = make(*given)
        except (ArithmeticError, ValueError):
            raise FormulaError(self.text, at.position, f"{at.text!r} cannot be calculated for these numbers") from None
        value = self.graph.number(node)
        if value is not None and not math.isfinite(value):
            raise FormulaError(self.text, at.position, "the number is too large")
        return node

    def whole(self) -> Node:
        node = self.sum()
        if self.token.kind == "end":
            return node
        if self.token.kind in ("name", "number") or self.token.text == "(":
            raise self.expected("an operator", " (a product is written with *)")
        raise self.expected("an operator or the end")

    def sum(self) -> Node:
        node = self.product()
        while sign := self.taken("+", "-"):
            make = self.graph.add if sign.text == "+" else self.graph.subtract
            node = self.made(make, node, self.product(), at=sign)
        return node

    def product(self) -> Node:
        node = self.signed()
        while sign := self.taken("*", "/"):
            other = self.signed()
            if sign.text == "/":
                if self.graph.number(other) == 0.0:
                    raise FormulaError(self.text, sign.position, "division by zero")
                other = self.made(self.graph.pow, other, -1, at=sign)
            node = self.made(self.graph.mul, node, other, at=sign)
        return node

    def signed(self) -> Node:
        sign = self.taken("+", "-")
        if sign is None:
            return self.power()
        with self.deeper():
            node = self.signed()
        return node if sign.text == "+" else self.graph.negative(node)

    def power(self) -> Node:
        base_at = self.token
        base = self.part()
        sign = self.taken("**")
        if sign is None:
            return base
        at = self.token
        with self.deeper():
            exponent = self.signed()
        size, number = self.graph.number(exponent), self.graph.number(base)
        if size is not None and abs(size) > MOST_POWER:
            at_most = math.copysign(MOST_POWER, size)
            raise FormulaError(
                self.text, at.position, f"expected an exponent up to {MOST_POWER}, got {beside(size, at_most)}"
            )
        whole = size is not None and size.is_integer()
        if number is not None and not whole and number <= 0.0:
            reason = f"expected a base above 0 for an exponent that is not a whole number, got {number:g}"
            raise FormulaError(self.text, base_at.position, reason)
        if number == 0.0 and size is not None and size < 0.0:
            raise FormulaError(self.text, sign.position, "division by zero")
        return self.made(self.graph.power, base, exponent, at=sign)

    def part(self) -> Node:
        token = self.token
        if token.kind == "number":
            self.next += 1
            value = float(token.text)
            exact = Fraction(token.text) if value and math.isfinite(value) else None
            return self.made(self.graph.num, value, exact, at=token)
        if token.kind == "name":
            self.next += 1
            return self.named(token)
        if self.taken("("):
            with self.deeper():
                node = self.sum()
            self.close("an operator or ')'")
            return node
        raise self.expected("a number, a variable, a function or '('")

    def named(self, token: _Token) -> Node:
        name = token.text
        if name in self.variables:
            return self.graph.var(name)
        if name in CONSTANTS:
            return self.graph.num(CONSTANTS[name])
        if name in FUNCTIONS:
            return self.called(token)
        near = difflib.get_close_matches(name, (*FUNCTIONS, *self.variables), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        shown = name if len(name) <= 30 else name[:27] + "..."
        known = f"variables: {self.known}; functions: {', '.join(FUNCTIONS)}; pi, e"
        raise FormulaError(self.text, token.position, f"{shown!r} is not known{hint} ({known})")

    def called(self, token: _Token) -> Node:
        name = token.text
        if not self.taken("("):
            raise self.expected(f"'(' after {name}")
        with self.deeper():
            arguments = [self.sum()]
            while self.taken(","):
                arguments.append(self.sum())
        self.close("an operator, ',' or ')'" if name in MANY else "an operator or ')'")
        if name not in MANY and len(arguments) > 1:
            raise FormulaError(self.text, token.position, f"{name} takes one argument, got {len(arguments)}")
        if name in MANY and len(arguments) < 2:
            raise FormulaError(self.text, token.position, f"{name} takes two arguments or more, got 1")
        if name == "abs":
            return self.graph.abs(arguments[0])
        if name not in MANY:
            return self.made(self.graph.call, name, arguments[0], at=token)
        return self.graph.most(name, *arguments)

    def close(self, otherwise: str) -> None:
        if not self.taken(")"):
            hint = " (a product is written with *)" if self.token.kind in ("name", "number") else ""
            raise self.expected(otherwise, hint)

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level further inside."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise FormulaError(self.text, self.token.position, f"nested more than {MOST_DEPTH} levels deep")
        yield
        self.depth -= 1
