"""map, amap, starmap and explain: each a few lines that build a job and run it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, Callable, Iterable, Mapping

from allcores.core.plan import Plan
from allcores.options import Options, checked, seed_numbers, whole
from allcores.runtime import partial as _partial
from allcores.runtime.caller import Caller
from allcores.runtime.planner import Planner
from allcores.runtime.source import Source, iterator_of
from allcores.runtime.surround import surround
from allcores.signatures import otherwise
from allcores.tasks.surroundings import generator
from allcores.tasks.task import MAP, STARMAP, Task
from allcores.tasks.tracebacks import users_frames_only, users_frames_only_awaited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Result = TypeVar("Result")


@users_frames_only
def map(
    function: Callable[..., Result],
    /,
    *iterables: Iterable[Any],
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[Result]:
    """Calls ``function`` on every item, on every core where that pays; returns the results in order.

    Args:
        function: anything callable: lambdas, closures and functions of a script or notebook too.
        iterables: one or more; with several, ``function`` takes as many arguments, and the shortest one ends it.
        kwargs: constant keyword arguments of ``function``.
        **options: n_jobs, engine, chunksize, window, window_bytes, timeout, deadline, retries, retry_on,
            retry_wait_seconds, on_error, seed, setup, inner_threads, writes, progress and cost. ``n_jobs=None`` takes
            as many workers as the measured cost justifies, -1 every core. ``engine`` is "auto", "inline", "threads",
            "asyncio" or "processes". ``timeout`` is in seconds for one item, ``deadline`` for the whole call.
            ``on_error="return"`` puts an ``allcores.Failure`` in the place of each item that failed. With ``seed``
            item i draws from ``allcores.rng(seed, i)``, passed as ``rng`` if ``function`` takes one; ``random`` and
            ``numpy.random`` are seeded for each item as well. ``setup`` is called once in each worker, and its
            value passed as ``state``. ``inner_threads`` is how many threads BLAS and OpenMP may use in each worker.
            ``writes="error"`` refuses a function that writes to what workers only have a copy of, "allow" lets it
            move without a word. ``progress=True``, or a label, shows a bar. ``cost`` says of an item how long it takes
            beside the others: the longest go to workers first. ``allcores.config`` sets defaults.

    Returns:
        A list with one result for each item.

    Raises:
        TypeError, ValueError: the options mean nothing, or nothing together.
        Unpicklable: with engine="processes", the function, an item or a result cannot travel.
        LostWriteError: with writes="error".
        WorkerLost, TaskTimeout, DeadlineExceeded, StartError: see ``allcores.errors``.
        Whatever ``function`` raises, that of the earliest failing item.

    Example:
        >>> import allcores as ac
        >>> ac.map(pow, [2, 3], [10, 2])
        [1024, 9]
    """
    if not iterables:
        raise TypeError("map needs at least one iterable; write allcores.map(function, items)")
    kind = MAP if len(iterables) == 1 else STARMAP
    return _collected(kind, function, iterables, kwargs, options)


@users_frames_only_awaited
async def amap(
    function: Callable[..., Any],
    /,
    *iterables: Iterable[Any] | AsyncIterable[Any],
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[Any]:
    """Like ``map``, awaited: for the inside of coroutines, whose event loop stays free meanwhile.

    Coroutine functions run in the running event loop, so that they can use its clients and locks; any other
    function, and every iterator, in threads or processes of ours. Cancelling the awaiting task cancels the job.

    Args:
        function: anything callable; what it returns is awaited where it can be.
        iterables: one or more; async ones are walked in the running event loop, not further than they are needed.
        kwargs: constant keyword arguments of ``function``.
        **options: as for ``map``.

    Returns:
        A list with one result for each item, in order.

    Raises:
        As ``map``.

    Example:
        >>> import asyncio
        >>> import allcores as ac
        >>> async def double(x):
        ...     await asyncio.sleep(0.001)
        ...     return 2 * x
        >>> async def main():
        ...     return await ac.amap(double, range(3))
        >>> asyncio.run(main())
        [0, 2, 4]
    """
    if not iterables:
        raise TypeError("amap needs at least one iterable; write await allcores.amap(function, items)")
    from allcores.runtime import asynchronous

    chosen = _checked(options)
    kind = MAP if len(iterables) == 1 else STARMAP
    task = _task(kind, function, kwargs, chosen.retry_classes, "amap(function, items)")

    def make(job: asynchronous.Job) -> Caller:
        return Caller(task, job.source(iterables), chosen, loop=job.loop)

    results: list[Any] = await asynchronous.result_of(make, _partial.collected)
    return results


@users_frames_only
@otherwise(
    "it takes one iterable of tuples: write allcores.starmap(function, zip(a, b)) or allcores.map(function, a, b)"
)
def starmap(
    function: Callable[..., Result],
    iterable: Iterable[Iterable[Any]],
    /,
    *,
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[Result]:
    """Like ``map``, with each item a tuple of arguments.

    Example:
        >>> import allcores as ac
        >>> ac.starmap(pow, [(2, 10), (3, 2)])
        [1024, 9]
    """
    return _collected(STARMAP, function, (iterable,), kwargs, options, "starmap(function, tuples)")


@users_frames_only
def explain(
    function: Callable[..., Any],
    /,
    *iterables: Iterable[Any],
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Plan:
    """Runs at most 3 items, or 0.2 seconds, and says how ``map`` would run the rest, and why.

    Args:
        function, iterables, kwargs, options: as for ``map``.

    Returns:
        A ``Plan`` with ``engine``, ``n_jobs``, ``seconds`` (predicted, by engine) and ``reasons``; printed, it
        is a text.

    Raises:
        TypeError: one of ``iterables`` is an iterator, whose items would be used up.
        Whatever ``function`` raises.

    Example:
        >>> import allcores as ac
        >>> ac.explain(abs, [-1, 2, -3]).engine
        'inline'
    """
    from allcores.runtime.explain import explained

    chosen = checked(options)
    if not iterables:
        raise TypeError("explain needs at least one iterable; write allcores.explain(function, items)")
    if any(iterator_of(items) is items for items in iterables):
        raise TypeError(
            "explain would use up the first items of this iterator; give it a list or a range, "
            "for example list(itertools.islice(items, 100))"
        )
    kind = MAP if len(iterables) == 1 else STARMAP
    task = _task(kind, function, kwargs, chosen.retry_classes, "explain(function, items)")
    surround(task, chosen)
    return explained(Planner(task, chosen), Source(iterables))


def partial(error: BaseException, /) -> dict[int, Any]:
    """What had finished when ``map``, ``starmap`` or a stream ended with this exception, Ctrl-C included.

    Returns:
        Results by index of their item. Of a stream with a filter or a flat_map, lists of the values that an item
        became; of a stream that is iterated over, only what was not handed over yet. Empty for reductions, and
        for an exception that does not come from such a call.

    Example:
        >>> import allcores as ac
        >>> try:
        ...     ac.map(lambda x: 1 / x, [2, 1, 0], engine="inline")
        ... except ZeroDivisionError as error:
        ...     print(ac.partial(error))
        {0: 0.5, 1: 1.0}
    """
    return dict(_partial.finished(error))


def cpu_count() -> int:
    """Number of cores that this process can keep busy, as affinity and container limits have it.

    Example:
        >>> import allcores as ac
        >>> ac.cpu_count() >= 1
        True
    """
    from allcores.runtime import machine

    return machine.cpu_count()


def rng(seed: Any, index: int) -> Any:
    """The ``numpy.random.Generator`` that item ``index`` draws from where ``seed`` is given.

    Args:
        seed: a whole number, or a sequence of them.
        index: position of the item.

    Raises:
        TypeError, ValueError: one of them is not a whole number, or negative.
        ImportError: NumPy is not installed.

    Example:
        >>> import allcores as ac
        >>> def draw(x, rng):
        ...     return rng.integers(1000)
        >>> bool(ac.map(draw, range(3), seed=7)[2] == ac.rng(7, 2).integers(1000))
        True
    """
    return generator((*seed_numbers(seed), whole("index", index, least=0)))


def warmup(function: Callable[..., Any] | None = None, /, n_jobs: int | None = None) -> None:
    """Starts in advance what a next call would have to wait for, and returns when it is there.

    Without a function this is what all workers are forked from; with one also its workers, which then wait for
    ``allcores.map(function, items)``.

    Args:
        function: the one that is going to be mapped (with ``kwargs``: ``functools.partial(function, **kwargs)``).
        n_jobs: how many workers; None: as many as there are cores.

    Raises:
        TypeError, ValueError: ``function`` cannot be called, or ``n_jobs`` means nothing.
        Unpicklable: the function cannot travel.
        StartError: no worker can be had.

    Example:
        >>> import allcores as ac
        >>> ac.warmup(divmod, n_jobs=2)
        >>> ac.shutdown()
    """
    from allcores.engines import processes

    chosen = checked({} if n_jobs is None else {"n_jobs": n_jobs})
    task = None if function is None else _task(MAP, function, None, chosen.retry_classes, "warmup(function)")
    processes.warm_up(task, chosen.n_jobs or cpu_count())


def shutdown() -> None:
    """Lets every worker go that is kept for a next call. The next call starts new ones.

    Example:
        >>> import allcores as ac
        >>> ac.shutdown()
    """
    from allcores.engines import processes

    processes.shutdown()


def _collected(
    kind: str,
    function: Callable[..., Any],
    iterables: tuple[Iterable[Any], ...],
    kwargs: Mapping[str, Any] | None,
    options: dict[str, Any],
    call: str = "map(function, items)",
) -> list[Any]:
    chosen = _checked(options)
    task = _task(kind, function, kwargs, chosen.retry_classes, call)
    return _partial.collected(Caller(task, Source(iterables), chosen))


def _checked(options: dict[str, Any]) -> Options:
    chosen = checked(options)
    if not options.get("ordered", True):
        raise ValueError(
            "map always returns results in order; write allcores.par(items, ordered=False).map(f)"
        )
    return chosen._replace(ordered=True)


def _task(
    kind: str,
    function: Callable[..., Any],
    kwargs: Mapping[str, Any] | None,
    retry_on: tuple[type[BaseException], ...],
    call: str,
) -> Task:
    if not callable(function):
        raise TypeError(
            f"the first argument must be a function, not {type(function).__name__}; "
            f"write allcores.{call}, and the function without calling it"
        )
    if kwargs is not None and not (
        isinstance(kwargs, Mapping) and all(isinstance(name, str) for name in kwargs)
    ):
        raise TypeError(
            f"kwargs must be a dict of constant keyword arguments, for example {{'epochs': 3}}, not {kwargs!r}"
        )
    if kwargs:
        function = functools.partial(function, **kwargs)
    return Task(((kind, function),), retry_on=retry_on)
