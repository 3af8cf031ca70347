"""Reductions whose result depends on the items alone.

Outputs are folded left to right within leaves, and leaves are merged by the binary tree over the source
indices. A leaf is an aligned block of 1 item below index 512, then of 2 ** (floor(log2 i) - 8) items: 256
leaves an octave. Where a chunk begins or ends, which worker ran it and in what order results came back
changes no bit of the result.

A ``Collector`` does this for any consecutive run of items, in a worker or in the caller: it is fed items and
nodes in the order of their indices and keeps the outputs of an unfinished leaf raw, so that a run may be cut
anywhere and continued elsewhere.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

ONE_ITEM_LEAVES = 512
LEAVES_AN_OCTAVE_LOG2 = 8


class Absent:
    """The value of a run of items that left no output; ``ABSENT`` is its only instance, also after pickling."""

    __slots__ = ()

    def __reduce__(self) -> str:
        return "ABSENT"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


class StepFailed(Exception):
    """The user's folding or merging raised; ``index`` is the item at which the loop would have raised."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Reduction:
    """How outputs become one value.

    Attributes:
        fold: from a non-empty list of outputs to one value.
        merge: from the values of two neighbours, the left one first, to the value of both.
    """

    __slots__ = ("fold", "merge")

    def __init__(self, fold: Callable[[list[Any]], Any], merge: Callable[[Any, Any], Any]) -> None:
        self.fold = fold
        self.merge = merge

    def __reduce__(self) -> tuple[Any, ...]:
        return Reduction, (self.fold, self.merge)


def leaf_length(index: int) -> int:
    """Number of items in the leaf that holds ``index``.

    >>> [leaf_length(i) for i in (0, 511, 512, 1023, 1024, 1_000_000)]
    [1, 1, 2, 2, 4, 2048]
    """
    if index < ONE_ITEM_LEAVES:
        return 1
    return 1 << (index.bit_length() - 1 - LEAVES_AN_OCTAVE_LOG2)


def leaf_end(index: int) -> int:
    """First index behind the leaf that holds ``index``.

    >>> leaf_end(513), leaf_end(1_000_000)
    (514, 1001472)
    """
    length = leaf_length(index)
    return index - index % length + length


class Collector:
    """Reduces a consecutive run of items as far as the items it was fed allow.

    It holds segments (start, stop, is_node, value): nodes are values of aligned blocks, merged with their
    sibling as soon as both are there; the others are lists of raw outputs, of a leaf whose head is elsewhere
    or whose end has not come yet.
    """

    __slots__ = ("_fold", "_leaf_end", "_merge", "_raw", "_raw_start", "_segments", "_spreads")

    def __init__(self, reduction: Reduction, spreads: bool) -> None:
        self._fold = reduction.fold
        self._merge = reduction.merge
        self._spreads = spreads
        self._segments: list[tuple[int, int, bool, Any]] = []
        self._raw: list[Any] = []
        self._raw_start = 0
        self._leaf_end = 0

    def items(self, start: int, outputs: Sequence[Any]) -> None:
        """Takes the outputs of the next items (with ``spreads`` lists of outputs). Raises StepFailed."""
        taken, count = 0, len(outputs)
        while taken < count:
            index = start + taken
            if not self._raw:
                self._raw_start = index
                self._leaf_end = leaf_end(index)
            until = min(count, self._leaf_end - start)
            if self._raw:
                self._raw += outputs[taken:until]
            else:
                self._raw = list(outputs[taken:until]) if type(outputs) is not list else outputs[taken:until]
            taken = until
            if start + taken == self._leaf_end:
                self._end_leaf()

    def node(self, start: int, stop: int, value: Any) -> None:
        """Takes the value of the next aligned block [start, stop). Raises StepFailed."""
        self._segments.append((start, stop, True, value))
        self._merge_siblings()

    def take(self) -> list[tuple[int, int, bool, Any]]:
        """Hands over the segments that it holds, and holds nothing any more."""
        segments, self._segments = self._segments, []
        if self._raw:
            segments.append((self._raw_start, self._raw_start + len(self._raw), False, self._raw))
            self._raw = []
        return segments

    def result(self) -> Any:
        """The value of everything fed since index 0, or ``ABSENT``. Raises StepFailed."""
        if self._raw:
            self._end_leaf()
        while len(self._segments) > 1:
            self._merge_last_two()
        return self._segments[0][3] if self._segments else ABSENT

    def _end_leaf(self) -> None:
        start, raw = self._raw_start, self._raw
        self._raw = []
        if start % leaf_length(start):
            self._segments.append((start, start + len(raw), False, raw))
        else:
            self.node(start, start + len(raw), self._folded(start, raw))

    def _folded(self, start: int, raw: list[Any]) -> Any:
        outputs = [value for values in raw for value in values] if self._spreads else raw
        if not outputs:
            return ABSENT
        try:
            return self._fold(outputs)
        except Exception as error:
            raise StepFailed(start) from error

    def _merge_siblings(self) -> None:
        while len(self._segments) > 1:
            (left_start, left_stop, left_is_node, _), (start, stop, is_node, _) = self._segments[-2:]
            size = stop - start
            siblings = left_stop - left_start == size and left_start % (2 * size) == 0
            if not (siblings and is_node and left_is_node):
                return
            self._merge_last_two()

    def _merge_last_two(self) -> None:
        start, stop, _, right = self._segments.pop()
        left_start, _, _, left = self._segments.pop()
        if left is ABSENT or right is ABSENT:
            value = right if left is ABSENT else left
        else:
            try:
                value = self._merge(left, right)
            except Exception as error:
                raise StepFailed(start) from error
        self._segments.append((left_start, stop, True, value))
