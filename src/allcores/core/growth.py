"""How many workers wait at once: more as long as more brings more.

Where items spend their time waiting, cores are not the limit. The number of workers starts where the plan put it
and doubles as long as the rate of finished items still rises with it.
"""

from __future__ import annotations

WAITING_SHARE = 0.5  # items wait when they use the processor for less than this share of their time
LEAST_WAITED_SECONDS = (
    0.01  # by all items since the last look: less may be one that somebody took the core from
)
FIRST_WAITING = 16
ENOUGH_SHARE = (
    0.75  # of the workers have finished an item: to wait for the slowest would cost a round each time
)
WORTHWHILE_GAIN = 1.2  # a doubling must raise the rate by this factor for the next one to be tried


class Growth:
    """Decides the number of workers of one job.

    Args:
        workers: the number to start with.
        most: the number never to pass.
    """

    __slots__ = ("_computed", "_cpu_seconds", "_done", "_rate", "_seconds", "most", "settled", "workers")

    def __init__(self, workers: int, most: int) -> None:
        self.workers = workers
        self.most = most
        self.settled = workers >= most
        self._rate = 0.0
        self._computed = False  # the last look saw items that compute
        self._done = 0
        self._seconds = 0.0
        self._cpu_seconds = 0.0

    def observe(self, items: int, seconds: float, cpu_seconds: float) -> int:
        """Takes in that a worker finished items; returns the number of workers wanted now."""
        if self.settled:
            return self.workers
        self._done += items
        self._seconds += seconds
        self._cpu_seconds += cpu_seconds
        if self._done < ENOUGH_SHARE * self.workers:
            return self.workers
        if self._cpu_seconds > WAITING_SHARE * self._seconds:
            self.settled = self._computed  # not at once: a worker's first item often pays for imports
            self._computed = True
            self._restart()
            return self.workers
        if self._seconds < LEAST_WAITED_SECONDS:
            return self.workers
        rate = (
            self.workers * self._done / max(self._seconds, 1e-9)
        )  # as the items show it: no stall of ours counts
        if rate < WORTHWHILE_GAIN * self._rate:
            self.settled = True
            return self.workers
        self._rate = rate
        self.workers = min(self.most, max(2 * self.workers, FIRST_WAITING))
        self.settled = self.workers == self.most
        self._restart()
        return self.workers

    def _restart(self) -> None:
        self._done = 0
        self._seconds = 0.0
        self._cpu_seconds = 0.0
