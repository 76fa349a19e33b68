"""nnopt: the science behind the laboratory. Objectives, optimizers, runs that replay bit for bit, and their analysis.

Public names are imported when they are first used, so that `import nnopt` is quick:

>>> import nnopt
>>> f = nnopt.functions.get("rosenbrock")
>>> h = nnopt.minimize(f, nnopt.optimizers.Newton(), start=f.start, steps=6)
>>> h.length
7
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nnopt.blas import before_numpy

before_numpy()

if TYPE_CHECKING:
    from nnopt import analysis as analysis
    from nnopt import errors as errors
    from nnopt import optimizers as optimizers
    from nnopt import plugins as plugins
    from nnopt.analysis import theory as theory
    from nnopt.analysis.explanation import explain as explain
    from nnopt.analysis.landscape import Plane as Plane
    from nnopt.analysis.landscape import Slice as Slice
    from nnopt.analysis.landscape import grid as grid
    from nnopt.analysis.plateaus import Plateau as Plateau
    from nnopt.analysis.plateaus import find_plateaus as find_plateaus
    from nnopt.analysis.restarts import restart as restart
    from nnopt.analysis.restarts_result import Restarts as Restarts
    from nnopt.objectives import datasets as datasets
    from nnopt.objectives import functions as functions
    from nnopt.objectives.network import Network as Network
    from nnopt.objectives.objective import NetworkObjective as NetworkObjective
    from nnopt.optimizers import batches as batches
    from nnopt.optimizers import schedules as schedules
    from nnopt.runs import export as export
    from nnopt.runs.experiment import Architecture as Architecture
    from nnopt.runs.experiment import Experiment as Experiment
    from nnopt.runs.experiment import FunctionProblem as FunctionProblem
    from nnopt.runs.experiment import Method as Method
    from nnopt.runs.experiment import NetworkProblem as NetworkProblem
    from nnopt.runs.experiment import Recording as Recording
    from nnopt.runs.experiment import Stop as Stop
    from nnopt.runs.experiment import default_experiment as default_experiment
    from nnopt.runs.experiment import load as load
    from nnopt.runs.experiment import load_recording as load_recording
    from nnopt.runs.experiment import save as save
    from nnopt.runs.experiment import save_recording as save_recording
    from nnopt.runs.history import History as History
    from nnopt.runs.minimize import minimize as minimize
    from nnopt.runs.run import Run as Run
    from nnopt.runs.run import State as State
    from nnopt.runs.sweep import SweepResult as SweepResult
    from nnopt.runs.sweep import sweep as sweep

#: public name -> module it lives in (a module stands for itself)
_HOMES = {
    "Architecture": "nnopt.runs.experiment",
    "Experiment": "nnopt.runs.experiment",
    "FunctionProblem": "nnopt.runs.experiment",
    "History": "nnopt.runs.history",
    "Method": "nnopt.runs.experiment",
    "Network": "nnopt.objectives.network",
    "NetworkObjective": "nnopt.objectives.objective",
    "NetworkProblem": "nnopt.runs.experiment",
    "Plane": "nnopt.analysis.landscape",
    "Plateau": "nnopt.analysis.plateaus",
    "Recording": "nnopt.runs.experiment",
    "Restarts": "nnopt.analysis.restarts_result",
    "Run": "nnopt.runs.run",
    "Slice": "nnopt.analysis.landscape",
    "State": "nnopt.runs.run",
    "Stop": "nnopt.runs.experiment",
    "SweepResult": "nnopt.runs.sweep",
    "analysis": "nnopt.analysis",
    "batches": "nnopt.optimizers.batches",
    "datasets": "nnopt.objectives.datasets",
    "default_experiment": "nnopt.runs.experiment",
    "errors": "nnopt.errors",
    "explain": "nnopt.analysis.explanation",
    "export": "nnopt.runs.export",
    "find_plateaus": "nnopt.analysis.plateaus",
    "functions": "nnopt.objectives.functions",
    "grid": "nnopt.analysis.landscape",
    "load": "nnopt.runs.experiment",
    "load_recording": "nnopt.runs.experiment",
    "minimize": "nnopt.runs.minimize",
    "optimizers": "nnopt.optimizers",
    "plugins": "nnopt.plugins",
    "restart": "nnopt.analysis.restarts",
    "save": "nnopt.runs.experiment",
    "save_recording": "nnopt.runs.experiment",
    "schedules": "nnopt.optimizers.schedules",
    "sweep": "nnopt.runs.sweep",
    "theory": "nnopt.analysis.theory",
}

__all__ = [  # noqa: RUF022 - sorted as a reader meets them
    "functions", "Network", "NetworkObjective", "datasets", "optimizers", "schedules", "batches",
    "minimize", "Experiment", "NetworkProblem", "FunctionProblem", "Architecture", "Method", "Stop",
    "default_experiment", "load", "save", "Run", "State", "History",
    "Recording", "load_recording", "save_recording", "sweep", "SweepResult", "restart", "Restarts", "export", "plugins",
    "analysis", "theory", "explain", "Plane", "Slice", "grid", "Plateau", "find_plateaus",
    "errors", "__version__",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("nnopt")
    elif name in _HOMES:
        module = importlib.import_module(_HOMES[name])
        value = module if _HOMES[name].endswith("." + name) and name.islower() and not hasattr(module, name) else None
        value = getattr(module, name) if value is None else value
    else:
        from nnopt.errors import no_attribute

        raise no_attribute(__name__, name, __all__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
