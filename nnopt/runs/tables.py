"""Results as named arrays and as tables: what export.py writes.

Results are plain data: arrays, numbers and texts, in mappings, tuples, and the frozen records of every floor. What is
no data (an objective, a network) is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nnopt.errors import ShapeError

Array: TypeAlias = npt.NDArray[Any]


def arrays_of(thing: Any, name: str = "") -> dict[str, Array]:
    """All that a result holds, as arrays by name; a field b of a field a is called "a/b".

    Numbers and texts are arrays of shape (). Of a sequence of records of numbers each field is one array, other
    sequences have their places as names.

    >>> arrays_of({"loss": np.array([1.0, 0.5]), "fit": {"slope": -0.5}, "kept": [(1, 2), (3,)]})
    {'loss': array([1. , 0.5]), 'fit/slope': array(-0.5), 'kept/0': array([1, 2]), 'kept/1': array([3])}
    """
    if isinstance(thing, np.ndarray) or _is_scalar(thing):
        array = np.asarray(thing)
        # a whole number of more than 64 bits, say
        return {name or "value": array if array.dtype != object else np.array(str(thing))}
    fields = _fields(thing)
    if fields is None and isinstance(thing, (list, tuple)):
        table = _rows(thing)
        if thing and all(map(_is_scalar, thing)):
            return arrays_of(np.array(thing), name)
        fields = table if table is not None else {str(place): entry for place, entry in enumerate(thing)}
    prefix = f"{name}/" if name else ""
    found: dict[str, Array] = {}
    for key, value in (fields or {}).items():
        found.update(arrays_of(value, f"{prefix}{key}"))
    return found


def table_of(thing: Any) -> dict[str, Array]:
    """A result as columns of one length, by name.

    Its `columns` if it has such; otherwise its arrays if they are of one length, or the points of a grid if they are
    two axes (n1,), (n2,) and arrays (n1, n2) over them: a row for each (i, j). A matrix (n, m) has the columns 0 .. m -
    1; records of numbers make a row each.

    Raises: ShapeError if the arrays do not make a table.

    >>> table_of({"a": np.array([0.0, 1.0]), "b": np.array([5.0]), "loss": np.array([[3.0], [4.0]])})
    {'a': array([0., 1.]), 'b': array([5., 5.]), 'loss': array([3., 4.])}
    """
    arrays = _table_arrays(thing)
    shapes = [array.shape for array in arrays.values()]
    if shapes and all(len(shape) == 1 for shape in shapes) and len(set(shapes)) == 1:
        return arrays
    if len(shapes) > 2 and all(len(shape) == 1 for shape in shapes[:2]):
        size = shapes[0] + shapes[1]
        if all(shape == size for shape in shapes[2:]):
            (first, x), (second, y), *over = arrays.items()
            i, j = (place.ravel() for place in np.indices(size))
            return {first: x[i], second: y[j], **{name: array.ravel() for name, array in over}}
    what = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no arrays"
    raise ShapeError(f"a table has columns of one length; {type(thing).__name__} has {what}: write it as .npz instead")


def _table_arrays(thing: Any) -> dict[str, Array]:
    columns = getattr(thing, "columns", None)
    if isinstance(columns, Mapping):
        return {str(name): np.asarray(array) for name, array in columns.items()}
    if isinstance(thing, np.ndarray):
        named = {"value": thing} if thing.ndim == 1 else {}
        return {str(place): thing[:, place] for place in range(thing.shape[1])} if thing.ndim == 2 else named
    if isinstance(thing, (list, tuple)) and _fields(thing) is None:
        table = _rows(thing)
        if table is not None:
            return table
        try:
            array = np.array(thing)
        except ValueError:
            # rows of different lengths
            return {}
        return _table_arrays(array) if array.dtype != object else {}
    fields = _fields(thing) or {}
    if isinstance(thing, Mapping):
        return {str(name): np.asarray(array) for name, array in fields.items()}
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    # a record without arrays is one row
    return arrays or _rows([thing]) or {}


def _fields(thing: Any) -> dict[str, Any] | None:
    """The parts of a mapping or record by name; None for what is neither."""
    if isinstance(thing, Mapping):
        return {str(name): value for name, value in thing.items()}
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    if isinstance(thing, msgspec.Struct):
        return {name: getattr(thing, name) for name in thing.__struct_fields__}
    names = getattr(thing, "_fields", None)
    if isinstance(thing, tuple) and names:
        return {name: getattr(thing, name) for name in names}
    # a history, say
    columns = getattr(thing, "columns", None)
    return dict(columns) if isinstance(columns, Mapping) else None


def _rows(records: list[Any] | tuple[Any, ...]) -> dict[str, Array] | None:
    """Records of one kind, with the same fields, that hold numbers and texts only: one array per field. None for
    anything else."""
    rows = [_fields(record) for record in records]
    kinds = {(type(record), *(row or ())) for record, row in zip(records, rows, strict=True)}
    if len(kinds) != 1 or not all(row and all(map(_is_scalar, row.values())) for row in rows):
        return None
    return {name: np.array([row[name] for row in rows if row]) for name in rows[0] or ()}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (bool, int, float, complex, str, np.generic))
