"""The problem of an experiment, built: data, network or function, and the objective that a run minimizes.

A problem is immutable; a change of data or penalty gives another one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from nnopt.errors import DataError, NnoptError, SettingsError, ShapeError, SpecError
from nnopt.objectives.datasets import Dataset, split
from nnopt.objectives.functions import Function
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Rows, Vector
from nnopt.runs.changes import AddExample, AnyChange, MoveExample, MoveTo, RemoveExample, SetSetting
from nnopt.runs.experiment import AUTO, Experiment, FunctionProblem, NetworkProblem, Recording, check_experiment
from nnopt.runs.paths import set_path

#: parameters of a network at most: a state takes 8 bytes of each, several times over
MAX_PARAMETERS = 20_000_000


@dataclass(frozen=True, eq=False)
class Problem:
    """What an experiment minimizes.

    experiment: in force. objective: on the training examples, or the function itself. network, dataset, training,
    validation (indices into the data set), held_out (the loss on the validation examples, without any penalty): None or
    empty for a function. function: None for a network.

    >>> from nnopt.runs.experiment import default_experiment
    >>> problem = build(default_experiment())
    >>> problem.network.sizes, problem.size, problem.examples, len(problem.validation)
    ((2, 8, 1), 33, 240, 160)
    """

    experiment: Experiment
    objective: Any
    function: Function | None = None
    network: Network | None = None
    dataset: Dataset | None = None
    training: Rows = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    validation: Rows = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    held_out: NetworkObjective | None = None

    @property
    def examples(self) -> int | None:
        """Training examples, None for a function."""
        return None if self.dataset is None else len(self.training)

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return int(self.objective.size)

    @property
    def bytes(self) -> int:
        """About what the data take: the data set, its copies in the objectives, and the orders of batches."""
        return 0 if self.dataset is None else 3 * (self.dataset.X.nbytes + np.asarray(self.dataset.y).nbytes)

    @property
    def classifies(self) -> bool:
        """Whether the outputs are classes."""
        return self.dataset is not None and self.dataset.task == "classification"

    def initial(self, seed: int | None = None) -> Vector:
        """Where a run begins, (P,): initial weights from the seed (that of the experiment), or the function's start."""
        spec = self.experiment.problem
        if isinstance(spec, NetworkProblem) and self.network is not None:
            chosen = self.experiment.seed if seed is None else seed
            return np.asarray(self.network.initial(chosen, spec.network.initial), dtype=np.float64)
        start = spec.start if isinstance(spec, FunctionProblem) else None
        return np.array(self.objective.start if start is None else start, dtype=np.float64)

    def validation_value(self, theta: Vector) -> float:
        """The loss on the validation examples, without any penalty; NaN if there are none."""
        return math.nan if self.held_out is None else float(self.held_out.value(theta))

    def accuracy(self, theta: Vector) -> tuple[float, float]:
        """Shares of training and validation examples classified correctly; NaN where there are none."""
        if not self.classifies or self.dataset is None:
            return math.nan, math.nan
        outputs = self.objective.outputs(theta, self.dataset.X)
        # one output is a logit, or, fitted by least squares, the class number itself
        middle = 0.5 if self.objective.loss == "squared_error" else 0.0
        decided = (outputs[:, 0] > middle).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        correct = decided == np.asarray(self.dataset.y).astype(int)
        shares = [float(correct[rows].mean()) if len(rows) else math.nan for rows in (self.training, self.validation)]
        return shares[0], shares[1]

    def changed(self, change: AnyChange) -> Problem:
        """The problem after an intervention; itself where the change does not touch it.

        Raises: SettingsError, DataError or ShapeError saying why the change is not valid.
        """
        match change:
            case SetSetting(path, value):
                experiment = set_path(self.experiment, path, value)
                if path.startswith("problem.") and isinstance(experiment.problem, NetworkProblem):
                    l2, l1 = experiment.problem.l2, experiment.problem.l1
                    return replace(self, experiment=experiment, objective=self.objective.with_penalty(l2, l1))
                return replace(self, experiment=experiment)
            case MoveTo(theta):
                if len(theta) != self.size:
                    raise ShapeError(f"MoveTo.theta: expected {self.size} numbers, got {len(theta)}")
                return self
            case AddExample(x, y):
                data = self._data()
                added = data.with_example(x, y)
                return self._with_examples(added, np.append(self.training, data.n), self.validation)
            case MoveExample(index, x):
                return self._with_examples(self._data().moved(index, x), self.training, self.validation)
            case RemoveExample(index):
                left = self._data().without(index)
                training, validation = _without(self.training, index), _without(self.validation, index)
                if not len(training):
                    raise DataError(f"example {index} is the last training example: a run needs at least one")
                return self._with_examples(left, training, validation)

    def remeasures(self, change: AnyChange) -> bool:
        """Whether validation losses before a change cannot be compared with those after it: those of other held-out
        examples. Penalties are no part of them."""
        match change:
            case MoveExample(index) | RemoveExample(index):
                return index in self.validation
        return False

    def _data(self) -> Dataset:
        if self.dataset is None:
            raise SettingsError("a function has no examples to change")
        return self.dataset

    def _with_examples(self, dataset: Dataset, training: Rows, validation: Rows) -> Problem:
        X, y = dataset.X, dataset.y
        objective = self.objective.with_data(X[training], y[training])
        held_out = _held_out(objective, X[validation], y[validation])
        return replace(
            self, dataset=dataset, objective=objective, held_out=held_out, training=training, validation=validation
        )


