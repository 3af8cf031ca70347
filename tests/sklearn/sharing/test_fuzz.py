"""Random searches come to the same with units as without, in everything but times."""

import os

import pytest
from random_searches import random_search
from searching import assert_same, shared, stock
from threadpoolctl import threadpool_limits

CASES = int(os.environ.get("ALLCORES_FUZZ_CASES", "30"))


@pytest.mark.parametrize("seed", range(CASES))
def test_units_come_to_what_scikit_learn_comes_to(seed):
    search, X, y, params, workers = random_search(seed)
    with threadpool_limits(1):
        expected = stock(search, X, y, **params)
        found = shared(search, X, y, workers=workers, **params)
    if search.error_score == "raise" and expected.error is not None:
        assert found.error is not None  # which of the failing fits comes first depends on the units
    else:
        assert_same(expected, found)
