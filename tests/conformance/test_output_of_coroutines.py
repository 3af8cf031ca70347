"""Output of coroutines that take turns: each item's appears whole, right before its result is delivered."""

import asyncio
import contextlib
import io
import os
import sys

import pytest

import allcores as ac


async def tell(x):
    """Writes to both streams, with others having their turns in between; later items end first."""
    print("begin", x)
    await asyncio.sleep(0)
    print("error", x, file=sys.stderr)
    await asyncio.sleep((19 - x) * 0.0005)
    print("end", x)
    return x


def told(*before, items=range(20)):
    """What the loop that awaits one item after the other would print."""
    return "".join(f"begin {x}\nend {x}\n" + "".join(f"{word} {x}\n" for word in before) for x in items)


@pytest.mark.parametrize("function", [tell, lambda x: tell(x)], ids=["function", "lambda"])
def test_coroutines_that_take_turns_print_what_the_loop_prints(function, capsys):
    ac.map(function, range(20))
    assert capsys.readouterr() == (told(), "".join(f"error {x}\n" for x in range(20)))
    for x in ac.par(range(20)).map(function):
        print("got", x)
    assert capsys.readouterr().out == told("got")
    assert ac.par(range(20)).map(function).sum() == 190
    assert capsys.readouterr().out == told()


@pytest.mark.parametrize("function", [tell, lambda x: tell(x)], ids=["function", "lambda"])
def test_in_the_callers_own_loop_they_do_so_too(function, capsys):
    async def main():
        await ac.amap(function, range(20))
        assert capsys.readouterr().out == told()
        async for x in ac.par(range(20)).map(function):
            print("got", x)
        assert capsys.readouterr().out == told("got")

    asyncio.run(main())


def test_plain_stages_that_run_beside_the_callers_loop_print_in_their_items_turn(capsys):
    def plain(x):
        print("plain", x)
        return x

    async def main():
        async for x in ac.par(range(20)).map(tell).map(plain):
            print("got", x)

    asyncio.run(main())
    assert capsys.readouterr().out == told("plain", "got")


def test_other_tasks_of_the_callers_loop_print_at_once(capsys):
    async def main():
        printed = asyncio.Event()
        seen = []

        async def bystander():
            print("bystander")
            seen.append(capsys.readouterr().out)
            printed.set()

        async def item(x):
            print("item", x)
            await printed.wait()
            return x

        task = asyncio.create_task(bystander())
        await ac.amap(item, range(3))
        await task
        assert seen == ["bystander\n"]

    asyncio.run(main())
    assert capsys.readouterr().out == "item 0\nitem 1\nitem 2\n"


def test_what_an_items_own_tasks_and_threads_print_is_the_items(capsys):
    async def item(x):
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(print, "thread of", x))
        await asyncio.create_task(tell(x))

    ac.map(item, range(10))
    assert capsys.readouterr().out == "".join(f"thread of {x}\nbegin {x}\nend {x}\n" for x in range(10))


def test_a_failing_items_output_comes_before_its_exception_and_nothing_behind_it(capsys):
    async def fail(x):
        await tell(x)
        if x == 7:
            raise ValueError("bad 7")

    with pytest.raises(ValueError, match="bad 7"):
        ac.map(fail, range(20))
    assert capsys.readouterr().out == told(items=range(8))
    results = ac.map(fail, range(20), on_error="return")
    assert type(results[7]) is ac.Failure
    assert capsys.readouterr().out == told()


@pytest.mark.parametrize("wrapped", [False, True])
def test_of_several_attempts_only_the_last_ones_output_is_shown(wrapped, capsys):
    tries = []

    async def awaited(x):
        await asyncio.sleep(0)
        print("awaited", x, tries.count(x))
        if tries.count(x) == 1:
            raise OSError(x)

    def wrapper(x):
        tries.append(x)
        print("called", x, tries.count(x))
        return awaited(x)

    async def function(x):
        await wrapper(x)

    ac.map(wrapper if wrapped else function, range(5), retries=1)
    assert capsys.readouterr().out == "".join(f"called {x} 2\nawaited {x} 2\n" for x in range(5))


def test_an_item_that_began_in_the_calling_thread_loses_nothing_of_what_it_printed_there(capsys):
    def wrapper(x):
        print("called", x)
        return tell(x)

    ac.map(wrapper, range(3), retries=1)
    assert capsys.readouterr().out == "".join(f"called {x}\nbegin {x}\nend {x}\n" for x in range(3))


def test_nothing_of_ours_stays_in_the_callers_streams_however_a_job_ends():
    out = io.StringIO()

    async def stay(x):
        print("before", x)
        await asyncio.sleep(1000 if x else 0)

    async def main():
        async for _ in ac.par(range(50)).map(stay):
            break
        with pytest.raises(ac.TaskTimeout):
            await ac.amap(stay, range(3), timeout=0.05)
        task = asyncio.create_task(ac.amap(stay, range(50)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with contextlib.redirect_stdout(out):
        asyncio.run(main())
        with pytest.raises(ac.TaskTimeout):
            ac.map(stay, range(3), timeout=0.05)
        with contextlib.closing(iter(ac.par(range(50)).map(stay))) as values:
            next(values)
    assert "write" not in {**vars(sys.stdout), **vars(sys.stderr), **getattr(out, "__dict__", {})}
    assert set(out.getvalue().splitlines()) == {"before 0"}


def test_a_task_that_an_item_leaves_behind_prints_at_once(capsys):
    async def main():
        go_on, printed = asyncio.Event(), asyncio.Event()
        left = []

        async def late():
            await go_on.wait()
            print("late")
            printed.set()

        async def item(x):
            if x == 0:
                left.append(asyncio.create_task(late()))
            else:
                for _ in range(10):  # rounds of the loop, in which the piece of item 0 ends
                    await asyncio.sleep(0)
                go_on.set()
                await printed.wait()

        await ac.amap(item, range(2), chunksize=1)

    asyncio.run(main())
    assert capsys.readouterr().out == "late\n"


async def wait_for_ever():
    await asyncio.sleep(1000)


async def say_and_hang(x):
    print("item", x)
    if x == 2:
        print("x" * 5000)
        await asyncio.sleep(0)
        print("last words", file=sys.stderr)
        await wait_for_ever()
    return x


@pytest.mark.parametrize("awaited", [False, True], ids=["map", "amap"])
def test_a_timeout_carries_last_words_and_where_the_coroutine_stood(awaited, capsys):
    async def main():
        await ac.amap(say_and_hang, range(4), timeout=0.2)

    with pytest.raises(ac.TaskTimeout) as caught:
        asyncio.run(main()) if awaited else ac.map(say_and_hang, range(4), timeout=0.2)
    error = caught.value
    assert error.index == 2
    assert len(error.output) <= 4096
    assert "xxxx\nlast words\nStack (most recent call last):\n" in error.output
    assert "in say_and_hang\n    await wait_for_ever()\n" in error.output
    assert "in wait_for_ever\n" in error.output
    assert "in sleep\n" in error.output
    assert "allcores" + os.sep + "engines" not in error.output
    assert "last words" in "".join(error.__notes__)
    assert capsys.readouterr().out == "item 0\nitem 1\n"
