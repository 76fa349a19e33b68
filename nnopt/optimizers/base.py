"""What a method is: a frozen settings struct with two pure functions, `init` and `update`, over explicit slots.

A method is one file in this folder: a struct decorated with `@register`. It sees the loss through a `Local` (the batch
of this step only) and answers with an `Update`; it never changes anything.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nnopt.errors import UnsupportedError
from nnopt.settings import Registry, Settings

Vector: TypeAlias = npt.NDArray[np.float64]


class Slots(msgspec.Struct, frozen=True, gc=False):
    """What a method remembers between steps; fields are float64 arrays (P,) or floats, so that a state packs flat."""


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
    batch's examples, or None for all (and for objectives without examples).
    """

    __slots__ = ("gradient", "objective", "rows", "theta", "value")

    def __init__(
        self, objective: Any, theta: Vector, value: float, gradient: Vector, rows: npt.NDArray[np.intp] | None = None
    ) -> None:
        self.objective = objective
        self.theta = theta
        self.value = value
        self.gradient = gradient
        self.rows = rows

    def _batch(self) -> Any:
        return self.objective if self.rows is None else self.objective.batch(self.rows)

    def _ask(self, name: str) -> Any:
        method = getattr(self._batch(), name, None)
        if method is None:
            raise UnsupportedError(f"this method needs `{name}`, and {type(self.objective).__name__} does not have it")
        return method

    def value_at(self, theta: Vector) -> float:
        """Loss of the same batch elsewhere."""
        return float(self._batch().value(theta))

    def value_and_gradient_at(self, theta: Vector) -> tuple[float, Vector]:
        """Loss and gradient of the same batch elsewhere."""
        value, gradient = self._batch().value_and_gradient(theta)
        return float(value), gradient

    def hessian(self) -> Vector:
        """(P, P). Raises UnsupportedError if the objective has no Hessian."""
        return self._ask("hessian")(self.theta)  # type: ignore[no-any-return]

    def hvp(self, v: Vector) -> Vector:
        """Hessian times v (P,)."""
        return self._ask("hvp")(self.theta, v)  # type: ignore[no-any-return]

    def gauss_newton(self) -> Vector:
        """(P, P). Raises UnsupportedError for objectives that are not sums of losses of a network."""
        return self._ask("gauss_newton")(self.theta)  # type: ignore[no-any-return]


class Optimizer:
    """Interface of every method; the field type `Optimizer` is decoded through `registry`."""

    registry: ClassVar[Registry[Any]] = Registry("optimizer", package="nnopt.optimizers")
    #: "gradient", or "hessian" for methods that need curvature
    needs: ClassVar[str] = "gradient"

    def init(self, theta: Vector) -> Slots:
        """Slots at step 0."""
        raise NotImplementedError

    def update(self, local: Local, slots: Slots, lr: float) -> Update:
        """The step from local.theta. lr: the learning rate of this step (base rate times the schedule's factor); for
        curvature methods the factor itself."""
        raise NotImplementedError


def register(cls: Any) -> Any:
    """Class decorator: makes a method known by its tag to specs, forms, tests and the command line."""
    return Optimizer.registry.register(cls)


__all__ = ["Local", "Optimizer", "Settings", "Slots", "Update", "Vector", "register"]
