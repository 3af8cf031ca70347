"""With `cost` the longest items go first; everything that a user sees stays the loop's."""

import re

import pytest

import allcores as ac
from allcores.core import commands as do
from allcores.testing import SimEngine

ITEMS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]


def square(x):
    return x * x


def fails_on_large_ones(x):
    if x > 4:
        raise ValueError(x)
    return x


def simulated(items, **options):
    """The items in the order in which they were sent, and the results."""
    engine = SimEngine(seconds=lambda index, item: float(item), workers=2, boot_seconds=0.0)
    results = ac.map(lambda x: 10 * x, items, engine=engine, **options)
    return [send.start for send in engine.of(do.Send)], results, engine.trace[-1].seconds


def test_the_longest_items_are_sent_first_once_one_is_measured():
    order, results, seconds = simulated(ITEMS, cost=float)
    assert results == [10 * x for x in ITEMS]
    assert order[:2] == [0, 1]
    assert [ITEMS[index] for index in order[3:]] == sorted([ITEMS[i] for i in order[3:]], reverse=True)
    assert seconds <= sum(ITEMS) / 2 + 1
    assert simulated(ITEMS)[0] == sorted(order)


def test_results_and_their_order_are_the_loops(way):
    assert way.map(square, ITEMS, cost=float) == [x * x for x in ITEMS]
    assert way.map(pow, ITEMS, [2] * 9, cost=lambda x, y: x) == [x * x for x in ITEMS[:9]]


def test_the_earliest_failing_item_raises(way):
    with pytest.raises(ValueError, match="5") as caught:
        way.map(fails_on_large_ones, ITEMS, cost=float)
    assert "allcores: item 4" in caught.value.__notes__


def test_reductions_and_random_numbers_stay_what_they_are(way):
    plain = way.par(ITEMS).map(square).sum()
    assert way.par(ITEMS, cost=float).map(square).sum() == plain
    draws = way.map(lambda x, rng: rng.random(), ITEMS, seed=1)
    assert way.map(lambda x, rng: rng.random(), ITEMS, seed=1, cost=float) == draws


def test_an_input_that_is_walked_only_once_is_not_walked_for_its_costs(way):
    assert way.map(square, iter(ITEMS), cost=lambda x: 1 / 0) == [x * x for x in ITEMS]


@pytest.mark.parametrize(
    ("cost", "error", "words"),
    [
        (3, TypeError, "cost must be a function"),
        (lambda x: "long", TypeError, "cost must give a number for each item, not 'long' (item 0)"),
        (lambda x: 4 - x, ValueError, "at least 0, not -1 (item 4)"),
        (lambda x: float("nan"), ValueError, "a finite number"),
        (lambda x: 1 / 0, ZeroDivisionError, "division by zero"),
    ],
)
def test_a_cost_that_means_nothing_is_refused_before_anything_runs(cost, error, words):
    ran = []
    with pytest.raises(error, match=re.escape(words)):
        ac.map(ran.append, ITEMS, engine="inline", cost=cost)
    assert ran == []
