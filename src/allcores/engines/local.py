"""What engines have in common whose workers are in this process: nothing is pickled, and reports go through a queue."""

from __future__ import annotations

import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from allcores.core.events import Event, Outcome
from allcores.core.records import NamedTuple
from allcores.tasks import generators

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.engines.base import Payload
    from allcores.tasks.task import Task


FLUSH_SECONDS = 0.002


class Items(NamedTuple):
    """Items as they are: workers share memory with their caller."""

    items: Sequence[Any]
    size_bytes: int = 0


class Local:
    """The half of such an engine that faces the pump; workers put what happened into ``_events``."""

    gathers = False

    def __init__(self, task: Task) -> None:
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._generators = _states_outside(task)

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def pack(self, first: int, items: Sequence[Any]) -> Payload:
        """Items travel as they are."""
        return Items(items)

    def unpack(self, outcome: Outcome) -> Any:
        """Outcomes are plain objects already."""
        return outcome.body

    def drew(self) -> bool:
        """Whether items have drawn from generators that all of them share."""
        return generators.moved(self._generators, generators.states())

    def wait(self, timeout: float | None) -> list[Event]:
        """What the workers have done."""
        events: list[Event] = []
        try:
            event = self._events.get(timeout=timeout) if timeout != 0 else self._events.get_nowait()
            while event is not None:
                events.append(event)
                event = self._events.get_nowait()
        except Empty:
            pass
        return events

    def flush(self) -> None:
        """Nothing is put off."""

    def ring(self) -> None:
        """Ends a wait."""
        self._events.put(None)


def _states_outside(task: Task) -> tuple[Any, ...]:
    """The states of the process's generators; not those that the calling thread has set for the item that it runs."""
    surroundings = task.surroundings
    if surroundings is None:
        return generators.states()
    before, states = surroundings.outside, generators.states()
    return before or surroundings.outside or states
