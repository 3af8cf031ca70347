"""The process engine does what the loop does: on forks and on fresh interpreters."""

import functools
import os
import sys
import threading

import pytest
from driver import Job, job, run
from work import NeedsTwo, NotBack, Point, Raises, square

from allcores.core.combine import ABSENT, Collector, Reduction
from allcores.core.events import ERROR, NODE, VALUES, ItemsDone, WorkerReady
from allcores.engines.processes import shutdown
from allcores.errors import RemoteError, RemoteTraceback, StartError, Unpicklable
from allcores.processes.channel import Channel
from allcores.processes.presence import inside_worker

pytestmark = pytest.mark.usefixtures("start_method")


def test_results_are_those_of_the_loop():
    assert run(square, range(20), chunk=3) == [x * x for x in range(20)]


def test_lambdas_closures_methods_and_partials_travel():
    offset = 10
    assert run(lambda x: x + offset, [1, 2]) == [11, 12]
    assert run(Point(5).plus, [1, 2]) == [6, 7]
    assert run(functools.partial(pow, 2), [3, 4]) == [8, 16]
    assert run(str.upper, ["a"]) == ["A"]


def test_recursive_closures_travel():
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert run(fibonacci, [10, 11]) == [55, 89]


def test_instances_of_local_classes_come_back_as_the_callers_own():
    class Local:
        seen = []

        def __init__(self, x):
            self.x = x

    def make(x):
        Local.seen.append(x)
        return Local(x)

    results = run(make, [1, 2])
    assert [type(each) for each in results] == [Local, Local]
    assert [each.x for each in results] == [1, 2]
    assert Local.seen == []


def test_items_of_local_classes_travel():
    class Local:
        def __init__(self, x):
            self.x = x

    assert run(lambda item: item.x + 1, [Local(1), Local(2)]) == [2, 3]


def test_a_piece_may_be_any_part_of_a_chunk():
    made = Job(square, range(10, 20), workers=1)
    made.payload = made.engine.pack(0, made.items)
    made._todo = [(3, 7)]
    worker = made.boot()
    made.feed(worker)
    made.until(lambda made: len(made.settled) == 4)
    assert made.settled == {index: (index + 10) ** 2 for index in range(3, 7)}
    made.close()


def test_each_task_sees_its_arguments_pristine():
    shared = [0]

    def mutate(item):
        item.append(1)
        return len(item)

    assert run(mutate, [shared] * 4, workers=1, chunk=4) == [2, 2, 2, 2]


def test_large_items_and_results_travel():
    blob = os.urandom(3_000_000)
    results = run(lambda item: item[::-1], [blob] * 4, chunk=2)
    assert all(each == blob[::-1] for each in results)


def test_an_exception_keeps_its_type_and_names_its_item():
    def fail(x):
        if x == 2:
            try:
                {}["key"]
            except KeyError as error:
                raise ValueError("two") from error
        return x

    results = run(fail, range(4), chunk=4)
    error = results[2]
    assert results[:2] + results[3:] == [0, 1, 3]
    assert type(error) is ValueError
    assert error.args == ("two",)
    assert error.__notes__ == ["allcores: item 2"]
    assert type(error.__cause__) is KeyError
    assert type(error.__cause__.__cause__) is RemoteTraceback
    text = str(error.__cause__.__cause__)
    assert "direct cause" in text
    assert 'raise ValueError("two") from error' in text
    assert "allcores/processes" not in text


def test_exceptions_that_cannot_be_rebuilt_arrive_with_their_text():
    def fail(x):
        raise NeedsTwo(x, 2) if x else Raises("no")

    first, second = run(fail, [0, 1])
    assert isinstance(first, RemoteError)
    assert isinstance(second, RemoteError)
    assert "NeedsTwo" in second.type_name
    assert "1 and 2" in second.text
    assert second.index == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_even_exits_travel_and_cost_no_worker(kind):
    def fail(x):
        if x == 1:
            raise kind(3)
        return os.getpid()

    results = run(fail, range(3), workers=1, chunk=3)
    assert type(results[1]) is kind
    assert results[1].args == (3,)
    assert results[0] == results[2]


def test_a_recursion_without_end_is_an_error_like_any_other():
    def forever(x):
        return forever(x) if x else os.getpid()

    first, second, third = run(forever, [0, 1, 0], workers=1, chunk=3)
    assert first == third
    assert type(second) is RecursionError


def test_which_errors_may_be_retried_is_told():
    def fail(x):
        raise KeyError(x) if x else ValueError(x)

    made = Job(fail, [0, 1], retry_on=(LookupError,)).start()
    made.finish()
    assert {outcome.start: outcome.retryable for outcome in made.outcomes} == {0: False, 1: True}
    made.close()


def test_an_unpicklable_function_is_refused_before_anything_starts():
    lock = threading.Lock()
    with pytest.raises(Unpicklable, match=r"captured variable 'lock' is a _thread\.lock") as caught:
        Job(lambda x: lock, [1])
    assert caught.value.what == "function"
    assert "__closure__['lock']" in caught.value.path
    assert "engine='threads'" in str(caught.value)


