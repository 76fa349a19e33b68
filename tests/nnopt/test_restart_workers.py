"""Restarts wherever they are made: the same bits in the same order, each seed once, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import msgspec
import numpy as np
import pytest
from test_tasks import Lossy

from nnopt import plugins
from nnopt.analysis import restarts
from nnopt.analysis.restarts import Failure, Part, Restarts, WorkersGone, perform, restart
from nnopt.errors import NnoptError, SettingsError, UnsupportedError
from nnopt.objectives import functions
from nnopt.runs.experiment import Experiment, FunctionProblem, Stop, default_experiment, set_path
from nnopt.runs.processes import Processes
from nnopt.runs.run import Run

#: out of order, one of them large
SEEDS = (*range(30, 5, -1), 2**40, 1, 2)


def quick(**changes: object) -> Experiment:
    experiment = set_path(default_experiment(), "steps", 60)
    # some runs end before the others: their curves are shorter, in some parts all of them
    experiment = set_path(experiment, "methods[0].batches", {"name": "mini", "size": 7})
    for path, value in changes.items():
        experiment = set_path(experiment, path, value)
    return experiment


def same(first: Restarts, second: Restarts) -> bool:
    arrays = ("seeds", "theta", "losses", "steps", "curves")
    found = [(getattr(first, name), getattr(second, name)) for name in arrays]
    arrays = ("losses", "best_losses", "best_steps", "best_theta")
    found += [(getattr(first.validation, name), getattr(second.validation, name)) for name in arrays]
    assert first.outcomes == second.outcomes
    return all(np.array_equal(a, b, equal_nan=True) for a, b in found)


@pytest.fixture(scope="module")
def expected() -> Restarts:
    return restart(quick(), SEEDS, workers=1)


@pytest.mark.parametrize("kind", ["processes", "threads", "pool"])
def test_any_executor_gives_the_same_bits_in_the_order_of_the_seeds(expected, kind):
    if kind == "threads":
        with ThreadPoolExecutor(3) as executor:
            found = restart(quick(), SEEDS, executor=executor)
    elif kind == "pool":
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
            found = restart(quick(), SEEDS, executor=executor)
    else:
        found = restart(quick(), SEEDS, workers=2)
    assert found.seeds.tolist() == list(SEEDS)
    assert same(found, expected)
    assert found.objective.examples == expected.objective.examples


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("dtype", "changes"),
    [
        ("float64", {"stop": {"gradient_norm": 0.003}}),
        ("float64", {"methods[0].optimizer": "adam", "problem.l1": 1e-3, "problem.l2": 1e-3, "problem.data": "iris"}),
        # exp overflows for some runs and not for others
        ("float32", {"methods[0].optimizer": {"name": "sgd", "lr": 300.0}}),
    ],
)
def test_the_bits_of_a_run_do_not_depend_on_what_is_made_beside_it(monkeypatch, size, dtype, changes):
    whole = restart(quick(**changes), SEEDS, dtype=dtype, workers=1)
    monkeypatch.setattr(restarts, "MOST", size)
    with ThreadPoolExecutor(2) as executor:
        parts = restart(quick(**changes), SEEDS, dtype=dtype, executor=executor)
    assert same(whole, parts)


def test_runs_that_have_ended_stay_ended_where_parts_are_put_together(monkeypatch):
    monkeypatch.setattr(restarts, "MOST", 1)
    # from other weights on the same batches they end at other steps
    experiment = set_path(quick(stop={"gradient_norm": 0.17}), "problem.network.initial", {"name": "glorot_uniform"})
    whole = restart(experiment, SEEDS, workers=1)
    steps = [outcome.step for outcome in whole.outcomes]
    assert len(set(steps)) >= 3, "all runs end at once: nothing is shown"
    with ThreadPoolExecutor(2) as executor:
        found = restart(experiment, SEEDS, executor=executor)
    assert same(whole, found)
    for column, step in zip(found.curves.T, steps, strict=True):
        measured = found.steps <= step
        assert np.isnan(column[~measured]).all()
        assert np.isfinite(column[measured]).all()


def test_every_part_goes_through_the_kernels_and_no_worker_is_left_without(expected):
    job = restarts._Job(quick(), range(64), 0, np.dtype(np.float64))
    for workers, sizes in ((2, [32] * 2), (1, [32] * 2), (3, [22, 21, 21]), (40, [2] * 24 + [1] * 16), (100, [1] * 64)):
        parts = [part.seeds for part in job.parts(workers)]
        assert [len(seeds) for seeds in parts] == sizes
        assert sum(parts, ()) == tuple(range(64))
    assert max(len(part.seeds) for part in restarts._Job(quick(), range(999), 0, np.dtype(float)).parts(2)) == 32


@pytest.mark.parametrize("times", [1, 2])
def test_the_parts_of_lost_workers_are_made_again(expected, times):
    class LosesEvery(Lossy):
        def submit(self, fn, /, *args):
            self._left.setdefault(args[0], times)
            return super().submit(fn, *args)

        def _do(self, fn, task):
            with self._lock:
                self.tried[task] += 1
                lost, self._left[task] = self._left[task] > 0, self._left[task] - 1
            result = fn(task)
            if lost:
                raise OSError("gone")
            return result

    with LosesEvery({}) as executor:
        found = restart(quick(), SEEDS, executor=executor)
    assert set(executor.tried.values()) == {times + 1}
    assert same(found, expected)


KILLS = '''
import os, signal
import numpy as np
from nnopt.optimizers.base import Optimizer, Settings, Slots, Update, register

@register
class Kills(Settings, Optimizer, frozen=True, tag="kills"):
    """Gradient descent that ends its process, once."""
    once: str = ""
    raises: bool = False

    def init(self, theta):
        return Slots()

    def update(self, local, slots, lr):
        if self.raises:
            raise RuntimeError("two\\nlines")
        if self.once and os.getpid() != HOME and not os.path.exists(self.once):
            open(self.once, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return Update(-0.1 * local.gradient, slots)

HOME = int(os.environ["NNOPT_TEST_HOME"])
'''


@pytest.fixture
def kills(tmp_path, monkeypatch):
    monkeypatch.setenv("NNOPT_TEST_HOME", str(os.getpid()))
    file = tmp_path / "kills.py"
    file.write_text(KILLS)
    plugins.load_file(file)
    yield
    plugins.unload(file)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on Windows")
def test_a_process_that_is_killed_costs_nothing_but_time(kills, tmp_path):
    experiment = quick(**{"methods[0].optimizer": {"name": "kills", "once": str(tmp_path / "once")}})
    found = restart(experiment, SEEDS, workers=2)
    assert (tmp_path / "once").exists(), "no process was killed"
    assert same(found, restart(experiment, SEEDS, workers=1))


def test_errors_are_those_of_this_process_wherever_they_happen(kills):
    raising = quick(**{"methods[0].optimizer": {"name": "kills", "raises": True}})
    with pytest.raises(NnoptError, match=r"^RuntimeError: two lines$"):
        restart(raising, SEEDS, workers=2)
    assert perform(Part("{}", seeds=(1,))) == Failure("SpecError", perform(Part("{}", seeds=(1,))).reason)
    for places in ({}, {"workers": 2}, {"cluster": "tcp://127.0.0.1:1"}):
        with pytest.raises(SettingsError, match=r"method: expected 0 \.\. 0, got 1"):
            restart(quick(), SEEDS, method=1, **places)
        for seeds in ([1, -1], [0.5], ["1"], 7, [2**63]):
            with pytest.raises(SettingsError, match="seeds: expected one or more whole numbers from 0 to"):
                restart(quick(), seeds, **places)
        with pytest.raises(SettingsError, match="seeds: expected one or more"):
            restart(quick(), [], **places)
        with pytest.raises(SettingsError, match="expected dtype float64 or float32"):
            restart(quick(), SEEDS, dtype=int, **places)
        with pytest.raises(UnsupportedError, match="a function has one start"):
            restart(Experiment(FunctionProblem(functions.get("bowl"))), SEEDS, **places)
    with pytest.raises(SettingsError, match="restart: expected one of executor, workers and cluster"):
        restart(quick(), SEEDS, workers=2, cluster="tcp://127.0.0.1:1")


def test_a_part_that_no_worker_survives_is_said_with_its_seeds():
    class Dead(Lossy):
        def _do(self, fn, task):
            raise OSError("killed")

    with (
        Dead({}) as executor,
        pytest.raises(NnoptError, match=r"restart: seeds 30 \.\. \d+: its worker was lost 3"),
    ):
        restart(quick(), SEEDS, executor=executor)
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with pytest.raises(WorkersGone, match=r"restart: the workers are gone \(.*\); 0 of 28 seeds are done"):
        restart(quick(), SEEDS, executor=closed)


def test_progress_goes_from_nothing_to_one_here_and_elsewhere(monkeypatch):
    monkeypatch.setattr(restarts, "TOLD", 0.0)
    for places in ({"workers": 1}, {"workers": 2}):
        shares: list[float] = []
        restart(quick(), SEEDS, progress=shares.append, **places)
        assert shares == sorted(shares)
        assert 0 <= shares[0] < 1
        assert shares[-1] == 1.0
        assert len(shares) >= 3


def test_told_to_stop_runs_here_are_as_far_as_they_have_come():
    asked = iter(range(10**6))
    found = restart(quick(), SEEDS, should_stop=lambda: next(asked) > 25, workers=1)
    assert {outcome.kind for outcome in found.outcomes} == {"running"}
    (step,) = {outcome.step for outcome in found.outcomes}
    assert 0 < step < 60
    for k in (0, 25):
        run = Run(msgspec.structs.replace(quick(), seed=SEEDS[k]))
        # the data are the experiment's
        shorter = restart(quick(steps=step), [SEEDS[k]], workers=1)
        np.testing.assert_array_equal(found.theta[k], shorter.theta[0])
        assert run.state.step == 0


def test_told_to_stop_workers_leave_what_is_done_and_no_seed_is_there_twice(expected):
    shares: list[float] = []
    with ThreadPoolExecutor(1) as executor:
        enough = lambda: bool(shares) and shares[-1] > 0.3  # noqa: E731
        found = restart(quick(), SEEDS, executor=executor, progress=shares.append, should_stop=enough)
    assert 8 <= len(found.seeds) < 28
    assert list(found.seeds) == [seed for seed in SEEDS if seed in set(found.seeds.tolist())]
    kept = [SEEDS.index(seed) for seed in found.seeds.tolist()]
    np.testing.assert_array_equal(found.theta, expected.theta[kept])
    np.testing.assert_array_equal(found.curves, expected.curves[:, kept])
    assert found.outcomes == tuple(expected.outcomes[k] for k in kept)
    with ThreadPoolExecutor(1) as executor:
        nothing = restart(quick(), SEEDS, executor=executor, should_stop=lambda: True)
    assert (nothing.theta.shape, len(nothing.outcomes)) == ((0, 33), 0)
    with pytest.raises(SettingsError, match="no run is there"):
        _ = nothing.best
    with pytest.raises(SettingsError, match="no run is there"):
        nothing.clusters()


def test_several_processes_are_started_for_long_work_only(monkeypatch, expected):
    started: list[int] = []

    class Counted(Processes):
        def __init__(self, workers: int) -> None:
            started.append(workers)
            super().__init__(workers)

    monkeypatch.setattr("nnopt.runs.tasks.Processes", Counted)
    monkeypatch.setattr("nnopt.runs.tasks.usable_processors", lambda: 2)
    monkeypatch.setattr(restarts, "usable_processors", lambda: 2)
    assert same(restart(quick(), SEEDS), expected)
    assert started == []
    monkeypatch.setattr(restarts, "TRIED", 0.0)
    monkeypatch.setattr(restarts, "WORTH", 1e-9)
    assert same(restart(quick(), SEEDS), expected)
    assert started == [2]
    restart(quick(), [3])
    monkeypatch.setattr(restarts, "usable_processors", lambda: 1)
    restart(quick(), SEEDS)
    assert started == [2]


def test_classes_of_a_script_are_trained_in_its_own_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import nnopt
        from nnopt.analysis import restarts
        from nnopt.optimizers.base import register
        from nnopt.optimizers.sgd import SGD
        from nnopt.runs.experiment import set_path

        @register
        class Mine(SGD, frozen=True, tag="mine"):
            pass

        restarts.TRIED, restarts.WORTH = 0.0, 1e-9
        experiment = set_path(nnopt.default_experiment(), "steps", 20)
        experiment = set_path(experiment, "methods[0].optimizer", "mine")
        print(len(nnopt.restart(experiment, range(9)).seeds))
        nnopt.restart(experiment, range(9), workers=2)
    """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "9\n"
    assert "UnsupportedError: restart: Mine: defined in this script" in done.stderr


