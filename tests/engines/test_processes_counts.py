"""What a chunk takes: pickles, writes, reads, wake-ups and copies are counted. No number depends on the load."""

import os
import tracemalloc
from contextlib import contextmanager
from itertools import count

import numpy as np
import pytest
from counts import (
    ASK,
    Counted,
    between_answers,
    count_channels,
    count_memory,
    count_pickles,
    moved_by,
)
from driver import PATIENCE_SECONDS, wait_until
from work import Point, square

import allcores as ac
from allcores.core.events import ItemsDone, WorkerReady
from allcores.engines.processes import Processes
from allcores.processes import mail, pool, wire
from allcores.tasks.task import MAP, Task

pytestmark = pytest.mark.usefixtures("start_method")

needs_mail = pytest.mark.skipif(not mail.is_possible(), reason="there are no files in memory")
ARRAY_BYTES = 8 << 20
CHUNKS = 40


@contextmanager
def one_worker(function):
    """An engine with one worker, which waits for work."""
    engine = Processes(Task(((MAP, function),)))
    try:
        engine.boot(0)
        while not any(isinstance(event, WorkerReady) for event in engine.wait(PATIENCE_SECONDS)):
            pass
        yield engine
    finally:
        engine.close(reuse=False)


def send(engine, first, items):
    engine.send(0, engine.pack(first, items), first, first, first + len(items))


def answers(engine, chunks=1):
    """The events of so many chunks."""
    events = []
    while sum(event.last for event in events) < chunks:
        arrived = engine.wait(PATIENCE_SECONDS)
        assert arrived
        assert all(isinstance(event, ItemsDone) for event in arrived)
        events += arrived
    return events


def run(engine, items):
    """The results of one chunk."""
    send(engine, 0, items)
    return [value for event in answers(engine) for each in event.outcomes for value in engine.unpack(each)]


def in_worker(engine, items):
    """What a worker has done for one chunk."""
    run(engine, [ASK])
    run(engine, items)
    (log,) = run(engine, [ASK])
    return between_answers(log)


def hold(gate):
    """An item that runs until the gate is opened."""
    with open(gate) as opened:
        return opened.read()


def open_gate(gate):
    with open(gate, "w"):
        pass


@pytest.fixture
def gate(tmp_path):
    path = tmp_path / "gate"
    os.mkfifo(path)
    return str(path)


def kinds_of_frames(log):
    return [frame[0] for data in moved_by(log, "send") for frame in wire.Decoder().feed(data)]


def wake_ups(log):
    return sum(ready > 0 for _, ready in moved_by(log, "select"))


def reads(log):
    """How many there were; none may have been in vain."""
    found = moved_by(log, "recv_into")
    assert None not in found, "nothing was there to be read"
    return len(found)


def pickled_bytes(log):
    return sum(filter(None, moved_by(log, "dumps")))


# -- pickles --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [list(range(100)), range(100), [str(n) for n in range(100)], [{"n": n} for n in range(100)]],
    ids=["numbers", "range", "strings", "dicts"],
)
def test_plain_items_of_a_chunk_share_one_pickle_and_so_do_plain_results(monkeypatch, items):
    log = []
    with one_worker(Counted(lambda item: item)) as engine:
        run(engine, [ASK])
        count_pickles(monkeypatch, log)
        payload = engine.pack(0, items)
        assert len(moved_by(log, "dumps")) == 1
        engine.send(0, payload, 0, 0, len(items))
        assert len(moved_by(log, "dumps")) == 1
        values = [engine.unpack(each) for event in answers(engine) for each in event.outcomes]
        assert [each for part in values for each in part] == list(items)
        (done,) = run(engine, [ASK])
        done = between_answers(done)
        assert len(moved_by(done, "loads")) == 1
        assert len(moved_by(done, "dumps")) == len(moved_by(done, "send"))  # one for each message


def test_items_that_are_not_plain_are_pickled_once_each_and_so_are_such_results(monkeypatch):
    log = []
    items = [Point(n) for n in range(50)]
    with one_worker(Counted(lambda item: item)) as engine:
        run(engine, [ASK])
        count_pickles(monkeypatch, log)
        send(engine, 0, items)
        assert len(moved_by(log, "dumps")) == len(items)
        answers(engine)
        (done,) = run(engine, [ASK])
        done = between_answers(done)
        assert len(moved_by(done, "loads")) == len(items)
        assert len(moved_by(done, "dumps")) == len(items)


# -- writes, reads and wake-ups ---------------------------------------------------------------------------------


