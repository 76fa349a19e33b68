"""Expressions of a graph (formula_graph.py) as straight-line Python in which every common part is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from nnopt.objectives.formula_graph import Graph, Node

#: brackets within brackets in the code that is written
_NESTED = 12


def code(graph: Graph, nodes: Sequence[Node]) -> tuple[list[str], list[str]]:
    """(assignments, results) that compute these expressions: what is used more than once has a name.

    >>> graph = Graph()
    >>> x = graph.var("x")
    >>> square = graph.mul(x, x)
    >>> code(graph, [graph.call("exp", square), square])
    (['_0 = x * x'], ['(exp(_0))', '_0'])
    """
    targets = _lowered(graph, nodes)
    order = graph.reached(targets)
    uses = dict.fromkeys(order, 0)
    for used in (*targets, *(part for node in order for part in graph.below(node))):
        uses[used] += 1
    lines: list[str] = []
    written: dict[Node, str] = {}
    depth: dict[Node, int] = {}
    for node in order:
        kind, *rest = graph.parts[node]
        depth[node] = 0
        if kind in ("num", "var"):
            written[node] = repr(rest[0]) if kind == "num" else rest[0]
            continue
        text = _text(graph, node, written, uses)
        depth[node] = 1 + max(depth[part] for part in graph.below(node))
        if uses[node] > 1 or depth[node] > _NESTED:
            written[node], depth[node] = f"_{len(lines)}", 0
            lines.append(f"{written[node]} = {text}")
        else:
            written[node] = f"({text})"
    return lines, [written[node] for node in targets]


def _lowered(graph: Graph, nodes: Sequence[Node]) -> list[Node]:
    """Powers as products and inverses: x * x costs a fifth of x ** 2 and overflows to inf instead of raising."""
    known: dict[Node, Node] = {}
    for node in graph.reached(nodes):
        match graph.parts[node]:
            case ("pow", a, n):
                power = _product(graph, known[a], abs(n))
                known[node] = power if n > 0 else graph.node("inverse", power)
            case ("num" | "var", _):
                known[node] = node
            case ("call", function, a):
                known[node] = graph.node("call", function, known[a])
            case (kind, *rest):
                known[node] = graph.node(kind, *(known[a] for a in rest))
    return [known[node] for node in nodes]


def _product(graph: Graph, a: Node, n: int) -> Node:
    """a ** n for n >= 1, by squaring."""
    if n == 1:
        return a
    half = _product(graph, a, n // 2)
    square = graph.node("mul", half, half)
    return graph.node("mul", square, a) if n % 2 else square


def _text(graph: Graph, node: Node, written: dict[Node, str], uses: dict[Node, int]) -> str:
    kind, *rest = graph.parts[node]
    if kind == "call":
        return f"{rest[0]}({written[rest[1]]})"
    names = [written[part] for part in rest]
    both = ((rest[1], names[0]), (rest[0], names[1])) if len(rest) == 2 else ()
    if kind == "add":
        for b, other in both:
            below, *parts = graph.parts[b]
            if below == "mul" and graph.number(parts[0]) == -1.0 and uses[b] == 1:
                return f"{other} - {written[parts[1]]}"
        return " + ".join(names)
    if kind == "mul":
        if graph.number(rest[0]) == -1.0:
            return f"-{names[1]}"
        for b, other in both:
            if graph.parts[b][0] == "inverse" and uses[b] == 1:
                return f"{other} / {written[graph.parts[b][1]]}"
        return " * ".join(names)
    if kind in ("max", "min"):
        return reduce(lambda found, name: f"{kind}({found}, {name})", names)
    return f"1.0 / {names[0]}" if kind == "inverse" else f"{kind}({', '.join(names)})"
