"""A quadratic bowl and how fast a run on it contracts, for the tests of theory."""

from __future__ import annotations

import numpy as np

from nnopt.optimizers import get
from nnopt.runs.experiment import Stop
from nnopt.runs.minimize import minimize

NEVER = Stop(gradient_norm=0.0)


class Bowl:
    """1/2 sum l x^2, with a minimum at zero: errors stay exact down to 1e-300."""

    def __init__(self, curvatures):
        self.curvatures = np.asarray(curvatures, dtype=float)

    def value(self, theta):
        return 0.5 * float(self.curvatures @ (theta * theta))

    def gradient(self, theta):
        return self.curvatures * theta


def measured_factor(curvatures, lr, beta, early, late):
    """Factor per step by which the distance to zero shrinks between two steps of a run of gradient descent (beta 0) or
    momentum from (1, ..., 1)."""
    method = get("momentum")(lr=lr, beta=beta) if beta else get("sgd")(lr=lr)
    history = minimize(Bowl(curvatures), method, np.ones(len(curvatures)), late, stop=NEVER)
    assert history.length == late + 1
    lengths = [np.linalg.norm(history.seek(step).theta) for step in (early, late)]
    return (lengths[1] / lengths[0]) ** (1 / (late - early))
