"""Quiet: nothing is printed on a normal exit, in whatever way the interpreter was started and ends."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

MODES = {
    "inline": "engine='inline'",
    "threads": "engine='threads', n_jobs=2",
    "asyncio": "engine='asyncio', n_jobs=2",
    "processes": "engine='processes', n_jobs=2",
    "portable": "engine='processes', n_jobs=2",
    "auto": "engine='auto'",
}

ENDS = {
    "a list": "ac.map(f, range(30), {options})",
    "a stream": "assert sum(ac.par(iter(range(30)), {options}).map(f)) == sum(map(f, range(30)))",
    "a sum": "assert ac.par(range(30), {options}).map(f).sum() == sum(map(f, range(30)))",
    "a stream left half-way": "s = iter(ac.par(range(10**6), {options}).map(f)); next(s)",
    "a stream closed": "s = iter(ac.par(range(10**6), {options}).map(f)); next(s); s.close()",
    "an error caught": "try: ac.map(bad, range(30), {options})\nexcept ValueError: pass",
    "failures": "assert len(ac.map(bad, range(30), {options}, on_error='return')) == 30",
    "a deadline": "try: ac.map(slow, range(10**5), {options}, deadline=0.1)\nexcept TimeoutError: pass",
    "sys.exit": "ac.map(f, range(30), {options}); sys.exit()",
    "shutdown": "ac.map(f, range(30), {options}); ac.shutdown(); ac.shutdown()",
    "no items": "ac.map(f, [], {options})",
}

PREAMBLE = """
import sys, time
import allcores as ac

def f(x):
    return 2 * x

def slow(x):
    time.sleep(0.001)
    return x

def bad(x):
    if x == 20:
        raise ValueError(x)
    return x

"""


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


def run(mode, text, *flags, environ=None, **more):
    """Runs a program in one of the modes."""
    whole = {**os.environ, **(environ or {})}
    whole.pop("ALLCORES_START", None)
    if mode == "portable":
        whole["ALLCORES_START"] = "portable"
    code = PREAMBLE + textwrap.dedent(text).replace("{options}", MODES[mode])
    return subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=50, env=whole, **more
    )


def assert_quiet(done, out=""):
    assert (done.returncode, done.stdout, done.stderr) == (0, out, "")


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_printed_on_a_normal_exit(mode, end):
    assert_quiet(run(mode, ENDS[end]))


def test_warnings_as_errors_change_nothing(mode):
    text = "assert ac.map(f, range(9), {options}) == [2 * x for x in range(9)]; ac.par(range(9), {options}).sum()"
    assert_quiet(run(mode, text, "-W", "error"))


def test_development_mode_has_nothing_to_say(mode):
    """It reports descriptors that nobody closes and threads that nobody joins."""
    assert_quiet(run(mode, "ac.map(f, range(30), {options}); ac.shutdown()", "-X", "dev", "-W", "error"))


def test_optimized_bytecode_runs_the_same(mode):
    for flag in ("-O", "-OO"):
        assert_quiet(run(mode, "print(sum(ac.map(f, range(30), {options})), __debug__)", flag), "870 False\n")


def test_workers_are_optimized_as_their_caller_is(mode):
    assert_quiet(run(mode, "print(ac.map(lambda x: __debug__, [1], {options}))", "-O"), "[False]\n")


def test_isolated_and_without_site(mode):
    for flags in (("-I",), ("-s", "-E"), ("-u",), ("-B",), ("-P",)):
        assert_quiet(run(mode, "print(ac.map(f, [1, 2], {options}))", *flags), "[2, 4]\n")


def test_workers_share_the_callers_hash_seed(mode):
    text = """
        words = ["one", "two", "three"]
        assert ac.map(hash, words, {options}) == [hash(word) for word in words]
        print(ac.map(lambda word: list({word, "a", "b", "c"}), words, {options}) == [
            list({word, "a", "b", "c"}) for word in words])
    """
    for seed in ("0", "7"):
        assert_quiet(run(mode, text, environ={"PYTHONHASHSEED": seed}), "True\n")


def test_a_random_hash_seed_is_no_obstacle(mode):
    assert_quiet(
        run(mode, "print(ac.map(len, ['a', 'bb'], {options}))", environ={"PYTHONHASHSEED": "random"}),
        "[1, 2]\n",
    )


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_standard_files_may_be_closed(mode, closed, tmp_path):
    """They are closed before the interpreter starts, so a careless program would take their numbers."""
    result = tmp_path / "result"
    text = f"""
        results = ac.map(f, range(30), {{options}})
        total = ac.par(range(30), {{options}}).map(f).sum()
        print("this goes nowhere")
        print("nor does this", file=sys.stderr)
        results += ac.map(lambda x: print("nor this") or x, [1], {{options}})
        with open({str(result)!r}, "w") as file:
            file.write(repr((sum(results), total)))
    """

    def close():
        for each in closed:
            os.close(each)

    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        whole = {**os.environ, **({"ALLCORES_START": "portable"} if mode == "portable" else {})}
        code = PREAMBLE + textwrap.dedent(text).replace("{options}", MODES[mode])
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=out, stderr=err, env=whole, preexec_fn=close
        )
        assert process.wait(50) == 0
    assert result.read_text() == "(871, 870)"


def test_streams_that_are_none_or_replaced_are_no_obstacle(mode):
    text = """
        import io
        out = sys.stdout
        sys.stdin = sys.stdout = sys.stderr = None
        results = ac.map(f, range(5), {options})
        sys.stdout = io.StringIO()
        results += ac.map(f, range(5), {options})
        sys.stdout = out
        print(results)
    """
    assert_quiet(run(mode, text), f"{[0, 2, 4, 6, 8] * 2}\n")


def test_a_pipe_that_nobody_reads_is_no_obstacle(mode, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = tmp_path / "result"
        text = f"""
            results = ac.map(f, range(5), {{options}})
            open({str(result)!r}, "w").write(repr(results))
        """
        code = PREAMBLE + textwrap.dedent(text).replace("{options}", MODES[mode])
        process = subprocess.Popen([sys.executable, "-c", code], stdout=writing, stderr=writing)
        assert process.wait(50) == 0
    finally:
        os.close(writing)
    assert result.read_text() == "[0, 2, 4, 6, 8]"


def test_256_descriptors_are_enough(mode):
    text = """
        import os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        for number in range(12):
            assert ac.map(lambda x: x + number, range(20), {options}) == [x + number for x in range(20)]
        held = [os.open(os.devnull, os.O_RDONLY) for _ in range(120)]
        assert ac.map(f, range(20), {options}) == [2 * x for x in range(20)]
        assert ac.map(f, [bytes(1 << 20)] * 50, {options})[49] == bytes(2 << 20)
        print(len(os.listdir("/proc/self/fd")) - len(held) < 64)
    """
    assert_quiet(run(mode, text), "True\n")


UNSHARE = ("unshare", "--map-root-user", "--mount")


def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="nobody but root may mount a small /dev/shm here")
def test_a_tiny_dev_shm_holds_what_is_larger_by_far(mode):
    text = """
        import os
        import numpy
        status = os.statvfs("/dev/shm")
        assert status.f_blocks * status.f_frsize <= 65536
        captured = numpy.ones(1_000_000)
        arrays = [numpy.full(500_000, float(x)) for x in range(6)]
        sent = ac.map(lambda a: a + captured[:500_000], arrays, {options})
        assert [a[-1] for a in sent] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        print(sum(ac.map(len, ["x" * 3_000_000] * 4, {options})), os.listdir("/dev/shm"))
    """
    code = PREAMBLE + textwrap.dedent(text).replace("{options}", MODES[mode])
    mounted = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$0" -c "$1"'
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", mounted, sys.executable, code], capture_output=True, text=True, timeout=60
    )
    assert_quiet(done, "12000000 []\n")


def test_many_workers_fit_into_256_descriptors():
    text = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        print(ac.map(f, range(100), engine="processes", n_jobs=24) == [2 * x for x in range(100)])
    """
    assert_quiet(run("processes", text), "True\n")


