"""Threads for the first call, processes for the next: what a call runs on that may run on either.

Threads are there at once, and share the interpreter's lock for all that is not compiled. Worker processes take a
moment to start and then share nothing. So as long as none were started, fits that may run in threads do; a
call that took long enough for the difference to count starts the processes beside whatever comes next.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import allcores as ac

WORTH_SECONDS = 0.2  # a call in threads that took so long would have gained by processes
SURELY_SECONDS = 1.0  # in which a call that may use processes has started them

_warm = threading.Event()
_begun = threading.Event()


def is_warm() -> bool:
    """Whether processes have been started."""
    return _warm.is_set()


def took(seconds: float, *, in_threads: bool, function: Callable[..., Any]) -> None:
    """A call has ended; ``function`` is what workers would have to know."""
    if not in_threads:
        if seconds > SURELY_SECONDS:
            _warm.set()
    elif seconds > WORTH_SECONDS and not _begun.is_set():
        _begun.set()
        with contextlib.suppress(RuntimeError):  # no thread can be started
            threading.Thread(
                target=_start, args=(function,), name="allcores-sklearn-warmup", daemon=True
            ).start()


def _start(function: Callable[..., Any]) -> None:
    with contextlib.suppress(Exception):  # then threads are what there is
        ac.warmup(function, n_jobs=1)
        _warm.set()
