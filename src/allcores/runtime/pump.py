"""The pump: owns one job's scheduler and engine, tells the one what happened and the other what to do.

Whoever waits drives it, in its own thread: the calling thread, or its helper while the caller is busy with user
code. Everything here is called under ``lock``; it moves payloads and outcomes but never opens one, so no user
code runs here.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque

from allcores.core import commands as do
from allcores.core.events import (
    ERROR,
    Closing,
    Event,
    ItemsDone,
    Offered,
    Outcome,
    Planned,
    Seen,
    Ticked,
    WorkerLost,
)
from allcores.core.order import AsFinished, InOrder
from allcores.core.records import NamedTuple
from allcores.core.rules import Rules
from allcores.core.scheduler import Scheduler
from allcores.runtime.verdicts import task_timeout, worker_lost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from allcores import errors
    from allcores.engines.base import Engine, Payload

MOST_WAIT_SECONDS = 0.5  # at a time: a Ctrl-C just before the wait would else be noticed only behind it


class Settled(NamedTuple):
    """What became of items, how to open it, and the item itself where it failed and is still known."""

    outcome: Outcome
    unpack: Callable[[Outcome], Any] | None
    item: Any = None

    def open(self) -> Any:
        """A list of outputs, a reduced value, or an exception."""
        return self.outcome.body if self.unpack is None else self.unpack(self.outcome)


class Packed(NamedTuple):
    """A chunk that was offered; the items themselves stay only where they may be needed again."""

    payload: Payload | None
    items: Sequence[Any] | None


class Here(NamedTuple):
    """Items that only the calling thread can run; ``chunk`` is None where they were never offered."""

    chunk: int | None
    first: int
    items: Sequence[Any]


class Pump:
    """One job's scheduler, engine, payloads and settled outcomes."""

    def __init__(self, rules: Rules, ordered: bool, most_wait_seconds: float = MOST_WAIT_SECONDS) -> None:
        self.lock = threading.Lock()
        self.engine: Engine | None = None
        self._ordered = ordered
        self._begin(rules)
        self.lost: Callable[[int, int | None, int | None, str, str], errors.WorkerLost] = (
            worker_lost  # makes the error for an item whose worker died
        )
        self._most_wait_seconds = most_wait_seconds
        self.failure: BaseException | None = None  # why the job cannot go on

    def _begin(self, rules: Rules) -> None:
        self.scheduler = Scheduler(rules)
        self.order: InOrder | AsFinished = InOrder() if self._ordered else AsFinished()
        self.chunks: dict[int, Packed] = {}
        self.here: deque[Here] = deque()
        self.stranded: Settled | None = None  # why workers get nothing more
        self._mailbox: deque[tuple[Event, Packed | None]] = deque()
        self._arrived: deque[Event] = deque()

    def begin_again(self) -> None:
        """Lets the engine go, and everything that it was given or has brought."""
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.cancel()
            engine.close(reuse=False)
        self._begin(self.scheduler.rules)

    def exclusively(self) -> threading.Lock:
        """The lock, for a ``with``; who drives the pump meanwhile is asked to let go.

        It is taken by the ``with`` itself and nowhere in Python code: there Ctrl-C could come between taking it and
        the ``try`` that gives it back, and the end of the call would wait for ever.
        """
        if self.lock.locked():
            self.ring()
        return self.lock

    def now(self) -> float:
        """Seconds on the clock of the engine."""
        return self.engine.now() if self.engine is not None else time.monotonic()

    def attach(self, engine: Engine, workers: int, most: int) -> None:
        """From now on this engine runs the job's chunks, on so many workers."""
        self.engine = engine
        self.post(Planned(workers, most))

    def post(self, event: Event) -> None:
        """Tells the scheduler what happened and does what it says."""
        for command in self.scheduler.handle(event, self.now()):
            _PERFORM[type(command)](self, command)

    def tell(self, event: Event) -> None:
        """Posts an event as soon as nobody else drives the pump."""
        with self.exclusively():
            self.post(event)

    def offer(self, event: Offered, packed: Packed) -> None:
        """Posts an offer with its payload as soon as nobody else drives the pump."""
        with self.exclusively():
            self._offer(event, packed)

    def _offer(self, event: Offered, packed: Packed) -> None:
        self.chunks[event.first] = packed
        self.post(event)

    def wanted(self, pulled: int) -> tuple[int, int]:
        """How many items to offer as a chunk, after ``pulled`` ones, and how many such chunks."""
        with self.exclusively():
            return self.scheduler.wanted(pulled)

    def flush(self) -> None:
        """Sends what was submitted to busy workers."""
        with self.exclusively():
            if self.engine is not None:
                self.engine.flush()

    def submit(self, event: Event, packed: Packed | None = None) -> None:
        """Posts an event (an offer with its payload) without waiting for who drives the pump: that one is told.

        What it makes the engine send may wait there until the next ``flush`` or ``step``.
        """
        self._mailbox.append((event, packed))
        if self.lock.locked():
            self.ring()
            return
        with self.lock:
            self.empty_mailbox()

    def empty_mailbox(self) -> None:
        """Posts what was submitted while the lock was taken."""
        while self._mailbox:
            event, packed = self._mailbox.popleft()
            if packed is None:
                self.post(event)
            else:
                assert isinstance(event, Offered)
                self._offer(event, packed)

    def fail(self, error: BaseException) -> None:
        """Ends the job with this error as soon as no user code runs; any thread may call it."""
        self.failure = error
        self.ring()

    def ring(self) -> None:
        """There is news for the calling thread, should it wait for workers; any thread may call it."""
        if self.engine is not None:
            self.engine.ring()

    def step(self, timeout: float | None) -> None:
        """Waits up to ``timeout`` seconds (None: a while) for something to happen, and deals with it."""
        self.empty_mailbox()
        engine = self.engine
        if engine is None:
            return
        if timeout is None and engine.gathers and (pause := self.scheduler.pause_seconds()):
            time.sleep(pause)
        most = self._most_wait_seconds
        timeout = most if timeout is None else min(timeout, most)
        due = self.scheduler.wake_at()
        if due is not None:
            left = max(0.0, due - engine.now())
            timeout = min(timeout, left)
        self._arrived.extend(engine.wait(timeout))
        while self._arrived:
            if type(self._arrived[0]) is WorkerLost:
                _log_lost(self._arrived[0])
            self.post(self._arrived[0])
            self._arrived.popleft()
        self.empty_mailbox()
        if due is not None and engine.now() >= due:
            self.post(Ticked())
        engine.flush()

    def salvage(self) -> None:
        """After an interrupt, which may have come at any moment: what has arrived is put in order, and that is all."""
        if self.engine is None:
            return
        for event in [*self._arrived, *self.engine.wait(0.0)]:
            if isinstance(event, ItemsDone):
                for outcome in event.outcomes:
                    self._put(outcome, self.engine.unpack, None)

    def wind_down(self, grace_seconds: float) -> None:
        """Gives workers a moment to end the item that they run, and nothing else that they hold."""
        engine = self.engine
        if engine is None:
            return
        self.post(Closing())
        engine.cancel()
        give_up = engine.now() + grace_seconds
        while self.scheduler.busy_workers() and engine.now() < give_up:
            self.step(max(0.0, give_up - engine.now()))

    # -- commands -------------------------------------------------------------------------------------

    def _boot(self, command: do.Boot) -> None:
        assert self.engine is not None
        self.engine.boot(command.worker)

    def _send(self, command: do.Send) -> None:
        assert self.engine is not None
        payload = self.chunks[command.chunk].payload
        assert payload is not None
        self.engine.send(command.worker, payload, command.chunk, command.start, command.stop)

    def _look(self, command: do.Look) -> None:
        assert self.engine is not None
        running, since = self.engine.look(command.worker)
        self.post(Seen(command.worker, running, since))

    def _kill(self, command: do.Kill) -> None:
        assert self.engine is not None
        self.engine.kill(command.worker)

    def _deliver(self, command: do.Deliver) -> None:
        outcome, chunk = command
        engine = self.engine
        ran_here = engine is None or isinstance(outcome.body, BaseException | list)
        self._put(outcome, None if ran_here or engine is None else engine.unpack, chunk)

    def _deliver_lost(self, command: do.DeliverLost) -> None:
        error = self.lost(command.item, command.signal, command.exitcode, command.cause, command.output)
        self._put(Outcome(command.item, command.item + 1, ERROR, error), None, command.chunk)

    def _deliver_timeout(self, command: do.DeliverTimeout) -> None:
        error = task_timeout(command.item, command.seconds, command.output)
        self._put(Outcome(command.item, command.item + 1, ERROR, error), None, command.chunk)

    def _put(self, outcome: Outcome, unpack: Callable[[Outcome], Any] | None, chunk: int | None) -> None:
        item = None
        items = self.chunks[chunk].items if chunk is not None else None
        if items is not None and chunk is not None:
            first = outcome.start - chunk
            item = items[first] if outcome.kind == ERROR else items[first : outcome.stop - chunk]
        self.order.put(outcome.start, outcome.stop, Settled(outcome, unpack, item))

    def _forget(self, command: do.Forget) -> None:
        del self.chunks[command.chunk]

    def _run_here(self, command: do.RunHere) -> None:
        items = self.chunks[command.chunk].items
        assert items is not None
        first = command.chunk
        self.here.append(
            Here(command.chunk, command.start, items[command.start - first : command.stop - first])
        )

    def _retire(self, command: do.Retire) -> None:
        assert self.engine is not None
        self.stranded = Settled(command.outcome, self.engine.unpack)

    def _abort(self, command: do.Abort) -> None:
        self.failure = command.error


# Of the class and not of each pump: a table of bound methods would keep a job alive until garbage is collected.
_PERFORM: dict[type, Callable[[Pump, Any], None]] = {
    do.Boot: Pump._boot,
    do.Send: Pump._send,
    do.Look: Pump._look,
    do.Kill: Pump._kill,
    do.Deliver: Pump._deliver,
    do.DeliverLost: Pump._deliver_lost,
    do.DeliverTimeout: Pump._deliver_timeout,
    do.Forget: Pump._forget,
    do.RunHere: Pump._run_here,
    do.Retire: Pump._retire,
    do.Abort: Pump._abort,
}


def _log_lost(event: WorkerLost) -> None:
    if "logging" in sys.modules:  # else nobody listens
        import logging

        running = "between two items" if event.running is None else f"in item {event.running}"
        logging.getLogger("allcores").info("a worker was lost %s: %s", running, event.cause)
