"""Items that the calling thread runs itself, and how long they took."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from allcores.core.events import Outcome
from allcores.core.records import NamedTuple
from allcores.tasks.ledger import Ledger
from allcores.tasks.output import let_go, run_keeping
from allcores.tasks.run import Attempts, run_items
from allcores.tasks.surroundings import Inline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.tasks.task import Task


class Ran(NamedTuple):
    """What became of items, and what they took."""

    outcomes: list[Outcome]
    seconds: float
    cpu_seconds: float


def run_inline(
    task: Task,
    first: int,
    items: Sequence[Any],
    away: AbstractContextManager[None],
    *,
    keeps: bool,
    live: bool,
    stop_on_error: bool,
    attempts: Attempts,
    ledger: Ledger | None = None,
) -> Ran:
    """Runs items in the task's surroundings.

    Args:
        away: entered while user code runs.
        keeps: what they print is kept until their results are delivered (``live``: but not the first one's).
        ledger: takes outputs, where nothing is kept that they print.
    """
    inline = Inline(task, items)
    try:
        with inline, away:
            began, cpu_began = time.perf_counter(), time.thread_time()
            if keeps:
                outcomes = run_keeping(
                    task,
                    first,
                    items,
                    live=live,
                    stop_on_error=stop_on_error,
                    attempts=attempts,
                    owner=inline,
                )
            else:
                outcomes = run_items(
                    task, first, items, stop_on_error=stop_on_error, attempts=attempts, ledger=ledger
                )
            return Ran(outcomes, time.perf_counter() - began, time.thread_time() - cpu_began)
    finally:  # Ctrl-C may have come at any moment, also between the steps of entering and leaving
        let_go(inline)
        inline.__exit__()
