"""Simulated workers on a virtual clock, with faults to inject: for tests of what must happen when things go wrong.

The function really runs, in this process, so real results come back; only the time that items take, the workers
and their misfortunes are simulated. Nothing sleeps: an hour of simulated work is over in milliseconds.

Example:
    >>> import allcores as ac
    >>> from allcores.testing import DiesOn, SimEngine
    >>> engine = SimEngine(seconds=60.0, workers=3, faults=[DiesOn(item=2)])
    >>> ac.map(lambda x: x * x, range(5), engine=engine, retries=1)
    [0, 1, 4, 9, 16]
    >>> engine.runs()[2], engine.runs()[3]
    (2, 1)
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from random import Random
from typing import Any, NamedTuple, TypeVar

from allcores.core import commands as do
from allcores.core import events as happened
from allcores.core.events import VALUES, Event, Outcome
from allcores.core.printed import shared_out
from allcores.engines.base import Payload
from allcores.tasks.output import run_keeping
from allcores.tasks.run import reduced
from allcores.tasks.surroundings import Inline
from allcores.tasks.task import Task

Kind = TypeVar("Kind")

FLUSH_SECONDS = 0.002  # before a worker starts an item, at most so much finished work is unsent
ALWAYS = 1_000_000_000
SIGKILL = 9


class DiesOn(NamedTuple):
    """The first ``times`` workers that run this item are killed half-way through it."""

    item: int
    times: int = 1


class DiesAt(NamedTuple):
    """This worker is killed at this time, whatever it does."""

    seconds: float
    worker: int


class DiesBooting(NamedTuple):
    """This worker ends before it has answered."""

    worker: int


class Hangs(NamedTuple):
    """The first ``times`` runs of this item never end."""

    item: int
    times: int = ALWAYS


Fault = DiesOn | DiesAt | DiesBooting | Hangs


class ItemStarted(NamedTuple):
    """A simulated worker began an item."""

    worker: int
    item: int


class ItemEnded(NamedTuple):
    """A simulated worker finished an item; its function has run."""

    worker: int
    item: int


class Moment(NamedTuple):
    """One entry of a trace: an event, a command, or the start or the end of an item."""

    seconds: float
    what: Any


class SimEngine:
    """An engine for the ``engine`` option whose workers are simulated.

    Args:
        seconds: how long an item takes: a number, or a function of its index and the item.
        workers: how many there are where ``n_jobs`` does not say it.
        boot_seconds: until a worker answers.
        latency_seconds: how long a message travels, in either direction.
        send_seconds: how long the sender is busy with one message.
        cpu_share: the share of an item's time in which it computes; below one half it counts as waiting.
        slowness: factors, by worker, on what items take there.
        item_bytes: what an item, and its result, takes while it travels.
        faults: what goes wrong.
        seed: lets what items take vary by half, at random but repeatably; None: it does not vary.

    Attributes:
        trace: what happened in the last job, in order.
    """

    name = "simulation"

    def __init__(
        self,
        *,
        seconds: float | Callable[[int, Any], float] = 0.001,
        workers: int = 4,
        boot_seconds: float = 0.03,
        latency_seconds: float = 0.0,
        send_seconds: float = 0.0,
        cpu_share: float = 1.0,
        slowness: Mapping[int, float] | None = None,
        item_bytes: int = 0,
        faults: Iterable[Fault] = (),
        seed: int | None = None,
    ) -> None:
        self.seconds = seconds
        self.workers = workers
        self.boot_seconds = boot_seconds
        self.latency_seconds = latency_seconds
        self.send_seconds = send_seconds
        self.cpu_share = cpu_share
        self.slowness = slowness or {}
        self.item_bytes = item_bytes
        self.faults = tuple(faults)
        self.seed = seed
        self.trace: list[Moment] = []

    def engine_for(self, task: Task) -> SimJob:
        """Workers for one job; the clock starts at 0 and the trace is empty."""
        self.trace = []
        return SimJob(self, task)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """The entries of the trace that are of this kind, for example ``allcores.core.commands.Send``."""
        return [what for _, what in self.trace if isinstance(what, kind)]

    def runs(self) -> Counter[int]:
        """How often each item was started."""
        return Counter(started.item for started in self.of(ItemStarted))


class Parcel(NamedTuple):
    """Items as they are."""

    items: Sequence[Any]
    size_bytes: int


class Order:
    """A piece in a worker's inbox: items [next, stop) of the parcel that begins with item ``first``."""

    __slots__ = ("first", "items", "next", "stop")

    def __init__(self, items: Sequence[Any], first: int, start: int, stop: int) -> None:
        self.items = items
        self.first = first
        self.next = start
        self.stop = stop


