"""A CSV or NPZ for everything: what is read back is what was computed, and what is no table is not made one."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import nnopt
from nnopt.analysis import landscape
from nnopt.analysis.convexity import convexity_map
from nnopt.analysis.cost import hessian_cost
from nnopt.analysis.curvature import spectrum_at
from nnopt.analysis.linear_networks import autoencoder_critical_points
from nnopt.analysis.noise import gradient_noise
from nnopt.analysis.paths import connect, losses_along, straight_path
from nnopt.analysis.plateaus import Plateau
from nnopt.analysis.spectral import spectral_density
from nnopt.analysis.stability import sharpness_along
from nnopt.analysis.symmetry import equivalent_solutions
from nnopt.errors import ShapeError, SpecError
from nnopt.runs.experiment import set_path
from nnopt.runs.export import save, save_columns, save_histories, save_history
from nnopt.runs.tables import arrays_of, table_of

EXPERIMENT = set_path(nnopt.default_experiment(), "steps", 30)


@pytest.fixture(scope="module")
def objective():
    return nnopt.restart(EXPERIMENT, [1]).objective


@pytest.fixture(scope="module")
def found():
    return nnopt.restart(EXPERIMENT, range(12))


def read_csv(path) -> dict[str, list[str]]:
    header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}


def numbers(cells: list[str]) -> np.ndarray:
    return np.array([float(cell or "nan") for cell in cells])


def read_npz(path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def test_restarts_are_a_row_per_seed_or_all_their_arrays(tmp_path, found):
    save(found, tmp_path / "r.csv")
    table = read_csv(tmp_path / "r.csv")
    assert table["seed"] == [str(seed) for seed in range(12)]
    assert table["outcome"] == ["stopped"] * 12
    np.testing.assert_array_equal(numbers(table["training_loss"]), found.losses)
    np.testing.assert_array_equal(numbers(table["best_validation_loss"]), found.validation.best_losses)
    save(found, tmp_path / "r.npz")
    arrays = read_npz(tmp_path / "r.npz")
    for name in ("seeds", "theta", "losses", "steps", "curves"):
        np.testing.assert_array_equal(arrays[name], getattr(found, name))
    for name in ("losses", "best_losses", "best_steps", "best_theta"):
        np.testing.assert_array_equal(arrays[f"validation/{name}"], getattr(found.validation, name))
    assert arrays["outcomes/kind"].tolist() == [outcome.kind for outcome in found.outcomes]
    assert arrays["outcomes/reason"].tolist() == [outcome.reason for outcome in found.outcomes]
    # the objective is no data
    assert not any(name.startswith("objective") for name in arrays)


def test_what_restarts_have_in_common_are_tables_too(tmp_path, found):
    save(found.histogram(5), tmp_path / "h.csv")
    table = read_csv(tmp_path / "h.csv")
    np.testing.assert_array_equal(numbers(table["low"]), found.histogram(5).edges[:-1])
    np.testing.assert_array_equal(numbers(table["high"]), found.histogram(5).edges[1:])
    np.testing.assert_array_equal(numbers(table["count"]), found.histogram(5).counts)
    kinds = found.clusters(0.01)
    save(kinds, tmp_path / "k.csv")
    assert read_csv(tmp_path / "k.csv")["kind"] == [kinds.letter(k) for k in range(12)]
    save(kinds, tmp_path / "k.npz")
    arrays = read_npz(tmp_path / "k.npz")
    assert arrays["sizes"].tolist() == list(kinds.sizes)
    np.testing.assert_array_equal(arrays["members/0"], kinds.members[0])
    where = found.disagreement_map(n=(4, 3))
    save(where, tmp_path / "d.csv")
    table = read_csv(tmp_path / "d.csv")
    assert list(table) == ["x", "y", "share", "majority"]
    np.testing.assert_array_equal(numbers(table["share"]).reshape(4, 3), where.share)
    np.testing.assert_array_equal(numbers(table["x"]).reshape(4, 3)[:, 0], where.x)
    np.testing.assert_array_equal(numbers(table["y"]).reshape(4, 3)[2], where.y)


def test_histories_and_sweeps_are_written_as_by_their_own_functions(tmp_path):
    runs = [nnopt.Run(EXPERIMENT) for _ in range(2)]
    for run in runs:
        run.advance(5)
    histories = [run.history for run in runs]
    for suffix in (".csv", ".npz"):
        save(histories[0], tmp_path / f"a{suffix}")
        save_history(histories[0], tmp_path / f"b{suffix}")
        save(histories, tmp_path / f"c{suffix}")
        save_histories(histories, tmp_path / f"d{suffix}")
        result = nnopt.sweep(EXPERIMENT, ["lr=0.1,0.2", "steps=3"], workers=1)
        save(result, tmp_path / f"e{suffix}")
        save_columns(result, tmp_path / f"f{suffix}")
    for one, other in ("ab", "cd", "ef"):
        assert (tmp_path / f"{one}.csv").read_bytes() == (tmp_path / f"{other}.csv").read_bytes()
        first, second = read_npz(tmp_path / f"{one}.npz"), read_npz(tmp_path / f"{other}.npz")
        assert list(first) == list(second)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_the_loss_on_a_plane_is_written_with_its_axes(tmp_path, objective):
    theta = objective.network.initial(1)
    plane = nnopt.Plane(theta, np.eye(33)[0], np.eye(33)[1])
    a, b = landscape.axes((-1, 1, 0, 3), (4, 3))
    values = nnopt.grid(objective, plane, (-1, 1, 0, 3), (4, 3), dtype=np.float64)
    save({"a": a, "b": b, "loss": values}, tmp_path / "grid.csv")
    table = read_csv(tmp_path / "grid.csv")
    for x, y, loss in zip(*(numbers(table[name]) for name in ("a", "b", "loss")), strict=True):
        assert loss == pytest.approx(objective.value(theta + x * plane.d1 + y * plane.d2), rel=1e-12)
    assert len(table["a"]) == 12
    save({"a": a, "b": b, "loss": values}, tmp_path / "grid.npz")
    np.testing.assert_array_equal(read_npz(tmp_path / "grid.npz")["loss"], values)
    convex = convexity_map(objective, plane, a, b)
    save(convex, tmp_path / "convex.csv")
    np.testing.assert_array_equal(numbers(read_csv(tmp_path / "convex.csv")["smallest"]).reshape(4, 3), convex.smallest)
    save(plane, tmp_path / "plane.npz")
    assert set(read_npz(tmp_path / "plane.npz")) == {"origin", "d1", "d2", "labels"}


def test_profiles_paths_and_curves_are_tables(tmp_path, objective):
    start, end = objective.network.initial(1), objective.network.initial(2)
    profile = losses_along(objective, straight_path(start, end), 11)
    save(profile, tmp_path / "p.csv")
    np.testing.assert_array_equal(numbers(read_csv(tmp_path / "p.csv")["values"]), profile.values)
    projected = landscape.project_path(objective, nnopt.Plane(start, np.eye(33)[0], np.eye(33)[1]), [start, end])
    save(projected, tmp_path / "q.csv")
    table = read_csv(tmp_path / "q.csv")
    assert list(table) == ["a", "b", "distance", "loss", "below"]
    np.testing.assert_array_equal(numbers(table["b"]), projected.coords[:, 1])
    run = nnopt.Run(EXPERIMENT)
    run.advance(10)
    curve = sharpness_along(run.history, points=3)
    save(curve, tmp_path / "s.csv")
    table = read_csv(tmp_path / "s.csv")
    np.testing.assert_array_equal(numbers(table["steps"]), curve.steps)
    np.testing.assert_array_equal(numbers(table["values"]), curve.values)
    bent = connect(objective, start, end, steps=3)
    save(bent, tmp_path / "c.npz")
    arrays = read_npz(tmp_path / "c.npz")
    np.testing.assert_array_equal(arrays["profile/values"], bent.profile.values)
    np.testing.assert_array_equal(arrays["path/controls"], bent.path.controls)
    np.testing.assert_array_equal(arrays["history/loss"], bent.history.columns["loss"])


def test_what_is_no_table_is_written_as_arrays_only_and_says_so(tmp_path, objective):
    theta = objective.network.initial(1)
    whole = {
        "spectrum": spectrum_at(objective, theta),
        "noise": gradient_noise(objective, theta),
        "density": spectral_density(objective, theta, vectors=2),
    }
    for name, result in whole.items():
        save(result, tmp_path / f"{name}.npz")
        arrays = read_npz(tmp_path / f"{name}.npz")
        for field, array in arrays.items():
            np.testing.assert_array_equal(array, getattr(result, field))
        assert arrays
    with pytest.raises(ShapeError, match=r"Density has nodes \(2, 33\), weights \(2, 33\): write it as \.npz instead"):
        save(whole["density"], tmp_path / "d.csv")
    with pytest.raises(ShapeError, match="object holds no numbers to be written"):
        save(object(), tmp_path / "o.npz")
    with pytest.raises(ShapeError, match="object has no arrays"):
        save(object(), tmp_path / "o.csv")
    with pytest.raises(ShapeError, match=r"dict has a \(2,\), b \(3,\)"):
        save({"a": np.zeros(2), "b": np.zeros(3)}, tmp_path / "o.csv")
    for uneven in ([(1, 2), (3,)], [{"a": 1}, {"b": 2}]):
        with pytest.raises(ShapeError, match="list has no arrays"):
            table_of(uneven)
    assert arrays_of([{"a": 1}, {"b": 2}]) == {"0/a": 1, "1/b": 2}
    with pytest.raises(SpecError, match=r"expected a file ending in \.csv or \.npz"):
        save(whole["noise"], tmp_path / "noise.txt")
    assert {path.name for path in tmp_path.iterdir()} == {"spectrum.npz", "noise.npz", "density.npz"}


def test_a_spectrum_is_a_table_of_eigenpairs(tmp_path, objective):
    found = spectrum_at(objective, objective.network.initial(1))
    save(found, tmp_path / "spectrum.csv")
    table = np.loadtxt(tmp_path / "spectrum.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(table[:, 0], found.values)
    np.testing.assert_array_equal(table[:, 1:], found.vectors.T)


def test_records_of_numbers_are_rows(tmp_path):
    save([Plateau(3, 40, 0.69, True), Plateau(60, 99, 0.1, False)], tmp_path / "p.csv")
    assert read_csv(tmp_path / "p.csv") == {
        "start": ["3", "60"], "stop": ["40", "99"], "level": ["0.69", "0.1"], "escaped": ["True", "False"],
    }  # fmt: skip
    save([Plateau(3, 40, 0.69, True)], tmp_path / "p.npz")
    assert read_npz(tmp_path / "p.npz")["level"].tolist() == [0.69]
    points = autoencoder_critical_points([4, 3, 2, 1], 2)
    save(points, tmp_path / "c.npz")
    assert read_npz(tmp_path / "c.npz")["0/kept"].tolist() == list(points[0].kept)
    many = equivalent_solutions(nnopt.Network((2, 30, 1)))
    save(many, tmp_path / "e.csv")
    # more digits than 64 bits hold
    assert read_csv(tmp_path / "e.csv")["count"] == [str(many.count)]
    save(many, tmp_path / "e.npz")
    assert str(read_npz(tmp_path / "e.npz")["count"]) == str(many.count)
    cost = hessian_cost(nnopt.Network((2, 3, 1)), 10)
    assert int(arrays_of(cost)["parameters"]) == 13


@pytest.mark.parametrize("shape", [(4,), (4, 3)])
def test_plain_arrays_are_columns(tmp_path, shape):
    array = np.random.default_rng(0).normal(size=shape)
    save(array, tmp_path / "a.csv")
    save(array.tolist(), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    cells = np.array([numbers(column) for column in read_csv(tmp_path / "a.csv").values()])
    np.testing.assert_array_equal(cells.T.reshape(shape), array)
    save(array, tmp_path / "a.npz")
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")["value"], array)
