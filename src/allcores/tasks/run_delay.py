"""How long a thread was ready to run and had no core: the kernel's scheduler counts it (`schedstat`)."""

from __future__ import annotations

import os
from _thread import get_native_id
from io import FileIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def run_delay_clock() -> Callable[[], float]:
    """A function that tells how many seconds that was for this thread; any thread may call it.

    Where the kernel does not count, 0.
    """
    path = _schedstat()

    def seconds() -> float:
        try:
            with FileIO(path) as file:  # not a bare descriptor, which Ctrl-C could leave open
                return _run_delay(file.read(100))
        except OSError:
            return 0.0

    return seconds


class RunDelay:
    """The same by a file that stays open until ``close``: a look gives the GIL away once.

    Opening, reading and closing do that four times, and a thread that computes is held up each time as well.
    """

    def __init__(self) -> None:
        self._file: FileIO | None = None
        try:
            self._file = FileIO(_schedstat())
        except OSError:
            pass

    def seconds(self) -> float:
        """What was counted so far."""
        if self._file is not None:
            try:
                return _run_delay(os.pread(self._file.fileno(), 100, 0))
            except OSError:
                pass
        return 0.0

    def close(self) -> None:
        """Nobody looks any more."""
        if self._file is not None:
            self._file.close()


def _schedstat() -> str:
    return f"/proc/self/task/{get_native_id()}/schedstat"


def _run_delay(schedstat: bytes | None) -> float:
    try:
        return int((schedstat or b"").split()[1]) / 1e9
    except (IndexError, ValueError):
        return 0.0
