"""The scheduler against an adversary that lets anything happen in any order, and against rules one by one."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from allcores.core import commands as do
from allcores.core import events as happened
from allcores.core.events import ERROR, VALUES, Outcome
from allcores.core.rules import Rules
from allcores.core.scheduler import MOST_BARREN_LOSSES, Scheduler
from allcores.testing import ALWAYS, DiesOn, Hangs
from simulation import Case, Referee, simulate

some_rules = st.builds(
    Rules,
    chunksize=st.sampled_from([None, 1, 2, 7]),
    window=st.sampled_from([None, 1, 3, 10]),
    bounded=st.booleans(),
    window_bytes=st.sampled_from([64 << 20, 20]),
    timeout=st.sampled_from([None, 1.0]),
    retries=st.integers(0, 2),
    retry_wait_seconds=st.sampled_from([0.0, 0.5]),
    retry_lost=st.booleans(),
    retry_timeout=st.booleans(),
    stop_on_error=st.booleans(),
    whole_leaves=st.booleans(),
    may_run_here=st.just(False),
)


class Adversary(RuleBasedStateMachine):
    """Decides what happens; the referee decides whether the scheduler's answers keep the rules."""

    @initialize(
        rules=some_rules,
        workers=st.integers(1, 4),
        growth=st.integers(0, 20),
        length=st.none() | st.integers(0, 60),
    )
    def begin(self, rules, workers, growth, length):
        self.referee = Referee(rules._replace(length=length))
        self.length = 60 if length is None else length
        self.now = 0.0
        self.pulled = 0
        self.ended = self.aborted = False
        self.doomed = set()
        self.ready = set()
        self.taken = 0
        self.tell(happened.Planned(workers, workers + growth))

    def tell(self, event):
        for command in self.referee.handle(event, self.now):
            match command:
                case do.Abort():
                    self.aborted = True
                case do.Kill(worker):
                    self.doomed.add(worker)
                case do.Look(worker):
                    pieces = self.referee.alive[worker]
                    running = pieces[0].next if pieces and worker in self.ready else None
                    self.tell(happened.Seen(worker, running, self.now - 2.0))

    def some_worker(self, pick, among):
        return sorted(among)[pick % len(among)]

    @property
    def working(self):
        return [w for w, pieces in self.referee.alive.items() if pieces and w in self.ready]

    @rule()
    def the_caller_feeds(self):
        count = 0 if self.ended else self.referee.wanted(self.pulled)[0]
        items = min(count, self.length - self.pulled)
        if items < count and not self.ended:
            self.ended = True
            self.tell(happened.SourceEnded())
        if items:
            first, self.pulled = self.pulled, self.pulled + items
            self.tell(happened.Offered(first, items, 3 * items))

    @rule(pick=st.integers(0, 50))
    def a_worker_answers(self, pick):
        booting = self.referee.alive.keys() - self.ready
        if booting:
            worker = self.some_worker(pick, booting)
            self.ready.add(worker)
            self.tell(happened.WorkerReady(worker))

    @precondition(lambda self: self.working)
    @rule(
        pick=st.integers(0, 50),
        items=st.integers(0, 10),
        seconds=st.sampled_from([0.0, 1e-5, 0.004, 0.1, 10.0]),
        fails=st.sampled_from([None, None, True, False]),
        gives_up=st.booleans(),
    )
    def a_worker_reports(self, pick, items, seconds, fails, gives_up):
        worker = self.some_worker(pick, self.working)
        piece = self.referee.alive[worker][0]
        stop = min(piece.next + items, piece.stop)
        outcomes = []
        if stop > piece.next:
            outcomes.append(
                Outcome(piece.next, stop, VALUES, [0] * (stop - piece.next), 2 * (stop - piece.next))
            )
        if fails is not None and stop < piece.stop:
            outcomes.append(Outcome(stop, stop + 1, ERROR, "raised", 0, fails))
            stop += 1
        last = stop == piece.stop or gives_up
        self.tell(happened.ItemsDone(worker, outcomes, seconds, seconds / 3, last))

    @precondition(lambda self: self.referee.alive)
    @rule(pick=st.integers(0, 50), busy=st.booleans())
    def a_worker_dies(self, pick, busy):
        worker = self.some_worker(pick, self.referee.alive)
        pieces = self.referee.alive[worker]
        running = pieces[0].next if pieces and busy and worker in self.ready else None
        self.lose(worker, running)

    @precondition(lambda self: self.doomed & self.referee.alive.keys())
    @rule(pick=st.integers(0, 50))
    def a_killed_worker_is_reported(self, pick):
        worker = self.some_worker(pick, self.doomed & self.referee.alive.keys())
        pieces = self.referee.alive[worker]
        self.lose(worker, pieces[0].next if pieces else None)

    def lose(self, worker, running):
        self.ready.discard(worker)
        self.tell(happened.WorkerLost(worker, running, 9, None, ""))

    @rule(seconds=st.sampled_from([0.0, 0.6, 5.0]))
    def time_passes(self, seconds):
        self.now += seconds
        due = self.referee.scheduler.wake_at()
        if due is not None and due <= self.now:
            self.tell(happened.Ticked())

    @rule(items=st.integers(1, 5))
    def the_user_takes_results(self, items):
        ready = sorted(self.referee.settled)
        while items and self.taken < len(ready) and ready[self.taken] == self.taken:
            self.tell(happened.Consumed(1, 0))
            self.taken += 1
            items -= 1

    @rule(back=st.booleans())
    def the_caller_is_in_the_consumer(self, back):
        self.tell(happened.CallerBack() if back else happened.CallerLeft(inline=False))

    @rule()
    def news_of_a_worker_that_is_gone_changes_nothing(self):
        gone = self.referee.booted - self.referee.alive.keys()
        for worker in sorted(gone)[:1]:
            before = self.referee.scheduler.settled
            self.tell(happened.ItemsDone(worker, [Outcome(0, 1, VALUES, [0])], 1.0, 1.0, True))
            self.tell(happened.WorkerLost(worker, 0, 9, None, ""))
            assert self.referee.scheduler.settled == before

    @invariant()
    def nothing_is_settled_that_was_not_offered(self):
        if hasattr(self, "referee"):
            assert len(self.referee.settled) <= self.pulled

    def teardown(self):
        """From wherever the adversary left it, the job comes to its end when workers only work."""
        if not hasattr(self, "referee"):
            return
        referee = self.referee
        self.tell(happened.CallerBack())
        self.tell(happened.CallerWaits())
        for _ in range(2000):
            self.the_caller_feeds()
            self.the_user_takes_results(1000)
            if self.aborted or (self.ended and len(referee.settled) == self.pulled):
                return
            if referee.stop is not None and referee.settled >= set(range(referee.stop)):
                return
            self.now += 1.0
            if referee.scheduler.wake_at() is not None:
                self.tell(happened.Ticked())
            for worker in sorted(referee.alive):
                if worker in self.doomed:
                    self.a_killed_worker_is_reported(0)
                elif worker not in self.ready:
                    self.ready.add(worker)
                    self.tell(happened.WorkerReady(worker))
                elif referee.alive[worker]:
                    piece = referee.alive[worker][0]
                    values = [Outcome(piece.next, piece.stop, VALUES, [0] * (piece.stop - piece.next))]
                    self.tell(happened.ItemsDone(worker, values, 0.01, 0.01, True))
        raise AssertionError("the job does not end")


