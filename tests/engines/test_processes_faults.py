"""Whoever is killed, and however: the loss is told once, nothing else is lost, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
from pathlib import Path

import psutil
import pytest
from driver import Job, job, ready, run, vanished, wait_until

from allcores.core.events import ItemsDone, WorkerLost
from allcores.engines.processes import shutdown
from allcores.errors import StartError
from allcores.processes import root, start
from allcores.tasks.task import Task

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks are for Linux")


@pytest.fixture(autouse=True)
def nobody_is_left(start_method):
    """All that was started has ended with the test."""
    yield
    shutdown()
    assert psutil.Process().children(recursive=True) == []


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def tree():
    """The parent of every descendant; one may vanish while we look."""
    parents = {}
    for each in psutil.Process().children(recursive=True):
        try:
            parents[each.pid] = each.ppid()
        except psutil.NoSuchProcess:
            pass
    return parents


def workers():
    """Those that may run items: grandchildren of a zygote, or our own children."""
    parents = tree()
    if start.portable():
        return list(parents)
    return [pid for pid, parent in parents.items() if parents.get(parent) in parents]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
def test_a_signal_costs_the_item_that_ran(number):
    def die(x):
        if x == 3:
            os.kill(os.getpid(), number)
        return x

    results = run(die, range(8), chunk=4)
    lost = results.pop(3)
    assert results == [0, 1, 2, 4, 5, 6, 7]
    assert isinstance(lost, WorkerLost)
    assert (lost.running, lost.signal, lost.exitcode) == (3, number, None)


def test_an_exit_costs_the_item_that_ran():
    results = run(lambda x: os._exit(3) if x == 1 else x, range(4), chunk=2)
    lost = results.pop(1)
    assert results == [0, 2, 3]
    assert (lost.running, lost.signal, lost.exitcode) == (1, None, 3)


class KillsWhenOpened:
    def __reduce__(self):
        return _kill_me, (os.getpid(),)


def _kill_me(home):
    if os.getpid() != home:
        os.kill(os.getpid(), signal.SIGKILL)


def test_an_item_that_kills_while_it_is_unpickled_is_named():
    results = run(lambda x: x, [0, KillsWhenOpened(), 2], workers=1, chunk=3)
    assert results[0] == 0
    assert results[1].running == 1
    assert results[2] == 2


def test_what_was_finished_more_than_two_milliseconds_ago_is_kept(tmp_path):
    log = tmp_path / "log"

    def record(x):
        with open(log, "a") as file:
            file.write(f"{x}\n")
        time.sleep(0.003)
        if x == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    results = run(record, range(10), workers=1, chunk=10)
    assert results[7].running == 7
    assert sorted(int(line) for line in log.read_text().split()) == list(range(10))


def test_an_idle_worker_that_is_killed_blames_nobody():
    with job(lambda x: x, [1], workers=1) as made:
        made.finish()
        victim = max(tree())
        os.kill(victim, signal.SIGKILL)
        made.until(lambda made: made.lost)
        assert made.lost[0].running is None
        assert made.lost[0].signal == signal.SIGKILL


def test_a_grandchild_that_holds_the_channel_hides_no_death(tmp_path):
    note = tmp_path / "pid"

    def die(_):
        channel = next(
            int(name)
            for name in os.listdir("/proc/self/fd")
            if int(name) > 2 and _is_socket(f"/proc/self/fd/{name}")
        )
        os.set_inheritable(channel, True)
        sleeper = subprocess.Popen(["sleep", "1000"], close_fds=False)
        note.write_text(str(sleeper.pid))
        os.kill(os.getpid(), signal.SIGKILL)

    def _is_socket(path):
        try:
            return os.readlink(path).startswith("socket:")
        except OSError:
            return False

    try:
        began = time.monotonic()
        lost = run(die, [0], workers=1)[0]
        assert lost.signal == signal.SIGKILL
        assert time.monotonic() - began < 5
    finally:
        sleeper = int(note.read_text())
        os.kill(sleeper, signal.SIGKILL)
        wait_until(lambda: vanished(sleeper))
        shutdown()
        wait_until(lambda: not psutil.Process().children(recursive=True))


def test_half_a_frame_is_dropped():
    def break_off(x):
        if x == 1:
            channel = max(
                int(name)
                for name in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{name}")
                and os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
            )
            os.write(channel, b"\xac\x0d\x00\x00\x00\x00\x00\x00\xff\x00\x00\x00\x00\x00\x00\x00half")
            os._exit(9)
        return x

    results = run(break_off, range(3), workers=1, chunk=3)
    assert results[0] == 0
    assert results[2] == 2
    assert (results[1].running, results[1].exitcode) == (1, 9)


def test_rubbish_in_the_channel_ends_the_worker():
    def break_off(x):
        for name in os.listdir("/proc/self/fd"):
            path = f"/proc/self/fd/{name}"
            if int(name) > 2 and os.path.exists(path) and os.readlink(path).startswith("socket:"):
                os.write(int(name), b"rubbish, and more than the head of a frame")
        time.sleep(1000)

    lost = run(break_off, [0], workers=1)[0]
    assert lost.running == 0
    assert "no message" in lost.cause or lost.signal == signal.SIGKILL


def test_killing_a_worker_is_reported_and_others_go_on():
    with job(lambda x: time.sleep(1000 if x == 0 else 0.01) or x, range(10), timed=True) as made:
        made.until(lambda made: made.engine.look(0)[0] == 0 and made.engine.look(0)[1] > 0)
        assert abs(made.engine.look(0)[1] - time.monotonic()) < 10
        made.engine.kill(0)
        results = made.finish()
        assert (results[0].running, results[0].signal) == (0, signal.SIGKILL)
        assert results[1:] == list(range(1, 10))


def test_a_worker_can_be_killed_before_it_is_born():
    made = Job(lambda x: x, [1, 2], workers=1)
    made.payload = made.engine.pack(0, made.items)
    first = made.boot()
    made.feed(first)
    made.engine.kill(first)
    assert made.finish() == [1, 2]
    assert len(made.lost) == 1
    assert made.lost[0].running is None
    made.close()


@linux
def test_when_the_template_is_killed_its_workers_are_lost_and_others_come(start_method):
    if start_method == "portable":
        pytest.skip("there is none")
    with job(lambda x: time.sleep(1000 if x < 2 else 0) or x, range(6)) as made:
        made.until(ready)
        made.until(lambda made: made.engine.look(0)[0] == 0 and made.engine.look(1)[0] == 1)
        zygote = start._kept.zygote.pid
        template = next(pid for pid, parent in tree().items() if parent == zygote)
        os.kill(template, signal.SIGKILL)
        results = made.finish()
        assert results[2:] == [2, 3, 4, 5]
        for lost in results[:2]:
            assert (lost.signal, lost.exitcode) == (None, None)
            assert "the process that started it was killed" in lost.cause


@linux
def test_when_the_zygote_is_killed_everything_is_lost_and_comes_again(start_method):
    if start_method == "portable":
        pytest.skip("there is none")
    with job(lambda x: time.sleep(1000 if x < 2 else 0) or x, range(6)) as made:
        made.until(ready)
        made.until(lambda made: made.engine.look(0)[0] == 0 and made.engine.look(1)[0] == 1)
        os.kill(start._kept.zygote.pid, signal.SIGKILL)
        results = made.finish()
        assert results[2:] == [2, 3, 4, 5]
        assert {(lost.signal, lost.exitcode) for lost in results[:2]} == {(None, None)}


@linux
def test_a_zygote_that_is_killed_while_idle_is_replaced(start_method):
    if start_method == "portable":
        pytest.skip("there is none")
    assert run(lambda x: x, [1], reuse=True) == [1]
    victim = start._kept.zygote.pid
    os.kill(victim, signal.SIGKILL)
    assert run(lambda x: x + 1, [1], reuse=True) == [2]
    assert run(lambda x: x, [1], reuse=True) == [1]


def test_an_idle_crew_whose_workers_were_killed_is_made_whole():
    function = os.getpid

    def pid(_):
        return function()

    first = run(pid, [0], workers=1, reuse=True)[0]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: vanished(first))
    second = run(pid, [0], workers=1, reuse=True)[0]
    assert isinstance(second, int)
    assert second != first


def test_random_kills_lose_only_what_ran(start_method):
    import random

    random.seed(7)
    for _ in range(3):
        with job(lambda x: time.sleep(0.001) or x, range(100), workers=2, chunk=10) as made:
            stop = threading.Event()

            def killer(made=made, stop=stop):
                while not stop.wait(0.02 if start_method == "forks" else 0.4):
                    victims = workers()
                    if victims:
                        try:
                            os.kill(random.choice(victims), signal.SIGKILL)
                        except ProcessLookupError:
                            pass

            thread = threading.Thread(target=killer)
            thread.start()
            try:
                results = made.finish()
            finally:
                stop.set()
                thread.join()
        for index, value in enumerate(results):
            assert value == index or value.running == index


def test_no_descriptor_and_no_process_is_left():
    run(lambda x: x, range(4))
    shutdown()
    before = descriptors()
    for _ in range(3):
        run(lambda x: os._exit(1) if x == 1 else x, range(4))
        run(lambda x: x, range(4), reuse=True)
    shutdown()
    assert descriptors() == before


def script(text, **options):
    source = str(Path(start.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, str(Path(__file__).parent)])}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


BUSY = """
    import os, sys, time
    from driver import Job, ready
    made = Job(lambda x: time.sleep(1000), range(4), workers=4).start()
    made.until(ready)
    import psutil
    print(*[each.pid for each in psutil.Process().children(recursive=True)], flush=True)
