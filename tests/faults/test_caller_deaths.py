"""The caller ends, however it ends: none of its workers, files or memory stays."""

import os
import signal

import pytest

from . import witness

PROCESSES = "engine='processes', n_jobs=4"


def test_killed_with_four_busy_workers(program):
    running = program(f"ac.map(busy, range(100), {PROCESSES})")
    running.wait_until_busy(4)
    assert len(running.family) >= 4
    running.process.kill()
    running.assert_nothing_stays()
    assert running.end() == (-signal.SIGKILL, "", "")


def test_killed_while_its_workers_are_idle(program):
    running = program("""
        ac.map(busy, range(4), [0.05] * 4, engine="processes", n_jobs=4)
        print("idle", flush=True)
        time.sleep(600)
    """)
    assert running.process.stdout.readline() == "idle\n"
    running.wait_until_busy(4)
    assert len(running.family) >= 4
    running.process.kill()
    running.assert_nothing_stays()


def test_killed_while_its_workers_start(program):
    running = program(f"print('go', flush=True)\nac.map(busy, range(100), {PROCESSES})")
    assert running.process.stdout.readline() == "go\n"
    witness.wait_for(running.note_family)
    running.process.kill()
    running.assert_nothing_stays()


def test_terminated(program):
    running = program(f"ac.map(busy, range(100), {PROCESSES})")
    running.wait_until_busy(4)
    running.process.terminate()
    running.assert_nothing_stays()
    assert running.end() == (-signal.SIGTERM, "", "")


def test_killed_from_a_thread_that_called(program):
    """The thread that started the workers ends before the process does."""
    running = program("""
        thread = threading.Thread(target=lambda: ac.map(quick, range(20), engine="processes", n_jobs=4))
        thread.start()
        thread.join()
        assert ac.map(quick, range(20), engine="processes", n_jobs=4) == [2 * x for x in range(20)]
        ac.map(busy, range(100), engine="processes", n_jobs=4)
    """)
    running.wait_until_busy(4)
    running.process.kill()
    running.assert_nothing_stays()


def test_an_exception_in_the_caller(program):
    running = program("""
        for value in ac.par(itertools.count(), engine="processes", n_jobs=4).map(lambda x: busy(x, 0.02)):
            if value == 5:
                raise LookupError("enough")
    """)
    running.wait_until_busy(4)
    code, _, err = running.end()
    running.assert_nothing_stays()
    assert code == 1
    assert err.count("Traceback") == 1
    assert err.endswith("LookupError: enough\n")


def test_sys_exit_in_the_middle_of_a_stream(program):
    running = program("""
        for value in ac.par(itertools.count(), engine="processes", n_jobs=4).map(lambda x: busy(x, 0.02)):
            if value == 5:
                sys.exit(4)
    """)
    running.wait_until_busy(4)
    assert running.end() == (4, "", "")
    running.assert_nothing_stays()


def test_a_stream_abandoned_half_way(program):
    running = program("""
        results = iter(ac.par(itertools.count(), engine="processes", n_jobs=4).map(lambda x: busy(x, 0.02)))
        print(next(results))
    """)
    running.wait_until_busy(4)
    assert running.end() == (0, "0\n", "")
    running.assert_nothing_stays()


def test_a_stream_abandoned_with_items_that_never_end(program):
    running = program("""
        results = iter(ac.par(itertools.count(), engine="processes", n_jobs=4).map(lambda x: busy(x) if x else 0))
        print(next(results))
        wait_for_items(4)
    """)
    running.wait_until_busy(4)
    assert running.end() == (0, "0\n", "")
    running.assert_nothing_stays()


def test_os_exit_in_the_caller(program):
    running = program("""
        results = iter(ac.par(itertools.count(), engine="processes", n_jobs=4).map(lambda x: busy(x, 0.02)))
        print(next(results), flush=True)
        wait_for_items(4)
        os._exit(6)
    """)
    running.wait_until_busy(4)
    assert running.end() == (6, "0\n", "")
    running.assert_nothing_stays()


def test_a_call_that_a_daemon_thread_is_in_at_exit(program):
    running = program("""
        call = lambda: ac.map(busy, range(100), engine="processes", n_jobs=4)
        threading.Thread(target=call, daemon=True).start()
        wait_for_items(4)
        print("end")
    """)
    running.wait_until_busy(4)
    assert running.end() == (0, "end\n", "")
    running.assert_nothing_stays()


# -- a caller that forks ------------------------------------------------------------------------------

FORKS = """
    def in_fork(function):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                function()
                code = 0
            finally:
                os._exit(code)
        return pid
"""


def test_a_caller_that_has_forked_is_killed(program):
    """The fork lives on, holds what it inherited, and keeps no worker alive."""
    running = program(
        FORKS
        + """
    thread = threading.Thread(target=lambda: ac.map(busy, range(100), engine="processes", n_jobs=4), daemon=True)
    thread.start()
    wait_for_items(4)
    print(in_fork(lambda: time.sleep(600)), flush=True)
    time.sleep(600)
    """
    )
    fork = int(running.process.stdout.readline())
    running.wait_until_busy(4)
    running.process.kill()
    try:
        assert witness.wait_for(lambda: running.left() <= {fork}, 1.0)
        assert fork in running.left()
    finally:
        witness.strike(fork)
    running.assert_nothing_stays()


def test_a_fork_of_the_caller_is_killed_and_the_caller_goes_on(program):
    running = program(
        FORKS
        + """
    expected = [2 * x for x in range(20)]
    assert ac.map(quick, range(20), engine="processes", n_jobs=2) == expected
    pid = in_fork(lambda: time.sleep(600))
    assert ac.map(quick, range(20), engine="processes", n_jobs=2) == expected
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert ac.map(quick, range(20), engine="processes", n_jobs=2) == expected
    print("done")
    """
    )
    assert running.end() == (0, "done\n", "")
    running.assert_nothing_stays()


