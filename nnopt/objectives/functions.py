"""Test functions: small objectives whose minima are known, for watching a method without a network in the way.

`functions.get("himmelblau")` makes one. A function is one `Settings` class in a file `function_*.py`: a formula (from
which exact gradient and Hessian follow), bounds, a start, its minima, and a sentence on what it teaches. Floor
`objectives`; the interface is that of every objective.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt import objectives
from nnopt.errors import SettingsError, ShapeError
from nnopt.objectives.formula import Formula, FormulaError, subscripted
from nnopt.settings import Registry, Settings

Vector: TypeAlias = npt.NDArray[np.float64]
Bounds: TypeAlias = tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Minimum:
    """A local minimum. theta (P,), read-only; value: f there."""

    theta: Vector
    value: float


def _load() -> None:
    for module in pkgutil.iter_modules(objectives.__path__):
        if module.name.startswith("function_"):
            importlib.import_module(f"{objectives.__name__}.{module.name}")


class Function:
    """Interface of every test function: an objective that also knows where it should end.

    A field of type `Function` is decoded through `registry`. All arrays returned are new. theta is (P,), P = `size`.
    Outside the range of floats the results are inf or nan, never an exception.
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
        with np.errstate(all="ignore"):
            lower = self.formula.hessian_of_arrays(*points.T)
        hessians = np.empty((len(points), self.size, self.size))
        entries = iter(lower)
        for i in range(self.size):
            for j in range(i + 1):
                hessians[:, i, j] = hessians[:, j, i] = next(entries)
        return hessians

    def values(self, thetas: Vector, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        points = rows(thetas, self.size, dtype)
        with np.errstate(all="ignore"):
            values = self.formula.value_of_arrays(*points.T)
        return np.array(np.broadcast_to(values, len(points)), dtype=points.dtype)


@cache
def _listed(minima_at: tuple[tuple[tuple[float, ...], float], ...]) -> tuple[Minimum, ...]:
    return tuple(Minimum(frozen(theta), value) for theta, value in minima_at)


def floats(theta: Vector, size: int) -> list[float]:
    """theta as plain floats, on which scalar code is several times faster. Raises ShapeError unless it is (size,)."""
    if type(theta) is not np.ndarray:
        theta = np.asarray(theta, dtype=np.float64)
    if theta.shape != (size,):
        raise ShapeError(f"theta: expected shape ({size},), got {theta.shape}")
    point: list[float] = theta.tolist()
    return point


def rows(thetas: Vector, size: int, dtype: npt.DTypeLike | None) -> npt.NDArray[Any]:
    """thetas as an array (K, size). Raises ShapeError for any other shape."""
    points = np.asarray(thetas, dtype=np.float64 if dtype is None else dtype)
    if points.ndim != 2 or points.shape[1] != size:
        raise ShapeError(f"thetas: expected shape (K, {size}), got {points.shape}")
    return points


def frozen(theta: Any) -> Vector:
    """A read-only float64 copy."""
    array = np.array(theta, dtype=np.float64)
    array.flags.writeable = False
    return array


def register(cls: Any) -> Any:
    """Class decorator: makes a function known by its tag to specs, forms, tests and the command line."""
    return Function.registry.register(cls)


def get(name: str, **settings: Any) -> Any:
    """The function called `name`: `get("quadratic", condition=100)`.

    >>> get("himmelblau").value([3.0, 2.0])
    0.0

    Raises: UnknownNameError listing the known names; SettingsError for a setting out of range or unknown.
    """
    return Function.registry.decode({"name": name, **settings}) if settings else Function.registry.get(name)()


def names() -> list[str]:
    """All names."""
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
