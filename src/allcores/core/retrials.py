"""Which items are tried again, and when."""

from __future__ import annotations

import heapq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Retrials:
    """The items of one job that have failed, as long as something can be done about it.

    Args:
        most: how often one item may be tried again.
        wait_seconds: between a failure and the next attempt.

    Example:
        >>> retrials = Retrials(most=1, wait_seconds=0.5)
        >>> retrials.are_over(7, chunk=4, now=2.0), retrials.next_at, list(retrials.due(now=2.5))
        (False, 2.5, [(7, 4)])
        >>> retrials.are_over(7, chunk=4, now=3.0), retrials.next_at
        (True, None)
    """

    __slots__ = ("_failures", "_heap", "_most", "_wait_seconds")

    def __init__(self, most: int, wait_seconds: float) -> None:
        self._most = most
        self._wait_seconds = wait_seconds
        self._failures: dict[int, int] = {}
        self._heap: list[tuple[float, int, int]] = []  # when, item, chunk

    def are_over(self, index: int, chunk: int, now: float) -> bool:
        """Counts a failed attempt at an item; True where there will be no other one."""
        failures = self._failures[index] = self._failures.get(index, 0) + 1
        if failures > self._most:
            return True
        heapq.heappush(self._heap, (now + self._wait_seconds, index, chunk))
        return False

    @property
    def next_at(self) -> float | None:
        """When the next attempt is due, or None."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[tuple[int, int]]:
        """Takes out what is to be tried now: item and chunk, the longest due first."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[1:]
