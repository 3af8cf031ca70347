"""Executor: the rules of concurrent.futures, on processes and threads; and what is better here."""

import concurrent.futures
import contextlib
import functools
import gc
import itertools
import logging
import os
import signal
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError, Future, as_completed, wait

import psutil
import pytest

import allcores as ac
from allcores.runtime import dispatcher as dispatching
from faults.witness import Program, children, is_ours, lives, strike, strike_dead, traces, wait_for
from starting import workers_start_by

SECONDS = 30  # for anything that should happen at once


def double(x):
    return 2 * x


def capture(*args, **kwargs):
    return args, kwargs


def fail_at(bad, x):
    if x == bad:
        raise KeyError(x)
    return 2 * x


def fail_from_cause():
    try:
        1 / 0
    except ZeroDivisionError as error:
        raise LookupError("far away") from error


def leave():
    raise SystemExit(3)


def note(directory, name):
    """Leaves a file: what happens in a worker is seen here."""
    with open(os.path.join(directory, str(name)), "ab") as file:
        file.write(b".")
    return name


def pass_gate(directory, name, gate="open"):
    """Says that it has begun, and waits until the gate is there."""
    note(directory, name)
    assert wait_for(lambda: os.path.exists(os.path.join(directory, gate)), SECONDS)
    return name


def pass_gate_as_second(directory, x):
    return pass_gate(directory, x) if x == 1 else note(directory, x)


def meet(directory, name, others):
    """Returns when all others have begun too."""
    note(directory, name)
    assert wait_for(lambda: set(others) <= set(os.listdir(directory)), SECONDS)
    return name


def kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def die_at(bad, x):
    if x == bad:
        kill_oneself()
    return 2 * x


state = []


def prepare(directory, value):
    state.append(value)
    note(directory, f"{os.getpid()}-{threading.get_ident()}")


def read_state(x):
    return list(state), x


def fail_to_prepare(directory):
    pass_gate(directory, f"{os.getpid()}-{threading.get_ident()}")
    raise OSError("no model here")


def sum_by_an_executor(numbers):
    with ac.Executor() as executor:
        return sum(executor.map(double, numbers))


class Unrebuildable:
    def __reduce__(self):
        return int, ("no number",)


class Lockbox:
    def __init__(self):
        self.lock = threading.Lock()


@pytest.fixture(scope="module", params=["processes", "portable", "threads"])
def way(request):
    with workers_start_by(request.param):
        yield request.param


@pytest.fixture
def make(way):
    """Makes executors; whatever becomes of them, they leave no thread that serves them and no worker process."""
    made = []

    def make(max_workers=2, **options):
        options.setdefault("engine", "threads" if way == "threads" else "processes")
        executor = ac.Executor(max_workers, **options)
        made.append(weakref.ref(executor))
        return executor

    yield make
    for each in made:
        executor = each()
        if executor is not None:
            executor.shutdown(cancel_futures=True)
    assert wait_for(lambda: not dispatching._serving)
    assert wait_for(lambda: not worker_processes())


@pytest.fixture
def moves(way):
    if way == "threads":
        pytest.skip("threads share memory")


def worker_processes():
    """Every descendant of ours but the zygote, from which the next workers will come."""
    found = psutil.Process().children(recursive=True)
    return [each for each in found if lives(each) and is_ours(each) and not is_zygote(each)]


def is_zygote(process):
    try:
        return process.ppid() == os.getpid() and "zygote" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def have_begun(directory, count):
    return wait_for(lambda: len(os.listdir(directory)) >= count, SECONDS)


def open_gate(directory, gate="open"):
    note(directory, gate)


def only_dispatcher():
    (found,) = dispatching._serving
    return found


# -- submit and map -----------------------------------------------------------------------------------------


def test_a_future_holds_the_result(make):
    with make() as executor:
        future = executor.submit(pow, 2, 10)
        assert isinstance(future, Future)
        assert future.result(SECONDS) == 1024
        assert future.done()
        assert not future.running()
        assert not future.cancel()


def test_every_name_is_free_for_keyword_arguments(make):
    with make() as executor:
        future = executor.submit(capture, 1, self=2, fn=3, args=4)
        assert future.result(SECONDS) == ((1,), {"self": 2, "fn": 3, "args": 4})


