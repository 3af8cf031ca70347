"""The scheduler on 2 to 256 simulated workers: what it loses beside greedy list scheduling, and what an event takes.

More workers, more seeds and messages that cost something: `python benchmarks/scale.py`.
"""

import sys
from pathlib import Path
from random import Random
from statistics import median

import hypothesis.strategies as st
import pytest
from hypothesis import given

import allcores.core.scheduler
from allcores.core import chunks
from allcores.core import commands as do
from allcores.core import events as happened
from allcores.core.checks import Checks
from allcores.core.rules import Rules
from allcores.core.scheduler import Scheduler
from allcores.core.waiting import Waiting
from allcores.core.weights import Weights
from simulation import Case, simulate

CORE = str(Path(allcores.core.scheduler.__file__).parent)
SHAPES = ("uniform", "Pareto(1.1)", "bimodal", "front-loaded", "back-loaded")
SEEDS = {2: 15, 16: 5, 256: 1}
ITEMS_A_WORKER = 50


@pytest.fixture(scope="module")
def bench():
    """What the benchmark is made of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        import simulated_costs
        import virtual_workers

        yield (
            lambda shape, workers, mean, seed: simulated_costs.costs_of(
                shape, ITEMS_A_WORKER * workers, mean, seed
            ),
            virtual_workers,
        )


def jobs(bench, shape, workers, mean_seconds):
    make, _ = bench
    return [make(shape, workers, mean_seconds, seed) for seed in range(1, SEEDS[workers] + 1)]


def run(bench, seconds, workers, **rules):
    _, virtual = bench
    return virtual.Job(seconds, workers, virtual.Dispatch(), Rules(length=len(seconds), **rules)).run()


@pytest.mark.parametrize("workers", SEEDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_long_items_end_when_greedy_list_scheduling_would_end_them(bench, shape, workers):
    for costs in jobs(bench, shape, workers, 0.1):
        assert run(bench, costs, workers).seconds <= 1.05 * bench[1].greedy_seconds(costs, workers)


@pytest.mark.parametrize("workers", SEEDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_short_items_in_chunks_end_hardly_later_than_greedy_would_end_them_one_by_one(bench, shape, workers):
    """By the median: of Pareto's giants two may travel in one chunk, which nobody can know beforehand."""
    ratios = [
        run(bench, costs, workers).seconds / bench[1].greedy_seconds(costs, workers)
        for costs in jobs(bench, shape, workers, 0.001)
    ]
    assert median(ratios) <= 1.05
    assert shape == "Pareto(1.1)" or max(ratios) <= 1.06


