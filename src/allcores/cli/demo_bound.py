"""The best that any scheduler could do with a row of the demo on this machine. Pure.

Two things keep n cores from being n times as fast as one: they share caches, memory and clock (the capacity, measured
with the same work in static processes at once), and whole items cannot be cut (the balance, from the length of
the longest core's share when items are dealt out longest first).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def capacity(alone_seconds: float, together_seconds: Sequence[float]) -> float:
    """How many cores' worth of this work the machine does when all are busy; between 1 and the number of processes.

    >>> capacity(1.0, [1.25, 1.25])
    1.6
    """
    done = sum(alone_seconds / seconds for seconds in together_seconds)
    return min(max(done, 1.0), float(len(together_seconds)))


def longest_share(item_seconds: Sequence[float], seats: int) -> float:
    """Length of the longest share when items are dealt to seats, longest first, each to the least busy one.

    >>> longest_share([1, 2, 3, 4, 5, 6, 7, 8], seats=2), longest_share([9, 1, 1], seats=2)
    (18.0, 9.0)
    """
    shares = [0.0] * seats
    for seconds in sorted(item_seconds, reverse=True):
        heapq.heapreplace(shares, shares[0] + seconds)
    return max(shares)


def balance(item_seconds: Sequence[float], seats: int) -> float:
    """Part of the seats' time that whole items can fill; 1 where they can be dealt out evenly.

    >>> balance([1, 1], seats=2), balance([9, 1, 1, 1], seats=2)
    (1.0, 0.6666666666666666)
    """
    longest = longest_share(item_seconds, seats)
    return sum(item_seconds) / (seats * longest) if longest else 1.0
