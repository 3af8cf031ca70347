"""Executor: the ``concurrent.futures`` face of the same workers."""

from __future__ import annotations

import concurrent.futures
import functools
import time
import weakref
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from itertools import islice
from types import FunctionType

from allcores.errors import AllcoresError, Unpicklable
from allcores.options import checked, positive, possible_seats
from allcores.runtime import budget
from allcores.runtime.dispatcher import Call, Dispatcher
from allcores.signatures import otherwise
from allcores.tasks.call import Calls
from allcores.tasks.coroutines import is_coroutine_function
from allcores.tasks.task import MAP, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Any, TypeVar

    from allcores.engines.base import Engine

    Result = TypeVar("Result")

ENGINES = ("auto", "processes", "threads")
MOST_DEFAULT_THREADS = 32  # as in concurrent.futures: threads are for what waits


class ExecutorBroken(AllcoresError, concurrent.futures.BrokenExecutor):
    """An executor can run nothing any more: its initializer failed, no worker can be had, or they were killed.

    ``__cause__`` is the exception that was the reason, if there was one.
    """


class Executor(concurrent.futures.Executor):
    """A ``concurrent.futures.Executor`` whose functions may be lambdas, closures and functions of ``__main__``.

    A worker that dies costs the call that it ran (its future gets ``allcores.WorkerLost``) and is replaced. Workers
    start as they are needed and end with the executor. Calls are sent to workers that are idle, one at a time.
    Of the defaults that hold where it is made (see ``config``) it takes ``n_jobs`` and ``engine``; the other options
    are about items, and a call is none.

    Args:
        max_workers: None takes the ``n_jobs`` of ``config`` or the environment, and without one a worker for each
            core; for threads some more.
        engine: "processes" (or "auto", which is the same here) or "threads"; None takes the default.
        initializer: called in each worker, before its first call. If it fails the executor is broken.
        initargs: arguments of the initializer.

    Raises:
        TypeError, ValueError: arguments that mean nothing.

    Example:
        >>> import allcores as ac
        >>> with ac.Executor(max_workers=2) as executor:
        ...     future = executor.submit(lambda x: x * x, 7)
        ...     print(future.result(), list(executor.map(pow, [2, 3], [10, 2])))
        49 [1024, 9]
    """

    @otherwise("write allcores.Executor(max_workers=2); options of a call are for allcores.map")
    def __init__(
        self,
        max_workers: int | None = None,
        *,
        engine: str | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        defaults = checked({})
        chosen = defaults.engine if engine is None else engine
        if chosen not in ENGINES:
            by = ", which config or ALLCORES_ENGINE asks for," if engine is None else ""
            raise ValueError(
                f"engine={chosen!r}{by} is not one of an Executor; write one of: {', '.join(ENGINES)}"
            )
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a function, not {type(initializer).__name__}")
        if not isinstance(initargs, Iterable):
            raise TypeError(
                f"initargs must be the arguments of the initializer, for example (1, 2), not {initargs!r}"
            )
        self._engine = chosen
        seats = budget.Seats()
        wanted = defaults.n_jobs if max_workers is None else max_workers
        self._max_workers = _workers(wanted, chosen, seats)
        shares = seats.share_of(self._max_workers), seats.inner_threads(None, self._max_workers)
        make_engine = functools.partial(_engine, chosen, shares, initializer, tuple(initargs))
        self._dispatcher = Dispatcher(make_engine, self._max_workers, _broken)
        weakref.finalize(self, self._dispatcher.abandon).atexit = False

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Schedules ``fn(*args, **kwargs)``; returns the future of its result.

        Raises:
            TypeError: ``fn`` is not callable.
            RuntimeError: the executor was shut down, or the interpreter shuts down.
            ExecutorBroken: see there.
            Unpicklable, StartError: the initializer cannot travel to workers, or there can be none. A call that
                cannot travel is no error here: its future gets ``Unpicklable``.

        Example:
            >>> import allcores as ac
            >>> with ac.Executor(max_workers=1) as executor:
            ...     executor.submit(sorted, "cab", reverse=True).result()
            ['c', 'b', 'a']
        """
        return self._submit(fn, [args], kwargs)[0]

    def map(
        self,
        fn: Callable[..., Result],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Result]:
        """Like ``map(fn, *iterables)``, on the workers; an iterator over the results, in order.

        Args:
            fn: what is called.
            iterables: they are read at once, or with ``buffersize`` as results are taken.
            timeout: seconds from this call, after which waiting for a result raises TimeoutError.
            chunksize: so many items travel to a worker together, which pays where items take microseconds.
            buffersize: so many chunks are under way, or done and not taken, at most.

        Raises:
            TypeError, ValueError: arguments that mean nothing.
            Whatever ``fn`` raises, and ``submit``, when the iterator comes to it.

        Example:
            >>> import allcores as ac, itertools
            >>> with ac.Executor(max_workers=1) as executor:
            ...     squares = executor.map(lambda x: x * x, itertools.count(), buffersize=2)
            ...     [next(squares) for _ in range(3)]
            [0, 1, 4]
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None:
            positive("buffersize", buffersize)
        due = None if timeout is None else time.monotonic() + timeout
        items = zip(*iterables, strict=False)
        chunks = iter(lambda: list(islice(items, chunksize)), [])
        futures: deque[list[Future[Result]]] = deque()
        for chunk in islice(chunks, buffersize):
            futures.append(self._submit_chunk(fn, chunk))
        return _results(futures, weakref.ref(self), fn, chunks if buffersize else iter(()), due)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls and lets the workers go once all is done.

        Args:
            wait: returns only then.
            cancel_futures: calls that no worker has begun are cancelled.

        Example:
            >>> import allcores as ac
            >>> executor = ac.Executor(max_workers=1)
            >>> future = executor.submit(abs, -1)
            >>> executor.shutdown()
            >>> future.result()
            1
        """
        self._dispatcher.close(wait=wait, cancel=cancel_futures)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for what was submitted; after Ctrl-C for nothing that can be stopped."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._dispatcher.kill()
        self.shutdown()

    def _submit(
        self, fn: Callable[..., Result], chunk: list[tuple[Any, ...]], kwargs: dict[str, Any]
    ) -> list[Future[Result]]:
        if not callable(fn):
            raise TypeError(
                f"the first argument must be a function, not {type(fn).__name__}; "
                "write executor.submit(function, argument)"
            )
        if self._engine != "threads" and is_coroutine_function(fn):  # a thread can hand over what it returns
            raise TypeError(
                "an Executor awaits nothing, and this is a coroutine function; "
                "write await allcores.amap(function, items), or await it where you are"
            )
        calls = [Call(Future(), fn, args, kwargs) for args in chunk]
        self._dispatcher.submit(calls)
        return [each.future for each in calls]

    def _submit_chunk(self, fn: Callable[..., Result], chunk: list[tuple[Any, ...]]) -> list[Future[Result]]:
        """Single items by way of ``submit``: whoever wraps it (as tqdm does) sees them."""
        return [self.submit(fn, *chunk[0])] if len(chunk) == 1 else self._submit(fn, chunk, {})


def _results(
    futures: deque[list[Future[Result]]],
    executor: weakref.ref[Executor],
    fn: Callable[..., Result],
    chunks: Iterator[list[tuple[Any, ...]]],
    due: float | None,
) -> Iterator[Result]:
    """The results in order; before each chunk's, the next chunk is submitted. What is left over is cancelled."""
    try:
        while futures:
            owner = executor()
            if owner is not None and (chunk := next(chunks, None)) is not None:
                futures.append(owner._submit_chunk(fn, chunk))
            del owner
            first = futures[0]
            first.reverse()
            while first:
                left = None if due is None else due - time.monotonic()
                yield _result_or_cancel(first.pop(), left)
            futures.popleft()
    finally:
        for each in [future for some in futures for future in some]:
            each.cancel()


def _result_or_cancel(future: Future[Result], timeout: float | None) -> Result:
    try:
        return future.result(timeout)
    finally:
        future.cancel()
        del future  # a failed one refers to this frame by its traceback


def _engine(
    name: str,
    shares: tuple[int, int],
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    function: Callable[..., Any],
) -> Engine:
    """An engine whose workers share what the function of the first call loads, where that can travel.

    ``shares``: the cores that each worker has for calls of its own, and the threads for its libraries.
    """
    cores, inner_threads = shares
    if name == "threads":
        from allcores.engines.threads import Threads

        return Threads(_task(initializer, initargs), cores=cores)
    from allcores.engines.processes import Processes
    from allcores.tasks.told import Lasting

    first = _plain_function(function)
    try:
        return Processes(
            _task(initializer, initargs, first),
            cores=cores,
            inner_threads=inner_threads,
            told=Lasting(first),
        )
    except Unpicklable as error:
        from allcores.tasks.culprit import unpicklable_call

        raise unpicklable_call(initializer, initargs, {}, error) from error


def _task(
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    first: Callable[..., Any] | None = None,
) -> Task:
    return Task(((MAP, Calls(initializer, initargs, first)),))


def _plain_function(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function behind partials and bound methods, without anything large that it may hold."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    return function if isinstance(function, FunctionType) and not function.__closure__ else None


def _workers(wanted: int | None, engine: str, seats: budget.Seats) -> int:
    if wanted is None:
        return min(MOST_DEFAULT_THREADS, seats.total + 4) if engine == "threads" else seats.total
    if isinstance(wanted, int) and wanted <= 0:
        raise ValueError(f"max_workers must be greater than 0, not {wanted}; leave it out for every core")
    return possible_seats("max_workers", wanted, "leave it out for every core")


def _broken(reason: str) -> ExecutorBroken:
    return ExecutorBroken(f"this executor can run nothing any more: {reason}. Make a new one.")
