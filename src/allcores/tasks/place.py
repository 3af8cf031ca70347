"""Where this code runs: the number of its worker, and the share of the cores that a worker has for itself."""

from __future__ import annotations

from _contextvars import ContextVar
from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Places among the words that the caller shares with its worker processes: in line 0, and in a worker's own line.
INNER_THREADS, CORES = 5, 6
DREW, INDEX = 6, 7

_own: Any = _local()
_seat: ContextVar[int | None] = ContextVar("allcores_seat", default=None)  # a coroutine shares its thread
_process: tuple[memoryview, int] | None = None  # a worker process: its words, and where its own line begins


def worker_index() -> int | None:
    """The number of the worker that runs this item, from 0 up to the number of workers; None outside of a job.

    Workers that run at the same time have different numbers (coroutines too, each of which is one), and one that
    takes the place of a lost worker has the number of that: use it to choose a device, a port or a scratch
    directory. It may be asked for in ``setup``, too. Items that run in the calling thread have 0 there, as has the
    first worker: with ``engine="auto"`` both may run items for a moment.

    Example:
        >>> import allcores as ac
        >>> ac.map(lambda x: ac.worker_index(), range(3), engine="inline"), ac.worker_index()
        ([0, 0, 0], None)
    """
    index: int | None = getattr(_own, "index", None)
    if index is None:
        index = _seat.get()
    if index is None and _process is not None:
        return max(0, _word(_process[1] + INDEX) - 1)
    return index


def cores() -> int | None:
    """The cores that a worker of ours has for itself; None where this is none."""
    share: int | None = getattr(_own, "cores", None)
    if share is None and _process is not None:
        return max(1, _word(CORES))
    return share


def is_thread() -> bool:
    """Whether this thread is a worker of ours."""
    return getattr(_own, "cores", None) is not None


def sit_in_process(words: memoryview, line: int) -> None:
    """This process is a worker; the caller keeps its number and its share of the cores in these words."""
    global _process
    _process = words, line


def sit_in_thread(index: int | None, cores: int) -> None:
    """This thread is a worker, or has many (None) that take turns."""
    _own.index, _own.cores = index, cores


def sit_in_context(index: int) -> None:
    """What runs in this context, a coroutine's for example, is a worker."""
    _seat.set(index)


def sit_inline() -> None:
    """This thread, which is no worker, runs items of its own call until it stands up again."""
    _own.index = 0


def stand_up() -> None:
    """This thread runs items no more."""
    _own.index = None


def _word(position: int) -> int:
    assert _process is not None
    try:
        return int(_process[0][position])
    except ValueError:  # a fork that the user's function made: it has let go of our memory
        return 0
