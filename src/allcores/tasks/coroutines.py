"""Coroutine functions: how they are recognized, and how an item passes through stages that may be such."""

from __future__ import annotations

from itertools import repeat

from allcores.tasks.task import FLAT_MAP, MAP, STARMAP, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
    from typing import Any

    from allcores.core.events import Printed

COROUTINE, ASYNC_GENERATOR = (
    0x80,
    0x200,
)  # the flags of their code, as in ``inspect``, which is slow to import
NOTHING: Mapping[str, Any] = {}
MARKS = ("_is_coroutine_marker", "_is_coroutine")  # set by inspect.markcoroutinefunction, and by asyncio once


def is_coroutine_function(function: Any, flags: int = COROUTINE) -> bool:
    """Whether calling ``function`` gives something to await: also behind partials, methods and ``__call__``.

    >>> async def fetch(url): ...
    >>> is_coroutine_function(fetch), is_coroutine_function(len)
    (True, False)
    """
    function = innermost(function)
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004
    found = getattr(code, "co_flags", 0)
    if isinstance(found, int) and found & flags:
        return True
    return any(mark in getattr(function, "__dict__", ()) for mark in MARKS)


def innermost(function: Any) -> Any:
    """The function inside bound methods and partials."""
    while (inner := _wrapped(function)) is not None:
        function = inner
    return function


def _wrapped(function: Any) -> Any:
    """The function inside a bound method or a partial."""
    kind = type(function)
    if kind.__module__ == "functools" and kind.__name__ == "partial":
        return function.func
    return function.__func__ if kind.__name__ == "method" and hasattr(function, "__func__") else None


def awaited_stage(task: Task) -> str | None:
    """The name of the first stage that has to be awaited, or None if there is none (as far as can be seen)."""
    for kind, function in task.stages:
        if is_coroutine_function(function, COROUTINE | ASYNC_GENERATOR if kind == FLAT_MAP else COROUTINE):
            function = innermost(function)
            return str(getattr(function, "__qualname__", type(function).__qualname__))
    return None


class Stopped(Exception):
    """A plain function raised StopIteration, which cannot leave a coroutine as it is."""


class Chain:
    """The stages of a task as one coroutine: every result is awaited where it can be.

    Attributes:
        apart: calls plain functions somewhere else; None: they are called here.
        pause: is awaited before anything of the user's is.
    """

    __slots__ = ("_stages", "apart", "pause", "task")

    def __init__(self, task: Task, apart: Callable[..., Awaitable[Any]] | None = None) -> None:
        self.task = task
        self.apart = apart
        self.pause: Pause | None = None
        takes = repeat(()) if task.surroundings is None else task.surroundings.takes
        self._stages = [
            (kind, function, names, not is_coroutine_function(function, COROUTINE | ASYNC_GENERATOR))
            for (kind, function), names in zip(task.stages, takes, strict=False)
        ]

    def has_begun(self, result: Any) -> None:
        """The first function was called already, and returned this."""
        self._stages[0] = (MAP, lambda _: result, (), True)

    async def attempt(self, item: Any, index: int | None = None) -> tuple[bool, Any]:
        """True and the item's output, or False and what was raised, whatever it is."""
        surroundings = self.task.surroundings
        try:
            around = NOTHING if surroundings is None else surroundings.keywords(index)
            if self.task.spreads:
                return True, await self._spread(item, around)
            for stage in self._stages:
                item = await self._call(*stage, item, around)
            return True, item
        except Stopped as stopped:
            return False, stopped.__cause__
        except BaseException as error:
            return False, error

    async def _spread(self, item: Any, around: Mapping[str, Any]) -> list[Any]:
        values = [item]
        for kind, function, names, plain in self._stages:
            results = [await self._call(kind, function, names, plain, value, around) for value in values]
            if kind in (MAP, STARMAP):
                values = results
            elif kind == FLAT_MAP:
                values = [output for outputs in results for output in outputs]
            else:
                values = [value for value, keep in zip(values, results, strict=True) if keep]
            if not values:
                break
        return values

    async def _call(
        self,
        kind: str,
        function: Callable[..., Any],
        names: tuple[str, ...],
        plain: bool,
        value: Any,
        around: Mapping[str, Any],
    ) -> Any:
        keywords = {name: around[name] for name in names} if names else NOTHING
        if self.apart is None or not plain:
            result = _called(kind, function, value, keywords)
        else:
            result = await self.apart(_called, kind, function, value, keywords)
        if hasattr(type(result), "__await__"):
            if self.pause is not None:
                await self._paused(self.pause, result)
            result = await result
        if kind == FLAT_MAP and hasattr(type(result), "__aiter__"):
            if self.pause is not None:
                await self._paused(self.pause, result)
            result = [output async for output in result]
        return bool(result) if kind == "filter" else result

    async def _paused(self, pause: Pause, result: Any) -> None:
        try:
            await pause
        except GeneratorExit:  # nobody will await it
            if hasattr(result, "close"):
                result.close()
            raise


