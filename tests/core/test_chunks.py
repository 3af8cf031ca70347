"""How many items next: never none, never more than are left for a worker, and no more the dearer they are."""

import math

import hypothesis.strategies as st
from hypothesis import given

from allcores.core import chunks
from allcores.core.combine import leaf_end

costs = st.floats(1e-9, 1e4)
counts = st.integers(1, 10**9)
workers = st.integers(1, 10_000)
seens = st.integers(1, 10**9)


@given(costs, seens, st.none() | counts, workers)
def test_a_chunk_has_an_item_and_leaves_the_other_workers_theirs(cost, seen, remaining, workers):
    size = chunks.next_size(cost, seen, remaining, workers)
    assert size >= 1
    if remaining is not None:
        assert size <= max(1, -(-remaining // workers))


@given(costs, seens, st.none() | counts, workers)
def test_a_chunk_of_more_than_one_item_runs_no_longer_than_the_longest(cost, seen, remaining, workers):
    size = chunks.next_size(cost, seen, remaining, workers)
    assert size == 1 or size * cost <= chunks.LONGEST_CHUNK_SECONDS * (1 + 1e-9)


@given(costs, seens, st.floats(1, 1000), st.none() | counts, workers)
def test_dearer_items_make_no_larger_chunks_up_to_rounding(cost, seen, factor, remaining, workers):
    share_is_the_limit = remaining is not None and remaining < 12 * workers
    if not share_is_the_limit:
        dear, cheap = (chunks.next_size(each, seen, remaining, workers) for each in (cost * factor, cost))
        assert (
            dear <= cheap + 1
            or chunks.target_seconds(cost, remaining, workers) < chunks.LONGEST_CHUNK_SECONDS
        )


@given(costs, st.integers(1, 1000), st.none() | counts, workers)
def test_a_chunk_is_at_most_twice_as_many_items_as_were_measured(cost, seen, remaining, workers):
    assert chunks.next_size(cost, seen, remaining, workers) <= 2 * seen


@given(st.integers(0, 1 << 30), st.integers(1, 5000), costs)
def test_a_chunk_of_a_reduction_ends_with_a_leaf_unless_leaves_are_long(first, size, cost):
    rounded = chunks.to_leaf(first, size, cost)
    assert rounded >= size
    assert rounded == size or first + rounded == leaf_end(first + size - 1)


@given(st.none() | st.floats(0, 1e3), st.just(math.inf) | st.floats(0, 1e6), st.booleans())
def test_a_worker_has_something_at_hand_and_more_while_the_caller_is_away(seconds, bound, away):
    depth = chunks.at_hand(seconds, bound, away)
    assert 1 <= depth <= chunks.MOST_AT_HAND
    assert depth >= chunks.at_hand(seconds, bound, False)
    assert depth >= chunks.at_hand(seconds, 1.0, away)


@given(st.floats(0, 1e-4), st.floats(4, 100))
def test_of_very_short_chunks_many_are_at_hand_but_none_that_would_be_the_last_to_end(seconds, bound):
    depth = chunks.at_hand(seconds, bound, False)
    assert 4 <= depth <= max(4, round(bound))
    assert depth * seconds <= max(4 * seconds, 1.2 * chunks.AT_HAND_SECONDS)


@given(st.floats(1e-6, 0.02))
def test_while_the_caller_is_away_25_ms_are_queued_or_as_much_as_may_be(seconds):
    depth = chunks.at_hand(seconds, math.inf, True)
    assert (depth - 1) * seconds > chunks.AWAY_SECONDS - seconds or depth == chunks.MOST_AT_HAND


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(0, 10)), min_size=1))
def test_the_cost_lies_between_the_cheapest_and_the_dearest_seen(observations):
    cost = chunks.Cost()
    assert cost.each is None
    for items, seconds in observations:
        cost.observe(items, seconds)
    each = [seconds / items for items, seconds in observations]
    assert min(each) * 0.999 - 1e-9 <= cost.each <= max(each) * 1.001 + 1e-9


def test_the_cost_follows_at_once_when_items_become_dearer_and_slowly_when_cheaper():
    cost = chunks.Cost()
    cost.observe(100, 1.0)
    cost.observe(1, 1.0)
    assert cost.each > 0.4
    for _ in range(20):
        cost.observe(1, 0.0)
    assert cost.each > 0.015
