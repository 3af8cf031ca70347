"""Results become objects again in the calling thread, where the user meets whatever that raises."""

from __future__ import annotations

from allcores.core.events import VALUES, Outcome
from allcores.errors import Failure, Unpicklable
from allcores.tasks.output import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.runtime.pump import Settled


def opened(entry: Settled, on_error: str, spreads: bool) -> list[Any]:
    """Outputs; where errors are to be returned, one that cannot be rebuilt here is a failure of its item alone."""
    try:
        outputs: list[Any] = entry.open()
        return outputs
    except Unpicklable:
        together = len(entry.outcome.body) < entry.outcome.stop - entry.outcome.start
        if on_error == "raise" or together:  # then memory is short, and no item is to blame
            show(entry.outcome.printed)
            raise
    outputs = []
    start, bodies = entry.outcome.start, entry.outcome.body
    for index, body in enumerate(bodies, start):
        alone = entry._replace(outcome=Outcome(index, index + 1, VALUES, (body,)))
        try:
            outputs += alone.open()
        except Unpicklable as error:
            item = entry.item[index - start] if entry.item is not None else None
            failure = Failure(index, item, error)
            outputs.append([failure] if spreads else failure)
    return outputs
