"""What the scheduler knows of its workers, and of what each of them holds."""

from __future__ import annotations

from collections import deque


class Piece:
    """The items [next, stop) of the chunk that starts at ``chunk``, on their way."""

    __slots__ = ("chunk", "next", "stop")

    def __init__(self, chunk: int, start: int, stop: int) -> None:
        self.chunk = chunk
        self.next = start
        self.stop = stop


class Worker:
    """What the scheduler knows of one worker."""

    __slots__ = ("check_at", "doomed", "pieces", "ready")

    def __init__(self) -> None:
        self.ready = False
        self.pieces: deque[Piece] = deque()
        self.doomed: int | None = None  # the item for whose timeout it is being killed
        self.check_at: float | None = None  # when the running item may have run too long
