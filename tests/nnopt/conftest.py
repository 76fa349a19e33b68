"""A network 2-6-1 on 40 examples of an exclusive or, for the tests of landscapes (others have their own)."""

from __future__ import annotations

import numpy as np
import pytest

from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective


@pytest.fixture
def objective():
    random = np.random.default_rng(0)
    X = random.standard_normal((40, 2))
    return NetworkObjective(Network((2, 6, 1)), X, (X[:, 0] * X[:, 1] > 0).astype(float), l2=1e-3)


@pytest.fixture
def theta(objective):
    return objective.network.initial(1)
