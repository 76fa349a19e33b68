"""Every method's steps against the same step computed otherwise: closed forms, plain linear algebra, scipy.

Each step of a run is computed anew from where it began, so that no error is carried along. A method that is not in the
table below fails here.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import eigvals, expm, null_space
from scipy.optimize import LbfgsInvHessProduct
from scipy.optimize._trustregion_exact import IterativeSubproblem
from second_order_problems import NEVER, Quadratic, seeds, sizes, symmetric

from nnopt import optimizers
from nnopt.objectives import functions
from nnopt.optimizers.trust_region import Region
from nnopt.runs.minimize import minimize

STEPS = 40
TRIALS = 10


class Fit:
    """Half a sum of squares: y = a exp(b t) + c to noisy points."""

    t = np.linspace(0, 2, 25)
    y = 2 * np.exp(-1.3 * t) + 0.5 + 0.2 * np.sin(9 * t)

    def residuals(self, theta):
        return theta[0] * np.exp(theta[1] * self.t) + theta[2] - self.y

    def jacobian(self, theta):
        wave = np.exp(theta[1] * self.t)
        return np.array([wave, theta[0] * self.t * wave, np.ones_like(wave)]).T

    def value(self, theta):
        return 0.5 * float(self.residuals(theta) @ self.residuals(theta))

    def gradient(self, theta):
        return self.jacobian(theta).T @ self.residuals(theta)

    def gauss_newton(self, theta):
        return self.jacobian(theta).T @ self.jacobian(theta)

    hessian = gauss_newton  # not asked for; the method must be given one of both


class At:
    """A step of a run seen from outside: the function, theta, and what was there before it."""

    def __init__(self, f, history, k):
        self.f, self.history, self.k = f, history, k
        self.method = history.stage_at(k).optimizer
        self.theta = history.theta[k]
        self.gradients = [f.gradient(theta) for theta in history.theta[: k + 1]]
        self.g = self.gradients[-1]
        self.lr = self.method.lr
        self.slots = history.seek(k).slots

    @property
    def H(self):
        return self.f.hessian(self.theta)

    def falls(self, step):
        return self.f.value(self.theta + step) - self.f.value(self.theta)

    def past(self, share):
        """sum over i of share(k - i, g_i)."""
        return sum(share(self.k - i, g) for i, g in enumerate(self.gradients))


def velocity(at):
    return at.past(lambda age, g: at.method.beta**age * g)


def adam(at):
    m, n = at.method, at.k + 1
    mean = at.past(lambda age, g: (1 - m.beta1) * m.beta1**age * g) / (1 - m.beta1**n)
    squares = at.past(lambda age, g: (1 - m.beta2) * m.beta2**age * g**2) / (1 - m.beta2**n)
    return -at.lr * mean / (np.sqrt(squares) + m.eps)


def rmsprop(at):
    rho = at.method.rho
    return -at.lr * at.g / (np.sqrt(at.past(lambda age, g: (1 - rho) * rho**age * g**2)) + at.method.eps)


def levenberg(at, matrix):
    """The first of mu, 4 mu, 16 mu, ... at which matrix + mu I is positive definite and the loss falls as predicted."""
    mu, lift, identity = at.slots.damping, np.abs(np.diag(matrix)).mean(), np.eye(at.g.size)
    for _ in range(TRIALS):
        while np.linalg.eigvalsh(matrix + mu * identity)[0] <= 0:
            mu = max(4 * mu, 1e-6 * lift)
        step = -np.linalg.solve(matrix + mu * identity, at.g)
        if at.falls(step) < 1e-4 * (at.g @ step + 0.5 * step @ matrix @ step):
            return step
        mu = max(4 * mu, 1e-6 * lift)
    return np.zeros_like(at.g)


def saddle_free(at):
    values, vectors = np.linalg.eigh(at.H)
    sizes = np.maximum(np.abs(values), at.method.floor * np.abs(values).max())
    step = -vectors @ np.diag(1 / sizes) @ vectors.T @ at.g
    while at.falls(step) > 1e-4 * at.g @ step:
        step = step / 2
    return step


def subproblem(theta, g, H, radius):
    """scipy's minimum of g.s + s.H s / 2 within a radius, and its damping."""
    problem = IterativeSubproblem(
        theta, lambda _: 0.0, lambda _: g, lambda _: H, k_easy=1e-12, k_hard=1e-12, maxiter=200
    )  # fmt: skip
    return problem.solve(radius)[0], problem.lambda_current


def trust_region(at):
    radius = at.slots.radius
    for _ in range(TRIALS):
        step, _ = subproblem(at.theta, at.g, at.H, radius)
        if at.falls(step) < 1e-4 * (at.g @ step + 0.5 * step @ at.H @ step):
            return step
        radius = np.linalg.norm(step) / 4
    return np.zeros_like(at.g)


