"""What ``explain`` says of a search before it is fitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from allcores.sklearn.sharing import Unit


class SearchPlan:
    """What a search is going to do; printed, it is a text.

    Attributes:
        n_candidates: sets of parameters, in all rounds.
        n_fits: fits of candidates on folds; the last fit, of the best one, comes on top.
        n_jobs: workers.
        n_units: pieces of work that the fits were put together to.
        shared: what is done once for several fits, in words, and how often.
        seconds: predicted for all fits; None where nobody knows. Where something is shared it is at most so much.
        measured_seconds: what the one fit took that was made to find out; None where the like was fitted before.
        reason: why the fits run plainly; None where they are recognised.
    """

    def __init__(self, n_jobs: int) -> None:
        self.n_candidates = 0
        self.n_fits = 0
        self.n_jobs = n_jobs
        self.n_units = 0
        self.shared: Counter[str] = Counter()
        self.measured_seconds: float | None = None
        self.reason: str | None = None
        self._known: list[float | None] = []

    def add(
        self, candidates: Sequence[Any], fits: int, units: Sequence[Unit], known: Sequence[float | None]
    ) -> None:
        """One round of fits."""
        self.n_candidates += len(candidates)
        self.n_fits += fits
        self.n_units += len(units)
        self.shared.update(each.description for each in units if each.description)
        self._known += known

    @property
    def seconds(self) -> float | None:
        known = [each for each in self._known if each is not None]
        each = sum(known) / len(known) if known else self.measured_seconds
        if each is None:
            return None
        total = sum(known) + each * (len(self._known) - len(known))
        return total / max(1, min(self.n_jobs, self.n_units))

    def __repr__(self) -> str:
        return f"SearchPlan(n_fits={self.n_fits}, n_jobs={self.n_jobs}, seconds={self.seconds})"

    def __str__(self) -> str:
        if self.reason is not None:
            return f"the fits run plainly, and nothing is shared: {self.reason}"
        numbers = [(self.n_candidates, "candidate"), (self.n_fits, "fit"), (self.n_jobs, "worker")]
        candidates, fits, workers = (f"{number} {what}{'s' * (number != 1)}" for number, what in numbers)
        lines = [f"{candidates}, {fits}, with {workers}"]
        if self.n_units < self.n_fits:
            lines.append(f"- put together to {self.n_units} units of work")
        lines += [f"- shared {times} times: {what}" for what, times in self.shared.items()]
        if not self.shared:
            lines.append("- nothing is shared: every fit is made for itself")
        if self.seconds is not None:
            bound = "at most " if self.shared else ""
            how = (
                f"one fit took {self.measured_seconds:.2g} s"
                if self.measured_seconds is not None
                else "as the like took before"
            )
            lines.append(f"- about {bound}{self.seconds:.2g} s ({how})")
        return "\n".join(lines)
