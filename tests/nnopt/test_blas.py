"""BLAS on one thread, whoever imports numpy first."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

THREADS = """
from threadpoolctl import threadpool_info, threadpool_limits
def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
"""


def said(script: str) -> str:
    """What a fresh interpreter prints, where two threads of BLAS are asked for."""
    text = dedent(THREADS) + dedent(script)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    return done.stdout


def test_a_process_that_begins_with_nnopt_has_one_thread_at_once():
    assert said("import nnopt, numpy, scipy.linalg; print(threads())") == "{1}\n"


@pytest.mark.parametrize(
    "use",
    [
        "nnopt.NetworkObjective(nnopt.Network((2, 3, 1)), [[0.0, 1.0]], [1])",
        "nnopt.analysis.eigenpairs(nnopt.functions.get('rosenbrock'), [0.0, 0.0], 1)",
        "nnopt.minimize(nnopt.functions.get('bowl'), nnopt.optimizers.SGD(), [1.0], steps=1)",
    ],
)
def test_where_numpy_came_first_the_first_use_limits_it(use):
    script = f"""
    import numpy, scipy.linalg
    threadpool_limits(2, user_api="blas")
    before = threads()
    import nnopt
    imported = threads()
    {use}
    print(before == imported, threads())
    """
    assert said(script) == "True {1}\n"
