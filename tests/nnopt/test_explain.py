"""A step explained: the numbers are those of the step that was made, and what must be said is said."""

import numpy as np
import pytest

import nnopt
from nnopt.analysis.explanation import apart, explain, number
from nnopt.errors import SettingsError
from nnopt.objectives.network import Network
from nnopt.objectives.objective import NetworkObjective
from nnopt.optimizers.batches import Mini


def run_on(name, optimizer, start=None, steps=5):
    f = nnopt.functions.get(name)
    return nnopt.minimize(f, optimizer, start=f.start if start is None else np.array(start, dtype=float), steps=steps)


def network_run(optimizer, batches=None, steps=20, hidden=6):
    random = np.random.default_rng(0)
    X = random.standard_normal((40, 2))
    objective = NetworkObjective(Network((2, hidden, 1)), X, (X[:, 0] * X[:, 1] > 0).astype(float), l2=1e-3)
    start = objective.network.initial(0)
    return objective, nnopt.minimize(objective, optimizer, start=start, steps=steps, batches=batches)


def method(name, **settings):
    return nnopt.optimizers.get(name)(**settings)


def test_newton_on_himmelblau_from_the_origin_says_that_it_went_uphill_and_why():
    facts = explain(run_on("himmelblau", method("newton"), [0, 0]), 0)
    assert facts.loss == pytest.approx(170)
    assert facts.after > facts.loss
    assert facts.uphill
    assert facts.rises
    assert facts.newton_uphill
    assert facts.spectrum.inertia.negative == 2
    first = facts.sentences[0]
    assert "uphill" in first
    assert "170" in first
    assert number(facts.after) in first
    assert "both curvatures are negative" in first


@pytest.mark.parametrize(
    "name", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "newton", "damped_newton"]
)
def test_the_step_explained_is_the_step_that_was_made(name):
    history = run_on("rosenbrock", method(name, lr=1e-3) if name != "newton" else method(name), steps=4)
    for step in range(history.length - 1):
        facts = explain(history, step)
        before, after = history.seek(step), history.seek(step + 1)
        np.testing.assert_array_equal(before.theta + facts.taken, after.theta)
        assert facts.method == name
        assert facts.loss == history.columns["loss"][step]
        assert facts.after == pytest.approx(history.columns["loss"][step + 1], rel=1e-12)
        assert facts.actual == pytest.approx(facts.after - facts.loss)
        assert facts.gradient_norm == pytest.approx(history.columns["gradient_norm"][step])
        assert facts.sentences


def test_the_predicted_change_is_that_of_the_quadratic_model():
    f = nnopt.functions.get("quadratic")
    history = run_on("quadratic", method("sgd", lr=0.05))
    facts = explain(history, 2)
    assert facts.predicted == pytest.approx(facts.actual, rel=1e-9)
    s, g = facts.taken, facts.gradient
    assert facts.slope == pytest.approx(g @ s)
    assert facts.predicted == pytest.approx(g @ s + 0.5 * s @ f.hessian(facts.theta) @ s)


def test_steps_along_eigenvectors_are_those_of_the_steps():
    objective, history = network_run(method("sgd", lr=0.3))
    facts = explain(history, 7)
    g, gradient_step, newton = facts.along
    values = facts.spectrum.values
    assert facts.spectrum.complete
    assert len(values) == objective.size
    np.testing.assert_allclose(gradient_step, -0.3 * g, atol=1e-15)
    np.testing.assert_allclose(newton * values, -g, atol=1e-8)
    np.testing.assert_allclose(facts.gradient_step, -0.3 * facts.gradient)


def test_a_mini_batch_is_explained_by_its_own_examples():
    objective, history = network_run(method("momentum"), Mini(size=8))
    facts = explain(history, 11)
    assert facts.rows.shape == (8,)
    part = objective.batch(facts.rows)
    theta = history.seek(11).theta
    assert facts.loss == pytest.approx(part.value(theta))
    np.testing.assert_allclose(facts.gradient, part.gradient(theta))
    assert facts.after == pytest.approx(part.value(history.seek(12).theta))
    rebuilt = (facts.spectrum.vectors * facts.spectrum.values) @ facts.spectrum.vectors.T
    np.testing.assert_allclose(rebuilt, part.hessian(theta), atol=1e-12)


def test_explaining_changes_nothing_and_says_the_same_again():
    _, history = network_run(method("adam"), Mini(size=8))
    length, theta = history.length, history.seek(5).theta.copy()
    one, two = explain(history, 5), explain(history, 5)
    assert one.sentences == two.sentences
    np.testing.assert_array_equal(one.taken, two.taken)
    np.testing.assert_array_equal(one.slots.__struct_fields__, two.slots.__struct_fields__)
    assert history.length == length
    np.testing.assert_array_equal(history.seek(5).theta, theta)


def test_memory_before_and_after_is_shown():
    history = run_on("rosenbrock", method("momentum", lr=1e-3, beta=0.5))
    facts = explain(history, 3)
    np.testing.assert_allclose(facts.slots_after.velocity, facts.gradient + 0.5 * facts.slots.velocity)
    np.testing.assert_allclose(facts.taken, -1e-3 * facts.slots_after.velocity)


def test_a_rate_above_the_stable_one_is_named():
    history = run_on("quadratic", method("sgd", lr=1.0), steps=3)
    facts = explain(history, 1)
    assert facts.learning_rate > facts.stable_rate
    assert facts.rises
    assert not facts.uphill
    assert "goes too far" in facts.sentences[0]
    said = [sentence for sentence in facts.sentences if number(facts.stable_rate) in sentence]
    assert said == ["The rate 1 is above 2/λ = 0.2, the limit of plain gradient descent."]


