"""How often a run measures what is not part of its updates: the full training loss and the loss on held-out examples.

Where the experiment gives no number, measuring takes about a quarter of the time at most. The count depends on sizes
alone, so that a run is the same on every machine and on every replay.
"""

from __future__ import annotations

from nnopt.runs.problem import Problem

#: steps between measurements at the least; of the time, measuring may take 1 part in SHARE + 1
LEAST, SHARE = 10, 3
#: in multiplications of a weight: what an activation costs, and an update beside its examples. forward: what the loss
#: alone of a held-out example costs, compared with loss and gradient of one in training
ACTIVATION, OVERHEAD, FORWARD = 40, 50_000, 0.5


def measured_every(problem: Problem, method: int = 0) -> int:
    """Steps between measurements of a run: the experiment's number, or what `spacing` makes of the sizes.

    >>> from nnopt.runs.experiment import default_experiment, set_path
    >>> from nnopt.runs.problem import build
    >>> [measured_every(build(set_path(default_experiment(), "measure.every", every))) for every in (0, 7)]
    [10, 7]
    """
    experiment = problem.experiment
    if experiment.measure.every:
        return experiment.measure.every
    examples = problem.examples
    if examples is None:
        return LEAST
    steps = experiment.methods[method].batches.sampler(examples, 0).steps_per_epoch
    units = 0 if problem.network is None else sum(problem.network.widths)
    return spacing(problem.size, units, examples, len(problem.validation), steps)


def spacing(parameters: int, units: int, training: int, validation: int, steps_per_epoch: int) -> int:
    """The least of 10, 20, 50, 100, 200, 500, ... steps for which measuring takes a quarter of the time or less.

    With a cost of parameters + 40 * hidden units per example, an update is counted as cost * batch + 50,000, and a
    measurement as cost * (training examples, unless every update sees all of them, + half of the held-out ones).

    >>> spacing(33, 8, training=200, validation=200, steps_per_epoch=20)
    10
    >>> spacing(337, 32, training=50_000, validation=50_000, steps_per_epoch=1563)  # mini-batches of 32
    5000
    >>> spacing(337, 32, training=50_000, validation=50_000, steps_per_epoch=1)
    10
    """
    cost = parameters + ACTIVATION * units
    update = cost * training / steps_per_epoch + OVERHEAD
    measurement = cost * ((training if steps_per_epoch > 1 else 0) + FORWARD * validation)
    wanted, scale = SHARE * measurement / update, LEAST
    while True:
        for nice in (scale, 2 * scale, 5 * scale):
            if nice >= wanted:
                return nice
        scale *= 10
