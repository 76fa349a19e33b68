"""What a method is: a frozen settings struct with two pure functions, `init` and `update`, over explicit slots.

A method is one file in this folder: a struct decorated with `@register`. It sees the loss through a `Local` (the batch
of this step only) and answers with an `Update`; it never changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nnopt.errors import ShapeError, UnsupportedError
from nnopt.settings import Registry, Settings, built_in

Vector: TypeAlias = npt.NDArray[np.float64]
Matrix: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]


class Slots(msgspec.Struct, frozen=True, gc=False):
    """What a method remembers between steps; fields are float64 arrays of fixed shape, or floats, so that a state
    packs flat into one row of numbers and comes back bit for bit.

    >>> class Velocity(Slots, frozen=True, gc=False):
    ...     velocity: Vector
    >>> Velocity(np.zeros(2))
    Velocity(velocity=array([0., 0.]))
    """


class Update(msgspec.Struct, frozen=True, gc=False):
    """What a method answers. step (P,): what is added to theta. slots: its memory for the next update. note: what the
    user must be told ("the Newton step goes uphill"). detail: numbers for `explain` (damping, gain ratio, ...).

    >>> Update(np.array([-0.5]), Slots())
    Update(step=array([-0.5]), slots=Slots(), note='', detail=None)
    """

    step: Vector
    slots: Slots
    note: str = ""
    detail: dict[str, float] | None = None


class Local:
    """The loss of this step's batch around theta: value and gradient are known, curvature is computed when asked for.

    objective: anything with `value_and_gradient`; theta (P,); value: float; gradient (P,); rows: indices of the
    batch's examples, or None for all (and for objectives without examples). Valid during the update it is given to.

    >>> import nnopt
    >>> f, theta = nnopt.functions.get("saddle"), np.array([1.0, 0.5])  # x^2 - y^2
    >>> local = Local(f, theta, *f.value_and_gradient(theta))
    >>> local.value, local.gradient, local.hvp(np.array([0.0, 1.0]))
    (0.75, array([ 2., -1.]), array([ 0., -2.]))
    """

    __slots__ = ("_of_batch", "_products", "gradient", "objective", "rows", "theta", "value")

    def __init__(self, objective: Any, theta: Vector, value: float, gradient: Vector, rows: Rows | None = None) -> None:
        self.objective = objective
        self.theta = theta
        self.value = value
        self.gradient = gradient
        self.rows = rows
        self._of_batch: Any = None
        #: (batch, theta, v -> H v) of the last product, where the objective is `linearized`
        self._products: tuple[Any, Vector, Callable[[Vector], Vector]] | None = None

    def take(self, rows: Rows) -> None:
        """Look at other examples from now on (the run's own loop does, instead of making a new one per step)."""
        self.rows = rows
        self._of_batch = None

    @property
    def batch(self) -> Any:
        """The objective on this step's examples only (the objective itself for a full batch)."""
        if self._of_batch is None:
            self._of_batch = _on_rows(self.objective, self.rows)
        return self._of_batch

    def value_at(self, theta: Vector) -> float:
        """Loss of the same batch at theta (P,)."""
        return float(self.batch.value(theta))

    def value_and_gradient_at(self, theta: Vector) -> tuple[float, Vector]:
        """Loss and gradient (P,) of the same batch at theta (P,)."""
        value, gradient = self.batch.value_and_gradient(theta)
        return float(value), gradient

    def hessian(self) -> Matrix:
        """The Hessian of the batch's loss, (P, P); from P Hessian-vector products where the objective has only those.

        Raises: UnsupportedError if the objective has neither; ShapeError if what it gives has another shape.
        """
        exact = getattr(self.batch, "hessian", None)
        if exact is not None:
            return self._square("hessian", exact(self.theta))
        product = self._ask("hvp", "a Hessian (`hessian` or `hvp`)")
        columns = np.array([product(self.theta, axis) for axis in np.eye(self.theta.size)])
        return np.asarray((columns + columns.T) / 2, dtype=np.float64)

    def hvp(self, v: Vector) -> Vector:
        """Hessian times v (P,), (P,); by the Hessian where the objective has only that. Raises: as `hessian`.

        Of an objective that can be `linearized`, what all products at this theta share is computed once.
        """
        if hasattr(self.batch, "linearized") and not self.theta.flags.writeable:
            known = self._products
            if known is None or known[0] is not self.batch or known[1] is not self.theta:
                known = self._products = self.batch, self.theta, self.batch.linearized(self.theta)
            return self._of_shape("hvp", known[2](v), self.theta.shape)
        product = getattr(self.batch, "hvp", None)
        if product is not None:
            return self._of_shape("hvp", product(self.theta, v), self.theta.shape)
        exact = self._ask("hessian", "Hessian-vector products (`hvp` or `hessian`)")
        return np.asarray(self._square("hessian", exact(self.theta)) @ v, dtype=np.float64)

    def gauss_newton(self) -> Matrix:
        """The Gauss-Newton matrix, (P, P). Raises: UnsupportedError for objectives without one, such as functions."""
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
            raise UnsupportedError(f"this method needs {what}, and {name_of(self.objective)} does not have it")
        return method


def name_of(objective: Any) -> str:
    """What an objective is called in messages: as its class, or as it says itself.

    >>> import nnopt
    >>> name_of(nnopt.functions.get("rosenbrock"))
    'Rosenbrock'
    """
    return str(getattr(objective, "__name__", type(objective).__name__))


class _OnRows:
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


def _on_rows(objective: Any, rows: Rows | None) -> Any:
    """An objective on some of its examples (None: all)."""
    if rows is None:
        return objective
    batch = getattr(objective, "batch", None)
    return _OnRows(objective, rows) if batch is None else batch(rows)


class Optimizer:
    """Interface of every method; the field type `Optimizer` is decoded through `registry`.

    One of your own is a `Settings` class with `init` and `update`; `register` is for specs, forms and command line:

    >>> class Sign(Settings, Optimizer, frozen=True, tag="sign"):
    ...     lr: float = 0.5
    ...     def init(self, theta):
    ...         return Slots()
    ...     def update(self, local, slots, lr):
    ...         return Update(-lr * np.sign(local.gradient), slots)
    >>> import nnopt
    >>> nnopt.minimize(nnopt.functions.get("bowl"), Sign(), start=[2.0], steps=3).theta.ravel()
    array([2. , 1.5, 1. , 0.5])
    """

    __slots__ = ()

    registry: ClassVar[Registry[Any]] = Registry("optimizer", package="nnopt.optimizers")
    #: what it asks for beside value and gradient here: "gradient" for nothing more, "value" elsewhere (a line search),
    #: "hvp" for products with the Hessian, "hessian"; for all but the first, lr is a factor on the method's own step
    needs: ClassVar[str] = "gradient"
    #: whether its step leaves a point without slope where curvature is negative: a run has not converged there
    #: (`escape.leaves` says how its detail tells)
    leaves_saddles: ClassVar[bool] = False

    def init(self, theta: Vector) -> Slots:
        """The method's memory when it starts at theta (P,). Pure."""
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
        """The step from local.theta, and the memory after it. Pure. lr: the rate of this step, the method's own times
        the schedule's factor. Raises: UnsupportedError if the objective lacks what the method needs."""
        raise NotImplementedError


def update_of(optimizer: Optimizer) -> Callable[[Local, Any, float], Update]:
    """`optimizer.update`; what a method that is not nnopt's own answers is looked at first: a step of another shape
    would be spread over all parameters without a word.

    Raises: what is returned raises ShapeError and UnsupportedError for what is no `Update` with a step (P,).

    >>> from nnopt.optimizers import get
    >>> sgd = get("sgd")()
    >>> update_of(sgd) == sgd.update
    True
    """
    if built_in(type(optimizer)):
        return optimizer.update

    def checked(local: Local, slots: Any, lr: float) -> Update:
        change = optimizer.update(local, slots, lr)
        name = f"{type(optimizer).__name__}.update"
        if not isinstance(change, Update):
            raise UnsupportedError(f"{name}: expected Update(step, slots), got {change!r:.80}")
        if np.shape(change.step) != local.theta.shape or not isinstance(change.step, np.ndarray):
            raise ShapeError(
                f"{name}: expected a step of shape {local.theta.shape} like theta, got {np.shape(change.step)}"
            )
        return change

    return checked


def register(cls: Any) -> Any:
    """Class decorator: makes a method known by its tag to specs, forms, tests and the command line.

    Raises: SettingsError for another class of the same tag, and for what is not a `Settings` class.

    >>> register(dict)
    Traceback (most recent call last):
    nnopt.errors.SettingsError: optimizer <class 'dict'>: expected a class that inherits from Settings
    """
    return Optimizer.registry.register(cls)


__all__ = [
    "Local", "Matrix", "Optimizer", "Rows", "Settings", "Slots", "Update", "Vector", "name_of", "register", "update_of",
]  # fmt: skip