def test_each_call_may_be_of_another_function(make):
    captured = 5
    with make() as executor:
        futures = [
            executor.submit(lambda: captured),
            executor.submit(functools.partial(double, 4)),
            executor.submit("abc".upper),
            executor.submit(lambda x: double(x) + captured, 1),
            executor.submit(len, [1, 2]),
        ]
        assert [each.result(SECONDS) for each in futures] == [5, 8, "ABC", 7, 2]


def test_functions_and_classes_of_the_main_script_travel(tmp_path, way):
    engine = "threads" if way == "threads" else "processes"
    program = Program(
        f"""
        class Point:
            def __init__(self, x): self.x = x
        class Far(Exception): pass
        def move(point, by=1):
            if by > 9: raise Far(by)
            return Point(point.x + by)
        with ac.Executor(2, engine={engine!r}) as executor:
            point = executor.submit(move, Point(1), by=2).result()
            assert type(point) is Point and point.x == 3
            assert [each.x for each in executor.map(move, map(Point, range(3)), chunksize=2)] == [1, 2, 3]
            try:
                executor.submit(move, Point(1), 10).result()
            except Far as error:
                print("far", *error.args)
            def move(point, by=1):
                return point.x
            print(executor.submit(move, Point(7)).result())
        """,
        tmp_path,
        "portable" if way == "portable" else "forks",
    )
    assert program.end() == (0, "far 10\n7\n", "")


def test_map_keeps_the_order(make):
    with make() as executor:
        assert list(executor.map(pow, range(10), range(10))) == list(map(pow, range(10), range(10)))
        assert list(executor.map(pow, [2, 3, 4], itertools.count())) == [1, 3, 16]
        assert list(executor.map(double, [])) == []
        assert list(executor.map(double)) == []


@pytest.mark.parametrize("chunksize", [1, 3, 100])
def test_map_raises_where_the_loop_would(make, chunksize):
    with make() as executor:
        results = executor.map(functools.partial(fail_at, 4), range(9), chunksize=chunksize)
        assert list(itertools.islice(results, 4)) == [0, 2, 4, 6]
        with pytest.raises(KeyError):
            next(results)
        with pytest.raises(StopIteration):
            next(results)


def test_map_gives_up_waiting_at_its_timeout(make, tmp_path):
    with make(1) as executor:
        results = executor.map(functools.partial(pass_gate, tmp_path), [1, 2], timeout=0)
        with pytest.raises(TimeoutError):
            next(results)
        open_gate(tmp_path)


def test_map_refuses_sizes_that_mean_nothing(make):
    executor = make()
    with pytest.raises(ValueError, match="chunksize must be >= 1"):
        executor.map(double, [1], chunksize=0)
    with pytest.raises(ValueError, match="buffersize"):
        executor.map(double, [1], buffersize=0)
    with pytest.raises(TypeError, match="buffersize"):
        executor.map(double, [1], buffersize="2")
    with pytest.raises(TypeError, match="must be a function"):
        executor.map(3, [1])
    with pytest.raises(TypeError, match="must be a function"):
        executor.submit(3)


def test_map_reads_all_at_once_or_so_much_as_its_buffer_holds(make):
    with make() as executor:
        all_at_once = iter(range(20))
        executor.map(double, all_at_once)
        assert list(all_at_once) == []
        endless = itertools.count()
        results = executor.map(double, endless, buffersize=3)
        assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
        assert next(endless) == 3 + 5
        assert list(executor.map(double, range(7), buffersize=2, chunksize=2)) == [2 * x for x in range(7)]


