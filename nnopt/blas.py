"""BLAS on one thread: these matrices are small, and the same bits must come back on every replay.

Where numpy was imported before nnopt, as in a notebook, `import nnopt` changes nothing yet; the first run, network
objective or search for eigenpairs limits the BLAS of the whole process, for good: to enter and leave a limit costs more
than a gradient. Who wants threads for large products of their own sets them again with threadpoolctl.
"""

from __future__ import annotations

import os
import sys

VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

_settled = False


def before_numpy() -> None:
    """Ask for one thread through the environment, where numpy is not imported yet (afterwards it is too late).

    >>> before_numpy()  # `import nnopt` has done it
    """
    global _settled
    if "numpy" not in sys.modules:
        for name in VARIABLES:
            os.environ[name] = "1"
        _settled = True


def one_thread() -> None:
    """See that BLAS uses one thread, now at the latest. Costs nothing after the first call.

    >>> import numpy
    >>> one_thread()
    >>> from threadpoolctl import threadpool_info
    >>> all(pool["num_threads"] == 1 for pool in threadpool_info() if pool["user_api"] == "blas")
    True
    """
    global _settled
    if _settled:
        return
    import scipy.linalg  # noqa: F401  its BLAS must be loaded to be limited
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")
    _settled = True
