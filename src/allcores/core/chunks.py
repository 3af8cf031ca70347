"""How many items next, and how many chunks a worker should have at hand.

Costs are in seconds an item, ``workers`` is the number of workers. The numbers were found by measurement on
small machines: a dispatch costs some 40 µs with one chunk in flight and 10 µs with four.
"""

from __future__ import annotations

import math

from allcores.core.combine import leaf_end, leaf_length

LONGEST_CHUNK_SECONDS = 0.005
SHORTEST_CHUNK_SECONDS = 0.0003
ROUNDS_LEFT = 6  # a chunk is at most this fraction of a worker's share of what is left
LONG_CHUNK_SECONDS = 0.010  # at hand: one chunk above this, two above the shortest, else four or more
AT_HAND_SECONDS = 0.0004  # of work in very short chunks: many of them can share a write
MOST_SHORT_AT_HAND = 16
AWAY_SECONDS = 0.025  # queued for each worker while the caller is busy with user code
MOST_AT_HAND = 32
FAR_SECONDS = 0.1  # of work left for each worker: then the end is far,
LONGEST_PAUSE_SECONDS = 0.008  # and the caller need not look at each report: a look costs some 0.2 ms
SURE_CHUNK_SECONDS = 0.001  # no chunk is made shorter than this only because costs differ
DEVIATIONS = 2.0  # of the time that a chunk takes: so much longer than expected it may be
WINDOW_SECONDS = 0.25
LEAST_WINDOW_ITEMS, MOST_WINDOW_ITEMS = 256, 1_000_000
TRUST = 2  # a chunk holds at most so many times the items whose cost is known: the first ones may be the cheap ones


class Cost:
    """Seconds an item takes: the larger of a moving average and the overall mean; and how much items differ."""

    __slots__ = ("_mean", "_moving", "_reports", "_seconds", "_squares", "_usual_items", "each", "items")

    def __init__(self) -> None:
        self.items = 0.0  # whose cost was observed
        self.each: float | None = None  # seconds an item; None before the first observation
        self._seconds = 0.0
        self._moving: float | None = None
        self._reports = 0
        self._usual_items = 0.0
        self._mean = self._squares = 0.0  # seconds; their squares around the mean, summed

    def observe(self, items: float, seconds: float, *, usual: bool = True) -> None:
        """Takes in that ``items`` items took ``seconds`` together; the first ones of a worker are not usual."""
        if items <= 0:
            return
        self.items += items
        self._seconds += seconds
        each = seconds / items
        self._moving = each if self._moving is None else 0.6 * self._moving + 0.4 * each
        self.each = max(self._moving, self._seconds / self.items, 1e-9)
        if usual:  # else they may have paid for imports
            self._reports += 1
            self._usual_items += items
            further = each - self._mean
            self._mean += further * items / self._usual_items
            self._squares += items * further * (each - self._mean)

    @property
    def mean(self) -> float:
        """Seconds an item has taken on average."""
        return self._seconds / self.items

    @property
    def spread(self) -> float:
        """The standard deviation of what an item takes, as a share of the mean; 0 while it is not known.

        >>> cost = Cost()
        >>> for seconds in (0.001, 0.003, 0.001, 0.003):
        ...     cost.observe(1, seconds)
        >>> round(cost.spread, 2)
        0.58
        """
        if self._reports < 2 or not self._mean:
            return 0.0
        return math.sqrt(self._squares / (self._reports - 1)) / self._mean


def target_seconds(cost: float, remaining: int | None, workers: int) -> float:
    """How long the next chunk should run.

    >>> target_seconds(0.001, None, 2)
    0.005
    >>> round(target_seconds(0.001, 12, 2), 6)
    0.001
    """
    if remaining is None:
        return LONGEST_CHUNK_SECONDS
    share = remaining * cost / (ROUNDS_LEFT * workers)
    return min(LONGEST_CHUNK_SECONDS, max(share, SHORTEST_CHUNK_SECONDS))


def most_bound(left: float, spread: float) -> float:
    """How many items one worker may be bound to, of ``left`` ones for each, so that it is not the last to end.

    All of them where costs are equal, and the fewer the more they differ (TAPER; S. Lucco, "A dynamic scheduling
    method for irregular parallel programs", PLDI 1992).

    >>> most_bound(50, 0.0), round(most_bound(50, 1.0), 1), round(most_bound(50, 3.0), 1)
    (50.0, 31.9, 5.4)
    """
    deviation = DEVIATIONS * spread
    return left + deviation * deviation / 2 - deviation * math.sqrt(2 * left + deviation * deviation / 4)


def next_size(
    cost: float | None, seen: float, remaining: int | None, workers: int, spread: float = 0.0
) -> int:
    """Number of items in the next chunk, after ``seen`` ones were measured; 1 while the cost is unknown.

    >>> next_size(None, 0, 100, 2), next_size(0.0001, 1000, None, 2), next_size(1.0, 1000, 100, 2)
    (1, 50, 1)
    >>> next_size(0.0001, 1, None, 2)
    2
    """
    if cost is None:
        return 1
    size = max(1, min(int(target_seconds(cost, remaining, workers) / cost), int(TRUST * seen)))
    if remaining is not None:
        size = min(size, max(1, math.ceil(remaining / workers)))
        if spread:
            bound = max(most_bound(remaining / workers, spread), SURE_CHUNK_SECONDS / cost)
            size = max(1, min(size, int(bound)))
    return size


def to_leaf(first: int, size: int, cost: float | None) -> int:
    """Rounds a chunk of a reduction up to the end of a leaf, where leaves are cheap enough for that.

    >>> to_leaf(1024, 5, 1e-6), to_leaf(1 << 20, 5, 0.01)
    (8, 5)
    """
    if cost is None or leaf_length(first) * cost > LONGEST_CHUNK_SECONDS:
        return size
    return leaf_end(first + size - 1) - first


def at_hand(chunk_seconds: float | None, bound: float, away: bool) -> int:
    """How many chunks each worker should hold, the running one included.

    ``bound``: how many it may be bound to without being the last to end. ``away``: the caller is busy.

    >>> at_hand(None, 100, False), at_hand(0.02, 100, False), at_hand(0.005, 100, False)
    (1, 1, 2)
    >>> at_hand(0.0001, 100, False), at_hand(0.0001, 1.5, False), at_hand(0.005, 100, True)
    (4, 1, 6)
    >>> at_hand(0.00005, 100, False), at_hand(0.000001, 100, False), at_hand(0.000001, 10, False)
    (8, 16, 10)
    """
    if chunk_seconds is None:
        return 1
    if bound < 2 or chunk_seconds > LONG_CHUNK_SECONDS:
        depth = 1
    elif chunk_seconds > SHORTEST_CHUNK_SECONDS:
        depth = 2
    else:
        many = min(MOST_SHORT_AT_HAND, AT_HAND_SECONDS / max(chunk_seconds, 1e-9), bound)
        depth = max(4, round(many))
    if away:
        depth = max(depth, 1 + int(AWAY_SECONDS / max(chunk_seconds, 1e-9)))
    return min(depth, MOST_AT_HAND)


def window_items(cost: float | None, workers: int) -> int:
    """How far a stream may run ahead of its consumer, where the user does not say.

    >>> window_items(0.0001, 2), window_items(0.1, 2), window_items(None, 1000)
    (5000, 256, 1000)
    """
    by_time = 0 if cost is None else int(WINDOW_SECONDS * max(1, workers) / cost)
    return min(MOST_WINDOW_ITEMS, max(LEAST_WINDOW_ITEMS, workers, by_time))
