"""The frozen View: everything a panel may draw from, resolved for one step of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnopt.analysis.plateaus import Plateau
from nnopt.runs.experiment import Experiment, NetworkProblem
from nnopt.runs.history import History
from nnopt.runs.run import State


@dataclass(frozen=True)
class View:
    """What is shown now. Two views with equal `place` show the same point of the same run.

    run: number of the run (a new one for every reset, edit of the past or opened file). history: its log. length: rows
    published when the view was made (steps 0 .. length - 1 are known). cursor: the step shown. state: the state at
    the cursor, or, while a point is being dragged, the state under the mouse (`probe` is then True).
    experiment, objective: in force at the cursor (interventions applied). choices: what the user chose to see, by
    "panel.choice" ("slice.direction": "gradient").
    """

    run: int
    experiment: Experiment
    history: History
    length: int
    cursor: int
    state: State
    objective: Any
    playing: bool = False
    probe: bool = False
    plateaus: tuple[Plateau, ...] = ()
    choices: Mapping[str, Any] = field(default_factory=dict)
    selection: int | None = None

    @property
    def place(self) -> tuple[Any, ...]:
        """What identifies the point that is shown."""
        return (self.run, self.cursor, self.probe, self.state.theta.tobytes() if self.probe else None)

    def choice(self, name: str, default: Any = None) -> Any:
        """The user's choice for "panel.choice"."""
        return self.choices.get(name, default)

    @property
    def damping(self) -> str:
        """The μ of the Newton step that is compared, as chosen: a number, or "auto" for none.

        Unless the user chose, a network gets 0.05: its Hessian is nearly singular almost everywhere, and the undamped
        step is then so long that nothing else can be seen beside it. Beside Newton's own method it is undamped.
        """
        chosen = self.choice("step.damping")
        if chosen is not None:
            return str(chosen)
        newton = type(self.experiment.methods[0].optimizer).__struct_config__.tag == "newton"
        return "0.05" if isinstance(self.experiment.problem, NetworkProblem) and not newton else "auto"