@pytest.mark.parametrize("items", [[7], list(range(1000)), [Point(1)]], ids=["item", "many", "object"])
def test_a_chunk_takes_one_write_and_each_message_of_its_worker_one_read_and_one_wake_up(items):
    log = []
    with one_worker(lambda item: 0) as engine:
        run(engine, items)
        while not engine._crew.seat_of(0).born:  # its parent may say so after the worker has answered
            engine.wait(0.01)
        count_channels(engine._crew, log)
        send(engine, 0, items)
        assert kinds_of_frames(log) == [wire.PIECE]
        events = answers(engine)
        assert len(moved_by(log, "send")) == 1
        assert reads(log) == wake_ups(log) <= len(events)  # several messages may come with one


def test_chunks_that_are_sent_at_once_share_a_write_and_a_read(gate):
    log = []
    with one_worker(Counted(lambda item: hold(item) if type(item) is str else item)) as engine:
        run(engine, [ASK])
        send(engine, 0, [ASK])
        answers(engine)
        count_channels(engine._crew, log)
        send(engine, 0, [gate])
        for first in range(1, 1 + CHUNKS):
            send(engine, first, [first])
        assert len(moved_by(log, "send")) == 1, "the worker has enough to do"
        engine.flush()
        assert len(moved_by(log, "send")) == 2
        assert kinds_of_frames(log) == [wire.PIECE] * (1 + CHUNKS)
        open_gate(gate)
        answers(engine, 1 + CHUNKS)
        (done,) = run(engine, [ASK])
        assert len(moved_by(between_answers(done), "filled")) <= 2
        assert len(moved_by(between_answers(done), "send")) == 1 + CHUNKS


def test_answers_that_have_come_meanwhile_share_a_wake_up_and_a_read():
    log = []
    with one_worker(square) as engine:
        (seat,) = engine._crew._seats.values()
        for first in range(CHUNKS):
            send(engine, first, [first])
        engine.flush()
        wait_until(lambda: len(wire.Decoder().feed(peek(seat.channel))) == CHUNKS)
        count_channels(engine._crew, log)
        assert len(answers(engine, CHUNKS)) == CHUNKS
        assert wake_ups(log) == reads(log) == 1


