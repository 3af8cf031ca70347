"""Large items and results go through memory: few bytes through a channel, private on arrival, nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from driver import Job, job, run, wait_until

from allcores.core.events import VALUES
from allcores.engines.processes import shutdown
from allcores.processes import mail, pool, wire
from allcores.processes.channel import Channel

pytestmark = [
    pytest.mark.usefixtures("start_method"),
    pytest.mark.skipif(not mail.is_possible(), reason="there are no files in memory"),
]

MEGABYTE = 1 << 20


def ones(megabytes):
    return np.ones(int(megabytes * MEGABYTE), np.uint8)


def used_bytes(made):
    return os.fstat(made.engine._crew.words.handle).st_blocks * 512


def memory_files():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return sum("memfd:allcores" in each for each in found)


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_large_arrays_take_few_bytes_in_the_channels(monkeypatch):
    sent, received = [], []
    send, open_done = Channel.send, wire.open_done
    monkeypatch.setattr(
        Channel, "send", lambda self, parts, fds=(): sent.extend(map(len, parts)) or send(self, parts, fds)
    )
    monkeypatch.setattr(wire, "open_done", lambda body: received.append(len(body)) or open_done(body))
    results = run(lambda array: array + 1, [ones(4) for _ in range(4)], chunk=2)
    assert all(np.array_equal(each, ones(4) * 2) for each in results)
    assert sum(sent) < 20_000
    assert sum(received) < 5_000


@pytest.mark.parametrize("make", [bytes, lambda n: "x" * n, lambda n: [b"x" * n], lambda n: {1: "y" * n}])
def test_large_pickles_take_few_bytes_in_the_channels_too(monkeypatch, make):
    sent, received = [], []
    send, open_done = Channel.send, wire.open_done
    monkeypatch.setattr(
        Channel, "send", lambda self, parts, fds=(): sent.extend(map(len, parts)) or send(self, parts, fds)
    )
    monkeypatch.setattr(wire, "open_done", lambda body: received.append(len(body)) or open_done(body))
    items = [make(3_000_000) for _ in range(3)]
    assert run(lambda item: item, items, workers=1, chunk=3) == items
    assert sum(sent) < 20_000
    assert sum(received) < 5_000


def test_each_task_has_its_arrays_pristine_and_writable():
    array = ones(1)

    def spoil(item):
        before = int(item[0]), int(item.sum())
        item[:] = 7
        return before

    assert run(spoil, [array] * 6, workers=1, chunk=6) == [(1, MEGABYTE)] * 6
    assert array[0] == 1


def test_arrays_that_a_task_keeps_are_its_own():
    def keep(item, kept=[]):  # noqa: B006
        kept.append(item)
        return [int(each[0]) for each in kept]

    items = [np.full(MEGABYTE, n, np.uint8) for n in range(8)]
    assert run(keep, items, workers=1, chunk=2)[-1] == list(range(8))


def test_what_the_user_changes_after_packing_is_not_seen():
    array = ones(1)
    made = Job(lambda item: int(item.sum()), [array], workers=1)
    try:
        made.payload = made.engine.pack(0, made.items)
        array[:] = 0
        made.feed(made.boot())
        assert made.finish() == [MEGABYTE]
    finally:
        made.close()


def test_results_may_be_kept_and_changed_while_others_come():
    results = run(lambda n: np.full(MEGABYTE, n, np.uint8), range(30), chunk=3)
    for n, each in enumerate(results):
        each += 100
        assert int(each[0]) == int(each[-1]) == n + 100


def test_any_part_of_a_chunk_can_be_sent_again():
    items = [np.full(MEGABYTE, n, np.uint8) for n in range(6)]
    with job(lambda item: int(item[0]), items, workers=0) as made:
        made.workers, made._todo = 1, [(2, 5), (0, 6)]
        made.settle = lambda index, value: made.settled.setdefault(index, []).append(value)
        made.feed(made.boot())
        made.until(lambda made: sum(map(len, made.settled.values())) == 9)
        assert made.settled == {n: [n] * (1 + (2 <= n < 5)) for n in range(6)}


def test_reductions_and_objects_with_arrays_inside_travel_too():
    results = run(lambda n: {"n": n, "a": ones(1) * n, "b": [ones(0.5), "text"]}, range(4), chunk=2)
    assert [(each["n"], int(each["a"][-1]), int(each["b"][0].sum())) for each in results] == [
        (n, n, MEGABYTE // 2) for n in range(4)
    ]


def test_memory_is_used_again_within_a_job():
    made = Job(lambda item: item + 1, [], workers=1)
    try:
        made.boot()
        for n in range(40):
            payload = made.engine.pack(n, [ones(1)])
            made.engine.send(0, payload, n, n, n + 1)
            opened = []
            while not opened:
                for event in made.engine.wait(20):
                    for outcome in getattr(event, "outcomes", ()):
                        assert outcome.kind == VALUES
                        opened += made.engine.unpack(outcome)
            assert opened[0][0] == 2
        del payload
        assert used_bytes(made) < 10 * MEGABYTE
    finally:
        made.close()


def test_a_worker_that_is_killed_while_it_writes_a_large_result_loses_that_alone():
    def die_writing(n):
        if n == 3:
            import os as system

            from allcores.processes.windows import Windows

            write, copy = system.pwrite, Windows.write

            def half(descriptor, data, offset):
                write(descriptor, data[: len(data) // 2], offset)
                system.kill(system.getpid(), signal.SIGKILL)

            def half_through_a_window(windows, data, offset, backed):
                copy(windows, data[: len(data) // 2], offset, backed)
                system.kill(system.getpid(), signal.SIGKILL)

            system.pwrite, Windows.write = half, half_through_a_window
        return ones(2)

    with job(die_writing, range(8), workers=2, chunk=2) as made:
        results = made.finish()
        assert (results[3].running, results[3].signal) == (3, signal.SIGKILL)
        assert all(int(results[n].sum()) == 2 * MEGABYTE for n in range(8) if n != 3)
        (lost,) = made.lost
        assert lost.running == 3


def test_workers_that_are_killed_leave_no_memory():
    def die(n):
        array = ones(4)
        array.tofile(os.devnull)
        if n % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return array

    with job(die, range(24), workers=2) as made:
        results = made.finish()
        assert sum(isinstance(each, np.ndarray) for each in results) == 12
        assert used_bytes(made) < 20 * MEGABYTE


def test_a_worker_that_is_killed_while_it_reads_an_item_blames_that_item(tmp_path):
    def spoil_the_next_read(item):
        if item[0] == 2 and not (tmp_path / "spoilt").exists():
            import os as system

            from allcores.processes.windows import Windows

            (tmp_path / "spoilt").touch()
            system.preadv = Windows.read_into = lambda *arguments: system.kill(
                system.getpid(), signal.SIGKILL
            )
        return int(item[0])

    items = [np.full(MEGABYTE, n, np.uint8) for n in range(6)]
    with job(spoil_the_next_read, items, workers=1, chunk=6) as made:
        results = made.finish()
        assert results[3].running == 3
        assert [results[n] for n in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]
        made.payload = None
        made.engine.pack(0, [ones(1)])
        assert made.engine._crew.mail._area.let_bytes <= 2 * MEGABYTE


@pytest.mark.parametrize("number", [28, 12])  # ENOSPC, ENOMEM
def test_memory_that_cannot_be_had_sends_everything_through_the_channels(monkeypatch, number):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    def double(item):
        import os as system

        def refuse(*arguments):
            raise OSError(number, system.strerror(number))

        system.pwrite = refuse
        return item * 2

    monkeypatch.setattr(os, "pwrite", refuse)
    results = run(double, [ones(2) for _ in range(4)], chunk=2)
    assert all(np.array_equal(each, ones(2) * 2) for each in results)
    assert results[0].flags.writeable


def test_without_files_in_memory_everything_goes_through_the_channels(monkeypatch):
    monkeypatch.setattr(mail, "is_possible", lambda: False)
    monkeypatch.setattr(os, "pwrite", None)
    assert int(run(lambda item: int(item.sum()), [ones(2)])[0]) == 2 * MEGABYTE


def test_an_item_that_cannot_be_packed_with_its_buffers_aside_travels_by_value():
    scale = 2
    results = run(lambda item: item[1](int(item[0].sum())), [(ones(1), lambda n: n * scale)])
    assert results == [2 * MEGABYTE]


def test_descriptors_and_memory_are_where_they_were_after_many_calls():
    def one(n):
        return bytes(MEGABYTE)

    for _ in range(20):
        run(one, [1], workers=1, reuse=True)
    descriptors, files, memory = len(os.listdir("/proc/self/fd")), memory_files(), resident_bytes()
    for _ in range(300):
        assert len(run(one, [1], workers=1, reuse=True)[0]) == MEGABYTE
    assert (len(os.listdir("/proc/self/fd")), memory_files()) == (descriptors, files)
    assert resident_bytes() - memory < 30 * MEGABYTE
    assert all(os.fstat(crew.words.handle).st_blocks * 512 < 10 * MEGABYTE for crew in pool._pool.idle)
    shutdown()
    assert memory_files() == 0


def test_an_idle_crew_holds_little_memory():
    run(lambda item: item, [ones(30) for _ in range(6)], reuse=True)
    assert sum(os.fstat(crew.words.handle).st_blocks * 512 for crew in pool._pool.idle) <= mail.KEPT_BYTES


def test_few_descriptors_are_enough_for_mail_with_many_workers():
    source = str(Path(pool.__file__).parents[2])
    program = textwrap.dedent("""
        import os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        import numpy as np
        from allcores.processes.windows import MOST_WINDOWS
        from driver import job
        with job(lambda a: a + 1, [np.ones(1 << 20, np.uint8)] * 64, workers=16) as made:
            print(sum(int(each[0]) for each in made.finish()))
            paths = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
            print(sum("memfd:" in os.readlink(path) for path in paths if os.path.lexists(path)) <= 2 + MOST_WINDOWS)
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, str(Path(__file__).parent)])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert (done.stdout.split(), done.stderr) == (["128", "True"], "")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_of_the_caller_holds_no_mail_and_the_caller_goes_on():
    with job(lambda item: int(item.sum()), [ones(1) for _ in range(8)], workers=2) as made:
        pid = os.fork()
        if pid == 0:
            os._exit(memory_files())
        assert os.waitpid(pid, 0)[1] == 0
        assert made.finish() == [MEGABYTE] * 8


