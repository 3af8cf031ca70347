"""The guard's watch over one job."""

import operator

import pytest

import allcores as ac
from allcores.core.plan import PROCESSES, THREADS
from allcores.options import checked
from allcores.runtime.source import Source
from allcores.runtime.watch import Watch
from allcores.tasks.task import Task
from guard import foreign

ROWS = []
append = operator.methodcaller("append", 1)  # no function of the user's: nobody reads what it does


def unseen(x):
    append(ROWS)
    return x


def watch(function, **options):
    return Watch(Task((("map", function),)), checked(options))


def ran(looking, function, items, worth_it=True):
    looking.begins(items, worth_it)
    for item in items:
        function(item)
    looking.ended()


def test_a_write_that_no_reading_finds_is_seen_by_comparing():
    looking = watch(unseen)
    ran(looking, unseen, [1])
    refused = looking.ask()
    assert set(refused) == {THREADS, PROCESSES}
    assert "the global 'ROWS' was changed while an item ran" in refused[PROCESSES]
    with pytest.warns(ac.LostWriteWarning, match="ROWS"):
        looking.tell()


def test_where_work_has_moved_by_then_it_is_told_afterwards():
    looking = watch(unseen)
    looking.begins([1], False)
    assert looking.ask() == {}
    unseen(1)
    looking.ended()
    with pytest.warns(ac.LostWriteWarning, match="ROWS"):
        looking.tell()


def test_an_estimator_that_is_fitted_out_of_sight_is_seen_by_comparing():
    learn = operator.methodcaller("learn", [1, 2])
    looking = watch(learn)
    ran(looking, learn, [foreign.Estimator()])
    assert "'item' was changed" in looking.ask()[PROCESSES]
    with pytest.warns(ac.LostWriteWarning, match=r"sklearn\.base\.clone"):
        looking.tell()


def test_an_item_that_changes_is_seen_by_comparing():
    looking = watch(append)
    ran(looking, append, [[]])
    assert "'item' was changed" in looking.ask()[PROCESSES]


def test_nothing_is_told_twice():
    looking = watch(unseen)
    ran(looking, unseen, [1])
    looking.ask()
    with pytest.warns(ac.LostWriteWarning):
        looking.tell()
    looking.tell()


def test_nobody_looks_where_writes_are_allowed():
    looking = watch(unseen, writes="allow")
    ran(looking, unseen, [1])
    assert looking.ask() == {}
    looking.tell()


def test_only_the_first_items_are_compared():
    looking = watch(unseen)
    for _ in range(5):
        ran(looking, lambda x: x, [1])
    ran(looking, unseen, [1])
    assert looking.ask() == {}


def test_cheap_items_are_compared_once():
    looking = watch(unseen)
    ran(looking, lambda x: x, [1], worth_it=False)
    ran(looking, unseen, [1], worth_it=False)
    assert looking.ask() == {}


def test_one_object_again_and_again_is_not_for_threads():
    import numpy as np

    array = np.arange(3.0)
    looking = watch(np.sort)
    ran(looking, np.sort, [array])
    ran(looking, np.sort, [array])
    assert looking.ask() == {}
    assert not looking.threads_may_compute
    apart = watch(np.sort)
    ran(apart, np.sort, [array])
    ran(apart, np.sort, [array.copy()])
    assert apart.ask() == {}
    assert apart.threads_may_compute


def test_one_object_again_and_again_out_of_an_iterator_is_not_for_anybody():
    source = Source((iter([ROWS] * 3),))
    looking = watch(len)
    ran(looking, len, source.ahead(1)[1])
    ran(looking, len, source.ahead(1)[1])
    assert set(looking.ask()) == {THREADS, PROCESSES}
    assert source.reuses


def test_what_was_compared_is_counted_as_long_as_nothing_had_changed():
    looking = watch(unseen)
    ran(looking, len, [[1]])
    ran(looking, len, [[1]])
    assert looking.prior.clean == 2
    ran(looking, unseen, [1])
    assert looking.prior.clean == 0


def test_what_nothing_can_change_has_been_seen_before():
    looking = watch(abs)
    looking.begins([1], False)
    assert looking.seen_before()


@pytest.mark.parametrize(("clean", "seen"), [(0, False), (2, False), (3, True)])
def test_what_can_change_has_been_seen_before_once_three_items_left_it_alone(clean, seen):
    looking = watch(len)
    looking.begins([[1]], False)
    looking.prior.clean = clean
    assert looking.seen_before() is seen


def after(found, **options):
    """The watch of the next call, which is about to run its first item, after one that found this."""
    looking = watch(unseen, **options)
    looking.prior = found
    looking.begins([1], False)
    return looking


def test_what_one_call_saw_too_late_the_next_one_knows_beforehand():
    first = watch(unseen)
    first.begins([1], False)
    assert first.ask() == {}
    unseen(1)
    first.ended()
    second = after(first.prior)
    assert "the global 'ROWS' was changed while an item ran" in second.ask()[PROCESSES]
    with pytest.warns(ac.LostWriteWarning, match="ROWS"):
        second.tell()
    assert after(first.prior, writes="allow").ask() == {}
    second.ended()
    assert after(first.prior).ask() == {}  # an item left it alone
