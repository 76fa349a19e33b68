"""Spectral density and trace: against whole spectra, within the errors that they state themselves."""

import numpy as np
import pytest

from nnopt.analysis.spectral import spectral_density, trace
from nnopt.errors import SettingsError
from nnopt.objectives import functions
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective


@pytest.fixture(scope="module")
def objective():
    random = np.random.default_rng(0)
    X = random.standard_normal((60, 2))
    return NetworkObjective(Network((2, 12, 12, 1)), X, (X[:, 0] * X[:, 1] > 0).astype(float), l2=1e-2)


@pytest.fixture(scope="module")
def theta(objective):
    return objective.network.initial(1)


@pytest.fixture(scope="module")
def eigenvalues(objective, theta):
    return np.linalg.eigvalsh(objective.hessian(theta))


class Diagonal:
    """A quadratic with given curvatures, by products alone."""

    def __init__(self, curvatures):
        self.curvatures = np.asarray(curvatures, dtype=float)
        self.size = len(self.curvatures)

    def hvp(self, theta, v):
        return self.curvatures * v


def test_the_density_integrates_to_one_and_has_the_ends_of_the_spectrum(objective, theta, eigenvalues):
    density = spectral_density(objective, theta, vectors=10, steps=50)
    x, height = density.curve(4000)
    assert np.trapezoid(height, x) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(density.weights.sum(axis=1), 1)
    extent = eigenvalues[-1] - eigenvalues[0]
    assert density.ends == pytest.approx((eigenvalues[0], eigenvalues[-1]), abs=1e-6 * extent)
    assert density.products == 500


def test_shares_and_moments_are_those_of_the_true_spectrum(objective, theta, eigenvalues):
    density = spectral_density(objective, theta, vectors=40, steps=60)
    for border in np.quantile(eigenvalues, [0.05, 0.3, 0.9, 0.97]) + 1e-4:
        assert density.share(high=border) == pytest.approx(np.mean(eigenvalues < border), abs=0.06)
    assert density.moment(1) == pytest.approx(eigenvalues.mean(), rel=0.15)
    assert density.moment(2) == pytest.approx(np.mean(eigenvalues**2), rel=0.3)
    assert density.trace == pytest.approx(density.size * density.moment(1))


def test_the_density_of_a_known_distribution_is_found():
    # half of all curvatures at 1, a quarter around 3, the rest at -2
    random = np.random.default_rng(1)
    curvatures = np.concatenate([np.ones(2000), 3 + 0.1 * random.standard_normal(1000), np.full(1000, -2.0)])
    density = spectral_density(Diagonal(curvatures), np.zeros(4000), vectors=4, steps=40)
    assert density.share(0.9, 1.1) == pytest.approx(0.5, abs=0.03)
    assert density.share(2.5, 3.5) == pytest.approx(0.25, abs=0.03)
    assert density.share(high=0.0) == pytest.approx(0.25, abs=0.03)
    assert density(1.0) > 20 * density(2.0)


def test_a_spectrum_of_one_value_and_a_wrong_one_are_no_trouble():
    density = spectral_density(Diagonal(np.full(50, 3.0)), np.zeros(50), vectors=2, steps=20)
    assert density.share(2.99, 3.01) == pytest.approx(1)
    bad = spectral_density(Diagonal(np.full(50, np.nan)), np.zeros(50), vectors=2, steps=20, width=1.0)
    assert np.isnan(bad(0.0))
    with pytest.raises(SettingsError, match="vectors"):
        spectral_density(Diagonal([1.0]), np.zeros(1), vectors=0)


@pytest.mark.parametrize("method", ["hutch++", "hutchinson"])
def test_the_trace_is_right_within_its_standard_error(objective, theta, eigenvalues, method):
    misses = []
    for seed in range(20):
        found = trace(objective, theta, products=60, method=method, seed=seed)
        assert found.products == 60
        misses.append((found.value - eigenvalues.sum()) / found.error)
    # standard normal, about: 20 of them
    assert np.abs(misses).max() < 4.5
    assert 0.4 < np.std(misses) < 1.9


def test_hutch_plus_plus_needs_far_fewer_products_where_few_curvatures_are_large():
    curvatures = np.concatenate([100.0 * 0.7 ** np.arange(30), np.full(2970, 1e-3)])
    theta, operator = np.zeros(3000), symmetric_of(curvatures)
    errors = {}
    for method in ("hutch++", "hutchinson"):
        misses = [trace(operator, theta, 90, method, seed).value - curvatures.sum() for seed in range(5)]
        errors[method] = np.sqrt(np.mean(np.square(misses)))
    assert errors["hutch++"] < errors["hutchinson"] / 10


def symmetric_of(curvatures):
    """Given curvatures in directions that are no axes (a Householder reflection)."""
    u = np.random.default_rng(5).standard_normal(len(curvatures))
    u /= np.linalg.norm(u)

    class Reflected:
        size = len(curvatures)

        def hvp(self, theta, v):
            turned = v - 2 * u * (u @ v)
            return (scaled := curvatures * turned) - 2 * u * (u @ scaled)

    return Reflected()


def test_with_enough_products_the_trace_is_exact(objective, theta, eigenvalues):
    found = trace(objective, theta, products=1000)
    assert found.value == pytest.approx(eigenvalues.sum(), rel=1e-10)
    assert (found.error, found.products) == (0.0, theta.size)
    with pytest.raises(SettingsError, match="products"):
        trace(functions.get("wood"), np.zeros(4), products=2)
    with pytest.raises(SettingsError, match="hutch"):
        trace(functions.get("wood"), np.zeros(4), method="exact")
