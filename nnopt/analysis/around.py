"""The loss around one point, with everything that is computed from it kept: whoever looks at the point shares it."""

from __future__ import annotations

from threading import Lock, RLock
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.curvature import (
    EXACT_STEP,
    MOST_PARAMETERS,
    NOT_KNOWN,
    Spectrum,
    extreme_spectrum,
    hessian_of,
    newton_step,
    newton_step_at,
    spectrum,
    spectrum_at,
)

Array: TypeAlias = npt.NDArray[np.float64]


class Around:
    """Value, gradient, Hessian, spectrum and Newton steps of `objective` at theta (P,), each computed once, when it is
    asked for first; from several threads too, of which the others then wait.

    value, gradient: if they are known already. most: parameters up to which the whole Hessian is made. iterate: whether
    above them the Newton step is searched for by iteration, which may take minutes; if not, it is not known there.

    >>> from nnopt.objectives import functions
    >>> here = Around(functions.get("saddle"), np.array([1.0, 0.5]))  # x^2 - y^2
    >>> here.knows_hessian, here.newton(), here.knows_hessian
    (False, (array([-1. , -0.5]), ''), True)
    >>> here.spectrum.kind
    'saddle'
    """

    def __init__(
        self,
        objective: Any,
        theta: Array,
        value: float | None = None,
        gradient: Array | None = None,
        most: int = EXACT_STEP,
        iterate: bool = True,
    ) -> None:
        self.objective = objective
        self.theta = theta
        self.most = most
        self.iterate = iterate
        self._first = None if value is None or gradient is None else (value, gradient)
        self._hessian: Array | None = None
        self._spectrum: Spectrum | None = None
        self._ends: tuple[float, float] | None = None
        self._newton: dict[float, tuple[Array, str]] = {}
        # who asks for the gradient does not wait for a Hessian
        self._lock, self._first_lock = RLock(), Lock()

    @property
    def value(self) -> float:
        """The loss."""
        return self._value_and_gradient()[0]

    @property
    def gradient(self) -> Array:
        """Its gradient, (P,)."""
        return self._value_and_gradient()[1]

    def _value_and_gradient(self) -> tuple[float, Array]:
        if self._first is not None:
            return self._first
        with self._first_lock, np.errstate(all="ignore"):
            if self._first is None:
                value, gradient = self.objective.value_and_gradient(self.theta)
                self._first = float(value), np.asarray(gradient)
            return self._first

    @property
    def curved(self) -> bool:
        """Whether the objective has curvature to be asked for."""
        return any(hasattr(self.objective, name) for name in ("hessian", "hvp", "hvps"))

    @property
    def knows_hessian(self) -> bool:
        """Whether the Hessian is known already; asks for nothing."""
        return self._hessian is not None

    @property
    def hessian(self) -> Array | None:
        """The Hessian (P, P); None above `most` parameters."""
        if self.theta.size > self.most:
            return None
        with self._lock:
            if self._hessian is None:
                self._hessian = hessian_of(self.objective, self.theta)
            return self._hessian

    @property
    def spectrum(self) -> Spectrum:
        """As `spectrum_at`: complete up to 600 parameters, its ends above."""
        with self._lock:
            if self._spectrum is None:
                small = self.theta.size <= MOST_PARAMETERS
                whole = self.hessian if small else None
                self._spectrum = spectrum_at(self.objective, self.theta) if whole is None else spectrum(whole)
            return self._spectrum

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest curvature; NaN where the Hessian is not finite."""
        with self._lock:
            if self._ends is None:
                found, whole = self._spectrum, None
                if found is None and self.theta.size <= MOST_PARAMETERS:
                    whole = self.hessian
                if whole is None:
                    found = found or extreme_spectrum(self.objective, self.theta, 1)
                    self._ends = found.smallest, found.largest
                else:
                    finite = bool(np.isfinite(whole).all())
                    values = np.linalg.eigvalsh(whole) if finite else np.full(1, np.nan)
                    self._ends = float(values[0]), float(values[-1])
            return self._ends

    def knows_newton(self, damping: float = 0.0) -> bool:
        """Whether the Newton step of this damping is known already; asks for nothing."""
        return damping in self._newton

    def newton(self, damping: float = 0.0) -> tuple[Array, str]:
        """As `newton_step_at`: the (damped) Newton step (P,), NaN where it is not known, and what must be said."""
        with self._lock:
            if damping not in self._newton:
                whole = self.hessian
                if whole is None and not self.iterate:
                    self._newton[damping] = np.full_like(self.theta, np.nan), NOT_KNOWN
                elif whole is None:
                    self._newton[damping] = newton_step_at(self.objective, self.theta, self.gradient, damping)
                else:
                    self._newton[damping] = newton_step(whole, self.gradient, damping)
            return self._newton[damping]