def test_early_stopping_is_that_of_runs_with_the_best_state_kept():
    experiment = quick(**{"methods[0].optimizer": "adam", "steps": 300, "measure.every": 5})
    experiment = set_path(experiment, "stop", {"early": {"patience": 3}})
    seeds = range(40, 49)
    found = restart(experiment, seeds, workers=2)
    assert same(found, restart(experiment, seeds, workers=1))
    assert {"stopped_early"} <= {outcome.kind for outcome in found.outcomes}
    run = Run(experiment)
    run.advance(300)
    k = list(seeds).index(experiment.seed)
    assert found.outcomes[k].kind == run.outcome.kind
    assert found.outcomes[k].step == run.outcome.step
    assert found.validation.best_steps[k] == run.history.best.step
    assert found.validation.best_losses[k] == pytest.approx(run.history.best.validation_loss, rel=1e-9)
    best = run.history.seek(run.history.best.step).theta
    np.testing.assert_allclose(found.validation.best_theta[k], best, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.theta[k], run.state.theta, rtol=0, atol=1e-9)
    for row, loss in zip(found.theta, found.validation.losses, strict=True):
        assert loss == pytest.approx(run.problem.validation_value(row), rel=1e-12)
    with pytest.raises(UnsupportedError, match="no example is held out"):
        restart(quick(**{"problem.validation": 0.0, "stop": {"early": {}}}), seeds)
    assert restart(quick(**{"problem.validation": 0.0}), [1]).validation is None
    assert Stop().early is None
