"""Threads of this process: for items that wait, and for everything on an interpreter without a GIL.

Nothing is pickled; a running item cannot be stopped. A thread that is still inside an item when its job is over
is left to finish it, and what it returns is dropped.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue

from allcores.core.events import ItemsDone, StartFailed, WorkerReady
from allcores.engines.local import FLUSH_SECONDS, Items, Local
from allcores.errors import StartError
from allcores.tasks import inner_threads, place
from allcores.tasks.output import run_keeping
from allcores.tasks.run import reduced
from allcores.tasks.task import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.engines.base import Payload


class Seat:
    """One thread's inbox, and what it runs now."""

    __slots__ = ("inbox", "running", "since")

    def __init__(self) -> None:
        self.inbox: SimpleQueue[tuple[Sequence[Any], int] | None] = SimpleQueue()
        self.running: int | None = None
        self.since = 0.0


class Threads(Local):
    """Runs the pieces of one job on threads, one inbox each."""

    name = "threads"
    can_stop = False

    def __init__(
        self,
        task: Task,
        context: contextvars.Context | None = None,
        *,
        cores: int = 1,
        inner_threads: int | None = None,
    ) -> None:
        """A job on threads.

        Args:
            task: what is done with each item.
            context: the caller's, which every thread gets a copy of (decimal, NumPy's error state, ...).
            cores: what each thread has for calls of its own.
            inner_threads: for BLAS and OpenMP libraries; None leaves them alone.
        """
        super().__init__(task)
        self._task = task
        self._context = context or contextvars.copy_context()
        self._cores = cores
        self._inner_threads = inner_threads
        self._seats: dict[int, Seat] = {}
        self._cancelled = False

    def boot(self, worker: int) -> None:
        """Starts a thread."""
        seat = self._seats[worker] = Seat()
        work = self._context.copy().run
        name = f"allcores-thread-{worker}"
        thread = threading.Thread(target=work, args=(self._work, worker, seat), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._events.put(
                StartFailed(StartError(f"threads cannot be started: {error}. Use a smaller n_jobs."))
            )
        else:
            self._events.put(WorkerReady(worker))

    def send(self, worker: int, payload: Payload, first: int, start: int, stop: int) -> None:
        """Queues items for a thread."""
        assert isinstance(payload, Items)
        self._seats[worker].inbox.put((payload.items[start - first : stop - first], start))

    def look(self, worker: int) -> tuple[int | None, float]:
        """What the thread runs, and since when."""
        seat = self._seats[worker]
        return seat.running, seat.since

    def kill(self, worker: int) -> None:
        """Threads cannot be stopped; options that would need it are refused at the door."""
        raise NotImplementedError("a thread cannot be stopped")

    def cancel(self) -> None:
        """No thread starts another item."""
        self._cancelled = True

    def close(self, reuse: bool) -> None:
        """Lets every thread go as soon as it is done with what it runs."""
        self._cancelled = True
        for seat in self._seats.values():
            seat.inbox.put(None)

    def _work(self, worker: int, seat: Seat) -> None:
        place.sit_in_thread(worker, self._cores)
        if self._inner_threads is not None:
            inner_threads.limit(self._inner_threads)  # OpenMP keeps a limit for each thread
        if self._task.surroundings is not None:
            try:
                self._task.surroundings.enter(shared=True)
            except StartError as error:
                self._events.put(StartFailed(error))
                return
        while (piece := seat.inbox.get()) is not None:
            items, start = piece
            self._run_piece(worker, seat, items, start)
            del items, piece

    def _run_piece(self, worker: int, seat: Seat, items: Sequence[Any], start: int) -> None:
        """Runs a piece, reporting whenever 2 ms worth of results have gathered."""
        done = 0
        last = False
        while not last:
            began, cpu_began = time.monotonic(), time.thread_time()
            flush_at = began + FLUSH_SECONDS
            first = True

            def proceed(flush_at: float = flush_at) -> bool:
                nonlocal first
                go_on = first or time.monotonic() < flush_at
                first = False
                return go_on and not self._cancelled

            seat.running, seat.since = start + done, began
            outcomes = run_keeping(self._task, start + done, items[done:], proceed=proceed)
            seat.running = None
            seconds, cpu_seconds = time.monotonic() - began, time.thread_time() - cpu_began
            done = outcomes[-1].stop - start if outcomes else done
            last = done == len(items) or self._cancelled
            self._events.put(ItemsDone(worker, reduced(self._task, outcomes), seconds, cpu_seconds, last))
