"""The pieces that wait for a worker, and which of them is next."""

from __future__ import annotations

import heapq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Waiting:
    """Runs of items (start, stop, chunk): taken the earliest first, or from the end.

    Example:
        >>> waiting = Waiting()
        >>> for start, stop in [(5, 6), (0, 3), (3, 4)]:
        ...     waiting.add(start, stop, chunk=0)
        >>> waiting.items, waiting.first, waiting.last
        (5, (0, 3, 0), (5, 6, 0))
        >>> waiting.remove(waiting.last); waiting.remove(waiting.first); list(waiting), waiting.items
        ([(3, 4, 0)], 1)
    """

    __slots__ = ("_heap", "items")

    def __init__(self) -> None:
        self.items = 0
        self._heap: list[tuple[int, int, int]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """All of them, the earliest first."""
        return iter(sorted(self._heap))

    def add(self, start: int, stop: int, chunk: int) -> None:
        """The items [start, stop) of a chunk wait; none if the run is empty."""
        if start < stop:
            heapq.heappush(self._heap, (start, stop, chunk))
            self.items += stop - start

    @property
    def first(self) -> tuple[int, int, int]:
        """The piece with the earliest items."""
        return self._heap[0]

    @property
    def last(self) -> tuple[int, int, int]:
        """The piece with the latest items; looks at all of them."""
        return max(self._heap)

    def remove(self, piece: tuple[int, int, int]) -> None:
        """A piece waits no longer."""
        self.items -= piece[1] - piece[0]
        if piece is self._heap[0]:
            heapq.heappop(self._heap)
        else:
            self._heap.remove(piece)
            heapq.heapify(self._heap)
