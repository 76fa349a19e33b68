"""Small experiments to sweep, a method that makes trouble, and the rows of a record, for the tests of sweeps."""

from __future__ import annotations

import csv

import pytest

from nnopt import plugins
from nnopt.runs.experiment import (
    Experiment,
    default_experiment,
    set_path,
)


def quick(**changes: object) -> Experiment:
    experiment = set_path(default_experiment(), "steps", 40)
    for path, value in changes.items():
        experiment = set_path(experiment, path, value)
    return experiment


def rows_of(path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


TROUBLE = '''
import os
import numpy as np
from nnopt.optimizers.base import Optimizer, Settings, Slots, Update, register

@register
class Trouble(Settings, Optimizer, frozen=True, tag="trouble"):
    """A small step, or trouble."""
    kind: str = "none"

    def init(self, theta):
        return Slots()

    def update(self, local, slots, lr):
        print("working")
        if self.kind == "error":
            raise RuntimeError("two\\nlines")
        if self.kind == "exit":
            os._exit(7)
        return Update(-0.1 * local.gradient, slots)
'''


@pytest.fixture(name="trouble")
def trouble_fixture(tmp_path):
    file = tmp_path / "trouble.py"
    file.write_text(TROUBLE)
    plugins.load_file(file)
    yield file
    plugins.unload(file)
