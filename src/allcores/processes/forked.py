"""Workers by forking: the caller's half of a template.

Starting is a write and not a conversation: the request for a template, the function, the requests for workers
and what these shall run are all written before the zygote has run its first line.
"""

from __future__ import annotations

import os
import selectors
import signal

from allcores.processes import interpreter, start, wire
from allcores.processes.channel import Channel, pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from allcores.processes.crew import Crew
    from allcores.processes.root import Zygote
    from allcores.processes.seat import Seat
    from allcores.processes.wire import Frame

MOST_TRIES = 3  # templates that die while they load, in a row
LATE = 1


class Forked:
    """Starts a crew's workers from a template, as often as one is needed."""

    must_poll = False

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._zygote: Zygote | None = None
        self._channel: Channel | None = None
        self._loaded = False
        self._late = crew.threaded
        self._tries = 0

    @property
    def usable(self) -> bool:
        """Whether workers that exist are still cared for."""
        return self._channel is not None and not self._channel.broken

    def start(self, seat: Seat) -> None:
        """Asks for a worker; never blocks."""
        if self._channel is None:
            self._begin()
        self._request(seat)

    def kill(self, seat: Seat) -> None:
        """Asks the template to kill, where the kernel gives us no pidfd."""
        if self._channel is not None:
            self._send([wire.frame(wire.KILL, seat.number)])

    def stop(self) -> None:
        """Lets the template end, and its workers with it."""
        if self._channel is not None:
            self._crew.unwatch(self._channel)
            self._channel.close()
            self._channel = None
        if self._zygote is not None:
            start.release_zygote(self._zygote)
            self._zygote = None

    def abandon(self) -> None:
        """Closes descriptors only: this is a fork of the process that all this belongs to."""
        if self._channel is not None:
            self._channel.close()

    def _begin(self) -> None:
        crew = self._crew
        needs_it = any(b"cloudpickle" in part for part in crew.setup)
        cloudpickle = interpreter.directories_of(["cloudpickle"])[0] if needs_it else ""
        ours, theirs = pair()
        try:
            self._zygote = start.ask_for_template(crew.imports, theirs, crew.words.handle, cloudpickle)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._loaded = False
        self._channel = Channel(ours)
        self._crew.watch(self._channel, self._on_channel)
        number = LATE if self._late else 0
        self._send(wire.setup_frame(number, self._crew.setup))

    def _request(self, seat: Seat) -> None:
        assert seat.child_end is not None
        self._send([wire.frame(wire.WORKER, seat.number, b"", 1)], (seat.child_end.fileno(),))

    def _send(self, parts: list[wire.Bytes], descriptors: tuple[int, ...] = ()) -> None:
        assert self._channel is not None
        if not self._channel.send(parts, descriptors):
            self._crew.watch_room(self._channel, self._on_channel)

    def _on_channel(self, mask: int) -> None:
        channel = self._channel
        if channel is None:
            return
        if mask & selectors.EVENT_WRITE and channel.flush():
            self._crew.unwatch_room(channel, self._on_channel)
        if not mask & selectors.EVENT_READ:
            return
        try:
            frames = channel.receive_with_descriptors()
        except wire.BrokenStream:
            channel.ended = True
            frames = []
        for frame in frames:
            self._handle(frame)
        if channel.ended and self._channel is channel:
            self._lose_template(None)

    def _handle(self, frame: Frame) -> None:
        kind, number, descriptors, body = frame
        if kind == wire.READY:
            self._loaded = True
            self._tries = 0
        elif kind == wire.BORN:
            came = self._channel.descriptors if descriptors and self._channel else []
            pidfd = came.pop(0) if came else None  # lost on the way where we may open no more
            self._crew.born(number, wire.PID.unpack(body)[0], pidfd)
        elif kind == wire.DIED:
            (status,) = wire.STATUS.unpack_from(body)
            self._crew.died(number, status, bytes(body[wire.STATUS.size :]).decode(errors="replace"))
        elif kind == wire.THREADED:
            self._late = True
            self._crew.note_threads()
            self._begin_again()
        elif kind == wire.FAILED:
            self._crew.cannot_load(bytes(body))
            self.stop()
        elif kind == wire.ENDED and self._channel is not None:
            self._lose_template(wire.STATUS.unpack_from(body)[0])

    def _begin_again(self) -> None:
        """Another template takes over the workers that nobody has forked yet, with all that was sent to them."""
        self.stop()
        unborn = self._crew.unborn()
        if unborn:
            self._begin()
            for seat in unborn:
                self._request(seat)

    def _lose_template(self, status: int | None) -> None:
        if self._loaded:
            self.stop()
            self._crew.orphaned("the process that started it was killed")
            return
        self._tries += 1
        if self._tries < MOST_TRIES:
            self._begin_again()
            return
        self.stop()
        self._tries = 0
        self._crew.cannot_start(_end_of_template(status))


def _end_of_template(status: int | None) -> str:
    if status is None or status == -1:
        how = "the process that loads the function ended again and again"
    elif os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        how = f"the process that loads the function was killed by {name} each time"
    else:
        how = f"the process that loads the function exited with code {os.waitstatus_to_exitcode(status)} each time"
    return (
        f"workers cannot be started: {how} ({MOST_TRIES} times). "
        "See whether the function's module can be imported alone (`python -X faulthandler -c 'import ...'`), "
        "or use engine='threads'."
    )
