"""One budget of cores: what a call may count on where the user did not say ``n_jobs``.

It is what the machine gives to this process, or a worker of ours its share of that, less the workers of other calls
that are going on in this process. In a worker of somebody else's pool, which fills the cores already, it is one.
"""

from __future__ import annotations

import os
import sys
import threading

from allcores.runtime.machine import cpu_count
from allcores.tasks import place
from allcores.tasks.inner_threads import THREAD_LIMITS

_lock = threading.Lock()
_taken = 0  # workers of all calls of this process


class Seats:
    """The workers of one call, as far as they use cores. Made by the thread that calls.

    Attributes:
        worker_of: whose worker this process or thread is, if it is one.
        total: the cores that this call shares with others.
    """

    __slots__ = ("_alone", "_count", "_share", "worker_of")

    def __init__(self) -> None:
        self._count = 0
        self._share = place.cores()
        self._alone = place.is_thread()  # such a share is nobody else's
        self.worker_of = "allcores" if self._share is not None else foreign_pool()

    @property
    def total(self) -> int:
        if self._share is not None:
            return self._share
        return 1 if self.worker_of is not None else cpu_count()

    def free(self) -> int:
        """The cores that this call can count on, its own workers' included; at least one."""
        return max(1, self.total - (0 if self._alone else _taken - self._count))

    def take(self, workers: int, *, firm: bool) -> int:
        """Occupies cores, as many as are free or with ``firm`` all of them; returns the number of workers to start."""
        global _taken
        with _lock:
            granted = workers if firm else min(workers, self.free())
            self._count += granted
            _taken += granted
        return granted

    def give_back(self) -> None:
        """The call is over, or has no workers after all."""
        global _taken
        if self._count:
            with _lock:
                _taken -= self._count
                self._count = 0

    def share_of(self, workers: int) -> int:
        """The cores that each of so many workers has for itself.

        >>> Seats().share_of(10**6)
        1
        """
        return max(1, self.total // workers)

    def inner_threads(self, asked: int | None, workers: int) -> int:
        """How many threads libraries may start in each of so many workers: what was asked for, or its share.

        The user's own variables (OMP_NUM_THREADS and the like) can only make it less.
        """
        if asked is not None:
            return asked
        own = [int(value) for name in THREAD_LIMITS if (value := os.environ.get(name, "")).isdigit()]
        return max(1, min([self.share_of(workers), *own]))


def foreign_pool() -> str | None:
    """Whose worker this process (or this thread) is, if it is one of somebody else's pool."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return "pytest-xdist"
    dask = sys.modules.get("distributed.worker")
    if hasattr(getattr(dask, "thread_state", None), "execution_state"):
        return "Dask"
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is None:
        return None
    process = multiprocessing.current_process()
    if process.daemon:
        return "multiprocessing"
    target = getattr(getattr(process, "_target", None), "__module__", None) or ""
    return "loky or concurrent.futures" if target.endswith(("process_executor", "futures.process")) else None


def _in_forked_child() -> None:
    global _lock, _taken
    _lock, _taken = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
