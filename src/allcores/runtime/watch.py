"""The guard's watch over one job: asks it once, right before work would first move, and tells the user.

Until then it compares digests around the first items that run in the calling thread. ``writes="error"`` asks
before anything runs.
"""

from __future__ import annotations

from allcores.core.plan import PROCESSES, THREADS
from allcores.errors import LostWriteError, LostWriteWarning
from allcores.options import Options
from allcores.runtime.priors import Prior
from allcores.runtime.source import UNCHANGING, Steps
from allcores.tasks.task import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.guard.digests import Held

WATCHED_BATCHES = 3


class Watch:
    """What is known about the writes of one job.

    Attributes:
        refuses: whether a write that would be lost is an error.
        asked: whether the guard has been asked.
        threads_may_compute: whether everything that the task reaches may run in threads; taken for granted before.
        untold: what the user is still to be told.
        prior: what calls before this one found, and this one adds to.
    """

    def __init__(self, task: Task, options: Options) -> None:
        self.refuses = options.writes == "error"
        self.asked = False
        self.threads_may_compute = True
        self.untold: str | None = None
        self.prior = Prior()
        self.lost: str | None = None  # what is written, in words
        self._task = task
        self._writes = options.writes
        self._batches = 0
        self._sample: tuple[Any, ...] = ()
        self._held: list[Held] = []
        self._before: list[int] = []
        self._changed: list[Held] = []
        self._repeats: str | None = None
        self._excused: frozenset[str] = frozenset()

    def knows_everything(self) -> bool:
        """Whether everything that the task reaches is in the table of thread-safe operations; asks if nobody has."""
        if not self.asked:
            self.ask((None,))  # of which nothing is known but that it is no generator
        return self.threads_may_compute

    def seen_before(self) -> bool:
        """Whether there is nothing to compare, or what is has been found unchanged often enough in earlier calls."""
        return not self._before or self.prior.clean >= WATCHED_BATCHES

    # -- the first items ------------------------------------------------------------------------------

    def begins(self, items: Sequence[Any], worth_it: bool) -> None:
        """The calling thread is about to run items; ``worth_it``: those before took longer than a look at them."""
        if self.asked or not len(items):
            return
        first = items[0]
        if self._batches < WATCHED_BATCHES:
            self._compare_with_last(first, items)
            if self._writes != "allow" and (self._batches == 0 or (worth_it and type(items) is not Steps)):
                self._take_down(first)
        self._sample = (first,)
        self._batches += 1

    def ended(self) -> None:
        """The items have run."""
        if self._before:
            from allcores.guard.digests import digests

            now = digests(self._held)
            for held, was, is_now in zip(self._held, self._before, now, strict=True):
                if was != is_now:
                    self._changed.append(held)
            self.prior.compared(now == self._before)
            self._held, self._before = [], []
            if self.asked and self.lost is None:
                self._lost_by_change()

    def let_go(self) -> None:
        """No more items run here: those that did are the user's alone."""
        self._sample, self._held, self._before = (), [], []

    def _lost_by_change(self) -> None:
        """What changed while items ran, and not as caches do; where work has moved already, it is told now."""
        changed = [each for each in self._changed if each.name not in self._excused]
        if changed and self._writes != "allow":
            from allcores.guard.digests import remedy_for

            self.lost = f"{changed[0].root} {changed[0].name!r} was changed while an item ran"
            self.untold = self.prior.changed = f"{self.lost}. {remedy_for(changed[0])}."

    def _take_down(self, item: Any) -> None:
        try:
            from allcores.guard.digests import Held, can_change, digests, held_by
        except OSError:  # no descriptor is left, not even for a module of ours: then nothing will move
            return
        self._held = held_by([function for _, function in self._task.stages])
        if can_change(item):
            self._held.append(Held("the item", "item", item))
        self._before = digests(self._held) if self._held else []

    def _compare_with_last(self, first: Any, items: Sequence[Any]) -> None:
        """Notes where an item is the same object as the one before it, and one that can change."""
        if issubclass(type(first), UNCHANGING):
            return
        again = bool(self._sample) and self._sample[0] is first
        if again or (type(items) is not Steps and len(items) > 1 and items[0] is items[1]):
            self._repeats = "iterator" if type(items) is Steps else "list"

    # -- the answer -----------------------------------------------------------------------------------

    def ask(self, sample: tuple[Any, ...] = ()) -> dict[str, str]:
        """Asks the guard; engines that ``auto`` may then not choose, with the reason."""
        from allcores.guard.things import UNKNOWN
        from allcores.guard.verdict import in_words, verdict

        sample = self._sample or sample
        found = verdict(self._task, sample[0] if sample else UNKNOWN)
        self.threads_may_compute = found.unsafe is None and self._repeats is None
        reasons = {THREADS: found.not_in_threads, PROCESSES: found.not_in_processes}
        refused = {engine: reason for engine, reason in reasons.items() if reason is not None}
        if self._repeats == "iterator":
            reason = (
                "the iterator hands out one object again and again: it would change while workers read it"
            )
            refused = {THREADS: reason, PROCESSES: reason}
        self._excused = found.excused
        if found.findings and self._writes != "allow":
            self.lost = in_words(found.findings[0])
            self.untold = f"{self.lost}. {found.findings[0].remedy}."
        elif self.prior.changed is not None and self._writes != "allow":
            self.lost = self.untold = self.prior.changed
        else:
            self._lost_by_change()
        if self.lost is not None:
            self.threads_may_compute = False
            refused = dict.fromkeys((THREADS, PROCESSES), self.lost)
        self.asked = True
        self._sample = ()
        return refused

    def tell(self) -> None:
        """Tells the user, at the line of theirs that called us: a warning, or with ``writes="error"`` an error."""
        text, self.untold = self.untold, None
        if text is None:
            return
        if self.refuses:
            raise LostWriteError(text)
        from allcores.runtime.users_line import warn

        warn(text, LostWriteWarning)
