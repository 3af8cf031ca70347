"""The event loop as an engine: pieces, reports, cancellation, and nothing that stays."""

import asyncio
import gc
import threading

import pytest
from driver import job, run, wait_until

from allcores.core.events import ERROR, VALUES, ItemsDone, StartFailed, WorkerLost, WorkerReady
from allcores.engines import event_loop
from allcores.engines.event_loop import EventLoop
from allcores.tasks.task import MAP, Task


@pytest.fixture(autouse=True)
def nothing_is_left(caplog):
    yield
    gc.collect()
    assert [each.name for each in threading.enumerate() if each.name.startswith("allcores-")] == []
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def square(x):
    await asyncio.sleep(0)
    return x * x


async def hang(x):
    await asyncio.sleep(1000)


def engine_of(function):
    return EventLoop(Task(((MAP, function),)))


@pytest.mark.parametrize(
    "function", [square, lambda x: x * x, lambda x: square(x)], ids=["async", "plain", "lambda"]
)
@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_results_are_those_of_the_loop(function, chunk):
    assert run(function, range(50), chunk=chunk, make=EventLoop) == [x * x for x in range(50)]


def test_an_engine_that_was_never_used_starts_nothing():
    engine = engine_of(square)
    engine.close(reuse=True)
    assert list(event_loop._open) == []


def test_outcomes_of_a_piece_cover_its_items_in_order():
    async def odd_fails(x):
        await asyncio.sleep(0)
        if x % 2:
            raise ValueError(x)
        return x

    with job(odd_fails, range(7), workers=1, chunk=7, make=EventLoop) as made:
        made.finish()
    assert [(each.start, each.stop, each.kind) for each in made.outcomes] == [
        (x, x + 1, ERROR if x % 2 else VALUES) for x in range(7)
    ]
    assert made.outcomes[1].body.__notes__ == ["allcores: item 1"]


def test_errors_say_whether_they_may_be_tried_again():
    async def fail(x):
        raise (KeyError if x else OSError)(x)

    with job(fail, range(2), retry_on=(KeyError,), make=EventLoop) as made:
        made.finish()
    assert {each.start: each.retryable for each in made.outcomes} == {0: False, 1: True}


def test_what_has_finished_is_reported_while_the_next_item_of_the_piece_runs(monkeypatch):
    monkeypatch.setattr(event_loop, "FLUSH_SECONDS", 0.0)
    free = threading.Event()

    async def last_waits(x):
        while x == 2 and not free.is_set():
            await asyncio.sleep(0.001)
        return x

    with job(last_waits, range(3), workers=1, chunk=3, make=EventLoop) as made:
        made.until(lambda made: {0, 1} <= set(made.settled))
        assert 2 not in made.settled
        assert made.engine.look(0)[0] == 2
        free.set()
        assert made.finish() == [0, 1, 2]


def test_a_kill_cancels_the_running_item_and_names_it():
    engine = engine_of(hang)
    payload = engine.pack(10, [0, 1])
    engine.boot(0)
    engine.send(0, payload, 10, 10, 12)
    wait_until(lambda: engine.look(0)[0] == 10)
    engine.kill(0)
    events = []
    wait_until(
        lambda: events.extend(engine.wait(0.1)) or any(isinstance(each, WorkerLost) for each in events)
    )
    lost = next(each for each in events if isinstance(each, WorkerLost))
    assert (lost.worker, lost.running) == (0, 10)
    engine.close(reuse=True)
    assert not [each for each in events if isinstance(each, ItemsDone) and each.outcomes]


def test_after_a_cancel_every_piece_ends():
    engine = engine_of(hang)
    payload = engine.pack(0, list(range(6)))
    for worker in range(2):
        engine.boot(worker)
        for piece in range(3):
            engine.send(worker, payload, 0, 3 * worker + piece, 3 * worker + piece + 1)
    wait_until(lambda: engine.look(0)[0] == 0 and engine.look(1)[0] == 3)
    engine.cancel()
    events = []
    wait_until(
        lambda: events.extend(engine.wait(0.1)) or sum(isinstance(each, ItemsDone) for each in events) == 6
    )
    assert all(each.last and not each.outcomes for each in events if isinstance(each, ItemsDone))
    engine.close(reuse=True)


def test_a_wait_ends_when_it_is_rung():
    engine = engine_of(square)
    engine.ring()
    assert engine.wait(20.0) == []
    engine.boot(0)
    assert engine.wait(20.0) == [WorkerReady(0)]
    engine.close(reuse=True)


def test_closing_waits_for_what_cleans_up():
    cleaned = []

    async def clean_up(x):
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0.02)
            cleaned.append(x)

    with job(clean_up, range(5), workers=5, make=EventLoop) as made:
        wait_until(lambda: all(made.engine.look(worker)[0] is not None for worker in range(5)))
    assert sorted(cleaned) == list(range(5))


def test_a_coroutine_that_will_not_end_is_left_behind_with_a_word(monkeypatch, caplog):
    monkeypatch.setattr(event_loop, "LAST_WORDS_SECONDS", 0.05)
    free = threading.Event()
    began = threading.Event()

    async def stubborn(x):
        while not free.is_set():
            began.set()
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                pass

    with job(stubborn, [0], workers=1, make=EventLoop) as made:
        assert began.wait(20)
        thread = made.engine._thread
    assert "goes on although it was cancelled" in caplog.text
    free.set()
    thread.join(20)
    assert not thread.is_alive()


def test_async_generators_and_threads_of_the_loop_end_with_it():
    closed = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    kept = []

    async def first(x):
        generator = numbers()
        kept.append(generator)
        return await anext(generator) + await asyncio.to_thread(abs, x)

    assert run(first, [-1], make=EventLoop) == [2]
    assert closed == [True]


def test_a_callers_loop_that_is_closed_is_an_error_and_no_hang():
    loop = asyncio.new_event_loop()
    engine = EventLoop(Task(((MAP, square),)), None, loop)
    loop.close()
    engine.boot(0)
    engine.send(0, engine.pack(0, [1]), 0, 0, 1)
    assert any(isinstance(event, StartFailed) for event in engine.wait(1.0))
    engine.close(reuse=True)
