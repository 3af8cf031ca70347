"""Nothing lost: after any end of a call, `partial` gives what had finished, by index."""

import asyncio
import functools
import os
import time

import pytest

import allcores as ac

from . import functions as on


def fail_at_7(x):
    if x == 7:
        raise ValueError("seven")
    return 10 * x


def fail_at_7_of_two(x, y):
    return fail_at_7(x)


def wait_for(path, x):
    """Item 5 ends only when there is such a file."""
    while x == 5 and not os.path.exists(path):
        time.sleep(0.002)
    return x


def outputs_before_7(found, output=lambda x: 10 * x):
    assert {x: output(x) for x in range(7)}.items() <= found.items()
    assert all(value == output(x) for x, value in found.items())
    assert 7 not in found
    assert list(found) == sorted(found)
    return True


def test_after_an_error_of_map_and_starmap(way):
    with pytest.raises(ValueError) as caught:
        way.map(fail_at_7, range(10))
    assert outputs_before_7(ac.partial(caught.value))
    with pytest.raises(ValueError) as caught:
        way.starmap(fail_at_7_of_two, [(x, x) for x in range(10)])
    assert outputs_before_7(ac.partial(caught.value))


def test_what_items_have_printed_moves_no_result_to_another_place(way, capsys):
    def fail_and_tell(x):
        if x % 3 == 1:
            print("item", x)
        return fail_at_7(x)

    for items in (range(10), iter(range(10))):
        with pytest.raises(ValueError) as caught:
            way.map(fail_and_tell, items, retries=1)
        assert outputs_before_7(ac.partial(caught.value))


def test_after_an_error_of_a_collected_stream(way):
    with pytest.raises(ValueError) as caught:
        way.par(range(10)).map(fail_at_7).collect()
    assert outputs_before_7(ac.partial(caught.value))
    with pytest.raises(ValueError) as caught:
        way.par(range(10)).map(fail_at_7).filter(lambda x: x != 20).collect()
    assert outputs_before_7(ac.partial(caught.value), lambda x: [10 * x] if x != 2 else [])


def test_in_whichever_order_results_came(way):
    with pytest.raises(ValueError) as caught:
        way.par(range(10), ordered=False).map(fail_at_7).collect()
    found = ac.partial(caught.value)
    assert all(value == 10 * x for x, value in found.items())


def test_of_a_stream_that_is_walked_only_what_was_not_handed_over(way):
    taken = []
    with pytest.raises(ValueError) as caught:
        for value in way.par(range(10)).map(fail_at_7):
            taken.append(value)
    assert taken == [10 * x for x in range(7)]
    assert all(x > 7 and value == 10 * x for x, value in ac.partial(caught.value).items())


def test_a_reduction_has_no_parts_to_give(way):
    with pytest.raises(ValueError) as caught:
        way.par(range(10)).map(fail_at_7).sum()
    assert ac.partial(caught.value) == {}
    assert ac.partial(ValueError()) == {}


def test_after_a_deadline(parallel, tmp_path):
    path = tmp_path / "never" if parallel.name != "threads" else tmp_path / "late"
    with pytest.raises(ac.DeadlineExceeded) as caught:
        parallel.map(functools.partial(wait_for, str(path)), range(10), deadline=2, n_jobs=1, chunksize=1)
    found = ac.partial(caught.value)
    path.parent.joinpath("late").touch()
    assert found == {x: x for x in range(5)}


def test_after_a_failing_input_and_an_interrupt(way):
    def items(error):
        yield from range(5)
        raise error

    with pytest.raises(OSError) as caught:
        way.map(on.double, items(OSError("input")))
    assert ac.partial(caught.value) == {x: 2 * x for x in range(5)}
    for call in (
        lambda items: way.map(on.double, items),
        lambda items: way.par(items).map(on.double).collect(),
    ):
        with pytest.raises(KeyboardInterrupt) as interrupted:
            call(items(KeyboardInterrupt()))
        found = ac.partial(interrupted.value)
        assert found.items() <= {x: 2 * x for x in range(5)}.items()


def test_of_failures_that_are_returned_the_deadline_keeps_those_too(way):
    def items():
        yield from range(10)
        raise OSError("input")

    with pytest.raises(OSError) as caught:
        way.map(fail_at_7, items(), on_error="return")
    found = ac.partial(caught.value)
    assert type(found.pop(7)) is ac.Failure
    assert found == {x: 10 * x for x in range(10) if x != 7}


def test_results_that_cannot_be_rebuilt_hide_no_others(moving):
    class Trap:
        def __reduce__(self):
            return int, ("not a number",)

    def function(x):
        if x == 0:
            raise ValueError("first")
        return Trap() if x == 1 else x

    with pytest.raises(ValueError) as caught:
        moving.map(function, range(4), chunksize=1)
    assert ac.partial(caught.value).items() <= {2: 2, 3: 3}.items()


# -- awaited ------------------------------------------------------------------------------------------------


async def caught_of(awaitable, kind=ValueError):
    with pytest.raises(kind) as caught:
        await awaitable
    return caught.value


def test_after_an_error_of_amap(way):
    error = asyncio.run(caught_of(way.amap(fail_at_7, range(10))))
    assert outputs_before_7(ac.partial(error))


def test_after_an_error_of_amap_of_coroutines():
    async def fail_or_wait(x):
        await asyncio.sleep(0)
        return fail_at_7(x)

    async def items():
        for x in range(10):
            yield x

    error = asyncio.run(caught_of(ac.amap(fail_or_wait, items(), n_jobs=1)))
    assert outputs_before_7(ac.partial(error))


def test_of_a_stream_that_is_walked_by_async_for_only_what_was_not_handed_over(way):
    taken = []

    async def walk(stream):
        async for value in stream:
            taken.append(value)

    error = asyncio.run(caught_of(walk(way.par(range(10)).map(fail_at_7))))
    assert taken == [10 * x for x in range(7)]
    assert all(x > 7 and value == 10 * x for x, value in ac.partial(error).items())


def test_what_async_for_had_not_handed_over_is_there():
    """With one worker, which runs all before the first is taken."""
    stream = ac.par(range(10), ordered=False, engine="processes", n_jobs=1, chunksize=10).map(fail_at_7)

    async def walk():
        async for _ in stream:
            pass

    error = asyncio.run(caught_of(walk()))
    assert ac.partial(error).items() <= {8: 80, 9: 90}.items()


def test_after_a_deadline_of_amap(parallel, tmp_path):
    path = tmp_path / "never" if parallel.name != "threads" else tmp_path / "late"
    waiting = functools.partial(wait_for, str(path))
    call = parallel.amap(waiting, range(10), deadline=2, n_jobs=1, chunksize=1)
    error = asyncio.run(caught_of(call, ac.DeadlineExceeded))
    found = ac.partial(error)
    path.parent.joinpath("late").touch()
    assert found == {x: x for x in range(5)}


def test_a_cancelled_amap_gives_what_had_finished_too():
    began = asyncio.Event()

    async def stay_at_5(x):
        if x == 5:
            began.set()
            await asyncio.sleep(1000)
        return x

    async def cancel():
        job = asyncio.ensure_future(ac.amap(stay_at_5, range(10), n_jobs=1))
        await began.wait()
        job.cancel()
        return await caught_of(job, asyncio.CancelledError)

    assert ac.partial(asyncio.run(cancel())) == {x: x for x in range(5)}
