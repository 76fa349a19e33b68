"""Weight decay and gradient clipping: options of every first-order method, against loops written from formulas."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt import optimizers
from nnopt.analysis.ensembles import is_elementwise
from nnopt.cli import describe_settings
from nnopt.errors import SettingsError
from nnopt.objectives import functions
from nnopt.optimizers.base import Local
from nnopt.optimizers.first_order import CLIPPED
from nnopt.runs.changes import SetSetting
from nnopt.runs.experiment import default_experiment, dumps, loads, set_path
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Run

FIRST_ORDER = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
RATES = {"sgd": 0.002, "momentum": 1e-3, "nesterov": 1e-3, "adagrad": 0.3, "rmsprop": 0.02, "adam": 0.05}


def torch_like(name, f, theta, steps, lr, weight_decay=0.0, clip=0.0, decoupled=False):
    """torch.optim's updates in plain words: clip_grad_norm_, then grad + weight_decay * param, then the method."""
    theta, path = np.array(theta, dtype=float), [np.array(theta, dtype=float)]
    v, s = np.zeros_like(theta), np.zeros_like(theta)
    for n in range(1, steps + 1):
        g = f.gradient(theta)
        if clip:
            g = g * min(1.0, clip / np.linalg.norm(g))
        if not decoupled:
            g = g + weight_decay * theta
        else:
            theta = theta * (1 - lr * weight_decay)
        if name == "sgd":
            step = lr * g
        elif name in ("momentum", "nesterov"):
            v = g + 0.9 * v
            step = lr * (v if name == "momentum" else g + 0.9 * v)
        elif name == "adagrad":
            s = s + g**2
            step = lr * g / (np.sqrt(s) + 1e-10)
        elif name == "rmsprop":
            s = 0.9 * s + 0.1 * g**2
            step = lr * g / (np.sqrt(s) + 1e-8)
        else:
            v, s = 0.9 * v + 0.1 * g, 0.999 * s + 0.001 * g**2
            step = lr * (v / (1 - 0.9**n)) / (np.sqrt(s / (1 - 0.999**n)) + 1e-8)
        theta = theta - step
        path.append(theta)
    return np.array(path)


@pytest.mark.parametrize("options", [{"weight_decay": 0.3}, {"clip": 2.0}, {"weight_decay": 0.05, "clip": 5.0}])
@pytest.mark.parametrize("name", FIRST_ORDER)
def test_sixty_steps_agree_with_a_loop(name, options):
    f = functions.get("beale")
    method = optimizers.get(name)(lr=RATES[name], **options)
    history = minimize(f, method, steps=60)
    assert history.theta == pytest.approx(torch_like(name, f, f.start, 60, RATES[name], **options), rel=1e-9)


def test_decoupled_decay_is_adamw():
    f = functions.get("beale")
    adamw = optimizers.Adam(lr=0.05, weight_decay=0.2, clip=3.0, decoupled=True)
    expected = torch_like("adam", f, f.start, 60, 0.05, 0.2, 3.0, decoupled=True)
    assert minimize(f, adamw, steps=60).theta == pytest.approx(expected, rel=1e-9)
    coupled = minimize(f, msgspec.structs.replace(adamw, decoupled=False), steps=60).theta
    assert np.abs(coupled[-1] - expected[-1]).max() > 0.01


def test_decay_alone_shrinks_by_the_rate_and_decoupled_decay_does_not_care_for_the_gradients_size():
    class Flat:
        def value(self, theta):
            return 0.0

        def gradient(self, theta):
            return np.zeros_like(theta)

    start = np.array([3.0, -2.0])
    for method in (optimizers.SGD(lr=0.1, weight_decay=0.5), optimizers.Adam(lr=0.1, weight_decay=0.5, decoupled=True)):
        local = Local(Flat(), start, 0.0, np.zeros(2))
        assert method.update(local, method.init(start), 0.1).step == pytest.approx(-0.05 * start)
    coupled = optimizers.Adam(weight_decay=0.5)
    step = coupled.update(Local(Flat(), start, 0.0, np.zeros(2)), coupled.init(start), 0.1).step
    assert step == pytest.approx(-0.1 * np.sign(start))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.floats(1e-6, 1e3))
