"""Data sets: what a network learns from. The table itself (`Dataset`), the interface of its makers (`Data`), the split.

`datasets.get("spiral", noise=10).make(seed=42)` gives a Dataset. Makers are `Settings` classes: generators.py (the
classics), csv_data.py (files), drawn.py (points by hand). Floor `objectives`.
"""

from __future__ import annotations

import importlib
import operator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.errors import DataError, SettingsError, ShapeError
from nnopt.misfits import made
from nnopt.settings import Registry, Settings
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]
Task: TypeAlias = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Shown):
    """N examples, ready for a network; arrays are read-only and every change is a new Dataset.

    X (N, D) float64: inputs. y (N,): class index (int64) or target (float64). classes: names of the classes, () for
    regression. features: names of the inputs. target: name of what is predicted. notes: what was guessed, dropped or
    converted, one sentence each. shift, scale (D,): X = (original - shift) / scale. target_shift, target_scale: the
    same of a regression target.

    Raises: ShapeError, DataError if the parts do not fit together.

    >>> data = Dataset([[0.0, 0.0], [1.0, 1.0]], [0, 1], "classification", classes=("blue", "orange"))
    >>> data.n, data.inputs, data.outputs, data.loss
    (2, 2, 1, 'binary_cross_entropy')
    >>> data.with_example([0.5, 0.5], 1).n, data.n
    (3, 2)
    """

    X: Array
    y: npt.NDArray[Any]
    task: Task
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ("x₁", "x₂")
    target: str = "class"
    notes: tuple[str, ...] = ()
    shift: Array = field(default=None)  # type: ignore[arg-type]
    scale: Array = field(default=None)  # type: ignore[arg-type]
    target_shift: float = 0.0
    target_scale: float = 1.0

    def __post_init__(self) -> None:
        X, wanted = _read_only(self.X, np.float64), len(self.features)
        y = _read_only(self.y, np.int64 if self.task == "classification" else np.float64)
        if X.ndim != 2 or y.shape != (len(X),) or X.shape[1] != wanted:
            raise ShapeError(f"expected X (N, {wanted}) and y (N,), got {X.shape} and {y.shape}")
        if not (np.isfinite(X).all() and np.isfinite(y).all()):
            raise DataError("the data contains a value that is not finite")
        if self.task == "classification" and len(y) and not 0 <= y.min() <= y.max() < len(self.classes):
            raise DataError(f"expected classes 0 to {len(self.classes) - 1}, got {y.min()} to {y.max()}")
        parts = {
            "X": X,
            "y": y,
            "shift": _read_only(np.zeros(wanted) if self.shift is None else self.shift, np.float64),
            "scale": _read_only(np.ones(wanted) if self.scale is None else self.scale, np.float64),
        }
        for name, array in parts.items():
            object.__setattr__(self, name, array)

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.X)

    @property
    def inputs(self) -> int:
        """Number of inputs D."""
        return int(self.X.shape[1])

    @property
    def outputs(self) -> int:
        """Outputs that a network needs: one per class, but one for regression and for two classes."""
        return len(self.classes) if len(self.classes) > 2 else 1

    @property
    def loss(self) -> str:
        """The loss that fits, by its registry name."""
        if self.task == "regression":
            return "squared_error"
        return "cross_entropy" if len(self.classes) > 2 else "binary_cross_entropy"

    def with_example(self, x: npt.ArrayLike, y: float) -> Dataset:
        """With one more example, at the end. x (D,), scaled as X is; y: a class index or a target.

        Raises: ShapeError; DataError for a class that does not exist or a value that is not finite.
        """
        return replace(self, X=np.vstack([self.X, self._point(x)]), y=np.append(self.y, self._target(y)))

    def moved(self, index: int, x: npt.ArrayLike) -> Dataset:
        """With example `index` moved to x (D,). Raises: DataError if there is no such example, or as `with_example`."""
        X = self.X.copy()
        X[self._index(index)] = self._point(x)
        return replace(self, X=X)

    def without(self, index: int) -> Dataset:
        """With example `index` taken out; later ones move up. Raises: DataError if there is no such example."""
        index = self._index(index)
        return replace(self, X=np.delete(self.X, index, axis=0), y=np.delete(self.y, index))

    def original(self, X: Array) -> Array:
        """Inputs (..., D) in the units of the source: standardization undone."""
        return X * self.scale + self.shift

    def _index(self, index: int) -> int:
        if not 0 <= operator.index(index) < self.n:
            raise DataError(f"there is no example {index}: the data has {self.n}, counted from 0")
        return index

    def _point(self, x: npt.ArrayLike) -> Array:
        point = np.asarray(x, dtype=np.float64)
        if point.shape != (self.inputs,):
            raise ShapeError(f"an example needs {self.inputs} inputs, got shape {point.shape}")
        if not np.isfinite(point).all():
            raise DataError(f"an example's inputs must be finite, got {point.tolist()}")
        return point

    def _target(self, y: float) -> float:
        if self.task == "regression":
            if not np.isfinite(y):
                raise DataError(f"an example's target must be finite, got {y}")
        elif y not in range(len(self.classes)):
            raise DataError(f"expected a class from 0 to {len(self.classes) - 1}, got {y}")
        return y if self.task == "regression" else int(y)


