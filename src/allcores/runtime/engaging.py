"""The engine of one job, made from its name."""

from __future__ import annotations

from allcores.core.plan import ASYNCIO, THREADS
from allcores.options import Options
from allcores.processes import presence
from allcores.runtime import budget
from allcores.tasks.task import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from contextvars import Context

    from allcores.engines.base import Engine


def engine_named(
    name: str,
    options: Options,
    task: Task,
    context: Context,
    seats: budget.Seats,
    workers: int,
    loop: AbstractEventLoop | None = None,
) -> Engine:
    """A new engine for one job of the caller with this context, with so many workers to begin with.

    ``loop`` is the event loop in which the job is awaited, if it is.

    Raises Unpicklable where the function cannot travel.
    """
    if not isinstance(options.engine, str):
        engine: Engine = options.engine.engine_for(task)
        return engine
    if name == THREADS:
        from allcores.engines.threads import Threads

        return Threads(task, context, cores=seats.share_of(workers), inner_threads=options.inner_threads)
    if name == ASYNCIO:
        from allcores.engines.event_loop import EventLoop, hint_at_amap

        if loop is None:
            hint_at_amap()
        return EventLoop(task, context, loop, options.inner_threads)
    if presence.obstacle() is None:
        from allcores.processes.start import Start

        Start(task).begin()  # it boots while the rest is loaded and the function is pickled
    from allcores.engines.processes import Processes

    return Processes(
        task,
        timed=options.timeout is not None,
        inner_threads=seats.inner_threads(options.inner_threads, workers),
        cores=seats.share_of(workers),
        chunksize=options.chunksize if isinstance(options.chunksize, int) else None,
    )
