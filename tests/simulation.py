"""Jobs without a caller: a scheduler is driven on simulated workers, and a referee checks every rule at every step."""

from collections import Counter, deque
from typing import Any, NamedTuple

from allcores.core import chunks
from allcores.core import commands as do
from allcores.core import events as happened
from allcores.core.events import ERROR, Outcome
from allcores.core.order import AsFinished, InOrder
from allcores.core.rules import Rules
from allcores.core.scheduler import Scheduler
from allcores.tasks.run import Attempts, run_items
from allcores.tasks.task import MAP, Task
from allcores.testing import FLUSH_SECONDS, DiesAt, DiesOn, Fault, Hangs, ItemEnded, Parcel, SimEngine

MOST_STEPS = 100_000  # no simulated job takes so many
CALLER = -1


class Flaky(Exception):
    """What failing items raise."""


class Piece:
    """The referee's own record of what a worker was sent."""

    def __init__(self, chunk: int, start: int, stop: int) -> None:
        self.chunk, self.next, self.stop = chunk, start, stop


class Referee:
    """A scheduler that is watched: whoever breaks a rule is told at once, by an AssertionError."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.scheduler = Scheduler(rules)
        self.booted: set[int] = set()
        self.alive: dict[int, list[Piece]] = {}
        self.seen: dict[int, int | None] = {}  # what a look has found each worker running
        self.killed: dict[int, int | None] = {}  # workers that are being killed, and for which item
        self.chunk_of: dict[int, int] = {}
        self.open_items: Counter[int] = Counter()  # by chunk
        self.holder: dict[int, int] = {}  # item -> the worker that has it
        self.settled: set[int] = set()
        self.failures: Counter[int] = Counter()
        self.stop: int | None = None
        self.most = 0
        self.busy = 0  # workers that hold pieces
        self.answered: set[int] = set()
        self.caller_runs = False
        self.consumed = 0
        self.held_bytes = 0
        self.payload_bytes: dict[int, int] = {}

    def wanted(self, pulled: int) -> tuple[int, int]:
        count, chunks = self.scheduler.wanted(pulled)
        assert bool(count) == bool(chunks)
        assert count >= 0
        if count:
            assert self.stop is None, "input is pulled although an error ended the job"
            if self.rules.window is not None:
                assert pulled + count * chunks - self.consumed <= self.rules.window, (
                    "more in flight than the window"
                )
            if pulled > self.consumed:
                assert self.held_bytes <= self.rules.window_bytes, "more bytes in flight than allowed"
        return count, chunks

    def handle(self, event: Any, now: float) -> list[Any]:
        self._note(event)
        commands = self.scheduler.handle(event, now)
        for command in commands:
            self._check(command)
        due = self.scheduler.wake_at()
        assert due is None or due < float("inf")
        assert self.scheduler.settled == len(self.settled)
        assert self.scheduler.idle == (not self.busy)
        return commands

    def _note(self, event: Any) -> None:
        match event:
            case happened.Planned(_, most):
                self.most = most
            case happened.Offered(first, items, size_bytes):
                for item in range(first, first + items):
                    assert item not in self.chunk_of
                    self.chunk_of[item] = first
                self.open_items[first] = items
                self.payload_bytes[first] = size_bytes
                self.held_bytes += size_bytes
            case happened.Consumed(items, size_bytes):
                self.consumed += items
                self.held_bytes -= size_bytes
            case happened.ItemsDone(worker, outcomes, _, _, last) if worker in self.alive:
                piece = self.alive[worker][0]
                for outcome in outcomes:
                    self._release(outcome.start, outcome.stop)
                    piece.next = outcome.stop
                    if outcome.kind == ERROR and outcome.retryable:
                        self.failures[outcome.start] += 1
                if last:
                    self._release(piece.next, piece.stop)
                    self.alive[worker].pop(0)
                    self.busy -= not self.alive[worker]
            case happened.WorkerLost(worker, running) if worker in self.alive:
                self.busy -= bool(self.alive[worker])
                for piece in self.alive.pop(worker):
                    self._release(piece.next, piece.stop)
                    too_late = worker in self.killed and self.killed[worker] != running
                    if running is not None and piece.next <= running < piece.stop and not too_late:
                        self.failures[running] += 1
            case happened.Seen(worker, running):
                self.seen[worker] = running
            case happened.CallerLeft(inline):
                self.caller_runs = self.caller_runs or inline
                assert not inline or self.busy < max(1, self.most), "the caller takes a seat that is taken"
            case happened.CallerWaits():
                self.caller_runs = False
            case happened.WorkerReady(worker):
                self.answered.add(worker)
            case happened.Closing():
                self.stop = -1

    def _check(self, command: Any) -> None:
        match command:
            case do.Boot(worker):
                assert worker not in self.booted
                assert len(self.alive) < self.most
                self.booted.add(worker)
                self.alive[worker] = []
            case do.Send(worker, chunk, start, stop):
                self._check_send(worker, chunk, start, stop)
            case do.Kill(worker):
                assert worker in self.alive
                assert worker not in self.killed
                assert self.rules.timeout is not None
                self.killed[worker] = self.seen[worker]
            case do.Look(worker):
                assert worker in self.alive
            case do.Deliver(outcome, chunk):
                self._check_settled(outcome.start, outcome.stop, chunk)
                self.held_bytes += outcome.size_bytes
                if outcome.kind == ERROR:
                    self._error(outcome.start)
            case do.DeliverLost(item, chunk) | do.DeliverTimeout(item, chunk):
                self._check_settled(item, item + 1, chunk)
                self._error(item)
            case do.Forget(chunk):
                assert self.open_items.pop(chunk) == 0
                self.held_bytes -= self.payload_bytes.pop(chunk)
            case do.RunHere(chunk, start, stop):
                self._check_run_here(chunk, start, stop)

    def _check_send(self, worker: int, chunk: int, start: int, stop: int) -> None:
        assert worker in self.alive, "sent to a worker that is dead or was never booted"
        assert worker not in self.killed, "sent to a worker that is being killed"
        assert worker in self.answered or not self.rules.may_run_here, (
            "sent to a worker that may be long in coming"
        )
        assert start < stop
        assert self.stop is None or start < self.stop, "started behind the earliest error"
        for item in range(start, stop):
            assert self.chunk_of[item] == chunk
            assert item not in self.settled, "a settled item is run again"
            assert item not in self.holder, "two workers have one item"
            assert self.failures[item] <= self.rules.retries, "tried more often than allowed"
            self.holder[item] = worker
        pieces = self.alive[worker]
        self.busy += not pieces
        pieces.append(Piece(chunk, start, stop))
        assert len(pieces) <= chunks.MOST_AT_HAND
        assert self.busy + self.caller_runs <= self.most, "more run at once than n_jobs allows"

    def _check_run_here(self, chunk: int, start: int, stop: int) -> None:
        assert self.rules.may_run_here
        gave_up = not self.scheduler.workers
        if gave_up:
            self.alive, self.holder, self.busy = {}, {}, 0
        assert len(self.answered & self.alive.keys()) < self.most, (
            "the caller is given work that workers wait for"
        )
        for item in range(start, stop):
            assert self.chunk_of[item] == chunk
            assert item not in self.settled, "a settled item is run again"
            assert item not in self.holder, "a worker has it"
            assert gave_up or not self.failures[item], "the caller is given what may have killed a worker"
            self.holder[item] = CALLER

    def _check_settled(self, start: int, stop: int, chunk: int | None) -> None:
        for item in range(start, stop):
            assert item not in self.settled, "delivered twice"
            self.settled.add(item)
            assert chunk is None or self.chunk_of[item] == chunk
        if chunk is not None:
            self.open_items[chunk] -= stop - start

    def _release(self, start: int, stop: int) -> None:
        for item in range(start, stop):
            self.holder.pop(item, None)

    def _error(self, index: int) -> None:
        if self.rules.stop_on_error and (self.stop is None or index < self.stop):
            self.stop = index


class Case(NamedTuple):
    """One job to simulate.

    Attributes:
        costs: seconds, by item.
        flaky: how often an item raises before it returns, by item.
        source_fails_at: the input raises where this item would come.
        cancelled_after: the consumer wants no more than so many items.
        consumer_seconds: what the consumer does with each item takes so long.
        helps: the caller runs items itself until the workers have answered.
    """

    costs: list[float]
    workers: int
    rules: Rules = Rules()
    faults: tuple[Fault, ...] = ()
    flaky: dict[int, int] = {}
    source_fails_at: int | None = None
    cancelled_after: int | None = None
    consumer_seconds: float = 0.0
    helps: bool = False
    ordered: bool = True
    boot_seconds: float = 0.03
    latency_seconds: float = 0.0
    send_seconds: float = 0.0
    item_bytes: int = 0
    slowness: dict[int, float] = {}
    seed: int | None = None


class Report(NamedTuple):
    """How a simulated job went."""

    results: list[tuple[int, Any]]  # what the consumer saw: an index and a value, or a word for an error
    seconds: float
    engine: SimEngine
    referee: Referee
    pulled: int


class Simulation:
    """Runs one case to its end."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.raised: Counter[int] = Counter()
        self.task = Task(((MAP, self._run),), retry_on=(Flaky,))
        costs = case.costs
        self.settings = SimEngine(
            seconds=lambda index, item: costs[index],
            boot_seconds=case.boot_seconds,
            latency_seconds=case.latency_seconds,
            send_seconds=case.send_seconds,
            item_bytes=case.item_bytes,
            slowness=case.slowness,
            faults=case.faults,
            seed=case.seed,
        )
        self.engine = self.settings.engine_for(self.task)
        self.referee = Referee(case.rules)
        self.line: Any = InOrder() if case.ordered else AsFinished()
        self.parcels: dict[int, Any] = {}
        self.length = len(costs) if case.source_fails_at is None else case.source_fails_at
        self.pulled = 0
        self.ended = False
        self.results: list[tuple[int, Any]] = []
        self.aborted = False
        self.here: deque[do.RunHere] = deque()

    def run(self) -> Report:
        if self.case.helps:
            self._run_inline()  # a plan needs a measured item
        self._post(happened.Planned(self.case.workers, self.case.workers))
        for _ in range(MOST_STEPS):
            self._feed()
            taken = len(self.results)
            if self._consume() or self.aborted:
                self._wind_down()
                break
            if len(self.results) > taken:
                continue  # there may be room for more input now
            if self.ended and len(self.referee.settled) == self.pulled:
                break
            if not (self.case.helps and self._run_inline()):
                self._post(happened.CallerWaits())
                if not self.here:
                    self._step(None)
        else:
            raise AssertionError("the job does not end")
        return Report(self.results, self.engine.now(), self.settings, self.referee, self.pulled)

    def _run(self, item: int) -> int:
        if self.raised[item] < self.case.flaky.get(item, 0):
            self.raised[item] += 1
            raise Flaky(item)
        return item * 3

    def _post(self, event: Any) -> None:
        for command in self.referee.handle(event, self.engine.now()):
            match command:
                case do.Boot(worker):
                    self.engine.boot(worker)
                case do.Send(worker, chunk, start, stop):
                    self.engine.send(worker, self.parcels[chunk], chunk, start, stop)
                case do.Look(worker):
                    self._post(happened.Seen(worker, *self.engine.look(worker)))
                case do.Kill(worker):
                    self.engine.kill(worker)
                case do.Deliver(outcome):
                    self.line.put(outcome.start, outcome.stop, outcome)
                case do.DeliverLost(item):
                    self.line.put(item, item + 1, Outcome(item, item + 1, ERROR, "lost"))
                case do.DeliverTimeout(item):
                    self.line.put(item, item + 1, Outcome(item, item + 1, ERROR, "timeout"))
                case do.Forget(chunk):
                    del self.parcels[chunk]
                case do.RunHere():
                    self.here.append(command)
                case do.Abort():
                    self.aborted = True

    def _feed(self) -> None:
        chunks = 1
        while chunks and not self.ended:
            count, chunks = self.referee.wanted(self.pulled)
            for _ in range(chunks):
                items = self._pull(count)
                if not items:
                    break
                first = items[0]
                self.parcels[first] = Parcel(items, len(items) * self.case.item_bytes)
                self._post(happened.Offered(first, len(items), self.parcels[first].size_bytes))

    def _pull(self, count: int) -> range:
        items = range(self.pulled, min(self.pulled + count, self.length))
        self.pulled = items.stop
        if len(items) < count and not self.ended:
            self.ended = True
            self._post(happened.SourceEnded())
        return items

    def _consume(self) -> bool:
        """The user takes what is there; True once the user wants no more."""
        while (outcome := self.line.take()) is not None:
            items = range(outcome.start, outcome.stop)
            self._post(happened.Consumed(len(items), outcome.size_bytes))
            if outcome.kind == ERROR:
                self.results.append(
                    (outcome.start, outcome.body if isinstance(outcome.body, str) else "raised")
                )
                if self.case.rules.stop_on_error:
                    return True
            else:
                self.results += zip(items, outcome.body, strict=True)
            if self.case.cancelled_after is not None and len(self.results) >= self.case.cancelled_after:
                return True
            if self.case.consumer_seconds:
                self._be_away(self.case.consumer_seconds * len(items), inline=False)
                self._feed()
        return False

    def _be_away(self, seconds: float, inline: bool) -> None:
        self._post(happened.CallerLeft(inline))
        until = self.engine.now() + seconds
        while self.engine.now() < until:
            self._step(until - self.engine.now())
            self._feed()
        self._post(happened.CallerBack())

    def _run_inline(self) -> bool:
        if self.here:
            chunk, start, stop = self.here.popleft()
            items = range(start, stop)
        elif self.ended or self.referee.scheduler.staffed:
            return False
        else:
            chunk, items = None, self._pull(1)
        if not items:
            return False
        seconds = sum(self.case.costs[item] for item in items)
        self._be_away(seconds, inline=True)
        attempts = Attempts(self.case.rules.retries, 0.0)
        self._post(
            happened.RanInline(
                run_items(self.task, items[0], items, attempts=attempts), chunk, seconds, seconds
            )
        )
        return True

    def _step(self, timeout: float | None) -> None:
        due = self.referee.scheduler.wake_at()
        if due is not None:
            left = max(0.0, due - self.engine.now())
            timeout = left if timeout is None else min(timeout, left)
        for event in self.engine.wait(timeout):
            self._post(event)
        if due is not None and self.engine.now() >= due:
            self._post(happened.Ticked())

    def _wind_down(self) -> None:
        """After the end: workers finish what they run, and get nothing more."""
        sent = len(self.settings.of(do.Send))
        self._post(happened.Closing())
        self.engine.cancel()
        give_up = self.engine.now() + 1.0 + 20 * max(self.case.costs, default=0.0)
        while self.referee.scheduler.busy_workers() and self.engine.now() < give_up:
            self._step(give_up - self.engine.now())
        assert len(self.settings.of(do.Send)) == sent, "something was started after the end"


