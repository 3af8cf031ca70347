"""The planner of one job: gathers what is measured, and asks ``core.plan`` what it means."""

from __future__ import annotations

import contextlib
import sys
import threading

from allcores.core.plan import (
    ASYNCIO,
    CHEAP_SECONDS,
    INLINE,
    MOST_WAITING,
    PROCESSES,
    THREADS,
    WAITING_SHARE,
    Facts,
    Plan,
    Sample,
    choose,
    missed_seconds,
)
from allcores.options import Options
from allcores.processes import presence
from allcores.runtime import budget, rent
from allcores.runtime.lateness import WARM_PATIENCE_SECONDS
from allcores.runtime.machine import gil_enabled
from allcores.runtime.priors import Prior, prior_of
from allcores.runtime.processor import Books
from allcores.runtime.surround import shares_generators
from allcores.runtime.transport import Transport
from allcores.runtime.watch import Watch
from allcores.tasks.coroutines import awaited_stage
from allcores.tasks.task import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from allcores.core.chunks import Cost
    from allcores.core.events import Outcome
    from allcores.processes.start import Start
    from allcores.runtime.source import Source

MOST_AT_ONCE = 1000  # items that one event loop has in flight, unless n_jobs says otherwise
LEAST_SAMPLE_SECONDS = 0.0005
COMPUTING_SHARE = 0.9
LEAST_START_SECONDS = 0.02  # of the first workers of a process
THREADS_MODULE, LOADING_SECONDS = "allcores.engines.threads", 0.006  # and with it the guard
UNMEASURABLE_SECONDS = 1e-5  # an item of which one or two are timed
ALIKE = 4.0  # times as dear, or as cheap, are items that may be of one kind
DEARER = 1.5  # times as long: then items are of another kind
LOOK_AGAIN_SECONDS = 0.01  # at how long items had no core: a look takes as long as many a batch of them


