"""The planner of a job: what it makes of first items, and when it starts workers for calls to come."""

import importlib
import sys
import threading
import types

import pytest

import allcores as ac
from allcores.core.chunks import Cost
from allcores.core.events import VALUES, Outcome
from allcores.core.plan import INLINE, PROCESSES, THREADS
from allcores.options import checked
from allcores.processes import start
from allcores.runtime import budget, priors, rent
from allcores.runtime.planner import Planner
from allcores.runtime.processor import Away, Books
from allcores.tasks.task import Task

ITEM = 0.05  # seconds


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    """Two cores, no workers, and no rent paid so far."""
    ac.shutdown()
    rent.forget()
    priors.forget()
    monkeypatch.setattr(budget, "cpu_count", lambda: 2)
    yield
    ac.shutdown()
    rent.forget()
    priors.forget()


def planner() -> Planner:
    return Planner(Task((("map", abs),)), checked({}))


def ran(planner: Planner, items: int, seconds: float, cpu_seconds: float | None = None) -> None:
    planner.item_begins()
    observed(planner, items, seconds, cpu_seconds)


def observed(planner: Planner, items: int, seconds: float, cpu_seconds: float | None = None) -> None:
    outcomes = [Outcome(0, items, VALUES, [1] * items)]
    planner.observe([1] * items, outcomes, seconds, seconds if cpu_seconds is None else cpu_seconds)


def imports_something() -> None:
    name = f"invented_{len(sys.modules)}"
    sys.modules[name] = types.ModuleType(name)


def test_a_first_item_that_imports_says_nothing_about_the_others():
    one = planner()
    one.item_begins()
    imports_something()
    observed(one, 1, 3.0)
    assert not one.seen_enough
    ran(one, 1, 0.02, 0.0)
    assert one.seen_enough
    assert one.plan(100).engine == THREADS


def test_a_first_item_that_imports_is_all_that_explain_has_if_there_is_no_other():
    one = planner()
    one.item_begins()
    imports_something()
    observed(one, 1, 3.0)
    assert one.plan(100).seconds[INLINE] == pytest.approx(300)


class Told(Books):
    """Books in which something stands."""

    def __init__(self, away: Away) -> None:
        super().__init__()
        self._told = away

    def away(self, *, anew=False):
        return self._told


@pytest.mark.parametrize(
    "away", [Away(0.0, 0.15), Away(0.15, 0.0)], ids=["threads of a library computed", "it had no core"]
)
def test_a_thread_that_sleeps_without_waiting_is_not_joined_by_others(away):
    one = planner()
    one._books = Told(away)
    ran(one, 1, 0.2, 0.04)
    assert one.plan(100).engine != THREADS
    one._books = Told(Away(0.0, 0.0))
    ran(one, 1, 2.0, 0.04)
    assert one.plan(100).engine == THREADS


def test_an_import_in_a_later_item_counts_like_any_work():
    one = planner()
    ran(one, 1, ITEM)
    one.item_begins()
    imports_something()
    observed(one, 1, ITEM)
    assert one.seen_enough


def test_a_call_that_stays_only_for_the_start_of_workers_starts_them_for_the_next(monkeypatch):
    monkeypatch.setattr(start, "COLD_BOOT_SECONDS", 60.0)
    one = planner()
    ran(one, 2, 2 * ITEM)
    assert one.plan(20).engine == INLINE
    assert not start.is_warm()
    one.pay_the_rent()
    zygote = start._kept.zygote
    assert zygote is not None
    assert zygote.alive()


def test_what_small_calls_lose_adds_up_to_a_start(monkeypatch):
    monkeypatch.setattr(start, "COLD_BOOT_SECONDS", 60.0)
    calls = 0
    while start._kept.zygote is None:
        one = planner()
        ran(one, 2, 0.01)
        assert one.plan(6).engine == INLINE
        one.pay_the_rent()
        calls += 1
        assert calls < 100
    assert calls > 2


def test_a_call_that_workers_would_not_help_starts_none(monkeypatch):
    monkeypatch.setattr(budget, "cpu_count", lambda: 1)
    one = planner()
    ran(one, 2, 2 * ITEM)
    assert one.plan(1000).engine == INLINE
    one.pay_the_rent()
    assert start._kept.zygote is None
    assert not rent.is_due(1e-9)


def test_explain_starts_nothing(monkeypatch):
    monkeypatch.setattr(start, "COLD_BOOT_SECONDS", 60.0)
    rent.pay(10.0)
    ac.explain(lambda x: sum(range(10_000)), range(2000))
    assert start._kept.zygote is None


def test_workers_that_are_on_their_way_are_waited_for_only_as_long_as_it_still_takes():
    ours = start.Start(Task((("map", abs),)))
    cold = ours.seconds()
    ours.begin()
    assert ours.begun()
    while not start.is_warm():
        assert start.WARM_BOOT_SECONDS <= ours.seconds() <= max(cold, start.OVERDUE_SHARE * 60)
    assert ours.seconds() == start.WARM_BOOT_SECONDS