def newton_cg(at):
    """The minimum of the model in the first Krylov space of g, H g, H^2 g, ... that solves the system well enough."""
    A = at.H + at.slots.damping * np.eye(at.g.size)
    enough = min(0.5, np.sqrt(np.linalg.norm(at.g))) * np.linalg.norm(at.g)
    for count in range(1, at.g.size + 1):
        krylov = np.linalg.qr(np.array([np.linalg.matrix_power(A, j) @ at.g for j in range(count)]).T)[0]
        step = -krylov @ np.linalg.solve(krylov.T @ A @ krylov, krylov.T @ at.g)
        if np.linalg.norm(A @ step + at.g) <= enough:
            break
    while at.falls(step) > 1e-4 * at.g @ step:
        step = step / 2
    return step


def lbfgs(at):
    """The direction of scipy's inverse Hessian from the last pairs, as long as the line search found it.

    scipy begins with the identity, the method with s.y / y.y of the last pair: coordinates scaled by its root."""
    first, thetas = max(0, at.k - at.method.memory), at.history.theta
    direction = -at.g
    if at.k:
        s = np.diff(thetas[first : at.k + 1], axis=0)
        y = np.diff(np.array(at.gradients[first:]), axis=0)
        root = np.sqrt((s[-1] @ y[-1]) / (y[-1] @ y[-1]))
        direction = -root * (LbfgsInvHessProduct(s / root, y * root) @ (root * at.g))
    made = thetas[at.k + 1] - at.theta
    length = np.linalg.norm(made) / np.linalg.norm(direction)
    slope = at.g @ direction
    assert at.falls(made) <= 1e-4 * length * slope
    assert abs(at.f.gradient(at.theta + made) @ direction) <= 0.9 * abs(slope) * (1 + 1e-9)
    return length * direction


#: method: (settings, the step of it computed otherwise)
PLAIN = {
    "sgd": ({"lr": 0.002}, lambda at: -at.lr * at.g),
    "momentum": ({"lr": 0.001, "beta": 0.8}, lambda at: -at.lr * velocity(at)),
    "nesterov": ({"lr": 0.001, "beta": 0.8}, lambda at: -at.lr * (at.g + at.method.beta * velocity(at))),
    "adagrad": ({"lr": 0.3}, lambda at: -at.lr * at.g / (np.sqrt(at.past(lambda _, g: g**2)) + at.method.eps)),
    "rmsprop": ({"lr": 0.02, "rho": 0.7}, rmsprop),
    "adam": ({"lr": 0.1, "beta1": 0.8, "beta2": 0.95}, adam),
    "newton": ({}, lambda at: -np.linalg.solve(at.H, at.g)),
    "damped_newton": ({}, lambda at: levenberg(at, at.H)),
    "saddle_free_newton": ({}, saddle_free),
    "gauss_newton": ({}, lambda at: levenberg(at, at.f.gauss_newton(at.theta))),
    "trust_region": ({}, trust_region),
    "newton_cg": ({}, newton_cg),
    "lbfgs": ({"memory": 4}, lbfgs),
}


@pytest.mark.parametrize("name", optimizers.names())
def test_every_step_is_the_one_that_is_computed_otherwise(name):
    settings, plain = PLAIN[name]
    compared = 0
    places = [("beale", None), ("wood", None), ("six_hump_camel", [1.3, 0.9])]
    if name == "gauss_newton":
        places = [(Fit(), [1.0, 0.0, 0.0]), (Fit(), [3.0, -0.2, -1.0]), (Fit(), [-1.0, 0.5, 2.0])]
    for function, start in places:
        f = functions.get(function) if isinstance(function, str) else function
        lr = settings.get("lr", 1.0) * (0.1 if function == "wood" and name in ("sgd", "momentum", "nesterov") else 1)
        history = minimize(f, optimizers.get(name)(**{**settings, "lr": lr}), start, steps=STEPS, stop=NEVER)
        for k in range(history.length - 1):
            at = At(f, history, k)
            if optimizers.get(name).needs != "gradient" and np.linalg.norm(at.g) < 1e-5:
                break  # what rounding leaves of the losses' differences decides there
            if name == "newton_cg" and history.stage_at(k).update(history.seek(k)).detail["negative"]:
                continue  # conjugate gradients end there: see test_newton_cg.py and test_escape.py
            made, expected = history.theta[k + 1] - history.theta[k], plain(at)
            assert made == pytest.approx(expected, rel=1e-6, abs=1e-7 * np.linalg.norm(expected) + 1e-13)
            compared += 1
    assert compared >= 14


# ---- the trust region's subproblem


def best_on_a_grid(g, H, radius):
    """The lowest of the model in the plane on 400 circles of 3600 points."""
    angles = np.linspace(0, 2 * np.pi, 3600, endpoint=False)
    circle = np.array([np.cos(angles), np.sin(angles)])
    radii = radius * np.linspace(0, 1, 401)[1:, None]
    return float((radii * (g @ circle) + 0.5 * radii**2 * np.sum(circle * (H @ circle), axis=0)).min())


