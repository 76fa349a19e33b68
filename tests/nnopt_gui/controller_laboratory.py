"""A controller without a window, and a panel that remembers what it was shown."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from nnopt_gui.panels.base import Intent, Picture
from nnopt_gui.shell.controller import Controller
from nnopt_gui.state.view import View


class FakePanel:
    """A panel behind the protocol: remembers what it was shown."""

    pace = 0.0

    def __init__(self, name: str = "fake") -> None:
        self.id = self.title = name
        self.shown: list[View] = []
        self.drawn: list[tuple[View, Any]] = []
        self.visible = True
        self.parts: list[Any] = ["coarse", "fine"]
        self.raises: Exception | None = None

    def is_shown(self) -> bool:
        return self.visible

    def show_view(self, view: View) -> None:
        if self.raises is not None:
            raise self.raises
        self.shown.append(view)

    def picture(self, view: View) -> Picture | None:
        return Picture((view.place, self.id), lambda: iter(self.parts))

    def draw(self, view: View, result: Any) -> None:
        self.drawn.append((view, result))


@dataclass
class Laboratory:
    controller: Controller
    panel: FakePanel
    notices: list[tuple[str, str, str]]

    @property
    def model(self):
        return self.controller.model

    def frames(self, done=None, seconds: float = 5.0) -> None:
        """Frames until `done` (or until the worker has answered everything and nothing moves)."""
        end = time.monotonic() + seconds
        while True:
            self.controller.frame()
            if (done or (lambda: self.controller.idle))():
                self.controller.frame()
                return
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.001)

    def to(self, step: int) -> None:
        """Train up to a step."""
        self.controller.transport.step(step - self.model.head)
        self.frames(lambda: self.model.head == step and self.controller.idle)

    def say(self, kind: str, **values: Any) -> None:
        self.controller.on_intent(Intent(kind, values))