TestAdversary = Adversary.TestCase
TestAdversary.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(
    costs=st.lists(st.sampled_from([1e-5, 1e-3, 0.02, 1.0]), max_size=60),
    workers=st.integers(1, 5),
    rules=some_rules,
    killer=st.none() | st.integers(0, 59),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_simulated_job_delivers_every_item_once(costs, workers, rules, killer):
    faults = () if killer is None else (DiesOn(killer, ALWAYS),)
    simulate(Case(costs, workers, rules._replace(timeout=None, length=len(costs)), faults))


def scheduler_with(workers, **rules):
    scheduler = Scheduler(Rules(**rules))
    scheduler.handle(happened.Planned(workers, workers), 0.0)
    return scheduler


def test_an_item_that_kills_its_worker_is_the_only_one_lost():
    report = simulate(Case([0.001] * 50, 2, Rules(length=50, stop_on_error=False), (DiesOn(7, ALWAYS),)))
    assert [index for index, value in report.results if value == "lost"] == [7]


def test_an_item_is_tried_again_as_often_as_retries_says():
    report = simulate(Case([0.001] * 9, 2, Rules(retries=2, stop_on_error=False), (DiesOn(4, ALWAYS),)))
    assert report.engine.runs()[4] == 3


def test_a_retry_waits_as_long_as_it_was_told():
    rules = Rules(retries=1, retry_wait_seconds=7.0)
    report = simulate(Case([0.001] * 3, 1, rules, (DiesOn(1),)))
    assert report.seconds > 7.0


def test_a_hanging_item_is_a_timeout_and_the_others_are_there():
    rules = Rules(timeout=2.0, stop_on_error=False)
    report = simulate(Case([0.1] * 20, 3, rules, (Hangs(5),)))
    assert [index for index, value in report.results if value == "timeout"] == [5]


def test_an_item_that_waits_behind_a_long_one_is_not_blamed_for_the_time():
    rules = Rules(chunksize=10, timeout=1.0, stop_on_error=False)
    report = simulate(Case([0.9] * 10, 1, rules))
    assert len(report.results) == 10
    assert not any(isinstance(value, str) for _, value in report.results)


def test_an_item_that_began_when_its_worker_was_killed_for_the_one_before_is_not_blamed():
    scheduler = scheduler_with(1, length=3, chunksize=3, timeout=1.0)
    scheduler.handle(happened.Offered(0, 3), 0.0)
    scheduler.handle(happened.WorkerReady(0), 0.0)
    assert scheduler.handle(happened.Seen(0, 0, 0.0), 1.0) == [do.Kill(0)]
    scheduler.handle(
        happened.ItemsDone(0, [happened.Outcome(0, 1, happened.VALUES, b"")], 1.0, 1.0, last=False), 1.0
    )
    commands = scheduler.handle(happened.WorkerLost(0, 1, 9, None, "it was killed"), 1.0)
    assert commands == [do.Boot(1), do.Send(1, 0, 1, 3)]


def test_workers_that_die_one_after_the_other_while_booting_end_the_job():
    scheduler = scheduler_with(1, length=5)
    scheduler.handle(happened.Offered(0, 1), 0.0)
    commands = []
    for worker in range(MOST_BARREN_LOSSES + 1):
        commands = scheduler.handle(happened.WorkerLost(worker, None, None, 3, "import failed"), 0.0)
    assert [type(command) for command in commands] == [do.Abort]
    assert "exit code 3: import failed" in str(commands[0].error)


def test_where_no_worker_can_be_had_the_caller_gets_every_open_item_back():
    scheduler = scheduler_with(2, length=9, chunksize=3, may_run_here=True)
    for first in (0, 3, 6):
        scheduler.handle(happened.Offered(first, 3), 0.0)
    commands = scheduler.handle(happened.StartFailed(OSError("no more processes")), 0.0)
    assert commands == [do.RunHere(0, 0, 3), do.RunHere(3, 3, 6), do.RunHere(6, 6, 9)]
    assert scheduler.wanted(9) == (0, 0)


def running(first=3, **rules):
    """One worker runs the first of some chunks of three."""
    scheduler = scheduler_with(1, length=9, chunksize=3, **rules)
    for start in range(0, 3 * first, 3):
        scheduler.handle(happened.Offered(start, 3), 0.0)
    scheduler.handle(happened.WorkerReady(0), 0.0)
    return scheduler


def test_what_could_not_travel_runs_here_and_where_that_is_the_first_news_all_the_rest():
    scheduler = running(may_run_here=True)
    stranded = happened.Outcome(0, 1, happened.STRANDED, b"")
    commands = scheduler.handle(happened.ItemsDone(0, [stranded], 0.1, 0.1, last=False), 1.0)
    rest = [do.RunHere(3, 3, 6), do.RunHere(6, 6, 9)]
    assert commands == [do.RunHere(0, 0, 1), do.Retire(stranded), *rest]
    assert scheduler.wanted(9) == (0, 0)
    others = [happened.Outcome(1, 3, happened.VALUES, b"")]
    commands = scheduler.handle(happened.ItemsDone(0, others, 0.1, 0.1, last=True), 2.0)
    assert [type(command) for command in commands] == [do.Deliver]
    assert scheduler.settled == 2


def test_an_odd_one_that_could_not_travel_keeps_nobody_else():
    scheduler = running(may_run_here=True)
    fine = [happened.Outcome(0, 1, happened.VALUES, b"")]
    scheduler.handle(happened.ItemsDone(0, fine, 0.1, 0.1, last=False), 1.0)
    odd = [happened.Outcome(1, 2, happened.STRANDED, b""), happened.Outcome(2, 3, happened.VALUES, b"")]
    commands = scheduler.handle(happened.ItemsDone(0, odd, 0.1, 0.1, last=True), 2.0)
    assert do.RunHere(0, 1, 2) in commands
    assert do.Retire not in map(type, commands)
    scheduler.handle(happened.RanInline([happened.Outcome(1, 2, happened.VALUES, [1])], 0, 0.1, 0.1), 3.0)
    assert scheduler.settled == 3


def test_what_may_have_killed_a_worker_is_not_tried_again_here_when_workers_get_nothing_more():
    scheduler = running(may_run_here=True, retries=3, stop_on_error=False)
    stranded = happened.Outcome(0, 1, happened.STRANDED, b"")
    scheduler.handle(happened.ItemsDone(0, [stranded], 0.1, 0.1, last=False), 1.0)
    commands = scheduler.handle(happened.WorkerLost(0, 1, 9, None, "it was killed"), 2.0)
    assert do.DeliverLost(1, 0, 9, None, "it was killed") in commands
    assert [command for command in commands if type(command) is do.RunHere] == [do.RunHere(0, 2, 3)]


def test_where_nobody_else_may_run_it_what_cannot_travel_has_failed():
    scheduler = running()
    stranded = happened.Outcome(0, 1, happened.STRANDED, b"")
    commands = scheduler.handle(happened.ItemsDone(0, [stranded], 0.1, 0.1, last=False), 1.0)
    assert [command.outcome.kind for command in commands if type(command) is do.Deliver] == [happened.ERROR]
    assert scheduler.stop == 0


def test_a_result_that_cannot_be_opened_here_sends_nothing_more():
    scheduler = running(first=1, may_run_here=True)
    assert scheduler.handle(happened.Planned(0, 0), 1.0) == []
    assert scheduler.wanted(3) == (0, 0)


def sent(commands):
    return [command for command in commands if isinstance(command, do.Send)]


def done(worker, start, stop, seconds):
    """A worker has ended a piece."""
    outcome = Outcome(start, stop, VALUES, [0] * (stop - start))
    return happened.ItemsDone(worker, [outcome], seconds, seconds, True)


def offered_cold(**rules):
    """Two chunks are at hand for two workers that have not answered; the caller could run them as well."""
    scheduler = Scheduler(Rules(length=6, chunksize=3, may_run_here=True, **rules))
    scheduler.handle(happened.Planned(2, 2), 0.0)
    assert scheduler.wanted(0) == (3, 1)
    commands = [
        *scheduler.handle(happened.Offered(0, 3), 0.0),
        *scheduler.handle(happened.Offered(3, 3), 0.0),
    ]
    assert not sent(commands)
    scheduler.handle(happened.SourceEnded(), 0.0)
    return scheduler


def test_what_the_caller_could_run_goes_to_no_worker_that_may_be_long_in_coming():
    scheduler = offered_cold()
    assert sent(scheduler.handle(happened.WorkerReady(1), 0.0)) == [do.Send(1, 0, 0, 3)]
    assert sent(scheduler.handle(happened.WorkerReady(0), 0.0)) == [do.Send(0, 3, 3, 6)]


def test_a_caller_with_nothing_else_to_do_runs_what_was_at_hand_for_workers_that_have_not_answered():
    scheduler = offered_cold()
    assert scheduler.handle(happened.CallerWaits(), 0.0) == [do.RunHere(0, 0, 3)]
    scheduler.handle(happened.CallerLeft(inline=True), 0.0)
    assert sent(scheduler.handle(happened.WorkerReady(0), 0.0)) == [do.Send(0, 3, 3, 6)]


def test_who_answers_before_the_caller_has_begun_what_it_was_given_does_not_take_its_seat():
    scheduler = Scheduler(Rules(length=9, chunksize=3, may_run_here=True))
    scheduler.handle(happened.Planned(2, 2), 0.0)
    for first in (0, 3, 6):
        scheduler.handle(happened.Offered(first, 3), 0.0)
    assert sent(scheduler.handle(happened.WorkerReady(0), 0.0)) == [do.Send(0, 0, 0, 3)]
    assert scheduler.handle(happened.CallerWaits(), 0.0) == [do.RunHere(3, 3, 6)]
    assert not sent(scheduler.handle(happened.WorkerReady(1), 0.0))
    assert sent(scheduler.handle(happened.CallerWaits(), 0.0)) == [do.Send(1, 6, 6, 9)]


def test_a_caller_is_never_given_what_may_have_killed_a_worker():
    scheduler = offered_cold(retries=3)
    scheduler.handle(happened.WorkerReady(1), 0.0)
    scheduler.handle(happened.WorkerLost(1, 1, 9, None, "it was killed"), 0.0)
    commands = scheduler.handle(happened.CallerWaits(), 0.0)
    assert do.RunHere not in [type(command) for command in commands]


def test_what_weighs_nothing_is_offered_at_once_and_dealt_out_in_chunks_of_the_size_asked_for():
    scheduler = scheduler_with(2, length=40, chunksize=3)
    assert scheduler.wanted(0) == (3, 1)  # nobody knows yet what an item weighs
    scheduler.handle(happened.Offered(0, 3, 30), 0.0)
    scheduler.handle(happened.WorkerReady(0), 0.0)
    scheduler.handle(done(0, 0, 3, seconds=3e-5), 0.0)
    count, chunks = scheduler.wanted(3)
    assert chunks == 1
    assert count > 3
    assert count % 3 == 0
    commands = scheduler.handle(happened.Offered(3, count, 10 * count), 0.0)
    assert sent(commands)
    assert {command.stop - command.start for command in sent(commands)} == {3}
    assert {command.chunk for command in sent(commands)} == {3}


def test_what_is_heavy_is_offered_by_the_chunk_since_it_is_kept_until_the_last_item_is_done():
    scheduler = scheduler_with(2, length=40, chunksize=3)
    scheduler.handle(happened.Offered(0, 3, 3 << 20), 0.0)
    scheduler.handle(happened.WorkerReady(0), 0.0)
    scheduler.handle(done(0, 0, 3, seconds=3e-5), 0.0)
    assert scheduler.wanted(3) == (3, 1)


def test_no_more_workers_are_started_than_there_are_items():
    scheduler = Scheduler(Rules(length=3))
    booted = scheduler.handle(happened.Planned(8, 8), 0.0)
    assert len(booted) == 3


def test_the_caller_keeps_its_seat_until_it_waits():
    scheduler = scheduler_with(0, length=9)
    scheduler.handle(happened.CallerLeft(inline=True), 0.0)
    scheduler.handle(happened.Planned(2, 2), 0.0)
    scheduler.handle(happened.Offered(1, 1), 0.0)
    assert scheduler.handle(happened.Offered(2, 1), 0.0) == []
    assert scheduler.handle(happened.CallerWaits(), 0.0) == [do.Send(1, 2, 2, 3)]


def test_when_a_worker_is_lost_the_caller_does_not_take_the_seat_of_its_successor():
    scheduler = scheduler_with(1, length=9)
    scheduler.handle(happened.WorkerReady(0), 0.0)
    scheduler.handle(happened.Offered(0, 1), 0.0)
    assert scheduler.staffed
    scheduler.handle(happened.WorkerLost(0, None, 9, None, ""), 0.0)
    assert scheduler.busy_workers() == [1]
    assert scheduler.staffed


def at_work(left_seconds, timeout=None, bounded=False):
    """A scheduler whose two workers hold what it wants them to, with so much work left for each."""
    cost = 0.005
    scheduler = Scheduler(Rules(length=10 + int(2 * left_seconds / cost), timeout=timeout, bounded=bounded))
    scheduler.handle(happened.RanInline([Outcome(0, 10, VALUES, [0] * 10)], None, 10 * cost, 10 * cost), 0.0)
    scheduler.handle(happened.Planned(2, 2), 0.0)
    for worker in range(2):
        scheduler.handle(happened.WorkerReady(worker), 0.0)
    pulled = 10
    while (wanted := scheduler.wanted(pulled))[0]:
        scheduler.handle(happened.Offered(pulled, wanted[0]), 0.0)
        pulled += wanted[0]
    return scheduler


def test_while_all_have_enough_at_hand_nobody_need_look():
    assert 0.0 < at_work(left_seconds=2.0).pause_seconds() <= 0.01


@pytest.mark.parametrize(
    "scheduler",
    [at_work(0.05), at_work(2.0, timeout=1.0), at_work(2.0, bounded=True), Scheduler(Rules(length=9))],
    ids=["near the end", "with a timeout", "for a consumer", "before anything has begun"],
)
def test_else_somebody_looks_all_the_time(scheduler):
    assert scheduler.pause_seconds() == 0.0
