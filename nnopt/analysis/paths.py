"""Paths between two solutions: straight, aligned, or bent around the barrier, and the loss along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.alignment import align
from nnopt.analysis.given import value_and_gradient_of
from nnopt.analysis.landscape import losses
from nnopt.errors import SettingsError, ShapeError
from nnopt.objectives.network import Network
from nnopt.optimizers.adam import Adam
from nnopt.optimizers.base import Optimizer
from nnopt.optimizers.batches import Mini
from nnopt.optimizers.schedules import Cosine, Schedule
from nnopt.runs.history import History
from nnopt.runs.minimize import minimize
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False, repr=False)
class Path(Shown):
    """A Bezier curve p(t) = sum_i C(n, i) (1 - t)^(n - i) t^i controls[i], 0 <= t <= 1, through parameter space.

    controls (n + 1, P): the first and the last one are its ends. Two of them make a straight line, three a quadratic
    curve (1 - t)^2 a + 2 t (1 - t) c + t^2 b. Raises: ShapeError.

    >>> Path(np.array([[0.0, 0.0], [2.0, 4.0]])).point(0.5)
    array([1., 2.])
    """

    controls: Array

    def __post_init__(self) -> None:
        controls = np.array(self.controls, dtype=np.float64)
        if controls.ndim != 2 or len(controls) < 2:
            raise ShapeError(f"Path: expected controls of shape (2 or more, P), got {controls.shape}")
        controls.setflags(write=False)
        object.__setattr__(self, "controls", controls)

    @property
    def start(self) -> Array:
        """(P,), where t = 0."""
        return np.asarray(self.controls[0])

    @property
    def end(self) -> Array:
        """(P,), where t = 1."""
        return np.asarray(self.controls[-1])

    def point(self, t: float) -> Array:
        """p(t), (P,)."""
        return np.asarray(self.points([t])[0])

    def points(self, t: npt.ArrayLike) -> Array:
        """p(t) for t (K,), as (K, P)."""
        return np.asarray(_bernstein(np.asarray(t, dtype=np.float64), len(self.controls) - 1) @ self.controls)

    def length(self, pieces: int = 200) -> float:
        """Its length, as that of a polygon of so many pieces."""
        steps = np.diff(self.points(np.linspace(0.0, 1.0, pieces + 1)), axis=0)
        return float(np.linalg.norm(steps, axis=1).sum())


def straight_path(start: npt.ArrayLike, end: npt.ArrayLike) -> Path:
    """p(t) = (1 - t) start + t end, the straight line        (Goodfellow, Vinyals & Saxe 2015)

    start, end (P,). Raises: ShapeError.

    >>> straight_path([0.0, 0.0], [3.0, 4.0]).length()
    5.0
    """
    return Path(np.stack(_ends(start, end)))


def aligned_path(network: Network, start: npt.ArrayLike, end: npt.ArrayLike) -> Path:
    """The straight line from start (P,) to that permuted and flipped copy of `end` (P,) which is closest to it.

    The copy computes what `end` computes; a barrier that is gone on this line was made by the order of the units alone
    (Entezari et al. 2022; Ainsworth et al. 2023). Raises as `align`.

    >>> from nnopt.analysis.symmetry import random_symmetry
    >>> network = Network((2, 4, 1))
    >>> theta = network.initial(0)
    >>> aligned_path(network, theta, random_symmetry(network, 3)(theta)).length() < 1e-12
    True
    """
    return straight_path(start, align(network, end, start).theta)


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Shown):
    """The loss along a path. t (K,) from 0 to 1, values (K,): the loss there.

    >>> Profile(np.array([0.0, 0.5, 1.0]), np.array([1.0, 5.0, 2.0])).barrier
    3.5
    """

    t: Array
    values: Array

    @property
    def highest(self) -> float:
        """The largest loss on the path."""
        return float(self.values.max())

    @property
    def barrier(self) -> float:
        """max over t of L(p(t)) - ((1 - t) L(p(0)) + t L(p(1))), >= 0        (Frankle et al. 2020); NaN
        where a loss at an end is not finite"""
        with np.errstate(invalid="ignore"):
            between = (1.0 - self.t) * self.values[0] + self.t * self.values[-1]
            return float((self.values - between).max())


def losses_along(objective: Any, path: Path, n: int = 101) -> Profile:
    """The loss at n equidistant t along a path; objective: anything with `value`, quickest with `values`.

    Raises: SettingsError for n < 2, ShapeError if the path lies in another space.

    >>> from nnopt.objectives import functions
    >>> profile = losses_along(functions.get("himmelblau"), straight_path([3, 2], [-2.805118, 3.131312]))
    >>> round(profile.barrier, 2)
    71.08
    """
    if n < 2:
        raise SettingsError(f"losses_along: expected n >= 2 points, got {n}")
    t = np.linspace(0.0, 1.0, n)
    return Profile(t, losses(objective, path.points(t)))


class BendObjective:
    """The mean loss along a quadratic Bezier curve between two solutions, as an objective of its bend c (P,)

        f(c) = mean over t of L(p(t)),   df/dc = mean over t of 2 t (1 - t) grad L(p(t))        (Garipov et al. 2018)

    t runs over the midpoints of `nodes` equal intervals. They are its examples, so that mini-batches of them estimate
    the integral as the paper's random t do. start, end (P,): fixed ends. The objective behind it needs value and
    gradient, and is quickest with `values_and_gradients`. Raises: ShapeError, SettingsError for nodes < 1.

    >>> from nnopt.objectives import functions
    >>> bend = BendObjective(functions.get("himmelblau"), [3.0, 2.0], [-2.805118, 3.131312])
    >>> bend.examples, bend.gradient(np.zeros(2)).shape
    (64, (2,))
    """

    def __init__(self, objective: Any, start: npt.ArrayLike, end: npt.ArrayLike, nodes: int = 64) -> None:
        if nodes < 1:
            raise SettingsError(f"BendObjective: expected nodes >= 1, got {nodes}")
        self.objective = objective
        self._ends = np.stack(_ends(start, end))
        t = (np.arange(nodes) + 0.5) / nodes
        self._weights = _bernstein(t, 2)
        self._together: Callable[[Array], tuple[Array, Array]] | None
        self._together = getattr(objective, "values_and_gradients", None)

    @property
    def size(self) -> int:
        """P."""
        return int(self._ends.shape[1])

    @property
    def examples(self) -> int:
        """Number of nodes t."""
        return len(self._weights)

    def value(self, theta: Array) -> float:
        """f(c)."""
        return self.value_and_gradient(theta)[0]

    def gradient(self, theta: Array) -> Array:
        """df/dc, (P,)."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: Array, rows: Rows | None = None) -> tuple[float, Array]:
        """f(c) and df/dc (P,), over all nodes or those of `rows` (B,)."""
        weights = self._weights if rows is None else self._weights[rows]
        points = weights[:, ::2] @ self._ends + weights[:, 1:2] * theta
        values, gradients = self._at(points)
        return float(values.mean()), weights[:, 1] @ gradients / len(weights)

    def _at(self, points: Array) -> tuple[Array, Array]:
        if self._together is not None:
            return self._together(points)
        pairs = [value_and_gradient_of(self.objective, point) for point in points]
        return np.array([value for value, _ in pairs]), np.array([gradient for _, gradient in pairs])


