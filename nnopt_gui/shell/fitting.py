"""What a change of problem leaves without sense: it is put back to what always works, and said."""

from __future__ import annotations

from nnopt.optimizers import get
from nnopt.runs.experiment import Experiment, FunctionProblem, NetworkProblem, set_path

NOT_HELD_OUT = "Early stopping is switched off: no examples are held out for validation now."
OTHER_DATA = "The loss is again the one that belongs to the data."
NO_OUTPUTS = "Damped Newton takes the place of Gauss–Newton, which is for networks: a test function has no outputs."


def fitting(before: Experiment, after: Experiment) -> tuple[Experiment, list[str]]:
    """The experiment `after` without the settings that only made sense in `before`, and a sentence on each of them.

    Early stopping needs examples that are held out, Gauss–Newton a network; a loss that was chosen for one data set may
    not fit another.
    """
    said = []
    old, new = before.problem, after.problem
    if after.stop.early is not None and (isinstance(new, FunctionProblem) or new.validation == 0):
        after = set_path(after, "stop.early", None)
        said.append(NOT_HELD_OUT)
    if isinstance(new, FunctionProblem):
        for number, method in enumerate(after.methods):
            if isinstance(method.optimizer, get("gauss_newton")):
                after = set_path(after, f"methods[{number}].optimizer", get("damped_newton")())
                said.append(NO_OUTPUTS)
    networks = isinstance(old, NetworkProblem) and isinstance(new, NetworkProblem)
    if networks and type(old.data) is not type(new.data) and new.loss == old.loss != "auto":
        after = set_path(after, "problem.loss", "auto")
        said.append(OTHER_DATA)
    return after, said
