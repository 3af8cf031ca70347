"""Plain items and results travel together, and nobody can tell."""

import functools
import os
import signal
import sys
from pathlib import Path

import pytest
from driver import Job, job, run
from work import square

import allcores as ac
from allcores.core.events import VALUES, ItemsDone, WorkerLost
from allcores.engines.packed import Each, Together
from allcores.errors import Unpicklable
from allcores.processes import wire
from allcores.processes.channel import Channel
from allcores.tasks import pickling

pytestmark = pytest.mark.usefixtures("start_method")

RECORDS = [{"id": i, "name": "same", "ok": True, "price": i / 2} for i in range(200)]


def bodies_of(made):
    return [
        (outcome.stop - outcome.start, len(outcome.body))
        for outcome in made.outcomes
        if outcome.kind == VALUES
    ]


def pieces(payload, start, stop):
    return b"".join(payload.piece(start, stop, b""))


def test_each_of_many_plain_dicts_is_pristine_and_so_are_equal_parts_of_them():
    def spoil(record):
        before = sorted(record)
        record.clear()
        return len(before)

    assert run(spoil, RECORDS, workers=1, chunk=200) == [4] * 200


def test_the_same_dict_many_times_is_pristine_each_time():
    same = {"a": 1}

    def mutate(record):
        record["a"] += 1
        record["b"] = 1
        return record["a"], len(record)

    assert run(mutate, [same, *RECORDS[:3:2], same][::3] * 4, workers=1, chunk=8) == [(2, 2)] * 8


def test_a_list_inside_several_items_is_pristine_each_time():
    same = [1]

    def mutate(record):
        record["list"].append(1)
        return len(record["list"])

    assert run(mutate, [{"list": same} for _ in range(4)], workers=1, chunk=4) == [2] * 4


def test_any_part_of_a_chunk_can_be_sent_again_as_it_was_packed():
    items = [{"n": n} for n in range(10)]
    with job(lambda item: item["n"], items, workers=0) as made:
        payload = made.payload
        assert isinstance(payload, Together)
        for item in items:
            item["n"] = "changed by the user meanwhile"
        made.workers, made._todo = 1, [(3, 7), (0, 10), (5, 6)]
        made.settle = lambda index, value: made.settled.setdefault(index, []).append(value)
        made.feed(made.boot())
        made.until(lambda made: sum(map(len, made.settled.values())) == 15)
        assert made.settled == {n: [n] * (1 + (3 <= n < 7) + (n == 5)) for n in range(10)}


def test_a_range_takes_few_bytes_and_any_part_of_it_can_be_sent():
    with job(square, [], workers=0) as made:
        payload = made.engine.pack(0, range(10, 1_000_000, 3))
        assert payload.size_bytes < 100
        assert len(pieces(payload, 0, 333_330)) < 200
        assert len(pieces(payload, 100, 200_000)) < 200
    assert run(square, range(7)) == [n * n for n in range(7)]


def test_many_small_items_take_few_bytes_on_the_wire(monkeypatch):
    sent = []
    real = Channel.send
    monkeypatch.setattr(
        Channel, "send", lambda self, parts, fds=(): sent.extend(map(len, parts)) or real(self, parts, fds)
    )
    assert run(square, [float(n) for n in range(1000)], workers=1, chunk=1000)[3] == 9.0
    assert sum(each for each in sent if each > 8000) < 10 * 1000  # nine bytes a float


def test_results_that_are_plain_come_together():
    with job(lambda n: n, range(1000), workers=1, chunk=1000) as made:
        assert made.finish() == list(range(1000))
        assert sum(bodies for _, bodies in bodies_of(made)) < 100
    with job(lambda n: {"n": n, "t": "x"}, range(1000), workers=1, chunk=1000) as made:
        assert made.finish() == [{"n": n, "t": "x"} for n in range(1000)]
        assert sum(bodies for _, bodies in bodies_of(made)) < 100


def test_a_dict_that_is_changed_and_returned_comes_together_too():
    def add(record):
        record["more"] = 1
        return record

    with job(add, RECORDS, workers=1, chunk=200) as made:
        assert made.finish() == [{**record, "more": 1} for record in RECORDS]
        assert sum(bodies for _, bodies in bodies_of(made)) < 100


def test_a_result_that_the_function_goes_on_changing_is_what_it_was_when_it_was_returned():
    def count(n, seen=[]):  # noqa: B006
        seen.append(n)
        return seen

    assert run(count, range(50), workers=1, chunk=50) == [list(range(n + 1)) for n in range(50)]


def test_a_result_whose_inside_the_function_goes_on_changing_is_what_it_was_too():
    def count(n, seen=[]):  # noqa: B006
        seen.append(n)
        return {"seen": seen}

    assert run(count, range(50), workers=1, chunk=50) == [{"seen": list(range(n + 1))} for n in range(50)]


@pytest.mark.parametrize("bad", [0, 3, 9])
def test_among_plain_results_others_stand_at_their_places(bad):
    def mixed(n):
        if n == bad:
            return lambda: n
        if n % 4 == 1:
            raise ValueError(n)
        return [n] if n % 2 else complex(n)

    found = run(mixed, range(10), workers=1, chunk=10)
    assert found[bad]() == bad
    assert all(type(found[n]) is ValueError and found[n].args == (n,) for n in (1, 5, 9) if n != bad)
    assert [found[n] for n in (2, 4, 6, 7, 8)] == [2, 4, 6, [7], 8]


