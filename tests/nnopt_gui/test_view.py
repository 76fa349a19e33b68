"""The view resolves what the panels share."""

from __future__ import annotations

import pytest
from laboratory import network
from msgspec.structs import replace
from panel_views import view_of

from nnopt import optimizers
from nnopt.objectives.functions import get
from nnopt.runs.experiment import Experiment, FunctionProblem, Method
from nnopt.runs.run import Run


def rosenbrock(optimizer):
    return Experiment(FunctionProblem(get("rosenbrock")), (Method(optimizer),))


@pytest.mark.parametrize(
    ("experiment", "damping"),
    [
        (network(), "0.05"),
        (rosenbrock(optimizers.SGD(lr=0.001)), "auto"),
        (rosenbrock(optimizers.Newton()), "auto"),
        (rosenbrock(optimizers.TrustRegion()), "auto"),
        (replace(network(), methods=(Method(optimizers.TrustRegion()),)), "0.05"),
        (replace(network(), methods=(Method(optimizers.Newton()),)), "auto"),
    ],
)
def test_the_newton_step_to_compare_with_is_damped_for_networks_alone(experiment, damping):
    assert view_of(Run(experiment)).damping == damping


def test_the_damping_that_the_user_chose_is_used():
    assert view_of(Run(network()), choices={"step.damping": "auto"}).damping == "auto"
    assert view_of(Run(network()), choices={"step.damping": "0.5"}).damping == "0.5"