"""


def family(caller):
    return [int(pid) for pid in caller.stdout.readline().split()]


@pytest.mark.parametrize(
    "ending", ["time.sleep(1000)", "sys.exit(3)", "raise ValueError('oops')", "made.close()", "os._exit(0)"]
)
def test_however_the_caller_ends_nobody_is_left(ending):
    caller = script(BUSY + "    " + ending)
    pids = family(caller)
    assert len(pids) >= 4
    if ending.startswith("time"):
        caller.kill()
    _, errors = caller.communicate()
    took = wait_until(lambda: all(vanished(pid) for pid in pids))
    assert took < 1.0
    assert ("ValueError: oops" in errors) if "oops" in ending else errors == ""


def test_a_caller_that_forks_and_is_killed_leaves_nobody():
    caller = script(
        BUSY + "    if os.fork() == 0:\n        time.sleep(2)\n        os._exit(0)\n    time.sleep(1000)"
    )
    pids = family(caller)
    caller.kill()
    assert wait_until(lambda: all(vanished(pid) for pid in pids)) < 1.0
    caller.communicate()


def test_a_fork_of_the_caller_starts_its_own_workers():
    caller = script("""
        import os
        from driver import run
        print(run(lambda x: x + 1, [1], reuse=True), flush=True)
        sys_fds = len(os.listdir('/proc/self/fd'))
        pid = os.fork()
        if pid == 0:
            assert len(os.listdir('/proc/self/fd')) < sys_fds
            print(run(lambda x: x + 2, [1], reuse=True), flush=True)
            from allcores.engines.processes import shutdown
            shutdown()
            os._exit(0)
        os.waitpid(pid, 0)
        print(run(lambda x: x + 3, [1], reuse=True), flush=True)
    """)
    output, errors = caller.communicate(timeout=30)
    assert errors == ""
    assert sorted(output.split()) == ["[2]", "[3]", "[4]"]


@pytest.mark.parametrize("to_group", [False, True])
def test_ctrl_c_ends_the_caller_and_everybody(to_group):
    caller = script(BUSY + "    made.finish()", start_new_session=True)
    pids = family(caller)
    if to_group:
        os.killpg(caller.pid, signal.SIGINT)
    else:
        os.kill(caller.pid, signal.SIGINT)
    _, errors = caller.communicate(timeout=10)
    assert wait_until(lambda: all(vanished(pid) for pid in pids)) < 1.0
    assert errors.count("Traceback") == 1
    assert "KeyboardInterrupt" in errors


def test_ctrl_c_does_not_stop_workers_by_itself_but_programs_they_start():
    def listen(_):
        os.kill(os.getpid(), signal.SIGINT)
        sleeper = subprocess.Popen(["sleep", "100"])
        time.sleep(0.1)
        sleeper.send_signal(signal.SIGINT)
        return sleeper.wait(10)

    assert run(listen, [0], workers=1) == [-signal.SIGINT]


def test_a_fork_that_comes_back_from_the_function_goes_no_further(tmp_path):
    log = tmp_path / "log"

    def split(x):
        if x == 0 and os.fork() == 0:
            return "child"
        with open(log, "a") as file:
            file.write("x")
        return x

    assert run(split, range(5), workers=1, chunk=5) == [0, 1, 2, 3, 4]
    assert log.read_text() == "xxxxx"


@linux
def test_an_import_in_advance_that_starts_a_thread_is_taken_back(tmp_path, monkeypatch, start_method):
    if start_method == "portable":
        pytest.skip("nothing is imported in advance")
    from allcores.processes import interpreter

    (tmp_path / "busy_import.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "class Value: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(interpreter, "SAFE_TO_IMPORT", frozenset({"busy_import"}))
    import busy_import

    count = types.FunctionType(
        (lambda _: threading.active_count()).__code__, {"threading": threading, "Value": busy_import.Value}
    )
    assert "busy_import" in interpreter.wanted_imports(Task((("map", count),)))
    assert run(count, [0, 1]) == [1, 1]


@linux
def test_a_kernel_without_pidfds_does_too(monkeypatch, start_method):
    if start_method == "portable":
        monkeypatch.delattr(os, "pidfd_open")
    else:
        monkeypatch.setattr(root, "CODE", "import os; del os.pidfd_open; " + root.CODE)
    monkeypatch.delattr(signal, "pidfd_send_signal")
    with job(lambda x: time.sleep(1000) if x == 0 else os._exit(4) if x == 1 else x, range(4)) as made:
        made.until(lambda made: made.engine.look(0)[0] == 0)
        made.engine.kill(0)
        results = made.finish()
    assert (results[0].running, results[0].signal) == (0, signal.SIGKILL)
    assert (results[1].running, results[1].exitcode) == (1, 4)
    assert results[2:] == [2, 3]


def test_a_module_that_calls_us_while_it_is_imported_is_told_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "unguarded.py").write_text(
        "import os\ndef f(x): return x\n"
        f"if os.getpid() != {os.getpid()}:\n"
        "    from allcores.engines.processes import Processes\n"
        "    from allcores.tasks.task import Task\n"
        "    Processes(Task((('map', f),)))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import unguarded

    with job(unguarded.f, [1]) as made, pytest.raises(StartError, match="__name__ == '__main__'"):
        made.finish()


def test_few_descriptors_are_enough():
    caller = script("""
        import os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        from driver import run
        print(sum(run(lambda x: x, range(100), workers=8)))
    """)
    output, errors = caller.communicate(timeout=30)
    assert (output.strip(), errors) == ("4950", "")


@pytest.mark.parametrize("closed", [(0,), (0, 1), (0, 1, 2), (1, 2)])
def test_closed_standard_files_are_no_obstacle(closed, tmp_path):
    result = tmp_path / "result"
    caller = script(f"""
        import os
        from driver import run
        for number in {closed}:
            os.close(number)
        def say(x):
            print("said", x)
            os.system("echo said too")
            return x
        found = run(say, range(10), workers=2)
        with open({str(result)!r}, "w") as file:
            file.write(str(sum(found)))
    """)
    caller.communicate(timeout=30)
    assert result.read_text() == "45"


def test_a_script_without_a_guard_through_standard_input():
    source = str(Path(start.__file__).parents[2])
    text = textwrap.dedent("""
        from driver import run
        class Mine(Exception): pass
        class Point:
            count = 0
            def __init__(self, x): self.x = x
        def helper(x): return Point(x + OFFSET)
        OFFSET = 5
        def f(p):
            if p.x == 2: raise Mine("two")
            Point.count += 1
            return helper(p.x)
        results = run(f, [Point(i) for i in range(4)], chunk=2)
        print([r.x if type(r) is Point else type(r) is Mine for r in results], Point.count)
        print(run(len, [[Point(1)], []]))
    """)
    done = subprocess.run(
        [sys.executable, "-"],
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([source, str(Path(__file__).parent)])},
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[5, 6, True, 8] 0", "[1, 0]"]


def test_reports_come_before_the_loss_that_follows_them():
    with job(lambda x: time.sleep(0.003) if x < 5 else os._exit(1), range(6), workers=1, chunk=6) as made:
        made.finish()
        kinds = [type(event) for event in made.events if isinstance(event, ItemsDone | WorkerLost)]
        assert kinds[-1] is WorkerLost
        assert made.lost[0].running == 5
