"""What digests notice, and what they must not."""

import collections
import functools
import random

import numpy as np
import pytest

from allcores.guard.digests import digests, held_by


class Thing:
    def __init__(self):
        self.rows = []
        self._cache = {}

    @functools.cached_property
    def length(self):
        return len(self.rows)


def changed(value, change):
    def function(x):
        return value

    held = held_by([function])
    before = digests(held)
    change(value)
    return digests(held) != before


NOTICED = {
    "list": ([1], lambda value: value.append(2)),
    "element": ([1, 2], lambda value: value.__setitem__(0, 3)),
    "swap": ([1, 2], lambda value: value.reverse()),
    "dict": ({}, lambda value: value.update(a=1)),
    "counter": (collections.Counter(), lambda value: value.update("a")),
    "deep": ({"a": [{"b": set()}]}, lambda value: value["a"][0]["b"].add(1)),
    "array": (np.zeros(10), lambda value: value.__setitem__(3, 1.0)),
    "bytearray": (bytearray(3), lambda value: value.__setitem__(0, 1)),
    "deque": (collections.deque(), lambda value: value.append(1)),
    "attribute": (Thing(), lambda value: setattr(value, "other", 1)),
    "deep in an object": (Thing(), lambda value: value.rows.append(1)),
    "end of a long list": (list(range(10_000)), lambda value: value.append(1)),
}
NOT_NOTICED = {
    "nothing": ([1], lambda value: None),
    "cached property": (Thing(), lambda value: value.length),
    "cache": (Thing(), lambda value: value._cache.update(a=1)),
    "generator of a library": (random.Random(1), lambda value: value.random()),
}


@pytest.mark.parametrize("name", NOTICED)
def test_a_write_is_noticed(name):
    assert changed(*NOTICED[name])


@pytest.mark.parametrize("name", NOT_NOTICED)
def test_what_is_none_is_not(name):
    assert not changed(*NOT_NOTICED[name])


def test_functions_that_hold_nothing_cost_nothing():
    assert held_by([abs, lambda x: x + 1, len]) == []
