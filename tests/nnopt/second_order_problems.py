"""Small problems on which the tests of second-order methods look at single steps."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from nnopt import optimizers
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Local
from nnopt.runs.experiment import Stop

NEVER = Stop(gradient_norm=0.0)

sizes, seeds = st.integers(1, 7), st.integers(0, 10**6)


class Quadratic:
    """1/2 theta^T H theta + b^T theta."""

    def __init__(self, hessian, linear=0.0):
        self.H = np.array(hessian, dtype=float)
        self.b = np.zeros(len(self.H)) + linear

    def value(self, theta):
        return 0.5 * theta @ self.H @ theta + self.b @ theta

    def gradient(self, theta):
        return self.H @ theta + self.b

    def value_and_gradient(self, theta):
        return self.value(theta), self.gradient(theta)

    def hessian(self, theta):
        return self.H


class Liar:
    """A gradient that points the wrong way: no step along it lowers the value."""

    def value(self, theta):
        return float(theta @ theta)

    def gradient(self, theta):
        return -2 * theta

    def value_and_gradient(self, theta):
        return self.value(theta), self.gradient(theta)

    def hessian(self, theta):
        return 2 * np.eye(len(theta))

    gauss_newton = hessian


def local_of(objective, theta):
    theta = np.array(theta, dtype=float)
    return Local(objective, theta, float(objective.value(theta)), np.array(objective.gradient(theta)))


def update_at(name, objective, theta, factor=1.0, **settings):
    method = optimizers.get(name)(**settings)
    theta = np.array(theta, dtype=float)
    with np.errstate(all="ignore"):
        return method.update(local_of(objective, theta), method.init(theta), factor)


def starts_near(start, count=8):
    """A start and others beside it: rounding makes paths part, so that one alone says little."""
    start = np.array(start, dtype=float)
    return [start, *(start + 0.1 * np.random.default_rng(0).normal(size=(count, start.size)))]


def is_at_a_minimum(f, theta, within=1e-6):
    """Whether one of the known minima is there, and no curvature is negative."""
    known = any(np.abs(minimum.theta - theta).max() < within for minimum in f.minima)
    values = np.linalg.eigvalsh(f.hessian(theta))
    return known and values[0] > -1e-6 * values[-1]


def symmetric(seed, size, definite=False, singular=False):
    random = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(random.normal(size=(size, size)))
    values = 10.0 ** random.uniform(-2, 2, size) * (1 if definite else random.choice([-1, 1], size))
    if singular:
        values[0] = 0.0
    matrix = vectors @ np.diag(values) @ vectors.T
    return (matrix + matrix.T) / 2, random.normal(size=size) * 10.0 ** random.uniform(-2, 2)


def network(sizes=(2, 3, 1), loss="binary_cross_entropy", activation="tanh", points=30, **penalty):
    random = np.random.default_rng(3)
    X = random.normal(size=(points, sizes[0]))
    y = random.normal(size=(points, sizes[-1])) if loss == "squared_error" else random.integers(0, 2, points)
    return NetworkObjective(Network(sizes, activation), X, y, loss=loss, **penalty)
