"""A job that is awaited: another thread does the calling, so that the event loop stays free.

The thread is the job's caller in everything: it walks iterators, runs items, opens results. Async iterables and
coroutine functions belong to the loop, and stay there.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor

from allcores.errors import AllcoresError
from allcores.runtime import partial
from allcores.runtime.async_source import AsyncSource
from allcores.runtime.caller import Caller
from allcores.runtime.source import Source, is_async
from allcores.runtime.users_line import call_for, users_line
from allcores.tasks.tracebacks import leave_out_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Abandoned(AllcoresError):
    """Nobody awaits the job any more."""


class Job:
    """One job and the thread that calls it.

    Args:
        make: makes the caller, in that thread.
    """

    def __init__(self, make: Callable[[Job], Caller]) -> None:
        self.loop = asyncio.get_running_loop()
        self._make = make
        self._caller: Caller | None = None
        self._source: AsyncSource | None = None
        self._given_up = False
        self._context = contextvars.copy_context()
        self._thread = ThreadPoolExecutor(1, "allcores-caller", call_for, (users_line(),))

    def source(self, iterables: tuple[Any, ...], batch: int | None = None) -> Source:
        """The input, whether it is async or not."""
        if any(is_async(iterable) for iterable in iterables):
            self._source = AsyncSource(iterables, batch, self.loop, self._context.copy())
            return self._source
        return Source(iterables, batch)

    def caller(self) -> Caller:
        """The job's caller; for its thread."""
        if self._caller is None:
            self._caller = self._make(self)
            if self._source is not None:
                self._source.on_arrival = self._caller.pump.ring
            if self._given_up:
                self._give_up()
        return self._caller

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls a function in the job's thread. Being cancelled gives the job up, and waits until it has ended."""
        future = self.loop.run_in_executor(self._thread, self._context.run, _told, function, *arguments)
        try:
            await _ended(future, self._give_up)
        except asyncio.CancelledError as cancelled:
            partial.hand_on(future.result()[1], cancelled)
            raise
        done, value = future.result()
        if done:
            return value
        try:
            raise value
        finally:
            del value  # no cycle through the traceback

    def _give_up(self) -> None:
        self._given_up = True
        if self._caller is not None:
            self._caller.source.give_up()
            self._caller.pump.fail(Abandoned())

    async def end(self) -> None:
        """Lets the thread and the input go."""
        self._thread.shutdown(wait=False)
        if self._source is not None and (walk := self._source.stop()) is not None:
            await _ended(walk)


async def _ended(future: asyncio.Future[Any], cancelled: Callable[[], None] | None = None) -> None:
    """Waits until something has ended, also where the waiting is cancelled meanwhile: that is raised afterwards."""
    interrupt: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            interrupt = error
            if cancelled is not None:
                cancelled()
    if interrupt is not None:
        raise interrupt


def _told(function: Callable[..., Any], *arguments: Any) -> tuple[bool, Any]:
    """True and what a function returns, or False and what it raises: a future does not take every exception."""
    try:
        return True, function(*arguments)
    except BaseException as error:
        return False, error


async def result_of(make: Callable[[Job], Caller], collect: Callable[[Caller], Any]) -> Any:
    """What ``collect`` makes of a job, in the job's thread."""
    job = Job(make)
    try:
        return await job.run(lambda: collect(job.caller()))
    finally:
        await job.end()


async def values_of(
    make: Callable[[Job], Caller], flat: Callable[[Caller], Generator[list[Any], None, None]]
) -> AsyncGenerator[Any, None]:
    """The values of a job, as they are ready."""
    job = Job(make)
    runs: Generator[list[Any], None, None] | None = None

    def more() -> list[Any] | None:
        nonlocal runs
        if runs is None:
            runs = flat(job.caller())
        return next(runs, None)

    def close() -> None:
        if runs is not None:
            runs.close()

    try:
        while (run := await job.run(more)) is not None:
            for value in run:
                yield value
    except BaseException as error:
        leave_out_ours(error)
        raise
    finally:
        try:
            await job.run(close)
        finally:
            await job.end()
