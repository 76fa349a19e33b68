"""Formulas are typed by anyone, and arrive in files by anyone: none may crash, hang, fill the memory or do anything."""

import signal
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from formula_strategies import KINDS, PROGRAMS, holds
from hypothesis import HealthCheck, given, settings

from nnopt.errors import FormulaError, NnoptError, SettingsError
from nnopt.objectives import functions
from nnopt.objectives.formula import Formula

#: how many texts of each kind are tried; 10,000 in all
CASES = {
    "formulas": 1300,
    "keys at random": 1650,
    "formulas with slips": 1600,
    "deep nesting": 900,
    "towers and huge numbers": 1300,
    "many variables": 250,
    "programs": 1300,
    "text": 1700,
}
#: the texts that cost most: 20 variables, a thousand characters
COSTLY = {
    "product": "*".join(f"x{i % 20 + 1}" for i in range(282)),
    "quotient": "/".join(f"x{7 * i % 20 + 1}" for i in range(282)),
    "powers": "*".join(f"(x{i % 20 + 1}+x{7 * i % 20 + 1})**63" for i in range(65)),
    "towers": "*".join("^".join(f"x{(5 * i + k) % 20 + 1}" for k in range(45)) for i in range(6)),
    "maxima": "max(" + ",".join(f"x{3 * i % 20 + 1}*x{i * i % 20 + 1}" for i in range(130)) + ")",
}


@contextmanager
def seconds(limit):
    """Interrupt what takes longer, in time of the processor; where the system cannot, the time is not limited."""

    def stop(*_):
        raise AssertionError(f"expected an answer within {limit} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def memory(most):
    """Append to `most` how many bytes were in use at once, of those taken inside."""
    tracemalloc.start()
    try:
        yield
        most.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_is_a_formula_that_can_be_evaluated_anywhere_or_is_refused_where_it_is_wrong(kind):
    tried = 0
    found = set()

    @settings(max_examples=CASES[kind], suppress_health_check=list(HealthCheck))
    @given(KINDS[kind])
    def try_one(text):
        nonlocal tried
        tried += 1
        with seconds(5):
            found.add(holds(text))

    try_one()
    assert tried >= CASES[kind]
    assert sum(CASES.values()) == 10_000
    assert True in found or kind in ("programs", "text")
    assert False in found or kind in ("formulas", "many variables")
    assert kind != "programs" or True not in found


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_around_a_formula_is_refused_at_a_character_of_it(program):
    for formula in ("x", "sin(x)*y", "2"):
        text = program.format(formula)
        with pytest.raises(FormulaError, match=r"at character \d+\n") as caught:
            functions.formula(text)
        assert 0 <= caught.value.position < len(text)


def test_the_code_of_a_formula_knows_its_own_functions_and_nothing_of_python():
    formula = Formula("sin(x) + cos(x)*exp(x) - log(x)/sqrt(x) + tanh(x)**max(x, min(x, 2))**abs(x)", ("x",))
    compiled = (
        formula.value, formula.value_and_gradient, formula.hessian,
        formula.value_of_arrays, formula.value_and_gradient_of_arrays, formula.hessian_of_arrays,
    )  # fmt: skip
    allowed = {"sin", "cos", "exp", "log", "sqrt", "tanh", "abs", "max", "min", "sign", "power", "inf", "nan"}
    allowed.add("defined")  # NaN where the value is
    for function in compiled:
        assert function.__globals__["__builtins__"] == {}
        assert set(function.__globals__) - {"__builtins__", "compiled"} == allowed
        assert set(function.__code__.co_names) <= allowed
        assert all(isinstance(constant, float | None) for constant in function.__code__.co_consts)


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_the_costliest_formulas_take_seconds_and_megabytes(text):
    assert 800 < len(text) <= 1000
    points = np.random.default_rng(0).uniform(0.1, 1, (4000, 20))
    with seconds(10):
        f = functions.formula(text)
        f.value_and_gradient(f.start)
        f.hessian(f.start)
        compiled = f.formula.hessian_of_arrays
    # some 300 bytes each
    assert len(f.formula.graph[0].parts) < 80_000
    sizes = []

    def watched(*columns):
        sizes.append(columns[0].nbytes)
        return compiled(*columns)

    f.formula.__dict__["hessian_of_arrays"] = watched
    with seconds(10):
        f.hessians(points)
    # every intermediate result is kept until the end (tracemalloc would take minutes in a function of so many lines)
    assert sum(sizes) == 8 * len(points)
    assert max(sizes) * compiled.__code__.co_nlocals < 100e6


def test_as_many_points_as_are_wanted_are_evaluated_without_more_memory_than_the_values_take():
    f = functions.formula(COSTLY["powers"])
    points = np.random.default_rng(0).uniform(0.1, 1, (20_000, 20))
    f.values(points[:1])
    with memory(traced := []):
        values = f.values(points)
    assert traced[0] < 10e6
    for k in (0, 4095, 4096, 19_999):
        assert values[k] == pytest.approx(f.value(points[k]), rel=1e-12)


def test_many_points_have_the_hessians_of_single_ones():
    f = functions.formula("exp(x*y)*sin(z)")
    points = np.random.default_rng(0).uniform(-1, 1, (3000, 3))
    hessians = f.hessians(points)
    for k in (0, 1023, 1024, 2999):
        np.testing.assert_allclose(hessians[k], f.hessian(points[k]), rtol=1e-12, atol=1e-14)
    assert f.values(points[:0]).shape == (0,)
    assert f.hessians(points[:0]).shape == (0, 3, 3)


@pytest.mark.parametrize(
    "names", [("x", "x"), ("x=print(1)",), ("_0",), ("sin",), ("power",), ("if",), ("",), ("x y",), ("ä",), ()]
)
def test_names_that_cannot_be_variables_are_refused(names):
    with pytest.raises(SettingsError, match="expected variables as different names"):
        Formula("1", names)


def test_a_number_too_large_for_single_precision_is_infinite_and_no_warning():
    assert functions.get("rosenbrock").values([[1e308, 1.0]], np.float32).tolist() == [np.inf]


def test_a_refused_formula_is_an_error_of_ours_and_of_the_settings():
    with pytest.raises(NnoptError) as caught:
        functions.formula("x +")
    assert isinstance(caught.value, SettingsError)
    assert type(caught.value) is FormulaError
    assert FormulaError.__module__ == "nnopt.errors"
