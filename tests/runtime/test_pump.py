"""The pump: nothing that is submitted is lost, whoever holds the lock meanwhile."""

import threading

from allcores.core.events import Closing, Offered, SourceEnded
from allcores.core.rules import Rules
from allcores.runtime.pump import Packed, Pump
from allcores.tasks.task import MAP, Task
from allcores.testing import ItemEnded, SimEngine

DOUBLE = Task(((MAP, lambda x: 2 * x),))


def pump_with(sim, workers=2):
    pump = Pump(Rules(), ordered=True)
    with pump.lock:
        pump.attach(sim.engine_for(DOUBLE), workers, workers)
    return pump


def offer(pump, first, items):
    pump.submit(Offered(first, len(items)), Packed(pump.engine.pack(first, items), None))


def test_an_offer_that_is_submitted_while_another_thread_holds_the_lock_is_not_lost():
    sim = SimEngine()
    pump = pump_with(sim)
    submitted = threading.Event()

    def submit():
        offer(pump, 0, [1, 2, 3])
        submitted.set()

    with pump.lock:
        threading.Thread(target=submit).start()
        assert submitted.wait(10), "submit waits for the lock"
        assert pump.scheduler.offered == 0
        pump.step(None)
        assert pump.scheduler.offered == 3


def test_who_waits_is_rung_when_something_is_submitted():
    pump = pump_with(SimEngine(boot_seconds=3600))
    with pump.lock:
        thread = threading.Thread(target=offer, args=(pump, 0, [1]))
        thread.start()
        thread.join(10)
        pump.step(7200)
        assert pump.now() == 0.0, "it waited although there was mail"


def test_offers_of_many_threads_arrive_each_once():
    sim = SimEngine()
    pump = pump_with(sim)
    threads = [threading.Thread(target=offer, args=(pump, index, [index])) for index in range(40)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with pump.lock:
            pump.empty_mailbox()
    pump.submit(SourceEnded())
    with pump.lock:
        while pump.scheduler.settled < 40:
            pump.step(None)
        values = []
        while (entry := pump.order.take()) is not None:
            values += entry.open()
    assert values == [2 * index for index in range(40)]
    assert sorted(each.item for each in sim.of(ItemEnded)) == list(range(40))
    assert pump.chunks == {}


def test_winding_down_starts_nothing_more_and_waits_only_for_what_runs():
    sim = SimEngine(seconds=1.0)
    pump = pump_with(sim, workers=1)
    offer(pump, 0, [1, 2, 3])
    with pump.lock:
        pump.step(None)
        pump.post(Closing())
        pump.wind_down(5.0)
        assert pump.scheduler.busy_workers() == []
    assert sim.runs() == {0: 1}


def test_the_logger_of_allcores_tells_of_plans_and_of_lost_workers(caplog):
    import allcores as ac
    from allcores.testing import DiesOn, SimEngine

    with caplog.at_level("INFO", logger="allcores"):
        ac.map(abs, range(10), engine=SimEngine(faults=[DiesOn(3)]), n_jobs=2, retries=1)
    assert any("a worker was lost in item 3" in record.getMessage() for record in caplog.records)
    assert {record.name for record in caplog.records} == {"allcores"}
