"""What an engine is: the hands of one job.

An engine starts workers, gives them pieces of chunks and tells what happened, as events of ``core.events``.
It decides nothing. One instance serves one job; what is kept warm between jobs is the engine's own affair.

``wait`` and everything that changes workers is called under the job's lock, by one thread at a time;
``pack`` and ``unpack`` run user code (pickling) and are called without the lock; ``ring`` may be called by
any thread at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from allcores.core.events import Event, Outcome


class Payload(Protocol):
    """Consecutive items, ready to be sent as often as needed."""

    @property
    def size_bytes(self) -> int:
        """How much memory they take while they travel; 0 where nothing is copied."""
        ...


class Engine(Protocol):
    """The hands of one job."""

    name: str
    can_stop: bool  # a running item can be stopped by killing its worker
    gathers: bool  # reports may wait in channels until somebody looks, and looking takes a core from a worker

    def now(self) -> float:
        """Seconds on the clock that this engine's workers run by."""
        ...

    def pack(self, first: int, items: Sequence[Any]) -> Payload:
        """Makes items [first, first + len(items)) ready to travel. Raises ``Unpicklable`` (with ``.index``)."""
        ...

    def unpack(self, outcome: Outcome) -> Any:
        """Opens an outcome: a list of outputs (VALUES), a reduced value (NODE) or an exception (ERROR, STRANDED)."""
        ...

    def boot(self, worker: int) -> None:
        """Starts a worker; never blocks. ``WorkerReady`` follows, or ``WorkerLost``, or ``StartFailed``."""
        ...

    def send(self, worker: int, payload: Payload, first: int, start: int, stop: int) -> None:
        """Queues items [start, stop) of a payload whose first item is ``first``; never blocks.

        A worker that has been booted may be sent to before it is ready. ``ItemsDone`` events follow, in
        order, the last one of the piece with ``last=True``. What a busy worker is sent may stay here until the
        next ``flush`` or ``wait``.
        """
        ...

    def flush(self) -> None:
        """Lets all go that was sent."""
        ...

    def look(self, worker: int) -> tuple[int | None, float]:
        """The index of the item that the worker runs (None: none) and the time at which it began."""
        ...

    def kill(self, worker: int) -> None:
        """Stops a worker at once; ``WorkerLost`` follows."""
        ...

    def wait(self, timeout: float | None) -> list[Event]:
        """What happened since the last call; waits up to ``timeout`` seconds (None: for ever) for something.

        Returns an empty list when the time is over or ``ring`` was called.
        """
        ...

    def ring(self) -> None:
        """Makes a ``wait`` that is going on, or else the next one, return at once."""
        ...

    def cancel(self) -> None:
        """Tells every worker to start no further item of what it was sent; pieces then end with ``last=True``."""
        ...

    def close(self, reuse: bool) -> None:
        """The job is over. Workers that are idle may be kept for a next job if ``reuse``; all others are stopped."""
        ...
