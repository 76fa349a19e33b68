"""The wheel, unpacked far from the checkout, is complete: it finds its resources and draws its window."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder holding what the wheel holds, and nothing else of ours."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run_elsewhere(site, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(site), "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_resources_are_found_in_the_wheel(site, tmp_path):
    code = "import nnopt, nnopt.assets as a; print(nnopt.__file__); print(a.asset('data', 'iris.csv'))"
    answer = run_elsewhere(site, tmp_path, "-c", code)
    assert answer.returncode == 0, answer.stderr
    for line in answer.stdout.split():
        assert Path(line).is_relative_to(site)


def test_the_window_is_drawn_from_the_wheel(site, tmp_path):
    answer = run_elsewhere(site, tmp_path, "-m", "nnopt_gui", "--screenshot", "out.png", "--after", "30")
    assert answer.returncode == 0, answer.stderr
    picture = (tmp_path / "out.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000