def _read_only(values: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.asarray(values)
    if dtype is np.int64 and array.dtype.kind == "f" and array.size and not np.array_equal(array, np.round(array)):
        raise DataError("classes must be whole numbers")
    array = array.astype(dtype, copy=bool(array.flags.writeable))
    array.flags.writeable = False
    return array


def _load() -> None:
    for module in ("generators", "csv_data", "drawn"):
        importlib.import_module(f"nnopt.objectives.{module}")


class Data:
    """Interface of everything that makes a Dataset; a field of type `Data` is decoded through `registry`.

    >>> Data.registry.decode({"name": "circle", "points": 200}).make(seed=42).n
    200
    """

    registry: ClassVar[Registry[Any]] = Registry("dataset", load=_load)

    #: as a person would say it
    title: ClassVar[str]
    #: where the definition comes from
    source: ClassVar[str]

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return str(self.__struct_config__.tag)  # type: ignore[attr-defined]

    def make(self, seed: int) -> Dataset:
        """The data set: the same settings and seed give the same bits. Raises: DataError, SettingsError."""
        raise NotImplementedError


class DataSettings(Settings, Data, frozen=True):
    """Base of the makers: their settings are fields, the Dataset follows from these and the seed.

    >>> class Line(DataSettings, frozen=True, tag="line"):
    ...     def make(self, seed):
    ...         return Dataset([[0.0], [1.0]], [0.0, 2.0], "regression", features=("x",), target="y")
    >>> Line().make(seed=0).loss
    'squared_error'
    """


def split(dataset: Dataset, validation: float, seed: int) -> tuple[Indices, Indices]:
    """(training, validation): sorted indices, drawn by the seed.

    validation: the fraction that is kept aside, in [0, 1). Classes keep their proportions, and every class keeps at
    least one example for training.

    Raises: SettingsError for a fraction outside; DataError if there is nothing to train on.

    >>> data = get("circle", points=100).make(seed=0)
    >>> training, validation = split(data, 0.2, seed=0)
    >>> len(training), len(validation), int(data.y[validation].sum())
    (80, 20, 10)
    """
    if not 0 <= validation < 1:
        raise SettingsError(f"validation: expected a fraction >= 0 and < 1, got {validation!r}")
    if dataset.n == 0:
        raise DataError("there are no examples to train on yet: draw some points or choose another data set")
    generator = stream(seed, "split")
    order = generator.permutation(dataset.n)
    if dataset.task == "classification":
        counts = np.bincount(dataset.y, minlength=len(dataset.classes))
        aside = _shares(counts, validation)
        order = order[np.argsort(dataset.y[order], kind="stable")]
        rank = np.arange(dataset.n) - np.repeat(np.cumsum(counts) - counts, counts)
        kept_aside = order[rank < np.repeat(aside, counts)]
    else:
        kept_aside = order[: min(round(dataset.n * validation), dataset.n - 1)]
    is_aside = np.zeros(dataset.n, dtype=bool)
    is_aside[kept_aside] = True
    return np.flatnonzero(~is_aside), np.flatnonzero(is_aside)


def _shares(counts: Indices, fraction: float) -> Indices:
    """How many of each class go aside: proportional (largest remainders), always leaving one."""
    exact = counts * fraction
    shares = np.floor(exact).astype(np.intp)
    missing = round(float(counts.sum()) * fraction) - int(shares.sum())
    for index in np.argsort(shares - exact, kind="stable")[: max(missing, 0)]:
        shares[index] += 1
    limited: Indices = np.minimum(shares, np.maximum(counts - 1, 0))
    return limited


_STREAMS = ("points", "split")


def stream(seed: int, purpose: Literal["points", "split"]) -> np.random.Generator:
    """The random numbers of one purpose: independent between purposes, fixed by the seed.

    seed: whole, >= 0. Raises: SettingsError.

    >>> stream(7, "points").random() == stream(7, "points").random() != stream(7, "split").random()
    True
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise SettingsError(f"seed: expected a whole number >= 0, got {seed!r}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(seed), _STREAMS.index(purpose)])))


def register(cls: Any) -> Any:
    """Class decorator: makes a data set known by its tag to specs, forms, tests and the command line.

    Raises: SettingsError as `Registry.register` does: for a tag that is taken, or a class that is no `Settings`.

    >>> register(Dataset)
    Traceback (most recent call last):
        ...
    nnopt.errors.SettingsError: dataset <class 'nnopt.objectives.datasets.Dataset'>: \
expected a class that inherits from Settings
    """
    return Data.registry.register(cls)


def get(name: str, **settings: Any) -> Any:
    """The maker called `name`: `get("circle", points=200)`.

    Raises: UnknownNameError listing the known names; SettingsError for a setting out of range or unknown.

    >>> get("spiral", noise=10)
    Spiral(points=500, noise=10.0, definition='playground')
    """
    return made(Data.registry, name, settings) if settings else Data.registry.get(name)()


def names() -> list[str]:
    """All names, in the order of registration.

    >>> {"circle", "iris", "csv", "points"} <= set(names())
    True
    """
    return Data.registry.names()
