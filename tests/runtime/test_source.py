"""The input: numbered items, pulled in order, once."""

import itertools

import pytest

from allcores.runtime.source import Source


def pulled(source, count):
    """Everything, pulled so many at a time; the indices must fit."""
    items = []
    while not source.ended:
        first, more = source.take(count)
        assert first == len(items)
        items += more
    assert source.take(count) == (len(items), [])
    assert source.pulled == len(items)
    return items


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    "make",
    [
        lambda: list(range(7)),
        lambda: tuple(range(7)),
        lambda: range(7),
        lambda: iter(range(7)),
        lambda: dict.fromkeys(range(7)),
    ],
)
def test_every_item_is_pulled_once_and_in_order_however_many_at_a_time(make, count):
    assert pulled(Source((make(),)), count) == list(range(7))


def test_several_iterables_are_walked_in_step_to_the_end_of_the_shortest():
    assert pulled(Source(([1, 2, 3], "ab")), 2) == [(1, "a"), (2, "b")]
    assert Source(([1, 2, 3], "ab")).length == 2


def test_batches_are_lists_and_the_last_one_may_be_shorter():
    source = Source((range(5),), batch=2)
    assert source.length == 3
    assert pulled(source, 2) == [[0, 1], [2, 3], [4]]


def test_an_endless_iterator_is_pulled_only_as_far_as_asked():
    counter = itertools.count()
    source = Source((counter,))
    assert source.length is None
    source.take(3)
    assert next(counter) == 3


def test_what_the_iterator_raises_ends_the_input_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    source = Source((items(),))
    assert source.take(10) == (0, [1, 2])
    assert source.ended
    assert str(source.error) == "the disk is gone"


def test_only_what_any_thread_may_read_counts_as_random_access():
    numpy = pytest.importorskip("numpy")
    assert all(Source((items,)).random_access for items in ([1], (1,), range(3), "ab", numpy.arange(3)))
    assert not any(Source((items,)).random_access for items in ({1}, iter([1]), {1: 2}))
    assert not Source(([1], iter([1]))).random_access


def test_a_range_longer_than_an_index_can_count_has_no_known_length():
    source = Source((range(10**30),))
    assert source.length is None
    assert list(source.take(2)[1]) == [0, 1]


def stepping(iterator):
    """A source whose iterator is known to hand out other objects each time."""
    source = Source((iterator,))
    source.take(2)
    assert source.reuses is False
    return source


def test_steps_pull_each_item_when_it_is_asked_for_and_keep_it():
    counter = itertools.count()
    source = stepping(counter)
    steps = source.step_by_step(4)
    walk = iter(steps)
    assert [next(walk), next(walk)] == [2, 3]
    assert next(counter) == 4
    assert list(walk) == [5, 6]
    assert list(steps) == [2, 3, 5, 6]
    assert (source.pulled, source.ended) == (6, False)


def test_steps_end_with_the_input():
    source = stepping(iter(range(5)))
    assert list(source.step_by_step(9)) == [2, 3, 4]
    assert (source.pulled, source.ended) == (5, True)
    assert not source.step_by_step(9)


def test_what_the_iterator_raises_between_two_steps_ends_the_input():
    def items():
        yield from range(4)
        raise OSError("the disk is gone")

    source = stepping(items())
    assert list(source.step_by_step(9)) == [2, 3]
    assert (source.pulled, source.ended) == (4, True)
    assert isinstance(source.error, OSError)


def test_steps_that_are_left_half_way_count_what_they_have_pulled():
    source = stepping(iter(range(10)))
    walk = iter(source.step_by_step(9))
    assert [next(walk), next(walk)] == [2, 3]
    del walk
    assert (source.pulled, source.ended) == (4, False)
