"""Functions typed by the user: usable wherever a built-in one is, exact, and never dangerous."""

import json
import math
import pickle

import numpy as np
import pytest
from formula_strategies import grown
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import nnopt
from nnopt import optimizers
from nnopt.errors import FormulaError, SettingsError, SpecError
from nnopt.objectives import functions
from nnopt.objectives.function_user_formula import UserFormula
from nnopt.runs.experiment import Experiment, FunctionProblem, Method, dumps, loads, set_path
from nnopt.runs.run import Run


class Dual:
    """f + a e1 + b e2 + c e1 e2 with e1^2 = e2^2 = 0: exact first and second derivatives, independent of ours."""

    def __init__(self, f, a=0.0, b=0.0, c=0.0):
        self.f, self.a, self.b, self.c = f, a, b, c

    def through(self, f, slope, bend):
        return Dual(f, slope * self.a, slope * self.b, slope * self.c + bend * self.a * self.b)

    @staticmethod
    def of(x):
        return x if isinstance(x, Dual) else Dual(float(x))

    def __add__(self, other):
        o = Dual.of(other)
        return Dual(self.f + o.f, self.a + o.a, self.b + o.b, self.c + o.c)

    def __mul__(self, other):
        o = Dual.of(other)
        mixed = self.c * o.f + self.a * o.b + self.b * o.a + self.f * o.c
        return Dual(self.f * o.f, self.a * o.f + self.f * o.a, self.b * o.f + self.f * o.b, mixed)

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -Dual.of(other)

    def __rsub__(self, other):
        return Dual.of(other) - self

    def __truediv__(self, other):
        o = Dual.of(other)
        return self * o.through(1 / o.f, -1 / o.f**2, 2 / o.f**3)

    def __rtruediv__(self, other):
        return Dual.of(other) / self

    def __pow__(self, other):
        if isinstance(other, Dual):
            return exp(other * log(self))
        n = float(other)
        if n.is_integer() and n >= 0:
            result = Dual(1.0)
            for _ in range(int(n)):
                result = result * self
            return result
        return self.through(self.f**n, n * self.f ** (n - 1), n * (n - 1) * self.f ** (n - 2))

    def __rpow__(self, other):
        return exp(self * math.log(other))

    __radd__ = __add__
    __rmul__ = __mul__


def exp(x):
    x = Dual.of(x)
    return x.through(math.exp(x.f), math.exp(x.f), math.exp(x.f))


def log(x):
    x = Dual.of(x)
    return x.through(math.log(x.f), 1 / x.f, -1 / x.f**2)


def tanh(x):
    x = Dual.of(x)
    t = math.tanh(x.f)
    return x.through(t, 1 - t * t, -2 * t * (1 - t * t))


def sqrt(x):
    x = Dual.of(x)
    root = math.sqrt(x.f)
    return x.through(root, 0.5 / root, -0.25 / root**3)


def larger(x, y):
    """x > y; at a kink, or as good as at one, there is no derivative to compare: test_formula.py looks at those."""
    a, b = Dual.of(x).f, Dual.of(y).f
    if abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1.0):
        raise ArithmeticError("a kink")
    return a > b


NAMES = {
    "exp": exp,
    "log": log,
    "tanh": tanh,
    "sqrt": sqrt,
    "sin": lambda x: Dual.of(x).through(math.sin(Dual.of(x).f), math.cos(Dual.of(x).f), -math.sin(Dual.of(x).f)),
    "cos": lambda x: Dual.of(x).through(math.cos(Dual.of(x).f), -math.sin(Dual.of(x).f), -math.cos(Dual.of(x).f)),
    "abs": lambda x: x if larger(x, 0.0) else -Dual.of(x),
    "max": lambda x, y: x if larger(x, y) else y,
    "min": lambda x, y: y if larger(x, y) else x,
    "pi": math.pi,
    "e": math.e,
}


def differentiated(text, point):
    """(value, gradient, Hessian) by Python's own arithmetic on dual numbers."""
    n = len(point)
    gradient, hessian = np.zeros(n), np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            variables = {name: Dual(x, i == k, j == k) for k, (name, x) in enumerate(zip("xyz", point, strict=False))}
            result = Dual.of(eval(text.replace("^", "**"), {"__builtins__": {}}, {**NAMES, **variables}))
            gradient[i], hessian[i, j] = result.a, result.c
    return result.f, gradient, hessian


