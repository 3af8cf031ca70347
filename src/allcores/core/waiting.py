"""The pieces that wait for a worker, and which of them is next."""

from __future__ import annotations

import heapq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

Piece = tuple[int, int, int]  # start, stop, chunk

FEW = 16  # of those that were taken already: these need no tidying


class Waiting:
    """Runs of items (start, stop, chunk): taken the earliest first, or the longest; of equal ones the latest.

    There is a heap for either end, so that nobody looks at all of them, however many wait.

    Example:
        >>> waiting = Waiting()
        >>> for start, stop, cost in [(5, 6, 1.0), (0, 3, 2.5), (3, 4, 7.0), (6, 7, 1.0)]:
        ...     waiting.add(start, stop, chunk=0, cost=cost)
        >>> waiting.items, waiting.first, waiting.longest
        (6, (0, 3, 0), (3, 4, 0))
        >>> waiting.remove(waiting.longest); waiting.remove(waiting.first); waiting.longest
        (6, 7, 0)
        >>> list(waiting), waiting.items
        ([(5, 6, 0), (6, 7, 0)], 2)
    """

    __slots__ = ("_earliest", "_longest", "_there", "items")

    def __init__(self) -> None:
        self.items = 0
        self._there: set[Piece] = set()
        self._earliest: list[tuple[float, float, Piece]] = []  # heaps; what was taken may still be in them
        self._longest: list[tuple[float, float, Piece]] = []

    def __len__(self) -> int:
        return len(self._there)

    def __iter__(self) -> Iterator[Piece]:
        """All of them, the earliest first."""
        return iter(sorted(self._there))

    def add(self, start: int, stop: int, chunk: int, cost: float = 0.0) -> None:
        """The items [start, stop) of a chunk wait; none if the run is empty."""
        if start < stop:
            piece = (start, stop, chunk)
            self._there.add(piece)
            heapq.heappush(self._earliest, (start, 0.0, piece))
            heapq.heappush(self._longest, (-cost, -start, piece))
            self.items += stop - start

    @property
    def first(self) -> Piece:
        """The piece with the earliest items."""
        return self._top(self._earliest)

    @property
    def longest(self) -> Piece:
        """The piece that costs most; of equal ones that with the latest items."""
        return self._top(self._longest)

    def remove(self, piece: Piece) -> None:
        """A piece waits no longer."""
        self.items -= piece[1] - piece[0]
        self._there.remove(piece)
        for heap in (self._earliest, self._longest):
            if len(heap) > 2 * len(self._there) + FEW:
                heap[:] = [entry for entry in heap if entry[2] in self._there]
                heapq.heapify(heap)

    def _top(self, heap: list[tuple[float, float, Piece]]) -> Piece:
        while heap[0][2] not in self._there:
            heapq.heappop(heap)
        return heap[0][2]
