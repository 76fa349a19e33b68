"""CSV files written by tests."""

import pytest


@pytest.fixture(name="write")
def write_fixture(tmp_path):
    """Writes a file from text or bytes; its path."""

    def write(content, encoding="utf-8"):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


PLAIN = "a,b,label\n1,10,yes\n2,20,no\n3,30,yes\n4,60,no\n"
