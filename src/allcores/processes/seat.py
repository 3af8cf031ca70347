"""One worker process as its crew sees it, from the request for it until its death is known."""

from __future__ import annotations

import os
from collections import deque

from allcores.processes.channel import Channel, pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from allcores.core.events import Printed
    from allcores.processes.wire import Bytes

    Handler = Callable[[int], None]


class Seat:
    """A worker process.

    Attributes:
        number: its line in the words.
        worker: its number in the present job, or None while it is idle.
        child_end: its end of the channel, kept until it is born, so that it can be handed to another template.
        pieces: of each piece that it was sent and has not ended, the first item that it has not reported.
        babbled: it wrote what is no message: the item whose report was due has done that.
        defined: number of the job's definitions that it has.
        printed: what its items have printed that it is about to report.
        values: what it was last told of the globals of the user's modules.
        status: its wait status, once known.
        unsent: what is to be written with what comes next: it is busy, and has time.
        due: when it will be given up, once it seems to be gone.
    """

    __slots__ = (
        "babbled", "born", "channel", "child_end", "defined", "due", "number", "on_channel", "on_pidfd", "pidfd",
        "pieces", "printed", "ready", "reason", "status", "stopped", "unsent", "values", "worker",
    )  # fmt: skip

    def __init__(self, number: int, worker: int) -> None:
        ours, self.child_end = pair()
        self.number = number
        self.worker: int | None = worker
        self.channel = Channel(ours)
        self.pidfd: int | None = None
        self.born = self.ready = self.stopped = False
        self.pieces: deque[int] = deque()
        self.babbled = False
        self.defined = 0
        self.printed: list[Printed] = []
        self.unsent: list[Bytes] = []
        self.status: int | None = None
        self.reason, self.values = "", b""
        self.due: float | None = None
        self.on_channel: Handler
        self.on_pidfd: Handler

    @property
    def quiescent(self) -> bool:
        """Whether it waits for work, in good health."""
        return self.ready and not self.pieces and self.due is None and not self.channel.broken

    def close(self) -> None:
        """Closes its descriptors, and forgets whom it belonged to: nothing is left for the garbage collector."""
        self.on_channel = self.on_pidfd = _ignore
        self.channel.close()
        if self.child_end is not None:
            self.child_end.close()
            self.child_end = None
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None


def _ignore(mask: int) -> None:
    """Nobody is interested any more."""
