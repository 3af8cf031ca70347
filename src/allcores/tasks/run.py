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
    """What became of the items of a run, as they run; it stands at item ``index``.

    Attributes:
        outcomes: of items before ``start``.
        outputs: of those from ``start`` on.
    """

    __slots__ = ("outcomes", "outputs", "start")
    results: Any = ()  # where outputs went that are in no outcome

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, first: int) -> None:
        """A run begins, with this item."""
        self.start = first
        self.outputs: list[Any] = []
        self.outcomes: list[Outcome] = []

    @property
    def index(self) -> int:
        """The item that runs."""
        return self.start + len(self.outputs)

    def forget(self, index: int) -> None:
        """An item is tried again."""

    def piece_ended(self) -> None:
        """Some more items have run."""

    def settle(self) -> None:
        """Turns outputs into an outcome."""
        self._settle(self.start, self.outputs)

    def _settle(self, first: int, outputs: list[Any]) -> None:
        stop = self.index
        if first < stop:
            self.outcomes.append(Outcome(first, stop, VALUES, outputs))
        self.start, self.outputs = stop, []

    def failed(self, error: BaseException, retryable: bool) -> None:
        """The item that ran has raised this."""
        index = self.index
        note_item(error, index)
        self.settle()
        self.outcomes.append(Outcome(index, index + 1, ERROR, error, 0, retryable))
        self.start = index + 1


class Kept(Ledger):
    """Outputs go straight to the list of all results, up to an error; their outcome is empty.

    To move them there later would touch each of them once more, which for cheap items is felt.
    """

    __slots__ = ("_first", "results")

    def __init__(self, results: list[Any]) -> None:
        self.results = results
        super().__init__()

    def begin(self, first: int) -> None:
        """Results hold an output for each item before this one, or for some of them; theirs come next."""
        super().begin(first)
        self._first = first
        self.outputs, self.start = self.results, first - len(self.results)

    def settle(self) -> None:
        """Turns outputs into an outcome, or leaves them where they are."""
        if self.outputs is self.results:
            self._settle(self._first, [])
        else:
            super().settle()


class Folded(Ledger):
    """Outputs are folded as they come, while the processor's caches hold them, up to an error; no outcome has them."""

    __slots__ = ("_collector", "_first", "_folds")

    def __init__(self, collector: Collector) -> None:
        super().__init__()
        self._collector = collector

    def begin(self, first: int) -> None:
        """The collector was fed all items before this one."""
        super().begin(first)
        self._first = first
        self._folds = True

    def piece_ended(self) -> None:
        """Folds what has come. Raises StepFailed."""
        if self._folds:
            self._collector.items(self.start, self.outputs)
            self.start = self.index
            self.outputs.clear()

    def settle(self) -> None:
        """Folds what has come, or turns it into an outcome. Raises StepFailed."""
        if self._folds:
            self.piece_ended()
            self._folds = False
            self._settle(self._first, [])
        else:
            super().settle()


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
