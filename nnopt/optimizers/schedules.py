"""Learning-rate schedules: a factor on the method's rate at every step, and whether it satisfies Robbins and Monro.

The rate of step t is `optimizer.lr * schedule.factor(t)`. Robbins & Monro (1951) ask that the rates a_t reach any
distance, sum a_t = infinity, and that their noise dies out, sum a_t^2 < infinity; each schedule knows its verdict
analytically.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from nnopt.errors import SettingsError
from nnopt.settings import Registry, Settings, at_least, between
from nnopt.shown import beside

Floats = npt.NDArray[np.float64]


class Verdict(msgspec.Struct, frozen=True):
    """diverges: sum a_t = infinity. square_summable: sum a_t^2 < infinity. reasons: one sentence for each.

    >>> verdict = Power(d=1.5).robbins_monro()
    >>> verdict.diverges, verdict.square_summable, verdict.satisfied, verdict.reasons[0]
    (False, True, False, 'Σ a < ∞: exponent 1.5 > 1, it stops short')
    """

    diverges: bool
    square_summable: bool
    reasons: tuple[str, str]

    @property
    def satisfied(self) -> bool:
        """Whether both conditions of Robbins and Monro hold."""
        return self.diverges and self.square_summable


class Schedule:
    """Interface of every schedule; the field type `Schedule` is decoded through `registry`.

    One of your own is a `Settings` class with `factor` (and `robbins_monro`, if its verdict is to be shown):

    >>> class Halving(Settings, Schedule, frozen=True, tag="halving"):
    ...     def factor(self, t):
    ...         return 0.5**t
    >>> Halving().factors([0, 1, 2]), Halving().partial_sums(lr=4.0, steps=3)[0]
    (array([1.  , 0.5 , 0.25]), array([4., 6., 7.]))
    """

    __slots__ = ()

    registry: ClassVar[Registry[Any]] = Registry("schedule")

    def factor(self, t: int) -> float:
        """The factor on the base rate at step t = 0, 1, ..."""
        raise NotImplementedError

    def factors(self, steps: npt.ArrayLike) -> Floats:
        """`factor` at many steps: (K,) -> (K,)."""
        return np.array([self.factor(int(t)) for t in np.asarray(steps).ravel()], dtype=np.float64)

    def robbins_monro(self) -> Verdict:
        """The analytic verdict on sum a_t = infinity and sum a_t^2 < infinity, with its reasons."""
        raise NotImplementedError

    def settled(self, t: int) -> bool:
        """Whether the factor is known to be the same at every step from t on."""
        return False

    def partial_sums(self, lr: float, steps: int) -> tuple[Floats, Floats]:
        """(sum of a_0..a_t, sum of their squares) for t = 0 .. steps - 1, a_t = lr * factor(t): two arrays (steps,)."""
        with np.errstate(over="ignore"):
            rates = lr * self.factors(np.arange(steps))
            return np.cumsum(rates), np.cumsum(rates * rates)


def register(cls: Any) -> Any:
    """Class decorator: makes a schedule known by its tag.

    Raises: SettingsError for another class of the same tag, and for what is not a `Settings` class.

    >>> register(Constant) is Constant, Schedule.registry.get("constant") is Constant
    (True, True)
    """
    return Schedule.registry.register(cls)


_CONSTANT = Verdict(True, False, (
    "Σ a = ∞: the rate never falls",
    "Σ a² = ∞: the rate never falls, so the noise stays",
))  # fmt: skip


def _check_then(schedule: Any) -> None:
    if not isinstance(schedule.then, Schedule):
        raise SettingsError(f"{type(schedule).__name__}.then: expected a schedule, got {schedule.then!r}")


@register
class Constant(Settings, Schedule, frozen=True, tag="constant"):
    """a_t = a: the rate of the method as it is. Robbins-Monro: fails the second condition.

    >>> Constant().factors([0, 1000]), Constant().robbins_monro().satisfied
    (array([1., 1.]), False)
    """

    def factor(self, t: int) -> float:
        return 1.0

    def factors(self, steps: npt.ArrayLike) -> Floats:
        return np.ones(np.asarray(steps).size)

    def settled(self, t: int) -> bool:
        return True

    def robbins_monro(self) -> Verdict:
        return _CONSTANT


@register
class InverseTime(Settings, Schedule, frozen=True, tag="inverse_time"):
    """a_t = a / (1 + d t). d: decay per step, >= 0. Robbins-Monro: satisfied for d > 0.

    >>> InverseTime(d=0.25).factors([0, 4, 12]), InverseTime(d=0.25).robbins_monro().satisfied
    (array([1.  , 0.5 , 0.25]), True)
    """

    d: Annotated[float, at_least(0, label="decay d", unit="per step", log=True, slider=(1e-5, 1))] = 0.01

    def factor(self, t: int) -> float:
        return 1.0 / (1.0 + self.d * t)

    def factors(self, steps: npt.ArrayLike) -> Floats:
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + self.d * np.asarray(steps, dtype=np.float64).ravel()))

    def settled(self, t: int) -> bool:
        return self.d == 0

    def robbins_monro(self) -> Verdict:
        if self.d == 0:
            return _CONSTANT
        return Verdict(True, True, (
            "Σ a = ∞: it falls like 1/t, the harmonic series",
            "Σ a² < ∞: its square falls like 1/t²",
        ))  # fmt: skip


@register
class Power(Settings, Schedule, frozen=True, tag="power"):
    """a_t = a / (t + 1)^d. d: exponent, >= 0. Robbins-Monro: satisfied iff 1/2 < d <= 1.

    >>> Power(d=0.5).factors([0, 3, 15]).round(12)
    array([1.  , 0.5 , 0.25])
    >>> [Power(d=d).robbins_monro().satisfied for d in (0.5, 0.75, 1.0, 1.5)]
    [False, True, True, False]
    """

    d: Annotated[float, at_least(0, label="exponent d", slider=(0, 2))] = 0.75

    def factor(self, t: int) -> float:
        return float((t + 1.0) ** -self.d)

    def factors(self, steps: npt.ArrayLike) -> Floats:
        return np.asarray((np.asarray(steps, dtype=np.float64).ravel() + 1.0) ** -self.d)

    def settled(self, t: int) -> bool:
        return self.d == 0

    def robbins_monro(self) -> Verdict:
        if self.d == 0:
            return _CONSTANT
        d, half = beside(self.d, 1.0), beside(self.d, 0.5)
        first = f"Σ a = ∞: exponent {d} ≤ 1" if self.d <= 1 else f"Σ a < ∞: exponent {d} > 1, it stops short"
        # where d <= 1/2 the variance still goes to 0, with the rate; that the run converges is what they do not promise
        second = f"Σ a² < ∞: exponent {half} > 1/2"
        if self.d <= 0.5:
            second = f"Σ a² = ∞: exponent {half} ≤ 1/2, convergence is not guaranteed"
        return Verdict(self.d <= 1, self.d > 0.5, (first, second))


@register
class StepDecay(Settings, Schedule, frozen=True, tag="step"):
    """a_t = a * by^floor(t / every). every: steps between falls, >= 1.  by: factor of each fall, in [1e-6, 1].

    Robbins-Monro: fails the first condition for by < 1 (a geometric series).

    >>> StepDecay(every=10, by=0.5).factors([0, 9, 10, 20]), StepDecay().robbins_monro().diverges
    (array([1.  , 1.  , 0.5 , 0.25]), False)
    """

    every: Annotated[int, at_least(1, label="falls every", unit="steps", log=True, slider=(1, 10_000))] = 1000
    by: Annotated[float, between(1e-6, 1, closed=True, label="to a share of", help="factor of each fall")] = 0.5

    def factor(self, t: int) -> float:
        return float(self.by ** (t // self.every))

    def factors(self, steps: npt.ArrayLike) -> Floats:
        falls = np.asarray(steps).ravel() // self.every
        return np.asarray(np.float64(self.by) ** falls)

    def settled(self, t: int) -> bool:
        return self.by == 1

    def robbins_monro(self) -> Verdict:
        if self.by == 1:
            return _CONSTANT
        return Verdict(False, True, (
            "Σ a < ∞: a geometric series, it stops short",
            "Σ a² < ∞: a geometric series",
        ))  # fmt: skip


@register
class Exponential(Settings, Schedule, frozen=True, tag="exponential"):
    """a_t = a * exp(-d t). d: decay per step, >= 0. Robbins-Monro: fails the first condition for d > 0.

    >>> Exponential(d=math.log(2)).factors([0, 1, 2]).round(12), Exponential().robbins_monro().diverges
    (array([1.  , 0.5 , 0.25]), False)
    """

    d: Annotated[float, at_least(0, label="decay d", unit="per step", log=True, slider=(1e-5, 1))] = 0.001

    def factor(self, t: int) -> float:
        return math.exp(-self.d * t)

    def factors(self, steps: npt.ArrayLike) -> Floats:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(-self.d * np.asarray(steps, dtype=np.float64).ravel()))

    def settled(self, t: int) -> bool:
        return self.d == 0

    def robbins_monro(self) -> Verdict:
        if self.d == 0:
            return _CONSTANT
        return Verdict(False, True, (
            "Σ a < ∞: a geometric series, it stops short",
            "Σ a² < ∞: a geometric series",
        ))  # fmt: skip


@register
class Cosine(Settings, Schedule, frozen=True, tag="cosine"):
    """a_t = a * (floor + (1 - floor) (1 + cos(pi t / steps)) / 2) for t < steps, then a * floor

    steps: >= 1.  floor: the share of the rate that is left at the end, in [0, 1]. (Loshchilov & Hutter 2017)
    Robbins-Monro: fails the first condition with floor 0, the second with any other.

    >>> Cosine(steps=4, floor=0.5).factors([0, 2, 4, 8]).round(12)
    array([1.  , 0.75, 0.5 , 0.5 ])
    >>> Cosine(floor=0.0).robbins_monro().diverges, Cosine(floor=0.5).robbins_monro().square_summable
    (False, False)
    """

    steps: Annotated[int, at_least(1, label="over", unit="steps", log=True, slider=(10, 100_000))] = 5000
    floor: Annotated[float, between(0, 1, closed=True, label="down to a share of")] = 0.0

    def factor(self, t: int) -> float:
        if t >= self.steps:
            return float(self.floor)
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * t / self.steps))

    def factors(self, steps: npt.ArrayLike) -> Floats:
        t = np.minimum(np.asarray(steps, dtype=np.float64).ravel(), self.steps)
        return np.asarray(self.floor + (1.0 - self.floor) * 0.5 * (1.0 + np.cos(np.pi * t / self.steps)))

    def settled(self, t: int) -> bool:
        return t >= self.steps or self.floor == 1

    def robbins_monro(self) -> Verdict:
        if self.floor > 0:
            return Verdict(True, False, (
                "Σ a = ∞: a floor is left for ever",
                "Σ a² = ∞: a floor is left for ever, so the noise stays",
            ))  # fmt: skip
        return Verdict(False, True, (
            "Σ a < ∞: the rate is zero from some step on",
            "Σ a² < ∞: the rate is zero from some step on",
        ))  # fmt: skip


@register
class Hold(Settings, Schedule, frozen=True, tag="hold"):
    """a_t = a for t < k, then another schedule, counted from there: a * then.factor(t - k).

    k: updates at the full rate, >= 0.  then: any schedule. Robbins-Monro: as `then`, whatever the first k rates are.
    Raises: SettingsError if `then` is no schedule.

    >>> Hold(k=2, then=InverseTime(d=1.0)).factors([0, 1, 2, 3, 5]), Hold(k=2).robbins_monro().satisfied
    (array([1.  , 1.  , 1.  , 0.5 , 0.25]), True)
    """

    k: Annotated[int, at_least(0, label="hold for", unit="steps", log=True, slider=(1, 10_000))] = 1000
    then: Schedule = InverseTime()

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_then(self)

    def factor(self, t: int) -> float:
        return 1.0 if t < self.k else self.then.factor(t - self.k)

    def factors(self, steps: npt.ArrayLike) -> Floats:
        t = np.asarray(steps).ravel()
        return np.where(t < self.k, 1.0, self.then.factors(np.maximum(t - self.k, 0)))

    def settled(self, t: int) -> bool:
        constant = self.then.settled(0) and self.then.factor(0) == 1.0
        return constant if t < self.k else self.then.settled(t - self.k)

    def robbins_monro(self) -> Verdict:
        return self.then.robbins_monro()


@register
class Warmup(Settings, Schedule, frozen=True, tag="warmup"):
    """a_t = a (t + 1) / (k + 1) for t < k, then another schedule, counted from there: a * then.factor(t - k).

    k: updates of warm-up, >= 0.  then: any schedule. Robbins-Monro: as `then`, whatever the first k rates are.
    Raises: SettingsError if `then` is no schedule. (Goyal et al. 2017)

    >>> Warmup(k=3).factors([0, 1, 2, 3, 4]), Warmup(then=InverseTime()).robbins_monro().satisfied
    (array([0.25, 0.5 , 0.75, 1.  , 1.  ]), True)
    """

    k: Annotated[int, at_least(0, label="warm up for", unit="steps", log=True, slider=(1, 10_000))] = 100
    then: Schedule = Constant()

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_then(self)

    def factor(self, t: int) -> float:
        return (t + 1.0) / (self.k + 1.0) if t < self.k else self.then.factor(t - self.k)

    def factors(self, steps: npt.ArrayLike) -> Floats:
        t = np.asarray(steps).ravel()
        return np.where(t < self.k, (t + 1.0) / (self.k + 1.0), self.then.factors(np.maximum(t - self.k, 0)))

    def settled(self, t: int) -> bool:
        return t >= self.k and self.then.settled(t - self.k)

    def robbins_monro(self) -> Verdict:
        return self.then.robbins_monro()
