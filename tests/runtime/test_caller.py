"""The calling thread, its helper and the input: who pulls what, and when."""

import functools
import gc
import os
import threading
import time
import weakref

import pytest

import allcores as ac
from allcores.core import commands as do
from allcores.core.events import StartFailed
from allcores.core.plan import PROCESSES, Plan
from allcores.engines.threads import Threads
from allcores.errors import StartError, TaskTimeout, WorkerLost
from allcores.options import checked
from allcores.runtime import caller, priors
from allcores.runtime.caller import Caller
from allcores.runtime.helper import Helper
from allcores.runtime.source import Source
from allcores.tasks.task import MAP, Task
from allcores.testing import ALWAYS, DiesAt, DiesOn, Hangs, ItemStarted, SimEngine


class Watched:
    """A one-shot iterator that remembers which threads advanced it, and how far."""

    def __init__(self, count):
        self.count = count
        self.pulled = 0
        self.threads = set()

    def __iter__(self):
        return self

    def __next__(self):
        self.threads.add(threading.get_ident())
        if self.pulled == self.count:
            raise StopIteration
        self.pulled += 1
        return self.pulled - 1


@pytest.mark.parametrize(
    "options", [{}, {"engine": "threads"}, {"engine": "inline"}, {"engine": SimEngine()}]
)
def test_a_one_shot_iterator_is_advanced_by_the_calling_thread_alone(options):
    items = Watched(200)
    assert ac.map(lambda x: x, items, **options) == list(range(200))
    assert items.threads == {threading.get_ident()}


def test_before_the_first_cost_is_known_a_one_shot_iterator_stands_at_the_running_item():
    items = Watched(5)
    seen = []

    def function(item):
        seen.append(items.pulled)
        return item

    ac.map(function, items)
    assert seen[0] == 1


def test_the_input_is_pulled_no_further_than_the_window_allows():
    items = Watched(10_000)
    stream = iter(ac.par(items, engine=SimEngine(), window=10).map(lambda x: x))
    for taken in range(50):
        assert next(stream) == taken
        assert items.pulled <= taken + 11
    stream.close()


def test_while_a_long_item_runs_in_the_caller_its_helper_feeds_a_list_to_workers():
    others = threading.Event()
    caller = threading.get_ident()

    def function(item):
        if item == 0 and threading.get_ident() == caller:
            assert others.wait(30), "nobody else ran anything"
        elif threading.get_ident() != caller:
            others.set()
        return item

    job = Caller(Task(((MAP, function),)), Source((list(range(20)),)), checked({"n_jobs": 2}))
    results = []
    job.planner.plan = lambda *_, **__: Plan("threads", 2, 2, {}, [])
    for outputs in job.outputs():
        results += outputs
    assert results == list(range(20))


MANY = 3_000_000  # on a busy machine a thread may wait long for a core


def test_workers_that_answer_are_heard_while_the_caller_runs_item_after_item(monkeypatch):
    caller, others = threading.get_ident(), threading.Event()
    late, waited = [], []
    boot = Threads.boot
    monkeypatch.setattr(Threads, "boot", lambda engine, worker: late.append((engine, worker)))
    monkeypatch.setattr(Helper, "_react", lambda helper, since: time.sleep(0.001))  # it may never get the GIL

    def items():
        for index in range(MANY):
            if others.is_set():
                return
            yield index

    def function(item):
        if threading.get_ident() != caller:
            others.set()
        elif late:
            waited.append(item)
            if len(waited) == 500:  # some items are at hand for workers: the caller runs those behind them
                for engine, worker in late:
                    boot(engine, worker)
        return item

    job = Caller(Task(((MAP, function),)), Source((items(),)), checked({"n_jobs": 2}))
    job.planner.plan = lambda *_, **__: Plan("threads", 2, 2, {}, [])
    results = [value for outputs in job.outputs() for value in outputs]
    assert results == list(range(len(results)))
    assert len(results) < MANY, "the workers were heard when there was nothing left to run"


def test_the_earliest_error_is_raised_and_what_had_finished_is_kept():
    engine = SimEngine(seconds=lambda index, item: 5.0 if index == 2 else 0.001, workers=3)

    def function(item):
        if item in (2, 9):
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match="2") as caught:
        ac.map(function, range(20), engine=engine, chunksize=1)
    assert {0: 0, 1: 1}.items() <= ac.partial(caught.value).items()


def test_a_worker_that_is_killed_costs_its_item_alone():
    engine = SimEngine(workers=2, faults=[DiesOn(5, ALWAYS)])
    results = ac.map(lambda x: x, range(50), engine=engine, on_error="return")
    assert [index for index, value in enumerate(results) if isinstance(value, ac.Failure)] == [5]
    assert isinstance(results[5].error, WorkerLost)
    assert (results[5].item, results[5].error.index, results[5].error.signal) == (5, 5, 9)


def test_with_a_retry_a_killed_worker_costs_nothing():
    engine = SimEngine(workers=2, faults=[DiesOn(5), DiesAt(0.035, 0)])
    assert ac.map(lambda x: x, range(50), engine=engine, retries=2) == list(range(50))


def test_an_hour_of_hanging_is_over_at_once_on_a_virtual_clock():
    engine = SimEngine(workers=2, faults=[Hangs(3)])
    with pytest.raises(TaskTimeout) as caught:
        ac.map(lambda x: x, range(10), engine=engine, timeout=3600)
    assert caught.value.index == 3
    assert len(engine.of(do.Kill)) == 1


