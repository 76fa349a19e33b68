"""Settings: frozen structs whose fields carry their valid range, unit and label; registries find them by name.

Everything a user can choose (a method, a schedule, a data set, a function) is one `Settings` struct. JSON files, the
command line and the forms of the window are generated from these structs, so a range is written down once.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from nnopt.errors import SettingsError, UnknownNameError, unknown_name

TAG_FIELD = "name"
#: whole numbers are smaller: arrays count in 64 bits
TOO_LARGE = 2**63


class _Named(msgspec.StructMeta):
    """Settings called with a name that they do not have say which ones there are."""

    def __call__(cls, *values: Any, **named: Any) -> Any:
        fields = cls.__struct_fields__
        for name in named:
            if name not in fields:
                raise unknown_name(f"{cls.__name__} setting", name, fields)
        return super().__call__(*values, **named)


class Settings(msgspec.Struct, metaclass=_Named, frozen=True, forbid_unknown_fields=True, tag_field=TAG_FIELD):
    """Base of everything that can be set: `class Momentum(Settings, frozen=True, tag="momentum")`.

    Ranges are written with `above`, `at_least`, `between`; a value outside its range, a fraction where a whole number
    belongs, or a word that is not among a `Literal`'s is refused when the struct is made, from Python as from JSON.

    Raises: SettingsError, naming the field, what was expected and what was given; UnknownNameError for a field that
    there is not.

    >>> class Momentum(Settings, frozen=True, tag="momentum"):
    ...     beta: Annotated[float, between(0, 1)] = 0.9
    >>> Momentum(0.5), Momentum() == Momentum(0.9), msgspec.to_builtins(Momentum())
    (Momentum(beta=0.5), True, {'name': 'momentum', 'beta': 0.9})
    >>> Momentum(beta=1)
    Traceback (most recent call last):
        ...
    nnopt.errors.SettingsError: Momentum.beta: expected a number >= 0 and < 1, got 1
    """

    def __post_init__(self) -> None:
        for name, kind, meta in _checks(type(self)):
            given = getattr(self, name)
            if kind in (int, float) and type(given) not in (int, float) and getattr(given, "shape", None) == ():
                # a number of numpy, as from an array of learning rates, becomes Python's
                given = given.item()
                msgspec.structs.force_setattr(self, name, given)
            expected = _refusal(given, kind, meta)
            if expected:
                raise SettingsError(f"{type(self).__name__}.{name}: expected {expected}, got {given!r}")


def _meta(
    label: str | None, help: str | None, unit: str, log: bool, slider: tuple[float, float] | None, **bounds: Any
) -> msgspec.Meta:
    return msgspec.Meta(title=label, description=help, extra={"unit": unit, "log": log, "slider": slider}, **bounds)


def above(
    low: float, *, label: str | None = None, help: str | None = None, unit: str = "", log: bool = False,
    slider: tuple[float, float] | None = None,
) -> msgspec.Meta:  # fmt: skip
    """A number > low. label, help, unit: for forms. slider: the range a slider covers; log: it is logarithmic.

    >>> class Descent(Settings, frozen=True):
    ...     lr: Annotated[float, above(0, label="learning rate", log=True, slider=(1e-4, 1))] = 0.1
    >>> Descent(lr=0.0)
    Traceback (most recent call last):
        ...
    nnopt.errors.SettingsError: Descent.lr: expected a number > 0, got 0.0
    """
    return _meta(label, help, unit, log, slider, gt=low)


def at_least(
    low: float, *, label: str | None = None, help: str | None = None, unit: str = "", log: bool = False,
    slider: tuple[float, float] | None = None,
) -> msgspec.Meta:  # fmt: skip
    """A number >= low; the rest as in `above`.

    >>> class Patience(Settings, frozen=True):
    ...     steps: Annotated[int, at_least(1, unit="steps")] = 10
    >>> Patience(steps=1).steps, Patience(steps=0)
    Traceback (most recent call last):
        ...
    nnopt.errors.SettingsError: Patience.steps: expected a number >= 1, got 0
    """
    return _meta(label, help, unit, log, slider, ge=low)


def between(
    low: float, high: float, *, closed: bool = False, label: str | None = None, help: str | None = None,
    unit: str = "", log: bool = False, slider: tuple[float, float] | None = None,
) -> msgspec.Meta:  # fmt: skip
    """A number in [low, high), or in [low, high] if `closed`; the rest as in `above`. slider: all of it, by default.

    >>> between(0, 1).lt, between(0, 1, closed=True).le, between(0, 50).extra["slider"]
    (1, 1, (0, 50))
    """
    upper = {"le": high} if closed else {"lt": high}
    return _meta(label, help, unit, log, slider or (low, high), ge=low, **upper)


def described(label: str | None = None, help: str | None = None, unit: str = "") -> msgspec.Meta:
    """A field without a range: its label, help text and unit only.

    >>> described("file", help="a CSV file").title
    'file'
    """
    return _meta(label, help, unit, False, None)


@cache
def _checks(cls: type) -> tuple[tuple[str, Any, msgspec.Meta], ...]:
    """(field, its type, its range) of all fields that can be checked one by one."""
    checks = []
    for name, hint in get_type_hints(cls, include_extras=True).items():
        kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        meta = next((extra for extra in extras if isinstance(extra, msgspec.Meta)), msgspec.Meta())
        if kind in (int, float) or get_origin(kind) is Literal or _range_text(meta):
            checks.append((name, kind, meta))
    return tuple(checks)


def _range_text(meta: msgspec.Meta) -> str:
    parts = [(meta.gt, ">"), (meta.ge, ">="), (meta.lt, "<"), (meta.le, "<=")]
    return " and ".join(f"{sign} {bound:.12g}" for bound, sign in parts if bound is not None)


def _refusal(given: Any, kind: Any, meta: msgspec.Meta) -> str:
    """What was expected, or "" if `given` is that."""
    if get_origin(kind) is Literal:
        return "" if given in get_args(kind) else "one of " + ", ".join(map(repr, get_args(kind)))
    if given is None and kind is not int and kind is not float:
        return ""
    whole = isinstance(given, int) and not isinstance(given, bool)
    if not (whole if kind is int else whole or isinstance(given, float)):
        return " ".join(filter(None, ("a whole number" if kind is int else "a number", _range_text(meta))))
    inside = (
        (meta.gt is None or given > meta.gt)
        and (meta.ge is None or given >= meta.ge)
        and (meta.lt is None or given < meta.lt)
        and (meta.le is None or given <= meta.le)
        and not (_huge(given) if kind is int else abs(given) > sys.float_info.max)
    )
    limit = " and < 2^63" if kind is int and _huge(given) else ""
    return "" if inside else f"a number {_range_text(meta)}".rstrip() + limit


def _huge(given: int) -> bool:
    return abs(given) >= TOO_LARGE


def replace(settings: Any, **changes: Any) -> Any:
    """A copy of a frozen struct with some fields changed, checked like a new one.

    Raises: SettingsError for a value out of range; TypeError for a field that does not exist.

    >>> from nnopt.optimizers import SGD
    >>> replace(SGD(lr=0.5), lr=0.25) == SGD(lr=0.25)
    True
    """
    return msgspec.structs.replace(settings, **changes)


T = TypeVar("T", bound=type)


class Registry(Generic[T]):
    """The `Settings` classes of one kind, by their tag; modules of `package` are imported at the first look-up, then
    installed plug-ins.

    Adding a member is adding a file (or a class) with the decorator `register`; nothing else has to know.

    kind: what the members are, in one word. package: whose modules register the built-in ones; load: called for the
    same purpose.

    >>> from nnopt.optimizers.base import Optimizer
    >>> methods = Optimizer.registry
    >>> methods.kind, "newton" in methods.names(), methods.get("sgd").__name__
    ('optimizer', True, 'SGD')
    >>> methods.decode({"name": "sgd", "lr": 0.5}).lr
    0.5
    """

    #: all registries, in the order in which they were made
    every: ClassVar[list[Registry[Any]]] = []

    def __init__(self, kind: str, package: str | None = None, load: Callable[[], object] | None = None) -> None:
        self.kind = kind
        self._package = package
        self._load = load
        self._members: dict[str, T] = {}
        self._plugins_asked = False
        Registry.every.append(self)

    def register(self, cls: T) -> T:
        """Add a class under its tag; usable as a decorator. A class takes the place of its own earlier version.

        Raises: SettingsError for another class of the same tag, and for what is not a `Settings` class.
        """
        if not (isinstance(cls, type) and issubclass(cls, Settings)):
            raise SettingsError(f"{self.kind} {cls!r}: expected a class that inherits from Settings")
        if not built_in(cls):
            # the built-in ones come first, so that nothing else can take their names
            self._import_built_ins()
        tag = str(cls.__struct_config__.tag)
        known = self._members.setdefault(tag, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise SettingsError(f"{self.kind} {tag!r} is registered twice: {known!r} and {cls!r}")
        self._members[tag] = cls
        return cls

    @property
    def registered(self) -> dict[str, T]:
        """What has been registered so far, by tag; a copy, and no look-up: nothing is imported for it."""
        return dict(self._members)

    def reset(self, members: dict[str, T]) -> None:
        """Have exactly these members, as `registered` gave them: for taking back what a plug-in has registered."""
        self._members = dict(members)

    def get(self, name: str) -> T:
        """The class registered as `name`. Raises UnknownNameError listing the known ones."""
        self._import_all()
        try:
            return self._members[name]
        except KeyError:
            from nnopt import plugins

            error = unknown_name(self.kind, name, self._members)
            hint = "if a plug-in defines it, load that first: nnopt.plugins.load_file(FILE), --plugin FILE"
            raise UnknownNameError("; ".join((str(error), hint, *plugins.warnings()))) from None

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        self._import_all()
        return list(self._members)

    def __iter__(self) -> Iterator[T]:
        self._import_all()
        return iter(list(self._members.values()))

    def decode(self, raw: Any) -> Any:
        """A struct of this kind from builtins such as `{"name": "sgd", "lr": 0.1}` (or the bare name, for defaults).

        Raises SettingsError; inside a larger document msgspec appends the path to its text, and `readable` reads it.
        """
        if isinstance(raw, str):
            raw = {TAG_FIELD: raw}
        if not isinstance(raw, dict) or not isinstance(raw.get(TAG_FIELD), str):
            raise SettingsError(
                f"expected one {self.kind} with its {TAG_FIELD!r} (one of {', '.join(self.names())}), got {raw!r}"
            )
        try:
            return msgspec.convert(raw, self.get(raw[TAG_FIELD]), dec_hook=decode_hook)
        except UnknownNameError as error:
            raise SettingsError(f"{error} - at `$.{TAG_FIELD}`") from None
        except msgspec.ValidationError as error:
            # re-raised as a plain ValueError so that an enclosing decode adds its own part of the path
            raise SettingsError(str(error)) from None

    def _import_all(self) -> None:
        self._import_built_ins()
        if not self._plugins_asked:
            from nnopt import plugins

            self._plugins_asked = True
            plugins.load_installed()

    def _import_built_ins(self) -> None:
        package, self._package = self._package, None
        if package is not None:
            root = importlib.import_module(package)
            for module in pkgutil.iter_modules(root.__path__):
                importlib.import_module(f"{package}.{module.name}")
        load, self._load = self._load, None
        if load is not None:
            load()


def built_in(cls: type) -> bool:
    """Whether a class is one of nnopt's own.

    >>> built_in(Registry), built_in(dict)
    (True, False)
    """
    return cls.__module__.partition(".")[0] == "nnopt"


def readable(error: Exception) -> tuple[str, str]:
    """(path, message) of a decoding error.

    Registered structs are decoded one inside the other, so a text may end in several ``- at `$...` `` parts, innermost
    first.

    >>> readable(ValueError("Expected `float` > 0.0 - at `$.lr` - at `$.methods[1].optimizer`"))
    ('$.methods[1].optimizer.lr', 'expected `float` > 0.0')
    """
    message, *inner_first = str(error).split(" - at `$")
    path = "$" + "".join(part.rstrip("`") for part in reversed(inner_first))
    return path, message[:1].lower() + message[1:]


def decode_hook(kind: type, raw: Any) -> Any:
    """msgspec's hook for fields whose type is the (non-struct) interface of a registered kind.

    An interface class names its registry as `registry`: a field `optimizer: Optimizer` is decoded through
    `Optimizer.registry`. Raises: SettingsError; NotImplementedError for any other type.

    >>> from nnopt.optimizers.base import Optimizer
    >>> msgspec.convert([{"name": "sgd", "lr": 0.5}, "newton"], list[Optimizer], dec_hook=decode_hook)[0].lr
    0.5
    """
    registry = getattr(kind, "registry", None)
    if isinstance(registry, Registry):
        return registry.decode(raw)
    raise NotImplementedError(f"no decoder for {kind!r}")
