"""What a function carries is estimated from a sample, and weighs in the plan."""

import functools
import itertools
import threading

import pytest

from allcores.core.plan import INLINE, PROCESSES, Facts, Sample, choose
from allcores.runtime import luggage
from allcores.runtime.luggage import BYTES_A_SECOND, SAMPLED, pickling_seconds


def look_up(table, key):
    return table[key]


@pytest.mark.parametrize("kind", [dict.fromkeys, list, tuple, set])
@pytest.mark.parametrize("size", [1000, 100_000])
def test_of_a_large_container_a_sample_is_pickled(kind, size, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(luggage, "perf_counter", lambda: next(ticks))  # so the sample takes a second
    table = kind(map(str, range(size)))
    assert pickling_seconds([functools.partial(look_up, table)]) == size / SAMPLED


def test_arrays_count_by_their_bytes():
    numpy = pytest.importorskip("numpy")
    array = numpy.ones(1_000_000)
    assert pickling_seconds([functools.partial(look_up, array)]) == array.nbytes / BYTES_A_SECOND
    assert pickling_seconds([lambda: array]) == array.nbytes / BYTES_A_SECOND
    assert pickling_seconds([functools.partial(look_up, {"rows": [array]})]) == array.nbytes / BYTES_A_SECOND


def test_what_cannot_be_pickled_weighs_nothing_here():
    locks = [threading.Lock() for _ in range(1000)]
    assert pickling_seconds([functools.partial(look_up, locks)]) == 0.0


def test_small_things_weigh_nothing():
    assert pickling_seconds([functools.partial(look_up, {"a": [1, 2]}), len, look_up]) == 0.0


def test_what_weighs_as_much_as_the_work_stays():
    sample, facts = Sample(10, 0.01, 0.01), Facts(cores=2, boot_seconds=0.03)
    assert choose(sample, 400, facts).engine == PROCESSES
    assert choose(sample, 400, facts._replace(luggage_seconds=0.2)).engine == INLINE
    assert choose(sample, 4000, facts._replace(luggage_seconds=0.2)).engine == PROCESSES
