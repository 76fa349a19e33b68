"""A Dask cluster as the place where tasks are done (the extra `cluster`)."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

from nnopt.errors import NnoptError, UnsupportedError

#: seconds to wait for the scheduler
PATIENCE = 10.0


class _ClusterExecutor(Executor):
    """Dask's own Executor, which also knows when the scheduler is lost: what is submitted just then is never done."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor: Executor = client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have some worker of the cluster call fn(*args, **kwargs)."""
        return self._executor.submit(fn, *args, **kwargs)

    @property
    def workers(self) -> int:
        """How many tasks the cluster does at once, now."""
        return sum(self._client.nthreads().values())

    @property
    def gone(self) -> str:
        """Why no task will be done any more; "" while the cluster is there, or may come back."""
        return "the scheduler is lost" if self._client.status in ("closing", "closed") else ""


@contextlib.contextmanager
def cluster(address: str) -> Iterator[_ClusterExecutor]:
    """An Executor over the workers of the Dask scheduler at `address`, such as "tcp://127.0.0.1:8786".

    Tasks of a worker that is lost are done by the others. nnopt must be installed where the workers are, in this
    version. Dask sends pickled code over the network: a scheduler must be one that you trust, and so must its network.

    Raises: UnsupportedError if Dask is not installed; NnoptError if no scheduler answers, or its workers have another
    nnopt.

    >>> with cluster("localhost") as executor:
    ...     executor.submit(abs, -1)
    Traceback (most recent call last):
    nnopt.errors.NnoptError: cluster: expected an address such as tcp://127.0.0.1:8786, got 'localhost'
    """
    if not re.fullmatch(r"(tcp|tls|ucx|wss?)://.+:\d+", address):
        raise NnoptError(f"cluster: expected an address such as tcp://127.0.0.1:8786, got {address!r}")
    try:
        distributed: Any = importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"cluster: {error.name} is missing; install it with: pip install 'nnopt[cluster]'"
        ) from None
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TypeError, ValueError) as error:
        raise NnoptError(f"cluster: no Dask scheduler answers at {address}: {error}") from None
    with client:
        _check_workers(client)
        yield _ClusterExecutor(client)


def _version() -> str:
    """That of nnopt here."""
    from importlib.metadata import version

    return version("nnopt")


def _check_workers(client: Any) -> None:
    """See that all workers that are there now have this nnopt; workers may come and go later."""
    found = client.run(_probe, on_error="return")
    for worker, answer in found.items():
        if answer != _version():
            what = f"{type(answer).__name__}: {answer}" if isinstance(answer, Exception) else f"nnopt {answer}"
            raise NnoptError(f"cluster: expected nnopt {_version()} on worker {worker}, found {what}")


def _probe() -> str:
    return _version()
