"""What digests notice, and what they must not."""

import collections
import functools
import logging
import random
import re
import threading
import types

import numpy as np
import pytest

from allcores.guard.digests import Held, digests, held_by

from . import foreign


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
    "fitted estimator": (foreign.Estimator(), lambda value: value.fit([1, 2])),
    "fitted again": (foreign.Estimator().fit([1, 2]), lambda value: value.fit([3])),
    "estimator in a list": ([foreign.Estimator()], lambda value: value[0].learn([1])),
    "list of a library's object": (foreign.Client(), lambda value: value.keep(1)),
    "namespace": (types.SimpleNamespace(level=1), lambda value: setattr(value, "level", 2)),
    "after much else": ([*range(100)], lambda value: value.append(1)),
    "end of a long list": (list(range(10_000)), lambda value: value.append(1)),
}
NOT_NOTICED = {
    "nothing": ([1], lambda value: None),
    "cached property": (Thing(), lambda value: value.length),
    "cache": (Thing(), lambda value: value._cache.update(a=1)),
    "predicting": (foreign.Estimator().fit([1, 2]), lambda value: value.predict([3])),
    "counting, connecting and caching": (foreign.Client(), lambda value: value.call(1)),
    "logger": (logging.getLogger("of a test"), lambda value: value.isEnabledFor(10)),
    "expression": (re.compile("a"), lambda value: value.match("b")),
    "event": (threading.Event(), lambda value: value.set()),
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


def test_an_attribute_that_is_new_is_noticed_though_the_budget_is_spent():
    model = foreign.Estimator()
    held = [Held("the global", "rows", list(range(1000))), Held("the item", "item", model)]
    before = digests(held)
    model.fit([1])
    assert digests(held) != before


def test_no_estimator_of_scikit_learn_changes_by_predicting_and_each_does_by_learning():
    sklearn = pytest.importorskip("sklearn")
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.random.default_rng(1).random((30, 3))
    y = (rows[:, 0] > 0.5).astype(int)
    for model in (
        RandomForestClassifier(5),
        GradientBoostingClassifier(n_estimators=5),
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ):
        held = [Held("the item", "item", model)]
        unfitted = digests(held)
        model.fit(rows, y)
        fitted = digests(held)
        assert fitted != unfitted, (sklearn.__version__, model)
        model.predict(rows)
        model.score(rows, y)
        assert digests(held) == fitted, (sklearn.__version__, model)
    held = [Held("the item", "item", HashingVectorizer())]
    before = digests(held)
    held[0].value.transform(["a b c"])
    assert digests(held) == before
