"""The root of all workers: a fresh interpreter that does nothing but fork templates.

It is single-threaded, imports in advance what the caller has imported and is known to be safe, and never a
module of the user's. It ends when the caller ends (pidfd, or end of file), and writes into a template's
channel when that template has died.
"""

from __future__ import annotations

import os
import select
import sys
import time
import warnings  # noqa: F401  (workers need it: imported here it is imported once)

from allcores.processes import child, wire
from allcores.processes.child import CHANNEL
from allcores.processes.template import Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

GRACE_SECONDS = 0.1


def main() -> None:
    """argv: our directory, the caller's pid, modules to import in advance, directories where these are."""
    child.quiet_signals()
    os.set_inheritable(CHANNEL, False)
    caller, modules, directories = int(sys.argv[2]), sys.argv[3], sys.argv[4]
    watched = child.watch(caller)
    if os.getppid() != caller:
        os._exit(0)
    child.prctl(child.PR_SET_CHILD_SUBREAPER, 1)
    _close_inherited((0, 1, 2, CHANNEL, watched))
    if modules:
        _import_in_advance(modules.split(","), directories.split(os.pathsep))
        if child.thread_count() > 1:
            _begin_again_without_imports()
    sys.modules["__main__"].__dict__.pop("main", None)
    sys.argv[:] = [""]
    sock = child.channel(CHANNEL)
    child.send(sock, wire.frame(wire.READY))
    Zygote(sock, watched).serve()


def _close_inherited(kept: tuple[int | None, ...]) -> None:
    """Descriptors that the caller left open for its children are not ours to hold."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return
    for name in names:
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass  # the one that listed the others


def _import_in_advance(modules: list[str], directories: list[str]) -> None:
    before = list(sys.path)
    sys.path.extend(each for each in directories if each)
    for name in modules:
        try:
            __import__(name)
        except Exception:
            pass  # it will be imported, or fail with a better message, where it is needed
    sys.path[:] = before


def _begin_again_without_imports() -> None:
    """An import has started a thread: forking would not be safe. Nothing has been read from the channel yet."""
    os.set_inheritable(CHANNEL, True)
    arguments = list(sys.orig_argv)
    arguments[-2:] = ["", ""]
    os.execv(sys.executable, [sys.executable, *arguments[1:]])


class Zygote:
    """Forks templates and mourns them."""

    def __init__(self, sock: _socket.socket, caller: int | None) -> None:
        self._inbox = child.Inbox(sock)
        self._caller = caller
        self._templates: dict[int, tuple[_socket.socket, int | None]] = {}  # pid: channel, pidfd
        self._orphans_until = 0.0

    def serve(self) -> None:
        """Until the caller is gone."""
        own = self._inbox.socket.fileno()
        while True:
            poll = select.poll()
            poll.register(own, select.POLLIN)
            if self._caller is not None:
                poll.register(self._caller, select.POLLIN)
            for _, pidfd in self._templates.values():
                if pidfd is not None:
                    poll.register(pidfd, select.POLLIN)
            ready = [descriptor for descriptor, _ in poll.poll(self._patience())]
            self._bury()
            if self._caller in ready:
                break
            if own in ready:
                frames = self._inbox.read()
                if frames is None:
                    break
                for kind, _, _, body in frames:
                    if kind == wire.TEMPLATE:
                        if body:  # the function needs cloudpickle, and so will others
                            _import_in_advance(["cloudpickle"], [bytes(body).decode()])
                        self._fork_template()
        self._end()

    def _patience(self) -> int | None:
        """Milliseconds until somebody may have died unseen; None: for ever."""
        unseen = any(pidfd is None for _, pidfd in self._templates.values())
        return 20 if unseen or time.monotonic() < self._orphans_until else None

    def _fork_template(self) -> None:
        sock = child.channel(self._inbox.take_descriptor())
        words = self._inbox.take_descriptor()
        child.flush_output()
        own = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            child.send(sock, wire.frame(wire.ENDED, 0, wire.STATUS.pack(-1) + str(error).encode()))
            sock.close()
            os.close(words)
            return
        if pid == 0:
            child.die_with(own)
            self._let_go()
            child.live(lambda: Template(sock, words).serve())
        os.close(words)
        self._templates[pid] = (sock, child.watch(pid))

    def _let_go(self) -> None:
        """In a child: closes what belongs to the zygote."""
        self._inbox.close()
        if self._caller is not None:
            os.close(self._caller)
        for sock, pidfd in self._templates.values():
            sock.close()
            if pidfd is not None:
                os.close(pidfd)

    def _bury(self) -> None:
        """Waits for whoever has died: templates, and workers whose template died before them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._orphans_until = 0.0
                return
            if pid == 0:
                return
            if pid in self._templates:
                self._orphans_until = time.monotonic() + 1.0
                sock, pidfd = self._templates.pop(pid)
                try:
                    sock.setblocking(False)
                    sock.send(wire.frame(wire.ENDED, 0, wire.STATUS.pack(status)))
                except OSError:
                    pass  # nobody wants to know
                sock.close()
                if pidfd is not None:
                    os.close(pidfd)

    def _end(self) -> None:
        """Templates end by themselves when the caller's end of their channel closes; the kernel ends the rest."""
        give_up = time.monotonic() + GRACE_SECONDS
        for sock, _ in self._templates.values():
            sock.close()
        while self._templates and time.monotonic() < give_up:
            self._bury()
            if self._templates:
                time.sleep(0.001)
        for pid in self._templates:
            os.kill(pid, 9)
        while (
            time.monotonic() < give_up + GRACE_SECONDS
        ):  # the kernel kills their workers; nobody stays unburied
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.001)
            except ChildProcessError:
                break
        os._exit(0)
