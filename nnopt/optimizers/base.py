"""What a method is: a frozen settings struct with two pure functions, `init` and `update`, over explicit slots.

A method is one file in this folder: a struct decorated with `@register`. It sees the loss through a `Local` (the batch
of this step only) and answers with an `Update`; it never changes anything.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nnopt.errors import ShapeError, UnsupportedError
from nnopt.settings import Registry, Settings

Vector: TypeAlias = npt.NDArray[np.float64]
Matrix: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]


class Slots(msgspec.Struct, frozen=True, gc=False):
    """What a method remembers between steps; fields are float64 arrays of fixed shape, or floats, so that a state
    packs flat into one row of numbers and comes back bit for bit."""


class Update(msgspec.Struct, frozen=True, gc=False):
    """step (P,): what is added to theta. note: what the user must be told ("singular Hessian: least-norm step").
    detail: numbers for `explain` (damping, gain ratio, ...), by name."""

    step: Vector
    slots: Slots
    note: str = ""
    detail: dict[str, float] | None = None


class Local:
    """The loss of this step's batch around theta: value and gradient are known, curvature is computed when asked for.

    objective: anything with `value_and_gradient`; theta (P,); value: float; gradient (P,); rows: indices of the
    batch's examples, or None for all (and for objectives without examples). Valid during the update it is given to.
    """

    __slots__ = ("_of_batch", "gradient", "objective", "rows", "theta", "value")

    def __init__(self, objective: Any, theta: Vector, value: float, gradient: Vector, rows: Rows | None = None) -> None:
        self.objective = objective
        self.theta = theta
        self.value = value
        self.gradient = gradient
        self.rows = rows
        self._of_batch: Any = None

    def take(self, rows: Rows) -> None:
        """Look at other examples from now on (the run's own loop does, instead of making a new one per step)."""
        self.rows = rows
        self._of_batch = None

    @property
    def batch(self) -> Any:
        """The objective on this step's examples only (the objective itself for a full batch)."""
        if self._of_batch is None:
            self._of_batch = on_rows(self.objective, self.rows)
        return self._of_batch

    def value_at(self, theta: Vector) -> float:
        """Loss of the same batch elsewhere."""
        return float(self.batch.value(theta))

    def value_and_gradient_at(self, theta: Vector) -> tuple[float, Vector]:
        """Loss and gradient of the same batch elsewhere."""
        value, gradient = self.batch.value_and_gradient(theta)
        return float(value), gradient

    def hessian(self) -> Matrix:
        """(P, P); from P Hessian-vector products where the objective has only those.

        Raises: UnsupportedError if the objective has neither.
        """
        exact = getattr(self.batch, "hessian", None)
        if exact is not None:
            return self._square("hessian", exact(self.theta))
        product = self._ask("hvp", "a Hessian (`hessian` or `hvp`)")
        columns = np.array([product(self.theta, axis) for axis in np.eye(self.theta.size)])
        return np.asarray((columns + columns.T) / 2, dtype=np.float64)

    def hvp(self, v: Vector) -> Vector:
        """Hessian times v (P,)."""
        product = getattr(self.batch, "hvp", None)
        if product is not None:
            return self._of_shape("hvp", product(self.theta, v), self.theta.shape)
        exact = self._ask("hessian", "Hessian-vector products (`hvp` or `hessian`)")
        return np.asarray(self._square("hessian", exact(self.theta)) @ v, dtype=np.float64)

    def gauss_newton(self) -> Matrix:
        """(P, P). Raises UnsupportedError for objectives that are not sums of losses of a network."""
        exact = self._ask("gauss_newton", "the Gauss-Newton matrix (`gauss_newton`)")
        return self._square("gauss_newton", exact(self.theta))

    def _square(self, name: str, given: Any) -> Matrix:
        return self._of_shape(name, given, self.theta.shape * 2)

    def _of_shape(self, name: str, given: Any, wanted: tuple[int, ...]) -> npt.NDArray[np.float64]:
        array = np.asarray(given, dtype=np.float64)
        if array.shape != wanted:
            raise ShapeError(f"{name}: expected shape {wanted}, got {array.shape}")
        return array

    def _ask(self, name: str, what: str) -> Any:
        method = getattr(self.batch, name, None)
        if method is None:
            raise UnsupportedError(f"this method needs {what}, and {type(self.objective).__name__} does not have it")
        return method


class OnRows:
    """Loss and gradient of an objective on some of its examples, where it has no `batch(rows)` of its own."""

    def __init__(self, objective: Any, rows: Rows) -> None:
        self._objective = objective
        self._rows = rows

    def value(self, theta: Vector) -> float:
        """Loss of these examples."""
        return self.value_and_gradient(theta)[0]

    def value_and_gradient(self, theta: Vector) -> tuple[float, Vector]:
        """Loss of these examples and its gradient (P,)."""
        value, gradient = self._objective.value_and_gradient(theta, self._rows)
        return float(value), gradient


def on_rows(objective: Any, rows: Rows | None) -> Any:
    """An objective on some of its examples (None: all)."""
    if rows is None:
        return objective
    batch = getattr(objective, "batch", None)
    return OnRows(objective, rows) if batch is None else batch(rows)


class Optimizer:
    """Interface of every method; the field type `Optimizer` is decoded through `registry`."""

    __slots__ = ()

    registry: ClassVar[Registry[Any]] = Registry("optimizer", package="nnopt.optimizers")
    #: what it asks for beside value and gradient here: "gradient" for nothing more, "value" elsewhere (a line search),
    #: "hvp" for products with the Hessian, "hessian"; for all but the first, lr is a factor on the method's own step
    needs: ClassVar[str] = "gradient"

    def init(self, theta: Vector) -> Slots:
        """Slots at step 0."""
        raise NotImplementedError

    def adopt(self, old: Optimizer, theta: Vector, slots: Any) -> Slots:
        """The slots with which a running method goes on at theta (P,) when its settings change from `old` to these: as
        they are, but for numbers that begin elsewhere with the new settings (a damping, a radius): these begin anew."""
        before, now = old.init(theta), self.init(theta)
        moved = {
            name: value
            for name in now.__struct_fields__
            if isinstance(value := getattr(now, name), float) and value != getattr(before, name)
        }
        kept: Slots = msgspec.structs.replace(slots, **moved) if moved else slots
        return kept

    def update(self, local: Local, slots: Any, lr: float) -> Update:
        """The step from local.theta. lr: the learning rate of this step (base rate times the schedule's factor); for
        curvature methods the factor itself."""
        raise NotImplementedError


def register(cls: Any) -> Any:
    """Class decorator: makes a method known by its tag to specs, forms, tests and the command line."""
    return Optimizer.registry.register(cls)


__all__ = ["Local", "Matrix", "Optimizer", "Rows", "Settings", "Slots", "Update", "Vector", "on_rows", "register"]
