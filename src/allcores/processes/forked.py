"""Workers by forking: the caller's half of zygote and template.

Starting is a write and not a conversation: the request for a template, the function, the requests for workers
and what these shall run are all written before the zygote has run its first line.
"""

from __future__ import annotations

import os
import select
import selectors
import signal
import sys
import time

from allcores.processes import interpreter, wire
from allcores.processes.channel import Channel, pair
from allcores.processes.words import above_standard
from allcores.processes.zygote import CHANNEL, CODE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.processes.crew import Crew
    from allcores.processes.seat import Seat
    from allcores.processes.wire import Frame

MOST_TRIES = 3  # templates that die while they load, in a row
GRACE_SECONDS = 1.0
LATE = 1


class Zygote:
    """The caller's hold on its zygote.

    Attributes:
        roots: the packages that it has imported in advance.
        users: number of templates that the caller has asked it for and not let go.
    """

    def __init__(self, imports: list[str]) -> None:
        self.roots = {name.partition(".")[0] for name in imports}
        self.users = 0
        ours, theirs = pair()
        try:
            source = theirs.fileno()
            if source == CHANNEL:  # dup2 onto itself would not make it inheritable everywhere
                theirs = type(theirs)(theirs.family, theirs.type, theirs.proto, _another(theirs.detach()))
                source = theirs.fileno()
            directories = os.pathsep.join(interpreter.directories_of(imports))
            self.pid = os.posix_spawn(
                sys.executable,
                interpreter.command(CODE, str(os.getpid()), ",".join(imports), directories),
                interpreter.environment(),
                file_actions=[*_standard_files(), (os.POSIX_SPAWN_DUP2, source, CHANNEL)],
                setsigmask=[signal.SIGINT],  # until it has its own handler
            )
        finally:
            theirs.close()
        self._channel = Channel(ours)
        self._pidfd = _watch(self.pid)
        self._reaped = False
        self._began = time.monotonic()
        self._ready = False

    def ready(self) -> bool:
        """Whether it has imported what it was to import: a word to say so is the only one that it ever writes."""
        if not self._ready and not self._channel.broken:
            poll = select.poll()
            try:
                poll.register(self._channel.fileno(), select.POLLIN)
            except ValueError:  # another thread has closed it just now
                return False
            self._ready = bool(poll.poll(0))
        return self._ready

    def age_seconds(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._began

    def alive(self) -> bool:
        """Whether it can still be asked for something."""
        self._reap()
        return not self._reaped and not self._channel.broken

    def ask_for_template(self, sock: Any, words: int, cloudpickle: str) -> bool:
        """Requests a template for this end of a channel; returns whether the request is out.

        ``cloudpickle``: the directory it is in, if the function needs it.
        """
        self.users += 1
        request = wire.frame(wire.TEMPLATE, 0, cloudpickle.encode(), 2)
        try:
            return self._channel.send([request], (sock.fileno(), words))
        except BaseException:  # Ctrl-C: descriptors that wait to be sent may soon be somebody else's
            self._channel.close()
            raise

    def stop(self, wait: bool) -> None:
        """Lets it end, with everything it has started; waits until it has, but not for long."""
        self._channel.close()
        if wait and not self._reaped:
            if self._pidfd is not None:
                poll = select.poll()
                poll.register(self._pidfd, select.POLLIN)
                poll.poll(int(GRACE_SECONDS * 1000))
            self._reap()
            if not self._reaped:
                self._kill()
        if self._reaped or wait:
            self.forget()

    def buried(self) -> bool:
        """Whether it has ended and nothing of it is left."""
        self._reap()
        if self._reaped:
            self.forget()
        return self._reaped

    def forget(self) -> None:
        """Closes what belongs to it."""
        self._channel.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _kill(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        self._reaped = True

    def _reap(self) -> None:
        if self._reaped:
            return
        try:
            self._reaped = os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:  # somebody else has waited for all children
            self._reaped = True


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
            from allcores.processes import pool

            pool.release_zygote(self._zygote)
            self._zygote = None

    def abandon(self) -> None:
        """Closes descriptors only: this is a fork of the process that all this belongs to."""
        if self._channel is not None:
            self._channel.close()

    def _begin(self) -> None:
        from allcores.processes import pool

        ours, theirs = pair()
        try:
            self._zygote = pool.zygote_for(self._crew, theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._loaded = False
        self._channel = Channel(ours)
        self._crew.watch(self._channel, self._on_channel)
        number = LATE if self._late else 0
        self._send([wire.frame(wire.SETUP, number, self._crew.setup)])

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


def _another(descriptor: int) -> int:
    """The same file under a number behind the channel's: the lower ones are about to be given away."""
    import fcntl

    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, CHANNEL + 1)
    os.close(descriptor)
    return copy


def _standard_files() -> list[tuple[Any, ...]]:
    """An empty input; outputs as the caller has them, or none where it has none."""
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    for number in (1, 2):
        if interpreter.is_missing(number):
            actions.append((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0))
    return actions


def _watch(pid: int) -> int | None:
    try:
        return above_standard(os.pidfd_open(pid))
    except (AttributeError, OSError):
        return None
