import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allcores.cli import demo_bound

durations = st.lists(st.floats(1e-3, 10.0), min_size=1, max_size=40)


@given(durations, st.integers(1, 8))
def test_the_longest_share_is_at_least_the_longest_item_and_the_even_share(item_seconds, seats):
    longest = demo_bound.longest_share(item_seconds, seats)
    assert longest >= max(item_seconds)
    assert longest >= sum(item_seconds) / seats * (1 - 1e-9)


@given(st.lists(st.floats(1e-3, 10.0), min_size=1, max_size=6), st.integers(1, 3))
def test_longest_first_is_within_a_third_of_the_best_of_all_ways(item_seconds, seats):
    ways = itertools.product(range(seats), repeat=len(item_seconds))
    best = min(
        max(
            sum(s for s, seat in zip(item_seconds, way, strict=True) if seat == each) for each in range(seats)
        )
        for way in ways
    )
    assert best * (1 - 1e-9) <= demo_bound.longest_share(item_seconds, seats) <= best * (4 / 3) * (1 + 1e-9)


@given(durations, st.integers(1, 8))
def test_balance_is_a_part_of_one(item_seconds, seats):
    assert 0 < demo_bound.balance(item_seconds, seats) <= 1 + 1e-9


def test_items_without_length_are_balanced():
    assert demo_bound.balance([0.0, 0.0], seats=2) == 1.0


@pytest.mark.parametrize(
    ("alone", "together", "expected"),
    [(1.0, [1.0, 1.0], 2.0), (1.0, [2.0, 2.0], 1.0), (1.0, [0.5, 0.5], 2.0), (1.0, [4.0, 4.0], 1.0)],
    ids=["perfect", "one core's worth", "noise above", "noise below"],
)
def test_capacity_lies_between_one_and_the_number_of_processes(alone, together, expected):
    assert demo_bound.capacity(alone, together) == expected
