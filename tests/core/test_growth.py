"""More workers wait at once as long as more brings more."""

import hypothesis.strategies as st
from hypothesis import given

from allcores.core.growth import Growth


def served(growth, at_once, cpu_share=0.0):
    """Items take 0.1 s while at most ``at_once`` are served together, else longer; returns the workers wanted."""
    for _ in range(200):
        seconds = 0.1 * max(1.0, growth.workers / at_once)
        for _ in range(growth.workers):
            growth.observe(1, seconds, seconds * cpu_share)
    return growth.workers


def test_where_the_other_side_serves_everybody_at_once_it_grows_to_the_most():
    assert served(Growth(16, 64), at_once=1000) == 64


def test_where_the_other_side_serves_a_few_at_a_time_it_stops_soon():
    assert served(Growth(16, 64), at_once=8) == 32


def test_items_that_compute_are_no_reason_to_grow():
    assert served(Growth(2, 64), at_once=1000, cpu_share=0.9) == 2


def test_two_short_items_that_somebody_took_the_core_from_are_no_reason_to_grow():
    growth = Growth(2, 64)
    assert [growth.observe(1, 0.002, 0.0005) for _ in range(4)] == [2, 2, 2, 2]
    assert growth.observe(1, 0.002, 0.0005) == 16  # five of them are


@given(
    st.integers(1, 20),
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 9), st.floats(0, 9))),
)
def test_the_number_never_falls_and_never_passes_the_most(workers, more, observations):
    growth = Growth(workers, workers + more)
    before = workers
    for items, busy, cpu in observations:
        wanted = growth.observe(items, busy, min(busy, cpu))
        assert before <= wanted <= workers + more
        before = wanted
