"""Workers as fresh interpreters, for systems where forking is unsafe (macOS) or missing (Windows).

Each speaks the same frames as a forked worker and gets world and function as its first frame. It holds a pipe to
the caller as its lifeline and ends when that ends. The Windows branches have never been run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from allcores.processes import interpreter, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from allcores.processes.crew import Crew
    from allcores.processes.seat import Seat

CODE = "import sys; sys.path.append(sys.argv[1]); from allcores.processes.worker import main; main()"
REAP_SECONDS = 1.0


class Fresh:
    """Starts a crew's workers one by one."""

    usable = True

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._processes: dict[int, subprocess.Popen[bytes]] = {}  # by the seat's number
        self.must_poll = not hasattr(os, "pidfd_open")

    def start(self, seat: Seat) -> None:
        """Starts an interpreter; its first frame is queued before anything else."""
        crew = self._crew
        crew.transmit(seat, wire.setup_frame(0, crew.setup))
        assert seat.child_end is not None
        words = crew.words
        size_bytes = len(words.view) * 8
        windows = sys.platform == "win32"
        channel = "stdin" if windows else str(seat.child_end.fileno())
        arguments = interpreter.command(CODE, channel, str(words.handle), str(size_bytes), str(seat.number))
        with _interrupts_held():  # until it has its own handler
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL if interpreter.is_missing(1) else None,
                stderr=subprocess.DEVNULL if interpreter.is_missing(2) else None,
                env=interpreter.environment(),
                pass_fds=() if windows else (seat.child_end.fileno(), words.handle),
            )
        if windows:
            assert process.stdin is not None
            shared: bytes = seat.child_end.share(process.pid)
            process.stdin.write(len(shared).to_bytes(4, "little") + shared)
            process.stdin.flush()
        self._processes[seat.number] = process
        crew.born(seat.number, process.pid, _watch(process.pid))

    def kill(self, seat: Seat) -> None:
        """Kills where there is no pidfd."""
        process = self._processes.get(seat.number)
        if process is not None:
            process.kill()

    def poll(self) -> None:
        """Tells the crew who has died."""
        for number, process in list(self._processes.items()):
            code = process.poll()
            if code is not None:
                self._let_go(number, process)
                self._crew.died(number, (-code if code < 0 else code << 8), "")

    def stop(self) -> None:
        """Kills and reaps all; they are killed, so this does not take long."""
        for process in self._processes.values():
            process.kill()
        for number, process in list(self._processes.items()):
            try:
                process.wait(REAP_SECONDS)
            except subprocess.TimeoutExpired:
                pass  # not even a kill has ended it: nothing more can be done from here
            self._let_go(number, process)

    def abandon(self) -> None:
        """Closes descriptors only: this is a fork of the process that all this belongs to."""
        for process in self._processes.values():
            process.returncode = 0  # not our child
            if process.stdin is not None:
                process.stdin.close()
        self._processes.clear()

    def _let_go(self, number: int, process: subprocess.Popen[bytes]) -> None:
        del self._processes[number]
        if process.stdin is not None:
            try:
                process.stdin.close()
            except OSError:
                pass


def _watch(pid: int) -> int | None:
    from allcores.processes.words import above_standard

    try:
        return above_standard(os.pidfd_open(pid))
    except (AttributeError, OSError):
        return None


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """A child that is started meanwhile begins with SIGINT blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