def test_the_newton_step_of_a_gradient_run_is_compared_and_its_uphill_said():
    history = run_on("himmelblau", method("sgd", lr=1e-3), [0, 0])
    facts = explain(history, 0)
    assert not facts.uphill
    assert facts.newton_uphill
    assert facts.newton_after > facts.loss
    assert any("Newton step would go uphill" in sentence for sentence in facts.sentences)


def test_damping_turns_the_compared_step_downhill():
    history = run_on("himmelblau", method("sgd", lr=1e-3), [0, 0])
    facts = explain(history, 0, damping=60.0)
    assert facts.damping == 60
    assert not facts.newton_uphill
    np.testing.assert_allclose(facts.along[2], facts.spectrum.newton_step(facts.gradient, 60.0))


def test_the_damping_of_damped_newton_is_used():
    history = run_on("himmelblau", method("damped_newton"), [0, 0])
    facts = explain(history, 0)
    assert facts.damping == facts.detail["damping"] > 0
    np.testing.assert_allclose(facts.newton_step, facts.taken, rtol=1e-6)


def test_large_networks_are_explained_by_the_ends_of_the_spectrum():
    objective, history = network_run(method("sgd", lr=0.1), hidden=180, steps=3)
    assert objective.size > 600
    facts = explain(history, 1)
    assert not facts.spectrum.complete
    assert np.isfinite(facts.stable_rate)
    assert facts.newton_step.shape == (objective.size,)


def test_a_user_s_class_with_only_a_gradient_is_explained_without_curvature():
    class Own:
        def value(self, theta):
            return float(theta @ theta)

        def value_and_gradient(self, theta):
            return self.value(theta), 2 * theta

    history = nnopt.minimize(Own(), method("sgd", lr=0.1), start=np.array([1.0, 2.0]), steps=3)
    facts = explain(history, 1)
    assert facts.spectrum is None
    assert facts.newton_step is None
    assert np.isnan(facts.stable_rate)
    assert facts.predicted == pytest.approx(facts.actual, rel=1e-6)
    assert all(len(part) == 0 for part in facts.along)


def test_a_diverging_step_is_called_so():
    history = run_on("rosenbrock", method("sgd", lr=1.0), steps=30)
    facts = explain(history, history.length - 1)
    assert facts.sentences
    if not np.isfinite(facts.after):
        assert "diverges" in facts.sentences[0]


def test_a_step_outside_the_history_is_refused():
    history = run_on("rosenbrock", method("sgd", lr=1e-3))
    with pytest.raises(SettingsError, match="step"):
        explain(history, history.length)


@pytest.mark.parametrize("x", [0.135, 1e-9])
def test_a_step_that_changes_no_loss_is_told_with_its_length_and_not_called_small(x):
    """x^2 / 2 under the rate 2: from x to -x, at the same height."""
    said = explain(nnopt.minimize(nnopt.functions.get("bowl"), nnopt.optimizers.SGD(lr=2.0), [x], steps=1), 0).sentences
    assert said[0].endswith(f"over a step of length {number(2 * x, 3)}.")
    assert "small" not in said[0]


def test_two_numbers_are_written_so_that_they_differ():
    assert apart(0.69314, 0.69313) == ("0.69314", "0.69313")
    assert apart(1.0, 1.0) == ("1", "1")
    assert number(-0.5) == "−0.5"


@pytest.mark.parametrize("name", nnopt.functions.names())
def test_the_last_state_of_a_diverged_run_is_explained_without_warnings(name):
    # pytest makes errors of warnings
    try:
        function = nnopt.functions.get(name)
    except nnopt.errors.NnoptError:
        pytest.skip("it needs settings")
    for lr in (0.1, 1e6):
        history = nnopt.minimize(function, nnopt.optimizers.SGD(lr=lr), steps=200)
        told = explain(history, history.length - 1)
        assert told.gradient_norm >= 0 or np.isnan(told.gradient_norm)
        assert told.newton_uphill in (True, False)
        assert len(told.along) == 3


def test_where_all_curvatures_are_negative_the_gradient_step_has_the_rate_one_over_the_largest_in_size():
    facts = explain(run_on("himmelblau", method("newton"), [-0.27, -0.92]), 0)
    assert facts.spectrum.largest < 0
    assert facts.rate == pytest.approx(1 / np.abs(facts.spectrum.values).max())


def test_a_rate_below_the_limit_does_not_reassure_where_the_loss_rises():
    history = run_on("rosenbrock", method("sgd", lr=0.0012), [-0.5, 1.9])
    for step in range(history.length):
        facts = explain(history, step)
        said = next(sentence for sentence in facts.sentences if "2/λ" in sentence)
        if facts.rises and facts.learning_rate < facts.stable_rate:
            assert said.endswith("but the quadratic does not hold this far.")
        else:
            assert "does not hold" not in said


def test_nothing_is_said_twice():
    facts = explain(run_on("quadratic", method("sgd", lr=1.0), steps=3), 1)
    assert sum("2/λ" in sentence for sentence in facts.sentences) == 1


def test_the_board_writes_powers_as_the_rest_of_the_window():
    assert number(2.105e11) == "2.105e11"
    assert number(9.3271e-9) == "9.327e−9"
