'''Plug-ins: a user's own optimizer, function or data set, beside the built-in ones everywhere.

A plug-in is a Python file or an installed package that registers classes as nnopt's own files do. This is one, whole:

    """Gradient descent that sees the sign of the gradient only (Bernstein et al. 2018)."""
    from typing import Annotated
    import numpy as np
    from nnopt.optimizers.base import Optimizer, Settings, Slots, Update, register
    from nnopt.settings import above

    @register
    class SignSGD(Settings, Optimizer, frozen=True, tag="sign_sgd"):
        """theta <- theta - lr * sign(g)"""

        lr: Annotated[float, above(0, label="learning rate", log=True, slider=(1e-5, 1))] = 0.01

        def init(self, theta):
            return Slots()

        def update(self, local, slots, lr):
            return Update(-lr * np.sign(local.gradient), slots)

A data set registers with `nnopt.objectives.datasets.register` (base: `DataSettings`), a function with
`nnopt.objectives.functions.register` (base: `FormulaFunction` or `Function`). Every setting needs a default.

Loading a file is an act of the user (`load_file`, `--plugin FILE`), never of an experiment: an experiment only names
things. Installed packages announce a module that registers on import as an entry point of the group `nnopt.plugins`;
they are loaded when something is first looked up. On the ground floor, beside settings.
'''

from __future__ import annotations

import os
import sys
import traceback
import zlib
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any

import msgspec

from nnopt.errors import PluginError
from nnopt.settings import Registry, built_in

#: group of the entry points of installed plug-ins
GROUP = "nnopt.plugins"


class Plugin(msgspec.Struct, frozen=True):
    """A loaded file. path: absolute. source: its text. added: (kind, name) of everything it registered.

    >>> Plugin("/home/me/hump.py", source="...", added=(("function", "hump"),)).added
    (('function', 'hump'),)
    """

    path: str
    source: str
    added: tuple[tuple[str, str], ...] = ()


def load_file(path: str | os.PathLike[str]) -> Plugin:
    """Run a Python file that registers optimizers, functions, data sets, ...; afterwards they are known everywhere.

    A file that is loaded already is run again only if its text has changed; what it registers then takes the place of
    what it registered before.

    Raises: PluginError naming file and line if it cannot be read, raises anything, registers nothing, or registers what
    cannot be used; everything is then as it was.

    >>> import tempfile, pathlib
    >>> source = '''
    ... from nnopt.objectives.functions import Formula, FormulaFunction, Settings, register
    ...
    ... @register
    ... class Hump(FormulaFunction, Settings, frozen=True, tag="hump"):
    ...     title, teaches, source = "Hump", "What a fourth power does.", "mine"
    ...     formula = Formula("x**4 - x**2", "x")
    ...     starts_at = (0.1,)
    ...     within = ((-2.0, 2.0),)
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "hump.py")
    ...     _ = file.write_text(source)
    ...     load_file(file).added
    (('function', 'hump'),)
    >>> from nnopt.objectives import functions
    >>> functions.get("hump").value([2.0])
    12.0
    >>> unload(file)
    """
    from importlib.util import decode_source

    file = Path(path).expanduser()
    try:
        source = decode_source(file.read_bytes())
    except OSError as error:
        raise PluginError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (SyntaxError, UnicodeDecodeError) as error:
        raise PluginError(f"{file}: not a Python file: {error}") from None
    return load_source(str(file.resolve()), source)


def load_source(path: str, source: str) -> Plugin:
    """`load_file` of a file whose text is known: how worker processes load what the user has loaded.

    path: absolute, as `Plugin.path` is. Raises: as `load_file`.

    >>> load_source("/home/me/empty.py", "answer = 42")
    Traceback (most recent call last):
        ...
    nnopt.errors.PluginError: /home/me/empty.py: it registers nothing: is a class without its decorator `@register`?
    """
    name = f"nnopt_plugin_{Path(path).stem}_{zlib.crc32(path.encode()):08x}"
    with _lock:
        known = _files.get(path)
        if known is not None and known.source == source:
            return known
        before, earlier = _registered(), sys.modules.get(name)
        module = ModuleType(name)
        module.__file__ = path
        # where type hints are resolved, and pickle looks for classes
        sys.modules[name] = module
        try:
            if known is not None:
                _take_back(known)
            exec(compile(source, path, "exec"), module.__dict__)
            plugin = Plugin(path, source, _added(before, name))
        except BaseException as error:
            _restore(before)
            del sys.modules[name]
            if earlier is not None:
                sys.modules[name] = earlier
            if isinstance(error, (Exception, SystemExit)):
                raise PluginError(f"{path}: {_where(error, path)}") from error
            raise
        _files[path] = plugin
        return plugin


