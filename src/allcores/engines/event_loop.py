"""One event loop with very many seats: for coroutine functions, whose items wait side by side.

The loop has a thread of its own, which ends with the job, unless the caller is inside a loop already and awaits the
job: then items run in that one, where the caller's clients and locks belong, and only plain functions are called
in a thread of ours. Each piece is an asyncio task with a copy of the caller's context. An item is stopped by
cancelling its task, which takes effect where it awaits.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import functools
import itertools
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from heapq import heappop, heappush

from allcores.core.events import (
    Event,
    ItemsDone,
    StartFailed,
    WorkerLost,
    WorkerReady,
)
from allcores.core.printed import shared_out
from allcores.engines.local import FLUSH_SECONDS, Items, Local
from allcores.errors import StartError
from allcores.tasks import inner_threads, place
from allcores.tasks.coroutines import Begun, Chain
from allcores.tasks.output import Sink
from allcores.tasks.run import reduced
from allcores.tasks.task import Task
from allcores.tasks.tracebacks import stack_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.engines.base import Payload


LAST_CHARACTERS = 4096  # of what an item has printed that is cancelled
LAST_WORDS_SECONDS = 2.0  # for cancelled coroutines to end
STARTS_AT_ONCE = 32  # before the loop comes round
STUCK_SECONDS = 1.0  # a loop that answers nothing for so long runs an item that never awaits

_open: weakref.WeakSet[EventLoop] = weakref.WeakSet()


class Seat:
    """What one worker has to run, runs, and since when."""

    __slots__ = ("inbox", "index", "lost", "report", "running", "since", "task")

    def __init__(self, index: int) -> None:
        self.index = index  # what the user sees
        self.inbox: deque[tuple[Sequence[Any], int]] = deque()
        self.running: int | None = None
        self.since = 0.0
        self.task: asyncio.Task[None] | None = None
        self.report: Report | None = None
        self.lost = False

    def last_words(self) -> str:
        """The end of what the item has printed that runs, and where it stands."""
        if self.running is None or self.task is None or self.report is None:
            return ""
        texts = [str(text) for index, _, text in self.report.printed if index == self.running]
        return "".join([*texts, stack_of(self.task.get_coro())])[-LAST_CHARACTERS:]


class Report(Sink):
    """What became of items of a piece, and what they have printed, until it is reported."""

    __slots__ = ("_began", "_task", "_worker")

    def __init__(self, task: Task, worker: int, start: int) -> None:
        super().__init__()
        self._task = task
        self._worker = worker
        self.begin(start)
        self._began = time.monotonic()

    def add(self, done: bool, value: Any) -> None:
        """The next item's output, or what it raised."""
        if done:
            self.outputs.append(value)
            return
        self.failed(value, issubclass(type(value), self._task.retry_on))

    def seconds(self) -> float:
        """How long these items took together."""
        return time.monotonic() - self._began

    def take(self, last: bool) -> ItemsDone:
        """The report, and a new one begins."""
        self.settle()
        outcomes = shared_out(self.outcomes, self.printed)
        self.outcomes, self.printed = [], []
        seconds, self._began = self.seconds(), time.monotonic()
        return ItemsDone(self._worker, reduced(self._task, outcomes), seconds, 0.0, last)


