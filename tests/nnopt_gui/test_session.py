"""What can be opened and saved, and what is said about what cannot."""

from __future__ import annotations

import pytest
from laboratory import network

from nnopt.errors import NnoptError
from nnopt.runs.changes import Intervention, SetSetting
from nnopt.runs.experiment import Recording, save, save_recording
from nnopt_gui.shell.session import check, read


def test_an_experiment_is_read_as_one_that_has_not_run(tmp_path):
    save(network(), tmp_path / "e.json")
    opened = read(tmp_path / "e.json")
    assert opened.recording == Recording(network())
    assert opened.title == "e.json"


def test_a_session_is_read_with_what_was_done(tmp_path):
    recording = Recording(network(), (Intervention(5, SetSetting("problem.l2", 0.1)),), 12)
    save_recording(recording, tmp_path / "s.json")
    assert read(tmp_path / "s.json").recording == recording


def test_a_seed_given_beside_the_file_wins(tmp_path):
    save(network(seed=1), tmp_path / "e.json")
    assert read(tmp_path / "e.json", seed=99).recording.experiment.seed == 99


def test_a_csv_file_becomes_the_default_network_on_its_data(tmp_path):
    (tmp_path / "points.csv").write_text("a,b,kind\n" + "".join(f"{i},{i % 7},{'xy'[i % 2]}\n" for i in range(40)))
    opened = read(tmp_path / "points.csv")
    assert opened.recording.experiment.problem.data.path.endswith("points.csv")
    from nnopt.runs.run import Run

    run = Run(opened.recording.experiment)
    assert run.problem.dataset.n == 40
    assert run.advance(3) == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none.json", None),
        ("broken.json", "{"),
        ("list.json", "[1, 2]"),
        ("other.json", '{"format": "something else"}'),
        ("bad.json", '{"format": "nnopt-experiment", "version": 1, "problem": {"kind": "network"}}'),
        ("empty.csv", ""),
    ],
)
def test_what_cannot_be_read_is_said_with_its_path(tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(NnoptError, match=name):
        check(read(tmp_path / name))
