"""What reaches the user, and when."""

import hypothesis.strategies as st
from hypothesis import given

from allcores.core.order import AsFinished, InOrder


@given(st.lists(st.integers(1, 5), max_size=30), st.randoms(use_true_random=False), st.booleans())
def test_in_order_hands_everything_over_once_and_by_index_whatever_comes_first(sizes, random, eager):
    runs, start = [], 0
    for size in sizes:
        runs.append((start, start + size))
        start += size
    arrivals = random.sample(runs, len(runs))
    line, seen = InOrder(), []
    for run in arrivals:
        line.put(*run, run)
        while eager and (thing := line.take()) is not None:
            seen.append(thing)
    while (thing := line.take()) is not None:
        seen.append(thing)
    assert seen == runs
    assert line.rest() == []


def test_in_order_holds_back_what_comes_too_early():
    line = InOrder()
    line.put(5, 6, "f")
    line.put(1, 2, "b")
    assert line.take() is None
    assert line.rest() == ["b", "f"]


@given(st.lists(st.integers(), max_size=30))
def test_as_finished_hands_over_in_the_order_of_arrival(things):
    line = AsFinished()
    for index, thing in enumerate(things):
        line.put(index, index + 1, thing)
    assert line.rest() == things
    assert [line.take() for _ in things] == things
    assert line.take() is None


def test_what_comes_next_is_certain_only_in_order():
    line = InOrder()
    line.put(0, 2, "first")
    assert not line.is_next(2)
    assert line.take() == "first"
    assert line.is_next(2)
    assert not AsFinished().is_next(0)  # others may overtake an item that has printed its output already
