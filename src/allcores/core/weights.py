"""What items should cost beside each other: what the user told, or else nothing is known and all are alike."""

from __future__ import annotations

from itertools import accumulate, takewhile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Weights:
    """How many average items a run of items amounts to.

    Args:
        costs: by item, in any unit; None: not told.

    Example:
        >>> Weights([1, 2, 9]).of(1, 3), Weights([0, 0, 0]).of(1, 3), Weights(None).of(1, 3)
        (2.75, 2, 2)
        >>> Weights([1, 1, 1, 9, 1]).fit(0, 4, 2.5), Weights([1, 1, 1, 9, 1]).fit(3, 2, 2.5)
        (3, 1)
    """

    __slots__ = ("_costs", "_mean", "told")

    def __init__(self, costs: Sequence[float] | None) -> None:
        self._costs = costs or ()
        self._mean = sum(self._costs) / len(self._costs) if costs else 0.0
        self.told = self._mean > 0

    def fit(self, start: int, most_items: int, weight: float) -> int:
        """How many items from ``start`` on amount to at most so much: at least one, at most ``most_items``."""
        if not self.told:
            return most_items
        sums = accumulate(self._costs[start : start + most_items])
        return max(1, sum(1 for _ in takewhile(lambda total: total <= weight * self._mean, sums)))

    def of(self, start: int, stop: int) -> float:
        """The weight of the items [start, stop)."""
        return sum(self._costs[start:stop]) / self._mean if self.told else stop - start
