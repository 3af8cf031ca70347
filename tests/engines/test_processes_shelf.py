"""Large buffers that a function captured: in memory once, pristine for each worker and each job."""

import functools
import os
import sys

import numpy as np
import pytest
from driver import Job, job, run

from allcores.engines.processes import shutdown
from allcores.processes import mail, pool, shelf
from allcores.processes.channel import Channel

pytestmark = [
    pytest.mark.usefixtures("start_method"),
    pytest.mark.skipif(not mail.is_possible(), reason="there are no files in memory"),
]

MEGABYTE = 1 << 20


def ones(megabytes):
    return np.ones(int(megabytes * MEGABYTE), np.uint8)


def private_bytes():
    """What this process has for itself of what is mapped from files in memory."""
    found, ours = 0, False
    with open("/proc/self/smaps") as maps:
        for line in maps:
            if "-" in line.split(" ")[0]:
                ours = "memfd:" in line
            elif ours and line.startswith("Anonymous:"):
                found += int(line.split()[1]) << 10
    return found


@pytest.mark.parametrize("how", ["closure", "partial", "default"])
def test_what_was_captured_takes_few_bytes_in_the_channels(monkeypatch, how):
    sent = []
    send = Channel.send
    monkeypatch.setattr(
        Channel, "send", lambda self, parts, fds=(): sent.extend(map(len, parts)) or send(self, parts, fds)
    )
    captured = ones(8)
    functions = {
        "closure": lambda n: int(captured.sum()) + n,
        "partial": functools.partial(lambda array, n: int(array.sum()) + n, captured),
        "default": lambda n, array=captured: int(array.sum()) + n,
    }
    assert run(functions[how], range(4)) == [8 * MEGABYTE + n for n in range(4)]
    assert sum(sent) < 100_000


def test_it_is_in_memory_once_however_many_workers_read_it():
    captured = ones(16)

    def look(n):
        total = int(captured.sum())
        before = private_bytes()
        captured[: 4 * MEGABYTE] = 1
        return total, before, private_bytes()

    with job(look, range(12), workers=4) as made:
        results = made.finish()
        assert all(total == 16 * MEGABYTE for total, _, _ in results)
        assert all(before <= after for _, before, after in results)
        assert min(before for _, before, _ in results) < MEGABYTE
        assert all(4 * MEGABYTE <= after < 6 * MEGABYTE for _, _, after in results)
        used = os.fstat(made.engine._crew.words.handle).st_blocks * 512
        assert 16 * MEGABYTE <= used < 18 * MEGABYTE


def test_it_is_writable_and_what_a_worker_writes_is_its_own(tmp_path):
    captured = ones(2)

    def write(n):
        before = int(captured[0]), int(captured[-1])
        captured[:] = 2
        (tmp_path / f"{n} {os.getpid()}").touch()
        while len({each.name.split()[1] for each in tmp_path.iterdir()}) < 2:
            pass  # until both workers have written
        return os.getpid(), before

    results = run(write, range(2), workers=2)
    assert [before for _, before in results] == [(1, 1), (1, 1)]
    assert results[0][0] != results[1][0]
    assert captured[0] == 1


def test_several_buffers_and_what_shares_them_arrive_as_they_were():
    first, second = ones(1), np.arange(300_000).reshape(1000, 300)
    both = {"first": first, "again": first, "second": second, "small": np.arange(3)}

    def look(n):
        both["first"][0] = 9
        return int(both["again"][0]), int(both["second"][-1, -1]), int(both["small"][-1])

    assert run(look, [1]) == [(9, 299_999, 2)]


def test_it_is_what_it_was_when_the_job_began():
    captured = ones(1)
    made = Job(lambda n: int(captured.sum()), [0], workers=1)
    captured[:] = 0
    try:
        assert made.start().finish() == [MEGABYTE]
    finally:
        made.close()


def test_warm_workers_serve_only_who_captured_the_same():
    def make(array):
        return lambda n: (os.getpid(), int(array[5]))

    ((first, _),) = run(make(ones(1)), [1], workers=1, reuse=True)
    assert run(make(ones(1)), [1], workers=1, reuse=True) == [(first, 1)]
    changed = ones(1)
    changed[5] = 7
    ((other, value),) = run(make(changed), [1], workers=1, reuse=True)
    assert (other != first, value) == (True, 7)


def test_it_stays_while_mail_comes_and_goes():
    captured = ones(3)

    def add(array):
        return array + captured[: len(array)]

    made = Job(add, [ones(2) for _ in range(4)], workers=1)
    try:
        assert all(int(each.sum()) == 4 * MEGABYTE for each in made.start().finish())
        made.engine._crew.mail.discard()
        made._todo, made.settled = [(0, 4)], {}
        made.payload = made.engine.pack(0, made.items)
        made.feed(0)
        assert all(int(each.sum()) == 4 * MEGABYTE for each in made.finish())
    finally:
        made.close()


def test_memory_that_cannot_be_had_sends_it_through_the_channels(monkeypatch):
    def refuse(*arguments):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    captured = ones(2)

    def look(n):
        captured[0] += 1
        return int(captured[0])

    assert run(look, [1], workers=1) == [2]


def test_a_large_pickle_with_definitions_of_main_needs_its_buffers_once(monkeypatch):
    main = sys.modules["__main__"]
    made = type("Holder", (), {"__module__": "__main__", "__qualname__": "Holder", "table": ones(2)})
    monkeypatch.setattr(main, "Holder", made, raising=False)
    holder = made()
    holder.array = ones(1)
    look = lambda n: (int(holder.array.sum()) + n, int(holder.table.sum()))
    assert run(look, [1, 2]) == [(MEGABYTE + 1, 2 * MEGABYTE), (MEGABYTE + 2, 2 * MEGABYTE)]


def test_nothing_is_left():
    captured = ones(4)
    shutdown()
    run(lambda x: int(captured[x]), [1])
    shutdown()
    before = len(os.listdir("/proc/self/fd"))
    for n in range(5):
        assert run(lambda x, n=n: int(captured[x]) + n, [1], reuse=True) == [1 + n]
    shutdown()
    assert len(os.listdir("/proc/self/fd")) == before
    assert not pool._pool.idle


def test_places_are_aligned_and_never_overlap():
    offsets, end = shelf.places([1, 4096, 5000, 70_000])
    assert (offsets, end) == ([0, 4096, 8192, 16384], 16384 + 73_728)
