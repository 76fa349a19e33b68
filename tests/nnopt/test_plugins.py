"""Plug-ins: what a user's file or an installed package registers is found wherever the built-in things are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from nnopt import cli, optimizers, plugins
from nnopt.errors import PluginError, SpecError, UnknownNameError
from nnopt.objectives import datasets, functions
from nnopt.optimizers import Optimizer
from nnopt.runs.experiment import default_experiment, dumps, loads, set_path
from nnopt.runs.minimize import minimize
from nnopt.runs.run import Run
from nnopt.settings import Registry
from nnopt_gui.widgets.specs import fields_of

SIGN = '''
"""Gradient descent that sees the sign of the gradient only."""
from __future__ import annotations
from typing import Annotated
import numpy as np
from nnopt.optimizers.base import Optimizer, Settings, Slots, Update, register
from nnopt.settings import above

@register
class SignSGD(Settings, Optimizer, frozen=True, tag="sign_sgd"):
    """theta <- theta - lr * sign(g)        (Bernstein et al. 2018)"""

    lr: Annotated[float, above(0, label="learning rate")] = 0.25

    def init(self, theta):
        return Slots()

    def update(self, local, slots, lr):
        return Update(-lr * np.sign(local.gradient), slots)
'''

MORE = '''
from typing import Annotated
import numpy as np
from nnopt.objectives import datasets, functions
from nnopt.objectives.functions import Formula, FormulaFunction
from nnopt.settings import Settings, at_least

@functions.register
class Hump(FormulaFunction, Settings, frozen=True, tag="hump"):
    """x^4 - x^2"""
    title, teaches, source = "Hump", "What a fourth power does.", "a test"
    formula = Formula("x**4 - x**2", "x")
    starts_at = (0.1,)
    within = ((-2.0, 2.0),)

@datasets.register
class Stripes(datasets.DataSettings, frozen=True, tag="stripes"):
    """Vertical stripes."""
    points: Annotated[int, at_least(2, label="points")] = 40
    title, source = "Stripes", "a test"

    def make(self, seed):
        X = datasets.stream(seed, "points").uniform(-1, 1, (self.points, 2))
        return datasets.Dataset(X, (X[:, 0] > 0).astype(np.int64), "classification", ("left", "right"))
'''


@pytest.fixture(autouse=True)
def registries_as_before():
    before = {id(registry): registry.registered for registry in Registry.every}
    yield
    for plugin in plugins.loaded():
        plugins.unload(plugin.path)
    for registry in Registry.every:
        foreign = set(registry.registered) - set(before.get(id(registry), registry.registered))
        assert not [name for name in foreign if not registry.registered[name].__module__.startswith("nnopt.")]


@pytest.fixture
def write(tmp_path):
    def write(source: str, name: str = "mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    return write


def test_an_optimizer_of_a_file_is_found_like_the_built_in_ones(write):
    plugin = plugins.load_file(write(SIGN))
    assert plugin.added == (("optimizer", "sign_sgd"),)
    assert "sign_sgd" in optimizers.names()
    assert optimizers.SignSGD is optimizers.get("sign_sgd")
    history = minimize(functions.get("bowl"), optimizers.get("sign_sgd")(), start=[1.0], steps=4)
    np.testing.assert_array_equal(history.theta[:, 0], [1.0, 0.75, 0.5, 0.25, 0.0])


def test_an_experiment_may_name_what_a_loaded_file_registers(write):
    plugins.load_file(write(SIGN))
    plugins.load_file(write(MORE, "more.py"))
    experiment = set_path(default_experiment(), "methods[0].optimizer", {"name": "sign_sgd", "lr": 0.01})
    experiment = set_path(experiment, "problem.data", "stripes")
    assert loads(dumps(experiment)) == experiment
    run = Run(experiment)
    run.advance(50)
    assert run.history.value[-1] < run.history.value[0]
    again = Run.replay(run.recording)
    assert again.state.same_bits(run.state)


def test_functions_and_data_sets_of_a_file_are_found_too(write):
    added = plugins.load_file(write(MORE)).added
    assert set(added) == {("function", "hump"), ("dataset", "stripes")}
    assert functions.get("hump").gradient([1.0]).tolist() == [2.0]
    assert datasets.get("stripes", points=10).make(seed=1).n == 10


def test_a_form_shows_the_settings_of_a_plug_in(write):
    plugins.load_file(write(SIGN))
    experiment = set_path(default_experiment(), "methods[0].optimizer", "sign_sgd")
    fields = {field.path: field for field, _ in fields_of(experiment)}
    assert "sign_sgd" in dict(fields["methods[0].optimizer"].options)
    assert fields["methods[0].optimizer.lr"].label == "Learning rate"
    assert fields["methods[0].optimizer.lr"].open_low


@pytest.mark.parametrize("place", [("--plugin", "FILE", "list", "optimizers"), ("list", "--plugin", "FILE")])
def test_the_command_line_loads_a_file_when_it_is_told_to(write, capsys, place):
    path = str(write(SIGN))
    assert cli.main([path if word == "FILE" else word for word in place]) == 0
    assert re.search(r"  sign_sgd +theta <- theta - lr \* sign\(g\)", capsys.readouterr().out)


def test_an_experiment_cannot_load_a_plug_in_and_says_that_one_may_be_missing(write):
    text = dumps(set_path(default_experiment(), "methods[0].optimizer", "adam")).replace('"adam"', '"sign_sgd"')
    with pytest.raises(SpecError, match=r"unknown optimizer 'sign_sgd'.*; if a plug-in defines it.*--plugin FILE"):
        loads(text)
    with pytest.raises(SpecError, match="unknown field 'plugins'"):
        loads(dumps(default_experiment()).replace('"seed"', f'"plugins": ["{write(SIGN)}"], "seed"'))
    assert "sign_sgd" not in optimizers.names()


def test_a_file_is_run_once_and_again_only_when_its_text_has_changed(write):
    path = write(SIGN)
    first = plugins.load_file(path)
    known = optimizers.get("sign_sgd")
    assert plugins.load_file(path) is first
    assert optimizers.get("sign_sgd") is known
    plugins.load_file(write(SIGN.replace("= 0.25", "= 0.5")))
    assert optimizers.get("sign_sgd")().lr == 0.5
    plugins.load_file(write(SIGN.replace('tag="sign_sgd"', 'tag="renamed"')))
    assert "renamed" in optimizers.names()
    assert "sign_sgd" not in optimizers.names()
    assert len(plugins.loaded()) == 1


def test_an_unloaded_file_is_forgotten(write):
    path = write(SIGN)
    plugins.load_file(path)
    plugins.unload(path)
    with pytest.raises(UnknownNameError):
        optimizers.get("sign_sgd")
    with pytest.raises(PluginError, match="is not a plug-in that was loaded"):
        plugins.unload(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = (1,\n", r"mine\.py: line 1: '\(' was never closed"),
        (SIGN + "\n1 / 0\n", r"mine\.py: line \d+: ZeroDivisionError: division by zero"),
        (SIGN + "\nimport sys; sys.exit(3)\n", r"mine\.py: line \d+: SystemExit: 3"),
        (SIGN.replace("@register", ""), r"mine\.py: it registers nothing"),
        (SIGN.replace('tag="sign_sgd"', 'tag="adam"'), r"line \d+: SettingsError: optimizer 'adam' is registered tw"),
        (SIGN.replace("(Settings, Optimizer", "(Settings"), "SignSGD is registered as optimizer 'sign_sgd', but is "),
        (SIGN.replace("(Settings, Optimizer, frozen=True, tag=\"sign_sgd\")", ""), "inherits from Settings"),
        (SIGN.replace("] = 0.25", "]"), "SignSGD: every setting needs a default"),
        (SIGN.replace("0.25", "-1.0"), r"SignSGD\.lr: expected a number > 0"),
        (SIGN.replace("Annotated[float", "Annotatet[float"), "NameError: name 'Annotatet' is not defined"),
        ("import no_such_module_anywhere\n", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("# coding: klingon\n", "not a Python file: unknown encoding"),
    ],
)  # fmt: skip
def test_a_file_that_fails_says_where_and_changes_nothing(write, source, message):
    before = {registry.kind: registry.names() for registry in Registry.every}
    modules = set(sys.modules)
    with pytest.raises(PluginError, match=message):
        plugins.load_file(write(source))
    assert {registry.kind: registry.names() for registry in Registry.every} == before
    assert not [name for name in set(sys.modules) - modules if name.startswith("nnopt_plugin")]
    assert plugins.loaded() == ()


def test_a_failing_new_version_leaves_the_working_one_in_place(write):
    plugins.load_file(write(SIGN))
    known = optimizers.get("sign_sgd")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        plugins.load_file(write(SIGN + "\n1 / 0\n"))
    assert optimizers.get("sign_sgd") is known
    assert known(lr=1.0).lr == 1.0


def test_a_missing_file_is_named(tmp_path, capsys):
    with pytest.raises(PluginError, match=r"gone\.py: cannot be read: No such file"):
        plugins.load_file(tmp_path / "gone.py")
    assert cli.main(["run", "--plugin", str(tmp_path / "gone.py")]) == 1
    assert "gone.py: cannot be read" in capsys.readouterr().err


def test_a_plug_in_cannot_take_a_built_in_name_before_that_is_loaded(write):
    """In a fresh process the built-in ones are imported late: they come first all the same."""
    path = write(SIGN.replace('tag="sign_sgd"', 'tag="rmsprop"'))
    script = f"from nnopt import plugins\nplugins.load_file({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "optimizer 'rmsprop' is registered twice" in done.stderr


def install(folder, name: str, source: str) -> None:
    """As pip leaves an installed package that announces a plug-in."""
    (folder / f"{name}_package.py").write_text(source, encoding="utf-8")
    info = folder / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[nnopt.plugins]\n{name} = {name}_package\n")


def in_a_process(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip


def test_an_installed_plug_in_is_found_at_the_first_look_up(tmp_path):
    install(tmp_path, "signs", SIGN)
    done = in_a_process(tmp_path, "-m", "nnopt.cli", "list", "optimizers")
    assert "  sign_sgd " in done.stdout
    assert done.stderr == ""
    script = "import nnopt, sys; print('signs_package' in sys.modules); print(nnopt.optimizers.SignSGD())"
    assert in_a_process(tmp_path, "-c", script).stdout == "False\nSignSGD(lr=0.25)\n"


def test_an_installed_plug_in_that_fails_is_a_warning_and_the_others_work(tmp_path):
    install(tmp_path, "broken", SIGN.replace("sign_sgd", "half_done") + "\n1 / 0\n")
    install(tmp_path, "signs", SIGN)
    done = in_a_process(tmp_path, "-m", "nnopt.cli", "list", "optimizers")
    assert done.returncode == 0
    assert "  sign_sgd " in done.stdout
    assert "half_done" not in done.stdout
    warning = "plug-in 'broken' of broken 1.5 was not loaded: ZeroDivisionError: division by zero"
    assert done.stderr == f"nnopt: warning: {warning}\n"
    script = "import nnopt; nnopt.optimizers.get('half_done')"
    assert f"--plugin FILE; {warning}" in in_a_process(tmp_path, "-c", script).stderr


def test_registering_twice_the_same_class_is_no_conflict(write):
    plugins.load_file(write(SIGN))
    assert Optimizer.registry.register(optimizers.SignSGD) is optimizers.SignSGD


def test_the_plug_in_in_the_documentation_works(write):
    found = re.search(r"This is one, whole:\n\n(.*?)\n\nA data set", plugins.__doc__, re.DOTALL)
    assert plugins.load_file(write(found[1])).added == (("optimizer", "sign_sgd"),)
