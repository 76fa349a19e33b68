"""One run of a sweep, from text to numbers: what is sent to a worker process, and what comes back."""

from __future__ import annotations

import math
from time import perf_counter

import msgspec
import numpy as np

from nnopt.errors import NnoptError
from nnopt.runs.parcels import Parcel
from nnopt.runs.run import Run
from nnopt.runs.state import Memory

#: a run of a sweep keeps little of its way: only its end is asked for
MEMORY = Memory(rows=2**10, keyframes=2**18, recent=2**16)

FAILED = "failed"
#: what may stand in a record's column `outcome`
OUTCOMES = ("converged", "diverged", "stuck", "stopped_early", "stopped", FAILED)


class Task(Parcel, frozen=True):
    """An experiment in its parcel, and method: which of its methods to use.

    >>> Task("{}", method=1).plugins
    ()
    """

    method: int = 0


class Result(msgspec.Struct, frozen=True):
    """How a run ended.

    outcome: "converged", "diverged", "stuck", "stopped_early" or "stopped" as that of the run; "failed" where an error
    kept it from being made. reason: one sentence on it.
    steps_made: updates. training_loss: of all examples, penalty included (of a function: its value). validation_loss:
    without a penalty, NaN where nothing is held out. training_accuracy, validation_accuracy: shares classified
    correctly, NaN where that has no meaning.
    gradient_norm: of the last step's batch. All these are of the run's last state. best_validation_loss, best_step: the
    lowest validation loss that was measured on the way and its step, that is, the state to keep after early stopping;
    NaN and None where nothing is held out. seconds: that the run took.

    >>> Result("failed", "the file is missing").training_loss
    nan
    """

    outcome: str
    reason: str = ""
    steps_made: int = 0
    training_loss: float = math.nan
    validation_loss: float = math.nan
    training_accuracy: float = math.nan
    validation_accuracy: float = math.nan
    gradient_norm: float = math.nan
    best_validation_loss: float = math.nan
    best_step: int | None = None
    seconds: float = math.nan


def result_of(run: Run, seconds: float = math.nan) -> Result:
    """The numbers at a run's newest state, and which state was the best. seconds: that it took.

    >>> from nnopt.runs.experiment import default_experiment
    >>> run = Run(default_experiment())
    >>> run.advance(300)
    300
    >>> result = result_of(run)
    >>> result.steps_made, result.best_step, result.validation_loss == result.best_validation_loss
    (300, 300, True)
    """
    problem, theta, best = run.problem, run.state.theta, run.history.best
    with np.errstate(all="ignore"):
        training, validation = problem.accuracy(theta)
        return Result(
            run.outcome.kind,
            run.outcome.reason,
            run.state.step,
            float(problem.objective.value(theta)),
            problem.validation_value(theta),
            training,
            validation,
            run.history.row(run.state.step)["gradient_norm"],
            best.validation_loss if best is not None else math.nan,
            best.step if best is not None else None,
            seconds,
        )


def perform(task: Task) -> Result:
    """Make the run. Whatever it raises is its result: other runs of the sweep are not touched by it.

    >>> from nnopt.runs.experiment import default_experiment, dumps
    >>> perform(Task(dumps(default_experiment()).replace("5000", "5"))).steps_made
    5
    """
    began = perf_counter()
    try:
        experiment = task.open("sweep")
        run = Run(experiment, method=task.method, memory=MEMORY)
        run.advance(experiment.steps)
        return result_of(run, perf_counter() - began)
    except NnoptError as error:
        reason = str(error)
    except Exception as error:  # a plug-in's own
        reason = f"{type(error).__name__}: {error}"
    return Result(FAILED, " ".join(reason.split()), seconds=perf_counter() - began)
