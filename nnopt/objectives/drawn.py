"""Points drawn by hand: a data set that is the list of its examples."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from nnopt.errors import SettingsError
from nnopt.objectives.datasets import Dataset, DataSettings, register
from nnopt.settings import between, described

Row = tuple[float, float, int]


@register
class Points(DataSettings, frozen=True, tag="points"):
    """Examples (x1, x2, class) in the order in which they were drawn.

    It may be empty while it is being drawn; a split of it, and so a run on it, is refused until there is an example.

    rows: (x1, x2, class) with classes from 0 to classes - 1. Raises: SettingsError naming the row.

    >>> data = Points(rows=((0.0, 1.0, 0), (2.0, -1.0, 1))).make(seed=0)
    >>> data.X, data.y
    (array([[ 0.,  1.],
           [ 2., -1.]]), array([0, 1]))
    """

    rows: Annotated[tuple[Row, ...], described("points", help="(x₁, x₂, class) per point")] = ()
    classes: Annotated[int, between(2, 10, closed=True, label="classes")] = 2

    title = "Drawn by hand"
    source = "you"

    def __post_init__(self) -> None:
        super().__post_init__()
        for index, row in enumerate(self.rows):
            if not (len(row) == 3 and all(map(math.isfinite, row)) and row[2] in range(self.classes)):
                raise SettingsError(
                    f"Points.rows[{index}]: expected (x1, x2, class) with finite numbers and a class from 0 to "
                    f"{self.classes - 1}, got {row!r}"
                )

    def make(self, seed: int) -> Dataset:
        """The examples as they are; the seed plays no part."""
        table = np.array(self.rows, dtype=np.float64).reshape(-1, 3)
        names = tuple(str(k) for k in range(self.classes))
        return Dataset(table[:, :2], table[:, 2].astype(np.int64), "classification", names)
