"""The plan of a sweep: every combination of the values of its axes, each a checked experiment with its own number."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

from nnopt.errors import SettingsError
from nnopt.runs.experiment import Experiment, dumps
from nnopt.runs.parcels import data_file, needs_of, text_of
from nnopt.runs.paths import set_path
from nnopt.runs.sweep_axes import METHOD, Axes, axes_of, base_of
from nnopt.runs.sweep_task import Result, Task
from nnopt.runs.sweep_values import LIMIT

#: columns that stand before the settings: the plan's identity and the number of the run
RESERVED = ("sweep", "index")


class Plan:
    """What a sweep consists of. Runs are numbered as an array of `shape` is read: the last axis varies fastest.

    experiment: where nothing else is said. axes: see `axes_of`. identity: what stands in every row of the record: short
    digests of the experiment (data file included), of the axes, and of the plug-in files that are loaded.

    Raises: SettingsError for axes that do not fit, or a combination that is not valid, naming it.

    >>> from nnopt.runs.experiment import default_experiment
    >>> plan = Plan(default_experiment(), {"lr": [0.1, 0.5], "seed": "0..2"})
    >>> plan.shape, len(plan), plan.labels(4)
    ((2, 3), 6, ('0.5', '1'))
    """

    def __init__(self, experiment: Experiment, axes: Axes) -> None:
        self.axes = axes_of(experiment, axes)
        self.experiment = base_of(experiment, [axis.path for axis in self.axes])
        self.shape = tuple(len(axis.values) for axis in self.axes)
        if math.prod(self.shape) > LIMIT:
            counts = " x ".join(map(str, self.shape))
            raise SettingsError(f"sweep: {counts} runs, at most {LIMIT:,} are possible")
        #: headings of the settings: the short names, and paths where those would be confused with results
        taken = (*RESERVED, *Result.__struct_fields__)
        self.names = tuple(axis.path if axis.name in taken else axis.name for axis in self.axes)
        self._experiments = self._combine()
        self._needs = needs_of(self._samples())
        #: short digests of the experiment, the axes, and the loaded plug-in files ("" if there are none)
        self.digests = self._digests()
        self.identity = "-".join(filter(None, self.digests))

    def __len__(self) -> int:
        return math.prod(self.shape)

    def places(self, index: int) -> tuple[int, ...]:
        """Which value of every axis run `index` has."""
        places = []
        for size in reversed(self.shape):
            index, place = divmod(index, size)
            places.append(place)
        return tuple(reversed(places))

    def labels(self, index: int) -> tuple[str, ...]:
        """The settings of a run as texts, one per axis."""
        return tuple(axis.labels[place] for axis, place in zip(self.axes, self.places(index), strict=True))

    def words(self, index: int) -> str:
        """The settings of a run in one line: "lr=0.1 seed=3"."""
        return " ".join(f"{name}={label}" for name, label in zip(self.names, self.labels(index), strict=True))

    def method(self, index: int) -> int:
        """Which of the experiment's methods a run uses."""
        chosen = (
            axis.values[at] for axis, at in zip(self.axes, self.places(index), strict=True) if axis.path == METHOD
        )
        return int(next(chosen, 0))

    def spec(self, index: int) -> Experiment:
        """The experiment of a run."""
        return self._experiments[index]

    def task(self, index: int) -> Task:
        """A run as it is sent to a worker."""
        return Task(text_of(self._experiments[index]), self._needs.plugins, self._needs.modules, self.method(index))

    @property
    def homeless(self) -> tuple[str, ...]:
        """Names of the classes in use that no other process can find: those of a script or notebook."""
        return self._needs.homeless

    def _digests(self) -> tuple[str, str, str]:
        axes = repr([(axis.path, axis.labels) for axis in self.axes])
        sources = "".join(source for _, source in self._needs.plugins)
        return _digest(_spelled(self.experiment)), _digest(axes), _digest(sources) if sources else ""

    def _combine(self) -> list[Experiment]:
        """All experiments. Settings that lie higher are set first, so that those inside them come after."""
        order = sorted(range(len(self.axes)), key=lambda number: self.axes[number].depth)
        found: list[Experiment | None] = [None] * len(self)
        strides = [math.prod(self.shape[number + 1 :]) for number in range(len(self.shape))]

        def descend(experiment: Experiment, chosen: tuple[int, ...], index: int, method: int) -> None:
            if len(chosen) == len(order):
                found[index] = experiment
                return
            number = order[len(chosen)]
            axis = self.axes[number]
            for place, value in enumerate(axis.values):
                changed, used = experiment, method
                try:
                    if axis.path == METHOD:
                        used = value
                    else:
                        changed = set_path(experiment, axis.path_for(method), value)
                except SettingsError as error:
                    pairs = zip(order, (*chosen, place), strict=False)
                    words = " ".join(f"{self.axes[at].name}={self.axes[at].labels[which]}" for at, which in pairs)
                    raise SettingsError(f"sweep: {words}: {error}") from None
                descend(changed, (*chosen, place), index + place * strides[number], used)

        descend(self.experiment, (), 0, 0)
        return [experiment for experiment in found if experiment is not None]

    def _samples(self) -> Iterator[Experiment]:
        """Experiments in which every value of every axis occurs."""
        for number, size in enumerate(self.shape):
            stride = math.prod(self.shape[number + 1 :])
            yield from self._experiments[: stride * size : stride]


def _spelled(experiment: Experiment) -> str:
    """An experiment and the content of its data file; not where that file lies."""
    file = data_file(experiment)
    if file is None or not file.is_file():
        return dumps(experiment)
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    return dumps(set_path(experiment, "problem.data.path", file.name)) + content


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
