"""Test functions: small objectives whose minima are known, for watching a method without a network in the way.

`functions.get("himmelblau")` makes one. A function is one `Settings` class in a file `function_*.py`: a formula (from
which exact gradient and Hessian follow), bounds, a start, its minima, and a sentence on what it teaches. Floor
`objectives`; the interface is that of every objective.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt import objectives
from nnopt.errors import FormulaError, SettingsError, ShapeError
from nnopt.misfits import made
from nnopt.objectives.formula import Formula, subscripted
from nnopt.settings import Registry, Settings

Vector: TypeAlias = npt.NDArray[np.float64]
Bounds: TypeAlias = tuple[tuple[float, float], ...]

#: points at which a formula is evaluated together; every intermediate result is an array of so many numbers
_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Minimum:
    """A local minimum. theta (P,), read-only; value: f there.

    >>> get("booth").minima[0]
    Minimum(theta=array([1., 3.]), value=0.0)
    """

    theta: Vector
    value: float


def _load() -> None:
    for module in pkgutil.iter_modules(objectives.__path__):
        if module.name.startswith("function_"):
            importlib.import_module(f"{objectives.__name__}.{module.name}")


class Function:
    """Interface of every test function: an objective that also knows where it should end.

    A field of type `Function` is decoded through `registry`. All arrays returned are new. theta is (P,), P = `size`.
    Outside the range of floats the results are inf or nan, never an exception; for a theta of another shape they raise
    ShapeError.

    >>> f = get("rosenbrock")
    >>> f.name, f.size, f.start.tolist(), f.bounds, f.lowest
    ('rosenbrock', 2, [-1.2, 1.0], ((-2.0, 2.0), (-1.0, 3.0)), 0.0)
    >>> f.values([[1.0, 1.0], [0.0, 1.0]]), f.hvp([1.0, 1.0], [1.0, 0.0])
    (array([  0., 101.]), array([ 802., -400.]))
    """

    registry: ClassVar[Registry[Any]] = Registry("function", load=_load)

    #: as a person would say it
    title: ClassVar[str]
    #: one sentence: what it shows about optimization
    teaches: ClassVar[str]
    #: where the definition comes from
    source: ClassVar[str]
    #: what cannot be said by listing minima ("no minimum: ..."), or ""
    minima_note: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return str(self.__struct_config__.tag)  # type: ignore[attr-defined]

    @property
    def size(self) -> int:
        """Number of parameters P."""
        raise NotImplementedError

    @property
    def dimension(self) -> int:
        """Number of parameters P."""
        return self.size

    @property
    def formula_text(self) -> str:
        """The formula, for display."""
        raise NotImplementedError

    @property
    def start(self) -> Vector:
        """(P,): where a run begins unless told otherwise; within the bounds."""
        raise NotImplementedError

    @property
    def bounds(self) -> Bounds:
        """((low, high), ...) per parameter: the part worth looking at."""
        raise NotImplementedError

    @property
    def minima(self) -> tuple[Minimum, ...]:
        """All local minima within the bounds, the lowest first (`minima_note` says where that is not so)."""
        raise NotImplementedError

    @property
    def lowest(self) -> float:
        """The global minimum's value; -inf where there is none."""
        return min((minimum.value for minimum in self.minima), default=-np.inf)

    @property
    def floor(self) -> float:
        """What f is nowhere below; -inf where it is not bounded, or not known to be."""
        return self.lowest

    def value(self, theta: Vector) -> float:
        """f(theta)."""
        raise NotImplementedError

    def value_and_gradient(self, theta: Vector) -> tuple[float, Vector]:
        """(f, gradient (P,)) at theta."""
        raise NotImplementedError

    def gradient(self, theta: Vector) -> Vector:
        """Gradient (P,) at theta."""
        return self.value_and_gradient(theta)[1]

    def hessian(self, theta: Vector) -> Vector:
        """Hessian (P, P) at theta, exactly symmetric."""
        raise NotImplementedError

    def hvp(self, theta: Vector, v: Vector) -> Vector:
        """Hessian at theta times v (P,)."""
        with np.errstate(all="ignore"):
            return self.hessian(theta) @ np.asarray(v, dtype=np.float64)

    def values(self, thetas: Vector, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        """f of each row of thetas (K, P) -> (K,). dtype: that of the computation, float64 unless told otherwise."""
        raise NotImplementedError


class FormulaFunction(Function):
    """A function of a fixed number of parameters, written as a formula.

    Where a formula is not differentiable at a point (the tip of a cone) a class states `tip`; see there.

    >>> class Valley(FormulaFunction, Settings, frozen=True, tag="valley"):
    ...     formula, starts_at, within = Formula("x**2 + 9*y**2"), (1.0, 1.0), ((-2.0, 2.0), (-2.0, 2.0))
    >>> Valley().formula_text, Valley().gradient([1.0, 1.0])
    ('f(x, y) = x² + 9 y²', array([ 2., 18.]))
    """

    formula: ClassVar[Formula]
    #: the formula for display, where that is not simply the text of `formula`
    shown: ClassVar[str] = ""
    starts_at: ClassVar[tuple[float, ...]]
    within: ClassVar[Bounds]
    #: ((theta, value), ...), the lowest first
    minima_at: ClassVar[tuple[tuple[tuple[float, ...], float], ...]] = ()
    #: second derivative along a ray at the tip of a cone, or None where there is none. There the gradient is 0 (the
    #: subgradient of least norm: the tip is a minimum) and the Hessian this number times the identity (its finite
    #: part; across the rays the curvature grows without bound).
    tip: ClassVar[float | None] = None

    @property
    def size(self) -> int:
        return len(self.formula.variables)

    @property
    def formula_text(self) -> str:
        return self.shown or subscripted(f"f({', '.join(self.formula.variables)}) = ") + self.formula.display

    @property
    def start(self) -> Vector:
        return np.array(self.starts_at)

    @property
    def bounds(self) -> Bounds:
        return self.within

    @property
    def minima(self) -> tuple[Minimum, ...]:
        return _listed(self.minima_at)

    def value(self, theta: Vector) -> float:
        point = floats(theta, self.size)
        try:
            return self.formula.value(*point)
        except (ArithmeticError, ValueError):
            return float(self.values(np.array([point]))[0])

    def value_and_gradient(self, theta: Vector) -> tuple[float, Vector]:
        formula = self.formula
        point = floats(theta, len(formula.variables))
        try:
            value, gradient = formula.value_and_gradient(*point)
        except (ArithmeticError, ValueError) as error:
            if self.tip is not None and isinstance(error, ZeroDivisionError):
                return self.value(theta), np.zeros(self.size)
            with np.errstate(all="ignore"):
                value, gradient = self.formula.value_and_gradient_of_arrays(*map(np.float64, point))
        return float(value), np.array(gradient)

    def hessian(self, theta: Vector) -> Vector:
        point = floats(theta, self.size)
        try:
            lower = self.formula.hessian(*point)
        except (ArithmeticError, ValueError) as error:
            if self.tip is not None and isinstance(error, ZeroDivisionError):
                return self.tip * np.eye(self.size)
            with np.errstate(all="ignore"):
                lower = self.formula.hessian_of_arrays(*map(np.float64, point))
        hessian = np.empty((self.size, self.size))
        entries = iter(lower)
        for i in range(self.size):
            for j in range(i + 1):
                hessian[i, j] = hessian[j, i] = next(entries)
        return hessian

    def hessians(self, thetas: Vector) -> Vector:
        """Hessians (K, P, P) at the rows of thetas (K, P), at once."""
        points = rows(thetas, self.size, None)
        hessians = np.empty((len(points), self.size, self.size))
        with np.errstate(all="ignore"):
            for part, columns in _parts(points, _AT_ONCE // 4):
                entries = iter(self.formula.hessian_of_arrays(*columns))
                for i in range(self.size):
                    for j in range(i + 1):
                        hessians[part, i, j] = hessians[part, j, i] = next(entries)
        return hessians

    def values(self, thetas: Vector, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        points = rows(thetas, self.size, dtype)
        values = np.empty(len(points), dtype=points.dtype)
        with np.errstate(all="ignore"):
            for part, columns in _parts(points, _AT_ONCE):
                values[part] = self.formula.value_of_arrays(*columns)
        return values


def _parts(points: npt.NDArray[Any], size: int) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
    """(rows, their columns) of points (K, P), at most `size` rows at a time: intermediate results stay in the cache."""
    for start in range(0, len(points), size):
        part = slice(start, start + size)
        yield part, np.ascontiguousarray(points[part].T)


@cache
def _listed(minima_at: tuple[tuple[tuple[float, ...], float], ...]) -> tuple[Minimum, ...]:
    return tuple(Minimum(frozen(theta), value) for theta, value in minima_at)


def floats(theta: Vector, size: int) -> list[float]:
    """theta as plain floats, on which scalar code is several times faster. Raises ShapeError unless it is (size,).

    >>> floats(np.array([1.0, 2.0]), 2)
    [1.0, 2.0]
    """
    if type(theta) is not np.ndarray:
        theta = np.asarray(theta, dtype=np.float64)
    if theta.shape != (size,):
        raise ShapeError(f"theta: expected shape ({size},), got {theta.shape}")
    point: list[float] = theta.tolist()
    return point


def rows(thetas: Vector, size: int, dtype: npt.DTypeLike | None) -> npt.NDArray[Any]:
    """thetas as an array (K, size) of `dtype` (None: float64). Raises ShapeError for any other shape.

    >>> rows([[1, 2]], 2, np.float32)
    array([[1., 2.]], dtype=float32)
    """
    with np.errstate(over="ignore"):
        points = np.asarray(thetas, dtype=np.float64 if dtype is None else dtype)
    if points.ndim != 2 or points.shape[1] != size:
        raise ShapeError(f"thetas: expected shape (K, {size}), got {points.shape}")
    return points


def frozen(theta: Any) -> Vector:
    """A read-only float64 copy.

    >>> frozen([1, 2]).flags.writeable
    False
    """
    array = np.array(theta, dtype=np.float64)
    array.flags.writeable = False
    return array


def register(cls: Any) -> Any:
    """Class decorator: makes a function known by its tag to specs, forms, tests and the command line.

    Raises: SettingsError as `Registry.register` does: for a tag that is taken, or a class that is no `Settings`.

    >>> register(Function)
    Traceback (most recent call last):
        ...
    nnopt.errors.SettingsError: function <class 'nnopt.objectives.functions.Function'>: \
expected a class that inherits from Settings
    """
    return Function.registry.register(cls)


def get(name: str, **settings: Any) -> Any:
    """The function called `name`: `get("quadratic", condition=100)`.

    >>> get("himmelblau").value([3.0, 2.0]), get("rosenbrock_n", n=4).size
    (0.0, 4)

    Raises: UnknownNameError listing the known names; SettingsError for a setting out of range or unknown.
    """
    return made(Function.registry, name, settings) if settings else Function.registry.get(name)()


def names() -> list[str]:
    """All names, in the order of registration.

    >>> {"rosenbrock", "himmelblau", "formula"} <= set(names())
    True
    """
    return Function.registry.names()


def formula(text: str, start: Any = None, bounds: Any = None) -> Any:
    """The function that a text stands for, with exact gradient and Hessian; the text is parsed, never run.

    text: a formula of x, y, z or x1 .. xn (n up to 20) with + - * /, powers (** or ^), sin cos exp log sqrt tanh abs
    max min, pi and e. start (P,): where a run begins. bounds: (low, high) for every parameter, or a pair for each.

    >>> f = formula("(1 - x)**2 + 100*(y - x**2)**2", start=(-1.2, 1), bounds=((-2, 2), (-1, 3)))
    >>> f.value([1.0, 1.0]), f.gradient([0.0, 1.0]).tolist(), f.bounds
    (0.0, [-2.0, 200.0], ((-2.0, 2.0), (-1.0, 3.0)))

    Raises: FormulaError (a SettingsError) with the position of the character that is wrong; SettingsError for a start
    or bounds that do not fit.
    """
    from nnopt.objectives.function_user_formula import UserFormula

    try:
        flat = None if bounds is None else tuple(np.asarray(bounds, dtype=np.float64).ravel().tolist())
        begin = None if start is None else tuple(np.asarray(start, dtype=np.float64).ravel().tolist())
    except (TypeError, ValueError):
        raise SettingsError(f"formula: expected start and bounds as numbers, got {start!r} and {bounds!r}") from None
    return UserFormula(text, begin, flat)


__all__ = [
    "Bounds",
    "Formula",
    "FormulaError",
    "FormulaFunction",
    "Function",
    "Minimum",
    "Settings",
    "Vector",
    "formula",
    "get",
    "names",
    "register",
]
