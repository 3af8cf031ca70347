"""What people and attackers hand in: iterators that reuse their items, errors that resist, results that do not fit."""

import dataclasses
import decimal
import itertools
import os
import subprocess
import sys

import pytest

import allcores as ac


@dataclasses.dataclass(slots=True)
class Slotted:
    value: int


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Refuses:
    """Pickles, and cannot be rebuilt."""

    def __reduce__(self):
        return fail, ("on the way back",)


def fail(words):
    raise RuntimeError(words)


def one_buffer(count):
    buffer = [0]
    for number in range(count):
        buffer[0] = number
        yield buffer


@pytest.mark.parametrize("engine", ["inline", "auto"])
def test_items_that_last_only_until_the_next_one_are_seen_as_the_loop_sees_them(engine):
    groups = itertools.groupby([1, 1, 2, 3, 3])
    assert ac.map(lambda group: list(group[1]), groups, engine=engine) == [[1, 1], [2], [3, 3]]
    assert ac.map(lambda buffer: buffer[0], one_buffer(50), engine=engine) == list(range(50))


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_a_stop_iteration_of_the_function_is_raised_as_it_is(engine):
    with pytest.raises(StopIteration):
        ac.map(lambda x: next(iter([])), range(4), engine=engine)


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_an_exception_that_lets_nobody_add_anything_arrives(engine):
    def function(x):
        raise Frozen(x)

    with pytest.raises(Frozen):
        ac.map(function, range(2), engine=engine)


def test_the_context_of_the_caller_reaches_threads():
    with decimal.localcontext() as context:
        context.prec = 5
        thirds = ac.map(lambda x: str(decimal.Decimal(1) / 3), range(20), engine="threads")
    assert set(thirds) == {"0.33333"}


def test_a_result_that_cannot_be_rebuilt_is_a_failure_of_its_item_alone():
    results = ac.map(
        lambda x: Refuses() if x == 2 else x,
        range(4),
        engine="processes",
        n_jobs=1,
        chunksize=4,
        on_error="return",
    )
    assert [*results[:2], results[3]] == [0, 1, 3]
    assert results[2].index == 2
    assert isinstance(results[2].error, ac.Unpicklable)


def test_an_item_that_closes_its_worker_s_channel_is_lost_alone_and_ran_once(tmp_path):
    ledger = tmp_path / "ledger"

    def function(x):
        with ledger.open("a") as file:
            file.write(f"{x}\n")
        if x == 2:
            os.closerange(3, 100)
        return x

    results = ac.map(function, range(5), engine="processes", n_jobs=2, on_error="return")
    assert [x for x in results if not isinstance(x, ac.Failure)] == [0, 1, 3, 4]
    assert isinstance(results[2].error, ac.WorkerLost)
    assert ledger.read_text().split().count("2") == 1


SLOTTED = """
import dataclasses
import allcores as ac

@dataclasses.dataclass(slots=True)
class Slotted:
    value: int

print(ac.map(lambda x: Slotted(x), range(3), engine="processes"))
"""

OPEN_STREAM = """
import allcores as ac
stream = iter(ac.par(range(50), engine={engine!r}).map(abs))
print(next(stream))
"""


def output_of(program):
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    return ran.returncode, ran.stdout, ran.stderr


def test_results_of_a_class_with_slots_of_the_main_program_come_back():
    assert output_of(SLOTTED) == (0, "[Slotted(value=0), Slotted(value=1), Slotted(value=2)]\n", "")


@pytest.mark.parametrize("engine", ["inline", "threads", "processes", "auto"])
def test_a_stream_that_is_still_open_does_not_keep_the_interpreter(engine):
    assert output_of(OPEN_STREAM.format(engine=engine)) == (0, "0\n", "")


def test_a_retry_does_not_swallow_an_interrupt():
    calls = []

    def function(x):
        calls.append(x)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ac.map(function, range(3), engine="inline", retries=3, retry_on=BaseException)
    assert calls == [0]


def test_slotted_results_of_importable_classes_come_back():
    assert ac.map(Slotted, range(3), engine="processes", n_jobs=2) == [Slotted(0), Slotted(1), Slotted(2)]


def test_a_reduction_over_a_reused_buffer_is_that_of_the_loop():
    assert ac.par(one_buffer(100), engine="inline").map(lambda buffer: buffer[0]).sum() == sum(range(100))
