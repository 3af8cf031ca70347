"""How far the job may run ahead of its user: items pulled and not yet taken, and the bytes that wait on the way."""

from __future__ import annotations

from allcores.core import chunks
from allcores.core.rules import Rules

LIGHT_BYTES = 1 << 16  # what is kept until the last item of a chunk is done


class Window:
    """Counts what the user has not taken yet, in items and in bytes of inputs in flight and of results.

    Example:
        >>> window = Window(Rules(window=4, window_bytes=10))
        >>> window.offered(0, 2, 12); window.is_full(pulled=1), window.room(2, None, 2)
        (True, 2)
        >>> window.settled(2)
        >>> [window.ends(0, items=1) for _ in range(2)], window.is_full(pulled=1)
        ([False, True], False)
    """

    __slots__ = ("_held_bytes", "_last_bytes", "_last_item_bytes", "_payloads", "_rules", "_taken")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._taken = 0
        self._held_bytes = 0
        # By chunk: its items that are not settled, all its bytes.
        self._payloads: dict[int, tuple[int, int]] = {}
        self._last_bytes = self._last_item_bytes = rules.window_bytes  # of the last payload

    def offered(self, chunk: int, items: int, size_bytes: int) -> None:
        """A chunk was packed."""
        self._payloads[chunk] = items, size_bytes
        self._last_bytes, self._last_item_bytes = size_bytes, size_bytes // items
        self._held_bytes += size_bytes

    def settled(self, size_bytes: int) -> None:
        """Results have come."""
        self._held_bytes += size_bytes

    def ends(self, chunk: int, items: int) -> bool:
        """Whether, with these items settled, nobody needs any more what was packed for the chunk."""
        left, size_bytes = self._payloads[chunk]
        if left > items:
            self._payloads[chunk] = left - items, size_bytes
            return False
        del self._payloads[chunk]
        self._held_bytes -= size_bytes
        return True

    def taken(self, items: int, size_bytes: int) -> None:
        """The user has taken the results of so many more items."""
        self._taken += items
        self._held_bytes -= size_bytes

    def is_full(self, pulled: int) -> bool:
        """Whether too many bytes wait, after ``pulled`` items; one item may always be on its way."""
        return self._held_bytes > self._rules.window_bytes and pulled > self._taken

    def room(self, pulled: int, item_seconds: float | None, workers: int) -> int:
        """How many more items may be pulled, after ``pulled`` ones, before the user has taken some."""
        most = self._rules.window
        if most is None and self._rules.bounded:
            most = chunks.window_items(item_seconds, workers)
        return (chunks.MOST_WINDOW_ITEMS if most is None else most) - (pulled - self._taken)

    def payloads(self) -> int:
        """How many chunks as large as the last one have room, at least one."""
        return max(1, (self._rules.window_bytes - self._held_bytes) // max(1, self._last_bytes))

    def light(self, items: int) -> int:
        """How many times so many items weigh nothing together, if they are like the last one; at least once."""
        return max(1, LIGHT_BYTES // max(1, items * self._last_item_bytes))
