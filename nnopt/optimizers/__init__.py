"""How the loss is minimized: one file per method (settings struct, pure `init` and `update`), schedules and batches.

`get(name)` gives a method's class by its registry name; the classes are also attributes: `nnopt.optimizers.Newton`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnopt.errors import no_attribute
from nnopt.optimizers.base import Local, Optimizer, Slots, Update

if TYPE_CHECKING:
    from nnopt.optimizers.adagrad import Adagrad as Adagrad
    from nnopt.optimizers.adam import Adam as Adam
    from nnopt.optimizers.damped_newton import DampedNewton as DampedNewton
    from nnopt.optimizers.gauss_newton import GaussNewton as GaussNewton
    from nnopt.optimizers.lbfgs import LBFGS as LBFGS
    from nnopt.optimizers.momentum import Momentum as Momentum
    from nnopt.optimizers.nesterov import Nesterov as Nesterov
    from nnopt.optimizers.newton import Newton as Newton
    from nnopt.optimizers.newton_cg import NewtonCG as NewtonCG
    from nnopt.optimizers.rmsprop import RMSprop as RMSprop
    from nnopt.optimizers.saddle_free_newton import SaddleFreeNewton as SaddleFreeNewton
    from nnopt.optimizers.sgd import SGD as SGD
    from nnopt.optimizers.trust_region import TrustRegion as TrustRegion


def get(name: str) -> type[Any]:
    """The class of the method called `name` in specs ("adam" -> Adam).

    Raises: UnknownNameError, with the nearest known name.

    >>> get("momentum")(lr=0.05)
    Momentum(lr=0.05, beta=0.9, weight_decay=0.0, clip=0.0)
    >>> get("adm")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nnopt.errors.UnknownNameError: unknown optimizer 'adm'; did you mean 'adam'? (known: ...
    """
    return Optimizer.registry.get(name)  # type: ignore[no-any-return]


def names() -> list[str]:
    """Registry names of all methods, those of plug-ins after nnopt's own.

    >>> sorted(names())[:4]
    ['adagrad', 'adam', 'damped_newton', 'gauss_newton']
    """
    return Optimizer.registry.names()


def _classes() -> dict[str, type[Any]]:
    return {member.__name__: member for member in Optimizer.registry}


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        classes = _classes()
        if name in classes:
            return classes[name]
    raise no_attribute(__name__, name, __dir__())


def __dir__() -> list[str]:
    return sorted({*__all__, *_classes()})


__all__ = ["Local", "Optimizer", "Slots", "Update", "get", "names"]
