"""Random experiments and changes for the property tests of runs."""

from __future__ import annotations

from hypothesis import strategies as st

from nnopt import optimizers
from nnopt.objectives import datasets, functions
from nnopt.objectives.network import GlorotUniform, HeNormal, Normal
from nnopt.optimizers import batches, schedules
from nnopt.runs.changes import AddExample, MoveExample, MoveTo, RemoveExample, SetSetting
from nnopt.runs.experiment import (
    Architecture,
    Experiment,
    FunctionProblem,
    Measure,
    Method,
    NetworkProblem,
    Stop,
    default_experiment,
    set_path,
)

rates = st.floats(1e-4, 0.3)
shares = st.floats(0.0, 0.95)

simple_schedules = st.one_of(
    st.just(schedules.Constant()),
    st.builds(schedules.InverseTime, d=st.floats(0, 1)),
    st.builds(schedules.Power, d=st.floats(0, 2)),
    st.builds(schedules.StepDecay, every=st.integers(1, 20), by=st.floats(0.1, 1)),
    st.builds(schedules.Exponential, d=st.floats(0, 0.5)),
    st.builds(schedules.Cosine, steps=st.integers(1, 60), floor=st.floats(0, 1)),
)
all_schedules = st.recursive(
    simple_schedules,
    lambda inner: st.one_of(
        st.builds(schedules.Hold, k=st.integers(0, 30), then=inner),
        st.builds(schedules.Warmup, k=st.integers(0, 30), then=inner),
    ),
    max_leaves=3,
)

all_batches = st.one_of(
    st.just(batches.Full()),
    st.builds(batches.Mini, size=st.integers(1, 9), replacement=st.booleans()),
    st.just(batches.Single()),
)

first_order = {"clip": st.sampled_from([0.0, 0.05, 1.0]), "weight_decay": st.sampled_from([0.0, 0.01])}

all_optimizers = st.one_of(
    st.builds(optimizers.SGD, lr=rates, **first_order),
    st.builds(optimizers.Momentum, lr=rates, beta=shares, **first_order),
    st.builds(optimizers.Nesterov, lr=rates, beta=shares, **first_order),
    st.builds(optimizers.Adagrad, lr=rates, **first_order),
    st.builds(optimizers.RMSprop, lr=rates, rho=shares, **first_order),
    st.builds(optimizers.Adam, lr=rates, beta1=shares, beta2=shares, decoupled=st.booleans(), **first_order),
    st.builds(optimizers.Newton, lr=st.floats(0.1, 1)),
    st.builds(optimizers.DampedNewton, lr=st.floats(0.1, 1), damping=st.floats(0, 10)),
)

methods = st.builds(Method, optimizer=all_optimizers, schedule=all_schedules, batches=all_batches)

network_problems = st.builds(
    NetworkProblem,
    data=st.sampled_from(
        [datasets.get("circle", points=24), datasets.get("blobs3", points=18), datasets.get("plane", points=16)]
    ),
    network=st.builds(
        Architecture,
        hidden=st.lists(st.integers(1, 3), max_size=2).map(tuple),
        activation=st.sampled_from(["tanh", "relu", "softplus", "sigmoid", "leaky_relu", "identity"]),
        initial=st.sampled_from([GlorotUniform(), HeNormal(), Normal(std=0.05)]),
    ),
    l2=st.sampled_from([0.0, 0.01]),
    l1=st.sampled_from([0.0, 0.001]),
    validation=st.sampled_from([0.0, 0.3, 0.5]),
)
function_problems = st.builds(
    FunctionProblem,
    function=st.sampled_from([functions.get(name) for name in ("rosenbrock", "beale", "quadratic", "wood", "bowl")]),
)

experiments = st.builds(
    Experiment,
    problem=st.one_of(network_problems, function_problems),
    methods=methods.map(lambda method: (method,)),
    seed=st.integers(0, 2**63 - 1),
    steps=st.integers(20, 60),
    measure=st.builds(Measure, every=st.integers(1, 7)),
    stop=st.builds(Stop, gradient_norm=st.sampled_from([0.0, 1e-8])),
)

coordinates = st.floats(-3, 3)


def changes(size: int) -> st.SearchStrategy:
    """Changes for a run of `size` parameters; some of them are not valid for some experiments."""
    return st.one_of(
        st.builds(SetSetting, st.just("methods[0].optimizer.lr"), rates),
        st.builds(SetSetting, st.just("methods[0].optimizer.damping"), st.sampled_from([1e-3, 0.1, 10.0])),
        st.builds(SetSetting, st.just("methods[0].optimizer"), all_optimizers),
        st.builds(SetSetting, st.just("methods[0].schedule"), all_schedules),
        st.builds(SetSetting, st.just("methods[0].batches"), all_batches),
        st.builds(SetSetting, st.just("methods[0]"), methods),
        st.builds(SetSetting, st.just("problem.l2"), st.floats(0, 0.1)),
        st.builds(SetSetting, st.just("measure.every"), st.integers(1, 5)),
        st.builds(MoveTo, st.lists(coordinates, min_size=size, max_size=size).map(tuple)),
        st.builds(AddExample, st.tuples(coordinates, coordinates), st.integers(0, 1).map(float)),
        st.builds(MoveExample, st.integers(0, 20), st.tuples(coordinates, coordinates)),
        st.builds(RemoveExample, st.integers(0, 20)),
    )


def momentum_experiment() -> Experiment:
    """The default problem, trained by a method that remembers something: momentum at its default settings."""
    return set_path(default_experiment(), "methods[0].optimizer", {"name": "momentum"})
