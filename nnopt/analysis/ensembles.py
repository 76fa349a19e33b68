"""The machinery behind restarts: losses, gradients and updates of K runs at once.

`evaluator` gives values and gradients at K parameter vectors, each on its own batch if wanted; `updater` applies a
method to K runs: elementwise rules to the whole (K, P) array, any other method run by run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nnopt.errors import UnsupportedError
from nnopt.objectives.kernels import Workspace, chunks
from nnopt.objectives.kernels_batched import gradients_at_once
from nnopt.objectives.losses import loss_function
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Local, Optimizer, Slots, update_of

Array: TypeAlias = npt.NDArray[Any]
Rows: TypeAlias = npt.NDArray[np.intp]
#: (thetas (K, P), rows (K, B) or None for all examples) -> values (K,), gradients (K, P), new arrays of thetas' dtype
Evaluator: TypeAlias = Callable[[Array, Rows | None], tuple[Array, Array]]


def evaluator(objective: Any, dtype: npt.DTypeLike = np.float64) -> Evaluator:
    """Values and gradients of K runs at once: batched for a `NetworkObjective`, one by one for anything else.

    >>> from nnopt.objectives import functions
    >>> evaluator(functions.get("rosenbrock"))(np.array([[1.0, 1.0], [0.0, 0.0]]), None)[0]
    array([0., 1.])
    """
    if isinstance(objective, NetworkObjective):
        return NetworkEvaluator(objective, dtype)

    def one_by_one(thetas: Array, rows: Rows | None) -> tuple[Array, Array]:
        both = objective.value_and_gradient
        pairs = [both(theta) if rows is None else both(theta, rows[k]) for k, theta in enumerate(thetas)]
        values, gradients = np.array([value for value, _ in pairs]), np.array([gradient for _, gradient in pairs])
        return values.astype(thetas.dtype), gradients.astype(thetas.dtype).reshape(thetas.shape)

    return one_by_one


class NetworkEvaluator:
    """Mean loss plus penalty and its gradient for K networks at once, in float64 or float32.

    Called with thetas (K, P) and rows (K, B), example indices per network, or None for all examples. As many networks
    are taken together as the cache holds. Not safe to share between threads: its buffers are its own.

    >>> from nnopt.objectives.network import Network
    >>> objective = NetworkObjective(Network((1, 2, 1)), [[0.0], [1.0]], [0, 1])
    >>> values, gradients = NetworkEvaluator(objective)(np.zeros((3, 7)), None)
    >>> values.round(4), gradients.shape
    (array([0.6931, 0.6931, 0.6931]), (3, 7))
    """

    def __init__(self, objective: NetworkObjective, dtype: npt.DTypeLike = np.float64) -> None:
        self.network = objective.network
        self.dtype = np.dtype(dtype)
        self.loss = loss_function(objective.loss)
        self.l2, self.l1 = objective.l2, objective.l1
        self._mask = self.network.weight_mask.astype(self.dtype)
        # examples first, so that a batch is a copy of whole rows
        self._inputs = np.ones((objective.examples, self.network.inputs + 1), self.dtype)
        self._inputs[:, :-1] = objective.X
        self._columns = np.ascontiguousarray(self._inputs.T)
        self._targets = np.ascontiguousarray(objective._targets.T, self.dtype)
        self._spaces: dict[tuple[int, int], Workspace] = {}

    def __call__(self, thetas: Array, rows: Rows | None) -> tuple[Array, Array]:
        """Values (K,) and gradients (K, P)."""
        values, gradients = np.zeros(len(thetas), self.dtype), np.zeros(thetas.shape, self.dtype)
        n = len(self._inputs) if rows is None else rows.shape[1]
        for part in chunks(len(thetas), gradients_at_once(self.network, len(thetas), n, self.dtype)):
            for some in chunks(n):
                if rows is None:
                    inputs, columns, targets = self._inputs[some], self._columns[:, some], self._targets[some]
                else:
                    inputs, targets = self._inputs[rows[part, some]], self._targets[rows[part, some]]
                    columns = inputs.swapaxes(-1, -2)
                space = self._space(part.stop - part.start, some.stop - some.start)
                np.copyto(space.theta, thetas[part])
                space.forward(columns)
                values[part] += self.loss.sums_and_slopes(space.z, targets.swapaxes(-1, -2), space.loss_work)
                space.backward(inputs.mT)
                gradients[part] += space.gradient
        values /= n
        gradients /= n
        if self.l2:
            weights = thetas * self._mask
            values += self.l2 * np.vecdot(weights, weights)
            gradients += (2.0 * self.l2) * weights
        if self.l1:
            values += self.l1 * np.vecdot(np.abs(thetas), self._mask)
            gradients += self.l1 * np.sign(thetas) * self._mask
        return values, gradients

    def _space(self, count: int, n: int) -> Workspace:
        space = self._spaces.get((count, n))
        if space is None:
            space = self._spaces[count, n] = Workspace(self.network, (count,), n, self.dtype)
        return space


class Updater(ABC):
    """A method applied to K runs: `begin` with thetas (K, P), then `update` at every step, `keep` some of the runs.

    >>> from nnopt.optimizers import get
    >>> updates = updater(get("adam")(lr=0.1), None)
    >>> updates.begin(np.zeros((2, 1)))
    >>> updates.keep(np.array([True, False]))
    >>> updates.update(np.zeros((1, 1)), np.zeros(1), np.ones((1, 1)), None, 0.1).round(6)
    array([[-0.1]])
    """

    def __init__(self, optimizer: Optimizer, objective: Any) -> None:
        self.optimizer = optimizer
        self.objective = objective

    @abstractmethod
    def begin(self, thetas: Array) -> None:
        """Slots at step 0."""

    @abstractmethod
    def update(self, thetas: Array, values: Array, gradients: Array, rows: Rows | None, rate: float) -> Array:
        """The steps (K, P) that are to be added to thetas."""

    @abstractmethod
    def keep(self, stay: Array) -> None:
        """Forget the runs for which stay (K,) is false."""

    @abstractmethod
    def slots(self, place: int) -> Slots:
        """The method's memory of one run."""


