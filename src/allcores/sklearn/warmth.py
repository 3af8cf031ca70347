"""Threads or processes, for fits that may run on either: found out while they run in threads.

Threads are there at once, and nothing is sent to them; but they share the interpreter's lock for all that is not
compiled, and while they wait for it they do not compute. So fits run in threads the first time. Where they kept each
other waiting, and the call took long enough for that to count, processes are started beside whatever comes next, and
the next call of the kind runs there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable
from typing import Any

import allcores as ac

WORTH_SECONDS = 0.2  # a call in threads that took so long would have gained by processes
SURELY_SECONDS = 1.0  # in which a call that may use processes has started them
COMPUTING_SHARE = 0.85  # threads that compute for less of their time keep each other waiting

_warm = threading.Event()
_begun = threading.Event()
_held_up: dict[Hashable, bool] = {}  # by what was fitted


def prefers_processes(kind: Hashable) -> bool:
    """Whether processes have been started, and fits of this kind kept each other waiting in threads."""
    return _warm.is_set() and _held_up.get(kind, False)


def took_in_processes(seconds: float) -> None:
    """A call that may use processes has ended."""
    if seconds > SURELY_SECONDS:
        _warm.set()


def took_in_threads(
    seconds: float, kind: Hashable, computing_share: float, function: Callable[..., Any]
) -> None:
    """A call has ended whose threads computed for this share of their time; workers would have to know ``function``."""
    _held_up[kind] = computing_share < COMPUTING_SHARE
    if _held_up[kind] and seconds > WORTH_SECONDS and not _begun.is_set():
        _begun.set()
        with contextlib.suppress(RuntimeError):  # no thread can be started
            threading.Thread(
                target=_start, args=(function,), name="allcores-sklearn-warmup", daemon=True
            ).start()


def _start(function: Callable[..., Any]) -> None:
    with contextlib.suppress(Exception):  # then threads are what there is
        ac.warmup(function, n_jobs=1)
        _warm.set()
