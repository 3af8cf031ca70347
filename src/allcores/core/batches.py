"""How many items the calling thread runs in one go, before it looks at plan and workers again.

Looking costs a fifth of a millisecond: batches are short while little is known, and grow with the time that has been
spent here already. While one runs that turns out to be long, others can take what it has not come to, of
most inputs.
"""

from __future__ import annotations

SHORT_SECONDS = 0.003
SHARE = 1.0  # of the time that items have run here already: what has lasted will last
LONGEST_SECONDS = 0.05
LONGEST_REDUCED_SECONDS = 0.008  # outputs that are folded next had better be in the cache still
HELPED_SECONDS = 0.0005  # while workers are starting
LAST_SECONDS = 0.005  # less than this is not worth being cut
MOST_GROWTH = 16
PIECE_SECONDS = 0.0001  # to pull one costs a microsecond
LEAST_COST_SECONDS = 1e-9


class Batches:
    """The size of the next batch of one job.

    Args:
        streaming: a consumer waits for the results of each batch, so that all stay short.
        reduced: results are folded into one, once a batch has run.

    Example:
        >>> batches = Batches(streaming=False)
        >>> batches.size
        1
        >>> batches.ran(1, 0.0001); batches.choose(left=1000); batches.size
        16
        >>> batches.ran(16, 0.0016); batches.choose(left=20, certain=True); batches.size
        20
    """

    __slots__ = ("_cost", "_longest_seconds", "_seconds", "size")

    def __init__(self, streaming: bool, reduced: bool = False) -> None:
        self.size = 1
        longest_seconds = LONGEST_REDUCED_SECONDS if reduced else LONGEST_SECONDS
        self._longest_seconds = SHORT_SECONDS if streaming else longest_seconds
        self._seconds = 0.0
        self._cost = (
            SHORT_SECONDS  # of an item of the last batch: the first ones of a job cost more than the rest
        )

    def ran(self, items: int, seconds: float) -> None:
        """A batch has run."""
        self._seconds += seconds
        if items:
            self._cost = max(seconds / items, LEAST_COST_SECONDS)

    def choose(self, left: int | None, *, certain: bool = False, helped: bool = False) -> None:
        """Sets the size of the next batch.

        Args:
            left: number of items; None if not known.
            certain: enough items have run for the cost to be more than noise.
            helped: workers are starting.
        """
        target = HELPED_SECONDS if helped else self._target_seconds()
        self.size = max(1, min(MOST_GROWTH * self.size, int(target / self._cost)))
        if left is not None and certain and left * self._cost < LAST_SECONDS:
            self.size = max(1, left)

    @property
    def piece(self) -> int:
        """How many items of a batch are pulled at once; others may take the rest."""
        return max(1, int(PIECE_SECONDS / self._cost))

    def _target_seconds(self) -> float:
        return max(SHORT_SECONDS, min(self._longest_seconds, SHARE * self._seconds))
