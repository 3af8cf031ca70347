"""What a worker's items took: who had no core did not wait."""

import os
import select
import subprocess
import sys
import time

import pytest

from allcores.processes import stopwatch
from allcores.processes.stopwatch import Stopwatch
from allcores.tasks.run_delay import run_delay_clock

RIVALS = 3
SPIN = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(flush=True)\nwhile True: pass"


@pytest.fixture
def crowded_core():
    """This thread and three processes that compute have one core together."""
    if not hasattr(os, "sched_setaffinity") or not os.path.exists("/proc/self/schedstat"):
        pytest.skip("nobody counts how long a thread had no core")
    before = os.sched_getaffinity(0)
    core = min(before)
    rivals = [
        subprocess.Popen([sys.executable, "-c", SPIN, str(core)], stdout=subprocess.PIPE)
        for _ in range(RIVALS)
    ]
    try:
        for rival in rivals:
            rival.stdout.readline()
        os.sched_setaffinity(0, {core})
        yield
    finally:
        os.sched_setaffinity(0, before)
        for rival in rivals:
            rival.kill()
            rival.wait()
            rival.stdout.close()


def computed_for(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_items_that_had_no_core_do_not_look_as_if_they_waited(crowded_core):
    watch, began = Stopwatch(), time.perf_counter()
    watch.start()
    computed_for(0.2)
    wall_seconds = time.perf_counter() - began
    seconds, cpu_seconds = watch.read()
    assert cpu_seconds < 0.5 * wall_seconds  # the others took the rest
    assert cpu_seconds > 0.8 * seconds


def test_items_that_wait_do(crowded_core):
    watch = Stopwatch()
    computed_for(0.05)
    watch.read()  # whatever was lost before is not theirs
    watch.start()
    select.select([], [], [], 0.2)
    seconds, cpu_seconds = watch.read()
    assert cpu_seconds < 0.5 * seconds


def test_what_was_lost_before_is_shared_out_and_not_all_taken_off_the_items_that_wait(monkeypatch):
    clock = {"now": 0.0, "computed": 0.0, "delayed": 0.0}
    monkeypatch.setattr(stopwatch, "perf_counter", lambda: clock["now"])
    monkeypatch.setattr(stopwatch, "thread_time", lambda: clock["computed"])
    monkeypatch.setattr(stopwatch, "run_delay_clock", lambda: lambda: clock["delayed"])
    watch = Stopwatch()
    clock.update(now=9.0, computed=5.0, delayed=4.0)
    assert watch.read() == (9.0, 5.0)  # it computed most of the time: nobody looks
    watch.start()
    clock["now"] = 10.0
    assert watch.read() == pytest.approx((1.0 - 0.1 * 4.0, 0.0))
    watch.start()
    clock["now"] = 11.0
    assert watch.read() == (1.0, 0.0)


def test_where_nobody_counts_nothing_is_taken_off(monkeypatch):
    monkeypatch.setattr("allcores.tasks.run_delay._schedstat", lambda: "/nonexistent")
    assert run_delay_clock()() == 0.0