def test_a_start_without_what_the_function_imports_is_no_start_for_it():
    importlib.import_module("numpy")
    start.start_zygote([])
    assert not start.Start(Task((("map", abs),))).begun()


@pytest.fixture
def nothing_loaded(monkeypatch):
    """As in a process in which no call has needed workers so far."""
    monkeypatch.delitem(sys.modules, "allcores.processes.pool", raising=False)


@pytest.mark.usefixtures("nothing_loaded")
def test_the_first_start_of_a_process_begins_before_the_rest_is_loaded():
    one = planner()
    one.may_start = True
    ran(one, 2, 2 * ITEM)
    one.plan(1000)
    assert start._kept.zygote is not None
    assert "allcores.processes.pool" not in sys.modules


def test_later_starts_wait_for_the_plan():
    importlib.import_module("allcores.processes.pool")
    one = planner()
    one.may_start = True
    ran(one, 2, 2 * ITEM)
    one.plan(1000)
    assert start._kept.zygote is None


@pytest.mark.usefixtures("nothing_loaded")
@pytest.mark.parametrize(("left", "late_share"), [(0, 1.0), (1000, 0.0)])
def test_nothing_starts_in_advance_where_little_is_left_or_threads_may_do(left, late_share):
    one = planner()
    one.may_start = True
    ran(one, 2, 2 * ITEM)
    one.observe_lateness(late_share)
    one.plan(left)
    assert start._kept.zygote is None


@pytest.mark.parametrize("ends_meanwhile", [False, True])
def test_what_the_helper_imports_meanwhile_is_not_the_first_items_doing(ends_meanwhile):
    one = planner()
    one.item_begins()
    with one.own_imports():
        imports_something()
        if ends_meanwhile:
            observed(one, 1, ITEM)
    if not ends_meanwhile:
        observed(one, 1, ITEM)
    assert one.seen_enough


def test_nobody_plans_between_the_guard_s_answer_and_what_it_refuses(monkeypatch):
    """The caller and its helper may ask at the same time: threads would be let in that the guard keeps out."""
    one = planner()
    ran(one, 1, 0.02, 0.0)
    ran(one, 1, 0.02, 0.0)
    answered, goes_on = threading.Event(), threading.Event()
    ask = one.watch.ask

    def asks_slowly(sample):
        ask(sample)
        answered.set()
        assert goes_on.wait(20)
        return {THREADS: "they share a connection"}

    monkeypatch.setattr(one.watch, "ask", asks_slowly)
    plans = []
    helper = threading.Thread(target=lambda: plans.append(one.plan(100)))
    helper.start()
    assert answered.wait(20)
    caller = threading.Thread(target=lambda: plans.append(one.plan(100)))
    caller.start()
    caller.join(0.2)
    goes_on.set()
    helper.join(20)
    caller.join(20)
    assert [plan.engine == THREADS for plan in plans] == [False, False]


def test_several_items_that_are_dearer_than_those_before_speak_for_those_to_come():
    one = planner()
    ran(one, 1000, 0.01)
    one.item_begins()
    assert one.plan(99, running=one.since_last_look(1000, 0.02, 0.02)).seconds[INLINE] == pytest.approx(0.002)
    assert one.plan(99, running=one.since_last_look(1004, 0.06, 0.06)).seconds[INLINE] == pytest.approx(1.0)


def test_one_item_that_is_dearer_counts_as_one():
    one = planner()
    ran(one, 9, 0.09)
    one.item_begins()
    assert one.since_last_look(1, 0.4, 0.4) == (1, 0.4, 0.4)
    running = one.since_last_look(1, 0.91, 0.91)
    assert one.plan(99, running=running).seconds[INLINE] == pytest.approx(10.0)


@pytest.mark.parametrize(("computing", "engine"), [(0.0, THREADS), (2.0, PROCESSES)])
def test_two_items_are_worth_two_workers_while_the_first_one_goes_on(computing, engine):
    one = planner()
    one.item_begins([1])
    plan = one.plan(1, running=one.since_last_look(1, 2.0, computing))
    assert (plan.engine, plan.n_jobs) == (engine, 2)


def test_what_was_seen_of_the_gil_is_believed_by_the_next_call_for_items_of_the_same_type():
    one = planner()
    one.item_begins([1])
    one.observe_lateness(0.1)
    another = planner()
    another.item_begins([2])
    assert another._sample(None).late_share == 0.1
    another.observe_lateness(0.9)
    assert another._sample(None).late_share == 0.9
    unlike = planner()
    unlike.item_begins(["1"])
    assert unlike._sample(None).late_share is None


