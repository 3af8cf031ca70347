"""What a worker's items took."""

from __future__ import annotations

from time import perf_counter, thread_time

from allcores.core.growth import WAITING_SHARE
from allcores.tasks.run_delay import run_delay_clock


class Stopwatch:
    """Tells how long a thread worked since it was started, and how long it computed.

    A thread that had no core did not wait, in the sense of a network or a disk: on a busy machine all items would seem
    to do that. It is looked up where items seem to wait, since a look takes some ten microseconds.

    Example:
        >>> watch = Stopwatch()
        >>> watch.start()
        >>> [0 <= each < 1 for each in watch.read()]
        [True, True]
    """

    __slots__ = ("_computed", "_delayed", "_run_delay", "_started")

    def __init__(self) -> None:
        self._run_delay = run_delay_clock()
        self._delayed = self._run_delay()  # when that was looked up last
        self.start()

    def start(self) -> None:
        """From now on."""
        self._started, self._computed = perf_counter(), thread_time()

    def read(self) -> tuple[float, float]:
        """Seconds, and CPU seconds."""
        seconds, cpu_seconds = perf_counter() - self._started, thread_time() - self._computed
        if cpu_seconds < WAITING_SHARE * seconds:
            before, self._delayed = self._delayed, self._run_delay()
            seconds = max(cpu_seconds, seconds - (self._delayed - before))
        return seconds, cpu_seconds
