"""In what order settled items reach the user."""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class InOrder:
    """Holds back what belongs to later items until everything before it has been taken.

    Example:
        >>> line = InOrder()
        >>> line.put(2, 3, "c"); line.put(0, 2, "ab")
        >>> line.take(), line.take(), line.take()
        ('ab', 'c', None)
    """

    def __init__(self) -> None:
        self._next = 0
        self._held: dict[int, tuple[int, Any]] = {}

    def put(self, start: int, stop: int, thing: Any) -> None:
        """Takes in what belongs to the items [start, stop)."""
        self._held[start] = (stop, thing)

    def take(self) -> Any:
        """What belongs to the next items, or None while that is missing."""
        if self._next not in self._held:
            return None
        self._next, thing = self._held.pop(self._next)
        return thing

    def is_next(self, start: int) -> bool:
        """Whether everything before this item has been taken."""
        return start == self._next

    def rest(self) -> list[Any]:
        """Everything that is still held, by index."""
        return [self._held[start][1] for start in sorted(self._held)]


class AsFinished:
    """Hands everything on in the order in which it came."""

    def __init__(self) -> None:
        self._held: deque[Any] = deque()

    def put(self, start: int, stop: int, thing: Any) -> None:
        """Takes in what belongs to the items [start, stop)."""
        self._held.append(thing)

    def take(self) -> Any:
        """What came first, or None."""
        return self._held.popleft() if self._held else None

    def is_next(self, start: int) -> bool:
        """Never for sure: others may come before it."""
        return False

    def rest(self) -> list[Any]:
        """Everything that is still held."""
        return list(self._held)
