"""No long call keeps the interpreter to itself: a window beside it goes on drawing."""

from __future__ import annotations

import numpy as np
import pytest
from breath import deepest_breath

from nnopt import optimizers
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.base import Local, update_of
from nnopt.optimizers.linear import cholesky, solve_cholesky, solve_symmetric

#: tries, and the longest wait as a share of the work: near 1 where the interpreter is kept, here a tenth or less
TRIES, SHARE = 20, 0.5


def positive_definite(size):
    a = np.random.default_rng(0).standard_normal((size, size))
    return a @ a.T + np.eye(size)


def test_the_instrument_sees_who_keeps_the_interpreter():
    assert deepest_breath(lambda: 3**400_000 % 7, 5).share > 0.9


@pytest.mark.parametrize("size", [1000])
def test_factorizing_and_solving_lets_others_run(size):
    matrix, right = positive_definite(size), np.ones(size)
    for work in (lambda: cholesky(matrix), lambda: solve_symmetric(matrix, right)):
        assert deepest_breath(work, TRIES, SHARE).share < SHARE


@pytest.mark.parametrize("method", ["newton", "damped_newton", "trust_region", "gauss_newton"])
def test_a_step_of_a_second_order_method_lets_others_run(method):
    random = np.random.default_rng(0)
    objective = NetworkObjective(
        Network((2, 24, 24, 1)), random.standard_normal((100, 2)), random.integers(0, 2, 100), l2=1.0
    )
    theta = objective.network.initial(0)
    optimizer = optimizers.get(method)()
    update, slots = update_of(optimizer), optimizer.init(theta)
    local = objective.value_and_gradient(theta)
    assert deepest_breath(lambda: update(Local(objective, theta, *local), slots, 1.0), TRIES, SHARE).share < SHARE


def test_a_factor_solves_its_system_however_it_lies_in_memory():
    matrix, right = positive_definite(30), np.arange(30.0)
    factor = cholesky(matrix)
    np.testing.assert_allclose(factor @ factor.T, matrix, rtol=1e-12, atol=1e-12)
    for laid in (factor, np.asfortranarray(factor)):
        np.testing.assert_allclose(matrix @ solve_cholesky(laid, right), right, rtol=1e-9, atol=1e-9)
