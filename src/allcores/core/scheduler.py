"""The scheduler of one job: every change of state of its items, chunks and workers is here.

``handle(event, now)`` is the only way to change it; it returns what is to be done. It knows no clock, no thread
and no process, so the same code runs in production and in simulations with a virtual clock.

An item is offered (in a chunk), waits, is in flight on a worker, and is settled: delivered once, as a value or
as an error. A *piece* is a run of items of one chunk; a lost worker's pieces go back to the waiting ones, in
order of their items, without the item that it was running.
"""

from __future__ import annotations

from itertools import islice
from math import inf

from allcores.core import chunks
from allcores.core import commands as do
from allcores.core import events as happened
from allcores.core.checks import Checks
from allcores.core.events import ERROR, STRANDED, Outcome
from allcores.core.growth import Growth
from allcores.core.loads import Loads
from allcores.core.retrials import Retrials
from allcores.core.rules import Rules
from allcores.core.staff import Piece, Worker, no_worker_lives
from allcores.core.trend import Trend
from allcores.core.waiting import Waiting
from allcores.core.weights import Weights
from allcores.core.window import Window
from allcores.errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

Commands = list[do.Command]
MOST_BARREN_LOSSES = 200  # workers lost in a row that had finished and run nothing: then none will come
LEAST_LOOK_SECONDS = 0.001  # between two looks at a worker that is between two items
TAIL_ITEMS = 16  # for each worker: what comes before these fills everybody's time in any order


