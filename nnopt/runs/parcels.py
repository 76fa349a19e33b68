"""An experiment as it is sent to another process: its text, and what is needed to read it there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from nnopt import plugins
from nnopt.runs.experiment import Experiment, dumps, loads
from nnopt.runs.paths import set_path
from nnopt.settings import built_in


class Parcel(msgspec.Struct, frozen=True):
    """experiment: as JSON. plugins: (path, text) of the plug-in files to load first. modules: installed packages to
    import first.

    >>> from nnopt.runs.experiment import default_experiment
    >>> Parcel(dumps(default_experiment())).open("example") == default_experiment()
    True
    """

    experiment: str
    plugins: tuple[tuple[str, str], ...] = ()
    modules: tuple[str, ...] = ()

    def open(self, where: str) -> Experiment:
        """The experiment. where: for messages. Raises: PluginError, SpecError, ImportError; what a plug-in raises."""
        for path, source in self.plugins:
            plugins.load_source(path, source)
        for module in self.modules:
            importlib.import_module(module)
        return loads(self.experiment, where)


class Needs(msgspec.Struct, frozen=True):
    """What another process needs to read some experiments. plugins, modules: as in a Parcel. homeless: names of classes
    that no other process can find: those of a script or notebook.

    >>> from nnopt.runs.experiment import default_experiment
    >>> needs_of([default_experiment()]).homeless
    ()
    """

    plugins: tuple[tuple[str, str], ...] = ()
    modules: tuple[str, ...] = ()
    homeless: tuple[str, ...] = ()


def needs_of(experiments: Iterable[Experiment]) -> Needs:
    """What reading these experiments takes elsewhere; all plug-in files that are loaded are sent along.

    >>> from nnopt.runs.experiment import default_experiment
    >>> needs_of([default_experiment()]).modules
    ()
    """
    loaded = tuple((plugin.path, plugin.source) for plugin in plugins.loaded())
    files = {path for path, _ in loaded}
    foreign = {cls for experiment in experiments for cls in _classes(experiment) if not built_in(cls)}
    names = {cls.__module__ for cls in foreign} - {"__main__"}
    modules = sorted(name for name in names if getattr(sys.modules.get(name), "__file__", None) not in files)
    homeless = sorted(cls.__name__ for cls in foreign if cls.__module__ == "__main__")
    return Needs(loaded, tuple(modules), tuple(homeless))


def text_of(experiment: Experiment) -> str:
    """An experiment as JSON, the path of its data file spelled out: a worker may have another working directory.

    >>> from nnopt.runs.experiment import default_experiment
    >>> text_of(default_experiment()) == dumps(default_experiment())
    True
    """
    file = data_file(experiment)
    if file is None or not file.exists():
        return dumps(experiment)
    return dumps(set_path(experiment, "problem.data.path", str(file.resolve())))


def data_file(experiment: Experiment) -> Path | None:
    """The file that an experiment's examples are read from; None if they are generated.

    >>> from nnopt.runs.experiment import default_experiment
    >>> data_file(default_experiment()) is None
    True
    """
    path = getattr(getattr(experiment.problem, "data", None), "path", None)
    return Path(path) if isinstance(path, str) and path else None


def _classes(value: Any) -> Iterator[type]:
    """The classes of a struct and of everything inside it."""
    if isinstance(value, tuple):
        for entry in value:
            yield from _classes(entry)
    elif isinstance(value, msgspec.Struct):
        yield type(value)
        for name in value.__struct_fields__:
            yield from _classes(getattr(value, name))
