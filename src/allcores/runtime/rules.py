"""What the user's options mean to the scheduler."""

from __future__ import annotations

from allcores.core.rules import Rules
from allcores.errors import TaskTimeout, WorkerLost
from allcores.options import Options
from allcores.runtime.source import Source
from allcores.tasks.task import Task


def rules_for(task: Task, source: Source, options: Options, streaming: bool, may_run_here: bool) -> Rules:
    """The rules of one job."""
    classes = task.retry_on
    return Rules(
        length=source.length,
        chunksize=None if isinstance(options.chunksize, str) else options.chunksize,
        window=options.window,
        window_bytes=options.window_bytes or Rules().window_bytes,
        bounded=streaming,
        timeout=options.timeout,
        retries=options.retries,
        retry_wait_seconds=options.retry_wait_seconds,
        retry_lost=issubclass(WorkerLost, classes),
        retry_timeout=issubclass(TaskTimeout, classes),
        stop_on_error=options.on_error == "raise",
        whole_leaves=task.reduction is not None,
        costs=None if streaming or options.cost is None else source.costs(options.cost),
        may_run_here=may_run_here,
    )
