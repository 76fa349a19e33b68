"""Formulas as a person, a cat on the keyboard or an attacker might type them; and what must hold for each of them."""

from __future__ import annotations

import math
import re
from time import process_time

import numpy as np
from hypothesis import strategies as st

from nnopt.errors import FormulaError
from nnopt.objectives import functions
from nnopt.objectives.formula_parser import MOST_CHARACTERS

_PARTS = [
    *(
        "x",
        "y",
        "z",
        "x1",
        "x2",
        "x3",
        "x20",
        "x21",
        "x0",
        "1",
        "2",
        "0",
        "0.5",
        "-1",
        "1e3",
        "1e308",
        "64",
        "65",
        "1_0",
    ),
    *("sin(", "cos(", "exp(", "log(", "sqrt(", "tanh(", "abs(", "max(", "min(", "(", ")", "pi", "e", "9999999"),
    *(
        "+",
        "-",
        "*",
        "/",
        "**",
        "^",
        ",",
        ".",
        ":",
        "[",
        "]",
        "=",
        "==",
        "%",
        "//",
        "_",
        '"',
        ";",
        "\\",
        "#",
        "\n",
        "\t",
    ),
    *("__import__", "lambda", "if", "else", "for", "import", "eval", "os", "''", "π", "√", "²", "−", "·", "×", " "),
]
_numbers = st.one_of(st.integers(0, 99).map(str), st.floats(0, 1e3).map(lambda x: f"{x:.3g}"))
_leaves = st.one_of(st.sampled_from(["x", "y", "z", "pi", "e"]), _numbers)
#: mostly valid ones
grown = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "^"]), inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        st.tuples(st.sampled_from(["sin", "cos", "exp", "log", "sqrt", "tanh", "abs"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
    ),
    max_leaves=12,
)
_typed = st.lists(st.sampled_from(_PARTS), max_size=25).map("".join)


def _spoil(text: str, slips: list[tuple[str, int, int, str]]) -> str:
    for kind, first, second, part in slips:
        low, high = sorted((first % (len(text) + 1), second % (len(text) + 1)))
        inserted = {"insert": part, "delete": "", "repeat": 2 * text[low:high], "replace": part, "turn": text[low:high]}
        text = text[:low] + inserted[kind][:: -1 if kind == "turn" else 1] + text[low if kind == "insert" else high :]
    return text


_places = st.integers(0, 60)
_slips = st.tuples(
    st.sampled_from(["insert", "delete", "repeat", "replace", "turn"]), _places, _places, st.sampled_from(_PARTS)
)
_spoilt = st.builds(_spoil, grown, st.lists(_slips, min_size=1, max_size=3))

_OPENING = ["(", "sin(", "exp(", "sqrt(", "abs(x-", "max(x,", "min(y,1,", "-", "+", "x**", "x^-(", "1/(", "((x+", "2*"]
_nested = st.builds(
    lambda openings, times, core, more: (
        "".join(openings) * times + core + ")" * max(0, "".join(openings).count("(") * times + more)
    ),
    st.lists(st.sampled_from(_OPENING), min_size=1, max_size=3),
    st.one_of(st.integers(1, 30), st.integers(31, 400)),
    _leaves,
    st.sampled_from([0, 0, 0, 0, 1, -1]),
)

_HUGE = ["9", "64", "65", "-64", "0", "0.5", "1e16", "1e308", "1e-308", "1e999", "1e-999", "9" * 200, f"0.{0:0200}1"]
_huge = st.lists(
    st.tuples(st.sampled_from([*_HUGE, "x", "y", "e"]), st.sampled_from(["**", "**", "^", "*", "/", "+", "-"])),
    min_size=2,
    max_size=8,
).map(lambda pairs: "".join(number + operator for number, operator in pairs)[: -len(pairs[-1][1])])

_many = st.lists(
    st.tuples(st.integers(1, 20), st.sampled_from(["{}", "{}", "sin({})", "({}+x{})", "max({},x{})", "sqrt({}/x{})"])),
    min_size=1,
    max_size=12,
).flatmap(
    lambda parts: st.sampled_from("*+-/^").map(
        lambda sign: sign.join(form.format(f"x{i}", 21 - i) for i, form in parts)
    )
)

#: what a formula is put into so that it becomes a program
PROGRAMS = [
    "{}.real", "({}).__class__.__bases__", "x.{}", "[{}]", "{{{}}}", "({})[0]", "[{} for x in y]",
    "{{x: {} for x in y}}", "lambda x: {}", "(lambda: {})()", "(x := {})", "x = {}", "x == {}", "{} if x else y",
    "not {}", "{} and x", "{} or x",
    "f'{{{}}}'", "'{}'", "print({})", "eval({})", "exec('{}')", "__import__('os').system({})", "getattr(x, {})",
    "open({})", "pow({}, 2)", "sum(({}, x))", "x({})", "sin({})(x)", "sin(x={})", "max(*{})", "max(**{})", "{} // 2",
    "{} % 2", "{} @ x", "{} << 9", "{} | x", "~{}", "{} < x", "{}; x", "{}, x", "{}\nimport os", "while {}: pass",
    "for x in {}: x", "import {}", "await {}", "yield {}", "x if {} else y", "{}!", "{}j", "0x{}", "1_0*{}", "...{}",
    "#{}", "{}#", "\\{}", "del {}", "None*{}", "True+{}", "__builtins__*{}", "_0+{}", "inf*{}", "nan+{}",
    "{}**__debug__",
]  # fmt: skip
_programs = st.builds(str.format, st.sampled_from(PROGRAMS), grown)

#: families of texts that together are whatever may be typed
KINDS = {
    "formulas": grown,
    "keys at random": _typed,
    "formulas with slips": _spoilt,
    "deep nesting": _nested,
    "towers and huge numbers": _huge,
    "many variables": _many,
    "programs": _programs,
    "text": st.text(max_size=60),
}
#: coordinates at which a function may be asked for
_COORDINATES = np.array([0.0, -0.0, 1.0, -1.0, 0.3, -2.7, 1e-300, 1e17, -1e308, math.inf, -math.inf, math.nan])


def holds(text: str) -> bool:
    """Check everything that must be true of any text; whether it is a formula."""
    start = process_time()
    refusal = _refusal(text)
    assert process_time() - start < 2
    if refusal is not None:
        _is_refused_where_it_is_wrong(text, refusal)
        return False
    f = functions.formula(text)
    size = f.size
    assert f.start.shape == (size,)
    assert np.isfinite(f.start).all()
    assert "*" not in f.formula_text
    points = np.random.default_rng(len(text)).choice(_COORDINATES, (3, size))
    points[0] = f.start
    values, hessians = f.values(points), f.hessians(points)
    assert values.shape == (3,)
    assert f.values(points, np.float32).dtype == np.float32
    for point, together, bends in zip(points, values, hessians, strict=True):
        value, gradient = f.value_and_gradient(point)
        hessian = f.hessian(point)
        assert isinstance(f.value(point), float)
        assert isinstance(value, float)
        assert (gradient.shape, gradient.dtype) == ((size,), np.float64)
        assert (hessian.shape, hessian.dtype) == ((size, size), np.float64)
        assert f.hvp(point, gradient).shape == (size,)
        assert np.array_equal(hessian, hessian.T, equal_nan=True)
        assert np.array_equal(bends, bends.T, equal_nan=True)
        if math.isfinite(value):
            assert math.isclose(together, value, rel_tol=1e-6, abs_tol=1e-6)
    # 200 bytes each: so many are 4 MB
    assert len(f.formula.graph[0].parts) < 20_000
    assert process_time() - start < 4
    return True


def _is_refused_where_it_is_wrong(text: str, refusal: FormulaError) -> None:
    """The caret stands below a character of the text, and what is before that is, as a beginning, in order."""
    assert refusal.text == text
    assert 0 <= refusal.position <= len(text)
    _, shown, caret = str(refusal).rsplit("\n", 2)
    pointed, printed = text[refusal.position : refusal.position + 1], shown[caret.index("^") : caret.index("^") + 1]
    assert printed == pointed or (not pointed.isprintable() and printed == " ") or (pointed, printed) == ("`", "'")
    # length and variables are looked at before the grammar is
    if len(text) > MOST_CHARACTERS or refusal.reason.startswith("expected variables"):
        return
    beginning = text[: refusal.position]
    first = _refusal(beginning)
    # in a beginning such as that of 1e308 + 1e308*9 other numbers meet than in the whole
    if first is not None and not re.search("too large|calculated|exponent|division", first.reason):
        assert first.position == len(beginning), (text, refusal.reason, first.reason)


def _refusal(text: str) -> FormulaError | None:
    try:
        functions.formula(text)
    except FormulaError as error:
        return error
    return None
