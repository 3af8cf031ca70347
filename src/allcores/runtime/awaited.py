"""What the first item may show: that its function returns something to await, which the calling thread cannot."""

from __future__ import annotations

from allcores.core.events import Offered
from allcores.core.plan import ASYNCIO
from allcores.runtime.pump import Packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.core.events import Outcome
    from allcores.runtime.caller import Caller
    from allcores.tasks.coroutines import Begun


def turn_to_loop(caller: Caller, items: Sequence[Any], outcome: Outcome) -> None:
    """The job, beginning with the rest of the item that has this outcome, goes to an event loop."""
    begun: Begun = outcome.body
    begun.printed = outcome.printed
    try:
        caller.planner.turn_to_loop(begun.stage)
        with caller.launching, caller.feeding:
            if caller.pump.engine is not None:
                if outcome.start:
                    raise TypeError(
                        f"{begun.stage} returned something to await in item {outcome.start}, when work had moved; "
                        "write engine='asyncio'"
                    )
                caller.begin_again(behind=len(items))
            scheduler = caller.pump.scheduler
            scheduler.rules = scheduler.rules._replace(may_run_here=False)
    except BaseException:
        begun.drop()
        raise
    caller.launch(ASYNCIO, *caller.planner.explicit_workers())
    engine = caller.pump.engine
    assert engine is not None
    caller.pump.submit(Offered(outcome.start, 1), Packed(engine.pack(outcome.start, [begun]), items))
