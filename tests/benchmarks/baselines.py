"""What one writes in plain numpy for a network 2-16-16-1 (tanh, binary cross-entropy): the yardstick of the benchmarks.

`Baseline` is that network, `AnyNetwork` one of any depth, with tanh or relu and one logit or several. Straightforward
and vectorized over examples, nothing preallocated, one parameter vector at a time. theta has the layout of nnopt: per
layer a row-major block (fan_out, fan_in + 1), the bias last in each row. There are two ways to take theta apart:
`plain`, general in the sizes, and `tuned`, with every slice written out; they differ by some 15 us per call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np

SIZES = (2, 16, 16, 1)


def spiral(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved spirals: X (n, 2), y (n,) of 0 and 1."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0.0, 3.0 * np.pi, n // 2)
    arm = np.column_stack([angle * np.cos(angle), angle * np.sin(angle)]) / (1.5 * np.pi)
    X = np.vstack([arm, -arm]) + random.normal(0.0, 0.06, (n, 2))
    return X, np.repeat([0, 1], n // 2)


def plain(theta: np.ndarray, sizes: tuple[int, ...] = SIZES) -> list[np.ndarray]:
    """Weights and biases per layer, for any sizes."""
    parts, start = [], 0
    for fan_in, fan_out in pairwise(sizes):
        shape = (fan_out, fan_in + 1)
        size = int(np.prod(shape))
        block = theta[start : start + size].reshape(shape)
        parts += [block[:, :fan_in], block[:, fan_in]]
        start += size
    return parts


def tuned(theta: np.ndarray) -> tuple[np.ndarray, ...]:
    """Weights and biases of 2-16-16-1."""
    first, second = theta[:48].reshape(16, 3), theta[48:320].reshape(16, 17)
    return first[:, :2], first[:, 2], second[:, :16], second[:, 16], theta[None, 320:336], theta[336:]


class Baseline:
    """Mean binary cross-entropy of examples X (N, 2), y (N,), and its gradient."""

    def __init__(self, X: np.ndarray, y: np.ndarray, unpack: Callable = plain) -> None:
        self.X, self.y, self.unpack = X, y, unpack

    def value(self, theta: np.ndarray) -> float:
        W1, b1, W2, b2, W3, b3 = self.unpack(theta)
        h1 = np.tanh(self.X @ W1.T + b1)
        h2 = np.tanh(h1 @ W2.T + b2)
        z = (h2 @ W3.T + b3)[:, 0]
        return float(np.mean(np.logaddexp(0.0, z) - self.y * z))

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        return self._backward(theta, with_value=False)[1]

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Both, with one forward pass."""
        return self._backward(theta, with_value=True)

    def _backward(self, theta: np.ndarray, with_value: bool) -> tuple[float, np.ndarray]:
        X, y = self.X, self.y
        W1, b1, W2, b2, W3, b3 = self.unpack(theta)
        h1 = np.tanh(X @ W1.T + b1)
        h2 = np.tanh(h1 @ W2.T + b2)
        z = (h2 @ W3.T + b3)[:, 0]
        value = float(np.mean(np.logaddexp(0.0, z) - y * z)) if with_value else np.nan
        p = 1.0 / (1.0 + np.exp(-z))
        d3 = ((p - y) / len(X))[:, None]
        d2 = (d3 @ W3) * (1.0 - h2 * h2)
        d1 = (d2 @ W2) * (1.0 - h1 * h1)
        below = ((d1, X), (d2, h1), (d3, h2))
        blocks = [np.column_stack([d.T @ h, d.sum(axis=0)]).ravel() for d, h in below]
        return value, np.concatenate(blocks)

    def plane(self, origin: np.ndarray, d1: np.ndarray, d2: np.ndarray, coords: np.ndarray) -> np.ndarray:
        """Loss at origin + a d1 + b d2 for every (a, b) of coords, in a loop."""
        return np.array([self.value(origin + a * d1 + b * d2) for a, b in coords])


class AnyNetwork:
    """Mean cross-entropy of a network of any sizes, activation "tanh" or "relu", with one logit or one per class."""

    def __init__(self, X: np.ndarray, y: np.ndarray, sizes: tuple[int, ...], activation: str) -> None:
        self.X, self.sizes, self.activation = X, sizes, activation
        self.target = y[:, None] if sizes[-1] == 1 else np.eye(sizes[-1])[y]

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        parts = plain(theta, self.sizes)
        weights, biases = parts[::2], parts[1::2]
        below = [self.X]
        for W, b in zip(weights[:-1], biases[:-1], strict=True):
            z = below[-1] @ W.T + b
            below.append(np.tanh(z) if self.activation == "tanh" else np.maximum(z, 0.0))
        z = below[-1] @ weights[-1].T + biases[-1]
        if z.shape[1] == 1:
            p = 1.0 / (1.0 + np.exp(-z))
        else:
            p = np.exp(z - z.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
        d = (p - self.target) / len(z)
        blocks = []
        for level in reversed(range(len(weights))):
            h = below[level]
            blocks.append(np.column_stack([d.T @ h, d.sum(axis=0)]).ravel())
            if level:
                d = (d @ weights[level]) * (1.0 - h * h if self.activation == "tanh" else h > 0.0)
        return np.concatenate(blocks[::-1])


def hessian_rows(
    gradient: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, rows: Iterable[int], step: float = 1e-5
) -> np.ndarray:
    """Rows of the Hessian by central differences of `gradient(theta)`: two gradients each."""
    differences = []
    for row in rows:
        move = np.zeros(len(theta))
        move[row] = step
        differences.append((gradient(theta + move) - gradient(theta - move)) / (2.0 * step))
    return np.array(differences)


def fastest(contestants: dict[str, Callable[[], object]], rounds: int, calls: int = 1) -> dict[str, float]:
    """Processor seconds of this thread per call of each, the best of `rounds`.

    They take turns, so that a slow moment hits all alike; time that goes to other programs does not count. Let them
    take about equally long, a few milliseconds at most: then each meets the quiet moments of a busy machine.
    """
    best = dict.fromkeys(contestants, float("inf"))
    for run in contestants.values():
        run()
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.thread_time()
            for _ in range(calls):
                run()
            best[name] = min(best[name], (time.thread_time() - start) / calls)
    return best
