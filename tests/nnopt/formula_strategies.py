"""Formulas as a person, a cat on the keyboard or an attacker might type them; and what must hold for each of them."""

from __future__ import annotations

import math
from time import process_time

import numpy as np
from hypothesis import strategies as st

from nnopt.objectives import functions
from nnopt.objectives.formula_parser import FormulaError

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
_spoilt = st.tuples(grown, st.integers(0, 200), st.sampled_from(_PARTS)).map(
    lambda t: t[0][: t[1] % (len(t[0]) + 1)] + t[2] + t[0][t[1] % (len(t[0]) + 1) :]
)
_repeated = st.tuples(st.sampled_from(_PARTS), st.integers(0, 400)).map(lambda t: t[0] * t[1] + "x")
#: anything
texts = st.one_of(grown, _typed, _spoilt, _repeated, st.text(max_size=60))


def holds(text: str) -> bool:
    """Check everything that must be true of any text; whether it is a formula."""
    start = process_time()
    refusal = None
    try:
        f = functions.formula(text)
    except FormulaError as error:
        refusal = error
    assert process_time() - start < 2
    if refusal is not None:
        assert 0 <= refusal.position <= len(text)
        assert refusal.text == text
        assert str(refusal).splitlines()[-1].strip() == "^"
        return False
    size = f.size
    point = f.start
    assert point.shape == (size,)
    assert isinstance(f.value(point), float)
    value, gradient = f.value_and_gradient(point)
    assert gradient.shape == (size,)
    assert gradient.dtype == np.float64
    hessian = f.hessian(point)
    assert hessian.shape == (size, size)
    np.testing.assert_array_equal(hessian, hessian.T)
    several = f.values(np.stack([point, 0 * point]))
    assert several.shape == (2,)
    assert math.isclose(several[0], value, rel_tol=1e-6, abs_tol=1e-6 * (1 + abs(value))) or not math.isfinite(value)
    assert "*" not in f.formula_text
    assert process_time() - start < 4
    return True
