"""What the kernel's books say of a thread: how long it computed, how long it had no core, and what others computed
for it.

The threads that libraries start by themselves (those of BLAS and OpenMP) compute for the thread that called: while it
sleeps until they are done, its items do not wait in the sense of a network or a disk.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from allcores.core.records import NamedTuple
from allcores.tasks.run_delay import run_delay_clock

own_threads: set[int] = set()  # native ids of threads of ours that ``threading`` does not list


class Away(NamedTuple):
    """What happened while a thread did not compute."""

    without_core_seconds: float  # it was ready to run
    helped_seconds: float  # that other threads computed which no Python code has started


class Books:
    """Reads what is noted about the thread that makes it; any thread may ask."""

    def __init__(self) -> None:
        self._thread = threading.get_native_id()
        self._run_delay = run_delay_clock()
        self._looked_at = 0.0
        self._began = Away(0.0, 0.0)

    def begin(self, every_seconds: float = 0.0) -> None:
        """What happens from now on counts; unless that was said less than ``every_seconds`` ago."""
        now = time.monotonic()
        if now - self._looked_at >= every_seconds:
            self._looked_at, self._began = now, self._read()

    def away(self, *, anew: bool = False) -> Away:
        """What happened since the beginning; ``anew``: and what follows has its beginning here."""
        read, began = self._read(), self._began
        if anew:
            self._looked_at, self._began = time.monotonic(), read
        return Away(*(max(0.0, now - then) for now, then in zip(read, began, strict=True)))

    def _read(self) -> Away:
        return Away(self._run_delay(), self._native_seconds())

    def _native_seconds(self) -> float:
        """Seconds that threads have computed which are neither Python's nor this one."""
        if sys.platform != "linux":
            return 0.0
        python = {thread.native_id for thread in threading.enumerate()} | own_threads | {self._thread}
        return time.process_time() - sum(_thread_seconds(each) for each in python if each is not None)


def cpu_clock() -> Callable[[], float]:
    """A function that tells how many seconds this thread has computed; any thread may call it."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.monotonic  # nobody can tell: then a thread counts as computing all the time
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)


def _thread_seconds(native_id: int) -> float:
    """Seconds that a thread of this process has computed; 0 where it has ended."""
    try:
        return time.clock_gettime(~native_id << 3 | 6)  # how Linux names the clock of a thread
    except OSError:
        return 0.0
