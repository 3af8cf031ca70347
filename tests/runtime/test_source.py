"""The input: numbered items, pulled in order, once."""

import itertools
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from allcores.runtime import source as source_module
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
    steps = source.ahead(4)[1]
    walk = iter(steps)
    assert [next(walk), next(walk)] == [2, 3]
    assert next(counter) == 4
    assert list(walk) == [5, 6]
    assert list(steps) == [2, 3, 5, 6]
    assert (source.pulled, source.ended) == (6, False)


def test_steps_let_go_what_the_loop_would_have_let_go_by_now():
    source = stepping({index} for index in range(40))
    seen = [weakref.ref(item) for item in source.ahead(30)[1]]
    alive = [index for index, reference in enumerate(seen) if reference() is not None]
    assert len(alive) <= 5


def test_steps_know_their_last_items_by_their_place():
    source = stepping(iter(range(40)))
    steps = source.ahead(30, 4)[1]
    assert list(steps) == list(range(2, 32))
    assert (len(steps), steps[29], steps[-2], steps[26:30]) == (30, 31, 30, [28, 29, 30, 31])
    with pytest.raises(LookupError, match="item 2 has been let go"):
        steps[0]


def test_steps_are_counted_while_they_run():
    source = stepping(iter(range(40)))
    counted = [source.pulled for _ in source.ahead(30, 4)[1]]
    assert counted[-1] >= 25
    assert source.pulled == 32


def test_steps_keep_all_where_the_place_of_any_may_be_asked_for():
    source = stepping(iter(range(40)))
    source.remembers = None
    steps = source.ahead(30, 4)[1]
    assert list(steps) == list(range(2, 32))
    assert steps[0] == 2


def test_steps_end_with_the_input():
    source = stepping(iter(range(5)))
    assert list(source.ahead(9)[1]) == [2, 3, 4]
    assert (source.pulled, source.ended) == (5, True)
    assert not source.ahead(9)[1]


def test_what_the_iterator_raises_between_two_steps_ends_the_input():
    def items():
        yield from range(4)
        raise OSError("the disk is gone")

    source = stepping(items())
    assert list(source.ahead(9)[1]) == [2, 3]
    assert (source.pulled, source.ended) == (4, True)
    assert isinstance(source.error, OSError)


def test_steps_that_are_left_half_way_count_what_they_have_pulled():
    source = stepping(iter(range(10)))
    walk = iter(source.ahead(9)[1])
    assert [next(walk), next(walk)] == [2, 3]
    del walk
    assert (source.pulled, source.ended) == (4, False)


SEQUENCES = [
    list(range(200)),
    tuple(range(200)),
    range(3, 603, 3),
    "ab" * 100,
    bytes(range(200)),
    np.arange(400).reshape(200, 2),
]


@pytest.mark.parametrize("items", SEQUENCES, ids=lambda items: type(items).__name__)
def test_a_stretch_hands_out_what_a_slice_would(items):
    source = Source((items,))
    source.take(7)
    first, stretch = source.ahead(150, 4)
    assert (first, len(stretch), source.pulled) == (7, 150, 8)
    assert list(map(str, stretch)) == list(map(str, items[7:157]))
    assert (len(stretch), source.pulled, source.ended) == (150, 157, False)
    assert str(stretch[149]) == str(stretch[-1]) == str(items[156])
    assert list(map(str, stretch[146:])) == list(map(str, items[153:157]))
    assert len(list(source.ahead(999, 50)[1])) == 43
    assert source.ended


def test_others_may_take_what_a_stretch_has_not_come_to():
    source = Source((list(range(1000)),))
    _, stretch = source.ahead(640, 10)
    walk = iter(stretch)
    assert [next(walk) for _ in range(5)] == [0, 1, 2, 3, 4]
    first, taken = source.take(10)
    mine = [0, 1, 2, 3, 4, *walk]
    assert mine == list(range(first))
    assert taken == list(range(first, first + 10))
    assert len(stretch) == first == 11


def test_pieces_of_a_stretch_grow_with_what_has_been_walked():
    _, stretch = Source((range(20_000),)).ahead(20_000, 4)
    lengths = [len(piece) for piece in stretch.pieces()]
    assert lengths[:3] == [1, 4, 4]
    assert sum(lengths) == 20_000
    assert lengths == [*sorted(lengths[:-1]), lengths[-1]]
    assert max(lengths) == 512
    assert len(lengths) < 100


def test_a_stretch_that_others_were_faster_to_is_empty():
    source = Source((list(range(10)),))
    assert source.take_if_next(0, 4) == [0, 1, 2, 3]
    assert not source.take_if_next(0, 4)
    assert source.take_if_next(4, 9) == [4, 5, 6, 7, 8, 9]
    assert not source.take_if_next(10, 1)


def test_a_list_that_shrinks_meanwhile_ends_where_it_ends():
    shrinking = list(range(300))
    source = Source((shrinking,))
    seen = [(x, shrinking.pop())[0] for x in source.ahead(300, 4)[1]]
    assert seen == list(range(len(seen)))
    assert 150 <= len(seen) == source.pulled < 160
    assert not len(source.ahead(300, 4)[1])
    assert source.ended


def test_dear_items_behind_cheap_ones_are_pulled_one_by_one(monkeypatch):
    clock = {"seconds": 0.0}
    monkeypatch.setattr(source_module, "time", SimpleNamespace(perf_counter=lambda: clock["seconds"]))
    source = Source((list(range(10_000)),))
    _, items = source.ahead(10_000, 256)
    ahead = []
    for item in items:
        ahead.append(source.pulled - item - 1)
        clock["seconds"] += 0.01 if item >= 5_000 else 0.000_005
    assert 64 < max(ahead) <= 256  # cheap ones in pieces
    assert max(ahead[:5_000][-200:]) <= 100  # of half a millisecond, however long the walk was
    assert set(ahead[5_100:]) == {0}
