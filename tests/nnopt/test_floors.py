"""The floors of the house: a folder imports only from floors below it, and nnopt knows nothing of Qt."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCIENCE = [
    "blas errors settings misfits shown assets plugins", "objectives", "optimizers", "runs", "analysis",
    "cli_words cli_bar", "cli_run cli_sweep cli_restarts cli_list cli_check", "cli", "__main__",
]  # fmt: skip
LABORATORY = ["state", "engine", "widgets", "panels", "shell", "app", "__main__"]


def floors(rows):
    return {name: height for height, row in enumerate(rows) for name in row.split()}


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imports(path):
    """Every module that a file imports, inside functions and for type checkers too, with absolute names."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, [base, node.module]))
            yield origin
            # `from nnopt import errors` imports a module too
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def floor_of(path, package):
    return path.relative_to(ROOT / package).with_suffix("").parts[0]


def offences(package, rows):
    heights = floors(rows)
    for path in modules(package):
        here = floor_of(path, package)
        if here == "__init__":
            continue
        assert here in heights, f"{path.relative_to(ROOT)} is on no floor: add {here!r} to the floors or move it"
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == package and len(parts) > 1 and heights.get(parts[1], -1) > heights[here]:
                yield f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize(("package", "rows"), [("nnopt", SCIENCE), ("nnopt_gui", LABORATORY)])
def test_a_folder_imports_only_from_floors_below_it(package, rows):
    assert sorted(set(offences(package, rows))) == []


def test_the_science_never_imports_qt_or_the_laboratory():
    forbidden = {"PySide6", "PyQt5", "PyQt6", "pyqtgraph", "qtpy", "shiboken6", "nnopt_gui"}
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("nnopt")
        for name in imports(path)
        if name.split(".")[0] in forbidden
    ]
    assert found == []


def test_the_reading_of_imports_sees_every_way_to_import(tmp_path):
    path = ROOT / "nnopt" / "analysis" / "explanation.py"
    names = set(imports(path))
    assert {"numpy", "nnopt.analysis.taylor", "nnopt.analysis.taylor.hessian_products"} <= names


def test_files_stay_readable():
    long = {
        str(path.relative_to(ROOT)): lines
        for package in ("nnopt", "nnopt_gui")
        for path in modules(package)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 440
    }
    assert long == {}