def peek(channel):
    """What has come and was not read."""
    import socket

    try:
        return channel._socket.recv(1 << 16, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def test_a_map_takes_no_more_writes_reads_and_wake_ups_than_it_has_chunks():
    def call():
        return ac.map(square, range(CHUNKS), engine="processes", n_jobs=2, chunksize=1)

    call()
    log = []
    count_channels(pool._pool.idle[-1], log)
    assert call() == [n * n for n in range(CHUNKS)]
    assert set(kinds_of_frames(log)) == {wire.PIECE}
    assert len(moved_by(log, "send")) <= CHUNKS
    assert wake_ups(log) <= reads(log) <= CHUNKS
    assert sum(ready for _, ready in moved_by(log, "select")) == reads(log), "something else woke the caller"
    looks_in_vain = sum(timeout == 0 and not ready for timeout, ready in moved_by(log, "select"))
    assert looks_in_vain <= CHUNKS + 2, (
        "it spins"
    )  # one for each chunk that it took, and two at the beginning


def test_a_report_takes_two_looks_at_what_was_printed_and_at_most_two_at_the_clock():
    with one_worker(Counted(square)) as engine:
        run(engine, list(range(100)))  # the first items are watched one by one
        done = in_worker(engine, [5])
    assert len(moved_by(done, "send")) == 1
    assert len(moved_by(done, "filled")) == 1
    assert len(moved_by(done, "lseek")) == 2
    assert len(moved_by(done, "thread_time")) <= 2


# -- messages of a worker ---------------------------------------------------------------------------------------


def stop_the_clock(item):
    from allcores.processes import worker

    worker.monotonic_ns = lambda: 0
    return item


def advance_the_clock_at_each_look(item):
    from allcores.processes import worker

    if item == "begin":
        worker.monotonic_ns = count(0, 1_000_000).__next__
    return item


def test_a_chunk_of_less_than_two_milliseconds_is_one_message():
    log = []
    with one_worker(stop_the_clock) as engine:
        run(engine, [0])
        count_channels(engine._crew, log)
        send(engine, 0, range(1000))
        (event,) = answers(engine)
        assert [(each.start, each.stop, len(each.body)) for each in event.outcomes] == [(0, 1000, 1)]
        assert wake_ups(log) == reads(log) == 1


def test_a_longer_one_is_one_message_for_every_two_milliseconds():
    with one_worker(advance_the_clock_at_each_look) as engine:
        run(engine, ["begin"])
        send(engine, 0, list("0123456789"))
        found = [[each.stop - each.start for each in event.outcomes] for event in answers(engine)]
        assert found == [[2]] * 5


# -- copies -----------------------------------------------------------------------------------------------------


@contextmanager
def most_bytes_at_a_time(found):
    tracemalloc.start()
    try:
        yield
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def ones(size):
    return np.ones(size, np.uint8)


@needs_mail
@pytest.mark.parametrize("make", [ones, bytes], ids=["array", "bytes"])
def test_a_large_item_is_written_once_and_read_once_and_no_pickle_contains_it(monkeypatch, make):
    log = []
    item = make(ARRAY_BYTES)
    with one_worker(Counted(len)) as engine:
        run(engine, [ASK])
        run(engine, [ASK])
        count_channels(engine._crew, log)
        count_pickles(monkeypatch, log)
        count_memory(monkeypatch, log)
        assert run(engine, [item]) == [ARRAY_BYTES]
        assert moved_by(log, "pwrite") == [ARRAY_BYTES]
        assert moved_by(log, "preadv") == []
        assert pickled_bytes(log) + sum(map(len, moved_by(log, "send"))) < 2000
        (done,) = run(engine, [ASK])
        done = between_answers(done)
        assert moved_by(done, "preadv") == [ARRAY_BYTES]
        assert moved_by(done, "pwrite") == []
        assert sum(moved_by(done, "filled")) < 1000


@needs_mail
@pytest.mark.parametrize("make", [ones, bytes], ids=["array", "bytes"])
def test_a_large_result_is_written_once_and_read_once_too(monkeypatch, make):
    log = []
    with one_worker(Counted(lambda size: make(size))) as engine:
        run(engine, [ASK])
        run(engine, [ASK])
        count_channels(engine._crew, log)
        count_memory(monkeypatch, log)
        (result,) = run(engine, [ARRAY_BYTES])
        assert len(result) == ARRAY_BYTES
        assert moved_by(log, "preadv") == [ARRAY_BYTES]
        assert moved_by(log, "pwrite") == []
        assert sum(moved_by(log, "recv_into")) < 1000
        (done,) = run(engine, [ASK])
        done = between_answers(done)
        assert moved_by(done, "pwrite") == [ARRAY_BYTES]
        assert moved_by(done, "preadv") == []
        assert pickled_bytes(done) + sum(moved_by(done, "send")) < 2000


@needs_mail
def test_nobody_who_sends_or_receives_a_large_array_makes_a_copy_more():
    def most(item):
        """The most bytes at a time in this worker, from its first item on."""
        if item is None:
            tracemalloc.start()
            return None
        most_bytes = tracemalloc.get_traced_memory()[1]
        return most_bytes, np.asarray(item)

    array = np.ones(ARRAY_BYTES, np.uint8)
    found = []
    with one_worker(most) as engine:
        run(engine, [None])
        with most_bytes_at_a_time(found):
            payload = engine.pack(0, [array])
            engine.send(0, payload, 0, 0, 1)
        with most_bytes_at_a_time(found):
            (event,) = answers(engine)
            ((in_worker_bytes, back),) = engine.unpack(event.outcomes[0])
    sender_bytes, receiver_bytes = found
    assert np.array_equal(back, array)
    assert sender_bytes < ARRAY_BYTES / 8
    assert ARRAY_BYTES <= in_worker_bytes < ARRAY_BYTES * 9 / 8
    assert ARRAY_BYTES <= receiver_bytes < ARRAY_BYTES * 9 / 8


# -- the next call ----------------------------------------------------------------------------------------------


def counted_call(monkeypatch, function):
    """The log of a warm call."""

    def call():
        return ac.map(function, list(range(CHUNKS)), engine="processes", n_jobs=2, chunksize=4)

    expected, log = call(), []
    count_pickles(monkeypatch, log)
    count_memory(monkeypatch, log)
    count_channels(pool._pool.idle[-1], log)
    assert call() == expected
    return log


def test_a_warm_call_pickles_function_surroundings_and_each_chunk_once_and_sends_nothing_but_chunks(
    monkeypatch,
):
    log = counted_call(monkeypatch, square)
    assert len(moved_by(log, "dumps")) == 2 + CHUNKS // 4
    assert kinds_of_frames(log) == [wire.PIECE] * (CHUNKS // 4)


@needs_mail
def test_in_a_warm_call_a_captured_array_is_compared_and_neither_pickled_nor_written_again(monkeypatch):
    table = np.ones(ARRAY_BYTES, np.uint8)
    log = counted_call(monkeypatch, lambda n: n + int(table[n]))
    assert kinds_of_frames(log) == [wire.PIECE] * (CHUNKS // 4)
    assert pickled_bytes(log) < ARRAY_BYTES / 8
    assert moved_by(log, "pwrite") == []
    assert sum(moved_by(log, "preadv")) == ARRAY_BYTES