def simulate(case: Case) -> Report:
    """Runs a case and checks what must be true of its end."""
    report = Simulation(case).run()
    seen = [index for index, _ in report.results]
    assert len(seen) == len(set(seen)), "an item was delivered twice"
    if case.ordered:
        assert seen == list(range(len(seen))), "items came out of order"
    for index, value in report.results:
        _check_result(case, index, value)
    stopped = case.rules.stop_on_error and any(isinstance(value, str) for _, value in report.results)
    if not stopped and case.cancelled_after is None:
        expected = len(case.costs) if case.source_fails_at is None else case.source_fails_at
        assert sorted(seen) == list(range(expected)), "items are missing"
    _check_wasted(case, report)
    return report


def _check_result(case: Case, index: int, value: Any) -> None:
    """Each item has its value, or an error that it deserved."""
    retries = case.rules.retries
    if value == "raised":
        assert case.flaky.get(index, 0) > 0
    elif value == "lost":
        deadly = sum(
            fault.times for fault in case.faults if isinstance(fault, DiesOn) and fault.item == index
        )
        chances = deadly + sum(isinstance(fault, DiesAt) for fault in case.faults) + case.flaky.get(index, 0)
        assert chances > (retries if case.rules.retry_lost else 0)
    elif value == "timeout":
        assert case.rules.timeout is not None
        hangs = any(isinstance(fault, Hangs) and fault.item == index for fault in case.faults)
        assert (
            hangs or 1.5 * max(case.slowness.values(), default=1.0) * case.costs[index] >= case.rules.timeout
        )
    else:
        assert value == index * 3


def _check_wasted(case: Case, report: Report) -> None:
    """What was finished is done again only where it was unsent when its worker died: 2 ms worth of it each time."""
    ended = Counter(each.item for each in report.engine.of(ItemEnded))
    fastest = 1.0 if case.seed is None else 0.5
    wasted = sum((times - 1) * case.costs[item] for item, times in ended.items() if not case.flaky.get(item))
    deaths = len(report.engine.of(happened.WorkerLost))
    assert wasted <= FLUSH_SECONDS / fastest * deaths + 1e-9