@settings(max_examples=300)
@given(grown, st.tuples(*[st.floats(0.3, 2.5)] * 3))
def test_value_gradient_and_hessian_of_any_formula_are_exact(text, place):
    assume("**" not in text.replace("^", "**").replace("**", "", 1))  # towers of powers: Python's integers explode
    try:
        f = functions.formula(text)
        point = np.array(place[: f.size])
        value, gradient, hessian = differentiated(text, point.tolist())
    except (FormulaError, ArithmeticError, ValueError, TypeError):
        assume(False)
    # not where a derivative overflows on the way, in dual numbers or in ours
    scale = np.abs([value, *gradient, *hessian.ravel(), 1.0]).max()
    assume(scale < 1e8)
    got, slope = f.value_and_gradient(point)
    assert got == pytest.approx(value, rel=1e-8, abs=1e-10 * scale)
    # where the formula cancels (sin(1e3) - ...) both ways lose digits
    np.testing.assert_allclose(slope, gradient, rtol=1e-7, atol=1e-9 * scale)
    np.testing.assert_allclose(f.hessian(point), hessian, rtol=1e-6, atol=1e-8 * scale)
    np.testing.assert_allclose(f.values(point[None]), [value], rtol=1e-8, atol=1e-10 * scale)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "().__class__.__bases__", "open('/etc/passwd')", "x.__class__", "x[0]",
        "[x for x in range(10)]", "(lambda: x)()", "x if x else x", "x; import os", "exec('x')", "eval('x')", "f'{x}'",
        "while True: pass", "print(x)", "globals()", "x := 1", "9**9**9**9", "1e999", "x**(10**10)", "(" * 5000,
        "-" * 5000, "x" * 100_000, "x+" * 5000 + "x", "x**x**" * 5000, "\ud800", "x\u202e+1", "𝑥", "ｘ + 1", "x＋1",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused_at_once(text):
    with pytest.raises(FormulaError):
        functions.formula(text)


def test_the_two_formulas_of_the_lecture():
    f = functions.formula("x**4 - 3*x**2 + x")
    assert (f.size, f.value([2.0]), f.gradient([2.0])[0], f.hessian([2.0])[0, 0]) == (1, 6.0, 21.0, 42.0)
    assert f.formula_text == "f(x) = x⁴ − 3 x² + x"
    g, rosenbrock = nnopt.functions.formula("(1-x)**2 + 100*(y-x**2)**2"), functions.get("rosenbrock")
    points = np.random.default_rng(0).uniform(-2, 2, (50, 2))
    np.testing.assert_array_equal(g.values(points), rosenbrock.values(points))
    np.testing.assert_array_equal(g.hessian(points[0]), rosenbrock.hessian(points[0]))
    assert g.formula_text == "f(x, y) = (1−x)² + 100 (y−x²)²"


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("y**2", ("x", "y")), ("z", ("x", "y", "z")), ("x3 - x1", ("x1", "x2", "x3")), ("x", ("x",)), ("2", ("x",)),
        ("x10", tuple(f"x{i}" for i in range(1, 11))), ("exp(x)*e", ("x",)),
    ],
)  # fmt: skip
def test_the_variables_are_those_up_to_the_last_that_occurs(text, variables):
    f = functions.formula(text)
    assert f.formula.variables == variables
    assert f.size == f.dimension == len(variables) == len(f.start) == len(f.bounds)


@pytest.mark.parametrize("text", ["x1 + x", "x + z*x2", "x21", "x1000000", "x0", "x01"])
def test_variables_that_do_not_belong_together_or_are_too_many_are_refused(text):
    with pytest.raises(FormulaError, match=r"x1|not known"):
        functions.formula(text)


def test_no_minimum_is_known_and_that_is_said():
    f = functions.formula("x**2")
    assert f.minima == ()
    assert "none are known" in f.minima_note
    assert f.lowest == -math.inf


