"""The experiment: a declarative, versioned spec of a run, and the files that hold it.

Everything that determines a run stands here as frozen structs; `load` and `save` keep them as JSON. What a user did to
the run is kept beside it in a `Recording`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec

from nnopt.errors import SettingsError, SpecError
from nnopt.objectives import datasets
from nnopt.objectives.datasets import Data
from nnopt.objectives.functions import Function
from nnopt.objectives.network import GlorotUniform, Initial, Normal
from nnopt.optimizers.base import Optimizer
from nnopt.optimizers.batches import Batches, Full
from nnopt.optimizers.momentum import Momentum
from nnopt.optimizers.schedules import Constant, Schedule
from nnopt.optimizers.sgd import SGD
from nnopt.optimizers.stopping import EarlyStopping
from nnopt.runs.changes import Intervention
from nnopt.runs.decoding import check_choice, check_instance, check_sequence, convert, parse_json
from nnopt.runs.files import replacing
from nnopt.runs.paths import get_path, set_path
from nnopt.settings import Settings, above, at_least, between, described

FORMAT, SESSION = "nnopt-experiment", "nnopt-session"
VERSION = 2
MAX_SEED = 2**63 - 1
AUTO = "auto"
#: characters of a file, at most: a session of a hundred thousand changes has some ten million
LONGEST = 100_000_000


Activation: TypeAlias = Literal["tanh", "sigmoid", "relu", "leaky_relu", "softplus", "identity"]
LossName: TypeAlias = Literal["auto", "binary_cross_entropy", "cross_entropy", "squared_error"]
#: units of a hidden layer
Units: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class Architecture(Settings, frozen=True, tag=False):
    """The network: hidden (units per hidden layer; none: a linear model), activation, initial weights.

    Raises: SettingsError for layers that are not 1 .. 10,000 units, and unknown names.

    >>> Architecture(hidden=[8, 4])
    Architecture(hidden=(8, 4), activation='tanh', initial=GlorotUniform())
    """

    hidden: Annotated[tuple[Units, ...], described("hidden units", "units in each hidden layer")] = (4, 2)
    activation: Annotated[Activation, described("activation", "of the hidden layers")] = "tanh"
    initial: Annotated[Initial, described("initial weights")] = GlorotUniform()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("Architecture.activation", self.activation, get_args(Activation))
        check_instance("Architecture.initial", self.initial, Initial)
        hidden = convert(check_sequence("Architecture.hidden", self.hidden), tuple[Units, ...], "Architecture.hidden")
        msgspec.structs.force_setattr(self, "hidden", hidden)


class NetworkProblem(Settings, frozen=True, tag_field="kind", tag="network"):
    """A network on data. loss: a name, or "auto" for the data's own. l2, l1: penalties on the weights, >= 0.
    validation: share of the examples held out of training, in [0, 1). Raises: SettingsError.

    >>> problem = NetworkProblem(datasets.get("circle"), Architecture(hidden=(3,)), l2=0.001)
    >>> problem.data.name, problem.loss, problem.validation
    ('circle', 'auto', 0.5)
    """

    data: Annotated[Data, described("data")]
    network: Annotated[Architecture, described("network")] = Architecture()
    loss: Annotated[LossName, described("loss", "auto: the loss that belongs to the data")] = "auto"
    l2: Annotated[float, at_least(0, label="L2 penalty", log=True, slider=(1e-6, 1))] = 0.0
    l1: Annotated[float, at_least(0, label="L1 penalty", log=True, slider=(1e-6, 1))] = 0.0
    validation: Annotated[float, between(0, 1, label="validation", help="share of the examples held out")] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("NetworkProblem.data", self.data, Data)
        check_choice("NetworkProblem.loss", self.loss, get_args(LossName))


class FunctionProblem(Settings, frozen=True, tag_field="kind", tag="function"):
    """A test function. start: where to begin, one number per dimension; None: the function's own start.

    Raises: SettingsError for a start of another size or that is not finite.

    >>> from nnopt.objectives import functions
    >>> FunctionProblem(functions.get("beale"), start=[1, 0.5])
    FunctionProblem(function=Beale(), start=(1.0, 0.5))
    """

    function: Annotated[Function, described("function")]
    start: Annotated[tuple[float, ...] | None, described("start")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("FunctionProblem.function", self.function, Function)
        if self.start is not None:
            start = check_sequence("FunctionProblem.start", self.start)
            start = tuple(map(float, convert(start, tuple[float, ...], "FunctionProblem.start")))
            if len(start) != self.function.size:
                wanted = f"{self.function.size} numbers for {self.function.name}"
                raise SettingsError(f"FunctionProblem.start: expected {wanted}, got {len(start)}")
            if not all(abs(number) < float("inf") for number in start):
                raise SettingsError(f"FunctionProblem.start: expected finite numbers, got {list(start)}")
            msgspec.structs.force_setattr(self, "start", start)


AnyProblem: TypeAlias = NetworkProblem | FunctionProblem


class Method(Settings, frozen=True, tag=False):
    """How to minimize: the optimizer, its learning-rate schedule, its batches. Raises: SettingsError.

    >>> Method(SGD(lr=0.5)).schedule, Method(SGD(lr=0.5)).batches
    (Constant(), Full())
    """

    optimizer: Annotated[Optimizer, described("method")] = Momentum()
    schedule: Annotated[Schedule, described("schedule")] = Constant()
    batches: Annotated[Batches, described("batch")] = Full()

    def __post_init__(self) -> None:
        check_instance("Method.optimizer", self.optimizer, Optimizer)
        check_instance("Method.schedule", self.schedule, Schedule)
        check_instance("Method.batches", self.batches, Batches)


class Measure(Settings, frozen=True, tag=False):
    """Steps between measurements of the full training and the validation loss; 0: as many as keep them to a quarter.

    A quarter of the time, that is: the least of 10, 20, 50, 100, ... for which sizes alone let it be expected (see
    `spacing`). Whatever number is given, it does not change the states of a run, but it is at measurements that
    early stopping counts, and that a run with mini-batches is found to have converged.

    >>> Measure(every=100)
    Measure(every=100)
    """

    every: Annotated[int, at_least(0, label="measure every", unit="steps", log=True, slider=(1, 1000),
                                   help="0: 10 or more, at most a quarter of the time")] = 0  # fmt: skip


class Stop(Settings, frozen=True, tag=False):
    """gradient_norm: a run has converged when the gradient of the full loss is shorter, >= 0 (0: never).
    explosion: it has diverged when a step is longer than this many times the length of its starting point (at least 1).
    early: it has stopped early when the validation loss, each time it is measured, no longer improves; None: never. The
    count begins anew with every change that is made to the run. It takes a problem of which examples are held out.

    >>> import nnopt
    >>> f, sgd = nnopt.functions.get("bowl"), nnopt.optimizers.SGD(lr=0.5)  # x^2 / 2: the gradient is x
    >>> nnopt.minimize(f, sgd, [8.0], stop=Stop(gradient_norm=1.5)).theta.ravel()
    array([8., 4., 2., 1.])
    """

    gradient_norm: Annotated[float, at_least(0, label="converged below", help="norm of the full gradient", log=True,
                                             slider=(1e-12, 1e-2))] = 1e-8  # fmt: skip
    explosion: Annotated[float, above(1, label="exploded above", help="longest step, in lengths of the start", log=True,
                                      slider=(10, 1e12))] = 1e8  # fmt: skip
    early: Annotated[EarlyStopping | None, described("early stopping", "when validation stops improving")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.early is not None:
            check_instance("Stop.early", self.early, EarlyStopping)


class Experiment(Settings, frozen=True, tag=False):
    """All that determines a run.

    problem: what is minimized. methods: how (the first one unless several are compared). seed: of the initial weights;
    data_seed, split_seed, batch_seed: of the examples, of which of them are held out, and of the order of batches, so
    that each can be drawn anew while the others stay. steps: updates to make. measure, stop: what is measured when, and
    when a run has ended.

    Raises: SettingsError for what does not fit; for data that cannot be used, `build` does.

    >>> from nnopt.objectives import functions
    >>> experiment = Experiment(FunctionProblem(functions.get("beale")), (Method(SGD(lr=0.01)),), steps=200)
    >>> experiment.seed, experiment.methods[0].optimizer.lr, loads(dumps(experiment)) == experiment
    (42, 0.01, True)
    """

    problem: AnyProblem
    methods: Annotated[tuple[Method, ...], msgspec.Meta(min_length=1)] = (Method(),)
    seed: Annotated[int, between(0, MAX_SEED, closed=True, label="seed of weights", slider=(0, 1000))] = 42
    data_seed: Annotated[int, between(0, MAX_SEED, closed=True, label="seed of data")] = 42
    split_seed: Annotated[int, between(0, MAX_SEED, closed=True, label="seed of split")] = 42
    batch_seed: Annotated[int, between(0, MAX_SEED, closed=True, label="seed of batches")] = 42
    steps: Annotated[int, at_least(1, label="steps", log=True, slider=(10, 1_000_000))] = 5000
    measure: Measure = Measure()
    stop: Stop = Stop()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("Experiment.problem", self.problem, (NetworkProblem, FunctionProblem))
        msgspec.structs.force_setattr(self, "methods", check_sequence("Experiment.methods", self.methods))
        if not self.methods:
            raise SettingsError("Experiment.methods: expected at least one method, got none")
        for method in self.methods:
            check_instance("Experiment.methods", method, Method)


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run that can be done again: experiment, what the user did, and how many updates were made. view: whatever the
    window wants to find again (not part of the run).

    >>> from nnopt.runs.run import Run
    >>> run = Run(default_experiment())
    >>> run.advance(20)
    20
    >>> run.recording == Recording(default_experiment(), interventions=(), length=20)
    True
    """

    experiment: Experiment
    interventions: tuple[Intervention, ...] = ()
    length: Annotated[int, msgspec.Meta(ge=0)] = 0
    view: dict[str, Any] = {}