def test_what_was_seen_long_ago_is_forgotten():
    kinds = [type(f"Kind{number}", (), {}) for number in range(priors.MOST_KNOWN + 1)]
    task = Task((("map", abs),))
    for number, kind in enumerate(kinds):
        priors.prior_of(task, kind()).late_share = number
    assert priors.prior_of(task, kinds[1]()).late_share == 1
    assert priors.prior_of(task, kinds[0]()).late_share is None
    assert priors.prior_of(task, kinds[1]()).late_share == 1
    assert priors.prior_of(task, kinds[2]()).late_share is None


def explained_after(cost, measured, items=1000):
    """Seconds for 100 items where those of an earlier call took so much each, and one that is measured now so much."""
    earlier = planner()
    earlier.item_begins([1])
    known = Cost()
    known.observe(items, items * cost)
    earlier.over(known, INLINE)
    one = planner()
    one.item_begins([1])
    observed(one, 1, measured)
    one.lean_on_prior()
    return one.plan(100).seconds[INLINE]


def test_a_whole_call_knows_better_than_a_few_items_what_they_cost():
    assert explained_after(0.001, 0.003) == pytest.approx(0.1)
    assert explained_after(1e-7, 2e-6, items=100_000) == pytest.approx(1e-5)
    assert explained_after(1e-7, 0.0, items=100_000) == pytest.approx(1e-5)


def test_so_short_a_call_says_nothing_of_what_items_cost():
    assert explained_after(3e-6, 2e-6, items=10) == pytest.approx(2e-4)


def test_what_a_whole_call_took_is_no_first_impression():
    known, first = Cost(), planner()
    known.observe(1000, 1.0)
    first.item_begins([1])
    first.over(known, PROCESSES)
    one = planner()
    one.item_begins([1])
    observed(one, 1, 0.001)
    assert one.plan(250).engine == INLINE  # the others may well take less
    one.lean_on_prior()
    assert one.plan(250).engine == PROCESSES


def test_items_that_cost_something_else_altogether_are_of_another_kind():
    assert explained_after(0.001, 0.1) == pytest.approx(10.0)


def planned_beforehand(seconds, engine, left=100, item=1, clean=0, late_share=None):
    """What is planned before an item has run, where those of the call before took so long there."""
    one = planner()
    one.item_begins([item])
    priors.prior_of(one.task, item).remember(seconds, engine, seconds, seconds)
    one.late_share = one.watch.prior.late_share = late_share
    one.watch.prior.clean = clean
    return one.plan_beforehand(left)


def test_what_moved_last_time_moves_before_the_first_item_has_ended():
    assert planned_beforehand(ITEM, PROCESSES).engine == PROCESSES


def test_what_stayed_last_time_moves_beforehand_where_it_is_known_what_it_is_and_now_worth_it():
    assert planned_beforehand(ITEM, INLINE, late_share=1.0).engine == PROCESSES
    assert planned_beforehand(5.0, INLINE, left=1, late_share=1.0).n_jobs == 2


@pytest.mark.parametrize(
    ("seconds", "engine", "left"),
    [(ITEM, INLINE, 100), (ITEM, THREADS, 100), (ITEM, PROCESSES, 0), (0.001, PROCESSES, 10_000)],
    ids=["stayed", "went elsewhere", "nothing is left", "too short to be moved before its writes are seen"],
)
def test_else_the_first_item_is_seen_first(seconds, engine, left):
    assert planned_beforehand(seconds, engine, left) is None


@pytest.mark.parametrize(("clean", "engine"), [(2, None), (3, PROCESSES)])
def test_items_that_can_change_move_beforehand_once_the_guard_has_compared_three(clean, engine):
    plan = planned_beforehand(ITEM, PROCESSES, item=[1], clean=clean)
    assert (plan and plan.engine) == engine


def test_after_results_that_could_not_travel_work_stays_until_some_look_as_if_they_could():
    def planned(results):
        one = planner()
        one.item_begins([1])
        one.observe([1], [Outcome(0, 1, VALUES, results)], ITEM, ITEM)
        one.observe_lateness(1.0)
        plan = one.plan(100)
        one.over(Cost(), plan.engine)
        return plan

    lock = threading.Lock()
    assert planned([1]).engine == PROCESSES
    priors.prior_of(planner().task, 1).stranded = "the result was a lock"
    for results in ([lock], [lock], [1]):
        plan = planned(results)
        assert plan.engine == INLINE
        assert any("the result" in reason for reason in plan.reasons)
    assert planned([1]).engine == PROCESSES


def test_what_a_worker_could_not_send_back_is_known_to_the_next_call():
    one = planner()
    one.item_begins([1])
    one.over(Cost(), PROCESSES, "it is a lock")
    two = planner()
    two.item_begins([1])
    two.observe([1], [Outcome(0, 1, VALUES, [1])], ITEM, ITEM)
    two.observe_lateness(1.0)
    assert "no processes: it is a lock" in two.plan(100).reasons
