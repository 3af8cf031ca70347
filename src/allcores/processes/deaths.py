"""How a worker is ended, and how it has ended."""

from __future__ import annotations

import os
import signal
import time

from allcores.processes.output import STACK_SIGNAL, last_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from allcores.processes.words import Words

STACK_SECONDS = 0.02
LOOK_SECONDS = 0.0005


def verdict(status: int | None, stopped: bool, reason: str) -> tuple[int | None, int | None, str]:
    """Signal, exit code and cause, from a wait status and what else is known."""
    if stopped:
        return None, None, "it was stopped before it had started"
    if status is None or status == -1:
        return None, None, reason or "nobody could tell how it ended"
    code = os.waitstatus_to_exitcode(status) if os.name == "posix" else status >> 8
    if code < 0:
        return -code, None, reason or f"killed by signal {-code}"
    return None, code, reason or f"exited with code {code}"


def kill(pidfd: int) -> None:
    """Ends a process."""
    _send(pidfd, signal.SIGKILL)


def stop_for_stack(pidfd: int | None, words: Words, line: int) -> None:
    """Has a worker that is about to be killed write its Python stack first, and waits a moment for it."""
    if pidfd is None or not STACK_SIGNAL:
        return
    before = seen = last_words(words, line)
    if not _send(pidfd, STACK_SIGNAL):
        return
    give_up = time.monotonic() + STACK_SECONDS
    while time.monotonic() < give_up:
        time.sleep(LOOK_SECONDS)
        now = last_words(words, line)
        if now == seen != before:
            return
        seen = now


def _send(pidfd: int, number: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (AttributeError, OSError):
        return False
    return True
