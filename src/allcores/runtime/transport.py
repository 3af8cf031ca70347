"""What it takes to move an item to another process, and its result back: pickled here, to see."""

from __future__ import annotations

import time

from allcores.core.plan import CHEAP_SECONDS
from allcores.errors import Unpicklable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.core.events import Outcome

COPY_BYTES_A_SECOND = 0.4e9  # pickled, through a socket, and unpickled
MOST_ITEMS = 4  # whose pickling is measured


class Transport:
    """What one job's items and results take on their way to another process and back.

    Attributes:
        seconds: for an item and its result; None: nothing is known.
    """

    __slots__ = ("_fresh", "seconds")

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._fresh: tuple[Sequence[Any], Sequence[Any], int] | None = None

    def take_in(self, items: Sequence[Any], outcome: Outcome, results: Sequence[Any]) -> None:
        """Items have run here; their outputs are the last of the outcome's or, where it has none, of the results."""
        if self.seconds is not None or type(outcome.body) is not list:
            return
        outputs = (outcome.body or results)[max(-MOST_ITEMS, outcome.start - outcome.stop) :]
        if outputs:  # else they are folded already
            self._fresh = items[len(items) - len(outputs) :], outputs, outcome.stop - 1

    def let_go(self) -> None:
        """Nobody asks any more: items and outputs are the user's alone."""
        self._fresh = None

    @property
    def to_be_measured(self) -> bool:
        """Whether there is something to measure, and nothing is known."""
        return self._fresh is not None

    def measure(self) -> str | None:
        """Measures it; why results cannot travel at all, or None if they can, as far as can be seen from here."""
        if self._fresh is None:
            return None
        (items, outputs, index), self._fresh = self._fresh, None
        self.seconds = transport_seconds(items, outputs)
        return None if self.seconds is not None else _obstacle(outputs[-1], index)


def transport_seconds(items: Sequence[Any], outputs: Sequence[Any]) -> float | None:
    """What it takes to pickle and unpickle an item and its result; None where plain pickle does not do."""
    from _pickle import dumps, loads

    things = [*outputs, *items]
    try:
        seconds = _pickling_seconds(things, dumps, loads)
        if seconds < CHEAP_SECONDS:  # the first time of anything is slow
            seconds = min(seconds, _pickling_seconds(things, dumps, loads))
    except Exception:
        return None
    return seconds / len(outputs)


def _pickling_seconds(things: list[Any], dumps: Any, loads: Any) -> float:
    """What pickling and unpickling takes; large buffers are not copied for that, but counted."""
    buffers: list[Any] = []
    began = time.perf_counter()
    for thing in things:
        mark = len(buffers)
        loads(dumps(thing, 5, buffer_callback=buffers.append), buffers=buffers[mark:])
    copied = sum(buffer.raw().nbytes for buffer in buffers) / COPY_BYTES_A_SECOND
    return float(time.perf_counter() - began + copied)


def _obstacle(output: Any, index: int) -> str | None:
    from allcores.tasks.pickling import PROTOCOL, dump_result, dumps, loads

    try:
        data = dumps(output, PROTOCOL)
    except Exception:
        try:
            dump_result(output, index)
        except Unpicklable as error:
            return str(error)
        return None
    try:
        loads(data)
    except Exception as error:
        from allcores.tasks.culprit import result_not_rebuilt

        return str(result_not_rebuilt(index, error))
    return None
