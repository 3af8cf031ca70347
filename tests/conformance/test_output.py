"""Output of an item appears whole, right before its result is delivered, on every engine."""

import asyncio
import contextlib
import ctypes
import functools
import io
import logging
import os
import subprocess
import sys
import threading
import time

import pytest

import allcores as ac


def tell(x):
    """Three writes to each of the two streams, with time between them for others to cut in."""
    print("begin", x)
    print("error", x, file=sys.stderr)
    time.sleep(x * 7 % 5 * 0.0004)
    print("middle", x, end="... ")
    sys.stdout.write(f"two\nlines {x}\n")
    sys.stderr.writelines([f"more {x}\n", f"end {x}\n"])
    return x


def tell_and_fail(bad, x):
    tell(x)
    if x == bad:
        raise ValueError(f"bad {x}")
    return x


def looped(capsys, function, items):
    """What the plain loop prints."""
    capsys.readouterr()
    for item in items:
        try:
            function(item)
        except ValueError:
            break
    return capsys.readouterr()


def test_map_prints_what_the_loop_prints(way, capsys):
    expected = looped(capsys, tell, range(30))
    way.map(tell, range(30))
    assert capsys.readouterr() == expected


def test_a_streams_items_print_right_before_their_results_are_delivered(way, capsys):
    expected = looped(capsys, lambda x: print("got", tell(x)), range(30))
    for y in way.par(range(30)).map(tell):
        print("got", y)
    assert capsys.readouterr() == expected


def test_many_quick_items_of_a_stream_print_right_before_their_results(way, capsys):
    for y in way.par(range(500), chunksize=50).map(print).map(lambda _: "got"):
        print(y)
    assert capsys.readouterr().out == "".join(f"{x}\ngot\n" for x in range(500))


def test_with_ordered_false_output_comes_with_its_result(way, capsys):
    for y in way.par(range(30), ordered=False).map(tell):
        print("got", y)
    out = capsys.readouterr().out
    items = out.split("got ")
    order = [int(each.split("\n")[0]) for each in items[1:]]
    assert sorted(order) == list(range(30))
    expected = "".join(f"begin {x}\nmiddle {x}... two\nlines {x}\ngot {x}\n" for x in order)
    assert out == expected


def test_both_streams_of_an_item_stay_interleaved(way):
    def run(call):
        both = io.StringIO()
        with contextlib.redirect_stdout(both), contextlib.redirect_stderr(both):
            call()
        return both.getvalue()

    assert run(lambda: way.map(tell, range(10))) == run(lambda: [tell(x) for x in range(10)])


def test_a_failing_items_output_appears_before_its_exception_and_nothing_behind_it(way, capsys):
    function = functools.partial(tell_and_fail, 13)
    expected = looped(capsys, function, range(30))
    with pytest.raises(ValueError, match="bad 13"):
        way.map(function, range(30))
    assert capsys.readouterr() == expected
    with pytest.raises(ValueError, match="bad 13"):
        way.par(range(30)).map(function).sum()
    assert capsys.readouterr() == expected


def test_failures_that_are_returned_print_in_their_place(way, capsys):
    function = functools.partial(tell_and_fail, 3)
    way.map(function, range(8), on_error="return")
    assert capsys.readouterr() == looped(capsys, tell, range(8))


def test_reductions_and_filters_print_what_the_loop_prints(way, capsys):
    expected = looped(capsys, tell, range(40))
    assert way.par(range(40)).map(tell).sum() == 780
    assert capsys.readouterr() == expected
    assert way.par(range(40)).map(tell).filter(lambda x: x % 2).count() == 20
    assert capsys.readouterr() == expected


def fail_once(directory, x):
    path = os.path.join(directory, str(x))
    first = not os.path.exists(path)
    print("attempt", 1 if first else 2, "at", x)
    if first:
        with open(path, "x"):
            raise ValueError("the first time")
    return x


def test_of_several_attempts_only_the_last_ones_output_is_shown(way, capsys, tmp_path):
    assert way.map(functools.partial(fail_once, str(tmp_path)), range(6), retries=1) == list(range(6))
    assert capsys.readouterr().out == "".join(f"attempt 2 at {x}\n" for x in range(6))


def print_much(x):
    for line in range(1000):
        print(f"{x}.{line}".ljust(9999))
    return x


def test_ten_megabytes_from_one_item_arrive(way):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        way.map(print_much, range(2))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        f"{x}.{line}" for x in range(2) for line in range(1000)
    ]
    assert len(out.getvalue()) == 20_000_000


@pytest.fixture(params=["forks", "portable"])
def start(request, monkeypatch):
    ac.shutdown()
    monkeypatch.delenv("ALLCORES_START", raising=False)
    if request.param == "portable":
        monkeypatch.setenv("ALLCORES_START", "portable")
    yield
    ac.shutdown()