def _called(kind: str, function: Callable[..., Any], value: Any, keywords: Mapping[str, Any]) -> Any:
    try:
        result = function(*value, **keywords) if kind == STARMAP else function(value, **keywords)
        plain = kind == FLAT_MAP and not (
            hasattr(type(result), "__await__") or hasattr(type(result), "__aiter__")
        )
        return list(result) if plain else result
    except StopIteration as stop:
        raise Stopped from stop


class Pause:
    """Stops a coroutine once, before it awaits anything: until then it needs no event loop."""

    def __init__(self) -> None:
        self._over = False

    def __await__(self) -> Generator[Pause, None, None]:
        if not self._over:
            self._over = True
            yield self


class Begun(BaseException):
    """An item whose function returned something to await: found out in the calling thread, which cannot.

    Attributes:
        item: the item itself.
        stage: name of the first function.
        printed: what it has printed so far and nobody has seen.
    """

    def __init__(self, task: Task, item: Any, result: Any = None) -> None:
        """An item, and what the first function has returned for it where it was called already."""
        super().__init__()
        self.item = item
        self.stage = _name_of(task)
        self.printed: tuple[Printed, ...] = ()
        self._chain = Chain(task)
        self._chain.pause = Pause()
        if result is not None:
            self._chain.has_begun(result)
        self._coroutine: Coroutine[Any, Any, tuple[bool, Any]] | None = self._chain.attempt(item)

    def begin(self) -> Any:
        """The output, if nothing has to be awaited; else raises itself. Raises what the function raises."""
        assert self._coroutine is not None
        try:
            self._coroutine.send(None)
        except StopIteration as end:
            self._coroutine = None
            done, value = end.value
        else:
            raise self
        if done:
            return value
        raise value

    def resume(self, chain: Chain, index: int | None = None) -> Awaitable[tuple[bool, Any]]:
        """The rest of what was begun; when that was taken already, the item once more."""
        coroutine, self._coroutine = self._coroutine, None
        self.printed = ()
        if coroutine is None:
            return chain.attempt(self.item, index)
        self._chain.apart = chain.apart
        return Rest(coroutine)

    def drop(self) -> None:
        """Nobody will await it."""
        if self._coroutine is not None:
            self._coroutine.close()
            self._coroutine = None


class Rest:
    """A coroutine that has begun: ``await`` refuses these, though nothing speaks against going on."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Any:
        return self._coroutine.__await__()


def probing(task: Task) -> Task:
    """The task for the first item: raises ``Begun`` where a stage returns something to await."""

    def run(item: Any) -> Any:
        return Begun(task, item).begin()

    if task.spreads or len(task.stages) != 1:
        return task.running(run)
    plain = task.run

    def run_one(item: Any) -> Any:
        result = plain(item)
        return Begun(task, item, result).begin() if hasattr(type(result), "__await__") else result

    return task.running(run_one)


def blocking(task: Task) -> Task:
    """The task for a thread that may block: every item that must be awaited has an event loop of its own."""

    async def rest(begun: Begun) -> tuple[bool, Any]:
        return await begun.resume(Chain(task))

    def run(item: Any) -> Any:
        try:
            return Begun(task, item).begin()
        except Begun as begun:
            import asyncio

            done, value = asyncio.run(rest(begun))
        if done:
            return value
        raise value

    return task.running(run)


def _name_of(task: Task) -> str:
    function = task.stages[0][1] if task.stages else None
    return str(getattr(function, "__qualname__", type(function).__qualname__))
