"""A plugin for pytest: every test runs under the backend that is named, and with our searches where asked for."""

import contextlib
import os
from pathlib import Path

import joblib
import pytest

import allcores.sklearn

SUITE = os.environ["PEERS_SUITE"]
BACKEND = os.environ["PEERS_BACKEND"]
DESELECTED = Path(__file__).with_name("deselected.txt")

os.environ.pop(
    "PYTEST_XDIST_WORKER", None
)  # the tests are the caller: a worker of xdist would count as one core

if os.environ.get("PEERS_SEARCHES"):
    import sklearn.experimental.enable_halving_search_cv
    import sklearn.model_selection
    from sklearn.model_selection import _search, _search_successive_halving

    for name in ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"):
        ours = getattr(allcores.sklearn, name)
        for module in (sklearn.model_selection, _search, _search_successive_halving):
            if hasattr(module, name):
                setattr(module, name, ours)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """The test itself, inside the backend."""
    with joblib.parallel_config(BACKEND, n_jobs=2) if BACKEND else contextlib.nullcontext():
        return (yield)


def left_out():
    """Ends of the names of tests of this suite that are left out, with their parameters or without."""
    for line in DESELECTED.read_text(encoding="utf-8").splitlines():
        suite, _, rest = line.partition(" ")
        if suite == SUITE:
            yield rest.partition("  ")[0].strip()


def pytest_collection_modifyitems(config, items):
    """Takes out what ``deselected.txt`` names."""
    names = tuple(left_out())
    gone = [
        item
        for item in items
        if names and (item.nodeid.endswith(names) or item.nodeid.partition("[")[0].endswith(names))
    ]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]