def test_an_unpicklable_item_is_named():
    made = Job(square, [1, {"a": 1, "handle": threading.Lock()}])
    with pytest.raises(Unpicklable, match=r"item 1 .*item\['handle'\]") as caught:
        made.engine.pack(0, made.items)
    assert (caught.value.what, caught.value.path, caught.value.index) == ("item", "item['handle']", 1)


def test_an_unpicklable_result_is_named_and_costs_no_worker():
    def make(x):
        return {"n": 1, "made": (y for y in ())} if x else os.getpid()

    first, second, third = run(make, [0, 1, 0], workers=1, chunk=3)
    assert first == third
    assert type(second) is Unpicklable
    assert (second.what, second.path, second.index) == ("result", "result['made']", 1)
    assert "Make it a list" in str(second)


def test_an_item_that_cannot_be_rebuilt_fails_alone():
    first, second, third = run(square, [1, NotBack(), 3], workers=1, chunk=3)
    assert (first, third) == (1, 9)
    assert type(second) is Unpicklable
    assert "only at home" in str(second)


def test_a_result_that_cannot_be_rebuilt_is_named_by_unpack():
    with job(lambda x: NotBack(), [0]) as made, pytest.raises(Unpicklable, match="item 0 arrived"):
        made.finish()


def test_a_function_that_cannot_be_loaded_says_so(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text(
        "import os\nassert os.getpid() == %d\ndef f(x): return x\n" % os.getpid()
    )
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    with job(only_here.f, [1]) as made, pytest.raises(StartError, match="cannot load the function") as caught:
        made.finish()
    assert type(caught.value.__cause__) is AssertionError
    assert "only_here.py" in str(caught.value.__cause__.__cause__)


def test_a_module_that_kills_its_loader_is_given_up(tmp_path, monkeypatch, start_method):
    if start_method == "portable":
        pytest.skip("there each worker loads, and its loss is counted by the scheduler")
    (tmp_path / "deadly.py").write_text(
        "import os\nif os.getpid() != %d: os.kill(os.getpid(), 11)\ndef f(x): return x\n" % os.getpid()
    )
    monkeypatch.syspath_prepend(tmp_path)
    import deadly

    with job(deadly.f, [1]) as made, pytest.raises(StartError, match="SIGSEGV"):
        made.finish()


def test_a_module_that_starts_threads_is_loaded_after_the_fork(tmp_path, monkeypatch):
    (tmp_path / "threaded.py").write_text(
        "import threading, time, os\n"
        "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "def f(x): return x + threading.active_count(), os.getpid()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import threaded

    results = run(threaded.f, [1, 2, 3, 4])
    # a fork would have left the thread behind
    assert [value for value, _ in results] == [3, 4, 5, 6]


def test_the_callers_world_travels(tmp_path, monkeypatch):
    import decimal
    import logging
    import warnings

    monkeypatch.setenv("ALLCORES_TEST", "here")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["me", "--loud"])
    monkeypatch.syspath_prepend(tmp_path)
    logging.getLogger("allcores.test").setLevel(17)

    def look(_):
        import decimal
        import logging
        import os
        import sys
        import warnings

        try:
            warnings.warn("x", FutureWarning, stacklevel=1)
            raised = False
        except FutureWarning:
            raised = True
        return (
            os.environ["ALLCORES_TEST"],
            dict(os.environ),
            os.getcwd(),
            sys.argv,
            sys.path,
            sys.prefix,
            decimal.getcontext().prec,
            logging.getLogger("allcores.test").level,
            sys.getrecursionlimit(),
            raised,
        )

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1234)
    try:
        with decimal.localcontext() as context, warnings.catch_warnings():
            context.prec = 5
            warnings.simplefilter("error", FutureWarning)
            expected = look(0)
            assert run(look, [0]) == [expected]
    finally:
        sys.setrecursionlimit(before)
        logging.getLogger("allcores.test").setLevel(0)


def test_reductions_leave_nodes_where_the_rules_of_the_tree_allow():
    reduction = Reduction(sum, lambda left, right: left + right)
    made = Job(square, range(2000), chunk=300, reduction=reduction).start()
    made.finish()
    made.close()
    pieces = sorted(
        [(o.start, o.stop, o.kind, made.engine.unpack(o)) for o in made.outcomes], key=lambda each: each[0]
    )
    assert {kind for _, _, kind, _ in pieces} <= {NODE, VALUES}
    assert len(pieces) < 500
    collector = Collector(reduction, False)
    for start, stop, kind, value in pieces:
        if kind == NODE:
            collector.node(start, stop, value)
        else:
            collector.items(start, value)
    assert collector.result() == sum(x * x for x in range(2000))


