"""The panels of the laboratory. A file in this folder with a `Panel` subclass that has an `id` is a panel: it is found
by itself, ordered by its place in the window."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnopt_gui.panels.base import Panel


def panel_classes() -> list[type[Panel]]:
    """All panel classes, in the order of their areas (row, then column): the first one has the key 1.

    Imports them (and pyqtgraph with them), so call it when the window is built, not before.
    """
    from nnopt_gui.panels.base import Panel

    found: dict[str, type[Panel]] = {}
    for module in pkgutil.iter_modules(__path__):
        content = vars(importlib.import_module(f"{__name__}.{module.name}"))
        for value in content.values():
            if isinstance(value, type) and issubclass(value, Panel) and "id" in vars(value):
                found[value.id] = value
    return sorted(found.values(), key=lambda panel: panel.area[:2])