@dataclass(frozen=True, eq=False, repr=False)
class Connection(Shown):
    """A trained curve. path: with its profile; straight: the profile of the straight line between the same ends.
    history: the run that trained the bend.

    >>> from nnopt.objectives import functions
    >>> connect(functions.get("himmelblau"), [3.0, 2.0], [-2.805118, 3.131312], steps=5).history.length
    6
    """

    path: Path
    profile: Profile
    straight: Profile
    history: History


def connect(
    objective: Any,
    start: npt.ArrayLike,
    end: npt.ArrayLike,
    steps: int = 1000,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    nodes: int = 64,
    batch: int = 16,
    seed: int = 0,
) -> Connection:
    """A low-loss curve between two solutions (P,): mode connection        (Garipov et al. 2018)

    The bend of a quadratic Bezier curve starts in the middle of the straight line and is trained on the mean loss along
    the curve, `batch` of `nodes` places at a time. optimizer: Adam(lr=0.03) and a cosine schedule unless given.
    The curve's highest point may lie between nodes: `profile` looks at 101 places.

    Raises: ShapeError, SettingsError; what the objective raises goes through.

    >>> from nnopt.objectives import functions
    >>> found = connect(functions.get("himmelblau"), [3.0, 2.0], [-2.805118, 3.131312], steps=300)
    >>> found.profile.barrier < found.straight.barrier
    True
    """
    first, last = _ends(start, end)
    bend = BendObjective(objective, first, last, nodes)
    method = optimizer if optimizer is not None else Adam(lr=0.03)
    plan = schedule if schedule is not None else (Cosine(steps=max(1, steps)) if optimizer is None else None)
    history = minimize(bend, method, (first + last) / 2, steps, schedule=plan, batches=Mini(size=batch), seed=seed)
    path = Path(np.stack([first, history.seek(history.length - 1).theta, last]))
    return Connection(path, losses_along(objective, path), losses_along(objective, straight_path(first, last)), history)


def _ends(start: npt.ArrayLike, end: npt.ArrayLike) -> tuple[Array, Array]:
    first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    if first.ndim != 1 or first.shape != last.shape:
        raise ShapeError(f"path: expected two ends of one shape (P,), got {first.shape} and {last.shape}")
    return first, last


def _bernstein(t: Array, degree: int) -> Array:
    """(K, degree + 1): the weights of the controls at t (K,)."""
    powers = range(degree + 1)
    return np.stack([comb(degree, i) * (1.0 - t) ** (degree - i) * t**i for i in powers], axis=-1)
