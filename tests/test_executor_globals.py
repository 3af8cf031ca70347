"""What initializers, calls and the caller change in globals: who sees what, in the processes of an executor."""

import textwrap

import pytest

from allcores.tasks import pickling
from allcores.tasks.mentions import Everything
from allcores.tasks.task import Task
from allcores.tasks.told import MOST_BYTES, Lasting
from faults.witness import Program
from starting import STARTS


@pytest.fixture(params=STARTS)
def run(request, tmp_path):
    """Runs a program, whose every check is an assertion in it."""

    def run(text):
        program = Program(textwrap.dedent(text), tmp_path, request.param)
        assert program.end() == (0, "", "")

    return run


def test_all_functions_see_what_the_initializer_has_set(run):
    run(
        """
        model, table, here = None, {}, 7
        class Settings: depth = 0
        def init(value):
            global model, late
            model = late = value
            table["a"] = value
            Settings.depth = value
        def add(x): return model + x
        def times(x): return model * x
        def look(): return table["a"], Settings.depth, late, here
        def through(x): return times(x)
        class Account:
            def total(self, x): return model + x
            @staticmethod
            def plain(x): return model * x
        with ac.Executor(1, initializer=init, initargs=(5,)) as executor:
            def call(*args): return executor.submit(*args).result()
            assert call(add, 1) == 6
            assert call(times, 2) == 10
            assert call(look) == (5, 5, 5, 7)
            assert call(through, 2) == 10
            assert call(Account().total, 1) == 6
            assert call(Account.plain, 2) == 10
            assert call(lambda: (model, table, Settings.depth)) == (5, {"a": 5}, 5)
            assert list(executor.map(times, range(3), chunksize=3)) == [0, 5, 10]
        """
    )


def test_arguments_of_the_initializer_may_need_all_of_the_script_when_they_are_made(run):
    run(
        """
        import threading
        class Lock:
            def __init__(self): self.inner = threading.Lock()
            def __reduce__(self): return Lock, ()
        def init(lock):
            global own
            own = lock
        def look(): return type(own) is Lock and not own.inner.locked()
        with ac.Executor(1, initializer=init, initargs=(Lock(),)) as executor:
            assert executor.submit(look).result()
        """
    )


def test_what_one_call_sets_the_next_one_sees_in_the_same_worker(run):
    run(
        """
        count, seen = 0, []
        def step():
            global count
            count += 1
            seen.append(count)
            return count
        def look(): return count, seen
        with ac.Executor(1) as executor:
            assert [executor.submit(step).result() for _ in range(3)] == [1, 2, 3]
            assert executor.submit(look).result() == (3, [1, 2, 3])
        """
    )


def test_what_the_caller_has_changed_since_is_seen(run):
    run(
        """
        import types
        numbers, kept = {"k": 1}, {}
        limit = 1
        class Settings:
            depth, kept = 1, None
        place = types.SimpleNamespace(name="a")
        def look():
            return numbers["k"], limit, Settings.depth, place.name, inner()
        def inner(): return 1
        def keep():
            kept["here"] = Settings.kept = True
        def is_kept(): return kept, Settings.kept
        with ac.Executor(1) as executor:
            def call(*args): return executor.submit(*args).result()
            call(keep)
            assert call(look) == (1, 1, 1, "a", 1)
            numbers["k"] = 2
            assert call(look) == (2, 1, 1, "a", 1)
            numbers = {"k": 3}
            limit = 4
            assert call(look) == (3, 4, 1, "a", 1)
            Settings.depth = 5
            place.name = "b"
            assert call(look) == (3, 4, 5, "b", 1)
            def inner(): return 6
            assert call(look) == (3, 4, 5, "b", 6)
            assert call(lambda: (numbers, inner())) == ({"k": 3}, 6)
            assert call(is_kept) == ({"here": True}, True)  # nobody has changed these here
        """
    )


