"""How many items the calling thread runs in one go, before it looks at plan and workers again.

Looking costs a tenth of a millisecond, and a batch that runs can be joined by nobody: batches are short while little
is known, and grow with the time that has been spent here already.
"""

from __future__ import annotations

SHORT_SECONDS = 0.003
SHARE = 0.25  # of the time that items have run here already: what has lasted will last
LONGEST_SECONDS = 0.05
HELPED_SECONDS = 0.0005  # while workers are starting
LAST_SECONDS = 0.005  # less than this is not worth being cut
MOST_GROWTH = 4


class Batches:
    """The size of the next batch of one job.

    Args:
        streaming: a consumer waits for the results of each batch, so that all stay short.

    Example:
        >>> batches = Batches(streaming=False)
        >>> batches.size
        1
        >>> batches.ran(0.0001); batches.choose(cost=0.0001, left=1000); batches.size
        4
        >>> batches.ran(0.0004); batches.choose(cost=0.0001, left=20, certain=True); batches.size
        20
    """

    __slots__ = ("_seconds", "_streaming", "size")

    def __init__(self, streaming: bool) -> None:
        self.size = 1
        self._streaming = streaming
        self._seconds = 0.0

    def ran(self, seconds: float) -> None:
        """A batch has run."""
        self._seconds += seconds

    def choose(
        self, cost: float | None, left: int | None, *, certain: bool = False, helped: bool = False
    ) -> None:
        """Sets the size of the next batch.

        Args:
            cost: seconds an item; None if not known.
            left: number of items; None if not known.
            certain: enough items have run for the cost to be more than noise.
            helped: workers are starting.
        """
        target = HELPED_SECONDS if helped else self._target_seconds()
        cost = cost or target
        self.size = max(1, min(MOST_GROWTH * self.size, int(target / cost)))
        if left is not None and certain and left * cost < LAST_SECONDS:
            self.size = max(1, left)

    def _target_seconds(self) -> float:
        longest = SHORT_SECONDS if self._streaming else LONGEST_SECONDS
        return max(SHORT_SECONDS, min(longest, SHARE * self._seconds))