def test_ten_thousand_prints_by_eight_workers_arrive_whole_and_in_order(start, capfd):
    ac.map(lambda x: print("line", x, "of item", x), range(10_000), engine="processes", n_jobs=8)
    out, err = capfd.readouterr()
    assert out == "".join(f"line {x} of item {x}\n" for x in range(10_000))
    assert err == ""


def write_natively(x):
    print("python", x)
    os.write(1, b"system call %d\n" % x)
    subprocess.run(["echo", f"subprocess {x}"], check=True)
    ctypes.CDLL(None).printf(b"C %d\n", x)
    sys.stdout.buffer.write(b"bytes %d\n" % x)
    sys.__stdout__.write(f"original {x}\n")
    os.write(2, b"error %d\n" % x)
    print("python again", x, flush=True)
    return x


def test_what_compiled_code_and_subprocesses_write_is_the_items_too(moving, capfd):
    for y in moving.par(range(12)).map(write_natively):
        print("got", y)
    out, err = capfd.readouterr()
    lines = "python {0}|system call {0}|subprocess {0}|C {0}|bytes {0}|original {0}|python again {0}|got {0}|"
    assert out == "".join(lines.format(x) for x in range(12)).replace("|", "\n")
    assert err == "".join(f"error {x}\n" for x in range(12))


def write_bytes(x):
    sys.stdout.buffer.write(b"\xff\xfe%d\n" % x)


def test_bytes_that_are_no_text_arrive_as_they_are(moving, capfdbinary):
    moving.map(write_bytes, range(3))
    assert capfdbinary.readouterr().out == b"\xff\xfe0\n\xff\xfe1\n\xff\xfe2\n"


def fork_and_print(x):
    print("before", x)
    child = os.fork()
    if child == 0:
        os.write(1, b"child\n")
        print("printed by the child")
        os._exit(0)
    os.waitpid(child, 0)
    print("after", x)
    return x


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_what_a_fork_of_the_worker_prints_is_the_items_too(moving, capfd):
    moving.map(fork_and_print, range(4))
    expected = "".join(f"before {x}\nchild\nprinted by the child\nafter {x}\n" for x in range(4))
    assert capfd.readouterr().out == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_that_an_item_makes_in_the_callers_process_prints_at_once(staying, capfd):
    def fork(x):
        child = os.fork()
        if child == 0:
            print(f"child of {x}\n", end="", flush=True)  # one write, which no other child cuts in two
            os._exit(0)
        os.waitpid(child, 0)

    for _ in staying.par(range(6)).map(fork):
        pass
    assert sorted(capfd.readouterr().out.splitlines()) == [f"child of {x}" for x in range(6)]


def log(x):
    logging.getLogger("nobody.has.configured").warning("log %d", x)
    print("error", x, file=sys.stderr)


def test_records_that_no_handler_takes_are_printed_in_their_place(moving, capfd, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])  # those of these tests
    moving.map(log, range(5))
    assert capfd.readouterr().err == "".join(f"log {x}\nerror {x}\n" for x in range(5))


def describe_streams(_):
    sys.stdout.reconfigure(line_buffering=True)
    return (
        sys.stdin.read(),
        sys.stdout.isatty(),
        sys.stdout.encoding,
        sys.stdout.name,
        sys.stdout.fileno(),
        sys.stderr.fileno(),
        sys.stdout.writable(),
    )


def test_a_workers_streams_are_like_other_streams(moving):
    (described,) = moving.map(describe_streams, [0])
    assert described == ("", False, "utf-8", "<stdout>", 1, 2, True)


def test_output_goes_to_where_the_caller_prints_at_that_moment(way):
    first, second = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(first):
        way.map(print, range(3))
    with contextlib.redirect_stdout(second):
        way.map(print, range(3, 5))
    assert (first.getvalue(), second.getvalue()) == ("0\n1\n2\n", "3\n4\n")


def redirect(x):
    own = io.StringIO()
    with contextlib.redirect_stdout(own):
        print("own", x)
    print("shown", x)
    return own.getvalue()


def test_an_item_may_redirect_its_own_output(way, capsys):
    way = way._replace(options={**way.options, **({"n_jobs": 1} if way.name == "threads" else {})})
    assert way.map(redirect, range(4)) == [f"own {x}\n" for x in range(4)]
    assert capsys.readouterr().out == "".join(f"shown {x}\n" for x in range(4))


def test_nothing_of_ours_stays_in_the_callers_streams(way, capsys):
    streams = [sys.stdout, sys.stderr]
    before = [dict(vars(stream)) for stream in streams]
    for _ in way.par(range(20)).map(tell):
        pass
    with pytest.raises(ValueError, match="bad"):
        way.map(functools.partial(tell_and_fail, 5), range(20))
    for _ in way.par(range(20)).map(tell):
        break
    way.map(tell, range(3))
    assert [sys.stdout, sys.stderr] == streams
    assert [dict(vars(stream)) for stream in streams] == before