def test_every_worker_is_told(run):
    run(
        """
        import os, tempfile, time
        numbers = {"k": 0}
        class Point:
            def __init__(self, x): self.x = x
        def look(place, others):
            open(os.path.join(place, str(os.getpid())), "x").close()
            while len(os.listdir(place)) < others:
                time.sleep(0.001)
            return numbers["k"], Point(1).x
        with ac.Executor(3) as executor:
            for workers in (1, 3, 2, 3):
                numbers["k"] += 1
                with tempfile.TemporaryDirectory() as place:
                    calls = [executor.submit(look, place, workers) for _ in range(workers)]
                    assert [each.result() for each in calls] == [(numbers["k"], 1)] * workers
        """
    )


def test_what_an_initializer_sets_in_a_module_stays(run, tmp_path):
    (tmp_path / "settings_of_workers.py").write_text("model = None\ndef add(x): return model + x\n")
    run(
        """
        import sys
        sys.path.insert(0, %r)
        import settings_of_workers as settings
        def init(value): settings.model = value
        def times(x): return settings.model * x
        with ac.Executor(1, initializer=init, initargs=(5,)) as executor:
            assert executor.submit(times, 2).result() == 10
            assert executor.submit(settings.add, 1).result() == 6
            assert executor.submit(lambda: settings.model).result() == 5
        """
        % str(tmp_path)
    )


@pytest.mark.parametrize("first", ["bad", "good"])
def test_a_function_that_cannot_be_loaded_fails_its_own_call_alone(run, first):
    run(
        """
        import os
        limit = 1
        class Bad:
            def __reduce__(self): return boom, (os.getpid(),)
        def boom(pid):
            if os.getpid() != pid: raise ValueError("not here")
        bad = Bad()
        def needs_bad(): return bad, limit
        def good(x): return x + limit
        with ac.Executor(2) as executor:
            calls = {"bad": lambda: executor.submit(needs_bad), "good": lambda: executor.submit(good, 1)}
            assert FIRST == "bad" or calls["good"]().result() == 2
            error = calls["bad"]().exception()
            assert "ValueError: not here" in str(error) or str(error.__cause__) == "not here", repr(error)
            for _ in range(5):
                assert calls["good"]().result() == 2
            assert type(calls["bad"]().exception()) is type(error)
        """.replace("FIRST", repr(first))
    )


def needed(told, function):
    told.define(told.dump_item((function, (), {}), 0)[1], 0)


def test_values_that_change_for_ever_do_not_pile_up(main):
    module = main("numbers = [0]\nclass A: pass\ndef f(): return numbers, A")
    told = Lasting(None)
    told.dump_task(Task(()), None)
    for n in range(20):
        module.numbers = [n]
        needed(told, module.f)
    assert len([each for each in told.log if each]) == 2
    needed(told, module.f)
    assert len(told.log) == 20
    module.numbers = None
    for each in filter(None, told.log):
        pickling.load_definitions(each)
    assert module.numbers == [19]


def test_large_values_are_told_again_only_when_they_are_others(main):
    module = main("numbers = [bytes(%d)]\ndef f(): return numbers" % (2 * MOST_BYTES))
    told = Lasting(None)
    told.dump_task(Task(()), None)
    needed(told, module.f)
    module.numbers.append(1)
    needed(told, module.f)
    assert len(told.log) == 1
    module.numbers = list(module.numbers)
    needed(told, module.f)
    assert len(told.log) == 2


def test_what_another_thread_changes_meanwhile_is_taken_as_it_was(main):
    module = main(
        "class Moving:\n  still = True\n  def __reduce__(self):\n"
        "    if not self.still: raise RuntimeError('changed size during iteration')\n    return int, (1,)\n"
        "moving = Moving()\ndef f(): return moving"
    )
    told = Lasting(None)
    told.dump_task(Task(()), None)
    needed(told, module.f)
    module.moving.still = False
    needed(told, module.f)
    assert len(told.log) == 1


def test_a_call_names_what_workers_know(main):
    module = main("class A: pass\ndef f(): return A\ndef g(): return f()")
    data, names = pickling.dump_item((lambda: 0, (module.A(), module.g)), 0, None, Everything())
    assert set(names) == {"A", "g"}
    assert b"cloudpickle" not in data
