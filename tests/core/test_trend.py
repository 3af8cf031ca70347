"""Rising costs are noticed, and then the longest items come first; where that would harm, they do not."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allcores.core import commands as do
from allcores.core import events as happened
from allcores.core.events import ERROR, VALUES, Outcome
from allcores.core.rules import Rules
from allcores.core.scheduler import TAIL_ITEMS, Scheduler
from allcores.core.trend import LEAST_EXPLAINED, Trend
from allcores.core.waiting import Waiting
from simulation import Case, Simulation, simulate

RISING = [0.1 * n for n in range(1, 9)]


def trend_of(costs):
    trend = Trend()
    for index, seconds in costs:
        trend.observe(index, seconds)
    return trend


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0.005, 100)), min_size=3, max_size=30))
def test_a_trend_is_what_the_correlation_coefficient_says(costs):
    indices, seconds = np.array(costs, dtype=float).T
    if np.ptp(indices) == 0 or np.ptp(seconds) < 1e-6:
        return
    r = np.corrcoef(indices, seconds)[0, 1]
    if abs(r * r - LEAST_EXPLAINED) > 1e-6:
        assert trend_of(costs).rises == (r > 0 and r * r > LEAST_EXPLAINED)


def test_equal_costs_falling_costs_and_two_items_are_no_trend():
    assert not trend_of([(n, 1.0) for n in range(9)]).rises
    assert not trend_of([(n, 9.0 - n) for n in range(9)]).rises
    assert not trend_of([(0, 1.0), (1, 2.0)]).rises


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5)), unique_by=lambda run: run[0]), st.data())
def test_waiting_pieces_leave_from_either_end(runs, data):
    waiting, expected = Waiting(), sorted((start, start + length, 7) for start, length in runs)
    for start, length in runs:
        waiting.add(start, start + length, 7)
    while expected:
        assert list(waiting) == expected
        assert waiting.items == sum(stop - start for start, stop, _ in expected)
        at_end = data.draw(st.booleans())
        piece = waiting.longest if at_end else waiting.first
        assert piece == expected.pop(-1 if at_end else 0)
        waiting.remove(piece)
    assert not waiting


def seconds_of(costs, workers, **rules):
    rules.setdefault("length", len(costs))
    return Simulation(Case(costs, workers, Rules(**rules), boot_seconds=0.0)).run().seconds


def test_items_whose_costs_rise_end_when_the_best_possible_order_would():
    assert seconds_of(RISING, 2) == pytest.approx(sum(RISING) / 2)


def test_a_user_who_takes_results_one_by_one_gets_the_earliest_first():
    assert seconds_of(RISING, 2, bounded=True) == pytest.approx(0.1 * (2 + 4 + 6 + 8))


@pytest.mark.parametrize("seed", range(20))
def test_without_a_trend_to_look_for_one_costs_nothing(seed):
    random = Random(seed)
    costs = [random.uniform(0.01, 0.2) for _ in range(100)]
    longest = max(costs)
    assert seconds_of(costs, 4) <= sum(costs) / 4 + longest


def test_the_earliest_failing_item_is_found_whatever_came_first():
    for failing in range(8):
        report = simulate(Case(RISING, 2, Rules(length=8), flaky={failing: 9, 7: 9}))
        assert [index for index, _ in report.results] == list(range(failing + 1))


def scheduler_that_knows_a_trend(length, workers=2):
    scheduler = Scheduler(Rules(length=length))
    scheduler.handle(happened.Planned(workers, workers), 0.0)
    for worker in range(workers):
        scheduler.handle(happened.WorkerReady(worker), 0.0)
    for index in range(3):
        outcome = Outcome(index, index + 1, VALUES, [0])
        scheduler.handle(happened.RanInline([outcome], None, 0.1 * (1 + index), 0.0), 0.0)
    return scheduler


def sent(commands):
    return [command.start for command in commands if isinstance(command, do.Send)]


def test_behind_an_error_the_earliest_items_come_first_again():
    scheduler = scheduler_that_knows_a_trend(length=9)
    assert [sent(scheduler.handle(happened.Offered(n, 1), 0.0)) for n in (3, 4)] == [[3], [4]]
    for n in range(5, 9):
        scheduler.handle(happened.Offered(n, 1), 0.0)
    assert sent(
        scheduler.handle(happened.ItemsDone(1, [Outcome(4, 5, VALUES, [0])], 0.5, 0.5, True), 0.0)
    ) == [8]
    assert sent(
        scheduler.handle(happened.ItemsDone(0, [Outcome(3, 4, VALUES, [0])], 0.4, 0.4, True), 0.0)
    ) == [7]
    failed = [Outcome(7, 8, ERROR, ValueError())]
    assert sent(scheduler.handle(happened.ItemsDone(0, failed, 0.4, 0.4, True), 0.0)) == [5]


def test_of_many_items_only_as_many_are_pulled_ahead_as_can_matter():
    pulled = {}
    for length in (20, 10_000):
        scheduler = scheduler_that_knows_a_trend(length)
        pulled[length] = 3
        while pulled[length] < length and (count := scheduler.wanted(pulled[length])[0]):
            scheduler.handle(happened.Offered(pulled[length], count), 0.0)
            pulled[length] += count
    assert pulled == {20: 20, 10_000: 5}
    assert 2 * TAIL_ITEMS >= 20 - 3