def test_what_map_has_not_begun_is_cancelled_with_its_iterator(make, tmp_path):
    with make(1) as executor:
        results = executor.map(functools.partial(pass_gate_as_second, tmp_path), range(5))
        assert next(results) == 0
        assert have_begun(tmp_path, 2)
        results.close()
        open_gate(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["0", "1", "open"]


def test_an_item_of_a_chunk_that_kills_its_worker_costs_nothing_else(make, moves):
    with make() as executor:
        results = executor.map(functools.partial(die_at, 2), range(6), chunksize=6)
        assert [next(results), next(results)] == [0, 2]
        with pytest.raises(ac.WorkerLost):
            next(results)


def test_what_a_call_prints_is_there_before_its_result(tmp_path, way):
    program = Program(
        f"""
        def talk(x):
            print("call", x)
            return x

        with ac.Executor(2, engine={"threads" if way == "threads" else "processes"!r}) as executor:
            for x in range(3):
                print("result", executor.submit(talk, x).result(), flush=True)
        """,
        tmp_path,
        "portable" if way == "portable" else "forks",
    )
    assert program.end() == (0, "".join(f"call {x}\nresult {x}\n" for x in range(3)), "")


# -- states of a future -------------------------------------------------------------------------------------


def test_what_waits_can_be_cancelled_and_what_runs_cannot(make, tmp_path):
    with make(1) as executor:
        running = executor.submit(pass_gate, tmp_path, "running")
        assert have_begun(tmp_path, 1)
        waiting = executor.submit(note, tmp_path, "waiting")
        assert running.running()
        assert not running.cancel()
        assert not waiting.running()
        assert waiting.cancel()
        assert waiting.cancelled()
        open_gate(tmp_path)
        assert running.result(SECONDS) == "running"
        with pytest.raises(CancelledError):
            waiting.result(SECONDS)
        assert wait([waiting], SECONDS).done == {waiting}
    assert not (tmp_path / "waiting").exists()


def test_as_completed_yields_all_in_the_order_of_their_end(make, tmp_path):
    with make(2) as executor:
        late = executor.submit(pass_gate, tmp_path, "late")
        soon = executor.submit(double, 1)
        failed = executor.submit(fail_at, 1, 1)
        found = as_completed([late, soon, failed], timeout=SECONDS)
        assert {next(found), next(found)} == {soon, failed}
        open_gate(tmp_path)
        assert list(found) == [late]


def test_wait_returns_at_the_first_end_the_first_error_or_when_all_is_done(make, tmp_path):
    with make(2) as executor:
        late = executor.submit(pass_gate, tmp_path, "late")
        soon = executor.submit(double, 1)
        first = wait([late, soon], SECONDS, concurrent.futures.FIRST_COMPLETED)
        assert (first.done, first.not_done) == ({soon}, {late})
        failed = executor.submit(fail_at, 1, 1)
        first = wait([late, failed], SECONDS, concurrent.futures.FIRST_EXCEPTION)
        assert (first.done, first.not_done) == ({failed}, {late})
        assert wait([late, soon], 0).not_done == {late}
        open_gate(tmp_path)
        assert wait([late, soon, failed], SECONDS).not_done == set()


def test_callbacks_get_their_future_also_when_it_is_done_already(make):
    with make() as executor:
        told = []
        future = executor.submit(double, 1)
        arrived = threading.Event()
        future.add_done_callback(lambda done: (told.append(done), arrived.set()))
        assert arrived.wait(SECONDS)
        future.add_done_callback(told.append)
        assert told == [future, future]


@pytest.mark.parametrize("error", [ValueError("a callback"), SystemExit("a callback")])
def test_a_callback_that_fails_is_logged_and_harms_nobody(make, caplog, error, tmp_path):
    def raising(future):
        raise error

    with make(1) as executor:
        future = executor.submit(pass_gate, tmp_path, "first")
        future.add_done_callback(raising)
        open_gate(tmp_path)
        assert future.result(SECONDS) == "first"
        assert executor.submit(double, 2).result(SECONDS) == 4
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert caplog.records[0].name == "concurrent.futures"


def test_a_callback_may_submit_and_shut_down(make):
    executor = make(1)
    followers = []
    finished = threading.Event()

    def follow(future):
        followers.append(executor.submit(double, future.result()))
        executor.shutdown()  # from the thread that it would wait for
        finished.set()

    executor.submit(double, 1).add_done_callback(follow)
    assert finished.wait(SECONDS)
    assert followers[0].result(SECONDS) == 4


def test_several_threads_may_submit_at_once(make):
    with make() as executor:
        found = {}

        def submit(name):
            found[name] = [executor.submit(double, (name, x)) for x in range(25)]

        threads = [threading.Thread(target=submit, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        for name in range(4):
            assert [each.result(SECONDS) for each in found[name]] == [2 * (name, x) for x in range(25)]


def test_a_future_that_somebody_else_has_set_harms_nobody(make, tmp_path):
    with make(1) as executor:
        future = executor.submit(pass_gate, tmp_path, "first")
        assert have_begun(tmp_path, 1)
        future.set_result("mine")
        waiting = executor.submit(double, 1)
        waiting.set_running_or_notify_cancel()
        waiting.set_result("mine too")
        open_gate(tmp_path)
        assert executor.submit(double, 1).result(SECONDS) == 2
        assert (future.result(), waiting.result()) == ("mine", "mine too")


def test_results_and_arguments_are_not_kept(make, way):
    class Thing(list):
        pass

    with make(1) as executor:
        thing = Thing()
        result = executor.submit(copy_of, thing).result(SECONDS)
        gone = [weakref.ref(thing), weakref.ref(result)]
        del thing, result
        executor.submit(double, 1).result(SECONDS)
        assert wait_for(lambda: gc.collect() >= 0 and [each() for each in gone] == [None, None])


def copy_of(thing):
    return type(thing)(thing)


# -- errors -------------------------------------------------------------------------------------------------


def test_an_exception_keeps_its_type_and_its_cause(make, way):
    with make() as executor:
        error = executor.submit(fail_from_cause).exception(SECONDS)
    assert type(error) is LookupError
    assert error.args == ("far away",)
    assert type(error.__cause__) is ZeroDivisionError
    assert not hasattr(error, "__notes__")
    if way != "threads":
        assert "fail_from_cause" in str(error.__cause__.__cause__)


def test_system_exit_belongs_to_its_future(make):
    with make(1) as executor:
        assert executor.submit(leave).exception(SECONDS).code == 3
        assert executor.submit(double, 1).result(SECONDS) == 2


def test_what_cannot_travel_is_named_in_its_future(make, moves):
    lock = threading.Lock()

    def locked():
        return lock

    with make() as executor:
        function = executor.submit(locked)
        argument = executor.submit(double, {"handle": lock})
        keyword = executor.submit(capture, deep=Lockbox())
        result = executor.submit(Lockbox)
        broken = executor.submit(Unrebuildable)
        good = executor.submit(double, 1)
        for future, what, path in [
            (function, "function", "['lock']"),
            (argument, "item", "arguments[0]['handle']"),
            (keyword, "item", "arguments['deep'].lock"),
            (result, "result", "result.lock"),
            (broken, "result", "result"),
        ]:
            error = future.exception(SECONDS)
            assert isinstance(error, ac.Unpicklable)
            assert error.what == what
            assert error.path.endswith(path)
        assert "`capture`" in str(keyword.exception())
        assert good.result(SECONDS) == 2


def test_one_that_cannot_travel_costs_no_other_of_its_chunk(make, moves):
    items = [1, threading.Lock(), 3, Lockbox(), 5]
    with make() as executor:
        futures = executor._submit(double, [(item,) for item in items], {})
        assert [future.exception(SECONDS) is None for future in futures] == [True, False, True, False, True]
        futures = executor._submit(odd_results, [(x,) for x in range(4)], {})
        assert [future.exception(SECONDS) is None for future in futures] == [True, False, True, False]
        assert [futures[0].result(), futures[2].result()] == [0, 2]


def odd_results(x):
    return Unrebuildable() if x % 2 else x


def test_a_killed_worker_costs_only_the_call_that_it_ran(make, moves):
    with make() as executor:
        before = [executor.submit(double, x) for x in range(10)]
        killed = executor.submit(kill_oneself)
        after = [executor.submit(double, x) for x in range(10)]
        error = killed.exception(SECONDS)
        assert isinstance(error, ac.WorkerLost)
        assert error.signal == signal.SIGKILL
        assert "kill_oneself" in str(error)
        assert [each.result(SECONDS) for each in before + after] == 2 * [2 * x for x in range(10)]


def test_a_worker_that_dies_idle_is_replaced(make, moves):
    with make(1) as executor:
        first = executor.submit(os.getpid).result(SECONDS)
        strike_dead([first])
        second = executor.submit(os.getpid).result(SECONDS)
        assert second != first


def test_when_no_worker_can_be_had_the_executor_is_broken(make, moves, tmp_path, monkeypatch):
    module = tmp_path / "vanishing.py"
    module.write_text("def initialize(): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import vanishing

    module.unlink()
    with make(initializer=vanishing.initialize) as executor:
        futures = [executor.submit(double, 0)]
        with contextlib.suppress(ac.ExecutorBroken):  # as soon as it is known
            for x in range(1, 5):
                futures.append(executor.submit(double, x))
        for future in futures:
            error = future.exception(SECONDS)
            assert isinstance(error, ac.ExecutorBroken)
            assert isinstance(error.__cause__, ac.StartError)
        with pytest.raises(ac.ExecutorBroken, match="no worker can be had"):
            executor.submit(double, 1)


def test_threads_that_cannot_be_started_break_the_executor(monkeypatch):
    starting = threading.Thread.start

    def refuse(thread):
        if thread.name.startswith("allcores-thread"):
            raise RuntimeError("can't start new thread")
        starting(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with ac.Executor(2, engine="threads") as executor:
        error = executor.submit(double, 1).exception(SECONDS)
    assert isinstance(error, ac.ExecutorBroken)
    assert "threads cannot be started: can't start new thread" in str(error.__cause__)


# -- the initializer ----------------------------------------------------------------------------------------


def test_each_worker_is_initialized_once(make, tmp_path, way):
    notes, meeting = tmp_path / "notes", tmp_path / "meeting"
    notes.mkdir()
    meeting.mkdir()
    state.clear()
    with make(2, initializer=prepare, initargs=(notes, "ready")) as executor:
        assert sorted(executor.map(functools.partial(meet, meeting, others="ab"), "ab")) == ["a", "b"]
        results = list(executor.map(read_state, range(20)))
        expected = ["ready"] if way != "threads" else ["ready", "ready"]
        assert results == [(expected, x) for x in range(20)]
    assert len(os.listdir(notes)) == 2
    assert all(os.path.getsize(each) == 1 for each in notes.iterdir())


def test_a_failing_initializer_breaks_the_executor_and_says_why(make, tmp_path):
    with make(initializer=fail_to_prepare, initargs=(tmp_path,)) as executor:
        futures = [executor.submit(double, x) for x in range(10)]
        open_gate(tmp_path)
        for future in futures:
            error = future.exception(SECONDS)
            assert isinstance(error, concurrent.futures.BrokenExecutor)
            assert isinstance(error, ac.ExecutorBroken)
            assert "initializer raised OSError: no model here" in str(error)
            assert type(error.__cause__) is OSError
        with pytest.raises(ac.ExecutorBroken, match="no model here"):
            executor.submit(double, 1)


def test_an_initializer_that_cannot_travel_is_refused_at_the_first_call(make, moves):
    executor = make(initializer=prepare, initargs=(threading.Lock(), 1))
    with pytest.raises(ac.Unpicklable, match=r"a call of `prepare`.*`arguments.0.` is a _thread.lock"):
        executor.submit(double, 1)
    lock = threading.Lock()
    executor = make(initializer=lambda: lock)
    with pytest.raises(ac.Unpicklable, match="captured variable 'lock'"):
        executor.submit(double, 1)


def test_arguments_of_an_executor_that_mean_nothing_are_refused():
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="max_workers must be greater than 0"):
            ac.Executor(wrong)
    with pytest.raises(TypeError, match="max_workers"):
        ac.Executor("2")
    with pytest.raises(ValueError, match=r"engine='nonsense'.*threads"):
        ac.Executor(engine="nonsense")
    with pytest.raises(TypeError, match="initializer must be a function"):
        ac.Executor(initializer=3)


# -- workers ------------------------------------------------------------------------------------------------


def test_calls_run_at_the_same_time(make, tmp_path):
    with make(3) as executor:
        assert list(executor.map(functools.partial(meet, tmp_path, others="abc"), "abc")) == list("abc")


class SlowToPickle:
    """A name that cannot travel before an event has been set."""

    def __init__(self, name):
        self.name = name
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def __reduce__(self):
        self.begun.set()
        assert self.may_go_on.wait(SECONDS)
        return str, (self.name,)


def test_calls_submitted_while_one_is_being_packed_have_a_worker_each(make, moves, tmp_path):
    slow = SlowToPickle("a")
    with make(3) as executor:
        futures = [executor.submit(meet, tmp_path, slow, "abc")]
        assert slow.begun.wait(SECONDS)
        futures += [executor.submit(meet, tmp_path, name, "abc") for name in "bc"]
        slow.may_go_on.set()
        assert [each.result(2 * SECONDS) for each in futures] == list("abc")


def test_who_submits_does_not_wait_for_a_thread_that_falls_asleep_just_then(make, tmp_path, monkeypatch):
    with make(2) as executor:
        blocked = executor.submit(pass_gate, tmp_path, "blocked")
        assert wait_for(lambda: os.path.exists(tmp_path / "blocked"))
        dispatcher = only_dispatcher()
        pump, submitters = dispatcher._pump, []
        between, looked, asleep = threading.Event(), threading.Event(), threading.Event()
        exclusively, step, finished = pump.exclusively, pump.step, dispatcher._finished

        def look_long_before_taking_it():
            lock = exclusively()
            if threading.current_thread() in submitters:
                looked.set()
                assert asleep.wait(SECONDS)
            return lock

        def fall_asleep(timeout):
            if looked.is_set():
                asleep.set()
            step(timeout)

        def come_between():
            over = finished()
            if submitters and not between.is_set():
                between.set()
                assert looked.wait(SECONDS)
            return over

        monkeypatch.setattr(pump, "exclusively", look_long_before_taking_it)
        monkeypatch.setattr(pump, "step", fall_asleep)
        monkeypatch.setattr(dispatcher, "_finished", come_between)
        futures = []
        submitter = threading.Thread(target=lambda: futures.append(executor.submit(double, 3)))
        submitters.append(submitter)
        dispatcher._ring()
        assert between.wait(SECONDS)
        submitter.start()
        submitter.join(SECONDS)
        in_time = [each.result(SECONDS) for each in futures]
        open_gate(tmp_path)
        assert in_time == [6]
        assert blocked.result(SECONDS) == "blocked"


def test_no_call_waits_behind_another_while_a_worker_is_idle(make, tmp_path):
    with make(2) as executor:
        list(executor.map(double, range(50)))  # however cheap calls have been so far
        blocked = executor.submit(pass_gate, tmp_path, "blocked")
        others = [executor.submit(double, x) for x in range(20)]
        assert [each.result(SECONDS) for each in others] == [2 * x for x in range(20)]
        assert not blocked.done()
        open_gate(tmp_path)
        assert blocked.result(SECONDS) == "blocked"


def test_an_executor_serves_within_a_worker_too(make):
    with make(1) as executor:
        assert executor.submit(sum_by_an_executor, range(5)).result(SECONDS) == 20


def test_workers_start_as_they_are_needed(make, moves):
    with make(8) as executor:
        pids = {executor.submit(os.getpid).result(SECONDS) for _ in range(5)}
        assert len(pids) == 1
        assert only_dispatcher()._workers == 1


def test_the_modules_of_the_first_function_are_imported_once_for_all_workers(
    make, tmp_path, monkeypatch, way
):
    imports, meeting = tmp_path / "imports", tmp_path / "meeting"
    imports.mkdir()
    meeting.mkdir()
    (tmp_path / "costly.py").write_text(
        "import os, tempfile\n"
        f"os.close(tempfile.mkstemp(dir={str(imports)!r})[0])\n"
        f"from {__name__} import meet\n"
        "def meet_again(*args): return meet(*args)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "costly", raising=False)
    import costly

    with make(3) as executor:
        futures = [executor.submit(costly.meet_again, meeting, name, "abc") for name in "abc"]
        assert [each.result(SECONDS) for each in futures] == ["a", "b", "c"]
    assert len(os.listdir(imports)) == 1 + {"processes": 1, "portable": 3, "threads": 0}[way]


def test_a_first_function_that_workers_cannot_import_harms_no_other(make, moves, tmp_path, monkeypatch):
    module = tmp_path / "leaving.py"
    module.write_text("def f(): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import leaving

    module.unlink()
    with make() as executor:
        assert isinstance(executor.submit(leaving.f).exception(SECONDS), ac.Unpicklable)
        assert executor.submit(double, 1).result(SECONDS) == 2


def test_a_second_executor_sees_edited_modules(make, moves, tmp_path, monkeypatch):
    module = tmp_path / "edited_twice.py"
    module.write_text("def version(): return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    import edited_twice as edited

    with make(1) as executor:
        assert executor.submit(edited.version).result(SECONDS) == 1
    module.write_text("def version(): return 22\n")
    importlib.reload(edited)
    with make(1) as executor:
        assert executor.submit(edited.version).result(SECONDS) == 22


def test_an_idle_executor_does_not_wake(make, monkeypatch):
    waits = []
    patient = threading.Event()
    with make(1) as executor:
        executor.submit(double, 1).result(SECONDS)
        engine = only_dispatcher()._pump.engine
        waiting = type(engine).wait

        def wait_and_tell(self, timeout):
            waits.append(timeout)
            patient.set()
            return waiting(self, timeout)

        monkeypatch.setattr(type(engine), "wait", wait_and_tell)
        executor.submit(double, 1).result(SECONDS)
        assert patient.wait(SECONDS)
        assert all(timeout > 24 * 3600 for timeout in waits)
        assert wait_for(lambda: only_dispatcher()._room)
        waits.clear()
        time.sleep(0.7)  # nothing is waited for: this is the time in which nothing must happen
        assert waits == []


# -- the end ------------------------------------------------------------------------------------------------


def test_nothing_can_be_submitted_after_a_shutdown(make):
    executor = make()
    future = executor.submit(double, 1)
    executor.shutdown()
    executor.shutdown(wait=False, cancel_futures=True)
    assert future.result(0) == 2
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(double, 1)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.map(double, [1])


def test_an_executor_without_calls_starts_nothing(make):
    threads, processes = set(threading.enumerate()), set(worker_processes())
    executor = make()
    assert set(threading.enumerate()) <= threads, "others may just be ending"
    assert set(worker_processes()) <= processes
    executor.shutdown()


def test_a_shutdown_that_does_not_wait_lets_all_calls_end(make, tmp_path):
    executor = make(1)
    futures = [executor.submit(pass_gate, tmp_path, "a"), *(executor.submit(double, x) for x in range(5))]
    executor.shutdown(wait=False)
    assert not futures[0].done()
    open_gate(tmp_path)
    assert [each.result(SECONDS) for each in futures] == ["a", 0, 2, 4, 6, 8]


def test_a_shutdown_may_cancel_what_waits(make, tmp_path):
    executor = make(1)
    running = executor.submit(pass_gate, tmp_path, "running")
    assert have_begun(tmp_path, 1)
    waiting = [executor.submit(double, x) for x in range(5)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(each.cancelled() for each in waiting)
    assert wait(waiting, SECONDS).not_done == set()
    open_gate(tmp_path)
    executor.shutdown()
    assert running.result(0) == "running"


def test_leaving_the_block_waits_for_everything(make):
    with make() as executor:
        futures = [executor.submit(double, x) for x in range(20)]
    assert all(each.done() for each in futures)
    assert not dispatching._serving


def test_ctrl_c_in_the_block_does_not_wait_for_worker_processes(make, moves, tmp_path):
    with pytest.raises(KeyboardInterrupt), make(1) as executor:
        running = executor.submit(pass_gate, tmp_path, "running", gate="never")
        waiting = executor.submit(double, 1)
        assert have_begun(tmp_path, 1)
        raise KeyboardInterrupt
    assert isinstance(running.exception(0), ac.ExecutorBroken)
    assert waiting.cancelled()


def test_an_executor_that_nobody_holds_ends_its_calls_and_its_workers(make, tmp_path):
    executor = make(1)
    futures = [executor.submit(pass_gate, tmp_path, "a"), executor.submit(double, 1)]
    assert have_begun(tmp_path, 1)
    gone = weakref.ref(executor)
    del executor
    gc.collect()
    assert gone() is None
    open_gate(tmp_path)
    assert [each.result(SECONDS) for each in futures] == ["a", 2]
    assert wait_for(lambda: not dispatching._serving and not worker_processes())


def test_an_idle_executor_that_nobody_holds_ends_its_workers(make):
    make(1).submit(double, 1).result(SECONDS)
    gc.collect()
    assert wait_for(lambda: not dispatching._serving and not worker_processes())


def test_many_executors_leave_memory_and_descriptors_where_they_were(make, tmp_path):
    def use():
        with make() as executor:
            assert list(executor.map(double, range(10))) == [2 * x for x in range(10)]

    use()
    assert wait_for(lambda: not worker_processes())
    before = traces(tmp_path)
    for _ in range(5):
        use()
    assert wait_for(lambda: traces(tmp_path).processes <= before.processes)
    assert wait_for(lambda: traces(tmp_path).descriptors <= before.descriptors)
    assert traces(tmp_path).memory <= before.memory
    assert wait_for(lambda: not [each for each in threading.enumerate() if each.name.startswith("allcores")])


def test_a_fork_of_the_caller_is_told_that_the_executor_is_not_its_own(make):
    with make(1) as executor:
        assert executor.submit(double, 1).result(SECONDS) == 2
        pid = os.fork()
        if not pid:
            status = 1
            try:
                executor.submit(double, 1)
            except RuntimeError as error:
                executor.shutdown()
                status = 0 if "fork" in str(error) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert executor.submit(double, 2).result(SECONDS) == 4


EXITS = {
    "at the end of the script": "",
    "by sys.exit": "sys.exit(0)",
    "with an executor that nobody holds": "del executor",
    "shut down without waiting": "executor.shutdown(wait=False)",
}


@pytest.mark.parametrize("ending", EXITS.values(), ids=EXITS)
def test_leaving_the_interpreter_completes_what_was_submitted(tmp_path, way, ending):
    program = Program(
        f"""
        executor = ac.Executor(2, engine={"threads" if way == "threads" else "processes"!r})
        futures = [executor.submit(busy, x, 0.05) for x in range(6)]
        futures[-1].add_done_callback(lambda future: print("last", future.result()))
        wait_for_items(1)
        {ending}
        """,
        tmp_path,
        "portable" if way == "portable" else "forks",
    )
    program.wait_until_busy(1)
    assert program.end() == (0, "last 5\n", "")
    assert len(os.listdir(program.busy)) == 6
    program.assert_nothing_stays()


def test_nothing_can_be_submitted_while_the_interpreter_ends(tmp_path, way):
    program = Program(
        f"""
        from allcores.runtime import dispatcher

        def submit_more(future):
            while not dispatcher._over:
                time.sleep(0.001)
            try:
                executor.submit(quick, 1)
            except RuntimeError as error:
                print(error)

        executor = ac.Executor(1, engine={"threads" if way == "threads" else "processes"!r})
        executor.submit(quick, 1).add_done_callback(submit_more)
        last = executor.submit(quick, 2)
        last.add_done_callback(lambda future: print(future.result()))
        """,
        tmp_path,
        "portable" if way == "portable" else "forks",
    )
    assert program.end() == (0, "cannot schedule new futures after interpreter shutdown\n4\n", "")
    program.assert_nothing_stays()


def test_a_killed_caller_leaves_no_worker(tmp_path, way, moves):
    program = Program(
        """
        executor = ac.Executor(2)
        futures = [executor.submit(busy, x) for x in range(4)]
        executor.shutdown()
        """,
        tmp_path,
        "portable" if way == "portable" else "forks",
    )
    program.wait_until_busy(2)
    assert children(program.process.pid)
    strike(program.process.pid)
    program.assert_nothing_stays()
    program.end()


def read(path):
    with open(path) as file:
        return file.read()


def eventually(says):
    give_up = time.monotonic() + 20
    while not says():
        assert time.monotonic() < give_up
    return True


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_its_thread_waits_less_for_the_gil_while_calls_run_and_only_then(tmp_path):
    before = sys.getswitchinterval()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with ac.Executor(max_workers=1) as executor:
        future = executor.submit(read, gate)
        assert eventually(lambda: sys.getswitchinterval() < before)
        gate.write_text("open")
        assert future.result() == "open"
        assert eventually(lambda: sys.getswitchinterval() == before)


def test_a_coroutine_function_is_refused_by_submit():
    async def fetch(x):
        """Nobody would await it."""

    with ac.Executor(1) as executor, pytest.raises(TypeError, match=r"await allcores\.amap"):
        executor.submit(fetch, 1)