def test_more_workers_than_descriptors_is_an_error_that_says_what_to_do():
    text = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        try:
            print(len(ac.map(slow, range(1000), engine="processes", n_jobs=200)))
        except ac.StartError as error:
            print("n_jobs" in str(error))
        print(ac.map(f, range(3), engine="processes", n_jobs=2))
    """
    done = run("processes", text)
    assert done.stdout in ("True\n[0, 2, 4]\n", "1000\n[0, 2, 4]\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_tiny_loop_starts_no_process():
    text = """
        import os
        ac.map(f, range(50))
        ac.par(range(50)).map(f).sum()
        print(open(f"/proc/self/task/{os.getpid()}/children").read() == "")
    """
    assert_quiet(run("auto", text), "True\n")


def test_importing_opens_and_starts_nothing():
    text = """
        import os
        import allcores.api, allcores.stream, allcores.errors
        print(len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")))
        print(open(f"/proc/self/task/{os.getpid()}/children").read() == "")
    """
    assert_quiet(run("auto", text), "1 4\nTrue\n")


def test_shutdown_without_any_call_does_nothing():
    assert_quiet(run("auto", "ac.shutdown(); ac.shutdown()"))


def test_nothing_is_logged_or_warned_unless_asked(mode):
    text = """
        import logging, warnings
        warnings.simplefilter("error")
        logging.basicConfig(level=logging.WARNING)
        ac.map(f, range(2000), {options})
    """
    assert_quiet(run(mode, text))


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_the_logger_tells_the_plan_to_who_debugs_and_to_nobody_else(level):
    text = f"""
        import logging
        logging.basicConfig(level=logging.{level})
        ac.map(slow, range(2000))
    """
    done = run("auto", text)
    assert done.returncode == 0
    assert ("DEBUG:allcores:" in done.stderr) == (level == "DEBUG")
    assert "INFO:allcores:" not in done.stderr
