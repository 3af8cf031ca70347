"""What earlier calls of this process have found out about a function: believed until it is measured again.

Whether others are kept from the GIL shows only in items that last, and after some milliseconds; a function that
did not keep them last time is believed not to do so now, for items of the same type. And what its items cost on
average is known better from a whole call than from the three items that ``explain`` may run.
"""

from __future__ import annotations

from allcores.tasks.coroutines import innermost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any

    from allcores.tasks.task import Task

MOST_KNOWN = 1000


class Prior:
    """What is known about one kind of task.

    Attributes:
        late_share: for what share of the time others were kept from the GIL when it was last seen; None: not known.
        item_seconds: what an item of the last call took on average; None: not known.
        computing_share: for what share of the time those computed that ran in the calling thread.
        engine: on which the last call ended.
        clean: how often nothing that the function holds had changed after an item, since something last had.
        stranded: why results could not travel when that was last seen; None: they could, or none had to.
        changed: what had, in words, and what to do about it; None once it has been found unchanged again.
    """

    __slots__ = ("changed", "clean", "computing_share", "engine", "item_seconds", "late_share", "stranded")

    def __init__(self) -> None:
        self.late_share: float | None = None
        self.item_seconds: float | None = None
        self.computing_share = 1.0
        self.engine = ""
        self.clean = 0
        self.changed: str | None = None
        self.stranded: str | None = None

    def remember(self, item_seconds: float, engine: str, seconds: float, cpu_seconds: float) -> None:
        """A call has ended; the last items that ran in the calling thread took so long, and computed so long."""
        self.item_seconds, self.engine = item_seconds, engine
        if seconds:
            self.computing_share = min(1.0, cpu_seconds / seconds)

    def compared(self, unchanged: bool) -> None:
        """The guard has compared what the function holds before and after an item."""
        self.clean = self.clean + 1 if unchanged else 0
        if unchanged:
            self.changed = None

    def sample(self) -> tuple[int, float, float]:
        """Items, their seconds, and their CPU seconds, as far as that is known."""
        seconds = self.item_seconds or 0.0
        return 1, seconds, seconds * self.computing_share


_known: dict[Hashable, Prior] = {}


def prior_of(task: Task, item: Any) -> Prior:
    """What is known about a task and items of this type, for the caller to add to; the oldest of many is forgotten.

    Functions are known by their code, since a lambda is another one in each call.

    >>> from allcores.tasks.task import Task
    >>> first, again = (Task((("map", function),)) for function in [lambda x: x for _ in range(2)])
    >>> prior_of(first, 1).late_share = 0.5
    >>> prior_of(again, 2).late_share, prior_of(first, "1").late_share
    (0.5, None)
    """
    found = (innermost(function) for _, function in task.stages)
    key = (type(item), *(getattr(each, "__code__", None) or _name_of(each) for each in found))
    prior = _known.pop(key, None)  # several threads may call at once: then the last one's is kept
    if prior is None:
        prior = Prior()
    _known[key] = prior
    if len(_known) > MOST_KNOWN:
        _known.pop(next(iter(tuple(_known))), None)
    return prior


def forget() -> None:
    """Nothing is known any more."""
    _known.clear()


def _name_of(function: Any) -> tuple[type, str]:
    return type(function), str(getattr(function, "__qualname__", ""))
