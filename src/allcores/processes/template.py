"""A process that has loaded one function and forks workers which then have it too.

It is forked from the zygote, loads once, and never runs the function. Where loading starts threads it says so
and ends, having forked nobody; the caller then asks for a template whose workers load after the fork.
"""

from __future__ import annotations

import gc
import os
import select

from allcores.processes import child, wire
from allcores.processes.loading import load, tell_failure
from allcores.processes.words import Words
from allcores.processes.worker import work

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from allcores.processes.wire import Frame
    from allcores.tasks.task import Task

LATE = 1  # the number of a SETUP frame: load after the fork


class Template:
    """Loads, forks, and tells the caller who was born and who died."""

    def __init__(self, sock: _socket.socket, words: int) -> None:
        self._inbox = child.Inbox(sock)
        self._sock = sock
        try:
            self._words = Words(words)
        except ValueError:  # nothing in it yet: who wanted it was interrupted half-way
            os._exit(0)
        self._workers: dict[int, tuple[int, int | None]] = {}  # pid: number, pidfd
        self._obtain: Callable[[], Task] | None = None  # gives a worker its task, after the fork

    def serve(self) -> None:
        """Until the caller's end of the channel closes."""
        own = self._sock.fileno()
        while True:
            poll = select.poll()
            poll.register(own, select.POLLIN)
            for _, pidfd in self._workers.values():
                if pidfd is not None:
                    poll.register(pidfd, select.POLLIN)
            unseen = any(pidfd is None for _, pidfd in self._workers.values())
            ready = [descriptor for descriptor, _ in poll.poll(20 if unseen else None)]
            self._bury()
            if own in ready:
                frames = self._inbox.read()
                if frames is None:
                    break
                while frames:  # none is kept while this waits: that of the function may be large
                    self._handle(frames.pop(0))
        self._end()

    def _handle(self, frame: Frame) -> None:
        kind, number, _, body = frame
        if kind == wire.SETUP:
            self._set_up(body, late=number == LATE)
        elif kind == wire.WORKER:
            self._fork_worker(number)
        elif kind == wire.KILL:
            for pid, (worker, _) in self._workers.items():
                if worker == number:
                    os.kill(pid, 9)

    def _set_up(self, body: bytes | bytearray, late: bool) -> None:
        if late:
            self._obtain = lambda: load(body, self._words)
        else:
            try:
                task = load(body, self._words)
            except BaseException as error:
                tell_failure(self._sock, error)
            self._obtain = lambda: task
            child.flush_output()
            if child.thread_count() > 1:
                child.send(self._sock, wire.frame(wire.THREADED))
                os._exit(0)
        gc.freeze()
        child.send(self._sock, wire.frame(wire.READY))

    def _fork_worker(self, number: int) -> None:
        obtain = self._obtain
        if obtain is None:
            os._exit(0)  # who wanted it was interrupted half-way, and is about to give it up
        sock = child.channel(self._inbox.take_descriptor())
        own = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            body = wire.STATUS.pack(-1) + str(error).encode()
            child.send(self._sock, wire.frame(wire.DIED, number, body))
            sock.close()
            return
        if pid == 0:
            child.die_with(own)
            self._let_go()
            child.live(lambda: work(sock, self._words, number, obtain))
        sock.close()
        pidfd = child.watch(pid)
        self._workers[pid] = (number, pidfd)
        body = wire.frame(wire.BORN, number, wire.PID.pack(pid), 0 if pidfd is None else 1)
        child.send(self._sock, body, pidfd)

    def _let_go(self) -> None:
        """In a child: closes what belongs to the template."""
        self._inbox.close()
        for _, pidfd in self._workers.values():
            if pidfd is not None:
                os.close(pidfd)

    def _bury(self) -> None:
        while self._workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._workers:
                number, pidfd = self._workers.pop(pid)
                if pidfd is not None:
                    os.close(pidfd)
                child.send(self._sock, wire.frame(wire.DIED, number, wire.STATUS.pack(status)))

    def _end(self) -> None:
        for pid in self._workers:
            os.kill(pid, 9)
        for pid in self._workers:
            os.waitpid(pid, 0)
        os._exit(0)
