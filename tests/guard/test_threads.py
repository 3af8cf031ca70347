"""Which functions threads may compute, and the table that says so."""

import hashlib
import importlib
import zlib

import numpy as np
import numpy.random  # which NumPy loads when it is first asked for, and the guard runs no code
import pytest

from allcores.guard import thread_safe
from allcores.guard.verdict import verdict
from allcores.tasks.task import Task

VALUES = np.arange(4.0)
FACTOR = 3
ROWS = []


class Model:
    def __init__(self):
        self.weights = VALUES

    def __mul__(self, other):
        return other


MODEL = Model()


def total(array):
    return float(array.sum())


def random_array(seed, length):
    return np.random.default_rng(seed).random(length)


def sorted_median(seed):
    array = random_array(seed, 1000)
    array.sort()
    return float(array[500])


def digest(data):
    hashed = hashlib.sha256(data)
    hashed.update(b"salt")
    return hashed.hexdigest()


def chained(index):
    """As people write it who need no name for what stands between."""
    from zlib import compress, crc32

    return float(np.sqrt(np.sort(np.sort(VALUES * index).reshape(-1).copy()).mean())) + crc32(compress(b"x"))


SAFE = {
    "chain of calls": (chained, 3),
    "lambda sort": (lambda x: np.sort(x), VALUES),
    "sort itself": (np.sort, VALUES),
    "method": (total, VALUES),
    "array made here": (sorted_median, 3),
    "ufuncs": (lambda x: np.sqrt(x) + np.exp(x) * FACTOR, VALUES),
    "captured array": (lambda i: np.sort(VALUES * i), 3),
    "hash": (digest, b"data"),
    "crc": (lambda data: zlib.crc32(zlib.compress(data)), b"data"),
}
NOT_SAFE = {
    "nothing of the table": (lambda n: sum(i * i for i in range(n)), 3),
    "write": (lambda x: ROWS.append(np.sort(x)), VALUES),
    "item changed": (lambda x: x.sort(), VALUES),
    "object with operators": (lambda x: np.sort(x) * MODEL, VALUES),
    "item with operators": (lambda x: np.sort(x * 2), MODEL),
    "objects in an array": (lambda x: np.sort(x), np.array([MODEL], dtype=object)),
    "unknown function": (lambda x: np.linalg.svd(np.sort(x)), VALUES),
    "unknown method": (lambda x: np.sort(x).dot(x), VALUES),
    "callback": (lambda x: np.sort(np.vectorize(total)(x)), VALUES),
    "global generator": (lambda x: np.sort(np.random.rand(3)), 3),
    "print": (lambda x: print(np.sort(x)), VALUES),
}


@pytest.mark.parametrize("name", SAFE)
def test_what_is_made_of_safe_operations_may_run_in_threads(name):
    function, sample = SAFE[name]
    assert verdict(Task((("map", function),)), sample).unsafe is None


@pytest.mark.parametrize("name", NOT_SAFE)
def test_anything_else_may_not(name):
    function, sample = NOT_SAFE[name]
    assert verdict(Task((("map", function),)), sample).unsafe


def test_without_a_sample_nothing_is_taken_to_be_safe():
    assert verdict(Task((("map", np.sort),))).unsafe


def test_every_entry_has_a_source():
    assert all("://" in entry.source or "CPython" in entry.source for entry in thread_safe.TABLE)


@pytest.mark.parametrize(
    "name", [name for name in thread_safe.RETURNS if name.startswith(("numpy.", "zlib."))]
)
def test_every_name_in_the_table_is_one_that_exists(name):
    module, _, rest = name.partition(".")
    found = importlib.import_module(module)
    for part in rest.split("."):
        if found is np and part in ("default_rng", "Generator"):
            found = np.random
        if part == "ptp" and found is np.ndarray:
            return  # NumPy 1 has it, NumPy 2 has not
        found = getattr(found, part)
