"""Many solutions side by side: which of them are the same function, where they disagree, how good they are.

Solutions are compared by their outputs, not their weights: equal functions may lie far apart in parameter space
(symmetry.py), and what counts is what a network says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.analysis.given import count_of
from nnopt.analysis.landscape import axes, window
from nnopt.errors import SettingsError, ShapeError, UnsupportedError
from nnopt.objectives.losses import LOSSES
from nnopt.objectives.objective import NetworkObjective
from nnopt.shown import Shown

Array: TypeAlias = npt.NDArray[np.float64]
Votes: TypeAlias = npt.NDArray[np.intp]

#: the vote of a network whose outputs are not numbers
NO_VOTE = -1


def votes(objective: NetworkObjective, thetas: npt.ArrayLike, X: npt.ArrayLike | None = None) -> Votes:
    """The class that each network chooses at each point, (K, M); -1 where its outputs are not finite.

    thetas (K, P); X (M, D), or None for the objective's own examples. One logit chooses class 1 where it is positive,
    several the largest. Raises: UnsupportedError for regression and for what is no network, ShapeError.

    >>> from nnopt.objectives.network import Network
    >>> objective = NetworkObjective(Network((1, 1)), [[-1.0], [1.0]], [0, 1])
    >>> votes(objective, [[1.0, 0.0], [1.0, 5.0]])
    array([[0, 1],
           [1, 1]])
    """
    if LOSSES[_network(objective).loss].task != "classification":
        raise UnsupportedError(f"{objective.loss}: outputs are predicted values, and there are no classes to vote for")
    outputs = objective.outputs_of(np.asarray(thetas, dtype=np.float64), X)
    chosen = (outputs[..., 0] > 0).astype(np.intp) if outputs.shape[-1] == 1 else outputs.argmax(axis=-1)
    chosen[~np.isfinite(outputs).all(axis=-1)] = NO_VOTE
    return chosen


def disagreement(cast: npt.ArrayLike) -> Array:
    """Share of the networks that vote against the majority at each point, (M,), from 0 to 1 - 1 / classes.

    cast (K, M): class indices, as `votes` gives them; those that do not vote (-1) do not count, and where nobody votes
    the share is NaN. 1 - max_c |{k: vote_k = c}| / |{k: vote_k}|.  Raises: ShapeError.

    >>> disagreement([[0, 1, 1], [0, 1, 0], [0, 0, 1], [0, 1, 0]])
    array([0.  , 0.25, 0.5 ])
    """
    chosen = np.asarray(cast)
    if chosen.ndim != 2 or not len(chosen):
        raise ShapeError(f"disagreement: expected votes of shape (K, M), got {chosen.shape}")
    counts = _counts(chosen)
    voters = counts.sum(axis=0)
    majority = np.full(chosen.shape[1], np.nan)
    np.divide(counts.max(axis=0), voters, out=majority, where=voters > 0)
    return np.asarray(1.0 - majority)


@dataclass(frozen=True, eq=False, repr=False)
class DisagreementMap(Shown):
    """Where the solutions disagree, over a window of a plane of inputs.

    x (n1,), y (n2,): first and second input. share (n1, n2): that votes against the majority at (x_i, y_j), NaN where
    nobody votes. majority (n1, n2): the class that most vote for (of equally many the first), -1 where nobody votes.

    >>> found = DisagreementMap(np.zeros(1), np.ones(2), np.array([[0.0, 0.5]]), np.array([[1, 0]]))
    >>> found.mean
    0.25
    """

    x: Array
    y: Array
    share: Array
    majority: Votes

    @property
    def mean(self) -> float:
        """Mean share over the window; NaN if nobody votes anywhere."""
        return float(np.nanmean(self.share)) if not np.isnan(self.share).all() else float("nan")


def disagreement_map(
    objective: NetworkObjective,
    thetas: npt.ArrayLike,
    extent: float | Sequence[float] | None = None,
    n: int | tuple[int, int] = 101,
) -> DisagreementMap:
    """`disagreement` of the networks thetas (K, P) at every point of a grid over two inputs.

    extent: half-width, or (x0, x1, y0, y1); None: the window whose middle half the examples fill. n: points along each
    axis, or along x and y. Raises: UnsupportedError for regression and for other than two inputs; SettingsError.

    >>> from nnopt.objectives.network import Network
    >>> objective = NetworkObjective(Network((2, 1)), [[-1.0, 0.0], [1.0, 0.0]], [0, 1])
    >>> found = disagreement_map(objective, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], extent=1.0, n=2)
    >>> found.share
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    inputs = _network(objective).network.inputs
    if inputs != 2:
        raise UnsupportedError(f"disagreement_map: expected a network of 2 inputs, got {inputs}; see `disagreement`")
    x, y = axes(window(objective.X) if extent is None else extent, n)
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    cast = votes(objective, thetas, points)
    counts = _counts(cast)
    majority = np.where(counts.any(axis=0), counts.argmax(axis=0), NO_VOTE)
    shape = len(x), len(y)
    return DisagreementMap(x, y, disagreement(cast).reshape(shape), majority.reshape(shape))


