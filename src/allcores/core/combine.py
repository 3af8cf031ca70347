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
    from collections.abc import Callable, Iterable
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
