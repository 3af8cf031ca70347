"""The threads that BLAS and OpenMP libraries start by themselves: how many, in this process."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Libraries that compute on all cores read these when they are loaded.
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# Who brings such a library along, as far as we know; asking for them all takes milliseconds.
BRING_LIBRARIES = ("numpy", "scipy", "sklearn", "torch", "numba", "cv2", "xgboost", "lightgbm", "faiss")


_in_force = 1  # in a worker: what its libraries were told last; they are loaded with a limit of one


def follow(count: int) -> None:
    """In a worker process: holds libraries that are loaded, and such as will be, to so many threads."""
    global _in_force
    if count == _in_force:
        return
    _in_force = count
    _tell_libraries_to_come(count)
    limit(count)


def follow_first(count: int) -> None:
    """The same, as a worker begins: what is loaded has one thread, unless the user's variables say otherwise."""
    global _in_force
    if any(name in os.environ for name in THREAD_LIMITS):
        _in_force = 0
    _tell_libraries_to_come(count)
    follow(count)


def _tell_libraries_to_come(count: int) -> None:
    for name in THREAD_LIMITS:
        if name not in os.environ:
            os.putenv(name, str(count))  # libraries read this one; os.environ stays as the caller's is


def limit(count: int) -> Any:
    """Holds the libraries that are loaded here to so many threads.

    Returns:
        What has ``restore_original_limits``, or None where no such library is loaded.
    """
    if not any(name in sys.modules for name in BRING_LIBRARIES):
        return None
    from threadpoolctl import threadpool_limits

    return threadpool_limits(count)
