"""Many independent values in parts, on one thread or several, with a report after each part. Floor `analysis`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nnopt.blas import one_thread
from nnopt.errors import SettingsError

Array: TypeAlias = npt.NDArray[np.float64]
#: told the fraction done; returning False stops
Progress: TypeAlias = Callable[[float], object]

#: parts per thread: each costs the memory it works in, so as few as let all threads finish at about the same time; more
#: where there is somebody to tell
_PARTS = 2
_TOLD = 6


def in_parts(
    evaluate: Callable[[slice], Array],
    count: int,
    shape: tuple[int, ...] = (),
    threads: int = 1,
    progress: Progress | None = None,
    least: int = 64,
) -> Array:
    """(count, *shape): evaluate(part) for consecutive parts of 0 .. count, put together.

    threads: that work at once; it pays where `evaluate` spends its time in numpy, which lets others run meanwhile.
    progress(fraction done): called on the calling thread after each part; once it returns False no further part is
    begun, and what is missing is NaN. least: smallest part.

    >>> in_parts(lambda part: np.arange(part.start, part.stop) ** 2.0, 5, threads=2)
    array([ 0.,  1.,  4.,  9., 16.])

    Raises: SettingsError; what `evaluate` raises.
    """
    if threads < 1:
        raise SettingsError(f"threads: expected at least 1, got {threads}")
    if threads == 1 and progress is None:
        return evaluate(slice(0, count)) if count else np.empty((0, *shape))
    each = _PARTS if progress is None else _TOLD
    size = max(least, -(-count // (each * max(threads, 2))))
    # whole multiples of what a kernel takes at once
    size = -(-size // least) * least
    parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    values = np.full((count, *shape), np.nan)
    done = 0
    if threads == 1 or len(parts) < 2:
        for part in parts:
            values[part] = evaluate(part)
            done += part.stop - part.start
            if progress is not None and progress(done / count) is False:
                break
        return values
    # threads of BLAS beside ours would only get into each other's way
    one_thread()
    with ThreadPoolExecutor(min(threads, len(parts)), "nnopt-values") as pool:
        futures = {pool.submit(evaluate, part): part for part in parts}
        try:
            for future in as_completed(futures):
                part = futures[future]
                values[part] = future.result()
                done += part.stop - part.start
                if progress is not None and progress(done / count) is False:
                    break
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return values