def test_an_error_in_a_reduction_stands_at_its_item_and_nothing_is_missing():
    def merge(left, right):
        raise ArithmeticError("no merging here")

    made = Job(square, range(8), workers=1, chunk=8, reduction=Reduction(sum, merge)).start()
    made.finish()
    made.close()
    error = made.settled[1]
    assert type(error) is ArithmeticError
    assert [(o.start, o.kind) for o in made.outcomes][:2] == [(0, VALUES), (1, ERROR)]


def test_filtered_items_reduce_to_nothing():
    made = Job(lambda x: False, range(4), chunk=4, reduction=Reduction(sum, max), kinds="filter").start()
    made.finish()
    made.close()
    assert all(value is ABSENT for _, _, value in made.nodes)


def test_a_cancelled_piece_ends_early():
    import time

    with job(lambda x: time.sleep(0.005), range(1000), workers=1, chunk=1000) as made:
        made.until(lambda made: len(made.settled) > 2)
        made.engine.cancel()
        last = None
        while last is None:
            last = next((event for event in made.engine.wait(5) if getattr(event, "last", False)), None)
        assert last.outcomes == [] or last.outcomes[-1].stop < 1000


def test_idle_workers_serve_the_next_call_of_the_same_function():
    first = {pid for pid, _ in run(lambda x: (os.getpid(), x), range(8), reuse=True)}
    second = {pid for pid, _ in run(lambda x: (os.getpid(), x), range(8), reuse=True)}
    assert second != first, "another lambda is another function"
    function = os.getpid

    def pid(_):
        return function()

    before = set(run(pid, range(8), reuse=True))
    after = set(run(pid, range(8), reuse=True))
    assert after & before
    assert len(before | after) <= 2


def test_edited_code_is_never_stale(tmp_path, monkeypatch):
    import importlib

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module_file = tmp_path / "edited.py"
    module_file.write_text("def f(x): return 'old'\n")
    monkeypatch.syspath_prepend(tmp_path)
    import edited

    assert run(edited.f, [1], reuse=True) == ["old"]
    module_file.write_text("def f(x): return 'new!'\n")
    importlib.invalidate_caches()
    importlib.reload(edited)
    assert run(edited.f, [1], reuse=True) == ["new!"]


def test_two_threads_may_call_at_once():
    results = {}

    def call(name):
        results[name] = run(square, range(50), chunk=5, workers=1, reuse=True)

    threads = [threading.Thread(target=call, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {name: [x * x for x in range(50)] for name in range(3)}


def test_a_ring_ends_a_wait():
    with job(square, [1]) as made:
        made.finish()
        threading.Thread(target=made.engine.ring).start()
        while made.engine.wait(None):
            pass


def test_a_ring_that_comes_together_with_events_ends_the_next_wait_too():
    with job(square, [1]) as made:
        made.finish()
        made.engine.ring()
        event = WorkerReady(99)
        made.engine._crew._events.append(event)
        assert made.engine.wait(None) == [event]
        while made.engine.wait(None):  # what has happened besides
            pass


def test_workers_know_that_they_are_workers():
    assert not inside_worker()
    assert run(lambda _: inside_worker(), [0]) == [True]


def test_random_numbers_differ_between_workers():
    import random

    numpy = pytest.importorskip("numpy")
    random.random()
    numpy.random.random()

    def draw(_):
        import os
        import time

        time.sleep(0.05)
        return os.getpid(), random.random(), numpy.random.random()

    rows = run(draw, range(4))
    assert len({pid for pid, _, _ in rows}) == 2
    assert len({a for _, a, _ in rows}) == 4
    assert len({b for _, _, b in rows}) == 4


def test_what_is_printed_comes_with_the_outcome_and_not_by_itself(capfd):
    def say(x):
        print("item", x)

    with job(say, range(4)) as made:
        made.finish()
        done = [event for event in made.events if isinstance(event, ItemsDone)]
    shutdown()
    printed = [each for event in done for outcome in event.outcomes for each in outcome.printed]
    assert sorted(printed) == [(index, 1, b"item %d\n" % index) for index in range(4)]
    assert capfd.readouterr() == ("", "")


def test_pieces_for_a_busy_worker_share_a_write(monkeypatch):
    with job(square, range(40), workers=1, chunk=1) as made:
        made.finish()
        writes = []
        real = Channel.send
        monkeypatch.setattr(Channel, "send", lambda self, *parts: writes.append(parts) or real(self, *parts))
        for index in range(10):
            made.engine.send(0, made.payload, 0, index, index + 1)
        assert len(writes) == 1  # it had nothing to do
        made.engine.flush()
        assert len(writes) == 2
        ended = 0
        while ended < 10:
            ended += len([event for event in made.engine.wait(20) if isinstance(event, ItemsDone)])
        made.engine.send(0, made.payload, 0, 0, 2)
        made.engine.send(0, made.payload, 0, 2, 4)
        while ended < 12:  # to wait is enough
            ended += len([event for event in made.engine.wait(20) if isinstance(event, ItemsDone)])


def test_waiting_opens_no_result():
    with job(lambda x: NotBack(), [0]) as made:
        events = []
        while not any(getattr(event, "last", False) for event in events):
            events = made.engine.wait(5)
