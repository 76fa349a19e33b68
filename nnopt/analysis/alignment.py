"""Alignment: the permutation and the signs of hidden units that carry one network closest to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnopt.analysis.symmetry import Array, Order, Symmetry, identity
from nnopt.errors import SettingsError, ShapeError
from nnopt.objectives.network import Network
from nnopt.shown import Shown

#: rounds over all layers, at most; each of them brings the networks closer, so that few are needed
_ROUNDS = 100


@dataclass(frozen=True, eq=False, repr=False)
class Alignment(Shown):
    """theta (P,): the network carried to the reference by `symmetry`. before, after: distances |theta - reference|.
    rounds: passes over the layers that were made.

    >>> network = Network((1, 2, 1))
    >>> found = align(network, np.arange(7.0), np.array([2.0, 3.0, 0.0, 1.0, 5.0, 4.0, 6.0]))
    >>> found.symmetry.orders[0], found.before > found.after
    (array([1, 0]), True)
    """

    theta: Array
    symmetry: Symmetry
    before: float
    after: float
    rounds: int


def align(network: Network, theta: npt.ArrayLike, reference: npt.ArrayLike) -> Alignment:
    """The symmetry that carries theta (P,) closest to reference (P,), by weight matching        (Ainsworth et al. 2023)

    min over permutations and (where units can be flipped) signs of |symmetry(theta) - reference|. One layer at a time
    that is a linear assignment, solved exactly (Kuhn 1955) with the score of pairing unit i of the reference with unit
    j of theta C_ij = in_i . in_j + out_i . out_j, or |C_ij| where signs may change; layers are iterated to a fixed
    point, from several beginnings, and the closest result is kept. It is never farther than theta itself,
    and for a permuted and flipped copy of the reference (no two units alike) it is the reference, bit for bit. Flipping
    sigmoid units changes biases beyond their sign, c -> c + v; they are matched as the tanh units that
    compute the same, with biases c + v / 2 that stay, and the copy is recovered up to the rounding of its biases.

    Raises: ShapeError, SettingsError if a theta is not finite.

    >>> from nnopt.analysis.symmetry import random_symmetry
    >>> network = Network((2, 5, 5, 1))
    >>> theta = network.initial(0)
    >>> found = align(network, random_symmetry(network, 1)(theta), theta)
    >>> found.after
    0.0
    """
    own, wanted = _theta(network, theta), _theta(network, reference)
    matching = _Matching(network, _centred(network, own), _centred(network, wanted))
    best, least, made = identity(network), float(np.linalg.norm(own - wanted)), 0
    for begin in (matching.kept, matching.upwards, matching.downwards):
        candidate, rounds = matching.settled(begin())
        made += rounds
        distance = float(np.linalg.norm(candidate(own) - wanted))
        if distance < least:
            best, least = candidate, distance
    moved = best(own)
    before, after = float(np.linalg.norm(own - wanted)), float(np.linalg.norm(moved - wanted))
    return Alignment(moved, best, before, after, made)


class _Matching:
    """The assignments behind `align`, as lists of orders and signs per hidden layer."""

    def __init__(self, network: Network, theta: Array, reference: Array) -> None:
        self.network = network
        self.flips = network.function.mirror is not None
        self.own = network.layers(theta)
        self.wanted = network.layers(reference)

    def kept(self) -> list[tuple[Order, Array]]:
        """Everything where it is."""
        return [(np.arange(n), np.ones(n)) for n in self.network.widths]

    def upwards(self) -> list[tuple[Order, Array]]:
        """From the inputs on, by incoming weights alone: finds copies."""
        found = self.kept()
        for layer in range(len(found)):
            found[layer] = self._assign(self._incoming(layer, found))
        return found

    def downwards(self) -> list[tuple[Order, Array]]:
        """From the outputs back, by outgoing weights alone."""
        found = self.kept()
        for layer in reversed(range(len(found))):
            found[layer] = self._assign(self._outgoing(layer, found))
        return found

    def settled(self, found: list[tuple[Order, Array]]) -> tuple[Symmetry, int]:
        """Layer by layer until no round improves the sum of products any more, and the number of rounds."""
        score, kept, rounds = self._score(found), list(found), 0
        while rounds < _ROUNDS:
            for layer in range(len(found)):
                found[layer] = self._assign(self._incoming(layer, found) + self._outgoing(layer, found))
            reached = self._score(found)
            rounds += 1
            # equal up to rounding is a tie, and a tie is no progress
            if not reached > score + 1e-12 * abs(score):
                break
            score, kept = reached, list(found)
        orders, signs = tuple(order for order, _ in kept), tuple(sign for _, sign in kept)
        return Symmetry(self.network, orders, signs), rounds

    def _score(self, found: list[tuple[Order, Array]]) -> float:
        """Sum of products of all weights with those of the reference: the larger, the closer."""
        return sum(float(np.sum(self._arranged(i, found) * w)) for i, w in enumerate(self.wanted))

    def _incoming(self, layer: int, found: list[tuple[Order, Array]]) -> Array:
        """in_i . in_j, with the layer below arranged as found."""
        return np.asarray(self.wanted[layer] @ self._columns(layer, found).T)

    def _outgoing(self, layer: int, found: list[tuple[Order, Array]]) -> Array:
        """out_i . out_j, with the layer above arranged as found."""
        own = self.own[layer + 1][:, :-1]
        if layer + 1 < len(found):
            order, sign = found[layer + 1]
            own = own[order] * sign[:, None]
        return np.asarray(self.wanted[layer + 1][:, :-1].T @ own)

    def _columns(self, layer: int, found: list[tuple[Order, Array]]) -> Array:
        block = self.own[layer].copy()
        if layer:
            order, sign = found[layer - 1]
            block[:, :-1] = block[:, order] * sign
        return block

    def _arranged(self, layer: int, found: list[tuple[Order, Array]]) -> Array:
        block = self._columns(layer, found)
        if layer < len(found):
            order, sign = found[layer]
            block = block[order] * sign[:, None]
        return block

    def _assign(self, scores: Array) -> tuple[Order, Array]:
        from scipy.optimize import linear_sum_assignment

        _, order = linear_sum_assignment(np.abs(scores) if self.flips else scores, maximize=True)
        chosen = scores[np.arange(len(order)), order]
        return order, np.where(chosen < 0, -1.0, 1.0) if self.flips else np.ones(len(order))


def _centred(network: Network, theta: Array) -> Array:
    """theta with the biases of units f - c / 2, which are odd where f(-z) = c - f(z): a flip changes signs only."""
    moved, mirror = theta.copy(), network.function.mirror
    if mirror:
        for block in network.layers(moved)[1:]:
            block[:, -1] += mirror / 2 * block[:, :-1].sum(axis=1)
    return moved


def _theta(network: Network, theta: npt.ArrayLike) -> Array:
    vector = np.asarray(theta, dtype=np.float64)
    if vector.shape != (network.size,):
        raise ShapeError(f"align: expected theta of shape ({network.size},) for {network!r}, got {vector.shape}")
    if not np.isfinite(vector).all():
        raise SettingsError("align: expected finite parameters, got some that are infinite or not a number")
    return vector
