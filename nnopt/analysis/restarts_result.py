"""What many runs came to: where each ended, how good that is, and in what their solutions differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.solutions import (
    Clusters,
    DisagreementMap,
    Histogram,
    clusters,
    differences,
    disagreement,
    disagreement_map,
    histogram,
    votes,
)
from nnopt.errors import SettingsError, UnsupportedError
from nnopt.objectives.losses import LOSSES
from nnopt.objectives.objective import NetworkObjective
from nnopt.runs.state import Outcome
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Validation(Shown):
    """K runs on examples that are held out of training. losses (K,): at the end. best_losses, best_steps (K,): the
    lowest that was measured, and when; infinity and -1 where none is a number. best_theta (K, P): where that was.

    >>> Validation(np.array([0.5]), np.array([0.4]), np.array([20]), np.zeros((1, 3))).best_steps
    array([20])
    """

    losses: Array
    best_losses: Array
    best_steps: npt.NDArray[np.int64]
    best_theta: Array


@dataclass(frozen=True, eq=False, repr=False)
class Restarts(Shown):
    """What K runs came to.

    seeds (K,). theta (K, P): where each ended. losses (K,): the full training loss there, in float64; infinity where it
    is not a number. outcomes: how each ended; "running": where it was when it was told to stop. steps (T,), curves
    (T, K): full training losses that were measured on the way, NaN after a run's end. objective: what was minimized.
    validation: losses on examples that are held out; None where there are none.

    One call each: `histogram` of the final losses, `clusters` of solutions that say the same, `disagreement` and
    `disagreement_map`; `nnopt.export.save` writes all of it to a CSV or NPZ file.

    >>> from nnopt.analysis.together import train_together
    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> found = train_together(functions.get("bowl"), get("sgd")(), [[2.0], [-1.0], [3.0]], steps=5)
    >>> found.best, found.order, found.diverged.any()
    (1, array([1, 0, 2]), np.False_)
    """

    seeds: npt.NDArray[np.int64]
    theta: Array
    losses: Array
    outcomes: tuple[Outcome, ...]
    steps: npt.NDArray[np.int64]
    curves: Array
    objective: Any = field(default=None, repr=False)
    validation: Validation | None = field(default=None, repr=False)

    @property
    def best(self) -> int:
        """Index of the run with the lowest loss. Raises: SettingsError if there is no run."""
        if not len(self.losses):
            raise SettingsError("restarts: no run is there, so none is the best")
        return int(self.losses.argmin())

    @property
    def order(self) -> npt.NDArray[np.intp]:
        """Indices of the runs from the lowest loss to the highest, (K,)."""
        return np.argsort(self.losses, kind="stable")

    @property
    def diverged(self) -> npt.NDArray[np.bool_]:
        """Which of them diverged, (K,)."""
        return np.array([outcome.kind == "diverged" for outcome in self.outcomes], dtype=np.bool_)

    @property
    def columns(self) -> dict[str, Array]:
        """As a table, one row per run: seed, outcome, reason, steps_made, training_loss, and where examples are held
        out validation_loss, best_validation_loss, best_step; arrays (K,)."""
        texts = np.array([(outcome.kind, outcome.reason) for outcome in self.outcomes], dtype=str).reshape(-1, 2)
        steps = np.array([outcome.step for outcome in self.outcomes], dtype=np.int64)
        table: dict[str, Array] = {"seed": self.seeds, "outcome": texts[:, 0], "reason": texts[:, 1]}
        table |= {"steps_made": steps, "training_loss": self.losses}
        if self.validation is not None:
            table["validation_loss"] = self.validation.losses
            table["best_validation_loss"] = self.validation.best_losses
            table["best_step"] = self.validation.best_steps
        return table

    @property
    def classifies(self) -> bool:
        """Whether the solutions choose classes, and so can vote."""
        loss = getattr(self.objective, "loss", None)
        return isinstance(self.objective, NetworkObjective) and LOSSES[str(loss)].task == "classification"

    def histogram(self, bins: int = 15) -> Histogram:
        """How the final losses are distributed; see `solutions.histogram`."""
        return histogram(self.losses, bins)

    def clusters(self, within: float = 0.05, X: npt.ArrayLike | None = None) -> Clusters:
        """Kinds of solutions: those whose outputs differ by at most `within` on the points X (M, D) (the examples), the
        best of each kind first; see `solutions.differences` and `solutions.clusters`. Runs that diverged are no
        solutions, and of no kind. Raises: UnsupportedError for what is no network."""
        network = self._network("clusters")
        # as outputs that are not numbers: the wild ones of a diverged run would set the scale for all others
        theta = np.where(self.diverged[:, None], np.nan, self.theta)
        return clusters(differences(network, theta, X), within, self.losses)

    def disagreement(self, X: npt.ArrayLike | None = None) -> Array:
        """Share of the solutions that vote against the majority at each of the points X (M, D) (the examples), (M,);
        see `solutions.disagreement`. Raises: UnsupportedError for what does not classify, SettingsError for no runs."""
        objective = self._network("disagreement")
        return disagreement(votes(objective, self.theta, X))

    def disagreement_map(
        self, extent: Sequence[float] | None = None, n: int | tuple[int, int] = 101
    ) -> DisagreementMap:
        """The same over a window of a plane of two inputs; see `solutions.disagreement_map`. Raises: as `disagreement`,
        and UnsupportedError for inputs that are not two."""
        return disagreement_map(self._network("disagreement_map"), self.theta, extent, n)

    def _network(self, what: str) -> NetworkObjective:
        if not isinstance(self.objective, NetworkObjective):
            kind = type(self.objective).__name__
            raise UnsupportedError(f"{what}: solutions are compared by the outputs of a network, and {kind} has none")
        if not len(self.theta):
            raise SettingsError(f"{what}: no run is there to be looked at")
        return self.objective


def joined(parts: Sequence[Restarts], objective: Any = None) -> Restarts:
    """Runs that were made apart, as one, in the order of the parts (one or more).

    Parts whose runs have all ended early have shorter curves: their steps begin as the longest ones do.

    >>> start, outcomes = np.array([0]), (Outcome("running", 0),)
    >>> one = Restarts(np.array([3]), np.zeros((1, 2)), np.zeros(1), outcomes, start, np.ones((1, 1)))
    >>> joined([one, one]).curves
    array([[1., 1.]])
    """
    steps = max((part.steps for part in parts), key=len)
    curves = np.full((len(steps), sum(len(part.seeds) for part in parts)), np.nan)
    place = 0
    for part in parts:
        curves[: len(part.steps), place : place + len(part.seeds)] = part.curves
        place += len(part.seeds)
    measured = [part.validation for part in parts if part.validation is not None]
    validation = (
        Validation(
            np.concatenate([one.losses for one in measured]),
            np.concatenate([one.best_losses for one in measured]),
            np.concatenate([one.best_steps for one in measured]),
            np.concatenate([one.best_theta for one in measured]),
        )
        if len(measured) == len(parts)
        else None
    )
    return Restarts(
        np.concatenate([part.seeds for part in parts]),
        np.concatenate([part.theta for part in parts]),
        np.concatenate([part.losses for part in parts]),
        tuple(outcome for part in parts for outcome in part.outcomes),
        steps,
        curves,
        objective,
        validation,
    )
