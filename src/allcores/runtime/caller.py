"""The calling thread's half of a job.

It pulls the input, packs chunks, runs items itself while that is best, opens results and hands them to the user,
all in the user's own thread, so that errors of the input, of pickling and of callbacks surface in the user's own
frame. Else it drives the pump; while it is inside user code its helper thread may do that, and feed it.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
import time
from collections import deque

from allcores.core import events as happened
from allcores.core.batches import Batches
from allcores.core.events import ERROR, Outcome
from allcores.core.plan import ASYNCIO, INLINE, THREADS, WAITING_SHARE
from allcores.errors import Failure, StartError, Unpicklable, WorkerLost
from allcores.options import Options
from allcores.processes import presence
from allcores.processes.shortage import refusal
from allcores.runtime import partial
from allcores.runtime.engaging import engine_named
from allcores.runtime.helper import Helper
from allcores.runtime.inline import run_inline
from allcores.runtime.opening import opened
from allcores.runtime.planner import Planner
from allcores.runtime.progress import Progress
from allcores.runtime.pump import Here, Packed, Pump, Settled
from allcores.runtime.rules import rules_for
from allcores.runtime.source import Source, Steps
from allcores.runtime.surround import surround
from allcores.runtime.verdicts import deadline_exceeded
from allcores.tasks import inner_threads
from allcores.tasks.coroutines import Begun, blocking, probing
from allcores.tasks.ledger import Ledger
from allcores.tasks.output import show, shown
from allcores.tasks.run import Attempts
from allcores.tasks.task import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from typing import Any

GRACE_SECONDS = 0.02  # for workers to end the item that they run when nobody wants it any more
ENOUGH_ITEMS, SURELY_WAITING = 1000, 0.1


class Caller:
    """Runs one job for the thread that called.

    Args:
        task: what is done with each item.
        source: the input.
        options: the user's, checked.
        streaming: the user takes results one by one and works in between.
        loop: the event loop in which the user awaits this job, if that is so; another thread does the calling then.
    """

    def __init__(
        self, task: Task, source: Source, options: Options, streaming: bool = False, loop: Any = None
    ) -> None:
        self.task = task
        self.source = source
        source.remembers = None if options.on_error == "return" else source.remembers
        self.options = options
        self.away_since: float | None = None  # since when the calling thread has been inside user code
        self.runs_items = self._began = 0  # how many items it runs there, as one batch; the first one
        self.closed = self._told_end = False
        self.raised: BaseException | None = None  # the user's error that ended the job
        self.first = 0  # index of the first item of the outputs that were handed over last
        self.into: Ledger | None = None  # takes outputs whose turn it is
        surround(task, options)
        self.planner = Planner(task, options)
        self.pump = Pump(
            rules_for(task, source, options, streaming, self.planner.may_run_here), options.ordered
        )
        self._streaming, self._loop = streaming, loop
        self._probing = options.engine == "auto" and self.planner.awaited is None  # is it to be awaited?
        if options.engine in ("auto", ASYNCIO) and self.planner.at_the_end:
            self._probing, self.task = False, blocking(task)
        self._helper: Helper | None = None
        self._failed_items: dict[int, Any] = {}  # of items that failed in this thread
        self._ready: deque[Settled] = deque()
        self._batches = Batches(streaming, reduced=task.reduction is not None and not source.random_access)
        self._seated = False  # this thread occupies one of the workers' seats while it runs items
        self._helped_since_plan = False  # items ran here while workers were starting
        self._foreseen = False  # workers began because the call before moved its items
        self.launching, self.feeding = threading.Lock(), threading.Lock()  # the latter: by the helper
        self._context = contextvars.copy_context()
        self._limits: Any = None  # on the threads of libraries in this process, to be lifted again
        self.attempts = Attempts(options.retries, options.retry_wait_seconds)
        self._due = None if options.deadline is None else time.monotonic() + options.deadline
        self._progress = Progress(options.progress)

    # -- what the endings use -------------------------------------------------------------------------

    def settled(self) -> Generator[Settled, None, None]:
        """What became of the items, in order unless ``ordered=False``; raises what ends the job."""
        kill = True
        try:
            self._begin()
            while (entry := self._next()) is not None:
                if self.task.reduction is not None or entry.outcome.kind == ERROR:
                    show(entry.outcome.printed)
                if entry.outcome.kind == ERROR and self.options.on_error == "raise":
                    self.raised = entry.open()
                    raise self.raised
                if self._streaming:
                    with self.away(0):
                        yield entry
                else:
                    yield entry
                self._ready.popleft()  # not before: an interrupt may come at any moment
            if self.source.error is not None:
                raise self.source.error
            kill = False
            if (engine := self.pump.engine) is not None:
                with contextlib.suppress(OSError):  # no descriptor is left, not even for a module of ours
                    from allcores.runtime.draws import warn_of_draws

                    undisturbed = self.source.random_access and not self._streaming
                    warn_of_draws(self.task, engine, undisturbed, self.planner.watch)
        except (WorkerLost, StartError):
            kill = False
            presence.vanish_at_the_end()
            raise
        except (Exception, GeneratorExit, SystemExit):
            kill = False
            raise
        finally:
            self._progress.close(self.pump.scheduler.settled)
            self._close(kill)
            self.source.let_go()
            self.into = self._helper = None  # which may live on for a moment: nothing of the user's is to

    def outputs(self) -> Generator[list[Any], None, None]:
        """Lists of outputs of consecutive items (with ``Failure`` in the place of what failed)."""
        with contextlib.closing(self.settled()) as entries, partial.kept(self.unseen):
            for entry in entries:
                index = self.first = entry.outcome.start
                if entry.outcome.kind != ERROR:
                    yield from shown(entry.outcome, opened(self, entry))
                    continue
                item = entry.item if entry.item is not None else self._failed_items.pop(index, None)
                failure = Failure(index, item, entry.open())
                yield [[failure]] if self.task.spreads else [failure]

    def unseen(self) -> dict[int, Any]:
        """Outputs that had arrived but were not handed over yet, by index."""
        found: dict[int, Any] = {}
        for entry in [*self._ready, *self.pump.order.rest()]:
            if entry.outcome.kind == happened.VALUES:
                with contextlib.suppress(Unpicklable):
                    found.update(enumerate(entry.open(), start=entry.outcome.start))
        return found

    # -- the loop -------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.planner.look_beforehand(self.source)
        self.planner.watch.tell()
        self._progress.begin(self.source.length)
        name = self.planner.explicit
        if self.options.inner_threads is not None:
            self._limits = inner_threads.limit(self.options.inner_threads)
        if name is not None and name != INLINE:
            self.launch(name, *self.planner.explicit_workers())
        elif self.planner.may_move:
            self.planner.watch_this_thread()
            self.planner.may_start = True
            self._helper = Helper(self)

    def _next(self) -> Settled | None:
        """The next settled items, which stay the first of ``_ready``, or None when there are none any more."""
        if self._ready:
            return self._ready[0]
        if self._streaming and self.pump.engine is not None:  # the user was away
            self._drive(0.0)
        while True:
            if self._due is not None and time.monotonic() > self._due:
                raise deadline_exceeded(self.options.deadline or 0.0)
            if self.planner.watch.untold is not None and self.planner.may_run_here:
                self.planner.watch.tell()
            self.feed()
            self._progress.show(self.pump.scheduler.settled)
            pump = self.pump
            with pump.exclusively():
                pump.empty_mailbox()
                if self._take(pump):
                    return self._ready[0]
                if pump.failure is not None:
                    raise pump.failure
                here = pump.here.popleft() if pump.here else None
                if here is None and self._told_end and pump.scheduler.settled == self.source.pulled:
                    return None
            if here is not None:
                self._run_inline(here.first, here.items, here.chunk)
            elif not self._run_some():
                self._drive(None)
            elif pump.engine is not None:
                self._drive(0.0)  # what is next may be at hand for workers: have they answered?

    def _take(self, pump: Pump) -> bool:
        """Takes what is settled and in its turn: one entry of a stream, whose window is the user's, else all."""
        items = size_bytes = 0
        while (entry := pump.order.take()) is not None:
            self._ready.append(entry)
            items += entry.outcome.stop - entry.outcome.start
            size_bytes += entry.outcome.size_bytes
            if self._streaming:
                break
        if items:
            pump.post(happened.Consumed(items, size_bytes))
        return bool(self._ready)

    def _drive(self, timeout: float | None) -> None:
        """Lets the pump wait for something to happen, or with ``timeout=0`` look whether it has."""
        waits, pump = timeout is None, self.pump
        if self._due is not None:
            left = max(0.0, self._due - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        with pump.exclusively():
            if waits and self._seated:
                self._seated = False
                pump.post(happened.CallerWaits())
            if pump.here:
                timeout = 0.0
            elif waits and pump.scheduler.idle and pump.scheduler.wake_at() is None:
                timeout = 0.05  # the helper is about to offer what it pulled
            pump.step(timeout)

    @contextlib.contextmanager
    def away(self, items: int) -> Iterator[None]:
        """The calling thread is inside user code (so many items, or the user's own): its helper may drive."""
        if self._helper is None and self.pump.engine is None:
            yield
            return
        self.pump.tell(happened.CallerLeft(items > 0))
        self.runs_items = items
        self._seated = self._seated or items > 0
        self.away_since = time.monotonic()
        if self._helper is not None:
            self._helper.wake()
        elif self.pump.engine is not None:
            self._helper = Helper(self)
        try:
            yield
        finally:
            self.away_since = None
            if not sys.is_finalizing():
                self.pump.tell(happened.CallerBack())

    # -- input ----------------------------------------------------------------------------------------

    def feed(self) -> None:
        """Pulls, packs and offers chunks as long as the scheduler wants some."""
        chunks = 1
        while chunks:
            count, chunks = self.pump.wanted(self.source.pulled)
            for _ in range(chunks):
                first, items = self._pull(count)
                if not len(items):
                    chunks = 0
                    break
                self._offer(first, items)
        self.pump.flush()

    def _pull(self, count: int) -> tuple[int, Sequence[Any]]:
        if self.source.random_access or self.source.never_waits or self.pump.engine is None:
            first, items = self.source.take(count)
        else:
            self.pump.flush()
            with self._in_iterator():  # what may be filled anew is packed before the next item is pulled
                first, items = self.source.take(count if self.source.reuses is False else 1)
        self._tell_end()
        return first, items

    def _tell_end(self) -> None:
        if self.source.ended and not self._told_end:
            self.pump.submit(happened.SourceEnded())
            self._told_end = True

    @contextlib.contextmanager
    def _in_iterator(self) -> Iterator[None]:
        """The calling thread is inside the user's iterator, which may take its time."""
        self._helper = self._helper or Helper(self)
        self.runs_items = 0
        self.away_since = time.monotonic()
        self._helper.wake()
        try:
            yield
        finally:
            self.away_since = None

    def _offer(self, first: int, items: Sequence[Any]) -> None:
        """Packs items and offers them; one that cannot be packed runs here, or has failed."""
        engine = self.pump.engine
        assert engine is not None
        try:
            payload = engine.pack(first, items)
        except Unpicklable as error:
            culprit = (error.index if error.index is not None else first) - first
            if culprit:
                self._offer(first, items[:culprit])
            self._keep(first + culprit, items[culprit], error)
            if culprit + 1 < len(items):
                self._offer(first + culprit + 1, items[culprit + 1 :])
            return
        keep = self.planner.may_run_here or self.options.on_error == "return"
        packed = Packed(payload, items if keep else None)
        self.pump.submit(happened.Offered(first, len(items), payload.size_bytes), packed)

    def _keep(self, index: int, item: Any, error: Unpicklable) -> None:
        """An item that cannot travel runs here where it may, and else has failed."""
        if self.planner.may_run_here:
            self.pump.here.append(Here(None, index, [item]))
            return
        self._failed_items[index] = item
        self.pump.submit(happened.RanInline([Outcome(index, index + 1, ERROR, error)], None, 0.0, 0.0))

    # -- items that run in this thread ----------------------------------------------------------------

    def _run_some(self) -> bool:
        """Runs the next items here, if that is what the plan says; whether it did."""
        if not self.planner.may_run_here and self.planner.explicit != INLINE:
            return False
        starting, staffed = self.pump.scheduler.workers > 0, self.pump.scheduler.staffed
        known = self.planner.seen_enough or not self._foreseen
        if staffed and known and not self._better_here():
            return False
        room = self.pump.scheduler.room(self.source.pulled)
        if room <= 0 or self.source.ended:
            return False
        count = 1 if self._probing else min(self._batches.size, room)
        first, items = self.source.ahead(count, self._batches.piece)
        if len(items):
            self._run_inline(first, items, None)
        self._tell_end()
        if not len(items):
            return False
        self._helped_since_plan = starting or self._foreseen  # the first item overrides what was foreseen
        self._batches.choose(self._left(), certain=self.planner.seen_enough, helped=starting and not staffed)
        if self.pump.engine is None:
            self._consider()
        return True

    def _run_inline(self, first: int, items: Any, chunk: int | None) -> None:
        self.planner.item_begins(items)
        if first == 0 and self.source.random_access and self.pump.engine is None:
            self._begin_beforehand()
        self._began = first
        next_in_turn = not self._ready and self.pump.order.is_next(first)
        outcomes, seconds, cpu_seconds = run_inline(
            probing(self.task) if self._probing else self.task,
            first,
            items,
            self.away(items.wanted if type(items) is Steps else len(items)),
            keeps=self._streaming or self.pump.engine is not None or self.attempts.retries > 0,
            live=not self.attempts.retries and next_in_turn,
            stop_on_error=self.options.on_error == "raise",
            attempts=self.attempts,
            ledger=self.into if next_in_turn else None,
        )
        if self._probing and type(outcomes[-1].body) is Begun:
            from allcores.runtime.awaited import turn_to_loop

            self._probing = False
            turn_to_loop(self, items, outcomes[-1])
            return
        self._probing = self._probing and outcomes[-1].kind == ERROR
        self._batches.ran(outcomes[-1].stop - first if outcomes else 0, seconds)
        self.planner.observe(items, outcomes, seconds, cpu_seconds, self.into.results if self.into else ())
        for start, _, kind, *_ in outcomes:
            failed = items[start - first : start - first + 1]
            if kind == ERROR and len(failed):  # else it was Ctrl-C
                self._failed_items[start] = failed[0]
        self.pump.tell(happened.RanInline(outcomes, chunk, seconds, cpu_seconds))
        for outcome in outcomes:
            if outcome.kind == ERROR and issubclass(type(outcome.body), KeyboardInterrupt):
                raise outcome.body

    # -- the plan -------------------------------------------------------------------------------------

    def _consider(self) -> None:
        """Asks whether the rest should move to workers, now that more items have been measured."""
        if not (self.planner.may_move and self.planner.seen_enough) or self.source.ended:
            return
        self._follow(None)

    def _follow(self, running: tuple[int, float, float] | None, threads_too: bool = True) -> None:
        plan = self.planner.plan(self._left(), running=running)
        if plan.engine != INLINE and (threads_too or plan.engine != THREADS):
            self.launch(plan.engine, plan.n_jobs, plan.most_jobs)

    def _begin_beforehand(self) -> None:
        """Where the call before moved its items, workers begin together with this thread."""
        plan = self.planner.plan_beforehand(self._left())
        if plan is not None:
            self._foreseen = True
            self.launch(plan.engine, plan.n_jobs, plan.most_jobs)
            self.pump.tell(happened.CallerLeft(inline=True))
            self.feed()
            self._drive(0.0)

    def begin_again(self, behind: int) -> None:
        """Workers that began while the first item ran have begun in vain: what is behind it is to go elsewhere."""
        with self.pump.exclusively():
            self.pump.begin_again()
        self.planner.seats.give_back()
        self.source.rewind(behind)
        self._told_end = False

    def _better_here(self) -> bool:
        """Whether, after what ran here while workers started, the rest is better run here after all."""
        if not self._helped_since_plan or self.source.ended:
            return False
        self._helped_since_plan = False
        left = self._left()
        enough = None if left is None else max(left, ENOUGH_ITEMS)  # the question is not how few are left
        seconds = self.planner.plan(enough, staffed=True).seconds
        there = None if self.pump.engine is None else seconds.get(self.pump.engine.name)
        return there is None or (seconds[INLINE] or 0.0) < there

    def consider_running_items(self, seconds: float, cpu_seconds: float) -> None:
        """The helper asks the same while items run that have taken so long already."""
        perhaps = SURELY_WAITING * seconds < cpu_seconds < WAITING_SHARE * seconds
        # A first item may wait for an import and compute ever after; and the second may be the same object,
        # filled anew, which threads cannot share.
        unsure = not self.planner.seen_enough and perhaps
        unseen = not self.source.random_access and self.source.pulled == 1
        running = self.planner.since_last_look(self.source.pulled - self._began, seconds, cpu_seconds)
        self._follow(running, threads_too=not (unsure or unseen))

    def _left(self) -> int | None:
        length = self.source.length
        return None if length is None else max(0, length - self.source.pulled)

    def launch(self, name: str, workers: int, most: int) -> None:
        """Gives the job an engine. With engine="auto" a function that cannot travel stays here."""
        if self.launching.locked():
            return  # the caller or its helper, whichever is the other one, is about to
        with self.launching:
            self._launch(name, workers, most)

    def _launch(self, name: str, workers: int, most: int) -> None:
        try:
            if self.pump.engine is not None or self.closed or self.planner.explicit not in (None, name):
                return
            seats = self.planner.seats
            if name != ASYNCIO and (name != THREADS or self.planner.explicit is not None):  # others wait
                workers = seats.take(workers, firm=self.options.n_jobs is not None)
            engine = engine_named(name, self.options, self.task, self._context, seats, workers, self._loop)
            with self.pump.exclusively():
                self.pump.attach(engine, workers, most)
        except Unpicklable as error:
            seats.give_back()
            if not self.planner.may_run_here:
                raise
            self.planner.refuse(name, str(error))
        except OSError as error:  # no descriptor is left, not even for a module of ours
            if not self.planner.may_run_here:
                raise StartError(refusal(error, "use engine='inline'")) from error
            self.planner.refuse(name, str(error))

    # -- the end --------------------------------------------------------------------------------------

    def _close(self, kill: bool) -> None:
        """Lets everything go; with ``kill`` at once, else after a moment for items that are running."""
        if sys.is_finalizing():
            return  # workers have been ended, and a helper that held the lock runs no more
        if self._limits is not None:
            self._limits.restore_original_limits()
        with self.launching:
            self.closed = True
        self.away_since = None
        if self._helper is not None:
            self._helper.wake()
        pump, engine = self.pump, self.pump.engine
        stranded = None if pump.stranded is None else str(pump.stranded.open())
        self.planner.over(pump.scheduler.cost, INLINE if engine is None else engine.name, stranded)
        if engine is None:
            self.planner.pay_the_rent()
            return
        with pump.exclusively():
            try:
                pump.post(happened.Closing())
                if kill:
                    pump.salvage()
                elif pump.scheduler.busy_workers():
                    pump.wind_down(GRACE_SECONDS)
            except BaseException:
                kill = True
                raise
            finally:
                engine.close(reuse=not kill and pump.failure is None)  # what it lacks the next call may need
