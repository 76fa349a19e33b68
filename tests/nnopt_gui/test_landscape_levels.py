"""Which losses the map's colours stand for: structure is seen however far they spread, and the bar says what is."""

from __future__ import annotations

import numpy as np
import pytest
from landscape_views import function_run, network_run, view_of

from nnopt.objectives import functions
from nnopt.objectives.datasets import Data
from nnopt.objectives.functions import Function
from nnopt.objectives.network import Normal
from nnopt.optimizers import get
from nnopt.runs.changes import MoveTo
from nnopt.runs.experiment import Architecture, Experiment, Method, NetworkProblem
from nnopt.runs.run import Run
from nnopt_gui.panels.landscape_levels import Graded, scale_of
from nnopt_gui.panels.landscape_model import Ask, LandscapePicture, landscapes
from nnopt_gui.widgets import numbers

PLANAR = [name for name in Function.registry.names() if name != "formula" and functions.get(name).size == 2]


def picture(run: Run) -> LandscapePicture:
    *_, last = landscapes(view_of(run), Ask("own" if run.history.objective.size == 2 else "gradient_newton", 2.0))
    return last


def commonest(positions: np.ndarray) -> float:
    """The share of the map that has the commonest of 16 colours."""
    return float(np.histogram(np.clip(positions, 0, 1), bins=16, range=(0, 1))[0].max() / positions.size)


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("name", PLANAR)
def test_no_colour_covers_a_functions_map(name, far):
    function = functions.get(name)
    span = np.ptp(np.array(function.bounds), axis=1)
    start = tuple(np.asarray(function.start) + (20 * span if far else 0))
    drawn = picture(function_run(name, start))
    positions = drawn.scale.position(drawn.values)
    assert commonest(positions) < 0.2
    # beyond the function's bounds too: not flat at the top of the scale
    assert np.mean(positions >= 1) < 0.005
    assert np.mean(positions <= 0) < 0.02


def test_a_diverged_networks_map_is_computed_though_its_losses_overflow_single_precision():
    problem = NetworkProblem(
        Data.registry.get("circle")(points=40), Architecture((4, 2), "relu", Normal(std=30.0)), loss="squared_error"
    )
    run = Run(Experiment(problem, (Method(get("sgd")(lr=0.1)),), steps=50))
    run.advance(1)
    theta = run.state.theta * 1e5
    run.intervene(MoveTo(tuple(theta)))
    drawn = picture(run)
    assert np.nanmax(drawn.values) > 1e32
    assert np.isfinite(drawn.values).all()


def test_the_map_of_huge_weights_that_cancel_shows_the_loss_and_not_the_rounding_of_float32():
    run = network_run(hidden=(4,))
    theta = run.history.seek(0).theta.copy()
    first, second = run.history.objective.network.layers(theta)
    first[1] = first[0]  # two units alike, whose outgoing weights are opposite
    second[0, :2] = 4e8, -4e8
    *_, drawn = landscapes(view_of(run, probe=theta), Ask("random", 2.0))
    a, b = (np.linspace(*side, len(drawn.values)) for side in (drawn.extent[:2], drawn.extent[2:]))
    for i, j in [(0, 0), (20, 50), (48, 48), (70, 10), (-1, -1)]:
        at = drawn.frame.origin + a[i] * drawn.frame.d1 + b[j] * drawn.frame.d2
        assert drawn.values[i, j] == pytest.approx(run.history.objective.value(at), rel=1e-6)


@pytest.mark.parametrize("spread", [1e-6, 1e-9, 1e-11])
def test_a_map_near_a_minimum_shows_its_bowl_however_shallow(spread):
    x = np.linspace(-1, 1, 97)
    bowl = 0.107 * (1 + spread * (x[:, None] ** 2 + 0.1 * x**2))
    scale = scale_of(bowl, bowl)
    assert commonest(scale.position(bowl)) < 0.2
    texts = numbers.log_tick_texts(scale.ticks(3))
    assert len(set(texts)) == len(texts) >= 2


def test_rounding_is_no_landscape():
    values = 0.107 * (1 + 1e-15 * np.random.default_rng(0).standard_normal((49, 49)))
    scale = scale_of(values, values)
    assert np.ptp(scale.position(values)) < 0.01


def test_a_position_and_its_loss_belong_together():
    values = np.concatenate([np.geomspace(1e-8, 1e9, 500), np.full(2000, 3.0) + np.arange(2000) * 1e-3])
    scale = scale_of(values, values)
    assert isinstance(scale, Graded)
    for position in np.linspace(0.02, 0.98, 13):
        assert float(scale.position(scale.value(position))) == pytest.approx(position, abs=1e-9)
    # four fifths of the values lie between 3 and 5: they have more of the colours than a logarithm gives them
    low, high = scale.position([3.0, 5.0])
    assert high - low > 0.2 > 10 * np.log10(5 / 3) / 17
    assert np.isnan(scale.position(np.nan))


def test_the_ticks_of_a_graded_scale_are_round_and_spread_over_the_bar():
    values = np.geomspace(1e-6, 1e9, 1000)
    scale = scale_of(values, values)
    ticks = scale.ticks(5)
    assert 4 <= len(ticks) <= 6
    assert all(float(f"{x:.1g}") == x for x in ticks)
    assert len(set(numbers.log_tick_texts(ticks))) == len(ticks)
    assert np.diff(scale.position(ticks)).min() > 0.1
