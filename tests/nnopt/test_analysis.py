"""The entrance to the analysis: everything by one name, imported when it is used."""

import re
import subprocess
import sys
from types import ModuleType

import pytest

import nnopt
from nnopt import analysis


def test_every_name_is_there_and_is_no_room_of_the_same_name():
    for name in analysis.__all__:
        member = getattr(analysis, name)
        assert isinstance(member, ModuleType) == (name == "theory"), name
        assert name == "theory" or member.__module__.startswith("nnopt.analysis.")
    assert set(analysis.__all__) <= set(dir(analysis))
    assert len(set(analysis.__all__)) == len(analysis.__all__)


def test_the_table_names_everything():
    rows = [line for line in analysis.__doc__.splitlines() if line.startswith("|")][2:]
    named = re.findall(r"`(\w+)`", " ".join(rows))
    assert sorted(named) == sorted(analysis.__all__)


def test_it_is_reached_from_nnopt_and_knows_no_other_names():
    assert nnopt.analysis is analysis
    f = nnopt.functions.get("saddle")
    assert nnopt.analysis.spectrum_at(f, [0, 0]).kind == "saddle"
    assert nnopt.analysis.theory.stable_rate(10.0) == 0.2
    with pytest.raises(AttributeError, match=r"'nnopt\.analysis' has no attribute 'spektrum_at'"):
        _ = analysis.spektrum_at


def test_nothing_is_imported_before_it_is_used():
    look = (
        "import sys, nnopt.analysis\n"
        "print([name for name in sys.modules if name.startswith(('nnopt.analysis.', 'scipy'))])\n"
        "for name in nnopt.analysis.__all__: getattr(nnopt.analysis, name)\n"
        "print([name for name in sys.modules if name.startswith('scipy')])\n"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_star_imports_what_the_table_names():
    names: dict[str, object] = {}
    exec("from nnopt.analysis import *", names)
    assert set(analysis.__all__) <= set(names)