def build(experiment: Experiment) -> Problem:
    """Make the data, the network or function, and the objective of an experiment.

    Raises: DataError for data that cannot be read or used; SettingsError, ShapeError where loss and data do not fit;
    SettingsError for a network of more than 20 million parameters, and for what is no experiment.

    >>> from nnopt.objectives import functions
    >>> build(Experiment(FunctionProblem(functions.get("rosenbrock"), start=(0, 2)))).initial()
    array([0., 2.])
    """
    check_experiment(experiment)
    spec = experiment.problem
    if isinstance(spec, FunctionProblem):
        return Problem(experiment, spec.function, function=spec.function)
    dataset = spec.data.make(experiment.data_seed)
    training, validation = split(dataset, spec.validation, experiment.split_seed)
    if not len(training):
        raise DataError(f"no example is left for training ({dataset.n} in all, validation {spec.validation:g})")
    sizes = (dataset.inputs, *spec.network.hidden, dataset.outputs)
    parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    if parameters > MAX_PARAMETERS:
        raise SettingsError(
            f"network {'-'.join(map(str, sizes))}: {parameters:,} parameters, expected at most {MAX_PARAMETERS:,}"
        )
    network = Network(sizes, spec.network.activation)
    loss = dataset.loss if spec.loss == AUTO else spec.loss
    X, y = dataset.X, dataset.y
    objective = NetworkObjective(network, X[training], y[training], loss=loss, l2=spec.l2, l1=spec.l1)
    held_out = _held_out(objective, X[validation], y[validation])
    return Problem(
        experiment, objective, network=network, dataset=dataset, training=training, validation=validation,
        held_out=held_out,
    )  # fmt: skip


def check_recording(recording: Recording) -> Problem:
    """The problem at the end of a recording, after all its interventions, without making the steps between them.

    Raises: SpecError naming the intervention that is not valid; whatever `build` raises.

    >>> from nnopt.runs.changes import Intervention
    >>> from nnopt.runs.experiment import default_experiment
    >>> check_recording(Recording(default_experiment(), (Intervention(9, MoveTo((1.0, 2.0))),)))
    Traceback (most recent call last):
    nnopt.errors.SpecError: at $.interventions[0].change: MoveTo.theta: expected 33 numbers, got 2
    """
    problem = build(recording.experiment)
    for number, intervention in enumerate(recording.interventions):
        try:
            problem = problem.changed(intervention.change)
        except NnoptError as error:
            raise SpecError(f"at $.interventions[{number}].change: {error}") from None
    return problem


def _held_out(objective: NetworkObjective, X: Any, y: Any) -> NetworkObjective | None:
    """The loss on held-out examples: a penalty pulls on the weights in training, it says nothing about the examples."""
    return objective.with_data(X, y).with_penalty(0.0, 0.0) if len(X) else None


def _without(rows: Rows, index: int) -> Rows:
    kept = rows[rows != index]
    left: Rows = np.where(kept > index, kept - 1, kept)
    return left
