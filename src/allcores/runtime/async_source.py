"""The input of a job that is awaited, where it is async: one task of the user's event loop walks it.

The task takes no step that was not asked for, so that nothing is read on past the window.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from allcores.runtime.source import Source, Steps, is_async, is_random_access

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class AsyncSource(Source):
    """Pulls numbered items out of async iterables (and lists and the like, if there are several).

    ``take`` never waits: it returns what is there and asks for what is missing; ``on_arrival`` is called, in the
    loop, as soon as there is something. ``ahead`` waits for one item.
    """

    def __init__(
        self,
        iterables: tuple[Any, ...],
        batch: int | None,
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context,
    ) -> None:
        for iterable in iterables:
            if not is_async(iterable) and not is_random_access(iterable):
                raise TypeError(
                    f"a {type(iterable).__name__} beside an async iterable would be walked in the event loop, "
                    "which is not free meanwhile; write list(...) around it"
                )
        self.random_access = False
        self.never_waits = True
        self.length = None
        self.pulled = 0
        self.ended = False
        self.error = None
        self.on_arrival: Callable[[], object] = bool  # nobody listens as yet
        self._iterables = iterables
        self._batch = batch
        self._loop = loop
        self._context = context
        self._arrival = threading.Condition()
        self._there: deque[Any] = deque()
        self._asked = 0  # items that are not there yet
        self._walked = False  # to its end
        self._given_up = False
        self._demand = asyncio.Event()
        self._walk: asyncio.Task[None] | None = None

    # -- in the job's thread --------------------------------------------------------------------------

    def take(self, count: int) -> tuple[int, Sequence[Any]]:
        """The index of the next item, and up to ``count`` items that are there; asks for the others."""
        with self._arrival:
            first = self.pulled
            items = [self._there.popleft() for _ in range(min(count, len(self._there)))]
            self.pulled += len(items)
            self.ended = self._walked and not self._there
            if not self._walked and len(items) < count:
                self._ask(count - len(items))
            return first, items

    def ahead(self, count: int, piece: int = 1) -> tuple[int, Sequence[Any]]:
        """The next item, which is waited for."""
        with self._arrival:
            if not self._there and not self._walked:
                self._ask(1)
            self._arrival.wait_for(lambda: self._there or self._walked or self._given_up)
        return self.pulled, Steps(self, 1)

    def give_up(self) -> None:
        """Nobody wants any more items."""
        with self._arrival:
            self._given_up = True
            self._arrival.notify_all()

    def let_go(self) -> None:
        """Its iterators are closed in their loop, by ``stop``."""

    def _ask(self, count: int) -> None:
        if not self._given_up and count > self._asked:
            self._asked = count
            self._loop.call_soon_threadsafe(self._go_on)

    # -- in the loop ----------------------------------------------------------------------------------

    def stop(self) -> asyncio.Task[None] | None:
        """The input is wanted no further; returns what to wait for."""
        self.give_up()
        if self._walk is not None:
            self._walk.cancel()
        return self._walk

    def _go_on(self) -> None:
        if self._walk is None and not self._given_up:
            self._walk = self._loop.create_task(self._walk_all(), context=self._context)
        self._demand.set()

    async def _walk_all(self) -> None:
        error: BaseException | None = None
        try:
            iterators = [aiter(each) if is_async(each) else iter(each) for each in self._iterables]
            while (item := await self._next(iterators)) is not _END:
                with self._arrival:
                    self._there.append(item)
                    self._asked -= 1
                    self._arrival.notify_all()
                self.on_arrival()
        except asyncio.CancelledError as raised:
            error = raised
            if self._given_up:
                raise
        except BaseException as raised:
            error = raised
        with self._arrival:
            self.error = error
            self._walked = True
            self._arrival.notify_all()
        self.on_arrival()

    async def _next(self, iterators: list[Any]) -> Any:
        """The next item, once it is asked for; or ``_END``."""
        while self._asked <= 0:
            self._demand.clear()
            await self._demand.wait()
        if self._batch is None:
            return await _step(iterators)
        batch: list[Any] = []
        while len(batch) < self._batch and (item := await _step(iterators)) is not _END:
            batch.append(item)
        return batch or _END


_END: Any = object()


async def _step(iterators: list[AsyncIterator[Any] | Iterator[Any]]) -> Any:
    """One item of each, like ``zip``; of a single one that item itself; or ``_END``."""
    items = []
    for each in iterators:
        item = next(each, _END) if isinstance(each, Iterator) else await anext(each, _END)
        if item is _END:
            return _END
        items.append(item)
    return items[0] if len(items) == 1 else tuple(items)