def test_start_and_bounds_can_be_given():
    f = functions.formula("x*y", start=[1, 2], bounds=(-3, 3))
    assert f.start.tolist() == [1.0, 2.0]
    assert f.bounds == ((-3.0, 3.0), (-3.0, 3.0))
    assert functions.formula("x*y", bounds=((0, 1), (2, 3))).bounds == ((0.0, 1.0), (2.0, 3.0))
    assert functions.formula("x*y", start=(100, 0)).bounds[0][1] > 100


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"begin": (1.0,)}, "UserFormula.begin: expected 2 numbers, got 1"),
        ({"begin": (1.0, math.inf)}, "UserFormula.begin: expected finite numbers"),
        ({"begin": "12"}, "UserFormula.begin: expected finite numbers"),
        ({"begin": ()}, "UserFormula.begin: expected finite numbers"),
        ({"window": (1.0,)}, "UserFormula.window: expected 2 or 4 numbers, got 1"),
        ({"window": (1.0, 1.0)}, "UserFormula.window: expected low < high"),
        ({"window": (0.0, 1.0, 3.0, 2.0)}, "UserFormula.window: expected low < high"),
        ({"text": 3}, "UserFormula.text: expected a text"),
    ],
)
def test_settings_that_do_not_fit_are_refused(fields, says):
    with pytest.raises(SettingsError) as caught:
        UserFormula(**{"text": "x*y", **fields})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "text", ["log(x)", "log(-x)", "sqrt(x - 2.9)", "1/(x - 2)", "x**x", "max(0, x - 3)", "sin(pi*x)"]
)
def test_a_run_begins_where_the_function_is_defined_and_not_flat(text):
    f = functions.formula(text)
    value, gradient = f.value_and_gradient(f.start)
    assert math.isfinite(value)
    assert np.any(gradient)
    assert np.isfinite(gradient).all()
    low, high = np.array(f.bounds).T
    assert np.all((low < f.start) & (f.start < high))


def test_outside_its_domain_the_value_is_nan_or_infinite_and_nothing_is_raised():
    f = functions.formula("log(x) + sqrt(x) + x**1.5 + exp(x)**9")
    for x in (-1.0, 0.0, 1e300, math.inf, math.nan):
        point = np.array([x])
        assert not math.isfinite(f.value(point)) or x == 0
        assert f.value_and_gradient(point)[1].shape == (1,)
        assert f.hessian(point).shape == (1, 1)
    assert f.values(np.array([[1.0], [-1.0]]), dtype=np.float32).dtype == np.float32


def test_a_formula_survives_pickling_and_json():
    f = functions.formula("(x1 - 2)**2 + max(x2, 0)", start=(0, 1), bounds=(-1, 5))
    assert pickle.loads(pickle.dumps(f)) == f
    experiment = Experiment(FunctionProblem(f, start=(3.0, 3.0)))
    again = loads(dumps(experiment))
    assert again == experiment
    assert again.problem.function.value([1.0, 2.0]) == 3.0
    written = json.loads(dumps(experiment))["problem"]["function"]
    assert written == {
        "name": "formula", "text": "(x1 - 2)**2 + max(x2, 0)", "begin": [0.0, 1.0], "window": [-1.0, 5.0],
    }  # fmt: skip


def test_a_wrong_formula_in_a_file_is_shown_with_its_place_in_file_and_text():
    text = dumps(Experiment(FunctionProblem(functions.formula("x + y")))).replace("x + y", "x + q")
    with pytest.raises(SpecError) as caught:
        loads(text, "mine.json")
    message = str(caught.value)
    assert message.startswith("mine.json: at $.problem.function.text: 'q' is not known")
    assert message.endswith(", at character 5\n  x + q\n      ^")


def test_a_formula_can_be_changed_by_its_path_and_a_wrong_one_leaves_everything_as_it_was():
    experiment = Experiment(FunctionProblem(functions.get("formula")))
    changed = set_path(experiment, "problem.function.text", "cos(x)")
    assert changed.problem.function.value([0.0]) == 1.0
    with pytest.raises(SettingsError, match=r"problem.function.text: expected a number.*at character 5"):
        set_path(experiment, "problem.function.text", "cos(")


@pytest.mark.parametrize("name", ["sgd", "newton", "damped_newton"])
def test_every_method_runs_on_a_formula_to_its_minimum(name):
    f = functions.formula("(x - 1)**2 + 3*(y + 2)**2 + x*y/2", start=(0, 0))
    optimizer = optimizers.get(name)() if name != "sgd" else optimizers.SGD(lr=0.1)
    run = Run(Experiment(FunctionProblem(f), (Method(optimizer),), steps=500))
    run.advance(500)
    assert run.outcome.kind == "converged"
    assert np.abs(f.gradient(run.state.theta)).max() < 1e-7
    assert run.history.seek(1).theta.shape == (2,)


def test_a_formula_is_listed_with_the_functions():
    assert functions.get("formula", text="x + 1").value([2.0]) == 3.0
    assert "formula" in functions.names()
    with pytest.raises(SettingsError, match="at character 4"):
        functions.get("formula", text="x +")