def test_a_program_that_a_task_starts_holds_neither_mail_nor_channel():
    def descriptors(n):
        code = "import os; print([os.path.realpath(f'/proc/self/fd/{n}') for n in range(3, 64)])"
        command = [sys.executable, "-c", code]
        return subprocess.run(command, close_fds=False, capture_output=True, text=True).stdout

    (held,) = run(descriptors, [1])
    assert "memfd" not in held
    assert "socket" not in held


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_a_task_holds_only_what_it_prints_into_and_writes_no_mail(tmp_path):
    def leave_a_fork(n):
        pid = os.fork()
        if pid == 0:
            held = [
                os.readlink(f"/proc/self/fd/{name}")
                for name in os.listdir("/proc/self/fd")
                if int(name) > 2 and os.path.lexists(f"/proc/self/fd/{name}")
            ]
            mapped = Path("/proc/self/maps").read_text()
            for k in range(20):
                os.open(tmp_path / f"own {k}", os.O_RDWR | os.O_CREAT)
            words = f"{sum('memfd' in each for each in held)} {mapped.count('memfd')}"
            (tmp_path / "told").write_text(words)
            return ones(3)  # the fork comes back from the function
        os.waitpid(pid, 0)
        return ones(2)

    assert run(leave_a_fork, [1])[0].sum() == 2 * MEGABYTE
    wait_until(lambda: (tmp_path / "told").exists())
    assert (tmp_path / "told").read_text() == "2 0"
    assert all(each.stat().st_size == 0 for each in tmp_path.glob("own *"))