def test_a_stream_that_is_closed_starts_nothing_more():
    engine = SimEngine(workers=2)
    stream = iter(ac.par(range(10_000), engine=engine).map(lambda x: x))
    next(stream)
    stream.close()
    started = len(engine.of(ItemStarted))
    assert started < 10_000


def test_the_same_seed_gives_the_same_trace():
    def trace():
        engine = SimEngine(seconds=lambda index, item: 0.001 * (1 + index % 7), workers=3, seed=4)
        ac.map(lambda x: x, range(100), engine=engine)
        return engine.trace

    assert trace() == trace()


@pytest.mark.parametrize("n_jobs", [1, 2, 7])
@pytest.mark.parametrize("chunksize", ["auto", 1, 10])
def test_a_reduction_gives_the_same_bits_on_any_number_of_simulated_workers(n_jobs, chunksize):
    numbers = [(-1) ** index / (index + 1) for index in range(3000)]
    expected = ac.par(numbers, engine="inline").sum()
    engine = SimEngine(seconds=1e-5, seed=n_jobs, faults=[DiesAt(0.031, 0)])
    assert ac.par(numbers, engine=engine, n_jobs=n_jobs, chunksize=chunksize, retries=1).sum() == expected


def test_the_window_in_bytes_is_the_users_or_else_ours():
    def bound(**options):
        return Caller(Task(((MAP, abs),)), Source(([1],)), checked(options)).pump.scheduler.rules.window_bytes

    assert bound(window_bytes=5) == 5
    assert bound() == 64 << 20


def test_ctrl_c_ends_the_call_at_its_item_also_where_errors_are_returned():
    seen = []

    def interrupted(x):
        seen.append(x)
        if x == 500:
            raise KeyboardInterrupt
        return x

    with pytest.raises(KeyboardInterrupt) as raised:
        ac.map(interrupted, range(1000), engine="inline", on_error="return", writes="allow")
    assert seen[-1] == 500
    assert len(ac.partial(raised.value)) == 500


class Nobody:
    """In the place of a helper."""

    def __init__(self, caller):
        pass

    def wake(self):
        pass


def meet(place, item):
    """The first item waits for another one."""
    if item:
        with open(place, "w"):
            return item
    waits_until = time.monotonic() + 30
    while not os.path.exists(place):
        assert time.monotonic() < waits_until, "nobody runs the others"
    return item


def test_after_a_call_that_moved_its_items_workers_begin_with_the_first_item_of_the_next(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(caller, "Helper", Nobody)
    function = functools.partial(meet, str(tmp_path / "there"))
    ac.warmup(function, n_jobs=2)
    priors.prior_of(Task(((MAP, function),)), 0).remember(0.05, PROCESSES, 0.05, 0.05)
    assert ac.map(function, range(5), n_jobs=2) == list(range(5))


def test_where_not_all_workers_could_be_had_none_of_them_is_kept(monkeypatch):
    kept = []

    class Short(Threads):
        def boot(self, worker):
            if worker:
                self._events.put(StartFailed(StartError("there are no descriptors left")))
            else:
                super().boot(worker)

        def send(self, worker, *rest):
            if not worker:
                super().send(worker, *rest)

        def close(self, reuse):
            kept.append(reuse)
            super().close(reuse)

    monkeypatch.setattr(caller, "engine_named", lambda name, options, task, *rest: Short(task))
    with pytest.raises(StartError):
        ac.map(abs, range(10), engine="threads", n_jobs=3)
    assert kept == [False]


def where(item):
    return os.getpid()


def test_what_the_first_item_shows_overrides_what_was_foreseen():
    ac.warmup(where, n_jobs=2)
    priors.prior_of(Task(((MAP, where),)), 0).remember(0.05, PROCESSES, 0.05, 0.05)
    found = ac.map(where, range(50_000), n_jobs=2)
    assert len(found) == 50_000
    assert found.count(os.getpid()) > 1, "all but the first item went where those of the call before belonged"


def test_who_watches_knows_how_many_items_of_an_iterator_run_as_one_batch():
    batches = []

    def note(item):
        batches.append(job.runs_items)

    job = Caller(Task(((MAP, note),)), Source((iter(range(200)),)), checked({}))
    assert sum(len(outputs) for outputs in job.outputs()) == 200
    assert max(batches) > 1


class Thing:
    """An item, a result, or what a function holds: something whose end can be seen."""


def with_thing(thing, item):
    return Thing()


@pytest.mark.parametrize(
    "options",
    [{}, {"engine": "inline"}, {"engine": "threads"}, {"engine": "processes"}, {"on_error": "return"}],
)
@pytest.mark.parametrize("kind", [list, iter])
def test_after_a_call_nothing_of_the_users_is_kept_alive_until_garbage_is_collected(options, kind):
    alive, ended = set(), threading.Event()

    def end(number):
        alive.discard(number)
        if not alive:
            ended.set()

    gc.collect()
    gc.disable()
    try:
        items, held = [Thing() for _ in range(20)], Thing()
        results = ac.map(functools.partial(with_thing, held), kind(items), **options)
        for number, thing in enumerate([held, *items, *results]):
            alive.add(number)
            weakref.finalize(thing, end, number)
        del items, held, results, thing
        assert ended.wait(5.0), f"{len(alive)} are alive"
    finally:
        gc.enable()