def say(word, x):
    print(word, x)
    time.sleep(0.0005)
    print(word, x, "again")


def test_two_jobs_at_once_do_not_mix_up_their_items(way, capsys):
    def run(word):
        way.map(functools.partial(say, word), range(40))

    threads = [threading.Thread(target=run, args=(word,)) for word in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capsys.readouterr().out.splitlines()
    for word in ("left", "right"):
        own = [line for line in lines if line.startswith(word)]
        assert own == [f"{word} {x}{end}" for x in range(40) for end in ("", " again")]


def test_a_thread_that_is_no_worker_prints_at_once(staying, capsys):
    printed = threading.Event()
    seen = []

    def bystander():
        print("bystander")
        printed.set()

    def f(x):
        print("item", x)
        if x == 1:
            thread = threading.Thread(target=bystander)
            thread.start()
            thread.join()
            seen.append(capsys.readouterr().out)
        return x

    staying.map(f, range(3))
    assert printed.is_set()
    assert "bystander" in seen[0]


def end_badly(how, x):
    print("item", x)
    if x == 2:
        print("x" * 5000)
        print("last words")
        os.write(2, b"of the system\n")
        if how == "SIGKILL":
            os.kill(os.getpid(), 9)
        elif how == "exit":
            os._exit(3)
        elif how == "segmentation fault":
            ctypes.string_at(0)
        elif how == "sleeping":
            time.sleep(1000)
        while True:
            pass
    return x


@pytest.mark.parametrize("how", ["SIGKILL", "exit", "segmentation fault"])
def test_a_lost_worker_leaves_its_last_words(moving, capsys, how):
    with pytest.raises(ac.WorkerLost) as caught:
        moving.map(functools.partial(end_badly, how), range(4))
    error = caught.value
    assert error.index == 2
    assert len(error.output) <= 4096
    assert "item 1" not in error.output
    assert "xxxx\nlast words\nof the system\n" in error.output
    assert "last words" in "".join(error.__notes__)
    assert capsys.readouterr().out == "item 0\nitem 1\n"
    if how == "segmentation fault":
        assert "Segmentation fault" in error.output
        assert "in end_badly" in error.output
        assert f"{os.sep}allcores{os.sep}processes" not in error.output


@pytest.mark.parametrize("how", ["sleeping", "computing"])
def test_a_timeout_carries_last_words_and_the_python_stack(moving, how):
    with pytest.raises(ac.TaskTimeout) as caught:
        moving.map(functools.partial(end_badly, how), range(4), timeout=1.0)
    error = caught.value
    assert error.index == 2
    assert "last words\nof the system\n" in error.output
    assert "in end_badly" in error.output
    assert "in end_badly" in "".join(error.__notes__)


def test_last_words_are_the_lost_items_own(moving, tmp_path):
    results = moving.map(functools.partial(end_badly, "exit"), range(4), on_error="return")
    assert results[:2] + results[3:] == [0, 1, 3]
    assert results[2].error.output.endswith("last words\nof the system\n")


def test_an_items_output_can_be_pickled_with_its_error(moving):
    import pickle

    with pytest.raises(ac.WorkerLost) as caught:
        moving.map(functools.partial(end_badly, "exit"), range(4))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.output, again.exitcode) == (caught.value.output, 3)


def compute_and_tell(x):
    print("begin", x)
    until = time.perf_counter() + 0.005
    while time.perf_counter() < until:
        pass
    print("end", x)
    return x


def test_items_that_the_caller_runs_wait_for_their_turn_too(capsys):
    ac.map(compute_and_tell, range(100))
    assert capsys.readouterr().out == "".join(f"begin {x}\nend {x}\n" for x in range(100))
    for x in ac.par(range(100)).map(compute_and_tell):
        print("got", x)
    assert capsys.readouterr().out == "".join(f"begin {x}\nend {x}\ngot {x}\n" for x in range(100))


@pytest.mark.parametrize("retries", [0, 1])
def test_coroutines_that_take_turns_print_one_after_the_other(retries, capsys):
    async def speak(x):
        for part in range(3):
            print(x, part)
            await asyncio.sleep(0)

    def awaited_later(x):
        print(x, "begins")
        return speak(x)

    asyncio.run(ac.amap(speak, range(4), retries=retries))
    assert capsys.readouterr().out == "".join(f"{x} {part}\n" for x in range(4) for part in range(3))
    ac.map(awaited_later, range(2), retries=retries)
    parts = ("begins", 0, 1, 2)
    assert capsys.readouterr().out == "".join(f"{x} {part}\n" for x in range(2) for part in parts)
