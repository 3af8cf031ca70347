"""Which engine for what: a table of scenarios, and what must be true of every plan."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from allcores.core.plan import INLINE, PROCESSES, THREADS, Facts, Sample, choose, in_words

MS = 0.001
COLD, WARM = 0.03, 0.006


def computing(seconds, items=1, **more):
    return Sample(items, items * seconds, items * seconds, **more)


def waiting(seconds, items=1):
    return Sample(items, items * seconds, 0.02 * items * seconds)


SCENARIOS = [
    ("one long item of eight", computing(1.0), 7, Facts(2, COLD), None, PROCESSES, 2),
    ("a page from the network", waiting(20 * MS), 199, Facts(2, COLD), None, THREADS, 16),
    ("a tiny loop", computing(1e-6, 1000), 9000, Facts(8, COLD), None, INLINE, 1),
    (
        "many tiny items",
        computing(10e-6, 1000, transport_seconds=1e-7),
        200_000,
        Facts(2, COLD),
        None,
        PROCESSES,
        2,
    ),
    ("over before a worker answers", computing(1 * MS, 5), 20, Facts(8, COLD), None, INLINE, 1),
    ("the same with workers at hand", computing(1 * MS, 5), 40, Facts(8, WARM), None, PROCESSES, 8),
    ("one core", computing(1.0), 100, Facts(1, COLD), None, INLINE, 1),
    ("one core and waiting", waiting(50 * MS), 100, Facts(1, COLD), None, THREADS, 16),
    ("nothing left", computing(1.0), 0, Facts(8, COLD), None, INLINE, 1),
    ("one item left", computing(1.0), 1, Facts(8, COLD), None, INLINE, 1),
    ("fewer items than cores", computing(1.0), 3, Facts(8, COLD), None, PROCESSES, 3),
    ("the user allows one", computing(1.0), 100, Facts(8, COLD), 1, INLINE, 1),
    ("the user allows three", computing(1.0), 100, Facts(8, COLD), 3, PROCESSES, 3),
    ("the user wants five to wait", waiting(20 * MS), 100, Facts(2, COLD), 5, THREADS, 5),
    (
        "as long as what ran, if nobody knows",
        computing(1 * MS, 500),
        None,
        Facts(4, COLD),
        None,
        PROCESSES,
        4,
    ),
    ("nobody knows and little ran", computing(1 * MS, 3), None, Facts(4, COLD), None, INLINE, 1),
    (
        "heavy to carry",
        computing(1 * MS, 10, transport_seconds=5 * MS),
        1000,
        Facts(4, COLD),
        None,
        INLINE,
        1,
    ),
]


@pytest.mark.parametrize(
    ("sample", "remaining", "facts", "n_jobs", "engine", "workers"),
    [scenario[1:] for scenario in SCENARIOS],
    ids=[scenario[0] for scenario in SCENARIOS],
)
def test_the_engine_fits_the_work(sample, remaining, facts, n_jobs, engine, workers):
    plan = choose(sample, remaining, facts, n_jobs)
    assert (plan.engine, plan.n_jobs) == (engine, workers), str(plan)


def test_an_engine_that_is_refused_is_not_chosen_and_the_reason_is_told():
    plan = choose(computing(1.0), 9, Facts(8, COLD), None, {PROCESSES: "the lock in f cannot travel"})
    assert plan.engine == INLINE
    assert "no processes: the lock in f cannot travel" in str(plan)


samples = st.builds(
    lambda items, cost, share: Sample(items, items * cost, items * cost * share),
    st.integers(1, 10_000),
    st.floats(1e-7, 100),
    st.floats(0, 1),
)
facts = st.builds(Facts, st.integers(1, 128), st.floats(0, 1))
left = st.none() | st.integers(0, 10**7)
caps = st.none() | st.integers(1, 200)


@given(samples, left, facts, caps)
def test_no_plan_passes_the_cap_the_items_or_the_cores(sample, remaining, facts, n_jobs):
    plan = choose(sample, remaining, facts, n_jobs)
    assert 1 <= plan.n_jobs <= plan.most_jobs <= (n_jobs or max(64, facts.cores))
    assert plan.engine != INLINE or plan.most_jobs == 1
    if remaining is not None:
        assert plan.most_jobs <= max(1, remaining)
    if sample.cpu_seconds >= 0.5 * sample.seconds and n_jobs is None:
        assert plan.n_jobs <= facts.cores
    assert plan.reasons


@given(samples, left, facts, caps)
def test_a_plan_is_never_predicted_to_be_slower_than_the_loop(sample, remaining, facts, n_jobs):
    plan = choose(sample, remaining, facts, n_jobs)
    assert plan.seconds[plan.engine] is not None
    assert plan.seconds[plan.engine] <= plan.seconds[INLINE]


@given(samples, st.integers(0, 10**6), st.integers(1, 100), facts, caps)
def test_work_that_is_worth_moving_is_worth_it_when_there_are_more_workers(sample, left, more, facts, n_jobs):
    few = choose(sample, left, facts, n_jobs)
    many = choose(sample, left, facts._replace(cores=facts.cores + more), n_jobs)
    assert few.engine == INLINE or many.engine != INLINE


@given(samples, st.integers(0, 10**6), facts, st.floats(0, 1))
def test_workers_that_answer_sooner_are_never_a_reason_to_stay(sample, left, facts, factor):
    slow = choose(sample, left, facts)
    quick = choose(sample, left, facts._replace(boot_seconds=facts.boot_seconds * factor))
    assert slow.engine == INLINE or quick.engine != INLINE


@given(st.floats(1e-7, 1e5))
def test_seconds_in_words_have_at_most_two_digits_where_they_are_small(seconds):
    number, unit = in_words(seconds).split()
    factor = {"s": 1, "ms": 1e3, "µs": 1e6}[unit]
    assert float(number) == pytest.approx(seconds * factor, rel=0.06)


def test_threads_compute_what_is_safe_there_and_leaves_the_gil_alone():
    beside = computing(20 * MS, 5, late_share=0.0)
    plan = choose(beside, 100, Facts(2, COLD), thread_safe=True)
    assert (plan.engine, plan.n_jobs, plan.most_jobs) == (THREADS, 2, 2)
    assert choose(beside, 100, Facts(2, COLD)).engine == PROCESSES


@pytest.mark.parametrize("late_share", [None, 0.9])
def test_threads_do_not_compute_what_holds_the_gil_or_was_not_watched(late_share):
    sample = computing(20 * MS, 5, late_share=late_share)
    assert choose(sample, 100, Facts(2, COLD), thread_safe=True).engine == PROCESSES
    assert choose(sample, 100, Facts(2, COLD, gil=False), thread_safe=True).engine == THREADS


def test_threads_that_must_be_loaded_first_compute_nothing_that_is_over_too_soon():
    beside = computing(0.5 * MS, 5, late_share=0.0)
    engines = [
        choose(beside, left, Facts(2, COLD, loading_seconds=loading), thread_safe=True).engine
        for left, loading in ((40, 0.0), (40, 6 * MS), (400, 6 * MS))
    ]
    assert engines == [THREADS, INLINE, THREADS]


def test_one_core_computes_alone_however_safe_threads_are():
    plan = choose(computing(20 * MS, 5, late_share=0.0), 100, Facts(1, COLD), thread_safe=True)
    assert plan.engine == INLINE


def test_threads_that_are_refused_compute_nothing():
    sample = computing(20 * MS, 5, late_share=0.0)
    plan = choose(sample, 100, Facts(2, COLD), None, {THREADS: "it writes"}, thread_safe=True)
    assert plan.engine == PROCESSES


def test_a_plan_says_why_it_is_not_the_other_engine():
    waiting = Sample(1, 0.02, 0.0)
    plan = choose(waiting, 400, Facts(cores=2, boot_seconds=0.03), refused={THREADS: "os.chdir is shared"})
    assert plan.engine == PROCESSES
    assert "no threads: os.chdir is shared" in str(plan)
    plan = choose(waiting, 400, Facts(cores=2, boot_seconds=0.03), refused={PROCESSES: "hash differs"})
    assert plan.engine == THREADS
    assert "no processes: hash differs" in str(plan)


def test_where_nothing_else_can_run_the_rest_that_is_the_reason():
    refused = {"threads": "it writes", "processes": "it writes"}
    plan = choose(Sample(1, 0.1, 0.1), 99, Facts(cores=2, boot_seconds=0.03), refused=refused)
    assert plan.engine == "inline"
    assert plan.reasons[2:] == [
        "nothing else can run the rest: it stays here",
        "no threads: it writes",
        "no processes: it writes",
    ]