def differences(objective: NetworkObjective, thetas: npt.ArrayLike, X: npt.ArrayLike | None = None) -> Array:
    """How much the networks differ in what they compute, pair by pair: (K, K), symmetric.

    Classification: the share of the points X (M, D) that two networks put into different classes. Regression: the root
    mean square of the difference of their outputs, divided by the standard deviation of the outputs of all networks
    over all points. A network whose outputs are not finite somewhere is at infinite distance from all, itself included.
    X None: the objective's own examples. Raises: ShapeError; UnsupportedError for what is no network.

    >>> from nnopt.objectives.network import Network
    >>> objective = NetworkObjective(Network((1, 1)), [[-1.0], [1.0]], [0, 1])
    >>> differences(objective, [[1.0, 0.0], [9.0, 0.0], [1.0, 5.0]])
    array([[0. , 0. , 0.5],
           [0. , 0. , 0.5],
           [0.5, 0.5, 0. ]])
    """
    parameters = np.asarray(thetas, dtype=np.float64)
    if LOSSES[_network(objective).loss].task == "classification":
        cast = votes(objective, parameters, X)
        lost = (cast == NO_VOTE).any(axis=1)
        distances = np.array([np.count_nonzero(cast != row, axis=1) for row in cast]) / cast.shape[1]
    else:
        outputs = objective.outputs_of(parameters, X).reshape(len(parameters), -1)
        lost = ~np.isfinite(outputs).all(axis=1)
        outputs[lost] = 0.0
        # squares of the largest outputs stay in the range of floats
        outputs /= float(np.max(np.abs(outputs), initial=0.0)) or 1.0
        spread = float(outputs[~lost].std()) if not lost.all() else 0.0
        distances = np.array([np.sqrt(np.mean((outputs - row) ** 2, axis=1)) for row in outputs]) / (spread or 1.0)
    distances[lost] = distances[:, lost] = np.inf
    return np.asarray(distances)


@dataclass(frozen=True, eq=False, repr=False)
class Clusters(Shown):
    """Kinds of solutions. labels (K,): the kind of each, 0 for the most frequent; -1 for one that is no solution.
    sizes: how many of each kind. members: the indices of each kind, the best first.

    >>> found = Clusters(np.array([0, -1, 0]), (2,), (np.array([2, 0]),))
    >>> found.count, found.letter(0), found.letter(1)
    (1, 'A', '–')
    """

    labels: npt.NDArray[np.intp]
    sizes: tuple[int, ...]
    members: tuple[npt.NDArray[np.intp], ...]

    @property
    def count(self) -> int:
        """How many kinds there are."""
        return len(self.sizes)

    @property
    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """As a table, one row per solution: run (its index), kind (its letter); arrays (K,)."""
        letters = [self.letter(index) for index in range(len(self.labels))]
        return {"run": np.arange(len(letters)), "kind": np.array(letters, dtype=str)}

    def letter(self, index: int) -> str:
        """The kind of solution `index` as a letter: A for the most frequent, then B ... Z, AA, AB ...; – for none."""
        label, letters = int(self.labels[index]), ""
        if label < 0:
            return "–"
        while label >= 0:
            label, rest = divmod(label, 26)
            letters = chr(ord("A") + rest) + letters
            label -= 1
        return letters


