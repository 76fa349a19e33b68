"""What does not fit is said with what was given, what was expected, and where."""

from pathlib import Path

import numpy as np
import pytest

import nnopt
from nnopt import analysis
from nnopt.errors import SettingsError, UnknownNameError
from nnopt.runs.problem import build


@pytest.mark.parametrize(
    ("get", "name", "settings", "message"),
    [
        (nnopt.datasets.get, "csv", {"inputs": "age"}, r'Csv\.inputs: expected a list, got "age"'),
        (nnopt.datasets.get, "csv", {"header": "maybe"}, r'Csv\.header: expected "auto" or "yes" or "no", got "maybe"'),
        (nnopt.datasets.get, "moons", {"points": 1.5}, r"Moons\.points: expected a whole number, got 1\.5"),
        (nnopt.datasets.get, "moons", {"point": 5}, r"Moons\.point: unknown field 'point'; did you mean 'points'\?"),
        (nnopt.functions.get, "quadratic", {"condition": 0}, r"Quadratic\.condition: expected a number >= 1, got 0"),
        (nnopt.functions.get, "quadratic", {"condition": None}, r"Quadratic\.condition: expected a number, got null"),
        (nnopt.functions.get, "formula", {"text": "x + $"}, r"'\$' does not belong in a formula, at character 5"),
    ],
)
def test_settings_of_a_data_set_or_function_that_do_not_fit(get, name, settings, message):
    with pytest.raises(SettingsError, match=message):
        get(name, **settings)


def test_an_unknown_name_is_unknown_with_settings_too():
    with pytest.raises(UnknownNameError, match="did you mean 'moons'"):
        nnopt.datasets.get("moonz", points=5)


def test_settings_may_be_paths_and_numbers_and_arrays_of_numpy(tmp_path):
    file = tmp_path / "two.csv"
    file.write_text("x,y,class\n1,2,a\n2,1,b\n")
    assert nnopt.datasets.get("csv", path=Path(file)).make(seed=0).n == 2
    assert nnopt.datasets.get("moons", points=np.int64(7)).points == 7
    assert nnopt.functions.get("quadratic", condition=np.float32(4)).condition == 4.0
    assert nnopt.functions.get("formula", text="x**2", begin=np.array([3.0])).start.tolist() == [3.0]


@pytest.mark.parametrize(
    "use",
    [
        build,
        nnopt.Run,
        lambda thing: nnopt.restart(thing, seeds=[1]),
        lambda thing: nnopt.sweep(thing, {"lr": [0.1]}),
    ],
)
@pytest.mark.parametrize("thing", ["circles.json", None, {"problem": {}}, Path("circles.json")])
def test_what_takes_an_experiment_says_how_to_read_one(use, thing):
    with pytest.raises(SettingsError, match=r"expected an Experiment, got .*; nnopt\.load\(FILE\) reads one"):
        use(thing)


def test_a_step_is_a_whole_number():
    history = nnopt.minimize(nnopt.functions.get("bowl"), nnopt.optimizers.SGD(lr=0.5), [8.0], steps=3)
    for step in (1.5, "2", None, 4, -1):
        with pytest.raises(SettingsError, match=r"step: expected 0 \.\. 3, got"):
            history.seek(step)
        with pytest.raises(SettingsError, match=r"step: expected 0 \.\. 3, got"):
            analysis.explain(history, step)
    with pytest.raises(SettingsError, match=r"steps: expected whole numbers 0 \.\. 3"):
        history.thetas([1, "a"])
    assert history.seek(np.int64(2)).theta.tolist() == [2.0]


def test_more_seeds_than_fit_are_refused_before_they_are_listed():
    with pytest.raises(SettingsError, match="seeds: expected at most 100,000 of them, got more"):
        nnopt.restart(nnopt.default_experiment(), seeds=range(10**15))
    with pytest.raises(SettingsError, match="seed: expected 1 to 100,000 values, got more"):
        nnopt.sweep(nnopt.default_experiment(), {"seed": range(10**15)})


@pytest.mark.parametrize("axes", ["lr=0.1,0.2", None, 3])
def test_axes_are_a_mapping_or_a_list(axes):
    with pytest.raises(SettingsError, match=r'sweep: expected axes such as \{"lr": \[0\.1, 0\.2\]\} or \['):
        nnopt.sweep(nnopt.default_experiment(), axes)


@pytest.mark.parametrize("text", ["lr=0.1..1:lin:3", "lr=0.1..", "lr=0.1..1:log", "seed=0..3:2:1"])
def test_a_range_that_is_none_is_told_from_a_value(text):
    with pytest.raises(SettingsError, match=r"expected a range a\.\.b, a\.\.b:n or a\.\.b:log:n, got"):
        nnopt.sweep(nnopt.default_experiment(), [text])
