"""Whether the cost of items rises with their index, as in a grid of growing sizes or over a list of files by size.

Where it does, the longest items come last, when nothing is left to fill the other workers' time: one of the
textbook's worst cases of list scheduling. Dealt out longest first (LPT; R. L. Graham, "Bounds on multiprocessing timing
anomalies", SIAM J. Appl. Math. 17, 1969) the makespan is at most 4/3 of the best possible one, instead of twice.
"""

from __future__ import annotations

LEAST_SEEN = 3  # items: fewer always lie on some line
LEAST_EXPLAINED = 0.5  # share of the costs' variance that the line explains (r squared)


class Trend:
    """The line through the costs of the items seen so far, by least squares, in constant memory.

    Example:
        >>> trend = Trend()
        >>> for index, seconds in [(0, 0.1), (1, 0.2), (3, 0.35)]:
        ...     trend.observe(index, seconds)
        >>> trend.rises
        True
        >>> trend.observe(4, 0.01); trend.rises
        False
    """

    __slots__ = ("_both", "_index", "_indices", "_second", "_seconds", "_seen")

    def __init__(self) -> None:
        self._seen = 0
        self._index = self._second = 0.0  # means
        self._indices = self._seconds = self._both = 0.0  # sums of squares and products around the means

    def observe(self, index: int, seconds: float) -> None:
        """Takes in that the item ``index`` took so long (B. P. Welford, Technometrics 4, 1962)."""
        self._seen += 1
        further, longer = index - self._index, seconds - self._second
        self._index += further / self._seen
        self._second += longer / self._seen
        self._indices += further * (index - self._index)
        self._seconds += longer * (seconds - self._second)
        self._both += further * (seconds - self._second)

    @property
    def rises(self) -> bool:
        """Whether later items take longer, and not just by chance."""
        if self._seen < LEAST_SEEN or self._both <= 0:
            return False
        return self._both**2 >= LEAST_EXPLAINED * self._indices * self._seconds