class EventLoop(Local):
    """Runs the pieces of one job as tasks of an event loop."""

    name = "asyncio"
    can_stop = True

    def __init__(
        self,
        task: Task,
        context: contextvars.Context | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        inner_threads: int | None = None,
    ) -> None:
        """``context``: the caller's. ``loop``: the one that the caller awaits this job in; None for one of our own.

        ``inner_threads``: for the libraries that items call in a loop of our own; None leaves them alone.
        """
        super().__init__(task)
        self._inner_threads = inner_threads
        self._task = task
        self._context = context or contextvars.copy_context()
        self._loop = loop
        self._thread: threading.Thread | None = None
        self._helping: Any = None  # the executor that calls plain functions while the loop is the caller's
        self._chain = Chain(task, None if loop is None else self._apart)
        self._seats: dict[int, Seat] = {}
        self._indices = itertools.count()
        self._free: list[int] = []  # those of seats that were lost, a heap
        self._sent: deque[tuple[int, Seat]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._told = False  # the loop knows that something was sent
        surroundings = task.surroundings
        self._to_set_up = loop is not None and surroundings is not None and surroundings.setup is not None
        self._cancelled = False
        self._all_cancelled = False
        self._ending = False
        self._over = threading.Event()
        self._kills: dict[int, tuple[float, int | None]] = {}  # asked for when, of which item

    # -- in the thread that drives the pump -----------------------------------------------------------

    def boot(self, worker: int) -> None:
        """Adds a seat; the first one starts the loop."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._serve, name="allcores-asyncio", daemon=True)
            self._thread.start()
            _open.add(self)
        self._seats[worker] = Seat(heappop(self._free) if self._free else next(self._indices))
        self._events.put(WorkerReady(worker))

    def send(self, worker: int, payload: Payload, first: int, start: int, stop: int) -> None:
        """Queues items for a seat."""
        assert isinstance(payload, Items)
        seat = self._seats[worker]
        seat.inbox.append((payload.items[start - first : stop - first], start))
        self._sent.append((worker, seat))
        if not self._told:
            self._told = True
            self._tell(self._start_sent)

    def look(self, worker: int) -> tuple[int | None, float]:
        """What the seat runs, and since when."""
        seat = self._seats[worker]
        return seat.running, seat.since

    def kill(self, worker: int) -> None:
        """Cancels what the seat runs."""
        seat = self._seats[worker]
        heappush(self._free, seat.index)
        self._kills[worker] = time.monotonic(), seat.running
        self._tell(self._lose, worker)

    def wait(self, timeout: float | None) -> list[Event]:
        """What the items have done; says so if the loop is stuck in one that should be cancelled."""
        events = super().wait(timeout)
        if not events and self._kills:
            asked, item = min(self._kills.values(), key=lambda each: each[0])
            if time.monotonic() - asked > STUCK_SECONDS:
                self._kills.clear()
                return [StartFailed(StartError(_stuck(item)))]
        return events

    def drew(self) -> bool:
        """Whether items have drawn from the process's generators; in the caller's loop others may have."""
        return self._thread is not None and super().drew()

    def cancel(self) -> None:
        """Nobody wants any more results: what runs is cancelled."""
        self._cancelled = True
        self._tell(self._cancel_all)

    def close(self, reuse: bool) -> None:
        """Cancels what still runs and waits, briefly, until it has ended; a loop of our own ends with it."""
        self._cancelled = True
        if self._loop is None:
            return
        in_it = asyncio._get_running_loop() is self._loop  # then it would wait for itself
        if self._tell(self._end) and not in_it and not self._over.wait(LAST_WORDS_SECONDS):
            logging.getLogger("allcores").warning(
                "a coroutine function goes on although it was cancelled, %g s ago; "
                "let it await, and let it end on CancelledError",
                LAST_WORDS_SECONDS,
            )
        elif self._thread is not None:
            self._thread.join(LAST_WORDS_SECONDS)
        _open.discard(self)
        if self._helping is not None:
            self._helping.shutdown(wait=False)

    def _tell(self, function: Callable[..., Any], *arguments: Any) -> bool:
        """Lets the loop call a function; whether there still is a loop."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            self._events.put(StartFailed(StartError("the event loop was closed while a job ran in it")))
            return False
        return True

    # -- in the loop ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        """The life of a loop of our own."""
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        place.sit_in_thread(None, 1)
        place.sit_in_context(0)
        if self._inner_threads is not None:
            inner_threads.limit(self._inner_threads)  # OpenMP keeps a limit for each thread
        try:
            if self._task.surroundings is not None:
                self._task.surroundings.enter(shared=True)
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        except StartError as error:  # what setup raised
            self._events.put(StartFailed(error))
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            self._over.set()

    async def _set_up(self) -> None:
        """Has ``setup`` called beside the caller's loop; then items start."""
        surroundings = self._task.surroundings
        assert surroundings is not None
        place.sit_in_context(0)
        try:
            surroundings.adopt(await self._apart(surroundings.set_up))
        except StartError as error:
            self._events.put(StartFailed(error))
        else:
            self._start_sent()

    def _start_sent(self) -> None:
        if self._to_set_up:
            self._to_set_up = False
            self._run(self._set_up())
            return
        self._told = False
        for _ in range(min(STARTS_AT_ONCE, len(self._sent))):
            worker, seat = self._sent.popleft()
            self._start(worker, seat)
        if self._sent and not self._told:  # others, and what has been started, come first
            self._told = True
            assert self._loop is not None
            self._loop.call_soon(self._start_sent)

    def _start(self, worker: int, seat: Seat) -> None:
        if seat.task is None and seat.inbox and not seat.lost and not self._ending:
            items, start = seat.inbox.popleft()
            seat.task = self._run(self._run_piece(worker, seat, items, start))
            seat.task.add_done_callback(functools.partial(self._piece_ended, worker, seat))

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._loop is not None
        task = self._loop.create_task(work, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._ending and not self._tasks:
            self._end()

    async def _run_piece(self, worker: int, seat: Seat, items: Sequence[Any], start: int) -> None:
        """Runs a piece, reporting whenever 2 ms worth of results have gathered."""
        report = seat.report = Report(self._task, worker, start)
        place.sit_in_context(seat.index)
        with report:
            for index, item in enumerate(items, start):
                if self._cancelled:
                    break
                seat.running, seat.since = index, time.monotonic()
                if type(item) is Begun:
                    report.printed += item.printed
                    done, value = await item.resume(self._chain, index)
                else:
                    done, value = await self._chain.attempt(item, index)
                seat.running = None
                if not done and issubclass(type(value), asyncio.CancelledError):
                    if seat.lost or self._cancelled:
                        break
                    _forget_cancellation(seat.task)
                report.add(done, value)
                if report.seconds() > FLUSH_SECONDS and index + 1 < start + len(items):
                    self._events.put(report.take(last=False))
        self._events.put(report.take(last=True))

    def _piece_ended(self, worker: int, seat: Seat, task: asyncio.Task[None]) -> None:
        seat.task = None
        if task.cancelled():  # before it began
            self._events.put(ItemsDone(worker, [], 0.0, 0.0, True))
        elif (error := task.exception()) is not None:
            self._events.put(StartFailed(error))
        self._start(worker, seat)

    async def _apart(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls a plain function in a thread of ours: the caller's loop has better things to do."""
        assert self._loop is not None
        if self._helping is None:
            from concurrent.futures import ThreadPoolExecutor

            self._helping = ThreadPoolExecutor(1, "allcores-asyncio-plain")
        run = contextvars.copy_context().run
        return await self._loop.run_in_executor(self._helping, run, function, *arguments)

    def _lose(self, worker: int) -> None:
        self._kills.pop(worker, None)
        seat = self._seats.pop(worker)
        seat.lost = True
        output = seat.last_words()
        if seat.task is not None:
            seat.task.cancel()
        self._events.put(WorkerLost(worker, seat.running, None, None, "its task was cancelled", output))

    def _cancel_all(self) -> None:
        """Once: a second cancellation would hit those that clean up after the first."""
        for task in () if self._ending or self._all_cancelled else self._tasks:
            task.cancel()
        self._all_cancelled = True
        for worker, seat in self._seats.items():
            for _ in range(len(seat.inbox)):
                seat.inbox.popleft()
                self._events.put(ItemsDone(worker, [], 0.0, 0.0, True))

    def _end(self) -> None:
        """Ends a loop of our own, or our part in the caller's, as soon as every task has ended."""
        assert self._loop is not None
        self._cancel_all()
        self._ending = True
        if self._tasks:
            return
        if self._thread is not None:
            self._loop.stop()
        else:
            self._over.set()


def hint_at_amap() -> None:
    """Says, once, what else could be written where a thread that runs an event loop is about to wait."""
    if asyncio._get_running_loop() is not None:
        _hint()


@functools.cache
def _hint() -> None:
    logging.getLogger("allcores").warning(
        "allcores waits for coroutine functions inside a running event loop, where nothing else runs meanwhile; "
        "write `await allcores.amap(...)`, or `async for` over the stream"
    )


def _stuck(item: int | None) -> str:
    return (
        f"item {item} runs too long and cannot be stopped: it does not await, so nothing else in its event loop runs. "
        "Let it await, or hand what blocks to asyncio.to_thread; or write it as a plain def and leave engine out."
    )


def _forget_cancellation(task: asyncio.Task[None] | None) -> None:
    """An item that cancelled itself has failed, and nothing else."""
    while task is not None and task.cancelling():
        task.uncancel()


def _at_exit() -> None:
    for engine in list(_open):
        engine.close(reuse=False)


def _in_forked_child() -> None:
    """The threads of these loops were not forked: nobody is to wait for them."""
    for engine in list(_open):
        engine._over.set()
    _open.clear()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
