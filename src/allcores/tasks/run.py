"""Runs items of a task one after another, in this very thread: what the caller, threads and simulations do.

Process workers have a leaner loop of their own, since there every item and result is pickled on the way.
"""

from __future__ import annotations

import time

from allcores.core.combine import Collector, StepFailed
from allcores.core.events import ERROR, NODE, VALUES, Outcome
from allcores.core.printed import shared_out
from allcores.tasks.ledger import Ledger, note_item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from allcores.tasks.task import Task


class Attempts:
    """How often an item is tried where it runs, for engines whose items are not sent again."""

    __slots__ = ("retries", "sleep", "wait_seconds")

    def __init__(
        self, retries: int, wait_seconds: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.retries = retries
        self.wait_seconds = wait_seconds
        self.sleep = sleep


ONCE = Attempts(0, 0.0)


def run_items(
    task: Task,
    first: int,
    items: Sequence[Any],
    *,
    proceed: Callable[[], bool] | None = None,
    stop_on_error: bool = False,
    attempts: Attempts = ONCE,
    ledger: Ledger | None = None,
) -> list[Outcome]:
    """Runs items in order; outcomes cover all of them, up to where ``proceed`` said no or an error stopped it.

    Whatever the function raises becomes an ERROR outcome, SystemExit and KeyboardInterrupt too.
    """
    ledger = ledger or Ledger()
    ledger.begin(first)
    begin = task.begin
    pieces = getattr(items, "pieces", None)
    for piece in (items,) if pieces is None else pieces():
        remaining = iter(piece) if proceed is None else _while(proceed, piece)
        for item in remaining:
            start, outputs = ledger.start, ledger.outputs
            try:
                run = task.run
                if begin is not None:
                    begin(start + len(outputs))
                outputs.append(run(item))
                if begin is None:
                    for item in remaining:  # the loop itself, with as little around it as can be
                        outputs.append(run(item))
                else:
                    for item in remaining:
                        begin(start + len(outputs))
                        outputs.append(run(item))
            except BaseException as raised:
                error: BaseException | None = raised
                if attempts.retries and not issubclass(type(raised), KeyboardInterrupt):
                    error = _try_again(task, item, raised, attempts, ledger)
                if error is None:
                    continue
                ledger.failed(error, issubclass(type(error), task.retry_on))
                by_ctrl_c = proceed is None and issubclass(type(error), KeyboardInterrupt)
                if stop_on_error or by_ctrl_c:
                    del remaining  # the error knows this frame: the user's iterator is not to live as long
                    return ledger.outcomes
        ledger.piece_ended()
    ledger.settle()
    return ledger.outcomes


def _while(proceed: Callable[[], bool], items: Sequence[Any]) -> Iterator[Any]:
    for item in items:
        if not proceed():
            return
        yield item


def _try_again(
    task: Task,
    item: Any,
    error: BaseException,
    attempts: Attempts,
    ledger: Ledger,
) -> BaseException | None:
    """Repeats an item as often as allowed; its output joins those before, or its last error is returned."""
    for _ in range(attempts.retries):
        if not issubclass(type(error), task.retry_on):
            return error
        if attempts.wait_seconds:
            attempts.sleep(attempts.wait_seconds)
        ledger.forget(ledger.index)
        try:
            if task.begin is not None:
                task.begin(ledger.index)
            ledger.outputs.append(task.run(item))
            return None
        except BaseException as raised:
            error = raised
    return error


def reduced(task: Task, outcomes: list[Outcome]) -> list[Outcome]:
    """The same outcomes with values folded and merged as far as the task's reduction allows."""
    if task.reduction is None:
        return outcomes
    result: list[Outcome] = []
    for outcome in outcomes:
        if outcome.kind != VALUES:
            result.append(outcome)
            continue
        collector = Collector(task.reduction, task.spreads)
        try:
            collector.items(outcome.start, outcome.body)
        except StepFailed as failed:
            result.append(
                Outcome(outcome.start, failed.index, VALUES, outcome.body[: failed.index - outcome.start])
            )
            assert failed.__cause__ is not None
            note_item(failed.__cause__, failed.index)
            result.append(Outcome(failed.index, failed.index + 1, ERROR, failed.__cause__))
            result = [each for each in result if each.start < each.stop]
            break
        for start, stop, is_node, value in collector.take():
            result.append(Outcome(start, stop, NODE if is_node else VALUES, value))
    return shared_out(
        result, [each for outcome in outcomes if outcome.kind == VALUES for each in outcome.printed]
    )