@given(seeds, st.floats(-2, 2), st.booleans())
def test_in_the_plane_no_point_of_a_fine_grid_is_lower_than_the_subproblems_solution(seed, scale, hard):
    H, g = symmetric(seed, 2)
    values, vectors = np.linalg.eigh(H)
    if hard:
        g = g - vectors[:, 0] * (vectors[:, 0] @ g)
    radius = 10.0**scale
    found = Region(g, H).minimum(radius)
    lowest = float(g @ found.step + 0.5 * found.step @ H @ found.step)
    best = best_on_a_grid(g, H, radius)
    # the grid is as near to any point as 0.0025 radii
    coarse = 1e-5 * np.abs(values).max() * radius**2 + 1e-5 * np.linalg.norm(g) * radius
    assert best - coarse <= lowest <= best + 1e-12 * (np.abs(values).max() * radius**2 + np.linalg.norm(g) * radius)
    # in the hard case the least-norm solution is inside, and both ways along the eigenvector are as good
    if found.hard_case:
        across = found.step - 2 * vectors[:, 0] * (vectors[:, 0] @ found.step)
        assert g @ across + 0.5 * across @ H @ across == pytest.approx(lowest, rel=1e-9)


@given(sizes, seeds, st.floats(-2, 2), st.booleans())
def test_the_subproblem_agrees_with_scipys(size, seed, scale, hard):
    H, g = symmetric(seed, size)
    values, vectors = np.linalg.eigh(H)
    if hard and size > 1:
        g = g - vectors[:, 0] * (vectors[:, 0] @ g)
    radius = 10.0**scale
    ours, (theirs, damping) = Region(g, H).minimum(radius).step, subproblem(np.zeros(size), g, H, radius)
    promises = [float(g @ s + 0.5 * s @ H @ s) for s in (ours, theirs)]
    scale = np.abs(values).max() * radius + np.linalg.norm(g)
    assert promises[0] <= promises[1] + 1e-9 * scale * radius
    # in one case of twenty scipy bisects so slowly that it stops before its step solves the equations
    if np.linalg.norm((H + damping * np.eye(size)) @ theirs + g) < 1e-8 * scale:
        assert promises[1] == pytest.approx(promises[0], rel=1e-6, abs=1e-8 * scale * radius)


@given(sizes, seeds, st.floats(-2, 2))
def test_the_damping_at_the_edge_is_the_largest_eigenvalue_of_the_subproblems_pencil(size, seed, scale):
    # [[-I, H], [H, -g g^T / radius^2]] y = -mu [[0, I], [I, 0]] y        (Adachi, Iwata, Nakatsukasa & Takeda 2017)
    H, g = symmetric(seed, size)
    radius, identity, zero = 10.0**scale, np.eye(size), np.zeros((size, size))
    found = Region(g, H).minimum(radius)
    left = np.block([[-identity, H], [H, -np.outer(g, g) / radius**2]])
    values = eigvals(left, -np.block([[zero, identity], [identity, zero]]))
    largest = values[np.abs(values.imag) < 1e-6 * np.abs(values).max()].real.max()
    assert found.damping == pytest.approx(max(largest, 0.0), rel=1e-5, abs=1e-5 * np.abs(H).max())


# ---- gradient descent as a linear map


@given(seeds, st.integers(1, 60))
def test_momentum_on_a_quadratic_is_a_power_of_its_matrix(seed, steps):
    H, linear = symmetric(seed, 3, definite=True)
    H, linear, beta = H / np.linalg.norm(H), linear / np.linalg.norm(linear), 0.7
    start = np.random.default_rng(seed).normal(size=3)
    history = minimize(Quadratic(H, linear), optimizers.Momentum(lr=0.5, beta=beta), start, steps, stop=NEVER)
    minimum, identity = -np.linalg.solve(H, linear), np.eye(3)
    # (theta - minimum, v) -> one update
    update = np.block([[identity - 0.5 * H, -0.5 * beta * identity], [H, beta * identity]])
    expected = np.linalg.matrix_power(update, steps) @ np.r_[start - minimum, np.zeros(3)]
    scale = np.linalg.norm(start - minimum)
    assert history.theta[-1] - minimum == pytest.approx(expected[:3], rel=1e-7, abs=1e-11 * scale)


def test_short_steps_follow_the_gradient_flow():
    H, start = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([1.0, -2.0])
    history = minimize(Quadratic(H), optimizers.SGD(lr=1e-4), start, 10_000, stop=NEVER)
    assert history.theta[-1] == pytest.approx(expm(-H) @ start, abs=2e-4)


def test_a_singular_newton_system_has_the_pseudoinverses_solution():
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    H = vectors @ np.diag([3.0, -1.0, 0.5, 0.0]) @ vectors.T
    objective = Quadratic((H + H.T) / 2)
    start = np.array([1.0, 2.0, -1.0, 0.5])
    history = minimize(objective, optimizers.Newton(), start, 1, stop=NEVER)
    step = history.theta[1] - start
    assert step == pytest.approx(-np.linalg.pinv(H, rcond=1e-10) @ (H @ start), abs=1e-10)
    assert null_space(H, rcond=1e-10).T @ step == pytest.approx([0.0], abs=1e-10)