def load(path: str | os.PathLike[str]) -> Experiment:
    """The experiment in a JSON file; of a session file, the experiment it began with.

    Raises: SpecError naming the file and the JSON path (or line and column); OSError is reported as SpecError too.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(default_experiment(), Path(folder, "circles.json"))
    ...     load(Path(folder, "circles.json")) == default_experiment()
    True
    """
    found = _decode(_read(path), Path(path).name)
    experiment = found.experiment if isinstance(found, Recording) else found
    return _beside(experiment, Path(path).parent)


def loads(text: str, where: str = "experiment") -> Experiment:
    """The experiment in a JSON text; `where` begins the messages of errors (SpecError).

    >>> loads(dumps(default_experiment()).replace("0.5", "-1"))
    Traceback (most recent call last):
    nnopt.errors.SpecError: experiment: at $.methods[0].optimizer.lr: expected a number > 0, got -1
    """
    found = _decode(text, where)
    return found.experiment if isinstance(found, Recording) else found


def save(experiment: Experiment, path: str | os.PathLike[str]) -> None:
    """Write an experiment as JSON; the file is replaced whole or not at all. Raises SpecError where it cannot.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(default_experiment(), Path(folder, "circles.json"))
    ...     Path(folder, "circles.json").read_text() == dumps(default_experiment())
    True
    """
    _write(dumps(experiment), path)