def test_an_unpicklable_result_among_plain_ones_is_blamed_on_its_index():
    found = run(lambda n: sys._getframe() if n == 5 else n, range(10), workers=1, chunk=10)
    assert type(found[5]) is Unpicklable
    assert found[5].index == 5
    assert found[:5] + found[6:] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_a_worker_that_dies_in_a_chunk_of_plain_items_costs_that_item_alone():
    found = run(lambda n: os._exit(3) if n == 6 else n, range(12), workers=1, chunk=12)
    assert (found[6].running, found[6].exitcode) == (6, 3)
    assert [found[n] for n in range(12) if n != 6] == [n for n in range(12) if n != 6]


def test_items_of_other_kinds_go_one_by_one():
    with job(square, [], workers=0) as made:
        assert isinstance(made.engine.pack(0, [functools.partial(square, 1)]), Each)
        assert isinstance(made.engine.pack(0, [{"a": 1}, 2, "x"]), Together)


def test_an_item_is_let_go_once_it_was_run():
    def grow(record):
        import resource

        record["much"] = bytes(bytearray(b"x") * 5_000_000)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    peaks = run(grow, [{} for _ in range(60)], workers=1, chunk=60)
    assert peaks[-1] - peaks[5] < 60_000  # KB; all of them would take 270,000


def test_a_report_says_how_many_bodies_it_has():
    runs = [(0, 5, wire.VALUES, False, 1), (5, 7, wire.VALUES, False, 2)]
    stream = wire.done_head(0.0, 0.0, True, False, runs, [b"five", b"a", b"b"]) + b"fiveab"
    ((_, _, _, body),) = wire.Decoder().feed(stream)
    assert [(run[:2], [bytes(each) for each in bodies]) for run, bodies in wire.open_done(body)[4]] == [
        ((0, 5), [b"five"]),
        ((5, 7), [b"a", b"b"]),
    ]


def test_one_plain_result_alone_is_itself():
    made = Job(lambda n: [n], [4], workers=1)
    try:
        assert made.start().finish() == [[4]]
        assert any(isinstance(event, ItemsDone) for event in made.events)
    finally:
        made.close()


def test_a_worker_that_is_killed_while_it_loads_items_blames_the_first_of_them():
    def die_at_the_next_load(n):
        if n == 1:
            pickling.loads = lambda data: os.kill(os.getpid(), signal.SIGKILL)
        return n

    with job(die_at_the_next_load, range(8), workers=1, chunk=2) as made:
        results = made.finish()
        assert [lost.running for lost in made.lost] == [2]
        assert [results[n] for n in (0, 1, 3, 4, 5, 6, 7)] == [0, 1, 3, 4, 5, 6, 7]


def test_items_for_which_a_worker_has_no_memory_are_errors_and_the_worker_goes_on():
    resource = pytest.importorskip("resource")

    def leave_little(text):
        limit = resource.RLIM_INFINITY
        if text == "little":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * os.sysconf("SC_PAGE_SIZE") + 30_000_000  # enough to tell of it
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        return os.getpid(), len(text)

    chunks = [["little"], ["x" * 100_000_000, "with it"], ["last"]]
    made = Job(leave_little, [], workers=1)
    told = []
    try:
        made.boot()
        for n, items in enumerate(chunks):
            made.engine.send(0, made.engine.pack(n, items), n, n, n + len(items))
            while len(told) <= n:
                events = made.engine.wait(20)
                assert not any(isinstance(event, WorkerLost) for event in events)
                outcomes = [each for event in events for each in getattr(event, "outcomes", ())]
                told += [made.engine.unpack(each) for each in outcomes]
    finally:
        made.close()
    (((worker, _),), error, ((other, _),)) = told
    assert worker == other
    assert isinstance(error, Unpicklable)
    assert "not enough memory for item 1" in str(error)


@pytest.mark.parametrize("on_error", ["raise", "return"])
def test_where_memory_is_short_for_results_that_came_together_the_call_ends_with_that(monkeypatch, on_error):
    real = pickling.loads

    def loads(body, *args):
        if len(body) > 1000:
            raise MemoryError
        return real(body, *args)

    monkeypatch.setattr(pickling, "loads", loads)
    with pytest.raises(Unpicklable, match="not enough memory"):
        ac.map(float, range(1000), engine="processes", n_jobs=1, chunksize=1000, on_error=on_error)
    monkeypatch.undo()
    assert ac.map(float, range(1000), engine="processes", n_jobs=1, chunksize=1000)[-1] == 999.0


def test_futures_whose_results_came_together_and_find_no_memory_all_say_so(monkeypatch):
    real = pickling.loads

    def loads(body, *args):
        if len(body) > 1000:
            raise MemoryError
        return real(body, *args)

    with ac.Executor(1) as executor:
        assert executor.submit(abs, -1).result() == 1
        monkeypatch.setattr(pickling, "loads", loads)
        with pytest.raises(Unpicklable, match="not enough memory"):
            list(executor.map(float, range(1000), chunksize=1000))
        monkeypatch.undo()
        assert executor.submit(abs, -2).result() == 2
