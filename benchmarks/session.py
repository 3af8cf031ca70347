"""A process that answers one line with one line, in a session of its own so that all it started can be ended."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
GRACE_SECONDS = 10.0  # a cluster takes a while to end


class Silent(Exception):
    """There is no answer, with the reason."""


class Session:
    """A program of this folder, started with these arguments; it says a line, its greeting, once it is ready."""

    def __init__(self, program: str, arguments: Sequence[str], most_seconds: float) -> None:
        self._most_seconds = most_seconds
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the session
        self._stuck = False
        self._process = subprocess.Popen(
            [sys.executable, program, *arguments],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        try:
            self.greeting = self.answer()
        except Silent:
            self.close()
            raise

    def ask(self, line: str) -> str:
        """Sends a line and waits for the answer."""
        self.tell(line)
        return self.answer()

    def tell(self, line: str) -> None:
        """Sends a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """Waits for a line. Raises Silent where there is none in time."""
        if not self.has_answered(self._most_seconds):
            self._stuck = True
            raise Silent(f"over {self._most_seconds:.0f} s")
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines()
            raise Silent("failed: " + (said[-1] if said else "it ended without a word"))
        return line.strip()

    def has_answered(self, within_seconds: float) -> bool:
        """Whether there is a line to read, or will be soon."""
        return bool(select.select([self._process.stdout], [], [], within_seconds)[0])

    def is_not_waited_for(self) -> None:
        """Whatever it is doing when it is closed."""
        self._stuck = True

    def close(self) -> None:
        """Ends the process and whatever it started."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if self._stuck else GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._errors.close()
        _sweep(self.pid)


def _sweep(pid: int) -> None:
    """What joblib leaves behind when its resource tracker is killed with it."""
    memory = Path("/dev/shm")
    for left in memory.glob(f"joblib_memmapping_folder_{pid}_*"):
        shutil.rmtree(left, ignore_errors=True)
    for left in memory.glob(f"sem.loky-{pid}-*"):
        left.unlink(missing_ok=True)