def dumps(spec: Experiment | Recording) -> str:
    """The JSON text of an experiment or a recording.

    >>> for line in dumps(default_experiment()).splitlines()[:5]:
    ...     print(line)
    {
      "format": "nnopt-experiment",
      "version": 2,
      "problem": {
        "kind": "network",
    """
    name = SESSION if isinstance(spec, Recording) else FORMAT
    document = {"format": name, "version": VERSION, **msgspec.to_builtins(spec)}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def load_recording(path: str | os.PathLike[str]) -> Recording:
    """The recording in a session file; an experiment file gives one without interventions. Raises SpecError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(default_experiment(), Path(folder, "circles.json"))
    ...     load_recording(Path(folder, "circles.json")) == Recording(default_experiment())
    True
    """
    found = _decode(_read(path), Path(path).name)
    recording = found if isinstance(found, Recording) else Recording(found)
    return msgspec.structs.replace(recording, experiment=_beside(recording.experiment, Path(path).parent))


def save_recording(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write a recording as JSON; the file is replaced whole or not at all. Raises SpecError where it cannot.

    >>> import tempfile
    >>> recording = Recording(default_experiment(), length=20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_recording(recording, Path(folder, "circles.json"))
    ...     load_recording(Path(folder, "circles.json")) == recording
    True
    """
    _write(dumps(recording), path)


def one_seed(experiment: Experiment, seed: int) -> Experiment:
    """The same with one seed for weights, data, split and batches: everything is drawn anew.

    >>> one_seed(default_experiment(), 7).data_seed
    7
    """
    names = ("seed", "data_seed", "split_seed", "batch_seed")
    return msgspec.structs.replace(experiment, **dict.fromkeys(names, seed))


def seed_words(experiment: Experiment) -> str:
    """The seeds in words.

    >>> seed_words(default_experiment()), seed_words(set_path(default_experiment(), "seed", 7))
    ('seed 42', 'seed 7 of the weights, 42 of data, split and batches')
    """
    others = {"data": experiment.data_seed, "split": experiment.split_seed, "batches": experiment.batch_seed}
    if set(others.values()) == {experiment.seed}:
        return f"seed {experiment.seed}"
    if len(set(others.values())) == 1:
        return f"seed {experiment.seed} of the weights, {experiment.data_seed} of data, split and batches"
    return f"seed {experiment.seed} of the weights, " + ", ".join(f"{seed} of {name}" for name, seed in others.items())


def check_experiment(value: object) -> None:
    """Raise SettingsError unless `value` is an `Experiment`.

    >>> check_experiment("circles.json")
    Traceback (most recent call last):
    nnopt.errors.SettingsError: experiment: expected an Experiment, got 'circles.json'; nnopt.load(FILE) reads one
    """
    if not isinstance(value, Experiment):
        given = f"{value!r:.80}" if value is None or isinstance(value, (str, os.PathLike)) else type(value).__name__
        raise SettingsError(f"experiment: expected an Experiment, got {given}; nnopt.load(FILE) reads one")


def _decode(text: str, where: str) -> Experiment | Recording:
    raw = parse_json(text, where)
    if not isinstance(raw, dict):
        raise SpecError(f"{where}: expected a JSON object {{...}}, got {type(raw).__name__}")
    raw = dict(raw)
    name, version = raw.pop("format", None), raw.pop("version", None)
    kinds: dict[Any, Any] = {FORMAT: Experiment, SESSION: Recording}
    if not isinstance(name, str) or name not in kinds:
        given = "nothing" if name is None else repr(name)
        raise SpecError(f"{where}: at $.format: expected {FORMAT!r} or {SESSION!r}, got {given}")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSION:
        newer = isinstance(version, int) and version > VERSION
        hint = "; it was written by a newer nnopt" if newer else ""
        raise SpecError(f"{where}: at $.version: expected 1 or {VERSION}, got {version!r}{hint}")
    if version == 1:
        inside = name == SESSION
        _from_version_1(raw.get("experiment") if inside else raw, where, "$.experiment" if inside else "$")
    try:
        found: Experiment | Recording = convert(raw, kinds[name], "$")
    except SettingsError as error:
        raise SpecError(f"{where}: at {error}") from None
    return found


def _from_version_1(raw: Any, where: str, at: str) -> None:
    """Version 1 had one seed for weights, data, split and batches, and measured every 10 steps by default; in place."""
    if not isinstance(raw, dict):
        return  # the conversion says what is wrong
    for name in ("data_seed", "split_seed", "batch_seed"):
        if name in raw:
            raise SpecError(f"{where}: at {at}.{name}: version 1 has one seed for all; write version {VERSION}")
        if "seed" in raw:
            raw[name] = raw["seed"]
    measure = raw.setdefault("measure", {})
    if isinstance(measure, dict):
        measure.setdefault("every", 10)


def _read(path: str | os.PathLike[str]) -> str:
    try:
        with open(path, encoding="utf-8-sig") as stream:
            text = stream.read(LONGEST + 1)
    except UnicodeDecodeError as error:
        raise SpecError(f"{Path(path).name}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(text) > LONGEST:
        raise SpecError(f"{Path(path).name}: expected an experiment, got more than {LONGEST:,} characters")
    return text


def _write(text: str, path: str | os.PathLike[str]) -> None:
    with replacing(path, "w") as stream:
        stream.write(text)


def _beside(experiment: Experiment, folder: Path) -> Experiment:
    """A data file with a relative path that is not in the working directory is looked for beside the experiment."""
    data = getattr(experiment.problem, "data", None)
    path = getattr(data, "path", None)
    if not isinstance(path, str) or not path or os.path.exists(path) or not os.path.exists(folder / path):
        return experiment
    return set_path(experiment, "problem.data.path", str(folder / path))


def default_experiment() -> Experiment:
    """Circles, 2-8-1 tanh, started right beside the saddle at zero, plain gradient steps on the full batch: the loss
    stands still for about 160 steps, falls within three hundred more, and levels off.

    >>> from nnopt.runs.run import Run
    >>> run = Run(default_experiment())
    >>> run.advance(600)
    600
    >>> loss = run.history.columns["loss"]
    >>> bool(loss[150] > 0.99 * loss[0]), bool(loss[460] < 0.5 * loss[0])
    (True, True)
    """
    data = datasets.get("circle", points=400, noise=10.0)
    problem = NetworkProblem(data, Architecture((8,), "tanh", Normal(std=1e-4)), l2=0.001, validation=0.4)
    return Experiment(problem, (Method(SGD(lr=0.5)),))


__all__ = [
    "Architecture", "Experiment", "FunctionProblem", "Measure", "Method", "NetworkProblem", "Recording", "Stop",
    "check_experiment", "default_experiment", "dumps", "get_path", "load", "load_recording", "loads", "one_seed",
    "save", "save_recording", "seed_words", "set_path",
]  # fmt: skip