class Seat:
    """One simulated worker."""

    __slots__ = ("alive", "inbox", "ready", "running", "since", "unsent", "unsent_seconds", "worker")

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.alive = True
        self.ready = False
        self.inbox: deque[Order] = deque()
        self.running: int | None = None
        self.since = 0.0
        self.unsent: list[Outcome] = []
        self.unsent_seconds = 0.0


class SimJob:
    """The simulated workers of one job: an ``engines.base.Engine``."""

    name = "simulation"
    can_stop = True
    gathers = False

    def __init__(self, settings: SimEngine, task: Task) -> None:
        self._settings = settings
        self._task = task
        self._trace = settings.trace
        self._clock = 0.0
        self._agenda: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._planned = 0
        self._arrived: list[Event] = []
        self._seats: dict[int, Seat] = {}
        self._cancelled = False
        self._rung = False
        self._random = None if settings.seed is None else Random(settings.seed)
        self._deadly: Counter[int] = Counter()
        self._hanging: Counter[int] = Counter()
        self._stillborn: set[int] = set()
        for fault in settings.faults:
            match fault:
                case DiesOn(item, times):
                    self._deadly[item] += times
                case Hangs(item, times):
                    self._hanging[item] += times
                case DiesBooting(worker):
                    self._stillborn.add(worker)
                case DiesAt(seconds, worker):
                    self._at(seconds, self._strike, worker)

    # -- what an engine does --------------------------------------------------------------------------

    def now(self) -> float:
        """Virtual seconds since the job began."""
        return self._clock

    def pack(self, first: int, items: Sequence[Any]) -> Payload:
        """Items travel as they are."""
        return Parcel(items, len(items) * self._settings.item_bytes)

    def unpack(self, outcome: Outcome) -> Any:
        """Outcomes are plain objects already."""
        return outcome.body

    def boot(self, worker: int) -> None:
        """Starts a worker."""
        self._note(do.Boot(worker))
        seat = self._seats[worker] = Seat(worker)
        if worker in self._stillborn:
            self._at(self._clock + self._settings.boot_seconds / 2, self._die, seat)
        else:
            self._at(self._clock + self._settings.boot_seconds, self._answer, seat)

    def send(self, worker: int, payload: Payload, first: int, start: int, stop: int) -> None:
        """Sends items to a worker."""
        assert isinstance(payload, Parcel)
        self._note(do.Send(worker, first, start, stop))
        self._clock += self._settings.send_seconds
        order = Order(payload.items, first, start, stop)
        self._at(self._clock + self._settings.latency_seconds, self._receive, (self._seats[worker], order))

    def look(self, worker: int) -> tuple[int | None, float]:
        """What the worker runs, and since when."""
        self._note(do.Look(worker))
        seat = self._seats[worker]
        return seat.running, seat.since

    def kill(self, worker: int) -> None:
        """Kills a worker."""
        self._note(do.Kill(worker))
        self._strike(worker)

    def wait(self, timeout: float | None) -> list[Event]:
        """Moves the clock to the next event, at most by ``timeout``. Raises RuntimeError if there will be none."""
        until = math.inf if timeout is None else self._clock + timeout
        if self._rung:
            until, self._rung = self._clock, False
        agenda = self._agenda
        while agenda and agenda[0][0] <= (self._clock if self._arrived else until):
            when, _, act, subject = heapq.heappop(agenda)
            self._clock = max(self._clock, when)
            act(subject)
        if not self._arrived:
            if until == math.inf:
                raise RuntimeError("the simulation is stuck: it waits for ever and nothing will happen")
            self._clock = until
        events, self._arrived = self._arrived, []
        for event in events:
            self._note(event)
        return events

    def flush(self) -> None:
        """Nothing is put off."""

    def ring(self) -> None:
        """Lets the next wait return at once."""
        self._rung = True

    def cancel(self) -> None:
        """No worker starts another item."""
        self._cancelled = True
        for seat in self._seats.values():
            self._go_on(seat)

    def close(self, reuse: bool) -> None:
        """Nothing happens any more."""
        self._agenda.clear()

    # -- what happens ---------------------------------------------------------------------------------

    def _at(self, when: float, act: Callable[[Any], None], subject: Any) -> None:
        self._planned += 1
        heapq.heappush(self._agenda, (when, self._planned, act, subject))

    def _note(self, what: Any) -> None:
        self._trace.append(Moment(self._clock, what))

    def _tell(self, event: Event) -> None:
        """The event is on its way to whoever waits."""
        if self._settings.latency_seconds:
            self._at(self._clock + self._settings.latency_seconds, self._arrive, event)
        else:
            self._arrive(event)

    def _arrive(self, event: Event) -> None:
        self._arrived.append(event)

    def _answer(self, seat: Seat) -> None:
        if seat.alive:
            seat.ready = True
            self._tell(happened.WorkerReady(seat.worker))
            self._go_on(seat)

    def _receive(self, mail: tuple[Seat, Order]) -> None:
        seat, order = mail
        seat.inbox.append(order)
        self._go_on(seat)

    def _go_on(self, seat: Seat) -> None:
        """Starts the next item, if the worker is free and there is one."""
        if seat.running is not None or not seat.ready or not seat.alive:
            return
        while seat.inbox and self._cancelled:
            self._report(seat, last=True)
        if not seat.inbox:
            return
        order = seat.inbox[0]
        index = seat.running = order.next
        seat.since = self._clock
        self._note(ItemStarted(seat.worker, index))
        seconds = self._duration(seat, order)
        if self._deadly[index] > 0:
            self._deadly[index] -= 1
            self._at(self._clock + seconds / 2, self._die, seat)
        elif self._hanging[index] > 0:
            self._hanging[index] -= 1
        else:
            self._at(self._clock + seconds, self._end_item, seat)

    def _duration(self, seat: Seat, order: Order) -> float:
        seconds = self._settings.seconds
        if callable(seconds):
            seconds = seconds(order.next, order.items[order.next - order.first])
        if self._random is not None:
            seconds *= self._random.uniform(0.5, 1.5)
        return seconds * self._settings.slowness.get(seat.worker, 1.0)

    def _end_item(self, seat: Seat) -> None:
        if not seat.alive:
            return
        order = seat.inbox[0]
        index = order.next
        order.next += 1
        self._note(ItemEnded(seat.worker, index))
        with Inline(self._task):
            seat.unsent += run_keeping(self._task, index, [order.items[index - order.first]])
        seat.unsent_seconds += self._clock - seat.since
        seat.running = None
        if order.next == order.stop or self._cancelled:
            self._report(seat, last=True)
        elif seat.unsent_seconds >= FLUSH_SECONDS:
            self._report(seat, last=False)
        self._go_on(seat)

    def _report(self, seat: Seat, last: bool) -> None:
        outcomes = reduced(self._task, _joined(seat.unsent))
        size = self._settings.item_bytes
        if size:
            outcomes = [each._replace(size_bytes=size * (each.stop - each.start)) for each in outcomes]
        seconds, seat.unsent, seat.unsent_seconds = seat.unsent_seconds, [], 0.0
        self._tell(
            happened.ItemsDone(seat.worker, outcomes, seconds, seconds * self._settings.cpu_share, last)
        )
        if last:
            seat.inbox.popleft()

    def _strike(self, worker: int) -> None:
        if worker in self._seats:
            self._die(self._seats[worker])

    def _die(self, seat: Seat) -> None:
        if seat.alive:
            seat.alive = False
            self._tell(happened.WorkerLost(seat.worker, seat.running, SIGKILL, None, "simulated"))


def _joined(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The same outcomes with neighbouring values in one."""
    joined: list[Outcome] = []
    for kind, run in groupby(outcomes, key=attrgetter("kind")):
        same = list(run)
        if kind == VALUES and len(same) > 1:
            outputs = [output for outcome in same for output in outcome.body]
            printed = [text for each in same for text in each.printed]
            same = shared_out([Outcome(same[0].start, same[-1].stop, VALUES, outputs)], printed)
        joined += same
    return joined
