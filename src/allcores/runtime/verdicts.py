"""The errors that a worker's end turns into: what happened, the likely cause, and what to do."""

from __future__ import annotations

from allcores.errors import DeadlineExceeded, TaskTimeout, WorkerLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Told = TypeVar("Told", WorkerLost, TaskTimeout)

LIKELY_CAUSES = {
    "SIGKILL": (
        "most often the kernel's out-of-memory killer; use fewer workers (n_jobs=...) or smaller items, "
        "or find who sent it"
    ),
    "SIGSEGV": "a crash in compiled code; run that item alone under `python -X faulthandler`",
    "SIGBUS": "memory or a mapped file that vanished; see whether a disk or /dev/shm is full",
    "SIGABRT": "compiled code gave up (an assertion, or a corrupted heap); run that item alone to see its message",
    "SIGFPE": "an arithmetic fault in compiled code; run that item alone",
    "SIGILL": "a library built for another processor; reinstall it for this one",
    "SIGTERM": "someone asked it to end: a scheduler, a container or a script",
    "SIGXCPU": "the limit on processor time (ulimit -t)",
}


def worker_lost(
    item: int | None, signal: int | None, exitcode: int | None, cause: str, output: str = ""
) -> WorkerLost:
    """The error for an item whose worker died while it ran.

    >>> error = worker_lost(3, None, 7, "")
    >>> str(error)[:61], error.index, error.exitcode
    ('the worker that ran item 3 ended by itself with exit code 7; ', 3, 7)
    """
    what = "a worker" if item is None else f"the worker that ran item {item}"
    advice = "To keep the other results write on_error='return'; to try again, retries=1."
    how = _how_it_ended(signal, exitcode, cause)
    return _with_last_words(WorkerLost(f"{what} {how}. {advice}", item, signal, exitcode, output))


def call_lost(
    function: Callable[..., Any], signal: int | None, exitcode: int | None, cause: str, output: str = ""
) -> WorkerLost:
    """The error for the future of a call whose worker died while it ran.

    >>> str(call_lost(len, None, 7, ""))[:66]
    'the worker that ran a call of len ended by itself with exit code 7'
    """
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    how = _how_it_ended(signal, exitcode, cause)
    message = f"the worker that ran a call of {name} {how}. To try again, submit the call again."
    return _with_last_words(WorkerLost(message, None, signal, exitcode, output))


def _how_it_ended(signal: int | None, exitcode: int | None, cause: str) -> str:
    if signal is not None:
        name = _signal_name(signal)
        likely = LIKELY_CAUSES.get(name, "run that item alone with engine='inline' to see what it does")
        return f"was killed by {name} (signal {signal}): {likely}"
    if exitcode is not None:
        return (
            f"ended by itself with exit code {exitcode}; look in the function for os._exit, "
            "or in compiled code for exit()"
        )
    return f"is gone: {cause or 'nobody could say why'}"


def task_timeout(item: int, seconds: float, output: str = "") -> TaskTimeout:
    """The error for an item that ran too long."""
    told = TaskTimeout(
        f"item {item} ran longer than timeout={seconds:g} s and its worker was stopped. "
        "To keep the other results write on_error='return'; to allow more, a larger timeout.",
        item,
        seconds,
        output,
    )
    return _with_last_words(told)


def _with_last_words(error: Told) -> Told:
    if error.output:
        error.add_note(f"allcores: the last that the worker wrote:\n{error.output.rstrip()}")
    return error


def deadline_exceeded(seconds: float) -> DeadlineExceeded:
    """The error for a job that ran too long."""
    return DeadlineExceeded(
        f"the job ran longer than deadline={seconds:g} s. "
        "allcores.partial(error) has what had finished; a larger deadline, or smaller input, would end it.",
        seconds,
    )


def _signal_name(number: int) -> str:
    import signal as signals

    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
