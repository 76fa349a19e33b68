"""Shipped files are found from a checkout and from a wheel."""

from __future__ import annotations

import pytest

from nnopt.assets import asset
from nnopt.errors import NnoptError


def test_the_fonts_come_with_their_licence():
    assert {"Inter-Regular.otf", "LICENSE-Inter.txt"} <= {entry.name for entry in asset("fonts").iterdir()}


def test_a_missing_resource_is_named():
    with pytest.raises(NnoptError, match=r"no resource 'fonts/nothing\.otf'"):
        asset("fonts", "nothing.otf")
