"""What the scheduler knows of its workers, and of what each of them holds."""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from allcores.core.events import WorkerLost


class Piece:
    """The items [next, stop) of the chunk that starts at ``chunk``, on their way."""

    __slots__ = ("chunk", "next", "stop")

    def __init__(self, chunk: int, start: int, stop: int) -> None:
        self.chunk = chunk
        self.next = start
        self.stop = stop


class Worker:
    """What the scheduler knows of one worker."""

    __slots__ = ("doomed", "pieces", "proven", "ready")

    def __init__(self) -> None:
        self.ready = False
        self.proven = False  # it has finished something: what comes now takes its usual time
        self.pieces: deque[Piece] = deque()
        self.doomed: int | None = None  # the item for whose timeout it is being killed


def no_worker_lives(losses: int, last: WorkerLost) -> str:
    """What to say when so many workers in a row have died before they finished anything."""
    how = f"signal {last.signal}" if last.signal is not None else f"exit code {last.exitcode}"
    return (
        f"{losses} workers in a row died before they finished anything (the last one by {how}: "
        f"{last.cause}). Run the function once in the caller with engine='inline' to see what it does."
    )
