"""Results become objects again in the calling thread, where the user meets whatever that raises.

Where the calling thread may run items itself, one whose result cannot be rebuilt is run again there.
"""

from __future__ import annotations

from allcores.core.events import ERROR, NODE, VALUES, Outcome, Planned
from allcores.errors import Failure, Unpicklable
from allcores.runtime.inline import run_inline
from allcores.runtime.pump import Settled
from allcores.tasks.output import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.core.combine import Collector
    from allcores.runtime.caller import Caller


def opened(caller: Caller, entry: Settled) -> list[Any]:
    """Outputs; where errors are to be returned, one that cannot be had is a failure of its item alone."""
    try:
        outputs: list[Any] = entry.open()
        return outputs
    except Unpicklable as error:
        start, stop, _, bodies, *_ = entry.outcome
        together = len(bodies) < stop - start  # then memory is short, and no item is to blame
        if caller.planner.may_run_here and together:
            return _run_again(caller, start, entry.item, error)
        if not caller.planner.may_run_here and (together or caller.options.on_error == "raise"):
            show(entry.outcome.printed)
            raise
    outputs = []
    for index, body in enumerate(bodies, start):
        item = entry.item[index - start] if entry.item is not None else None
        try:
            outputs += entry._replace(outcome=Outcome(index, index + 1, VALUES, (body,))).open()
        except Unpicklable as error:
            if caller.planner.may_run_here:
                outputs += _run_again(caller, index, [item], error)
            else:
                outputs.append(_failure(caller, index, item, error))
    return outputs


def collect(caller: Caller, entry: Settled, collector: Collector) -> None:
    """Takes outputs, or what they were reduced to, into a reduction. Raises StepFailed."""
    start, stop, kind, *_ = entry.outcome
    if kind != NODE:
        collector.items(start, opened(caller, entry))
        return
    try:
        value = entry.open()
    except Unpicklable as error:
        if not caller.planner.may_run_here:
            raise
        collector.items(start, _run_again(caller, start, entry.item, error))
    else:
        collector.node(start, stop, value)


def _run_again(caller: Caller, first: int, items: Sequence[Any], why: Unpicklable) -> list[Any]:
    """Outputs of items that a worker has run in vain; what they print it has told already."""
    pump, options = caller.pump, caller.options
    pump.stranded = Settled(Outcome(first, first + 1, ERROR, why), None)
    pump.tell(Planned(0, 0))
    outcomes, *_ = run_inline(
        caller.task,
        first,
        items,
        caller.away(len(items)),
        keeps=True,
        live=False,
        stop_on_error=options.on_error == "raise",
        attempts=caller.attempts,
    )
    outputs: list[Any] = []
    for start, _, kind, body, *_ in outcomes:
        if kind != ERROR:
            outputs += body
        elif options.on_error == "return" and not issubclass(type(body), KeyboardInterrupt):
            outputs.append(_failure(caller, start, items[start - first], body))
        else:
            caller.raised = body
            raise body
    return outputs


def _failure(caller: Caller, index: int, item: Any, error: BaseException) -> Any:
    failure = Failure(index, item, error)
    return [failure] if caller.task.spreads else failure
