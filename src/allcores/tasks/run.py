"""Runs items of a task one after another, in this very thread: what the caller, threads and simulations do.

Process workers have a leaner loop of their own, since there every item and result is pickled on the way.
"""

from __future__ import annotations

import contextlib
import time

from allcores.core.combine import Collector, StepFailed
from allcores.core.events import ERROR, NODE, VALUES, Outcome
from allcores.core.printed import shared_out
from allcores.tasks.tracebacks import leave_out_ours

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
NOTE = "allcores: item "


class Ledger:
    """Where a run stands, for who wants to know: it runs item ``start + len(outputs)``."""

    __slots__ = ("outputs", "start")

    def __init__(self) -> None:
        self.start = 0
        self.outputs: list[Any] = []

    def forget(self, index: int) -> None:
        """An item is tried again."""


def run_items(
    task: Task,
    first: int,
    items: Sequence[Any],
    *,
    proceed: Callable[[], bool] | None = None,
    stop_on_error: bool = False,
    attempts: Attempts = ONCE,
    ledger: Ledger | None = None,
    into: list[Any] | None = None,
) -> list[Outcome]:
    """Runs items in order; outcomes cover all of them, up to where ``proceed`` said no or an error stopped it.

    Whatever the function raises becomes an ERROR outcome, SystemExit and KeyboardInterrupt too. ``into``: a list that
    the outputs of the first items are added to, up to an error; their outcome is empty then. To move them there later
    would touch each of them once more, which for cheap items is felt.
    """
    outcomes: list[Outcome] = []
    outputs: list[Any] = [] if into is None else into
    start = first - len(outputs)
    begin = task.begin
    if ledger is not None:
        ledger.start, ledger.outputs = start, outputs
    pieces = getattr(items, "pieces", None)
    for piece in (items,) if pieces is None else pieces():
        remaining = iter(piece) if proceed is None else _while(proceed, piece)
        for item in remaining:
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
                    error = _try_again(task, item, raised, attempts, outputs, start, ledger)
                if error is None:
                    continue
                index = start + len(outputs)
                note_item(error, index)
                _settle(outcomes, first, start, outputs, into)
                outcomes.append(
                    Outcome(index, index + 1, ERROR, error, 0, issubclass(type(error), task.retry_on))
                )
                start, outputs = index + 1, []
                if ledger is not None:
                    ledger.start, ledger.outputs = start, outputs
                by_ctrl_c = proceed is None and issubclass(type(error), KeyboardInterrupt)
                if stop_on_error or by_ctrl_c:
                    del remaining  # the error knows this frame: the user's iterator is not to live as long
                    return outcomes
    _settle(outcomes, first, start, outputs, into)
    return outcomes


def _settle(
    outcomes: list[Outcome], first: int, start: int, outputs: list[Any], into: list[Any] | None
) -> None:
    """Adds the outcome of the items from ``start`` on that have these outputs, if there are any."""
    stop = start + len(outputs)
    if outputs is into:
        start, outputs = first, []
    if start < stop:
        outcomes.append(Outcome(start, stop, VALUES, outputs))


def note_item(error: BaseException, index: int) -> None:
    """Says in a note which item an exception belongs to, unless its class lets nobody add anything."""
    leave_out_ours(error)
    with contextlib.suppress(Exception):
        notes = getattr(error, "__notes__", [])
        notes[:] = [
            note for note in notes if not str(note).startswith(NOTE)
        ]  # the same object may be raised again
        error.add_note(f"{NOTE}{index}")


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
    outputs: list[Any],
    start: int,
    ledger: Ledger | None,
) -> BaseException | None:
    """Repeats an item as often as allowed; its output joins ``outputs``, or its last error is returned."""
    for _ in range(attempts.retries):
        if not issubclass(type(error), task.retry_on):
            return error
        if attempts.wait_seconds:
            attempts.sleep(attempts.wait_seconds)
        if ledger is not None:
            ledger.forget(start + len(outputs))
        try:
            if task.begin is not None:
                task.begin(start + len(outputs))
            outputs.append(task.run(item))
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
