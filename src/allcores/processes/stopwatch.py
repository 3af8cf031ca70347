"""What a worker's items took."""

from __future__ import annotations

from time import perf_counter, thread_time

from allcores.core.growth import WAITING_SHARE
from allcores.tasks.run_delay import run_delay_clock


class Stopwatch:
    """Tells how long a thread worked since it was started, and how long it computed.

    A thread that had no core did not wait, in the sense of a network or a disk: on a busy machine all items would seem
    to do that. It is looked up where items seem to wait, since a look takes some ten microseconds; what has gathered
    since the look before is shared out evenly over the time between.

    Example:
        >>> watch = Stopwatch()
        >>> watch.start()
        >>> [0 <= each < 1 for each in watch.read()]
        [True, True]
    """

    __slots__ = ("_computed", "_delayed", "_looked", "_run_delay", "_started")

    def __init__(self) -> None:
        self._run_delay = run_delay_clock()
        self._looked, self._delayed = perf_counter(), self._run_delay()
        self.start()

    def start(self) -> None:
        """From now on."""
        self._started, self._computed = perf_counter(), thread_time()

    def read(self) -> tuple[float, float]:
        """Seconds, and CPU seconds."""
        now, cpu_seconds = perf_counter(), thread_time() - self._computed
        seconds = now - self._started
        if cpu_seconds < WAITING_SHARE * seconds:
            share = seconds / max(seconds, now - self._looked)
            before, self._delayed, self._looked = self._delayed, self._run_delay(), now
            seconds = max(cpu_seconds, seconds - share * (self._delayed - before))
        return seconds, cpu_seconds
