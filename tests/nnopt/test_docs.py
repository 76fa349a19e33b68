"""Every public name explains itself, with an example that runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nnopt
from nnopt.runs.experiment import loads

MODULES = ["nnopt", *(found.name for found in pkgutil.walk_packages(nnopt.__path__, "nnopt."))]


def public(module: ModuleType) -> dict[str, object]:
    """Functions and classes that a module defines, by name."""
    return {
        name: member
        for name, member in vars(module).items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or inspect.isclass(member))
        and getattr(member, "__module__", None) == module.__name__
    }


def test_the_rooms_are_found():
    assert len(MODULES) > 90
    assert sum(len(public(importlib.import_module(name))) for name in MODULES) > 400


@pytest.mark.parametrize("name", MODULES)
def test_a_public_name_has_a_docstring_and_an_example(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for title, member in public(module).items():
        assert member.__doc__, f"{name}.{title} has no docstring"
        assert ">>>" in member.__doc__, f"{name}.{title} has no example"
        assert "+SKIP" not in member.__doc__, f"{name}.{title} has an example that does not run"


@pytest.mark.parametrize("name", MODULES)
def test_a_public_method_has_a_docstring(name):
    for title, member in public(importlib.import_module(name)).items():
        for part, method in vars(member).items() if inspect.isclass(member) else ():
            if not part.startswith("_") and (inspect.isroutine(method) or isinstance(method, property)):
                assert inspect.getdoc(getattr(member, part)), f"{name}.{title}.{part} has no docstring"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


README = Path(__file__).parents[2] / "README.md"


def test_the_python_in_the_readme_runs(tmp_path, monkeypatch):
    # what the examples write is not the repository's
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    known = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), known)
    np.testing.assert_allclose(known["history"].value[:3], [24.2, 4.731884325, 1411.845179], rtol=1e-8)
    analysis, loss, net, one, two = (known[name] for name in ("analysis", "loss", "net", "one", "two"))
    assert analysis.spectrum_at(loss, one).verdict.startswith("positive definite: all 17 curvatures are positive")
    assert analysis.losses_along(loss, analysis.straight_path(one, two)).barrier == pytest.approx(0.58, abs=0.005)
    assert analysis.losses_along(loss, analysis.aligned_path(net, one, two)).barrier < 1e-12


def test_the_experiment_in_the_readme_is_one():
    (block,) = re.findall(r"```json\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert loads(block, "README.md").methods[0].optimizer == nnopt.optimizers.Adam(lr=0.01)
