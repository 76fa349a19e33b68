"""The loss curves panel: what is drawn is what was logged, at any length; a click seeks."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from panel_views import click, drag, feed, intents, network_run, show, view_of

from nnopt import optimizers
from nnopt.analysis.plateaus import Plateau
from nnopt.objectives import functions
from nnopt.objectives.network import Normal
from nnopt.optimizers.batches import Mini
from nnopt.runs.changes import AddExample, SetSetting
from nnopt.runs.experiment import Experiment, FunctionProblem, Measure, Method
from nnopt.runs.run import Run
from nnopt.runs.state import Outcome
from nnopt_gui.panels.loss_curves import LossPanel
from nnopt_gui.panels.loss_curves_data import (
    BLOCKS,
    Envelope,
    intervention_words,
    last_step,
    loss_range,
    padded,
    sentence,
    window,
)
from nnopt_gui.widgets import numbers


@pytest.fixture(scope="module")
def plain() -> Run:
    """A plateau, a fall, flat again; two changes of the learning rate."""
    sgd = optimizers.get("sgd")(lr=2.0)
    run = network_run("circle", (8,), 0, sgd, initial=Normal(1e-6), l2=0.001, points=100, noise=10.0)
    run.extend(400)
    for step, lr in ((60, 2.5), (300, 1.0)):
        run.advance(step - run.state.step)
        run.intervene(SetSetting("methods[0].optimizer.lr", lr))
    run.advance(400 - run.state.step)
    return run


@pytest.fixture(scope="module")
def noisy() -> Run:
    return network_run("moons", (4,), 200, optimizers.get("sgd")(lr=0.1), Mini(5), points=60)


@pytest.fixture
def panel(styled: Any, request: pytest.FixtureRequest) -> Iterator[LossPanel]:
    yield LossPanel()
    request.node.funcargs.pop("panel")  # see test_boundary_panel


def test_curves_are_the_logged_columns(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    show(qtbot, panel, view_of(plain, 100))
    columns = plain.history.columns
    for role, column in (("training", "training_loss"), ("validation", "validation_loss")):
        known = np.isfinite(columns[column])
        x, y = panel.curves[role].xData, panel.curves[role].yData
        np.testing.assert_array_equal(x, columns["step"][known])
        np.testing.assert_array_equal(y, columns[column][known])
    assert _drawn(panel, "batch") == 0
    assert x[-1] == 400  # what comes after the cursor stays drawn


def test_mini_batches_have_a_faint_line_beside_the_measured_loss(qtbot: Any, panel: LossPanel, noisy: Run) -> None:
    show(qtbot, panel, view_of(noisy))
    columns = noisy.history.columns
    np.testing.assert_array_equal(panel.curves["batch"].yData, columns["loss"])
    measured = np.isfinite(columns["training_loss"])
    assert 0 < measured.sum() < len(measured)
    np.testing.assert_array_equal(panel.curves["training"].yData, columns["training_loss"][measured])
    batch, training = panel.curves["batch"].opts["pen"], panel.curves["training"].opts["pen"]
    assert batch.widthF() < training.widthF()
    assert batch.color().alphaF() < 0.5


def test_a_running_history_is_taken_in_piece_by_piece(qtbot: Any, panel: LossPanel) -> None:
    run = network_run("circle", steps=30, points=40)
    show(qtbot, panel, view_of(run))
    run.extend(90)
    for _ in range(3):
        run.advance(20)
        feed(panel, view_of(run, playing=True))
    np.testing.assert_array_equal(panel.curves["training"].yData, run.history.columns["loss"])


def test_another_run_replaces_the_curves(qtbot: Any, panel: LossPanel, plain: Run, noisy: Run) -> None:
    show(qtbot, panel, view_of(plain))
    feed(panel, view_of(noisy, number=2))
    assert panel.curves["training"].xData[-1] == 200
    feed(panel, view_of(plain, number=3))
    np.testing.assert_array_equal(panel.curves["training"].yData, plain.history.columns["loss"])
    assert _drawn(panel, "batch") == 0


def test_plateaus_are_drawn_where_they_are_found_and_named(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    view = view_of(plain)
    assert [plateau.escaped for plateau in view.plateaus] == [True, False]
    show(qtbot, panel, view)
    first, last = view.plateaus
    assert panel.plateaus.bands == ((first.start, first.stop, f"plateau, {first.stop - first.start} steps"),)
    assert panel.flats.bands == ((last.start, last.stop, "flat: plateau or converged?"),)
    for bands in (panel.plateaus, panel.flats):
        for label, (band, _) in zip(bands.labels(), bands.rects(), strict=False):
            assert band.left() <= label.rect.left()
            assert label.rect.right() <= band.right()
    assert [label.text for label in panel.flats.labels()] == ["flat: plateau or converged?"]


def test_only_the_last_flat_stretch_asks_what_it_is(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    """A stretch that a rise ends is not escaped either, but the run does not stand there."""
    stretches = (Plateau(20, 150, 0.7, False), Plateau(200, 400, 0.9, False))
    show(qtbot, panel, replace(view_of(plain), plateaus=stretches))
    assert [words for _, _, words in panel.flats.bands] == ["flat", "flat: plateau or converged?"]
    asked = [label.text for label in panel.plot.label_layer.placed() if "converged?" in label.text]
    assert len(asked) <= 1
    assert ("flat", "flat") in [(entry.text, entry.role) for entry in panel.plot.legend.entries]


@pytest.mark.parametrize("size", [(640, 360), (470, 260), (980, 300)])
@pytest.mark.parametrize("log", ["linear", "log_y"])
def test_the_words_of_a_stretch_are_never_written_over_a_curve(
    qtbot: Any, panel: LossPanel, plain: Run, size: tuple[int, int], log: str
) -> None:
    """Also where the curve is not flat, or not at the level that was found: the words are left out before that."""
    found = view_of(plain).plateaus
    for stretches in (found, (Plateau(0, 200, 0.1, False),), (Plateau(60, 400, 0.3, True),)):
        panel.close()
        show(qtbot, panel, replace(view_of(plain, choices={"loss.axes": log}), plateaus=stretches), size)
        for bands in (panel.plateaus, panel.flats):
            for label in bands.labels():
                assert panel.plot.view.rect().contains(label.rect)
                for curve in (panel.curves["training"], panel.curves["validation"]):
                    x, y = (np.asarray(part) for part in curve.getData())
                    fine = np.linspace(x[0], x[-1], 5000)
                    px, py = panel.flats.pixels(fine, np.interp(fine, x, y))
                    assert not any(label.rect.contains(a, b) for a, b in zip(px, py, strict=True))


def test_the_sentence_tells_the_end_of_the_plateau_and_the_fall(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    view = view_of(plain)
    show(qtbot, panel, view, (760, 360))
    first, last = view.plateaus
    said = panel.readout.text
    assert f"Plateau until step {first.stop}, then a fall of {numbers.short(first.level - last.level, 2)}." in said
    assert said.endswith(f"Flat again from {last.start}: plateau or converged?")
    assert 'href="ask:curvature"' in panel.readout.html
    assert len(said) <= 90
    assert panel.accessibleDescription() == said


def test_interventions_are_marked_with_their_words(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    show(qtbot, panel, view_of(plain))
    assert panel.interventions.marks == ((60, "learning rate 2 → 2.5"), (300, "learning rate 2.5 → 1"))


def test_several_changes_at_one_step_share_a_mark() -> None:
    run = network_run("circle", steps=4, points=20)
    for x in ((0.0, 1.0), (1.0, 0.0)):
        run.intervene(AddExample(x, 1))
    run.intervene(SetSetting("methods[0].optimizer.lr", 0.5))
    run.intervene(SetSetting("problem.l2", 0.25))
    assert intervention_words(run.history) == [(4, "4 changes")]
    early = network_run("circle", steps=0, points=20)
    early.intervene(SetSetting("methods[0].optimizer.lr", 0.5))
    assert intervention_words(early.history) == [(0, "learning rate 0.5")]


def test_interventions_call_things_as_the_forms_do() -> None:
    run = network_run("circle", steps=4, points=20)
    run.intervene(SetSetting("methods[0].optimizer", {"name": "damped_newton"}))
    assert intervention_words(run.history) == [(4, "method Adam → Damped Newton")]
    run.extend(5)
    run.advance(1)
    run.intervene(SetSetting("methods[0].batches", {"name": "mini", "size": 10}))
    run.intervene(SetSetting("measure.every", 2500))
    assert intervention_words(run.history)[1] == (5, "batch all examples → mini-batches, measure every 0 → 2,500")
    early = network_run("circle", steps=0, points=20)
    early.intervene(SetSetting("methods[0].optimizer", {"name": "saddle_free_newton"}))
    assert intervention_words(early.history) == [(0, "method Saddle-free Newton")]


def test_this_step_stands_on_the_curve(qtbot: Any, panel: LossPanel, plain: Run, noisy: Run) -> None:
    show(qtbot, panel, view_of(plain, 183))
    assert panel.step_line.x == 183
    assert panel.point.position == (183, plain.history.columns["loss"][183])
    feed(panel, view_of(noisy, 47, number=2))
    measured = noisy.history.columns["training_loss"]
    assert panel.point.position == (47, measured[40])


@pytest.mark.parametrize(
    ("axes", "log_x", "log_y"), [("log_y", False, True), ("log_x", True, False), ("log", True, True)]
)
def test_logarithmic_axes(qtbot: Any, panel: LossPanel, plain: Run, axes: str, log_x: bool, log_y: bool) -> None:
    view = view_of(plain, 183, choices={"loss.axes": axes})
    heard = show(qtbot, panel, view)
    assert panel.choice("axes") == axes
    loss = plain.history.columns["loss"]
    x, y = panel.point.position
    assert x == pytest.approx(math.log10(183) if log_x else 183)
    assert y == pytest.approx(math.log10(loss[183]) if log_y else loss[183])
    drawn_x, drawn_y = panel.curves["training"].getData()
    last_x, last_y = (math.log10(400) if log_x else 400), (math.log10(loss[400]) if log_y else loss[400])
    assert (drawn_x[-1], drawn_y[-1]) == (pytest.approx(last_x), pytest.approx(last_y))
    (x0, x1), (y0, y1) = panel.plot.view.viewRange()
    assert x0 <= last_x <= x1
    assert y0 <= drawn_y.min()
    assert drawn_y.max() <= y1
    hit = click(qtbot, panel.plot, math.log10(50) if log_x else 50, (y0 + y1) / 2)
    assert intents(heard, "seek") == [{"step": round(10 ** hit[0]) if log_x else round(hit[0])}]
    feed(panel, view_of(plain, 183))
    assert panel.point.position == (183, loss[183])


def test_the_choice_of_axes_is_told(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    heard = show(qtbot, panel, view_of(plain))
    panel.header.choices[0].picked.emit("log_y")
    assert intents(heard, "choose") == [{"name": "loss.axes", "value": "log_y"}]


def test_a_click_and_a_drag_seek(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    heard = show(qtbot, panel, view_of(plain))
    _, (y0, y1) = panel.plot.view.viewRange()
    middle = (y0 + y1) / 2
    hit = click(qtbot, panel.plot, 120.0, middle)
    assert intents(heard, "seek") == [{"step": round(hit[0])}]
    qtbot.wait(450)  # else it would be a double click
    before = panel.plot.view.viewRange()
    end = drag(qtbot, panel.plot, (100.0, middle), (260.0, middle))
    steps = [value["step"] for value in intents(heard, "seek")[1:]]
    assert steps[-1] == round(end[0])
    assert len(steps) >= 2
    assert steps == sorted(steps)
    assert panel.plot.view.viewRange() == before  # a drag does not pan
    drag(qtbot, panel.plot, (260.0, middle), (390.0, middle))
    assert intents(heard, "seek")[-1]["step"] <= 400


def test_hovering_reads_the_values_of_the_nearest_step(qtbot: Any, panel: LossPanel, noisy: Run) -> None:
    show(qtbot, panel, view_of(noisy))
    panel.plot.hovered.emit(99.7, 0.5)
    row = noisy.history.row(100)
    epoch = noisy.history.epoch(100)
    assert panel.reading.text == (
        f"step 100, training {numbers.number(row['training_loss'], 4)}, "
        f"validation {numbers.number(row['validation_loss'], 4)}, "
        f"gap {numbers.number(row['validation_loss'] - row['training_loss'], 3)}, "
        f"batch loss {numbers.number(row['loss'], 4)}, epoch {numbers.short(epoch, 4)}, rate 0.1, "
        f"batch |gradient| {numbers.number(row['gradient_norm'], 3)}"
    )
    assert panel.plot.view.rect().contains(panel.reading.frame())
    panel.plot.hover_left.emit()
    assert panel.reading.text == ""


def test_hovering_counts_a_measurement_as_new_as_it_was_made_then(qtbot: Any, panel: LossPanel) -> None:
    run = network_run("moons", (4,), 0, optimizers.get("sgd")(lr=0.1), Mini(5), points=60)
    run.extend(50)
    for every, steps in ((10, 40), (1, 10)):
        run.intervene(SetSetting("measure.every", every))
        run.advance(steps)
    show(qtbot, panel, view_of(run))
    panel.plot.hovered.emit(38.0, 0.5)
    assert f"training {numbers.number(run.history.row(30)['training_loss'], 4)}" in panel.reading.text


def test_a_diverged_run_says_when_and_why_and_shows_its_rise(qtbot: Any, panel: LossPanel) -> None:
    experiment = Experiment(
        FunctionProblem(functions.get("rosenbrock")), (Method(optimizers.get("sgd")(lr=0.02)),), steps=99
    )
    run = Run(experiment)
    run.advance(99)
    assert run.outcome.kind == "diverged"
    show(qtbot, panel, view_of(run))
    assert panel.readout.text.startswith(f"Diverged at step {run.outcome.step}: ")
    assert numbers.typeset(run.outcome.reason.split(": ")[1]) in panel.readout.text
    loss = run.history.columns["loss"]
    _, (_, top) = panel.plot.view.viewRange()
    assert top > 2 * loss[0]


def test_a_converged_run_says_so() -> None:
    outcome = Outcome("converged", 41, "converged at step 41: the gradient's norm 1.0e-09 is below 1e-08")
    said = sentence((), 41, 0.0, outcome)
    assert said == "Converged at step <b>41</b>: the gradient's norm 1.0e−9 is below 1e−8."


def test_a_stuck_run_says_so_and_why() -> None:
    problem = FunctionProblem(functions.get("bowl"), start=(3.0,))
    run = Run(Experiment(problem, (Method(optimizers.SGD(lr=1e-20)),), steps=100))
    run.advance(100)
    said = sentence((), 2, 4.5, run.outcome)
    assert said == "Stuck at step <b>2</b>: its steps are too short to change a parameter."


def test_sentences_of_other_runs() -> None:
    running = Outcome("running", 9)
    assert "no plateau so far" in sentence((), 9, 0.25, running)
    assert "after 1 step, " in sentence((), 1, 0.25, running)
    flat = Plateau(100, 900, 0.5, False)
    assert sentence((flat,), 900, 0.5, running).startswith("Flat from 100:")
    two = (Plateau(0, 50, 1.0, True), Plateau(80, 200, 0.6, True))
    up = sentence(two[:1], 300, two[0].level + 0.25, running)
    assert up.endswith("then a rise of <b>0.25</b>.")
    assert sentence(two, 300, 0.1, running) == "2 plateaus, the last until step <b>200</b>, then a fall of <b>0.5</b>."


def test_it_shows_a_function_without_validation(qtbot: Any, panel: LossPanel) -> None:
    run = Run(Experiment(FunctionProblem(functions.get("himmelblau")), steps=30, measure=Measure(5)))
    run.advance(30)
    show(qtbot, panel, view_of(run))
    assert next(entry.text for entry in panel.plot.legend.entries) == "loss"
    assert "validation" not in [entry.text for entry in panel.plot.legend.entries]


@given(st.lists(st.integers(1, 900), min_size=1, max_size=12), st.integers(0, 5), st.booleans())
def test_an_envelope_is_the_same_in_pieces_and_holds_every_extreme(cuts: list[int], seed: int, log: bool) -> None:
    values = np.random.default_rng(seed).standard_normal(6000).cumsum()
    values[::7] = np.nan
    steps = np.arange(6000)
    whole, pieces = Envelope(log), Envelope(log)
    whole.extend(steps, values)
    end = 0
    for cut in cuts:
        end = min(6000, end + cut)
        pieces.extend(steps[:end], values[:end])
    pieces.extend(steps, values)
    np.testing.assert_array_equal(whole.points(), pieces.points())
    x, y = whole.points()
    assert np.all(np.diff(x) >= 0)
    assert len(x) <= 2 * BLOCKS
    after = values[1:] if log else values
    assert (y.min(), y.max()) == (np.nanmin(after), np.nanmax(after))


def test_a_short_run_is_drawn_exactly_and_a_long_one_in_blocks() -> None:
    envelope = Envelope()
    steps = np.arange(1_000_000)
    values = np.sin(steps * 1e-3)
    envelope.extend(steps[:1000], values[:1000])
    np.testing.assert_array_equal(envelope.points(), (steps[:1000], values[:1000]))
    values[700_123] = 50.0
    for start in range(0, 1_000_000, 100_000):
        envelope.extend(steps[start : start + 100_000], values[start : start + 100_000])
    x, y = envelope.points()
    assert len(x) <= 2 * BLOCKS
    assert abs(x[np.argmax(y)] - 700_123) <= 1_000_000 / BLOCKS * 2
    assert y.max() == 50.0


def test_a_close_look_gets_the_rows_themselves() -> None:
    steps = np.arange(0, 500_000)
    values = np.cos(steps * 0.1)
    x, y = window(steps, values, 1000.0, 1200.0)
    np.testing.assert_array_equal(x, np.arange(999, 1202))
    np.testing.assert_array_equal(y, values[999:1202])
    x, y = window(steps, values, 0.0, 500_000.0)
    assert len(x) <= 2 * BLOCKS + 2
    assert y.max() == values.max()


def test_one_spike_does_not_squash_the_rest_and_a_modest_one_stays_whole() -> None:
    loss = np.linspace(1.0, 0.1, 500)
    modest, huge = loss.copy(), loss.copy()
    modest[250], huge[250] = 2.0, 500.0
    assert loss_range(modest, False) == (0.1, 2.0)
    low, high = loss_range(huge, False)
    assert low == 0.1
    assert 2.0 < high < 5.0
    assert loss_range(huge, True) == (0.1, 500.0)
    # gradient descent on Himmelblau's function at a rate of 0.1: what came before is still seen
    exploded = np.array([170.0, 47.4, 759.9, 4.72e6, 1.93e18, 1.84e53])
    assert 760 < loss_range(exploded, False, True)[1] < 1e5
    assert loss_range(np.full(10, 0.3), True)[0] < 0.3 < loss_range(np.full(10, 0.3), True)[1]
    assert loss_range(np.empty(0), False) == (0.0, 1.0)
    low, high = padded(*loss_range(np.full(10, -3.0), False), log=False)
    assert low < -3.0 < high


def test_the_axis_of_a_growing_run_ends_on_round_numbers() -> None:
    assert [last_step(length) for length in (1, 21, 90, 601, 1001, 5300)] == [20, 20, 100, 600, 1000, 6000]


def _drawn(panel: LossPanel, role: str) -> int:
    x = panel.curves[role].xData
    return 0 if x is None else len(x)


def test_the_sentence_is_that_of_the_run_that_is_shown(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    show(qtbot, panel, view_of(network_run("circle", steps=0)))
    assert "Validation" in panel.readout.text
    function = Run(Experiment(FunctionProblem(functions.get("rosenbrock")), steps=5))
    show(qtbot, panel, view_of(function, number=2))
    assert panel.readout.text == "Loss 24.20 after 0 steps, no plateau so far."


def test_at_an_earlier_step_the_readout_is_of_that_step(qtbot: Any, panel: LossPanel, plain: Run) -> None:
    show(qtbot, panel, view_of(plain, 100))
    row = plain.history.row(100)
    gap = row["validation_loss"] - (row["training_loss"] - row["penalty"])
    assert row["penalty"] > 0
    assert panel.readout.text.startswith("Step 100")
    assert (
        f"validation {numbers.number(row['validation_loss'], 4)}, gap {numbers.number(gap, 3)}." in panel.readout.text
    )


def test_a_loss_that_shot_up_after_its_fall_is_said_to_be_above_it() -> None:
    plateaus = (Plateau(0, 180, 0.69, True), Plateau(300, 430, 0.15, False))
    said = sentence(plateaus, 600, 1.5, Outcome("running", 600))
    assert "then a fall of <b>0.54</b>. Now above it: <b>1.500</b>." in said


def test_the_axis_begins_at_the_least_possible_loss_unless_it_is_seen_close_up(
    qtbot: Any, panel: LossPanel, plain: Run
) -> None:
    run = Run(Experiment(FunctionProblem(functions.get("plateau")), steps=40))
    run.advance(40)
    show(qtbot, panel, view_of(run))
    low, high = panel.plot.view.viewRange()[1]
    assert low <= 0.0 < 1.0 < high
    feed(panel, view_of(run, choices={"loss.from": "curve"}))
    assert panel.plot.view.viewRange()[1][0] > 0.5