class Planner:
    """Collects the sample that plans are made from, and says what the options allow.

    Attributes:
        may_start: whether a plan for processes may begin their start at once.
        late_share: for what share of the time another thread was kept from the GIL; None: not known.
    """

    def __init__(self, task: Task, options: Options) -> None:
        self.explicit: str | None = None if options.engine == "auto" else _name(options.engine)
        self.seats = budget.Seats()
        self.awaited = awaited_stage(task)  # the name of a coroutine function among the stages
        self._options = options
        self.task = task
        self._refused: dict[str, str] = {}
        self.watch = Watch(task, options)
        self._guarded = False  # the guard's answer is known, and what it refuses is noted
        self._asking = threading.Lock()
        self._items = 0
        self._seconds = 0.0
        self._cpu_seconds = 0.0
        self._warmed_up = False
        self._batches = 0
        self.may_start = False
        self._modules = 0  # that were imported when the last items began
        self._loading = False  # the helper imports what is ours
        self._last = (0, 0.0, 0.0)  # items, seconds and CPU seconds of the last batch,
        self._seen = (0, 0.0, 0.0)  # and of the one that runs, when the helper looked last
        self.late_share: float | None = None
        self._prior: Prior | None = None  # what earlier calls have found out, once an item has been seen
        self._transport = Transport()
        self._luggage: float | None = None
        self._start: Start | None = None
        self._missed_seconds = 0.0  # what workers that are there already would have saved
        self._cap = options.n_jobs
        self._books: Books | None = None  # of the calling thread
        self._computes = False  # the last items did nothing else: so long nobody opens the books
        if self.awaited is not None:
            self._check_that_it_is_awaited(self.awaited)
            self.explicit = ASYNCIO
        self.at_the_end = presence.at_the_end() or not threading.main_thread().is_alive()
        if self.at_the_end:  # then no thread can be started
            self.explicit = INLINE
        elif self.explicit is None:
            self._settle_what_is_certain()

    def _settle_what_is_certain(self) -> None:
        """Where measuring could change nothing, the engine is known beforehand."""
        obstacle = presence.obstacle()
        if obstacle is not None:
            self.refuse(PROCESSES, obstacle)
        if shares_generators(self.task):
            self.refuse(
                THREADS, "they share the generators that seed= sets for each item; write def f(x, rng)"
            )
        if self._options.timeout is not None:
            self.explicit = PROCESSES  # the only one here that can stop an item
        elif self._cap is None and self.seats.worker_of is not None and self.seats.total == 1:
            self.explicit = INLINE

    def _check_that_it_is_awaited(self, name: str) -> None:
        if self.explicit not in (None, ASYNCIO):
            raise TypeError(
                f"{name} is a coroutine function, which engine={self.explicit!r} does not await; "
                "leave engine out or write engine='asyncio' (in a coroutine: await allcores.amap(...))"
            )
        if shares_generators(self.task):
            raise ValueError(
                f"seed cannot be kept for {name}: coroutines share `random` and `numpy.random`; "
                "write async def f(x, rng): ... and draw from rng"
            )

    def turn_to_loop(self, name: str) -> None:
        """The first item has shown that this function returns something to await."""
        self._check_that_it_is_awaited(name)
        self.awaited = name
        self.explicit = ASYNCIO

    @property
    def may_run_here(self) -> bool:
        """Whether the calling thread may run items itself."""
        return self.explicit is None

    @property
    def may_move(self) -> bool:
        """Whether work may move from the calling thread to workers."""
        return self.explicit is None and self._cap != 1

    @property
    def seen_enough(self) -> bool:
        """Whether the items so far took long enough, and often enough, for their cost to be more than noise."""
        if self._seconds <= LEAST_SAMPLE_SECONDS:
            return False
        cheap = self._seconds < CHEAP_SECONDS * self._items
        return not cheap or self._batches > 2 or self._seconds > 4 * LEAST_SAMPLE_SECONDS

    def explicit_workers(self) -> tuple[int, int]:
        """Number of workers to begin with, and to grow to, where the user named the engine."""
        if self._cap is not None:
            return self._cap, self._cap
        workers = getattr(self._options.engine, "workers", None)  # a simulated engine says how many it has
        if workers:
            return workers, workers
        if self.explicit == ASYNCIO:
            return MOST_AT_ONCE, MOST_AT_ONCE
        foreign = self.seats.worker_of not in (None, "allcores")
        return (1, 1) if foreign else (self.seats.free(), MOST_WAITING)

    def watch_this_thread(self) -> None:
        """From now on, time in which items had no core, or libraries' threads computed, does not count as waiting."""
        self._books = Books()

    def item_begins(self, items: Sequence[Any] = ()) -> None:
        """The calling thread is about to run items."""
        if self.may_move:
            self.watch.begins(items, self._seconds > LEAST_SAMPLE_SECONDS)
            if self._prior is None and len(items):
                self._prior = self.watch.prior = prior_of(self.task, items[0])
                self.late_share = self._prior.late_share
                if self._prior.stranded is not None:
                    self.refuse(PROCESSES, self._prior.stranded)
        self._seen = (0, 0.0, 0.0)
        self._modules = len(sys.modules)
        if self._books is not None and not self._computes:
            self._books.begin(LOOK_AGAIN_SECONDS)

    def _at_work(self, seconds: float, cpu_seconds: float, *, over: bool) -> tuple[float, float]:
        """What items took, and what they computed: a thread that had no core, or was helped, did not wait."""
        if self._books is None or cpu_seconds >= WAITING_SHARE * seconds:
            return seconds, cpu_seconds
        away = self._books.away(anew=over)
        seconds = max(cpu_seconds, seconds - away.without_core_seconds)
        return seconds, min(seconds, cpu_seconds + away.helped_seconds)

    def asked_for(self) -> Plan:
        """The plan where the options leave no choice."""
        assert self.explicit is not None
        workers, most = (1, 1) if self.explicit == INLINE else self.explicit_workers()
        if self.awaited is not None:
            reason = f"{self.awaited} is awaited: one event loop has up to {most} items in flight"
        elif self._options.timeout is not None and self._options.engine == "auto":
            reason = "a timeout needs an engine that can stop an item: processes"
        elif self._options.engine == "auto":
            reason = f"this is a worker of {self.seats.worker_of} already: the cores are taken"
        else:
            reason = f"engine={self._options.engine!r} asks for it"
        lost = [] if self.watch.lost is None else [f"what would be lost: {self.watch.lost}"]
        return Plan(self.explicit, workers, most, {}, [reason, *lost])

    def refuse(self, engine: str, reason: str) -> None:
        """This engine cannot do this job."""
        self._refused[engine] = reason

    def observe(
        self,
        items: Sequence[Any],
        outcomes: Sequence[Outcome],
        seconds: float,
        cpu_seconds: float,
        results: Sequence[Any] = (),
    ) -> None:
        """Takes in that items ran in the calling thread; outputs that are not in the outcomes end the results."""
        self.watch.ended()
        if self._items == 1 and not self._warmed_up:  # the first item often pays for imports and caches
            self._forget_sample()
        seconds, cpu_seconds = self._at_work(seconds, cpu_seconds, over=True)
        self._computes = cpu_seconds > COMPUTING_SHARE * seconds
        done = sum(outcome.stop - outcome.start for outcome in outcomes)
        self._items += done
        self._seconds += seconds
        self._cpu_seconds += cpu_seconds
        self._batches += 1
        self._last = (done, seconds, cpu_seconds)
        if not (self._warmed_up or self._loading) and len(sys.modules) != self._modules:
            self._forget_sample()  # it did pay for imports
        if outcomes and self.may_move:
            self._transport.take_in(items, outcomes[-1], results)

    def _forget_sample(self) -> None:
        self._items, self._seconds, self._cpu_seconds = 0, 0.0, 0.0
        self._warmed_up = True

    def since_last_look(self, count: int, seconds: float, cpu_seconds: float) -> tuple[int, float, float]:
        """Of items that run, what they took so far: only what is new since this was last asked while they ran."""
        (count_then, seconds_then, cpu_then), self._seen = self._seen, (count, seconds, cpu_seconds)
        if count == count_then:  # it is still the same item
            return self._seen
        return count - count_then, seconds - seconds_then, cpu_seconds - cpu_then

    def look_at_transport(self) -> None:
        """Measures it. Results that cannot travel at all can be had without processes only."""
        obstacle = self._transport.measure()
        if obstacle is not None:
            self.refuse(PROCESSES, obstacle)
            if self._prior is not None:
                self._prior.stranded = obstacle

    def observe_lateness(self, share: float | None) -> None:
        """Takes in for what share of the time another thread was kept from the GIL; None says nothing."""
        if share is not None:
            self.late_share = share
            if self._prior is not None:
                self._prior.late_share = share

    def lean_on_prior(self) -> None:
        """Where few items were measured: what a whole call took for each, unless these are of another kind."""
        known = None if self._prior is None else self._prior.item_seconds
        items, seconds, cpu_seconds = self._last
        if known is None or not items:
            return
        each = self._seconds / self._items if self._items else seconds / items
        if each < UNMEASURABLE_SECONDS or known / ALIKE < each < known * ALIKE:
            computed = known * (min(1.0, cpu_seconds / seconds) if seconds else 1.0)
            # As two items: a single one would count as a first one, which may well be the dearest.
            self._last = 2, 2 * known, 2 * computed
            self._items, self._seconds, self._cpu_seconds = self._last

    def over(self, cost: Cost, engine: str, stranded: str | None = None) -> None:
        """The job is over: others may have its seats, and later calls know what its items took, and where.

        ``stranded`` says why nothing could travel: then those stay in the caller's thread, until one has results
        that look as if they could.
        """
        self.seats.give_back()
        prior = self._prior
        if prior is not None and (stranded or (prior.stranded and self._transport.to_be_measured)):
            prior.stranded = stranded or self._transport.measure()
        measurable = cost.items and cost.items * cost.mean > LEAST_SAMPLE_SECONDS
        if self._prior is not None and measurable and self._options.cost is None:
            self._prior.remember(cost.mean, engine, *self._last[1:])
        self._transport.let_go()
        self.watch.let_go()

    def plan_beforehand(self, left: int | None) -> Plan | None:
        """The plan for all items, the first one too, from what a call before has found; None where that is too little.

        That is so for short items, for those that nobody has watched yet, and where another engine was taken then.
        """
        prior = self._prior
        if prior is None or not self.may_move or not self.watch.seen_before():
            return None
        if (prior.item_seconds or 0.0) < WARM_PATIENCE_SECONDS:
            return None
        before, self._last = self._last, prior.sample()
        plan = self.plan(None if left is None else left + 1)
        self._last = before
        known = plan.engine == prior.engine or (prior.engine == INLINE and prior.late_share is not None)
        return plan if known and plan.engine != INLINE else None

    def plan(
        self, left: int | None, *, running: tuple[int, float, float] | None = None, staffed: bool = False
    ) -> Plan:
        """What to do with the items that are left.

        Args:
            left: number of items that nobody has begun, if known.
            running: number of items that run now, and the seconds and CPU seconds they have taken so far.
            staffed: the workers have answered.
        """
        if running is not None and left is not None:
            left += 1  # before the one that runs has ended the caller is not free for the others
        plan, facts = self._settled(left, running, staffed)
        if plan.engine == INLINE and not staffed:
            missed = missed_seconds(plan, self._sample(running), left, facts, self._cap, self._refused)
            self._missed_seconds = max(missed, self._missed_seconds)
        if facts.cores < self.seats.total:
            plan.reasons.append(
                f"{self.seats.total - facts.cores} of {self.seats.total} cores are taken by other calls"
            )
        if plan.engine != INLINE and not staffed and "logging" in sys.modules:  # else nobody listens
            import logging

            logging.getLogger("allcores").debug("%s", plan)
        return plan

    def _settled(
        self, left: int | None, running: tuple[int, float, float] | None, staffed: bool
    ) -> tuple[Plan, Facts]:
        """The plan. What could change it is looked at step by step, as long as work would move at its best.

        For looking loads modules and takes longer than many a loop.
        """
        facts, workers_are_known = self._facts(staffed), staffed
        while True:
            sample = self._sample(running)
            if self._transport.to_be_measured:
                sample = sample._replace(transport_seconds=0.0)
            may_compute = self.watch.threads_may_compute or not self._guarded
            plan = choose(sample, left, facts, self._cap, self._refused, may_compute)
            if plan.engine == INLINE:
                return plan, facts
            if plan.engine == PROCESSES and (self._transport.to_be_measured or not workers_are_known):
                try:
                    facts, workers_are_known = self._look_closer(facts, workers_are_known, staffed)
                except OSError as error:  # no descriptor is left, not even for a module of ours
                    self.refuse(PROCESSES, f"what they would take cannot be found out: {error}")
            elif not self._guarded:
                if plan.engine == PROCESSES:
                    self._start_in_advance()
                self._ask_the_guard()
            else:
                return plan, facts

    def _look_closer(self, facts: Facts, workers_are_known: bool, staffed: bool) -> tuple[Facts, bool]:
        """One more look at what processes would take, the cheapest first; and whether it was the last."""
        if self._transport.to_be_measured:
            self.look_at_transport()
            return facts, workers_are_known
        if self._luggage is None:
            from allcores.runtime.luggage import pickling_seconds

            self._luggage = pickling_seconds([function for _, function in self.task.stages])
            return facts._replace(luggage_seconds=0.0 if staffed else self._luggage), workers_are_known
        return facts._replace(boot_seconds=self._workers_start().seconds()), True

    def _start_in_advance(self) -> None:
        """What workers are forked from boots while the rest is loaded, if this process has not loaded it yet."""
        if self.may_start and not presence.is_loaded():
            with contextlib.suppress(OSError):  # the engine will say why there are no workers
                self._workers_start().begin()

    def prepare_for_threads(self) -> None:
        """Loads what a plan for threads would load."""
        if self.may_move and THREADS not in self._refused:
            with contextlib.suppress(OSError):  # no descriptor is left: the plan will say so
                import allcores.engines.threads
                import allcores.guard.verdict  # noqa: F401

    def _facts(self, staffed: bool) -> Facts:
        cores = self.seats.free() if self._cap is None else self.seats.total
        surroundings = self.task.surroundings
        setup_seconds = 0.0 if surroundings is None or staffed else surroundings.setup_seconds
        boot_seconds = 0.0 if staffed or presence.is_loaded() else LEAST_START_SECONDS
        luggage_seconds = 0.0 if staffed else self._luggage or 0.0
        loading_seconds = 0.0 if THREADS_MODULE in sys.modules else LOADING_SECONDS
        return Facts(cores, boot_seconds, gil_enabled(), setup_seconds, luggage_seconds, loading_seconds)

    @contextlib.contextmanager
    def own_imports(self) -> Iterator[None]:
        """What is imported meanwhile is not imported by the items that run."""
        before, self._loading = len(sys.modules), True
        try:
            yield
        finally:
            self._modules += len(sys.modules) - before
            self._loading = False

    def look_beforehand(self, source: Source) -> None:
        """Asks the guard before anything runs: for processes that the user named, and with writes="error"."""
        asked_for = self.explicit == PROCESSES and self._options.writes != "allow"
        if asked_for or (self.may_move and self._options.writes == "error"):
            self._ask_the_guard(source.peek())

    def _ask_the_guard(self, first: tuple[Any, ...] = ()) -> None:
        """Once: the caller and its helper may both be about to, and neither goes on without the answer."""
        with self._asking:
            if self._guarded:
                return
            try:
                refused = self.watch.ask(first)
            except OSError as error:  # no descriptor is left, not even for a module of ours
                refused = dict.fromkeys((THREADS, PROCESSES), f"nobody can look for lost writes: {error}")
            for engine, reason in refused.items():
                self.refuse(engine, reason)
            self._guarded = True

    def _sample(self, running: tuple[int, float, float] | None) -> Sample:
        items, seconds, cpu_seconds = self._items, self._seconds, self._cpu_seconds
        if not items and running is None:
            items, seconds, cpu_seconds = self._last
        elif seconds < CHEAP_SECONDS * items and self._last[1] * items < seconds * self._last[0]:
            items, seconds, cpu_seconds = self._last  # one stall says nothing about cheap items
        if running is not None:
            count, so_far, computed = running
            so_far, computed = self._at_work(so_far, computed, over=False)
            if count > 1 and so_far * items > DEARER * seconds * count:
                items, seconds, cpu_seconds = 0, 0.0, 0.0  # those before tell nothing of those to come
            items += count
            seconds += so_far
            cpu_seconds += computed
        return Sample(
            max(1, items), max(seconds, 1e-9), cpu_seconds, self.late_share, self._transport.seconds
        )

    def _workers_start(self) -> Start:
        if self._start is None:
            from allcores.processes.start import Start

            self._start = Start(self.task)
        return self._start

    # -- rent or buy ----------------------------------------------------------------------------------

    def pay_the_rent(self) -> None:
        """The job is over, and nothing moved; where that was only for the start of workers, it is made for the next.

        That is the rule of who may rent skis or buy them: buy once the rent that was paid for nothing, in this
        call and those before, has reached the price. The price is what a start takes from the calling thread. It is
        made now and not before: while it goes on, a library's imports say, it slows what runs beside it.
        """
        if not rent.is_due(self._missed_seconds):
            rent.pay(self._missed_seconds)
        elif not presence.at_the_end() and not self._workers_start().begun():
            with contextlib.suppress(OSError):  # a call that needs workers will say why there are none
                self._workers_start().begin()
                rent.forget()


def _name(engine: Any) -> str:
    return engine if isinstance(engine, str) else str(engine.name)