class Scheduler:
    """Decides which worker gets which items, and what becomes of every item.

    Example:
        >>> from allcores.core.events import Offered, Planned
        >>> scheduler = Scheduler(Rules(length=4))
        >>> scheduler.handle(Planned(workers=2, most=2), now=0.0)
        [Boot(worker=0), Boot(worker=1)]
        >>> scheduler.handle(Offered(first=0, items=1), now=0.0)
        [Send(worker=0, chunk=0, start=0, stop=1)]
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.cost = chunks.Cost()
        self.offered = 0  # items that were offered or ran inline
        self.settled = 0
        self.stop: int | None = None  # index of the earliest final error where it ends the job
        self._growth = Growth(0, 0)
        self._workers: dict[int, Worker] = {}
        self._booted = 0
        self._ready_workers = 0
        self._loads = Loads()
        self._trend = Trend()  # of items that are long enough to be dealt out one by one
        self._waiting = Waiting()
        self._weights = Weights(rules.costs)
        self._checks = Checks()  # where there is a timeout
        self._retrials = Retrials(rules.retries, rules.retry_wait_seconds)
        self._window = Window(rules)
        self._ended = self._away = self._caller_runs = self._aborted = False
        self._busy_workers = 0
        self._barren_losses = 0

    # -- the two ways in ------------------------------------------------------------------------------

    def handle(self, event: happened.Event, now: float) -> Commands:
        """Takes in what happened at the time ``now``; returns what is to be done, in order."""
        commands: Commands = []
        if not self._aborted:
            _HANDLERS[type(event)](self, event, now, commands)
        return commands

    def wanted(self, pulled: int) -> tuple[int, int]:
        """How many items to pull from the input and offer as one chunk now, after ``pulled`` ones; 0: none.

        And how many such chunks may be offered before asking again.
        """
        if self._ended or self._aborted or self.stop is not None or not self._growth.workers:
            return 0, 0
        workers = max(1, len(self._workers))
        cost = self.cost
        remaining = None if self.rules.length is None else max(0, self.rules.length - pulled)
        size = self.rules.chunksize or chunks.next_size(
            cost.each, cost.items, remaining, workers, cost.spread
        )
        trusted = size + 1 <= chunks.TRUST * cost.items  # not held back by how little is known
        if self.rules.chunksize is None:
            size = self._weights.fit(pulled, size, size)
            size = chunks.to_leaf(pulled, size, cost.each) if self.rules.whole_leaves else size
        depth = TAIL_ITEMS if self._tail_is_long() else self._depth(size)
        lacking = (self._loads.room(depth) if self._workers else depth) - len(self._waiting)
        if self.rules.may_run_here and not self.rules.bounded:  # at hand for those who have not answered yet
            lacking += depth * (len(self._workers) - self._ready_workers)
        room = self.room(pulled)
        if self._chooses and trusted:
            lacking = min(room, chunks.MOST_AT_HAND)  # and so on: any item may be the longest
        if lacking <= 0 or room <= 0 or self._window.is_full(pulled):
            return 0, 0
        if self.rules.chunksize is not None:  # what is offered at once is cut
            return min(size * min(lacking, self._window.light(size)), room), 1
        if size > 1:
            return min(size, room), 1  # the next one may be of another size
        return 1, min(lacking, room, self._window.payloads())

    def room(self, pulled: int) -> int:
        """How many more items may be pulled, after ``pulled`` ones, before the user has taken some."""
        return self._window.room(pulled, self.cost.each, len(self._workers))

    def pause_seconds(self) -> float:
        """How long nobody need look at the workers, who have enough at hand: a look takes a core from one of them."""
        found = self._loads.lightest(0, chunks.MOST_AT_HAND) if self._is_far_from_the_end() else None
        if found is None or self.rules.timeout is not None:
            return 0.0
        behind = sum(piece.stop - piece.next for piece in islice(self._workers[found[1]].pieces, 1, None))
        return min(chunks.LONGEST_PAUSE_SECONDS, behind * (self.cost.each or 0.0) / 2)

    # -- what others may know -------------------------------------------------------------------------

    @property
    def remaining(self) -> int | None:
        """Items that nobody has pulled yet, where the length of the input is known."""
        return None if self.rules.length is None else max(0, self.rules.length - self.offered)

    @property
    def staffed(self) -> bool:
        """Whether the workers take every seat of the plan: all have answered, or all hold something to run."""
        seats = self._growth.workers
        return 0 < seats <= self._ready_workers or 0 < seats <= self._busy_workers

    @property
    def idle(self) -> bool:
        """Whether no worker has anything to do."""
        return not self._busy_workers

    @property
    def workers(self) -> int:
        """Number of workers that are starting or working."""
        return len(self._workers)

    def busy_workers(self) -> list[int]:
        """The workers that hold pieces."""
        return [number for number, worker in self._workers.items() if worker.pieces]

    def wake_at(self) -> float | None:
        """The next time at which ``Ticked`` is due, or None."""
        times = (self._checks.next_at, self._retrials.next_at)
        return min((when for when in times if when is not None), default=None)

    # -- items and chunks -----------------------------------------------------------------------------

    def _offered(self, event: happened.Offered, now: float, commands: Commands) -> None:
        first, count, size_bytes = event
        self.offered += count
        self._window.offered(first, count, size_bytes)
        stop, size = first + count, self.rules.chunksize or count
        for start in range(first, stop, size):
            self._wait(start, min(start + size, stop), first)
        self._staff(commands)
        self._dispatch(now, commands)

    def _source_ended(self, event: happened.SourceEnded, now: float, commands: Commands) -> None:
        self._ended = True

    def _ran_inline(self, event: happened.RanInline, now: float, commands: Commands) -> None:
        outcomes, chunk, seconds, _ = event
        count = sum(outcome.stop - outcome.start for outcome in outcomes)
        if chunk is None:
            self.offered += count
        weight = sum(self._weights.of(outcome.start, outcome.stop) for outcome in outcomes)
        self.cost.observe(weight, seconds, usual=self.cost.items > 0)
        if count == 1 and seconds > chunks.LONGEST_CHUNK_SECONDS:
            self._trend.observe(outcomes[0].start, seconds)
        for outcome in outcomes:
            self._settle(outcome, chunk, commands)

    def _wait(self, start: int, stop: int, chunk: int) -> None:
        """The items [start, stop) of a chunk wait for a worker."""
        self._waiting.add(start, stop, chunk, self._weights.of(start, stop))

    def _user_consumed(self, event: happened.Consumed, now: float, commands: Commands) -> None:
        self._window.taken(*event)

    def _closing(self, event: happened.Closing, now: float, commands: Commands) -> None:
        self.stop = -1

    def _settle(self, outcome: Outcome, chunk: int | None, commands: Commands) -> None:
        """Delivers what became of items; the last item of a chunk takes its payload along."""
        commands.append(do.Deliver(outcome, chunk))
        self._window.settled(outcome.size_bytes)
        self._count_settled(outcome.stop - outcome.start, chunk, commands)
        if outcome.kind == ERROR:
            self._error_settled(outcome.start)

    def _count_settled(self, count: int, chunk: int | None, commands: Commands) -> None:
        self.settled += count
        if chunk is not None and self._window.ends(chunk, count):
            commands.append(do.Forget(chunk))

    def _error_settled(self, index: int) -> None:
        """Where an error ends the job, nothing behind it is started any more."""
        if self.rules.stop_on_error and (self.stop is None or index < self.stop):
            self.stop = index

    # -- workers --------------------------------------------------------------------------------------

    def _planned(self, event: happened.Planned, now: float, commands: Commands) -> None:
        self._growth = Growth(event.workers, max(event.workers, event.most))
        self._staff(commands)
        self._dispatch(now, commands)

    def _staff(self, commands: Commands) -> None:
        """Starts workers up to the number wanted, but no more than there are items to run."""
        useful = self._growth.workers
        to_run = 0 if self._ended else self.remaining
        if self.stop is not None:
            useful = min(useful, int(bool(self._waiting) and self._waiting.first[0] < self.stop))
        elif to_run is not None:
            useful = min(useful, self.offered - self.settled + to_run)
        while len(self._workers) < useful:
            number = self._booted
            self._booted += 1
            self._workers[number] = Worker()
            if not self.rules.may_run_here:
                self._loads.add(number)
            commands.append(do.Boot(number))

    def _worker_ready(self, event: happened.WorkerReady, now: float, commands: Commands) -> None:
        worker = self._workers.get(event.worker)
        if worker is None or worker.ready:
            return
        worker.ready = True
        self._ready_workers += 1
        if self.rules.may_run_here:
            self._loads.add(event.worker)
        if worker.pieces and self.rules.timeout is not None:
            self._checks.put(event.worker, now + self.rules.timeout)
        self._dispatch(now, commands)

    def _items_done(self, event: happened.ItemsDone, now: float, commands: Commands) -> None:
        worker = self._workers.get(event.worker)
        if worker is None or not worker.pieces:
            return
        self._barren_losses = 0
        piece = worker.pieces[0]
        count, weight = 0, 0.0
        for outcome in event.outcomes:
            count += outcome.stop - outcome.start
            weight += self._weights.of(outcome.start, outcome.stop)
            piece.next = outcome.stop
            if outcome.kind == STRANDED:
                if self.rules.may_run_here:
                    self._run_again_here(outcome, piece.chunk, worker, commands)
                    continue
                outcome = outcome._replace(kind=ERROR)
            failed = outcome.kind == ERROR and outcome.retryable
            if failed and not self._retrials.are_over(outcome.start, piece.chunk, now):
                continue
            self._settle(outcome, piece.chunk, commands)
        self.cost.observe(weight, event.seconds, usual=worker.proven)
        worker.proven = True
        if count == 1 and event.seconds > chunks.LONGEST_CHUNK_SECONDS:
            self._trend.observe(piece.next - 1, event.seconds)
        wanted = self._growth.observe(count, event.seconds, event.cpu_seconds)
        if wanted > len(self._workers):
            self._staff(commands)
        if event.last:
            self._end_piece(event.worker, worker, now)
            self._wait(piece.next, piece.stop, piece.chunk)
        self._dispatch(now, commands)

    def _run_again_here(self, outcome: Outcome, chunk: int, worker: Worker, commands: Commands) -> None:
        """The calling thread runs what could not travel; and all the rest, if that is a worker's first news."""
        if self.stop is None or outcome.start < self.stop:
            commands.append(do.RunHere(chunk, outcome.start, outcome.stop))
        if not worker.proven and self._growth.workers:
            self._growth = Growth(0, 0)
            commands.append(do.Retire(outcome))

    def _end_piece(self, number: int, worker: Worker, now: float) -> None:
        load = len(worker.pieces)
        worker.pieces.popleft()
        self._busy_workers -= not worker.pieces
        if worker.doomed is None:
            self._loads.move(number, load, load - 1)
        if self.rules.timeout is not None:
            if worker.pieces:
                self._checks.put(number, now + self.rules.timeout)
            else:
                self._checks.drop(number)

    def _worker_lost(self, event: happened.WorkerLost, now: float, commands: Commands) -> None:
        worker = self._workers.pop(event.worker, None)
        if worker is None:
            return
        if worker.doomed is None and (worker.ready or not self.rules.may_run_here):
            self._loads.remove(event.worker, len(worker.pieces))
        self._checks.drop(event.worker)
        self._ready_workers -= worker.ready
        self._busy_workers -= bool(worker.pieces)
        self._barren_losses += 1
        for piece in worker.pieces:
            running = event.running
            too_late = worker.doomed not in (None, running)  # killed for another one: not its fault
            if running is None or too_late or not piece.next <= running < piece.stop:
                self._wait(piece.next, piece.stop, piece.chunk)
            else:
                self._wait(piece.next, running, piece.chunk)
                self._wait(running + 1, piece.stop, piece.chunk)
                self._blame(running, piece.chunk, event, worker.doomed is not None, now, commands)
        if self._barren_losses > MOST_BARREN_LOSSES:
            self._abort(StartError(no_worker_lives(MOST_BARREN_LOSSES, event)), now, commands)
            return
        self._staff(commands)
        self._dispatch(now, commands)

    def _blame(
        self,
        index: int,
        chunk: int,
        lost: happened.WorkerLost,
        timed_out: bool,
        now: float,
        commands: Commands,
    ) -> None:
        """The item was running when its worker was lost: it is tried again, though never here, or settled."""
        may_retry = self.rules.retry_timeout if timed_out else self.rules.retry_lost
        self._barren_losses = 0
        if may_retry and self._growth.workers and not self._retrials.are_over(index, chunk, now):
            return
        if timed_out:
            commands.append(do.DeliverTimeout(index, chunk, self.rules.timeout or 0.0, lost.output))
        else:
            commands.append(do.DeliverLost(index, chunk, lost.signal, lost.exitcode, lost.cause, lost.output))
        self._count_settled(1, chunk, commands)
        self._error_settled(index)

    def _start_failed(self, event: happened.StartFailed, now: float, commands: Commands) -> None:
        self._abort(event.error, now, commands)

    def _abort(self, error: BaseException, now: float, commands: Commands) -> None:
        """No worker can be had: the calling thread runs what is open, or the job ends."""
        if not self.rules.may_run_here:
            self._aborted = True
            commands.append(do.Abort(error))
            return
        self._growth = Growth(0, 0)
        for item, chunk in self._retrials.due(inf):
            self._wait(item, item + 1, chunk)
        for worker in self._workers.values():
            for piece in worker.pieces:
                self._wait(piece.next, piece.stop, piece.chunk)
        self._workers, self._loads, self._checks = {}, Loads(), Checks()
        self._busy_workers = self._ready_workers = 0
        self._dispatch(now, commands)

    # -- time -----------------------------------------------------------------------------------------

    def _ticked(self, event: happened.Ticked, now: float, commands: Commands) -> None:
        for index, chunk in self._retrials.due(now):
            self._wait(index, index + 1, chunk)
        commands += map(do.Look, self._checks.due(now))
        self._staff(commands)
        self._dispatch(now, commands)

    def _seen(self, event: happened.Seen, now: float, commands: Commands) -> None:
        worker = self._workers.get(event.worker)
        timeout = self.rules.timeout
        if worker is None or timeout is None or worker.doomed is not None or not worker.pieces:
            return
        if event.running is None:
            self._checks.put(event.worker, now + max(timeout, LEAST_LOOK_SECONDS))
        elif event.since + timeout > now:
            self._checks.put(event.worker, event.since + timeout)
        else:
            worker.doomed = event.running
            self._loads.remove(event.worker, len(worker.pieces))
            commands.append(do.Kill(event.worker))

    def _caller_left(self, event: happened.CallerLeft, now: float, commands: Commands) -> None:
        self._away = True
        self._caller_runs = self._caller_runs or event.inline

    def _caller_back(self, event: happened.CallerBack, now: float, commands: Commands) -> None:
        self._away = False

    def _caller_waits(self, event: happened.CallerWaits, now: float, commands: Commands) -> None:
        self._caller_runs = False
        self._dispatch(now, commands)
        lost_none = self._booted == len(self._workers)  # else what waits may be what has killed a worker
        if self.rules.may_run_here and self._waiting and lost_none and not self.staffed:
            start, stop, chunk = piece = self._waiting.first
            if self.stop is None or start < self.stop:
                self._waiting.remove(piece)
                self._caller_runs = True  # at once: who answers before it has begun must not take its seat
                commands.append(do.RunHere(chunk, start, stop))

    # -- dispatch -------------------------------------------------------------------------------------

    def _dispatch(self, now: float, commands: Commands) -> None:
        """Gives waiting pieces, the earliest or the longest first, to the workers that hold the fewest.

        Where the caller may run them itself, none goes to a worker that has not answered: it may take long to come,
        and what it holds nobody else can run. Where workers get nothing more, it runs all that waits.
        """
        depths: dict[int, int] = {}  # by length of the piece
        while self._waiting:
            start, stop, chunk = piece = self._next_piece()
            if self.stop is not None and start >= self.stop:
                return
            if not self._growth.workers:
                self._waiting.remove(piece)
                commands.append(do.RunHere(chunk, start, stop))
                continue
            seats = self._growth.workers - self._caller_runs  # the caller occupies one while it runs items
            lightest = 0 if self._busy_workers < seats else 1
            if (size := stop - start) not in depths:
                depths[size] = self._depth(size)
            found = self._loads.lightest(lightest, depths[size])
            if found is None:
                return
            load, number = found
            self._waiting.remove(piece)
            worker = self._workers[number]
            if not worker.pieces and worker.ready and self.rules.timeout is not None:
                self._checks.put(number, now + self.rules.timeout)
            self._busy_workers += not worker.pieces
            worker.pieces.append(Piece(chunk, start, stop))
            self._loads.move(number, load, load + 1)
            commands.append(do.Send(number, chunk, start, stop))

    def _tail_is_long(self) -> bool:
        """Whether few but long items are left: all should be at hand, since any of them may come first."""
        if self.rules.bounded or self._caller_runs or not self.staffed or self.rules.length is None:
            return False
        left = self.rules.length - self.offered + self._waiting.items
        few = left <= TAIL_ITEMS * len(self._workers)
        return few and (self.cost.each or 0.0) > chunks.LONGEST_CHUNK_SECONDS

    def _next_piece(self) -> tuple[int, int, int]:
        """The earliest one; where costs are told or rise the longest, if the user waits for all of them anyway."""
        if self._chooses or (self._trend.rises and self.stop is None and not self.rules.bounded):
            return self._waiting.longest
        return self._waiting.first

    @property
    def _chooses(self) -> bool:
        """Whether the longest items go first, since the user told what they cost and waits for all of them."""
        return self._weights.told and self.stop is None and not self.rules.bounded

    def _depth(self, size: int) -> int:
        """How many pieces of this size each worker should hold."""
        cost = self.cost.each
        if cost is None or not self._growth.settled:
            return 1  # what is bound to a worker cannot go to one that is about to come
        remaining = 0 if self._ended else self.remaining
        bound = 1.0 if self._chooses else inf  # what comes behind a long one would have to wait for its end
        if remaining is not None and self._workers:
            left = (remaining + self._waiting.items) / len(self._workers)
            bound = min(bound, chunks.most_bound(left, self.cost.spread) / size)
        away = self._away or self.rules.bounded or self._is_far_from_the_end()
        return chunks.at_hand(cost * size, bound, away)

    def _is_far_from_the_end(self) -> bool:
        """Whether the user waits for all results, and none of them will be the last for a while."""
        remaining = self.remaining
        if self.rules.bounded or remaining is None or not self.staffed:
            return False
        left = (remaining + self._waiting.items) / len(self._workers)
        return left * (self.cost.each or 0.0) > chunks.FAR_SECONDS and not self._chooses


# Of the class and not of each scheduler: a table of bound methods would keep a job alive until garbage is collected.
_HANDLERS: dict[type, Callable[..., None]] = {
    happened.Offered: Scheduler._offered,
    happened.SourceEnded: Scheduler._source_ended,
    happened.RanInline: Scheduler._ran_inline,
    happened.WorkerReady: Scheduler._worker_ready,
    happened.ItemsDone: Scheduler._items_done,
    happened.WorkerLost: Scheduler._worker_lost,
    happened.Seen: Scheduler._seen,
    happened.StartFailed: Scheduler._start_failed,
    happened.Consumed: Scheduler._user_consumed,
    happened.CallerLeft: Scheduler._caller_left,
    happened.CallerBack: Scheduler._caller_back,
    happened.CallerWaits: Scheduler._caller_waits,
    happened.Ticked: Scheduler._ticked,
    happened.Closing: Scheduler._closing,
    happened.Planned: Scheduler._planned,
}
