"""What happened. Everything that the scheduler is ever told is one of these.

Rule of this file: past tense, no behaviour, and nothing that is opened: the ``body`` of an outcome is
opaque here and stays so until the calling thread unpacks it.
"""

from __future__ import annotations

from collections.abc import Sequence

from allcores.core.kinds import ERROR as ERROR
from allcores.core.kinds import NODE as NODE
from allcores.core.kinds import STRANDED as STRANDED
from allcores.core.kinds import VALUES as VALUES
from allcores.core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


Printed = tuple[int, int, str | bytes]  # index of the item; descriptor, LOGGED or WARNED; what was written


class Outcome(NamedTuple):
    """What became of the consecutive items [start, stop)."""

    start: int
    stop: int
    kind: int
    body: Any
    size_bytes: int = 0
    retryable: bool = False
    printed: tuple[Printed, ...] = ()


class Offered(NamedTuple):
    """The caller has pulled the items [first, first + items) and packed them: they may be dispatched."""

    first: int
    items: int
    size_bytes: int = 0


class SourceEnded(NamedTuple):
    """The input has no more items."""


class RanInline(NamedTuple):
    """The calling thread has run items itself; ``chunk`` is theirs if they had been offered before."""

    outcomes: Sequence[Outcome]
    chunk: int | None
    seconds: float
    cpu_seconds: float


class WorkerReady(NamedTuple):
    """A worker has answered for the first time."""

    worker: int


class ItemsDone(NamedTuple):
    """A worker reports items of one chunk; ``last`` when it will report no more of that piece."""

    worker: int
    outcomes: Sequence[Outcome]
    seconds: float
    cpu_seconds: float
    last: bool


class WorkerLost(NamedTuple):
    """A worker is gone; ``running`` is the item that it was running, if any; ``output``: its last words."""

    worker: int
    running: int | None
    signal: int | None
    exitcode: int | None
    cause: str
    output: str = ""


class Seen(NamedTuple):
    """The answer to ``Look``: the item that the worker runs, if any, and since when."""

    worker: int
    running: int | None
    since: float


class StartFailed(NamedTuple):
    """No worker can be had for this job, for the reason given."""

    error: BaseException


class Consumed(NamedTuple):
    """The user has taken the results of so many more items."""

    items: int
    size_bytes: int


class CallerLeft(NamedTuple):
    """The calling thread is busy with user code, an item of this job if ``inline``; it feeds nothing meanwhile."""

    inline: bool


class CallerBack(NamedTuple):
    """The calling thread is here again."""


class CallerWaits(NamedTuple):
    """The calling thread runs no more items itself: it waits for workers."""


class Ticked(NamedTuple):
    """A time that the scheduler asked to be woken at has come."""


class Closing(NamedTuple):
    """Nobody wants any more results."""


class Planned(NamedTuple):
    """The plan wants ``workers`` workers, and up to ``most`` where items only wait; none: workers get nothing more."""

    workers: int
    most: int


Event = (
    Offered
    | SourceEnded
    | RanInline
    | WorkerReady
    | ItemsDone
    | WorkerLost
    | Seen
    | StartFailed
    | Consumed
    | CallerLeft
    | CallerBack
    | CallerWaits
    | Ticked
    | Closing
    | Planned
)