def test_a_clipped_gradient_keeps_its_direction_and_is_no_longer_than_the_limit(entries, clip):
    gradient = np.array(entries)
    used, note = optimizers.SGD(clip=clip).used(gradient, np.zeros_like(gradient))
    length = np.linalg.norm(gradient)
    assert np.linalg.norm(used) <= clip * (1 + 1e-12)
    assert (note == CLIPPED) == (length > clip) or length == pytest.approx(clip)
    if note:
        assert used == pytest.approx(gradient * (clip / length))
    else:
        assert used is gradient


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_where_clipping_acts_it_is_said_and_the_method_survives_a_wall(name):
    f = functions.get("steep_beside_flat")
    history = minimize(f, optimizers.get(name)(lr=0.05, clip=0.5), [-5.0], steps=60)
    assert history.notes[0] == (0, CLIPPED)
    assert history.outcome.kind != "diverged"
    assert f.value(history.theta[-1]) < 0.2 * f.value(history.theta[0])
    if name == "sgd":  # thrown far onto the plain without it
        assert minimize(f, optimizers.SGD(lr=0.05), [-5.0], steps=1).theta[-1] > 1e5


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_options_that_are_off_leave_every_bit_as_it_is(name):
    f = functions.get("rosenbrock")
    method = optimizers.get(name)(lr=1e-3)
    plain = minimize(f, method, steps=40).theta
    # a limit that is never reached is as good as none; a decay of 0 is none
    limited = minimize(f, msgspec.structs.replace(method, clip=1e9), steps=40).theta
    assert np.array_equal(plain, limited)
    assert plain == pytest.approx(torch_like(name, f, f.start, 40, 1e-3), rel=1e-10)
    gradient = np.ones(2)
    assert method.used(gradient, np.ones(2))[0] is gradient


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_restarts_apply_decay_to_all_runs_at_once_and_clip_run_by_run(name):
    kind = optimizers.get(name)
    assert is_elementwise(kind(weight_decay=0.1))
    assert not is_elementwise(kind(clip=0.1))


def test_they_are_written_read_changed_and_replayed_like_every_setting():
    experiment = set_path(default_experiment(), "methods[0].optimizer", {"name": "adam", "weight_decay": 0.1})
    assert loads(dumps(experiment)) == experiment
    run = Run(experiment)
    run.advance(5)
    run.intervene(SetSetting("methods[0].optimizer.clip", 0.01))
    run.advance(5)
    run.intervene(SetSetting("methods[0].optimizer.decoupled", True))
    run.advance(5)
    again = Run.replay(run.recording)
    assert again.state.same_bits(run.state)
    assert run.history.notes == ((5, CLIPPED),)
    assert len({run.history.row(step)["learning_rate"] for step in range(15)}) == 1


def test_older_files_without_them_are_read_and_what_is_off_is_not_shown():
    text = """{"format": "nnopt-experiment", "version": 1, "problem": {"kind": "function", "function": "beale"},
        "methods": [{"optimizer": {"name": "momentum", "lr": 0.1, "beta": 0.8}}]}"""
    method = loads(text).methods[0].optimizer
    assert (method.weight_decay, method.clip) == (0.0, 0.0)
    assert describe_settings(method) == "momentum(lr=0.1, beta=0.8)"
    assert describe_settings(optimizers.SGD(0.1, clip=2.0)) == "sgd(lr=0.1, clip=2)"
    assert "decoupled" not in describe_settings(optimizers.Adam())
    assert describe_settings(optimizers.Adam(weight_decay=0.5, decoupled=True)).endswith(
        "decoupled=True, weight_decay=0.5)"
    )


def test_positions_of_the_other_settings_stay_and_wrong_ones_are_refused():
    assert optimizers.Momentum(0.2, 0.5).beta == 0.5
    for options in ({"clip": -1.0}, {"weight_decay": -0.1}, {"clip": math.inf}, {"weight_decay": "much"}):
        with pytest.raises(SettingsError):
            optimizers.SGD(**options)
    with pytest.raises(TypeError):
        optimizers.SGD(0.1, 0.2)