def test_a_fork_of_the_caller_has_workers_of_its_own(program):
    running = program(
        FORKS
        + """
    expected = [2 * x for x in range(20)]
    assert ac.map(quick, range(20), engine="processes", n_jobs=2) == expected

    def child():
        assert ac.map(quick, range(20), engine="processes", n_jobs=2) == expected
        assert ac.map(lambda x: x + 1, range(20), engine="processes", n_jobs=2) == list(range(1, 21))
        ac.shutdown()

    pid = in_fork(child)
    assert ac.map(quick, range(20), engine="processes", n_jobs=2) == expected
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ac.map(quick, range(20), engine="processes", n_jobs=2) == expected
    print("done")
    """
    )
    assert running.end() == (0, "done\n", "")
    running.assert_nothing_stays()


def test_a_fork_with_busy_workers_of_its_own_is_killed(program):
    running = program(
        FORKS
        + """
    assert ac.map(quick, range(20), engine="processes", n_jobs=2) == [2 * x for x in range(20)]
    pid = in_fork(lambda: ac.map(busy, range(100), engine="processes", n_jobs=4))
    wait_for_items(4)
    print(pid, flush=True)
    os.waitpid(pid, 0)
    assert ac.map(quick, range(20), engine="processes", n_jobs=2) == [2 * x for x in range(20)]
    print("done")
    """
    )
    fork = int(running.process.stdout.readline())
    running.wait_until_busy(4)
    witness.strike(fork)
    assert running.end() == (0, "done\n", "")
    running.assert_nothing_stays()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_pool_whose_workers_call_allcores(program, method):
    running = program(
        """
    import multiprocessing

    def call(n):
        return sum(ac.map(quick, range(n))) + sum(ac.map(quick, range(n), engine="processes", n_jobs=2))

    if __name__ == "__main__":
        assert ac.map(quick, range(20), engine="processes", n_jobs=2) == [2 * x for x in range(20)]
        with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
            assert pool.map(call, range(5)) == [2 * n * (n - 1) for n in range(5)]
        print("done")
    """,
        method,
    )
    assert running.end() == (0, "done\n", "")
    running.assert_nothing_stays()


# -- Ctrl-C -------------------------------------------------------------------------------------------

ENGINES = {
    "inline": "engine='inline'",
    "threads": "engine='threads', n_jobs=2",
    "processes": "engine='processes', n_jobs=2",
    "auto": "",
}


def to_process(running):
    os.kill(running.process.pid, signal.SIGINT)


def to_group(running):
    os.killpg(running.process.pid, signal.SIGINT)


@pytest.mark.parametrize("interrupt", [to_process, to_group], ids=["to the process", "to its group"])
@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_is_raised_once_and_the_pool_is_usable(program, engine, interrupt):
    running = program(f"""
        try:
            ac.map(busy, range(100), {ENGINES[engine]})
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        assert ac.map(quick, range(20), {ENGINES[engine]}) == [2 * x for x in range(20)]
        print("done", flush=True)
        os._exit(0) if {engine!r} == "threads" else None  # its threads are in the middle of endless items
    """)
    running.wait_until_busy(1)
    interrupt(running)
    assert running.end() == (0, "interrupted\ndone\n", "")
    running.assert_nothing_stays()


@pytest.mark.parametrize("interrupt", [to_process, to_group], ids=["to the process", "to its group"])
def test_ctrl_c_that_nobody_catches_ends_the_program_with_one_traceback(program, interrupt):
    running = program(f"ac.map(busy, range(100), {PROCESSES})")
    running.wait_until_busy(4)
    interrupt(running)
    code, out, err = running.end()
    assert (code, out) == (-signal.SIGINT, "")
    assert err.count("Traceback") == 1
    assert err.endswith("KeyboardInterrupt\n")
    running.assert_nothing_stays()


@pytest.mark.parametrize("interrupt", [to_process, to_group], ids=["to the process", "to its group"])
def test_ctrl_c_in_the_middle_of_a_stream_keeps_what_was_taken(program, interrupt):
    running = program("""
        taken = []
        stream = ac.par(range(100), engine="processes", n_jobs=2, chunksize=1)
        try:
            for value in stream.map(lambda x: busy(x) if x >= 10 else x):
                taken.append(value)
                if value == 9:
                    print("nine", flush=True)
        except KeyboardInterrupt:
            print(taken)
    """)
    assert running.process.stdout.readline() == "nine\n"
    running.wait_until_busy(2)
    interrupt(running)
    assert running.end() == (0, "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n", "")
    running.assert_nothing_stays()


def test_ctrl_c_gives_what_had_finished(program):
    """With one item a chunk, a result is sent before the worker's next item begins."""
    running = program("""
        try:
            ac.map(lambda x: busy(x) if x >= 10 else x, range(100), engine="processes", n_jobs=2, chunksize=1)
        except KeyboardInterrupt as error:
            print(sorted(ac.partial(error).items()))
    """)
    running.wait_until_busy(2)
    to_group(running)
    assert running.end() == (0, f"{[(x, x) for x in range(10)]}\n", "")
    running.assert_nothing_stays()


def test_a_program_started_by_a_worker_can_be_interrupted(program):
    """Workers let Ctrl-C pass, but what they start has the signal's default again."""
    running = program("""
        import subprocess

        def start(x):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            child.send_signal(2)
            return child.wait() != 0

        print(ac.map(start, range(2), engine="processes", n_jobs=2))
    """)
    code, out, _ = running.end()
    assert (code, out) == (0, "[True, True]\n")
    running.assert_nothing_stays()
