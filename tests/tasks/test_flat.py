"""Large containers of strings and numbers travel by marshal, and nobody can tell."""

import functools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allcores.processes import mail
from allcores.tasks import flat, pickling
from allcores.tasks.flat import LEAST_ELEMENTS, is_flat
from allcores.tasks.task import Task

MARK = b"marshal"
TABLE = {f"name {number}": number for number in range(LEAST_ELEMENTS)}
REPEATED = [f"name {number}" for number in range(7)] * LEAST_ELEMENTS
atoms = (
    st.integers() | st.floats() | st.text() | st.binary() | st.booleans() | st.none() | st.complex_numbers()
)


def look_up(table, key):
    return table[key]


class Model:
    def __init__(self, table):
        self.table = table
        self.same = table
        self.few = {"a": 1}

    def predict(self, key):
        return self.table[key], self.same is self.table, self.few


class Told(Model):
    def __getstate__(self):
        return {**self.__dict__, "told": True}


def travelled(function):
    data, _ = pickling.dump_task(Task((("map", function),), None))
    return data, pickling.load_task(data).stages[0][1]


@pytest.mark.parametrize(
    "function",
    [
        functools.partial(look_up, TABLE),
        functools.partial(look_up, table=TABLE),
        lambda key: look_up(TABLE, key),
        (lambda table: lambda key: table[key])(TABLE),
    ],
    ids=["partial", "keyword of partial", "global", "captured"],
)
def test_a_table_that_a_function_has_goes_by_marshal(function):
    data, there = travelled(function)
    assert MARK in data
    key = "name 5"
    assert (there(key=key) if "table" in getattr(there, "keywords", ()) else there(key)) == 5
    assert travelled(function)[0] == data  # else no warm worker would be found


def test_the_attributes_of_an_object_do_too_and_what_was_one_object_stays_one():
    data, there = travelled(Model(TABLE).predict)
    assert data.count(MARK) == 1
    assert there("name 5") == (5, True, {"a": 1})
    assert type(there.__self__.table) is dict


@pytest.mark.parametrize(
    "value",
    [
        REPEATED,
        dict(enumerate(REPEATED)),
        [[]] * LEAST_ELEMENTS,
        set(TABLE),
        {"a": 1},
        [*TABLE, bytearray(2)],
    ],
    ids=["repeated", "repeated values", "nested", "set", "small", "a buffer among them"],
)
def test_what_is_not_flat_or_repeats_itself_is_left_to_pickle(value):
    assert not is_flat(value)
    data, there = travelled(functools.partial(look_up, value))
    assert MARK not in data
    assert there.args == (value,)


def test_who_says_how_to_be_pickled_is_asked_once():
    data, there = travelled(Told(TABLE).predict)
    assert MARK not in data
    assert there.__self__.told


@given(st.lists(atoms, min_size=1), st.sampled_from([list, tuple, lambda values: dict(enumerate(values))]))
def test_every_value_comes_back_as_it_was(values, kind):
    container = kind(values)
    there = pickling.loads(pickling.dumps(flat.Flat(container), 5))
    assert type(there) is type(container)
    assert repr(there) == repr(container)  # which also shows the signs of zeros


def test_lone_surrogates_and_huge_numbers_survive():
    values = ["\ud800", 1 << 200, -(1 << 31), math.inf]
    assert pickling.loads(pickling.dumps(flat.Flat(values), 5)) == values


@pytest.mark.skipif(not mail.is_possible(), reason="there are no files in memory")
def test_a_large_one_is_taken_out_of_the_pickle_like_an_array():
    table = [f"name {number}" for number in range(100_000)]
    aside = mail.Aside()
    data, _ = pickling.dump_task(Task((("map", functools.partial(look_up, table)),), None), aside)
    assert len(data) < 1000
    assert pickling.load_task(data, aside.buffers).stages[0][1](5) == "name 5"


def holder(table):
    """An object that holds a table in a place where nobody looks for it."""
    held = Model(None)
    held.deep = {"table": table}
    return held


HELD = holder(TABLE)


def looking(table, held):
    return lambda: table is held.deep["table"]


@pytest.mark.parametrize(
    "function",
    [
        looking(TABLE, HELD),
        lambda table=TABLE, held=HELD: table is held.deep["table"],
        functools.partial(lambda table, held: table is held.deep["table"], TABLE, HELD),
        functools.partial(lambda tables: tables["a"] is tables["b"], {"a": TABLE, "b": TABLE}),
    ],
    ids=["captured", "defaults", "partial", "both deep inside"],
)
def test_a_table_that_is_reached_in_two_ways_is_one_object_there_too(function):
    data, there = travelled(function)
    assert there()
    assert MARK not in data
    assert travelled(function)[0] == data


def test_only_the_table_that_is_reached_in_two_ways_is_left_to_pickle():
    other = [str(number) for number in range(LEAST_ELEMENTS)]
    data, there = travelled(functools.partial(lambda *parts: parts, TABLE, other, holder(TABLE)))
    table, again, held = there()
    assert (table, again) == (TABLE, other)
    assert table is held.deep["table"]
    assert data.count(MARK) == 1


@pytest.mark.skipif(not mail.is_possible(), reason="there are no files in memory")
def test_what_was_taken_out_of_a_pickle_that_is_done_again_is_not_taken_twice():
    table, other = ([f"{name} {number}" for number in range(100_000)] for name in ("a", "b"))
    aside = mail.Aside()
    function = functools.partial(lambda *parts: parts, table, other, holder(table))
    data, _ = pickling.dump_task(Task((("map", function),), None), aside)
    assert len(aside.buffers) == 1
    assert pickling.load_task(data, aside.buffers).stages[0][1]()[:2] == (table, other)
