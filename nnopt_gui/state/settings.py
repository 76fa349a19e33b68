"""What the laboratory remembers between two launches: window, theme, speed, last folder, last files. One ini file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from PySide6.QtCore import QByteArray, QSettings

#: written with the layout; a layout of another version is not restored
LAYOUT_VERSION = 1
RECENT_FILES = 8


class Preferences:
    """Read and written through typed methods; path: the ini file (None: the user's own, from platformdirs)."""

    def __init__(self, path: Path | str | None = None) -> None:
        file = Path(path) if path is not None else user_config_path("nnopt", appauthor=False) / "laboratory.ini"
        file.parent.mkdir(parents=True, exist_ok=True)
        self.path = file
        self._store = QSettings(str(file), QSettings.Format.IniFormat)

    def text(self, key: str, default: str = "") -> str:
        """A remembered text."""
        value = self._store.value(key, default)
        return value if isinstance(value, str) else default

    def number(self, key: str, default: float) -> float:
        """A remembered number; whatever is not one counts as not remembered."""
        try:
            return float(str(self._store.value(key, default)))
        except ValueError:
            return default

    def flag(self, key: str, default: bool = False) -> bool:
        """A remembered yes or no."""
        return self.text(key, "yes" if default else "no") == "yes"

    def layout(self, key: str) -> QByteArray | None:
        """A remembered geometry or dock layout, None if there is none of this version."""
        value = self._store.value(f"layout{LAYOUT_VERSION}/{key}")
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def recent(self) -> list[str]:
        """Files that were opened or saved last, newest first."""
        value: Any = self._store.value("recent", [])
        paths = [value] if isinstance(value, str) else list(value or [])
        return [str(path) for path in paths if path][:RECENT_FILES]

    def set(self, key: str, value: str | float | bool) -> None:
        """Remember a text, a number, or a yes or no."""
        self._store.setValue(key, ("yes" if value else "no") if isinstance(value, bool) else str(value))

    def set_layout(self, key: str, value: QByteArray) -> None:
        """Remember a geometry or dock layout."""
        self._store.setValue(f"layout{LAYOUT_VERSION}/{key}", value)

    def forget_layout(self) -> None:
        """Back to the layout of the first launch."""
        self._store.remove(f"layout{LAYOUT_VERSION}")

    def add_recent(self, path: str) -> None:
        """A file was opened or saved."""
        self._store.setValue("recent", [path, *(other for other in self.recent() if other != path)][:RECENT_FILES])

    def flush(self) -> None:
        """Write it to the file now."""
        self._store.sync()
