"""The methods by what they are meant for, and whether what a run says of its end is true."""

from __future__ import annotations

import numpy as np

from nnopt import optimizers

METHODS = optimizers.names()
FIRST_ORDER = [name for name in METHODS if optimizers.get(name).needs == "gradient"]
#: it makes its step whatever that leads to
PURE = ["newton"]
#: it needs a loss that is made of outputs
OF_OUTPUTS = ["gauss_newton"]
CURVED = [name for name in METHODS if name not in (*FIRST_ORDER, *PURE, *OF_OUTPUTS)]
SAFE = [name for name in CURVED if optimizers.get(name).leaves_saddles]


def negative_curvature(f, theta):
    values = np.linalg.eigvalsh(f.hessian(theta))
    return bool(np.isfinite(values).all() and values[0] < -1e-6 * max(1.0, np.abs(values).max()))


def is_true(said, values):
    """Whether what is said of a stationary point fits its curvatures, ascending."""
    kinds = {
        "a minimum)": values[0] > 0,
        "a saddle:": values[0] < 0 < values[-1],
        "a maximum:": values[-1] < 0,
        "not a minimum:": values[0] < 0,
        "a minimum or a saddle)": -1e-5 < values[0] < 0,
        "no curvature is negative, but some are zero)": abs(values[0]) < 1e-8,
        "the curvature is zero)": abs(values[0]) < 1e-8,
    }
    return next(holds for kind, holds in kinds.items() if said.startswith(kind))


def check(f, history, steps):
    """The outcome is a stationary point, or true as it is stated. Returns its kind, "tip" for one that sits there.

    A run that is stuck makes no step from then on: its theta is that of the step before, and stays.
    """
    outcome, theta = history.outcome, history.theta[-1]
    assert outcome.kind in ("converged", "diverged", "stuck", "stopped")
    assert outcome.step == history.length - 1
    assert str(outcome.step) in outcome.reason
    if outcome.kind == "converged":
        assert np.linalg.norm(f.gradient(theta)) < 1e-8
        assert is_true(outcome.reason.partition("(")[2], np.linalg.eigvalsh(f.hessian(theta)))
    elif outcome.kind in ("stuck", "stopped"):
        if outcome.kind == "stopped":
            assert history.length - 1 == steps
        else:
            state, stage = history.seek(outcome.step), history.stage_at(outcome.step)
            for _ in range(3):
                state = stage.step(state)
                assert np.array_equal(state.theta, theta)
        if getattr(f, "tip", None) is not None and np.linalg.norm(theta) < 1e-6:
            return "tip"
    else:
        longest = np.abs(np.diff(history.theta[-2:], axis=0)).max(initial=0.0)
        scale = max(1.0, np.linalg.norm(history.theta[0]))
        assert not np.isfinite(history.value[-1]) or not np.isfinite(longest) or longest > 1e7 * scale
    return outcome.kind
