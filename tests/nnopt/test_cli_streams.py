"""What the command line does where printing or writing is not possible: said in one line, and nothing found is lost."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from nnopt import cli, plugins
from nnopt.cli_bar import Bar
from nnopt.errors import NnoptError, SpecError
from nnopt.runs import export
from nnopt.runs.experiment import default_experiment, save
from nnopt.runs.files import replacing
from nnopt.runs.sweep import Sweep
from nnopt.runs.tasks import WorkersGone

pty, termios, fcntl = (pytest.importorskip(name) for name in ("pty", "termios", "fcntl"))

NNOPT = (sys.executable, "-m", "nnopt.cli")
#: streams as they are for a user: buffered
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")


@pytest.fixture
def circles(tmp_path):
    save(default_experiment(), tmp_path / "circles.json")
    return tmp_path / "circles.json"


@needs_full
@pytest.mark.parametrize("arguments", ["list losses", "run --steps 2", "restarts --seeds 0,1 --steps 2"])
def test_a_full_disk_under_standard_output_is_said_in_one_line(arguments):
    with open(FULL, "w") as full:
        command = [*NNOPT, *arguments.split()]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=ENVIRONMENT)
    assert ended.returncode == 1
    assert ended.stderr == "nnopt: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_are_no_error(closed, tmp_path):
    command = f"exec {' '.join(NNOPT)} run --steps 2 --out {tmp_path}/run.csv {closed}"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 4


@needs_full
def test_messages_that_cannot_be_written_do_not_change_the_exit_code():
    with open(FULL, "w") as full:
        ended = subprocess.run([*NNOPT, "run", "gone.json"], stderr=full, timeout=60, env=ENVIRONMENT)
    assert ended.returncode == 1


@pytest.mark.parametrize("columns", [20, 50, 0])
def test_the_bar_stays_on_one_line_of_a_narrow_terminal(columns):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with open(theirs, "w") as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        bar = Bar()
        bar.show("x" * 200)
        bar.clear()
        terminal.flush()
        drawn = ""
        while drawn.count("\r") < 3:
            drawn += os.read(ours, 4096).decode()
    os.close(ours)
    # a terminal that does not know its width counts as 80 wide
    assert drawn.split("\r")[1] == "x" * ((columns or 80) - 1)
    assert drawn.split("\r")[2].strip() == ""


def test_a_folder_that_cannot_be_written_to_is_said_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SpecError, match=r"run\.csv: cannot be written: the folder is read-only"):
        export.check_target(tmp_path / "run.csv")


def test_a_file_system_that_takes_nothing_is_an_error_of_ours(tmp_path, monkeypatch):
    def refuse(*given, **more):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        pytest.raises(SpecError, match=r"a\.csv: cannot be written: Read-only file system"),
        replacing(tmp_path / "a.csv", "w"),
    ):
        pass


def test_restarts_are_shown_when_their_table_cannot_be_written(capsys, monkeypatch, tmp_path):
    def full(*given):
        raise SpecError("t.csv: cannot be written: No space left on device")

    monkeypatch.setattr(export, "save", full)
    code = cli.main(["restarts", "--seeds", "0..3", "--steps", "5", "--out", str(tmp_path / "t.csv")])
    printed, errors = capsys.readouterr()
    assert code == 1
    assert "outcomes:        stopped 4" in printed
    assert "table:" not in printed
    assert errors == "nnopt: t.csv: cannot be written: No space left on device\n"


@pytest.mark.parametrize("out", [False, True])
def test_a_sweep_whose_workers_go_shows_what_they_made(out, capsys, monkeypatch, circles, tmp_path):
    whole = Sweep.run

    def first_two(self, executor=None, progress=None):
        made = []

        def stop(result):
            progress(result)
            made.append(result)
            if len(made) == 2:
                raise WorkersGone("the last one left")

        whole(self, None, stop)

    monkeypatch.setattr(Sweep, "run", first_two)
    record = ["--out", str(tmp_path / "s.csv")] if out else []
    npz = ["--npz", str(tmp_path / "s.npz")]
    code = cli.main(["sweep", str(circles), "seed=0..4", "steps=3", "--workers", "1", *record, *npz])
    printed, errors = capsys.readouterr()
    assert code == 1
    assert "3 runs are missing" in printed + errors
    assert errors.endswith("2 of 5 runs are done\n")
    table = (tmp_path / "s.csv").read_text() if out else printed
    assert sum(",stopped," in line for line in table.splitlines()) == 2
    assert (tmp_path / "s.npz").exists()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/null"])
def test_a_record_is_a_regular_file(device):
    with pytest.raises(SpecError, match=rf"{device}: cannot be written: not a regular file"):
        Sweep(default_experiment(), {"lr": [0.1]}, device)


def test_a_record_edited_by_hand_is_refused_in_words(tmp_path):
    out = tmp_path / "s.csv"
    with Sweep(default_experiment(), {"seed": [0, 1], "steps": 2}, out) as whole:
        whole.run()
    good = out.read_text().splitlines()
    for old, new, message in (
        (",stopped,", ",done,", r"line 3: outcome: expected one of converged, .*, got 'done'"),
        (",2,0.", ",2,much0.", r"line 3: training_loss: expected a number, got 'much0\."),
    ):
        out.write_text("\n".join([*good[:2], good[2].replace(old, new, 1)]) + "\n")
        with pytest.raises(SpecError, match=message):
            Sweep(default_experiment(), {"seed": [0, 1], "steps": 2}, out)


ANSWERS = """
import numpy as np
from nnopt.optimizers.base import Optimizer, Settings, Slots, Update, register

