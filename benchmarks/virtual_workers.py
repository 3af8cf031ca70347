"""The real scheduler on workers that are simulated, with a virtual clock: without faults, so that 10,000 are possible.

A message costs the one sender some time and travels for some more. A worker runs what it was sent in order and reports
as the real one does: at the end of a piece, and before an item once 2 ms worth of results are unsent.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from allcores.core import commands as do
from allcores.core import events as happened
from allcores.core.events import VALUES, Event, Outcome
from allcores.core.order import InOrder
from allcores.core.rules import Rules
from allcores.core.scheduler import Scheduler
from allcores.testing import FLUSH_SECONDS


class Dispatch(NamedTuple):
    """What a message costs."""

    send_seconds: float = 0.0  # of the sender
    latency_seconds: float = 0.0  # on its way, in either direction


class Ran(NamedTuple):
    """How a simulated job went."""

    seconds: float  # until the last item is done, virtual
    messages: int  # sent to workers
    events: int  # told to the scheduler
    scheduler_seconds: float  # inside the scheduler, of a real processor


class Job:
    """One job on simulated workers that are all there from the start.

    Args:
        costs: seconds, by item.
        workers: how many.
        dispatch: what a message costs.
        rules: what the scheduler must keep to; the number of items is known where they say it.
        clock: measures what the scheduler takes: a processor's time, since other programs run too.
    """

    def __init__(
        self,
        costs: Sequence[float],
        workers: int,
        dispatch: Dispatch,
        rules: Rules,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._costs = costs
        self._workers = workers
        self._dispatch = dispatch
        self._clock = clock
        self._scheduler = Scheduler(rules)
        self._line: Any = InOrder()
        self._now = 0.0
        self._free_at = [0.0] * workers
        self._coming: list[tuple[float, int, happened.ItemsDone]] = []
        self._messages = self._reports = self._events = 0
        self._scheduler_seconds = 0.0

    def run(self) -> Ran:
        """From the first item to the last."""
        scheduler, count, pulled = self._scheduler, len(self._costs), 0
        self._post(happened.Planned(self._workers, self._workers))
        for worker in range(self._workers):
            self._post(happened.WorkerReady(worker))
        while scheduler.settled < count:
            pulled = self._feed(pulled)
            if self._take():
                continue  # there may be room for more input now
            self._now = max(self._now, self._coming[0][0])
            while self._coming and self._coming[0][0] <= self._now:
                self._post(heapq.heappop(self._coming)[2])
        return Ran(max(self._free_at), self._messages, self._events, self._scheduler_seconds)

    def _feed(self, pulled: int) -> int:
        chunks, total = 1, len(self._costs)
        while chunks and pulled < total:
            began = self._clock()
            items, chunks = self._scheduler.wanted(pulled)
            self._scheduler_seconds += self._clock() - began
            for _ in range(chunks):
                items = min(items, total - pulled)
                if not items:
                    break
                self._post(happened.Offered(pulled, items))
                pulled += items
            if pulled == total:
                self._post(happened.SourceEnded())
        return pulled

    def _take(self) -> int:
        """The user takes what is there, in order."""
        items = 0
        while (outcome := self._line.take()) is not None:
            items += outcome.stop - outcome.start
        if items:
            self._post(happened.Consumed(items, 0))
        return items

    def _post(self, event: Event) -> None:
        self._events += 1
        began = self._clock()
        commands = self._scheduler.handle(event, self._now)
        self._scheduler_seconds += self._clock() - began
        for command in commands:
            if type(command) is do.Send:
                self._send(command)
            elif type(command) is do.Deliver:
                self._line.put(command.outcome.start, command.outcome.stop, command.outcome)

    def _send(self, command: do.Send) -> None:
        """What the worker will report of this piece, and when, is known from now on."""
        self._messages += 1
        self._now += self._dispatch.send_seconds
        worker, _, start, stop = command
        clock = max(self._free_at[worker], self._now + self._dispatch.latency_seconds)
        first, unsent_seconds = start, 0.0
        for item in range(start, stop):
            clock += self._costs[item]
            unsent_seconds += self._costs[item]
            last = item + 1 == stop
            if last or unsent_seconds >= FLUSH_SECONDS:
                self._report(worker, first, item + 1, clock, unsent_seconds, last)
                first, unsent_seconds = item + 1, 0.0
        self._free_at[worker] = clock

    def _report(self, worker: int, first: int, stop: int, when: float, seconds: float, last: bool) -> None:
        outcome = Outcome(first, stop, VALUES, ())
        event = happened.ItemsDone(worker, (outcome,), seconds, seconds, last)
        self._reports += 1
        heapq.heappush(self._coming, (when + self._dispatch.latency_seconds, self._reports, event))


def greedy_seconds(costs: Sequence[float], workers: int) -> float:
    """Greedy list scheduling: each item, in order, to the worker that is free first, one by one and for nothing.

    >>> greedy_seconds([1, 1, 1, 3], 2)
    4
    """
    free_at: list[float] = [0] * workers
    for cost in costs:
        heapq.heapreplace(free_at, free_at[0] + cost)
    return max(free_at)
