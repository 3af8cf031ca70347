"""Items and results that cannot travel: ``auto`` runs them where the loop would, and gives what it would have given."""

import os
import threading

import pytest

import allcores as ac
from allcores.errors import Unpicklable
from allcores.runtime import priors

from . import functions as on

SECONDS = 0.02
HERE = os.getpid()


class Proxy:
    """It is pickled as any object is, and cannot be made again: pickle asks it for ``__setstate__`` before it is."""

    def __init__(self, held):
        self.held = held

    def __getattr__(self, name):
        return self.held[name]


class Flyweight:
    """One object for each name; pickle calls ``__new__`` without one."""

    known: dict = {}

    def __new__(cls, name):
        if name not in cls.known:
            cls.known[name] = super().__new__(cls)
            cls.known[name].name = name
        return cls.known[name]


class Rebuilt:
    """It can be made again in the process where it was made, and nowhere else."""

    def __init__(self, x):
        self.x = x

    def __reduce__(self):
        return _at_home, (os.getpid(), self.x)


def _at_home(home, x):
    if os.getpid() != home:
        raise RuntimeError("not at home")
    return Rebuilt(x)


RESULTS = {
    "pickle refuses it": lambda x: threading.Lock(),
    "it has attributes of any name": lambda x: Proxy({"x": x}),
    "its class wants a name": lambda x: Flyweight(f"n{x % 3}"),
    "it knows its home": Rebuilt,
}
ITEMS = {name: make for name, make in RESULTS.items() if name != "pickle refuses it"}


@pytest.fixture(autouse=True)
def nothing_is_known():
    priors.forget()
    ac.warmup()
    yield
    priors.forget()


def seen(directory, x):
    on.touch(directory, os.getpid())
    on.burn(x, SECONDS)


@pytest.mark.parametrize("kind", RESULTS)
def test_results_that_cannot_travel_are_those_of_the_loop(kind, tmp_path):
    def function(x):
        seen(str(tmp_path), x)
        return RESULTS[kind](x)

    for _ in range(2):
        results = ac.map(function, range(12), n_jobs=2)
        assert [type(result) for result in results] == [type(RESULTS[kind](x)) for x in range(12)]
        if kind != "pickle refuses it":
            assert [vars(result) for result in results] == [vars(RESULTS[kind](x)) for x in range(12)]


@pytest.mark.parametrize("kind", ITEMS)
def test_items_that_cannot_be_rebuilt_run_in_the_calling_thread(kind, tmp_path):
    items = [ITEMS[kind](x) for x in range(12)]

    def function(item):
        seen(str(tmp_path), 1)
        return sorted(vars(item))

    assert ac.map(function, items, n_jobs=2) == [sorted(vars(item)) for item in items]


def test_a_few_results_that_cannot_travel_do_not_keep_the_others(tmp_path):
    def function(x):
        seen(str(tmp_path), x)
        return threading.Lock() if x == 9 else x

    results = ac.map(function, range(30), n_jobs=2)
    assert results[:9] + results[10:] == [x for x in range(30) if x != 9]


def test_what_an_item_has_printed_comes_once(capfd):
    def function(x):
        on.burn(x, SECONDS)
        print("item", x)
        return RESULTS["it knows its home"](x) if x % 2 else threading.Lock()

    ac.map(function, range(12), n_jobs=2)
    assert capfd.readouterr().out == "".join(f"item {x}\n" for x in range(12))


def test_streams_and_reductions_give_what_the_loop_gives():
    def function(x):
        on.burn(x, SECONDS)
        return Rebuilt(x)

    assert [each.x for each in ac.par(range(12), n_jobs=2).map(function)] == [*range(12)]
    assert {each.x for each in ac.par(range(12), n_jobs=2, ordered=False).map(function)} == {*range(12)}
    assert ac.par(range(600), n_jobs=2).map(function_of_many).reduce(
        lambda a, b: Rebuilt(a.x + b.x)
    ).x == sum(range(600))


def function_of_many(x):
    on.burn(x, 0.001)
    return Rebuilt(x)


def test_an_error_of_an_item_that_runs_again_is_raised(tmp_path):
    def function(x):
        on.burn(x, SECONDS)
        if x == 7 and os.getpid() == HERE:
            raise ValueError("only at home")
        return Rebuilt(x)

    with pytest.raises(ValueError, match="only at home"):
        ac.map(function, range(12), n_jobs=2)
    results = ac.map(function, range(12), n_jobs=2, on_error="return")
    assert type(results[7]) is ac.Failure
    assert [each.x for each in results if type(each) is Rebuilt] == [x for x in range(12) if x != 7]


def test_an_engine_that_was_asked_for_says_what_cannot_travel():
    for make, told in [(RESULTS["pickle refuses it"], "result"), (RESULTS["it knows its home"], "result")]:
        with pytest.raises(Unpicklable, match="result of item 0") as caught:
            ac.map(make, range(4), engine="processes", n_jobs=1)
        assert caught.value.what == told
    with pytest.raises(Unpicklable, match="item 0 cannot be rebuilt"):
        ac.map(vars, [Proxy({"x": 1})], engine="processes", n_jobs=1)