def clusters(distances: npt.ArrayLike, within: float = 0.05, losses: npt.ArrayLike | None = None) -> Clusters:
    """Solutions that all differ by at most `within` from each other are of one kind.

    distances (K, K): as `differences` gives them; not finite on the diagonal: no solution. within: share of the points
    (0.05: five percent), >= 0. losses (K,): the order within a kind. Complete-linkage clustering (Sorensen 1948): the
    two kinds whose farthest members are nearest are joined, as long as those are within the limit. Of equally frequent
    kinds the better one comes first.

    Raises: ShapeError, SettingsError.

    >>> found = clusters([[0.0, 0.01, 0.4], [0.01, 0.0, 0.4], [0.4, 0.4, 0.0]], losses=[0.3, 0.2, 0.1])
    >>> found.labels, found.sizes, found.members[0], found.letter(2)
    (array([0, 0, 1]), (2, 1), array([1, 0]), 'B')
    """
    matrix = np.asarray(distances, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"clusters: expected distances of shape (K, K), got {matrix.shape}")
    if not within >= 0:
        raise SettingsError(f"clusters: expected within >= 0, got {within!r}")
    count = len(matrix)
    order = np.arange(count) if losses is None else np.argsort(np.asarray(losses, dtype=np.float64), kind="stable")
    if order.shape != (count,):
        raise ShapeError(f"clusters: expected losses of shape ({count},), got {order.shape}")
    kinds = _joined(matrix, np.flatnonzero(np.isfinite(matrix.diagonal())), within)
    rank = np.argsort(order)
    kinds.sort(key=lambda members: (-len(members), rank[members].min()))
    labels = np.full(count, -1, dtype=np.intp)
    for label, members in enumerate(kinds):
        labels[members] = label
    sorted_members = tuple(members[np.argsort(rank[members])] for members in kinds)
    return Clusters(labels, tuple(len(members) for members in kinds), sorted_members)


@dataclass(frozen=True, eq=False, repr=False)
class Histogram(Shown):
    """Counts (B,) between edges (B + 1,), logarithmic edges if `logarithmic`. lost: losses that are not finite.
    best, median, worst: of the finite ones, NaN if there are none.

    >>> histogram([1.0, 10.0, 100.0], bins=2).median
    10.0
    """

    counts: npt.NDArray[np.intp]
    edges: Array
    logarithmic: bool
    lost: int
    best: float
    median: float
    worst: float

    @property
    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """As a table, one row per bar: low, high, count; arrays (B,)."""
        return {"low": self.edges[:-1], "high": self.edges[1:], "count": self.counts}


def histogram(losses: npt.ArrayLike, bins: int = 15) -> Histogram:
    """How final losses (K,) are distributed: on a logarithmic axis if all are positive, else on a linear one.

    Losses that are not finite are counted apart. Raises: SettingsError for bins < 1.

    >>> found = histogram([0.001, 0.01, 0.012, 0.1, float("inf")], bins=2)
    >>> found.counts, found.edges.round(3), found.lost
    (array([1, 3]), array([0.001, 0.01 , 0.1  ]), 1)
    """
    bins = count_of("bins", bins, least=1)
    given = np.asarray(losses, dtype=np.float64).ravel()
    finite = np.sort(given[np.isfinite(given)])
    lost = len(given) - len(finite)
    if not len(finite):
        return Histogram(np.zeros(bins, np.intp), np.linspace(0.0, 1.0, bins + 1), False, lost, *[float("nan")] * 3)
    best, worst = float(finite[0]), float(finite[-1])
    logarithmic = best > 0
    low, high = best, worst
    if not high > low:
        # one value only: a bar of some width around it
        low, high = (
            (best / 1.1, best * 1.1) if logarithmic else (best - max(0.1, -0.1 * best), best + max(0.1, -0.1 * best))
        )
    edges = np.geomspace(low, high, bins + 1) if logarithmic else np.linspace(low, high, bins + 1)
    # the ends are members, whatever the rounding of the logarithms
    edges[0], edges[-1] = low, high
    counts, _ = np.histogram(finite, edges)
    return Histogram(counts, edges, logarithmic, lost, best, float(np.median(finite)), worst)


def _network(objective: NetworkObjective) -> NetworkObjective:
    if not isinstance(objective, NetworkObjective):
        kind = type(objective).__name__
        raise UnsupportedError(f"solutions are compared by the outputs of a network, and {kind} has none")
    return objective


def _counts(cast: Votes) -> npt.NDArray[np.intp]:
    """How many vote for each class, (classes, M)."""
    classes = range(max(int(cast.max(initial=0)) + 1, 1))
    return np.array([np.count_nonzero(cast == c, axis=0) for c in classes])


def _joined(distances: Array, indices: npt.NDArray[np.intp], within: float) -> list[npt.NDArray[np.intp]]:
    """Complete-linkage clusters of some of the solutions, as arrays of indices."""
    if len(indices) < 2:
        return [indices] if len(indices) else []
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    some = distances[np.ix_(indices, indices)]
    # infinitely far is farther than any limit
    known = np.isfinite(some)
    some = np.where(known, some, 2.0 * max(within, float(some[known].max())) + 1.0)
    tree = linkage(squareform(some, checks=False), method="complete")
    labels = fcluster(tree, t=within, criterion="distance")
    return [indices[labels == label] for label in np.unique(labels)]
