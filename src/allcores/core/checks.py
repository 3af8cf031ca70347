"""When to look at which worker, because what it runs may have run too long by then."""

from __future__ import annotations

import heapq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 16  # of those that were put off or dropped: these need no tidying


class Checks:
    """One time for a worker at most; the earliest is found without a look at all of them.

    Example:
        >>> checks = Checks()
        >>> checks.put(7, 3.0); checks.put(8, 2.0); checks.put(7, 1.0); checks.drop(8)
        >>> checks.next_at, list(checks.due(1.5)), checks.next_at
        (1.0, [7], None)
    """

    __slots__ = ("_heap", "_times")

    def __init__(self) -> None:
        self._times: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []  # what was put off or dropped may still be in it

    def put(self, worker: int, when: float) -> None:
        """A worker is to be looked at then, and not before."""
        self._times[worker] = when
        heapq.heappush(self._heap, (when, worker))
        if len(self._heap) > 2 * len(self._times) + FEW:
            self._heap = [(when, worker) for worker, when in self._times.items()]
            heapq.heapify(self._heap)

    def drop(self, worker: int) -> None:
        """A worker need not be looked at."""
        self._times.pop(worker, None)

    @property
    def next_at(self) -> float | None:
        """The earliest of the times, or None."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[int]:
        """Takes out the workers whose time has come, the earliest first."""
        while (when := self.next_at) is not None and when <= now:
            worker = heapq.heappop(self._heap)[1]
            del self._times[worker]
            yield worker
