"""The caller's hold on its zygote: starts it, asks it for templates, ends it.

It is loaded before all else that workers need: the zygote boots while its caller loads the rest.
"""

from __future__ import annotations

import os
import select
import sys
import time
from _signal import SIGINT, SIGKILL  # type: ignore[import-not-found]  # `signal` takes longer than all of this

from allcores.processes import interpreter, wire
from allcores.processes.channel import Channel, pair
from allcores.processes.child import CHANNEL
from allcores.processes.words import above_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CODE = "import sys; sys.path.append(sys.argv[1]); from allcores.processes.zygote import main; main()"
GRACE_SECONDS = 1.0


class Zygote:
    """A process from which templates are forked.

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
                setsigmask=[SIGINT],  # until it has its own handler
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
            os.kill(self.pid, SIGKILL)
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