def unload(path: str | os.PathLike[str]) -> None:
    """Forget a loaded file and what it registered; objects made of its classes go on working.

    Raises: PluginError if it is not loaded.

    >>> unload("never_loaded.py")
    Traceback (most recent call last):
        ...
    nnopt.errors.PluginError: never_loaded.py: is not a plug-in that was loaded
    """
    full = str(Path(path).expanduser().resolve())
    with _lock:
        if full not in _files:
            raise PluginError(f"{path}: is not a plug-in that was loaded")
        _take_back(_files.pop(full))


def loaded() -> tuple[Plugin, ...]:
    """The files loaded so far, in that order.

    >>> all(isinstance(plugin, Plugin) for plugin in loaded())
    True
    """
    return tuple(_files.values())


def load_installed() -> None:
    """Load the plug-ins of installed packages, once; one that fails leaves a text in `warnings()` and nothing else.

    Called at the first look-up in any registry; calling it again does nothing.

    >>> load_installed()
    >>> told = warnings()
    >>> load_installed()
    >>> warnings() == told
    True
    """
    global _installed_asked
    with _lock:
        if _installed_asked:
            return
        _installed_asked = True
        from importlib.metadata import entry_points

        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            before = _registered()
            try:
                entry.load()
                _added(before, None)
            except (Exception, SystemExit) as error:
                _restore(before)
                owner = f" of {entry.dist.name} {entry.dist.version}" if entry.dist is not None else ""
                _warnings.append(f"plug-in {entry.name!r}{owner} was not loaded: {_where(error, None)}")


def blamed(error: BaseException) -> str | None:
    """File, line and text of an error that the code of a loaded file raised; None if it was raised elsewhere.

    >>> blamed(ValueError("not ours")) is None
    True
    """
    passed = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    path = next((path for path in _files if path in passed), None)
    return None if path is None else f"{path}: {_where(error, path)}"


def warnings() -> tuple[str, ...]:
    """One sentence for each installed plug-in that could not be loaded.

    >>> all(text.startswith("plug-in ") for text in warnings())
    True
    """
    return tuple(_warnings)


# ---- what is registered

_lock = RLock()
_files: dict[str, Plugin] = {}
_warnings: list[str] = []
_installed_asked = False


def _registered() -> dict[int, dict[str, Any]]:
    return {id(registry): registry.registered for registry in Registry.every}


def _restore(before: dict[int, dict[str, Any]]) -> None:
    """Everything as it was, but for built-in classes that have been imported in the meantime."""
    for registry in Registry.every:
        earlier = before.get(id(registry), {})
        own = {tag: cls for tag, cls in registry.registered.items() if built_in(cls)}
        registry.reset({**own, **earlier})


def _take_back(plugin: Plugin) -> None:
    for registry in Registry.every:
        gone = {tag for kind, tag in plugin.added if kind == registry.kind}
        registry.reset({tag: cls for tag, cls in registry.registered.items() if tag not in gone})


def _added(before: dict[int, dict[str, Any]], module: str | None) -> tuple[tuple[str, str], ...]:
    """(kind, name) of all that was registered since, once it is seen that it can be used."""
    added = []
    for registry in Registry.every:
        earlier = before.get(id(registry), {})
        for tag, cls in registry.registered.items():
            if not built_in(cls) and earlier.get(tag) is not cls:
                _check(registry, tag, cls)
                added.append((registry.kind, tag))
    if not added and module is not None:
        raise PluginError("it registers nothing: is a class without its decorator `@register`?")
    return tuple(added)


def _check(registry: Registry[Any], tag: str, cls: Any) -> None:
    if getattr(cls, "registry", None) is not registry:
        raise PluginError(f"{cls.__name__} is registered as {registry.kind} {tag!r}, but is not derived from its base")
    try:
        cls()
    except TypeError as error:
        raise PluginError(f"{cls.__name__}: every setting needs a default ({error})") from error


def _where(error: BaseException, path: str | None) -> str:
    """What went wrong, after the line of the file where it did."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, SyntaxError) and error.filename == path:
        return f"line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    place = f"line {lines[-1]}: " if lines else ""
    return f"{place}{type(error).__name__}: {error}"