@register
class Mine(Settings, Optimizer, frozen=True, tag="mine_with_a_fault"):
    lr: float = 0.1

    def init(self, theta):
        return Slots()

    def update(self, local, slots, lr):
        return {answer}
"""


@pytest.mark.parametrize("command", [["run", "--steps", "3"], ["restarts", "--seeds", "0,1", "--steps", "3"]])
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("1 / 0", "mine.py: line 13: ZeroDivisionError: division by zero"),
        ("None", "Mine.update: expected Update(step, slots), got None"),
        ("Update(np.ones(3), slots)", "Mine.update: expected a step of shape (33,) like theta, got (3,)"),
        ("Update(-lr, slots)", "Mine.update: expected a step of shape (33,) like theta, got ()"),
    ],
)
def test_a_plug_in_that_fails_while_it_trains_is_told_in_one_line(command, answer, message, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(ANSWERS.format(answer=answer))
    problem = '{"kind": "network", "data": "circle", "network": {"hidden": [8]}}'
    methods = '[{"optimizer": "mine_with_a_fault"}]'
    spec = tmp_path / "mine.json"
    spec.write_text(f'{{"format": "nnopt-experiment", "version": 1, "problem": {problem}, "methods": {methods}}}')
    try:
        code = cli.main([command[0], str(spec), *command[1:], "--plugin", str(file)])
    finally:
        plugins.unload(file)
    errors = capsys.readouterr().err
    assert (code, len(errors.splitlines())) == (1, 1)
    assert errors.endswith(f"{message}\n")


def test_a_fault_of_our_own_is_not_blamed_on_a_plug_in(monkeypatch):
    def broken(options):
        raise RuntimeError("ours")

    monkeypatch.setattr(cli, "show", broken)
    with pytest.raises(RuntimeError, match="ours"):
        cli.main(["list"])


def test_a_plain_number_among_settings_is_checked_too():
    from nnopt.settings import Settings

    class Rate(Settings, frozen=True):
        lr: float = 0.1

    for wrong in ("a", None, True):
        with pytest.raises(NnoptError, match=r"Rate\.lr: expected a number, got"):
            Rate(lr=wrong)
    assert Rate(lr=3).lr == 3