class _Elementwise(Updater):
    """The method's own `update`, once for all runs: its arrays have a leading axis K."""

    _slots: Slots

    def begin(self, thetas: Array) -> None:
        self._slots = self.optimizer.init(thetas)

    def update(self, thetas: Array, values: Array, gradients: Array, rows: Rows | None, rate: float) -> Array:
        local = Local(self.objective, thetas, values, gradients, rows)  # type: ignore[arg-type]
        change = self.optimizer.update(local, self._slots, rate)
        self._slots = change.slots
        return change.step

    def keep(self, stay: Array) -> None:
        slots = msgspec.structs.asdict(self._slots)
        changed = {name: value[stay] for name, value in slots.items() if isinstance(value, np.ndarray)}
        self._slots = msgspec.structs.replace(self._slots, **changed)

    def slots(self, place: int) -> Slots:
        every = msgspec.structs.asdict(self._slots)
        own = {name: value[place] for name, value in every.items() if isinstance(value, np.ndarray)}
        return msgspec.structs.replace(self._slots, **own)


class _RunByRun(Updater):
    """The method's `update` for one run after the other, in float64."""

    _slots: list[Slots]

    def begin(self, thetas: Array) -> None:
        self._slots = [self.optimizer.init(theta) for theta in thetas.astype(np.float64)]

    def update(self, thetas: Array, values: Array, gradients: Array, rows: Rows | None, rate: float) -> Array:
        moves = np.empty(thetas.shape)
        for k, slots in enumerate(self._slots):
            theta, gradient = thetas[k].astype(np.float64), gradients[k].astype(np.float64)
            local = Local(self.objective, theta, float(values[k]), gradient, None if rows is None else rows[k])
            change = update_of(self.optimizer)(local, slots, rate)
            moves[k], self._slots[k] = change.step, change.slots
        return moves

    def keep(self, stay: Array) -> None:
        self._slots = [slots for slots, stays in zip(self._slots, stay, strict=True) if stays]

    def slots(self, place: int) -> Slots:
        return self._slots[place]


def updater(optimizer: Optimizer, objective: Any) -> Updater:
    """The quickest way to apply a method to K runs at once.

    >>> from nnopt.optimizers import get
    >>> updates = updater(get("momentum")(lr=0.1), None)
    >>> updates.begin(np.zeros((2, 1)))
    >>> updates.update(np.zeros((2, 1)), np.zeros(2), np.array([[1.0], [2.0]]), None, 0.1)
    array([[-0.1],
           [-0.2]])
    """
    return (_Elementwise if is_elementwise(optimizer) else _RunByRun)(optimizer, objective)


def is_elementwise(optimizer: Optimizer) -> bool:
    """Whether a method's update of K runs (K, P) is, number for number, that of each run on its own.

    Found by trying it: a few updates of two runs whose gradients differ by many orders of magnitude, together and one
    by one. A method that looks at curvature, at the loss elsewhere or at the length of the gradient is not elementwise.

    >>> from nnopt.optimizers import get
    >>> is_elementwise(get("adam")()), is_elementwise(get("newton")())
    (True, False)
    """
    if optimizer.needs != "gradient":
        return False
    random = np.random.default_rng(0)
    thetas, values = random.normal(size=(2, 3)), np.array([1e9, 1.0])
    together, apart = _Elementwise(optimizer, _Blind()), _RunByRun(optimizer, _Blind())
    try:
        together.begin(thetas)
        apart.begin(thetas)
        for _ in range(3):
            gradients = random.normal(size=(2, 3)) * np.array([[1e12], [1e-6]])
            moves = together.update(thetas, values, gradients, None, 0.1)
            if not np.array_equal(moves, apart.update(thetas, values, gradients, None, 0.1)):
                return False
    except Exception:  # a plug-in's own: if it was not the trial's fault, the runs will say so
        return False
    return True


class _Blind:
    """An objective that nobody may look at: asked for anything, it refuses."""

    def __getattr__(self, name: str) -> Any:
        raise UnsupportedError(f"an elementwise method asks for no {name}")
