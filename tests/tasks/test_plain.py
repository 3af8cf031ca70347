"""One pickle of many plain items is what a pickle of each would have been: equal, and nothing changeable in common."""

import enum
from decimal import Decimal
from pickle import dumps, loads

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allcores.tasks.plain import CONTAINERS, LARGE_BYTES, dump_together, holds_atoms

ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.tuples(inner, inner),
        st.frozensets(ATOMS, max_size=3),
    ),
    max_leaves=12,
)


def containers_in(value):
    """The identity of every container that can be changed, at any depth."""
    found = []
    if type(value) in (list, dict, set):
        found.append(id(value))
    if type(value) in CONTAINERS:
        for each in value.values() if type(value) is dict else value:
            found += containers_in(each)
    return found


@settings(deadline=None)
@given(st.lists(VALUES, max_size=6), st.data())
def test_no_two_items_share_what_can_be_changed(values, data):
    pool = [*values, *(each for value in values if type(value) is list for each in value)]
    items = data.draw(st.lists(st.sampled_from(pool), max_size=8)) if pool else []
    body = dump_together(items)
    if body is not None:
        together = loads(body)
        assert together == [loads(dumps(item)) for item in items]
        found = [inside for item in together for inside in set(containers_in(item))]
        assert len(found) == len(set(found))
        assert list(map(type, together)) == list(map(type, items))


@pytest.mark.parametrize(
    "items",
    [
        [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}],
        [[1, [2, 3]], [1, [2, 3]]],
        [{"deep": {"deeper": [{1, 2}]}}, {}],
        [(1, "a"), (2, "b")],
        ["text", 1, None, 2.5, b"bytes", 1j, True],
        "text",
        (1, 2),
    ],
)
def test_plain_items_go_together(items):
    assert loads(dump_together(items)) == list(items)


def test_a_long_range_stays_a_range_and_a_short_one_travels_as_its_numbers():
    assert loads(dump_together(range(5, 500, 3))) == range(5, 500, 3)
    assert len(dump_together(range(10**9))) < 100
    assert loads(dump_together(range(5, 50, 3))) == list(range(5, 50, 3))


class Text(str):
    pass


class Colour(enum.IntEnum):
    RED = 1


shared = [1]


@pytest.mark.parametrize(
    "items",
    [
        [shared, shared],
        [[shared], [shared]],
        [shared, {"key": (shared,)}],
        [{"key": shared}, [shared]],
        [Text("a")],
        [{Text("a"): 1}, {"b": 1}],
        [{"a": Text("a")}],
        [[Colour.RED]],
        [{(1, Colour.RED): 1}],
        [{Decimal(1)}],
        [bytearray(b"a")],
        [[bytearray(b"a")]],
        [[len]],
        [list(range(1000))],
        [[int]],
    ],
)
def test_whatever_else_there_is_goes_by_itself(items):
    assert dump_together(items) is None


def test_an_item_that_contains_itself_goes_by_itself():
    own = []
    own.append(own)
    assert dump_together([own]) is None


@pytest.mark.parametrize("value", [{"a": 1}, [1, "a"], {1, 2}, ()])
def test_what_holds_only_atoms_is_known(value):
    assert holds_atoms(value)


@pytest.mark.parametrize("value", [{"a": []}, [[]], {(): 1}, [Text()], list(range(1000))])
def test_what_holds_more_than_atoms_is_known(value):
    assert not holds_atoms(value)


def test_large_bytes_are_pickled_alone():
    assert dump_together([b"x", b"y" * LARGE_BYTES]) is None
    assert dump_together([b"x", b"y" * (LARGE_BYTES - 1)]) is not None
