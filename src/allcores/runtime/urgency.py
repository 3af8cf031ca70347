"""A shorter wait for the GIL while a thread of ours does something beside a thread that computes.

A thread that computes in Python hands the GIL over only `sys.getswitchinterval()` (5 ms) after another has asked for
it, and whoever reads, writes or polls gives it away each time, some four times for the import of one module. Here the
interval is a short one while such work lasts. What the GIL is held by is measured outside of it.
"""

from __future__ import annotations

import os
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

SHORT_SECONDS = 0.0001


class _Urgent:
    """A context; several threads may be in it, and the last one to leave restores what was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = self._ours = 0.0

    def begin_anew(self) -> None:
        """In a fork, where nobody is inside any more."""
        if self._inside and sys.getswitchinterval() == self._ours:
            sys.setswitchinterval(self._before)
        self.__init__()  # type: ignore[misc]

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(SHORT_SECONDS, self._before))
                self._ours = sys.getswitchinterval()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and sys.getswitchinterval() == self._ours:  # else the user has set another
                sys.setswitchinterval(self._before)


urgent = _Urgent()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=urgent.begin_anew)
