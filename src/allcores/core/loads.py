"""Who holds how many pieces, so that the next one goes to a worker that holds the fewest."""

from __future__ import annotations

from collections import OrderedDict


class Loads:
    """The workers that may be given pieces, by the number that they hold.

    Example:
        >>> loads = Loads()
        >>> loads.add(7); loads.add(8); loads.move(7, 0, 1)
        >>> loads.lightest(0, 2), loads.lightest(1, 2), loads.room(2)
        ((0, 8), (1, 7), 3)
    """

    __slots__ = ("_by_load",)

    def __init__(self) -> None:
        # Ordered dictionaries know their first key; a plain one looks for it among all that have left.
        self._by_load: list[OrderedDict[int, None]] = [OrderedDict()]

    def add(self, worker: int) -> None:
        """A new worker, which holds nothing."""
        self._by_load[0][worker] = None

    def remove(self, worker: int, load: int) -> None:
        """A worker that holds ``load`` pieces is to be given no more."""
        del self._by_load[load][worker]

    def move(self, worker: int, before: int, after: int) -> None:
        """A worker holds another number of pieces."""
        while len(self._by_load) <= after:
            self._by_load.append(OrderedDict())
        del self._by_load[before][worker]
        self._by_load[after][worker] = None

    def lightest(self, least: int, depth: int) -> tuple[int, int] | None:
        """A worker with at least ``least`` and fewer than ``depth`` pieces, behind the number that it holds."""
        for load in range(least, min(depth, len(self._by_load))):
            for worker in self._by_load[load]:
                return load, worker
        return None

    def room(self, depth: int) -> int:
        """How many pieces fill everybody up to ``depth``: what one holds too many does not feed another."""
        room = 0
        for workers in self._by_load:
            if not depth:
                break
            room += depth * len(workers)
            depth -= 1
        return room
