"""Coroutines that run at the same time are different workers: each has a number of its own."""

import asyncio
import threading

import allcores as ac


class Meeting:
    """Items that all wait for each other and then say which worker runs them, before and after."""

    def __init__(self, count):
        self.there = 0
        self.count = count

    async def number(self, x):
        before = ac.worker_index()
        self.there += 1
        while self.there < self.count:
            await asyncio.sleep(0)
        assert ac.worker_index() == before
        return before


def test_items_in_flight_at_once_have_different_numbers():
    assert sorted(ac.map(Meeting(50).number, range(50))) == list(range(50))
    assert sorted(ac.map(Meeting(3).number, range(3), n_jobs=3, chunksize=1)) == [0, 1, 2]

    async def main():
        assert sorted(await ac.amap(Meeting(50).number, range(50))) == list(range(50))
        stream = ac.par(range(50)).map(Meeting(50).number)
        assert sorted([number async for number in stream]) == list(range(50))
        assert ac.worker_index() is None

    asyncio.run(main())
    assert ac.worker_index() is None


def test_no_number_is_as_large_as_n_jobs():
    async def number(x):
        await asyncio.sleep(0)
        return ac.worker_index()

    assert set(ac.map(number, range(100), n_jobs=4)) <= set(range(4))
    assert set(ac.map(number, iter(range(100)), n_jobs=1)) == {0}


def test_the_number_of_an_item_that_timed_out_is_given_to_the_next():
    async def number(x):
        await asyncio.sleep(1000 if x % 3 == 2 else 0)
        return ac.worker_index()

    results = ac.map(number, range(12), n_jobs=2, on_error="return", timeout=0.05, chunksize=1)
    assert {each for each in results if not isinstance(each, ac.Failure)} <= {0, 1}
    assert sum(isinstance(each, ac.Failure) for each in results) == 4


def test_what_an_item_starts_has_its_number():
    async def numbers(x):
        await asyncio.sleep(0)
        return {
            ac.worker_index(),
            await asyncio.create_task(asyncio.to_thread(ac.worker_index)),
            *ac.map(lambda y: ac.worker_index(), range(3), engine="inline"),
        }

    def plain(numbers):
        return numbers | {ac.worker_index()}

    stream = ac.par(range(20), n_jobs=5).map(numbers).map(plain)
    assert {len(each) for each in stream} == {1}

    async def main():
        assert {len(each) async for each in stream} == {1}

    asyncio.run(main())


def test_workers_of_a_call_inside_an_item_have_their_own():
    meeting = threading.Barrier(3)

    async def inner(x):
        await asyncio.sleep(0)

        def number(y):
            meeting.wait(20)
            return ac.worker_index()

        return sorted(ac.map(number, range(3), engine="threads", n_jobs=3, chunksize=1))

    assert ac.map(inner, range(3)) == [[0, 1, 2]] * 3


def test_setup_is_called_by_number_0():
    async def number(x, state):
        return state

    assert ac.map(number, range(3), setup=ac.worker_index) == [0, 0, 0]