@pytest.mark.parametrize("mean_seconds", [0.001, 0.1])
@pytest.mark.parametrize("workers", SEEDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_told_costs_bring_the_end_close_to_the_best_possible_one(bench, shape, workers, mean_seconds):
    for costs in jobs(bench, shape, workers, mean_seconds):
        relative = [7 * cost for cost in costs]
        best = max(sum(costs) / workers, *costs)
        assert run(bench, costs, workers, costs=relative).seconds <= 1.05 * best


def test_told_costs_do_not_make_chunks_of_one_item_where_items_are_cheap(bench):
    costs = jobs(bench, "uniform", 16, 0.0001)[0] * 10
    assert run(bench, costs, 16, costs=costs).messages < len(costs) / 5


def steps_of_an_event(bench, workers, seconds, **rules):
    """Lines of the scheduler that run for each event, on average."""
    steps = 0

    def count(frame, event, argument):
        nonlocal steps
        if not frame.f_code.co_filename.startswith(CORE):
            return None
        steps += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        ran = run(bench, seconds, workers, **rules)
    finally:
        sys.settrace(before)
    return steps / ran.events


@pytest.mark.parametrize("kind", ["uniform", "ascending", "timeout", "told"])
def test_an_event_takes_as_many_steps_on_many_workers_as_on_few(bench, kind):
    few, many = (bench[0]("uniform", workers, 0.1, 1)[:4000] for workers in (2, 200))
    if kind == "ascending":
        few, many = sorted(few), sorted(many)
    rules = [
        {"timeout": 10.0 if kind == "timeout" else None, "costs": costs if kind == "told" else None}
        for costs in (few, many)
    ]
    assert steps_of_an_event(bench, 200, many, **rules[1]) < 1.5 * steps_of_an_event(
        bench, 2, few, **rules[0]
    )


class Counted(float):
    """A number that counts how often it is compared."""

    compared = 0

    def __lt__(self, other):
        Counted.compared += 1
        return float(self) < float(other)

    def __eq__(self, other):
        Counted.compared += 1
        return float(self) == float(other)

    __hash__ = float.__hash__

    def __neg__(self):
        return Counted(-float(self))


def comparisons(count):
    random = Random(1)
    waiting = Waiting()
    Counted.compared = 0
    for start in range(count):
        waiting.add(start, start + 1, start, Counted(random.random()))
    for number in range(count):
        waiting.remove(waiting.first if number % 2 else waiting.longest)
    return Counted.compared / count


def test_nobody_looks_through_all_the_pieces_that_wait():
    assert comparisons(20_000) < 2.5 * comparisons(200)


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.floats(0, 100))), st.floats(0, 100))
def test_checks_are_due_in_order_and_once(changes, now):
    checks, expected = Checks(), {}
    for worker, when in changes:
        if when is None:
            checks.drop(worker)
            expected.pop(worker, None)
        else:
            checks.put(worker, when)
            expected[worker] = when
        assert checks.next_at == min(expected.values(), default=None)
    due = sorted((when, worker) for worker, when in expected.items() if when <= now)
    assert list(checks.due(now)) == [worker for _, worker in due]
    assert checks.next_at == min((when for when in expected.values() if when > now), default=None)


@given(st.floats(0, 1e9), st.floats(0, 100))
def test_the_more_costs_differ_the_fewer_items_are_bound_to_a_worker(left, spread):
    assert chunks.most_bound(left, spread) <= left * (1 + 1e-9) + 1e-6
    assert chunks.most_bound(left, 2 * spread) <= chunks.most_bound(left, spread) * (1 + 1e-9) + 1e-3


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(0, 5), st.integers(1, 9), st.floats(0.1, 20))
def test_a_run_of_told_items_weighs_no_more_than_it_may_unless_it_is_one(costs, start, most, weight):
    weights = Weights(costs)
    fit = weights.fit(start, most, weight)
    assert 1 <= fit <= most
    if weights.told and fit > 1:
        assert weights.of(start, start + fit) <= weight * (1 + 1e-9)


def test_of_the_items_at_hand_the_longest_goes_next():
    scheduler = Scheduler(Rules(length=6, costs=[1, 2, 3, 9, 5, 4]))
    scheduler.handle(happened.Planned(2, 2), 0.0)
    scheduler.handle(happened.Offered(0, 1), 0.0)
    scheduler.handle(happened.Offered(1, 1), 0.0)
    outcome = happened.Outcome(0, 1, happened.VALUES, [0])
    scheduler.handle(happened.ItemsDone(0, [outcome], 1.0, 1.0, True), 1.0)
    assert scheduler.wanted(2)[0] == 1
    commands = [command for n in (2, 3, 4, 5) for command in scheduler.handle(happened.Offered(n, 1), 0.0)]
    outcome = happened.Outcome(1, 2, happened.VALUES, [0])
    commands += scheduler.handle(happened.ItemsDone(1, [outcome], 2.0, 2.0, True), 2.0)
    sent = [command.start for command in commands if isinstance(command, do.Send)]
    assert sent == [2, 3]  # item 2 was the only one when worker 0 became free


def test_whatever_the_user_told_the_earliest_failing_item_is_found():
    for failing in range(8):
        told = [float(item) for item in range(8)]
        report = simulate(Case([0.1] * 8, 2, Rules(length=8, costs=told), flaky={failing: 9, 7: 9}))
        assert [index for index, _ in report.results] == list(range(failing + 1))
